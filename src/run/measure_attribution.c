#include "measure_attribution.h"

#include <math.h>

#include "circuit_words.h"
#include "document.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/names.h"
#include "sextant/run/command.h"

enum sx_status sx_measure_attribution(struct sx_runner *runner,
                                      const struct sx_attribution_question *question,
                                      struct sx_attribution_result *result, struct sx_task *task,
                                      struct sx_error *err)
{
    const struct sx_sequence sequence = {
        .ids = question->ids, .n = question->n, .embed_scale = NAN};
    struct sx_attribution_point point = {.sequence = &sequence,
                                         .token = question->token,
                                         .target = question->target,
                                         .against = question->against};
    *result = (struct sx_attribution_result){0};
    if (point.target < 0)
        SX_TRY(sx_default_target(runner, question->ids, question->n, question->token, &point.target,
                                 task, err));
    return sx_attribute(runner, &point, 1, &question->options, result, task, err);
}

/* --- the document -------------------------------------------------------------------------------
 */

void sx_component_document(const struct sx_component *component, bool all, struct sx_value *map)
{
    const bool head = component->kind == SX_COMPONENT_HEAD;
    const bool layer =
        head || component->kind == SX_COMPONENT_MLP || component->kind == SX_COMPONENT_ATTN_BIAS;
    sx_document_text(map, "component", sx_component_name(component->kind));
    if (layer || all)
        sx_value_set(map, "layer", layer ? sx_value_int(component->layer) : sx_value_null());
    if (head || all)
        sx_value_set(map, "head", head ? sx_value_int(component->head) : sx_value_null());
}

void sx_residual_warning(struct sx_value *document, const char *what, double residual)
{
    if (!(residual > SX_RESIDUAL_LIMIT))
        return;
    struct sx_value *warnings = sx_value_get(document, "warnings");
    if (!warnings)
        warnings = sx_value_set(document, "warnings", sx_value_list());
    char *text = sx_xasprintf("the terms of the %s miss it by %.2g of the largest term; below "
                              "%.0e is rounding, this is not",
                              what, residual, SX_RESIDUAL_LIMIT);
    sx_value_append(warnings, sx_value_string(text));
    sx_free(text);
}

static void add_term(struct sx_value *terms, const struct sx_component *component,
                     const char *source, double value)
{
    struct sx_value *one = sx_value_append(terms, sx_value_map());
    sx_component_document(component, false, one);
    if (source)
        sx_document_text(one, "source", source);
    sx_value_set(one, "value", sx_value_real(value));
}

/* A head is three terms, by what it reads from. */
static struct sx_value *terms_of(const struct sx_attribution_result *result)
{
    struct sx_value *terms = sx_value_list();
    for (size_t i = 0; i < result->n_terms; i++) {
        const struct sx_attribution_term *term = &result->terms[i];
        if (term->component.kind != SX_COMPONENT_HEAD) {
            add_term(terms, &term->component, NULL, term->value);
            continue;
        }
        add_term(terms, &term->component, "bos", term->bos);
        add_term(terms, &term->component, "own", term->own);
        add_term(terms, &term->component, "context", term->context);
    }
    return terms;
}

static struct sx_value *rows_of(const struct sx_attribution_result *result)
{
    struct sx_value *rows = sx_value_list();
    for (size_t i = 0; i < result->n_terms; i++) {
        const struct sx_attribution_term *term = &result->terms[i];
        const bool head = term->component.kind == SX_COMPONENT_HEAD;
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_component_document(&term->component, true, row);
        sx_value_set(row, "total", sx_value_real(term->value));
        sx_value_set(row, "bos", head ? sx_value_real(term->bos) : sx_value_null());
        sx_value_set(row, "own", head ? sx_value_real(term->own) : sx_value_null());
        sx_value_set(row, "context", head ? sx_value_real(term->context) : sx_value_null());
    }
    return rows;
}

static struct sx_value *groups_of(const struct sx_attribution_groups *groups)
{
    struct sx_value *map = sx_value_map();
    sx_value_set(map, "bos", sx_value_real(groups->bos));
    sx_value_set(map, "own", sx_value_real(groups->own));
    sx_value_set(map, "context", sx_value_real(groups->context));
    sx_value_set(map, "mlp", sx_value_real(groups->mlp));
    sx_value_set(map, "bias", sx_value_real(groups->bias));
    sx_value_set(map, "embed", sx_value_real(groups->embed));
    sx_value_set(map, "const", sx_value_real(groups->constant));
    return map;
}

static struct sx_value *token_list(const struct sx_model *model,
                                   const struct sx_attribution_question *question)
{
    struct sx_value *list = sx_value_list();
    for (size_t t = 0; t < question->n; t++) {
        char text[64];
        sx_token_text(model, question->ids[t], text, sizeof text);
        sx_value_append(list, sx_value_string(text));
    }
    return list;
}

/* [L][H][T] */
static struct sx_value *sources_of(const struct sx_attribution_result *result)
{
    struct sx_value *layers = sx_value_list();
    for (size_t l = 0; l < result->n_layers; l++) {
        struct sx_value *heads = sx_value_append(layers, sx_value_list());
        for (size_t h = 0; h < result->n_heads; h++) {
            struct sx_value *row = sx_value_append(heads, sx_value_list());
            const float *from = result->by_source + (l * result->n_heads + h) * result->n;
            for (size_t t = 0; t < result->n; t++)
                sx_value_append(row, sx_value_real((double)from[t]));
        }
    }
    return layers;
}

static struct sx_value *linearised_of(const struct sx_attribution_result *result)
{
    struct sx_value *map = sx_value_map();
    struct sx_value *list = sx_value_set(map, "by_token", sx_value_list());
    double total = result->from_biases;
    for (size_t t = 0; t < result->n; t++) {
        sx_value_append(list, sx_value_real(result->by_embedding[t]));
        total += result->by_embedding[t];
    }
    sx_value_set(map, "biases", sx_value_real(result->from_biases));
    sx_value_set(map, "total", sx_value_real(total));
    sx_value_set(map, "residual", sx_value_real(result->linearised_residual));
    return map;
}

struct sx_value *sx_attribution_document(const struct sx_model *model,
                                         const struct sx_attribution_question *question,
                                         const struct sx_attribution_result *result)
{
    struct sx_value *out = sx_document_new();
    char target[64], against[64];
    sx_token_word(model, result->target, target, sizeof target);
    sx_against_word(model, result->against, against, sizeof against);
    sx_document_text(out, "model", sx_model_info(model)->name);
    sx_document_int(out, "pos", (int64_t)result->token);
    sx_document_text(out, "target", target);
    if (against[0])
        sx_document_text(out, "against", against);
    sx_document_text(out, "method", result->gradient ? "gradient" : "secant");
    sx_value_set(out, "tokens", token_list(model, question));
    sx_value_set(out, "terms", terms_of(result));
    sx_value_set(out, "groups", groups_of(&result->groups));
    sx_value_set(out, "total", sx_value_real(result->total));
    sx_value_set(out, "logit", sx_value_real(result->logit));
    sx_value_set(out, "residual", sx_value_real(result->residual));
    if (result->by_source)
        sx_value_set(out, "by_source", sources_of(result));
    if (result->by_embedding)
        sx_value_set(out, "linearised", linearised_of(result));
    sx_value_set(out, "rows", rows_of(result));
    sx_residual_warning(out, "logit", result->residual);
    if (result->by_embedding)
        sx_residual_warning(out, "linearised logit", result->linearised_residual);
    return out;
}

/* --- the command line ---------------------------------------------------------------------------
 */

char *sx_attribution_line(const struct sx_model *model,
                          const struct sx_attribution_question *question,
                          const struct sx_attribution_result *result)
{
    struct sx_str line = SX_STR_INIT;
    char word[64];
    sx_str_append(&line, "sextant attribute ");
    sx_command_quote(sx_model_info(model)->path, &line);
    sx_ids_words(model, question->ids, question->n, &line);
    sx_str_printf(&line, " --pos %zu --target ", question->token);
    sx_token_word(model, result->target, word, sizeof word);
    sx_command_quote(word, &line);
    sx_against_word(model, result->against, word, sizeof word);
    if (word[0]) {
        sx_str_append(&line, " --against ");
        sx_command_quote(word, &line);
    }
    if (question->options.linearised)
        sx_str_append(&line, " --linearised");
    if (result->gradient)
        sx_str_append(&line, " --gradient");
    return sx_str_take(&line);
}
