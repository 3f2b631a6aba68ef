#include "pickle.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"

enum {
    MAX_STACK = 100000,
    MAX_MEMO = 1 << 20,
    MAX_NODES = 4000000,
    MAX_STRING = 1 << 20,
    MAX_GLOBAL = 256,
    MAX_KEY = 64,
};

/* ---- the names that mean something ---- */

enum meaning {
    ORDERED_DICT,
    SET,
    SIZE,
    DEVICE,
    STORAGE_CLASS,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    REBUILD_PARAMETER_WITH_STATE,
    CLASS, /* instances become maps of their attributes */
    PLAIN, /* only ever a value */
};

static const struct global {
    const char *module;
    const char *name;
    enum meaning meaning;
    enum sx_dtype dtype;
} globals[] = {
    {"collections", "OrderedDict", ORDERED_DICT, 0},
    {"__builtin__", "set", SET, 0},
    {"builtins", "set", SET, 0},
    {"torch", "Size", SIZE, 0},
    {"torch", "device", DEVICE, 0},
    {"torch", "FloatStorage", STORAGE_CLASS, SX_DTYPE_F32},
    {"torch", "DoubleStorage", STORAGE_CLASS, SX_DTYPE_F64},
    {"torch", "HalfStorage", STORAGE_CLASS, SX_DTYPE_F16},
    {"torch", "BFloat16Storage", STORAGE_CLASS, SX_DTYPE_BF16},
    {"torch", "LongStorage", STORAGE_CLASS, SX_DTYPE_I64},
    {"torch", "IntStorage", STORAGE_CLASS, SX_DTYPE_I32},
    {"torch", "ShortStorage", STORAGE_CLASS, SX_DTYPE_I16},
    {"torch", "CharStorage", STORAGE_CLASS, SX_DTYPE_I8},
    {"torch", "ByteStorage", STORAGE_CLASS, SX_DTYPE_U8},
    {"torch", "BoolStorage", STORAGE_CLASS, SX_DTYPE_BOOL},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", REBUILD_PARAMETER_WITH_STATE, 0},
    {"argparse", "Namespace", CLASS, 0},
    {"torch.nn.modules.linear", "Linear", CLASS, 0},
    {"__main__", "SAE_l1w_encoder_decoder", CLASS, 0},
    {"__main__", "SAE_l2w_encoder_decoder", CLASS, 0},
    {"torch", "float32", PLAIN, 0},
    {"torch", "float16", PLAIN, 0},
    {"torch", "bfloat16", PLAIN, 0},
    {"torch", "float64", PLAIN, 0},
};

void sx_pickle_global_name(size_t global, char *out, size_t size)
{
    snprintf(out, size, "%s.%s", globals[global].module, globals[global].name);
}

/* ---- the machine ---- */

struct machine {
    const char *label;
    const uint8_t *bytes;
    size_t len;
    size_t at;
    size_t op_at;
    struct sx_pickle *pickle;
    uint32_t *stack;
    size_t depth, stack_capacity;
    size_t *marks;
    size_t n_marks, marks_capacity;
    uint32_t *memo; /* node + 1; 0: empty */
    size_t memo_size;
    struct sx_error *err;
};

static enum sx_status bad(struct machine *m, const char *what)
{
    return sx_fail(m->err, SX_ERR_FORMAT, "%s: pickle, byte %zu: %s", m->label, m->op_at, what);
}

static struct sx_pickle_node *node(struct machine *m, uint32_t id)
{
    return &m->pickle->nodes[id];
}

static enum sx_status make(struct machine *m, enum sx_pickle_kind kind, uint32_t *id)
{
    struct sx_pickle *p = m->pickle;
    if (p->n_nodes == MAX_NODES)
        return bad(m, "more than 4 million values");
    SX_GROW(p->nodes, p->nodes_capacity, p->n_nodes + 1);
    p->nodes[p->n_nodes] = (struct sx_pickle_node){.kind = kind};
    *id = (uint32_t)p->n_nodes++;
    return SX_OK;
}

static enum sx_status push(struct machine *m, uint32_t id)
{
    if (m->depth == MAX_STACK)
        return bad(m, "the stack is deeper than 100000");
    SX_GROW(m->stack, m->stack_capacity, m->depth + 1);
    m->stack[m->depth++] = id;
    return SX_OK;
}

static enum sx_status push_new(struct machine *m, enum sx_pickle_kind kind,
                               struct sx_pickle_node **out)
{
    uint32_t id;
    SX_TRY(make(m, kind, &id));
    SX_TRY(push(m, id));
    *out = node(m, id);
    return SX_OK;
}

/* The stack above the last mark is what belongs together; nothing reaches below it. */
static size_t floor_of(const struct machine *m)
{
    return m->n_marks ? m->marks[m->n_marks - 1] : 0;
}

static enum sx_status pop(struct machine *m, uint32_t *id)
{
    if (m->depth <= floor_of(m))
        return bad(m, "the stack is empty");
    *id = m->stack[--m->depth];
    return SX_OK;
}

static enum sx_status top(struct machine *m, uint32_t *id)
{
    if (m->depth <= floor_of(m))
        return bad(m, "the stack is empty");
    *id = m->stack[m->depth - 1];
    return SX_OK;
}

/* The items above the last mark, which is taken off. */
static enum sx_status pop_mark(struct machine *m, size_t *first)
{
    if (m->n_marks == 0)
        return bad(m, "no mark");
    *first = m->marks[--m->n_marks];
    return SX_OK;
}

static enum sx_status take(struct machine *m, size_t n, const uint8_t **out)
{
    if (n > m->len - m->at)
        return bad(m, "cut off");
    *out = m->bytes + m->at;
    m->at += n;
    return SX_OK;
}

static void add_items(struct machine *m, uint32_t id, const uint32_t *items, size_t n)
{
    struct sx_pickle_node *to = node(m, id);
    size_t capacity = to->capacity;
    SX_GROW(to->u.items, capacity, to->count + n);
    to->capacity = (uint32_t)capacity;
    if (n > 0)
        memcpy(to->u.items + to->count, items, n * sizeof *items);
    to->count += (uint32_t)n;
}

static enum sx_status push_tuple(struct machine *m, size_t first)
{
    uint32_t id;
    SX_TRY(make(m, SX_PICKLE_TUPLE, &id));
    add_items(m, id, m->stack + first, m->depth - first);
    m->depth = first;
    return push(m, id);
}

static enum sx_status push_last_as_tuple(struct machine *m, size_t n)
{
    if (m->depth - floor_of(m) < n)
        return bad(m, "the stack is empty");
    return push_tuple(m, m->depth - n);
}

static enum sx_status push_int(struct machine *m, int64_t value)
{
    struct sx_pickle_node *n;
    SX_TRY(push_new(m, SX_PICKLE_INT, &n));
    n->u.i = value;
    return SX_OK;
}

static enum sx_status push_little_endian(struct machine *m, size_t bytes, bool is_signed)
{
    const uint8_t *p = NULL;
    uint64_t value = 0;
    SX_TRY(take(m, bytes, &p));
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)p[i] << (8 * i);
    if (is_signed && bytes > 0 && bytes < 8 && (p[bytes - 1] & 0x80U))
        value |= UINT64_MAX << (8 * bytes);
    return push_int(m, (int64_t)value);
}

static enum sx_status push_long(struct machine *m)
{
    const uint8_t *n = NULL;
    SX_TRY(take(m, 1, &n));
    if (*n > 8)
        return bad(m, "an integer of more than 64 bits");
    return push_little_endian(m, *n, true);
}

static enum sx_status push_real(struct machine *m)
{
    const uint8_t *p = NULL;
    struct sx_pickle_node *n;
    uint64_t bits = 0;
    SX_TRY(take(m, 8, &p));
    for (int i = 0; i < 8; i++) /* big-endian, unlike everything else */
        bits = bits << 8 | p[i];
    SX_TRY(push_new(m, SX_PICKLE_REAL, &n));
    memcpy(&n->u.d, &bits, sizeof bits);
    return SX_OK;
}

static enum sx_status push_string(struct machine *m, size_t length_bytes)
{
    const uint8_t *p = NULL;
    struct sx_pickle_node *n;
    SX_TRY(take(m, length_bytes, &p));
    size_t len = length_bytes == 1 ? *p : sx_le32(p);
    if (len > MAX_STRING)
        return bad(m, "a string of more than 1 MiB");
    SX_TRY(take(m, len, &p));
    if (!sx_utf8_valid((const char *)p, len) || memchr(p, 0, len))
        return bad(m, "a string that is not UTF-8 or holds a zero byte");
    SX_TRY(push_new(m, SX_PICKLE_STRING, &n));
    n->u.text = (const char *)p;
    n->count = (uint32_t)len;
    return SX_OK;
}

static enum sx_status push_bool(struct machine *m, bool value)
{
    struct sx_pickle_node *n;
    SX_TRY(push_new(m, SX_PICKLE_BOOL, &n));
    n->u.b = value;
    return SX_OK;
}

static enum sx_status memo_put(struct machine *m, size_t index)
{
    uint32_t id;
    SX_TRY(top(m, &id));
    if (index >= MAX_MEMO)
        return bad(m, "a memo index of 2^20 or more");
    if (index >= m->memo_size) {
        size_t size = index + 1 > 2 * m->memo_size ? index + 1 : 2 * m->memo_size;
        m->memo = sx_xrealloc(m->memo, size * sizeof *m->memo);
        memset(m->memo + m->memo_size, 0, (size - m->memo_size) * sizeof *m->memo);
        m->memo_size = size;
    }
    m->memo[index] = id + 1;
    return SX_OK;
}

static enum sx_status memo_get(struct machine *m, size_t index)
{
    if (index >= m->memo_size || m->memo[index] == 0)
        return bad(m, "a memo entry that was never put");
    return push(m, m->memo[index] - 1);
}

static enum sx_status memo(struct machine *m, size_t bytes, bool put)
{
    const uint8_t *p = NULL;
    SX_TRY(take(m, bytes, &p));
    size_t index = bytes == 1 ? *p : sx_le32(p);
    return put ? memo_put(m, index) : memo_get(m, index);
}

static enum sx_status take_line(struct machine *m, char *out, size_t size)
{
    const uint8_t *end = memchr(m->bytes + m->at, '\n', m->len - m->at);
    size_t n = end ? (size_t)(end - (m->bytes + m->at)) : 0;
    if (!end || n >= size || memchr(m->bytes + m->at, 0, n))
        return bad(m, "a name that is cut off or too long");
    memcpy(out, m->bytes + m->at, n);
    out[n] = '\0';
    m->at += n + 1;
    return SX_OK;
}

static enum sx_status push_global(struct machine *m)
{
    char module[MAX_GLOBAL];
    char name[MAX_GLOBAL];
    struct sx_pickle_node *n;
    SX_TRY(take_line(m, module, sizeof module));
    SX_TRY(take_line(m, name, sizeof name));
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (!strcmp(globals[i].module, module) && !strcmp(globals[i].name, name)) {
            SX_TRY(push_new(m, SX_PICKLE_GLOBAL, &n));
            n->u.global = i;
            return SX_OK;
        }
    return sx_fail(m->err, SX_ERR_UNSUPPORTED,
                   "%s: pickle, byte %zu: refers to %s.%s, which is not one of the names that are "
                   "read; save a state_dict() of tensors instead",
                   m->label, m->op_at, module, name);
}

/* ---- tensors ---- */

static bool text_equals(const struct sx_pickle_node *n, const char *text)
{
    return n->kind == SX_PICKLE_STRING && n->count == strlen(text) &&
           !memcmp(n->u.text, text, n->count);
}

static bool copy_key(const struct sx_pickle_node *n, char key[MAX_KEY + 1])
{
    static const char allowed[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.-";
    if (n->kind != SX_PICKLE_STRING || n->count == 0 || n->count > MAX_KEY)
        return false;
    memcpy(key, n->u.text, n->count);
    key[n->count] = '\0';
    return strspn(key, allowed) == n->count;
}

static bool is_meaning(const struct sx_pickle_node *n, enum meaning meaning)
{
    return n->kind == SX_PICKLE_GLOBAL && globals[n->u.global].meaning == meaning;
}

/* ("storage", class, key, location, count); where it lived is of no interest. */
static enum sx_status push_storage(struct machine *m)
{
    uint32_t id;
    SX_TRY(pop(m, &id));
    const struct sx_pickle_node *t = node(m, id);
    struct sx_pickle *p = m->pickle;
    if (t->kind != SX_PICKLE_TUPLE || t->count != 5 ||
        !text_equals(node(m, t->u.items[0]), "storage"))
        return bad(m, "a persistent id that is not a storage");
    const struct sx_pickle_node *class = node(m, t->u.items[1]);
    const struct sx_pickle_node *count = node(m, t->u.items[4]);
    struct sx_pickle_storage s = {0};
    if (!is_meaning(class, STORAGE_CLASS))
        return bad(m, "a storage of an unknown class");
    if (!copy_key(node(m, t->u.items[2]), s.key))
        return bad(m, "a storage key that is not a short plain word");
    if (count->kind != SX_PICKLE_INT || count->u.i < 0)
        return bad(m, "a storage without a size");
    s.dtype = globals[class->u.global].dtype;
    s.count = (uint64_t)count->u.i;
    SX_GROW(p->storages, p->storages_capacity, p->n_storages + 1);
    p->storages[p->n_storages++] = s;
    struct sx_pickle_node *n;
    SX_TRY(push_new(m, SX_PICKLE_STORAGE, &n));
    n->u.storage = p->n_storages - 1;
    return SX_OK;
}

/* A tuple of at most SX_MAX_RANK integers that are not negative. */
static bool copy_sizes(struct machine *m, uint32_t id, int *rank, uint64_t *out)
{
    const struct sx_pickle_node *t = node(m, id);
    if (t->kind != SX_PICKLE_TUPLE || t->count > SX_MAX_RANK)
        return false;
    *rank = (int)t->count;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct sx_pickle_node *n = node(m, t->u.items[i]);
        if (n->kind != SX_PICKLE_INT || n->u.i < 0)
            return false;
        out[i] = (uint64_t)n->u.i;
    }
    return true;
}

/* The last element of a tensor that has any lies inside its storage, and no element is there twice:
 * an expanded tensor would let a few bytes claim terabytes. */
static const char *tensor_problem(const struct sx_pickle_tensor *t, uint64_t stored)
{
    uint64_t last = t->offset;
    uint64_t count = 1;
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] == 0)
            return NULL;
    for (int i = 0; i < t->rank; i++) {
        uint64_t reach;
        if (__builtin_mul_overflow(t->shape[i] - 1, t->strides[i], &reach) ||
            __builtin_add_overflow(last, reach, &last) ||
            __builtin_mul_overflow(count, t->shape[i], &count))
            return "a tensor whose size overflows";
    }
    if (last >= stored)
        return "a tensor that reaches behind its storage";
    return count > stored ? "a tensor with more elements than its storage (expanded?)" : NULL;
}

static enum sx_status push_tensor(struct machine *m, const struct sx_pickle_node *args)
{
    struct sx_pickle *p = m->pickle;
    struct sx_pickle_tensor t = {0};
    int strides = 0;
    if (args->count < 6 || args->count > 7)
        return bad(m, "a tensor with the wrong number of parts");
    const struct sx_pickle_node *storage = node(m, args->u.items[0]);
    const struct sx_pickle_node *offset = node(m, args->u.items[1]);
    if (storage->kind != SX_PICKLE_STORAGE)
        return bad(m, "a tensor without a storage");
    if (offset->kind != SX_PICKLE_INT || offset->u.i < 0)
        return bad(m, "a tensor with a negative offset");
    if (!copy_sizes(m, args->u.items[2], &t.rank, t.shape) ||
        !copy_sizes(m, args->u.items[3], &strides, t.strides) || strides != t.rank)
        return bad(m,
                   "a tensor whose sizes or strides are negative, too many or unequal in number");
    t.storage = storage->u.storage;
    t.offset = (uint64_t)offset->u.i;
    const char *problem = tensor_problem(&t, p->storages[t.storage].count);
    if (problem)
        return bad(m, problem);
    SX_GROW(p->tensors, p->tensors_capacity, p->n_tensors + 1);
    p->tensors[p->n_tensors++] = t;
    struct sx_pickle_node *n;
    SX_TRY(push_new(m, SX_PICKLE_TENSOR, &n));
    n->u.tensor = p->n_tensors - 1;
    return SX_OK;
}

/* ---- objects ---- */

static enum sx_status push_set(struct machine *m, const struct sx_pickle_node *args)
{
    uint32_t id;
    uint32_t from = args->count == 1 ? args->u.items[0] : 0;
    if (args->count > 1 || (args->count == 1 && node(m, from)->kind != SX_PICKLE_LIST))
        return bad(m, "a set of something that is not a list");
    SX_TRY(make(m, SX_PICKLE_SET, &id));
    if (args->count == 1)
        add_items(m, id, node(m, from)->u.items, node(m, from)->count);
    return push(m, id);
}

/* Nothing is called: what the listed functions would return is built here. */
static enum sx_status reduce(struct machine *m)
{
    uint32_t args_id;
    uint32_t function_id;
    struct sx_pickle_node *made;
    SX_TRY(pop(m, &args_id));
    SX_TRY(pop(m, &function_id));
    const struct sx_pickle_node *function = node(m, function_id);
    /* A copy: making nodes moves the array, not the items. */
    const struct sx_pickle_node args = *node(m, args_id);
    if (function->kind != SX_PICKLE_GLOBAL || args.kind != SX_PICKLE_TUPLE)
        return bad(m, "a call of something that is not a listed name");
    const struct global *g = &globals[function->u.global];
    switch (g->meaning) {
    case ORDERED_DICT:
        return args.count == 0 ? push_new(m, SX_PICKLE_DICT, &made)
                               : bad(m, "an OrderedDict with arguments");
    case SET:
        return push_set(m, &args);
    case SIZE:
    case DEVICE:
        if (args.count == 0)
            return bad(m, "a size or device without arguments");
        return push(m, args.u.items[0]);
    case REBUILD_TENSOR:
        return push_tensor(m, &args);
    case REBUILD_PARAMETER:
    case REBUILD_PARAMETER_WITH_STATE:
        if (args.count != (g->meaning == REBUILD_PARAMETER ? 3U : 4U) ||
            node(m, args.u.items[0])->kind != SX_PICKLE_TENSOR)
            return bad(m, "a parameter that is not a tensor");
        return push(m, args.u.items[0]);
    default:
        return sx_fail(m->err, SX_ERR_UNSUPPORTED,
                       "%s: pickle, byte %zu: a call of %s.%s is not read", m->label, m->op_at,
                       g->module, g->name);
    }
}

static enum sx_status new_object(struct machine *m)
{
    uint32_t args_id;
    uint32_t class_id;
    struct sx_pickle_node *made;
    SX_TRY(pop(m, &args_id));
    SX_TRY(pop(m, &class_id));
    size_t global = node(m, class_id)->u.global;
    if (!is_meaning(node(m, class_id), CLASS) || node(m, args_id)->kind != SX_PICKLE_TUPLE ||
        node(m, args_id)->count != 0)
        return bad(m, "an object of a class that is not listed, or with arguments");
    SX_TRY(push_new(m, SX_PICKLE_OBJECT, &made));
    made->u.global = global;
    return SX_OK;
}

/* The state of an object is its dictionary of attributes; what a dict carries beside its items
 * (a state_dict's _metadata) is dropped. */
static enum sx_status build(struct machine *m)
{
    uint32_t state;
    uint32_t id;
    SX_TRY(pop(m, &state));
    SX_TRY(top(m, &id));
    struct sx_pickle_node *n = node(m, id);
    if (n->kind == SX_PICKLE_DICT)
        return SX_OK;
    if (n->kind != SX_PICKLE_OBJECT || n->state != 0 || node(m, state)->kind != SX_PICKLE_DICT)
        return bad(m, "a state for something that has none");
    n->state = state;
    return SX_OK;
}

static enum sx_status set_items(struct machine *m, size_t first)
{
    uint32_t id;
    size_t n = m->depth - first;
    if (n % 2 != 0)
        return bad(m, "a key without a value");
    for (size_t i = 0; i < n; i += 2) {
        enum sx_pickle_kind kind = node(m, m->stack[first + i])->kind;
        if (kind != SX_PICKLE_STRING && kind != SX_PICKLE_INT)
            return bad(m, "a key that is neither a string nor an integer");
    }
    m->depth = first;
    SX_TRY(top(m, &id));
    if (node(m, id)->kind != SX_PICKLE_DICT)
        return bad(m, "keys for something that is not a dict");
    add_items(m, id, m->stack + first, n);
    return SX_OK;
}

static enum sx_status append_items(struct machine *m, size_t first)
{
    uint32_t id;
    size_t n = m->depth - first;
    m->depth = first;
    SX_TRY(top(m, &id));
    if (node(m, id)->kind != SX_PICKLE_LIST)
        return bad(m, "items for something that is not a list");
    add_items(m, id, m->stack + first, n);
    return SX_OK;
}

static enum sx_status push_mark(struct machine *m)
{
    if (m->n_marks == MAX_STACK)
        return bad(m, "more than 100000 marks");
    SX_GROW(m->marks, m->marks_capacity, m->n_marks + 1);
    m->marks[m->n_marks++] = m->depth;
    return SX_OK;
}

static enum sx_status above_last(struct machine *m, size_t n, size_t *first)
{
    if (m->depth - floor_of(m) < n)
        return bad(m, "the stack is empty");
    *first = m->depth - n;
    return SX_OK;
}

/* One opcode; *stop at the end. */
static enum sx_status step(struct machine *m, bool *stop)
{
    const uint8_t *p = NULL;
    struct sx_pickle_node *made;
    size_t first;
    m->op_at = m->at;
    SX_TRY(take(m, 1, &p));
    switch (*p) {
    case 0x80: /* PROTO */
        SX_TRY(take(m, 1, &p));
        return *p <= 3 ? SX_OK : bad(m, "pickle protocol above 3");
    case '}':
        return push_new(m, SX_PICKLE_DICT, &made);
    case ']':
        return push_new(m, SX_PICKLE_LIST, &made);
    case ')':
        return push_new(m, SX_PICKLE_TUPLE, &made);
    case 0x8f: /* EMPTY_SET */
        return push_new(m, SX_PICKLE_SET, &made);
    case 'N':
        return push_new(m, SX_PICKLE_NONE, &made);
    case 0x88:
        return push_bool(m, true);
    case 0x89:
        return push_bool(m, false);
    case 'J':
        return push_little_endian(m, 4, true);
    case 'K':
        return push_little_endian(m, 1, false);
    case 'M':
        return push_little_endian(m, 2, false);
    case 0x8a:
        return push_long(m);
    case 'G':
        return push_real(m);
    case 'X':
        return push_string(m, 4);
    case 'U':
        return push_string(m, 1);
    case 'c':
        return push_global(m);
    case 'q':
        return memo(m, 1, true);
    case 'r':
        return memo(m, 4, true);
    case 'h':
        return memo(m, 1, false);
    case 'j':
        return memo(m, 4, false);
    case '(':
        return push_mark(m);
    case 't':
        SX_TRY(pop_mark(m, &first));
        return push_tuple(m, first);
    case 0x85:
    case 0x86:
    case 0x87:
        return push_last_as_tuple(m, *p - 0x84U);
    case 's':
        SX_TRY(above_last(m, 2, &first));
        return set_items(m, first);
    case 'u':
        SX_TRY(pop_mark(m, &first));
        return set_items(m, first);
    case 'a':
        SX_TRY(above_last(m, 1, &first));
        return append_items(m, first);
    case 'e':
        SX_TRY(pop_mark(m, &first));
        return append_items(m, first);
    case 'Q':
        return push_storage(m);
    case 'R':
        return reduce(m);
    case 0x81:
        return new_object(m);
    case 'b':
        return build(m);
    case '.':
        *stop = true;
        return SX_OK;
    default:
        return sx_fail(m->err, SX_ERR_UNSUPPORTED,
                       "%s: pickle, byte %zu: opcode 0x%02x is not one that is read", m->label,
                       m->op_at, *p);
    }
}

static enum sx_status run(struct machine *m)
{
    uint32_t none;
    bool stop = false;
    SX_TRY(make(m, SX_PICKLE_NONE, &none));
    SX_GROW(m->stack, m->stack_capacity, 1); /* so that it never is a null pointer */
    while (!stop)
        SX_TRY(step(m, &stop));
    if (m->depth != 1 || m->n_marks != 0)
        return bad(m, "the end leaves not exactly one value");
    if (m->at != m->len)
        return bad(m, "something behind the end");
    m->pickle->root = m->stack[0];
    return SX_OK;
}

enum sx_status sx_pickle_parse(const char *label, const uint8_t *bytes, size_t len,
                               struct sx_pickle *out, struct sx_error *err)
{
    *out = (struct sx_pickle){0};
    struct machine m = {.label = label, .bytes = bytes, .len = len, .pickle = out, .err = err};
    enum sx_status status = run(&m);
    sx_free(m.stack);
    sx_free(m.marks);
    sx_free(m.memo);
    if (status != SX_OK)
        sx_pickle_release(out);
    return status;
}

static bool has_items(enum sx_pickle_kind kind)
{
    return kind == SX_PICKLE_TUPLE || kind == SX_PICKLE_LIST || kind == SX_PICKLE_SET ||
           kind == SX_PICKLE_DICT;
}

void sx_pickle_release(struct sx_pickle *p)
{
    for (size_t i = 0; i < p->n_nodes; i++)
        if (has_items(p->nodes[i].kind))
            sx_free(p->nodes[i].u.items);
    sx_free(p->nodes);
    sx_free(p->storages);
    sx_free(p->tensors);
    *p = (struct sx_pickle){0};
}
