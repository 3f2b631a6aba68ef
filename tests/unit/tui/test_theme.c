#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/str.h"
#include "sextant/tui/theme.h"

static const char *const bundled[] = {"default", "light", "mono", "high-contrast"};

static void load(const char *name, struct sx_theme *theme)
{
    char path[512];
    struct sx_error err = {0};
    snprintf(path, sizeof path, SX_SOURCE_DIR "/themes/%s.yaml", name);
    enum sx_status status = sx_theme_load(path, theme, &err);
    cr_assert_eq(status, SX_OK, "%s", err.message);
    cr_expect_str_eq(theme->name, name);
}

Test(theme, every_bundled_theme_has_every_style_at_four_depths)
{
    for (size_t i = 0; i < sizeof bundled / sizeof bundled[0]; i++) {
        struct sx_theme theme;
        load(bundled[i], &theme); /* a missing style or depth fails here */
        for (int s = 0; s < SX_STYLE_COUNT; s++) {
            cr_expect_eq(theme.look[s][SX_DEPTH_MONO].fg.kind, SX_COLOUR_DEFAULT);
            cr_expect_neq(theme.look[s][SX_DEPTH_256].fg.kind, SX_COLOUR_RGB);
            if (theme.look[s][SX_DEPTH_16].fg.kind == SX_COLOUR_INDEX)
                cr_expect_lt(theme.look[s][SX_DEPTH_16].fg.index, 16);
        }
        /* The cursor can be seen at every depth. */
        for (int d = 0; d < SX_DEPTH_COUNT; d++) {
            const struct sx_look *cursor = &theme.look[SX_STYLE_CURSOR][d];
            cr_expect(cursor->bg.kind != SX_COLOUR_DEFAULT || (cursor->attrs & SX_REVERSE),
                      "%s: depth %d", bundled[i], d);
        }
    }
}

Test(theme, compiled_in_default_equals_its_file)
{
    struct sx_theme theme;
    load("default", &theme);
    cr_expect(memcmp(&theme.look, &sx_theme_default()->look, sizeof theme.look) == 0);
}

static double luminance(struct sx_rgb c)
{
    double part[3] = {c.r / 255.0, c.g / 255.0, c.b / 255.0};
    for (int i = 0; i < 3; i++)
        part[i] = part[i] <= 0.04045 ? part[i] / 12.92 : pow((part[i] + 0.055) / 1.055, 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
}

/* WCAG: (lighter + .05) / (darker + .05), 4.5 for text. */
Test(theme, heat_text_contrasts_with_its_cell_and_the_ramp_is_monotone)
{
    for (size_t i = 0; i < sizeof bundled / sizeof bundled[0]; i++) {
        struct sx_theme theme;
        load(bundled[i], &theme);
        int rising = 0;
        double last = -1;
        for (int s = SX_STYLE_HEAT_0; s <= SX_STYLE_DIV_10; s++) {
            const struct sx_look *look = &theme.look[s][SX_DEPTH_TRUE];
            double a = luminance(look->fg.rgb);
            double b = luminance(look->bg.rgb);
            double contrast = (fmax(a, b) + 0.05) / (fmin(a, b) + 0.05);
            cr_expect_gt(contrast, 4.5, "%s %s: %.2f", bundled[i], sx_style_name((enum sx_style)s),
                         contrast);
            if (s <= SX_STYLE_HEAT_9) {
                if (last >= 0)
                    rising += b > last ? 1 : -1;
                last = b;
            }
        }
        cr_expect_eq(abs(rising), SX_HEAT_LEVELS - 1, "%s: the ramp turns", bundled[i]);
    }
}

static void expect_bad_look(const char *text, enum sx_depth depth)
{
    struct sx_look look;
    struct sx_error err = {0};
    cr_expect_neq(sx_look_parse(text, depth, &look, &err), SX_OK, "\"%s\" was taken", text);
    cr_expect(err.message[0]);
}

Test(theme, looks_are_parsed_strictly)
{
    struct sx_look look;
    cr_assert_eq(sx_look_parse("#ff8000 on #000102 bold underline", SX_DEPTH_TRUE, &look, NULL),
                 SX_OK);
    cr_expect_eq(look.fg.rgb.g, 0x80);
    cr_expect_eq(look.bg.rgb.b, 2);
    cr_expect_eq(look.attrs, SX_BOLD | SX_UNDERLINE);
    cr_assert_eq(sx_look_parse("bright-blue on 3", SX_DEPTH_16, &look, NULL), SX_OK);
    cr_expect_eq(look.fg.index, 12);
    cr_expect_eq(look.bg.index, 3);
    expect_bad_look("#ff80", SX_DEPTH_TRUE);
    expect_bad_look("256", SX_DEPTH_256);
    expect_bad_look("16", SX_DEPTH_16);
    expect_bad_look("blue", SX_DEPTH_MONO);
    expect_bad_look("red blue", SX_DEPTH_16);
    expect_bad_look("red on", SX_DEPTH_16);
    expect_bad_look("blinking", SX_DEPTH_16);
}

Test(theme, errors_name_file_and_line)
{
    struct sx_theme theme;
    struct sx_error err = {0};
    struct sx_value *v = sx_value_map();
    sx_value_set(v, "name", sx_value_string("x"));
    struct sx_value *styles = sx_value_set(v, "styles", sx_value_map());
    struct sx_value *item = sx_value_set(styles, "no_such", sx_value_map());
    sx_value_set_line(item, 7);
    cr_expect_eq(sx_theme_from_value(v, "t.yaml", &theme, &err), SX_ERR_FORMAT);
    cr_expect_str_eq(err.message, "t.yaml:7: unknown style \"no_such\"");
    sx_value_free(v);
}

Test(theme, palette_quantisation)
{
    cr_expect_eq(sx_rgb_to_256((struct sx_rgb){255, 0, 0}), 196);
    cr_expect_eq(sx_rgb_to_256((struct sx_rgb){128, 128, 128}), 244);
    cr_expect_eq(sx_rgb_to_16((struct sx_rgb){250, 250, 250}), 15);
    for (int i = 16; i < 256; i++) { /* every entry finds a twin of itself */
        struct sx_rgb rgb = sx_rgb_of_256((uint8_t)i);
        struct sx_rgb back = sx_rgb_of_256(sx_rgb_to_256(rgb));
        cr_expect(rgb.r == back.r && rgb.g == back.g && rgb.b == back.b);
    }
}

static enum sx_depth chosen(const char *word, const char *no_color, const char *term,
                            const char *colorterm, bool tty)
{
    enum sx_depth depth = SX_DEPTH_COUNT;
    cr_assert_eq(sx_depth_choose(word, no_color, term, colorterm, tty, &depth, NULL), SX_OK);
    return depth;
}

Test(theme, depth_follows_option_and_environment)
{
    cr_expect_eq(chosen(NULL, NULL, "xterm-256color", NULL, true), SX_DEPTH_256);
    cr_expect_eq(chosen(NULL, NULL, "xterm-256color", "truecolor", true), SX_DEPTH_TRUE);
    cr_expect_eq(chosen("auto", "1", "xterm-256color", "truecolor", true), SX_DEPTH_MONO);
    cr_expect_eq(chosen("auto", "", "xterm-256color", NULL, true), SX_DEPTH_256);
    cr_expect_eq(chosen("auto", NULL, "dumb", NULL, true), SX_DEPTH_MONO);
    cr_expect_eq(chosen("auto", NULL, "xterm", NULL, true), SX_DEPTH_16);
    cr_expect_eq(chosen("auto", NULL, "xterm-256color", NULL, false), SX_DEPTH_MONO);
    cr_expect_eq(chosen("always", "1", "xterm-256color", NULL, false), SX_DEPTH_256);
    cr_expect_eq(chosen("16", "1", "dumb", NULL, false), SX_DEPTH_16);
    struct sx_error err = {0};
    enum sx_depth depth;
    cr_expect_eq(sx_depth_choose("blue", NULL, NULL, NULL, true, &depth, &err), SX_ERR_USAGE);
}

Test(theme, overlay_keeps_the_foreground_unless_it_has_one)
{
    const struct sx_theme *theme = sx_theme_default();
    struct sx_cell cell = {
        .ch = 'x', .width = 1, .style = SX_STYLE_GOOD, .over = SX_STYLE_CURSOR_BLUR};
    struct sx_look look = sx_theme_cell(theme, SX_DEPTH_TRUE, &cell);
    struct sx_look good = theme->look[SX_STYLE_GOOD][SX_DEPTH_TRUE];
    struct sx_look blur = theme->look[SX_STYLE_CURSOR_BLUR][SX_DEPTH_TRUE];
    cr_expect_eq(look.fg.rgb.g, good.fg.rgb.g);
    cr_expect_eq(look.bg.rgb.g, blur.bg.rgb.g);
    cell.over = SX_STYLE_CURSOR;
    look = sx_theme_cell(theme, SX_DEPTH_TRUE, &cell);
    cr_expect_eq(look.fg.rgb.r, theme->look[SX_STYLE_CURSOR][SX_DEPTH_TRUE].fg.rgb.r);
}

Test(theme, ansi_and_svg)
{
    struct sx_screen *screen = sx_screen_new(6, 2, SX_CHARSET_UTF8, SX_DEPTH_16);
    struct sx_canvas cv = sx_canvas_of(screen);
    sx_put(&cv, 0, 0, SX_STYLE_BAD, "a<b");
    sx_put(&cv, 0, 1, SX_STYLE_TEXT, "ok");
    struct sx_str s = SX_STR_INIT;
    sx_screen_ansi(screen, sx_theme_default(), SX_DEPTH_16, &s);
    cr_expect_str_eq(s.data, "\033[0;1;91ma<b\033[0m   \nok    \n");
    sx_str_clear(&s);
    sx_screen_ansi(screen, sx_theme_default(), SX_DEPTH_MONO, &s);
    cr_expect_str_eq(s.data, "a<b\nok\n");
    sx_str_clear(&s);
    sx_screen_svg(screen, sx_theme_default(), &s);
    cr_expect(strstr(s.data, ">a&lt;b</text>"), "%s", s.data);
    cr_expect(strstr(s.data, "</svg>"));
    sx_str_release(&s);
    sx_screen_free(screen);
}
