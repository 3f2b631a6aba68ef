#include "sextant/interp/circuit.h"

#include <math.h>
#include <string.h>

#include "frozen.h"
#include "sextant/base/alloc.h"
#include "sextant/core/dense.h"
#include "sextant/interp/attribution.h"

/* --- the scores' bilinear form ------------------------------------------------------------------
 */

static void rotate(const struct sx_model *model, double position, double *x)
{
    const size_t bands = (size_t)sx_model_info(model)->n_bands;
    const float *frequency = sx_model_frequencies(model);
    for (size_t b = 0; b < bands; b++) {
        const double angle = position * (double)frequency[b];
        const double re = x[b];
        const double im = x[b + bands];
        x[b] = re * cos(angle) - im * sin(angle);
        x[b + bands] = im * cos(angle) + re * sin(angle);
    }
}

/* W_h y and b_h, both rotated: [d] each. */
static void halves(const struct sx_model *model, const struct sx_weight *w, size_t head,
                   const float *y, double position, double *weight, double *bias)
{
    const size_t d = (size_t)sx_model_info(model)->d_head;
    for (size_t i = 0; i < d; i++) {
        const float *row = sx_weight_f32(w) + (head * d + i) * w->in;
        weight[i] = 0;
        for (size_t j = 0; j < w->in; j++)
            weight[i] += (double)row[j] * (double)y[j];
        bias[i] = w->bias ? (double)w->bias[head * d + i] : 0;
    }
    rotate(model, position, weight);
    rotate(model, position, bias);
}

static double scaled_dot(const double *a, const double *b, size_t d)
{
    double sum = 0;
    for (size_t i = 0; i < d; i++)
        sum += a[i] * b[i];
    return sum / sqrt((double)d);
}

enum sx_status sx_qk_terms(const struct sx_model *model, size_t layer, size_t head,
                           const float *query, double query_position, const float *key,
                           double key_position, struct sx_qk_terms *out, struct sx_error *err)
{
    const struct sx_layer *l = &sx_model_weights(model)->layers[layer];
    const size_t d = (size_t)sx_model_info(model)->d_head;
    SX_TRY(sx_frozen_weight(model, layer, &l->q, err));
    SX_TRY(sx_frozen_weight(model, layer, &l->k, err));
    double *all = sx_xcalloc(4 * d, sizeof *all);
    double *qw = all;
    double *qb = all + d;
    double *kw = all + 2 * d;
    double *kb = all + 3 * d;
    halves(model, &l->q, head, query, query_position, qw, qb);
    halves(model, &l->k, head, key, key_position, kw, kb);
    *out = (struct sx_qk_terms){scaled_dot(qw, kw, d), scaled_dot(qw, kb, d), scaled_dot(qb, kw, d),
                                scaled_dot(qb, kb, d)};
    sx_free(all);
    return SX_OK;
}

/* --- singular values ----------------------------------------------------------------------------
 */

/* Of A B^T, both [D,d]: of R_A R_B^T, since the orthogonal factors change none. Takes both. */
static void product_values(double *a, double *b, size_t D, size_t d, double *out)
{
    double *ra = sx_xcalloc(d * d, sizeof *ra);
    double *rb = sx_xcalloc(d * d, sizeof *rb);
    double *product = sx_xcalloc(d * d, sizeof *product);
    sx_qr_r(a, D, d, ra);
    sx_qr_r(b, D, d, rb);
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < d; j++)
            for (size_t k = 0; k < d; k++)
                product[i * d + j] += ra[i * d + k] * rb[j * d + k];
    sx_singular_values(product, d, d, out);
    sx_free(a);
    sx_free(b);
    sx_free(ra);
    sx_free(rb);
    sx_free(product);
}

/* [D,d]: the head's rows of W [D,D], transposed. */
static double *head_rows(const struct sx_weight *w, size_t head, size_t d)
{
    const float *from = sx_weight_f32(w) + head * d * w->in;
    double *out = sx_xcalloc(w->in * d, sizeof *out);
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < w->in; j++)
            out[j * d + i] = (double)from[i * w->in + j];
    return out;
}

/* [D,d]: the head's columns of W. */
static double *head_columns(const struct sx_weight *w, size_t head, size_t d)
{
    const float *from = sx_weight_f32(w);
    double *out = sx_xcalloc(w->out * d, sizeof *out);
    for (size_t i = 0; i < w->out; i++)
        for (size_t j = 0; j < d; j++)
            out[i * d + j] = (double)from[i * w->in + head * d + j];
    return out;
}

enum sx_status sx_ov_singular_values(const struct sx_model *model, size_t layer, size_t head,
                                     double *out, struct sx_error *err)
{
    const struct sx_layer *l = &sx_model_weights(model)->layers[layer];
    const size_t d = (size_t)sx_model_info(model)->d_head;
    SX_TRY(sx_frozen_weight(model, layer, &l->v, err));
    SX_TRY(sx_frozen_weight(model, layer, &l->attn_out, err));
    product_values(head_rows(&l->v, head, d), head_columns(&l->attn_out, head, d), l->v.in, d, out);
    return SX_OK;
}

enum sx_status sx_qk_singular_values(const struct sx_model *model, size_t layer, size_t head,
                                     double *out, struct sx_error *err)
{
    const struct sx_layer *l = &sx_model_weights(model)->layers[layer];
    const size_t d = (size_t)sx_model_info(model)->d_head;
    SX_TRY(sx_frozen_weight(model, layer, &l->q, err));
    SX_TRY(sx_frozen_weight(model, layer, &l->k, err));
    product_values(head_rows(&l->q, head, d), head_rows(&l->k, head, d), l->q.in, d, out);
    return SX_OK;
}

/* --- the readout of a token ---------------------------------------------------------------------
 */

struct reading {
    const struct sx_model *model;
    const struct sx_model_info *info;
    float *v, *attn, *resid; /* [L,H,d], [L,H], [D] */
};

static enum sx_status run_reading(struct sx_runner *runner, const struct sx_sequence *sequence,
                                  size_t query, size_t key, struct reading *reading,
                                  struct sx_task *task, struct sx_error *err)
{
    const uint32_t from = (uint32_t)key;
    const uint32_t at = (uint32_t)query;
    const uint32_t last = (uint32_t)reading->info->n_layers - 1;
    const struct sx_capture captures[] = {
        {.point = SX_POINT_V, .tokens = {&from, 1}, .out = reading->v},
        {.point = SX_POINT_ATTN, .tokens = {&at, 1}, .keys = {&from, 1}, .out = reading->attn},
        {.point = SX_POINT_RESID_POST,
         .layers = {&last, 1},
         .tokens = {&at, 1},
         .out = reading->resid},
    };
    struct sx_sequence own = *sequence;
    own.rows = NULL;
    own.n_rows = 0;
    const struct sx_pass pass = {
        .sequences = &own, .n_sequences = 1, .hooks = {.captures = captures, .n_captures = 3}};
    return sx_run_pass(runner, &pass, task, err);
}

static enum sx_status read_out(const struct reading *reading, const int32_t *targets, size_t n,
                               int32_t against, double *readout, struct sx_task *task,
                               struct sx_error *err)
{
    const size_t L = (size_t)reading->info->n_layers;
    const size_t H = (size_t)reading->info->n_heads;
    const size_t D = (size_t)reading->info->d_model;
    struct sx_frozen_head *head = NULL;
    SX_TRY(sx_frozen_head_new(reading->model, reading->resid, SX_HEAD_SECANT, &head, err));
    double *w = sx_xcalloc(D, sizeof *w);
    double *out = sx_xcalloc(H, sizeof *out);
    enum sx_status status = SX_OK;
    for (size_t t = 0; t < n && status == SX_OK; t++) {
        status = sx_task_step(task, t, n);
        sx_frozen_head_direction(head, targets[t], against, w, NULL);
        for (size_t l = 0; l < L && status == SX_OK; l++) {
            status = sx_head_readout(reading->model, l, w, reading->v + l * D, 1, out, err);
            for (size_t h = 0; h < H && status == SX_OK; h++)
                readout[(l * H + h) * n + t] = out[h];
        }
    }
    sx_frozen_head_free(head);
    sx_free(w);
    sx_free(out);
    return status;
}

static enum sx_status check_readout(const struct sx_model_info *info,
                                    const struct sx_sequence *sequence, size_t query, size_t key,
                                    const int32_t *targets, size_t n, int32_t against,
                                    struct sx_error *err)
{
    if (query >= sequence->n || key >= sequence->n)
        return sx_fail(err, SX_ERR_USAGE, "readout of token %zu at token %zu, of %zu", key, query,
                       sequence->n);
    for (size_t t = 0; t < n; t++)
        if (targets[t] < 0 || (uint64_t)targets[t] >= info->vocab)
            return sx_fail(err, SX_ERR_USAGE, "%s has no token %d", info->name, targets[t]);
    if (against < SX_AGAINST_MEAN || against >= (int64_t)info->vocab)
        return sx_fail(err, SX_ERR_USAGE, "%s has no token %d", info->name, against);
    return SX_OK;
}

enum sx_status sx_ov_readout(struct sx_runner *runner, const struct sx_sequence *sequence,
                             size_t query, size_t key, const int32_t *targets, size_t n,
                             int32_t against, double *readout, double *attention,
                             struct sx_task *task, struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    const size_t heads = (size_t)(info->n_layers * info->n_heads);
    SX_TRY(check_readout(info, sequence, query, key, targets, n, against, err));
    SX_TRY(sx_frozen_weights(model, err));
    struct reading reading = {
        .model = model,
        .info = info,
        .v = sx_xcalloc((size_t)(info->n_layers * info->d_model), sizeof *reading.v),
        .attn = sx_xcalloc(heads, sizeof *reading.attn),
        .resid = sx_xcalloc((size_t)info->d_model, sizeof *reading.resid),
    };
    enum sx_status status = run_reading(runner, sequence, query, key, &reading, task, err);
    for (size_t i = 0; i < heads && attention && status == SX_OK; i++)
        attention[i] = (double)reading.attn[i];
    if (status == SX_OK && readout)
        status = read_out(&reading, targets, n, against, readout, task, err);
    sx_free(reading.v);
    sx_free(reading.attn);
    sx_free(reading.resid);
    return status;
}

/* --- the position profile of layer 0 ------------------------------------------------------------
 */

/* LayerNorm of layer 0 on <cls>. */
static void bos_row(const struct sx_model *model, float embed_scale, double *y)
{
    const struct sx_model_weights *weights = sx_model_weights(model);
    const size_t D = (size_t)sx_model_info(model)->d_model;
    const float *e = sx_weight_f32(&weights->embed); /* <cls> is row 0 */
    for (size_t i = 0; i < D; i++)
        y[i] = (double)e[i] * (double)embed_scale;
    const double sigma = sx_frozen_norm(y, D, (double)weights->eps, y);
    sx_frozen_affine(&weights->layers[0].ln1, y, sigma, D, y);
}

/* W y + b, [D]; y NULL: LayerNorm's offset, which is what zero becomes. */
static void project(const struct sx_weight *w, const struct sx_norm *norm, const double *y,
                    double *out)
{
    double *x = sx_xcalloc(w->in, sizeof *x);
    for (size_t i = 0; i < w->in; i++)
        x[i] = y ? y[i] : (double)norm->beta[i];
    sx_matvec_f64(sx_weight_f32(w), w->in, w->out, w->in, x, out);
    for (size_t i = 0; i < w->out && w->bias; i++)
        out[i] += (double)w->bias[i];
    sx_free(x);
}

enum sx_status sx_position_profile(const struct sx_model *model, size_t first, size_t n,
                                   float embed_scale, double *profile, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    const struct sx_layer *layer = &sx_model_weights(model)->layers[0];
    const size_t D = (size_t)info->d_model;
    const size_t d = (size_t)info->d_head;
    const size_t B = (size_t)info->n_bands;
    if (info->family != SX_MODEL_ESM2 || !info->token_dropout)
        return sx_fail(
            err, SX_ERR_UNSUPPORTED,
            "%s: masks do not enter it as zero, so that layer 0 knows more than positions",
            info->name);
    SX_TRY(sx_frozen_weights(model, err));
    if (!sx_weight_f32(&sx_model_weights(model)->embed))
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the embedding", info->path);
    double *y = sx_xcalloc(D, sizeof *y);
    double *q = sx_xcalloc(D, sizeof *q);
    double *k = sx_xcalloc(D, sizeof *k);
    bos_row(model, embed_scale > 0 ? embed_scale : 0.88F, y);
    project(&layer->q, &layer->ln1, NULL, q);
    project(&layer->k, &layer->ln1, y, k);
    for (size_t h = 0; h < info->n_heads; h++)
        for (size_t b = 0; b < B; b++) {
            const double *qh = q + h * d + b;
            const double *kh = k + h * d + b;
            const double re = qh[0] * kh[0] + qh[B] * kh[B];
            const double im = qh[B] * kh[0] - qh[0] * kh[B];
            const double frequency = (double)sx_model_frequencies(model)[b];
            for (size_t i = 0; i < n; i++) {
                const double angle = (double)(first + i) * frequency;
                profile[(h * B + b) * n + i] =
                    (re * cos(angle) - im * sin(angle)) / sqrt((double)d);
            }
        }
    sx_free(y);
    sx_free(q);
    sx_free(k);
    return SX_OK;
}
