#include "sextant/io/folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sextant/base/alloc.h"

static enum sx_status make_one(const char *path, struct sx_error *err)
{
    struct stat st;
    if (mkdir(path, 0777) == 0)
        return SX_OK;
    int reason = errno;
    if (stat(path, &st) != 0)
        return sx_fail(err, SX_ERR_IO, "%s: cannot make the folder: %s", path, strerror(reason));
    if (!S_ISDIR(st.st_mode))
        return sx_fail(err, SX_ERR_IO, "%s: there is a file of that name, expected a folder", path);
    return SX_OK;
}

enum sx_status sx_folder_make(const char *path, struct sx_error *err)
{
    char *part = sx_xstrdup(path);
    enum sx_status status = SX_OK;
    for (char *slash = part; status == SX_OK && *slash && (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        status = make_one(part, err);
        *slash = '/';
    }
    if (status == SX_OK)
        status = make_one(part, err);
    sx_free(part);
    return status;
}
