/* Every layer, head and pair of a sequence: one pass keeps the queries and keys of all layers,
 * which are then gone through head by head. Scores of some queries are kept to be compared with the
 * sums over bands; all of them would cost more than the decomposition. */
#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/core/gang.h"
#include "sextant/core/nn.h"
#include "sextant/interp/bands.h"

struct survey {
    struct sx_runner *runner;
    const struct sx_model_info *info;
    struct sx_band_shape shape;
    const struct sx_sequence *sequence;
    struct sx_band_survey *out;
    struct sx_task *task;
    size_t H, n, ld; /* ld: of what a thread has by dimension */
    bool causal;
    uint32_t rows[SX_SURVEY_ROWS];
    size_t n_rows;
    float *kept;          /* owned; what a pass gives: */
    float *q, *k, *score; /* [L,n,H,d] rotated; [L,H,n_rows,n] */
    float *weight;        /* [2n-1] scale over the pairs so far apart; 0 where there are none */
    struct part {         /* of one thread; owned */
        float *q, *k;     /* [d,n] with room around, as sx_band_pairs wants them */
        float *running;   /* causal: [d,n] likewise, means of the keys 0 … t */
        float *scores;    /* [4,n] likewise, of the dimensions that are not rotated */
        float *sums;
        double worst, largest;
    } part[SX_GANG_MAX];
};

/* --- one head -----------------------------------------------------------------------------------
 */

static const float *row_at(const struct survey *s, const float *rows, size_t unit, size_t token)
{
    return rows + ((unit / s->H * s->n + token) * s->H + unit % s->H) * s->shape.d;
}

static void by_dimension(const struct survey *s, const float *from, size_t ld, float *to)
{
    sx_attention_keys(from, ld, s->n, s->shape.d, to + SX_BAND_ROOM, s->ld, 0);
}

/* Some dimensions at a time: one sum alone would wait for itself. */
static void running_means(const struct survey *s, struct part *part)
{
    enum { AT_ONCE = 8 };
    const size_t d = s->shape.d;
    for (size_t i = 0; i < d; i += AT_ONCE) {
        const size_t n = d - i < AT_ONCE ? d - i : AT_ONCE;
        const float *k = part->k + i * s->ld + SX_BAND_ROOM;
        float *out = part->running + i * s->ld + SX_BAND_ROOM;
        double sum[AT_ONCE] = {0};
        for (size_t t = 0; t < s->n; t++) {
            const double share = 1 / (double)(t + 1);
            for (size_t c = 0; c < n; c++) {
                sum[c] += (double)k[c * s->ld + t];
                out[c * s->ld + t] = (float)(sum[c] * share);
            }
        }
    }
}

/* unit: layer * H + head. */
static void check_rows(const struct survey *s, struct part *part, size_t unit)
{
    for (size_t r = 0; r < s->n_rows; r++) {
        struct sx_band_check check = {
            .q = row_at(s, s->q, unit, s->rows[r]),
            .k = part->k + SX_BAND_ROOM,
            .ld = s->ld,
            .n = s->causal ? s->rows[r] + 1 : s->n,
            .d = s->shape.d,
            .n_rotary = s->shape.n_rotary,
            .scale = (float)s->shape.scale,
            .score = s->score + (unit * s->n_rows + r) * s->n,
        };
        sx_band_check(&check);
        part->worst = fmax(part->worst, (double)check.worst);
        part->largest = fmax(part->largest, (double)check.largest);
    }
}

static void one_head(const struct survey *s, struct part *part, size_t unit)
{
    const size_t B = s->shape.n_rotary;
    const size_t ld = s->H * s->shape.d;
    const size_t first = unit * s->shape.n;
    double *size = s->out->size + first;
    double *centred = s->out->centred + first;
    double all = 0;
    by_dimension(s, row_at(s, s->q, unit, 0), ld, part->q);
    by_dimension(s, row_at(s, s->k, unit, 0), ld, part->k);
    if (s->causal)
        running_means(s, part);
    check_rows(s, part, unit);
    const double pairs = (double)s->n * (double)(s->causal ? s->n + 1 : 2 * s->n) / 2;
    for (size_t b = 0; b < s->shape.n; b++) {
        const bool rotated = b < B;
        const size_t at = (rotated ? b : 2 * B) * s->ld + SX_BAND_ROOM;
        struct sx_band_pairs band = {
            .n = s->n,
            .dims = rotated ? 2 : s->shape.d - 2 * B,
            .causal = s->causal,
            .q = part->q + at,
            .k = part->k + at,
            .ld = rotated ? B * s->ld : s->ld,
            .running = s->causal ? part->running + at : NULL,
            .weight = s->weight,
            .by_offset = s->out->by_offset + (first + b) * (2 * s->n - 1),
            .scores = part->scores + SX_BAND_ROOM,
            .lds = s->ld,
            .sums = part->sums,
        };
        sx_band_pairs(&band);
        all += band.size;
        size[b] = band.size;
        centred[b] = band.centred * s->shape.scale / pairs;
    }
    for (size_t b = 0; b < s->shape.n; b++) {
        s->out->share[first + b] = all > 0 ? size[b] / all : 0;
        size[b] *= s->shape.scale / pairs;
    }
}

static void heads_of(void *arg, struct sx_gang *gang, int member)
{
    struct survey *s = arg;
    size_t first;
    size_t last;
    sx_gang_share(gang, member, (size_t)s->info->n_layers * s->H, &first, &last);
    for (; first < last && !(s->task && sx_task_is_cancelled(s->task)); first++)
        one_head(s, &s->part[member], first);
}

/* --- the pass -----------------------------------------------------------------------------------
 */

static enum sx_status run_model(struct survey *s, struct sx_error *err)
{
    const struct sx_capture captures[] = {
        {.point = SX_POINT_Q_ROT, .out = s->q},
        {.point = SX_POINT_K_ROT, .out = s->k},
        {.point = SX_POINT_SCORES, .tokens = {s->rows, s->n_rows}, .out = s->score},
    };
    struct sx_sequence sequence = *s->sequence;
    sequence.rows = NULL;
    sequence.n_rows = 0;
    const struct sx_pass pass = {.sequences = &sequence,
                                 .n_sequences = 1,
                                 .hooks = {.captures = captures, .n_captures = 3},
                                 .until_layer = (size_t)s->info->n_layers};
    return sx_run_pass(s->runner, &pass, s->task, err);
}

static bool part_room(const struct survey *s, struct part *part)
{
    const size_t d = s->shape.d;
    part->q = sx_calloc_big(d, s->ld * sizeof(float));
    part->k = sx_calloc_big(d, s->ld * sizeof(float));
    part->running = sx_calloc_big(s->causal ? d : 0, s->ld * sizeof(float));
    part->scores = sx_calloc_big(4, s->ld * sizeof(float));
    part->sums = sx_alloc_big(sx_band_scratch(s->n), sizeof(float));
    return part->q && part->k && part->running && part->scores && part->sums;
}

static void choose_rows(struct survey *s)
{
    s->n_rows = s->n < SX_SURVEY_ROWS ? s->n : SX_SURVEY_ROWS;
    for (size_t r = 0; r < s->n_rows; r++)
        s->rows[r] = (uint32_t)(s->n_rows > 1 ? r * (s->n - 1) / (s->n_rows - 1) : 0);
}

/* Pairs with key - query = i - (n-1). */
static size_t pairs_at(const struct survey *s, size_t i)
{
    const size_t apart = i < s->n - 1 ? s->n - 1 - i : i - (s->n - 1);
    return s->causal && i > s->n - 1 ? 0 : s->n - apart;
}

static void weigh(struct survey *s)
{
    s->weight = sx_xcalloc(2 * s->n - 1, sizeof *s->weight);
    for (size_t i = 0; i < 2 * s->n - 1; i++)
        s->weight[i] = pairs_at(s, i) ? (float)(s->shape.scale / (double)pairs_at(s, i)) : 0;
}

static size_t kept_scores(const struct survey *s)
{
    return (size_t)s->info->n_layers * s->H * s->n_rows * s->n;
}

/* One block: large enough, it is of large pages. */
static void keep_room(struct survey *s)
{
    const size_t rows = (size_t)s->info->n_layers * s->n * (size_t)s->info->d_model;
    s->kept = sx_alloc_big(2 * rows + kept_scores(s), sizeof(float));
    s->q = s->kept;
    s->k = s->kept ? s->kept + rows : NULL;
    s->score = s->kept ? s->kept + 2 * rows : NULL;
}

static enum sx_status make_room(struct survey *s, int members, struct sx_error *err)
{
    struct sx_band_survey *out = s->out;
    choose_rows(s);
    weigh(s);
    const size_t cells = (size_t)s->info->n_layers * s->H * s->shape.n;
    bool ok = true;
    *out = (struct sx_band_survey){
        .n_layers = (size_t)s->info->n_layers,
        .n_heads = s->H,
        .n_bands = s->shape.n,
        .n = s->n,
        .pass_through = s->shape.n > s->shape.n_rotary,
        .period = sx_xcalloc(s->shape.n, sizeof(double)),
        .share = sx_xcalloc(cells, sizeof(double)),
        .size = sx_xcalloc(cells, sizeof(double)),
        .centred = sx_xcalloc(cells, sizeof(double)),
        .by_offset = sx_alloc_big(cells, (2 * s->n - 1) * sizeof(float)),
    };
    for (size_t b = 0; b < s->shape.n; b++)
        out->period[b] = sx_band_period(&s->shape, b);
    keep_room(s);
    for (int m = 0; m < members; m++)
        ok = part_room(s, &s->part[m]) && ok;
    if (ok && out->by_offset && s->kept)
        return SX_OK;
    return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for all pairs of %zu tokens", s->info->path,
                   s->n);
}

static void release_room(struct survey *s)
{
    sx_free(s->kept);
    sx_free(s->weight);
    for (size_t m = 0; m < SX_GANG_MAX; m++) {
        sx_free(s->part[m].q);
        sx_free(s->part[m].k);
        sx_free(s->part[m].running);
        sx_free(s->part[m].scores);
        sx_free(s->part[m].sums);
    }
}

static enum sx_status all_pairs(struct survey *s, struct sx_gang *gang, struct sx_error *err)
{
    double worst = 0;
    double largest = 0;
    SX_TRY(make_room(s, sx_gang_size(gang), err));
    SX_TRY(run_model(s, err));
    const double start = sx_clock();
    sx_gang_run(gang, heads_of, s);
    s->out->seconds = sx_clock() - start;
    SX_TRY(sx_task_step(s->task, s->info->n_layers, s->info->n_layers));
    for (int m = 0; m < sx_gang_size(gang); m++) {
        worst = fmax(worst, s->part[m].worst);
        largest = fmax(largest, s->part[m].largest);
    }
    s->out->residual = largest > 0 ? worst / largest : worst;
    return SX_OK;
}

enum sx_status sx_band_survey_run(struct sx_runner *runner, const struct sx_sequence *sequence,
                                  int threads, struct sx_band_survey *out, struct sx_task *task,
                                  struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    struct survey *s = sx_xcalloc(1, sizeof *s);
    *s = (struct survey){
        .runner = runner,
        .info = info,
        .shape = sx_band_shape_of(model),
        .sequence = sequence,
        .out = out,
        .task = task,
        .H = (size_t)info->n_heads,
        .n = sequence->n,
        .ld = (sequence->n + 15) / 16 * 16 + (size_t)2 * SX_BAND_ROOM,
        .causal = info->family == SX_MODEL_GPT_NEOX,
    };
    *out = (struct sx_band_survey){0};
    SX_ASSERT(sequence->n > 0);
    struct sx_gang *gang = sx_gang_new(threads);
    const enum sx_status status = all_pairs(s, gang, err);
    sx_gang_free(gang);
    release_room(s);
    sx_free(s);
    return status;
}

void sx_band_survey_release(struct sx_band_survey *survey)
{
    sx_free(survey->period);
    sx_free(survey->share);
    sx_free(survey->size);
    sx_free(survey->centred);
    sx_free(survey->by_offset);
    *survey = (struct sx_band_survey){0};
}

uint64_t sx_band_survey_bytes(const struct sx_model_info *info, size_t n)
{
    const double H = (double)info->n_heads;
    const double T = (double)n;
    const double cells = (double)info->n_layers * H * ((double)info->n_bands + 1);
    const double L = (double)info->n_layers;
    double bytes =
        (L * H * T * SX_SURVEY_ROWS + cells * 2 * T + 2 * L * T * (double)info->d_model) *
        sizeof(float);
    bytes += cells * 24;
    return bytes < 1e18 ? (uint64_t)bytes : (uint64_t)1e18;
}
