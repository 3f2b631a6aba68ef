/* Every layer, head and pair in rotary bands against the forward pass, in one run:
 *   bench_bands [threads [tokens]]
 * ESM2-8M and Pythia-70M shapes (tokens: the first alone) with random weights. A round is a plain
 * pass with logits, then a whole survey (a pass that keeps queries, keys and some scores, room and
 * threads for it, the decomposition, its sums), so that what else the machine does meets both.
 * Printed are medians over the rounds: seconds; what the survey takes beyond the pass, over the
 * pass, as a whole and in parts (the decomposition; the rest); and the rate of its operations to
 * that of a 2048^3 product.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/tiny_models.h"
#include "sextant/core/blas.h"
#include "sextant/interp/bands.h"

enum { ROUNDS = 41, PRODUCTS = 5, SIDE = 2048 };

static int threads;
static double product; /* operations a second */

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(enum sx_status status, const struct sx_error *err)
{
    if (status == SX_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return values[n / 2];
}

static double product_rate(void)
{
    float *a = sx_calloc_big((size_t)SIDE * SIDE, sizeof *a);
    float *b = sx_calloc_big((size_t)SIDE * SIDE, sizeof *b);
    float *c = sx_calloc_big((size_t)SIDE * SIDE, sizeof *c);
    double seconds[PRODUCTS];
    for (int i = 0; i < PRODUCTS; i++) {
        const double start = now();
        sx_gemm(false, true, SIDE, SIDE, SIDE, 1, a, SIDE, b, SIDE, 0, c, SIDE);
        seconds[i] = now() - start;
    }
    sx_free(a);
    sx_free(b);
    sx_free(c);
    /* The library's threads wait awake for a while. */
    (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    return 2.0 * SIDE * SIDE * SIDE / median(seconds, PRODUCTS);
}

static double time_pass(struct sx_runner *runner, const struct sx_sequence *sequence, float *logits)
{
    struct sx_error err = {0};
    const struct sx_pass pass = {.sequences = sequence, .n_sequences = 1, .logits = logits};
    const double start = now();
    must(sx_run_pass(runner, &pass, NULL, &err), &err);
    return now() - start;
}

static double time_survey(struct sx_runner *runner, const struct sx_sequence *sequence,
                          double *kernels, double *residual)
{
    struct sx_error err = {0};
    struct sx_band_survey survey;
    const double start = now();
    must(sx_band_survey_run(runner, sequence, threads, &survey, NULL, &err), &err);
    const double seconds = now() - start;
    *kernels = survey.seconds;
    *residual = survey.residual;
    sx_band_survey_release(&survey);
    return seconds;
}

struct rounds {
    double pass[ROUNDS], kernels[ROUNDS], beyond[ROUNDS];
    double whole_share[ROUNDS], kernel_share[ROUNDS], other_share[ROUNDS]; /* of the pass */
};

static void print_rounds(const char *name, struct rounds *r)
{
    const double whole = median(r->whole_share, ROUNDS);
    printf("%-26s pass %7.2f ms; survey beyond it %7.2f ms: %.2f of the pass (quartiles %.2f, "
           "%.2f); decomposition %6.2f ms: %.2f, the rest: %.2f\n",
           name, median(r->pass, ROUNDS) * 1e3, median(r->beyond, ROUNDS) * 1e3, whole,
           r->whole_share[ROUNDS / 4], r->whole_share[3 * ROUNDS / 4],
           median(r->kernels, ROUNDS) * 1e3, median(r->kernel_share, ROUNDS),
           median(r->other_share, ROUNDS));
}

static void compare(const char *name, struct tiny_shape shape, size_t n)
{
    char folder[] = "/tmp/sextant-bench-XXXXXX";
    struct sx_error err = {0};
    struct sx_model *model = NULL;
    struct tiny_model m = tiny_random(shape, 1);
    if (!mkdtemp(folder))
        exit(1);
    tiny_write(&m, folder, &(struct tiny_options){.dtype = SX_DTYPE_F32});
    tiny_release(&m);
    must(sx_model_open(folder, NULL, &model, &err), &err);
    struct sx_runner *runner = sx_runner_new(model, threads);
    const struct sx_model_info *info = sx_model_info(model);
    const bool esm = info->family == SX_MODEL_ESM2;
    struct sx_rng rng = sx_rng_make(3, 1);
    int32_t *ids = sx_xcalloc(n, sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)(esm ? 4 + sx_rng_below(&rng, 20) : sx_rng_below(&rng, info->vocab));
    const uint32_t last = (uint32_t)n - 1;
    float *logits = sx_xcalloc(n * info->vocab, sizeof *logits);
    const struct sx_sequence sequence = {
        .ids = ids, .n = n, .embed_scale = NAN, .rows = esm ? NULL : &last, .n_rows = esm ? n : 1};
    struct rounds r = {0};
    double residual = 0;
    for (int i = -1; i < ROUNDS; i++) { /* one to warm up */
        const int at = i < 0 ? 0 : i;
        double kernels;
        const double pass = time_pass(runner, &sequence, logits);
        const double survey = time_survey(runner, &sequence, &kernels, &residual);
        r.pass[at] = pass;
        r.kernels[at] = kernels;
        r.beyond[at] = survey - pass;
        r.whole_share[at] = (survey - pass) / pass;
        r.kernel_share[at] = kernels / pass;
        r.other_share[at] = (survey - pass - kernels) / pass;
    }
    print_rounds(name, &r);
    const double pairs = (double)n * (double)(esm ? 2 * n : n + 1) / 2;
    const double bands = (double)info->n_bands + (2 * info->n_bands < info->d_head);
    const double flops =
        (double)(info->n_layers * info->n_heads) * pairs * (2 * (double)info->d_head + 7 * bands);
    printf("%-26s decomposition at %.2f of the product's rate; residual %.1e\n", "",
           flops / median(r.kernels, ROUNDS) / product, residual);
    sx_free(ids);
    sx_free(logits);
    sx_runner_free(runner);
    sx_model_unref(model);
    tiny_remove(folder);
}

int main(int argc, char **argv)
{
    const struct tiny_shape esm2_8m = {SX_MODEL_ESM2, 6, 320, 20, 1280, 33, 0};
    const struct tiny_shape pythia_70m = {SX_MODEL_GPT_NEOX, 6, 512, 8, 2048, 50304, 8};
    threads = argc > 1 ? atoi(argv[1]) : sx_blas_threads();
    sx_blas_set_threads(threads);
    printf("%d threads\n", threads);
    product = product_rate();
    if (argc > 2) {
        compare("ESM2-8M", esm2_8m, strtoul(argv[2], NULL, 10));
        return 0;
    }
    compare("ESM2-8M, 128 tokens", esm2_8m, 128);
    compare("ESM2-8M, 256 tokens", esm2_8m, 256);
    compare("ESM2-8M, 1022 tokens", esm2_8m, 1022);
    compare("Pythia-70M, 512 tokens", pythia_70m, 512);
    return 0;
}
