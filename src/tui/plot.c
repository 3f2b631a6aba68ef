/* Braille characters are 2x4 dots a cell. Dots are collected in the canvas itself: a cell that
 * already holds a braille character gets another bit, so no buffer is needed. */
#include "sextant/tui/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/text.h"

static void tidy_exponent(char *buf)
{
    char *e = strpbrk(buf, "eE");
    if (!e)
        return;
    char *digits = e + 1;
    if (*digits == '+')
        memmove(digits, digits + 1, strlen(digits));
    else if (*digits == '-')
        digits++;
    while (digits[0] == '0' && digits[1])
        memmove(digits, digits + 1, strlen(digits));
}

const char *sx_number(char *buf, size_t size, double value, bool ascii)
{
    double a = fabs(value);
    if (isnan(value))
        snprintf(buf, size, "%s", ascii ? "-" : "–");
    else if (isinf(value))
        snprintf(buf, size, "%s", value > 0 ? "inf" : "-inf");
    else if (value == 0)
        snprintf(buf, size, "%s", ascii ? "0" : "·");
    else if (a < 1e-3 || a >= 1e9)
        snprintf(buf, size, "%.1e", value);
    else if (a >= 999950)
        snprintf(buf, size, "%.4gM", value / 1e6);
    else if (a >= 9999.5)
        snprintf(buf, size, "%.3gk", value / 1e3);
    else
        snprintf(buf, size, "%.4g", value);
    tidy_exponent(buf);
    return buf;
}

const char *sx_fraction(char *buf, size_t size, double value, int digits, bool ascii)
{
    if (isnan(value) || value == 0)
        return sx_number(buf, size, value, ascii);
    char text[64];
    snprintf(text, sizeof text, "%.*f", digits, value);
    /* What rounds to zero has no sign. */
    const char *sign = text[0] == '-' && text[strspn(text, "-0.")] != '\0' ? "-" : "";
    const char *rest = text + (text[0] == '-');
    if (rest[0] == '0' && rest[1] == '.')
        rest++;
    snprintf(buf, size, "%s%s", sign, rest);
    return buf;
}

/* Mean of the bins that column i of `width` covers; n bins. Not the sum: columns may cover one bin
 * more or less than their neighbours, and a smooth histogram would come out ragged. */
static double binned(const double *value, size_t n, int width, int i)
{
    size_t from = (size_t)i * n / (size_t)width;
    size_t to = ((size_t)i + 1) * n / (size_t)width;
    double sum = 0;
    for (size_t k = from; k < to; k++)
        if (!isnan(value[k]))
            sum += value[k];
    return to > from ? sum / (double)(to - from) : 0;
}

static double largest(const double *value, size_t n, int columns)
{
    double max = 0;
    for (int i = 0; i < columns; i++)
        max = fmax(max, binned(value, n, columns, i));
    return max;
}

static int spark_level(double v, double max)
{
    if (!(v > 0) || !(max > 0))
        return 0;
    int level = (int)ceil(v / max * 8);
    return level > 8 ? 8 : level;
}

static int spark_columns(int width, size_t n)
{
    return width < 0 ? 0 : (size_t)width < n ? width : (int)n;
}

int sx_sparkline(struct sx_canvas *cv, int x, int y, int width, enum sx_style style,
                 const double *value, size_t n, double max)
{
    int columns = spark_columns(width, n);
    if (!(max > 0))
        max = largest(value, n, columns);
    for (int i = 0; i < columns; i++)
        sx_put_char(cv, x + i, y, style,
                    sx_glyph_block(cv, spark_level(binned(value, n, columns, i), max)));
    return columns;
}

const char *sx_sparkline_text(char *buf, size_t size, int width, bool ascii, const double *value,
                              size_t n, double max)
{
    int columns = spark_columns(width, n);
    size_t used = 0;
    if (!(max > 0))
        max = largest(value, n, columns);
    for (int i = 0; i < columns && used + 4 < size; i++) {
        int level = spark_level(binned(value, n, columns, i), max);
        if (ascii || level == 0)
            buf[used++] = " .:-=+*#@"[level];
        else
            used += sx_utf8_encode(0x2580 + (uint32_t)level, buf + used);
    }
    if (size)
        buf[used] = '\0';
    return buf;
}

/* Columns that the bars take: a whole number of columns a bin where they fit. */
static int hist_columns(size_t n, int w)
{
    if (!n || w <= 0)
        return 0;
    return n >= (size_t)w ? w : (int)((size_t)w / n * n);
}

static void draw_bar(struct sx_canvas *cv, int x, int h, double part)
{
    int eighths = part > 0 ? (int)fmax(1, round(part * h * 8)) : 0;
    for (int row = 0; row < h && eighths > 0; row++, eighths -= 8)
        sx_put_char(cv, x, h - 1 - row, SX_STYLE_BAR, sx_glyph_block(cv, eighths));
}

static int hist_cut_column(const struct sx_histogram *hist, int columns)
{
    double t = hist->hi > hist->lo ? (hist->cut - hist->lo) / (hist->hi - hist->lo) : 0;
    int x = (int)floor(fmin(fmax(t, 0), 1) * columns);
    return x < columns ? x : columns - 1;
}

static void hist_axis(struct sx_canvas *cv, const struct sx_histogram *hist, int columns, int y)
{
    char lo[32];
    char hi[32];
    char cut[64];
    snprintf(lo, sizeof lo, "%.3g", hist->lo);
    snprintf(hi, sizeof hi, "%.3g%s%s", hist->hi, hist->unit ? " " : "",
             hist->unit ? hist->unit : "");
    sx_put(cv, 0, y, SX_STYLE_UNIT, lo);
    int hi_at = columns - sx_text_width(hi);
    if (hi_at > sx_text_width(lo))
        sx_put(cv, hi_at, y, SX_STYLE_UNIT, hi);
    if (!hist->has_cut)
        return;
    snprintf(cut, sizeof cut, " %s%s%.3g ", hist->cut_label ? hist->cut_label : "",
             hist->cut_label ? " " : "", hist->cut);
    int w = sx_text_width(cut);
    int x = hist_cut_column(hist, columns) - w / 2;
    x = x + w > columns ? columns - w : x;
    sx_put(cv, x < 0 ? 0 : x, y, SX_STYLE_HANDLE, cut);
}

void sx_histogram_draw(struct sx_canvas *cv, const struct sx_histogram *hist)
{
    int columns = hist_columns(hist->n, cv->w);
    if (!columns)
        return;
    int h = cv->h > 1 ? cv->h - 1 : cv->h;
    size_t per_bin = (size_t)columns / hist->n;
    double max = largest(hist->count, hist->n, per_bin ? (int)hist->n : columns);
    for (int x = 0; x < columns && max > 0; x++) {
        double v = per_bin ? binned(hist->count, hist->n, (int)hist->n, x / (int)per_bin)
                           : binned(hist->count, hist->n, columns, x);
        draw_bar(cv, x, h, v / max);
    }
    if (hist->has_cut)
        sx_vline(cv, hist_cut_column(hist, columns), 0, h, SX_STYLE_HANDLE);
    if (cv->h > 1)
        hist_axis(cv, hist, columns, h);
}

double sx_histogram_at(const struct sx_histogram *hist, int w, int x)
{
    int columns = hist_columns(hist->n, w);
    if (!columns)
        return hist->lo;
    double t = (x + 0.5) / columns;
    return hist->lo + fmin(fmax(t, 0), 1) * (hist->hi - hist->lo);
}

/* The drawing area of a plot with its two scales. */
struct area {
    struct sx_canvas cv;
    double x_lo, x_hi, y_lo, y_hi; /* y in log10 when log_y */
    bool log_y;
    bool braille;
    int px, py; /* dots across and down */
};

enum { AXIS_WIDTH = 8 };

static int axis_width(int w)
{
    return w >= 4 * AXIS_WIDTH ? AXIS_WIDTH : 0;
}

static int dot_x(const struct area *a, double x)
{
    return (int)lround((x - a->x_lo) / (a->x_hi - a->x_lo) * (a->px - 1));
}

static int dot_y(const struct area *a, double y)
{
    if (a->log_y)
        y = log10(y);
    return (int)lround((a->y_hi - y) / (a->y_hi - a->y_lo) * (a->py - 1));
}

static bool inside(const struct area *a, double x, double y)
{
    if (!isfinite(x) || !isfinite(y) || (a->log_y && y <= 0))
        return false;
    double v = a->log_y ? log10(y) : y;
    return x >= a->x_lo && x <= a->x_hi && v >= a->y_lo && v <= a->y_hi;
}

static void put_dot(struct area *a, int x, int y, enum sx_style style, uint32_t ascii)
{
    static const uint8_t bit[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (x < 0 || y < 0 || x >= a->px || y >= a->py)
        return;
    if (!a->braille) {
        sx_put_char(&a->cv, x, y, style, ascii);
        return;
    }
    const struct sx_cell *cell = sx_canvas_cell(&a->cv, x / 2, y / 4);
    uint32_t dots = cell && cell->ch >= 0x2800 && cell->ch < 0x2900 ? cell->ch - 0x2800 : 0;
    sx_put_char(&a->cv, x / 2, y / 4, style, 0x2800 + (dots | bit[y % 4][x % 2]));
}

static void put_line(struct area *a, int x0, int y0, int x1, int y1, enum sx_style style,
                     uint32_t ascii)
{
    int dx = x1 > x0 ? x1 - x0 : x0 - x1;
    int dy = y1 > y0 ? y1 - y0 : y0 - y1;
    int steps = dx > dy ? dx : dy;
    for (int i = 0; i <= steps; i++) {
        double t = steps ? (double)i / steps : 0;
        put_dot(a, (int)lround(x0 + t * (x1 - x0)), (int)lround(y0 + t * (y1 - y0)), style, ascii);
    }
}

static void widen(double v, double *lo, double *hi)
{
    if (isfinite(v)) {
        *lo = fmin(*lo, v);
        *hi = fmax(*hi, v);
    }
}

static void settle(double given_lo, double given_hi, double *lo, double *hi)
{
    if (given_lo < given_hi) {
        *lo = given_lo;
        *hi = given_hi;
    } else if (!(*lo <= *hi)) {
        *lo = 0;
        *hi = 1;
    } else if (*lo == *hi) {
        *lo -= 0.5;
        *hi += 0.5;
    }
}

static struct area make_area(const struct sx_canvas *cv, bool legend)
{
    struct area a = {.braille = !sx_canvas_ascii(cv)};
    int left = axis_width(cv->w);
    int below = cv->h > 3 ? (legend && cv->h > 5 ? 3 : 2) : 0;
    a.cv = sx_canvas_sub(cv, (struct sx_rect){left, 0, cv->w - left, cv->h - below});
    a.px = a.cv.w * (a.braille ? 2 : 1);
    a.py = a.cv.h * (a.braille ? 4 : 1);
    return a;
}

/* A number that the axis has room for: with fewer digits rather than cut. */
static const char *axis_number(char *buf, size_t size, double value)
{
    sx_number(buf, size, value, true);
    for (int digits = 3; digits > 0 && sx_text_width(buf) >= AXIS_WIDTH; digits--) {
        snprintf(buf, size, "%.*g", digits, value);
        tidy_exponent(buf);
    }
    return buf;
}

static void draw_axes(struct sx_canvas *cv, const struct area *a, const char *x_label,
                      const char *y_label)
{
    char text[48];
    int left = axis_width(cv->w);
    int h = a->cv.h;
    if (left) {
        sx_vline(cv, left - 1, 0, h, SX_STYLE_RULE);
        axis_number(text, sizeof text, a->log_y ? pow(10, a->y_hi) : a->y_hi);
        sx_put_right(cv, 0, 0, left - 1, SX_STYLE_UNIT, text);
        if (h > 1) {
            axis_number(text, sizeof text, a->log_y ? pow(10, a->y_lo) : a->y_lo);
            sx_put_right(cv, 0, h - 1, left - 1, SX_STYLE_UNIT, text);
        }
        if (y_label && h > 2)
            sx_put_right(cv, 0, h / 2, left - 1, SX_STYLE_LABEL, y_label);
    }
    if (h >= cv->h)
        return;
    sx_hline(cv, left, h, a->cv.w, SX_STYLE_RULE);
    if (left)
        sx_put_char(cv, left - 1, h, SX_STYLE_RULE, sx_glyph(cv, SX_GLYPH_CORNER_BL));
    axis_number(text, sizeof text, a->x_lo);
    int used = sx_put(cv, left, h + 1, SX_STYLE_UNIT, text);
    axis_number(text, sizeof text, a->x_hi);
    int right = sx_text_width(text);
    if (a->cv.w > used + right + 1)
        sx_put_right(cv, left, h + 1, a->cv.w, SX_STYLE_UNIT, text);
    if (x_label && a->cv.w - used - right > sx_text_width(x_label) + 2)
        sx_put_centre(cv, left, h + 1, a->cv.w, SX_STYLE_LABEL, x_label);
}

static double series_x(const struct sx_series *s, size_t i)
{
    return s->x ? s->x[i] : (double)i;
}

static uint32_t series_char(size_t i)
{
    return (unsigned char)"*+xo#%"[i % 6];
}

static void plot_range(const struct sx_plot *plot, struct area *a)
{
    double x_lo = INFINITY;
    double x_hi = -INFINITY;
    double y_lo = INFINITY;
    double y_hi = -INFINITY;
    for (size_t k = 0; k < plot->n_series; k++) {
        const struct sx_series *s = &plot->series[k];
        for (size_t i = 0; i < s->n; i++) {
            if (isnan(s->y[i]) || (plot->log_y && s->y[i] <= 0))
                continue;
            widen(series_x(s, i), &x_lo, &x_hi);
            widen(s->y[i], &y_lo, &y_hi);
        }
    }
    settle(plot->x_lo, plot->x_hi, &x_lo, &x_hi);
    if (plot->y_lo < plot->y_hi && (!plot->log_y || plot->y_lo > 0)) {
        y_lo = plot->y_lo;
        y_hi = plot->y_hi;
    } else if (!(y_lo <= y_hi)) {
        y_lo = plot->log_y ? 1 : 0;
        y_hi = plot->log_y ? 10 : 1;
    }
    a->log_y = plot->log_y;
    a->x_lo = x_lo;
    a->x_hi = x_hi;
    a->y_lo = plot->log_y ? log10(y_lo) : y_lo;
    a->y_hi = plot->log_y ? log10(y_hi) : y_hi;
    settle(0, 0, &a->y_lo, &a->y_hi);
}

static void draw_series(struct area *a, const struct sx_series *s, size_t index, bool numbered)
{
    bool have = false;
    int px = 0;
    int py = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (!inside(a, series_x(s, i), s->y[i])) {
            have = false;
            continue;
        }
        int x = dot_x(a, series_x(s, i));
        int y = dot_y(a, s->y[i]);
        put_line(a, have ? px : x, have ? py : y, x, y, s->style, series_char(index));
        px = x;
        py = y;
        have = true;
    }
    if (have && numbered)
        sx_put_char(&a->cv, a->braille ? px / 2 : px, a->braille ? py / 4 : py, s->style,
                    '1' + (uint32_t)(index % 9));
}

/* The value of a series at x, by the nearest points; NaN outside. */
static double series_at(const struct sx_series *s, double x)
{
    for (size_t i = 0; i + 1 < s->n; i++) {
        double x0 = series_x(s, i);
        double x1 = series_x(s, i + 1);
        if (x >= x0 && x <= x1)
            return x1 > x0 ? s->y[i] + (s->y[i + 1] - s->y[i]) * (x - x0) / (x1 - x0) : s->y[i];
    }
    return NAN;
}

static void fill_series(struct area *a, const struct sx_series *s)
{
    for (int x = 0; x < a->cv.w; x++) {
        double at = a->x_lo + (x + 0.5) / a->cv.w * (a->x_hi - a->x_lo);
        double y = series_at(s, at);
        if (isnan(y) || (a->log_y && y <= 0))
            continue;
        double part = ((a->log_y ? log10(y) : y) - a->y_lo) / (a->y_hi - a->y_lo);
        draw_bar(&a->cv, x, a->cv.h, fmin(fmax(part, 0), 1));
    }
}

static bool has_legend(const struct sx_plot *plot)
{
    for (size_t k = 0; k < plot->n_series; k++)
        if (plot->series[k].label)
            return true;
    return false;
}

static void draw_legend(struct sx_canvas *cv, const struct sx_plot *plot, int x, int y)
{
    for (size_t k = 0; k < plot->n_series; k++) {
        const struct sx_series *s = &plot->series[k];
        if (!s->label)
            continue;
        x += sx_putf(cv, x, y, s->style, "%c ", (char)('1' + k % 9));
        x += sx_put(cv, x, y, SX_STYLE_LABEL, s->label) + 2;
    }
}

void sx_plot_draw(struct sx_canvas *cv, const struct sx_plot *plot)
{
    bool legend = has_legend(plot);
    struct area a = make_area(cv, legend);
    plot_range(plot, &a);
    if (a.cv.w <= 0 || a.cv.h <= 0)
        return;
    draw_axes(cv, &a, plot->x_label, plot->y_label);
    if (plot->filled && plot->n_series)
        fill_series(&a, &plot->series[0]);
    if (plot->has_marker && plot->marker >= a.x_lo && plot->marker <= a.x_hi) {
        int x = dot_x(&a, plot->marker) / (a.braille ? 2 : 1);
        sx_vline(&a.cv, x, 0, a.cv.h, SX_STYLE_HANDLE);
        if (a.cv.h < cv->h)
            sx_put_char(cv, axis_width(cv->w) + x, a.cv.h, SX_STYLE_HANDLE,
                        sx_glyph(cv, SX_GLYPH_FULL));
    }
    for (size_t k = plot->filled ? 1 : 0; k < plot->n_series; k++)
        draw_series(&a, &plot->series[k], k, plot->n_series > 1);
    if (legend && a.cv.h + 2 < cv->h)
        draw_legend(cv, plot, axis_width(cv->w), a.cv.h + 2);
}

double sx_plot_at(const struct sx_plot *plot, int w, int x)
{
    struct area a = {0};
    plot_range(plot, &a);
    int left = axis_width(w);
    int columns = w - left;
    double t = columns > 1 ? (double)(x - left) / (columns - 1) : 0;
    return a.x_lo + fmin(fmax(t, 0), 1) * (a.x_hi - a.x_lo);
}

static void scatter_range(const struct sx_scatter *s, struct area *a)
{
    double x_lo = INFINITY;
    double x_hi = -INFINITY;
    double y_lo = INFINITY;
    double y_hi = -INFINITY;
    for (size_t i = 0; i < s->n; i++) {
        if (isfinite(s->x[i]) && isfinite(s->y[i])) {
            widen(s->x[i], &x_lo, &x_hi);
            widen(s->y[i], &y_lo, &y_hi);
        }
    }
    settle(s->x_lo, s->x_hi, &x_lo, &x_hi);
    settle(s->y_lo, s->y_hi, &y_lo, &y_hi);
    a->x_lo = x_lo;
    a->x_hi = x_hi;
    a->y_lo = y_lo;
    a->y_hi = y_hi;
}

/* ASCII shows density: points are first counted in the `mark` of each cell, then the counts become
 * ramp characters on a logarithmic scale. */
static void count_point(struct area *a, int x, int y)
{
    struct sx_cell *cell = sx_canvas_cell(&a->cv, x, y);
    if (cell && cell->mark < UINT32_MAX)
        cell->mark++;
}

static void show_counts(struct area *a)
{
    uint32_t max = 0;
    for (int y = 0; y < a->cv.h; y++)
        for (int x = 0; x < a->cv.w; x++) {
            const struct sx_cell *cell = sx_canvas_cell(&a->cv, x, y);
            max = cell && cell->mark > max ? cell->mark : max;
        }
    for (int y = 0; y < a->cv.h; y++) {
        for (int x = 0; x < a->cv.w; x++) {
            struct sx_cell *cell = sx_canvas_cell(&a->cv, x, y);
            if (!cell || !cell->mark)
                continue;
            double t = max > 1 ? log(cell->mark) / log(max) : 0;
            cell->mark = 0;
            sx_put_char(&a->cv, x, y, SX_STYLE_BAR, sx_glyph_ramp(1 + (int)lround(t * 8)));
        }
    }
}

void sx_scatter_draw(struct sx_canvas *cv, const struct sx_scatter *s)
{
    struct area a = make_area(cv, false);
    scatter_range(s, &a);
    if (a.cv.w <= 0 || a.cv.h <= 0)
        return;
    draw_axes(cv, &a, s->x_label, s->y_label);
    if (s->diagonal) {
        double from = fmax(a.x_lo, a.y_lo);
        double to = fmin(a.x_hi, a.y_hi);
        if (from < to)
            put_line(&a, dot_x(&a, from), dot_y(&a, from), dot_x(&a, to), dot_y(&a, to),
                     SX_STYLE_RULE, '.');
    }
    for (size_t i = 0; i < s->n; i++) {
        if (!inside(&a, s->x[i], s->y[i]))
            continue;
        if (a.braille)
            put_dot(&a, dot_x(&a, s->x[i]), dot_y(&a, s->y[i]), SX_STYLE_BAR, 0);
        else
            count_point(&a, dot_x(&a, s->x[i]), dot_y(&a, s->y[i]));
    }
    if (!a.braille)
        show_counts(&a);
    if (s->has_selection && s->selected < s->n &&
        inside(&a, s->x[s->selected], s->y[s->selected])) {
        int x = dot_x(&a, s->x[s->selected]) / (a.braille ? 2 : 1);
        int y = dot_y(&a, s->y[s->selected]) / (a.braille ? 4 : 1);
        sx_put_char(&a.cv, x, y, SX_STYLE_HANDLE, sx_glyph(cv, SX_GLYPH_FULL));
        sx_set_cursor(&a.cv, x, y, false);
    }
}
