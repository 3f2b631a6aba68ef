/* What the components of the residual stream write into one head: its query, its key or its value
 * is, with the LayerNorm's sigma held at its true value, exactly the sum of their parts (Elhage et
 * al. 2021):
 *   q = Σ_c (gamma * P u_c / sigma) Wq^T + (beta Wq^T + bq)          P: subtract the mean
 * and so is the score, band by band. With z_b the complex number of band b of the query and z_c,b
 * the part of component c: radial = Re(z_c,b conj z_b / |z_b|) is what c adds to the norm (the sum
 * over c is |z_b|), tangential = Im(…) what it adds across (the sum is 0). For the dimensions that
 * GPT-NeoX does not rotate, tangential is along the other vector's part that is normal to this one.
 *
 * All sums are in double. */
#ifndef SEXTANT_INTERP_COMPOSITION_H
#define SEXTANT_INTERP_COMPOSITION_H

#include "sextant/base/task.h"
#include "sextant/interp/types.h"
#include "sextant/model/forward.h"

struct sx_composition_ask {
    size_t layer, head, query, key; /* key <= query in a causal model */
    enum sx_side_of_score side;
    bool pairs;              /* fill `pairs`; not for OF_VALUE */
    int32_t target, against; /* OF_VALUE: as in attribution.h, read at `query` */
};

/* sequence: from the embedding on, no cache; its positions count. SX_ERR_USAGE for what is out of
 * range. The result is released by the caller also after an error. */
enum sx_status sx_compose(struct sx_runner *runner, const struct sx_sequence *sequence,
                          const struct sx_composition_ask *ask,
                          struct sx_composition_result *result, struct sx_task *task,
                          struct sx_error *err) SX_MUST_CHECK;

/* --- the terms of a residual stream -------------------------------------------------------------
 * Their sum is resid.pre of `layer` at one token (layer n_layers: resid.post of the last). */

struct sx_components {
    size_t layer, n, D;
    struct sx_component *list; /* [n], in the order of the layers; no const */
    double *u;                 /* [n,D] */
};
/* Released by the caller also after an error. */
enum sx_status sx_components_read(struct sx_runner *runner, const struct sx_sequence *sequence,
                                  size_t layer, size_t token, struct sx_components *out,
                                  struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;
void sx_components_release(struct sx_components *components);
/* *mean += (other - *mean) / count, for a mean over runs; same model and layer. */
void sx_components_accumulate(struct sx_components *mean, const struct sx_components *other,
                              size_t count);

/* --- the causal counterpart (path patching) -----------------------------------------------------
 */

/* The query (key, value) of one head before rotation, out [d], with the LayerNorm run again, when
 * the marked components (replaced [n]; NULL: none) are those of `with` (NULL: zero). To be put
 * there by an intervention: SX_DO_REPLACE on SX_POINT_Q (K, V) of this layer, head and token. */
void sx_path_vector(const struct sx_model *model, const struct sx_components *components,
                    const bool *replaced, const struct sx_components *with, size_t head,
                    enum sx_side_of_score side, float *out);

/* Each component in turn taken out of the input of ask->side of that head, and of nothing else, and
 * the model run on from there. attention [n+1]: query → key; logit [n+1]: of ask->target, as
 * `against` says, at the query (NULL: not wanted, and without a head). n components as in a
 * composition without const; behind them, nothing taken out. */
enum sx_status sx_path_ablation(struct sx_runner *runner, const struct sx_sequence *sequence,
                                const struct sx_composition_ask *ask, double *attention,
                                double *logit, struct sx_task *task,
                                struct sx_error *err) SX_MUST_CHECK;
/* n of it. */
size_t sx_composition_components(const struct sx_model_info *info, size_t layer);

#endif
