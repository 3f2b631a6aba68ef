/* What comes from a terminal: keys, mouse, resize, pasted text. */
#ifndef SEXTANT_TUI_KEY_H
#define SEXTANT_TUI_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SX_MOD_SHIFT = 1, SX_MOD_CTRL = 2, SX_MOD_ALT = 4 };

/* Codes below SX_KEY_FIRST are Unicode code points. Ctrl-letters are the lower-case letter with
 * SX_MOD_CTRL; a shifted letter is the upper-case letter without SX_MOD_SHIFT. */
enum sx_key_code {
    SX_KEY_NONE = 0,
    SX_KEY_FIRST = 0x110000,
    SX_KEY_ENTER = SX_KEY_FIRST,
    SX_KEY_ESC,
    SX_KEY_TAB,
    SX_KEY_BACKSPACE,
    SX_KEY_INSERT,
    SX_KEY_DELETE,
    SX_KEY_UP,
    SX_KEY_DOWN,
    SX_KEY_LEFT,
    SX_KEY_RIGHT,
    SX_KEY_HOME,
    SX_KEY_END,
    SX_KEY_PGUP,
    SX_KEY_PGDN,
    SX_KEY_F1, /* … SX_KEY_F1 + 11 is F12 */
    SX_KEY_F12 = SX_KEY_F1 + 11,
    /* Mouse: x, y are screen coordinates. */
    SX_KEY_CLICK,
    SX_KEY_DOUBLE_CLICK,
    SX_KEY_RIGHT_CLICK,
    SX_KEY_DRAG,
    SX_KEY_WHEEL_UP,
    SX_KEY_WHEEL_DOWN,
    /* Not keys. */
    SX_KEY_RESIZE, /* x, y: the new size */
    SX_KEY_PASTE,  /* the text: sx_term_paste() */
    SX_KEY_CLOSED, /* the terminal is gone */
};

struct sx_key {
    uint32_t code;
    uint8_t mods;
    int x, y;
};

bool sx_key_equal(struct sx_key a, struct sx_key b); /* code and mods */
bool sx_key_is_mouse(struct sx_key key);
/* A printable character without Ctrl or Alt. */
bool sx_key_is_text(struct sx_key key);

/* "j", "C-d", "M-x", "S-Tab", "PgDn", "<Up>", "Space", "Esc", "F1", "<Click>", "WheelUp";
 * case matters for single characters only. False: no such key. */
bool sx_key_parse(const char *name, struct sx_key *out);
/* The name sx_key_parse reads; always NUL-terminated. Returns out. */
const char *sx_key_name(struct sx_key key, char *out, size_t size);
/* What the key bar shows: ⏎ ← → ↑ ↓ where the charset has them, the name otherwise. */
const char *sx_key_symbol(struct sx_key key, bool ascii, char *out, size_t size);

/* "3j<Enter>:quit<Enter><C-d>" to keys, for scripts: <Name> in angle brackets, "<lt>" for "<",
 * other characters as themselves. Returns how many there are (at most `max` are stored), or
 * (size_t)-1 when a name is unknown. */
size_t sx_key_sequence(const char *text, struct sx_key *out, size_t max);

#endif
