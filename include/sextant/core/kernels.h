/* Elementwise kernels of training. Each passes over memory once; where a pass has the data at hand
 * it also takes the sums that the caller needs. Built for AVX-512, AVX2 and the baseline, chosen at
 * run time; without fused multiply-add, so that the three give the same bits. Sums of a row run in
 * 16 float lanes and are added up as double.
 *
 * Letters: rows and cols of a row-major matrix without gaps unless a leading dimension `ld` is
 * named. Pointers may be unaligned and must not overlap. */
#ifndef SEXTANT_CORE_KERNELS_H
#define SEXTANT_CORE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* z = max(z + bias, 0) in place; peak [cols] grows to the largest z of each
 * column; *sum += Σ z; *active += entries > 0. NaN becomes 0. */
void sx_relu_rows(float *z, const float *bias, size_t rows, size_t cols, float *peak, double *sum,
                  uint64_t *active);

/* dz = z > 0 ? dz + l1 : 0 in place: the gradient through the relu, with that of l1 * Σ z. */
void sx_relu_backward(float *dz, const float *z, size_t n, float l1);

/* e = scale * (e - x) in place; *sum_sq += Σ (e - x)^2 before scaling; col_sum [cols] += the column
 * sums of the result (NULL: not wanted). */
void sx_residual_rows(float *e, const float *x, size_t rows, size_t cols, float scale,
                      float *col_sum, double *sum_sq);

/* out = x - bias, row by row. */
void sx_subtract_row(float *out, const float *x, const float *bias, size_t rows, size_t cols);

/* out [cols] = sums over the rows of x, stored with leading dimension ld. */
void sx_column_sums(const float *x, size_t rows, size_t cols, size_t ld, float *out);

/* y += a * x */
void sx_axpy(size_t n, float a, const float *x, float *y);

double sx_sum_sq(const float *x, size_t n);
double sx_sum_abs(const float *x, size_t n);
double sx_dot_lanes(const float *x, const float *y, size_t n);
void sx_scale(float *x, size_t n, float factor);

/* g += l2 * w + l1 * sign(w), sign(0) = 0: gradient of a weight penalty. */
void sx_penalty_gradient(float *g, const float *w, size_t n, float l2, float l1);

/* One step of Adam (Kingma & Ba 2015, as torch.optim.Adam: the loss holds the penalty). */
struct sx_adam {
    float beta1, beta2, eps;
    float step_size;   /* lr / (1 - beta1^t) */
    float inv_sqrt_c2; /* 1 / sqrt(1 - beta2^t) */
    float l2, l1;      /* penalty gradient l2 * w + l1 * sign(w), added to g on the way */
};
struct sx_adam sx_adam_at(double lr, double beta1, double beta2, double eps, uint64_t t);

/* m = beta1 m + (1-beta1) g;  v = beta2 v + (1-beta2) g^2;
 * w -= step_size * m / (sqrt(v) * inv_sqrt_c2 + eps).  Returns Σ w^2 after the step. */
double sx_adam_update(const struct sx_adam *adam, float *w, float *m, float *v, const float *g,
                      size_t n);

/* x /= ‖x‖ + eps, eps = 2^-23, given sum_sq = Σ x^2; returns the new Σ x^2. */
double sx_unit_row(float *x, size_t n, double sum_sq);

/* Bytes to floats: out = in / divisor. */
void sx_bytes_to_float(float *out, const uint8_t *in, size_t n, float divisor);

/* Whether the calling thread treats denormals as zero. Decayed optimiser state would otherwise be
 * computed some hundred times slower. Returns the old setting; no effect on other processors than
 * x86-64. */
bool sx_flush_denormals(bool on);

#endif
