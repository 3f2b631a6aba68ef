#include "sextant/tui/prompt.h"

#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"

struct sx_history {
    char **line;
    size_t n, capacity;
};

struct sx_history *sx_history_new(void)
{
    return sx_xcalloc(1, sizeof(struct sx_history));
}

void sx_history_free(struct sx_history *history)
{
    if (!history)
        return;
    for (size_t i = 0; i < history->n; i++)
        sx_free(history->line[i]);
    sx_free(history->line);
    sx_free(history);
}

void sx_history_add(struct sx_history *history, const char *line)
{
    enum { MAX_LINES = 500 };
    if (!*line || (history->n && strcmp(history->line[history->n - 1], line) == 0))
        return;
    if (history->n == MAX_LINES) {
        sx_free(history->line[0]);
        memmove(history->line, history->line + 1, (MAX_LINES - 1) * sizeof *history->line);
        history->n--;
    }
    SX_GROW(history->line, history->capacity, history->n + 1);
    history->line[history->n++] = sx_xstrdup(line);
}

size_t sx_history_count(const struct sx_history *history)
{
    return history->n;
}

const char *sx_history_line(const struct sx_history *history, size_t i)
{
    SX_ASSERT(i < history->n);
    return history->line[i];
}

static void copy_text(char *dst, size_t size, const char *src)
{
    size_t len = strlen(src);
    if (len >= size)
        len = size - 1;
    while (len && (src[len] & 0xC0) == 0x80) /* not inside a character */
        len--;
    memcpy(dst, src, len);
    dst[len] = '\0';
}

static void set_text(struct sx_prompt *prompt, const char *text)
{
    copy_text(prompt->text, sizeof prompt->text, text);
    prompt->len = prompt->cursor = strlen(prompt->text);
}

void sx_prompt_open(struct sx_prompt *prompt, const char *lead, const char *text,
                    struct sx_history *history)
{
    char kill[SX_PROMPT_MAX];
    memcpy(kill, prompt->kill, sizeof kill); /* C-y works across prompts */
    memset(prompt, 0, sizeof *prompt);
    memcpy(prompt->kill, kill, sizeof kill);
    copy_text(prompt->lead, sizeof prompt->lead, lead);
    set_text(prompt, text ? text : "");
    prompt->history = history;
    prompt->history_at = history ? history->n : 0;
}

static size_t before(const struct sx_prompt *prompt, size_t at)
{
    if (at == 0)
        return 0;
    at--;
    while (at > 0 && (prompt->text[at] & 0xC0) == 0x80)
        at--;
    return at;
}

static size_t after(const struct sx_prompt *prompt, size_t at)
{
    if (at >= prompt->len)
        return prompt->len;
    at++;
    while (at < prompt->len && (prompt->text[at] & 0xC0) == 0x80)
        at++;
    return at;
}

static size_t word_before(const struct sx_prompt *prompt, size_t at)
{
    while (at > 0 && prompt->text[at - 1] == ' ')
        at--;
    while (at > 0 && prompt->text[at - 1] != ' ')
        at--;
    return at;
}

static size_t word_after(const struct sx_prompt *prompt, size_t at)
{
    while (at < prompt->len && prompt->text[at] == ' ')
        at++;
    while (at < prompt->len && prompt->text[at] != ' ')
        at++;
    return at;
}

static void remove_range(struct sx_prompt *prompt, size_t from, size_t to)
{
    memmove(prompt->text + from, prompt->text + to, prompt->len - to + 1);
    prompt->len -= to - from;
    prompt->cursor = from;
}

static enum sx_prompt_result kill_range(struct sx_prompt *prompt, size_t from, size_t to)
{
    if (from >= to)
        return SX_PROMPT_MOVED;
    memcpy(prompt->kill, prompt->text + from, to - from);
    prompt->kill[to - from] = '\0';
    remove_range(prompt, from, to);
    return SX_PROMPT_EDITED;
}

static void insert(struct sx_prompt *prompt, const char *text, size_t len)
{
    if (prompt->len + len >= sizeof prompt->text)
        return;
    memmove(prompt->text + prompt->cursor + len, prompt->text + prompt->cursor,
            prompt->len - prompt->cursor + 1);
    memcpy(prompt->text + prompt->cursor, text, len);
    prompt->len += len;
    prompt->cursor += len;
}

void sx_prompt_insert(struct sx_prompt *prompt, const char *text)
{
    char clean[SX_PROMPT_MAX];
    size_t len = sx_text_clean(clean, sizeof clean, text, strlen(text));
    insert(prompt, clean, len);
    prompt->candidate = NULL;
}

static enum sx_prompt_result show_history(struct sx_prompt *prompt, int step)
{
    if (!prompt->history)
        return SX_PROMPT_MOVED;
    size_t n = prompt->history->n;
    if ((step < 0 && prompt->history_at == 0) || (step > 0 && prompt->history_at >= n))
        return SX_PROMPT_MOVED;
    if (prompt->history_at == n)
        copy_text(prompt->draft, sizeof prompt->draft, prompt->text);
    prompt->history_at = step < 0 ? prompt->history_at - 1 : prompt->history_at + 1;
    set_text(prompt,
             prompt->history_at == n ? prompt->draft : prompt->history->line[prompt->history_at]);
    return SX_PROMPT_EDITED;
}

static void replace_word(struct sx_prompt *prompt, const char *text, size_t len)
{
    if (prompt->cursor > prompt->complete_from)
        remove_range(prompt, prompt->complete_from, prompt->cursor);
    insert(prompt, text, len);
}

static enum sx_prompt_result cycle(struct sx_prompt *prompt, int step)
{
    size_t n = prompt->n_candidates;
    if (prompt->chosen >= n)
        prompt->chosen = step > 0 ? 0 : n - 1;
    else
        prompt->chosen = (prompt->chosen + (step > 0 ? 1 : n - 1)) % n;
    const char *text = prompt->candidate[prompt->chosen];
    replace_word(prompt, text, strlen(text));
    return SX_PROMPT_EDITED;
}

void sx_prompt_set_candidates(struct sx_prompt *prompt, size_t from, const char *const *candidate,
                              size_t n)
{
    prompt->candidate = n ? candidate : NULL;
    prompt->n_candidates = n;
    prompt->chosen = n;
    prompt->complete_from = from < prompt->cursor ? from : prompt->cursor;
    if (!n)
        return;
    size_t common = strlen(candidate[0]);
    for (size_t i = 1; i < n; i++) {
        size_t k = 0;
        while (k < common && candidate[i][k] == candidate[0][k])
            k++;
        common = k;
    }
    while (common && (candidate[0][common] & 0xC0) == 0x80)
        common--;
    if (common >= prompt->cursor - prompt->complete_from)
        replace_word(prompt, candidate[0], common);
    if (n == 1)
        prompt->candidate = NULL;
}

static enum sx_prompt_result move_to(struct sx_prompt *prompt, size_t at)
{
    prompt->cursor = at;
    return SX_PROMPT_MOVED;
}

static enum sx_prompt_result control_key(struct sx_prompt *prompt, uint32_t letter)
{
    switch (letter) {
    case 'a':
        return move_to(prompt, 0);
    case 'e':
        return move_to(prompt, prompt->len);
    case 'b':
        return move_to(prompt, before(prompt, prompt->cursor));
    case 'f':
        return move_to(prompt, after(prompt, prompt->cursor));
    case 'd':
        remove_range(prompt, prompt->cursor, after(prompt, prompt->cursor));
        return SX_PROMPT_EDITED;
    case 'h':
        remove_range(prompt, before(prompt, prompt->cursor), prompt->cursor);
        return SX_PROMPT_EDITED;
    case 'k':
        return kill_range(prompt, prompt->cursor, prompt->len);
    case 'u':
        return kill_range(prompt, 0, prompt->cursor);
    case 'w':
        return kill_range(prompt, word_before(prompt, prompt->cursor), prompt->cursor);
    case 'y':
        insert(prompt, prompt->kill, strlen(prompt->kill));
        return SX_PROMPT_EDITED;
    case 'p':
        return show_history(prompt, -1);
    case 'n':
        return show_history(prompt, 1);
    case 'c':
    case 'g':
        return SX_PROMPT_CANCEL;
    default:
        return SX_PROMPT_IGNORED;
    }
}

static enum sx_prompt_result alt_key(struct sx_prompt *prompt, uint32_t code)
{
    switch (code) {
    case 'b':
        return move_to(prompt, word_before(prompt, prompt->cursor));
    case 'f':
        return move_to(prompt, word_after(prompt, prompt->cursor));
    case 'd':
        return kill_range(prompt, prompt->cursor, word_after(prompt, prompt->cursor));
    case SX_KEY_BACKSPACE:
        return kill_range(prompt, word_before(prompt, prompt->cursor), prompt->cursor);
    default:
        return SX_PROMPT_IGNORED;
    }
}

static enum sx_prompt_result named_key(struct sx_prompt *prompt, uint32_t code)
{
    switch (code) {
    case SX_KEY_ENTER:
        if (prompt->history)
            sx_history_add(prompt->history, prompt->text);
        return SX_PROMPT_ACCEPT;
    case SX_KEY_ESC:
        return SX_PROMPT_CANCEL;
    case SX_KEY_BACKSPACE:
        if (!prompt->len)
            return SX_PROMPT_CANCEL;
        remove_range(prompt, before(prompt, prompt->cursor), prompt->cursor);
        return SX_PROMPT_EDITED;
    case SX_KEY_DELETE:
        remove_range(prompt, prompt->cursor, after(prompt, prompt->cursor));
        return SX_PROMPT_EDITED;
    case SX_KEY_LEFT:
        return move_to(prompt, before(prompt, prompt->cursor));
    case SX_KEY_RIGHT:
        return move_to(prompt, after(prompt, prompt->cursor));
    case SX_KEY_HOME:
        return move_to(prompt, 0);
    case SX_KEY_END:
        return move_to(prompt, prompt->len);
    case SX_KEY_UP:
        return show_history(prompt, -1);
    case SX_KEY_DOWN:
        return show_history(prompt, 1);
    default:
        return SX_PROMPT_IGNORED;
    }
}

enum sx_prompt_result sx_prompt_key(struct sx_prompt *prompt, struct sx_key key)
{
    if (key.code == SX_KEY_TAB) {
        if (prompt->candidate)
            return cycle(prompt, key.mods & SX_MOD_SHIFT ? -1 : 1);
        return SX_PROMPT_COMPLETE;
    }
    if (key.code == SX_KEY_ESC && prompt->candidate) { /* first the list, then the prompt */
        prompt->candidate = NULL;
        return SX_PROMPT_MOVED;
    }
    prompt->candidate = NULL;
    if (sx_key_is_text(key)) {
        char bytes[4];
        insert(prompt, bytes, sx_utf8_encode(key.code, bytes));
        return SX_PROMPT_EDITED;
    }
    if (key.mods & SX_MOD_CTRL)
        return control_key(prompt, key.code);
    if (key.mods & SX_MOD_ALT)
        return alt_key(prompt, key.code);
    return named_key(prompt, key.code);
}

static void draw_candidates(struct sx_canvas *cv, int x, int bottom, const struct sx_prompt *prompt)
{
    enum { MAX_ROWS = 8 };
    int rows = prompt->n_candidates < MAX_ROWS ? (int)prompt->n_candidates : MAX_ROWS;
    if (rows > bottom)
        rows = bottom;
    if (rows <= 0)
        return;
    size_t top = 0;
    if (prompt->chosen < prompt->n_candidates && prompt->chosen >= (size_t)rows)
        top = prompt->chosen - (size_t)rows + 1;
    int width = 0;
    for (int i = 0; i < rows; i++) {
        int w = sx_text_width(prompt->candidate[top + (size_t)i]) + 2;
        width = w > width ? w : width;
    }
    if (x + width > cv->w)
        x = cv->w > width ? cv->w - width : 0;
    for (int i = 0; i < rows; i++) {
        size_t k = top + (size_t)i;
        int y = bottom - rows + i;
        sx_fill(cv, (struct sx_rect){x, y, width, 1}, SX_STYLE_POPUP, ' ');
        sx_put_cut(cv, x + 1, y, cv->w - x - 1, SX_STYLE_POPUP, prompt->candidate[k]);
        if (k == prompt->chosen)
            sx_overlay(cv, (struct sx_rect){x, y, width, 1}, SX_STYLE_CURSOR);
    }
}

static int width_of(const char *text, size_t len)
{
    int width = 0;
    for (size_t i = 0; i < len;) {
        uint32_t ch;
        i += sx_utf8_decode(text + i, len - i, &ch);
        width += sx_text_width_of(ch);
    }
    return width;
}

void sx_prompt_draw(struct sx_canvas *cv, int y, const struct sx_prompt *prompt)
{
    sx_fill(cv, (struct sx_rect){0, y, cv->w, 1}, SX_STYLE_PROMPT, ' ');
    int lead = sx_put(cv, 0, y, SX_STYLE_KEY, prompt->lead);
    int at = width_of(prompt->text, prompt->cursor);
    int room = cv->w - lead;
    int shift = at >= room ? at - room + 1 : 0;
    struct sx_canvas field = sx_canvas_sub(cv, (struct sx_rect){lead, y, room, 1});
    field.x -= shift;
    field.w += shift;
    sx_put(&field, 0, 0, SX_STYLE_PROMPT, prompt->text);
    if (prompt->candidate)
        draw_candidates(cv, lead + width_of(prompt->text, prompt->complete_from) - shift - 1, y,
                        prompt);
    sx_set_cursor(&field, at, 0, true);
}
