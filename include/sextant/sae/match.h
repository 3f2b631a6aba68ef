/* Matching SAEs across seeds: which latent of one model is which latent of another, how sure that
 * is, and what follows (types in match_types.h). Definitions: Jedryszek & Crook 2026, cross-seed
 * metrics, weight analyses and three-seed sharing. */
#ifndef SEXTANT_SAE_MATCH_H
#define SEXTANT_SAE_MATCH_H

#include "sextant/base/status.h"
#include "sextant/base/task.h"
#include "sextant/sae/match_types.h"

/* The slow part: match every pair of the models. Sets task->total and adds to task->done.
 * SX_ERR_USAGE: fewer than two models. SX_ERR_SHAPE: D differs (the message names both).
 * SX_ERR_NUMERIC: NaN or infinity in the weights. *set is NULL on failure. */
enum sx_status sx_match_new(const struct sx_match_input *models, size_t n_models,
                            const struct sx_match_options *options, struct sx_task *task,
                            struct sx_match_set **set, struct sx_error *err) SX_MUST_CHECK;
void sx_match_set_free(struct sx_match_set *set); /* NULL is fine */

/* Match the alive latents again at another cut (NAN: drop them); `models` as given to
 * sx_match_new. Sets task->total. On failure the set is as it was. */
enum sx_status sx_match_set_alive_cut(struct sx_match_set *set, const struct sx_match_input *models,
                                      double alive_cut, struct sx_task *task,
                                      struct sx_error *err) SX_MUST_CHECK;

/* --- from a set, without touching a matrix: O(P F) ---------------------------------------------
 */

/* `alive`: of the alive pairs; the set must have them. */
struct sx_match_summary *sx_match_summary_new(const struct sx_match_set *set, double tau,
                                              bool alive);
void sx_match_summary_free(struct sx_match_summary *summary);

void sx_match_fractions_at(const struct sx_match_pair *pair, double tau,
                           struct sx_match_fractions *out);

/* tau = 0, 1/(n_tau-1), …, 1. */
struct sx_match_survival *sx_match_survival_new(const struct sx_match_set *set, bool alive,
                                                size_t n_tau);
void sx_match_survival_free(struct sx_match_survival *survival);

/* Latent of model `anchor` as seen from model `other` (either order, not equal). */
void sx_match_look(const struct sx_match_set *set, bool alive, size_t anchor, size_t other,
                   size_t latent, double tau, struct sx_match_view *out);

/* Category of every latent of `anchor` (the paper's counter has no anchor and takes 0):
 * category [F] holds enum sx_category. The counts are returned. With two models "always" means
 * shared; "sometimes" needs three. */
struct sx_match_counts sx_match_categories(const struct sx_match_set *set, bool alive, double tau,
                                           enum sx_counter counter, enum sx_basis basis,
                                           size_t anchor, uint8_t *category);

/* --- one model ---------------------------------------------------------------------------------
 */

/* align [F]: cos(W_enc[j], W_dec[j]), signed, 0 for a zero row. */
void sx_match_alignment(const struct sx_match_input *model, float *align);
void sx_align_stats_of(const float *align, size_t n, struct sx_align_stats *out);
void sx_count_dead(const struct sx_match_input *model, struct sx_dead_counts *out);

/* Over the rows of W [F,D] with keep[j] (NULL: all). Adds `work` to task->done. */
enum sx_status sx_orthogonality_of(const float *w, size_t F, size_t D, const bool *keep,
                                   uint64_t work, struct sx_task *task,
                                   struct sx_orthogonality *out,
                                   struct sx_error *err) SX_MUST_CHECK;

/* --- core reconstruction -----------------------------------------------------------------------
 */

/* Latents of x [rows,D] into acts [rows,F]; called with few hundred rows at a time. */
typedef enum sx_status sx_core_encode_fn(void *user, const float *x, size_t rows, float *acts,
                                         struct sx_error *err);

struct sx_core_input {
    const float *x; /* [rows,D] */
    size_t rows, F, D;
    const float *W_dec; /* [F,D] by latent */
    const float *b_dec; /* [D], or NULL: none */
    const float *align; /* [F] */
    size_t n;           /* latents in the core; the paper: 250. At most F */
    uint64_t seed;      /* of the random latents: the same for every model that is compared */
    sx_core_encode_fn *encode;
    void *user;
};

/* Per-row errors of out = sum of a_j W_dec[j] over a selection of latents + b_dec: all, the n of
 * largest |alignment|, n random ones, all but the n. Release with sx_core_test_release. */
enum sx_status sx_core_test_run(const struct sx_core_input *in, struct sx_task *task,
                                struct sx_core_test *out, struct sx_error *err) SX_MUST_CHECK;
void sx_core_test_release(struct sx_core_test *test);

/* An encode function for the plain relu SAE: z = relu(W_enc (x - pre) + b_enc). */
struct sx_core_relu {
    const float *W_enc; /* [F,D] */
    const float *b_enc; /* [F] or NULL */
    const float *pre;   /* [D] or NULL */
    size_t F, D;
};
sx_core_encode_fn sx_core_encode_relu; /* user: const struct sx_core_relu * */

#endif
