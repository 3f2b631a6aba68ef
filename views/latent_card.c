#include "latent_card.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "partner.h"
#include "sextant/tui/image.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

enum {
    STRONGEST = 12,
    STRONGEST_BESIDE = 8,
    CELLS_BESIDE = 400,
    COLOURED_BESIDE = 300, /* some 22 bytes each in 256 colours */
    PANELS_MAX = 2 * (SX_CARD_SEEDS + 1)
};

bool sx_card_asked(const struct sx_session *session)
{
    const struct sx_card *card = &session->card;
    return card->state != SX_STATE_EMPTY && card->family == session->selection.family &&
           card->seed_index == session->selection.seed_index &&
           card->latent == session->selection.latent;
}

static bool card_ready(const struct sx_session *session)
{
    return session->card.state == SX_STATE_READY && sx_card_asked(session);
}

/* --- numbers ------------------------------------------------------------------------------------
 */

static int draw_head(struct sx_canvas *cv, const struct sx_session *session)
{
    const struct sx_seed_latents *anchor = sx_anchor_latents(session);
    const uint32_t latent = session->selection.latent;
    const bool ascii = sx_canvas_ascii(cv);
    const int found = sx_partners_found(session, latent);
    char text[SX_SHORT_TEXT];
    int x = 2;

    if (found >= 0) {
        x += sx_put(cv, x, 0, SX_STYLE_BADGE,
                    sx_partner_badge(text, sizeof text, ascii, found, session->family.n_seeds));
        x += 1 + sx_put(cv, x + 1, 0, SX_STYLE_STRONG, sx_category_word(session, latent));
        x += 2;
    }
    if (sx_latent_dead(anchor, latent))
        x += 2 + sx_put(cv, x, 0, SX_STYLE_WARN, "† dead");
    if (sx_session_marked(session, latent))
        sx_put(cv, x, 0, SX_STYLE_STRONG, "* marked");
    x = 2;
    x = sx_label_value(cv, x, 1, "align", SX_STYLE_NUMBER,
                       sx_fraction(text, sizeof text, (double)anchor->align[latent], 2, ascii));
    x = sx_label_value(cv, x, 1, ascii ? "|enc|" : "‖enc‖", SX_STYLE_NUMBER,
                       sx_fraction(text, sizeof text, (double)anchor->enc_norm[latent], 2, ascii));
    x = sx_label_value(cv, x, 1, ascii ? "|dec|" : "‖dec‖", SX_STYLE_NUMBER,
                       sx_fraction(text, sizeof text, (double)anchor->dec_norm[latent], 2, ascii));
    if (card_ready(session))
        sx_label_value(cv, x, 1, "bias", SX_STYLE_NUMBER,
                       sx_fraction(text, sizeof text, (double)session->card.b_enc, 2, ascii));
    return 3;
}

/* Partners by exact assignment where MATCH is there, by CARD (nearest decoder) otherwise. */
static bool partner_for(const struct sx_session *session, size_t member, struct sx_partner *out,
                        double *second)
{
    const struct sx_card *card = &session->card;
    const bool matched = sx_partner_of(session, member, session->selection.latent, out);

    *second = NAN;
    if (!card_ready(session))
        return matched;
    for (size_t i = 0; i < card->n_partners; i++) {
        if (card->partner[i].seed_index != member)
            continue;
        *second = (double)card->partner[i].runner_up;
        if (!matched)
            *out = (struct sx_partner){
                .latent = card->partner[i].latent,
                .sim_dec = (double)card->partner[i].sim_dec,
                .sim_enc = (double)card->partner[i].sim_enc,
                .margin = (double)card->partner[i].margin,
                .by_enc = card->partner[i].latent,
                .ambiguous = (double)card->partner[i].margin < 0.05,
            };
        return true;
    }
    return matched;
}

static void put_fraction(struct sx_canvas *cv, int x, int y, int width, double value)
{
    char text[SX_SHORT_TEXT];
    sx_put_right(cv, x, y, width, isnan(value) || value == 0 ? SX_STYLE_DIM : SX_STYLE_NUMBER,
                 sx_fraction(text, sizeof text, value, 2, sx_canvas_ascii(cv)));
}

static int draw_partners(struct sx_canvas *cv, int y, const struct sx_session *session)
{
    const int digits = sx_latent_digits(session->family.F);
    const bool matched = sx_match_ready(session);
    const int at[] = {2, 8, 10 + digits, 16 + digits, 22 + digits, 29 + digits};

    if (session->family.n_seeds < 2)
        return y;
    sx_put(cv, at[0], y, SX_STYLE_HEADER, "seed");
    sx_put(cv, at[1], y, SX_STYLE_HEADER, matched ? "partner" : "nearest");
    sx_put_right(cv, at[2], y, 6, SX_STYLE_HEADER, "dec");
    sx_put_right(cv, at[3], y, 6, SX_STYLE_HEADER, "enc");
    sx_put_right(cv, at[4], y, 7, SX_STYLE_HEADER, "second");
    sx_put_right(cv, at[5], y, 7, SX_STYLE_HEADER, "margin");
    if (matched)
        sx_put(cv, at[5] + 10, y, SX_STYLE_HEADER, "by enc");
    for (size_t m = 0; m < session->family.n_seeds && y + 1 < cv->h; m++) {
        struct sx_partner partner;
        double second;
        char seed[SX_SHORT_TEXT];
        if (m == session->selection.seed_index)
            continue;
        y++;
        sx_put_right(cv, at[0], y, 4, SX_STYLE_NUMBER,
                     sx_seed_text(seed, session->family.seeds[m].seed));
        if (!partner_for(session, m, &partner, &second)) {
            const bool pending = session->card.state == SX_STATE_PENDING;
            sx_put(cv, at[1], y, pending ? SX_STYLE_BUSY : SX_STYLE_DIM, pending ? "…" : "–");
            continue;
        }
        if (partner.latent < 0) {
            sx_put(cv, at[1], y, SX_STYLE_DIM, "–");
            continue;
        }
        sx_putf(cv, at[1], y, SX_STYLE_NUMBER, "%0*lld", digits, (long long)partner.latent);
        put_fraction(cv, at[2], y, 6, partner.sim_dec);
        put_fraction(cv, at[3], y, 6, partner.sim_enc);
        put_fraction(cv, at[4], y, 7, second);
        put_fraction(cv, at[5], y, 7, partner.margin);
        const int x = at[5] + 8;
        if (partner.ambiguous)
            sx_put(cv, x, y, SX_STYLE_WARN, "≈");
        if (partner.by_enc >= 0 && partner.by_enc != partner.latent)
            sx_putf(cv, x + 2, y, SX_STYLE_NUMBER, "%0*lld", digits, (long long)partner.by_enc);
    }
    return y + 2;
}

static int draw_neighbours(struct sx_canvas *cv, int y, const struct sx_session *session)
{
    const struct sx_card *card = &session->card;
    const int digits = sx_latent_digits(session->family.F);
    const int width = digits + 8;
    int x = 14;

    if (!card_ready(session)) {
        sx_put(cv, 2, y, SX_STYLE_LABEL, "neighbours");
        if (session->card.state == SX_STATE_PENDING)
            sx_put(cv, 14, y, SX_STYLE_BUSY, "…");
        return y + 2;
    }
    sx_put(cv, 2, y, SX_STYLE_LABEL, "neighbours");
    for (size_t i = 0; i < card->n_neighbours; i++) {
        if (x + width > cv->w && i > 0)
            break;
        sx_putf(cv, x, y, SX_STYLE_NUMBER, "%0*u", digits, card->neighbour[i]);
        put_fraction(cv, x + digits, y, 6, (double)card->neighbour_cos[i]);
        x += width;
    }
    return y + 2;
}

/* --- weights ------------------------------------------------------------------------------------
 */

struct panel {
    const float *row;
    int64_t seed, latent;
    bool encoder;
};

static size_t collect_panels(const struct sx_session *session, struct panel panel[PANELS_MAX])
{
    const struct sx_card *card = &session->card;
    size_t n = 0;

    for (int encoder = 0; encoder < 2; encoder++) {
        panel[n++] =
            (struct panel){encoder ? card->enc_row : card->dec_row,
                           session->family.seeds[card->seed_index].seed, card->latent, encoder};
        for (size_t i = 0; i < card->n_partners; i++) {
            const float *row = encoder ? card->partner[i].enc_row : card->partner[i].dec_row;
            if (row && card->partner[i].seed_index < session->family.n_seeds)
                panel[n++] =
                    (struct panel){row, session->family.seeds[card->partner[i].seed_index].seed,
                                   card->partner[i].latent, encoder};
        }
    }
    return n;
}

/* Ways to lay out decoders and encoders of n seeds: one row; a row each; a row for each seed.
 * Beside the table decoders only, a quarter of their pixels. */
struct tiling {
    int columns, rows;
    int w, h; /* of an image */
};

static struct tiling best_tiling(const struct sx_canvas *cv, int room, int n, bool large,
                                 const struct sx_image *image, int label)
{
    const struct tiling ways[2][3] = {{{n, 1, 0, 0}, {(n + 1) / 2, 2, 0, 0}, {1, n, 0, 0}},
                                      {{2 * n, 1, 0, 0}, {n, 2, 0, 0}, {2, n, 0, 0}}};
    const int cells = sx_canvas_depth(cv) >= SX_DEPTH_256 ? COLOURED_BESIDE : CELLS_BESIDE;
    const int widest = (int)sqrt(2.0 * cells / n);
    struct tiling best = {0};

    for (int i = 0; i < 3; i++) {
        struct tiling t = ways[large][i];
        const int w = (cv->w - 2) / t.columns - 2;
        const int h = room / t.rows - 1;
        if (w + 2 < label || h < 2)
            continue;
        sx_image_size(image, large || w < widest ? w : widest, h, &t.w, &t.h);
        if (t.w > best.w)
            best = t;
    }
    return best;
}

static void draw_images(struct sx_canvas *cv, int y, const struct sx_session *session, bool large)
{
    struct panel panel[PANELS_MAX];
    const int all = (int)collect_panels(session, panel);
    const int n = large ? all : all / 2; /* the decoders come first */
    const struct sx_card *card = &session->card;
    struct sx_image image = {
        .w = (int)card->image_width, .h = (int)card->image_height, .diverging = true};
    const int digits = sx_latent_digits(session->family.F);
    const int label = digits + 8;
    const struct tiling t = best_tiling(cv, cv->h - y, all / 2, large, &image, label);

    if (t.w < 4) {
        sx_put(cv, 2, y, SX_STYLE_DIM, "Enter shows the weights as images");
        return;
    }
    const int step = t.w + 2 > label ? t.w + 2 : label;
    for (int i = 0; i < n; i++) {
        /* With a row for each seed, column 0 is the decoder's. */
        const bool by_seed = t.rows == all / 2 && t.rows > 2;
        const int column = by_seed ? i / t.rows : i % t.columns;
        const int row = by_seed ? i % t.rows : i / t.columns;
        const int x = 2 + column * step;
        const int top = y + row * (t.h + 1);
        char seed[SX_SHORT_TEXT];
        struct sx_canvas tile = sx_canvas_sub(cv, (struct sx_rect){x, top + 1, t.w, t.h});

        sx_putf(cv, x, top, SX_STYLE_LABEL, "%s s%s %0*lld", panel[i].encoder ? "enc" : "dec",
                sx_seed_text(seed, panel[i].seed), digits, (long long)panel[i].latent);
        image.pixel = panel[i].row;
        sx_image_draw(&tile, &image);
    }
}

/* Indices of the weights of largest magnitude, in order. */
static size_t strongest(const float *row, uint64_t D, uint32_t out[STRONGEST])
{
    size_t n = 0;

    for (uint64_t d = 0; d < D; d++) {
        const float magnitude = fabsf(row[d]);
        size_t at = n;
        if (n == STRONGEST && magnitude <= fabsf(row[out[n - 1]]))
            continue;
        if (n < STRONGEST)
            n++;
        else
            at = n - 1;
        for (; at > 0 && fabsf(row[out[at - 1]]) < magnitude; at--)
            out[at] = out[at - 1];
        out[at] = (uint32_t)d;
    }
    return n;
}

static void put_seed_head(struct sx_canvas *cv, int x, int y, const struct sx_session *session,
                          size_t member)
{
    char seed[SX_SHORT_TEXT], text[SX_SHORT_TEXT + 1];

    snprintf(text, sizeof text, "s%s", sx_seed_text(seed, session->family.seeds[member].seed));
    sx_put_right(cv, x, y, 7, SX_STYLE_HEADER, text);
}

/* The strongest weights of the anchor, and what the partners have there. */
static int draw_strongest(struct sx_canvas *cv, int y, const struct sx_session *session,
                          bool encoder, int rows)
{
    const struct sx_card *card = &session->card;
    const float *row = encoder ? card->enc_row : card->dec_row;
    uint32_t index[STRONGEST];
    const size_t n = strongest(row, card->D, index);
    const double top = n ? fabs((double)row[index[0]]) : 0;
    int x = 25;

    sx_putf(cv, 2, y, SX_STYLE_HEADER, "%s weights", encoder ? "encoder" : "decoder");
    put_seed_head(cv, 18, y, session, card->seed_index);
    for (size_t p = 0; p < card->n_partners; p++) {
        if (card->partner[p].dec_row && card->partner[p].seed_index < session->family.n_seeds)
            put_seed_head(cv, x, y, session, card->partner[p].seed_index);
        x += 7;
    }
    for (size_t i = 0; i < n && (int)i < rows && y + 1 < cv->h; i++) {
        const double value = (double)row[index[i]];
        const int bar = top > 0 ? (int)lround(8 * fabs(value) / top) : 0;
        y++;
        sx_putf(cv, 2, y, SX_STYLE_NUMBER, "%6u", index[i]);
        for (int b = 0; b < bar; b++)
            sx_put_char(cv, 9 + b, y, SX_STYLE_BAR, sx_glyph_block(cv, 7));
        put_fraction(cv, 18, y, 7, value);
        x = 25;
        for (size_t p = 0; p < card->n_partners; p++) {
            const float *other = encoder ? card->partner[p].enc_row : card->partner[p].dec_row;
            put_fraction(cv, x, y, 7, other ? (double)other[index[i]] : NAN);
            x += 7;
        }
    }
    return y + 2;
}

static void draw_weights(struct sx_canvas *cv, int y, const struct sx_session *session, bool large)
{
    const struct sx_card *card = &session->card;

    if (!card->dec_row || !card->enc_row)
        return;
    if (card->image_width && card->image_height) {
        draw_images(cv, y, session, large);
        return;
    }
    const int room = cv->h - y;
    if (!large) {
        draw_strongest(cv, y, session, false, STRONGEST_BESIDE);
    } else if (room >= 10) {
        y = draw_strongest(cv, y, session, false, (room - 3) / 2);
        draw_strongest(cv, y, session, true, (room - 3) / 2);
    } else {
        draw_strongest(cv, y, session, false, room - 1);
    }
}

void sx_latent_card(struct sx_canvas *cv, const struct sx_session *session, bool large)
{
    const struct sx_seed_latents *anchor = sx_anchor_latents(session);
    const struct sx_card *card = &session->card;

    if (!anchor || session->selection.latent >= session->family.F)
        return;
    int y = draw_head(cv, session);
    y = draw_partners(cv, y, session);
    y = draw_neighbours(cv, y, session);
    if (card_ready(session))
        draw_weights(cv, y, session, large);
    else if (card->state == SX_STATE_FAILED && sx_card_asked(session))
        sx_put(cv, 2, y, SX_STYLE_BAD, card->error.message);
}
