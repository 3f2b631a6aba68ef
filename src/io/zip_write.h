/* Writing zip archives of stored members. Private to io. */
#ifndef SEXTANT_IO_ZIP_WRITE_H
#define SEXTANT_IO_ZIP_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "outfile.h"
#include "sextant/base/str.h"

struct sx_zip_writer {
    struct sx_outfile file;
    struct sx_str directory;
    uint64_t count;
};

/* A member's bytes are `head` followed by `body`. Its first byte is put on a multiple of 64, as
 * torch and mapped readers like it. */
void sx_zip_add(struct sx_zip_writer *w, const char *name, const void *head, size_t head_len,
                const void *body, size_t body_len);
/* The directory and the end records; the caller commits w->file. */
void sx_zip_end(struct sx_zip_writer *w);

#endif
