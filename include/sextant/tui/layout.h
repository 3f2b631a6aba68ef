/* Dividing rectangles. */
#ifndef SEXTANT_TUI_LAYOUT_H
#define SEXTANT_TUI_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/tui/canvas.h"

/* One part of a split: `size` columns or rows if > 0, else a share of what is left by `weight`,
 * but at least `min`. When all minimums do not fit, parts with `optional` go first, last one
 * first; what still does not fit is cut at the end. A part that got no room has size 0. */
struct sx_part {
    int size;
    int weight;
    int min;
    bool optional;
};

/* `gap` columns or rows between neighbouring parts that have room (1 for a rule). */
void sx_split_columns(struct sx_rect r, int gap, const struct sx_part *part, size_t n,
                      struct sx_rect *out);
void sx_split_rows(struct sx_rect r, int gap, const struct sx_part *part, size_t n,
                   struct sx_rect *out);

struct sx_rect sx_rect_inset(struct sx_rect r, int left, int top, int right, int bottom);
struct sx_rect sx_rect_intersect(struct sx_rect a, struct sx_rect b); /* w = h = 0: none */
bool sx_rect_contains(struct sx_rect r, int x, int y);

/* The message below the minimum size; true when it was drawn and nothing else should be. */
bool sx_too_small(struct sx_canvas *cv, int min_w, int min_h);

#endif
