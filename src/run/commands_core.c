/* core: how much of the reconstruction the aligned core of latents carries (Jedryszek & Crook 2026,
 * core reconstruction): the mean squared error a row under all latents, the n most aligned, n
 * random ones, and all but the n most aligned. */
#include "commands_private.h"

#include "document.h"
#include "matrix.h"
#include "sextant/base/alloc.h"
#include "sextant/sae/match.h"
#include "sextant/sae/sae.h"

static const char *const selections[SX_N_CORE_SELECTIONS] = {"all", "top", "random", "without_top"};

struct encoder {
    const struct sx_sae *sae; /* borrowed */
    struct sx_task *task;     /* borrowed */
};

static enum sx_status encode(void *user, const float *x, size_t rows, float *acts,
                             struct sx_error *err)
{
    const struct encoder *encoder = user;
    if (sx_task_is_cancelled(encoder->task))
        return SX_CANCELLED;
    return sx_sae_encode_dense(encoder->sae, x, rows, acts, NULL, err);
}

/* The test adds latents up and compares with x itself: only where that is what the SAE does. */
static enum sx_status check_plain(const struct sx_sae *sae, struct sx_error *err)
{
    const struct sx_sae_info *info = &sae->info;
    const char *why = NULL;
    if (info->norm != SX_NORM_NONE && info->norm != SX_NORM_EXPECTED_AVERAGE)
        why = "its input is normalised";
    else if (sae->W_skip)
        why = "it has a skip connection";
    else if (info->sigmoid_out)
        why = "its output passes a sigmoid";
    else if (info->scale_by_decoder_norm)
        why = "its latents are scaled by the decoder's norms";
    return why ? sx_fail(err, SX_ERR_UNSUPPORTED, "%s: no core test: %s", info->path, why) : SX_OK;
}

static struct sx_value *describe_box(const struct sx_box *box)
{
    static const char why[] = "no rows";
    struct sx_value *map = sx_value_map();
    sx_document_real(map, "mean", box->mean, why);
    sx_document_real(map, "median", box->median, why);
    sx_document_real(map, "q1", box->q1, why);
    sx_document_real(map, "q3", box->q3, why);
    sx_document_real(map, "whisker_lo", box->whisker_lo, why);
    sx_document_real(map, "whisker_hi", box->whisker_hi, why);
    return map;
}

static struct sx_value *describe(const struct sx_job *job, const struct sx_core_test *test)
{
    struct sx_value *document = sx_document_new();
    sx_document_text(document, "sae", sx_arg_text(job->args, "sae"));
    sx_document_int(document, "rows", (int64_t)test->rows);
    sx_document_int(document, "latents", (int64_t)test->n);
    struct sx_value *mse = sx_value_set(document, "mse", sx_value_map());
    for (int s = 0; s < SX_N_CORE_SELECTIONS; s++)
        sx_value_set(mse, selections[s], describe_box(&test->box[s]));
    struct sx_value *top = sx_value_set(document, "top", sx_value_list());
    for (size_t i = 0; i < test->n; i++)
        sx_value_append(top, sx_value_int(test->top[i]));
    return document;
}

static enum sx_status run_test(struct sx_job *job, const struct sx_sae *sae,
                               const struct sx_matrix *x, struct sx_error *err)
{
    const size_t F = (size_t)sae->info.dict_size;
    const size_t D = (size_t)sae->info.activation_dim;
    const size_t wanted = (size_t)sx_value_int_or(sx_value_get(job->args, "latents"), 0);
    if (x->columns != D)
        return sx_fail(err, SX_ERR_SHAPE, "%s: rows of %llu numbers, expected %zu",
                       sx_arg_text(job->args, "input"), (unsigned long long)x->columns, D);
    float *align = sx_alloc_big(F, sizeof *align);
    if (!align)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu latents", F);
    sx_sae_latent_norms(sae, NULL, NULL, align);
    struct encoder encoder = {sae, &job->task};
    struct sx_core_test test = {0};
    const struct sx_core_input in = {
        .x = x->data,
        .rows = (size_t)x->rows,
        .F = F,
        .D = D,
        .W_dec = sae->W_dec,
        .b_dec = sae->b_dec,
        .align = align,
        .n = wanted < F ? wanted : F,
        .seed = (uint64_t)sx_value_int_or(sx_value_get(job->args, "seed"), 0),
        .encode = encode,
        .user = &encoder,
    };
    enum sx_status status = sx_core_test_run(&in, &job->task, &test, err);
    if (status == SX_OK) {
        job->document = describe(job, &test);
        sx_core_test_release(&test);
    }
    sx_free(align);
    return status;
}

SX_RUN(core)
{
    struct sx_sae *sae = NULL;
    struct sx_matrix x = {0};
    const uint64_t rows = (uint64_t)sx_value_int_or(sx_value_get(job->args, "rows"), 0);
    enum sx_status status = sx_sae_load(sx_arg_text(job->args, "sae"), &sae, err);
    if (status == SX_OK)
        status = check_plain(sae, err);
    if (status == SX_OK)
        status = sx_matrix_read(sx_arg_text(job->args, "input"), rows, &x, err);
    if (status == SX_OK)
        status = run_test(job, sae, &x, err);
    sx_matrix_release(&x);
    sx_sae_unref(sae);
    return status;
}

SX_PRINT(core)
{
    static const char *const columns[] = {"mean", "median", "q1", "q3"};
    const struct sx_value *mse = sx_value_get(document, "mse");
    sx_str_printf(out, "mean squared error a row, %lld rows, core of %lld latents\n\n%-14s",
                  (long long)sx_value_int_or(sx_value_get(document, "rows"), 0),
                  (long long)sx_value_int_or(sx_value_get(document, "latents"), 0), "latents");
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++)
        sx_str_printf(out, "%11s", columns[c]);
    sx_str_append_char(out, '\n');
    for (size_t i = 0; i < sx_value_count(mse); i++) {
        sx_str_printf(out, "%-14s", sx_value_key(mse, i));
        for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++)
            sx_print_number(out, sx_value_get(sx_value_item(mse, i), columns[c]), 11, 6);
        sx_str_append_char(out, '\n');
    }
}
