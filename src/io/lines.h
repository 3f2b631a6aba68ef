/* Lines of a text file, plain or gzip, one after another. Private to io. */
#ifndef SEXTANT_IO_LINES_H
#define SEXTANT_IO_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/str.h"

struct sx_lines;

/* path: "-" is standard input; else a regular file. A byte order mark is passed over. */
enum sx_status sx_lines_open(const char *path, struct sx_lines **out,
                             struct sx_error *err) SX_MUST_CHECK;
/* The bytes are borrowed until close. */
enum sx_status sx_lines_open_memory(const char *label, const void *bytes, size_t size,
                                    struct sx_lines **out, struct sx_error *err) SX_MUST_CHECK;
void sx_lines_close(struct sx_lines *lines); /* NULL is fine */

/* The next line without its newline, in sx_lines_text until the next call; *more is false at the
 * end. A line of more than `longest` bytes is SX_ERR_UNSUPPORTED. */
enum sx_status sx_lines_next(struct sx_lines *lines, size_t longest, bool *more,
                             struct sx_error *err) SX_MUST_CHECK;
const struct sx_str *sx_lines_text(const struct sx_lines *lines);
uint64_t sx_lines_number(const struct sx_lines *lines); /* of that line, from 1 */
const char *sx_lines_label(const struct sx_lines *lines);

#endif
