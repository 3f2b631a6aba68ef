/* Maximum-weight bipartite matching on a sparse graph whose edges can be added between solves.
 * Private to core.
 *
 * Weights are positive. A row or a column may stay single. Both directions keep a dual value >= 0
 * with  u[i] + v[j] >= weight(i,j)  for every edge, equality on matched edges, and 0 for what is
 * single once solved; so the matching and the duals prove each other optimal. Weights are rounded
 * to multiples of 2^-30 on entry: sums of those are exact in double, so ties are true ties. */
#ifndef SEXTANT_CORE_SPARSE_ASSIGNMENT_H
#define SEXTANT_CORE_SPARSE_ASSIGNMENT_H

#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/task.h"

struct sx_edge {
    uint32_t row, col;
    float weight;
};

/* One side of the graph: rows look at columns, or columns at rows. */
struct sx_graph_side {
    size_t n;
    uint32_t *start; /* [n+1] */
    uint32_t *to;    /* [edges], heaviest first in each node */
    float *weight;   /* [edges] */
    double *dual;    /* [n] */
    int32_t *match;  /* [n], -1: single */
};

struct sx_graph {
    struct sx_graph_side row, col;
    struct sx_edge *edges; /* owned */
    size_t n_edges, capacity;
    size_t searches, scanned; /* work done so far: augmenting searches, edges looked at */
};

/* SX_ERR_NOMEM when memory is out. */
enum sx_status sx_graph_init(struct sx_graph *g, size_t rows, size_t cols,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_graph_release(struct sx_graph *g);

/* Edges of weight <= 0 are ignored; of doubled ones the heaviest counts. */
void sx_graph_add(struct sx_graph *g, size_t row, size_t col, float weight);

/* Match as heavily as possible, starting from the last solve's matching and duals. */
enum sx_status sx_graph_solve(struct sx_graph *g, struct sx_task *task,
                              struct sx_error *err) SX_MUST_CHECK;

/* The weight as the solver sees it. */
double sx_graph_round(float weight);

#endif
