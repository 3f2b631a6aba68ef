/* Private to interp. */
#ifndef SEXTANT_INTERP_ATTRIBUTION_PRIVATE_H
#define SEXTANT_INTERP_ATTRIBUTION_PRIVATE_H

#include "sextant/interp/attribution.h"

/* Carries the directions w [n_points,D] at results[i].token from the end of the last layer back to
 * the embeddings and fills by_embedding, from_biases (const of the direct attribution included) and
 * linearised_residual. resid [L,T,D]: resid.pre of every layer. Attention patterns are made again
 * layer by layer, so that one layer's is held at a time. */
enum sx_status sx_linearise(struct sx_runner *runner, const struct sx_sequence *sequence,
                            const float *resid, const double *w, size_t n_points,
                            struct sx_attribution_result *results, struct sx_task *task,
                            struct sx_error *err) SX_MUST_CHECK;
/* What it keeps for one point. */
double sx_linearised_bytes(const struct sx_model_info *info, size_t n);

#endif
