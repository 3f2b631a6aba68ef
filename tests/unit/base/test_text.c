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

static void lossy(const char *bytes, size_t n, const char *expected, size_t replaced)
{
    struct sx_str out = SX_STR_INIT;
    cr_expect_eq(sx_utf8_append_lossy(&out, bytes, n), replaced);
    cr_expect_str_eq(out.data, expected);
    sx_str_release(&out);
}

#define R "\xEF\xBF\xBD"

/* The examples of Unicode 15, tables 3-8 to 3-11. */
Test(text, maximal_subparts_become_one_replacement_character_each)
{
    lossy("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82", 10, "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82", 0);
    lossy("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", 9, R R R R R R R R "A", 8);
    lossy("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", 9, R R R R R R R R "A", 8);
    lossy("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", 9, R R R R R "A" R R "B", 7);
    lossy("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 9, R R R R "A", 4);
    lossy("\xF0\x9F\x99", 3, R, 1);
    lossy("", 0, "", 0);
}

Test(text, an_unfinished_character_is_told_from_a_broken_one)
{
    bool whole;
    bool open;
    cr_expect_eq(sx_utf8_part("\xF0\x9F\x99", 3, &whole, &open), 3);
    cr_expect(open && !whole);
    cr_expect_eq(sx_utf8_part("\xF0\x9F\x41", 3, &whole, &open), 2);
    cr_expect(!open && !whole);
    cr_expect_eq(sx_utf8_part("\xE0\x80", 2, &whole, &open), 1);
    cr_expect(!open && !whole);
    cr_expect_eq(sx_utf8_part("\xC3", 1, &whole, &open), 1);
    cr_expect(open && !whole);
    cr_expect_eq(sx_utf8_part("\xC3\xA9z", 3, &whole, &open), 2);
    cr_expect(!open && whole);
}

static void nfc(const char *text, const char *expected)
{
    struct sx_str out = SX_STR_INIT;
    cr_expect(sx_text_nfc(text, strlen(text), &out));
    cr_expect_str_eq(out.data, expected);
    sx_str_release(&out);
}

Test(text, normalisation_form_c)
{
    nfc("", "");
    nfc("plain text", "plain text");
    nfc("e\xCC\x81 e\xCC\x81\xCC\xA3x", "\xC3\xA9 \xE1\xBA\xB9\xCC\x81x"); /* marks are ordered */
    nfc("\xE2\x84\xAB", "\xC3\x85");                                       /* Angstrom sign */
    nfc("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xEA\xB0\x81");           /* Hangul */
    nfc("\xEF\xAC\x81", "\xEF\xAC\x81");             /* the ligature fi stays */
    nfc("\xE0\xA5\x98", "\xE0\xA4\x95\xE0\xA4\xBC"); /* excluded from composition */
    nfc("\xCC\x81"
        "e",
        "\xCC\x81"
        "e");
}

Test(text, classes_of_characters)
{
    cr_expect_eq(sx_text_class('a'), SX_TEXT_LETTER);
    cr_expect_eq(sx_text_class(0x65E5), SX_TEXT_LETTER);
    cr_expect_eq(sx_text_class(0x2B0), SX_TEXT_LETTER, "Lm");
    cr_expect_eq(sx_text_class('7'), SX_TEXT_NUMBER);
    cr_expect_eq(sx_text_class(0x2167), SX_TEXT_NUMBER, "Nl");
    cr_expect_eq(sx_text_class(0xBD), SX_TEXT_NUMBER, "No");
    cr_expect_eq(sx_text_class('_'), SX_TEXT_OTHER);
    cr_expect_eq(sx_text_class(0x301), SX_TEXT_OTHER, "a combining mark");
    cr_expect_eq(sx_text_class(0x200B), SX_TEXT_OTHER, "zero width space");
    cr_expect_eq(sx_text_class(0x1F), SX_TEXT_OTHER);
    cr_expect_eq(sx_text_class(0x85), SX_TEXT_SPACE);
    cr_expect_eq(sx_text_class(0x3000), SX_TEXT_SPACE);
}
