#include "sextant/interp/lens.h"

#include <math.h>

#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

/* --- one row ------------------------------------------------------------------------------------
 */

static double log_sum_exp(const float *logits, size_t V, double max, double *mean)
{
    double sum = 0;
    double weighted = 0;
    for (size_t v = 0; v < V; v++) {
        const double below = (double)logits[v] - max;
        const double e = exp(below);
        sum += e;
        weighted += e > 0 ? e * below : 0; /* a logit of -infinity weighs nothing */
    }
    *mean = max + weighted / sum;
    return max + log(sum);
}

static double reference_mean(const float *logits, int32_t first, int32_t last)
{
    double sum = 0;
    for (int32_t v = first; v <= last; v++)
        sum += (double)logits[v];
    return sum / (double)(last - first + 1);
}

void sx_logits_measure(const float *logits, size_t V, int32_t target, int32_t first, int32_t last,
                       struct sx_logit_row *out)
{
    SX_ASSERT(V > 0 && first >= 0 && first <= last && (size_t)last < V && target < (int64_t)V);
    size_t top = 0;
    double mean = 0;
    for (size_t v = 1; v < V; v++)
        if (logits[v] > logits[top])
            top = v;
    *out = (struct sx_logit_row){
        .top = (int32_t)top, .p = NAN, .surprise = NAN, .rank = NAN, .centred = NAN};
    out->log_sum = log_sum_exp(logits, V, (double)logits[top], &mean);
    out->entropy = (out->log_sum - mean) / M_LN2;
    if (target < 0)
        return;
    const float own = logits[target];
    size_t before = 0;
    for (size_t v = 0; v < V; v++)
        before += logits[v] > own || (logits[v] == own && v < (size_t)target);
    out->rank = (double)before;
    out->p = exp((double)own - out->log_sum);
    out->surprise = (out->log_sum - (double)own) / M_LN2;
    out->centred = (double)own - reference_mean(logits, first, last);
}

void sx_logits_reference(const struct sx_model_info *info, int32_t *first, int32_t *last)
{
    const bool esm = info->family == SX_MODEL_ESM2;
    *first = esm ? SX_ESM_FIRST_RESIDUE : 0;
    *last = esm ? SX_ESM_LAST_RESIDUE : (int32_t)info->vocab - 1;
}

void sx_logits_top(const float *logits, size_t V, size_t k, double log_sum, int32_t *ids, float *p)
{
    enum { MOST = 16 };
    size_t n = 0;
    SX_ASSERT(k <= MOST);
    for (size_t v = 0; v < V && k > 0; v++) {
        if (n == k && !(logits[v] > logits[ids[n - 1]]))
            continue;
        size_t at = n < k ? n++ : n - 1;
        for (; at > 0 && logits[v] > logits[ids[at - 1]]; at--)
            ids[at] = ids[at - 1];
        ids[at] = (int32_t)v;
    }
    for (size_t i = 0; i < n; i++)
        p[i] = (float)exp((double)logits[ids[i]] - log_sum);
    for (size_t i = n; i < k; i++) {
        ids[i] = -1;
        p[i] = 0;
    }
}

/* --- many rows ----------------------------------------------------------------------------------
 */

/* Rows a call of the head: some 2e9 operations, so that a cancel is seen in time. */
static size_t rows_at_once(const struct sx_model_info *info)
{
    const double per_row = 2.0 * (double)info->vocab * (double)info->d_model +
                           2.0 * (double)info->d_model * (double)info->d_model;
    const double rows = 2e9 / (per_row + 1);
    return rows < 1 ? 1 : rows > 256 ? 256 : (size_t)rows;
}

enum sx_status sx_unembed_rows(struct sx_runner *runner, const float *resid, size_t n,
                               sx_logits_fn *visit, void *context, struct sx_task *task,
                               uint64_t done, uint64_t total, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(sx_runner_model(runner));
    const size_t V = (size_t)info->vocab;
    const size_t D = (size_t)info->d_model;
    const size_t step = rows_at_once(info);
    enum sx_status status = SX_OK;

    if (!info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: this file has no language model head",
                       info->path);
    float *logits = sx_alloc_big(step * V, sizeof *logits);
    if (!logits)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for logits of %zu rows", info->path, step);
    for (size_t first = 0; first < n && status == SX_OK; first += step) {
        const size_t rows = n - first < step ? n - first : step;
        status = sx_task_step(task, done + first, total);
        if (status == SX_OK)
            status = sx_model_unembed(runner, resid + first * D, rows, logits, err);
        for (size_t r = 0; r < rows && status == SX_OK; r++)
            visit(context, first + r, logits + r * V);
    }
    sx_free(logits);
    return status;
}

/* --- the lens -----------------------------------------------------------------------------------
 */

struct lens_visit {
    const struct sx_lens *out;
    const int32_t *target;
    size_t T, V;
    int32_t first, last;
};

static void keep_row(void *context, size_t row, const float *logits)
{
    const struct lens_visit *visit = context;
    const struct sx_lens *out = visit->out;
    struct sx_logit_row found;
    sx_logits_measure(logits, visit->V, visit->target[row % visit->T], visit->first, visit->last,
                      &found);
    if (out->centred)
        out->centred[row] = (float)found.centred;
    if (out->p)
        out->p[row] = (float)found.p;
    if (out->rank)
        out->rank[row] = (float)found.rank;
    if (out->top)
        out->top[row] = found.top;
}

enum sx_status sx_lens_run(struct sx_runner *runner, const struct sx_sequence *sequence,
                           const int32_t *target, const struct sx_lens *out, struct sx_task *task,
                           struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(sx_runner_model(runner));
    const size_t layers = (size_t)info->n_layers;
    const size_t T = sequence->n;
    const uint32_t last = (uint32_t)(layers - 1);
    const uint64_t rows = (uint64_t)(layers + 1) * T;
    struct lens_visit visit = {.out = out, .target = target, .T = T, .V = (size_t)info->vocab};
    struct sx_sequence own = *sequence;
    enum sx_status status;

    if (!info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: this file has no language model head",
                       info->path);
    float *resid = sx_alloc_big(rows, (size_t)info->d_model * sizeof *resid);
    if (!resid)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the residual stream of %zu tokens",
                       info->path, T);
    const struct sx_capture captures[] = {
        {.point = SX_POINT_RESID_PRE, .out = resid},
        {.point = SX_POINT_RESID_POST,
         .layers = {&last, 1},
         .out = resid + layers * T * (size_t)info->d_model},
    };
    const struct sx_pass pass = {
        .sequences = &own, .n_sequences = 1, .hooks = {.captures = captures, .n_captures = 2}};
    own.rows = NULL;
    own.n_rows = 0;
    sx_logits_reference(info, &visit.first, &visit.last);
    /* The head on every layer's rows takes about as long as the pass. */
    status = sx_task_step_to(task, 0, 2 * rows, rows);
    if (status == SX_OK)
        status = sx_run_pass(runner, &pass, task, err);
    if (status == SX_OK)
        status = sx_unembed_rows(runner, resid, (size_t)rows, keep_row, &visit, task, rows,
                                 2 * rows, err);
    sx_free(resid);
    return status;
}
