/* nterm: proteins that do not start with methionine, each put before the model in five ways: does
 * it say M because the residue stands first? Enter opens a protein and goes to its circuit. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_parts.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/names.h"
#include "sextant/run/command.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/table.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

enum { ALL_CLASSES = -1, SUMMARY_ROWS = 9, PROTEIN_ROWS = 8, SUMMARY_WIDTH = 74 };

enum order { IN_FILE, BY_ID, BY_CLASS, BY_FIRST, BY_INSIDE, BY_GAP, ORDER_COUNT };
static const char *const order_word[ORDER_COUNT] = {"as in the file", "by name",       "by class",
                                                    "by P(M) in i",   "by P(M) in iv", "by i - iv"};

struct nterm_state {
    struct sx_table_state table;
    bool filtered; /* `only` this class is shown */
    enum sx_nterm_class only;
    enum order order;
    bool reversed;
    char *path; /* owned: as asked for last; "": the built-in examples; NULL: what the workspace has
                 */
    /* Of the results at revision seen - 1: */
    uint64_t seen;
    uint32_t *row; /* owned [n]: rows shown, in order */
    size_t n;
    size_t protein; /* the selection as it was seen last */
};

/* The five presentations, as the paper numbers them. */
static const char *const numeral[SX_PRESENTATION_COUNT] = {"i", "ii", "iii", "iv", "v"};
static const char *const presentation_help[SX_PRESENTATION_COUNT] = {
    "mature chain, residue 1 masked", "mask before the mature chain", "precursor, its Met masked",
    "precursor, masked in its place", "residues put before it, masked"};

/* --- what is there ------------------------------------------------------------------------------
 */

static bool has_rows(const struct sx_session *session)
{
    const struct sx_nterm_data *data = &session->nterm;

    return sx_selected_model(session) && data->state == SX_STATE_READY &&
           data->model == session->selection.model && data->result.rows;
}

static bool order_ready(const struct nterm_state *state, const struct sx_session *session)
{
    return has_rows(session) && state->row && state->seen == session->revision[SX_SLOT_NTERM] + 1;
}

static const struct sx_nterm_row *row_at(const struct nterm_state *state,
                                         const struct sx_session *session, size_t i)
{
    return &session->nterm.result.rows[state->row[i]];
}

/* What is sorted by; qsort has no context, and one view is sorted at a time. */
struct sorted {
    uint32_t at;
    double key;
    const char *text;
    bool reversed;
};

static int compare(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    int order = 0;

    if (x->text)
        order = strcmp(x->text, y->text);
    else if (isnan(x->key) || isnan(y->key))
        return isnan(x->key) == isnan(y->key) ? (x->at < y->at ? -1 : 1) : isnan(x->key) ? 1 : -1;
    else
        order = x->key < y->key ? -1 : x->key > y->key;
    if (order == 0)
        return x->at < y->at ? -1 : x->at > y->at;
    return x->reversed ? -order : order;
}

static double sort_key(const struct nterm_state *state, const struct sx_nterm_row *row, size_t at)
{
    const double first = (double)row->cell[SX_MATURE_FIRST].p_met;
    const double inside = (double)row->cell[SX_PRECURSOR_INSIDE].p_met;

    switch (state->order) {
    case BY_CLASS:
        return row->kind;
    case BY_FIRST: /* the largest first */
        return -first;
    case BY_INSIDE:
        return -inside;
    case BY_GAP:
        return inside - first;
    case IN_FILE:
    case BY_ID:
    case ORDER_COUNT:
        break;
    }
    return (double)at;
}

static void arrange(struct nterm_state *state, const struct sx_session *session)
{
    const struct sx_nterm_result *r = &session->nterm.result;
    struct sorted *item = sx_xcalloc(r->n_rows + 1, sizeof *item);

    state->n = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        if (state->filtered && r->rows[i].kind != state->only)
            continue;
        item[state->n++] = (struct sorted){.at = (uint32_t)i,
                                           .key = sort_key(state, &r->rows[i], i),
                                           .text = state->order == BY_ID ? r->rows[i].id : NULL,
                                           .reversed = state->reversed};
    }
    if (state->n > 0)
        qsort(item, state->n, sizeof *item, compare);
    state->row = sx_xrealloc(state->row, (state->n + 1) * sizeof *state->row);
    for (size_t i = 0; i < state->n; i++)
        state->row[i] = item[i].at;
    sx_free(item);
}

/* The selected protein under the cursor, if it is shown. */
static void follow_selection(struct nterm_state *state, const struct sx_session *session)
{
    for (size_t i = 0; i < state->n; i++)
        if (state->row[i] == session->selection.protein)
            state->table.cursor = i;
    if (state->table.cursor >= state->n)
        state->table.cursor = state->n > 0 ? state->n - 1 : 0;
}

static void follow(struct nterm_state *state, const struct sx_session *session)
{
    if (!has_rows(session))
        return;
    if (state->seen != session->revision[SX_SLOT_NTERM] + 1) {
        state->seen = session->revision[SX_SLOT_NTERM] + 1;
        if (state->filtered && session->nterm.result.by_class[state->only].n_rows == 0)
            state->filtered = false;
        arrange(state, session);
        follow_selection(state, session);
    } else if (state->protein != session->selection.protein) {
        follow_selection(state, session);
    }
    state->protein = session->selection.protein;
}

/* --- the proteins -------------------------------------------------------------------------------
 */

/* Columns: name, class, first residue, then P(M) and P(true) of each presentation. */
enum { COL_ID, COL_CLASS, COL_FIRST, COL_CELLS, NTERM_COLUMNS = COL_CELLS + 2 * 5 + 1 };
enum { COL_RANK = NTERM_COLUMNS - 1 };

static const struct sx_column nterm_columns[NTERM_COLUMNS] = {
    [COL_ID] = {.title = "protein", .width = 11, .frozen = true},
    [COL_CLASS] = {.title = "class", .width = 9},
    [COL_FIRST] = {.title = "1", .width = 2},
    [COL_CELLS + 0] = {.title = "iM", .width = 4, .align = SX_RIGHT},
    [COL_CELLS + 1] = {.title = "i1", .width = 4, .align = SX_RIGHT},
    [COL_CELLS + 2] = {.title = "iiM", .width = 4, .align = SX_RIGHT},
    [COL_CELLS + 3] = {.title = "ii1", .width = 4, .align = SX_RIGHT},
    [COL_CELLS + 4] = {.title = "iiiM", .width = 4, .align = SX_RIGHT},
    [COL_CELLS + 5] = {.title = "iii1", .width = 4, .align = SX_RIGHT},
    [COL_CELLS + 6] = {.title = "ivM", .width = 4, .align = SX_RIGHT},
    [COL_CELLS + 7] = {.title = "iv1", .width = 4, .align = SX_RIGHT},
    [COL_CELLS + 8] = {.title = "vM", .width = 4, .align = SX_RIGHT},
    [COL_CELLS + 9] = {.title = "v1", .width = 4, .align = SX_RIGHT},
    [COL_RANK] = {.title = "rank", .width = 5, .align = SX_RIGHT},
};

struct nterm_ctx {
    const struct nterm_state *state;
    const struct sx_session *session;
    bool ascii;
};

/* ".85*": what the model says first has a mark; styles for ten numbers a row would be most of what
 * a move of the cursor sends. */
static void probability_cell(struct sx_table_cell *cell, double p, bool first, bool ascii)
{
    char text[16];

    if (isnan(p)) {
        sx_cell_text(cell, SX_STYLE_TEXT, "– ");
        return;
    }
    sx_fraction(text, sizeof text, p, p < 0.995 ? 2 : 1, ascii);
    sx_cell_printf(cell, SX_STYLE_TEXT, "%s%c", text, first ? '*' : ' ');
}

static void nterm_cell(const void *context, size_t i, int column, struct sx_table_cell *cell)
{
    const struct nterm_ctx *ctx = context;
    const struct sx_nterm_row *row = row_at(ctx->state, ctx->session, i);

    if (column == COL_ID) {
        sx_cell_text(cell, SX_STYLE_TEXT, row->id);
    } else if (column == COL_CLASS) {
        sx_cell_printf(cell, SX_STYLE_TEXT, "%s%s", sx_nterm_class_name(row->kind),
                       row->inferred ? "?" : "");
    } else if (column == COL_FIRST) {
        sx_cell_printf(cell, SX_STYLE_TEXT, "%c", row->first);
    } else if (column == COL_RANK) {
        const double rank = (double)row->cell[SX_MATURE_FIRST].rank_true;
        if (isnan(rank))
            sx_cell_text(cell, SX_STYLE_DIM, "–");
        else
            sx_cell_printf(cell, SX_STYLE_NUMBER, "%.0f", rank + 1);
    } else {
        const struct sx_nterm_cell *p = &row->cell[(column - COL_CELLS) / 2];
        const bool met = (column - COL_CELLS) % 2 == 0;
        probability_cell(cell, p->made ? (double)(met ? p->p_met : p->p_true) : NAN,
                         p->top == (met ? 'M' : row->first), ctx->ascii);
    }
}

static int sort_column(const struct nterm_state *state)
{
    static const int column[ORDER_COUNT] = {-1,        COL_ID,        COL_CLASS,
                                            COL_CELLS, COL_CELLS + 6, COL_CELLS};
    return column[state->order];
}

static struct sx_table nterm_table(const struct nterm_ctx *ctx)
{
    return (struct sx_table){
        .columns = nterm_columns,
        .n_columns = NTERM_COLUMNS,
        .n_rows = ctx->state->n,
        .cell = nterm_cell,
        .ctx = ctx,
        .sort_column = sort_column(ctx->state),
        .sort_descending = ctx->state->reversed == (ctx->state->order < BY_FIRST),
        .empty = "no protein of this class",
    };
}

/* --- the chosen protein, and all of them together -----------------------------------------------
 */

static void panes_of(const struct sx_view *view, struct sx_rect pane[2])
{
    const struct sx_rect body = sx_body_rect(view);

    pane[0] = pane[1] = body;
    if (!sx_folded(view)) {
        pane[0].w = body.w - SUMMARY_WIDTH - 1;
        pane[1].x = pane[0].w + 1;
        pane[1].w = SUMMARY_WIDTH;
        return;
    }
    pane[1].h = body.h >= 32 ? SUMMARY_ROWS + PROTEIN_ROWS : body.h >= 18 ? SUMMARY_ROWS : 0;
    pane[1].w = pane[1].h > 0 ? body.w : 0;
    pane[0].h = body.h - pane[1].h;
    pane[1].y = pane[0].h;
}

static int put_probability(struct sx_canvas *cv, int x, int y, double p)
{
    char text[16];
    return sx_put_right(cv, x, y, 6, isnan(p) ? SX_STYLE_DIM : SX_STYLE_NUMBER,
                        sx_probability_text(text, sizeof text, p, sx_canvas_ascii(cv)));
}

/* "i" to "v" and what they are, with numbers behind them. */
static void put_presentation(struct sx_canvas *cv, int y, int p)
{
    sx_put_right(cv, 0, y, 4, SX_STYLE_STRONG, numeral[p]);
    sx_put_cut(cv, 5, y, 32, SX_STYLE_LABEL, presentation_help[p]);
}

static void draw_summary(struct sx_canvas *cv, int y, const struct sx_nterm_summary *s)
{
    sx_put(cv, 1, y, SX_STYLE_HEADER, "M: Met, 1: true residue, *: first");
    sx_put_right(cv, 36, y, 15, SX_STYLE_HEADER, "says M   95%");
    sx_put_right(cv, 52, y, 6, SX_STYLE_HEADER, "P(M)");
    sx_put_right(cv, 59, y, 6, SX_STYLE_HEADER, "P(1)");
    sx_put_right(cv, 66, y, 5, SX_STYLE_HEADER, "rank");
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
        const int line = y + 1 + p;
        put_presentation(cv, line, p);
        if (s->n[p] == 0) {
            sx_put_right(cv, 36, line, 6, SX_STYLE_DIM, "–");
            continue;
        }
        sx_putf(cv, 36, line, SX_STYLE_NUMBER, "%3zu/%-3zu", s->says_met[p], s->n[p]);
        sx_putf(cv, 44, line, SX_STYLE_DIM, "%2.0f-%.0f%%", 100 * s->says_met_lo[p],
                100 * s->says_met_hi[p]);
        put_probability(cv, 52, line, s->mean_p_met[p]);
        put_probability(cv, 59, line, s->mean_p_true[p]);
        char rank[16];
        snprintf(rank, sizeof rank, "%.1f", s->mean_rank_true[p] + 1);
        sx_put_right(cv, 66, line, 5, SX_STYLE_NUMBER, rank);
    }
    struct sx_canvas rest = sx_canvas_sub(cv, (struct sx_rect){1, y + 6, cv->w - 2, cv->h - y - 6});
    char text[192];
    if (s->n_pairs == 0)
        snprintf(text, sizeof text, "McNemar, i against iv: no pairs");
    else
        snprintf(text, sizeof text,
                 "McNemar: M in i alone %zu, in iv alone %zu of %zu pairs, p = %.2g (exact, "
                 "two-sided)",
                 s->first_only, s->inside_only, s->n_pairs, s->p_value);
    sx_paragraph(&rest, 0, SX_STYLE_TEXT, text);
}

/* The protein under the cursor in all five. */
static void draw_protein(struct sx_canvas *cv, int y, const struct sx_nterm_row *row)
{
    char text[128];

    snprintf(text, sizeof text, "%s: %c, %s%s, %u residues behind %u", row->id, row->first,
             sx_nterm_class_name(row->kind), row->inferred ? " (inferred)" : "", row->length,
             row->offset);
    sx_put_cut(cv, 1, y, cv->w - 2, SX_STYLE_STRONG, text);
    sx_put_right(cv, 38, y + 1, 4, SX_STYLE_HEADER, "top");
    sx_put_right(cv, 44, y + 1, 6, SX_STYLE_HEADER, "P(M)");
    sx_put_right(cv, 51, y + 1, 6, SX_STYLE_HEADER, "P(1)");
    sx_put_right(cv, 58, y + 1, 4, SX_STYLE_HEADER, "rank");
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
        const struct sx_nterm_cell *cell = &row->cell[p];
        const int line = y + 2 + p;
        put_presentation(cv, line, p);
        if (!cell->made) {
            sx_put(cv, 41, line, SX_STYLE_DIM, "–");
            continue;
        }
        sx_put_char(cv, 41, line, SX_STYLE_STRONG, (uint32_t)(unsigned char)cell->top);
        put_probability(cv, 44, line, (double)cell->p_met);
        put_probability(cv, 51, line, (double)cell->p_true);
        snprintf(text, sizeof text, "%.0f", (double)cell->rank_true + 1);
        sx_put_right(cv, 58, line, 4, SX_STYLE_NUMBER, text);
    }
}

static const struct sx_nterm_summary *summary_of(const struct nterm_state *state,
                                                 const struct sx_session *session)
{
    const struct sx_nterm_result *r = &session->nterm.result;
    return state->filtered ? &r->by_class[state->only] : &r->summary;
}

static void draw_below(struct sx_canvas *cv, const struct sx_view *view,
                       const struct sx_session *session)
{
    const struct nterm_state *state = view->state;
    const struct sx_nterm_summary *s = summary_of(state, session);
    char title[96];

    if (state->filtered)
        snprintf(title, sizeof title, "%zu of class %s", s->n_rows,
                 sx_nterm_class_name(state->only));
    else
        snprintf(title, sizeof title, "%zu that do not start with M", s->n_rows);
    struct sx_canvas body = sx_frame(cv, title, NULL, false);
    draw_summary(&body, 0, s);
    if (body.h >= SUMMARY_ROWS + PROTEIN_ROWS - 1 && state->table.cursor < state->n)
        draw_protein(&body, SUMMARY_ROWS, row_at(state, session, state->table.cursor));
}

static void draw_table(struct sx_canvas *cv, const struct sx_view *view,
                       const struct sx_session *session)
{
    struct nterm_state *state = view->state;
    const struct sx_nterm_data *data = &session->nterm;
    const struct nterm_ctx ctx = {state, session, sx_canvas_ascii(cv)};
    const struct sx_table table = nterm_table(&ctx);
    char title[160], path[64], info[96];

    snprintf(title, sizeof title, "%zu proteins · %s", state->n,
             data->path ? sx_middle_cut(path, sizeof path, data->path, 40) : "built-in examples");
    snprintf(info, sizeof info, "%s%s%s", state->filtered ? sx_nterm_class_name(state->only) : "",
             state->filtered ? " · " : "", order_word[state->order]);
    struct sx_canvas body = sx_frame(cv, title, info, true);
    sx_table_draw(&body, &table, &state->table, true);
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static void nterm_draw(const struct sx_view *view, const struct sx_session *session,
                       struct sx_canvas *canvas)
{
    const struct nterm_state *state = view->state;
    const struct sx_nterm_data *data = &session->nterm;
    struct sx_rect pane[2];

    if (sx_too_small(canvas, 24, 6))
        return;
    if (!order_ready(state, session)) {
        if (sx_weights_notice(canvas, session, "nterm", false))
            return;
        struct sx_canvas body = sx_frame(canvas, "nterm", NULL, true);
        if (!sx_is_protein(session)) {
            sx_slot_notice(&body, SX_STATE_EMPTY, NULL, "",
                           "Proteins are for ESM-2; this model reads text.");
            return;
        }
        sx_slot_notice(&body,
                       data->model != session->selection.model || data->state == SX_STATE_READY
                           ? SX_STATE_PENDING
                           : data->state,
                       &data->error, "each protein in five presentations …", "");
        return;
    }
    panes_of(view, pane);
    struct sx_canvas table = sx_canvas_sub(canvas, pane[0]);
    draw_table(&table, view, session);
    if (pane[1].w > 0) {
        struct sx_canvas below = sx_canvas_sub(canvas, pane[1]);
        draw_below(&below, view, session);
    }
    sx_pane_divider(canvas, pane);
}

static size_t nterm_followers(const struct sx_view *view, const struct sx_session *session,
                              struct sx_rect out[SX_FOLLOWERS])
{
    struct sx_rect pane[2];

    panes_of(view, pane);
    if (!order_ready(view->state, session) || pane[1].w <= 0 ||
        pane[1].h < SUMMARY_ROWS + PROTEIN_ROWS)
        return 0;
    out[0] = (struct sx_rect){pane[1].x, pane[1].y + SUMMARY_ROWS + 1, pane[1].w,
                              pane[1].h - SUMMARY_ROWS - 1};
    return 1;
}

static void ask_table(const struct nterm_state *state, struct sx_emit *emit)
{
    struct sx_str line = SX_STR_INIT;

    sx_str_append(&line, "nterm-table");
    if (state->path && *state->path) {
        sx_str_append_char(&line, ' ');
        sx_command_quote(state->path, &line);
    } else if (state->path) {
        sx_str_append(&line, " --builtin");
    }
    sx_emit_line(emit, "%s", line.data);
    sx_str_release(&line);
}

static void nterm_need(struct sx_view *view, const struct sx_session *session, struct sx_emit *emit)
{
    struct nterm_state *state = view->state;
    const struct sx_nterm_data *data = &session->nterm;

    follow(state, session);
    if (has_rows(session) || !sx_need_weights(session, emit) || !sx_is_protein(session))
        return;
    if (data->state == SX_STATE_EMPTY || data->model != session->selection.model)
        ask_table(state, emit);
}

/* --- requests -----------------------------------------------------------------------------------
 */

/* The mature chain with its first residue masked, and then its circuit. */
static void open_protein(const struct nterm_state *state, const struct sx_session *session,
                         struct sx_emit *emit)
{
    if (state->table.cursor >= state->n)
        return;
    const size_t at = state->row[state->table.cursor];
    const struct sx_nterm_row *row = &session->nterm.result.rows[at];
    const char *text = session->nterm.precursors ? session->nterm.precursors[at] : NULL;

    if (!text || strlen(text) <= row->offset) {
        sx_emit_line(emit, "message the sequence of %s is not at hand", row->id);
        return;
    }
    const size_t rest = strlen(text) - row->offset - 1;
    const int length = (int)(row->length > 0 && row->length - 1 < rest ? row->length - 1 : rest);
    sx_emit_line(emit, "input '<mask>%.*s'", length, text + row->offset + 1);
    sx_emit_line(emit, "view circuit");
}

static void next_class(struct nterm_state *state, const struct sx_session *session)
{
    const struct sx_nterm_row *rows = session->nterm.result.rows;
    int kind = state->filtered ? (int)state->only : ALL_CLASSES;

    while (++kind < SX_NTERM_CLASS_COUNT)
        for (size_t i = 0; i < session->nterm.result.n_rows; i++)
            if ((int)rows[i].kind == kind) {
                state->filtered = true;
                state->only = (enum sx_nterm_class)kind;
                return;
            }
    state->filtered = false;
}

static bool order_request(struct nterm_state *state, const struct sx_session *session,
                          const char *name)
{
    if (strcmp(name, "order") == 0)
        state->order = (enum order)((state->order + 1) % ORDER_COUNT);
    else if (strcmp(name, "reverse") == 0)
        state->reversed = !state->reversed;
    else if (strcmp(name, "class") == 0)
        next_class(state, session);
    else
        return false;
    arrange(state, session);
    follow_selection(state, session);
    return true;
}

/* The next protein whose name holds the text, from the cursor on. */
static void find(struct nterm_state *state, const struct sx_session *session, const char *text,
                 struct sx_emit *emit)
{
    for (size_t i = 1; i <= state->n && *text; i++) {
        const size_t at = (state->table.cursor + i) % state->n;
        if (strstr(row_at(state, session, at)->id, text)) {
            state->table.cursor = at;
            return;
        }
    }
    if (*text)
        sx_emit_line(emit, "message not found: %.60s", text);
}

static bool table_request(struct sx_view *view, const struct sx_session *session,
                          const struct sx_view_request *request, struct sx_emit *emit)
{
    struct nterm_state *state = view->state;
    const struct nterm_ctx ctx = {state, session, false};
    const struct sx_table table = nterm_table(&ctx);
    struct sx_rect pane[2];

    panes_of(view, pane);
    if (strcmp(request->name, "search") == 0)
        find(state, session, request->text ? request->text : "", emit);
    else if (!sx_list_request(&table, &state->table, pane[0], request, emit))
        return false;
    if (state->table.cursor < state->n &&
        state->row[state->table.cursor] != session->selection.protein)
        sx_emit_line(emit, "select --protein %u", state->row[state->table.cursor]);
    return true;
}

static bool nterm_request(struct sx_view *view, const struct sx_session *session,
                          const struct sx_view_request *request, struct sx_emit *emit)
{
    struct nterm_state *state = view->state;
    const char *name = request->name;

    if (strcmp(name, "ask-file") == 0) {
        sx_free(state->path);
        state->path = sx_xstrdup(request->text ? request->text : "");
        ask_table(state, emit);
        return true;
    }
    if (strcmp(name, "again") == 0 && sx_input_ready(session)) {
        ask_table(state, emit);
        return true;
    }
    if (!order_ready(state, session) || strcmp(name, "made") == 0)
        return sx_input_request(session, request, emit);
    if (strcmp(name, "open") == 0) {
        open_protein(state, session, emit);
        return true;
    }
    if (!order_request(state, session, name) && !table_request(view, session, request, emit))
        return false;
    emit->dirty = true;
    return true;
}

/* --- as data ------------------------------------------------------------------------------------
 */

static void row_cells(struct sx_value *out, const struct sx_nterm_row *row)
{
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
        const struct sx_nterm_cell *cell = &row->cell[p];
        const char top[2] = {cell->top, '\0'};
        char key[64];
        const char *name = sx_presentation_name((enum sx_presentation)p);
        snprintf(key, sizeof key, "%s.p_met", name);
        sx_row_real(out, key, cell->made ? (double)cell->p_met : NAN);
        snprintf(key, sizeof key, "%s.p_true", name);
        sx_row_real(out, key, cell->made ? (double)cell->p_true : NAN);
        snprintf(key, sizeof key, "%s.rank", name);
        sx_row_real(out, key, cell->made ? (double)cell->rank_true : NAN);
        snprintf(key, sizeof key, "%s.top", name);
        sx_value_set(out, key, cell->made ? sx_value_string(top) : sx_value_null());
    }
}

static struct sx_value *nterm_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct nterm_state *state = view->state;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    if (!order_ready(state, session))
        return document;
    for (size_t i = 0; i < state->n; i++) {
        const struct sx_nterm_row *row = row_at(state, session, i);
        const char first[2] = {row->first, '\0'};
        struct sx_value *out = sx_value_append(rows, sx_value_map());
        sx_value_set(out, "id", sx_value_string(row->id));
        sx_value_set(out, "class", sx_value_string(sx_nterm_class_name(row->kind)));
        sx_value_set(out, "inferred", sx_value_bool(row->inferred));
        sx_value_set(out, "first", sx_value_string(first));
        sx_value_set(out, "length", sx_value_int(row->length));
        sx_value_set(out, "offset", sx_value_int(row->offset));
        row_cells(out, row);
    }
    return document;
}

static void nterm_line(const struct sx_view *view, const struct sx_session *session,
                       struct sx_str *out)
{
    (void)view;
    if (has_rows(session) && session->nterm.line)
        sx_str_append(out, session->nterm.line);
}

static void nterm_title(const struct sx_view *view, const struct sx_session *session,
                        struct sx_str *out)
{
    const struct sx_entry *entry = sx_selected_model(session);

    if (entry)
        sx_str_printf(out, "%s ▸ ", entry->model.name ? entry->model.name : entry->label);
    sx_str_append(out, view->ops->name);
}

static void nterm_release(struct sx_view *view)
{
    struct nterm_state *state = view->state;

    sx_free(state->row);
    sx_free(state->path);
}

static const struct sx_key_binding keys[] = {
    {"nterm", "Enter", "open", "circuit",
     "Open the mature chain with its first residue masked, and its circuit.", "Proteins"},
    {"nterm", "f", "class", "class", "One class of starts after the other, then all.", "Proteins"},
    {"nterm", "o", "order", "order", "By name, class, P(M) in i or iv, or their difference.",
     "Proteins"},
    {"nterm", "O", "reverse", NULL, "The other way round.", "Proteins"},
    {"nterm", "i", "ask-file", "file",
     "Another file of proteins: FASTA or Swiss-Prot; empty: the built-in examples.", "Proteins"},
    {"nterm", "r", "again", NULL, "Compute again.", "Proteins"},
    {"nterm", "c", ":view circuit", NULL, "The circuit of the present input.", "Proteins"},
    {"nterm", "s", ":view sequence", NULL, "The present input.", "Proteins"},
    {"nterm", "C", ":copy line", NULL, "Copy the command line that gives this.", "Proteins"},
    {"nterm", "R", "made", NULL, "The run that made it.", "Proteins"},
};

const struct sx_view_ops sx_view_nterm = {
    .name = "nterm",
    .help = "proteins that do not start with Met, in five presentations",
    .key = 'n',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_INPUT |
               1u << SX_SLOT_NTERM,
    .n_panes = 1,
    .state_size = sizeof(struct nterm_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = nterm_need,
    .draw = nterm_draw,
    .followers = nterm_followers,
    .request = nterm_request,
    .title = nterm_title,
    .data = nterm_data,
    .line = nterm_line,
    .release = nterm_release,
};
