#include <criterion/criterion.h>
#include <string.h>

#include "damaged_file.h"
#include "io_support.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/io/tensor_file.h"

static struct sx_error err;

/* ---- archives by hand: every field of a member can be wrong ---- */

struct member {
    const char *name;
    const void *bytes;
    size_t n;
    unsigned method, flags;
    uint32_t crc;
    long shift; /* of the offset in the directory */
    uint32_t size_plus;
};

static void le(struct sx_str *s, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        sx_str_append_char(s, (char)(v >> (8 * i) & 0xffU));
}

static struct sx_str archive(const struct member *members, size_t n)
{
    struct sx_str s = SX_STR_INIT;
    struct sx_str directory = SX_STR_INIT;
    for (size_t i = 0; i < n; i++) {
        const struct member *m = &members[i];
        size_t at = s.len;
        le(&s, 0x04034b50U, 4);
        for (int k = 0; k < 11; k++)
            le(&s, 0, 2); /* as torch: the local header says nothing */
        le(&s, strlen(m->name), 2);
        le(&s, 5, 2);
        sx_str_append(&s, m->name);
        sx_str_append_len(&s, "FB\1\0Z", 5);
        sx_str_append_len(&s, m->bytes, m->n);
        le(&directory, 0x02014b50U, 4);
        le(&directory, 0, 4);
        le(&directory, m->flags, 2);
        le(&directory, m->method, 2);
        le(&directory, 0, 4);
        le(&directory, m->crc, 4);
        le(&directory, m->n + m->size_plus, 4);
        le(&directory, m->n + m->size_plus, 4);
        le(&directory, strlen(m->name), 2);
        le(&directory, 0, 8);
        le(&directory, 0, 4);
        le(&directory, (uint64_t)((long)at + m->shift), 4);
        sx_str_append(&directory, m->name);
    }
    size_t at = s.len;
    sx_str_append_len(&s, directory.data, directory.len);
    le(&s, 0x06054b50U, 4);
    le(&s, 0, 4);
    le(&s, n, 2);
    le(&s, n, 2);
    le(&s, directory.len, 4);
    le(&s, at, 4);
    le(&s, 0, 2);
    sx_str_release(&directory);
    return s;
}

static void expect_bytes(struct sx_str s, enum sx_status status, const char *part)
{
    struct sx_tensor_file *file = NULL;
    enum sx_status got = sx_tensor_file_open_memory("t.pt", s.data, s.len, &file, &err);
    cr_assert_eq(got, status, "got %s (%s), expected %s", sx_status_name(got), err.message, part);
    if (status != SX_OK) {
        cr_assert(strstr(err.message, part), "\"%s\" not in: %s", part, err.message);
        for (const char *c = err.message; *c; c++)
            cr_assert_geq((unsigned char)*c, 0x20);
    }
    sx_tensor_file_close(file);
    sx_str_release(&s);
}

static const uint8_t storage[16];

static void expect_pickle(const char *pickle, size_t n, enum sx_status status, const char *part)
{
    struct member members[] = {
        {.name = "a/data.pkl", .bytes = pickle, .n = n},
        {.name = "a/data/0", .bytes = storage, .n = sizeof storage},
    };
    expect_bytes(archive(members, 2), status, part);
}

#define REFUSED(text, status, part) expect_pickle(text, sizeof(text) - 1, status, part)
#define ACCEPTED(text) expect_pickle(text, sizeof(text) - 1, SX_OK, "")

/* A tensor of 4 floats; SIZE and STRIDE are pickled tuples, OFFSET a pickled integer. */
#define STORAGE_WITH(class, key, count)                                                            \
    "(X\7\0\0\0storage" class "X\1\0\0\0" key "X\3\0\0\0cpu" count "tQ"
#define FLOATS "ctorch\nFloatStorage\n"
#define TENSOR_WITH(storage, offset, size, stride)                                                 \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage offset size stride "\x89"                       \
    "ccollections\nOrderedDict\n)RtR"
#define TENSOR(offset, size, stride)                                                               \
    TENSOR_WITH(STORAGE_WITH(FLOATS, "0", "K\4"), offset, size, stride)
#define GOOD TENSOR("K\0", "K\4\x85", "K\1\x85")

Test(torch_zip, what_torch_writes_by_hand_is_read)
{
    ACCEPTED("\x80\2" GOOD ".");
    ACCEPTED("\x80\2}X\1\0\0\0w" GOOD "s.");
    ACCEPTED("\x80\2}(K\1" GOOD "U\1bNu.");
    ACCEPTED("\x80\2" TENSOR("K\0", "K\2K\2\x86", "K\1K\2\x86") ".");
    ACCEPTED("\x80\2" TENSOR("K\4", "K\0\x85", "K\1\x85") ".");
    ACCEPTED("\x80\2]q\0Na.");
}

Test(torch_zip, hostile_pickles_are_refused_by_name)
{
    REFUSED("\x80\2cos\nsystem\nX\2\0\0\0id\x85R.", SX_ERR_UNSUPPORTED, "os.system");
    REFUSED("\x80\2cposix\nsystem\n.", SX_ERR_UNSUPPORTED, "posix.system");
    REFUSED("\x80\2c__builtin__\neval\n.", SX_ERR_UNSUPPORTED, "__builtin__.eval");
    REFUSED("\x80\2c\x1b[31m\n\x07\n.", SX_ERR_UNSUPPORTED, "refers to");
    REFUSED("\x80\4\x8c\2os\x8c\6system\x93.", SX_ERR_FORMAT, "protocol above 3");
    REFUSED("X\2\0\0\0osX\6\0\0\0system\x93.", SX_ERR_UNSUPPORTED, "opcode 0x93");
    REFUSED("(ios\nsystem\n.", SX_ERR_UNSUPPORTED, "opcode 0x69");
    REFUSED("\x80\2P1\n.", SX_ERR_UNSUPPORTED, "opcode 0x50");
    REFUSED("\x80\2"
            "ctorch\nfloat32\n)R.",
            SX_ERR_UNSUPPORTED, "a call of torch.float32");
    REFUSED("\x80\2"
            "ctorch\nFloatStorage\n)R.",
            SX_ERR_UNSUPPORTED, "a call of torch.FloatStorage");
    REFUSED("\x80\2"
            "ccollections\nOrderedDict\n)\x81.",
            SX_ERR_FORMAT, "not listed");
    REFUSED("\x80\2"
            "cargparse\nNamespace\nK\1\x85\x81.",
            SX_ERR_FORMAT, "with arguments");
    REFUSED("\x80\2K\1)R.", SX_ERR_FORMAT, "not a listed name");
    REFUSED("\x80\2"
            "ccollections\nOrderedDict\n]\x85R.",
            SX_ERR_FORMAT, "with arguments");
    REFUSED("\x80\2]}b.", SX_ERR_FORMAT, "state for something");
    REFUSED("\x80\2"
            "cargparse\nNamespace\n)\x81}b}b.",
            SX_ERR_FORMAT, "state for something");
}

Test(torch_zip, a_damaged_stack_is_refused)
{
    REFUSED("", SX_ERR_FORMAT, "cut off");
    REFUSED("\x80", SX_ERR_FORMAT, "cut off");
    REFUSED(".", SX_ERR_FORMAT, "exactly one value");
    REFUSED("NN.", SX_ERR_FORMAT, "exactly one value");
    REFUSED("(N.", SX_ERR_FORMAT, "exactly one value");
    REFUSED("N.N", SX_ERR_FORMAT, "behind the end");
    REFUSED("t.", SX_ERR_FORMAT, "no mark");
    REFUSED("N\x86.", SX_ERR_FORMAT, "stack is empty");
    REFUSED("N(\x85.", SX_ERR_FORMAT, "stack is empty");
    REFUSED("}(Nu.", SX_ERR_FORMAT, "a key without a value");
    REFUSED("}NNs.", SX_ERR_FORMAT, "neither a string nor an integer");
    REFUSED("]K\1Ns.", SX_ERR_FORMAT, "not a dict");
    REFUSED("}Na.", SX_ERR_FORMAT, "not a list");
    REFUSED("h\0.", SX_ERR_FORMAT, "never put");
    REFUSED("q\0.", SX_ERR_FORMAT, "stack is empty");
    REFUSED("Nr\0\0\x20\0.", SX_ERR_FORMAT, "memo index");
    REFUSED("X\xff\xff\xff\xff.", SX_ERR_FORMAT, "more than 1 MiB");
    REFUSED("X\x09\0\0\0abc.", SX_ERR_FORMAT, "cut off");
    REFUSED("X\2\0\0\0\xff\xfe.", SX_ERR_FORMAT, "not UTF-8");
    REFUSED("\x8a\x09"
            "123456789.",
            SX_ERR_FORMAT, "more than 64 bits");
    REFUSED("cabc", SX_ERR_FORMAT, "cut off or too long");
    REFUSED("c__builtin__\nset\nK\1\x85R.", SX_ERR_FORMAT, "not a list");
}

Test(torch_zip, tensors_stay_inside_their_storage)
{
    REFUSED(TENSOR("K\0", "K\5\x85", "K\1\x85") ".", SX_ERR_FORMAT, "behind its storage");
    REFUSED(TENSOR("K\1", "K\4\x85", "K\1\x85") ".", SX_ERR_FORMAT, "behind its storage");
    REFUSED(TENSOR("K\0", "K\2\x85", "K\4\x85") ".", SX_ERR_FORMAT, "behind its storage");
    REFUSED(TENSOR("K\0", "J\xff\xff\xff\xff\x85", "K\1\x85") ".", SX_ERR_FORMAT, "negative");
    REFUSED(TENSOR("K\0", "K\4\x85", "J\xff\xff\xff\xff\x85") ".", SX_ERR_FORMAT, "negative");
    REFUSED(TENSOR("J\xff\xff\xff\xff", "K\4\x85", "K\1\x85") ".", SX_ERR_FORMAT,
            "negative offset");
    REFUSED(TENSOR("K\0", "K\4\x85", "K\1K\1\x86") ".", SX_ERR_FORMAT, "unequal in number");
    REFUSED(TENSOR("K\0", "]", "K\1\x85") ".", SX_ERR_FORMAT, "unequal in number");
    REFUSED(TENSOR("K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t") ".",
            SX_ERR_FORMAT, "too many");
    REFUSED(
        TENSOR("K\0", "K\2\x8a\x08\0\0\0\0\0\0\0\x7f\x86", "K\1\x8a\x08\0\0\0\0\0\0\0\x7f\x86") ".",
        SX_ERR_FORMAT, "overflows");
    REFUSED(TENSOR("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "K\2\x85",
                   "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85") ".",
            SX_ERR_FORMAT, "behind its storage");
    REFUSED(TENSOR("K\0", "\x8a\x08\0\0\0\0\0\0\0\x01\x85", "K\0\x85") ".", SX_ERR_FORMAT,
            "expanded");
    REFUSED(TENSOR_WITH("N", "K\0", "K\4\x85", "K\1\x85") ".", SX_ERR_FORMAT, "without a storage");
    REFUSED("ctorch._utils\n_rebuild_tensor_v2\n)R.", SX_ERR_FORMAT, "number of parts");
    REFUSED("ctorch._utils\n_rebuild_parameter\nNNN\x87R.", SX_ERR_FORMAT, "parameter");
}

Test(torch_zip, storages_are_members_of_the_right_size)
{
    REFUSED(STORAGE_WITH(FLOATS, "0", "K\3") ".", SX_ERR_FORMAT, "has 16 bytes");
    REFUSED(STORAGE_WITH(FLOATS, "0", "\x8a\x08\0\0\0\0\0\0\0\x40") ".", SX_ERR_FORMAT,
            "has 16 bytes");
    REFUSED(STORAGE_WITH(FLOATS, "0", "J\xff\xff\xff\xff") ".", SX_ERR_FORMAT, "without a size");
    REFUSED(STORAGE_WITH(FLOATS, "1", "K\4") ".", SX_ERR_FORMAT, "data/1 is missing");
    REFUSED(STORAGE_WITH(FLOATS, "/", "K\4") ".", SX_ERR_FORMAT, "short plain word");
    REFUSED(STORAGE_WITH("ccollections\nOrderedDict\n", "0", "K\4") ".", SX_ERR_FORMAT,
            "unknown class");
    REFUSED("ctorch.storage\nUntypedStorage\n.", SX_ERR_UNSUPPORTED, "UntypedStorage");
    REFUSED("NQ.", SX_ERR_FORMAT, "not a storage");
    REFUSED("(X\6\0\0\0modulect\nN\n.", SX_ERR_UNSUPPORTED, "t.N");
}

/* A list that holds itself, and one shared 2^40-fold. */
Test(torch_zip, cycles_and_shared_values_are_bounded)
{
    REFUSED("]q\0h\0a.", SX_ERR_FORMAT, "nested too deep");
    REFUSED("}q\0X\1\0\0\0ah\0s.", SX_ERR_FORMAT, "nested too deep");
    struct sx_str bomb = SX_STR_INIT;
    sx_str_append(&bomb, "K");
    sx_str_append_char(&bomb, '\1');
    for (int i = 0; i < 40; i++) {
        sx_str_append_char(&bomb, 'q');
        sx_str_append_char(&bomb, (char)i);
        sx_str_append_char(&bomb, 'h');
        sx_str_append_char(&bomb, (char)i);
        sx_str_append_len(&bomb, "\x86", 1);
    }
    sx_str_append_char(&bomb, '.');
    expect_pickle(bomb.data, bomb.len, SX_ERR_FORMAT, "too large");
    sx_str_release(&bomb);
}

Test(torch_zip, depth_of_the_stack_is_bounded)
{
    struct sx_str deep = SX_STR_INIT;
    for (int i = 0; i < 100001; i++)
        sx_str_append_char(&deep, 'N');
    expect_pickle(deep.data, deep.len, SX_ERR_FORMAT, "deeper than 100000");
    sx_str_clear(&deep);
    for (int i = 0; i < 100001; i++)
        sx_str_append_char(&deep, '(');
    expect_pickle(deep.data, deep.len, SX_ERR_FORMAT, "100000 marks");
    sx_str_release(&deep);
}

/* ---- the archive ---- */

#define MEMBERS(...)                                                                               \
    archive((const struct member[]){__VA_ARGS__},                                                  \
            sizeof((const struct member[]){__VA_ARGS__}) / sizeof(struct member))
#define PICKLE .name = "a/data.pkl", .bytes = "\x80\2N.", .n = 4

Test(torch_zip, archives_that_lie_are_refused)
{
    expect_bytes(MEMBERS({PICKLE}), SX_OK, "");
    expect_bytes(MEMBERS({PICKLE}, {PICKLE}), SX_ERR_FORMAT, "two members are called");
    expect_bytes(MEMBERS({PICKLE}, {.name = "b/data.pkl", .bytes = "N.", .n = 2}), SX_ERR_FORMAT,
                 "two data.pkl");
    expect_bytes(MEMBERS({PICKLE, .method = 8}), SX_ERR_UNSUPPORTED, "compressed");
    expect_bytes(MEMBERS({PICKLE, .method = 12}), SX_ERR_UNSUPPORTED, "method 12");
    expect_bytes(MEMBERS({PICKLE, .flags = 1}), SX_ERR_UNSUPPORTED, "encrypted");
    expect_bytes(MEMBERS({PICKLE, .crc = 1}), SX_ERR_FORMAT, "check sum");
    expect_bytes(MEMBERS({PICKLE, .shift = 1}), SX_ERR_FORMAT, "not where the directory says");
    expect_bytes(MEMBERS({PICKLE, .size_plus = 1}), SX_ERR_FORMAT, "overlaps");
    expect_bytes(MEMBERS({PICKLE, .size_plus = 100000}), SX_ERR_FORMAT, "behind the end");
    expect_bytes(MEMBERS({PICKLE, .size_plus = UINT32_MAX - 4}), SX_ERR_FORMAT, "ZIP64");
    expect_bytes(MEMBERS({.name = "x", .bytes = "y", .n = 1}), SX_ERR_FORMAT, "without data.pkl");
    expect_bytes(MEMBERS({PICKLE}, {.name = "a/constants.pkl", .bytes = "y", .n = 1}),
                 SX_ERR_UNSUPPORTED, "TorchScript");
    expect_bytes(MEMBERS({PICKLE}, {.name = "a/byteorder", .bytes = "big", .n = 3}),
                 SX_ERR_UNSUPPORTED, "byte order");
    expect_bytes(MEMBERS({PICKLE}, {.name = "a/byteorder", .bytes = "little", .n = 6}), SX_OK, "");
    expect_bytes(MEMBERS({PICKLE}, {.name = "\x1b]0;x\x07", .bytes = "", .n = 0, .method = 3}),
                 SX_ERR_UNSUPPORTED, "method 3");
}

/* The second member's local header stands inside the first one's bytes. */
Test(torch_zip, members_must_not_overlap)
{
    struct member inner[] = {{.name = "a/data/0", .bytes = "1234", .n = 4}};
    struct sx_str one = archive(inner, 1);
    struct member outer[] = {{PICKLE},
                             {.name = "a/outer", .bytes = one.data, .n = one.len},
                             {.name = "a/data/0", .bytes = "1234", .n = 4}};
    struct sx_str all = archive(outer, 3);
    const char *p = all.data;
    while (memcmp(p, one.data, 38) != 0)
        p++;
    outer[2].shift = 0;
    /* Where the third member's header really is. */
    const char *q = all.data + all.len - 1;
    while (memcmp(q, "PK\3\4", 4) != 0)
        q--;
    outer[2].shift = p - q;
    sx_str_release(&all);
    expect_bytes(archive(outer, 3), SX_ERR_FORMAT, "overlaps");
    sx_str_release(&one);
}

Test(torch_zip, every_truncation_and_every_flipped_byte_is_survived)
{
    survives_damage("t.pt", "io/topk.pt");
}

/* ---- real files ---- */

static struct sx_tensor_file *open_fixture(const char *name)
{
    struct sx_tensor_file *file = NULL;
    cr_assert_eq(sx_tensor_file_open(io_fixture(name), &file, &err), SX_OK, "%s", err.message);
    cr_assert_eq(sx_tensor_file_container(file), SX_CONTAINER_TORCH_ZIP);
    return file;
}

/* The fixtures hold i/4 - 3 at row-major index i. */
static void expect_filled(const struct sx_tensor_file *file, const char *name, enum sx_dtype dtype,
                          int rank, uint64_t rows, uint64_t columns, bool contiguous)
{
    int64_t i = sx_tensor_file_find(file, name);
    cr_assert_geq(i, 0, "%s", name);
    const struct sx_tensor_info *info = sx_tensor_file_info(file, (size_t)i);
    cr_assert(info->dtype == dtype && info->rank == rank && info->shape[0] == rows, "%s", name);
    cr_assert(rank == 1 || info->shape[1] == columns, "%s", name);
    cr_assert_eq(info->contiguous, contiguous, "%s", name);
    float out[64];
    cr_assert_eq(sx_tensor_file_read_f32(file, (size_t)i, out, &err), SX_OK);
    for (uint64_t k = 0; k < info->count; k++)
        cr_assert_eq(out[k], (float)k / 4 - 3, "%s[%d]", name, (int)k);
    cr_assert_eq(sx_tensor_file_map_f32(file, (size_t)i) != NULL,
                 contiguous && dtype == SX_DTYPE_F32);
    if (rank == 2) {
        float turned[64];
        cr_assert_eq(sx_tensor_file_read_f32_transposed(file, (size_t)i, turned, &err), SX_OK);
        for (uint64_t r = 0; r < rows; r++)
            for (uint64_t c = 0; c < columns; c++)
                cr_assert_eq(turned[c * rows + r], out[r * columns + c]);
        cr_assert_eq(sx_tensor_file_read_rows_f32(file, (size_t)i, 1, rows - 1, turned, &err),
                     SX_OK);
        cr_assert_arr_eq(turned, out + columns, (rows - 1) * columns * sizeof *out);
    }
}

Test(torch_zip, transposed_strides_are_honoured)
{
    struct sx_tensor_file *file = open_fixture("io/topk.pt");
    cr_assert_eq(sx_tensor_file_count(file), 6);
    expect_filled(file, "encoder.weight", SX_DTYPE_F32, 2, 10, 6, false);
    expect_filled(file, "decoder.weight", SX_DTYPE_F32, 2, 6, 10, true);
    expect_filled(file, "b_dec", SX_DTYPE_F32, 1, 6, 0, true);
    int64_t k;
    size_t at = (size_t)sx_tensor_file_find(file, "k");
    cr_assert_eq(sx_tensor_file_info(file, at)->rank, 0);
    cr_assert_eq(sx_tensor_file_read_i64(file, at, &k, &err), SX_OK);
    cr_assert_eq(k, 4);
    at = (size_t)sx_tensor_file_find(file, "threshold");
    cr_assert_eq(sx_tensor_file_read_i64(file, at, &k, &err), SX_ERR_FORMAT);
    cr_assert_eq(sx_tensor_file_find(file, "nothing"), -1);
    sx_tensor_file_close(file);
}

static const struct sx_value *extra_at(const struct sx_tensor_file *file, const char *path)
{
    return sx_value_at(sx_tensor_file_extra(file), path);
}

Test(torch_zip, a_pickled_module_reads_like_a_state_dict)
{
    struct sx_tensor_file *file = open_fixture("io/module_t.pt");
    cr_assert_eq(sx_tensor_file_count(file), 4);
    expect_filled(file, "encoder.weight", SX_DTYPE_F32, 2, 10, 6, false);
    expect_filled(file, "encoder.bias", SX_DTYPE_F32, 1, 10, 0, true);
    expect_filled(file, "b_dec", SX_DTYPE_F32, 1, 6, 0, true);
    cr_assert_str_eq(sx_value_string_or(extra_at(file, "__class__"), ""),
                     "__main__.SAE_l2w_encoder_decoder");
    cr_assert_eq(sx_value_real_or(extra_at(file, "l2_w"), 0), 1e-5);
    cr_assert_eq(sx_value_int_or(extra_at(file, "seed"), 0), 2);
    cr_assert_eq(sx_value_int_or(extra_at(file, "hidden_dim"), 0), 10);
    cr_assert_eq(sx_value_int_or(extra_at(file, "encoder.in_features"), 0), 6);
    cr_assert_null(extra_at(file, "decoder.bias"), "a missing bias is not a value");
    sx_tensor_file_close(file);
    file = open_fixture("io/module_u.pt");
    expect_filled(file, "encoder.weight", SX_DTYPE_F32, 2, 10, 6, true);
    expect_filled(file, "decoder.bias", SX_DTYPE_F32, 1, 6, 0, true);
    cr_assert_eq(sx_value_real_or(extra_at(file, "l1_w"), 0), 1e-5);
    sx_tensor_file_close(file);
}

Test(torch_zip, a_backup_shows_what_it_is)
{
    struct sx_tensor_file *file = open_fixture("io/backup.pt");
    expect_filled(file, "ae.encoder.weight", SX_DTYPE_F32, 2, 10, 6, false);
    cr_assert_geq(sx_tensor_file_find(file, "optimizer.state.0.exp_avg"), 0);
    cr_assert_eq(sx_value_kind(extra_at(file, "ae")), SX_VALUE_MAP);
    cr_assert_eq(sx_value_int_or(extra_at(file, "step"), 0), 1200);
    cr_assert_eq(sx_value_real_or(extra_at(file, "norm_factor"), 0), 12.5);
    cr_assert_eq(sx_value_kind(extra_at(file, "config.seed")), SX_VALUE_NULL);
    cr_assert_eq(sx_value_int_or(extra_at(file, "config.big"), 0), (int64_t)1 << 40);
    cr_assert_eq(sx_value_real_or(extra_at(file, "config.lr"), 0), 3e-4);
    cr_assert_eq(sx_value_count(extra_at(file, "config.group_fractions")), 2);
    sx_tensor_file_close(file);
}

Test(torch_zip, every_type_view_and_scalar_is_read)
{
    struct sx_tensor_file *file = open_fixture("io/mixed.pt");
    expect_filled(file, "f64", SX_DTYPE_F64, 2, 3, 2, true);
    expect_filled(file, "f16", SX_DTYPE_F16, 2, 3, 2, true);
    expect_filled(file, "bf16", SX_DTYPE_BF16, 2, 3, 2, true);
    expect_filled(file, "shared", SX_DTYPE_F32, 2, 4, 6, true);
    static const struct {
        const char *name;
        int64_t value;
    } integers[] = {{"i32", -7}, {"i16", -300}, {"i8", -3}, {"u8", 200}};
    for (size_t i = 0; i < 4; i++) {
        int64_t got;
        size_t at = (size_t)sx_tensor_file_find(file, integers[i].name);
        cr_assert_eq(sx_tensor_file_read_i64(file, at, &got, &err), SX_OK);
        cr_assert_eq(got, integers[i].value);
    }
    int64_t wide[3];
    float out[24];
    cr_assert_eq(
        sx_tensor_file_read_i64(file, (size_t)sx_tensor_file_find(file, "i64"), wide, &err), SX_OK);
    cr_assert_eq(wide[2], (int64_t)1 << 40);
    /* rows 1 and 2, columns 2 to 4 of a 4 x 6 tensor */
    cr_assert_eq(
        sx_tensor_file_read_f32(file, (size_t)sx_tensor_file_find(file, "slice"), out, &err),
        SX_OK);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(out[i], (float)((1 + i / 3) * 6 + 2 + i % 3) / 4 - 3);
    /* [2,3,4] with its last dimension brought to the front */
    cr_assert_eq(
        sx_tensor_file_read_f32(file, (size_t)sx_tensor_file_find(file, "cube"), out, &err), SX_OK);
    for (int i = 0; i < 24; i++)
        cr_assert_eq(out[i], (float)(i % 6 / 3 * 12 + i % 3 * 4 + i / 6) / 4 - 3);
    cr_assert_eq(sx_value_int_or(extra_at(file, "steps"), 0), 7);
    cr_assert_str_eq(sx_value_string_or(extra_at(file, "name"), ""), "a state");
    cr_assert_str_eq(sx_value_string_or(extra_at(file, "dtype"), ""), "torch.float32");
    cr_assert_eq(sx_value_count(extra_at(file, "size")), 2);
    sx_tensor_file_close(file);
    file = open_fixture("io/bare.pt");
    expect_filled(file, "tensor", SX_DTYPE_F32, 2, 2, 2, true);
    sx_tensor_file_close(file);
    file = open_fixture("io/namespace.pt");
    expect_filled(file, "w", SX_DTYPE_F32, 1, 2, 0, true);
    sx_tensor_file_close(file);
}

Test(torch_zip, other_kinds_of_torch_files_are_refused_with_a_remedy)
{
    static const struct {
        const char *name, *part;
    } files[] = {
        {"io/legacy.pt", "torch.save it again"},
        {"io/script.pt", "state_dict()"},
        {"io/stranger.pt", "__main__.Stranger"},
        {"io/expanded.pt", "expanded"},
    };
    for (size_t i = 0; i < 4; i++) {
        struct sx_tensor_file *file = NULL;
        cr_assert_neq(sx_tensor_file_open(io_fixture(files[i].name), &file, &err), SX_OK);
        cr_assert(strstr(err.message, files[i].part), "%s", err.message);
    }
    char tar[512] = "name";
    memcpy(tar + 257, "ustar", 5);
    struct sx_str s = SX_STR_INIT;
    sx_str_append_len(&s, tar, sizeof tar);
    expect_bytes(s, SX_ERR_UNSUPPORTED, "tar archive");
    s = SX_STR_INIT;
    sx_str_append_len(&s, "\x80\2N.", 4);
    expect_bytes(s, SX_ERR_UNSUPPORTED, "bare pickle");
}
