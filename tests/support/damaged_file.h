/* Every truncation and every flipped byte of a small archive: an error or numbers, never a crash.
 */
#ifndef SEXTANT_TESTS_DAMAGED_FILE_H
#define SEXTANT_TESTS_DAMAGED_FILE_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "io_support.h"
#include "sextant/io/tensor_file.h"

/* `label` has the ending that the format goes by; no tensor of the fixture has over 64 elements. */
static inline void survives_damage(const char *label, const char *fixture)
{
    size_t n;
    struct sx_error err = {0};
    uint8_t *bytes = io_read(io_fixture(fixture), &n);
    struct sx_tensor_file *file = NULL;
    for (size_t cut = 0; cut < n; cut++)
        cr_assert_neq(sx_tensor_file_open_memory(label, bytes, cut, &file, &err), SX_OK);
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 0xff;
        if (sx_tensor_file_open_memory(label, bytes, n, &file, &err) == SX_OK) {
            for (size_t k = 0; k < sx_tensor_file_count(file); k++) {
                float out[64];
                cr_assert_leq(sx_tensor_file_info(file, k)->count, 64);
                (void)!sx_tensor_file_read_f32(file, k, out, &err);
            }
            sx_tensor_file_close(file);
        }
        bytes[i] ^= 0xff;
    }
    free(bytes);
}

#endif
