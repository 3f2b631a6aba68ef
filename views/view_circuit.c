/* circuit: what a logit is made of, component by component and by the token that heads read from;
 * beside it what the query, key or value of the head under the cursor is made of, band by band.
 * Enter on a component that is a head goes on to that head, Esc comes back. */
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

enum { TERMS_PANE, PARTS_PANE };
enum { MAX_BACK = 32, NAME_WIDTH = 10, MOST_SOURCES = 6 };

/* A head and the query that it was looked at for. */
struct step {
    size_t layer, head, token;
};

struct circuit_state {
    struct sx_table_state terms;
    struct sx_heatmap_state parts, heads;
    struct sx_strip_state strip;
    bool by_layer;   /* rows in the order of the layers; else the largest effect first */
    bool embeddings; /* the linearised attribution in place of the composition */
    enum sx_side_of_score side;
    char against[SX_POSITION_TEXT]; /* second target as text; "": none */
    /* Made of the results by `follow`, when their revisions change: */
    uint64_t terms_seen, parts_seen; /* revision + 1 */
    uint32_t *term_order, *part_order;
    size_t n_terms, n_parts;
    float *head_value; /* [L,H] */
    size_t n_layers, n_heads;
    double term_end, part_end, head_end; /* of the scales */
    float *embedding;                    /* [n_embedding] |effect| */
    size_t n_embedding;
    double embedding_end;
    /* The selection as it was seen last. */
    size_t layer, head;
    uint64_t serial;        /* of the input that the steps are of */
    uint64_t linear_serial; /* for which --linearised was asked */
    size_t linear_token;
    struct step step[MAX_BACK];
    int n_steps;
};

static const char *const side_word[] = {"query", "key", "value"};

/* --- what is there ------------------------------------------------------------------------------
 */

static bool terms_current(const struct sx_session *session)
{
    const struct sx_attribution_data *data = &session->attribution;

    return sx_slot_current(session, data->state, data->serial) &&
           (sx_is_answer(session) || data->result.token == sx_selected_token(session));
}

static size_t layer_of(const struct sx_session *session)
{
    const size_t n = (size_t)session->input.info.n_layers;
    const size_t at =
        sx_is_answer(session) ? session->composition.result.layer : session->selection.layer;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

static size_t head_of(const struct sx_session *session)
{
    const size_t n = (size_t)session->input.info.n_heads;
    const size_t at =
        sx_is_answer(session) ? session->composition.result.head : session->selection.head;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

/* The slot is of the head, query, key and side that are chosen. */
static bool parts_are_asked(const struct circuit_state *state, const struct sx_session *session)
{
    const struct sx_composition_result *r = &session->composition.result;

    if (sx_is_answer(session))
        return true;
    return r->layer == layer_of(session) && r->head == head_of(session) &&
           r->query == sx_selected_token(session) && r->key == sx_selected_key(session) &&
           r->side == state->side;
}

static bool parts_current(const struct circuit_state *state, const struct sx_session *session)
{
    const struct sx_composition_data *data = &session->composition;

    return sx_slot_current(session, data->state, data->serial) && parts_are_asked(state, session);
}

static size_t bands_shown(const struct sx_composition_result *r)
{
    return r->band ? r->n_bands : 0;
}

/* --- following the results ----------------------------------------------------------------------
 */

struct ranked {
    double size;
    uint32_t at;
};

static int by_size(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

/* *order becomes the indices of n effects, [n], the largest first or as they come. */
static void put_in_order(uint32_t **order, struct ranked *item, size_t n, bool as_they_come)
{
    if (!as_they_come && n > 0)
        qsort(item, n, sizeof *item, by_size);
    *order = sx_xrealloc(*order, (n > 0 ? n : 1) * sizeof **order);
    for (size_t i = 0; i < n; i++)
        (*order)[i] = item[i].at;
}

static void follow_heads(struct circuit_state *state, const struct sx_attribution_result *r)
{
    double most = 0;

    state->n_layers = r->n_layers;
    state->n_heads = r->n_heads;
    sx_free(state->head_value);
    state->head_value = sx_xcalloc(r->n_layers * r->n_heads + 1, sizeof *state->head_value);
    for (size_t i = 0; i < r->n_terms; i++) {
        const struct sx_component *c = &r->terms[i].component;
        if (c->kind != SX_COMPONENT_HEAD || c->layer >= r->n_layers || c->head >= r->n_heads)
            continue;
        state->head_value[c->layer * r->n_heads + c->head] = (float)r->terms[i].value;
        most = fmax(most, fabs(r->terms[i].value));
    }
    state->head_end = sx_scale_end(most);
}

static void follow_embedding(struct circuit_state *state, const struct sx_attribution_result *r)
{
    double most = 0;

    sx_free(state->embedding);
    state->embedding = NULL;
    state->n_embedding = 0;
    if (!r->by_embedding)
        return;
    state->n_embedding = r->n;
    state->embedding = sx_xcalloc(r->n + 1, sizeof *state->embedding);
    for (size_t t = 0; t < r->n; t++) {
        state->embedding[t] = (float)fabs(r->by_embedding[t]);
        most = fmax(most, fabs(r->by_embedding[t]));
    }
    state->embedding_end = sx_scale_end(most);
}

static void follow_terms(struct circuit_state *state, const struct sx_session *session)
{
    const struct sx_attribution_result *r = &session->attribution.result;
    struct ranked *item = sx_xcalloc(r->n_terms + 1, sizeof *item);
    double most = 0;

    for (size_t i = 0; i < r->n_terms; i++) {
        item[i] = (struct ranked){fabs(r->terms[i].value), (uint32_t)i};
        most = fmax(most, item[i].size);
    }
    put_in_order(&state->term_order, item, r->n_terms, state->by_layer);
    sx_free(item);
    state->n_terms = r->n_terms;
    state->term_end = sx_scale_end(most);
    follow_heads(state, r);
    follow_embedding(state, r);
}

static void follow_parts(struct circuit_state *state, const struct sx_session *session)
{
    const struct sx_composition_result *r = &session->composition.result;
    struct ranked *item = sx_xcalloc(r->n_terms + 1, sizeof *item);
    double most = 0;

    for (size_t i = 0; i < r->n_terms; i++) {
        item[i] = (struct ranked){fabs(r->terms[i].score), (uint32_t)i};
        most = fmax(most, item[i].size);
        for (size_t b = 0; b < bands_shown(r); b++)
            most = fmax(most, fabs(r->band[i * r->n_bands + b]));
    }
    put_in_order(&state->part_order, item, r->n_terms, state->by_layer);
    sx_free(item);
    state->n_parts = r->n_terms;
    state->part_end = sx_scale_end(most);
    state->parts.row = state->parts.col = 0;
}

/* The row of the selected head comes under the cursor; a cursor on what is no head stays. */
static void follow_selection(struct circuit_state *state, const struct sx_session *session)
{
    const struct sx_attribution_result *r = &session->attribution.result;
    const size_t layer = layer_of(session), head = head_of(session);
    const bool moved = layer != state->layer || head != state->head;

    state->layer = layer;
    state->head = head;
    if (state->terms.cursor >= state->n_terms)
        state->terms.cursor = 0;
    for (size_t i = 0; i < state->n_terms; i++) {
        const struct sx_component *c = &r->terms[state->term_order[i]].component;
        const struct sx_component *at = &r->terms[state->term_order[state->terms.cursor]].component;
        if (c->kind == SX_COMPONENT_HEAD && c->layer == layer && c->head == head &&
            (moved || at->kind == SX_COMPONENT_HEAD)) {
            state->terms.cursor = i;
            return;
        }
    }
}

static void follow(struct circuit_state *state, const struct sx_session *session)
{
    if (state->serial != session->input.serial) {
        state->serial = session->input.serial;
        state->n_steps = 0;
    }
    if (terms_current(session)) {
        if (state->terms_seen != session->revision[SX_SLOT_ATTRIBUTION] + 1) {
            state->terms_seen = session->revision[SX_SLOT_ATTRIBUTION] + 1;
            follow_terms(state, session);
        }
        follow_selection(state, session);
    }
    if (parts_current(state, session) &&
        state->parts_seen != session->revision[SX_SLOT_COMPOSITION] + 1) {
        state->parts_seen = session->revision[SX_SLOT_COMPOSITION] + 1;
        state->side = session->composition.result.side;
        follow_parts(state, session);
    }
}

/* What `follow` made is of what the slots hold now. */
static bool terms_ready(const struct circuit_state *state, const struct sx_session *session)
{
    return terms_current(session) &&
           state->terms_seen == session->revision[SX_SLOT_ATTRIBUTION] + 1 &&
           state->n_terms == session->attribution.result.n_terms;
}

static bool parts_ready(const struct circuit_state *state, const struct sx_session *session)
{
    return parts_current(state, session) &&
           state->parts_seen == session->revision[SX_SLOT_COMPOSITION] + 1 &&
           state->n_parts == session->composition.result.n_terms;
}

/* --- panes --------------------------------------------------------------------------------------
 */

/* The table, the composition, and all heads; what is not shown has no width. */
static void panes_of(const struct sx_view *view, const struct sx_session *session,
                     struct sx_rect pane[3])
{
    const struct circuit_state *state = view->state;
    const struct sx_rect body = sx_body_rect(view);
    const int heads = (int)session->input.info.n_layers + 4;
    const int keep = sx_layout_int(view, "heads", 14);

    pane[0] = pane[1] = pane[2] = body;
    pane[2].w = 0;
    if (sx_folded(view)) {
        const int small = body.h < 18 ? 0 : body.h * 2 / 5;
        pane[!!view->focus].h = body.h - small;
        pane[!view->focus].h = small;
        pane[!view->focus].w = small > 0 ? body.w : 0;
        pane[1].y = pane[0].h;
        return;
    }
    pane[0].w = body.w * sx_layout_int(view, "share", 46) / 100;
    pane[1].x = pane[0].w + 1;
    pane[1].w = body.w - pane[1].x;
    if (heads + keep > body.h || state->embeddings)
        return;
    pane[2].x = pane[1].x;
    pane[2].w = pane[1].w;
    pane[1].h = body.h - heads;
    pane[2].y = pane[1].h;
    pane[2].h = heads;
}

/* --- the terms of the logit ---------------------------------------------------------------------
 */

enum term_column { COL_NAME, COL_TOTAL, COL_BOS, COL_OWN, COL_CONTEXT, COL_BAR, TERM_COLUMNS };

static const struct sx_column term_columns[TERM_COLUMNS] = {
    [COL_NAME] = {.title = "component", .width = 9, .frozen = true},
    [COL_TOTAL] = {.title = "total", .width = 7, .align = SX_RIGHT},
    [COL_BOS] = {.title = "BOS", .width = 7, .align = SX_RIGHT},
    [COL_OWN] = {.title = "own", .width = 7, .align = SX_RIGHT},
    [COL_CONTEXT] = {.title = "context", .width = 7, .align = SX_RIGHT},
    [COL_BAR] = {.title = "", .width = 9, .weight = 1},
};

struct terms_ctx {
    const struct circuit_state *state;
    const struct sx_session *session;
    bool ascii;
    int bar; /* columns */
};

static const struct sx_attribution_term *term_at(const struct terms_ctx *ctx, size_t row)
{
    return &ctx->session->attribution.result.terms[ctx->state->term_order[row]];
}

static double part_of(const struct sx_attribution_term *term, int column)
{
    return column == COL_BOS       ? term->bos
           : column == COL_OWN     ? term->own
           : column == COL_CONTEXT ? term->context
                                   : term->value;
}

static void term_cell(const void *context, size_t row, int column, struct sx_table_cell *cell)
{
    const struct terms_ctx *ctx = context;
    const struct sx_attribution_term *term = term_at(ctx, row);
    const double end = ctx->state->term_end;

    if (column == COL_NAME) {
        sx_component_label(&term->component, cell->buffer, sizeof cell->buffer);
        cell->text = cell->buffer;
    } else if (column == COL_BAR) {
        sx_bar_text(cell->buffer, sizeof cell->buffer, term->value / end, ctx->bar, ctx->ascii);
        cell->text = cell->buffer;
        cell->style = SX_STYLE_BAR;
    } else if (column == COL_TOTAL || column == COL_OWN) {
        sx_rounded_text(cell->buffer, sizeof cell->buffer, part_of(term, column), 6, ctx->ascii);
        cell->text = cell->buffer;
    } else {
        sx_cell_heat(cell, part_of(term, column), end, 7, ctx->ascii);
    }
}

static struct sx_table terms_table(const struct terms_ctx *ctx)
{
    return (struct sx_table){
        .columns = term_columns,
        .n_columns = TERM_COLUMNS,
        .n_rows = ctx->state->n_terms,
        .cell = term_cell,
        .ctx = ctx,
        .sort_column = ctx->state->by_layer ? COL_NAME : COL_TOTAL,
        .sort_descending = !ctx->state->by_layer,
        .empty = "no components",
    };
}

struct sums {
    double bos, own, context, mlp, bias, embed, constant;
};

static struct sums sums_of(const struct sx_attribution_result *r)
{
    struct sums s = {0};

    for (size_t i = 0; i < r->n_terms; i++) {
        const struct sx_attribution_term *t = &r->terms[i];
        switch (t->component.kind) {
        case SX_COMPONENT_HEAD:
            s.bos += t->bos;
            s.own += t->own;
            s.context += t->context;
            break;
        case SX_COMPONENT_MLP:
            s.mlp += t->value;
            break;
        case SX_COMPONENT_ATTN_BIAS:
            s.bias += t->value;
            break;
        case SX_COMPONENT_EMBED:
            s.embed += t->value;
            break;
        case SX_COMPONENT_CONST:
            s.constant += t->value;
            break;
        }
    }
    return s;
}

static int put_sum(struct sx_canvas *cv, int x, int y, const char *label, double value)
{
    char text[24];

    x += sx_put(cv, x, y, SX_STYLE_LABEL, label) + 1;
    sx_signed_text(text, sizeof text, value, 7, sx_canvas_ascii(cv));
    return x + sx_put(cv, x, y, SX_STYLE_NUMBER, text) + 2;
}

/* The groups, and what they add up to. */
static void draw_sums(struct sx_canvas *cv, const struct sx_session *session)
{
    const struct sx_attribution_result *r = &session->attribution.result;
    const struct sums s = sums_of(r);
    int x = put_sum(cv, 1, 0, "heads: BOS", s.bos);

    x = put_sum(cv, x, 0, "context", s.context);
    put_sum(cv, x, 0, "own", s.own);
    x = put_sum(cv, 1, 1, "MLP", s.mlp);
    x = put_sum(cv, x, 1, "bias", s.bias);
    x = put_sum(cv, x, 1, "embed", s.embed);
    put_sum(cv, x, 1, "const", s.constant);
    x = 1 + sx_put(cv, 1, 2, SX_STYLE_LABEL, "total ");
    x += sx_putf(cv, x, 2, SX_STYLE_NUMBER, "%+.4f", r->total);
    x += sx_put(cv, x, 2, SX_STYLE_LABEL, "  logit ");
    x += sx_putf(cv, x, 2, SX_STYLE_NUMBER, "%+.4f", r->logit);
    x += 1;
    sx_put_residual(cv, x, 2, cv->w - x - 1, r->residual);
}

static void draw_term_value(struct sx_canvas *cv, int y, const struct terms_ctx *ctx)
{
    static const char *const word[TERM_COLUMNS] = {
        [COL_BOS] = "from BOS", [COL_OWN] = "own", [COL_CONTEXT] = "from context"};
    const struct circuit_state *state = ctx->state;
    const int column = state->terms.column;
    char name[32];
    int x = 1;

    if (state->terms.cursor >= state->n_terms)
        return;
    const struct sx_attribution_term *term = term_at(ctx, state->terms.cursor);
    sx_component_label(&term->component, name, sizeof name);
    x += sx_putf(cv, x, y, SX_STYLE_STRONG, "%s ", name);
    if (column > COL_TOTAL && column < COL_BAR)
        x += sx_putf(cv, x, y, SX_STYLE_LABEL, "%s ", word[column]);
    x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%+.6g", part_of(term, column));
    x += sx_put(cv, x, y, SX_STYLE_UNIT, " logits");
    if (column > COL_TOTAL && column < COL_BAR)
        sx_putf(cv, x, y, SX_STYLE_DIM, " of %+.6g", term->value);
}

/* The tokens that matter most to the head under the cursor. */
static void draw_sources(struct sx_canvas *cv, int y, const struct terms_ctx *ctx)
{
    const struct sx_attribution_result *r = &ctx->session->attribution.result;
    const struct sx_component *c = &term_at(ctx, ctx->state->terms.cursor)->component;
    char here[SX_POSITION_TEXT], text[24];
    double below = INFINITY;

    if (c->kind != SX_COMPONENT_HEAD || !r->by_source || c->layer >= r->n_layers)
        return;
    const float *row = r->by_source + (c->layer * r->n_heads + c->head) * r->n;
    int x = 1 + sx_put(cv, 1, y, SX_STYLE_LABEL, "reads ");
    for (int shown = 0; shown < MOST_SOURCES; shown++) {
        size_t best = r->n;
        for (size_t t = 0; t < r->n; t++)
            if (fabs((double)row[t]) < below && (best == r->n || fabsf(row[t]) > fabsf(row[best])))
                best = t;
        if (best == r->n || fabsf(row[best]) < 0.005f) /* it would show as .00 */
            return;
        below = fabs((double)row[best]);
        sx_position_text(here, ctx->session, best);
        sx_signed_text(text, sizeof text, (double)row[best], 6, sx_canvas_ascii(cv));
        if (x + (int)strlen(here) + (int)strlen(text) + 1 >= cv->w)
            return;
        x += sx_put(cv, x, y, SX_STYLE_TEXT, here) + 1;
        x += sx_put(cv, x, y, SX_STYLE_NUMBER, text) + 2;
    }
}

static void terms_title(char *out, size_t size, const struct sx_session *session)
{
    const struct sx_attribution_data *data = &session->attribution;
    char here[SX_POSITION_TEXT], target[SX_POSITION_TEXT], other[SX_POSITION_TEXT];
    const bool ready = terms_current(session);

    if (!ready) {
        snprintf(out, size, "logit at %s",
                 sx_position_text(here, session, sx_selected_token(session)));
        return;
    }
    sx_position_text(here, session, data->result.token);
    sx_quoted_token(target, session, data->target_text);
    if (data->result.against == -1)
        snprintf(out, size, "logit of %s at %s", target, here);
    else
        snprintf(out, size, "logit of %s - %s at %s", target,
                 data->result.against >= 0
                     ? sx_quoted_token(other, session, data->against_text)
                     : (sx_is_protein(session) ? "mean of the 20" : "mean of all"),
                 here);
}

/* Rows that stand below the table. */
static int terms_foot(int h)
{
    return h >= 16 ? 6 : h >= 10 ? 4 : h >= 5 ? 1 : 0;
}

static struct terms_ctx terms_ctx_of(const struct circuit_state *state,
                                     const struct sx_session *session, int width, bool ascii)
{
    int bar = width - 2 - 9 - 4 * 7 - 2 * 5;
    bar = bar > 25 ? 25 : bar < 9 ? 9 : bar;
    return (struct terms_ctx){state, session, ascii, bar};
}

static void draw_terms(struct sx_canvas *cv, const struct sx_view *view,
                       const struct sx_session *session, bool focus)
{
    struct circuit_state *state = view->state;
    const struct sx_attribution_data *data = &session->attribution;
    char title[160];

    terms_title(title, sizeof title, session);
    struct sx_canvas body = sx_frame(cv, title, state->by_layer ? "by layer" : "by effect", focus);
    if (!session->input.info.has_lm_head) {
        sx_slot_notice(
            &body, SX_STATE_EMPTY, NULL, "",
            "This model has no output head, so there is no logit to take apart; what its "
            "heads are made of can be asked: :select --layer N --head N chooses one.");
        return;
    }
    if (!terms_ready(state, session)) {
        const bool same = data->result.token == sx_selected_token(session);
        sx_result_notice(&body, session,
                         same && data->state != SX_STATE_READY ? data->state : SX_STATE_PENDING,
                         data->serial, &data->error, "what the logit is made of …");
        return;
    }
    const int foot = terms_foot(cv->h);
    const struct terms_ctx ctx = terms_ctx_of(state, session, cv->w, sx_canvas_ascii(cv));
    const struct sx_table table = terms_table(&ctx);
    struct sx_canvas list = sx_canvas_sub(&body, (struct sx_rect){0, 0, body.w, body.h - foot});
    sx_table_draw(&list, &table, &state->terms, focus);
    if (foot == 0)
        return;
    struct sx_canvas below = sx_canvas_sub(&body, (struct sx_rect){0, body.h - foot, body.w, foot});
    draw_term_value(&below, 0, &ctx);
    if (foot > 4)
        draw_sources(&below, 1, &ctx);
    if (foot == 1)
        return;
    struct sx_canvas sums = sx_canvas_sub(&below, (struct sx_rect){0, foot - 3, below.w, 3});
    draw_sums(&sums, session);
}

/* --- what the chosen head is made of ------------------------------------------------------------
 */

struct parts_ctx {
    const struct circuit_state *state;
    const struct sx_composition_result *r;
    int digits; /* columns for a number */
    bool ascii;
};

static double part_value(const void *context, int row, int col)
{
    const struct parts_ctx *ctx = context;
    const uint32_t at = ctx->state->part_order[row];
    return col == 0 ? ctx->r->terms[at].score
                    : ctx->r->band[at * ctx->r->n_bands + (size_t)col - 1];
}

static void part_name(const void *context, int row, char *buf, size_t size)
{
    const struct parts_ctx *ctx = context;
    const struct sx_component *c = &ctx->r->terms[ctx->state->part_order[row]].component;
    char name[24];

    sx_component_label(c, name, sizeof name);
    snprintf(buf, size, "%s%s", c->kind == SX_COMPONENT_HEAD ? "→ " : "  ", name);
}

static void part_band(const void *context, int col, char *buf, size_t size)
{
    const struct parts_ctx *ctx = context;

    if (col == 0)
        snprintf(buf, size, "sum");
    else
        sx_period_text(buf, size, ctx->r->period[col - 1]);
}

static void part_text(const void *context, int row, int col, char *buf, size_t size)
{
    const struct parts_ctx *ctx = context;
    sx_rounded_text(buf, size, part_value(context, row, col), ctx->digits, ctx->ascii);
}

static const char *unit_of(const struct sx_composition_result *r)
{
    return r->side == SX_OF_VALUE ? "logits" : "score";
}

static struct sx_heatmap parts_map(struct parts_ctx *ctx, int width)
{
    const int cols = (int)bands_shown(ctx->r) + 1;
    int cell = (width - NAME_WIDTH) / cols;

    cell = cell >= 6 ? 6 : cell == 5 ? 5 : 2;
    ctx->digits = cell - 1;
    return (struct sx_heatmap){
        .rows = (int)ctx->state->n_parts,
        .cols = cols,
        .value = part_value,
        .row_label = part_name,
        .col_label = part_band,
        .ctx = ctx,
        .row_label_width = NAME_WIDTH,
        .cell_width = cell,
        .cell_text = cell >= 5 ? part_text : NULL,
        .numbers = true,
        .diverging = true,
        .lo = -ctx->state->part_end,
        .hi = ctx->state->part_end,
        .unit = unit_of(ctx->r),
    };
}

static void parts_title(char *out, size_t size, const struct circuit_state *state,
                        const struct sx_session *session)
{
    const struct sx_composition_result *r = &session->composition.result;
    const bool kept = sx_is_answer(session);
    char query[SX_POSITION_TEXT], key[SX_POSITION_TEXT];

    sx_position_text(query, session, kept ? r->query : sx_selected_token(session));
    sx_position_text(key, session, kept ? r->key : sx_selected_key(session));
    if (state->side == SX_OF_QUERY)
        snprintf(out, size, "query of L%zu.H%zu at %s · key %s", layer_of(session),
                 head_of(session), query, key);
    else
        snprintf(out, size, "%s of L%zu.H%zu at %s · query %s", side_word[state->side],
                 layer_of(session), head_of(session), key, query);
}

/* The norm's side of the cell, and what all terms add up to. */
static void draw_parts_foot(struct sx_canvas *cv, int y, const struct parts_ctx *ctx)
{
    const struct sx_composition_result *r = ctx->r;
    const uint32_t at = ctx->state->part_order[ctx->state->parts.row];
    const int band = ctx->state->parts.col - 1;
    int x = 0;

    x += sx_put(cv, x, y, SX_STYLE_LABEL, r->side == SX_OF_VALUE ? "all " : "score ");
    x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%+.4f", r->score);
    if (band >= 0 && r->radial && r->tangential) {
        const size_t i = at * r->n_bands + (size_t)band;
        x += sx_put(cv, x, y, SX_STYLE_LABEL, "  to the norm ");
        x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%+.3g", r->radial[i]);
        x += sx_put(cv, x, y, SX_STYLE_LABEL, " across ");
        x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%+.3g", r->tangential[i]);
    }
    sx_put_residual(cv, x + 1, y, cv->w - x - 1, r->residual);
}

static void draw_parts(struct sx_canvas *cv, const struct sx_view *view,
                       const struct sx_session *session, bool focus)
{
    struct circuit_state *state = view->state;
    const struct sx_composition_data *data = &session->composition;
    char title[160];

    parts_title(title, sizeof title, state, session);
    struct sx_canvas body = sx_frame(cv, title,
                                     cv->w <= 60                  ? NULL
                                     : state->side == SX_OF_VALUE ? "logits"
                                                                  : "score by band",
                                     focus);
    if (!parts_ready(state, session)) {
        const bool same = parts_are_asked(state, session) && data->state != SX_STATE_READY;
        sx_result_notice(&body, session, same ? data->state : SX_STATE_PENDING, data->serial,
                         &data->error, "what the head is made of …");
        return;
    }
    if (state->n_parts == 0)
        return;
    const int foot = body.h > 7;
    struct sx_canvas inner =
        sx_canvas_sub(&body, (struct sx_rect){1, 0, body.w - 2, body.h - foot});
    struct parts_ctx ctx = {state, &data->result, 0, sx_canvas_ascii(cv)};
    const struct sx_heatmap map = parts_map(&ctx, inner.w);
    sx_heatmap_draw(&inner, &map, &state->parts, focus);
    struct sx_canvas below = sx_canvas_sub(&body, (struct sx_rect){1, body.h - 1, body.w - 2, 1});
    if (foot)
        draw_parts_foot(&below, 0, &ctx);
}

/* --- all heads ----------------------------------------------------------------------------------
 */

static double head_value(const void *context, int row, int col)
{
    const struct circuit_state *state = context;
    return (double)state->head_value[(size_t)row * state->n_heads + (size_t)col];
}

static void head_row(const void *context, int row, char *buf, size_t size)
{
    (void)context;
    snprintf(buf, size, "L%d", row);
}

static void head_col(const void *context, int col, char *buf, size_t size)
{
    (void)context;
    snprintf(buf, size, "H%d", col);
}

static void head_text(const void *context, int row, int col, char *buf, size_t size)
{
    sx_rounded_text(buf, size, head_value(context, row, col), 5, true);
}

static struct sx_heatmap heads_map(const struct circuit_state *state, int width)
{
    const bool numbers = 5 + (int)state->n_heads * 6 <= width;

    return (struct sx_heatmap){
        .rows = (int)state->n_layers,
        .cols = (int)state->n_heads,
        .value = head_value,
        .row_label = head_row,
        .col_label = head_col,
        .ctx = state,
        .row_label_width = 5,
        .cell_width = numbers ? 6 : 2,
        .cell_text = numbers ? head_text : NULL,
        .numbers = true,
        .diverging = true,
        .lo = -state->head_end,
        .hi = state->head_end,
        .unit = "logits",
    };
}

static void draw_heads(struct sx_canvas *cv, const struct sx_view *view,
                       const struct sx_session *session)
{
    struct circuit_state *state = view->state;
    struct sx_canvas body = sx_frame(cv, "what the heads write", "layer × head", false);

    if (!terms_ready(state, session))
        return;
    struct sx_canvas inner = sx_canvas_sub(&body, (struct sx_rect){1, 0, body.w - 2, body.h});
    const struct sx_heatmap map = heads_map(state, inner.w);
    state->heads.row = (int)layer_of(session);
    state->heads.col = (int)head_of(session);
    sx_heatmap_draw(&inner, &map, &state->heads, false);
}

/* --- linearised attribution by embedding --------------------------------------------------------
 */

/* The largest of them, with their signs, in columns. */
static void draw_most_embedding(struct sx_canvas *cv, const struct sx_session *session)
{
    const struct sx_attribution_result *r = &session->attribution.result;
    const int width = sx_is_protein(session) ? 16 : 28;
    const int columns = cv->w / width > 0 ? cv->w / width : 1;
    size_t best[64];
    int count = 0;
    const int most = columns * cv->h < 64 ? columns * cv->h : 64;

    for (size_t t = 0; t < r->n; t++) {
        int at = count < most ? count++ : most;
        for (; at > 0 && fabs(r->by_embedding[best[at - 1]]) < fabs(r->by_embedding[t]); at--)
            if (at < most)
                best[at] = best[at - 1];
        if (at < most)
            best[at] = t;
    }
    for (int i = 0; i < count; i++) {
        char here[SX_POSITION_TEXT], text[24];
        const int x = 1 + i % columns * width;
        sx_put_cut(cv, x, i / columns, width - 9, SX_STYLE_TEXT,
                   sx_position_text(here, session, best[i]));
        sx_signed_text(text, sizeof text, r->by_embedding[best[i]], 7, sx_canvas_ascii(cv));
        sx_put_right(cv, x + width - 9, i / columns, 7, SX_STYLE_NUMBER, text);
    }
}

static struct sx_strip strip_of(const struct circuit_state *state, const struct sx_session *session)
{
    return (struct sx_strip){
        .input = &session->input,
        .value = state->embedding,
        .hi = state->embedding_end,
        .cursor = sx_selected_key(session),
        .other = sx_selected_token(session),
    };
}

static void draw_embedding_sums(struct sx_canvas *cv, int y, const struct sx_session *session)
{
    const struct sx_attribution_result *r = &session->attribution.result;
    char here[SX_POSITION_TEXT];
    const size_t key = sx_selected_key(session);
    double sum = 0;

    for (size_t t = 0; t < r->n; t++)
        sum += r->by_embedding[t];
    int x = 1 + sx_putf(cv, 1, y, SX_STYLE_STRONG, "%s ", sx_position_text(here, session, key));
    x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%+.6g", key < r->n ? r->by_embedding[key] : 0);
    sx_put(cv, x, y, SX_STYLE_UNIT, " logits");
    x = put_sum(cv, 1, y + 1, "embeddings", sum);
    x = put_sum(cv, x, y + 1, "biases", r->from_biases);
    x = put_sum(cv, x, y + 1, "logit", r->logit);
    sx_put_residual(cv, x, y + 1, cv->w - x - 1, r->linearised_residual);
}

static void draw_embeddings(struct sx_canvas *cv, const struct sx_view *view,
                            const struct sx_session *session, bool focus)
{
    struct circuit_state *state = view->state;
    struct sx_canvas body = sx_frame(cv, "from the embeddings · all layers linearised",
                                     cv->w > 70 ? "|effect|" : NULL, focus);

    if (!terms_ready(state, session) || !state->embedding) {
        sx_slot_notice(&body, SX_STATE_PENDING, NULL, "carrying the logit back …", "");
        return;
    }
    struct sx_strip strip = strip_of(state, session);
    strip.focus = focus;
    int rows = sx_strip_height(&strip, body.w);
    const int rest = body.h > 12 ? 6 : body.h > 5 ? 2 : 0;
    rows = rows > body.h - rest ? (body.h - rest) / 2 * 2 : rows;
    struct sx_canvas tokens = sx_canvas_sub(&body, (struct sx_rect){0, 0, body.w, rows});
    sx_strip_draw(&tokens, &strip, &state->strip);
    if (rest == 0)
        return;
    draw_embedding_sums(&body, rows, session);
    struct sx_canvas most =
        sx_canvas_sub(&body, (struct sx_rect){0, rows + 3, body.w, body.h - rows - 3});
    if (most.h > 1) {
        sx_put(&body, 1, rows + 2, SX_STYLE_HEADER, "most");
        draw_most_embedding(&most, session);
    }
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static void circuit_draw(const struct sx_view *view, const struct sx_session *session,
                         struct sx_canvas *canvas)
{
    const struct circuit_state *state = view->state;
    struct sx_rect pane[3];

    if (sx_too_small(canvas, 24, 6) ||
        sx_weights_notice(canvas, session, "circuit",
                          terms_current(session) || parts_current(state, session)))
        return;
    panes_of(view, session, pane);
    struct sx_canvas terms = sx_canvas_sub(canvas, pane[0]);
    struct sx_canvas parts = sx_canvas_sub(canvas, pane[1]);
    struct sx_canvas heads = sx_canvas_sub(canvas, pane[2]);
    if (pane[0].w > 0)
        draw_terms(&terms, view, session, view->focus == TERMS_PANE);
    if (pane[1].w > 0 && state->embeddings)
        draw_embeddings(&parts, view, session, view->focus == PARTS_PANE);
    else if (pane[1].w > 0)
        draw_parts(&parts, view, session, view->focus == PARTS_PANE);
    if (pane[2].w > 0)
        draw_heads(&heads, view, session);
    if (pane[1].y == 0 && pane[1].w > 0 && pane[0].w > 0 && pane[0].w < view->width)
        sx_divider(canvas, pane[0].w, 0, view->height);
    if (pane[2].w > 0)
        sx_put_char(canvas, pane[0].w, pane[2].y, SX_STYLE_RULE,
                    sx_glyph(canvas, SX_GLYPH_TEE_RIGHT));
}

static size_t circuit_followers(const struct sx_view *view, const struct sx_session *session,
                                struct sx_rect out[SX_FOLLOWERS])
{
    const struct circuit_state *state = view->state;
    struct sx_rect pane[3];

    if (!terms_ready(state, session) || view->focus != TERMS_PANE || state->embeddings)
        return 0;
    panes_of(view, session, pane);
    out[0] = pane[1];
    out[1] = pane[2];
    return (pane[1].w > 0) + (pane[2].w > 0);
}

static void ask_terms(struct circuit_state *state, const struct sx_session *session,
                      struct sx_emit *emit)
{
    struct sx_str line = SX_STR_INIT;

    sx_str_append(&line, "attribution");
    if (*state->against) {
        sx_str_append(&line, " --against ");
        sx_command_quote(state->against, &line);
    }
    if (state->embeddings) {
        sx_str_append(&line, " --linearised");
        state->linear_serial = session->input.serial;
        state->linear_token = sx_selected_token(session);
    }
    sx_emit_line(emit, "%s", line.data);
    sx_str_release(&line);
}

static void ask_parts(const struct circuit_state *state, const struct sx_session *session,
                      struct sx_emit *emit)
{
    sx_emit_line(emit, "composition --layer %zu --head %zu --side %s", layer_of(session),
                 head_of(session), side_word[state->side]);
}

/* Nothing was chosen yet: the head that does most. */
static bool choose_head(const struct circuit_state *state, const struct sx_session *session,
                        struct sx_emit *emit)
{
    size_t best = 0;

    if (session->selection.layer != 0 || session->selection.head != 0 || state->n_steps > 0)
        return false;
    for (size_t i = 1; i < state->n_layers * state->n_heads; i++)
        if (fabsf(state->head_value[i]) > fabsf(state->head_value[best]))
            best = i;
    if (best == 0 || state->n_heads == 0)
        return false;
    sx_emit_line(emit, "select --layer %zu --head %zu", best / state->n_heads,
                 best % state->n_heads);
    return true;
}

/* The result follows another token than the settings say. */
static bool target_moved(const struct sx_session *session, int32_t followed)
{
    const int32_t target = session->settings.target;
    return target >= 0 && followed != target;
}

static void circuit_need(struct sx_view *view, const struct sx_session *session,
                         struct sx_emit *emit)
{
    struct circuit_state *state = view->state;
    const struct sx_attribution_data *terms = &session->attribution;
    const struct sx_composition_data *parts = &session->composition;
    const bool fresh = state->terms_seen != session->revision[SX_SLOT_ATTRIBUTION] + 1;

    if (!sx_need_input(session, emit))
        return;
    follow(state, session);
    if (session->input.run) {
        if (fresh && terms_ready(state, session))
            choose_head(state, session, emit);
        return;
    }
    const bool logits = session->input.info.has_lm_head; /* without, heads can still be looked at */
    if (logits && (sx_slot_wanted(session, terms->state, terms->serial) ||
                   terms->result.token != sx_selected_token(session) ||
                   target_moved(session, terms->result.target) ||
                   (state->embeddings && terms_current(session) && !terms->result.by_embedding &&
                    (state->linear_serial != session->input.serial ||
                     state->linear_token != sx_selected_token(session)))))
        ask_terms(state, session, emit);
    if (fresh && terms_ready(state, session) && choose_head(state, session, emit))
        return;
    if (!view->moving && !state->embeddings &&
        (sx_slot_wanted(session, parts->state, parts->serial) || !parts_are_asked(state, session) ||
         (state->side == SX_OF_VALUE && target_moved(session, parts->result.target))))
        ask_parts(state, session, emit);
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void choose(const struct sx_session *session, const struct sx_component *c,
                   struct sx_emit *emit)
{
    if (c->kind == SX_COMPONENT_HEAD &&
        (c->layer != session->selection.layer || c->head != session->selection.head))
        sx_emit_line(emit, "select --layer %u --head %u", c->layer, c->head);
}

/* To the head that wrote this part. What writes a key or a value does so at the key's token: there
 * it is looked at. */
static void go_to_writer(struct circuit_state *state, const struct sx_session *session,
                         struct sx_emit *emit)
{
    const struct sx_composition_result *r = &session->composition.result;
    const struct sx_component *c;

    if (!parts_ready(state, session) || (size_t)state->parts.row >= state->n_parts)
        return;
    c = &r->terms[state->part_order[state->parts.row]].component;
    if (c->kind != SX_COMPONENT_HEAD) {
        char name[32];
        sx_component_label(c, name, sizeof name);
        sx_emit_line(emit, "message %s is no head: there is nothing behind it here", name);
        return;
    }
    if (state->n_steps == MAX_BACK) {
        memmove(state->step, state->step + 1, (MAX_BACK - 1) * sizeof *state->step);
        state->n_steps--;
    }
    state->step[state->n_steps++] =
        (struct step){layer_of(session), head_of(session), sx_selected_token(session)};
    choose(session, c, emit);
    if (state->side != SX_OF_QUERY)
        sx_select_token(session, sx_selected_key(session), emit);
}

static bool go_back(struct circuit_state *state, const struct sx_session *session,
                    struct sx_emit *emit)
{
    if (state->n_steps == 0)
        return false;
    const struct step to = state->step[--state->n_steps];
    sx_emit_line(emit, "select --layer %zu --head %zu", to.layer, to.head);
    sx_select_token(session, to.token, emit);
    return true;
}

static void turn_against(struct circuit_state *state, const struct sx_session *session,
                         struct sx_emit *emit)
{
    snprintf(state->against, sizeof state->against, "%s",
             session->attribution.result.against == -1 ? "mean" : "none");
    ask_terms(state, session, emit);
}

static void reorder(struct circuit_state *state, const struct sx_session *session)
{
    state->by_layer = !state->by_layer;
    if (terms_ready(state, session)) {
        follow_terms(state, session);
        follow_selection(state, session);
    }
    if (parts_ready(state, session))
        follow_parts(state, session);
}

/* A line with text behind it, quoted; nothing typed: `fallback`. */
static void emit_with(struct sx_emit *emit, const char *start, const char *text,
                      const char *fallback)
{
    struct sx_str line = SX_STR_INIT;

    sx_str_append(&line, start);
    sx_command_quote(text && *text ? text : fallback, &line);
    sx_emit_line(emit, "%s", line.data);
    sx_str_release(&line);
}

static bool ask_request(struct circuit_state *state, const struct sx_session *session,
                        const struct sx_view_request *request, struct sx_emit *emit)
{
    const char *name = request->name, *text = request->text ? request->text : "";
    size_t token;

    if (strcmp(name, "ask-target") == 0) {
        emit_with(emit, "set --target ", text, "default");
        if (!*text)
            ask_terms(state, session, emit);
    } else if (strcmp(name, "ask-against") == 0) {
        snprintf(state->against, sizeof state->against, "%s", *text ? text : "none");
        ask_terms(state, session, emit);
    } else if (strcmp(name, "ask-key") == 0) {
        if (*text && sx_token_of_text(session, text, &token, emit))
            sx_select_key(session, token, emit);
    } else {
        return false;
    }
    return true;
}

static bool mode_request(struct sx_view *view, const struct sx_session *session, const char *name,
                         struct sx_emit *emit)
{
    struct circuit_state *state = view->state;

    if (strcmp(name, "order") == 0) {
        reorder(state, session);
    } else if (strcmp(name, "side") == 0) {
        state->side = (enum sx_side_of_score)((state->side + 1) % 3);
    } else if (strcmp(name, "embeddings") == 0) {
        state->embeddings = !state->embeddings;
    } else if (strcmp(name, "against") == 0) {
        turn_against(state, session, emit);
    } else if (strcmp(name, "to-bos") == 0) {
        sx_select_key(session, 0, emit);
    } else if (strcmp(name, "again") == 0) {
        if (view->focus == TERMS_PANE || state->embeddings)
            ask_terms(state, session, emit);
        else
            ask_parts(state, session, emit);
    } else {
        return false;
    }
    return true;
}

static size_t stepped(size_t from, const struct sx_view_request *request, size_t n)
{
    const size_t by = request->count > 0 ? request->count : 1;

    if (strstr(request->name, "next"))
        return from + by < n ? from + by : n - 1;
    return from > by ? from - by : 0;
}

static bool step_request(const struct sx_session *session, const struct sx_view_request *request,
                         struct sx_emit *emit)
{
    const size_t n = session->input.n;

    if (strncmp(request->name, "key-", 4) == 0)
        sx_select_key(session, stepped(sx_selected_key(session), request, n), emit);
    else if (strncmp(request->name, "query-", 6) == 0)
        sx_select_token(session, stepped(sx_selected_token(session), request, n), emit);
    else
        return false;
    return true;
}

static bool terms_request(struct sx_view *view, const struct sx_session *session,
                          struct sx_rect pane, const struct sx_view_request *request,
                          struct sx_emit *emit)
{
    struct circuit_state *state = view->state;

    if (!terms_ready(state, session))
        return false;
    pane.h -= terms_foot(pane.h);
    const struct terms_ctx ctx = terms_ctx_of(state, session, pane.w, false);
    const struct sx_table table = terms_table(&ctx);
    if (!sx_list_request(&table, &state->terms, pane, request, emit))
        return false;
    if (state->terms.column >= COL_BAR)
        state->terms.column = COL_CONTEXT;
    if (state->terms.cursor < state->n_terms)
        choose(session, &term_at(&ctx, state->terms.cursor)->component, emit);
    return true;
}

static bool parts_request(struct circuit_state *state, const struct sx_session *session,
                          struct sx_rect pane, const struct sx_view_request *request,
                          struct sx_emit *emit)
{
    int row, col;

    if (!parts_ready(state, session) || state->n_parts == 0)
        return false;
    struct parts_ctx ctx = {state, &session->composition.result, 0, false};
    const struct sx_heatmap map = parts_map(&ctx, pane.w - 2);
    emit->dirty = true;
    if (strcmp(request->name, "click") == 0) {
        if (sx_heatmap_hit(&map, &state->parts, request->x - pane.x - 1, request->y - pane.y - 1,
                           &row, &col)) {
            state->parts.row = row;
            state->parts.col = col;
        }
        return true;
    }
    return sx_heatmap_request(&map, &state->parts, request->name, request->count);
}

static bool embedding_request(struct sx_view *view, const struct sx_session *session,
                              struct sx_rect pane, const struct sx_view_request *request,
                              struct sx_emit *emit)
{
    struct circuit_state *state = view->state;
    const struct sx_strip strip = strip_of(state, session);
    size_t token = sx_selected_key(session);

    if (strcmp(request->name, "click") == 0) {
        token = sx_strip_at(&strip, &state->strip, pane.w, request->x - pane.x,
                            request->y - pane.y - 1);
        if (token == SIZE_MAX)
            return true;
    } else if (!sx_strip_request(&strip, &state->strip, pane.w, request->name, request->count,
                                 &token)) {
        return false;
    }
    sx_select_key(session, token, emit);
    return true;
}

static bool click_heads(struct circuit_state *state, const struct sx_session *session,
                        struct sx_rect pane, const struct sx_view_request *request,
                        struct sx_emit *emit)
{
    int row, col;

    if (!terms_ready(state, session))
        return true;
    const struct sx_heatmap map = heads_map(state, pane.w - 2);
    if (sx_heatmap_hit(&map, &state->heads, request->x - pane.x - 1, request->y - pane.y - 1, &row,
                       &col))
        choose(session, &(struct sx_component){SX_COMPONENT_HEAD, (uint32_t)row, (uint32_t)col},
               emit);
    return true;
}

static bool pane_request(struct sx_view *view, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    struct circuit_state *state = view->state;
    struct sx_rect pane[3];
    int at = view->focus;

    panes_of(view, session, pane);
    if (strcmp(request->name, "click") == 0) {
        at = sx_pane_at(pane, 3, request->x, request->y);
        if (at == 2)
            return click_heads(state, session, pane[2], request, emit);
        if (at < 0)
            return true;
        if (at != view->focus && !sx_folded(view))
            view->focus = at;
    }
    if (at == TERMS_PANE)
        return terms_request(view, session, pane[0], request, emit);
    if (state->embeddings)
        return embedding_request(view, session, pane[1], request, emit);
    return parts_request(state, session, pane[1], request, emit);
}

static bool circuit_request(struct sx_view *view, const struct sx_session *session,
                            const struct sx_view_request *request, struct sx_emit *emit)
{
    struct circuit_state *state = view->state;
    bool taken = true;

    if (sx_input_request(session, request, emit))
        return true;
    if (!sx_input_ready(session))
        return false;
    if (strcmp(request->name, "open") == 0) {
        if (view->focus == TERMS_PANE)
            view->focus = PARTS_PANE;
        else if (!state->embeddings)
            go_to_writer(state, session, emit);
    } else if (strcmp(request->name, "back") == 0) {
        taken = go_back(state, session, emit);
    } else {
        taken = ask_request(state, session, request, emit) ||
                mode_request(view, session, request->name, emit) ||
                step_request(session, request, emit) || pane_request(view, session, request, emit);
    }
    emit->dirty |= taken;
    if (taken && (strcmp(request->name, "side") == 0 || strcmp(request->name, "embeddings") == 0))
        circuit_need(view, session, emit);
    return taken;
}

/* --- as data ------------------------------------------------------------------------------------
 */

static void row_component(struct sx_value *row, const struct sx_component *c)
{
    const bool layer = c->kind != SX_COMPONENT_EMBED && c->kind != SX_COMPONENT_CONST;

    sx_value_set(row, "component", sx_value_string(sx_component_name(c->kind)));
    sx_value_set(row, "layer", layer ? sx_value_int(c->layer) : sx_value_null());
    sx_value_set(row, "head",
                 c->kind == SX_COMPONENT_HEAD ? sx_value_int(c->head) : sx_value_null());
}

static void terms_rows(struct sx_value *document, struct sx_value *rows,
                       const struct sx_attribution_data *data)
{
    const struct sx_attribution_result *r = &data->result;

    sx_value_set(document, "token", sx_value_int((int64_t)r->token));
    sx_value_set(document, "target", sx_value_string(data->target_text));
    sx_value_set(document, "total", sx_value_real(r->total));
    sx_value_set(document, "logit", sx_value_real(r->logit));
    sx_value_set(document, "residual", sx_value_real(r->residual));
    for (size_t i = 0; i < r->n_terms; i++) {
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        row_component(row, &r->terms[i].component);
        sx_row_real(row, "value", r->terms[i].value);
        sx_row_real(row, "bos", r->terms[i].bos);
        sx_row_real(row, "own", r->terms[i].own);
        sx_row_real(row, "context", r->terms[i].context);
    }
}

static void parts_rows(struct sx_value *document, struct sx_value *rows,
                       const struct sx_composition_result *r)
{
    sx_value_set(document, "layer", sx_value_int((int64_t)r->layer));
    sx_value_set(document, "head", sx_value_int((int64_t)r->head));
    sx_value_set(document, "query", sx_value_int((int64_t)r->query));
    sx_value_set(document, "key", sx_value_int((int64_t)r->key));
    sx_value_set(document, "side", sx_value_string(side_word[r->side]));
    sx_value_set(document, "score", sx_value_real(r->score));
    sx_value_set(document, "residual", sx_value_real(r->residual));
    for (size_t i = 0; i < r->n_terms; i++) {
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        row_component(row, &r->terms[i].component);
        sx_row_real(row, "score", r->terms[i].score);
        for (size_t b = 0; b < bands_shown(r); b++) {
            char name[32];
            snprintf(name, sizeof name, "band_%zu", b);
            sx_row_real(row, name, r->band[i * r->n_bands + b]);
        }
    }
}

/* The pane with the focus. */
static struct sx_value *circuit_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct circuit_state *state = view->state;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    if (view->focus == PARTS_PANE && parts_current(state, session))
        parts_rows(document, rows, &session->composition.result);
    else if (view->focus == TERMS_PANE && terms_current(session))
        terms_rows(document, rows, &session->attribution);
    return document;
}

static void circuit_line(const struct sx_view *view, const struct sx_session *session,
                         struct sx_str *out)
{
    const char *line =
        view->focus == PARTS_PANE ? session->composition.line : session->attribution.line;
    if (sx_input_ready(session) && line)
        sx_str_append(out, line);
}

static void circuit_release(struct sx_view *view)
{
    struct circuit_state *state = view->state;

    sx_free(state->term_order);
    sx_free(state->part_order);
    sx_free(state->head_value);
    sx_free(state->embedding);
}

static const struct sx_key_binding keys[] = {
    {"circuit", "Enter", "open", "follow →",
     "To the head's parts; there to the head that wrote it.", "Circuit"},
    {"circuit", "x", "side", "q/k/v", "What its query, its key or its value is made of.",
     "Circuit"},
    {"circuit", "o", "order", "order", "By the size of the effect, or by layer.", "Circuit"},
    {"circuit", "t", "ask-target", "target",
     "The token whose logit is followed; empty: M, or the next token.", "Circuit"},
    {"circuit", "v", "against", "- mean", "Take the mean of the logits off, or not.", "Circuit"},
    {"circuit", "V", "ask-against", NULL, "Take the logit of this token off; empty: of none.",
     "Circuit"},
    {"circuit", "w", "embeddings", "embeddings",
     "How much comes from each token's embedding, with every layer linearised.", "Circuit"},
    {"circuit", "]", "key-next", NULL, "The next key.", "Circuit"},
    {"circuit", "[", "key-previous", NULL, "The key before.", "Circuit"},
    {"circuit", "}", "query-next", NULL, "The next query.", "Circuit"},
    {"circuit", "{", "query-previous", NULL, "The query before.", "Circuit"},
    {"circuit", "e", "ask-key", NULL, "Another key, by its number.", "Circuit"},
    {"circuit", "b", "to-bos", NULL, "The first token as key.", "Circuit"},
    {"circuit", "r", "again", NULL, "Compute again.", "Circuit"},
    {"circuit", "i", "ask-input", NULL, "Type another sequence or prompt.", "Circuit"},
    {"circuit", "p", ":view patching", "patching", "What changes when heads and tokens change.",
     "Circuit"},
    {"circuit", "H", ":view head", NULL, "The head in full.", "Circuit"},
    {"circuit", "a", ":view attention", NULL, "The attention of this query.", "Circuit"},
    {"circuit", "s", ":view sequence", NULL, "The query in the sequence.", "Circuit"},
    {"circuit", "C", ":copy line", NULL, "Copy the command line that gives this.", "Circuit"},
    {"circuit", "R", "made", NULL, "The run that made it.", "Circuit"},
};

const struct sx_view_ops sx_view_circuit = {
    .name = "circuit",
    .help = "what a logit is made of, and what the heads behind it are made of",
    .key = 'i',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_SETTINGS |
               1u << SX_SLOT_INPUT | 1u << SX_SLOT_ATTRIBUTION | 1u << SX_SLOT_COMPOSITION,
    .n_panes = 2,
    .state_size = sizeof(struct circuit_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = circuit_need,
    .draw = circuit_draw,
    .followers = circuit_followers,
    .request = circuit_request,
    .title = sx_title_of_input,
    .data = circuit_data,
    .line = circuit_line,
    .release = circuit_release,
};
