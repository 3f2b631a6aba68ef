/* Attention of one head. Included by each nn_<instruction set>.c.
 *
 * A few queries (TILE) at a time: their scores against every key are made in registers, several
 * queries by several vectors of keys, and stored once in a strip that stays in the first-level
 * cache; the strip goes through the exponential, then against the values, again in registers. What
 * is computed of a query does not depend on the queries beside it. */
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

struct strip {
    const struct sx_attention_head *head;
    const float *barrier; /* [n_k, rounded up] 0, or -INFINITY where no query may look */
    float *scores;        /* [TILE, stride] */
    size_t stride;
    float peak[SX_ATTENTION_TILE];
};

/* Scores of `rows` queries from `query` on against `cols` vectors of keys from `key` on. */
INLINE void score_block(const size_t rows, const size_t cols, const struct strip *strip,
                        size_t query, float *to, size_t key, vec *peak)
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
    const vec scale = v_set(head->scale);
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
        vec most = peak[r];
#pragma GCC unroll 8
        for (size_t c = 0; c < cols; c++) {
            vec s = v_fma(sum[r * cols + c], scale, v_load(strip->barrier + key + c * W));
            v_store(to + r * strip->stride + key + c * W, s);
            most = v_max(s, most);
        }
        peak[r] = most;
    }
}

/* Keys from <= j < to, multiples of W; peak gathers the highest score. */
INLINE void score_span(const size_t rows, const size_t cols, const struct strip *strip,
                       size_t query, float *scores, size_t from, size_t to, vec *peak)
{
    size_t j = from;
    for (; j + cols * W <= to; j += cols * W)
        score_block(rows, cols, strip, query, scores, j, peak);
    for (; j < to; j += W)
        score_block(rows, 1, strip, query, scores, j, peak);
}

static void score_rows(const struct strip *strip, size_t query, size_t rows, size_t from, size_t to,
                       vec *peak)
{
    float *scores = strip->scores;
    size_t r = 0;
    for (; r + SCORE_ROWS <= rows; r += SCORE_ROWS)
        score_span(SCORE_ROWS, SCORE_COLS, strip, query + r, scores + r * strip->stride, from, to,
                   peak + r);
    for (; SCORE_ROWS > HALF && r + HALF <= rows; r += HALF)
        score_span(HALF, SCORE_COLS, strip, query + r, scores + r * strip->stride, from, to,
                   peak + r);
    for (; r < rows; r++)
        score_span(1, LONE_COLS, strip, query + r, scores + r * strip->stride, from, to, peak + r);
}

/* out[rows, cols vectors] = p v over the keys below n; `part` > 0: the one column has only so many
 * elements. */
INLINE void mix_block(const size_t rows, const size_t cols, const size_t part, const float *p,
                      size_t stride, size_t n, const float *v, size_t ldv, float *out, size_t ldo)
{
    vec sum[SX_ATTENTION_TILE * MIX_COLS];
#pragma GCC unroll 32
    for (size_t i = 0; i < rows * cols; i++)
        sum[i] = v_set(0);
    for (size_t j = 0; j < n; j++, v += ldv) {
        vec value[MIX_COLS];
#pragma GCC unroll 8
        for (size_t c = 0; c < cols; c++)
            value[c] = part ? v_load_part(v, part) : v_load(v + c * W);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            vec weight = v_set(p[r * stride + j]);
#pragma GCC unroll 8
            for (size_t c = 0; c < cols; c++)
                sum[r * cols + c] = v_fma(weight, value[c], sum[r * cols + c]);
        }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (size_t c = 0; c < cols; c++) {
            vec mixed = sum[r * cols + c];
            if (part)
                v_store_part(out + r * ldo, mixed, part);
            else
                v_store(out + r * ldo + c * W, mixed);
        }
}

/* All `rows` rows of some columns, `most` at a time, then HALF, then one. */
INLINE void mix_span(const size_t most, const size_t cols, const size_t part,
                     const struct strip *strip, size_t query, size_t rows, size_t n, size_t column)
{
    const struct sx_attention_head *head = strip->head;
    const float *v = head->v + column;
    float *out = head->out + query * head->ldo + column;
    size_t r = 0;
    for (; r + most <= rows; r += most)
        mix_block(most, cols, part, strip->scores + r * strip->stride, strip->stride, n, v,
                  head->ldv, out + r * head->ldo, head->ldo);
    for (; most > HALF && r + HALF <= rows; r += HALF)
        mix_block(HALF, cols, part, strip->scores + r * strip->stride, strip->stride, n, v,
                  head->ldv, out + r * head->ldo, head->ldo);
    for (; r < rows; r++)
        mix_block(1, cols, part, strip->scores + r * strip->stride, strip->stride, n, v, head->ldv,
                  out + r * head->ldo, head->ldo);
}

static void mix_rows(const struct strip *strip, size_t query, size_t rows, size_t n)
{
    size_t vectors = strip->head->d / W, part = strip->head->d % W, c = 0;
    for (; c + MIX_COLS <= vectors; c += MIX_COLS)
        mix_span(HALF, MIX_COLS, 0, strip, query, rows, n, c * W);
#if defined(__AVX512F__)
    if (vectors - c == 3)
        mix_span(SCORE_ROWS, 3, 0, strip, query, rows, n, c * W);
    if (vectors - c == 2)
        mix_span(SCORE_ROWS, 2, 0, strip, query, rows, n, c * W);
#endif
    if (vectors - c == 1)
        mix_span(SCORE_ROWS, 1, 0, strip, query, rows, n, c * W);
    if (part)
        mix_span(SCORE_ROWS, 1, part, strip, query, rows, n, vectors * W);
}

INLINE size_t visible_keys(const struct sx_attention_head *head, size_t query)
{
    if (head->causal >= (int64_t)head->n_k)
        return head->n_k;
    int64_t n = (int64_t)query + head->causal + 1;
    return n < 0 ? 0 : (size_t)n < head->n_k ? (size_t)n : head->n_k;
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
        float *row = strip->scores + r * strip->stride;
        for (size_t j = visible_keys(head, query + r); j < end; j++)
            row[j] = -INFINITY;
        strip->peak[r] = v_highest(peak[r]);
        if (whole < end)
            strip->peak[r] = fmaxf(strip->peak[r], row_peak(row + whole, end - whole));
    }
    return end;
}

static void attend_tile(struct strip *strip, size_t query, size_t rows)
{
    const struct sx_attention_head *head = strip->head;
    size_t end = score_tile(strip, query, rows), seen = end < head->n_k ? end : head->n_k;
    const bool watched = head->on_scores || head->on_pattern;
    if (watched) {
        for (size_t r = 0; r < rows; r++)
            for (size_t j = end; j < sx_attention_width(head->n_k); j++)
                strip->scores[r * strip->stride + j] = -INFINITY;
        end = sx_attention_width(head->n_k);
        seen = head->n_k;
    }
    for (size_t r = 0; r < rows; r++) {
        float *row = strip->scores + r * strip->stride;
        if (head->on_scores) {
            head->on_scores(head->ctx, query + r, row);
            strip->peak[r] = row_peak(row, seen);
        }
        double sum = exp_row(row, end, strip->peak[r]);
        /* Before the values are mixed and not after, so that a pattern written back as it was read
         * changes no bit of the output. */
        scale_row(row, row, seen, sum == 0 ? 0 : (float)(1 / sum));
        if (head->on_pattern)
            head->on_pattern(head->ctx, query + r, row);
        if (head->pattern) {
            float *copy = head->pattern + (query + r) * head->ldp;
            memcpy(copy, row, seen * sizeof *copy);
            memset(copy + seen, 0, (head->n_k - seen) * sizeof *copy);
        }
    }
    mix_rows(strip, query, rows, seen);
}

static void attention(const struct sx_attention_head *head)
{
    size_t width = sx_attention_width(head->n_k);
    float *barrier = head->scratch;
    for (size_t j = 0; j < width; j++)
        barrier[j] = j >= head->n_k || (head->forbidden && head->forbidden[j]) ? -INFINITY : 0;
    struct strip strip = {.head = head,
                          .barrier = barrier,
                          .scores = barrier + width,
                          .stride = sx_attention_stride(head->n_k)};
    for (size_t i = 0; i < head->n_q; i += SX_ATTENTION_TILE) {
        size_t left = head->n_q - i;
        attend_tile(&strip, i, left < SX_ATTENTION_TILE ? left : SX_ATTENTION_TILE);
    }
}

#endif
