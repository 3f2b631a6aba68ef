/* What MATCH says, as the screens ask it: partners of the anchor seed's latents, agreement of pairs
 * of seeds, counters over all seeds. Private to views/. */
#ifndef SEXTANT_PARTNER_H
#define SEXTANT_PARTNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/run/session.h"

struct sx_partner {
    int64_t latent; /* by decoder; -1: none */
    int64_t by_enc; /* by encoder; -1: none */
    double sim_dec; /* to `latent` */
    double sim_enc; /* to `by_enc` */
    double margin;  /* to the second best decoder; NAN: not known */
    bool shared;    /* both name the same one and both similarities are above tau */
    bool ambiguous; /* the second best is within 0.05 */
};

/* False while the seeds are not matched, and for the anchor itself. */
bool sx_partner_of(const struct sx_session *session, size_t member, uint32_t latent,
                   struct sx_partner *out);
/* In how many of the other seeds the latent is shared; -1 while not matched. */
int sx_partners_found(const struct sx_session *session, uint32_t latent);
/* ●●● of `found` among n_seeds: one dot a seed, the anchor's own included; none filled for an
 * orphan. Returns buf. */
const char *sx_partner_badge(char *buf, size_t size, bool ascii, int found, size_t n_seeds);
/* "always", "sometimes", "never" by the counter of the settings; "not counted" below the alive cut.
 */
const char *sx_category_word(const struct sx_session *session, uint32_t latent);

/* --- pairs of seeds -----------------------------------------------------------------------------
 */

/* At the present tau and alive cut; fractions of the latents that the cut leaves. */
struct sx_agreement {
    size_t a, b; /* members of the family */
    double mmcs, mmcs_enc, mmcs_dec, paired, shared, shared_enc, shared_dec;
    uint64_t n_shared, n_a, n_b; /* latents counted */
    double gap;                  /* of the certificates; NAN: none */
};

size_t sx_pair_count(const struct sx_session *session); /* 0 while not matched */
bool sx_pair_agreement(const struct sx_session *session, size_t pair, struct sx_agreement *out);
/* The alignment cut of what is shown, which follows the settings with a delay; -1: all latents. */
double sx_cut_shown(const struct sx_session *session);
/* Means over all pairs. */
bool sx_mean_agreement(const struct sx_session *session, struct sx_agreement *out);
/* The pair of the selection (pair_a, pair_b), in either order; (size_t)-1: none. */
size_t sx_selected_pair(const struct sx_session *session);

/* always, sometimes, never. False: not matched. */
bool sx_category_counts(const struct sx_session *session, enum sx_counter counter,
                        enum sx_basis basis, uint64_t out[3]);

/* Fraction shared over tau of a pair (of the family to compare with: its mean), as arrays of the
 * session. False: not there. */
bool sx_survival_curve(const struct sx_session *session, bool other, size_t pair,
                       const double **tau, const double **shared, size_t *n);

#endif
