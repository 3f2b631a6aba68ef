/* Growable byte string, always NUL-terminated. `struct sx_str s = SX_STR_INIT;` … sx_str_release.
 */
#ifndef SEXTANT_BASE_STR_H
#define SEXTANT_BASE_STR_H

#include <stdarg.h>
#include <stddef.h>

#include "sextant/base/status.h"

struct sx_str {
    char *data; /* owned; points at a static "" while empty */
    size_t len;
    size_t capacity;
};

extern char sx_str_empty[1];
#define SX_STR_INIT ((struct sx_str){sx_str_empty, 0, 0})

void sx_str_release(struct sx_str *s);
void sx_str_clear(struct sx_str *s); /* length 0, memory kept */
void sx_str_append(struct sx_str *s, const char *text);
void sx_str_append_len(struct sx_str *s, const char *bytes, size_t len);
void sx_str_append_char(struct sx_str *s, char c);
void sx_str_printf(struct sx_str *s, const char *fmt, ...) SX_PRINTF(2, 3);
void sx_str_vprintf(struct sx_str *s, const char *fmt, va_list args) SX_PRINTF(2, 0);
char *sx_str_take(struct sx_str *s); /* the caller owns the result (sx_free); *s becomes empty */

#endif
