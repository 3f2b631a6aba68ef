/* What grids of cells put where. Header of src/interp/scan_*.c alone. */
#ifndef SEXTANT_SRC_INTERP_SCAN_PRIVATE_H
#define SEXTANT_SRC_INTERP_SCAN_PRIVATE_H

#include "sextant/interp/scan.h"

enum { SX_SITE_POINTS = 3 };

/* One point that the cells of a site change. */
struct sx_put {
    enum sx_point point;
    size_t width;
    bool bos;    /* token 0 is changed */
    bool single; /* the request's token alone is changed; else every token */
    /* What is put, [L, tokens, width]; NULL: zero. tokens is T, or 1 where every token gets the
     * same. */
    float *values;
    size_t tokens;
    /* By band: [L, bands, tokens, H, 2]. */
    float *pairs;
};

struct sx_puts {
    struct sx_put item[SX_SITE_POINTS];
    size_t n;
    uint64_t bytes; /* of the values */
};

/* The points of a site; no values yet. Edges have none. */
struct sx_puts sx_puts_of(const struct sx_grid_request *request, const struct sx_model_info *info);
/* Fills the values. *source_metric: of the other run (PATCH), else NAN. */
enum sx_status sx_puts_fill(struct sx_puts *puts, struct sx_runner *runner,
                            const struct sx_grid_request *request, double *source_metric,
                            struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;
void sx_puts_release(struct sx_puts *puts);
/* Row of `values` that token t of the base gets. */
size_t sx_put_row(const struct sx_put *put, const struct sx_grid_request *request, size_t t);

/* One point of every layer in one run, [L,T,width]; the caller frees. token and logits (NULL: not
 * wanted): one row of them. */
enum sx_status sx_scan_capture(struct sx_runner *runner, const struct sx_sequence *sequence,
                               const enum sx_point *points, size_t n_points, float **out,
                               size_t token, float *logits, struct sx_task *task,
                               struct sx_error *err) SX_MUST_CHECK;

#endif
