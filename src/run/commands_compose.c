/* compose: what a head's query, key or value is made of, on the command line. composition: the same
 * for the explorer. */
#include "commands_private.h"

#include <math.h>
#include <string.h>

#include "answer.h"
#include "circuit_words.h"
#include "document.h"
#include "measure_composition.h"
#include "model_input.h"
#include "pass_job.h"
#include "print_terms.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/results.h"

/* --- compose ------------------------------------------------------------------------------------
 */

struct compose {
    struct sx_model *model;
    struct sx_runner *runner;
    struct sx_model_inputs inputs;
    struct sx_composition_result result;
};

static size_t index_at(const struct sx_value *args, const char *name)
{
    return (size_t)sx_value_int_or(sx_value_get(args, name), 0);
}

static enum sx_status below(const char *name, size_t index, uint64_t count, struct sx_error *err)
{
    if (index < count)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE, "compose: --%s %zu, but the last one is %llu", name, index,
                   (unsigned long long)count - 1);
}

static enum sx_status read_ask(const struct compose *c, const struct sx_value *args,
                               struct sx_composition_question *out, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(c->model);
    const struct sx_ids *ids = &c->inputs.item[0].ids;
    const char *target = sx_arg_text(args, "target");
    *out = (struct sx_composition_question){.ids = ids->ids, .n = ids->n};
    struct sx_composition_ask *ask = &out->ask;
    ask->layer = index_at(args, "layer");
    ask->head = index_at(args, "head");
    ask->query = index_at(args, "query");
    ask->key = index_at(args, "key");
    ask->side = sx_side_named(sx_arg_text(args, "side"));
    ask->pairs = sx_value_bool_or(sx_value_get(args, "pairs"), false);
    ask->target = -1;
    SX_TRY(sx_read_against(c->model, "compose", sx_arg_text(args, "against"), &ask->against, err));
    if (target)
        SX_TRY(sx_read_token(c->model, "compose", "target", target, &ask->target, err));
    if (ask->side == SX_OF_VALUE)
        SX_TRY(sx_model_must_predict(c->model, "compose --side value", err));
    if (ask->side == SX_OF_VALUE && ask->pairs)
        return sx_fail(err, SX_ERR_USAGE, "compose: --pairs is of a query and a key");
    if (!sx_value_get(args, "query"))
        SX_TRY(sx_default_query(c->model, "compose", "query", ids->ids, ids->n, &ask->query, err));
    SX_TRY(below("layer", ask->layer, info->n_layers, err));
    SX_TRY(below("head", ask->head, info->n_heads, err));
    SX_TRY(below("query", ask->query, ids->n, err));
    return below("key", ask->key, ids->n, err);
}

static enum sx_status compose_all(struct compose *c, struct sx_job *job, struct sx_error *err)
{
    struct sx_composition_question question;
    SX_TRY(sx_model_use(job->args, &c->model, &c->runner, err));
    SX_TRY(sx_model_inputs_read("compose", job->args, c->model, &c->inputs, err));
    if (c->inputs.n != 1)
        return sx_fail(err, SX_ERR_USAGE, "compose: %zu sequences; give one at a time",
                       c->inputs.n);
    SX_TRY(read_ask(c, job->args, &question, err));
    SX_TRY(sx_model_must_fit(job->args, c->model, &question.n, 1, 0,
                             "give a shorter sequence, or raise --max-memory", err));
    SX_TRY(sx_measure_composition(c->runner, &question, &c->result, &job->task, err));
    job->document = sx_composition_document(c->model, &c->result);
    if (sx_value_bool_or(sx_value_get(job->args, "causal"), false))
        SX_TRY(sx_composition_add_causal(c->runner, &question, job->document, &job->task, err));
    sx_model_inputs_tell(&c->inputs, job->document);
    const struct sx_composition_data kept = {.result = c->result};
    return sx_answer_keep(job, c->model, question.ids, question.n, SX_SLOT_COMPOSITION, &kept, err);
}

SX_RUN(compose)
{
    struct compose c = {0};
    const enum sx_status status = compose_all(&c, job, err);
    sx_composition_result_release(&c.result);
    sx_model_inputs_release(&c.inputs);
    sx_runner_free(c.runner);
    sx_model_unref(c.model);
    return status;
}

/* --- for people ---------------------------------------------------------------------------------
 */

enum { MOST_ROWS = 40, MOST_BANDS = 8 };

static const char *text_at(const struct sx_value *map, const char *key)
{
    return sx_value_string_or(sx_value_get(map, key), "");
}

static void print_heading(const struct sx_value *bands, bool causal, struct sx_str *out)
{
    sx_str_append(out, "component      score");
    if (causal)
        sx_str_append(out, "  without: attn     logit");
    for (size_t b = 0; b < sx_value_count(bands) && b < MOST_BANDS; b++)
        sx_str_printf(out, "  %s%zu", b < 10 ? " band " : "band ", b);
    sx_str_append_char(out, '\n');
    if (sx_value_count(bands) == 0)
        return;
    sx_str_printf(out, "period              %s", causal ? "                         " : "");
    for (size_t b = 0; b < sx_value_count(bands) && b < MOST_BANDS; b++) {
        const struct sx_value *period = sx_value_get(sx_value_item(bands, b), "period");
        if (sx_value_kind(period) == SX_VALUE_REAL)
            sx_str_printf(out, " %8.1f", sx_value_real_or(period, 0));
        else
            sx_str_append(out, "        -");
    }
    sx_str_append_char(out, '\n');
}

static void print_causal(const struct sx_value *term, struct sx_str *out)
{
    const struct sx_value *attention = sx_value_get(term, "attention_without");
    const struct sx_value *logit = sx_value_get(term, "logit_without");
    if (!attention)
        return;
    if (sx_value_kind(attention) == SX_VALUE_REAL)
        sx_str_printf(out, "  %13.4f", sx_value_real_or(attention, 0));
    else
        sx_str_append(out, "              -");
    if (sx_value_kind(logit) == SX_VALUE_REAL)
        sx_str_printf(out, " %+9.4f", sx_value_real_or(logit, 0));
    else
        sx_str_append(out, "         -");
}

static void print_term(const struct sx_value *term, struct sx_str *out)
{
    const struct sx_value *bands = sx_value_get(term, "bands");
    sx_print_component(term, out);
    sx_str_printf(out, " %+9.4f", sx_value_real_or(sx_value_get(term, "score"), 0));
    print_causal(term, out);
    for (size_t b = 0; b < sx_value_count(bands) && b < MOST_BANDS; b++)
        sx_str_printf(out, " %+8.4f", sx_value_real_or(sx_value_item(bands, b), 0));
    sx_str_append_char(out, '\n');
}

SX_PRINT(compose)
{
    const struct sx_value *bands = sx_value_get(document, "bands");
    struct sx_value *terms = sx_rows_by_size(sx_value_get(document, "terms"), "score");
    const size_t n = sx_value_count(terms);
    const bool causal = sx_value_get(document, "attention") != NULL;
    const bool value = strcmp(text_at(document, "side"), "value") == 0;
    sx_print_warnings(document, out);
    sx_str_printf(out, "%s, %s of layer %zu head %zu, token %zu to %zu", text_at(document, "model"),
                  text_at(document, "side"), index_at(document, "layer"),
                  index_at(document, "head"), index_at(document, "query"),
                  index_at(document, "key"));
    if (value)
        sx_str_printf(out, ", towards %s", text_at(document, "target"));
    sx_str_printf(out, ": %s %+.4f, residual %.1e of the largest term\n\n",
                  value ? "would write" : "score",
                  sx_value_real_or(sx_value_get(document, "score"), 0),
                  sx_value_real_or(sx_value_get(document, "residual"), 0));
    if (causal) {
        sx_str_printf(out, "attention %.4f",
                      sx_value_real_or(sx_value_get(document, "attention"), 0));
        if (sx_value_get(document, "logit"))
            sx_str_printf(out, ", logit of %s %+.4f", text_at(document, "target"),
                          sx_value_real_or(sx_value_get(document, "logit"), 0));
        sx_str_append(out,
                      "; without: the component taken out of this head's input, all run on\n\n");
    }
    print_heading(bands, causal, out);
    for (size_t i = 0; i < n && i < MOST_ROWS; i++)
        print_term(sx_value_item(terms, i), out);
    if (n > MOST_ROWS)
        sx_str_printf(out, "and %zu smaller ones; --json and --csv have all\n", n - MOST_ROWS);
    if (sx_value_count(bands) > MOST_BANDS)
        sx_str_printf(out, "and %zu slower bands; --json and --csv have all\n",
                      sx_value_count(bands) - MOST_BANDS);
    sx_value_free(terms);
}

/* --- composition --------------------------------------------------------------------------------
 */

static void data_free(void *p)
{
    sx_composition_data_release(p);
    sx_free(p);
}

SX_PREPARE(composition)
{
    struct sx_composition_data *data = &session->composition;
    const struct sx_selection *selection = &session->selection;
    const struct sx_model_info *info = &session->input.info;
    const size_t layer = sx_job_index(job, "layer", selection->layer);
    const size_t head = sx_job_index(job, "head", selection->head);
    const enum sx_side_of_score side = sx_side_named(sx_arg_text(job->args, "side"));
    struct sx_pass_job *in;
    SX_TRY(sx_pass_job_take(session, job, &in, err));
    SX_TRY(sx_job_below(job, "layer", layer, (size_t)info->n_layers, err));
    SX_TRY(sx_job_below(job, "head", head, (size_t)info->n_heads, err));
    SX_TRY(sx_pass_job_targets(session, job, in, err));
    in->layer = layer;
    in->head = head;
    in->query = selection->token < in->n ? selection->token : in->n - 1;
    in->key = selection->key < in->n ? selection->key : in->n - 1;
    sx_composition_data_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    data->result.layer = layer;
    data->result.head = head;
    data->result.query = in->query;
    data->result.key = in->key;
    data->result.side = side;
    data->result.target = in->target;
    sx_session_touch(session, SX_SLOT_COMPOSITION);
    return SX_OK;
}

SX_RUN(composition)
{
    const struct sx_pass_job *in = job->input;
    const struct sx_composition_question question = {
        .ids = in->ids,
        .n = in->n,
        .ask = {.layer = in->layer,
                .head = in->head,
                .query = in->query,
                .key = in->key,
                .side = sx_side_named(sx_arg_text(job->args, "side")),
                .target = in->target,
                .against = in->against},
    };
    struct sx_runner *runner = NULL;
    struct sx_composition_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = data_free;
    data->state = SX_STATE_READY;
    data->serial = in->serial;
    SX_TRY(sx_pass_job_runner(in, 0, &runner, err));
    SX_TRY(sx_measure_composition(runner, &question, &data->result, &job->task, err));
    data->line = sx_composition_line(in->model, &question, &data->result);
    return SX_OK;
}

SX_APPLY(composition)
{
    struct sx_composition_data *data = &session->composition;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_COMPOSITION, &data->state, &data->error))
        return;
    sx_composition_data_release(data);
    *data = *(struct sx_composition_data *)job->result;
    sx_free(job->result);
    job->result = NULL;
}
