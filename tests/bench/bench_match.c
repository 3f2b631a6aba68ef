/* Exact matching of planted dictionaries: one line a case.
 *
 *   bench_match [ROWS,COLUMNS[,collapsed]…]   own data; default 1568,784,collapsed 10240,320
 *                                             16384,512 32768,512
 *   bench_match --files A B OUT ROWS COLUMNS  raw float32 rows in, int32 partners out
 *
 * Half of the rows of B are noisy copies of rows of A, the others are unrelated.
 * Collapsed: two thirds of the rows of both are single columns, the rest of them decayed to nearly
 * nothing, as in decoders most of whose latents died. gemm_x is the time
 * as a multiple of one all-pairs product at the product rate measured in the same run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/rng.h"
#include "sextant/core/assignment.h"
#include "sextant/core/blas.h"

static double gemm_rate(size_t d)
{
    enum { SIDE = 2048 };
    float *a = sx_calloc_big(SIDE, d * sizeof *a), *c = sx_alloc_big(SIDE, SIDE * sizeof *c);
    double best = 0;
    for (int i = 0; a && c && i < 8; i++) {
        double start = sx_clock();
        sx_gemm(false, true, SIDE, SIDE, d, 1.0F, a, d, a, d, 0.0F, c, SIDE);
        double rate = 2.0 * SIDE * SIDE * (double)d / (sx_clock() - start);
        best = rate > best ? rate : best;
    }
    sx_free(a);
    sx_free(c);
    return best;
}

static void plant(float *a, float *b, size_t n, size_t d)
{
    struct sx_rng rng = sx_rng_make(1, n);
    for (size_t i = 0; i < n * d; i++)
        a[i] = (float)sx_rng_normal(&rng);
    for (size_t i = 0; i < n * d; i++) {
        float noise = (float)sx_rng_normal(&rng);
        b[i] = i < n / 2 * d ? a[i] + 0.2F * noise : noise;
    }
}

static void collapse(float *x, size_t n, size_t d, uint64_t seed)
{
    struct sx_rng rng = sx_rng_make(2, seed);
    for (size_t i = 0; i < n * 2 / 3; i++) {
        for (size_t t = 0; t < d; t++)
            x[i * d + t] *= 1e-20F;
        x[i * d + sx_rng_below(&rng, (uint32_t)(d / 2))] = 1;
    }
}

/* Peak resident memory in MiB. Not getrusage: that figure outlives exec. */
static long peak_mb(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    long kb = 0;
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return kb / 1024;
}

static int report(const float *a, const float *b, size_t n, size_t d, const char *partners)
{
    struct sx_assignment x;
    struct sx_error err = {0};
    double rate = gemm_rate(d), start = sx_clock();
    if (sx_assign_cosine(a, n, b, n, d, NULL, NULL, &x, &err) != SX_OK) {
        fprintf(stderr, "bench_match: %s\n", err.message);
        return 1;
    }
    double seconds = sx_clock() - start;
    const struct sx_certificate *cert = &x.certificate;
    printf("match %zux%zu seconds=%.3f gemm_x=%.2f gemm_gflops=%.0f primal=%.6f gap=%.3g "
           "violation=%.3g rounds=%u priced=%.4f rss_mb=%ld threads=%d\n",
           n, d, seconds, seconds / (2.0 * (double)n * (double)n * (double)d / rate), rate / 1e9,
           cert->primal, cert->gap, cert->max_violation, cert->rounds,
           (double)cert->pairs_priced / ((double)n * (double)n), peak_mb(), sx_blas_threads());
    int failed = 0;
    if (partners) {
        FILE *f = fopen(partners, "wb");
        failed = !f || fwrite(x.col_of_row, sizeof *x.col_of_row, n, f) != n;
        if (f)
            fclose(f);
    }
    sx_assignment_release(&x);
    return failed;
}

static int read_rows(const char *path, float *x, size_t count)
{
    FILE *f = fopen(path, "rb");
    int failed = !f || fread(x, sizeof *x, count, f) != count;
    if (f)
        fclose(f);
    return failed;
}

static int run_case(size_t n, size_t d, bool is_collapsed, char **files)
{
    float *a = sx_alloc_big(n, d * sizeof *a), *b = sx_alloc_big(n, d * sizeof *b);
    int failed = !a || !b;
    if (!failed && files)
        failed = read_rows(files[0], a, n * d) || read_rows(files[1], b, n * d);
    else if (!failed)
        plant(a, b, n, d);
    if (!failed && is_collapsed) {
        collapse(a, n, d, 1);
        collapse(b, n, d, 2);
    }
    if (!failed)
        failed = report(a, b, n, d, files ? files[2] : NULL);
    sx_free(a);
    sx_free(b);
    return failed;
}

int main(int argc, char **argv)
{
    static char defaults[][24] = {"1568,784,collapsed", "10240,320", "16384,512", "32768,512"};
    if (argc == 7 && strcmp(argv[1], "--files") == 0)
        return run_case(strtoul(argv[5], NULL, 10), strtoul(argv[6], NULL, 10), false, argv + 2);
    int n_cases = argc > 1 ? argc - 1 : 4, failed = 0;
    for (int i = 0; i < n_cases; i++) {
        char *end = NULL;
        size_t n = strtoul(argc > 1 ? argv[i + 1] : defaults[i], &end, 10);
        size_t d = *end == ',' ? strtoul(end + 1, &end, 10) : 0;
        bool is_collapsed = strcmp(end, ",collapsed") == 0;
        failed |= n && d ? run_case(n, d, is_collapsed, NULL) : 1;
    }
    return failed;
}
