#include "circuit_parts.h"

#include <math.h>
#include <stdio.h>

#include "band_parts.h"
#include "sextant/tui/heatmap.h"
#include "view_parts.h"

void sx_bar_text(char *out, size_t size, double part, int width, bool ascii)
{
    const int half = width > 1 ? (width - 1) / 2 : 0;
    const int len = (int)lround(fmin(fabs(part), 1) * half);
    size_t used = 0;

    for (int i = 0; i < 2 * half + 1 && used + 4 < size; i++) {
        const int from = i - half;
        const bool on = part < 0 ? from < 0 && from >= -len : from > 0 && from <= len;
        const char *glyph = from == 0 ? (ascii ? "|" : "│") : !on ? " " : ascii ? "=" : "▆";
        used += (size_t)snprintf(out + used, size - used, "%s", glyph);
    }
}

void sx_cell_heat(struct sx_table_cell *cell, double value, double end, int width, bool ascii)
{
    char text[24];

    sx_signed_text(text, sizeof text, value, width - 1, ascii);
    if (value == 0 || isnan(value))
        sx_cell_printf(cell, SX_STYLE_DIM, "%s", text);
    else
        sx_cell_printf(cell, sx_heat_style(value, -end, end, true), "%*s", width, text);
}
