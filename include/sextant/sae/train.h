/* Training families of SAEs on dense data (Jedryszek & Crook 2026, section "MNIST"): all seeds of
 * one configuration in one run, on the same batches, with how far they agree in the curve.
 *
 * A run named NAME writes into its folder
 *   NAME_sSEED.sae.h5   one SAE a seed, when the run is complete
 *   NAME.curve.h5       the curve, readable while it grows (columns: sx_train_columns)
 *   NAME.ckpt.h5        weights, optimiser, position and curve: what resume needs
 * Same configuration, build and thread count give the same bytes, interrupted or not. */
#ifndef SEXTANT_SAE_TRAIN_H
#define SEXTANT_SAE_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/task.h"
#include "sextant/base/value.h"
#include "sextant/sae/types.h"

/* --- configuration -----------------------------------------------------------------------------
 */

enum { SX_TRAIN_MAX_SEEDS = 16 };

enum sx_b_dec_init { SX_B_DEC_ZERO, SX_B_DEC_GEOMETRIC_MEDIAN };

/* Every field is a key of the YAML file under the same name; sx_train_config_key says what each
 * means. Strings are owned. */
struct sx_train_config {
    char *name;
    char *data;
    char *data_tensor; /* "": the only matrix of the file */
    int64_t data_rows; /* 0: all */
    double data_scale; /* 0: 1/255 for idx files, 1 for others */
    int64_t image_width, image_height;

    enum sx_sae_arch arch;
    int64_t dict_size; /* 0: expansion * D */
    double expansion;
    bool b_enc, b_dec;
    enum sx_b_dec_init b_dec_init;
    bool tied_init, unit_norm_init;
    enum sx_constraint decoder_constraint;

    enum sx_penalty penalty_encoder, penalty_decoder;
    double lambda_encoder, lambda_decoder;
    double l1_activation;

    int64_t seeds[SX_TRAIN_MAX_SEEDS];
    size_t n_seeds;
    int64_t data_seed;
    bool shared_data_order;

    int64_t batch, epochs, steps;
    double lr, beta1, beta2, eps;

    int64_t log_every, mmcs_every, checkpoint_every;
    int64_t dead_after; /* 0: one epoch */
    int64_t threads;    /* 0: all cores */
};

/* One row of the schema: for help, completion and the reference example. */
struct sx_train_key {
    const char *name;
    const char *type;     /* "string" "integer" "real" "bool" "choice" "list of integers" */
    const char *fallback; /* the default as YAML text; NULL: required */
    const char *range;    /* "0..1", "a|b|c"; "" when anything goes */
    const char *help;     /* one line */
};
const struct sx_train_key *sx_train_config_key(size_t i); /* NULL past the last */

void sx_train_config_init(struct sx_train_config *config); /* defaults */
void sx_train_config_release(struct sx_train_config *config);

/* Read a YAML file over the defaults, then `overrides` ("key=value") over that. A relative `data`
 * in the file is relative to the file's folder, one in an override to the current folder. `name`
 * defaults to the file's name. Unknown keys, wrong types and values out of range are SX_ERR_USAGE
 * with file and line; what is left to check together (required keys, distinct seeds) as well.
 * On failure *config needs no release. */
enum sx_status sx_train_config_load(const char *path, const char *const *overrides,
                                    size_t n_overrides, struct sx_train_config *config,
                                    struct sx_error *err) SX_MUST_CHECK;
/* The same from text; `label` stands in messages and `folder` (NULL: none) before a relative
 * `data`. */
enum sx_status sx_train_config_parse(const char *label, const char *text, size_t len,
                                     const char *folder, const char *const *overrides,
                                     size_t n_overrides, struct sx_train_config *config,
                                     struct sx_error *err) SX_MUST_CHECK;
/* The effective configuration, every key in the schema's order. */
struct sx_value *sx_train_config_describe(const struct sx_train_config *config);

/* --- run ---------------------------------------------------------------------------------------
 */

/* Updates in all; *per_epoch: steps of one pass over the samples, the last batch may be smaller. */
uint64_t sx_train_steps(const struct sx_train_config *config, uint64_t samples,
                        uint64_t *per_epoch);

struct sx_train_metrics { /* of one seed at one step */
    double loss;          /* mse + sparsity + penalty */
    double mse;           /* mean (x̂ - x)^2 of this step's batch */
    double sparsity;      /* l1_activation * mean |z| */
    double penalty;       /* on the weights, after the step */
    double l0;            /* mean count of active latents */
    double dead;          /* latents that did not fire for dead_after steps */
    double alignment;     /* mean cos(W_enc[j], W_dec[j]) */
};

struct sx_train_row { /* one logged step */
    uint64_t step, steps;
    double epoch; /* passes over the data so far */
    size_t n_seeds;
    const int64_t *seeds;                   /* [n_seeds] */
    const struct sx_train_metrics *metrics; /* [n_seeds] */
    /* Mean max |cosine|, decoder and encoder averaged, of each pair of seeds in the order (0,1),
     * (0,2), (1,2) …; NAN where this row did not measure it. */
    size_t n_pairs;
    const double *mmcs; /* [n_pairs] */
    double mmcs_mean;   /* NAN: not measured, or one seed */
    double seconds;     /* since this process began to train */
    double eta;         /* seconds left; -1: not known */
};

/* The JSON line of a row. */
struct sx_value *sx_train_row_describe(const struct sx_train_row *row);

/* Columns of NAME.curve.h5: "step", "epoch", then "s0.loss" "s0.mse" … for each seed by its
 * number, then "mmcs.0-1" … and "mmcs". A list of strings; the caller frees it. */
struct sx_value *sx_train_columns(const struct sx_train_config *config);

typedef void (*sx_train_on_row)(void *user, const struct sx_train_row *row);

/* Train into out_dir (made when missing). With `resume` the run goes on from NAME.ckpt.h5, whose
 * configuration must be the same except for epochs, steps and how often to log or save; without a
 * checkpoint it starts from the beginning. SX_CANCELLED: a checkpoint was written. on_row may be
 * NULL; it is called in the calling thread. */
enum sx_status sx_train_run(const struct sx_train_config *config, const char *out_dir, bool resume,
                            sx_train_on_row on_row, void *user, struct sx_task *task,
                            struct sx_error *err) SX_MUST_CHECK;

#endif
