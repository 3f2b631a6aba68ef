/* The explorer's loop on the real terminal. It sleeps in poll until a key, the end of a job or the
 * moment of the next look at a running one; while nothing happens nothing is sent. */
#include "app.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "sextant/base/log.h"
#include "sextant/run/run.h"
#include "sextant/tui/term.h"
#include "shell.h"

static const double progress_interval = 0.1; /* s: ten updates a second at most */
static const double rest_interval = 0.4;     /* s without a key: the cursor has come to rest */

static double sooner(double left, double until)
{
    until = until > 0 ? until : 0;
    return left < 0 || until < left ? until : left;
}

/* Seconds to sleep at most; < 0: until something happens. */
static double time_to_sleep(const struct sx_shell *shell, double last_refresh, double last_key)
{
    const double now = sx_clock();
    const double refresh = sx_shell_refresh_interval(shell);
    double left = -1;

    if (sx_shell_busy(shell))
        left = progress_interval;
    if (refresh > 0)
        left = sooner(left, last_refresh + refresh - now);
    if (sx_shell_moving(shell))
        left = sooner(left, last_key + rest_interval - now);
    return left;
}

static enum sx_status wait_for_events(struct sx_shell *shell, const struct sx_term *term,
                                      double seconds, struct sx_error *err)
{
    struct pollfd fds[SX_TERM_FDS + 1];
    int term_fds[SX_TERM_FDS];
    const int n = sx_term_fds(term, term_fds);

    for (int i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = term_fds[i], .events = POLLIN};
    fds[n] = (struct pollfd){.fd = sx_run_wake_fd(sx_shell_run(shell)), .events = POLLIN};
    if (poll(fds, (nfds_t)n + 1, seconds < 0 ? -1 : (int)(1000 * seconds + 0.999)) < 0 &&
        errno != EINTR)
        return sx_fail(err, SX_ERR_IO, "poll: %s", strerror(errno));
    return SX_OK;
}

static enum sx_status loop(struct sx_shell *shell, struct sx_term *term, struct sx_error *err)
{
    double last_refresh = sx_clock();
    double last_draw = 0;
    double last_key = 0;

    while (!sx_shell_quits(shell)) {
        struct sx_key key;
        bool pressed = false;
        const double refresh = sx_shell_refresh_interval(shell);

        /* All keys that wait are taken before one drawing. */
        while (!sx_shell_quits(shell) && sx_term_read(term, &key)) {
            sx_shell_key(shell, key);
            sx_shell_settle(shell);
            pressed = true;
            last_key = sx_clock();
        }
        if (sx_shell_quits(shell))
            break;
        if (refresh > 0 && sx_clock() - last_refresh >= refresh) {
            sx_shell_refresh(shell);
            last_refresh = sx_clock();
        }
        if (sx_shell_moving(shell) && sx_clock() - last_key >= rest_interval) {
            sx_shell_rest(shell);
            last_draw = sx_clock(); /* what is asked for now mostly comes before it must be drawn */
        }
        sx_shell_settle(shell);
        /* Jobs that end in quick succession must not draw more often than eyes can use. */
        if (pressed || !sx_shell_busy(shell) || sx_clock() - last_draw >= progress_interval) {
            sx_shell_draw(shell);
            last_draw = sx_clock();
        }
        SX_TRY(wait_for_events(shell, term, time_to_sleep(shell, last_refresh, last_key), err));
    }
    return SX_OK;
}

static enum sx_status begin(struct sx_shell *shell, const struct sx_value *paths,
                            const struct sx_app_options *options, struct sx_error *err)
{
    struct sx_str line = SX_STR_INIT;
    enum sx_status status = SX_OK;

    sx_app_open_line(paths, &line);
    status = sx_shell_line(shell, line.data, err);
    sx_str_release(&line);
    if (status == SX_OK && options->theme)
        status = sx_shell_theme(shell, options->theme, err);
    if (status == SX_OK && options->view)
        status = sx_shell_view(shell, options->view, err);
    return status;
}

enum sx_status sx_app_explore(const struct sx_value *paths, const struct sx_app_options *options,
                              struct sx_config *config, struct sx_error *err)
{
    struct sx_term_options term_options = SX_TERM_OPTIONS_INIT;
    struct sx_term *term = NULL;
    struct sx_shell *shell = NULL;
    enum sx_status status;

    term_options.color = options->color ? options->color : config->color;
    if (strcmp(term_options.color, "none") == 0)
        term_options.color = "never";
    term_options.ascii = options->ascii || config->ascii || !sx_app_utf8();
    term_options.no_mouse = options->no_mouse || !config->mouse;
    SX_TRY(sx_term_open_curses(&term_options, &term, err));
    shell = sx_shell_new(config, term);
    status = begin(shell, paths, options, err);
    if (status == SX_OK)
        status = loop(shell, term, err);
    /* The terminal first: the workers may take a moment to stop. */
    sx_term_close(term);
    sx_shell_free(shell);
    return status;
}
