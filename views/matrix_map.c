#include "matrix_map.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/tui/theme.h"

enum { LABEL = 6, QUARTERS = 4, WIDEST = 512 };

/* How positions become cells. */
struct grid {
    int x0, y0, w, h;  /* of the cells on the canvas */
    int cell_w;        /* columns a cell */
    size_t rows, cols; /* positions to a cell */
};

static size_t rows_of(int zoom)
{
    return zoom > 1 ? (size_t)zoom : 1;
}

/* Half as many: a character is twice as high as wide. */
static size_t cols_of(int zoom)
{
    return zoom > 1 ? ((size_t)zoom + 1) / 2 : 1;
}

static int zoom_next(int zoom, int delta)
{
    static const int step[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512};
    enum { STEPS = sizeof step / sizeof *step };
    int i = 0;

    while (i + 1 < STEPS && step[i] < zoom)
        i++;
    if (delta < 0)
        i = i > 0 ? i - 1 : 0;
    else if (step[i] <= zoom)
        i = i + 1 < STEPS ? i + 1 : STEPS - 1;
    return step[i];
}

static size_t cells(size_t n, size_t each)
{
    return (n + each - 1) / each;
}

static int zoom_that_fits(size_t n, int w, int h)
{
    const size_t columns = (size_t)(w > 1 ? w : 1), lines = (size_t)(h > 1 ? h : 1);
    int zoom = 1;

    if (n * 2 <= columns && n <= lines)
        return 1;
    do
        zoom++;
    while (cells(n, rows_of(zoom)) > lines || cells(n, cols_of(zoom)) > columns);
    return zoom;
}

static struct grid grid_of(const struct sx_matrix_map *map, const struct sx_matrix_map_state *state,
                           int width, int height)
{
    struct grid g = {.x0 = LABEL, .y0 = map->sums ? 2 : 1};

    g.w = width - g.x0 - (map->sums ? 2 : 0);
    g.h = height - g.y0;
    g.w = g.w > 0 ? g.w : 0;
    g.h = g.h > 0 ? g.h : 0;
    const int zoom = state->zoom > 0 ? state->zoom : zoom_that_fits(map->n, g.w, g.h);
    g.cell_w = zoom == 1 ? 2 : 1;
    g.rows = rows_of(zoom);
    g.cols = cols_of(zoom);
    g.w /= g.cell_w;
    g.w = (size_t)g.w > cells(map->n, g.cols) ? (int)cells(map->n, g.cols) : g.w;
    g.h = (size_t)g.h > cells(map->n, g.rows) ? (int)cells(map->n, g.rows) : g.h;
    return g;
}

/* By half pages: see scroll_to in token_strip.c. */
static size_t scrolled(size_t from, size_t cursor, size_t shown, size_t step, size_t n)
{
    const size_t page = shown * step;

    if (page == 0 || n <= page)
        return 0;
    if (cursor < from || cursor >= from + page)
        from = cursor > page / 2 ? cursor - page / 2 : 0;
    const size_t most = cells(n, step) * step - page;
    from = from < most ? from : most;
    return from - from % step;
}

/* --- drawing ------------------------------------------------------------------------------------
 */

/* The largest value of a block of positions; NAN: none of them. */
static double block_max(const struct sx_matrix_map *map, size_t row, size_t rows, size_t col,
                        size_t cols)
{
    double best = NAN;

    for (size_t i = row; i < row + rows && i < map->n; i++)
        for (size_t j = col; j < col + cols && j < map->n; j++) {
            const double v = (double)map->value[i * map->n + j];
            if (!isnan(v) && !(v <= best))
                best = v;
        }
    return best;
}

static int level_of(const struct sx_matrix_map *map, double value)
{
    if (isnan(value))
        return -1;
    return sx_heat_level(sx_heat_bend(map->curve, map->hi > 0 ? value / map->hi : 0), 0, 1, false);
}

static enum sx_style level_style(int level)
{
    return (enum sx_style)(SX_STYLE_HEAT_0 + (level > 0 ? level : 0));
}

/* One level over the whole cell. */
static void draw_even(struct sx_canvas *cv, int x, int y, int w, int level)
{
    const bool coloured = sx_canvas_depth(cv) >= SX_DEPTH_256;

    if (level >= 0)
        sx_fill(cv, (struct sx_rect){x, y, w, 1}, level_style(level),
                coloured ? ' ' : sx_glyph_ramp(level));
}

/* Quarters as bits: 1 upper left, 2 upper right, 4 lower left, 8 lower right. */
static uint32_t quadrant(unsigned bits)
{
    static const uint32_t glyph[16] = {' ',    0x2598, 0x259D, 0x2580, 0x2596, 0x258C,
                                       0x259E, 0x259B, 0x2597, 0x259A, 0x2590, 0x259C,
                                       0x2584, 0x2599, 0x259F, 0x2588};
    return glyph[bits & 15];
}

static void draw_quarters(struct sx_canvas *cv, int x, int y, const int level[QUARTERS])
{
    const bool coloured = sx_canvas_depth(cv) >= SX_DEPTH_256;
    int lo = 9, hi = -1;
    unsigned bits = 0;

    for (int q = 0; q < QUARTERS; q++) {
        hi = level[q] > hi ? level[q] : hi;
        lo = level[q] < lo ? level[q] : lo;
    }
    if (hi < 0)
        return;
    /* A step of one level is no picture; told apart it would be most of what noise sends. */
    if (sx_canvas_ascii(cv) || !coloured || hi - lo <= 1) {
        draw_even(cv, x, y, 1, hi);
        return;
    }
    for (int q = 0; q < QUARTERS; q++)
        bits |= (unsigned)(2 * level[q] > lo + hi) << q;
    lo = lo < 0 ? 0 : lo;
    const struct sx_rgb bright = sx_ramp_heat(hi / 9.0), dark = sx_ramp_heat(lo / 9.0);
    sx_put_rgb(cv, x, y, quadrant(bits), &bright, &dark);
    struct sx_cell *cell = sx_canvas_cell(cv, x, y);
    if (cell) /* for fit */
        cell->style = (uint8_t)level_style(hi);
}

static void draw_cell(struct sx_canvas *cv, const struct sx_matrix_map *map, const struct grid *g,
                      int x, int y, size_t row, size_t col)
{
    /* A single row or column fills both of its halves. */
    const size_t high = (g->rows + 1) / 2, wide = (g->cols + 1) / 2;
    const size_t low = g->rows > 1 ? high : 0, right = g->cols > 1 ? wide : 0;
    int level[QUARTERS];

    if (g->cell_w == 2) {
        draw_even(cv, x, y, g->cell_w, level_of(map, block_max(map, row, 1, col, 1)));
        return;
    }
    for (int q = 0; q < QUARTERS; q++)
        level[q] = level_of(
            map, block_max(map, row + (q / 2 ? low : 0), q / 2 && low ? g->rows - low : high,
                           col + (q % 2 ? right : 0), q % 2 && right ? g->cols - right : wide));
    draw_quarters(cv, x, y, level);
}

/* What is drawn, without its quarters and without colours below `lit`. */
static void simplify(struct sx_canvas *cv, struct sx_rect cells, int lit)
{
    for (int y = cells.y; y < cells.y + cells.h; y++)
        for (int x = cells.x; x < cells.x + cells.w; x++) {
            struct sx_cell *cell = sx_canvas_cell(cv, x, y);
            const int level = cell ? cell->style - SX_STYLE_HEAT_0 : -1;
            if (level < 0 || level >= SX_HEAT_LEVELS)
                continue;
            if (cell->flags)
                draw_even(cv, x, y, 1, level);
            if (!sx_heat_lit(level, false, lit))
                sx_put_char(cv, x, y, SX_STYLE_TEXT, sx_glyph_ramp(level));
        }
}

/* Noise has no two cells alike: then only the strongest keep their colours. Returns from which
 * level on. */
static int fit(struct sx_canvas *cv, struct sx_rect cells)
{
    const size_t budget = sx_heat_budget(cv, cells);

    if (sx_heat_wire(cv, cells) <= budget)
        return 0;
    for (int lit = 0; lit < SX_HEAT_UNLIT; lit++) {
        simplify(cv, cells, lit);
        if (sx_heat_wire(cv, cells) <= budget)
            return lit;
    }
    simplify(cv, cells, SX_HEAT_UNLIT);
    return SX_HEAT_UNLIT;
}

/* Numbers along the axes: the cursor's, and one every so many. */
static void draw_axes(struct sx_canvas *cv, const struct sx_matrix_map *map,
                      const struct sx_matrix_map_state *state, const struct grid *g)
{
    char number[24];
    const int at_x = g->x0 + (int)((state->col - state->left) / g->cols) * g->cell_w;
    const int at_y = g->y0 + (int)((state->row - state->top) / g->rows);
    const int every = 20;

    snprintf(number, sizeof number, "%zu", state->col + map->first);
    const int len = (int)strlen(number);
    int here = at_x - len / 2 > 0 ? at_x - len / 2 : 0;
    here = here + len > cv->w ? cv->w - len : here;
    for (int c = 0; c * g->cell_w < g->w * g->cell_w; c += every / g->cell_w) {
        char other[24];
        const int x = g->x0 + c * g->cell_w;
        snprintf(other, sizeof other, "%zu", state->left + (size_t)c * g->cols + map->first);
        if (x + (int)strlen(other) < here || x > here + len)
            sx_put(cv, x, 0, SX_STYLE_DIM, other);
    }
    sx_put(cv, here, 0, SX_STYLE_STRONG, number);
    for (int r = 0; r < g->h; r += 5) {
        snprintf(number, sizeof number, "%zu", state->top + (size_t)r * g->rows + map->first);
        if (g->y0 + r != at_y)
            sx_put_right(cv, 0, g->y0 + r, LABEL - 1, SX_STYLE_DIM, number);
    }
    snprintf(number, sizeof number, "%zu", state->row + map->first);
    sx_put_right(cv, 0, at_y, LABEL - 1, SX_STYLE_STRONG, number);
}

static double window_sum(const struct sx_matrix_map *map, size_t row, size_t rows, size_t col,
                         size_t cols)
{
    double sum = 0;

    for (size_t i = row; i < row + rows && i < map->n; i++)
        for (size_t j = col; j < col + cols && j < map->n; j++)
            sum += (double)map->value[i * map->n + j];
    return sum;
}

static int block_level(double part)
{
    part = part > 1 ? 1 : part;
    return part > 0.02 ? 1 + (int)(part * 7.999) : 0;
}

/* Along the upper edge what the shown queries give each key, against the key that gets most; at the
 * right edge the part of each query's attention that is shown. */
static void draw_sums(struct sx_canvas *cv, const struct sx_matrix_map *map,
                      const struct sx_matrix_map_state *state, const struct grid *g)
{
    const size_t rows = (size_t)g->h * g->rows, cols = (size_t)g->w * g->cols;
    double sum[WIDEST], most = 0;
    const int w = g->w < WIDEST ? g->w : WIDEST;

    for (int c = 0; c < w; c++) {
        sum[c] = window_sum(map, state->top, rows, state->left + (size_t)c * g->cols, g->cols);
        most = fmax(most, sum[c]);
    }
    for (int c = 0; c < w && most > 0; c++)
        sx_fill(cv, (struct sx_rect){g->x0 + c * g->cell_w, 1, g->cell_w, 1}, SX_STYLE_BAR,
                sx_glyph_block(cv, block_level(sum[c] / most)));
    for (int r = 0; r < g->h; r++) {
        const size_t row = state->top + (size_t)r * g->rows;
        const size_t n = row + g->rows < map->n ? g->rows : map->n - row;
        const double share = window_sum(map, row, n, state->left, cols) / (double)n;
        sx_put_char(cv, g->x0 + g->w * g->cell_w + 1, g->y0 + r, SX_STYLE_BAR,
                    sx_glyph_block(cv, block_level(share)));
    }
}

static void draw_crosshair(struct sx_canvas *cv, const struct sx_matrix_map_state *state,
                           const struct grid *g, bool focus)
{
    const int x = g->x0 + (int)((state->col - state->left) / g->cols) * g->cell_w;
    const int y = g->y0 + (int)((state->row - state->top) / g->rows);

    if (g->w == 0 || g->h == 0)
        return;
    /* A cell of a picture keeps its own colours below an overlay: it is drawn anew. */
    sx_fill(cv, (struct sx_rect){x, y, g->cell_w, 1}, SX_STYLE_TEXT, ' ');
    sx_put_char(cv, x, y, SX_STYLE_HANDLE, sx_glyph(cv, SX_GLYPH_CROSS));
    sx_overlay(cv, (struct sx_rect){x, y, g->cell_w, 1},
               focus ? SX_STYLE_CURSOR : SX_STYLE_CURSOR_BLUR);
    if (focus)
        sx_set_cursor(cv, x, y, false);
}

void sx_matrix_map_draw(struct sx_canvas *cv, const struct sx_matrix_map *map,
                        struct sx_matrix_map_state *state, bool focus)
{
    if (map->n == 0)
        return;
    const struct grid g = grid_of(map, state, cv->w, cv->h);

    state->row = state->row < map->n ? state->row : map->n - 1;
    state->col = state->col < map->n ? state->col : map->n - 1;
    state->area_w = g.w * g.cell_w;
    state->area_h = g.h;
    if (g.w <= 0 || g.h <= 0)
        return;
    state->shown = g.cell_w == 2 ? 1 : (int)g.rows;
    state->top = scrolled(state->top, state->row, (size_t)g.h, g.rows, map->n);
    state->left = scrolled(state->left, state->col, (size_t)g.w, g.cols, map->n);
    for (int r = 0; r < g.h; r++)
        for (int c = 0; c < g.w; c++)
            draw_cell(cv, map, &g, g.x0 + c * g.cell_w, g.y0 + r, state->top + (size_t)r * g.rows,
                      state->left + (size_t)c * g.cols);
    const struct sx_rect cells = {g.x0, g.y0, state->area_w, state->area_h};
    state->lit = fit(cv, cells);
    sx_heat_spend(cv, cells);
    if (map->sums)
        draw_sums(cv, map, state, &g);
    draw_axes(cv, map, state, &g);
    draw_crosshair(cv, state, &g, focus);
}

/* --- moving -------------------------------------------------------------------------------------
 */

static size_t moved(size_t from, long by, size_t n)
{
    const long to = (long)from + by;
    return to < 0 ? 0 : to >= (long)n ? n - 1 : (size_t)to;
}

bool sx_matrix_map_request(const struct sx_matrix_map *map, struct sx_matrix_map_state *state,
                           const char *request, unsigned count)
{
    /* A quarter of a cell, which can be seen to move. */
    const long times = count > 0 ? (long)count : 1;
    const long down = times * (long)((rows_of(state->shown) + 1) / 2);
    const long across = times * (long)((cols_of(state->shown) + 1) / 2);
    const long page =
        times * (long)(state->area_h > 1 ? state->area_h : 1) * (long)rows_of(state->shown);

    if (map->n == 0)
        return false;
    if (strcmp(request, "down") == 0 || strcmp(request, "up") == 0)
        state->row = moved(state->row, request[0] == 'd' ? down : -down, map->n);
    else if (strcmp(request, "right") == 0 || strcmp(request, "left") == 0)
        state->col = moved(state->col, request[0] == 'r' ? across : -across, map->n);
    else if (strcmp(request, "page-down") == 0 || strcmp(request, "page-up") == 0)
        state->row = moved(state->row, request[5] == 'd' ? page : -page, map->n);
    else if (strcmp(request, "half-down") == 0 || strcmp(request, "half-up") == 0)
        state->row = moved(state->row, (request[5] == 'd' ? page : -page) / 2, map->n);
    else if (strcmp(request, "first") == 0 || strcmp(request, "last") == 0)
        state->row = count > 0           ? moved((size_t)count, -(long)map->first, map->n)
                     : request[0] == 'f' ? 0
                                         : map->n - 1;
    else if (strcmp(request, "zoom-in") == 0 || strcmp(request, "zoom-out") == 0)
        state->zoom = zoom_next(state->shown > 0 ? state->shown : 1, request[5] == 'i' ? -1 : 1);
    else
        return false;
    return true;
}

bool sx_matrix_map_hit(const struct sx_matrix_map *map, const struct sx_matrix_map_state *state,
                       int x, int y, size_t *row, size_t *col)
{
    const int y0 = map->sums ? 2 : 1;
    const int cell_w = state->shown > 1 ? 1 : 2;

    if (x < LABEL || y < y0 || x >= LABEL + state->area_w || y >= y0 + state->area_h)
        return false;
    *row = state->top + (size_t)(y - y0) * rows_of(state->shown);
    *col = state->left + (size_t)((x - LABEL) / cell_w) * cols_of(state->shown);
    return *row < map->n && *col < map->n;
}

const char *sx_matrix_map_zoom_text(char *buf, size_t size, const struct sx_matrix_map *map,
                                    const struct sx_matrix_map_state *state)
{
    if (state->shown <= 1)
        snprintf(buf, size, "%zu×%zu, one a cell", map->n, map->n);
    else
        snprintf(buf, size, "%zu×%zu, %zu×%zu a cell", map->n, map->n, rows_of(state->shown),
                 cols_of(state->shown));
    return buf;
}
