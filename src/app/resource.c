#include "resource.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/io/yaml.h"

char *sx_resource_config_dir(void)
{
    const char *xdg = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    /* The specification says to ignore relative paths. */
    if (xdg && xdg[0] == '/')
        return sx_xasprintf("%s/sextant", xdg);
    if (home && *home)
        return sx_xasprintf("%s/.config/sextant", home);
    return NULL;
}

/* The user's file that stands for a resource, or NULL. */
static char *override_path(const char *name)
{
    char *dir = sx_resource_config_dir();
    const char *data = getenv("SEXTANT_DATA");
    char *path = NULL;

    if (dir) {
        path = sx_xasprintf("%s/%s", dir, name);
        sx_free(dir);
        if (access(path, F_OK) == 0)
            return path;
        sx_free(path);
        path = NULL;
    }
    if (data && *data) {
        path = sx_xasprintf("%s/%s", data, name);
        if (access(path, F_OK) == 0)
            return path;
        sx_free(path);
    }
    return NULL;
}

static const struct sx_resource *embedded(const char *name)
{
    for (const struct sx_resource *r = sx_resources; r->name; r++) {
        if (strcmp(r->name, name) == 0)
            return r;
    }
    return NULL;
}

enum sx_status sx_resource_load(const char *name, struct sx_value **out, struct sx_error *err)
{
    char *path = override_path(name);
    const struct sx_resource *r;
    enum sx_status status;

    if (path) {
        status = sx_yaml_parse_file(path, out, err);
        sx_free(path);
        return status;
    }
    r = embedded(name);
    if (!r)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: no such file", name);
    return sx_yaml_parse(name, (const char *)r->data, r->size, out, err);
}

enum sx_status sx_resource_theme(const char *name, struct sx_theme *out, struct sx_error *err)
{
    struct sx_value *v = NULL;
    enum sx_status status;
    char *file;

    if (strchr(name, '/') || name[0] == '.')
        return sx_fail(err, SX_ERR_USAGE, "theme %s: a name is expected, not a path", name);
    file = sx_xasprintf("themes/%s.yaml", name);
    status = sx_resource_load(file, &v, err);
    if (status == SX_OK)
        status = sx_theme_from_value(v, file, out, err);
    else if (status == SX_ERR_NOTFOUND && strcmp(name, "default") == 0) {
        *out = *sx_theme_default();
        status = SX_OK;
    } else if (status == SX_ERR_NOTFOUND) {
        struct sx_value *names = sx_resource_themes();
        struct sx_str all = SX_STR_INIT;
        for (size_t i = 0; i < sx_value_count(names); i++)
            sx_str_printf(&all, "%s%s", i ? ", " : "",
                          sx_value_string_or(sx_value_item(names, i), ""));
        status = sx_fail(err, SX_ERR_USAGE, "no theme is called %s; there are %s", name, all.data);
        sx_str_release(&all);
        sx_value_free(names);
    }
    sx_value_free(v);
    sx_free(file);
    return status;
}

static void add_name(struct sx_value *names, const char *name, size_t len)
{
    for (size_t i = 0; i < sx_value_count(names); i++) {
        const char *have = sx_value_string_or(sx_value_item(names, i), "");
        if (strlen(have) == len && memcmp(have, name, len) == 0)
            return;
    }
    sx_value_append(names, sx_value_string_len(name, len));
}

static void add_if_theme(struct sx_value *names, const char *file)
{
    const size_t len = strlen(file);

    if (len > 5 && file[0] != '.' && strcmp(file + len - 5, ".yaml") == 0)
        add_name(names, file, len - 5);
}

static void add_folder(struct sx_value *names, const char *dir)
{
    char *path = sx_xasprintf("%s/themes", dir);
    DIR *d = opendir(path);
    const struct dirent *entry;

    while (d && (entry = readdir(d)) != NULL)
        add_if_theme(names, entry->d_name);
    if (d)
        closedir(d);
    sx_free(path);
}

struct sx_value *sx_resource_themes(void)
{
    struct sx_value *names = sx_value_list();
    const char *data = getenv("SEXTANT_DATA");
    char *dir = sx_resource_config_dir();

    add_name(names, "default", strlen("default"));
    for (const struct sx_resource *r = sx_resources; r->name; r++) {
        if (strncmp(r->name, "themes/", 7) == 0)
            add_if_theme(names, r->name + 7);
    }
    if (data && *data)
        add_folder(names, data);
    if (dir)
        add_folder(names, dir);
    sx_free(dir);
    return names;
}
