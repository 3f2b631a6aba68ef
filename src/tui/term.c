#include "sextant/tui/term.h"

#include "term_ops.h"

void sx_term_close(struct sx_term *term)
{
    if (term)
        term->ops->close(term);
}

void sx_term_size(const struct sx_term *term, int *w, int *h)
{
    term->ops->size(term, w, h);
}

enum sx_charset sx_term_charset(const struct sx_term *term)
{
    return term->charset;
}

enum sx_depth sx_term_depth(const struct sx_term *term)
{
    return term->depth;
}

int sx_term_fds(const struct sx_term *term, int fds[SX_TERM_FDS])
{
    return term->ops->fds(term, fds);
}

bool sx_term_read(struct sx_term *term, struct sx_key *key)
{
    return term->ops->read(term, key);
}

const char *sx_term_paste(const struct sx_term *term)
{
    return term->ops->paste(term);
}

void sx_term_flush(struct sx_term *term, const struct sx_screen *screen,
                   const struct sx_theme *theme)
{
    term->ops->flush(term, screen, theme);
}

void sx_term_redraw(struct sx_term *term)
{
    term->ops->redraw(term);
}

void sx_term_suspend(struct sx_term *term)
{
    term->ops->suspend(term);
}

bool sx_term_copy(struct sx_term *term, const char *text)
{
    return term->ops->copy(term, text);
}

void sx_term_set_mouse(struct sx_term *term, bool on)
{
    term->ops->set_mouse(term, on);
}
