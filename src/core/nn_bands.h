/* Sums over one query's scores in rotary bands. Included by each nn_<instruction set>.c. */
#ifndef SEXTANT_CORE_NN_BANDS_H
#define SEXTANT_CORE_NN_BANDS_H

#include "nn_rows.h"

/* What one band adds, a vector of keys at a time; all three stay in registers. */
struct band_sums {
    vec size, centred;
};

INLINE vec magnitude(vec x)
{
    return v_max(x, v_set(0) - x);
}

/* Scores `s` of a whole vector of keys: sums, the running total and the offsets. */
INLINE void band_take(struct band_sums *sums, vec s, vec mean, bool first, float *total,
                      float *offset)
{
    sums->size += magnitude(s);
    sums->centred += magnitude(s - mean);
    v_store(total, s + (first ? v_set(0) : v_load(total)));
    v_store(offset, v_load(offset) + s);
}

/* The last n < W keys; lanes behind them hold zeros throughout. */
INLINE void band_take_part(struct band_sums *sums, vec s, float mean, bool first, float *total,
                           float *offset, size_t n)
{
    float means[W];
    for (size_t i = 0; i < W; i++)
        means[i] = mean;
    sums->size += magnitude(s);
    sums->centred += magnitude(s - v_load_part(means, n));
    v_store_part(total, s + (first ? v_set(0) : v_load_part(total, n)), n);
    v_store_part(offset, v_load_part(offset, n) + s, n);
}

INLINE vec pair_score(const float *re, const float *im, vec qr, vec qi)
{
    return v_fma(qi, v_load(im), qr * v_load(re));
}

static void rotary_band(const struct sx_band_sums *in, size_t b)
{
    const size_t n = in->n_k;
    const vec qr = v_set(in->q[b]), qi = v_set(in->q[b + in->n_rotary]), mean = v_set(in->mean[b]);
    const float *re = in->kt + b * in->ldk, *im = in->kt + (b + in->n_rotary) * in->ldk;
    float *offset = in->by_offset + b * in->ldo;
    struct band_sums sums = {v_set(0), v_set(0)};
    size_t j = 0;
    for (; j + W <= n; j += W)
        band_take(&sums, pair_score(re + j, im + j, qr, qi), mean, b == 0, in->total + j,
                  offset + j);
    if (j < n) {
        const vec s = v_fma(qi, v_load_part(im + j, n - j), qr * v_load_part(re + j, n - j));
        band_take_part(&sums, s, in->mean[b], b == 0, in->total + j, offset + j, n - j);
    }
    in->size[b] += (double)v_sum(sums.size);
    in->centred[b] += (double)v_sum(sums.centred);
}

/* The dimensions that are not rotated, as one band behind the others. */
static void rest_band(const struct sx_band_sums *in)
{
    const size_t b = in->n_rotary, n = in->n_k;
    float *offset = in->by_offset + b * in->ldo;
    struct band_sums sums = {v_set(0), v_set(0)};
    for (size_t j = 0; j < n; j += W) {
        vec s = v_set(0);
        for (size_t i = 2 * b; i < in->d; i++) {
            const float *k = in->kt + i * in->ldk + j;
            s = v_fma(v_set(in->q[i]), j + W <= n ? v_load(k) : v_load_part(k, n - j), s);
        }
        if (j + W <= n)
            band_take(&sums, s, v_set(in->mean[b]), b == 0, in->total + j, offset + j);
        else
            band_take_part(&sums, s, in->mean[b], b == 0, in->total + j, offset + j, n - j);
    }
    in->size[b] += (double)v_sum(sums.size);
    in->centred[b] += (double)v_sum(sums.centred);
}

static void compare_scores(struct sx_band_sums *in)
{
    const size_t n = in->n_k;
    vec worst = v_set(0), largest = v_set(0);
    size_t j = 0;
    for (; j + W <= n; j += W) {
        const vec score = v_load(in->score + j);
        worst = v_max(worst, magnitude(score - v_load(in->total + j)));
        largest = v_max(largest, magnitude(score));
    }
    if (j < n) {
        const vec score = v_load_part(in->score + j, n - j);
        worst = v_max(worst, magnitude(score - v_load_part(in->total + j, n - j)));
        largest = v_max(largest, magnitude(score));
    }
    in->worst = v_highest(worst);
    in->largest = v_highest(largest);
}

static void band_sums(struct sx_band_sums *in)
{
    for (size_t b = 0; b < in->n_rotary; b++)
        rotary_band(in, b);
    if (2 * in->n_rotary < in->d)
        rest_band(in);
    compare_scores(in);
}

#endif
