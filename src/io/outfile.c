#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "sextant/base/alloc.h"

char *sx_temporary_name(const char *path)
{
    static atomic_uint serial;
    return sx_xasprintf("%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&serial, 1));
}

enum sx_status sx_rename_into_place(const char *temporary, const char *path, struct sx_error *err)
{
    int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (!bad && rename(temporary, path) != 0)
        bad = errno;
    if (!bad)
        return SX_OK;
    unlink(temporary);
    return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(bad));
}

enum sx_status sx_outfile_open(const char *path, struct sx_outfile *out, struct sx_error *err)
{
    *out = (struct sx_outfile){.path = sx_xstrdup(path), .temporary = sx_temporary_name(path)};
    out->file = fopen(out->temporary, "wbe");
    if (out->file)
        return SX_OK;
    enum sx_status status = sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    sx_free(out->path);
    sx_free(out->temporary);
    return status;
}

void sx_outfile_write(struct sx_outfile *f, const void *bytes, size_t n)
{
    if (n > 0 && !f->error && fwrite(bytes, 1, n, f->file) != n)
        f->error = errno ? errno : EIO;
    f->written += n;
}

void sx_outfile_pad(struct sx_outfile *f, size_t n, char with)
{
    for (size_t i = 0; i < n; i++)
        sx_outfile_write(f, &with, 1);
}

static void release(struct sx_outfile *f)
{
    sx_free(f->path);
    sx_free(f->temporary);
    *f = (struct sx_outfile){0};
}

enum sx_status sx_outfile_commit(struct sx_outfile *f, struct sx_error *err)
{
    enum sx_status status = SX_OK;
    if (fclose(f->file) != 0 && !f->error)
        f->error = errno;
    if (f->error) {
        unlink(f->temporary);
        status = sx_fail(err, SX_ERR_IO, "%s: cannot write: %s", f->path, strerror(f->error));
    } else {
        status = sx_rename_into_place(f->temporary, f->path, err);
    }
    release(f);
    return status;
}

void sx_outfile_discard(struct sx_outfile *f)
{
    fclose(f->file);
    unlink(f->temporary);
    release(f);
}
