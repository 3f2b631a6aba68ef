/* MNIST's idx format, plain or gzip. */
#ifndef SEXTANT_IO_IDX_H
#define SEXTANT_IO_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"

struct sx_idx {
    int rank;
    uint32_t shape[4];
    uint64_t count;
    uint8_t *data; /* owned: unsigned bytes, row-major */
};

/* Unsigned-byte idx files of rank 1 to 4; found by content (gzip or not). */
enum sx_status sx_idx_read(const char *path, struct sx_idx *out,
                           struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_idx_read_memory(const char *label, const void *bytes, size_t len,
                                  struct sx_idx *out, struct sx_error *err) SX_MUST_CHECK;
void sx_idx_release(struct sx_idx *idx);

#endif
