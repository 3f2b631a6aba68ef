#include "pass_job.h"

#include <math.h>
#include <string.h>

#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/core/blas.h"

static const uint64_t MAX_BYTES = (uint64_t)4 << 30;

static void pass_job_free(void *p)
{
    struct sx_pass_job *in = p;
    sx_model_unref(in->model);
    sx_stored_run_free(in->stored);
    sx_free(in->ids);
    sx_free(in->original);
    if (in->question_free)
        in->question_free(in->question);
    sx_free(in);
}

enum sx_status sx_pass_job_take(struct sx_session *session, struct sx_job *job,
                                struct sx_pass_job **out, struct sx_error *err)
{
    const struct sx_input *input = &session->input;
    if (input->state == SX_STATE_READY && input->run)
        return sx_no_weights(input, job->command->name, err);
    return sx_pass_job_take_any(session, job, out, err);
}

enum sx_status sx_pass_job_take_any(struct sx_session *session, struct sx_job *job,
                                    struct sx_pass_job **out, struct sx_error *err)
{
    const struct sx_input *input = &session->input;
    const char *name = job->command->name;
    if (input->state == SX_STATE_PENDING)
        return sx_fail(err, SX_ERR_USAGE, "%s: the input is still being read", name);
    if (input->state != SX_STATE_READY)
        return sx_fail(err, SX_ERR_USAGE, "%s: there is no input; :input TEXT", name);
    struct sx_pass_job *in = sx_xcalloc(1, sizeof *in);
    const size_t bytes = input->n * sizeof *in->ids;
    *in = (struct sx_pass_job){
        .serial = input->serial,
        .model = input->run ? NULL : sx_model_ref(input->opened),
        .stored = input->run ? sx_stored_run_of(input) : NULL,
        .runner = sx_run_runner(session),
        .ids = sx_xmalloc(bytes),
        .original = sx_xmalloc(bytes),
        .n = input->n,
        .target = -1,
    };
    memcpy(in->ids, input->ids, bytes);
    memcpy(in->original, input->original, bytes);
    job->input = in;
    job->input_free = pass_job_free;
    *out = in;
    return SX_OK;
}

size_t sx_job_index(const struct sx_job *job, const char *name, size_t fallback)
{
    return (size_t)sx_value_int_or(sx_value_get(job->args, name), (int64_t)fallback);
}

enum sx_status sx_job_below(const struct sx_job *job, const char *what, size_t index, size_t count,
                            struct sx_error *err)
{
    if (index < count)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE, "%s: --%s %zu, but the last one is %zu", job->command->name,
                   what, index, count - 1);
}

enum sx_status sx_pass_job_runner(const struct sx_pass_job *in, uint64_t kept,
                                  struct sx_runner **runner, struct sx_error *err)
{
    const uint64_t bytes = sx_pass_bytes(in->model, &in->n, 1) + kept;
    if (bytes > MAX_BYTES)
        return sx_fail(err, SX_ERR_NOMEM, "%zu tokens need %.1f GiB, the limit is %.0f GiB", in->n,
                       (double)bytes / (double)(1 << 30), (double)MAX_BYTES / (double)(1 << 30));
    if (*in->runner && sx_runner_model(*in->runner) != in->model) {
        sx_runner_free(*in->runner);
        *in->runner = NULL;
    }
    if (!*in->runner)
        *in->runner = sx_runner_new(in->model, sx_blas_threads());
    *runner = *in->runner;
    return SX_OK;
}

enum sx_status sx_pass_job_capture(const struct sx_pass_job *in, const struct sx_capture *what,
                                   size_t until_layer, struct sx_task *task, struct sx_error *err)
{
    struct sx_runner *runner = NULL;
    const uint64_t kept =
        sx_capture_count(sx_model_info(in->model), what, in->n) * sizeof *what->out;
    SX_TRY(sx_pass_job_runner(in, kept, &runner, err));
    const struct sx_sequence sequence = {.ids = in->ids, .n = in->n, .embed_scale = NAN};
    const struct sx_pass pass = {
        .sequences = &sequence,
        .n_sequences = 1,
        .hooks = {.captures = what, .n_captures = 1},
        .until_layer = until_layer,
    };
    return sx_run_pass(runner, &pass, task, err);
}

bool sx_pass_job_arrives(struct sx_session *session, const struct sx_job *job, enum sx_slot slot,
                         enum sx_slot_state *state, struct sx_error *error)
{
    const struct sx_pass_job *in = job->input;
    if (*state != SX_STATE_PENDING || session->input.serial != in->serial)
        return false;
    sx_session_touch(session, slot);
    if (job->status == SX_OK)
        return true;
    sx_slot_fail(state, error, job->status, &job->error);
    return false;
}

enum sx_status sx_pass_job_no_memory(const struct sx_pass_job *in, struct sx_error *err)
{
    return sx_fail(err, SX_ERR_NOMEM, "no memory for the results of %zu tokens", in->n);
}
