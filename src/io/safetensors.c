/* The header of a safetensors file: a length, a JSON object, then the tensors without holes. Its
 * JSON is scanned here and not by a general parser, because sizes are unsigned 64-bit numbers and
 * because a header of 64 MiB must not become a tree many times larger. */
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"
#include "tensor_file_impl.h"

enum { MAX_HEADER = 64 << 20, LENGTH_BYTES = 8 };

struct scan {
    const char *label;
    const char *start;
    const char *p;
    const char *end;
    struct sx_str name; /* the last string read by scan_string */
    struct sx_error *err;
};

/* One tensor of the header. */
struct entry {
    bool has_dtype, has_shape, has_offsets;
    enum sx_dtype dtype;
    int rank;
    uint64_t shape[SX_MAX_RANK];
    uint64_t begin, end;
};

static enum sx_status bad(struct scan *s, const char *what)
{
    return sx_fail(s->err, SX_ERR_FORMAT, "%s: safetensors header, byte %zu: %s", s->label,
                   (size_t)(s->p - s->start), what);
}

static char peek(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
    return s->p < s->end ? *s->p : '\0';
}

static bool take(struct scan *s, char c)
{
    if (peek(s) != c || s->p == s->end)
        return false;
    s->p++;
    return true;
}

static enum sx_status expect(struct scan *s, char c)
{
    char what[] = "expected ' '";
    what[10] = c;
    return take(s, c) ? SX_OK : bad(s, what);
}

static bool hex4(struct scan *s, uint32_t *out)
{
    *out = 0;
    if (s->end - s->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *s->p++;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return false;
        *out = *out << 4 | digit;
    }
    return true;
}

static enum sx_status scan_unicode(struct scan *s)
{
    uint32_t c;
    uint32_t low;
    char utf8[4];
    if (!hex4(s, &c) || c == 0)
        return bad(s, "bad \\u escape");
    if (c >= 0xd800 && c < 0xe000) {
        if (c >= 0xdc00 || s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u')
            return bad(s, "half a surrogate pair");
        s->p += 2;
        if (!hex4(s, &low) || low < 0xdc00 || low >= 0xe000)
            return bad(s, "half a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    sx_str_append_len(&s->name, utf8, sx_utf8_encode(c, utf8));
    return SX_OK;
}

static enum sx_status scan_string(struct scan *s)
{
    static const char escapes[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    sx_str_clear(&s->name);
    SX_TRY(expect(s, '"'));
    while (s->p < s->end && *s->p != '"') {
        char c = *s->p++;
        if ((unsigned char)c < 0x20)
            return bad(s, "a control character in a string");
        if (c != '\\') {
            sx_str_append_char(&s->name, c);
            continue;
        }
        char kind = s->p < s->end ? *s->p++ : '\0';
        const char *known = kind ? strchr(escapes, kind) : NULL;
        if (kind == 'u')
            SX_TRY(scan_unicode(s));
        else if (known)
            sx_str_append_char(&s->name, meanings[known - escapes]);
        else
            return bad(s, "bad escape");
    }
    return expect(s, '"');
}

static enum sx_status scan_u64(struct scan *s, uint64_t *out)
{
    uint64_t value = 0;
    char first = peek(s);
    const char *from = s->p;
    if (first < '0' || first > '9' || s->p == s->end)
        return bad(s, first == '-' ? "a negative size" : "expected a size");
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*s->p - '0'), &value))
            return bad(s, "a size beyond 64 bits");
    if (first == '0' && s->p - from > 1)
        return bad(s, "a size with leading zeros");
    if (s->p < s->end && (*s->p == '.' || *s->p == 'e' || *s->p == 'E'))
        return bad(s, "a size that is not a whole number");
    *out = value;
    return SX_OK;
}

/* "[a, b, …]" with at most `most` items. */
static enum sx_status scan_sizes(struct scan *s, uint64_t *out, int most, int *n)
{
    *n = 0;
    SX_TRY(expect(s, '['));
    if (take(s, ']'))
        return SX_OK;
    do {
        if (*n == most)
            return bad(s, "too many numbers in a list");
        SX_TRY(scan_u64(s, &out[(*n)++]));
    } while (take(s, ','));
    return expect(s, ']');
}

static bool dtype_by_name(const char *name, enum sx_dtype *out)
{
    static const struct {
        const char *name;
        enum sx_dtype dtype;
    } known[] = {
        {"F32", SX_DTYPE_F32},
        {"BF16", SX_DTYPE_BF16},
        {"F16", SX_DTYPE_F16},
        {"F64", SX_DTYPE_F64},
        {"I64", SX_DTYPE_I64},
        {"I32", SX_DTYPE_I32},
        {"I16", SX_DTYPE_I16},
        {"I8", SX_DTYPE_I8},
        {"U8", SX_DTYPE_U8},
        {"U16", SX_DTYPE_U16},
        {"U32", SX_DTYPE_U32},
        {"U64", SX_DTYPE_U64},
        {"BOOL", SX_DTYPE_BOOL},
        {"F8_E5M2", SX_DTYPE_OTHER8},
        {"F8_E4M3", SX_DTYPE_OTHER8},
        {"F8_E5M2FNUZ", SX_DTYPE_OTHER8},
        {"F8_E4M3FNUZ", SX_DTYPE_OTHER8},
        {"F8_E8M0", SX_DTYPE_OTHER8},
        {"C64", SX_DTYPE_OTHER64},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name)) {
            *out = known[i].dtype;
            return true;
        }
    return false;
}

static enum sx_status scan_field(struct scan *s, struct entry *e)
{
    uint64_t offsets[2];
    int n;
    SX_TRY(scan_string(s));
    bool *seen = !strcmp(s->name.data, "dtype")          ? &e->has_dtype
                 : !strcmp(s->name.data, "shape")        ? &e->has_shape
                 : !strcmp(s->name.data, "data_offsets") ? &e->has_offsets
                                                         : NULL;
    if (!seen)
        return bad(s, "a key other than dtype, shape and data_offsets");
    if (*seen)
        return bad(s, "the same key twice");
    *seen = true;
    SX_TRY(expect(s, ':'));
    if (seen == &e->has_shape)
        return scan_sizes(s, e->shape, SX_MAX_RANK, &e->rank);
    if (seen == &e->has_offsets) {
        SX_TRY(scan_sizes(s, offsets, 2, &n));
        if (n != 2)
            return bad(s, "data_offsets are two numbers");
        e->begin = offsets[0];
        e->end = offsets[1];
        return SX_OK;
    }
    SX_TRY(scan_string(s));
    if (!dtype_by_name(s->name.data, &e->dtype))
        return sx_fail(s->err, SX_ERR_UNSUPPORTED, "%s: element type %s is not known", s->label,
                       s->name.data);
    return SX_OK;
}

static enum sx_status scan_entry(struct scan *s, struct entry *e)
{
    SX_TRY(expect(s, '{'));
    if (!take(s, '}')) {
        do
            SX_TRY(scan_field(s, e));
        while (take(s, ','));
        SX_TRY(expect(s, '}'));
    }
    if (!e->has_dtype || !e->has_shape || !e->has_offsets)
        return bad(s, "a tensor without dtype, shape or data_offsets");
    return SX_OK;
}

static enum sx_status scan_metadata(struct scan *s, struct sx_value *map)
{
    char *key = NULL;
    enum sx_status status = expect(s, '{');
    if (status != SX_OK || take(s, '}'))
        return status;
    do {
        status = scan_string(s);
        if (status != SX_OK)
            break;
        sx_free(key);
        key = sx_xstrdup(s->name.data);
        status = sx_value_get(map, key) ? bad(s, "the same metadata key twice") : expect(s, ':');
        if (status == SX_OK)
            status = scan_string(s);
        if (status == SX_OK)
            sx_value_set(map, key, sx_value_string_len(s->name.data, s->name.len));
    } while (status == SX_OK && take(s, ','));
    sx_free(key);
    return status == SX_OK ? expect(s, '}') : status;
}

static enum sx_status scan_tensor(struct scan *s, struct sx_tensor_file *file, uint64_t data_start,
                                  const char *name, size_t name_len)
{
    struct entry e = {0};
    struct sx_record *record;
    SX_TRY(scan_entry(s, &e));
    SX_TRY(
        sx_tensor_file_add(file, name, name_len, e.dtype, e.rank, e.shape, NULL, &record, s->err));
    if (e.end < e.begin || e.end - e.begin != record->extent)
        return sx_fail(
            s->err, SX_ERR_FORMAT,
            "%s: tensor %s: shape and type make %llu bytes, data_offsets are %llu to %llu",
            s->label, name, (unsigned long long)record->extent, (unsigned long long)e.begin,
            (unsigned long long)e.end);
    if (e.end > file->bytes.size - data_start)
        return sx_fail(s->err, SX_ERR_FORMAT, "%s: tensor %s reaches behind the end of the file",
                       s->label, name);
    record->place = SX_PLACE_RAW;
    record->offset = data_start + e.begin;
    return SX_OK;
}

static enum sx_status scan_header(struct scan *s, struct sx_tensor_file *file, uint64_t data_start)
{
    bool has_metadata = false;
    SX_TRY(expect(s, '{'));
    if (!take(s, '}')) {
        do {
            SX_TRY(scan_string(s));
            SX_TRY(expect(s, ':'));
            if (!strcmp(s->name.data, "__metadata__")) {
                if (has_metadata)
                    return bad(s, "__metadata__ twice");
                has_metadata = true;
                SX_TRY(scan_metadata(s, file->extra));
                continue;
            }
            size_t len = s->name.len;
            char *name = sx_str_take(&s->name);
            enum sx_status status = scan_tensor(s, file, data_start, name, len);
            sx_free(name);
            SX_TRY(status);
        } while (take(s, ','));
        SX_TRY(expect(s, '}'));
    }
    peek(s);
    return s->p == s->end ? SX_OK : bad(s, "something behind the object");
}

struct order {
    const struct sx_record *record;
};

static int by_offset(const void *a, const void *b)
{
    const struct sx_record *x = ((const struct order *)a)->record;
    const struct sx_record *y = ((const struct order *)b)->record;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->extent > y->extent) - (x->extent < y->extent);
}

/* No hole, no overlap, nothing before or behind: a safetensors file is nothing else as well. */
static enum sx_status check_layout(const struct sx_tensor_file *file, uint64_t data_start,
                                   struct sx_error *err)
{
    enum sx_status status = SX_OK;
    uint64_t at = data_start;
    struct order *sorted = sx_alloc_big(file->count + 1, sizeof *sorted);
    if (!sorted)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the header", file->path);
    for (size_t i = 0; i < file->count; i++)
        sorted[i].record = &file->records[i];
    qsort(sorted, file->count, sizeof *sorted, by_offset);
    for (size_t i = 0; i < file->count && status == SX_OK; i++) {
        if (sorted[i].record->offset != at)
            status =
                sx_fail(err, SX_ERR_FORMAT, "%s: tensor %s begins at byte %llu, expected %llu (%s)",
                        file->path, sorted[i].record->info.name,
                        (unsigned long long)(sorted[i].record->offset - data_start),
                        (unsigned long long)(at - data_start),
                        sorted[i].record->offset < at ? "overlap" : "hole");
        at += sorted[i].record->extent;
    }
    sx_free(sorted);
    if (status == SX_OK && at != file->bytes.size)
        status = sx_fail(err, SX_ERR_FORMAT, "%s: %llu bytes behind the last tensor", file->path,
                         (unsigned long long)(file->bytes.size - at));
    return status;
}

enum sx_status sx_safetensors_read_header(struct sx_tensor_file *file, struct sx_error *err)
{
    uint8_t length[LENGTH_BYTES];
    const char *path = file->path;
    if (file->bytes.size < LENGTH_BYTES)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: header too small: %llu bytes, a safetensors file has 8 or more", path,
                       (unsigned long long)file->bytes.size);
    SX_TRY(sx_bytes_read(&file->bytes, 0, LENGTH_BYTES, length, err));
    uint64_t n = sx_le64(length);
    if (n > MAX_HEADER)
        return sx_fail(err, SX_ERR_FORMAT, "%s: header too large: %llu bytes, at most %d are read",
                       path, (unsigned long long)n, MAX_HEADER);
    if (n > file->bytes.size - LENGTH_BYTES)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: invalid header length: %llu bytes in a file of %llu", path,
                       (unsigned long long)n, (unsigned long long)file->bytes.size);
    char *text = sx_alloc_big((size_t)n + 1, 1);
    if (!text)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the header", path);
    enum sx_status status = sx_bytes_read(&file->bytes, LENGTH_BYTES, (size_t)n, text, err);
    if (status == SX_OK && !sx_utf8_valid(text, (size_t)n))
        status = sx_fail(err, SX_ERR_FORMAT, "%s: the header is not UTF-8", path);
    if (status == SX_OK) {
        struct scan s = {path, text, text, text + n, SX_STR_INIT, err};
        status = scan_header(&s, file, LENGTH_BYTES + n);
        sx_str_release(&s.name);
    }
    sx_free(text);
    return status == SX_OK ? check_layout(file, LENGTH_BYTES + n, err) : status;
}
