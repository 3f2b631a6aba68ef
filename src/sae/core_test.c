/* Core reconstruction: how much of the input do the aligned latents carry? A block of inputs is
 * encoded once; the outputs of the chosen latents are products with the chosen columns and rows
 * alone, and "all but the top" is the difference of two outputs. */
#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/core/blas.h"
#include "sextant/core/stats.h"
#include "sextant/sae/match.h"

enum { BLOCK = 256 };

struct core_buffers {
    float *acts;                      /* [BLOCK,F] */
    float *part;                      /* [BLOCK,n] columns of acts */
    float *w_top, *w_random;          /* [n,D] rows of W_dec */
    float *out[SX_N_CORE_SELECTIONS]; /* [BLOCK,D] without b_dec */
};

static void buffers_release(struct core_buffers *b)
{
    sx_free(b->acts);
    sx_free(b->part);
    sx_free(b->w_top);
    sx_free(b->w_random);
    for (int s = 0; s < SX_N_CORE_SELECTIONS; s++)
        sx_free(b->out[s]);
}

static bool buffers_init(struct core_buffers *b, const struct sx_core_input *in)
{
    b->acts = sx_alloc_big(BLOCK, in->F * sizeof *b->acts);
    b->part = sx_alloc_big(BLOCK, (in->n + 1) * sizeof *b->part);
    b->w_top = sx_alloc_big(in->n + 1, in->D * sizeof *b->w_top);
    b->w_random = sx_alloc_big(in->n + 1, in->D * sizeof *b->w_random);
    bool ready = b->acts && b->part && b->w_top && b->w_random;
    for (int s = 0; s < SX_N_CORE_SELECTIONS; s++) {
        b->out[s] = sx_alloc_big(BLOCK, in->D * sizeof *b->out[s]);
        ready = ready && b->out[s];
    }
    return ready;
}

/* --- choosing ----------------------------------------------------------------------------------
 */

static void choose_random(const struct sx_core_input *in, uint32_t *random)
{
    uint32_t *all = sx_xmalloc(in->F * sizeof *all);
    struct sx_rng rng = sx_rng_make(in->seed, 0);
    for (size_t j = 0; j < in->F; j++)
        all[j] = (uint32_t)j;
    sx_rng_shuffle(&rng, all, in->F);
    memcpy(random, all, in->n * sizeof *random);
    sx_free(all);
}

/* The n largest |alignment|, ties by lower index. */
static void choose_top(const struct sx_core_input *in, uint32_t *top)
{
    double *keys = sx_xmalloc(in->F * sizeof *keys);
    size_t above = 0, taken = 0;
    for (size_t j = 0; j < in->F; j++)
        keys[j] = fabs((double)in->align[j]);
    sx_sort_doubles(keys, in->F);
    double cut = keys[in->F - in->n];
    for (size_t j = 0; j < in->F; j++)
        above += fabs((double)in->align[j]) > cut;
    size_t ties = in->n - above;
    for (size_t j = 0; j < in->F; j++) {
        double a = fabs((double)in->align[j]);
        if (a < cut || (a == cut && ties == 0))
            continue;
        ties -= a == cut;
        size_t at = taken++;
        for (; at > 0 && fabs((double)in->align[top[at - 1]]) < a; at--)
            top[at] = top[at - 1];
        top[at] = (uint32_t)j;
    }
    sx_free(keys);
}

static void gather_rows(const struct sx_core_input *in, const uint32_t *latents, float *out)
{
    for (size_t t = 0; t < in->n; t++)
        memcpy(out + t * in->D, in->W_dec + (size_t)latents[t] * in->D, in->D * sizeof *out);
}

/* --- one block ---------------------------------------------------------------------------------
 */

static void decode_some(const struct sx_core_input *in, struct core_buffers *b, size_t rows,
                        const uint32_t *latents, const float *w, float *out)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t t = 0; t < in->n; t++)
            b->part[r * in->n + t] = b->acts[r * in->F + latents[t]];
    sx_gemm(false, false, rows, in->D, in->n, 1.0F, b->part, in->n, w, in->D, 0.0F, out, in->D);
}

static float mean_square(const struct sx_core_input *in, const float *x, const float *out)
{
    double sum = 0;
    for (size_t i = 0; i < in->D; i++) {
        double off = (double)out[i] + (in->b_dec ? (double)in->b_dec[i] : 0) - (double)x[i];
        sum += off * off;
    }
    return (float)(sum / (double)in->D);
}

static enum sx_status run_block(const struct sx_core_input *in, struct core_buffers *b,
                                size_t first, size_t rows, struct sx_core_test *test,
                                struct sx_task *task, struct sx_error *err)
{
    const float *x = in->x + first * in->D;
    SX_ASSERT(b->acts && b->part && b->out[SX_CORE_ALL] && b->out[SX_CORE_TOP]);
    SX_TRY(in->encode(in->user, x, rows, b->acts, err));
    SX_TRY(sx_gemm_task(false, false, rows, in->D, in->F, 1.0F, b->acts, in->F, in->W_dec, in->D,
                        0.0F, b->out[SX_CORE_ALL], in->D, task));
    decode_some(in, b, rows, test->top, b->w_top, b->out[SX_CORE_TOP]);
    decode_some(in, b, rows, test->random, b->w_random, b->out[SX_CORE_RANDOM]);
    for (size_t i = 0; i < rows * in->D; i++)
        b->out[SX_CORE_WITHOUT_TOP][i] = b->out[SX_CORE_ALL][i] - b->out[SX_CORE_TOP][i];
    for (int s = 0; s < SX_N_CORE_SELECTIONS; s++)
        for (size_t r = 0; r < rows; r++)
            test->mse[s][first + r] = mean_square(in, x + r * in->D, b->out[s] + r * in->D);
    return SX_OK;
}

/* --- box plots ---------------------------------------------------------------------------------
 */

static void fill_box(const float *values, size_t n, struct sx_box *box)
{
    double *sorted = sx_xmalloc((n + 1) * sizeof *sorted);
    for (size_t i = 0; i < n; i++)
        sorted[i] = (double)values[i];
    sx_sort_doubles(sorted, n);
    *box = (struct sx_box){
        .mean = sx_mean(sorted, n),
        .median = sx_quantile(sorted, n, 0.5),
        .q1 = sx_quantile(sorted, n, 0.25),
        .q3 = sx_quantile(sorted, n, 0.75),
    };
    double reach = 1.5 * (box->q3 - box->q1);
    box->whisker_lo = box->q1;
    box->whisker_hi = box->q3;
    for (size_t i = 0; i < n; i++) {
        if (sorted[i] >= box->q1 - reach)
            box->whisker_lo = fmin(box->whisker_lo, sorted[i]);
        if (sorted[i] <= box->q3 + reach)
            box->whisker_hi = fmax(box->whisker_hi, sorted[i]);
    }
    sx_free(sorted);
}

/* --- the test ----------------------------------------------------------------------------------
 */

void sx_core_test_release(struct sx_core_test *test)
{
    sx_free(test->top);
    sx_free(test->random);
    for (int s = 0; s < SX_N_CORE_SELECTIONS; s++)
        sx_free(test->mse[s]);
    *test = (struct sx_core_test){0};
}

static enum sx_status prepare(const struct sx_core_input *in, struct core_buffers *b,
                              struct sx_core_test *out, struct sx_error *err)
{
    *out = (struct sx_core_test){.rows = in->rows, .n = in->n};
    if (in->n == 0 || in->n > in->F)
        return sx_fail(err, SX_ERR_USAGE, "a core of %zu latents does not fit %zu", in->n, in->F);
    if (in->rows == 0)
        return sx_fail(err, SX_ERR_SHAPE, "no inputs to reconstruct");
    bool ready = buffers_init(b, in);
    out->top = sx_xcalloc(in->n, sizeof *out->top);
    out->random = sx_xcalloc(in->n, sizeof *out->random);
    for (int s = 0; s < SX_N_CORE_SELECTIONS; s++) {
        out->mse[s] = sx_alloc_big(in->rows, sizeof *out->mse[s]);
        ready = ready && out->mse[s];
    }
    if (!ready)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for blocks of %zu latents", in->F);
    choose_top(in, out->top);
    choose_random(in, out->random);
    gather_rows(in, out->top, b->w_top);
    gather_rows(in, out->random, b->w_random);
    return SX_OK;
}

enum sx_status sx_core_test_run(const struct sx_core_input *in, struct sx_task *task,
                                struct sx_core_test *out, struct sx_error *err)
{
    struct core_buffers b = {0};
    enum sx_status status = prepare(in, &b, out, err);
    for (size_t i = 0; i < in->rows && status == SX_OK; i += BLOCK) {
        size_t rows = in->rows - i < BLOCK ? in->rows - i : BLOCK;
        status = run_block(in, &b, i, rows, out, task, err);
        if (status == SX_OK)
            status = sx_task_step(task, i + rows, in->rows);
    }
    for (int s = 0; s < SX_N_CORE_SELECTIONS && status == SX_OK; s++)
        fill_box(out->mse[s], in->rows, &out->box[s]);
    buffers_release(&b);
    if (status != SX_OK)
        sx_core_test_release(out);
    return status;
}

enum sx_status sx_core_encode_relu(void *user, const float *x, size_t rows, float *acts,
                                   struct sx_error *err)
{
    const struct sx_core_relu *sae = user;
    float *centred = sx_alloc_big(rows, sae->D * sizeof *centred);
    if (!centred)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu inputs", rows);
    for (size_t i = 0; i < rows * sae->D; i++)
        centred[i] = x[i] - (sae->pre ? sae->pre[i % sae->D] : 0.0F);
    sx_gemm(false, true, rows, sae->F, sae->D, 1.0F, centred, sae->D, sae->W_enc, sae->D, 0.0F,
            acts, sae->F);
    for (size_t i = 0; i < rows * sae->F; i++) {
        float z = acts[i] + (sae->b_enc ? sae->b_enc[i % sae->F] : 0.0F);
        acts[i] = z > 0 ? z : 0.0F;
    }
    sx_free(centred);
    return SX_OK;
}
