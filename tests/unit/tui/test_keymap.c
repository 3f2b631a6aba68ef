#include <criterion/criterion.h>
#include <string.h>

#include "sextant/tui/keymap.h"
#include "sextant/tui/term.h"

static struct sx_key key(const char *name)
{
    struct sx_key k = {0};
    cr_assert(sx_key_parse(name, &k), "%s", name);
    return k;
}

Test(key, names_round_trip)
{
    static const char *const names[] = {"j",     "G",     "C-d",     "M-x",   "S-Tab",     "PgDn",
                                        "Up",    "Esc",   "Enter",   "Space", "F1",        "F12",
                                        "C-M-a", "Click", "WheelUp", "é",     "Backspace", "/",
                                        "-",     "C-Up",  "lt",      "Resize"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char out[32];
        cr_expect_str_eq(sx_key_name(key(names[i]), out, sizeof out), names[i]);
    }
    cr_expect(sx_key_equal(key("<Up>"), key("up")));
    cr_expect(sx_key_equal(key("C-D"), key("C-d")));
    cr_expect_not(sx_key_equal(key("g"), key("G")));
    struct sx_key k;
    static const char *const bad[] = {"", "Foo", "X-a", "C-", "F13", "F0", "ab", "\x01"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(sx_key_parse(bad[i], &k), "\"%s\" was taken", bad[i]);
}

Test(key, sequences)
{
    struct sx_key k[8];
    cr_assert_eq(sx_key_sequence("3j<Enter><C-d><lt>é", k, 8), 6);
    cr_expect_eq(k[0].code, '3');
    cr_expect_eq(k[2].code, SX_KEY_ENTER);
    cr_expect_eq(k[3].mods, SX_MOD_CTRL);
    cr_expect_eq(k[4].code, '<');
    cr_expect_eq(k[5].code, 0xE9);
    cr_expect_eq(sx_key_sequence("a<Foo>", k, 8), (size_t)-1);
    cr_expect_eq(sx_key_sequence("a<b", k, 8), (size_t)-1);
    cr_expect_eq(sx_key_sequence("abcdefghijkl", k, 2), 12);
}

static const struct sx_key_binding table[] = {
    {"global", "q", "quit", "quit", "leave", "Program"},
    {"global", "?", "help", "help", "explain this screen", "Program"},
    {"global", "1", "view workspace", NULL, "the workspace", "Views"},
    {"features", "o", "sort", "sort", "sort by the column under the cursor", "Table"},
    {"features", "q", "back", "back", "to the workspace", "Table"},
};
static const char *const contexts[] = {"features", "move", "global"};

static struct sx_keymap *make_map(void)
{
    struct sx_keymap *map = sx_keymap_new();
    size_t n;
    const struct sx_key_binding *moves = sx_keymap_moves(&n);
    sx_keymap_add(map, table, sizeof table / sizeof table[0]);
    sx_keymap_add(map, moves, n);
    return map;
}

static const char *request_of(const struct sx_keymap *map, const char *name)
{
    const struct sx_key_binding *b = sx_keymap_find(map, contexts, 3, key(name));
    return b ? b->request : "-";
}

Test(keymap, the_inner_context_wins)
{
    struct sx_keymap *map = make_map();
    cr_expect_str_eq(request_of(map, "q"), "back");
    cr_expect_str_eq(request_of(map, "?"), "help");
    cr_expect_str_eq(request_of(map, "j"), "down");
    cr_expect_str_eq(request_of(map, "z"), "-");
    cr_expect_str_eq(sx_keymap_key_of(map, contexts, 3, "sort"), "o");
    cr_expect_str_eq(sx_keymap_key_of(map, contexts, 3, "quit"), ""); /* shadowed */
    const struct sx_key_binding *list[64];
    size_t n = sx_keymap_list(map, contexts, 3, list, 64);
    for (size_t i = 0; i < n; i++)
        cr_expect_str_neq(list[i]->request, "quit");
    cr_expect_str_eq(list[0]->request, "sort");
    sx_keymap_free(map);
}

Test(keymap, counts)
{
    struct sx_keymap *map = make_map();
    struct sx_key_state state = {0};
    unsigned count = 99;
    cr_expect_null(sx_keymap_feed(map, &state, contexts, 3, key("2"), &count));
    cr_expect_null(
        sx_keymap_feed(map, &state, contexts, 3, key("1"), &count)); /* bound, but later */
    cr_expect_null(sx_keymap_feed(map, &state, contexts, 3, key("0"), &count));
    const struct sx_key_binding *b = sx_keymap_feed(map, &state, contexts, 3, key("j"), &count);
    cr_assert_not_null(b);
    cr_expect_str_eq(b->request, "down");
    cr_expect_eq(count, 210);
    b = sx_keymap_feed(map, &state, contexts, 3, key("1"), &count); /* bound: no count */
    cr_assert_not_null(b);
    cr_expect_str_eq(b->request, "view workspace");
    cr_expect_eq(count, 0);
    for (int i = 0; i < 30; i++)
        sx_keymap_feed(map, &state, contexts, 3, key("9"), &count);
    sx_keymap_feed(map, &state, contexts, 3, key("G"), &count);
    cr_expect_eq(count, 9999999);
    cr_expect_eq(state.count, 0);
    sx_keymap_free(map);
}

static bool known(const char *request)
{
    return strcmp(request, "sort") == 0 || strcmp(request, "quit") == 0;
}

Test(keymap, users_override_keys)
{
    struct sx_keymap *map = make_map();
    struct sx_value *v = sx_value_map();
    struct sx_value *keys = sx_value_set(v, "features", sx_value_map());
    sx_value_set(keys, "C-s", sx_value_string("sort"));
    sx_value_set(keys, "q", sx_value_string("none"));
    struct sx_error err = {0};
    cr_assert_eq(sx_keymap_override(map, v, "keys.yaml", known, &err), SX_OK, "%s", err.message);
    cr_expect_str_eq(request_of(map, "C-s"), "sort");
    cr_expect_str_eq(sx_keymap_find(map, contexts, 3, key("C-s"))->label, "sort");
    cr_expect_str_eq(request_of(map, "q"), "-");
    sx_value_free(v);
    sx_keymap_free(map);
}

static void expect_refused(const char *context, const char *name, const char *request,
                           const char *message)
{
    struct sx_keymap *map = make_map();
    struct sx_value *v = sx_value_map();
    struct sx_value *keys = sx_value_set(v, "global", sx_value_map());
    sx_value_set(keys, "x", sx_value_string("sort")); /* must not be applied either */
    keys = sx_value_set(v, context, sx_value_map());
    sx_value_set_line(keys, 4);
    sx_value_set_line(sx_value_set(keys, name, sx_value_string(request)), 5);
    struct sx_error err = {0};
    cr_expect_eq(sx_keymap_override(map, v, "keys.yaml", known, &err), SX_ERR_FORMAT);
    cr_expect(strncmp(err.message, message, strlen(message)) == 0, "%s", err.message);
    cr_expect_str_eq(request_of(map, "x"), "-");
    sx_value_free(v);
    sx_keymap_free(map);
}

Test(keymap, wrong_overrides_name_the_line)
{
    expect_refused("nowhere", "a", "sort", "keys.yaml:4: nowhere");
    expect_refused("features", "Foo", "sort", "keys.yaml:5: \"Foo\" is no key");
    expect_refused("features", "a", "dance", "keys.yaml:5: key a: there is no request \"dance\"");
}

Test(term, memory_terminal_scripts_keys_and_keeps_the_screen)
{
    struct sx_term *term = sx_term_new_memory(10, 2, SX_CHARSET_UTF8, SX_DEPTH_256);
    struct sx_key k;
    cr_expect_not(sx_term_read(term, &k));
    cr_expect_null(sx_term_memory_screen(term));
    sx_term_memory_push(term, key("j"));
    sx_term_memory_resize(term, 5, 1);
    cr_expect(sx_term_read(term, &k) && k.code == 'j');
    cr_expect(sx_term_read(term, &k) && k.code == SX_KEY_RESIZE && k.x == 5);
    cr_expect_not(sx_term_read(term, &k));
    struct sx_screen *screen = sx_screen_new(5, 1, SX_CHARSET_UTF8, SX_DEPTH_256);
    struct sx_canvas cv = sx_canvas_of(screen);
    sx_put(&cv, 0, 0, SX_STYLE_TEXT, "hello");
    sx_term_flush(term, screen, sx_theme_default());
    sx_screen_clear(screen);
    cr_expect_eq(sx_term_memory_screen(term)->cells[4].ch, 'o');
    cr_expect(sx_term_copy(term, "copied"));
    cr_expect_str_eq(sx_term_memory_copied(term), "copied");
    sx_screen_free(screen);
    sx_term_close(term);
}
