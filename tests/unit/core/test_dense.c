#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "sextant/base/rng.h"
#include "sextant/core/blas.h"
#include "sextant/core/dense.h"

#define CLOSE(actual, expected, tolerance)                                                         \
    cr_assert(fabs((actual) - (expected)) <= (tolerance), "%s is %.17g, not %.17g", #actual,       \
              (double)(actual), (double)(expected))

static void fill(double *x, size_t n, uint64_t seed)
{
    struct sx_rng rng = sx_rng_make(seed, 1);
    for (size_t i = 0; i < n; i++)
        x[i] = sx_rng_normal(&rng);
}

Test(dense, products_with_stored_weights)
{
    enum { M = 7, N = 11, LD = 13 };
    float w[M * LD];
    double x[N], y[M], back[N];
    struct sx_rng rng = sx_rng_make(3, 1);
    for (size_t i = 0; i < M * LD; i++)
        w[i] = (float)sx_rng_normal(&rng);
    fill(x, N, 5);
    sx_matvec_f64(w, LD, M, N, x, y);
    for (size_t i = 0; i < M; i++) {
        double sum = 0;
        for (size_t j = 0; j < N; j++)
            sum += (double)w[i * LD + j] * x[j];
        CLOSE(y[i], sum, 1e-14);
    }
    sx_matvec_t_f64(w, LD, M, N, y, back);
    for (size_t j = 0; j < N; j++) {
        double sum = 0;
        for (size_t i = 0; i < M; i++)
            sum += (double)w[i * LD + j] * y[i];
        CLOSE(back[j], sum, 1e-13);
    }
}

Test(dense, gemm_in_double)
{
    enum { M = 5, N = 4, K = 6 };
    double a[K * M], b[N * K], c[M * N];
    fill(a, K * M, 1);
    fill(b, N * K, 2);
    fill(c, M * N, 3);
    double old[M * N];
    memcpy(old, c, sizeof c);
    sx_gemm_f64(true, true, M, N, K, 2, a, M, b, K, -1, c, N);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            double sum = -old[i * N + j];
            for (size_t k = 0; k < K; k++)
                sum += 2 * a[k * M + i] * b[j * K + k];
            CLOSE(c[i * N + j], sum, 1e-13);
        }
}

Test(dense, singular_values_by_hand)
{
    /* A rotation of diag(3, 2) with a zero row; diag(0, 0); a matrix of rank 1. */
    const double c = cos(0.7), s = sin(0.7);
    double a[] = {3 * c, -2 * s, 3 * s, 2 * c, 0, 0};
    double zero[4] = {0};
    double one[] = {1, 2, 2, 4, 3, 6};
    double out[2];
    sx_singular_values(a, 3, 2, out);
    CLOSE(out[0], 3, 1e-14);
    CLOSE(out[1], 2, 1e-14);
    sx_singular_values(zero, 2, 2, out);
    cr_assert(out[0] == 0 && out[1] == 0);
    sx_singular_values(one, 3, 2, out);
    CLOSE(out[0], sqrt(70), 1e-14);
    CLOSE(out[1], 0, 1e-14);
}

/* Their squares' sum is that of all elements; the largest is the norm by power iteration. */
Test(dense, singular_values_of_a_random_matrix)
{
    enum { M = 40, N = 24 };
    double a[M * N], copy[M * N], out[N], v[N], u[M], norm = 0, squares = 0, all = 0;
    fill(a, M * N, 9);
    memcpy(copy, a, sizeof a);
    sx_singular_values(a, M, N, out);
    for (size_t i = 0; i < M * N; i++)
        all += copy[i] * copy[i];
    for (size_t i = 0; i < N; i++) {
        squares += out[i] * out[i];
        cr_assert(i == 0 || out[i] <= out[i - 1]);
    }
    CLOSE(squares, all, 1e-10);
    fill(v, N, 10);
    for (int step = 0; step < 3000; step++) {
        norm = 0;
        for (size_t i = 0; i < M; i++) {
            u[i] = 0;
            for (size_t j = 0; j < N; j++)
                u[i] += copy[i * N + j] * v[j];
        }
        for (size_t j = 0; j < N; j++) {
            v[j] = 0;
            for (size_t i = 0; i < M; i++)
                v[j] += copy[i * N + j] * u[i];
            norm += v[j] * v[j];
        }
        norm = sqrt(norm);
        for (size_t j = 0; j < N; j++)
            v[j] /= norm;
    }
    CLOSE(sqrt(norm), out[0], 1e-9);
}

/* R^T R = A^T A. */
Test(dense, r_of_a_qr)
{
    enum { M = 30, N = 6 };
    double a[M * N], copy[M * N], r[N * N];
    fill(a, M * N, 4);
    memcpy(copy, a, sizeof a);
    sx_qr_r(a, M, N, r);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            double left = 0, right = 0;
            for (size_t k = 0; k < N; k++)
                left += r[k * N + i] * r[k * N + j];
            for (size_t k = 0; k < M; k++)
                right += copy[k * N + i] * copy[k * N + j];
            CLOSE(left, right, 1e-12);
            cr_assert(j >= i || r[i * N + j] == 0);
        }
}
