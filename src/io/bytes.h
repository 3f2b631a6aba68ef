/* Where a reader's bytes come from: a regular file read with pread (safe when it shrinks) or
 * memory. Private to io. */
#ifndef SEXTANT_IO_BYTES_H
#define SEXTANT_IO_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"

struct sx_bytes {
    int fd;                /* -1: memory */
    const uint8_t *memory; /* borrowed */
    uint64_t size;
    char *label; /* owned; what messages call it */
};

/* Regular files only: a pipe or a device is refused, not waited for. */
enum sx_status sx_bytes_open(const char *path, struct sx_bytes *out,
                             struct sx_error *err) SX_MUST_CHECK;
struct sx_bytes sx_bytes_of_memory(const char *label, const void *memory, size_t size);
void sx_bytes_close(struct sx_bytes *b); /* a zeroed struct is not open: set fd to -1 */

/* Exactly n bytes at `offset`; SX_ERR_FORMAT when the source ends before. */
enum sx_status sx_bytes_read(const struct sx_bytes *b, uint64_t offset, size_t n, void *dst,
                             struct sx_error *err) SX_MUST_CHECK;

/* Everything, with a NUL behind it. *text is freed with sx_free. */
enum sx_status sx_bytes_load(const char *path, uint64_t cap, char **text, size_t *len,
                             struct sx_error *err) SX_MUST_CHECK;

static inline uint32_t sx_le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t sx_le32(const uint8_t *p)
{
    return sx_le16(p) | sx_le16(p + 2) << 16;
}

static inline uint64_t sx_le64(const uint8_t *p)
{
    return (uint64_t)sx_le32(p) | (uint64_t)sx_le32(p + 4) << 32;
}

#endif
