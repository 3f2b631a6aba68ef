/* features: every latent of the anchor seed with its partners in the other seeds; beside it the
 * card of the one under the cursor. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "latent_card.h"
#include "partner.h"
#include "sextant/run/command.h"
#include "sextant/run/commands.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

struct features_state {
    struct sx_table_state table;
    bool full;           /* the card alone */
    uint64_t card_match; /* revision of MATCH when the card was asked for */
    /* The latent that m marked or unmarked last, for u. */
    bool has_mark;
    uint32_t mark;
    size_t mark_family, mark_seed;
};

/* --- columns ------------------------------------------------------------------------------------
 */

enum feature_column {
    COL_LATENT,
    COL_DEAD,
    COL_ALIGN,
    COL_ENC,
    COL_DEC,
    COL_PARTNERS, /* stands for one column a seed */
    COL_SIM,
    COL_MARGIN,
    COL_BADGE,
    FEATURE_COLUMNS
};

static const struct sx_view_column feature_columns[FEATURE_COLUMNS] = {
    [COL_LATENT] = {"latent", {.title = "latent", .width = 7, .align = SX_RIGHT, .frozen = true}},
    [COL_DEAD] = {"dead", {.title = "", .width = 1}},
    [COL_ALIGN] = {"align", {.title = "align", .width = 6, .align = SX_RIGHT}},
    [COL_ENC] = {"enc-norm", {.title = "‖enc‖", .width = 6, .align = SX_RIGHT}},
    [COL_DEC] = {"dec-norm", {.title = "‖dec‖", .width = 6, .align = SX_RIGHT}},
    [COL_PARTNERS] = {"partners", {.title = "seed", .width = 11}},
    [COL_SIM] = {"similarity", {.title = "sim", .width = 4, .align = SX_RIGHT}},
    [COL_MARGIN] = {"margin", {.title = "margin", .width = 6, .align = SX_RIGHT}},
    [COL_BADGE] = {"badge", {.title = "badge", .width = 5}},
};

static int sort_column_of(enum sx_sort_key key)
{
    static const int column[SX_SORT_COUNT] = {
        [SX_SORT_LATENT] = COL_LATENT,  [SX_SORT_ALIGN] = COL_ALIGN,
        [SX_SORT_ENC_NORM] = COL_ENC,   [SX_SORT_DEC_NORM] = COL_DEC,
        [SX_SORT_SIMILARITY] = COL_SIM, [SX_SORT_MARGIN] = COL_MARGIN,
        [SX_SORT_CATEGORY] = COL_BADGE,
    };
    return key < SX_SORT_COUNT ? column[key] : -1;
}

struct feature_list {
    const struct sx_session *session;
    const struct sx_seed_latents *anchor;
    bool ascii, matching;
    int digits;
    struct sx_column columns[SX_VIEW_COLUMNS];
    int id[SX_VIEW_COLUMNS];
    size_t member[SX_VIEW_COLUMNS]; /* COL_PARTNERS: which other seed */
    char title[SX_VIEW_COLUMNS][16];
    struct sx_table table;
};

static void partner_cell(const struct feature_list *list, size_t member, uint32_t latent,
                         struct sx_table_cell *out)
{
    struct sx_partner partner;
    char sim[16];

    if (!sx_partner_of(list->session, member, latent, &partner)) {
        if (list->matching)
            sx_cell_pending(out);
        else
            sx_cell_text(out, SX_STYLE_DIM, "–");
        return;
    }
    if (partner.latent < 0) {
        sx_cell_text(out, SX_STYLE_DIM, "–");
        return;
    }
    sx_fraction(sim, sizeof sim, partner.sim_dec, 2, list->ascii);
    /* One style along the row: whether it counts is in the badge, and a cursor that moves over
     * many styles costs as many escape sequences. */
    sx_cell_printf(out, SX_STYLE_NUMBER, "%0*lld %4s%s", list->digits, (long long)partner.latent,
                   sim, partner.ambiguous ? "≈" : "");
}

/* Over the other seeds: mean similarity, smallest margin. */
static double over_seeds(const struct feature_list *list, uint32_t latent, bool margin)
{
    double sum = 0, least = NAN;
    size_t n = 0;

    for (size_t m = 0; m < list->session->family.n_seeds; m++) {
        struct sx_partner partner;
        if (!sx_partner_of(list->session, m, latent, &partner) || partner.latent < 0)
            continue;
        sum += partner.sim_dec;
        least = n == 0 || partner.margin < least ? partner.margin : least;
        n++;
    }
    if (n == 0)
        return NAN;
    return margin ? least : sum / (double)n;
}

static void matched_number(const struct feature_list *list, uint32_t latent, bool margin,
                           struct sx_table_cell *out)
{
    if (list->matching)
        sx_cell_pending(out);
    else
        sx_cell_fraction(out, over_seeds(list, latent, margin), 2, list->ascii);
}

static void badge_cell(const struct feature_list *list, uint32_t latent, struct sx_table_cell *out)
{
    const int found = sx_partners_found(list->session, latent);

    if (found < 0) {
        if (list->matching)
            sx_cell_pending(out);
        return;
    }
    sx_partner_badge(out->buffer, sizeof out->buffer, list->ascii, found,
                     list->session->family.n_seeds);
    sx_cell_text(out, SX_STYLE_NUMBER, out->buffer);
}

static void feature_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    const struct feature_list *list = ctx;
    const uint32_t latent = list->session->rows.order[row];

    switch ((enum feature_column)list->id[column]) {
    case COL_LATENT:
        sx_cell_printf(out, SX_STYLE_NUMBER, "%0*u", list->digits, latent);
        break;
    case COL_DEAD:
        if (sx_latent_dead(list->anchor, latent))
            sx_cell_text(out, SX_STYLE_WARN, "†");
        break;
    case COL_ALIGN:
        sx_cell_fraction(out, (double)list->anchor->align[latent], 2, list->ascii);
        break;
    case COL_ENC:
        sx_cell_fraction(out, (double)list->anchor->enc_norm[latent], 2, list->ascii);
        break;
    case COL_DEC:
        sx_cell_fraction(out, (double)list->anchor->dec_norm[latent], 2, list->ascii);
        break;
    case COL_PARTNERS:
        partner_cell(list, list->member[column], latent, out);
        break;
    case COL_SIM:
        matched_number(list, latent, false, out);
        break;
    case COL_MARGIN:
        matched_number(list, latent, true, out);
        break;
    case COL_BADGE:
        badge_cell(list, latent, out);
        break;
    case FEATURE_COLUMNS:
        break;
    }
}

static unsigned feature_flags(const void *ctx, size_t row)
{
    const struct feature_list *list = ctx;
    return sx_session_marked(list->session, list->session->rows.order[row]) ? SX_ROW_MARKED : 0;
}

/* One column for each other seed where the layout says `partners`. */
static void expand_columns(struct feature_list *list, const struct sx_view *view)
{
    struct sx_column column[SX_VIEW_COLUMNS];
    int id[SX_VIEW_COLUMNS];
    const int n = sx_view_columns(view, "columns", feature_columns, FEATURE_COLUMNS, column, id);
    const struct sx_session *session = list->session;
    int out = 0;

    for (int i = 0; i < n; i++) {
        const bool partners = id[i] == COL_PARTNERS;
        if (session->family.n_seeds < 2 && id[i] >= COL_PARTNERS)
            continue; /* nothing to compare with */
        const size_t copies = partners ? session->family.n_seeds : 1;
        for (size_t m = 0; m < copies && out < SX_VIEW_COLUMNS; m++) {
            if (partners && m == session->selection.seed_index)
                continue;
            list->columns[out] = column[i];
            list->id[out] = id[i];
            list->member[out] = m;
            if (partners) {
                char seed[SX_SHORT_TEXT];
                snprintf(list->title[out], sizeof list->title[out], "seed %.10s",
                         sx_seed_text(seed, session->family.seeds[m].seed));
                list->columns[out].title = list->title[out];
                list->columns[out].width = list->digits + 6;
            } else if (id[i] == COL_LATENT && list->digits > 7) {
                list->columns[out].width = list->digits;
            } else if (id[i] == COL_BADGE && (int)session->family.n_seeds > 5) {
                list->columns[out].width = (int)session->family.n_seeds;
            }
            if (list->ascii && id[i] == COL_ENC)
                list->columns[out].title = "|enc|";
            if (list->ascii && id[i] == COL_DEC)
                list->columns[out].title = "|dec|";
            out++;
        }
    }
    list->table.n_columns = out;
}

static void make_list(struct feature_list *list, const struct sx_view *view,
                      const struct sx_session *session, bool ascii)
{
    *list = (struct feature_list){
        .session = session,
        .anchor = sx_anchor_latents(session),
        .ascii = ascii,
        .matching = session->match.state == SX_STATE_PENDING,
        .digits = sx_latent_digits(session->family.F),
    };
    list->table = (struct sx_table){
        .columns = list->columns,
        .n_rows = session->rows.state == SX_STATE_READY && list->anchor ? session->rows.n : 0,
        .cell = feature_cell,
        .flags = feature_flags,
        .ctx = list,
        .sort_column = -1,
        .sort_descending = session->rows.descending,
        .empty = session->settings.marked_only && session->n_marks == 0
                     ? "No latent is marked. m marks one, * shows all again."
                     : "No latent passes. Press f and Enter to clear the filter, x for all again.",
    };
    expand_columns(list, view);
    for (int i = 0; i < list->table.n_columns; i++)
        if (list->id[i] == sort_column_of(session->rows.sort))
            list->table.sort_column = i;
}

/* --- drawing ------------------------------------------------------------------------------------
 */

/* Columns that the table fills at most: what is left over is the card's. */
static int table_width(const struct sx_session *session)
{
    int width = 4;

    for (int i = 0; i < FEATURE_COLUMNS; i++)
        width += i == COL_PARTNERS ? 0 : feature_columns[i].column.width + 2;
    if (session->family.n_seeds > 1)
        width += (int)(session->family.n_seeds - 1) * (sx_latent_digits(session->family.F) + 8);
    return width;
}

static void panes_of(const struct sx_view *view, const struct sx_session *session,
                     struct sx_rect pane[2])
{
    const struct features_state *state = view->state;
    const int share = sx_layout_int(view, "share", 58);
    const int enough = view->width > 0 ? 100 * table_width(session) / view->width : 100;

    sx_two_panes(view, share < enough ? share : enough, pane);
    if (state->full) {
        pane[0].w = 0;
        pane[1] = sx_body_rect(view);
    }
}

static void list_titles(const struct sx_session *session, char *title, size_t title_size,
                        char *info, size_t info_size)
{
    const struct sx_rows *rows = &session->rows;
    char seed[SX_SHORT_TEXT];

    sx_seed_text(seed, sx_seed_of(session, session->selection.seed_index));
    if (rows->n == session->family.F)
        snprintf(title, title_size, "seed %s · %zu latents", seed, rows->n);
    else
        snprintf(title, title_size, "seed %s · %zu of %llu latents", seed, rows->n,
                 (unsigned long long)session->family.F);
    const bool unmatched = session->family.n_seeds > 1 && session->match.state == SX_STATE_EMPTY;
    snprintf(info, info_size, "%s%s%s%s%sby %s %s", unmatched ? "M matches seeds · " : "",
             session->settings.orphans_only ? "orphans · " : "",
             session->settings.marked_only ? "marked · " : "", rows->filter,
             *rows->filter ? " · " : "", sx_sort_key_name(rows->sort),
             rows->descending ? "▼" : "▲");
}

static void draw_list(struct sx_canvas *cv, const struct sx_view *view,
                      const struct sx_session *session)
{
    struct features_state *state = view->state;
    struct feature_list list;
    char title[96] = "latents", info[256] = "";
    const bool focus = view->focus == 0;

    if (sx_family_ready(session))
        list_titles(session, title, sizeof title, info, sizeof info);
    struct sx_canvas body = sx_frame(cv, title, info, focus);
    if (sx_slot_notice(&body, sx_family_ready(session) ? SX_STATE_READY : session->family.state,
                       &session->family.error, "reading weights …",
                       "No family is selected. Press 1 and Enter for the workspace."))
        return;
    if (sx_slot_notice(&body, session->rows.state, &session->rows.error, "ordering …",
                       "The rows are not ordered yet."))
        return;
    make_list(&list, view, session, sx_canvas_ascii(cv));
    sx_table_draw(&body, &list.table, &state->table, focus);
}

static void draw_card(struct sx_canvas *cv, const struct sx_view *view,
                      const struct sx_session *session)
{
    const struct features_state *state = view->state;
    char title[64] = "card", info[64] = "", seed[SX_SHORT_TEXT];

    if (sx_family_ready(session)) {
        snprintf(title, sizeof title, "latent %0*u · seed %s", sx_latent_digits(session->family.F),
                 session->selection.latent,
                 sx_seed_text(seed, sx_seed_of(session, session->selection.seed_index)));
        if (!sx_match_ready(session) && session->family.n_seeds > 1)
            snprintf(info, sizeof info, "%s",
                     session->match.state == SX_STATE_PENDING ? "matching …" : "M matches seeds");
    }
    struct sx_canvas body = sx_frame(cv, title, info, view->focus == 1);
    if (!sx_family_ready(session) || session->rows.n == 0)
        return;
    sx_latent_card(&body, session, state->full || sx_folded(view));
    if (view->focus == 1)
        sx_set_cursor(&body, 2, 0, false);
}

static void features_draw(const struct sx_view *view, const struct sx_session *session,
                          struct sx_canvas *canvas)
{
    struct sx_rect pane[2];

    if (sx_too_small(canvas, 24, 3))
        return;
    panes_of(view, session, pane);
    if (pane[0].w > 0) {
        struct sx_canvas left = sx_canvas_sub(canvas, pane[0]);
        draw_list(&left, view, session);
    }
    if (pane[1].w > 0) {
        struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
        draw_card(&right, view, session);
    }
    sx_pane_divider(canvas, pane);
}

/* The card beside the table; alone it is what the keys turn over. */
static size_t features_followers(const struct sx_view *view, const struct sx_session *session,
                                 struct sx_rect out[SX_FOLLOWERS])
{
    struct sx_rect pane[2];

    panes_of(view, session, pane);
    out[0] = pane[1];
    return pane[0].w > 0 && pane[1].w > 0;
}

/* --- what is missing ----------------------------------------------------------------------------
 */

static size_t row_of_latent(const struct sx_session *session, uint32_t latent)
{
    for (size_t i = 0; i < session->rows.n; i++)
        if (session->rows.order[i] == latent)
            return i;
    return (size_t)-1;
}

/* The cursor stands on the selected latent; when the filter took it away, on the row that is now
 * in its place. */
static void follow_selection(struct features_state *state, const struct sx_session *session,
                             struct sx_emit *emit)
{
    const struct sx_rows *rows = &session->rows;
    const uint32_t latent = session->selection.latent;

    if (rows->state != SX_STATE_READY || rows->n == 0)
        return;
    if (state->table.cursor < rows->n && rows->order[state->table.cursor] == latent)
        return;
    const size_t row = row_of_latent(session, latent);
    sx_table_goto(&state->table, rows->n, row != (size_t)-1 ? row : state->table.cursor);
    if (row == (size_t)-1)
        sx_emit_line(emit, "select --latent %u", rows->order[state->table.cursor]);
    emit->dirty = true;
}

/* A card made before the seeds were matched names the nearest decoders, not the partners. */
static bool card_outdated(const struct features_state *state, const struct sx_session *session)
{
    const struct sx_card *card = &session->card;

    if (!sx_card_asked(session))
        return true;
    return card->state == SX_STATE_READY && !card->assigned && sx_match_ready(session) &&
           state->card_match != session->revision[SX_SLOT_MATCH];
}

static void features_need(struct sx_view *view, const struct sx_session *session,
                          struct sx_emit *emit)
{
    struct features_state *state = view->state;
    struct sx_rect pane[2];

    if (!sx_need_family(session, emit))
        return;
    sx_need_rows(session, emit);
    sx_need_match(session, false, emit);
    follow_selection(state, session, emit);
    panes_of(view, session, pane);
    if (session->rows.state == SX_STATE_READY && session->rows.n > 0 && pane[1].w > 0 &&
        !view->moving && card_outdated(state, session)) {
        state->card_match = session->revision[SX_SLOT_MATCH];
        sx_emit_line(emit, "card");
    }
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void sort_by(const struct sx_session *session, enum sx_sort_key key, struct sx_emit *emit)
{
    const bool same = session->rows.sort == key;
    const bool natural = key != SX_SORT_LATENT && key != SX_SORT_CATEGORY;
    const bool descending = same ? !session->rows.descending : natural;

    sx_emit_line(emit, "sort %s%s", sx_sort_key_name(key), descending ? " --descending" : "");
}

static void next_sort(const struct sx_session *session, struct sx_emit *emit)
{
    const int key = ((int)session->rows.sort + 1) % SX_SORT_COUNT;
    sort_by(session, (enum sx_sort_key)key, emit);
}

static void header_click(const struct feature_list *list, const struct sx_session *session,
                         int column, struct sx_emit *emit)
{
    for (int key = 0; key < SX_SORT_COUNT; key++)
        if (column >= 0 && sort_column_of((enum sx_sort_key)key) == list->id[column])
            sort_by(session, (enum sx_sort_key)key, emit);
}

static void go_to_latent(const struct sx_session *session, int number, struct sx_emit *emit)
{
    const size_t row = number >= 0 ? row_of_latent(session, (uint32_t)number) : (size_t)-1;

    if (row != (size_t)-1)
        sx_emit_line(emit, "select --latent %d", number);
    else if ((uint64_t)number >= session->family.F)
        sx_emit_line(emit, "message there are %llu latents, 0 to %llu",
                     (unsigned long long)session->family.F,
                     (unsigned long long)session->family.F - 1);
    else
        sx_emit_line(emit, "message latent %d is not among the rows shown", number);
}

static void next_seed(const struct sx_session *session, int step, struct sx_emit *emit)
{
    const size_t n = session->family.n_seeds;
    if (n > 1)
        sx_emit_line(emit, "select --seed %zu",
                     (session->selection.seed_index + n + (size_t)(step + (int)n)) % n);
}

static void emit_text(struct sx_emit *emit, const char *command, const char *text)
{
    struct sx_str line = SX_STR_INIT;

    sx_str_printf(&line, "%s", command);
    if (text && *text) {
        sx_str_append(&line, " ");
        sx_command_quote(text, &line);
    }
    sx_emit_line(emit, "%s", line.data);
    sx_str_release(&line);
}

static void mark(struct features_state *state, const struct sx_session *session,
                 struct sx_emit *emit)
{
    state->has_mark = true;
    state->mark = session->selection.latent;
    state->mark_family = session->selection.family;
    state->mark_seed = session->selection.seed_index;
    sx_emit_line(emit, "mark --latent %u", state->mark);
}

/* Take the last mark back; once more puts it there again. */
static void undo_mark(const struct features_state *state, const struct sx_session *session,
                      struct sx_emit *emit)
{
    if (!state->has_mark || state->mark_family != session->selection.family ||
        state->mark_seed != session->selection.seed_index)
        sx_emit_line(emit, "message no mark to take back here");
    else
        sx_emit_line(emit, "mark --latent %u", state->mark);
}

/* Requests that do not move the cursor by themselves. */
static bool word_request(struct features_state *state, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    const char *name = request->name;

    if (strcmp(name, "sort") == 0) {
        next_sort(session, emit);
    } else if (strcmp(name, "reverse") == 0) {
        sort_by(session, session->rows.sort, emit);
    } else if (strcmp(name, "filter") == 0) {
        emit_text(emit, "filter", request->text);
    } else if (strcmp(name, "search") == 0) {
        if (request->text && *request->text)
            emit_text(emit, "jump", request->text);
    } else if (strcmp(name, "search-next") == 0 || strcmp(name, "search-previous") == 0) {
        sx_emit_line(emit, "jump%s --count %d", name[7] == 'p' ? " --backward" : "",
                     request->count > 0 ? request->count : 1);
    } else if (strcmp(name, "seed-next") == 0) {
        next_seed(session, 1, emit);
    } else if (strcmp(name, "seed-previous") == 0) {
        next_seed(session, -1, emit);
    } else if (strcmp(name, "mark") == 0) {
        mark(state, session, emit);
    } else if (strcmp(name, "undo") == 0) {
        undo_mark(state, session, emit);
    } else if (strcmp(name, "orphans") == 0) {
        sx_emit_line(emit, "set --orphans %s", session->settings.orphans_only ? "off" : "on");
    } else if (strcmp(name, "marked-only") == 0) {
        sx_emit_line(emit, "set --marked-only %s", session->settings.marked_only ? "off" : "on");
    } else if (strcmp(name, "last") == 0 && request->count > 0) {
        go_to_latent(session, request->count, emit);
    } else {
        return false;
    }
    emit->dirty = true;
    return true;
}

/* Requests that show or hide the card. */
static bool pane_request(struct sx_view *view, const struct sx_view_request *request)
{
    struct features_state *state = view->state;

    if (strcmp(request->name, "open") == 0) {
        state->full = !state->full;
        view->focus = state->full;
    } else if (strcmp(request->name, "back") == 0 && (state->full || view->focus == 1)) {
        state->full = false;
        view->focus = 0;
    } else if (strncmp(request->name, "focus-", 6) == 0) {
        state->full = false;
        view->focus = !view->focus;
    } else {
        return false;
    }
    return true;
}

static bool features_request(struct sx_view *view, const struct sx_session *session,
                             const struct sx_view_request *request, struct sx_emit *emit)
{
    struct features_state *state = view->state;
    struct feature_list list;
    struct sx_rect pane[2];
    size_t row;
    int column;

    if (pane_request(view, request)) {
        features_need(view, session, emit);
        emit->dirty = true;
        return true;
    }
    if (!sx_family_ready(session) || session->rows.state != SX_STATE_READY)
        return false;
    if (word_request(state, session, request, emit))
        return true;
    panes_of(view, session, pane);
    make_list(&list, view, session, false);
    if (strcmp(request->name, "click") == 0) {
        const int at = sx_pane_at(pane, 2, request->x, request->y);
        if (at >= 0 && !state->full)
            view->focus = at;
        if (at == 0 &&
            sx_table_hit(&list.table, &state->table, pane[0].w, pane[0].h - 1,
                         request->x - pane[0].x, request->y - pane[0].y - 1, &row, &column) &&
            row == (size_t)-1) {
            header_click(&list, session, column, emit);
            return true;
        }
    }
    /* The card has nothing to move in: the keys go on through the list. */
    if (!sx_list_request(&list.table, &state->table, pane[0], request, emit))
        return strcmp(request->name, "click") == 0;
    if (state->table.cursor < session->rows.n &&
        session->rows.order[state->table.cursor] != session->selection.latent)
        sx_emit_line(emit, "select --latent %u", session->rows.order[state->table.cursor]);
    return true;
}

/* --- as data ------------------------------------------------------------------------------------
 */

static void partner_values(struct sx_value *row, const struct sx_session *session, uint32_t latent)
{
    for (size_t m = 0; m < session->family.n_seeds; m++) {
        struct sx_partner partner;
        char key[48];
        if (m == session->selection.seed_index)
            continue;
        const int64_t known_seed = session->family.seeds[m].seed;
        const long long seed = known_seed >= 0 ? (long long)known_seed : (long long)m;
        const bool known = sx_partner_of(session, m, latent, &partner) && partner.latent >= 0;
        snprintf(key, sizeof key, "seed%lld_partner", seed);
        sx_value_set(row, key, known ? sx_value_int(partner.latent) : sx_value_null());
        snprintf(key, sizeof key, "seed%lld_sim_dec", seed);
        sx_row_real(row, key, known ? partner.sim_dec : NAN);
        snprintf(key, sizeof key, "seed%lld_sim_enc", seed);
        sx_row_real(row, key, known ? partner.sim_enc : NAN);
        snprintf(key, sizeof key, "seed%lld_margin", seed);
        sx_row_real(row, key, known ? partner.margin : NAN);
        snprintf(key, sizeof key, "seed%lld_shared", seed);
        sx_value_set(row, key, known ? sx_value_bool(partner.shared) : sx_value_null());
    }
}

static struct sx_value *features_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct sx_seed_latents *anchor = sx_anchor_latents(session);
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    (void)view;
    for (size_t i = 0; anchor && session->rows.state == SX_STATE_READY && i < session->rows.n;
         i++) {
        const uint32_t latent = session->rows.order[i];
        const int found = sx_partners_found(session, latent);
        struct sx_value *row = sx_value_append(rows, sx_value_map());

        sx_value_set(row, "latent", sx_value_int(latent));
        sx_row_real(row, "align", (double)anchor->align[latent]);
        sx_row_real(row, "enc_norm", (double)anchor->enc_norm[latent]);
        sx_row_real(row, "dec_norm", (double)anchor->dec_norm[latent]);
        sx_value_set(row, "dead", sx_value_bool(sx_latent_dead(anchor, latent)));
        sx_value_set(row, "marked", sx_value_bool(sx_session_marked(session, latent)));
        sx_value_set(row, "partners", found >= 0 ? sx_value_int(found) : sx_value_null());
        partner_values(row, session, latent);
    }
    return document;
}

static const struct sx_key_binding keys[] = {
    {"features", "Enter", "open", "card", "The card alone; once more or Esc: back.", "Latents"},
    {"features", "o", "sort", "sort", "Sort by the next column.", "Latents"},
    {"features", "O", "reverse", NULL, "Sort the other way round.", "Latents"},
    {"features", "f", "filter", "filter", "Show latents for which an expression holds.", "Latents"},
    {"features", "]", "seed-next", "seed", "The next seed as anchor.", "Latents"},
    {"features", "[", "seed-previous", NULL, "The seed before as anchor.", "Latents"},
    {"features", "m", "mark", "mark", "Mark or unmark the latent.", "Latents"},
    {"features", "u", "undo", NULL, "Take the last mark back.", "Latents"},
    {"features", "*", "marked-only", NULL, "Only marked latents, or all.", "Latents"},
    {"features", "x", "orphans", "orphans", "Only latents without any partner, or all.", "Latents"},
    {"features", "M", ":match-family", "match", "Match the seeds of the family.", "Latents"},
    {"features", "s", ":view seeds", "seeds", "Threshold, fractions and counters.", "Latents"},
    {"features", "v", ":view gallery", "gallery", "The latents as images.", "Latents"},
    {"features", "w", ":view weights", "weights", "Alignment and norms.", "Latents"},
    {"features", "r", ":load-family", NULL, "Read the family again.", "Latents"},
};

const struct sx_view_ops sx_view_features = {
    .name = "features",
    .help = "every latent of a family: norms, alignment, partners in the other seeds, its card",
    .key = '2',
    .depends = 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_SETTINGS | 1u << SX_SLOT_FAMILY |
               1u << SX_SLOT_MATCH | 1u << SX_SLOT_ROWS | 1u << SX_SLOT_CARD |
               1u << SX_SLOT_WORKSPACE,
    .n_panes = 2,
    .state_size = sizeof(struct features_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = features_need,
    .draw = features_draw,
    .followers = features_followers,
    .request = features_request,
    .title = sx_title_of_family,
    .data = features_data,
};
