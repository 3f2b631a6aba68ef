/* The cursor bar ends with the last column that lies within BAR_MAX columns of the left edge: two
 * rows change when the cursor moves, and over a slow line they should not cost a kilobyte. */
#include "sextant/tui/table.h"

#include <string.h>

#include "scroll.h"
#include "sextant/base/text.h"

enum { MAX_COLUMNS = 64, GUTTER = 2, BAR_MAX = 80 };

struct placed {
    int x[MAX_COLUMNS], w[MAX_COLUMNS]; /* w = 0: not shown */
    int last;                           /* last column shown, -1: none */
};

static int column_width(const struct sx_column *column)
{
    return column->width > 0 ? column->width : 1;
}

/* Which columns are in the running when those before `left` are scrolled away. */
static bool takes_part(const struct sx_table *table, int left, int i)
{
    return table->columns[i].frozen || i >= left;
}

static void place_columns(const struct sx_table *table, int left, int w, struct placed *out)
{
    int n = table->n_columns < MAX_COLUMNS ? table->n_columns : MAX_COLUMNS;
    int need = GUTTER;
    int weights = 0;
    int count = 0;
    for (int i = 0; i < n; i++) {
        if (!takes_part(table, left, i))
            continue;
        need += column_width(&table->columns[i]) + (count++ ? 1 : 0);
        weights += table->columns[i].weight;
    }
    int gap = count > 1 && need + count - 1 <= w ? 2 : 1;
    int spare = gap == 2 ? w - need - (count - 1) : w - need;
    if (spare < 0)
        spare = 0;
    int x = GUTTER;
    out->last = -1;
    memset(out->w, 0, sizeof out->w);
    for (int i = 0; i < n; i++) {
        const struct sx_column *column = &table->columns[i];
        out->x[i] = x;
        if (!takes_part(table, left, i) || x >= w)
            continue;
        int width = column_width(column);
        if (column->weight > 0) {
            int share = spare * column->weight / weights;
            width += share;
            spare -= share;
            weights -= column->weight;
        }
        /* A number without its last digits is another number: rather no number. */
        if (x + width > w && column->align == SX_RIGHT && out->last >= 0)
            break;
        out->w[i] = x + width > w ? w - x : width;
        out->last = i;
        x += width + gap;
    }
}

/* Scroll sideways until the column under the cursor is whole. */
static int fit_left(const struct sx_table *table, int left, int column, int w)
{
    struct placed at;
    if (left < 0 || left >= table->n_columns)
        left = 0;
    if (column < left)
        left = column;
    for (; left < column; left++) {
        place_columns(table, left, w, &at);
        if (column < MAX_COLUMNS && at.w[column] >= column_width(&table->columns[column]))
            break;
    }
    return left;
}

static void put_aligned(struct sx_canvas *cv, int x, int y, int w, enum sx_align align,
                        enum sx_style style, const char *text)
{
    if (align == SX_RIGHT)
        sx_put_right(cv, x, y, w, style, text);
    else if (align == SX_CENTRE)
        sx_put_centre(cv, x, y, w, style, text);
    else
        sx_put_cut(cv, x, y, w, style, text);
}

static void draw_head(struct sx_canvas *cv, const struct sx_table *table, int i, int x, int w)
{
    const struct sx_column *column = &table->columns[i];
    const char *title = column->title ? column->title : "";
    bool sorted = table->sort_column == i;
    int title_w = sx_text_width(title);
    int unit_w = column->unit ? sx_text_width(column->unit) + 1 : 0;
    if (title_w + unit_w + sorted > w)
        unit_w = 0;
    int used = title_w + unit_w + sorted;
    int at = column->align == SX_RIGHT && used < w    ? x + w - used
             : column->align == SX_CENTRE && used < w ? x + (w - used) / 2
                                                      : x;
    at += sx_put_cut(cv, at, 0, w - sorted, SX_STYLE_HEADER, title);
    if (unit_w)
        at += 1 + sx_put(cv, at + 1, 0, SX_STYLE_UNIT, column->unit);
    if (sorted)
        sx_put_char(cv, at, 0, SX_STYLE_HANDLE,
                    sx_glyph(cv, table->sort_descending ? SX_GLYPH_SORT_DOWN : SX_GLYPH_SORT_UP));
}

static void draw_header(struct sx_canvas *cv, const struct sx_table *table, int left,
                        const struct placed *at)
{
    bool hidden_left = false;
    for (int i = 0; i < left; i++)
        hidden_left = hidden_left || !table->columns[i].frozen;
    if (hidden_left)
        sx_put_char(cv, 0, 0, SX_STYLE_DIM, '<');
    for (int i = 0; i <= at->last; i++)
        if (at->w[i] > 0)
            draw_head(cv, table, i, at->x[i], at->w[i]);
    if (at->last + 1 < table->n_columns && cv->w > GUTTER)
        sx_put_char(cv, cv->w - 1, 0, SX_STYLE_DIM, '>');
}

static int bar_end(const struct placed *at, int w)
{
    int end = GUTTER;
    for (int i = 0; i <= at->last; i++)
        if (at->w[i] > 0 && (at->x[i] + at->w[i] <= BAR_MAX || end == GUTTER))
            end = at->x[i] + at->w[i];
    return at->last >= 0 && w <= BAR_MAX ? w : end;
}

static void draw_row(struct sx_canvas *cv, const struct sx_table *table, const struct placed *at,
                     size_t row, int y, unsigned flags)
{
    struct sx_table_cell cell;
    if (flags & SX_ROW_MARKED)
        sx_put_char(cv, 1, y, SX_STYLE_MARKED, '*');
    for (int i = 0; i <= at->last; i++) {
        if (at->w[i] <= 0)
            continue;
        cell.text = "";
        cell.style = SX_STYLE_TEXT;
        cell.buffer[0] = '\0';
        table->cell(table->ctx, row, i, &cell);
        if (flags & SX_ROW_HEADING) {
            sx_put_cut(cv, GUTTER, y, cv->w - GUTTER, SX_STYLE_TITLE, cell.text);
            break;
        }
        put_aligned(cv, at->x[i], y, at->w[i], table->columns[i].align, cell.style, cell.text);
    }
}

static void draw_marks(struct sx_canvas *cv, const struct placed *at, int y, unsigned flags,
                       bool current, bool focus)
{
    struct sx_rect bar = {0, y, bar_end(at, cv->w), 1};
    if (flags & SX_ROW_SELECTED)
        sx_overlay(cv, bar, SX_STYLE_SELECTED);
    if (flags & SX_ROW_MARKED)
        sx_overlay(cv, bar, SX_STYLE_MARKED);
    if (flags & SX_ROW_HIT)
        sx_overlay(cv, (struct sx_rect){GUTTER, y, at->last >= 0 ? at->w[0] : 0, 1},
                   SX_STYLE_MATCH);
    if (!current)
        return;
    sx_put_char(cv, 0, y, focus ? SX_STYLE_HANDLE : SX_STYLE_DIM, sx_glyph(cv, SX_GLYPH_CURSOR));
    sx_overlay(cv, bar, focus ? SX_STYLE_CURSOR : SX_STYLE_CURSOR_BLUR);
}

static bool has_header(const struct sx_table *table, int h)
{
    return !table->no_header && h > 1;
}

static void clamp(struct sx_table_state *state, size_t n_rows)
{
    if (state->cursor >= n_rows)
        state->cursor = n_rows ? n_rows - 1 : 0;
}

void sx_table_draw(struct sx_canvas *cv, const struct sx_table *table, struct sx_table_state *state,
                   bool focus)
{
    struct placed at;
    bool header = has_header(table, cv->h);
    int first = header ? 1 : 0;
    state->page = cv->h > first ? cv->h - first : 0;
    clamp(state, table->n_rows);
    state->top = scroll_top(state->top, state->cursor, (size_t)state->page, table->n_rows);
    state->left = fit_left(table, state->left, state->column, cv->w);
    place_columns(table, state->left, cv->w, &at);
    if (header)
        draw_header(cv, table, state->left, &at);
    if (!table->n_rows && table->empty)
        sx_put_cut(cv, GUTTER, first, cv->w - GUTTER, SX_STYLE_DIM, table->empty);
    for (int i = 0; i < state->page && state->top + (size_t)i < table->n_rows; i++) {
        size_t row = state->top + (size_t)i;
        unsigned flags = table->flags ? table->flags(table->ctx, row) : 0;
        draw_row(cv, table, &at, row, first + i, flags);
        draw_marks(cv, &at, first + i, flags, row == state->cursor, focus);
        if (row == state->cursor && focus)
            sx_set_cursor(cv, at.last >= 0 && cv->w > GUTTER ? GUTTER : 0, first + i, false);
    }
}

void sx_table_move(struct sx_table_state *state, size_t n_rows, long delta)
{
    clamp(state, n_rows);
    if (delta < 0)
        state->cursor = (size_t)-delta > state->cursor ? 0 : state->cursor - (size_t)-delta;
    else if (n_rows)
        state->cursor =
            (size_t)delta > n_rows - 1 - state->cursor ? n_rows - 1 : state->cursor + (size_t)delta;
}

void sx_table_page(struct sx_table_state *state, size_t n_rows, double pages)
{
    int page = state->page > 1 ? state->page : 1;
    long delta = (long)(pages * page);
    if (delta == 0)
        delta = pages < 0 ? -1 : 1;
    size_t before = state->cursor;
    sx_table_move(state, n_rows, delta);
    /* The window moves with the cursor, so that the cursor keeps its place on the screen. */
    if (state->cursor > before)
        state->top += state->cursor - before;
    else
        state->top -= before - state->cursor < state->top ? before - state->cursor : state->top;
}

void sx_table_goto(struct sx_table_state *state, size_t n_rows, size_t row)
{
    state->cursor = row;
    clamp(state, n_rows);
}

void sx_table_move_column(const struct sx_table *table, struct sx_table_state *state, int delta)
{
    int column = state->column + delta;
    if (column >= table->n_columns)
        column = table->n_columns - 1;
    state->column = column < 0 ? 0 : column;
}

bool sx_table_request(const struct sx_table *table, struct sx_table_state *state,
                      const char *request, unsigned count)
{
    long times = count ? (long)count : 1;
    size_t n = table->n_rows;
    if (strcmp(request, "down") == 0)
        sx_table_move(state, n, times);
    else if (strcmp(request, "up") == 0)
        sx_table_move(state, n, -times);
    else if (strcmp(request, "page-down") == 0)
        sx_table_page(state, n, (double)times);
    else if (strcmp(request, "page-up") == 0)
        sx_table_page(state, n, (double)-times);
    else if (strcmp(request, "half-down") == 0)
        sx_table_page(state, n, 0.5 * (double)times);
    else if (strcmp(request, "half-up") == 0)
        sx_table_page(state, n, -0.5 * (double)times);
    else if (strcmp(request, "first") == 0)
        sx_table_goto(state, n, count ? count - 1 : 0);
    else if (strcmp(request, "last") == 0)
        sx_table_goto(state, n, count ? count - 1 : n);
    else if (strcmp(request, "left") == 0)
        sx_table_move_column(table, state, (int)-times);
    else if (strcmp(request, "right") == 0)
        sx_table_move_column(table, state, (int)times);
    else
        return false;
    return true;
}

bool sx_table_hit(const struct sx_table *table, const struct sx_table_state *state, int w, int h,
                  int x, int y, size_t *row, int *column)
{
    struct placed at;
    if (x < 0 || y < 0 || x >= w || y >= h)
        return false;
    bool header = has_header(table, h);
    place_columns(table, state->left, w, &at);
    *column = 0;
    for (int i = 0; i <= at.last; i++)
        if (at.w[i] > 0 && x >= at.x[i])
            *column = i;
    if (header && y == 0) {
        *row = (size_t)-1;
        return true;
    }
    *row = state->top + (size_t)(y - (header ? 1 : 0));
    return *row < table->n_rows;
}
