/* What the screens of circuits share: bars with a middle, numbers over their colour. */
#ifndef SEXTANT_CIRCUIT_PARTS_H
#define SEXTANT_CIRCUIT_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/tui/table.h"

/* A bar of `width` columns from the middle to the right, or to the left where part (-1 … 1) is
 * negative; nothing where it is next to nothing. */
void sx_bar_text(char *out, size_t size, double part, int width, bool ascii);
/* As sx_signed_text, but "0" for what two decimals would show as +.00 ("·" is zero itself). */
const char *sx_rounded_text(char *buf, size_t size, double value, int width, bool ascii);
/* A number with its sign over its colour on a scale of ±end, as wide as the column. */
void sx_cell_heat(struct sx_table_cell *cell, double value, double end, int width, bool ascii);

#endif
