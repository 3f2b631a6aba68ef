#include "sextant/core/nn.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "nn_kernels.h"
#include "sextant/base/status.h"

/* ---- choice of the instruction set ---- */

static const struct sx_nn_kernels *const all_kernels[] = {
#if defined(__x86_64__)
    &sx_nn_avx512,
    &sx_nn_avx2,
#endif
    &sx_nn_baseline,
};
enum { ALL = sizeof all_kernels / sizeof *all_kernels };

static size_t best_kernels(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return 2;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
               ? 0
               : 1;
#else
    return 0;
#endif
}

static const struct sx_nn_kernels *_Atomic chosen;

static const struct sx_nn_kernels *kernels(void)
{
    const struct sx_nn_kernels *k = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!k) {
        k = all_kernels[best_kernels()];
        atomic_store_explicit(&chosen, k, memory_order_relaxed);
    }
    return k;
}

size_t sx_nn_count(void)
{
    return ALL - best_kernels();
}

const char *sx_nn_use(size_t index)
{
    SX_ASSERT(index < sx_nn_count());
    const struct sx_nn_kernels *k = all_kernels[best_kernels() + index];
    atomic_store_explicit(&chosen, k, memory_order_relaxed);
    return k->name;
}

/* ---- rows ---- */

size_t sx_storage_size(enum sx_storage storage)
{
    return storage == SX_STORE_F32 ? 4 : 2;
}

void sx_widen(enum sx_storage storage, const void *in, float *out, size_t n)
{
    kernels()->widen(storage, in, out, n);
}

void sx_layernorm_rows(const float *x, size_t ldx, const float *gamma, const float *beta, float eps,
                       size_t rows, size_t cols, float *out, size_t ldo, float *sigma)
{
    const struct sx_nn_kernels *k = kernels();
    for (size_t r = 0; r < rows; r++)
        k->layernorm(x + r * ldx, gamma, beta, eps, cols, out + r * ldo, sigma ? sigma + r : NULL);
}

const char *sx_activation_name(enum sx_activation act)
{
    return act == SX_ACT_GELU ? "gelu" : "gelu_tanh";
}

void sx_activate(enum sx_activation act, float *x, size_t n)
{
    kernels()->activate(act, x, n);
}

void sx_add_row(float *y, const float *row, size_t rows, size_t cols, size_t ld)
{
    const struct sx_nn_kernels *k = kernels();
    for (size_t r = 0; r < rows; r++)
        k->add(y + r * ld, row, cols);
}

void sx_add_rows(float *y, size_t ldy, const float *x, size_t ldx, size_t rows, size_t cols)
{
    const struct sx_nn_kernels *k = kernels();
    for (size_t r = 0; r < rows; r++)
        k->add(y + r * ldy, x + r * ldx, cols);
}

double sx_softmax(float *x, size_t n)
{
    return kernels()->softmax(x, n);
}

void sx_rotate_rows(float *x, size_t ld, size_t rows, size_t heads, size_t d_head, size_t bands,
                    const float *cosine, const float *sine)
{
    SX_ASSERT(2 * bands <= d_head);
    const struct sx_nn_kernels *k = kernels();
    for (size_t r = 0; r < rows; r++)
        k->rotate(x + r * ld, heads, d_head, bands, cosine + r * bands, sine + r * bands);
}

void sx_rotation_table(const float *position, size_t rows, const float *frequency, size_t bands,
                       float *cosine, float *sine)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t b = 0; b < bands; b++) {
            float angle = position[r] * frequency[b];
            cosine[r * bands + b] = cosf(angle);
            sine[r * bands + b] = sinf(angle);
        }
}

/* ---- attention and few rows ---- */

size_t sx_attention_scratch(size_t n_k)
{
    /* The strip, what bars keys, and one row in order. */
    return (SX_ATTENTION_TILE + 2) * sx_attention_width(n_k);
}

void sx_attention_head(const struct sx_attention_head *head)
{
    SX_ASSERT(head->ldk >= sx_attention_width(head->n_k));
    kernels()->attention(head);
}

/* Four keys by four dimensions. */
static void transpose_block(const float *k, size_t ld, float *kt, size_t ldk)
{
#if defined(__x86_64__)
    __m128 a = _mm_loadu_ps(k), b = _mm_loadu_ps(k + ld), c = _mm_loadu_ps(k + 2 * ld),
           d = _mm_loadu_ps(k + 3 * ld);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(kt, a);
    _mm_storeu_ps(kt + ldk, b);
    _mm_storeu_ps(kt + 2 * ldk, c);
    _mm_storeu_ps(kt + 3 * ldk, d);
#else
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++)
            kt[i * ldk + j] = k[j * ld + i];
#endif
}

void sx_attention_keys(const float *k, size_t ld, size_t n, size_t d, float *kt, size_t ldk,
                       size_t first)
{
    size_t end = sx_attention_width(first + n), whole_n = n / 4 * 4, whole_d = d / 4 * 4;
    SX_ASSERT(end <= ldk);
    for (size_t j = 0; j < whole_n; j += 4)
        for (size_t c = 0; c < whole_d; c += 4)
            transpose_block(k + j * ld + c, ld, kt + c * ldk + first + j, ldk);
    for (size_t c = 0; c < d; c++) {
        float *to = kt + c * ldk + first;
        for (size_t j = c < whole_d ? whole_n : 0; j < n; j++)
            to[j] = k[j * ld + c];
        memset(to + n, 0, (end - first - n) * sizeof *to);
    }
}

size_t sx_band_scratch(size_t n)
{
    return 3 * n + (size_t)3 * SX_BAND_ROOM;
}

void sx_band_pairs(struct sx_band_pairs *pairs)
{
    SX_ASSERT(pairs->n > 0 && (pairs->dims == 2 || pairs->scores));
    kernels()->band_pairs(pairs);
}

void sx_band_check(struct sx_band_check *check)
{
    SX_ASSERT(2 * check->n_rotary <= check->d);
    kernels()->band_check(check);
}

void sx_linear_few(enum sx_storage storage, const void *w, size_t in, size_t first, size_t last,
                   const float *bias, const float *x, size_t ldx, size_t rows, float *y, size_t ldy)
{
    SX_ASSERT(rows <= SX_FEW_ROWS);
    kernels()->linear_few(storage, w, in, first, last, bias, x, ldx, rows, y, ldy);
}

size_t sx_packed_size(size_t out, size_t in)
{
    return (out + SX_PANEL - 1) / SX_PANEL * SX_PANEL * in;
}

void sx_pack(enum sx_storage storage, const void *w, size_t out, size_t in, size_t first,
             size_t last, float *packed)
{
    enum { STEP = 64 }; /* inputs of a panel that are widened before they are turned */
    const unsigned char *p = w;
    const size_t size = sx_storage_size(storage);
    float wide[SX_PANEL][STEP] = {0};
    for (size_t panel = first; panel < last; panel++)
        for (size_t k = 0, n; k < in; k += n) {
            n = in - k < STEP ? in - k : STEP;
            for (size_t o = 0; o < SX_PANEL; o++) {
                size_t row = panel * SX_PANEL + o;
                if (row < out)
                    kernels()->widen(storage, p + (row * in + k) * size, wide[o], n);
                else
                    memset(wide[o], 0, sizeof wide[o]);
            }
            float *to = packed + (panel * in + k) * SX_PANEL;
            for (size_t i = 0; i < n; i++)
                for (size_t o = 0; o < SX_PANEL; o++)
                    to[i * SX_PANEL + o] = wide[o][i];
        }
}

void sx_linear_packed(const float *packed, size_t in, size_t out, const float *bias, const float *x,
                      size_t ldx, size_t rows, float *y, size_t ldy)
{
    SX_ASSERT(ldx >= in && ldy >= out);
    kernels()->linear_packed(packed, in, out, bias, x, ldx, rows, y, ldy);
}
