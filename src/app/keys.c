#include "keys.h"

#include <stdio.h>
#include <string.h>

#include "sextant/views/view.h"

static const struct sx_key_binding global_keys[] = {
    {"global", "Enter", "open", NULL, "Go deeper: open what is under the cursor.", "Going"},
    {"global", "Esc", "back", NULL, "Cancel the prompt, the running work, or go back.", "Going"},
    {"global", "Backspace", "back", NULL, "Cancel the prompt, the running work, or go back.",
     "Going"},
    {"global", "Tab", "focus-next", NULL, "The next pane.", "Going"},
    {"global", "S-Tab", "focus-previous", NULL, "The pane before.", "Going"},
    {"global", "Space", "mark", NULL, "Mark or unmark.", "Going"},
    {"global", "/", "search", "find", "Search in this view.", "Searching"},
    {"global", "n", "search-next", NULL, "The next hit.", "Searching"},
    {"global", "N", "search-previous", NULL, "The hit before.", "Searching"},
    {"global", ":", "command", "command", "Type a command; Tab completes, Up recalls.", "Program"},
    {"global", "?", "help", "help", "The keys of this screen.", "Program"},
    {"global", "q", "leave", "quit", "Back, or quit where there is nothing to go back to.",
     "Program"},
    {"global", "F1", "help", NULL, "The keys of this screen.", "Program"},
    {"global", "y", ":copy row", NULL, "Copy the row under the cursor to the clipboard.",
     "Program"},
    {"global", "Y", ":copy screen", NULL, "Copy the screen to the clipboard.", "Program"},
    {"global", "C-c", "cancel", NULL, "Cancel the running work.", "Program"},
    {"global", "C-l", "redraw", NULL, "Draw everything again.", "Program"},
    {"global", "C-z", "suspend", NULL, "Stop the program; fg brings it back.", "Program"},
};

/* Alt and the digit or letter of each view, and for digits its function key: bare digits are
 * counts, bare letters belong to the views. */
enum { VIEW_KEYS = 24 };
static struct sx_key_binding view_keys[2 * VIEW_KEYS];
static struct {
    char alt[8], function[8], line[40], help[64];
} view_key_text[VIEW_KEYS];

static size_t make_view_keys(void)
{
    const struct sx_view_ops *ops;
    size_t n = 0;

    for (size_t i = 0; (ops = sx_view_at(i)) != NULL && i < VIEW_KEYS; i++) {
        const bool digit = ops->key >= '1' && ops->key <= '9';
        if (!digit && (ops->key < 'a' || ops->key > 'z'))
            continue;
        snprintf(view_key_text[i].alt, 8, "M-%c", ops->key);
        snprintf(view_key_text[i].function, 8, "F%c", ops->key);
        snprintf(view_key_text[i].line, 40, ":view %s", ops->name);
        snprintf(view_key_text[i].help, 64, "Open %s.", ops->name);
        view_keys[n++] =
            (struct sx_key_binding){"global", view_key_text[i].alt,  view_key_text[i].line,
                                    NULL,     view_key_text[i].help, "Views"};
        if (digit && ops->key > '1') { /* F1 is help everywhere else too */
            view_keys[n] = view_keys[n - 1];
            view_keys[n++].key = view_key_text[i].function;
        }
    }
    return n;
}

static bool in_table(const struct sx_key_binding *table, size_t n, const char *request)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].request, request) == 0)
            return true;
    }
    return false;
}

static bool known_request(const char *request)
{
    const struct sx_view_ops *ops;
    size_t n;
    const struct sx_key_binding *moves = sx_keymap_moves(&n);

    if (request[0] == ':' || in_table(moves, n, request) ||
        in_table(global_keys, sizeof global_keys / sizeof *global_keys, request))
        return true;
    for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++) {
        if (in_table(ops->keys, ops->n_keys, request))
            return true;
    }
    return false;
}

enum sx_status sx_keys_new(const struct sx_value *keys, const char *label, struct sx_keymap **out,
                           struct sx_error *err)
{
    struct sx_keymap *map = sx_keymap_new();
    const struct sx_view_ops *ops;
    enum sx_status status = SX_OK;
    size_t n;
    const struct sx_key_binding *moves = sx_keymap_moves(&n);

    for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++)
        sx_keymap_add(map, ops->keys, ops->n_keys);
    sx_keymap_add(map, moves, n);
    sx_keymap_add(map, global_keys, sizeof global_keys / sizeof *global_keys);
    sx_keymap_add(map, view_keys, make_view_keys());
    if (keys)
        status = sx_keymap_override(map, keys, label, known_request, err);
    if (status != SX_OK) {
        sx_keymap_free(map);
        map = NULL;
    }
    *out = map;
    return status;
}

const struct sx_key_binding *sx_keys_global(size_t *count)
{
    *count = sizeof global_keys / sizeof *global_keys;
    return global_keys;
}
