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

    out[0] = '\0';
    if (len == 0) /* nothing to see costs nothing to send */
        return;
    for (int i = 0; i < 2 * half + 1 && used + 4 < size; i++) {
        const int from = i - half;
        if (from > (part > 0 ? len : 0))
            break;
        const bool on = part < 0 ? from < 0 && from >= -len : from > 0 && from <= len;
        const char *glyph = from == 0 ? (ascii ? "|" : "│") : !on ? " " : ascii ? "=" : "▆";
        used += (size_t)snprintf(out + used, size - used, "%s", glyph);
    }
}

const char *sx_rounded_text(char *buf, size_t size, double value, int width, bool ascii)
{
    if (fabs(value) < 0.005 && value != 0)
        snprintf(buf, size, "0");
    else
        sx_signed_text(buf, size, value, width, ascii);
    return buf;
}

void sx_cell_heat(struct sx_table_cell *cell, double value, double end, int width, bool ascii)
{
    char text[24];

    sx_rounded_text(text, sizeof text, value, width - 1, ascii);
    const int level = sx_heat_level(value, -end, end, true);
    /* Most are next to nothing: without colours of their own they cost nothing to send. */
    if (value == 0 || isnan(value) || level == SX_DIV_LEVELS / 2)
        sx_cell_printf(cell, SX_STYLE_TEXT, "%s", text);
    else
        sx_cell_printf(cell, (enum sx_style)(SX_STYLE_DIV_0 + level), "%*s", width, text);
}
