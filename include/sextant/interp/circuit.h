/* What the weights alone say about heads (Elhage et al. 2021): the bilinear form of the scores
 * ("QK circuit"), what is written when a token is read ("OV circuit"), and, for ESM-2, how a mask
 * in layer 0 scores <cls> by position alone. Sums are in double. SX_ERR_NOMEM: weights that are
 * stored in 16 bits are widened when they are first read. */
#ifndef SEXTANT_INTERP_CIRCUIT_H
#define SEXTANT_INTERP_CIRCUIT_H

#include "sextant/base/task.h"
#include "sextant/interp/types.h"
#include "sextant/model/forward.h"

/* The score of a query row and a key row, both behind the layer's first LayerNorm (attn.ln):
 *   (1/sqrt d) < y_m Wq^T + bq, R(position_n - position_m) (y_n Wk^T + bk) >
 * in its four terms, query's part first. Their sum is the score. */
struct sx_qk_terms {
    double weight_weight, weight_bias, bias_weight, bias_bias;
};
enum sx_status sx_qk_terms(const struct sx_model *model, size_t layer, size_t head,
                           const float *query, double query_position, const float *key,
                           double key_position, struct sx_qk_terms *out,
                           struct sx_error *err) SX_MUST_CHECK;

/* Singular values of a head's d x d-ranked product, descending, out [d]; the D x D product is never
 * made. OV: Wv_h^T Wo_h^T; QK: Wq_h^T Wk_h without rotation. */
enum sx_status sx_ov_singular_values(const struct sx_model *model, size_t layer, size_t head,
                                     double *out, struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_qk_singular_values(const struct sx_model *model, size_t layer, size_t head,
                                     double *out, struct sx_error *err) SX_MUST_CHECK;

/* What every head would write towards each target at full attention from `query` to `key` (for the
 * paper's reference representation: key 0, <cls>), through the head frozen at the query:
 * readout [L,H,n] = <w_t, Wo_h v_key,h>, and the attention there [L,H]; either NULL: not wanted.
 * targets [n]; `against` as in attribution.h, the same for all. */
enum sx_status sx_ov_readout(struct sx_runner *runner, const struct sx_sequence *sequence,
                             size_t query, size_t key, const int32_t *targets, size_t n,
                             int32_t against, double *readout, double *attention,
                             struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;

/* ESM-2 with token dropout, where a mask enters layer 0 as zero: the score mask → <cls> (token 0)
 * with the mask at token first … first+n-1, by head and band: profile [H,B,n]; the sum over bands
 * is the score. Nothing but weights: no context can change it. embed_scale: of sx_embed_scale, for
 * the key (LayerNorm leaves little of it); 0: that of an input without masks.
 * SX_ERR_UNSUPPORTED for other models. */
enum sx_status sx_position_profile(const struct sx_model *model, size_t first, size_t n,
                                   float embed_scale, double *profile,
                                   struct sx_error *err) SX_MUST_CHECK;

#endif
