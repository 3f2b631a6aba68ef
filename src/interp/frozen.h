/* LayerNorms and activations as linear maps at an operating point, in double. Private to interp. */
#ifndef SEXTANT_INTERP_FROZEN_H
#define SEXTANT_INTERP_FROZEN_H

#include <stddef.h>

#include "sextant/interp/types.h"
#include "sextant/model/model.h"

/* x - mean into out (may be x); the sigma of LayerNorm. */
double sx_frozen_norm(const double *x, size_t n, double eps, double *out);
/* gamma * centred / sigma + beta. */
void sx_frozen_affine(const struct sx_norm *norm, const double *centred, double sigma, size_t n,
                      double *out);
/* The direction g behind a LayerNorm seen from before it: P(gamma * g) / sigma; out may be g. */
void sx_frozen_norm_back(const struct sx_norm *norm, double sigma, const double *g, size_t n,
                         double *out);
double sx_frozen_dot(const float *a, const double *b, size_t n);
/* act(z) / z, which needs no division: 1/2 at z = 0. */
double sx_frozen_gate(enum sx_activation act, double z);
/* Makes float32 of one weight of a layer now, so that sx_weight_f32 cannot fail later. */
enum sx_status sx_frozen_weight(const struct sx_model *model, size_t layer,
                                const struct sx_weight *weight, struct sx_error *err) SX_MUST_CHECK;
/* The same of all layers' weights. */
enum sx_status sx_frozen_weights(const struct sx_model *model, struct sx_error *err) SX_MUST_CHECK;

/* The terms of a residual stream up to `layer`: embedding, and H + 2 a layer. */
size_t sx_component_count(const struct sx_model_info *info, size_t layer);
/* In the order of the layers; behind the last comes const. */
struct sx_component sx_component_at(const struct sx_model_info *info, size_t layer, size_t i);

/* The layer's Wq, Wk or Wv. */
const struct sx_weight *sx_side_weight(const struct sx_model *model, size_t layer,
                                       enum sx_side_of_score side);

/* Is this composition one of the model's? target: its target counts too. */
struct sx_sequence;
struct sx_composition_ask;
enum sx_status sx_composition_check(const struct sx_model_info *info,
                                    const struct sx_sequence *sequence,
                                    const struct sx_composition_ask *ask, bool target,
                                    struct sx_error *err) SX_MUST_CHECK;

#endif
