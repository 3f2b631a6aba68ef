/* UTF-8, terminal widths and sanitising. Text from files passes sx_text_clean before it reaches a
 * screen, a log or an error message. The only user of utf8proc. */
#ifndef SEXTANT_BASE_TEXT_H
#define SEXTANT_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/str.h"

/* Decode one code point from s[0..len). Returns the bytes used (>= 1 when len > 0). Malformed
 * input gives U+FFFD and consumes one byte. len = 0 gives 0. */
size_t sx_utf8_decode(const char *s, size_t len, uint32_t *codepoint);

/* Encode; returns the bytes written (1..4). out needs 4 bytes; no NUL. */
size_t sx_utf8_encode(uint32_t codepoint, char *out);

bool sx_utf8_valid(const char *s, size_t len);

/* What stands at s[0..len): a whole character (*whole), or else the maximal subpart of one, which
 * a lossy decoder replaces by a single U+FFFD (Unicode 15, section 3.9, as Python's "replace" and
 * Rust's from_utf8_lossy). *open (may be NULL): the subpart ends with the text and more bytes could
 * complete it. Returns its bytes, >= 1 when len > 0. */
size_t sx_utf8_part(const char *s, size_t len, bool *whole, bool *open);

/* Append s[0..len) with every ill-formed subpart as U+FFFD; returns how many there were. */
size_t sx_utf8_append_lossy(struct sx_str *out, const char *s, size_t len);

/* Append the normalisation form C of s[0..len), which must be valid UTF-8. Takes linear time for
 * any text; false: no memory for it. */
bool sx_text_nfc(const char *s, size_t len, struct sx_str *out);

enum sx_text_class {
    SX_TEXT_OTHER,  /* combining marks too */
    SX_TEXT_SPACE,  /* the property White_Space */
    SX_TEXT_LETTER, /* the categories L* */
    SX_TEXT_NUMBER, /* the categories N* */
};
enum sx_text_class sx_text_class(uint32_t codepoint);

/* Columns a code point takes on a terminal: 0 (combining), 1 or 2. Control characters: 0. */
int sx_text_width_of(uint32_t codepoint);

/* Columns of a NUL-terminated string. */
int sx_text_width(const char *s);

/* Copy s[0..len) into dst (size bytes, always NUL-terminated, never cut inside a code point):
 * C0/C1 control characters, DEL, bidirectional overrides and invalid bytes become U+FFFD or, for
 * newline and tab, a space. Returns the length of dst. */
size_t sx_text_clean(char *dst, size_t size, const char *s, size_t len);

/* A heap copy of the same, at most `max` bytes; free with sx_free. */
char *sx_text_clean_dup(const char *s, size_t len, size_t max);

/* The same for a text of several lines, whole: newlines and tabs stay. */
char *sx_text_clean_lines(const char *s, size_t len);

/* Control characters and marks of direction: what the functions above replace. */
bool sx_text_is_hostile(uint32_t codepoint);

#endif
