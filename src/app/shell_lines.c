/* Command lines that the program carries out itself, and completion. */
#include "shell_private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "resource.h"
#include "sextant/base/alloc.h"

static enum sx_status line_save(struct sx_shell *shell, const char *path, struct sx_error *err)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status = SX_OK;
    /* A slip of completion must not cost a file of weights. */
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path,
                       errno == EEXIST ? "exists; choose another name" : strerror(errno));
    sx_shell_compose(shell);
    sx_screen_plain(shell->screen, &text);
    for (size_t at = 0; at < text.len && status == SX_OK;) {
        const ssize_t n = write(fd, text.data + at, text.len - at);
        if (n > 0)
            at += (size_t)n;
        else if (n < 0 && errno != EINTR)
            status = sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (close(fd) != 0 && status == SX_OK)
        status = sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    sx_str_release(&text);
    if (status == SX_OK)
        sx_run_message(shell->run, SX_OK, "wrote %s", path);
    return status;
}

/* One row of the screen, its blanks at the ends and the panes' rules taken off. */
static void row_text(const struct sx_screen *screen, int y, struct sx_str *out)
{
    struct sx_str all = SX_STR_INIT;
    const char *line;
    size_t len;

    sx_screen_plain(screen, &all);
    line = all.data;
    for (int i = 0; i < y && line; i++) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (line) {
        line += strspn(line, " ");
        for (len = strcspn(line, "\n"); len > 0 && line[len - 1] == ' ';)
            len--;
        sx_str_append_len(out, line, len);
    }
    sx_str_release(&all);
}

/* The word that the hardware cursor stands on or before. */
static void cell_text(const struct sx_screen *screen, struct sx_str *out)
{
    const struct sx_cell *row = screen->cells + (ptrdiff_t)screen->cursor_y * screen->w;
    int x = screen->cursor_x;
    struct sx_screen one = *screen;
    int end;

    while (x < screen->w && row[x].ch == ' ')
        x++;
    while (x > 0 && row[x - 1].ch != ' ')
        x--;
    for (end = x; end < screen->w && row[end].ch != ' ';)
        end++;
    if (end == x)
        return;
    one.cells = screen->cells + (ptrdiff_t)screen->cursor_y * screen->w + x;
    one.w = end - x;
    one.h = 1;
    row_text(&one, 0, out);
}

/* The command line goes to the message line too: not every terminal has a clipboard. */
static enum sx_status copy_command_line(struct sx_shell *shell, struct sx_error *err)
{
    const struct sx_view *view = &sx_shell_slot(shell)->view;
    struct sx_str text = SX_STR_INIT;
    enum sx_status status = SX_OK;

    if (view->ops->line)
        view->ops->line(view, sx_shell_session(shell), &text);
    if (text.len == 0)
        status = sx_fail(err, SX_ERR_USAGE, "no command line gives this; :cmd is that of the view");
    else if (!sx_term_copy(shell->term, text.data))
        status = sx_fail(err, SX_ERR_USAGE, "too long for the clipboard: %s", text.data);
    else
        sx_run_message(shell->run, SX_OK, "%s", text.data);
    sx_str_release(&text);
    return status;
}

static enum sx_status line_copy(struct sx_shell *shell, const char *what, struct sx_error *err)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status = SX_OK;

    if (strcmp(what, "line") == 0)
        return copy_command_line(shell, err);
    sx_shell_compose(shell);
    if (strcmp(what, "screen") == 0)
        sx_screen_plain(shell->screen, &text);
    else if (shell->screen->cursor_set && strcmp(what, "cell") == 0)
        cell_text(shell->screen, &text);
    else if (shell->screen->cursor_set)
        row_text(shell->screen, shell->screen->cursor_y, &text);
    if (text.len == 0)
        status = sx_fail(err, SX_ERR_USAGE, "nothing is under the cursor; :copy screen");
    else if (!sx_term_copy(shell->term, text.data))
        status = sx_fail(err, SX_ERR_USAGE, "too long for the clipboard; :save FILE");
    else
        sx_run_message(shell->run, SX_OK, "copied %s (%zu bytes)", what, text.len);
    sx_str_release(&text);
    return status;
}

/* What the transformer was asked, as options of `view`. */
static void add_input(const struct sx_session *session, struct sx_str *out)
{
    const struct sx_input *input = &session->input;
    const struct sx_selection *selection = &session->selection;
    const bool protein = input->info.family == SX_MODEL_ESM2;
    struct sx_str text = SX_STR_INIT;

    if (input->state != SX_STATE_READY)
        return;
    for (size_t t = 1; !input->run && protein && t + 1 < input->n;
         t++) /* without <cls> and <eos> */
        sx_str_append(&text, input->masked[t] ? "<mask>" : input->tokens[t].text);
    if (!protein)
        sx_str_append(&text, input->text);
    if (input->run) {
        sx_str_printf(out, " --record %zu", input->record);
    } else {
        sx_str_append(out, protein ? " --seq " : " --prompt ");
        sx_command_quote(text.data, out);
    }
    sx_str_printf(out, " --token %zu --key %zu --layer %zu --head %zu", selection->token,
                  selection->key, selection->layer, selection->head);
    if (selection->band > 0)
        sx_str_printf(out, " --band %zu", selection->band);
    if (session->settings.against < input->n)
        sx_str_printf(out, " --against %zu", session->settings.against);
    sx_str_release(&text);
}

/* The command line that prints this view. */
static void line_cmd(struct sx_shell *shell)
{
    const struct sx_session *session = sx_shell_session(shell);
    const struct sx_selection *selection = &session->selection;
    struct sx_str out = SX_STR_INIT;

    sx_str_printf(&out, "sextant view %s", sx_shell_slot(shell)->view.ops->name);
    if (session->workspace.root && *session->workspace.root) {
        sx_str_append(&out, " ");
        /* Several paths stand there joined by blanks: they must stay several words. */
        if (access(session->workspace.root, F_OK) == 0)
            sx_command_quote(session->workspace.root, &out);
        else
            sx_str_append(&out, session->workspace.root);
    }
    if (selection->family != SIZE_MAX)
        sx_str_printf(&out, " --do 'select --family %zu --seed %zu --latent %u'", selection->family,
                      selection->seed_index, (unsigned)selection->latent);
    add_input(session, &out);
    sx_str_printf(&out, " --size %dx%d", shell->screen->w, shell->screen->h);
    sx_run_message(shell->run, SX_OK, "%s", out.data);
    sx_str_release(&out);
}

static enum sx_status line_help(struct sx_shell *shell, struct sx_error *err)
{
    const char *topic = sx_shell_slot(shell)->view.ops->name;

    if (strcmp(topic, "help") == 0)
        return SX_OK;
    SX_TRY(sx_shell_view(shell, "help", err));
    sx_shell_offer(shell,
                   &(struct sx_view_request){.name = "topic", .text = topic, .x = -1, .y = -1});
    return SX_OK;
}

static enum sx_status run_own(struct sx_shell *shell, const char *name, const struct sx_value *args,
                              struct sx_error *err)
{
    if (strcmp(name, "view") == 0)
        return sx_shell_view(shell, sx_value_string_or(sx_value_get(args, "name"), ""), err);
    if (strcmp(name, "theme") == 0)
        return sx_shell_theme(shell, sx_value_string_or(sx_value_get(args, "name"), ""), err);
    if (strcmp(name, "save") == 0)
        return line_save(shell, sx_value_string_or(sx_value_get(args, "file"), ""), err);
    if (strcmp(name, "copy") == 0)
        return line_copy(shell, sx_value_string_or(sx_value_get(args, "what"), "row"), err);
    if (strcmp(name, "help") == 0)
        return line_help(shell, err);
    if (strcmp(name, "cmd") == 0)
        line_cmd(shell);
    else if (strcmp(name, "quit") == 0)
        sx_shell_quit(shell);
    else
        return sx_fail(err, SX_ERR_USAGE, "%s: only on the command line", name);
    return SX_OK;
}

/* :417 goes to latent 417. */
static bool all_digits(const char *line)
{
    const size_t n = strspn(line, "0123456789");
    return n > 0 && line[n + strspn(line + n, " ")] == '\0';
}

enum sx_status sx_shell_check(const char *line, struct sx_error *err)
{
    const struct sx_command *command = NULL;
    struct sx_value *args = NULL;
    enum sx_status status;

    line += strspn(line, ": ");
    if (all_digits(line) || strcmp(line, "q") == 0)
        return SX_OK;
    status = sx_command_parse(line, &command, &args, err);
    sx_value_free(args);
    return status;
}

bool sx_shell_own_line(struct sx_shell *shell, const char *line, enum sx_status *status,
                       struct sx_error *err)
{
    const struct sx_command *command = NULL;
    struct sx_value *args = NULL;
    char name[32];

    if (all_digits(line)) {
        char *jump = sx_xasprintf("jump %s", line);
        *status = sx_run_submit_line(shell->run, jump, NULL, err);
        sx_free(jump);
        return true;
    }
    snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " \t"), line);
    if (strcmp(name, "q") == 0)
        snprintf(name, sizeof name, "quit");
    command = sx_command_find(name);
    if (!command || !(command->flags & SX_CMD_APP))
        return false;
    *status = sx_command_parse(strcmp(line, "q") == 0 ? "quit" : line, &command, &args, err);
    if (*status == SX_OK)
        *status = run_own(shell, name, args, err);
    sx_value_free(args);
    return true;
}

/* --- completion --------------------------------------------------------------------------------
 */

static void offer_word(struct sx_value *out, const char *prefix, const char *word)
{
    if (strncmp(word, prefix, strlen(prefix)) == 0)
        sx_value_append(out, sx_value_string(word));
}

struct sx_value *sx_shell_complete(const char *text, size_t *from)
{
    struct sx_value *out = sx_value_list();
    struct sx_value *lines;
    const struct sx_view_ops *ops;

    *from = strlen(text);
    while (*from > 0 && !isspace((unsigned char)text[*from - 1]))
        (*from)--;
    if (strncmp(text, "view ", 5) == 0 && *from == 5) {
        for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++)
            offer_word(out, text + 5, ops->name);
        return out;
    }
    if (strncmp(text, "theme ", 6) == 0 && *from == 6) {
        lines = sx_resource_themes();
        for (size_t i = 0; i < sx_value_count(lines); i++)
            offer_word(out, text + 6, sx_value_string_or(sx_value_item(lines, i), ""));
    } else {
        /* Whole lines come; they share what stands before the word. */
        lines = sx_command_complete(text, COMPLETIONS);
        for (size_t i = 0; i < sx_value_count(lines); i++)
            sx_value_append(
                out, sx_value_string(sx_value_string_or(sx_value_item(lines, i), "") + *from));
    }
    sx_value_free(lines);
    return out;
}
