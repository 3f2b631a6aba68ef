/* patch-grid: the grids of `patch` and `ablate` over the input of the session; the slot fills while
 * it is computed. */
#include "commands_private.h"

#include <math.h>
#include <string.h>

#include "document.h"
#include "measure_scan.h"
#include "model_input.h"
#include "pass_job.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/interp/names.h"
#include "sextant/interp/results.h"

struct grid_job {
    struct sx_pass_job *pass; /* owned, by pass_free */
    void (*pass_free)(void *);
    struct sx_ids corrupt; /* empty: an ablation */
    struct sx_grid_request request;
};

static void grid_job_free(void *p)
{
    struct grid_job *in = p;
    in->pass_free(in->pass);
    sx_ids_release(&in->corrupt);
    sx_free(in);
}

static void patching_free(void *p)
{
    sx_patching_data_release(p);
    sx_free(p);
}

/* --- asking -------------------------------------------------------------------------------------
 */

/* A mask under the cursor, else the first one; without any the cursor itself. */
static size_t measured_token(const struct sx_session *session, const struct sx_job *job)
{
    const struct sx_input *input = &session->input;
    size_t token = sx_job_index(job, "token", SIZE_MAX);
    if (token != SIZE_MAX)
        return token;
    token = session->selection.token < input->n ? session->selection.token : 0;
    for (size_t t = 0; t < input->n && !input->masked[token]; t++)
        if (input->masked[t])
            return t;
    return token;
}

static enum sx_status choose_change(const struct sx_job *job, struct grid_job *in,
                                    struct sx_error *err)
{
    const char *corrupt = sx_arg_text(job->args, "corrupt");
    const char *ablate = sx_arg_text(job->args, "ablate");
    enum sx_grid grid;
    if (!corrupt == !ablate)
        return sx_fail(err, SX_ERR_USAGE, "patch-grid: give --corrupt SEQ or --ablate zero|mean");
    if (!sx_grid_find(sx_arg_text(job->args, "grid"), &grid))
        return sx_fail(err, SX_ERR_USAGE, "patch-grid: --grid is not known");
    in->request.site = sx_grid_site(grid);
    in->request.how = SX_HOW_PATCH;
    if (ablate && !sx_how_find(ablate, &in->request.how))
        return sx_fail(err, SX_ERR_USAGE, "patch-grid: --ablate is not known");
    in->request.all_tokens = sx_scan_all_tokens(in->request.site);
    in->request.source_token = SIZE_MAX;
    if (!corrupt)
        return SX_OK;
    return sx_scan_text("patch-grid", "corrupt", in->pass->model, corrupt, &in->corrupt, NULL, err);
}

static enum sx_status choose_metric(const struct sx_session *session, const struct sx_job *job,
                                    struct grid_job *in, struct sx_error *err)
{
    struct sx_metric *metric = &in->request.metric;
    const struct sx_pass_job *pass = in->pass;
    SX_TRY(sx_job_below(job, "token", in->request.token, pass->n, err));
    SX_TRY(sx_scan_metric("patch-grid", job->args, pass->model, pass->original, pass->n,
                          in->request.token, metric, err));
    if (session->settings.target < 0 || sx_arg_text(job->args, "target"))
        return SX_OK;
    metric->target = session->settings.target;
    return sx_metric_check(metric, sx_model_info(pass->model)->vocab, err);
}

/* The input as text that `patch --clean` reads back. */
static void spell(const struct sx_session *session, struct sx_str *out)
{
    const struct sx_input *input = &session->input;
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(input->opened);
    if (input->info.family != SX_MODEL_ESM2) {
        sx_command_quote(input->text ? input->text : "", out);
        return;
    }
    struct sx_str text = SX_STR_INIT;
    for (size_t t = 0; t < input->n; t++) {
        const bool edge = (t == 0 && input->ids[t] == SX_ESM_CLS) ||
                          (t + 1 == input->n && input->ids[t] == SX_ESM_EOS);
        const char *name = sx_token_name(tokenizer, input->ids[t]);
        if (!edge && name)
            sx_str_append(&text, name);
    }
    sx_command_quote(text.data, out);
    sx_str_release(&text);
}

static char *line_of(const struct sx_session *session, const struct sx_job *job,
                     const struct grid_job *in)
{
    struct sx_str line = SX_STR_INIT;
    char target[64];
    const char *corrupt = sx_arg_text(job->args, "corrupt");
    sx_str_printf(&line, "sextant %s ", corrupt ? "patch" : "ablate");
    sx_command_quote(session->input.info.path, &line);
    sx_str_append(&line, corrupt ? " --clean " : " --seq ");
    spell(session, &line);
    if (corrupt) {
        sx_str_append(&line, " --corrupt ");
        sx_command_quote(corrupt, &line);
        sx_str_printf(&line, " --grid %s", sx_arg_text(job->args, "grid"));
    } else {
        sx_str_printf(&line, " --site %s --how %s", sx_site_name(in->request.site),
                      sx_how_name(in->request.how));
    }
    sx_str_printf(&line, " --metric %s --token %zu", sx_metric_name(in->request.metric.kind),
                  in->request.token);
    if (in->request.metric.target >= 0) {
        sx_token_text(in->pass->model, in->request.metric.target, target, sizeof target);
        sx_str_append(&line, " --target ");
        sx_command_quote(target, &line);
    }
    if (sx_arg_text(job->args, "against")) {
        sx_str_append(&line, " --against ");
        sx_command_quote(sx_arg_text(job->args, "against"), &line);
    }
    return sx_str_take(&line);
}

static void begin_slot(struct sx_session *session, const struct sx_job *job,
                       const struct grid_job *in)
{
    struct sx_patching_data *data = &session->patching;
    const struct sx_metric *metric = &in->request.metric;
    sx_patching_data_release(data);
    *data = (struct sx_patching_data){
        .state = SX_STATE_PENDING,
        .serial = in->pass->serial,
        .line = line_of(session, job, in),
        .corrupt = sx_xstrdup(sx_arg_text(job->args, "corrupt")),
        .result = {.metric = metric->kind,
                   .target = metric->target,
                   .against = metric->against,
                   .token = in->request.token,
                   .ablation = in->request.how != SX_HOW_PATCH,
                   .clean = NAN,
                   .corrupt = NAN},
    };
    sx_grid_find(sx_arg_text(job->args, "grid"), &data->result.grid);
    sx_scan_what(&in->request, data->what, sizeof data->what);
    if (metric->target >= 0)
        sx_token_label(sx_model_tokenizer(in->pass->model), metric->target, data->target_text,
                       sizeof data->target_text);
    sx_session_touch(session, SX_SLOT_PATCHING);
}

SX_PREPARE(patch_grid)
{
    struct sx_pass_job *pass;
    SX_TRY(sx_pass_job_take(session, job, &pass, err));
    struct grid_job *in = sx_xcalloc(1, sizeof *in);
    *in = (struct grid_job){.pass = pass, .pass_free = job->input_free};
    job->input = in;
    job->input_free = grid_job_free;
    SX_TRY(choose_change(job, in, err));
    in->request.token = measured_token(session, job);
    SX_TRY(choose_metric(session, job, in, err));
    const struct sx_sequence clean = {.ids = pass->ids, .n = pass->n, .embed_scale = NAN};
    const struct sx_sequence corrupt = {
        .ids = in->corrupt.ids, .n = in->corrupt.n, .embed_scale = NAN};
    in->request.source = clean;
    in->request.base = in->request.how == SX_HOW_PATCH ? corrupt : clean;
    if (in->request.how == SX_HOW_PATCH && corrupt.n != clean.n)
        return sx_fail(err, SX_ERR_USAGE,
                       "patch-grid: the input has %zu tokens and --corrupt %zu: patching needs as "
                       "many in both",
                       clean.n, corrupt.n);
    begin_slot(session, job, in);
    return SX_OK;
}

/* --- running ------------------------------------------------------------------------------------
 */

struct telling {
    struct sx_job *job;
    double started;
};

static void tell_cells(void *context, const struct sx_scan_result *result, const size_t *cells,
                       size_t n)
{
    const struct telling *telling = context;
    if (!telling->job->emit)
        return;
    struct sx_value *line = sx_value_map();
    struct sx_value *at = sx_value_set(line, "cells", sx_value_list());
    struct sx_value *values = sx_value_set(line, "values", sx_value_list());
    sx_document_int(line, "rows", (int64_t)result->rows);
    sx_document_int(line, "columns", (int64_t)result->columns);
    sx_value_set(line, "clean", sx_value_real(result->clean));
    sx_value_set(line, "corrupt", sx_value_real(result->corrupt));
    sx_value_set(line, "normalised", sx_value_bool(result->normalised));
    sx_value_set(line, "seconds", sx_value_real(sx_clock() - telling->started));
    for (size_t i = 0; i < n; i++) {
        sx_value_append(at, sx_value_int((int64_t)cells[i]));
        sx_value_append(values, sx_value_real((double)result->value[cells[i]]));
    }
    telling->job->emit(telling->job, line);
    sx_value_free(line);
}

SX_RUN(patch_grid)
{
    const struct grid_job *in = job->input;
    struct telling telling = {job, sx_clock()};
    struct sx_runner *runner = NULL;
    SX_TRY(sx_pass_job_runner(in->pass, 0, &runner, err));
    struct sx_patching_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = patching_free;
    const enum sx_status status =
        sx_grid_run(runner, &in->request, &data->result, tell_cells, &telling, &job->task, err);
    data->seconds = sx_clock() - telling.started;
    return status;
}

/* --- arriving -----------------------------------------------------------------------------------
 */

static bool awaited(const struct sx_session *session, const struct grid_job *in)
{
    return session->patching.state == SX_STATE_PENDING && session->input.serial == in->pass->serial;
}

void sx_cmd_patch_grid_partial(struct sx_session *session, const void *input,
                               const struct sx_value *line)
{
    struct sx_scan_result *result = &session->patching.result;
    const struct sx_value *cells = sx_value_get(line, "cells");
    if (!awaited(session, input))
        return;
    if (!result->value) {
        result->rows = (size_t)sx_value_int_or(sx_value_get(line, "rows"), 0);
        result->columns = (size_t)sx_value_int_or(sx_value_get(line, "columns"), 0);
        result->value = sx_xcalloc(result->rows * result->columns + 1, sizeof *result->value);
        for (size_t i = 0; i < result->rows * result->columns; i++)
            result->value[i] = (float)NAN;
    }
    result->clean = sx_value_real_or(sx_value_get(line, "clean"), NAN);
    result->corrupt = sx_value_real_or(sx_value_get(line, "corrupt"), NAN);
    result->normalised = sx_value_bool_or(sx_value_get(line, "normalised"), false);
    for (size_t i = 0; i < sx_value_count(cells); i++) {
        const size_t cell = (size_t)sx_value_int_or(sx_value_item(cells, i), 0);
        SX_ASSERT(cell < result->rows * result->columns);
        result->value[cell] =
            (float)sx_value_real_or(sx_value_item(sx_value_get(line, "values"), i), NAN);
    }
    result->n_done += sx_value_count(cells);
    session->patching.seconds = sx_value_real_or(sx_value_get(line, "seconds"), 0);
    sx_session_touch(session, SX_SLOT_PATCHING);
}

SX_APPLY(patch_grid)
{
    struct sx_patching_data *data = &session->patching;
    struct sx_patching_data *found = job->result;
    if (!awaited(session, job->input))
        return;
    sx_session_touch(session, SX_SLOT_PATCHING);
    if (job->status != SX_OK)
        sx_slot_fail(&data->state, &data->error, job->status, &job->error);
    else
        data->state = SX_STATE_READY;
    if (!found || !found->result.value)
        return;
    sx_scan_result_release(&data->result);
    data->result = found->result;
    found->result = (struct sx_scan_result){0};
    data->seconds = found->seconds;
}
