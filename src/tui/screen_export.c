/* Screens for other media: escape sequences for a pipe into `less -R` or a paste, SVG for docs. */
#include "sextant/tui/theme.h"

#include "sextant/base/text.h"

static void append_char(struct sx_str *out, uint32_t ch)
{
    char bytes[4];
    sx_str_append_len(out, bytes, sx_utf8_encode(ch, bytes));
}

static void ansi_colour(struct sx_str *out, struct sx_colour c, enum sx_depth depth, bool bg)
{
    if (c.kind == SX_COLOUR_RGB)
        sx_str_printf(out, ";%d;2;%d;%d;%d", bg ? 48 : 38, c.rgb.r, c.rgb.g, c.rgb.b);
    else if (c.kind == SX_COLOUR_INDEX && depth == SX_DEPTH_16)
        sx_str_printf(out, ";%d", (c.index < 8 ? 30 : 82) + c.index + (bg ? 10 : 0));
    else if (c.kind == SX_COLOUR_INDEX)
        sx_str_printf(out, ";%d;5;%d", bg ? 48 : 38, c.index);
}

static bool same_colour(struct sx_colour a, struct sx_colour b)
{
    return a.kind == b.kind && a.index == b.index && a.rgb.r == b.rgb.r && a.rgb.g == b.rgb.g &&
           a.rgb.b == b.rgb.b;
}

static bool same_look(const struct sx_look *a, const struct sx_look *b)
{
    return a->attrs == b->attrs && same_colour(a->fg, b->fg) && same_colour(a->bg, b->bg);
}

static void ansi_look(struct sx_str *out, const struct sx_look *look, enum sx_depth depth)
{
    static const struct {
        uint8_t bit;
        const char *code;
    } attr[] = {{SX_BOLD, ";1"},
                {SX_FAINT, ";2"},
                {SX_ITALIC, ";3"},
                {SX_UNDERLINE, ";4"},
                {SX_REVERSE, ";7"}};
    sx_str_append(out, "\033[0");
    for (size_t i = 0; i < sizeof attr / sizeof attr[0]; i++)
        if (look->attrs & attr[i].bit)
            sx_str_append(out, attr[i].code);
    ansi_colour(out, look->fg, depth, false);
    ansi_colour(out, look->bg, depth, true);
    sx_str_append_char(out, 'm');
}

void sx_screen_ansi(const struct sx_screen *screen, const struct sx_theme *theme,
                    enum sx_depth depth, struct sx_str *out)
{
    if (depth == SX_DEPTH_MONO) {
        sx_screen_plain(screen, out);
        return;
    }
    static const struct sx_look plain;
    for (int y = 0; y < screen->h; y++) {
        const struct sx_cell *row = &screen->cells[(size_t)y * (size_t)screen->w];
        struct sx_look now = plain;
        for (int x = 0; x < screen->w; x++) {
            if (row[x].width == 0)
                continue;
            struct sx_look look = sx_theme_cell(theme, depth, &row[x]);
            if (!same_look(&look, &now)) {
                ansi_look(out, &look, depth);
                now = look;
            }
            append_char(out, row[x].ch);
            if (row[x].mark)
                append_char(out, row[x].mark);
        }
        sx_str_append(out, same_look(&now, &plain) ? "\n" : "\033[0m\n");
    }
}

enum { CELL_W = 8, CELL_H = 17, BASELINE = 13 };

static void svg_char(struct sx_str *out, uint32_t ch)
{
    if (ch == '<')
        sx_str_append(out, "&lt;");
    else if (ch == '&')
        sx_str_append(out, "&amp;");
    else
        append_char(out, ch);
}

static struct sx_rgb svg_rgb(struct sx_colour c, struct sx_rgb fallback)
{
    return c.kind == SX_COLOUR_RGB     ? c.rgb
           : c.kind == SX_COLOUR_INDEX ? sx_rgb_of_256(c.index)
                                       : fallback;
}

/* A page behind text of the theme's own: dark unless its text is dark. */
static struct sx_rgb svg_page(const struct sx_theme *theme)
{
    struct sx_colour text = theme->look[SX_STYLE_TEXT][SX_DEPTH_TRUE].fg;
    bool dark_text = text.kind == SX_COLOUR_RGB && text.rgb.r + text.rgb.g + text.rgb.b < 384;
    return dark_text ? (struct sx_rgb){250, 250, 250} : (struct sx_rgb){20, 22, 26};
}

static void svg_run(struct sx_str *out, const struct sx_cell *cell, int x, int y, int n,
                    const struct sx_look *look, struct sx_rgb page, struct sx_rgb ink)
{
    bool reverse = look->attrs & SX_REVERSE;
    struct sx_rgb fg = svg_rgb(look->fg, ink);
    struct sx_rgb bg = svg_rgb(look->bg, page);
    bool has_bg = reverse || look->bg.kind != SX_COLOUR_DEFAULT;
    if (reverse) {
        struct sx_rgb swap = fg;
        fg = bg;
        bg = swap;
    }
    if (has_bg)
        sx_str_printf(
            out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#%02x%02x%02x\"/>\n",
            x * CELL_W, y * CELL_H, n * CELL_W, CELL_H, bg.r, bg.g, bg.b);
    bool blank = true;
    for (int i = 0; i < n; i++)
        blank = blank && (cell[i].ch == ' ' || cell[i].width == 0);
    if (blank)
        return;
    sx_str_printf(out,
                  "<text x=\"%d\" y=\"%d\" textLength=\"%d\" fill=\"#%02x%02x%02x\"%s%s%s "
                  "xml:space=\"preserve\">",
                  x * CELL_W, y * CELL_H + BASELINE, n * CELL_W, fg.r, fg.g, fg.b,
                  look->attrs & SX_BOLD ? " font-weight=\"bold\"" : "",
                  look->attrs & SX_UNDERLINE ? " text-decoration=\"underline\"" : "",
                  look->attrs & SX_FAINT ? " opacity=\".6\"" : "");
    for (int i = 0; i < n; i++) {
        if (cell[i].width == 0)
            continue;
        svg_char(out, cell[i].ch);
        if (cell[i].mark)
            append_char(out, cell[i].mark);
    }
    sx_str_append(out, "</text>\n");
}

void sx_screen_svg(const struct sx_screen *screen, const struct sx_theme *theme, struct sx_str *out)
{
    struct sx_rgb page = svg_page(theme);
    struct sx_rgb ink = page.r > 128 ? (struct sx_rgb){20, 22, 26} : (struct sx_rgb){220, 220, 220};
    sx_str_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                  "font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"13\">\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"#%02x%02x%02x\"/>\n",
                  screen->w * CELL_W, screen->h * CELL_H, page.r, page.g, page.b);
    for (int y = 0; y < screen->h; y++) {
        const struct sx_cell *row = &screen->cells[(size_t)y * (size_t)screen->w];
        for (int x = 0; x < screen->w;) {
            struct sx_look look = sx_theme_cell(theme, SX_DEPTH_TRUE, &row[x]);
            int n = 1;
            while (x + n < screen->w) {
                struct sx_look next = sx_theme_cell(theme, SX_DEPTH_TRUE, &row[x + n]);
                if (!same_look(&look, &next))
                    break;
                n++;
            }
            svg_run(out, &row[x], x, y, n, &look, page, ink);
            x += n;
        }
    }
    sx_str_append(out, "</svg>\n");
}
