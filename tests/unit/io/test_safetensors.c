#include <criterion/criterion.h>
#include <string.h>

#include "io_support.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/str.h"
#include "sextant/io/tensor_file.h"

static struct sx_error err;

/* length | header | n bytes of data */
static struct sx_str build(uint64_t length, const char *header, size_t header_len, size_t n)
{
    struct sx_str s = SX_STR_INIT;
    for (int i = 0; i < 8; i++)
        sx_str_append_char(&s, (char)(length >> (8 * i) & 0xffU));
    sx_str_append_len(&s, header, header_len);
    for (size_t i = 0; i < n; i++)
        sx_str_append_char(&s, (char)i);
    return s;
}

static enum sx_status open_bytes(const struct sx_str *s, struct sx_tensor_file **file)
{
    *file = NULL;
    return sx_tensor_file_open_memory("t.safetensors", s->data, s->len, file, &err);
}

static struct sx_tensor_file *accepted(const char *header, size_t n)
{
    struct sx_str s = build(strlen(header), header, strlen(header), n);
    /* The file borrows the bytes: they are copied where they live as long as the test. */
    static char kept[1 << 16];
    cr_assert_lt(s.len, sizeof kept);
    memcpy(kept, s.data, s.len);
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_tensor_file_open_memory("t.safetensors", kept, s.len, &file, &err), SX_OK,
                 "%s: %s", header, err.message);
    sx_str_release(&s);
    return file;
}

static void refused_bytes(struct sx_str s, enum sx_status status, const char *part)
{
    struct sx_tensor_file *file;
    cr_assert_eq(open_bytes(&s, &file), status, "expected: %s", part);
    cr_assert(strstr(err.message, part), "\"%s\" not in: %s", part, err.message);
    cr_assert_null(strchr(err.message, '\n'));
    cr_assert_null(file);
    sx_str_release(&s);
}

static void refused(const char *header, size_t n, const char *part)
{
    refused_bytes(build(strlen(header), header, strlen(header), n), SX_ERR_FORMAT, part);
}

#define T22 "\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]"

Test(safetensors, what_is_not_a_header_is_refused)
{
    refused_bytes(SX_STR_INIT, SX_ERR_FORMAT, "header too small");
    struct sx_str seven = SX_STR_INIT;
    sx_str_append_len(&seven, "\1\0\0\0\0\0\0", 7);
    refused_bytes(seven, SX_ERR_FORMAT, "header too small");
    refused_bytes(build(0, "", 0, 0), SX_ERR_FORMAT, "expected '{'");
    refused_bytes(build(UINT64_MAX, "", 0, 0), SX_ERR_FORMAT, "header too large");
    refused_bytes(build(1000, "{}", 2, 90), SX_ERR_FORMAT, "invalid header length");
    refused("\xff", 0, "not UTF-8");
    refused("{", 0, "");
    refused("[]", 0, "expected '{'");
    refused("{}{}", 0, "behind the object");
    refused("{} x", 0, "behind the object");
    refused("{,}", 0, "expected '\"'");
    refused("{\"a\"}", 0, "expected ':'");
}

Test(safetensors, padding_with_white_space_is_fine)
{
    struct sx_tensor_file *file = accepted("{}\r \t\n", 0);
    cr_assert_eq(sx_tensor_file_count(file), 0);
    sx_tensor_file_close(file);
    file = accepted("\t\n{ }  ", 0);
    cr_assert_eq(sx_tensor_file_count(file), 0);
    sx_tensor_file_close(file);
}

Test(safetensors, sizes_must_agree)
{
    struct sx_tensor_file *file = accepted("{\"t\":{" T22 "}}", 16);
    const struct sx_tensor_info *info = sx_tensor_file_info(file, 0);
    cr_assert(info->rank == 2 && info->count == 4 && info->dtype == SX_DTYPE_I32);
    int64_t values[4];
    cr_assert_eq(sx_tensor_file_read_i64(file, 0, values, &err), SX_OK);
    cr_assert_eq(values[1], 0x07060504);
    sx_tensor_file_close(file);
    refused("{\"t\":{" T22 "}}", 14, "reaches behind the end");
    refused("{\"t\":{" T22 "}}", 18, "2 bytes behind the last tensor");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,4]}}", 4,
            "make 16 bytes");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[16,0]}}", 16, "16 to 0");
    refused(
        "{\"t\":{\"dtype\":\"I32\",\"shape\":[2,18446744073709551614],\"data_offsets\":[0,16]}}",
        16, "overflows");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[2,9223372036854775807],\"data_offsets\":[0,16]}}",
            16, "overflows");
    refused(
        "{\"t\":{\"dtype\":\"F64\",\"shape\":[0,9223372036854775807,4],\"data_offsets\":[0,0]}}", 0,
        "overflows");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[18446744073709551616],\"data_offsets\":[0,16]}}",
            16, "beyond 64 bits");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[-1],\"data_offsets\":[0,16]}}", 16, "negative");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[1.5],\"data_offsets\":[0,16]}}", 16,
            "whole number");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[1e2],\"data_offsets\":[0,16]}}", 16,
            "whole number");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[04],\"data_offsets\":[0,16]}}", 16,
            "leading zeros");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[4],\"data_offsets\":[0,16,17]}}", 16, "too many");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[4],\"data_offsets\":[0]}}", 16, "two numbers");
    refused("{\"t\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
            "too many");
}

Test(safetensors, empty_and_scalar_tensors_are_fine)
{
    struct sx_tensor_file *file =
        accepted("{\"e\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[0,0]},"
                 "\"s\":{\"shape\":[],\"data_offsets\":[0,1],\"dtype\":\"U8\"}}",
                 1);
    cr_assert_eq(sx_tensor_file_info(file, 0)->count, 0);
    cr_assert_eq(sx_tensor_file_info(file, 1)->count, 1);
    cr_assert_eq(sx_tensor_file_info(file, 1)->rank, 0);
    cr_assert_null(sx_tensor_file_map_f32(file, 0));
    float value = 9;
    cr_assert_eq(sx_tensor_file_read_f32(file, 0, &value, &err), SX_OK);
    cr_assert_eq(value, 9.0F);
    sx_tensor_file_close(file);
}

Test(safetensors, overlaps_and_holes_are_refused)
{
    struct sx_str header = SX_STR_INIT;
    sx_str_append_char(&header, '{');
    for (int i = 0; i < 10; i++)
        sx_str_printf(&header, "%s\"t%d\":{" T22 "}", i ? "," : "", i);
    sx_str_append_char(&header, '}');
    refused(header.data, 16, "overlap");
    sx_str_release(&header);
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
            3, "hole");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, "hole");
}

Test(safetensors, keys_are_exactly_the_known_ones)
{
    refused("{\"t\":{" T22 "},\"t\":{\"dtype\":\"I32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 16,
            "two tensors are called t");
    refused("{\"t\":{\"dtype\":\"I32\"," T22 "}}", 16, "the same key twice");
    refused("{\"t\":{\"x\":1," T22 "}}", 16, "a key other than");
    refused("{\"t\":{\"dtype\":\"I32\",\"shape\":[4]}}", 16,
            "without dtype, shape or data_offsets");
    refused("{\"t\":{}}", 16, "without dtype");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "expected '\"'");
    refused("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "twice");
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice");
    refused("{\"__metadata__\":null}", 0, "expected '{'");
    const char *unknown = "{\"t\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]}}";
    refused_bytes(build(strlen(unknown), unknown, strlen(unknown), 2), SX_ERR_UNSUPPORTED,
                  "element type F4");
}

Test(safetensors, names_are_escaped_decoded_and_cleaned)
{
    struct sx_tensor_file *file = accepted(
        "{\"a\\u001b[31m\\n\\ud83d\\ude00\":{" T22 "},\"__metadata__\":{\"k\":\"v\\t\"}}", 16);
    cr_assert_str_eq(sx_tensor_file_info(file, 0)->name, "a\xef\xbf\xbd[31m \xf0\x9f\x98\x80");
    cr_assert_geq(sx_tensor_file_find(file, sx_tensor_file_info(file, 0)->name), 0);
    cr_assert_str_eq(sx_value_string_or(sx_value_get(sx_tensor_file_extra(file), "k"), ""), "v\t");
    sx_tensor_file_close(file);
    refused("{\"a\\u0000\":{" T22 "}}", 16, "escape");
    refused("{\"a\\ud83d\":{" T22 "}}", 16, "surrogate");
    refused("{\"a\\x\":{" T22 "}}", 16, "escape");
    refused("{\"a\nb\":{" T22 "}}", 16, "control character");
    struct sx_str header = SX_STR_INIT;
    sx_str_append(&header, "{\"");
    for (int i = 0; i < 1025; i++)
        sx_str_append_char(&header, 'n');
    sx_str_append(&header, "\":{" T22 "}}");
    refused(header.data, 16, "longer than 1024");
    sx_str_release(&header);
}

Test(safetensors, a_header_full_of_tensors_takes_bounded_time, .timeout = 60)
{
    struct sx_str header = SX_STR_INIT;
    sx_str_append_char(&header, '{');
    for (int i = 0; header.len < (63U << 20); i++)
        sx_str_printf(&header, "%s\"%x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                      i ? "," : "", i);
    sx_str_append_char(&header, '}');
    double start = sx_clock();
    refused(header.data, 0, "more than 1000000 tensors");
    cr_assert_lt(sx_clock() - start, 30.0);
    sx_str_release(&header);
}
