/* The looks of the default theme, by style and depth, in the notation of theme.h. Private. */
#ifndef SX_THEME_DEFAULT_H
#define SX_THEME_DEFAULT_H

#include "sextant/tui/style.h"

extern const char *const sx_theme_default_looks[SX_STYLE_COUNT][SX_DEPTH_COUNT];

#endif
