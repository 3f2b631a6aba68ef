/* Small SAEs on disk, made on the spot: families of seeds that share some of their latents. For
 * unit tests of modules above sae. */
#ifndef SEXTANT_TESTS_SAE_FILES_H
#define SEXTANT_TESTS_SAE_FILES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/sae/sae.h"

struct sae_recipe {
    uint64_t D, F;
    int64_t seed;
    double lambda;
    enum sx_penalty penalty;
    uint64_t shared; /* the first latents are the same in every seed, moved by 3 * seed places */
    uint64_t image;  /* side of the image, 0: none */
};

/* Where latent `i` of the shared ones stands in seed `seed`. */
static inline uint64_t sae_place(const struct sae_recipe *r, uint64_t i, int64_t seed)
{
    return (i + 3 * (uint64_t)seed) % r->F;
}

static inline bool sae_write(const struct sae_recipe *r, const char *path)
{
    const size_t count = (size_t)(r->D * r->F);
    float *enc = sx_xcalloc(count, sizeof *enc);
    float *dec = sx_xcalloc(count, sizeof *dec);
    for (uint64_t i = 0; i < r->F; i++) {
        const uint64_t stream = i < r->shared ? i : 1000 + i + 100000 * (uint64_t)(r->seed + 1);
        struct sx_rng rng = sx_rng_make(7, stream);
        float *row = dec + sae_place(r, i, r->seed) * r->D;
        float *other = enc + sae_place(r, i, r->seed) * r->D;
        for (uint64_t d = 0; d < r->D; d++) {
            row[d] = (float)sx_rng_normal(&rng);
            other[d] = row[d] + 0.05F * (float)sx_rng_normal(&rng);
        }
    }
    struct sx_sae parts = {.W_enc = enc, .W_dec = dec};
    sx_sae_info_init(&parts.info);
    parts.info.format = SX_SAE_SEXTANT;
    parts.info.arch = SX_ARCH_RELU;
    parts.info.activation_dim = r->D;
    parts.info.dict_size = r->F;
    parts.info.seed = r->seed;
    parts.info.penalty = r->penalty;
    parts.info.penalty_known = true;
    parts.info.lambda = r->lambda;
    parts.info.has_bias = true;
    parts.info.image_width = parts.info.image_height = r->image;
    struct sx_sae *sae = NULL;
    struct sx_error err = {0};
    bool ok =
        sx_sae_new(&parts, &sae, &err) == SX_OK && sx_sae_write_h5(sae, path, NULL, &err) == SX_OK;
    if (!ok)
        fprintf(stderr, "%s\n", err.message);
    sx_sae_unref(sae);
    sx_free(enc);
    sx_free(dec);
    return ok;
}

/* A folder of its own; sae_remove takes it away. */
static inline char *sae_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *name = sx_xasprintf("%s/sextant-unit.XXXXXX", base ? base : "/tmp");
    return mkdtemp(name);
}

static inline void sae_remove(char *take_folder)
{
    char *command = sx_xasprintf("rm -rf '%s'", take_folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", take_folder);
    sx_free(command);
    sx_free(take_folder);
}

/* folder/NAME_sSEED.sae.h5 for seeds 0 … n-1. */
static inline bool sae_family(const char *folder, const char *name, struct sae_recipe r, int n)
{
    for (r.seed = 0; r.seed < n; r.seed++) {
        char *path = sx_xasprintf("%s/%s_s%d.sae.h5", folder, name, (int)r.seed);
        bool ok = sae_write(&r, path);
        sx_free(path);
        if (!ok)
            return false;
    }
    return true;
}

#endif
