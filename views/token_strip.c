#include "token_strip.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/text.h"

enum { LABEL = 6, BLOCK = 10, ROW_MOST = 100, LINE = 2 };

/* Where a token stands. */
struct place {
    int row, x, w;
};

static bool is_protein(const struct sx_strip *strip)
{
    return strip->input->info.family == SX_MODEL_ESM2;
}

static int residues_per_row(int width)
{
    const int blocks = (width - LABEL - 1) / (BLOCK + 1);

    if (blocks < 1)
        return width > LABEL + 2 ? width - LABEL - 2 : 1;
    return blocks * BLOCK < ROW_MOST ? blocks * BLOCK : ROW_MOST;
}

static int column_of(int i)
{
    return LABEL + i + i / BLOCK;
}

/* <cls> stands before the first residue, <eos> behind the last one, on its row. */
static struct place residue_place(const struct sx_strip *strip, int width, size_t t)
{
    const size_t per_row = (size_t)residues_per_row(width);

    if (t == 0)
        return (struct place){0, LABEL - 1, 1};
    const size_t i = t - 1;
    const int column = (int)(i % per_row);
    if (i > 0 && t + 1 == strip->input->n && strip->input->tokens[t].text[0] == '<') {
        const struct place last = residue_place(strip, width, t - 1);
        return (struct place){last.row, last.x + 1, 1};
    }
    return (struct place){(int)(i / per_row), column_of(column), 1};
}

static struct place text_place(const struct sx_strip *strip, int width, size_t t,
                               struct place before)
{
    int w = sx_text_width(strip->input->tokens[t].text);
    const int x = t == 0 ? 1 : before.x + before.w;

    w = w < 1 ? 1 : w > width - 2 && width > 3 ? width - 2 : w;
    if (t == 0 || x + w < width)
        return (struct place){before.row, x, w};
    return (struct place){before.row + 1, 1, w};
}

/* The place of t, given that of t - 1. */
static struct place next_place(const struct sx_strip *strip, int width, size_t t,
                               struct place before)
{
    return is_protein(strip) ? residue_place(strip, width, t) : text_place(strip, width, t, before);
}

static struct place place_of(const struct sx_strip *strip, int width, size_t token)
{
    struct place at = {0, 1, 0};

    if (is_protein(strip))
        return residue_place(strip, width, token);
    for (size_t t = 0; t <= token && t < strip->input->n; t++)
        at = text_place(strip, width, t, at);
    return at;
}

int sx_strip_height(const struct sx_strip *strip, int width)
{
    return strip->input->n > 0 ? LINE * (place_of(strip, width, strip->input->n - 1).row + 1) : 0;
}

/* --- drawing ------------------------------------------------------------------------------------
 */

static double part_of(const struct sx_strip *strip, size_t t)
{
    if (!strip->value || isnan(strip->value[t]))
        return NAN;
    return sx_heat_bend(strip->curve, strip->hi > 0 ? (double)strip->value[t] / strip->hi : 0);
}

static void draw_marks(struct sx_canvas *cv, const struct sx_strip *strip, size_t t,
                       struct place at, int y)
{
    const double part = part_of(strip, t);
    const int level = part > 0.02 ? 1 + (int)(part * 7.999) : 0; /* NAN: 0 */

    /* What it was before; a mask that was typed was nothing. */
    if (strip->input->masked[t] && is_protein(strip) && strip->input->tokens[t].text[0] != '<') {
        sx_put(cv, at.x, y, SX_STYLE_STRONG, strip->input->tokens[t].text);
        return;
    }
    /* The rule from one token's mark to the next; ASCII's own is one of the marks. */
    const uint32_t rule = sx_canvas_ascii(cv) ? '_' : sx_glyph(cv, SX_GLYPH_HLINE);
    if (!is_protein(strip))
        sx_fill(cv, (struct sx_rect){at.x, y, at.w, 1}, SX_STYLE_RULE, rule);
    if (level > 0)
        sx_put_char(cv, at.x, y, SX_STYLE_BAR, sx_glyph_block(cv, level));
}

static void draw_token(struct sx_canvas *cv, const struct sx_strip *strip, size_t t,
                       struct place at, int y)
{
    const char *text = strip->input->tokens[t].text;
    const double part = part_of(strip, t);
    enum sx_style style = isnan(part) ? SX_STYLE_TEXT : sx_heat_style(part, 0, 1, false);

    if (is_protein(strip) && text[0] == '<' && !strip->input->masked[t]) {
        style = isnan(part) ? SX_STYLE_DIM : style;
        sx_put_char(cv, at.x, y, style, t == 0 ? '<' : '>');
    } else if (strip->input->masked[t]) {
        sx_put_char(cv, at.x, y, style, sx_canvas_ascii(cv) ? '?' : 0x2592);
    } else {
        sx_fill(cv, (struct sx_rect){at.x, y, at.w, 1}, style, ' ');
        sx_put_cut(cv, at.x, y, at.w, style, *text ? text : "·");
    }
    if (t == strip->other)
        sx_overlay(cv, (struct sx_rect){at.x, y, at.w, 1}, SX_STYLE_SELECTED);
    if (t == strip->cursor) {
        sx_overlay(cv, (struct sx_rect){at.x, y, at.w, 1},
                   strip->focus ? SX_STYLE_CURSOR : SX_STYLE_CURSOR_BLUR);
        if (strip->focus)
            sx_set_cursor(cv, at.x, y, false);
    }
}

static void draw_number(struct sx_canvas *cv, const struct sx_strip *strip, size_t t, int y)
{
    char number[24];

    if (!is_protein(strip) || t == 0)
        return;
    snprintf(number, sizeof number, "%zu", t);
    sx_put_right(cv, 0, y, LABEL - 1, SX_STYLE_LABEL, number);
}

/* By half pages, so that a cursor that goes on does not send everything for every line. */
static void scroll_to(struct sx_strip_state *state, int row, int rows)
{
    const int page = state->page;

    if (row < state->top || row >= state->top + page)
        state->top = row - page / 2;
    if (state->top > rows - page)
        state->top = rows - page;
    if (state->top < 0)
        state->top = 0;
}

void sx_strip_draw(struct sx_canvas *cv, const struct sx_strip *strip, struct sx_strip_state *state)
{
    const size_t n = strip->input->n;
    struct place at = {0, 1, 0};
    int row = -1;

    state->page = cv->h / LINE > 0 ? cv->h / LINE : 1;
    if (n == 0 || cv->w < 4)
        return;
    scroll_to(state, place_of(strip, cv->w, strip->cursor).row,
              sx_strip_height(strip, cv->w) / LINE);
    for (size_t t = 0; t < n; t++) {
        at = next_place(strip, cv->w, t, at);
        if (at.row < state->top)
            continue;
        if (at.row >= state->top + state->page)
            break;
        const int y = LINE * (at.row - state->top);
        if (at.row != row && !(is_protein(strip) && t == 0))
            draw_number(cv, strip, t, y);
        row = is_protein(strip) && t == 0 ? -1 : at.row;
        draw_marks(cv, strip, t, at, y + 1);
        draw_token(cv, strip, t, at, y);
    }
}

/* --- moving -------------------------------------------------------------------------------------
 */

static size_t token_at(const struct sx_strip *strip, int width, int row, int x, bool nearest)
{
    struct place at = {0, 1, 0};
    size_t best = SIZE_MAX;
    int best_distance = nearest ? width + 1 : 1;

    for (size_t t = 0; t < strip->input->n; t++) {
        at = next_place(strip, width, t, at);
        if (at.row != row)
            continue;
        const int distance = x < at.x ? at.x - x : x >= at.x + at.w ? x - at.x - at.w + 1 : 0;
        if (distance >= best_distance)
            continue;
        best = t;
        best_distance = distance;
    }
    return best;
}

size_t sx_strip_at(const struct sx_strip *strip, const struct sx_strip_state *state, int width,
                   int x, int y)
{
    return y < 0 ? SIZE_MAX : token_at(strip, width, state->top + y / LINE, x, false);
}

static void move_rows(const struct sx_strip *strip, int width, long rows, size_t *token)
{
    const struct place from = place_of(strip, width, *token);
    const long last = sx_strip_height(strip, width) / LINE - 1;
    long row = from.row + rows;

    row = row < 0 ? 0 : row > last ? last : row;
    const size_t to = token_at(strip, width, (int)row, from.x, true);
    if (to != SIZE_MAX && row != from.row)
        *token = to;
}

bool sx_strip_request(const struct sx_strip *strip, const struct sx_strip_state *state, int width,
                      const char *request, unsigned count, size_t *token)
{
    const long times = count > 0 ? (long)count : 1;
    const long page = state->page > 0 ? state->page : 1;
    const size_t n = strip->input->n;

    if (n == 0)
        return false;
    if (strcmp(request, "right") == 0)
        *token = *token + (size_t)times < n ? *token + (size_t)times : n - 1;
    else if (strcmp(request, "left") == 0)
        *token = *token > (size_t)times ? *token - (size_t)times : 0;
    else if (strcmp(request, "down") == 0)
        move_rows(strip, width, times, token);
    else if (strcmp(request, "up") == 0)
        move_rows(strip, width, -times, token);
    else if (strcmp(request, "page-down") == 0 || strcmp(request, "half-down") == 0)
        move_rows(strip, width, (request[0] == 'h' ? (page + 1) / 2 : page) * times, token);
    else if (strcmp(request, "page-up") == 0 || strcmp(request, "half-up") == 0)
        move_rows(strip, width, -(request[0] == 'h' ? (page + 1) / 2 : page) * times, token);
    else if (count > 0 && (strcmp(request, "first") == 0 || strcmp(request, "last") == 0))
        *token = count < n ? count : n - 1;
    else if (strcmp(request, "first") == 0)
        *token = 0;
    else if (strcmp(request, "last") == 0)
        *token = n - 1;
    else
        return false;
    return true;
}
