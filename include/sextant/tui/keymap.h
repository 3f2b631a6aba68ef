/* Which key asks for what, in which context. Requests are strings ("move-down", "sort align",
 * ":view gallery"): the keymap does not know who answers them, so views, the command table and the
 * user's file name them alike. The help screen and the key bar are made from this table. */
#ifndef SEXTANT_TUI_KEYMAP_H
#define SEXTANT_TUI_KEYMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/base/status.h"
#include "sextant/base/value.h"
#include "sextant/tui/key.h"

struct sx_key_binding {
    const char *context; /* "global", "table", a view's name */
    const char *key;     /* sx_key_parse notation */
    const char *request; /* NULL or "none" in a user's file takes the key away */
    const char *label;   /* one or two words for the key bar; NULL: not shown there */
    const char *help;    /* one sentence for the help screen */
    const char *group;   /* heading in the help screen: "Moving", "Seeds", … */
};

struct sx_keymap; /* opaque */

struct sx_keymap *sx_keymap_new(void);
void sx_keymap_free(struct sx_keymap *map); /* NULL is fine */

/* Add a table (the strings are borrowed for the life of the map). A key bound twice in one context
 * and a key that does not parse are programming errors. */
void sx_keymap_add(struct sx_keymap *map, const struct sx_key_binding *bindings, size_t count);

/* Override from a user's file: {context: {key: request, …}, …}. `known` (NULL: all are) says
 * whether a request exists; unknown contexts, keys and requests are errors with label:line, and
 * leave the map as it was. Label and help are those of the request's first binding. */
enum sx_status sx_keymap_override(struct sx_keymap *map, const struct sx_value *v,
                                  const char *label, bool (*known)(const char *request),
                                  struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_keymap_load(struct sx_keymap *map, const char *path,
                              bool (*known)(const char *request),
                              struct sx_error *err) SX_MUST_CHECK;

/* The moves that tables, heatmaps and pagers answer (down, up, left, right, page-down, page-up,
 * half-down, half-up, first, last) on arrows and vi keys, in context "move". */
const struct sx_key_binding *sx_keymap_moves(size_t *count);

/* The binding of a key; contexts[0] is asked first. NULL: none. */
const struct sx_key_binding *sx_keymap_find(const struct sx_keymap *map,
                                            const char *const *contexts, size_t n_contexts,
                                            struct sx_key key);

/* Count prefixes: 12j. */
struct sx_key_state {
    unsigned count; /* digits typed so far; 0: none */
};
/* Feed one key. A digit (not a leading 0) that no context binds adds to the count and gives NULL.
 * Otherwise the binding or NULL; *count is the count typed before it (0: none) and the state is
 * clear again. Counts stop at 9,999,999. */
const struct sx_key_binding *sx_keymap_feed(const struct sx_keymap *map, struct sx_key_state *state,
                                            const char *const *contexts, size_t n_contexts,
                                            struct sx_key key, unsigned *count);

/* All bindings in force in these contexts, shadowed ones left out, in the order of the tables.
 * Stores at most `max`; returns how many there are. */
size_t sx_keymap_list(const struct sx_keymap *map, const char *const *contexts, size_t n_contexts,
                      const struct sx_key_binding **out, size_t max);

/* The key that a request has in these contexts ("" when none), for texts like "press m to match".*/
const char *sx_keymap_key_of(const struct sx_keymap *map, const char *const *contexts,
                             size_t n_contexts, const char *request);

#endif
