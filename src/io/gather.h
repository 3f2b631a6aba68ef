/* Copying strided elements of a file into a dense array. Private to io. */
#ifndef SEXTANT_IO_GATHER_H
#define SEXTANT_IO_GATHER_H

#include "bytes.h"
#include "sextant/io/tensor_file.h"

struct sx_gather {
    const struct sx_bytes *bytes;
    uint64_t at; /* byte offset of the element at index 0, …, 0 */
    enum sx_dtype dtype;
    bool as_integers; /* into int64_t, else into float */
    int rank;
    uint64_t n[SX_MAX_RANK];
    uint64_t in[SX_MAX_RANK];  /* strides in elements, in the file */
    uint64_t out[SX_MAX_RANK]; /* and in the result */
    void *dst;
};

/* Reads the file in blocks of a few MiB in the order in which it is stored, whatever the order of
 * the result: a transposed weight is read once and front to back. Shape and strides have been
 * checked against the file. */
enum sx_status sx_gather_run(struct sx_gather *g, struct sx_error *err) SX_MUST_CHECK;

#endif
