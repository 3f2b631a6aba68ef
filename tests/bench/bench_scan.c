/* Scans against whole passes, in one run and in turns:
 *   bench_scan [threads]
 * ESM2-8M's shape with random weights, T = 128: all heads (ctx at every token), and layer x token,
 * against as many whole passes that each make one change and are asked for the same row of logits
 * (120 of them are timed, spread over the cells); and how soon the first cells are there.
 *
 *   bench_scan --time heads|tokens FOLDER TOKENS [threads]
 * prints the seconds of the best of a few scans, for comparisons with other programs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/tiny_models.h"
#include "sextant/core/blas.h"
#include "sextant/interp/results.h"
#include "sextant/interp/scan.h"

enum { ROUNDS = 5, TIMED = 120, TOKENS = 128, MOST_TOKENS = 2048 };

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

struct bed {
    struct sx_model *model;
    struct sx_runner *runner;
    const struct sx_model_info *info;
    int32_t clean[MOST_TOKENS], corrupt[MOST_TOKENS];
    size_t n, token;
};

static void open_bed(struct bed *bed, const char *folder, size_t n, int threads)
{
    struct sx_error err = {0};
    struct sx_rng rng = sx_rng_make(3, 1);
    must(sx_model_open(folder, NULL, &bed->model, &err), &err);
    bed->runner = sx_runner_new(bed->model, threads);
    bed->info = sx_model_info(bed->model);
    bed->n = n;
    bed->token = 1;
    for (size_t i = 0; i < n; i++) {
        bed->clean[i] = 4 + (int32_t)sx_rng_below(&rng, 20);
        bed->corrupt[i] = 4 + (int32_t)sx_rng_below(&rng, 20);
    }
    bed->clean[0] = bed->corrupt[0] = 0;
    bed->clean[1] = bed->corrupt[1] = 32;
    bed->clean[n - 1] = bed->corrupt[n - 1] = 2;
}

static void close_bed(struct bed *bed)
{
    sx_runner_free(bed->runner);
    sx_model_unref(bed->model);
}

static struct sx_sequence whole(const int32_t *ids, size_t n)
{
    return (struct sx_sequence){.ids = ids, .n = n, .embed_scale = NAN};
}

static void note_first(void *context, const struct sx_scan_result *result, const size_t *cells,
                       size_t n)
{
    double *first = context;
    (void)result;
    (void)cells;
    (void)n;
    if (*first == 0)
        *first = now();
}

static double time_scan(const struct bed *bed, enum sx_site site, bool all_tokens, double *first)
{
    const struct sx_grid_request request = {
        .site = site,
        .how = SX_HOW_PATCH,
        .metric = sx_metric_of_model(bed->info, SX_METRIC_CENTRED, 20, -1),
        .base = whole(bed->corrupt, bed->n),
        .token = bed->token,
        .all_tokens = all_tokens,
        .source = whole(bed->clean, bed->n),
        .source_token = SIZE_MAX};
    struct sx_scan_result result;
    struct sx_error err = {0};
    double when = 0;
    const double start = now();
    must(sx_grid_run(bed->runner, &request, &result, note_first, &when, NULL, &err), &err);
    const double seconds = now() - start;
    *first = when - start;
    sx_scan_result_release(&result);
    return seconds;
}

/* As many whole passes as the scan has cells, one change each. */
static double time_passes(const struct bed *bed, enum sx_point point, size_t cells)
{
    const uint32_t row = (uint32_t)bed->token;
    const size_t D = (size_t)bed->info->d_model, L = (size_t)bed->info->n_layers;
    float *values = sx_xcalloc(bed->n, D * sizeof *values);
    float *logits = sx_xcalloc((size_t)bed->info->vocab, sizeof *logits);
    struct sx_sequence sequence = whole(bed->corrupt, bed->n);
    struct sx_error err = {0};
    sequence.rows = &row;
    sequence.n_rows = 1;
    const double start = now();
    for (size_t i = 0; i < TIMED; i++) {
        const uint32_t layer = (uint32_t)(i * L / TIMED);
        const uint32_t at = (uint32_t)(i % (point == SX_POINT_CTX ? bed->info->n_heads : bed->n));
        struct sx_intervention iv = {.point = point,
                                     .layers = {&layer, 1},
                                     .band = -1,
                                     .action = SX_DO_REPLACE,
                                     .factor = 1,
                                     .values = values,
                                     .token_stride = D};
        if (point == SX_POINT_CTX)
            iv.heads = (struct sx_choice){&at, 1};
        else
            iv.tokens = (struct sx_choice){&at, 1};
        const struct sx_pass pass = {.sequences = &sequence,
                                     .n_sequences = 1,
                                     .hooks = {.interventions = &iv, .n_interventions = 1},
                                     .logits = logits};
        must(sx_run_pass(bed->runner, &pass, NULL, &err), &err);
    }
    const double seconds = (now() - start) * (double)cells / TIMED;
    sx_free(values);
    sx_free(logits);
    return seconds;
}

static double least(double a, double b)
{
    return a == 0 || b < a ? b : a;
}

static void compare(const struct bed *bed, const char *title, enum sx_site site, bool all_tokens,
                    enum sx_point point, size_t cells)
{
    double scan = 0, passes = 0, first = 0, soon;
    for (int round = 0; round < ROUNDS; round++) {
        scan = least(scan, time_scan(bed, site, all_tokens, &soon));
        first = least(first, soon);
        passes = least(passes, time_passes(bed, point, cells));
    }
    printf("%-34s %4zu cells: scan %7.3f s, first cells after %.3f s; whole passes %7.3f s; "
           "%.2fx\n",
           title, cells, scan, first, passes, passes / scan);
}

static int time_only(int argc, char **argv)
{
    struct bed bed;
    double best = 0, first;
    if (argc < 5)
        return 2;
    const size_t n = (size_t)atoi(argv[4]);
    if (n < 3 || n > MOST_TOKENS)
        return 2;
    const bool heads = strcmp(argv[2], "heads") == 0;
    open_bed(&bed, argv[3], n, argc > 5 ? atoi(argv[5]) : 2);
    for (int round = 0; round < 3; round++)
        best = least(best, time_scan(&bed, heads ? SX_SITE_HEAD : SX_SITE_RESID, true, &first));
    printf("%.6f\n", best);
    close_bed(&bed);
    return 0;
}

int main(int argc, char **argv)
{
    const struct tiny_shape shape = {SX_MODEL_ESM2, 6, 320, 20, 1280, 33, 0};
    char folder[] = "/tmp/sextant-bench-XXXXXX";
    struct bed bed;
    if (argc > 1 && strcmp(argv[1], "--time") == 0)
        return time_only(argc, argv);
    const int threads = argc > 1 ? atoi(argv[1]) : 2;
    sx_blas_set_threads(threads);
    struct tiny_model m = tiny_random(shape, 1);
    if (!mkdtemp(folder))
        return 1;
    tiny_write(&m, folder, NULL);
    tiny_release(&m);
    open_bed(&bed, folder, TOKENS, threads);
    double first;
    (void)time_scan(&bed, SX_SITE_HEAD, true, &first); /* packs the weights */
    printf("%d threads, T = %d; first scan of a fresh model: first cells after %.3f s\n", threads,
           TOKENS, first);
    compare(&bed, "heads, every token", SX_SITE_HEAD, true, SX_POINT_CTX, 120);
    compare(&bed, "heads, one token", SX_SITE_HEAD, false, SX_POINT_CTX, 120);
    compare(&bed, "layer x token", SX_SITE_RESID, true, SX_POINT_RESID_PRE, (size_t)7 * TOKENS);
    close_bed(&bed);
    tiny_remove(folder);
    return 0;
}
