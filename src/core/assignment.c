/* Column generation. One pass over all pairs keeps the K best of every row and every column; the
 * sparse problem on those is solved exactly; its duals are then held against the pairs left out.
 * A pair that is no candidate is below the K-th best of its row and of its column, so only rows and
 * columns whose dual is smaller than that need to be looked at again. Pairs that violate the duals
 * join the sparse problem, which is solved again from where it stood, until there are none: then
 * the duals prove the pairing optimal among all pairs.
 *
 * The products of the passes only sort and filter. A pair's similarity is the double sum of its
 * rows rounded to float32, in the sparse problem as in pricing, so the result does not depend on
 * the BLAS library, its threads or the tiles, and equal rows are true ties.
 *
 * Similarities are not negative, so "everything is paired" and "pair what pays" have the same
 * optimum: the solver may leave rows single, and what it leaves is similar to nothing. */
#include "sextant/core/assignment.h"

#include <math.h>
#include <string.h>

#include "best.h"
#include "exact.h"
#include "sextant/base/alloc.h"
#include "sparse_assignment.h"

enum { DEFAULT_CANDIDATES = 32, FIRST_ADDITIONS = 16, MOST_ADDITIONS = 128 };

/* Weights below half a step of the solver's grid are none. */
#define LEAST_WEIGHT 0x1p-31

struct problem {
    size_t n, m, d, k;
    bool is_signed, check_all;
    double slack; /* products of unit rows are off by less */
    struct sx_exact exact;
    struct sx_graph graph;
    uint32_t *rows, *cols;        /* those to be priced */
    float *row_floor, *col_floor; /* [N], [M] */
    uint32_t *slot;               /* [N] position in rows */
    struct sx_best violators;     /* per priced row */
    size_t violations;
    double max_violation;
};

static void problem_release(struct problem *p)
{
    sx_exact_release(&p->exact);
    sx_graph_release(&p->graph);
    sx_free(p->rows);
    sx_free(p->cols);
    sx_free(p->row_floor);
    sx_free(p->col_floor);
    sx_free(p->slot);
    sx_best_release(&p->violators);
}

static enum sx_status problem_init(struct problem *p, const float *a, const float *b,
                                   struct sx_task *task, struct sx_error *err)
{
    size_t n = p->n, m = p->m;
    p->rows = sx_alloc_big(n, sizeof *p->rows);
    p->cols = sx_alloc_big(m, sizeof *p->cols);
    p->row_floor = sx_alloc_big(n, sizeof *p->row_floor);
    p->col_floor = sx_alloc_big(m, sizeof *p->col_floor);
    p->slot = sx_alloc_big(n, sizeof *p->slot);
    if (!p->rows || !p->cols || !p->row_floor || !p->col_floor || !p->slot)
        return sx_fail(err, SX_ERR_NOMEM, "no memory to match %zu x %zu rows of %zu", n, m, p->d);
    SX_TRY(sx_exact_init(&p->exact, a, n, b, m, p->d, p->is_signed, task, err));
    return sx_graph_init(&p->graph, n, m, err);
}

static enum sx_status add_candidates(struct problem *p, const struct sx_candidates *of_row,
                                     const struct sx_candidates *of_col, struct sx_task *task)
{
    for (size_t i = 0; i < p->n; i++) {
        if (i % 256 == 0 && sx_task_is_cancelled(task))
            return SX_CANCELLED;
        for (size_t t = i * p->k; t < (i + 1) * p->k && of_row->index[t] >= 0; t++) {
            size_t j = (size_t)of_row->index[t];
            if (of_row->sim[t] > LEAST_WEIGHT)
                sx_graph_add(&p->graph, i, j, sx_exact_weight(&p->exact, i, j));
        }
    }
    for (size_t j = 0; j < p->m; j++) {
        if (j % 256 == 0 && sx_task_is_cancelled(task))
            return SX_CANCELLED;
        for (size_t t = j * p->k; t < (j + 1) * p->k && of_col->index[t] >= 0; t++) {
            size_t i = (size_t)of_col->index[t];
            if (of_col->sim[t] > LEAST_WEIGHT && of_col->sim[t] <= of_row->bound[i])
                sx_graph_add(&p->graph, i, j,
                             sx_exact_weight(&p->exact, i, j)); /* else the row has it */
        }
    }
    return SX_OK;
}

/* --- pricing -----------------------------------------------------------------------------------
 */

static uint32_t mix(size_t i, size_t j)
{
    uint64_t x = ((uint64_t)i << 32 | (uint64_t)j) * 0x9E3779B97F4A7C15U;
    x ^= x >> 29;
    x *= 0xBF58476D1CE4E5B9U;
    return (uint32_t)(x >> 40);
}

/* Orders by violation to about 1 %, then at random: among many equal pairs every row must bring
 * different columns, or the sparse problem would grow by the same few columns each round. */
static uint64_t violator_key(double violation, size_t i, size_t j)
{
    float f = (float)violation;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint64_t)(bits & 0xFFFF0000U) << 32 | (uint64_t)(mix(i, j) & 0xFFFFU) << 32 |
           (uint32_t)j;
}

/* A product that is over the duals by more than it can be off needs no double sum. */
static void take_pair(void *user, size_t i, size_t j, float product)
{
    struct problem *p = user;
    double duals = p->graph.row.dual[i] + p->graph.col.dual[j];
    double violation = (double)product - duals;
    if (violation <= 2 * p->slack)
        violation = sx_graph_round(sx_exact_weight(&p->exact, i, j)) - duals;
    if (violation <= 0)
        return;
    p->violations++;
    p->max_violation = fmax(p->max_violation, violation);
    sx_best_push(&p->violators, p->slot[i], violator_key(violation, i, j));
}

/* List the nodes of one side whose dual does not settle all their pairs, with their floors. */
static size_t list_open(const struct sx_graph_side *side, const float *bound, const double *scale,
                        double slack, bool everything, uint32_t *list, float *floor)
{
    size_t count = 0;
    for (size_t i = 0; i < side->n; i++) {
        floor[i] = (float)side->dual[i];
        if (scale[i] > 0 && (everything || side->dual[i] < (double)bound[i] + slack))
            list[count++] = (uint32_t)i;
    }
    return count;
}

/* Hold the duals against all pairs; collect up to `additions` violating pairs a row. */
static enum sx_status price(struct problem *p, const struct sx_assignment *out, bool everything,
                            size_t additions, struct sx_certificate *cert, struct sx_task *task,
                            struct sx_error *err)
{
    size_t n = list_open(&p->graph.row, out->of_row.bound, p->exact.a.scale, p->slack, everything,
                         p->rows, p->row_floor);
    size_t m = list_open(&p->graph.col, out->of_col.bound, p->exact.b.scale, p->slack, everything,
                         p->cols, p->col_floor);
    for (size_t r = 0; r < n; r++) {
        p->slot[p->rows[r]] = (uint32_t)r;
        p->row_floor[p->rows[r]] -= (float)p->slack;
    }
    p->violations = 0;
    p->max_violation = 0;
    cert->pairs_priced = (uint64_t)n * m;
    cert->pairs_bounded = (uint64_t)p->n * p->m - cert->pairs_priced;
    sx_best_release(&p->violators);
    if (n == 0 || m == 0)
        return SX_OK;
    if (!sx_best_init(&p->violators, n, additions))
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu rows' violating pairs", n);
    return sx_similarity_above(p->exact.a.unit, p->rows, n, p->exact.b.unit, p->cols, m, p->d,
                               p->is_signed, p->row_floor, p->col_floor, take_pair, p, task, err);
}

/* SX_ERR_NUMERIC when none of them violates: then the rows are no longer those that were
 * multiplied, and there would be no end to it. */
static enum sx_status add_violators(struct problem *p, struct sx_error *err)
{
    size_t added = 0;
    for (size_t r = 0; r < p->violators.rows; r++) {
        sx_best_cut(&p->violators, r);
        size_t i = p->rows[r];
        for (uint32_t t = 0; t < p->violators.count[r]; t++) {
            size_t j = (uint32_t)p->violators.keys[r * 2 * p->violators.k + t];
            float weight = sx_exact_weight(&p->exact, i, j);
            added += sx_graph_round(weight) > p->graph.row.dual[i] + p->graph.col.dual[j];
            sx_graph_add(&p->graph, i, j, weight);
        }
    }
    if (added == 0)
        return sx_fail(err, SX_ERR_NUMERIC, "the rows changed while they were compared");
    return SX_OK;
}

/* More pairs a round make fewer rounds and slower searches: grow while pricing is the larger part.
 * A step of a search costs about as much as this many multiplications of a product. */
#define STEP_FLOPS 256.0

static size_t next_additions(const struct problem *p, size_t additions, size_t scanned,
                             uint64_t priced)
{
    bool is_pricing = (double)scanned * STEP_FLOPS < (double)priced * (double)(p->d + 64);
    return is_pricing && additions < MOST_ADDITIONS ? 2 * additions : additions;
}

static enum sx_status solve(struct problem *p, const struct sx_assignment *out,
                            struct sx_certificate *cert, struct sx_task *task, struct sx_error *err)
{
    size_t additions = FIRST_ADDITIONS;
    bool everything = false;
    for (;;) {
        size_t scanned = p->graph.scanned;
        SX_TRY(sx_graph_solve(&p->graph, task, err));
        cert->rounds++;
        SX_TRY(price(p, out, everything, additions, cert, task, err));
        if (p->violations == 0 && p->check_all && !everything) {
            everything = true;
            SX_TRY(price(p, out, everything, additions, cert, task, err));
        }
        if (p->violations == 0)
            return SX_OK;
        SX_TRY(add_violators(p, err));
        additions = next_additions(p, additions, p->graph.scanned - scanned, cert->pairs_priced);
    }
}

/* --- results -----------------------------------------------------------------------------------
 */

static enum sx_status certify(const struct problem *p, const struct sx_assignment *out,
                              struct sx_certificate *cert, struct sx_error *err)
{
    cert->edges = p->graph.n_edges;
    cert->max_violation = p->max_violation;
    for (size_t i = 0; i < p->n; i++) {
        cert->dual += out->u[i];
        cert->primal += sx_graph_round(out->sim[i]);
    }
    for (size_t j = 0; j < p->m; j++)
        cert->dual += out->v[j];
    cert->dual += cert->max_violation * (double)p->n;
    cert->gap = cert->dual - cert->primal;
    if (p->exact.changed)
        return sx_fail(err, SX_ERR_NUMERIC, "a row became NaN while it was compared");
    if (!(cert->gap <= 1e-6 * (double)(p->n + p->m)))
        return sx_fail(err, SX_ERR_NUMERIC,
                       "the assignment's certificate does not hold: primal %.9g, dual %.9g",
                       cert->primal, cert->dual);
    return SX_OK;
}

static void pair_up(struct sx_assignment *out, size_t i, size_t j)
{
    out->col_of_row[i] = (int32_t)j;
    out->row_of_col[j] = (int32_t)i;
}

/* What is similar to nothing: the same index first, then in order. */
static void pair_leftovers(struct sx_assignment *out)
{
    for (size_t i = 0; i < out->n && i < out->m; i++)
        if (out->col_of_row[i] < 0 && out->row_of_col[i] < 0)
            pair_up(out, i, i);
    size_t j = 0;
    for (size_t i = 0; i < out->n; i++) {
        if (out->col_of_row[i] >= 0)
            continue;
        while (j < out->m && out->row_of_col[j] >= 0)
            j++;
        if (j == out->m)
            return;
        pair_up(out, i, j);
    }
}

static void sharpen(struct problem *p, struct sx_assignment *out)
{
    size_t k = p->k, two = k < 2 ? k : 2;
    for (size_t i = 0; i < p->n; i++) {
        int32_t j = out->col_of_row[i];
        out->sim[i] = j < 0 ? 0.0F : sx_exact_similarity(&p->exact, i, (size_t)j);
        for (size_t t = i * k; t < i * k + two && out->of_row.index[t] >= 0; t++)
            out->of_row.sim[t] = sx_exact_similarity(&p->exact, i, (size_t)out->of_row.index[t]);
    }
    for (size_t j = 0; j < p->m; j++)
        for (size_t t = j * k; t < j * k + two && out->of_col.index[t] >= 0; t++)
            out->of_col.sim[t] = sx_exact_similarity(&p->exact, (size_t)out->of_col.index[t], j);
}

static enum sx_status fill_result(struct problem *p, struct sx_assignment *out,
                                  struct sx_error *err)
{
    /* The graph's arrays become the result's. */
    out->col_of_row = p->graph.row.match;
    out->row_of_col = p->graph.col.match;
    out->u = p->graph.row.dual;
    out->v = p->graph.col.dual;
    p->graph.row.match = p->graph.col.match = NULL;
    p->graph.row.dual = p->graph.col.dual = NULL;
    out->sim = sx_alloc_big(p->n, sizeof *out->sim);
    if (!out->sim)
        return sx_fail(err, SX_ERR_NOMEM, "no memory to match %zu rows", p->n);
    pair_leftovers(out);
    sharpen(p, out);
    return certify(p, out, &out->certificate, err);
}

enum sx_status sx_assign_cosine(const float *a, size_t n, const float *b, size_t m, size_t d,
                                const struct sx_assign_options *options, struct sx_task *task,
                                struct sx_assignment *out, struct sx_error *err)
{
    *out = (struct sx_assignment){.n = n, .m = m};
    if (n == 0 || m == 0 || d == 0)
        return sx_fail(err, SX_ERR_SHAPE, "nothing to match: %zu x %zu rows of %zu", n, m, d);
    struct problem p = {.n = n, .m = m, .d = d};
    p.slack = 1e-7 * sqrt((double)d) + 2e-7;
    p.k = options && options->candidates ? options->candidates : DEFAULT_CANDIDATES;
    p.is_signed = options && options->is_signed;
    p.check_all = options && options->check_all;
    uint64_t pass_work = SX_ASSIGN_WORK * 4 / 5;
    enum sx_status status = problem_init(&p, a, b, task, err);
    if (status == SX_OK)
        status = sx_similarity_candidates(p.exact.a.unit, n, p.exact.b.unit, m, d, p.k, p.is_signed,
                                          pass_work, &out->of_row, &out->of_col, task, err);
    if (status == SX_OK)
        status = add_candidates(&p, &out->of_row, &out->of_col, task);
    if (status == SX_OK)
        status = solve(&p, out, &out->certificate, task, err);
    if (status == SX_OK)
        status = fill_result(&p, out, err);
    if (status == SX_OK && task)
        atomic_fetch_add(&task->done, SX_ASSIGN_WORK - pass_work);
    problem_release(&p);
    if (status != SX_OK)
        sx_assignment_release(out);
    return status;
}

void sx_assignment_release(struct sx_assignment *x)
{
    sx_free(x->col_of_row);
    sx_free(x->row_of_col);
    sx_free(x->sim);
    sx_free(x->u);
    sx_free(x->v);
    sx_candidates_release(&x->of_row);
    sx_candidates_release(&x->of_col);
    *x = (struct sx_assignment){0};
}
