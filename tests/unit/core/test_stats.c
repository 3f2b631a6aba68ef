#include "sextant/core/stats.h"

#include <criterion/criterion.h>
#include <math.h>

/* Reference values: scipy 1.17 and numpy 2.4 (chi2_contingency, norm.sf, proportion_ci, quantile),
 * printed to 12 digits. The counts and correlations are those of Jedryszek & Crook 2026. */

Test(stats, chi_square_with_yates_correction)
{
    struct sx_test t = sx_chi2_yates(57, 900, 72, 555);
    cr_assert_float_eq(t.statistic, 17.9179787326, 1e-9);
    cr_assert_float_eq(t.p, 2.306320997659e-05, 1e-15);
    t = sx_chi2_yates(5, 10, 6, 11); /* the difference is below one half: no correction beyond it */
    cr_assert_eq(t.statistic, 0.0);
    cr_assert_eq(t.p, 1.0);
    cr_assert(isnan(sx_chi2_yates(0, 10, 0, 11).p));
}

/* Values of scipy.stats.binomtest(min(a, b), a + b, 0.5). */
Test(stats, mcnemar_exact)
{
    cr_assert_float_eq(sx_mcnemar_exact(0, 0), 1, 0);
    cr_assert_float_eq(sx_mcnemar_exact(1, 0), 1, 1e-15);
    cr_assert_float_eq(sx_mcnemar_exact(3, 3), 1, 1e-15);
    cr_assert_float_eq(sx_mcnemar_exact(5, 0), 0.0625, 1e-15);
    cr_assert_float_eq(sx_mcnemar_exact(0, 5), 0.0625, 1e-15);
    cr_assert_float_eq(sx_mcnemar_exact(10, 2), 0.03857421875, 1e-14);
    cr_assert_float_eq(sx_mcnemar_exact(12, 30), 0.007915897334896727, 1e-14);
    cr_assert_float_eq(sx_mcnemar_exact(400, 350), 0.07350777405843484, 1e-12);
    cr_assert_float_eq(sx_mcnemar_exact(1800, 2000), 0.0012427867782632013, 1e-12);
}

Test(stats, fisher_r_to_z)
{
    struct sx_test t = sx_fisher_z(0.0595, 900, 0.1437, 555);
    cr_assert_float_eq(t.statistic, 1.57369401906, 1e-10);
    cr_assert_float_eq(t.p, 0.115558205221, 1e-10);
}

Test(stats, wilson_interval)
{
    double lo, hi;
    sx_wilson(57, 900, 1.959963984540054, &lo, &hi);
    cr_assert_float_eq(lo, 0.0492025955713, 1e-12);
    cr_assert_float_eq(hi, 0.0811758659062, 1e-12);
    sx_wilson(0, 10, 1.959963984540054, &lo, &hi);
    cr_assert_eq(lo, 0.0);
    cr_assert_float_eq(hi, 0.277532799863, 1e-12);
    for (uint64_t n = 1; n <= 200; n++) {
        sx_wilson(0, n, 1.959963984540054, &lo, &hi);
        cr_expect(lo == 0 && hi > 0 && hi < 1, "0 of %d: %g", (int)n, lo);
        sx_wilson(n, n, 1.959963984540054, &lo, &hi);
        cr_expect(hi == 1 && lo < 1 && lo > 0, "%d of them: 1 - %g", (int)n, 1 - hi);
    }
    sx_wilson(0, 0, 1.96, &lo, &hi);
    cr_assert(lo == 0 && hi == 1);
}

Test(stats, quantiles_mean_and_deviation)
{
    double x[] = {3, 1, 4, 1, 5, 9, 2, 6};
    cr_assert_float_eq(sx_std_population(x, 8), 2.57087047515, 1e-11);
    cr_assert_float_eq(sx_mean(x, 8), 3.875, 1e-15);
    sx_sort_doubles(x, 8);
    cr_assert_eq(sx_quantile(x, 8, 0), 1.0);
    cr_assert_float_eq(sx_quantile(x, 8, 0.25), 1.75, 1e-15);
    cr_assert_float_eq(sx_quantile(x, 8, 0.5), 3.5, 1e-15);
    cr_assert_float_eq(sx_quantile(x, 8, 0.9), 6.9, 1e-12);
    cr_assert_eq(sx_quantile(x, 8, 1), 9.0);
    cr_assert(isnan(sx_quantile(x, 0, 0.5)) && isnan(sx_mean(x, 0)));
}

/* The percentile bootstrap of a mean is close to the normal interval (1.96 deviations of the mean)
 * when there are many items; 0, 1, …, 199 has mean 99.5 and deviation 57.73. */
Test(stats, bootstrap_of_a_mean)
{
    double x[200];
    for (int i = 0; i < 200; i++)
        x[i] = i;
    struct sx_interval all = sx_bootstrap_mean(x, 200, 1);
    const double half = 1.959964 * 57.7343 / sqrt(200);
    cr_assert_eq(all.n, 200);
    cr_assert_float_eq(all.value, 99.5, 1e-12);
    cr_assert_float_eq(all.lo, 99.5 - half, 0.7);
    cr_assert_float_eq(all.hi, 99.5 + half, 0.7);
    struct sx_interval again = sx_bootstrap_mean(x, 200, 1), other = sx_bootstrap_mean(x, 200, 2);
    cr_assert(again.lo == all.lo && again.hi == all.hi);
    cr_assert(other.value == all.value && other.lo != all.lo);
}

Test(stats, bootstrap_leaves_out_what_is_not_known)
{
    const double some[] = {2, NAN, 2, 2}, none[] = {NAN};
    struct sx_interval two = sx_bootstrap_mean(some, 4, 1);
    cr_assert(two.n == 3 && two.value == 2 && two.lo == 2 && two.hi == 2);
    cr_assert(isnan(sx_bootstrap_mean(none, 1, 1).lo) &&
              isnan(sx_bootstrap_mean(NULL, 0, 1).value));
}

Test(stats, bootstrap_of_a_ratio_is_a_ratio_of_means)
{
    const double above[] = {1, 10, NAN, 4}, below[] = {2, 20, 1, 8};
    struct sx_interval half = sx_bootstrap_ratio(above, below, 4, 3);
    cr_assert(half.n == 3 && half.value == 0.5 && half.lo == 0.5 && half.hi == 0.5);
    const double uneven[] = {1, 0}, weights[] = {1, 3}; /* mean of ratios: 0.5 */
    cr_assert_float_eq(sx_bootstrap_ratio(uneven, weights, 2, 3).value, 0.25, 1e-15);
}
