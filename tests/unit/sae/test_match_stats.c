#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/core/stats.h"
#include "sextant/sae/match.h"

Test(match_stats, alignment_and_dead_latents)
{
    /* aligned, opposite, orthogonal, dead encoder, tiny decoder at 60 degrees */
    static const float enc[10] = {3, 4, 1, 0, 1, 0, 0, 0, 1, 0};
    static const float dec[10] = {6, 8, -2, 0, 0, 5, 1, 1, 5e-13F, 8.660254e-13F};
    static const float half[10] = {6, 8, -2, 0, 0, 5, 1, 1, 2e-13F, 3e-13F};
    struct sx_match_input m = {enc, dec, 5, 2, NULL};
    float align[5];
    struct sx_align_stats stats;
    struct sx_dead_counts dead;
    sx_match_alignment(&m, align);
    static const double want[5] = {1, -1, 0, 0, 0.5};
    for (int j = 0; j < 5; j++)
        cr_assert_float_eq(align[j], want[j], 1e-6);
    sx_align_stats_of(align, 5, &stats);
    cr_assert_float_eq(stats.mean, 0.1, 1e-6);
    cr_assert_float_eq(stats.median, 0, 1e-6);
    cr_assert_float_eq(stats.over_07, 0.2, 1e-12);
    cr_assert_eq(stats.over_095, 1);
    sx_count_dead(&m, &dead);
    cr_assert(dead.enc_exact == 1 && dead.dec_exact == 0 && dead.either_exact == 1);
    m.W_dec = half;
    sx_count_dead(&m, &dead);
    cr_assert(dead.dec_tiny == 1 && dead.enc_tiny == 1 && dead.either_tiny == 2);
}

/* Against the definition, over more rows than a tile and a selection of them. */
Test(match_stats, orthogonality_equals_the_plain_gram_matrix)
{
    enum { F = 1300, D = 20 };
    static float w[F * D], unit[F * D];
    static bool keep[F];
    struct sx_rng rng = sx_rng_make(3, 0);
    for (size_t i = 0; i < F * D; i++)
        w[i] = (float)sx_rng_normal(&rng) + 0.3F;
    for (int pass = 0; pass < 2; pass++) {
        size_t n = 0, count = 0;
        for (size_t j = 0; j < F; j++) {
            keep[j] = pass == 0 || j % 3 != 1;
            if (!keep[j])
                continue;
            double norm = 0;
            for (size_t i = 0; i < D; i++)
                norm += (double)w[j * D + i] * (double)w[j * D + i];
            for (size_t i = 0; i < D; i++)
                unit[n * D + i] = (float)((double)w[j * D + i] / sqrt(norm));
            n++;
        }
        double *g = sx_xmalloc(n * n * sizeof *g), *a = sx_xmalloc(n * n * sizeof *a), sum_sq = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                double dot = 0;
                for (size_t t = 0; t < D; t++)
                    dot += (double)unit[i * D + t] * (double)unit[j * D + t];
                if (i == j)
                    continue;
                g[count] = dot;
                a[count++] = fabs(dot);
                sum_sq += dot * dot;
            }
        struct sx_orthogonality o;
        cr_assert_eq(sx_orthogonality_of(w, F, D, pass ? keep : NULL, 10, NULL, &o, NULL), SX_OK);
        cr_assert_eq(o.rows, n);
        cr_assert_float_eq(o.abs_mean, sx_mean(a, count), 1e-6);
        cr_assert_float_eq(o.signed_mean, sx_mean(g, count), 1e-6);
        cr_assert_float_eq(o.signed_std, sx_std_population(g, count), 1e-6);
        cr_assert_float_eq(o.frobenius, sqrt(sum_sq), 1e-3);
        sx_sort_doubles(a, count);
        cr_assert_float_eq(o.abs_max, a[count - 1], 1e-6);
        /* the plain list holds every value twice, which moves a quantile by up to one spacing */
        cr_assert_float_eq(o.abs_median, sx_quantile(a, count, 0.5), 3e-5);
        cr_assert_float_eq(o.abs_p90, sx_quantile(a, count, 0.9), 3e-5);
        cr_assert_float_eq(o.abs_p99, sx_quantile(a, count, 0.99), 3e-5);
        sx_free(g);
        sx_free(a);
    }
}

Test(match_stats, orthogonality_of_one_row_is_not_a_number)
{
    static const float w[2] = {3, 4};
    struct sx_orthogonality o;
    cr_assert_eq(sx_orthogonality_of(w, 1, 2, NULL, 0, NULL, &o, NULL), SX_OK);
    cr_assert(o.rows == 1 && isnan(o.abs_mean) && isnan(o.abs_p99));
    cr_assert_float_eq(o.frobenius, 0, 1e-6);
}
