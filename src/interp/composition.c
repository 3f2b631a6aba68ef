#include "sextant/interp/composition.h"

#include <math.h>
#include <string.h>

#include "frozen.h"
#include "sextant/base/alloc.h"
#include "sextant/core/dense.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/results.h"

struct compose {
    struct sx_runner *runner;
    const struct sx_model *model;
    const struct sx_model_info *info;
    const struct sx_model_weights *weights;
    const struct sx_sequence *sequence;
    const struct sx_composition_ask *ask;
    struct sx_task *task;
    size_t D, d, bands, n_terms;
    float *q, *k, *v; /* [d] of the head, before rotation */
    float *resid;     /* [D] resid.post of the last layer at the query; OF_VALUE */
    float score;      /* the model's own */
    double *parts;    /* [n_terms,d] of the side, rotated */
    double *other;    /* [d] the other vector, rotated */
};

/* --- the run ------------------------------------------------------------------------------------
 */

static enum sx_status run(struct compose *c, struct sx_error *err)
{
    const uint32_t layer = (uint32_t)c->ask->layer;
    const uint32_t head = (uint32_t)c->ask->head;
    const uint32_t query = (uint32_t)c->ask->query;
    const uint32_t key = (uint32_t)c->ask->key;
    const uint32_t last = (uint32_t)c->info->n_layers - 1;
    const bool value = c->ask->side == SX_OF_VALUE;
    const struct sx_choice in = {&layer, 1};
    const struct sx_choice of = {&head, 1};
    const struct sx_capture captures[] = {
        {.point = SX_POINT_Q, .layers = in, .tokens = {&query, 1}, .heads = of, .out = c->q},
        {.point = SX_POINT_K, .layers = in, .tokens = {&key, 1}, .heads = of, .out = c->k},
        {.point = SX_POINT_V, .layers = in, .tokens = {&key, 1}, .heads = of, .out = c->v},
        {.point = SX_POINT_SCORES,
         .layers = in,
         .tokens = {&query, 1},
         .heads = of,
         .keys = {&key, 1},
         .out = &c->score},
        {.point = SX_POINT_RESID_POST,
         .layers = {&last, 1},
         .tokens = {&query, 1},
         .out = c->resid},
    };
    struct sx_sequence own = *c->sequence;
    own.rows = NULL;
    own.n_rows = 0;
    const struct sx_pass pass = {
        .sequences = &own,
        .n_sequences = 1,
        .hooks = {.captures = captures, .n_captures = value ? 5 : 4},
        .until_layer = value ? c->info->n_layers : c->ask->layer + 1,
    };
    return sx_run_pass(c->runner, &pass, c->task, err);
}

/* --- vectors of the head ------------------------------------------------------------------------
 */

/* Angles as the pass has them, in float. */
static void rotate(const struct compose *c, size_t token, double *x)
{
    const float *frequency = sx_model_frequencies(c->model);
    const float position = c->sequence->positions ? c->sequence->positions[token] : (float)token;
    for (size_t b = 0; b < c->bands; b++) {
        const double angle = (double)(position * frequency[b]);
        const double re = x[b];
        const double im = x[b + c->bands];
        x[b] = re * cos(angle) - im * sin(angle);
        x[b + c->bands] = im * cos(angle) + re * sin(angle);
    }
}

/* parts [n_terms,d]: what each component, and const, gives to the head's vector at `token`. */
static enum sx_status make_parts(struct compose *c, enum sx_side_of_score side, size_t token,
                                 double *parts, struct sx_error *err)
{
    const struct sx_norm *norm = &c->weights->layers[c->ask->layer].ln1;
    const struct sx_weight *weight = sx_side_weight(c->model, c->ask->layer, side);
    const float *w = sx_weight_f32(weight) + c->ask->head * c->d * c->D;
    struct sx_components all = {0};
    double *x = sx_xcalloc(c->D, sizeof *x);
    enum sx_status status =
        sx_components_read(c->runner, c->sequence, c->ask->layer, token, &all, c->task, err);
    for (size_t i = 0; i < all.n; i++)
        for (size_t j = 0; j < c->D; j++)
            x[j] += all.u[i * c->D + j];
    const double sigma = sx_frozen_norm(x, c->D, (double)c->weights->eps, x);
    for (size_t i = 0; i <= all.n && status == SX_OK; i++) {
        double *part = parts + i * c->d;
        for (size_t j = 0; j < c->D && i == all.n; j++)
            x[j] = (double)norm->beta[j];
        if (i < all.n) {
            (void)sx_frozen_norm(all.u + i * c->D, c->D, 0, x);
            for (size_t j = 0; j < c->D; j++)
                x[j] *= (double)norm->gamma[j] / sigma;
        }
        sx_matvec_f64(w, c->D, c->d, c->D, x, part);
        for (size_t j = 0; j < c->d && i == all.n && weight->bias; j++)
            part[j] += (double)weight->bias[c->ask->head * c->d + j];
        if (side != SX_OF_VALUE)
            rotate(c, token, part);
        status = sx_task_is_cancelled(c->task) ? SX_CANCELLED : SX_OK;
    }
    sx_components_release(&all);
    sx_free(x);
    return status;
}

/* --- bands --------------------------------------------------------------------------------------
 */

/* One of the pairs of dimensions, or what is not rotated. */
static double band_dot(const struct compose *c, size_t b, const double *x, const double *y)
{
    if (b < c->bands)
        return x[b] * y[b] + x[b + c->bands] * y[b + c->bands];
    double sum = 0;
    for (size_t i = 2 * c->bands; i < c->d; i++)
        sum += x[i] * y[i];
    return sum;
}

/* The unit vectors towards the whole side's vector and across it: counter-clockwise in a band; in
 * the rest towards the other vector. Zero where there is none. */
static void band_axes(const struct compose *c, size_t b, const double *whole, double *along,
                      double *across)
{
    const double norm = sqrt(band_dot(c, b, whole, whole));
    memset(along, 0, c->d * sizeof *along);
    memset(across, 0, c->d * sizeof *across);
    if (norm == 0)
        return;
    if (b < c->bands) {
        along[b] = whole[b] / norm;
        along[b + c->bands] = whole[b + c->bands] / norm;
        across[b] = -along[b + c->bands];
        across[b + c->bands] = along[b];
        return;
    }
    for (size_t i = 2 * c->bands; i < c->d; i++)
        along[i] = whole[i] / norm;
    const double shared = band_dot(c, b, along, c->other);
    for (size_t i = 2 * c->bands; i < c->d; i++)
        across[i] = c->other[i] - shared * along[i];
    const double rest = sqrt(band_dot(c, b, across, across));
    for (size_t i = 2 * c->bands; i < c->d; i++)
        across[i] = rest > 0 ? across[i] / rest : 0;
}

static void fill_bands(const struct compose *c, struct sx_composition_result *r)
{
    const size_t B = r->n_bands;
    const double scale = 1 / sqrt((double)c->d);
    double *whole = sx_xcalloc(c->d, sizeof *whole);
    double *along = sx_xcalloc(c->d, sizeof *along);
    double *across = sx_xcalloc(c->d, sizeof *across);
    for (size_t t = 0; t < c->n_terms; t++)
        for (size_t i = 0; i < c->d; i++)
            whole[i] += c->parts[t * c->d + i];
    for (size_t b = 0; b < B; b++) {
        band_axes(c, b, whole, along, across);
        for (size_t t = 0; t < c->n_terms; t++) {
            const double *part = c->parts + t * c->d;
            r->band[t * B + b] = scale * band_dot(c, b, part, c->other);
            r->radial[t * B + b] = band_dot(c, b, part, along);
            r->tangential[t * B + b] = band_dot(c, b, part, across);
            r->terms[t].score += r->band[t * B + b];
        }
    }
    sx_free(whole);
    sx_free(along);
    sx_free(across);
}

static enum sx_status fill_pairs(struct compose *c, struct sx_composition_result *r,
                                 struct sx_error *err)
{
    const size_t n = c->n_terms;
    const bool query = c->ask->side == SX_OF_QUERY;
    double *others = sx_xcalloc(n * c->d, sizeof *others);
    const double *of_query = query ? c->parts : others;
    const double *of_key = query ? others : c->parts;
    enum sx_status status = make_parts(c, query ? SX_OF_KEY : SX_OF_QUERY,
                                       query ? c->ask->key : c->ask->query, others, err);
    if (status == SX_OK) {
        r->pairs = sx_alloc_big(n, n * sizeof *r->pairs);
        if (!r->pairs)
            status = sx_fail(err, SX_ERR_NOMEM, "no memory for %zu pairs of components", n * n);
    }
    for (size_t i = 0; i < n && status == SX_OK; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t k = 0; k < c->d; k++)
                sum += of_query[i * c->d + k] * of_key[j * c->d + k];
            r->pairs[i * n + j] = sum / sqrt((double)c->d);
        }
    sx_free(others);
    return status;
}

static enum sx_status compose_score(struct compose *c, struct sx_composition_result *r,
                                    struct sx_error *err)
{
    const bool query = c->ask->side == SX_OF_QUERY;
    const float *other = query ? c->k : c->q;
    r->pass_through = 2 * c->bands < c->d;
    r->n_bands = c->bands + r->pass_through;
    r->period = sx_xcalloc(r->n_bands, sizeof *r->period);
    r->band = sx_xcalloc(c->n_terms * r->n_bands, sizeof *r->band);
    r->radial = sx_xcalloc(c->n_terms * r->n_bands, sizeof *r->radial);
    r->tangential = sx_xcalloc(c->n_terms * r->n_bands, sizeof *r->tangential);
    for (size_t b = 0; b < r->n_bands; b++)
        r->period[b] =
            b < c->bands ? 2 * M_PI / (double)sx_model_frequencies(c->model)[b] : INFINITY;
    for (size_t i = 0; i < c->d; i++)
        c->other[i] = (double)other[i];
    rotate(c, query ? c->ask->key : c->ask->query, c->other);
    SX_TRY(make_parts(c, c->ask->side, query ? c->ask->query : c->ask->key, c->parts, err));
    fill_bands(c, r);
    r->score = (double)c->score;
    return c->ask->pairs ? fill_pairs(c, r, err) : SX_OK;
}

/* --- the value ----------------------------------------------------------------------------------
 */

static enum sx_status compose_value(struct compose *c, struct sx_composition_result *r,
                                    struct sx_error *err)
{
    const struct sx_weight *wo = &c->weights->layers[c->ask->layer].attn_out;
    struct sx_frozen_head *head = NULL;
    double *w = sx_xcalloc(c->D, sizeof *w);
    double *u = sx_xcalloc(c->d, sizeof *u);
    enum sx_status status = sx_frozen_head_new(c->model, c->resid, SX_HEAD_SECANT, &head, err);
    if (status == SX_OK) {
        sx_frozen_head_direction(head, c->ask->target, c->ask->against, w, NULL);
        sx_matvec_t_f64(sx_weight_f32(wo) + c->ask->head * c->d, c->D, c->D, c->d, w, u);
        status = make_parts(c, SX_OF_VALUE, c->ask->key, c->parts, err);
    }
    for (size_t t = 0; t < c->n_terms && status == SX_OK; t++)
        for (size_t i = 0; i < c->d; i++)
            r->terms[t].score += u[i] * c->parts[t * c->d + i];
    r->score = sx_frozen_dot(c->v, u, c->d);
    sx_frozen_head_free(head);
    sx_free(w);
    sx_free(u);
    return status;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

enum sx_status sx_composition_check(const struct sx_model_info *info,
                                    const struct sx_sequence *sequence,
                                    const struct sx_composition_ask *ask, bool target,
                                    struct sx_error *err)
{
    if (sequence->cache || sequence->resid || sequence->from_layer)
        return sx_fail(err, SX_ERR_USAGE, "composition is of whole runs from the embedding on");
    if (ask->layer >= info->n_layers || ask->head >= info->n_heads)
        return sx_fail(err, SX_ERR_USAGE, "%s has no head %zu in layer %zu", info->name, ask->head,
                       ask->layer);
    if (ask->query >= sequence->n || ask->key >= sequence->n)
        return sx_fail(err, SX_ERR_USAGE, "composition of the score from token %zu to %zu, of %zu",
                       ask->query, ask->key, sequence->n);
    if (info->family == SX_MODEL_GPT_NEOX && ask->key > ask->query)
        return sx_fail(err, SX_ERR_USAGE, "token %zu does not see the later token %zu", ask->query,
                       ask->key);
    if (target && (ask->target < 0 || (uint64_t)ask->target >= info->vocab ||
                   ask->against < SX_AGAINST_MEAN || ask->against >= (int64_t)info->vocab))
        return sx_fail(err, SX_ERR_USAGE, "%s has no token %d", info->name, ask->target);
    if (target && !info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: this file has no language model head",
                       info->path);
    return SX_OK;
}

static void add_up(struct sx_composition_result *r)
{
    double sum = 0;
    double largest = 0;
    for (size_t t = 0; t < r->n_terms; t++) {
        sum += r->terms[t].score;
        largest = fmax(largest, fabs(r->terms[t].score));
    }
    r->residual = largest > 0 ? fabs(sum - r->score) / largest : 0;
}

static void start(struct compose *c, struct sx_composition_result *r)
{
    const struct sx_composition_ask *ask = c->ask;
    const bool value = ask->side == SX_OF_VALUE;
    *r = (struct sx_composition_result){
        .layer = ask->layer,
        .head = ask->head,
        .query = ask->query,
        .key = ask->key,
        .side = ask->side,
        .target = value ? ask->target : SX_AGAINST_NONE,
        .against = value ? ask->against : SX_AGAINST_NONE,
        .n_terms = c->n_terms,
        .terms = sx_xcalloc(c->n_terms, sizeof *r->terms),
    };
    for (size_t t = 0; t < c->n_terms; t++)
        r->terms[t].component = sx_component_at(c->info, ask->layer, t);
    c->q = sx_xcalloc(c->d, sizeof *c->q);
    c->k = sx_xcalloc(c->d, sizeof *c->k);
    c->v = sx_xcalloc(c->d, sizeof *c->v);
    c->resid = sx_xcalloc(c->D, sizeof *c->resid);
    c->parts = sx_xcalloc(c->n_terms * c->d, sizeof *c->parts);
    c->other = sx_xcalloc(c->d, sizeof *c->other);
}

enum sx_status sx_compose(struct sx_runner *runner, const struct sx_sequence *sequence,
                          const struct sx_composition_ask *ask, struct sx_composition_result *r,
                          struct sx_task *task, struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    struct compose c = {
        .runner = runner,
        .model = model,
        .info = info,
        .weights = sx_model_weights(model),
        .sequence = sequence,
        .ask = ask,
        .task = task,
        .D = (size_t)info->d_model,
        .d = (size_t)info->d_head,
        .bands = (size_t)info->n_bands,
    };
    *r = (struct sx_composition_result){0};
    SX_TRY(sx_composition_check(info, sequence, ask, ask->side == SX_OF_VALUE, err));
    SX_TRY(sx_frozen_weights(model, err));
    c.n_terms = sx_component_count(info, ask->layer) + 1;
    start(&c, r);
    enum sx_status status = run(&c, err);
    if (status == SX_OK)
        status = ask->side == SX_OF_VALUE ? compose_value(&c, r, err) : compose_score(&c, r, err);
    if (status == SX_OK)
        add_up(r);
    sx_free(c.q);
    sx_free(c.k);
    sx_free(c.v);
    sx_free(c.resid);
    sx_free(c.parts);
    sx_free(c.other);
    return status;
}
