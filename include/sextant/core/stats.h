/* Small statistics: tests and intervals for counts and correlations, order statistics. */
#ifndef SEXTANT_CORE_STATS_H
#define SEXTANT_CORE_STATS_H

#include <stddef.h>
#include <stdint.h>

struct sx_test {
    double statistic; /* chi-square or z */
    double p;         /* chi-square upper tail (1 degree of freedom), or two-sided normal */
};

/* Are two proportions k1/n1 and k2/n2 the same? Pearson's chi-square of the 2 x 2 table with
 * Yates' correction, no larger than the difference itself (as scipy). NAN for an empty margin. */
struct sx_test sx_chi2_yates(uint64_t k1, uint64_t n1, uint64_t k2, uint64_t n2);

/* McNemar's exact test of paired yes-or-no answers: `only_a` pairs where a alone says yes, `only_b`
 * where b alone does. Two-sided binomial p; 1 without such pairs. */
double sx_mcnemar_exact(uint64_t only_a, uint64_t only_b);

/* Fisher's r-to-z test of two independent correlations: z = (atanh r2 - atanh r1) / se. */
struct sx_test sx_fisher_z(double r1, uint64_t n1, double r2, uint64_t n2);

/* Wilson's score interval of k/n; z = 1.959964 for 95 %. n = 0 gives [0,1]. */
void sx_wilson(uint64_t k, uint64_t n, double z, double *lo, double *hi);

/* Quantile q in [0,1] of ascending values, interpolated linearly (as numpy). NAN when empty. */
double sx_quantile(const double *ascending, size_t n, double q);
void sx_sort_doubles(double *values, size_t n); /* ascending; NaN is not allowed */

double sx_mean(const double *values, size_t n); /* NAN when empty */
double sx_std_population(const double *values, size_t n);

/* A number with its 95 % interval: percentiles of means over resampled items (Efron's bootstrap;
 * the same seed gives the same bits). Items with a NaN are left out; n counts the rest. value, lo
 * and hi are NAN when nothing is left; one item gives an interval of no width. */
struct sx_interval {
    double value, lo, hi;
    size_t n;
};
enum { SX_BOOTSTRAP_DRAWS = 2000 };
struct sx_interval sx_bootstrap_mean(const double *values, size_t n, uint64_t seed);
/* Σ numerator / Σ denominator: a ratio of means, not a mean of ratios. Draws whose denominator is
 * zero are left out. */
struct sx_interval sx_bootstrap_ratio(const double *numerator, const double *denominator, size_t n,
                                      uint64_t seed);

#endif
