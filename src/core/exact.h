/* The similarity of single pairs of rows from double sums, cheaply also where many pairs have to be
 * asked for: among rows without a common direction, and among copies. Private to core.
 *
 * Letters: N rows of A, M rows of B, D columns. */
#ifndef SEXTANT_CORE_EXACT_H
#define SEXTANT_CORE_EXACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/task.h"

/* One set of rows. */
struct sx_exact_side {
    const float *raw; /* [n,D], borrowed */
    size_t n;
    float *unit;       /* [n,D] */
    double *scale;     /* [n]; 0: similar to nothing */
    uint64_t *support; /* [n,words]: a bit for each column where the unit row is not 0 */
    uint32_t *twin;    /* [n] the first row with the same bytes; UINT32_MAX: no other has them */
};

struct sx_exact {
    size_t d, words;
    bool is_signed;
    bool changed; /* a row became NaN after it was checked: its file was cut shorter */
    struct sx_exact_side a, b;
    uint64_t *known_pair; /* last pairs of twins asked for, and what was found; NULL: no twins */
    float *known_sim;
};

/* Borrows a [n,d] and b [m,d]. SX_ERR_NUMERIC: NaN or infinity in them. */
enum sx_status sx_exact_init(struct sx_exact *x, const float *a, size_t n, const float *b, size_t m,
                             size_t d, bool is_signed, const struct sx_task *task,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_exact_release(struct sx_exact *x);

/* The double sum, rounded to float32; 0 where it is NaN by now. */
float sx_exact_similarity(struct sx_exact *x, size_t i, size_t j);

/* The same, but 0 for some pairs below 2^-31. */
float sx_exact_weight(struct sx_exact *x, size_t i, size_t j);

#endif
