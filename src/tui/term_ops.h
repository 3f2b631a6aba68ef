/* What a kind of terminal must do. Private. */
#ifndef SX_TERM_OPS_H
#define SX_TERM_OPS_H

#include "sextant/tui/term.h"

struct sx_term_ops {
    void (*close)(struct sx_term *term);
    void (*size)(const struct sx_term *term, int *w, int *h);
    int (*fds)(const struct sx_term *term, int fds[SX_TERM_FDS]);
    bool (*read)(struct sx_term *term, struct sx_key *key);
    const char *(*paste)(const struct sx_term *term);
    void (*flush)(struct sx_term *term, const struct sx_screen *screen,
                  const struct sx_theme *theme);
    void (*redraw)(struct sx_term *term);
    void (*suspend)(struct sx_term *term);
    bool (*copy)(struct sx_term *term, const char *text);
    void (*set_mouse)(struct sx_term *term, bool on);
};

/* First member of each kind. */
struct sx_term {
    const struct sx_term_ops *ops;
    enum sx_charset charset;
    enum sx_depth depth;
};

#endif
