#include <criterion/criterion.h>
#include <string.h>

#include "canvas_expect.h"
#include "sextant/tui/prompt.h"

static enum sx_prompt_result type(struct sx_prompt *p, const char *keys)
{
    struct sx_key k[128];
    enum sx_prompt_result last = SX_PROMPT_IGNORED;
    size_t n = sx_key_sequence(keys, k, 128);
    cr_assert(n <= 128);
    for (size_t i = 0; i < n; i++)
        last = sx_prompt_key(p, k[i]);
    return last;
}

static void expect_line(const struct sx_prompt *p, const char *text, size_t cursor)
{
    cr_expect_str_eq(p->text, text);
    cr_expect_eq(p->cursor, cursor, "cursor at %zu", p->cursor);
    cr_expect_eq(p->len, strlen(p->text));
}

Test(prompt, editing)
{
    struct sx_prompt p = {0};
    sx_prompt_open(&p, ":", "", NULL);
    type(&p, "match é seeds");
    expect_line(&p, "match é seeds", 14);
    type(&p, "<C-a><C-f><C-d>");
    expect_line(&p, "mtch é seeds", 1);
    type(&p, "a<End><C-w>");
    expect_line(&p, "match é ", 9);
    type(&p, "<Left><Backspace>");
    expect_line(&p, "match  ", 6);
    type(&p, "<C-y>");
    expect_line(&p, "match seeds ", 11);
    type(&p, "<M-b><C-k>");
    expect_line(&p, "match ", 6);
    type(&p, "<C-u>");
    expect_line(&p, "", 0);
    cr_expect_eq(type(&p, "<Backspace>"), SX_PROMPT_CANCEL);
    cr_expect_eq(type(&p, "<Esc>"), SX_PROMPT_CANCEL);
    cr_expect_eq(type(&p, "<F5>"), SX_PROMPT_IGNORED);
}

Test(prompt, pasted_text_is_cleaned_and_bounded)
{
    struct sx_prompt p = {0};
    sx_prompt_open(&p, ":", "", NULL);
    sx_prompt_insert(&p, "a\nb\x1b[31m");
    expect_line(&p, "a b\xEF\xBF\xBD[31m", 10);
    for (int i = 0; i < 2000; i++)
        type(&p, "x");
    cr_expect_eq(p.len, SX_PROMPT_MAX - 1);
    cr_expect_eq(strlen(p.text), SX_PROMPT_MAX - 1);
    type(&p, "<C-u><C-y><C-y>");
    cr_expect_eq(p.len, SX_PROMPT_MAX - 1);
}

Test(prompt, history_keeps_the_draft)
{
    struct sx_history *h = sx_history_new();
    struct sx_prompt p = {0};
    sx_prompt_open(&p, ":", "", h);
    cr_expect_eq(type(&p, "one<Enter>"), SX_PROMPT_ACCEPT);
    sx_prompt_open(&p, ":", "", h);
    type(&p, "two<Enter>");
    sx_prompt_open(&p, ":", "", h);
    type(&p, "two<Enter>"); /* no duplicate */
    cr_expect_eq(sx_history_count(h), 2);
    sx_prompt_open(&p, ":", "", h);
    type(&p, "dra<Up><Up>");
    expect_line(&p, "one", 3);
    type(&p, "<Up><Down>");
    expect_line(&p, "two", 3);
    type(&p, "<Down><Down>");
    expect_line(&p, "dra", 3);
    sx_history_free(h);
}

Test(prompt, completion_fills_the_common_part_then_cycles)
{
    static const char *const views[] = {"gallery", "gamma"};
    struct sx_prompt p = {0};
    sx_prompt_open(&p, ":", "", NULL);
    cr_expect_eq(type(&p, "view g<Tab>"), SX_PROMPT_COMPLETE);
    sx_prompt_set_candidates(&p, 5, views, 2);
    expect_line(&p, "view ga", 7);
    type(&p, "<Tab>");
    expect_line(&p, "view gallery", 12);
    type(&p, "<Tab>");
    expect_line(&p, "view gamma", 10);
    type(&p, "<S-Tab>");
    expect_line(&p, "view gallery", 12);

    struct sx_screen *s = sx_screen_new(30, 5, SX_CHARSET_UTF8, SX_DEPTH_256);
    struct sx_canvas cv = sx_canvas_of(s);
    sx_prompt_draw(&cv, 4, &p);
    canvas_expect(s, true, SX_SOURCE_DIR "/tests/unit/tui/golden/prompt.txt");
    sx_screen_free(s);

    cr_expect_eq(type(&p, "<Esc>"), SX_PROMPT_MOVED); /* closes the list */
    cr_expect_eq(type(&p, "<Esc>"), SX_PROMPT_CANCEL);
    sx_prompt_open(&p, ":", "vi", NULL);
    static const char *const one[] = {"view"};
    sx_prompt_set_candidates(&p, 0, one, 1);
    expect_line(&p, "view", 4);
    cr_expect_null(p.candidate);
}

Test(prompt, draws_in_any_room)
{
    struct sx_prompt p = {0};
    sx_prompt_open(&p, ":", "a long line with 漢字 in it", NULL);
    for (int w = 1; w < 40; w++) {
        struct sx_screen *s = sx_screen_new(w, 1, SX_CHARSET_UTF8, SX_DEPTH_256);
        struct sx_canvas cv = sx_canvas_of(s);
        sx_prompt_draw(&cv, 0, &p);
        cr_expect(w < 2 || s->cursor_set, "no cursor at width %d", w);
        sx_screen_free(s);
    }
}
