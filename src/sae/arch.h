/* Private to src/sae: one table entry per architecture. */
#ifndef SX_SAE_ARCH_H
#define SX_SAE_ARCH_H

#include "sextant/base/status.h"
#include "sextant/sae/sae.h"

/* What the activation of a row needs, made once per call. */
struct sx_arch_state {
    const struct sx_sae *sae;
    uint64_t f;     /* latents */
    uint64_t k;     /* of the top-k kinds, at most f */
    float *heap;    /* [k], owned */
    float *exp_mag; /* [F] exp(r_mag) of gated, owned */
};

struct sx_sae_arch_ops {
    enum sx_sae_arch arch;
    const char *name;
    /* Does the SAE hold all that the activation needs? */
    enum sx_status (*check)(const struct sx_sae *sae, struct sx_error *err);
    /* Pre-activations z[F] of one row to its latents: index ascending, value not zero. idx and val
     * have room for F. Returns how many. */
    uint64_t (*activate)(const struct sx_arch_state *state, const float *z, uint32_t *idx,
                         float *val);
};

const struct sx_sae_arch_ops *sx_sae_arch_of(enum sx_sae_arch arch);

enum sx_status sx_arch_state_init(struct sx_arch_state *state, const struct sx_sae *sae,
                                  struct sx_error *err) SX_MUST_CHECK;
void sx_arch_state_release(struct sx_arch_state *state);

/* A batch top-k SAE whose threshold was never measured is applied as plain top k. */
bool sx_sae_threshold_measured(const struct sx_sae_info *info);

#endif
