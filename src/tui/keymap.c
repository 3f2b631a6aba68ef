/* A list of bindings in the order of the tables; user overrides are appended and win because the
 * search runs from the end. A few hundred bindings: a linear search per key press is nothing. */
#include "sextant/tui/keymap.h"

#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/arena.h"

struct entry {
    struct sx_key key;
    const struct sx_key_binding *binding; /* request NULL: taken away */
};

struct sx_keymap {
    struct entry *entry;
    size_t n, capacity;
    size_t n_tables;        /* entries before any override */
    struct sx_arena *arena; /* bindings and strings of the user's file */
};

struct sx_keymap *sx_keymap_new(void)
{
    struct sx_keymap *map = sx_xcalloc(1, sizeof *map);
    map->arena = sx_arena_new();
    return map;
}

void sx_keymap_free(struct sx_keymap *map)
{
    if (!map)
        return;
    sx_arena_free(map->arena);
    sx_free(map->entry);
    sx_free(map);
}

static const struct entry *find_in(const struct sx_keymap *map, const char *context,
                                   struct sx_key key)
{
    for (size_t i = map->n; i-- > 0;)
        if (sx_key_equal(map->entry[i].key, key) &&
            strcmp(map->entry[i].binding->context, context) == 0)
            return &map->entry[i];
    return NULL;
}

static void push(struct sx_keymap *map, struct sx_key key, const struct sx_key_binding *binding)
{
    SX_GROW(map->entry, map->capacity, map->n + 1);
    map->entry[map->n++] = (struct entry){key, binding};
}

void sx_keymap_add(struct sx_keymap *map, const struct sx_key_binding *bindings, size_t count)
{
    SX_ASSERT(map->n == map->n_tables);
    for (size_t i = 0; i < count; i++) {
        struct sx_key key;
        bool ok = sx_key_parse(bindings[i].key, &key);
        SX_ASSERT(ok);
        SX_ASSERT(!find_in(map, bindings[i].context, key));
        push(map, key, &bindings[i]);
    }
    map->n_tables = map->n;
}

/* The words of a request's first binding go with it to its new key. */
static const struct sx_key_binding *make_binding(struct sx_keymap *map, const char *context,
                                                 const char *key, const char *request)
{
    struct sx_key_binding *binding = sx_arena_alloc(map->arena, sizeof *binding);
    binding->context = sx_arena_strdup(map->arena, context);
    binding->key = sx_arena_strdup(map->arena, key);
    if (!request || strcmp(request, "none") == 0)
        return binding;
    binding->request = sx_arena_strdup(map->arena, request);
    binding->help = binding->request;
    binding->group = "Your keys";
    for (size_t i = 0; i < map->n_tables; i++) {
        const struct sx_key_binding *first = map->entry[i].binding;
        if (first->request && strcmp(first->request, request) == 0) {
            binding->label = first->label;
            binding->help = first->help;
            binding->group = first->group;
            break;
        }
    }
    return binding;
}

static bool has_context(const struct sx_keymap *map, const char *context)
{
    for (size_t i = 0; i < map->n_tables; i++)
        if (strcmp(map->entry[i].binding->context, context) == 0)
            return true;
    return false;
}

/* Check (apply = false) or apply one context of the user's file. */
static enum sx_status read_context(struct sx_keymap *map, const char *context,
                                   const struct sx_value *keys, const char *label,
                                   bool (*known)(const char *request), bool apply,
                                   struct sx_error *err)
{
    for (size_t i = 0; i < sx_value_count(keys); i++) {
        const char *name = sx_value_key(keys, i);
        const struct sx_value *item = sx_value_item(keys, i);
        struct sx_key key;
        bool none = sx_value_kind(item) == SX_VALUE_NULL;
        const char *request = sx_value_string_or(item, NULL);
        if (!sx_key_parse(name, &key))
            return sx_fail(err, SX_ERR_FORMAT,
                           "%s:%d: \"%s\" is no key; keys look like j, C-d, PgDn, S-Tab", label,
                           sx_value_line(item), name);
        if (!none && !request)
            return sx_fail(err, SX_ERR_FORMAT, "%s:%d: key %s: expected a request, found %s", label,
                           sx_value_line(item), name, sx_value_kind_name(sx_value_kind(item)));
        if (!none && strcmp(request, "none") != 0 && known && !known(request))
            return sx_fail(err, SX_ERR_FORMAT, "%s:%d: key %s: there is no request \"%s\"", label,
                           sx_value_line(item), name, request);
        if (apply)
            push(map, key, make_binding(map, context, name, request));
    }
    return SX_OK;
}

enum sx_status sx_keymap_override(struct sx_keymap *map, const struct sx_value *v,
                                  const char *label, bool (*known)(const char *request),
                                  struct sx_error *err)
{
    if (sx_value_kind(v) == SX_VALUE_NULL)
        return SX_OK; /* an empty file */
    if (sx_value_kind(v) != SX_VALUE_MAP)
        return sx_fail(err, SX_ERR_FORMAT, "%s:%d: expected a map of contexts, found %s", label,
                       sx_value_line(v), sx_value_kind_name(sx_value_kind(v)));
    for (int apply = 0; apply < 2; apply++) {
        for (size_t i = 0; i < sx_value_count(v); i++) {
            const char *context = sx_value_key(v, i);
            const struct sx_value *keys = sx_value_item(v, i);
            if (!has_context(map, context) || sx_value_kind(keys) != SX_VALUE_MAP)
                return sx_fail(err, SX_ERR_FORMAT,
                               "%s:%d: %s: expected the name of a view or \"global\", "
                               "with a map of keys",
                               label, sx_value_line(keys), context);
            SX_TRY(read_context(map, context, keys, label, known, apply, err));
        }
    }
    return SX_OK;
}

const struct sx_key_binding *sx_keymap_moves(size_t *count)
{
    static const struct sx_key_binding moves[] = {
        {"move", "Up", "up", NULL, "One line up.", "Moving"},
        {"move", "k", "up", NULL, "One line up.", "Moving"},
        {"move", "Down", "down", NULL, "One line down.", "Moving"},
        {"move", "j", "down", NULL, "One line down.", "Moving"},
        {"move", "Left", "left", NULL, "One column left.", "Moving"},
        {"move", "h", "left", NULL, "One column left.", "Moving"},
        {"move", "Right", "right", NULL, "One column right.", "Moving"},
        {"move", "l", "right", NULL, "One column right.", "Moving"},
        {"move", "PgDn", "page-down", NULL, "One page down.", "Moving"},
        {"move", "C-f", "page-down", NULL, "One page down.", "Moving"},
        {"move", "PgUp", "page-up", NULL, "One page up.", "Moving"},
        {"move", "C-b", "page-up", NULL, "One page up.", "Moving"},
        {"move", "C-d", "half-down", NULL, "Half a page down.", "Moving"},
        {"move", "C-u", "half-up", NULL, "Half a page up.", "Moving"},
        {"move", "g", "first", NULL, "To the start, or to line N with a count.", "Moving"},
        {"move", "Home", "first", NULL, "To the start, or to line N with a count.", "Moving"},
        {"move", "G", "last", NULL, "To the end, or to line N with a count.", "Moving"},
        {"move", "End", "last", NULL, "To the end, or to line N with a count.", "Moving"},
        {"move", "WheelUp", "up", NULL, "One line up.", "Moving"},
        {"move", "WheelDown", "down", NULL, "One line down.", "Moving"},
    };
    *count = sizeof moves / sizeof moves[0];
    return moves;
}

const struct sx_key_binding *sx_keymap_find(const struct sx_keymap *map,
                                            const char *const *contexts, size_t n_contexts,
                                            struct sx_key key)
{
    for (size_t i = 0; i < n_contexts; i++) {
        const struct entry *entry = find_in(map, contexts[i], key);
        if (entry)
            return entry->binding->request ? entry->binding : NULL;
    }
    return NULL;
}

const struct sx_key_binding *sx_keymap_feed(const struct sx_keymap *map, struct sx_key_state *state,
                                            const char *const *contexts, size_t n_contexts,
                                            struct sx_key key, unsigned *count)
{
    enum { MAX_COUNT = 9999999 };
    const struct sx_key_binding *binding = sx_keymap_find(map, contexts, n_contexts, key);
    bool digit = key.mods == 0 && key.code >= '0' && key.code <= '9';
    /* Once a count has begun, digits go on with it even where they are bound. */
    if (digit && (state->count || (!binding && key.code != '0'))) {
        state->count = state->count * 10 + (key.code - '0');
        if (state->count > MAX_COUNT)
            state->count = MAX_COUNT;
        *count = 0;
        return NULL;
    }
    *count = state->count;
    state->count = 0;
    return binding;
}

size_t sx_keymap_list(const struct sx_keymap *map, const char *const *contexts, size_t n_contexts,
                      const struct sx_key_binding **out, size_t max)
{
    size_t n = 0;
    for (size_t c = 0; c < n_contexts; c++) {
        for (size_t i = 0; i < map->n; i++) {
            const struct entry *entry = &map->entry[i];
            if (strcmp(entry->binding->context, contexts[c]) != 0)
                continue;
            if (sx_keymap_find(map, contexts, n_contexts, entry->key) != entry->binding)
                continue;
            if (n < max)
                out[n] = entry->binding;
            n++;
        }
    }
    return n;
}

const char *sx_keymap_key_of(const struct sx_keymap *map, const char *const *contexts,
                             size_t n_contexts, const char *request)
{
    for (size_t c = 0; c < n_contexts; c++) {
        for (size_t i = 0; i < map->n; i++) {
            const struct entry *entry = &map->entry[i];
            if (strcmp(entry->binding->context, contexts[c]) == 0 && entry->binding->request &&
                strcmp(entry->binding->request, request) == 0 &&
                sx_keymap_find(map, contexts, n_contexts, entry->key) == entry->binding)
                return entry->binding->key;
        }
    }
    return "";
}
