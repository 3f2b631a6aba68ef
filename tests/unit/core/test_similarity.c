#include "sextant/core/similarity.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

#include "../../../src/core/scan.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"

Test(similarity, scale_follows_the_formula_and_spares_ordinary_rows)
{
    float zero[2] = {0, 0}, tiny[2] = {0, 1e-8F}, small[2] = {3e-3F, 4e-3F}, row[2] = {3, 4};
    cr_assert_eq(sx_row_scale(zero, 2), 0.0);
    cr_assert_float_eq(sx_row_scale(tiny, 2), 1 / ((double)1e-8F + 1e-8), 1);
    cr_assert_float_eq(sx_row_scale(small, 2), 1 / (5e-3 + 1e-8), 1e-4);
    cr_assert_eq(sx_row_scale(row, 2), 0.2);
}

Test(similarity, cosine_keeps_its_sign_and_stays_within_one)
{
    float a[3] = {0.1F, 0.2F, 0.3F}, b[3] = {-0.1F, -0.2F, -0.3F};
    double sa = sx_row_scale(a, 3), sb = sx_row_scale(b, 3);
    cr_assert_float_eq(sx_row_cosine(a, sa, b, sb, 3), -1, 1e-15);
    cr_assert_leq(sx_row_cosine(a, sa * 1.1, a, sa, 3), 1.0);
}

/* Products of subnormal size are a hundred times slower than others. */
Test(similarity, unit_rows_hold_nothing_whose_product_would_be_subnormal)
{
    enum { N = 64, D = 50 };
    float x[N * D], unit[N * D], least = 1;
    struct sx_rng rng = sx_rng_make(3, 0);
    for (size_t i = 0; i < N * D; i++)
        x[i] = (float)sx_rng_normal(&rng) * powf(10, -(float)(i % 45));
    cr_assert_eq(sx_unit_rows(x, N, D, unit, NULL, NULL), SX_OK);
    for (size_t i = 0; i < N; i++) {
        double lost = 0, scale = sx_row_scale(x + i * D, D);
        for (size_t t = i * D; t < (i + 1) * D; t++) {
            if (unit[t] != 0)
                least = fminf(least, fabsf(unit[t]));
            else
                lost += pow((double)x[t] * scale, 2);
        }
        cr_assert_leq(sqrt(lost), 0x1p-33);
    }
    cr_assert_geq(least * least, FLT_MIN);
}

/* The vector kernels against their plain twins, at lengths around the vector widths. */
Test(similarity, scans_equal_their_plain_twins)
{
    enum { MOST = 70 };
    struct sx_rng rng = sx_rng_make(4, 0);
    for (int round = 0; round < 400; round++) {
        size_t n = (size_t)round % MOST;
        float s[MOST], t[MOST], floors[MOST], floor = (float)sx_rng_uniform(&rng);
        uint32_t hits[MOST], plain[MOST];
        for (size_t j = 0; j < n; j++) {
            s[j] = t[j] = (float)sx_rng_normal(&rng);
            floors[j] = round % 7 ? (float)sx_rng_uniform(&rng) : s[j];
        }
        bool is_signed = round & 1;
        size_t count = round & 2 ? sx_scan_either(s, n, is_signed, floor, floors, hits)
                                 : sx_scan_sum(s, n, is_signed, floor, floors, hits);
        size_t want = round & 2 ? sx_scan_either_plain(t, n, is_signed, floor, floors, plain)
                                : sx_scan_sum_plain(t, n, is_signed, floor, floors, plain);
        cr_assert_eq(count, want);
        for (size_t h = 0; h < count; h++)
            cr_assert_eq(hits[h], plain[h]);
        for (size_t j = 0; j < n; j++)
            cr_assert_eq(s[j], t[j]);
    }
}

struct tally {
    size_t n, wrong;
    double weakest;
};

static void count_pair(void *user, size_t i, size_t j, float sim)
{
    struct tally *t = user;
    t->n++;
    t->wrong += i % 3 != 0 || j % 2 != 0;
    t->weakest = fmin(t->weakest, (double)sim);
}

Test(similarity, above_visits_the_listed_pairs_over_the_floor)
{
    enum { N = 900, D = 7 };
    float *x = sx_xmalloc(sizeof *x * N * D), *unit = sx_xmalloc(sizeof *unit * N * D);
    float *floors = sx_xcalloc(N, sizeof *floors);
    uint32_t rows[N / 3], cols[N / 2];
    struct sx_rng rng = sx_rng_make(2, 0);
    for (size_t i = 0; i < N * D; i++)
        x[i] = (float)sx_rng_normal(&rng);
    cr_assert_eq(sx_unit_rows(x, N, D, unit, NULL, NULL), SX_OK);
    for (uint32_t i = 0; i < N / 3; i++)
        rows[i] = 3 * i;
    for (uint32_t j = 0; j < N / 2; j++)
        cols[j] = 2 * j;
    for (size_t i = 0; i < N; i++)
        floors[i] = 0.35F;
    struct tally tally = {.weakest = 1};
    cr_assert_eq(sx_similarity_above(unit, rows, N / 3, unit, cols, N / 2, D, false, floors, floors,
                                     count_pair, &tally, NULL, NULL),
                 SX_OK);
    size_t want = 0;
    for (size_t i = 0; i < N; i += 3)
        for (size_t j = 0; j < N; j += 2) {
            double sum = 0;
            for (size_t t = 0; t < D; t++)
                sum += (double)unit[i * D + t] * (double)unit[j * D + t];
            want += fabs(sum) > 0.7;
        }
    cr_assert_gt(want, 1000);
    cr_assert_lt(fabs((double)want - (double)tally.n), 3);
    cr_assert_eq(tally.wrong, 0);
    cr_assert_gt(tally.weakest, 0.699);
    sx_free(x);
    sx_free(unit);
    sx_free(floors);
}
