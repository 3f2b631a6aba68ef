#include "stored_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"
#include "sextant/io/h5.h"
#include "sextant/model/names.h"
#include "sextant/model/tokenizer.h"

enum {
    MAX_LAYERS = 4096,
    MAX_HEADS = 4096,
    MAX_WIDTH = 1 << 20,
    MAX_VOCAB = 1 << 22,
    MAX_RECORDS = 1 << 20,
    MAX_PATTERN = 1 << 28, /* attention of one query in every head */
    NAME_BYTES = 60,
    INTERVENTION_BYTES = 4096,
    SHOWN_INTERVENTIONS = 60,
    LINE_BYTES = 4096,
    BLOCK_BYTES = 4 << 20, /* read at a time */
};

/* --- what the file says -------------------------------------------------------------------------
 */

static enum sx_status read_size(const char *path, const struct sx_value *about, const char *key,
                                size_t most, size_t *out, struct sx_error *err)
{
    const int64_t value = sx_value_int_or(sx_value_get(about, key), 0);
    if (value < 1 || (uint64_t)value > most)
        return sx_fail(err, SX_ERR_FORMAT, "%s: attribute `%s`: expected 1 to %zu, found %lld",
                       path, key, most, (long long)value);
    *out = (size_t)value;
    return SX_OK;
}

static enum sx_status read_family(const char *path, const struct sx_value *about,
                                  enum sx_model_family *out, struct sx_error *err)
{
    static const enum sx_model_family families[] = {SX_MODEL_ESM2, SX_MODEL_GPT_NEOX};
    const char *name = sx_value_string_or(sx_value_get(about, "family"), "");
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(name, sx_model_family_name(families[i])) == 0) {
            *out = families[i];
            return SX_OK;
        }
    return sx_fail(err, SX_ERR_FORMAT,
                   "%s: attribute `family`: expected ESM-2 or GPT-NeoX, found '%.40s'", path, name);
}

/* The attributes of the root; the name is not owned. */
static enum sx_status read_about(const char *path, const struct sx_value *about,
                                 struct sx_stored_run *run, struct sx_error *err)
{
    const char *tool = sx_value_string_or(sx_value_get(about, "tool"), "");
    const char *kind = sx_value_string_or(sx_value_get(about, "kind"), "");
    if (strncmp(tool, "sextant", 7) != 0)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: attribute `tool`: expected sextant: not one of its runs", path);
    run->answer = strcmp(kind, "result") == 0 ? sx_answer_kind_in(about) : NULL;
    if (strcmp(kind, "run") != 0 && !run->answer)
        return sx_fail(err, SX_ERR_NOTFOUND,
                       "%s: attribute `kind`: expected run, found '%.40s': it holds neither "
                       "activations nor arrays that a screen shows",
                       path, kind);
    SX_TRY(read_family(path, about, &run->family, err));
    SX_TRY(read_size(path, about, "layers", MAX_LAYERS, &run->n_layers, err));
    SX_TRY(read_size(path, about, "heads", MAX_HEADS, &run->n_heads, err));
    SX_TRY(read_size(path, about, "vocab", MAX_VOCAB, &run->vocab, err));
    if (run->answer && run->answer->slot == SX_SLOT_NTERM) /* of the model alone */
        return SX_OK;
    return read_size(path, about, "sequences", MAX_RECORDS, &run->n_records, err);
}

/* Runs of earlier versions do not tell these. */
static void read_bands(const struct sx_value *about, struct sx_model_info *info)
{
    const int64_t bands = sx_value_int_or(sx_value_get(about, "bands"), 0);
    const double theta = sx_value_real_or(sx_value_get(about, "rope_theta"), 0);
    info->n_bands = bands > 0 && bands <= SX_MAX_BANDS ? (uint64_t)bands : 0;
    info->rope_theta = theta > 1 && isfinite(theta) ? theta : 0;
}

enum sx_status sx_stored_model(const char *path, const struct sx_value *run,
                               struct sx_model_info *info, struct sx_error *err)
{
    struct sx_stored_run says = {0};
    size_t d_model;
    SX_TRY(read_about(path, run, &says, err));
    SX_TRY(read_size(path, run, "d_model", MAX_WIDTH, &d_model, err));
    const char *name = sx_value_string_or(sx_value_get(run, "model"), "");
    *info = (struct sx_model_info){
        .path = sx_xstrdup(path),
        .name = sx_text_clean_dup(name, strlen(name), NAME_BYTES),
        .family = says.family,
        .n_layers = says.n_layers,
        .n_heads = says.n_heads,
        .d_model = d_model,
        .d_head = d_model / says.n_heads,
        .vocab = says.vocab,
        .has_lm_head = true,
    };
    read_bands(run, info);
    return SX_OK;
}

/* A dataset of the run's sequence; owned. */
static char *dataset_of(const struct sx_stored_run *run, const char *name)
{
    return run->n_records > 1 ? sx_xasprintf("/%zu/%s", run->record - 1, name)
                              : sx_xasprintf("/%s", name);
}

static enum sx_status check_shape(struct sx_h5 *h5, const char *path, const char *dataset, int rank,
                                  const uint64_t *expected, struct sx_error *err)
{
    enum sx_dtype dtype;
    uint64_t shape[8] = {0};
    int found;
    struct sx_str says = SX_STR_INIT;
    SX_TRY(sx_h5_shape(h5, dataset, &dtype, &found, shape, err));
    if (found == rank && memcmp(shape, expected, (size_t)rank * sizeof *shape) == 0 &&
        sx_dtype_is_number(dtype))
        return SX_OK;
    for (int i = 0; i < rank; i++)
        sx_str_printf(&says, "%s%llu", i ? ", " : "", (unsigned long long)expected[i]);
    sx_str_append(&says, "], found [");
    for (int i = 0; i < found; i++)
        sx_str_printf(&says, "%s%llu", i ? ", " : "", (unsigned long long)shape[i]);
    sx_fail(err, SX_ERR_SHAPE, "%s: %s: expected numbers [%s]", path, dataset, says.data);
    sx_str_release(&says);
    return SX_ERR_SHAPE;
}

/* --- the input ----------------------------------------------------------------------------------
 */

static enum sx_status read_ids(struct sx_h5 *h5, struct sx_stored_run *run, size_t max_tokens,
                               struct sx_input *out, struct sx_error *err)
{
    enum sx_dtype dtype;
    int rank;
    uint64_t shape[8];
    char *name = dataset_of(run, "ids");
    enum sx_status status = sx_h5_shape(h5, name, &dtype, &rank, shape, err);
    if (status == SX_OK &&
        (rank != 1 || shape[0] < 1 || shape[0] > max_tokens || !sx_dtype_is_number(dtype)))
        status = sx_fail(err, SX_ERR_FORMAT, "%s: %s: expected one row of 1 to %zu token ids",
                         run->path, name, max_tokens);
    if (status == SX_OK) {
        run->n = out->n = (size_t)shape[0];
        out->ids = sx_xcalloc(out->n, sizeof *out->ids);
        status = sx_h5_read(h5, name, SX_DTYPE_I32, out->n, out->ids, err);
    }
    for (size_t t = 0; t < out->n && status == SX_OK; t++)
        if (out->ids[t] < 0 || (size_t)out->ids[t] >= run->vocab)
            status = sx_fail(err, SX_ERR_FORMAT,
                             "%s: %s: token %zu: id %d, but the vocabulary has "
                             "%zu",
                             run->path, name, t, out->ids[t], run->vocab);
    sx_free(name);
    return status;
}

/* [n, 16] of text that ends in NUL or at the row's end. */
static enum sx_status read_texts(struct sx_h5 *h5, const char *path, const char *dataset, size_t n,
                                 struct sx_token_text *out, struct sx_error *err)
{
    enum { TEXT = sizeof out->text };
    const uint64_t shape[] = {n, TEXT};
    SX_TRY(check_shape(h5, path, dataset, 2, shape, err));
    char *texts = sx_alloc_big(n, TEXT);
    if (!texts)
        return sx_fail(err, SX_ERR_NOMEM, "%s: %s: no memory for %zu texts", path, dataset, n);
    const enum sx_status status = sx_h5_read(h5, dataset, SX_DTYPE_U8, n * TEXT, texts, err);
    for (size_t i = 0; i < n && status == SX_OK; i++)
        sx_text_clean(out[i].text, TEXT, texts + i * TEXT, strnlen(texts + i * TEXT, TEXT));
    sx_free(texts);
    return status;
}

/* Without a tokenizer `run` writes no texts: then the ids stand for the tokens. */
static enum sx_status read_tokens(struct sx_h5 *h5, const struct sx_stored_run *run,
                                  struct sx_input *out, struct sx_error *err)
{
    char *name = dataset_of(run, "token_texts");
    enum sx_status status = SX_OK;
    out->original = sx_xcalloc(out->n, sizeof *out->original);
    out->tokens = sx_xcalloc(out->n, sizeof *out->tokens);
    out->masked = sx_xcalloc(out->n, sizeof *out->masked);
    memcpy(out->original, out->ids, out->n * sizeof *out->original);
    const bool texts = sx_h5_kind(h5, name) == SX_H5_DATASET;
    if (texts)
        status = read_texts(h5, run->path, name, out->n, out->tokens, err);
    for (size_t t = 0; t < out->n; t++) {
        if (!texts)
            snprintf(out->tokens[t].text, sizeof out->tokens[t].text, "#%d", out->ids[t]);
        out->masked[t] = run->family == SX_MODEL_ESM2 && out->ids[t] == SX_ESM_MASK;
    }
    sx_free(name);
    return status;
}

/* One line of what stands on several in the file. */
static char *interventions_of(const struct sx_value *about)
{
    const char *text = sx_value_string_or(sx_value_get(about, "interventions"), "");
    struct sx_str line = SX_STR_INIT;
    for (size_t i = 0; text[i] && i < INTERVENTION_BYTES; i++)
        if (text[i] == '\n')
            sx_str_append(&line, "; ");
        else
            sx_str_append_char(&line, text[i]);
    char *clean = sx_text_clean_dup(line.data ? line.data : "", line.len, INTERVENTION_BYTES);
    sx_str_release(&line);
    return clean;
}

static void append_cut(struct sx_str *out, const char *text, size_t most)
{
    char *cut = sx_text_clean_dup(text, strlen(text), most);
    sx_str_printf(out, "%s%s", cut, strlen(text) > most ? "…" : "");
    sx_free(cut);
}

/* "name · stored run 2 of 3 · ctx@layers=1=zero" */
static char *title_of(const struct sx_stored_run *run, const struct sx_input *input,
                      const char *name)
{
    struct sx_str title = SX_STR_INIT;
    struct sx_str start = SX_STR_INIT;
    for (size_t t = 0; t < input->n && start.len <= NAME_BYTES; t++)
        if (run->family != SX_MODEL_ESM2 || input->ids[t] > SX_ESM_EOS)
            sx_str_append(&start, input->tokens[t].text);
    append_cut(&title, *name ? name : start.data ? start.data : "", NAME_BYTES);
    sx_str_append(&title, run->answer ? " · stored answer" : " · stored run");
    if (run->n_records > 1)
        sx_str_printf(&title, " %zu of %zu", run->record, run->n_records);
    if (*input->interventions) {
        sx_str_append(&title, " · ");
        append_cut(&title, input->interventions, SHOWN_INTERVENTIONS);
    }
    sx_str_release(&start);
    return sx_str_take(&title);
}

static enum sx_status read_sequence(struct sx_h5 *h5, const struct sx_value *about,
                                    struct sx_stored_run *run, size_t max_tokens,
                                    struct sx_input *out, struct sx_error *err)
{
    struct sx_value *own = NULL;
    SX_TRY(read_ids(h5, run, max_tokens, out, err));
    if (run->n_layers * run->n_heads > MAX_PATTERN / run->n)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: %zu layers of %zu heads over %zu tokens are more than %d numbers",
                       run->path, run->n_layers, run->n_heads, run->n, MAX_PATTERN);
    SX_TRY(read_tokens(h5, run, out, err));
    char *group = run->n_records > 1 ? sx_xasprintf("/%zu", run->record - 1) : sx_xstrdup("/");
    const enum sx_status status = sx_h5_read_attributes(h5, group, &own, err);
    sx_free(group);
    if (status != SX_OK)
        return status;
    out->interventions = interventions_of(about);
    out->title = title_of(run, out, sx_value_string_or(sx_value_get(own, "name"), ""));
    sx_value_free(own);
    return SX_OK;
}

static char *line_of(const struct sx_value *about)
{
    const char *line = sx_value_string_or(sx_value_get(about, "line"), "");
    return sx_text_clean_dup(line, strlen(line), LINE_BYTES);
}

static enum sx_status read_input(struct sx_h5 *h5, const struct sx_value *about,
                                 struct sx_stored_run *run, size_t max_tokens, struct sx_input *out,
                                 struct sx_error *err)
{
    SX_TRY(sx_stored_model(run->path, about, &out->info, err));
    SX_TRY(read_about(run->path, about, run, err));
    out->run = sx_xstrdup(run->path);
    out->text = sx_xstrdup("");
    if (run->answer)
        out->line = line_of(about);
    if (run->n_records == 0) {
        out->state = SX_STATE_READY;
        return SX_OK;
    }
    if (run->record < 1 || run->record > run->n_records)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: --record %zu, but the last one is %zu", run->path,
                       run->record, run->n_records);
    SX_TRY(read_sequence(h5, about, run, max_tokens, out, err));
    out->state = SX_STATE_READY;
    out->record = run->record;
    out->n_records = run->n_records;
    out->last_record = run->record == run->n_records;
    return SX_OK;
}

enum sx_status sx_stored_input(const char *path, size_t record, size_t max_tokens,
                               struct sx_input *out, const struct sx_answer_kind **answer,
                               struct sx_error *err)
{
    struct sx_h5 *h5 = NULL;
    struct sx_value *about = NULL;
    struct sx_stored_run run = {.path = sx_xstrdup(path), .record = record};
    enum sx_status status = sx_h5_open(path, &h5, err);
    if (status == SX_OK)
        status = sx_h5_read_attributes(h5, "/", &about, err);
    if (status == SX_OK)
        status = read_input(h5, about, &run, max_tokens, out, err);
    *answer = run.answer;
    sx_value_free(about);
    sx_h5_close(h5);
    sx_free(run.path);
    return status;
}

struct sx_stored_run *sx_stored_run_of(const struct sx_input *input)
{
    struct sx_stored_run *run = sx_xcalloc(1, sizeof *run);
    SX_ASSERT(input->run);
    *run = (struct sx_stored_run){
        .path = sx_xstrdup(input->run),
        .family = input->info.family,
        .record = input->record,
        .n_records = input->n_records,
        .n = input->n,
        .n_layers = (size_t)input->info.n_layers,
        .n_heads = (size_t)input->info.n_heads,
        .vocab = (size_t)input->info.vocab,
    };
    return run;
}

void sx_stored_run_free(struct sx_stored_run *run)
{
    if (!run)
        return;
    sx_free(run->path);
    sx_free(run);
}

/* --- arrays -------------------------------------------------------------------------------------
 */

struct part { /* the indices of one dimension that were kept; owned */
    uint32_t *index;
    size_t n;
};

/* All of `count` where the file names none. */
static enum sx_status read_part(struct sx_h5 *h5, const struct sx_stored_run *run, const char *what,
                                size_t count, struct part *out, struct sx_error *err)
{
    char *name = dataset_of(run, what);
    enum sx_status status = SX_OK;
    enum sx_dtype dtype;
    int rank;
    uint64_t shape[8] = {count};
    const bool named = sx_h5_kind(h5, name) == SX_H5_DATASET;
    if (named)
        status = sx_h5_shape(h5, name, &dtype, &rank, shape, err);
    if (named && status == SX_OK && (rank != 1 || shape[0] > count || !sx_dtype_is_number(dtype)))
        status = sx_fail(err, SX_ERR_FORMAT, "%s: %s: expected one row of at most %zu indices",
                         run->path, name, count);
    if (status == SX_OK) {
        out->n = (size_t)shape[0];
        out->index = sx_xcalloc(out->n + 1, sizeof *out->index);
        for (size_t i = 0; i < out->n; i++)
            out->index[i] = (uint32_t)i;
        if (named)
            status = sx_h5_read(h5, name, SX_DTYPE_U32, out->n, out->index, err);
    }
    for (size_t i = 0; i < out->n && status == SX_OK; i++)
        if (out->index[i] >= count)
            status = sx_fail(err, SX_ERR_FORMAT, "%s: %s: index %u, but there are %zu", run->path,
                             name, out->index[i], count);
    sx_free(name);
    return status;
}

/* Where `index` stands in the file; SIZE_MAX: it was not kept. */
static size_t place_of(const struct part *part, size_t index)
{
    for (size_t i = 0; i < part->n; i++)
        if (part->index[i] == index)
            return i;
    return SIZE_MAX;
}

/* An open file and one of its arrays. */
struct array {
    const struct sx_stored_run *run;
    struct sx_h5 *h5;
    char *name; /* owned */
    struct part layers, heads, tokens, keys;
};

static void array_close(struct array *array)
{
    sx_h5_close(array->h5);
    sx_free(array->name);
    sx_free(array->layers.index);
    sx_free(array->heads.index);
    sx_free(array->tokens.index);
    sx_free(array->keys.index);
}

/* For array_close also on failure. */
static enum sx_status array_open(const struct sx_stored_run *run, const char *point,
                                 struct array *array, struct sx_error *err)
{
    *array = (struct array){.run = run, .name = dataset_of(run, point)};
    SX_TRY(sx_h5_open(run->path, &array->h5, err));
    if (sx_h5_kind(array->h5, array->name) != SX_H5_DATASET)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s holds no %s; run again with --capture %s",
                       run->path, point, point);
    SX_TRY(read_part(array->h5, run, "layers", run->n_layers, &array->layers, err));
    SX_TRY(read_part(array->h5, run, "heads", run->n_heads, &array->heads, err));
    SX_TRY(read_part(array->h5, run, "tokens", run->n, &array->tokens, err));
    return read_part(array->h5, run, "keys", run->n, &array->keys, err);
}

static enum sx_status visit_logits(const struct array *array,
                                   void (*visit)(void *context, size_t token, const float *logits),
                                   void *context, struct sx_task *task, struct sx_error *err)
{
    const size_t V = array->run->vocab, rows = array->tokens.n;
    const uint64_t shape[] = {rows, V};
    SX_TRY(check_shape(array->h5, array->run->path, array->name, 2, shape, err));
    const size_t fit = BLOCK_BYTES / (V * sizeof(float));
    const size_t step = fit > 0 ? fit : 1;
    float *logits = sx_alloc_big(step * V, sizeof *logits);
    enum sx_status status = SX_OK;
    if (!logits)
        return sx_fail(err, SX_ERR_NOMEM, "%s: %s: no memory for its rows", array->run->path,
                       array->name);
    for (size_t first = 0; first < rows && status == SX_OK; first += step) {
        const size_t n = rows - first < step ? rows - first : step;
        status = sx_task_step(task, first, rows);
        if (status == SX_OK)
            status = sx_h5_read_rows(array->h5, array->name, SX_DTYPE_F32, first, n, logits, err);
        for (size_t i = 0; i < n && status == SX_OK; i++)
            visit(context, array->tokens.index[first + i], logits + i * V);
    }
    sx_free(logits);
    return status;
}

enum sx_status sx_stored_logits(const struct sx_stored_run *run,
                                void (*visit)(void *context, size_t token, const float *logits),
                                void *context, struct sx_task *task, struct sx_error *err)
{
    struct array array;
    enum sx_status status = array_open(run, "logits", &array, err);
    if (status == SX_OK)
        status = visit_logits(&array, visit, context, task, err);
    array_close(&array);
    return status;
}

enum sx_status sx_stored_labels(const struct sx_stored_run *run, struct sx_token_text **out,
                                struct sx_error *err)
{
    static const char name[] = "/vocab_texts";
    struct sx_h5 *h5 = NULL;
    enum sx_status status = SX_OK;
    *out = NULL;
    SX_TRY(sx_h5_open(run->path, &h5, err));
    if (sx_h5_kind(h5, name) == SX_H5_DATASET) {
        *out = sx_xcalloc(run->vocab, sizeof **out);
        status = read_texts(h5, run->path, name, run->vocab, *out, err);
    }
    sx_h5_close(h5);
    if (status != SX_OK) {
        sx_free(*out);
        *out = NULL;
    }
    return status;
}

static enum sx_status attn_open(const struct sx_stored_run *run, struct array *array,
                                struct sx_error *err)
{
    SX_TRY(array_open(run, "attn", array, err));
    const uint64_t shape[] = {array->layers.n, array->heads.n, array->tokens.n, array->keys.n};
    return check_shape(array->h5, run->path, array->name, 4, shape, err);
}

static enum sx_status not_kept(const struct array *array, const char *what, size_t index,
                               struct sx_error *err)
{
    return sx_fail(err, SX_ERR_NOTFOUND, "%s holds no attn of %s %zu; run again without --%ss",
                   array->run->path, what, index, what);
}

/* One query of one layer, from [heads, keys] of the file to [heads, n]. */
static void spread_query(const struct array *array, const float *from, float *out)
{
    for (size_t h = 0; h < array->heads.n; h++)
        for (size_t k = 0; k < array->keys.n; k++)
            out[array->heads.index[h] * array->run->n + array->keys.index[k]] =
                from[h * array->keys.n + k];
}

static enum sx_status read_query(const struct array *array, size_t query, float *out,
                                 struct sx_task *task, struct sx_error *err)
{
    const struct sx_stored_run *run = array->run;
    const size_t token = place_of(&array->tokens, query);
    if (token == SIZE_MAX)
        return not_kept(array, "token", query, err);
    float *part = sx_xcalloc(array->heads.n * array->keys.n + 1, sizeof *part);
    enum sx_status status = SX_OK;
    for (size_t l = 0; l < array->layers.n && status == SX_OK; l++) {
        const uint64_t start[] = {l, 0, token, 0};
        const uint64_t size[] = {1, array->heads.n, 1, array->keys.n};
        status = sx_task_step(task, l, array->layers.n);
        if (status == SX_OK)
            status = sx_h5_read_block(array->h5, array->name, SX_DTYPE_F32, start, size, part, err);
        if (status == SX_OK)
            spread_query(array, part, out + array->layers.index[l] * run->n_heads * run->n);
    }
    sx_free(part);
    return status;
}

static void fill_nan(float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)NAN;
}

enum sx_status sx_stored_attention(const struct sx_stored_run *run, size_t query, float *out,
                                   struct sx_task *task, struct sx_error *err)
{
    struct array array;
    fill_nan(out, run->n_layers * run->n_heads * run->n);
    enum sx_status status = attn_open(run, &array, err);
    if (status == SX_OK)
        status = read_query(&array, query, out, task, err);
    array_close(&array);
    return status;
}

static enum sx_status read_map(const struct array *array, size_t layer, size_t head, float *out,
                               struct sx_task *task, struct sx_error *err)
{
    const size_t l = place_of(&array->layers, layer), h = place_of(&array->heads, head);
    if (l == SIZE_MAX)
        return not_kept(array, "layer", layer, err);
    if (h == SIZE_MAX)
        return not_kept(array, "head", head, err);
    const size_t K = array->keys.n, rows = array->tokens.n;
    const size_t fit = BLOCK_BYTES / ((K + 1) * sizeof(float));
    const size_t step = fit > 0 ? fit : 1;
    float *block = sx_xcalloc(step * K + 1, sizeof *block);
    enum sx_status status = SX_OK;
    for (size_t first = 0; first < rows && status == SX_OK; first += step) {
        const size_t n = rows - first < step ? rows - first : step;
        const uint64_t start[] = {l, h, first, 0};
        const uint64_t size[] = {1, 1, n, K};
        status = sx_task_step(task, first, rows);
        if (status == SX_OK)
            status =
                sx_h5_read_block(array->h5, array->name, SX_DTYPE_F32, start, size, block, err);
        for (size_t i = 0; i < n * K && status == SX_OK; i++)
            out[array->tokens.index[first + i / K] * array->run->n + array->keys.index[i % K]] =
                block[i];
    }
    sx_free(block);
    return status;
}

enum sx_status sx_stored_map(const struct sx_stored_run *run, size_t layer, size_t head, float *out,
                             struct sx_task *task, struct sx_error *err)
{
    struct array array;
    fill_nan(out, run->n * run->n);
    enum sx_status status = attn_open(run, &array, err);
    if (status == SX_OK)
        status = read_map(&array, layer, head, out, task, err);
    array_close(&array);
    return status;
}
