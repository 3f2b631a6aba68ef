/* Small parts of screens. */
#ifndef SEXTANT_TUI_WIDGETS_H
#define SEXTANT_TUI_WIDGETS_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/tui/canvas.h"
#include "sextant/tui/keymap.h"

/* A pane: one thin rule with a title in it on row 0; returns the canvas below. `info` stands at
 * the right end of the rule (NULL: none). */
struct sx_canvas sx_frame(struct sx_canvas *cv, const char *title, const char *info, bool focus);
/* The rule between two columns of panes, joined to the rules above and below it. */
void sx_divider(struct sx_canvas *cv, int x, int y, int h);

/* Line 1: parts joined by ▸, the last one bright, what is running at the right. Parts in the
 * middle go first when room is short. */
void sx_breadcrumb(struct sx_canvas *cv, int y, const char *const *part, size_t n,
                   const char *right, bool busy);

/* The keys that matter, as many as fit, in order. */
void sx_keybar(struct sx_canvas *cv, int y, const struct sx_key_binding *const *binding, size_t n);
/* From the keymap: bindings with a label. */
void sx_keybar_of(struct sx_canvas *cv, int y, const struct sx_keymap *map,
                  const char *const *contexts, size_t n_contexts);

enum sx_message_kind { SX_MESSAGE_INFO, SX_MESSAGE_WARN, SX_MESSAGE_ERROR };
void sx_message(struct sx_canvas *cv, int y, enum sx_message_kind kind, const char *text);

/* ├───────●────┤ over width columns at (x, y). */
void sx_slider(struct sx_canvas *cv, int x, int y, int width, double value, double lo, double hi,
               bool focus);
double sx_slider_at(int width, int x, double lo, double hi); /* value at column x, for the mouse */

/* A bar with percentage and time left: ▇▇▇▇▇▇····  43% 1:12. eta < 0: not known. fraction < 0:
 * not known (a bar without end). */
void sx_progress(struct sx_canvas *cv, int x, int y, int width, double fraction, double eta);
/* "1:12", "2:03:44", "3 d": seconds for people. Returns buf. */
const char *sx_duration(char *buf, size_t size, double seconds);

/* ●●○ for `found` of `of`. Returns the columns used. */
int sx_badge(struct sx_canvas *cv, int x, int y, int found, int of);
const char *sx_badge_text(char *buf, size_t size, bool ascii, int found, int of);

/* `label` and value on one line: "  MMCS        .812". Returns the column behind it. */
int sx_field(struct sx_canvas *cv, int x, int y, int label_width, const char *label,
             enum sx_style style, const char *value);

/* Text wrapped at words into the canvas, from row y on; returns the rows used. */
int sx_paragraph(struct sx_canvas *cv, int y, enum sx_style style, const char *text);

#endif
