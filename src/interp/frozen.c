#include "frozen.h"

#include <math.h>

double sx_frozen_norm(const double *x, size_t n, double eps, double *out)
{
    double mean = 0;
    double square = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) {
        out[i] = x[i] - mean;
        square += out[i] * out[i];
    }
    return sqrt(square / (double)n + eps);
}

void sx_frozen_affine(const struct sx_norm *norm, const double *centred, double sigma, size_t n,
                      double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (double)norm->gamma[i] * centred[i] / sigma + (double)norm->beta[i];
}

void sx_frozen_norm_back(const struct sx_norm *norm, double sigma, const double *g, size_t n,
                         double *out)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = (double)norm->gamma[i] * g[i];
        mean += out[i];
    }
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        out[i] = (out[i] - mean) / sigma;
}

double sx_frozen_dot(const float *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

double sx_frozen_gate(enum sx_activation act, double z)
{
    switch (act) {
    case SX_ACT_GELU:
        return 0.5 * erfc(-z * M_SQRT1_2);
    case SX_ACT_GELU_TANH:
        break;
    }
    return 0.5 * (1 + tanh(sqrt(M_2_PI) * (z + 0.044715 * z * z * z)));
}

enum sx_status sx_frozen_weight(const struct sx_model *model, size_t layer,
                                const struct sx_weight *weight, struct sx_error *err)
{
    return sx_weight_f32(weight)
               ? SX_OK
               : sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the weights of layer %zu",
                         sx_model_info(model)->path, layer);
}

enum sx_status sx_frozen_weights(const struct sx_model *model, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    const struct sx_layer *layers = sx_model_weights(model)->layers;
    for (size_t l = 0; l < info->n_layers; l++) {
        const struct sx_weight *all[] = {&layers[l].q,        &layers[l].k,  &layers[l].v,
                                         &layers[l].attn_out, &layers[l].up, &layers[l].down};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            SX_TRY(sx_frozen_weight(model, l, all[i], err));
    }
    return SX_OK;
}

size_t sx_component_count(const struct sx_model_info *info, size_t layer)
{
    return 1 + layer * ((size_t)info->n_heads + 2);
}

struct sx_component sx_component_at(const struct sx_model_info *info, size_t layer, size_t i)
{
    const size_t H = (size_t)info->n_heads;
    if (i == 0)
        return (struct sx_component){.kind = SX_COMPONENT_EMBED};
    if (i >= sx_component_count(info, layer))
        return (struct sx_component){.kind = SX_COMPONENT_CONST};
    const size_t at = (i - 1) % (H + 2);
    return (struct sx_component){
        .kind = at < H    ? SX_COMPONENT_HEAD
                : at == H ? SX_COMPONENT_ATTN_BIAS
                          : SX_COMPONENT_MLP,
        .layer = (uint32_t)((i - 1) / (H + 2)),
        .head = (uint32_t)(at < H ? at : 0),
    };
}
