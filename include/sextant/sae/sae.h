/* Trained sparse autoencoders: found by content, loaded into one canonical form, applied exactly as
 * the library that wrote them would. Immutable after load and reference-counted. */
#ifndef SEXTANT_SAE_SAE_H
#define SEXTANT_SAE_SAE_H

#include "sextant/base/status.h"
#include "sextant/base/str.h"
#include "sextant/base/task.h"
#include "sextant/base/value.h"
#include "sextant/sae/types.h"

struct sx_sae {
    struct sx_sae_info info;
    const float *W_enc;     /* [F,D] by latent */
    const float *W_dec;     /* [F,D] by latent */
    const float *b_enc;     /* [F], zeros when the file has none */
    const float *b_dec;     /* [D], zeros when the file has none */
    const float *threshold; /* [F] jumprelu; NULL otherwise */
    const float *b_gate;    /* [F] gated; NULL otherwise */
    const float *b_mag;     /* [F] gated; NULL otherwise */
    const float *r_mag;     /* [F] gated; NULL otherwise */
    const float *W_skip;    /* [D,D] sparsify's skip connection; NULL otherwise */
    const float
        *rescale; /* [F] InterPLM's activation_rescale_factor, shown, never applied; or NULL */
    void *owned;  /* private: storage and the mapped file behind the pointers */
};

/* --- headers only ------------------------------------------------------------------------------
 */

/* Read what `path` (a tensor file, or a folder that is one SAE) says about itself. SX_ERR_NOTFOUND:
 * readable, but no SAE. Other errors: it claims to be one and is broken or refused by name. */
enum sx_status sx_sae_probe(const char *path, struct sx_sae_info *info,
                            struct sx_error *err) SX_MUST_CHECK;
void sx_sae_info_release(struct sx_sae_info *info);
void sx_sae_info_copy(struct sx_sae_info *dst, const struct sx_sae_info *src);
/* Everything unknown or absent; owned strings NULL. */
void sx_sae_info_init(struct sx_sae_info *info);

/* --- weights -----------------------------------------------------------------------------------
 */

/* Weights that are not finite load with a warning; using them is SX_ERR_NUMERIC. */
enum sx_status sx_sae_load(const char *path, struct sx_sae **sae,
                           struct sx_error *err) SX_MUST_CHECK;
/* What the user knows and the file does not hold. */
struct sx_sae_override {
    int subtract_b_dec; /* 1 / 0: pre = b_dec / 0, whatever the file says; -1: as it says */
    int64_t k;          /* for a top-k SAE whose file has no k; -1: as the file says */
    double norm_factor; /* x is divided by it first; NAN: as the file says */
};
#define SX_SAE_NO_OVERRIDE ((struct sx_sae_override){-1, -1, __builtin_nan("")})
enum sx_status sx_sae_load_as(const char *path, const struct sx_sae_override *override,
                              struct sx_sae **sae, struct sx_error *err) SX_MUST_CHECK;
struct sx_sae *sx_sae_ref(struct sx_sae *sae);
void sx_sae_unref(struct sx_sae *sae); /* NULL is fine; the last one frees */

/* Build an SAE in memory: weights and info of `parts` are copied; b_enc and b_dec may be NULL
 * (zeros). Used by training and by tests. */
enum sx_status sx_sae_new(const struct sx_sae *parts, struct sx_sae **sae,
                          struct sx_error *err) SX_MUST_CHECK;

enum sx_status sx_sae_measure(const struct sx_sae *sae, struct sx_sae_stats *stats,
                              struct sx_error *err) SX_MUST_CHECK;
/* Per latent: encoder norm, decoder norm, alignment; each [F], any may be NULL. */
void sx_sae_latent_norms(const struct sx_sae *sae, float *enc_norm, float *dec_norm, float *align);

/* --- names -------------------------------------------------------------------------------------
 */

const char *sx_sae_format_name(enum sx_sae_format format); /* "dictionary_learning" */
const char *sx_sae_arch_name(enum sx_sae_arch arch);       /* "topk" */
const char *sx_penalty_name(enum sx_penalty penalty);      /* "none" "l1" "l2" "l2_unsquared" */
const char *sx_sae_norm_name(enum sx_sae_norm norm);       /* "none" "layer_norm" … */
const char *sx_constraint_name(enum sx_constraint c);      /* "none" "renorm" "renorm+project" */
/* SAEs with the same key differ in seed and place only: one family. The sibling key leaves out
 * penalty, lambda and k as well: families with the same sibling key stand beside each other. */
void sx_sae_family_key(const struct sx_sae_info *info, struct sx_str *out);
void sx_sae_sibling_key(const struct sx_sae_info *info, struct sx_str *out);
/* Everything `sextant info --json` prints for one SAE (stats may be NULL). */
struct sx_value *sx_sae_describe(const struct sx_sae_info *info, const struct sx_sae_stats *stats);

/* --- use ---------------------------------------------------------------------------------------
 */

/* Latents of a batch, compressed by row. */
struct sx_sae_acts {
    uint64_t rows;
    uint64_t *indptr;  /* [rows+1], owned */
    uint32_t *indices; /* [nnz], ascending in a row, owned */
    float *values;     /* [nnz], owned */
    uint64_t capacity;
};
void sx_sae_acts_release(struct sx_sae_acts *acts);

/* x [n,D] to latents (acts: zeroed, or of an earlier call; NULL: not wanted), and to reconstruction
 * recon [n,D] (NULL: not wanted). Input normalisation and its inverse included. Works in blocks;
 * memory is O(block*F) beside the results. SX_ERR_NUMERIC: x or the weights are not finite;
 * SX_ERR_UNSUPPORTED: the file lacks something that the activation needs. */
enum sx_status sx_sae_encode(const struct sx_sae *sae, const float *x, uint64_t n,
                             struct sx_sae_acts *acts, float *recon, struct sx_task *task,
                             struct sx_error *err) SX_MUST_CHECK;
/* Dense latents [n,F]. */
enum sx_status sx_sae_encode_dense(const struct sx_sae *sae, const float *x, uint64_t n,
                                   float *acts, struct sx_task *task,
                                   struct sx_error *err) SX_MUST_CHECK;

/* Latents to outputs recon [rows,D], with W_skip, the output's sigmoid and the inverse of the input
 * normalisation. x [rows,D]: the inputs that the latents came from; may be NULL when the SAE has
 * neither W_skip nor a normalisation that depends on the row (SX_ERR_USAGE otherwise). */
enum sx_status sx_sae_decode(const struct sx_sae *sae, const struct sx_sae_acts *acts,
                             const float *x, float *recon, struct sx_task *task,
                             struct sx_error *err) SX_MUST_CHECK;

struct sx_sae_fit { /* how well recon stands for x */
    double l0;      /* mean count of latents that are not zero (NAN without acts) */
    double fvu;     /* sum over D of var(x - recon) / the same of var(x), as dictionary_learning */
    double mse;     /* mean over all n*D elements */
    double cosine;  /* mean over rows of cos(x, recon) */
};
void sx_sae_fit(const float *x, const float *recon, const struct sx_sae_acts *acts, uint64_t n,
                uint64_t d, struct sx_sae_fit *fit);

/* --- files -------------------------------------------------------------------------------------
 */

/* The largest |difference| per canonical tensor: the document of `sextant compare --json`. */
enum sx_status sx_sae_compare(const struct sx_sae *a, const struct sx_sae *b, struct sx_value **doc,
                              struct sx_error *err) SX_MUST_CHECK;

/* Write in another library's form. `extra`: attributes for *.sae.h5 (training configuration,
 * code version), or NULL. A form that cannot hold this SAE exactly is SX_ERR_UNSUPPORTED with why.
 */
enum sx_status sx_sae_write_h5(const struct sx_sae *sae, const char *path,
                               const struct sx_value *extra, struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_sae_write_saelens(const struct sx_sae *sae, const char *folder,
                                    struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_sae_write_sparsify(const struct sx_sae *sae, const char *folder,
                                     struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_sae_write_dictionary_learning(const struct sx_sae *sae, const char *folder,
                                                struct sx_error *err) SX_MUST_CHECK;

#endif
