/* Sums over scores in rotary bands against plain loops in double, under every instruction set that
 * this processor has. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "../../../src/core/nn_kernels.h"
#include "sextant/base/rng.h"

enum { MOST = 80, D = 22, ROTARY = 8, BANDS = 9 };

struct twin {
    double total[MOST], offset[BANDS][MOST], size[BANDS], centred[BANDS], worst, largest;
};

static struct twin plain(const struct sx_band_sums *in, size_t bands)
{
    struct twin t = {0};
    for (size_t j = 0; j < in->n_k; j++) {
        for (size_t b = 0; b < bands; b++) {
            double s = 0;
            for (size_t i = 0; i < in->d; i++)
                if ((i < 2 * in->n_rotary ? i % in->n_rotary : in->n_rotary) == b)
                    s += (double)in->q[i] * (double)in->kt[i * in->ldk + j];
            t.total[j] += s;
            t.offset[b][j] = s;
            t.size[b] += fabs(s);
            t.centred[b] += fabs(s - (double)in->mean[b]);
        }
        t.worst = fmax(t.worst, fabs(t.total[j] - (double)in->score[j]));
        t.largest = fmax(t.largest, fabs((double)in->score[j]));
    }
    return t;
}

static void check(size_t n, size_t d)
{
    const size_t ldk = (n + 15) / 16 * 16, bands = ROTARY + (d > 2 * ROTARY);
    static float q[D], kt[D * 96], mean[BANDS], score[MOST], offset[BANDS][MOST + 16], total[MOST];
    double size[BANDS], centred[BANDS];
    struct sx_rng rng = sx_rng_make(n, d);
    for (size_t i = 0; i < d; i++) {
        q[i] = (float)sx_rng_normal(&rng);
        for (size_t j = 0; j < ldk; j++) /* columns behind the keys must not count */
            kt[i * ldk + j] = (float)sx_rng_normal(&rng);
    }
    for (size_t b = 0; b < bands; b++) {
        mean[b] = (float)sx_rng_normal(&rng);
        size[b] = 1;
        centred[b] = 2;
        for (size_t j = 0; j < MOST + 16; j++)
            offset[b][j] = 3;
    }
    for (size_t j = 0; j < n; j++)
        score[j] = (float)sx_rng_normal(&rng);
    struct sx_band_sums sums = {.q = q,
                                .kt = kt,
                                .ldk = ldk,
                                .n_k = n,
                                .d = d,
                                .n_rotary = ROTARY,
                                .mean = mean,
                                .score = score,
                                .by_offset = offset[0],
                                .ldo = MOST + 16,
                                .total = total,
                                .size = size,
                                .centred = centred};
    const struct twin t = plain(&sums, bands);
    sx_band_sums(&sums);
    for (size_t b = 0; b < bands; b++) {
        cr_assert_float_eq(size[b] - 1, t.size[b], 1e-4, "%zu keys, band %zu", n, b);
        cr_assert_float_eq(centred[b] - 2, t.centred[b], 1e-4, "%zu keys, band %zu", n, b);
        for (size_t j = 0; j < n; j++)
            cr_assert_float_eq((double)offset[b][j] - 3, t.offset[b][j], 2e-6);
        cr_assert_eq(offset[b][n], 3.0F, "nothing is written behind the keys");
    }
    for (size_t j = 0; j < n; j++)
        cr_assert_float_eq((double)total[j], t.total[j], 1e-5);
    cr_assert_float_eq((double)sums.worst, t.worst, 1e-5);
    cr_assert_float_eq((double)sums.largest, t.largest, 1e-6);
}

Test(nn_bands, against_plain_loops)
{
    for (size_t set = 0; set < sx_nn_count(); set++) {
        sx_nn_use(set);
        for (size_t n = 1; n < MOST; n++) {
            check(n, D);
            check(n, (size_t)2 * ROTARY);
        }
    }
    sx_nn_use(0);
}
