/* Small text files that people write: ids, prompts, mutations. Private to run. */
#ifndef SEXTANT_RUN_TEXT_FILE_H
#define SEXTANT_RUN_TEXT_FILE_H

#include "sextant/base/str.h"

/* Append the whole file, at most 64 MiB; "-" is standard input. */
enum sx_status sx_text_file_read(const char *path, struct sx_str *out,
                                 struct sx_error *err) SX_MUST_CHECK;

/* The next line without its end, or NULL; *p moves on. Cuts the text in place. */
char *sx_text_next_line(char **p);

#endif
