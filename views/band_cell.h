/* One cell of the bands screen in full: norms and angles in A and B, the parts of the change, the
 * head as a whole, and the pinned cell. */
#ifndef SEXTANT_BAND_CELL_H
#define SEXTANT_BAND_CELL_H

#include "band_table.h"
#include "sextant/tui/canvas.h"

enum { SX_BAND_CELL_WIDE = 78 }; /* columns from which on its parts stand beside each other */

void sx_band_cell_draw(struct sx_canvas *cv, const struct sx_band_table *t, size_t band);

#endif
