/* What the fuzzers of tensor files have in common. */
#ifndef SEXTANT_TESTS_FUZZ_SUPPORT_H
#define SEXTANT_TESTS_FUZZ_SUPPORT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/io/tensor_file.h"

enum { FUZZ_MOST = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Large requests answer NULL, as they do outside the sanitizer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static inline void fuzz_tensor(const struct sx_tensor_file *file, size_t i)
{
    const struct sx_tensor_info *info = sx_tensor_file_info(file, i);
    struct sx_error err;
    if (strlen(info->name) > 4096 || info->count > FUZZ_MOST)
        return;
    float *out = malloc((info->count + 1) * sizeof *out);
    int64_t *whole = malloc((info->count + 1) * sizeof *whole);
    (void)!sx_tensor_file_read_f32(file, i, out, &err);
    (void)!sx_tensor_file_read_f32_transposed(file, i, out, &err);
    (void)!sx_tensor_file_read_i64(file, i, whole, &err);
    if (info->rank > 0) {
        uint64_t rows = info->shape[0];
        (void)!sx_tensor_file_read_rows_f32(file, i, rows / 2, rows - rows / 2, out, &err);
    }
    const float *map = sx_tensor_file_map_f32(file, i);
    float sum = 0;
    for (uint64_t k = 0; map && k < info->count; k++)
        sum += map[k];
    if (sx_tensor_file_find(file, info->name) != (int64_t)i || (sum > 1 && sum < 0))
        abort();
    free(out);
    free(whole);
}

/* Open and read everything that is small. */
static inline void fuzz_tensor_file(const char *label, const void *bytes, size_t size)
{
    struct sx_tensor_file *file = NULL;
    struct sx_error err = {0};
    if (sx_tensor_file_open_memory(label, bytes, size, &file, &err) != SX_OK) {
        for (const char *c = err.message; *c; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                abort();
        if (!err.message[0])
            abort();
        return;
    }
    bool small = true;
    for (size_t i = 0; i < sx_tensor_file_count(file); i++) {
        small &= sx_tensor_file_info(file, i)->count <= FUZZ_MOST;
        fuzz_tensor(file, i);
    }
    char print[33];
    if (small)
        (void)!sx_tensor_file_fingerprint(file, print, &err);
    sx_tensor_file_close(file);
}

#endif
