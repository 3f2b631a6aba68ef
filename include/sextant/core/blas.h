/* Dense matrix products: a thin front of the BLAS library, and the only one.
 *
 * Matrices are row-major float32. op(X) is X, or its transpose when the flag is set. A leading
 * dimension is the distance in elements between two stored rows (>= the stored row's length).
 * Sizes are 64-bit; one that does not fit the library's int is a programming error (SX_ASSERT):
 * readers bound their shapes before. Outputs must not overlap inputs.
 * The thread count is global to the process: one thread calls these functions at a time,
 * or, while the count is 1, any number (sextant/core/gang.h). */
#ifndef SEXTANT_CORE_BLAS_H
#define SEXTANT_CORE_BLAS_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/base/status.h"
#include "sextant/base/task.h"

/* C[m,n] = alpha * op(A)[m,k] op(B)[k,n] + beta * C. With beta == 0 the old C is not read. */
void sx_gemm(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha, const float *a,
             size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);

/* In double. */
void sx_gemm_f64(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, double alpha,
                 const double *a, size_t lda, const double *b, size_t ldb, double beta, double *c,
                 size_t ldc);

/* sx_gemm, cut into blocks of rows of C that take well under 0.1 s each, with a cancel point
 * between them. SX_CANCELLED leaves C half-written. Progress (*task's done and total) is left to
 * the caller, who knows how many products there are. */
enum sx_status sx_gemm_task(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha,
                            const float *a, size_t lda, const float *b, size_t ldb, float beta,
                            float *c, size_t ldc, const struct sx_task *task) SX_MUST_CHECK;

/* y = alpha * op(A) x + beta * y; A is [m,n] as stored, y has m entries (n when transposed). */
void sx_gemv(bool trans_a, size_t m, size_t n, float alpha, const float *a, size_t lda,
             const float *x, float beta, float *y);

float sx_dot(size_t n, const float *x, const float *y);

/* 0: as many threads as the machine has cores. */
void sx_blas_set_threads(int threads);
int sx_blas_threads(void);

struct sx_blas_info {
    char library[64]; /* name and version */
    char core[32];    /* the kernels that the library chose for this processor */
    int threads;
};
void sx_blas_describe(struct sx_blas_info *info);

#endif
