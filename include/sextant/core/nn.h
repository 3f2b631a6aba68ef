/* Kernels of a transformer's forward pass, each one pass over memory. Built for AVX-512, AVX2 and
 * the baseline and chosen at run time, with fused multiply-add where the processor has it: like the
 * BLAS library's products, results differ in the last bits between processors, never between runs.
 *
 * Matrices are row-major float32; a leading dimension `ld` is the distance between two rows in
 * elements. Outputs must not overlap inputs unless said. All functions may be called from several
 * threads at once on different data. */
#ifndef SEXTANT_CORE_NN_H
#define SEXTANT_CORE_NN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How stored weights are laid out in memory (little-endian). */
enum sx_storage { SX_STORE_F32, SX_STORE_F16, SX_STORE_BF16 };
size_t sx_storage_size(enum sx_storage storage); /* bytes an element */
/* Widen n elements, exactly. `in` may be unaligned. */
void sx_widen(enum sx_storage storage, const void *in, float *out, size_t n);

/* out = gamma * (x - mean) / sigma + beta, sigma = sqrt(mean((x - mean)^2) + eps) with the biased
 * variance, sums in double. `sigma` [rows] or NULL. out may be x. */
void sx_layernorm_rows(const float *x, size_t ldx, const float *gamma, const float *beta, float eps,
                       size_t rows, size_t cols, float *out, size_t ldo, float *sigma);

enum sx_activation {
    SX_ACT_GELU,      /* x/2 (1 + erf(x/sqrt 2)); absolute error below 4e-7 */
    SX_ACT_GELU_TANH, /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
};
const char *sx_activation_name(enum sx_activation act);       /* "gelu" */
void sx_activate(enum sx_activation act, float *x, size_t n); /* in place */

void sx_add_row(float *y, const float *row, size_t rows, size_t cols, size_t ld); /* y += row */
void sx_add_rows(float *y, size_t ldy, const float *x, size_t ldx, size_t rows, size_t cols);

/* In place; -INFINITY entries become 0; a row of nothing else becomes all 0. Returns the log of
 * the sum of exponentials. */
double sx_softmax(float *x, size_t n);

/* Rotate bands b = 0..bands-1 of every head of every row: the pair (x[b], x[b+bands]) by the angle
 * whose cosine and sine stand at [row, b]; what lies behind 2*bands is left alone. Head h of a row
 * stands at x + row*ld + h*d_head. (Half-split convention of ESM-2 and GPT-NeoX.) */
void sx_rotate_rows(float *x, size_t ld, size_t rows, size_t heads, size_t d_head, size_t bands,
                    const float *cosine, const float *sine);
/* cosine, sine [rows, bands] of angle position[row] * frequency[b], in float as upstream code. */
void sx_rotation_table(const float *position, size_t rows, const float *frequency, size_t bands,
                       float *cosine, float *sine);

/* Attention of one head: out = softmax(scale * q k^T, masked) v, a few queries at a time, so that
 * no matrix of n_q x n_k is kept. */
struct sx_attention_head {
    size_t n_q, n_k, d;
    const float *q; /* [n_q,d], rotated, leading dimension ldq */
    size_t ldq;
    const float *kt; /* keys transposed, [d,n_k], leading dimension ldk >= n_k rounded up to 16;
                        the rest is zero: sx_attention_keys */
    size_t ldk;
    const float *v; /* [n_k,d] */
    size_t ldv;
    float scale;
    const uint8_t *forbidden; /* [n_k], 1: no query sees this key; NULL: none */
    int64_t causal;           /* query i sees the keys j <= i + causal; INT64_MAX: all */
    float *out;               /* [n_q,d] */
    size_t ldo;
    /* Optional, NULL: not wanted. They see row `query` (n_k entries) before and after the softmax
     * and may change it; a changed pattern is not normalised again. */
    void (*on_scores)(void *ctx, size_t query, float *row);
    void (*on_pattern)(void *ctx, size_t query, float *row);
    const uint8_t *shown; /* [n_q] 1: they see this query's row; NULL: all. A row that is not shown
                             costs nothing, and its bits are the same */
    void *ctx;
    float *pattern; /* [n_q,n_k] of leading dimension ldp: a copy of the pattern, or NULL */
    size_t ldp;
    float *scratch; /* sx_attention_scratch(n_k) floats, 64-byte aligned */
};
size_t sx_attention_scratch(size_t n_k);
void sx_attention_head(const struct sx_attention_head *head);
/* kt [d, ldk] from keys [n,d]: columns first .. first+n of it; ldk as above. Columns up to the
 * next multiple of 16 are zeroed. */
void sx_attention_keys(const float *k, size_t ld, size_t n, size_t d, float *kt, size_t ldk,
                       size_t first);

/* All scores of one head in one rotary band, or in all dimensions that are not rotated. Nothing is
 * kept of a score s = q k but sums. */
enum { SX_BAND_ROOM = 32 };
struct sx_band_pairs {
    size_t n, dims;     /* tokens; 2: a band */
    bool causal;        /* a query sees the keys 0 … its own place, else all */
    const float *q, *k; /* [dims,n] rotated and transposed, rows ld apart; SX_BAND_ROOM zeros before
                           and behind every row */
    size_t ld;
    const float *running; /* causal: [dims,n], rows as those of k, means of the keys 0 … t */
    const float *weight;  /* [2n-1] */
    float *by_offset; /* [2n-1] out: weight[i] Σ s over the pairs with key - query = i - (n-1) */
    float *scores;    /* dims other than 2: [4,n], rows lds apart and as those of k; overwritten */
    size_t lds;
    float *sums;          /* [sx_band_scratch(n)], overwritten */
    double size, centred; /* out: Σ |s| and Σ |s - mean of s over the query's keys| */
};
size_t sx_band_scratch(size_t n);
void sx_band_pairs(struct sx_band_pairs *pairs);

/* One query's sums over bands against its scores from elsewhere; q and k as above. */
struct sx_band_check {
    const float *q; /* [d] */
    const float *k; /* [d,n], rows ld apart: band b is the rows b and b + n_rotary */
    size_t ld, n, d, n_rotary;
    float scale;          /* on the sums */
    const float *score;   /* [n] */
    float worst, largest; /* out: of |score - sum| and of |score| */
};
void sx_band_check(struct sx_band_check *check);

/* y[r, o] = Σ_i w[o,i] x[r,i] (+ bias[o]) for a few rows (at most SX_FEW_ROWS) and the outputs
 * first <= o < last, reading each stored weight once: the time is that of reading them. */
enum { SX_FEW_ROWS = 8 };
void sx_linear_few(enum sx_storage storage, const void *w, size_t in, size_t first, size_t last,
                   const float *bias, const float *x, size_t ldx, size_t rows, float *y,
                   size_t ldy);

/* The same for many rows, with weights packed for it: y = x W^T + bias. Faster than a general
 * product, which would pack the weights each time, above all for a hundred rows or less. A row's
 * bits do not depend on the other rows. */
enum { SX_PANEL = 32 };
size_t sx_packed_size(size_t out, size_t in); /* floats */
/* packed [out / SX_PANEL rounded up, in, SX_PANEL], outputs behind the last 0; of stored weights
 * [out,in], for the panels first <= p < last. */
void sx_pack(enum sx_storage storage, const void *w, size_t out, size_t in, size_t first,
             size_t last, float *packed);
void sx_linear_packed(const float *packed, size_t in, size_t out, const float *bias, const float *x,
                      size_t ldx, size_t rows, float *y, size_t ldy);

#endif
