#include "sextant/core/dense.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "sextant/base/alloc.h"

/* Four sums side by side: the compiler may not reorder one. */
static double dot_f64(const float *w, const double *x, size_t n)
{
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += (double)w[i] * x[i];
        s1 += (double)w[i + 1] * x[i + 1];
        s2 += (double)w[i + 2] * x[i + 2];
        s3 += (double)w[i + 3] * x[i + 3];
    }
    for (; i < n; i++)
        s0 += (double)w[i] * x[i];
    return (s0 + s1) + (s2 + s3);
}

void sx_matvec_f64(const float *w, size_t ld, size_t m, size_t n, const double *x, double *y)
{
    for (size_t i = 0; i < m; i++)
        y[i] = dot_f64(w + i * ld, x, n);
}

void sx_matvec_t_f64(const float *w, size_t ld, size_t m, size_t n, const double *x, double *y)
{
    memset(y, 0, n * sizeof *y);
    for (size_t i = 0; i < m; i++) {
        const float *row = w + i * ld;
        const double xi = x[i];
        for (size_t j = 0; j < n; j++)
            y[j] += (double)row[j] * xi;
    }
}

/* --- singular values ----------------------------------------------------------------------------
 */

/* Rotates columns i and j of A, held as rows of `columns`, until they are orthogonal. False: they
 * were. */
static bool orthogonalise(double *x, double *y, size_t m)
{
    double xx = 0, yy = 0, xy = 0;
    for (size_t r = 0; r < m; r++) {
        xx += x[r] * x[r];
        yy += y[r] * y[r];
        xy += x[r] * y[r];
    }
    if (fabs(xy) <= 1e-15 * sqrt(xx * yy))
        return false;
    const double zeta = (yy - xx) / (2 * xy);
    const double t = copysign(1, zeta) / (fabs(zeta) + sqrt(1 + zeta * zeta));
    const double c = 1 / sqrt(1 + t * t);
    const double s = c * t;
    for (size_t r = 0; r < m; r++) {
        const double a = x[r];
        x[r] = c * a - s * y[r];
        y[r] = s * a + c * y[r];
    }
    return true;
}

static void sort_descending(double *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const double value = x[i];
        size_t at = i;
        for (; at > 0 && x[at - 1] < value; at--)
            x[at] = x[at - 1];
        x[at] = value;
    }
}

void sx_singular_values(double *a, size_t m, size_t n, double *out)
{
    enum { SWEEPS = 60 }; /* some 10 are enough; a bound for the worst */
    SX_ASSERT(m >= n);
    double *columns = sx_xcalloc(m * n + 1, sizeof *columns);
    for (size_t r = 0; r < m; r++)
        for (size_t c = 0; c < n; c++)
            columns[c * m + r] = a[r * n + c];
    bool moved = true;
    for (int sweep = 0; sweep < SWEEPS && moved; sweep++) {
        moved = false;
        for (size_t i = 0; i < n; i++)
            for (size_t j = i + 1; j < n; j++)
                moved |= orthogonalise(columns + i * m, columns + j * m, m);
    }
    for (size_t c = 0; c < n; c++) {
        double sum = 0;
        for (size_t r = 0; r < m; r++)
            sum += columns[c * m + r] * columns[c * m + r];
        out[c] = sqrt(sum);
    }
    sort_descending(out, n);
    sx_free(columns);
}

/* Reflects column k to a multiple of the unit vector and the columns behind it along. */
static void reflect(double *a, size_t m, size_t n, size_t k)
{
    double norm = 0;
    for (size_t r = k; r < m; r++)
        norm += a[r * n + k] * a[r * n + k];
    norm = sqrt(norm);
    if (norm == 0)
        return;
    const double alpha = a[k * n + k] > 0 ? -norm : norm;
    a[k * n + k] -= alpha; /* the column holds the reflector now */
    double vv = 0;
    for (size_t r = k; r < m; r++)
        vv += a[r * n + k] * a[r * n + k];
    for (size_t c = k + 1; c < n; c++) {
        double dot = 0;
        for (size_t r = k; r < m; r++)
            dot += a[r * n + k] * a[r * n + c];
        for (size_t r = k; r < m; r++)
            a[r * n + c] -= 2 * dot / vv * a[r * n + k];
    }
    a[k * n + k] = alpha;
}

void sx_qr_r(double *a, size_t m, size_t n, double *r)
{
    SX_ASSERT(m >= n);
    for (size_t k = 0; k < n; k++)
        reflect(a, m, n, k);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            r[i * n + j] = j < i ? 0 : a[i * n + j];
}
