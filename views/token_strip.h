/* The input as it reads, with a number for every token: residues in blocks of ten with their
 * numbers, text flowing with its tokens apart. Each line has a line of marks below it, eight levels
 * high, so that the colour only repeats what stands there; a masked token shows ▒, and what it was
 * below it. */
#ifndef SEXTANT_TOKEN_STRIP_H
#define SEXTANT_TOKEN_STRIP_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/run/session.h"
#include "sextant/tui/canvas.h"
#include "sextant/tui/heatmap.h"

struct sx_strip {
    const struct sx_input *input;
    const float *value; /* [n], 0 … hi; NULL: not there yet. NAN: none */
    double hi;
    enum sx_heat_curve curve;
    size_t cursor;
    size_t other; /* a second token, underlaid; SIZE_MAX: none */
    bool focus;
};

struct sx_strip_state {
    int top;  /* first line shown */
    int page; /* lines shown by the last draw */
};

void sx_strip_draw(struct sx_canvas *cv, const struct sx_strip *strip,
                   struct sx_strip_state *state);
int sx_strip_height(const struct sx_strip *strip, int width); /* rows that all of it takes */
/* The token at x, y of a canvas that wide; SIZE_MAX: none. */
size_t sx_strip_at(const struct sx_strip *strip, const struct sx_strip_state *state, int width,
                   int x, int y);
/* Where up, down, page-up, … lead from `token`; false: not a request for it. */
bool sx_strip_request(const struct sx_strip *strip, const struct sx_strip_state *state, int width,
                      const char *request, unsigned count, size_t *token);

#endif
