#include "circuit_words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/attribution.h"
#include "sextant/run/command.h"

/* --- tokens -------------------------------------------------------------------------------------
 */

static int32_t find_token(const struct sx_model *model, const char *text)
{
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(model);
    const int32_t id = tokenizer ? sx_token_find(tokenizer, text) : -1;
    char *end;
    if (id >= 0 || text[0] != '#' || text[1] < '0' || text[1] > '9')
        return id;
    const long number = strtol(text + 1, &end, 10);
    return *end == '\0' && number <= INT32_MAX ? (int32_t)number : -1;
}

enum sx_status sx_read_token(const struct sx_model *model, const char *command, const char *option,
                             const char *text, int32_t *id, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    *id = find_token(model, text);
    if (*id >= 0 && (uint64_t)*id < info->vocab)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE, "%s: --%s: '%.40s' is no token of %s; %s", command, option,
                   text, info->name,
                   info->family == SX_MODEL_ESM2 ? "give a residue, as in M"
                                                 : "give one that is exactly one token, or #ID");
}

enum sx_status sx_read_against(const struct sx_model *model, const char *command, const char *text,
                               int32_t *against, struct sx_error *err)
{
    *against = SX_AGAINST_NONE;
    if (!text || strcmp(text, "none") == 0)
        return SX_OK;
    if (strcmp(text, "mean") == 0) {
        *against = SX_AGAINST_MEAN;
        return SX_OK;
    }
    return sx_read_token(model, command, "against", text, against, err);
}

void sx_token_word(const struct sx_model *model, int32_t id, char *buf, size_t size)
{
    sx_token_text(model, id, buf, size);
    if (find_token(model, buf) != id)
        snprintf(buf, size, "#%d", id);
}

void sx_against_word(const struct sx_model *model, int32_t against, char *buf, size_t size)
{
    if (against >= 0)
        sx_token_word(model, against, buf, size);
    else
        snprintf(buf, size, "%s", against == SX_AGAINST_MEAN ? "mean" : "");
}

/* --- when nobody says ---------------------------------------------------------------------------
 */

static enum sx_status most_probable(struct sx_runner *runner, const int32_t *ids, size_t n,
                                    size_t token, int32_t *target, struct sx_task *task,
                                    struct sx_error *err)
{
    const size_t V = (size_t)sx_model_info(sx_runner_model(runner))->vocab;
    const uint32_t row = (uint32_t)token;
    const struct sx_sequence sequence = {
        .ids = ids, .n = n, .embed_scale = NAN, .rows = &row, .n_rows = 1};
    float *logits = sx_xcalloc(V, sizeof *logits);
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
    const enum sx_status status = sx_run_pass(runner, &pass, task, err);
    *target = 0;
    for (size_t v = 1; v < V && status == SX_OK; v++)
        if (logits[v] > logits[*target])
            *target = (int32_t)v;
    sx_free(logits);
    return status;
}

enum sx_status sx_default_target(struct sx_runner *runner, const int32_t *ids, size_t n,
                                 size_t token, int32_t *target, struct sx_task *task,
                                 struct sx_error *err)
{
    *target = SX_ESM_M;
    if (sx_model_info(sx_runner_model(runner))->family == SX_MODEL_ESM2)
        return SX_OK;
    if (token + 1 >= n)
        return most_probable(runner, ids, n, token, target, task, err);
    *target = ids[token + 1];
    return SX_OK;
}

enum sx_status sx_default_query(const struct sx_model *model, const char *command,
                                const char *option, const int32_t *ids, size_t n, size_t *token,
                                struct sx_error *err)
{
    *token = n - 1;
    if (sx_model_info(model)->family != SX_MODEL_ESM2)
        return SX_OK;
    for (*token = 0; *token < n; ++*token)
        if (ids[*token] == SX_ESM_MASK)
            return SX_OK;
    return sx_fail(err, SX_ERR_USAGE,
                   "%s: no <mask> in the sequence: write it in place of a residue, or say which "
                   "token with --%s",
                   command, option);
}

/* --- the sequence -------------------------------------------------------------------------------
 */

static bool plain_sequence(const struct sx_model *model, const int32_t *ids, size_t n)
{
    if (sx_model_info(model)->family != SX_MODEL_ESM2 || n < 3 || ids[0] != SX_ESM_CLS ||
        ids[n - 1] != SX_ESM_EOS)
        return false;
    for (size_t i = 1; i + 1 < n; i++)
        if (!sx_is_amino_acid(ids[i]) && ids[i] != SX_ESM_MASK)
            return false;
    return true;
}

void sx_ids_words(const struct sx_model *model, const int32_t *ids, size_t n, struct sx_str *line)
{
    struct sx_str text = SX_STR_INIT;
    if (plain_sequence(model, ids, n)) {
        for (size_t i = 1; i + 1 < n; i++)
            sx_str_append(&text, sx_token_name(sx_model_tokenizer(model), ids[i]));
        sx_str_append(line, " --seq ");
        sx_command_quote(text.data, line);
    } else {
        sx_str_append(line, " --ids ");
        for (size_t i = 0; i < n; i++)
            sx_str_printf(line, "%s%d", i ? "," : "", ids[i]);
    }
    sx_str_release(&text);
}

/* --- of the explorer ----------------------------------------------------------------------------
 */

enum sx_status sx_pass_job_targets(const struct sx_session *session, const struct sx_job *job,
                                   struct sx_pass_job *in, struct sx_error *err)
{
    const char *target = sx_arg_text(job->args, "target");
    const char *command = job->command->name;
    const int32_t set = session->settings.target;
    in->target = set >= 0 && (uint64_t)set < session->input.info.vocab ? set : -1;
    if (target)
        SX_TRY(sx_read_token(in->model, command, "target", target, &in->target, err));
    return sx_read_against(in->model, command, sx_arg_text(job->args, "against"), &in->against,
                           err);
}
