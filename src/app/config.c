#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keys.h"
#include "resource.h"
#include "sextant/base/alloc.h"
#include "sextant/io/yaml.h"
#include "sextant/views/view.h"

enum { MAX_THREADS = 1024 };

/* One row a key: reading, checking, showing and the manual all go by this table. */
static const struct config_key {
    const char *name, *fallback, *help;
    enum sx_value_kind kind;
} config_keys[] = {
    {"theme", "default",
     "colours: default, light, mono, high-contrast, or a file of yours in themes/",
     SX_VALUE_STRING},
    {"color", "auto", "auto, always, never, none, 16, 256 or truecolor", SX_VALUE_STRING},
    {"ascii", "false", "no character beyond ASCII", SX_VALUE_BOOL},
    {"mouse", "true", "take the mouse; hold Shift to select text in most terminals", SX_VALUE_BOOL},
    {"threads", "0", "threads for arithmetic; 0: one a core", SX_VALUE_INT},
    {"keys", "", "changes of keys: {VIEW or global or move: {KEY: REQUEST or none}}", SX_VALUE_MAP},
};

bool sx_config_key_at(size_t i, const char **name, const char **fallback, const char **help)
{
    if (i >= sizeof config_keys / sizeof *config_keys)
        return false;
    *name = config_keys[i].name;
    *fallback = config_keys[i].fallback;
    *help = config_keys[i].help;
    return true;
}

static void set_defaults(struct sx_config *config)
{
    snprintf(config->theme, sizeof config->theme, "default");
    snprintf(config->color, sizeof config->color, "auto");
    config->mouse = true;
    config->ascii = false;
    config->threads = 0;
}

static const struct config_key *find_key(const char *name)
{
    for (size_t i = 0; i < sizeof config_keys / sizeof *config_keys; i++) {
        if (strcmp(config_keys[i].name, name) == 0)
            return &config_keys[i];
    }
    return NULL;
}

static bool is_color_word(const char *word)
{
    static const char *const words[] = {"auto", "always", "never",    "none",
                                        "16",   "256",    "truecolor"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], word) == 0)
            return true;
    }
    return false;
}

static enum sx_status read_key(struct sx_config *config, const struct config_key *key,
                               const struct sx_value *v, struct sx_error *err)
{
    const int line = sx_value_line(v);
    char number[24];

    /* `color: 256` is a number to YAML. */
    if (strcmp(key->name, "color") == 0 && sx_value_kind(v) == SX_VALUE_INT) {
        snprintf(number, sizeof number, "%lld", (long long)sx_value_int_or(v, 0));
        if (!is_color_word(number))
            return sx_fail(err, SX_ERR_USAGE, "%s:%d: color is %s; %s", config->path, line, number,
                           key->help);
        snprintf(config->color, sizeof config->color, "%.15s", number);
        return SX_OK;
    }
    if (sx_value_kind(v) != key->kind)
        return sx_fail(err, SX_ERR_USAGE, "%s:%d: %s is %s, expected %s", config->path, line,
                       key->name, sx_value_kind_name(sx_value_kind(v)),
                       sx_value_kind_name(key->kind));
    if (strcmp(key->name, "theme") == 0)
        snprintf(config->theme, sizeof config->theme, "%s", sx_value_string_or(v, ""));
    else if (strcmp(key->name, "ascii") == 0)
        config->ascii = sx_value_bool_or(v, false);
    else if (strcmp(key->name, "mouse") == 0)
        config->mouse = sx_value_bool_or(v, true);
    else if (strcmp(key->name, "keys") == 0)
        config->keys = sx_value_dup(v);
    else if (strcmp(key->name, "color") == 0) {
        if (!is_color_word(sx_value_string_or(v, "")))
            return sx_fail(err, SX_ERR_USAGE, "%s:%d: color is \"%s\"; expected %s", config->path,
                           line, sx_value_string_or(v, ""), key->help);
        snprintf(config->color, sizeof config->color, "%s", sx_value_string_or(v, ""));
    } else if (strcmp(key->name, "threads") == 0) {
        const int64_t n = sx_value_int_or(v, 0);
        if (n < 0 || n > MAX_THREADS)
            return sx_fail(err, SX_ERR_USAGE, "%s:%d: threads is %lld, expected 0 to %d",
                           config->path, line, (long long)n, MAX_THREADS);
        config->threads = (int)n;
    }
    return SX_OK;
}

static enum sx_status read_all(struct sx_config *config, const struct sx_value *v,
                               struct sx_error *err)
{
    if (sx_value_kind(v) == SX_VALUE_NULL)
        return SX_OK; /* an empty file, or comments only */
    if (sx_value_kind(v) != SX_VALUE_MAP)
        return sx_fail(err, SX_ERR_USAGE, "%s:%d: found %s, expected keys and values", config->path,
                       sx_value_line(v), sx_value_kind_name(sx_value_kind(v)));
    for (size_t i = 0; i < sx_value_count(v); i++) {
        const char *name = sx_value_key(v, i);
        const struct config_key *key = find_key(name);
        if (!key)
            return sx_fail(err, SX_ERR_USAGE,
                           "%s:%d: unknown key %s; sextant config --show lists "
                           "those there are",
                           config->path, sx_value_line(sx_value_item(v, i)), name);
        SX_TRY(read_key(config, key, sx_value_item(v, i), err));
    }
    return SX_OK;
}

enum sx_status sx_config_load(struct sx_config *config, struct sx_error *err)
{
    char *dir = sx_resource_config_dir();
    struct sx_value *v = NULL;
    enum sx_status status = SX_OK;

    memset(config, 0, sizeof *config);
    set_defaults(config);
    if (dir)
        config->path = sx_xasprintf("%s/config.yaml", dir);
    sx_free(dir);
    if (!config->path || access(config->path, F_OK) != 0)
        return SX_OK;
    config->exists = true;
    status = sx_yaml_parse_file(config->path, &v, err);
    if (status == SX_OK)
        status = read_all(config, v, err);
    sx_value_free(v);
    if (status != SX_OK) {
        sx_value_free(config->keys);
        config->keys = NULL;
        set_defaults(config);
    }
    return status;
}

void sx_config_release(struct sx_config *config)
{
    sx_value_free(config->keys);
    sx_free(config->path);
    memset(config, 0, sizeof *config);
}

void sx_config_show(const struct sx_config *config, struct sx_str *out)
{
    struct sx_value *map = sx_value_map();

    sx_value_set(map, "theme", sx_value_string(config->theme));
    sx_value_set(map, "color", sx_value_string(config->color));
    sx_value_set(map, "ascii", sx_value_bool(config->ascii));
    sx_value_set(map, "mouse", sx_value_bool(config->mouse));
    sx_value_set(map, "threads", sx_value_int(config->threads));
    sx_value_set(map, "keys", config->keys ? sx_value_dup(config->keys) : sx_value_map());
    sx_yaml_write(map, out);
    sx_value_free(map);
}

enum sx_status sx_config_check(const struct sx_config *config, struct sx_error *err)
{
    struct sx_value *names = sx_resource_themes();
    struct sx_keymap *map = NULL;
    const struct sx_view_ops *ops;
    struct sx_theme theme;
    enum sx_status status = sx_keys_new(config->keys, config->path, &map, err);

    sx_keymap_free(map);
    if (status == SX_OK)
        status = sx_resource_theme(config->theme, &theme, err);
    for (size_t i = 0; status == SX_OK && i < sx_value_count(names); i++)
        status = sx_resource_theme(sx_value_string_or(sx_value_item(names, i), ""), &theme, err);
    for (size_t i = 0; status == SX_OK && (ops = sx_view_at(i)) != NULL; i++) {
        char *file = sx_xasprintf("views/%s.yaml", ops->name);
        struct sx_value *layout = NULL;
        status = sx_resource_load(file, &layout, err);
        if (status == SX_ERR_NOTFOUND)
            status = SX_OK;
        sx_value_free(layout);
        sx_free(file);
    }
    sx_value_free(names);
    return status;
}
