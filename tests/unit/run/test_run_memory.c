/* Running out of memory on the command line: an answer, and no stored run that lacks a part. */
#include <criterion/criterion.h>

#include "memory_runs_out.h"
#include "sae_files.h"
#include "sextant/io/h5.h"
#include "sextant/run/command.h"
#include "tiny_models.h"

/* No session: its threads might hold locks while children are made. */
struct place {
    char *folder, *model, *file;
};

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
    const struct place *at = with;
    char *line = sx_xasprintf("run %s --seq '<mask>KTV' --capture resid.pre,logits --layers 1 "
                              "--tokens 1 --out %s --force",
                              at->model, at->file);
    struct sx_h5 *h5 = NULL;
    enum sx_status status = run_line(line, err);
    if (status == SX_OK)
        status = sx_h5_open(at->file, &h5, err);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == SX_OK; i++)
        if (sx_h5_kind(h5, parts[i]) != SX_H5_DATASET)
            status = sx_fail(err, SX_ERR_FORMAT, "a file without %s", parts[i]);
    sx_h5_close(h5);
    sx_free(line);
    return status;
}

static enum sx_status heads(const void *with, struct sx_error *err)
{
    const struct place *at = with;
    char *line = sx_xasprintf("heads %s --seq '<mask>KTV'", at->model);
    const enum sx_status status = run_line(line, err);
    sx_free(line);
    return status;
}

Test(run_memory, every_failed_allocation_is_an_answer)
{
    struct place at = {.folder = sae_folder()};
    struct tiny_model tiny = tiny_golden(tiny_esm2_shape);
    at.model = sx_xasprintf("%s/m", at.folder);
    at.file = sx_xasprintf("%s/f.run.h5", at.folder);
    tiny_write(&tiny, at.model, &(struct tiny_options){.dtype = SX_DTYPE_BF16});
    tiny_release(&tiny);
    cr_expect_gt(memory_runs_out(keep_run, &at), 40);
    cr_expect_gt(memory_runs_out(heads, &at), 40);
    sae_remove(at.folder);
    sx_free(at.model);
    sx_free(at.file);
}
