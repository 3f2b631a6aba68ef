/* contacts: how likely every pair of residues touches, and the likeliest pairs. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matrix_map.h"
#include "model_parts.h"
#include "sextant/base/alloc.h"
#include "sextant/tui/heatmap.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

/* Pairs nearer than this along the chain touch in any protein. */
enum { APART = 6, PAIRS_MOST = 1000, FOOT = 2 };

struct contact_pair {
    uint32_t i, j; /* residues from 0 on, i < j */
    float p;
};

struct contacts_state {
    struct sx_matrix_map_state map;
    struct sx_table_state list;
    int turns;
    struct contact_pair *pairs; /* owned, likeliest first */
    size_t n;
    uint64_t built; /* revision of CONTACTS + 1 that they were made from; 0: none */
};

static bool contacts_current(const struct sx_session *session)
{
    return sx_slot_current(session, session->contacts.state, session->contacts.serial) &&
           session->contacts.n > 0;
}

static bool has_contacts(const struct sx_session *session)
{
    return sx_is_protein(session) && session->input.info.has_contact_head;
}

static size_t residue_of(const struct sx_session *session, size_t token)
{
    const size_t n = session->contacts.n;
    return token == 0 || n == 0 ? 0 : token <= n ? token - 1 : n - 1;
}

/* --- the pairs ----------------------------------------------------------------------------------
 */

static int by_probability(const void *a, const void *b)
{
    const struct contact_pair *left = a, *right = b;

    if (left->p != right->p)
        return left->p > right->p ? -1 : 1;
    if (left->i != right->i)
        return left->i < right->i ? -1 : 1;
    return left->j < right->j ? -1 : left->j > right->j;
}

static void build_pairs(struct contacts_state *state, const struct sx_session *session)
{
    const struct sx_contacts_data *data = &session->contacts;
    const size_t n = data->n;
    const size_t all = n > APART ? (n - APART) * (n - APART + 1) / 2 : 0;
    struct contact_pair *pairs = sx_xcalloc(all > 0 ? all : 1, sizeof *pairs);
    size_t used = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = i + APART; j < n; j++)
            pairs[used++] = (struct contact_pair){(uint32_t)i, (uint32_t)j, data->p[i * n + j]};
    qsort(pairs, used, sizeof *pairs, by_probability);
    sx_free(state->pairs);
    state->n = used < PAIRS_MOST ? used : PAIRS_MOST;
    state->pairs = sx_xrealloc(pairs, (state->n > 0 ? state->n : 1) * sizeof *pairs);
    state->built = session->revision[SX_SLOT_CONTACTS] + 1;
}

static bool pairs_current(const struct contacts_state *state, const struct sx_session *session)
{
    return contacts_current(session) && state->built == session->revision[SX_SLOT_CONTACTS] + 1;
}

struct pair_list {
    const struct contacts_state *state;
    const struct sx_session *session;
    bool ascii;
    struct sx_column columns[4];
    struct sx_table table;
};

static void pair_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    const struct pair_list *list = ctx;
    const struct contact_pair *pair = &list->state->pairs[row];

    if (column < 2)
        sx_position_text(out->buffer, list->session, (size_t)(column == 0 ? pair->i : pair->j) + 1);
    else if (column == 2)
        snprintf(out->buffer, sizeof out->buffer, "%u", pair->j - pair->i);
    else
        sx_probability_text(out->buffer, sizeof out->buffer, (double)pair->p, list->ascii);
    sx_cell_text(out,
                 column == 2   ? SX_STYLE_DIM
                 : column == 3 ? SX_STYLE_NUMBER
                               : SX_STYLE_TEXT,
                 out->buffer);
}

static void make_list(struct pair_list *list, const struct contacts_state *state,
                      const struct sx_session *session, bool ascii)
{
    *list = (struct pair_list){
        .state = state,
        .session = session,
        .ascii = ascii,
        .columns = {{.title = "residue", .width = 7, .align = SX_RIGHT},
                    {.title = "residue", .width = 7, .align = SX_RIGHT},
                    {.title = "apart", .width = 5, .align = SX_RIGHT},
                    {.title = "P", .width = 6, .align = SX_RIGHT}},
    };
    list->table = (struct sx_table){
        .columns = list->columns,
        .n_columns = 4,
        .n_rows = pairs_current(state, session) ? state->n : 0,
        .cell = pair_cell,
        .ctx = list,
        .sort_column = -1,
        .empty = "No two residues are 6 apart.",
    };
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static void panes_of(const struct sx_view *view, struct sx_rect pane[2])
{
    const int w = sx_layout_int(view, "list", 36);

    if (sx_folded(view)) {
        sx_two_panes(view, 50, pane);
        return;
    }
    pane[0] = pane[1] = sx_body_rect(view);
    pane[0].w -= w + 1;
    pane[1].x = pane[0].w + 1;
    pane[1].w = w;
}

static enum sx_heat_curve curve_of(const struct contacts_state *state)
{
    return state->turns % 2 ? SX_HEAT_SQRT : SX_HEAT_LINEAR;
}

static struct sx_matrix_map matrix_of(const struct contacts_state *state,
                                      const struct sx_session *session)
{
    return (struct sx_matrix_map){
        .n = session->contacts.n,
        .value = session->contacts.p,
        .hi = 1,
        .curve = curve_of(state),
        .first = 1,
    };
}

static void draw_map(struct sx_canvas *cv, const struct sx_view *view,
                     const struct sx_session *session)
{
    struct contacts_state *state = view->state;
    const struct sx_matrix_map map = matrix_of(state, session);
    const size_t n = session->contacts.n;
    char info[96], a[SX_POSITION_TEXT], b[SX_POSITION_TEXT];

    struct sx_canvas body = sx_canvas_sub(cv, (struct sx_rect){0, 1, cv->w, cv->h - 1});
    const int foot = body.h > FOOT + 4 ? FOOT : 1;
    struct sx_canvas area = sx_canvas_sub(&body, (struct sx_rect){0, 0, body.w, body.h - foot});
    state->map.row = residue_of(session, session->selection.token);
    state->map.col = residue_of(session, session->selection.key);
    sx_matrix_map_draw(&area, &map, &state->map, view->focus == 0);
    sx_matrix_map_zoom_text(info, sizeof info, &map, &state->map); /* as it was drawn */
    sx_frame(cv, "contacts", info, view->focus == 0);
    const int y = body.h - foot;
    const size_t i = state->map.row, j = state->map.col;
    int x = 1;
    x += sx_putf(&body, x, y, SX_STYLE_LABEL, "P(%s touches %s) ",
                 sx_position_text(a, session, i + 1), sx_position_text(b, session, j + 1));
    x += sx_putf(&body, x, y, SX_STYLE_NUMBER, "%.4g", (double)session->contacts.p[i * n + j]);
    sx_putf(&body, x + 2, y, SX_STYLE_DIM, "%zu apart", i > j ? i - j : j - i);
    if (foot > 1) {
        x = 1 + sx_put(&body, 1, y + 1, SX_STYLE_LABEL, "scale ");
        sx_heat_scale_lit(&body, x, y + 1, 40, 0, 1, false, sx_heat_curve_name(map.curve),
                          state->map.lit);
    }
}

static void draw_pairs(struct sx_canvas *cv, const struct sx_view *view,
                       const struct sx_session *session)
{
    struct contacts_state *state = view->state;
    struct pair_list list;

    struct sx_canvas body = sx_frame(cv, "likeliest, 6 and more apart", NULL, view->focus == 1);
    make_list(&list, state, session, sx_canvas_ascii(cv));
    sx_table_draw(&body, &list.table, &state->list, view->focus == 1);
}

static void contacts_draw(const struct sx_view *view, const struct sx_session *session,
                          struct sx_canvas *canvas)
{
    struct sx_rect pane[2];

    if (sx_too_small(canvas, 24, 6) || sx_weights_notice(canvas, session, "contacts", false))
        return;
    if (!has_contacts(session) || !contacts_current(session)) {
        struct sx_canvas body = sx_frame(canvas, "contacts", NULL, true);
        if (has_contacts(session))
            sx_result_notice(&body, session, session->contacts.state, session->contacts.serial,
                             &session->contacts.error, "predicting contacts …");
        else
            sx_slot_notice(&body, SX_STATE_EMPTY, NULL, "",
                           sx_is_protein(session)
                               ? "This checkpoint has no contact head."
                               : "Only ESM-2 has a contact head. a shows where the heads look.");
        return;
    }
    panes_of(view, pane);
    if (pane[0].w > 0) {
        struct sx_canvas left = sx_canvas_sub(canvas, pane[0]);
        draw_map(&left, view, session);
    }
    if (pane[1].w > 0) {
        struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
        draw_pairs(&right, view, session);
    }
    sx_pane_divider(canvas, pane);
}

static void contacts_need(struct sx_view *view, const struct sx_session *session,
                          struct sx_emit *emit)
{
    struct contacts_state *state = view->state;
    const struct sx_contacts_data *data = &session->contacts;

    if (!sx_need_weights(session, emit) || !has_contacts(session))
        return;
    if (sx_slot_wanted(session, data->state, data->serial))
        sx_emit_line(emit, "contact-map");
    if (!contacts_current(session) || pairs_current(state, session))
        return;
    build_pairs(state, session);
    state->map.zoom = 0;
    emit->dirty = true;
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void select_pair(const struct sx_session *session, size_t i, size_t j, struct sx_emit *emit)
{
    sx_select_token(session, i + 1, emit);
    sx_select_key(session, j + 1, emit);
}

static bool list_request(struct sx_view *view, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_rect pane,
                         struct sx_emit *emit)
{
    struct contacts_state *state = view->state;
    struct pair_list list;

    make_list(&list, state, session, false);
    if (!sx_list_request(&list.table, &state->list, pane, request, emit))
        return false;
    if (state->list.cursor < list.table.n_rows)
        select_pair(session, state->pairs[state->list.cursor].i, state->pairs[state->list.cursor].j,
                    emit);
    return true;
}

static bool map_request(struct contacts_state *state, const struct sx_session *session,
                        const struct sx_view_request *request, struct sx_emit *emit)
{
    const struct sx_matrix_map map = matrix_of(state, session);

    state->map.row = residue_of(session, session->selection.token);
    state->map.col = residue_of(session, session->selection.key);
    if (strcmp(request->name, "click") == 0 || strcmp(request->name, "drag") == 0) {
        size_t row, col;
        if (!sx_matrix_map_hit(&map, &state->map, request->x, request->y - 1, &row, &col))
            return true;
        state->map.row = row;
        state->map.col = col;
    } else if (!sx_matrix_map_request(&map, &state->map, request->name, request->count)) {
        return false;
    }
    select_pair(session, state->map.row, state->map.col, emit);
    return true;
}

static bool contacts_request(struct sx_view *view, const struct sx_session *session,
                             const struct sx_view_request *request, struct sx_emit *emit)
{
    struct contacts_state *state = view->state;
    const char *name = request->name;
    struct sx_rect pane[2];
    bool taken = true;

    if (sx_input_request(session, request, emit))
        return true;
    if (!sx_input_ready(session) || !has_contacts(session))
        return false;
    panes_of(view, pane);
    if (strcmp(name, "click") == 0) {
        const int at = sx_pane_at(pane, 2, request->x, request->y);
        view->focus = at >= 0 ? at : view->focus;
    }
    if (strcmp(name, "again") == 0)
        sx_emit_line(emit, "contact-map");
    else if (strcmp(name, "open") == 0)
        sx_emit_line(emit, "view attention");
    else if (strcmp(name, "scale") == 0)
        state->turns++;
    else if (strcmp(name, "back") == 0 && view->focus == 1)
        view->focus = 0;
    else if (!pairs_current(state, session))
        taken = false;
    else if (view->focus == 1)
        taken = list_request(view, session, request, pane[1], emit);
    else
        taken = map_request(state, session, request, emit);
    emit->dirty |= taken;
    return taken;
}

static struct sx_value *contacts_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct contacts_state *state = view->state;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    if (!pairs_current(state, session))
        return document;
    for (size_t k = 0; k < state->n; k++) {
        const struct contact_pair *pair = &state->pairs[k];
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_value_set(row, "residue_a", sx_value_int((int64_t)pair->i + 1));
        sx_value_set(row, "a", sx_value_string(session->input.tokens[pair->i + 1].text));
        sx_value_set(row, "residue_b", sx_value_int((int64_t)pair->j + 1));
        sx_value_set(row, "b", sx_value_string(session->input.tokens[pair->j + 1].text));
        sx_row_real(row, "p", (double)pair->p);
    }
    return document;
}

static void contacts_release(struct sx_view *view)
{
    struct contacts_state *state = view->state;
    sx_free(state->pairs);
}

static const struct sx_key_binding keys[] = {
    {"contacts", "Tab", "focus-next", "pairs", "To the likeliest pairs, and back.", "Contacts"},
    {"contacts", "z", "zoom-in", "zoom", "Closer.", "Contacts"},
    {"contacts", "Z", "zoom-out", NULL, "Further away.", "Contacts"},
    {"contacts", "v", "scale", "scale", "Linear or square root scale.", "Contacts"},
    {"contacts", "Enter", "open", "attention",
     "Which heads look from the one residue to the other.", "Contacts"},
    {"contacts", "a", ":view attention", NULL,
     "Which heads look from the one residue to the other.", "Contacts"},
    {"contacts", "s", ":view sequence", "sequence", "The residue in the sequence.", "Contacts"},
    {"contacts", "i", "ask-input", "input", "Type another sequence.", "Contacts"},
    {"contacts", "r", "again", NULL, "Predict again.", "Contacts"},
};

const struct sx_view_ops sx_view_contacts = {
    .name = "contacts",
    .help = "which residues touch: ESM-2's contact map, likeliest pairs",
    .key = 'c',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_INPUT |
               1u << SX_SLOT_CONTACTS,
    .n_panes = 2,
    .state_size = sizeof(struct contacts_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = contacts_need,
    .draw = contacts_draw,
    .request = contacts_request,
    .title = sx_title_of_input,
    .data = contacts_data,
    .release = contacts_release,
};
