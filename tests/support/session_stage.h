/* A session over a folder of its own, and the lines a user would give it. */
#ifndef SEXTANT_TESTS_SESSION_STAGE_H
#define SEXTANT_TESTS_SESSION_STAGE_H

#include <criterion/criterion.h>

#include "sae_files.h"
#include "sextant/run/command.h"
#include "sextant/run/run.h"
#include "tiny_models.h"

struct stage {
    char *folder;
    char *model, *file; /* paths in it that the test wants to know; NULL: none; owned */
    struct sx_run *run;
    const struct sx_session *session;
};

static inline struct stage stage_start(void)
{
    struct stage s = {.folder = sae_folder(), .run = sx_run_new()};
    cr_assert_not_null(s.folder);
    s.session = sx_run_session(s.run);
    return s;
}

static inline void stage_free(struct stage *s)
{
    sx_run_free(s->run);
    sae_remove(s->folder);
    sx_free(s->model);
    sx_free(s->file);
}

/* A random model under folder/name: its path. options may be NULL. */
static inline char *stage_model(const struct stage *s, const char *name, struct tiny_shape shape,
                                const struct tiny_options *options)
{
    struct tiny_model tiny = tiny_random(shape, 3);
    char *path = sx_xasprintf("%s/%s", s->folder, name);
    tiny_write(&tiny, path, options);
    tiny_release(&tiny);
    return path;
}

static inline void say(struct stage *s, const char *line)
{
    struct sx_error err = {0};
    cr_assert_eq(sx_run_submit_line(s->run, line, NULL, &err), SX_OK, "%s: %s", line, err.message);
}

static inline void do_line(struct stage *s, const char *line)
{
    say(s, line);
    sx_run_wait_idle(s->run);
}

/* What is said is wrong or cannot be had; `part` stands in the message. */
static inline void refuse(struct stage *s, const char *line, const char *part)
{
    struct sx_error err = {0};
    const enum sx_status status = sx_run_submit_line(s->run, line, NULL, &err);
    cr_assert(status == SX_ERR_USAGE || status == SX_ERR_UNSUPPORTED, "%s", line);
    cr_assert(strstr(err.message, part), "%s: %s", line, err.message);
}

static inline void stage_open(struct stage *s)
{
    char *line = sx_xasprintf("open %s", s->folder);
    do_line(s, line);
    sx_free(line);
    cr_assert_eq(s->session->workspace_state, SX_STATE_READY);
}

/* What the command line answers to a line that starts with "sextant ". */
static inline struct sx_value *shell(const char *line)
{
    static const char program[] = "sextant ";
    const struct sx_command *command = NULL;
    struct sx_value *args = NULL;
    struct sx_error err = {0};
    struct sx_job job;
    cr_assert_eq(strncmp(line, program, strlen(program)), 0, "%s", line);
    cr_assert_eq(sx_command_parse(line + strlen(program), &command, &args, &err), SX_OK, "%s: %s",
                 line, err.message);
    cr_assert_eq(sx_command_check(command, args, &err), SX_OK, "%s: %s", line, err.message);
    sx_job_init(&job, command, args);
    cr_assert_eq(sx_job_run(&job, &err), SX_OK, "%s: %s", line, err.message);
    struct sx_value *document = job.document;
    job.document = NULL;
    sx_job_release(&job);
    return document;
}

#endif
