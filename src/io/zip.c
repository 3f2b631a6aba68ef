#include "zip.h"

#include <stdlib.h>
#include <string.h>

#include "gzip.h"
#include "sextant/base/alloc.h"

enum {
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    MAX_COMMENT = 65535,
    MAX_ENTRIES = 1000000,
    MAX_NAME = 1024,
    MAX_DIRECTORY = 256 << 20,
};

#define ALL16 0xffffU
#define ALL32 0xffffffffU

struct directory {
    uint64_t offset;
    uint64_t size;
    uint64_t count;
};

static enum sx_status bad(const struct sx_bytes *b, struct sx_error *err, const char *what)
{
    return sx_fail(err, SX_ERR_FORMAT, "%s: damaged zip archive: %s", b->label, what);
}

static enum sx_status read_end64(const struct sx_bytes *b, uint64_t end, struct directory *dir,
                                 struct sx_error *err)
{
    uint8_t locator[LOCATOR_SIZE];
    uint8_t record[END64_SIZE];
    if (end < LOCATOR_SIZE)
        return bad(b, err, "no ZIP64 locator");
    SX_TRY(sx_bytes_read(b, end - LOCATOR_SIZE, LOCATOR_SIZE, locator, err));
    if (sx_le32(locator) != 0x07064b50U)
        return bad(b, err, "no ZIP64 locator");
    uint64_t at = sx_le64(locator + 8);
    if (end < END64_SIZE || at > end - END64_SIZE)
        return bad(b, err, "the ZIP64 end record lies outside");
    SX_TRY(sx_bytes_read(b, at, END64_SIZE, record, err));
    if (sx_le32(record) != 0x06064b50U)
        return bad(b, err, "no ZIP64 end record");
    if (sx_le32(record + 16) != 0 || sx_le32(record + 20) != 0 ||
        sx_le64(record + 24) != sx_le64(record + 32))
        return bad(b, err, "in several parts");
    *dir = (struct directory){sx_le64(record + 48), sx_le64(record + 40), sx_le64(record + 32)};
    return SX_OK;
}

/* The end record is the last thing in the file but for a comment of at most 65,535 bytes. */
static enum sx_status find_end(const struct sx_bytes *b, uint8_t record[END_SIZE], uint64_t *at,
                               struct sx_error *err)
{
    uint64_t span = b->size < END_SIZE + MAX_COMMENT ? b->size : END_SIZE + MAX_COMMENT;
    uint8_t *tail = sx_xmalloc((size_t)span);
    enum sx_status status = sx_bytes_read(b, b->size - span, (size_t)span, tail, err);
    bool found = false;
    for (uint64_t i = span >= END_SIZE ? span - END_SIZE + 1 : 0; status == SX_OK && i-- > 0;)
        if (sx_le32(tail + i) == 0x06054b50U && i + END_SIZE + sx_le16(tail + i + 20) == span) {
            memcpy(record, tail + i, END_SIZE);
            *at = b->size - span + i;
            found = true;
            break;
        }
    sx_free(tail);
    if (status == SX_OK && !found)
        status = bad(b, err, "no end record (cut off?)");
    return status;
}

static enum sx_status find_directory(const struct sx_bytes *b, struct directory *dir,
                                     struct sx_error *err)
{
    uint8_t end[END_SIZE];
    uint64_t at;
    SX_TRY(find_end(b, end, &at, err));
    uint32_t count = sx_le16(end + 10);
    uint32_t size = sx_le32(end + 12);
    uint32_t offset = sx_le32(end + 16);
    if (count == ALL16 || size == ALL32 || offset == ALL32) {
        SX_TRY(read_end64(b, at, dir, err));
    } else {
        if (sx_le16(end + 4) != 0 || sx_le16(end + 6) != 0 || sx_le16(end + 8) != count)
            return bad(b, err, "in several parts");
        *dir = (struct directory){offset, size, count};
    }
    if (dir->offset > at || dir->size > at - dir->offset)
        return bad(b, err, "the directory lies outside the file");
    if (dir->count > MAX_ENTRIES || dir->size > MAX_DIRECTORY ||
        dir->count > dir->size / CENTRAL_SIZE)
        return bad(b, err, "the directory is too large or too small for its members");
    return SX_OK;
}

/* Sizes and offsets of 2^32-1 stand in the ZIP64 extra field, in this order. */
static bool apply_zip64(struct sx_zip_entry *e, const uint8_t *extra, size_t len)
{
    uint64_t *fields[3];
    size_t n = 0;
    if (e->size == ALL32)
        fields[n++] = &e->size;
    if (e->packed == ALL32)
        fields[n++] = &e->packed;
    if (e->header == ALL32)
        fields[n++] = &e->header;
    if (n == 0)
        return true;
    while (len >= 4) {
        size_t body = sx_le16(extra + 2);
        if (body > len - 4)
            return false;
        if (sx_le16(extra) == 1) {
            if (body < 8 * n)
                return false;
            for (size_t i = 0; i < n; i++)
                *fields[i] = sx_le64(extra + 4 + 8 * i);
            return true;
        }
        extra += 4 + body;
        len -= 4 + body;
    }
    return false;
}

static enum sx_status parse_central(const struct sx_bytes *b, const uint8_t *p, size_t left,
                                    struct sx_zip_entry *e, char *name, size_t *used,
                                    struct sx_error *err)
{
    if (left < CENTRAL_SIZE || sx_le32(p) != 0x02014b50U)
        return bad(b, err, "a directory entry is not one");
    uint32_t flags = sx_le16(p + 8);
    uint32_t method = sx_le16(p + 10);
    size_t name_len = sx_le16(p + 28);
    size_t extra_len = sx_le16(p + 30);
    size_t total = CENTRAL_SIZE + name_len + extra_len + sx_le16(p + 32);
    if (total > left)
        return bad(b, err, "a directory entry is cut off");
    if (name_len == 0 || name_len > MAX_NAME || memchr(p + CENTRAL_SIZE, 0, name_len))
        return bad(b, err, "a member's name is empty, too long or holds a zero byte");
    memcpy(name, p + CENTRAL_SIZE, name_len);
    name[name_len] = '\0';
    if (flags & 0x41U)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: member %s is encrypted", b->label, name);
    if (method != 0 && method != 8)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: member %s: compression method %u (0 and 8 are read)", b->label, name,
                       method);
    *e = (struct sx_zip_entry){
        .name = name,
        .deflated = method == 8,
        .crc = sx_le32(p + 16),
        .packed = sx_le32(p + 20),
        .size = sx_le32(p + 24),
        .header = sx_le32(p + 42),
    };
    if (!apply_zip64(e, p + CENTRAL_SIZE + name_len, extra_len))
        return bad(b, err, "a ZIP64 field is missing");
    if (method == 0 && e->packed != e->size)
        return bad(b, err, "a stored member has two sizes");
    *used = total;
    return SX_OK;
}

/* The local header's own sizes may be zero; only its two lengths say where the bytes begin. */
static enum sx_status locate(const struct sx_bytes *b, struct sx_zip_entry *e, struct sx_error *err)
{
    uint8_t local[LOCAL_SIZE + MAX_NAME];
    size_t name_len = strlen(e->name);
    SX_TRY(sx_bytes_read(b, e->header, LOCAL_SIZE + name_len, local, err));
    if (sx_le32(local) != 0x04034b50U || sx_le16(local + 26) != name_len ||
        memcmp(local + LOCAL_SIZE, e->name, name_len) != 0)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: damaged zip archive: member %s is not where the directory says",
                       b->label, e->name);
    e->data = e->header + LOCAL_SIZE + name_len + sx_le16(local + 28);
    if (e->data > b->size || e->packed > b->size - e->data)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: damaged zip archive: member %s reaches behind the end", b->label,
                       e->name);
    return SX_OK;
}

static int by_header(const void *a, const void *b)
{
    const struct sx_zip_entry *x = a;
    const struct sx_zip_entry *y = b;
    return (x->header > y->header) - (x->header < y->header);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sx_zip_entry *)a)->name, ((const struct sx_zip_entry *)b)->name);
}

static enum sx_status check_layout(const struct sx_bytes *b, struct sx_zip *zip,
                                   const struct directory *dir, struct sx_error *err)
{
    qsort(zip->entries, zip->count, sizeof *zip->entries, by_header);
    for (size_t i = 0; i < zip->count; i++) {
        const struct sx_zip_entry *e = &zip->entries[i];
        uint64_t next = i + 1 < zip->count ? zip->entries[i + 1].header : dir->offset;
        if (e->data + e->packed > next)
            return sx_fail(err, SX_ERR_FORMAT,
                           "%s: damaged zip archive: member %s overlaps what follows", b->label,
                           e->name);
    }
    qsort(zip->entries, zip->count, sizeof *zip->entries, by_name);
    for (size_t i = 1; i < zip->count; i++)
        if (!strcmp(zip->entries[i - 1].name, zip->entries[i].name))
            return sx_fail(err, SX_ERR_FORMAT, "%s: damaged zip archive: two members are called %s",
                           b->label, zip->entries[i].name);
    return SX_OK;
}

static enum sx_status read_directory(const struct sx_bytes *b, const struct directory *dir,
                                     const uint8_t *raw, struct sx_zip *zip, struct sx_error *err)
{
    size_t at = 0;
    char *name = zip->names;
    for (uint64_t i = 0; i < dir->count; i++) {
        struct sx_zip_entry *e = &zip->entries[zip->count];
        size_t used = 0;
        SX_TRY(parse_central(b, raw + at, (size_t)dir->size - at, e, name, &used, err));
        SX_TRY(locate(b, e, err));
        name += strlen(name) + 1;
        at += used;
        zip->count++;
    }
    if (at != dir->size)
        return bad(b, err, "the directory is longer than its members");
    return check_layout(b, zip, dir, err);
}

enum sx_status sx_zip_open(const struct sx_bytes *b, struct sx_zip *out, struct sx_error *err)
{
    struct directory dir;
    *out = (struct sx_zip){0};
    SX_TRY(find_directory(b, &dir, err));
    enum sx_status status = SX_OK;
    uint8_t *raw = sx_alloc_big((size_t)dir.size + 1, 1);
    /* A name and its NUL take less room than the directory entry that holds it. */
    out->names = sx_alloc_big((size_t)dir.size + 1, 1);
    out->entries = sx_calloc_big((size_t)dir.count, sizeof *out->entries);
    if (!raw || !out->names || !out->entries) {
        status = sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the zip directory", b->label);
        goto out;
    }
    status = sx_bytes_read(b, dir.offset, (size_t)dir.size, raw, err);
    if (status == SX_OK)
        status = read_directory(b, &dir, raw, out, err);
out:
    sx_free(raw);
    if (status != SX_OK)
        sx_zip_release(out);
    return status;
}

void sx_zip_release(struct sx_zip *zip)
{
    sx_free(zip->entries);
    sx_free(zip->names);
    *zip = (struct sx_zip){0};
}

const struct sx_zip_entry *sx_zip_find(const struct sx_zip *zip, const char *name)
{
    struct sx_zip_entry key = {.name = name};
    return zip->count ? bsearch(&key, zip->entries, zip->count, sizeof key, by_name) : NULL;
}

enum sx_status sx_zip_read(const struct sx_bytes *b, const struct sx_zip_entry *e, size_t n,
                           void *out, struct sx_error *err)
{
    SX_ASSERT(n <= e->size);
    bool whole = n == e->size;
    if (e->deflated)
        SX_TRY(sx_inflate(b, e->data, e->packed, SX_DEFLATE_RAW, whole, out, n, err));
    else
        SX_TRY(sx_bytes_read(b, e->data, n, out, err));
    if (whole && e->crc != 0 && sx_crc32(0, out, n) != e->crc)
        return sx_fail(err, SX_ERR_FORMAT, "%s: damaged zip archive: check sum of %s", b->label,
                       e->name);
    return SX_OK;
}
