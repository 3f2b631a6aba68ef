/* torch.save's zip format: a pickle that describes the tensors and one stored member per storage.
 */
#include <stdio.h>
#include <string.h>

#include "pickle.h"
#include "sextant/base/alloc.h"
#include "tensor_file_impl.h"

enum {
    MAX_PICKLE = 64 << 20,
    MAX_DEPTH = 48,
    MAX_COST = 128 << 20, /* of the values that are kept, in bytes, roughly */
    VALUE_COST = 128,
};

static const char pickle_ending[] = "/data.pkl";

struct emit {
    struct sx_tensor_file *file;
    const struct sx_pickle *pickle;
    uint64_t *data; /* of each storage: offset in the file */
    size_t cost;
    char name[SX_MAX_NAME + 1];
    size_t name_len;
    struct sx_error *err;
};

/* ---- storages ---- */

static enum sx_status find_root(const struct sx_tensor_file *file, const struct sx_zip *zip,
                                const struct sx_zip_entry **pickle, struct sx_error *err)
{
    *pickle = NULL;
    for (size_t i = 0; i < zip->count; i++) {
        const char *name = zip->entries[i].name;
        size_t len = strlen(name);
        if (zip->entries[i].deflated)
            return sx_fail(err, SX_ERR_UNSUPPORTED,
                           "%s: member %s is compressed; torch stores them", file->path, name);
        if (len < strlen(pickle_ending) ||
            strcmp(name + len - strlen(pickle_ending), pickle_ending) != 0)
            continue;
        if (*pickle)
            return sx_fail(err, SX_ERR_FORMAT, "%s: two data.pkl", file->path);
        *pickle = &zip->entries[i];
    }
    return SX_OK;
}

static const struct sx_zip_entry *member(const struct sx_zip *zip,
                                         const struct sx_zip_entry *pickle, const char *name)
{
    int root = (int)(strlen(pickle->name) - strlen(pickle_ending));
    char *full = sx_xasprintf("%.*s/%s", root, pickle->name, name);
    const struct sx_zip_entry *found = sx_zip_find(zip, full);
    sx_free(full);
    return found;
}

static enum sx_status check_byte_order(const struct sx_tensor_file *file, const struct sx_zip *zip,
                                       const struct sx_zip_entry *pickle, struct sx_error *err)
{
    char order[8] = "";
    const struct sx_zip_entry *e = member(zip, pickle, "byteorder");
    if (!e)
        return SX_OK;
    if (e->size < sizeof order)
        SX_TRY(sx_zip_read(&file->bytes, e, (size_t)e->size, order, err));
    if (strcmp(order, "little") != 0)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: byte order \"%s\", only little is read",
                       file->path, order);
    return SX_OK;
}

static enum sx_status find_storages(struct emit *e, const struct sx_zip *zip,
                                    const struct sx_zip_entry *pickle)
{
    for (size_t i = 0; i < e->pickle->n_storages; i++) {
        const struct sx_pickle_storage *s = &e->pickle->storages[i];
        char name[80];
        uint64_t bytes;
        snprintf(name, sizeof name, "data/%s", s->key);
        const struct sx_zip_entry *entry = member(zip, pickle, name);
        if (!entry)
            return sx_fail(e->err, SX_ERR_FORMAT, "%s: member %s is missing", e->file->path, name);
        if (__builtin_mul_overflow(s->count, sx_dtype_size(s->dtype), &bytes) ||
            bytes != entry->size)
            return sx_fail(e->err, SX_ERR_FORMAT,
                           "%s: member %s has %llu bytes, expected %llu x %s", e->file->path, name,
                           (unsigned long long)entry->size, (unsigned long long)s->count,
                           sx_dtype_name(s->dtype));
        e->data[i] = entry->data;
    }
    return SX_OK;
}

/* ---- the pickled tree as tensors and extra values ---- */

static const struct sx_pickle_node *node_of(const struct emit *e, uint32_t id)
{
    return &e->pickle->nodes[id];
}

static enum sx_status add_tensor(struct emit *e, const struct sx_pickle_node *n)
{
    const struct sx_pickle_tensor *t = &e->pickle->tensors[n->u.tensor];
    enum sx_dtype dtype = e->pickle->storages[t->storage].dtype;
    const char *name = e->name_len ? e->name : "tensor";
    struct sx_record *r;
    SX_TRY(sx_tensor_file_add(e->file, name, strlen(name), dtype, t->rank, t->shape, t->strides, &r,
                              e->err));
    r->place = SX_PLACE_RAW;
    r->offset = e->data[t->storage] + (r->info.count ? t->offset * sx_dtype_size(dtype) : 0);
    return SX_OK;
}

/* Append ".part" to the name; returns the length to go back to through *before. */
static enum sx_status enter(struct emit *e, const char *part, size_t len, size_t *before)
{
    *before = e->name_len;
    if (e->name_len + len + 1 > SX_MAX_NAME)
        return sx_fail(e->err, SX_ERR_FORMAT, "%s: a tensor's name is longer than %d bytes",
                       e->file->path, SX_MAX_NAME);
    if (e->name_len > 0)
        e->name[e->name_len++] = '.';
    memcpy(e->name + e->name_len, part, len);
    e->name_len += len;
    e->name[e->name_len] = '\0';
    return SX_OK;
}

static void go_back(struct emit *e, size_t before)
{
    e->name_len = before;
    e->name[before] = '\0';
}

static enum sx_status emit_value(struct emit *e, uint32_t id, int depth, struct sx_value **out);

/* A key as text; integers in decimal. Pickles of optimizers number their parameters. */
static char *key_text(const struct sx_pickle_node *key)
{
    return key->kind == SX_PICKLE_INT ? sx_xasprintf("%lld", (long long)key->u.i)
                                      : sx_xstrndup(key->u.text, key->count);
}

static enum sx_status emit_item(struct emit *e, const char *key, uint32_t id, int depth,
                                struct sx_value *into)
{
    size_t before;
    struct sx_value *v = NULL;
    SX_TRY(enter(e, key, strlen(key), &before));
    enum sx_status status = emit_value(e, id, depth + 1, &v);
    go_back(e, before);
    if (status == SX_OK && v)
        sx_value_set(into, key, v);
    return status;
}

/* `parts`: parameters, buffers or children of a module, where None means that it has none. */
static enum sx_status emit_items(struct emit *e, const struct sx_pickle_node *dict, bool parts,
                                 int depth, struct sx_value *into)
{
    for (uint32_t i = 0; i + 1 < dict->count; i += 2) {
        if (parts && node_of(e, dict->u.items[i + 1])->kind == SX_PICKLE_NONE)
            continue;
        char *key = key_text(node_of(e, dict->u.items[i]));
        enum sx_status status = emit_item(e, key, dict->u.items[i + 1], depth, into);
        sx_free(key);
        SX_TRY(status);
    }
    return SX_OK;
}

/* A module keeps parameters and children in dictionaries of their own; a state_dict shows them
 * without. Its other private attributes are torch's bookkeeping. */
static enum sx_status emit_module(struct emit *e, const struct sx_pickle_node *state, int depth,
                                  struct sx_value *into)
{
    for (uint32_t i = 0; i + 1 < state->count; i += 2) {
        const struct sx_pickle_node *value = node_of(e, state->u.items[i + 1]);
        char *key = key_text(node_of(e, state->u.items[i]));
        bool inside =
            !strcmp(key, "_parameters") || !strcmp(key, "_modules") || !strcmp(key, "_buffers");
        enum sx_status status = SX_OK;
        if (inside && value->kind == SX_PICKLE_DICT)
            status = emit_items(e, value, true, depth, into);
        else if (*key != '_')
            status = emit_item(e, key, state->u.items[i + 1], depth, into);
        sx_free(key);
        SX_TRY(status);
    }
    return SX_OK;
}

static enum sx_status emit_list(struct emit *e, const struct sx_pickle_node *n, int depth,
                                struct sx_value *into)
{
    for (uint32_t i = 0; i < n->count; i++) {
        char index[16];
        size_t before;
        struct sx_value *v = NULL;
        snprintf(index, sizeof index, "%u", i);
        SX_TRY(enter(e, index, strlen(index), &before));
        enum sx_status status = emit_value(e, n->u.items[i], depth + 1, &v);
        go_back(e, before);
        SX_TRY(status);
        sx_value_append(into, v ? v : sx_value_null()); /* a tensor's place stays empty */
    }
    return SX_OK;
}

static enum sx_status emit_object(struct emit *e, const struct sx_pickle_node *n, int depth,
                                  struct sx_value *into)
{
    char class[128];
    sx_pickle_global_name(n->u.global, class, sizeof class);
    sx_value_set(into, "__class__", sx_value_string(class));
    return n->state ? emit_module(e, node_of(e, n->state), depth, into) : SX_OK;
}

static struct sx_value *scalar(const struct sx_pickle_node *n)
{
    char name[128];
    switch (n->kind) {
    case SX_PICKLE_NONE:
        return sx_value_null();
    case SX_PICKLE_BOOL:
        return sx_value_bool(n->u.b);
    case SX_PICKLE_INT:
        return sx_value_int(n->u.i);
    case SX_PICKLE_REAL:
        return sx_value_real(n->u.d);
    case SX_PICKLE_STRING:
        return sx_value_string_len(n->u.text, n->count);
    case SX_PICKLE_GLOBAL:
        sx_pickle_global_name(n->u.global, name, sizeof name);
        return sx_value_string(name);
    default:
        return NULL;
    }
}

/* *out stays NULL for a tensor or a storage. Values that are shared are written out each time, so
 * their number is bounded: a few bytes can share a list 2^40-fold, or hold one inside itself. */
static enum sx_status emit_value(struct emit *e, uint32_t id, int depth, struct sx_value **out)
{
    const struct sx_pickle_node *n = node_of(e, id);
    enum sx_status status = SX_OK;
    e->cost += VALUE_COST + (n->kind == SX_PICKLE_STRING ? n->count : 0);
    if (e->cost > MAX_COST || depth > MAX_DEPTH)
        return sx_fail(e->err, SX_ERR_FORMAT, "%s: the pickled object is %s", e->file->path,
                       depth > MAX_DEPTH ? "nested too deep" : "too large");
    switch (n->kind) {
    case SX_PICKLE_TENSOR:
        return add_tensor(e, n);
    case SX_PICKLE_STORAGE:
        return SX_OK;
    case SX_PICKLE_TUPLE:
    case SX_PICKLE_LIST:
    case SX_PICKLE_SET:
        *out = sx_value_list();
        status = emit_list(e, n, depth, *out);
        break;
    case SX_PICKLE_DICT:
        *out = sx_value_map();
        status = emit_items(e, n, false, depth, *out);
        break;
    case SX_PICKLE_OBJECT:
        *out = sx_value_map();
        status = emit_object(e, n, depth, *out);
        break;
    default:
        *out = scalar(n);
    }
    if (status != SX_OK) {
        sx_value_free(*out);
        *out = NULL;
    }
    return status;
}

static enum sx_status emit_root(struct emit *e)
{
    struct sx_value *root = NULL;
    SX_TRY(emit_value(e, e->pickle->root, 0, &root));
    if (sx_value_kind(root) == SX_VALUE_MAP) {
        sx_value_free(e->file->extra);
        e->file->extra = root;
    } else if (root) {
        sx_value_set(e->file->extra, "value", root);
    }
    return SX_OK;
}

enum sx_status sx_torch_zip_read_headers(struct sx_tensor_file *file, const struct sx_zip *zip,
                                         struct sx_error *err)
{
    const struct sx_zip_entry *entry = NULL;
    struct sx_pickle pickle = {0};
    struct emit *e = NULL;
    SX_TRY(find_root(file, zip, &entry, err));
    SX_ASSERT(entry); /* that is how the container was recognised */
    SX_TRY(check_byte_order(file, zip, entry, err));
    if (entry->size > MAX_PICKLE)
        return sx_fail(err, SX_ERR_FORMAT, "%s: data.pkl has %llu bytes, at most %d are read",
                       file->path, (unsigned long long)entry->size, MAX_PICKLE);
    uint8_t *bytes = sx_alloc_big((size_t)entry->size, 1);
    if (!bytes)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for data.pkl", file->path);
    enum sx_status status = sx_zip_read(&file->bytes, entry, (size_t)entry->size, bytes, err);
    if (status == SX_OK)
        status = sx_pickle_parse(file->path, bytes, (size_t)entry->size, &pickle, err);
    if (status != SX_OK)
        goto out;
    e = sx_xcalloc(1, sizeof *e);
    *e = (struct emit){.file = file,
                       .pickle = &pickle,
                       .data = sx_xcalloc(pickle.n_storages, sizeof *e->data),
                       .err = err};
    status = find_storages(e, zip, entry);
    if (status == SX_OK)
        status = emit_root(e);
    sx_free(e->data);
    sx_free(e);
out:
    sx_pickle_release(&pickle);
    sx_free(bytes);
    return status;
}
