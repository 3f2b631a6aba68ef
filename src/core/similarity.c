/* The similarity matrix is made tile by tile with a matrix product and each tile is read once while
 * it is still in cache. A row keeps the keys of its candidates in a buffer of twice K; an entry
 * enters when it beats the row's floor, and a full buffer is cut back to the K best, whose worst is
 * the new floor. Entries of random data pass the floor about K ln(M/K) times in a row, so almost
 * all of the pass is the product itself. */
#include "sextant/core/similarity.h"

#include <math.h>
#include <string.h>

#include "best.h"
#include "scan.h"
#include "sextant/base/alloc.h"
#include "sextant/core/blas.h"

enum { TILE_ROWS = 512, TILE_COLS = 2048 };

/* Eight running sums. Products of floats are exact in double, so every processor and every
 * contraction gives the same bits. */
typedef float float8 __attribute__((vector_size(32)));
typedef double double8 __attribute__((vector_size(64)));

/* Sanitizer builds run the baseline: a clone's resolver would run before their start-up code. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static double
dot_double(const float *x, const float *y, size_t d)
{
    double8 sums = {0};
    size_t j = 0;
    for (; j + 8 <= d; j += 8) {
        float8 a, b;
        memcpy(&a, x + j, sizeof a);
        memcpy(&b, y + j, sizeof b);
        sums += __builtin_convertvector(a, double8) * __builtin_convertvector(b, double8);
    }
    double sum = 0;
    for (; j < d; j++)
        sum += (double)x[j] * (double)y[j];
    for (int lane = 0; lane < 8; lane++)
        sum += sums[lane];
    return sum;
}

double sx_row_scale(const float *row, size_t d)
{
    double norm = sqrt(dot_double(row, row, d));
    return norm >= 0.01 ? 1 / norm : norm > 0 ? 1 / (norm + 1e-8) : 0;
}

enum sx_status sx_unit_rows(const float *w, size_t n, size_t d, float *unit, double *scale,
                            struct sx_error *err)
{
    const float least = 0x1p-33F / sqrtf((float)d);
    for (size_t i = 0; i < n; i++) {
        const float *row = w + i * d;
        double s = sx_row_scale(row, d);
        /* Infinity in a row makes the scale 0, NaN makes it NaN or 0: ask the row itself. */
        for (size_t j = 0; j < d; j++) {
            if (!isfinite(row[j]))
                return sx_fail(err, SX_ERR_NUMERIC,
                               "row %zu holds a value that is not finite at column %zu", i, j);
            float x = (float)((double)row[j] * s);
            unit[i * d + j] = fabsf(x) < least ? 0.0F : x;
        }
        if (scale)
            scale[i] = s;
    }
    return SX_OK;
}

double sx_row_cosine(const float *a, double scale_a, const float *b, double scale_b, size_t d)
{
    double cosine = dot_double(a, b, d) * scale_a * scale_b;
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

/* --- the K best of many rows -------------------------------------------------------------------
 */

/* A key orders like (similarity, lower index first): positive floats order like their bits. */
static uint64_t make_key(float sim, size_t index)
{
    uint32_t bits;
    memcpy(&bits, &sim, sizeof bits);
    return (uint64_t)bits << 32 | (uint32_t) ~(uint32_t)index;
}

static float key_sim(uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    float sim;
    memcpy(&sim, &bits, sizeof sim);
    return sim;
}

struct collector {
    struct sx_best best;
    float *floor; /* [rows] nothing at or below it can be among the K best */
    bool *is_cut; /* [rows] something was left out */
};

static void collector_release(struct collector *c)
{
    sx_best_release(&c->best);
    sx_free(c->floor);
    sx_free(c->is_cut);
    *c = (struct collector){0};
}

static bool collector_init(struct collector *c, size_t rows, size_t k)
{
    c->floor = sx_calloc_big(rows, sizeof *c->floor);
    c->is_cut = sx_calloc_big(rows, sizeof *c->is_cut);
    return sx_best_init(&c->best, rows, k) && c->floor && c->is_cut;
}

static inline void collect(struct collector *c, size_t row, float sim, size_t index)
{
    if (!sx_best_push(&c->best, row, make_key(sim, index)))
        return;
    c->is_cut[row] = true;
    c->floor[row] = key_sim(c->best.keys[row * 2 * c->best.k + c->best.k - 1]);
}

void sx_candidates_release(struct sx_candidates *c)
{
    sx_free(c->index);
    sx_free(c->sim);
    sx_free(c->bound);
    *c = (struct sx_candidates){0};
}

static bool collector_finish(struct collector *c, struct sx_candidates *out)
{
    size_t rows = c->best.rows, k = c->best.k;
    *out = (struct sx_candidates){.rows = rows, .k = k};
    out->index = sx_alloc_big(rows, k * sizeof *out->index);
    out->sim = sx_alloc_big(rows, k * sizeof *out->sim);
    out->bound = sx_alloc_big(rows, sizeof *out->bound);
    if (!out->index || !out->sim || !out->bound)
        return false;
    for (size_t i = 0; i < rows; i++) {
        const uint64_t *keys = c->best.keys + i * 2 * k;
        bool is_cut = c->is_cut[i] || c->best.count[i] > k;
        sx_best_sort(&c->best, i);
        size_t count = c->best.count[i];
        for (size_t t = 0; t < k; t++) {
            out->index[i * k + t] = t < count ? (int32_t) ~(uint32_t)keys[t] : -1;
            out->sim[i * k + t] = t < count ? key_sim(keys[t]) : 0.0F;
        }
        out->bound[i] = is_cut ? out->sim[i * k + k - 1] : 0.0F;
    }
    return true;
}

/* --- passes ------------------------------------------------------------------------------------
 */

static void progress(struct sx_task *task, uint64_t units)
{
    if (task)
        atomic_fetch_add(&task->done, units);
}

static void keep_tile(float *tile, size_t i0, size_t rows, size_t j0, size_t cols, bool is_signed,
                      struct collector *of_a, struct collector *of_b, uint32_t *hits)
{
    for (size_t r = 0; r < rows; r++) {
        float *s = tile + r * cols;
        size_t i = i0 + r;
        size_t count = sx_scan_either(s, cols, is_signed, of_a->floor[i], of_b->floor + j0, hits);
        for (size_t h = 0; h < count; h++) {
            size_t j = j0 + hits[h];
            float sim = s[hits[h]];
            if (sim > of_a->floor[i])
                collect(of_a, i, sim, j);
            if (sim > of_b->floor[j])
                collect(of_b, j, sim, i);
        }
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

enum sx_status sx_similarity_candidates(const float *ua, size_t n, const float *ub, size_t m,
                                        size_t d, size_t k, bool is_signed, uint64_t work,
                                        struct sx_candidates *of_a, struct sx_candidates *of_b,
                                        struct sx_task *task, struct sx_error *err)
{
    enum sx_status status = SX_OK;
    struct collector best_a = {0}, best_b = {0};
    *of_a = *of_b = (struct sx_candidates){0};
    SX_ASSERT(k > 0 && n <= INT32_MAX && m <= INT32_MAX);
    float *tile = sx_alloc_big(TILE_ROWS, TILE_COLS * sizeof *tile);
    uint32_t hits[TILE_COLS];
    if (!tile || !collector_init(&best_a, n, k) || !collector_init(&best_b, m, k)) {
        status =
            sx_fail(err, SX_ERR_NOMEM, "no memory for the candidates of %zu x %zu pairs", n, m);
        goto out;
    }
    uint64_t given = 0;
    for (size_t i = 0; i < n; i += TILE_ROWS) {
        size_t rows = smaller(TILE_ROWS, n - i);
        for (size_t j = 0; j < m; j += TILE_COLS) {
            size_t cols = smaller(TILE_COLS, m - j);
            status = sx_gemm_task(false, true, rows, cols, d, 1.0F, ua + i * d, d, ub + j * d, d,
                                  0.0F, tile, cols, task);
            if (status != SX_OK)
                goto out;
            keep_tile(tile, i, rows, j, cols, is_signed, &best_a, &best_b, hits);
        }
        uint64_t due = (uint64_t)((double)work * (double)(i + rows) / (double)n);
        progress(task, due - given);
        given = due;
    }
    if (!collector_finish(&best_a, of_a) || !collector_finish(&best_b, of_b))
        status =
            sx_fail(err, SX_ERR_NOMEM, "no memory for the candidates of %zu x %zu pairs", n, m);
out:
    if (status != SX_OK) {
        sx_candidates_release(of_a);
        sx_candidates_release(of_b);
    }
    collector_release(&best_a);
    collector_release(&best_b);
    sx_free(tile);
    return status;
}

static void gather(const float *x, const uint32_t *rows, size_t n, size_t d, float *out)
{
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * d, x + (size_t)rows[i] * d, d * sizeof *out);
}

enum sx_status sx_similarity_above(const float *ua, const uint32_t *rows, size_t n, const float *ub,
                                   const uint32_t *cols, size_t m, size_t d, bool is_signed,
                                   const float *row_floor, const float *col_floor, sx_pair_fn *fn,
                                   void *user, struct sx_task *task, struct sx_error *err)
{
    enum sx_status status = SX_OK;
    float floors[TILE_COLS];
    uint32_t hits[TILE_COLS];
    float *tile = sx_alloc_big(TILE_ROWS, TILE_COLS * sizeof *tile);
    float *part_a = sx_alloc_big(TILE_ROWS, (d ? d : 1) * sizeof *part_a);
    float *part_b = sx_alloc_big(TILE_COLS, (d ? d : 1) * sizeof *part_b);
    if (!tile || !part_a || !part_b) {
        status = sx_fail(err, SX_ERR_NOMEM, "no memory for tiles of similarities");
        goto out;
    }
    for (size_t j = 0; j < m; j += TILE_COLS) {
        size_t n_cols = smaller(TILE_COLS, m - j);
        gather(ub, cols + j, n_cols, d, part_b);
        for (size_t c = 0; c < n_cols; c++)
            floors[c] = col_floor[cols[j + c]];
        for (size_t i = 0; i < n; i += TILE_ROWS) {
            size_t n_rows = smaller(TILE_ROWS, n - i);
            gather(ua, rows + i, n_rows, d, part_a);
            status = sx_gemm_task(false, true, n_rows, n_cols, d, 1.0F, part_a, d, part_b, d, 0.0F,
                                  tile, n_cols, task);
            if (status != SX_OK)
                goto out;
            for (size_t r = 0; r < n_rows; r++) {
                float *s = tile + r * n_cols;
                size_t count =
                    sx_scan_sum(s, n_cols, is_signed, row_floor[rows[i + r]], floors, hits);
                for (size_t h = 0; h < count; h++)
                    fn(user, rows[i + r], cols[j + hits[h]], s[hits[h]]);
            }
        }
    }
out:
    sx_free(tile);
    sx_free(part_a);
    sx_free(part_b);
    return status;
}
