/* Sums over one head's scores in rotary bands. Included by each nn_<instruction set>.c.
 *
 * Queries that follow each other are taken together, each with the keys as far from it as the
 * others': so what they add to a sum by offset stands in the same lanes and is stored once. Keys
 * before the first and behind the last are zeros, and so are their scores. */
#ifndef SEXTANT_CORE_NN_BANDS_H
#define SEXTANT_CORE_NN_BANDS_H

#include "nn_rows.h"

enum { TOGETHER = W == 16 ? 4 : 2 };

/* Queries t … and the lanes that they go through. */
struct together {
    const float *k[2]; /* a band's keys, lane 0 of query t; else its scores alone */
    size_t next;       /* from a query's to the next's */
    float *sums;       /* lane 0 */
    size_t steps;      /* vectors */
    vec q[2][TOGETHER], mean[TOGETHER];
};

INLINE vec magnitude(vec x)
{
    ivec bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= INT32_MAX;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

/* Lanes without a key are part of the sums: |0 - mean| each in `centred`. */
INLINE void add_together(const struct together *g, const bool band, struct sx_band_pairs *in)
{
    vec size[2] = {v_set(0), v_set(0)}, centred[2] = {v_set(0), v_set(0)};
    for (size_t j = 0; j < g->steps * W; j += W) {
        vec sum = v_load(g->sums + j);
#pragma GCC unroll 4
        for (size_t r = 0; r < TOGETHER; r++) {
            vec s = v_load(g->k[0] + r * g->next + j);
            if (band)
                s = v_fma(g->q[1][r], v_load(g->k[1] + r * g->next + j), g->q[0][r] * s);
            size[r % 2] += magnitude(s);
            centred[r % 2] += magnitude(s - g->mean[r]);
            sum += s;
        }
        v_store(g->sums + j, sum);
    }
    in->size += (double)v_sum(size[0] + size[1]);
    in->centred += (double)v_sum(centred[0] + centred[1]);
}

/* Scores of the queries t … in the dimensions that are not rotated, for the keys below end. */
static void rest_scores(const struct sx_band_pairs *in, size_t t, size_t end)
{
    for (size_t j = 0; j < end; j += 2 * W) {
        vec sum[2 * TOGETHER];
#pragma GCC unroll 8
        for (size_t r = 0; r < 2 * TOGETHER; r++)
            sum[r] = v_set(0);
        for (size_t i = 0; i < in->dims; i++) {
            const float *q = in->q + i * in->ld + t, *k = in->k + i * in->ld + j;
            const vec low = v_load(k), high = v_load(k + W);
#pragma GCC unroll 4
            for (size_t r = 0; r < TOGETHER; r++) {
                const vec value = v_set(q[r]);
                sum[2 * r] = v_fma(value, low, sum[2 * r]);
                sum[2 * r + 1] = v_fma(value, high, sum[2 * r + 1]);
            }
        }
#pragma GCC unroll 8
        for (size_t r = 0; r < 2 * TOGETHER; r++)
            v_store(in->scores + r / 2 * in->lds + j + r % 2 * W, sum[r]);
    }
}

/* mean: of the scores of the queries t … with the keys that each sees. */
INLINE void some_queries(struct sx_band_pairs *in, size_t t, const float *mean, const bool band)
{
    const size_t n = in->n, seen = in->causal ? t + 1 : n;
    const size_t lanes = in->causal ? t + TOGETHER : n + TOGETHER - 1;
    struct together g = {.steps = (lanes + W - 1) / W};
    /* What a causal model's queries do not see begins at the same offset for all of them. */
    const ptrdiff_t first = in->causal ? (ptrdiff_t)n - (ptrdiff_t)(g.steps * W)
                                       : (ptrdiff_t)n - (ptrdiff_t)(t + TOGETHER);
    const ptrdiff_t key = first + (ptrdiff_t)t - (ptrdiff_t)(n - 1);
    g.sums = in->sums + SX_BAND_ROOM + first;
    if (band) {
        g.k[0] = in->k + key;
        g.k[1] = in->k + in->ld + key;
        g.next = 1;
    } else {
        rest_scores(in, t, in->causal && t + TOGETHER < n ? t + TOGETHER : n);
        g.k[0] = in->scores + key;
        g.next = in->lds + 1;
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < TOGETHER; r++) {
        g.q[0][r] = v_set(band ? in->q[t + r] : 0);
        g.q[1][r] = v_set(band ? in->q[in->ld + t + r] : 0);
        g.mean[r] = v_set(mean[r]);
    }
    add_together(&g, band, in);
    for (size_t r = 0; r < TOGETHER; r++) {
        const size_t keys = in->causal ? seen + r : seen;
        in->centred -= (double)(g.steps * W - keys) * fabs((double)mean[r]);
    }
}

/* The mean of a query's scores is its score with the mean of its keys. Behind the last: 0. */
static void mean_scores(const struct sx_band_pairs *in, float *mean)
{
    memset(mean, 0, (in->n + SX_BAND_ROOM) * sizeof *mean);
    for (size_t i = 0; i < in->dims; i++) {
        const float *q = in->q + i * in->ld;
        const vec all = v_set(in->causal ? 0 : (float)row_mean(in->k + i * in->ld, in->n));
        for (size_t t = 0; t < in->n; t += W) {
            const vec centre = in->causal ? v_load(in->running + i * in->ld + t) : all;
            v_store(mean + t, v_fma(v_load(q + t), centre, v_load(mean + t)));
        }
    }
}

static void band_pairs(struct sx_band_pairs *in)
{
    const size_t width = 2 * in->n - 1;
    const float *sums = in->sums + SX_BAND_ROOM;
    float *mean = in->sums + width + 2 * SX_BAND_ROOM;
    memset(in->sums, 0, (width + 2 * SX_BAND_ROOM) * sizeof *in->sums);
    mean_scores(in, mean);
    in->size = in->centred = 0;
    for (size_t t = 0; t < in->n; t += TOGETHER)
        if (in->dims == 2)
            some_queries(in, t, mean + t, true);
        else
            some_queries(in, t, mean + t, false);
    for (size_t i = 0; i < width; i++)
        in->by_offset[i] = sums[i] * in->weight[i];
}

static void band_check(struct sx_band_check *in)
{
    vec worst = v_set(0), largest = v_set(0);
    for (size_t j = 0; j < in->n; j += W) {
        const size_t left = in->n - j;
        const vec score = left < W ? v_load_part(in->score + j, left) : v_load(in->score + j);
        const float *k = in->k + j, *q = in->q;
        vec total = v_set(0), rest = v_set(0);
        for (size_t b = 0; b < in->n_rotary; b++)
            total += v_fma(v_set(q[b + in->n_rotary]), v_load(k + (b + in->n_rotary) * in->ld),
                           v_set(q[b]) * v_load(k + b * in->ld));
        for (size_t i = 2 * in->n_rotary; i < in->d; i++)
            rest = v_fma(v_set(q[i]), v_load(k + i * in->ld), rest);
        total = (total + rest) * v_set(in->scale);
        if (left < W) { /* the keys go on behind those that are compared */
            float lanes[W];
            v_store(lanes, total);
            total = v_load_part(lanes, left);
        }
        worst = v_max(worst, magnitude(score - total));
        largest = v_max(largest, magnitude(score));
    }
    in->worst = v_highest(worst);
    in->largest = v_highest(largest);
}

#endif
