/* Themes: what every style looks like at each of four colour depths. The default theme is compiled
 * in; others are YAML files:
 *
 *   name: light
 *   styles:
 *     title: {truecolor: "#005f87 bold", 256: "24 bold", 16: "blue bold", mono: "bold"}
 *     cursor: {truecolor: "on #d7e5f0", 256: "on 153", 16: "on cyan", mono: "reverse"}
 *
 * A look is [COLOUR] [on COLOUR] [bold|dim|italic|underline|reverse]…; COLOUR is #rrggbb for
 * truecolor, 0..255 for 256, a name (black red … white, bright-black …) or 0..15 for 16, and
 * `default` anywhere; mono takes attributes only. Every style needs all four. */
#ifndef SEXTANT_TUI_THEME_H
#define SEXTANT_TUI_THEME_H

#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/str.h"
#include "sextant/base/value.h"
#include "sextant/tui/canvas.h"
#include "sextant/tui/style.h"

enum sx_colour_kind { SX_COLOUR_DEFAULT, SX_COLOUR_INDEX, SX_COLOUR_RGB };

struct sx_colour {
    uint8_t kind;  /* enum sx_colour_kind */
    uint8_t index; /* SX_COLOUR_INDEX: 0..15 or 0..255 */
    struct sx_rgb rgb;
};

enum { SX_BOLD = 1, SX_FAINT = 2, SX_ITALIC = 4, SX_UNDERLINE = 8, SX_REVERSE = 16 };

struct sx_look {
    struct sx_colour fg, bg;
    uint8_t attrs; /* SX_BOLD … */
};

struct sx_theme {
    char name[32];
    struct sx_look look[SX_STYLE_COUNT][SX_DEPTH_COUNT];
};

const struct sx_theme *sx_theme_default(void);

/* `label` stands in messages ("label:line: …"). */
enum sx_status sx_theme_from_value(const struct sx_value *v, const char *label,
                                   struct sx_theme *out, struct sx_error *err) SX_MUST_CHECK;
/* A YAML file. */
enum sx_status sx_theme_load(const char *path, struct sx_theme *out,
                             struct sx_error *err) SX_MUST_CHECK;
/* One look in the notation above. */
enum sx_status sx_look_parse(const char *text, enum sx_depth depth, struct sx_look *out,
                             struct sx_error *err) SX_MUST_CHECK;

/* What a cell looks like: style, overlay and its own colours, quantised to the depth. */
struct sx_look sx_theme_cell(const struct sx_theme *theme, enum sx_depth depth,
                             const struct sx_cell *cell);

/* Nearest entries of the standard palettes; RGB of entry 0..255 of xterm's. */
uint8_t sx_rgb_to_256(struct sx_rgb rgb);
uint8_t sx_rgb_to_16(struct sx_rgb rgb);
struct sx_rgb sx_rgb_of_256(uint8_t index);

/* t in 0..1 (clamped) on the sequential, in -1..1 on the diverging ramp, for images. */
struct sx_rgb sx_ramp_grey(double t);
struct sx_rgb sx_ramp_heat(double t); /* the colours of heat_0 … heat_9 */
struct sx_rgb sx_ramp_diverging(double t);

/* "auto|always|never|16|256|truecolor": the depth to use, given what the environment says
 * (NO_COLOR, TERM, COLORTERM; values or NULL) and whether the output is a terminal. */
enum sx_status sx_depth_choose(const char *word, const char *no_color, const char *term,
                               const char *colorterm, bool is_tty, enum sx_depth *out,
                               struct sx_error *err) SX_MUST_CHECK;

/* The screen with escape sequences (SX_DEPTH_MONO: plain lines), and as an SVG picture. */
void sx_screen_ansi(const struct sx_screen *screen, const struct sx_theme *theme,
                    enum sx_depth depth, struct sx_str *out);
void sx_screen_svg(const struct sx_screen *screen, const struct sx_theme *theme,
                   struct sx_str *out);

#endif
