#include "sextant/io/tensor_file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>

#include "io_support.h"
#include "memory_runs_out.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/io/h5.h"
#include "sextant/io/idx.h"
#include "sextant/io/json.h"
#include "sextant/io/tensor_write.h"
#include "sextant/io/yaml.h"

static struct sx_error err;

TestSuite(tensor_file, .init = io_enter_scratch, .fini = io_leave_scratch);

static struct sx_tensor_file *open_ok(const char *path)
{
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_tensor_file_open(path, &file, &err), SX_OK, "%s", err.message);
    return file;
}

static void refused(const char *path, const char *part)
{
    struct sx_tensor_file *file = NULL;
    cr_assert_neq(sx_tensor_file_open(path, &file, &err), SX_OK);
    cr_assert(strstr(err.message, part), "\"%s\" not in: %s", part, err.message);
    cr_assert_null(file);
}

static void expect_filled(const struct sx_tensor_file *file, const char *name, uint64_t count)
{
    int64_t i = sx_tensor_file_find(file, name);
    float out[64];
    cr_assert_geq(i, 0, "%s", name);
    cr_assert_eq(sx_tensor_file_info(file, (size_t)i)->count, count);
    cr_assert_eq(sx_tensor_file_read_f32(file, (size_t)i, out, &err), SX_OK, "%s", err.message);
    for (uint64_t k = 0; k < count; k++)
        cr_assert_eq(out[k], (float)k / 4 - 3, "%s[%d]", name, (int)k);
}

Test(tensor_file, plain_safetensors_of_the_real_package)
{
    struct sx_tensor_file *file = open_ok(io_fixture("io/plain.safetensors"));
    cr_assert_eq(sx_tensor_file_container(file), SX_CONTAINER_SAFETENSORS);
    cr_assert_eq(sx_tensor_file_count(file), 10);
    expect_filled(file, "W_enc", 60);
    expect_filled(file, "b_enc", 10);
    expect_filled(file, "b_dec", 6);
    expect_filled(file, "f64", 2);
    expect_filled(file, "empty", 0);
    size_t f8 = (size_t)sx_tensor_file_find(file, "f8");
    float out[4];
    cr_assert_eq(sx_tensor_file_read_f32(file, f8, out, &err), SX_ERR_FORMAT);
    size_t w = (size_t)sx_tensor_file_find(file, "W_enc");
    const float *mapped = sx_tensor_file_map_f32(file, w);
    cr_assert_not_null(mapped);
    cr_assert_eq(mapped[59], 59.0F / 4 - 3);
    cr_assert_eq(sx_tensor_file_read_rows_f32(file, w, 6, 1, out, &err), SX_ERR_SHAPE);
    cr_assert_eq(sx_tensor_file_read_rows_f32(file, w, 6, 0, out, &err), SX_OK);
    size_t b = (size_t)sx_tensor_file_find(file, "b_enc");
    cr_assert_eq(sx_tensor_file_read_f32_transposed(file, b, out, &err), SX_ERR_SHAPE);
    sx_tensor_file_close(file);
}

static void write_index(const char *text)
{
    io_write("m.index.json", text, strlen(text));
}

Test(tensor_file, any_element_type_is_mapped)
{
    const uint16_t half[3] = {0x3c00, 0x4000, 0xc000};
    const double wide[2] = {1.5, -2};
    const uint8_t bytes[3] = {1, 2, 3};
    const struct sx_tensor_out t[] = {{"wide", SX_DTYPE_F64, 1, {2}, wide},
                                      {"half", SX_DTYPE_F16, 1, {3}, half},
                                      {"bytes", SX_DTYPE_U8, 1, {3}, bytes},
                                      {"none", SX_DTYPE_F16, 1, {0}, half}};
    static const size_t sizes[] = {sizeof wide, sizeof half, sizeof bytes};
    cr_assert_eq(sx_safetensors_write("1.safetensors", t, 4, NULL, &err), SX_OK);
    write_index("{\"weight_map\":{\"wide\":\"1.safetensors\",\"half\":\"1.safetensors\","
                "\"bytes\":\"1.safetensors\",\"none\":\"1.safetensors\"}}");
    static const char *const paths[] = {"1.safetensors", "m.index.json"};
    for (size_t p = 0; p < 2; p++) {
        struct sx_tensor_file *file = open_ok(paths[p]);
        for (size_t k = 0; k < 4; k++) {
            size_t i = (size_t)sx_tensor_file_find(file, t[k].name);
            const void *raw = sx_tensor_file_map_raw(file, i);
            cr_assert_eq(raw != NULL, k < 3, "%s", t[k].name);
            cr_assert(!raw || memcmp(raw, t[k].data, sizes[k]) == 0, "%s", t[k].name);
            cr_assert_eq((uintptr_t)raw % sx_dtype_size(t[k].dtype), 0);
            cr_assert_null(sx_tensor_file_map_f32(file, i));
        }
        sx_tensor_file_close(file);
    }
}

Test(tensor_file, misaligned_elements_are_not_mapped)
{
    /* A header of such a length that the data begin between two multiples of four. */
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                                 "\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]}} ";
    uint64_t len = sizeof header - 1;
    while ((8 + len) % 4 != 2)
        len++;
    uint8_t file_bytes[8 + sizeof header + 16] = {0};
    memset(file_bytes, ' ', 8 + len);
    memcpy(file_bytes, &len, 8);
    memcpy(file_bytes + 8, header, sizeof header - 1);
    file_bytes[8 + len + 3] = 0x40; /* 2.0F */
    io_write("odd.safetensors", file_bytes, 8 + len + 8);
    struct sx_tensor_file *file = open_ok("odd.safetensors");
    float x;
    size_t a = (size_t)sx_tensor_file_find(file, "a");
    cr_assert_null(sx_tensor_file_map_raw(file, a));
    cr_assert_eq(sx_tensor_file_read_f32(file, a, &x, &err), SX_OK);
    cr_assert_eq(x, 2.0F);
    cr_assert_not_null(sx_tensor_file_map_raw(file, (size_t)sx_tensor_file_find(file, "b")));
    sx_tensor_file_close(file);
}

Test(tensor_file, shards_are_one_file)
{
    struct sx_tensor_file *file = open_ok(io_fixture("io/model.safetensors.index.json"));
    cr_assert_eq(sx_tensor_file_count(file), 3);
    expect_filled(file, "W_enc", 60);
    expect_filled(file, "W_dec", 60);
    cr_assert_not_null(sx_tensor_file_map_f32(file, (size_t)sx_tensor_file_find(file, "W_dec")));
    char print[33];
    cr_assert_eq(sx_tensor_file_fingerprint(file, print, &err), SX_OK);
    cr_assert_eq(strlen(print), 32);
    sx_tensor_file_close(file);
}

Test(tensor_file, an_index_that_lies_is_refused)
{
    float x[2] = {1, 2};
    struct sx_tensor_out t[2] = {{"a", SX_DTYPE_F32, 1, {2}, x}, {"b", SX_DTYPE_F32, 1, {2}, x}};
    cr_assert_eq(sx_safetensors_write("1.safetensors", t, 2, NULL, &err), SX_OK);
    cr_assert_eq(sx_safetensors_write("2.safetensors", t + 1, 1, NULL, &err), SX_OK);
    write_index("{\"weight_map\":{\"a\":\"1.safetensors\"}}");
    sx_tensor_file_close(open_ok("m.index.json"));
    write_index("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
    refused("m.index.json", "b is in two shards");
    write_index("{\"weight_map\":{\"c\":\"1.safetensors\"}}");
    refused("m.index.json", "c is not in 1.safetensors");
    write_index("{\"weight_map\":{\"a\":\"../x.safetensors\"}}");
    refused("m.index.json", "plain file name");
    write_index("{\"weight_map\":{\"a\":\"/etc/passwd\"}}");
    refused("m.index.json", "plain file name");
    write_index("{\"weight_map\":{\"a\":\"missing.safetensors\"}}");
    refused("m.index.json", "No such file");
    write_index("{\"weight_map\":{\"a\":1}}");
    refused("m.index.json", "expected a file name, found an integer");
    write_index("{}");
    refused("m.index.json", "no weight_map");
    write_index("{");
    refused("m.index.json", "line 1");
}

Test(tensor_file, hdf5_datasets_are_tensors)
{
    struct sx_tensor_file *file = open_ok(io_fixture("io/data.h5"));
    cr_assert_eq(sx_tensor_file_container(file), SX_CONTAINER_HDF5);
    expect_filled(file, "sae.W_enc", 60);
    expect_filled(file, "sae.packed", 60);
    expect_filled(file, "sae.big", 3);
    expect_filled(file, "sae.half", 3);
    size_t w = (size_t)sx_tensor_file_find(file, "sae.W_enc");
    size_t packed = (size_t)sx_tensor_file_find(file, "sae.packed");
    cr_assert_not_null(sx_tensor_file_map_f32(file, w), "contiguous data are mapped");
    cr_assert_null(sx_tensor_file_map_f32(file, packed));
    float a[60];
    float b[60];
    for (int k = 0; k < 2; k++) {
        size_t i = k ? packed : w;
        cr_assert_eq(sx_tensor_file_read_f32_transposed(file, i, a, &err), SX_OK);
        for (int j = 0; j < 60; j++)
            cr_assert_eq(a[j], (float)(j % 10 * 6 + j / 10) / 4 - 3);
        cr_assert_eq(sx_tensor_file_read_rows_f32(file, i, 3, 2, b, &err), SX_OK);
        for (int j = 0; j < 12; j++)
            cr_assert_eq(b[j], (float)(18 + j) / 4 - 3);
    }
    int64_t i64[2];
    cr_assert_eq(
        sx_tensor_file_read_i64(file, (size_t)sx_tensor_file_find(file, "sae.i"), i64, &err),
        SX_OK);
    cr_assert(i64[0] == -5 && i64[1] == (int64_t)1 << 40);
    cr_assert_eq(
        sx_tensor_file_read_i64(file, (size_t)sx_tensor_file_find(file, "sae.flags"), i64, &err),
        SX_OK);
    cr_assert(i64[0] == 1 && i64[1] == 0);
    const struct sx_value *extra = sx_tensor_file_extra(file);
    cr_assert_str_eq(sx_value_string_or(sx_value_get(extra, "arch"), ""), "topk");
    cr_assert_eq(sx_value_int_or(sx_value_get(extra, "k"), 0), 4);
    cr_assert_str_eq(sx_value_string_or(sx_value_get(extra, "sae.W_enc.unit"), ""), "none");
    cr_assert_not_null(sx_value_get(extra, "sae.words"));
    cr_assert_eq(sx_tensor_file_find(file, "sae.soft"), -1);
    cr_assert_eq(sx_tensor_file_find(file, "sae.outside"), -1);
    sx_tensor_file_close(file);
    refused(io_fixture("io/huge.h5"), "claims 1099511627776 elements");
}

/* Strided and contiguous reads of every dtype against a plain double loop over the definition. */
Test(tensor_file, large_transposed_tensors_equal_a_plain_loop)
{
    enum { ROWS = 1500, COLUMNS = 1100 };
    float *x = sx_alloc_big((size_t)ROWS * COLUMNS, sizeof *x);
    float *y = sx_alloc_big((size_t)ROWS * COLUMNS, sizeof *y);
    struct sx_rng rng = sx_rng_make(1, 2);
    for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++)
        x[i] = (float)sx_rng_normal(&rng);
    struct sx_tensor_out t = {"x", SX_DTYPE_F32, 2, {ROWS, COLUMNS}, x};
    cr_assert_eq(sx_npz_write("x.npz", &t, 1, &err), SX_OK, "%s", err.message);
    struct sx_tensor_file *file = open_ok("x.npz");
    cr_assert_eq(sx_tensor_file_read_f32(file, 0, y, &err), SX_OK);
    cr_assert_arr_eq(y, x, (size_t)ROWS * COLUMNS * sizeof *x);
    cr_assert_eq(sx_tensor_file_read_f32_transposed(file, 0, y, &err), SX_OK);
    for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++)
        cr_assert_eq(y[i], x[i % ROWS * COLUMNS + i / ROWS]);
    cr_assert_not_null(sx_tensor_file_map_f32(file, 0), "our archives are aligned");
    sx_tensor_file_close(file);
    sx_free(x);
    sx_free(y);
}

Test(tensor_file, a_file_that_becomes_shorter_is_an_error_and_not_a_signal)
{
    float x[3000] = {1};
    struct sx_tensor_out t = {"x", SX_DTYPE_F32, 1, {3000}, x};
    cr_assert_eq(sx_safetensors_write("x.safetensors", &t, 1, NULL, &err), SX_OK);
    struct sx_tensor_file *file = open_ok("x.safetensors");
    cr_assert_eq(truncate("x.safetensors", 100), 0);
    cr_assert_eq(sx_tensor_file_read_f32(file, 0, x, &err), SX_ERR_IO);
    cr_assert(strstr(err.message, "became shorter"));
    cr_assert_null(sx_tensor_file_map_f32(file, 0));
    sx_tensor_file_close(file);
}

Test(tensor_file, what_is_no_container_is_refused)
{
    io_write("text.txt", "hello, world\n", 13);
    refused("text.txt", "not safetensors");
    io_write("empty", "", 0);
    refused("empty", "not safetensors");
    refused(".", "not a regular file");
    refused("missing", "No such file");
    refused(io_fixture("io/images.idx.gz"), "gzip");
    enum sx_container container;
    cr_assert_eq(sx_container_detect(io_fixture("io/topk.pt"), &container, &err), SX_OK);
    cr_assert_eq(container, SX_CONTAINER_TORCH_ZIP);
    cr_assert_eq(sx_container_detect(io_fixture("io/stored.npz"), &container, &err), SX_OK);
    cr_assert_eq(container, SX_CONTAINER_NPZ);
    cr_assert_eq(sx_container_detect(io_fixture("io/array.npy"), &container, &err), SX_OK);
    cr_assert_eq(container, SX_CONTAINER_NPY);
    cr_assert_eq(
        sx_container_detect(io_fixture("io/model.safetensors.index.json"), &container, &err),
        SX_OK);
    cr_assert_eq(container, SX_CONTAINER_SAFETENSORS);
    cr_assert_eq(sx_container_detect("text.txt", &container, &err), SX_ERR_FORMAT);
}

Test(tensor_file, fingerprints_tell_contents_apart_and_not_paths)
{
    char a[33], b[33], c[33];
    float x[2] = {1, 2};
    struct sx_tensor_out t = {"x", SX_DTYPE_F32, 1, {2}, x};
    cr_assert_eq(sx_safetensors_write("a.safetensors", &t, 1, NULL, &err), SX_OK);
    cr_assert_eq(sx_npz_write("b.npz", &t, 1, &err), SX_OK);
    x[1] = 3;
    cr_assert_eq(sx_safetensors_write("c.safetensors", &t, 1, NULL, &err), SX_OK);
    const char *paths[3] = {"a.safetensors", "b.npz", "c.safetensors"};
    char *prints[3] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        struct sx_tensor_file *file = open_ok(paths[i]);
        cr_assert_eq(sx_tensor_file_fingerprint(file, prints[i], &err), SX_OK);
        sx_tensor_file_close(file);
    }
    cr_assert_str_eq(a, b);
    cr_assert_str_neq(a, c);
}

/* ---- running out of memory ---- */

static enum sx_status load_tensors(const char *path, struct sx_error *error)
{
    struct sx_tensor_file *file = NULL;
    char print[33];
    float out[256];
    enum sx_status status = sx_tensor_file_open(path, &file, error);
    for (size_t i = 0; status == SX_OK && i < sx_tensor_file_count(file); i++) {
        const struct sx_tensor_info *info = sx_tensor_file_info(file, i);
        if (sx_dtype_is_number(info->dtype))
            status = sx_tensor_file_read_f32(file, i, out, error);
        if (status == SX_OK && info->rank == 2 && sx_dtype_is_number(info->dtype))
            status = sx_tensor_file_read_f32_transposed(file, i, out, error);
    }
    if (status == SX_OK)
        status = sx_tensor_file_fingerprint(file, print, error);
    sx_tensor_file_close(file);
    return status;
}

static enum sx_status load(const void *with, struct sx_error *error)
{
    const char *path = with;
    struct sx_value *v = NULL;
    struct sx_idx idx = {0};
    enum sx_status status;
    if (strstr(path, ".idx")) {
        status = sx_idx_read(path, &idx, error);
        sx_idx_release(&idx);
        return status;
    }
    if (!strstr(path, ".index.json"))
        return load_tensors(path, error);
    status = sx_json_parse_file(path, &v, error);
    sx_value_free(v);
    if (status != SX_OK)
        return status;
    v = NULL;
    status = sx_yaml_parse_file(path, &v, error);
    sx_value_free(v);
    return status == SX_OK ? load_tensors(path, error) : status;
}

Test(tensor_file, every_failed_allocation_is_an_answer)
{
    static const char *const names[] = {
        "io/plain.safetensors", "io/model.safetensors.index.json",
        "io/topk.pt",           "io/packed.npz",
        "io/array.npy",         "io/data.h5",
        "io/images.idx.gz",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert_gt(memory_runs_out(load, io_fixture(names[i])), 0, "%s", names[i]);
}

Test(tensor_file, what_is_cut_off_a_mapped_file_reads_as_nan)
{
    enum { N = 5000 };
    static float values[N];
    for (int i = 0; i < N; i++)
        values[i] = (float)i;
    const struct sx_tensor_out tensor = {
        .name = "x", .dtype = SX_DTYPE_F32, .rank = 1, .shape = {N}, .data = values};
    struct sx_tensor_file *cut = NULL;
    struct sx_tensor_file *whole = NULL;
    cr_assert_eq(sx_safetensors_write("a.safetensors", &tensor, 1, NULL, &err), SX_OK, "%s",
                 err.message);
    cr_assert_eq(sx_safetensors_write("b.safetensors", &tensor, 1, NULL, &err), SX_OK);
    cr_assert_eq(sx_tensor_file_open("a.safetensors", &cut, &err), SX_OK);
    cr_assert_eq(sx_tensor_file_open("b.safetensors", &whole, &err), SX_OK);
    const float *x = sx_tensor_file_map_f32(cut, 0);
    const float *y = sx_tensor_file_map_f32(whole, 0);
    cr_assert(x && y);
    cr_assert_eq(x[N - 1], N - 1);
    cr_assert_eq(truncate("a.safetensors", 4096), 0);
    cr_assert_eq(truncate("b.safetensors", 4096), 0);
    cr_assert_eq(x[100], 100);
    cr_assert_not(sx_tensor_file_was_cut(cut));
    cr_assert(isnan(x[N - 1]));
    cr_assert(isnan(x[2000]));
    cr_assert_eq(x[100], 100);
    cr_assert(sx_tensor_file_was_cut(cut));
    cr_assert_not(sx_tensor_file_was_cut(whole), "nobody has looked behind its end");
    cr_assert_null(sx_tensor_file_map_f32(cut, 0));
    cr_assert_eq(sx_tensor_file_read_f32(cut, 0, values, &err), SX_ERR_IO);
    sx_tensor_file_close(cut);
    sx_tensor_file_close(whole);
}
