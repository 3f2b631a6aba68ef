#include "sextant/core/stats.h"

#include <math.h>
#include <stdlib.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"

struct sx_test sx_chi2_yates(uint64_t k1, uint64_t n1, uint64_t k2, uint64_t n2)
{
    double n = (double)n1 + (double)n2, hits = (double)k1 + (double)k2;
    double observed[4] = {(double)k1, (double)n1 - (double)k1, (double)k2, (double)n2 - (double)k2};
    double expected[4] = {(double)n1 * hits / n, (double)n1 * (n - hits) / n, (double)n2 * hits / n,
                          (double)n2 * (n - hits) / n};
    double chi2 = 0;
    for (int i = 0; i < 4; i++) {
        double off = fabs(observed[i] - expected[i]);
        off -= fmin(0.5, off);
        chi2 += off * off / expected[i]; /* 0/0 for an empty margin: NaN, as promised */
    }
    return (struct sx_test){chi2, erfc(sqrt(chi2 / 2))};
}

double sx_mcnemar_exact(uint64_t only_a, uint64_t only_b)
{
    const double n = (double)only_a + (double)only_b;
    const uint64_t fewer = only_a < only_b ? only_a : only_b;
    double log_term = -n * M_LN2; /* of "k of n" with equal chances, k = 0 */
    double tail = exp(log_term);
    for (uint64_t k = 1; k <= fewer; k++) {
        log_term += log((n - (double)k + 1) / (double)k);
        tail += exp(log_term);
    }
    return fmin(1, 2 * tail);
}

struct sx_test sx_fisher_z(double r1, uint64_t n1, double r2, uint64_t n2)
{
    double error = sqrt(1 / ((double)n1 - 3) + 1 / ((double)n2 - 3));
    double z = (atanh(r2) - atanh(r1)) / error;
    return (struct sx_test){z, erfc(fabs(z) / sqrt(2))};
}

void sx_wilson(uint64_t k, uint64_t n, double z, double *lo, double *hi)
{
    *lo = 0;
    *hi = 1;
    if (n == 0)
        return;
    double trials = (double)n, rate = (double)k / trials, shrink = 1 + z * z / trials;
    double centre = (rate + z * z / (2 * trials)) / shrink;
    double half = z / shrink * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials));
    /* At the ends centre and half differ by rounding alone. */
    *lo = k == 0 ? 0 : fmax(0, centre - half);
    *hi = k == n ? 1 : fmin(1, centre + half);
}

double sx_quantile(const double *ascending, size_t n, double q)
{
    if (n == 0)
        return NAN;
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n)
        return ascending[n - 1];
    double part = at - (double)below;
    return ascending[below] + part * (ascending[below + 1] - ascending[below]);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void sx_sort_doubles(double *values, size_t n)
{
    if (n > 1)
        qsort(values, n, sizeof *values, by_value);
}

double sx_mean(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n ? sum / (double)n : NAN;
}

double sx_std_population(const double *values, size_t n)
{
    double mean = sx_mean(values, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (values[i] - mean) * (values[i] - mean);
    return n ? sqrt(sum / (double)n) : NAN;
}

/* --- bootstrap ----------------------------------------------------------------------------------
 */

static double ratio_of(const double *numerator, const double *denominator, const size_t *item,
                       size_t n)
{
    double above = 0;
    double below = 0;
    for (size_t i = 0; i < n; i++) {
        above += numerator[item[i]];
        below += denominator ? denominator[item[i]] : 1;
    }
    return above / below;
}

static struct sx_interval bootstrap(const double *numerator, const double *denominator, size_t n,
                                    uint64_t seed)
{
    struct sx_interval out = {NAN, NAN, NAN, 0};
    struct sx_rng rng = sx_rng_make(seed, 0);
    size_t *kept = sx_xcalloc(n + 1, sizeof *kept);
    size_t *drawn = sx_xcalloc(n + 1, sizeof *drawn);
    double *draws = sx_xcalloc(SX_BOOTSTRAP_DRAWS, sizeof *draws);
    size_t n_draws = 0;

    for (size_t i = 0; i < n; i++)
        if (!isnan(numerator[i]) && !(denominator && isnan(denominator[i])))
            kept[out.n++] = i;
    for (int draw = 0; draw < SX_BOOTSTRAP_DRAWS && out.n > 0; draw++) {
        for (size_t i = 0; i < out.n; i++)
            drawn[i] = kept[sx_rng_below(&rng, out.n)];
        const double ratio = ratio_of(numerator, denominator, drawn, out.n);
        if (isfinite(ratio))
            draws[n_draws++] = ratio;
    }
    if (out.n > 0)
        out.value = ratio_of(numerator, denominator, kept, out.n);
    sx_sort_doubles(draws, n_draws);
    out.lo = sx_quantile(draws, n_draws, 0.025);
    out.hi = sx_quantile(draws, n_draws, 0.975);
    sx_free(kept);
    sx_free(drawn);
    sx_free(draws);
    return out;
}

struct sx_interval sx_bootstrap_mean(const double *values, size_t n, uint64_t seed)
{
    return bootstrap(values, NULL, n, seed);
}

struct sx_interval sx_bootstrap_ratio(const double *numerator, const double *denominator, size_t n,
                                      uint64_t seed)
{
    return bootstrap(numerator, denominator, n, seed);
}
