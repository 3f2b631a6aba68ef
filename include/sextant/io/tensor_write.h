/* Writers for safetensors and npz/npy. Each writes to a temporary name beside the target and
 * renames it, so that an interrupted run leaves the old file or none. */
#ifndef SEXTANT_IO_TENSOR_WRITE_H
#define SEXTANT_IO_TENSOR_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/value.h"
#include "sextant/io/dtype.h"

struct sx_tensor_out {
    const char *name;
    enum sx_dtype dtype; /* of `data`: F32, F64, I32, I64, U8, BOOL … written as it is */
    int rank;
    uint64_t shape[8];
    const void *data; /* contiguous, row-major; borrowed */
};

/* `metadata`: a map of strings for __metadata__, or NULL. */
enum sx_status sx_safetensors_write(const char *path, const struct sx_tensor_out *tensors, size_t n,
                                    const struct sx_value *metadata,
                                    struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_npz_write(const char *path, const struct sx_tensor_out *tensors, size_t n,
                            struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_npy_write(const char *path, const struct sx_tensor_out *tensor,
                            struct sx_error *err) SX_MUST_CHECK;
/* A torch state_dict (an OrderedDict of contiguous CPU tensors) as torch's zip format. */
enum sx_status sx_torch_zip_write(const char *path, const struct sx_tensor_out *tensors, size_t n,
                                  struct sx_error *err) SX_MUST_CHECK;

#endif
