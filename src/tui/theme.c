/* Looks are written in one short notation, both in theme files and in the table of the default
 * theme (theme_default.c), so that one parser serves both and a test can hold them equal. */
#include "sextant/tui/theme.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "theme_default.h"

static const char *const depth_key[SX_DEPTH_COUNT] = {
    [SX_DEPTH_MONO] = "mono",
    [SX_DEPTH_16] = "16",
    [SX_DEPTH_256] = "256",
    [SX_DEPTH_TRUE] = "truecolor",
};

static const char *const colour_name[16] = {
    "black",        "red",           "green",       "yellow",         "blue",
    "magenta",      "cyan",          "white",       "bright-black",   "bright-red",
    "bright-green", "bright-yellow", "bright-blue", "bright-magenta", "bright-cyan",
    "bright-white",
};

static bool parse_colour(const char *word, enum sx_depth depth, struct sx_colour *out)
{
    *out = (struct sx_colour){.kind = SX_COLOUR_DEFAULT};
    if (depth == SX_DEPTH_MONO)
        return false;
    if (strcmp(word, "default") == 0)
        return true;
    if (depth == SX_DEPTH_TRUE) {
        if (word[0] != '#' || strlen(word) != 7 || strspn(word + 1, "0123456789abcdefABCDEF") != 6)
            return false;
        unsigned long v = strtoul(word + 1, NULL, 16);
        out->kind = SX_COLOUR_RGB;
        out->rgb = (struct sx_rgb){(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        return true;
    }
    out->kind = SX_COLOUR_INDEX;
    for (int i = 0; depth == SX_DEPTH_16 && i < 16; i++) {
        if (strcmp(word, colour_name[i]) == 0) {
            out->index = (uint8_t)i;
            return true;
        }
    }
    size_t len = strlen(word);
    if (len == 0 || len > 3 || strspn(word, "0123456789") != len)
        return false;
    unsigned long v = strtoul(word, NULL, 10);
    out->index = (uint8_t)v;
    return v < (depth == SX_DEPTH_16 ? 16 : 256);
}

static bool parse_attribute(const char *word, uint8_t *attrs)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } table[] = {{"bold", SX_BOLD},
                 {"dim", SX_FAINT},
                 {"italic", SX_ITALIC},
                 {"underline", SX_UNDERLINE},
                 {"reverse", SX_REVERSE}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(word, table[i].name) == 0) {
            *attrs |= table[i].bit;
            return true;
        }
    }
    return false;
}

enum sx_status sx_look_parse(const char *text, enum sx_depth depth, struct sx_look *out,
                             struct sx_error *err)
{
    struct sx_look look = {0};
    char copy[96];
    if (strlen(text) >= sizeof copy)
        return sx_fail(err, SX_ERR_FORMAT, "a look of %zu bytes is too long", strlen(text));
    memcpy(copy, text, strlen(text) + 1);
    bool background = false;
    bool have[2] = {false, false};
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (!background && parse_attribute(word, &look.attrs))
            continue;
        if (!background && strcmp(word, "on") == 0) {
            background = true;
            continue;
        }
        struct sx_colour colour;
        if (have[background] || !parse_colour(word, depth, &colour))
            return sx_fail(
                err, SX_ERR_FORMAT,
                "\"%s\" in \"%s\": expected %s, or bold, dim, italic, underline, reverse", word,
                text,
                depth == SX_DEPTH_TRUE  ? "[#rrggbb] [on #rrggbb]"
                : depth == SX_DEPTH_256 ? "[0..255] [on 0..255]"
                : depth == SX_DEPTH_16  ? "[colour] [on colour], a name or 0..15"
                                        : "no colour");
        *(background ? &look.bg : &look.fg) = colour;
        have[background] = true;
        background = false;
    }
    if (background)
        return sx_fail(err, SX_ERR_FORMAT, "\"%s\": no colour after \"on\"", text);
    *out = look;
    return SX_OK;
}

const struct sx_theme *sx_theme_default(void)
{
    static struct sx_theme theme;
    if (theme.name[0])
        return &theme;
    for (size_t i = 0; i < SX_STYLE_COUNT; i++) {
        for (int d = 0; d < SX_DEPTH_COUNT; d++) {
            enum sx_status status = sx_look_parse(sx_theme_default_looks[i][d], (enum sx_depth)d,
                                                  &theme.look[i][d], NULL);
            SX_ASSERT(status == SX_OK);
        }
    }
    snprintf(theme.name, sizeof theme.name, "default");
    return &theme;
}

static enum sx_status read_style(const struct sx_value *v, const char *label, const char *name,
                                 struct sx_look *look, struct sx_error *err)
{
    if (sx_value_kind(v) != SX_VALUE_MAP)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s:%d: style %s: expected a map with truecolor, 256, 16 and mono, found %s",
                       label, sx_value_line(v), name, sx_value_kind_name(sx_value_kind(v)));
    unsigned seen = 0;
    for (size_t i = 0; i < sx_value_count(v); i++) {
        const char *key = sx_value_key(v, i);
        const struct sx_value *item = sx_value_item(v, i);
        int depth = 0;
        while (depth < SX_DEPTH_COUNT && strcmp(key, depth_key[depth]) != 0)
            depth++;
        if (depth == SX_DEPTH_COUNT)
            return sx_fail(
                err, SX_ERR_FORMAT,
                "%s:%d: style %s: unknown key \"%s\", expected truecolor, 256, 16 or mono", label,
                sx_value_line(item), name, key);
        char number[16]; /* 256: 24 is a number in YAML */
        snprintf(number, sizeof number, "%d", (int)(sx_value_int_or(item, -1) % 1000));
        const char *text = sx_value_kind(item) == SX_VALUE_INT    ? number
                           : sx_value_kind(item) == SX_VALUE_NULL ? ""
                                                                  : sx_value_string_or(item, NULL);
        if (!text)
            return sx_fail(err, SX_ERR_FORMAT, "%s:%d: style %s, %s: expected a string, found %s",
                           label, sx_value_line(item), name, key,
                           sx_value_kind_name(sx_value_kind(item)));
        enum sx_status status = sx_look_parse(text, (enum sx_depth)depth, &look[depth], err);
        if (status != SX_OK)
            return sx_fail_prefix(err, status, "%s:%d: style %s, %s", label, sx_value_line(item),
                                  name, key);
        seen |= 1u << depth;
    }
    for (int depth = 0; depth < SX_DEPTH_COUNT; depth++)
        if (!(seen & 1u << depth))
            return sx_fail(err, SX_ERR_FORMAT, "%s:%d: style %s has no %s", label, sx_value_line(v),
                           name, depth_key[depth]);
    return SX_OK;
}

enum sx_status sx_theme_from_value(const struct sx_value *v, const char *label,
                                   struct sx_theme *out, struct sx_error *err)
{
    struct sx_theme theme = {0};
    bool seen[SX_STYLE_COUNT] = {false};
    const struct sx_value *styles = sx_value_get(v, "styles");
    const char *name = sx_value_string_or(sx_value_get(v, "name"), NULL);
    if (sx_value_kind(v) != SX_VALUE_MAP || !name || sx_value_kind(styles) != SX_VALUE_MAP)
        return sx_fail(err, SX_ERR_FORMAT, "%s:1: a theme has the keys name and styles (a map)",
                       label);
    for (size_t i = 0; i < sx_value_count(v); i++) {
        const char *key = sx_value_key(v, i);
        if (strcmp(key, "name") != 0 && strcmp(key, "styles") != 0)
            return sx_fail(err, SX_ERR_FORMAT, "%s:%d: unknown key \"%s\", expected name or styles",
                           label, sx_value_line(sx_value_item(v, i)), key);
    }
    snprintf(theme.name, sizeof theme.name, "%s", name);
    for (size_t i = 0; i < sx_value_count(styles); i++) {
        const char *key = sx_value_key(styles, i);
        const struct sx_value *item = sx_value_item(styles, i);
        enum sx_style style;
        if (!sx_style_parse(key, &style))
            return sx_fail(err, SX_ERR_FORMAT, "%s:%d: unknown style \"%s\"", label,
                           sx_value_line(item), key);
        SX_TRY(read_style(item, label, key, theme.look[style], err));
        seen[style] = true;
    }
    for (size_t i = 0; i < SX_STYLE_COUNT; i++)
        if (!seen[i])
            return sx_fail(err, SX_ERR_FORMAT, "%s:%d: style %s is missing", label,
                           sx_value_line(styles), sx_style_name((enum sx_style)i));
    *out = theme;
    return SX_OK;
}

static const uint8_t cube_level[6] = {0, 95, 135, 175, 215, 255};

struct sx_rgb sx_rgb_of_256(uint8_t index)
{
    static const struct sx_rgb base[16] = {
        {0, 0, 0},       {205, 0, 0},   {0, 205, 0},   {205, 205, 0},
        {0, 0, 238},     {205, 0, 205}, {0, 205, 205}, {229, 229, 229},
        {127, 127, 127}, {255, 0, 0},   {0, 255, 0},   {255, 255, 0},
        {92, 92, 255},   {255, 0, 255}, {0, 255, 255}, {255, 255, 255},
    };
    if (index < 16)
        return base[index];
    if (index >= 232) {
        uint8_t v = (uint8_t)(8 + 10 * (index - 232));
        return (struct sx_rgb){v, v, v};
    }
    int i = index - 16;
    return (struct sx_rgb){cube_level[i / 36], cube_level[i / 6 % 6], cube_level[i % 6]};
}

static int distance(struct sx_rgb a, struct sx_rgb b)
{
    int r = a.r - b.r;
    int g = a.g - b.g;
    int bl = a.b - b.b;
    return 3 * r * r + 6 * g * g + bl * bl;
}

/* The first 16 entries are skipped: users redefine them. */
uint8_t sx_rgb_to_256(struct sx_rgb rgb)
{
    int best = 16;
    for (int i = 17; i < 256; i++)
        if (distance(rgb, sx_rgb_of_256((uint8_t)i)) < distance(rgb, sx_rgb_of_256((uint8_t)best)))
            best = i;
    return (uint8_t)best;
}

uint8_t sx_rgb_to_16(struct sx_rgb rgb)
{
    int best = 0;
    for (int i = 1; i < 16; i++)
        if (distance(rgb, sx_rgb_of_256((uint8_t)i)) < distance(rgb, sx_rgb_of_256((uint8_t)best)))
            best = i;
    return (uint8_t)best;
}

static struct sx_rgb mix(struct sx_rgb a, struct sx_rgb b, double t)
{
    return (struct sx_rgb){(uint8_t)lround(a.r + (b.r - a.r) * t),
                           (uint8_t)lround(a.g + (b.g - a.g) * t),
                           (uint8_t)lround(a.b + (b.b - a.b) * t)};
}

/* 8 levels: neighbouring cells of an image then often share their colours, which keeps repaints
 * short and the number of colours within a redefinable palette. */
static double in_steps(double t)
{
    return nearbyint(t * 8) / 8;
}

struct sx_rgb sx_ramp_grey(double t)
{
    t = t >= 1 ? 1 : t > 0 ? in_steps(t) : 0; /* NaN gives 0 */
    return mix((struct sx_rgb){0, 0, 0}, (struct sx_rgb){255, 255, 255}, t);
}

struct sx_rgb sx_ramp_heat(double t)
{
    static const struct sx_rgb stop[] = {
        {18, 18, 28},   {31, 22, 65},  {51, 27, 98},   {96, 32, 118},  {139, 41, 127},
        {180, 54, 120}, {212, 80, 97}, {240, 114, 65}, {248, 162, 78}, {252, 214, 103},
    };
    enum { LAST = sizeof stop / sizeof *stop - 1 };
    return stop[t >= 1 ? LAST : t > 0 ? (int)(t * LAST + 0.5) : 0];
}

/* Blue through near-black to orange: the two ends differ for every kind of colour vision. */
struct sx_rgb sx_ramp_diverging(double t)
{
    static const struct sx_rgb zero = {18, 18, 20};
    static const struct sx_rgb neg[2] = {{0, 114, 178}, {170, 220, 255}};
    static const struct sx_rgb pos[2] = {{213, 94, 0}, {255, 224, 150}};
    const struct sx_rgb *end = t < 0 ? neg : pos;
    t = fabs(t);
    t = t >= 1 ? 1 : t > 0 ? in_steps(t) : 0;
    return t <= 0.5 ? mix(zero, end[0], 2 * t) : mix(end[0], end[1], 2 * t - 1);
}

static struct sx_colour quantise(struct sx_rgb rgb, enum sx_depth depth)
{
    switch (depth) {
    case SX_DEPTH_TRUE:
        return (struct sx_colour){.kind = SX_COLOUR_RGB, .rgb = rgb};
    case SX_DEPTH_256:
        return (struct sx_colour){.kind = SX_COLOUR_INDEX, .index = sx_rgb_to_256(rgb)};
    case SX_DEPTH_16:
        return (struct sx_colour){.kind = SX_COLOUR_INDEX, .index = sx_rgb_to_16(rgb)};
    default:
        return (struct sx_colour){.kind = SX_COLOUR_DEFAULT};
    }
}

struct sx_look sx_theme_cell(const struct sx_theme *theme, enum sx_depth depth,
                             const struct sx_cell *cell)
{
    struct sx_look look = theme->look[cell->style][depth];
    if (cell->flags & SX_CELL_FG)
        look.fg = quantise(cell->fg, depth);
    if (cell->flags & SX_CELL_BG)
        look.bg = quantise(cell->bg, depth);
    if (cell->over) {
        const struct sx_look *over = &theme->look[cell->over][depth];
        if (over->fg.kind)
            look.fg = over->fg;
        if (over->bg.kind && !(cell->flags & SX_CELL_BG)) /* a picture keeps its colours */
            look.bg = over->bg;
        look.attrs |= over->attrs;
    }
    return look;
}

static bool empty(const char *s)
{
    return !s || !*s;
}

static bool says_true(const char *colorterm)
{
    return colorterm && (strcmp(colorterm, "truecolor") == 0 || strcmp(colorterm, "24bit") == 0);
}

static enum sx_depth depth_of_terminal(const char *term, const char *colorterm)
{
    if (says_true(colorterm) || (term && strstr(term, "direct")))
        return SX_DEPTH_TRUE;
    return term && strstr(term, "256color") ? SX_DEPTH_256 : SX_DEPTH_16;
}

enum sx_status sx_depth_choose(const char *word, const char *no_color, const char *term,
                               const char *colorterm, bool is_tty, enum sx_depth *out,
                               struct sx_error *err)
{
    bool dumb = empty(term) || strcmp(term, "dumb") == 0;
    if (empty(word) || strcmp(word, "auto") == 0)
        *out = !empty(no_color) || dumb || !is_tty ? SX_DEPTH_MONO
                                                   : depth_of_terminal(term, colorterm);
    else if (strcmp(word, "never") == 0 || strcmp(word, "none") == 0)
        *out = SX_DEPTH_MONO;
    else if (strcmp(word, "always") == 0)
        *out = dumb ? SX_DEPTH_16 : depth_of_terminal(term, colorterm);
    else if (strcmp(word, "16") == 0)
        *out = SX_DEPTH_16;
    else if (strcmp(word, "256") == 0)
        *out = SX_DEPTH_256;
    else if (strcmp(word, "truecolor") == 0)
        *out = SX_DEPTH_TRUE;
    else
        return sx_fail(err, SX_ERR_USAGE,
                       "--color: expected auto, always, never, 16, 256 or truecolor, found \"%s\"",
                       word);
    return SX_OK;
}
