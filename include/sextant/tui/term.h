/* A terminal: keys come in, screens go out. Two kinds: the real one (ncurses), and one in memory
 * for tests and scripts. Only the thread that opened a terminal may use it. */
#ifndef SEXTANT_TUI_TERM_H
#define SEXTANT_TUI_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/base/status.h"
#include "sextant/tui/canvas.h"
#include "sextant/tui/key.h"
#include "sextant/tui/theme.h"

struct sx_term; /* opaque */

struct sx_term_options {
    const char *color; /* --color word (theme.h); NULL: auto */
    bool ascii;        /* --ascii, or the locale is not UTF-8 */
    bool no_mouse;
    int in_fd, out_fd;     /* -1: standard input and output; borrowed */
    const char *term_name; /* NULL: $TERM */
    bool no_signals;       /* leave signal handlers alone (tests) */
};
#define SX_TERM_OPTIONS_INIT ((struct sx_term_options){.in_fd = -1, .out_fd = -1})

/* Take over the terminal. setlocale(LC_CTYPE, "") must have been called. SX_ERR_IO when there is
 * none or its type is not known. */
enum sx_status sx_term_open_curses(const struct sx_term_options *options, struct sx_term **out,
                                   struct sx_error *err) SX_MUST_CHECK;
/* In memory. Keys are those pushed; the last screen flushed is kept. */
struct sx_term *sx_term_new_memory(int w, int h, enum sx_charset charset, enum sx_depth depth);
void sx_term_close(struct sx_term *term); /* gives the terminal back; NULL is fine */

void sx_term_size(const struct sx_term *term, int *w, int *h);
enum sx_charset sx_term_charset(const struct sx_term *term);
enum sx_depth sx_term_depth(const struct sx_term *term);

/* Descriptors to poll for input; at most 2. A memory terminal has none. */
enum { SX_TERM_FDS = 2 };
int sx_term_fds(const struct sx_term *term, int fds[SX_TERM_FDS]);
/* The next key without waiting; false: none there. Call until false before drawing. */
bool sx_term_read(struct sx_term *term, struct sx_key *key);
/* The text of the SX_KEY_PASTE just read; valid until the next read. Not sanitised. */
const char *sx_term_paste(const struct sx_term *term);

/* Show a screen: what differs from the last one is sent, in one update. A screen of another size
 * than the terminal is cut or padded. */
void sx_term_flush(struct sx_term *term, const struct sx_screen *screen,
                   const struct sx_theme *theme);
/* Forget what the terminal shows: the next flush sends everything (Ctrl-L). */
void sx_term_redraw(struct sx_term *term);
/* Ctrl-Z: give the terminal back, stop, take it again on fg. A SX_KEY_RESIZE follows. */
void sx_term_suspend(struct sx_term *term);
/* To the clipboard by OSC 52, through tmux where we are inside it. At most 74,994 bytes are sent:
 * longer text gives false and nothing is sent. */
bool sx_term_copy(struct sx_term *term, const char *text);
void sx_term_set_mouse(struct sx_term *term, bool on);

/* Memory terminals only. */
void sx_term_memory_push(struct sx_term *term, struct sx_key key);
void sx_term_memory_resize(struct sx_term *term, int w, int h); /* pushes SX_KEY_RESIZE */
const struct sx_screen *sx_term_memory_screen(const struct sx_term *term); /* NULL before a flush */
const char *sx_term_memory_copied(const struct sx_term *term); /* last sx_term_copy, or "" */

#endif
