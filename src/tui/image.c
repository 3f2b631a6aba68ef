#include "sextant/tui/image.h"

#include <math.h>

#include "sextant/tui/heatmap.h"
#include "sextant/tui/theme.h"

static int stride_of(const struct sx_image *image)
{
    return image->stride > 0 ? image->stride : image->w;
}

void sx_image_size(const struct sx_image *image, int max_w, int max_h, int *w, int *h)
{
    *w = *h = 0;
    if (image->w <= 0 || image->h <= 0 || max_w <= 0 || max_h <= 0)
        return;
    double scale = fmin((double)max_w / image->w, 2.0 * max_h / image->h);
    if (scale > 1)
        scale = floor(scale); /* whole pixels stay square */
    *w = (int)fmax(1, floor(image->w * scale));
    *h = (int)fmax(1, ceil(image->h * scale / 2));
}

static void find_range(const struct sx_image *image, double *lo, double *hi)
{
    *lo = image->lo;
    *hi = image->hi;
    if (*lo < *hi)
        return;
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int y = 0; y < image->h; y++) {
        for (int x = 0; x < image->w; x++) {
            float v = image->pixel[(long)y * stride_of(image) + x];
            if (isfinite(v)) {
                *lo = fmin(*lo, v);
                *hi = fmax(*hi, v);
            }
        }
    }
    if (*lo > *hi)
        *lo = *hi = 0;
}

/* Mean of the pixels under target pixel (x, y) of a w×h grid; NaN when there is none. */
static double sample(const struct sx_image *image, int x, int y, int w, int h)
{
    int x0 = (int)((long)x * image->w / w);
    int x1 = (int)((long)(x + 1) * image->w / w);
    int y0 = (int)((long)y * image->h / h);
    int y1 = (int)((long)(y + 1) * image->h / h);
    double sum = 0;
    int n = 0;
    for (int j = y0; j < (y1 > y0 ? y1 : y0 + 1); j++) {
        for (int i = x0; i < (x1 > x0 ? x1 : x0 + 1); i++) {
            float v = image->pixel[(long)j * stride_of(image) + i];
            if (isfinite(v)) {
                sum += v;
                n++;
            }
        }
    }
    return n ? sum / n : NAN;
}

struct scale {
    bool diverging;
    double lo, hi; /* diverging: -max..max */
};

static struct sx_rgb colour_of(const struct scale *scale, double v)
{
    if (scale->diverging)
        return sx_ramp_diverging(scale->hi > 0 ? v / scale->hi : 0);
    return sx_ramp_grey(scale->hi > scale->lo ? (v - scale->lo) / (scale->hi - scale->lo) : 0);
}

static void draw_colour(struct sx_canvas *cv, const struct scale *scale, int x, int y, double top,
                        double bottom)
{
    if (isnan(top) && isnan(bottom))
        return;
    struct sx_rgb a = colour_of(scale, isnan(top) ? bottom : top);
    struct sx_rgb b = colour_of(scale, isnan(bottom) ? top : bottom);
    if (sx_canvas_ascii(cv)) {
        double mean = isnan(top) ? bottom : isnan(bottom) ? top : (top + bottom) / 2;
        struct sx_rgb c = colour_of(scale, mean);
        sx_put_rgb(cv, x, y, scale->diverging && mean < -0.1 * scale->hi ? '-' : ' ', NULL, &c);
    } else if (a.r == b.r && a.g == b.g && a.b == b.b) {
        sx_put_rgb(cv, x, y, ' ', NULL, &b);
    } else {
        sx_put_rgb(cv, x, y, 0x2580, &a, &b);
    }
}

/* One character a cell: density, and for negative values another set of characters, so that the
 * sign is there without colour. */
static void draw_glyph(struct sx_canvas *cv, const struct scale *scale, int x, int y, double v)
{
    if (isnan(v))
        return;
    int level = sx_heat_level(v, scale->lo, scale->hi, scale->diverging);
    enum sx_style style = sx_heat_style(v, scale->lo, scale->hi, scale->diverging);
    if (!scale->diverging) {
        sx_put_char(cv, x, y, style, sx_glyph_ramp(level));
        return;
    }
    int m = level - SX_DIV_LEVELS / 2;
    sx_put_char(cv, x, y, style, (unsigned char)(m < 0 ? " ,;-=o"[-m] : " .:+#@"[m]));
}

void sx_image_draw(struct sx_canvas *cv, const struct sx_image *image)
{
    if (image->w <= 0 || image->h <= 0)
        return;
    struct scale scale = {.diverging = image->diverging};
    find_range(image, &scale.lo, &scale.hi);
    if (scale.diverging) {
        scale.hi = fmax(fabs(scale.lo), fabs(scale.hi));
        scale.lo = -scale.hi;
    }
    /* Halves of cells are pixels; without half blocks or colours a cell is one. */
    bool colour = sx_canvas_depth(cv) >= SX_DEPTH_256;
    for (int y = 0; y < cv->h; y++) {
        for (int x = 0; x < cv->w; x++) {
            if (colour)
                draw_colour(cv, &scale, x, y, sample(image, x, 2 * y, cv->w, 2 * cv->h),
                            sample(image, x, 2 * y + 1, cv->w, 2 * cv->h));
            else
                draw_glyph(cv, &scale, x, y, sample(image, x, y, cv->w, cv->h));
        }
    }
}
