/* Conditions run through a model: passes that keep queries and keys of the chosen tokens only. */
#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/bands.h"
#include "sextant/interp/results.h"
#include "sextant/model/tokenizer.h"

enum { BATCH_TOKENS = 4096, BATCH_MOST = 64 };

/* One sequence of a pass and what is kept of it. */
struct shot {
    size_t ask;
    enum shot_kind { SHOT_A, SHOT_B, SHOT_PROFILE } kind;
    struct sx_sequence sequence;
    int32_t *ids;     /* owned, where the mask was moved */
    uint32_t *query;  /* [n_queries], owned */
    size_t n_queries; /* 1, or all of a profile */
    size_t at;        /* profile: the first query is profile_at[at] */
    uint32_t key;
    float *q;     /* [L,n_queries,H,d] */
    float *k;     /* [L,H,d] */
    float *keys;  /* [L,n,H,d]; A and B of a margin, kept until both are there */
    float *score; /* [L,H,n]; A and B */
    float *v;     /* [L,H,d] of the key; A with a target */
    float *end;   /* [D]; A with a target */
};

struct measure {
    struct sx_runner *runner;
    const struct sx_model *model;
    const struct sx_model_info *info;
    struct sx_band_shape shape;
    size_t L, H;
    const struct sx_bands_ask *asks;
    struct sx_bands_result *results;
    struct shot *shots;
    size_t n_shots, room;
};

/* --- what is asked -----------------------------------------------------------------------------
 */

static enum sx_status check_condition(const struct measure *m,
                                      const struct sx_band_condition *condition, const char *name,
                                      struct sx_error *err)
{
    const size_t n = condition->sequence->n;
    if (condition->query >= n || condition->key >= n)
        return sx_fail(err, SX_ERR_USAGE,
                       "condition %s: query %zu, key %zu, but the last of the %zu tokens is %zu",
                       name, condition->query, condition->key, n, n - 1);
    if (m->info->family == SX_MODEL_GPT_NEOX && condition->key > condition->query)
        return sx_fail(err, SX_ERR_USAGE,
                       "condition %s: the query at token %zu does not see the key at token %zu "
                       "behind it",
                       name, condition->query, condition->key);
    return SX_OK;
}

/* Keys that the query sees. */
static size_t keys_of(const struct measure *m, const struct sx_band_condition *condition)
{
    return m->info->family == SX_MODEL_GPT_NEOX ? condition->query + 1 : condition->sequence->n;
}

static enum sx_status check_margin(const struct measure *m, const struct sx_bands_ask *ask,
                                   struct sx_error *err)
{
    if (!ask->b.sequence)
        return sx_fail(err, SX_ERR_USAGE, "the margin's change needs a condition B");
    const size_t a = keys_of(m, &ask->a), b = keys_of(m, &ask->b);
    if (a != b || ask->a.key != ask->b.key)
        return sx_fail(err, SX_ERR_USAGE,
                       "the margin's change: the query sees %zu keys in A and %zu in B, the key is "
                       "%zu and %zu: both must be the same",
                       a, b, ask->a.key, ask->b.key);
    if (a < 2)
        return sx_fail(err, SX_ERR_USAGE, "the margin's change: no key besides the one there is");
    return SX_OK;
}

static enum sx_status check(const struct measure *m, const struct sx_bands_ask *ask,
                            struct sx_error *err)
{
    SX_TRY(check_condition(m, &ask->a, "A", err));
    if (ask->b.sequence)
        SX_TRY(check_condition(m, &ask->b, "B", err));
    if (ask->target >= 0 && (uint64_t)ask->target >= m->info->vocab)
        return sx_fail(err, SX_ERR_USAGE, "target %d: the vocabulary has %llu tokens",
                       (int)ask->target, (unsigned long long)m->info->vocab);
    for (size_t i = 0; ask->profile_at && i < ask->n_profile; i++) {
        const struct sx_band_condition moved = {ask->a.sequence, ask->profile_at[i], ask->a.key};
        SX_TRY(check_condition(m, &moved, "A, moved", err));
    }
    return ask->margin ? check_margin(m, ask, err) : SX_OK;
}

static void prepare_result(const struct measure *m, const struct sx_bands_ask *ask,
                           struct sx_bands_result *out)
{
    const size_t heads = m->L * m->H;
    const size_t cells = heads * m->shape.n;
    const bool both = ask->b.sequence != NULL;
    *out = (struct sx_bands_result){
        .n_layers = m->L,
        .n_heads = m->H,
        .n_bands = m->shape.n,
        .pass_through = m->shape.n > m->shape.n_rotary,
        .period = sx_xcalloc(m->shape.n, sizeof *out->period),
        .query_a = ask->a.query,
        .key_a = ask->a.key,
        .query_b = both ? ask->b.query : 0,
        .key_b = both ? ask->b.key : 0,
        .a = sx_xcalloc(cells, sizeof *out->a),
        .b = both ? sx_xcalloc(cells, sizeof *out->b) : NULL,
        .split = both ? sx_xcalloc(cells, sizeof *out->split) : NULL,
        .attention_a = sx_xcalloc(heads, sizeof *out->attention_a),
        .attention_b = both ? sx_xcalloc(heads, sizeof *out->attention_b) : NULL,
        .margin_a = sx_xcalloc(heads, sizeof *out->margin_a),
        .margin_b = both ? sx_xcalloc(heads, sizeof *out->margin_b) : NULL,
        .margin_split = ask->margin ? sx_xcalloc(cells, sizeof *out->margin_split) : NULL,
        .margin_residual = ask->margin ? sx_xcalloc(heads, sizeof *out->margin_residual) : NULL,
        .readout = ask->target >= 0 ? sx_xcalloc(heads, sizeof *out->readout) : NULL,
        .scale = m->shape.scale,
    };
    for (size_t b = 0; b < m->shape.n; b++)
        out->period[b] = sx_band_period(&m->shape, b);
    if (!ask->profile_at || ask->n_profile == 0)
        return;
    out->n_profile = ask->n_profile;
    out->profile_at = sx_xcalloc(ask->n_profile, sizeof *out->profile_at);
    memcpy(out->profile_at, ask->profile_at, ask->n_profile * sizeof *out->profile_at);
    out->profile = sx_calloc_big(cells, ask->n_profile * sizeof *out->profile);
}

/* --- the sequences of the passes ---------------------------------------------------------------
 */

static struct shot *add_shot(struct measure *m, size_t ask, enum shot_kind kind,
                             const struct sx_band_condition *condition)
{
    SX_GROW(m->shots, m->room, m->n_shots + 1);
    struct shot *shot = &m->shots[m->n_shots++];
    *shot = (struct shot){.ask = ask,
                          .kind = kind,
                          .sequence = *condition->sequence,
                          .query = sx_xcalloc(1, sizeof *shot->query),
                          .n_queries = 1,
                          .key = (uint32_t)condition->key};
    shot->sequence.rows = NULL;
    shot->sequence.n_rows = 0;
    shot->query[0] = (uint32_t)condition->query;
    return shot;
}

/* All tokens as queries of the sequence as it is; captures want them ascending. */
static void add_whole_profile(struct measure *m, size_t i, const struct sx_bands_ask *ask)
{
    struct shot *shot = add_shot(m, i, SHOT_PROFILE, &ask->a);
    sx_free(shot->query);
    shot->n_queries = shot->sequence.n;
    shot->query = sx_xcalloc(shot->n_queries, sizeof *shot->query);
    for (size_t t = 0; t < shot->n_queries; t++)
        shot->query[t] = (uint32_t)t;
}

static void add_moved_masks(struct measure *m, size_t i, const struct sx_bands_ask *ask)
{
    for (size_t p = 0; p < ask->n_profile; p++) {
        const struct sx_band_condition moved = {ask->a.sequence, ask->profile_at[p], ask->a.key};
        struct shot *shot = add_shot(m, i, SHOT_PROFILE, &moved);
        const size_t bytes = shot->sequence.n * sizeof *shot->ids;
        shot->ids = sx_xmalloc(bytes);
        memcpy(shot->ids, ask->a.sequence->ids, bytes);
        shot->ids[ask->a.query] = ask->original;
        shot->ids[moved.query] = SX_ESM_MASK;
        shot->sequence.ids = shot->ids;
        shot->at = p;
    }
}

static void add_shots(struct measure *m, size_t i)
{
    const struct sx_bands_ask *ask = &m->asks[i];
    add_shot(m, i, SHOT_A, &ask->a);
    if (ask->b.sequence)
        add_shot(m, i, SHOT_B, &ask->b);
    if (!m->results[i].profile)
        return;
    if (ask->original >= 0)
        add_moved_masks(m, i, ask);
    else
        add_whole_profile(m, i, ask);
}

/* --- passes ------------------------------------------------------------------------------------
 */

static void forget(struct shot *shot)
{
    sx_free(shot->q);
    sx_free(shot->k);
    sx_free(shot->keys);
    sx_free(shot->score);
    sx_free(shot->v);
    sx_free(shot->end);
    shot->q = shot->k = shot->keys = shot->score = shot->v = shot->end = NULL;
}

static bool make_room(const struct measure *m, struct shot *shot)
{
    const size_t D = (size_t)m->info->d_model;
    const size_t width = m->H * m->shape.d;
    const bool readout = shot->kind == SHOT_A && m->asks[shot->ask].target >= 0;
    const bool margin = shot->kind != SHOT_PROFILE && m->asks[shot->ask].margin;
    shot->q = sx_alloc_big(m->L * shot->n_queries, width * sizeof(float));
    shot->k = sx_alloc_big(m->L, width * sizeof(float));
    if (shot->kind != SHOT_PROFILE)
        shot->score = sx_alloc_big(m->L * m->H, shot->sequence.n * sizeof(float));
    if (margin)
        shot->keys = sx_alloc_big(m->L * shot->sequence.n, width * sizeof(float));
    if (readout) {
        shot->v = sx_alloc_big(m->L, width * sizeof(float));
        shot->end = sx_alloc_big(D, sizeof(float));
    }
    return shot->q && shot->k && (shot->keys || !margin) &&
           (shot->score || shot->kind == SHOT_PROFILE) && (!readout || (shot->v && shot->end));
}

enum { CAPTURES = 6 };

static size_t add_captures(const struct shot *shot, size_t index, const uint32_t *last,
                           struct sx_capture *out)
{
    const struct sx_choice query = {shot->query, shot->n_queries};
    const struct sx_choice key = {&shot->key, 1};
    size_t n = 0;
    out[n++] = (struct sx_capture){
        .point = SX_POINT_Q, .sequence = index, .tokens = query, .out = shot->q};
    out[n++] =
        (struct sx_capture){.point = SX_POINT_K, .sequence = index, .tokens = key, .out = shot->k};
    if (shot->keys)
        out[n++] = (struct sx_capture){.point = SX_POINT_K, .sequence = index, .out = shot->keys};
    if (shot->score)
        out[n++] = (struct sx_capture){
            .point = SX_POINT_SCORES, .sequence = index, .tokens = query, .out = shot->score};
    if (shot->v)
        out[n++] = (struct sx_capture){
            .point = SX_POINT_V, .sequence = index, .tokens = key, .out = shot->v};
    if (shot->end)
        out[n++] = (struct sx_capture){.point = SX_POINT_RESID_POST,
                                       .sequence = index,
                                       .layers = {last, 1},
                                       .tokens = query,
                                       .out = shot->end};
    return n;
}

static enum sx_status run_shots(const struct measure *m, struct shot *shots, size_t n,
                                struct sx_task *task, struct sx_error *err)
{
    const uint32_t last = (uint32_t)m->L - 1;
    struct sx_sequence sequences[BATCH_MOST];
    struct sx_capture captures[BATCH_MOST * CAPTURES];
    size_t n_captures = 0;
    for (size_t i = 0; i < n; i++) {
        if (!make_room(m, &shots[i]))
            return sx_fail(err, SX_ERR_NOMEM,
                           "%s: no memory for the queries and keys of %zu tokens", m->info->path,
                           shots[i].sequence.n);
        sequences[i] = shots[i].sequence;
        n_captures += add_captures(&shots[i], i, &last, captures + n_captures);
    }
    const struct sx_pass pass = {.sequences = sequences,
                                 .n_sequences = n,
                                 .hooks = {.captures = captures, .n_captures = n_captures}};
    return sx_run_pass(m->runner, &pass, task, err);
}

/* --- what is made of them ----------------------------------------------------------------------
 */

static double position_of(const struct sx_sequence *sequence, size_t token)
{
    return sequence->positions ? (double)sequence->positions[token] : (double)token;
}

/* Bands of one head's score with query number `at` of the shot. */
static void bands_of(const struct measure *m, const struct shot *shot, size_t l, size_t h,
                     size_t at, struct sx_band *out)
{
    const size_t width = m->H * m->shape.d;
    sx_bands_of(&m->shape, shot->q + (l * shot->n_queries + at) * width + h * m->shape.d,
                shot->k + l * width + h * m->shape.d, position_of(&shot->sequence, shot->query[at]),
                position_of(&shot->sequence, shot->key), out);
}

static void take_condition(const struct measure *m, const struct shot *shot, double *worst,
                           double *largest)
{
    struct sx_bands_result *out = &m->results[shot->ask];
    const bool is_a = shot->kind == SHOT_A;
    const size_t n = shot->sequence.n;
    for (size_t head = 0; head < m->L * m->H; head++) {
        struct sx_band *bands = (is_a ? out->a : out->b) + head * m->shape.n;
        const float *row = shot->score + head * n;
        bands_of(m, shot, head / m->H, head % m->H, 0, bands);
        double sum = 0;
        for (size_t b = 0; b < m->shape.n; b++)
            sum += bands[b].score;
        *worst = fmax(*worst, fabs(sum - (double)row[shot->key]));
        *largest = fmax(*largest, fabs((double)row[shot->key]));
        const double margin = sx_margin(row, n, shot->key);
        (is_a ? out->margin_a : out->margin_b)[head] = margin;
        (is_a ? out->attention_a : out->attention_b)[head] = 1 / (1 + exp(-margin));
    }
}

static enum sx_status take_readout(const struct measure *m, const struct shot *shot,
                                   struct sx_error *err)
{
    struct sx_bands_result *out = &m->results[shot->ask];
    struct sx_frozen_head *head = NULL;
    SX_TRY(sx_frozen_head_new(m->model, shot->end, SX_HEAD_SECANT, &head, err));
    double *w = sx_xcalloc((size_t)m->info->d_model, sizeof *w);
    sx_frozen_head_direction(head, m->asks[shot->ask].target, SX_AGAINST_NONE, w, NULL);
    enum sx_status status = SX_OK;
    for (size_t l = 0; l < m->L && status == SX_OK; l++) {
        status = sx_head_readout(m->model, l, w, shot->v + l * m->H * m->shape.d, 1,
                                 out->readout + l * m->H, err);
        for (size_t h = 0; h < m->H && status == SX_OK; h++)
            out->readout[l * m->H + h] *= out->attention_a[l * m->H + h];
    }
    sx_free(w);
    sx_frozen_head_free(head);
    return status;
}

static void take_profile(const struct measure *m, const struct shot *shot)
{
    struct sx_bands_result *out = &m->results[shot->ask];
    struct sx_band bands[SX_MAX_BANDS + 1];
    const bool whole = !shot->ids;
    const size_t first = whole ? 0 : shot->at;
    const size_t n = whole ? out->n_profile : 1;
    for (size_t p = first; p < first + n; p++)
        for (size_t head = 0; head < m->L * m->H; head++) {
            bands_of(m, shot, head / m->H, head % m->H, whole ? out->profile_at[p] : 0, bands);
            for (size_t b = 0; b < m->shape.n; b++)
                out->profile[(head * m->shape.n + b) * out->n_profile + p] = (float)bands[b].score;
        }
}

static struct sx_band_row row_of(const struct measure *m, const struct shot *shot, size_t l,
                                 size_t h, size_t n)
{
    const size_t width = m->H * m->shape.d;
    return (struct sx_band_row){
        .q = shot->q + l * width + h * m->shape.d,
        .k = shot->keys + l * shot->sequence.n * width + h * m->shape.d,
        .n = n,
        .ldk = width,
        .query_position = position_of(&shot->sequence, shot->query[0]),
        .positions = shot->sequence.positions,
    };
}

/* Of the ask that `a` is condition A of; B stands behind it. */
static enum sx_status take_margin(const struct measure *m, const struct shot *a,
                                  struct sx_task *task)
{
    struct sx_bands_result *out = &m->results[a->ask];
    const struct shot *b = a + 1;
    const size_t n = keys_of(m, &m->asks[a->ask].a);
    SX_ASSERT(a->kind == SHOT_A && b->kind == SHOT_B && a->keys && b->keys);
    for (size_t head = 0; head < m->L * m->H; head++) {
        const struct sx_band_row of_a = row_of(m, a, head / m->H, head % m->H, n);
        const struct sx_band_row of_b = row_of(m, b, head / m->H, head % m->H, n);
        SX_TRY(sx_task_step(task, head, m->L * m->H));
        sx_margin_change(&m->shape, &of_a, &of_b, a->key, out->margin_split + head * m->shape.n,
                         &out->margin_residual[head]);
    }
    return SX_OK;
}

static enum sx_status take(const struct measure *m, const struct shot *shot, double *worst,
                           double *largest, struct sx_error *err)
{
    if (shot->kind == SHOT_PROFILE)
        take_profile(m, shot);
    else
        take_condition(m, shot, &worst[shot->ask], &largest[shot->ask]);
    return shot->end ? take_readout(m, shot, err) : SX_OK;
}

static void finish(const struct measure *m, size_t i, double worst, double largest)
{
    struct sx_bands_result *out = &m->results[i];
    out->residual = largest > 0 ? worst / largest : worst;
    for (size_t c = 0; out->split && c < m->L * m->H * m->shape.n; c++)
        sx_band_split(&out->a[c], &out->b[c], m->shape.scale, &out->split[c]);
}

/* --- all ---------------------------------------------------------------------------------------
 */

static size_t batch_end(const struct measure *m, size_t first)
{
    size_t last = first;
    size_t tokens = 0;
    while (last < m->n_shots && last - first < BATCH_MOST &&
           (last == first || tokens + m->shots[last].sequence.n <= BATCH_TOKENS))
        tokens += m->shots[last++].sequence.n;
    return last;
}

/* Both conditions of a margin are there. */
static enum sx_status take_margins(struct measure *m, struct sx_task *task)
{
    for (size_t i = 0; i < m->n_shots; i++)
        if (m->shots[i].kind == SHOT_A && m->asks[m->shots[i].ask].margin)
            SX_TRY(take_margin(m, &m->shots[i], task));
    return SX_OK;
}

static enum sx_status run_all(struct measure *m, double *worst, double *largest,
                              struct sx_task *task, struct sx_error *err)
{
    for (size_t first = 0; first < m->n_shots;) {
        const size_t last = batch_end(m, first);
        SX_TRY(sx_task_step(task, first, m->n_shots));
        SX_TRY(run_shots(m, m->shots + first, last - first, task, err));
        for (; first < last; first++) {
            SX_TRY(take(m, &m->shots[first], worst, largest, err));
            if (!m->shots[first].keys)
                forget(&m->shots[first]);
        }
    }
    return SX_OK;
}

static enum sx_status prepare_all(struct measure *m, size_t n, struct sx_error *err)
{
    for (size_t i = 0; i < n; i++) {
        SX_TRY(check(m, &m->asks[i], err));
        prepare_result(m, &m->asks[i], &m->results[i]);
        if (m->results[i].profile_at && !m->results[i].profile)
            return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for a profile of %zu tokens",
                           m->info->path, m->results[i].n_profile);
        add_shots(m, i);
    }
    return SX_OK;
}

static void release_shots(struct measure *m)
{
    for (size_t i = 0; i < m->n_shots; i++) {
        forget(&m->shots[i]);
        sx_free(m->shots[i].ids);
        sx_free(m->shots[i].query);
    }
    sx_free(m->shots);
}

enum sx_status sx_bands_measure(struct sx_runner *runner, const struct sx_bands_ask *asks, size_t n,
                                struct sx_bands_result *results, struct sx_task *task,
                                struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    struct measure m = {
        .runner = runner,
        .model = model,
        .info = info,
        .shape = sx_band_shape_of(model),
        .L = (size_t)info->n_layers,
        .H = (size_t)info->n_heads,
        .asks = asks,
        .results = results,
    };
    double *worst = sx_xcalloc(2 * n + 1, sizeof *worst);
    for (size_t i = 0; i < n; i++)
        results[i] = (struct sx_bands_result){0};
    enum sx_status status = prepare_all(&m, n, err);
    if (status == SX_OK)
        status = run_all(&m, worst, worst + n, task, err);
    if (status == SX_OK)
        status = take_margins(&m, task);
    for (size_t i = 0; status == SX_OK && i < n; i++)
        finish(&m, i, worst[i], worst[n + i]);
    release_shots(&m);
    sx_free(worst);
    return status;
}
