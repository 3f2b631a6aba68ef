#include "sextant/core/blas.h"

#include <cblas.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* A block of this many floating-point operations takes 0.02 s on two fast cores and still less
 * than 0.1 s on one slow one. Fewer rows than MIN_ROWS would fall off the library's fast path. */
#define BLOCK_FLOPS 4e9
#define MIN_ROWS 32

static int to_int(size_t n)
{
    SX_ASSERT(n <= INT_MAX);
    return (int)n;
}

static CBLAS_TRANSPOSE op(bool transposed)
{
    return transposed ? CblasTrans : CblasNoTrans;
}

void sx_gemm(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha, const float *a,
             size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    if (m == 0 || n == 0)
        return;
    SX_ASSERT(lda >= (trans_a ? m : k) && ldb >= (trans_b ? k : n) && ldc >= n);
    /* The library insists on leading dimensions of at least 1, also for k == 0. */
    cblas_sgemm(CblasRowMajor, op(trans_a), op(trans_b), to_int(m), to_int(n), to_int(k), alpha, a,
                to_int(lda ? lda : 1), b, to_int(ldb ? ldb : 1), beta, c, to_int(ldc));
}

void sx_gemm_f64(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, double alpha,
                 const double *a, size_t lda, const double *b, size_t ldb, double beta, double *c,
                 size_t ldc)
{
    if (m == 0 || n == 0)
        return;
    SX_ASSERT(lda >= (trans_a ? m : k) && ldb >= (trans_b ? k : n) && ldc >= n);
    cblas_dgemm(CblasRowMajor, op(trans_a), op(trans_b), to_int(m), to_int(n), to_int(k), alpha, a,
                to_int(lda ? lda : 1), b, to_int(ldb ? ldb : 1), beta, c, to_int(ldc));
}

enum sx_status sx_gemm_task(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha,
                            const float *a, size_t lda, const float *b, size_t ldb, float beta,
                            float *c, size_t ldc, const struct sx_task *task)
{
    double row_flops = 2.0 * (double)n * (double)(k ? k : 1);
    double fit = BLOCK_FLOPS / (row_flops > 1 ? row_flops : 1);
    size_t block = fit >= (double)m ? m : fit < MIN_ROWS ? MIN_ROWS : (size_t)fit;
    for (size_t i = 0; i < m; i += block) {
        if (sx_task_is_cancelled(task))
            return SX_CANCELLED;
        size_t rows = m - i < block ? m - i : block;
        sx_gemm(trans_a, trans_b, rows, n, k, alpha, a + (trans_a ? i : i * lda), lda, b, ldb, beta,
                c + i * ldc, ldc);
    }
    return sx_task_is_cancelled(task) ? SX_CANCELLED : SX_OK;
}

void sx_gemv(bool trans_a, size_t m, size_t n, float alpha, const float *a, size_t lda,
             const float *x, float beta, float *y)
{
    if (m == 0 || n == 0) {
        for (size_t i = 0, len = trans_a ? n : m; i < len; i++)
            y[i] = beta == 0.0F ? 0.0F : beta * y[i];
        return;
    }
    SX_ASSERT(lda >= n);
    cblas_sgemv(CblasRowMajor, op(trans_a), to_int(m), to_int(n), alpha, a, to_int(lda), x, 1, beta,
                y, 1);
}

float sx_dot(size_t n, const float *x, const float *y)
{
    return cblas_sdot(to_int(n), x, 1, y, 1);
}

void sx_blas_set_threads(int threads)
{
    if (threads <= 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        threads = cores > 0 ? (int)cores : 1;
    }
    openblas_set_num_threads(threads);
}

int sx_blas_threads(void)
{
    return openblas_get_num_threads();
}

void sx_blas_describe(struct sx_blas_info *info)
{
    /* The configuration string reads "OpenBLAS 0.3.21 options … threads"; two words name it. */
    const char *config = openblas_get_config();
    int len = 0;
    for (int words = 0; config[len] && words < 2; len++)
        words += config[len + 1] == ' ';
    snprintf(info->library, sizeof info->library, "%.*s", len, config);
    snprintf(info->core, sizeof info->core, "%s", openblas_get_corename());
    info->threads = openblas_get_num_threads();
}
