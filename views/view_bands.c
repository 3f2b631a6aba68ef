/* bands: the score of one query and one key in rotary bands, layer by band or head by band, in
 * condition A, in B, and what makes the difference; the score of each band along the positions. */
#include "all_views.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "band_cell.h"
#include "band_parts.h"
#include "band_table.h"
#include "model_parts.h"
#include "sextant/interp/names.h"
#include "sextant/tui/heatmap.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

enum show { CHANGE, SCORE_A, SCORE_B, BOTH, SHOWS };

struct bands_state {
    enum sx_band_mode mode, before; /* before: what the profile was opened from */
    enum sx_band_group group;
    enum show show;
    unsigned change; /* term of the difference, from SX_BAND_TOTAL on */
    bool by_effect;
    struct sx_heatmap_state table, other, profile;
    struct sx_band_pin pin;
    uint64_t serial; /* of the input that `pin` is of */
    /* Where the cursor has been put because nobody had moved it, and for which query and key. */
    struct arrival {
        bool made;
        size_t layer, head, query, key;
    } arrival;
};

enum { ROW_LABEL = 11, SUM = 8, CELL_LEAST = 5, CELL_MOST = 7, TABLE_FOOT = 5, TABLE_LEAST = 66 };

/* --- what is there ------------------------------------------------------------------------------
 */

/* A query of GPT-NeoX sees no key behind it. */
static bool sees_key(const struct sx_session *session, size_t query)
{
    return sx_is_protein(session) || sx_selected_key(session) <= query;
}

/* B may be here: its query sees the key, and a mask takes the place of a residue. */
static bool can_be_b(const struct sx_session *session, size_t token)
{
    const struct sx_input *input = &session->input;
    const size_t query = sx_selected_token(session);

    if (token >= input->n || token == query || !sees_key(session, token))
        return false;
    return !sx_is_protein(session) || !input->masked[query] ||
           (!input->masked[token] &&
            strchr("LAGVSERTIDPKQNFYMHWCXBUZO", input->tokens[token].text[0]));
}

/* Where B's mask stands, or B's query: SIZE_MAX without B. */
static size_t against_of(const struct sx_session *session)
{
    const size_t at = session->settings.against;
    return can_be_b(session, at) ? at : SIZE_MAX;
}

static bool asked_alike(const struct sx_session *session)
{
    const struct sx_bands_data *data = &session->bands;

    return sx_is_answer(session) || (data->result.query_a == sx_selected_token(session) &&
                                     data->result.key_a == sx_selected_key(session) &&
                                     (data->other || data->against == against_of(session)));
}

static bool bands_current(const struct sx_session *session)
{
    return sx_slot_current(session, session->bands.state, session->bands.serial) &&
           asked_alike(session);
}

static size_t layer_at(const struct sx_session *session)
{
    const size_t n = session->bands.result.n_layers, at = session->selection.layer;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

static size_t head_at(const struct sx_session *session)
{
    const size_t n = session->bands.result.n_heads, at = session->selection.head;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

static size_t band_at(const struct sx_session *session)
{
    const size_t n = session->bands.result.n_bands, at = session->selection.band;
    return at < n ? at : n > 0 ? n - 1 : 0;
}

static enum sx_band_term term_of(const struct bands_state *state, const struct sx_session *session)
{
    if (!session->bands.result.split || state->show == SCORE_A || state->show == BOTH)
        return SX_BAND_SCORE_A;
    if (state->show == SCORE_B)
        return SX_BAND_SCORE_B;
    return (enum sx_band_term)(SX_BAND_TOTAL + state->change);
}

/* The positions are a pass each: small models are asked at once. */
static bool profile_unasked(const struct sx_view *view, const struct sx_session *session)
{
    const double cost = (double)session->input.n * (double)session->input.info.parameters / 1e6;

    return !sx_folded(view) && view->height >= 30 && cost <= sx_layout_int(view, "unasked", 2000);
}

static struct sx_band_table table_of(const struct bands_state *state,
                                     const struct sx_session *session)
{
    struct sx_band_table t = {
        .result = &session->bands.result,
        .mode = state->mode,
        .group = state->group,
        .term = term_of(state, session),
        .layer = layer_at(session),
        .head = head_at(session),
        .pin = state->pin,
        .cell = CELL_LEAST,
    };

    sx_band_table_gather(&t, state->by_effect, state->before == SX_BANDS_HEADS);
    return t;
}

/* --- the table ----------------------------------------------------------------------------------
 */

static double table_value(const void *ctx, int row, int col)
{
    return sx_band_row_value(ctx, row, col);
}

static void table_text(const void *ctx, int row, int col, char *buf, size_t size)
{
    const struct sx_band_table *t = ctx;
    sx_band_number(t, sx_band_row_value(t, row, col), t->cell - 1, buf, size);
}

static void table_row(const void *ctx, int row, char *buf, size_t size)
{
    const struct sx_band_table *t = ctx;
    const size_t at = sx_band_row_at(t, row);
    const bool heads = t->mode == SX_BANDS_HEADS;
    const bool pinned =
        t->pin.set && t->pin.head_alone == heads &&
        (heads ? t->pin.layer == t->layer && t->pin.head == at : t->pin.layer == at);

    snprintf(buf, size, "%s %zu%s%s", heads ? "head" : "layer", at,
             heads && sx_band_reads(t, t->layer, at) ? (t->ascii ? " o" : " ●") : "",
             pinned ? " *" : "");
}

static void table_col(const void *ctx, int col, char *buf, size_t size)
{
    const struct sx_band_table *t = ctx;
    sx_period_text(buf, size, t->result->period[col]);
}

static double table_most(const struct sx_band_table *t)
{
    double most = 0;

    for (int row = 0; row < sx_band_row_count(t); row++)
        for (size_t b = 0; b < t->result->n_bands; b++)
            most = fmax(most, fabs(sx_band_row_value(t, row, (int)b))); /* fmax leaves NaN out */
    return most;
}

static struct sx_heatmap heatmap_of(struct sx_band_table *t, int width)
{
    const int bands = (int)t->result->n_bands > 0 ? (int)t->result->n_bands : 1;
    const bool coupling = t->term == SX_BAND_COUPLING;
    const double end = coupling ? 1 : sx_scale_end(table_most(t));
    int cell = (width - ROW_LABEL - SUM) / bands;

    cell = cell < CELL_LEAST ? CELL_LEAST : cell > CELL_MOST ? CELL_MOST : cell;
    t->cell = cell;
    return (struct sx_heatmap){
        .rows = sx_band_row_count(t),
        .cols = (int)t->result->n_bands,
        .value = table_value,
        .row_label = table_row,
        .col_label = table_col,
        .ctx = t,
        .row_label_width = ROW_LABEL,
        .cell_width = cell,
        .cell_text = table_text,
        .numbers = true,
        .diverging = !coupling,
        .lo = coupling ? 0 : -end,
        .hi = end,
        .unit = coupling ? NULL : "logits",
        .what = sx_band_term_label(t->term),
    };
}

/* The canvas of the table, which leaves room for the sums at its right. */
static struct sx_canvas table_canvas(const struct sx_canvas *cv)
{
    return sx_canvas_sub(
        cv, (struct sx_rect){0, 0, cv->w > SUM + ROW_LABEL ? cv->w - SUM : cv->w, cv->h});
}

static void draw_sums(struct sx_canvas *cv, const struct sx_band_table *t,
                      const struct sx_heatmap_state *map)
{
    const int x = ROW_LABEL + map->page_cols * t->cell;
    char text[32];

    sx_put_right(cv, x, 0, SUM - 1, SX_STYLE_HEADER, t->ascii ? "sum" : "Σ");
    for (int r = 0; r < map->page_rows; r++) {
        sx_band_number(t, sx_band_row_value(t, map->top + r, SX_ALL_BANDS), SUM - 1, text,
                       sizeof text);
        sx_put_right(cv, x, 1 + r, SUM - 1, SX_STYLE_NUMBER, text);
    }
}

/* The pinned row again, below the table, in its columns. */
static void draw_pinned(struct sx_canvas *cv, int y, const struct sx_band_table *t,
                        const struct sx_heatmap_state *map)
{
    char text[32];

    if (t->pin.head_alone)
        snprintf(text, sizeof text, "L%zu H%zu *", t->pin.layer, t->pin.head);
    else
        snprintf(text, sizeof text, "layer %zu *", t->pin.layer);
    sx_put_cut(cv, 0, y, ROW_LABEL - 1, SX_STYLE_LABEL, text);
    for (int c = 0; c < map->page_cols; c++) {
        sx_band_number(t, sx_band_pin_value(t, map->left + c), t->cell - 1, text, sizeof text);
        sx_put_right(cv, ROW_LABEL + c * t->cell, y, t->cell - 1, SX_STYLE_NUMBER, text);
    }
    sx_band_number(t, sx_band_pin_value(t, SX_ALL_BANDS), SUM - 1, text, sizeof text);
    sx_put_right(cv, ROW_LABEL + map->page_cols * t->cell, y, SUM - 1, SX_STYLE_NUMBER, text);
}

static void draw_table(struct sx_canvas *cv, struct sx_band_table *t,
                       const struct sx_session *session, struct sx_heatmap_state *map, bool focus)
{
    const int below = t->pin.set && cv->h > 6 ? 1 : 0;
    struct sx_canvas part = sx_canvas_sub(cv, (struct sx_rect){0, 0, cv->w, cv->h - below});
    struct sx_canvas area = table_canvas(&part);

    t->ascii = sx_canvas_ascii(cv);
    const struct sx_heatmap heat = heatmap_of(t, cv->w);
    map->row = sx_band_row_of(t, t->mode == SX_BANDS_HEADS ? t->head : t->layer);
    map->col = (int)band_at(session);
    sx_heatmap_draw(&area, &heat, map, focus);
    sx_put(&part, 0, 0, SX_STYLE_HEADER, "period");
    draw_sums(&part, t, map);
    if (part.h > 3)
        sx_put_residual(&part, 0, map->page_rows + 2, cv->w - 1, t->result->residual);
    if (below)
        draw_pinned(cv, map->page_rows + 3, t, map);
}

/* "query M1 → key <cls>   A: mask at 1   B: mask at 38" */
static void draw_conditions(struct sx_canvas *cv, const struct sx_session *session)
{
    const struct sx_bands_data *data = &session->bands;
    const struct sx_bands_result *r = &data->result;
    const bool masked = session->input.masked[r->query_a];
    char text[SX_POSITION_TEXT];
    int x = sx_put(cv, 0, 0, SX_STYLE_LABEL, "query ");

    x += sx_put(cv, x, 0, SX_STYLE_TEXT, sx_position_text(text, session, r->query_a));
    x += sx_put(cv, x, 0, SX_STYLE_LABEL, masked && text[0] != '<' ? " masked, key " : ", key ");
    x += sx_put(cv, x, 0, SX_STYLE_TEXT, sx_position_text(text, session, r->key_a)) + 3;
    if (!r->b) {
        sx_put_cut(cv, x, 0, cv->w - x, SX_STYLE_DIM,
                   sx_is_protein(session) && !masked ? "m masks the query   b: condition B"
                                                     : "b chooses condition B");
        return;
    }
    x += sx_putf(cv, x, 0, SX_STYLE_LABEL, "A: %s %zu   B: ", masked ? "mask at" : "query",
                 r->query_a);
    if (data->other)
        sx_put_cut(cv, x, 0, cv->w - x, SX_STYLE_LABEL, "another sequence");
    else
        sx_putf(cv, x, 0, SX_STYLE_LABEL, "%s %zu", masked ? "mask at" : "query", r->query_b);
}

static void table_title(const struct sx_band_table *t, bool both, char *buf, size_t size)
{
    const char *term = both ? "score A and B" : sx_band_term_label(t->term);
    char group[32];

    sx_band_group_text(t, group, sizeof group);
    if (t->mode == SX_BANDS_HEADS)
        snprintf(buf, size, "layer %zu: head × band · %s", t->layer, term);
    else
        snprintf(buf, size, "layer × band · %s · heads: %s", term, group);
}

/* A and B beside each other, or above each other where the screen is narrow. */
static void draw_both(struct sx_canvas *cv, struct sx_band_table *t,
                      const struct sx_session *session, struct bands_state *state)
{
    const int least = ROW_LABEL + SUM + (int)t->result->n_bands * CELL_LEAST;
    const bool beside = cv->w >= 2 * least + 1;
    const int w = beside ? (cv->w - 1) / 2 : cv->w;
    const int h = beside ? cv->h : cv->h / 2;
    struct sx_canvas a = sx_canvas_sub(cv, (struct sx_rect){0, 0, w, h});
    struct sx_canvas b = sx_canvas_sub(
        cv, (struct sx_rect){beside ? w + 1 : 0, beside ? 0 : h, w, beside ? cv->h : cv->h - h});

    t->term = SX_BAND_SCORE_A;
    draw_table(&a, t, session, &state->table, true);
    t->term = SX_BAND_SCORE_B;
    draw_table(&b, t, session, &state->other, false);
    t->term = SX_BAND_SCORE_A;
}

/* --- the profile --------------------------------------------------------------------------------
 */

static bool has_profile(const struct sx_session *session)
{
    return session->bands.result.profile && session->bands.result.n_profile > 0;
}

struct profile {
    const struct sx_band_table *table;
    const struct sx_session *session;
};

static double profile_cell(const void *ctx, int row, int col)
{
    const struct profile *p = ctx;
    return sx_band_profile_value(p->table, row, col);
}

static void profile_row(const void *ctx, int row, char *buf, size_t size)
{
    const struct profile *p = ctx;
    if (row == (int)p->table->result->n_bands)
        snprintf(buf, size, "%s", p->table->ascii ? "sum" : "Σ");
    else
        sx_period_text(buf, size, p->table->result->period[row]);
}

static void profile_col(const void *ctx, int col, char *buf, size_t size)
{
    const struct profile *p = ctx;
    const uint32_t at = p->table->result->profile_at[col];

    if (at >= p->session->input.n)
        snprintf(buf, size, "–");
    else if (sx_is_protein(p->session))
        sx_residue_text(buf, size, &p->session->input, at);
    else
        snprintf(buf, size, "%u", (unsigned)at);
}

static struct sx_heatmap profile_of(const struct profile *p)
{
    const struct sx_bands_result *r = p->table->result;
    double most = 0;

    for (int row = 0; row < (int)r->n_bands; row++)
        for (int col = 0; col < (int)r->n_profile; col++)
            most = fmax(most, fabs(sx_band_profile_value(p->table, row, col)));
    const double end = sx_scale_end(most);
    return (struct sx_heatmap){
        .rows = (int)r->n_bands + 1,
        .cols = (int)r->n_profile,
        .value = profile_cell,
        .row_label = profile_row,
        .col_label = profile_col,
        .ctx = p,
        .row_label_width = 6,
        .diverging = true,
        .lo = -end,
        .hi = end,
        .unit = "logits",
        .what = "score",
    };
}

static void profile_title(const struct sx_band_table *t, char *buf, size_t size)
{
    char group[32];

    sx_band_group_text(t, group, sizeof group);
    if (t->alone)
        snprintf(buf, size, "band × position of the query · L%zu H%zu", t->layer, t->head);
    else
        snprintf(buf, size, "band × position of the query · layer %zu, heads: %s", t->layer, group);
}

static int column_of(const struct sx_bands_result *r, size_t token)
{
    for (size_t i = 0; i < r->n_profile; i++)
        if (r->profile_at[i] == token)
            return (int)i;
    return 0;
}

static void draw_profile(struct sx_canvas *cv, struct sx_band_table *t,
                         const struct sx_session *session, struct bands_state *state, bool focus)
{
    const struct profile p = {t, session};
    char title[96], info[SX_POSITION_TEXT] = "";

    t->ascii = sx_canvas_ascii(cv);
    profile_title(t, title, sizeof title);
    if (!has_profile(session)) {
        struct sx_canvas body = sx_frame(cv, title, NULL, focus);
        sx_slot_notice(&body, SX_STATE_EMPTY, NULL, "",
                       "P computes the score of every band along all positions of the query: a "
                       "pass each.");
        return;
    }
    const struct sx_heatmap map = profile_of(&p);
    if (!focus) /* where A stands */
        state->profile.col = column_of(t->result, t->result->query_a);
    if (state->profile.col < (int)t->result->n_profile && state->profile.col >= 0)
        sx_position_text(info, session, t->result->profile_at[state->profile.col]);
    struct sx_canvas body = sx_frame(cv, title, info, focus);
    struct sx_canvas inner = sx_canvas_sub(&body, (struct sx_rect){1, 0, body.w - 2, body.h});
    if (state->profile.row < (int)t->result->n_bands || !focus)
        state->profile.row = (int)band_at(session);
    sx_heatmap_draw(&inner, &map, &state->profile, focus);
}

/* --- the screen ---------------------------------------------------------------------------------
 */

/* Table, cell, profile. */
static void panes_of(const struct sx_view *view, const struct sx_session *session,
                     struct sx_rect pane[3])
{
    const struct bands_state *state = view->state;
    const struct sx_bands_result *r = &session->bands.result;
    const struct sx_rect body = sx_body_rect(view);
    const bool main_profile = state->mode == SX_BANDS_PROFILE,
               both = state->show == BOTH && !main_profile;
    const int rows = main_profile                    ? (int)r->n_bands + 1
                     : state->mode == SX_BANDS_HEADS ? (int)r->n_heads
                                                     : (int)r->n_layers;
    int h = rows + TABLE_FOOT + (state->pin.set && !main_profile);

    pane[0] = pane[1] = pane[2] = body;
    pane[2].h = 0;
    if (sx_folded(view) || main_profile) {
        h = both ? 2 * h - 2 : h;
        h = h > body.h - 7 ? (body.h - 7 > 12 && !both ? body.h - 7 : body.h) : h;
        pane[0].h = h;
        pane[1].y = h;
        pane[1].h = body.h - h;
        pane[1].w = pane[1].h > 0 ? body.w : 0;
        return;
    }
    const int detail = sx_layout_int(view, "detail", 30);
    const int table = 3 + ROW_LABEL + SUM + (int)r->n_bands * CELL_MOST;
    const int wanted = (both ? 2 : 1) * (table > TABLE_LEAST ? table : TABLE_LEAST);
    pane[0].w = wanted < body.w - detail - 1 ? wanted : body.w - detail - 1;
    pane[1].x = pane[0].w + 1;
    pane[1].w = body.w - pane[1].x;
    const int least = pane[1].w >= SX_BAND_CELL_WIDE ? 10 : 24;
    const int spare = body.h - (h > least ? h : least);
    pane[2].h = spare >= sx_layout_int(view, "profile", 13) ? spare : 0;
    pane[0].h = pane[1].h = body.h - pane[2].h;
    pane[2].y = pane[0].h;
}

static void draw_notice(struct sx_canvas *cv, const struct sx_session *session)
{
    const struct sx_bands_data *data = &session->bands;
    struct sx_canvas body = sx_frame(cv, "layer × band", NULL, true);

    if (!sees_key(session, sx_selected_token(session))) {
        sx_slot_notice(&body, SX_STATE_EMPTY, NULL, "",
                       "The query does not see this key, which stands behind it: e takes another "
                       "key, } a later query.");
        return;
    }
    sx_result_notice(&body, session, asked_alike(session) ? data->state : SX_STATE_PENDING,
                     data->serial, &data->error, "scores of every layer and head in bands …");
}

static void draw_main(struct sx_canvas *cv, struct sx_band_table *t,
                      const struct sx_session *session, struct bands_state *state)
{
    const bool both = state->show == BOTH && session->bands.result.b;
    char title[96];

    table_title(t, both, title, sizeof title);
    struct sx_canvas body = sx_frame(cv, title, state->by_effect ? "by effect" : NULL, true);
    struct sx_canvas inner = sx_canvas_sub(&body, (struct sx_rect){1, 0, body.w - 2, body.h});
    const int head = inner.h > 4;
    if (head)
        draw_conditions(&inner, session);
    struct sx_canvas area =
        sx_canvas_sub(&inner, (struct sx_rect){0, head, inner.w, inner.h - head});
    if (both)
        draw_both(&area, t, session, state);
    else
        draw_table(&area, t, session, &state->table, true);
}

static void bands_draw(const struct sx_view *view, const struct sx_session *session,
                       struct sx_canvas *canvas)
{
    struct bands_state *state = view->state;
    struct sx_rect pane[3];

    if (sx_too_small(canvas, 24, 6) ||
        sx_weights_notice(canvas, session, "bands", bands_current(session)))
        return;
    if (!bands_current(session)) {
        draw_notice(canvas, session);
        return;
    }
    struct sx_band_table t = table_of(state, session);
    panes_of(view, session, pane);
    struct sx_canvas cv = sx_canvas_sub(canvas, pane[0]);
    if (state->mode == SX_BANDS_PROFILE)
        draw_profile(&cv, &t, session, state, true);
    else
        draw_main(&cv, &t, session, state);
    if (pane[1].w > 0 && pane[1].h > 0) {
        struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
        sx_band_cell_draw(&right, &t, session, band_at(session));
    }
    if (pane[2].h > 0) {
        struct sx_canvas below = sx_canvas_sub(canvas, pane[2]);
        draw_profile(&below, &t, session, state, false);
    }
    sx_pane_divider(canvas, pane);
}

static size_t bands_followers(const struct sx_view *view, const struct sx_session *session,
                              struct sx_rect out[SX_FOLLOWERS])
{
    struct sx_rect pane[3];
    size_t n = 0;

    if (!bands_current(session))
        return 0;
    panes_of(view, session, pane);
    for (int i = 1; i < 3; i++)
        if (pane[i].w > 0 && pane[i].h > 0)
            out[n++] = pane[i];
    return n;
}

static void ask_bands(size_t against, bool profile, struct sx_emit *emit)
{
    if (against == SIZE_MAX)
        sx_emit_line(emit, "band-table%s", profile ? " --profile" : "");
    else
        sx_emit_line(emit, "band-table --against %zu%s", against, profile ? " --profile" : "");
}

/* A cursor that nobody has moved yet stands on the head that reads the key out. */
static void arrive(struct bands_state *state, const struct sx_session *session,
                   struct sx_emit *emit)
{
    const struct sx_selection *at = &session->selection;
    const struct sx_bands_result *r = &session->bands.result;
    const struct arrival last = state->arrival;
    const struct sx_band_table t = table_of(state, session);

    if (last.made && last.query == r->query_a && last.key == r->key_a)
        return;
    state->arrival = (struct arrival){true, at->layer, at->head, r->query_a, r->key_a};
    if (t.n_readers == 0 || at->band != 0 || at->layer != last.layer || at->head != last.head)
        return;
    state->arrival.layer = t.reader[0] / r->n_heads;
    state->arrival.head = t.reader[0] % r->n_heads;
    if (at->layer != state->arrival.layer || at->head != state->arrival.head)
        sx_emit_line(emit, "select --layer %zu --head %zu", state->arrival.layer,
                     state->arrival.head);
}

/* Mean and interval of the cell that is shown in full. */
static void need_mean(const struct bands_state *state, const struct sx_session *session,
                      struct sx_emit *emit)
{
    const struct sx_band_means_data *means = &session->band_means;
    const struct sx_band_mean *cell = &means->cell;

    if (means->state != SX_STATE_READY || !bands_current(session) ||
        !sx_band_means_current(session))
        return;
    const struct sx_band_table t = table_of(state, session);
    const size_t band = band_at(session), head = sx_band_mean_head(&t, band);
    if (cell->state != SX_STATE_EMPTY && cell->layer == t.layer && cell->band == band &&
        cell->head == head)
        return;
    if (head == SIZE_MAX)
        sx_emit_line(emit, "band-interval --layer %zu --band %zu", t.layer, band);
    else
        sx_emit_line(emit, "band-interval --layer %zu --head %zu --band %zu", t.layer, head, band);
}

static void bands_need(struct sx_view *view, const struct sx_session *session, struct sx_emit *emit)
{
    struct bands_state *state = view->state;
    const struct sx_bands_data *data = &session->bands;

    if (!sx_need_input(session, emit))
        return;
    if (state->serial != session->input.serial) {
        state->serial = session->input.serial;
        state->pin.set = false;
    }
    if (session->input.run) {
        if (bands_current(session))
            arrive(state, session, emit);
        return;
    }
    const bool profile = state->mode == SX_BANDS_PROFILE || profile_unasked(view, session);
    if (!sees_key(session, sx_selected_token(session)))
        return; /* the screen says so */
    if (sx_slot_wanted(session, data->state, data->serial) || !asked_alike(session) ||
        (profile && !data->profile && data->state != SX_STATE_FAILED))
        ask_bands(against_of(session), profile, emit);
    if (bands_current(session))
        arrive(state, session, emit);
    need_mean(state, session, emit);
}

/* --- requests -----------------------------------------------------------------------------------
 */

static size_t stepped(size_t from, long by, size_t n)
{
    const long to = (long)from + by;
    return to < 0 ? 0 : to >= (long)n ? n - 1 : (size_t)to;
}

/* The one nearest to the middle. */
static size_t middle_residue(const struct sx_session *session)
{
    const size_t n = session->input.n, middle = n / 2;

    for (size_t off = 0; off < n; off++) {
        if (can_be_b(session, middle + off))
            return middle + off;
        if (off <= middle && can_be_b(session, middle - off))
            return middle - off;
    }
    return middle;
}

/* "38": where B's mask stands; "none"; nothing: in the middle. */
static void choose_against(const struct sx_view *view, const struct sx_session *session,
                           const char *text, struct sx_emit *emit)
{
    const struct bands_state *state = view->state;
    size_t token = middle_residue(session);

    if (strcmp(text, "none") == 0) {
        sx_emit_line(emit, "set --against none");
        return;
    }
    if (*text && !sx_token_of_text(session, text, &token, emit))
        return;
    if (!can_be_b(session, token)) {
        sx_emit_line(emit, "message B cannot be %zu: it must be %s", token,
                     sx_is_protein(session) ? "another residue than that of A"
                                            : "another token than that of A, not before the key");
        return;
    }
    sx_emit_line(emit, "set --against %zu", token);
    if (session->bands.other) /* else `need` sees that it changed */
        ask_bands(token, state->mode == SX_BANDS_PROFILE || profile_unasked(view, session), emit);
}

static bool term_request(struct bands_state *state, const struct sx_session *session,
                         const char *name, struct sx_emit *emit)
{
    static const struct {
        const char *name;
        enum sx_band_term term;
    } terms[] = {
        {"term-total", SX_BAND_TOTAL},       {"term-query-norm", SX_BAND_QUERY_NORM},
        {"term-key-norm", SX_BAND_KEY_NORM}, {"term-direction", SX_BAND_DIRECTION},
        {"term-content", SX_BAND_CONTENT},   {"term-position", SX_BAND_POSITION},
        {"term-coupling", SX_BAND_COUPLING},
    };

    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        if (strcmp(name, terms[i].name) != 0)
            continue;
        state->show = CHANGE;
        state->change = (unsigned)(terms[i].term - SX_BAND_TOTAL);
        if (against_of(session) == SIZE_MAX && !session->bands.other)
            sx_emit_line(emit, "message %s is of the change from A to B: b chooses B",
                         sx_band_term_label(terms[i].term));
        return true;
    }
    return false;
}

static void toggle_pin(struct bands_state *state, const struct sx_session *session)
{
    const struct sx_band_pin pin = {true, state->mode == SX_BANDS_HEADS, layer_at(session),
                                    head_at(session), band_at(session)};
    const bool same = state->pin.set && state->pin.head_alone == pin.head_alone &&
                      state->pin.layer == pin.layer && state->pin.head == pin.head &&
                      state->pin.band == pin.band;

    state->pin = pin;
    state->pin.set = !same;
}

static void ask_means(const struct sx_session *session, struct sx_emit *emit)
{
    const size_t against = against_of(session);

    if (!session->input.fasta)
        sx_emit_line(emit,
                     "message means are over the sequences of a FASTA file; make one the input");
    else if (session->bands.other)
        sx_emit_line(emit, "message B is another sequence: b chooses a token for means");
    else if (against == SIZE_MAX)
        sx_emit_line(emit, "message means are of the change from A to B: b chooses B");
    else
        sx_emit_line(emit, "band-means --against %zu", against);
}

static bool mode_request(struct sx_view *view, const struct sx_session *session, const char *name,
                         struct sx_emit *emit)
{
    struct bands_state *state = view->state;

    if (strcmp(name, "heads") == 0)
        state->mode = state->mode == SX_BANDS_HEADS ? SX_BANDS_LAYERS : SX_BANDS_HEADS;
    else if (strcmp(name, "profile") == 0) {
        state->before = state->mode == SX_BANDS_PROFILE ? state->before : state->mode;
        state->mode = state->mode == SX_BANDS_PROFILE ? state->before : SX_BANDS_PROFILE;
    } else if (strcmp(name, "back") == 0 && state->mode != SX_BANDS_LAYERS)
        state->mode = state->mode == SX_BANDS_PROFILE ? state->before : SX_BANDS_LAYERS;
    else if (strcmp(name, "group") == 0)
        state->group = (state->group + 1) % SX_GROUP_COUNT;
    else if (strcmp(name, "show") == 0 && !session->bands.result.b)
        sx_emit_line(emit, "message there is A alone: b chooses B");
    else if (strcmp(name, "show") == 0)
        state->show = (state->show + 1) % SHOWS;
    else if (strcmp(name, "sort") == 0)
        state->by_effect = !state->by_effect;
    else if (strcmp(name, "means") == 0)
        ask_means(session, emit);
    else if (strcmp(name, "pin") == 0 && bands_current(session))
        toggle_pin(state, session);
    else if (strcmp(name, "pin") == 0 || strcmp(name, "again") == 0)
        ask_bands(against_of(session),
                  state->mode == SX_BANDS_PROFILE || profile_unasked(view, session), emit);
    else
        return false;
    return true;
}

/* To the head that does most in the cell; `x` takes the cell's band out of its query there. */
static bool head_request(const struct bands_state *state, const struct sx_session *session,
                         const char *name, struct sx_emit *emit)
{
    const bool out = strcmp(name, "knock-out") == 0;

    if (!out && strcmp(name, "open") != 0)
        return false;
    if (!bands_current(session))
        return true;
    const struct sx_band_table t = table_of(state, session);
    const size_t band = band_at(session), head = sx_band_strongest(&t, t.layer, band);
    if (out && band > 62) {
        sx_emit_line(emit, "message bands from 63 on cannot be taken out");
        return true;
    }
    sx_emit_line(emit, "select --layer %zu --head %zu --band %zu", t.layer, head, band);
    if (out)
        sx_emit_line(emit, "set --bands-removed %llu", 1ULL << band);
    sx_emit_line(emit, "view head");
    return true;
}

/* [ ]: the head where layers are rows, else the layer. { }: the query. */
static bool step_request(const struct bands_state *state, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    const bool inner = strncmp(request->name, "other-", 6) == 0;
    const long count = request->count > 0 ? (long)request->count : 1;
    const long by = strstr(request->name, "next") ? count : -count;
    const struct sx_model_info *info = &session->input.info;

    if (!inner && strncmp(request->name, "query-", 6) != 0)
        return false;
    if (!inner)
        sx_select_token(session, stepped(sx_selected_token(session), by, session->input.n), emit);
    else if (state->mode == SX_BANDS_LAYERS)
        sx_emit_line(emit, "select --head %zu",
                     stepped(session->selection.head, by, (size_t)info->n_heads));
    else
        sx_emit_line(emit, "select --layer %zu",
                     stepped(session->selection.layer, by, (size_t)info->n_layers));
    return true;
}

static void select_cell(const struct sx_band_table *t, const struct sx_session *session, int row,
                        int col, struct sx_emit *emit)
{
    const bool heads = t->mode == SX_BANDS_HEADS;
    const size_t at = sx_band_row_at(t, row), now = heads ? t->head : t->layer;

    if (at == now && (size_t)col == band_at(session))
        return;
    sx_emit_line(emit, "select --%s %zu --band %d", heads ? "head" : "layer", at, col);
}

static bool table_request(struct sx_view *view, const struct sx_session *session,
                          const struct sx_view_request *request, struct sx_emit *emit)
{
    struct bands_state *state = view->state;
    struct sx_rect pane[3];
    struct sx_band_table t = table_of(state, session);
    int row, col;

    panes_of(view, session, pane);
    const struct sx_heatmap map = heatmap_of(&t, pane[0].w - 2);
    state->table.row = sx_band_row_of(&t, t.mode == SX_BANDS_HEADS ? t.head : t.layer);
    state->table.col = (int)band_at(session);
    if (strcmp(request->name, "click") == 0) {
        if (!sx_heatmap_hit(&map, &state->table, request->x - 1, request->y - 2, &row, &col))
            return true;
        state->table.row = row;
        state->table.col = col;
    } else if (!sx_heatmap_request(&map, &state->table, request->name, request->count)) {
        return false;
    }
    select_cell(&t, session, state->table.row, state->table.col, emit);
    return true;
}

static bool profile_request(struct sx_view *view, const struct sx_session *session,
                            const struct sx_view_request *request, struct sx_emit *emit)
{
    struct bands_state *state = view->state;
    const struct sx_band_table t = table_of(state, session);
    const struct profile p = {&t, session};
    int row, col;

    if (!has_profile(session))
        return false;
    const struct sx_heatmap map = profile_of(&p);
    if (strcmp(request->name, "mark") == 0) {
        char text[24];
        const int at = state->profile.col;
        snprintf(text, sizeof text, "%u", (unsigned)t.result->profile_at[at < map.cols ? at : 0]);
        choose_against(view, session, text, emit);
        return true;
    }
    if (strcmp(request->name, "click") == 0) {
        if (!sx_heatmap_hit(&map, &state->profile, request->x - 1, request->y - 1, &row, &col))
            return true;
        state->profile.row = row;
        state->profile.col = col;
    } else if (!sx_heatmap_request(&map, &state->profile, request->name, request->count)) {
        return false;
    }
    if (state->profile.row < (int)t.result->n_bands &&
        (size_t)state->profile.row != band_at(session))
        sx_emit_line(emit, "select --band %d", state->profile.row);
    return true;
}

static void ask_key(const struct sx_session *session, const char *text, struct sx_emit *emit)
{
    size_t key;

    if (*text && sx_token_of_text(session, text, &key, emit))
        sx_select_key(session, key, emit);
}

static bool bands_request(struct sx_view *view, const struct sx_session *session,
                          const struct sx_view_request *request, struct sx_emit *emit)
{
    struct bands_state *state = view->state;
    const char *text = request->text ? request->text : "";
    const enum sx_band_mode before = state->mode;
    bool taken = true;

    if (sx_input_request(session, request, emit))
        return true;
    if (!sx_input_ready(session))
        return false;
    if (strcmp(request->name, "ask-against") == 0)
        choose_against(view, session, text, emit);
    else if (strcmp(request->name, "ask-key") == 0)
        ask_key(session, text, emit);
    else if (strcmp(request->name, "mask") == 0)
        sx_emit_line(emit, "mask --token %zu", sx_selected_token(session));
    else
        taken = term_request(state, session, request->name, emit) ||
                mode_request(view, session, request->name, emit) ||
                head_request(state, session, request->name, emit) ||
                step_request(state, session, request, emit) ||
                (bands_current(session) &&
                 (state->mode == SX_BANDS_PROFILE ? profile_request(view, session, request, emit)
                                                  : table_request(view, session, request, emit)));
    emit->dirty |= taken;
    if (state->mode != before)
        bands_need(view, session, emit);
    return taken;
}

/* --- as data ------------------------------------------------------------------------------------
 */

static void add_condition(struct sx_value *row, const struct sx_band *band, const char *suffix)
{
    const struct {
        const char *name;
        double value;
    } fields[] = {
        {"score", band->score}, {"r", band->r},         {"rho", band->rho},
        {"cos", band->cosine},  {"alpha", band->alpha}, {"delta", band->delta},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s%s", fields[i].name, suffix);
        sx_row_real(row, name, fields[i].value);
    }
}

static void add_split(struct sx_value *row, const struct sx_band_split *s)
{
    sx_row_real(row, "total", s->total);
    sx_row_real(row, "qn", s->query_norm);
    sx_row_real(row, "kn", s->key_norm);
    sx_row_real(row, "dir", s->direction);
    sx_row_real(row, "content", s->content);
    sx_row_real(row, "position", s->position);
    sx_row_real(row, "norm_only", s->norm_only);
    sx_row_real(row, "direction_only", s->direction_only);
    sx_row_real(row, "interaction", s->interaction);
    sx_row_real(row, "coupling", s->coupling);
}

/* Of the sum of the sizes of the head's bands. */
static double share_of(const struct sx_bands_result *r, size_t head_at_band_0, size_t band)
{
    double all = 0;

    for (size_t b = 0; b < r->n_bands; b++)
        all += fabs(r->a[head_at_band_0 + b].score);
    return all > 0 ? r->a[head_at_band_0 + band].score / all : 0;
}

static void add_head_rows(struct sx_value *rows, const struct sx_bands_result *r, size_t layer,
                          size_t head)
{
    for (size_t b = 0; b < r->n_bands; b++) {
        const size_t at = (layer * r->n_heads + head) * r->n_bands + b;
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_value_set(row, "layer", sx_value_int((int64_t)layer));
        sx_value_set(row, "head", sx_value_int((int64_t)head));
        sx_value_set(row, "band", sx_value_int((int64_t)b));
        sx_row_real(row, "period", isfinite(r->period[b]) ? r->period[b] : NAN);
        add_condition(row, &r->a[at], "");
        sx_row_real(row, "share", share_of(r, at - b, b));
        if (r->b)
            add_condition(row, &r->b[at], "_b");
        if (r->split)
            add_split(row, &r->split[at]);
    }
}

static void add_profile_rows(struct sx_value *rows, const struct sx_band_table *t)
{
    const struct sx_bands_result *r = t->result;

    for (size_t b = 0; b < r->n_bands; b++)
        for (size_t i = 0; i < r->n_profile; i++) {
            struct sx_value *row = sx_value_append(rows, sx_value_map());
            sx_value_set(row, "layer", sx_value_int((int64_t)t->layer));
            sx_value_set(row, "head", t->alone ? sx_value_int((int64_t)t->head) : sx_value_null());
            sx_value_set(row, "band", sx_value_int((int64_t)b));
            sx_value_set(row, "position", sx_value_int((int64_t)r->profile_at[i]));
            sx_row_real(row, "score", sx_band_profile_value(t, (int)b, (int)i));
        }
}

/* What stands under the cursor: the mean over proteins of the chosen cell. */
static void add_means(struct sx_value *document, const struct sx_session *session)
{
    const struct sx_band_means_data *means = &session->band_means;
    const struct sx_band_mean *cell = &means->cell;

    if (means->state != SX_STATE_READY || !sx_band_means_current(session) ||
        cell->state != SX_STATE_READY)
        return;
    struct sx_value *map = sx_value_set(document, "means", sx_value_map());
    sx_value_set(map, "sequences", sx_value_int((int64_t)means->n));
    sx_value_set(map, "layer", sx_value_int((int64_t)cell->layer));
    sx_value_set(map, "head",
                 cell->head == SIZE_MAX ? sx_value_null() : sx_value_int((int64_t)cell->head));
    sx_value_set(map, "band", sx_value_int((int64_t)cell->band));
    for (int i = 0; i < SX_BAND_TERM_COUNT; i++) {
        struct sx_value *term =
            sx_value_set(map, sx_band_term_name((enum sx_band_term)i), sx_value_map());
        sx_row_real(term, "mean", cell->term[i].mean);
        sx_row_real(term, "lo", cell->term[i].lo);
        sx_row_real(term, "hi", cell->term[i].hi);
    }
    sx_value_set(map, "line", sx_value_string(means->line));
}

/* Every band of every layer and head, whatever the table shows of them; with the profile open, its
 * cells. */
static struct sx_value *bands_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct bands_state *state = view->state;
    const struct sx_bands_result *r = &session->bands.result;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    if (!bands_current(session))
        return document;
    const struct sx_band_table t = table_of(state, session);
    sx_value_set(document, "query", sx_value_int((int64_t)r->query_a));
    sx_value_set(document, "key", sx_value_int((int64_t)r->key_a));
    sx_value_set(document, "against", r->b ? sx_value_int((int64_t)r->query_b) : sx_value_null());
    sx_row_real(document, "residual", r->residual);
    add_means(document, session);
    if (state->mode == SX_BANDS_PROFILE && has_profile(session)) {
        add_profile_rows(rows, &t);
        return document;
    }
    for (size_t l = 0; l < r->n_layers; l++)
        for (size_t h = 0; h < r->n_heads; h++)
            add_head_rows(rows, r, l, h);
    return document;
}

static void bands_line(const struct sx_view *view, const struct sx_session *session,
                       struct sx_str *out)
{
    const struct bands_state *state = view->state;

    if (!bands_current(session) || !session->bands.line)
        return;
    const struct sx_band_table t = table_of(state, session);
    sx_str_printf(out, "%s --layer %zu --head %zu --metric %s", session->bands.line, t.layer,
                  sx_band_strongest(&t, t.layer, band_at(session)), sx_band_term_name(t.term));
}

static const struct sx_key_binding keys[] = {
    {"bands", "b", "ask-against", "condition B",
     "Where the mask stands in B; nothing: in the middle; none: A alone.", "Bands"},
    {"bands", "Enter", "open", "head", "The head that does most in this cell, in full.", "Bands"},
    {"bands", "w", "group", "heads", "Which heads are summed: readout, all, one.", "Bands"},
    {"bands", "t", "term-total", "total", "The change of the score from A to B.", "Terms"},
    {"bands", "d", "term-direction", "direction", "What the angle between them changes.", "Terms"},
    {"bands", "c", "term-content", "content", "Of the direction: the angle before rotation.",
     "Terms"},
    {"bands", "p", "term-position", "position", "Of the direction: the rotation.", "Terms"},
    {"bands", "n", "term-query-norm", "norm", "What the norm of the query changes.", "Terms"},
    {"bands", "K", "term-key-norm", NULL, "What the norm of the key changes.", "Terms"},
    {"bands", "u", "term-coupling", NULL,
     "How much norm and direction act together: interaction over all one-at-a-time parts.",
     "Terms"},
    {"bands", "v", "show", "A/B/B-A", "The change, the score in A, in B, or both.", "Bands"},
    {"bands", "x", "knock-out", "knock out", "The head without this band.", "Bands"},
    {"bands", "P", "profile", "profile", "The bands along all positions of the query.", "Bands"},
    {"bands", "o", "sort", "sort", "Rows by their effect, or in order.", "Bands"},
    {"bands", "r", "pin", "pin", "Keep this cell to compare with others; or ask again.", "Bands"},
    {"bands", "M", "means", "means",
     "Mean and 95 % interval of the cell over every sequence of the input's file.", "Bands"},
    {"bands", "H", "heads", NULL, "The heads of this layer instead of the layers.", "Bands"},
    {"bands", "]", "other-next", NULL, "The next head; where heads are rows: the next layer.",
     "Bands"},
    {"bands", "[", "other-previous", NULL, "The head before; where heads are rows: the layer.",
     "Bands"},
    {"bands", "}", "query-next", NULL, "The next query.", "Bands"},
    {"bands", "{", "query-previous", NULL, "The query before.", "Bands"},
    {"bands", "e", "ask-key", NULL, "Another key, by its number.", "Bands"},
    {"bands", "m", "mask", NULL, "Mask the query, or unmask it.", "Bands"},
    {"bands", "Space", "mark", NULL, "In the profile: this position becomes B.", "Bands"},
    {"bands", "i", "ask-input", NULL, "Type another sequence or prompt.", "Bands"},
    {"bands", "C", ":copy line", NULL, "Copy the command line that gives this cell.", "Bands"},
    {"bands", "R", "made", NULL, "The run that made it.", "Bands"},
    {"bands", "f", ":view circuit", NULL, "What writes the query of this head.", "Bands"},
    {"bands", "a", ":view attention", NULL, "The attention of this query.", "Bands"},
    {"bands", "s", ":view sequence", NULL, "The query in the sequence.", "Bands"},
};

const struct sx_view_ops sx_view_bands = {
    .name = "bands",
    .help = "scores in rotary bands: what changes them from one position of the mask to another",
    .key = 'b',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_SETTINGS |
               1u << SX_SLOT_INPUT | 1u << SX_SLOT_BANDS | 1u << SX_SLOT_BAND_MEANS,
    .n_panes = 1,
    .state_size = sizeof(struct bands_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = bands_need,
    .draw = bands_draw,
    .followers = bands_followers,
    .request = bands_request,
    .title = sx_title_of_input,
    .data = bands_data,
    .line = bands_line,
};
