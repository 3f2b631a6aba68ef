/* Which rows of a weight matrix point where a given row points. Private to src/run. Not through
 * BLAS: the query lane runs beside the compute lane. */
#ifndef SEXTANT_RUN_NEAREST_H
#define SEXTANT_RUN_NEAREST_H

#include <stddef.h>
#include <stdint.h>

#include "sextant/base/task.h"

/* The k rows of w [F,D] with the largest |cos| to row [D], best first, `skip` (or SIZE_MAX) left
 * out. cos: signed. *found: how many (rows of zeros are similar to nothing). */
enum sx_status sx_nearest_rows(const float *w, size_t F, size_t D, const float *row, size_t skip,
                               size_t k, uint32_t *index, float *cos, size_t *found,
                               struct sx_task *task) SX_MUST_CHECK;
float sx_cosine(const float *a, const float *b, size_t D);

#endif
