/* One model's weights: alignment, dead latents, decoder orthogonality. */
#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/core/blas.h"
#include "sextant/core/similarity.h"
#include "sextant/core/stats.h"
#include "sextant/sae/match.h"

/* Below this a row counts as zero: float32 training underflows long before. */
#define TINY_NORM 1e-12

enum { TILE = 1024, BINS = 1 << 20 };

static double sum_of_squares(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

void sx_match_alignment(const struct sx_match_input *model, float *align)
{
    size_t d = model->D;
    for (size_t j = 0; j < model->F; j++) {
        const float *enc = model->W_enc + j * d, *dec = model->W_dec + j * d;
        double dot = 0, norms = sqrt(sum_of_squares(enc, d)) * sqrt(sum_of_squares(dec, d));
        for (size_t i = 0; i < d; i++)
            dot += (double)enc[i] * (double)dec[i];
        align[j] = norms > 0 ? (float)(dot / norms) : 0.0F;
    }
}

void sx_align_stats_of(const float *align, size_t n, struct sx_align_stats *out)
{
    double *sorted = sx_xmalloc((n + 1) * sizeof *sorted);
    *out = (struct sx_align_stats){0};
    for (size_t j = 0; j < n; j++) {
        double a = sorted[j] = (double)align[j];
        out->over_05 += (a > 0.5) / (double)n;
        out->over_07 += (a > 0.7) / (double)n;
        out->over_09 += (a > 0.9) / (double)n;
        out->over_095 += a > 0.95;
    }
    out->mean = sx_mean(sorted, n);
    sx_sort_doubles(sorted, n);
    out->median = sx_quantile(sorted, n, 0.5);
    sx_free(sorted);
}

void sx_count_dead(const struct sx_match_input *model, struct sx_dead_counts *out)
{
    *out = (struct sx_dead_counts){0};
    for (size_t j = 0; j < model->F; j++) {
        double enc = sqrt(sum_of_squares(model->W_enc + j * model->D, model->D));
        double dec = sqrt(sum_of_squares(model->W_dec + j * model->D, model->D));
        out->enc_exact += enc == 0;
        out->dec_exact += dec == 0;
        out->either_exact += enc == 0 || dec == 0;
        out->enc_tiny += enc < TINY_NORM;
        out->dec_tiny += dec < TINY_NORM;
        out->either_tiny += enc < TINY_NORM || dec < TINY_NORM;
    }
}

/* --- orthogonality: the upper triangle of the Gram matrix, tile by tile ------------------------
 */

struct gram_sums {
    double abs_sum, sum, sum_sq, diagonal; /* diagonal: sum of (1 - g_ii)^2 */
    float abs_max;
    uint64_t pairs;
    uint64_t *bins; /* [BINS] of |g| in [0,1] */
};

static void take_entry(struct gram_sums *s, float g)
{
    float a = fabsf(g);
    size_t bin = (size_t)((double)a * BINS);
    s->bins[bin < BINS ? bin : BINS - 1]++;
    s->abs_max = a > s->abs_max ? a : s->abs_max;
    s->abs_sum += (double)a;
    s->sum += (double)g;
    s->sum_sq += (double)g * (double)g;
}

static void take_tile(struct gram_sums *s, const float *tile, size_t i0, size_t rows, size_t j0,
                      size_t cols)
{
    for (size_t r = 0; r < rows; r++) {
        size_t i = i0 + r, first = i >= j0 ? i + 1 - j0 : 0;
        if (i >= j0 && i < j0 + cols) {
            double off = (double)tile[r * cols + i - j0] - 1;
            s->diagonal += off * off;
        }
        for (size_t c = first; c < cols; c++)
            take_entry(s, tile[r * cols + c]);
        s->pairs += first < cols ? cols - first : 0;
    }
}

/* Value with `rank` (0-based) entries below it, spread evenly inside its bin. */
static double ranked(const struct gram_sums *s, double rank)
{
    double before = 0;
    for (size_t b = 0; b < BINS; b++) {
        double count = (double)s->bins[b];
        if (count > 0 && before + count > rank)
            return ((double)b + (rank - before + 0.5) / count) / BINS;
        before += count;
    }
    return (double)s->abs_max;
}

static void finish_sums(const struct gram_sums *s, struct sx_orthogonality *out)
{
    double n = (double)s->pairs;
    out->frobenius = sqrt(2 * s->sum_sq + s->diagonal);
    if (s->pairs == 0)
        return;
    out->abs_mean = s->abs_sum / n;
    out->abs_max = fmin(1, (double)s->abs_max);
    out->abs_median = ranked(s, 0.5 * (n - 1));
    out->abs_p90 = ranked(s, 0.9 * (n - 1));
    out->abs_p99 = ranked(s, 0.99 * (n - 1));
    out->signed_mean = s->sum / n;
    out->signed_std = sqrt(fmax(0, s->sum_sq / n - out->signed_mean * out->signed_mean));
}

static size_t keep_rows(const float *w, size_t F, size_t D, const bool *keep, float *out)
{
    size_t n = 0;
    for (size_t j = 0; j < F; j++)
        if (!keep || keep[j])
            memcpy(out + D * n++, w + j * D, D * sizeof *out);
    return n;
}

enum sx_status sx_orthogonality_of(const float *w, size_t F, size_t D, const bool *keep,
                                   uint64_t work, struct sx_task *task,
                                   struct sx_orthogonality *out, struct sx_error *err)
{
    enum sx_status status = SX_OK;
    struct gram_sums sums = {0};
    uint64_t given = 0;
    float *kept = sx_alloc_big(F, D * sizeof *kept), *unit = sx_alloc_big(F, D * sizeof *unit);
    float *tile = sx_alloc_big(TILE, TILE * sizeof *tile);
    sums.bins = sx_calloc_big(BINS, sizeof *sums.bins);
    *out = (struct sx_orthogonality){0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0};
    if (!kept || !unit || !tile || !sums.bins) {
        status = sx_fail(err, SX_ERR_NOMEM, "no memory for the Gram matrix of %zu rows", F);
        goto out;
    }
    size_t n = keep_rows(w, F, D, keep, kept);
    out->rows = n;
    status = sx_unit_rows(kept, n, D, unit, NULL, err);
    for (size_t i = 0; i < n && status == SX_OK; i += TILE) {
        size_t rows = n - i < TILE ? n - i : TILE;
        for (size_t j = i; j < n && status == SX_OK; j += TILE) {
            size_t cols = n - j < TILE ? n - j : TILE;
            status = sx_gemm_task(false, true, rows, cols, D, 1.0F, unit + i * D, D, unit + j * D,
                                  D, 0.0F, tile, cols, task);
            if (status == SX_OK)
                take_tile(&sums, tile, i, rows, j, cols);
        }
        double left = (double)(n - i - rows) / (double)n; /* of the triangle: its square */
        uint64_t due = (uint64_t)((double)work * (1 - left * left));
        if (task)
            atomic_fetch_add(&task->done, due - given);
        given = due;
    }
    if (status == SX_OK && task)
        atomic_fetch_add(&task->done, work - given);
    finish_sums(&sums, out);
out:
    sx_free(kept);
    sx_free(unit);
    sx_free(tile);
    sx_free(sums.bins);
    return status;
}
