#include "sextant/tui/key.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sextant/base/status.h"
#include "sextant/base/text.h"

static const struct {
    uint32_t code;
    const char *name;
    const char *symbol; /* for the key bar; NULL: the name */
} names[] = {
    {SX_KEY_ENTER, "Enter", "⏎"},
    {SX_KEY_ESC, "Esc", NULL},
    {SX_KEY_TAB, "Tab", NULL},
    {SX_KEY_BACKSPACE, "Backspace", NULL},
    {SX_KEY_INSERT, "Insert", NULL},
    {SX_KEY_DELETE, "Delete", NULL},
    {SX_KEY_UP, "Up", "↑"},
    {SX_KEY_DOWN, "Down", "↓"},
    {SX_KEY_LEFT, "Left", "←"},
    {SX_KEY_RIGHT, "Right", "→"},
    {SX_KEY_HOME, "Home", NULL},
    {SX_KEY_END, "End", NULL},
    {SX_KEY_PGUP, "PgUp", NULL},
    {SX_KEY_PGDN, "PgDn", NULL},
    {SX_KEY_CLICK, "Click", NULL},
    {SX_KEY_DOUBLE_CLICK, "DoubleClick", NULL},
    {SX_KEY_RIGHT_CLICK, "RightClick", NULL},
    {SX_KEY_DRAG, "Drag", NULL},
    {SX_KEY_WHEEL_UP, "WheelUp", NULL},
    {SX_KEY_WHEEL_DOWN, "WheelDown", NULL},
    {SX_KEY_RESIZE, "Resize", NULL},
    {SX_KEY_PASTE, "Paste", NULL},
    {SX_KEY_CLOSED, "Closed", NULL},
    {' ', "Space", NULL},
    {'<', "lt", "<"},
};
enum { N_NAMES = sizeof names / sizeof names[0] };

bool sx_key_equal(struct sx_key a, struct sx_key b)
{
    return a.code == b.code && a.mods == b.mods;
}

bool sx_key_is_mouse(struct sx_key key)
{
    return key.code >= SX_KEY_CLICK && key.code <= SX_KEY_WHEEL_DOWN;
}

bool sx_key_is_text(struct sx_key key)
{
    return key.code >= ' ' && key.code < SX_KEY_FIRST && key.code != 0x7F &&
           !(key.mods & (SX_MOD_CTRL | SX_MOD_ALT));
}

static bool parse_base(const char *name, size_t len, uint32_t *code)
{
    uint32_t ch;
    if (len && sx_utf8_decode(name, len, &ch) == len) {
        *code = ch;
        return ch > ' ' && ch != 0x7F && ch != 0xFFFD;
    }
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strlen(names[i].name) == len && strncasecmp(names[i].name, name, len) == 0) {
            *code = names[i].code;
            return true;
        }
    }
    int f = 0;
    char extra;
    char copy[8] = "";
    if (len >= 2 && len < sizeof copy && (name[0] == 'F' || name[0] == 'f')) {
        memcpy(copy, name + 1, len - 1);
        if (sscanf(copy, "%2d%c", &f, &extra) == 1 && f >= 1 && f <= 12) {
            *code = SX_KEY_F1 + (uint32_t)f - 1;
            return true;
        }
    }
    return false;
}

static bool parse_name(const char *name, size_t len, struct sx_key *out)
{
    struct sx_key key = {0};
    while (len > 2 && name[1] == '-') {
        if (name[0] == 'C')
            key.mods |= SX_MOD_CTRL;
        else if (name[0] == 'M' || name[0] == 'A')
            key.mods |= SX_MOD_ALT;
        else if (name[0] == 'S')
            key.mods |= SX_MOD_SHIFT;
        else
            return false;
        name += 2;
        len -= 2;
    }
    if (!parse_base(name, len, &key.code))
        return false;
    if ((key.mods & SX_MOD_CTRL) && key.code >= 'A' && key.code <= 'Z')
        key.code += 'a' - 'A';
    *out = key;
    return true;
}

bool sx_key_parse(const char *name, struct sx_key *out)
{
    size_t len = strlen(name);
    if (len > 2 && name[0] == '<' && name[len - 1] == '>')
        return parse_name(name + 1, len - 2, out);
    return parse_name(name, len, out);
}

static const char *with_mods(struct sx_key key, const char *base, char *out, size_t size)
{
    snprintf(out, size, "%s%s%s%s", key.mods & SX_MOD_CTRL ? "C-" : "",
             key.mods & SX_MOD_ALT ? "M-" : "", key.mods & SX_MOD_SHIFT ? "S-" : "", base);
    return out;
}

static const char *base_name(struct sx_key key, bool symbol, char buf[8])
{
    for (size_t i = 0; i < N_NAMES; i++)
        if (names[i].code == key.code)
            return symbol && names[i].symbol ? names[i].symbol : names[i].name;
    if (key.code >= SX_KEY_F1 && key.code <= SX_KEY_F12)
        snprintf(buf, 8, "F%u", (unsigned)(key.code - SX_KEY_F1 + 1));
    else
        buf[key.code < SX_KEY_FIRST ? sx_utf8_encode(key.code, buf) : 0] = '\0';
    return buf;
}

const char *sx_key_name(struct sx_key key, char *out, size_t size)
{
    char buf[8];
    return with_mods(key, base_name(key, false, buf), out, size);
}

const char *sx_key_symbol(struct sx_key key, bool ascii, char *out, size_t size)
{
    char buf[8];
    return with_mods(key, key.code == '<' ? "<" : base_name(key, !ascii, buf), out, size);
}

size_t sx_key_sequence(const char *text, struct sx_key *out, size_t max)
{
    size_t n = 0;
    size_t len = strlen(text);
    for (size_t i = 0; i < len; n++) {
        struct sx_key key = {0};
        const char *close = text[i] == '<' ? strchr(text + i, '>') : NULL;
        if (text[i] == '<') {
            if (!close || !parse_name(text + i + 1, (size_t)(close - text) - i - 1, &key))
                return (size_t)-1;
            i = (size_t)(close - text) + 1;
        } else {
            i += sx_utf8_decode(text + i, len - i, &key.code);
        }
        if (n < max)
            out[n] = key;
    }
    return n;
}
