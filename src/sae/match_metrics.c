/* What follows from a match set and a threshold: no matrices, a few passes over latents. */
#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/sae/match.h"

static const struct sx_match_pair *pairs_of(const struct sx_match_set *set, bool alive)
{
    SX_ASSERT(!alive || set->alive);
    return alive ? set->alive : set->pairs;
}

/* Position of (a,b), a < b, in the order (0,1), (0,2), …, (1,2), …. */
static size_t pair_index(size_t n, size_t a, size_t b)
{
    return a * n - a * (a + 1) / 2 + (b - a - 1);
}

/* --- is a latent shared? -----------------------------------------------------------------------
 */

/* A similarity that is not known (NAN) is above nothing. */
static bool holds(const struct sx_match_pair *p, enum sx_basis basis, size_t i, double tau)
{
    bool enc = (double)p->sim_enc[i] > tau, dec = (double)p->sim_dec[i] > tau;
    if (basis == SX_BASIS_ENC)
        return enc;
    if (basis == SX_BASIS_DEC)
        return dec;
    return enc && dec && p->partner_enc[i] == p->partner_dec[i];
}

static int32_t shared_partner(const struct sx_match_pair *p, enum sx_basis basis, size_t i,
                              double tau)
{
    if (!holds(p, basis, i, tau))
        return -1;
    return basis == SX_BASIS_ENC ? p->partner_enc[i] : p->partner_dec[i];
}

/* Partner in `other` of a latent of `anchor`, whichever comes first; -1 when it is not shared. */
static int32_t shared_with(const struct sx_match_pair *pairs, size_t n_models, enum sx_basis basis,
                           size_t anchor, size_t other, size_t latent, double tau)
{
    if (anchor < other)
        return shared_partner(&pairs[pair_index(n_models, anchor, other)], basis, latent, tau);
    const struct sx_match_pair *p = &pairs[pair_index(n_models, other, anchor)];
    int32_t i = basis == SX_BASIS_ENC ? p->back_enc[latent] : p->back_dec[latent];
    return i >= 0 && holds(p, basis, (size_t)i, tau) ? i : -1;
}

/* --- fractions ---------------------------------------------------------------------------------
 */

/* The paper's code lists the matched rows of each assignment in ascending order and compares the
 * two lists position by position. When more rows than columns are alive the lists hold different
 * rows, and what is compared is not the same latent. */
static size_t count_compat(const struct sx_match_pair *p, double tau)
{
    size_t enc = 0, dec = 0, count = 0;
    for (;;) {
        while (enc < p->F_a && p->partner_enc[enc] < 0)
            enc++;
        while (dec < p->F_a && p->partner_dec[dec] < 0)
            dec++;
        if (enc == p->F_a || dec == p->F_a)
            return count;
        count += p->partner_enc[enc] == p->partner_dec[dec] && (double)p->sim_enc[enc] > tau &&
                 (double)p->sim_dec[dec] > tau;
        enc++;
        dec++;
    }
}

static double share(size_t count, size_t of)
{
    return of ? (double)count / (double)of : 0;
}

void sx_match_fractions_at(const struct sx_match_pair *p, double tau,
                           struct sx_match_fractions *out)
{
    size_t counts[SX_N_BASES] = {0}, paired = 0;
    for (size_t i = 0; i < p->F_a; i++) {
        paired += (double)p->max_dec[i] > tau;
        for (int basis = 0; basis < SX_N_BASES; basis++)
            counts[basis] += holds(p, (enum sx_basis)basis, i, tau);
    }
    size_t of = p->n_a < p->n_b ? p->n_a : p->n_b;
    *out = (struct sx_match_fractions){
        .n_a = p->n_a,
        .n_b = p->n_b,
        .n_shared = counts[SX_BASIS_BOTH],
        .mmcs = p->mmcs,
        .mmcs_enc = p->mmcs_enc,
        .mmcs_dec = p->mmcs_dec,
        .paired = share(paired, p->n_a),
        .shared = share(counts[SX_BASIS_BOTH], of),
        .shared_enc = share(counts[SX_BASIS_ENC], of),
        .shared_dec = share(counts[SX_BASIS_DEC], of),
        .shared_compat = share(count_compat(p, tau), of),
    };
}

static void average(struct sx_match_summary *s)
{
    struct sx_match_fractions *mean = &s->mean;
    SX_ASSERT(s->n_pairs > 0);
    double n = (double)s->n_pairs, spread = 0;
    for (size_t i = 0; i < s->n_pairs; i++) {
        const struct sx_match_fractions *f = &s->pairs[i];
        mean->n_a += f->n_a;
        mean->n_b += f->n_b;
        mean->n_shared += f->n_shared;
        mean->mmcs += f->mmcs / n;
        mean->mmcs_enc += f->mmcs_enc / n;
        mean->mmcs_dec += f->mmcs_dec / n;
        mean->paired += f->paired / n;
        mean->shared += f->shared / n;
        mean->shared_enc += f->shared_enc / n;
        mean->shared_dec += f->shared_dec / n;
        mean->shared_compat += f->shared_compat / n;
    }
    mean->n_a /= s->n_pairs;
    mean->n_b /= s->n_pairs;
    mean->n_shared /= s->n_pairs;
    for (size_t i = 0; i < s->n_pairs; i++)
        spread += (s->pairs[i].mmcs - mean->mmcs) * (s->pairs[i].mmcs - mean->mmcs) / n;
    s->mmcs_std = sqrt(spread);
}

struct sx_match_summary *sx_match_summary_new(const struct sx_match_set *set, double tau,
                                              bool alive)
{
    const struct sx_match_pair *pairs = pairs_of(set, alive);
    struct sx_match_summary *s = sx_xcalloc(1, sizeof *s);
    *s = (struct sx_match_summary){.tau = tau, .alive = alive, .n_pairs = set->n_pairs};
    s->pairs = sx_xcalloc(set->n_pairs, sizeof *s->pairs);
    for (size_t i = 0; i < set->n_pairs; i++)
        sx_match_fractions_at(&pairs[i], tau, &s->pairs[i]);
    average(s);
    uint8_t *category = sx_xmalloc(set->models[0].F);
    for (int counter = 0; counter < SX_N_COUNTERS; counter++)
        for (int basis = 0; basis < SX_N_BASES; basis++)
            s->counts[counter][basis] = sx_match_categories(
                set, alive, tau, (enum sx_counter)counter, (enum sx_basis)basis, 0, category);
    sx_free(category);
    return s;
}

void sx_match_summary_free(struct sx_match_summary *summary)
{
    if (summary)
        sx_free(summary->pairs);
    sx_free(summary);
}

/* --- survival ----------------------------------------------------------------------------------
 */

static void fill_survival(struct sx_match_survival *s, const struct sx_match_pair *pairs, size_t t)
{
    size_t last = s->n_pairs * s->n_tau + t;
    for (size_t i = 0; i < s->n_pairs; i++) {
        struct sx_match_fractions f;
        size_t at = i * s->n_tau + t;
        sx_match_fractions_at(&pairs[i], s->tau[t], &f);
        s->shared[at] = f.shared;
        s->shared_enc[at] = f.shared_enc;
        s->shared_dec[at] = f.shared_dec;
        s->paired[at] = f.paired;
        s->shared[last] += f.shared / (double)s->n_pairs;
        s->shared_enc[last] += f.shared_enc / (double)s->n_pairs;
        s->shared_dec[last] += f.shared_dec / (double)s->n_pairs;
        s->paired[last] += f.paired / (double)s->n_pairs;
    }
}

struct sx_match_survival *sx_match_survival_new(const struct sx_match_set *set, bool alive,
                                                size_t n_tau)
{
    SX_ASSERT(n_tau >= 2);
    struct sx_match_survival *s = sx_xcalloc(1, sizeof *s);
    size_t cells = (set->n_pairs + 1) * n_tau;
    *s = (struct sx_match_survival){.n_pairs = set->n_pairs, .n_tau = n_tau};
    s->tau = sx_xcalloc(n_tau, sizeof *s->tau);
    s->shared = sx_xcalloc(cells, sizeof *s->shared);
    s->shared_enc = sx_xcalloc(cells, sizeof *s->shared_enc);
    s->shared_dec = sx_xcalloc(cells, sizeof *s->shared_dec);
    s->paired = sx_xcalloc(cells, sizeof *s->paired);
    for (size_t t = 0; t < n_tau; t++) {
        s->tau[t] = (double)t / (double)(n_tau - 1);
        fill_survival(s, pairs_of(set, alive), t);
    }
    return s;
}

void sx_match_survival_free(struct sx_match_survival *s)
{
    if (!s)
        return;
    sx_free(s->tau);
    sx_free(s->shared);
    sx_free(s->shared_enc);
    sx_free(s->shared_dec);
    sx_free(s->paired);
    sx_free(s);
}

/* --- one latent --------------------------------------------------------------------------------
 */

void sx_match_look(const struct sx_match_set *set, bool alive, size_t anchor, size_t other,
                   size_t latent, double tau, struct sx_match_view *out)
{
    const struct sx_match_pair *pairs = pairs_of(set, alive);
    SX_ASSERT(anchor != other && anchor < set->n_models && other < set->n_models);
    bool is_first = anchor < other;
    size_t n = set->n_models;
    const struct sx_match_pair *p =
        &pairs[is_first ? pair_index(n, anchor, other) : pair_index(n, other, anchor)];
    SX_ASSERT(latent < (is_first ? p->F_a : p->F_b));
    *out = (struct sx_match_view){
        .partner_enc = is_first ? p->partner_enc[latent] : p->back_enc[latent],
        .partner_dec = is_first ? p->partner_dec[latent] : p->back_dec[latent],
        .sim_enc = NAN,
        .sim_dec = NAN,
        .runner_up = is_first ? p->runner_up[latent] : p->back_runner_up[latent],
        .margin = is_first ? p->margin[latent] : p->back_margin[latent],
        .shared = shared_with(pairs, n, SX_BASIS_BOTH, anchor, other, latent, tau) >= 0,
    };
    if (out->partner_enc >= 0)
        out->sim_enc = p->sim_enc[is_first ? latent : (size_t)out->partner_enc];
    if (out->partner_dec >= 0)
        out->sim_dec = p->sim_dec[is_first ? latent : (size_t)out->partner_dec];
}

/* --- always, sometimes, never ------------------------------------------------------------------
 */

static enum sx_category grade(size_t hits, size_t of)
{
    return hits == 0 ? SX_CATEGORY_NEVER : hits == of ? SX_CATEGORY_ALWAYS : SX_CATEGORY_SOMETIMES;
}

/* Are the partners of one anchor latent shared with each other? partner [n_models]. */
static bool partners_agree(const struct sx_match_pair *pairs, size_t n, enum sx_basis basis,
                           size_t anchor, const int32_t *partner, double tau)
{
    for (size_t a = 0; a < n; a++)
        for (size_t b = a + 1; b < n; b++)
            if (a != anchor && b != anchor &&
                shared_partner(&pairs[pair_index(n, a, b)], basis, (size_t)partner[a], tau) !=
                    partner[b])
                return false;
    return true;
}

static enum sx_category category_anchored(const struct sx_match_pair *pairs, size_t n,
                                          enum sx_basis basis, bool as_clique, size_t anchor,
                                          size_t latent, double tau, int32_t *partner)
{
    size_t hits = 0;
    for (size_t other = 0; other < n; other++) {
        if (other == anchor)
            continue;
        partner[other] = shared_with(pairs, n, basis, anchor, other, latent, tau);
        hits += partner[other] >= 0;
    }
    enum sx_category category = grade(hits, n - 1);
    if (as_clique && category == SX_CATEGORY_ALWAYS &&
        !partners_agree(pairs, n, basis, anchor, partner, tau))
        return SX_CATEGORY_SOMETIMES;
    return category;
}

static enum sx_category category_paper(const struct sx_match_pair *pairs, size_t n_pairs,
                                       enum sx_basis basis, size_t index, double tau)
{
    size_t hits = 0;
    for (size_t i = 0; i < n_pairs; i++)
        hits += index < pairs[i].F_a && holds(&pairs[i], basis, index, tau);
    return grade(hits, n_pairs);
}

struct sx_match_counts sx_match_categories(const struct sx_match_set *set, bool alive, double tau,
                                           enum sx_counter counter, enum sx_basis basis,
                                           size_t anchor, uint8_t *category)
{
    const struct sx_match_pair *pairs = pairs_of(set, alive);
    struct sx_match_counts counts = {0};
    size_t n = set->n_models;
    if (counter == SX_COUNTER_PAPER)
        anchor = 0;
    const struct sx_match_model *model = &set->models[anchor];
    int32_t *partner = sx_xcalloc(n, sizeof *partner);
    for (size_t i = 0; i < model->F; i++) {
        category[i] = SX_CATEGORY_NOT_COUNTED;
        if (alive && !((double)model->align[i] > set->alive_cut))
            continue;
        enum sx_category c = counter == SX_COUNTER_PAPER
                                 ? category_paper(pairs, set->n_pairs, basis, i, tau)
                                 : category_anchored(pairs, n, basis, counter == SX_COUNTER_CLIQUE,
                                                     anchor, i, tau, partner);
        category[i] = (uint8_t)c;
        counts.always += c == SX_CATEGORY_ALWAYS;
        counts.sometimes += c == SX_CATEGORY_SOMETIMES;
        counts.never += c == SX_CATEGORY_NEVER;
    }
    sx_free(partner);
    return counts;
}
