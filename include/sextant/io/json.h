/* JSON to and from document trees. The only user of jansson. */
#ifndef SEXTANT_IO_JSON_H
#define SEXTANT_IO_JSON_H

#include <stddef.h>

#include "sextant/base/status.h"
#include "sextant/base/str.h"
#include "sextant/base/value.h"

/* Strict RFC 8259: UTF-8, one value, duplicate keys refused, depth bounded. Errors name
 * `label`, line and column. The caller frees *out. */
enum sx_status sx_json_parse(const char *label, const char *text, size_t len, struct sx_value **out,
                             struct sx_error *err) SX_MUST_CHECK;
/* A file of at most 64 MiB. */
enum sx_status sx_json_parse_file(const char *path, struct sx_value **out,
                                  struct sx_error *err) SX_MUST_CHECK;

/* Append `v` to `out`. indent 0: one line. NaN and infinities become null; reals keep 17 digits
 * only where 9 would lose. Invalid UTF-8 is replaced. */
void sx_json_write(const struct sx_value *v, int indent, struct sx_str *out);

#endif
