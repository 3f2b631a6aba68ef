/* Kernels that go over rows once. Included by each nn_<instruction set>.c. */
#ifndef SEXTANT_CORE_NN_ROWS_H
#define SEXTANT_CORE_NN_ROWS_H

#include "nn_kernels.h"
#include "nn_vec.h"

/* ---- stored numbers ---- */

INLINE vec stored(enum sx_storage storage, const unsigned char *p)
{
    switch (storage) {
    case SX_STORE_F16:
        return v_from_half(p);
    case SX_STORE_BF16:
        return v_from_bf16(p);
    default: {
        vec v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    }
}

/* The first n < W elements, then zeros. */
INLINE vec stored_part(enum sx_storage storage, const unsigned char *p, size_t n)
{
    unsigned char padded[sizeof(vec)] = {0};
    memcpy(padded, p, n * (storage == SX_STORE_F32 ? 4 : 2));
    return stored(storage, padded);
}

INLINE void widen_as(enum sx_storage storage, const unsigned char *in, float *out, size_t n)
{
    size_t i = 0;
    for (; i + W <= n; i += W)
        v_store(out + i, stored(storage, in + 2 * i));
    if (i < n)
        v_store_part(out + i, stored_part(storage, in + 2 * i, n - i), n - i);
}

static void widen(enum sx_storage storage, const void *in, float *out, size_t n)
{
    if (storage == SX_STORE_F32)
        memcpy(out, in, n * sizeof *out);
    else if (storage == SX_STORE_F16)
        widen_as(SX_STORE_F16, in, out, n);
    else
        widen_as(SX_STORE_BF16, in, out, n);
}

/* ---- sums and normalisation ---- */

static void add(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + W <= n; i += W)
        v_store(y + i, v_load(y + i) + v_load(x + i));
    if (i < n)
        v_store_part(y + i, v_load_part(y + i, n - i) + v_load_part(x + i, n - i), n - i);
}

INLINE double row_mean(const float *x, size_t n)
{
    dvec even = {0}, odd = {0};
    size_t i = 0;
    for (; i + W <= n; i += W) {
        even += v_doubles(x + i);
        odd += v_doubles(x + i + DW);
    }
    double sum = v_sum_doubles(even + odd);
    for (; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

INLINE double row_variance(const float *x, size_t n, double mean)
{
    dvec even = {0}, odd = {0};
    size_t i = 0;
    for (; i + W <= n; i += W) {
        dvec a = v_doubles(x + i) - mean, b = v_doubles(x + i + DW) - mean;
        even += a * a;
        odd += b * b;
    }
    double sum = v_sum_doubles(even + odd);
    for (; i < n; i++)
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    return sum / (double)n;
}

static void layernorm(const float *x, const float *gamma, const float *beta, float eps, size_t n,
                      float *out, float *sigma)
{
    double mean = row_mean(x, n);
    double root = sqrt(row_variance(x, n, mean) + (double)eps);
    /* The mean in two floats: a row far from zero keeps its digits. */
    float high = (float)mean, low = (float)(mean - (double)high), inverse = (float)(1 / root);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        vec centred = (v_load(x + i) - high) - low;
        v_store(out + i, v_fma(centred * inverse, v_load(gamma + i), v_load(beta + i)));
    }
    for (; i < n; i++)
        out[i] = ((x[i] - high) - low) * inverse * gamma[i] + beta[i];
    if (sigma)
        *sigma = (float)root;
}

/* ---- activations ---- */

/* Both forms are max(x, 0) less a bump of |x| that is small everywhere, so that an error relative
 * to the bump is a small absolute one.
 *
 * Here the bump is a/2 erfc(a/sqrt 2), with erfc as the -16th power of a polynomial (the form of
 * Abramowitz and Stegun 7.1.28, fitted anew to the least maximum of the absolute error of the
 * whole, 5e-8). */
INLINE vec gelu(vec x)
{
    const vec zero = v_set(0);
    vec a = v_min(v_max(x, zero - x), v_set(10));
    vec p = v_fma(v_set(0x1.b691a0p-21F), a, v_set(-0x1.164fd0p-19F));
    p = v_fma(p, a, v_set(0x1.39ad58p-14F));
    p = v_fma(p, a, v_set(-0x1.599fd0p-18F));
    p = v_fma(p, a, v_set(0x1.b247fap-9F));
    p = v_fma(p, a, v_set(0x1.5a2738p-6F));
    p = v_fma(p, a, v_set(0x1.988714p-5F));
    p = v_fma(p, a, v_set(1));
    p *= p;
    p *= p;
    p *= p;
    p *= p;
    return v_fma(a * v_set(-0.5F), v_reciprocal(p), v_max(zero, x));
}

/* x/2 (1 + tanh u) = x / (1 + e^-2u), and the bump is |x| e / (1 + e) with e = e^-2|u|. */
INLINE vec gelu_tanh(vec x)
{
    const vec zero = v_set(0), two_scale = v_set(2 * 0.7978845608028654F);
    vec a = v_max(x, zero - x);
    vec u = a * two_scale * v_fma(v_set(0.044715F) * a, a, v_set(1));
    vec e = v_exp(zero - u);
    return v_fma(v_min(a, v_set(100)) * (zero - e), v_reciprocal(e + v_set(1)), v_max(zero, x));
}

static void activate(enum sx_activation act, float *x, size_t n)
{
    size_t i = 0;
    if (act == SX_ACT_GELU)
        for (; i + W <= n; i += W)
            v_store(x + i, gelu(v_load(x + i)));
    else
        for (; i + W <= n; i += W)
            v_store(x + i, gelu_tanh(v_load(x + i)));
    if (i < n) {
        vec v = v_load_part(x + i, n - i);
        v_store_part(x + i, act == SX_ACT_GELU ? gelu(v) : gelu_tanh(v), n - i);
    }
}

/* ---- softmax ---- */

/* Sums of exponentials go from float lanes to double after so many. */
enum { SUM_STRETCH = 1024 };

static float row_peak(const float *x, size_t n)
{
    vec peak = v_set(-INFINITY);
    size_t i = 0;
    for (; i + W <= n; i += W)
        peak = v_max(v_load(x + i), peak);
    float most = v_highest(peak);
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* x = e^(x - peak), n a multiple of W; returns the sum: float lanes within a stretch, then double.
 * A row of -INFINITY alone has that peak. */
INLINE double exp_row(float *x, size_t n, float peak)
{
    const vec from = v_set(isinf(peak) && peak < 0 ? 0 : peak);
    double total = 0;
    for (size_t start = 0; start < n; start += SUM_STRETCH) {
        size_t end = start + SUM_STRETCH < n ? start + SUM_STRETCH : n;
        vec sum = v_set(0);
        for (size_t i = start; i < end; i += W) {
            vec e = v_exp(v_load(x + i) - from);
            v_store(x + i, e);
            sum += e;
        }
        total += (double)v_sum(sum);
    }
    return total;
}

static double softmax(float *x, size_t n)
{
    float peak = row_peak(x, n);
    size_t whole = n / W * W;
    double sum = exp_row(x, whole, peak);
    if (whole < n) {
        float rest[W];
        for (size_t i = 0; i < W; i++)
            rest[i] = whole + i < n ? x[whole + i] : -INFINITY;
        sum += exp_row(rest, W, peak);
        memcpy(x + whole, rest, (n - whole) * sizeof *x);
    }
    if (sum == 0)
        return -INFINITY;
    float factor = (float)(1 / sum);
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
    return log(sum) + (double)peak;
}

/* ---- rotation ---- */

#define ROTATE(type, i)                                                                            \
    do {                                                                                           \
        type re, im, c, s;                                                                         \
        memcpy(&re, x + (i), sizeof re);                                                           \
        memcpy(&im, x + bands + (i), sizeof im);                                                   \
        memcpy(&c, cosine + (i), sizeof c);                                                        \
        memcpy(&s, sine + (i), sizeof s);                                                          \
        type to_re = re * c - im * s, to_im = im * c + re * s;                                     \
        memcpy(x + (i), &to_re, sizeof to_re);                                                     \
        memcpy(x + bands + (i), &to_im, sizeof to_im);                                             \
    } while (0)

/* Heads of 16 dimensions have 8 bands: the narrow vectors are the usual ones here. */
static void rotate(float *x, size_t heads, size_t d_head, size_t bands, const float *cosine,
                   const float *sine)
{
    for (size_t h = 0; h < heads; h++, x += d_head) {
        size_t b = 0;
        for (; b + W <= bands; b += W)
            ROTATE(vec, b);
        for (; W > 8 && b + 8 <= bands; b += 8)
            ROTATE(octet, b);
        for (; W > 4 && b + 4 <= bands; b += 4)
            ROTATE(quad, b);
        for (; b < bands; b++)
            ROTATE(float, b);
    }
}

#endif
