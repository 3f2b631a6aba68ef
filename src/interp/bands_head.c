/* One head in full at one query, and the model without some bands of that query. */
#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/interp/bands.h"
#include "sextant/interp/lens.h"
#include "sextant/interp/results.h"

struct head {
    struct sx_runner *runner;
    const struct sx_model_info *info;
    struct sx_band_shape shape;
    const struct sx_head_ask *ask;
    struct sx_head_result *out;
    uint32_t layer, head, query;
    size_t n;
    float *q, *k;   /* [d], [n,d] */
    float *score;   /* [n] */
    float *resid;   /* [n,D] resid.pre of the layer */
    float *logits;  /* [V] */
    float *without; /* [d] the query without the bands */
};

static enum sx_status check(const struct head *h, struct sx_error *err)
{
    const struct sx_head_ask *ask = h->ask;
    const struct {
        const char *what;
        size_t at, n;
    } index[] = {{"layer", ask->layer, (size_t)h->info->n_layers},
                 {"head", ask->head, (size_t)h->info->n_heads},
                 {"query", ask->query, h->n}};
    for (size_t i = 0; i < 3; i++)
        if (index[i].at >= index[i].n)
            return sx_fail(err, SX_ERR_USAGE, "%s %zu, but the last one is %zu", index[i].what,
                           index[i].at, index[i].n - 1);
    if (h->shape.n < 64 && ask->removed >> h->shape.n)
        return sx_fail(err, SX_ERR_USAGE, "bands %llu: there are %zu bands, so at most %llu",
                       (unsigned long long)ask->removed, h->shape.n, (1ULL << h->shape.n) - 1);
    if (ask->target >= 0 && (uint64_t)ask->target >= h->info->vocab)
        return sx_fail(err, SX_ERR_USAGE, "target %d: the vocabulary has %llu tokens",
                       (int)ask->target, (unsigned long long)h->info->vocab);
    return SX_OK;
}

static enum sx_status make_room(struct head *h, struct sx_error *err)
{
    const size_t d = h->shape.d;
    struct sx_head_result *out = h->out;
    h->q = sx_alloc_big(d, sizeof(float));
    h->without = sx_alloc_big(d, sizeof(float));
    h->k = sx_alloc_big(h->n, d * sizeof(float));
    h->score = sx_alloc_big(h->n, sizeof(float));
    h->resid = sx_alloc_big(h->n, (size_t)h->info->d_model * sizeof(float));
    h->logits = sx_alloc_big((size_t)h->info->vocab, sizeof(float));
    *out = (struct sx_head_result){
        .layer = h->layer,
        .head = h->head,
        .query = h->query,
        .n = h->n,
        .n_bands = h->shape.n,
        .pass_through = h->shape.n > h->shape.n_rotary,
        .period = sx_xcalloc(h->shape.n, sizeof(double)),
        .score = sx_calloc_big(h->shape.n, h->n * sizeof(float)),
        .attention = sx_calloc_big(h->n, sizeof(float)),
        .removed = h->ask->removed,
        .attention_removed = sx_calloc_big(h->n, sizeof(float)),
        .target = h->ask->target,
        .p = NAN,
        .p_removed = NAN,
        .top = -1,
        .top_removed = -1,
    };
    for (size_t b = 0; b < h->shape.n; b++)
        out->period[b] = sx_band_period(&h->shape, b);
    if (h->q && h->without && h->k && h->score && h->resid && h->logits && out->score &&
        out->attention && out->attention_removed)
        return SX_OK;
    return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for a head on %zu tokens", h->info->path,
                   h->n);
}

static struct sx_sequence sequence_of(const struct head *h)
{
    struct sx_sequence sequence = *h->ask->sequence;
    sequence.rows = h->info->has_lm_head ? &h->query : NULL;
    sequence.n_rows = h->info->has_lm_head ? 1 : 0;
    return sequence;
}

static void take_prediction(const struct head *h, double *p, int32_t *top)
{
    struct sx_logit_row row;
    int32_t first;
    int32_t last;
    if (!h->info->has_lm_head)
        return;
    sx_logits_reference(h->info, &first, &last);
    sx_logits_measure(h->logits, (size_t)h->info->vocab, h->ask->target, first, last, &row);
    *p = row.p;
    *top = row.top;
}

static enum sx_status run_whole(struct head *h, struct sx_task *task, struct sx_error *err)
{
    const struct sx_choice layer = {&h->layer, 1};
    const struct sx_choice head = {&h->head, 1};
    const struct sx_choice query = {&h->query, 1};
    const struct sx_capture captures[] = {
        {.point = SX_POINT_Q, .layers = layer, .tokens = query, .heads = head, .out = h->q},
        {.point = SX_POINT_K, .layers = layer, .heads = head, .out = h->k},
        {.point = SX_POINT_SCORES,
         .layers = layer,
         .tokens = query,
         .heads = head,
         .out = h->score},
        {.point = SX_POINT_ATTN,
         .layers = layer,
         .tokens = query,
         .heads = head,
         .out = h->out->attention},
        {.point = SX_POINT_RESID_PRE, .layers = layer, .out = h->resid},
    };
    const struct sx_sequence sequence = sequence_of(h);
    const struct sx_pass pass = {.sequences = &sequence,
                                 .n_sequences = 1,
                                 .hooks = {.captures = captures, .n_captures = 5},
                                 .logits = h->logits};
    SX_TRY(sx_run_pass(h->runner, &pass, task, err));
    take_prediction(h, &h->out->p, &h->out->top);
    return SX_OK;
}

static void take_bands(struct head *h)
{
    const struct sx_sequence *sequence = h->ask->sequence;
    struct sx_band bands[SX_MAX_BANDS + 1];
    double worst = 0;
    double largest = 0;
    for (size_t j = 0; j < h->n; j++) {
        if (!isfinite(h->score[j]))
            continue;
        double sum = 0;
        sx_bands_of(&h->shape, h->q, h->k + j * h->shape.d,
                    sequence->positions ? (double)sequence->positions[h->query] : (double)h->query,
                    sequence->positions ? (double)sequence->positions[j] : (double)j, bands);
        for (size_t b = 0; b < h->shape.n; b++) {
            h->out->score[b * h->n + j] = (float)bands[b].score;
            sum += bands[b].score;
        }
        worst = fmax(worst, fabs(sum - (double)h->score[j]));
        largest = fmax(largest, fabs((double)h->score[j]));
    }
    h->out->residual = largest > 0 ? worst / largest : worst;
}

/* From the head's layer on, with the query's bands taken out. */
static enum sx_status run_without(struct head *h, struct sx_task *task, struct sx_error *err)
{
    const struct sx_choice layer = {&h->layer, 1};
    const struct sx_choice head = {&h->head, 1};
    const struct sx_choice query = {&h->query, 1};
    memcpy(h->without, h->q, h->shape.d * sizeof(float));
    for (size_t i = 0; i < h->shape.d; i++) {
        const size_t band = i < 2 * h->shape.n_rotary ? i % h->shape.n_rotary : h->shape.n_rotary;
        if (h->ask->removed >> band & 1)
            h->without[i] = 0;
    }
    const struct sx_intervention change = {.point = SX_POINT_Q,
                                           .layers = layer,
                                           .tokens = query,
                                           .heads = head,
                                           .band = -1,
                                           .action = SX_DO_REPLACE,
                                           .factor = 1,
                                           .values = h->without};
    const struct sx_capture capture = {.point = SX_POINT_ATTN,
                                       .layers = layer,
                                       .tokens = query,
                                       .heads = head,
                                       .out = h->out->attention_removed};
    struct sx_sequence sequence = sequence_of(h);
    sequence.from_layer = h->layer;
    sequence.resid = h->resid;
    const struct sx_pass pass = {
        .sequences = &sequence,
        .n_sequences = 1,
        .hooks = {.captures = &capture,
                  .n_captures = 1,
                  .interventions = &change,
                  .n_interventions = 1},
        .logits = h->logits,
    };
    SX_TRY(sx_run_pass(h->runner, &pass, task, err));
    take_prediction(h, &h->out->p_removed, &h->out->top_removed);
    return SX_OK;
}

static enum sx_status measure(struct head *h, struct sx_task *task, struct sx_error *err)
{
    SX_TRY(check(h, err));
    SX_TRY(make_room(h, err));
    SX_TRY(run_whole(h, task, err));
    take_bands(h);
    if (h->ask->removed)
        return run_without(h, task, err);
    memcpy(h->out->attention_removed, h->out->attention, h->n * sizeof(float));
    h->out->p_removed = h->out->p;
    h->out->top_removed = h->out->top;
    return SX_OK;
}

enum sx_status sx_head_measure(struct sx_runner *runner, const struct sx_head_ask *ask,
                               struct sx_head_result *result, struct sx_task *task,
                               struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    struct head h = {
        .runner = runner,
        .info = sx_model_info(model),
        .shape = sx_band_shape_of(model),
        .ask = ask,
        .out = result,
        .layer = (uint32_t)ask->layer,
        .head = (uint32_t)ask->head,
        .query = (uint32_t)ask->query,
        .n = ask->sequence->n,
    };
    *result = (struct sx_head_result){.target = -1, .top = -1, .top_removed = -1};
    const enum sx_status status = measure(&h, task, err);
    sx_free(h.q);
    sx_free(h.k);
    sx_free(h.score);
    sx_free(h.resid);
    sx_free(h.logits);
    sx_free(h.without);
    return status;
}
