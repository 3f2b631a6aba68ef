/* What the screens of rotary bands share: periods, numbers with a sign, ends of scales, residuals.
 */
#ifndef SEXTANT_BAND_PARTS_H
#define SEXTANT_BAND_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/run/session.h"
#include "sextant/tui/canvas.h"

/* "6.3", "628", "20k"; "rest" for what is not rotated (infinite period). */
const char *sx_period_text(char *buf, size_t size, double period);
/* "band 3 (period 199 tokens)", "the rest, not rotated" */
const char *sx_band_text(char *buf, size_t size, size_t band, double period);
/* "+.12", "-1.94", "+12.3", "+104" in at most `width` columns with at most two decimals; "·" for
 * zero, "–" for NaN. */
const char *sx_signed_text(char *buf, size_t size, double value, int width, bool ascii);
/* The end of a scale that holds `most`: 1, 2 or 5 times a power of ten, so that it stays while the
 * cursor moves. */
double sx_scale_end(double most);
/* The letter of a residue, < and > around them, ? where a mask was typed. */
void sx_residue_text(char *buf, size_t size, const struct sx_input *input, size_t token);
/* "residual 3e-07", right-aligned; as a warning above 1e-4 of the largest term. */
void sx_put_residual(struct sx_canvas *cv, int x, int y, int width, double residual);

#endif
