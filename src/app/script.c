/* Sessions as text, for replay and for tests. A line is done when both lanes are idle and the view
 * has all it asked for, so a script never waits for time.
 *
 *   # comment
 *   size 80x24             the terminal; also charset ascii|utf8, color none|16|256|truecolor
 *   :open runs/mnist       a command line
 *   key PgDn               one key by name
 *   keys 5j/foo<Enter>     several
 *   type some text         characters as they stand
 *   click 10 5             the mouse, column and row of the screen; also wheel up|down X Y
 *   now LINE               do LINE and do not wait
 *   try LINE               do LINE; a command that fails does not end the script
 *   wait                   wait until idle
 *   expect-view NAME       the visible view
 *   expect-text TEXT       the screen contains it; expect-no-text the opposite
 *   expect-message TEXT    the last line contains it
 *   expect-copied TEXT     the clipboard contains it
 *   expect-quit            the program has been left
 *   expect-screen FILE     the screen is as in FILE; UPDATE_GOLDEN=1 writes it
 *   expect-styles FILE     the same with styles
 *   save-screen FILE       write it
 *   print-screen           to standard output
 *
 * Files are relative to the script's folder, paths in `:` lines to the current one. */
#include "app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/tui/key.h"
#include "sextant/tui/term.h"
#include "shell.h"

enum { KEYS_MAX = 4096, LINE_MAX_BYTES = 4096 };

struct player {
    const struct sx_config *config;
    const char *file; /* for messages */
    char *folder;     /* owned: with a slash at the end, or "" */
    int line;
    bool dry;
    int w, h;
    enum sx_charset charset;
    enum sx_depth depth;
    struct sx_term *term;
    struct sx_shell *shell; /* made at the first line that needs it */
    bool no_wait, tolerant; /* now, try */
};

/* Every failure names the script's line. */
static enum sx_status fail(const struct player *player, struct sx_error *err, enum sx_status status,
                           const char *fmt, ...) SX_PRINTF(4, 5);

static enum sx_status fail(const struct player *player, struct sx_error *err, enum sx_status status,
                           const char *fmt, ...)
{
    struct sx_str text = SX_STR_INIT;
    va_list args;

    va_start(args, fmt);
    sx_str_vprintf(&text, fmt, args);
    va_end(args);
    sx_fail(err, status, "%s:%d: %s", player->file, player->line, text.data);
    sx_str_release(&text);
    return status;
}

static struct sx_shell *shell_of(struct player *player)
{
    if (!player->shell) {
        player->term = sx_term_new_memory(player->w, player->h, player->charset, player->depth);
        player->shell = sx_shell_new(player->config, player->term);
    }
    return player->shell;
}

static void settle(struct player *player)
{
    struct sx_shell *shell = shell_of(player);

    if (player->no_wait)
        sx_shell_settle(shell);
    else
        sx_shell_wait(shell);
    sx_shell_draw(shell);
}

static void press(struct player *player, struct sx_key key)
{
    if (sx_shell_quits(shell_of(player)))
        return;
    sx_shell_key(player->shell, key);
    settle(player);
}

/* --- lines that act ----------------------------------------------------------------------------
 */

static enum sx_status do_size(struct player *player, const char *arg, struct sx_error *err)
{
    struct sx_key key = {.code = SX_KEY_RESIZE};
    struct sx_error size_err;

    if (sx_app_parse_size(arg, &player->w, &player->h, &size_err) != SX_OK)
        return fail(player, err, SX_ERR_USAGE, "%s", size_err.message);
    if (player->dry || !player->shell)
        return SX_OK;
    sx_term_memory_resize(player->term, player->w, player->h);
    while (sx_term_read(player->term, &key))
        sx_shell_key(player->shell, key);
    settle(player);
    return SX_OK;
}

static enum sx_status do_charset(struct player *player, const char *arg, struct sx_error *err)
{
    if (player->shell)
        return fail(player, err, SX_ERR_USAGE, "charset must come before the first action");
    if (strcmp(arg, "ascii") != 0 && strcmp(arg, "utf8") != 0)
        return fail(player, err, SX_ERR_USAGE, "charset %s: expected ascii or utf8", arg);
    player->charset = strcmp(arg, "ascii") == 0 ? SX_CHARSET_ASCII : SX_CHARSET_UTF8;
    return SX_OK;
}

static enum sx_status do_color(struct player *player, const char *arg, struct sx_error *err)
{
    struct sx_error depth_err;

    if (player->shell)
        return fail(player, err, SX_ERR_USAGE, "color must come before the first action");
    if (strcmp(arg, "none") == 0)
        player->depth = SX_DEPTH_MONO;
    else if (sx_depth_choose(arg, NULL, "xterm-256color", NULL, true, &player->depth, &depth_err) !=
             SX_OK)
        return fail(player, err, SX_ERR_USAGE, "%s", depth_err.message);
    return SX_OK;
}

static enum sx_status do_line(struct player *player, const char *line, struct sx_error *err)
{
    struct sx_error line_err = {0};

    if (player->dry) {
        const enum sx_status status = sx_shell_check(line, &line_err);
        return status == SX_OK || player->tolerant
                   ? SX_OK
                   : fail(player, err, status, "%s", line_err.message);
    }
    struct sx_shell *shell = shell_of(player);
    const struct sx_session *session = sx_shell_session(shell);
    const uint64_t said = session->revision[SX_SLOT_MESSAGE];
    enum sx_status status = sx_shell_line(shell, line, &line_err);

    settle(player);
    /* A job that failed has said so on the message line. */
    if (status == SX_OK && session->revision[SX_SLOT_MESSAGE] != said) {
        status = session->message_status;
        snprintf(line_err.message, sizeof line_err.message, "%s", session->message);
    }
    if (status == SX_OK || player->tolerant)
        return SX_OK;
    return fail(player, err, status, "%s", line_err.message);
}

static enum sx_status do_key(struct player *player, const char *arg, struct sx_error *err)
{
    struct sx_key key;

    if (!sx_key_parse(arg, &key))
        return fail(player, err, SX_ERR_USAGE, "key %s: no such key", arg);
    if (!player->dry)
        press(player, key);
    return SX_OK;
}

static enum sx_status do_keys(struct player *player, const char *arg, struct sx_error *err)
{
    struct sx_key *key = sx_xcalloc(KEYS_MAX, sizeof *key);
    const size_t n = sx_key_sequence(arg, key, KEYS_MAX);
    enum sx_status status = SX_OK;

    if (n > KEYS_MAX)
        status = fail(player, err, SX_ERR_USAGE, "keys %s: unknown key, or too many", arg);
    for (size_t i = 0; status == SX_OK && !player->dry && i < n; i++)
        press(player, key[i]);
    sx_free(key);
    return status;
}

static enum sx_status do_type(struct player *player, const char *arg, struct sx_error *err)
{
    (void)err;
    for (size_t left = strlen(arg); left > 0 && !player->dry;) {
        uint32_t ch = 0;
        const size_t n = sx_utf8_decode(arg, left, &ch);
        press(player, (struct sx_key){.code = ch});
        arg += n;
        left -= n;
    }
    return SX_OK;
}

static enum sx_status do_mouse(struct player *player, const char *arg, uint32_t code,
                               struct sx_error *err)
{
    struct sx_key key = {.code = code};

    if (sscanf(arg, "%5d %5d", &key.x, &key.y) != 2)
        return fail(player, err, SX_ERR_USAGE, "%s: expected column and row", arg);
    if (!player->dry)
        press(player, key);
    return SX_OK;
}

static enum sx_status do_click(struct player *player, const char *arg, struct sx_error *err)
{
    return do_mouse(player, arg, SX_KEY_CLICK, err);
}

static enum sx_status do_wheel(struct player *player, const char *arg, struct sx_error *err)
{
    if (strncmp(arg, "up ", 3) == 0)
        return do_mouse(player, arg + 3, SX_KEY_WHEEL_UP, err);
    if (strncmp(arg, "down ", 5) == 0)
        return do_mouse(player, arg + 5, SX_KEY_WHEEL_DOWN, err);
    return fail(player, err, SX_ERR_USAGE, "wheel %s: expected up or down, column and row", arg);
}

static enum sx_status do_wait(struct player *player, const char *arg, struct sx_error *err)
{
    (void)arg;
    (void)err;
    if (!player->dry)
        settle(player);
    return SX_OK;
}

/* --- lines that look ---------------------------------------------------------------------------
 */

static void screen_text(struct player *player, struct sx_str *out)
{
    sx_screen_plain(sx_shell_screen(shell_of(player)), out);
}

static enum sx_status expect_part(struct player *player, const char *what, const char *found,
                                  const char *part, bool wanted, struct sx_error *err)
{
    if ((strstr(found, part) != NULL) == wanted)
        return SX_OK;
    return fail(player, err, SX_ERR_NOTFOUND, "%s %s \"%s\": %s", what, wanted ? "lacks" : "has",
                part, found);
}

static enum sx_status do_expect_text(struct player *player, const char *arg, struct sx_error *err)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status;

    if (player->dry)
        return SX_OK;
    screen_text(player, &text);
    status = expect_part(player, "the screen", text.data, arg, true, err);
    sx_str_release(&text);
    return status;
}

static enum sx_status do_expect_no_text(struct player *player, const char *arg,
                                        struct sx_error *err)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status;

    if (player->dry)
        return SX_OK;
    screen_text(player, &text);
    status = expect_part(player, "the screen", text.data, arg, false, err);
    sx_str_release(&text);
    return status;
}

static enum sx_status do_expect_message(struct player *player, const char *arg,
                                        struct sx_error *err)
{
    if (player->dry)
        return SX_OK;
    return expect_part(player, "the message", sx_shell_session(shell_of(player))->message, arg,
                       true, err);
}

static enum sx_status do_expect_copied(struct player *player, const char *arg, struct sx_error *err)
{
    if (player->dry)
        return SX_OK;
    shell_of(player);
    return expect_part(player, "the clipboard", sx_term_memory_copied(player->term), arg, true,
                       err);
}

static enum sx_status do_expect_view(struct player *player, const char *arg, struct sx_error *err)
{
    const char *name;

    if (player->dry)
        return SX_OK;
    name = sx_shell_view_name(shell_of(player));
    if (strcmp(name, arg) != 0)
        return fail(player, err, SX_ERR_NOTFOUND, "the view is %s, expected %s", name, arg);
    return SX_OK;
}

static enum sx_status do_expect_quit(struct player *player, const char *arg, struct sx_error *err)
{
    (void)arg;
    if (player->dry || sx_shell_quits(shell_of(player)))
        return SX_OK;
    return fail(player, err, SX_ERR_NOTFOUND, "the session goes on, expected it to end");
}

/* --- files -------------------------------------------------------------------------------------
 */

static char *path_of(const struct player *player, const char *arg)
{
    return arg[0] == '/' ? sx_xstrdup(arg) : sx_xasprintf("%s%s", player->folder, arg);
}

static enum sx_status write_file(struct player *player, const char *path, const struct sx_str *text,
                                 struct sx_error *err)
{
    FILE *f = fopen(path, "we");
    bool ok;

    if (!f)
        return fail(player, err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    ok = fwrite(text->data, 1, text->len, f) == text->len;
    ok = fclose(f) == 0 && ok;
    return ok ? SX_OK : fail(player, err, SX_ERR_IO, "%s: %s", path, strerror(errno));
}

static enum sx_status read_file(struct player *player, const char *path, struct sx_str *text,
                                struct sx_error *err)
{
    FILE *f = fopen(path, "re");
    char buf[LINE_MAX_BYTES];
    size_t n;
    bool ok;

    if (!f)
        return fail(player, err, SX_ERR_IO, "%s: %s; UPDATE_GOLDEN=1 writes it", path,
                    strerror(errno));
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        sx_str_append_len(text, buf, n);
    ok = !ferror(f);
    fclose(f);
    return ok ? SX_OK : fail(player, err, SX_ERR_IO, "%s: cannot be read", path);
}

/* The first line in which two texts differ, for a message that can be read. */
static enum sx_status differs(struct player *player, const char *path, const char *want,
                              const char *found, struct sx_error *err)
{
    int line = 1;

    while (*want && *found) {
        const size_t a = strcspn(want, "\n");
        const size_t b = strcspn(found, "\n");
        if (a != b || memcmp(want, found, a) != 0)
            break;
        want += a + (want[a] == '\n');
        found += b + (found[b] == '\n');
        line++;
    }
    return fail(player, err, SX_ERR_NOTFOUND, "%s:%d differs: expected \"%.*s\", found \"%.*s\"",
                path, line, (int)strcspn(want, "\n"), want, (int)strcspn(found, "\n"), found);
}

static enum sx_status expect_file(struct player *player, const char *arg, bool styles,
                                  struct sx_error *err)
{
    const char *update = getenv("UPDATE_GOLDEN");
    struct sx_str found = SX_STR_INIT;
    struct sx_str want = SX_STR_INIT;
    enum sx_status status;
    char *path;

    if (player->dry)
        return SX_OK;
    path = path_of(player, arg);
    sx_screen_text(sx_shell_screen(shell_of(player)), styles, &found);
    if (update && *update) {
        status = write_file(player, path, &found, err);
    } else {
        status = read_file(player, path, &want, err);
        if (status == SX_OK && strcmp(want.data, found.data) != 0)
            status = differs(player, path, want.data, found.data, err);
    }
    sx_str_release(&found);
    sx_str_release(&want);
    sx_free(path);
    return status;
}

static enum sx_status do_expect_screen(struct player *player, const char *arg, struct sx_error *err)
{
    return expect_file(player, arg, false, err);
}

static enum sx_status do_expect_styles(struct player *player, const char *arg, struct sx_error *err)
{
    return expect_file(player, arg, true, err);
}

static enum sx_status do_save_screen(struct player *player, const char *arg, struct sx_error *err)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status;
    char *path;

    if (player->dry)
        return SX_OK;
    path = path_of(player, arg);
    screen_text(player, &text);
    status = write_file(player, path, &text, err);
    sx_str_release(&text);
    sx_free(path);
    return status;
}

static enum sx_status do_print_screen(struct player *player, const char *arg, struct sx_error *err)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status;

    (void)arg;
    if (player->dry)
        return SX_OK;
    screen_text(player, &text);
    status = sx_output_write(&text, err);
    sx_str_release(&text);
    return status;
}

/* --- the table ---------------------------------------------------------------------------------
 */

static const struct verb {
    const char *name;
    bool needs_argument;
    enum sx_status (*run)(struct player *player, const char *arg, struct sx_error *err);
} verbs[] = {
    {"size", true, do_size},
    {"charset", true, do_charset},
    {"color", true, do_color},
    {"key", true, do_key},
    {"keys", true, do_keys},
    {"type", true, do_type},
    {"click", true, do_click},
    {"wheel", true, do_wheel},
    {"wait", false, do_wait},
    {"expect-view", true, do_expect_view},
    {"expect-text", true, do_expect_text},
    {"expect-no-text", true, do_expect_no_text},
    {"expect-message", true, do_expect_message},
    {"expect-copied", true, do_expect_copied},
    {"expect-quit", false, do_expect_quit},
    {"expect-screen", true, do_expect_screen},
    {"expect-styles", true, do_expect_styles},
    {"save-screen", true, do_save_screen},
    {"print-screen", false, do_print_screen},
};

static enum sx_status play_line(struct player *player, char *line, struct sx_error *err)
{
    size_t len;
    char *arg;

    line += strspn(line, " \t");
    len = strlen(line);
    while (len > 0 && strchr(" \t\r\n", line[len - 1]))
        line[--len] = '\0';
    if (len == 0 || line[0] == '#')
        return SX_OK;
    if (strncmp(line, "now ", 4) == 0 || strncmp(line, "try ", 4) == 0) {
        bool *const flag = line[0] == 'n' ? &player->no_wait : &player->tolerant;
        enum sx_status status;
        *flag = true;
        status = play_line(player, line + 4, err);
        *flag = false;
        return status;
    }
    if (line[0] == ':')
        return do_line(player, line + 1, err);
    len = strcspn(line, " \t");
    arg = line + len + strspn(line + len, " \t");
    line[len] = '\0';
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, line) != 0)
            continue;
        if (verbs[i].needs_argument != (*arg != '\0'))
            return fail(player, err, SX_ERR_USAGE, "%s %s", line,
                        *arg ? "takes nothing" : "needs an argument");
        return verbs[i].run(player, arg, err);
    }
    return fail(player, err, SX_ERR_USAGE, "no such line: %s", line);
}

static enum sx_status play_file(struct player *player, FILE *f, struct sx_error *err)
{
    char line[LINE_MAX_BYTES];
    enum sx_status status = SX_OK;

    while (status == SX_OK && fgets(line, sizeof line, f)) {
        player->line++;
        if (strlen(line) + 1 == sizeof line)
            return fail(player, err, SX_ERR_USAGE, "the line is too long");
        status = play_line(player, line, err);
    }
    if (status == SX_OK && ferror(f))
        status = fail(player, err, SX_ERR_IO, "%s", strerror(errno));
    return status;
}

enum sx_status sx_app_play(const char *file, bool dry, const struct sx_config *config,
                           struct sx_error *err)
{
    const bool std = strcmp(file, "-") == 0;
    const char *slash = strrchr(file, '/');
    struct player player = {
        .config = config,
        .file = std ? "standard input" : file,
        .dry = dry,
        .w = 80,
        .h = 24,
        .charset = sx_app_utf8() ? SX_CHARSET_UTF8 : SX_CHARSET_ASCII,
        .depth = SX_DEPTH_MONO,
    };
    FILE *f = std ? stdin : fopen(file, "re");
    enum sx_status status;

    if (!f)
        return sx_fail(err, SX_ERR_IO, "%s: %s", file, strerror(errno));
    player.folder = slash ? sx_xstrndup(file, (size_t)(slash - file) + 1) : sx_xstrdup("");
    status = play_file(&player, f, err);
    if (!std)
        fclose(f);
    sx_shell_free(player.shell);
    sx_term_close(player.term);
    sx_free(player.folder);
    return status;
}
