#include "sextant/tui/layout.h"

#include <stdio.h>

struct sx_rect sx_rect_inset(struct sx_rect r, int left, int top, int right, int bottom)
{
    struct sx_rect out = {r.x + left, r.y + top, r.w - left - right, r.h - top - bottom};
    if (out.w < 0)
        out.w = 0;
    if (out.h < 0)
        out.h = 0;
    return out;
}

struct sx_rect sx_rect_intersect(struct sx_rect a, struct sx_rect b)
{
    int x0 = a.x > b.x ? a.x : b.x;
    int y0 = a.y > b.y ? a.y : b.y;
    int x1 = a.x + a.w < b.x + b.w ? a.x + a.w : b.x + b.w;
    int y1 = a.y + a.h < b.y + b.h ? a.y + a.h : b.y + b.h;
    if (x1 <= x0 || y1 <= y0)
        return (struct sx_rect){x0, y0, 0, 0};
    return (struct sx_rect){x0, y0, x1 - x0, y1 - y0};
}

bool sx_rect_contains(struct sx_rect r, int x, int y)
{
    return x >= r.x && y >= r.y && x < r.x + r.w && y < r.y + r.h;
}

static int least(const struct sx_part *part)
{
    return part->size > 0 ? part->size : part->min > 0 ? part->min : 1;
}

enum { MAX_PARTS = 32 };

/* Sizes along one axis. */
static void split(int room, int gap, const struct sx_part *part, size_t n, int *size)
{
    bool present[MAX_PARTS];
    int need = 0;
    size_t shown = n;
    for (size_t i = 0; i < n; i++) {
        present[i] = true;
        need += least(&part[i]) + (i ? gap : 0);
    }
    for (size_t i = n; i-- > 0 && need > room;) {
        if (!part[i].optional || shown == 1)
            continue;
        present[i] = false;
        need -= least(&part[i]) + gap;
        shown--;
    }
    int weights = 0;
    for (size_t i = 0; i < n; i++)
        if (present[i] && part[i].size <= 0)
            weights += part[i].weight > 0 ? part[i].weight : 1;
    /* Shares are of what is left after the fixed parts; a part whose share is below its minimum
     * takes the minimum and leaves the sharing, until none does. */
    bool settled[MAX_PARTS] = {false};
    int left = room - (shown > 0 ? (int)(shown - 1) * gap : 0);
    for (size_t i = 0; i < n; i++) {
        size[i] = 0;
        if (!present[i] || part[i].size > 0) {
            settled[i] = true;
            size[i] = present[i] ? part[i].size : 0;
            left -= size[i];
        }
    }
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < n; i++) {
            int weight = part[i].weight > 0 ? part[i].weight : 1;
            if (settled[i] || (weights > 0 && left * weight >= least(&part[i]) * weights))
                continue;
            settled[i] = true;
            size[i] = least(&part[i]);
            left -= size[i];
            weights -= weight;
            again = true;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (settled[i])
            continue;
        int weight = part[i].weight > 0 ? part[i].weight : 1;
        size[i] = left * weight / weights;
        left -= size[i];
        weights -= weight;
    }
}

static void place(struct sx_rect r, bool columns, int gap, const struct sx_part *part, size_t n,
                  struct sx_rect *out)
{
    SX_ASSERT(n <= MAX_PARTS);
    int size[MAX_PARTS] = {0};
    int room = columns ? r.w : r.h;
    split(room, gap, part, n, size);
    int at = 0;
    for (size_t i = 0; i < n; i++) {
        int len = size[i];
        if (at + len > room)
            len = room > at ? room - at : 0;
        out[i] = columns ? (struct sx_rect){r.x + at, r.y, len, len > 0 ? r.h : 0}
                         : (struct sx_rect){r.x, r.y + at, len > 0 ? r.w : 0, len};
        if (len > 0)
            at += len + gap;
    }
}

void sx_split_columns(struct sx_rect r, int gap, const struct sx_part *part, size_t n,
                      struct sx_rect *out)
{
    place(r, true, gap, part, n, out);
}

void sx_split_rows(struct sx_rect r, int gap, const struct sx_part *part, size_t n,
                   struct sx_rect *out)
{
    place(r, false, gap, part, n, out);
}

bool sx_too_small(struct sx_canvas *cv, int min_w, int min_h)
{
    if (cv->w >= min_w && cv->h >= min_h)
        return false;
    char need[64];
    snprintf(need, sizeof need, cv->w >= 28 ? "needs %dx%d, this is %dx%d" : "needs %dx%d", min_w,
             min_h, cv->w, cv->h);
    int y = cv->h > 2 ? cv->h / 2 - 1 : 0;
    sx_put_centre(cv, 0, y, cv->w, SX_STYLE_TEXT, "too small");
    sx_put_centre(cv, 0, y + 1, cv->w, SX_STYLE_DIM, need);
    return true;
}
