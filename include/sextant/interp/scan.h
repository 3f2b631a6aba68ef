/* Many small changes to one run, each measured by one number: activation patching (Vig et al. 2020;
 * Meng et al. 2022), ablation, knocked-out edges (Geva et al. 2023). A cell's pass starts at the
 * first layer that the cell touches, from the residual stream that is kept of the run without
 * changes, and many cells go through the layers as one batch. The numbers are, bit for bit, those
 * of one whole pass a cell. */
#ifndef SEXTANT_INTERP_SCAN_H
#define SEXTANT_INTERP_SCAN_H

#include "sextant/base/task.h"
#include "sextant/interp/metric.h"
#include "sextant/model/forward.h"

/* --- the engine ---------------------------------------------------------------------------------
 */

/* What one cell does. `sequence` of interventions and overrides is not looked at: the cell is a
 * sequence of its own. Points once a run (logits, final.ln, …) may be changed too. */
struct sx_scan_cell {
    const struct sx_intervention *interventions;
    size_t n_interventions;
    const struct sx_position_override *positions;
    size_t n_positions;
    double estimate; /* how much the cell is expected to change; larger ones come first */
};

struct sx_scan_limits {
    uint64_t max_bytes; /* of kept residual streams and one batch; 0: 1 GiB */
    double max_flops;   /* of one batch, so that a cancel is seen and cells come soon; 0: 1e10 */
};

/* A batch is done: cells [n] are indices, values [n] the metric. On the thread that scans. */
typedef void sx_scan_fn(void *context, const size_t *cells, const double *values, size_t n);

/* base: ids, n, positions and embed_scale of the run that is changed, from the embedding on; its
 * rows are not looked at. token: whose row of logits is measured. *plain (NULL: not wanted): the
 * metric without any change. Batches take the layers in turns, from the last to the first, each
 * with its cells of largest estimate: a coarse picture comes first. value [n_cells] (or NULL) and
 * visit (or NULL) get the results; after SX_CANCELLED, and after an error, value holds NAN for what
 * was not done. SX_ERR_NOMEM: one cell alone is over the limit. */
enum sx_status sx_scan_run(struct sx_runner *runner, const struct sx_sequence *base, size_t token,
                           const struct sx_metric *metric, const struct sx_scan_cell *cells,
                           size_t n_cells, const struct sx_scan_limits *limits, double *plain,
                           double *value, sx_scan_fn *visit, void *context, struct sx_task *task,
                           struct sx_error *err) SX_MUST_CHECK;

/* --- inputs, each its own run -------------------------------------------------------------------
 */

struct sx_trial {                /* nothing is owned */
    struct sx_sequence sequence; /* rows are not looked at */
    size_t token;                /* whose logits are wanted */
    const struct sx_position_override *positions;
    size_t n_positions;
    const struct sx_intervention *interventions;
    size_t n_interventions;
};
/* logits [V] of trial `index`. */
typedef void sx_trial_fn(void *context, size_t index, const float *logits);
/* Runs inputs of any lengths in batches; `visit` sees them in order. limits as above (or NULL). */
enum sx_status sx_trials_run(struct sx_runner *runner, const struct sx_trial *trials, size_t n,
                             const struct sx_scan_limits *limits, sx_trial_fn *visit, void *context,
                             struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;

/* --- grids --------------------------------------------------------------------------------------
 */

/* What a grid of cells changes; its axes. */
enum sx_site {
    SX_SITE_RESID,     /* resid.pre: layer x token, and a last row: the output of the last layer */
    SX_SITE_HEAD,      /* ctx of a head: layer x head */
    SX_SITE_QKV,       /* q, k, v of a head: layer x (3 head + {0,1,2}) */
    SX_SITE_BAND,      /* one band of q (or k) in all heads: layer x band */
    SX_SITE_BLOCK,     /* attn_out, mlp_out: layer x {0,1} */
    SX_SITE_ATTN,      /* attn_out: layer x 1 */
    SX_SITE_MLP,       /* mlp_out: layer x 1 */
    SX_SITE_EDGE,      /* from the token to a key, all heads: layer x key */
    SX_SITE_BOS_VALUE, /* v of token 0: layer x head */
    SX_SITE_BOS_KEY,   /* k of token 0, before rotation: layer x head */
    SX_SITE_BOS_EDGE,  /* from the token to token 0: layer x head */
    SX_SITE_COUNT
};
const char *sx_site_name(enum sx_site site); /* "resid" "head" … "bos-value"; NULL past the last */
bool sx_site_find(const char *name, enum sx_site *site);
/* Sites that stand for the grids of patching. */
enum sx_site sx_grid_site(enum sx_grid grid);
bool sx_grid_find(const char *name, enum sx_grid *grid);
void sx_site_shape(const struct sx_model_info *info, enum sx_site site, size_t n_tokens,
                   size_t *rows, size_t *columns);

enum sx_how {
    SX_HOW_PATCH,    /* by what another run had there */
    SX_HOW_ZERO,     /* by 0; EDGE: the key's value is not added, the others stay as they are */
    SX_HOW_MEAN,     /* by the mean over a reference set */
    SX_HOW_RESAMPLE, /* by a token drawn from the reference set */
    SX_HOW_KNOCKOUT, /* EDGE and BOS_EDGE: score -infinity, the others share the attention */
    SX_HOW_COUNT
};
const char *sx_how_name(enum sx_how how); /* "patch" "zero" "mean" "resample" "knockout" */
bool sx_how_find(const char *name, enum sx_how *how);

/* What of a band BAND patches. */
enum sx_band_part {
    SX_PART_FULL,
    SX_PART_NORM,      /* the base's own direction, the length of the other run */
    SX_PART_DIRECTION, /* the base's own length, the direction of the other run */
    SX_PART_ROTATION,  /* the base's own vector, turned as if at the position of the other run's
                          token; only `rotated` */
    SX_PART_COUNT
};
const char *sx_band_part_name(enum sx_band_part part); /* "full"; NULL past the last */
bool sx_band_part_find(const char *name, enum sx_band_part *part);

struct sx_reference { /* one sequence of a reference set; nothing is owned */
    const int32_t *ids;
    size_t n;
    size_t token; /* that plays the role of the request's token; SIZE_MAX: none, it is left out of
                     means over that role */
};

struct sx_grid_request { /* nothing is owned */
    enum sx_site site;
    enum sx_how how;
    struct sx_metric metric;
    struct sx_sequence base; /* the run that is changed: the corrupt one in PATCH; ids and n, and
                                optionally positions, embed_scale */
    size_t token;            /* where the metric is read; also the query of edges */
    /* HEAD, BAND, BLOCK, ATTN, MLP, q of QKV: every token is changed, else `token` alone. k and v
     * of QKV always change at every token. */
    bool all_tokens;
    enum sx_band_part band_part; /* BAND by PATCH; else FULL */
    bool keys;    /* BAND: of the keys instead of the queries: of token 0, or of all tokens */
    bool rotated; /* q and k are taken and put after rotation, so that the other run's positions
                     come with them */
    /* PATCH: the run that activations are taken of, as many tokens and masks as base. */
    struct sx_sequence source;
    size_t source_token; /* activations of this token are put at `token`; SIZE_MAX: of the same one.
                            Not with all_tokens, RESID, keys and k, v */
    /* MEAN, RESAMPLE: every token of every sequence, or with a `token` of their own these alone,
     * where only `token` is changed. n_references 0: the tokens of base itself. <cls> and <eos> are
     * left out, and BOS sites take token 0 of each sequence instead. */
    const struct sx_reference *references;
    size_t n_references;
    uint64_t seed;
    /* Where the metric goes when all cells are changed at once (all heads, all layers); NULL: not
     * wanted. NAN where that means nothing (RESID, EDGE). */
    double *together;
    struct sx_scan_limits limits;
};

/* The cells of the result that a batch filled (indices row * columns + column). On the thread that
 * scans; `result` may be read in it. */
typedef void sx_grid_fn(void *context, const struct sx_scan_result *result, const size_t *cells,
                        size_t n);

/* Fills *result, which the caller releases also after a failure: after SX_CANCELLED it holds what
 * was done. Patching: `clean` is the metric of the source, `corrupt` that of the base. Cells known
 * without a pass (what the metric's token cannot see) are filled at once.
 * The estimate of a cell, by which the order goes: the norm of the difference between what is put
 * and what is there; of edges, the attention. */
enum sx_status sx_grid_run(struct sx_runner *runner, const struct sx_grid_request *request,
                           struct sx_scan_result *result, sx_grid_fn *visit, void *context,
                           struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;
/* What is shown of a cell: effect of a patch, or difference; NAN while it is not done. */
double sx_scan_effect(const struct sx_scan_result *result, size_t cell);

#endif
