/* Allocation. Small allocations abort when memory is out (sx_x*): untested recovery is worse.
 * Tensor- and file-sized ones (sx_alloc_big) return NULL and the caller answers SX_ERR_NOMEM.
 * SX_FAIL_ALLOC=n in the environment makes the n-th sx_alloc_big fail (for tests). */
#ifndef SEXTANT_BASE_ALLOC_H
#define SEXTANT_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"

void *sx_xmalloc(size_t size);
void *sx_xcalloc(size_t count, size_t size);
void *sx_xrealloc(void *p, size_t size);
char *sx_xstrdup(const char *s); /* NULL gives NULL */
char *sx_xstrndup(const char *s, size_t len);
char *sx_xasprintf(const char *fmt, ...) SX_PRINTF(1, 2);
void sx_free(void *p); /* for everything above; NULL is fine */

/* count*size bytes, 64-byte aligned, uninitialised; NULL when it overflows or memory is out.
 * Free with sx_free. */
void *sx_alloc_big(size_t count, size_t size);
/* The same, zeroed. */
void *sx_calloc_big(size_t count, size_t size);

/* *out = a*b; false on overflow. */
bool sx_mul_size(size_t a, size_t b, size_t *out);

/* Grow an array to hold at least `need` items; capacity doubles. */
#define SX_GROW(array, capacity, need)                                                             \
    do {                                                                                           \
        if ((size_t)(need) > (capacity)) {                                                         \
            (capacity) = (capacity) ? (capacity)*2 : 16;                                           \
            if ((capacity) < (size_t)(need))                                                       \
                (capacity) = (size_t)(need);                                                       \
            (array) = sx_xrealloc((array), (capacity) * sizeof *(array));                          \
        }                                                                                          \
    } while (0)

#endif
