#include "sextant/io/tensor_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outfile.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"
#include "sextant/io/json.h"
#include "zip_write.h"

enum { MAX_RANK = 8, HEADER_ALIGNMENT = 8, NPY_ALIGNMENT = 64, NPY_PREFIX = 10 };

static uint64_t count_of(const struct sx_tensor_out *t)
{
    uint64_t n = 1;
    SX_ASSERT(t->rank >= 0 && t->rank <= MAX_RANK);
    for (int i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

static uint64_t bytes_of(const struct sx_tensor_out *t)
{
    return count_of(t) * sx_dtype_size(t->dtype);
}

/* Names become keys and file names of other formats: what a reader would refuse is not written. */
static enum sx_status check(const char *path, const struct sx_tensor_out *tensors, size_t n,
                            struct sx_error *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(tensors[i].name);
        if (len == 0 || len > 256 || !sx_utf8_valid(tensors[i].name, len))
            return sx_fail(err, SX_ERR_USAGE, "%s: \"%s\" cannot be a tensor's name", path,
                           tensors[i].name);
        if (!sx_dtype_is_number(tensors[i].dtype))
            return sx_fail(err, SX_ERR_USAGE, "%s: tensor %s: type %s cannot be written", path,
                           tensors[i].name, sx_dtype_name(tensors[i].dtype));
        for (size_t j = 0; j < i; j++)
            if (!strcmp(tensors[i].name, tensors[j].name))
                return sx_fail(err, SX_ERR_USAGE, "%s: two tensors are called %s", path,
                               tensors[i].name);
    }
    return SX_OK;
}

/* ---- safetensors ---- */

struct order {
    const struct sx_tensor_out *tensor;
};

/* As the official writer: the largest elements first, so that each is aligned; then by name. */
static int by_alignment(const void *a, const void *b)
{
    const struct sx_tensor_out *x = ((const struct order *)a)->tensor;
    const struct sx_tensor_out *y = ((const struct order *)b)->tensor;
    size_t i = sx_dtype_size(x->dtype);
    size_t j = sx_dtype_size(y->dtype);
    return i != j ? (i < j ? 1 : -1) : strcmp(x->name, y->name);
}

static struct sx_value *describe(const struct sx_tensor_out *t, uint64_t begin)
{
    struct sx_value *entry = sx_value_map();
    sx_value_set(entry, "dtype", sx_value_string(sx_dtype_name(t->dtype)));
    struct sx_value *shape = sx_value_set(entry, "shape", sx_value_list());
    for (int i = 0; i < t->rank; i++)
        sx_value_append(shape, sx_value_int((int64_t)t->shape[i]));
    struct sx_value *offsets = sx_value_set(entry, "data_offsets", sx_value_list());
    sx_value_append(offsets, sx_value_int((int64_t)begin));
    sx_value_append(offsets, sx_value_int((int64_t)(begin + bytes_of(t))));
    return entry;
}

static struct sx_value *metadata_strings(const struct sx_value *metadata)
{
    struct sx_value *map = sx_value_map();
    for (size_t i = 0; i < sx_value_count(metadata); i++)
        sx_value_set(map, sx_value_key(metadata, i),
                     sx_value_string(sx_value_string_or(sx_value_item(metadata, i), "")));
    return map;
}

enum sx_status sx_safetensors_write(const char *path, const struct sx_tensor_out *tensors, size_t n,
                                    const struct sx_value *metadata, struct sx_error *err)
{
    struct sx_outfile f;
    SX_TRY(check(path, tensors, n, err));
    SX_TRY(sx_outfile_open(path, &f, err));
    struct order *order = sx_xcalloc(n, sizeof *order);
    struct sx_value *header = sx_value_map();
    struct sx_str text = SX_STR_INIT;
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++)
        order[i].tensor = &tensors[i];
    qsort(order, n, sizeof *order, by_alignment);
    if (sx_value_count(metadata) > 0)
        sx_value_set(header, "__metadata__", metadata_strings(metadata));
    for (size_t i = 0; i < n; i++) {
        sx_value_set(header, order[i].tensor->name, describe(order[i].tensor, at));
        at += bytes_of(order[i].tensor);
    }
    sx_json_write(header, 0, &text);
    while (text.len % HEADER_ALIGNMENT != 0)
        sx_str_append_char(&text, ' ');
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)text.len >> (8 * i) & 0xffU);
    sx_outfile_write(&f, length, sizeof length);
    sx_outfile_write(&f, text.data, text.len);
    for (size_t i = 0; i < n; i++)
        sx_outfile_write(&f, order[i].tensor->data, bytes_of(order[i].tensor));
    sx_str_release(&text);
    sx_value_free(header);
    sx_free(order);
    return sx_outfile_commit(&f, err);
}

/* ---- numpy ---- */

/* NULL: numpy has no such type. */
static const char *npy_type(enum sx_dtype dtype)
{
    static const char *const names[] = {
        [SX_DTYPE_BOOL] = "|b1", [SX_DTYPE_U8] = "|u1",  [SX_DTYPE_I8] = "|i1",
        [SX_DTYPE_I16] = "<i2",  [SX_DTYPE_U16] = "<u2", [SX_DTYPE_I32] = "<i4",
        [SX_DTYPE_U32] = "<u4",  [SX_DTYPE_I64] = "<i8", [SX_DTYPE_U64] = "<u8",
        [SX_DTYPE_F16] = "<f2",  [SX_DTYPE_BF16] = NULL, [SX_DTYPE_F32] = "<f4",
        [SX_DTYPE_F64] = "<f8",
    };
    return names[dtype];
}

static enum sx_status check_npy(const char *path, const struct sx_tensor_out *tensors, size_t n,
                                struct sx_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (sx_dtype_is_number(tensors[i].dtype) && !npy_type(tensors[i].dtype))
            return sx_fail(err, SX_ERR_USAGE, "%s: tensor %s: numpy has no type %s", path,
                           tensors[i].name, sx_dtype_name(tensors[i].dtype));
    return check(path, tensors, n, err);
}

static void npy_header(const struct sx_tensor_out *t, struct sx_str *out)
{
    struct sx_str text = SX_STR_INIT;
    sx_str_printf(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", npy_type(t->dtype));
    for (int i = 0; i < t->rank; i++)
        sx_str_printf(&text, i ? ", %llu" : "%llu", (unsigned long long)t->shape[i]);
    sx_str_append(&text, t->rank == 1 ? ",), }" : "), }");
    while ((NPY_PREFIX + text.len + 1) % NPY_ALIGNMENT != 0)
        sx_str_append_char(&text, ' ');
    sx_str_append_char(&text, '\n');
    sx_str_append_len(out, "\x93NUMPY\x01\x00", 8);
    sx_str_append_char(out, (char)(text.len & 0xffU));
    sx_str_append_char(out, (char)(text.len >> 8));
    sx_str_append_len(out, text.data, text.len);
    sx_str_release(&text);
}

enum sx_status sx_npy_write(const char *path, const struct sx_tensor_out *tensor,
                            struct sx_error *err)
{
    struct sx_outfile f;
    struct sx_str header = SX_STR_INIT;
    SX_TRY(check_npy(path, tensor, 1, err));
    SX_TRY(sx_outfile_open(path, &f, err));
    npy_header(tensor, &header);
    sx_outfile_write(&f, header.data, header.len);
    sx_outfile_write(&f, tensor->data, bytes_of(tensor));
    sx_str_release(&header);
    return sx_outfile_commit(&f, err);
}

enum sx_status sx_npz_write(const char *path, const struct sx_tensor_out *tensors, size_t n,
                            struct sx_error *err)
{
    struct sx_zip_writer w = {.directory = SX_STR_INIT};
    SX_TRY(check_npy(path, tensors, n, err));
    SX_TRY(sx_outfile_open(path, &w.file, err));
    for (size_t i = 0; i < n; i++) {
        struct sx_str header = SX_STR_INIT;
        char *name = sx_xasprintf("%s.npy", tensors[i].name);
        npy_header(&tensors[i], &header);
        sx_zip_add(&w, name, header.data, header.len, tensors[i].data, bytes_of(&tensors[i]));
        sx_free(name);
        sx_str_release(&header);
    }
    sx_zip_end(&w);
    return sx_outfile_commit(&w.file, err);
}

/* ---- torch ---- */

static const char *storage_class(enum sx_dtype dtype)
{
    static const char *const names[] = {
        [SX_DTYPE_BOOL] = "BoolStorage",
        [SX_DTYPE_U8] = "ByteStorage",
        [SX_DTYPE_I8] = "CharStorage",
        [SX_DTYPE_I16] = "ShortStorage",
        [SX_DTYPE_U16] = NULL,
        [SX_DTYPE_I32] = "IntStorage",
        [SX_DTYPE_U32] = NULL,
        [SX_DTYPE_I64] = "LongStorage",
        [SX_DTYPE_U64] = NULL,
        [SX_DTYPE_F16] = "HalfStorage",
        [SX_DTYPE_BF16] = "BFloat16Storage",
        [SX_DTYPE_F32] = "FloatStorage",
        [SX_DTYPE_F64] = "DoubleStorage",
    };
    return names[dtype];
}

static void pickle_string(struct sx_str *s, const char *text)
{
    size_t n = strlen(text);
    sx_str_append_char(s, 'X');
    for (int i = 0; i < 4; i++)
        sx_str_append_char(s, (char)(n >> (8 * i) & 0xffU));
    sx_str_append(s, text);
}

/* LONG1: little-endian, two's complement, as few bytes as hold the sign. */
static void pickle_int(struct sx_str *s, uint64_t value)
{
    int n = 1;
    while (n < 9 && value >> (8 * n - 1) != 0)
        n++;
    sx_str_append_len(s, "\x8a", 1);
    sx_str_append_char(s, (char)n);
    for (int i = 0; i < n; i++)
        sx_str_append_char(s, (char)(uint8_t)(i < 8 ? value >> (8 * i) : 0));
}

static void pickle_sizes(struct sx_str *s, const uint64_t *sizes, int n)
{
    sx_str_append_char(s, '(');
    for (int i = 0; i < n; i++)
        pickle_int(s, sizes[i]);
    sx_str_append_char(s, 't');
}

/* _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()) */
static void pickle_tensor(struct sx_str *s, const struct sx_tensor_out *t, size_t key)
{
    uint64_t strides[MAX_RANK];
    char text[24];
    uint64_t step = 1;
    for (int i = t->rank; i-- > 0;) {
        strides[i] = step;
        step *= t->shape[i] ? t->shape[i] : 1;
    }
    sx_str_append(s, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_string(s, "storage");
    sx_str_printf(s, "ctorch\n%s\n", storage_class(t->dtype));
    snprintf(text, sizeof text, "%zu", key);
    pickle_string(s, text);
    pickle_string(s, "cpu");
    pickle_int(s, count_of(t));
    sx_str_append(s, "tQ");
    pickle_int(s, 0);
    pickle_sizes(s, t->shape, t->rank);
    pickle_sizes(s, strides, t->rank);
    sx_str_append(s, "\x89"
                     "ccollections\nOrderedDict\n)RtR");
}

static void pickle_state_dict(struct sx_str *s, const struct sx_tensor_out *tensors, size_t n)
{
    sx_str_append(s, "\x80\x02"
                     "ccollections\nOrderedDict\n)R(");
    for (size_t i = 0; i < n; i++) {
        pickle_string(s, tensors[i].name);
        pickle_tensor(s, &tensors[i], i);
    }
    sx_str_append(s, "u.");
}

enum sx_status sx_torch_zip_write(const char *path, const struct sx_tensor_out *tensors, size_t n,
                                  struct sx_error *err)
{
    struct sx_zip_writer w = {.directory = SX_STR_INIT};
    struct sx_str pickle = SX_STR_INIT;
    SX_TRY(check(path, tensors, n, err));
    for (size_t i = 0; i < n; i++)
        if (!storage_class(tensors[i].dtype))
            return sx_fail(err, SX_ERR_USAGE, "%s: tensor %s: torch has no storage of type %s",
                           path, tensors[i].name, sx_dtype_name(tensors[i].dtype));
    SX_TRY(sx_outfile_open(path, &w.file, err));
    pickle_state_dict(&pickle, tensors, n);
    sx_zip_add(&w, "archive/data.pkl", pickle.data, pickle.len, NULL, 0);
    sx_zip_add(&w, "archive/byteorder", "little", strlen("little"), NULL, 0);
    for (size_t i = 0; i < n; i++) {
        char name[40];
        snprintf(name, sizeof name, "archive/data/%zu", i);
        sx_zip_add(&w, name, NULL, 0, tensors[i].data, bytes_of(&tensors[i]));
    }
    sx_zip_add(&w, "archive/version", "3\n", 2, NULL, 0);
    sx_zip_end(&w);
    sx_str_release(&pickle);
    return sx_outfile_commit(&w.file, err);
}
