#include "partner.h"

#include <math.h>
#include <stdio.h>

#include "sextant/sae/match_types.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

/* The second best decoder is this near: the match could have gone the other way. */
static const double AMBIGUOUS = 0.05;

/* Pairs of alive latents only, when the fractions on the screen are of those. */
static const struct sx_match_pair *pairs_shown(const struct sx_session *session)
{
    const struct sx_match_set *set = session->match.set;
    const bool alive = session->match.summary && session->match.summary->alive;
    return alive && set->alive ? set->alive : set->pairs;
}

static const struct sx_match_pair *pair_of(const struct sx_session *session, size_t a, size_t b,
                                           size_t *index)
{
    const struct sx_match_set *set = session->match.set;
    const struct sx_match_pair *pairs = pairs_shown(session);

    for (size_t i = 0; i < set->n_pairs; i++) {
        if ((pairs[i].a != a || pairs[i].b != b) && (pairs[i].a != b || pairs[i].b != a))
            continue;
        if (index)
            *index = i;
        return &pairs[i];
    }
    return NULL;
}

static double number_at(const float *array, int64_t i)
{
    return i >= 0 && array ? (double)array[i] : NAN;
}

bool sx_partner_of(const struct sx_session *session, size_t member, uint32_t latent,
                   struct sx_partner *out)
{
    const size_t anchor = session->selection.seed_index;

    if (!sx_match_ready(session) || member == anchor)
        return false;
    const struct sx_match_pair *pair = pair_of(session, anchor, member, NULL);
    if (!pair)
        return false;
    const bool forward = pair->a == anchor;
    if (latent >= (forward ? pair->F_a : pair->F_b))
        return false;
    const int32_t dec = (forward ? pair->partner_dec : pair->back_dec)[latent];
    const int32_t enc = (forward ? pair->partner_enc : pair->back_enc)[latent];
    const double tau = session->settings.tau;
    *out = (struct sx_partner){
        .latent = dec,
        .by_enc = enc,
        .sim_dec = number_at(pair->sim_dec, dec < 0   ? -1
                                            : forward ? (int64_t)latent
                                                      : dec),
        .sim_enc = number_at(pair->sim_enc, enc < 0   ? -1
                                            : forward ? (int64_t)latent
                                                      : enc),
        .margin = dec < 0 ? NAN : number_at(forward ? pair->margin : pair->back_margin, latent),
    };
    out->shared = dec >= 0 && dec == enc && out->sim_dec > tau && out->sim_enc > tau;
    out->ambiguous = out->margin < AMBIGUOUS;
    return true;
}

int sx_partners_found(const struct sx_session *session, uint32_t latent)
{
    int found = 0;

    if (!sx_match_ready(session))
        return -1;
    for (size_t m = 0; m < session->family.n_seeds; m++) {
        struct sx_partner partner;
        found += sx_partner_of(session, m, latent, &partner) && partner.shared;
    }
    return found;
}

const char *sx_partner_badge(char *buf, size_t size, bool ascii, int found, size_t n_seeds)
{
    return sx_badge_text(buf, size, ascii, found > 0 ? found + 1 : 0, (int)n_seeds);
}

const char *sx_category_word(const struct sx_session *session, uint32_t latent)
{
    static const char *const word[] = {"always", "sometimes", "never"};
    const uint8_t *category = session->match.category;

    if (!sx_match_ready(session) || !category || latent >= session->family.F)
        return "";
    return category[latent] <= SX_CATEGORY_NEVER ? word[category[latent]] : "not counted";
}

double sx_cut_shown(const struct sx_session *session)
{
    const struct sx_match_data *match = &session->match;
    const bool alive = sx_match_ready(session) && match->summary && match->summary->alive;

    return alive ? match->set->alive_cut : -1;
}

/* --- pairs --------------------------------------------------------------------------------------
 */

size_t sx_pair_count(const struct sx_session *session)
{
    return sx_match_ready(session) && session->match.summary ? session->match.summary->n_pairs : 0;
}

static void take_fractions(struct sx_agreement *out, const struct sx_match_fractions *f)
{
    out->mmcs = f->mmcs;
    out->mmcs_enc = f->mmcs_enc;
    out->mmcs_dec = f->mmcs_dec;
    out->paired = f->paired;
    out->shared = f->shared;
    out->shared_enc = f->shared_enc;
    out->shared_dec = f->shared_dec;
    out->n_shared = f->n_shared;
    out->n_a = f->n_a;
    out->n_b = f->n_b;
}

bool sx_pair_agreement(const struct sx_session *session, size_t pair, struct sx_agreement *out)
{
    if (pair >= sx_pair_count(session))
        return false;
    const struct sx_match_pair *matched = &pairs_shown(session)[pair];
    *out = (struct sx_agreement){.a = matched->a, .b = matched->b};
    take_fractions(out, &session->match.summary->pairs[pair]);
    out->gap = fmax(matched->proof_enc.gap, matched->proof_dec.gap);
    return true;
}

bool sx_mean_agreement(const struct sx_session *session, struct sx_agreement *out)
{
    if (sx_pair_count(session) == 0)
        return false;
    *out = (struct sx_agreement){.gap = NAN};
    take_fractions(out, &session->match.summary->mean);
    return true;
}

size_t sx_selected_pair(const struct sx_session *session)
{
    size_t index = (size_t)-1;

    if (sx_pair_count(session) > 0)
        pair_of(session, session->selection.pair_a, session->selection.pair_b, &index);
    return index;
}

bool sx_category_counts(const struct sx_session *session, enum sx_counter counter,
                        enum sx_basis basis, uint64_t out[3])
{
    if (sx_pair_count(session) == 0)
        return false;
    const struct sx_match_counts *counts = &session->match.summary->counts[counter][basis];
    out[0] = counts->always;
    out[1] = counts->sometimes;
    out[2] = counts->never;
    return true;
}

bool sx_survival_curve(const struct sx_session *session, bool other, size_t pair,
                       const double **tau, const double **shared, size_t *n)
{
    const struct sx_match_survival *survival =
        other ? session->match.survival_other : session->match.survival;

    if (!sx_match_ready(session) || !survival)
        return false;
    const size_t row = other || pair > survival->n_pairs ? survival->n_pairs : pair;
    *tau = survival->tau;
    *shared = survival->shared + row * survival->n_tau;
    *n = survival->n_tau;
    return true;
}
