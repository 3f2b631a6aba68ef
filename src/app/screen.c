/* Any screen without a terminal. */
#include "app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/run/command.h"
#include "sextant/tui/key.h"
#include "sextant/tui/term.h"
#include "sextant/tui/theme.h"
#include "shell.h"

static const char *string_arg(const struct sx_value *args, const char *name)
{
    return sx_value_string_or(sx_value_get(args, name), NULL);
}

/* Open what was named and wait; what cannot be opened is a failure here, not a message. */
static enum sx_status open_paths(struct sx_shell *shell, const struct sx_value *paths,
                                 struct sx_error *err)
{
    const struct sx_session *session = sx_shell_session(shell);
    struct sx_str line = SX_STR_INIT;
    enum sx_status status = SX_OK;

    if (sx_value_count(paths) == 0)
        return SX_OK;
    sx_app_open_line(paths, &line);
    status = sx_shell_line(shell, line.data, err);
    sx_str_release(&line);
    if (status != SX_OK)
        return status;
    sx_shell_wait(shell);
    if (session->workspace_state == SX_STATE_FAILED)
        return sx_fail(err, session->message_status == SX_OK ? SX_ERR_IO : session->message_status,
                       "%s", session->message);
    return SX_OK;
}

/* A family by number or by a part of its title. */
static enum sx_status find_family(const struct sx_session *session, const char *word, size_t *out,
                                  struct sx_error *err)
{
    const struct sx_workspace *workspace = &session->workspace;
    char *end;
    const unsigned long n = strtoul(word, &end, 10);

    if (*word && !*end && n < workspace->n_families) {
        *out = n;
        return SX_OK;
    }
    for (size_t i = 0; i < workspace->n_families; i++) {
        if (strstr(workspace->families[i].title, word)) {
            *out = i;
            return SX_OK;
        }
    }
    return sx_fail(err, SX_ERR_NOTFOUND, "--family %s: no such family among %zu", word,
                   workspace->n_families);
}

static enum sx_status line_of(struct sx_shell *shell, struct sx_error *err, const char *fmt, ...)
    SX_PRINTF(3, 4) SX_MUST_CHECK;

static enum sx_status line_of(struct sx_shell *shell, struct sx_error *err, const char *fmt, ...)
{
    struct sx_str line = SX_STR_INIT;
    enum sx_status status;
    va_list args;

    va_start(args, fmt);
    sx_str_vprintf(&line, fmt, args);
    va_end(args);
    status = sx_shell_line(shell, line.data, err);
    sx_str_release(&line);
    return status;
}

static enum sx_status select_things(struct sx_shell *shell, const struct sx_value *args,
                                    struct sx_error *err)
{
    const struct sx_session *session = sx_shell_session(shell);
    static const char *const selections[] = {"seed", "latent", "pair"};
    static const char *const settings[] = {"tau", "alive"};
    const char *word = string_arg(args, "family");
    size_t family = 0;

    if (session->workspace.n_families > 0 && (word || session->selection.family == SIZE_MAX)) {
        if (word)
            SX_TRY(find_family(session, word, &family, err));
        SX_TRY(line_of(shell, err, "select --family %zu", family));
    } else if (word) {
        return sx_fail(err, SX_ERR_NOTFOUND, "--family %s: no family of SAEs lies there", word);
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct sx_value *v = sx_value_get(args, settings[i]);
        if (v && sx_value_kind(v) != SX_VALUE_NULL)
            SX_TRY(line_of(shell, err, "set --%s %.17g", settings[i], sx_value_real_or(v, 0)));
    }
    for (size_t i = 0; i < sizeof selections / sizeof *selections; i++) {
        const struct sx_value *v = sx_value_get(args, selections[i]);
        if (sx_value_kind(v) == SX_VALUE_INT)
            SX_TRY(line_of(shell, err, "select --%s %lld", selections[i],
                           (long long)sx_value_int_or(v, 0)));
        else if (sx_value_kind(v) == SX_VALUE_STRING)
            SX_TRY(line_of(shell, err, "select --%s %s", selections[i], sx_value_string_or(v, "")));
        sx_shell_wait(shell); /* a latent needs its family's weights */
    }
    return SX_OK;
}

/* --- transformers ---------------------------------------------------------------------------- */

/* --seq is for protein models, --prompt for text models, as in all commands. */
static enum sx_status check_family(const struct sx_session *session, const struct sx_value *args,
                                   struct sx_error *err)
{
    const struct sx_model_info *info = &session->workspace.entries[session->selection.model].model;
    const bool protein = info->family == SX_MODEL_ESM2;

    if (string_arg(args, "seq") && !protein)
        return sx_fail(err, SX_ERR_USAGE, "--seq: %s is a text model; --prompt TEXT", info->name);
    if (string_arg(args, "prompt") && protein)
        return sx_fail(err, SX_ERR_USAGE, "--prompt: %s is a protein model; --seq SEQUENCE",
                       info->name);
    return SX_OK;
}

static enum sx_status say_input(struct sx_shell *shell, const struct sx_value *args,
                                struct sx_error *err)
{
    const char *text =
        string_arg(args, "seq") ? string_arg(args, "seq") : string_arg(args, "prompt");
    const char *fasta = string_arg(args, "fasta");
    const struct sx_value *record = sx_value_get(args, "record");
    struct sx_str line = SX_STR_INIT;
    enum sx_status status;

    sx_str_append(&line, "input");
    if (text) {
        sx_str_append_char(&line, ' ');
        sx_command_quote(text, &line);
    }
    if (fasta) {
        sx_str_append(&line, " --fasta ");
        sx_command_quote(fasta, &line);
    }
    if (sx_value_kind(record) == SX_VALUE_INT)
        sx_str_printf(&line, " --record %lld", (long long)sx_value_int_or(record, 1));
    status = sx_shell_line(shell, line.data, err);
    sx_str_release(&line);
    return status;
}

static bool is_model_view(const char *name)
{
    static const char *const names[] = {"sequence", "lens",    "attention", "contacts", "bands",
                                        "head",     "circuit", "patching",  "nterm"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool asks_model(const struct sx_value *args)
{
    static const char *const names[] = {
        "seq",    "prompt", "fasta",   "record",  "token",  "key",  "layer",  "head",
        "target", "band",   "against", "corrupt", "ablate", "grid", "metric", "swissprot"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sx_value_kind(sx_value_get(args, names[i])) != SX_VALUE_NULL)
            return true;
    return is_model_view(string_arg(args, "name"));
}

static enum sx_status move_cursors(struct sx_shell *shell, const struct sx_value *args,
                                   struct sx_error *err)
{
    static const char *const cursors[] = {"token", "key", "layer", "head", "band"};

    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        const struct sx_value *v = sx_value_get(args, cursors[i]);
        if (sx_value_kind(v) == SX_VALUE_INT)
            SX_TRY(line_of(shell, err, "select --%s %lld", cursors[i],
                           (long long)sx_value_int_or(v, 0)));
    }
    return SX_OK;
}

/* `line` with a word of the user's own behind it; nothing where there is none. */
static enum sx_status line_with(struct sx_shell *shell, const char *line, const char *word,
                                struct sx_error *err)
{
    struct sx_str quoted = SX_STR_INIT;
    enum sx_status status;

    if (!word)
        return SX_OK;
    sx_command_quote(word, &quoted);
    status = line_of(shell, err, "%s %s", line, quoted.data);
    sx_str_release(&quoted);
    sx_shell_wait(shell);
    return status;
}

/* What the views patching and nterm are to show, where it is not their own first question. */
static enum sx_status ask_circuits(struct sx_shell *shell, const struct sx_value *args,
                                   struct sx_error *err)
{
    static const char *const wishes[] = {"corrupt", "ablate", "grid", "metric"};
    const char *name = string_arg(args, "name");
    struct sx_str line = SX_STR_INIT;
    enum sx_status status;
    bool any = false;

    if (strcmp(name, "nterm") == 0)
        return line_with(shell, "nterm-table", string_arg(args, "swissprot"), err);
    if (strcmp(name, "patching") != 0)
        return SX_OK;
    sx_str_append(&line, "patch-grid");
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        const char *wish = string_arg(args, wishes[i]);
        if (!wish)
            continue;
        any = true;
        sx_str_printf(&line, " --%s ", wishes[i]);
        sx_command_quote(wish, &line);
    }
    if (!string_arg(args, "corrupt") && !string_arg(args, "ablate"))
        sx_str_append(&line, " --ablate zero");
    status = any ? sx_shell_line(shell, line.data, err) : SX_OK;
    sx_str_release(&line);
    sx_shell_wait(shell);
    return status;
}

/* Can the screen show what a file holds in place of a model? */
static bool is_kept(const struct sx_session *session, const char *name)
{
    const struct {
        const char *screen;
        bool there;
    } kept[] = {
        {"sequence", !session->input.line},
        {"attention", !session->input.line},
        {"bands", session->bands.state == SX_STATE_READY},
        {"head", session->head.state == SX_STATE_READY},
        {"circuit", session->attribution.state == SX_STATE_READY ||
                        session->composition.state == SX_STATE_READY},
        {"patching", session->patching.state == SX_STATE_READY},
        {"nterm", session->nterm.state == SX_STATE_READY},
    };
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (strcmp(kept[i].screen, name) == 0)
            return kept[i].there;
    return false;
}

/* Of a single file that cannot be read: why. */
static enum sx_status no_model(const struct sx_workspace *workspace, struct sx_error *err)
{
    if (workspace->n_entries == 1 && workspace->entries[0].kind == SX_ENTRY_PROBLEM)
        return sx_fail(err, SX_ERR_FORMAT, "%s", workspace->entries[0].problem.message);
    return sx_fail(err, SX_ERR_NOTFOUND, "%s: no model lies there", workspace->root);
}

/* Ask the model that was opened; what it cannot be asked is a failure here, not a message. */
static enum sx_status ask_model(struct sx_shell *shell, const struct sx_value *args,
                                struct sx_error *err)
{
    const struct sx_session *session = sx_shell_session(shell);
    const struct sx_input *input = &session->input;

    if (!asks_model(args))
        return SX_OK;
    if (session->selection.model == SIZE_MAX) {
        if (sx_value_count(sx_value_get(args, "path")) == 0)
            return SX_OK; /* an empty view says what to do */
        return no_model(&session->workspace, err);
    }
    SX_TRY(check_family(session, args, err));
    SX_TRY(say_input(shell, args, err));
    sx_shell_wait(shell);
    if (input->state == SX_STATE_FAILED)
        return sx_fail(err, input->error.status, "%s", input->error.message);
    if (input->run && !is_kept(session, string_arg(args, "name")))
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s holds no weights; open the model %s",
                       string_arg(args, "name"), input->run, input->info.name);
    SX_TRY(move_cursors(shell, args, err));
    SX_TRY(line_with(shell, "set --against", string_arg(args, "against"), err));
    SX_TRY(line_with(
        shell, strcmp(string_arg(args, "name"), "lens") == 0 ? "lens --target" : "set --target",
        string_arg(args, "target"), err));
    return ask_circuits(shell, args, err);
}

/* What a stored run does not hold is a failure too. */
static enum sx_status check_stored(const struct sx_shell *shell, const struct sx_value *args,
                                   struct sx_error *err)
{
    const struct sx_session *session = sx_shell_session(shell);
    const char *name = string_arg(args, "name");
    const struct sx_error *why = NULL;

    if (!session->input.run)
        return SX_OK;
    if (strcmp(name, "sequence") == 0 && session->sequence.state == SX_STATE_FAILED)
        why = &session->sequence.error;
    if (strcmp(name, "attention") == 0 && session->attention.state == SX_STATE_FAILED)
        why = &session->attention.error;
    return why ? sx_fail(err, why->status, "%s", why->message) : SX_OK;
}

static enum sx_status press_keys(struct sx_shell *shell, const char *text, struct sx_error *err)
{
    enum { KEYS = 4096 };
    struct sx_key *key;
    size_t n;

    if (!text)
        return SX_OK;
    key = sx_xcalloc(KEYS, sizeof *key);
    n = sx_key_sequence(text, key, KEYS);
    if (n > KEYS) {
        sx_free(key);
        return sx_fail(err, SX_ERR_USAGE, "--keys %s: a key is not known, or there are too many",
                       text);
    }
    for (size_t i = 0; i < n; i++) {
        sx_shell_key(shell, key[i]);
        sx_shell_wait(shell);
        sx_shell_draw(shell);
    }
    sx_free(key);
    return SX_OK;
}

static enum sx_status prepare(struct sx_shell *shell, const struct sx_value *args,
                              struct sx_error *err)
{
    const struct sx_value *lines = sx_value_get(args, "do");

    SX_TRY(open_paths(shell, sx_value_get(args, "path"), err));
    SX_TRY(sx_shell_view(shell, string_arg(args, "name"), err));
    SX_TRY(select_things(shell, args, err));
    SX_TRY(ask_model(shell, args, err));
    for (size_t i = 0; i < sx_value_count(lines); i++) {
        SX_TRY(sx_shell_line(shell, sx_value_string_or(sx_value_item(lines, i), ""), err));
        sx_shell_wait(shell);
    }
    sx_shell_wait(shell);
    SX_TRY(check_stored(shell, args, err));
    sx_shell_draw(shell); /* lists learn their page height */
    SX_TRY(press_keys(shell, string_arg(args, "keys"), err));
    sx_shell_wait(shell);
    return SX_OK;
}

static enum sx_status print_screen(struct sx_shell *shell, const struct sx_value *args,
                                   enum sx_depth depth, const struct sx_app_options *options,
                                   struct sx_error *err)
{
    struct sx_str out = SX_STR_INIT;
    enum sx_status status;

    if (options->form != SX_OUTPUT_TEXT) {
        struct sx_value *data = sx_shell_data(shell);
        if (!data)
            return sx_fail(err, SX_ERR_USAGE, "%s has no rows to print", string_arg(args, "name"));
        status = sx_output_document(data, options->form, 2, NULL, err);
        sx_value_free(data);
        return status;
    }
    if (sx_value_bool_or(sx_value_get(args, "svg"), false))
        sx_screen_svg(sx_shell_screen(shell), sx_shell_theme_now(shell), &out);
    else if (depth == SX_DEPTH_MONO)
        sx_screen_plain(sx_shell_screen(shell), &out);
    else
        sx_screen_ansi(sx_shell_screen(shell), sx_shell_theme_now(shell), depth, &out);
    status = sx_output_write(&out, err);
    sx_str_release(&out);
    return status;
}

enum sx_status sx_app_view(const struct sx_value *args, const struct sx_app_options *options,
                           struct sx_config *config, struct sx_error *err)
{
    const char *size = string_arg(args, "size");
    const char *color = string_arg(args, "color");
    const char *theme = string_arg(args, "theme");
    const bool svg = sx_value_bool_or(sx_value_get(args, "svg"), false);
    const bool ascii =
        config->ascii || !sx_app_utf8() || sx_value_bool_or(sx_value_get(args, "ascii"), false);
    enum sx_depth depth = SX_DEPTH_MONO;
    struct sx_term *term;
    struct sx_shell *shell;
    enum sx_status status;
    int w = 0;
    int h = 0;

    if (!color)
        color = options->color ? options->color : "none";
    if (strcmp(color, "none") != 0)
        SX_TRY(sx_depth_choose(color, getenv("NO_COLOR"), getenv("TERM"), getenv("COLORTERM"),
                               false, &depth, err));
    SX_TRY(sx_app_parse_size(size ? size : "80x24", &w, &h, err));
    term = sx_term_new_memory(w, h, ascii ? SX_CHARSET_ASCII : SX_CHARSET_UTF8,
                              svg && depth == SX_DEPTH_MONO ? SX_DEPTH_TRUE : depth);
    shell = sx_shell_new(config, term);
    status = theme ? sx_shell_theme(shell, theme, err) : SX_OK;
    if (status == SX_OK)
        status = prepare(shell, args, err);
    if (status == SX_OK)
        status = print_screen(shell, args, depth, options, err);
    sx_shell_free(shell);
    sx_term_close(term);
    return status;
}
