/* The user's configuration: $XDG_CONFIG_HOME/sextant/config.yaml. */
#ifndef SEXTANT_APP_CONFIG_H
#define SEXTANT_APP_CONFIG_H

#include <stdbool.h>

#include "sextant/base/status.h"
#include "sextant/base/str.h"
#include "sextant/base/value.h"

struct sx_config {
    char theme[64];
    char color[16]; /* auto, always, never, none, 16, 256, truecolor */
    bool mouse, ascii;
    int threads;           /* 0: one a core */
    struct sx_value *keys; /* owned or NULL: {context: {key: request}} */
    char *path;            /* owned: the file, whether it exists or not; NULL without a home */
    bool exists;
};

/* Defaults, then the file. On an error the configuration holds the defaults and can be used. */
enum sx_status sx_config_load(struct sx_config *config, struct sx_error *err) SX_MUST_CHECK;
void sx_config_release(struct sx_config *config);
/* Every key with its effective value, as YAML. */
void sx_config_show(const struct sx_config *config, struct sx_str *out);
/* The keys, their defaults and meanings, for the manual: false past the end. */
bool sx_config_key_at(size_t i, const char **name, const char **fallback, const char **help);
/* The file, and all that it names: keys, theme, every theme and layout of the user's folder. */
enum sx_status sx_config_check(const struct sx_config *config, struct sx_error *err) SX_MUST_CHECK;

#endif
