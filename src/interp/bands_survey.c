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
    size_t H, n, ldk, width; /* width: of by_offset with room behind it */
    bool causal;
    uint32_t rows[SX_SURVEY_ROWS];
    size_t n_rows;
    size_t *row_of;       /* [n] number of the query among the rows; SIZE_MAX: none */
    float *q, *k, *score; /* [L,n,H,d] rotated; [L,H,n_rows,n] */
    struct part {         /* of one thread; owned */
        float *kt;        /* [d,ldk] keys transposed */
        float *q;         /* [d] scaled */
        float *offset;    /* [B,width] */
        double *mean;     /* [d] sum of the keys that are seen */
        float *taken;     /* [B] mean score of the band over the keys */
        float *total;     /* [ldk] */
        double worst, largest;
    } part[SX_GANG_MAX];
};

/* --- one head -----------------------------------------------------------------------------------
 */

/* The mean over the keys of each band's score is that of the mean key. */
static void mean_scores(const struct survey *s, struct part *part, size_t seen)
{
    const size_t B = s->shape.n_rotary;
    for (size_t b = 0; b < s->shape.n; b++) {
        double sum = 0;
        if (b < B) {
            sum = (double)part->q[b] * part->mean[b] + (double)part->q[b + B] * part->mean[b + B];
        } else {
            for (size_t i = 2 * B; i < s->shape.d; i++)
                sum += (double)part->q[i] * part->mean[i];
        }
        part->taken[b] = (float)(sum / (double)seen);
    }
}

static void add_key(const struct survey *s, struct part *part, const float *k)
{
    for (size_t i = 0; i < s->shape.d; i++)
        part->mean[i] += (double)k[i];
}

static const float *row_at(const struct survey *s, const float *rows, size_t unit, size_t token)
{
    return rows + ((unit / s->H * s->n + token) * s->H + unit % s->H) * s->shape.d;
}

/* unit: layer * H + head. */
static void one_query(const struct survey *s, struct part *part, size_t unit, size_t query,
                      double *size, double *centred)
{
    const size_t d = s->shape.d;
    const float *q = row_at(s, s->q, unit, query);
    const size_t seen = s->causal ? query + 1 : s->n;
    const size_t row = s->row_of[query];
    for (size_t i = 0; i < d; i++)
        part->q[i] = q[i] * (float)s->shape.scale;
    mean_scores(s, part, seen);
    struct sx_band_sums sums = {
        .q = part->q,
        .kt = part->kt,
        .ldk = s->ldk,
        .n_k = seen,
        .d = d,
        .n_rotary = s->shape.n_rotary,
        .mean = part->taken,
        .score = row < s->n_rows ? s->score + (unit * s->n_rows + row) * s->n : NULL,
        .by_offset = part->offset + (s->n - 1 - query),
        .ldo = s->width,
        .total = part->total,
        .size = size,
        .centred = centred,
    };
    sx_band_sums(&sums);
    if (row >= s->n_rows)
        return;
    part->worst = fmax(part->worst, (double)sums.worst);
    part->largest = fmax(part->largest, (double)sums.largest);
}

/* Pairs with key - query = i - (n-1). */
static size_t pairs_at(const struct survey *s, size_t i)
{
    const size_t apart = i < s->n - 1 ? s->n - 1 - i : i - (s->n - 1);
    return s->causal && i > s->n - 1 ? 0 : s->n - apart;
}

static void one_head(const struct survey *s, struct part *part, size_t unit)
{
    const size_t d = s->shape.d;
    const size_t B = s->shape.n;
    const size_t ld = s->H * d;
    const size_t first = unit * B;
    const size_t offsets = 2 * s->n - 1;
    double *size = s->out->size + first;
    double *centred = s->out->centred + first;
    double all = 0;
    sx_attention_keys(row_at(s, s->k, unit, 0), ld, s->n, d, part->kt, s->ldk, 0);
    memset(part->offset, 0, B * s->width * sizeof *part->offset);
    memset(part->mean, 0, d * sizeof *part->mean);
    for (size_t t = 0; t < s->n && !s->causal; t++)
        add_key(s, part, row_at(s, s->k, unit, t));
    for (size_t t = 0; t < s->n; t++) {
        if (s->causal)
            add_key(s, part, row_at(s, s->k, unit, t));
        one_query(s, part, unit, t, size, centred);
    }
    const double pairs = (double)s->n * (double)(s->causal ? s->n + 1 : 2 * s->n) / 2;
    for (size_t b = 0; b < B; b++)
        all += size[b];
    for (size_t b = 0; b < B; b++) {
        s->out->share[first + b] = all > 0 ? size[b] / all : 0;
        size[b] /= pairs;
        centred[b] /= pairs;
        for (size_t i = 0; i < offsets; i++)
            s->out->by_offset[(first + b) * offsets + i] =
                pairs_at(s, i) ? part->offset[b * s->width + i] / (float)pairs_at(s, i) : 0;
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
    part->kt = sx_calloc_big(d, s->ldk * sizeof(float));
    part->q = sx_calloc_big(d, sizeof(float));
    part->offset = sx_calloc_big(s->shape.n, s->width * sizeof(float));
    part->mean = sx_calloc_big(d, sizeof(double));
    part->taken = sx_calloc_big(s->shape.n, sizeof(float));
    part->total = sx_calloc_big(s->ldk, sizeof(float));
    return part->kt && part->q && part->offset && part->mean && part->taken && part->total;
}

static void choose_rows(struct survey *s)
{
    s->row_of = sx_xcalloc(s->n, sizeof *s->row_of);
    s->n_rows = s->n < SX_SURVEY_ROWS ? s->n : SX_SURVEY_ROWS;
    for (size_t t = 0; t < s->n; t++)
        s->row_of[t] = SIZE_MAX;
    for (size_t r = 0; r < s->n_rows; r++) {
        const size_t t = s->n_rows > 1 ? r * (s->n - 1) / (s->n_rows - 1) : 0;
        s->rows[r] = (uint32_t)t;
        s->row_of[t] = r;
    }
}

static enum sx_status make_room(struct survey *s, int members, struct sx_error *err)
{
    struct sx_band_survey *out = s->out;
    choose_rows(s);
    const size_t cells = (size_t)s->info->n_layers * s->H * s->shape.n;
    const size_t D = (size_t)s->info->d_model;
    const size_t rows = (size_t)s->info->n_layers * s->n;
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
        .by_offset = sx_calloc_big(cells, (2 * s->n - 1) * sizeof(float)),
    };
    for (size_t b = 0; b < s->shape.n; b++)
        out->period[b] = sx_band_period(&s->shape, b);
    s->q = sx_alloc_big(rows, D * sizeof(float));
    s->k = sx_alloc_big(rows, D * sizeof(float));
    s->score = sx_alloc_big((size_t)s->info->n_layers * s->H * s->n_rows, s->n * sizeof(float));
    for (int m = 0; m < members; m++)
        ok = part_room(s, &s->part[m]) && ok;
    if (ok && out->by_offset && s->q && s->k && s->score)
        return SX_OK;
    return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for all pairs of %zu tokens", s->info->path,
                   s->n);
}

static void release_room(struct survey *s)
{
    sx_free(s->q);
    sx_free(s->k);
    sx_free(s->score);
    sx_free(s->row_of);
    for (size_t m = 0; m < SX_GANG_MAX; m++) {
        sx_free(s->part[m].kt);
        sx_free(s->part[m].q);
        sx_free(s->part[m].offset);
        sx_free(s->part[m].mean);
        sx_free(s->part[m].taken);
        sx_free(s->part[m].total);
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
        .ldk = (sequence->n + 15) / 16 * 16,
        .width = (2 * sequence->n + 15) / 16 * 16,
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
