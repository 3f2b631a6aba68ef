/* One cell of the bands screen in full: norms and angles in A and B, the parts of the change, the
 * head as a whole, and the pinned cell. */
#ifndef SEXTANT_BAND_CELL_H
#define SEXTANT_BAND_CELL_H

#include "band_table.h"
#include "sextant/run/session.h"
#include "sextant/tui/canvas.h"

enum { SX_BAND_CELL_WIDE = 78 }; /* columns from which on its parts stand beside each other */

/* The means over proteins, as far as they are there, stand above the parts. */
void sx_band_cell_draw(struct sx_canvas *cv, const struct sx_band_table *t,
                       const struct sx_session *session, size_t band);
/* The head whose mean is told; SIZE_MAX: the cell's sum over all heads. */
size_t sx_band_mean_head(const struct sx_band_table *t, size_t band);
/* Are the session's means of what the table shows? */
bool sx_band_means_current(const struct sx_session *session);

#endif
