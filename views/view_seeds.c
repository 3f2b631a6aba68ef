/* seeds: how far two seeds agree at a threshold, over all thresholds, and over all seeds. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "partner.h"
#include "sextant/run/commands.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

enum pane { PANE_PAIR, PANE_CURVE, PANE_COUNTERS, PANES };
enum { PAIR_ROWS = 12 };

struct seeds_state {
    struct sx_table_state pairs;
    size_t overlay; /* family + 1 whose curve was asked for; 0: none */
};

/* --- layout -------------------------------------------------------------------------------------
 */

static void panes_of(const struct sx_view *view, struct sx_rect pane[PANES])
{
    const struct sx_rect body = sx_body_rect(view);
    const int pair = sx_layout_int(view, "pair", 36);
    const int counters = sx_layout_int(view, "counters", 46);

    for (int i = 0; i < PANES; i++)
        pane[i] = body;
    if (view->width < sx_layout_int(view, "narrow", 64)) {
        for (int i = 0; i < PANES; i++)
            pane[i].w = i == view->focus ? body.w : 0;
        return;
    }
    if (!sx_folded(view)) {
        /* Pair over counters, the curve at their right. */
        const struct sx_part part[2] = {{.size = counters}, {.weight = 1, .min = 16}};
        const struct sx_part row[2] = {{.size = PAIR_ROWS}, {.weight = 1}};
        struct sx_rect columns[2], rows[2];
        sx_split_columns(body, 1, part, 2, columns);
        sx_split_rows(columns[0], 0, row, 2, rows);
        pane[PANE_PAIR] = rows[0];
        pane[PANE_COUNTERS] = rows[1];
        pane[PANE_CURVE] = columns[1];
        return;
    }
    /* Pair and counters above, the curve below. */
    const struct sx_part row[2] = {{.size = PAIR_ROWS}, {.weight = 1, .min = 6, .optional = true}};
    const struct sx_part column[2] = {{.size = pair < body.w / 2 ? pair : body.w / 2},
                                      {.weight = 1}};
    struct sx_rect rows[2], columns[2];
    sx_split_rows(body, 0, row, 2, rows);
    sx_split_columns(rows[0], 1, column, 2, columns);
    pane[PANE_PAIR] = columns[0];
    pane[PANE_COUNTERS] = columns[1];
    pane[PANE_CURVE] = rows[1];
    if (rows[1].h == 0)
        pane[PANE_CURVE].w = 0;
}

static struct sx_rect slider_rect(struct sx_rect pane)
{
    return (struct sx_rect){pane.x + 2, pane.y + 2, pane.w - 4, 1};
}

static const char *pair_name(char buf[2 * SX_SHORT_TEXT + 8], const struct sx_session *session,
                             const struct sx_agreement *pair)
{
    char a[SX_SHORT_TEXT], b[SX_SHORT_TEXT];

    snprintf(buf, 2 * SX_SHORT_TEXT + 8, "%s × %s", sx_seed_text(a, sx_seed_of(session, pair->a)),
             sx_seed_text(b, sx_seed_of(session, pair->b)));
    return buf;
}

/* --- the pair -----------------------------------------------------------------------------------
 */

static void put_percent(struct sx_canvas *cv, int x, int y, int width, double fraction)
{
    char text[SX_SHORT_TEXT];
    sx_put_right(cv, x, y, width, fraction == 0 ? SX_STYLE_DIM : SX_STYLE_NUMBER,
                 sx_percent_text(text, fraction, sx_canvas_ascii(cv)));
}

static void put_fraction(struct sx_canvas *cv, int x, int y, int width, double value)
{
    char text[SX_SHORT_TEXT];
    sx_put_right(cv, x, y, width, value == 0 ? SX_STYLE_DIM : SX_STYLE_NUMBER,
                 sx_fraction(text, sizeof text, value, 3, sx_canvas_ascii(cv)));
}

/* Which latents are counted, and the cut that is on its way. */
static void draw_cut(struct sx_canvas *cv, int y, const struct sx_session *session,
                     const struct sx_agreement *pair)
{
    const double cut = sx_cut_shown(session);
    int x = 11;

    sx_put(cv, 2, y, SX_STYLE_LABEL, "alive");
    if (cut > -1)
        x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%7llu × %llu  > %.2f",
                     (unsigned long long)pair->n_a, (unsigned long long)pair->n_b, cut);
    else
        x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%7s", "all");
    if (session->match.alive_state == SX_STATE_PENDING)
        sx_put(cv, x + 2, y, SX_STYLE_BUSY, "…");
    else if (session->match.alive_state == SX_STATE_FAILED)
        sx_put(cv, x + 2, y, SX_STYLE_BAD, "!");
}

static void draw_fractions(struct sx_canvas *cv, int y, const struct sx_session *session,
                           const struct sx_agreement *pair)
{
    static const char *const head[] = {"both", "enc", "dec"};
    const double shared[] = {pair->shared, pair->shared_enc, pair->shared_dec};
    const double mmcs[] = {pair->mmcs, pair->mmcs_enc, pair->mmcs_dec};

    for (int c = 0; c < 3; c++)
        sx_put_right(cv, 11 + 7 * c, y, 7, SX_STYLE_HEADER, head[c]);
    sx_put(cv, 2, ++y, SX_STYLE_LABEL, "shared %");
    for (int c = 0; c < 3; c++)
        put_percent(cv, 11 + 7 * c, y, 7, shared[c]);
    sx_put(cv, 2, ++y, SX_STYLE_LABEL, "paired %");
    put_percent(cv, 25, y, 7, pair->paired);
    sx_put(cv, 2, ++y, SX_STYLE_LABEL, "MMCS");
    for (int c = 0; c < 3; c++)
        put_fraction(cv, 11 + 7 * c, y, 7, mmcs[c]);
    y++;
    draw_cut(cv, y, session, pair);
    y++;
    sx_put(cv, 2, y, SX_STYLE_LABEL, "count");
    sx_putf(cv, 11, y, SX_STYLE_NUMBER, "%7llu of %llu", (unsigned long long)pair->n_shared,
            (unsigned long long)(pair->n_a < pair->n_b ? pair->n_a : pair->n_b));
}

static void draw_pair(struct sx_canvas *cv, const struct sx_view *view,
                      const struct sx_session *session, struct sx_rect rect)
{
    const size_t at = sx_selected_pair(session);
    struct sx_agreement pair;
    char title[96], info[48] = "", tau[16], name[2 * SX_SHORT_TEXT + 8];
    const bool focus = view->focus == PANE_PAIR;

    if (!sx_pair_agreement(session, at, &pair))
        return;
    snprintf(title, sizeof title, "pair %s", pair_name(name, session, &pair));
    if (!isnan(pair.gap))
        snprintf(info, sizeof info, pair.gap > 0 ? "exact, gap %.0e" : "exact, gap 0", pair.gap);
    struct sx_canvas body = sx_frame(cv, title, info, focus);
    sx_put(&body, 2, 0, SX_STYLE_LABEL, "threshold τ");
    sx_put(&body, 15, 0, SX_STYLE_STRONG,
           sx_fraction(tau, sizeof tau, session->settings.tau, 2, sx_canvas_ascii(cv)));
    const struct sx_rect slider = slider_rect(rect);
    sx_slider(&body, 2, 1, slider.w, session->settings.tau, 0, 1, focus);
    if (focus)
        sx_set_cursor(&body, 2 + (int)lround(session->settings.tau * (double)(slider.w - 1)), 1,
                      false);
    draw_fractions(&body, 3, session, &pair);
}

/* --- the curve ----------------------------------------------------------------------------------
 */

static void draw_curve(struct sx_canvas *cv, const struct sx_view *view,
                       const struct sx_session *session)
{
    const struct sx_family *family = sx_selected_family(session);
    struct sx_series series[2] = {0};
    size_t n = 0;
    const bool focus = view->focus == PANE_CURVE;
    struct sx_agreement pair;
    char title[96] = "shared against τ", info[64] = "";
    char name[2 * SX_SHORT_TEXT + 8], tau[16], percent[SX_SHORT_TEXT];

    if (sx_pair_agreement(session, sx_selected_pair(session), &pair)) {
        const bool ascii = sx_canvas_ascii(cv);
        snprintf(title, sizeof title, "shared against τ · pair %s",
                 pair_name(name, session, &pair));
        snprintf(info, sizeof info, "τ %s: %s%%",
                 sx_fraction(tau, sizeof tau, session->settings.tau, 2, ascii),
                 sx_percent_text(percent, pair.shared, true));
    }
    struct sx_canvas body = sx_frame(cv, title, info, focus);

    for (int other = 0; other < 2; other++) {
        struct sx_series *s = &series[n];
        if (!sx_survival_curve(session, other, sx_selected_pair(session), &s->x, &s->y, &s->n))
            continue;
        s->style = other ? SX_STYLE_SERIES_1 : SX_STYLE_SERIES_0;
        s->label = other ? session->match.other_title : family->title;
        n++;
    }
    const struct sx_plot plot = {
        .series = series,
        .n_series = n,
        .x_lo = 0,
        .x_hi = 1,
        .y_lo = 0,
        .y_hi = 1,
        .x_label = "τ",
        .y_label = "shared",
        .has_marker = true,
        .marker = session->settings.tau,
        .filled = true,
    };
    sx_plot_draw(&body, &plot);
    if (focus)
        sx_set_cursor(&body, (int)lround(session->settings.tau * (double)(body.w - 1)), body.h - 1,
                      false);
}

/* --- counters and pairs -------------------------------------------------------------------------
 */

static const char *const counter_title[] = {
    [SX_COUNTER_ANCHORED] = "anchored",
    [SX_COUNTER_CLIQUE] = "clique",
    [SX_COUNTER_PAPER] = "paper",
};

enum { COUNTER_ROWS = 5 }; /* heads, three lines and a blank */

/* Rows of the counters above the list of pairs: by counter, and where the list keeps its room, the
 * chosen one by basis too. */
static int counter_rows(const struct sx_session *session, int height)
{
    const int list = (int)sx_pair_count(session) + 1;
    return height >= 2 * COUNTER_ROWS + (list < 4 ? list : 4) ? 2 * COUNTER_ROWS : COUNTER_ROWS;
}

static void put_counts(struct sx_canvas *cv, int x, int y, const char *head, bool chosen,
                       const uint64_t count[3], bool known)
{
    sx_put_right(cv, x, y, 10, chosen ? SX_STYLE_STRONG : SX_STYLE_HEADER, head);
    for (int i = 0; i < 3; i++) {
        char text[SX_SHORT_TEXT] = "–";
        const bool zero = known && count[i] == 0;
        if (zero)
            snprintf(text, sizeof text, "%s", sx_canvas_ascii(cv) ? "0" : "·");
        else if (known)
            snprintf(text, sizeof text, "%llu", (unsigned long long)count[i]);
        sx_put_right(cv, x, y + 1 + i, 10,
                     zero || !known ? SX_STYLE_DIM
                     : chosen       ? SX_STYLE_STRONG
                                    : SX_STYLE_NUMBER,
                     text);
    }
}

static void put_lines(struct sx_canvas *cv, int y)
{
    static const char *const line[] = {"always", "sometimes", "never"};

    for (int i = 0; i < 3; i++)
        sx_put(cv, 2, y + 1 + i, SX_STYLE_LABEL, line[i]);
}

static int draw_counters(struct sx_canvas *cv, const struct sx_session *session)
{
    static const enum sx_basis basis[] = {SX_BASIS_ENC, SX_BASIS_DEC, SX_BASIS_BOTH};
    static const char *const basis_title[] = {"enc", "dec", "both"};
    const enum sx_counter chosen = session->settings.counter;
    const int rows = counter_rows(session, cv->h);
    uint64_t count[3] = {0};

    put_lines(cv, 0);
    for (int k = 0; k < 3; k++) {
        const bool known = sx_category_counts(session, (enum sx_counter)k, SX_BASIS_BOTH, count);
        put_counts(cv, 12 + 10 * k, 0, counter_title[k], (int)chosen == k, count, known);
    }
    if (rows == COUNTER_ROWS)
        return rows;
    sx_put(cv, 2, COUNTER_ROWS, SX_STYLE_STRONG, counter_title[chosen]);
    put_lines(cv, COUNTER_ROWS);
    for (int k = 0; k < 3; k++) {
        const bool known = sx_category_counts(session, chosen, basis[k], count);
        put_counts(cv, 12 + 10 * k, COUNTER_ROWS, basis_title[k], basis[k] == SX_BASIS_BOTH, count,
                   known);
    }
    return rows;
}

static const struct sx_column pair_columns[] = {
    {.title = "pair", .width = 7},
    {.title = "MMCS", .width = 5, .align = SX_RIGHT},
    {.title = "paired %", .width = 8, .align = SX_RIGHT},
    {.title = "shared %", .width = 8, .align = SX_RIGHT},
    {.title = "gap", .width = 5, .align = SX_RIGHT},
};

struct pair_list {
    const struct sx_session *session;
    bool ascii;
    struct sx_table table;
};

static void percent_cell(struct sx_table_cell *out, double fraction, bool ascii)
{
    sx_percent_text(out->buffer, fraction, ascii);
    sx_cell_text(out, fraction == 0 ? SX_STYLE_DIM : SX_STYLE_NUMBER, out->buffer);
}

static void pair_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    const struct pair_list *list = ctx;
    struct sx_agreement pair;

    if (!sx_pair_agreement(list->session, row, &pair))
        return;
    switch (column) {
    case 0:
        sx_cell_text(out, SX_STYLE_TEXT, pair_name(out->buffer, list->session, &pair));
        break;
    case 1:
        sx_cell_fraction(out, pair.mmcs, 3, list->ascii);
        break;
    case 2:
        percent_cell(out, pair.paired, list->ascii);
        break;
    case 3:
        percent_cell(out, pair.shared, list->ascii);
        break;
    default:
        if (isnan(pair.gap))
            sx_cell_text(out, SX_STYLE_DIM, "–");
        else if (pair.gap == 0)
            sx_cell_text(out, SX_STYLE_DIM, list->ascii ? "0" : "·");
        else
            sx_cell_printf(out, SX_STYLE_DIM, "%.0e", pair.gap);
        break;
    }
}

static void make_pairs(struct pair_list *list, const struct sx_session *session, bool ascii)
{
    *list = (struct pair_list){.session = session, .ascii = ascii};
    list->table = (struct sx_table){
        .columns = pair_columns,
        .n_columns = sizeof pair_columns / sizeof *pair_columns,
        .n_rows = sx_pair_count(session),
        .cell = pair_cell,
        .ctx = list,
        .sort_column = -1,
    };
}

static void draw_counters_pane(struct sx_canvas *cv, const struct sx_view *view,
                               const struct sx_session *session)
{
    struct seeds_state *state = view->state;
    struct pair_list list;
    char title[64], tau[16];
    const bool focus = view->focus == PANE_COUNTERS;

    snprintf(title, sizeof title, "%zu seeds at τ %s", session->family.n_seeds,
             sx_fraction(tau, sizeof tau, session->settings.tau, 2, sx_canvas_ascii(cv)));
    struct sx_canvas body = sx_frame(cv, title, NULL, focus);
    const int y = draw_counters(&body, session);
    struct sx_canvas rest = sx_canvas_sub(&body, (struct sx_rect){0, y, body.w, body.h - y});
    make_pairs(&list, session, sx_canvas_ascii(cv));
    sx_table_draw(&rest, &list.table, &state->pairs, focus);
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static bool notice(struct sx_canvas *canvas, const struct sx_session *session)
{
    if (sx_family_ready(session) && sx_pair_count(session) > 0)
        return false;
    struct sx_canvas body = sx_frame(canvas, "seeds", NULL, true);

    if (!sx_family_ready(session))
        sx_slot_notice(
            &body, session->family.state == SX_STATE_READY ? SX_STATE_EMPTY : session->family.state,
            &session->family.error, "reading weights …",
            "No family is selected. Press 1 and Enter for the workspace.");
    else if (session->family.n_seeds < 2)
        sx_slot_notice(&body, SX_STATE_EMPTY, NULL, "",
                       "This family has one seed: there is nothing to match it with. SAEs alike "
                       "in all but the seed form a family.");
    else
        sx_slot_notice(
            &body, session->match.state == SX_STATE_READY ? SX_STATE_EMPTY : session->match.state,
            &session->match.error, "matching seeds …; Esc cancels",
            "The seeds are not matched yet: M matches them.");
    return true;
}

/* At the right of the pair: down the whole screen when the counters stand below it. */
static void draw_divider(struct sx_canvas *canvas, const struct sx_rect pane[PANES])
{
    const int x = pane[PANE_PAIR].x + pane[PANE_PAIR].w;
    const bool stacked = pane[PANE_COUNTERS].y > 0;

    if (pane[PANE_PAIR].w > 0 && x < canvas->w)
        sx_divider(canvas, x, 0, stacked ? canvas->h : pane[PANE_PAIR].h);
}

static void seeds_draw(const struct sx_view *view, const struct sx_session *session,
                       struct sx_canvas *canvas)
{
    struct sx_rect pane[PANES];

    if (sx_too_small(canvas, 24, 6) || notice(canvas, session))
        return;
    panes_of(view, pane);
    if (pane[PANE_PAIR].w > 0) {
        struct sx_canvas cv = sx_canvas_sub(canvas, pane[PANE_PAIR]);
        draw_pair(&cv, view, session, pane[PANE_PAIR]);
    }
    if (pane[PANE_CURVE].w > 0) {
        struct sx_canvas cv = sx_canvas_sub(canvas, pane[PANE_CURVE]);
        draw_curve(&cv, view, session);
    }
    if (pane[PANE_COUNTERS].w > 0) {
        struct sx_canvas cv = sx_canvas_sub(canvas, pane[PANE_COUNTERS]);
        draw_counters_pane(&cv, view, session);
    }
    draw_divider(canvas, pane);
}

/* What the list of pairs chooses. */
static size_t seeds_followers(const struct sx_view *view, const struct sx_session *session,
                              struct sx_rect out[SX_FOLLOWERS])
{
    struct sx_rect pane[PANES];

    (void)session;
    panes_of(view, pane);
    out[0] = pane[PANE_PAIR];
    out[1] = pane[PANE_CURVE];
    return pane[PANE_COUNTERS].w > 0 && pane[PANE_CURVE].w > 0 ? 2 : 0;
}

static void seeds_need(struct sx_view *view, const struct sx_session *session, struct sx_emit *emit)
{
    struct seeds_state *state = view->state;

    if (!sx_need_family(session, emit))
        return;
    sx_need_match(session, true, emit);
    const size_t pair = sx_selected_pair(session);
    if (pair != (size_t)-1)
        state->pairs.cursor = pair;
    else if (sx_pair_count(session) > 0)
        sx_emit_line(emit, "select --pair 0,1");
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void set_tau(const struct sx_session *session, double tau, struct sx_emit *emit)
{
    tau = tau < 0 ? 0 : tau > 1 ? 1 : tau;
    if (fabs(tau - session->settings.tau) > 1e-9)
        sx_emit_line(emit, "set --tau %.3f", tau);
}

static void move_tau(const struct sx_view *view, const struct sx_session *session, int steps,
                     struct sx_emit *emit)
{
    const double step = view->env && view->env->layout
                            ? sx_value_real_or(sx_value_get(view->env->layout, "step"), 0.01)
                            : 0.01;
    set_tau(session, step * round(session->settings.tau / step + steps), emit);
}

static void select_pair(const struct sx_session *session, size_t index, struct sx_emit *emit)
{
    struct sx_agreement pair;
    if (sx_pair_agreement(session, index, &pair))
        sx_emit_line(emit, "select --pair %zu,%zu", pair.a, pair.b);
}

/* The next family with the same number of inputs that has seeds to compare. */
static void next_overlay(struct seeds_state *state, const struct sx_session *session,
                         struct sx_emit *emit)
{
    const struct sx_workspace *workspace = &session->workspace;

    for (size_t i = 0; i < workspace->n_families; i++) {
        const size_t at = (state->overlay + i) % workspace->n_families;
        if (at == session->selection.family || workspace->families[at].n_members < 2)
            continue;
        state->overlay = at + 1;
        sx_emit_line(emit, "match-family --other %zu", at);
        return;
    }
    sx_emit_line(emit, "message there is no other family with two seeds to compare with");
}

static bool mouse_request(struct sx_view *view, const struct sx_session *session,
                          const struct sx_view_request *request, struct sx_emit *emit)
{
    struct sx_rect pane[PANES];

    panes_of(view, pane);
    const int at = sx_pane_at(pane, PANES, request->x, request->y);
    if (at < 0)
        return false;
    if (view->focus != at)
        emit->dirty = true;
    view->focus = at;
    const struct sx_rect slider = slider_rect(pane[PANE_PAIR]);
    if (at == PANE_PAIR && request->y == slider.y)
        set_tau(session, sx_slider_at(slider.w, request->x - slider.x, 0, 1), emit);
    return at != PANE_COUNTERS;
}

static bool word_request(struct sx_view *view, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    struct seeds_state *state = view->state;
    const char *name = request->name;
    const int count = request->count > 0 ? request->count : 1;
    const size_t pairs = sx_pair_count(session);
    const size_t pair = sx_selected_pair(session);

    if (strcmp(name, "left") == 0 || strcmp(name, "right") == 0) {
        move_tau(view, session, name[0] == 'l' ? -count : count, emit);
    } else if (strcmp(name, "pair-next") == 0 && pairs > 0) {
        select_pair(session, (pair + 1) % pairs, emit);
    } else if (strcmp(name, "pair-previous") == 0 && pairs > 0) {
        select_pair(session, (pair + pairs - 1) % pairs, emit);
    } else if (strcmp(name, "cut") == 0) {
        sx_emit_line(emit, "set --alive %s", session->settings.alive > -1 ? "-1" : "0.1");
    } else if (strcmp(name, "counter") == 0) {
        sx_emit_line(emit, "set --counter %s",
                     sx_counter_name((enum sx_counter)((session->settings.counter + 1) % 3)));
    } else if (strcmp(name, "orphans") == 0) {
        sx_emit_line(emit, "set --orphans on");
        sx_emit_line(emit, "view features");
    } else if (strcmp(name, "overlay") == 0) {
        next_overlay(state, session, emit);
    } else if (strcmp(name, "back") == 0 && view->focus > 0) {
        view->focus = 0;
        emit->dirty = true;
    } else {
        return false;
    }
    return true;
}

static bool seeds_request(struct sx_view *view, const struct sx_session *session,
                          const struct sx_view_request *request, struct sx_emit *emit)
{
    struct seeds_state *state = view->state;
    struct pair_list list;
    struct sx_rect pane[PANES];

    if (!sx_match_ready(session))
        return false;
    if (word_request(view, session, request, emit))
        return true;
    if ((strcmp(request->name, "click") == 0 || strcmp(request->name, "drag") == 0) &&
        mouse_request(view, session, request, emit))
        return true;
    panes_of(view, pane);
    struct sx_rect table = pane[PANE_COUNTERS];
    const int above = counter_rows(session, table.h - 1); /* below the pane's title */
    table.y += above;
    table.h -= above;
    make_pairs(&list, session, false);
    const size_t before = state->pairs.cursor;
    if (!sx_list_request(&list.table, &state->pairs, table, request, emit))
        return false;
    if (state->pairs.cursor != before)
        select_pair(session, state->pairs.cursor, emit);
    return true;
}

/* --- as data ------------------------------------------------------------------------------------
 */

static void counter_values(struct sx_value *document, const struct sx_session *session)
{
    static const char *const key[] = {"anchored", "clique", "paper_compat"};
    struct sx_value *categories = sx_value_set(document, "categories", sx_value_map());

    for (int k = 0; k < 3; k++) {
        uint64_t count[3];
        if (!sx_category_counts(session, (enum sx_counter)k, SX_BASIS_BOTH, count))
            continue;
        struct sx_value *map = sx_value_set(categories, key[k], sx_value_map());
        sx_value_set(map, "always", sx_value_int((int64_t)count[0]));
        sx_value_set(map, "sometimes", sx_value_int((int64_t)count[1]));
        sx_value_set(map, "never", sx_value_int((int64_t)count[2]));
    }
}

static struct sx_value *seeds_data(const struct sx_view *view, const struct sx_session *session)
{
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    (void)view;
    sx_row_real(document, "tau", session->settings.tau);
    sx_row_real(document, "alive", session->settings.alive);
    for (size_t i = 0; i < sx_pair_count(session); i++) {
        struct sx_agreement pair;
        if (!sx_pair_agreement(session, i, &pair))
            continue;
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_value_set(row, "a", sx_value_int(sx_seed_of(session, pair.a)));
        sx_value_set(row, "b", sx_value_int(sx_seed_of(session, pair.b)));
        sx_row_real(row, "mmcs", pair.mmcs);
        sx_row_real(row, "mmcs_enc", pair.mmcs_enc);
        sx_row_real(row, "mmcs_dec", pair.mmcs_dec);
        sx_row_real(row, "paired", pair.paired);
        sx_row_real(row, "shared", pair.shared);
        sx_row_real(row, "shared_enc", pair.shared_enc);
        sx_row_real(row, "shared_dec", pair.shared_dec);
        sx_value_set(row, "alive_a", sx_value_int((int64_t)pair.n_a));
        sx_value_set(row, "alive_b", sx_value_int((int64_t)pair.n_b));
        sx_row_real(row, "gap", pair.gap);
    }
    counter_values(document, session);
    return document;
}

static const struct sx_key_binding keys[] = {
    {"seeds", "Left", "left", "→ threshold", "Lower the threshold by 0.01, or by the count.",
     "Seeds"},
    {"seeds", "Right", "right", NULL, "Raise the threshold by 0.01, or by the count.", "Seeds"},
    {"seeds", "]", "pair-next", "pair", "The next pair of seeds.", "Seeds"},
    {"seeds", "[", "pair-previous", NULL, "The pair before.", "Seeds"},
    {"seeds", "a", "cut", "alive cut", "Count aligned latents only (above 0.1), or all.", "Seeds"},
    {"seeds", "c", "counter", "counter", "Anchored, clique, or the paper's counter.", "Seeds"},
    {"seeds", "o", "orphans", "orphans", "The latents without a partner, in the table.", "Seeds"},
    {"seeds", "f", "overlay", "compare", "Lay the curve of the next family over this one.",
     "Seeds"},
    {"seeds", "Enter", ":view features", "features", "Browse the latents.", "Seeds"},
    {"seeds", "v", ":view gallery", NULL, "The matched latents as images.", "Seeds"},
    {"seeds", "w", ":view weights", NULL, "Alignment and norms.", "Seeds"},
    {"seeds", "M", ":match-family", NULL, "Match again.", "Seeds"},
    {"seeds", "r", ":match-family", NULL, "Match again.", "Seeds"},
};

const struct sx_view_ops sx_view_seeds = {
    .name = "seeds",
    .help = "how far the seeds agree: threshold, survival curve, always, sometimes, never",
    .key = '3',
    .depends = 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_SETTINGS | 1u << SX_SLOT_FAMILY |
               1u << SX_SLOT_MATCH | 1u << SX_SLOT_WORKSPACE,
    .n_panes = PANES,
    .state_size = sizeof(struct seeds_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = seeds_need,
    .draw = seeds_draw,
    .followers = seeds_followers,
    .request = seeds_request,
    .title = sx_title_of_family,
    .data = seeds_data,
};
