/* Cells wait in one queue a layer where they start; batches are cut off the queues in turns. The
 * streams kept of the run without changes are those of the layers where something starts. */
#include "sextant/interp/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"

static const uint64_t DEFAULT_BYTES = (uint64_t)1 << 30;
static const double DEFAULT_FLOPS = 1e10;
enum { MAX_BATCH = 256 };

struct scan {
    struct sx_runner *runner;
    const struct sx_model_info *info;
    const struct sx_sequence *base;
    uint32_t token;
    const struct sx_metric *metric;
    const struct sx_scan_cell *cells;
    uint64_t max_bytes;
    double max_flops;
    double *value; /* or NULL */
    sx_scan_fn *visit;
    void *context;
    struct sx_task *task;

    struct queue { /* cells that start at one layer, the largest estimate first */
        size_t *cell;
        size_t n, next;
        const float *resid; /* [n, D]: where they start */
        size_t batch;       /* so many at once */
    } * queues;             /* [L + 1] */
    size_t *order;          /* [n_cells]: what the queues point into */
    float *kept;            /* streams behind each other */
    uint32_t *layers;       /* whose streams are kept, ascending */
    size_t n_layers;
    size_t n_cells, n_done;
};

/* --- what starts where --------------------------------------------------------------------------
 */

static struct sx_hooks hooks_of(const struct sx_scan_cell *cell)
{
    return (struct sx_hooks){.interventions = cell->interventions,
                             .n_interventions = cell->n_interventions,
                             .positions = cell->positions,
                             .n_positions = cell->n_positions};
}

struct ranked {
    double estimate;
    size_t cell, layer;
};

/* A NaN is no estimate and comes last. */
static int by_layer_and_estimate(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    const double ex = isnan(x->estimate) ? -INFINITY : x->estimate;
    const double ey = isnan(y->estimate) ? -INFINITY : y->estimate;
    if (ex != ey)
        return ex > ey ? -1 : 1;
    return (x->cell > y->cell) - (x->cell < y->cell);
}

static void fill_queues(struct scan *s)
{
    struct ranked *ranked = sx_xcalloc(s->n_cells + 1, sizeof *ranked);
    for (size_t i = 0; i < s->n_cells; i++) {
        const struct sx_hooks hooks = hooks_of(&s->cells[i]);
        ranked[i] = (struct ranked){s->cells[i].estimate, i, sx_hooks_first_layer(s->info, &hooks)};
    }
    qsort(ranked, s->n_cells, sizeof *ranked, by_layer_and_estimate);
    for (size_t i = 0; i < s->n_cells; i++) {
        struct queue *queue = &s->queues[ranked[i].layer];
        s->order[i] = ranked[i].cell;
        if (!queue->n++)
            queue->cell = &s->order[i];
    }
    for (size_t l = 0; l <= s->info->n_layers; l++)
        if (s->queues[l].n)
            s->layers[s->n_layers++] = (uint32_t)l;
    sx_free(ranked);
}

/* --- the run without changes --------------------------------------------------------------------
 */

static size_t stream_size(const struct scan *s)
{
    return s->base->n * (size_t)s->info->d_model;
}

/* resid.pre of the layers where cells start; behind the last layer it is resid.post of that. Where
 * both are wanted, they are packed in this order. */
static size_t plan_captures(const struct scan *s, struct sx_capture *captures, uint32_t *last)
{
    const size_t L = (size_t)s->info->n_layers;
    size_t before = s->n_layers, n = 0;
    if (before && s->layers[before - 1] == L)
        before--;
    if (before)
        captures[n++] = (struct sx_capture){
            .point = SX_POINT_RESID_PRE, .layers = {s->layers, before}, .out = s->kept};
    *last = (uint32_t)L - 1;
    if (before < s->n_layers)
        captures[n++] = (struct sx_capture){.point = SX_POINT_RESID_POST,
                                            .layers = {last, 1},
                                            .out = s->kept + before * stream_size(s)};
    return n;
}

static enum sx_status run_plain(struct scan *s, double *plain, struct sx_error *err)
{
    struct sx_capture captures[2];
    uint32_t last;
    float *logits = sx_xcalloc((size_t)s->info->vocab, sizeof *logits);
    struct sx_sequence sequence = *s->base;
    sequence.rows = &s->token;
    sequence.n_rows = 1;
    const struct sx_pass pass = {
        .sequences = &sequence,
        .n_sequences = 1,
        .hooks = {.captures = captures, .n_captures = plan_captures(s, captures, &last)},
        .logits = logits};
    const enum sx_status status = sx_run_pass(s->runner, &pass, s->task, err);
    if (status == SX_OK && plain)
        *plain = sx_metric_value(s->metric, logits, (size_t)s->info->vocab);
    sx_free(logits);
    for (size_t i = 0; i < s->n_layers; i++)
        s->queues[s->layers[i]].resid = s->kept + i * stream_size(s);
    return status;
}

/* --- limits -------------------------------------------------------------------------------------
 */

static double layer_flops(const struct sx_model_info *info, size_t n)
{
    const double D = (double)info->d_model, F = (double)info->d_mlp, T = (double)n;
    return T * (8 * D * D + 4 * D * F) + 4 * T * T * D;
}

static uint64_t batch_bytes(const struct scan *s, size_t n)
{
    size_t lengths[MAX_BATCH];
    for (size_t i = 0; i < n; i++)
        lengths[i] = s->base->n;
    const struct sx_model *model = sx_runner_model(s->runner);
    return sx_pass_bytes(model, lengths, n) + n * s->info->vocab * sizeof(float);
}

/* Rotation tables of overrides: each has one for every row of the batch. */
static uint64_t override_bytes(const struct scan *s, const struct queue *queue, size_t n)
{
    uint64_t most = 0;
    for (size_t i = 0; i < queue->n; i++) {
        const uint64_t has = s->cells[queue->cell[i]].n_positions;
        most = has > most ? has : most;
    }
    return most * n * n * s->base->n * s->info->n_bands * 2 * sizeof(float);
}

static enum sx_status set_batches(struct scan *s, struct sx_error *err)
{
    const uint64_t kept = (uint64_t)s->n_layers * stream_size(s) * sizeof(float);
    for (size_t i = 0; i < s->n_layers; i++) {
        struct queue *queue = &s->queues[s->layers[i]];
        const double left = (double)(s->info->n_layers - s->layers[i]) + 0.25;
        const double fit = s->max_flops / (left * layer_flops(s->info, s->base->n));
        size_t n = fit < 1 ? 1 : fit > MAX_BATCH ? MAX_BATCH : (size_t)fit;
        n = n < queue->n ? n : queue->n;
        while (n > 1 && kept + batch_bytes(s, n) + override_bytes(s, queue, n) > s->max_bytes)
            n /= 2;
        const uint64_t need = kept + batch_bytes(s, n) + override_bytes(s, queue, n);
        if (need > s->max_bytes)
            return sx_fail(err, SX_ERR_NOMEM,
                           "a scan over %zu tokens needs %.1f MiB, and the limit is %.1f MiB",
                           s->base->n, (double)need / (1 << 20), (double)s->max_bytes / (1 << 20));
        queue->batch = n;
    }
    return SX_OK;
}

static enum sx_status keep_streams(struct scan *s, struct sx_error *err)
{
    s->kept = sx_alloc_big(s->n_layers + 1, stream_size(s) * sizeof *s->kept);
    if (!s->kept)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for the residual streams of %zu tokens",
                       s->base->n);
    return SX_OK;
}

/* --- batches ------------------------------------------------------------------------------------
 */

struct batch {
    struct sx_sequence sequences[MAX_BATCH];
    struct sx_intervention *interventions;
    size_t n_interventions, room_interventions;
    struct sx_position_override *positions;
    size_t n_positions, room_positions;
    float *logits;
};

static void add_cell(struct batch *b, const struct sx_scan_cell *cell, size_t sequence)
{
    SX_GROW(b->interventions, b->room_interventions, b->n_interventions + cell->n_interventions);
    for (size_t i = 0; i < cell->n_interventions; i++) {
        b->interventions[b->n_interventions] = cell->interventions[i];
        b->interventions[b->n_interventions++].sequence = sequence;
    }
    SX_GROW(b->positions, b->room_positions, b->n_positions + cell->n_positions);
    for (size_t i = 0; i < cell->n_positions; i++) {
        b->positions[b->n_positions] = cell->positions[i];
        b->positions[b->n_positions++].sequence = sequence;
    }
}

/* Of the first n sequences. */
static enum sx_status pass_batch(struct sx_runner *runner, const struct batch *b, size_t n,
                                 struct sx_task *task, struct sx_error *err)
{
    const struct sx_pass pass = {.sequences = b->sequences,
                                 .n_sequences = n,
                                 .hooks = {.interventions = b->interventions,
                                           .n_interventions = b->n_interventions,
                                           .positions = b->positions,
                                           .n_positions = b->n_positions},
                                 .logits = b->logits};
    return sx_run_pass(runner, &pass, task, err);
}

static enum sx_status batch_room(struct batch *b, const struct sx_model_info *info, size_t n,
                                 struct sx_error *err)
{
    b->logits = sx_alloc_big(n, (size_t)info->vocab * sizeof *b->logits);
    return b->logits ? SX_OK
                     : sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the logits of %zu runs",
                               info->path, n);
}

static void batch_release(struct batch *b)
{
    sx_free(b->interventions);
    sx_free(b->positions);
    sx_free(b->logits);
}

static enum sx_status run_batch(struct scan *s, struct batch *b, size_t layer, size_t n,
                                struct sx_error *err)
{
    struct queue *queue = &s->queues[layer];
    const size_t V = (size_t)s->info->vocab;
    const size_t *cells = queue->cell + queue->next;
    double values[MAX_BATCH];
    b->n_interventions = b->n_positions = 0;
    for (size_t i = 0; i < n; i++) {
        b->sequences[i] = *s->base;
        b->sequences[i].rows = &s->token;
        b->sequences[i].n_rows = 1;
        b->sequences[i].from_layer = layer;
        b->sequences[i].resid = queue->resid;
        add_cell(b, &s->cells[cells[i]], i);
    }
    SX_TRY(pass_batch(s->runner, b, n, s->task, err));
    for (size_t i = 0; i < n; i++) {
        values[i] = sx_metric_value(s->metric, b->logits + i * V, V);
        if (s->value)
            s->value[cells[i]] = values[i];
    }
    queue->next += n;
    s->n_done += n;
    if (s->visit)
        s->visit(s->context, cells, values, n);
    return sx_task_step(s->task, s->n_done, s->n_cells);
}

static enum sx_status run_batches(struct scan *s, struct sx_error *err)
{
    size_t most = 1;
    for (size_t i = 0; i < s->n_layers; i++) {
        const size_t batch = s->queues[s->layers[i]].batch;
        most = batch > most ? batch : most;
    }
    struct batch b = {.n_interventions = 0};
    enum sx_status status = batch_room(&b, s->info, most, err);
    while (status == SX_OK && s->n_done < s->n_cells)
        for (size_t i = s->n_layers; status == SX_OK && i-- > 0;) {
            struct queue *queue = &s->queues[s->layers[i]];
            const size_t left = queue->n - queue->next;
            const size_t n = left < queue->batch ? left : queue->batch;
            if (n)
                status = run_batch(s, &b, s->layers[i], n, err);
        }
    batch_release(&b);
    return status;
}

static enum sx_status check(const struct scan *s, struct sx_error *err)
{
    if (!s->info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s has no language-model head, so no logits",
                       s->info->name);
    if (s->base->n == 0 || s->token >= s->base->n)
        return sx_fail(err, SX_ERR_USAGE, "token %u of %zu cannot be measured", s->token,
                       s->base->n);
    if (s->base->cache || s->base->from_layer)
        return sx_fail(err, SX_ERR_USAGE, "a scan starts at the embedding, without a cache");
    return sx_metric_check(s->metric, s->info->vocab, err);
}

static struct sx_scan_limits limits_or_default(const struct sx_scan_limits *limits)
{
    struct sx_scan_limits out = limits ? *limits : (struct sx_scan_limits){0};
    out.max_bytes = out.max_bytes ? out.max_bytes : DEFAULT_BYTES;
    out.max_flops = out.max_flops > 0 ? out.max_flops : DEFAULT_FLOPS;
    return out;
}

enum sx_status sx_scan_run(struct sx_runner *runner, const struct sx_sequence *base, size_t token,
                           const struct sx_metric *metric, const struct sx_scan_cell *cells,
                           size_t n_cells, const struct sx_scan_limits *limits, double *plain,
                           double *value, sx_scan_fn *visit, void *context, struct sx_task *task,
                           struct sx_error *err)
{
    const struct sx_scan_limits bound = limits_or_default(limits);
    const struct sx_model_info *info = sx_model_info(sx_runner_model(runner));
    struct scan s = {.runner = runner,
                     .info = info,
                     .base = base,
                     .token = (uint32_t)token,
                     .metric = metric,
                     .cells = cells,
                     .n_cells = n_cells,
                     .max_bytes = bound.max_bytes,
                     .max_flops = bound.max_flops,
                     .value = value,
                     .visit = visit,
                     .context = context,
                     .task = task};
    for (size_t i = 0; value && i < n_cells; i++)
        value[i] = NAN;
    SX_TRY(check(&s, err));
    s.queues = sx_xcalloc(info->n_layers + 1, sizeof *s.queues);
    s.layers = sx_xcalloc(info->n_layers + 1, sizeof *s.layers);
    s.order = sx_xcalloc(n_cells + 1, sizeof *s.order);
    fill_queues(&s);
    enum sx_status status = set_batches(&s, err);
    if (status == SX_OK)
        status = keep_streams(&s, err);
    if (status == SX_OK)
        status = run_plain(&s, plain, err);
    if (status == SX_OK)
        status = run_batches(&s, err);
    sx_free(s.kept);
    sx_free(s.order);
    sx_free(s.layers);
    sx_free(s.queues);
    return status;
}

/* --- trials -------------------------------------------------------------------------------------
 */

struct trying {
    struct sx_runner *runner;
    const struct sx_model_info *info;
    const struct sx_trial *trials;
    struct sx_scan_limits limits;
    struct batch batch;
    uint32_t tokens[MAX_BATCH];
    size_t lengths[MAX_BATCH];
};

static uint64_t trial_bytes(const struct trying *p, size_t n, uint64_t overrides, size_t rows)
{
    return sx_pass_bytes(sx_runner_model(p->runner), p->lengths, n) +
           n * p->info->vocab * sizeof(float) +
           overrides * rows * p->info->n_bands * 2 * sizeof(float);
}

/* How many trials from `first` on go into one batch. */
static enum sx_status cut_batch(struct trying *p, size_t first, size_t total, size_t *count,
                                struct sx_error *err)
{
    double flops = 0;
    uint64_t overrides = 0;
    size_t rows = 0, n = 0;
    for (; first + n < total && n < MAX_BATCH; n++) {
        const struct sx_trial *trial = &p->trials[first + n];
        const double more = (double)p->info->n_layers * layer_flops(p->info, trial->sequence.n);
        p->lengths[n] = trial->sequence.n;
        rows += trial->sequence.n;
        overrides += trial->n_positions;
        const uint64_t need = trial_bytes(p, n + 1, overrides, rows);
        if (n && (flops + more > p->limits.max_flops || need > p->limits.max_bytes))
            break;
        if (need > p->limits.max_bytes)
            return sx_fail(err, SX_ERR_NOMEM,
                           "a pass over %zu tokens needs %.1f MiB, and the limit is %.1f MiB",
                           trial->sequence.n, (double)need / (1 << 20),
                           (double)p->limits.max_bytes / (1 << 20));
        flops += more;
    }
    *count = n;
    return SX_OK;
}

static enum sx_status run_trials(struct trying *p, size_t first, size_t n, struct sx_task *task,
                                 struct sx_error *err)
{
    struct batch *b = &p->batch;
    b->n_interventions = b->n_positions = 0;
    for (size_t i = 0; i < n; i++) {
        const struct sx_trial *trial = &p->trials[first + i];
        p->tokens[i] = (uint32_t)trial->token;
        b->sequences[i] = trial->sequence;
        b->sequences[i].rows = &p->tokens[i];
        b->sequences[i].n_rows = 1;
        add_cell(b,
                 &(struct sx_scan_cell){.interventions = trial->interventions,
                                        .n_interventions = trial->n_interventions,
                                        .positions = trial->positions,
                                        .n_positions = trial->n_positions},
                 i);
    }
    return pass_batch(p->runner, b, n, task, err);
}

enum sx_status sx_trials_run(struct sx_runner *runner, const struct sx_trial *trials, size_t n,
                             const struct sx_scan_limits *limits, sx_trial_fn *visit, void *context,
                             struct sx_task *task, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(sx_runner_model(runner));
    struct trying *p = sx_xcalloc(1, sizeof *p);
    *p = (struct trying){
        .runner = runner, .info = info, .trials = trials, .limits = limits_or_default(limits)};
    enum sx_status status = batch_room(&p->batch, info, n < MAX_BATCH ? n : MAX_BATCH, err);
    for (size_t first = 0, count = 0; status == SX_OK && first < n; first += count) {
        status = cut_batch(p, first, n, &count, err);
        if (status == SX_OK)
            status = run_trials(p, first, count, task, err);
        for (size_t i = 0; status == SX_OK && i < count; i++)
            visit(context, first + i, p->batch.logits + i * info->vocab);
        if (status == SX_OK)
            status = sx_task_step(task, first + count, n);
    }
    batch_release(&p->batch);
    sx_free(p);
    return status;
}
