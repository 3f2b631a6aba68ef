#include "band_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *sx_period_text(char *buf, size_t size, double period)
{
    if (!isfinite(period))
        snprintf(buf, size, "rest");
    else if (period < 99.5)
        snprintf(buf, size, "%.2g", period);
    else if (period < 999.5)
        snprintf(buf, size, "%.0f", period);
    else
        snprintf(buf, size, "%.0fk", period / 1000);
    return buf;
}

const char *sx_band_text(char *buf, size_t size, size_t band, double period)
{
    char number[16];

    if (!isfinite(period))
        snprintf(buf, size, "the rest, not rotated");
    else
        snprintf(buf, size, "band %zu (period %s tokens)", band,
                 sx_period_text(number, sizeof number, period));
    return buf;
}

/* Without the zero before the point: "+0.12" to "+.12". */
static void drop_zero(char *text)
{
    if (text[1] != '0' || text[2] != '.')
        return;
    for (char *c = text + 1; *c; c++)
        *c = c[1];
}

const char *sx_signed_text(char *buf, size_t size, double value, int width, bool ascii)
{
    if (isnan(value) || value == 0) {
        snprintf(buf, size, "%s", isnan(value) ? (ascii ? "-" : "–") : ascii ? "." : "·");
        return buf;
    }
    for (int digits = 2; digits >= 0; digits--) {
        snprintf(buf, size, "%+.*f", digits, value);
        drop_zero(buf);
        int n = 0;
        while (buf[n])
            n++;
        if (n <= width)
            return buf;
    }
    snprintf(buf, size, "%+.0e", value);
    return buf;
}

void sx_residue_text(char *buf, size_t size, const struct sx_input *input, size_t token)
{
    const char *text = input->tokens[token].text;

    if (text[0] == '<' && token > 0)
        snprintf(buf, size, "%s", strcmp(text, "<mask>") == 0 ? "?" : ">");
    else
        snprintf(buf, size, "%.1s", text);
}

double sx_scale_end(double most)
{
    static const double step[] = {1, 2, 5, 10};
    const double decade = most > 1e-9 && isfinite(most) ? pow(10, floor(log10(most))) : 1e-9;
    int i = 0;

    while (i < 3 && step[i] * decade < most)
        i++;
    return step[i] * decade;
}

void sx_put_residual(struct sx_canvas *cv, int x, int y, int width, double residual)
{
    static const double small = 1e-4;
    char text[48];

    if (isnan(residual))
        return;
    snprintf(text, sizeof text, "%sresidual %.0e", residual > small ? "! " : "", residual);
    sx_put_right(cv, x, y, width, residual > small ? SX_STYLE_WARN : SX_STYLE_DIM, text);
}
