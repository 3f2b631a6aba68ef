/* Element types of stored tensors. */
#ifndef SEXTANT_IO_DTYPE_H
#define SEXTANT_IO_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sx_dtype {
    SX_DTYPE_BOOL,
    SX_DTYPE_U8,
    SX_DTYPE_I8,
    SX_DTYPE_I16,
    SX_DTYPE_U16,
    SX_DTYPE_I32,
    SX_DTYPE_U32,
    SX_DTYPE_I64,
    SX_DTYPE_U64,
    SX_DTYPE_F16,
    SX_DTYPE_BF16,
    SX_DTYPE_F32,
    SX_DTYPE_F64,
    SX_DTYPE_OTHER8,  /* parsed so that the file opens, never computed from: FP8 kinds … */
    SX_DTYPE_OTHER64, /* … and complex64 */
};

size_t sx_dtype_size(enum sx_dtype dtype);      /* bytes an element */
const char *sx_dtype_name(enum sx_dtype dtype); /* "F32" */
bool sx_dtype_is_number(enum sx_dtype dtype);   /* can be converted to float */
bool sx_dtype_is_integer(enum sx_dtype dtype);  /* bool or integer: can be converted to int64 */

/* Convert `n` little-endian elements at `src` (any alignment) to float. Integers beyond 2^24 round.
 */
void sx_dtype_to_f32(enum sx_dtype dtype, const void *src, size_t n, float *dst);
/* The same to int64, of bool and integers only; beyond INT64_MAX it stays there. */
void sx_dtype_to_i64(enum sx_dtype dtype, const void *src, size_t n, int64_t *dst);
double sx_dtype_to_f64(enum sx_dtype dtype,
                       const void *src); /* one element, exact where possible */

#endif
