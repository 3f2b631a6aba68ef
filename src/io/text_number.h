/* Numbers as text, the same in every locale. Private to io. */
#ifndef SEXTANT_IO_TEXT_NUMBER_H
#define SEXTANT_IO_TEXT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

enum { SX_NUMBER_SIZE = 40 };

/* A finite real with 9 digits, or 17 where 9 would lose; always with a point or an exponent, so
 * that it reads back as a real. Returns `out`. */
const char *sx_format_real(double d, char out[SX_NUMBER_SIZE]);

/* Decimal text like 1, .5, 1e-5 to a double; false when anything else is in it. */
bool sx_parse_real(const char *s, size_t len, double *out);

#endif
