/* Attention of one head. Included by each nn_<instruction set>.c.
 *
 * A few queries (TILE) at a time: their scores against every key are made in registers, several
 * queries by several vectors of keys, and stored once in a strip that stays in the first-level
 * cache; the strip goes through the exponential, then against the values, again in registers. The
 * strip is kept as [keys / W][TILE][W], so that where a query's weight stands beside another's is a
 * constant. What is computed of a query does not depend on the queries beside it. */
#ifndef SEXTANT_CORE_NN_ATTENTION_H
#define SEXTANT_CORE_NN_ATTENTION_H

#include "nn_few.h"

#if defined(__AVX512F__)
#define SCORE_ROWS 8
#define SCORE_COLS 3
#define MIX_COLS 4
#elif defined(__AVX2__)
#define SCORE_ROWS 4
#define SCORE_COLS 3
#define MIX_COLS 2
#else
#define SCORE_ROWS 4
#define SCORE_COLS 2
#define MIX_COLS 2
#endif
#define LONE_COLS 4
#define HALF 4
#define POUR_FROM 512                 /* keys: maps of so many do not fit into the caches */
#define BLOCK (SX_ATTENTION_TILE * W) /* of the strip: W keys of every query */

struct strip {
    const struct sx_attention_head *head;
    const float *barrier; /* [n_k, rounded up] 0, or -INFINITY where no query may look */
    float *row;           /* [n_k, rounded up] one query's row in order, for who looks at it */
    float *scores;        /* the strip */
    float peak[SX_ATTENTION_TILE];
};

/* Scores of `rows` queries from `query` on against `cols` vectors of keys from `key` on. */
INLINE void score_block(const size_t rows, const size_t cols, const struct strip *strip,
                        size_t query, size_t first, size_t key, vec *peak)
{
    const struct sx_attention_head *head = strip->head;
    const float *q = head->q + query * head->ldq, *kt = head->kt + key;
    const size_t ldq = head->ldq;
    vec sum[SCORE_ROWS * SCORE_COLS + 8];
#pragma GCC unroll 32
    for (size_t i = 0; i < rows * cols; i++)
        sum[i] = v_set(0);
    for (size_t i = 0, d = head->d; i < d; i++, kt += head->ldk) {
        vec k[LONE_COLS];
#pragma GCC unroll 8
        for (size_t c = 0; c < cols; c++)
            k[c] = v_load(kt + c * W);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            vec value = v_set(q[r * ldq + i]);
#pragma GCC unroll 8
            for (size_t c = 0; c < cols; c++)
                sum[r * cols + c] = v_fma(value, k[c], sum[r * cols + c]);
        }
    }
    float *to = strip->scores + key / W * BLOCK + first * W;
    const vec scale = v_set(head->scale);
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
        vec most = peak[r];
#pragma GCC unroll 8
        for (size_t c = 0; c < cols; c++) {
            vec s = v_fma(sum[r * cols + c], scale, v_load(strip->barrier + key + c * W));
            v_store(to + c * BLOCK + r * W, s);
            most = v_max(s, most);
        }
        peak[r] = most;
    }
}

/* Keys from <= j < to, multiples of W; peak gathers the highest score. `first`: the first row of
 * the strip. */
INLINE void score_span(const size_t rows, const size_t cols, const struct strip *strip,
                       size_t query, size_t first, size_t from, size_t to, vec *peak)
{
    size_t j = from;
    for (; j + cols * W <= to; j += cols * W)
        score_block(rows, cols, strip, query + first, first, j, peak + first);
    for (; j < to; j += W)
        score_block(rows, 1, strip, query + first, first, j, peak + first);
}

static void score_rows(const struct strip *strip, size_t query, size_t rows, size_t from, size_t to,
                       vec *peak)
{
    size_t r = 0;
    for (; r + SCORE_ROWS <= rows; r += SCORE_ROWS)
        score_span(SCORE_ROWS, SCORE_COLS, strip, query, r, from, to, peak);
    for (; SCORE_ROWS > HALF && r + HALF <= rows; r += HALF)
        score_span(HALF, SCORE_COLS, strip, query, r, from, to, peak);
    for (; r < rows; r++)
        score_span(1, LONE_COLS, strip, query, r, from, to, peak);
}

/* sum[rows, cols] += p v of one key. */
INLINE void mix_key(const size_t rows, const size_t cols, const size_t part, const float *p,
                    const float *v, vec *sum)
{
    vec value[MIX_COLS];
#pragma GCC unroll 8
    for (size_t c = 0; c < cols; c++)
        value[c] = part ? v_load_part(v, part) : v_load(v + c * W);
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
        vec weight = v_set(p[r * W]);
#pragma GCC unroll 8
        for (size_t c = 0; c < cols; c++)
            sum[r * cols + c] = v_fma(weight, value[c], sum[r * cols + c]);
    }
}

/* out[rows, cols vectors] = p v over the keys below n; `part` > 0: the one column has only so many
 * elements. */
INLINE void mix_block(const size_t rows, const size_t cols, const size_t part, const float *p,
                      size_t n, const float *v, size_t ldv, const float *factor, float *out,
                      size_t ldo)
{
    /* One column alone has too few sums to keep the multipliers busy: two sets of them, of even and
     * of odd keys. */
    const size_t sets = cols == 1 ? 2 : 1;
    vec sum[2 * SX_ATTENTION_TILE * MIX_COLS];
#pragma GCC unroll 32
    for (size_t i = 0; i < sets * rows * cols; i++)
        sum[i] = v_set(0);
    size_t j = 0;
    for (; j + W <= n; j += W, p += BLOCK)
#pragma GCC unroll 2
        for (size_t k = 0; k < W; k += 2, v += 2 * ldv) {
            mix_key(rows, cols, part, p + k, v, sum);
            mix_key(rows, cols, part, p + k + 1, v + ldv, sum + (sets - 1) * rows * cols);
        }
    for (; j + 2 <= n; j += 2, p += 2, v += 2 * ldv) {
        mix_key(rows, cols, part, p, v, sum);
        mix_key(rows, cols, part, p + 1, v + ldv, sum + (sets - 1) * rows * cols);
    }
    if (j < n)
        mix_key(rows, cols, part, p, v, sum);
    if (sets == 2)
#pragma GCC unroll 32
        for (size_t i = 0; i < rows * cols; i++)
            sum[i] += sum[rows * cols + i];
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (size_t c = 0; c < cols; c++) {
            vec mixed = sum[r * cols + c] * factor[r];
            if (part)
                v_store_part(out + r * ldo, mixed, part);
            else
                v_store(out + r * ldo + c * W, mixed);
        }
}

/* All `rows` rows of some columns, `most` at a time, then HALF, then one. */
INLINE void mix_span(const size_t most, const size_t cols, const size_t part,
                     const struct strip *strip, size_t query, size_t rows, size_t n, size_t column,
                     const float *factor)
{
    const struct sx_attention_head *head = strip->head;
    const float *v = head->v + column, *p = strip->scores;
    float *out = head->out + query * head->ldo + column;
    const size_t ldv = head->ldv, ldo = head->ldo;
    size_t r = 0;
    for (; r + most <= rows; r += most)
        mix_block(most, cols, part, p + r * W, n, v, ldv, factor + r, out + r * ldo, ldo);
    for (; most > HALF && r + HALF <= rows; r += HALF)
        mix_block(HALF, cols, part, p + r * W, n, v, ldv, factor + r, out + r * ldo, ldo);
    for (; r < rows; r++)
        mix_block(1, cols, part, p + r * W, n, v, ldv, factor + r, out + r * ldo, ldo);
}

static void mix_rows(const struct strip *strip, size_t query, size_t rows, size_t n,
                     const float *factor)
{
    size_t vectors = strip->head->d / W, part = strip->head->d % W, c = 0;
    for (; c + MIX_COLS <= vectors; c += MIX_COLS)
        mix_span(HALF, MIX_COLS, 0, strip, query, rows, n, c * W, factor);
#if defined(__AVX512F__)
    if (vectors - c == 3)
        mix_span(SCORE_ROWS, 3, 0, strip, query, rows, n, c * W, factor);
    if (vectors - c == 2)
        mix_span(SCORE_ROWS, 2, 0, strip, query, rows, n, c * W, factor);
#endif
    if (vectors - c == 1)
        mix_span(SCORE_ROWS, 1, 0, strip, query, rows, n, c * W, factor);
    if (part)
        mix_span(SCORE_ROWS, 1, part, strip, query, rows, n, vectors * W, factor);
}

INLINE size_t visible_keys(const struct sx_attention_head *head, size_t query)
{
    if (head->causal >= (int64_t)head->n_k)
        return head->n_k;
    int64_t n = (int64_t)query + head->causal + 1;
    return n < 0 ? 0 : (size_t)n < head->n_k ? (size_t)n : head->n_k;
}

INLINE float *strip_at(const struct strip *strip, size_t r, size_t key)
{
    return strip->scores + key / W * BLOCK + r * W + key % W;
}

static void bar(const struct strip *strip, size_t r, size_t from, size_t to)
{
    for (size_t j = from; j < to; j++)
        *strip_at(strip, r, j) = -INFINITY;
}

/* Scores of the tile, masked, and each row's peak. Returns how many keys, rounded up, were looked
 * at: what lies behind is not in the strip. */
static size_t score_tile(struct strip *strip, size_t query, size_t rows)
{
    const struct sx_attention_head *head = strip->head;
    vec peak[SX_ATTENTION_TILE], unused[SX_ATTENTION_TILE];
    for (size_t r = 0; r < SX_ATTENTION_TILE; r++)
        peak[r] = unused[r] = v_set(-INFINITY);
    size_t least = visible_keys(head, query), most = visible_keys(head, query + rows - 1);
    size_t end = sx_attention_width(most), whole = least == head->n_k ? end : least / 16 * 16;
    score_rows(strip, query, rows, 0, whole, peak);
    score_rows(strip, query, rows, whole, end, unused);
    for (size_t r = 0; r < rows; r++) {
        if (whole < end)
            bar(strip, r, visible_keys(head, query + r), end);
        for (size_t j = whole; j < end; j += W)
            peak[r] = v_max(v_load(strip_at(strip, r, j)), peak[r]);
        strip->peak[r] = v_highest(peak[r]);
    }
    return end;
}

/* e^(score - peak) of `rows` rows from `first` on; their sums in float lanes within a stretch, then
 * in double. A row of -INFINITY alone has that peak. */
INLINE void exp_rows(const size_t rows, struct strip *strip, size_t first, size_t n, float *factor)
{
    double total[SX_ATTENTION_TILE] = {0};
    vec from[SX_ATTENTION_TILE];
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
        float peak = strip->peak[first + r];
        from[r] = v_set(isinf(peak) && peak < 0 ? 0 : peak);
    }
    for (size_t start = 0; start < n; start += SUM_STRETCH) {
        size_t end = start + SUM_STRETCH < n ? start + SUM_STRETCH : n;
        vec sum[SX_ATTENTION_TILE];
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++)
            sum[r] = v_set(0);
        for (size_t j = start; j < end; j += W) {
            float *p = strip->scores + j / W * BLOCK + first * W;
#pragma GCC unroll 8
            for (size_t r = 0; r < rows; r++) {
                vec e = v_exp(v_load(p + r * W) - from[r]);
                v_store(p + r * W, e);
                sum[r] += e;
            }
        }
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++)
            total[r] += (double)v_sum(sum[r]);
    }
    for (size_t r = 0; r < rows; r++)
        factor[first + r] = total[r] == 0 ? 0 : (float)(1 / total[r]);
}

static void exp_tile(struct strip *strip, size_t rows, size_t n, float *factor)
{
    size_t r = 0;
    for (; r + SCORE_ROWS <= rows; r += SCORE_ROWS)
        exp_rows(SCORE_ROWS, strip, r, n, factor);
    for (; r < rows; r++)
        exp_rows(1, strip, r, n, factor);
}

/* out = row r of the strip times a factor, its first n entries. */
static void row_of(const struct strip *strip, size_t r, size_t n, float factor, float *out)
{
    const float *p = strip->scores + r * W;
    size_t j = 0;
    for (; j + W <= n; j += W, p += BLOCK)
        v_store(out + j, v_load(p) * factor);
    if (j < n)
        v_store_part(out + j, v_load(p) * factor, n - j);
}

static void row_back(const struct strip *strip, size_t r, size_t n, const float *row)
{
    for (size_t j = 0; j < n; j++)
        *strip_at(strip, r, j) = row[j];
}

/* Is a row what row_of made? */
static bool row_same(const struct strip *strip, size_t r, size_t n, float factor, const float *row)
{
    const float *p = strip->scores + r * W;
    ivec differs = {0};
    size_t j = 0;
    for (; j + W <= n; j += W, p += BLOCK)
        differs |= (ivec)v_load(row + j) ^ (ivec)(v_load(p) * factor);
    if (j < n) {
        float tail[W] = {0};
        v_store_part(tail, v_load(p) * factor, n - j);
        differs |= (ivec)v_load_part(row + j, n - j) ^ (ivec)v_load(tail);
    }
    const ivec none = {0};
    return memcmp(&differs, &none, sizeof none) == 0;
}

INLINE bool is_shown(const struct sx_attention_head *head, size_t query)
{
    return !head->shown || head->shown[query];
}

static bool any_shown(const struct sx_attention_head *head, size_t query, size_t rows)
{
    bool any = false;
    for (size_t r = 0; (head->on_scores || head->on_pattern) && r < rows; r++)
        any = any || is_shown(head, query + r);
    return any;
}

/* As below. */
static void show_scores(struct strip *strip, size_t query, size_t rows)
{
    const struct sx_attention_head *head = strip->head;
    for (size_t r = 0; r < rows; r++) {
        if (!is_shown(head, query + r))
            continue;
        row_of(strip, r, head->n_k, 1, strip->row);
        head->on_scores(head->ctx, query + r, strip->row);
        if (row_same(strip, r, head->n_k, 1, strip->row))
            continue;
        row_back(strip, r, head->n_k, strip->row);
        strip->peak[r] = row_peak(strip->row, head->n_k);
    }
}

/* A row that is left as it was goes on as if nobody had looked, to the bit. */
static void show_pattern(struct strip *strip, size_t query, size_t rows, float *factor)
{
    const struct sx_attention_head *head = strip->head;
    for (size_t r = 0; r < rows; r++) {
        if (!is_shown(head, query + r))
            continue;
        row_of(strip, r, head->n_k, factor[r], strip->row);
        head->on_pattern(head->ctx, query + r, strip->row);
        if (row_same(strip, r, head->n_k, factor[r], strip->row))
            continue;
        row_back(strip, r, head->n_k, strip->row);
        factor[r] = 1;
    }
}

static void keep_pattern(const struct strip *strip, size_t query, size_t rows, size_t n,
                         const float *factor)
{
    const struct sx_attention_head *head = strip->head;
    for (size_t r = 0; r < rows; r++) {
        float *copy = head->pattern + (query + r) * head->ldp;
        if (n < POUR_FROM) {
            row_of(strip, r, n, factor[r], copy);
        } else {
            row_of(strip, r, n, factor[r], strip->row);
            v_pour(copy, strip->row, n);
        }
        memset(copy + n, 0, (head->n_k - n) * sizeof *copy);
    }
}

static void attend_tile(struct strip *strip, size_t query, size_t rows)
{
    const struct sx_attention_head *head = strip->head;
    size_t end = score_tile(strip, query, rows);
    const bool shown = any_shown(head, query, rows);
    if (shown) {
        /* Who looks at a row may write anywhere in it. */
        for (size_t r = 0; r < rows; r++)
            bar(strip, r, end, sx_attention_width(head->n_k));
        end = sx_attention_width(head->n_k);
    }
    size_t seen = end < head->n_k ? end : head->n_k;
    float factor[SX_ATTENTION_TILE];
    if (shown && head->on_scores)
        show_scores(strip, query, rows);
    exp_tile(strip, rows, end, factor);
    if (shown && head->on_pattern)
        show_pattern(strip, query, rows, factor);
    if (head->pattern)
        keep_pattern(strip, query, rows, seen, factor);
    mix_rows(strip, query, rows, seen, factor);
}

static void attention(const struct sx_attention_head *head)
{
    size_t width = sx_attention_width(head->n_k);
    float *barrier = head->scratch;
    for (size_t j = 0; j < width; j++)
        barrier[j] = j >= head->n_k || (head->forbidden && head->forbidden[j]) ? -INFINITY : 0;
    struct strip strip = {
        .head = head, .barrier = barrier, .row = barrier + width, .scores = barrier + 2 * width};
    for (size_t i = 0; i < head->n_q; i += SX_ATTENTION_TILE) {
        size_t left = head->n_q - i;
        attend_tile(&strip, i, left < SX_ATTENTION_TILE ? left : SX_ATTENTION_TILE);
    }
}

#endif
