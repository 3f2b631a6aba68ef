#include <math.h>
#include <string.h>

#include "frozen.h"
#include "sextant/base/alloc.h"
#include "sextant/core/dense.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/lens.h"

struct sx_frozen_head {
    const struct sx_model_info *info;
    const struct sx_model_weights *weights;
    enum sx_head_mode mode;
    size_t D;
    double *x;       /* [D] the operating point */
    double *centred; /* [D] P x */
    double sigma;    /* of the final LayerNorm */
    /* ESM-2 */
    double *z;            /* [D] before the GELU */
    double *head_centred; /* [D] P gelu(z) */
    double head_sigma;
};

static double *column(struct sx_frozen_head *head)
{
    return sx_xcalloc(head->D, sizeof(double));
}

/* Through dense and GELU to the head's own LayerNorm. */
static void reach_head_norm(struct sx_frozen_head *head)
{
    const struct sx_weight *dense = &head->weights->head_dense;
    double *f = column(head);
    head->z = column(head);
    head->head_centred = column(head);
    sx_frozen_affine(&head->weights->final_ln, head->centred, head->sigma, head->D, f);
    sx_matvec_f64(sx_weight_f32(dense), head->D, head->D, head->D, f, head->z);
    for (size_t i = 0; i < head->D; i++) {
        head->z[i] += dense->bias ? (double)dense->bias[i] : 0;
        f[i] = head->z[i] * sx_frozen_gate(SX_ACT_GELU, head->z[i]);
    }
    head->head_sigma = sx_frozen_norm(f, head->D, (double)head->weights->eps, head->head_centred);
    sx_free(f);
}

enum sx_status sx_frozen_head_new(const struct sx_model *model, const float *resid,
                                  enum sx_head_mode mode, struct sx_frozen_head **out,
                                  struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    const struct sx_model_weights *weights = sx_model_weights(model);
    const bool esm = info->family == SX_MODEL_ESM2;
    *out = NULL;
    if (!info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: this file has no language model head",
                       info->path);
    if (!sx_weight_f32(&weights->unembed) || (esm && !sx_weight_f32(&weights->head_dense)))
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the head's weights", info->path);
    struct sx_frozen_head *head = sx_xcalloc(1, sizeof *head);
    *head = (struct sx_frozen_head){
        .info = info, .weights = weights, .mode = mode, .D = (size_t)info->d_model};
    head->x = column(head);
    head->centred = column(head);
    for (size_t i = 0; i < head->D; i++)
        head->x[i] = (double)resid[i];
    head->sigma = sx_frozen_norm(head->x, head->D, (double)weights->eps, head->centred);
    if (esm)
        reach_head_norm(head);
    *out = head;
    return SX_OK;
}

void sx_frozen_head_free(struct sx_frozen_head *head)
{
    if (!head)
        return;
    sx_free(head->x);
    sx_free(head->centred);
    sx_free(head->z);
    sx_free(head->head_centred);
    sx_free(head);
}

static double bias_of(const struct sx_frozen_head *head, int32_t token)
{
    const float *bias = head->weights->unembed.bias;
    return bias ? (double)bias[token] : 0;
}

/* row -= the mean of the reference tokens' rows; the mean of their biases. */
static double take_off_mean(const struct sx_frozen_head *head, const float *rows, double *row)
{
    int32_t first, last;
    double bias = 0;
    sx_logits_reference(head->info, &first, &last);
    const double share = 1 / (double)(last - first + 1);
    double *sum = sx_xcalloc(head->D, sizeof *sum);
    for (int32_t t = first; t <= last; t++) {
        for (size_t i = 0; i < head->D; i++)
            sum[i] += (double)rows[(size_t)t * head->D + i];
        bias += bias_of(head, t);
    }
    for (size_t i = 0; i < head->D; i++)
        row[i] -= sum[i] * share;
    sx_free(sum);
    return bias * share;
}

/* The row of the unembedding, or the difference of two; its bias is returned. */
static double unembedding(const struct sx_frozen_head *head, int32_t target, int32_t against,
                          double *row)
{
    const int32_t V = (int32_t)head->info->vocab;
    const float *rows = sx_weight_f32(&head->weights->unembed);
    SX_ASSERT(target >= 0 && target < V && against >= SX_AGAINST_MEAN && against < V);
    for (size_t i = 0; i < head->D; i++)
        row[i] = (double)rows[(size_t)target * head->D + i];
    if (against == SX_AGAINST_MEAN)
        return bias_of(head, target) - take_off_mean(head, rows, row);
    if (against == SX_AGAINST_NONE)
        return bias_of(head, target);
    for (size_t i = 0; i < head->D; i++)
        row[i] -= (double)rows[(size_t)against * head->D + i];
    return bias_of(head, target) - bias_of(head, against);
}

/* What LayerNorm's gradient takes off besides: the direction may not move sigma. */
static void hold_sigma(const double *centred, double sigma, size_t n, double *g)
{
    double along = 0;
    for (size_t i = 0; i < n; i++)
        along += g[i] * centred[i];
    along /= (double)n * sigma * sigma;
    for (size_t i = 0; i < n; i++)
        g[i] -= along * centred[i];
}

static double gelu_slope(double z)
{
    return sx_frozen_gate(SX_ACT_GELU, z) + z * exp(-z * z / 2) / sqrt(2 * M_PI);
}

/* row: the direction behind the head's LayerNorm on entry, behind the final LayerNorm on return;
 * what its biases add to the logit is returned. */
static double back_through_head(const struct sx_frozen_head *head, enum sx_head_mode mode,
                                double *row)
{
    const struct sx_model_weights *w = head->weights;
    const size_t D = head->D;
    double constant = sx_frozen_dot(w->head_ln.beta, row, D);
    double *g = sx_xcalloc(D, sizeof *g);
    sx_frozen_norm_back(&w->head_ln, head->head_sigma, row, D, g);
    if (mode == SX_HEAD_GRADIENT)
        hold_sigma(head->head_centred, head->head_sigma, D, g);
    for (size_t i = 0; i < D; i++)
        g[i] *= mode == SX_HEAD_GRADIENT ? gelu_slope(head->z[i])
                                         : sx_frozen_gate(SX_ACT_GELU, head->z[i]);
    if (w->head_dense.bias)
        constant += sx_frozen_dot(w->head_dense.bias, g, D);
    sx_matvec_t_f64(sx_weight_f32(&w->head_dense), D, D, D, g, row);
    sx_free(g);
    return constant;
}

static double direction(const struct sx_frozen_head *head, enum sx_head_mode mode, int32_t target,
                        int32_t against, double *w)
{
    const struct sx_norm *final = &head->weights->final_ln;
    double *row = sx_xcalloc(head->D, sizeof *row);
    double constant = unembedding(head, target, against, row);
    if (head->info->family == SX_MODEL_ESM2)
        constant += back_through_head(head, mode, row);
    constant += sx_frozen_dot(final->beta, row, head->D);
    sx_frozen_norm_back(final, head->sigma, row, head->D, w);
    if (mode == SX_HEAD_GRADIENT)
        hold_sigma(head->centred, head->sigma, head->D, w);
    sx_free(row);
    return constant;
}

static double along(const struct sx_frozen_head *head, const double *w)
{
    double sum = 0;
    for (size_t i = 0; i < head->D; i++)
        sum += w[i] * head->x[i];
    return sum;
}

void sx_frozen_head_direction(const struct sx_frozen_head *head, int32_t target, int32_t against,
                              double *w, double *constant)
{
    double fixed = direction(head, SX_HEAD_SECANT, target, against, w);
    if (head->mode == SX_HEAD_GRADIENT) {
        const double logit = fixed + along(head, w);
        (void)direction(head, SX_HEAD_GRADIENT, target, against, w);
        fixed = logit - along(head, w);
    }
    if (constant)
        *constant = fixed;
}

enum sx_status sx_head_readout(const struct sx_model *model, size_t layer, const double *w,
                               const float *v, size_t n, double *out, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    const struct sx_weight *wo = &sx_model_weights(model)->layers[layer].attn_out;
    const size_t D = (size_t)info->d_model;
    const size_t d = (size_t)info->d_head;
    const size_t H = (size_t)info->n_heads;
    SX_TRY(sx_frozen_weight(model, layer, wo, err));
    double *u = sx_xcalloc(D, sizeof *u);
    sx_matvec_t_f64(sx_weight_f32(wo), D, D, D, w, u);
    for (size_t t = 0; t < n; t++)
        for (size_t h = 0; h < H; h++)
            out[t * H + h] = sx_frozen_dot(v + t * D + h * d, u + h * d, d);
    sx_free(u);
    return SX_OK;
}
