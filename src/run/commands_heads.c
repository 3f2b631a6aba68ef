/* heads: what the weights say about every head, and, given a sequence, which of them read a token
 * out and what their scores are made of. */
#include "commands_private.h"

#include <math.h>
#include <string.h>

#include "circuit_words.h"
#include "document.h"
#include "model_input.h"
#include "print_terms.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/circuit.h"

struct heads {
    struct sx_job *job;
    struct sx_model *model;
    const struct sx_model_info *info;
    struct sx_runner *runner;
    struct sx_model_inputs inputs;
    size_t L, H, d;
    /* With a sequence: */
    const struct sx_ids *ids; /* NULL: weights alone */
    size_t query, key;
    int32_t target, against;
    int32_t *targets; /* the 20 residues and the target; GPT-NeoX: the target */
    size_t n_targets;
    double *readout;          /* [L,H,n_targets] */
    double *attention;        /* [L,H] */
    float *at_query, *at_key; /* [L,D] behind the first LayerNorm */
};

static bool given(const struct heads *h, const char *name)
{
    return sx_value_get(h->job->args, name) != NULL;
}

/* --- what is asked ------------------------------------------------------------------------------
 */

static enum sx_status read_place(struct heads *h, const char *name, size_t *out,
                                 struct sx_error *err)
{
    *out = (size_t)sx_value_int_or(sx_value_get(h->job->args, name), 0);
    if (*out < h->ids->n)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE, "heads: --%s %zu, but the last token is %zu", name, *out,
                   h->ids->n - 1);
}

static enum sx_status read_sequence(struct heads *h, struct sx_error *err)
{
    const struct sx_value *args = h->job->args;
    const char *target = sx_arg_text(args, "target");
    SX_TRY(sx_model_must_predict(h->model, "heads", err));
    SX_TRY(sx_model_inputs_read("heads", args, h->model, &h->inputs, err));
    if (h->inputs.n != 1)
        return sx_fail(err, SX_ERR_USAGE, "heads: %zu sequences; give one at a time", h->inputs.n);
    h->ids = &h->inputs.item[0].ids;
    SX_TRY(read_place(h, "key", &h->key, err));
    if (given(h, "query"))
        SX_TRY(read_place(h, "query", &h->query, err));
    else
        SX_TRY(
            sx_default_query(h->model, "heads", "query", h->ids->ids, h->ids->n, &h->query, err));
    if (h->info->family == SX_MODEL_GPT_NEOX && h->key > h->query)
        return sx_fail(err, SX_ERR_USAGE, "heads: token %zu does not see the later token %zu",
                       h->query, h->key);
    SX_TRY(sx_read_against(h->model, "heads", sx_arg_text(args, "against"), &h->against, err));
    if (target)
        return sx_read_token(h->model, "heads", "target", target, &h->target, err);
    return sx_default_target(h->runner, h->ids->ids, h->ids->n, h->query, &h->target, &h->job->task,
                             err);
}

/* The target stands last. */
static void choose_targets(struct heads *h)
{
    h->targets = sx_xcalloc(SX_ESM_VOCAB, sizeof *h->targets);
    for (int32_t id = SX_ESM_FIRST_RESIDUE;
         id <= SX_ESM_LAST_RESIDUE && h->info->family == SX_MODEL_ESM2; id++)
        h->targets[h->n_targets++] = id;
    h->targets[h->n_targets++] = h->target;
}

static enum sx_status run_sequence(struct heads *h, struct sx_error *err)
{
    const size_t rows = h->L * (size_t)h->info->d_model;
    const uint32_t query = (uint32_t)h->query;
    const uint32_t key = (uint32_t)h->key;
    const struct sx_sequence sequence = {.ids = h->ids->ids, .n = h->ids->n, .embed_scale = NAN};
    h->readout = sx_xcalloc(h->L * h->H * h->n_targets, sizeof *h->readout);
    h->attention = sx_xcalloc(h->L * h->H, sizeof *h->attention);
    h->at_query = sx_xcalloc(rows, sizeof *h->at_query);
    h->at_key = sx_xcalloc(rows, sizeof *h->at_key);
    const struct sx_capture captures[] = {
        {.point = SX_POINT_ATTN_LN, .tokens = {&query, 1}, .out = h->at_query},
        {.point = SX_POINT_ATTN_LN, .tokens = {&key, 1}, .out = h->at_key},
    };
    const struct sx_pass pass = {
        .sequences = &sequence, .n_sequences = 1, .hooks = {.captures = captures, .n_captures = 2}};
    SX_TRY(sx_model_must_fit(h->job->args, h->model, &h->ids->n, 1, 0,
                             "give a shorter sequence, or raise --max-memory", err));
    SX_TRY(sx_run_pass(h->runner, &pass, &h->job->task, err));
    return sx_ov_readout(h->runner, &sequence, h->query, h->key, h->targets, h->n_targets,
                         h->against, h->readout, h->attention, &h->job->task, err);
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

/* As many equal values as would be as uneven: (Σ s²)² / Σ s⁴. */
static double effective_rank(const double *values, size_t n)
{
    double two = 0;
    double four = 0;
    for (size_t i = 0; i < n; i++) {
        const double square = values[i] * values[i];
        two += square;
        four += square * square;
    }
    return four > 0 ? two * two / four : 0;
}

static enum sx_status describe_weights(const struct heads *h, size_t layer, size_t head,
                                       struct sx_value *one, struct sx_error *err)
{
    double *ov = sx_xcalloc(2 * h->d, sizeof *ov);
    double *qk = ov + h->d;
    enum sx_status status = sx_ov_singular_values(h->model, layer, head, ov, err);
    if (status == SX_OK)
        status = sx_qk_singular_values(h->model, layer, head, qk, err);
    if (status == SX_OK) {
        sx_value_set(one, "ov", reals(ov, h->d));
        sx_value_set(one, "ov_rank", sx_value_real(effective_rank(ov, h->d)));
        sx_value_set(one, "qk", reals(qk, h->d));
        sx_value_set(one, "qk_rank", sx_value_real(effective_rank(qk, h->d)));
    }
    sx_free(ov);
    return status;
}

static enum sx_status describe_reading(const struct heads *h, size_t layer, size_t head,
                                       struct sx_value *one, struct sx_error *err)
{
    const size_t at = layer * h->H + head;
    const size_t D = (size_t)h->info->d_model;
    const double *readout = h->readout + at * h->n_targets;
    const double of_target = readout[h->n_targets - 1];
    struct sx_qk_terms terms;
    SX_TRY(sx_qk_terms(h->model, layer, head, h->at_query + layer * D, (double)h->query,
                       h->at_key + layer * D, (double)h->key, &terms, err));
    sx_value_set(one, "attention", sx_value_real(h->attention[at]));
    sx_value_set(one, "readout", sx_value_real(of_target));
    sx_value_set(one, "writes", sx_value_real(h->attention[at] * of_target));
    struct sx_value *residues = NULL;
    for (size_t t = 0; t + 1 < h->n_targets; t++) {
        char name[16];
        sx_token_text(h->model, h->targets[t], name, sizeof name);
        residues = residues ? residues : sx_value_set(one, "residues", sx_value_map());
        sx_value_set(residues, name, sx_value_real(readout[t]));
    }
    struct sx_value *score = sx_value_set(one, "score", sx_value_map());
    sx_value_set(score, "weight_weight", sx_value_real(terms.weight_weight));
    sx_value_set(score, "weight_bias", sx_value_real(terms.weight_bias));
    sx_value_set(score, "bias_weight", sx_value_real(terms.bias_weight));
    sx_value_set(score, "bias_bias", sx_value_real(terms.bias_bias));
    return SX_OK;
}

static enum sx_status describe_heads(const struct heads *h, struct sx_value *document,
                                     struct sx_error *err)
{
    struct sx_value *list = sx_value_set(document, "heads", sx_value_list());
    for (size_t l = 0; l < h->L; l++)
        for (size_t i = 0; i < h->H; i++) {
            SX_TRY(sx_task_step(&h->job->task, l * h->H + i, h->L * h->H));
            struct sx_value *one = sx_value_append(list, sx_value_map());
            sx_document_int(one, "layer", (int64_t)l);
            sx_document_int(one, "head", (int64_t)i);
            SX_TRY(describe_weights(h, l, i, one, err));
            if (h->ids)
                SX_TRY(describe_reading(h, l, i, one, err));
        }
    return SX_OK;
}

/* What a mask in layer 0 gives <cls>, by its position alone: scores [heads][n] and their bands. */
static enum sx_status describe_profile(const struct heads *h, struct sx_value *document,
                                       struct sx_error *err)
{
    const size_t n = (size_t)sx_value_int_or(sx_value_get(h->job->args, "profile"), 64);
    const size_t B = (size_t)h->info->n_bands;
    if (h->info->family != SX_MODEL_ESM2 || !h->info->token_dropout || n == 0)
        return SX_OK;
    double *profile = sx_alloc_big(h->H * B, n * sizeof *profile);
    if (!profile)
        return sx_fail(err, SX_ERR_NOMEM, "heads: no memory for a profile of %zu positions", n);
    const enum sx_status status = sx_position_profile(h->model, 1, n, 0, profile, err);
    struct sx_value *map = sx_value_map();
    sx_document_int(map, "first", 1);
    struct sx_value *heads = sx_value_set(map, "scores", sx_value_list());
    struct sx_value *bands = sx_value_set(map, "bands", sx_value_list());
    for (size_t i = 0; i < h->H && status == SX_OK; i++) {
        struct sx_value *parts = sx_value_append(bands, sx_value_list());
        double *sum = sx_xcalloc(n, sizeof *sum);
        for (size_t b = 0; b < B; b++) {
            const double *band = profile + (i * B + b) * n;
            sx_value_append(parts, reals(band, n));
            for (size_t p = 0; p < n; p++)
                sum[p] += band[p];
        }
        sx_value_append(heads, reals(sum, n));
        sx_free(sum);
    }
    sx_value_set(document, "layer0_mask_to_bos", map);
    sx_free(profile);
    return status;
}

static void copy_number(struct sx_value *row, const char *key, const struct sx_value *from)
{
    if (from)
        sx_value_set(row, key, sx_value_dup(from));
}

static struct sx_value *rows_of(const struct sx_value *heads)
{
    static const char *const keys[] = {"layer",     "head",    "ov_rank", "qk_rank",
                                       "attention", "readout", "writes"};
    struct sx_value *rows = sx_value_list();
    for (size_t i = 0; i < sx_value_count(heads); i++) {
        const struct sx_value *one = sx_value_item(heads, i);
        const struct sx_value *score = sx_value_get(one, "score");
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            copy_number(row, keys[k], sx_value_get(one, keys[k]));
            if (k == 1)
                copy_number(row, "ov_largest", sx_value_item(sx_value_get(one, "ov"), 0));
            if (k == 2)
                copy_number(row, "qk_largest", sx_value_item(sx_value_get(one, "qk"), 0));
        }
        for (size_t k = 0; k < sx_value_count(score); k++)
            copy_number(row, sx_value_key(score, k), sx_value_item(score, k));
    }
    return rows;
}

static enum sx_status describe(struct heads *h, struct sx_error *err)
{
    struct sx_value *document = h->job->document = sx_document_new();
    char word[64];
    sx_document_text(document, "model", h->info->name);
    if (h->ids) {
        sx_token_word(h->model, h->target, word, sizeof word);
        sx_document_int(document, "query", (int64_t)h->query);
        sx_document_int(document, "key", (int64_t)h->key);
        sx_document_text(document, "target", word);
        sx_against_word(h->model, h->against, word, sizeof word);
        if (word[0])
            sx_document_text(document, "against", word);
    }
    SX_TRY(describe_heads(h, document, err));
    SX_TRY(describe_profile(h, document, err));
    sx_value_set(document, "rows", rows_of(sx_value_get(document, "heads")));
    sx_model_inputs_tell(&h->inputs, document);
    return SX_OK;
}

/* --- the command --------------------------------------------------------------------------------
 */

static enum sx_status heads_all(struct heads *h, struct sx_error *err)
{
    SX_TRY(sx_model_use(h->job->args, &h->model, &h->runner, err));
    h->info = sx_model_info(h->model);
    h->L = (size_t)h->info->n_layers;
    h->H = (size_t)h->info->n_heads;
    h->d = (size_t)h->info->d_head;
    if (given(h, "seq") || given(h, "fasta") || given(h, "prompt") || given(h, "ids")) {
        SX_TRY(read_sequence(h, err));
        choose_targets(h);
        SX_TRY(run_sequence(h, err));
    }
    return describe(h, err);
}

SX_RUN(heads)
{
    struct heads h = {.job = job};
    const enum sx_status status = heads_all(&h, err);
    sx_free(h.targets);
    sx_free(h.readout);
    sx_free(h.attention);
    sx_free(h.at_query);
    sx_free(h.at_key);
    sx_model_inputs_release(&h.inputs);
    sx_runner_free(h.runner);
    sx_model_unref(h.model);
    return status;
}

/* --- for people ---------------------------------------------------------------------------------
 */

static double real_at(const struct sx_value *map, const char *key)
{
    return sx_value_real_or(sx_value_get(map, key), (double)NAN);
}

static void print_row(const struct sx_value *row, bool reading, struct sx_str *out)
{
    sx_str_printf(out, "L%lld.H%-6lld %10.4f %6.1f %10.4f %6.1f",
                  (long long)sx_value_int_or(sx_value_get(row, "layer"), 0),
                  (long long)sx_value_int_or(sx_value_get(row, "head"), 0),
                  real_at(row, "ov_largest"), real_at(row, "ov_rank"), real_at(row, "qk_largest"),
                  real_at(row, "qk_rank"));
    if (reading)
        sx_str_printf(out, " %9.4f %+9.4f %+9.4f %+8.3f %+8.3f %+8.3f %+8.3f",
                      real_at(row, "attention"), real_at(row, "readout"), real_at(row, "writes"),
                      real_at(row, "weight_weight"), real_at(row, "weight_bias"),
                      real_at(row, "bias_weight"), real_at(row, "bias_bias"));
    sx_str_append_char(out, '\n');
}

SX_PRINT(heads)
{
    const bool reading = sx_value_get(document, "target") != NULL;
    struct sx_value *rows = reading ? sx_rows_by_size(sx_value_get(document, "rows"), "writes")
                                    : sx_value_dup(sx_value_get(document, "rows"));
    sx_print_warnings(document, out);
    sx_str_append(out, "singular values of Wv Wo (OV) and Wq Wk (QK): the largest, and how many "
                       "count\n");
    if (reading)
        sx_str_printf(out,
                      "token %lld reads token %lld towards %s; score in terms of weights and "
                      "biases, query's first\n",
                      (long long)sx_value_int_or(sx_value_get(document, "query"), 0),
                      (long long)sx_value_int_or(sx_value_get(document, "key"), 0),
                      sx_value_string_or(sx_value_get(document, "target"), ""));
    sx_str_printf(out, "\nhead              OV   rank         QK   rank%s\n",
                  reading ? " attention   readout    writes      w·w      w·b      b·w      b·b"
                          : "");
    for (size_t i = 0; i < sx_value_count(rows); i++)
        print_row(sx_value_item(rows, i), reading, out);
    sx_value_free(rows);
}
