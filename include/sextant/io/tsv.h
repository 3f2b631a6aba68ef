/* Tab-separated text, plain or gzip, a line at a time. There is no quoting: a field is what stands
 * between two tabs, without white space around it. Empty lines and lines that begin with '#' are
 * passed over. */
#ifndef SEXTANT_IO_TSV_H
#define SEXTANT_IO_TSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"

struct sx_tsv; /* an open file */

enum { SX_TSV_FIELDS = 64 };

struct sx_tsv_row { /* borrowed until the next call */
    const char *field[SX_TSV_FIELDS];
    size_t n;
    uint64_t line; /* from 1 */
};

enum sx_status sx_tsv_open(const char *path, struct sx_tsv **out,
                           struct sx_error *err) SX_MUST_CHECK;
void sx_tsv_close(struct sx_tsv *tsv); /* NULL is fine */
/* *more is false at the end. A line of more than 64 fields or 64 KiB is refused. */
enum sx_status sx_tsv_next(struct sx_tsv *tsv, struct sx_tsv_row *row, bool *more,
                           struct sx_error *err) SX_MUST_CHECK;

#endif
