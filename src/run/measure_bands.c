#include "measure_bands.h"

#include <math.h>
#include <string.h>

#include "circuit_words.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/run/command.h"

enum { PROFILE_MOST = 256 };

/* --- conditions ---------------------------------------------------------------------------------
 */

static int32_t *copy_ids(const int32_t *ids, size_t n)
{
    int32_t *copy = sx_xmalloc(n * sizeof *copy);
    memcpy(copy, ids, n * sizeof *copy);
    return copy;
}

static bool is_causal(const struct sx_model *model)
{
    return sx_model_info(model)->family == SX_MODEL_GPT_NEOX;
}

enum sx_status sx_bands_question_new(const struct sx_model *model, const int32_t *ids, size_t n,
                                     size_t query, size_t key, int32_t original,
                                     struct sx_bands_question *out, struct sx_error *err)
{
    *out = (struct sx_bands_question){.original = -1, .against = SIZE_MAX, .target = -1};
    if (query >= n || key >= n)
        return sx_fail(err, SX_ERR_USAGE, "bands: %s %zu, but the last of the %zu tokens is %zu",
                       query >= n ? "query" : "key", query >= n ? query : key, n, n - 1);
    if (is_causal(model) && key > query)
        return sx_fail(err, SX_ERR_USAGE,
                       "bands: the query at token %zu does not see the key at token %zu behind it",
                       query, key);
    out->ids = copy_ids(ids, n);
    out->n = n;
    out->query = query;
    out->key = key;
    if (is_causal(model) || ids[query] != SX_ESM_MASK)
        return SX_OK;
    out->unknown = original == SX_ESM_MASK;
    out->original = out->unknown ? SX_ESM_X : original;
    return SX_OK;
}

void sx_bands_question_release(struct sx_bands_question *question)
{
    sx_free(question->ids);
    sx_free(question->ids_b);
    *question = (struct sx_bands_question){0};
}

enum sx_status sx_bands_question_move(const struct sx_model *model,
                                      struct sx_bands_question *question, size_t token,
                                      struct sx_error *err)
{
    struct sx_bands_question *q = question;
    if (token >= q->n)
        return sx_fail(err, SX_ERR_USAGE,
                       "bands: --against %zu, but the last of the %zu tokens is %zu", token, q->n,
                       q->n - 1);
    if (token == q->query)
        return sx_fail(err, SX_ERR_USAGE, "bands: --against %zu is the query of A itself", token);
    if (is_causal(model) && token < q->key)
        return sx_fail(err, SX_ERR_USAGE,
                       "bands: --against %zu does not see the key at token %zu behind it", token,
                       q->key);
    if (q->original >= 0 && !sx_is_amino_acid(q->ids[token])) {
        char name[32];
        sx_token_text(model, q->ids[token], name, sizeof name);
        return sx_fail(err, SX_ERR_USAGE,
                       "bands: --against %zu: a mask is moved to a residue, not to %s", token,
                       name);
    }
    q->ids_b = copy_ids(q->ids, q->n);
    q->n_b = q->n;
    q->query_b = q->against = token;
    if (q->original >= 0) {
        q->ids_b[q->query] = q->original;
        q->ids_b[token] = SX_ESM_MASK;
    }
    return SX_OK;
}

static size_t first_mask(const int32_t *ids, size_t n)
{
    size_t at = 0;
    while (at < n && ids[at] != SX_ESM_MASK)
        at++;
    return at;
}

enum sx_status sx_bands_question_other(const struct sx_model *model,
                                       struct sx_bands_question *question, const char *text,
                                       struct sx_error *err)
{
    struct sx_bands_question *q = question;
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(model);
    struct sx_ids ids = {0};
    if (!tokenizer)
        return sx_fail(err, SX_ERR_NOTFOUND,
                       "bands: no tokenizer.json beside the weights, so --against '%.40s' cannot "
                       "be read",
                       text);
    SX_TRY(sx_tokenize(tokenizer, text, strlen(text), NULL, &ids, NULL, err));
    q->ids_b = ids.ids;
    q->n_b = ids.n;
    q->query_b = is_causal(model) ? ids.n : first_mask(ids.ids, ids.n);
    if (q->query_b >= ids.n)
        q->query_b = q->query;
    if (q->query_b >= ids.n || q->key >= ids.n)
        return sx_fail(err, SX_ERR_USAGE,
                       "bands: --against has %zu tokens, too few for the query at %zu and the key "
                       "at %zu",
                       ids.n, q->query_b, q->key);
    if (q->original >= 0)
        ids.ids[q->query_b] = SX_ESM_MASK;
    return SX_OK;
}

/* --- measuring ----------------------------------------------------------------------------------
 */

/* Tokens that the query of A is moved to: residues, or what sees the key; thinned out evenly where
 * there are many. The caller frees. */
static uint32_t *profile_tokens(const struct sx_model *model, const struct sx_bands_question *q,
                                size_t *count)
{
    uint32_t *all = sx_xcalloc(q->n + 1, sizeof *all);
    size_t n = 0;
    for (size_t t = 0; t < q->n; t++) {
        const bool residue = t != q->key && (t == q->query || sx_is_amino_acid(q->ids[t]));
        if (is_causal(model) ? t >= q->key : q->original < 0 || residue)
            all[n++] = (uint32_t)t;
    }
    const size_t step = (n + PROFILE_MOST - 1) / PROFILE_MOST;
    *count = 0;
    for (size_t i = 0; i < n; i += step)
        all[(*count)++] = all[i];
    return all;
}

uint64_t sx_bands_question_bytes(const struct sx_model_info *info,
                                 const struct sx_bands_question *question)
{
    const double heads = (double)info->n_layers * (double)info->n_heads;
    const double n = (double)(question->n > question->n_b ? question->n : question->n_b);
    double bytes = heads * (2 * n + 8 * (double)info->d_head) * sizeof(float);
    bytes += 256 * heads * ((double)info->n_bands + 1);
    if (question->margin)
        bytes += 2 * heads * (double)info->d_head * n * sizeof(float);
    if (question->profile)
        bytes += heads * ((double)info->n_bands + 1 + (double)info->d_head) * n * sizeof(float);
    return bytes < 1e18 ? (uint64_t)bytes : (uint64_t)1e18;
}

enum sx_status sx_measure_bands(struct sx_runner *runner, struct sx_bands_question *question,
                                struct sx_bands_result *result, struct sx_task *task,
                                struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    struct sx_bands_question *q = question;
    *result = (struct sx_bands_result){0};
    if (q->target < 0 && sx_model_info(model)->has_lm_head)
        SX_TRY(sx_default_target(runner, q->ids, q->n, q->query, &q->target, task, err));
    const struct sx_sequence a = {.ids = q->ids, .n = q->n, .embed_scale = NAN};
    const struct sx_sequence b = {.ids = q->ids_b, .n = q->n_b, .embed_scale = NAN};
    struct sx_bands_ask ask = {
        .a = {&a, q->query, q->key},
        .target = q->target,
        .margin = q->margin,
        .original = q->original,
    };
    if (q->ids_b)
        ask.b = (struct sx_band_condition){&b, q->query_b, q->key};
    uint32_t *tokens = q->profile ? profile_tokens(model, q, &ask.n_profile) : NULL;
    ask.profile_at = tokens;
    const enum sx_status status = sx_bands_measure(runner, &ask, 1, result, task, err);
    sx_free(tokens);
    return status;
}

/* --- the same in a shell ------------------------------------------------------------------------
 */

static void line_start(const struct sx_model *model, const int32_t *ids, size_t n, size_t query,
                       int32_t original, struct sx_str *line)
{
    sx_str_append(line, "sextant bands ");
    sx_command_quote(sx_model_info(model)->path, line);
    if (original >= 0) {
        int32_t *whole = copy_ids(ids, n);
        whole[query] = original;
        sx_ids_words(model, whole, n, line);
        sx_free(whole);
    } else {
        sx_ids_words(model, ids, n, line);
    }
    sx_str_printf(line, " --query %zu%s", query, original >= 0 ? " --mask" : "");
}

static void add_target(const struct sx_model *model, int32_t target, struct sx_str *line)
{
    char word[64];
    if (target < 0)
        return;
    sx_token_word(model, target, word, sizeof word);
    sx_str_append(line, " --target ");
    sx_command_quote(word, line);
}

char *sx_bands_line(const struct sx_model *model, const struct sx_bands_question *question)
{
    const struct sx_bands_question *q = question;
    struct sx_str line = SX_STR_INIT;
    line_start(model, q->ids, q->n, q->query, q->unknown ? -1 : q->original, &line);
    sx_str_printf(&line, " --key %zu", q->key);
    if (q->ids_b && q->against != SIZE_MAX) {
        sx_str_printf(&line, " --against %zu", q->against);
    } else if (q->ids_b) {
        struct sx_str text = SX_STR_INIT;
        const bool specials = !is_causal(model) && q->n_b >= 2;
        sx_detokenize(sx_model_tokenizer(model), q->ids_b + specials, q->n_b - (specials ? 2 : 0),
                      &text);
        sx_str_append(&line, " --against ");
        sx_command_quote(text.data ? text.data : "", &line);
        sx_str_release(&text);
    }
    add_target(model, q->target, &line);
    if (q->profile)
        sx_str_append(&line, " --profile");
    if (q->margin)
        sx_str_append(&line, " --margin");
    return sx_str_take(&line);
}

char *sx_head_bands_line(const struct sx_model *model, const int32_t *ids,
                         const struct sx_head_result *result)
{
    struct sx_str line = SX_STR_INIT;
    line_start(model, ids, result->n, result->query, -1, &line);
    sx_str_printf(&line, " --layer %zu --head %zu --along-keys", result->layer, result->head);
    if (result->removed)
        sx_str_printf(&line, " --removed %llu", (unsigned long long)result->removed);
    add_target(model, result->target, &line);
    return sx_str_take(&line);
}
