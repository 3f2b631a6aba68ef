/* infer, lens, attend, attention-map, contact-map: passes of the selected transformer over the
 * input. Each takes a reference to the model and a copy of the ids, so that the input may change
 * meanwhile; what then comes back of an older serial is dropped. */
#include "commands_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "document.h"
#include "pass_job.h"
#include "run_private.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/core/blas.h"
#include "sextant/interp/lens.h"
#include "sextant/model/forward.h"
#include "sextant/model/tokenizer.h"

enum { MAX_MAP_TOKENS = 4096 }; /* 64 MiB a map */

/* --- infer --------------------------------------------------------------------------------------
 */

static enum sx_model_family family_of(const struct sx_pass_job *in)
{
    return in->stored ? in->stored->family : sx_model_info(in->model)->family;
}

static void sequence_free(void *p)
{
    sx_sequence_release(p);
    sx_free(p);
}

SX_PREPARE(infer)
{
    struct sx_sequence_data *data = &session->sequence;
    struct sx_pass_job *in;
    SX_TRY(sx_pass_job_take_any(session, job, &in, err));
    sx_sequence_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    sx_session_touch(session, SX_SLOT_SEQUENCE);
    return SX_OK;
}

static struct sx_sequence_data *sequence_new(size_t n, size_t vocab, bool residues)
{
    struct sx_sequence_data *data = sx_xcalloc(1, sizeof *data);
    *data = (struct sx_sequence_data){
        .state = SX_STATE_READY,
        .n = n,
        .vocab = vocab,
        .surprise = sx_xcalloc(n, sizeof *data->surprise),
        .entropy = sx_xcalloc(n, sizeof *data->entropy),
        .rank = sx_xcalloc(n, sizeof *data->rank),
        .top = sx_xcalloc(n * SX_TOP_TOKENS, sizeof *data->top),
        .top_p = sx_xcalloc(n * SX_TOP_TOKENS, sizeof *data->top_p),
        .top_text = sx_xcalloc(n * SX_TOP_TOKENS, sizeof *data->top_text),
        .residues = residues ? sx_xcalloc(n * SX_RESIDUES, sizeof *data->residues) : NULL,
    };
    return data;
}

struct infer_visit {
    const struct sx_pass_job *in;
    struct sx_sequence_data *data;
    size_t V;
    size_t ahead; /* tokens that a row of logits speaks of the future: 1 for GPT-NeoX */
};

/* P over the residues alone. */
static void fill_residues(const float *logits, double log_sum, float *out)
{
    double sum = 0;
    for (int r = 0; r < SX_RESIDUES; r++)
        sum += exp((double)logits[SX_ESM_FIRST_RESIDUE + r] - log_sum);
    for (int r = 0; r < SX_RESIDUES; r++)
        out[r] =
            sum > 0 ? (float)(exp((double)logits[SX_ESM_FIRST_RESIDUE + r] - log_sum) / sum) : 0;
}

static void keep_prediction(void *context, size_t row, const float *logits)
{
    const struct infer_visit *visit = context;
    const struct sx_pass_job *in = visit->in;
    struct sx_sequence_data *data = visit->data;
    const size_t t = row + visit->ahead;
    struct sx_logit_row found;
    if (t >= in->n)
        return;
    /* A mask that was typed hides nothing. */
    const bool hidden = visit->ahead == 0 && in->original[t] == SX_ESM_MASK;
    sx_logits_measure(logits, visit->V, hidden ? -1 : in->original[t], 0, 0, &found);
    data->surprise[t] = (float)found.surprise;
    data->entropy[t] = (float)found.entropy;
    data->rank[t] = (float)found.rank;
    sx_logits_top(logits, visit->V, SX_TOP_TOKENS, found.log_sum, data->top + t * SX_TOP_TOKENS,
                  data->top_p + t * SX_TOP_TOKENS);
    if (data->residues)
        fill_residues(logits, found.log_sum, data->residues + t * SX_RESIDUES);
}

/* GPT-NeoX: nothing comes before the first token. A stored run: its logits were not kept. */
static void no_prediction(struct sx_sequence_data *data, size_t t)
{
    data->surprise[t] = data->entropy[t] = data->rank[t] = (float)NAN;
    for (size_t i = 0; i < SX_TOP_TOKENS; i++)
        data->top[t * SX_TOP_TOKENS + i] = -1;
}

static void label_top(const struct sx_pass_job *in, struct sx_sequence_data *data)
{
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(in->model);
    for (size_t i = 0; i < data->n * SX_TOP_TOKENS; i++)
        if (data->top[i] >= 0)
            sx_token_label(tokenizer, data->top[i], data->top_text[i].text,
                           sizeof data->top_text[i].text);
}

static enum sx_status label_stored(const struct sx_pass_job *in, struct sx_sequence_data *data,
                                   struct sx_error *err)
{
    struct sx_token_text *labels = NULL;
    SX_TRY(sx_stored_labels(in->stored, &labels, err));
    for (size_t i = 0; i < data->n * SX_TOP_TOKENS; i++) {
        struct sx_token_text *out = &data->top_text[i];
        if (data->top[i] >= 0 && labels)
            *out = labels[data->top[i]];
        else if (data->top[i] >= 0)
            snprintf(out->text, sizeof out->text, "#%d", data->top[i]);
    }
    sx_free(labels);
    return SX_OK;
}

static enum sx_status predict_stored(struct sx_job *job, struct infer_visit *visit,
                                     struct sx_error *err)
{
    const struct sx_pass_job *in = job->input;
    for (size_t t = 0; t < in->n; t++)
        no_prediction(visit->data, t);
    SX_TRY(sx_stored_logits(in->stored, keep_prediction, visit, &job->task, err));
    return label_stored(in, visit->data, err);
}

static enum sx_status predict_all(const struct sx_pass_job *in, struct infer_visit *visit,
                                  struct sx_task *task, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(in->model);
    const uint32_t last = (uint32_t)info->n_layers - 1;
    const uint64_t total = (uint64_t)in->n * (info->n_layers + 1); /* the head as a layer more */
    float *resid = sx_alloc_big(in->n, (size_t)info->d_model * sizeof *resid);
    const struct sx_capture what = {
        .point = SX_POINT_RESID_POST, .layers = {&last, 1}, .out = resid};
    if (!resid)
        return sx_pass_job_no_memory(in, err);
    enum sx_status status = sx_task_step_to(task, 0, total, total - in->n);
    if (status == SX_OK)
        status = sx_pass_job_capture(in, &what, 0, task, err);
    if (status == SX_OK)
        status = sx_unembed_rows(*in->runner, resid, in->n, keep_prediction, visit, task,
                                 total - in->n, total, err);
    sx_free(resid);
    return status;
}

SX_RUN(infer)
{
    const struct sx_pass_job *in = job->input;
    const size_t V = in->stored ? in->stored->vocab : (size_t)sx_model_info(in->model)->vocab;
    const bool protein = family_of(in) == SX_MODEL_ESM2;
    const double started = sx_clock();
    struct sx_sequence_data *data = sequence_new(in->n, V, protein);
    job->result = data;
    job->result_free = sequence_free;
    data->serial = in->serial;
    struct infer_visit visit = {in, data, V, protein ? 0 : 1};
    if (in->stored)
        return predict_stored(job, &visit, err);
    if (!protein)
        no_prediction(data, 0);
    SX_TRY(predict_all(in, &visit, &job->task, err));
    data->seconds = sx_clock() - started;
    label_top(in, data);
    return SX_OK;
}

SX_APPLY(infer)
{
    struct sx_sequence_data *data = &session->sequence;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_SEQUENCE, &data->state, &data->error))
        return;
    *data = *(struct sx_sequence_data *)job->result;
    sx_free(job->result);
    job->result = NULL;
}

/* --- lens ---------------------------------------------------------------------------------------
 */

static void lens_free(void *p)
{
    sx_lens_data_release(p);
    sx_free(p);
}

static enum sx_status find_target(const struct sx_session *session, const struct sx_job *job,
                                  int32_t *target, char *text, size_t size, struct sx_error *err)
{
    const char *name = sx_arg_text(job->args, "target");
    *target = -1;
    snprintf(text, size, "self");
    if (!name || strcmp(name, "self") == 0 || session->input.state != SX_STATE_READY)
        return SX_OK;
    if (session->input.run)
        return sx_no_weights(&session->input, "lens", err);
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(session->input.opened);
    *target = sx_token_find(tokenizer, name);
    if (*target < 0 || (uint64_t)*target >= session->input.info.vocab)
        return sx_fail(err, SX_ERR_USAGE, "lens: '%.40s' is no token of %s", name,
                       session->input.info.name);
    sx_token_label(tokenizer, *target, text, size);
    return SX_OK;
}

SX_PREPARE(lens)
{
    struct sx_lens_data *data = &session->lens;
    struct sx_pass_job *in;
    int32_t target;
    char text[sizeof data->target_text];
    SX_TRY(find_target(session, job, &target, text, sizeof text, err));
    SX_TRY(sx_pass_job_take(session, job, &in, err));
    in->target = target;
    sx_lens_data_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    data->target = target;
    memcpy(data->target_text, text, sizeof text);
    sx_session_touch(session, SX_SLOT_LENS);
    return SX_OK;
}

/* The token that is followed at each position: the one asked for, or what the model is to say
 * there. */
static int32_t *lens_targets(const struct sx_pass_job *in)
{
    const bool protein = sx_model_info(in->model)->family == SX_MODEL_ESM2;
    int32_t *target = sx_xcalloc(in->n, sizeof *target);
    for (size_t t = 0; t < in->n; t++) {
        if (in->target >= 0)
            target[t] = in->target;
        else if (protein)
            target[t] = in->original[t] == SX_ESM_MASK ? -1 : in->original[t];
        else
            target[t] = t + 1 < in->n ? in->original[t + 1] : -1;
    }
    return target;
}

static struct sx_lens_data *lens_new(const struct sx_pass_job *in)
{
    const size_t rows = (size_t)sx_model_info(in->model)->n_layers + 1;
    const size_t count = rows * in->n;
    struct sx_lens_data *data = sx_xcalloc(1, sizeof *data);
    *data = (struct sx_lens_data){
        .state = SX_STATE_READY,
        .serial = in->serial,
        .target = in->target,
        .rows = rows,
        .n = in->n,
        .logit = sx_alloc_big(count, sizeof *data->logit),
        .p = sx_alloc_big(count, sizeof *data->p),
        .rank = sx_alloc_big(count, sizeof *data->rank),
        .top = sx_alloc_big(count, sizeof *data->top),
        .top_text = sx_calloc_big(count, sizeof *data->top_text),
    };
    return data;
}

SX_RUN(lens)
{
    const struct sx_pass_job *in = job->input;
    const struct sx_model_info *info = sx_model_info(in->model);
    const struct sx_sequence sequence = {.ids = in->ids, .n = in->n, .embed_scale = NAN};
    struct sx_runner *runner = NULL;
    SX_TRY(sx_pass_job_runner(
        in, (info->n_layers + 1) * in->n * (info->d_model * sizeof(float) + 32), &runner, err));
    struct sx_lens_data *data = lens_new(in);
    job->result = data;
    job->result_free = lens_free;
    if (!data->logit || !data->p || !data->rank || !data->top || !data->top_text)
        return sx_pass_job_no_memory(in, err);
    const struct sx_lens out = {
        .centred = data->logit, .p = data->p, .rank = data->rank, .top = data->top};
    int32_t *target = lens_targets(in);
    enum sx_status status = sx_lens_run(runner, &sequence, target, &out, &job->task, err);
    sx_free(target);
    if (status != SX_OK)
        return status;
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(in->model);
    for (size_t i = 0; i < data->rows * data->n; i++)
        sx_token_label(tokenizer, data->top[i], data->top_text[i].text,
                       sizeof data->top_text[i].text);
    return SX_OK;
}

SX_APPLY(lens)
{
    struct sx_lens_data *data = &session->lens;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_LENS, &data->state, &data->error))
        return;
    struct sx_lens_data *found = job->result;
    memcpy(found->target_text, data->target_text, sizeof found->target_text);
    *data = *found;
    sx_free(found);
    job->result = NULL;
}

/* --- attend -------------------------------------------------------------------------------------
 */

static void attention_free(void *p)
{
    sx_attention_release(p);
    sx_free(p);
}

SX_PREPARE(attend)
{
    struct sx_attention_data *data = &session->attention;
    const size_t query = sx_job_index(job, "token", session->selection.token);
    struct sx_pass_job *in;
    SX_TRY(sx_pass_job_take_any(session, job, &in, err));
    SX_TRY(sx_job_below(job, "token", query, in->n, err));
    in->query = query;
    sx_attention_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    data->query = query;
    sx_session_touch(session, SX_SLOT_ATTENTION);
    return SX_OK;
}

SX_RUN(attend)
{
    const struct sx_pass_job *in = job->input;
    const size_t L = in->stored ? in->stored->n_layers : (size_t)sx_model_info(in->model)->n_layers;
    const size_t H = in->stored ? in->stored->n_heads : (size_t)sx_model_info(in->model)->n_heads;
    const uint32_t query = (uint32_t)in->query;
    struct sx_attention_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = attention_free;
    *data = (struct sx_attention_data){
        .state = SX_STATE_READY,
        .serial = in->serial,
        .query = in->query,
        .n_layers = L,
        .n_heads = H,
        .n = in->n,
        .pattern = sx_calloc_big(L * H, in->n * sizeof(float)),
    };
    if (!data->pattern)
        return sx_pass_job_no_memory(in, err);
    if (in->stored)
        return sx_stored_attention(in->stored, in->query, data->pattern, &job->task, err);
    const struct sx_capture what = {
        .point = SX_POINT_ATTN, .tokens = {&query, 1}, .out = data->pattern};
    SX_TRY(sx_task_step_to(&job->task, 0, 1, 1));
    return sx_pass_job_capture(in, &what, 0, &job->task, err);
}

SX_APPLY(attend)
{
    struct sx_attention_data *data = &session->attention;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_ATTENTION, &data->state, &data->error))
        return;
    *data = *(struct sx_attention_data *)job->result;
    sx_free(job->result);
    job->result = NULL;
}

/* --- attention-map ------------------------------------------------------------------------------
 */

static void map_free(void *p)
{
    sx_map_release(p);
    sx_free(p);
}

static enum sx_status small_enough(size_t n, struct sx_error *err)
{
    if (n <= MAX_MAP_TOKENS)
        return SX_OK;
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%zu tokens; a map shows at most %d", n,
                   MAX_MAP_TOKENS);
}

SX_PREPARE(attention_map)
{
    struct sx_map_data *data = &session->map;
    const struct sx_model_info *info = &session->input.info;
    const size_t layer = sx_job_index(job, "layer", session->selection.layer);
    const size_t head = sx_job_index(job, "head", session->selection.head);
    struct sx_pass_job *in;
    SX_TRY(sx_pass_job_take_any(session, job, &in, err));
    SX_TRY(sx_job_below(job, "layer", layer, (size_t)info->n_layers, err));
    SX_TRY(sx_job_below(job, "head", head, (size_t)info->n_heads, err));
    in->layer = layer;
    in->head = head;
    sx_map_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    data->layer = layer;
    data->head = head;
    sx_session_touch(session, SX_SLOT_MAP);
    return SX_OK;
}

SX_RUN(attention_map)
{
    const struct sx_pass_job *in = job->input;
    const uint32_t layer = (uint32_t)in->layer;
    const uint32_t head = (uint32_t)in->head;
    SX_TRY(small_enough(in->n, err));
    struct sx_map_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = map_free;
    *data = (struct sx_map_data){
        .state = SX_STATE_READY,
        .serial = in->serial,
        .layer = in->layer,
        .head = in->head,
        .n = in->n,
        .pattern = sx_calloc_big(in->n * in->n, sizeof(float)),
    };
    if (!data->pattern)
        return sx_pass_job_no_memory(in, err);
    if (in->stored)
        return sx_stored_map(in->stored, in->layer, in->head, data->pattern, &job->task, err);
    const struct sx_capture what = {
        .point = SX_POINT_ATTN, .layers = {&layer, 1}, .heads = {&head, 1}, .out = data->pattern};
    SX_TRY(sx_task_step_to(&job->task, 0, 1, 1));
    return sx_pass_job_capture(in, &what, in->layer + 1, &job->task, err);
}

SX_APPLY(attention_map)
{
    struct sx_map_data *data = &session->map;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_MAP, &data->state, &data->error))
        return;
    *data = *(struct sx_map_data *)job->result;
    sx_free(job->result);
    job->result = NULL;
}

/* --- contact-map --------------------------------------------------------------------------------
 */

static void contacts_free(void *p)
{
    sx_contacts_release(p);
    sx_free(p);
}

SX_PREPARE(contact_map)
{
    struct sx_contacts_data *data = &session->contacts;
    struct sx_pass_job *in;
    SX_TRY(sx_pass_job_take(session, job, &in, err));
    sx_contacts_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    sx_session_touch(session, SX_SLOT_CONTACTS);
    return SX_OK;
}

SX_RUN(contact_map)
{
    const struct sx_pass_job *in = job->input;
    const struct sx_model_info *info = sx_model_info(in->model);
    const size_t residues = in->n - 2; /* without <cls> and <eos> */
    struct sx_runner *runner = NULL;
    if (!info->has_contact_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s has no contact head", info->name);
    SX_TRY(small_enough(in->n, err));
    SX_TRY(sx_pass_job_runner(in, 0, &runner, err));
    struct sx_contacts_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = contacts_free;
    *data = (struct sx_contacts_data){
        .state = SX_STATE_READY,
        .serial = in->serial,
        .n = residues,
        .p = sx_calloc_big(residues * residues, sizeof(float)),
    };
    if (!data->p)
        return sx_pass_job_no_memory(in, err);
    return sx_model_contacts(runner, in->ids, in->n, data->p, &job->task, err);
}

SX_APPLY(contact_map)
{
    struct sx_contacts_data *data = &session->contacts;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_CONTACTS, &data->state, &data->error))
        return;
    *data = *(struct sx_contacts_data *)job->result;
    sx_free(job->result);
    job->result = NULL;
}
