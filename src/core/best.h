/* The K largest keys of many rows, collected in one pass. Private to core.
 *
 * A row's buffer holds twice K; a full one is cut back to its K best, in no order. Keys of one row
 * must differ. */
#ifndef SEXTANT_CORE_BEST_H
#define SEXTANT_CORE_BEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sx_best {
    size_t rows, k;
    uint64_t *keys;  /* [rows,2k] */
    uint32_t *count; /* [rows] */
};

bool sx_best_init(struct sx_best *b, size_t rows, size_t k); /* false: out of memory */
void sx_best_release(struct sx_best *b);

/* Cut a row with more than K keys to its K best; the worst of them lies at position k-1. */
void sx_best_cut(struct sx_best *b, size_t row);

/* True when the row was cut, so that its worst kept key may have changed. */
static inline bool sx_best_push(struct sx_best *b, size_t row, uint64_t key)
{
    b->keys[row * 2 * b->k + b->count[row]++] = key;
    if (b->count[row] < 2 * b->k)
        return false;
    sx_best_cut(b, row);
    return true;
}

/* Cut a row and sort it, largest first. */
void sx_best_sort(struct sx_best *b, size_t row);

#endif
