/* score: how well a model expects what is there. ESM-2: pseudo-perplexity (Salazar et al. 2020:
 * each residue masked in turn) and mutation effects as masked marginals (Meier et al. 2021).
 * GPT-NeoX: the mean loss of the next token. */
#include "commands_private.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "model_input.h"
#include "mutations.h"
#include "sextant/base/alloc.h"
#include "text_file.h"

/* A pass of masked copies, and the rows of next-token logits made at a time: a vocabulary is wide.
 */
enum { PASS_TOKENS = 4096, PASS_SEQUENCES = 256, LOGIT_ROWS = 256 };

struct score {
    struct sx_job *job;
    struct sx_model *model;
    struct sx_runner *runner;
    const struct sx_model_info *info;
    struct sx_model_inputs inputs;
    struct sx_value *rows;
    uint64_t done, total; /* masked copies */
    bool approx;
};

/* --- masked copies of one sequence ------------------------------------------------------------ */

/* One pass over copies of ids, the i-th masked at sites[i]. Calls back with the logits [n,V] of
 * the masked tokens of each. */
struct masked {
    const struct sx_ids *ids;
    const struct sx_sites *sites;
    size_t n_sites;
    void (*take)(void *ctx, size_t index, const float *logits);
    void *ctx;
};

static size_t batch_size(const struct masked *m, size_t first)
{
    size_t n = 1;
    while (first + n < m->n_sites && n < PASS_SEQUENCES && (n + 1) * m->ids->n <= PASS_TOKENS)
        n++;
    return n;
}

static enum sx_status masked_batch(struct score *score, const struct masked *m, size_t first,
                                   size_t n, struct sx_error *err)
{
    const size_t T = m->ids->n;
    struct sx_sequence sequences[PASS_SEQUENCES];
    size_t lengths[PASS_SEQUENCES];
    size_t rows = 0;
    int32_t *ids = sx_alloc_big(n * T, sizeof *ids);
    for (size_t i = 0; i < n; i++)
        rows += m->sites[first + i].n;
    float *logits = sx_alloc_big(rows * (size_t)score->info->vocab + 1, sizeof *logits);
    enum sx_status status =
        ids && logits
            ? SX_OK
            : sx_fail(err, SX_ERR_NOMEM, "no memory for %zu sequences of %zu tokens", n, T);
    for (size_t i = 0; i < n && status == SX_OK; i++) {
        const struct sx_sites *sites = &m->sites[first + i];
        memcpy(ids + i * T, m->ids->ids, T * sizeof *ids);
        for (size_t s = 0; s < sites->n; s++)
            ids[i * T + sites->token[s]] = SX_ESM_MASK;
        lengths[i] = T;
        sequences[i] = (struct sx_sequence){.ids = ids + i * T,
                                            .n = T,
                                            .embed_scale = NAN,
                                            .rows = sites->token,
                                            .n_rows = sites->n};
    }
    const struct sx_pass pass = {.sequences = sequences, .n_sequences = n, .logits = logits};
    if (status == SX_OK)
        status = sx_model_must_fit(score->job->args, score->model, lengths, n, 0,
                                   "give a shorter sequence, or raise --max-memory", err);
    if (status == SX_OK)
        status = sx_run_pass(score->runner, &pass, &score->job->task, err);
    const float *row = logits;
    for (size_t i = 0; i < n && status == SX_OK; i++) {
        m->take(m->ctx, first + i, row);
        row += m->sites[first + i].n * score->info->vocab;
    }
    sx_free(ids);
    sx_free(logits);
    return status;
}

static enum sx_status run_masked(struct score *score, const struct masked *m, struct sx_error *err)
{
    for (size_t first = 0; first < m->n_sites;) {
        const size_t n = batch_size(m, first);
        SX_TRY(sx_task_step_to(&score->job->task, score->done, score->total, score->done + n));
        SX_TRY(masked_batch(score, m, first, n, err));
        first += n;
        score->done += n;
        SX_TRY(sx_task_step(&score->job->task, score->done, score->total));
    }
    return SX_OK;
}

/* Every row of one pass without a mask, in place of a pass a residue. */
static enum sx_status run_unmasked(struct score *score, const struct sx_ids *ids, float **logits,
                                   struct sx_error *err)
{
    const struct sx_sequence sequence = {
        .ids = ids->ids, .n = ids->n, .embed_scale = NAN, .n_rows = ids->n};
    SX_TRY(sx_model_must_fit(score->job->args, score->model, &ids->n, 1, 0,
                             "give a shorter sequence, or raise --max-memory", err));
    *logits = sx_alloc_big(ids->n * (size_t)score->info->vocab, sizeof **logits);
    if (!*logits)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu rows of logits", ids->n);
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = *logits};
    SX_TRY(sx_task_step_to(&score->job->task, score->done, score->total, score->done + 1));
    SX_TRY(sx_run_pass(score->runner, &pass, &score->job->task, err));
    return sx_task_step(&score->job->task, ++score->done, score->total);
}

static double logprob(const float *logits, size_t vocab, int32_t id)
{
    double p[SX_ESM_VOCAB];
    double log_total;
    sx_softmax_row(logits, 0, vocab, p, &log_total);
    return (double)logits[id] - log_total;
}

/* --- pseudo-perplexity ------------------------------------------------------------------------ */

struct residues { /* of one sequence */
    const struct sx_ids *ids;
    const struct sx_sites *sites;
    double sum;
};

static void take_residue(void *ctx, size_t index, const float *logits)
{
    struct residues *r = ctx;
    r->sum += logprob(logits, SX_ESM_VOCAB, r->ids->ids[r->sites[index].token[0]]);
}

static uint32_t *amino_acids(const struct sx_ids *ids, size_t *n)
{
    uint32_t *tokens = sx_xcalloc(ids->n + 1, sizeof *tokens);
    *n = 0;
    for (size_t i = 0; i < ids->n; i++)
        if (sx_is_amino_acid(ids->ids[i]))
            tokens[(*n)++] = (uint32_t)i;
    return tokens;
}

static void describe_sequence(struct score *score, const struct sx_model_input *input, size_t n,
                              double sum)
{
    struct sx_value *row = sx_value_append(score->rows, sx_value_map());
    const double mean = n ? sum / (double)n : (double)NAN;
    sx_document_text(row, "name", input->name ? input->name : "");
    sx_document_int(row, "length", (int64_t)n);
    sx_document_real(row, "mean_logprob", mean, "no residue to score");
    sx_document_real(row, "pseudo_perplexity", exp(-mean), "no residue to score");
}

static enum sx_status score_sequence(struct score *score, const struct sx_model_input *input,
                                     struct sx_error *err)
{
    size_t n;
    uint32_t *tokens = amino_acids(&input->ids, &n);
    struct sx_sites *sites = sx_xcalloc(n + 1, sizeof *sites);
    struct residues residues = {&input->ids, sites, 0};
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < n; i++)
        sites[i] = (struct sx_sites){tokens + i, 1};
    if (score->approx) {
        float *logits = NULL;
        status = run_unmasked(score, &input->ids, &logits, err);
        for (size_t i = 0; i < n && status == SX_OK; i++)
            take_residue(&residues, i, logits + tokens[i] * score->info->vocab);
        sx_free(logits);
    } else {
        const struct masked masked = {&input->ids, sites, n, take_residue, &residues};
        status = run_masked(score, &masked, err);
    }
    if (status == SX_OK)
        describe_sequence(score, input, n, residues.sum);
    sx_free(sites);
    sx_free(tokens);
    return status;
}

static enum sx_status score_sequences(struct score *score, struct sx_error *err)
{
    for (size_t i = 0; i < score->inputs.n; i++) {
        size_t n;
        sx_free(amino_acids(&score->inputs.item[i].ids, &n));
        score->total += score->approx ? 1 : n;
    }
    for (size_t i = 0; i < score->inputs.n; i++)
        SX_TRY(score_sequence(score, &score->inputs.item[i], err));
    return SX_OK;
}

/* --- mutations -------------------------------------------------------------------------------- */

struct marginals {
    struct sx_mutations *mutations;
    size_t vocab;
};

static void score_variants_of(struct marginals *m, size_t site_set, const float *logits)
{
    for (size_t v = 0; v < m->mutations->n; v++) {
        struct sx_variant *variant = &m->mutations->variant[v];
        if (variant->sites != site_set)
            continue;
        variant->score = 0;
        for (size_t s = 0; s < variant->n; s++)
            variant->score += (double)logits[s * m->vocab + (size_t)variant->to[s]] -
                              (double)logits[s * m->vocab + (size_t)variant->from[s]];
    }
}

static void take_variants(void *ctx, size_t index, const float *logits)
{
    score_variants_of(ctx, index, logits);
}

static enum sx_status score_unmasked(struct score *score, struct marginals *m,
                                     const struct sx_ids *ids, struct sx_error *err)
{
    float *all = NULL;
    float *rows = NULL;
    enum sx_status status = run_unmasked(score, ids, &all, err);
    for (size_t i = 0; i < m->mutations->n_sites && status == SX_OK; i++) {
        const struct sx_sites *sites = &m->mutations->sites[i];
        rows = sx_xrealloc(rows, (sites->n * m->vocab + 1) * sizeof *rows);
        for (size_t s = 0; s < sites->n; s++)
            memcpy(rows + s * m->vocab, all + sites->token[s] * m->vocab, m->vocab * sizeof *rows);
        score_variants_of(m, i, rows);
    }
    sx_free(rows);
    sx_free(all);
    return status;
}

static enum sx_status score_mutations(struct score *score, const char *path, struct sx_error *err)
{
    if (score->inputs.n != 1)
        return sx_fail(err, SX_ERR_USAGE,
                       "score: --mutations are of one sequence, and %zu are given",
                       score->inputs.n);
    const struct sx_ids *ids = &score->inputs.item[0].ids;
    struct sx_mutations mutations = {0};
    struct marginals marginals = {&mutations, (size_t)score->info->vocab};
    enum sx_status status = sx_mutations_read(path, ids, &mutations, err);
    score->total = score->approx ? 1 : mutations.n_sites;
    const struct masked masked = {ids, mutations.sites, mutations.n_sites, take_variants,
                                  &marginals};
    if (status == SX_OK)
        status = score->approx ? score_unmasked(score, &marginals, ids, err)
                               : run_masked(score, &masked, err);
    for (size_t v = 0; v < mutations.n && status == SX_OK; v++) {
        struct sx_value *row = sx_value_append(score->rows, sx_value_map());
        sx_document_text(row, "mutant", mutations.variant[v].text);
        sx_document_real(row, "score", mutations.variant[v].score, "not a number");
    }
    sx_mutations_release(&mutations);
    return status;
}

/* --- next-token loss -------------------------------------------------------------------------- */

struct loss {
    double nats;
    size_t tokens; /* predicted */
};

/* One window; its first token has nothing before it and is not counted. */
static enum sx_status window_loss(struct score *score, const int32_t *ids, size_t n, float *logits,
                                  struct loss *loss, struct sx_error *err)
{
    const size_t vocab = (size_t)score->info->vocab;
    struct sx_cache *cache = sx_cache_new(score->model, n);
    double *p = sx_xcalloc(vocab + 1, sizeof *p);
    enum sx_status status =
        cache ? SX_OK : sx_fail(err, SX_ERR_NOMEM, "no memory for %zu keys and values", n);
    for (size_t first = 0; first + 1 < n && status == SX_OK; first += LOGIT_ROWS) {
        const size_t rows = n - 1 - first < LOGIT_ROWS ? n - 1 - first : LOGIT_ROWS;
        const struct sx_sequence sequence = {
            .ids = ids + first, .n = rows, .embed_scale = NAN, .n_rows = rows, .cache = cache};
        const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
        status = sx_run_pass(score->runner, &pass, &score->job->task, err);
        for (size_t i = 0; i < rows && status == SX_OK; i++) {
            double log_total;
            sx_softmax_row(logits + i * vocab, 0, vocab, p, &log_total);
            loss->nats += log_total - (double)logits[i * vocab + (size_t)ids[first + i + 1]];
            loss->tokens++;
        }
        if (status == SX_OK)
            status = sx_task_step(&score->job->task, score->done += rows, score->total);
    }
    sx_free(p);
    sx_cache_free(cache);
    return status;
}

static size_t bytes_of(const struct score *score, const struct sx_ids *ids)
{
    struct sx_str text = SX_STR_INIT;
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(score->model);
    if (tokenizer)
        sx_detokenize(tokenizer, ids->ids, ids->n, &text);
    const size_t n = text.len;
    sx_str_release(&text);
    return n;
}

/* Bits a byte are over the text that was predicted: without the first token of each window. */
static size_t bytes_predicted(const struct score *score, const struct sx_ids *ids, size_t window)
{
    size_t bytes = bytes_of(score, ids);
    for (size_t first = 0; first < ids->n; first += window) {
        const struct sx_ids one = {ids->ids + first, 1};
        bytes -= bytes_of(score, &one);
    }
    return bytes;
}

static enum sx_status score_text(struct score *score, const struct sx_model_input *input,
                                 struct sx_error *err)
{
    const struct sx_ids *ids = &input->ids;
    const size_t window = score->info->max_positions ? (size_t)score->info->max_positions : 2048;
    const size_t longest = ids->n < window ? ids->n : window;
    struct loss loss = {0};
    SX_TRY(sx_model_must_fit(score->job->args, score->model, &longest, 1, 0, "raise --max-memory",
                             err));
    float *logits = sx_alloc_big(LOGIT_ROWS * (size_t)score->info->vocab, sizeof *logits);
    if (!logits)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %d rows of logits", LOGIT_ROWS);
    enum sx_status status = SX_OK;
    for (size_t first = 0; first < ids->n && status == SX_OK; first += window)
        status = window_loss(score, ids->ids + first,
                             ids->n - first < window ? ids->n - first : window, logits, &loss, err);
    sx_free(logits);
    SX_TRY(status);
    struct sx_value *row = sx_value_append(score->rows, sx_value_map());
    const double mean = loss.tokens ? loss.nats / (double)loss.tokens : (double)NAN;
    const size_t bytes = sx_model_tokenizer(score->model) ? bytes_predicted(score, ids, window) : 0;
    static const char why[] = "a text of at least two tokens is needed";
    sx_document_int(row, "tokens", (int64_t)ids->n);
    sx_document_int(row, "predicted", (int64_t)loss.tokens);
    sx_document_int(row, "window", (int64_t)window);
    sx_document_real(row, "loss", mean, why);
    sx_document_real(row, "perplexity", exp(mean), why);
    sx_document_real(row, "bits_per_byte", bytes ? loss.nats / log(2) / (double)bytes : (double)NAN,
                     "no tokenizer, or no bytes");
    return SX_OK;
}

static enum sx_status score_texts(struct score *score, struct sx_error *err)
{
    for (size_t i = 0; i < score->inputs.n; i++)
        score->total += score->inputs.item[i].ids.n;
    for (size_t i = 0; i < score->inputs.n; i++)
        SX_TRY(score_text(score, &score->inputs.item[i], err));
    return SX_OK;
}

/* --- the command ------------------------------------------------------------------------------ */

static enum sx_status score_all(struct score *score, struct sx_error *err)
{
    const struct sx_value *args = score->job->args;
    const char *mutations = sx_arg_text(args, "mutations");
    SX_TRY(sx_model_use(args, &score->model, &score->runner, err));
    score->info = sx_model_info(score->model);
    score->approx = sx_value_bool_or(sx_value_get(args, "approx"), false);
    SX_TRY(sx_model_must_predict(score->model, "score", err));
    SX_TRY(sx_model_inputs_read("score", args, score->model, &score->inputs, err));
    if (score->info->family == SX_MODEL_ESM2)
        return mutations ? score_mutations(score, mutations, err) : score_sequences(score, err);
    if (mutations || score->approx)
        return sx_fail(err, SX_ERR_USAGE, "score: --%s is for protein models",
                       mutations ? "mutations" : "approx");
    return score_texts(score, err);
}

static const char *method_of(const struct score *score)
{
    if (score->info->family != SX_MODEL_ESM2)
        return "next-token loss, natural log, in windows without overlap";
    if (sx_arg_text(score->job->args, "mutations"))
        return score->approx ? "wild-type marginals: one pass without masks (approximate)"
                             : "masked marginals: log p(mutant) - log p(wild type)";
    return score->approx ? "one pass without masks (approximate: each residue sees itself)"
                         : "pseudo-perplexity: each residue masked in turn, over all 33 tokens";
}

SX_RUN(score)
{
    struct score score = {.job = job, .rows = sx_value_list()};
    const enum sx_status status = score_all(&score, err);
    if (status == SX_OK) {
        const bool esm = score.info->family == SX_MODEL_ESM2;
        const bool mutations = sx_arg_text(job->args, "mutations") != NULL;
        job->document = sx_document_new();
        sx_document_text(job->document, "model", score.info->name);
        sx_document_text(job->document, "method", method_of(&score));
        sx_value_set(job->document, "approximate", sx_value_bool(score.approx));
        sx_value_set(job->document,
                     mutations ? "mutations"
                     : esm     ? "sequences"
                               : "texts",
                     sx_value_dup(score.rows));
        sx_value_set(job->document, "rows", score.rows);
        score.rows = NULL;
        sx_model_inputs_tell(&score.inputs, job->document);
    }
    sx_value_free(score.rows);
    sx_model_inputs_release(&score.inputs);
    sx_runner_free(score.runner);
    sx_model_unref(score.model);
    return status;
}

static void print_row(const struct sx_value *row, struct sx_str *out)
{
    if (sx_value_get(row, "mutant")) {
        sx_str_printf(out, "%-20s ", sx_value_string_or(sx_value_get(row, "mutant"), ""));
        sx_print_number(out, sx_value_get(row, "score"), 9, 4);
    } else if (sx_value_get(row, "pseudo_perplexity")) {
        sx_print_number(out, sx_value_get(row, "pseudo_perplexity"), 9, 3);
        sx_str_printf(out, "  %6lld residues  %s",
                      (long long)sx_value_int_or(sx_value_get(row, "length"), 0),
                      sx_value_string_or(sx_value_get(row, "name"), ""));
    } else {
        sx_str_append(out, "loss ");
        sx_print_number(out, sx_value_get(row, "loss"), 0, 4);
        sx_str_append(out, ", perplexity ");
        sx_print_number(out, sx_value_get(row, "perplexity"), 0, 3);
        sx_str_append(out, ", bits a byte ");
        sx_print_number(out, sx_value_get(row, "bits_per_byte"), 0, 4);
        sx_str_printf(out, " over %lld tokens",
                      (long long)sx_value_int_or(sx_value_get(row, "predicted"), 0));
    }
    sx_str_append_char(out, '\n');
}

SX_PRINT(score)
{
    const struct sx_value *rows = sx_value_get(document, "rows");
    sx_print_warnings(document, out);
    sx_str_printf(out, "%s\n", sx_value_string_or(sx_value_get(document, "method"), ""));
    for (size_t i = 0; i < sx_value_count(rows); i++)
        print_row(sx_value_item(rows, i), out);
}
