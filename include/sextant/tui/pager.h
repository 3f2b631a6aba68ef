/* Lines of text with scrolling and search marks: help, log, cards, YAML. */
#ifndef SEXTANT_TUI_PAGER_H
#define SEXTANT_TUI_PAGER_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/tui/canvas.h"

struct sx_pager {
    size_t n_lines;
    /* Line i (valid until the next call) and its style. */
    const char *(*line)(const void *ctx, size_t i, enum sx_style *style);
    const void *ctx;
    const char *find; /* occurrences (case ignored for ASCII) are marked; NULL or "": none */
    const char *empty;
    bool follow; /* stay at the end while lines are added, until scrolled up */
};

struct sx_pager_state {
    size_t top;
    int left; /* columns scrolled sideways */
    int page;
    bool loose; /* scrolled away from the end */
};

void sx_pager_draw(struct sx_canvas *cv, const struct sx_pager *pager, struct sx_pager_state *state,
                   bool focus);
bool sx_pager_request(const struct sx_pager *pager, struct sx_pager_state *state,
                      const char *request, unsigned count);
/* The next line from `from` on (backwards: up to it) that contains the text, or (size_t)-1. */
size_t sx_pager_find(const struct sx_pager *pager, const char *text, size_t from, bool backwards);

#endif
