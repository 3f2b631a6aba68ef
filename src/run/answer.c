#include "answer.h"

#include <stdio.h>
#include <string.h>

#include "document.h"
#include "model_describe.h"
#include "result_file.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/io/tensor_write.h"
#include "sextant/model/tokenizer.h"

enum {
    DEFLATE = 4,
    SMALL = 4096, /* values that are not worth compressing */
    MAX_SIDE = 1 << 24,
    MAX_TEXT = 1 << 16,
    MAX_RANK = SX_FIELD_RANK + 2,
};
static const uint64_t MAX_VALUES = 1 << 26;

struct sx_answer {
    const struct sx_answer_kind *kind; /* NULL: the model is all that is kept */
    struct sx_value *model, *scalars;  /* attributes of the root and of the group */
    struct sx_tensor_out *tensors;     /* names borrowed, data owned */
    size_t n, room;
};

/* --- fields -------------------------------------------------------------------------------------
 */

static size_t at_least_one(size_t n)
{
    return n > 0 ? n : 1;
}

static size_t values_of_element(const struct sx_field *field)
{
    return at_least_one(field->inner) * at_least_one(field->run);
}

static size_t step_of(const struct sx_field *field)
{
    return field->step ? field->step : values_of_element(field) * sx_field_bytes(field->type);
}

static enum sx_dtype dtype_of(enum sx_field_type type)
{
    switch (type) {
    case SX_FIELD_I32:
        return SX_DTYPE_I32;
    case SX_FIELD_U32:
        return SX_DTYPE_U32;
    case SX_FIELD_F32:
        return SX_DTYPE_F32;
    case SX_FIELD_F64:
        return SX_DTYPE_F64;
    case SX_FIELD_BOOL:
    case SX_FIELD_CHAR:
        return SX_DTYPE_U8;
    case SX_FIELD_SIZE:
    case SX_FIELD_BITS:
    case SX_FIELD_TEXT:
        break;
    }
    SX_ASSERT(!"arrays hold numbers and bytes");
    return SX_DTYPE_U8;
}

static size_t size_at(const void *data, const struct sx_answer_kind *kind, int which)
{
    size_t size;
    memcpy(&size, (const char *)data + kind->fields[which].at, sizeof size);
    return size;
}

/* Sides of the dataset; the elements of the array are their product but for inner and run. False:
 * more than can be. */
static bool shape_of(const void *data, const struct sx_answer_kind *kind,
                     const struct sx_field *field, int *rank, uint64_t shape[MAX_RANK],
                     uint64_t *elements)
{
    *rank = 0;
    *elements = 1;
    for (int d = 0; d < field->rank; d++) {
        shape[*rank] = size_at(data, kind, field->dims[d]);
        if (shape[*rank] > MAX_SIDE || (shape[*rank] && *elements > MAX_VALUES / shape[*rank]))
            return false;
        *elements *= shape[(*rank)++];
    }
    if (field->inner)
        shape[(*rank)++] = field->inner;
    if (field->run)
        shape[(*rank)++] = field->run;
    return *elements <= MAX_VALUES / values_of_element(field);
}

/* Between the array and a block that has nothing else in it. */
static void copy_values(const struct sx_field *field, char *array, char *block, size_t elements,
                        bool to_array)
{
    const size_t bytes = at_least_one(field->run) * sx_field_bytes(field->type);
    for (size_t e = 0; e < elements; e++)
        for (size_t i = 0; i < at_least_one(field->inner); i++) {
            char *at = array + e * step_of(field) + field->within + i * field->inner_step;
            memcpy(to_array ? at : block, to_array ? block : at, bytes);
            block += bytes;
        }
}

/* --- keeping ------------------------------------------------------------------------------------
 */

static void answer_free(void *p)
{
    struct sx_answer *answer = p;
    sx_value_free(answer->model);
    sx_value_free(answer->scalars);
    for (size_t i = 0; i < answer->n; i++)
        sx_free((void *)(uintptr_t)answer->tensors[i].data);
    sx_free(answer->tensors);
    sx_free(answer);
}

void sx_answer_label(const struct sx_model *model, int32_t id, char *buf, size_t size)
{
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(model);
    buf[0] = '\0';
    if (id >= 0 && tokenizer)
        sx_token_label(tokenizer, id, buf, size);
    else if (id >= 0)
        snprintf(buf, size, "#%d", id);
}

static void add_scalar(struct sx_value *out, const struct sx_field *field, const char *at)
{
    size_t size;
    uint64_t bits;
    int32_t number;
    double real;
    char *text;
    switch (field->type) {
    case SX_FIELD_SIZE:
        memcpy(&size, at, sizeof size);
        sx_document_int(out, field->name, size == SIZE_MAX ? -1 : (int64_t)size);
        return;
    case SX_FIELD_BITS:
        memcpy(&bits, at, sizeof bits);
        sx_document_int(out, field->name, (int64_t)bits);
        return;
    case SX_FIELD_I32:
        memcpy(&number, at, sizeof number);
        sx_document_int(out, field->name, number);
        return;
    case SX_FIELD_BOOL:
        sx_value_set(out, field->name, sx_value_bool(*(const bool *)at));
        return;
    case SX_FIELD_F64:
        if (field->run == 0) {
            memcpy(&real, at, sizeof real);
            sx_value_set(out, field->name, sx_value_real(real));
            return;
        }
        struct sx_value *list = sx_value_set(out, field->name, sx_value_list());
        for (size_t i = 0; i < field->run; i++) {
            memcpy(&real, at + i * sizeof real, sizeof real);
            sx_value_append(list, sx_value_real(real));
        }
        return;
    case SX_FIELD_CHAR:
        sx_document_text(out, field->name, at);
        return;
    case SX_FIELD_TEXT:
        memcpy(&text, at, sizeof text);
        if (text)
            sx_document_text(out, field->name, text);
        return;
    case SX_FIELD_U32:
    case SX_FIELD_F32:
        break;
    }
    SX_ASSERT(!"no scalar of this type");
}

static enum sx_status add_tensor(struct sx_answer *answer, const char *name, enum sx_dtype dtype,
                                 int rank, const uint64_t *shape, void *take, struct sx_error *err)
{
    if (!take)
        return sx_fail(err, SX_ERR_NOMEM, "--out: no memory for a copy of %s", name);
    SX_GROW(answer->tensors, answer->room, answer->n + 1);
    struct sx_tensor_out *tensor = &answer->tensors[answer->n++];
    *tensor = (struct sx_tensor_out){.name = name, .dtype = dtype, .rank = rank, .data = take};
    memcpy(tensor->shape, shape, (size_t)rank * sizeof *shape);
    return SX_OK;
}

static enum sx_status add_array(struct sx_answer *answer, const struct sx_field *field,
                                const void *data, struct sx_error *err)
{
    uint64_t shape[MAX_RANK], elements;
    int rank;
    char *array;
    memcpy(&array, (const char *)data + field->at, sizeof array);
    if (!shape_of(data, answer->kind, field, &rank, shape, &elements))
        return sx_fail(err, SX_ERR_UNSUPPORTED, "--out: %s has more than %llu values", field->name,
                       (unsigned long long)MAX_VALUES);
    if (!array || elements == 0)
        return SX_OK;
    char *block =
        sx_alloc_big((size_t)elements, values_of_element(field) * sx_field_bytes(field->type));
    if (block)
        copy_values(field, array, block, (size_t)elements, false);
    return add_tensor(answer, field->name, dtype_of(field->type), rank, shape, block, err);
}

static enum sx_status add_fields(struct sx_answer *answer, const void *data, struct sx_error *err)
{
    for (size_t i = 0; i < answer->kind->n_fields; i++) {
        const struct sx_field *field = &answer->kind->fields[i];
        if (field->rank == 0)
            add_scalar(answer->scalars, field, (const char *)data + field->at);
        else
            SX_TRY(add_array(answer, field, data, err));
    }
    return SX_OK;
}

/* As in a stored run; names with a slash stand in the root. */
static enum sx_status add_tokens(struct sx_answer *answer, const struct sx_model *model,
                                 const int32_t *ids, size_t n, struct sx_error *err)
{
    enum { TEXT = sizeof(((struct sx_token_text *)0)->text) };
    const uint64_t shape[] = {n, TEXT};
    int32_t *copy = sx_alloc_big(n, sizeof *copy);
    char *texts = sx_calloc_big(n, TEXT);
    for (size_t i = 0; copy && texts && i < n; i++) {
        copy[i] = ids[i];
        sx_answer_label(model, ids[i], texts + i * TEXT, TEXT);
    }
    enum sx_status status = add_tensor(answer, "/ids", SX_DTYPE_I32, 1, shape, copy, err);
    if (status == SX_OK)
        return add_tensor(answer, "/token_texts", SX_DTYPE_U8, 2, shape, texts, err);
    sx_free(texts);
    return status;
}

/* NULL: the job keeps no arrays. */
static struct sx_answer *answer_new(struct sx_job *job)
{
    SX_ASSERT(!job->result);
    if (!sx_result_file_has_arrays(job))
        return NULL;
    struct sx_answer *answer = sx_xcalloc(1, sizeof *answer);
    job->result = answer;
    job->result_free = answer_free;
    answer->model = sx_value_map();
    answer->scalars = sx_value_map();
    return answer;
}

enum sx_status sx_answer_keep_model(struct sx_job *job, struct sx_model *model,
                                    struct sx_error *err)
{
    struct sx_answer *answer = answer_new(job);
    return answer ? sx_model_tell(model, answer->model, err) : SX_OK;
}

enum sx_status sx_answer_keep(struct sx_job *job, struct sx_model *model, const int32_t *ids,
                              size_t n, enum sx_slot slot, const void *data, struct sx_error *err)
{
    struct sx_answer *answer = answer_new(job);
    if (!answer)
        return SX_OK;
    answer->kind = sx_answer_kind_of(slot);
    SX_ASSERT(answer->kind);
    sx_document_text(answer->model, "slot", answer->kind->name);
    sx_document_int(answer->model, "sequences", ids ? 1 : 0);
    SX_TRY(sx_model_tell(model, answer->model, err));
    if (ids)
        SX_TRY(add_tokens(answer, model, ids, n, err));
    return add_fields(answer, data, err);
}

void sx_answer_about(const struct sx_answer *answer, struct sx_value *about)
{
    for (size_t i = 0; i < sx_value_count(answer->model); i++)
        sx_value_set(about, sx_value_key(answer->model, i),
                     sx_value_dup(sx_value_item(answer->model, i)));
}

enum sx_status sx_answer_write(const struct sx_answer *answer, struct sx_h5 *h5,
                               struct sx_error *err)
{
    if (!answer->kind)
        return SX_OK;
    for (size_t i = 0; i < answer->n; i++) {
        const struct sx_tensor_out *tensor = &answer->tensors[i];
        const bool root = tensor->name[0] == '/';
        uint64_t count = 1;
        for (int d = 0; d < tensor->rank; d++)
            count *= tensor->shape[d];
        char *name =
            sx_xasprintf("%s%s%s", root ? "" : answer->kind->name, root ? "" : "/", tensor->name);
        const enum sx_status status =
            sx_h5_write(h5, name, tensor->dtype, tensor->rank, tensor->shape, tensor->data,
                        count > SMALL ? DEFLATE : 0, err);
        sx_free(name);
        SX_TRY(status);
    }
    return sx_h5_write_attributes(h5, answer->kind->name, answer->scalars, err);
}

/* --- reading back -------------------------------------------------------------------------------
 */

struct reading {
    const struct sx_answer_kind *kind;
    const char *path;
    struct sx_h5 *h5;
    struct sx_value *scalars;
    char *data;
};

const struct sx_answer_kind *sx_answer_kind_in(const struct sx_value *about)
{
    return sx_answer_kind_named(sx_value_string_or(sx_value_get(about, "slot"), ""));
}

static enum sx_status wrong(const struct reading *in, const struct sx_field *field,
                            const char *expected, struct sx_error *err)
{
    return sx_fail(err, SX_ERR_FORMAT, "%s: %s/%s: expected %s", in->path, in->kind->name,
                   field->name, expected);
}

static enum sx_status read_integer(const struct reading *in, const struct sx_field *field,
                                   const struct sx_value *value, char *at, struct sx_error *err)
{
    const int64_t number = sx_value_int_or(value, 0);
    if (sx_value_kind(value) != SX_VALUE_INT)
        return wrong(in, field, "an integer", err);
    if (field->below && (number < 0 || number >= field->below))
        return wrong(in, field, "one of the known kinds", err);
    if (field->type == SX_FIELD_I32) {
        const int32_t small = (int32_t)number;
        if (small != number)
            return wrong(in, field, "an integer of 32 bits", err);
        memcpy(at, &small, sizeof small);
    } else if (field->type == SX_FIELD_BITS) {
        memcpy(at, &number, sizeof number);
    } else {
        const size_t size = number < 0 ? SIZE_MAX : (size_t)number;
        memcpy(at, &size, sizeof size);
    }
    return SX_OK;
}

static enum sx_status read_real(const struct reading *in, const struct sx_field *field,
                                const struct sx_value *value, char *at, struct sx_error *err)
{
    const size_t run = at_least_one(field->run);
    if (field->run &&
        (sx_value_kind(value) != SX_VALUE_LIST || sx_value_count(value) != field->run))
        return wrong(in, field, "a list of reals as long as sextant writes it", err);
    for (size_t i = 0; i < run; i++) {
        const struct sx_value *one = field->run ? sx_value_item(value, i) : value;
        const double real = sx_value_real_or(one, 0);
        if (sx_value_kind(one) != SX_VALUE_REAL && sx_value_kind(one) != SX_VALUE_INT)
            return wrong(in, field, "a real", err);
        memcpy(at + i * sizeof real, &real, sizeof real);
    }
    return SX_OK;
}

static enum sx_status read_text(const struct reading *in, const struct sx_field *field,
                                const struct sx_value *value, char *at, struct sx_error *err)
{
    const char *text = sx_value_string_or(value, NULL);
    if (!text || strlen(text) > MAX_TEXT)
        return wrong(in, field, "a text", err);
    if (field->type == SX_FIELD_CHAR) {
        sx_text_clean(at, field->run, text, strlen(text));
        return SX_OK;
    }
    char *copy = sx_text_clean_dup(text, strlen(text), strlen(text));
    memcpy(at, &copy, sizeof copy);
    return SX_OK;
}

static enum sx_status read_scalar(const struct reading *in, const struct sx_field *field,
                                  struct sx_error *err)
{
    const struct sx_value *value = sx_value_get(in->scalars, field->name);
    char *at = in->data + field->at;
    if (!value && field->type == SX_FIELD_TEXT)
        return SX_OK;
    switch (field->type) {
    case SX_FIELD_SIZE:
    case SX_FIELD_BITS:
    case SX_FIELD_I32:
        return read_integer(in, field, value, at, err);
    case SX_FIELD_F64:
        return read_real(in, field, value, at, err);
    case SX_FIELD_BOOL:
        if (sx_value_kind(value) != SX_VALUE_BOOL && sx_value_kind(value) != SX_VALUE_INT)
            return wrong(in, field, "true or false", err);
        *(bool *)at = sx_value_bool_or(value, sx_value_int_or(value, 0) != 0);
        return SX_OK;
    default:
        return read_text(in, field, value, at, err);
    }
}

static bool same_shape(struct sx_h5 *h5, const char *name, int rank, const uint64_t *shape)
{
    enum sx_dtype dtype;
    int found_rank;
    uint64_t found[8];
    return sx_h5_shape(h5, name, &dtype, &found_rank, found, NULL) == SX_OK &&
           sx_dtype_is_number(dtype) && found_rank == rank &&
           memcmp(found, shape, (size_t)rank * sizeof *shape) == 0;
}

/* Integers within their bounds; truth values and texts made ones. */
static enum sx_status tidy_block(const struct reading *in, const struct sx_field *field,
                                 char *block, size_t values, struct sx_error *err)
{
    for (size_t i = 0; i < values; i++) {
        int32_t number;
        if (field->type == SX_FIELD_BOOL)
            block[i] = block[i] != 0;
        if (!field->below)
            continue;
        memcpy(&number, block + i * sizeof number, sizeof number);
        if (number < 0 || number >= field->below)
            return wrong(in, field, "the known kinds alone", err);
    }
    for (size_t i = 0; field->type == SX_FIELD_CHAR && field->run > 1 && i < values;
         i += field->run) {
        char *raw = sx_xstrndup(block + i, field->run);
        sx_text_clean(block + i, field->run, raw, strlen(raw));
        sx_free(raw);
    }
    return SX_OK;
}

/* Arrays that two fields share are made by the first. */
static enum sx_status fill_array(const struct reading *in, const struct sx_field *field,
                                 size_t elements, char *block, struct sx_error *err)
{
    char *array;
    memcpy(&array, in->data + field->at, sizeof array);
    if (!array)
        array = sx_calloc_big(elements, step_of(field));
    if (!array)
        return sx_fail(err, SX_ERR_NOMEM, "%s: %s/%s: no memory for %zu values", in->path,
                       in->kind->name, field->name, elements * values_of_element(field));
    memcpy(in->data + field->at, &array, sizeof array);
    copy_values(field, array, block, elements, true);
    return SX_OK;
}

static enum sx_status read_dataset(const struct reading *in, const struct sx_field *field,
                                   const char *name, size_t elements, struct sx_error *err)
{
    const size_t values = elements * values_of_element(field);
    char *block = sx_alloc_big(values, sx_field_bytes(field->type));
    if (!block)
        return sx_fail(err, SX_ERR_NOMEM, "%s: %s: no memory for %zu values", in->path, name,
                       values);
    enum sx_status status = sx_h5_read(in->h5, name, dtype_of(field->type), values, block, err);
    if (status == SX_OK)
        status = tidy_block(in, field, block, values, err);
    if (status == SX_OK)
        status = fill_array(in, field, elements, block, err);
    sx_free(block);
    return status;
}

static enum sx_status read_array(const struct reading *in, const struct sx_field *field,
                                 struct sx_error *err)
{
    uint64_t shape[MAX_RANK], elements;
    int rank;
    if (!shape_of(in->data, in->kind, field, &rank, shape, &elements))
        return wrong(in, field, "fewer values", err);
    if (elements == 0)
        return SX_OK;
    char *name = sx_xasprintf("%s/%s", in->kind->name, field->name);
    enum sx_status status = SX_OK;
    if (!field->optional || sx_h5_kind(in->h5, name) == SX_H5_DATASET)
        status = same_shape(in->h5, name, rank, shape)
                     ? read_dataset(in, field, name, (size_t)elements, err)
                     : wrong(in, field, "numbers of the shape that its group tells", err);
    sx_free(name);
    return status;
}

static enum sx_status read_fields(const struct reading *in, const struct sx_input *input,
                                  struct sx_error *err)
{
    for (size_t i = 0; i < in->kind->n_fields; i++) {
        const struct sx_field *field = &in->kind->fields[i];
        SX_TRY(field->rank ? read_array(in, field, err) : read_scalar(in, field, err));
    }
    const char *why = in->kind->check(in->data, input);
    if (why)
        return sx_fail(err, SX_ERR_FORMAT, "%s: %s: %s", in->path, in->kind->name, why);
    return SX_OK;
}

enum sx_status sx_answer_read(const struct sx_answer_kind *kind, const struct sx_input *input,
                              void **data, struct sx_error *err)
{
    struct reading in = {.kind = kind, .path = input->run};
    SX_TRY(sx_h5_open(in.path, &in.h5, err));
    enum sx_status status = sx_h5_read_attributes(in.h5, kind->name, &in.scalars, err);
    if (status == SX_OK) {
        in.data = sx_xcalloc(1, kind->size);
        status = read_fields(&in, input, err);
    }
    if (status == SX_OK) {
        *data = in.data;
    } else if (in.data) {
        kind->release(in.data);
        sx_free(in.data);
    }
    sx_value_free(in.scalars);
    sx_h5_close(in.h5);
    return status;
}
