/* patching: what one number of the model becomes when a piece of one run is put into another, or
 * taken out; a grid that fills in while it is computed, and its strongest cells. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "band_parts.h"
#include "circuit_parts.h"
#include "model_parts.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/names.h"
#include "sextant/run/command.h"
#include "sextant/tui/heatmap.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/table.h"
#include "sextant/tui/widgets.h"
#include "token_strip.h"
#include "view_parts.h"

enum how { ZERO, MEAN, PATCH, HOW_COUNT };
enum { GRID_PANE, LIST_PANE };
enum { ROW_LABEL = 5, NUMBER_CELL = 6, STRONGEST = 256, GRID_FOOT = 6, TITLE_TEXT = 96 };

/* A grid put aside, to see what another one of its kind does otherwise. */
struct kept_grid {
    float *effect; /* owned [rows, columns]; NULL: none */
    size_t rows, columns;
    enum sx_grid grid;
    enum sx_metric_kind metric;
    bool ablation, normalised;
    char *line; /* owned: the command line that gives it, or NULL */
};

struct patching_state {
    bool started; /* the choices below are made */
    enum how how;
    enum sx_grid grid;
    enum sx_metric_kind metric;
    char *corrupt; /* owned: as typed; NULL: the residues shuffled */
    bool fit;      /* neighbouring tokens share a column, so that all can be seen */
    int row, col;  /* the cell under the cursor */
    bool pinned;
    int pin_row, pin_col;
    struct kept_grid kept;
    bool differ; /* the kept grid's effects are taken off */
    struct sx_heatmap_state map;
    struct sx_table_state list;
    struct sx_strip_state strip;
    /* Of the results at revision seen - 1: */
    uint64_t seen;
    double end;                    /* of the scale */
    uint32_t strongest[STRONGEST]; /* cells, the largest effect first */
    size_t n_strongest;
    float *by_token; /* owned [n_by_token]: the largest |effect| of each column */
    size_t n_by_token;
};

static const char *const how_word[HOW_COUNT] = {"zero", "mean", "patch"};

/* --- what is there ------------------------------------------------------------------------------
 */

/* A grid, whole or in part. */
static bool has_grid(const struct sx_session *session)
{
    const struct sx_patching_data *data = &session->patching;
    const struct sx_scan_result *r = &data->result;

    return sx_input_ready(session) && data->serial == session->input.serial &&
           data->state != SX_STATE_EMPTY && r->value && r->rows > 0 && r->columns > 0 &&
           (r->n_done > 0 || data->state != SX_STATE_FAILED);
}

static double effect_of(const struct sx_scan_result *r, size_t cell)
{
    const double value = (double)r->value[cell];

    if (r->ablation)
        return value - r->clean;
    return r->normalised ? (value - r->corrupt) / (r->clean - r->corrupt) : value - r->corrupt;
}

/* Nothing to bring back: effects are then noise, blown up. */
static bool hardly_differ(const struct sx_scan_result *r)
{
    const double most = fmax(fabs(r->clean), fabs(r->corrupt));
    return !r->ablation && fabs(r->clean - r->corrupt) < 0.05 * most;
}

/* Effects of both mean the same. */
static bool comparable(const struct kept_grid *kept, const struct sx_scan_result *r)
{
    return kept->effect && kept->rows == r->rows && kept->columns == r->columns &&
           kept->grid == r->grid && kept->metric == r->metric && kept->ablation == r->ablation &&
           kept->normalised == r->normalised;
}

static bool differs(const struct patching_state *state, const struct sx_scan_result *r)
{
    return state->differ && comparable(&state->kept, r);
}

/* What the grid shows of a cell. */
static double shown_of(const struct patching_state *state, const struct sx_scan_result *r,
                       size_t cell)
{
    const double effect = effect_of(r, cell);
    /* Rounded alike, so that what is the same is no noise. */
    return differs(state, r) ? (double)((float)effect - state->kept.effect[cell]) : effect;
}

static const char *effect_unit(const struct sx_scan_result *r)
{
    const char *unit = sx_metric_unit(r->metric);
    return (r->ablation || !r->normalised) && unit && *unit ? unit : NULL;
}

static void follow(struct patching_state *state, const struct sx_session *session)
{
    const struct sx_scan_result *r = &session->patching.result;
    const size_t n = r->rows * r->columns;
    double most = 0;

    if (!has_grid(session) || state->seen == session->revision[SX_SLOT_PATCHING] + 1)
        return;
    state->seen = session->revision[SX_SLOT_PATCHING] + 1;
    state->grid = r->grid; /* as it was asked, here or by a command line */
    state->metric = r->metric;
    if (!r->ablation)
        state->how = PATCH;
    else
        state->how = strncmp(session->patching.what, "mean", 4) == 0 ? MEAN : ZERO;
    state->n_strongest = 0;
    sx_free(state->by_token);
    state->by_token = sx_xcalloc(r->columns, sizeof *state->by_token);
    state->n_by_token = r->columns;
    for (size_t i = 0; i < n; i++) {
        const double size = fabs(shown_of(state, r, i));
        if (isnan(size))
            continue;
        most = fmax(most, size);
        float *column = &state->by_token[i % r->columns];
        *column = fmaxf(*column, (float)size);
        size_t at = state->n_strongest < STRONGEST ? state->n_strongest++ : STRONGEST;
        for (; at > 0 && fabs(shown_of(state, r, state->strongest[at - 1])) < size; at--)
            if (at < STRONGEST)
                state->strongest[at] = state->strongest[at - 1];
        if (at < STRONGEST)
            state->strongest[at] = (uint32_t)i;
    }
    state->end = sx_scale_end(most);
}

/* What `follow` made is of this grid, if not of its newest cells. */
static size_t strongest_of(const struct patching_state *state, const struct sx_session *session)
{
    return state->seen == session->revision[SX_SLOT_PATCHING] + 1 ? state->n_strongest : 0;
}

/* --- words --------------------------------------------------------------------------------------
 */

static void row_name(const struct sx_session *session, size_t row, char *buf, size_t size)
{
    if (row == (size_t)session->input.info.n_layers)
        snprintf(buf, size, "out");
    else
        snprintf(buf, size, "L%zu", row);
}

static double band_period(const struct sx_model_info *info, size_t band)
{
    const double theta = info->rope_theta > 0 ? info->rope_theta : 10000;

    if (band >= info->n_bands)
        return INFINITY; /* what is not rotated */
    return 2 * 3.14159265358979323846 * pow(theta, (double)band / (double)info->n_bands);
}

static void column_name(const struct sx_session *session, size_t col, char *buf, size_t size)
{
    char text[SX_POSITION_TEXT];

    switch (session->patching.result.grid) {
    case SX_GRID_LAYER_TOKEN:
        if (sx_is_protein(session))
            snprintf(buf, size, "%s", sx_position_text(text, session, col));
        else
            snprintf(buf, size, "%zu", col);
        return;
    case SX_GRID_LAYER_HEAD:
        snprintf(buf, size, "H%zu", col);
        return;
    case SX_GRID_QKV:
        snprintf(buf, size, "%c%zu", "qkv"[col % 3], col / 3);
        return;
    case SX_GRID_LAYER_BAND:
        sx_period_text(buf, size, band_period(&session->input.info, col));
        return;
    case SX_GRID_LAYER_BLOCK:
        snprintf(buf, size, "%s", col == 0 ? "attn" : "MLP");
        return;
    case SX_GRID_COUNT:
        break;
    }
    snprintf(buf, size, "%zu", col);
}

/* "L3 V5", "L3.H7", "L3.H7 q" */
static void cell_name(const struct sx_session *session, size_t cell, char *buf, size_t size)
{
    const struct sx_scan_result *r = &session->patching.result;
    const size_t row = cell / r->columns, col = cell % r->columns;
    char layer[16], column[SX_POSITION_TEXT];

    row_name(session, row, layer, sizeof layer);
    column_name(session, col, column, sizeof column);
    if (r->grid == SX_GRID_LAYER_HEAD)
        snprintf(buf, size, "%s.%s", layer, column);
    else if (r->grid == SX_GRID_QKV)
        snprintf(buf, size, "%s.H%zu %c", layer, col / 3, "qkv"[col % 3]);
    else if (r->grid == SX_GRID_LAYER_BAND)
        snprintf(buf, size, "%s band %zu", layer, col);
    else
        snprintf(buf, size, "%s %s", layer, column);
}

static void title_text(char *out, size_t size, const struct patching_state *state,
                       const struct sx_session *session)
{
    static const char *const axes[SX_GRID_COUNT] = {
        "layer × token", "layer × head", "layer × q, k, v", "layer × band", "layer × block"};
    const struct sx_scan_result *r = &session->patching.result;

    snprintf(out, size, "%s%s · %s", session->patching.what, differs(state, r) ? " - kept" : "",
             axes[r->grid < SX_GRID_COUNT ? r->grid : 0]);
}

static void progress_text(char *out, size_t size, const struct sx_session *session)
{
    const struct sx_patching_data *data = &session->patching;
    const struct sx_scan_result *r = &data->result;
    const size_t n = r->rows * r->columns;
    const char *sign = data->state == SX_STATE_PENDING      ? " …"
                       : data->state != SX_STATE_FAILED     ? ""
                       : data->error.status == SX_CANCELLED ? " cancelled, r: again"
                                                            : " failed, r: again";

    snprintf(out, size, "%zu/%zu · %.1f s%s", r->n_done, n, data->seconds, sign);
}

/* --- the grid -----------------------------------------------------------------------------------
 */

struct grid_ctx {
    const struct patching_state *state;
    const struct sx_session *session;
    size_t group; /* tokens to a column */
    int digits;
    bool ascii;
};

/* The strongest cell of those that share a column. */
static size_t strongest_in(const struct grid_ctx *ctx, int row, int col)
{
    const struct sx_scan_result *r = &ctx->session->patching.result;
    const size_t from = (size_t)row * r->columns + (size_t)col * ctx->group;
    const size_t end = ((size_t)row + 1) * r->columns;
    size_t best = from;

    for (size_t cell = from; cell < end && cell < from + ctx->group; cell++)
        if (!(fabs(shown_of(ctx->state, r, cell)) <= fabs(shown_of(ctx->state, r, best))))
            best = isnan(shown_of(ctx->state, r, cell)) ? best : cell;
    return best;
}

static double grid_value(const void *context, int row, int col)
{
    const struct grid_ctx *ctx = context;
    return shown_of(ctx->state, &ctx->session->patching.result, strongest_in(ctx, row, col));
}

static void grid_row(const void *context, int row, char *buf, size_t size)
{
    const struct grid_ctx *ctx = context;
    row_name(ctx->session, (size_t)row, buf, size);
}

static void grid_col(const void *context, int col, char *buf, size_t size)
{
    const struct grid_ctx *ctx = context;
    column_name(ctx->session, (size_t)col * ctx->group, buf, size);
}

static void grid_text(const void *context, int row, int col, char *buf, size_t size)
{
    const struct grid_ctx *ctx = context;
    const double value = grid_value(context, row, col);

    if (isnan(value))
        snprintf(buf, size, "%s", ctx->ascii ? "~" : "…");
    else
        sx_rounded_text(buf, size, value, ctx->digits, ctx->ascii);
}

static bool numbers_fit(const struct sx_scan_result *r, int width)
{
    return ROW_LABEL + (int)r->columns * NUMBER_CELL <= width;
}

static size_t group_of(const struct patching_state *state, const struct sx_scan_result *r,
                       int width)
{
    const size_t room = width > ROW_LABEL + 2 ? (size_t)(width - ROW_LABEL) / 2 : 1;
    return state->fit && r->grid == SX_GRID_LAYER_TOKEN ? (r->columns + room - 1) / room : 1;
}

static struct sx_heatmap grid_map(const struct patching_state *state, struct grid_ctx *ctx,
                                  int width)
{
    const struct sx_scan_result *r = &ctx->session->patching.result;

    ctx->group = group_of(state, r, width);
    const bool numbers = ctx->group == 1 && numbers_fit(r, width);
    ctx->digits = NUMBER_CELL - 1;
    return (struct sx_heatmap){
        .rows = (int)r->rows,
        .cols = (int)((r->columns + ctx->group - 1) / ctx->group),
        .value = grid_value,
        .row_label = grid_row,
        .col_label = grid_col,
        .ctx = ctx,
        .row_label_width = ROW_LABEL,
        .cell_width = numbers ? NUMBER_CELL : 2,
        .cell_text = numbers ? grid_text : NULL,
        .numbers = true,
        .diverging = true,
        .lo = -state->end,
        .hi = state->end,
        .unit = effect_unit(r),
        .what = differs(state, r) ? "minus kept"
                : r->ablation     ? "change"
                : r->normalised   ? "effect"
                                  : "difference",
    };
}

static void clamp_cursor(struct patching_state *state, const struct sx_scan_result *r)
{
    const int rows = (int)r->rows, cols = (int)r->columns;

    state->row = state->row < 0 ? 0 : state->row >= rows ? rows - 1 : state->row;
    state->col = state->col < 0 ? 0 : state->col >= cols ? cols - 1 : state->col;
}

static size_t cell_at(const struct patching_state *state, const struct sx_scan_result *r)
{
    return (size_t)state->row * r->columns + (size_t)state->col;
}

static void panes_of(const struct sx_view *view, const struct sx_session *session,
                     struct sx_rect pane[2])
{
    const struct sx_scan_result *r = &session->patching.result;
    const struct sx_rect body = sx_body_rect(view);
    const int list = sx_layout_int(view, "list", 46);
    const int wide = ROW_LABEL + (int)r->columns * NUMBER_CELL + 2;
    int left = wide < 62 ? 62 : wide;

    pane[0] = pane[1] = body;
    if (left + 1 + list <= body.w) {
        pane[0].w = left;
        pane[1].x = left + 1;
        pane[1].w = body.w - left - 1;
        return;
    }
    const int high = (int)r->rows + GRID_FOOT;
    pane[0].h = body.h - high >= 5 ? high : body.h;
    pane[1].y = pane[0].h;
    pane[1].h = body.h - pane[0].h;
    if (pane[1].h == 0 && view->focus == LIST_PANE)
        pane[1] = body;
    else if (pane[1].h == 0)
        pane[1].w = 0;
}

/* What is measured, and its ends. */
static void draw_metric(struct sx_canvas *cv, const struct sx_session *session)
{
    const struct sx_patching_data *data = &session->patching;
    const struct sx_scan_result *r = &data->result;
    char here[SX_POSITION_TEXT], target[SX_POSITION_TEXT];
    const char *unit = sx_metric_unit(r->metric);
    int x = 1;

    x += sx_put(cv, x, 0, SX_STYLE_LABEL, sx_metric_name(r->metric));
    if (r->metric != SX_METRIC_ENTROPY)
        x += sx_putf(cv, x, 0, SX_STYLE_STRONG, " of %s",
                     sx_quoted_token(target, session, data->target_text));
    x += sx_putf(cv, x, 0, SX_STYLE_LABEL, " at %s: clean ",
                 sx_position_text(here, session, r->token));
    x += sx_putf(cv, x, 0, SX_STYLE_NUMBER, "%.6g", r->clean);
    if (!r->ablation) {
        x += sx_put(cv, x, 0, SX_STYLE_LABEL, ", corrupt ");
        x += sx_putf(cv, x, 0, SX_STYLE_NUMBER, "%.6g", r->corrupt);
    }
    if (unit && *unit)
        x += sx_putf(cv, x, 0, SX_STYLE_UNIT, " %s", unit);
    if (!r->ablation && !r->normalised)
        sx_put_cut(cv, x + 2, 0, cv->w - x - 2, SX_STYLE_WARN, "! too close: differences");
    else if (hardly_differ(r))
        sx_put_cut(cv, x + 2, 0, cv->w - x - 2, SX_STYLE_WARN, "! hardly differ");
    else if (r->token != sx_selected_token(session) &&
             (session->input.masked[sx_selected_token(session)] ||
              !session->input.masked[r->token < session->input.n ? r->token : 0]))
        sx_put_cut(cv, x + 2, 0, cv->w - x - 2, SX_STYLE_DIM, "r: at the cursor's token");
}

/* The metric itself in the cell under the cursor, and in the one that was pinned. */
static void draw_raw(struct sx_canvas *cv, int y, const struct patching_state *state,
                     const struct sx_session *session)
{
    const struct sx_scan_result *r = &session->patching.result;
    const size_t cell = cell_at(state, r);
    const char *unit = sx_metric_unit(r->metric);
    char name[SX_POSITION_TEXT + 16];
    int x = 0;

    cell_name(session, cell, name, sizeof name);
    x += sx_putf(cv, x, y, SX_STYLE_STRONG, "%s ", name);
    x += sx_putf(cv, x, y, SX_STYLE_LABEL, "%s ", sx_metric_name(r->metric));
    if (isnan(r->value[cell]))
        x += sx_put(cv, x, y, SX_STYLE_DIM, "not yet");
    else
        x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%.6g", (double)r->value[cell]);
    if (unit && *unit)
        x += sx_putf(cv, x, y, SX_STYLE_UNIT, " %s", unit);
    if (comparable(&state->kept, r)) {
        x += sx_putf(cv, x + 2, y, SX_STYLE_DIM, "%s %+.4g, kept %+.4g",
                     r->ablation ? "change" : "effect", effect_of(r, cell),
                     (double)state->kept.effect[cell]) +
             2;
        if (!state->differ) /* else the line of the map says it */
            x += sx_putf(cv, x, y, SX_STYLE_DIM, ", minus it %+.4g",
                         effect_of(r, cell) - (double)state->kept.effect[cell]);
    }
    if (!state->pinned || (size_t)state->pin_row >= r->rows || (size_t)state->pin_col >= r->columns)
        return;
    const size_t pin = (size_t)state->pin_row * r->columns + (size_t)state->pin_col;
    cell_name(session, pin, name, sizeof name);
    sx_putf(cv, x + 2, y, SX_STYLE_DIM, "pinned %s %.6g", name, effect_of(r, pin));
}

/* Below the grid, where there is room: what was done, and how to do it again. */
static void draw_facts(struct sx_canvas *cv, const struct patching_state *state,
                       const struct sx_session *session)
{
    const struct sx_patching_data *data = &session->patching;
    int y = 0;

    if (data->corrupt) {
        sx_put(cv, 0, y, SX_STYLE_LABEL, "corrupt");
        struct sx_canvas text = sx_canvas_sub(cv, (struct sx_rect){9, y, cv->w - 9, cv->h - y});
        y += sx_paragraph(&text, 0, SX_STYLE_TEXT, data->corrupt);
    }
    if (data->line && y + 1 < cv->h) {
        sx_put(cv, 0, y, SX_STYLE_LABEL, "line");
        struct sx_canvas text = sx_canvas_sub(cv, (struct sx_rect){9, y, cv->w - 9, cv->h - y});
        y += sx_paragraph(&text, 0, SX_STYLE_DIM, data->line);
    }
    if (differs(state, &data->result) && state->kept.line && y + 1 < cv->h) {
        sx_put(cv, 0, y, SX_STYLE_LABEL, "kept");
        struct sx_canvas text = sx_canvas_sub(cv, (struct sx_rect){9, y, cv->w - 9, cv->h - y});
        sx_paragraph(&text, 0, SX_STYLE_DIM, state->kept.line);
    }
}

static void draw_grid(struct sx_canvas *cv, const struct sx_view *view,
                      const struct sx_session *session, bool focus)
{
    struct patching_state *state = view->state;
    const struct sx_scan_result *r = &session->patching.result;
    char title[TITLE_TEXT], info[64];
    struct grid_ctx ctx = {.state = state, .session = session, .ascii = sx_canvas_ascii(cv)};

    title_text(title, sizeof title, state, session);
    progress_text(info, sizeof info, session);
    struct sx_canvas body = sx_frame(cv, title, info, focus);
    draw_metric(&body, session);
    clamp_cursor(state, r);
    const int foot = body.h > 6;
    struct sx_canvas inner =
        sx_canvas_sub(&body, (struct sx_rect){1, 1, body.w - 2, body.h - 1 - foot});
    const struct sx_heatmap map = grid_map(state, &ctx, inner.w);
    state->map.row = state->row;
    state->map.col = state->col / (int)ctx.group;
    sx_heatmap_draw(&inner, &map, &state->map, focus);
    const int y = 1 + 1 + state->map.page_rows + 2;
    if (foot && y < body.h) {
        struct sx_canvas raw = sx_canvas_sub(&body, (struct sx_rect){1, y, body.w - 2, 1});
        draw_raw(&raw, 0, state, session);
    }
    if (body.h - y > 3) {
        struct sx_canvas rest =
            sx_canvas_sub(&body, (struct sx_rect){1, y + 2, body.w - 2, body.h - y - 2});
        draw_facts(&rest, state, session);
    }
}

/* --- the strongest cells ------------------------------------------------------------------------
 */

enum list_column { COL_CELL, COL_EFFECT, COL_VALUE, COL_BAR, LIST_COLUMNS };

#define LIST_OF(effect)                                                                            \
    {                                                                                              \
        [COL_CELL] = {.title = "cell", .width = 10, .frozen = true},                               \
        [COL_EFFECT] = {.title = (effect), .width = 8, .align = SX_RIGHT},                         \
        [COL_VALUE] = {.title = "metric", .width = 8, .align = SX_RIGHT},                          \
        [COL_BAR] = {.title = "", .width = 9, .weight = 1},                                        \
    }
static const struct sx_column patch_columns[LIST_COLUMNS] = LIST_OF("effect");
static const struct sx_column ablation_columns[LIST_COLUMNS] = LIST_OF("change");
static const struct sx_column difference_columns[LIST_COLUMNS] = LIST_OF("- kept");

struct list_ctx {
    const struct patching_state *state;
    const struct sx_session *session;
    bool ascii;
    int bar;
};

static void list_cell(const void *context, size_t row, int column, struct sx_table_cell *cell)
{
    const struct list_ctx *ctx = context;
    const struct sx_scan_result *r = &ctx->session->patching.result;
    const size_t at = ctx->state->strongest[row];
    const double effect = shown_of(ctx->state, r, at);

    if (column == COL_CELL) {
        cell_name(ctx->session, at, cell->buffer, sizeof cell->buffer);
        cell->text = cell->buffer;
    } else if (column == COL_EFFECT) {
        sx_cell_printf(cell, SX_STYLE_NUMBER, "%+.*f", fabs(effect) < 100 ? 4 : 1, effect);
    } else if (column == COL_VALUE) {
        sx_cell_printf(cell, SX_STYLE_DIM, "%.4f", (double)r->value[at]);
    } else {
        sx_bar_text(cell->buffer, sizeof cell->buffer, effect / ctx->state->end, ctx->bar,
                    ctx->ascii);
        cell->text = cell->buffer;
        cell->style = SX_STYLE_BAR;
    }
}

static struct list_ctx list_ctx_of(const struct patching_state *state,
                                   const struct sx_session *session, int width, bool ascii)
{
    const int bar = width - 36;
    return (struct list_ctx){state, session, ascii, bar > 41 ? 41 : bar < 9 ? 9 : bar};
}

static struct sx_table list_table(const struct list_ctx *ctx)
{
    const struct sx_scan_result *r = &ctx->session->patching.result;

    return (struct sx_table){
        .columns = differs(ctx->state, r) ? difference_columns
                   : r->ablation          ? ablation_columns
                                          : patch_columns,
        .n_columns = LIST_COLUMNS,
        .n_rows = strongest_of(ctx->state, ctx->session),
        .cell = list_cell,
        .ctx = ctx,
        .sort_column = COL_EFFECT,
        .sort_descending = true,
        .empty = "nothing yet",
    };
}

/* The list keeps to its left part; the tokens that matter stand at the right of it. */
static struct sx_rect list_area(const struct sx_session *session, struct sx_rect pane)
{
    const bool tokens = session->patching.result.grid == SX_GRID_LAYER_TOKEN && pane.w >= 110;

    if (tokens)
        pane.w = 52;
    return pane;
}

static void draw_tokens(struct sx_canvas *cv, const struct sx_view *view,
                        const struct sx_session *session)
{
    struct patching_state *state = view->state;
    struct sx_canvas body = sx_frame(cv, "largest |effect| of each token", NULL, false);
    const struct sx_strip strip = {
        .input = &session->input,
        .value = state->n_by_token == session->input.n ? state->by_token : NULL,
        .hi = state->end,
        .cursor = (size_t)state->col,
        .other = SIZE_MAX,
    };
    sx_strip_draw(&body, &strip, &state->strip);
}

static void draw_list(struct sx_canvas *cv, const struct sx_view *view,
                      const struct sx_session *session, bool focus)
{
    struct patching_state *state = view->state;
    const struct sx_rect area = list_area(session, sx_canvas_rect(cv));
    struct sx_canvas left = sx_canvas_sub(cv, area);
    struct sx_canvas body = sx_frame(&left, "strongest", NULL, focus);
    const struct list_ctx ctx = list_ctx_of(state, session, area.w, sx_canvas_ascii(cv));
    const struct sx_table table = list_table(&ctx);

    sx_table_draw(&body, &table, &state->list, focus);
    if (area.w >= cv->w)
        return;
    struct sx_canvas right =
        sx_canvas_sub(cv, (struct sx_rect){area.w + 1, 0, cv->w - area.w - 1, cv->h});
    draw_tokens(&right, view, session);
    sx_divider(cv, area.w, 0, cv->h);
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static void patching_draw(const struct sx_view *view, const struct sx_session *session,
                          struct sx_canvas *canvas)
{
    const struct sx_patching_data *data = &session->patching;
    struct sx_rect pane[2];

    if (sx_too_small(canvas, 24, 6) ||
        sx_weights_notice(canvas, session, "patching", has_grid(session)))
        return;
    if (!has_grid(session)) {
        struct sx_canvas body = sx_frame(canvas, "patching", NULL, true);
        sx_result_notice(&body, session,
                         data->state == SX_STATE_READY ? SX_STATE_PENDING : data->state,
                         data->serial, &data->error, "the first cells …");
        return;
    }
    panes_of(view, session, pane);
    if (pane[1].w > 0) {
        struct sx_canvas list = sx_canvas_sub(canvas, pane[1]);
        draw_list(&list, view, session, view->focus == LIST_PANE);
    }
    if (pane[1].h == view->height && pane[1].x == 0 && pane[1].w > 0)
        return; /* the list alone */
    struct sx_canvas grid = sx_canvas_sub(canvas, pane[0]);
    draw_grid(&grid, view, session, view->focus == GRID_PANE || pane[1].w <= 0);
    sx_pane_divider(canvas, pane);
}

/* The residues in another order, masks where they are: the same composition, another protein. */
static void shuffled(const struct sx_session *session, struct sx_str *out)
{
    const struct sx_input *input = &session->input;
    size_t *place = sx_xcalloc(input->n + 1, sizeof *place), *from;
    size_t n = 0;
    uint32_t seed = 12345;

    from = sx_xcalloc(input->n + 1, sizeof *from);
    for (size_t t = 0; t < input->n; t++) {
        from[t] = t;
        if (!input->masked[t] && input->tokens[t].text[0] != '<')
            place[n++] = t;
    }
    for (size_t i = n; i > 1; i--) {
        seed = seed * 1664525u + 1013904223u;
        const size_t j = (size_t)(seed >> 8) % i, keep = from[place[i - 1]];
        from[place[i - 1]] = from[place[j]];
        from[place[j]] = keep;
    }
    for (size_t t = 0; t < input->n; t++) {
        const char *text = input->tokens[from[t]].text;
        if (input->masked[t])
            sx_str_append(out, "<mask>");
        else if (text[0] != '<' || strcmp(text, "<mask>") == 0)
            sx_str_append(out, text);
    }
    sx_free(from);
    sx_free(place);
}

static void ask_grid(const struct patching_state *state, const struct sx_session *session,
                     struct sx_emit *emit)
{
    struct sx_str line = SX_STR_INIT, corrupt = SX_STR_INIT;

    sx_str_append(&line, "patch-grid");
    if (state->how == PATCH) {
        if (state->corrupt)
            sx_str_append(&corrupt, state->corrupt);
        else
            shuffled(session, &corrupt);
        sx_str_append(&line, " --corrupt ");
        sx_command_quote(corrupt.data, &line);
    } else {
        sx_str_printf(&line, " --ablate %s", how_word[state->how]);
    }
    sx_str_printf(&line, " --grid %s --metric %s", sx_grid_name(state->grid),
                  sx_metric_name(state->metric));
    sx_emit_line(emit, "%s", line.data);
    sx_str_release(&corrupt);
    sx_str_release(&line);
}

static void patching_need(struct sx_view *view, const struct sx_session *session,
                          struct sx_emit *emit)
{
    struct patching_state *state = view->state;
    const struct sx_patching_data *data = &session->patching;
    const int32_t target = session->settings.target;

    if (!sx_need_input(session, emit))
        return;
    if (!state->started) {
        state->started = true;
        state->grid = SX_GRID_LAYER_HEAD;
    }
    follow(state, session);
    if (session->input.run)
        return;
    if (sx_slot_wanted(session, data->state, data->serial)) {
        if (data->serial != session->input.serial && state->corrupt) {
            sx_free(state->corrupt); /* it was the other input's counterpart */
            state->corrupt = NULL;
        }
        if (state->how == PATCH && !sx_is_protein(session) && !state->corrupt)
            state->how = ZERO;
        ask_grid(state, session, emit);
    } else if (target >= 0 && data->result.target != target) {
        ask_grid(state, session, emit);
    }
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void ask_corrupt(struct patching_state *state, const struct sx_session *session,
                        const char *text, struct sx_emit *emit)
{
    if (!*text && !sx_is_protein(session)) {
        sx_emit_line(emit, "message type another prompt of %zu tokens", session->input.n);
        return;
    }
    sx_free(state->corrupt);
    state->corrupt = *text ? sx_xstrdup(text) : NULL;
    state->how = PATCH;
    ask_grid(state, session, emit);
}

static void ask_target(const struct patching_state *state, const struct sx_session *session,
                       const char *text, struct sx_emit *emit)
{
    struct sx_str line = SX_STR_INIT;

    sx_str_append(&line, "set --target ");
    sx_command_quote(*text ? text : "default", &line);
    sx_emit_line(emit, "%s", line.data);
    sx_str_release(&line);
    if (!*text)
        ask_grid(state, session, emit);
}

/* What is asked: each asks for the grid again. */
static bool wish_request(struct patching_state *state, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    const char *name = request->name, *text = request->text ? request->text : "";

    if (strcmp(name, "ask-corrupt") == 0) {
        ask_corrupt(state, session, text, emit);
        return true;
    }
    if (strcmp(name, "ask-target") == 0) {
        ask_target(state, session, text, emit);
        return true;
    }
    if (strcmp(name, "grid") == 0) {
        state->grid = (enum sx_grid)((state->grid + 1) % SX_GRID_COUNT);
    } else if (strcmp(name, "metric") == 0) {
        state->metric = (enum sx_metric_kind)((state->metric + 1) % SX_METRIC_COUNT);
    } else if (strcmp(name, "how") == 0) {
        state->how = (enum how)((state->how + 1) % HOW_COUNT);
        if (state->how == PATCH && !sx_is_protein(session) && !state->corrupt)
            state->how = ZERO; /* c asks for the other prompt */
    } else if (strcmp(name, "again") != 0) {
        return false;
    }
    ask_grid(state, session, emit);
    return true;
}

static void go_to_cell(struct patching_state *state, const struct sx_session *session, size_t cell)
{
    const size_t columns = session->patching.result.columns;
    state->row = (int)(cell / columns);
    state->col = (int)(cell % columns);
}

/* The head, or the layer and token, of the cell: in the circuit. */
static void open_cell(const struct patching_state *state, const struct sx_session *session,
                      struct sx_emit *emit)
{
    const struct sx_scan_result *r = &session->patching.result;
    const size_t layers = (size_t)session->input.info.n_layers;
    const size_t layer = (size_t)state->row < layers ? (size_t)state->row : layers - 1;

    if (r->grid == SX_GRID_LAYER_HEAD || r->grid == SX_GRID_QKV)
        sx_emit_line(emit, "select --layer %zu --head %d", layer,
                     r->grid == SX_GRID_QKV ? state->col / 3 : state->col);
    else if (r->grid == SX_GRID_LAYER_TOKEN)
        sx_emit_line(emit, "select --layer %zu --key %d", layer, state->col);
    else
        sx_emit_line(emit, "select --layer %zu", layer);
    sx_emit_line(emit, "view circuit");
}

static bool list_request(struct patching_state *state, const struct sx_session *session,
                         struct sx_rect pane, const struct sx_view_request *request,
                         struct sx_emit *emit)
{
    const struct sx_rect area = list_area(session, pane);
    const struct list_ctx ctx = list_ctx_of(state, session, area.w, false);
    const struct sx_table table = list_table(&ctx);

    if (!sx_list_request(&table, &state->list, area, request, emit))
        return false;
    if (state->list.cursor < table.n_rows)
        go_to_cell(state, session, state->strongest[state->list.cursor]);
    return true;
}

static bool grid_request(struct patching_state *state, const struct sx_session *session,
                         struct sx_rect pane, const struct sx_view_request *request)
{
    struct grid_ctx ctx = {.state = state, .session = session};
    const struct sx_heatmap map = grid_map(state, &ctx, pane.w - 2);
    const char *name = request->name;
    int row, col;

    state->map.row = state->row;
    state->map.col = state->col / (int)ctx.group;
    if (strcmp(name, "click") == 0) {
        if (!sx_heatmap_hit(&map, &state->map, request->x - pane.x - 1, request->y - pane.y - 2,
                            &row, &col))
            return true;
        state->map.row = row;
        state->map.col = col;
    } else if (!sx_heatmap_request(&map, &state->map, name, request->count)) {
        return false;
    }
    go_to_cell(state, session, strongest_in(&ctx, state->map.row, state->map.col));
    return true;
}

static bool pane_request(struct sx_view *view, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    struct patching_state *state = view->state;
    struct sx_rect pane[2];
    int at = view->focus;

    panes_of(view, session, pane);
    clamp_cursor(state, &session->patching.result);
    if (strcmp(request->name, "click") == 0) {
        const bool list = pane[1].w > 0 && sx_rect_contains(pane[1], request->x, request->y);
        at = view->focus = list ? LIST_PANE : GRID_PANE;
    }
    if (at == LIST_PANE && pane[1].w > 0)
        return list_request(state, session, pane[1], request, emit);
    return grid_request(state, session, pane[0], request);
}

/* As far as it is there; a grid that is still being filled can be kept too. */
static void keep_grid(struct patching_state *state, const struct sx_session *session,
                      struct sx_emit *emit)
{
    const struct sx_scan_result *r = &session->patching.result;
    const size_t n = r->rows * r->columns;

    sx_free(state->kept.effect);
    sx_free(state->kept.line);
    state->kept = (struct kept_grid){.effect = sx_xcalloc(n, sizeof *state->kept.effect),
                                     .rows = r->rows,
                                     .columns = r->columns,
                                     .grid = r->grid,
                                     .metric = r->metric,
                                     .ablation = r->ablation,
                                     .normalised = r->normalised};
    if (session->patching.line)
        state->kept.line = sx_xstrdup(session->patching.line);
    for (size_t i = 0; i < n; i++)
        state->kept.effect[i] = (float)effect_of(r, i);
    state->differ = false;
    sx_emit_line(emit, "message kept; D takes it off what is measured next");
}

static void toggle_difference(struct patching_state *state, const struct sx_session *session,
                              struct sx_emit *emit)
{
    const struct sx_scan_result *r = &session->patching.result;
    const struct kept_grid *kept = &state->kept;

    if (!kept->effect)
        sx_emit_line(emit, "message nothing is kept; K keeps this grid");
    else if (!comparable(kept, r))
        sx_emit_line(emit, "message kept is %s of %s, %zu by %zu, %s; this is another kind of grid",
                     kept->ablation ? "an ablation" : "patching", sx_grid_name(kept->grid),
                     kept->rows, kept->columns, sx_metric_name(kept->metric));
    else
        state->differ = !state->differ;
    state->seen = 0;
    follow(state, session);
}

static bool cell_request(struct patching_state *state, const struct sx_session *session,
                         const char *name, struct sx_emit *emit)
{
    if (strcmp(name, "keep") == 0) {
        keep_grid(state, session, emit);
        return true;
    }
    if (strcmp(name, "difference") == 0) {
        toggle_difference(state, session, emit);
        return true;
    }
    if (strcmp(name, "open") == 0) {
        open_cell(state, session, emit);
    } else if (strcmp(name, "fit") == 0) {
        state->fit = !state->fit;
    } else if (strcmp(name, "pin") == 0) {
        state->pinned =
            !(state->pinned && state->pin_row == state->row && state->pin_col == state->col);
        state->pin_row = state->row;
        state->pin_col = state->col;
    } else {
        return false;
    }
    return true;
}

static bool patching_request(struct sx_view *view, const struct sx_session *session,
                             const struct sx_view_request *request, struct sx_emit *emit)
{
    struct patching_state *state = view->state;
    bool taken;

    if (sx_input_request(session, request, emit))
        return true;
    if (!sx_input_ready(session))
        return false;
    taken = wish_request(state, session, request, emit);
    if (!taken && has_grid(session))
        taken = cell_request(state, session, request->name, emit) ||
                pane_request(view, session, request, emit);
    emit->dirty |= taken;
    return taken;
}

/* --- as data ------------------------------------------------------------------------------------
 */

static void row_column(struct sx_value *row, const struct sx_session *session, size_t col)
{
    switch (session->patching.result.grid) {
    case SX_GRID_LAYER_TOKEN:
        sx_value_set(row, "token", sx_value_int((int64_t)col));
        return;
    case SX_GRID_QKV:
        sx_value_set(row, "head", sx_value_int((int64_t)(col / 3)));
        sx_value_set(row, "part", sx_value_string(col % 3 == 0 ? "q" : col % 3 == 1 ? "k" : "v"));
        return;
    case SX_GRID_LAYER_BAND:
        sx_value_set(row, "band", sx_value_int((int64_t)col));
        return;
    case SX_GRID_LAYER_BLOCK:
        sx_value_set(row, "block", sx_value_string(col == 0 ? "attention" : "mlp"));
        return;
    case SX_GRID_LAYER_HEAD:
    case SX_GRID_COUNT:
        break;
    }
    sx_value_set(row, "head", sx_value_int((int64_t)col));
}

static struct sx_value *patching_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct patching_state *state = view->state;
    const struct sx_scan_result *r = &session->patching.result;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    if (!has_grid(session))
        return document;
    sx_value_set(document, "grid", sx_value_string(sx_grid_name(r->grid)));
    sx_value_set(document, "metric", sx_value_string(sx_metric_name(r->metric)));
    sx_value_set(document, "target", sx_value_string(session->patching.target_text));
    sx_value_set(document, "token", sx_value_int((int64_t)r->token));
    sx_row_real(document, "clean", r->clean);
    sx_row_real(document, "corrupt", r->ablation ? NAN : r->corrupt);
    sx_value_set(document, "normalised", sx_value_bool(r->normalised));
    sx_value_set(document, "n_done", sx_value_int((int64_t)r->n_done));
    for (size_t i = 0; i < r->rows * r->columns; i++) {
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_value_set(row, "layer", sx_value_int((int64_t)(i / r->columns)));
        row_column(row, session, i % r->columns);
        sx_row_real(row, "value", (double)r->value[i]);
        sx_row_real(row, "effect", effect_of(r, i));
        if (comparable(&state->kept, r))
            sx_row_real(row, "kept", (double)state->kept.effect[i]);
    }
    return document;
}

static void patching_line(const struct sx_view *view, const struct sx_session *session,
                          struct sx_str *out)
{
    (void)view;
    if (has_grid(session) && session->patching.line)
        sx_str_append(out, session->patching.line);
}

static void patching_release(struct sx_view *view)
{
    struct patching_state *state = view->state;

    sx_free(state->corrupt);
    sx_free(state->by_token);
    sx_free(state->kept.effect);
    sx_free(state->kept.line);
}

static const struct sx_key_binding keys[] = {
    {"patching", "Enter", "open", "circuit", "The head of this cell in the circuit.", "Patching"},
    {"patching", "g", "grid", "grid", "Tokens, heads, q k v, bands, or blocks in each layer.",
     "Patching"},
    {"patching", "v", "metric", "metric", "What is measured: logit, probability, rank, …",
     "Patching"},
    {"patching", "m", "how", "zero/mean/patch",
     "Take out to zero, to the mean, or put what the clean run had into the corrupt one.",
     "Patching"},
    {"patching", "c", "ask-corrupt", "corrupt",
     "The other sequence, as long as this one; empty: the residues shuffled.", "Patching"},
    {"patching", "t", "ask-target", "target",
     "The token that is followed; empty: M, or the next token.", "Patching"},
    {"patching", "z", "fit", "fit", "Several tokens to a column, so that all can be seen.",
     "Patching"},
    {"patching", "P", "pin", "pin", "Keep this cell in sight; once more: let it go.", "Patching"},
    {"patching", "K", "keep", "keep", "Keep this grid, to compare the next one with it.",
     "Patching"},
    {"patching", "D", "difference", NULL, "What this grid shows minus the one that was kept.",
     "Patching"},
    {"patching", "r", "again", NULL, "Compute again.", "Patching"},
    {"patching", "i", "ask-input", NULL, "Type another sequence or prompt.", "Patching"},
    {"patching", "a", ":view attention", NULL, "The attention of this query.", "Patching"},
    {"patching", "s", ":view sequence", NULL, "The token in the sequence.", "Patching"},
    {"patching", "C", ":copy line", NULL, "Copy the command line that gives this.", "Patching"},
    {"patching", "R", "made", NULL, "The run that made it.", "Patching"},
};

const struct sx_view_ops sx_view_patching = {
    .name = "patching",
    .help = "patches and ablations: what changes when a piece is replaced",
    .key = 'p',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_SETTINGS |
               1u << SX_SLOT_INPUT | 1u << SX_SLOT_PATCHING,
    .n_panes = 2,
    .state_size = sizeof(struct patching_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = patching_need,
    .draw = patching_draw,
    .request = patching_request,
    .title = sx_title_of_input,
    .data = patching_data,
    .line = patching_line,
    .release = patching_release,
};
