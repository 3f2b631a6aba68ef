#include "sextant/interp/metric.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "sextant/interp/lens.h"
#include "sextant/interp/names.h"

struct sx_metric sx_metric_of_model(const struct sx_model_info *info, enum sx_metric_kind kind,
                                    int32_t target, int32_t against)
{
    struct sx_metric metric = {.kind = kind, .target = target, .against = against};
    sx_logits_reference(info, &metric.first, &metric.last);
    return metric;
}

enum sx_status sx_metric_check(const struct sx_metric *metric, uint64_t vocab, struct sx_error *err)
{
    const char *name = sx_metric_name(metric->kind);
    SX_ASSERT(name);
    if (metric->first < 0 || metric->last < metric->first || (uint64_t)metric->last >= vocab)
        return sx_fail(err, SX_ERR_USAGE,
                       "%s: reference tokens %" PRId32 " to %" PRId32
                       " are not in the vocabulary of %" PRIu64,
                       name, metric->first, metric->last, vocab);
    if (metric->kind == SX_METRIC_ENTROPY)
        return SX_OK;
    if (metric->target < 0 || (uint64_t)metric->target >= vocab)
        return sx_fail(err, SX_ERR_USAGE,
                       "%s: target %" PRId32 " is not in the vocabulary of %" PRIu64, name,
                       metric->target, vocab);
    if (metric->kind == SX_METRIC_DIFFERENCE && metric->against >= 0 &&
        (uint64_t)metric->against >= vocab)
        return sx_fail(err, SX_ERR_USAGE,
                       "%s: token %" PRId32 " to compare with is not in the vocabulary of "
                       "%" PRIu64,
                       name, metric->against, vocab);
    if (metric->kind == SX_METRIC_P20 &&
        (metric->target < metric->first || metric->target > metric->last))
        return sx_fail(err, SX_ERR_USAGE,
                       "%s: the target must be one of the reference tokens, %" PRId32 " to %" PRId32
                       ", not %" PRId32,
                       name, metric->first, metric->last, metric->target);
    return SX_OK;
}

static double best_other(const float *logits, size_t V, int32_t target)
{
    double best = -INFINITY;
    for (size_t v = 0; v < V; v++)
        if (v != (size_t)target)
            best = fmax(best, (double)logits[v]);
    return best;
}

static double share(const struct sx_metric *metric, const float *logits)
{
    const float *first = logits + metric->first;
    const size_t n = (size_t)(metric->last - metric->first) + 1;
    struct sx_logit_row row;
    sx_logits_measure(first, n, metric->target - metric->first, 0, (int32_t)n - 1, &row);
    return row.p;
}

double sx_metric_value(const struct sx_metric *metric, const float *logits, size_t V)
{
    struct sx_logit_row row;
    switch (metric->kind) {
    case SX_METRIC_LOGIT:
        return (double)logits[metric->target];
    case SX_METRIC_DIFFERENCE:
        return (double)logits[metric->target] - (metric->against >= 0
                                                     ? (double)logits[metric->against]
                                                     : best_other(logits, V, metric->target));
    case SX_METRIC_P20:
        return share(metric, logits);
    case SX_METRIC_CENTRED:
    case SX_METRIC_P:
    case SX_METRIC_RANK:
    case SX_METRIC_ENTROPY:
    case SX_METRIC_COUNT:
        break;
    }
    const bool entropy = metric->kind == SX_METRIC_ENTROPY;
    sx_logits_measure(logits, V, entropy ? -1 : metric->target, metric->first, metric->last, &row);
    return entropy                          ? row.entropy
           : metric->kind == SX_METRIC_P    ? row.p
           : metric->kind == SX_METRIC_RANK ? row.rank
                                            : row.centred;
}

bool sx_metric_find(const char *name, enum sx_metric_kind *kind)
{
    for (int k = 0; k < SX_METRIC_COUNT; k++)
        if (strcmp(name, sx_metric_name((enum sx_metric_kind)k)) == 0) {
            *kind = (enum sx_metric_kind)k;
            return true;
        }
    return false;
}
