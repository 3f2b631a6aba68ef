/* Generation: one pass over the prompts that fills the caches, then one pass a token over those
 * prompts that still go on. What a prompt gets does not depend on its neighbours: its random
 * numbers are named by (seed, prompt, step), and a pass treats each sequence alone. */
#include "sextant/model/generate.h"

#include <math.h>
#include <string.h>

#include "sampling.h"
#include "sextant/base/alloc.h"

/* Prompts that run together: their caches stand in memory at once. */
enum { GROUP = 32 };

struct stream { /* one prompt being continued */
    size_t prompt;
    struct sx_cache *cache;
    uint8_t *seen; /* [V] */
    int32_t last;
    bool done;
    size_t capacity; /* of its generation */
};

struct group {
    struct sx_runner *runner;
    const struct sx_generate *request;
    struct sx_generation *out;
    struct sx_sampler sampler;
    struct stream streams[GROUP];
    size_t n;
    size_t vocab;
    float *logits;                         /* [n,V] */
    struct sx_intervention *interventions; /* those of the prompts that still go on */
    struct sx_position_override *positions;
    struct sx_task *task;
};

void sx_generations_release(struct sx_generation *generations, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sx_ids_release(&generations[i].ids);
        sx_free(generations[i].logprobs);
        generations[i] = (struct sx_generation){0};
    }
}

static bool is_stop(const struct sx_generate *request, int32_t id)
{
    for (size_t i = 0; i < request->n_stop; i++)
        if (request->stop[i] == id)
            return true;
    return false;
}

/* The hooks count sequences of the request; a pass holds `live` of them. */
static size_t place_of(const struct stream *const *live, size_t n, size_t prompt)
{
    for (size_t i = 0; i < n; i++)
        if (live[i]->prompt == prompt)
            return i;
    return SIZE_MAX;
}

static struct sx_hooks hooks_of(struct group *group, const struct stream *const *live, size_t n)
{
    const struct sx_hooks *all = &group->request->hooks;
    struct sx_hooks hooks = {.interventions = group->interventions, .positions = group->positions};
    for (size_t i = 0; i < all->n_interventions; i++) {
        struct sx_intervention one = all->interventions[i];
        if (one.sequence != SIZE_MAX &&
            (one.sequence = place_of(live, n, one.sequence)) == SIZE_MAX)
            continue;
        group->interventions[hooks.n_interventions++] = one;
    }
    for (size_t i = 0; i < all->n_positions; i++) {
        struct sx_position_override one = all->positions[i];
        if (one.sequence != SIZE_MAX &&
            (one.sequence = place_of(live, n, one.sequence)) == SIZE_MAX)
            continue;
        group->positions[hooks.n_positions++] = one;
    }
    return hooks;
}

/* Take the next token of a stream from its row of logits. */
static enum sx_status advance(struct group *group, struct stream *stream, const float *logits,
                              struct sx_error *err)
{
    const struct sx_generate *request = group->request;
    struct sx_generation *out = &group->out[stream->prompt];
    const int32_t id = sx_sample(&group->sampler, logits, stream->seen, stream->prompt, out->ids.n);
    const float logprob = sx_token_logprob(logits, group->vocab, id);
    if (isnan(logprob))
        return sx_fail(err, SX_ERR_NUMERIC, "prompt %zu, token %zu: the logits are not numbers",
                       stream->prompt, out->ids.n);
    if (is_stop(request, id)) {
        out->stopped = true;
        stream->done = true;
        return SX_OK;
    }
    if (out->ids.n == stream->capacity) {
        stream->capacity = stream->capacity ? 2 * stream->capacity : 64;
        out->ids.ids = sx_xrealloc(out->ids.ids, stream->capacity * sizeof *out->ids.ids);
        out->logprobs = sx_xrealloc(out->logprobs, stream->capacity * sizeof *out->logprobs);
    }
    out->ids.ids[out->ids.n] = id;
    out->logprobs[out->ids.n++] = logprob;
    stream->last = id;
    stream->seen[id] = 1;
    stream->done = out->ids.n == request->max_new;
    if (request->on_token)
        request->on_token(request->ctx, stream->prompt, id, logprob);
    return SX_OK;
}

/* One pass over the prompts (first) or over the last token of each stream that goes on. */
static enum sx_status step(struct group *group, bool first, size_t *n_live, struct sx_error *err)
{
    struct sx_sequence sequences[GROUP];
    const struct stream *live[GROUP];
    uint32_t last_row[GROUP];
    size_t index[GROUP];
    size_t n = 0;
    for (size_t i = 0; i < group->n; i++) {
        const struct stream *stream = &group->streams[i];
        if (stream->done)
            continue;
        const struct sx_ids *prompt = &group->request->prompts[stream->prompt];
        const size_t count = first ? prompt->n : 1;
        last_row[n] = (uint32_t)(count - 1);
        sequences[n] = (struct sx_sequence){.ids = first ? prompt->ids : &stream->last,
                                            .n = count,
                                            .embed_scale = NAN,
                                            .rows = &last_row[n],
                                            .n_rows = 1,
                                            .cache = stream->cache};
        index[n] = i;
        live[n++] = stream;
    }
    *n_live = n;
    if (n == 0)
        return SX_OK;
    const struct sx_pass pass = {.sequences = sequences,
                                 .n_sequences = n,
                                 .hooks = hooks_of(group, live, n),
                                 .logits = group->logits};
    SX_TRY(sx_run_pass(group->runner, &pass, group->task, err));
    for (size_t i = 0; i < n; i++)
        SX_TRY(advance(group, &group->streams[index[i]], group->logits + i * group->vocab, err));
    return SX_OK;
}

static enum sx_status open_streams(struct group *group, size_t first, struct sx_error *err)
{
    const struct sx_generate *request = group->request;
    const struct sx_model *model = sx_runner_model(group->runner);
    for (size_t i = 0; i < group->n; i++) {
        struct stream *stream = &group->streams[i];
        *stream = (struct stream){.prompt = first + i};
        const struct sx_ids *prompt = &request->prompts[first + i];
        stream->cache = sx_cache_new(model, prompt->n + request->max_new);
        stream->seen = sx_calloc_big(group->vocab, 1);
        if (!stream->cache || !stream->seen)
            return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu keys and values of prompt %zu",
                           prompt->n + request->max_new, first + i);
        for (size_t t = 0; t < prompt->n; t++)
            if (prompt->ids[t] >= 0 && (size_t)prompt->ids[t] < group->vocab)
                stream->seen[prompt->ids[t]] = 1;
    }
    return SX_OK;
}

static void close_streams(struct group *group)
{
    for (size_t i = 0; i < group->n; i++) {
        sx_cache_free(group->streams[i].cache);
        sx_free(group->streams[i].seen);
        group->streams[i] = (struct stream){0};
    }
}

static enum sx_status run_group(struct group *group, size_t first, struct sx_error *err)
{
    enum sx_status status = open_streams(group, first, err);
    size_t live = group->n;
    for (bool prompts = true; status == SX_OK && live > 0; prompts = false)
        status = step(group, prompts, &live, err);
    close_streams(group);
    return status;
}

static enum sx_status check(const struct sx_model_info *info, const struct sx_generate *request,
                            struct sx_error *err)
{
    if (info->family != SX_MODEL_GPT_NEOX)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: generation needs a causal model (GPT-NeoX); ESM-2 sees both sides",
                       info->name);
    if (!info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: no output head, no logits", info->name);
    for (size_t i = 0; i < request->n_prompts; i++)
        if (request->prompts[i].n == 0)
            return sx_fail(err, SX_ERR_USAGE, "prompt %zu is empty: at least one token is needed",
                           i);
    return SX_OK;
}

enum sx_status sx_generate(struct sx_runner *runner, const struct sx_generate *request,
                           struct sx_generation *out, struct sx_task *task, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(sx_runner_model(runner));
    SX_ASSERT(request->hooks.n_captures == 0);
    for (size_t i = 0; i < request->n_prompts; i++)
        out[i] = (struct sx_generation){0};
    SX_TRY(check(info, request, err));
    if (request->max_new == 0 || request->n_prompts == 0)
        return SX_OK;
    struct group group = {.runner = runner,
                          .request = request,
                          .out = out,
                          .vocab = (size_t)info->vocab,
                          .task = task};
    const size_t widest = request->n_prompts < GROUP ? request->n_prompts : GROUP;
    enum sx_status status = sx_sampler_init(&group.sampler, &request->sampling, group.vocab, err);
    group.interventions =
        sx_xcalloc(request->hooks.n_interventions + 1, sizeof *group.interventions);
    group.positions = sx_xcalloc(request->hooks.n_positions + 1, sizeof *group.positions);
    group.logits = sx_alloc_big(widest * group.vocab, sizeof *group.logits);
    if (status == SX_OK && !group.logits)
        status = sx_fail(err, SX_ERR_NOMEM, "no memory for the logits of %zu prompts", widest);
    for (size_t first = 0; status == SX_OK && first < request->n_prompts; first += GROUP) {
        group.n = request->n_prompts - first < GROUP ? request->n_prompts - first : GROUP;
        status = run_group(&group, first, err);
    }
    sx_sampler_release(&group.sampler);
    sx_free(group.interventions);
    sx_free(group.positions);
    sx_free(group.logits);
    return status;
}
