/* What this pattern of GPT-2 matches next, written by hand because no regular expression library
 * that knows its look-ahead takes linear time:
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+            */
#include "bpe_pieces.h"

#include <string.h>

#include "sextant/base/text.h"

static size_t contraction(const char *s, size_t len)
{
    if (len >= 2 && s[1] && strchr("stmd", s[1]))
        return 2;
    if (len >= 3 &&
        (memcmp(s, "'re", 3) == 0 || memcmp(s, "'ve", 3) == 0 || memcmp(s, "'ll", 3) == 0))
        return 3;
    return 0;
}

/* Bytes of characters of one class from s on; *last: where the last of them begins. */
static size_t run_of(enum sx_text_class class, const char *s, size_t len, size_t *last)
{
    size_t i = 0;
    while (i < len) {
        uint32_t cp;
        const size_t n = sx_utf8_decode(s + i, len - i, &cp);
        if (sx_text_class(cp) != class)
            break;
        *last = i;
        i += n;
    }
    return i;
}

static enum sx_text_class class_at(const char *s, size_t len)
{
    uint32_t cp;
    sx_utf8_decode(s, len, &cp);
    return sx_text_class(cp);
}

size_t sx_bpe_piece(const char *s, size_t len)
{
    size_t last = 0;
    const size_t quoted = *s == '\'' ? contraction(s, len) : 0;
    if (quoted)
        return quoted;
    const size_t prefix = *s == ' ' && len > 1;
    const enum sx_text_class class = class_at(s + prefix, len - prefix);
    if (class != SX_TEXT_SPACE)
        return prefix + run_of(class, s + prefix, len - prefix, &last);
    const size_t spaces = run_of(SX_TEXT_SPACE, s, len, &last);
    /* The last white space goes with what follows it. */
    return spaces == len || last == 0 ? spaces : last;
}
