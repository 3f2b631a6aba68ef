#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sextant/base/alloc.h"

enum sx_status sx_bytes_open(const char *path, struct sx_bytes *out, struct sx_error *err)
{
    *out = (struct sx_bytes){.fd = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return sx_fail(err, SX_ERR_IO, "%s: not a regular file", path);
    }
    *out = (struct sx_bytes){.fd = fd, .size = (uint64_t)st.st_size, .label = sx_xstrdup(path)};
    return SX_OK;
}

struct sx_bytes sx_bytes_of_memory(const char *label, const void *memory, size_t size)
{
    return (struct sx_bytes){.fd = -1, .memory = memory, .size = size, .label = sx_xstrdup(label)};
}

void sx_bytes_close(struct sx_bytes *b)
{
    if (b->fd >= 0)
        close(b->fd);
    sx_free(b->label);
    *b = (struct sx_bytes){.fd = -1};
}

enum sx_status sx_bytes_read(const struct sx_bytes *b, uint64_t offset, size_t n, void *dst,
                             struct sx_error *err)
{
    if (offset > b->size || n > b->size - offset)
        return sx_fail(err, SX_ERR_FORMAT, "%s: cut off: %llu bytes, needs %llu more at %llu",
                       b->label, (unsigned long long)b->size, (unsigned long long)n,
                       (unsigned long long)offset);
    if (n == 0)
        return SX_OK;
    if (b->fd < 0) {
        memcpy(dst, b->memory + offset, n);
        return SX_OK;
    }
    char *to = dst;
    while (n > 0) {
        ssize_t got = pread(b->fd, to, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sx_fail(err, SX_ERR_IO, "%s: %s", b->label, strerror(errno));
        if (got == 0)
            return sx_fail(err, SX_ERR_IO, "%s: became shorter while it was read", b->label);
        to += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return SX_OK;
}

enum sx_status sx_bytes_load(const char *path, uint64_t cap, char **text, size_t *len,
                             struct sx_error *err)
{
    struct sx_bytes b;
    SX_TRY(sx_bytes_open(path, &b, err));
    enum sx_status status = SX_OK;
    char *buffer = NULL;
    if (b.size > cap) {
        status = sx_fail(err, SX_ERR_FORMAT, "%s: %llu bytes, at most %llu are read", path,
                         (unsigned long long)b.size, (unsigned long long)cap);
        goto out;
    }
    buffer = sx_alloc_big((size_t)b.size + 1, 1);
    if (!buffer) {
        status = sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %llu bytes", path,
                         (unsigned long long)b.size);
        goto out;
    }
    status = sx_bytes_read(&b, 0, (size_t)b.size, buffer, err);
    if (status != SX_OK)
        goto out;
    buffer[b.size] = '\0';
    *text = buffer;
    *len = (size_t)b.size;
    buffer = NULL;
out:
    sx_free(buffer);
    sx_bytes_close(&b);
    return status;
}
