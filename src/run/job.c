/* One job: arguments in, document or result out. */
#include "sextant/run/command.h"

#include "document.h"
#include "result_file.h"
#include "sextant/base/alloc.h"

void sx_job_init(struct sx_job *job, const struct sx_command *command, struct sx_value *take_args)
{
    *job = (struct sx_job){.command = command, .args = take_args};
    sx_task_init(&job->task);
}

void sx_job_release(struct sx_job *job)
{
    sx_value_free(job->args);
    sx_value_free(job->document);
    if (job->input && job->input_free)
        job->input_free(job->input);
    if (job->result && job->result_free)
        job->result_free(job->result);
    job->args = NULL;
    job->document = NULL;
    job->input = NULL;
    job->result = NULL;
}

enum sx_status sx_job_run(struct sx_job *job, struct sx_error *err)
{
    SX_ASSERT(job->command->run);
    struct sx_error why = {0};
    const bool keep =
        (job->command->flags & SX_CMD_RESULT) && sx_value_get(job->args, "out") != NULL;
    job->status = keep ? sx_result_file_check(job, &why) : SX_OK;
    if (job->status == SX_OK)
        job->status =
            sx_task_is_cancelled(&job->task) ? SX_CANCELLED : job->command->run(job, &why);
    if (job->document)
        job->document = sx_document_finish(job->document);
    if (job->status == SX_OK && keep && job->document)
        job->status = sx_result_file_write(job, &why);
    if (job->status != SX_OK) {
        why.status = job->status;
        job->error = why;
        if (err)
            *err = why;
    }
    return job->status;
}

struct sx_value *sx_document_new(void)
{
    enum { SCHEMA = 1 };
    struct sx_value *document = sx_value_map();
    sx_value_set(document, "schema", sx_value_int(SCHEMA));
    return document;
}
