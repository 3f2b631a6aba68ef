/* What a piece of the screen means. Views name meanings; a theme (theme.h) gives them colours. */
#ifndef SEXTANT_TUI_STYLE_H
#define SEXTANT_TUI_STYLE_H

#include <stdbool.h>
#include <stdint.h>

struct sx_rgb {
    uint8_t r, g, b;
};

enum sx_depth { SX_DEPTH_MONO, SX_DEPTH_16, SX_DEPTH_256, SX_DEPTH_TRUE, SX_DEPTH_COUNT };

/* X(enumerator, name in theme files and goldens, what it is for) */
#define SX_STYLES(X)                                                                               \
    X(TEXT, "text", "everything without a meaning of its own")                                     \
    X(DIM, "dim", "zeroes, rules of thumb, what may be overlooked")                                \
    X(STRONG, "strong", "the one important word")                                                  \
    X(TITLE, "title", "title of a pane")                                                           \
    X(TITLE_FOCUS, "title_focus", "title of the pane with focus")                                  \
    X(RULE, "rule", "the thin lines between panes")                                                \
    X(CRUMB, "crumb", "where am I: the path")                                                      \
    X(CRUMB_HERE, "crumb_here", "where am I: the last part")                                       \
    X(HEADER, "header", "column heads")                                                            \
    X(LABEL, "label", "names before values")                                                       \
    X(NUMBER, "number", "values")                                                                  \
    X(UNIT, "unit", "units")                                                                       \
    X(GOOD, "good", "as it should be")                                                             \
    X(WARN, "warn", "look at this")                                                                \
    X(BAD, "bad", "wrong")                                                                         \
    X(KEY, "key", "a key to press")                                                                \
    X(KEY_LABEL, "key_label", "what the key does")                                                 \
    X(MESSAGE, "message", "the message line")                                                      \
    X(PROMPT, "prompt", "text being typed")                                                        \
    X(POPUP, "popup", "completion list, background")                                               \
    X(BUSY, "busy", "work in progress")                                                            \
    X(BADGE, "badge", "badges")                                                                    \
    X(BAR, "bar", "bars of histograms, sparklines, progress")                                      \
    X(HANDLE, "handle", "what can be moved: slider knob, cut marker")                              \
    X(CURSOR, "cursor", "overlay: the row or cell under the cursor")                               \
    X(CURSOR_BLUR, "cursor_blur", "overlay: the same in a pane without focus")                     \
    X(SELECTED, "selected", "overlay: part of a selection")                                        \
    X(MARKED, "marked", "overlay: marked rows")                                                    \
    X(MATCH, "match", "overlay: a search hit")                                                     \
    X(SERIES_0, "series_0", "first line of a plot")                                                \
    X(SERIES_1, "series_1", "second line")                                                         \
    X(SERIES_2, "series_2", "third line")                                                          \
    X(SERIES_3, "series_3", "fourth line")                                                         \
    X(SERIES_4, "series_4", "fifth line")                                                          \
    X(SERIES_5, "series_5", "sixth line")                                                          \
    X(HEAT_0, "heat_0", "sequential ramp, lowest")                                                 \
    X(HEAT_1, "heat_1", "sequential ramp")                                                         \
    X(HEAT_2, "heat_2", "sequential ramp")                                                         \
    X(HEAT_3, "heat_3", "sequential ramp")                                                         \
    X(HEAT_4, "heat_4", "sequential ramp")                                                         \
    X(HEAT_5, "heat_5", "sequential ramp")                                                         \
    X(HEAT_6, "heat_6", "sequential ramp")                                                         \
    X(HEAT_7, "heat_7", "sequential ramp")                                                         \
    X(HEAT_8, "heat_8", "sequential ramp")                                                         \
    X(HEAT_9, "heat_9", "sequential ramp, highest")                                                \
    X(DIV_0, "div_0", "diverging ramp, most negative")                                             \
    X(DIV_1, "div_1", "diverging ramp")                                                            \
    X(DIV_2, "div_2", "diverging ramp")                                                            \
    X(DIV_3, "div_3", "diverging ramp")                                                            \
    X(DIV_4, "div_4", "diverging ramp, least negative")                                            \
    X(DIV_5, "div_5", "diverging ramp, about zero")                                                \
    X(DIV_6, "div_6", "diverging ramp, least positive")                                            \
    X(DIV_7, "div_7", "diverging ramp")                                                            \
    X(DIV_8, "div_8", "diverging ramp")                                                            \
    X(DIV_9, "div_9", "diverging ramp")                                                            \
    X(DIV_10, "div_10", "diverging ramp, most positive")

enum sx_style {
#define SX_STYLE_ENUM(id, name, help) SX_STYLE_##id,
    SX_STYLES(SX_STYLE_ENUM)
#undef SX_STYLE_ENUM
        SX_STYLE_COUNT
};

enum { SX_HEAT_LEVELS = 10, SX_DIV_LEVELS = 11, SX_SERIES_STYLES = 6 };

const char *sx_style_name(enum sx_style style);
const char *sx_style_help(enum sx_style style);
bool sx_style_parse(const char *name, enum sx_style *out);

#endif
