#include "sextant/base/value.h"

#include <math.h>
#include <string.h>
#include <uthash.h>

#include "sextant/base/alloc.h"

struct entry {
    char *key; /* owned; NULL in a list */
    struct sx_value *value;
};

/* Large maps are looked up through a hash; small ones by walking. */
struct slot {
    const char *key;
    size_t index;
    UT_hash_handle hh;
};

enum { HASH_FROM = 16 };

struct sx_value {
    enum sx_value_kind kind;
    int line;
    union {
        bool b;
        int64_t i;
        double d;
        struct {
            char *s;
            size_t len;
        } str;
        struct {
            struct entry *items;
            size_t count, capacity;
            struct slot *slots; /* uthash head */
        } seq;
    } u;
};

static struct sx_value *make(enum sx_value_kind kind)
{
    struct sx_value *v = sx_xcalloc(1, sizeof *v);
    v->kind = kind;
    return v;
}

struct sx_value *sx_value_null(void)
{
    return make(SX_VALUE_NULL);
}

struct sx_value *sx_value_bool(bool b)
{
    struct sx_value *v = make(SX_VALUE_BOOL);
    v->u.b = b;
    return v;
}

struct sx_value *sx_value_int(int64_t i)
{
    struct sx_value *v = make(SX_VALUE_INT);
    v->u.i = i;
    return v;
}

struct sx_value *sx_value_real(double d)
{
    struct sx_value *v = make(SX_VALUE_REAL);
    v->u.d = d;
    return v;
}

struct sx_value *sx_value_string(const char *s)
{
    return s ? sx_value_string_len(s, strlen(s)) : sx_value_null();
}

struct sx_value *sx_value_string_len(const char *s, size_t len)
{
    struct sx_value *v = make(SX_VALUE_STRING);
    v->u.str.s = sx_xstrndup(s, len);
    v->u.str.len = len;
    return v;
}

struct sx_value *sx_value_list(void)
{
    return make(SX_VALUE_LIST);
}

struct sx_value *sx_value_map(void)
{
    return make(SX_VALUE_MAP);
}

static bool is_seq(const struct sx_value *v)
{
    return v && (v->kind == SX_VALUE_LIST || v->kind == SX_VALUE_MAP);
}

static void free_slots(struct sx_value *v)
{
    struct slot *slot;
    struct slot *next;
    HASH_ITER(hh, v->u.seq.slots, slot, next)
    {
        HASH_DEL(v->u.seq.slots, slot);
        sx_free(slot);
    }
}

/* Parsers bound the depth, so recursion is safe. */
void sx_value_free(struct sx_value *v)
{
    if (!v)
        return;
    if (v->kind == SX_VALUE_STRING)
        sx_free(v->u.str.s);
    if (is_seq(v)) {
        free_slots(v);
        for (size_t i = 0; i < v->u.seq.count; i++) {
            sx_free(v->u.seq.items[i].key);
            sx_value_free(v->u.seq.items[i].value);
        }
        sx_free(v->u.seq.items);
    }
    sx_free(v);
}

enum sx_value_kind sx_value_kind(const struct sx_value *v)
{
    return v ? v->kind : SX_VALUE_NULL;
}

const char *sx_value_kind_name(enum sx_value_kind kind)
{
    static const char *const names[] = {
        [SX_VALUE_NULL] = "nothing",    [SX_VALUE_BOOL] = "true or false",
        [SX_VALUE_INT] = "an integer",  [SX_VALUE_REAL] = "a number",
        [SX_VALUE_STRING] = "a string", [SX_VALUE_LIST] = "a list",
        [SX_VALUE_MAP] = "a map",
    };
    return names[kind];
}

int sx_value_line(const struct sx_value *v)
{
    return v ? v->line : 0;
}

void sx_value_set_line(struct sx_value *v, int line)
{
    v->line = line;
}

size_t sx_value_count(const struct sx_value *v)
{
    return is_seq(v) ? v->u.seq.count : 0;
}

static void add_slot(struct sx_value *map, size_t index)
{
    struct slot *slot = sx_xcalloc(1, sizeof *slot);
    slot->key = map->u.seq.items[index].key;
    slot->index = index;
    HASH_ADD_KEYPTR(hh, map->u.seq.slots, slot->key, strlen(slot->key), slot);
}

static void push(struct sx_value *v, char *take_key, struct sx_value *take)
{
    SX_GROW(v->u.seq.items, v->u.seq.capacity, v->u.seq.count + 1);
    v->u.seq.items[v->u.seq.count++] = (struct entry){take_key, take};
    if (!take_key)
        return;
    if (v->u.seq.count == HASH_FROM)
        for (size_t i = 0; i < HASH_FROM; i++)
            add_slot(v, i);
    else if (v->u.seq.count > HASH_FROM)
        add_slot(v, v->u.seq.count - 1);
}

struct sx_value *sx_value_append(struct sx_value *list, struct sx_value *take)
{
    SX_ASSERT(list->kind == SX_VALUE_LIST);
    push(list, NULL, take);
    return take;
}

static struct entry *find(const struct sx_value *map, const char *key)
{
    if (!map || map->kind != SX_VALUE_MAP)
        return NULL;
    if (map->u.seq.slots) {
        struct slot *slot;
        HASH_FIND_STR(map->u.seq.slots, key, slot);
        return slot ? &map->u.seq.items[slot->index] : NULL;
    }
    for (size_t i = 0; i < map->u.seq.count; i++)
        if (!strcmp(map->u.seq.items[i].key, key))
            return &map->u.seq.items[i];
    return NULL;
}

struct sx_value *sx_value_set(struct sx_value *map, const char *key, struct sx_value *take)
{
    SX_ASSERT(map->kind == SX_VALUE_MAP);
    struct entry *old = find(map, key);
    if (old) {
        sx_value_free(old->value);
        old->value = take;
    } else {
        push(map, sx_xstrdup(key), take);
    }
    return take;
}

struct sx_value *sx_value_item(const struct sx_value *v, size_t i)
{
    return is_seq(v) && i < v->u.seq.count ? v->u.seq.items[i].value : NULL;
}

const char *sx_value_key(const struct sx_value *map, size_t i)
{
    return is_seq(map) && i < map->u.seq.count ? map->u.seq.items[i].key : NULL;
}

struct sx_value *sx_value_get(const struct sx_value *map, const char *key)
{
    struct entry *e = find(map, key);
    return e ? e->value : NULL;
}

struct sx_value *sx_value_at(const struct sx_value *v, const char *dotted_path)
{
    char part[256];
    struct sx_value *found = NULL;
    while (*dotted_path) {
        size_t n = strcspn(dotted_path, ".");
        if (n >= sizeof part)
            return NULL;
        memcpy(part, dotted_path, n);
        part[n] = '\0';
        found = sx_value_get(v, part);
        if (!found)
            return NULL;
        v = found;
        dotted_path += n + (dotted_path[n] == '.');
    }
    return found;
}

bool sx_value_bool_or(const struct sx_value *v, bool fallback)
{
    return v && v->kind == SX_VALUE_BOOL ? v->u.b : fallback;
}

int64_t sx_value_int_or(const struct sx_value *v, int64_t fallback)
{
    if (v && v->kind == SX_VALUE_INT)
        return v->u.i;
    if (v && v->kind == SX_VALUE_REAL && fabs(v->u.d) < 9e15 && v->u.d == floor(v->u.d))
        return (int64_t)v->u.d;
    return fallback;
}

double sx_value_real_or(const struct sx_value *v, double fallback)
{
    if (v && v->kind == SX_VALUE_REAL)
        return v->u.d;
    return v && v->kind == SX_VALUE_INT ? (double)v->u.i : fallback;
}

const char *sx_value_string_or(const struct sx_value *v, const char *fallback)
{
    return v && v->kind == SX_VALUE_STRING ? v->u.str.s : fallback;
}

size_t sx_value_string_size(const struct sx_value *v)
{
    return v && v->kind == SX_VALUE_STRING ? v->u.str.len : 0;
}

struct sx_value *sx_value_dup(const struct sx_value *v)
{
    if (!v)
        return NULL;
    struct sx_value *copy = NULL;
    if (v->kind == SX_VALUE_STRING)
        copy = sx_value_string_len(v->u.str.s, v->u.str.len);
    else
        copy = make(v->kind);
    copy->line = v->line;
    if (v->kind == SX_VALUE_BOOL)
        copy->u.b = v->u.b;
    else if (v->kind == SX_VALUE_INT)
        copy->u.i = v->u.i;
    else if (v->kind == SX_VALUE_REAL)
        copy->u.d = v->u.d;
    for (size_t i = 0; i < sx_value_count(v); i++)
        push(copy, sx_xstrdup(v->u.seq.items[i].key), sx_value_dup(v->u.seq.items[i].value));
    return copy;
}
