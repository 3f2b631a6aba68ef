/* attribute: what a logit is made of, on the command line. attribution: the same for the explorer.
 */
#include "commands_private.h"

#include <math.h>
#include <string.h>

#include "answer.h"
#include "circuit_words.h"
#include "document.h"
#include "measure_attribution.h"
#include "model_input.h"
#include "pass_job.h"
#include "print_terms.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/interp/results.h"

/* --- attribute ----------------------------------------------------------------------------------
 */

struct attribute {
    struct sx_model *model;
    struct sx_runner *runner;
    struct sx_model_inputs inputs;
    struct sx_attribution_result result;
};

static bool flag(const struct sx_value *args, const char *name)
{
    return sx_value_bool_or(sx_value_get(args, name), false);
}

static enum sx_status read_question(const struct attribute *a, const struct sx_value *args,
                                    struct sx_attribution_question *out, struct sx_error *err)
{
    const struct sx_ids *ids = &a->inputs.item[0].ids;
    const char *target = sx_arg_text(args, "target");
    const struct sx_value *pos = sx_value_get(args, "pos");
    *out = (struct sx_attribution_question){
        .ids = ids->ids,
        .n = ids->n,
        .target = -1,
        .options = {.mode = flag(args, "gradient") ? SX_HEAD_GRADIENT : SX_HEAD_SECANT,
                    .sources = flag(args, "sources"),
                    .linearised = flag(args, "linearised")},
    };
    SX_TRY(
        sx_read_against(a->model, "attribute", sx_arg_text(args, "against"), &out->against, err));
    if (target)
        SX_TRY(sx_read_token(a->model, "attribute", "target", target, &out->target, err));
    if (!pos)
        return sx_default_query(a->model, "attribute", "pos", ids->ids, ids->n, &out->token, err);
    out->token = (size_t)sx_value_int_or(pos, 0);
    if (out->token < ids->n)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE, "attribute: --pos %zu, but the last token is %zu", out->token,
                   ids->n - 1);
}

static void label_terms(const struct sx_model *model, struct sx_attribution_data *data)
{
    sx_answer_label(model, data->result.target, data->target_text, sizeof data->target_text);
    sx_answer_label(model, data->result.against, data->against_text, sizeof data->against_text);
}

static enum sx_status attribute_all(struct attribute *a, struct sx_job *job, struct sx_error *err)
{
    struct sx_attribution_question question;
    SX_TRY(sx_model_use(job->args, &a->model, &a->runner, err));
    SX_TRY(sx_model_must_predict(a->model, "attribute", err));
    SX_TRY(sx_model_inputs_read("attribute", job->args, a->model, &a->inputs, err));
    if (a->inputs.n != 1)
        return sx_fail(err, SX_ERR_USAGE, "attribute: %zu sequences; give one at a time",
                       a->inputs.n);
    SX_TRY(read_question(a, job->args, &question, err));
    SX_TRY(sx_model_must_fit(
        job->args, a->model, &question.n, 1,
        sx_attribution_bytes(sx_model_info(a->model), question.n, &question.options),
        "give a shorter sequence, or raise --max-memory", err));
    SX_TRY(sx_measure_attribution(a->runner, &question, &a->result, &job->task, err));
    job->document = sx_attribution_document(a->model, &question, &a->result);
    sx_model_inputs_tell(&a->inputs, job->document);
    struct sx_attribution_data kept = {.result = a->result};
    label_terms(a->model, &kept);
    return sx_answer_keep(job, a->model, question.ids, question.n, SX_SLOT_ATTRIBUTION, &kept, err);
}

SX_RUN(attribute)
{
    struct attribute a = {0};
    const enum sx_status status = attribute_all(&a, job, err);
    sx_attribution_result_release(&a.result);
    sx_model_inputs_release(&a.inputs);
    sx_runner_free(a.runner);
    sx_model_unref(a.model);
    return status;
}

/* --- for people ---------------------------------------------------------------------------------
 */

enum { MOST_ROWS = 40 };

static double real_at(const struct sx_value *map, const char *key)
{
    return sx_value_real_or(sx_value_get(map, key), (double)NAN);
}

static const char *text_at(const struct sx_value *map, const char *key)
{
    return sx_value_string_or(sx_value_get(map, key), "");
}

static void print_cell(struct sx_str *out, const struct sx_value *value)
{
    if (sx_value_kind(value) == SX_VALUE_REAL)
        sx_str_printf(out, " %+9.4f", sx_value_real_or(value, (double)NAN));
    else
        sx_str_append(out, "         -");
}

static void print_rows(const struct sx_value *document, struct sx_str *out)
{
    static const char *const columns[] = {"total", "bos", "own", "context"};
    struct sx_value *rows = sx_rows_by_size(sx_value_get(document, "rows"), "total");
    const size_t n = sx_value_count(rows);
    double rest = 0;
    sx_str_append(out, "component      total       BOS       own   context\n");
    for (size_t i = 0; i < n; i++) {
        const struct sx_value *row = sx_value_item(rows, i);
        if (i >= MOST_ROWS) {
            rest += real_at(row, "total");
            continue;
        }
        sx_print_component(row, out);
        for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++)
            print_cell(out, sx_value_get(row, columns[c]));
        sx_str_append_char(out, '\n');
    }
    if (n > MOST_ROWS)
        sx_str_printf(out, "%zu smaller %+8.4f\n", n - MOST_ROWS, rest);
    sx_value_free(rows);
}

static void print_groups(const struct sx_value *groups, struct sx_str *out)
{
    if (sx_value_kind(groups) != SX_VALUE_MAP) /* a file of a stranger */
        return;
    sx_str_append(out, "groups  ");
    for (size_t i = 0; i < sx_value_count(groups); i++)
        sx_str_printf(out, "  %s %+.4f",
                      strcmp(sx_value_key(groups, i), "bos") == 0 ? "BOS" : sx_value_key(groups, i),
                      sx_value_real_or(sx_value_item(groups, i), 0));
    sx_str_append_char(out, '\n');
}

static void print_linearised(const struct sx_value *document, struct sx_str *out)
{
    enum { ON_A_LINE = 8 };
    const struct sx_value *linear = sx_value_get(document, "linearised");
    const struct sx_value *values = sx_value_get(linear, "by_token");
    const struct sx_value *tokens = sx_value_get(document, "tokens");
    if (!linear)
        return;
    sx_str_printf(out, "\nlinearised: biases %+.4f, the rest by embedding (residual %.1e)\n",
                  real_at(linear, "biases"), real_at(linear, "residual"));
    for (size_t i = 0; i < sx_value_count(values); i++) {
        const char *raw = sx_value_string_or(sx_value_item(tokens, i), "");
        char *token = sx_text_clean_dup(raw, strlen(raw), 16);
        sx_str_printf(out, "%s%5zu %-6s %+8.4f",
                      i % ON_A_LINE ? ""
                      : i           ? "\n"
                                    : "",
                      i, token, sx_value_real_or(sx_value_item(values, i), 0));
        sx_free(token);
    }
    sx_str_append_char(out, '\n');
}

SX_PRINT(attribute)
{
    const char *against = text_at(document, "against");
    const bool gradient = strcmp(text_at(document, "method"), "gradient") == 0;
    sx_print_warnings(document, out);
    sx_str_printf(out, "%s, token %lld: logit of %s", text_at(document, "model"),
                  (long long)sx_value_int_or(sx_value_get(document, "pos"), 0),
                  text_at(document, "target"));
    if (against[0])
        sx_str_printf(out, " minus %s", against);
    sx_str_printf(out, " %+.4f", real_at(document, "logit"));
    if (gradient)
        sx_str_append(out, "\nby the head's gradient: const is what the terms leave over");
    else
        sx_str_printf(out, ", residual %.1e of the largest term", real_at(document, "residual"));
    sx_str_append(out, "\n\n");
    print_rows(document, out);
    sx_str_append_char(out, '\n');
    print_groups(sx_value_get(document, "groups"), out);
    print_linearised(document, out);
}

/* --- attribution --------------------------------------------------------------------------------
 */

static void data_free(void *p)
{
    sx_attribution_data_release(p);
    sx_free(p);
}

SX_PREPARE(attribution)
{
    struct sx_attribution_data *data = &session->attribution;
    struct sx_pass_job *in;
    SX_TRY(sx_pass_job_take(session, job, &in, err));
    SX_TRY(sx_model_must_predict(in->model, "attribution", err));
    SX_TRY(sx_pass_job_targets(session, job, in, err));
    in->query = session->selection.token < in->n ? session->selection.token : in->n - 1;
    sx_attribution_data_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    data->result.token = in->query;
    data->result.target = in->target;
    data->result.against = in->against;
    sx_session_touch(session, SX_SLOT_ATTRIBUTION);
    return SX_OK;
}

SX_RUN(attribution)
{
    const struct sx_pass_job *in = job->input;
    const struct sx_attribution_question question = {
        .ids = in->ids,
        .n = in->n,
        .token = in->query,
        .target = in->target,
        .against = in->against,
        .options = {.sources = true, .linearised = flag(job->args, "linearised")},
    };
    struct sx_runner *runner = NULL;
    struct sx_attribution_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = data_free;
    data->state = SX_STATE_READY;
    data->serial = in->serial;
    SX_TRY(sx_pass_job_runner(
        in, sx_attribution_bytes(sx_model_info(in->model), in->n, &question.options), &runner,
        err));
    SX_TRY(sx_measure_attribution(runner, &question, &data->result, &job->task, err));
    label_terms(in->model, data);
    data->line = sx_attribution_line(in->model, &question, &data->result);
    return SX_OK;
}

SX_APPLY(attribution)
{
    struct sx_attribution_data *data = &session->attribution;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_ATTRIBUTION, &data->state, &data->error))
        return;
    sx_attribution_data_release(data);
    *data = *(struct sx_attribution_data *)job->result;
    sx_free(job->result);
    job->result = NULL;
}
