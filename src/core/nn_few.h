/* Products of stored weights with a few rows. Included by each nn_<instruction set>.c. */
#ifndef SEXTANT_CORE_NN_FEW_H
#define SEXTANT_CORE_NN_FEW_H

#include "nn_rows.h"

/* `outputs` outputs of `rows` rows at a time, both constants of the compiler. An output of a row is
 * summed in one vector whatever the tile: its bits do not depend on the rows beside it. */
enum { FEW_SUMS = W == 16 ? 16 : 8 };

INLINE void few_tile(const enum sx_storage storage, const size_t outputs, const size_t rows,
                     const unsigned char *w, size_t in, const float *bias, const float *x,
                     size_t ldx, float *y, size_t ldy)
{
    const size_t size = storage == SX_STORE_F32 ? 4 : 2, stride = in * size;
    vec sum[FEW_SUMS] = {0};
    size_t i = 0;
    for (; i + W <= in; i += W) {
        vec weight[FEW_SUMS];
#pragma GCC unroll 16
        for (size_t o = 0; o < outputs; o++)
            weight[o] = stored(storage, w + o * stride + i * size);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            vec value = v_load(x + r * ldx + i);
#pragma GCC unroll 16
            for (size_t o = 0; o < outputs; o++)
                sum[r * outputs + o] = v_fma(weight[o], value, sum[r * outputs + o]);
        }
    }
    if (i < in)
        for (size_t o = 0; o < outputs; o++) {
            vec weight = stored_part(storage, w + o * stride + i * size, in - i);
            for (size_t r = 0; r < rows; r++)
                sum[r * outputs + o] =
                    v_fma(weight, v_load_part(x + r * ldx + i, in - i), sum[r * outputs + o]);
        }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (size_t o = 0; o < outputs; o++)
            y[r * ldy + o] = v_sum(sum[r * outputs + o]) + (bias ? bias[o] : 0);
}

INLINE void few_rows(const enum sx_storage storage, const size_t rows, const unsigned char *w,
                     size_t in, size_t first, size_t last, const float *bias, const float *x,
                     size_t ldx, float *y, size_t ldy)
{
    const size_t most = FEW_SUMS / rows, outputs = most > 4 ? 4 : most;
    const size_t stride = in * (storage == SX_STORE_F32 ? 4 : 2);
    size_t o = first;
    for (; o + outputs <= last; o += outputs)
        few_tile(storage, outputs, rows, w + o * stride, in, bias ? bias + o : NULL, x, ldx, y + o,
                 ldy);
    for (; o < last; o++)
        few_tile(storage, 1, rows, w + o * stride, in, bias ? bias + o : NULL, x, ldx, y + o, ldy);
}

#define FEW_CASE(n)                                                                                \
    case n:                                                                                        \
        few_rows(storage, n, w, in, first, last, bias, x, ldx, y, ldy);                            \
        break

INLINE void few_stored(const enum sx_storage storage, const unsigned char *w, size_t in,
                       size_t first, size_t last, const float *bias, const float *x, size_t ldx,
                       size_t rows, float *y, size_t ldy)
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
    if (storage == SX_STORE_F32)
        few_stored(SX_STORE_F32, w, in, first, last, bias, x, ldx, rows, y, ldy);
    else if (storage == SX_STORE_F16)
        few_stored(SX_STORE_F16, w, in, first, last, bias, x, ldx, rows, y, ldy);
    else
        few_stored(SX_STORE_BF16, w, in, first, last, bias, x, ldx, rows, y, ldy);
}

#endif
