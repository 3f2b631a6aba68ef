/* What goes to standard output and standard error. */
#ifndef SEXTANT_APP_OUTPUT_H
#define SEXTANT_APP_OUTPUT_H

#include <stdbool.h>

#include "sextant/base/status.h"
#include "sextant/base/str.h"
#include "sextant/base/value.h"
#include "sextant/run/command.h"

enum sx_output_form { SX_OUTPUT_TEXT, SX_OUTPUT_JSON, SX_OUTPUT_CSV };

/* Write to standard output. A reader that went away (head, a pager) ends the program's output
 * without a word: SX_CANCELLED. */
enum sx_status sx_output_write(const struct sx_str *text, struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_output_flush(struct sx_error *err) SX_MUST_CHECK;

/* A document in the form asked for. `print` (may be NULL) makes the text for people. `indent` of
 * the JSON: 0 is one line. */
enum sx_status sx_output_document(const struct sx_value *document, enum sx_output_form form,
                                  int indent,
                                  void (*print)(const struct sx_value *, struct sx_str *),
                                  struct sx_error *err) SX_MUST_CHECK;
/* Rows of maps as RFC 4180, with \n at the ends of lines; columns in order of first appearance. */
void sx_output_csv(const struct sx_value *rows, struct sx_str *out);
/* An indented outline of any document. */
void sx_output_outline(const struct sx_value *v, struct sx_str *out);

/* One line on standard error: "sextant: message". */
void sx_output_error(const char *message);
/* 0 ok, 1 failed, 2 usage, 130 cancelled. */
int sx_output_exit_code(enum sx_status status);

/* While a job runs: progress and, when verbose, the log on standard error. */
struct sx_progress;
struct sx_progress *sx_progress_start(const char *name, const struct sx_task *task, bool verbose);
void sx_progress_stop(struct sx_progress *progress); /* NULL is fine */

#endif
