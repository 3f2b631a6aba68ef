#include "sextant/core/assignment.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../../../src/core/exact.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"

/* Letters as in the header: N rows of A, M rows of B, D columns. */

static float *gaussian(size_t n, size_t d, uint64_t seed)
{
    float *x = sx_xmalloc(n * d * sizeof *x);
    struct sx_rng rng = sx_rng_make(seed, 0);
    for (size_t i = 0; i < n * d; i++)
        x[i] = (float)sx_rng_normal(&rng);
    return x;
}

/* Small integers: many exactly equal similarities, and zero rows. */
static float *coarse(size_t n, size_t d, uint64_t seed)
{
    float *x = sx_xmalloc(n * d * sizeof *x);
    struct sx_rng rng = sx_rng_make(seed, 0);
    for (size_t i = 0; i < n * d; i++)
        x[i] = (float)sx_rng_below(&rng, 3) - 1;
    return x;
}

/* All similarities in double, straight from the definition. */
static double *similarities(const float *a, size_t n, const float *b, size_t m, size_t d,
                            bool is_signed)
{
    double *s = sx_xmalloc(n * m * sizeof *s);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            double dot = 0, aa = 0, bb = 0;
            for (size_t t = 0; t < d; t++) {
                dot += (double)a[i * d + t] * (double)b[j * d + t];
                aa += (double)a[i * d + t] * (double)a[i * d + t];
                bb += (double)b[j * d + t] * (double)b[j * d + t];
            }
            double cosine = aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
            s[i * m + j] = is_signed ? fmax(cosine, 0) : fabs(cosine);
        }
    return s;
}

/* Every permutation, n <= m <= 8. */
static double brute_force(const double *s, size_t n, size_t m, size_t row, unsigned used)
{
    if (row == n)
        return 0;
    double best = -1;
    for (size_t j = 0; j < m; j++)
        if (!(used >> j & 1))
            best = fmax(best, s[row * m + j] + brute_force(s, n, m, row + 1, used | 1U << j));
    return best;
}

/* The textbook O(n^2 m) Hungarian method on a dense matrix, n <= m, minimising -s. */
static double hungarian(const double *s, size_t n, size_t m)
{
    double *u = sx_xcalloc(n + 1, sizeof *u), *v = sx_xcalloc(m + 1, sizeof *v);
    double *least = sx_xmalloc((m + 1) * sizeof *least);
    size_t *owner = sx_xcalloc(m + 1, sizeof *owner), *way = sx_xcalloc(m + 1, sizeof *way);
    bool *seen = sx_xmalloc((m + 1) * sizeof *seen);
    for (size_t i = 1; i <= n; i++) {
        size_t at = 0;
        owner[0] = i;
        for (size_t j = 0; j <= m; j++) {
            least[j] = DBL_MAX;
            seen[j] = false;
        }
        do {
            size_t row = owner[at], next = 0;
            double delta = DBL_MAX;
            seen[at] = true;
            for (size_t j = 1; j <= m; j++) {
                if (seen[j])
                    continue;
                double cost = -s[(row - 1) * m + j - 1] - u[row] - v[j];
                if (cost < least[j]) {
                    least[j] = cost;
                    way[j] = at;
                }
                if (least[j] < delta) {
                    delta = least[j];
                    next = j;
                }
            }
            for (size_t j = 0; j <= m; j++) {
                if (seen[j]) {
                    u[owner[j]] += delta;
                    v[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            at = next;
        } while (owner[at] != 0);
        while (at != 0) {
            size_t before = way[at];
            owner[at] = owner[before];
            at = before;
        }
    }
    double sum = 0;
    for (size_t j = 1; j <= m; j++)
        if (owner[j])
            sum += s[(owner[j] - 1) * m + j - 1];
    sx_free(u);
    sx_free(v);
    sx_free(least);
    sx_free(owner);
    sx_free(way);
    sx_free(seen);
    return sum;
}

static double optimum(const double *s, size_t n, size_t m)
{
    if (n <= m)
        return hungarian(s, n, m);
    double *t = sx_xmalloc(n * m * sizeof *t);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            t[j * n + i] = s[i * m + j];
    double sum = hungarian(t, m, n);
    sx_free(t);
    return sum;
}

/* Is it a pairing, do its similarities and the certificate hold for every single pair? */
static void check(const struct sx_assignment *x, const double *s, double best)
{
    size_t n = x->n, m = x->m, paired = 0;
    double sum = 0, dual = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t j = x->col_of_row[i];
        if (j >= 0) {
            cr_assert_lt((size_t)j, m);
            cr_assert_eq(x->row_of_col[j], (int32_t)i);
            cr_assert_float_eq(x->sim[i], s[i * m + (size_t)j], 3e-7);
            sum += s[i * m + (size_t)j];
            paired++;
        }
        cr_assert_geq(x->u[i], 0.0);
        dual += x->u[i];
    }
    for (size_t j = 0; j < m; j++) {
        cr_assert_geq(x->v[j], 0.0);
        dual += x->v[j];
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            worst = fmax(worst, s[i * m + j] - x->u[i] - x->v[j]);
    cr_assert_eq(paired, n < m ? n : m);
    cr_assert_lt(worst, 1e-6, "a pair exceeds the duals by %g", worst);
    cr_assert_float_eq(dual, sum, 1e-6 * (double)(n + m));
    cr_assert_float_eq(x->certificate.primal, sum, 1e-6 * (double)(n + m));
    cr_assert_eq(x->certificate.gap, 0.0);
    cr_assert_geq(x->certificate.gap, -1e-12);
    cr_assert_float_eq(sum, best, 1e-6 * (double)(n + m));
}

static void match(const float *a, size_t n, const float *b, size_t m, size_t d,
                  const struct sx_assign_options *options, struct sx_assignment *x)
{
    struct sx_error err = {0};
    enum sx_status status = sx_assign_cosine(a, n, b, m, d, options, NULL, x, &err);
    cr_assert_eq(status, SX_OK, "%s", err.message);
}

/* Takes a and b. Returns the rounds it took. */
static unsigned match_and_check(float *a, size_t n, float *b, size_t m, size_t d, size_t candidates,
                                bool is_signed)
{
    struct sx_assignment x;
    struct sx_assign_options options = {.is_signed = is_signed, .candidates = candidates};
    double *s = similarities(a, n, b, m, d, is_signed);
    match(a, n, b, m, d, &options, &x);
    double best = optimum(s, n, m);
    if (n <= m && m <= 8)
        cr_assert_float_eq(best, brute_force(s, n, m, 0, 0), 1e-9);
    check(&x, s, best);
    unsigned rounds = x.certificate.rounds;
    sx_assignment_release(&x);
    sx_free(s);
    sx_free(a);
    sx_free(b);
    return rounds;
}

Test(assignment, equals_every_permutation)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        size_t n = 1 + seed % 7, m = n + seed % 2;
        bool is_coarse = seed % 3 == 0;
        float *a = is_coarse ? coarse(n, 3, seed) : gaussian(n, 3, seed);
        float *b = is_coarse ? coarse(m, 3, seed + 99) : gaussian(m, 3, seed + 99);
        match_and_check(a, n, b, m, 3, 1 + seed % 4, seed % 5 == 0);
    }
}

Test(assignment, equals_the_hungarian_method)
{
    static const size_t shapes[][3] = {{50, 50, 8},   {200, 200, 16}, {120, 200, 5},
                                       {200, 90, 12}, {1, 150, 4},    {150, 1, 4}};
    for (size_t c = 0; c < sizeof shapes / sizeof shapes[0]; c++)
        for (size_t k = 1; k <= 64; k *= 4) {
            size_t n = shapes[c][0], m = shapes[c][1], d = shapes[c][2];
            match_and_check(gaussian(n, d, c), n, gaussian(m, d, c + 50), m, d, k, k == 4);
        }
}

Test(assignment, survives_ties_and_zero_rows)
{
    for (uint64_t seed = 0; seed < 8; seed++)
        for (size_t k = 1; k <= 16; k *= 4)
            match_and_check(coarse(120, 2 + seed % 3, seed), 120,
                            coarse(150, 2 + seed % 3, 70 + seed), 150, 2 + seed % 3, k, seed % 2);
}

Test(assignment, many_equal_rows_do_not_blow_up)
{
    enum { N = 1500, D = 6 };
    float *a = sx_xmalloc(sizeof *a * N * D), *b = sx_xmalloc(sizeof *b * N * D);
    for (size_t i = 0; i < N * D; i++)
        a[i] = b[i] = 1.0F;
    struct sx_assignment x;
    match(a, N, b, N, D, NULL, &x);
    cr_assert_float_eq(x.certificate.primal, N, 1e-3);
    cr_assert_lt(x.certificate.gap, 1e-3);
    cr_assert_leq(x.certificate.rounds, 6, "%u rounds", x.certificate.rounds);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(x.sim[i], 1.0F);
    sx_assignment_release(&x);
    sx_free(a);
    sx_free(b);
}

/* Copies of few directions with `noise`, in groups of different sizes on both sides. */
static float *grouped(size_t n, size_t d, size_t groups, float noise, uint64_t seed)
{
    float *center = gaussian(groups, d, 77), *x = sx_xmalloc(n * d * sizeof *x);
    struct sx_rng rng = sx_rng_make(seed, 0);
    for (size_t i = 0; i < n; i++) {
        size_t g = sx_rng_below(&rng, 1 + sx_rng_below(&rng, (uint32_t)groups));
        for (size_t t = 0; t < d; t++)
            x[i * d + t] = center[g * d + t] + noise * (float)sx_rng_normal(&rng);
    }
    sx_free(center);
    return x;
}

/* Collapsed decoders: the first `dead` rows are one column each, the rest of such a row decayed to
 * about `residue`; where `is_zero` they have decayed altogether, as encoders do. */
static float *collapsed(size_t n, size_t dead, size_t d, size_t columns, float residue,
                        bool is_zero, uint64_t seed)
{
    float *x = gaussian(n, d, seed);
    struct sx_rng rng = sx_rng_make(seed, 1);
    for (size_t i = 0; i < dead; i++) {
        for (size_t t = 0; t < d; t++)
            x[i * d + t] = is_zero ? 0.0F : residue * x[i * d + t];
        if (!is_zero)
            x[i * d + sx_rng_below(&rng, (uint32_t)columns)] = i % 3 ? 1.0F : 0.999F;
    }
    return x;
}

/* Degenerate rows: every round of pricing costs a pass, so their number stands for the time. */

Test(assignment, groups_of_copies_take_few_rounds)
{
    static const float noises[] = {0.0F, 1e-7F, 1e-5F, 1e-3F};
    for (size_t c = 0; c < sizeof noises / sizeof noises[0]; c++)
        for (size_t groups = 1; groups <= 64; groups *= 8) {
            unsigned rounds =
                match_and_check(grouped(420, 24, groups, noises[c], 1), 420,
                                grouped(400, 24, groups, noises[c], 2), 400, 24, 0, groups == 8);
            cr_expect_leq(rounds, 8, "%zu groups, noise %g: %u rounds", groups, (double)noises[c],
                          rounds);
        }
}

Test(assignment, single_column_decoders_take_few_rounds)
{
    static const float residues[] = {0.0F, 1e-25F, 1e-20F, 1e-9F, 1e-5F};
    for (size_t c = 0; c < sizeof residues / sizeof residues[0]; c++)
        for (size_t dead = 250; dead <= 400; dead += 150) {
            unsigned rounds = match_and_check(
                collapsed(400, dead, 90, 30, residues[c], false, 3), 400,
                collapsed(400, 250, 90, 80, residues[c], false, 4), 400, 90, 0, false);
            cr_expect_leq(rounds, 8, "%zu dead, residue %g: %u rounds", dead, (double)residues[c],
                          rounds);
        }
}

Test(assignment, zero_encoders_take_few_rounds)
{
    for (size_t dead = 100; dead <= 300; dead += 100) {
        unsigned rounds =
            match_and_check(collapsed(300, dead, 16, 1, 0, true, 5), 300,
                            collapsed(330, 200, 16, 1, 0, true, 6), 330, 16, 0, false);
        cr_expect_leq(rounds, 3, "%zu dead: %u rounds", dead, rounds);
    }
}

Test(assignment, rows_on_a_circle_take_few_rounds)
{
    unsigned rounds =
        match_and_check(gaussian(500, 2, 7), 500, gaussian(500, 2, 8), 500, 2, 0, false);
    cr_expect_leq(rounds, 12, "%u rounds", rounds);
}

Test(assignment, rows_too_short_for_any_similarity_are_as_good_as_zero)
{
    float *a = gaussian(6, 3, 1), *b = gaussian(6, 3, 2);
    for (size_t t = 0; t < 9; t++)
        a[t] *= 1e-22F;
    struct sx_assignment x;
    match(a, 6, b, 6, 3, NULL, &x);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_leq(x.sim[i], 0x1p-31F);
        cr_assert_eq(x.u[i], 0.0);
        cr_assert_geq(x.col_of_row[i], 0);
    }
    cr_assert_eq(x.certificate.gap, 0.0);
    sx_assignment_release(&x);
    sx_free(a);
    sx_free(b);
}

Test(assignment, double_sums_of_copies_are_kept_and_lost_rows_noticed)
{
    enum { N = 40, D = 70 };
    float *a = grouped(N, D, 5, 0, 1), *b = grouped(N, D, 5, 0, 2), *one = gaussian(1, D, 3);
    memcpy(a + 7 * D, one, D * sizeof *one); /* without a twin */
    for (size_t t = 0; t < D; t++)
        a[9 * D + t] = t < 8 ? 1.0F : 0.0F;
    for (size_t t = 0; t < D; t++)
        b[4 * D + t] = t < 8 ? 0.0F : one[t];
    struct sx_exact x;
    cr_assert_eq(sx_exact_init(&x, a, N, b, N, D, false, NULL, NULL), SX_OK);
    cr_assert_eq(x.a.twin[7], UINT32_MAX);
    for (int again = 0; again < 2; again++)
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                cr_assert_eq(sx_exact_weight(&x, i, j), sx_exact_similarity(&x, i, j));
    cr_assert_eq(sx_exact_weight(&x, 9, 4), 0.0F);
    cr_assert_not(x.changed);
    b[5 * D] = NAN;
    cr_assert_eq(sx_exact_similarity(&x, 7, 5), 0.0F);
    cr_assert(x.changed);
    sx_exact_release(&x);
    sx_free(a);
    sx_free(b);
    sx_free(one);
}

Test(assignment, all_zero_rows_are_paired_by_index)
{
    float a[5 * 2] = {0}, b[7 * 2] = {0};
    struct sx_assignment x;
    match(a, 5, b, 7, 2, NULL, &x);
    for (int32_t i = 0; i < 5; i++) {
        cr_assert_eq(x.col_of_row[i], i);
        cr_assert_eq(x.sim[i], 0.0F);
        cr_assert_eq(x.of_row.index[(size_t)i * x.of_row.k], -1);
    }
    cr_assert_eq(x.certificate.dual, 0.0);
    sx_assignment_release(&x);
}

Test(assignment, permuted_flipped_and_scaled_copies_match_at_exactly_one)
{
    enum { N = 700, D = 48 };
    float *a = gaussian(N, D, 5), *b = sx_xmalloc(sizeof *b * N * D);
    uint32_t order[N];
    struct sx_rng rng = sx_rng_make(6, 0);
    for (uint32_t i = 0; i < N; i++)
        order[i] = i;
    sx_rng_shuffle(&rng, order, N);
    for (size_t j = 0; j < D; j++)
        a[3 * D + j] = 0; /* one dead latent */
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++)
            b[order[i] * D + j] = a[i * D + j] * (i % 2 ? -0.5F : 3.0F);
    struct sx_assignment x;
    match(a, N, b, N, D, NULL, &x);
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(x.col_of_row[i], (int32_t)order[i]);
        cr_assert_eq(x.sim[i], i == 3 ? 0.0F : 1.0F, "row %zu: %.9g", i, (double)x.sim[i]);
        if (i != 3) {
            cr_assert_eq(x.of_row.index[i * x.of_row.k], (int32_t)order[i]);
            cr_assert_eq(x.of_row.sim[i * x.of_row.k], 1.0F);
        }
    }
    cr_assert_eq(x.certificate.max_violation, 0.0);
    sx_assignment_release(&x);
    sx_free(a);
    sx_free(b);
}

Test(assignment, planted_partners_are_found_and_all_pairs_checked)
{
    enum { N = 2500, D = 64 };
    float *a = gaussian(N, D, 8), *b = gaussian(N, D, 9);
    for (size_t i = 0; i < N / 2 * D; i++)
        b[i] = a[i] + 0.2F * b[i];
    struct sx_assignment bounded, full;
    struct sx_assign_options all = {.check_all = true};
    match(a, N, b, N, D, NULL, &bounded);
    match(a, N, b, N, D, &all, &full);
    for (size_t i = 0; i < N / 2; i++)
        cr_assert_eq(bounded.col_of_row[i], (int32_t)i);
    cr_assert_eq(full.certificate.pairs_priced, (uint64_t)N * N);
    cr_assert_lt(bounded.certificate.pairs_priced, (uint64_t)N * N / 2);
    cr_assert_float_eq(full.certificate.primal, bounded.certificate.primal, 1e-4);
    cr_assert_lt(full.certificate.gap, 1e-4);
    double *s = similarities(a, N, b, N, D, false);
    check(&bounded, s, full.certificate.primal);
    sx_free(s);
    sx_assignment_release(&bounded);
    sx_assignment_release(&full);
    sx_free(a);
    sx_free(b);
}

Test(assignment, candidates_are_the_best_of_each_row_and_column)
{
    enum { N = 600, M = 2300, D = 10, K = 5 };
    float *a = gaussian(N, D, 1), *b = gaussian(M, D, 2);
    struct sx_assign_options options = {.candidates = K};
    struct sx_assignment x;
    match(a, N, b, M, D, &options, &x);
    double *s = similarities(a, N, b, M, D, false);
    for (size_t i = 0; i < N; i++)
        for (size_t t = 0; t < K; t++) {
            size_t j = (size_t)x.of_row.index[i * K + t], above = 0;
            cr_assert_float_eq(x.of_row.sim[i * K + t], s[i * M + j], 1e-6);
            for (size_t l = 0; l < M; l++)
                above += s[i * M + l] > s[i * M + j] + 1e-6;
            cr_assert_leq(above, t);
        }
    for (size_t j = 0; j < M; j++) {
        size_t i = (size_t)x.of_col.index[j * K], above = 0;
        for (size_t l = 0; l < N; l++)
            above += s[l * M + j] > s[i * M + j] + 1e-6;
        cr_assert_eq(above, 0);
    }
    sx_free(s);
    sx_assignment_release(&x);
    sx_free(a);
    sx_free(b);
}

Test(assignment, refuses_what_is_not_a_number)
{
    float a[4] = {1, 2, 3, 4}, b[4] = {1, 2, 3, NAN}, c[4] = {1, INFINITY, 3, 4};
    struct sx_assignment x;
    struct sx_error err = {0};
    cr_assert_eq(sx_assign_cosine(a, 2, b, 2, 2, NULL, NULL, &x, &err), SX_ERR_NUMERIC);
    cr_assert(strstr(err.message, "second matrix") && strstr(err.message, "row 1"), "%s",
              err.message);
    cr_assert_null(x.col_of_row);
    cr_assert_eq(sx_assign_cosine(c, 2, a, 2, 2, NULL, NULL, &x, &err), SX_ERR_NUMERIC);
    cr_assert_eq(sx_assign_cosine(a, 0, a, 2, 2, NULL, NULL, &x, &err), SX_ERR_SHAPE);
}

Test(assignment, stops_when_cancelled_and_counts_its_work)
{
    float *a = gaussian(300, 8, 1), *b = gaussian(300, 8, 2);
    struct sx_assignment x;
    struct sx_task task;
    sx_task_init(&task);
    cr_assert_eq(sx_assign_cosine(a, 300, b, 300, 8, NULL, &task, &x, NULL), SX_OK);
    cr_assert_eq(atomic_load(&task.done), SX_ASSIGN_WORK);
    sx_assignment_release(&x);
    sx_task_cancel(&task);
    cr_assert_eq(sx_assign_cosine(a, 300, b, 300, 8, NULL, &task, &x, NULL), SX_CANCELLED);
    cr_assert_null(x.sim);
    sx_free(a);
    sx_free(b);
}
