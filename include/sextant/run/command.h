/* The one command table. The command line, the `:` prompt, scripts, key help and the man page are
 * generated from it. A command reads validated arguments, works without a terminal, and answers
 * with a document (what --json prints); in the explorer it also has a typed result that `apply`
 * moves into the session. */
#ifndef SEXTANT_RUN_COMMAND_H
#define SEXTANT_RUN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/base/status.h"
#include "sextant/base/str.h"
#include "sextant/base/task.h"
#include "sextant/base/value.h"
#include "sextant/run/session.h"

enum sx_param_kind {
    SX_PARAM_PATH,
    SX_PARAM_STRING,
    SX_PARAM_INT,
    SX_PARAM_REAL,
    SX_PARAM_FLAG,
    SX_PARAM_CHOICE, /* one of `choices`, separated by | */
};

struct sx_param {
    const char *name; /* "tau": --tau on the command line; positional ones are shown as NAME and may
                         be given as --name too */
    enum sx_param_kind kind;
    bool positional;
    bool required;
    bool repeat;          /* may be given several times (a list) */
    const char *unit;     /* or NULL */
    double min, max;      /* INT and REAL; min == max: no bound */
    const char *fallback; /* default as text, or NULL */
    const char *choices;
    const char *help;
};

enum sx_command_flags {
    SX_CMD_CLI = 1,     /* sextant NAME … */
    SX_CMD_PROMPT = 2,  /* :NAME … in the explorer and in scripts */
    SX_CMD_TABLE = 4,   /* --csv is offered: `rows` of the document, or its first list of maps */
    SX_CMD_STREAM = 8,  /* --json prints one line an event (train) */
    SX_CMD_HIDDEN = 16, /* internal: submitted by views, not offered in help */
    SX_CMD_APP = 32, /* carried out by the program itself (view, play, quit): sx_run refuses it */
    SX_CMD_SUPERSEDE = 64, /* a newer one cancels an older one of the same command; its result is
                              dropped */
    SX_CMD_QUIET = 128,    /* short: listed among the jobs only when slow or failed */
    SX_CMD_LINES = 512,    /* what it emits is its output: JSON lines, with or without --json */
    SX_CMD_SPEAK = 256,    /* people get the answer piece by piece: `run` emits maps with `text`
                              where there is an `emit`, and `print` serves the others */
    SX_CMD_RESULT = 1024,  /* takes --out and --force: the document is kept there */
};

struct sx_job; /* see below */

struct sx_command {
    const char *name, *group, *help; /* help: one line, what it does */
    const char *details;             /* paragraph for --help and the man page, or NULL */
    const char *example;             /* one command line, or NULL */
    const struct sx_param *params;
    size_t n_params;
    enum sx_lane lane;
    unsigned flags;
    /* UI thread, explorer only, may be NULL: take what the job needs from the session (references,
     * copies), because `run` must not look at it. */
    enum sx_status (*prepare)(struct sx_session *session, struct sx_job *job, struct sx_error *err);
    /* Worker thread, or the command line's only thread. Fills job->document and/or job->result.
     * NULL for commands that only change the session. */
    enum sx_status (*run)(struct sx_job *job, struct sx_error *err);
    /* UI thread: move the result into the session. Called also for failed and cancelled jobs
     * (job->status says), so that a slot never stays pending. */
    void (*apply)(struct sx_session *session, struct sx_job *job);
    /* UI thread, explorer only, may be NULL: what `run` emits while it runs, line by line and in
     * order, before `apply`; lines of superseded jobs are dropped. `input`: the job's, not changed
     * by `run`. Without it `emit` is NULL in the explorer. */
    void (*partial)(struct sx_session *session, const void *input, const struct sx_value *line);
    /* Text for people on the command line; NULL: the document is printed as an indented outline. */
    void (*print)(const struct sx_value *document, struct sx_str *out);
};

struct sx_job {
    const struct sx_command *command;
    struct sx_value *args; /* owned map: every parameter with its default filled in */
    struct sx_task task;
    uint64_t id;
    uint64_t generation; /* of its slot: with SX_CMD_SUPERSEDE older results are dropped */
    enum sx_status status;
    struct sx_error error;
    struct sx_value *document; /* owned */
    void *input;               /* from prepare; freed by input_free */
    void (*input_free)(void *input);
    void *result; /* from run; apply may take it (set to NULL). Of commands with SX_CMD_RESULT: the
                     arrays that --out keeps beside the document, or NULL */
    void (*result_free)(void *result);
    /* Partial documents while running (train's lines, generate's pieces of text), may be NULL; in
     * the explorer for commands with `partial` alone. */
    void (*emit)(struct sx_job *job, const struct sx_value *line);
    void *emit_context;
};

/* A job outside the explorer: init, fill `emit`, run, use document, release. The engine does the
 * same for its own. Takes ownership of args (checked). */
void sx_job_init(struct sx_job *job, const struct sx_command *command, struct sx_value *take_args);
void sx_job_release(struct sx_job *job);
/* Runs command->run on this thread; the outcome is also in job->status and job->error. */
enum sx_status sx_job_run(struct sx_job *job, struct sx_error *err) SX_MUST_CHECK;
/* A map that starts with "schema": 1. Every document of a command is made by this. */
struct sx_value *sx_document_new(void);

const struct sx_command *sx_command_find(const char *name); /* NULL: no such command */
const struct sx_command *sx_command_at(size_t i);           /* NULL past the end */

/* Check and complete arguments: unknown names, missing ones, kinds and ranges are SX_ERR_USAGE. */
enum sx_status sx_command_check(const struct sx_command *command, struct sx_value *args,
                                struct sx_error *err) SX_MUST_CHECK;
/* "match A B --tau 0.8" (quotes as in a shell) to a command and its checked arguments. */
enum sx_status sx_command_parse(const char *line, const struct sx_command **command,
                                struct sx_value **args, struct sx_error *err) SX_MUST_CHECK;
/* The same for argv without the program's name; options that every command has (--json, --csv,
 * --threads, --verbose, --help) are the caller's and must be taken out before. */
enum sx_status sx_command_parse_argv(int argc, char *const *argv, const struct sx_command **command,
                                     struct sx_value **args, struct sx_error *err) SX_MUST_CHECK;
/* Back to a line that does the same in a shell. */
void sx_command_format(const struct sx_command *command, const struct sx_value *args,
                       struct sx_str *out);
/* Append `text` quoted so that sx_command_parse reads it back as one word. */
void sx_command_quote(const char *text, struct sx_str *out);
/* Usage text of one command, and of all (by group). */
void sx_command_usage(const struct sx_command *command, struct sx_str *out);
void sx_command_usage_all(struct sx_str *out);
/* Completions of a partial `:` line: up to `max` whole lines (a list of strings, the caller frees)
 * in which the last word is completed. Paths come from the file system. */
struct sx_value *sx_command_complete(const char *partial, size_t max);

#endif
