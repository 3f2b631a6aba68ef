/* bands: attention scores in rotary bands, on the command line. band-table and head-bands: the same
 * for the explorer. */
#include "commands_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "bands_many.h"
#include "circuit_words.h"
#include "document.h"
#include "measure_bands.h"
#include "model_input.h"
#include "pass_job.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/core/blas.h"
#include "sextant/interp/results.h"

/* --- bands --------------------------------------------------------------------------------------
 */

struct bands {
    const struct sx_value *args;
    struct sx_job *job;
    struct sx_model *model;
    struct sx_runner *runner;
    struct sx_model_inputs inputs;
    struct sx_bands_question question;
    struct sx_bands_filter filter;
    struct sx_band_groups groups;
    struct sx_bands_result result;
    struct sx_head_result head;
    struct sx_band_survey survey;
};

static bool flag(const struct sx_value *args, const char *name)
{
    return sx_value_bool_or(sx_value_get(args, name), false);
}

/* SIZE_MAX: not given. */
static size_t index_of(const struct sx_value *args, const char *name)
{
    const struct sx_value *value = sx_value_get(args, name);
    return value ? (size_t)sx_value_int_or(value, 0) : SIZE_MAX;
}

static enum sx_status below(const char *what, size_t index, uint64_t count, struct sx_error *err)
{
    if (index == SIZE_MAX || index < count)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE, "bands: --%s %zu, but the last one is %llu", what, index,
                   (unsigned long long)count - 1);
}

static enum sx_status read_filter(struct bands *b, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(b->model);
    const char *groups = sx_arg_text(b->args, "groups");
    b->filter = (struct sx_bands_filter){.layer = index_of(b->args, "layer"),
                                         .head = index_of(b->args, "head")};
    SX_TRY(below("layer", b->filter.layer, info->n_layers, err));
    SX_TRY(below("head", b->filter.head, info->n_heads, err));
    if (!groups)
        return SX_OK;
    SX_TRY(sx_band_groups_parse(groups, &b->groups, err));
    b->filter.groups = &b->groups;
    return SX_OK;
}

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static struct sx_bands_many_ask ask_of(const struct bands *b)
{
    return (struct sx_bands_many_ask){.query = index_of(b->args, "query"),
                                      .key = index_of(b->args, "key"),
                                      .against = SIZE_MAX,
                                      .mask = flag(b->args, "mask")};
}

static enum sx_status read_question(struct bands *b, const struct sx_ids *ids, struct sx_error *err)
{
    const char *against = sx_arg_text(b->args, "against");
    const char *target = sx_arg_text(b->args, "target");
    const struct sx_bands_many_ask ask = ask_of(b);
    SX_TRY(sx_bands_many_question(b->model, &ask, ids, &b->question, err));
    b->question.profile = flag(b->args, "profile");
    b->question.margin = flag(b->args, "margin");
    if (target)
        SX_TRY(sx_read_token(b->model, "bands", "target", target, &b->question.target, err));
    if (!against)
        return SX_OK;
    if (is_number(against))
        return sx_bands_question_move(b->model, &b->question, strtoull(against, NULL, 10), err);
    return sx_bands_question_other(b->model, &b->question, against, err);
}

static enum sx_status must_fit(const struct bands *b, uint64_t kept, struct sx_error *err)
{
    const struct sx_bands_question *q = &b->question;
    const size_t n = q->ids ? q->n : b->inputs.item[0].ids.n;
    const size_t longest = q->n_b > n ? q->n_b : n;
    return sx_model_must_fit(b->args, b->model, &longest, 1, kept,
                             "give a shorter sequence, or raise --max-memory", err);
}

static enum sx_status run_survey(struct bands *b, struct sx_error *err)
{
    const struct sx_ids *ids = &b->inputs.item[0].ids;
    const struct sx_sequence sequence = {.ids = ids->ids, .n = ids->n, .embed_scale = NAN};
    SX_TRY(must_fit(b, sx_band_survey_bytes(sx_model_info(b->model), ids->n), err));
    SX_TRY(sx_band_survey_run(b->runner, &sequence, sx_blas_threads(), &b->survey, &b->job->task,
                              err));
    b->job->document = sx_band_survey_document(b->model, &b->survey, &b->filter);
    return sx_answer_keep_model(b->job, b->model, err);
}

static void label_head(const struct sx_model *model, struct sx_head_data *data)
{
    sx_answer_label(model, data->result.target, data->target_text, sizeof data->target_text);
    sx_answer_label(model, data->result.top, data->top_text, sizeof data->top_text);
    sx_answer_label(model, data->result.top_removed, data->top_removed_text,
                    sizeof data->top_removed_text);
}

static enum sx_status run_head(struct bands *b, struct sx_error *err)
{
    struct sx_bands_question *q = &b->question;
    const struct sx_sequence sequence = {.ids = q->ids, .n = q->n, .embed_scale = NAN};
    struct sx_head_ask ask = {
        .sequence = &sequence,
        .layer = b->filter.layer,
        .head = b->filter.head,
        .query = q->query,
        .removed = (uint64_t)sx_value_int_or(sx_value_get(b->args, "removed"), 0),
        .target = q->target,
    };
    if (ask.layer == SIZE_MAX || ask.head == SIZE_MAX)
        return sx_fail(err, SX_ERR_USAGE, "bands: --along-keys needs --layer and --head");
    SX_TRY(must_fit(b, q->n * sx_model_info(b->model)->d_model * 2 * sizeof(float), err));
    if (ask.target < 0 && sx_model_info(b->model)->has_lm_head)
        SX_TRY(
            sx_default_target(b->runner, q->ids, q->n, q->query, &ask.target, &b->job->task, err));
    SX_TRY(sx_head_measure(b->runner, &ask, &b->head, &b->job->task, err));
    b->job->document = sx_head_bands_document(b->model, q->ids, &b->head);
    struct sx_head_data kept = {.result = b->head};
    label_head(b->model, &kept);
    return sx_answer_keep(b->job, b->model, q->ids, q->n, SX_SLOT_HEAD, &kept, err);
}

static enum sx_status run_bands(struct bands *b, struct sx_error *err)
{
    if (b->question.margin && !b->question.ids_b)
        return sx_fail(err, SX_ERR_USAGE, "bands: --margin is of a change: give --against too");
    SX_TRY(must_fit(b, sx_bands_question_bytes(sx_model_info(b->model), &b->question), err));
    SX_TRY(sx_measure_bands(b->runner, &b->question, &b->result, &b->job->task, err));
    b->job->document = sx_bands_document(b->model, &b->question, &b->result, &b->filter);
    sx_document_text(b->job->document, "metric",
                     sx_arg_text(b->args, "metric") ? sx_arg_text(b->args, "metric")
                     : b->question.ids_b            ? "direction"
                                                    : "score-a");
    const struct sx_bands_question *q = &b->question;
    char *other =
        q->ids_b && q->against == SIZE_MAX ? sx_xstrdup(sx_arg_text(b->args, "against")) : NULL;
    const struct sx_bands_data kept = {.against = q->against, .other = other, .result = b->result};
    const enum sx_status status =
        sx_answer_keep(b->job, b->model, q->ids, q->n, SX_SLOT_BANDS, &kept, err);
    sx_free(other);
    return status;
}

/* Several sequences: their aggregates. */
static enum sx_status run_many(struct bands *b, struct sx_error *err)
{
    const char *text = sx_arg_text(b->args, "against");
    struct sx_bands_many_ask ask = ask_of(b);
    struct sx_bands_result *results = NULL;
    size_t n = 0;
    if (!text || !is_number(text))
        return sx_fail(err, SX_ERR_USAGE,
                       "bands: %zu sequences need --against POS, the same token in each",
                       b->inputs.n);
    if (flag(b->args, "margin"))
        return sx_fail(err, SX_ERR_USAGE, "bands: --margin is for one sequence, found %zu",
                       b->inputs.n);
    ask.against = strtoull(text, NULL, 10);
    enum sx_status status = sx_bands_many_measure(b->runner, b->args, &b->inputs, &ask, &results,
                                                  &n, &b->job->task, err);
    if (status == SX_OK) {
        b->job->document =
            sx_bands_many_document(b->model, results, n, &b->filter,
                                   (uint64_t)sx_value_int_or(sx_value_get(b->args, "seed"), 0));
        status = sx_answer_keep_model(b->job, b->model, err);
    }
    for (size_t i = 0; i < n; i++)
        sx_bands_result_release(&results[i]);
    sx_free(results);
    return status;
}

static enum sx_status bands_all(struct bands *b, struct sx_error *err)
{
    SX_TRY(sx_model_use(b->args, &b->model, &b->runner, err));
    SX_TRY(read_filter(b, err));
    SX_TRY(sx_model_inputs_read("bands", b->args, b->model, &b->inputs, err));
    if (b->inputs.n != 1 && !flag(b->args, "survey") && !flag(b->args, "along-keys"))
        return run_many(b, err);
    if (b->inputs.n != 1)
        return sx_fail(err, SX_ERR_USAGE, "bands: %zu sequences; give one at a time", b->inputs.n);
    if (flag(b->args, "margin") && (flag(b->args, "survey") || flag(b->args, "along-keys")))
        return sx_fail(err, SX_ERR_USAGE,
                       "bands: --margin is of one query and key, not for --survey or --along-keys");
    if (flag(b->args, "survey"))
        return run_survey(b, err);
    SX_TRY(read_question(b, &b->inputs.item[0].ids, err));
    if (!b->question.ids_b && sx_arg_text(b->args, "metric") &&
        strcmp(sx_arg_text(b->args, "metric"), "score-a") != 0)
        return sx_fail(err, SX_ERR_USAGE, "bands: --metric %s needs --against",
                       sx_arg_text(b->args, "metric"));
    return flag(b->args, "along-keys") ? run_head(b, err) : run_bands(b, err);
}

/* Warnings of the input stand before those of the measurement. */
static void tell_inputs(struct bands *b)
{
    const struct sx_value *own = sx_value_get(b->job->document, "warnings");
    if (!b->inputs.warnings)
        return;
    for (size_t i = 0; i < sx_value_count(own); i++)
        sx_value_append(b->inputs.warnings, sx_value_dup(sx_value_item(own, i)));
    sx_model_inputs_tell(&b->inputs, b->job->document);
}

SX_RUN(bands)
{
    struct bands b = {.args = job->args, .job = job};
    const enum sx_status status = bands_all(&b, err);
    if (status == SX_OK)
        tell_inputs(&b);
    sx_bands_result_release(&b.result);
    sx_head_result_release(&b.head);
    sx_band_survey_release(&b.survey);
    sx_bands_question_release(&b.question);
    sx_model_inputs_release(&b.inputs);
    sx_runner_free(b.runner);
    sx_model_unref(b.model);
    return status;
}

/* --- band-table ---------------------------------------------------------------------------------
 */

static void question_free(void *p)
{
    sx_bands_question_release(p);
    sx_free(p);
}

static enum sx_status table_question(const struct sx_session *session, const struct sx_job *job,
                                     struct sx_pass_job *in, struct sx_error *err)
{
    const char *against = sx_arg_text(job->args, "against");
    const size_t query = session->selection.token;
    struct sx_bands_question *q = sx_xcalloc(1, sizeof *q);
    in->question = q;
    in->question_free = question_free;
    SX_TRY(sx_bands_question_new(in->model, in->ids, in->n, query, session->selection.key,
                                 query < in->n ? in->original[query] : 0, q, err));
    q->profile = flag(job->args, "profile");
    q->target = session->settings.target;
    if (!against)
        return SX_OK;
    if (is_number(against))
        return sx_bands_question_move(in->model, q, strtoull(against, NULL, 10), err);
    return sx_bands_question_other(in->model, q, against, err);
}

SX_PREPARE(band_table)
{
    struct sx_bands_data *data = &session->bands;
    struct sx_pass_job *in;
    SX_TRY(sx_pass_job_take(session, job, &in, err));
    SX_TRY(table_question(session, job, in, err));
    const struct sx_bands_question *q = in->question;
    sx_bands_data_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    data->profile = q->profile;
    data->against = q->against;
    data->other =
        q->ids_b && q->against == SIZE_MAX ? sx_xstrdup(sx_arg_text(job->args, "against")) : NULL;
    data->result.query_a = q->query;
    data->result.key_a = q->key;
    sx_session_touch(session, SX_SLOT_BANDS);
    return SX_OK;
}

static void bands_data_free(void *p)
{
    sx_bands_data_release(p);
    sx_free(p);
}

SX_RUN(band_table)
{
    const struct sx_pass_job *in = job->input;
    struct sx_bands_question *q = in->question;
    struct sx_runner *runner = NULL;
    struct sx_bands_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = bands_data_free;
    data->state = SX_STATE_READY;
    data->serial = in->serial;
    data->profile = q->profile;
    data->against = q->against;
    SX_TRY(
        sx_pass_job_runner(in, sx_bands_question_bytes(sx_model_info(in->model), q), &runner, err));
    SX_TRY(sx_measure_bands(runner, q, &data->result, &job->task, err));
    data->line = sx_bands_line(in->model, q);
    return SX_OK;
}

SX_APPLY(band_table)
{
    struct sx_bands_data *data = &session->bands;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_BANDS, &data->state, &data->error))
        return;
    struct sx_bands_data *found = job->result;
    found->other = data->other;
    data->other = NULL;
    sx_bands_data_release(data);
    *data = *found;
    sx_free(found);
    job->result = NULL;
}

/* --- head-bands ---------------------------------------------------------------------------------
 */

SX_PREPARE(head_bands)
{
    struct sx_head_data *data = &session->head;
    const struct sx_model_info *info = &session->input.info;
    const size_t layer = sx_job_index(job, "layer", session->selection.layer);
    const size_t head = sx_job_index(job, "head", session->selection.head);
    const uint64_t removed = (uint64_t)sx_value_int_or(sx_value_get(job->args, "removed"),
                                                       (int64_t)session->settings.bands_removed);
    struct sx_pass_job *in;
    SX_TRY(sx_pass_job_take(session, job, &in, err));
    SX_TRY(sx_job_below(job, "layer", layer, (size_t)info->n_layers, err));
    SX_TRY(sx_job_below(job, "head", head, (size_t)info->n_heads, err));
    SX_TRY(sx_job_below(job, "token", session->selection.token, in->n, err));
    const struct sx_band_shape shape = sx_band_shape_of(in->model);
    if (shape.n < 64 && removed >> shape.n)
        return sx_fail(err, SX_ERR_USAGE, "head-bands: --removed %llu: there are %zu bands",
                       (unsigned long long)removed, shape.n);
    in->layer = layer;
    in->head = head;
    in->query = session->selection.token;
    in->target = session->settings.target;
    sx_head_data_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    data->result.layer = layer;
    data->result.head = head;
    data->result.query = in->query;
    data->result.removed = removed;
    uint64_t *question = sx_xmalloc(sizeof *question);
    *question = removed;
    in->question = question;
    in->question_free = sx_free;
    sx_session_touch(session, SX_SLOT_HEAD);
    return SX_OK;
}

static void head_data_free(void *p)
{
    sx_head_data_release(p);
    sx_free(p);
}

SX_RUN(head_bands)
{
    const struct sx_pass_job *in = job->input;
    const struct sx_sequence sequence = {.ids = in->ids, .n = in->n, .embed_scale = NAN};
    struct sx_head_ask ask = {.sequence = &sequence,
                              .layer = in->layer,
                              .head = in->head,
                              .query = in->query,
                              .removed = *(const uint64_t *)in->question,
                              .target = in->target};
    struct sx_runner *runner = NULL;
    struct sx_head_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = head_data_free;
    data->state = SX_STATE_READY;
    data->serial = in->serial;
    SX_TRY(sx_pass_job_runner(in, in->n * sx_model_info(in->model)->d_model * 2 * sizeof(float),
                              &runner, err));
    if (ask.target < 0 && sx_model_info(in->model)->has_lm_head)
        SX_TRY(sx_default_target(runner, in->ids, in->n, in->query, &ask.target, &job->task, err));
    SX_TRY(sx_head_measure(runner, &ask, &data->result, &job->task, err));
    label_head(in->model, data);
    data->line = sx_head_bands_line(in->model, in->ids, &data->result);
    return SX_OK;
}

SX_APPLY(head_bands)
{
    struct sx_head_data *data = &session->head;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_HEAD, &data->state, &data->error))
        return;
    sx_head_data_release(data);
    *data = *(struct sx_head_data *)job->result;
    sx_free(job->result);
    job->result = NULL;
}
