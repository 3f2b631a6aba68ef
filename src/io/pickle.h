/* The pickles that torch.save writes, read by a stack machine that executes nothing: a fixed list
 * of opcodes and names builds a tree of plain nodes. Private to io.
 * Rules: torch's weights_only unpickler (torch/_weights_only_unpickler.py) and what real files
 * hold. */
#ifndef SEXTANT_IO_PICKLE_H
#define SEXTANT_IO_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/io/dtype.h"
#include "sextant/io/tensor_file.h"

enum sx_pickle_kind {
    SX_PICKLE_NONE,
    SX_PICKLE_BOOL,
    SX_PICKLE_INT,
    SX_PICKLE_REAL,
    SX_PICKLE_STRING,
    SX_PICKLE_TUPLE,
    SX_PICKLE_LIST,
    SX_PICKLE_SET,
    SX_PICKLE_DICT,   /* items: key, value, key, value, … */
    SX_PICKLE_OBJECT, /* an instance of a listed class: `class_name`, and a dict or NONE as state */
    SX_PICKLE_GLOBAL, /* a listed name that stands alone, like torch.float32 */
    SX_PICKLE_STORAGE,
    SX_PICKLE_TENSOR,
};

struct sx_pickle_node {
    enum sx_pickle_kind kind;
    uint32_t count; /* items; bytes of a string */
    uint32_t capacity;
    uint32_t state; /* of an object: a node, 0 is the NONE that every pickle has */
    union {
        bool b;
        int64_t i;
        double d;
        const char *text; /* inside the pickled bytes, no NUL */
        uint32_t *items;  /* nodes */
        size_t global;    /* in the table of names */
        size_t storage;
        size_t tensor;
    } u;
};

struct sx_pickle_storage {
    enum sx_dtype dtype;
    char key[65];
    uint64_t count; /* elements */
};

struct sx_pickle_tensor {
    size_t storage;
    uint64_t offset; /* elements */
    int rank;
    uint64_t shape[SX_MAX_RANK];
    uint64_t strides[SX_MAX_RANK];
};

struct sx_pickle {
    struct sx_pickle_node *nodes; /* nodes[0] is a NONE */
    size_t n_nodes, nodes_capacity;
    struct sx_pickle_storage *storages;
    size_t n_storages, storages_capacity;
    struct sx_pickle_tensor *tensors;
    size_t n_tensors, tensors_capacity;
    uint32_t root;
};

/* `bytes` must outlive *out: strings point into it. Tensors are checked against the counts of their
 * storages. On failure *out is released. */
enum sx_status sx_pickle_parse(const char *label, const uint8_t *bytes, size_t len,
                               struct sx_pickle *out, struct sx_error *err) SX_MUST_CHECK;
void sx_pickle_release(struct sx_pickle *pickle);

/* "torch.float32" for a GLOBAL's or OBJECT's name, written to out[size]. */
void sx_pickle_global_name(size_t global, char *out, size_t size);

#endif
