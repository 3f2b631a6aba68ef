/* Shortest augmenting paths (Jonker & Volgenant 1987) on a sparse graph.
 *
 * A solve first restores the invariants that new edges broke (repair), then lets single rows bid
 * for columns (their augmenting row reduction), which settles all clear partners, then searches a
 * shortest augmenting path from every node that is single but has a dual above 0. A path may end
 * at a single node of the other side, or at a node of the same side whose dual can fall to 0 and
 * which stays single itself. Both sides search with the same code: after a repair a column may be
 * single with a price that nobody pays.
 *
 * Reduced costs  u + v - weight  are at least  u - weight, and edges are sorted by weight: a scan
 * stops at the first edge that cannot beat the best path known. */
#include "sparse_assignment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"

#define GRAIN 0x1p30

enum { MANY = 64 }; /* edges of a node from which insertion is the slower sort */

double sx_graph_round(float weight)
{
    return nearbyint((double)weight * GRAIN) / GRAIN;
}

/* --- the graph ---------------------------------------------------------------------------------
 */

static bool side_init(struct sx_graph_side *s, size_t n)
{
    s->n = n;
    s->start = sx_calloc_big(n + 1, sizeof *s->start);
    s->dual = sx_calloc_big(n + 1, sizeof *s->dual);
    s->match = sx_alloc_big(n + 1, sizeof *s->match);
    if (!s->start || !s->dual || !s->match)
        return false;
    for (size_t i = 0; i < n; i++)
        s->match[i] = -1;
    return true;
}

static void side_release(struct sx_graph_side *s)
{
    sx_free(s->start);
    sx_free(s->to);
    sx_free(s->weight);
    sx_free(s->dual);
    sx_free(s->match);
}

enum sx_status sx_graph_init(struct sx_graph *g, size_t rows, size_t cols, struct sx_error *err)
{
    *g = (struct sx_graph){0};
    if (side_init(&g->row, rows) && side_init(&g->col, cols))
        return SX_OK;
    sx_graph_release(g);
    return sx_fail(err, SX_ERR_NOMEM, "no memory for the assignment of %zu x %zu rows", rows, cols);
}

void sx_graph_release(struct sx_graph *g)
{
    side_release(&g->row);
    side_release(&g->col);
    sx_free(g->edges);
    *g = (struct sx_graph){0};
}

void sx_graph_add(struct sx_graph *g, size_t row, size_t col, float weight)
{
    float rounded = (float)sx_graph_round(weight);
    if (!(rounded > 0))
        return;
    SX_GROW(g->edges, g->capacity, g->n_edges + 1);
    g->edges[g->n_edges++] = (struct sx_edge){(uint32_t)row, (uint32_t)col, rounded};
}

/* Stable counting sort of the edges by one end. */
static void sort_by_end(const struct sx_edge *in, size_t n, bool by_col, const uint32_t *start,
                        uint32_t *cursor, size_t nodes, struct sx_edge *out)
{
    memcpy(cursor, start, nodes * sizeof *cursor);
    for (size_t e = 0; e < n; e++)
        out[cursor[by_col ? in[e].col : in[e].row]++] = in[e];
}

static void count_ends(const struct sx_graph *g, bool by_col, struct sx_graph_side *side)
{
    memset(side->start, 0, (side->n + 1) * sizeof *side->start);
    for (size_t e = 0; e < g->n_edges; e++)
        side->start[(by_col ? g->edges[e].col : g->edges[e].row) + 1]++;
    for (size_t i = 0; i < side->n; i++)
        side->start[i + 1] += side->start[i];
}

/* Drop doubled edges: sorted by row, then column, the heaviest stays. */
static enum sx_status drop_doubles(struct sx_graph *g, uint32_t *cursor, struct sx_edge *spare)
{
    count_ends(g, true, &g->col);
    sort_by_end(g->edges, g->n_edges, true, g->col.start, cursor, g->col.n, spare);
    count_ends(g, false, &g->row);
    sort_by_end(spare, g->n_edges, false, g->row.start, cursor, g->row.n, g->edges);
    size_t kept = 0;
    for (size_t e = 0; e < g->n_edges; e++) {
        struct sx_edge *last = kept ? &g->edges[kept - 1] : NULL;
        if (last && last->row == g->edges[e].row && last->col == g->edges[e].col)
            last->weight = fmaxf(last->weight, g->edges[e].weight);
        else
            g->edges[kept++] = g->edges[e];
    }
    g->n_edges = kept;
    return SX_OK;
}

static int heavier_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x > y ? -1 : x < y;
}

/* Positive floats order like their bits; of equal weights the lower index comes first. */
static void sort_by_weight(uint32_t *to, float *weight, size_t n, uint64_t *keys)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &weight[i], sizeof bits);
        keys[i] = (uint64_t)bits << 32 | (uint32_t)~to[i];
    }
    if (n > MANY) {
        qsort(keys, n, sizeof *keys, heavier_first);
    } else {
        for (size_t i = 1; i < n; i++) {
            uint64_t key = keys[i];
            size_t j = i;
            for (; j > 0 && keys[j - 1] < key; j--)
                keys[j] = keys[j - 1];
            keys[j] = key;
        }
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)(keys[i] >> 32);
        memcpy(&weight[i], &bits, sizeof bits);
        to[i] = ~(uint32_t)keys[i];
    }
}

static bool fill_side(const struct sx_graph *g, bool by_col, struct sx_graph_side *side,
                      uint32_t *cursor, uint64_t *keys)
{
    sx_free(side->to);
    sx_free(side->weight);
    side->to = sx_alloc_big(g->n_edges + 1, sizeof *side->to);
    side->weight = sx_alloc_big(g->n_edges + 1, sizeof *side->weight);
    if (!side->to || !side->weight)
        return false;
    count_ends(g, by_col, side);
    memcpy(cursor, side->start, side->n * sizeof *cursor);
    for (size_t e = 0; e < g->n_edges; e++) {
        uint32_t at = cursor[by_col ? g->edges[e].col : g->edges[e].row]++;
        side->to[at] = by_col ? g->edges[e].row : g->edges[e].col;
        side->weight[at] = g->edges[e].weight;
    }
    for (size_t i = 0; i < side->n; i++)
        sort_by_weight(side->to + side->start[i], side->weight + side->start[i],
                       side->start[i + 1] - side->start[i], keys);
    return true;
}

static enum sx_status index_edges(struct sx_graph *g, struct sx_error *err)
{
    enum sx_status status = SX_ERR_NOMEM;
    size_t nodes = g->row.n > g->col.n ? g->row.n : g->col.n;
    uint32_t *cursor = sx_alloc_big(nodes + 1, sizeof *cursor);
    struct sx_edge *spare = sx_alloc_big(g->n_edges + 1, sizeof *spare);
    uint64_t *keys = sx_alloc_big(nodes + 1, sizeof *keys);
    if (!cursor || !spare || !keys)
        goto out;
    status = drop_doubles(g, cursor, spare);
    if (!fill_side(g, false, &g->row, cursor, keys) || !fill_side(g, true, &g->col, cursor, keys))
        status = SX_ERR_NOMEM;
out:
    sx_free(cursor);
    sx_free(keys);
    sx_free(spare);
    return status == SX_OK ? SX_OK
                           : sx_fail(err, SX_ERR_NOMEM, "no memory for %zu edges", g->n_edges);
}

/* --- repair and bidding ------------------------------------------------------------------------
 */

/* Raise a row's dual where a new edge asks for it; a matched edge that is no longer tight is
 * given up. */
static void repair(struct sx_graph *g)
{
    for (size_t i = 0; i < g->row.n; i++) {
        double need = 0;
        for (uint32_t e = g->row.start[i]; e < g->row.start[i + 1]; e++)
            need = fmax(need, (double)g->row.weight[e] - g->col.dual[g->row.to[e]]);
        if (need <= g->row.dual[i])
            continue;
        g->row.dual[i] = need;
        if (g->row.match[i] >= 0) {
            g->col.match[g->row.match[i]] = -1;
            g->row.match[i] = -1;
        }
    }
}

struct bid {
    double best, second; /* what the best column leaves the row, and the next best alternative */
    int32_t col;         /* -1: staying single is best */
};

static struct bid best_bid(const struct sx_graph *g, size_t i)
{
    struct bid bid = {.best = 0, .second = 0, .col = -1};
    for (uint32_t e = g->row.start[i]; e < g->row.start[i + 1]; e++) {
        double w = (double)g->row.weight[e];
        if (w <= bid.second)
            break;
        double left = w - g->col.dual[g->row.to[e]];
        if (left > bid.best) {
            bid.second = bid.best;
            bid.best = left;
            bid.col = (int32_t)g->row.to[e];
        } else if (left > bid.second) {
            bid.second = left;
        }
    }
    return bid;
}

/* Single rows take the column that leaves them most and raise its price until the next best
 * alternative would do as well. Rows that are pushed out bid again; where the price did not rise
 * (a tie) the row is left to the path search, which cannot run in circles. */
static void bid_for_columns(struct sx_graph *g, uint32_t *queue)
{
    size_t n = 0, budget = 16 * g->row.n;
    for (size_t i = g->row.n; i-- > 0;)
        if (g->row.match[i] < 0 && g->row.dual[i] > 0)
            queue[n++] = (uint32_t)i;
    while (n > 0 && budget-- > 0) {
        uint32_t i = queue[--n];
        struct bid bid = best_bid(g, i);
        g->row.dual[i] = bid.best;
        if (bid.col < 0)
            continue;
        int32_t holder = g->col.match[bid.col];
        if (holder >= 0 && bid.best == bid.second)
            continue;
        g->col.dual[bid.col] += bid.best - bid.second;
        g->row.dual[i] = bid.second;
        g->row.match[i] = bid.col;
        g->col.match[bid.col] = (int32_t)i;
        if (holder >= 0) {
            g->row.match[holder] = -1;
            queue[n++] = (uint32_t)holder;
        }
    }
}

/* --- shortest augmenting paths -----------------------------------------------------------------
 */

struct heap_item {
    double distance;
    uint32_t node;
};

struct search {
    struct sx_graph_side *near, *far; /* paths start on near */
    double *distance;                 /* [far] */
    uint32_t *parent;                 /* [far] the near node it was reached from */
    uint32_t *stamp;                  /* [far] search that wrote distance */
    uint32_t *done;                   /* far nodes settled in this search, in order */
    size_t n_done;
    struct heap_item *heap;
    size_t n_heap, heap_capacity;
    uint32_t serial;
    double best;      /* length of the best complete path */
    int32_t end_far;  /* its end when it is a single far node, else -1 */
    int32_t end_near; /* its end when it is a near node that becomes single */
    size_t scanned;
};

static void heap_push(struct search *s, double distance, uint32_t node)
{
    SX_GROW(s->heap, s->heap_capacity, s->n_heap + 1);
    size_t at = s->n_heap++;
    while (at > 0 && s->heap[(at - 1) / 2].distance > distance) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = (struct heap_item){distance, node};
}

static struct heap_item heap_pop(struct search *s)
{
    struct heap_item top = s->heap[0], last = s->heap[--s->n_heap];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < s->n_heap; at = child) {
        if (child + 1 < s->n_heap && s->heap[child + 1].distance < s->heap[child].distance)
            child++;
        if (s->heap[child].distance >= last.distance)
            break;
        s->heap[at] = s->heap[child];
    }
    s->heap[at] = last;
    return top;
}

static void look_from(struct search *s, uint32_t i, double distance)
{
    const struct sx_graph_side *near = s->near, *far = s->far;
    double dual = near->dual[i];
    if (distance + dual < s->best) {
        s->best = distance + dual;
        s->end_near = (int32_t)i;
        s->end_far = -1;
    }
    uint32_t e = near->start[i], end = near->start[i + 1];
    for (; e < end; e++) {
        double base = distance + (dual - (double)near->weight[e]);
        if (base >= s->best)
            break;
        uint32_t j = near->to[e];
        double d = base + far->dual[j];
        if (d >= s->best || (s->stamp[j] == s->serial && s->distance[j] <= d))
            continue;
        s->stamp[j] = s->serial;
        s->distance[j] = d;
        s->parent[j] = i;
        if (far->match[j] < 0) {
            s->best = d;
            s->end_far = (int32_t)j;
            s->end_near = -1;
        } else {
            heap_push(s, d, j);
        }
    }
    s->scanned += e - near->start[i];
}

/* Turn the path around: matched edges become unmatched and the other way about. */
static void augment(struct search *s, uint32_t from)
{
    int32_t j = s->end_far;
    if (j < 0) {
        if (s->end_near == (int32_t)from)
            return;
        j = s->near->match[s->end_near];
        s->near->match[s->end_near] = -1;
    }
    for (;;) {
        uint32_t i = s->parent[j];
        int32_t next = s->near->match[i];
        s->near->match[i] = j;
        s->far->match[j] = (int32_t)i;
        if (i == from)
            return;
        j = next;
    }
}

static void search_from(struct search *s, uint32_t from)
{
    s->serial++;
    s->n_heap = s->n_done = 0;
    s->best = INFINITY;
    look_from(s, from, 0);
    while (s->n_heap > 0) {
        struct heap_item top = heap_pop(s);
        if (top.distance >= s->best)
            break;
        if (top.distance > s->distance[top.node])
            continue; /* reached again on a shorter way */
        s->done[s->n_done++] = top.node;
        look_from(s, (uint32_t)s->far->match[top.node], top.distance);
    }
    /* Duals along the way, before the matches change. */
    s->near->dual[from] -= s->best;
    for (size_t t = 0; t < s->n_done; t++) {
        uint32_t j = s->done[t];
        double by = s->best - s->distance[j];
        s->far->dual[j] += by;
        s->near->dual[s->far->match[j]] -= by;
    }
    augment(s, from);
}

static enum sx_status match_singles(struct sx_graph *g, struct sx_graph_side *near,
                                    struct sx_graph_side *far, struct sx_task *task,
                                    struct sx_error *err)
{
    enum sx_status status = SX_OK;
    struct search s = {.near = near, .far = far};
    s.distance = sx_alloc_big(far->n + 1, sizeof *s.distance);
    s.parent = sx_alloc_big(far->n + 1, sizeof *s.parent);
    s.stamp = sx_calloc_big(far->n + 1, sizeof *s.stamp);
    s.done = sx_alloc_big(far->n + 1, sizeof *s.done);
    if (!s.distance || !s.parent || !s.stamp || !s.done) {
        status = sx_fail(err, SX_ERR_NOMEM, "no memory for the assignment of %zu rows", near->n);
        goto out;
    }
    for (size_t i = 0; i < near->n; i++) {
        if (near->match[i] >= 0 || near->dual[i] <= 0)
            continue;
        if (sx_task_is_cancelled(task)) {
            status = SX_CANCELLED;
            goto out;
        }
        search_from(&s, (uint32_t)i);
        g->searches++;
    }
    g->scanned += s.scanned;
out:
    sx_free(s.distance);
    sx_free(s.parent);
    sx_free(s.stamp);
    sx_free(s.done);
    sx_free(s.heap);
    return status;
}

enum sx_status sx_graph_solve(struct sx_graph *g, struct sx_task *task, struct sx_error *err)
{
    SX_ASSERT(g->n_edges < UINT32_MAX);
    SX_TRY(index_edges(g, err));
    repair(g);
    uint32_t *queue = sx_alloc_big(g->row.n + 1, sizeof *queue);
    if (!queue)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for the assignment of %zu rows", g->row.n);
    bid_for_columns(g, queue);
    sx_free(queue);
    SX_TRY(match_singles(g, &g->row, &g->col, task, err));
    return match_singles(g, &g->col, &g->row, task, err);
}
