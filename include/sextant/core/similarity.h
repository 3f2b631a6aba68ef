/* All-pairs cosine similarity of two sets of rows, without ever holding the whole matrix.
 *
 * Letters: N rows of A, M rows of B, D columns, K candidates kept. A is [N,D], B is [M,D].
 * Similarity is |cos|, or max(cos, 0) when `is_signed`: what points away is no partner. */
#ifndef SEXTANT_CORE_SIMILARITY_H
#define SEXTANT_CORE_SIMILARITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/task.h"

/* What row-wise work multiplies a row by: 1 / (norm + 1e-8) (Jedryszek & Crook 2026; a zero row
 * stays zero). From norm 0.01 on it is 1 / norm: there the 1e-8, at most one part in a million,
 * would only keep an identical copy from matching at exactly 1. Norms are summed in double. */
double sx_row_scale(const float *row, size_t d);

/* unit[n,D] = rows of w times their scale (also given in scale[n] unless NULL). Values below
 * 2^-33/sqrt(D) become 0: all of them together change no cosine by 2^-32, and their products would
 * be subnormal numbers, which processors multiply a hundred times slower. SX_ERR_NUMERIC when a row
 * holds NaN or infinity or its norm overflows. */
enum sx_status sx_unit_rows(const float *w, size_t n, size_t d, float *unit, double *scale,
                            struct sx_error *err) SX_MUST_CHECK;

/* Signed cosine of two raw rows given their scales, summed in double, clamped to [-1,1]. */
double sx_row_cosine(const float *a, double scale_a, const float *b, double scale_b, size_t d);

/* Per row the best similarities above zero, best first, ties by lower index. */
struct sx_candidates {
    size_t rows, k;
    int32_t *index; /* [rows,k], owned; -1 past the end */
    float *sim;     /* [rows,k], owned; 0 past the end */
    float *bound;   /* [rows], owned: no pair left out is above it */
};
void sx_candidates_release(struct sx_candidates *c);

/* One pass over all pairs: the K best of every row of A and of every row of B. ua, ub: unit rows.
 * Adds `work` units to task->done in all. */
enum sx_status sx_similarity_candidates(const float *ua, size_t n, const float *ub, size_t m,
                                        size_t d, size_t k, bool is_signed, uint64_t work,
                                        struct sx_candidates *of_a, struct sx_candidates *of_b,
                                        struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;

/* A pair whose similarity is above row_floor[i] + col_floor[j]. */
typedef void sx_pair_fn(void *user, size_t i, size_t j, float sim);

/* Compute the pairs of the listed rows of A and rows of B and call `fn` for each with
 * sim > row_floor[i] + col_floor[j]; floors are indexed like A and B and are not negative. */
enum sx_status sx_similarity_above(const float *ua, const uint32_t *rows, size_t n, const float *ub,
                                   const uint32_t *cols, size_t m, size_t d, bool is_signed,
                                   const float *row_floor, const float *col_floor, sx_pair_fn *fn,
                                   void *user, struct sx_task *task,
                                   struct sx_error *err) SX_MUST_CHECK;

#endif
