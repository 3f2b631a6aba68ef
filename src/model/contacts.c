/* ESM-2's contact head without keeping maps. With S_c = A_c + A_c^T, row sums r_c and total t_c the
 * average product correction subtracts r_c r_c^T / t_c, so that the weighted sum over channels is
 *   M + M^T - sum_c (w_c / t_c) r_c r_c^T,   M = sum_c w_c A_c:
 * one map and one vector a channel. */
#include <math.h>
#include <string.h>

#include "forward_private.h"
#include "sextant/base/alloc.h"

struct sx_contact_sum {
    size_t m; /* side of the map: tokens without the first and the last */
    size_t channels;
    int members;
    const float *weight; /* [channels] */
    uint8_t *keep;       /* [m] 0: <pad> and <eos>, whose rows and columns count as zero */
    float *map;          /* [m,m], the caller's */
    double *rows;        /* [channels,m] sums over keys */
    double *columns;     /* [members,channels,m] sums over a member's queries */
    double *factor;      /* [channels] w_c / t_c */
    double *line;        /* [m] */
};

void sx_contact_row(struct sx_contact_sum *sum, int member, size_t channel, size_t query,
                    const float *row)
{
    const size_t m = sum->m;
    if (query == 0 || query > m || !sum->keep[query - 1])
        return;
    const float w = sum->weight[channel];
    float *to = sum->map + (query - 1) * m;
    double *column = sum->columns + ((size_t)member * sum->channels + channel) * m;
    double total = 0;
    for (size_t j = 0; j < m; j++) {
        float a = sum->keep[j] ? row[j + 1] : 0.0F;
        to[j] += w * a;
        column[j] += (double)a;
        total += (double)a;
    }
    sum->rows[channel * m + query - 1] = total;
}

/* rows := r_c; returns t_c. */
static double symmetric_sums(struct sx_contact_sum *sum, size_t channel)
{
    double total = 0;
    double *r = sum->rows + channel * sum->m;
    for (size_t j = 0; j < sum->m; j++) {
        for (int t = 0; t < sum->members; t++)
            r[j] += sum->columns[((size_t)t * sum->channels + channel) * sum->m + j];
        total += r[j];
    }
    return total;
}

static float sigmoid(double x)
{
    return (float)(1 / (1 + exp(-x)));
}

static enum sx_status finish(struct sx_contact_sum *sum, float bias, struct sx_task *task)
{
    const size_t m = sum->m, C = sum->channels;
    double *factor = sum->factor, *line = sum->line;
    for (size_t c = 0; c < C; c++) {
        double total = symmetric_sums(sum, c);
        factor[c] = total > 0 ? (double)sum->weight[c] / total : 0;
    }
    for (size_t i = 0; i < m; i++) {
        if (sx_task_is_cancelled(task))
            return SX_CANCELLED;
        memset(line, 0, m * sizeof *line);
        for (size_t c = 0; c < C; c++) {
            const double *r = sum->rows + c * m;
            const double scale = factor[c] * r[i];
            for (size_t j = i; j < m; j++)
                line[j] += scale * r[j];
        }
        for (size_t j = i; j < m; j++) {
            double x = (double)sum->map[i * m + j] + (double)sum->map[j * m + i] - line[j];
            sum->map[i * m + j] = sum->map[j * m + i] = sigmoid(x + (double)bias);
        }
    }
    return SX_OK;
}

static enum sx_status run(struct sx_contact_sum *sum, struct sx_runner *runner, const int32_t *ids,
                          size_t n, struct sx_task *task, struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_sequence sequence = {.ids = ids, .n = n, .embed_scale = NAN};
    const struct sx_pass pass = {
        .sequences = &sequence, .n_sequences = 1, .until_layer = sx_model_info(model)->n_layers};
    sum->keep = sx_xcalloc(sum->m, 1);
    for (size_t i = 0; i < sum->m; i++)
        sum->keep[i] = ids[i + 1] != SX_ESM2_PAD && ids[i + 1] != SX_ESM2_EOS;
    sum->rows = sx_calloc_big(sum->channels * sum->m, sizeof *sum->rows);
    sum->columns =
        sx_calloc_big((size_t)sum->members * sum->channels * sum->m, sizeof *sum->columns);
    sum->factor = sx_xcalloc(sum->channels, sizeof *sum->factor);
    sum->line = sx_xcalloc(sum->m, sizeof *sum->line);
    if (!sum->rows || !sum->columns)
        return sx_fail(err, SX_ERR_NOMEM, "out of memory for the contacts of %zu residues", sum->m);
    memset(sum->map, 0, sum->m * sum->m * sizeof *sum->map);
    SX_TRY(sx_forward_run(runner, &pass, sum, task, err));
    return finish(sum, sx_model_weights(model)->contact_bias, task);
}

enum sx_status sx_model_contacts(struct sx_runner *runner, const int32_t *ids, size_t n, float *out,
                                 struct sx_task *task, struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    if (!info->has_contact_head || !sx_model_weights(model)->contact_weight)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s has no contact head", info->name);
    if (n < 3)
        return sx_fail(err, SX_ERR_USAGE,
                       "contacts need at least one residue between <cls> and "
                       "<eos>");
    struct sx_contact_sum sum = {.m = n - 2,
                                 .channels = info->n_layers * info->n_heads,
                                 .members = sx_runner_threads(runner),
                                 .weight = sx_model_weights(model)->contact_weight,
                                 .map = out};
    enum sx_status status = run(&sum, runner, ids, n, task, err);
    sx_free(sum.keep);
    sx_free(sum.rows);
    sx_free(sum.columns);
    sx_free(sum.factor);
    sx_free(sum.line);
    return status;
}
