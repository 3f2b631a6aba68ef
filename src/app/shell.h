/* The explorer without a terminal's loop: keys and command lines go in, screens come out. The real
 * terminal (loop.c), the script player (script.c), printed screens (screen.c) and the tests all
 * drive this one. */
#ifndef SEXTANT_APP_SHELL_H
#define SEXTANT_APP_SHELL_H

#include <stdbool.h>

#include "config.h"
#include "sextant/base/status.h"
#include "sextant/run/run.h"
#include "sextant/tui/term.h"
#include "sextant/views/view.h"

struct sx_shell; /* opaque */

/* Borrows the terminal. A broken configuration or theme becomes a message, not a failure. */
struct sx_shell *sx_shell_new(const struct sx_config *config, struct sx_term *term);
void sx_shell_free(struct sx_shell *shell); /* NULL is fine; waits for the workers */

struct sx_run *sx_shell_run(const struct sx_shell *shell);
const struct sx_session *sx_shell_session(const struct sx_shell *shell);

/* A `:` line, of the program or of the session. A failure is also on the message line. */
enum sx_status sx_shell_line(struct sx_shell *shell, const char *line,
                             struct sx_error *err) SX_MUST_CHECK;
/* Would the line be understood? Nothing is done. */
enum sx_status sx_shell_check(const char *line, struct sx_error *err) SX_MUST_CHECK;
void sx_shell_key(struct sx_shell *shell, struct sx_key key);
/* Open a view by name; SX_ERR_USAGE: no such view. */
enum sx_status sx_shell_view(struct sx_shell *shell, const char *name,
                             struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_shell_theme(struct sx_shell *shell, const char *name,
                              struct sx_error *err) SX_MUST_CHECK;

/* Take in what finished, and let the visible view ask for what it lacks. */
void sx_shell_settle(struct sx_shell *shell);
/* Is the cursor under way, with a part of the screen still where it was? (view.h, `followers`.) The
 * real terminal lets it come to rest when no key was pressed for a moment, all others at once. */
bool sx_shell_moving(const struct sx_shell *shell);
void sx_shell_rest(struct sx_shell *shell);
/* Come to rest, then settle until nothing runs and the view asks for nothing more. */
void sx_shell_wait(struct sx_shell *shell);
/* Is anything under way that changes the screen by itself? */
bool sx_shell_busy(const struct sx_shell *shell);
/* Seconds between the refreshes that the visible view wants; 0: none. */
double sx_shell_refresh_interval(const struct sx_shell *shell);
void sx_shell_refresh(struct sx_shell *shell);

/* Draw when anything changed since the last time, and show it. */
void sx_shell_draw(struct sx_shell *shell);
const struct sx_screen *sx_shell_screen(struct sx_shell *shell); /* drawn now */
const struct sx_theme *sx_shell_theme_now(const struct sx_shell *shell);
/* What the visible view shows, as data; the caller frees it. */
struct sx_value *sx_shell_data(struct sx_shell *shell);
const char *sx_shell_view_name(const struct sx_shell *shell);
bool sx_shell_quits(const struct sx_shell *shell);

#endif
