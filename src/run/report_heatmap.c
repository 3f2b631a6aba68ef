/* Grids as text that reads in any viewer of Markdown: eight levels of block and a sign. */
#include <math.h>
#include <string.h>

#include "report_private.h"

enum { BAR = 24, LEVELS = 8 };

static const char *const blocks[LEVELS + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const lengths[LEVELS] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};

/* What a full block stands for. Differences that mean nothing do not fill the scale. */
static double largest(const struct sx_report_grid *grid)
{
    double most = grid->unit[0] ? 0.05 : 0.01;
    for (size_t i = 0; i < grid->rows * grid->columns; i++)
        if (isfinite(grid->value[i]))
            most = fmax(most, fabs(grid->value[i]));
    return most;
}

static size_t widest(const char *const *labels, size_t n)
{
    size_t width = 0;
    for (size_t i = 0; i < n; i++)
        if (strlen(labels[i]) > width)
            width = strlen(labels[i]);
    return width;
}

/* One row: a bar a column. */
static void bars(const struct sx_report_grid *grid, double most, struct sx_str *out)
{
    const int width = (int)widest(grid->column_labels, grid->columns);
    for (size_t c = 0; c < grid->columns; c++) {
        const double x = grid->value[c];
        sx_str_printf(out, "%*s  ", width, grid->column_labels[c]);
        if (!isfinite(x)) {
            sx_str_append(out, "      -\n");
            continue;
        }
        const int eighths = (int)lround(fabs(x) / most * BAR * LEVELS);
        sx_str_printf(out, fabs(x) < 5e-4 && x != 0 ? "%+8.0e  " : "%+8.3f  ", x);
        for (int i = 0; i < eighths / LEVELS; i++)
            sx_str_append(out, blocks[LEVELS]);
        sx_str_printf(out, "%s\n", lengths[eighths % LEVELS]);
    }
}

static void cell(double x, double most, size_t width, struct sx_str *out)
{
    for (size_t i = 2; i < width; i++)
        sx_str_append_char(out, ' ');
    if (!isfinite(x)) {
        sx_str_append(out, " .");
        return;
    }
    const int level = (int)lround(fabs(x) / most * LEVELS);
    sx_str_printf(out, "%s%s",
                  level == 0 ? " "
                  : x < 0    ? "-"
                             : "+",
                  level == 0 ? "·" : blocks[level]);
}

static void map(const struct sx_report_grid *grid, double most, struct sx_str *out)
{
    const int width = (int)widest(grid->row_labels, grid->rows);
    const size_t label = widest(grid->column_labels, grid->columns);
    const size_t column = label < 2 ? 3 : label + 1;
    sx_str_printf(out, "%*s ", width, "");
    for (size_t c = 0; c < grid->columns; c++)
        sx_str_printf(out, "%*s", (int)column, grid->column_labels[c]);
    sx_str_append(out, "\n");
    for (size_t r = 0; r < grid->rows; r++) {
        sx_str_printf(out, "%*s ", width, grid->row_labels[r]);
        for (size_t c = 0; c < grid->columns; c++)
            cell(grid->value[r * grid->columns + c], most, column, out);
        sx_str_append(out, "\n");
    }
    sx_str_printf(out,
                  "\n█ = %.3g%s%s; + and - are the sign, · is below a sixteenth of it, . was "
                  "not measured\n",
                  most, grid->unit[0] ? " " : "", grid->unit);
}

void sx_report_heatmap(const struct sx_report_grid *grid, struct sx_str *out)
{
    const double most = largest(grid);
    if (grid->rows == 1)
        bars(grid, most, out);
    else
        map(grid, most, out);
}
