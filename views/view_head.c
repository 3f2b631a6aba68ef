/* head: one head at one query in full: the score of every key in rotary bands, the attention that
 * comes of it, and both again without the bands that are taken out. */
#include "all_views.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "band_parts.h"
#include "model_parts.h"
#include "sextant/tui/heatmap.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

struct head_state {
    struct sx_heatmap_state map;
    struct sx_rect key_line; /* noted by the last draw, in the body */
    bool centred, numbers, on_sum;
    bool pinned;
    size_t pin; /* a key, kept to compare */
    uint64_t serial;
};

enum {
    ROW_LABEL = 9,
    NUMBER_CELL = 6,
    WORD_CELL = 9,
    BAR_ROWS = 4,
    BAR_MOST = 5,
    MOST_BANDS = 128
};

/* --- what is there ------------------------------------------------------------------------------
 */

static size_t layer_at(const struct sx_session *session)
{
    const size_t n = (size_t)session->input.info.n_layers;
    const size_t at = sx_is_answer(session) ? session->head.result.layer : session->selection.layer;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

static size_t head_at(const struct sx_session *session)
{
    const size_t n = (size_t)session->input.info.n_heads;
    const size_t at = sx_is_answer(session) ? session->head.result.head : session->selection.head;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

static size_t query_at(const struct sx_session *session)
{
    return sx_is_answer(session) ? session->head.result.query : sx_selected_token(session);
}

/* With the rest that is not rotated. */
static size_t bands_of(const struct sx_session *session)
{
    const struct sx_model_info *info = &session->input.info;
    return (size_t)(info->n_bands + (2 * info->n_bands < info->d_head));
}

static size_t band_at(const struct sx_session *session)
{
    const size_t n = session->head.result.n_bands, at = session->selection.band;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

/* The bands that the session wants out, as far as the model has them. */
static uint64_t removed_of(const struct sx_session *session)
{
    const size_t n = bands_of(session);
    if (sx_is_answer(session))
        return session->head.result.removed;
    return session->settings.bands_removed & (n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX);
}

static bool asked_alike(const struct sx_session *session)
{
    const struct sx_head_result *r = &session->head.result;

    return sx_is_answer(session) ||
           (r->layer == layer_at(session) && r->head == head_at(session) &&
            r->query == query_at(session) && r->removed == removed_of(session));
}

static bool head_current(const struct sx_session *session)
{
    return sx_slot_current(session, session->head.state, session->head.serial) &&
           asked_alike(session);
}

/* Keys that the query sees. */
static size_t keys_of(const struct sx_session *session)
{
    const struct sx_head_result *r = &session->head.result;
    const bool causal = !sx_is_protein(session);
    return causal && r->query < r->n ? r->query + 1 : r->n;
}

static size_t key_at(const struct sx_session *session)
{
    const size_t n = keys_of(session), at = session->selection.key;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

static bool is_out(const struct sx_head_result *r, size_t band)
{
    return band < 64 && (r->removed >> band & 1);
}

/* --- the map ------------------------------------------------------------------------------------
 */

struct map_ctx {
    const struct sx_session *session;
    bool centred, ascii;
    size_t keys;
    double mean[MOST_BANDS + 1]; /* of each band over the keys, and of what remains */
    int cell;
};

static double score_of(const struct sx_head_result *r, size_t band, size_t key)
{
    double sum = 0;

    if (band < r->n_bands)
        return (double)r->score[band * r->n + key];
    for (size_t b = 0; b < r->n_bands; b++)
        if (!is_out(r, b))
            sum += (double)r->score[b * r->n + key];
    return sum;
}

static double mean_of(const struct sx_head_result *r, size_t band, size_t keys)
{
    double sum = 0;

    for (size_t k = 0; k < keys; k++)
        sum += score_of(r, band, k);
    return keys > 0 ? sum / (double)keys : 0;
}

static void gather(struct map_ctx *ctx, const struct head_state *state,
                   const struct sx_session *session)
{
    const struct sx_head_result *r = &session->head.result;

    ctx->session = session;
    ctx->centred = state->centred;
    ctx->keys = keys_of(session);
    for (size_t b = 0; b <= r->n_bands && b <= MOST_BANDS; b++)
        ctx->mean[b] = mean_of(r, b, ctx->keys);
}

static double map_value(const void *context, int row, int col)
{
    const struct map_ctx *ctx = context;
    const double value = score_of(&ctx->session->head.result, (size_t)row, (size_t)col);
    return ctx->centred && row <= MOST_BANDS ? value - ctx->mean[row] : value;
}

static void map_text(const void *context, int row, int col, char *buf, size_t size)
{
    const struct map_ctx *ctx = context;
    sx_signed_text(buf, size, map_value(context, row, col), ctx->cell - 1, ctx->ascii);
}

static void map_row(const void *context, int row, char *buf, size_t size)
{
    const struct map_ctx *ctx = context;
    const struct sx_head_result *r = &ctx->session->head.result;
    char period[16];

    if (row == (int)r->n_bands)
        snprintf(buf, size, "%s", ctx->ascii ? "sum" : "Σ");
    else
        snprintf(buf, size, "%s%s", sx_period_text(period, sizeof period, r->period[row]),
                 is_out(r, (size_t)row) ? " out" : "");
}

static void map_col(const void *context, int col, char *buf, size_t size)
{
    const struct map_ctx *ctx = context;
    const char *text = ctx->session->input.tokens[col].text;

    if (sx_is_protein(ctx->session))
        sx_residue_text(buf, size, &ctx->session->input, (size_t)col);
    else
        sx_middle_cut(buf, size, text + (text[0] == ' ' && text[1] != '\0'), ctx->cell - 1);
}

static struct sx_heatmap map_of(const struct head_state *state, struct map_ctx *ctx)
{
    const struct sx_head_result *r = &ctx->session->head.result;
    const bool words = !sx_is_protein(ctx->session), numbers = words || state->numbers;
    double most = 0;

    for (int b = 0; b < (int)r->n_bands; b++)
        for (int k = 0; k < (int)ctx->keys; k++)
            most = fmax(most, fabs(map_value(ctx, b, k)));
    const double end = sx_scale_end(most);
    ctx->cell = words ? WORD_CELL : numbers ? NUMBER_CELL : 2;
    return (struct sx_heatmap){
        .rows = (int)r->n_bands + 1,
        .cols = (int)ctx->keys,
        .value = map_value,
        .row_label = map_row,
        .col_label = map_col,
        .ctx = ctx,
        .row_label_width = ROW_LABEL,
        .cell_width = ctx->cell,
        .cell_text = numbers ? map_text : NULL,
        .numbers = numbers,
        .diverging = true,
        .lo = -end,
        .hi = end,
        .unit = "logits",
        .what = state->centred ? "score - mean" : "score",
    };
}

static void place_cursor(struct head_state *state, const struct sx_session *session)
{
    const struct sx_head_result *r = &session->head.result;
    state->map.row = (int)(state->on_sum ? r->n_bands : band_at(session));
    state->map.col = (int)key_at(session);
}

/* --- below the map ------------------------------------------------------------------------------
 */

static double largest(const float *value, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, (double)value[i]);
    return sx_scale_end(most);
}

/* In the columns of the map, `h` rows high. */
static void draw_bars(struct sx_canvas *cv, int y, int h, const char *label, const float *value,
                      double end, const struct map_ctx *ctx, const struct sx_heatmap_state *map)
{
    const int w = ctx->cell > 2 ? ctx->cell - 1 : ctx->cell;

    sx_put(cv, 0, y + h - 1, SX_STYLE_LABEL, label);
    for (int c = 0; c < map->page_cols; c++) {
        const double part = sx_heat_bend(SX_HEAT_SQRT, (double)value[map->left + c] / end);
        const int eighths = part > 0.03 / h ? 1 + (int)(part * (8 * h - 0.001)) : 0;
        for (int r = 0; r < h && eighths > 8 * r; r++)
            sx_fill(cv, (struct sx_rect){ROW_LABEL + c * ctx->cell, y + h - 1 - r, w, 1},
                    SX_STYLE_BAR, sx_glyph_block(cv, eighths - 8 * r < 8 ? eighths - 8 * r : 8));
    }
}

static void draw_tokens(struct sx_canvas *cv, int y, const struct map_ctx *ctx,
                        const struct sx_heatmap_state *map)
{
    const struct sx_input *input = &ctx->session->input;

    sx_put(cv, 0, y, SX_STYLE_LABEL, "key");
    for (int c = 0; c < map->page_cols; c++) {
        const size_t key = (size_t)map->left + (size_t)c;
        const struct sx_rect cell = {ROW_LABEL + c * ctx->cell, y, ctx->cell, 1};
        char text[32];
        map_col(ctx, (int)key, text, sizeof text);
        if (input->masked[key])
            sx_put_char(cv, cell.x + cell.w - 1, y, SX_STYLE_STRONG,
                        sx_canvas_ascii(cv) ? '?' : 0x2592);
        else
            sx_put_right(cv, cell.x, y, cell.w - (cell.w > 2), SX_STYLE_TEXT, text);
        if (key == key_at(ctx->session))
            sx_overlay(cv, cell, SX_STYLE_CURSOR_BLUR);
        else if (key == query_at(ctx->session))
            sx_overlay(cv, cell, SX_STYLE_SELECTED);
    }
}

/* "<cls>  score +1.23, centred +.80  attention .137 → .025" */
static int draw_key(struct sx_canvas *cv, int y, const struct map_ctx *ctx)
{
    const struct sx_head_result *r = &ctx->session->head.result;
    const size_t key = key_at(ctx->session);
    const bool ascii = sx_canvas_ascii(cv);
    const double sum = score_of(r, r->n_bands, key);
    char here[SX_POSITION_TEXT], text[32];
    int x = sx_put_cut(cv, 0, y, 20, SX_STYLE_STRONG, sx_position_text(here, ctx->session, key));

    x += 2 + sx_put(cv, x + 2, y, SX_STYLE_LABEL, "score ");
    x += sx_put(cv, x, y, SX_STYLE_NUMBER, sx_signed_text(text, sizeof text, sum, 7, ascii));
    x += sx_put(cv, x, y, SX_STYLE_LABEL, ", over the mean ");
    x += sx_put(
        cv, x, y, SX_STYLE_NUMBER,
        sx_signed_text(text, sizeof text, sum - mean_of(r, r->n_bands, ctx->keys), 7, ascii));
    x += 2 + sx_put(cv, x + 2, y, SX_STYLE_LABEL, "attention ");
    x += sx_put(cv, x, y, SX_STYLE_NUMBER,
                sx_probability_text(text, sizeof text, (double)r->attention[key], ascii));
    if (r->removed)
        x += sx_putf(
            cv, x, y, SX_STYLE_NUMBER, " → %s",
            sx_probability_text(text, sizeof text, (double)r->attention_removed[key], ascii));
    return x;
}

/* Returns the row of the line about the key. */
static int draw_below(struct sx_canvas *cv, const struct map_ctx *ctx,
                      const struct sx_heatmap_state *map)
{
    const struct sx_head_result *r = &ctx->session->head.result;
    const double end = fmax(largest(r->attention, ctx->keys),
                            r->removed ? largest(r->attention_removed, ctx->keys) : 0);

    const int h = cv->h >= 4 + 2 * BAR_MOST ? BAR_MOST : cv->h > 5 ? (cv->h - 2) / 2 : 1;
    char scale[48];

    draw_bars(cv, 0, h, "attends", r->attention, end, ctx, map);
    if (r->removed)
        draw_bars(cv, h, h, "without", r->attention_removed, end, ctx, map);
    else
        sx_put(cv, 0, 2 * h - 1, SX_STYLE_DIM, "without");
    draw_tokens(cv, 2 * h, ctx, map);
    const int used = draw_key(cv, 2 * h + 1, ctx);
    snprintf(scale, sizeof scale, "bars: sqrt, to %g", end);
    if (used + 22 <= cv->w)
        sx_put_right(cv, cv->w - 20, 2 * h + 1, 20, SX_STYLE_DIM, scale);
    return 2 * h + 1;
}

/* "P(M) .971 → .413   top M → L   without bands 0 2" */
static void draw_summary(struct sx_canvas *cv, const struct sx_session *session)
{
    const struct sx_head_data *data = &session->head;
    const struct sx_head_result *r = &data->result;
    const bool ascii = sx_canvas_ascii(cv);
    char text[32], quoted[SX_POSITION_TEXT];
    int x = 0;

    if (!isnan(r->p)) {
        x += sx_putf(cv, x, 0, SX_STYLE_LABEL, "P(%s) ",
                     sx_quoted_token(quoted, session, data->target_text));
        x += sx_put(cv, x, 0, SX_STYLE_NUMBER, sx_probability_text(text, sizeof text, r->p, ascii));
        if (r->removed)
            x += sx_putf(cv, x, 0, SX_STYLE_STRONG, " → %s",
                         sx_probability_text(text, sizeof text, r->p_removed, ascii));
        x += 3;
    }
    if (r->top >= 0) {
        x += sx_put(cv, x, 0, SX_STYLE_LABEL, "top ");
        x += sx_put(cv, x, 0, SX_STYLE_TEXT, sx_quoted_token(quoted, session, data->top_text));
        if (r->removed)
            x += sx_putf(cv, x, 0, r->top == r->top_removed ? SX_STYLE_TEXT : SX_STYLE_STRONG,
                         " → %s", sx_quoted_token(quoted, session, data->top_removed_text));
        x += 3;
    }
    if (!r->removed) {
        sx_put_cut(cv, x, 0, cv->w - x, SX_STYLE_DIM, "all bands; b takes this one out");
        return;
    }
    x += sx_put(cv, x, 0, SX_STYLE_LABEL, "without band");
    for (size_t b = 0; b < r->n_bands && b < 64; b++)
        if (is_out(r, b))
            x += sx_putf(cv, x, 0, SX_STYLE_STRONG, " %zu", b);
}

/* --- the bands of one key -----------------------------------------------------------------------
 */

static double share_of(const struct sx_head_result *r, size_t band, size_t key)
{
    double all = 0;

    for (size_t b = 0; b < r->n_bands; b++)
        all += fabs(score_of(r, b, key));
    return all > 0 ? fabs(score_of(r, band, key)) / all : 0;
}

static void put_signed(struct sx_canvas *cv, int x, int y, int width, double value)
{
    char text[32];
    sx_put_right(cv, x, y, width, SX_STYLE_NUMBER,
                 sx_signed_text(text, sizeof text, value, width, sx_canvas_ascii(cv)));
}

static void draw_band_line(struct sx_canvas *cv, int y, const struct map_ctx *ctx, size_t band,
                           const struct head_state *state)
{
    const struct sx_head_result *r = &ctx->session->head.result;
    const size_t key = key_at(ctx->session);
    const bool sum = band == r->n_bands;
    char label[32];

    map_row(ctx, (int)band, label, sizeof label);
    sx_put_cut(cv, 1, y, 8, band == band_at(ctx->session) ? SX_STYLE_STRONG : SX_STYLE_LABEL,
               label);
    put_signed(cv, 9, y, 6, score_of(r, band, key));
    put_signed(cv, 16, y, 6, score_of(r, band, key) - ctx->mean[band]);
    if (state->pinned && state->pin < ctx->keys)
        put_signed(cv, 23, y, 6, score_of(r, band, state->pin));
    else if (!sum)
        sx_put_right(
            cv, 23, y, 6, SX_STYLE_NUMBER,
            sx_fraction(label, sizeof label, share_of(r, band, key), 2, sx_canvas_ascii(cv)));
    const int room = cv->w - 31 < 30 ? cv->w - 31 : 30;
    if (!sum && room > 2)
        sx_fill(cv, (struct sx_rect){30, y, (int)lround(share_of(r, band, key) * room), 1},
                SX_STYLE_BAR, sx_glyph_block(cv, 7));
}

static void draw_key_bands(struct sx_canvas *cv, const struct map_ctx *ctx,
                           const struct head_state *state)
{
    const struct sx_head_result *r = &ctx->session->head.result;
    const bool pinned = state->pinned && state->pin < ctx->keys;
    char title[128], a[SX_POSITION_TEXT], b[SX_POSITION_TEXT];

    snprintf(title, sizeof title, "%s → %s", sx_position_text(a, ctx->session, r->query),
             sx_position_text(b, ctx->session, key_at(ctx->session)));
    struct sx_canvas body = sx_frame(cv, title, NULL, false);
    sx_put(&body, 1, 0, SX_STYLE_HEADER, "period");
    sx_put_right(&body, 9, 0, 6, SX_STYLE_HEADER, "score");
    sx_put_right(&body, 16, 0, 6, SX_STYLE_HEADER, "- mean");
    if (pinned)
        sx_put_right(&body, 23, 0, 6, SX_STYLE_HEADER,
                     sx_position_text(a, ctx->session, state->pin));
    else
        sx_put_right(&body, 23, 0, 6, SX_STYLE_HEADER, "share");
    const size_t room = body.h > 2 ? (size_t)body.h - 2 : 0, at = band_at(ctx->session);
    size_t first = r->n_bands > room && at >= room ? at - room + 1 : 0;
    int y = 1;
    for (size_t band = first; band < r->n_bands && y < body.h - 1; band++, y++)
        draw_band_line(&body, y, ctx, band, state);
    draw_band_line(&body, y, ctx, r->n_bands, state);
    if (y + 2 < body.h)
        sx_put(&body, 1, y + 2, SX_STYLE_UNIT, "periods in tokens, scores in logits");
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static void panes_of(const struct sx_view *view, const struct sx_session *session,
                     struct sx_rect pane[2])
{
    const struct sx_rect body = sx_body_rect(view);
    const int bands = (int)session->head.result.n_bands, map = bands + 6 + BAR_ROWS;

    pane[0] = pane[1] = body;
    if (!sx_folded(view)) {
        pane[1].w = sx_layout_int(view, "detail", 38);
        pane[0].w = body.w - pane[1].w - 1;
        pane[1].x = pane[0].w + 1;
        return;
    }
    pane[0].h = body.h - map >= bands + 3 ? map : body.h;
    pane[1].y = pane[0].h;
    pane[1].h = body.h - pane[0].h;
    pane[1].w = pane[1].h > 0 ? body.w : 0;
}

static void head_title(const struct sx_session *session, char *buf, size_t size)
{
    const size_t token = query_at(session);
    char here[SX_POSITION_TEXT];

    snprintf(buf, size, "L%zu H%zu: band × key · query %s%s", layer_at(session), head_at(session),
             sx_position_text(here, session, token), session->input.masked[token] ? " masked" : "");
}

static void draw_map(struct sx_canvas *cv, struct map_ctx *ctx, struct head_state *state)
{
    const struct sx_session *session = ctx->session;
    char title[128], info[SX_POSITION_TEXT];

    head_title(session, title, sizeof title);
    struct sx_canvas body =
        sx_frame(cv, title, sx_position_text(info, session, key_at(session)), true);
    struct sx_canvas inner = sx_canvas_sub(&body, (struct sx_rect){1, 0, body.w - 2, body.h});
    const int bars = inner.h >= 10 ? BAR_ROWS : 0, head = inner.h > 4;
    state->key_line = (struct sx_rect){0};
    ctx->ascii = sx_canvas_ascii(cv);
    const struct sx_heatmap map = map_of(state, ctx);
    struct sx_canvas area =
        sx_canvas_sub(&inner, (struct sx_rect){0, head, inner.w, inner.h - head - bars});
    place_cursor(state, session);
    sx_heatmap_draw(&area, &map, &state->map, true);
    if (head) {
        draw_summary(&inner, session);
        sx_put(&area, 0, 0, SX_STYLE_HEADER, "period");
    }
    if (area.h > 3)
        sx_put_residual(&area, 0, state->map.page_rows + 2, inner.w, session->head.result.residual);
    if (bars == 0)
        return;
    const int y = head + state->map.page_rows + 3;
    struct sx_canvas below = sx_canvas_sub(&inner, (struct sx_rect){0, y, inner.w, inner.h - y});
    const int line = draw_below(&below, ctx, &state->map);
    state->key_line = (struct sx_rect){1, 1 + y + line, inner.w, line < below.h ? 1 : 0};
}

static void head_draw(const struct sx_view *view, const struct sx_session *session,
                      struct sx_canvas *canvas)
{
    struct head_state *state = view->state;
    const struct sx_head_data *data = &session->head;
    struct sx_rect pane[2];
    struct map_ctx ctx = {0};
    char title[128];

    if (sx_too_small(canvas, 24, 6) ||
        sx_weights_notice(canvas, session, "head", head_current(session)))
        return;
    if (!head_current(session)) {
        head_title(session, title, sizeof title);
        struct sx_canvas body = sx_frame(canvas, title, NULL, true);
        sx_result_notice(&body, session, asked_alike(session) ? data->state : SX_STATE_PENDING,
                         data->serial, &data->error, "this head in bands …");
        return;
    }
    gather(&ctx, state, session);
    panes_of(view, session, pane);
    struct sx_canvas left = sx_canvas_sub(canvas, pane[0]);
    draw_map(&left, &ctx, state);
    if (pane[1].w > 0 && pane[1].h > 0) {
        struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
        draw_key_bands(&right, &ctx, state);
    }
    sx_pane_divider(canvas, pane);
}

static size_t head_followers(const struct sx_view *view, const struct sx_session *session,
                             struct sx_rect out[SX_FOLLOWERS])
{
    const struct head_state *state = view->state;
    struct sx_rect pane[2];
    size_t n = 0;

    if (!head_current(session))
        return 0;
    panes_of(view, session, pane);
    if (pane[1].w > 0 && pane[1].h > 0)
        out[n++] = pane[1];
    if (state->key_line.h > 0)
        out[n++] = state->key_line;
    return n;
}

static void ask_head(const struct sx_session *session, struct sx_emit *emit)
{
    sx_emit_line(emit, "head-bands --layer %zu --head %zu --removed %llu", layer_at(session),
                 head_at(session), (unsigned long long)removed_of(session));
}

static void head_need(struct sx_view *view, const struct sx_session *session, struct sx_emit *emit)
{
    struct head_state *state = view->state;
    const struct sx_head_data *data = &session->head;

    if (!sx_need_weights(session, emit))
        return;
    if (state->serial != session->input.serial) {
        state->serial = session->input.serial;
        state->pinned = false;
    }
    if (sx_slot_wanted(session, data->state, data->serial) || !asked_alike(session))
        ask_head(session, emit);
}

/* --- requests -----------------------------------------------------------------------------------
 */

static size_t stepped(size_t from, long by, size_t n)
{
    const long to = (long)from + by;
    return to < 0 ? 0 : to >= (long)n ? n - 1 : (size_t)to;
}

/* [ ]: the head; { }: the layer. */
static bool step_request(const struct sx_session *session, const struct sx_view_request *request,
                         struct sx_emit *emit)
{
    const struct sx_model_info *info = &session->input.info;
    const bool head = strncmp(request->name, "head-", 5) == 0;
    const long count = request->count > 0 ? (long)request->count : 1;
    const long by = strstr(request->name, "next") ? count : -count;

    if (!head && strncmp(request->name, "layer-", 6) != 0)
        return false;
    if (head)
        sx_emit_line(emit, "select --head %zu",
                     stepped(head_at(session), by, (size_t)info->n_heads));
    else
        sx_emit_line(emit, "select --layer %zu",
                     stepped(layer_at(session), by, (size_t)info->n_layers));
    return true;
}

static void toggle_band(const struct sx_session *session, size_t band, struct sx_emit *emit)
{
    if (band >= bands_of(session))
        sx_emit_line(emit, "message there are bands 0 to %zu", bands_of(session) - 1);
    else if (band > 62)
        sx_emit_line(emit, "message bands from 63 on cannot be taken out");
    else
        sx_emit_line(emit, "set --bands-removed %llu",
                     (unsigned long long)(removed_of(session) ^ UINT64_C(1) << band));
}

static bool band_request(const struct head_state *state, const struct sx_session *session,
                         const char *name, struct sx_emit *emit)
{
    if (strcmp(name, "toggle") == 0 && state->on_sum)
        sx_emit_line(emit, "message the cursor is on the sum; go to a band");
    else if (strcmp(name, "toggle") == 0)
        toggle_band(session, session->selection.band, emit);
    else if (strncmp(name, "band-", 5) == 0 && name[5] >= '0' && name[5] <= '9' && !name[6])
        toggle_band(session, (size_t)(name[5] - '0'), emit);
    else if (strcmp(name, "restore") == 0)
        sx_emit_line(emit, "set --bands-removed 0");
    else
        return false;
    return true;
}

static bool mode_request(struct head_state *state, const struct sx_session *session,
                         const char *name, struct sx_emit *emit)
{
    if (strcmp(name, "centre") == 0)
        state->centred = !state->centred;
    else if (strcmp(name, "numbers") == 0)
        state->numbers = !state->numbers;
    else if (strcmp(name, "pin") == 0 && head_current(session)) {
        state->pinned = !(state->pinned && state->pin == key_at(session));
        state->pin = key_at(session);
    } else if (strcmp(name, "pin") == 0 || strcmp(name, "again") == 0)
        ask_head(session, emit);
    else if (strcmp(name, "open") == 0)
        sx_emit_line(emit, "view attention");
    else
        return false;
    return true;
}

static bool map_request(struct head_state *state, const struct sx_session *session,
                        const struct sx_view_request *request, struct sx_emit *emit)
{
    struct map_ctx ctx = {0};
    int row, col;

    if (!head_current(session))
        return false;
    gather(&ctx, state, session);
    const struct sx_heatmap map = map_of(state, &ctx);
    place_cursor(state, session);
    if (strcmp(request->name, "click") == 0) {
        if (!sx_heatmap_hit(&map, &state->map, request->x - 1, request->y - 2, &row, &col))
            return true;
        state->map.row = row;
        state->map.col = col;
    } else if (strcmp(request->name, "first") == 0 || strcmp(request->name, "last") == 0) {
        state->map.col = request->name[0] == 'f' ? 0 : map.cols - 1; /* along the keys */
    } else if (strcmp(request->name, "page-down") == 0 || strcmp(request->name, "page-up") == 0) {
        const int page = state->map.page_cols > 1 ? state->map.page_cols : 1;
        const int to = state->map.col + (request->name[5] == 'd' ? page : -page);
        state->map.col = to < 0 ? 0 : to < map.cols ? to : map.cols - 1;
    } else if (!sx_heatmap_request(&map, &state->map, request->name, request->count)) {
        return false;
    }
    state->on_sum = state->map.row == map.rows - 1;
    if (!state->on_sum && (size_t)state->map.row != session->selection.band)
        sx_emit_line(emit, "select --band %d", state->map.row);
    sx_select_key(session, (size_t)state->map.col, emit);
    return true;
}

static bool head_request(struct sx_view *view, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    struct head_state *state = view->state;
    size_t token;
    bool taken;

    if (sx_input_request(session, request, emit))
        return true;
    if (!sx_input_ready(session))
        return false;
    if (strcmp(request->name, "ask-query") == 0) {
        taken = true;
        if (request->text && *request->text &&
            sx_token_of_text(session, request->text, &token, emit))
            sx_select_token(session, token, emit);
    } else {
        taken = band_request(state, session, request->name, emit) ||
                mode_request(state, session, request->name, emit) ||
                step_request(session, request, emit) || map_request(state, session, request, emit);
    }
    emit->dirty |= taken;
    return taken;
}

/* --- as data ------------------------------------------------------------------------------------
 */

/* A row for every band of every key. */
static struct sx_value *head_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct head_state *state = view->state;
    const struct sx_head_data *data = &session->head;
    const struct sx_head_result *r = &data->result;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);
    struct map_ctx ctx = {0};

    if (!head_current(session))
        return document;
    gather(&ctx, state, session);
    sx_value_set(document, "layer", sx_value_int((int64_t)r->layer));
    sx_value_set(document, "head", sx_value_int((int64_t)r->head));
    sx_value_set(document, "query", sx_value_int((int64_t)r->query));
    sx_value_set(document, "target",
                 r->target >= 0 ? sx_value_string(data->target_text) : sx_value_null());
    sx_row_real(document, "p", r->p);
    sx_row_real(document, "p_removed", r->p_removed);
    sx_row_real(document, "residual", r->residual);
    for (size_t k = 0; k < ctx.keys; k++)
        for (size_t b = 0; b < r->n_bands; b++) {
            struct sx_value *row = sx_value_append(rows, sx_value_map());
            sx_row_token(row, session, k);
            sx_value_set(row, "band", sx_value_int((int64_t)b));
            sx_row_real(row, "period", isfinite(r->period[b]) ? r->period[b] : NAN);
            sx_row_real(row, "score", score_of(r, b, k));
            sx_row_real(row, "centred", score_of(r, b, k) - ctx.mean[b]);
            sx_value_set(row, "removed", sx_value_bool(is_out(r, b)));
            sx_row_real(row, "attention", (double)r->attention[k]);
            sx_row_real(row, "attention_removed", (double)r->attention_removed[k]);
        }
    return document;
}

static void head_line(const struct sx_view *view, const struct sx_session *session,
                      struct sx_str *out)
{
    (void)view;
    if (head_current(session) && session->head.line)
        sx_str_append(out, session->head.line);
}

static const struct sx_key_binding keys[] = {
    {"head", "b", "toggle", "band out", "Take the band under the cursor out, or put it back.",
     "Head"},
    {"head", "0", "band-0", NULL, "Band 0 out, or back; likewise the other digits.", "Head"},
    {"head", "1", "band-1", NULL, "Band 1.", "Head"},
    {"head", "2", "band-2", NULL, "Band 2.", "Head"},
    {"head", "3", "band-3", NULL, "Band 3.", "Head"},
    {"head", "4", "band-4", NULL, "Band 4.", "Head"},
    {"head", "5", "band-5", NULL, "Band 5.", "Head"},
    {"head", "6", "band-6", NULL, "Band 6.", "Head"},
    {"head", "7", "band-7", NULL, "Band 7.", "Head"},
    {"head", "8", "band-8", NULL, "Band 8.", "Head"},
    {"head", "9", "band-9", NULL, "Band 9.", "Head"},
    {"head", "A", "restore", "all bands", "Put all bands back.", "Head"},
    {"head", "c", "centre", "centre", "Scores, or what they are above the mean over the keys.",
     "Head"},
    {"head", "z", "numbers", "numbers", "Numbers in the cells, or more keys.", "Head"},
    {"head", "]", "head-next", "head", "The next head.", "Head"},
    {"head", "[", "head-previous", NULL, "The head before.", "Head"},
    {"head", "}", "layer-next", "layer", "The next layer.", "Head"},
    {"head", "{", "layer-previous", NULL, "The layer before.", "Head"},
    {"head", "r", "pin", "pin", "Keep this key to compare with others; or ask again.", "Head"},
    {"head", "e", "ask-query", "query", "Another query, by its number.", "Head"},
    {"head", "Enter", "open", NULL, "The attention of this query in all heads.", "Head"},
    {"head", "B", ":view bands", "bands", "All layers and heads in bands.", "Head"},
    {"head", "f", ":view circuit", NULL, "What writes the query of this head.", "Head"},
    {"head", "i", "ask-input", NULL, "Type another sequence or prompt.", "Head"},
    {"head", "C", ":copy line", NULL, "Copy the command line that gives this head.", "Head"},
    {"head", "R", "made", NULL, "The run that made it.", "Head"},
    {"head", "s", ":view sequence", NULL, "The query in the sequence.", "Head"},
};

const struct sx_view_ops sx_view_head = {
    .name = "head",
    .help = "one head in rotary bands along the keys, and without some of them",
    .key = 'h',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_SETTINGS |
               1u << SX_SLOT_INPUT | 1u << SX_SLOT_HEAD,
    .n_panes = 1,
    .state_size = sizeof(struct head_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = head_need,
    .draw = head_draw,
    .followers = head_followers,
    .request = head_request,
    .title = sx_title_of_input,
    .data = head_data,
    .line = head_line,
};
