#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gzip.h"
#include "sextant/base/alloc.h"

enum { CHUNK = 1 << 16 };

struct sx_lines {
    char *label;
    int fd; /* -1: memory */
    const uint8_t *memory;
    size_t memory_size;

    struct sx_gunzip *gunzip; /* NULL: plain */
    bool complete;            /* the packed text may end here */
    uint8_t *packed;          /* [CHUNK] */
    size_t packed_at, packed_end;

    uint8_t text[CHUNK];
    size_t at, end;

    struct sx_str line;
    uint64_t number;
};

/* --- bytes --------------------------------------------------------------------------------------
 */

/* 0 bytes: the end. */
static enum sx_status read_raw(struct sx_lines *l, uint8_t *out, size_t room, size_t *n,
                               struct sx_error *err)
{
    ssize_t got;
    if (l->fd < 0) {
        *n = l->memory_size < room ? l->memory_size : room;
        memcpy(out, l->memory, *n);
        l->memory += *n;
        l->memory_size -= *n;
        return SX_OK;
    }
    do
        got = read(l->fd, out, room);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", l->label, strerror(errno));
    *n = (size_t)got;
    return SX_OK;
}

static enum sx_status unpack(struct sx_lines *l, struct sx_error *err)
{
    for (l->end = 0; l->end == 0;) {
        if (l->packed_at == l->packed_end) {
            l->packed_at = 0;
            SX_TRY(read_raw(l, l->packed, CHUNK, &l->packed_end, err));
            if (l->packed_end == 0)
                return l->complete ? SX_OK
                                   : sx_fail(err, SX_ERR_FORMAT, "%s: compressed data is cut off",
                                             l->label);
        }
        size_t used = l->packed_end - l->packed_at;
        l->end = CHUNK;
        SX_TRY(sx_gunzip_step(l->gunzip, l->label, l->packed + l->packed_at, &used, l->text,
                              &l->end, &l->complete, err));
        l->packed_at += used;
    }
    return SX_OK;
}

static enum sx_status refill(struct sx_lines *l, struct sx_error *err)
{
    l->at = 0;
    return l->gunzip ? unpack(l, err) : read_raw(l, l->text, CHUNK, &l->end, err);
}

/* The first chunk tells gzip from text. */
static enum sx_status start(struct sx_lines *l, struct sx_error *err)
{
    static const uint8_t bom[] = {0xEF, 0xBB, 0xBF};
    SX_TRY(refill(l, err));
    if (l->end >= 2 && l->text[0] == 0x1F && l->text[1] == 0x8B) {
        SX_TRY(sx_gunzip_new(&l->gunzip, err));
        l->packed = sx_xmalloc(CHUNK);
        l->packed_end = l->end;
        memcpy(l->packed, l->text, l->end);
        SX_TRY(refill(l, err));
    }
    if (l->end >= sizeof bom && memcmp(l->text, bom, sizeof bom) == 0)
        l->at = sizeof bom;
    return SX_OK;
}

/* --- lines --------------------------------------------------------------------------------------
 */

enum sx_status sx_lines_next(struct sx_lines *l, size_t longest, bool *more, struct sx_error *err)
{
    sx_str_clear(&l->line);
    *more = false;
    for (bool whole = false; !whole;) {
        if (l->at == l->end) {
            SX_TRY(refill(l, err));
            if (l->end == 0)
                break;
        }
        const uint8_t *from = l->text + l->at;
        const uint8_t *newline = memchr(from, '\n', l->end - l->at);
        const size_t n = newline ? (size_t)(newline - from) : l->end - l->at;
        l->number += !*more;
        *more = true;
        if (l->line.len + n > longest)
            return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: line %llu: longer than %zu bytes",
                           l->label, (unsigned long long)l->number, longest);
        sx_str_append_len(&l->line, (const char *)from, n);
        l->at += n + (newline != NULL);
        whole = newline != NULL;
    }
    return SX_OK;
}

const struct sx_str *sx_lines_text(const struct sx_lines *lines)
{
    return &lines->line;
}

uint64_t sx_lines_number(const struct sx_lines *lines)
{
    return lines->number;
}

const char *sx_lines_label(const struct sx_lines *lines)
{
    return lines->label;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static struct sx_lines *new_reader(const char *label)
{
    struct sx_lines *l = sx_xcalloc(1, sizeof *l);
    l->label = sx_xstrdup(label);
    l->fd = -1;
    l->line = SX_STR_INIT;
    return l;
}

void sx_lines_close(struct sx_lines *lines)
{
    if (!lines)
        return;
    if (lines->fd > STDIN_FILENO)
        close(lines->fd);
    sx_gunzip_free(lines->gunzip);
    sx_free(lines->packed);
    sx_free(lines->label);
    sx_str_release(&lines->line);
    sx_free(lines);
}

static enum sx_status finish_open(struct sx_lines *take, struct sx_lines **out,
                                  struct sx_error *err)
{
    const enum sx_status status = start(take, err);
    if (status == SX_OK)
        *out = take;
    else
        sx_lines_close(take);
    return status;
}

enum sx_status sx_lines_open(const char *path, struct sx_lines **out, struct sx_error *err)
{
    struct stat st;
    if (strcmp(path, "-") == 0) {
        struct sx_lines *l = new_reader("standard input");
        l->fd = STDIN_FILENO;
        return finish_open(l, out, err);
    }
    /* Without waiting for whoever might write to a pipe. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    struct sx_lines *l = new_reader(path);
    l->fd = fd;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return finish_open(l, out, err);
    sx_lines_close(l);
    return sx_fail(err, SX_ERR_IO, "%s: not a regular file", path);
}

enum sx_status sx_lines_open_memory(const char *label, const void *bytes, size_t size,
                                    struct sx_lines **out, struct sx_error *err)
{
    struct sx_lines *l = new_reader(label);
    l->memory = bytes;
    l->memory_size = size;
    return finish_open(l, out, err);
}
