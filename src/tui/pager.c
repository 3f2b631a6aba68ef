#include "sextant/tui/pager.h"

#include <string.h>
#include <strings.h>

#include "sextant/base/text.h"

static size_t last_top(const struct sx_pager *pager, const struct sx_pager_state *state)
{
    size_t page = state->page > 0 ? (size_t)state->page : 1;
    return pager->n_lines > page ? pager->n_lines - page : 0;
}

static const char *find_in(const char *line, const char *text)
{
    size_t len = strlen(text);
    for (; *line; line++)
        if (strncasecmp(line, text, len) == 0)
            return line;
    return NULL;
}

/* Columns of the first `len` bytes. */
static int width_before(const char *line, size_t len)
{
    int width = 0;
    for (size_t i = 0; i < len;) {
        uint32_t ch;
        i += sx_utf8_decode(line + i, len - i, &ch);
        width += ch < 0x20 ? 1 : sx_text_width_of(ch);
    }
    return width;
}

static void draw_line(struct sx_canvas *cv, const struct sx_pager *pager, size_t i, int y, int left)
{
    enum sx_style style = SX_STYLE_TEXT;
    const char *line = pager->line(pager->ctx, i, &style);
    /* A canvas that begins left of the screen's edge does the sideways scrolling. */
    struct sx_canvas row = sx_canvas_sub(cv, (struct sx_rect){0, y, cv->w, 1});
    row.x -= left;
    row.w += left;
    int used = sx_put(&row, 0, 0, style, line);
    if (used == row.w && sx_text_width(line) > used)
        sx_put_char(&row, row.w - 1, 0, SX_STYLE_DIM, sx_glyph(cv, SX_GLYPH_ELLIPSIS));
    if (!pager->find || !*pager->find)
        return;
    size_t len = strlen(pager->find);
    for (const char *at = find_in(line, pager->find); at; at = find_in(at + len, pager->find))
        sx_overlay(&row,
                   (struct sx_rect){width_before(line, (size_t)(at - line)), 0,
                                    sx_text_width(pager->find), 1},
                   SX_STYLE_MATCH);
}

void sx_pager_draw(struct sx_canvas *cv, const struct sx_pager *pager, struct sx_pager_state *state,
                   bool focus)
{
    state->page = cv->h;
    if (pager->follow && !state->loose)
        state->top = last_top(pager, state);
    if (state->top > last_top(pager, state))
        state->top = last_top(pager, state);
    if (!pager->n_lines && pager->empty)
        sx_put_cut(cv, 0, 0, cv->w, SX_STYLE_DIM, pager->empty);
    for (int y = 0; y < cv->h && state->top + (size_t)y < pager->n_lines; y++)
        draw_line(cv, pager, state->top + (size_t)y, y, state->left);
    if (focus)
        sx_set_cursor(cv, 0, 0, false);
}

static void scroll(const struct sx_pager *pager, struct sx_pager_state *state, long delta)
{
    if (delta < 0)
        state->top -= (size_t)-delta < state->top ? (size_t)-delta : state->top;
    else
        state->top += (size_t)delta;
    if (state->top > last_top(pager, state))
        state->top = last_top(pager, state);
}

bool sx_pager_request(const struct sx_pager *pager, struct sx_pager_state *state,
                      const char *request, unsigned count)
{
    enum { SIDEWAYS = 8 };
    long times = count ? (long)count : 1;
    long page = state->page > 1 ? state->page : 1;
    if (strcmp(request, "down") == 0)
        scroll(pager, state, times);
    else if (strcmp(request, "up") == 0)
        scroll(pager, state, -times);
    else if (strcmp(request, "page-down") == 0)
        scroll(pager, state, page * times);
    else if (strcmp(request, "page-up") == 0)
        scroll(pager, state, -page * times);
    else if (strcmp(request, "half-down") == 0)
        scroll(pager, state, (page + 1) / 2 * times);
    else if (strcmp(request, "half-up") == 0)
        scroll(pager, state, -(page + 1) / 2 * times);
    else if (strcmp(request, "first") == 0)
        state->top = count ? count - 1 : 0;
    else if (strcmp(request, "last") == 0)
        state->top = count ? count - 1 : last_top(pager, state);
    else if (strcmp(request, "right") == 0)
        state->left += SIDEWAYS;
    else if (strcmp(request, "left") == 0)
        state->left = state->left > SIDEWAYS ? state->left - SIDEWAYS : 0;
    else
        return false;
    if (state->top > last_top(pager, state))
        state->top = last_top(pager, state);
    state->loose = state->top < last_top(pager, state);
    return true;
}

size_t sx_pager_find(const struct sx_pager *pager, const char *text, size_t from, bool backwards)
{
    enum sx_style style = SX_STYLE_TEXT;
    if (!*text || !pager->n_lines)
        return (size_t)-1;
    if (from >= pager->n_lines) {
        if (!backwards)
            return (size_t)-1;
        from = pager->n_lines - 1;
    }
    for (size_t i = from;; i += backwards ? (size_t)-1 : 1) {
        if (find_in(pager->line(pager->ctx, i, &style), text))
            return i;
        if (i == (backwards ? 0 : pager->n_lines - 1))
            return (size_t)-1;
    }
}
