#include "sextant/core/kernels.h"

#include <criterion/criterion.h>
#include <math.h>

#include "sextant/base/rng.h"

/* Every kernel against the plain loop, at widths around the vector lengths. */
enum { ROWS = 3, MOST = 131, CELLS = ROWS * MOST };

static const size_t widths[] = {1, 7, 15, 16, 17, 33, 64, 100, 131};
enum { WIDTHS = sizeof widths / sizeof *widths };

static void fill(float *x, size_t n, uint64_t stream)
{
    struct sx_rng rng = sx_rng_make(5, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)sx_rng_normal(&rng);
}

Test(kernels, relu_rows)
{
    for (size_t w = 0; w < WIDTHS; w++) {
        size_t n = widths[w];
        float z[CELLS], old[CELLS], bias[MOST], peak[MOST] = {0}, want_peak[MOST] = {0};
        double sum = 1, want_sum = 1;
        uint64_t active = 2, want_active = 2;
        fill(z, ROWS * n, 1);
        fill(old, ROWS * n, 1);
        fill(bias, n, 2);
        sx_relu_rows(z, bias, ROWS, n, peak, &sum, &active);
        for (size_t i = 0; i < ROWS * n; i++) {
            float want = fmaxf(old[i] + bias[i % n], 0);
            cr_assert_eq(z[i], want);
            want_sum += (double)want;
            want_active += want > 0;
            want_peak[i % n] = fmaxf(want_peak[i % n], want);
        }
        cr_assert_float_eq(sum, want_sum, 1e-4);
        cr_assert_eq(active, want_active);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(peak[i], want_peak[i]);
    }
}

Test(kernels, relu_turns_nan_to_zero_and_keeps_it_out_of_the_sums)
{
    float z[20], bias[20] = {0}, peak[20] = {0};
    double sum = 0;
    uint64_t active = 0;
    for (int i = 0; i < 20; i++)
        z[i] = NAN;
    sx_relu_rows(z, bias, 1, 20, peak, &sum, &active);
    cr_assert_eq(z[3], 0);
    cr_assert_eq(z[19], 0);
    cr_assert_eq(sum, 0);
    cr_assert_eq(active, 0);
}

Test(kernels, relu_backward_passes_where_z_is_above_zero)
{
    float z[5] = {1, 0, -1, 2, 0}, dz[5] = {1, 2, 3, 4, 5};
    sx_relu_backward(dz, z, 5, 0.5F);
    const float want[5] = {1.5F, 0, 0, 4.5F, 0};
    for (int i = 0; i < 5; i++)
        cr_assert_eq(dz[i], want[i]);
}

Test(kernels, residual_rows)
{
    for (size_t w = 0; w < WIDTHS; w++) {
        size_t n = widths[w];
        float e[CELLS], old[CELLS], x[CELLS], columns[MOST] = {0};
        double sum = 0, want = 0;
        fill(e, ROWS * n, 1);
        fill(old, ROWS * n, 1);
        fill(x, ROWS * n, 2);
        sx_residual_rows(e, x, ROWS, n, 0.25F, columns, &sum);
        for (size_t i = 0; i < ROWS * n; i++) {
            float d = old[i] - x[i];
            want += (double)d * (double)d;
            cr_assert_eq(e[i], 0.25F * d);
        }
        cr_assert_float_eq(sum, want, 1e-4);
        for (size_t i = 0; i < n; i++)
            cr_assert_float_eq(columns[i], e[i] + e[n + i] + e[2 * n + i], 1e-6);
    }
}

Test(kernels, sums_and_vectors)
{
    for (size_t w = 0; w < WIDTHS; w++) {
        size_t n = widths[w];
        float x[CELLS], y[CELLS], out[CELLS], columns[MOST];
        double sq = 0, magnitude = 0, dot = 0;
        fill(x, ROWS * n, 1);
        fill(y, ROWS * n, 2);
        for (size_t i = 0; i < n; i++) {
            sq += (double)x[i] * (double)x[i];
            magnitude += fabs((double)x[i]);
            dot += (double)x[i] * (double)y[i];
        }
        cr_assert_float_eq(sx_sum_sq(x, n), sq, 1e-4);
        cr_assert_float_eq(sx_sum_abs(x, n), magnitude, 1e-4);
        cr_assert_float_eq(sx_dot_lanes(x, y, n), dot, 1e-4);
        sx_subtract_row(out, x, y, ROWS, n);
        cr_assert_eq(out[2 * n], x[2 * n] - y[0]);
        sx_column_sums(x, 2, n, n, columns);
        cr_assert_eq(columns[n - 1], x[n - 1] + x[2 * n - 1]);
        memcpy(out, y, sizeof y);
        sx_axpy(n, 0.5F, x, out);
        cr_assert_eq(out[n - 1], y[n - 1] + 0.5F * x[n - 1]);
        sx_scale(out, n, 2);
        cr_assert_eq(out[0], 2 * (y[0] + 0.5F * x[0]));
    }
}

Test(kernels, column_sums_honour_the_leading_dimension)
{
    const float x[6] = {1, 2, 100, 3, 4, 100};
    float out[2];
    sx_column_sums(x, 2, 2, 3, out);
    cr_assert_eq(out[0], 4);
    cr_assert_eq(out[1], 6);
}

Test(kernels, adam_equals_its_definition_over_ten_steps)
{
    enum { N = 37 };
    const double lr = 1e-2, b1 = 0.9, b2 = 0.999, eps = 1e-8, l2 = 0.03, l1 = 0.02;
    float w[N], m[N] = {0}, v[N] = {0}, g[N];
    double rw[N], rm[N] = {0}, rv[N] = {0};
    fill(w, N, 1);
    w[5] = 0;
    for (int i = 0; i < N; i++)
        rw[i] = (double)w[i];
    for (int t = 1; t <= 10; t++) {
        struct sx_adam adam = sx_adam_at(lr, b1, b2, eps, (uint64_t)t);
        adam.l2 = (float)l2;
        adam.l1 = (float)l1;
        fill(g, N, (uint64_t)(10 + t));
        double sq = sx_adam_update(&adam, w, m, v, g, N), want_sq = 0;
        for (int i = 0; i < N; i++) {
            double d = (double)g[i] + l2 * rw[i] + l1 * ((rw[i] > 0) - (rw[i] < 0));
            rm[i] = b1 * rm[i] + (1 - b1) * d;
            rv[i] = b2 * rv[i] + (1 - b2) * d * d;
            double m_hat = rm[i] / (1 - pow(b1, t)), v_hat = rv[i] / (1 - pow(b2, t));
            rw[i] -= lr * m_hat / (sqrt(v_hat) + eps);
            want_sq += rw[i] * rw[i];
            cr_assert_float_eq(w[i], rw[i], 2e-6, "step %d, entry %d", t, i);
        }
        cr_assert_float_eq(sq, want_sq, 1e-4);
    }
}

Test(kernels, penalty_gradient_has_no_sign_at_zero)
{
    float g[3] = {1, 1, 1};
    const float w[3] = {2, 0, -2};
    sx_penalty_gradient(g, w, 3, 0.5F, 0.25F);
    cr_assert_eq(g[0], 2.25F);
    cr_assert_eq(g[1], 1);
    cr_assert_eq(g[2], -0.25F);
}

Test(kernels, unit_row)
{
    float x[3] = {3, 0, 4}, zero[3] = {0};
    double sq = sx_unit_row(x, 3, 25);
    cr_assert_float_eq(x[0], 0.6, 1e-6);
    cr_assert_float_eq(sq, 1, 1e-6);
    cr_assert_eq(sx_unit_row(zero, 3, 0), 0);
    cr_assert_eq(zero[1], 0);
}

Test(kernels, bytes_to_float_divides_as_ieee_does)
{
    uint8_t in[256];
    float out[256];
    for (int i = 0; i < 256; i++)
        in[i] = (uint8_t)i;
    sx_bytes_to_float(out, in, 256, 255);
    for (int i = 0; i < 256; i++)
        cr_assert_eq(out[i], (float)i / 255.0F);
}

Test(kernels, flush_denormals_answers_the_old_setting)
{
    bool old = sx_flush_denormals(true);
    cr_assert_not(old);
#if defined(__x86_64__)
    cr_assert(sx_flush_denormals(true));
    volatile float tiny = 1e-38F;
    cr_assert_eq(tiny / 16, 0);
#endif
    sx_flush_denormals(false);
    volatile float again = 1e-38F;
    cr_assert_neq(again / 16, 0);
}
