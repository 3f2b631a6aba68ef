/* One table of kernels per instruction set; nn.c chooses. The bodies are in nn_rows.h, nn_few.h,
 * nn_attention.h, nn_bands.h and nn_linear.h, compiled once by each of nn_baseline.c, nn_avx2.c and
 * nn_avx512.c, whose compiler options differ. Not target_clones: these kernels differ in their
 * tiles as well, they are wanted under the sanitizers too, and the tests run each of them that the
 * processor has. */
#ifndef SEXTANT_CORE_NN_KERNELS_H
#define SEXTANT_CORE_NN_KERNELS_H

#include <stdbool.h>

#include "sextant/core/nn.h"

struct sx_nn_kernels {
    const char *name;
    void (*widen)(enum sx_storage storage, const void *in, float *out, size_t n);
    void (*layernorm)(const float *x, const float *gamma, const float *beta, float eps, size_t n,
                      float *out, float *sigma);
    void (*activate)(enum sx_activation act, float *x, size_t n);
    void (*add)(float *y, const float *x, size_t n);
    double (*softmax)(float *x, size_t n);
    void (*rotate)(float *x, size_t heads, size_t d_head, size_t bands, const float *cosine,
                   const float *sine);
    void (*attention)(const struct sx_attention_head *head);
    void (*band_pairs)(struct sx_band_pairs *pairs);
    void (*band_check)(struct sx_band_check *check);
    void (*linear_few)(enum sx_storage storage, const void *w, size_t in, size_t first, size_t last,
                       const float *bias, const float *x, size_t ldx, size_t rows, float *y,
                       size_t ldy);
    void (*linear_packed)(const float *packed, size_t in, size_t out, const float *bias,
                          const float *x, size_t ldx, size_t rows, float *y, size_t ldy);
};

extern const struct sx_nn_kernels sx_nn_baseline;
#if defined(__x86_64__)
extern const struct sx_nn_kernels sx_nn_avx2;   /* with FMA and F16C */
extern const struct sx_nn_kernels sx_nn_avx512; /* F, BW, DQ and VL */
#endif

/* Attention goes through so many queries at a time, and the keys rounded up. */
enum { SX_ATTENTION_TILE = 8 };
static inline size_t sx_attention_width(size_t n_k)
{
    return (n_k + 15) / 16 * 16;
}

/* Kernels of index 0 .. count-1, the best first; only those that this processor can run. */
size_t sx_nn_count(void);
/* Use the kernels of that index from now on (tests and benchmarks; the best are the default). */
const char *sx_nn_use(size_t index);

#endif
