/* The logit lens (nostalgebraist 2020): the model's own final LayerNorm and head on the residual
 * stream between the layers. Logits are reduced to a few numbers a row as they come; they are never
 * kept, so that vocabularies of 50,000 tokens and long inputs fit. */
#ifndef SEXTANT_INTERP_LENS_H
#define SEXTANT_INTERP_LENS_H

#include "sextant/base/task.h"
#include "sextant/model/forward.h"

/* One row of logits, seen from one target. */
struct sx_logit_row {
    int32_t top;    /* most probable token; the smaller id where two are alike */
    double log_sum; /* of the exponentials, natural logarithm */
    double entropy; /* bits */
    /* Of the target; NAN without one. */
    double p, surprise; /* probability; -log2 of it, bits */
    double rank;        /* tokens that are more probable; of equals, those with a smaller id */
    double centred;     /* logit minus the mean over the reference tokens */
};

/* logits [V]; target -1: none. Reference tokens are [first, last]: ESM-2's 20 residues, or all. */
void sx_logits_measure(const float *logits, size_t V, int32_t target, int32_t first, int32_t last,
                       struct sx_logit_row *out);
/* The reference tokens of a model. */
void sx_logits_reference(const struct sx_model_info *info, int32_t *first, int32_t *last);
/* The k most probable tokens, best first (k <= 16): ids, and probabilities over all V; -1 and 0
 * past the vocabulary. log_sum: of sx_logits_measure. */
void sx_logits_top(const float *logits, size_t V, size_t k, double log_sum, int32_t *ids, float *p);

/* Called for every row of logits [V], in order. */
typedef void sx_logits_fn(void *context, size_t row, const float *logits);

/* The head on rows [n,D] of the residual stream, some rows at a time; `visit` sees each row's
 * logits. done and total: what the task is told besides, in rows. */
enum sx_status sx_unembed_rows(struct sx_runner *runner, const float *resid, size_t n,
                               sx_logits_fn *visit, void *context, struct sx_task *task,
                               uint64_t done, uint64_t total, struct sx_error *err) SX_MUST_CHECK;

/* All [n_layers + 1, T], owned by the caller; NULL: not wanted. Row l is resid.pre of layer l, the
 * last row the model's output. */
struct sx_lens {
    float *centred, *p, *rank;
    int32_t *top;
};

/* sequence: from the embedding on (from_layer 0); its `rows` are not looked at. target [T]: the
 * token whose logit is followed at each position, -1: none. Keeps (n_layers + 1) T D floats while
 * it runs. */
enum sx_status sx_lens_run(struct sx_runner *runner, const struct sx_sequence *sequence,
                           const int32_t *target, const struct sx_lens *out, struct sx_task *task,
                           struct sx_error *err) SX_MUST_CHECK;

#endif
