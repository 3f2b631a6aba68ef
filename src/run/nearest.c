#include "nearest.h"

#include <math.h>

#include "sextant/core/kernels.h"

float sx_cosine(const float *a, const float *b, size_t D)
{
    const double norms = sqrt(sx_sum_sq(a, D)) * sqrt(sx_sum_sq(b, D));
    return norms > 0 ? (float)(sx_dot_lanes(a, b, D) / norms) : 0.0F;
}

/* Insert into the short sorted list. */
static void keep(uint32_t *index, float *cos, size_t k, size_t *found, uint32_t j, float c)
{
    size_t at = *found;
    while (at > 0 && fabsf(cos[at - 1]) < fabsf(c))
        at--;
    if (at >= k)
        return;
    const size_t last = *found < k ? (*found)++ : k - 1;
    for (size_t i = last; i > at; i--) {
        index[i] = index[i - 1];
        cos[i] = cos[i - 1];
    }
    index[at] = j;
    cos[at] = c;
}

enum sx_status sx_nearest_rows(const float *w, size_t F, size_t D, const float *row, size_t skip,
                               size_t k, uint32_t *index, float *cos, size_t *found,
                               struct sx_task *task)
{
    enum { ROWS_A_POLL = 1024 };
    const double norm = sqrt(sx_sum_sq(row, D));
    *found = 0;
    if (!(norm > 0))
        return SX_OK;
    for (size_t j = 0; j < F; j++) {
        if (j % ROWS_A_POLL == 0 && sx_task_is_cancelled(task))
            return SX_CANCELLED;
        const float *other = w + j * D;
        const double other_norm = sqrt(sx_sum_sq(other, D));
        if (j == skip || !(other_norm > 0))
            continue;
        const float c = (float)(sx_dot_lanes(other, row, D) / (norm * other_norm));
        if (*found < k || fabsf(c) > fabsf(cos[k - 1]))
            keep(index, cos, k, found, (uint32_t)j, c);
    }
    return SX_OK;
}
