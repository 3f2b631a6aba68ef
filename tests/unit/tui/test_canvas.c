#include <criterion/criterion.h>
#include <string.h>

#include "sextant/base/str.h"
#include "sextant/tui/canvas.h"
#include "sextant/tui/layout.h"

static struct sx_screen *screen;
static struct sx_canvas cv;

static void open_screen(int w, int h, enum sx_charset charset)
{
    screen = sx_screen_new(w, h, charset, SX_DEPTH_256);
    cv = sx_canvas_of(screen);
}

static void close_screen(void)
{
    sx_screen_free(screen);
    screen = NULL;
}

static void expect_text(bool styles, const char *expected)
{
    struct sx_str s = SX_STR_INIT;
    sx_screen_text(screen, styles, &s);
    cr_expect_str_eq(s.data, expected);
    sx_str_release(&s);
}

Test(canvas, text_is_clipped_on_every_side, .fini = close_screen)
{
    open_screen(6, 3, SX_CHARSET_UTF8);
    cr_expect_eq(sx_put(&cv, 4, 0, SX_STYLE_TEXT, "abcdef"), 2);
    sx_put(&cv, -2, 1, SX_STYLE_TEXT, "abcdef");
    sx_put(&cv, 0, 3, SX_STYLE_TEXT, "below");
    sx_put(&cv, 0, -1, SX_STYLE_TEXT, "above");
    sx_fill(&cv, (struct sx_rect){-5, 2, 7, 9}, SX_STYLE_TEXT, '#');
    expect_text(false, "    ab|\ncdef  |\n##    |\n");
}

Test(canvas, sub_canvas_has_its_own_origin_and_clip, .fini = close_screen)
{
    open_screen(8, 3, SX_CHARSET_UTF8);
    struct sx_canvas sub = sx_canvas_sub(&cv, (struct sx_rect){2, 1, 4, 1});
    sx_put(&sub, 0, 0, SX_STYLE_TEXT, "abcdefgh");
    sx_put(&sub, 0, 1, SX_STYLE_TEXT, "outside");
    struct sx_canvas deep = sx_canvas_sub(&sub, (struct sx_rect){3, -1, 10, 5});
    sx_fill(&deep, sx_canvas_rect(&deep), SX_STYLE_TEXT, 'X');
    expect_text(false, "        |\n  abcX  |\n        |\n");
    struct sx_canvas none = sx_canvas_sub(&sub, (struct sx_rect){0, 0, -3, -1});
    sx_put(&none, 0, 0, SX_STYLE_TEXT, "nothing");
    expect_text(false, "        |\n  abcX  |\n        |\n");
}

Test(canvas, wide_characters_are_whole_or_blank, .fini = close_screen)
{
    open_screen(5, 4, SX_CHARSET_UTF8);
    cr_expect_eq(sx_put(&cv, 0, 0, SX_STYLE_TEXT, "a漢b漢"), 4);
    sx_put(&cv, 0, 1, SX_STYLE_TEXT, "漢漢");
    sx_put(&cv, 1, 1, SX_STYLE_TEXT, "x"); /* the right half of the first */
    sx_put(&cv, -1, 2, SX_STYLE_TEXT, "漢b");
    sx_put_char(&cv, 4, 3, SX_STYLE_TEXT, 0x6F22);
    expect_text(false, "a漢b |\n x漢 |\n b   |\n     |\n");
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 5; x++) {
            const struct sx_cell *cell = sx_canvas_cell(&cv, x, y);
            cr_expect_eq(cell->width == 0, x > 0 && cell[-1].width == 2);
        }
}

Test(canvas, combining_marks_join_and_controls_show, .fini = close_screen)
{
    open_screen(6, 1, SX_CHARSET_UTF8);
    cr_expect_eq(sx_put(&cv, 0, 0, SX_STYLE_TEXT, "e\xCC\x81\x1b[x"), 4);
    expect_text(false, "e\xCC\x81\xEF\xBF\xBD[x  |\n");
}

Test(canvas, ascii_substitutes_one_column_for_one, .fini = close_screen)
{
    open_screen(24, 2, SX_CHARSET_ASCII);
    sx_put(&cv, 0, 0, SX_STYLE_TEXT, "●○○ † ≈ ▶ … ▁▂▃▄▅▆▇█ é");
    sx_put(&cv, 0, 1, SX_STYLE_TEXT, "漢|");
    expect_text(false, "*oo x ~ > ~ .:-=+*#@ ?  |\n? |                     |\n");
}

Test(canvas, cut_right_and_centre, .fini = close_screen)
{
    open_screen(10, 4, SX_CHARSET_UTF8);
    sx_put_cut(&cv, 0, 0, 5, SX_STYLE_TEXT, "abcdefgh");
    sx_put_right(&cv, 0, 1, 10, SX_STYLE_TEXT, "12.5");
    sx_put_centre(&cv, 0, 2, 10, SX_STYLE_TEXT, "mid");
    sx_put_cut(&cv, 0, 3, 4, SX_STYLE_TEXT, "漢漢漢");
    expect_text(false, "abcd…     |\n      12.5|\n   mid    |\n漢…       |\n");
}

Test(canvas, styles_overlays_and_cursor_are_in_the_dump, .fini = close_screen)
{
    open_screen(8, 2, SX_CHARSET_UTF8);
    sx_put(&cv, 0, 0, SX_STYLE_NUMBER, "12");
    sx_put(&cv, 3, 0, SX_STYLE_TEXT, "ab");
    sx_overlay(&cv, (struct sx_rect){0, 0, 4, 1}, SX_STYLE_CURSOR);
    sx_put_rgb(&cv, 0, 1, '#', NULL, &(struct sx_rgb){1, 2, 3});
    sx_set_cursor(&cv, 3, 0, false);
    sx_set_cursor(&cv, 30, 0, false);
    expect_text(true, "{cursor+number:12}{cursor: a}b   |\n{rgb:#}       |\ncursor 3,0\n");
}

Test(canvas, plain_text_has_no_trailing_blanks, .fini = close_screen)
{
    open_screen(5, 2, SX_CHARSET_UTF8);
    sx_put(&cv, 0, 0, SX_STYLE_TEXT, "ab");
    struct sx_str s = SX_STR_INIT;
    sx_screen_plain(screen, &s);
    cr_expect_str_eq(s.data, "ab\n\n");
    sx_str_release(&s);
}

Test(layout, shares_minimums_and_folding)
{
    struct sx_rect out[3];
    struct sx_part parts[3] = {{.size = 10}, {.weight = 2, .min = 5}, {.weight = 1, .min = 20}};
    struct sx_rect r = {1, 2, 62, 9};
    sx_split_columns(r, 1, parts, 3, out);
    cr_expect_eq(out[0].w, 10);
    cr_expect_eq(out[1].w, 30);
    cr_expect_eq(out[2].w, 20);
    cr_expect_eq(out[1].x, 12);
    cr_expect_eq(out[2].x, 43);
    cr_expect_eq(out[2].h, 9);
    parts[2].optional = true;
    r.w = 30;
    sx_split_columns(r, 1, parts, 3, out);
    cr_expect_eq(out[1].w, 19);
    cr_expect_eq(out[2].w, 0);
    r.w = 4; /* too little even for the first */
    sx_split_columns(r, 1, parts, 3, out);
    cr_expect_eq(out[0].w, 4);
    cr_expect_eq(out[1].w, 0);
    sx_split_rows((struct sx_rect){0, 0, 5, 9}, 0, parts + 1, 2, out);
    cr_expect_eq(out[0].h, 9); /* the optional part, at least 20 rows, went */
}

Test(layout, every_column_is_used_once)
{
    struct sx_part parts[4] = {{.weight = 3}, {.weight = 1, .min = 7}, {.weight = 2}, {.size = 4}};
    for (int w = 20; w < 200; w++) {
        struct sx_rect out[4];
        sx_split_columns((struct sx_rect){0, 0, w, 1}, 1, parts, 4, out);
        int sum = 3;
        for (int i = 0; i < 4; i++)
            sum += out[i].w;
        cr_assert_eq(sum, w, "w = %d: %d", w, sum);
    }
}

Test(layout, too_small_is_calm, .fini = close_screen)
{
    open_screen(20, 3, SX_CHARSET_UTF8);
    cr_expect(sx_too_small(&cv, 40, 10));
    expect_text(false, "     too small      |\n    needs 40x10     |\n                    |\n");
    cr_expect_not(sx_too_small(&cv, 20, 3));
}
