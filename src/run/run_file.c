#include "run_file.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "sextant/base/alloc.h"
#include "sextant/io/h5.h"

enum { DEFLATE = 4, SMALL = 4096 };

struct sx_run_file {
    char *path;
    bool grouped;
    size_t next; /* sequence */
    struct sx_h5 *h5;
    struct sx_tensor_out *tensors; /* npz: names and data owned */
    size_t n, room;
};

static bool ends_with(const char *text, const char *tail)
{
    const size_t len = strlen(text), tail_len = strlen(tail);
    return len >= tail_len && strcasecmp(text + len - tail_len, tail) == 0;
}

enum sx_status sx_may_write(const char *path, bool force, struct sx_error *err)
{
    struct stat st;
    if (!force && lstat(path, &st) == 0)
        return sx_fail(err, SX_ERR_IO, "%s is already there; --force replaces it", path);
    return SX_OK;
}

enum sx_status sx_run_file_create(const char *path, bool force, size_t n_sequences,
                                  const struct sx_value *about, struct sx_run_file **file,
                                  struct sx_error *err)
{
    const bool npz = ends_with(path, ".npz");
    if (!npz && !ends_with(path, ".h5") && !ends_with(path, ".hdf5"))
        return sx_fail(err, SX_ERR_USAGE, "--out must end in .run.h5 or .npz, not '%s'", path);
    SX_TRY(sx_may_write(path, force, err));
    struct sx_h5 *h5 = NULL;
    if (!npz) {
        SX_TRY(sx_h5_create(path, &h5, err));
        const enum sx_status status = sx_h5_write_attributes(h5, "/", about, err);
        if (status != SX_OK) {
            sx_h5_close(h5);
            return status;
        }
    }
    *file = sx_xcalloc(1, sizeof **file);
    **file = (struct sx_run_file){.path = sx_xstrdup(path), .grouped = n_sequences > 1, .h5 = h5};
    return SX_OK;
}

bool sx_run_file_holds(const struct sx_run_file *file)
{
    return !file->h5;
}

static enum sx_status write_h5(struct sx_run_file *file, const struct sx_tensor_out *tensors,
                               size_t n, const char *group, const struct sx_value *about,
                               struct sx_error *err)
{
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < n && status == SX_OK; i++) {
        const struct sx_tensor_out *tensor = &tensors[i];
        uint64_t count = 1;
        for (int d = 0; d < tensor->rank; d++)
            count *= tensor->shape[d];
        char *dataset = sx_xasprintf("%s/%s", group, tensor->name);
        status = sx_h5_write(file->h5, dataset, tensor->dtype, tensor->rank, tensor->shape,
                             tensor->data, count > SMALL ? DEFLATE : 0, err);
        sx_free(dataset);
    }
    if (status == SX_OK && about)
        status = sx_h5_write_attributes(file->h5, *group ? group : "/", about, err);
    return status;
}

/* `group`: "" for the root, else with its slash before it. */
static enum sx_status add(struct sx_run_file *file, const char *group,
                          const struct sx_tensor_out *take, size_t n, const struct sx_value *about,
                          struct sx_error *err)
{
    enum sx_status status = SX_OK;
    if (file->h5)
        status = write_h5(file, take, n, group, about, err);
    for (size_t i = 0; i < n; i++) {
        struct sx_tensor_out tensor = take[i];
        if (file->h5) {
            sx_free((void *)(uintptr_t)tensor.data);
            continue;
        }
        tensor.name =
            *group ? sx_xasprintf("%s/%s", group + 1, tensor.name) : sx_xstrdup(tensor.name);
        SX_GROW(file->tensors, file->room, file->n + 1);
        file->tensors[file->n++] = tensor;
    }
    return status;
}

enum sx_status sx_run_file_add(struct sx_run_file *file, const struct sx_tensor_out *take, size_t n,
                               const struct sx_value *about, struct sx_error *err)
{
    char *group = file->grouped ? sx_xasprintf("/%zu", file->next) : sx_xstrdup("");
    const enum sx_status status = add(file, group, take, n, about, err);
    file->next++;
    sx_free(group);
    return status;
}

enum sx_status sx_run_file_add_common(struct sx_run_file *file, const struct sx_tensor_out *take,
                                      size_t n, struct sx_error *err)
{
    return add(file, "", take, n, NULL, err);
}

void sx_run_file_discard(struct sx_run_file *take)
{
    if (!take)
        return;
    sx_h5_close(take->h5);
    for (size_t i = 0; i < take->n; i++) {
        sx_free((void *)(uintptr_t)take->tensors[i].name);
        sx_free((void *)(uintptr_t)take->tensors[i].data);
    }
    sx_free(take->tensors);
    sx_free(take->path);
    sx_free(take);
}

enum sx_status sx_run_file_commit(struct sx_run_file *take, struct sx_error *err)
{
    enum sx_status status;
    if (take->h5) {
        status = sx_h5_commit(take->h5, err);
        take->h5 = NULL;
    } else {
        status = sx_npz_write(take->path, take->tensors, take->n, err);
    }
    sx_run_file_discard(take);
    return status;
}
