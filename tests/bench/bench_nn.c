/* Kernels of the forward pass, one thread, in one run:
 *   bench_nn [avx512|avx2|baseline] [rounds]
 * Attention as a share of the rate at which the BLAS library multiplies (same flops), rows as a
 * share of the time of an ESM2-8M layer's products and in cycles of one element's time, products
 * with few rows as a share of the bandwidth at which memory is read. Rounds alternate between a
 * kernel and its measure, and the median of their ratios is printed, so that what else the machine
 * does falls on both. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../src/core/nn_kernels.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/core/blas.h"
#include "sextant/core/nn.h"

enum { MOST_ROUNDS = 101, T = 1022, LARGE = 50 << 20 };
static size_t rounds = 15;

static float *filled(size_t n, uint64_t stream)
{
    float *p = sx_alloc_big(n, sizeof *p);
    if (!p)
        abort();
    struct sx_rng rng = sx_rng_make(7, stream);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)sx_rng_normal(&rng);
    return p;
}

/* Processor time: what else the machine runs does not count, unless it takes the caches. */
static double worked(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

static double median(double *values)
{
    qsort(values, rounds, sizeof *values, by_value);
    return values[rounds / 2];
}

struct work {
    void (*run)(void *ctx);
    void *ctx;
    double amount; /* flops or bytes */
};

/* Median over the rounds of (amount/s of a) / (amount/s of b), and the medians themselves. */
static double against(struct work a, struct work b, double *rate_a, double *rate_b)
{
    double ratio[MOST_ROUNDS], ra[MOST_ROUNDS], rb[MOST_ROUNDS];
    a.run(a.ctx);
    b.run(b.ctx);
    for (size_t i = 0; i < rounds; i++) {
        double t0 = worked();
        a.run(a.ctx);
        double t1 = worked();
        b.run(b.ctx);
        double t2 = worked();
        ra[i] = a.amount / (t1 - t0);
        rb[i] = b.amount / (t2 - t1);
        ratio[i] = ra[i] / rb[i];
    }
    *rate_a = median(ra);
    *rate_b = median(rb);
    return median(ratio);
}

/* ---- the measures ---- */

struct product {
    float *x, *w, *y;
    size_t m, n, k;
};

static void multiply(void *ctx)
{
    struct product *p = ctx;
    sx_gemm(false, true, p->m, p->n, p->k, 1, p->x, p->k, p->w, p->k, 0, p->y, p->n);
}

struct reading {
    const float *from;
    size_t n;
    size_t places; /* read from so many at once */
    float sum;
};

typedef float lanes __attribute__((vector_size(64)));

static void read_all(void *ctx)
{
    struct reading *r = ctx;
    lanes sum[4] = {0};
    size_t part = r->n / r->places;
    for (size_t i = 0; i + 16 <= part; i += 16)
        for (size_t l = 0; l < r->places; l++) {
            lanes v;
            memcpy(&v, r->from + l * part + i, sizeof v);
            __builtin_prefetch(r->from + l * part + i + 256);
            sum[l] += v;
        }
    lanes total = sum[0] + sum[1] + sum[2] + sum[3];
    r->sum = total[0];
}

/* ---- attention ---- */

static void attend(void *ctx)
{
    sx_attention_head(ctx);
}

static void bench_attention(struct work products, size_t n_q, size_t n_k, size_t d, int64_t causal)
{
    size_t ldk = (n_k + 15) / 16 * 16;
    float *q = filled(n_q * d, 1), *k = filled(n_k * d, 2), *v = filled(n_k * d, 3);
    float *kt = filled(d * ldk, 4), *out = filled(n_q * d, 5), *pattern = filled(n_q * ldk, 6);
    float *scratch = filled(sx_attention_scratch(n_k), 7);
    sx_attention_keys(k, d, n_k, d, kt, ldk, 0);
    struct sx_attention_head head = {.n_q = n_q,
                                     .n_k = n_k,
                                     .d = d,
                                     .q = q,
                                     .ldq = d,
                                     .kt = kt,
                                     .ldk = ldk,
                                     .v = v,
                                     .ldv = d,
                                     .scale = 1 / sqrtf((float)d),
                                     .causal = causal,
                                     .out = out,
                                     .ldo = d,
                                     .scratch = scratch};
    double flops = 4 * (double)n_q * (double)n_k * (double)d / (causal == INT64_MAX ? 1 : 2);
    struct work plain = {attend, &head, flops};
    double rate, gemm, ratio = against(plain, products, &rate, &gemm);
    printf("attention %4zu x %4zu, d %3zu%s  %6.1f GF/s, products %6.1f GF/s: %.3f", n_q, n_k, d,
           causal == INT64_MAX ? "       " : " causal", rate * 1e-9, gemm * 1e-9, ratio);
    struct sx_attention_head keeping = head;
    keeping.pattern = pattern;
    keeping.ldp = n_k;
    struct work kept = {attend, &keeping, flops};
    ratio = against(plain, kept, &rate, &gemm);
    printf("   pattern kept: %.2f x the time", ratio);
    keeping.ldp = ldk;
    ratio = against(plain, kept, &rate, &gemm);
    printf(", rows of %zu: %.2f\n", ldk, ratio);
    float *all[] = {q, k, v, kt, out, pattern, scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sx_free(all[i]);
}

/* ---- rows of ESM2-8M, as many as stay in the second-level cache ---- */

enum { WIDTH = 320, INNER = 1280, HEADS = 20, ROWS = 128, REPEATS = 16 };
static float *hidden, *normed, *inner, *unchanged, *row, *cosine, *sine, *kt;

static void layernorm(void *ctx)
{
    (void)ctx;
    sx_layernorm_rows(hidden, WIDTH, row, row, 1e-5F, ROWS, WIDTH, normed, WIDTH, NULL);
}

static void gelu(void *ctx)
{
    (void)ctx;
    memcpy(inner, unchanged, sizeof(float) * ROWS * INNER);
    sx_activate(SX_ACT_GELU, inner, (size_t)ROWS * INNER);
}

static void gelu_tanh(void *ctx)
{
    (void)ctx;
    memcpy(inner, unchanged, sizeof(float) * ROWS * INNER);
    sx_activate(SX_ACT_GELU_TANH, inner, (size_t)ROWS * INNER);
}

static void rotation(void *ctx)
{
    (void)ctx;
    sx_rotate_rows(hidden, WIDTH, ROWS, HEADS, 16, 8, cosine, sine);
}

static void residual(void *ctx)
{
    (void)ctx;
    sx_add_rows(normed, WIDTH, hidden, WIDTH, ROWS, WIDTH);
}

static void bias(void *ctx)
{
    (void)ctx;
    sx_add_row(inner, row, ROWS, INNER, INNER);
}

static void keys(void *ctx)
{
    (void)ctx;
    for (size_t h = 0; h < HEADS; h++)
        sx_attention_keys(hidden + 16 * h, WIDTH, ROWS, 16, kt, ROWS, 0);
}

/* Several times over, so that rows come from the cache as they do behind a product. */
static void repeat(void *ctx)
{
    void (**kernel)(void *) = ctx;
    for (int i = 0; i < REPEATS; i++)
        (*kernel)(NULL);
}

static void bench_rows(struct work products)
{
    static const struct {
        const char *name;
        void (*run)(void *);
        double elements;
    } kernels[] = {{"layernorm", layernorm, (double)ROWS * WIDTH},
                   {"gelu and a copy", gelu, (double)ROWS * INNER},
                   {"gelu tanh, copy", gelu_tanh, (double)ROWS * INNER},
                   {"rotation, 8 bands", rotation, (double)ROWS * WIDTH},
                   {"residual", residual, (double)ROWS * WIDTH},
                   {"bias", bias, (double)ROWS * INNER},
                   {"keys transposed", keys, (double)ROWS * WIDTH}};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        double rate, gemm;
        void (*run)(void *) = kernels[i].run;
        struct work kernel = {repeat, &run, REPEATS * kernels[i].elements};
        against(kernel, products, &rate, &gemm);
        double layer = 2.0 * ROWS * (4.0 * WIDTH * WIDTH + 2.0 * WIDTH * INNER);
        printf("%-18s %6.3f ns an element, in the time of %5.0f flops of a product; %.4f of the "
               "products of a layer\n",
               kernels[i].name, 1e9 / rate, gemm / rate, kernels[i].elements / rate * gemm / layer);
    }
}

/* ---- few rows ---- */

struct few {
    enum sx_storage storage;
    const void *w;
    size_t in, out, rows;
    float *x, *y;
};

static void few_rows(void *ctx)
{
    struct few *f = ctx;
    sx_linear_few(f->storage, f->w, f->in, 0, f->out, NULL, f->x, f->in, f->rows, f->y, f->out);
}

static void bench_few(float *large)
{
    static const size_t ins[] = {320, 512, 1280, 2048, 5120};
    static const char *const names[] = {"F32", "F16", "BF16"};
    float *x = filled(SX_FEW_ROWS * 5120, 8), *y = filled((size_t)SX_FEW_ROWS * LARGE / 160, 9);
    struct reading straight = {large, LARGE, 1, 0}, four = {large, LARGE, 4, 0};
    struct work one_place = {read_all, &straight, 4.0 * LARGE};
    struct work measure = {read_all, &four, 4.0 * LARGE};
    double bandwidth_one, bandwidth_four,
        places = against(measure, one_place, &bandwidth_four, &bandwidth_one);
    printf("reading 200 MB: straight on %.1f GB/s, from four places %.1f GB/s; the faster counts\n",
           bandwidth_one * 1e-9, bandwidth_four * 1e-9);
    if (places < 1)
        measure = one_place;
    for (int storage = SX_STORE_F32; storage <= SX_STORE_BF16; storage++)
        for (size_t i = 0; i < sizeof ins / sizeof *ins; i++) {
            printf("few rows %-4s in %4zu ", names[storage], ins[i]);
            for (size_t rows = 1; rows <= 8; rows *= 2) {
                size_t size = sx_storage_size((enum sx_storage)storage);
                size_t out = 4UL * LARGE / size / ins[i];
                struct few few = {(enum sx_storage)storage, large, ins[i], out, rows, x, y};
                struct work kernel = {few_rows, &few, (double)(out * ins[i] * size)};
                double rate, bandwidth, ratio = against(kernel, measure, &rate, &bandwidth);
                printf("  %zu: %5.1f of %5.1f GB/s %.3f", rows, rate * 1e-9, bandwidth * 1e-9,
                       ratio);
            }
            printf("\n");
            fflush(stdout);
        }
    sx_free(x);
    sx_free(y);
}

int main(int argc, char **argv)
{
    const char *set = sx_nn_use(0);
    for (size_t i = 0; argc > 1 && i < sx_nn_count(); i++) {
        set = sx_nn_use(i);
        if (strcmp(set, argv[1]) == 0)
            break;
    }
    if (argc > 2)
        rounds = (size_t)atoi(argv[2]);
    rounds = rounds < 1 ? 1 : rounds > MOST_ROUNDS ? MOST_ROUNDS : rounds;
    sx_blas_set_threads(1);
    struct sx_blas_info info;
    sx_blas_describe(&info);
    printf("%s, products by %s %s, one thread, median of %zu rounds\n", set, info.library,
           info.core, rounds);
    struct product layer = {
        filled(T * INNER, 1), filled(INNER * WIDTH, 2), filled(T * INNER, 3), T, INNER, WIDTH};
    struct work products = {multiply, &layer, 2.0 * T * INNER * WIDTH};
    bench_attention(products, T, T, 16, INT64_MAX);
    bench_attention(products, 256, 256, 16, INT64_MAX);
    bench_attention(products, T, T, 24, INT64_MAX);
    bench_attention(products, T, T, 32, INT64_MAX);
    bench_attention(products, T, T, 64, INT64_MAX);
    bench_attention(products, 512, 512, 64, 0);
    bench_attention(products, 1, T, 64, INT64_MAX);
    hidden = filled((size_t)T * WIDTH, 1), normed = filled((size_t)T * WIDTH, 2);
    inner = filled((size_t)T * INNER, 3), row = filled(INNER, 4), kt = filled(16 * 1024, 5);
    cosine = filled(T * 8, 6), sine = filled(T * 8, 7);
    for (size_t i = 0; i < T * 8; i++) {
        float angle = cosine[i];
        cosine[i] = cosf(angle);
        sine[i] = sinf(angle);
    }
    unchanged = filled((size_t)T * INNER, 3);
    bench_rows(products);
    /* Every half of a word is an ordinary number in all three forms: subnormal ones cost more. */
    float *large = filled(LARGE, 10);
    for (size_t i = 0; i < LARGE; i++) {
        uint16_t halves[2];
        memcpy(halves, large + i, 4);
        for (int k = 0; k < 2; k++)
            halves[k] = (uint16_t)(0x3C00 | (halves[k] & 0x83FF));
        memcpy(large + i, halves, 4);
    }
    bench_few(large);
    float *all[] = {layer.x, layer.w, layer.y, unchanged, hidden, normed,
                    inner,   row,     cosine,  sine,      kt,     large};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sx_free(all[i]);
    return 0;
}
