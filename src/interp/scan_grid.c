/* A grid of cells over the sites of a model: what is put where, how much it is expected to change,
 * and the scan over it. */
#include <math.h>
#include <string.h>

#include "scan_private.h"
#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

static const double TOO_SMALL = 1e-3; /* clean - corrupt: effects are not fractions of it */

struct grid {
    const struct sx_grid_request *request;
    const struct sx_model_info *info;
    struct sx_scan_result *result;
    sx_grid_fn *visit;
    void *context;
    struct sx_puts puts;
    double source_metric, plain;
    uint32_t *index;                       /* 0, 1, 2, …: choices of one are taken from it */
    struct sx_intervention *interventions; /* one a cell */
    struct sx_scan_cell *cells;            /* [n] */
    size_t *place;                         /* [n] in the result */
    size_t n;
    size_t *known; /* places whose value is that of the plain run */
    size_t n_known;
    bool began;
};

/* --- checks -------------------------------------------------------------------------------------
 */

static bool is_edge(enum sx_site site)
{
    return site == SX_SITE_EDGE || site == SX_SITE_BOS_EDGE;
}

static enum sx_status check_how(const struct sx_grid_request *request, struct sx_error *err)
{
    const char *site = sx_site_name(request->site), *how = sx_how_name(request->how);
    const bool fits = is_edge(request->site)
                          ? request->how == SX_HOW_ZERO || request->how == SX_HOW_KNOCKOUT
                          : request->how != SX_HOW_KNOCKOUT;
    if (!fits)
        return sx_fail(err, SX_ERR_USAGE,
                       is_edge(request->site)
                           ? "%s: edges are ablated by zero or knockout, not by %s"
                           : "%s: only edges are knocked out; %s does not fit",
                       site, how);
    if (request->band_part != SX_PART_FULL &&
        (request->site != SX_SITE_BAND || request->how != SX_HOW_PATCH))
        return sx_fail(err, SX_ERR_USAGE, "%s: only patches of bands have parts", site);
    if ((request->band_part == SX_PART_ROTATION) && !request->rotated)
        return sx_fail(err, SX_ERR_USAGE, "%s: rotation is patched after rotation: --rotated",
                       site);
    if (request->keys && request->site != SX_SITE_BAND)
        return sx_fail(err, SX_ERR_USAGE, "%s: only bands are of queries or keys", site);
    if (request->rotated && request->site != SX_SITE_QKV && request->site != SX_SITE_BAND)
        return sx_fail(err, SX_ERR_USAGE, "%s: only q and k are rotated", site);
    return SX_OK;
}

static size_t masks_of(const struct sx_model_info *info, const struct sx_sequence *s)
{
    size_t n = 0;
    for (size_t i = 0; info->token_dropout && i < s->n; i++)
        n += s->ids[i] == SX_ESM_MASK;
    return n;
}

static bool forced(const struct sx_sequence *s)
{
    return s->embed_scale > 0;
}

/* Activations of one run mean something in another when both are of the same length and scale. */
static enum sx_status check_source(const struct sx_grid_request *request,
                                   const struct sx_model_info *info, struct sx_error *err)
{
    const struct sx_sequence *base = &request->base, *source = &request->source;
    const size_t there = masks_of(info, source), here = masks_of(info, base);
    if (source->n != base->n)
        return sx_fail(err, SX_ERR_USAGE,
                       "clean has %zu tokens and corrupt %zu: patching needs as many in both",
                       source->n, base->n);
    if (there != here && !(forced(base) && forced(source)))
        return sx_fail(err, SX_ERR_USAGE,
                       "clean has %zu masks and corrupt %zu, so their embeddings are scaled "
                       "differently: mask as many, or force the scale (--embed-scale)",
                       there, here);
    if (request->source_token == SIZE_MAX)
        return SX_OK;
    if (request->source_token >= source->n)
        return sx_fail(err, SX_ERR_USAGE, "clean has no token %zu", request->source_token);
    if (request->all_tokens || request->keys || request->site == SX_SITE_RESID)
        return sx_fail(err, SX_ERR_USAGE,
                       "another token of the clean run is put at one token: not with all tokens, "
                       "and not in %s",
                       request->keys ? "keys" : sx_site_name(request->site));
    return SX_OK;
}

static enum sx_status check_references(const struct sx_grid_request *request, struct sx_error *err)
{
    for (size_t i = 0; i < request->n_references; i++) {
        const struct sx_reference *reference = &request->references[i];
        if (reference->n == 0 || (reference->token != SIZE_MAX && reference->token >= reference->n))
            return sx_fail(err, SX_ERR_USAGE, "reference %zu: no token %zu of %zu", i,
                           reference->token, reference->n);
    }
    return SX_OK;
}

static enum sx_status check(const struct sx_grid_request *request, const struct sx_model_info *info,
                            struct sx_error *err)
{
    if (request->base.n == 0 || !request->base.ids || request->token >= request->base.n)
        return sx_fail(err, SX_ERR_USAGE, "token %zu of %zu cannot be measured", request->token,
                       request->base.n);
    if (!info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s has no language-model head, so no logits",
                       info->name);
    SX_TRY(sx_metric_check(&request->metric, info->vocab, err));
    SX_TRY(check_how(request, err));
    if (request->how == SX_HOW_PATCH)
        return check_source(request, info, err);
    return check_references(request, err);
}

/* --- cells --------------------------------------------------------------------------------------
 */

static struct sx_choice one(const struct grid *g, size_t i)
{
    return (struct sx_choice){&g->index[i], 1};
}

/* Which put, head and band the cell in this column is about. */
static const struct sx_put *put_of(const struct grid *g, size_t row, size_t column)
{
    const struct sx_put *puts = g->puts.item;
    switch (g->request->site) {
    case SX_SITE_RESID:
        return &puts[row == g->info->n_layers];
    case SX_SITE_QKV:
        return &puts[column % 3];
    case SX_SITE_BLOCK:
        return &puts[column];
    default:
        return puts;
    }
}

static bool by_head(enum sx_site site)
{
    return site == SX_SITE_HEAD || site == SX_SITE_QKV || site == SX_SITE_BOS_VALUE ||
           site == SX_SITE_BOS_KEY;
}

static size_t head_of(const struct grid *g, size_t column)
{
    return g->request->site == SX_SITE_QKV ? column / 3 : column;
}

/* The token that the cell changes; SIZE_MAX: all of them. */
static size_t token_of(const struct grid *g, const struct sx_put *put, size_t column)
{
    if (g->request->site == SX_SITE_RESID)
        return column;
    return put->bos ? 0 : put->single ? g->request->token : SIZE_MAX;
}

static void aim_values(const struct grid *g, struct sx_intervention *iv, const struct sx_put *put,
                       size_t layer, size_t token, size_t column)
{
    const size_t H = (size_t)g->info->n_heads, B = (size_t)g->info->n_bands;
    const size_t row = token == SIZE_MAX ? 0 : sx_put_row(put, g->request, token);
    const size_t width = iv->band >= 0 ? 2 * H : put->width;
    const size_t head = iv->band >= 0 ? 2 : (size_t)g->info->d_head;
    if (!put->values) {
        iv->action = SX_DO_SCALE;
        iv->factor = 0;
        return;
    }
    iv->action = SX_DO_REPLACE;
    iv->factor = 1;
    iv->token_stride = put->tokens == 1 ? 0 : width;
    iv->head_stride = head;
    if (iv->band >= 0)
        iv->values = put->pairs + ((layer * B + (size_t)iv->band) * put->tokens + row) * width;
    else
        iv->values = put->values + (layer * put->tokens + row) * width;
    if (by_head(g->request->site))
        iv->values += head_of(g, column) * head;
}

static struct sx_intervention point_cell(const struct grid *g, size_t row, size_t column)
{
    const size_t L = (size_t)g->info->n_layers;
    const struct sx_put *put = put_of(g, row, column);
    const size_t layer = row == L ? L - 1 : row, token = token_of(g, put, column);
    struct sx_intervention iv = {.point = put->point,
                                 .layers = one(g, layer),
                                 .band = g->request->site == SX_SITE_BAND ? (int)column : -1};
    if (token != SIZE_MAX)
        iv.tokens = one(g, token);
    if (by_head(g->request->site))
        iv.heads = one(g, head_of(g, column));
    aim_values(g, &iv, put, layer, token, column);
    return iv;
}

static struct sx_intervention edge_cell(const struct grid *g, size_t row, size_t column)
{
    const bool knockout = g->request->how == SX_HOW_KNOCKOUT;
    const bool bos = g->request->site == SX_SITE_BOS_EDGE;
    struct sx_intervention iv = {.point = knockout ? SX_POINT_SCORES : SX_POINT_ATTN,
                                 .layers = one(g, row),
                                 .tokens = one(g, g->request->token),
                                 .keys = one(g, bos ? 0 : column),
                                 .band = -1,
                                 .action = knockout ? SX_DO_FORBID : SX_DO_SCALE};
    if (bos)
        iv.heads = one(g, column);
    return iv;
}

/* What the measured token cannot see changes nothing: other tokens behind the last layer, and in a
 * causal model the tokens after it. */
static bool is_known(const struct grid *g, size_t row, size_t column)
{
    const enum sx_site site = g->request->site;
    if (site != SX_SITE_RESID && site != SX_SITE_EDGE)
        return false;
    const bool causal = g->info->family == SX_MODEL_GPT_NEOX;
    return (causal && column > g->request->token) ||
           (row == g->info->n_layers && column != g->request->token);
}

static void make_cells(struct grid *g)
{
    const size_t rows = g->result->rows, columns = g->result->columns;
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < columns; column++) {
            if (is_known(g, row, column)) {
                g->known[g->n_known++] = row * columns + column;
                continue;
            }
            g->interventions[g->n] =
                is_edge(g->request->site) ? edge_cell(g, row, column) : point_cell(g, row, column);
            g->cells[g->n] = (struct sx_scan_cell){.interventions = &g->interventions[g->n],
                                                   .n_interventions = 1};
            g->place[g->n++] = row * columns + column;
        }
}

/* --- estimates ----------------------------------------------------------------------------------
 */

static double difference(const float *there, const float *put, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double by = put ? (double)put[i] - (double)there[i] : (double)there[i];
        sum += by * by;
    }
    return sum;
}

/* Squared change of one token; the part of a head or a band of all heads where a cell is that. */
static double change_at(const struct grid *g, const struct sx_put *put, const float *there,
                        size_t layer, size_t t, size_t column)
{
    const size_t d = (size_t)g->info->d_head, B = (size_t)g->info->n_bands;
    const size_t row = put->values ? sx_put_row(put, g->request, t) : 0;
    const float *old = there + (layer * g->request->base.n + t) * put->width;
    const float *new = put->values ? put->values + (layer * put->tokens + row) * put->width : NULL;
    double sum = 0;
    if (by_head(g->request->site)) {
        const size_t at = head_of(g, column) * d;
        return difference(old + at, new ? new + at : NULL, d);
    }
    if (g->request->site != SX_SITE_BAND)
        return difference(old, new, put->width);
    for (size_t h = 0; h < g->info->n_heads; h++)
        for (size_t side = 0; side < 2; side++) {
            const size_t at = h * d + side * B + column;
            sum += difference(old + at, new ? new + at : NULL, 1);
        }
    return sum;
}

static double estimate(const struct grid *g, float *const *there, size_t row, size_t column)
{
    const size_t L = (size_t)g->info->n_layers;
    const struct sx_put *put = put_of(g, row, column);
    const float *activations = there[put - g->puts.item];
    const size_t layer = row == L ? L - 1 : row, token = token_of(g, put, column);
    double sum = 0;
    for (size_t t = 0; t < g->request->base.n; t++)
        if (token == SIZE_MAX || t == token)
            sum += change_at(g, put, activations, layer, t, column);
    return sqrt(sum);
}

static enum sx_status estimate_points(struct grid *g, struct sx_runner *runner,
                                      struct sx_task *task, struct sx_error *err)
{
    enum sx_point points[SX_SITE_POINTS];
    float *there[SX_SITE_POINTS] = {NULL};
    for (size_t i = 0; i < g->puts.n; i++)
        points[i] = g->puts.item[i].point;
    const enum sx_status status =
        sx_scan_capture(runner, &g->request->base, points, g->puts.n, there, 0, NULL, task, err);
    for (size_t i = 0; status == SX_OK && i < g->n; i++)
        g->cells[i].estimate =
            estimate(g, there, g->place[i] / g->result->columns, g->place[i] % g->result->columns);
    for (size_t i = 0; i < g->puts.n; i++)
        sx_free(there[i]);
    return status;
}

/* The attention that is taken away. */
static enum sx_status estimate_edges(struct grid *g, struct sx_runner *runner, struct sx_task *task,
                                     struct sx_error *err)
{
    const size_t H = (size_t)g->info->n_heads, T = g->request->base.n;
    const struct sx_capture capture = {
        .point = SX_POINT_ATTN,
        .tokens = one(g, g->request->token),
        .out = sx_calloc_big((size_t)g->info->n_layers * H, T * sizeof(float))};
    if (!capture.out)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for the attention of %zu tokens", T);
    const struct sx_pass pass = {.sequences = &g->request->base,
                                 .n_sequences = 1,
                                 .hooks = {.captures = &capture, .n_captures = 1}};
    const enum sx_status status = sx_run_pass(runner, &pass, task, err);
    for (size_t i = 0; status == SX_OK && i < g->n; i++) {
        const size_t row = g->place[i] / g->result->columns;
        const size_t column = g->place[i] % g->result->columns;
        const float *layer = capture.out + row * H * T;
        if (g->request->site == SX_SITE_BOS_EDGE)
            g->cells[i].estimate = (double)layer[column * T];
        for (size_t h = 0; g->request->site == SX_SITE_EDGE && h < H; h++)
            g->cells[i].estimate += (double)layer[h * T + column];
    }
    sx_free(capture.out);
    return status;
}

/* --- the scan -----------------------------------------------------------------------------------
 */

static void begin(struct grid *g)
{
    struct sx_scan_result *result = g->result;
    /* Of a cell's precision, so that one without an effect shows none. */
    const float plain = (float)g->plain, source = (float)g->source_metric;
    result->clean = (double)(result->ablation ? plain : source);
    result->corrupt = result->ablation ? (double)NAN : (double)plain;
    g->began = true;
    if (!result->ablation)
        result->normalised = fabs(result->clean - result->corrupt) >= TOO_SMALL;
    for (size_t i = 0; i < g->n_known; i++)
        result->value[g->known[i]] = plain;
    result->n_done += g->n_known;
    if (g->visit && g->n_known)
        g->visit(g->context, result, g->known, g->n_known);
}

static void on_batch(void *context, const size_t *cells, const double *values, size_t n)
{
    struct grid *g = context;
    size_t *places = sx_xcalloc(n, sizeof *places);
    if (!g->began)
        begin(g);
    for (size_t i = 0; i < n; i++) {
        places[i] = g->place[cells[i]];
        g->result->value[places[i]] = (float)values[i];
    }
    g->result->n_done += n;
    if (g->visit)
        g->visit(g->context, g->result, places, n);
    sx_free(places);
}

static enum sx_status run_together(const struct grid *g, struct sx_runner *runner,
                                   struct sx_task *task, struct sx_error *err)
{
    const struct sx_scan_cell cell = {.interventions = g->interventions, .n_interventions = g->n};
    if (!g->request->together)
        return SX_OK;
    *g->request->together = NAN;
    if (g->request->site == SX_SITE_RESID || g->request->site == SX_SITE_EDGE)
        return SX_OK;
    return sx_scan_run(runner, &g->request->base, g->request->token, &g->request->metric, &cell, 1,
                       &g->request->limits, NULL, g->request->together, NULL, NULL, task, err);
}

static enum sx_status run_grid(struct grid *g, struct sx_runner *runner, struct sx_task *task,
                               struct sx_error *err)
{
    SX_TRY(sx_puts_fill(&g->puts, runner, g->request, &g->source_metric, task, err));
    make_cells(g);
    SX_TRY(is_edge(g->request->site) ? estimate_edges(g, runner, task, err)
                                     : estimate_points(g, runner, task, err));
    struct sx_scan_limits limits = g->request->limits;
    if (limits.max_bytes) /* what is put is kept, too */
        limits.max_bytes -= g->puts.bytes < limits.max_bytes ? g->puts.bytes : limits.max_bytes - 1;
    SX_TRY(sx_scan_run(runner, &g->request->base, g->request->token, &g->request->metric, g->cells,
                       g->n, &limits, &g->plain, NULL, on_batch, g, task, err));
    if (!g->began)
        begin(g);
    return run_together(g, runner, task, err);
}

static enum sx_grid grid_like(enum sx_site site)
{
    for (int i = 0; i < SX_GRID_COUNT; i++)
        if (sx_grid_site((enum sx_grid)i) == site)
            return (enum sx_grid)i;
    return site == SX_SITE_EDGE                          ? SX_GRID_LAYER_TOKEN
           : site == SX_SITE_ATTN || site == SX_SITE_MLP ? SX_GRID_LAYER_BLOCK
                                                         : SX_GRID_LAYER_HEAD;
}

static void prepare_result(struct grid *g)
{
    const struct sx_grid_request *request = g->request;
    struct sx_scan_result *result = g->result;
    *result = (struct sx_scan_result){.grid = grid_like(request->site),
                                      .metric = request->metric.kind,
                                      .target = request->metric.target,
                                      .against = request->metric.against,
                                      .token = request->token,
                                      .ablation = request->how != SX_HOW_PATCH,
                                      .clean = NAN,
                                      .corrupt = NAN};
    sx_site_shape(g->info, request->site, request->base.n, &result->rows, &result->columns);
    const size_t n = result->rows * result->columns;
    result->value = sx_xcalloc(n, sizeof *result->value);
    for (size_t i = 0; i < n; i++)
        result->value[i] = (float)NAN;
    g->interventions = sx_xcalloc(n, sizeof *g->interventions);
    g->cells = sx_xcalloc(n, sizeof *g->cells);
    g->place = sx_xcalloc(n, sizeof *g->place);
    g->known = sx_xcalloc(n, sizeof *g->known);
    const size_t most = request->base.n + (size_t)g->info->n_layers + (size_t)g->info->n_heads;
    g->index = sx_xcalloc(most, sizeof *g->index);
    for (size_t i = 0; i < most; i++)
        g->index[i] = (uint32_t)i;
}

enum sx_status sx_grid_run(struct sx_runner *runner, const struct sx_grid_request *request,
                           struct sx_scan_result *result, sx_grid_fn *visit, void *context,
                           struct sx_task *task, struct sx_error *err)
{
    struct grid g = {.request = request,
                     .info = sx_model_info(sx_runner_model(runner)),
                     .result = result,
                     .visit = visit,
                     .context = context};
    *result = (struct sx_scan_result){0};
    SX_TRY(check(request, g.info, err));
    g.puts = sx_puts_of(request, g.info);
    prepare_result(&g);
    const enum sx_status status = run_grid(&g, runner, task, err);
    sx_puts_release(&g.puts);
    sx_free(g.interventions);
    sx_free(g.cells);
    sx_free(g.place);
    sx_free(g.known);
    sx_free(g.index);
    return status;
}

double sx_scan_effect(const struct sx_scan_result *result, size_t cell)
{
    const double value = (double)result->value[cell];
    if (result->ablation)
        return value - result->clean;
    if (!result->normalised)
        return value - result->corrupt;
    /* + 0: nothing changed is 0, not -0 */
    return (value - result->corrupt) / (result->clean - result->corrupt) + 0.0;
}
