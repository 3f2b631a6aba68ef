/* The heaviest one-to-one pairing of two sets of rows by cosine similarity, exactly, without the
 * matrix of all similarities, and with a proof.
 *
 * Letters: N rows of A, M rows of B, D columns, K candidates. */
#ifndef SEXTANT_CORE_ASSIGNMENT_H
#define SEXTANT_CORE_ASSIGNMENT_H

#include "sextant/core/similarity.h"

struct sx_assign_options {
    bool is_signed;    /* similarity max(cos, 0) instead of |cos| */
    size_t candidates; /* K; 0: 32. More memory, fewer rounds */
    bool check_all;    /* recompute every pair for the certificate, also where a bound settles it */
};

/* Linear programming duality: no pairing can weigh more than `dual`, this one weighs `primal`.
 * A similarity is the double sum of its two rows rounded to float32 (and to 2^-30), so the gap of
 * a proven optimum is exactly 0. */
struct sx_certificate {
    double primal;          /* sum of the matched pairs' similarities */
    double dual;            /* sum of the row and column duals, raised by any violation */
    double gap;             /* dual - primal, >= 0: how far from the optimum this can be at most */
    double max_violation;   /* largest similarity(i,j) - u[i] - v[j] over all pairs, 0 when none */
    uint64_t pairs_bounded; /* pairs settled by: it is no candidate, so it is below the K-th */
    uint64_t pairs_priced;  /* pairs recomputed in the last round */
    unsigned rounds;        /* times the sparse problem was solved */
    uint64_t edges;         /* pairs that the sparse problem held at the end */
};

struct sx_assignment {
    size_t n, m;
    int32_t *col_of_row; /* [N], -1: no partner (N > M) */
    int32_t *row_of_col; /* [M], -1: no partner (M > N) */
    float *sim;          /* [N] similarity to the partner, from a double sum; 0 without one */
    double *u, *v;       /* [N], [M] duals, >= 0 */
    struct sx_candidates of_row; /* [N,K]: the best of each row of A; the two best of each row */
    struct sx_candidates of_col; /* [M,K] have similarities from double sums, too */
    struct sx_certificate certificate;
};

enum { SX_ASSIGN_WORK = 1000 }; /* what one assignment adds to task->done */

/* a [N,D], b [M,D]: raw rows, read only. All min(N,M) pairs are made; rows that are similar to
 * nothing (zero rows) are paired last, with the same index where it is free.
 * SX_ERR_SHAPE: no rows or columns. SX_ERR_NUMERIC: NaN or infinity in the input. On any failure
 * *out is zero. Release with sx_assignment_release. */
enum sx_status sx_assign_cosine(const float *a, size_t n, const float *b, size_t m, size_t d,
                                const struct sx_assign_options *options, struct sx_task *task,
                                struct sx_assignment *out, struct sx_error *err) SX_MUST_CHECK;
void sx_assignment_release(struct sx_assignment *assignment);

#endif
