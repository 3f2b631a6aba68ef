/* Activations named on a command line. Private to src/run. */
#ifndef SEXTANT_RUN_MATRIX_H
#define SEXTANT_RUN_MATRIX_H

#include <stdint.h>

#include "sextant/base/status.h"

struct sx_matrix {
    uint64_t rows, columns;
    float *data; /* [rows, columns], owned */
};

/* X.npy, X.npz:NAME, X.safetensors:NAME, X.h5:/DATASET (the name may be left out when the file
 * holds one matrix), or MNIST's idx images (bytes are divided by 255). max_rows 0: all. On failure
 * *matrix is empty. */
enum sx_status sx_matrix_read(const char *input, uint64_t max_rows, struct sx_matrix *matrix,
                              struct sx_error *err) SX_MUST_CHECK;
void sx_matrix_release(struct sx_matrix *matrix);

#endif
