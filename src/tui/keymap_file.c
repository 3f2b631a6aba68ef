#include "sextant/io/yaml.h"
#include "sextant/tui/keymap.h"

enum sx_status sx_keymap_load(struct sx_keymap *map, const char *path,
                              bool (*known)(const char *request), struct sx_error *err)
{
    struct sx_value *v = NULL;
    SX_TRY(sx_yaml_parse_file(path, &v, err));
    enum sx_status status = sx_keymap_override(map, v, path, known, err);
    sx_value_free(v);
    return status;
}
