/* Sequences of FASTA files (Pearson and Lipman 1988), plain or gzip. A record at a time, so that a
 * file of any size takes the memory of its longest record. */
#ifndef SEXTANT_IO_FASTA_H
#define SEXTANT_IO_FASTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/task.h"

struct sx_fasta_record {
    char *name;        /* the first word after '>', sanitised; "record 3" where there is none */
    char *description; /* the rest of that line, sanitised, or "" */
    char *sequence;    /* [length] and a NUL; as the file writes it, lower case too, without
                                white space and without a '*' at the end */
    size_t length;
};

struct sx_fasta; /* an open file */

/* path: "-" is standard input. */
enum sx_status sx_fasta_open(const char *path, struct sx_fasta **out,
                             struct sx_error *err) SX_MUST_CHECK;
/* The bytes are borrowed until close. */
enum sx_status sx_fasta_open_memory(const char *label, const void *bytes, size_t size,
                                    struct sx_fasta **out, struct sx_error *err) SX_MUST_CHECK;
void sx_fasta_close(struct sx_fasta *fasta); /* NULL is fine */

/* The next record, borrowed until the next call; *more is false at the end. Errors name file and
 * line: text before the first '>', a file without any record, control characters in a sequence,
 * a record of more than 256 MiB. */
enum sx_status sx_fasta_next(struct sx_fasta *fasta, struct sx_fasta_record *record, bool *more,
                             struct sx_error *err) SX_MUST_CHECK;

/* All of it, for work that sorts sequences by length. */
struct sx_fasta_records {
    struct sx_fasta_record *records; /* [n] */
    size_t n;
};
/* At most 4 GiB of text; polls the task (NULL: never cancelled). Release with
 * sx_fasta_records_release, also after a failure. */
enum sx_status sx_fasta_read(const char *path, struct sx_task *task, struct sx_fasta_records *out,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_fasta_records_release(struct sx_fasta_records *records);

#endif
