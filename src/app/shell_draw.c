/* The frame around every view: where am I, the keys that matter, and the last line. */
#include "shell_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/text.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/widgets.h"

enum { MIN_WIDTH = 30, MIN_HEIGHT = 8, MAX_PARTS = 8 };

static const char separator[] = " ▸ ";

/* ~/runs/mnist on the first screen, mnist behind it. */
static void root_text(const struct sx_session *session, bool whole, char *out, size_t size)
{
    const char *root = session->workspace.root ? session->workspace.root : "";
    const char *home = getenv("HOME");
    const size_t len = home ? strlen(home) : 0;
    const char *slash;

    if (whole && len > 1 && strncmp(root, home, len) == 0 &&
        (root[len] == '/' || root[len] == '\0')) {
        snprintf(out, size, "~%s", root + len);
        return;
    }
    snprintf(out, size, "%s", root);
    if (whole || strchr(root, ' '))
        return;
    for (size_t n = strlen(out); n > 1 && out[n - 1] == '/'; n--)
        out[n - 1] = '\0';
    slash = strrchr(out, '/');
    if (slash && slash[1])
        memmove(out, slash + 1, strlen(slash));
}

static size_t split_title(char *title, const char **part, size_t max)
{
    size_t n = 0;

    while (title && *title && n < max) {
        char *end = strstr(title, separator);
        part[n++] = title;
        if (end)
            *end = '\0';
        title = end ? end + strlen(separator) : NULL;
    }
    return n;
}

/* What is running: the work that the user waits for, or a query that takes long enough to be
 * listed. */
static bool running_text(const struct sx_session *session, char *out, size_t size)
{
    const struct sx_job_info *job = NULL;
    char left[16] = "";
    char done[16] = "";

    for (size_t i = 0; i < session->n_jobs; i++) {
        const struct sx_job_info *j = &session->jobs[i];
        if (j->state == SX_JOB_RUNNING && (!job || j->lane > job->lane))
            job = j;
    }
    *out = '\0';
    if (!job)
        return false;
    if (job->fraction >= 0)
        snprintf(done, sizeof done, " %.0f%%", 100 * job->fraction);
    if (job->eta_s >= 0) {
        left[0] = ' ';
        sx_duration(left + 1, sizeof left - 1, job->eta_s);
    }
    snprintf(out, size, "%.*s%s%s", (int)strcspn(job->line, " "), job->line, done, left);
    return true;
}

/* Shorten the longest part (the title of a family, mostly) so that all parts are seen. */
static void fit_parts(const char **part, size_t n, int width, char *room, size_t size)
{
    enum { LEAST = 12 };
    int total = 0;
    int longest_width = 0;
    size_t longest = 0;
    size_t len = 0;
    int w = 0;

    for (size_t i = 0; i < n; i++) {
        const int columns = sx_text_width(part[i]);
        total += columns + (i ? sx_text_width(separator) : 0);
        if (i + 1 < n && columns > longest_width) {
            longest = i;
            longest_width = columns;
        }
    }
    const int keep = longest_width - (total - width) - 1;
    if (n == 0 || total <= width || keep < LEAST)
        return;
    while (part[longest][len]) {
        uint32_t ch = 0;
        const size_t used = sx_utf8_decode(part[longest] + len, strlen(part[longest] + len), &ch);
        if (w + sx_text_width_of(ch) > keep)
            break;
        w += sx_text_width_of(ch);
        len += used;
    }
    snprintf(room, size, "%.*s…", (int)len, part[longest]);
    part[longest] = room;
}

static void draw_crumbs(struct sx_shell *shell, struct sx_canvas *canvas)
{
    const struct sx_session *session = sx_shell_session(shell);
    const struct sx_view *view = &sx_shell_slot(shell)->view;
    struct sx_str title = SX_STR_INIT;
    char root[512];
    char running[96];
    char shortened[256];
    const char *part[MAX_PARTS + 1];
    size_t n = 0;

    root_text(session, shell->current == 0, root, sizeof root);
    if (*root)
        part[n++] = root;
    view->ops->title(view, session, &title);
    n += split_title(title.data, part + n, MAX_PARTS);

    const bool busy = running_text(session, running, sizeof running);
    const int x = 1 + sx_put(canvas, 1, 0, SX_STYLE_STRONG, "sextant") + 1;
    struct sx_canvas rest = sx_canvas_sub(canvas, (struct sx_rect){x, 0, canvas->w - x, 1});
    const int taken = *running ? sx_text_width(running) + 4 : 0;
    fit_parts(part, n, rest.w - taken - 2, shortened, sizeof shortened);
    sx_breadcrumb(&rest, 0, part, n, running, busy);
    sx_str_release(&title);
}

static enum sx_message_kind message_kind(enum sx_status status)
{
    if (status == SX_OK)
        return SX_MESSAGE_INFO;
    return status == SX_CANCELLED ? SX_MESSAGE_WARN : SX_MESSAGE_ERROR;
}

static void draw_count(struct sx_shell *shell, struct sx_canvas *canvas, int y)
{
    const unsigned count = shell->key_state.count;

    for (size_t i = 0; count <= 9 && i < shell->n_slots; i++) {
        const struct sx_view_ops *ops = shell->slots[i].view.ops;
        if (ops->key == (char)('0' + count)) {
            sx_putf(canvas, 1, y, SX_STYLE_MESSAGE, "%u  then a move, or Enter for %s", count,
                    ops->name);
            return;
        }
    }
    sx_putf(canvas, 1, y, SX_STYLE_MESSAGE, "%u  then a move", count);
}

static void draw_last_line(struct sx_shell *shell, struct sx_canvas *canvas, int y)
{
    const struct sx_session *session = sx_shell_session(shell);

    if (shell->mode != MODE_KEYS)
        sx_prompt_draw(canvas, y, &shell->prompt);
    else if (shell->key_state.count > 0)
        draw_count(shell, canvas, y);
    else if (shell->message_hidden != session->revision[SX_SLOT_MESSAGE] && *session->message)
        sx_message(canvas, y, message_kind(session->message_status), session->message);
}

static bool offered(struct sx_shell *shell, const struct sx_key_binding *binding)
{
    const struct sx_view *view = &sx_shell_slot(shell)->view;

    return binding->label &&
           (!view->ops->offers || strcmp(binding->context, view->ops->name) != 0 ||
            view->ops->offers(view, sx_shell_session(shell), binding->request));
}

/* The view's keys as far as they go; how to get help and out stands always. */
static void draw_keys(struct sx_shell *shell, struct sx_canvas *canvas, int y)
{
    enum { KEYS_MAX = 256, TAIL = 2, TAIL_WIDTH = 17 };
    const struct sx_key_binding *list[KEYS_MAX];
    const struct sx_key_binding *tail[TAIL];
    const char *contexts[SHELL_CONTEXTS];
    const size_t n_contexts = sx_shell_contexts(shell, contexts);
    size_t n = sx_keymap_list(shell->keymap, contexts, n_contexts, list, KEYS_MAX);
    const int width = canvas->w - TAIL_WIDTH;
    size_t n_tail = 0;
    size_t kept = 0;

    n = n < KEYS_MAX ? n : KEYS_MAX;
    for (size_t i = 0; i < n; i++) {
        const bool last =
            strcmp(list[i]->request, "help") == 0 || strcmp(list[i]->request, "leave") == 0;
        if (!offered(shell, list[i]))
            continue;
        if (!last)
            list[kept++] = list[i];
        else if (n_tail < TAIL)
            tail[n_tail++] = list[i];
    }
    struct sx_canvas left = sx_canvas_sub(canvas, (struct sx_rect){0, y, width, 1});
    struct sx_canvas right = sx_canvas_sub(canvas, (struct sx_rect){width, y, TAIL_WIDTH, 1});
    sx_keybar(&left, 0, list, kept);
    sx_keybar(&right, 0, tail, n_tail);
}

/* While the cursor moves its followers stay as they were; at rest they are remembered. */
static void keep_followers(struct sx_shell *shell)
{
    struct sx_screen *screen = shell->screen;

    if (!sx_shell_followers_in_place(shell))
        sx_shell_rest(shell);
    shell->n_followers = sx_shell_followers(shell, shell->follower);
    if (shell->n_followers == 0)
        return;
    if (!shell->rested)
        shell->rested = sx_screen_new(screen->w, screen->h, screen->charset, screen->depth);
    if (shell->rested->w != screen->w || shell->rested->h != screen->h)
        sx_screen_resize(shell->rested, screen->w, screen->h);
    shell->rested_view = shell->current;
    shell->rested_focus = sx_shell_slot(shell)->view.focus;
    for (size_t i = 0; i < shell->n_followers; i++) {
        struct sx_rect part = shell->follower[i];
        part.y++; /* the body begins below the breadcrumb */
        if (shell->moving)
            sx_screen_copy(screen, shell->rested, part);
        else
            sx_screen_copy(shell->rested, screen, part);
    }
}

void sx_shell_compose(struct sx_shell *shell)
{
    struct sx_canvas canvas;
    struct sx_canvas body;
    const struct sx_view *view = &sx_shell_slot(shell)->view;

    sx_screen_clear(shell->screen);
    canvas = sx_canvas_of(shell->screen);
    if (sx_too_small(&canvas, MIN_WIDTH, MIN_HEIGHT)) {
        shell->n_followers = 0;
        return;
    }
    draw_crumbs(shell, &canvas);
    body = sx_canvas_sub(&canvas, (struct sx_rect){0, 1, canvas.w, canvas.h - 3});
    view->ops->draw(view, sx_shell_session(shell), &body);
    keep_followers(shell);
    draw_keys(shell, &canvas, canvas.h - 2);
    draw_last_line(shell, &canvas, canvas.h - 1);
}
