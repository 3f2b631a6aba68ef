#include "sextant/io/tensor_write.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "io_support.h"
#include "sextant/io/tensor_file.h"

static struct sx_error err;

TestSuite(tensor_write, .init = io_enter_scratch, .fini = io_leave_scratch);

static const float f32[6] = {1, 2, 3, 4, 5, 6};
static const double f64 = -0.25;
static const int64_t i64[2] = {-1, (int64_t)1 << 40};
static const int32_t i32 = 4;
static const uint8_t u8[3] = {0, 1, 255};
static const uint16_t bf16[2] = {0x3f80, 0xc000};

static const struct sx_tensor_out tensors[] = {
    {"u8", SX_DTYPE_U8, 1, {3}, u8},        {"w", SX_DTYPE_F32, 2, {2, 3}, f32},
    {"d", SX_DTYPE_F64, 0, {0}, &f64},      {"i.64", SX_DTYPE_I64, 1, {2}, i64},
    {"k", SX_DTYPE_I32, 0, {0}, &i32},      {"flag", SX_DTYPE_BOOL, 1, {2}, u8},
    {"none", SX_DTYPE_F32, 2, {0, 4}, f32}, {"bf16", SX_DTYPE_BF16, 1, {2}, bf16},
};
enum { N = sizeof tensors / sizeof *tensors, WITHOUT_BF16 = N - 1 };

static void expect_same(const char *path, size_t n)
{
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_tensor_file_open(path, &file, &err), SX_OK, "%s", err.message);
    cr_assert_eq(sx_tensor_file_count(file), n);
    for (size_t i = 0; i < n; i++) {
        const struct sx_tensor_out *t = &tensors[i];
        int64_t at = sx_tensor_file_find(file, t->name);
        cr_assert_geq(at, 0, "%s", t->name);
        const struct sx_tensor_info *info = sx_tensor_file_info(file, (size_t)at);
        cr_assert(info->dtype == t->dtype && info->rank == t->rank && info->contiguous, "%s",
                  t->name);
        cr_assert_arr_eq(info->shape, t->shape, (size_t)t->rank * sizeof *t->shape);
        float got[8];
        float want[8];
        cr_assert_eq(sx_tensor_file_read_f32(file, (size_t)at, got, &err), SX_OK);
        sx_dtype_to_f32(t->dtype, t->data, info->count, want);
        cr_assert_arr_eq(got, want, info->count * sizeof *got);
        if (t->dtype == SX_DTYPE_F32 && info->count)
            cr_assert_not_null(sx_tensor_file_map_f32(file, (size_t)at), "%s is aligned", path);
    }
    sx_tensor_file_close(file);
}

Test(tensor_write, each_format_comes_back)
{
    cr_assert_eq(sx_safetensors_write("a.safetensors", tensors, N, NULL, &err), SX_OK, "%s",
                 err.message);
    expect_same("a.safetensors", N);
    cr_assert_eq(sx_npz_write("a.npz", tensors, WITHOUT_BF16, &err), SX_OK, "%s", err.message);
    expect_same("a.npz", WITHOUT_BF16);
    cr_assert_eq(sx_torch_zip_write("a.pt", tensors, N, &err), SX_OK, "%s", err.message);
    expect_same("a.pt", N);
    cr_assert_eq(io_files_in_scratch(), 3, "no temporary file is left");
}

Test(tensor_write, an_array_alone_comes_back)
{
    cr_assert_eq(sx_npy_write("a.npy", &tensors[1], &err), SX_OK, "%s", err.message);
    struct sx_tensor_file *file = NULL;
    float got[6];
    cr_assert_eq(sx_tensor_file_open("a.npy", &file, &err), SX_OK);
    cr_assert_eq(sx_tensor_file_read_f32(file, 0, got, &err), SX_OK);
    cr_assert_arr_eq(got, f32, sizeof f32);
    sx_tensor_file_close(file);
}

Test(tensor_write, nothing_at_all_can_be_written)
{
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_safetensors_write("a.safetensors", NULL, 0, NULL, &err), SX_OK);
    cr_assert_eq(sx_npz_write("a.npz", NULL, 0, &err), SX_OK);
    cr_assert_eq(sx_torch_zip_write("a.pt", NULL, 0, &err), SX_OK);
    const char *paths[] = {"a.safetensors", "a.npz", "a.pt"};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(sx_tensor_file_open(paths[i], &file, &err), SX_OK, "%s", err.message);
        cr_assert_eq(sx_tensor_file_count(file), 0);
        sx_tensor_file_close(file);
    }
}

Test(tensor_write, metadata_are_strings)
{
    struct sx_value *map = sx_value_map();
    sx_value_set(map, "format", sx_value_string("pt"));
    sx_value_set(map, "quote", sx_value_string("\"\n\xce\xbb"));
    cr_assert_eq(sx_safetensors_write("m.safetensors", tensors, N, map, &err), SX_OK);
    sx_value_free(map);
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_tensor_file_open("m.safetensors", &file, &err), SX_OK);
    cr_assert_str_eq(sx_value_string_or(sx_value_get(sx_tensor_file_extra(file), "quote"), ""),
                     "\"\n\xce\xbb");
    sx_tensor_file_close(file);
}

Test(tensor_write, what_no_reader_would_take_is_not_written)
{
    struct sx_tensor_out twice[2] = {tensors[0], tensors[0]};
    cr_assert_eq(sx_safetensors_write("x", twice, 2, NULL, &err), SX_ERR_USAGE);
    cr_assert_eq(sx_npz_write("x", tensors, N, &err), SX_ERR_USAGE);
    cr_assert(strstr(err.message, "bf16"));
    struct sx_tensor_out bad = tensors[0];
    bad.name = "\xff";
    cr_assert_eq(sx_torch_zip_write("x", &bad, 1, &err), SX_ERR_USAGE);
    bad = tensors[0];
    bad.dtype = SX_DTYPE_U16;
    cr_assert_eq(sx_torch_zip_write("x", &bad, 1, &err), SX_ERR_USAGE);
    cr_assert_eq(sx_npy_write("no/such/folder/x.npy", &tensors[0], &err), SX_ERR_IO);
    cr_assert_eq(io_files_in_scratch(), 0);
}

/* RLIMIT_FSIZE stands for a full disk: the write fails half-way. */
Test(tensor_write, a_write_that_fails_leaves_the_old_file)
{
    static float large[100000];
    struct sx_tensor_out big = {"w", SX_DTYPE_F32, 1, {100000}, large};
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_npy_write("a.npy", &tensors[1], &err), SX_OK);
    struct rlimit limit = {20000, 20000};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(sx_npy_write("a.npy", &big, &err), SX_ERR_IO);
    cr_assert(strstr(err.message, "cannot write"), "%s", err.message);
    cr_assert_eq(sx_tensor_file_open("a.npy", &file, &err), SX_OK);
    cr_assert_eq(sx_tensor_file_info(file, 0)->count, 6);
    sx_tensor_file_close(file);
    cr_assert_eq(io_files_in_scratch(), 1);
}
