/* Full linearised attribution: with attention patterns, sigmas and MLP gates held, every layer is
 * an affine map, and a direction at its output is carried back to its input. What biases add on the
 * way is added up. Products are in double: a layer's weights are widened once for all points. */
#include <math.h>
#include <string.h>

#include "attribution_private.h"
#include "frozen.h"
#include "sextant/base/alloc.h"
#include "sextant/core/blas.h"

enum { BLOCK_ROWS = 64 }; /* of a product between two looks at the task */

struct line {
    struct sx_runner *runner;
    const struct sx_sequence *sequence;
    const struct sx_model_info *info;
    const struct sx_model_weights *weights;
    struct sx_task *task;
    size_t T, L, H, D, d, F, n_points;
    const float *resid;
    /* Of one layer. */
    float *attn;                 /* [H,T,T] */
    float *pre;                  /* [T,F] before the activation */
    float *sigma1, *sigma2;      /* [T] */
    double *wv, *wo, *up, *down; /* widened: [D,D], [D,D], [F,D], [D,F] */
    double *pattern;             /* [T,T] one head's */
    double *gate;                /* [T,F] */
    /* Of one point. */
    double *g;      /* [n_points,T,D] the direction at every token */
    double *mlp;    /* [T,F] */
    double *a, *b;  /* [T,D] */
    double *biases; /* [n_points] */
};

double sx_linearised_bytes(const struct sx_model_info *info, size_t n)
{
    const double T = (double)n;
    const double D = (double)info->d_model;
    const double F = (double)info->d_mlp;
    const double floats = (double)info->n_heads * T * T + T * F + 2 * T;
    const double doubles = 2 * D * D + 2 * D * F + T * T + 2 * T * F + 4 * T * D;
    return floats * sizeof(float) + doubles * sizeof(double);
}

static enum sx_status line_alloc(struct line *s, struct sx_error *err)
{
    const size_t T = s->T, D = s->D, F = s->F, real = sizeof(double);
    s->attn = sx_alloc_big(s->H * T, T * sizeof(float));
    s->pre = sx_alloc_big(T, F * sizeof(float));
    s->sigma1 = sx_alloc_big(T, sizeof(float));
    s->sigma2 = sx_alloc_big(T, sizeof(float));
    s->wv = sx_alloc_big(D, D * real);
    s->wo = sx_alloc_big(D, D * real);
    s->up = sx_alloc_big(F, D * real);
    s->down = sx_alloc_big(D, F * real);
    s->pattern = sx_alloc_big(T, T * real);
    s->gate = sx_alloc_big(T, F * real);
    s->g = sx_calloc_big(s->n_points * T, D * real);
    s->mlp = sx_alloc_big(T, F * real);
    s->a = sx_alloc_big(T, D * real);
    s->b = sx_alloc_big(T, D * real);
    s->biases = sx_alloc_big(s->n_points, real);
    if (s->attn && s->pre && s->sigma1 && s->sigma2 && s->wv && s->wo && s->up && s->down &&
        s->pattern && s->gate && s->g && s->mlp && s->a && s->b && s->biases)
        return SX_OK;
    return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the linearised attribution of %zu tokens",
                   s->info->path, T);
}

static void line_free(struct line *s)
{
    sx_free(s->attn);
    sx_free(s->pre);
    sx_free(s->sigma1);
    sx_free(s->sigma2);
    sx_free(s->wv);
    sx_free(s->wo);
    sx_free(s->up);
    sx_free(s->down);
    sx_free(s->pattern);
    sx_free(s->gate);
    sx_free(s->g);
    sx_free(s->mlp);
    sx_free(s->a);
    sx_free(s->b);
    sx_free(s->biases);
}

/* --- one layer's operating point ----------------------------------------------------------------
 */

static void widen(const struct sx_weight *weight, double *out)
{
    const float *w = sx_weight_f32(weight);
    for (size_t i = 0; i < weight->out * weight->in; i++)
        out[i] = (double)w[i];
}

static enum sx_status visit_layer(struct line *s, size_t l, struct sx_error *err)
{
    const struct sx_layer *layer = &s->weights->layers[l];
    const struct sx_capture captures[] = {
        {.point = SX_POINT_ATTN, .layers = {(const uint32_t[]){(uint32_t)l}, 1}, .out = s->attn},
        {.point = SX_POINT_MLP_PRE, .layers = {(const uint32_t[]){(uint32_t)l}, 1}, .out = s->pre},
        {.point = SX_POINT_ATTN_LN_SIGMA,
         .layers = {(const uint32_t[]){(uint32_t)l}, 1},
         .out = s->sigma1},
        {.point = SX_POINT_MLP_LN_SIGMA,
         .layers = {(const uint32_t[]){(uint32_t)l}, 1},
         .out = s->sigma2},
    };
    struct sx_sequence own = *s->sequence;
    own.from_layer = l;
    own.resid = s->resid + l * s->T * s->D;
    own.rows = NULL;
    own.n_rows = 0;
    const struct sx_pass pass = {.sequences = &own,
                                 .n_sequences = 1,
                                 .hooks = {.captures = captures, .n_captures = 4},
                                 .until_layer = l + 1};
    SX_TRY(sx_run_pass(s->runner, &pass, s->task, err));
    widen(&layer->v, s->wv);
    widen(&layer->attn_out, s->wo);
    widen(&layer->up, s->up);
    widen(&layer->down, s->down);
    for (size_t i = 0; i < s->T * s->F; i++)
        s->gate[i] = sx_frozen_gate(s->weights->activation, (double)s->pre[i]);
    return SX_OK;
}

/* --- back through it ----------------------------------------------------------------------------
 */

/* out [T,in] = x [T,out] W, W as it is stored: [out,in]. */
static enum sx_status back(struct line *s, const double *x, const double *w, size_t out, size_t in,
                           double *y)
{
    for (size_t t = 0; t < s->T; t += BLOCK_ROWS) {
        const size_t rows = s->T - t < BLOCK_ROWS ? s->T - t : BLOCK_ROWS;
        if (sx_task_is_cancelled(s->task))
            return SX_CANCELLED;
        sx_gemm_f64(false, false, rows, in, out, 1, x + t * out, out, w, in, 0, y + t * in, in);
    }
    return SX_OK;
}

/* Σ over tokens of <bias, row>. */
static double bias_total(const float *bias, const double *rows, size_t T, size_t n)
{
    double sum = 0;
    for (size_t t = 0; t < T && bias; t++)
        sum += sx_frozen_dot(bias, rows + t * n, n);
    return sum;
}

/* to += the directions behind a LayerNorm, seen from before it; rows are overwritten. */
static void add_norm_back(const struct line *s, const struct sx_norm *norm, const float *sigma,
                          double *rows, double *to)
{
    for (size_t t = 0; t < s->T; t++) {
        double *row = rows + t * s->D;
        sx_frozen_norm_back(norm, (double)sigma[t], row, s->D, row);
        for (size_t i = 0; i < s->D; i++)
            to[t * s->D + i] += row[i];
    }
}

/* to += what the MLP's input gets of the directions g behind it. */
static enum sx_status back_mlp(struct line *s, const struct sx_layer *layer, const double *g,
                               double *to, double *biases)
{
    *biases += bias_total(layer->down.bias, g, s->T, s->D);
    SX_TRY(back(s, g, s->down, s->D, s->F, s->mlp));
    for (size_t i = 0; i < s->T * s->F; i++)
        s->mlp[i] *= s->gate[i];
    *biases += bias_total(layer->up.bias, s->mlp, s->T, s->F);
    SX_TRY(back(s, s->mlp, s->up, s->F, s->D, s->b));
    *biases += bias_total(layer->ln2.beta, s->b, s->T, s->D);
    add_norm_back(s, &layer->ln2, s->sigma2, s->b, to);
    return SX_OK;
}

static enum sx_status back_attention(struct line *s, const struct sx_layer *layer, const double *g,
                                     double *to, double *biases)
{
    const size_t T = s->T;
    *biases += bias_total(layer->attn_out.bias, g, T, s->D);
    SX_TRY(back(s, g, s->wo, s->D, s->D, s->a));
    for (size_t h = 0; h < s->H; h++) {
        if (sx_task_is_cancelled(s->task))
            return SX_CANCELLED;
        for (size_t i = 0; i < T * T; i++)
            s->pattern[i] = (double)s->attn[h * T * T + i];
        sx_gemm_f64(true, false, T, s->d, T, 1, s->pattern, T, s->a + h * s->d, s->D, 0,
                    s->b + h * s->d, s->D);
    }
    *biases += bias_total(layer->v.bias, s->b, T, s->D);
    SX_TRY(back(s, s->b, s->wv, s->D, s->D, s->a));
    *biases += bias_total(layer->ln1.beta, s->a, T, s->D);
    add_norm_back(s, &layer->ln1, s->sigma1, s->a, to);
    return SX_OK;
}

/* The direction at a layer's output becomes that at its input. `spare` [T,D]. */
static enum sx_status back_layer(struct line *s, size_t l, double *g, double *spare, double *biases)
{
    const struct sx_layer *layer = &s->weights->layers[l];
    const size_t bytes = s->T * s->D * sizeof *g;
    if (s->info->parallel_residual) { /* both read the layer's input */
        memcpy(spare, g, bytes);
        SX_TRY(back_mlp(s, layer, spare, g, biases));
        return back_attention(s, layer, spare, g, biases);
    }
    memcpy(spare, g, bytes);
    SX_TRY(back_mlp(s, layer, spare, g, biases));
    memcpy(spare, g, bytes);
    return back_attention(s, layer, spare, g, biases);
}

static enum sx_status back_all(struct line *s, double *spare, struct sx_error *err)
{
    for (size_t l = s->L; l-- > 0;) {
        SX_TRY(visit_layer(s, l, err));
        for (size_t i = 0; i < s->n_points; i++)
            SX_TRY(back_layer(s, l, s->g + i * s->T * s->D, spare, &s->biases[i]));
    }
    return SX_OK;
}

/* --- results ------------------------------------------------------------------------------------
 */

static void tell(const struct line *s, size_t i, struct sx_attribution_result *result)
{
    double total = s->biases[i];
    double largest = fabs(s->biases[i]);
    result->by_embedding = sx_xcalloc(s->T, sizeof *result->by_embedding);
    for (size_t t = 0; t < s->T; t++) {
        const double value = sx_frozen_dot(s->resid + t * s->D, s->g + (i * s->T + t) * s->D, s->D);
        result->by_embedding[t] = value;
        total += value;
        largest = fmax(largest, fabs(value));
    }
    result->from_biases = s->biases[i];
    result->linearised_residual = largest > 0 ? fabs(total - result->logit) / largest : 0;
}

enum sx_status sx_linearise(struct sx_runner *runner, const struct sx_sequence *sequence,
                            const float *resid, const double *w, size_t n_points,
                            struct sx_attribution_result *results, struct sx_task *task,
                            struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    struct line s = {
        .runner = runner,
        .sequence = sequence,
        .info = info,
        .weights = sx_model_weights(model),
        .task = task,
        .T = sequence->n,
        .L = (size_t)info->n_layers,
        .H = (size_t)info->n_heads,
        .D = (size_t)info->d_model,
        .d = (size_t)info->d_head,
        .F = (size_t)info->d_mlp,
        .n_points = n_points,
        .resid = resid,
    };
    double *spare = sx_alloc_big(s.T, s.D * sizeof *spare);
    enum sx_status status = line_alloc(&s, err);
    if (status == SX_OK && !spare)
        status = sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %zu tokens", info->path, s.T);
    for (size_t i = 0; i < n_points && status == SX_OK; i++) {
        memcpy(s.g + (i * s.T + results[i].token) * s.D, w + i * s.D, s.D * sizeof *s.g);
        s.biases[i] = results[i].terms[results[i].n_terms - 1].value;
    }
    if (status == SX_OK)
        status = back_all(&s, spare, err);
    for (size_t i = 0; i < n_points && status == SX_OK; i++)
        tell(&s, i, &results[i]);
    sx_free(spare);
    line_free(&s);
    return status;
}
