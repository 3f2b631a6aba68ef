/* Direct logit attribution: which component of the residual stream writes how much of a logit
 * (Elhage et al. 2021, "A mathematical framework for transformer circuits"; nostalgebraist 2020),
 * exact also through ESM-2's nonlinear head.
 *
 * ESM-2's head is dense, GELU, LayerNorm, embedding, so there is no fixed unembedding direction. At
 * the operating point x (the last residual stream of one token) the two LayerNorms' sigmas and the
 * secant gates G_i = gelu(z_i) / z_i are held; then the logit is affine in x:
 *   w2 = P(gamma_h * E_t) / sigma_h,  g = Wd^T (G * w2),  w = P(gamma_f * g) / sigma_f
 *   logit_t = <w, x> + beta_h·E_t + b_t + (G * w2)·bd + g·beta_f      (P: subtract the mean)
 * GPT-NeoX's head is linear: w = P(gamma_f * U_t) / sigma_f, the constant beta_f·U_t. For a
 * difference of logits E_t is a difference of rows. The sum over all components is the logit; what
 * is left over by rounding is the residual, which every result carries.
 *
 * All sums are in double. Functions of a runner run passes on it. */
#ifndef SEXTANT_INTERP_ATTRIBUTION_H
#define SEXTANT_INTERP_ATTRIBUTION_H

#include "sextant/base/task.h"
#include "sextant/interp/types.h"
#include "sextant/model/forward.h"

/* Above this a residual is told as a fault. */
#define SX_RESIDUAL_LIMIT 1e-4

/* Values of `against` that are no token. MEAN: the mean logit of the reference tokens
 * (sx_logits_reference) is taken off. */
enum { SX_AGAINST_NONE = -1, SX_AGAINST_MEAN = -2 };

/* --- the frozen head ----------------------------------------------------------------------------
 */

enum sx_head_mode {
    SX_HEAD_SECANT,   /* sigmas and gates held: complete */
    SX_HEAD_GRADIENT, /* the true gradient: a cross-check, its terms do not add up to the logit */
};

/* The head at one operating point; any number of targets can be asked. */
struct sx_frozen_head;
/* resid [D]: resid.post of the last layer at the token. SX_ERR_UNSUPPORTED without a head. */
enum sx_status sx_frozen_head_new(const struct sx_model *model, const float *resid,
                                  enum sx_head_mode mode, struct sx_frozen_head **head,
                                  struct sx_error *err) SX_MUST_CHECK;
void sx_frozen_head_free(struct sx_frozen_head *head); /* NULL is fine */
/* w [D], *constant: logit(target) [- logit(against)] = <w, resid> + *constant. target is below the
 * vocabulary, against a token or one of the two above (checked). constant may be NULL. Holds in
 * mode GRADIENT too, where the constant is only what is left. */
void sx_frozen_head_direction(const struct sx_frozen_head *head, int32_t target, int32_t against,
                              double *w, double *constant);

/* What every head of a layer writes along w at full attention to each of n tokens whose values are
 * v [n,H,d]: out [n,H], <w, Wo_h v_h>. Times the attention it is the head's term from that token.
 * SX_ERR_NOMEM: the layer's weights are stored in 16 bits and cannot be widened. */
enum sx_status sx_head_readout(const struct sx_model *model, size_t layer, const double *w,
                               const float *v, size_t n, double *out,
                               struct sx_error *err) SX_MUST_CHECK;

/* --- attribution --------------------------------------------------------------------------------
 */

struct sx_attribution_point {
    const struct sx_sequence
        *sequence; /* from the embedding on, no cache; `rows` is not looked at */
    size_t token;
    int32_t target, against;
};

struct sx_attribution_options {
    enum sx_head_mode mode;
    bool sources;    /* fill by_source [L,H,n] */
    bool linearised; /* fill by_embedding and from_biases: attention patterns, sigmas and MLP gates
                        of all layers are held and w is carried back to the embeddings */
};

/* One result a point, released by the caller (sx_attribution_result_release) also after an error.
 * Neighbouring points of the same sequence share its pass. Tokens and targets out of range are
 * SX_ERR_USAGE, a model without head SX_ERR_UNSUPPORTED. */
enum sx_status sx_attribute(struct sx_runner *runner, const struct sx_attribution_point *points,
                            size_t n, const struct sx_attribution_options *options,
                            struct sx_attribution_result *results, struct sx_task *task,
                            struct sx_error *err) SX_MUST_CHECK;

/* Bytes that attribution of one sequence of n tokens keeps, besides those of the pass. */
uint64_t sx_attribution_bytes(const struct sx_model_info *info, size_t n,
                              const struct sx_attribution_options *options);

#endif
