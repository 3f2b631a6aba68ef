/* Running out of memory on the command line: an answer, and no stored run that lacks a part. */
#include <criterion/criterion.h>

#include "memory_runs_out.h"
#include "session_stage.h"
#include "sextant/io/h5.h"

static enum sx_status run_line(const char *line, struct sx_error *err)
{
    const struct sx_command *command = NULL;
    struct sx_value *args = NULL;
    struct sx_job job;
    cr_assert_eq(sx_command_parse(line, &command, &args, err), SX_OK, "%s", err->message);
    sx_job_init(&job, command, args);
    const enum sx_status status = sx_job_run(&job, err);
    sx_job_release(&job);
    return status;
}

static enum sx_status keep_run(const void *with, struct sx_error *err)
{
    static const char *const parts[] = {"resid.pre", "logits", "ids",        "positions",
                                        "layers",    "tokens", "token_texts"};
    const struct stage *s = with;
    char *line = sx_xasprintf("run %s --seq '<mask>KTV' --capture resid.pre,logits --layers 1 "
                              "--tokens 1 --out %s --force",
                              s->model, s->file);
    struct sx_h5 *h5 = NULL;
    enum sx_status status = run_line(line, err);
    if (status == SX_OK)
        status = sx_h5_open(s->file, &h5, err);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == SX_OK; i++)
        if (sx_h5_kind(h5, parts[i]) != SX_H5_DATASET)
            status = sx_fail(err, SX_ERR_FORMAT, "a file without %s", parts[i]);
    sx_h5_close(h5);
    sx_free(line);
    return status;
}

static enum sx_status heads(const void *with, struct sx_error *err)
{
    const struct stage *s = with;
    char *line = sx_xasprintf("heads %s --seq '<mask>KTV'", s->model);
    const enum sx_status status = run_line(line, err);
    sx_free(line);
    return status;
}

Test(run_memory, every_failed_allocation_is_an_answer)
{
    struct stage s = stage_start();
    s.model = stage_model(&s, "m", tiny_esm2_shape, &(struct tiny_options){.dtype = SX_DTYPE_BF16});
    s.file = sx_xasprintf("%s/f.run.h5", s.folder);
    cr_expect_gt(memory_runs_out(keep_run, &s), 40);
    cr_expect_gt(memory_runs_out(heads, &s), 40);
    stage_free(&s);
}
