#include "sextant/base/text.h"

#include <string.h>
#include <utf8proc.h>

#include "sextant/base/alloc.h"

enum { REPLACEMENT = 0xFFFD };

size_t sx_utf8_decode(const char *s, size_t len, uint32_t *codepoint)
{
    *codepoint = 0;
    if (!len)
        return 0;
    utf8proc_int32_t cp;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &cp);
    if (n <= 0) {
        *codepoint = REPLACEMENT;
        return 1;
    }
    *codepoint = (uint32_t)cp;
    return (size_t)n;
}

size_t sx_utf8_encode(uint32_t codepoint, char *out)
{
    if (!utf8proc_codepoint_valid((utf8proc_int32_t)codepoint))
        codepoint = REPLACEMENT;
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)codepoint, (utf8proc_uint8_t *)out);
}

bool sx_utf8_valid(const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t n =
            utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(len - i), &cp);
        if (n <= 0)
            return false;
        i += (size_t)n;
    }
    return true;
}

static bool is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7F && cp < 0xA0);
}

/* Bidirectional marks and overrides can make one line look like another. */
static bool is_direction_mark(uint32_t cp)
{
    return cp == 0x061C || cp == 0x200E || cp == 0x200F || (cp >= 0x202A && cp <= 0x202E) ||
           (cp >= 0x2066 && cp <= 0x2069) || cp == 0x2028 || cp == 0x2029;
}

bool sx_text_is_hostile(uint32_t codepoint)
{
    return is_control(codepoint) || is_direction_mark(codepoint);
}

int sx_text_width_of(uint32_t codepoint)
{
    if (is_control(codepoint))
        return 0;
    return utf8proc_charwidth((utf8proc_int32_t)codepoint);
}

int sx_text_width(const char *s)
{
    int width = 0;
    size_t len = strlen(s);
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        i += sx_utf8_decode(s + i, len - i, &cp);
        width += sx_text_width_of(cp);
    }
    return width;
}

static size_t clean(char *dst, size_t size, const char *s, size_t len, bool keep_layout)
{
    size_t used = 0;
    if (!size)
        return 0;
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        char bytes[4];
        i += sx_utf8_decode(s + i, len - i, &cp);
        if (cp == '\n' || cp == '\t')
            cp = keep_layout ? cp : ' ';
        else if (sx_text_is_hostile(cp))
            cp = REPLACEMENT;
        size_t n = sx_utf8_encode(cp, bytes);
        if (used + n >= size)
            break;
        memcpy(dst + used, bytes, n);
        used += n;
    }
    dst[used] = '\0';
    return used;
}

size_t sx_text_clean(char *dst, size_t size, const char *s, size_t len)
{
    return clean(dst, size, s, len, false);
}

/* One bad byte becomes three. */
static char *clean_dup(const char *s, size_t len, size_t max, bool keep_layout)
{
    size_t room = len > max / 3 ? max : len * 3;
    char *out = sx_xmalloc(room + 1);
    clean(out, room + 1, s, len, keep_layout);
    return out;
}

char *sx_text_clean_dup(const char *s, size_t len, size_t max)
{
    return clean_dup(s, len, max, false);
}

char *sx_text_clean_lines(const char *s, size_t len)
{
    return clean_dup(s, len, SIZE_MAX - 1, true);
}
