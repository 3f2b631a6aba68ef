/* Compiled with the options of this instruction set (CMakeLists.txt). */
#include "nn_kernels.h"

#if defined(__AVX512F__)

#include "nn_attention.h"
#include "nn_bands.h"
#include "nn_linear.h"

const struct sx_nn_kernels sx_nn_avx512 = {
    .name = "avx512",
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

#endif
