/* A pass: what is asked is checked, cut into chunks of rows and items of attention, and given to
 * the gang. Whether a row's products take the way for few rows or that for many depends on the
 * length of its sequence alone, and in either a row's bits follow from the row alone: so a sequence
 * gives the same bits whatever else is in the batch and however many threads there are. */
#include "sextant/model/forward.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "forward_private.h"
#include "near_weights.h"
#include "sextant/base/alloc.h"
#include "sextant/core/blas.h"

/* One product of a chunk takes well below the 0.1 s between two looks at the task. */
#define CHUNK_FLOPS 4e9

/* ESM-2 was trained with 15 % of the tokens chosen and 80 % of those masked. */
#define KEPT_IN_TRAINING (1.0 - 0.15 * 0.8)

struct sx_runner {
    struct sx_model *model;
    struct sx_gang *gang;
    float *memory;
    size_t capacity; /* floats */
    /* [L * SX_PRODUCT_LAYER + SX_PRODUCT_HEAD] weights packed for sx_linear_packed, when a pass
     * first needs them */
    float **packed;
    size_t n_packed;
    struct sx_near_weights near; /* for passes of a few rows */
};

struct sx_runner *sx_runner_new(struct sx_model *model, int threads)
{
    struct sx_runner *runner = sx_xcalloc(1, sizeof *runner);
    runner->model = sx_model_ref(model);
    runner->gang = sx_gang_new(threads);
    runner->n_packed = sx_model_info(model)->n_layers * SX_PRODUCT_LAYER + SX_PRODUCT_HEAD;
    runner->packed = sx_xcalloc(runner->n_packed, sizeof *runner->packed);
    return runner;
}

void sx_runner_free(struct sx_runner *runner)
{
    if (!runner)
        return;
    sx_gang_free(runner->gang);
    sx_model_unref(runner->model);
    for (size_t i = 0; i < runner->n_packed; i++)
        sx_free(runner->packed[i]);
    sx_free(runner->packed);
    sx_near_weights_release(&runner->near);
    sx_free(runner->memory);
    sx_free(runner);
}

const struct sx_model *sx_runner_model(const struct sx_runner *runner)
{
    return runner->model;
}

int sx_runner_threads(const struct sx_runner *runner)
{
    return sx_gang_size(runner->gang);
}

/* --- embeddings ---------------------------------------------------------------------------------
 */

static enum sx_status embed_scale(const struct sx_model_info *info, const int32_t *ids, size_t n,
                                  bool count_pads, float *scale, struct sx_error *err)
{
    *scale = 1.0F;
    if (info->family != SX_MODEL_ESM2 || !info->token_dropout)
        return SX_OK;
    size_t masks = 0, tokens = 0;
    for (size_t i = 0; i < n; i++) {
        masks += ids[i] == SX_ESM2_MASK;
        tokens += count_pads || ids[i] != SX_ESM2_PAD;
    }
    if (masks >= tokens)
        return sx_fail(err, SX_ERR_USAGE,
                       "every token is a mask: there is nothing to predict them from");
    *scale = (float)(KEPT_IN_TRAINING / (1.0 - (double)masks / (double)tokens));
    return SX_OK;
}

enum sx_status sx_embed_scale(const struct sx_model_info *info, const int32_t *ids, size_t n,
                              float *scale, struct sx_error *err)
{
    return embed_scale(info, ids, n, false, scale, err);
}

/* --- checks -------------------------------------------------------------------------------------
 */

static enum sx_status check_ids(const struct sx_model_info *info, const struct sx_sequence *s,
                                size_t number, struct sx_error *err)
{
    if (s->n == 0)
        return sx_fail(err, SX_ERR_USAGE, "sequence %zu is empty", number);
    if (s->n > INT32_MAX)
        return sx_fail(err, SX_ERR_USAGE, "sequence %zu has %zu tokens: too many", number, s->n);
    if (!s->ids)
        return s->resid ? SX_OK : sx_fail(err, SX_ERR_USAGE, "sequence %zu has no tokens", number);
    for (size_t i = 0; i < s->n; i++)
        if (s->ids[i] < 0 || (uint64_t)s->ids[i] >= info->vocab)
            return sx_fail(err, SX_ERR_USAGE,
                           "sequence %zu, token %zu: id %" PRId32 " is not in the vocabulary of "
                           "%" PRIu64,
                           number, i, s->ids[i], info->vocab);
    return SX_OK;
}

static enum sx_status check_rows(const struct sx_pass *pass, const struct sx_sequence *s,
                                 size_t number, struct sx_error *err)
{
    if (s->n_rows && !pass->logits)
        return sx_fail(err, SX_ERR_USAGE, "logits are asked for, but there is no place for them");
    if (!s->rows && s->n_rows && s->n_rows != s->n)
        return sx_fail(err, SX_ERR_USAGE, "sequence %zu: %zu rows of logits for %zu tokens", number,
                       s->n_rows, s->n);
    for (size_t i = 0; s->rows && i < s->n_rows; i++)
        if (s->rows[i] >= s->n)
            return sx_fail(err, SX_ERR_USAGE, "sequence %zu: logits of token %" PRIu32 " of %zu",
                           number, s->rows[i], s->n);
    return SX_OK;
}

static enum sx_status check_cache(const struct sx_model_info *info, const struct sx_pass *pass,
                                  size_t number, struct sx_error *err)
{
    const struct sx_sequence *s = &pass->sequences[number];
    if (!s->cache)
        return SX_OK;
    if (info->family == SX_MODEL_ESM2)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "ESM-2 looks both ways: earlier tokens cannot be cached");
    if (s->from_layer || s->resid)
        return sx_fail(err, SX_ERR_USAGE, "a pass with a cache starts at the embedding");
    for (size_t i = 0; i < number; i++)
        if (pass->sequences[i].cache == s->cache)
            return sx_fail(err, SX_ERR_USAGE, "sequences %zu and %zu share a cache", i, number);
    return SX_OK;
}

static enum sx_status check_sequence(const struct sx_model_info *info, const struct sx_pass *pass,
                                     size_t number, struct sx_error *err)
{
    const struct sx_sequence *s = &pass->sequences[number], *first = &pass->sequences[0];
    SX_TRY(check_ids(info, s, number, err));
    SX_TRY(check_rows(pass, s, number, err));
    if (s->from_layer != first->from_layer || !s->cache != !first->cache)
        return sx_fail(err, SX_ERR_USAGE,
                       "the sequences of a batch must start at the same layer, and all with a "
                       "cache or none");
    if (s->from_layer > info->n_layers)
        return sx_fail(err, SX_ERR_USAGE, "there is no layer %zu to start from", s->from_layer);
    if (s->from_layer && !s->resid)
        return sx_fail(err, SX_ERR_USAGE, "to start at layer %zu its residual stream is needed",
                       s->from_layer);
    SX_TRY(check_cache(info, pass, number, err));
    size_t past = s->cache ? sx_cache_length(s->cache) : 0;
    return sx_hooks_check_tokens(&pass->hooks, number, past, s->n, err);
}

static enum sx_status check(const struct sx_model_info *info, const struct sx_pass *pass,
                            struct sx_error *err)
{
    if (pass->n_sequences == 0)
        return sx_fail(err, SX_ERR_USAGE, "there is no sequence");
    SX_TRY(sx_hooks_check(info, &pass->hooks, pass->n_sequences, err));
    for (size_t i = 0; i < pass->n_sequences; i++)
        SX_TRY(check_sequence(info, pass, i, err));
    if (pass->until_layer > info->n_layers ||
        (pass->until_layer && pass->until_layer < pass->sequences[0].from_layer))
        return sx_fail(err, SX_ERR_USAGE, "a pass cannot end after %zu layers", pass->until_layer);
    return SX_OK;
}

/* --- plan ---------------------------------------------------------------------------------------
 */

static size_t rounded(size_t n)
{
    return (n + SX_ROW_ALIGN - 1) / SX_ROW_ALIGN * SX_ROW_ALIGN;
}

static size_t chunk_limit(const struct sx_model_info *info)
{
    double fit = CHUNK_FLOPS / (2.0 * (double)info->d_model * (double)info->d_mlp);
    return fit >= SX_MAX_CHUNK_ROWS ? SX_MAX_CHUNK_ROWS
           : fit < SX_ROW_ALIGN     ? SX_ROW_ALIGN
                                    : (size_t)fit / SX_ROW_ALIGN * SX_ROW_ALIGN;
}

static void plan_spans(struct sx_forward *f, const struct sx_pass *pass)
{
    f->n_spans = pass->n_sequences;
    f->spans = sx_xcalloc(f->n_spans, sizeof *f->spans);
    for (size_t i = 0; i < f->n_spans; i++) {
        struct sx_span *span = &f->spans[i];
        span->in = &pass->sequences[i];
        span->first = f->rows;
        span->n = span->in->n;
        span->past = span->in->cache ? sx_cache_length(span->in->cache) : 0;
        span->n_keys = span->past + span->n;
        span->ldk = rounded(span->n);
        span->scale = 1.0F;
        span->blocks = (span->n + SX_QUERY_BLOCK - 1) / SX_QUERY_BLOCK;
        span->first_item = f->n_items;
        f->n_items += span->blocks * f->info->n_heads;
        f->rows += span->n;
    }
    f->span_of = sx_xcalloc(f->rows, sizeof *f->span_of);
    for (size_t i = 0; i < f->n_spans; i++)
        for (size_t r = 0; r < f->spans[i].n; r++)
            f->span_of[f->spans[i].first + r] = (uint32_t)i;
}

static void add_chunk(struct sx_forward *f, size_t first, size_t n, bool few)
{
    f->chunks[f->n_chunks++] = (struct sx_chunk){first, n, few};
    f->chunk_rows = n > f->chunk_rows ? n : f->chunk_rows;
}

/* At least two chunks unless they would be slow, so that one sequence keeps two cores busy. Chunks
 * end where keys, counted from the start of the cache, fill whole lines: then no two members write
 * into the same one. */
static void cut_span(struct sx_forward *f, const struct sx_span *span)
{
    const size_t limit = chunk_limit(f->info);
    size_t pieces = (span->n + limit - 1) / limit;
    pieces = pieces == 1 && span->n > (size_t)2 * SX_ROW_ALIGN ? 2 : pieces;
    const size_t rows = rounded((span->n + pieces - 1) / pieces);
    for (size_t at = 0, end; at < span->n; at = end) {
        end = (span->past + at + rows) / SX_ROW_ALIGN * SX_ROW_ALIGN - span->past;
        end = end < span->n ? end : span->n;
        add_chunk(f, span->first + at, end - at, span->n <= SX_FEW_ROWS);
    }
}

static void plan_chunks(struct sx_forward *f)
{
    f->by_columns = true;
    for (size_t i = 0; i < f->n_spans; i++)
        f->by_columns = f->by_columns && f->spans[i].n <= SX_FEW_ROWS;
    f->chunks = sx_xcalloc(f->rows + 1, sizeof *f->chunks);
    for (size_t row = 0; f->by_columns && row < f->rows; row += SX_MAX_CHUNK_ROWS) {
        size_t left = f->rows - row;
        add_chunk(f, row, left < SX_MAX_CHUNK_ROWS ? left : SX_MAX_CHUNK_ROWS, true);
    }
    for (size_t i = 0; !f->by_columns && i < f->n_spans; i++)
        cut_span(f, &f->spans[i]);
}

/* Does a capture of the last layer see rows behind its keys and values? */
static bool last_layer_seen(const struct sx_forward *f)
{
    for (int point = 0; point < SX_POINT_COUNT; point++) {
        const bool before = point == SX_POINT_RESID_PRE || point == SX_POINT_ATTN_LN ||
                            point == SX_POINT_ATTN_LN_SIGMA || point == SX_POINT_K ||
                            point == SX_POINT_K_ROT || point == SX_POINT_V;
        if (before || !sx_point_per_layer((enum sx_point)point))
            continue;
        const struct sx_hook_list list =
            sx_hooks_at(&f->hooks, f->last_layer - 1, (enum sx_point)point);
        for (size_t i = 0; i < list.n; i++)
            if (list.hooks[i].capture)
                return true;
    }
    return false;
}

static bool any_cache(const struct sx_forward *f)
{
    for (size_t i = 0; i < f->n_spans; i++)
        if (f->spans[i].in->cache)
            return true;
    return false;
}

/* Behind the last attention tokens do not meet any more. A row alone costs as much as several in
 * one product, hence the limit. */
static void plan_last_layer(struct sx_forward *f)
{
    enum { WORTH = 8 };
    size_t n = 0;
    for (size_t i = 0; i < f->n_head_rows; i++)
        n += !f->head_rows[i].again;
    if (f->pass->until_layer || f->first_layer >= f->last_layer || f->by_columns || f->contacts ||
        n == 0 || n * WORTH > f->rows || any_cache(f) || last_layer_seen(f))
        return;
    f->last_chunks = sx_xcalloc(n, sizeof *f->last_chunks);
    for (size_t i = 0; i < f->n_head_rows; i++) {
        const size_t row = f->head_rows[i].row;
        if (!f->head_rows[i].again)
            f->last_chunks[f->n_last_chunks++] =
                (struct sx_chunk){row, 1, f->spans[f->span_of[row]].n <= SX_FEW_ROWS};
    }
}

/* --- memory -------------------------------------------------------------------------------------
 */

static float *take(float *memory, size_t *used, size_t n)
{
    float *p = memory ? memory + *used : NULL;
    *used += rounded(n);
    return p;
}

static void place_scratch(struct sx_forward *f, struct sx_scratch *s, float *memory, size_t *used,
                          size_t rows)
{
    const size_t bands = f->info->n_bands;
    size_t keys = 0;
    for (size_t i = 0; i < f->n_spans; i++)
        keys = f->spans[i].n_keys > keys ? f->spans[i].n_keys : keys;
    s->y = take(memory, used, rows * f->ld);
    s->u = take(memory, used, rows * f->ld);
    s->h = take(memory, used, rows * f->ld_mlp);
    s->sigma = take(memory, used, rows);
    s->cosine = take(memory, used, rows * bands);
    s->sine = take(memory, used, rows * bands);
    s->attention = take(memory, used, sx_attention_scratch(keys));
}

/* Lay everything out in `memory`; NULL: only count the floats. */
static size_t lay_out(struct sx_forward *f, int threads, float *memory)
{
    const size_t D = f->info->d_model, bands = f->info->n_bands;
    const bool layers = f->first_layer < f->last_layer;
    const size_t rows = layers ? f->rows : 0;
    size_t used = 0;
    f->memory = memory;
    f->ld = rounded(D) + SX_ROW_ALIGN;
    f->ld_mlp = rounded(f->info->d_mlp) + SX_ROW_ALIGN;
    f->resid = take(memory, &used, f->rows * D);
    f->q = take(memory, &used, rows * f->ld);
    f->v = take(memory, &used, rows * f->ld);
    f->ctx = take(memory, &used, rows * f->ld);
    f->cosine = take(memory, &used, rows * bands);
    f->sine = take(memory, &used, rows * bands);
    for (size_t i = 0; layers && i < f->n_spans; i++)
        if (!f->spans[i].in->cache)
            f->spans[i].kt = take(memory, &used, f->spans[i].ldk * D);
    for (int t = 0; t < threads; t++)
        place_scratch(f, &f->scratch[t], memory, &used, f->chunk_rows);
    for (size_t i = 0; layers && i < f->pass->hooks.n_positions; i++) {
        float *cosine = take(memory, &used, rows * bands);
        float *sine = take(memory, &used, rows * bands);
        if (memory)
            f->rotations[i] = (struct sx_rotation){cosine, sine};
    }
    return used;
}

uint64_t sx_pass_bytes(const struct sx_model *model, const size_t *lengths, size_t n_sequences)
{
    struct sx_sequence *sequences = sx_xcalloc(n_sequences + 1, sizeof *sequences);
    for (size_t i = 0; i < n_sequences; i++)
        sequences[i].n = lengths[i];
    const struct sx_pass pass = {.sequences = sequences, .n_sequences = n_sequences};
    struct sx_forward *f = sx_xcalloc(1, sizeof *f);
    f->pass = &pass;
    f->info = sx_model_info(model);
    f->last_layer = f->info->n_layers;
    plan_spans(f, &pass);
    plan_chunks(f);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int threads = cores < 1 ? 1 : cores > SX_GANG_MAX ? SX_GANG_MAX : (int)cores;
    uint64_t bytes = (uint64_t)lay_out(f, threads, NULL) * sizeof(float);
    bytes += f->rows * (sizeof *f->span_of + sizeof *f->chunks + sizeof *f->head_rows +
                        sizeof *f->head_chunks);
    sx_free(f->spans);
    sx_free(f->span_of);
    sx_free(f->chunks);
    sx_free(f);
    sx_free(sequences);
    return bytes;
}

static enum sx_status provide_memory(struct sx_runner *runner, struct sx_forward *f,
                                     struct sx_error *err)
{
    const int threads = sx_gang_size(runner->gang);
    size_t need = lay_out(f, threads, NULL);
    if (need > runner->capacity) {
        sx_free(runner->memory);
        runner->capacity = 0;
        runner->memory = sx_alloc_big(need, sizeof(float));
        if (!runner->memory)
            return sx_fail(err, SX_ERR_NOMEM, "out of memory for a pass over %zu tokens (%zu MB)",
                           f->rows, need * sizeof(float) >> 20);
        runner->capacity = need;
    }
    f->rotations = sx_xcalloc(f->pass->hooks.n_positions + 1, sizeof *f->rotations);
    (void)lay_out(f, threads, runner->memory);
    return SX_OK;
}

/* --- preparation --------------------------------------------------------------------------------
 */

static bool any_product(const struct sx_chunk *chunks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!chunks[i].few)
            return true;
    return false;
}

/* Packing is shared out by panels: the weights of one product after the other. */
struct packing {
    const struct sx_forward *f;
    const size_t *products;
    size_t n;
};

static void pack_member(void *arg, struct sx_gang *gang, int member)
{
    const struct packing *p = arg;
    for (size_t i = 0; i < p->n && !sx_task_is_cancelled(p->f->task); i++) {
        const struct sx_weight *w = sx_forward_weight(p->f, p->products[i]);
        size_t first, last;
        sx_gang_share(gang, member, (w->out + SX_PANEL - 1) / SX_PANEL, &first, &last);
        sx_pack(w->storage, w->stored, w->out, w->in, first, last, p->f->packed[p->products[i]]);
    }
}

/* Which products of the pass still lack packed weights. */
static size_t unpacked(const struct sx_forward *f, size_t *products)
{
    const size_t L = f->info->n_layers;
    size_t n = 0;
    for (size_t l = f->first_layer; any_product(f->chunks, f->n_chunks) && l < f->last_layer; l++)
        for (size_t i = 0; i < SX_PRODUCT_LAYER; i++)
            products[n++] = l * SX_PRODUCT_LAYER + i;
    if (f->info->has_lm_head && any_product(f->head_chunks, f->n_head_chunks)) {
        if (f->info->family == SX_MODEL_ESM2)
            products[n++] = L * SX_PRODUCT_LAYER + SX_PRODUCT_DENSE;
        products[n++] = L * SX_PRODUCT_LAYER + SX_PRODUCT_UNEMBED;
    }
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (!f->packed[products[i]])
            products[left++] = products[i];
    return left;
}

static enum sx_status pack(struct sx_runner *runner, struct sx_forward *f, size_t *products,
                           struct sx_error *err)
{
    const size_t n = unpacked(f, products);
    enum sx_status status = SX_OK;
    for (size_t i = 0; status == SX_OK && i < n; i++) {
        const struct sx_weight *w = sx_forward_weight(f, products[i]);
        runner->packed[products[i]] = sx_alloc_big(sx_packed_size(w->out, w->in), sizeof(float));
        if (!runner->packed[products[i]])
            status = sx_fail(err, SX_ERR_NOMEM, "out of memory for packed weights of %zu x %zu",
                             w->out, w->in);
    }
    if (status == SX_OK && n)
        sx_gang_run(runner->gang, pack_member, &(struct packing){f, products, n});
    if (status == SX_OK && n && sx_task_is_cancelled(f->task))
        status = SX_CANCELLED;
    for (size_t i = 0; status != SX_OK && i < n; i++) {
        sx_free(runner->packed[products[i]]);
        runner->packed[products[i]] = NULL;
    }
    return status;
}

static void bring_near(struct sx_runner *runner, struct sx_forward *f)
{
    const struct sx_weight **weights = sx_xcalloc(runner->n_packed, sizeof *weights);
    for (size_t i = 0; i < runner->n_packed; i++)
        weights[i] = sx_forward_weight(f, i);
    sx_near_weights_count(&runner->near, weights, runner->n_packed, f->task);
    sx_free(weights);
    f->near = runner->near.stored;
}

/* What must not fail any more once the members run. */
static enum sx_status prepare_weights(struct sx_runner *runner, struct sx_forward *f,
                                      struct sx_error *err)
{
    for (size_t l = f->first_layer; l < f->last_layer; l++)
        if (sx_hooks_at(&f->hooks, l, SX_POINT_HEAD_OUT).n &&
            !sx_weight_f32(&f->weights->layers[l].attn_out))
            return sx_fail(err, SX_ERR_NOMEM, "out of memory for the weights of layer %zu", l);
    if (f->by_columns)
        bring_near(runner, f);
    size_t *products = sx_xcalloc(runner->n_packed, sizeof *products);
    enum sx_status status = pack(runner, f, products, err);
    sx_free(products);
    return status;
}

static enum sx_status prepare_scales(struct sx_forward *f, struct sx_error *err)
{
    for (size_t i = 0; i < f->n_spans; i++) {
        struct sx_span *span = &f->spans[i];
        span->scale = span->in->embed_scale;
        if (span->in->resid)
            continue;
        if (isnan(span->scale) || span->scale == 0.0F)
            SX_TRY(embed_scale(f->info, span->in->ids, span->n, f->pass->attend_pads, &span->scale,
                               err));
    }
    return SX_OK;
}

/* Which keys are pads; *pads is freed by the caller. */
static void prepare_pads(struct sx_forward *f, uint8_t **pads)
{
    if (f->info->family != SX_MODEL_ESM2 || f->pass->attend_pads)
        return;
    *pads = sx_xcalloc(f->rows, 1);
    for (size_t i = 0; i < f->n_spans; i++) {
        struct sx_span *span = &f->spans[i];
        for (size_t t = 0; span->in->ids && t < span->n; t++)
            if (span->in->ids[t] == SX_ESM2_PAD) {
                (*pads)[span->first + t] = 1;
                span->forbidden = *pads + span->first;
            }
    }
}

static void prepare_rotation(const struct sx_forward *f, const struct sx_span *span,
                             const float *frequencies)
{
    enum { STEP = 256 };
    const size_t bands = f->info->n_bands;
    const struct sx_hooks *hooks = &f->pass->hooks;
    float positions[STEP];
    for (size_t t = 0, n; t < span->n; t += n) {
        n = span->n - t < STEP ? span->n - t : STEP;
        for (size_t i = 0; i < n; i++)
            positions[i] =
                span->in->positions ? span->in->positions[t + i] : (float)(span->past + t + i);
        size_t at = (span->first + t) * bands;
        sx_rotation_table(positions, n, frequencies, bands, f->cosine + at, f->sine + at);
        for (size_t i = 0; i < hooks->n_positions; i++)
            if (span->past == 0 && (hooks->positions[i].sequence == SIZE_MAX ||
                                    &f->spans[hooks->positions[i].sequence] == span))
                sx_rotation_table(hooks->positions[i].positions + t, n, frequencies, bands,
                                  f->rotations[i].cosine + at, f->rotations[i].sine + at);
    }
}

static enum sx_status reserve_caches(const struct sx_forward *f, struct sx_error *err)
{
    for (size_t i = 0; i < f->n_spans; i++)
        if (f->spans[i].in->cache)
            SX_TRY(sx_cache_reserve(f->spans[i].in->cache, f->info, f->spans[i].n_keys, err));
    return SX_OK;
}

/* --- running ------------------------------------------------------------------------------------
 */

/* All members pass all barriers, also when the pass was stopped: a member that left early would
 * leave the others waiting. */
static void member_main(void *arg, struct sx_gang *gang, int number)
{
    struct sx_forward *f = arg;
    struct sx_member m = {.f = f, .gang = gang, .number = number};
    sx_forward_rows(&m, f->first_layer);
    for (size_t l = f->first_layer; l < f->last_layer; l++) {
        sx_gang_barrier(gang);
        sx_forward_attention(&m, l);
        sx_gang_barrier(gang);
        sx_forward_rows(&m, l + 1);
    }
    sx_gang_barrier(gang);
    if (f->n_head_rows)
        sx_forward_head(&m);
}

static enum sx_status outcome(struct sx_forward *f, struct sx_error *err)
{
    size_t bad = atomic_load(&f->bad_layer);
    if (bad != SIZE_MAX && bad == f->first_layer)
        return sx_fail(err, SX_ERR_NUMERIC,
                       "NaN or infinity in the residual stream before layer "
                       "%zu",
                       bad);
    if (bad != SIZE_MAX)
        return sx_fail(err, SX_ERR_NUMERIC,
                       "NaN or infinity in the residual stream after layer "
                       "%zu",
                       bad - 1);
    if (atomic_load(&f->stop))
        return SX_CANCELLED;
    for (size_t i = 0; i < f->n_spans; i++)
        if (f->spans[i].in->cache)
            sx_cache_commit(f->spans[i].in->cache, f->spans[i].n_keys);
    return SX_OK;
}

static void run_gang(struct sx_runner *runner, struct sx_forward *f)
{
    f->turns = sx_xcalloc(2 * f->info->n_layers + 2, sizeof *f->turns);
    int threads = sx_blas_threads();
    sx_blas_set_threads(1);
    sx_gang_run(runner->gang, member_main, f);
    sx_blas_set_threads(threads);
    sx_free(f->turns);
}

static enum sx_status run_planned(struct sx_runner *runner, struct sx_forward *f,
                                  struct sx_error *err)
{
    uint8_t *pads = NULL;
    SX_TRY(prepare_scales(f, err));
    SX_TRY(sx_forward_plan_head(f, err));
    plan_last_layer(f);
    sx_forward_plan_work(f);
    SX_TRY(reserve_caches(f, err));
    SX_TRY(provide_memory(runner, f, err));
    SX_TRY(prepare_weights(runner, f, err));
    for (size_t i = 0; f->first_layer < f->last_layer && i < f->n_spans; i++)
        prepare_rotation(f, &f->spans[i], sx_model_frequencies(runner->model));
    prepare_pads(f, &pads);
    run_gang(runner, f);
    sx_free(pads);
    return outcome(f, err);
}

enum sx_status sx_forward_run(struct sx_runner *runner, const struct sx_pass *pass,
                              struct sx_contact_sum *contacts, struct sx_task *task,
                              struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(runner->model);
    SX_TRY(check(info, pass, err));
    struct sx_forward *f = sx_xcalloc(1, sizeof *f);
    f->pass = pass;
    f->info = info;
    f->weights = sx_model_weights(runner->model);
    f->task = task;
    f->packed = runner->packed;
    f->contacts = contacts;
    f->first_layer = pass->sequences[0].from_layer;
    f->last_layer = pass->until_layer ? pass->until_layer : info->n_layers;
    atomic_init(&f->bad_layer, SIZE_MAX);
    plan_spans(f, pass);
    plan_chunks(f);
    sx_hook_index_init(&f->hooks, info, &pass->hooks);
    enum sx_status status = run_planned(runner, f, err);
    sx_hook_index_release(&f->hooks);
    sx_free(f->spans);
    sx_free(f->span_of);
    sx_free(f->chunks);
    sx_free(f->head_rows);
    sx_free(f->head_chunks);
    sx_free(f->last_chunks);
    sx_free(f->extra_logits);
    sx_free(f->rotations);
    sx_free(f);
    return status;
}

enum sx_status sx_run_pass(struct sx_runner *runner, const struct sx_pass *pass,
                           struct sx_task *task, struct sx_error *err)
{
    return sx_forward_run(runner, pass, NULL, task, err);
}

enum sx_status sx_model_unembed(struct sx_runner *runner, const float *resid, size_t rows,
                                float *logits, struct sx_error *err)
{
    if (rows == 0)
        return SX_OK;
    const struct sx_sequence sequence = {.n = rows,
                                         .n_rows = rows,
                                         .from_layer = sx_model_info(runner->model)->n_layers,
                                         .resid = resid};
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
    return sx_forward_run(runner, &pass, NULL, NULL, err);
}
