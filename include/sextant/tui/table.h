/* Tables with virtual rows: only what is visible is asked for. */
#ifndef SEXTANT_TUI_TABLE_H
#define SEXTANT_TUI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/tui/canvas.h"

enum sx_align { SX_LEFT, SX_RIGHT, SX_CENTRE };

struct sx_column {
    const char *title;
    const char *unit; /* behind the title, dim; NULL: none */
    int width;        /* columns, at least as wide as shown; > 0 */
    int weight;       /* share of the room that is left over; 0: fixed */
    enum sx_align align;
    bool frozen; /* stays when scrolled sideways; frozen columns come first */
};

/* What a row shows in a column; `text` may point to `buffer` or to anything that outlives the
 * draw. Style and text are reset to TEXT and "" before each call. */
struct sx_table_cell {
    const char *text;
    enum sx_style style;
    char buffer[128];
};

enum {
    SX_ROW_MARKED = 1,
    SX_ROW_SELECTED = 2,
    SX_ROW_HIT = 4,     /* matches the search */
    SX_ROW_HEADING = 8, /* a group's heading: column 0 runs over the whole width */
};

struct sx_table {
    const struct sx_column *columns;
    int n_columns;
    size_t n_rows;
    void (*cell)(const void *ctx, size_t row, int column, struct sx_table_cell *out);
    unsigned (*flags)(const void *ctx, size_t row); /* NULL: none */
    const void *ctx;
    int sort_column; /* -1: none */
    bool sort_descending;
    const char *empty; /* shown when there are no rows: how to fill it; NULL: nothing */
    bool no_header;
};

/* Zero is the start state. Drawing moves `top` so that the cursor can be seen and notes the page
 * height for the next move; nothing else. */
struct sx_table_state {
    size_t cursor, top;
    int column; /* column cursor: sort, copy */
    int left;   /* first unfrozen column shown */
    int page;   /* rows shown by the last draw */
};

/* The first 2 columns of the canvas hold the cursor glyph and the mark. Columns are one blank
 * apart, two where that fits. With focus the hardware cursor goes onto the row. */
void sx_table_draw(struct sx_canvas *cv, const struct sx_table *table, struct sx_table_state *state,
                   bool focus);

void sx_table_move(struct sx_table_state *state, size_t n_rows, long delta);
void sx_table_page(struct sx_table_state *state, size_t n_rows, double pages); /* ±1, ±0.5 */
void sx_table_goto(struct sx_table_state *state, size_t n_rows, size_t row);   /* clamped */
void sx_table_move_column(const struct sx_table *table, struct sx_table_state *state, int delta);
/* Generic requests: down, up, page-down, page-up, half-down, half-up, first, last, left, right
 * (columns); a count (0: none) repeats, or is the row to go to, from 1 (first, last). False: not a
 * request for a table. */
bool sx_table_request(const struct sx_table *table, struct sx_table_state *state,
                      const char *request, unsigned count);
/* What stands at x, y of a canvas w columns wide. *row = (size_t)-1 on the header; false: nothing
 * there. */
bool sx_table_hit(const struct sx_table *table, const struct sx_table_state *state, int w, int h,
                  int x, int y, size_t *row, int *column);

#endif
