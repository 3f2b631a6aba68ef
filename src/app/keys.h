/* The keys that work everywhere. */
#ifndef SEXTANT_APP_KEYS_H
#define SEXTANT_APP_KEYS_H

#include <stdbool.h>

#include "sextant/base/value.h"
#include "sextant/tui/keymap.h"

/* The whole keymap: moves, every view's keys, the global ones, then the user's changes (`keys` of
 * the configuration, or NULL; `label` is its file). */
enum sx_status sx_keys_new(const struct sx_value *keys, const char *label, struct sx_keymap **out,
                           struct sx_error *err) SX_MUST_CHECK;
/* The global table alone, for the manual. */
const struct sx_key_binding *sx_keys_global(size_t *count);

#endif
