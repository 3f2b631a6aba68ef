/* Products with packed weights. Included by each nn_<instruction set>.c.
 *
 * A panel holds SX_PANEL outputs, [in, SX_PANEL]. DEPTH inputs of it stay in the first-level cache
 * while all rows go past, LINEAR_ROWS at a time with their sums in registers. Each sum is added up
 * input by input, so that its bits do not depend on the rows beside it nor on how many there are.
 */
#ifndef SEXTANT_CORE_NN_LINEAR_H
#define SEXTANT_CORE_NN_LINEAR_H

#include "nn_kernels.h"
#include "nn_vec.h"

#if defined(__AVX512F__)
enum { LINEAR_ROWS = 14 };
#elif defined(__AVX2__)
enum { LINEAR_ROWS = 6 };
#else
enum { LINEAR_ROWS = 4 };
#endif
enum { LINEAR_WIDTH = 2 * W, DEPTH = 256, GROUP = 3, GROUPS = (LINEAR_ROWS + GROUP - 1) / GROUP };

struct linear_tile {
    const float *panel; /* at its first input and column */
    size_t depth;
    const float *x;
    size_t ldx;
    float *y;
    size_t ldy, cols;  /* of y: at most LINEAR_WIDTH */
    bool begin;        /* y holds nothing yet */
    const float *bias; /* added when not NULL */
    /* Weights that come next are fetched while the rows go past: `fetch_step` floats with each
     * input. */
    const float *fetch;
    size_t fetch_step;
};

/* Sums of the tile's rows into to [rows, LINEAR_WIDTH] of leading dimension ld. Rows are addressed
 * from every third: few enough pointers for the registers. */
INLINE void linear_sums(const size_t rows, const struct linear_tile *t, float *to, size_t ld)
{
    vec sum[2 * LINEAR_ROWS];
    const float *x[GROUPS], *w = t->panel;
    const float *fetch = t->fetch;
    const size_t ldx = t->ldx, fetch_step = t->fetch_step;
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        sum[2 * r] = t->begin ? v_set(0) : v_load(to + r * ld);
        sum[2 * r + 1] = t->begin ? v_set(0) : v_load(to + r * ld + W);
    }
#pragma GCC unroll 8
    for (size_t g = 0; g * GROUP < rows; g++)
        x[g] = t->x + g * GROUP * ldx;
    for (size_t k = t->depth; k > 0; k--, w += SX_PANEL) {
        vec a = v_load(w), b = v_load(w + W);
        __builtin_prefetch(fetch, 0, 2);
        fetch += fetch_step;
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            vec value = v_set(x[r / GROUP][r % GROUP * ldx]);
            sum[2 * r] = v_fma(value, a, sum[2 * r]);
            sum[2 * r + 1] = v_fma(value, b, sum[2 * r + 1]);
        }
#pragma GCC unroll 8
        for (size_t g = 0; g * GROUP < rows; g++)
            x[g]++;
    }
    if (t->bias) {
        vec a = v_load(t->bias), b = v_load(t->bias + W);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            sum[2 * r] += a;
            sum[2 * r + 1] += b;
        }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        v_store(to + r * ld, sum[2 * r]);
        v_store(to + r * ld + W, sum[2 * r + 1]);
    }
}

/* Where y is narrower than the tile, sums pass through a buffer. */
INLINE void linear_rows(const size_t rows, const struct linear_tile *t)
{
    if (t->cols == LINEAR_WIDTH) {
        linear_sums(rows, t, t->y, t->ldy);
        return;
    }
    float narrow[LINEAR_ROWS * LINEAR_WIDTH] = {0};
    for (size_t r = 0; !t->begin && r < rows; r++)
        memcpy(narrow + r * LINEAR_WIDTH, t->y + r * t->ldy, t->cols * sizeof *narrow);
    linear_sums(rows, t, narrow, LINEAR_WIDTH);
    for (size_t r = 0; r < rows; r++)
        memcpy(t->y + r * t->ldy, narrow + r * LINEAR_WIDTH, t->cols * sizeof *narrow);
}

#define LINEAR_CASE(n)                                                                             \
    case n:                                                                                        \
        linear_rows(n, t);                                                                         \
        break

static void linear_some(size_t rows, const struct linear_tile *t)
{
    switch (rows) {
        LINEAR_CASE(1);
        LINEAR_CASE(2);
        LINEAR_CASE(3);
        LINEAR_CASE(4);
#if defined(__AVX2__)
        LINEAR_CASE(5);
        LINEAR_CASE(6);
#endif
#if defined(__AVX512F__)
        LINEAR_CASE(7);
        LINEAR_CASE(8);
        LINEAR_CASE(9);
        LINEAR_CASE(10);
        LINEAR_CASE(11);
        LINEAR_CASE(12);
        LINEAR_CASE(13);
        LINEAR_CASE(14);
#endif
    default:
        break;
    }
}

/* All rows against `depth` inputs of one panel from `t` on, in tiles of nearly the same height. */
static void linear_block(struct linear_tile t, size_t rows, const float *next, size_t n_next)
{
    const size_t tiles = (rows + LINEAR_ROWS - 1) / LINEAR_ROWS;
    const float *panel = t.panel, *x = t.x, *bias = t.bias;
    float *y = t.y;
    t.fetch_step = n_next / (tiles * t.depth) + 1;
    for (size_t i = 0; i < tiles; i++) {
        size_t first = rows * i / tiles, last = rows * (i + 1) / tiles;
        t.fetch = next + n_next * i / tiles;
        t.x = x + first * t.ldx;
        for (size_t c = 0, left = t.cols; c < SX_PANEL && left > 0; c += LINEAR_WIDTH) {
            struct linear_tile part = t;
            part.cols = left < LINEAR_WIDTH ? left : LINEAR_WIDTH;
            part.panel = panel + c;
            part.bias = bias ? bias + c : NULL;
            part.y = y + first * t.ldy + c;
            linear_some(last - first, &part);
            left -= part.cols;
        }
    }
}

static void linear_packed(const float *packed, size_t in, size_t out, const float *bias,
                          const float *x, size_t ldx, size_t rows, float *y, size_t ldy)
{
    const float *end = packed + sx_packed_size(out, in);
    for (size_t o = 0; o < out; o += SX_PANEL) {
        const size_t cols = out - o < SX_PANEL ? out - o : SX_PANEL;
        float margin[SX_PANEL] = {0};
        if (bias)
            memcpy(margin, bias + o, cols * sizeof *margin);
        for (size_t k = 0; k < in; k += DEPTH) {
            const size_t depth = in - k < DEPTH ? in - k : DEPTH;
            const float *panel = packed + o * in + k * SX_PANEL, *next = panel + depth * SX_PANEL;
            size_t ahead = (size_t)(end - next);
            ahead = ahead < DEPTH * SX_PANEL ? ahead : DEPTH * SX_PANEL;
            linear_block((struct linear_tile){.panel = panel,
                                              .depth = depth,
                                              .x = x + k,
                                              .ldx = ldx,
                                              .y = y + o,
                                              .ldy = ldy,
                                              .cols = cols,
                                              .begin = k == 0,
                                              .bias = bias && k + depth == in ? margin : NULL},
                         rows, next, ahead);
        }
    }
}

#endif
