#include "sextant/io/tensor_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gather.h"
#include "sextant/base/alloc.h"
#include "sextant/base/hash.h"
#include "sextant/base/text.h"
#include "sextant/io/json.h"
#include "tensor_file_impl.h"

enum { MAX_SHARDS = 512, HASH_BLOCK = 1 << 20, PROBE = 265 };

static const char index_ending[] = ".index.json";

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s);
    size_t k = strlen(ending);
    return n >= k && !strcmp(s + n - k, ending);
}

const char *sx_container_name(enum sx_container container)
{
    static const char *const names[] = {
        [SX_CONTAINER_SAFETENSORS] = "safetensors",
        [SX_CONTAINER_TORCH_ZIP] = "torch",
        [SX_CONTAINER_NPZ] = "npz",
        [SX_CONTAINER_NPY] = "npy",
        [SX_CONTAINER_HDF5] = "hdf5",
    };
    return names[container];
}

/* ---- recognising ---- */

static enum sx_status detect_zip(const struct sx_bytes *b, const struct sx_zip *zip,
                                 enum sx_container *container, struct sx_error *err)
{
    bool torch = false;
    bool numpy = zip->count == 0; /* what numpy writes for no arrays */
    for (size_t i = 0; i < zip->count; i++) {
        const char *name = zip->entries[i].name;
        if (ends_with(name, "/constants.pkl") || !strcmp(name, "constants.pkl"))
            return sx_fail(
                err, SX_ERR_UNSUPPORTED,
                "%s: a TorchScript program; save its state_dict() with torch.save instead",
                b->label);
        torch |= ends_with(name, "/data.pkl");
        numpy |= ends_with(name, ".npy");
    }
    if (!torch && !numpy)
        return sx_fail(err, SX_ERR_FORMAT, "%s: a zip archive without data.pkl or .npy members",
                       b->label);
    *container = torch ? SX_CONTAINER_TORCH_ZIP : SX_CONTAINER_NPZ;
    return SX_OK;
}

static bool looks_like_safetensors(const struct sx_bytes *b, const uint8_t *head, size_t n)
{
    if (ends_with(b->label, ".safetensors"))
        return true;
    if (n < 9 || sx_le64(head) > b->size - 8)
        return false;
    size_t i = 8;
    while (i < n && (head[i] == ' ' || head[i] == '\t' || head[i] == '\n' || head[i] == '\r'))
        i++;
    return i < n && head[i] == '{';
}

/* *is_zip: it is a zip archive, and its members decide. */
static enum sx_status detect(const struct sx_bytes *b, enum sx_container *container, bool *is_zip,
                             struct sx_error *err)
{
    uint8_t head[PROBE] = {0};
    size_t n = b->size < PROBE ? (size_t)b->size : PROBE;
    SX_TRY(sx_bytes_read(b, 0, n, head, err));
    /* A member, or for an empty archive an end record, the ZIP64 one first. */
    *is_zip =
        !memcmp(head, "PK\3\4", 4) || !memcmp(head, "PK\5\6", 4) || !memcmp(head, "PK\6\6", 4);
    if (*is_zip)
        return SX_OK;
    if (!memcmp(head, "\x89HDF\r\n\x1a\n", 8)) {
        *container = SX_CONTAINER_HDF5;
        return SX_OK;
    }
    if (!memcmp(head, "\x93NUMPY", 6)) {
        *container = SX_CONTAINER_NPY;
        return SX_OK;
    }
    if (!memcmp(head, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14))
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: torch's format from before 1.6; load it and torch.save it again with a "
                       "current torch, or convert it to safetensors",
                       b->label);
    if (!memcmp(head + 257, "ustar", 5))
        return sx_fail(
            err, SX_ERR_UNSUPPORTED,
            "%s: a tar archive (torch before 0.1.10?); unpack it, or torch.save it again "
            "with a current torch",
            b->label);
    if (looks_like_safetensors(b, head, n)) {
        *container = SX_CONTAINER_SAFETENSORS;
        return SX_OK;
    }
    if (head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: a bare pickle; pickles are read only inside torch's zip format",
                       b->label);
    if (head[0] == 0x1f && head[1] == 0x8b)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: gzip; unpack it first", b->label);
    return sx_fail(err, SX_ERR_FORMAT, "%s: not safetensors, torch zip, npz, npy or HDF5",
                   b->label);
}

static enum sx_status detect_whole(const struct sx_bytes *b, enum sx_container *container,
                                   struct sx_zip *zip, struct sx_error *err)
{
    bool is_zip;
    *zip = (struct sx_zip){0};
    SX_TRY(detect(b, container, &is_zip, err));
    if (!is_zip)
        return SX_OK;
    SX_TRY(sx_zip_open(b, zip, err));
    enum sx_status status = detect_zip(b, zip, container, err);
    if (status != SX_OK)
        sx_zip_release(zip);
    return status;
}

enum sx_status sx_container_detect(const char *path, enum sx_container *container,
                                   struct sx_error *err)
{
    struct sx_bytes bytes;
    struct sx_zip zip;
    if (ends_with(path, index_ending)) {
        struct sx_tensor_file *file;
        SX_TRY(sx_tensor_file_open(path, &file, err));
        *container = file->container;
        sx_tensor_file_close(file);
        return SX_OK;
    }
    SX_TRY(sx_bytes_open(path, &bytes, err));
    enum sx_status status = detect_whole(&bytes, container, &zip, err);
    sx_zip_release(&zip);
    sx_bytes_close(&bytes);
    return status;
}

/* ---- opening ---- */

/* Elements, and bytes from the first to the last; false when they do not fit 62 bits. */
static bool measure(struct sx_tensor_info *info, uint64_t *extent)
{
    uint64_t count = 1;
    uint64_t dense = 1; /* as if no dimension were zero */
    uint64_t last = 0;
    for (int i = 0; i < info->rank; i++) {
        uint64_t reach;
        uint64_t n = info->shape[i];
        if (__builtin_mul_overflow(dense, n ? n : 1, &dense) ||
            __builtin_mul_overflow(n ? n - 1 : 0, info->strides[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
        count *= n;
    }
    uint64_t size = sx_dtype_size(info->dtype);
    if (dense > ((uint64_t)1 << 62) / 8 || last >= ((uint64_t)1 << 62) / 8)
        return false;
    info->count = count;
    *extent = count ? (last + 1) * size : 0;
    return true;
}

static bool fill_strides(struct sx_tensor_info *info, const uint64_t *strides)
{
    uint64_t step = 1;
    info->contiguous = true;
    for (int i = info->rank; i-- > 0;) {
        info->strides[i] = strides ? strides[i] : step;
        if (info->shape[i] != 1 && info->strides[i] != step)
            info->contiguous = false;
        if (__builtin_mul_overflow(step, info->shape[i] ? info->shape[i] : 1, &step))
            return false;
    }
    return true;
}

enum sx_status sx_tensor_file_add(struct sx_tensor_file *file, const char *name, size_t name_len,
                                  enum sx_dtype dtype, int rank, const uint64_t *shape,
                                  const uint64_t *strides, struct sx_record **out,
                                  struct sx_error *err)
{
    struct sx_record r = {.info = {.dtype = dtype, .rank = rank}};
    if (file->count >= SX_MAX_TENSORS)
        return sx_fail(err, SX_ERR_FORMAT, "%s: more than %d tensors", file->path, SX_MAX_TENSORS);
    if (name_len > SX_MAX_NAME || memchr(name, 0, name_len))
        return sx_fail(err, SX_ERR_FORMAT, "%s: a tensor's name is %s", file->path,
                       name_len > SX_MAX_NAME ? "longer than 1024 bytes" : "cut by a zero byte");
    SX_ASSERT(rank >= 0 && rank <= SX_MAX_RANK);
    if (rank > 0)
        memcpy(r.info.shape, shape, (size_t)rank * sizeof *shape);
    if (!fill_strides(&r.info, strides) || !measure(&r.info, &r.extent))
        return sx_fail(err, SX_ERR_FORMAT, "%s: tensor %.*s: its size overflows", file->path,
                       (int)name_len, name);
    if (r.info.count == 0)
        r.info.contiguous = true;
    r.raw_name = sx_xstrndup(name, name_len);
    /* A replacement character takes three bytes where the file had one. */
    r.clean_name = sx_text_clean_dup(name, name_len, 3 * name_len + 1);
    r.info.name = r.clean_name;
    SX_GROW(file->records, file->capacity, file->count + 1);
    file->records[file->count] = r;
    *out = &file->records[file->count++];
    return SX_OK;
}

/* For qsort, which takes no context. */
struct named {
    const char *name;
    size_t index;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static enum sx_status index_names(struct sx_tensor_file *file, struct sx_error *err)
{
    enum sx_status status = SX_OK;
    struct named *sorted = sx_alloc_big(file->count + 1, sizeof *sorted);
    file->by_name = sx_alloc_big(file->count + 1, sizeof *file->by_name);
    if (!sorted || !file->by_name) {
        sx_free(sorted);
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the names", file->path);
    }
    for (size_t i = 0; i < file->count; i++)
        sorted[i] = (struct named){file->records[i].info.name, i};
    qsort(sorted, file->count, sizeof *sorted, by_name);
    for (size_t i = 0; i < file->count && status == SX_OK; i++) {
        file->by_name[i] = sorted[i].index;
        if (i > 0 && !strcmp(sorted[i - 1].name, sorted[i].name))
            status = sx_fail(err, SX_ERR_FORMAT, "%s: two tensors are called %s", file->path,
                             sorted[i].name);
    }
    sx_free(sorted);
    return status;
}

/* Every raw tensor lies inside the file, whatever its reader has checked. */
static enum sx_status check_bounds(const struct sx_tensor_file *file, struct sx_error *err)
{
    for (size_t i = 0; i < file->count; i++) {
        const struct sx_record *r = &file->records[i];
        uint64_t size = r->place == SX_PLACE_ZIP ? r->entry.size : file->bytes.size;
        if (r->place != SX_PLACE_RAW && r->place != SX_PLACE_ZIP)
            continue;
        if (r->offset > size || r->extent > size - r->offset)
            return sx_fail(err, SX_ERR_FORMAT, "%s: tensor %s reaches behind the end", file->path,
                           r->info.name);
    }
    return SX_OK;
}

static bool wants_map(const struct sx_tensor_file *file)
{
    for (size_t i = 0; i < file->count; i++)
        if (file->records[i].place == SX_PLACE_RAW)
            return file->bytes.size > 0;
    return false;
}

static void map_bytes(struct sx_tensor_file *file)
{
    if (!wants_map(file))
        return;
    if (file->bytes.fd < 0) {
        file->map = file->bytes.memory;
        return;
    }
    if (sx_mapping_open(&file->mapping, file->bytes.fd, (size_t)file->bytes.size))
        file->map = file->mapping.bytes; /* without a map everything is copied */
}

static enum sx_status read_headers(struct sx_tensor_file *file, struct sx_error *err)
{
    struct sx_zip zip;
    enum sx_status status = SX_OK;
    SX_TRY(detect_whole(&file->bytes, &file->container, &zip, err));
    switch (file->container) {
    case SX_CONTAINER_SAFETENSORS:
        status = sx_safetensors_read_header(file, err);
        break;
    case SX_CONTAINER_TORCH_ZIP:
        status = sx_torch_zip_read_headers(file, &zip, err);
        break;
    case SX_CONTAINER_NPZ:
        status = sx_npz_read_headers(file, &zip, err);
        break;
    case SX_CONTAINER_NPY:
        status = sx_npy_read_header(file, err);
        break;
    case SX_CONTAINER_HDF5:
        status = sx_h5_read_headers(file, err);
        break;
    }
    sx_zip_release(&zip);
    return status;
}

static enum sx_status open_bytes(struct sx_bytes take_bytes, struct sx_tensor_file **out,
                                 struct sx_error *err)
{
    struct sx_tensor_file *file = sx_xcalloc(1, sizeof *file);
    file->bytes = take_bytes;
    file->path = sx_xstrdup(take_bytes.label);
    file->extra = sx_value_map();
    enum sx_status status = read_headers(file, err);
    if (status == SX_OK)
        status = check_bounds(file, err);
    if (status == SX_OK)
        status = index_names(file, err);
    if (status != SX_OK) {
        sx_tensor_file_close(file);
        return status;
    }
    map_bytes(file);
    *out = file;
    return SX_OK;
}

static enum sx_status open_plain(const char *path, struct sx_tensor_file **out,
                                 struct sx_error *err)
{
    struct sx_bytes bytes;
    SX_TRY(sx_bytes_open(path, &bytes, err));
    return open_bytes(bytes, out, err);
}

enum sx_status sx_tensor_file_open_memory(const char *label, const void *bytes, size_t len,
                                          struct sx_tensor_file **file, struct sx_error *err)
{
    return open_bytes(sx_bytes_of_memory(label, bytes, len), file, err);
}

/* ---- sharded files ---- */

static bool is_plain_file_name(const char *s)
{
    return *s && *s != '.' && !strchr(s, '/') && strlen(s) < 256;
}

static enum sx_status open_shard(struct sx_tensor_file *file, struct sx_value *known,
                                 const char *name, size_t *shard, struct sx_error *err)
{
    *shard = (size_t)sx_value_int_or(sx_value_get(known, name), (int64_t)file->n_shards);
    if (*shard < file->n_shards)
        return SX_OK;
    if (!is_plain_file_name(name))
        return sx_fail(err, SX_ERR_FORMAT, "%s: \"%s\" is not a plain file name", file->path, name);
    if (file->n_shards == MAX_SHARDS)
        return sx_fail(err, SX_ERR_FORMAT, "%s: more than %d shards", file->path, MAX_SHARDS);
    const char *slash = strrchr(file->path, '/');
    char *path =
        sx_xasprintf("%.*s%s", slash ? (int)(slash - file->path) + 1 : 0, file->path, name);
    enum sx_status status = open_plain(path, &file->shards[file->n_shards].file, err);
    sx_free(path);
    if (status != SX_OK)
        return status;
    sx_value_set(known, name, sx_value_int((int64_t)file->n_shards));
    file->n_shards++;
    return SX_OK;
}

static enum sx_status add_shard_tensor(struct sx_tensor_file *file, size_t shard, const char *name,
                                       struct sx_error *err)
{
    struct sx_tensor_file *from = file->shards[shard].file;
    struct sx_record *record;
    int64_t i = sx_tensor_file_find(from, name);
    if (i < 0)
        return sx_fail(err, SX_ERR_FORMAT, "%s: tensor %s is not in %s", file->path, name,
                       from->path);
    const struct sx_tensor_info *info = &from->records[i].info;
    SX_TRY(sx_tensor_file_add(file, name, strlen(name), info->dtype, info->rank, info->shape,
                              info->strides, &record, err));
    record->place = SX_PLACE_SHARD;
    record->shard = shard;
    record->index = (size_t)i;
    return SX_OK;
}

/* Each tensor of each shard must be the one that the index means. */
static enum sx_status check_shards(const struct sx_tensor_file *file, struct sx_error *err)
{
    for (size_t s = 0; s < file->n_shards; s++)
        for (size_t i = 0; i < file->shards[s].file->count; i++) {
            const char *name = file->shards[s].file->records[i].info.name;
            int64_t listed = sx_tensor_file_find(file, name);
            if (listed >= 0 && file->records[listed].shard != s)
                return sx_fail(err, SX_ERR_FORMAT, "%s: tensor %s is in two shards", file->path,
                               name);
        }
    return SX_OK;
}

static enum sx_status fill_from_index(struct sx_tensor_file *file, const struct sx_value *index,
                                      struct sx_value *known, struct sx_error *err)
{
    const struct sx_value *weights = sx_value_get(index, "weight_map");
    if (sx_value_kind(weights) != SX_VALUE_MAP || sx_value_count(weights) == 0)
        return sx_fail(err, SX_ERR_FORMAT, "%s: no weight_map", file->path);
    file->shards = sx_xcalloc(MAX_SHARDS, sizeof *file->shards);
    for (size_t i = 0; i < sx_value_count(weights); i++) {
        size_t shard;
        const char *name = sx_value_key(weights, i);
        const char *shard_name = sx_value_string_or(sx_value_item(weights, i), NULL);
        if (!shard_name)
            return sx_fail(err, SX_ERR_FORMAT, "%s: weight_map.%s: expected a file name, found %s",
                           file->path, name,
                           sx_value_kind_name(sx_value_kind(sx_value_item(weights, i))));
        SX_TRY(open_shard(file, known, shard_name, &shard, err));
        SX_TRY(add_shard_tensor(file, shard, name, err));
    }
    file->container = file->shards[0].file->container;
    SX_TRY(index_names(file, err));
    return check_shards(file, err);
}

static enum sx_status open_sharded(const char *path, struct sx_tensor_file **out,
                                   struct sx_error *err)
{
    struct sx_value *index = NULL;
    SX_TRY(sx_json_parse_file(path, &index, err));
    struct sx_tensor_file *file = sx_xcalloc(1, sizeof *file);
    struct sx_value *known = sx_value_map();
    file->bytes.fd = -1;
    file->path = sx_xstrdup(path);
    file->extra = sx_value_map();
    enum sx_status status = fill_from_index(file, index, known, err);
    sx_value_free(known);
    sx_value_free(index);
    if (status != SX_OK)
        sx_tensor_file_close(file);
    else
        *out = file;
    return status;
}

enum sx_status sx_tensor_file_open(const char *path, struct sx_tensor_file **file,
                                   struct sx_error *err)
{
    return ends_with(path, index_ending) ? open_sharded(path, file, err)
                                         : open_plain(path, file, err);
}

void sx_tensor_file_close(struct sx_tensor_file *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->n_shards; i++)
        sx_tensor_file_close(file->shards[i].file);
    sx_free(file->shards);
    sx_mapping_close(&file->mapping);
    sx_h5_close(file->h5);
    sx_bytes_close(&file->bytes);
    for (size_t i = 0; i < file->count; i++) {
        sx_free(file->records[i].clean_name);
        sx_free(file->records[i].raw_name);
    }
    sx_free(file->records);
    sx_free(file->by_name);
    sx_free(file->path);
    sx_value_free(file->extra);
    sx_free(file);
}

/* ---- asking ---- */

enum sx_container sx_tensor_file_container(const struct sx_tensor_file *file)
{
    return file->container;
}

const char *sx_tensor_file_path(const struct sx_tensor_file *file)
{
    return file->path;
}

size_t sx_tensor_file_count(const struct sx_tensor_file *file)
{
    return file->count;
}

const struct sx_tensor_info *sx_tensor_file_info(const struct sx_tensor_file *file, size_t i)
{
    SX_ASSERT(i < file->count);
    return &file->records[i].info;
}

int64_t sx_tensor_file_find(const struct sx_tensor_file *file, const char *name)
{
    size_t low = 0;
    size_t high = file->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, file->records[file->by_name[middle]].info.name);
        if (order == 0)
            return (int64_t)file->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

const struct sx_value *sx_tensor_file_extra(const struct sx_tensor_file *file)
{
    return file->extra;
}

/* ---- reading ---- */

/* What is read of a tensor: rows of the first dimension, into rows with these strides. */
struct request {
    bool as_integers;
    bool transposed;
    bool some_rows;
    uint64_t first;
    uint64_t rows;
};

/* A member that must be inflated is inflated whole into memory. */
static enum sx_status inflate_member(const struct sx_tensor_file *file, const struct sx_record *r,
                                     uint8_t **out, struct sx_error *err)
{
    struct sx_zip_entry entry = r->entry;
    entry.name = r->info.name;
    uint8_t *whole = sx_alloc_big((size_t)entry.size, 1);
    if (!whole)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %s (%llu bytes)", file->path,
                       r->info.name, (unsigned long long)entry.size);
    enum sx_status status = sx_zip_read(&file->bytes, &entry, (size_t)entry.size, whole, err);
    if (status == SX_OK)
        *out = whole;
    else
        sx_free(whole);
    return status;
}

static void plan(const struct sx_record *r, const struct request *q, struct sx_gather *g)
{
    const struct sx_tensor_info *info = &r->info;
    g->dtype = info->dtype;
    g->as_integers = q->as_integers;
    g->rank = info->rank;
    g->at = r->offset;
    uint64_t step = 1;
    for (int i = info->rank; i-- > 0;) {
        g->n[i] = info->shape[i];
        g->in[i] = info->strides[i];
        g->out[i] = step;
        step *= info->shape[i];
    }
    if (q->transposed) {
        g->out[0] = 1;
        g->out[1] = info->shape[0];
    }
    if (q->some_rows) {
        g->n[0] = q->rows;
        g->at += q->first * info->strides[0] * sx_dtype_size(info->dtype);
    }
}

static enum sx_status read_h5(const struct sx_tensor_file *file, const struct sx_record *r,
                              const struct request *q, void *out, struct sx_error *err)
{
    enum sx_dtype as = q->as_integers ? SX_DTYPE_I64 : SX_DTYPE_F32;
    if (q->some_rows)
        return sx_h5_read_rows(file->h5, r->raw_name, as, q->first, q->rows, out, err);
    if (!q->transposed)
        return sx_h5_read(file->h5, r->raw_name, as, r->info.count, out, err);
    float *whole = sx_alloc_big((size_t)r->info.count, sizeof *whole);
    if (!whole)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %s", file->path, r->info.name);
    enum sx_status status = sx_h5_read(file->h5, r->raw_name, as, r->info.count, whole, err);
    if (status == SX_OK) {
        struct sx_bytes bytes = {.fd = -1,
                                 .memory = (const uint8_t *)whole,
                                 .size = r->info.count * 4,
                                 .label = file->path};
        struct sx_record dense = *r;
        struct sx_gather g = {.bytes = &bytes, .dst = out};
        dense.offset = 0;
        dense.info.dtype = SX_DTYPE_F32;
        plan(&dense, q, &g);
        status = sx_gather_run(&g, err);
    }
    sx_free(whole);
    return status;
}

static enum sx_status read_tensor(const struct sx_tensor_file *file, size_t i,
                                  const struct request *q, void *out, struct sx_error *err)
{
    SX_ASSERT(i < file->count);
    const struct sx_record *r = &file->records[i];
    if (q->as_integers ? !sx_dtype_is_integer(r->info.dtype) : !sx_dtype_is_number(r->info.dtype))
        return sx_fail(err, SX_ERR_FORMAT, "%s: tensor %s is %s, not %s", file->path, r->info.name,
                       sx_dtype_name(r->info.dtype), q->as_integers ? "integers" : "numbers");
    if (q->transposed && r->info.rank != 2)
        return sx_fail(err, SX_ERR_SHAPE, "%s: tensor %s has rank %d, expected 2", file->path,
                       r->info.name, r->info.rank);
    if (q->some_rows &&
        (r->info.rank < 1 || q->first > r->info.shape[0] || q->rows > r->info.shape[0] - q->first))
        return sx_fail(err, SX_ERR_SHAPE, "%s: tensor %s has no %llu rows from %llu on", file->path,
                       r->info.name, (unsigned long long)q->rows, (unsigned long long)q->first);
    if (r->info.count == 0 || (q->some_rows && q->rows == 0))
        return SX_OK;
    if (r->place == SX_PLACE_SHARD)
        return read_tensor(file->shards[r->shard].file, r->index, q, out, err);
    if (r->place == SX_PLACE_H5)
        return read_h5(file, r, q, out, err);
    struct sx_bytes inflated = {.fd = -1, .label = file->path};
    uint8_t *whole = NULL;
    struct sx_gather g = {.bytes = &file->bytes, .dst = out};
    if (r->place == SX_PLACE_ZIP) {
        SX_TRY(inflate_member(file, r, &whole, err));
        inflated.memory = whole;
        inflated.size = r->entry.size;
        g.bytes = &inflated;
    }
    plan(r, q, &g);
    enum sx_status status = sx_gather_run(&g, err);
    sx_free(whole);
    return status;
}

enum sx_status sx_tensor_file_read_f32(const struct sx_tensor_file *file, size_t i, float *out,
                                       struct sx_error *err)
{
    return read_tensor(file, i, &(struct request){0}, out, err);
}

enum sx_status sx_tensor_file_read_f32_transposed(const struct sx_tensor_file *file, size_t i,
                                                  float *out, struct sx_error *err)
{
    return read_tensor(file, i, &(struct request){.transposed = true}, out, err);
}

enum sx_status sx_tensor_file_read_i64(const struct sx_tensor_file *file, size_t i, int64_t *out,
                                       struct sx_error *err)
{
    return read_tensor(file, i, &(struct request){.as_integers = true}, out, err);
}

enum sx_status sx_tensor_file_read_rows_f32(const struct sx_tensor_file *file, size_t i,
                                            uint64_t first, uint64_t rows, float *out,
                                            struct sx_error *err)
{
    struct request q = {.some_rows = true, .first = first, .rows = rows};
    return read_tensor(file, i, &q, out, err);
}

const void *sx_tensor_file_map_raw(const struct sx_tensor_file *file, size_t i)
{
    SX_ASSERT(i < file->count);
    const struct sx_record *r = &file->records[i];
    struct stat st;
    if (r->place == SX_PLACE_SHARD)
        return sx_tensor_file_map_raw(file->shards[r->shard].file, r->index);
    if (r->place != SX_PLACE_RAW || !r->info.contiguous || r->info.count == 0 || !file->map ||
        (uintptr_t)(file->map + r->offset) % sx_dtype_size(r->info.dtype) != 0)
        return NULL;
    /* Of a file that has become shorter, copies say so at once. */
    if (file->bytes.fd >= 0 &&
        (fstat(file->bytes.fd, &st) != 0 || (uint64_t)st.st_size < file->bytes.size))
        return NULL;
    return file->map + r->offset;
}

const float *sx_tensor_file_map_f32(const struct sx_tensor_file *file, size_t i)
{
    SX_ASSERT(i < file->count);
    return file->records[i].info.dtype == SX_DTYPE_F32 ? sx_tensor_file_map_raw(file, i) : NULL;
}

bool sx_tensor_file_was_cut(const struct sx_tensor_file *file)
{
    for (size_t i = 0; i < file->n_shards; i++)
        if (sx_tensor_file_was_cut(file->shards[i].file))
            return true;
    return sx_mapping_was_cut(&file->mapping);
}

/* ---- fingerprint ---- */

static enum sx_status hash_range(struct sx_hash *hash, const struct sx_bytes *b, uint64_t at,
                                 uint64_t n, uint8_t *buffer, struct sx_error *err)
{
    while (n > 0) {
        size_t step = n < HASH_BLOCK ? (size_t)n : HASH_BLOCK;
        SX_TRY(sx_bytes_read(b, at, step, buffer, err));
        sx_hash_update(hash, buffer, step);
        at += step;
        n -= step;
    }
    return SX_OK;
}

static enum sx_status hash_h5(struct sx_hash *hash, const struct sx_tensor_file *file,
                              const struct sx_record *r, struct sx_error *err)
{
    uint8_t *whole = sx_alloc_big((size_t)r->info.count, sx_dtype_size(r->info.dtype));
    if (!whole)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %s", file->path, r->info.name);
    enum sx_status status =
        sx_h5_read(file->h5, r->raw_name, r->info.dtype, r->info.count, whole, err);
    if (status == SX_OK)
        sx_hash_update(hash, whole, (size_t)r->extent);
    sx_free(whole);
    return status;
}

static enum sx_status hash_tensor(struct sx_hash *hash, const struct sx_tensor_file *file, size_t i,
                                  uint8_t *buffer, struct sx_error *err)
{
    const struct sx_record *r = &file->records[i];
    if (r->place == SX_PLACE_SHARD)
        return hash_tensor(hash, file->shards[r->shard].file, r->index, buffer, err);
    const char *dtype = sx_dtype_name(r->info.dtype);
    sx_hash_update(hash, r->raw_name, strlen(r->raw_name) + 1);
    sx_hash_update(hash, dtype, strlen(dtype) + 1);
    sx_hash_update(hash, r->info.shape, (size_t)r->info.rank * sizeof *r->info.shape);
    sx_hash_update(hash, r->info.strides, (size_t)r->info.rank * sizeof *r->info.strides);
    if (r->place == SX_PLACE_H5)
        return r->info.count ? hash_h5(hash, file, r, err) : SX_OK;
    if (r->place == SX_PLACE_RAW)
        return hash_range(hash, &file->bytes, r->offset, r->extent, buffer, err);
    uint8_t *whole = NULL;
    SX_TRY(inflate_member(file, r, &whole, err));
    sx_hash_update(hash, whole + r->offset, (size_t)r->extent);
    sx_free(whole);
    return SX_OK;
}

enum sx_status sx_tensor_file_fingerprint(const struct sx_tensor_file *file, char out[33],
                                          struct sx_error *err)
{
    uint8_t *buffer = sx_alloc_big(HASH_BLOCK, 1);
    if (!buffer)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory to read", file->path);
    struct sx_hash *hash = sx_hash_new();
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < file->count && status == SX_OK; i++)
        status = hash_tensor(hash, file, file->by_name[i], buffer, err);
    sx_hash_finish(hash, out);
    sx_free(buffer);
    return status;
}
