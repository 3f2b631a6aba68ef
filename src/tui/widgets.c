#include "sextant/tui/widgets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/text.h"

struct sx_canvas sx_frame(struct sx_canvas *cv, const char *title, const char *info, bool focus)
{
    enum sx_style style = focus ? SX_STYLE_TITLE_FOCUS : SX_STYLE_TITLE;
    sx_hline(cv, 0, 0, cv->w, SX_STYLE_RULE);
    int info_w = info && *info ? sx_text_width(info) + 2 : 0;
    int room = cv->w - 5 - info_w;
    if (room < 8 && info_w) {
        room += info_w;
        info_w = 0;
    }
    if (title && *title && room > 0) {
        sx_put_char(cv, 2, 0, style, ' ');
        int used = sx_put_cut(cv, 3, 0, room, style, title);
        sx_put_char(cv, 3 + used, 0, style, ' ');
    }
    if (info_w)
        sx_putf(cv, cv->w - info_w - 1, 0, SX_STYLE_UNIT, " %s ", info);
    return sx_canvas_sub(cv, (struct sx_rect){0, 1, cv->w, cv->h - 1});
}

/* Join to a horizontal rule at (x, y): which arms it has decides the glyph. */
static bool is_rule(const struct sx_canvas *cv, int x, int y)
{
    const struct sx_cell *cell = sx_canvas_cell(cv, x, y);
    return cell && cell->style == SX_STYLE_RULE && cell->ch == sx_glyph(cv, SX_GLYPH_HLINE);
}

static void join(struct sx_canvas *cv, int x, int y, bool up, bool down)
{
    bool left = is_rule(cv, x - 1, y);
    bool right = is_rule(cv, x + 1, y);
    if (!left && !right && !is_rule(cv, x, y))
        return;
    enum sx_glyph glyph = up && down ? (left && right ? SX_GLYPH_CROSS
                                        : left        ? SX_GLYPH_TEE_LEFT
                                                      : SX_GLYPH_TEE_RIGHT)
                          : down     ? SX_GLYPH_TEE_DOWN
                                     : SX_GLYPH_TEE_UP;
    sx_put_char(cv, x, y, SX_STYLE_RULE, sx_glyph(cv, glyph));
}

void sx_divider(struct sx_canvas *cv, int x, int y, int h)
{
    for (int i = 0; i < h; i++) {
        if (is_rule(cv, x - 1, y + i) || is_rule(cv, x + 1, y + i) || is_rule(cv, x, y + i))
            join(cv, x, y + i, i > 0, i + 1 < h);
        else
            sx_put_char(cv, x, y + i, SX_STYLE_RULE, sx_glyph(cv, SX_GLYPH_VLINE));
    }
    if (is_rule(cv, x, y + h)) /* a rule below that the divider ends on */
        join(cv, x, y + h, true, false);
}

void sx_breadcrumb(struct sx_canvas *cv, int y, const char *const *part, size_t n,
                   const char *right, bool busy)
{
    int right_w = right && *right ? sx_text_width(right) + (busy ? 2 : 0) : 0;
    int room = cv->w - 2 - (right_w ? right_w + 2 : 0);
    int total = 0;
    size_t first = n ? 1 : 0; /* part 0 stays; those from `first` on are shown */
    for (size_t i = 0; i < n; i++)
        total += sx_text_width(part[i]) + (i ? 3 : 0);
    while (first + 1 < n && total > room) {
        total -= sx_text_width(part[first]) + (first == 1 ? 0 : 3);
        first++;
    }
    int x = 1;
    for (size_t i = 0; i < n; i++) {
        if (i && i < first)
            continue;
        bool last = i + 1 == n;
        if (i) {
            x += sx_put(cv, x, y, SX_STYLE_RULE, " ");
            x += sx_put_char(
                cv, x, y, SX_STYLE_RULE,
                sx_glyph(cv, i == first && first > 1 ? SX_GLYPH_ELLIPSIS : SX_GLYPH_POINT_RIGHT));
            x += sx_put(cv, x, y, SX_STYLE_RULE, " ");
        }
        x += sx_put_cut(cv, x, y, room + 1 - x, last ? SX_STYLE_CRUMB_HERE : SX_STYLE_CRUMB,
                        part[i]);
    }
    if (!right_w || right_w + 2 > cv->w)
        return;
    int at = cv->w - 1 - right_w;
    if (busy)
        at += 1 + sx_put_char(cv, at, y, SX_STYLE_BUSY, sx_glyph(cv, SX_GLYPH_RUNNING));
    sx_put(cv, at, y, busy ? SX_STYLE_BUSY : SX_STYLE_CRUMB, right);
}

void sx_keybar(struct sx_canvas *cv, int y, const struct sx_key_binding *const *binding, size_t n)
{
    int x = 1;
    for (size_t i = 0; i < n; i++) {
        char symbol[32];
        struct sx_key key;
        if (!binding[i]->label || !sx_key_parse(binding[i]->key, &key))
            continue;
        sx_key_symbol(key, sx_canvas_ascii(cv), symbol, sizeof symbol);
        if (x + sx_text_width(symbol) + 1 + sx_text_width(binding[i]->label) > cv->w)
            return;
        x += sx_put(cv, x, y, SX_STYLE_KEY, symbol) + 1;
        x += sx_put(cv, x, y, SX_STYLE_KEY_LABEL, binding[i]->label) + 2;
    }
}

void sx_keybar_of(struct sx_canvas *cv, int y, const struct sx_keymap *map,
                  const char *const *contexts, size_t n_contexts)
{
    enum { MAX = 256 };
    const struct sx_key_binding *list[MAX];
    size_t n = sx_keymap_list(map, contexts, n_contexts, list, MAX);
    sx_keybar(cv, y, list, n < MAX ? n : MAX);
}

void sx_message(struct sx_canvas *cv, int y, enum sx_message_kind kind, const char *text)
{
    enum sx_style style = kind == SX_MESSAGE_ERROR  ? SX_STYLE_BAD
                          : kind == SX_MESSAGE_WARN ? SX_STYLE_WARN
                                                    : SX_STYLE_MESSAGE;
    int x = 1;
    if (kind != SX_MESSAGE_INFO)
        x += sx_put(cv, x, y, style, "! ");
    sx_put_cut(cv, x, y, cv->w - x, style, text);
}

static int slider_knob(int width, double value, double lo, double hi)
{
    int inner = width - 2;
    double t = hi > lo ? (value - lo) / (hi - lo) : 0;
    t = t > 1 ? 1 : t > 0 ? t : 0;
    return 1 + (int)lround(t * (inner - 1));
}

void sx_slider(struct sx_canvas *cv, int x, int y, int width, double value, double lo, double hi,
               bool focus)
{
    if (width < 3)
        return;
    sx_put_char(cv, x, y, SX_STYLE_RULE, sx_glyph(cv, SX_GLYPH_TEE_RIGHT));
    sx_hline(cv, x + 1, y, width - 2, SX_STYLE_RULE);
    sx_put_char(cv, x + width - 1, y, SX_STYLE_RULE, sx_glyph(cv, SX_GLYPH_TEE_LEFT));
    int knob = slider_knob(width, value, lo, hi);
    sx_put_char(cv, x + knob, y, focus ? SX_STYLE_HANDLE : SX_STYLE_TEXT,
                sx_glyph(cv, focus ? SX_GLYPH_FULL : SX_GLYPH_HOLLOW));
    if (focus)
        sx_set_cursor(cv, x + knob, y, false);
}

double sx_slider_at(int width, int x, double lo, double hi)
{
    if (width < 4)
        return lo;
    double t = (double)(x - 1) / (width - 3);
    return lo + (t > 1 ? 1 : t > 0 ? t : 0) * (hi - lo);
}

const char *sx_duration(char *buf, size_t size, double seconds)
{
    if (!(seconds >= 0) || seconds > 1e9) {
        snprintf(buf, size, "?");
        return buf;
    }
    long s = lround(seconds);
    if (s < 3600)
        snprintf(buf, size, "%ld:%02ld", s / 60, s % 60);
    else if (s < 86400)
        snprintf(buf, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, size, "%ld d %ld h", s / 86400, s / 3600 % 24);
    return buf;
}

void sx_progress(struct sx_canvas *cv, int x, int y, int width, double fraction, double eta)
{
    char text[48] = "";
    char left[32] = "";
    if (eta >= 0)
        sx_duration(left, sizeof left, eta);
    if (fraction >= 0)
        snprintf(text, sizeof text, " %3.0f%% %s", fmin(fraction, 1) * 100, left);
    int bar = width - (int)strlen(text);
    if (bar < 4) {
        sx_put_cut(cv, x, y, width, SX_STYLE_BUSY, text + (text[0] == ' '));
        return;
    }
    int full = fraction > 0 ? (int)floor(fmin(fraction, 1) * bar) : 0;
    sx_fill(cv, (struct sx_rect){x, y, full, 1}, SX_STYLE_BAR, sx_glyph_block(cv, 7));
    sx_fill(cv, (struct sx_rect){x + full, y, bar - full, 1}, SX_STYLE_RULE,
            sx_glyph(cv, SX_GLYPH_ZERO));
    sx_put(cv, x + bar, y, SX_STYLE_BUSY, text);
}

int sx_badge(struct sx_canvas *cv, int x, int y, int found, int of)
{
    for (int i = 0; i < of; i++)
        sx_put_char(cv, x + i, y, SX_STYLE_BADGE,
                    sx_glyph(cv, i < found ? SX_GLYPH_FULL : SX_GLYPH_HOLLOW));
    return of;
}

const char *sx_badge_text(char *buf, size_t size, bool ascii, int found, int of)
{
    size_t used = 0;
    for (int i = 0; i < of; i++) {
        const char *glyph = i < found ? (ascii ? "*" : "●") : (ascii ? "o" : "○");
        size_t len = strlen(glyph);
        if (used + len >= size)
            break;
        memcpy(buf + used, glyph, len);
        used += len;
    }
    if (size)
        buf[used] = '\0';
    return buf;
}

int sx_field(struct sx_canvas *cv, int x, int y, int label_width, const char *label,
             enum sx_style style, const char *value)
{
    sx_put_cut(cv, x, y, label_width - 1, SX_STYLE_LABEL, label);
    return x + label_width + sx_put(cv, x + label_width, y, style, value);
}

/* Bytes of the next line of at most `width` columns, broken at a blank where there is one. */
static size_t wrap(const char *text, int width)
{
    size_t len = strlen(text);
    size_t at = 0;
    size_t blank = 0;
    int used = 0;
    while (at < len && text[at] != '\n') {
        uint32_t ch;
        size_t n = sx_utf8_decode(text + at, len - at, &ch);
        used += sx_text_width_of(ch);
        if (used > width && at > 0)
            return ch == ' ' || !blank ? at : blank;
        if (ch == ' ')
            blank = at;
        at += n;
    }
    return at;
}

int sx_paragraph(struct sx_canvas *cv, int y, enum sx_style style, const char *text)
{
    int rows = 0;
    if (cv->w <= 0)
        return 0;
    while (*text && y + rows < cv->h) {
        size_t n = wrap(text, cv->w);
        sx_put_len(cv, 0, y + rows++, style, text, n);
        text += n;
        if (*text == '\n' || *text == ' ')
            text++;
    }
    return rows;
}
