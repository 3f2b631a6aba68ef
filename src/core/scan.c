#include "scan.h"

#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum scan_kind { EITHER, SUM };

static inline float fold(float s, bool is_signed)
{
    return is_signed ? (s > 0 ? s : 0.0F) : fabsf(s);
}

static inline float limit(enum scan_kind kind, float floor, float other)
{
    if (kind == SUM)
        return floor + other;
    return floor < other ? floor : other;
}

static inline size_t scan_plain(enum scan_kind kind, float *s, size_t begin, size_t n,
                                bool is_signed, float floor, const float *floors, uint32_t *hits)
{
    size_t count = 0;
    for (size_t j = begin; j < n; j++) {
        s[j] = fold(s[j], is_signed);
        if (s[j] > limit(kind, floor, floors[j]))
            hits[count++] = (uint32_t)j;
    }
    return count;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static inline size_t
scan_avx512(enum scan_kind kind, float *s, size_t n, bool is_signed, float floor,
            const float *floors, uint32_t *hits)
{
    const __m512 vfloor = _mm512_set1_ps(floor), zero = _mm512_setzero_ps();
    size_t count = 0, j = 0;
    for (; j + 16 <= n; j += 16) {
        __m512 x = _mm512_loadu_ps(s + j), other = _mm512_loadu_ps(floors + j);
        x = is_signed ? _mm512_max_ps(x, zero) : _mm512_abs_ps(x);
        _mm512_storeu_ps(s + j, x);
        __m512 at = kind == SUM ? _mm512_add_ps(vfloor, other) : _mm512_min_ps(vfloor, other);
        unsigned mask = _mm512_cmp_ps_mask(x, at, _CMP_GT_OQ);
        for (; mask; mask &= mask - 1)
            hits[count++] = (uint32_t)j + (uint32_t)__builtin_ctz(mask);
    }
    return count + scan_plain(kind, s, j, n, is_signed, floor, floors, hits + count);
}

__attribute__((target("avx2"))) static inline size_t scan_avx2(enum scan_kind kind, float *s,
                                                               size_t n, bool is_signed,
                                                               float floor, const float *floors,
                                                               uint32_t *hits)
{
    const __m256 vfloor = _mm256_set1_ps(floor), zero = _mm256_setzero_ps();
    const __m256 sign = _mm256_set1_ps(-0.0F);
    size_t count = 0, j = 0;
    for (; j + 8 <= n; j += 8) {
        __m256 x = _mm256_loadu_ps(s + j), other = _mm256_loadu_ps(floors + j);
        x = is_signed ? _mm256_max_ps(x, zero) : _mm256_andnot_ps(sign, x);
        _mm256_storeu_ps(s + j, x);
        __m256 at = kind == SUM ? _mm256_add_ps(vfloor, other) : _mm256_min_ps(vfloor, other);
        unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(x, at, _CMP_GT_OQ));
        for (; mask; mask &= mask - 1)
            hits[count++] = (uint32_t)j + (uint32_t)__builtin_ctz(mask);
    }
    return count + scan_plain(kind, s, j, n, is_signed, floor, floors, hits + count);
}

/* One entry a kind, so that the compiler drops the other kind's branches. */
#define DISPATCH(kind)                                                                             \
    if (__builtin_cpu_supports("avx512f"))                                                         \
        return kind##_avx512(s, n, is_signed, floor, floors, hits);                                \
    if (__builtin_cpu_supports("avx2"))                                                            \
    return kind##_avx2(s, n, is_signed, floor, floors, hits)
#define ENTRIES(name, kind)                                                                        \
    __attribute__((target("avx512f"))) static size_t name##_avx512(                                \
        float *s, size_t n, bool is_signed, float floor, const float *floors, uint32_t *hits)      \
    {                                                                                              \
        return scan_avx512(kind, s, n, is_signed, floor, floors, hits);                            \
    }                                                                                              \
    __attribute__((target("avx2"))) static size_t name##_avx2(                                     \
        float *s, size_t n, bool is_signed, float floor, const float *floors, uint32_t *hits)      \
    {                                                                                              \
        return scan_avx2(kind, s, n, is_signed, floor, floors, hits);                              \
    }
ENTRIES(either, EITHER)
ENTRIES(sum, SUM)
#else
#define DISPATCH(kind)
#endif

size_t sx_scan_either(float *s, size_t n, bool is_signed, float floor, const float *floors,
                      uint32_t *hits)
{
    DISPATCH(either);
    return scan_plain(EITHER, s, 0, n, is_signed, floor, floors, hits);
}

size_t sx_scan_sum(float *s, size_t n, bool is_signed, float floor, const float *floors,
                   uint32_t *hits)
{
    DISPATCH(sum);
    return scan_plain(SUM, s, 0, n, is_signed, floor, floors, hits);
}

size_t sx_scan_either_plain(float *s, size_t n, bool is_signed, float floor, const float *floors,
                            uint32_t *hits)
{
    return scan_plain(EITHER, s, 0, n, is_signed, floor, floors, hits);
}

size_t sx_scan_sum_plain(float *s, size_t n, bool is_signed, float floor, const float *floors,
                         uint32_t *hits)
{
    return scan_plain(SUM, s, 0, n, is_signed, floor, floors, hits);
}
