/* How a layer stays close to the time of its products: between two attentions everything is done on
 * a chunk of rows that stays in the cache of one core (out projection, MLP, then the next layer's
 * queries, keys and values), so that a layer has two barriers and reads the residual stream once.
 *
 * When all sequences have only a few rows, as in generation, reading the weights is what takes the
 * time: then the members share the columns of every product and one of them does the rest. Both
 * ways go through the same code; sx_forward_meet is a barrier in the second alone. */
#include <math.h>
#include <string.h>

#include "forward_private.h"
#include "sextant/core/blas.h"

bool sx_forward_stopped(struct sx_forward *f)
{
    if (f->task && sx_task_is_cancelled(f->task))
        atomic_store_explicit(&f->stop, true, memory_order_relaxed);
    return atomic_load_explicit(&f->stop, memory_order_relaxed);
}

void sx_forward_meet(struct sx_member *m)
{
    if (m->columns)
        sx_gang_barrier(m->gang);
}

/* Columns are shared in runs that whole cache lines of the result hold. */
static void column_share(const struct sx_member *m, size_t out, size_t *first, size_t *last)
{
    *first = 0;
    *last = out;
    if (!m->columns)
        return;
    sx_gang_share(m->gang, m->number, (out + SX_ROW_ALIGN - 1) / SX_ROW_ALIGN, first, last);
    *first *= SX_ROW_ALIGN;
    *last = *last * SX_ROW_ALIGN < out ? *last * SX_ROW_ALIGN : out;
}

const struct sx_weight *sx_forward_weight(const struct sx_forward *f, size_t product)
{
    const size_t layer = product / SX_PRODUCT_LAYER;
    if (layer == f->info->n_layers)
        return product % SX_PRODUCT_LAYER == SX_PRODUCT_DENSE ? &f->weights->head_dense
                                                              : &f->weights->unembed;
    const struct sx_layer *l = &f->weights->layers[layer];
    const struct sx_weight *const weights[SX_PRODUCT_LAYER] = {
        [SX_PRODUCT_Q] = &l->q,          [SX_PRODUCT_K] = &l->k,   [SX_PRODUCT_V] = &l->v,
        [SX_PRODUCT_OUT] = &l->attn_out, [SX_PRODUCT_UP] = &l->up, [SX_PRODUCT_DOWN] = &l->down};
    return weights[product % SX_PRODUCT_LAYER];
}

void sx_forward_multiply(struct sx_member *m, size_t product, const struct sx_chunk *c,
                         const float *x, size_t ldx, float *y, size_t ldy)
{
    const struct sx_weight *w = sx_forward_weight(m->f, product);
    if (sx_forward_stopped(m->f))
        return;
    if (!c->few) {
        sx_linear_packed(m->f->packed[product], w->in, w->out, w->bias, x, ldx, c->n, y, ldy);
        return;
    }
    const void *stored = m->f->near && m->f->near[product] ? m->f->near[product] : w->stored;
    size_t first, last;
    column_share(m, w->out, &first, &last);
    for (size_t r = 0; first < last && r < c->n; r += SX_FEW_ROWS) {
        size_t rows = c->n - r < SX_FEW_ROWS ? c->n - r : SX_FEW_ROWS;
        sx_linear_few(w->storage, stored, w->in, first, last, w->bias, x + r * ldx, ldx, rows,
                      y + r * ldy, ldy);
    }
}

/* --- hooks on the rows of a chunk ---------------------------------------------------------------
 */

struct sx_hook_token sx_forward_token(const struct sx_forward *f, size_t row)
{
    const struct sx_span *span = &f->spans[f->span_of[row]];
    size_t place = row - span->first;
    return (struct sx_hook_token){.sequence = f->span_of[row],
                                  .token = span->past + place,
                                  .place = place,
                                  .n = span->n,
                                  .generated = span->past > 0};
}

static void act(const struct sx_member *m, enum sx_point point, const struct sx_chunk *c, float *x,
                size_t ld)
{
    const struct sx_forward *f = m->f;
    const struct sx_hook_list list = sx_hooks_at(&f->hooks, m->layer, point);
    for (size_t r = 0; list.n && r < c->n; r++) {
        struct sx_hook_token token = sx_forward_token(f, c->first + r);
        sx_hooks_row(&list, f->info, &token, x + r * ld, false);
    }
}

static void norm(const struct sx_member *m, const struct sx_norm *norm, const struct sx_chunk *c,
                 const float *x, enum sx_point point, enum sx_point sigma_point)
{
    const struct sx_forward *f = m->f;
    const size_t D = f->info->d_model, ld = f->ld;
    bool sigma = sx_hooks_at(&f->hooks, m->layer, sigma_point).n > 0;
    sx_layernorm_rows(x, D, norm->gamma, norm->beta, f->weights->eps, c->n, D, m->s->y, ld,
                      sigma ? m->s->sigma : NULL);
    if (sigma)
        act(m, sigma_point, c, m->s->sigma, 1);
    act(m, point, c, m->s->y, ld);
}

/* ctx_h Wo_h^T of the tokens and heads that are captured. */
static void capture_head_out(const struct sx_member *m, const struct sx_chunk *c)
{
    const struct sx_forward *f = m->f;
    const struct sx_hook_list list = sx_hooks_at(&f->hooks, m->layer, SX_POINT_HEAD_OUT);
    const struct sx_weight *w = &f->weights->layers[m->layer].attn_out;
    const size_t D = f->info->d_model, d = f->info->d_head;
    for (size_t i = 0; i < list.n; i++)
        for (size_t r = 0; r < c->n; r++)
            for (size_t h = 0; h < f->info->n_heads; h++) {
                struct sx_hook_token token = sx_forward_token(f, c->first + r);
                float *out = sx_capture_place(&list.hooks[i], f->info, &token, h);
                if (out)
                    sx_gemv(false, D, d, 1.0F, sx_weight_f32(w) + h * d, w->in,
                            f->ctx + (c->first + r) * f->ld + h * d, 0.0F, out);
            }
}

/* --- rotation -----------------------------------------------------------------------------------
 */

static bool overrides(const struct sx_forward *f, const struct sx_position_override *o,
                      size_t layer, enum sx_side side, size_t row)
{
    const struct sx_span *span = &f->spans[f->span_of[row]];
    return (o->side & side) && span->past == 0 && sx_choice_has(&o->layers, (uint32_t)layer) &&
           (o->sequence == SIZE_MAX || o->sequence == f->span_of[row]);
}

static void override_bands(const struct sx_member *m, const struct sx_choice *bands,
                           const struct sx_rotation *from, size_t row, size_t place)
{
    const size_t n = m->f->info->n_bands;
    for (size_t b = 0; b < n; b++)
        if (sx_choice_has(bands, (uint32_t)b)) {
            m->s->cosine[place * n + b] = from->cosine[row * n + b];
            m->s->sine[place * n + b] = from->sine[row * n + b];
        }
}

/* The tables of one head: the sequence's own positions with the overrides laid over them. */
static void head_tables(const struct sx_member *m, const struct sx_chunk *c, enum sx_side side,
                        size_t head)
{
    const struct sx_forward *f = m->f;
    const struct sx_hooks *hooks = &f->pass->hooks;
    const size_t bands = f->info->n_bands;
    memcpy(m->s->cosine, f->cosine + c->first * bands, c->n * bands * sizeof(float));
    memcpy(m->s->sine, f->sine + c->first * bands, c->n * bands * sizeof(float));
    for (size_t i = 0; i < hooks->n_positions; i++) {
        const struct sx_position_override *o = &hooks->positions[i];
        for (size_t r = 0; r < c->n && sx_choice_has(&o->heads, (uint32_t)head); r++)
            if (overrides(f, o, m->layer, side, c->first + r))
                override_bands(m, &o->bands, &f->rotations[i], c->first + r, r);
    }
}

static bool overridden(const struct sx_member *m, const struct sx_chunk *c, enum sx_side side)
{
    const struct sx_hooks *hooks = &m->f->pass->hooks;
    for (size_t i = 0; i < hooks->n_positions; i++)
        for (size_t r = 0; r < c->n; r++)
            if (overrides(m->f, &hooks->positions[i], m->layer, side, c->first + r))
                return true;
    return false;
}

static void rotate(const struct sx_member *m, const struct sx_chunk *c, enum sx_side side, float *x)
{
    const struct sx_forward *f = m->f;
    const size_t ld = f->ld, d = f->info->d_head, bands = f->info->n_bands;
    if (!overridden(m, c, side)) {
        sx_rotate_rows(x, ld, c->n, f->info->n_heads, d, bands, f->cosine + c->first * bands,
                       f->sine + c->first * bands);
        return;
    }
    for (size_t h = 0; h < f->info->n_heads; h++) {
        head_tables(m, c, side, h);
        sx_rotate_rows(x + h * d, ld, c->n, 1, d, bands, m->s->cosine, m->s->sine);
    }
}

/* --- rows ---------------------------------------------------------------------------------------
 */

/* Rows first .. first+n of a span, as attention wants them. */
static void store(const struct sx_member *m, const struct sx_span *span, size_t first, size_t n,
                  const float *k)
{
    const struct sx_forward *f = m->f;
    const size_t D = f->info->d_model, d = f->info->d_head;
    const size_t place = span->past + first - span->first;
    for (size_t h = 0; h < f->info->n_heads; h++) {
        size_t ldk = span->ldk;
        float *kt = span->in->cache ? sx_cache_keys(span->in->cache, m->layer, h, &ldk)
                                    : span->kt + h * d * ldk;
        sx_attention_keys(k + h * d, f->ld, n, d, kt, ldk, place);
    }
    for (size_t i = 0; span->in->cache && i < n; i++)
        memcpy(sx_cache_values(span->in->cache, m->layer) + (place + i) * D,
               f->v + (first + i) * f->ld, D * sizeof(float));
}

static void store_chunk(const struct sx_member *m, const struct sx_chunk *c, const float *k)
{
    const struct sx_forward *f = m->f;
    for (size_t row = c->first; row < c->first + c->n;) {
        const struct sx_span *span = &f->spans[f->span_of[row]];
        size_t end = span->first + span->n;
        end = end < c->first + c->n ? end : c->first + c->n;
        store(m, span, row, end - row, k + (row - c->first) * f->ld);
        row = end;
    }
}

static void rotate_queries(const struct sx_member *m, const struct sx_chunk *c, float *q)
{
    act(m, SX_POINT_Q, c, q, m->f->ld);
    rotate(m, c, SX_SIDE_QUERY, q);
    act(m, SX_POINT_Q_ROT, c, q, m->f->ld);
}

/* Of the last layer: only the rows of this chunk that the head wants. */
static void few_queries(struct sx_member *m, const struct sx_chunk *c)
{
    struct sx_forward *f = m->f;
    const size_t ld = f->ld, product = m->layer * SX_PRODUCT_LAYER;
    for (size_t i = 0; i < f->n_last_chunks; i++) {
        const struct sx_chunk *one = &f->last_chunks[i];
        float *q = f->q + one->first * ld;
        if (one->first < c->first || one->first >= c->first + c->n)
            continue;
        sx_forward_multiply(m, product + SX_PRODUCT_Q, one, m->s->y + (one->first - c->first) * ld,
                            ld, q, ld);
        rotate_queries(m, one, q);
    }
}

static bool is_last_of_few(const struct sx_forward *f, size_t layer)
{
    return f->last_chunks && layer + 1 == f->last_layer;
}

static void before_attention(struct sx_member *m, const struct sx_chunk *c)
{
    struct sx_forward *f = m->f;
    const struct sx_layer *layer = &f->weights->layers[m->layer];
    const size_t D = f->info->d_model, ld = f->ld, product = m->layer * SX_PRODUCT_LAYER;
    const bool all = !is_last_of_few(f, m->layer);
    float *x = f->resid + c->first * D, *q = f->q + c->first * ld, *v = f->v + c->first * ld;
    float *y = m->s->y, *k = m->s->u;
    if (m->lead) {
        act(m, SX_POINT_RESID_PRE, c, x, D);
        norm(m, &layer->ln1, c, x, SX_POINT_ATTN_LN, SX_POINT_ATTN_LN_SIGMA);
    }
    sx_forward_meet(m);
    if (all)
        sx_forward_multiply(m, product + SX_PRODUCT_Q, c, y, ld, q, ld);
    else
        few_queries(m, c);
    sx_forward_multiply(m, product + SX_PRODUCT_K, c, y, ld, k, ld);
    sx_forward_multiply(m, product + SX_PRODUCT_V, c, y, ld, v, ld);
    sx_forward_meet(m);
    if (!m->lead)
        return;
    if (all)
        rotate_queries(m, c, q);
    act(m, SX_POINT_K, c, k, ld);
    act(m, SX_POINT_V, c, v, ld);
    rotate(m, c, SX_SIDE_KEY, k);
    act(m, SX_POINT_K_ROT, c, k, ld);
    store_chunk(m, c, k);
}

/* Is any exponent all ones? */
static bool all_finite(const float *x, size_t n)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7F800000U) == 0x7F800000U;
    }
    return !bad;
}

/* `after`: 0 for the embedding, n + 1 for layer n. */
static void check_finite(struct sx_forward *f, const struct sx_chunk *c, size_t after)
{
    const size_t D = f->info->d_model;
    if (sx_forward_stopped(f) || all_finite(f->resid + c->first * D, c->n * D))
        return;
    atomic_store(&f->bad_layer, after);
    atomic_store(&f->stop, true);
}

/* Attention's output into the residual stream, and what the MLP reads into y. */
static void middle(const struct sx_member *m, const struct sx_chunk *c, float *x, float *u)
{
    const struct sx_forward *f = m->f;
    const struct sx_layer *layer = &f->weights->layers[m->layer];
    const size_t D = f->info->d_model;
    act(m, SX_POINT_ATTN_OUT, c, u, f->ld);
    if (f->info->parallel_residual)
        norm(m, &layer->ln2, c, x, SX_POINT_MLP_LN, SX_POINT_MLP_LN_SIGMA);
    sx_add_rows(x, D, u, f->ld, c->n, D);
    act(m, SX_POINT_RESID_MID, c, x, D);
    if (!f->info->parallel_residual)
        norm(m, &layer->ln2, c, x, SX_POINT_MLP_LN, SX_POINT_MLP_LN_SIGMA);
}

static void after_attention(struct sx_member *m, const struct sx_chunk *c)
{
    struct sx_forward *f = m->f;
    const size_t D = f->info->d_model, ld = f->ld, ldh = f->ld_mlp;
    const size_t product = m->layer * SX_PRODUCT_LAYER;
    float *x = f->resid + c->first * D, *ctx = f->ctx + c->first * ld;
    float *y = m->s->y, *u = m->s->u, *h = m->s->h;
    if (m->lead) {
        act(m, SX_POINT_CTX, c, ctx, ld);
        capture_head_out(m, c);
    }
    sx_forward_meet(m);
    sx_forward_multiply(m, product + SX_PRODUCT_OUT, c, ctx, ld, u, ld);
    sx_forward_meet(m);
    if (m->lead)
        middle(m, c, x, u);
    sx_forward_meet(m);
    sx_forward_multiply(m, product + SX_PRODUCT_UP, c, y, ld, h, ldh);
    sx_forward_meet(m);
    if (m->lead) {
        act(m, SX_POINT_MLP_PRE, c, h, ldh);
        for (size_t r = 0; r < c->n; r++)
            sx_activate(f->weights->activation, h + r * ldh, f->info->d_mlp);
        act(m, SX_POINT_MLP_POST, c, h, ldh);
    }
    sx_forward_meet(m);
    sx_forward_multiply(m, product + SX_PRODUCT_DOWN, c, h, ldh, u, ld);
    sx_forward_meet(m);
    if (!m->lead)
        return;
    act(m, SX_POINT_MLP_OUT, c, u, ld);
    sx_add_rows(x, D, u, ld, c->n, D);
    act(m, SX_POINT_RESID_POST, c, x, D);
    check_finite(f, c, m->layer + 1);
}

static void embed(const struct sx_member *m, const struct sx_chunk *c)
{
    struct sx_forward *f = m->f;
    const struct sx_weight *w = &f->weights->embed;
    const size_t D = f->info->d_model;
    const bool esm = f->info->family == SX_MODEL_ESM2;
    for (size_t row = c->first; row < c->first + c->n; row++) {
        const struct sx_span *span = &f->spans[f->span_of[row]];
        size_t token = row - span->first;
        float *x = f->resid + row * D;
        if (span->in->resid) {
            memcpy(x, span->in->resid + token * D, D * sizeof *x);
            continue;
        }
        int32_t id = span->in->ids[token];
        bool pad = esm && id == SX_ESM2_PAD && !f->pass->attend_pads;
        bool mask = esm && id == SX_ESM2_MASK && f->info->token_dropout;
        if (pad || mask) {
            memset(x, 0, D * sizeof *x);
            continue;
        }
        const char *stored = w->stored;
        sx_widen(w->storage, stored + (size_t)id * D * sx_storage_size(w->storage), x, D);
        for (size_t i = 0; span->scale != 1.0F && i < D; i++)
            x[i] *= span->scale;
    }
    check_finite(f, c, f->first_layer);
}

/* From layer `layer` - 1's attention to layer `layer`'s, or from the start, or to the end. */
static void through(struct sx_member *m, const struct sx_chunk *c, size_t layer)
{
    struct sx_forward *f = m->f;
    if (layer == f->first_layer) {
        if (m->lead)
            embed(m, c);
    } else {
        m->layer = layer - 1;
        after_attention(m, c);
    }
    m->layer = layer;
    if (layer < f->last_layer)
        before_attention(m, c);
}

void sx_forward_rows(struct sx_member *m, size_t layer)
{
    struct sx_forward *f = m->f;
    m->columns = f->by_columns;
    m->lead = !m->columns || m->number == 0;
    m->s = &f->scratch[m->columns ? 0 : m->number];
    for (size_t i = 0; m->columns && i < f->n_chunks; i++)
        through(m, &f->chunks[i], layer);
    if (m->columns)
        return;
    const bool few = f->last_chunks && layer == f->last_layer;
    const struct sx_chunk *chunks = few ? f->last_chunks : f->chunks;
    const size_t n = few ? f->n_last_chunks : f->n_chunks;
    for (size_t i; (i = atomic_fetch_add(&f->turns[2 * layer], 1)) < n;) {
        if (sx_forward_stopped(f))
            continue;
        sx_forward_tell_rows(f, layer, i, n);
        through(m, &chunks[i], layer);
    }
}

/* --- attention ----------------------------------------------------------------------------------
 */

struct rows_seen { /* context of the callbacks */
    const struct sx_member *m;
    const struct sx_span *span;
    struct sx_hook_list scores, pattern;
    size_t head, first, n_keys;
};

static struct sx_hook_token query_token(const struct rows_seen *seen, size_t query)
{
    return sx_forward_token(seen->m->f, seen->span->first + seen->first + query);
}

static void on_scores(void *ctx, size_t query, float *row)
{
    const struct rows_seen *seen = ctx;
    struct sx_hook_token token = query_token(seen, query);
    sx_hooks_attention_row(&seen->scores, seen->m->f->info, &token, seen->head, row, seen->n_keys);
}

static void on_pattern(void *ctx, size_t query, float *row)
{
    const struct rows_seen *seen = ctx;
    struct sx_hook_token token = query_token(seen, query);
    sx_hooks_attention_row(&seen->pattern, seen->m->f->info, &token, seen->head, row, seen->n_keys);
}

static void on_contact(void *ctx, size_t query, float *row)
{
    const struct rows_seen *seen = ctx;
    const struct sx_member *m = seen->m;
    size_t channel = m->layer * m->f->info->n_heads + seen->head;
    sx_contact_row(m->f->contacts, m->number, channel, seen->first + query, row);
}

/* Where the pattern goes when the one hook that concerns this head keeps all of it: attention then
 * writes it there itself. */
static float *whole_pattern(const struct rows_seen *seen, size_t index, size_t h)
{
    const struct sx_hook *one = NULL;
    for (size_t i = 0; i < seen->pattern.n; i++) {
        const struct sx_hook_list hook = {&seen->pattern.hooks[i], 1};
        if (!sx_hooks_concern(&hook, index, h))
            continue;
        if (one || !hook.hooks->capture)
            return NULL;
        one = hook.hooks;
    }
    if (!one || one->capture->tokens.list || one->capture->keys.list)
        return NULL;
    struct sx_hook_token token = query_token(seen, 0);
    return sx_capture_place(one, seen->m->f->info, &token, h);
}

/* Queries first .. first+n of a span, none beyond the block of the first. */
static void attend(const struct sx_member *m, size_t index, size_t h, size_t first, size_t n)
{
    struct sx_forward *f = m->f;
    const struct sx_span *span = &f->spans[index];
    const size_t ld = f->ld, d = f->info->d_head;
    struct rows_seen seen = {.m = m, .span = span, .head = h, .first = first};
    seen.scores = sx_hooks_at(&f->hooks, m->layer, SX_POINT_SCORES);
    seen.pattern = sx_hooks_at(&f->hooks, m->layer, SX_POINT_ATTN);
    const struct sx_hook_token token = query_token(&seen, 0);
    uint8_t shown[SX_QUERY_BLOCK] = {0};
    const bool scores = sx_hooks_show(&seen.scores, &token, h, n, shown);
    const bool pattern = sx_hooks_show(&seen.pattern, &token, h, n, shown);
    struct sx_attention_head head = {.n_q = n,
                                     .n_k = span->n_keys,
                                     .d = d,
                                     .q = f->q + (span->first + first) * ld + h * d,
                                     .ldq = ld,
                                     .ldv = span->in->cache ? f->info->d_model : ld,
                                     .scale = 1.0F / sqrtf((float)d),
                                     .forbidden = span->forbidden,
                                     .causal = INT64_MAX,
                                     .out = f->ctx + (span->first + first) * ld + h * d,
                                     .ldo = ld,
                                     .on_scores = scores ? on_scores : NULL,
                                     .on_pattern = pattern ? on_pattern : NULL,
                                     .shown = f->contacts ? NULL : shown,
                                     .ctx = &seen,
                                     .scratch = f->scratch[m->number].attention};
    if (f->contacts)
        head.on_pattern = on_contact;
    else if (pattern && (head.pattern = whole_pattern(&seen, index, h)))
        head.on_pattern = NULL;
    head.ldp = head.n_k;
    if (f->info->family == SX_MODEL_GPT_NEOX) {
        head.causal = (int64_t)(span->past + first);
        /* Nobody looks at the keys behind the last query of the block. */
        const size_t end = (first / SX_QUERY_BLOCK + 1) * SX_QUERY_BLOCK;
        if (!scores && !pattern)
            head.n_k = span->past + (end < span->n ? end : span->n);
    }
    seen.n_keys = head.n_k;
    const struct sx_cache *cache = span->in->cache;
    head.ldk = span->ldk;
    head.kt = cache ? sx_cache_keys(cache, m->layer, h, &head.ldk) : span->kt + h * d * head.ldk;
    head.v = (cache ? sx_cache_values(cache, m->layer) : f->v + span->first * ld) + h * d;
    sx_attention_head(&head);
}

static void attend_block(const struct sx_member *m, size_t index, size_t h, size_t block)
{
    const size_t first = block * SX_QUERY_BLOCK, left = m->f->spans[index].n - first;
    attend(m, index, h, first, left < SX_QUERY_BLOCK ? left : SX_QUERY_BLOCK);
}

static size_t span_of_item(const struct sx_forward *f, size_t item)
{
    size_t low = 0, high = f->n_spans;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (f->spans[mid].first_item <= item)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* For contacts a member takes all heads of a block of queries, so that nobody else adds to these
 * rows of the map; the split depends on the member's number alone, so that sums do not depend on
 * timing. */
static void attend_for_contacts(const struct sx_member *m)
{
    const struct sx_forward *f = m->f;
    size_t first, last;
    sx_gang_share(m->gang, m->number, f->spans[0].blocks, &first, &last);
    for (size_t block = first; block < last; block++) {
        if (m->number == 0)
            sx_forward_tell_attention(f, m->layer, block - first, last - first);
        for (size_t h = 0; h < f->info->n_heads && !sx_forward_stopped(m->f); h++)
            attend_block(m, 0, h, block);
    }
}

/* Of the last layer: one query of one head an item. */
static void attend_few(const struct sx_member *m)
{
    struct sx_forward *f = m->f;
    const size_t heads = f->info->n_heads, n_items = f->n_last_chunks * heads;
    for (size_t i; (i = atomic_fetch_add(&f->turns[2 * m->layer + 1], 1)) < n_items;) {
        if (sx_forward_stopped(f))
            return;
        sx_forward_tell_attention(f, m->layer, i, n_items);
        const size_t row = f->last_chunks[i / heads].first, span = f->span_of[row];
        attend(m, span, i % heads, row - f->spans[span].first, 1);
    }
}

void sx_forward_attention(struct sx_member *m, size_t layer)
{
    struct sx_forward *f = m->f;
    m->layer = layer;
    if (f->contacts) {
        attend_for_contacts(m);
        return;
    }
    if (is_last_of_few(f, layer)) {
        attend_few(m);
        return;
    }
    for (size_t i; (i = atomic_fetch_add(&f->turns[2 * layer + 1], 1)) < f->n_items;) {
        if (sx_forward_stopped(f))
            return;
        sx_forward_tell_attention(f, layer, i, f->n_items);
        size_t span = span_of_item(f, i);
        size_t item = i - f->spans[span].first_item;
        attend_block(m, span, item / f->spans[span].blocks, item % f->spans[span].blocks);
    }
}
