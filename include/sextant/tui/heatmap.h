/* Matrices as colour: two columns a cell, at most 11 levels so that equal neighbours share their
 * attributes on the wire. Colour never stands alone: runs of negative cells begin with `-`,
 * and with 16 colours or none the density ramp and sign glyphs take over.
 *
 * Noise, where hardly a cell equals its neighbour, would still send a change of colours a cell.
 * A map has a budget of bytes; what does not fit into it keeps its colours for the strongest cells,
 * and the others show their level as the character that they have without colours. */
#ifndef SEXTANT_TUI_HEATMAP_H
#define SEXTANT_TUI_HEATMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/tui/canvas.h"

/* How a share of the scale becomes a share of the ramp, for values most of which are small. */
enum sx_heat_curve { SX_HEAT_LINEAR, SX_HEAT_SQRT, SX_HEAT_LOG, SX_HEAT_CURVES };
double sx_heat_bend(enum sx_heat_curve curve, double part); /* 0..1 to 0..1 */
const char *sx_heat_curve_name(enum sx_heat_curve curve);   /* "linear" "sqrt" "log" */

struct sx_heatmap {
    int rows, cols;
    double (*value)(const void *ctx, int row, int col); /* NaN: not computed, shown as … */
    /* Labels, written into buf; NULL: none. Row labels stand left, column labels above. */
    void (*row_label)(const void *ctx, int row, char *buf, size_t size);
    void (*col_label)(const void *ctx, int col, char *buf, size_t size);
    const void *ctx;
    int row_label_width; /* columns for row labels */
    int cell_width;      /* columns a cell; 0: 2. From 4 on the value itself is printed */
    /* A word in every cell instead of the value, cut to the cell, with cells of at least 3 columns
     * (the first two show the level where there are no colours); NULL: none. */
    void (*cell_text)(const void *ctx, int row, int col, char *buf, size_t size);
    /* cell_text writes the value itself with its sign: it stands at the right of the cell, in every
     * cell, no glyph says the level beside it, and about zero there is no colour. */
    bool numbers;
    bool diverging;           /* lo..hi around 0 */
    double lo, hi;            /* the scale's ends; diverging: -max..max */
    enum sx_heat_curve curve; /* sequential scales only */
    const char *unit;         /* NULL: none */
    const char *what;         /* "attention", for the line under the map; NULL: none */
};

struct sx_heatmap_state {
    int row, col, top, left;
    int page_rows, page_cols; /* noted by the last draw */
    int lit;                  /* noted by the last draw: see sx_heat_lit */
};

/* The last two rows are the exact value under the cursor and the scale (with room for more than
 * three rows). */
void sx_heatmap_draw(struct sx_canvas *cv, const struct sx_heatmap *map,
                     struct sx_heatmap_state *state, bool focus);
bool sx_heatmap_request(const struct sx_heatmap *map, struct sx_heatmap_state *state,
                        const char *request, unsigned count);
bool sx_heatmap_hit(const struct sx_heatmap *map, const struct sx_heatmap_state *state, int x,
                    int y, int *row, int *col);

/* 0 .. SX_HEAT_LEVELS-1 or, diverging, 0 .. SX_DIV_LEVELS-1 (SX_DIV_LEVELS/2 is about zero). */
int sx_heat_level(double value, double lo, double hi, bool diverging);
enum sx_style sx_heat_style(double value, double lo, double hi, bool diverging);

/* The scale alone on one line: lo [ramp] hi unit. `lit`: of the map it belongs to. */
void sx_heat_scale(struct sx_canvas *cv, int x, int y, int width, double lo, double hi,
                   bool diverging, const char *unit);
void sx_heat_scale_lit(struct sx_canvas *cv, int x, int y, int width, double lo, double hi,
                       bool diverging, const char *unit, int lit);

/* Is a cell of this level drawn in colours? `lit` is the strength from which on cells are: 0 (all)
 * to SX_HEAT_UNLIT (none). */
enum { SX_HEAT_UNLIT = SX_HEAT_LEVELS + 1 };
bool sx_heat_lit(int level, bool diverging, int lit);

/* Bytes that drawing these cells anew sends, about. */
size_t sx_heat_wire(const struct sx_canvas *cv, struct sx_rect rect);
/* What a map in `rect` may send, so that a screen of 200x50 stays below 12 KB (larger ones in
 * proportion): most of what the maps before it in this picture have left. */
size_t sx_heat_budget(const struct sx_canvas *cv, struct sx_rect rect);
/* The map in `rect` is drawn: so much less for the next one. */
void sx_heat_spend(struct sx_canvas *cv, struct sx_rect rect);

#endif
