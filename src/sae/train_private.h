/* What the files of the trainer share. Letters: N samples, D dimension, F latents, S seeds. */
#ifndef SEXTANT_SAE_TRAIN_PRIVATE_H
#define SEXTANT_SAE_TRAIN_PRIVATE_H

#include "sextant/io/h5.h"
#include "sextant/sae/train.h"
#include "sextant/sae/train_step.h"

struct sx_tensor_file;

/* Samples, as bytes or as floats. */
struct sx_train_data {
    uint64_t n, d;
    uint64_t image_width, image_height; /* 0: not images */
    uint8_t *bytes;                     /* [N,D] owned, or NULL */
    float divisor;                      /* of bytes */
    const float *values;                /* [N,D], when bytes is NULL */
    float scale;                        /* of both */
    float *owned;                       /* values, unless they are mapped */
    struct sx_tensor_file *file;        /* owned, behind mapped values */
};

enum sx_status sx_train_data_open(const struct sx_train_config *config, struct sx_train_data *data,
                                  struct sx_error *err) SX_MUST_CHECK;
void sx_train_data_release(struct sx_train_data *data);
/* out [n,D] = the samples listed. */
void sx_train_data_gather(const struct sx_train_data *data, const uint32_t *rows, size_t n,
                          float *out);

/* The curve so far, row by row; what checkpoints keep and NAME.curve.h5 shows. */
struct sx_train_curve {
    size_t columns, rows, capacity;
    double *values; /* [rows,columns] owned */
};

/* NAME.ckpt.h5. The states have the run's shape; `step` is what they share. */
enum sx_status sx_train_checkpoint_write(const char *path, const struct sx_train_config *config,
                                         const struct sx_train_data *data,
                                         const struct sx_train_state *states, size_t n_states,
                                         const struct sx_train_curve *curve,
                                         struct sx_error *err) SX_MUST_CHECK;
/* Fill states (allocated, shape as configured) and curve (columns set). SX_ERR_USAGE: written
 * under another configuration, named by key; SX_ERR_SHAPE: on other data. */
enum sx_status sx_train_checkpoint_read(const char *path, const struct sx_train_config *config,
                                        const struct sx_train_data *data,
                                        struct sx_train_state *states, size_t n_states,
                                        struct sx_train_curve *curve,
                                        struct sx_error *err) SX_MUST_CHECK;

/* The effective configuration as YAML text; the caller frees it. */
char *sx_train_config_text(const struct sx_train_config *config);

#endif
