#include "sextant/io/dtype.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { ALL = 65536 };

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static uint16_t every[ALL];
static float got[ALL];

static void convert_all(enum sx_dtype dtype)
{
    for (unsigned i = 0; i < ALL; i++)
        every[i] = (uint16_t)i;
    sx_dtype_to_f32(dtype, every, ALL, got);
}

Test(dtype, every_half_equals_the_formula)
{
    convert_all(SX_DTYPE_F16);
    for (int h = 0; h < ALL; h++) {
        int exponent = (h >> 10) & 31;
        int mantissa = h & 1023;
        double sign = h >> 15 ? -1 : 1;
        if (exponent == 31 && mantissa) {
            cr_assert(isnan(got[h]));
            cr_assert_eq(bits_of(got[h]) & 0x7fffffU, (uint32_t)mantissa << 13, "payload of %04x",
                         h);
        } else {
            double want = exponent == 31  ? (double)INFINITY
                          : exponent == 0 ? ldexp(mantissa, -24)
                                          : ldexp(1024 + mantissa, exponent - 25);
            cr_assert_eq((double)got[h], sign * want, "%04x", h);
        }
        cr_assert_eq(bits_of(got[h]) >> 31, (uint32_t)h >> 15, "sign of %04x", h);
    }
}

Test(dtype, every_bfloat_is_the_upper_half_of_a_float)
{
    convert_all(SX_DTYPE_BF16);
    for (uint32_t h = 0; h < ALL; h++)
        cr_assert_eq(bits_of(got[h]), h << 16);
}

Test(dtype, unaligned_integers_convert)
{
    uint8_t raw[17] = {0xff};
    int64_t wide[2] = {-5, INT64_MAX};
    memcpy(raw + 1, wide, 16);
    int64_t back[2];
    sx_dtype_to_i64(SX_DTYPE_I64, raw + 1, 2, back);
    cr_assert_arr_eq(back, wide, sizeof wide);
    cr_assert_eq(sx_dtype_to_f64(SX_DTYPE_I64, raw + 1), -5.0);
    float f[2];
    sx_dtype_to_f32(SX_DTYPE_I64, raw + 1, 2, f);
    cr_assert_eq(f[0], -5.0F);
    uint64_t top = UINT64_MAX;
    sx_dtype_to_i64(SX_DTYPE_U64, &top, 1, back);
    cr_assert_eq(back[0], INT64_MAX);
    cr_assert_eq(sx_dtype_to_f64(SX_DTYPE_U64, &top), 0x1p64);
    uint8_t two = 2;
    sx_dtype_to_f32(SX_DTYPE_BOOL, &two, 1, f);
    cr_assert_eq(f[0], 1.0F);
}

Test(dtype, kinds_are_told_apart)
{
    cr_assert(sx_dtype_is_integer(SX_DTYPE_BOOL));
    cr_assert_not(sx_dtype_is_integer(SX_DTYPE_F16));
    cr_assert_not(sx_dtype_is_number(SX_DTYPE_OTHER8));
    cr_assert_eq(sx_dtype_size(SX_DTYPE_OTHER64), 8);
    cr_assert_str_eq(sx_dtype_name(SX_DTYPE_BF16), "BF16");
}
