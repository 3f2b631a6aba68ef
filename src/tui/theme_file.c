#include "sextant/io/yaml.h"
#include "sextant/tui/theme.h"

enum sx_status sx_theme_load(const char *path, struct sx_theme *out, struct sx_error *err)
{
    struct sx_value *v = NULL;
    SX_TRY(sx_yaml_parse_file(path, &v, err));
    enum sx_status status = sx_theme_from_value(v, path, out, err);
    sx_value_free(v);
    return status;
}
