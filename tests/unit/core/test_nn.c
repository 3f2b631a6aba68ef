#include "sextant/core/nn.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/core/nn_kernels.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"

/* Every kernel in every instruction set that this processor has, against the plain loop in double
 * precision, at widths around the vector lengths and at addresses that are no multiple of them. */
static const size_t widths[] = {1,  2,  3,  4,  5,  7,  8,  9,   15,  16,  17,
                                31, 32, 33, 48, 63, 64, 65, 100, 131, 320, 1030};
enum { WIDTHS = sizeof widths / sizeof *widths, MOST = 1030 };

#define EACH_SET for (size_t set = 0; set < sx_nn_count() && sx_nn_use(set); set++)

static void fill(float *x, size_t n, uint64_t stream, double scale)
{
    struct sx_rng rng = sx_rng_make(5, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * sx_rng_normal(&rng));
}

static float *filled(size_t n, uint64_t stream, double scale)
{
    float *x = sx_xmalloc(n * sizeof *x);
    fill(x, n, stream, scale);
    return x;
}

/* What IEEE 754 says, by its own words. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double sign = h & 0x8000 ? -1 : 1;
    if (exponent == 31)
        return mantissa ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

Test(nn, every_half_widens_exactly)
{
    static unsigned char in[1 + 2 * 65536];
    static float out[65536 + 1];
    for (uint32_t i = 0; i < 65536; i++)
        memcpy(in + 1 + 2 * i, &(uint16_t){(uint16_t)i}, 2);
    EACH_SET
    {
        sx_widen(SX_STORE_F16, in + 1, out + 1, 65536);
        for (uint32_t i = 0; i < 65536; i++) {
            double want = half_value((uint16_t)i);
            cr_assert(isnan(want) ? isnan(out[1 + i]) : (double)out[1 + i] == want, "half %04x", i);
            cr_assert(isnan(want) || !signbit(out[1 + i]) == !(i & 0x8000), "sign of half %04x", i);
        }
        sx_widen(SX_STORE_BF16, in + 1, out + 1, 65536);
        for (uint32_t i = 0; i < 65536; i++) {
            uint32_t bits;
            memcpy(&bits, out + 1 + i, 4);
            cr_assert_eq(bits, i << 16);
        }
    }
}

Test(nn, widening_stops_at_the_last_element)
{
    uint16_t in[MOST];
    for (size_t i = 0; i < MOST; i++)
        in[i] = (uint16_t)(0x3C00 + i % 512);
    EACH_SET for (size_t w = 0; w < WIDTHS; w++)
    {
        for (int storage = SX_STORE_F16; storage <= SX_STORE_BF16; storage++) {
            /* Exactly as long as needed: a sanitizer sees what lies behind. */
            size_t n = widths[w];
            void *exact = sx_xmalloc(2 * n);
            float *out = sx_xmalloc(n * sizeof *out);
            memcpy(exact, in, 2 * n);
            sx_widen((enum sx_storage)storage, exact, out, n);
            for (size_t i = 0; i < n; i++) {
                uint32_t bits;
                memcpy(&bits, out + i, 4);
                cr_assert(storage == SX_STORE_F16 ? (double)out[i] == half_value(in[i])
                                                  : bits == (uint32_t)in[i] << 16);
            }
            sx_free(exact);
            sx_free(out);
        }
    }
    float three[3] = {1, -0.0F, 3}, copy[3];
    sx_widen(SX_STORE_F32, three, copy, 3);
    cr_assert_eq(memcmp(three, copy, sizeof three), 0);
    cr_assert_eq(sx_storage_size(SX_STORE_F32), 4);
    cr_assert_eq(sx_storage_size(SX_STORE_F16), 2);
    cr_assert_eq(sx_storage_size(SX_STORE_BF16), 2);
}

static void check_layernorm(size_t n, double offset, double tolerance)
{
    enum { ROWS = 3 };
    size_t ldx = n + 3, ldo = n + 1;
    float *x = filled(ROWS * ldx, 1, 2), *gamma = filled(n, 2, 1), *beta = filled(n, 3, 1);
    float *out = filled(ROWS * ldo, 4, 1), *old = filled(ROWS * ldo, 4, 1), sigma[ROWS];
    for (size_t i = 0; i < ROWS * ldx; i++)
        x[i] += (float)offset;
    sx_layernorm_rows(x, ldx, gamma, beta, 1e-5F, ROWS, n, out, ldo, sigma);
    for (size_t r = 0; r < ROWS; r++) {
        double mean = 0, var = 0;
        for (size_t i = 0; i < n; i++)
            mean += (double)x[r * ldx + i] / (double)n;
        for (size_t i = 0; i < n; i++)
            var += pow((double)x[r * ldx + i] - mean, 2) / (double)n;
        double root = sqrt(var + (double)1e-5F);
        cr_assert_float_eq(sigma[r], root, 1e-6 * root);
        for (size_t i = 0; i < n; i++) {
            double want = (double)gamma[i] * ((double)x[r * ldx + i] - mean) / root;
            want += (double)beta[i];
            cr_assert_float_eq(out[r * ldo + i], want, tolerance, "%zu wide, entry %zu: %.9g %.9g",
                               n, i, (double)out[r * ldo + i], want);
        }
        if (r + 1 < ROWS)
            cr_assert_eq(out[r * ldo + n], old[r * ldo + n], "what lies between rows is left");
    }
    /* In place, without sigma: the same bits. */
    sx_layernorm_rows(x, ldx, gamma, beta, 1e-5F, ROWS, n, x, ldx, NULL);
    for (size_t r = 0; r < ROWS; r++)
        cr_assert_eq(memcmp(x + r * ldx, out + r * ldo, n * sizeof *x), 0);
    float *all[] = {x, gamma, beta, out, old};
    for (size_t i = 0; i < 5; i++)
        sx_free(all[i]);
}

Test(nn, layernorm)
{
    EACH_SET for (size_t w = 0; w < WIDTHS; w++)
    {
        check_layernorm(widths[w], 0, 3e-6);
        /* A stream of activations far from zero loses nothing but what its floats lost. */
        check_layernorm(widths[w], 4096, 4e-6);
    }
}

Test(nn, layernorm_of_known_rows)
{
    EACH_SET
    {
        float x[4] = {1, 2, 3, 4}, one[4] = {1, 1, 1, 1}, beta[4] = {0};
        const double want[4] = {-1.34163542, -0.44721181, 0.44721181, 1.34163542};
        sx_layernorm_rows(x, 4, one, beta, 1e-5F, 1, 4, x, 4, NULL);
        for (int i = 0; i < 4; i++)
            cr_assert_float_eq(x[i], want[i], 2e-7);
        float zero[40] = {0}, gamma[40], shift[40];
        fill(gamma, 40, 1, 1);
        fill(shift, 40, 2, 1);
        sx_layernorm_rows(zero, 40, gamma, shift, 1e-5F, 1, 40, zero, 40, NULL);
        cr_assert_eq(memcmp(zero, shift, sizeof zero), 0, "of the zero row: beta exactly");
    }
}

static double gelu(double x)
{
    return x / 2 * erfc(-x / sqrt(2));
}

static double gelu_tanh(double x)
{
    return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

Test(nn, activations_on_a_fine_grid)
{
    enum { STEPS = 400000 };
    static float x[STEPS], y[STEPS];
    for (int i = 0; i < STEPS; i++)
        x[i] = -16.0F + 32.0F * (float)i / STEPS;
    EACH_SET
    {
        memcpy(y, x, sizeof y);
        sx_activate(SX_ACT_GELU, y, STEPS);
        double worst = 0, worst_tanh = 0;
        for (int i = 0; i < STEPS; i++)
            worst = fmax(worst, fabs((double)y[i] - gelu((double)x[i])));
        memcpy(y, x, sizeof y);
        sx_activate(SX_ACT_GELU_TANH, y, STEPS);
        for (int i = 0; i < STEPS; i++)
            worst_tanh = fmax(worst_tanh, fabs((double)y[i] - gelu_tanh((double)x[i])));
        cr_assert(worst < 4e-7, "set %zu: gelu off by %g", set, worst);
        cr_assert(worst_tanh < 4e-7, "set %zu: gelu_tanh off by %g", set, worst_tanh);
        cr_log_info("%s: gelu %.3g, gelu_tanh %.3g", sx_nn_use(set), worst, worst_tanh);
    }
}

Test(nn, gelu_of_known_numbers)
{
    EACH_SET
    {
        float x[6] = {-3, -1, -0.5F, 0.5F, 1, 3};
        const double want[6] = {-0.004049694, -0.158655254, -0.154268769,
                                0.345731231,  0.841344746,  2.995950306};
        sx_activate(SX_ACT_GELU, x, 6);
        for (int i = 0; i < 6; i++)
            cr_assert_float_eq(x[i], want[i], 3e-7);
    }
    cr_assert_str_eq(sx_activation_name(SX_ACT_GELU), "gelu");
    cr_assert_str_eq(sx_activation_name(SX_ACT_GELU_TANH), "gelu_tanh");
}

Test(nn, activations_far_out_and_of_what_is_no_number)
{
    EACH_SET for (int act = SX_ACT_GELU; act <= SX_ACT_GELU_TANH; act++)
    {
        float x[20] = {0, -0.0F, 1e30F, -1e30F, INFINITY, NAN, 1e-30F, 50, -50, 1e9F};
        x[19] = NAN;
        sx_activate((enum sx_activation)act, x, 20);
        cr_assert_eq(x[0], 0);
        cr_assert_eq(x[2], 1e30F);
        cr_assert_float_eq(x[3], 0, 1e-7);
        cr_assert_eq(x[4], INFINITY);
        cr_assert(isnan(x[5]) && isnan(x[19]));
        cr_assert_float_eq(x[6], 0.5e-30F, 1e-36);
        cr_assert_eq(x[7], 50);
        cr_assert_float_eq(x[8], 0, 1e-7);
        cr_assert_eq(x[9], 1e9F);
    }
}

Test(nn, activations_and_sums_at_every_width)
{
    EACH_SET for (size_t w = 0; w < WIDTHS; w++)
    {
        enum { ROWS = 3 };
        size_t n = widths[w], ld = n + 5;
        float *x = filled(ROWS * ld, 1, 2), *y = filled(ROWS * ld, 2, 1);
        float *old = filled(ROWS * ld, 2, 1), *act = filled(n, 3, 2), *was = filled(n, 3, 2);
        sx_activate(SX_ACT_GELU, act, n);
        for (size_t i = 0; i < n; i++)
            cr_assert_float_eq(act[i], gelu((double)was[i]), 4e-7);
        memcpy(act, was, n * sizeof *act);
        sx_activate(SX_ACT_GELU_TANH, act, n);
        for (size_t i = 0; i < n; i++)
            cr_assert_float_eq(act[i], gelu_tanh((double)was[i]), 4e-7);
        sx_add_row(y, x, ROWS, n, ld);
        for (size_t i = 0; i < ROWS * ld; i++)
            cr_assert_eq(y[i], i % ld < n ? old[i] + x[i % ld] : old[i]);
        memcpy(y, old, ROWS * ld * sizeof *y);
        sx_add_rows(y, ld, x + 1, n, ROWS, n);
        for (size_t i = 0; i < ROWS * ld; i++)
            cr_assert_eq(y[i], i % ld < n ? old[i] + x[1 + i / ld * n + i % ld] : old[i]);
        float *all[] = {x, y, old, act, was};
        for (size_t i = 0; i < 5; i++)
            sx_free(all[i]);
    }
}

static void check_softmax(size_t n, double scale)
{
    float *x = filled(n + 1, n, scale), *old = filled(n + 1, n, scale);
    double sum = 0, peak = -INFINITY, total = 0;
    if (n > 4)
        x[3] = old[3] = -INFINITY;
    for (size_t i = 1; i <= n; i++)
        peak = fmax(peak, (double)old[i]);
    for (size_t i = 1; i <= n; i++)
        sum += exp((double)old[i] - peak);
    double log_sum = sx_softmax(x + 1, n);
    cr_assert_float_eq(log_sum, peak + log(sum), 1e-6 * fmax(1, fabs(peak)));
    for (size_t i = 1; i <= n; i++) {
        double want = exp((double)old[i] - peak) / sum;
        /* The difference to the peak is itself a float. */
        double relative = 1e-6 + 6e-8 * fmin(peak - (double)old[i], 1e3);
        cr_assert_float_eq(x[i], want, relative * want + 1e-37, "%zu wide: %.9g, expected %.9g", n,
                           (double)x[i], want);
        total += (double)x[i];
    }
    cr_assert_float_eq(total, 1, 1e-6);
    cr_assert_eq(x[0], old[0]);
    sx_free(x);
    sx_free(old);
}

Test(nn, softmax)
{
    EACH_SET for (size_t w = 0; w < WIDTHS; w++)
    {
        check_softmax(widths[w], 3);
        check_softmax(widths[w], 60);
    }
    EACH_SET check_softmax(50304, 3);
}

Test(nn, exponentials_to_two_in_ten_million)
{
    enum { STEPS = 300000 };
    static float x[STEPS], y[STEPS];
    for (int i = 0; i < STEPS; i++)
        x[i] = -87.3F * (float)i / STEPS;
    EACH_SET
    {
        memcpy(y, x, sizeof y);
        double log_sum = sx_softmax(y, STEPS), worst = 0;
        for (int i = 0; i < 60000; i++)
            worst = fmax(worst, fabs((double)y[i] / exp((double)x[i] - log_sum) - 1));
        /* The sum and the division have their own share. */
        cr_assert(worst < 4e-7, "set %zu: %g", set, worst);
        cr_log_info("%s: %.3g", sx_nn_use(set), worst);
    }
}

Test(nn, softmax_of_rows_without_an_answer)
{
    EACH_SET
    {
        float nothing[21], far[3] = {-3e38F, 0, -200}, broken[18] = {0};
        for (int i = 0; i < 21; i++)
            nothing[i] = -INFINITY;
        cr_assert_eq(sx_softmax(nothing, 21), -INFINITY);
        for (int i = 0; i < 21; i++)
            cr_assert_eq(nothing[i], 0);
        double log_sum = sx_softmax(far, 3);
        cr_assert_eq(log_sum, 0);
        cr_assert(far[0] == 0 && far[1] == 1 && far[2] == 0);
        broken[7] = NAN;
        cr_assert(isnan(sx_softmax(broken, 18)));
        cr_assert(isnan(broken[7]) && isnan(broken[17]), "a NaN is passed on, not hidden");
    }
}

Test(nn, rotation)
{
    static const size_t bands_of[] = {1, 2, 3, 4, 8, 10, 12, 16, 20, 32, 64};
    enum { ROWS = 3, HEADS = 2 };
    EACH_SET for (size_t k = 0; k < sizeof bands_of / sizeof *bands_of; k++)
    {
        for (size_t rest = 0; rest < 2; rest++) {
            size_t bands = bands_of[k], d = 2 * bands + 5 * rest, ld = HEADS * d + 3;
            float *x = filled(ROWS * ld, 1, 1), *old = filled(ROWS * ld, 1, 1);
            float *c = filled(ROWS * bands, 2, 1), *s = filled(ROWS * bands, 3, 1);
            sx_rotate_rows(x, ld, ROWS, HEADS, d, bands, c, s);
            for (size_t i = 0; i < ROWS * ld; i++) {
                size_t row = i / ld, at = i % ld % d, head = i % ld / d, b = at % bands;
                double want = (double)old[i], cb = (double)c[row * bands + b],
                       sb = (double)s[row * bands + b];
                if (head < HEADS && at < bands)
                    want = (double)old[i] * cb - (double)old[i + bands] * sb;
                else if (head < HEADS && at < 2 * bands)
                    want = (double)old[i] * cb + (double)old[i - bands] * sb;
                cr_assert_float_eq(x[i], want, 1e-6);
                cr_assert((head < HEADS && at < 2 * bands) || x[i] == old[i]);
            }
            float *all[] = {x, old, c, s};
            for (size_t i = 0; i < 4; i++)
                sx_free(all[i]);
        }
    }
}

Test(nn, rotation_of_known_numbers)
{
    const double want[2][4] = {{-1.984110649, 1.959900667, 2.462377902, 4.019799668},
                               {-1.413352521, 1.879118067, -2.828857482, 4.058191135}};
    const float position[2] = {1, 3}, frequency[2] = {1, 0.01F};
    float cosine[4], sine[4];
    sx_rotation_table(position, 2, frequency, 2, cosine, sine);
    EACH_SET
    {
        float x[8] = {1, 2, 3, 4, 1, 2, 3, 4};
        sx_rotate_rows(x, 4, 2, 1, 4, 2, cosine, sine);
        for (int i = 0; i < 8; i++)
            cr_assert_float_eq(x[i], want[i / 4][i % 4], 5e-7);
    }
}

Test(nn, rotation_angles_are_products_of_floats)
{
    /* 1021 * 0.31616 rounded to float differs from the exact product by more than an ulp of 1. */
    const float position[1] = {1021}, frequency[1] = {0.3161621094F};
    float c, s;
    sx_rotation_table(position, 1, frequency, 1, &c, &s);
    double angle = (double)(1021 * 0.3161621094F);
    cr_assert_float_eq(c, cos(angle), 1e-7);
    cr_assert_float_eq(s, sin(angle), 1e-7);
}

/* ---- products with a few rows ---- */

static uint16_t narrowed(float x, enum sx_storage storage)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (storage == SX_STORE_BF16)
        return (uint16_t)(bits >> 16);
    int exponent = (int)(bits >> 23 & 255) - 112;
    return exponent <= 0 ? 0
                         : (uint16_t)((bits >> 16 & 0x8000U) | (uint32_t)exponent << 10 |
                                      (bits >> 13 & 1023));
}

static void check_few(enum sx_storage storage, size_t in, size_t rows, bool biased)
{
    enum { OUTPUTS = 11, FIRST = 2, LAST = 11 };
    size_t ldx = in + 1, size = sx_storage_size(storage);
    float *w = filled(OUTPUTS * in, 1, 1), *x = filled(rows * ldx, 2, 1);
    float bias[OUTPUTS], y[SX_FEW_ROWS * 12], old[SX_FEW_ROWS * 12];
    unsigned char *kept = sx_xmalloc(OUTPUTS * in * size);
    fill(bias, OUTPUTS, 3, 1);
    fill(y, sizeof y / sizeof *y, 4, 1);
    memcpy(old, y, sizeof y);
    for (size_t i = 0; i < OUTPUTS * in; i++) {
        uint16_t word = narrowed(w[i], storage);
        memcpy(kept + i * size, storage == SX_STORE_F32 ? (void *)&w[i] : (void *)&word, size);
    }
    sx_widen(storage, kept, w, OUTPUTS * in);
    sx_linear_few(storage, kept, in, FIRST, LAST, biased ? bias : NULL, x, ldx, rows, y, 12);
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < OUTPUTS; o++) {
            double want = biased ? (double)bias[o] : 0, size_of = 1;
            for (size_t i = 0; i < in; i++) {
                want += (double)w[o * in + i] * (double)x[r * ldx + i];
                size_of += fabs((double)w[o * in + i] * (double)x[r * ldx + i]);
            }
            if (o >= FIRST && o < LAST)
                cr_assert_float_eq(y[r * 12 + o], want, 3e-7 * size_of,
                                   "storage %d in %zu rows %zu", (int)storage, in, rows);
            else
                cr_assert_eq(y[r * 12 + o], old[r * 12 + o], "outputs outside are left alone");
        }
    /* A row alone, and outputs cut elsewhere, give the same bits. */
    float alone[12];
    sx_linear_few(storage, kept, in, FIRST, 5, biased ? bias : NULL, x + (rows - 1) * ldx, ldx, 1,
                  alone, 12);
    sx_linear_few(storage, kept, in, 5, LAST, biased ? bias : NULL, x + (rows - 1) * ldx, ldx, 1,
                  alone, 12);
    cr_assert_eq(memcmp(alone + FIRST, y + (rows - 1) * 12 + FIRST, (LAST - FIRST) * sizeof *y), 0);
    sx_free(kept);
    sx_free(w);
    sx_free(x);
}

Test(nn, linear_of_few_rows)
{
    EACH_SET for (size_t w = 0; w < WIDTHS; w++) for (size_t rows = 1; rows <= SX_FEW_ROWS; rows++)
    {
        for (int storage = SX_STORE_F32; storage <= SX_STORE_BF16; storage++) {
            check_few((enum sx_storage)storage, widths[w], rows, false);
            check_few((enum sx_storage)storage, widths[w], rows, true);
        }
    }
}
