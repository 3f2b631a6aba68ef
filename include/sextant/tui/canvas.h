/* The screen as data. A struct sx_screen holds the cells; a struct sx_canvas is a window onto it
 * with its own origin and clip, small enough to copy. Everything drawn goes through a canvas, in
 * the canvas's own coordinates (0,0 is its top left), and whatever falls outside is cut off, so
 * that drawing needs no bounds checks and works down to 1x1.
 *
 * Cells carry semantic styles (theme.h), never colours; images are the exception and carry RGB. */
#ifndef SEXTANT_TUI_CANVAS_H
#define SEXTANT_TUI_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/str.h"
#include "sextant/tui/style.h"

struct sx_rect {
    int x, y, w, h;
};

enum sx_charset { SX_CHARSET_UTF8, SX_CHARSET_ASCII };

enum { SX_CELL_FG = 1, SX_CELL_BG = 2 }; /* sx_cell.flags: use the cell's own colour */

struct sx_cell {
    uint32_t ch;   /* code point; 0: the right half of a wide character */
    uint32_t mark; /* one combining mark, or 0 */
    uint8_t style; /* enum sx_style: foreground, attributes */
    uint8_t over;  /* enum sx_style of an overlay (cursor row, mark, match); SX_STYLE_TEXT: none */
    uint8_t flags;
    uint8_t width;        /* 1 or 2; 0 for the right half */
    struct sx_rgb fg, bg; /* with SX_CELL_FG, SX_CELL_BG */
};

struct sx_screen {
    int w, h; /* columns, rows: at least 1 */
    enum sx_charset charset;
    enum sx_depth depth;
    struct sx_cell *cells;  /* [h][w], owned */
    int cursor_x, cursor_y; /* the hardware cursor, for screen readers */
    bool cursor_set;        /* false: park it at the bottom right */
    bool cursor_visible;    /* text is being typed there */
    size_t heat_bytes;      /* what the maps of this picture send, see heatmap.h */
};

/* w, h below 1 count as 1, above 4096 as 4096. */
struct sx_screen *sx_screen_new(int w, int h, enum sx_charset charset, enum sx_depth depth);
void sx_screen_free(struct sx_screen *screen);                 /* NULL is fine */
void sx_screen_resize(struct sx_screen *screen, int w, int h); /* contents are lost */
void sx_screen_clear(struct sx_screen *screen);
/* The cells of `rect` as they stand in `from`, a screen of the same size. */
void sx_screen_copy(struct sx_screen *to, const struct sx_screen *from, struct sx_rect rect);

struct sx_canvas {
    struct sx_screen *screen; /* borrowed */
    int w, h;                 /* size; may be larger than what is visible */
    int x, y;                 /* where (0,0) stands on the screen */
    struct sx_rect clip;      /* in screen coordinates, inside the screen */
};

struct sx_canvas sx_canvas_of(struct sx_screen *screen);
/* A window onto a part of `cv`; `rect` in the coordinates of `cv`, negative sizes count as 0. */
struct sx_canvas sx_canvas_sub(const struct sx_canvas *cv, struct sx_rect rect);
struct sx_rect sx_canvas_rect(const struct sx_canvas *cv); /* {0, 0, w, h} */
bool sx_canvas_ascii(const struct sx_canvas *cv);
enum sx_depth sx_canvas_depth(const struct sx_canvas *cv);

/* Text. Each returns the columns the text takes (cut at the right edge of the canvas), so that
 * calls can be chained: x += sx_put(...). Control characters show as U+FFFD (`?` in ASCII), as do
 * code points that the ASCII charset lacks and that have no substitute. */
int sx_put(struct sx_canvas *cv, int x, int y, enum sx_style style, const char *text);
int sx_put_len(struct sx_canvas *cv, int x, int y, enum sx_style style, const char *text,
               size_t len);
int sx_putf(struct sx_canvas *cv, int x, int y, enum sx_style style, const char *fmt, ...)
    SX_PRINTF(5, 6);
/* At most `width` columns; longer text ends in … (`~` in ASCII). Returns the columns used. */
int sx_put_cut(struct sx_canvas *cv, int x, int y, int width, enum sx_style style,
               const char *text);
/* Right-aligned in [x, x+width); longer text is cut on the right with …. */
int sx_put_right(struct sx_canvas *cv, int x, int y, int width, enum sx_style style,
                 const char *text);
int sx_put_centre(struct sx_canvas *cv, int x, int y, int width, enum sx_style style,
                  const char *text);
/* One code point; combining marks join the cell before them. Returns its width. */
int sx_put_char(struct sx_canvas *cv, int x, int y, enum sx_style style, uint32_t ch);

void sx_fill(struct sx_canvas *cv, struct sx_rect rect, enum sx_style style, uint32_t ch);
void sx_hline(struct sx_canvas *cv, int x, int y, int len, enum sx_style style);
void sx_vline(struct sx_canvas *cv, int x, int y, int len, enum sx_style style);
/* Lay a style over what is drawn: its background, and its foreground where it has one. */
void sx_overlay(struct sx_canvas *cv, struct sx_rect rect, enum sx_style over);
/* One character with colours of its own; NULL: the style's. */
void sx_put_rgb(struct sx_canvas *cv, int x, int y, uint32_t ch, const struct sx_rgb *fg,
                const struct sx_rgb *bg);

/* Put the hardware cursor on the selection (`visible`: text is being typed there; it shows in both
 * cases, because screen readers and braille displays follow it). Ignored outside the clip. */
void sx_set_cursor(struct sx_canvas *cv, int x, int y, bool visible);

/* The cell at x, y of the canvas, or NULL outside the clip. */
struct sx_cell *sx_canvas_cell(const struct sx_canvas *cv, int x, int y);

/* Glyphs by meaning: the UTF-8 or the ASCII form, always one column. */
enum sx_glyph {
    SX_GLYPH_FULL,        /* ● * */
    SX_GLYPH_HOLLOW,      /* ○ o */
    SX_GLYPH_DEAD,        /* † x */
    SX_GLYPH_AMBIGUOUS,   /* ≈ ~ */
    SX_GLYPH_POINT_RIGHT, /* ▸ > */
    SX_GLYPH_POINT_DOWN,  /* ▾ v */
    SX_GLYPH_CURSOR,      /* ▶ > */
    SX_GLYPH_POINT_LEFT,  /* ◀ < */
    SX_GLYPH_SORT_UP,     /* ▲ ^ */
    SX_GLYPH_SORT_DOWN,   /* ▼ v */
    SX_GLYPH_HLINE,       /* ─ - */
    SX_GLYPH_VLINE,       /* │ | */
    SX_GLYPH_CROSS,       /* ┼ + */
    SX_GLYPH_TEE_DOWN,    /* ┬ + */
    SX_GLYPH_TEE_UP,      /* ┴ + */
    SX_GLYPH_TEE_RIGHT,   /* ├ + */
    SX_GLYPH_TEE_LEFT,    /* ┤ + */
    SX_GLYPH_CORNER_BL,   /* └ + */
    SX_GLYPH_ELLIPSIS,    /* … ~ */
    SX_GLYPH_ZERO,        /* · . */
    SX_GLYPH_NONE,        /* – - : not computed */
    SX_GLYPH_RUNNING,     /* ◐ % */
    SX_GLYPH_PLUSMINUS,   /* ± ~ */
    SX_GLYPH_ARROW,       /* → > */
    SX_GLYPH_TIMES,       /* × x */
    SX_GLYPH_ENTER,       /* ⏎ ^ : see sx_put_key for names of keys */
    SX_GLYPH_COUNT
};
uint32_t sx_glyph(const struct sx_canvas *cv, enum sx_glyph glyph);
/* Eight-level block, level 0..8 (0: a space): ▁▂▃▄▅▆▇█ or .:-=+*#@ . */
uint32_t sx_glyph_block(const struct sx_canvas *cv, int level);
/* The mono density ramp " .:-=+*#%@": level 0..9. */
uint32_t sx_glyph_ramp(int level);

/* The screen as text: one line a row with its trailing blanks kept, closed by `|`, so that goldens
 * show the width. with_styles: runs that are not plain text stand as {name:…}, with an overlay as
 * {over+name:…}, and the cursor as a last line "cursor x,y". */
void sx_screen_text(const struct sx_screen *screen, bool with_styles, struct sx_str *out);
/* Plain lines without trailing blanks or bars, for copying and `--size` output without colour. */
void sx_screen_plain(const struct sx_screen *screen, struct sx_str *out);

#endif
