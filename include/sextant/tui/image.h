/* Pictures of weights: half blocks (two pixels a cell) with truecolor or 256 colours, and the
 * density ramp with 16 colours, in mono and in ASCII without colour. */
#ifndef SEXTANT_TUI_IMAGE_H
#define SEXTANT_TUI_IMAGE_H

#include <stdbool.h>

#include "sextant/tui/canvas.h"

struct sx_image {
    const float *pixel; /* [h][w] rows of `stride` floats; NaN is blank */
    int w, h;
    int stride;     /* 0: w */
    bool diverging; /* around 0 with ends ±scale; else lo..hi */
    double lo, hi;  /* lo >= hi: from the pixels (diverging: the largest magnitude) */
};

/* Fit into w columns and h rows without distortion; gives the size it will take. */
void sx_image_size(const struct sx_image *image, int max_w, int max_h, int *w, int *h);
/* Draw scaled to fill the canvas (use sx_image_size first to keep the proportions); pixels are
 * averaged when there are too many. */
void sx_image_draw(struct sx_canvas *cv, const struct sx_image *image);

#endif
