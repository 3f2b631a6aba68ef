#include "sextant/base/text.h"

#include <criterion/criterion.h>
#include <string.h>

#include "sextant/base/alloc.h"

static const char *clean(const char *s)
{
    static char out[256];
    sx_text_clean(out, sizeof out, s, strlen(s));
    return out;
}

Test(text, control_sequences_are_removed)
{
    cr_expect_str_eq(clean("plain"), "plain");
    cr_expect_str_eq(clean("a\x1b[31mb"), "a\xEF\xBF\xBD[31mb");
    cr_expect_str_eq(clean("two\nlines\there"), "two lines here");
    cr_expect_str_eq(clean("bell\a"), "bell\xEF\xBF\xBD");
    cr_expect_str_eq(clean("del\x7f"), "del\xEF\xBF\xBD");
    cr_expect_str_eq(clean("c1\xC2\x9B"
                           "31m"),
                     "c1\xEF\xBF\xBD"
                     "31m");
    cr_expect_str_eq(clean("rtl\xE2\x80\xAE"), "rtl\xEF\xBF\xBD", "U+202E");
}

Test(text, invalid_bytes_become_replacement_characters)
{
    cr_expect_str_eq(clean("\xff"
                           "a"),
                     "\xEF\xBF\xBD"
                     "a");
    cr_expect_str_eq(clean("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");
    cr_expect_not(sx_utf8_valid("\xC0\x80", 2), "overlong NUL");
    cr_expect_not(sx_utf8_valid("\xED\xA0\x80", 3), "surrogate");
    cr_expect(sx_utf8_valid("h\xC3\xA9", 3));
}

Test(text, never_cut_inside_a_character)
{
    char out[4];
    size_t n = sx_text_clean(out, sizeof out, "a\xC3\xA9\xC3\xA9", 5);
    cr_expect_eq(n, 3);
    cr_expect_str_eq(out, "a\xC3\xA9");
    char one[1];
    cr_expect_eq(sx_text_clean(one, sizeof one, "abc", 3), 0);
    cr_expect_str_eq(one, "");
}

Test(text, widths)
{
    cr_expect_eq(sx_text_width("abc"), 3);
    cr_expect_eq(sx_text_width("\xE6\xBC\xA2"), 2, "CJK");
    cr_expect_eq(sx_text_width("e\xCC\x81"), 1, "combining accent");
    cr_expect_eq(sx_text_width("\xE2\x96\x88"), 1, "full block");
    cr_expect_eq(sx_text_width(""), 0);
}

Test(text, clean_dup_is_bounded)
{
    char *s = sx_text_clean_dup("abcdef", 6, 4);
    cr_expect_str_eq(s, "abcd");
    sx_free(s);
    s = sx_text_clean_dup("\xff\xff", 2, 100);
    cr_expect_str_eq(s, "\xEF\xBF\xBD\xEF\xBF\xBD");
    sx_free(s);
}

Test(text, lines_keep_their_layout_and_lose_what_a_terminal_obeys)
{
    const char bad[] = "a\tb\nc\x1b[2J\xc2\x9b\xe2\x80\xae\xff.";
    char *clean = sx_text_clean_lines(bad, sizeof bad - 1);
    cr_assert_str_eq(clean, "a\tb\nc\xef\xbf\xbd[2J\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.");
    sx_free(clean);
}
