#include <criterion/criterion.h>
#include <string.h>

#include "damaged_file.h"
#include "io_support.h"
#include "sextant/base/str.h"
#include "sextant/io/tensor_file.h"

static struct sx_error err;

static struct sx_str npy(const char *header, size_t data)
{
    struct sx_str s = SX_STR_INIT;
    sx_str_append_len(&s, "\x93NUMPY\1\0", 8);
    sx_str_append_char(&s, (char)(strlen(header) & 0xffU));
    sx_str_append_char(&s, (char)(strlen(header) >> 8));
    sx_str_append(&s, header);
    for (size_t i = 0; i < data; i++)
        sx_str_append_char(&s, '\0');
    return s;
}

static void expect(const char *header, size_t data, enum sx_status status, const char *part)
{
    struct sx_str s = npy(header, data);
    struct sx_tensor_file *file = NULL;
    enum sx_status got = sx_tensor_file_open_memory("t.npy", s.data, s.len, &file, &err);
    cr_assert_eq(got, status, "%s: %s", header, err.message);
    if (status != SX_OK)
        cr_assert(strstr(err.message, part), "\"%s\" not in: %s", part, err.message);
    sx_tensor_file_close(file);
    sx_str_release(&s);
}

Test(npz, headers_of_arrays_are_strict)
{
    expect("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 12, SX_OK, "");
    expect("{\"shape\":(2L,2L),\"descr\":\"<f4\",\"fortran_order\":True}\n", 16, SX_OK, "");
    expect("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", 8, SX_OK, "");
    expect("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3)}", 0, SX_OK, "");
    expect("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 11, SX_ERR_FORMAT,
           "11 bytes");
    expect("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 13, SX_ERR_FORMAT,
           "13 bytes");
    expect("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", 12, SX_ERR_FORMAT, "header");
    expect("{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,)}", 12,
           SX_ERR_FORMAT, "header");
    expect("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4)}", 12,
           SX_ERR_FORMAT, "overflows");
    expect("{'descr': '<f4', 'fortran_order': True, 'shape': (1,1,1,1,1,1,1,1,1)}", 4,
           SX_ERR_FORMAT, "header");
    expect("{'descr': '<f4', 'fortran_order': 1, 'shape': (3,)}", 12, SX_ERR_FORMAT, "header");
    expect("{'descr': '<f4', 'fortran_order': False}", 12, SX_ERR_FORMAT, "header");
    expect("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 12,
           SX_ERR_FORMAT, "header");
    expect("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}", 12, SX_ERR_FORMAT,
           "header");
    expect("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x", 12, SX_ERR_FORMAT,
           "header");
    expect("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", 12, SX_ERR_FORMAT,
           "header");
    expect("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}", 12, SX_ERR_UNSUPPORTED, "|O");
    expect("{'descr': '\x1b[0m', 'fortran_order': False, 'shape': (3,)}", 12, SX_ERR_UNSUPPORTED,
           "type");
    expect("{'descr': '>f4', 'fortran_order': False, 'shape': (3,)}", 12, SX_ERR_UNSUPPORTED,
           ">f4");
    expect("", 12, SX_ERR_FORMAT, "header");
}

Test(npz, damaged_starts_are_refused)
{
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_tensor_file_open_memory("t.npy", "\x93NUMPY\1\0", 8, &file, &err),
                 SX_ERR_FORMAT);
    cr_assert_eq(sx_tensor_file_open_memory("t.npy", "\x93NUMPY\4\0\0\0\0\0", 12, &file, &err),
                 SX_ERR_FORMAT);
    cr_assert_eq(
        sx_tensor_file_open_memory("t.npy", "\x93NUMPY\2\0\xff\xff\xff\xff", 12, &file, &err),
        SX_ERR_FORMAT);
    cr_assert_eq(sx_tensor_file_open_memory("t.npy", "\x93NUMPY\1\0\xff\xff{}", 12, &file, &err),
                 SX_ERR_FORMAT);
}

static void expect_filled(const struct sx_tensor_file *file, const char *name, uint64_t rows,
                          uint64_t columns)
{
    size_t i = (size_t)sx_tensor_file_find(file, name);
    const struct sx_tensor_info *info = sx_tensor_file_info(file, i);
    float out[60];
    cr_assert(info->shape[0] == rows && (info->rank == 1 || info->shape[1] == columns));
    cr_assert_eq(sx_tensor_file_read_f32(file, i, out, &err), SX_OK, "%s", err.message);
    for (uint64_t k = 0; k < info->count; k++)
        cr_assert_eq(out[k], (float)k / 4 - 3);
    float rest[60];
    cr_assert_eq(sx_tensor_file_read_rows_f32(file, i, 1, rows - 1, rest, &err), SX_OK);
    cr_assert_arr_eq(rest, out + info->count / rows,
                     (info->count - info->count / rows) * sizeof *out);
}

static void check_archive(const char *name, char print[33])
{
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_tensor_file_open(io_fixture(name), &file, &err), SX_OK, "%s", err.message);
    cr_assert_eq(sx_tensor_file_container(file), SX_CONTAINER_NPZ);
    cr_assert_eq(sx_tensor_file_count(file), 6);
    expect_filled(file, "W_enc", 6, 10);
    expect_filled(file, "W_dec", 10, 6);
    expect_filled(file, "threshold", 10, 0);
    expect_filled(file, "half", 3, 0);
    int64_t n;
    cr_assert_eq(sx_tensor_file_read_i64(file, (size_t)sx_tensor_file_find(file, "n"), &n, &err),
                 SX_OK);
    cr_assert_eq(n, -5);
    int64_t flags[3];
    cr_assert_eq(
        sx_tensor_file_read_i64(file, (size_t)sx_tensor_file_find(file, "flags"), flags, &err),
        SX_OK);
    cr_assert(flags[0] == 1 && flags[1] == 0 && flags[2] == 1);
    cr_assert_eq(sx_tensor_file_fingerprint(file, print, &err), SX_OK);
    sx_tensor_file_close(file);
}

Test(npz, stored_and_deflated_archives_hold_the_same)
{
    char stored[33];
    char packed[33];
    check_archive("io/stored.npz", stored);
    check_archive("io/packed.npz", packed);
    cr_assert_str_eq(stored, packed);
}

Test(npz, arrays_of_other_kinds_are_named_and_not_read)
{
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_tensor_file_open(io_fixture("io/stored.npz"), &file, &err), SX_OK);
    const struct sx_value *extra = sx_tensor_file_extra(file);
    cr_assert_str_eq(sx_value_string_or(sx_value_get(extra, "note"), ""), "\xce\xbb");
    cr_assert_str_eq(sx_value_string_or(sx_value_get(extra, "objects"), ""),
                     "array of type |O, not read");
    cr_assert_eq(sx_tensor_file_find(file, "objects"), -1);
    sx_tensor_file_close(file);
}

Test(npz, every_truncation_and_every_flipped_byte_is_survived)
{
    survives_damage("t.npz", "io/packed.npz");
}
