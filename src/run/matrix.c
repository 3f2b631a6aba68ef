#include "matrix.h"

#include <string.h>
#include <sys/stat.h>

#include "sextant/base/alloc.h"
#include "sextant/core/kernels.h"
#include "sextant/io/idx.h"
#include "sextant/io/tensor_file.h"

/* "X.npz:name" to file and tensor; a name that is a file as a whole has no tensor part. */
static void split_input(const char *input, char **file, char **tensor)
{
    struct stat st;
    const char *colon = strrchr(input, ':');
    if (stat(input, &st) == 0 || !colon) {
        *file = sx_xstrdup(input);
        *tensor = NULL;
        return;
    }
    *file = sx_xstrndup(input, (size_t)(colon - input));
    *tensor = sx_xstrdup(colon + 1);
}

static enum sx_status find_input(const struct sx_tensor_file *file, const char *path,
                                 const char *tensor, size_t *index, struct sx_error *err)
{
    if (tensor) {
        int64_t found = sx_tensor_file_find(file, tensor);
        if (found < 0 && tensor[0] == '/')
            found = sx_tensor_file_find(file, tensor + 1);
        if (found < 0)
            return sx_fail(err, SX_ERR_NOTFOUND, "%s: no tensor '%s'", path, tensor);
        *index = (size_t)found;
        return SX_OK;
    }
    size_t n = 0;
    for (size_t i = 0; i < sx_tensor_file_count(file); i++)
        if (sx_tensor_file_info(file, i)->rank == 2) {
            *index = i;
            n++;
        }
    if (n != 1)
        return sx_fail(err, SX_ERR_USAGE, "%s: %zu tensors of rank 2; say which, as in %s:%s", path,
                       n, path, n ? sx_tensor_file_info(file, *index)->name : "NAME");
    return SX_OK;
}

static enum sx_status read_tensor(const struct sx_tensor_file *file, const char *path, size_t index,
                                  uint64_t max_rows, struct sx_matrix *matrix, struct sx_error *err)
{
    const struct sx_tensor_info *info = sx_tensor_file_info(file, index);
    if (info->rank != 2)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %s has rank %d, expected 2 [N,D]", path, info->name,
                       info->rank);
    matrix->rows = max_rows && max_rows < info->shape[0] ? max_rows : info->shape[0];
    matrix->columns = info->shape[1];
    matrix->data = sx_alloc_big(matrix->rows, matrix->columns * sizeof(float));
    if (!matrix->data)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %s", path, info->name);
    if (matrix->rows == info->shape[0])
        return sx_tensor_file_read_f32(file, index, matrix->data, err);
    return sx_tensor_file_read_rows_f32(file, index, 0, matrix->rows, matrix->data, err);
}

static enum sx_status read_file(const char *path, const char *tensor, uint64_t max_rows,
                                struct sx_matrix *matrix, struct sx_error *err)
{
    struct sx_tensor_file *file = NULL;
    size_t index = 0;
    SX_TRY(sx_tensor_file_open(path, &file, err));
    enum sx_status status = find_input(file, path, tensor, &index, err);
    if (status == SX_OK)
        status = read_tensor(file, path, index, max_rows, matrix, err);
    sx_tensor_file_close(file);
    return status;
}

/* Images: a row each, bytes to [0,1]. */
static enum sx_status read_idx(const struct sx_idx *idx, const char *path, uint64_t max_rows,
                               struct sx_matrix *matrix, struct sx_error *err)
{
    const float white = 255;
    if (idx->rank < 2 || !idx->shape[0])
        return sx_fail(err, SX_ERR_SHAPE, "%s: no images", path);
    matrix->rows = max_rows && max_rows < idx->shape[0] ? max_rows : idx->shape[0];
    matrix->columns = idx->count / idx->shape[0];
    const size_t n = (size_t)(matrix->rows * matrix->columns);
    matrix->data = sx_alloc_big(n, sizeof(float));
    if (!matrix->data)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %llu images", path,
                       (unsigned long long)matrix->rows);
    sx_bytes_to_float(matrix->data, idx->data, n, white);
    return SX_OK;
}

enum sx_status sx_matrix_read(const char *input, uint64_t max_rows, struct sx_matrix *matrix,
                              struct sx_error *err)
{
    char *path = NULL;
    char *tensor = NULL;
    struct sx_idx idx = {0};
    *matrix = (struct sx_matrix){0};
    split_input(input, &path, &tensor);
    enum sx_status status;
    if (!tensor && sx_idx_read(path, &idx, NULL) == SX_OK)
        status = read_idx(&idx, path, max_rows, matrix, err);
    else
        status = read_file(path, tensor, max_rows, matrix, err);
    if (status != SX_OK)
        sx_matrix_release(matrix);
    sx_idx_release(&idx);
    sx_free(path);
    sx_free(tensor);
    return status;
}

void sx_matrix_release(struct sx_matrix *matrix)
{
    sx_free(matrix->data);
    *matrix = (struct sx_matrix){0};
}
