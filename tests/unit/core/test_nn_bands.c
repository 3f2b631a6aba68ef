/* Sums over all scores of a head in rotary bands against plain loops in double, under every
 * instruction set that this processor has. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "../../../src/core/nn_kernels.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"

enum { MOST = 70, ROOM = SX_BAND_ROOM, LD = 80 + 2 * ROOM, DIMS = 6, GUARD = 7 };

struct twin {
    double offset[2 * MOST], size, centred;
};

static float q[DIMS * LD], k[DIMS * LD], running[DIMS * LD], scores[4 * LD], weight[2 * MOST];

static double score(size_t dims, size_t i, size_t j)
{
    double s = 0;
    for (size_t c = 0; c < dims; c++)
        s += (double)q[c * LD + ROOM + i] * (double)k[c * LD + ROOM + j];
    return s;
}

static struct twin plain(size_t n, size_t dims, bool causal)
{
    struct twin t = {0};
    for (size_t i = 0; i < n; i++) {
        const size_t seen = causal ? i + 1 : n;
        double mean = 0;
        for (size_t j = 0; j < seen; j++)
            mean += score(dims, i, j) / (double)seen;
        for (size_t j = 0; j < seen; j++) {
            const double s = score(dims, i, j);
            const size_t at = j + n - 1 - i;
            t.offset[at] += s * (double)weight[at];
            t.size += fabs(s);
            t.centred += fabs(s - mean);
        }
    }
    return t;
}

/* far: how far the keys' mean stands from zero, in their spread. */
static void fill(size_t n, double far)
{
    struct sx_rng rng = sx_rng_make(n, 1);
    memset(q, 0, sizeof q);
    memset(k, 0, sizeof k);
    memset(running, 0, sizeof running);
    memset(scores, 0, sizeof scores);
    for (size_t c = 0; c < DIMS; c++) {
        double sum = 0;
        for (size_t t = 0; t < n; t++) {
            const size_t at = c * LD + ROOM + t;
            q[at] = (float)sx_rng_normal(&rng);
            k[at] = (float)(far + sx_rng_normal(&rng));
            sum += (double)k[at];
            running[at] = (float)(sum / (double)(t + 1));
        }
    }
    for (size_t i = 0; i < 2 * n - 1; i++)
        weight[i] = (float)(1 + sx_rng_normal(&rng));
}

static void check(size_t n, size_t dims, bool causal, double far)
{
    float by_offset[2 * MOST + GUARD], sums[3 * MOST + 3 * ROOM + GUARD];
    fill(n, far);
    for (size_t i = 0; i < sizeof by_offset / sizeof *by_offset; i++)
        by_offset[i] = 3;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        sums[i] = 5;
    struct sx_band_pairs pairs = {.n = n,
                                  .dims = dims,
                                  .causal = causal,
                                  .q = q + ROOM,
                                  .k = k + ROOM,
                                  .ld = LD,
                                  .running = causal ? running + ROOM : NULL,
                                  .weight = weight,
                                  .by_offset = by_offset,
                                  .scores = scores + ROOM,
                                  .lds = LD,
                                  .sums = sums};
    const struct twin t = plain(n, dims, causal);
    sx_band_pairs(&pairs);
    const double close = 2e-6 * (1 + far) * (double)dims;
    cr_assert_float_eq(pairs.size, t.size, close * t.size, "%zu tokens, %zu dims: %g, not %g", n,
                       dims, pairs.size, t.size);
    cr_assert_float_eq(pairs.centred, t.centred, close * (t.centred + 1),
                       "%zu tokens, %zu dims: %g, not %g", n, dims, pairs.centred, t.centred);
    for (size_t i = 0; i < 2 * n - 1; i++)
        cr_assert_float_eq((double)by_offset[i], t.offset[i], 2e-6 * (1 + far) * (double)n,
                           "%zu tokens, %zu dims, %zu: %g, not %g", n, dims, i,
                           (double)by_offset[i], t.offset[i]);
    cr_assert_eq(by_offset[2 * n - 1], 3.0F, "nothing is written behind the sums");
    cr_assert_eq(sums[sx_band_scratch(n)], 5.0F, "nothing is written behind the scratch");
}

Test(nn_bands, all_pairs_against_plain_loops)
{
    for (size_t set = 0; set < sx_nn_count(); set++) {
        sx_nn_use(set);
        for (size_t n = 1; n < MOST; n++)
            for (size_t dims = 1; dims <= DIMS; dims++) {
                check(n, dims, false, 0);
                check(n, dims, true, 0);
            }
        check(MOST, 2, false, 20);
        check(MOST, 2, true, 20);
    }
    sx_nn_use(0);
}

/* One query whose keys go on behind those that are compared. */
static void check_row(size_t n, size_t d, size_t n_rotary)
{
    float row[DIMS], given[MOST];
    double worst = 0, largest = 0;
    fill(n + 3, 0);
    for (size_t i = 0; i < d; i++)
        row[i] = q[i * LD + ROOM];
    for (size_t j = 0; j < n; j++) {
        const double s = score(d, 0, j) * 0.25;
        given[j] = (float)(s + 1e-3 * (double)(j % 7));
        worst = fmax(worst, fabs(s - (double)given[j]));
        largest = fmax(largest, fabs((double)given[j]));
    }
    struct sx_band_check one = {.q = row,
                                .k = k + ROOM,
                                .ld = LD,
                                .n = n,
                                .d = d,
                                .n_rotary = n_rotary,
                                .scale = 0.25F,
                                .score = given};
    sx_band_check(&one);
    cr_assert_float_eq((double)one.worst, worst, 1e-6, "%zu keys: %g, not %g", n, (double)one.worst,
                       worst);
    cr_assert_float_eq((double)one.largest, largest, 1e-6);
}

Test(nn_bands, one_row_against_scores)
{
    for (size_t set = 0; set < sx_nn_count(); set++) {
        sx_nn_use(set);
        for (size_t n = 1; n < MOST - 3; n++) {
            check_row(n, DIMS, 2);
            check_row(n, DIMS, 3);
        }
    }
    sx_nn_use(0);
}
