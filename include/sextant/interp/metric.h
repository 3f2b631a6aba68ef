/* One number of one row of logits: what patches, ablations and the report follow. */
#ifndef SEXTANT_INTERP_METRIC_H
#define SEXTANT_INTERP_METRIC_H

#include "sextant/interp/types.h"
#include "sextant/model/model.h"

struct sx_metric {
    enum sx_metric_kind kind;
    int32_t target;      /* token id; ENTROPY alone does without (-1) */
    int32_t against;     /* DIFFERENCE: that token; -1: the most probable other one */
    int32_t first, last; /* reference tokens, as sx_logits_reference gives them */
};

/* CENTRED with the model's reference tokens. */
struct sx_metric sx_metric_of_model(const struct sx_model_info *info, enum sx_metric_kind kind,
                                    int32_t target, int32_t against);
/* SX_ERR_USAGE: a target or reference outside the vocabulary, one that the metric needs and that is
 * not given, or P20 of a token that is no reference token. */
enum sx_status sx_metric_check(const struct sx_metric *metric, uint64_t vocab,
                               struct sx_error *err) SX_MUST_CHECK;
/* logits [V]; the metric is checked. RANK counts the tokens of the whole vocabulary that are more
 * probable, P is over the whole vocabulary. */
double sx_metric_value(const struct sx_metric *metric, const float *logits, size_t V);
bool sx_metric_find(const char *name, enum sx_metric_kind *kind); /* by sx_metric_name */

#endif
