/* From a path to files: a Hugging Face folder, its config.json, one of its weight files, or a
 * weight file that stands alone. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/io/json.h"

/* In the order of transformers. */
static const char *const weight_files[] = {
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
};
static const char index_ending[] = ".index.json";

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool ends_with(const char *s, const char *tail)
{
    size_t a = strlen(s), b = strlen(tail);
    return a >= b && strcmp(s + a - b, tail) == 0;
}

static size_t path_length(const char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len;
}

static char *base_of(const char *path)
{
    size_t len = path_length(path), start = len;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return sx_xstrndup(path + start, len - start);
}

static char *folder_of(const char *path)
{
    size_t len = path_length(path);
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len == 0 ? sx_xstrdup(".") : sx_xstrndup(path, len);
}

static char *join(const char *folder, const char *name)
{
    size_t len = path_length(folder);
    const char *slash = len > 0 && folder[len - 1] == '/' ? "" : "/";
    return sx_xasprintf("%.*s%s%s", (int)len, folder, slash, name);
}

/* "FOLDER/NAME" when it is a file, else NULL. */
static char *file_in(const char *folder, const char *name)
{
    char *path = join(folder, name);
    if (is_file(path))
        return path;
    sx_free(path);
    return NULL;
}

static char *weights_in(const char *folder)
{
    for (size_t i = 0; i < sizeof weight_files / sizeof *weight_files; i++) {
        char *path = file_in(folder, weight_files[i]);
        if (path)
            return path;
    }
    return NULL;
}

void sx_model_source_close(struct model_source *s)
{
    sx_tensor_file_close(s->tensors);
    sx_tensor_file_close(s->contacts);
    sx_value_free(s->config);
    sx_free(s->config_path);
    sx_free(s->weights);
    sx_free(s->folder);
    sx_free(s->path);
    *s = (struct model_source){0};
}

char *sx_model_source_file(const struct model_source *s, const char *name)
{
    return file_in(s->folder, name);
}

/* config.json of the folder, if it is a transformer's: others write files of that name too. */
static enum sx_status read_config(struct model_source *s, struct sx_error *err)
{
    char *path = file_in(s->folder, "config.json");
    struct sx_error why = {0};
    if (!path)
        return SX_OK;
    enum sx_status status = sx_json_parse_file(path, &s->config, &why);
    const struct sx_value *type = sx_value_get(s->config, "model_type");
    if (status == SX_OK && sx_value_kind(type) == SX_VALUE_STRING) {
        s->config_path = path;
        return SX_OK;
    }
    sx_free(path);
    sx_value_free(s->config);
    s->config = NULL;
    if (status == SX_OK || !s->weights)
        return SX_OK;
    for (size_t i = 0; i < sizeof weight_files / sizeof *weight_files; i++)
        if (ends_with(s->weights, weight_files[i]))
            return sx_fail(err, status, "%s", why.message);
    return SX_OK;
}

static enum sx_status open_folder(struct model_source *s, const char *folder, struct sx_error *err)
{
    s->path = sx_xstrdup(folder);
    s->folder = sx_xstrdup(folder);
    s->weights = weights_in(folder);
    SX_TRY(read_config(s, err));
    if (!s->config)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: no config.json with a model_type", folder);
    return SX_OK;
}

static enum sx_status open_file(struct model_source *s, const char *path, struct sx_error *err)
{
    enum sx_container container;
    struct sx_error why = {0};
    s->path = sx_xstrdup(path);
    s->folder = folder_of(path);
    s->weights = sx_xstrdup(path);
    if (!ends_with(path, index_ending)) {
        enum sx_status status = sx_container_detect(path, &container, &why);
        if (status == SX_ERR_FORMAT)
            return sx_fail(err, SX_ERR_NOTFOUND, "%s", why.message);
        if (status != SX_OK)
            return sx_fail(err, status, "%s", why.message);
    }
    return read_config(s, err);
}

static enum sx_status open_parts(const char *path, struct model_source *s, struct sx_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return open_folder(s, path, err);
    char *base = base_of(path);
    bool is_config = strcmp(base, "config.json") == 0;
    sx_free(base);
    if (!is_config)
        return open_file(s, path, err);
    char *folder = folder_of(path);
    enum sx_status status = open_folder(s, folder, err);
    sx_free(folder);
    return status;
}

enum sx_status sx_model_source_open(const char *path, struct model_source *s, struct sx_error *err)
{
    *s = (struct model_source){0};
    enum sx_status status = open_parts(path, s, err);
    if (status != SX_OK)
        sx_model_source_close(s);
    return status;
}

uint64_t sx_model_source_bytes(const struct model_source *s)
{
    const struct sx_tensor_file *files[] = {s->tensors, s->contacts};
    uint64_t bytes = 0;
    for (size_t f = 0; f < 2; f++)
        for (size_t i = 0; files[f] && i < sx_tensor_file_count(files[f]); i++) {
            const struct sx_tensor_info *t = sx_tensor_file_info(files[f], i);
            bytes += t->count * sx_dtype_size(t->dtype);
        }
    return bytes;
}

/* ".../models--facebook--esm2_t6_8M_UR50D/snapshots/<hash>" is what the hub's cache calls it. */
static char *hub_name(const char *folder)
{
    const char *at = strstr(folder, "/snapshots/");
    const char *start = at;
    while (start && start > folder && start[-1] != '/')
        start--;
    if (!at || strncmp(start, "models--", 8) != 0)
        return NULL;
    for (const char *p = start; p + 1 < at; p++)
        if (p[0] == '-' && p[1] == '-')
            start = p + 2;
    return start < at ? sx_xstrndup(start, (size_t)(at - start)) : NULL;
}

char *sx_model_source_name(const struct model_source *s)
{
    char *name = NULL;
    if (s->config) {
        char real[PATH_MAX];
        const char *folder = realpath(s->folder, real) ? real : s->folder;
        name = hub_name(folder);
        if (!name)
            name = base_of(folder);
    } else {
        name = base_of(s->weights);
        char *dot = strrchr(name, '.');
        if (dot && dot != name)
            *dot = '\0';
    }
    char *clean = sx_text_clean_dup(name, strlen(name), 128);
    sx_free(name);
    return clean;
}
