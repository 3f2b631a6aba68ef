/* Vectors of floats as wide as the instruction set that the including file is compiled for: the
 * few operations that the kernels need, under one name each. */
#ifndef SEXTANT_CORE_NN_VEC_H
#define SEXTANT_CORE_NN_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__)
enum { W = 16 };
typedef __m512 vec;
#elif defined(__AVX2__)
enum { W = 8 };
typedef __m256 vec;
#else
enum { W = 4 };
typedef float vec __attribute__((vector_size(16)));
#endif

/* As many bytes as a vec. */
typedef int32_t ivec __attribute__((vector_size(W * 4)));
typedef uint32_t uvec __attribute__((vector_size(W * 4)));
typedef double dvec __attribute__((vector_size(W * 4)));
typedef float half_vec __attribute__((vector_size(W * 2)));
enum { DW = W / 2 }; /* doubles a vector */

INLINE vec v_load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void v_store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

/* Copy to where nobody looks for long: whole lines go past the caches, without being read first. */
INLINE void v_pour(float *to, const float *from, size_t n)
{
    size_t i = 0;
#if defined(__AVX512F__)
    for (; i < n && (uintptr_t)(to + i) % 64; i++)
        to[i] = from[i];
    for (; i + W <= n; i += W)
        _mm512_stream_ps(to + i, v_load(from + i));
    _mm_sfence();
#endif
    memcpy(to + i, from + i, (n - i) * sizeof *to);
}

/* Doubles from DW floats. */
INLINE dvec v_doubles(const float *p)
{
    half_vec v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, dvec);
}

INLINE double v_sum_doubles(dvec v)
{
    double total = 0;
    for (int l = 0; l < DW; l++)
        total += v[l];
    return total;
}

#if defined(__AVX512F__)

INLINE vec v_set(float x)
{
    return _mm512_set1_ps(x);
}

INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* The larger; b where one of them is NaN. */
INLINE vec v_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

INLINE vec v_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

/* x where a >= b or one of them is NaN, else 0. */
INLINE vec v_keep(vec a, vec b, vec x)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ), x);
}

/* The first n < W elements; nothing behind them is read or written. */
INLINE vec v_load_part(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1U << n) - 1), p);
}

INLINE void v_store_part(float *p, vec v, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1U << n) - 1), v);
}

/* 1/x to within two units in the last place, for finite x >= 1. */
INLINE vec v_reciprocal(vec x)
{
    vec y = _mm512_rcp14_ps(x);
    return y * _mm512_fnmadd_ps(x, y, v_set(2));
}

INLINE vec v_from_half(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

INLINE vec v_from_bf16(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}

#elif defined(__AVX2__)

INLINE vec v_set(float x)
{
    return _mm256_set1_ps(x);
}

INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

INLINE vec v_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

INLINE vec v_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

INLINE vec v_keep(vec a, vec b, vec x)
{
    return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_NLT_UQ), x);
}

INLINE __m256i part_mask(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE vec v_load_part(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, part_mask(n));
}

INLINE void v_store_part(float *p, vec v, size_t n)
{
    _mm256_maskstore_ps(p, part_mask(n), v);
}

INLINE vec v_reciprocal(vec x)
{
    return v_set(1) / x;
}

INLINE vec v_from_half(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

INLINE vec v_from_bf16(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

#else

INLINE vec v_set(float x)
{
    return (vec){x, x, x, x};
}

INLINE vec v_fma(vec a, vec b, vec c)
{
    return a * b + c;
}

INLINE vec v_select(ivec mask, vec a, vec b)
{
    return (vec)((mask & (ivec)a) | (~mask & (ivec)b));
}

INLINE vec v_max(vec a, vec b)
{
    return v_select(a > b, a, b);
}

INLINE vec v_min(vec a, vec b)
{
    return v_select(a < b, a, b);
}

INLINE vec v_keep(vec a, vec b, vec x)
{
    return (vec)(~(ivec)(a < b) & (ivec)x);
}

INLINE vec v_load_part(const float *p, size_t n)
{
    vec v = {0};
    memcpy(&v, p, n * sizeof *p);
    return v;
}

INLINE void v_store_part(float *p, vec v, size_t n)
{
    memcpy(p, &v, n * sizeof *p);
}

INLINE vec v_reciprocal(vec x)
{
    return v_set(1) / x;
}

INLINE ivec words(const void *p)
{
    uint16_t w[W];
    memcpy(w, p, sizeof w);
    return (ivec){w[0], w[1], w[2], w[3]};
}

INLINE vec v_from_half(const void *p)
{
    ivec h = words(p), magnitude = h & 0x7FFF;
    ivec bits = (magnitude << 13) + ((112 << 23) & (magnitude >= 0x0400)) +
                ((112 << 23) & (magnitude >= 0x7C00));
    /* Subnormal halves by way of integers: a float that holds their bits would be subnormal too,
     * and so 0 where those are flushed. */
    vec tiny = __builtin_convertvector(magnitude, vec) * 0x1p-24F;
    vec v = v_select(magnitude < 0x0400, tiny, (vec)bits);
    return (vec)((uvec)v | (((uvec)h & 0x8000U) << 16));
}

INLINE vec v_from_bf16(const void *p)
{
    return (vec)((uvec)words(p) << 16);
}

#endif

typedef float quad __attribute__((vector_size(16)));
typedef float octet __attribute__((vector_size(32)));

INLINE quad fold_octet(octet v)
{
    quad half[2];
    memcpy(half, &v, sizeof v);
    return half[0] + half[1];
}

/* Lanes l, l + 4, l + 8, … added, always in the same order. */
INLINE quad v_fold(vec v)
{
#if defined(__AVX512F__)
    octet half[2];
    memcpy(half, &v, sizeof v);
    return fold_octet(half[0] + half[1]);
#elif defined(__AVX2__)
    return fold_octet((octet)v);
#else
    return v;
#endif
}

/* Sum of the lanes. */
INLINE float v_sum(vec v)
{
    quad q = v_fold(v);
    return (q[0] + q[1]) + (q[2] + q[3]);
}

/* The sums of four vectors, each the same bits as by v_sum. */
INLINE quad v_sum_four(vec a, vec b, vec c, vec d)
{
#if defined(__x86_64__)
    __m128 e = v_fold(a), f = v_fold(b), g = v_fold(c), h = v_fold(d);
    _MM_TRANSPOSE4_PS(e, f, g, h);
    return (e + f) + (g + h);
#else
    return (quad){v_sum(a), v_sum(b), v_sum(c), v_sum(d)};
#endif
}

INLINE float v_highest(vec v)
{
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps(v);
#else
    float lanes[W];
    v_store(lanes, v);
    for (int width = W / 2; width > 0; width /= 2)
        for (int l = 0; l < width; l++)
            lanes[l] = lanes[l] > lanes[l + width] ? lanes[l] : lanes[l + width];
    return lanes[0];
#endif
}

/* e^x for x <= 88, to a relative 2e-7; 0 below the logarithm of the smallest normal float, NaN for
 * NaN. Adding 1.5 * 2^23 rounds x / ln 2 to the integer n in the low bits of the sum; what remains,
 * r within ln 2 / 2, goes into a polynomial (least maximum of the relative error, 1.05e-7), and n
 * into the exponent. */
INLINE vec v_exp(vec x)
{
    const vec shift = v_set(0x1.8p23F);
    vec shifted = v_fma(x, v_set(0x1.715476p0F), shift);
    vec n = shifted - shift;
#if defined(__FMA__)
    vec r = v_fma(n, v_set(-0x1.62e430p-1F), x);
#else
    vec r = (x - n * v_set(0x1.62e4p-1F)) - n * v_set(0x1.7f7d1cp-20F); /* the first is exact */
#endif
    vec p = v_fma(v_set(0x1.106250p-7F), r, v_set(0x1.572a64p-5F));
    p = v_fma(p, r, v_set(0x1.5557b0p-3F));
    p = v_fma(p, r, v_set(0x1.fffdfcp-2F));
    p = v_fma(p, r, v_set(1));
    p = v_fma(p, r, v_set(1));
    vec scaled = (vec)((uvec)p + ((uvec)shifted << 23));
    return v_keep(x, v_set(-0x1.5d58a0p6F), scaled);
}

#endif
