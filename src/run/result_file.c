#include "result_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "answer.h"
#include "commands_private.h"
#include "document.h"
#include "run_file.h"
#include "sextant/base/alloc.h"
#include "sextant/io/h5.h"
#include "sextant/io/json.h"

enum {
    DEFLATE = 4,
    MAX_DOCUMENT = 256 << 20, /* bytes */
    MAX_TENSORS = 4096,
    MAX_DEPTH = 2, /* a group a sequence */
};

static bool ends_with(const char *text, const char *tail)
{
    const size_t len = strlen(text), tail_len = strlen(tail);
    return len > tail_len && strcasecmp(text + len - tail_len, tail) == 0;
}

/* --- writing ------------------------------------------------------------------------------------
 */

enum sx_status sx_result_file_check(const struct sx_job *job, struct sx_error *err)
{
    const char *path = sx_arg_text(job->args, "out");
    if (!path)
        return SX_OK;
    if (!ends_with(path, ".json") && !ends_with(path, ".run.h5"))
        return sx_fail(err, SX_ERR_USAGE, "%s: --out must end in .run.h5 or .json, not '%s'",
                       job->command->name, path);
    return sx_may_write(path, sx_value_bool_or(sx_value_get(job->args, "force"), false), err);
}

bool sx_result_file_has_arrays(const struct sx_job *job)
{
    const char *path = sx_arg_text(job->args, "out");
    return path && ends_with(path, ".run.h5");
}

static enum sx_status write_text(const char *path, const struct sx_str *text, struct sx_error *err)
{
    char *part = sx_xasprintf("%s.part%ld", path, (long)getpid());
    enum sx_status status = SX_OK;
    FILE *file = fopen(part, "wx");
    bool good = file && fwrite(text->data, 1, text->len, file) == text->len;
    good = (!file || fclose(file) == 0) && good;
    if (!good || rename(part, path) != 0) {
        status = sx_fail(err, SX_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        if (file)
            unlink(part);
    }
    sx_free(part);
    return status;
}

static struct sx_value *attributes_of(const struct sx_job *job)
{
    struct sx_value *about = sx_value_map();
    struct sx_str line = SX_STR_INIT;
    sx_str_append(&line, "sextant ");
    sx_command_format(job->command, job->args, &line);
    sx_document_int(about, "schema", 1);
    sx_document_text(about, "kind", "result");
    sx_document_text(about, "tool", "sextant " SX_VERSION);
    sx_document_text(about, "command", job->command->name);
    sx_document_text(about, "line", line.data);
    sx_str_release(&line);
    if (job->result)
        sx_answer_about(job->result, about);
    return about;
}

static enum sx_status write_h5(const struct sx_job *job, const char *path,
                               const struct sx_str *text, struct sx_error *err)
{
    const uint64_t shape[1] = {text->len};
    struct sx_h5 *h5 = NULL;
    SX_TRY(sx_h5_create(path, &h5, err));
    struct sx_value *about = attributes_of(job);
    enum sx_status status = sx_h5_write_attributes(h5, "/", about, err);
    if (status == SX_OK)
        status = sx_h5_write(h5, "document", SX_DTYPE_U8, 1, shape, text->data, DEFLATE, err);
    if (status == SX_OK && job->result)
        status = sx_answer_write(job->result, h5, err);
    sx_value_free(about);
    if (status != SX_OK) {
        sx_h5_close(h5);
        return status;
    }
    return sx_h5_commit(h5, err);
}

enum sx_status sx_result_file_write(const struct sx_job *job, struct sx_error *err)
{
    const char *path = sx_arg_text(job->args, "out");
    struct sx_str text = SX_STR_INIT;
    SX_ASSERT(path && job->document);
    sx_json_write(job->document, 2, &text);
    const enum sx_status status = sx_result_file_has_arrays(job) ? write_h5(job, path, &text, err)
                                                                 : write_text(path, &text, err);
    sx_str_release(&text);
    return status;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static enum sx_status read_document(struct sx_h5 *h5, const char *path, struct sx_value **document,
                                    struct sx_error *err)
{
    enum sx_dtype dtype;
    int rank;
    uint64_t shape[8];
    SX_TRY(sx_h5_shape(h5, "document", &dtype, &rank, shape, err));
    if (rank != 1 || dtype != SX_DTYPE_U8 || shape[0] > MAX_DOCUMENT)
        return sx_fail(err, SX_ERR_FORMAT, "%s: document: expected at most %d bytes of text", path,
                       MAX_DOCUMENT);
    char *text = sx_xmalloc((size_t)shape[0] + 1);
    enum sx_status status = sx_h5_read(h5, "document", SX_DTYPE_U8, shape[0], text, err);
    if (status == SX_OK)
        status = sx_json_parse(path, text, (size_t)shape[0], document, err);
    sx_free(text);
    return status;
}

enum sx_status sx_result_file_read(const char *path, struct sx_value **document,
                                   struct sx_error *err)
{
    struct sx_h5 *h5 = NULL;
    if (ends_with(path, ".json"))
        return sx_json_parse_file(path, document, err);
    SX_TRY(sx_h5_open(path, &h5, err));
    enum sx_status status = SX_OK;
    if (sx_h5_kind(h5, "document") != SX_H5_DATASET)
        status = sx_fail(err, SX_ERR_FORMAT,
                         "%s: no dataset `document`: not the answer of a command", path);
    else
        status = read_document(h5, path, document, err);
    sx_h5_close(h5);
    return status;
}

/* --- what a file holds --------------------------------------------------------------------------
 */

static enum sx_status add_tensor(struct sx_h5 *h5, const char *name, struct sx_value *tensors,
                                 struct sx_error *err)
{
    enum sx_dtype dtype;
    int rank;
    uint64_t shape[8];
    SX_TRY(sx_h5_shape(h5, name, &dtype, &rank, shape, err));
    struct sx_value *one = sx_value_append(tensors, sx_value_map());
    struct sx_value *sides = sx_value_list();
    sx_document_text(one, "name", name);
    sx_document_text(one, "dtype", sx_dtype_name(dtype));
    for (int d = 0; d < rank; d++)
        sx_value_append(sides, sx_value_int((int64_t)shape[d]));
    sx_value_set(one, "shape", sides);
    return SX_OK;
}

static enum sx_status add_group(struct sx_h5 *h5, const char *path, const char *group, int depth,
                                struct sx_value *tensors, struct sx_error *err)
{
    struct sx_value *names = NULL;
    SX_TRY(sx_h5_list(h5, *group ? group : "/", &names, err));
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < sx_value_count(names) && status == SX_OK; i++) {
        const char *name = sx_value_string_or(sx_value_item(names, i), "");
        char *full = sx_xasprintf("%s%s%s", group, *group ? "/" : "", name);
        const enum sx_h5_kind kind = sx_h5_kind(h5, full);
        if (sx_value_count(tensors) >= MAX_TENSORS)
            status = sx_fail(err, SX_ERR_FORMAT, "%s: more than %d datasets", path, MAX_TENSORS);
        else if (kind == SX_H5_DATASET)
            status = add_tensor(h5, full, tensors, err);
        else if (kind == SX_H5_GROUP && depth < MAX_DEPTH)
            status = add_group(h5, path, full, depth + 1, tensors, err);
        sx_free(full);
    }
    sx_value_free(names);
    return status;
}

static enum sx_status describe(struct sx_h5 *h5, const char *path, struct sx_value *out,
                               struct sx_error *err)
{
    struct sx_value *attributes = NULL;
    SX_TRY(sx_h5_read_attributes(h5, "/", &attributes, err));
    const bool ours =
        strncmp(sx_value_string_or(sx_value_get(attributes, "tool"), ""), "sextant", 7) == 0;
    sx_document_text(out, "path", path);
    sx_document_text(out, "format", "run");
    for (size_t i = 0; i < sx_value_count(attributes); i++)
        sx_value_set(out, sx_value_key(attributes, i), sx_value_dup(sx_value_item(attributes, i)));
    sx_value_free(attributes);
    if (!ours)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: attribute `tool`: expected sextant: not one of its runs", path);
    return add_group(h5, path, "", 1, sx_value_set(out, "tensors", sx_value_list()), err);
}

enum sx_status sx_run_describe(const char *path, struct sx_value **out, struct sx_error *err)
{
    struct sx_h5 *h5 = NULL;
    SX_TRY(sx_h5_open(path, &h5, err));
    struct sx_value *map = sx_value_map();
    const enum sx_status status = describe(h5, path, map, err);
    sx_h5_close(h5);
    if (status == SX_OK)
        *out = map;
    else
        sx_value_free(map);
    return status;
}
