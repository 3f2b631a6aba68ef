#include "sextant/io/dtype.h"

#include <stdint.h>
#include <string.h>

#include "sextant/base/status.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [SX_DTYPE_BOOL] = {"BOOL", 1},
    [SX_DTYPE_U8] = {"U8", 1},
    [SX_DTYPE_I8] = {"I8", 1},
    [SX_DTYPE_I16] = {"I16", 2},
    [SX_DTYPE_U16] = {"U16", 2},
    [SX_DTYPE_I32] = {"I32", 4},
    [SX_DTYPE_U32] = {"U32", 4},
    [SX_DTYPE_I64] = {"I64", 8},
    [SX_DTYPE_U64] = {"U64", 8},
    [SX_DTYPE_F16] = {"F16", 2},
    [SX_DTYPE_BF16] = {"BF16", 2},
    [SX_DTYPE_F32] = {"F32", 4},
    [SX_DTYPE_F64] = {"F64", 8},
    [SX_DTYPE_OTHER8] = {"other (8 bits)", 1},
    [SX_DTYPE_OTHER64] = {"other (64 bits)", 8},
};

size_t sx_dtype_size(enum sx_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *sx_dtype_name(enum sx_dtype dtype)
{
    return dtypes[dtype].name;
}

bool sx_dtype_is_number(enum sx_dtype dtype)
{
    return dtype != SX_DTYPE_OTHER8 && dtype != SX_DTYPE_OTHER64;
}

static float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float float_of_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000U) << 16;
    uint32_t magnitude = (uint32_t)(h & 0x7fffU) << 13;
    uint32_t exponent = magnitude & 0x0f800000U;
    if (exponent == 0x0f800000U) /* infinity and NaN: the payload is kept */
        return float_of_bits(sign | (magnitude + (224U << 23)));
    if (exponent == 0) { /* zero and subnormal: mantissa * 2^-24 is exact */
        float f = (float)(h & 0x3ffU) * 0x1p-24F;
        return sign ? -f : f;
    }
    return float_of_bits(sign | (magnitude + (112U << 23)));
}

/* One loop per type: `src` has any alignment, so each element is copied out first. */
#define CONVERT(type, expr)                                                                        \
    for (size_t i = 0; i < n; i++) {                                                               \
        type x;                                                                                    \
        memcpy(&x, p + i * sizeof x, sizeof x);                                                    \
        dst[i] = (expr);                                                                           \
    }                                                                                              \
    break

void sx_dtype_to_f32(enum sx_dtype dtype, const void *src, size_t n, float *dst)
{
    const uint8_t *p = src;
    switch (dtype) {
    case SX_DTYPE_BOOL:
        CONVERT(uint8_t, x ? 1.0F : 0.0F);
    case SX_DTYPE_U8:
        CONVERT(uint8_t, (float)x);
    case SX_DTYPE_I8:
        CONVERT(int8_t, (float)x);
    case SX_DTYPE_I16:
        CONVERT(int16_t, (float)x);
    case SX_DTYPE_U16:
        CONVERT(uint16_t, (float)x);
    case SX_DTYPE_I32:
        CONVERT(int32_t, (float)x);
    case SX_DTYPE_U32:
        CONVERT(uint32_t, (float)x);
    case SX_DTYPE_I64:
        CONVERT(int64_t, (float)x);
    case SX_DTYPE_U64:
        CONVERT(uint64_t, (float)x);
    case SX_DTYPE_F16:
        CONVERT(uint16_t, float_of_f16(x));
    case SX_DTYPE_BF16:
        CONVERT(uint16_t, float_of_bits((uint32_t)x << 16));
    case SX_DTYPE_F32:
        if (n)
            memcpy(dst, src, n * sizeof *dst);
        break;
    case SX_DTYPE_F64:
        CONVERT(double, (float)x);
    case SX_DTYPE_OTHER8:
    case SX_DTYPE_OTHER64:
        SX_ASSERT(sx_dtype_is_number(dtype));
    }
}

void sx_dtype_to_i64(enum sx_dtype dtype, const void *src, size_t n, int64_t *dst)
{
    const uint8_t *p = src;
    switch (dtype) {
    case SX_DTYPE_BOOL:
        CONVERT(uint8_t, x ? 1 : 0);
    case SX_DTYPE_U8:
        CONVERT(uint8_t, x);
    case SX_DTYPE_I8:
        CONVERT(int8_t, (int64_t)(int)x);
    case SX_DTYPE_I16:
        CONVERT(int16_t, x);
    case SX_DTYPE_U16:
        CONVERT(uint16_t, x);
    case SX_DTYPE_I32:
        CONVERT(int32_t, x);
    case SX_DTYPE_U32:
        CONVERT(uint32_t, x);
    case SX_DTYPE_I64:
        CONVERT(int64_t, x);
    case SX_DTYPE_U64:
        CONVERT(uint64_t, x > INT64_MAX ? INT64_MAX : (int64_t)x);
    default:
        SX_ASSERT(sx_dtype_is_integer(dtype));
    }
}

#undef CONVERT

bool sx_dtype_is_integer(enum sx_dtype dtype)
{
    return dtype <= SX_DTYPE_U64;
}

double sx_dtype_to_f64(enum sx_dtype dtype, const void *src)
{
    if (dtype == SX_DTYPE_F64) {
        double d;
        memcpy(&d, src, sizeof d);
        return d;
    }
    if (dtype == SX_DTYPE_U64) {
        uint64_t u;
        memcpy(&u, src, sizeof u);
        return (double)u;
    }
    if (sx_dtype_is_integer(dtype)) {
        int64_t i;
        sx_dtype_to_i64(dtype, src, 1, &i);
        return (double)i;
    }
    float f;
    sx_dtype_to_f32(dtype, src, 1, &f);
    return (double)f;
}
