/* Training step of a ReLU SAE against its five matrix products, in one run:
 *   bench_train [threads] [B D F]
 * Prints each product, each elementwise kernel, and the whole step as a ratio to the five products.
 * The products are timed in two ways, by the BLAS library's own threads and as the gang splits
 * them; the ratio is to the faster. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/rng.h"
#include "sextant/core/blas.h"
#include "sextant/core/gang.h"
#include "sextant/core/kernels.h"
#include "sextant/sae/train_step.h"

enum { ROUNDS = 40 };

static size_t B = 512, D = 784, F = 1568;
static float *x, *z, *g, *dz, *w_enc, *w_dec, *grad, *m, *v;

static float *filled(size_t n, uint64_t stream)
{
    float *p = sx_alloc_big(n, sizeof *p);
    if (!p)
        abort();
    struct sx_rng rng = sx_rng_make(7, stream);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(sx_rng_uniform(&rng) - 0.5);
    return p;
}

/* Product `which` over the part [a,b) of its split dimension. */
static void product(int which, size_t a, size_t b)
{
    size_t n = b - a;
    switch (which) {
    case 0:
        sx_gemm(false, true, n, F, D, 1, x + a * D, D, w_enc, D, 0, z + a * F, F);
        break;
    case 1:
        sx_gemm(false, false, n, D, F, 1, z + a * F, F, w_dec, D, 0, g + a * D, D);
        break;
    case 2:
        sx_gemm(false, true, n, F, D, 1, g + a * D, D, w_dec, D, 0, dz + a * F, F);
        break;
    case 3:
        sx_gemm(true, false, n, D, B, 1, z + a, F, g, D, 0, grad + a * D, D);
        break;
    default:
        sx_gemm(true, false, n, D, B, 1, dz + a, F, x, D, 0, grad + a * D, D);
    }
}

static size_t split_of(int which)
{
    return which < 3 ? B : F;
}

static void product_member(void *arg, struct sx_gang *gang, int member)
{
    size_t a, b;
    int which = *(int *)arg;
    sx_gang_share(gang, member, split_of(which), &a, &b);
    product(which, a, b);
}

static struct sx_adam adam;

static void kernel(int which, size_t a, size_t b, size_t c, size_t d)
{
    static float peak[SX_GANG_MAX][65536];
    double sum = 0;
    uint64_t count = 0;
    float *mine = peak[a * SX_GANG_MAX / B];
    switch (which) {
    case 0:
        sx_relu_rows(z + a * F, w_enc, b - a, F, mine, &sum, &count);
        break;
    case 1:
        sx_residual_rows(g + a * D, x + a * D, b - a, D, 1, mine, &sum);
        break;
    case 2:
        sx_relu_backward(dz + a * F, z + a * F, (b - a) * F, 1e-7F);
        break;
    case 3:
        sx_column_sums(dz + c, B, d - c, F, mine);
        break;
    case 4:
        for (size_t j = c; j < d; j++)
            sum +=
                sx_adam_update(&adam, w_enc + j * D, m + j * D, v + j * D, grad + (j % 128) * D, D);
        break;
    default:
        for (size_t j = c; j < d; j++)
            sx_unit_row(w_dec + j * D, D, 1.0);
    }
}

static void kernel_member(void *arg, struct sx_gang *gang, int member)
{
    size_t a, b, c, d;
    sx_gang_share(gang, member, B, &a, &b);
    sx_gang_share(gang, member, F, &c, &d);
    kernel(*(int *)arg, a, b, c, d);
}

static double best_of(double best, double start)
{
    double t = sx_clock() - start;
    return t < best ? t : best;
}

static const char *const product_names[] = {"z = x W_enc'", "x' = z W_dec", "dz = g W_dec'",
                                            "dW_dec = z' g", "dW_enc = dz' x"};
static const char *const kernel_names[] = {"relu, bias, sums", "residual, sums", "relu backward",
                                           "column sums",      "adam, penalty",  "renorm (rows)"};

static double time_products(struct sx_gang *gang, int threads)
{
    double library = 0, split = 0;
    for (int i = 0; i < 5; i++) {
        double best_library = INFINITY, best_split = INFINITY;
        sx_blas_set_threads(threads);
        for (int r = 0; r < ROUNDS; r++) {
            double start = sx_clock();
            product(i, 0, split_of(i));
            best_library = best_of(best_library, start);
        }
        sx_blas_set_threads(1);
        for (int r = 0; r < ROUNDS; r++) {
            double start = sx_clock();
            sx_gang_run(gang, product_member, &i);
            best_split = best_of(best_split, start);
        }
        double flops = 2.0 * (double)B * (double)D * (double)F;
        printf("%-18s library %6.2f ms %6.1f GF/s   split %6.2f ms %6.1f GF/s\n", product_names[i],
               best_library * 1e3, flops / best_library * 1e-9, best_split * 1e3,
               flops / best_split * 1e-9);
        library += best_library;
        split += best_split;
    }
    printf("%-18s library %6.2f ms               split %6.2f ms\n", "five products", library * 1e3,
           split * 1e3);
    return library < split ? library : split;
}

static void time_kernels(struct sx_gang *gang, double five)
{
    for (int i = 0; i < 6; i++) {
        double best = INFINITY;
        for (int r = 0; r < ROUNDS; r++) {
            double start = sx_clock();
            sx_gang_run(gang, kernel_member, &i);
            best = best_of(best, start);
        }
        printf("%-18s %6.3f ms  %5.3f of the five products\n", kernel_names[i], best * 1e3,
               best / five);
    }
}

static int by_value(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2];
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void five_members(void *arg, struct sx_gang *gang, int member)
{
    for (int i = 0; i < 5; i++) {
        product_member(&i, gang, member);
        sx_gang_barrier(gang);
    }
    (void)arg;
}

/* Each round times the five products and then the step, so that what else the machine does falls
 * on both. Processor time is what the two threads worked, waiting for the processor left out. */
static void time_step(struct sx_gang *gang, const char *name, const struct sx_train_rules *rules)
{
    struct sx_train_init init = {.tied = true, .unit_norm = true, .seed = 1};
    struct sx_train_state state;
    struct sx_train_workspace *ws;
    struct sx_train_loss loss;
    struct sx_error err;
    if (sx_train_state_new(D, F, &init, &state, &err) != SX_OK ||
        sx_train_workspace_new(D, F, B, gang, &ws, &err) != SX_OK)
        abort();
    double wall[ROUNDS], cpu[ROUNDS], worked_step[ROUNDS], best_five = INFINITY,
                                                           best_step = INFINITY;
    for (int r = 0; r < ROUNDS; r++) {
        double start = sx_clock(), worked = cpu_seconds();
        sx_gang_run(gang, five_members, NULL);
        double five = sx_clock() - start, five_worked = cpu_seconds() - worked;
        start = sx_clock();
        worked = cpu_seconds();
        sx_train_step(ws, rules, &state, x, B, &loss);
        double step = sx_clock() - start;
        worked_step[r] = cpu_seconds() - worked;
        cpu[r] = worked_step[r] / five_worked;
        wall[r] = step / five;
        best_five = five < best_five ? five : best_five;
        best_step = step < best_step ? step : best_step;
    }
    printf("step %-26s %6.2f ms, five products %6.2f ms: %.3f   median of rounds %.3f   processor "
           "%6.2f ms, %.3f\n",
           name, best_step * 1e3, best_five * 1e3, best_step / best_five, median(wall),
           median(worked_step) * 1e3, median(cpu));
    sx_train_workspace_free(ws);
    sx_train_state_release(&state);
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    if (argc == 5) {
        B = (size_t)atoi(argv[2]);
        D = (size_t)atoi(argv[3]);
        F = (size_t)atoi(argv[4]);
    }
    x = filled(B * D, 0), g = filled(B * D, 1), z = filled(B * F, 2), dz = filled(B * F, 3);
    w_enc = filled(F * D, 4), w_dec = filled(F * D, 5), grad = filled(F * D, 6);
    m = filled(F * D, 7), v = filled(F * D, 8);
    for (size_t i = 0; i < F * D; i++)
        v[i] = fabsf(v[i]);
    adam = sx_adam_at(1e-3, 0.9, 0.999, 1e-8, 10);
    adam.l2 = 2e-5F;

    struct sx_gang *gang = sx_gang_new(threads);
    struct sx_blas_info info;
    sx_blas_describe(&info);
    printf("B %zu, D %zu, F %zu, %d threads, %s %s\n", B, D, F, threads, info.library, info.core);
    double five = time_products(gang, threads);
    time_kernels(gang, five);
    struct sx_train_rules rules = {.b_enc = true,
                                   .b_dec = true,
                                   .penalty_enc = SX_PENALTY_L2,
                                   .penalty_dec = SX_PENALTY_L2,
                                   .lambda_enc = 1e-5,
                                   .lambda_dec = 1e-5,
                                   .l1_activation = 0.1,
                                   .constraint = SX_CONSTRAINT_NONE,
                                   .lr = 1e-3,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .eps = 1e-8};
    time_step(gang, "biases, l2", &rules);
    rules.constraint = SX_CONSTRAINT_RENORM;
    time_step(gang, "biases, l2, renorm", &rules);
    rules.constraint = SX_CONSTRAINT_RENORM_PROJECT;
    time_step(gang, "biases, l2, renorm+project", &rules);
    rules.constraint = SX_CONSTRAINT_NONE;
    rules.b_enc = rules.b_dec = false;
    time_step(gang, "no biases, l2", &rules);
    rules.penalty_enc = rules.penalty_dec = SX_PENALTY_L1;
    rules.lambda_enc = rules.lambda_dec = 1e-3;
    time_step(gang, "no biases, l1", &rules);
    sx_gang_free(gang);
    float *all[] = {x, g, z, dz, w_enc, w_dec, grad, m, v};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sx_free(all[i]);
    return 0;
}
