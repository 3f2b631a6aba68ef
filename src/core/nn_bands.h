/* Sums over one query's scores in rotary bands. Included by each nn_<instruction set>.c. */
#ifndef SEXTANT_CORE_NN_BANDS_H
#define SEXTANT_CORE_NN_BANDS_H

#include "nn_rows.h"

/* Bands that are gone through together: their constants and sums stay in registers. */
enum { BANDS_AT_ONCE = W == 16 ? 4 : 2 };

struct band_group {
    const float *re[BANDS_AT_ONCE], *im[BANDS_AT_ONCE]; /* rows of the transposed keys */
    float *offset[BANDS_AT_ONCE];
    vec qr[BANDS_AT_ONCE], qi[BANDS_AT_ONCE], mean[BANDS_AT_ONCE];
    vec size[BANDS_AT_ONCE], centred[BANDS_AT_ONCE];
};

INLINE vec magnitude(vec x)
{
    ivec bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= INT32_MAX;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

/* A whole vector, or the first n lanes and zeros; `whole` is a constant of the compiler. */
INLINE vec take(const float *p, const bool whole, size_t n)
{
    return whole ? v_load(p) : v_load_part(p, n);
}

INLINE void put(float *p, vec v, const bool whole, size_t n)
{
    if (whole)
        v_store(p, v);
    else
        v_store_part(p, v, n);
}

/* The keys j … of a group. total NULL: not wanted. */
INLINE void group_step(struct band_group *g, const size_t bands, size_t j, float *total,
                       const bool first, const bool whole, size_t n)
{
    vec sum = total && !first ? take(total + j, whole, n) : v_set(0);
#pragma GCC unroll 4
    for (size_t k = 0; k < bands; k++) {
        const vec s =
            v_fma(g->qi[k], take(g->im[k] + j, whole, n), g->qr[k] * take(g->re[k] + j, whole, n));
        g->size[k] += magnitude(s);
        g->centred[k] += magnitude(s - g->mean[k]);
        put(g->offset[k] + j, take(g->offset[k] + j, whole, n) + s, whole, n);
        sum += s;
    }
    if (total)
        put(total + j, sum, whole, n);
}

INLINE void rotary_group(const struct sx_band_sums *in, size_t b, const size_t bands, float *total)
{
    const size_t n = in->n_k;
    struct band_group g;
    size_t j = 0,
           spare = 0; /* lanes without a key: there the score is 0, |0 - mean| is taken off */
#pragma GCC unroll 4
    for (size_t k = 0; k < bands; k++) {
        g.re[k] = in->kt + (b + k) * in->ldk;
        g.im[k] = in->kt + (b + k + in->n_rotary) * in->ldk;
        g.offset[k] = in->by_offset + (b + k) * in->ldo;
        g.qr[k] = v_set(in->q[b + k]);
        g.qi[k] = v_set(in->q[b + k + in->n_rotary]);
        g.mean[k] = v_set(in->mean[b + k]);
        g.size[k] = g.centred[k] = v_set(0);
    }
    /* What is stored stands at whole vectors (ldo is a multiple of them); loads may straddle. */
    const size_t head = (W - (uintptr_t)g.offset[0] / sizeof(float) % W) % W;
    if (head > 0) {
        j = head < n ? head : n;
        spare += W - j;
        group_step(&g, bands, 0, total, b == 0, false, j);
    }
    for (; j + W <= n; j += W)
        group_step(&g, bands, j, total, b == 0, true, W);
    if (j < n) {
        spare += W - (n - j);
        group_step(&g, bands, j, total, b == 0, false, n - j);
    }
#pragma GCC unroll 4
    for (size_t k = 0; k < bands; k++) {
        in->size[b + k] += (double)v_sum(g.size[k]);
        in->centred[b + k] +=
            (double)v_sum(g.centred[k]) - (double)spare * fabs((double)in->mean[b + k]);
    }
}

INLINE void rotary_bands(const struct sx_band_sums *in, float *total)
{
    size_t b = 0;
    for (; b + BANDS_AT_ONCE <= in->n_rotary; b += BANDS_AT_ONCE)
        rotary_group(in, b, BANDS_AT_ONCE, total);
    for (; b < in->n_rotary; b++)
        rotary_group(in, b, 1, total);
}

/* The dimensions that are not rotated, as one band behind the others. */
static void rest_band(const struct sx_band_sums *in)
{
    const size_t b = in->n_rotary, n = in->n_k;
    float *offset = in->by_offset + b * in->ldo;
    vec size = v_set(0), centred = v_set(0);
    for (size_t j = 0; j < n; j += W) {
        const bool whole = j + W <= n;
        vec s = v_set(0);
        for (size_t i = 2 * b; i < in->d; i++)
            s = v_fma(v_set(in->q[i]), take(in->kt + i * in->ldk + j, whole, n - j), s);
        size += magnitude(s);
        centred += magnitude(s - v_set(in->mean[b]));
        put(offset + j, take(offset + j, whole, n - j) + s, whole, n - j);
        if (in->score)
            put(in->total + j, take(in->total + j, whole, n - j) + s, whole, n - j);
    }
    in->size[b] += (double)v_sum(size);
    in->centred[b] +=
        (double)v_sum(centred) - (double)((n + W - 1) / W * W - n) * fabs((double)in->mean[b]);
}

static void compare_scores(struct sx_band_sums *in)
{
    const size_t n = in->n_k;
    vec worst = v_set(0), largest = v_set(0);
    for (size_t j = 0; j < n; j += W) {
        const bool whole = j + W <= n;
        const vec score = take(in->score + j, whole, n - j);
        worst = v_max(worst, magnitude(score - take(in->total + j, whole, n - j)));
        largest = v_max(largest, magnitude(score));
    }
    in->worst = v_highest(worst);
    in->largest = v_highest(largest);
}

static void band_sums(struct sx_band_sums *in)
{
    if (in->score)
        rotary_bands(in, in->total);
    else
        rotary_bands(in, NULL);
    if (2 * in->n_rotary < in->d)
        rest_band(in);
    if (in->score)
        compare_scores(in);
}

#endif
