/* A tensor file's insides, shared by the readers of the containers. Private to io. */
#ifndef SEXTANT_IO_TENSOR_FILE_IMPL_H
#define SEXTANT_IO_TENSOR_FILE_IMPL_H

#include "bytes.h"
#include "mapping.h"
#include "sextant/io/h5.h"
#include "sextant/io/tensor_file.h"
#include "zip.h"

enum { SX_MAX_TENSORS = 1000000, SX_MAX_NAME = 1024 };

enum sx_place {
    SX_PLACE_RAW,   /* bytes of the file from `offset` on */
    SX_PLACE_ZIP,   /* a deflated member, from `offset` of what it inflates to */
    SX_PLACE_H5,    /* read by the HDF5 library under the name that the file gives */
    SX_PLACE_SHARD, /* tensor `index` of another file */
};

struct sx_record {
    struct sx_tensor_info info;
    char *raw_name;   /* as the file says it */
    char *clean_name; /* what info.name points at */
    enum sx_place place;
    uint64_t offset;           /* of the element at index 0, …, 0 */
    uint64_t extent;           /* bytes from there to the end of the last element */
    struct sx_zip_entry entry; /* SX_PLACE_ZIP: without its name */
    size_t shard;
    size_t index;
};

struct sx_shard {
    struct sx_tensor_file *file;
};

struct sx_tensor_file {
    enum sx_container container;
    char *path;
    struct sx_bytes bytes;
    const uint8_t *map;        /* NULL: neither mapped nor in memory */
    struct sx_mapping mapping; /* of a file */
    struct sx_record *records;
    size_t count;
    size_t capacity;
    size_t *by_name;
    struct sx_value *extra;
    struct sx_h5 *h5;
    struct sx_shard *shards;
    size_t n_shards;
};

/* Add a tensor. strides NULL: contiguous. Fails when shape and strides overflow, when the name is
 * too long, or when there are too many. The caller sets place and offset of the record, which stays
 * valid until the next call. */
enum sx_status sx_tensor_file_add(struct sx_tensor_file *file, const char *name, size_t name_len,
                                  enum sx_dtype dtype, int rank, const uint64_t *shape,
                                  const uint64_t *strides, struct sx_record **out,
                                  struct sx_error *err) SX_MUST_CHECK;

/* Each fills records and extra of a file whose bytes are open. */
enum sx_status sx_safetensors_read_header(struct sx_tensor_file *file,
                                          struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_npy_read_header(struct sx_tensor_file *file, struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_npz_read_headers(struct sx_tensor_file *file, const struct sx_zip *zip,
                                   struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_torch_zip_read_headers(struct sx_tensor_file *file, const struct sx_zip *zip,
                                         struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_h5_read_headers(struct sx_tensor_file *file, struct sx_error *err) SX_MUST_CHECK;

#endif
