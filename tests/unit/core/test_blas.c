#include "sextant/core/blas.h"

#include <criterion/criterion.h>
#include <math.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"

/* Shapes: op(A) [M,K], op(B) [K,N]; leading dimensions are larger than the rows. */
enum { M = 7, N = 9, K = 5, LD = 12, CELLS = LD * LD };

static void fill(float *x, uint64_t stream)
{
    struct sx_rng rng = sx_rng_make(1, stream);
    for (int i = 0; i < CELLS; i++)
        x[i] = (float)sx_rng_normal(&rng);
}

static double reference(bool ta, bool tb, const float *a, const float *b, int i, int j)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += (double)(ta ? a[k * LD + i] : a[i * LD + k]) *
               (double)(tb ? b[j * LD + k] : b[k * LD + j]);
    return sum;
}

Test(blas, gemm_equals_the_plain_sum_for_every_transposition)
{
    float a[CELLS], b[CELLS], c[CELLS], old[CELLS];
    fill(a, 0);
    fill(b, 1);
    for (int flags = 0; flags < 4; flags++) {
        bool ta = flags & 1, tb = flags & 2;
        fill(c, 2);
        fill(old, 2);
        sx_gemm(ta, tb, M, N, K, 2.0F, a, LD, b, LD, 0.5F, c, LD);
        for (int i = 0; i < LD; i++)
            for (int j = 0; j < LD; j++) {
                double want = old[i * LD + j];
                if (i < M && j < N)
                    want = 2 * reference(ta, tb, a, b, i, j) + 0.5 * want;
                cr_assert_float_eq(c[i * LD + j], want, 1e-5, "flags %d at %d,%d", flags, i, j);
            }
    }
}

Test(blas, gemm_with_beta_zero_ignores_what_c_held)
{
    float a[CELLS], b[CELLS], c[CELLS];
    fill(a, 0);
    fill(b, 1);
    for (int i = 0; i < CELLS; i++)
        c[i] = NAN;
    sx_gemm(false, true, M, N, K, 1.0F, a, LD, b, LD, 0.0F, c, LD);
    cr_assert_float_eq(c[3], reference(false, true, a, b, 0, 3), 1e-5);
}

Test(blas, gemm_task_in_blocks_equals_one_product)
{
    /* 2*2000*2000*1100 operations: three blocks. */
    enum { ROWS = 2000, INNER = 1100 };
    float *a = sx_xmalloc(sizeof *a * ROWS * INNER);
    float *c = sx_xmalloc(sizeof *c * ROWS * ROWS), *d = sx_xmalloc(sizeof *d * ROWS * ROWS);
    struct sx_rng rng = sx_rng_make(3, 0);
    for (int i = 0; i < ROWS * INNER; i++)
        a[i] = (float)sx_rng_uniform(&rng);
    sx_gemm(false, true, ROWS, ROWS, INNER, 1.0F, a, INNER, a, INNER, 0.0F, c, ROWS);
    cr_assert_eq(
        sx_gemm_task(false, true, ROWS, ROWS, INNER, 1.0F, a, INNER, a, INNER, 0.0F, d, ROWS, NULL),
        SX_OK);
    for (size_t i = 0; i < (size_t)ROWS * ROWS; i++)
        cr_assert_float_eq(c[i], d[i], 1e-3 * INNER);
    /* A stored [INNER,ROWS], used transposed: blocks walk along its columns. */
    sx_gemm(true, false, ROWS, 10, INNER, 1.0F, a, ROWS, a, ROWS, 0.0F, c, 10);
    cr_assert_eq(
        sx_gemm_task(true, false, ROWS, 10, INNER, 1.0F, a, ROWS, a, ROWS, 0.0F, d, 10, NULL),
        SX_OK);
    for (size_t i = 0; i < (size_t)ROWS * 10; i++)
        cr_assert_float_eq(c[i], d[i], 1e-3 * INNER);
    sx_free(a);
    sx_free(c);
    sx_free(d);
}

Test(blas, gemm_task_stops_when_cancelled)
{
    struct sx_task task;
    sx_task_init(&task);
    sx_task_cancel(&task);
    float a = 2, b = 3, c = 5;
    cr_assert_eq(sx_gemm_task(false, false, 1, 1, 1, 1.0F, &a, 1, &b, 1, 0.0F, &c, 1, &task),
                 SX_CANCELLED);
    cr_assert_eq(c, 5.0F);
}

Test(blas, gemv_and_dot)
{
    float a[CELLS], x[LD], y[LD];
    fill(a, 0);
    for (int i = 0; i < LD; i++) {
        x[i] = (float)i + 1;
        y[i] = 1;
    }
    sx_gemv(false, M, N, 1.0F, a, LD, x, 2.0F, y);
    double want = 2;
    for (int j = 0; j < N; j++)
        want += (double)a[2 * LD + j] * (double)x[j];
    cr_assert_float_eq(y[2], want, 1e-4);
    sx_gemv(true, M, N, 1.0F, a, LD, x, 0.0F, y);
    want = 0;
    for (int i = 0; i < M; i++)
        want += (double)a[i * LD + 2] * (double)x[i];
    cr_assert_float_eq(y[2], want, 1e-4);
    cr_assert_float_eq(sx_dot(3, x, x), 14, 1e-6);
    sx_gemv(false, 2, 0, 1.0F, a, LD, x, 0.0F, y);
    cr_assert_eq(y[1], 0.0F);
}

Test(blas, describes_itself)
{
    struct sx_blas_info info;
    sx_blas_set_threads(1);
    sx_blas_describe(&info);
    cr_assert_eq(info.threads, 1);
    cr_assert_gt(strlen(info.library), 4);
    cr_assert_gt(strlen(info.core), 2);
    sx_blas_set_threads(0);
    cr_assert_geq(sx_blas_threads(), 1);
}
