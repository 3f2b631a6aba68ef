#include "measure_composition.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "circuit_words.h"
#include "document.h"
#include "measure_attribution.h"
#include "sextant/base/alloc.h"
#include "sextant/run/command.h"

static const char *const sides[] = {"query", "key", "value"};

const char *sx_side_name(enum sx_side_of_score side)
{
    return sides[side];
}

enum sx_side_of_score sx_side_named(const char *name)
{
    for (int i = SX_OF_QUERY; i <= SX_OF_VALUE; i++)
        if (strcmp(sides[i], name) == 0)
            return (enum sx_side_of_score)i;
    SX_ASSERT(false);
    return SX_OF_QUERY;
}

enum sx_status sx_measure_composition(struct sx_runner *runner,
                                      const struct sx_composition_question *question,
                                      struct sx_composition_result *result, struct sx_task *task,
                                      struct sx_error *err)
{
    const struct sx_sequence sequence = {
        .ids = question->ids, .n = question->n, .embed_scale = NAN};
    struct sx_composition_ask ask = question->ask;
    *result = (struct sx_composition_result){0};
    if (ask.side == SX_OF_VALUE && ask.target < 0)
        SX_TRY(sx_default_target(runner, question->ids, question->n, ask.query, &ask.target, task,
                                 err));
    return sx_compose(runner, &sequence, &ask, result, task, err);
}

/* --- the document -------------------------------------------------------------------------------
 */

static struct sx_value *reals(const double *x, size_t n)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < n; i++)
        sx_value_append(list, sx_value_real(x[i]));
    return list;
}

static struct sx_value *terms_of(const struct sx_composition_result *r)
{
    struct sx_value *terms = sx_value_list();
    for (size_t t = 0; t < r->n_terms; t++) {
        struct sx_value *one = sx_value_append(terms, sx_value_map());
        sx_component_document(&r->terms[t].component, false, one);
        sx_value_set(one, "score", sx_value_real(r->terms[t].score));
        if (!r->band)
            continue;
        sx_value_set(one, "bands", reals(r->band + t * r->n_bands, r->n_bands));
        sx_value_set(one, "radial", reals(r->radial + t * r->n_bands, r->n_bands));
        sx_value_set(one, "tangential", reals(r->tangential + t * r->n_bands, r->n_bands));
    }
    return terms;
}

static struct sx_value *rows_of(const struct sx_composition_result *r)
{
    struct sx_value *rows = sx_value_list();
    for (size_t t = 0; t < r->n_terms; t++) {
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_component_document(&r->terms[t].component, true, row);
        sx_value_set(row, "score", sx_value_real(r->terms[t].score));
        for (size_t b = 0; b < r->n_bands; b++) {
            char name[32];
            snprintf(name, sizeof name, "band_%zu", b);
            sx_value_set(row, name, sx_value_real(r->band[t * r->n_bands + b]));
        }
    }
    return rows;
}

static struct sx_value *bands_of(const struct sx_composition_result *r)
{
    struct sx_value *bands = sx_value_list();
    for (size_t b = 0; b < r->n_bands; b++) {
        struct sx_value *one = sx_value_append(bands, sx_value_map());
        sx_document_int(one, "band", (int64_t)b);
        sx_document_real(one, "period", r->period[b], "these dimensions are not rotated");
    }
    return bands;
}

static struct sx_value *pairs_of(const struct sx_composition_result *r)
{
    struct sx_value *rows = sx_value_list();
    for (size_t t = 0; t < r->n_terms; t++)
        sx_value_append(rows, reals(r->pairs + t * r->n_terms, r->n_terms));
    return rows;
}

struct sx_value *sx_composition_document(const struct sx_model *model,
                                         const struct sx_composition_result *r)
{
    struct sx_value *out = sx_document_new();
    char word[64];
    sx_document_text(out, "model", sx_model_info(model)->name);
    sx_document_int(out, "layer", (int64_t)r->layer);
    sx_document_int(out, "head", (int64_t)r->head);
    sx_document_int(out, "query", (int64_t)r->query);
    sx_document_int(out, "key", (int64_t)r->key);
    sx_document_text(out, "side", sx_side_name(r->side));
    if (r->side == SX_OF_VALUE) {
        sx_token_word(model, r->target, word, sizeof word);
        sx_document_text(out, "target", word);
        sx_against_word(model, r->against, word, sizeof word);
        if (word[0])
            sx_document_text(out, "against", word);
    }
    sx_value_set(out, "score", sx_value_real(r->score));
    sx_value_set(out, "residual", sx_value_real(r->residual));
    sx_value_set(out, "bands", bands_of(r));
    sx_value_set(out, "terms", terms_of(r));
    if (r->pairs)
        sx_value_set(out, "pairs", pairs_of(r));
    sx_value_set(out, "rows", rows_of(r));
    sx_residual_warning(out, r->side == SX_OF_VALUE ? "value" : "score", r->residual);
    return out;
}

/* --- causal -------------------------------------------------------------------------------------
 */

static void put_causal(struct sx_value *list, size_t n, const double *attention,
                       const double *logit)
{
    for (size_t i = 0; i < sx_value_count(list); i++) {
        struct sx_value *one = sx_value_item(list, i);
        const bool made = i < n; /* const is no component that could be taken out */
        sx_value_set(one, "attention_without",
                     made ? sx_value_real(attention[i]) : sx_value_null());
        if (logit)
            sx_value_set(one, "logit_without", made ? sx_value_real(logit[i]) : sx_value_null());
    }
}

enum sx_status sx_composition_add_causal(struct sx_runner *runner,
                                         const struct sx_composition_question *question,
                                         struct sx_value *document, struct sx_task *task,
                                         struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    const struct sx_sequence sequence = {
        .ids = question->ids, .n = question->n, .embed_scale = NAN};
    const size_t n = sx_composition_components(info, question->ask.layer);
    struct sx_composition_ask ask = question->ask;
    char word[64];
    if (info->has_lm_head && ask.target < 0)
        SX_TRY(sx_default_target(runner, question->ids, question->n, ask.query, &ask.target, task,
                                 err));
    double *attention = sx_xcalloc(n + 1, sizeof *attention);
    double *logit = info->has_lm_head ? sx_xcalloc(n + 1, sizeof *logit) : NULL;
    const enum sx_status status =
        sx_path_ablation(runner, &sequence, &ask, attention, logit, task, err);
    if (status == SX_OK) {
        put_causal(sx_value_get(document, "terms"), n, attention, logit);
        put_causal(sx_value_get(document, "rows"), n, attention, logit);
        sx_value_set(document, "attention", sx_value_real(attention[n]));
    }
    if (status == SX_OK && logit) {
        sx_token_word(model, ask.target, word, sizeof word);
        sx_document_text(document, "target", word);
        sx_value_set(document, "logit", sx_value_real(logit[n]));
    }
    sx_free(attention);
    sx_free(logit);
    return status;
}

/* --- the command line ---------------------------------------------------------------------------
 */

char *sx_composition_line(const struct sx_model *model,
                          const struct sx_composition_question *question,
                          const struct sx_composition_result *r)
{
    struct sx_str line = SX_STR_INIT;
    char word[64];
    sx_str_append(&line, "sextant compose ");
    sx_command_quote(sx_model_info(model)->path, &line);
    sx_ids_words(model, question->ids, question->n, &line);
    sx_str_printf(&line, " --layer %zu --head %zu --query %zu --key %zu --side %s", r->layer,
                  r->head, r->query, r->key, sx_side_name(r->side));
    if (r->side == SX_OF_VALUE) {
        sx_token_word(model, r->target, word, sizeof word);
        sx_str_append(&line, " --target ");
        sx_command_quote(word, &line);
        sx_against_word(model, r->against, word, sizeof word);
        if (word[0])
            sx_str_append(&line, " --against ");
        if (word[0])
            sx_command_quote(word, &line);
    }
    if (r->pairs)
        sx_str_append(&line, " --pairs");
    return sx_str_take(&line);
}
