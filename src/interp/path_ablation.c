#include <math.h>

#include "frozen.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/composition.h"
#include "sextant/interp/lens.h"

enum { BATCH_ROWS = 2048 };

struct paths {
    struct sx_runner *runner;
    const struct sx_model *model;
    const struct sx_model_info *info;
    const struct sx_sequence *sequence;
    const struct sx_composition_ask *ask;
    uint32_t layer, head, query, key, token; /* token: whose vector is changed */
    struct sx_components components;
    float *resid; /* [T,D] entering the layer */
    size_t room;  /* runs a batch */
    struct sx_sequence *sequences;
    struct sx_intervention *puts;
    struct sx_capture *looks;
    float *vectors, *seen, *logits; /* [room,d], [room], [room,V] */
};

size_t sx_composition_components(const struct sx_model_info *info, size_t layer)
{
    return sx_component_count(info, layer);
}

static enum sx_status run_up_to(struct paths *p, struct sx_task *task, struct sx_error *err)
{
    const struct sx_capture capture = {
        .point = SX_POINT_RESID_PRE, .layers = {&p->layer, 1}, .out = p->resid};
    struct sx_sequence own = *p->sequence;
    own.rows = NULL;
    own.n_rows = 0;
    const struct sx_pass pass = {.sequences = &own,
                                 .n_sequences = 1,
                                 .hooks = {.captures = &capture, .n_captures = 1},
                                 .until_layer = (size_t)p->layer + 1};
    SX_TRY(sx_run_pass(p->runner, &pass, task, err));
    return sx_components_read(p->runner, p->sequence, p->layer, p->token, &p->components, task,
                              err);
}

static enum sx_status make_room(struct paths *p, bool logits, struct sx_error *err)
{
    const size_t T = p->sequence->n;
    p->room = T < BATCH_ROWS ? BATCH_ROWS / T : 1;
    p->resid = sx_alloc_big(T, (size_t)p->info->d_model * sizeof *p->resid);
    p->sequences = sx_xcalloc(p->room, sizeof *p->sequences);
    p->puts = sx_xcalloc(p->room, sizeof *p->puts);
    p->looks = sx_xcalloc(p->room, sizeof *p->looks);
    p->vectors = sx_xcalloc(p->room * (size_t)p->info->d_head, sizeof *p->vectors);
    p->seen = sx_xcalloc(p->room, sizeof *p->seen);
    if (logits)
        p->logits = sx_alloc_big(p->room, (size_t)p->info->vocab * sizeof *p->logits);
    if (p->resid && (p->logits || !logits))
        return SX_OK;
    return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the paths of %zu tokens", p->info->path,
                   T);
}

static void release(struct paths *p)
{
    sx_components_release(&p->components);
    sx_free(p->resid);
    sx_free(p->sequences);
    sx_free(p->puts);
    sx_free(p->looks);
    sx_free(p->vectors);
    sx_free(p->seen);
    sx_free(p->logits);
}

/* Run i of the batch is without component c; c == n: with all. */
static void prepare(struct paths *p, size_t i, size_t c, bool *gone)
{
    static const enum sx_point points[] = {SX_POINT_Q, SX_POINT_K, SX_POINT_V};
    float *vector = p->vectors + i * (size_t)p->info->d_head;
    const bool any = c < p->components.n;
    gone[any ? c : 0] = any;
    sx_path_vector(p->model, &p->components, gone, NULL, p->head, p->ask->side, vector);
    gone[any ? c : 0] = false;
    p->sequences[i] = *p->sequence;
    p->sequences[i].from_layer = p->layer;
    p->sequences[i].resid = p->resid;
    p->sequences[i].rows = p->logits ? &p->query : NULL;
    p->sequences[i].n_rows = p->logits ? 1 : 0;
    p->puts[i] = (struct sx_intervention){
        .point = points[p->ask->side],
        .sequence = i,
        .layers = {&p->layer, 1},
        .tokens = {&p->token, 1},
        .heads = {&p->head, 1},
        .band = -1,
        .action = SX_DO_REPLACE,
        .factor = 1,
        .values = vector,
    };
    p->looks[i] = (struct sx_capture){
        .point = SX_POINT_ATTN,
        .sequence = i,
        .layers = {&p->layer, 1},
        .tokens = {&p->query, 1},
        .heads = {&p->head, 1},
        .keys = {&p->key, 1},
        .out = p->seen + i,
    };
}

static double logit_of(const struct paths *p, const float *logits)
{
    double off = 0;
    int32_t first, last;
    if (p->ask->against >= 0)
        off = (double)logits[p->ask->against];
    if (p->ask->against == SX_AGAINST_MEAN) {
        sx_logits_reference(p->info, &first, &last);
        for (int32_t t = first; t <= last; t++)
            off += (double)logits[t] / (double)(last - first + 1);
    }
    return (double)logits[p->ask->target] - off;
}

static enum sx_status run_batches(struct paths *p, double *attention, double *logit,
                                  struct sx_task *task, struct sx_error *err)
{
    const size_t n = p->components.n + 1;
    bool *gone = sx_xcalloc(n, sizeof *gone);
    enum sx_status status = SX_OK;
    for (size_t first = 0; first < n && status == SX_OK; first += p->room) {
        const size_t count = n - first < p->room ? n - first : p->room;
        for (size_t i = 0; i < count; i++)
            prepare(p, i, first + i, gone);
        const struct sx_pass pass = {
            .sequences = p->sequences,
            .n_sequences = count,
            .hooks = {.captures = p->looks,
                      .n_captures = count,
                      .interventions = p->puts,
                      .n_interventions = count},
            .until_layer = p->logits ? 0 : (size_t)p->layer + 1,
            .logits = p->logits,
        };
        status = sx_task_step(task, first, n);
        if (status == SX_OK)
            status = sx_run_pass(p->runner, &pass, task, err);
        for (size_t i = 0; i < count && status == SX_OK; i++) {
            attention[first + i] = (double)p->seen[i];
            if (logit)
                logit[first + i] = logit_of(p, p->logits + i * (size_t)p->info->vocab);
        }
    }
    sx_free(gone);
    return status;
}

enum sx_status sx_path_ablation(struct sx_runner *runner, const struct sx_sequence *sequence,
                                const struct sx_composition_ask *ask, double *attention,
                                double *logit, struct sx_task *task, struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    struct paths p = {
        .runner = runner,
        .model = model,
        .info = sx_model_info(model),
        .sequence = sequence,
        .ask = ask,
        .layer = (uint32_t)ask->layer,
        .head = (uint32_t)ask->head,
        .query = (uint32_t)ask->query,
        .key = (uint32_t)ask->key,
        .token = (uint32_t)(ask->side == SX_OF_QUERY ? ask->query : ask->key),
    };
    SX_TRY(sx_composition_check(p.info, sequence, ask, logit != NULL, err));
    enum sx_status status = make_room(&p, logit != NULL, err);
    if (status == SX_OK)
        status = run_up_to(&p, task, err);
    if (status == SX_OK)
        status = run_batches(&p, attention, logit, task, err);
    release(&p);
    return status;
}
