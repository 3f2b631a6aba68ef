/* weights: how encoder and decoder of each latent lie to each other, with a movable alive cut, and
 * their norms. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

/* Bins of the alignment histogram as data, as the paper's figures have them; on the screen a column
 * each. */
enum { BINS = 50, BINS_SHOWN = 160 };
static const double PAPER_CUT = 0.1;
static const double STEP = 0.05;

static void panes_of(const struct sx_view *view, struct sx_rect pane[2])
{
    sx_two_panes(view, sx_layout_int(view, "share", 50), pane);
}

static double histogram_lo(const struct sx_seed_latents *anchor, size_t n)
{
    double lo = 0, hi = 1;
    return sx_float_range(anchor->align, n, &lo, &hi) && lo < -0.2 ? -1 : -0.2;
}

static size_t count_above(const float *value, size_t n, double cut)
{
    size_t above = 0;
    for (size_t i = 0; i < n; i++)
        above += (double)value[i] > cut;
    return above;
}

static struct sx_histogram histogram_of(const struct sx_session *session,
                                        const struct sx_seed_latents *anchor, int width,
                                        double bin[BINS_SHOWN])
{
    const double lo = histogram_lo(anchor, (size_t)session->family.F);
    const size_t n = width < 1 ? 1 : width < BINS_SHOWN ? (size_t)width : BINS_SHOWN;

    sx_bin_floats(anchor->align, (size_t)session->family.F, lo, 1, bin, n);
    return (struct sx_histogram){
        .count = bin,
        .n = n,
        .lo = lo,
        .hi = 1,
        .has_cut = session->settings.alive > -1,
        .cut = session->settings.alive,
        .cut_label = "alive",
    };
}

/* One line a seed: median, shares, and what is above the cut. */
static void draw_seeds(struct sx_canvas *cv, const struct sx_session *session)
{
    const struct sx_family_data *family = &session->family;
    const bool ascii = sx_canvas_ascii(cv);
    static const char *const head[] = {"median", "> .5 %", "> .7 %", "> .9 %", "alive", "dead"};

    sx_put(cv, 2, 0, SX_STYLE_HEADER, "seed");
    for (int c = 0; c < 6; c++)
        sx_put_right(cv, 6 + 8 * c, 0, 8, SX_STYLE_HEADER, head[c]);
    for (size_t m = 0; m < family->n_seeds && (int)m + 1 < cv->h; m++) {
        const struct sx_sae_stats *stats = &family->seeds[m].stats;
        const int y = (int)m + 1;
        const double share[] = {stats->align_over_05, stats->align_over_07, stats->align_over_09};
        char text[SX_SHORT_TEXT];

        sx_put_right(cv, 2, y, 4, SX_STYLE_NUMBER, sx_seed_text(text, family->seeds[m].seed));
        sx_put_right(cv, 6, y, 8, SX_STYLE_NUMBER,
                     sx_fraction(text, sizeof text, stats->align_median, 3, ascii));
        for (int c = 0; c < 3; c++)
            sx_put_right(cv, 14 + 8 * c, y, 8, SX_STYLE_NUMBER,
                         sx_percent_text(text, share[c], ascii));
        snprintf(
            text, sizeof text, "%zu",
            session->settings.alive > -1
                ? count_above(family->seeds[m].align, (size_t)family->F, session->settings.alive)
                : (size_t)family->F);
        sx_put_right(cv, 38, y, 8, SX_STYLE_NUMBER, text);
        snprintf(text, sizeof text, "%llu", (unsigned long long)stats->dead_tiny);
        sx_put_right(cv, 46, y, 8, stats->dead_tiny ? SX_STYLE_NUMBER : SX_STYLE_DIM,
                     stats->dead_tiny ? text
                     : ascii          ? "0"
                                      : "·");
        if (m == session->selection.seed_index)
            sx_overlay(cv, (struct sx_rect){0, y, cv->w, 1}, SX_STYLE_SELECTED);
    }
}

/* Rows below the histogram for the table of seeds; 0: there is no room. */
static int seed_rows(const struct sx_session *session, int height)
{
    const int table = (int)session->family.n_seeds + 2;
    return height >= table + 6 ? table : 0;
}

static void draw_alignment(struct sx_canvas *cv, const struct sx_view *view,
                           const struct sx_session *session, const struct sx_seed_latents *anchor)
{
    double bin[BINS_SHOWN];
    char title[96], info[64], seed[SX_SHORT_TEXT];
    const size_t F = (size_t)session->family.F;

    snprintf(title, sizeof title, "alignment · seed %s", sx_seed_text(seed, anchor->seed));
    if (session->settings.alive > -1)
        snprintf(info, sizeof info, "%zu of %zu above %.2f",
                 count_above(anchor->align, F, session->settings.alive), F,
                 session->settings.alive);
    else
        snprintf(info, sizeof info, "no cut: all %zu", F);
    struct sx_canvas body = sx_frame(cv, title, info, view->focus == 0);
    const int below = seed_rows(session, body.h);
    struct sx_canvas plot =
        sx_canvas_sub(&body, (struct sx_rect){1, 0, body.w - 2, body.h - below});
    const struct sx_histogram hist = histogram_of(session, anchor, plot.w, bin);
    sx_histogram_draw(&plot, &hist);
    if (below) {
        struct sx_canvas rest =
            sx_canvas_sub(&body, (struct sx_rect){0, body.h - below + 1, body.w, below - 1});
        draw_seeds(&rest, session);
    }
    if (view->focus == 0) {
        const double at = hist.has_cut ? (hist.cut - hist.lo) / (hist.hi - hist.lo) : 0;
        sx_set_cursor(&plot, (int)(at * (double)(plot.w - 1)), plot.h > 1 ? plot.h - 1 : 0, false);
    }
}

static void draw_norms(struct sx_canvas *cv, const struct sx_view *view,
                       const struct sx_session *session, const struct sx_seed_latents *anchor)
{
    char info[96];
    const uint32_t latent = session->selection.latent;
    const bool ascii = sx_canvas_ascii(cv);
    const size_t F = (size_t)session->family.F;
    char enc[16], dec[16];
    double lo = 0, x_hi = 1, y_hi = 1;

    snprintf(info, sizeof info, "latent %0*u: %s %s", sx_latent_digits(session->family.F), latent,
             sx_fraction(enc, sizeof enc, (double)anchor->enc_norm[latent], 2, ascii),
             sx_fraction(dec, sizeof dec, (double)anchor->dec_norm[latent], 2, ascii));
    struct sx_canvas body = sx_frame(cv, "norms", info, view->focus == 1);
    /* From zero, so that norms that are all but equal look equal. */
    if (!sx_float_range(anchor->enc_norm, F, &lo, &x_hi) || !(x_hi > 0))
        x_hi = 1;
    if (!sx_float_range(anchor->dec_norm, F, &lo, &y_hi) || !(y_hi > 0))
        y_hi = 1;
    const struct sx_scatter scatter = {
        .x = anchor->enc_norm,
        .y = anchor->dec_norm,
        .n = F,
        .x_hi = 1.05 * x_hi,
        .y_hi = 1.05 * y_hi,
        .x_label = ascii ? "|enc|" : "‖enc‖",
        .y_label = ascii ? "|dec|" : "‖dec‖",
        .diagonal = true,
        .has_selection = true,
        .selected = latent,
    };
    sx_scatter_draw(&body, &scatter);
    if (view->focus == 1)
        sx_set_cursor(&body, 0, body.h - 1, false);
}

static void weights_draw(const struct sx_view *view, const struct sx_session *session,
                         struct sx_canvas *canvas)
{
    const struct sx_seed_latents *anchor = sx_anchor_latents(session);
    struct sx_rect pane[2];

    if (sx_too_small(canvas, 24, 6))
        return;
    if (!anchor || session->selection.latent >= session->family.F) {
        struct sx_canvas body = sx_frame(canvas, "weights", NULL, true);
        sx_slot_notice(
            &body, session->family.state == SX_STATE_READY ? SX_STATE_EMPTY : session->family.state,
            &session->family.error, "reading weights …",
            "No family is selected. Press 1 and Enter for the workspace.");
        return;
    }
    panes_of(view, pane);
    if (pane[0].w > 0) {
        struct sx_canvas left = sx_canvas_sub(canvas, pane[0]);
        draw_alignment(&left, view, session, anchor);
    }
    if (pane[1].w > 0) {
        struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
        draw_norms(&right, view, session, anchor);
    }
    sx_pane_divider(canvas, pane);
}

/* The plots follow the seed that the table chooses. */
static size_t weights_followers(const struct sx_view *view, const struct sx_session *session,
                                struct sx_rect out[SX_FOLLOWERS])
{
    panes_of(view, out);
    const int below = out[0].w > 0 ? seed_rows(session, out[0].h - 1) : 0;
    out[0].h -= below;
    return below == 0 ? 0 : out[1].w > 0 ? 2 : 1;
}

static void weights_need(struct sx_view *view, const struct sx_session *session,
                         struct sx_emit *emit)
{
    (void)view;
    sx_need_family(session, emit);
}

/* The first step from "all" is the cut that the paper's results use. */
static double moved_cut(double cut, int steps)
{
    if (cut <= -1)
        return steps > 0 ? PAPER_CUT : -1;
    cut = STEP * round(cut / STEP + steps);
    if (cut < 0)
        return -1;
    return cut > 0.95 ? 0.95 : cut;
}

static void set_cut(const struct sx_session *session, double cut, struct sx_emit *emit)
{
    if (cut != session->settings.alive)
        sx_emit_line(emit, "set --alive %.2f", cut);
}

static bool mouse_request(struct sx_view *view, const struct sx_session *session,
                          const struct sx_view_request *request, struct sx_emit *emit)
{
    const struct sx_seed_latents *anchor = sx_anchor_latents(session);
    struct sx_rect pane[2];
    double bin[BINS_SHOWN];

    panes_of(view, pane);
    const int at = sx_pane_at(pane, 2, request->x, request->y);
    if (at < 0 || !anchor)
        return true;
    view->focus = at;
    emit->dirty = true;
    if (at == 0 && request->y > pane[0].y) {
        const struct sx_histogram hist = histogram_of(session, anchor, pane[0].w - 2, bin);
        const double value = sx_histogram_at(&hist, pane[0].w - 2, request->x - pane[0].x - 1);
        set_cut(session, value < 0 ? -1 : 0.01 * round(100 * value), emit);
    }
    return true;
}

static bool weights_request(struct sx_view *view, const struct sx_session *session,
                            const struct sx_view_request *request, struct sx_emit *emit)
{
    const char *name = request->name;
    const int count = request->count > 0 ? request->count : 1;
    const size_t n = session->family.n_seeds;

    if (!sx_family_ready(session))
        return false;
    if (strcmp(name, "left") == 0 || strcmp(name, "right") == 0) {
        set_cut(session, moved_cut(session->settings.alive, name[0] == 'l' ? -count : count), emit);
    } else if (strcmp(name, "cut") == 0) {
        set_cut(session, session->settings.alive > -1 ? -1 : PAPER_CUT, emit);
    } else if (strcmp(name, "first") == 0 || strcmp(name, "last") == 0) {
        set_cut(session, name[0] == 'f' ? -1 : 0.95, emit);
    } else if (strcmp(name, "seed-next") == 0 || strcmp(name, "down") == 0) {
        sx_emit_line(emit, "select --seed %zu", (session->selection.seed_index + 1) % n);
    } else if (strcmp(name, "seed-previous") == 0 || strcmp(name, "up") == 0) {
        sx_emit_line(emit, "select --seed %zu", (session->selection.seed_index + n - 1) % n);
    } else if (strcmp(name, "click") == 0 || strcmp(name, "drag") == 0) {
        return mouse_request(view, session, request, emit);
    } else if (strcmp(name, "back") == 0 && view->focus == 1) {
        view->focus = 0;
        emit->dirty = true;
    } else {
        return false;
    }
    return true;
}

static struct sx_value *weights_data(const struct sx_view *view, const struct sx_session *session)
{
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    (void)view;
    for (size_t m = 0; sx_family_ready(session) && m < session->family.n_seeds; m++) {
        const struct sx_seed_latents *latents = &session->family.seeds[m];
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        struct sx_value *counts;
        double bin[BINS];

        sx_value_set(row, "seed", sx_value_int(latents->seed));
        sx_row_real(row, "align_mean", latents->stats.align_mean);
        sx_row_real(row, "align_median", latents->stats.align_median);
        sx_row_real(row, "align_over_05", latents->stats.align_over_05);
        sx_row_real(row, "align_over_07", latents->stats.align_over_07);
        sx_row_real(row, "align_over_09", latents->stats.align_over_09);
        sx_row_real(row, "enc_norm_mean", latents->stats.enc_norm_mean);
        sx_row_real(row, "dec_norm_mean", latents->stats.dec_norm_mean);
        sx_value_set(row, "dead", sx_value_int((int64_t)latents->stats.dead_tiny));
        sx_value_set(
            row, "alive",
            sx_value_int(session->settings.alive > -1
                             ? (int64_t)count_above(latents->align, (size_t)session->family.F,
                                                    session->settings.alive)
                             : (int64_t)session->family.F));
        sx_bin_floats(latents->align, (size_t)session->family.F, -1, 1, bin, BINS);
        counts = sx_value_set(row, "align_histogram", sx_value_list());
        for (int b = 0; b < BINS; b++)
            sx_value_append(counts, sx_value_int((int64_t)bin[b]));
    }
    return document;
}

static const struct sx_key_binding keys[] = {
    {"weights", "Right", "right", "alive cut", "Move the alive cut up.", "Weights"},
    {"weights", "Left", "left", NULL, "Move the alive cut down; below 0: all latents.", "Weights"},
    {"weights", "a", "cut", "on/off", "The alive cut on (0.1) or off.", "Weights"},
    {"weights", "]", "seed-next", "seed", "The next seed.", "Weights"},
    {"weights", "[", "seed-previous", NULL, "The seed before.", "Weights"},
    {"weights", "Enter", ":view features", "features", "Browse the latents.", "Weights"},
    {"weights", "s", ":view seeds", "seeds", "Match the seeds.", "Weights"},
    {"weights", "r", ":load-family", NULL, "Read the family again.", "Weights"},
};

const struct sx_view_ops sx_view_weights = {
    .name = "weights",
    .help = "alignment of encoder and decoder with a movable alive cut, and their norms",
    .key = '4',
    .depends = 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_SETTINGS | 1u << SX_SLOT_FAMILY |
               1u << SX_SLOT_WORKSPACE,
    .n_panes = 2,
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = weights_need,
    .draw = weights_draw,
    .followers = weights_followers,
    .request = weights_request,
    .title = sx_title_of_family,
    .data = weights_data,
};
