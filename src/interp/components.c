/* The terms that add up to a residual stream, and what a head makes of them. */
#include <string.h>

#include "frozen.h"
#include "sextant/base/alloc.h"
#include "sextant/core/dense.h"
#include "sextant/interp/composition.h"

/* What the pass keeps at the token, of the layers below. */
struct below {
    float *embed; /* [D] */
    float *ctx;   /* [layer,D]: the heads' side by side */
    float *mlp;   /* [layer,D] */
};

static void release_below(struct below *below)
{
    sx_free(below->embed);
    sx_free(below->ctx);
    sx_free(below->mlp);
}

static enum sx_status run_below(struct sx_runner *runner, const struct sx_sequence *sequence,
                                size_t layer, size_t token, struct below *below,
                                struct sx_task *task, struct sx_error *err)
{
    const size_t D = (size_t)sx_model_info(sx_runner_model(runner))->d_model;
    const uint32_t at = (uint32_t)token;
    const uint32_t first = 0;
    uint32_t *layers = sx_xcalloc(layer + 1, sizeof *layers);
    for (size_t l = 0; l < layer; l++)
        layers[l] = (uint32_t)l;
    below->embed = sx_xcalloc(D, sizeof *below->embed);
    below->ctx = sx_xcalloc(layer * D + 1, sizeof *below->ctx);
    below->mlp = sx_xcalloc(layer * D + 1, sizeof *below->mlp);
    const struct sx_capture captures[] = {
        {.point = SX_POINT_RESID_PRE,
         .layers = {&first, 1},
         .tokens = {&at, 1},
         .out = below->embed},
        {.point = SX_POINT_CTX, .layers = {layers, layer}, .tokens = {&at, 1}, .out = below->ctx},
        {.point = SX_POINT_MLP_OUT,
         .layers = {layers, layer},
         .tokens = {&at, 1},
         .out = below->mlp},
    };
    struct sx_sequence own = *sequence;
    own.rows = NULL;
    own.n_rows = 0;
    const struct sx_pass pass = {
        .sequences = &own,
        .n_sequences = 1,
        .hooks = {.captures = captures, .n_captures = layer ? 3 : 1},
        .until_layer = layer ? layer : 1,
    };
    const enum sx_status status = sx_run_pass(runner, &pass, task, err);
    sx_free(layers);
    return status;
}

/* u [D] of one component. */
static void fill(const struct sx_model *model, const struct sx_component *component,
                 const struct below *below, double *u)
{
    const struct sx_model_info *info = sx_model_info(model);
    const struct sx_weight *wo = &sx_model_weights(model)->layers[component->layer].attn_out;
    const size_t D = (size_t)info->d_model;
    const size_t d = (size_t)info->d_head;
    const float *from = component->kind == SX_COMPONENT_EMBED ? below->embed
                        : component->kind == SX_COMPONENT_ATTN_BIAS
                            ? wo->bias
                            : below->mlp + component->layer * D;
    if (component->kind != SX_COMPONENT_HEAD) {
        for (size_t i = 0; i < D; i++)
            u[i] = from ? (double)from[i] : 0;
        return;
    }
    double *ctx = sx_xcalloc(d, sizeof *ctx);
    for (size_t i = 0; i < d; i++)
        ctx[i] = (double)below->ctx[component->layer * D + component->head * d + i];
    sx_matvec_f64(sx_weight_f32(wo) + component->head * d, D, D, d, ctx, u);
    sx_free(ctx);
}

static enum sx_status check_sequence(const struct sx_model_info *info,
                                     const struct sx_sequence *sequence, size_t layer, size_t token,
                                     struct sx_error *err)
{
    if (sequence->cache || sequence->resid || sequence->from_layer)
        return sx_fail(err, SX_ERR_USAGE, "components are of whole runs from the embedding on");
    if (token >= sequence->n)
        return sx_fail(err, SX_ERR_USAGE, "components at token %zu of %zu", token, sequence->n);
    if (layer > info->n_layers)
        return sx_fail(err, SX_ERR_USAGE, "components of layer %zu of %llu", layer,
                       (unsigned long long)info->n_layers);
    return SX_OK;
}

enum sx_status sx_components_read(struct sx_runner *runner, const struct sx_sequence *sequence,
                                  size_t layer, size_t token, struct sx_components *out,
                                  struct sx_task *task, struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    struct below below = {0};
    *out = (struct sx_components){.layer = layer, .D = (size_t)info->d_model};
    SX_TRY(check_sequence(info, sequence, layer, token, err));
    SX_TRY(sx_frozen_weights(model, err));
    enum sx_status status = run_below(runner, sequence, layer, token, &below, task, err);
    if (status == SX_OK) {
        out->n = sx_component_count(info, layer);
        out->list = sx_xcalloc(out->n, sizeof *out->list);
        out->u = sx_xcalloc(out->n * out->D, sizeof *out->u);
        for (size_t c = 0; c < out->n; c++) {
            out->list[c] = sx_component_at(info, layer, c);
            fill(model, &out->list[c], &below, out->u + c * out->D);
        }
    }
    release_below(&below);
    return status;
}

void sx_components_release(struct sx_components *components)
{
    sx_free(components->list);
    sx_free(components->u);
    *components = (struct sx_components){0};
}

void sx_components_accumulate(struct sx_components *mean, const struct sx_components *other,
                              size_t count)
{
    SX_ASSERT(mean->n == other->n && mean->D == other->D && count > 0);
    for (size_t i = 0; i < mean->n * mean->D; i++)
        mean->u[i] += (other->u[i] - mean->u[i]) / (double)count;
}

/* --- a head's share -----------------------------------------------------------------------------
 */

const struct sx_weight *sx_side_weight(const struct sx_model *model, size_t layer,
                                       enum sx_side_of_score side)
{
    const struct sx_layer *l = &sx_model_weights(model)->layers[layer];
    switch (side) {
    case SX_OF_QUERY:
        return &l->q;
    case SX_OF_KEY:
        return &l->k;
    case SX_OF_VALUE:
        break;
    }
    return &l->v;
}

static void sum_up(const struct sx_components *c, const bool *replaced,
                   const struct sx_components *with, double *x)
{
    for (size_t i = 0; i < c->n; i++) {
        const double *u = !replaced || !replaced[i] ? c->u + i * c->D
                          : with                    ? with->u + i * c->D
                                                    : NULL;
        for (size_t j = 0; j < c->D && u; j++)
            x[j] += u[j];
    }
}

void sx_path_vector(const struct sx_model *model, const struct sx_components *components,
                    const bool *replaced, const struct sx_components *with, size_t head,
                    enum sx_side_of_score side, float *out)
{
    const struct sx_model_weights *weights = sx_model_weights(model);
    const struct sx_norm *norm = &weights->layers[components->layer].ln1;
    const struct sx_weight *weight = sx_side_weight(model, components->layer, side);
    const size_t D = components->D;
    const size_t d = (size_t)sx_model_info(model)->d_head;
    double *x = sx_xcalloc(D, sizeof *x);
    double *y = sx_xcalloc(d, sizeof *y);
    SX_ASSERT(!with || (with->n == components->n && with->D == D));
    sum_up(components, replaced, with, x);
    const double sigma = sx_frozen_norm(x, D, (double)weights->eps, x);
    sx_frozen_affine(norm, x, sigma, D, x);
    sx_matvec_f64(sx_weight_f32(weight) + head * d * D, D, d, D, x, y);
    for (size_t i = 0; i < d; i++)
        out[i] = (float)(y[i] + (weight->bias ? (double)weight->bias[head * d + i] : 0));
    sx_free(x);
    sx_free(y);
}
