/* Small dense linear algebra in double, plain loops: for decompositions, where exactness counts and
 * matrices are a few hundred wide. Row-major; a leading dimension as in blas.h. */
#ifndef SEXTANT_CORE_DENSE_H
#define SEXTANT_CORE_DENSE_H

#include <stddef.h>

/* y[m] = W x for stored float32 W [m,n] of leading dimension ld, x [n]. */
void sx_matvec_f64(const float *w, size_t ld, size_t m, size_t n, const double *x, double *y);
/* y[n] = W^T x, x [m]. */
void sx_matvec_t_f64(const float *w, size_t ld, size_t m, size_t n, const double *x, double *y);

/* Singular values of A [m,n], m >= n, descending, out [n]; a is overwritten. One-sided Jacobi
 * rotations (Hestenes 1958; Demmel & Veselić 1992: small values come out with high relative
 * accuracy). */
void sx_singular_values(double *a, size_t m, size_t n, double *out);
/* R [n,n] (upper triangle, rest zero) of A = Q R, A [m,n], m >= n, by Householder reflections; a is
 * overwritten. */
void sx_qr_r(double *a, size_t m, size_t n, double *r);

#endif
