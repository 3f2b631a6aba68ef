#include "gzip.h"

#include <limits.h>
#define ZLIB_CONST /* inflate does not write to its input */
#include <zlib.h>

#include "sextant/base/alloc.h"

enum { CHUNK = 1 << 16 };

uint32_t sx_crc32(uint32_t crc, const void *bytes, size_t n)
{
    const Bytef *p = bytes;
    while (n > 0) {
        uInt step = n > INT_MAX ? INT_MAX : (uInt)n;
        crc = (uint32_t)crc32(crc, p, step);
        p += step;
        n -= step;
    }
    return crc;
}

bool sx_can_expand(uint64_t packed, uint64_t unpacked)
{
    /* Deflate's limit is 1032:1. */
    return unpacked / 1032 <= packed;
}

static enum sx_status run(z_stream *z, const struct sx_bytes *src, uint64_t at, uint64_t packed,
                          bool whole, uint8_t *out, size_t n, struct sx_error *err)
{
    Bytef chunk[CHUNK];
    Bytef beyond; /* one byte of room behind the end shows a stream that is too long */
    size_t done = 0;
    int code = Z_OK;
    while (code != Z_STREAM_END && (whole || done < n)) {
        if (z->avail_in == 0 && packed > 0) {
            uInt step = packed < CHUNK ? (uInt)packed : CHUNK;
            SX_TRY(sx_bytes_read(src, at, step, chunk, err));
            z->next_in = chunk;
            z->avail_in = step;
            at += step;
            packed -= step;
        }
        size_t room = n - done;
        z->next_out = room ? out + done : &beyond;
        z->avail_out = room == 0 ? 1 : room > INT_MAX ? INT_MAX : (uInt)room;
        uInt before = z->avail_out;
        code = inflate(z, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END)
            return sx_fail(err, SX_ERR_FORMAT, "%s: damaged compressed data: %s", src->label,
                           z->msg ? z->msg : "cut off");
        done += before - z->avail_out;
        if (done > n)
            return sx_fail(err, SX_ERR_FORMAT, "%s: compressed data is longer than it says",
                           src->label);
    }
    if (done < n || (whole && (packed > 0 || z->avail_in > 0)))
        return sx_fail(err, SX_ERR_FORMAT, "%s: compressed data has not the length that it says",
                       src->label);
    return SX_OK;
}

enum sx_status sx_inflate(const struct sx_bytes *src, uint64_t at, uint64_t packed,
                          enum sx_deflate_kind kind, bool whole, void *out, size_t n,
                          struct sx_error *err)
{
    z_stream z = {0};
    if (inflateInit2(&z, kind == SX_DEFLATE_GZIP ? 15 + 16 : -15) != Z_OK)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory to inflate", src->label);
    enum sx_status status = run(&z, src, at, packed, whole, out, n, err);
    inflateEnd(&z);
    return status;
}

struct sx_gunzip {
    z_stream z;
    bool between; /* members */
};

enum sx_status sx_gunzip_new(struct sx_gunzip **out, struct sx_error *err)
{
    struct sx_gunzip *z = sx_xcalloc(1, sizeof *z);
    if (inflateInit2(&z->z, 15 + 16) != Z_OK) {
        sx_free(z);
        return sx_fail(err, SX_ERR_NOMEM, "no memory to inflate");
    }
    *out = z;
    return SX_OK;
}

void sx_gunzip_free(struct sx_gunzip *z)
{
    if (!z)
        return;
    inflateEnd(&z->z);
    sx_free(z);
}

enum sx_status sx_gunzip_step(struct sx_gunzip *z, const char *label, const uint8_t *in,
                              size_t *n_in, uint8_t *out, size_t *n_out, bool *complete,
                              struct sx_error *err)
{
    if (z->between && *n_in) {
        inflateReset(&z->z);
        z->between = false;
    }
    const uInt given = *n_in > INT_MAX ? INT_MAX : (uInt)*n_in;
    const uInt room = *n_out > INT_MAX ? INT_MAX : (uInt)*n_out;
    z->z.next_in = in;
    z->z.avail_in = given;
    z->z.next_out = out;
    z->z.avail_out = room;
    const int code = z->between ? Z_STREAM_END : inflate(&z->z, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return sx_fail(err, SX_ERR_FORMAT, "%s: damaged compressed data: %s", label,
                       z->z.msg ? z->z.msg : "cut off");
    z->between = code == Z_STREAM_END;
    *complete = z->between;
    *n_in = given - z->z.avail_in;
    *n_out = room - z->z.avail_out;
    return SX_OK;
}
