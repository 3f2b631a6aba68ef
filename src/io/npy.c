/* numpy's .npy arrays, alone or as the members of an .npz archive. */
#include <stdlib.h>
#include <string.h>

#include "gzip.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"
#include "tensor_file_impl.h"

enum { MAGIC_SIZE = 8, MAX_HEADER = 1 << 16, MAX_TEXT = 4096, DESCR_SIZE = 64 };

struct npy {
    char descr[DESCR_SIZE];
    bool fortran;
    int rank;
    uint64_t shape[SX_MAX_RANK];
    uint64_t data; /* offset of the first element */
};

/* The header is a Python dictionary of three known keys; anything else in it is refused. */
struct cursor {
    const char *p;
    const char *end;
};

static void skip_spaces(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t'))
        c->p++;
}

static bool take(struct cursor *c, char wanted)
{
    skip_spaces(c);
    if (c->p == c->end || *c->p != wanted)
        return false;
    c->p++;
    return true;
}

static bool take_string(struct cursor *c, char *out, size_t size)
{
    skip_spaces(c);
    if (c->p == c->end || (*c->p != '\'' && *c->p != '"'))
        return false;
    char quote = *c->p++;
    size_t n = 0;
    while (c->p < c->end && *c->p != quote && *c->p != '\\' && n + 1 < size)
        out[n++] = *c->p++;
    out[n] = '\0';
    return take(c, quote);
}

static bool take_word(struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
        return false;
    c->p += n;
    return true;
}

static bool take_size(struct cursor *c, uint64_t *out)
{
    skip_spaces(c);
    const char *first = c->p;
    *out = 0;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++)
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*c->p - '0'), out))
            return false;
    (void)take_word(c, "L"); /* Python 2 wrote long integers so */
    return c->p > first;
}

static bool take_shape(struct cursor *c, struct npy *h)
{
    if (!take(c, '('))
        return false;
    h->rank = 0;
    while (!take(c, ')')) {
        if (h->rank == SX_MAX_RANK || !take_size(c, &h->shape[h->rank++]))
            return false;
        if (!take(c, ','))
            return take(c, ')');
    }
    return true;
}

static bool take_item(struct cursor *c, struct npy *h, unsigned *seen)
{
    char key[32];
    if (!take_string(c, key, sizeof key) || !take(c, ':'))
        return false;
    unsigned bit = !strcmp(key, "descr") ? 1 : !strcmp(key, "fortran_order") ? 2 : 4;
    if (*seen & bit)
        return false;
    *seen |= bit;
    if (bit == 1)
        return take_string(c, h->descr, sizeof h->descr);
    if (bit == 4)
        return !strcmp(key, "shape") && take_shape(c, h);
    h->fortran = take_word(c, "True");
    return h->fortran || take_word(c, "False");
}

static bool parse_header(const char *text, size_t len, struct npy *h)
{
    struct cursor c = {text, text + len};
    unsigned seen = 0;
    if (!take(&c, '{'))
        return false;
    while (!take(&c, '}')) {
        if (!take_item(&c, h, &seen))
            return false;
        if (!take(&c, ',') && (c.p == c.end || *c.p != '}'))
            return false;
    }
    skip_spaces(&c);
    return seen == 7 && c.p == c.end;
}

static bool dtype_of(const char *descr, enum sx_dtype *out)
{
    static const struct {
        const char *descr;
        enum sx_dtype dtype;
    } known[] = {
        {"<f4", SX_DTYPE_F32},     {"<f8", SX_DTYPE_F64}, {"<f2", SX_DTYPE_F16},
        {"|b1", SX_DTYPE_BOOL},    {"|u1", SX_DTYPE_U8},  {"|i1", SX_DTYPE_I8},
        {"<i2", SX_DTYPE_I16},     {"<u2", SX_DTYPE_U16}, {"<i4", SX_DTYPE_I32},
        {"<u4", SX_DTYPE_U32},     {"<i8", SX_DTYPE_I64}, {"<u8", SX_DTYPE_U64},
        {"<c8", SX_DTYPE_OTHER64},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].descr, descr)) {
            *out = known[i].dtype;
            return true;
        }
    return false;
}

/* Bytes of an array from its start: of a file, or of a member that may have to be inflated. */
static enum sx_status read_start(const struct sx_bytes *b, const struct sx_zip_entry *entry,
                                 size_t n, void *out, struct sx_error *err)
{
    return entry ? sx_zip_read(b, entry, n, out, err) : sx_bytes_read(b, 0, n, out, err);
}

static enum sx_status read_npy(const struct sx_bytes *b, const struct sx_zip_entry *entry,
                               const char *name, struct npy *h, struct sx_error *err)
{
    uint8_t start[MAGIC_SIZE + 4];
    uint64_t size = entry ? entry->size : b->size;
    if (size < sizeof start)
        return sx_fail(err, SX_ERR_FORMAT, "%s: %s: too short for an array", b->label, name);
    SX_TRY(read_start(b, entry, sizeof start, start, err));
    if (memcmp(start, "\x93NUMPY", 6) != 0 || start[6] < 1 || start[6] > 3)
        return sx_fail(err, SX_ERR_FORMAT, "%s: %s: not a numpy array of version 1 to 3", b->label,
                       name);
    size_t prefix = start[6] == 1 ? MAGIC_SIZE + 2 : MAGIC_SIZE + 4;
    uint64_t len = start[6] == 1 ? sx_le16(start + 8) : sx_le32(start + 8);
    if (len > MAX_HEADER || prefix + len > size)
        return sx_fail(err, SX_ERR_FORMAT, "%s: %s: a header of %llu bytes", b->label, name,
                       (unsigned long long)len);
    char *text = sx_xmalloc(prefix + (size_t)len);
    enum sx_status status = read_start(b, entry, prefix + (size_t)len, text, err);
    if (status == SX_OK && !parse_header(text + prefix, (size_t)len, h))
        status = sx_fail(err, SX_ERR_FORMAT, "%s: %s: the array's header is not understood",
                         b->label, name);
    sx_free(text);
    h->data = prefix + len;
    return status;
}

/* Fortran order is the same bytes with strides that grow from the first dimension on. */
static bool fill_strides(const struct npy *h, uint64_t strides[SX_MAX_RANK])
{
    uint64_t step = 1;
    for (int k = 0; k < h->rank; k++) {
        int i = h->fortran ? k : h->rank - 1 - k;
        strides[i] = step;
        if (__builtin_mul_overflow(step, h->shape[i] ? h->shape[i] : 1, &step))
            return false;
    }
    return true;
}

static enum sx_status add_array(struct sx_tensor_file *file, const struct sx_zip_entry *entry,
                                const char *name, size_t name_len, enum sx_dtype dtype,
                                const struct npy *h, struct sx_error *err)
{
    uint64_t strides[SX_MAX_RANK];
    uint64_t size = entry ? entry->size : file->bytes.size;
    struct sx_record *r;
    if (!fill_strides(h, strides))
        return sx_fail(err, SX_ERR_FORMAT, "%s: array %.*s: its size overflows", file->path,
                       (int)name_len, name);
    SX_TRY(sx_tensor_file_add(file, name, name_len, dtype, h->rank, h->shape, strides, &r, err));
    if (size - h->data != r->extent)
        return sx_fail(err, SX_ERR_FORMAT, "%s: array %s: %llu bytes, shape and type make %llu",
                       file->path, r->info.name, (unsigned long long)(size - h->data),
                       (unsigned long long)r->extent);
    r->place = entry && entry->deflated ? SX_PLACE_ZIP : SX_PLACE_RAW;
    r->offset = h->data;
    if (!entry)
        return SX_OK;
    r->entry = *entry;
    if (!entry->deflated)
        r->offset += entry->data;
    else if (!sx_can_expand(entry->packed, entry->size))
        return sx_fail(err, SX_ERR_FORMAT, "%s: array %s: %llu bytes cannot hold %llu", file->path,
                       r->info.name, (unsigned long long)entry->packed,
                       (unsigned long long)entry->size);
    return SX_OK;
}

enum sx_status sx_npy_read_header(struct sx_tensor_file *file, struct sx_error *err)
{
    struct npy h = {0};
    enum sx_dtype dtype;
    SX_TRY(read_npy(&file->bytes, NULL, "array", &h, err));
    if (!dtype_of(h.descr, &dtype))
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: element type %s is not read", file->path,
                       h.descr[0] ? h.descr : "of records");
    return add_array(file, NULL, "array", strlen("array"), dtype, &h, err);
}

/* numpy keeps strings as UTF-32: "<U12" is twelve code points, zeros at the end. */
static struct sx_value *text_value(const struct sx_bytes *b, const struct sx_zip_entry *entry,
                                   const struct npy *h)
{
    struct sx_str text = SX_STR_INIT;
    uint64_t n = strtoul(h->descr + 2, NULL, 10);
    struct sx_value *v = NULL;
    if (h->rank != 0 || n > MAX_TEXT || h->data + 4 * n != entry->size)
        return NULL;
    uint8_t *raw = sx_xmalloc((size_t)entry->size);
    if (sx_zip_read(b, entry, (size_t)entry->size, raw, NULL) == SX_OK) {
        for (uint64_t i = 0; i < n; i++) {
            char utf8[4];
            uint32_t c = sx_le32(raw + h->data + 4 * i);
            if (c == 0)
                break;
            sx_str_append_len(&text, utf8, sx_utf8_encode(c < 0x110000 ? c : 0xfffd, utf8));
        }
        v = sx_value_string_len(text.data, text.len);
    }
    sx_str_release(&text);
    sx_free(raw);
    return v;
}

/* Arrays of text, objects or records do not stop the others from being read; they are named in the
 * file's extra values. Objects are pickles and are never looked into. */
static void note_other(struct sx_tensor_file *file, const struct sx_zip_entry *entry,
                       const char *name, const struct npy *h)
{
    struct sx_value *v = NULL;
    if (!strncmp(h->descr, "<U", 2))
        v = text_value(&file->bytes, entry, h);
    if (!v) {
        char *what = sx_xasprintf("array of type %s, not read", h->descr);
        v = sx_value_string(what);
        sx_free(what);
    }
    sx_value_set(file->extra, name, v);
}

enum sx_status sx_npz_read_headers(struct sx_tensor_file *file, const struct sx_zip *zip,
                                   struct sx_error *err)
{
    static const char ending[] = ".npy";
    for (size_t i = 0; i < zip->count; i++) {
        const struct sx_zip_entry *entry = &zip->entries[i];
        size_t len = strlen(entry->name);
        struct npy h = {0};
        enum sx_dtype dtype;
        if (len < strlen(ending) || strcmp(entry->name + len - strlen(ending), ending) != 0)
            continue;
        len -= strlen(ending);
        SX_TRY(read_npy(&file->bytes, entry, entry->name, &h, err));
        if (dtype_of(h.descr, &dtype)) {
            SX_TRY(add_array(file, entry, entry->name, len, dtype, &h, err));
            continue;
        }
        char *name = sx_xstrndup(entry->name, len);
        note_other(file, entry, name, &h);
        sx_free(name);
    }
    return SX_OK;
}
