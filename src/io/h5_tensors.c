/* The datasets of an HDF5 file as tensors. */
#include <string.h>

#include "sextant/base/alloc.h"
#include "tensor_file_impl.h"

enum { MAX_DEPTH = 16, MAX_OBJECTS = 100000 };

struct walk {
    struct sx_tensor_file *file;
    size_t objects;
    struct sx_error *err;
};

/* "/a/b" is the tensor "a.b"; its attributes stand under "a.b.<attribute>". */
static char *dotted(const char *path)
{
    char *name = sx_xstrdup(path + 1);
    for (char *c = name; *c; c++)
        if (*c == '/')
            *c = '.';
    return name;
}

static void keep_attributes(struct walk *w, const char *path, const char *name)
{
    struct sx_value *map = NULL;
    if (sx_h5_read_attributes(w->file->h5, path, &map, NULL) != SX_OK)
        return;
    for (size_t i = 0; i < sx_value_count(map); i++) {
        const char *key = sx_value_key(map, i);
        char *full = *name ? sx_xasprintf("%s.%s", name, key) : sx_xstrdup(key);
        sx_value_set(w->file->extra, full, sx_value_dup(sx_value_item(map, i)));
        sx_free(full);
    }
    sx_value_free(map);
}

static enum sx_status add_dataset(struct walk *w, const char *path, const char *name)
{
    enum sx_dtype dtype;
    int rank;
    uint64_t shape[SX_MAX_RANK];
    struct sx_record *r;
    struct sx_error why;
    enum sx_status status = sx_h5_shape(w->file->h5, path, &dtype, &rank, shape, &why);
    if (status == SX_ERR_UNSUPPORTED) { /* text, compounds: named, not read */
        sx_value_set(w->file->extra, name, sx_value_string("dataset of a kind that is not read"));
        return SX_OK;
    }
    if (status != SX_OK) {
        if (w->err)
            *w->err = why;
        return status;
    }
    SX_TRY(sx_tensor_file_add(w->file, name, strlen(name), dtype, rank, shape, NULL, &r, w->err));
    sx_free(r->raw_name);
    r->raw_name = sx_xstrdup(path);
    bool inside = sx_h5_extent(w->file->h5, path, &r->offset) && r->offset <= w->file->bytes.size &&
                  r->extent <= w->file->bytes.size - r->offset;
    r->place = inside ? SX_PLACE_RAW : SX_PLACE_H5;
    return SX_OK;
}

static enum sx_status visit(struct walk *w, const char *group, int depth)
{
    struct sx_value *names = NULL;
    enum sx_status status = SX_OK;
    if (depth > MAX_DEPTH)
        return sx_fail(w->err, SX_ERR_FORMAT, "%s: groups nested deeper than %d", w->file->path,
                       MAX_DEPTH);
    SX_TRY(sx_h5_list(w->file->h5, depth ? group : "/", &names, w->err));
    for (size_t i = 0; i < sx_value_count(names) && status == SX_OK; i++) {
        if (++w->objects > MAX_OBJECTS) {
            status = sx_fail(w->err, SX_ERR_FORMAT, "%s: more than %d objects", w->file->path,
                             MAX_OBJECTS);
            break;
        }
        const char *child = sx_value_string_or(sx_value_item(names, i), "");
        char *path = sx_xasprintf("%s/%s", depth ? group : "", child);
        char *name = dotted(path);
        enum sx_h5_kind kind = sx_h5_kind(w->file->h5, path);
        if (kind != SX_H5_NOTHING)
            keep_attributes(w, path, name);
        if (kind == SX_H5_DATASET)
            status = add_dataset(w, path, name);
        else if (kind == SX_H5_GROUP)
            status = visit(w, path, depth + 1);
        sx_free(name);
        sx_free(path);
    }
    sx_value_free(names);
    return status;
}

enum sx_status sx_h5_read_headers(struct sx_tensor_file *file, struct sx_error *err)
{
    struct walk w = {file, 0, err};
    if (file->bytes.fd >= 0)
        SX_TRY(sx_h5_open(file->path, &file->h5, err));
    else
        SX_TRY(sx_h5_open_memory(file->path, file->bytes.memory, (size_t)file->bytes.size,
                                 &file->h5, err));
    keep_attributes(&w, "/", "");
    SX_TRY(visit(&w, "", 0));
    for (size_t i = 0; i < file->count; i++)
        if (file->records[i].place == SX_PLACE_H5)
            return SX_OK;
    /* Everything can be read from the file's bytes: the library's half MiB is not needed. */
    sx_h5_close(file->h5);
    file->h5 = NULL;
    return SX_OK;
}
