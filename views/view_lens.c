/* lens: what the model would say if it ended before each layer, layer by position, and the layers
 * of one position below each other. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model_parts.h"
#include "sextant/run/command.h"
#include "sextant/tui/heatmap.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

struct lens_state {
    struct sx_heatmap_state map;
    char target[32]; /* asked for; "": each token itself */
    bool narrow;     /* without the top token in the cells */
};

enum { ROW_LABEL = 4, RESIDUE_CELL = 3, WORD_CELL = 9, MAP_FOOT = 4, DETAIL_ROWS = 5 };

static const char *const metric_word[] = {"logit", "p", "rank"};

static bool lens_current(const struct sx_session *session)
{
    return sx_slot_current(session, session->lens.state, session->lens.serial);
}

/* --- the map ------------------------------------------------------------------------------------
 */

struct map_ctx {
    const struct sx_session *session;
    const float *value; /* [rows, n] */
};

static const float *metric_of(const struct sx_session *session)
{
    switch (session->settings.lens_metric) {
    case SX_LENS_P:
        return session->lens.p;
    case SX_LENS_RANK:
        return session->lens.rank;
    case SX_LENS_LOGIT:
    case SX_LENS_COUNT:
        break;
    }
    return session->lens.logit;
}

static double map_value(const void *ctx, int row, int col)
{
    const struct map_ctx *map = ctx;
    const size_t at = (size_t)row * map->session->lens.n + (size_t)col;

    /* A reader counts ranks from 1. */
    return (double)map->value[at] + (map->session->settings.lens_metric == SX_LENS_RANK);
}

static void layer_label(const struct sx_session *session, size_t row, char *buf, size_t size)
{
    if (row + 1 == session->lens.rows)
        snprintf(buf, size, "out");
    else
        snprintf(buf, size, "%zu", row);
}

static void row_label(const void *ctx, int row, char *buf, size_t size)
{
    const struct map_ctx *map = ctx;
    layer_label(map->session, (size_t)row, buf, size);
}

/* The residue itself, or a start of the word. */
static void col_label(const void *ctx, int col, char *buf, size_t size)
{
    const struct map_ctx *map = ctx;
    const char *text = map->session->input.tokens[col].text;

    if (sx_is_protein(map->session))
        snprintf(buf, size, "%.1s", text);
    else
        snprintf(buf, size, "%s", text + (text[0] == ' '));
}

static void cell_text(const void *ctx, int row, int col, char *buf, size_t size)
{
    const struct map_ctx *map = ctx;
    const struct sx_lens_data *lens = &map->session->lens;
    const char *text = lens->top_text[(size_t)row * lens->n + (size_t)col].text;

    snprintf(buf, size, sx_is_protein(map->session) ? "%.1s" : "%s",
             text + (text[0] == ' ' && text[1] != '\0'));
}

static double largest(const float *value, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(value[i]))
            most = fmax(most, fabs((double)value[i]));
    return most;
}

static struct sx_heatmap map_of(const struct lens_state *state, const struct sx_session *session,
                                struct map_ctx *ctx)
{
    const struct sx_lens_data *lens = &session->lens;
    const bool logit = session->settings.lens_metric == SX_LENS_LOGIT;
    const bool p = session->settings.lens_metric == SX_LENS_P;
    const double most = p ? 1 : largest(metric_of(session), lens->rows * lens->n);

    *ctx = (struct map_ctx){session, metric_of(session)};
    return (struct sx_heatmap){
        .rows = (int)lens->rows,
        .cols = (int)lens->n,
        .value = map_value,
        .row_label = row_label,
        .col_label = col_label,
        .ctx = ctx,
        .row_label_width = ROW_LABEL,
        .cell_width = state->narrow            ? 2
                      : sx_is_protein(session) ? RESIDUE_CELL
                                               : WORD_CELL,
        .cell_text = state->narrow ? NULL : cell_text,
        .diverging = logit,
        .lo = logit ? -most
              : p   ? 0
                    : 1,
        .hi = p       ? 1
              : logit ? (most > 0 ? most : 1)
                      : most + 2,
        .curve = logit || p ? SX_HEAT_LINEAR : SX_HEAT_SQRT,
        .unit = logit ? "logits" : NULL,
        .what = p       ? "P"
                : logit ? "logit"
                        : "rank",
    };
}

/* --- one position -------------------------------------------------------------------------------
 */

/* What is asked of position t. */
static const char *target_text(const struct sx_session *session, size_t t,
                               char buf[SX_POSITION_TEXT])
{
    const struct sx_lens_data *lens = &session->lens;
    const bool protein = sx_is_protein(session);
    const size_t of = protein ? t : t + 1;

    if (lens->target >= 0)
        return sx_quoted_token(buf, session, lens->target_text);
    if (of >= session->input.n)
        return "nothing";
    return sx_quoted_token(buf, session, session->input.tokens[of].text);
}

static void draw_layer(struct sx_canvas *cv, int y, const struct sx_session *session, size_t row,
                       size_t t)
{
    const struct sx_lens_data *lens = &session->lens;
    const bool ascii = sx_canvas_ascii(cv);
    const size_t at = row * lens->n + t;
    char text[32], top[SX_POSITION_TEXT];

    layer_label(session, row, text, sizeof text);
    sx_put_right(cv, 0, y, 6, SX_STYLE_LABEL, text);
    if (isnan(lens->logit[at]))
        snprintf(text, sizeof text, "–");
    else
        snprintf(text, sizeof text, "%+.2f", (double)lens->logit[at]);
    sx_put_right(cv, 7, y, 8, SX_STYLE_NUMBER, text);
    sx_put_right(cv, 16, y, 7, SX_STYLE_NUMBER,
                 sx_probability_text(text, sizeof text, (double)lens->p[at], ascii));
    if (isnan(lens->rank[at]))
        snprintf(text, sizeof text, "–");
    else
        snprintf(text, sizeof text, "%.0f", (double)lens->rank[at] + 1);
    sx_put_right(cv, 24, y, 6, SX_STYLE_NUMBER, text);
    sx_put_cut(cv, 32, y, 16, SX_STYLE_TEXT,
               sx_quoted_token(top, session, lens->top_text[at].text));
    const int room = cv->w - 50 < 60 ? cv->w - 50 : 60;
    if (room > 4 && !isnan(lens->p[at]))
        sx_fill(cv, (struct sx_rect){49, y, (int)lround((double)lens->p[at] * room), 1},
                SX_STYLE_BAR, sx_glyph_block(cv, 7));
}

static void draw_layers(struct sx_canvas *cv, const struct sx_session *session, size_t t)
{
    char title[160], here[SX_POSITION_TEXT], target[SX_POSITION_TEXT];

    snprintf(title, sizeof title, "%s entering each layer · target %s",
             sx_position_text(here, session, t), target_text(session, t, target));
    struct sx_canvas body = sx_frame(cv, title, NULL, false);
    sx_put_right(&body, 0, 0, 6, SX_STYLE_HEADER, "layer");
    sx_put_right(&body, 7, 0, 8, SX_STYLE_HEADER, "logit");
    sx_put_right(&body, 16, 0, 7, SX_STYLE_HEADER, "P");
    sx_put_right(&body, 24, 0, 6, SX_STYLE_HEADER, "rank");
    sx_put(&body, 32, 0, SX_STYLE_HEADER, "top token");
    const size_t rows = session->lens.rows, room = body.h > 1 ? (size_t)body.h - 1 : 0;
    const size_t first = rows > room ? rows - room : 0; /* the last layers matter most */
    for (size_t r = first; r < rows; r++)
        draw_layer(&body, 1 + (int)(r - first), session, r, t);
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static void panes_of(const struct sx_view *view, const struct sx_session *session,
                     struct sx_rect pane[2])
{
    const struct sx_rect body = sx_body_rect(view);
    const int map = (int)session->lens.rows + MAP_FOOT;
    const int rest = body.h - map - 1;

    pane[0] = pane[1] = body;
    pane[1].h = rest >= DETAIL_ROWS ? rest : 0;
    pane[0].h = body.h - pane[1].h;
    pane[1].y = pane[0].h;
}

static void draw_map(struct sx_canvas *cv, const struct sx_view *view,
                     const struct sx_session *session)
{
    struct lens_state *state = view->state;
    const size_t t = sx_selected_token(session);
    char title[96], info[96], here[SX_POSITION_TEXT], target[SX_POSITION_TEXT];
    struct map_ctx ctx;

    snprintf(title, sizeof title, "lens · %s of %s",
             metric_word[session->settings.lens_metric % SX_LENS_COUNT],
             *state->target           ? state->target
             : sx_is_protein(session) ? "each residue"
                                      : "the next token");
    if (lens_current(session))
        snprintf(info, sizeof info, "%s → %s", sx_position_text(here, session, t),
                 target_text(session, t, target));
    struct sx_canvas body = sx_frame(cv, title, lens_current(session) ? info : NULL, true);
    if (sx_result_notice(&body, session, session->lens.state, session->lens.serial,
                         &session->lens.error, "reading every layer …"))
        return;
    const struct sx_heatmap map = map_of(state, session, &ctx);
    state->map.col = (int)t;
    if (state->map.row >= map.rows)
        state->map.row = map.rows - 1;
    struct sx_canvas inner = sx_canvas_sub(&body, (struct sx_rect){1, 0, body.w - 2, body.h});
    sx_heatmap_draw(&inner, &map, &state->map, true);
    if (body.w < 60 || body.h < 5)
        return;
    const size_t at = (size_t)state->map.row * session->lens.n + t;
    char text[SX_POSITION_TEXT];
    const int y = state->map.page_rows + 1;
    snprintf(info, sizeof info, "top %s",
             sx_quoted_token(text, session, session->lens.top_text[at].text));
    sx_put_right(&inner, inner.w - 24, y, 24, SX_STYLE_STRONG, info);
}

static void lens_draw(const struct sx_view *view, const struct sx_session *session,
                      struct sx_canvas *canvas)
{
    struct sx_rect pane[2];

    if (sx_too_small(canvas, 24, 6) || sx_weights_notice(canvas, session, "lens", false))
        return;
    panes_of(view, session, pane);
    struct sx_canvas above = sx_canvas_sub(canvas, pane[0]);
    draw_map(&above, view, session);
    if (pane[1].h <= 0 || !lens_current(session))
        return;
    struct sx_canvas below = sx_canvas_sub(canvas, pane[1]);
    draw_layers(&below, session, sx_selected_token(session));
}

static size_t lens_followers(const struct sx_view *view, const struct sx_session *session,
                             struct sx_rect out[SX_FOLLOWERS])
{
    struct sx_rect pane[2];

    panes_of(view, session, pane);
    out[0] = pane[1];
    return lens_current(session) && pane[1].h > 0;
}

static void ask_lens(const struct lens_state *state, struct sx_emit *emit)
{
    struct sx_str line = SX_STR_INIT;

    sx_str_append(&line, "lens --target ");
    sx_command_quote(*state->target ? state->target : "self", &line);
    sx_emit_line(emit, "%s", line.data);
    sx_str_release(&line);
}

static void lens_need(struct sx_view *view, const struct sx_session *session, struct sx_emit *emit)
{
    if (sx_need_weights(session, emit) &&
        sx_slot_wanted(session, session->lens.state, session->lens.serial))
        ask_lens(view->state, emit);
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void move_request(struct lens_state *state, const struct sx_session *session,
                         struct sx_emit *emit)
{
    if (state->map.col >= 0 && (size_t)state->map.col != session->selection.token)
        sx_select_token(session, (size_t)state->map.col, emit);
}

static bool lens_request(struct sx_view *view, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    struct lens_state *state = view->state;
    const char *name = request->name;
    struct map_ctx ctx;
    int row, col;

    if (sx_input_request(session, request, emit))
        return true;
    if (!sx_input_ready(session))
        return false;
    emit->dirty = true;
    if (strcmp(name, "ask-target") == 0) {
        snprintf(state->target, sizeof state->target, "%s", request->text ? request->text : "");
        ask_lens(state, emit);
        return true;
    }
    if (strcmp(name, "again") == 0) {
        ask_lens(state, emit);
        return true;
    }
    if (strcmp(name, "metric") == 0) {
        sx_emit_line(emit, "set --lens-metric %s",
                     metric_word[(session->settings.lens_metric + 1) % SX_LENS_COUNT]);
        return true;
    }
    if (strcmp(name, "words") == 0) {
        state->narrow = !state->narrow;
        return true;
    }
    if (strcmp(name, "open") == 0) {
        sx_emit_line(emit, "view sequence");
        return true;
    }
    emit->dirty = false;
    if (!lens_current(session))
        return false;
    const struct sx_heatmap map = map_of(state, session, &ctx);
    state->map.col = (int)sx_selected_token(session);
    if (strcmp(name, "click") == 0) {
        if (!sx_heatmap_hit(&map, &state->map, request->x - 1, request->y - 1, &row, &col))
            return true;
        state->map.row = row;
        state->map.col = col;
    } else if ((strcmp(name, "first") == 0 || strcmp(name, "last") == 0)) {
        /* Along the input, which is the long way, and by the position's number. */
        const int end = name[0] == 'f' ? 0 : map.cols - 1;
        state->map.col = request->count == 0                   ? end
                         : request->count < (unsigned)map.cols ? (int)request->count
                                                               : map.cols - 1;
    } else if (strcmp(name, "page-down") == 0 || strcmp(name, "page-up") == 0) {
        const int page = state->map.page_cols > 1 ? state->map.page_cols : 1;
        const int to = state->map.col + (name[5] == 'd' ? page : -page);
        state->map.col = to < 0 ? 0 : to < map.cols ? to : map.cols - 1;
    } else if (!sx_heatmap_request(&map, &state->map, name, request->count)) {
        return false;
    }
    emit->dirty = true;
    move_request(state, session, emit);
    return true;
}

static struct sx_value *lens_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct sx_lens_data *lens = &session->lens;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    (void)view;
    if (!lens_current(session))
        return document;
    sx_value_set(document, "target",
                 lens->target >= 0 ? sx_value_string(lens->target_text) : sx_value_null());
    for (size_t r = 0; r < lens->rows; r++)
        for (size_t t = 0; t < lens->n; t++) {
            const size_t at = r * lens->n + t;
            struct sx_value *row = sx_value_append(rows, sx_value_map());
            sx_value_set(row, "layer", sx_value_int((int64_t)r));
            sx_row_token(row, session, t);
            sx_row_real(row, "logit", (double)lens->logit[at]);
            sx_row_real(row, "p", (double)lens->p[at]);
            sx_row_real(row, "rank", (double)lens->rank[at] + 1);
            sx_value_set(row, "top", sx_value_string(lens->top_text[at].text));
        }
    return document;
}

static const struct sx_key_binding keys[] = {
    {"lens", "v", "metric", "logit/P/rank", "Show the logit, the probability or the rank.", "Lens"},
    {"lens", "t", "ask-target", "target",
     "The token asked for; empty: each residue, the next word.", "Lens"},
    {"lens", "w", "words", "words", "The top token in every cell, or cells alone.", "Lens"},
    {"lens", "Enter", "open", "sequence", "This token in the sequence.", "Lens"},
    {"lens", "s", ":view sequence", NULL, "This token in the sequence.", "Lens"},
    {"lens", "a", ":view attention", "attention", "Where the heads look from this token.", "Lens"},
    {"lens", "f", ":view circuit", NULL, "What this token's logit is made of.", "Lens"},
    {"lens", "i", "ask-input", "input", "Type another sequence or prompt.", "Lens"},
    {"lens", "PgDn", "page-down", NULL, "The next screen of positions.", "Lens"},
    {"lens", "PgUp", "page-up", NULL, "The screen of positions before.", "Lens"},
    {"lens", "r", "again", NULL, "Compute again.", "Lens"},
};

const struct sx_view_ops sx_view_lens = {
    .name = "lens",
    .help = "the logit lens: what the model would say before each layer",
    .key = 'l',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_SETTINGS |
               1u << SX_SLOT_INPUT | 1u << SX_SLOT_LENS,
    .n_panes = 1,
    .state_size = sizeof(struct lens_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = lens_need,
    .draw = lens_draw,
    .followers = lens_followers,
    .request = lens_request,
    .title = sx_title_of_input,
    .data = lens_data,
};
