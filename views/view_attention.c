/* attention: what one query gives one key in every layer and head; Enter: the map of the head under
 * the cursor. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "matrix_map.h"
#include "model_parts.h"
#include "sextant/tui/heatmap.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "token_strip.h"
#include "view_parts.h"

struct attention_state {
    bool in_map;
    int turns, map_turns; /* of the scale, from the square root on: most attention is small */
    struct sx_heatmap_state heads;
    struct sx_strip_state strip;
    struct sx_matrix_map_state map;
    double map_hi;     /* end of its scale */
    uint64_t map_seen; /* revision of MAP + 1 that it is of */
    bool pinned;
    size_t pin;      /* a query, kept to compare */
    uint64_t serial; /* of the input that `map` and `pin` are of */
};

enum { ROW_LABEL = 4, WIDE_CELL = 6, HEADS_FOOT = 4, TOP_KEYS = 12, ROWS_BELOW = 6 };

static enum sx_heat_curve curve_of(int turns)
{
    return (enum sx_heat_curve)((turns + SX_HEAT_SQRT) % SX_HEAT_CURVES);
}

/* --- what is there ------------------------------------------------------------------------------
 */

static bool heads_current(const struct sx_session *session)
{
    return sx_slot_current(session, session->attention.state, session->attention.serial) &&
           session->attention.query == sx_selected_token(session);
}

static bool map_current(const struct sx_session *session)
{
    const struct sx_map_data *map = &session->map;

    return sx_slot_current(session, map->state, map->serial) &&
           map->layer == session->selection.layer && map->head == session->selection.head;
}

static size_t layers_of(const struct sx_session *session)
{
    return (size_t)session->input.info.n_layers;
}

static size_t heads_of(const struct sx_session *session)
{
    return (size_t)session->input.info.n_heads;
}

static size_t layer_at(const struct sx_session *session)
{
    const size_t n = layers_of(session), at = session->selection.layer;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

static size_t head_at(const struct sx_session *session)
{
    const size_t n = heads_of(session), at = session->selection.head;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

/* The end of a scale that holds `most`: 1, 2 or 5 times a power of ten, so that it stays while the
 * cursor moves. */
static double scale_end(double most)
{
    static const double step[] = {1, 2, 5, 10};
    const double decade = most > 1e-6 ? pow(10, floor(log10(most))) : 1e-6;
    int i = 0;

    while (i < 3 && step[i] * decade < most)
        i++;
    return fmin(step[i] * decade, 1);
}

static double largest(const float *value, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, (double)value[i]);
    return scale_end(most);
}

/* The query's attention in the head under the cursor, [n]. */
static const float *row_at(const struct sx_session *session)
{
    const struct sx_attention_data *data = &session->attention;
    return data->pattern + (layer_at(session) * data->n_heads + head_at(session)) * data->n;
}

/* --- the heads ----------------------------------------------------------------------------------
 */

static double heads_value(const void *ctx, int row, int col)
{
    const struct sx_session *session = ctx;
    const struct sx_attention_data *data = &session->attention;
    return (double)data
        ->pattern[((size_t)row * data->n_heads + (size_t)col) * data->n + sx_selected_key(session)];
}

static void heads_row(const void *ctx, int row, char *buf, size_t size)
{
    (void)ctx;
    snprintf(buf, size, "L%d", row);
}

static void heads_col(const void *ctx, int col, char *buf, size_t size)
{
    (void)ctx;
    snprintf(buf, size, "H%d", col);
}

static void heads_text(const void *ctx, int row, int col, char *buf, size_t size)
{
    sx_fraction(buf, size, heads_value(ctx, row, col), 3, true);
}

static struct sx_heatmap heads_map(const struct attention_state *state,
                                   const struct sx_session *session, int width)
{
    const struct sx_attention_data *data = &session->attention;
    const int heads = (int)data->n_heads;
    double most = 0;

    for (int l = 0; l < (int)data->n_layers; l++)
        for (int h = 0; h < heads; h++)
            most = fmax(most, heads_value(session, l, h));

    return (struct sx_heatmap){
        .rows = (int)data->n_layers,
        .cols = heads,
        .value = heads_value,
        .row_label = heads_row,
        .col_label = heads_col,
        .ctx = session,
        .row_label_width = ROW_LABEL,
        .cell_text = ROW_LABEL + heads * WIDE_CELL <= width ? heads_text : NULL,
        .cell_width = ROW_LABEL + heads * WIDE_CELL <= width ? WIDE_CELL
                      : ROW_LABEL + heads * 3 <= width       ? 3
                                                             : 2,
        .lo = 0,
        .hi = scale_end(most),
        .curve = curve_of(state->turns),
        .what = "attention",
    };
}

static void panes_of(const struct sx_view *view, const struct sx_session *session,
                     struct sx_rect pane[2])
{
    const struct sx_rect body = sx_body_rect(view);
    int h = (int)layers_of(session) + HEADS_FOOT;

    if (!sx_folded(view)) {
        const int wide = ROW_LABEL + (int)heads_of(session) * WIDE_CELL + 2;
        const int most = body.w * sx_layout_int(view, "share", 60) / 100;
        pane[0] = pane[1] = body;
        pane[0].w = wide < 46 ? 46 : wide < most ? wide : most;
        pane[1].x = pane[0].w + 1;
        pane[1].w = body.w - pane[1].x;
        return;
    }
    pane[0] = pane[1] = body;
    h = h > body.h - 7 ? body.h * 11 / 20 : h;
    pane[0].h = body.h >= 14 ? h : body.h;
    pane[1].y = pane[0].h;
    pane[1].h = body.h - pane[0].h;
    pane[1].w = pane[1].h > 0 ? body.w : 0;
}

static void draw_heads(struct sx_canvas *cv, const struct sx_view *view,
                       const struct sx_session *session)
{
    struct attention_state *state = view->state;
    char title[160], query[SX_POSITION_TEXT], key[SX_POSITION_TEXT];

    snprintf(title, sizeof title, "%s looks at %s",
             sx_position_text(query, session, sx_selected_token(session)),
             sx_position_text(key, session, sx_selected_key(session)));
    struct sx_canvas body = sx_frame(cv, title, "layer × head", true);
    if (!heads_current(session)) {
        const struct sx_attention_data *data = &session->attention;
        sx_result_notice(&body, session,
                         data->query == sx_selected_token(session) ? data->state : SX_STATE_PENDING,
                         data->serial, &data->error, "attention of this query …");
        return;
    }
    struct sx_canvas inner = sx_canvas_sub(&body, (struct sx_rect){1, 0, body.w - 2, body.h});
    const struct sx_heatmap map = heads_map(state, session, inner.w);
    state->heads.row = (int)layer_at(session);
    state->heads.col = (int)head_at(session);
    sx_heatmap_draw(&inner, &map, &state->heads, true);
}

/* The keys that get most, in columns. */
static void draw_top_keys(struct sx_canvas *cv, const struct sx_session *session)
{
    const float *row = row_at(session);
    const size_t n = session->attention.n;
    size_t best[TOP_KEYS];
    int count = 0;

    for (size_t k = 0; k < n; k++) {
        if (!(row[k] > 0)) /* behind a causal query */
            continue;
        int at = count < TOP_KEYS ? count++ : TOP_KEYS;
        for (; at > 0 && row[best[at - 1]] < row[k]; at--)
            if (at < TOP_KEYS)
                best[at] = best[at - 1];
        if (at < TOP_KEYS)
            best[at] = k;
    }
    const int width = sx_is_protein(session) ? 15 : 26;
    const int columns = cv->w / width > 0 ? cv->w / width : 1;
    for (int i = 0; i < count && i / columns < cv->h; i++) {
        char here[SX_POSITION_TEXT], p[16];
        const int x = 1 + i % columns * width;
        const bool chosen = best[i] == sx_selected_key(session);
        sx_put_cut(cv, x, i / columns, width - 8, chosen ? SX_STYLE_STRONG : SX_STYLE_TEXT,
                   sx_position_text(here, session, best[i]));
        sx_put_right(cv, x + width - 8, i / columns, 6, SX_STYLE_NUMBER,
                     sx_probability_text(p, sizeof p, (double)row[best[i]], sx_canvas_ascii(cv)));
    }
}

static void draw_row(struct sx_canvas *cv, const struct sx_view *view,
                     const struct sx_session *session)
{
    struct attention_state *state = view->state;
    char title[96], info[64], query[SX_POSITION_TEXT];

    snprintf(title, sizeof title, "L%zu H%zu from %s", layer_at(session), head_at(session),
             sx_position_text(query, session, sx_selected_token(session)));
    if (!heads_current(session)) {
        sx_frame(cv, title, NULL, false);
        return;
    }
    const double end = largest(row_at(session), session->attention.n);
    snprintf(info, sizeof info, "%s to %g", sx_heat_curve_name(curve_of(state->turns)), end);
    struct sx_canvas body = sx_frame(cv, title, info, false);
    const struct sx_strip strip = {
        .input = &session->input,
        .value = row_at(session),
        .hi = end,
        .curve = curve_of(state->turns),
        .cursor = sx_selected_key(session),
        .other = sx_selected_token(session),
    };
    int rows = sx_strip_height(&strip, body.w);
    const int list = body.h > 16 ? 6 : body.h > 7 ? 3 : 0;
    rows = rows > body.h - list ? (body.h - list) / 2 * 2 : rows;
    struct sx_canvas tokens = sx_canvas_sub(&body, (struct sx_rect){0, 0, body.w, rows});
    sx_strip_draw(&tokens, &strip, &state->strip);
    if (list == 0)
        return;
    sx_put(&body, 1, rows, SX_STYLE_HEADER, "most attention");
    struct sx_canvas most =
        sx_canvas_sub(&body, (struct sx_rect){0, rows + 1, body.w, body.h - rows - 1});
    draw_top_keys(&most, session);
}

/* --- the map of one head ------------------------------------------------------------------------
 */

static struct sx_matrix_map matrix_of(const struct attention_state *state,
                                      const struct sx_session *session)
{
    return (struct sx_matrix_map){
        .n = session->map.n,
        .value = session->map.pattern,
        .hi = state->map_hi,
        .curve = curve_of(state->map_turns),
        .sums = true,
    };
}

/* Tokens from `first` on, one column each: what a query gives them, and the residues. */
static void draw_bars(struct sx_canvas *cv, int y, const struct attention_state *state,
                      const struct sx_session *session, size_t query, size_t first)
{
    const struct sx_map_data *map = &session->map;
    const float *row = map->pattern + query * map->n;
    char here[SX_POSITION_TEXT];

    sx_put_cut(cv, 1, y, 8, SX_STYLE_LABEL, sx_position_text(here, session, query));
    for (size_t k = first; k < map->n && 10 + (int)(k - first) < cv->w; k++) {
        const double part =
            sx_heat_bend(curve_of(state->map_turns), (double)row[k] / state->map_hi);
        sx_put_char(cv, 10 + (int)(k - first), y, SX_STYLE_BAR,
                    sx_glyph_block(cv, part > 0.03 ? 1 + (int)(part * 7.999) : 0));
    }
}

static void draw_letters(struct sx_canvas *cv, int y, const struct sx_session *session,
                         size_t first)
{
    const struct sx_input *input = &session->input;

    for (size_t k = first; k < input->n && 10 + (int)(k - first) < cv->w; k++) {
        const char *text = input->tokens[k].text;
        const int x = 10 + (int)(k - first);
        text += text[0] == ' ' && text[1] != '\0';
        if (input->masked[k])
            sx_put_char(cv, x, y, SX_STYLE_STRONG, sx_canvas_ascii(cv) ? '?' : 0x2592);
        else if (sx_is_protein(session) && text[0] == '<')
            sx_put_char(cv, x, y, SX_STYLE_DIM, k == 0 ? '<' : '>');
        else
            sx_put_cut(cv, x, y, 1, SX_STYLE_TEXT, text);
        if (k == sx_selected_key(session))
            sx_overlay(cv, (struct sx_rect){x, y, 1, 1}, SX_STYLE_CURSOR_BLUR);
        else if (k == sx_selected_token(session))
            sx_overlay(cv, (struct sx_rect){x, y, 1, 1}, SX_STYLE_SELECTED);
    }
}

/* Words do not fit into columns: the keys that get most, in a row. */
static void draw_words(struct sx_canvas *cv, int y, const struct sx_session *session, size_t query)
{
    const struct sx_map_data *map = &session->map;
    const float *row = map->pattern + query * map->n;
    double below = 2;
    char here[SX_POSITION_TEXT], p[16];
    int x = 1 + sx_put_cut(cv, 1, y, 18, SX_STYLE_LABEL, sx_position_text(here, session, query));

    x = x < 20 ? 20 : x + 1;
    for (int shown = 0; shown < 12 && x < cv->w - 8; shown++) {
        size_t best = map->n;
        for (size_t k = 0; k < map->n; k++)
            if (row[k] > 0 && (double)row[k] < below && (best == map->n || row[k] > row[best]))
                best = k;
        if (best == map->n)
            return;
        below = (double)row[best];
        x += sx_put(cv, x, y, SX_STYLE_TEXT, sx_position_text(here, session, best)) + 1;
        x += sx_put(cv, x, y, SX_STYLE_NUMBER,
                    sx_probability_text(p, sizeof p, below, sx_canvas_ascii(cv))) +
             2;
    }
}

static void draw_row_below(struct sx_canvas *cv, const struct attention_state *state,
                           const struct sx_session *session)
{
    const size_t query = sx_selected_token(session), key = sx_selected_key(session);
    const size_t room = cv->w > 12 ? (size_t)cv->w - 11 : 1;
    const bool pinned = state->pinned && state->pin < session->map.n;
    size_t first = key > room / 2 ? key - room / 2 : 0;

    first = session->map.n > room && first > session->map.n - room ? session->map.n - room : first;
    first = session->map.n <= room ? 0 : first;
    if (!sx_is_protein(session)) {
        draw_words(cv, 0, session, query);
        if (pinned)
            draw_words(cv, 1, session, state->pin);
        return;
    }
    draw_bars(cv, 0, state, session, query, first);
    draw_letters(cv, 1, session, first);
    if (pinned)
        draw_bars(cv, 2, state, session, state->pin, first);
}

static struct sx_rect below_map(const struct sx_view *view)
{
    const struct sx_rect body = sx_body_rect(view);
    const int h = body.h >= 14 ? ROWS_BELOW - 1 : 0;
    return (struct sx_rect){0, body.h - h, body.w, h};
}

static void draw_value(struct sx_canvas *cv, int y, const struct sx_session *session,
                       const struct attention_state *state)
{
    const struct sx_map_data *map = &session->map;
    const size_t query = sx_selected_token(session), key = sx_selected_key(session);
    char a[SX_POSITION_TEXT], b[SX_POSITION_TEXT];
    int x = 1;

    x += sx_putf(cv, x, y, SX_STYLE_LABEL, "%s → %s ", sx_position_text(a, session, query),
                 sx_position_text(b, session, key));
    x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%.6g", (double)map->pattern[query * map->n + key]);
    if (state->pinned && state->pin < map->n)
        sx_putf(cv, x + 2, y, SX_STYLE_DIM, "pinned %s %.6g",
                sx_position_text(a, session, state->pin),
                (double)map->pattern[state->pin * map->n + key]);
    if (cv->w > 76)
        sx_heat_scale_lit(cv, cv->w - 36, y, 35, 0, state->map_hi, false,
                          sx_heat_curve_name(curve_of(state->map_turns)), state->map.lit);
}

static void draw_map(struct sx_canvas *cv, const struct sx_view *view,
                     const struct sx_session *session)
{
    struct attention_state *state = view->state;
    const struct sx_map_data *data = &session->map;
    const struct sx_rect below = below_map(view);
    char title[96], info[96];

    const struct sx_matrix_map map = matrix_of(state, session);
    snprintf(title, sizeof title, "L%zu H%zu · rows query, columns key", layer_at(session),
             head_at(session));
    if (!map_current(session)) {
        struct sx_canvas body = sx_frame(cv, title, NULL, true);
        const bool same =
            data->layer == session->selection.layer && data->head == session->selection.head;
        sx_result_notice(&body, session, same ? data->state : SX_STATE_PENDING, data->serial,
                         &data->error, "attention of this head …");
        return;
    }
    struct sx_canvas body = sx_canvas_sub(cv, (struct sx_rect){0, 1, cv->w, cv->h - 1});
    struct sx_canvas area =
        sx_canvas_sub(&body, (struct sx_rect){0, 0, body.w, body.h - below.h - (below.h == 0)});
    state->map.row = sx_selected_token(session);
    state->map.col = sx_selected_key(session);
    sx_matrix_map_draw(&area, &map, &state->map, true);
    sx_matrix_map_zoom_text(info, sizeof info, &map, &state->map); /* as it was drawn */
    sx_frame(cv, title, info, true);
    struct sx_canvas foot = sx_canvas_sub(cv, below);
    if (below.h == 0) {
        draw_value(&body, body.h - 1, session, state);
        return;
    }
    draw_value(&foot, 0, session, state);
    struct sx_canvas row = sx_canvas_sub(&foot, (struct sx_rect){0, 1, foot.w, foot.h - 1});
    draw_row_below(&row, state, session);
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static void attention_draw(const struct sx_view *view, const struct sx_session *session,
                           struct sx_canvas *canvas)
{
    const struct attention_state *state = view->state;
    struct sx_rect pane[2];

    if (sx_too_small(canvas, 24, 6) || sx_input_notice(canvas, session, "attention"))
        return;
    if (state->in_map) {
        draw_map(canvas, view, session);
        return;
    }
    panes_of(view, session, pane);
    struct sx_canvas left = sx_canvas_sub(canvas, pane[0]);
    draw_heads(&left, view, session);
    if (pane[1].w > 0) {
        struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
        draw_row(&right, view, session);
    }
    sx_pane_divider(canvas, pane);
}

static size_t attention_followers(const struct sx_view *view, const struct sx_session *session,
                                  struct sx_rect out[SX_FOLLOWERS])
{
    const struct attention_state *state = view->state;
    struct sx_rect pane[2];

    if (!sx_input_ready(session))
        return 0;
    if (state->in_map) {
        out[0] = below_map(view);
        out[0].y++; /* the value goes with the cursor */
        out[0].h--;
        return map_current(session) && out[0].h > 0;
    }
    panes_of(view, session, pane);
    out[0] = pane[1];
    return heads_current(session) && pane[1].w > 0;
}

static void attention_need(struct sx_view *view, const struct sx_session *session,
                           struct sx_emit *emit)
{
    struct attention_state *state = view->state;
    const struct sx_attention_data *heads = &session->attention;
    const struct sx_map_data *map = &session->map;

    if (!sx_need_input(session, emit))
        return;
    if (state->serial != session->input.serial) {
        state->serial = session->input.serial;
        state->pinned = false;
        state->map.zoom = 0;
    }
    if (map->state == SX_STATE_READY && state->map_seen != session->revision[SX_SLOT_MAP] + 1) {
        state->map_seen = session->revision[SX_SLOT_MAP] + 1;
        state->map_hi = largest(map->pattern, map->n * map->n);
    }
    if (state->in_map) {
        if (sx_slot_wanted(session, map->state, map->serial) || map->layer != layer_at(session) ||
            map->head != head_at(session))
            sx_emit_line(emit, "attention-map --layer %zu --head %zu", layer_at(session),
                         head_at(session));
    } else if (sx_slot_wanted(session, heads->state, heads->serial) ||
               heads->query != sx_selected_token(session)) {
        sx_emit_line(emit, "attend --token %zu", sx_selected_token(session));
    }
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void select_head(const struct sx_session *session, long layer, long head,
                        struct sx_emit *emit)
{
    const long layers = (long)layers_of(session), heads = (long)heads_of(session);

    layer = layer < 0 ? 0 : layer >= layers ? layers - 1 : layer;
    head = head < 0 ? 0 : head >= heads ? heads - 1 : head;
    if ((size_t)layer != session->selection.layer || (size_t)head != session->selection.head)
        sx_emit_line(emit, "select --layer %ld --head %ld", layer, head);
}

static size_t stepped(size_t from, long by, size_t n)
{
    const long to = (long)from + by;
    return to < 0 ? 0 : to >= (long)n ? n - 1 : (size_t)to;
}

/* [ ] and { }: the key and the query beside the heads; head and layer in the map, where the arrows
 * move query and key. */
static bool step_request(const struct attention_state *state, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    const bool inner = strncmp(request->name, "key-", 4) == 0;
    const long count = request->count > 0 ? (long)request->count : 1;
    const size_t n = session->input.n;

    if (!inner && strncmp(request->name, "query-", 6) != 0)
        return false;
    const long by = strstr(request->name, "next") ? count : -count;
    if (state->in_map)
        select_head(session, (long)layer_at(session) + (inner ? 0 : by),
                    (long)head_at(session) + (inner ? by : 0), emit);
    else if (inner)
        sx_select_key(session, stepped(sx_selected_key(session), by, n), emit);
    else
        sx_select_token(session, stepped(sx_selected_token(session), by, n), emit);
    return true;
}

/* "17": the query; "17 3" or "17,3": query and key. */
static void go_to(const struct sx_session *session, const char *text, struct sx_emit *emit)
{
    char query[16];
    const size_t len = strcspn(text, ", ");
    const char *rest = text + len + strspn(text + len, ", ");
    size_t token;

    if (*text == '\0')
        return;
    snprintf(query, sizeof query, "%.*s", (int)(len < 15 ? len : 15), text);
    if (*query && sx_token_of_text(session, query, &token, emit))
        sx_select_token(session, token, emit);
    if (*rest && sx_token_of_text(session, rest, &token, emit))
        sx_select_key(session, token, emit);
}

static bool map_request(struct attention_state *state, const struct sx_session *session,
                        const struct sx_view_request *request, struct sx_emit *emit)
{
    const struct sx_matrix_map map = matrix_of(state, session);

    if (!map_current(session))
        return false;
    state->map.row = sx_selected_token(session);
    state->map.col = sx_selected_key(session);
    if (strcmp(request->name, "click") == 0 || strcmp(request->name, "drag") == 0) {
        size_t row, col;
        if (!sx_matrix_map_hit(&map, &state->map, request->x, request->y - 1, &row, &col))
            return true;
        state->map.row = row;
        state->map.col = col;
    } else if (!sx_matrix_map_request(&map, &state->map, request->name, request->count)) {
        return false;
    }
    sx_select_token(session, state->map.row, emit);
    sx_select_key(session, state->map.col, emit);
    return true;
}

static bool heads_request(struct sx_view *view, const struct sx_session *session,
                          const struct sx_view_request *request, struct sx_emit *emit)
{
    struct attention_state *state = view->state;
    struct sx_rect pane[2];
    int row, col;

    if (!heads_current(session))
        return false;
    panes_of(view, session, pane);
    const struct sx_heatmap map = heads_map(state, session, pane[0].w - 2);
    state->heads.row = (int)layer_at(session);
    state->heads.col = (int)head_at(session);
    if (strcmp(request->name, "click") == 0) {
        const struct sx_strip strip = {.input = &session->input};
        const size_t key = sx_pane_at(pane, 2, request->x, request->y) == 1
                               ? sx_strip_at(&strip, &state->strip, pane[1].w,
                                             request->x - pane[1].x, request->y - pane[1].y - 1)
                               : SIZE_MAX;
        if (key != SIZE_MAX)
            sx_select_key(session, key, emit);
        if (!sx_heatmap_hit(&map, &state->heads, request->x - 1, request->y - 1, &row, &col))
            return true;
        state->heads.row = row;
        state->heads.col = col;
    } else if (!sx_heatmap_request(&map, &state->heads, request->name, request->count)) {
        return false;
    }
    select_head(session, state->heads.row, state->heads.col, emit);
    return true;
}

static bool mode_request(struct attention_state *state, const struct sx_session *session,
                         const char *name, struct sx_emit *emit)
{
    if (strcmp(name, "open") == 0 && !state->in_map) {
        state->in_map = true;
    } else if (strcmp(name, "back") == 0 && state->in_map) {
        state->in_map = false;
    } else if (strcmp(name, "scale") == 0) {
        int *turns = state->in_map ? &state->map_turns : &state->turns;
        *turns = (*turns + 1) % SX_HEAT_CURVES;
    } else if (strcmp(name, "to-bos") == 0) {
        sx_select_key(session, 0, emit);
    } else if (strcmp(name, "pin") == 0 && state->in_map && map_current(session)) {
        state->pinned = !(state->pinned && state->pin == sx_selected_token(session));
        state->pin = sx_selected_token(session);
    } else if (strcmp(name, "pin") == 0 || strcmp(name, "again") == 0) {
        if (state->in_map)
            sx_emit_line(emit, "attention-map --layer %zu --head %zu", layer_at(session),
                         head_at(session));
        else
            sx_emit_line(emit, "attend --token %zu", sx_selected_token(session));
    } else {
        return false;
    }
    return true;
}

static bool attention_request(struct sx_view *view, const struct sx_session *session,
                              const struct sx_view_request *request, struct sx_emit *emit)
{
    struct attention_state *state = view->state;
    const bool was_in_map = state->in_map;
    bool taken;

    if (sx_input_request(session, request, emit))
        return true;
    if (!sx_input_ready(session))
        return false;
    if (strcmp(request->name, "ask-position") == 0) {
        go_to(session, request->text ? request->text : "", emit);
        taken = true;
    } else {
        taken = mode_request(state, session, request->name, emit) ||
                step_request(state, session, request, emit) ||
                (state->in_map ? map_request(state, session, request, emit)
                               : heads_request(view, session, request, emit));
    }
    emit->dirty |= taken;
    if (state->in_map != was_in_map)
        attention_need(view, session, emit);
    return taken;
}

/* Layer by head for the chosen query and key; in the map, query by key for the chosen head. */
static struct sx_value *attention_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct sx_attention_data *data = &session->attention;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    (void)view;
    if (!heads_current(session))
        return document;
    const size_t key = sx_selected_key(session);
    sx_value_set(document, "query", sx_value_int((int64_t)data->query));
    sx_value_set(document, "key", sx_value_int((int64_t)key));
    for (size_t l = 0; l < data->n_layers; l++)
        for (size_t h = 0; h < data->n_heads; h++) {
            const float *row = data->pattern + (l * data->n_heads + h) * data->n;
            struct sx_value *out = sx_value_append(rows, sx_value_map());
            size_t best = 0;
            for (size_t k = 0; k < data->n; k++)
                best = row[k] > row[best] ? k : best;
            sx_value_set(out, "layer", sx_value_int((int64_t)l));
            sx_value_set(out, "head", sx_value_int((int64_t)h));
            sx_row_real(out, "attention", (double)row[key]);
            sx_value_set(out, "most_at", sx_value_int((int64_t)best));
            sx_row_real(out, "most", (double)row[best]);
        }
    return document;
}

static const struct sx_key_binding keys[] = {
    {"attention", "Enter", "open", "map", "The map of the head under the cursor.", "Attention"},
    {"attention", "]", "key-next", "key", "The next key; in the map: the next head.", "Attention"},
    {"attention", "[", "key-previous", NULL, "The key before; in the map: the head before.",
     "Attention"},
    {"attention", "}", "query-next", "query", "The next query; in the map: the next layer.",
     "Attention"},
    {"attention", "{", "query-previous", NULL, "The query before; in the map: the layer before.",
     "Attention"},
    {"attention", "b", "to-bos", "BOS", "The first token as key: <cls>, or the first word.",
     "Attention"},
    {"attention", "g", "ask-position", "go to", "A query by its number, or query and key: 17,0.",
     "Attention"},
    {"attention", "v", "scale", "scale", "Linear, square root or logarithmic scale.", "Attention"},
    {"attention", "z", "zoom-in", "zoom", "In the map: closer.", "Map"},
    {"attention", "Z", "zoom-out", NULL, "In the map: further away.", "Map"},
    {"attention", "r", "pin", "pin", "In the map: keep this row in sight; else compute again.",
     "Map"},
    {"attention", "i", "ask-input", NULL, "Type another sequence or prompt.", "Attention"},
    {"attention", "s", ":view sequence", "sequence", "This query in the sequence.", "Attention"},
    {"attention", "L", ":view lens", NULL, "Layer by layer: the logit lens.", "Attention"},
    {"attention", "c", ":view contacts", NULL, "The contact map.", "Attention"},
    {"attention", "B", ":view bands", "bands", "This query and key in rotary bands.", "Attention"},
    {"attention", "f", ":view circuit", NULL, "What writes the query of this head.", "Attention"},
    {"attention", "H", ":view head", "head", "This head in rotary bands along the keys.",
     "Attention"},
};

const struct sx_view_ops sx_view_attention = {
    .name = "attention",
    .help = "attention of one query in every layer and head, and the map of one head",
    .key = 'a',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_INPUT |
               1u << SX_SLOT_ATTENTION | 1u << SX_SLOT_MAP,
    .n_panes = 1,
    .state_size = sizeof(struct attention_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = attention_need,
    .draw = attention_draw,
    .followers = attention_followers,
    .request = attention_request,
    .title = sx_title_of_input,
    .data = attention_data,
};
