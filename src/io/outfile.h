/* Files written under a temporary name and renamed when complete. Private to io. */
#ifndef SEXTANT_IO_OUTFILE_H
#define SEXTANT_IO_OUTFILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sextant/base/status.h"

/* A name beside `path` that no other process uses; free with sx_free. */
char *sx_temporary_name(const char *path);
/* Bring `temporary` to the disk and rename it to `path`; removes it on failure. */
enum sx_status sx_rename_into_place(const char *temporary, const char *path,
                                    struct sx_error *err) SX_MUST_CHECK;

struct sx_outfile {
    FILE *file;
    char *path;
    char *temporary;
    uint64_t written;
    int error; /* errno of the first failure */
};

enum sx_status sx_outfile_open(const char *path, struct sx_outfile *out,
                               struct sx_error *err) SX_MUST_CHECK;
/* Errors are kept and reported by commit. */
void sx_outfile_write(struct sx_outfile *f, const void *bytes, size_t n);
void sx_outfile_pad(struct sx_outfile *f, size_t n, char with);
/* Both free f's resources. */
enum sx_status sx_outfile_commit(struct sx_outfile *f, struct sx_error *err) SX_MUST_CHECK;
void sx_outfile_discard(struct sx_outfile *f);

#endif
