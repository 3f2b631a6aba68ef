#include "sextant/tui/style.h"

#include <string.h>

#include "sextant/base/status.h"

static const struct {
    const char *name, *help;
} styles[SX_STYLE_COUNT] = {
#define SX_STYLE_ROW(id, name, help) {name, help},
    SX_STYLES(SX_STYLE_ROW)
#undef SX_STYLE_ROW
};

const char *sx_style_name(enum sx_style style)
{
    SX_ASSERT(style < SX_STYLE_COUNT);
    return styles[style].name;
}

const char *sx_style_help(enum sx_style style)
{
    SX_ASSERT(style < SX_STYLE_COUNT);
    return styles[style].help;
}

bool sx_style_parse(const char *name, enum sx_style *out)
{
    for (size_t i = 0; i < SX_STYLE_COUNT; i++) {
        if (strcmp(styles[i].name, name) == 0) {
            *out = (enum sx_style)i;
            return true;
        }
    }
    return false;
}
