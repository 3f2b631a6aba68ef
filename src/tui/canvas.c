/* A screen is a flat array of cells, a canvas a clipped window onto it. All drawing ends in
 * put_cell, which keeps one invariant: a wide character is always a pair (left half with width 2,
 * right half with width 0), so that overwriting one half blanks the other. */
#include "sextant/tui/canvas.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/tui/layout.h"

enum { MAX_SIDE = 4096 };

static const struct sx_cell blank_cell = {.ch = ' ', .width = 1};

static int clamp_side(int n)
{
    return n < 1 ? 1 : n > MAX_SIDE ? MAX_SIDE : n;
}

struct sx_screen *sx_screen_new(int w, int h, enum sx_charset charset, enum sx_depth depth)
{
    struct sx_screen *screen = sx_xcalloc(1, sizeof *screen);
    screen->charset = charset;
    screen->depth = depth;
    sx_screen_resize(screen, w, h);
    return screen;
}

void sx_screen_free(struct sx_screen *screen)
{
    if (!screen)
        return;
    sx_free(screen->cells);
    sx_free(screen);
}

void sx_screen_resize(struct sx_screen *screen, int w, int h)
{
    screen->w = clamp_side(w);
    screen->h = clamp_side(h);
    screen->cells =
        sx_xrealloc(screen->cells, (size_t)screen->w * (size_t)screen->h * sizeof *screen->cells);
    sx_screen_clear(screen);
}

void sx_screen_clear(struct sx_screen *screen)
{
    size_t n = (size_t)screen->w * (size_t)screen->h;
    for (size_t i = 0; i < n; i++)
        screen->cells[i] = blank_cell;
    screen->cursor_set = false;
    screen->cursor_visible = false;
    screen->heat_bytes = 0;
}

void sx_screen_copy(struct sx_screen *to, const struct sx_screen *from, struct sx_rect rect)
{
    const struct sx_rect r = sx_rect_intersect(rect, (struct sx_rect){0, 0, to->w, to->h});

    SX_ASSERT(to->w == from->w && to->h == from->h);
    for (int y = r.y; y < r.y + r.h; y++) {
        const size_t at = (size_t)y * (size_t)to->w + (size_t)r.x;
        memcpy(to->cells + at, from->cells + at, (size_t)r.w * sizeof *to->cells);
    }
}

struct sx_canvas sx_canvas_of(struct sx_screen *screen)
{
    return (struct sx_canvas){screen, screen->w, screen->h, 0, 0, {0, 0, screen->w, screen->h}};
}

struct sx_canvas sx_canvas_sub(const struct sx_canvas *cv, struct sx_rect rect)
{
    struct sx_canvas sub = {.screen = cv->screen,
                            .w = rect.w > 0 ? rect.w : 0,
                            .h = rect.h > 0 ? rect.h : 0,
                            .x = cv->x + rect.x,
                            .y = cv->y + rect.y};
    sub.clip = sx_rect_intersect(cv->clip, (struct sx_rect){sub.x, sub.y, sub.w, sub.h});
    return sub;
}

struct sx_rect sx_canvas_rect(const struct sx_canvas *cv)
{
    return (struct sx_rect){0, 0, cv->w, cv->h};
}

bool sx_canvas_ascii(const struct sx_canvas *cv)
{
    return cv->screen->charset == SX_CHARSET_ASCII;
}

enum sx_depth sx_canvas_depth(const struct sx_canvas *cv)
{
    return cv->screen->depth;
}

struct sx_cell *sx_canvas_cell(const struct sx_canvas *cv, int x, int y)
{
    int sx = cv->x + x;
    int sy = cv->y + y;
    if (!sx_rect_contains(cv->clip, sx, sy))
        return NULL;
    return &cv->screen->cells[(size_t)sy * (size_t)cv->screen->w + (size_t)sx];
}

/* Blank the other half of a wide character before one half is overwritten. */
static void split_wide(struct sx_canvas *cv, int x, int y)
{
    int sx = cv->x + x;
    int sy = cv->y + y;
    struct sx_cell *row = &cv->screen->cells[(size_t)sy * (size_t)cv->screen->w];
    if (row[sx].width == 0 && sx > 0) {
        row[sx - 1].ch = ' ';
        row[sx - 1].width = 1;
    } else if (row[sx].width == 2 && sx + 1 < cv->screen->w) {
        row[sx + 1].ch = ' ';
        row[sx + 1].width = 1;
    }
}

static void put_cell(struct sx_canvas *cv, int x, int y, struct sx_cell cell)
{
    struct sx_cell *left = sx_canvas_cell(cv, x, y);
    if (cell.width == 2) {
        struct sx_cell *right = sx_canvas_cell(cv, x + 1, y);
        if (!left || !right) { /* half of it would fall outside: a blank stands for it */
            cell.ch = ' ';
            cell.mark = 0;
            cell.width = 1;
            if (right) {
                left = right;
                x++;
            }
        } else {
            split_wide(cv, x, y);
            split_wide(cv, x + 1, y);
            *left = cell;
            *right = cell;
            right->ch = 0;
            right->mark = 0;
            right->width = 0;
            return;
        }
    }
    if (!left)
        return;
    split_wide(cv, x, y);
    *left = cell;
}

/* ASCII substitutes for what the program itself draws; strangers' text beyond ASCII becomes `?`. */
static uint32_t ascii_of(uint32_t ch)
{
    static const struct {
        uint32_t ch;
        char ascii;
    } table[] = {
        {0x2026, '~'},  {0x25CF, '*'},  {0x25CB, 'o'}, {0x2020, 'x'}, {0x2248, '~'}, {0x25B8, '>'},
        {0x25BE, 'v'},  {0x25B6, '>'},  {0x25C0, '<'}, {0x25B2, '^'}, {0x25BC, 'v'}, {0x2500, '-'},
        {0x2502, '|'},  {0x253C, '+'},  {0x252C, '+'}, {0x2534, '+'}, {0x251C, '+'}, {0x2524, '+'},
        {0x2514, '+'},  {0x00B7, '.'},  {0x2013, '-'}, {0x2014, '-'}, {0x25D0, '%'}, {0x00B1, '~'},
        {0x2192, '>'},  {0x2190, '<'},  {0x2191, '^'}, {0x2193, 'v'}, {0x00D7, 'x'}, {0x23CE, '^'},
        {0x2016, '|'},  {0x2212, '-'},  {0x2581, '.'}, {0x2582, ':'}, {0x2583, '-'}, {0x2584, '='},
        {0x2585, '+'},  {0x2586, '*'},  {0x2587, '#'}, {0x2588, '@'}, {0x2264, '<'}, {0x2265, '>'},
        {0x2018, '\''}, {0x2019, '\''}, {0x201C, '"'}, {0x201D, '"'}, {0x00A0, ' '}, {0x2504, '-'},
        {0x03B1, 'a'},  {0x03B2, 'b'},  {0x03B5, 'e'}, {0x03BB, 'l'}, {0x03C1, 'r'}, {0x03C3, 's'},
        {0x03C4, 't'},  {0x0394, 'D'},  {0x03A3, 'S'}, {0x00B5, 'u'}, {0x03BC, 'u'}, {0x00B0, 'o'},
    };
    if (ch < 0x80)
        return ch;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].ch == ch)
            return (unsigned char)table[i].ascii;
    return '?';
}

int sx_put_char(struct sx_canvas *cv, int x, int y, enum sx_style style, uint32_t ch)
{
    if (sx_text_is_hostile(ch))
        ch = 0xFFFD;
    int width = sx_text_width_of(ch);
    if (width == 0) {
        struct sx_cell *before = sx_canvas_cell(cv, x - 1, y);
        if (before && before->width == 0)
            before = sx_canvas_cell(cv, x - 2, y);
        if (before && !before->mark && !sx_canvas_ascii(cv))
            before->mark = ch;
        return 0;
    }
    if (sx_canvas_ascii(cv) && ch >= 0x80) {
        ch = ascii_of(ch);
        for (int i = 1; i < width; i++) /* keep the width, so that columns stay where they are */
            put_cell(cv, x + i, y,
                     (struct sx_cell){.ch = ' ', .style = (uint8_t)style, .width = 1});
        put_cell(cv, x, y, (struct sx_cell){.ch = ch, .style = (uint8_t)style, .width = 1});
        return width;
    }
    put_cell(cv, x, y,
             (struct sx_cell){.ch = ch, .style = (uint8_t)style, .width = (uint8_t)width});
    return width;
}

int sx_put_len(struct sx_canvas *cv, int x, int y, enum sx_style style, const char *text,
               size_t len)
{
    int used = 0;
    for (size_t i = 0; i < len && x + used < cv->w;) {
        uint32_t ch;
        i += sx_utf8_decode(text + i, len - i, &ch);
        int width = sx_text_is_hostile(ch) ? 1 : sx_text_width_of(ch);
        if (x + used + width > cv->w)
            break;
        used += sx_put_char(cv, x + used, y, style, ch);
    }
    return used;
}

int sx_put(struct sx_canvas *cv, int x, int y, enum sx_style style, const char *text)
{
    return sx_put_len(cv, x, y, style, text, strlen(text));
}

int sx_putf(struct sx_canvas *cv, int x, int y, enum sx_style style, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    SX_ASSERT(n >= 0);
    return sx_put(cv, x, y, style, line);
}

/* Width as drawn: control characters take one column. */
static int drawn_width(const char *text, size_t len)
{
    int width = 0;
    for (size_t i = 0; i < len;) {
        uint32_t ch;
        i += sx_utf8_decode(text + i, len - i, &ch);
        width += sx_text_is_hostile(ch) ? 1 : sx_text_width_of(ch);
    }
    return width;
}

/* Bytes of `text` that fit into `width` columns. */
static size_t fitting(const char *text, size_t len, int width, int *used)
{
    size_t i = 0;
    *used = 0;
    while (i < len) {
        uint32_t ch;
        size_t n = sx_utf8_decode(text + i, len - i, &ch);
        int w = sx_text_is_hostile(ch) ? 1 : sx_text_width_of(ch);
        if (*used + w > width)
            break;
        *used += w;
        i += n;
    }
    return i;
}

int sx_put_cut(struct sx_canvas *cv, int x, int y, int width, enum sx_style style, const char *text)
{
    if (width <= 0)
        return 0;
    size_t len = strlen(text);
    int used;
    if (drawn_width(text, len) <= width)
        return sx_put_len(cv, x, y, style, text, len);
    size_t n = fitting(text, len, width - 1, &used);
    used = sx_put_len(cv, x, y, style, text, n);
    return used + sx_put_char(cv, x + used, y, style, sx_glyph(cv, SX_GLYPH_ELLIPSIS));
}

int sx_put_right(struct sx_canvas *cv, int x, int y, int width, enum sx_style style,
                 const char *text)
{
    int w = drawn_width(text, strlen(text));
    return sx_put_cut(cv, w < width ? x + width - w : x, y, width, style, text);
}

int sx_put_centre(struct sx_canvas *cv, int x, int y, int width, enum sx_style style,
                  const char *text)
{
    int w = drawn_width(text, strlen(text));
    return sx_put_cut(cv, w < width ? x + (width - w) / 2 : x, y, width, style, text);
}

void sx_fill(struct sx_canvas *cv, struct sx_rect rect, enum sx_style style, uint32_t ch)
{
    struct sx_canvas part = sx_canvas_sub(cv, rect);
    for (int y = part.clip.y - part.y; y < part.clip.y + part.clip.h - part.y; y++)
        for (int x = part.clip.x - part.x; x < part.clip.x + part.clip.w - part.x; x++)
            sx_put_char(&part, x, y, style, ch);
}

void sx_hline(struct sx_canvas *cv, int x, int y, int len, enum sx_style style)
{
    sx_fill(cv, (struct sx_rect){x, y, len, 1}, style, sx_glyph(cv, SX_GLYPH_HLINE));
}

void sx_vline(struct sx_canvas *cv, int x, int y, int len, enum sx_style style)
{
    sx_fill(cv, (struct sx_rect){x, y, 1, len}, style, sx_glyph(cv, SX_GLYPH_VLINE));
}

void sx_overlay(struct sx_canvas *cv, struct sx_rect rect, enum sx_style over)
{
    struct sx_canvas part = sx_canvas_sub(cv, rect);
    for (int y = part.clip.y; y < part.clip.y + part.clip.h; y++)
        for (int x = part.clip.x; x < part.clip.x + part.clip.w; x++)
            cv->screen->cells[(size_t)y * (size_t)cv->screen->w + (size_t)x].over = (uint8_t)over;
}

void sx_put_rgb(struct sx_canvas *cv, int x, int y, uint32_t ch, const struct sx_rgb *fg,
                const struct sx_rgb *bg)
{
    struct sx_cell cell = blank_cell;
    cell.ch = sx_canvas_ascii(cv) ? ascii_of(ch) : ch;
    if (fg) {
        cell.flags |= SX_CELL_FG;
        cell.fg = *fg;
    }
    if (bg) {
        cell.flags |= SX_CELL_BG;
        cell.bg = *bg;
    }
    put_cell(cv, x, y, cell);
}

void sx_set_cursor(struct sx_canvas *cv, int x, int y, bool visible)
{
    if (!sx_canvas_cell(cv, x, y))
        return;
    cv->screen->cursor_x = cv->x + x;
    cv->screen->cursor_y = cv->y + y;
    cv->screen->cursor_set = true;
    cv->screen->cursor_visible = visible;
}

uint32_t sx_glyph(const struct sx_canvas *cv, enum sx_glyph glyph)
{
    static const uint32_t utf8[SX_GLYPH_COUNT] = {
        [SX_GLYPH_FULL] = 0x25CF,        [SX_GLYPH_HOLLOW] = 0x25CB,
        [SX_GLYPH_DEAD] = 0x2020,        [SX_GLYPH_AMBIGUOUS] = 0x2248,
        [SX_GLYPH_POINT_RIGHT] = 0x25B8, [SX_GLYPH_POINT_DOWN] = 0x25BE,
        [SX_GLYPH_CURSOR] = 0x25B6,      [SX_GLYPH_POINT_LEFT] = 0x25C0,
        [SX_GLYPH_SORT_UP] = 0x25B2,     [SX_GLYPH_SORT_DOWN] = 0x25BC,
        [SX_GLYPH_HLINE] = 0x2500,       [SX_GLYPH_VLINE] = 0x2502,
        [SX_GLYPH_CROSS] = 0x253C,       [SX_GLYPH_TEE_DOWN] = 0x252C,
        [SX_GLYPH_TEE_UP] = 0x2534,      [SX_GLYPH_TEE_RIGHT] = 0x251C,
        [SX_GLYPH_TEE_LEFT] = 0x2524,    [SX_GLYPH_CORNER_BL] = 0x2514,
        [SX_GLYPH_ELLIPSIS] = 0x2026,    [SX_GLYPH_ZERO] = 0x00B7,
        [SX_GLYPH_NONE] = 0x2013,        [SX_GLYPH_RUNNING] = 0x25D0,
        [SX_GLYPH_PLUSMINUS] = 0x00B1,   [SX_GLYPH_ARROW] = 0x2192,
        [SX_GLYPH_TIMES] = 0x00D7,       [SX_GLYPH_ENTER] = 0x23CE,
    };
    SX_ASSERT(glyph < SX_GLYPH_COUNT);
    return sx_canvas_ascii(cv) ? ascii_of(utf8[glyph]) : utf8[glyph];
}

uint32_t sx_glyph_block(const struct sx_canvas *cv, int level)
{
    if (level <= 0)
        return ' ';
    if (level > 8)
        level = 8;
    return sx_canvas_ascii(cv) ? (unsigned char)" .:-=+*#@"[level] : 0x2580 + (uint32_t)level;
}

uint32_t sx_glyph_ramp(int level)
{
    return (unsigned char)" .:-=+*#%@"[level < 0 ? 0 : level > 9 ? 9 : level];
}

static void append_char(struct sx_str *out, uint32_t ch)
{
    char bytes[4];
    sx_str_append_len(out, bytes, sx_utf8_encode(ch, bytes));
}

static void append_cell(struct sx_str *out, const struct sx_cell *cell)
{
    if (cell->width == 0)
        return;
    append_char(out, cell->ch);
    if (cell->mark)
        append_char(out, cell->mark);
}

static void open_run(struct sx_str *out, const struct sx_cell *cell)
{
    bool own = cell->flags != 0;
    if (cell->over && (cell->style || own))
        sx_str_printf(out, "{%s+%s:", sx_style_name(cell->over),
                      own ? "rgb" : sx_style_name(cell->style));
    else
        sx_str_printf(out,
                      "{%s:", own ? "rgb" : sx_style_name(cell->over ? cell->over : cell->style));
}

static void row_text(const struct sx_cell *row, int w, bool with_styles, struct sx_str *out)
{
    bool open = false;
    for (int x = 0; x < w; x++) {
        const struct sx_cell *cell = &row[x];
        bool plain = !cell->style && !cell->over && !cell->flags;
        bool same = x > 0 && row[x - 1].style == cell->style && row[x - 1].over == cell->over &&
                    !row[x - 1].flags == !cell->flags;
        if (with_styles && !same) {
            if (open)
                sx_str_append_char(out, '}');
            open = !plain;
            if (open)
                open_run(out, cell);
        }
        append_cell(out, cell);
    }
    if (open)
        sx_str_append_char(out, '}');
}

void sx_screen_text(const struct sx_screen *screen, bool with_styles, struct sx_str *out)
{
    for (int y = 0; y < screen->h; y++) {
        row_text(&screen->cells[(size_t)y * (size_t)screen->w], screen->w, with_styles, out);
        sx_str_append(out, "|\n");
    }
    if (with_styles && screen->cursor_set)
        sx_str_printf(out, "cursor %d,%d%s\n", screen->cursor_x, screen->cursor_y,
                      screen->cursor_visible ? " visible" : "");
}

void sx_screen_plain(const struct sx_screen *screen, struct sx_str *out)
{
    for (int y = 0; y < screen->h; y++) {
        size_t start = out->len;
        row_text(&screen->cells[(size_t)y * (size_t)screen->w], screen->w, false, out);
        while (out->len > start && out->data[out->len - 1] == ' ')
            out->data[--out->len] = '\0';
        sx_str_append_char(out, '\n');
    }
}
