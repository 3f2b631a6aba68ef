#include "best.h"

#include "sextant/base/alloc.h"

bool sx_best_init(struct sx_best *b, size_t rows, size_t k)
{
    *b = (struct sx_best){.rows = rows, .k = k};
    b->keys = sx_alloc_big(rows, 2 * k * sizeof *b->keys);
    b->count = sx_calloc_big(rows, sizeof *b->count);
    if (b->keys && b->count)
        return true;
    sx_best_release(b);
    return false;
}

void sx_best_release(struct sx_best *b)
{
    sx_free(b->keys);
    sx_free(b->count);
    *b = (struct sx_best){0};
}

static void swap_keys(uint64_t *a, uint64_t *b)
{
    uint64_t t = *a;
    *a = *b;
    *b = t;
}

/* Hoare's select: the k largest of n keys to the front, the k-th to position k-1. */
static void select_best(uint64_t *keys, size_t n, size_t k)
{
    size_t lo = 0, hi = n - 1, at = k - 1;
    while (lo < hi) {
        uint64_t pivot = keys[lo + (hi - lo) / 2];
        size_t i = lo, j = hi;
        for (;;) {
            while (keys[i] > pivot)
                i++;
            while (keys[j] < pivot)
                j--;
            if (i >= j)
                break;
            swap_keys(&keys[i++], &keys[j--]);
        }
        if (at <= j)
            hi = j;
        else
            lo = j + 1;
    }
}

void sx_best_cut(struct sx_best *b, size_t row)
{
    if (b->count[row] <= b->k)
        return;
    select_best(b->keys + row * 2 * b->k, b->count[row], b->k);
    b->count[row] = (uint32_t)b->k;
}

void sx_best_sort(struct sx_best *b, size_t row)
{
    sx_best_cut(b, row);
    uint64_t *keys = b->keys + row * 2 * b->k;
    for (size_t i = 1; i < b->count[row]; i++) {
        uint64_t key = keys[i];
        size_t j = i;
        for (; j > 0 && keys[j - 1] < key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}
