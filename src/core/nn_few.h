/* Products of stored weights with a few rows. Included by each nn_<instruction set>.c. */
#ifndef SEXTANT_CORE_NN_FEW_H
#define SEXTANT_CORE_NN_FEW_H

#include "nn_rows.h"

/* Weights come from as many places at once as a tile has outputs, each a part of the range and read
 * straight on: one place alone does not keep memory busy. An output of a row is summed in one
 * vector whatever the tile: its bits do not depend on the rows and outputs beside it. Asking for
 * bytes AHEAD evens out the start of each row. */
enum { FEW_SUMS = W == 16 ? 24 : 8, FEW_OUTPUTS = 4, FEW_AHEAD = 2048 };

struct few {
    const unsigned char *w;
    const float *bias, *x;
    float *y;
    size_t in, ldx, ldy;
};

/* `outputs` outputs, `apart` from each other, of `rows` rows; both constants of the compiler. */
INLINE void few_tile(const struct few *few, const enum sx_storage storage, const size_t outputs,
                     const size_t rows, size_t first, size_t apart)
{
    const size_t size = storage == SX_STORE_F32 ? 4 : 2, in = few->in, stride = apart * in * size;
    const unsigned char *w = few->w + first * in * size;
    vec sum[SX_FEW_ROWS * FEW_OUTPUTS];
#pragma GCC unroll 32
    for (size_t k = 0; k < outputs * rows; k++)
        sum[k] = v_set(0);
    size_t i = 0;
    for (; i + W <= in; i += W) {
        vec weight[FEW_OUTPUTS];
#pragma GCC unroll 8
        for (size_t o = 0; o < outputs; o++) {
            weight[o] = stored(storage, w + o * stride + i * size);
            __builtin_prefetch(w + o * stride + i * size + FEW_AHEAD);
        }
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            vec value = v_load(few->x + r * few->ldx + i);
#pragma GCC unroll 8
            for (size_t o = 0; o < outputs; o++)
                sum[r * outputs + o] = v_fma(weight[o], value, sum[r * outputs + o]);
        }
    }
    if (i < in) {
        vec weight[FEW_OUTPUTS];
#pragma GCC unroll 8
        for (size_t o = 0; o < outputs; o++)
            weight[o] = stored_part(storage, w + o * stride + i * size, in - i);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            vec value = v_load_part(few->x + r * few->ldx + i, in - i);
#pragma GCC unroll 8
            for (size_t o = 0; o < outputs; o++)
                sum[r * outputs + o] = v_fma(weight[o], value, sum[r * outputs + o]);
        }
    }
    float bias[FEW_OUTPUTS] = {0};
    for (size_t o = 0; few->bias && o < outputs; o++)
        bias[o] = few->bias[first + o * apart];
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
        float *y = few->y + r * few->ldy + first;
        const vec *s = sum + r * outputs;
        quad total = v_sum_four(s[0], s[outputs > 1 ? 1 : 0], s[outputs > 2 ? 2 : 0],
                                s[outputs > 3 ? 3 : 0]);
#pragma GCC unroll 8
        for (size_t o = 0; o < outputs; o++)
            y[o * apart] = total[o] + bias[o];
    }
}

INLINE void few_rows(const struct few *few, const enum sx_storage storage, const size_t rows,
                     size_t first, size_t last)
{
    const size_t most = FEW_SUMS / rows, outputs = most > FEW_OUTPUTS ? FEW_OUTPUTS : most;
    size_t part = (last - first) / outputs, o = first;
    for (; o < first + part; o++)
        few_tile(few, storage, outputs, rows, o, part);
    for (o = first + part * outputs; o < last; o++)
        few_tile(few, storage, 1, rows, o, 0);
}

#define FEW_CASE(n)                                                                                \
    case n:                                                                                        \
        few_rows(few, storage, n, first, last);                                                    \
        break

INLINE void few_stored(const struct few *few, const enum sx_storage storage, size_t rows,
                       size_t first, size_t last)
{
    switch (rows) {
        FEW_CASE(1);
        FEW_CASE(2);
        FEW_CASE(3);
        FEW_CASE(4);
        FEW_CASE(5);
        FEW_CASE(6);
        FEW_CASE(7);
        FEW_CASE(8);
    default:
        break;
    }
}

static void linear_few(enum sx_storage storage, const void *w, size_t in, size_t first, size_t last,
                       const float *bias, const float *x, size_t ldx, size_t rows, float *y,
                       size_t ldy)
{
    const struct few few = {w, bias, x, y, in, ldx, ldy};
    if (storage == SX_STORE_F32)
        few_stored(&few, SX_STORE_F32, rows, first, last);
    else if (storage == SX_STORE_F16)
        few_stored(&few, SX_STORE_F16, rows, first, last);
    else
        few_stored(&few, SX_STORE_BF16, rows, first, last);
}

#endif
