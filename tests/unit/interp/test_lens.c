#include <criterion/criterion.h>

#include "sextant/interp/lens.h"
#include "sextant/model/tokenizer.h"
#include "tiny_models.h"

/* --- one row ------------------------------------------------------------------------------------
 */

Test(lens, a_row_by_hand)
{
    /* e^x of these: 1, 2, 4, 1; the sum is 8. */
    const float logits[] = {0, 0.6931472F, 1.3862944F, 0};
    struct sx_logit_row row;
    sx_logits_measure(logits, 4, 1, 0, 3, &row);
    cr_assert_eq(row.top, 2);
    cr_assert_float_eq(row.log_sum, log(8), 1e-7);
    cr_assert_float_eq(row.p, 0.25, 1e-7);
    cr_assert_float_eq(row.surprise, 2, 1e-6);
    cr_assert_float_eq(row.entropy, 1.75, 1e-6);
    cr_assert_eq(row.rank, 1);
    cr_assert_float_eq(row.centred, log(2) - (log(2) + log(4)) / 4, 1e-6);
    /* The mean is over the reference tokens alone. */
    sx_logits_measure(logits, 4, 2, 2, 3, &row);
    cr_assert_float_eq(row.centred, log(4) / 2, 1e-6);
    cr_assert_eq(row.rank, 0);
}

Test(lens, equals_are_ranked_by_id_and_no_target_is_not_a_number)
{
    const float logits[] = {1, 3, 3, -INFINITY, 3};
    struct sx_logit_row row;
    sx_logits_measure(logits, 5, 4, 0, 2, &row);
    cr_assert_eq(row.top, 1);
    cr_assert_eq(row.rank, 2);
    cr_assert(isfinite(row.entropy));
    sx_logits_measure(logits, 5, 3, 0, 2, &row);
    cr_assert_eq(row.rank, 4);
    cr_assert_eq(row.p, 0);
    sx_logits_measure(logits, 5, -1, 0, 2, &row);
    cr_assert(isnan(row.p) && isnan(row.rank) && isnan(row.centred) && isnan(row.surprise));
}

Test(lens, the_most_probable_tokens_in_order)
{
    const float logits[] = {1, 5, 2, 5, -3, 4};
    struct sx_logit_row row;
    int32_t ids[8];
    float p[8];
    sx_logits_measure(logits, 6, -1, 0, 5, &row);
    sx_logits_top(logits, 6, 3, row.log_sum, ids, p);
    cr_assert(ids[0] == 1 && ids[1] == 3 && ids[2] == 5);
    cr_assert_float_eq(p[0], exp(5 - row.log_sum), 1e-6);
    sx_logits_top(logits, 6, 8, row.log_sum, ids, p);
    cr_assert(ids[5] == 4 && ids[6] == -1 && ids[7] == -1);
    cr_assert_eq(p[7], 0);
    double sum = 0;
    for (int i = 0; i < 6; i++)
        sum += (double)p[i];
    cr_assert_float_eq(sum, 1, 1e-6);
}

/* --- against the model's own logits -------------------------------------------------------------
 */

struct bench {
    char folder[64];
    struct sx_model *model;
    struct sx_runner *runner;
};

static struct bench bench_new(struct tiny_shape shape, const struct tiny_options *options)
{
    struct bench b = {.folder = "/tmp/sextant-lens-XXXXXX"};
    struct sx_error err = {0};
    struct tiny_model tiny = tiny_random(shape, 7);
    cr_assert_not_null(mkdtemp(b.folder));
    tiny_write(&tiny, b.folder, options);
    tiny_release(&tiny);
    cr_assert_eq(sx_model_open(b.folder, NULL, &b.model, &err), SX_OK, "%s", err.message);
    b.runner = sx_runner_new(b.model, 2);
    return b;
}

static void bench_free(struct bench *b)
{
    sx_runner_free(b->runner);
    sx_model_unref(b->model);
    tiny_remove(b->folder);
}

enum { T = 9 };
static const int32_t protein[T] = {0, 20, 16, 32, 18, 7, 15, 11, 2};
static const int32_t prompt[T] = {5, 17, 33, 2, 8, 21, 0, 39, 12};

/* The last row of the lens is what the pass itself says; the first at a mask is the head on the
 * final LayerNorm's offset, whatever the input. */
static void check_last_row(const struct bench *b, const int32_t *ids)
{
    const struct sx_model_info *info = sx_model_info(b->model);
    const size_t V = (size_t)info->vocab;
    const size_t L = (size_t)info->n_layers;
    float *logits = sx_xcalloc(T * V, sizeof *logits);
    float *lens = sx_xcalloc(3 * (L + 1) * T, sizeof *lens);
    int32_t *top = sx_xcalloc((L + 1) * T, sizeof *top);
    const struct sx_lens out = {lens, lens + (L + 1) * T, lens + 2 * (L + 1) * T, top};
    const struct sx_sequence sequence = {.ids = ids, .n = T, .embed_scale = NAN, .n_rows = T};
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
    struct sx_error err = {0};
    int32_t target[T];
    for (int t = 0; t < T; t++)
        target[t] = t == 4 ? -1 : 6 + t;

    cr_assert_eq(sx_run_pass(b->runner, &pass, NULL, &err), SX_OK, "%s", err.message);
    cr_assert_eq(sx_lens_run(b->runner, &sequence, target, &out, NULL, &err), SX_OK, "%s",
                 err.message);
    for (size_t t = 0; t < T; t++) {
        const size_t at = L * T + t;
        const float *row = logits + t * V;
        const size_t first = info->family == SX_MODEL_ESM2 ? 4 : 0;
        const size_t last = info->family == SX_MODEL_ESM2 ? 23 : V - 1;
        double sum = 0;
        double mean = 0;
        int rank = 0;
        size_t best = 0;
        for (size_t v = 0; v < V; v++) {
            sum += exp((double)row[v]);
            mean += v >= first && v <= last ? (double)row[v] : 0;
            rank += target[t] >= 0 && row[v] > row[target[t]];
            best = row[v] > row[best] ? v : best;
        }
        mean /= (double)(last - first + 1);
        cr_assert_eq(top[at], (int32_t)best);
        if (target[t] < 0) {
            cr_assert(isnan(out.p[at]) && isnan(out.rank[at]) && isnan(out.centred[at]));
            continue;
        }
        cr_assert_float_eq(out.p[at], exp((double)row[target[t]]) / sum, 1e-5);
        cr_assert_float_eq(out.centred[at], (double)row[target[t]] - mean, 1e-4);
        cr_assert_eq((int)out.rank[at], rank);
    }
    /* A lens that were the same in every row would pass the above. */
    double moved = 0;
    for (size_t t = 0; t < T; t++)
        moved += t == 4 ? 0 : fabs((double)(out.centred[t] - out.centred[L * T + t]));
    cr_assert_gt(moved, 1e-3);
    sx_free(logits);
    sx_free(lens);
    sx_free(top);
}

Test(lens, the_last_row_is_the_output_of_esm2)
{
    struct bench b = bench_new(tiny_esm2_shape, &(struct tiny_options){0});
    check_last_row(&b, protein);
    bench_free(&b);
}

Test(lens, the_last_row_is_the_output_of_gpt_neox)
{
    struct bench b = bench_new(tiny_neox_shape, &(struct tiny_options){0});
    check_last_row(&b, prompt);
    bench_free(&b);
}

Test(lens, the_first_row_at_a_mask_does_not_depend_on_the_input)
{
    struct bench b = bench_new(tiny_esm2_shape, &(struct tiny_options){0});
    const int32_t other[T] = {0, 9, 9, 32, 4, 5, 6, 7, 2};
    const int32_t *const inputs[] = {protein, other};
    float p[2][3 * T];
    for (int i = 0; i < 2; i++) {
        const struct sx_sequence sequence = {.ids = inputs[i], .n = T, .embed_scale = NAN};
        const struct sx_lens out = {.p = p[i]};
        int32_t target[T];
        struct sx_error err = {0};
        for (int t = 0; t < T; t++)
            target[t] = SX_ESM_M;
        cr_assert_eq(sx_lens_run(b.runner, &sequence, target, &out, NULL, &err), SX_OK, "%s",
                     err.message);
    }
    cr_assert_eq(p[0][3], p[1][3]);
    cr_assert_neq(p[0][1], p[1][1]);
    cr_assert_neq(p[0][2 * T + 3], p[1][2 * T + 3]);
    bench_free(&b);
}

Test(lens, without_a_head_it_is_refused_and_a_cancel_ends_it)
{
    struct bench b = bench_new(tiny_esm2_shape, &(struct tiny_options){.no_lm_head = true});
    const struct sx_sequence sequence = {.ids = protein, .n = T, .embed_scale = NAN};
    const struct sx_lens out = {0};
    struct sx_error err = {0};
    cr_assert_eq(sx_lens_run(b.runner, &sequence, protein, &out, NULL, &err), SX_ERR_UNSUPPORTED);
    cr_assert(strstr(err.message, "no language model head"), "%s", err.message);
    bench_free(&b);

    struct bench c = bench_new(tiny_esm2_shape, &(struct tiny_options){0});
    struct sx_task task;
    sx_task_init(&task);
    sx_task_cancel(&task);
    cr_assert_eq(sx_lens_run(c.runner, &sequence, protein, &out, &task, &err), SX_CANCELLED);
    bench_free(&c);
}
