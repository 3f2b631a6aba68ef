#include "nn_attention.h"
#include "nn_bands.h"
#include "nn_linear.h"

const struct sx_nn_kernels sx_nn_baseline = {
    .name = "baseline",
    .widen = widen,
    .layernorm = layernorm,
    .activate = activate,
    .add = add,
    .softmax = softmax,
    .rotate = rotate,
    .attention = attention,
    .band_pairs = band_pairs,
    .band_check = band_check,
    .linear_few = linear_few,
    .linear_packed = linear_packed,
};
