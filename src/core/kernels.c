#include "sextant/core/kernels.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* Sanitizer builds run the baseline: the resolver of a clone would run before their start-up code.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KERNEL __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#elif defined(__GNUC__) && !defined(__clang__)
#define KERNEL __attribute__((optimize("O3")))
#else
#define KERNEL
#endif

/* Sums run in this many independent lanes: the order of additions is fixed whatever the vector
 * width. */
enum { LANES = 16 };

static double lanes_total(const float lanes[LANES])
{
    double total = 0;
    for (int l = 0; l < LANES; l++)
        total += (double)lanes[l];
    return total;
}

KERNEL
static void relu_row(float *restrict z, const float *restrict bias, size_t n, float *restrict peak)
{
    for (size_t i = 0; i < n; i++) {
        float y = z[i] + bias[i];
        y = y > 0 ? y : 0;
        z[i] = y;
        peak[i] = y > peak[i] ? y : peak[i];
    }
}

/* Sum of a row and, in floats that stay exact below 2^24, how many entries are above 0. */
KERNEL
static double count_row(const float *restrict z, size_t n, uint64_t *active)
{
    float sum[LANES] = {0}, count[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) {
            sum[l] += z[i + l];
            count[l] += (float)(z[i + l] > 0);
        }
    for (; i < n; i++) {
        sum[0] += z[i];
        count[0] += (float)(z[i] > 0);
    }
    *active += (uint64_t)lanes_total(count);
    return lanes_total(sum);
}

void sx_relu_rows(float *z, const float *bias, size_t rows, size_t cols, float *peak, double *sum,
                  uint64_t *active)
{
    /* The second pass finds the row in the first-level cache. */
    for (size_t r = 0; r < rows; r++) {
        relu_row(z + r * cols, bias, cols, peak);
        *sum += count_row(z + r * cols, cols, active);
    }
}

KERNEL
void sx_relu_backward(float *restrict dz, const float *restrict z, size_t n, float l1)
{
    for (size_t i = 0; i < n; i++)
        dz[i] = z[i] > 0 ? dz[i] + l1 : 0;
}

KERNEL
static double residual_row(float *restrict e, const float *restrict x, size_t n, float scale)
{
    float sum[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) {
            float y = e[i + l] - x[i + l];
            sum[l] += y * y;
            e[i + l] = scale * y;
        }
    for (; i < n; i++) {
        float y = e[i] - x[i];
        sum[0] += y * y;
        e[i] = scale * y;
    }
    return lanes_total(sum);
}

KERNEL
static void add_to(float *restrict y, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void sx_residual_rows(float *e, const float *x, size_t rows, size_t cols, float scale,
                      float *col_sum, double *sum_sq)
{
    for (size_t r = 0; r < rows; r++) {
        *sum_sq += residual_row(e + r * cols, x + r * cols, cols, scale);
        if (col_sum)
            add_to(col_sum, e + r * cols, cols);
    }
}

KERNEL
static void subtract(float *restrict out, const float *restrict x, const float *restrict y,
                     size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] - y[i];
}

void sx_subtract_row(float *out, const float *x, const float *bias, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        subtract(out + r * cols, x + r * cols, bias, cols);
}

void sx_column_sums(const float *x, size_t rows, size_t cols, size_t ld, float *out)
{
    memset(out, 0, cols * sizeof *out);
    for (size_t r = 0; r < rows; r++)
        add_to(out, x + r * ld, cols);
}

KERNEL
void sx_axpy(size_t n, float a, const float *restrict x, float *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

KERNEL
double sx_dot_lanes(const float *restrict x, const float *restrict y, size_t n)
{
    float sum[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            sum[l] += x[i + l] * y[i + l];
    for (; i < n; i++)
        sum[0] += x[i] * y[i];
    return lanes_total(sum);
}

double sx_sum_sq(const float *x, size_t n)
{
    return sx_dot_lanes(x, x, n);
}

KERNEL
double sx_sum_abs(const float *x, size_t n)
{
    float sum[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            sum[l] += fabsf(x[i + l]);
    for (; i < n; i++)
        sum[0] += fabsf(x[i]);
    return lanes_total(sum);
}

KERNEL
void sx_scale(float *x, size_t n, float factor)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}

KERNEL
void sx_penalty_gradient(float *restrict g, const float *restrict w, size_t n, float l2, float l1)
{
    for (size_t i = 0; i < n; i++)
        g[i] += l2 * w[i] + l1 * ((float)(w[i] > 0) - (float)(w[i] < 0));
}

struct sx_adam sx_adam_at(double lr, double beta1, double beta2, double eps, uint64_t t)
{
    return (struct sx_adam){
        .beta1 = (float)beta1,
        .beta2 = (float)beta2,
        .eps = (float)eps,
        .step_size = (float)(lr / (1 - pow(beta1, (double)t))),
        .inv_sqrt_c2 = (float)(1 / sqrt(1 - pow(beta2, (double)t))),
    };
}

KERNEL
static void adam_row(const struct sx_adam *adam, float *restrict w, float *restrict m,
                     float *restrict v, const float *restrict g, size_t n)
{
    const float b1 = adam->beta1, b2 = adam->beta2, c1 = 1 - b1, c2 = 1 - b2;
    const float step = adam->step_size, root = adam->inv_sqrt_c2, eps = adam->eps;
    const float l2 = adam->l2, l1 = adam->l1;
    for (size_t i = 0; i < n; i++) {
        float x = w[i];
        float d = g[i] + l2 * x + l1 * ((float)(x > 0) - (float)(x < 0));
        float mi = b1 * m[i] + c1 * d;
        float vi = b2 * v[i] + c2 * (d * d);
        m[i] = mi;
        v[i] = vi;
        w[i] = x - step * mi / (sqrtf(vi) * root + eps);
    }
}

double sx_adam_update(const struct sx_adam *adam, float *w, float *m, float *v, const float *g,
                      size_t n)
{
    /* The second pass finds the row in the first-level cache. */
    adam_row(adam, w, m, v, g, n);
    return sx_sum_sq(w, n);
}

double sx_unit_row(float *x, size_t n, double sum_sq)
{
    const double float_eps = 0x1p-23;
    double factor = 1 / (sqrt(sum_sq) + float_eps);
    sx_scale(x, n, (float)factor);
    return sum_sq * factor * factor;
}

KERNEL
void sx_bytes_to_float(float *restrict out, const uint8_t *restrict in, size_t n, float divisor)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)in[i] / divisor;
}

bool sx_flush_denormals(bool on)
{
#if defined(__x86_64__)
    const unsigned flush_and_zero = 0x8040; /* FTZ and DAZ of MXCSR */
    unsigned old = _mm_getcsr();
    _mm_setcsr(on ? old | flush_and_zero : old & ~flush_and_zero);
    return (old & flush_and_zero) == flush_and_zero;
#else
    (void)on;
    return false;
#endif
}
