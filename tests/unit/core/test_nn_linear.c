/* Products with packed weights against sums in double, under every instruction set that this
 * processor has. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "../../../src/core/nn_kernels.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"

static float *filled(size_t n, uint64_t stream)
{
    struct sx_rng rng = sx_rng_make(5, stream);
    float *p = sx_xcalloc(n + 1, sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(sx_rng_uniform(&rng) - 0.5);
    return p;
}

static void check(size_t rows, size_t in, size_t out, bool with_bias)
{
    const size_t ldx = in + 3, ldy = out + 2, panels = (out + SX_PANEL - 1) / SX_PANEL;
    float *w = filled(out * in, 1), *x = filled(rows * ldx, 2), *bias = filled(out, 3);
    float *packed = sx_alloc_big(sx_packed_size(out, in), sizeof *packed);
    float *y = filled(rows * ldy, 4), *alone = filled(ldy, 4);
    sx_pack(SX_STORE_F32, w, out, in, 0, panels / 2, packed);
    sx_pack(SX_STORE_F32, w, out, in, panels / 2, panels, packed);
    const float margin = y[out];
    sx_linear_packed(packed, in, out, with_bias ? bias : NULL, x, ldx, rows, y, ldy);
    cr_assert_eq(y[out], margin, "nothing is written behind the outputs");
    for (size_t r = 0; r < rows; r++) {
        sx_linear_packed(packed, in, out, with_bias ? bias : NULL, x + r * ldx, ldx, 1, alone, ldy);
        cr_assert(memcmp(alone, y + r * ldy, out * sizeof *y) == 0,
                  "row %zu of %zu has other bits alone", r, rows);
        for (size_t o = 0; o < out; o++) {
            double sum = with_bias ? (double)bias[o] : 0, size = 1;
            for (size_t i = 0; i < in; i++) {
                double term = (double)w[o * in + i] * (double)x[r * ldx + i];
                sum += term;
                size += fabs(term);
            }
            cr_assert(fabs(sum - (double)y[r * ldy + o]) < 1e-6 * size,
                      "[%zu,%zu] of %zu x %zu x %zu: %g, not %g", r, o, rows, in, out,
                      (double)y[r * ldy + o], sum);
        }
    }
    sx_free(w);
    sx_free(x);
    sx_free(bias);
    sx_free(packed);
    sx_free(y);
    sx_free(alone);
}

Test(nn_linear, against_sums_in_double)
{
    for (size_t set = 0; set < sx_nn_count(); set++) {
        sx_nn_use(set);
        for (size_t rows = 1; rows <= 31; rows++)
            check(rows, 20, 37, rows % 2);
        check(130, 300, 64, true);
        check(15, 513, 33, true);
        check(3, 1, 1, false);
        check(16, 256, 16, false);
    }
    sx_nn_use(0);
}

Test(nn_linear, halves_are_widened)
{
    enum { IN = 70, OUT = 40 };
    uint16_t halves[OUT * IN];
    float wide[OUT * IN];
    for (size_t i = 0; i < (size_t)OUT * IN; i++)
        halves[i] = (uint16_t)(0x3000 + i * 7 % 0x0c00);
    const enum sx_storage storages[] = {SX_STORE_F16, SX_STORE_BF16};
    for (size_t s = 0; s < 2; s++) {
        float a[2 * SX_PANEL * IN], b[2 * SX_PANEL * IN];
        cr_assert_eq(sx_packed_size(OUT, IN), sizeof a / sizeof *a);
        sx_widen(storages[s], halves, wide, (size_t)OUT * IN);
        sx_pack(storages[s], halves, OUT, IN, 0, 2, a);
        sx_pack(SX_STORE_F32, wide, OUT, IN, 0, 2, b);
        cr_assert(memcmp(a, b, sizeof(float) * sx_packed_size(OUT, IN)) == 0);
    }
}
