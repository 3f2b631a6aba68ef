/* Weights for passes of a few rows, where reading them is what takes the time: a copy in the stored
 * element type in one block of large pages. Mapped files come in pages of 4 KiB, and looking those
 * up costs a third of the bandwidth. */
#ifndef SEXTANT_SRC_MODEL_NEAR_WEIGHTS_H
#define SEXTANT_SRC_MODEL_NEAR_WEIGHTS_H

#include <stddef.h>

#include "sextant/base/task.h"
#include "sextant/model/model.h"

struct sx_near_weights {
    unsigned passes; /* of a few rows so far */
    unsigned char *block;
    const void **stored; /* [products]; NULL: use what is mapped */
};

/* Count a pass; copy the weights when there are enough of them to be worth it and the copy takes no
 * more than a quarter of the machine's memory. Without the memory, or cancelled, nothing changes.
 * weights [n]: entries may be NULL or without data. */
void sx_near_weights_count(struct sx_near_weights *near, const struct sx_weight *const *weights,
                           size_t n, const struct sx_task *task);
void sx_near_weights_release(struct sx_near_weights *near);

#endif
