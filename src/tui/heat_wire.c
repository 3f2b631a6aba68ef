/* What a map costs on the wire, guessed from its cells: the terminal keeps its colours from cell to
 * cell, so the changes count, and blanks show their background only. */
#include "sextant/tui/heatmap.h"

#include <math.h>

/* Bytes of sequences as ncurses sends them to xterm and its kin. */
enum {
    MOVE = 7,           /* the cursor to another row */
    COLOUR_256 = 11,    /* "\e[48;5;123m" */
    COLOUR_16 = 6,      /* "\e[96m", with bold now and then */
    COLOUR_DIRECT = 19, /* "\e[48:2::123:123:123m" */
    BACK = 8,           /* "\e[39;49m" */
    SCREEN_CELLS = 200 * 50,
    SCREEN_BYTES =
        7000, /* of the 12 KB of such a screen: the rest is for what surrounds the maps */
};

struct pen { /* colours as far as they matter */
    uint32_t fg, bg;
};

/* 0: the terminal's own. */
static uint32_t colour_of(enum sx_style style, const struct sx_rgb *own)
{
    if (own)
        return 1u << 24 | (uint32_t)own->r << 16 | (uint32_t)own->g << 8 | own->b;
    return style == SX_STYLE_TEXT ? 0 : (uint32_t)style + 1;
}

static bool is_heat(enum sx_style style)
{
    return (style >= SX_STYLE_HEAT_0 && style < SX_STYLE_HEAT_0 + SX_HEAT_LEVELS) ||
           (style >= SX_STYLE_DIV_0 && style < SX_STYLE_DIV_0 + SX_DIV_LEVELS);
}

static struct pen pen_of(const struct sx_cell *cell, enum sx_depth depth)
{
    const enum sx_style style = (enum sx_style)cell->style;
    const bool back = depth >= SX_DEPTH_256 && is_heat(style);
    struct pen pen = {0};

    if (depth == SX_DEPTH_MONO)
        return pen;
    if (cell->flags & SX_CELL_BG)
        pen.bg = colour_of(style, &cell->bg);
    else if (back)
        pen.bg = colour_of(style, NULL);
    pen.fg = colour_of(style, cell->flags & SX_CELL_FG ? &cell->fg : NULL);
    return pen;
}

/* A blank at (x, y), whose background is `bg`: it takes the other colour of the cell before it, or
 * on a colour of the one behind the blanks. */
static struct pen blank_pen(const struct sx_canvas *cv, int x, int y, int end, uint32_t bg,
                            struct pen before)
{
    const enum sx_depth depth = sx_canvas_depth(cv);
    const struct pen plain = {.bg = bg};

    if (bg == before.bg)
        return before;
    for (x++; bg && x < end; x++) {
        const struct sx_cell *cell = sx_canvas_cell(cv, x, y);
        const struct pen pen = cell ? pen_of(cell, depth) : plain;
        if (!cell || pen.bg != bg)
            return plain;
        if (cell->ch != ' ')
            return pen;
    }
    return plain;
}

static size_t change(struct pen from, struct pen to, enum sx_depth depth)
{
    const size_t colour = depth >= SX_DEPTH_TRUE  ? COLOUR_DIRECT
                          : depth >= SX_DEPTH_256 ? COLOUR_256
                                                  : COLOUR_16;
    size_t bytes = 0;

    if (from.fg == to.fg && from.bg == to.bg)
        return 0;
    if ((from.fg && !to.fg) || (from.bg && !to.bg))
        bytes += BACK;
    return bytes + (to.fg ? colour : 0) + (to.bg ? colour : 0);
}

static size_t utf8_bytes(uint32_t ch)
{
    return ch < 0x80 ? 1 : ch < 0x800 ? 2 : ch < 0x10000 ? 3 : 4;
}

size_t sx_heat_wire(const struct sx_canvas *cv, struct sx_rect rect)
{
    const enum sx_depth depth = sx_canvas_depth(cv);
    struct pen pen = {0};
    size_t bytes = 0;

    for (int y = rect.y; y < rect.y + rect.h; y++) {
        bytes += MOVE;
        for (int x = rect.x; x < rect.x + rect.w; x++) {
            const struct sx_cell *cell = sx_canvas_cell(cv, x, y);
            if (!cell || cell->width == 0)
                continue;
            struct pen next = pen_of(cell, depth);
            if (cell->ch == ' ')
                next = blank_pen(cv, x, y, rect.x + rect.w, next.bg, pen);
            bytes += change(pen, next, depth) + utf8_bytes(cell->ch);
            pen = next;
        }
    }
    return bytes;
}

size_t sx_heat_budget(const struct sx_canvas *cv, struct sx_rect rect)
{
    static const double most = 0.6, more = 1.2; /* of the whole; than its share of the screen */
    const struct sx_screen *screen = cv->screen;
    const double cells = (double)screen->w * screen->h;
    const double larger = cells > SCREEN_CELLS ? cells / SCREEN_CELLS : 1;
    const double share = fmax(most, more * rect.w * rect.h / cells);
    const double left = SCREEN_BYTES * larger - (double)screen->heat_bytes;

    if (screen->depth == SX_DEPTH_MONO) /* nothing to save: a byte a cell */
        return SIZE_MAX;
    return (size_t)fmax(0, fmin(left, share * SCREEN_BYTES * larger));
}

void sx_heat_spend(struct sx_canvas *cv, struct sx_rect rect)
{
    cv->screen->heat_bytes += sx_heat_wire(cv, rect);
}
