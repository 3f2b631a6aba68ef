/* Finding the few large entries in a row of similarities: the inner loop of the all-pairs pass.
 * Private to core. Each function replaces s[0..n) by its absolute value (or by max(s,0) when
 * is_signed) and writes the hits' positions, ascending, to hits[n]; it returns how many. */
#ifndef SEXTANT_CORE_SCAN_H
#define SEXTANT_CORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Hits: s[j] > min(floor, floors[j]), that is, above either of the two. */
size_t sx_scan_either(float *s, size_t n, bool is_signed, float floor, const float *floors,
                      uint32_t *hits);
/* Hits: s[j] > floor + floors[j]. */
size_t sx_scan_sum(float *s, size_t n, bool is_signed, float floor, const float *floors,
                   uint32_t *hits);

/* The plain twins, for tests. */
size_t sx_scan_either_plain(float *s, size_t n, bool is_signed, float floor, const float *floors,
                            uint32_t *hits);
size_t sx_scan_sum_plain(float *s, size_t n, bool is_signed, float floor, const float *floors,
                         uint32_t *hits);

#endif
