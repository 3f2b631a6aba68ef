/* generate: text that goes on from prompts. On a terminal it appears as it is made. */
#include "commands_private.h"

#include <math.h>
#include <string.h>

#include "document.h"
#include "intervention_spec.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/model/generate.h"

struct generate {
    struct sx_job *job;
    struct sx_model *model;
    struct sx_runner *runner;
    struct sx_model_inputs inputs;
    struct sx_intervention_spec *specs;
    size_t n_specs;
    struct sx_bound bound;
    struct sx_ids *prompts; /* borrowed from inputs */
    int32_t *stop;
    size_t n_stop;
    struct sx_generation *out;
    struct sx_decoder decoder;
    uint64_t made, wanted;
};

/* --- streaming -------------------------------------------------------------------------------- */

static void say(struct generate *g, const char *text)
{
    struct sx_value *piece = sx_value_map();
    sx_document_text(piece, "text", text);
    g->job->emit(g->job, piece);
    sx_value_free(piece);
}

static void on_token(void *ctx, size_t prompt, int32_t id, float logprob)
{
    struct generate *g = ctx;
    (void)prompt;
    (void)logprob;
    g->made++;
    if (sx_task_step(&g->job->task, g->made, g->wanted) != SX_OK)
        return; /* the next pass stops */
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(g->model);
    if (!g->job->emit || g->inputs.n != 1 || !tokenizer)
        return;
    struct sx_str text = SX_STR_INIT;
    sx_decoder_push(tokenizer, &g->decoder, id, &text);
    if (text.len > 0)
        say(g, text.data);
    sx_str_release(&text);
}

/* --- what is asked ---------------------------------------------------------------------------- */

static double real_of(const struct sx_value *args, const char *name, double fallback)
{
    return sx_value_real_or(sx_value_get(args, name), fallback);
}

static struct sx_sampling sampling_of(const struct sx_value *args)
{
    return (struct sx_sampling){.greedy = sx_value_bool_or(sx_value_get(args, "greedy"), false),
                                .temperature = real_of(args, "temperature", 1),
                                .top_k = (size_t)sx_value_int_or(sx_value_get(args, "top-k"), 0),
                                .top_p = real_of(args, "top-p", 1),
                                .repetition_penalty = real_of(args, "repetition-penalty", 1),
                                .seed = (uint64_t)sx_value_int_or(sx_value_get(args, "seed"), 0)};
}

static enum sx_status check_sampling(const struct sx_value *args, struct sx_error *err)
{
    static const char *const names[] = {"temperature", "top-k", "top-p"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sx_value_bool_or(sx_value_get(args, "greedy"), false) && sx_value_get(args, names[i]))
            return sx_fail(err, SX_ERR_USAGE, "generate: --greedy and --%s exclude each other",
                           names[i]);
    return SX_OK;
}

/* A stop is a token: its id, its spelling in the vocabulary, or a text that is one token. */
static enum sx_status read_stop(struct generate *g, const char *text, struct sx_error *err)
{
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(g->model);
    const uint64_t vocab = sx_model_info(g->model)->vocab;
    int64_t id = -1;
    if (*text && !text[strspn(text, "0123456789")] && strlen(text) < 10)
        for (id = 0; *text; text++)
            id = 10 * id + (*text - '0');
    else if (tokenizer)
        id = sx_token_find(tokenizer, text);
    if (id < 0 || (uint64_t)id >= vocab)
        return sx_fail(err, SX_ERR_USAGE,
                       "generate: --stop '%.60s' is not one token; give its id or its text", text);
    g->stop[g->n_stop++] = (int32_t)id;
    return SX_OK;
}

static enum sx_status read_stops(struct generate *g, struct sx_error *err)
{
    static const char end_of_text[] = "<|endoftext|>";
    const struct sx_value *stops = sx_value_get(g->job->args, "stop");
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(g->model);
    g->stop = sx_xcalloc(sx_value_count(stops) + 1, sizeof *g->stop);
    for (size_t i = 0; i < sx_value_count(stops); i++)
        SX_TRY(read_stop(g, sx_value_string_or(sx_value_item(stops, i), ""), err));
    const int32_t end = tokenizer ? sx_token_find(tokenizer, end_of_text) : -1;
    if (end >= 0 && !sx_value_bool_or(sx_value_get(g->job->args, "no-eos"), false))
        g->stop[g->n_stop++] = end;
    return SX_OK;
}

static enum sx_status bind_all(struct generate *g, size_t max_new, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(g->model);
    SX_TRY(sx_specs_parse(sx_value_get(g->job->args, "intervene"), &g->specs, &g->n_specs, err));
    for (size_t i = 0; i < g->inputs.n; i++) {
        const struct sx_bind_to to = {
            .info = info, .sequence = i, .n_tokens = g->inputs.item[i].ids.n, .n_more = max_new};
        SX_TRY(sx_specs_bind(g->specs, g->n_specs, &to, &g->bound, err));
    }
    return SX_OK;
}

static enum sx_status prepare(struct generate *g, size_t max_new, struct sx_error *err)
{
    const struct sx_value *args = g->job->args;
    SX_TRY(check_sampling(args, err));
    SX_TRY(sx_model_use(args, &g->model, &g->runner, err));
    SX_TRY(sx_model_must_be(g->model, SX_MODEL_GPT_NEOX, "generate", err));
    SX_TRY(sx_model_must_predict(g->model, "generate", err));
    SX_TRY(sx_model_inputs_read("generate", args, g->model, &g->inputs, err));
    g->prompts = sx_xcalloc(g->inputs.n, sizeof *g->prompts);
    g->out = sx_xcalloc(g->inputs.n, sizeof *g->out);
    const uint64_t longest = sx_model_info(g->model)->max_positions;
    for (size_t i = 0; i < g->inputs.n; i++) {
        g->prompts[i] = g->inputs.item[i].ids;
        if (longest && g->prompts[i].n <= longest && g->prompts[i].n + max_new > longest)
            sx_model_inputs_warn(&g->inputs,
                                 "prompt %zu: %zu tokens and %zu new ones: the model was made for "
                                 "%llu",
                                 i, g->prompts[i].n, max_new, (unsigned long long)longest);
    }
    g->wanted = (uint64_t)g->inputs.n * max_new;
    SX_TRY(read_stops(g, err));
    return bind_all(g, max_new, err);
}

static enum sx_status generate(struct generate *g, struct sx_error *err)
{
    const size_t max_new = (size_t)sx_value_int_or(sx_value_get(g->job->args, "max-new"), 0);
    SX_TRY(prepare(g, max_new, err));
    const struct sx_generate request = {.prompts = g->prompts,
                                        .n_prompts = g->inputs.n,
                                        .max_new = max_new,
                                        .stop = g->stop,
                                        .n_stop = g->n_stop,
                                        .sampling = sampling_of(g->job->args),
                                        .hooks = sx_bound_hooks(&g->bound),
                                        .on_token = on_token,
                                        .ctx = g};
    return sx_generate(g->runner, &request, g->out, &g->job->task, err);
}

/* --- the answer ------------------------------------------------------------------------------- */

static struct sx_value *ids_list(const struct sx_ids *ids)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < ids->n; i++)
        sx_value_append(list, sx_value_int(ids->ids[i]));
    return list;
}

static void describe(const struct generate *g, size_t prompt, struct sx_value *out)
{
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(g->model);
    const struct sx_generation *made = &g->out[prompt];
    struct sx_str text = SX_STR_INIT;
    if (tokenizer)
        sx_detokenize(tokenizer, made->ids.ids, made->ids.n, &text);
    sx_value_set(out, "prompt_ids", ids_list(&g->prompts[prompt]));
    sx_value_set(out, "ids", ids_list(&made->ids));
    sx_value_set(out, "text",
                 tokenizer ? sx_value_string_len(text.data, text.len) : sx_value_null());
    struct sx_value *logprobs = sx_value_set(out, "logprobs", sx_value_list());
    for (size_t i = 0; i < made->ids.n; i++)
        sx_value_append(logprobs, sx_value_real((double)made->logprobs[i]));
    sx_value_set(out, "stopped", sx_value_bool(made->stopped));
    sx_str_release(&text);
}

/* One prompt: its keys at the top; several: a list. */
static struct sx_value *describe_all(struct generate *g)
{
    struct sx_value *document = sx_document_new();
    sx_document_text(document, "model", sx_model_info(g->model)->name);
    if (g->inputs.n == 1) {
        describe(g, 0, document);
    } else {
        struct sx_value *list = sx_value_set(document, "generations", sx_value_list());
        for (size_t i = 0; i < g->inputs.n; i++)
            describe(g, i, sx_value_append(list, sx_value_map()));
    }
    sx_model_inputs_tell(&g->inputs, document);
    return document;
}

/* What a terminal still has to see: the end of an unfinished character, or all texts when several
 * were made at once. */
static void finish_stream(struct generate *g, const struct sx_value *document)
{
    struct sx_str rest = SX_STR_INIT;
    if (g->inputs.n == 1 && sx_model_tokenizer(g->model)) {
        sx_decoder_flush(&g->decoder, &rest);
        sx_str_append_char(&rest, '\n');
    } else {
        sx_cmd_generate_print(document, &rest);
    }
    say(g, rest.data);
    sx_str_release(&rest);
}

SX_RUN(generate)
{
    struct generate g = {.job = job};
    const enum sx_status status = generate(&g, err);
    if (g.out && (status == SX_OK || status == SX_CANCELLED)) {
        job->document = describe_all(&g);
        if (job->emit)
            finish_stream(&g, job->document);
    }
    if (g.out)
        sx_generations_release(g.out, g.inputs.n);
    sx_free(g.out);
    sx_free(g.prompts);
    sx_free(g.stop);
    sx_bound_release(&g.bound);
    sx_specs_release(g.specs, g.n_specs);
    sx_model_inputs_release(&g.inputs);
    sx_runner_free(g.runner);
    sx_model_unref(g.model);
    return status;
}

static void print_one(const struct sx_value *one, struct sx_str *out)
{
    const char *text = sx_value_string_or(sx_value_get(one, "text"), NULL);
    const struct sx_value *ids = sx_value_get(one, "ids");
    if (text)
        sx_str_append(out, text);
    for (size_t i = 0; !text && i < sx_value_count(ids); i++)
        sx_str_printf(out, "%s%lld", i ? " " : "",
                      (long long)sx_value_int_or(sx_value_item(ids, i), 0));
    sx_str_append_char(out, '\n');
}

SX_PRINT(generate)
{
    const struct sx_value *list = sx_value_get(document, "generations");
    if (!list)
        print_one(document, out);
    for (size_t i = 0; i < sx_value_count(list); i++) {
        sx_str_printf(out, "--- %zu\n", i);
        print_one(sx_value_item(list, i), out);
    }
}
