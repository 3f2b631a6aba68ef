/* run: the forward pass over given sequences, with what is asked for kept and changed. Each
 * sequence is a pass of its own, so that memory is bounded by the longest one. */
#include "commands_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "intervention_spec.h"
#include "model_describe.h"
#include "model_input.h"
#include "run_file.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/model/names.h"
#include "sextant/model/tokenizer.h"
#include "text_file.h"

static const uint64_t MAX_LOGIT_BYTES = 256 << 20; /* that a summary alone may cost */

struct asked { /* what the command line says, the same for every sequence */
    bool points[SX_POINT_COUNT];
    struct sx_spec_list layers, tokens, heads, keys;
    struct sx_intervention_spec *specs;
    size_t n_specs;
    float *positions; /* NULL: the model's own */
    size_t n_positions;
    float embed_scale; /* NAN: computed */
    bool attend_pads;
};

struct chosen { /* the same, of one sequence; indices owned */
    uint32_t *layers, *tokens, *heads, *keys;
    size_t n_layers, n_tokens, n_heads, n_keys;
};

struct run {
    struct sx_job *job;
    struct sx_model *model;
    const struct sx_model_info *info;
    struct sx_runner *runner;
    struct asked asked;
    struct sx_model_inputs inputs;
    struct sx_run_file *file; /* NULL: nothing is written */
    struct sx_value *sequences;
    uint64_t held; /* bytes that stay until the file is written */
};

/* --- the words -------------------------------------------------------------------------------- */

static bool of_model(const struct sx_model_info *info, enum sx_point point)
{
    const bool esm_head = point >= SX_POINT_HEAD_DENSE && point <= SX_POINT_HEAD_LN_SIGMA;
    if (esm_head && info->family != SX_MODEL_ESM2)
        return false;
    return info->has_lm_head || (!esm_head && point != SX_POINT_LOGITS);
}

static enum sx_status read_points(const char *text, const struct sx_model_info *info,
                                  bool points[SX_POINT_COUNT], struct sx_error *err)
{
    for (const char *p = text; *p;) {
        const size_t len = strcspn(p, ",");
        char *name = sx_xstrndup(p, len);
        enum sx_point point = SX_POINT_COUNT;
        const bool all = strcmp(name, "all") == 0;
        const bool found = all || sx_point_find(name, &point);
        enum sx_status status = SX_OK;
        if (!found)
            status = sx_fail(err, SX_ERR_USAGE,
                             "run: --capture: '%.60s' is no point of the forward pass (sextant "
                             "help run lists them)",
                             name);
        else if (!all && !of_model(info, point))
            status = sx_fail(err, SX_ERR_USAGE, "run: --capture: %s has no %s", info->name, name);
        for (int i = 0; i < SX_POINT_COUNT; i++)
            points[i] |= all ? of_model(info, (enum sx_point)i) : i == (int)point;
        sx_free(name);
        SX_TRY(status);
        p += len + (p[len] == ',');
    }
    return SX_OK;
}

static enum sx_status read_positions(const char *text, struct asked *asked, struct sx_error *err)
{
    struct sx_str content = SX_STR_INIT;
    size_t room = 0;
    enum sx_status status = SX_OK;
    if (text[0] == '@')
        status = sx_text_file_read(text + 1, &content, err);
    else
        sx_str_append(&content, text);
    static const char between[] = ", \t\r\n";
    for (const char *p = content.data + strspn(content.data, between); *p && status == SX_OK;
         p += strspn(p, between)) {
        char *end;
        const float number = strtof(p, &end);
        if (end == p || (*end && !strchr(between, *end)) || !isfinite(number)) {
            status = sx_fail(err, SX_ERR_USAGE, "run: --positions: '%.20s' is no number", p);
            break;
        }
        SX_GROW(asked->positions, room, asked->n_positions + 1);
        asked->positions[asked->n_positions++] = number;
        p = end;
    }
    if (status == SX_OK && asked->n_positions == 0)
        status = sx_fail(err, SX_ERR_USAGE, "run: --positions: no numbers");
    sx_str_release(&content);
    return status;
}

static enum sx_status read_list(const struct sx_value *args, const char *name,
                                struct sx_spec_list *list, struct sx_error *err)
{
    const char *text = sx_arg_text(args, name);
    if (!text)
        return SX_OK;
    char *option = sx_xasprintf("--%s", name);
    const enum sx_status status = sx_spec_list_parse(option, text, list, err);
    sx_free(option);
    return status;
}

static enum sx_status read_asked(const struct sx_value *args, const struct sx_model_info *info,
                                 struct asked *asked, struct sx_error *err)
{
    const char *points = sx_arg_text(args, "capture");
    asked->embed_scale = (float)sx_value_real_or(sx_value_get(args, "embed-scale"), (double)NAN);
    asked->attend_pads = sx_value_bool_or(sx_value_get(args, "no-pad-mask"), false);
    if (!points)
        points = info->has_lm_head ? "logits" : "resid.post";
    SX_TRY(read_points(points, info, asked->points, err));
    SX_TRY(read_list(args, "layers", &asked->layers, err));
    SX_TRY(read_list(args, "tokens", &asked->tokens, err));
    SX_TRY(read_list(args, "heads", &asked->heads, err));
    SX_TRY(read_list(args, "keys", &asked->keys, err));
    if (sx_arg_text(args, "positions"))
        SX_TRY(read_positions(sx_arg_text(args, "positions"), asked, err));
    return sx_specs_parse(sx_value_get(args, "intervene"), &asked->specs, &asked->n_specs, err);
}

static void release_asked(struct asked *asked)
{
    sx_spec_list_release(&asked->layers);
    sx_spec_list_release(&asked->tokens);
    sx_spec_list_release(&asked->heads);
    sx_spec_list_release(&asked->keys);
    sx_specs_release(asked->specs, asked->n_specs);
    sx_free(asked->positions);
}

static enum sx_status choose(const struct asked *asked, const struct sx_model_info *info, size_t T,
                             struct chosen *chosen, struct sx_error *err)
{
    SX_TRY(sx_spec_list_resolve(&asked->layers, (size_t)info->n_layers, "--layers: layer",
                                &chosen->layers, &chosen->n_layers, err));
    SX_TRY(sx_spec_list_resolve(&asked->heads, (size_t)info->n_heads, "--heads: head",
                                &chosen->heads, &chosen->n_heads, err));
    SX_TRY(sx_spec_list_resolve(&asked->tokens, T, "--tokens: token", &chosen->tokens,
                                &chosen->n_tokens, err));
    return sx_spec_list_resolve(&asked->keys, T, "--keys: token", &chosen->keys, &chosen->n_keys,
                                err);
}

static void release_chosen(struct chosen *chosen)
{
    sx_free(chosen->layers);
    sx_free(chosen->tokens);
    sx_free(chosen->heads);
    sx_free(chosen->keys);
}

/* --- captures --------------------------------------------------------------------------------- */

struct kept { /* the arrays of one sequence */
    struct sx_capture captures[SX_POINT_COUNT];
    size_t n_captures;
    struct sx_tensor_out tensors[SX_POINT_COUNT + 8];
    size_t n_tensors;
    float *logits; /* [n_rows,V]; owned unless among the tensors */
    uint32_t *rows;
    size_t n_rows;
    bool logits_kept;
};

static bool is_map(enum sx_point point)
{
    return point == SX_POINT_SCORES || point == SX_POINT_ATTN;
}

static struct sx_tensor_out shape_of(const struct sx_model_info *info, enum sx_point point,
                                     const struct chosen *chosen, size_t T)
{
    struct sx_tensor_out out = {.name = sx_point_name(point), .dtype = SX_DTYPE_F32};
    const uint64_t tokens = chosen->tokens ? chosen->n_tokens : T;
    const uint64_t heads = chosen->heads ? chosen->n_heads : info->n_heads;
    const uint64_t keys = chosen->keys ? chosen->n_keys : T;
    const size_t width = sx_point_width(info, point, (size_t)keys);
    if (sx_point_per_layer(point))
        out.shape[out.rank++] = chosen->layers ? chosen->n_layers : info->n_layers;
    if (is_map(point)) {
        out.shape[out.rank++] = heads;
        out.shape[out.rank++] = tokens;
        out.shape[out.rank++] = keys;
        return out;
    }
    out.shape[out.rank++] = tokens;
    if (sx_point_has_heads(point)) {
        out.shape[out.rank++] = heads;
        out.shape[out.rank++] = width / info->n_heads;
    } else if (width > 1) {
        out.shape[out.rank++] = width;
    }
    return out;
}

static uint64_t count_of(const struct sx_tensor_out *tensor)
{
    uint64_t count = 1;
    for (int d = 0; d < tensor->rank; d++)
        count = tensor->shape[d] && count > UINT64_MAX / tensor->shape[d]
                    ? UINT64_MAX
                    : count * tensor->shape[d];
    return count;
}

/* Rows of logits: the chosen tokens when logits are kept; else what the summary can afford. */
static void plan_rows(const struct run *run, const struct chosen *chosen, size_t T,
                      struct kept *kept)
{
    kept->logits_kept = run->asked.points[SX_POINT_LOGITS];
    if (!run->info->has_lm_head)
        return;
    const bool all_fit = (uint64_t)T * run->info->vocab * sizeof(float) <= MAX_LOGIT_BYTES;
    const size_t n = chosen->tokens ? chosen->n_tokens : kept->logits_kept || all_fit ? T : 1;
    kept->rows = sx_xcalloc(n + 1, sizeof *kept->rows);
    kept->n_rows = n;
    for (size_t i = 0; i < n; i++)
        kept->rows[i] = chosen->tokens ? chosen->tokens[i] : (uint32_t)(n == 1 ? T - 1 : i);
}

static uint64_t bytes_of(const struct run *run, const struct chosen *chosen, size_t T,
                         const struct kept *kept)
{
    double floats = (double)kept->n_rows * (double)run->info->vocab;
    for (int p = 0; p < SX_POINT_COUNT; p++) {
        const struct sx_tensor_out shape = shape_of(run->info, (enum sx_point)p, chosen, T);
        if (run->asked.points[p] && p != SX_POINT_LOGITS)
            floats += (double)count_of(&shape);
    }
    return floats > 1e18 ? UINT64_MAX / 4 : (uint64_t)floats * sizeof(float);
}

static enum sx_status allocate(const struct run *run, const struct chosen *chosen, size_t T,
                               struct kept *kept, struct sx_error *err)
{
    for (int p = 0; p < SX_POINT_COUNT; p++) {
        if (!run->asked.points[p] || p == SX_POINT_LOGITS)
            continue;
        struct sx_tensor_out tensor = shape_of(run->info, (enum sx_point)p, chosen, T);
        float *out = sx_alloc_big((size_t)count_of(&tensor) + 1, sizeof *out);
        tensor.data = out;
        kept->tensors[kept->n_tensors++] = tensor;
        if (!out)
            return sx_fail(err, SX_ERR_NOMEM, "no memory for %s", tensor.name);
        kept->captures[kept->n_captures++] =
            (struct sx_capture){.point = (enum sx_point)p,
                                .layers = {chosen->layers, chosen->n_layers},
                                .tokens = {chosen->tokens, chosen->n_tokens},
                                .heads = {chosen->heads, chosen->n_heads},
                                .keys = {chosen->keys, chosen->n_keys},
                                .out = out};
    }
    if (kept->n_rows == 0)
        return SX_OK;
    kept->logits = sx_alloc_big(kept->n_rows * (size_t)run->info->vocab, sizeof *kept->logits);
    if (!kept->logits)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu rows of logits", kept->n_rows);
    return SX_OK;
}

static void release_kept(struct kept *kept)
{
    for (size_t i = 0; i < kept->n_tensors; i++)
        sx_free((void *)(uintptr_t)kept->tensors[i].data);
    sx_free(kept->logits);
    sx_free(kept->rows);
}

/* --- what is said about a sequence ------------------------------------------------------------ */

static struct sx_value *ids_list(const int32_t *ids, size_t n)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < n; i++)
        sx_value_append(list, sx_value_int(ids[i]));
    return list;
}

static struct sx_value *masks_list(const struct sx_model_info *info, const struct sx_ids *ids)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < ids->n && info->family == SX_MODEL_ESM2; i++)
        if (ids->ids[i] == SX_ESM_MASK)
            sx_value_append(list, sx_value_int((int64_t)i));
    return list;
}

/* Log probability of the token that a row of logits is about: for ESM-2 the token there, for
 * GPT-NeoX the one that follows. NAN: there is none. */
static double row_logprob(const struct run *run, const struct sx_ids *ids, size_t token,
                          const float *logits, double *p)
{
    const bool causal = run->info->family == SX_MODEL_GPT_NEOX;
    double log_total;
    if (causal && token + 1 >= ids->n)
        return (double)NAN;
    const int32_t id = ids->ids[token + causal];
    sx_softmax_row(logits, 0, (size_t)run->info->vocab, p, &log_total);
    return (double)logits[id] - log_total;
}

static size_t argmax(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static struct sx_value *top_tokens(const struct run *run, const float *logits, double *p)
{
    enum { TOP = 5 };
    const size_t vocab = (size_t)run->info->vocab;
    struct sx_value *list = sx_value_list();
    sx_softmax_row(logits, 0, vocab, p, NULL);
    for (int i = 0; i < TOP && (size_t)i < vocab; i++) {
        char text[64];
        size_t best = 0;
        for (size_t t = 1; t < vocab; t++)
            if (p[t] > p[best])
                best = t;
        struct sx_value *one = sx_value_append(list, sx_value_map());
        sx_token_text(run->model, (int32_t)best, text, sizeof text);
        sx_document_int(one, "id", (int64_t)best);
        sx_document_text(one, "token", text);
        sx_document_real(one, "p", p[best], "not a number");
        p[best] = -1;
    }
    return list;
}

/* Top predictions: at masks, or at the last token of a causal model. */
static void describe_top(const struct run *run, const struct sx_ids *ids, const struct kept *kept,
                         double *p, struct sx_value *out)
{
    enum { MOST = 100 };
    const bool causal = run->info->family == SX_MODEL_GPT_NEOX;
    struct sx_value *list = sx_value_set(out, "top", sx_value_list());
    for (size_t i = 0; i < kept->n_rows && sx_value_count(list) < MOST; i++) {
        const size_t token = kept->rows[i];
        if (causal ? token + 1 != ids->n : ids->ids[token] != SX_ESM_MASK)
            continue;
        struct sx_value *one = sx_value_append(list, sx_value_map());
        sx_document_int(one, "pos", (int64_t)token);
        sx_value_set(one, "tokens", top_tokens(run, kept->logits + i * run->info->vocab, p));
    }
}

static void describe_rows(const struct run *run, const struct sx_ids *ids, const struct kept *kept,
                          struct sx_value *out)
{
    const size_t vocab = (size_t)run->info->vocab;
    struct sx_value *rows = sx_value_set(out, "rows", sx_value_list());
    struct sx_value *best = sx_value_set(out, "argmax", sx_value_list());
    struct sx_value *names = sx_value_set(out, "argmax_tokens", sx_value_list());
    struct sx_value *logprobs = sx_value_set(out, "logprob", sx_value_list());
    double *p = sx_xcalloc(vocab + 1, sizeof *p);
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < kept->n_rows; i++) {
        char text[64];
        const float *logits = kept->logits + i * vocab;
        const size_t top = argmax(logits, vocab);
        const double logprob = row_logprob(run, ids, kept->rows[i], logits, p);
        sx_token_text(run->model, (int32_t)top, text, sizeof text);
        sx_value_append(rows, sx_value_int(kept->rows[i]));
        sx_value_append(best, sx_value_int((int64_t)top));
        sx_value_append(names, sx_value_string(text));
        sx_value_append(logprobs, isfinite(logprob) ? sx_value_real(logprob) : sx_value_null());
        sum += isfinite(logprob) ? logprob : 0;
        n += isfinite(logprob);
    }
    sx_document_real(out, "mean_logprob", n ? sum / (double)n : (double)NAN,
                     "no row predicts a token of the sequence");
    describe_top(run, ids, kept, p, out);
    sx_free(p);
}

static void describe_captured(const struct kept *kept, struct sx_value *out)
{
    struct sx_value *map = sx_value_set(out, "captured", sx_value_map());
    for (size_t i = 0; i < kept->n_tensors; i++) {
        struct sx_value *shape = sx_value_set(map, kept->tensors[i].name, sx_value_list());
        for (int d = 0; d < kept->tensors[i].rank; d++)
            sx_value_append(shape, sx_value_int((int64_t)kept->tensors[i].shape[d]));
    }
}

static struct sx_value *texts_of(const struct asked *asked)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < asked->n_specs; i++)
        sx_value_append(list, sx_value_string(asked->specs[i].text));
    return list;
}

/* --- one sequence ----------------------------------------------------------------------------- */

static enum sx_status add_tensor(struct kept *kept, const char *name, enum sx_dtype dtype, size_t n,
                                 const void *data, size_t size, struct sx_error *err)
{
    void *copy = sx_alloc_big(n + 1, size);
    if (!copy)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %s", name);
    memcpy(copy, data, n * size);
    kept->tensors[kept->n_tensors++] =
        (struct sx_tensor_out){.name = name, .dtype = dtype, .rank = 1, .shape = {n}, .data = copy};
    return SX_OK;
}

/* Beside the captures: the ids, the positions, and which layers, tokens, heads and keys a part is
 * of. */
static enum sx_status add_context(const struct sx_ids *ids, const struct chosen *chosen,
                                  const float *positions, struct kept *kept, struct sx_error *err)
{
    SX_TRY(add_tensor(kept, "ids", SX_DTYPE_I32, ids->n, ids->ids, sizeof *ids->ids, err));
    SX_TRY(add_tensor(kept, "positions", SX_DTYPE_F32, ids->n, positions, sizeof *positions, err));
    const struct {
        const char *name;
        const uint32_t *list;
        size_t n;
    } parts[] = {{"layers", chosen->layers, chosen->n_layers},
                 {"tokens", chosen->tokens, chosen->n_tokens},
                 {"heads", chosen->heads, chosen->n_heads},
                 {"keys", chosen->keys, chosen->n_keys}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].list)
            SX_TRY(add_tensor(kept, parts[i].name, SX_DTYPE_U32, parts[i].n, parts[i].list,
                              sizeof *parts[i].list, err));
    return SX_OK;
}

/* What a reader sees of the tokens, where the model's tokenizer is not at hand. */
static enum sx_status add_texts(const struct run *run, const struct sx_ids *ids, struct kept *kept,
                                struct sx_error *err)
{
    enum { TEXT = 16 };
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(run->model);
    if (!tokenizer)
        return SX_OK;
    char *texts = sx_calloc_big(ids->n + 1, TEXT);
    if (!texts)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu texts", ids->n);
    for (size_t i = 0; i < ids->n; i++)
        sx_token_label(tokenizer, ids->ids[i], texts + i * TEXT, TEXT);
    kept->tensors[kept->n_tensors++] = (struct sx_tensor_out){.name = "token_texts",
                                                              .dtype = SX_DTYPE_U8,
                                                              .rank = 2,
                                                              .shape = {ids->n, TEXT},
                                                              .data = texts};
    return SX_OK;
}

static struct sx_value *attributes_of(const struct run *run, const struct sx_model_input *input,
                                      float embed_scale)
{
    struct sx_value *about = sx_value_map();
    struct sx_value *masks = masks_list(run->info, &input->ids);
    sx_document_text(about, "name", input->name ? input->name : "");
    sx_value_set(about, "embed_scale", sx_value_real((double)embed_scale));
    sx_document_int(about, "n_tokens", (int64_t)input->ids.n);
    /* Attributes are short; the ids hold all of them anyway. */
    enum { MOST = 4096 };
    if (sx_value_count(masks) > 0 && sx_value_count(masks) <= MOST)
        sx_value_set(about, "masks", masks);
    else
        sx_value_free(masks);
    return about;
}

static enum sx_status scale_of(const struct run *run, const struct sx_ids *ids, float *scale,
                               struct sx_error *err)
{
    *scale = run->asked.embed_scale;
    if (!isnan(*scale))
        return SX_OK;
    *scale = 1;
    if (run->info->family != SX_MODEL_ESM2)
        return SX_OK;
    return sx_embed_scale(run->info, ids->ids, ids->n, scale, err);
}

static enum sx_status positions_of(const struct run *run, size_t T, float **out,
                                   struct sx_error *err)
{
    const struct asked *asked = &run->asked;
    if (asked->positions && asked->n_positions != T)
        return sx_fail(err, SX_ERR_SHAPE,
                       "run: --positions: %zu numbers, but the sequence has %zu tokens",
                       asked->n_positions, T);
    *out = sx_xcalloc(T + 1, sizeof **out);
    for (size_t i = 0; i < T; i++)
        (*out)[i] = asked->positions ? asked->positions[i] : (float)i;
    return SX_OK;
}

static enum sx_status pass_over(struct run *run, const struct sx_model_input *input,
                                const float *positions, float scale, struct kept *kept,
                                struct sx_error *err)
{
    struct sx_bound bound = {0};
    const struct sx_bind_to to = {
        .info = run->info, .n_tokens = input->ids.n, .positions = positions};
    enum sx_status status = sx_specs_bind(run->asked.specs, run->asked.n_specs, &to, &bound, err);
    const struct sx_sequence sequence = {.ids = input->ids.ids,
                                         .n = input->ids.n,
                                         .positions = run->asked.positions ? positions : NULL,
                                         .embed_scale = scale,
                                         .rows = kept->rows,
                                         .n_rows = kept->n_rows};
    struct sx_pass pass = {.sequences = &sequence,
                           .n_sequences = 1,
                           .hooks = sx_bound_hooks(&bound),
                           .attend_pads = run->asked.attend_pads,
                           .logits = kept->logits};
    pass.hooks.captures = kept->captures;
    pass.hooks.n_captures = kept->n_captures;
    if (status == SX_OK)
        status = sx_run_pass(run->runner, &pass, &run->job->task, err);
    sx_bound_release(&bound);
    return status;
}

static enum sx_status write_kept(struct run *run, const struct sx_model_input *input,
                                 const struct chosen *chosen, const float *positions, float scale,
                                 struct kept *kept, struct sx_error *err)
{
    SX_TRY(add_context(&input->ids, chosen, positions, kept, err));
    SX_TRY(add_texts(run, &input->ids, kept, err));
    struct sx_value *about = attributes_of(run, input, scale);
    const enum sx_status status =
        sx_run_file_add(run->file, kept->tensors, kept->n_tensors, about, err);
    kept->n_tensors = 0; /* taken */
    sx_value_free(about);
    return status;
}

static enum sx_status run_planned(struct run *run, const struct sx_model_input *input,
                                  const struct chosen *chosen, float *positions, struct kept *kept,
                                  struct sx_error *err)
{
    const size_t T = input->ids.n;
    float scale;
    SX_TRY(scale_of(run, &input->ids, &scale, err));
    plan_rows(run, chosen, T, kept);
    const uint64_t bytes = bytes_of(run, chosen, T, kept);
    SX_TRY(sx_model_must_fit(run->job->args, run->model, &T, 1, run->held + bytes,
                             "choose --tokens, --layers, --heads, --keys or fewer points, or raise "
                             "--max-memory",
                             err));
    SX_TRY(allocate(run, chosen, T, kept, err));
    const double started = sx_clock();
    SX_TRY(pass_over(run, input, positions, scale, kept, err));
    struct sx_value *out = sx_value_append(run->sequences, sx_value_map());
    if (input->name)
        sx_document_text(out, "name", input->name);
    sx_document_int(out, "n", (int64_t)T);
    sx_value_set(out, "ids", ids_list(input->ids.ids, T));
    sx_value_set(out, "masks", masks_list(run->info, &input->ids));
    sx_value_set(out, "embed_scale", sx_value_real((double)scale));
    sx_value_set(out, "seconds", sx_value_real(sx_clock() - started));
    if (kept->n_rows > 0)
        describe_rows(run, &input->ids, kept, out);
    if (kept->logits_kept && kept->logits) {
        struct sx_tensor_out logits = shape_of(run->info, SX_POINT_LOGITS, chosen, T);
        logits.data = kept->logits;
        kept->logits = NULL;
        kept->tensors[kept->n_tensors++] = logits;
    }
    describe_captured(kept, out);
    if (!run->file)
        return SX_OK;
    if (sx_run_file_holds(run->file))
        run->held += bytes;
    return write_kept(run, input, chosen, positions, scale, kept, err);
}

static enum sx_status run_one(struct run *run, const struct sx_model_input *input,
                              struct sx_error *err)
{
    struct chosen chosen = {0};
    struct kept kept = {0};
    float *positions = NULL;
    enum sx_status status = choose(&run->asked, run->info, input->ids.n, &chosen, err);
    if (status == SX_OK)
        status = positions_of(run, input->ids.n, &positions, err);
    if (status == SX_OK)
        status = run_planned(run, input, &chosen, positions, &kept, err);
    release_kept(&kept);
    release_chosen(&chosen);
    sx_free(positions);
    return status;
}

/* --- the command ------------------------------------------------------------------------------ */

static enum sx_status open_file(struct run *run, const char *path, struct sx_error *err)
{
    const bool force = sx_value_bool_or(sx_value_get(run->job->args, "force"), false);
    SX_TRY(sx_may_write(path, force, err));
    struct sx_value *about = sx_value_map();
    enum sx_status status = sx_model_tell(run->model, about, err);
    struct sx_str texts = SX_STR_INIT;
    for (size_t i = 0; i < run->asked.n_specs; i++)
        sx_str_printf(&texts, "%s%s", i ? "\n" : "", run->asked.specs[i].text);
    struct sx_str line = SX_STR_INIT;
    sx_str_append(&line, "sextant ");
    sx_command_format(run->job->command, run->job->args, &line);
    sx_document_int(about, "schema", 1);
    sx_document_text(about, "tool", "sextant " SX_VERSION);
    sx_document_text(about, "interventions", texts.data);
    sx_document_text(about, "kind", "run");
    sx_document_text(about, "command", "run");
    sx_document_text(about, "line", line.data);
    sx_document_int(about, "sequences", (int64_t)run->inputs.n);
    if (status == SX_OK)
        status = sx_run_file_create(path, force, run->inputs.n, about, &run->file, err);
    sx_str_release(&texts);
    sx_str_release(&line);
    sx_value_free(about);
    return status;
}

/* So that predictions can be read where the tokenizer is not at hand. */
static enum sx_status add_vocabulary(const struct run *run, struct sx_error *err)
{
    enum { TEXT = 16 };
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(run->model);
    const size_t V = (size_t)run->info->vocab;
    if (!run->asked.points[SX_POINT_LOGITS] || !tokenizer || sx_run_file_holds(run->file))
        return SX_OK;
    char *texts = sx_calloc_big(V, TEXT);
    if (!texts)
        return sx_fail(err, SX_ERR_NOMEM, "run: no memory for the texts of %zu tokens", V);
    for (size_t v = 0; v < V; v++)
        sx_token_label(tokenizer, (int32_t)v, texts + v * TEXT, TEXT);
    const struct sx_tensor_out tensor = {
        .name = "vocab_texts", .dtype = SX_DTYPE_U8, .rank = 2, .shape = {V, TEXT}, .data = texts};
    return sx_run_file_add_common(run->file, &tensor, 1, err);
}

static enum sx_status run_all(struct run *run, struct sx_error *err)
{
    const struct sx_value *args = run->job->args;
    SX_TRY(sx_model_use(args, &run->model, &run->runner, err));
    run->info = sx_model_info(run->model);
    SX_TRY(read_asked(args, run->info, &run->asked, err));
    SX_TRY(sx_model_inputs_read("run", args, run->model, &run->inputs, err));
    if (sx_arg_text(args, "out")) {
        SX_TRY(open_file(run, sx_arg_text(args, "out"), err));
        SX_TRY(add_vocabulary(run, err));
    }
    for (size_t i = 0; i < run->inputs.n; i++) {
        SX_TRY(sx_task_step_to(&run->job->task, i, run->inputs.n, i + 1));
        SX_TRY(run_one(run, &run->inputs.item[i], err));
    }
    if (!run->file)
        return SX_OK;
    struct sx_run_file *file = run->file;
    run->file = NULL;
    return sx_run_file_commit(file, err);
}

SX_RUN(run)
{
    struct run run = {.job = job, .sequences = sx_value_list()};
    const enum sx_status status = run_all(&run, err);
    if (status == SX_OK) {
        job->document = sx_document_new();
        sx_document_text(job->document, "model", run.info->name);
        sx_document_text(job->document, "family", sx_model_family_name(run.info->family));
        sx_document_text(job->document, "out", sx_arg_text(job->args, "out"));
        sx_value_set(job->document, "interventions", texts_of(&run.asked));
        sx_value_set(job->document, "sequences", run.sequences);
        run.sequences = NULL;
        sx_model_inputs_tell(&run.inputs, job->document);
    }
    sx_run_file_discard(run.file);
    sx_value_free(run.sequences);
    sx_model_inputs_release(&run.inputs);
    release_asked(&run.asked);
    sx_runner_free(run.runner);
    sx_model_unref(run.model);
    return status;
}

static void print_top(const struct sx_value *sequence, struct sx_str *out)
{
    const struct sx_value *top = sx_value_get(sequence, "top");
    for (size_t i = 0; i < sx_value_count(top); i++) {
        const struct sx_value *one = sx_value_item(top, i);
        const struct sx_value *tokens = sx_value_get(one, "tokens");
        sx_str_printf(out, "  token %-6lld",
                      (long long)sx_value_int_or(sx_value_get(one, "pos"), 0));
        for (size_t t = 0; t < sx_value_count(tokens); t++)
            sx_str_printf(out, "  %s %.3f",
                          sx_value_string_or(sx_value_get(sx_value_item(tokens, t), "token"), ""),
                          sx_value_real_or(sx_value_get(sx_value_item(tokens, t), "p"), 0));
        sx_str_append_char(out, '\n');
    }
}

SX_PRINT(run)
{
    const struct sx_value *sequences = sx_value_get(document, "sequences");
    sx_print_warnings(document, out);
    for (size_t i = 0; i < sx_value_count(sequences); i++) {
        const struct sx_value *one = sx_value_item(sequences, i);
        const struct sx_value *captured = sx_value_get(one, "captured");
        sx_str_printf(out, "%s%s%lld tokens, mean log probability ",
                      sx_value_string_or(sx_value_get(one, "name"), ""),
                      sx_value_get(one, "name") ? ": " : "",
                      (long long)sx_value_int_or(sx_value_get(one, "n"), 0));
        sx_print_number(out, sx_value_get(one, "mean_logprob"), 0, 4);
        sx_str_printf(out, ", %.3f s\n", sx_value_real_or(sx_value_get(one, "seconds"), 0));
        for (size_t c = 0; c < sx_value_count(captured); c++) {
            sx_str_printf(out, "  %-16s [", sx_value_key(captured, c));
            const struct sx_value *shape = sx_value_item(captured, c);
            for (size_t d = 0; d < sx_value_count(shape); d++)
                sx_str_printf(out, "%s%lld", d ? ", " : "",
                              (long long)sx_value_int_or(sx_value_item(shape, d), 0));
            sx_str_append(out, "]\n");
        }
        print_top(one, out);
    }
    const char *path = sx_value_string_or(sx_value_get(document, "out"), NULL);
    if (path)
        sx_str_printf(out, "%s\n", path);
    else
        sx_str_append(out, "nothing was written; keep the arrays with --out F.run.h5\n");
}
