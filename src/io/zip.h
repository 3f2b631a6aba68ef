/* The members of a zip archive, from its central directory. Private to io. */
#ifndef SEXTANT_IO_ZIP_H
#define SEXTANT_IO_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "sextant/base/status.h"

struct sx_zip_entry {
    const char *name; /* NUL-terminated, owned by the archive, not sanitised */
    bool deflated;    /* else stored */
    uint32_t crc;     /* 0 where the writer did not say */
    uint64_t packed;
    uint64_t size;
    uint64_t header; /* offset of the local header */
    uint64_t data;   /* offset of the first byte */
};

struct sx_zip {
    struct sx_zip_entry *entries; /* in order of names */
    size_t count;
    char *names;
};

/* Checks that every member lies inside the file and that no two overlap; members that are
 * encrypted or packed otherwise than by deflate are refused. */
enum sx_status sx_zip_open(const struct sx_bytes *bytes, struct sx_zip *out,
                           struct sx_error *err) SX_MUST_CHECK;
void sx_zip_release(struct sx_zip *zip);
const struct sx_zip_entry *sx_zip_find(const struct sx_zip *zip, const char *name); /* or NULL */

/* The first n bytes of a member (n at most its size), inflated. The check sum is compared when n is
 * the whole member and the writer gave one. */
enum sx_status sx_zip_read(const struct sx_bytes *bytes, const struct sx_zip_entry *entry, size_t n,
                           void *out, struct sx_error *err) SX_MUST_CHECK;

#endif
