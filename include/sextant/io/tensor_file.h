/* Any file that holds named tensors: safetensors (also sharded through its index.json), torch zip
 * (.pt/.bin), npz, npy and HDF5. The format is found by content. Opening reads headers only, with
 * bounds on everything a stranger's file can say; tensor bytes are read or mapped on demand.
 * A tensor file is immutable after opening and may be read from any thread. */
#ifndef SEXTANT_IO_TENSOR_FILE_H
#define SEXTANT_IO_TENSOR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/value.h"
#include "sextant/io/dtype.h"

enum { SX_MAX_RANK = 8 };

enum sx_container {
    SX_CONTAINER_SAFETENSORS,
    SX_CONTAINER_TORCH_ZIP,
    SX_CONTAINER_NPZ,
    SX_CONTAINER_NPY,
    SX_CONTAINER_HDF5,
};

struct sx_tensor_info {
    const char
        *name; /* sanitised, owned by the file; pickle paths are dotted: "ae.encoder.weight" */
    enum sx_dtype dtype;
    int rank; /* 0: one element */
    uint64_t shape[SX_MAX_RANK];
    uint64_t strides[SX_MAX_RANK]; /* in elements, as stored */
    uint64_t count;                /* product of shape */
    bool contiguous;               /* row-major without holes */
};

struct sx_tensor_file;

/* What the first bytes say; SX_ERR_FORMAT when it is none of the containers. */
enum sx_status sx_container_detect(const char *path, enum sx_container *container,
                                   struct sx_error *err) SX_MUST_CHECK;
const char *sx_container_name(enum sx_container container);

enum sx_status sx_tensor_file_open(const char *path, struct sx_tensor_file **file,
                                   struct sx_error *err) SX_MUST_CHECK;
/* The same from bytes in memory, which must outlive the file. `label` stands for the path. */
enum sx_status sx_tensor_file_open_memory(const char *label, const void *bytes, size_t len,
                                          struct sx_tensor_file **file,
                                          struct sx_error *err) SX_MUST_CHECK;
void sx_tensor_file_close(struct sx_tensor_file *file); /* NULL is fine */

enum sx_container sx_tensor_file_container(const struct sx_tensor_file *file);
const char *sx_tensor_file_path(const struct sx_tensor_file *file);
size_t sx_tensor_file_count(const struct sx_tensor_file *file);
const struct sx_tensor_info *sx_tensor_file_info(const struct sx_tensor_file *file, size_t i);
/* Index of a tensor by exact name, or -1. */
int64_t sx_tensor_file_find(const struct sx_tensor_file *file, const char *name);

/* Everything that is not a tensor, as a map (borrowed, never NULL): the pickled object with scalars
 * and strings in place and tensors left out (attribute dictionaries of modules appear as maps; the
 * class as "__class__": "module.Name"); safetensors' __metadata__; HDF5 attributes as
 * "dataset.attribute" and root attributes by name. */
const struct sx_value *sx_tensor_file_extra(const struct sx_tensor_file *file);

/* Copy tensor i, strides honoured, converted to float, row-major, into out[count]. */
enum sx_status sx_tensor_file_read_f32(const struct sx_tensor_file *file, size_t i, float *out,
                                       struct sx_error *err) SX_MUST_CHECK;
/* The same, transposed: tensor [R,C] is written as [C,R]. Rank must be 2. */
enum sx_status sx_tensor_file_read_f32_transposed(const struct sx_tensor_file *file, size_t i,
                                                  float *out, struct sx_error *err) SX_MUST_CHECK;
/* Integers (bool, ints) into out[count]; a float tensor is SX_ERR_FORMAT. */
enum sx_status sx_tensor_file_read_i64(const struct sx_tensor_file *file, size_t i, int64_t *out,
                                       struct sx_error *err) SX_MUST_CHECK;
/* Rows [first, first+rows) of a rank >= 1 tensor, as float, row-major. */
enum sx_status sx_tensor_file_read_rows_f32(const struct sx_tensor_file *file, size_t i,
                                            uint64_t first, uint64_t rows, float *out,
                                            struct sx_error *err) SX_MUST_CHECK;

/* Pointer into the mapped file when the tensor is F32, contiguous and 4-byte aligned there; else
 * NULL and the caller reads a copy. Valid until the file is closed. What a file that is cut shorter
 * meanwhile no longer holds reads as NaN; all other reads copy and answer SX_ERR_IO. */
const float *sx_tensor_file_map_f32(const struct sx_tensor_file *file, size_t i);
/* The same for any element type: contiguous little-endian elements as stored, aligned to their
 * size. Cut off, all bits are set: NaN in every floating-point type. */
const void *sx_tensor_file_map_raw(const struct sx_tensor_file *file, size_t i);
/* Has a mapped pointer met the end of a file that was cut shorter? */
bool sx_tensor_file_was_cut(const struct sx_tensor_file *file);

/* 32 hex digits over names, shapes and the raw bytes of every tensor (reads the whole file). */
enum sx_status sx_tensor_file_fingerprint(const struct sx_tensor_file *file, char out[33],
                                          struct sx_error *err) SX_MUST_CHECK;

#endif
