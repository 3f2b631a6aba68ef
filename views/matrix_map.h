/* A square matrix over positions, scrolled and zoomed: one number a cell, or, where several
 * positions share a cell, the largest of each quarter of it as quadrant blocks (ASCII and terminals
 * with few colours: the largest of all as a character). */
#ifndef SEXTANT_MATRIX_MAP_H
#define SEXTANT_MATRIX_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/tui/canvas.h"
#include "sextant/tui/heatmap.h"

struct sx_matrix_map {
    size_t n;
    const float *value; /* [n, n] */
    double hi;          /* the scale is 0 … hi */
    enum sx_heat_curve curve;
    size_t first; /* number of position 0 on the axes */
    bool sums;    /* of what is shown of each column above, of each row at the right */
};

/* Zero is the start state: all of it, if need be zoomed out. */
struct sx_matrix_map_state {
    size_t row, col; /* cursor */
    size_t top, left;
    int zoom; /* 0: so that all fits; 1: one position in a cell of two columns; from 2 on: so many
                 positions to a row, and half as many to a column, so that squares look square */
    /* Noted by the last draw: */
    int shown;          /* the zoom, never 0 */
    int area_w, area_h; /* columns and rows of the cells */
    int lit;            /* of heatmap.h: what does not fit into a screen's bytes has glyphs */
};

void sx_matrix_map_draw(struct sx_canvas *cv, const struct sx_matrix_map *map,
                        struct sx_matrix_map_state *state, bool focus);
/* The moves, zoom-in and zoom-out. False: another request. */
bool sx_matrix_map_request(const struct sx_matrix_map *map, struct sx_matrix_map_state *state,
                           const char *request, unsigned count);
bool sx_matrix_map_hit(const struct sx_matrix_map *map, const struct sx_matrix_map_state *state,
                       int x, int y, size_t *row, size_t *col);
/* "78×78, one a cell", "78×78, 6×3 a cell" */
const char *sx_matrix_map_zoom_text(char *buf, size_t size, const struct sx_matrix_map *map,
                                    const struct sx_matrix_map_state *state);

#endif
