#include "sextant/tui/heatmap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scroll.h"
#include "sextant/base/text.h"
#include "sextant/tui/plot.h"

static int cell_width(const struct sx_heatmap *map)
{
    return map->cell_width > 0 ? map->cell_width : 2;
}

static double magnitude(double lo, double hi)
{
    return fmax(fabs(lo), fabs(hi));
}

double sx_heat_bend(enum sx_heat_curve curve, double part)
{
    static const double decades = 999; /* three of them, to 1 */

    part = part > 1 ? 1 : part > 0 ? part : 0;
    if (curve == SX_HEAT_SQRT)
        return sqrt(part);
    return curve == SX_HEAT_LOG ? log1p(decades * part) / log1p(decades) : part;
}

const char *sx_heat_curve_name(enum sx_heat_curve curve)
{
    return curve == SX_HEAT_SQRT ? "sqrt" : curve == SX_HEAT_LOG ? "log" : "linear";
}

int sx_heat_level(double value, double lo, double hi, bool diverging)
{
    if (diverging) {
        double max = magnitude(lo, hi);
        double t = max > 0 ? value / max : 0;
        int half = SX_DIV_LEVELS / 2;
        t = t > 1 ? 1 : t < -1 ? -1 : isnan(t) ? 0 : t;
        return half + (int)lround(t * half);
    }
    double t = hi > lo ? (value - lo) / (hi - lo) : 0;
    int level = t > 0 ? (int)(fmin(t, 1) * SX_HEAT_LEVELS) : 0;
    return level < SX_HEAT_LEVELS ? level : SX_HEAT_LEVELS - 1;
}

enum sx_style sx_heat_style(double value, double lo, double hi, bool diverging)
{
    return (enum sx_style)((diverging ? SX_STYLE_DIV_0 : SX_STYLE_HEAT_0) +
                           sx_heat_level(value, lo, hi, diverging));
}

/* Two characters that say the level without colour. */
static void level_glyphs(int level, bool diverging, char out[3])
{
    if (!diverging) {
        out[0] = out[1] = (char)sx_glyph_ramp(level);
    } else {
        int m = level - SX_DIV_LEVELS / 2;
        out[0] = m < 0 ? '-' : m > 0 ? '+' : ' ';
        out[1] = " .:=*#"[m < 0 ? -m : m];
    }
    out[2] = '\0';
}

bool sx_heat_lit(int level, bool diverging, int lit)
{
    const int half = SX_DIV_LEVELS / 2;
    return (diverging ? 2 * abs(level - half) : level) >= lit;
}

/* How a level is drawn. */
struct paint {
    enum sx_style style;
    bool coloured; /* else a glyph says it */
};

static struct paint paint_of(const struct sx_canvas *cv, int level, bool diverging, int lit)
{
    struct paint paint = {SX_STYLE_TEXT, false};
    if (!sx_heat_lit(level, diverging, lit))
        return paint;
    paint.style = (enum sx_style)((diverging ? SX_STYLE_DIV_0 : SX_STYLE_HEAT_0) + level);
    paint.coloured = sx_canvas_depth(cv) >= SX_DEPTH_256;
    return paint;
}

/* With colours the sign stands in the first cell of a run of negative ones only (`sign`): a
 * character needs a foreground at every change of level, which doubles the bytes of a repaint. */
static void draw_level(struct sx_canvas *cv, int x, int y, int w, int level, bool diverging,
                       struct paint paint, bool sign)
{
    char glyphs[3];
    sx_fill(cv, (struct sx_rect){x, y, w, 1}, paint.style, ' ');
    if (!paint.coloured) {
        level_glyphs(level, diverging, glyphs);
        sx_put_len(cv, x, y, paint.style, glyphs + (w < 2 ? 1 : 0), w < 2 ? 1 : 2);
    } else if (sign && diverging && level < SX_DIV_LEVELS / 2) {
        sx_put_char(cv, x, y, paint.style, '-');
    }
}

static int map_level(const struct sx_heatmap *map, double value)
{
    if (map->diverging || map->curve == SX_HEAT_LINEAR || !(map->hi > map->lo))
        return sx_heat_level(value, map->lo, map->hi, map->diverging);
    return sx_heat_level(sx_heat_bend(map->curve, (value - map->lo) / (map->hi - map->lo)), 0, 1,
                         false);
}

struct cell_at { /* a cell on its way to the canvas */
    int x, y, row, col;
    double value;
    bool sign; /* of a run of negative cells it is the first */
    int lit;
};

static void draw_word(struct sx_canvas *cv, const struct sx_heatmap *map, const struct cell_at *at,
                      int level)
{
    char text[64] = "";
    const int w = cell_width(map);
    const struct paint paint = paint_of(cv, level, map->diverging, at->lit);
    int x = paint.coloured ? (map->diverging && at->sign) : 2;
    draw_level(cv, at->x, at->y, w, level, map->diverging, paint, at->sign);
    map->cell_text(map->ctx, at->row, at->col, text, sizeof text);
    if (w == 3)
        x = 2;
    sx_put_cut(cv, at->x + x, at->y, w - x - (w > 6), paint.style, text);
}

static void draw_number(struct sx_canvas *cv, const struct sx_heatmap *map,
                        const struct cell_at *at)
{
    char text[64] = "";
    const int w = cell_width(map);
    enum sx_style style = SX_STYLE_DIM;
    if (!isnan(at->value)) {
        style = paint_of(cv, map_level(map, at->value), map->diverging, at->lit).style;
        sx_fill(cv, (struct sx_rect){at->x, at->y, w, 1}, style, ' ');
    }
    map->cell_text(map->ctx, at->row, at->col, text, sizeof text);
    sx_put_right(cv, at->x, at->y, w - 1, style, text);
}

static void draw_cell(struct sx_canvas *cv, const struct sx_heatmap *map, const struct cell_at *at)
{
    const int w = cell_width(map);
    if (map->cell_text && map->numbers) {
        draw_number(cv, map, at);
        return;
    }
    if (isnan(at->value)) {
        sx_put_char(cv, at->x + w - 1, at->y, SX_STYLE_DIM, sx_glyph(cv, SX_GLYPH_ELLIPSIS));
        return;
    }
    const int level = map_level(map, at->value);
    if (map->cell_text && w > 2) {
        draw_word(cv, map, at, level);
        return;
    }
    const struct paint paint = paint_of(cv, level, map->diverging, at->lit);
    if (w < 4) {
        draw_level(cv, at->x, at->y, w, level, map->diverging, paint, at->sign);
        return;
    }
    char text[32];
    sx_fill(cv, (struct sx_rect){at->x, at->y, w, 1}, paint.style, ' ');
    sx_number(text, sizeof text, at->value, sx_canvas_ascii(cv));
    sx_put_right(cv, at->x, at->y, w - 1, paint.style, text);
}

struct parts {
    int x0, y0; /* first cell */
    int rows, cols;
    int foot; /* row of the value line, -1: none */
};

static struct parts divide(const struct sx_heatmap *map, int w, int h)
{
    struct parts p = {.foot = -1};
    int foot = h > 3 ? 2 : 0;
    p.x0 = map->row_label && map->row_label_width < w ? map->row_label_width : 0;
    p.y0 = map->col_label && h - foot > 1 ? 1 : 0;
    p.rows = h - foot - p.y0;
    p.cols = (w - p.x0) / cell_width(map);
    if (p.rows > map->rows)
        p.rows = map->rows;
    if (p.cols > map->cols)
        p.cols = map->cols;
    if (foot)
        p.foot = p.y0 + p.rows;
    return p;
}

static void clamp_cursor(const struct sx_heatmap *map, struct sx_heatmap_state *state)
{
    state->row = state->row >= map->rows ? map->rows - 1 : state->row;
    state->col = state->col >= map->cols ? map->cols - 1 : state->col;
    state->row = state->row < 0 ? 0 : state->row;
    state->col = state->col < 0 ? 0 : state->col;
}

static void draw_labels(struct sx_canvas *cv, const struct sx_heatmap *map,
                        const struct sx_heatmap_state *state, const struct parts *p, bool focus)
{
    char buf[64];
    int w = cell_width(map);
    for (int i = 0; p->x0 && i < p->rows; i++) {
        bool here = focus && state->top + i == state->row;
        map->row_label(map->ctx, state->top + i, buf, sizeof buf);
        sx_put_cut(cv, 0, p->y0 + i, p->x0 - 1, here ? SX_STYLE_STRONG : SX_STYLE_LABEL, buf);
    }
    int free_from = 0; /* labels wider than a cell: every so many */
    for (int i = 0; p->y0 && i < p->cols; i++) {
        int x = p->x0 + i * w;
        map->col_label(map->ctx, state->left + i, buf, sizeof buf);
        int len = sx_text_width(buf);
        int at = x + w - len >= free_from ? x + w - len : x;
        if (at < free_from || at + len > cv->w)
            continue;
        bool here = focus && state->left + i == state->col;
        sx_put(cv, at, 0, here ? SX_STYLE_STRONG : SX_STYLE_LABEL, buf);
        free_from = at + len + 1;
    }
}

static void draw_value(struct sx_canvas *cv, const struct sx_heatmap *map,
                       const struct sx_heatmap_state *state, int y)
{
    char row[64];
    char col[64];
    char number[32];
    double value = map->value(map->ctx, state->row, state->col);
    snprintf(row, sizeof row, "%d", state->row);
    snprintf(col, sizeof col, "%d", state->col);
    if (map->row_label)
        map->row_label(map->ctx, state->row, row, sizeof row);
    if (map->col_label)
        map->col_label(map->ctx, state->col, col, sizeof col);
    if (isnan(value))
        snprintf(number, sizeof number, "not computed");
    else
        snprintf(number, sizeof number, "%.6g", value);
    int x = 0;
    if (map->what) {
        x += sx_put(cv, x, y, SX_STYLE_LABEL, map->what);
        x++;
    }
    x += sx_putf(cv, x, y, SX_STYLE_LABEL, "%s, %s ", row, col);
    x += sx_put(cv, x, y, SX_STYLE_NUMBER, number);
    if (map->unit && !isnan(value))
        sx_putf(cv, x, y, SX_STYLE_UNIT, " %s", map->unit);
}

void sx_heat_scale(struct sx_canvas *cv, int x, int y, int width, double lo, double hi,
                   bool diverging, const char *unit)
{
    sx_heat_scale_lit(cv, x, y, width, lo, hi, diverging, unit, 0);
}

void sx_heat_scale_lit(struct sx_canvas *cv, int x, int y, int width, double lo, double hi,
                       bool diverging, const char *unit, int lit)
{
    char end[32];
    int levels = diverging ? SX_DIV_LEVELS : SX_HEAT_LEVELS;
    if (diverging) {
        hi = magnitude(lo, hi);
        lo = -hi;
    }
    int w = width >= 2 * levels + 14 ? 2 : 1;
    struct sx_canvas line = sx_canvas_sub(cv, (struct sx_rect){x, y, width, 1});
    snprintf(end, sizeof end, "%.3g ", lo);
    int at = sx_put(&line, 0, 0, SX_STYLE_NUMBER, end);
    for (int i = 0; i < levels; i++, at += w)
        draw_level(&line, at, 0, w, i, diverging, paint_of(cv, i, diverging, lit), true);
    snprintf(end, sizeof end, " %.3g", hi);
    at += sx_put(&line, at, 0, SX_STYLE_NUMBER, end);
    if (unit)
        sx_put(&line, at + 1, 0, SX_STYLE_UNIT, unit);
}

static void draw_row(struct sx_canvas *cv, const struct sx_heatmap *map,
                     const struct sx_heatmap_state *state, const struct parts *p, int r, int lit)
{
    const int w = cell_width(map);
    bool negative = false;
    for (int c = 0; c < p->cols; c++) {
        const int row = state->top + r, col = state->left + c;
        const struct cell_at at = {.x = p->x0 + c * w,
                                   .y = p->y0 + r,
                                   .row = row,
                                   .col = col,
                                   .value = map->value(map->ctx, row, col),
                                   .sign = !negative,
                                   .lit = lit};
        draw_cell(cv, map, &at);
        negative = sx_heat_level(at.value, map->lo, map->hi, true) < SX_DIV_LEVELS / 2;
    }
}

static struct sx_rect cells_of(const struct sx_heatmap *map, const struct parts *p)
{
    return (struct sx_rect){p->x0, p->y0, p->cols * cell_width(map), p->rows};
}

/* With colours from `lit` on; does that fit into what the map may send? */
static bool draw_within(struct sx_canvas *cv, const struct sx_heatmap *map,
                        const struct sx_heatmap_state *state, const struct parts *p, int lit)
{
    const struct sx_rect cells = cells_of(map, p);
    for (int r = 0; r < p->rows; r++)
        draw_row(cv, map, state, p, r, lit);
    return lit == SX_HEAT_UNLIT || sx_heat_wire(cv, cells) <= sx_heat_budget(cv, cells);
}

void sx_heatmap_draw(struct sx_canvas *cv, const struct sx_heatmap *map,
                     struct sx_heatmap_state *state, bool focus)
{
    if (map->rows <= 0 || map->cols <= 0)
        return;
    struct parts p = divide(map, cv->w, cv->h);
    clamp_cursor(map, state);
    state->page_rows = p.rows > 0 ? p.rows : 0;
    state->page_cols = p.cols > 0 ? p.cols : 0;
    state->top = (int)scroll_top((size_t)(state->top > 0 ? state->top : 0), (size_t)state->row,
                                 (size_t)state->page_rows, (size_t)map->rows);
    state->left = (int)scroll_top((size_t)(state->left > 0 ? state->left : 0), (size_t)state->col,
                                  (size_t)state->page_cols, (size_t)map->cols);
    draw_labels(cv, map, state, &p, focus);
    int w = cell_width(map);
    /* A number says by itself that it is about zero. */
    state->lit = map->cell_text && map->numbers ? 1 : 0;
    while (!draw_within(cv, map, state, &p, state->lit))
        state->lit++;
    sx_heat_spend(cv, cells_of(map, &p));
    int cx = p.x0 + (state->col - state->left) * w;
    int cy = p.y0 + state->row - state->top;
    if (p.rows > 0 && p.cols > 0) {
        sx_overlay(cv, (struct sx_rect){cx, cy, w, 1},
                   focus ? SX_STYLE_CURSOR : SX_STYLE_CURSOR_BLUR);
        if (focus)
            sx_set_cursor(cv, cx, cy, false);
    }
    if (p.foot >= 0) {
        draw_value(cv, map, state, p.foot);
        int at = sx_put(cv, 0, p.foot + 1, SX_STYLE_LABEL, "scale ");
        sx_heat_scale_lit(cv, at, p.foot + 1, cv->w - at, map->lo, map->hi, map->diverging,
                          map->curve == SX_HEAT_LINEAR ? map->unit : sx_heat_curve_name(map->curve),
                          state->lit);
    }
}

bool sx_heatmap_request(const struct sx_heatmap *map, struct sx_heatmap_state *state,
                        const char *request, unsigned count)
{
    int times = count ? (int)count : 1;
    int page = state->page_rows > 1 ? state->page_rows : 1;
    if (strcmp(request, "down") == 0)
        state->row += times;
    else if (strcmp(request, "up") == 0)
        state->row -= times;
    else if (strcmp(request, "right") == 0)
        state->col += times;
    else if (strcmp(request, "left") == 0)
        state->col -= times;
    else if (strcmp(request, "page-down") == 0)
        state->row += page;
    else if (strcmp(request, "page-up") == 0)
        state->row -= page;
    else if (strcmp(request, "half-down") == 0)
        state->row += (page + 1) / 2;
    else if (strcmp(request, "half-up") == 0)
        state->row -= (page + 1) / 2;
    else if (strcmp(request, "first") == 0)
        state->row = count ? (int)count - 1 : 0;
    else if (strcmp(request, "last") == 0)
        state->row = count ? (int)count - 1 : map->rows - 1;
    else
        return false;
    clamp_cursor(map, state);
    return true;
}

bool sx_heatmap_hit(const struct sx_heatmap *map, const struct sx_heatmap_state *state, int x,
                    int y, int *row, int *col)
{
    int x0 = map->row_label ? map->row_label_width : 0;
    int y0 = map->col_label ? 1 : 0;
    if (x < x0 || y < y0 || y - y0 >= state->page_rows ||
        (x - x0) / cell_width(map) >= state->page_cols)
        return false;
    *row = state->top + y - y0;
    *col = state->left + (x - x0) / cell_width(map);
    return *row < map->rows && *col < map->cols;
}
