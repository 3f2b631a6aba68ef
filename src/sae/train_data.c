#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/core/kernels.h"
#include "sextant/io/idx.h"
#include "sextant/io/tensor_file.h"
#include "train_private.h"

static enum sx_status open_idx(const struct sx_train_config *config, struct sx_train_data *data,
                               struct sx_error *err)
{
    struct sx_idx idx = {0};
    SX_TRY(sx_idx_read(config->data, &idx, err));
    if (idx.rank < 2 || idx.count == 0) {
        enum sx_status status =
            sx_fail(err, SX_ERR_SHAPE, "%s: idx data of rank %d with %llu values, expected rows",
                    config->data, idx.rank, (unsigned long long)idx.count);
        sx_idx_release(&idx);
        return status;
    }
    data->bytes = idx.data; /* taken over */
    idx.data = NULL;
    data->n = idx.shape[0];
    data->d = idx.count / idx.shape[0];
    if (idx.rank == 3) {
        data->image_height = idx.shape[1];
        data->image_width = idx.shape[2];
    }
    sx_idx_release(&idx);
    return SX_OK;
}

/* Which tensor: the one named, or the only one with rows of numbers. */
static enum sx_status choose_tensor(const struct sx_train_config *config,
                                    const struct sx_tensor_file *file, size_t *which,
                                    struct sx_error *err)
{
    if (config->data_tensor[0] != '\0') {
        int64_t i = sx_tensor_file_find(file, config->data_tensor);
        if (i < 0)
            return sx_fail(err, SX_ERR_NOTFOUND, "%s: no tensor '%s' (key 'data_tensor')",
                           config->data, config->data_tensor);
        *which = (size_t)i;
        return SX_OK;
    }
    size_t found = 0;
    for (size_t i = 0; i < sx_tensor_file_count(file); i++) {
        const struct sx_tensor_info *info = sx_tensor_file_info(file, i);
        if ((info->rank == 2 || info->rank == 3) && sx_dtype_is_number(info->dtype)) {
            *which = i;
            found++;
        }
    }
    if (found == 1)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE,
                   "%s: %zu tensors could be the data; name one with the key 'data_tensor'",
                   config->data, found);
}

static enum sx_status read_tensor(const struct sx_train_config *config, struct sx_tensor_file *file,
                                  struct sx_train_data *data, struct sx_error *err)
{
    size_t which = 0;
    SX_TRY(choose_tensor(config, file, &which, err));
    const struct sx_tensor_info *info = sx_tensor_file_info(file, which);
    if (info->count == 0)
        return sx_fail(err, SX_ERR_SHAPE, "%s: tensor '%s' is empty", config->data, info->name);
    if (info->rank < 2 || !sx_dtype_is_number(info->dtype))
        return sx_fail(err, SX_ERR_SHAPE, "%s: tensor '%s' is %s of rank %d, expected [N,D]",
                       config->data, info->name, sx_dtype_name(info->dtype), info->rank);
    data->n = info->shape[0];
    data->d = info->count / info->shape[0];
    if (info->rank == 3) {
        data->image_height = info->shape[1];
        data->image_width = info->shape[2];
    }
    data->values = sx_tensor_file_map_f32(file, which);
    if (data->values)
        return SX_OK;
    data->owned = sx_alloc_big(info->count, sizeof(float));
    if (!data->owned)
        return sx_fail(err, SX_ERR_NOMEM, "%s: tensor '%s' does not fit in memory", config->data,
                       info->name);
    data->values = data->owned;
    return sx_tensor_file_read_f32(file, which, data->owned, err);
}

static enum sx_status check_finite(const struct sx_train_config *config,
                                   const struct sx_train_data *data, struct sx_error *err)
{
    for (uint64_t r = 0; r < data->n && data->values; r++)
        for (uint64_t i = 0; i < data->d; i++)
            if (!isfinite(data->values[r * data->d + i]))
                return sx_fail(err, SX_ERR_NUMERIC, "%s: row %llu, column %llu is not finite",
                               config->data, (unsigned long long)r, (unsigned long long)i);
    return SX_OK;
}

static enum sx_status settle(const struct sx_train_config *config, struct sx_train_data *data,
                             struct sx_error *err)
{
    if (config->data_rows > 0 && (uint64_t)config->data_rows < data->n)
        data->n = (uint64_t)config->data_rows;
    if (data->n > UINT32_MAX)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: more than 2^32 rows", config->data);
    bool as_usual = config->data_scale <= 0;
    data->divisor = as_usual ? 255 : 1;
    data->scale = as_usual ? 1 : (float)config->data_scale;
    if (config->image_width > 0)
        data->image_width = (uint64_t)config->image_width;
    if (config->image_height > 0)
        data->image_height = (uint64_t)config->image_height;
    bool images = data->image_width > 0 || data->image_height > 0;
    if (images && data->image_width * data->image_height != data->d)
        return sx_fail(err, SX_ERR_SHAPE, "%s: images of %llu x %llu, but a sample has %llu values",
                       config->data, (unsigned long long)data->image_width,
                       (unsigned long long)data->image_height, (unsigned long long)data->d);
    return check_finite(config, data, err);
}

/* Idx files begin with 0 0, a type and a rank; the gzip ones are taken for idx as well. */
static enum sx_status begins_like_idx(const char *path, bool *idx, struct sx_error *err)
{
    unsigned char head[4] = {0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    size_t n = fread(head, 1, sizeof head, file);
    fclose(file);
    bool gzip = n >= 2 && head[0] == 0x1f && head[1] == 0x8b;
    *idx = gzip || (n == 4 && head[0] == 0 && head[1] == 0 && head[2] == 8);
    return SX_OK;
}

enum sx_status sx_train_data_open(const struct sx_train_config *config, struct sx_train_data *data,
                                  struct sx_error *err)
{
    *data = (struct sx_train_data){0};
    bool idx = false;
    SX_TRY(begins_like_idx(config->data, &idx, err));
    enum sx_status status;
    if (idx) {
        status = open_idx(config, data, err);
    } else {
        status = sx_tensor_file_open(config->data, &data->file, err);
        if (status == SX_OK)
            status = read_tensor(config, data->file, data, err);
    }
    if (status == SX_OK)
        status = settle(config, data, err);
    if (status != SX_OK)
        sx_train_data_release(data);
    return status;
}

void sx_train_data_release(struct sx_train_data *data)
{
    sx_free(data->bytes);
    sx_free(data->owned);
    sx_tensor_file_close(data->file);
    *data = (struct sx_train_data){0};
}

void sx_train_data_gather(const struct sx_train_data *data, const uint32_t *rows, size_t n,
                          float *out)
{
    size_t d = data->d;
    for (size_t r = 0; r < n; r++) {
        size_t from = (size_t)rows[r] * d;
        if (data->bytes)
            sx_bytes_to_float(out + r * d, data->bytes + from, d, data->divisor);
        else
            memcpy(out + r * d, data->values + from, d * sizeof *out);
        if (data->scale < 1 || data->scale > 1)
            sx_scale(out + r * d, d, data->scale);
    }
}
