/* What a screen is: one constant table and a small private state. A view reads the session, draws
 * into a canvas, and answers requests by emitting command lines. It never computes, reads files or
 * waits. */
#ifndef SEXTANT_VIEWS_VIEW_H
#define SEXTANT_VIEWS_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/base/str.h"
#include "sextant/base/value.h"
#include "sextant/run/session.h"
#include "sextant/tui/canvas.h"
#include "sextant/tui/keymap.h"

/* What a view may ask of the program, collected and carried out after the call returns, in order.
 */
struct sx_emit {
    struct sx_value *lines; /* owned list of command lines: "select --latent 417" */
    bool dirty;             /* the view's own state changed: draw again */
};
void sx_emit_line(struct sx_emit *emit, const char *fmt, ...) SX_PRINTF(2, 3);

/* Constant surroundings of a view. */
struct sx_view_env {
    const struct sx_keymap *keymap; /* for help and the key bar */
    const struct sx_value *layout;  /* views/<name>.yaml: panes, columns, widths, default sort */
};

struct sx_view {
    const struct sx_view_ops *ops;
    const struct sx_view_env *env;
    int width, height; /* of the body: the screen without breadcrumb, key bar and message line */
    int focus;         /* pane with the focus, 0 … ops->n_panes - 1 */
    bool moving;       /* the cursor has not come to rest: see ops->followers */
    void *state;       /* ops->state_size zeroed bytes, owned by the app */
};

/* A key press after the keymap. Everything a view's own key table names arrives as it stands
 * there, except ":line", which is run as a command line. Requests that every view is offered, with
 * the global keys:
 *
 *   down up left right page-down page-up half-down half-up first last
 *                      arrows and vi keys, context "move" (sx_keymap_moves, sx_table_request)
 *   open               Enter, double click
 *   back               Esc; answer true only when there was something of the view's own to leave
 *   mark               Space
 *   search             /, with `text` (asked for on the last line; "" ends the search), and again
 *                      with every letter typed as `search-typing`
 *   search-next search-previous              n N
 *   focus-next focus-previous                Tab S-Tab: the app moves `focus` unless answered
 *   filter             for the views that bind it: `text` is asked for first
 *   ask-NAME           the same with the words "NAME: " before the text
 *   click drag         with x, y in the body
 *   wheel-up wheel-down                      become three moves unless answered
 *   refresh            every ops->refresh_s while visible
 *   topic              to the help view: `text` names the view to explain */
struct sx_view_request {
    const char *name; /* request name from the keymap */
    unsigned count;   /* count prefix, 0: none */
    const char *text; /* for search and filter: what was typed; else NULL */
    int x, y;         /* mouse position within the body; -1: not a mouse request */
};

enum { SX_FOLLOWERS = 2 };

struct sx_view_ops {
    const char *name; /* "features": `sextant view features`, `:view features` */
    const char *help; /* one line */
    char key;         /* number or letter that opens it from anywhere; 0: none */
    unsigned depends; /* (1u << SX_SLOT_…) | … */
    int n_panes;
    size_t state_size;
    double refresh_s; /* > 0: emit refresh lines this often while visible (training) */
    const struct sx_key_binding *keys; /* this view's keys: help and key bar come from here */
    size_t n_keys;

    /* The view becomes visible, or a slot it depends on changed: ask for what is missing. Must emit
     * nothing when all is there or pending, so that it settles. */
    void (*need)(struct sx_view *view, const struct sx_session *session, struct sx_emit *emit);
    /* Draw the body. Must not allocate. Puts the hardware cursor on the selection. */
    void (*draw)(const struct sx_view *view, const struct sx_session *session,
                 struct sx_canvas *canvas);
    /* Parts of the body that follow the cursor only when it rests, because they are much to send
     * for every line passed on the way (the card beside a table). While the cursor moves the app
     * leaves there what was drawn last, whatever `draw` draws, and `need` should not ask for what
     * only they show. Returns how many there are at present; NULL: never any. */
    size_t (*followers)(const struct sx_view *view, const struct sx_session *session,
                        struct sx_rect out[SX_FOLLOWERS]);
    /* Returns false when the request is not for this view (the app's generic handling follows). */
    bool (*request)(struct sx_view *view, const struct sx_session *session,
                    const struct sx_view_request *request, struct sx_emit *emit);
    /* Is this request of the view's own keys to be offered on the key bar at present? The key still
     * answers, if only to say why not. NULL: all are. */
    bool (*offers)(const struct sx_view *view, const struct sx_session *session,
                   const char *request);
    /* Breadcrumb after the workspace name: "T l2 1e-4 ▸ features". */
    void (*title)(const struct sx_view *view, const struct sx_session *session, struct sx_str *out);
    /* The screen as data: {rows: [{…}]}, the document behind `sextant view NAME --json|--csv`. */
    struct sx_value *(*data)(const struct sx_view *view, const struct sx_session *session);
    /* The command line that gives what is under the cursor in a shell (`:copy line`); NULL, or
     * nothing appended: none. */
    void (*line)(const struct sx_view *view, const struct sx_session *session, struct sx_str *out);
    /* Free what the state owns (not the state itself); NULL: nothing. */
    void (*release)(struct sx_view *view);
};

/* All views, in the order of their keys; NULL past the end. */
const struct sx_view_ops *sx_view_at(size_t i);
const struct sx_view_ops *sx_view_find(const char *name);

#endif
