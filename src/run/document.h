/* Small helpers for the documents that commands answer with, and for printing them. Private to
 * src/run. */
#ifndef SEXTANT_RUN_DOCUMENT_H
#define SEXTANT_RUN_DOCUMENT_H

#include "sextant/base/str.h"
#include "sextant/base/value.h"

/* A real; what is not finite becomes null with KEY_why beside it. */
void sx_document_real(struct sx_value *map, const char *key, double value, const char *why);
void sx_document_int(struct sx_value *map, const char *key, int64_t value);
void sx_document_text(struct sx_value *map, const char *key, const char *text);

/* Before a document leaves a job: every real that is not finite becomes null with KEY_why, however
 * deep it stands. Takes and returns ownership. */
struct sx_value *sx_document_finish(struct sx_value *take);

/* "label   value" with the label in a column of its own; nothing when the value is not known. */
void sx_print_field(struct sx_str *out, const char *label, const struct sx_value *value);
/* A number as people read it: 0.812, 1.2e-05, "-" when not known. */
void sx_print_number(struct sx_str *out, const struct sx_value *value, int width, int digits);

/* Text arguments. */
const char *sx_arg_text(const struct sx_value *args, const char *name); /* NULL: not given */
/* All words of a repeated parameter joined by spaces; the caller frees. NULL: not given. */
char *sx_arg_joined(const struct sx_value *args, const char *name);

#endif
