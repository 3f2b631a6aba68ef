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

/* How a first byte goes on: how many bytes follow it, and the range of the first of them (the
 * others are 80..BF). Unicode's table 3-7. */
static size_t continuation(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    *high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    return first >= 0xC2 && first <= 0xDF   ? 1
           : first >= 0xE0 && first <= 0xEF ? 2
           : first >= 0xF0 && first <= 0xF4 ? 3
                                            : 0;
}

size_t sx_utf8_part(const char *s, size_t len, bool *whole, bool *open)
{
    const unsigned char *bytes = (const unsigned char *)s;
    unsigned char low;
    unsigned char high;
    bool ignored;
    open = open ? open : &ignored;
    *whole = *open = false;
    if (!len)
        return 0;
    const size_t follow = continuation(bytes[0], &low, &high);
    *whole = bytes[0] < 0x80;
    for (size_t i = 1; i <= follow; i++, low = 0x80, high = 0xBF) {
        *open = i == len;
        if (*open || bytes[i] < low || bytes[i] > high)
            return i;
    }
    *whole |= follow > 0;
    return follow + 1;
}

size_t sx_utf8_append_lossy(struct sx_str *out, const char *s, size_t len)
{
    size_t replaced = 0;
    size_t from = 0; /* what is not yet copied */
    for (size_t i = 0; i < len;) {
        bool whole;
        const size_t n = sx_utf8_part(s + i, len - i, &whole, NULL);
        if (!whole) {
            sx_str_append_len(out, s + from, i - from);
            sx_str_append(out, "\xEF\xBF\xBD");
            from = i + n;
            replaced++;
        }
        i += n;
    }
    sx_str_append_len(out, s + from, len - from);
    return replaced;
}

static int combining_class(utf8proc_int32_t cp)
{
    return utf8proc_get_property(cp)->combining_class;
}

/* Stable, by combining class. utf8proc's own ordering takes quadratic time, and a run of marks is
 * as long as a stranger likes. */
static void sort_marks(utf8proc_int32_t *marks, utf8proc_int32_t *spare, size_t n)
{
    size_t at[256 + 1] = {0};
    for (size_t i = 0; i < n; i++)
        at[combining_class(marks[i]) + 1]++;
    for (size_t c = 1; c <= 256; c++)
        at[c] += at[c - 1];
    for (size_t i = 0; i < n; i++)
        spare[at[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, spare, n * sizeof *marks);
}

static void order_marks(utf8proc_int32_t *cps, utf8proc_int32_t *spare, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && combining_class(cps[end]) != 0)
            end++;
        if (end - i > 1)
            sort_marks(cps + i, spare, end - i);
        i = end > i ? end : i + 1;
    }
}

/* A stretch of text that nothing around it composes with. */
static bool compose(const char *s, size_t len, struct sx_str *out)
{
    enum { LONGEST = 4 }; /* a canonical decomposition has at most four code points */
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    /* One spare place: utf8proc_reencode writes a NUL. */
    const size_t room = len * LONGEST + 1;
    utf8proc_int32_t *cps = sx_alloc_big(room, 2 * sizeof *cps);
    size_t n = 0;
    if (!cps)
        return false;
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        int boundary = 0;
        i += sx_utf8_decode(s + i, len - i, &cp);
        const utf8proc_ssize_t more = utf8proc_decompose_char(
            (utf8proc_int32_t)cp, cps + n, (utf8proc_ssize_t)(room - n), options, &boundary);
        SX_ASSERT(more > 0 && (size_t)more <= room - n);
        n += (size_t)more;
    }
    order_marks(cps, cps + room, n);
    const utf8proc_ssize_t bytes = utf8proc_reencode(cps, (utf8proc_ssize_t)n, options);
    SX_ASSERT(bytes >= 0);
    sx_str_append_len(out, (const char *)cps, (size_t)bytes);
    sx_free(cps);
    return true;
}

bool sx_text_nfc(const char *s, size_t len, struct sx_str *out)
{
    enum { FIRST_TO_COMPOSE = 0x300 }; /* everything below stands for itself, and begins anew */
    size_t start = 0;                  /* of the last character below */
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        size_t n = sx_utf8_decode(s + i, len - i, &cp);
        if (cp < FIRST_TO_COMPOSE) {
            sx_str_append_len(out, s + start, i - start);
            start = i;
            i += n;
            continue;
        }
        while (i < len && cp >= FIRST_TO_COMPOSE) {
            i += n;
            n = sx_utf8_decode(s + i, len - i, &cp);
        }
        if (!compose(s + start, i - start, out))
            return false;
        start = i;
    }
    sx_str_append_len(out, s + start, len - start);
    return true;
}

static bool is_white_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
           cp == 0x205F || cp == 0x3000;
}

enum sx_text_class sx_text_class(uint32_t codepoint)
{
    if (is_white_space(codepoint))
        return SX_TEXT_SPACE;
    switch (utf8proc_category((utf8proc_int32_t)codepoint)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return SX_TEXT_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return SX_TEXT_NUMBER;
    default:
        return SX_TEXT_OTHER;
    }
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
