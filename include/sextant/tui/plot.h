/* Plots from plain arrays: histograms, lines, scatter, sparklines. Braille where the charset has
 * it, characters otherwise. NaNs are left out. */
#ifndef SEXTANT_TUI_PLOT_H
#define SEXTANT_TUI_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/tui/canvas.h"

/* One cell a bin, eight levels; zero bins are ▁-less blanks, small ones show at least one level.
 * `max` <= 0: the largest value. Returns the columns used. When n > width, neighbouring bins are
 * averaged. */
int sx_sparkline(struct sx_canvas *cv, int x, int y, int width, enum sx_style style,
                 const double *value, size_t n, double max);
/* The same as text (UTF-8 or ASCII), for tables; returns buf. */
const char *sx_sparkline_text(char *buf, size_t size, int width, bool ascii, const double *value,
                              size_t n, double max);

struct sx_histogram {
    const double *count; /* [n] */
    size_t n;
    double lo, hi; /* the range the bins cover */
    const char *unit;
    bool has_cut; /* a movable cut, drawn as a vertical line with its value */
    double cut;
    const char *cut_label; /* "alive"; NULL: none */
};
/* Bars over the whole canvas, the axis with lo, hi and the cut on the last row. */
void sx_histogram_draw(struct sx_canvas *cv, const struct sx_histogram *hist);
/* The value at column x of a canvas w columns wide, for the mouse. */
double sx_histogram_at(const struct sx_histogram *hist, int w, int x);

struct sx_series {
    const double *x; /* [n]; NULL: 0, 1, 2, … */
    const double *y; /* [n] */
    size_t n;
    enum sx_style style;
    const char *label; /* in the legend; NULL: none */
};

struct sx_plot {
    const struct sx_series *series;
    size_t n_series;
    /* lo >= hi: from the data. */
    double x_lo, x_hi, y_lo, y_hi;
    bool log_y;                    /* values <= 0 are left out */
    const char *x_label, *y_label; /* with units; NULL: none */
    bool has_marker;               /* a vertical line at x = marker */
    double marker;
    bool filled; /* the area under the first series as blocks */
};
/* Lines, overlaid; each ends in its number (1, 2, …) so that they can be told apart in mono, and
 * the legend on the last row repeats it. */
void sx_plot_draw(struct sx_canvas *cv, const struct sx_plot *plot);
double sx_plot_at(const struct sx_plot *plot, int w, int x); /* x value at a column */

struct sx_scatter {
    const float *x, *y; /* [n] */
    size_t n;
    double x_lo, x_hi, y_lo, y_hi; /* lo >= hi: from the data */
    const char *x_label, *y_label;
    bool diagonal;      /* draw y = x */
    bool has_selection; /* the point under the cursor, marked */
    size_t selected;
};
void sx_scatter_draw(struct sx_canvas *cv, const struct sx_scatter *scatter);

/* Short numbers for axes and cells: 4 significant digits at most, k/M above 9999, "·" for exact
 * zero ("0" in ASCII), "–" ("-") for NaN. Returns buf. */
const char *sx_number(char *buf, size_t size, double value, bool ascii);
/* "0.812" as ".812", "-.12", "1.00": `digits` after the point, no leading zero. */
const char *sx_fraction(char *buf, size_t size, double value, int digits, bool ascii);

#endif
