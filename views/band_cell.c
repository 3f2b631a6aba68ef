#include "band_cell.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "band_parts.h"
#include "model_parts.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"

enum { POLAR = 28, SPLIT = 23, WHOLE = 27 };

static int put_pair(struct sx_canvas *cv, int y, const char *label, const char *a, const char *b)
{
    sx_put(cv, 0, y, SX_STYLE_LABEL, label);
    sx_put_right(cv, 9, y, 7, *label ? SX_STYLE_NUMBER : SX_STYLE_HEADER, a);
    if (b)
        sx_put_right(cv, 16, y, 7, *label ? SX_STYLE_NUMBER : SX_STYLE_HEADER, b);
    return y + 1;
}

static int put_signed_pair(struct sx_canvas *cv, int y, const char *label, double a, double b,
                           bool has_b)
{
    char left[16], right[16];
    const bool ascii = sx_canvas_ascii(cv);

    return put_pair(cv, y, label, sx_signed_text(left, sizeof left, a, 7, ascii),
                    has_b ? sx_signed_text(right, sizeof right, b, 7, ascii) : NULL);
}

static int put_norm_pair(struct sx_canvas *cv, int y, const char *label, double a, double b,
                         bool has_b)
{
    char left[16], right[16];

    snprintf(left, sizeof left, "%.*f", a < 99.995 ? 2 : 0, a);
    snprintf(right, sizeof right, "%.*f", b < 99.995 ? 2 : 0, b);
    return put_pair(cv, y, label, left, has_b ? right : NULL);
}

/* r, rho and the angles of the band in A and B. */
static int draw_polar(struct sx_canvas *cv, const struct sx_bands_result *r, size_t at)
{
    const struct sx_band *a = &r->a[at], *b = r->b ? &r->b[at] : a;
    const bool two = r->b != NULL, ascii = sx_canvas_ascii(cv);
    int y = put_pair(cv, 0, "", "A", two ? "B" : NULL);

    y = put_norm_pair(cv, y, "r  |q|", a->r, b->r, two);
    y = put_norm_pair(cv, y, ascii ? "rho |k|" : "ρ  |k|", a->rho, b->rho, two);
    y = put_signed_pair(cv, y, "cos", a->cosine, b->cosine, two);
    y = put_signed_pair(cv, y, "content", a->alpha, b->alpha, two);
    sx_put(cv, two ? 24 : 17, y - 1, SX_STYLE_UNIT, "rad");
    y = put_signed_pair(cv, y, "position", fmod(a->delta, 6.283185307179586),
                        fmod(b->delta, 6.283185307179586), two);
    sx_put(cv, two ? 24 : 17, y - 1, SX_STYLE_UNIT, "rad");
    return put_signed_pair(cv, y, "score", a->score, b->score, two);
}

static int put_part(struct sx_canvas *cv, int y, int indent, const char *label, double value)
{
    char text[16];

    sx_put(cv, indent, y, SX_STYLE_LABEL, label);
    sx_put_right(cv, 13, y, 8, SX_STYLE_NUMBER,
                 sx_signed_text(text, sizeof text, value, 7, sx_canvas_ascii(cv)));
    return y + 1;
}

static int draw_split(struct sx_canvas *cv, const struct sx_bands_result *r, size_t at)
{
    char text[16];

    if (!r->split)
        return 0;
    const struct sx_band_split *s = &r->split[at];
    int y = put_part(cv, 0, 0, "B - A, logits", s->total);
    y = put_part(cv, y, 1, "query norm", s->query_norm);
    y = put_part(cv, y, 1, "key norm", s->key_norm);
    y = put_part(cv, y, 1, "direction", s->direction);
    y = put_part(cv, y, 2, "content", s->content);
    y = put_part(cv, y, 2, "position", s->position);
    sx_put(cv, 0, y, SX_STYLE_LABEL, "coupling");
    sx_put_right(cv, 13, y, 8, SX_STYLE_NUMBER,
                 sx_fraction(text, sizeof text, s->coupling, 2, sx_canvas_ascii(cv)));
    return y + 1;
}

/* The head as a whole: attention and margin from A to B, what it would write. */
static int draw_whole(struct sx_canvas *cv, const struct sx_band_table *t, size_t layer,
                      size_t head)
{
    const struct sx_bands_result *r = t->result;
    const size_t at = layer * r->n_heads + head;
    const bool ascii = sx_canvas_ascii(cv);
    char text[96], a[24], b[24];

    int y = put_pair(cv, 0, "", "A", r->attention_b ? "B" : NULL);
    y = put_pair(cv, y, "attention", sx_probability_text(a, sizeof a, r->attention_a[at], ascii),
                 r->attention_b ? sx_probability_text(b, sizeof b, r->attention_b[at], ascii)
                                : NULL);
    y = put_signed_pair(cv, y, "margin", r->margin_a[at], r->margin_b ? r->margin_b[at] : 0,
                        r->margin_b != NULL);
    if (r->readout)
        y = put_signed_pair(cv, y, "readout", r->readout[at], 0, false);
    snprintf(text, sizeof text, "%s, sum", sx_band_term_label(t->term));
    sx_band_number(t, sx_band_head_value(t, layer, head, SX_ALL_BANDS), 7, a, sizeof a);
    sx_put_cut(cv, 0, y, 15, SX_STYLE_LABEL, text);
    sx_put_right(cv, 16, y, 7, SX_STYLE_NUMBER, a);
    return y + 1;
}

static int draw_comparison(struct sx_canvas *cv, const struct sx_band_table *t, double here)
{
    char text[48], label[48];

    if (!t->pin.set)
        return 0;
    const double pinned = sx_band_pin_value(t, (int)t->pin.band);
    if (t->pin.head_alone)
        snprintf(label, sizeof label, "* L%zu H%zu b%zu", t->pin.layer, t->pin.head, t->pin.band);
    else
        snprintf(label, sizeof label, "* layer %zu b%zu", t->pin.layer, t->pin.band);
    sx_put_cut(cv, 0, 0, 15, SX_STYLE_LABEL, label);
    sx_band_number(t, pinned, 7, text, sizeof text);
    sx_put_right(cv, 16, 0, 7, SX_STYLE_NUMBER, text);
    sx_put(cv, 0, 1, SX_STYLE_LABEL, "cell - pinned");
    sx_band_number(t, here - pinned, 7, text, sizeof text);
    sx_put_right(cv, 16, 1, 7, SX_STYLE_NUMBER, text);
    return 2;
}

/* The blocks below each other, or beside each other where the pane is wide. */
static void draw_blocks(struct sx_canvas *cv, const struct sx_band_table *t, size_t layer,
                        size_t head, size_t band)
{
    static const int width[] = {POLAR, SPLIT, WHOLE};
    const size_t at = (layer * t->result->n_heads + head) * t->result->n_bands + band;
    const double here = t->alone ? sx_band_head_value(t, layer, head, (int)band)
                                 : sx_band_layer_value(t, layer, (int)band);
    const bool beside = cv->w >= SX_BAND_CELL_WIDE;
    int x = 1, y = 0;

    for (int block = 0; block < 4; block++) {
        /* What is pinned stands beside the others where it can, else below the third. */
        const bool below = !beside || (block == 3 && cv->w < SX_BAND_CELL_WIDE + WHOLE - 4);
        if (block > 0 && !below)
            x += width[block - 1] + (cv->w > SX_BAND_CELL_WIDE + WHOLE ? 3 : 0);
        struct sx_canvas part = sx_canvas_sub(
            cv, (struct sx_rect){x, below ? y : 0, cv->w - x, below ? cv->h - y : cv->h});
        const int rows = block == 0   ? draw_polar(&part, t->result, at)
                         : block == 1 ? draw_split(&part, t->result, at)
                         : block == 2 ? draw_whole(&part, t, layer, head)
                                      : draw_comparison(&part, t, here);
        if (rows == 0 && block == 1 && !below)
            x -= SPLIT;
        if (below || block == 2)
            y += rows + (rows > 0 && cv->h >= (t->pin.set ? 25 : 22));
    }
}

/* --- over proteins ------------------------------------------------------------------------------
 */

size_t sx_band_mean_head(const struct sx_band_table *t, size_t band)
{
    const bool all = !t->alone && t->mode == SX_BANDS_LAYERS && t->group == SX_GROUP_ALL;
    return all ? SIZE_MAX : sx_band_strongest(t, t->layer, band);
}

bool sx_band_means_current(const struct sx_session *session)
{
    const struct sx_band_means_data *means = &session->band_means;
    const struct sx_bands_data *data = &session->bands;

    return means->state != SX_STATE_EMPTY && means->serial == session->input.serial &&
           means->query == data->result.query_a && means->key == data->result.key_a &&
           !data->other && means->against == data->against;
}

/* "direction, 43 of 45 proteins: -0.531 [-0.602, -0.413] 95 %", on two lines where it is narrow. */
static int put_mean(struct sx_canvas *cv, const struct sx_band_table *t,
                    const struct sx_band_means_data *means)
{
    const struct sx_band_mean_term *term = &means->cell.term[t->term];
    const bool wide = cv->w >= 64, all = means->cell.head == SIZE_MAX;
    char of[24] = "";
    int x = 1, y = 0;

    if (means->n_left_out > 0)
        snprintf(of, sizeof of, " of %zu", means->n + means->n_left_out);
    if (wide)
        x += sx_putf(cv, x, y, SX_STYLE_LABEL, "%s%s, ", sx_band_term_label(t->term),
                     all ? " of all heads" : "");
    x += sx_putf(cv, x, y, SX_STYLE_LABEL, "%zu%s proteins%s: ", means->n, of,
                 all && !wide ? ", all heads" : "");
    if (isnan(term->mean)) {
        sx_put(cv, x, y, SX_STYLE_DIM, "nothing changes");
        return 1;
    }
    if (!wide) {
        x = 3;
        y++;
    }
    x += sx_putf(cv, x, y, SX_STYLE_NUMBER, "%.4g [%.4g, %.4g]", term->mean, term->lo, term->hi);
    sx_put(cv, x, y, SX_STYLE_UNIT, " 95 %");
    return y + 1;
}

static int draw_means(struct sx_canvas *cv, const struct sx_band_table *t,
                      const struct sx_session *session, size_t band)
{
    const struct sx_band_means_data *means = &session->band_means;
    const struct sx_band_mean *cell = &means->cell;
    const char *more = sx_canvas_ascii(cv) ? "..." : "…";

    if (means->state == SX_STATE_EMPTY || means->serial != session->input.serial)
        return 0;
    if (!sx_band_means_current(session))
        sx_put_cut(cv, 1, 0, cv->w - 1, SX_STYLE_DIM, "means of another question; M: again");
    else if (means->state == SX_STATE_PENDING)
        sx_putf(cv, 1, 0, SX_STYLE_BUSY, "means over proteins %s", more);
    else if (means->state == SX_STATE_FAILED && means->error.status == SX_CANCELLED)
        sx_put_cut(cv, 1, 0, cv->w - 1, SX_STYLE_WARN, "means cancelled; M: again");
    else if (means->state == SX_STATE_FAILED || cell->state == SX_STATE_FAILED)
        sx_put_cut(cv, 1, 0, cv->w - 1, SX_STYLE_BAD,
                   means->state == SX_STATE_FAILED ? means->error.message : cell->error.message);
    else if (cell->state != SX_STATE_READY || cell->layer != t->layer || cell->band != band ||
             cell->head != sx_band_mean_head(t, band))
        sx_putf(cv, 1, 0, SX_STYLE_LABEL, "%zu proteins: %s", means->n, more);
    else
        return put_mean(cv, t, means);
    return 1;
}

void sx_band_cell_draw(struct sx_canvas *cv, const struct sx_band_table *t,
                       const struct sx_session *session, size_t band)
{
    const size_t head = sx_band_strongest(t, t->layer, band);
    char title[96], label[48];

    snprintf(title, sizeof title, "L%zu H%zu %s", t->layer, head,
             sx_band_text(label, sizeof label, band, t->result->period[band]));
    if (cv->w < 36)
        snprintf(title, sizeof title, "L%zu H%zu band %zu · %s", t->layer, head, band,
                 sx_period_text(label, sizeof label, t->result->period[band]));
    const bool outside = t->mode == SX_BANDS_LAYERS && t->alone;
    struct sx_canvas body = sx_frame(cv, title, outside ? "not in the group" : NULL, false);
    const int y = draw_means(&body, t, session, band);
    struct sx_canvas rest = sx_canvas_sub(&body, (struct sx_rect){0, y, body.w, body.h - y});
    draw_blocks(&rest, t, t->layer, head, band);
}
