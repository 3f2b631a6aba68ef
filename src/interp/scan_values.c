/* What is put into the base run: activations of another run, means over a reference set, or tokens
 * drawn from it. */
#include <math.h>
#include <string.h>

#include "scan_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/interp/band_patch.h"
#include "sextant/model/tokenizer.h"

/* --- points of a site ---------------------------------------------------------------------------
 */

static void add_point(struct sx_puts *puts, const struct sx_model_info *info, enum sx_point point,
                      bool single, bool bos)
{
    puts->item[puts->n++] = (struct sx_put){
        .point = point, .width = sx_point_width(info, point, 0), .single = single, .bos = bos};
}

struct sx_puts sx_puts_of(const struct sx_grid_request *request, const struct sx_model_info *info)
{
    struct sx_puts puts = {0};
    const bool single = !request->all_tokens;
    const enum sx_point q = request->rotated ? SX_POINT_Q_ROT : SX_POINT_Q;
    const enum sx_point k = request->rotated ? SX_POINT_K_ROT : SX_POINT_K;
    switch (request->site) {
    case SX_SITE_RESID:
        add_point(&puts, info, SX_POINT_RESID_PRE, false, false);
        add_point(&puts, info, SX_POINT_RESID_POST, false, false);
        break;
    case SX_SITE_HEAD:
        add_point(&puts, info, SX_POINT_CTX, single, false);
        break;
    case SX_SITE_QKV:
        add_point(&puts, info, q, single, false);
        add_point(&puts, info, k, false, false);
        add_point(&puts, info, SX_POINT_V, false, false);
        break;
    case SX_SITE_BAND:
        add_point(&puts, info, request->keys ? k : q, single && !request->keys,
                  single && request->keys);
        break;
    case SX_SITE_BLOCK:
        add_point(&puts, info, SX_POINT_ATTN_OUT, single, false);
        add_point(&puts, info, SX_POINT_MLP_OUT, single, false);
        break;
    case SX_SITE_ATTN:
        add_point(&puts, info, SX_POINT_ATTN_OUT, single, false);
        break;
    case SX_SITE_MLP:
        add_point(&puts, info, SX_POINT_MLP_OUT, single, false);
        break;
    case SX_SITE_BOS_VALUE:
        add_point(&puts, info, SX_POINT_V, false, true);
        break;
    case SX_SITE_BOS_KEY:
        add_point(&puts, info, SX_POINT_K, false, true);
        break;
    case SX_SITE_EDGE:
    case SX_SITE_BOS_EDGE:
    case SX_SITE_COUNT:
        break;
    }
    return puts;
}

void sx_puts_release(struct sx_puts *puts)
{
    for (size_t i = 0; i < puts->n; i++) {
        sx_free(puts->item[i].values);
        sx_free(puts->item[i].pairs);
    }
    *puts = (struct sx_puts){0};
}

size_t sx_put_row(const struct sx_put *put, const struct sx_grid_request *request, size_t t)
{
    if (put->tokens == 1)
        return 0;
    if (put->single && request->how == SX_HOW_PATCH && request->source_token != SIZE_MAX)
        return request->source_token;
    return t;
}

/* --- runs ---------------------------------------------------------------------------------------
 */

static float *alloc_point(const struct sx_model_info *info, size_t tokens, size_t width)
{
    return sx_calloc_big((size_t)info->n_layers * tokens, width * sizeof(float));
}

static enum sx_status no_memory(size_t tokens, struct sx_error *err)
{
    return sx_fail(err, SX_ERR_NOMEM, "no memory for the activations of %zu tokens", tokens);
}

enum sx_status sx_scan_capture(struct sx_runner *runner, const struct sx_sequence *sequence,
                               const enum sx_point *points, size_t n_points, float **out,
                               size_t token, float *logits, struct sx_task *task,
                               struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(sx_runner_model(runner));
    struct sx_capture captures[SX_SITE_POINTS];
    const uint32_t row = (uint32_t)token;
    struct sx_sequence one = *sequence;
    one.rows = &row;
    one.n_rows = logits ? 1 : 0;
    for (size_t i = 0; i < n_points; i++) {
        const size_t width = sx_point_width(info, points[i], 0);
        out[i] = alloc_point(info, sequence->n, width);
        if (!out[i])
            return no_memory(sequence->n, err);
        captures[i] = (struct sx_capture){.point = points[i], .out = out[i]};
    }
    const struct sx_pass pass = {.sequences = &one,
                                 .n_sequences = 1,
                                 .hooks = {.captures = captures, .n_captures = n_points},
                                 .logits = logits};
    return sx_run_pass(runner, &pass, task, err);
}

static void points_of(const struct sx_puts *puts, enum sx_point *points)
{
    for (size_t i = 0; i < puts->n; i++)
        points[i] = puts->item[i].point;
}

static enum sx_status take_source(struct sx_puts *puts, struct sx_runner *runner,
                                  const struct sx_grid_request *request, double *metric,
                                  struct sx_task *task, struct sx_error *err)
{
    const size_t V = (size_t)sx_model_info(sx_runner_model(runner))->vocab;
    const size_t at = request->source_token == SIZE_MAX ? request->token : request->source_token;
    enum sx_point points[SX_SITE_POINTS];
    float *taken[SX_SITE_POINTS] = {NULL};
    float *logits = sx_xcalloc(V, sizeof *logits);
    points_of(puts, points);
    const enum sx_status status =
        sx_scan_capture(runner, &request->source, points, puts->n, taken, at, logits, task, err);
    for (size_t i = 0; i < puts->n; i++) {
        puts->item[i].values = taken[i];
        puts->item[i].tokens = request->source.n;
    }
    if (status == SX_OK)
        *metric = sx_metric_value(&request->metric, logits, V);
    sx_free(logits);
    return status;
}

/* --- reference sets -----------------------------------------------------------------------------
 */

/* The set as it is used: the request's, or base itself. */
struct pool {
    const struct sx_grid_request *request;
    const struct sx_model_info *info;
    bool roles; /* some sequence says which token plays the role of the request's */
};

static size_t pool_size(const struct pool *pool)
{
    return pool->request->n_references ? pool->request->n_references : 1;
}

static struct sx_reference pool_item(const struct pool *pool, size_t i)
{
    if (pool->request->n_references)
        return pool->request->references[i];
    return (struct sx_reference){pool->request->base.ids, pool->request->base.n, SIZE_MAX};
}

/* <cls>, <pad> and <eos> stand for no residue. */
static bool is_special(const struct pool *pool, int32_t id)
{
    enum { LAST_SPECIAL = 2 };
    return pool->info->family == SX_MODEL_ESM2 && id <= LAST_SPECIAL;
}

static bool in_pool(const struct pool *pool, const struct sx_put *put,
                    const struct sx_reference *reference, size_t t)
{
    if (put->bos && pool->request->n_references)
        return t == 0;
    if (put->single && pool->roles)
        return t == reference->token;
    return !is_special(pool, reference->ids[t]);
}

static size_t count_in_pool(const struct pool *pool, const struct sx_put *put)
{
    size_t n = 0;
    for (size_t i = 0; i < pool_size(pool); i++) {
        const struct sx_reference reference = pool_item(pool, i);
        for (size_t t = 0; t < reference.n; t++)
            n += in_pool(pool, put, &reference, t);
    }
    return n;
}

/* What becomes of the members of the set: sums for a mean, or the rows that were drawn. */
struct gathering {
    struct sx_put *put;
    size_t n, seen; /* members; of these met so far */
    size_t *drawn;  /* [tokens] RESAMPLE: which member each token gets */
    double *sum;    /* [L, width] MEAN */
};

static void gather_row(struct gathering *g, const struct sx_model_info *info, const float *from,
                       size_t t, size_t T)
{
    const size_t L = (size_t)info->n_layers, W = g->put->width, tokens = g->put->tokens;
    for (size_t l = 0; l < L; l++) {
        const float *row = from + (l * T + t) * W;
        for (size_t i = 0; g->sum && i < W; i++)
            g->sum[l * W + i] += (double)row[i];
        for (size_t to = 0; g->drawn && to < tokens; to++)
            if (g->drawn[to] == g->seen)
                memcpy(g->put->values + (l * tokens + to) * W, row, W * sizeof *row);
    }
    g->seen++;
}

static void draw(struct gathering *g, const struct sx_grid_request *request, size_t number)
{
    struct sx_rng rng = sx_rng_make(request->seed, number);
    g->drawn = sx_xcalloc(g->put->tokens, sizeof *g->drawn);
    for (size_t t = 0; t < g->put->tokens; t++)
        g->drawn[t] = (size_t)sx_rng_below(&rng, g->n);
}

static enum sx_status prepare_gathering(struct gathering *g, const struct pool *pool, size_t number,
                                        struct sx_error *err)
{
    const struct sx_grid_request *request = pool->request;
    const bool mean = request->how == SX_HOW_MEAN;
    g->n = count_in_pool(pool, g->put);
    if (g->n == 0)
        return sx_fail(err, SX_ERR_USAGE, "the reference set has no tokens for %s",
                       sx_point_name(g->put->point));
    g->put->tokens = mean || g->put->bos ? 1 : request->base.n;
    g->put->values = alloc_point(pool->info, g->put->tokens, g->put->width);
    if (!g->put->values)
        return no_memory(g->put->tokens, err);
    if (mean)
        g->sum = sx_xcalloc((size_t)pool->info->n_layers * g->put->width, sizeof *g->sum);
    else
        draw(g, request, number);
    return SX_OK;
}

static enum sx_status gather_sequence(struct gathering *g, size_t n, const struct pool *pool,
                                      struct sx_runner *runner, size_t index, struct sx_task *task,
                                      struct sx_error *err)
{
    const struct sx_reference reference = pool_item(pool, index);
    const struct sx_sequence sequence = {
        .ids = reference.ids,
        .n = reference.n,
        .embed_scale = pool->request->n_references ? NAN : pool->request->base.embed_scale,
        .positions = pool->request->n_references ? NULL : pool->request->base.positions};
    enum sx_point points[SX_SITE_POINTS];
    float *taken[SX_SITE_POINTS] = {NULL};
    for (size_t i = 0; i < n; i++)
        points[i] = g[i].put->point;
    const enum sx_status status =
        sx_scan_capture(runner, &sequence, points, n, taken, 0, NULL, task, err);
    for (size_t i = 0; i < n; i++) {
        for (size_t t = 0; status == SX_OK && t < reference.n; t++)
            if (in_pool(pool, g[i].put, &reference, t))
                gather_row(&g[i], pool->info, taken[i], t, reference.n);
        sx_free(taken[i]);
    }
    return status;
}

static void finish_gathering(struct gathering *g, const struct sx_model_info *info)
{
    for (size_t i = 0; g->sum && i < (size_t)info->n_layers * g->put->width; i++)
        g->put->values[i] = (float)(g->sum[i] / (double)g->n);
}

static enum sx_status take_references(struct sx_puts *puts, struct sx_runner *runner,
                                      const struct sx_grid_request *request, struct sx_task *task,
                                      struct sx_error *err)
{
    struct pool pool = {.request = request, .info = sx_model_info(sx_runner_model(runner))};
    struct gathering g[SX_SITE_POINTS] = {{0}};
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < request->n_references; i++)
        pool.roles = pool.roles || request->references[i].token != SIZE_MAX;
    for (size_t i = 0; status == SX_OK && i < puts->n; i++) {
        g[i].put = &puts->item[i];
        status = prepare_gathering(&g[i], &pool, i, err);
    }
    for (size_t i = 0; status == SX_OK && i < pool_size(&pool); i++)
        status = gather_sequence(g, puts->n, &pool, runner, i, task, err);
    for (size_t i = 0; i < puts->n; i++) {
        if (status == SX_OK)
            finish_gathering(&g[i], pool.info);
        sx_free(g[i].sum);
        sx_free(g[i].drawn);
    }
    return status;
}

/* --- bands --------------------------------------------------------------------------------------
 */

/* The two dimensions of a band beside each other, as interventions want them. */
static enum sx_status pair_up(struct sx_put *put, const struct sx_model_info *info,
                              struct sx_error *err)
{
    const size_t L = (size_t)info->n_layers, B = (size_t)info->n_bands, H = (size_t)info->n_heads;
    const size_t d = (size_t)info->d_head, T = put->tokens;
    put->pairs = sx_alloc_big(L * T, 2 * B * H * sizeof *put->pairs);
    if (!put->pairs)
        return no_memory(T, err);
    float *to = put->pairs;
    for (size_t l = 0; l < L; l++)
        for (size_t b = 0; b < B; b++)
            for (size_t i = 0; i < T * H; i++) {
                const float *head = put->values + l * T * put->width + i * d;
                *to++ = head[b];
                *to++ = head[b + B];
            }
    return SX_OK;
}

static double position_of(const struct sx_sequence *sequence, size_t token)
{
    return sequence->positions ? (double)sequence->positions[token] : (double)token;
}

/* vector [d]: every band turned by `by` tokens. */
static void turn(const struct sx_band_shape *shape, double by, float *vector)
{
    for (size_t b = 0; b < shape->n_rotary; b++) {
        const double angle = by * (double)shape->frequency[b];
        const double re = (double)vector[b], im = (double)vector[b + shape->n_rotary];
        vector[b] = (float)(re * cos(angle) - im * sin(angle));
        vector[b + shape->n_rotary] = (float)(re * sin(angle) + im * cos(angle));
    }
}

/* What one token of the base gets of the other run's: only a part of each band. own, other [H,d].
 */
static void part_of_bands(const struct sx_grid_request *request, const struct sx_band_shape *shape,
                          size_t heads, double by, const float *own, float *other)
{
    const bool norm = request->band_part == SX_PART_NORM;
    float *reference = sx_xmalloc(shape->d * sizeof *reference);
    for (size_t h = 0; h < heads; h++, own += shape->d, other += shape->d) {
        memcpy(reference, other, shape->d * sizeof *other);
        if (request->band_part == SX_PART_ROTATION) {
            memcpy(other, own, shape->d * sizeof *own);
            turn(shape, by, other);
        } else {
            sx_band_patch_vector(shape, norm ? SX_PATCH_NORM : SX_PATCH_DIRECTION, own, reference,
                                 UINT64_MAX, other);
        }
    }
    sx_free(reference);
}

static enum sx_status take_part(struct sx_put *put, struct sx_runner *runner,
                                const struct sx_grid_request *request, struct sx_task *task,
                                struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    const struct sx_band_shape shape = sx_band_shape_of(model);
    const size_t n = request->base.n;
    float *own = NULL;
    const enum sx_status status =
        sx_scan_capture(runner, &request->base, &put->point, 1, &own, 0, NULL, task, err);
    for (size_t i = 0; status == SX_OK && i < info->n_layers * n; i++) {
        const size_t layer = i / n, t = i % n, row = sx_put_row(put, request, t);
        const double by = position_of(&request->source, row) - position_of(&request->base, t);
        if (!put->single || t == request->token)
            part_of_bands(request, &shape, (size_t)info->n_heads, by, own + i * put->width,
                          put->values + (layer * put->tokens + row) * put->width);
    }
    sx_free(own);
    return status;
}

enum sx_status sx_puts_fill(struct sx_puts *puts, struct sx_runner *runner,
                            const struct sx_grid_request *request, double *source_metric,
                            struct sx_task *task, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(sx_runner_model(runner));
    *source_metric = NAN;
    if (request->how == SX_HOW_PATCH)
        SX_TRY(take_source(puts, runner, request, source_metric, task, err));
    else if (request->how == SX_HOW_MEAN || request->how == SX_HOW_RESAMPLE)
        SX_TRY(take_references(puts, runner, request, task, err));
    for (size_t i = 0; i < puts->n; i++) {
        struct sx_put *put = &puts->item[i];
        if (request->band_part != SX_PART_FULL)
            SX_TRY(take_part(put, runner, request, task, err));
        if (request->site == SX_SITE_BAND && put->values)
            SX_TRY(pair_up(put, info, err));
        puts->bytes += (put->values ? 1U : 0U) * (uint64_t)info->n_layers * put->tokens *
                       put->width * sizeof(float) * (put->pairs ? 2U : 1U);
    }
    return SX_OK;
}
