/* The command line: which of explorer and command is meant, options that all commands have, running
 * one command, and the exit status. */
#include "app.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/text.h"
#include "sextant/core/blas.h"
#include "sextant/io/json.h"
#include "sextant/run/command.h"

enum { MAX_THREADS = 1024, MAX_SIDE = 1000 };

const char sx_app_common_help[] =
    "Every command\n"
    "  --json           the answer as JSON (with \"schema\": 1)\n"
    "  --csv            the rows as CSV, where there are rows\n"
    "  --threads N      threads for arithmetic (default: one a core)\n"
    "  -v, --verbose    log messages on standard error\n"
    "  -h, --help       explain the command\n"
    "\n"
    "The explorer\n"
    "  --view NAME      the screen to begin with\n"
    "  --theme NAME     default, light, mono, high-contrast\n"
    "  --color WHEN     auto, always, never, none, 16, 256, truecolor\n"
    "  --ascii          no character beyond ASCII\n"
    "  --no-mouse       leave the mouse to the terminal\n"
    "  --version        print the version\n";

/* --- small helpers -----------------------------------------------------------------------------
 */

bool sx_app_utf8(void)
{
    const char *charset = nl_langinfo(CODESET);
    return strcmp(charset, "UTF-8") == 0 || strcmp(charset, "utf8") == 0;
}

void sx_app_open_line(const struct sx_value *paths, struct sx_str *out)
{
    sx_str_append(out, "open");
    for (size_t i = 0; i < sx_value_count(paths); i++) {
        sx_str_append(out, " ");
        sx_command_quote(sx_value_string_or(sx_value_item(paths, i), ""), out);
    }
}

enum sx_status sx_app_parse_size(const char *text, int *w, int *h, struct sx_error *err)
{
    int n = 0;

    if (sscanf(text, "%4dx%4d%n", w, h, &n) != 2 || text[n] || *w < 1 || *h < 1 || *w > MAX_SIDE ||
        *h > MAX_SIDE)
        return sx_fail(err, SX_ERR_USAGE,
                       "size %s: expected COLUMNSxROWS such as 120x40, each 1 to %d", text,
                       MAX_SIDE);
    return SX_OK;
}

/* Edit distance with neighbours swapped counted once, for "did you mean". */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 24 };
    int d[LONGEST + 1][LONGEST + 1];
    const int n = (int)strlen(a);
    const int m = (int)strlen(b);

    if (n > LONGEST || m > LONGEST)
        return LONGEST;
    for (int i = 0; i <= n; i++)
        d[i][0] = i;
    for (int j = 0; j <= m; j++)
        d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

static const char *nearest_command(const char *word)
{
    const struct sx_command *command;
    const char *best = NULL;
    int best_distance = 3;

    for (size_t i = 0; (command = sx_command_at(i)) != NULL; i++) {
        const int d = distance(word, command->name);
        if ((command->flags & SX_CMD_CLI) && d < best_distance && d < (int)strlen(word)) {
            best = command->name;
            best_distance = d;
        }
    }
    return best;
}

/* --- options -----------------------------------------------------------------------------------
 */

struct words { /* what is left of argv */
    char **word;
    int n;
};

/* "--name VALUE" or "--name=VALUE": 0 not this option, else how many words it took; -1: no value.
 */
static int option_value(const char *name, char **argv, int left, const char **value)
{
    const size_t len = strlen(name);

    if (strncmp(argv[0], name, len) != 0)
        return 0;
    if (argv[0][len] == '=') {
        *value = argv[0] + len + 1;
        return 1;
    }
    if (argv[0][len] != '\0')
        return 0;
    if (left < 2)
        return -1;
    *value = argv[1];
    return 2;
}

static enum sx_status parse_threads(const char *text, int *out, struct sx_error *err)
{
    char *end;
    const long n = strtol(text, &end, 10);

    if (!*text || *end || n < 0 || n > MAX_THREADS)
        return sx_fail(err, SX_ERR_USAGE, "--threads %s: expected a number from 0 to %d", text,
                       MAX_THREADS);
    *out = (int)n;
    return SX_OK;
}

static enum sx_status set_form(struct sx_app_options *options, enum sx_output_form form,
                               struct sx_error *err)
{
    if (options->form_given && options->form != form)
        return sx_fail(err, SX_ERR_USAGE, "--json and --csv exclude each other");
    options->form = form;
    options->form_given = true;
    return SX_OK;
}

/* Options without a value that all commands have; false: not one. */
static bool take_flag(const char *word, struct sx_app_options *options, enum sx_status *status,
                      struct sx_error *err)
{
    *status = SX_OK;
    if (strcmp(word, "--json") == 0)
        *status = set_form(options, SX_OUTPUT_JSON, err);
    else if (strcmp(word, "--csv") == 0)
        *status = set_form(options, SX_OUTPUT_CSV, err);
    else if (strcmp(word, "--verbose") == 0 || strcmp(word, "-v") == 0)
        options->verbose = true;
    else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        options->help = true;
    else
        return false;
    return true;
}

/* Options of the explorer; returns the words taken, 0: not one, -1: *status says what is wrong. */
static int take_explorer_option(char **argv, int left, struct sx_app_options *options,
                                enum sx_status *status, struct sx_error *err)
{
    const struct {
        const char *name;
        const char **value;
    } with_value[] = {
        {"--color", &options->color}, {"--theme", &options->theme}, {"--view", &options->view}};

    for (size_t i = 0; i < sizeof with_value / sizeof *with_value; i++) {
        const int taken = option_value(with_value[i].name, argv, left, with_value[i].value);
        if (taken < 0)
            *status = sx_fail(err, SX_ERR_USAGE, "%s needs a value", with_value[i].name);
        if (taken != 0)
            return taken;
    }
    if (strcmp(argv[0], "--ascii") == 0) {
        options->ascii = true;
        return 1;
    }
    if (strcmp(argv[0], "--no-mouse") == 0) {
        options->no_mouse = true;
        return 1;
    }
    return 0;
}

/* Take the common options out of argv; what is left is the command's, or paths. */
static enum sx_status take_options(int argc, char **argv, bool explorer, struct words *rest,
                                   struct sx_app_options *options, struct sx_error *err)
{
    enum sx_status status = SX_OK;

    rest->word = sx_xcalloc((size_t)argc + 1, sizeof *rest->word);
    for (int i = 0; i < argc; i++) {
        const char *value = NULL;
        int taken;

        if (strcmp(argv[i], "--") == 0) {
            /* Commands know the sign themselves; for the explorer only paths follow. */
            i += explorer;
            while (i < argc)
                rest->word[rest->n++] = argv[i++];
            break;
        }
        if (take_flag(argv[i], options, &status, err)) {
            SX_TRY(status);
            continue;
        }
        taken = option_value("--threads", argv + i, argc - i, &value);
        if (taken < 0)
            return sx_fail(err, SX_ERR_USAGE, "--threads needs a number");
        if (taken > 0) {
            SX_TRY(parse_threads(value, &options->threads, err));
            i += taken - 1;
            continue;
        }
        if (explorer) {
            taken = take_explorer_option(argv + i, argc - i, options, &status, err);
            SX_TRY(status);
            if (taken > 0) {
                i += taken - 1;
                continue;
            }
            if (argv[i][0] == '-' && argv[i][1])
                return sx_fail(err, SX_ERR_USAGE, "unknown option %s (sextant --help)", argv[i]);
        }
        rest->word[rest->n++] = argv[i];
    }
    return SX_OK;
}

/* --- one command -------------------------------------------------------------------------------
 */

static struct sx_task *interrupted_task; /* for the signal handler only */

static void on_interrupt(int sig)
{
    static const char newline[] = "\n";
    static volatile sig_atomic_t again;

    if (again++) { /* it does not listen */
        signal(sig, SIG_DFL);
        raise(sig);
        return;
    }
    if (isatty(STDERR_FILENO) && write(STDERR_FILENO, newline, 1) < 0)
        return;
    if (interrupted_task)
        sx_task_cancel(interrupted_task);
}

static void catch_interrupt(struct sx_task *task)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    interrupted_task = task;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

struct stream {
    bool json;
    double last; /* sx_clock() of the last line for people */
};

static void text_line(const struct sx_value *line, struct sx_str *out)
{
    for (size_t i = 0; i < sx_value_count(line); i++) {
        const struct sx_value *v = sx_value_item(line, i);
        const bool number = sx_value_kind(v) == SX_VALUE_INT || sx_value_kind(v) == SX_VALUE_REAL;
        if (number && strcmp(sx_value_key(line, i), "schema") != 0)
            sx_str_printf(out, "%s%s %.5g", out->len ? "  " : "", sx_value_key(line, i),
                          sx_value_real_or(v, 0));
    }
    sx_str_append_char(out, '\n');
}

/* Lines of a running job: all of them as JSON; for people without a progress line a few. */
static void on_line(struct sx_job *job, const struct sx_value *line)
{
    enum { QUIET_S = 5 };
    struct stream *stream = job->emit_context;
    struct sx_error err;

    if (stream->json) {
        if (sx_output_document(line, SX_OUTPUT_JSON, 0, NULL, &err) != SX_OK)
            sx_task_cancel(&job->task); /* nobody reads any more */
    } else if (!isatty(STDERR_FILENO) && sx_clock() - stream->last > QUIET_S) {
        struct sx_str text = SX_STR_INIT;
        stream->last = sx_clock();
        text_line(line, &text);
        fputs(text.data, stderr);
        sx_str_release(&text);
    }
}

/* Pieces of text, shown as they come. */
static void on_text(struct sx_job *job, const struct sx_value *piece)
{
    const struct sx_value *value = sx_value_get(piece, "text");
    char *clean = sx_text_clean_lines(sx_value_string_or(value, ""), sx_value_string_size(value));
    struct sx_str text = SX_STR_INIT;
    struct sx_error err;

    sx_str_append(&text, clean);
    if (sx_output_write(&text, &err) != SX_OK)
        sx_task_cancel(&job->task); /* nobody reads any more */
    sx_str_release(&text);
    sx_free(clean);
}

/* What a document would say above its answer. */
static void tell_warnings(const struct sx_value *document)
{
    const struct sx_value *warnings = sx_value_get(document, "warnings");

    for (size_t i = 0; i < sx_value_count(warnings); i++) {
        char *clean = sx_text_clean_dup(sx_value_string_or(sx_value_item(warnings, i), ""),
                                        sx_value_string_size(sx_value_item(warnings, i)), 1000);
        fprintf(stderr, "! %s\n", clean);
        sx_free(clean);
    }
}

static enum sx_status run_job(const struct sx_command *command, struct sx_value *take_args,
                              const struct sx_app_options *options, struct sx_error *err)
{
    const bool lines = (command->flags & SX_CMD_LINES) != 0;
    struct stream stream = {.json = lines || options->form == SX_OUTPUT_JSON};
    const bool speaks = (command->flags & SX_CMD_SPEAK) && options->form == SX_OUTPUT_TEXT;
    struct sx_job job;
    struct sx_progress *progress;
    enum sx_status status;

    sx_job_init(&job, command, take_args);
    if (lines || (command->flags & SX_CMD_STREAM)) {
        job.emit = on_line;
        job.emit_context = &stream;
    }
    if (speaks)
        job.emit = on_text;
    catch_interrupt(&job.task);
    /* What is said stands where the bar would. */
    progress = speaks ? NULL : sx_progress_start(command->name, &job.task, options->verbose);
    status = sx_job_run(&job, err);
    sx_progress_stop(progress);
    if (speaks)
        tell_warnings(job.document);
    /* A cancelled command may still have something to show, and a check that failed what failed. */
    if (job.document && !speaks) {
        const int indent = command->flags & SX_CMD_STREAM ? 0 : 2;
        struct sx_error print_err;
        const enum sx_status printed =
            sx_output_document(job.document, options->form, indent, command->print, &print_err);
        if (status == SX_OK && printed != SX_OK) {
            status = printed;
            if (err)
                *err = print_err;
        }
    }
    interrupted_task = NULL;
    sx_job_release(&job);
    return status;
}

static enum sx_status run_config(const struct sx_value *args, const struct sx_config *config,
                                 enum sx_status loaded, struct sx_error *err)
{
    struct sx_str out = SX_STR_INIT;
    enum sx_status status;
    const char *dir_of = config->path ? config->path : "(no home folder)";

    if (sx_value_bool_or(sx_value_get(args, "check"), false)) {
        SX_TRY(loaded);
        SX_TRY(sx_config_check(config, err));
        sx_str_printf(&out, "%s: %s\n", dir_of, config->exists ? "ok" : "not there, defaults hold");
    } else if (sx_value_bool_or(sx_value_get(args, "paths"), false)) {
        const char *data = getenv("SEXTANT_DATA");
        const int len = config->path ? (int)(strlen(config->path) - strlen("/config.yaml")) : 0;
        sx_str_printf(&out, "configuration  %s%s\n", dir_of, config->exists ? "" : " (not there)");
        if (config->path)
            sx_str_printf(
                &out, "themes         %.*s/themes/NAME.yaml\nlayouts        %.*s/views/NAME.yaml\n",
                len, config->path, len, config->path);
        sx_str_printf(&out, "$SEXTANT_DATA  %s\n", data && *data ? data : "(not set)");
        sx_str_append(&out, "built in       themes and layouts of this version\n");
    } else {
        SX_TRY(loaded);
        sx_config_show(config, &out);
    }
    status = sx_output_write(&out, err);
    sx_str_release(&out);
    return status;
}

static enum sx_status run_doctor(const struct sx_app_options *options,
                                 const struct sx_config *config, struct sx_error *err)
{
    struct sx_value *document = sx_app_doctor(config);
    const bool ok = sx_value_bool_or(sx_value_get(document, "ok"), false);
    enum sx_status status =
        sx_output_document(document, options->form, 2, sx_app_doctor_print, err);

    sx_value_free(document);
    if (status == SX_OK && !ok)
        status = sx_fail(err, SX_ERR_NUMERIC, "doctor: a check failed");
    return status;
}

static enum sx_status usage_of(const struct sx_command *command, struct sx_error *err)
{
    struct sx_str out = SX_STR_INIT;
    enum sx_status status;

    sx_command_usage(command, &out);
    status = sx_output_write(&out, err);
    sx_str_release(&out);
    return status;
}

static enum sx_status usage_of_all(struct sx_error *err)
{
    struct sx_str out = SX_STR_INIT;
    enum sx_status status;

    sx_str_append(&out, "usage: sextant PATH…           explore what lies there\n"
                        "       sextant COMMAND …       run one command\n"
                        "       sextant help COMMAND    explain it\n\n");
    sx_command_usage_all(&out);
    sx_str_printf(&out, "\n%s", sx_app_common_help);
    status = sx_output_write(&out, err);
    sx_str_release(&out);
    return status;
}

static enum sx_status unknown_word(const char *word, struct sx_error *err)
{
    const char *near = nearest_command(word);

    if (strchr(word, '/'))
        return sx_fail(err, SX_ERR_IO, "%s: %s", word, strerror(ENOENT));
    if (near)
        return sx_fail(err, SX_ERR_USAGE, "%s is neither a command nor a path; did you mean %s?",
                       word, near);
    return sx_fail(err, SX_ERR_USAGE, "%s is neither a command nor a path (sextant help)", word);
}

static enum sx_status check_form(const struct sx_command *command,
                                 const struct sx_app_options *options, struct sx_error *err)
{
    if (options->form == SX_OUTPUT_CSV && !(command->flags & SX_CMD_TABLE))
        return sx_fail(err, SX_ERR_USAGE, "%s has no --csv", command->name);
    return SX_OK;
}

static enum sx_status run_command(struct words *words, struct sx_app_options *options,
                                  struct sx_config *config, enum sx_status loaded,
                                  struct sx_error *err)
{
    const struct sx_command *command = sx_command_find(words->word[0]);
    struct sx_value *args = NULL;
    enum sx_status status;

    if (options->help)
        return usage_of(command, err);
    SX_TRY(check_form(command, options, err));
    SX_TRY(sx_command_parse_argv(words->n, words->word, &command, &args, err));
    if (!(command->flags & SX_CMD_APP))
        return run_job(command, args, options, err);
    if (strcmp(command->name, "view") == 0)
        status = sx_app_view(args, options, config, err);
    else if (strcmp(command->name, "play") == 0)
        status = sx_app_play(sx_value_string_or(sx_value_get(args, "file"), ""),
                             sx_value_bool_or(sx_value_get(args, "dry-run"), false), config, err);
    else if (strcmp(command->name, "config") == 0)
        status = run_config(args, config, loaded, err);
    else
        status = run_doctor(options, config, err);
    sx_value_free(args);
    return status;
}

/* --- which one ---------------------------------------------------------------------------------
 */

/* help, man and completion are about the table and not in it. */
static bool run_about(const struct words *words, const struct sx_app_options *options,
                      enum sx_status *status, struct sx_error *err)
{
    const char *word = words->n ? words->word[0] : "";
    struct sx_str out = SX_STR_INIT;

    if (strcmp(word, "help") == 0 && words->n > 1) {
        const struct sx_command *command = sx_command_find(words->word[1]);
        *status = command ? usage_of(command, err) : unknown_word(words->word[1], err);
        return true;
    }
    if (strcmp(word, "help") == 0 || (options->help && !*word)) {
        *status = usage_of_all(err);
        return true;
    }
    if (strcmp(word, "man") == 0) {
        sx_app_manual(&out);
    } else if (strcmp(word, "completion") == 0) {
        if (words->n != 2 || strcmp(words->word[1], "bash") != 0) {
            *status = sx_fail(err, SX_ERR_USAGE, "completion: expected bash");
            return true;
        }
        sx_app_completion(&out);
    } else {
        return false;
    }
    *status = sx_output_write(&out, err);
    sx_str_release(&out);
    return true;
}

static enum sx_status explore(const struct words *words, const struct sx_app_options *options,
                              struct sx_config *config, struct sx_error *err)
{
    const bool tty = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
    struct sx_value *paths = sx_value_list();
    struct sx_value *args = NULL;
    struct stat st;
    enum sx_status status = SX_OK;

    for (int i = 0; i < words->n && status == SX_OK; i++) {
        if (stat(words->word[i], &st) == 0)
            sx_value_append(paths, sx_value_string(words->word[i]));
        else if (errno == ENOENT && i == 0)
            status = unknown_word(words->word[i], err);
        else
            status = sx_fail(err, SX_ERR_IO, "%s: %s", words->word[i], strerror(errno));
    }
    if (status == SX_OK && words->n == 0) {
        if (tty)
            sx_value_append(paths, sx_value_string("."));
        else
            status = sx_fail(err, SX_ERR_USAGE,
                             "nothing to open: sextant PATH… (sextant help lists the commands)");
    }
    if (status == SX_OK && options->form == SX_OUTPUT_TEXT && tty) {
        status = sx_app_explore(paths, options, config, err);
    } else if (status == SX_OK) {
        args = sx_value_map();
        sx_value_set(args, "name", sx_value_string(options->view ? options->view : "workspace"));
        sx_value_set(args, "path", sx_value_dup(paths));
        sx_value_set(args, "ascii", sx_value_bool(options->ascii));
        status = sx_app_view(args, options, config, err);
    }
    sx_value_free(args);
    sx_value_free(paths);
    return status;
}

/* The first word that is not an option (or the value of one) decides. */
static bool is_command_line(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const struct sx_command *command;
        if (strcmp(argv[i], "--") == 0)
            return false;
        if (strcmp(argv[i], "--threads") == 0 || strcmp(argv[i], "--color") == 0 ||
            strcmp(argv[i], "--theme") == 0 || strcmp(argv[i], "--view") == 0) {
            i++;
            continue;
        }
        if (argv[i][0] == '-')
            continue;
        command = sx_command_find(argv[i]);
        return command && (command->flags & SX_CMD_CLI);
    }
    return false;
}

static enum sx_status run_program(int argc, char **argv, struct sx_error *err)
{
    struct sx_app_options options = {.form = SX_OUTPUT_TEXT, .threads = -1};
    struct sx_config config = {0};
    struct words words = {0};
    struct sx_error config_err;
    enum sx_status status;
    const bool command_line = is_command_line(argc, argv);
    const enum sx_status loaded = sx_config_load(&config, &config_err);

    if (argc == 1 && strcmp(argv[0], "--version") == 0) {
        struct sx_str out = SX_STR_INIT;
        sx_str_append(&out, "sextant " SX_VERSION "\n");
        status = sx_output_write(&out, err);
        sx_str_release(&out);
        goto out;
    }
    status = take_options(argc, argv, !command_line, &words, &options, err);
    if (status != SX_OK)
        goto out;
    sx_blas_set_threads(options.threads >= 0 ? options.threads : config.threads);
    if (loaded != SX_OK) {
        if (command_line && strcmp(words.word[0], "config") == 0)
            *err = config_err;
        else
            fprintf(stderr, "sextant: %s (defaults hold)\n", config_err.message);
    }
    if (command_line)
        status = run_command(&words, &options, &config, loaded, err);
    else if (!run_about(&words, &options, &status, err))
        status = explore(&words, &options, &config, err);
out:
    sx_free(words.word);
    sx_config_release(&config);
    return status;
}

int sx_app_main(int argc, char **argv)
{
    struct sx_error err = {0};
    enum sx_status status;

    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN); /* a write that fails says so; see sx_output_write */
    status = run_program(argc - 1, argv + 1, &err);
    if (status != SX_OK && status != SX_CANCELLED)
        sx_output_error(err.message);
    return sx_output_exit_code(status);
}
