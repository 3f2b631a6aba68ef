#include "sextant/io/idx.h"

#include "bytes.h"
#include "gzip.h"
#include "sextant/base/alloc.h"

enum { MAGIC_SIZE = 4, MAX_RANK = 4, UNSIGNED_BYTES = 8, GZIP_SMALLEST = 18 };

#define MAX_COUNT (1ULL << 30)

struct source {
    struct sx_bytes bytes;
    bool gzip;
};

static enum sx_status read_start(const struct source *s, bool whole, void *out, size_t n,
                                 struct sx_error *err)
{
    if (s->gzip)
        return sx_inflate(&s->bytes, 0, s->bytes.size, SX_DEFLATE_GZIP, whole, out, n, err);
    return sx_bytes_read(&s->bytes, 0, n, out, err);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static enum sx_status read_header(const struct source *s, struct sx_idx *idx, size_t *header,
                                  struct sx_error *err)
{
    uint8_t head[MAGIC_SIZE + 4 * MAX_RANK];
    const char *path = s->bytes.label;
    SX_TRY(read_start(s, false, head, MAGIC_SIZE, err));
    if (head[0] != 0 || head[1] != 0)
        return sx_fail(err, SX_ERR_FORMAT, "%s: not an idx file", path);
    if (head[2] != UNSIGNED_BYTES)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: idx elements of type 0x%02x, only unsigned bytes (0x08) are read", path,
                       head[2]);
    idx->rank = head[3];
    if (idx->rank < 1 || idx->rank > MAX_RANK)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: idx of rank %d, expected 1 to %d", path,
                       idx->rank, MAX_RANK);
    *header = MAGIC_SIZE + 4 * (size_t)idx->rank;
    SX_TRY(read_start(s, false, head, *header, err));
    idx->count = 1;
    for (int i = 0; i < idx->rank; i++) {
        idx->shape[i] = be32(head + MAGIC_SIZE + 4 * (size_t)i);
        if (__builtin_mul_overflow(idx->count, idx->shape[i], &idx->count))
            idx->count = UINT64_MAX;
        if (idx->count > MAX_COUNT)
            return sx_fail(err, SX_ERR_FORMAT, "%s: idx of more than 2^30 elements", path);
    }
    return SX_OK;
}

static enum sx_status read_all(const struct source *s, struct sx_idx *idx, struct sx_error *err)
{
    size_t header = 0;
    SX_TRY(read_header(s, idx, &header, err));
    uint64_t total = header + idx->count;
    bool fits = s->gzip ? sx_can_expand(s->bytes.size, total) : total == s->bytes.size;
    if (!fits)
        return sx_fail(err, SX_ERR_FORMAT, "%s: %llu bytes, the header says %llu%s", s->bytes.label,
                       (unsigned long long)s->bytes.size, (unsigned long long)total,
                       s->gzip ? " unpacked" : "");
    uint8_t *all = sx_alloc_big((size_t)total, 1);
    if (!all)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %llu bytes", s->bytes.label,
                       (unsigned long long)total);
    enum sx_status status = read_start(s, true, all, (size_t)total, err);
    if (status == SX_OK) {
        for (uint64_t i = 0; i < idx->count; i++)
            all[i] = all[header + i];
        idx->data = all;
        return SX_OK;
    }
    sx_free(all);
    return status;
}

static enum sx_status read_source(struct sx_bytes take_bytes, struct sx_idx *out,
                                  struct sx_error *err)
{
    struct source s = {.bytes = take_bytes};
    struct sx_idx idx = {0};
    uint8_t magic[2] = {0};
    enum sx_status status = SX_OK;
    if (s.bytes.size >= GZIP_SMALLEST)
        status = sx_bytes_read(&s.bytes, 0, sizeof magic, magic, err);
    s.gzip = magic[0] == 0x1f && magic[1] == 0x8b;
    if (status == SX_OK)
        status = read_all(&s, &idx, err);
    if (status == SX_OK)
        *out = idx;
    sx_bytes_close(&s.bytes);
    return status;
}

enum sx_status sx_idx_read(const char *path, struct sx_idx *out, struct sx_error *err)
{
    struct sx_bytes bytes;
    SX_TRY(sx_bytes_open(path, &bytes, err));
    return read_source(bytes, out, err);
}

enum sx_status sx_idx_read_memory(const char *label, const void *bytes, size_t len,
                                  struct sx_idx *out, struct sx_error *err)
{
    return read_source(sx_bytes_of_memory(label, bytes, len), out, err);
}

void sx_idx_release(struct sx_idx *idx)
{
    sx_free(idx->data);
    *idx = (struct sx_idx){0};
}
