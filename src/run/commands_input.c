/* input, mask: what the selected transformer is asked. */
#include "commands_private.h"

#include <string.h>

#include "document.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/io/fasta.h"
#include "sextant/model/model.h"
#include "sextant/model/tokenizer.h"
#include "stored_run.h"

enum {
    MAX_TOKENS = 32768, /* attention costs the square of it */
    TITLE_BYTES = 60,
};

/* Human ubiquitin (UniProt P0CG48, residues 1-76). */
static const char example_protein[] =
    "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG";
static const char example_text[] = "The old man looked at the sea and said that it was calm.";

struct input_job {
    uint64_t serial;
    size_t entry;
    char *path;             /* owned: of the model */
    bool stored;            /* path is a run's, which holds the input itself */
    struct sx_model *model; /* owned reference; NULL: not open yet */
    char *text;             /* owned; NULL: the FASTA file's, or an example */
    char *title;            /* owned; NULL: a start of the text */
    char *fasta;            /* owned; NULL: none */
    size_t record;          /* from 1 */
    bool last_record;
};

static void input_job_free(void *p)
{
    struct input_job *in = p;
    sx_model_unref(in->model);
    sx_free(in->path);
    sx_free(in->text);
    sx_free(in->title);
    sx_free(in->fasta);
    sx_free(in);
}

struct input_result {
    struct sx_input input;
    /* Of a stored answer; NULL: there is none. */
    const struct sx_answer_kind *answer;
    void *data; /* owned */
};

static void input_free(void *p)
{
    struct input_result *result = p;
    sx_input_release(&result->input);
    if (result->data)
        result->answer->release(result->data);
    sx_free(result->data);
    sx_free(result);
}

static struct input_result *result_of(struct sx_job *job)
{
    job->result = sx_xcalloc(1, sizeof(struct input_result));
    job->result_free = input_free;
    return job->result;
}

static enum sx_status check_source(const struct sx_session *session, const struct sx_job *job,
                                   struct sx_error *err)
{
    const size_t entry = session->selection.model;
    const bool text = sx_value_get(job->args, "text") != NULL;
    const bool fasta = sx_value_get(job->args, "fasta") != NULL;
    if (entry >= session->workspace.n_entries ||
        !sx_entry_asked(&session->workspace.entries[entry]))
        return sx_fail(err, SX_ERR_USAGE, "input: no model is selected; :select --model N");
    const struct sx_entry *asked = &session->workspace.entries[entry];
    const bool stored = asked->kind == SX_ENTRY_RUN;
    if (stored && (text || fasta))
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "input: %s holds no weights: open the model %s to ask it something else",
                       asked->label, asked->model.name);
    if (text && fasta)
        return sx_fail(err, SX_ERR_USAGE, "input: a text or --fasta, not both");
    const char *file = sx_arg_text(job->args, "fasta");
    if (file && strcmp(file, "-") == 0)
        return sx_fail(err, SX_ERR_USAGE, "input: --fasta needs a file here");
    if (!fasta && !stored && sx_value_get(job->args, "record"))
        return sx_fail(err, SX_ERR_USAGE, "input: --record is for --fasta and stored runs");
    return SX_OK;
}

SX_PREPARE(input)
{
    struct sx_input *input = &session->input;
    const size_t entry = session->selection.model;
    SX_TRY(check_source(session, job, err));
    struct input_job *in = sx_xcalloc(1, sizeof *in);
    const bool open = input->opened && input->model == entry;
    *in = (struct input_job){
        .entry = entry,
        .path = sx_xstrdup(session->workspace.entries[entry].path),
        .stored = session->workspace.entries[entry].kind == SX_ENTRY_RUN,
        .model = open ? sx_model_ref(input->opened) : NULL,
        .text = sx_arg_joined(job->args, "text"),
        .fasta = sx_xstrdup(sx_arg_text(job->args, "fasta")),
        .record = (size_t)sx_value_int_or(sx_value_get(job->args, "record"), 1),
    };
    job->input = in;
    job->input_free = input_job_free;
    sx_input_release(input);
    input->state = SX_STATE_PENDING;
    input->model = entry;
    input->opened = open ? sx_model_ref(in->model) : NULL;
    input->text = sx_xstrdup(in->text);
    input->fasta = sx_xstrdup(in->fasta);
    input->record = in->fasta || in->stored ? in->record : 0;
    sx_session_change_input(session);
    in->serial = input->serial;
    return SX_OK;
}

/* --- text to tokens -----------------------------------------------------------------------------
 */

static enum sx_status find_record(struct input_job *in, struct sx_fasta *fasta,
                                  struct sx_task *task, struct sx_error *err)
{
    bool more = true;
    for (size_t i = 1;; i++) {
        struct sx_fasta_record record;
        SX_TRY(sx_task_step(task, 0, 0));
        SX_TRY(sx_fasta_next(fasta, &record, &more, err));
        if (!more)
            return sx_fail(err, SX_ERR_NOTFOUND, "%s: --record %zu, but the last one is %zu",
                           in->fasta, in->record, i - 1);
        if (i < in->record)
            continue;
        in->text = sx_xstrdup(record.sequence);
        in->title =
            sx_xasprintf("%s%s%s", record.name, *record.description ? " " : "", record.description);
        /* What is wrong with the next one is said when it is asked for. */
        in->last_record = sx_fasta_next(fasta, &record, &more, NULL) == SX_OK && !more;
        return SX_OK;
    }
}

static enum sx_status read_text(struct input_job *in, struct sx_task *task, struct sx_error *err)
{
    if (in->fasta) {
        struct sx_fasta *fasta = NULL;
        SX_TRY(sx_fasta_open(in->fasta, &fasta, err));
        enum sx_status status = find_record(in, fasta, task, err);
        sx_fasta_close(fasta);
        return status;
    }
    if (in->text)
        return SX_OK;
    const bool protein = sx_model_info(in->model)->family == SX_MODEL_ESM2;
    in->text = sx_xstrdup(protein ? example_protein : example_text);
    in->title = sx_xstrdup(protein ? "human ubiquitin, an example" : NULL);
    return SX_OK;
}

static char *make_title(const struct input_job *in)
{
    const char *from = in->title ? in->title : in->text;
    const size_t len = strlen(from);
    char *title = sx_text_clean_dup(from, len, TITLE_BYTES);
    if (len <= TITLE_BYTES)
        return title;
    char *cut = sx_xasprintf("%s…", title);
    sx_free(title);
    return cut;
}

static void copy_info(const struct sx_model_info *from, struct sx_model_info *to)
{
    *to = *from;
    to->path = sx_xstrdup(from->path);
    to->name = sx_xstrdup(from->name);
    for (size_t i = 0; i < from->n_warnings; i++)
        to->warnings[i] = sx_xstrdup(from->warnings[i]);
}

static enum sx_status check_tokens(const struct input_job *in, const struct sx_ids *ids,
                                   struct sx_error *err)
{
    const bool protein = sx_model_info(in->model)->family == SX_MODEL_ESM2;
    const size_t specials = protein ? 2 : 0; /* <cls> and <eos> */
    if (ids->n <= specials)
        return sx_fail(err, SX_ERR_USAGE, "the %s is empty", protein ? "sequence" : "text");
    if (ids->n > MAX_TOKENS)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%zu tokens; the views take at most %d", ids->n,
                       MAX_TOKENS);
    return SX_OK;
}

static void fill_tokens(const struct input_job *in, struct sx_ids *take_ids, struct sx_input *out)
{
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(in->model);
    const bool protein = sx_model_info(in->model)->family == SX_MODEL_ESM2;
    const size_t n = take_ids->n;
    out->n = n;
    out->ids = take_ids->ids;
    *take_ids = (struct sx_ids){0};
    out->original = sx_xcalloc(n, sizeof *out->original);
    out->tokens = sx_xcalloc(n, sizeof *out->tokens);
    out->masked = sx_xcalloc(n, sizeof *out->masked);
    memcpy(out->original, out->ids, n * sizeof *out->original);
    for (size_t t = 0; t < n; t++) {
        sx_token_label(tokenizer, out->ids[t], out->tokens[t].text, sizeof out->tokens[t].text);
        out->masked[t] = protein && out->ids[t] == SX_ESM_MASK;
    }
}

/* What a stored run was asked, instead of a text and a tokenizer. */
static enum sx_status read_stored(struct sx_job *job, struct sx_error *err)
{
    const struct input_job *in = job->input;
    struct input_result *out = result_of(job);
    out->input.serial = in->serial;
    out->input.model = in->entry;
    SX_TRY(sx_stored_input(in->path, in->record, MAX_TOKENS, &out->input, &out->answer, err));
    return out->answer ? sx_answer_read(out->answer, &out->input, &out->data, err) : SX_OK;
}

SX_RUN(input)
{
    struct input_job *in = job->input;
    if (in->stored)
        return read_stored(job, err);
    struct sx_ids ids = {0};
    size_t unknown = 0;
    if (!in->model)
        SX_TRY(sx_model_open(in->path, NULL, &in->model, err));
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(in->model);
    if (!tokenizer)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: no tokenizer.json beside the model, so that text cannot be read",
                       in->path);
    SX_TRY(read_text(in, &job->task, err));
    SX_TRY(sx_tokenize(tokenizer, in->text, strlen(in->text), NULL, &ids, &unknown, err));
    enum sx_status status = check_tokens(in, &ids, err);
    if (status != SX_OK) {
        sx_ids_release(&ids);
        return status;
    }
    struct sx_input *out = &result_of(job)->input;
    *out = (struct sx_input){.state = SX_STATE_READY,
                             .serial = in->serial,
                             .model = in->entry,
                             .opened = sx_model_ref(in->model),
                             .text = sx_xstrdup(in->text),
                             .title = make_title(in),
                             .fasta = sx_xstrdup(in->fasta),
                             .record = in->fasta ? in->record : 0,
                             .last_record = in->last_record,
                             .n_unknown = unknown};
    copy_info(sx_model_info(in->model), &out->info);
    fill_tokens(in, &ids, out);
    return SX_OK;
}

/* Cursors that the new input does not have go to its last token, layer and head. */
static void keep_inside(struct sx_session *session)
{
    const struct sx_input *input = &session->input;
    struct sx_selection *selection = &session->selection;
    const struct {
        size_t *at, count;
    } cursors[] = {
        {&selection->token, input->n},
        {&selection->key, input->n},
        {&selection->layer, (size_t)input->info.n_layers},
        {&selection->head, (size_t)input->info.n_heads},
    };
    bool moved = false;
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
        if (*cursors[i].at < cursors[i].count)
            continue;
        *cursors[i].at = cursors[i].count - 1;
        moved = true;
    }
    if (moved)
        sx_session_touch(session, SX_SLOT_SELECTION);
}

SX_APPLY(input)
{
    const struct input_job *in = job->input;
    struct sx_input *input = &session->input;
    if (input->serial != in->serial || input->state != SX_STATE_PENDING)
        return;
    sx_session_touch(session, SX_SLOT_INPUT);
    if (job->status != SX_OK) {
        sx_slot_fail(&input->state, &input->error, job->status, &job->error);
        return;
    }
    struct input_result *found = job->result;
    sx_input_release(input);
    *input = found->input;
    found->input = (struct sx_input){0};
    if (found->data)
        sx_session_show_answer(session, found->answer, found->data);
    found->data = NULL;
    if (input->n > 0)
        keep_inside(session);
}

/* --- mask ---------------------------------------------------------------------------------------
 */

static size_t mask_token(const struct sx_session *session, const struct sx_job *job)
{
    return (size_t)sx_value_int_or(sx_value_get(job->args, "token"),
                                   (int64_t)session->selection.token);
}

static bool clears(const struct sx_job *job)
{
    return sx_value_bool_or(sx_value_get(job->args, "clear"), false);
}

SX_PREPARE(mask)
{
    const struct sx_input *input = &session->input;
    const size_t t = mask_token(session, job);
    if (input->state != SX_STATE_READY)
        return sx_fail(err, SX_ERR_USAGE, "mask: there is no input; :input SEQUENCE");
    if (input->run)
        return sx_no_weights(input, "mask", err);
    if (input->info.family != SX_MODEL_ESM2)
        return sx_fail(err, SX_ERR_USAGE, "mask: %s has no mask token, only ESM-2 does",
                       input->info.name);
    if (clears(job))
        return SX_OK;
    if (t >= input->n)
        return sx_fail(err, SX_ERR_USAGE, "mask: --token %zu, but the last one is %zu", t,
                       input->n - 1);
    if (input->original[t] == SX_ESM_CLS || input->original[t] == SX_ESM_EOS)
        return sx_fail(err, SX_ERR_USAGE, "mask: token %zu is %s", t, input->tokens[t].text);
    if (input->original[t] == SX_ESM_MASK)
        return sx_fail(err, SX_ERR_USAGE,
                       "mask: token %zu was typed as a mask; nothing is below it", t);
    return SX_OK;
}

static bool set_mask(struct sx_input *input, size_t t, bool masked)
{
    const bool before = input->masked[t];
    input->masked[t] = masked || input->original[t] == SX_ESM_MASK;
    input->ids[t] = input->masked[t] ? SX_ESM_MASK : input->original[t];
    return input->masked[t] != before;
}

SX_APPLY(mask)
{
    struct sx_input *input = &session->input;
    const size_t at = mask_token(session, job);
    bool changed = false;
    if (clears(job))
        for (size_t t = 0; t < input->n; t++)
            changed |= set_mask(input, t, false);
    else
        changed = set_mask(input, at, !input->masked[at]);
    if (changed)
        sx_session_change_input(session);
}
