/* What the matching of a family says about one latent of one seed. Private to src/run. */
#ifndef SEXTANT_RUN_MATCH_LOOKUP_H
#define SEXTANT_RUN_MATCH_LOOKUP_H

#include "sextant/run/session.h"

struct sx_lookup {
    int64_t latent; /* partner by decoder in the other seed; -1: none */
    float sim_dec;  /* to that partner; NAN: none */
    float sim_enc;  /* of the partner by encoder; NAN: none */
    float margin;   /* of sim_dec above the best other decoder; NAN: not known */
    bool shared;    /* both assignments name the same partner, both above tau */
};

/* Partner of `latent` of member `anchor` in member `other`. False: not matched. */
bool sx_lookup_partner(const struct sx_match_data *match, size_t anchor, size_t other,
                       uint32_t latent, double tau, struct sx_lookup *out);

/* 0 always, 1 sometimes, 2 never by the counter; -1: not matched, or not counted (not alive). */
int sx_lookup_category(const struct sx_match_data *match, enum sx_counter counter, size_t anchor,
                       uint32_t latent);

#endif
