/* The typed results of circuit analysis as named numbers and arrays, so that one writer and one
 * reader serve them all: what of a slot's data a *.run.h5 keeps. Private to run. */
#ifndef SEXTANT_RUN_ANSWER_FIELDS_H
#define SEXTANT_RUN_ANSWER_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/run/session.h"

enum sx_field_type {
    SX_FIELD_SIZE, /* size_t; SIZE_MAX stands as -1 */
    SX_FIELD_BITS, /* uint64_t */
    SX_FIELD_I32,  /* enums too */
    SX_FIELD_U32,
    SX_FIELD_BOOL,
    SX_FIELD_F32,
    SX_FIELD_F64,
    SX_FIELD_CHAR, /* bytes of text */
    SX_FIELD_TEXT, /* char *, owned; NULL is left out */
};

enum { SX_FIELD_RANK = 4 };

/* Without `rank`: the value stands in the data itself, `run` of them if that is not 0. With it: a
 * pointer to an owned array stands there, whose elements are `step` bytes apart (0: as long as what
 * is kept of them); of each, `inner` times and `inner_step` bytes apart, `run` values from `within`
 * on. Both count at least once. As a dataset [dims…, inner, run], sides of 0 left out. */
struct sx_field {
    const char *name;
    enum sx_field_type type;
    size_t at;
    int rank;
    int dims[SX_FIELD_RANK]; /* places of SX_FIELD_SIZE fields in the table, before this one */
    size_t step, within, inner, inner_step, run;
    bool optional; /* a NULL array is left out */
    int64_t below; /* integers: 0 to below - 1; 0: any */
};

struct sx_answer_kind {
    enum sx_slot slot;
    const char *name; /* attribute `slot` of the file, and its group */
    size_t size;      /* of the slot's data */
    const struct sx_field *fields;
    size_t n_fields;
    /* The data hold together with the input and its model (n 0: there is none); NULL: they do,
     * else what is wrong. */
    const char *(*check)(const void *data, const struct sx_input *input);
    void (*release)(void *data);
};

/* NULL: none is kept of this slot, or has this name. */
const struct sx_answer_kind *sx_answer_kind_of(enum sx_slot slot);
const struct sx_answer_kind *sx_answer_kind_named(const char *name);

size_t sx_field_bytes(enum sx_field_type type); /* of one value in the data */

#endif
