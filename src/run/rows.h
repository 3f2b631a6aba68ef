/* The features table: what is known of each latent of the anchor seed, and the order after sort and
 * filter. Private to src/run; the UI thread only. */
#ifndef SEXTANT_RUN_ROWS_H
#define SEXTANT_RUN_ROWS_H

#include "sextant/run/search.h"
#include "sextant/run/session.h"

/* FAMILY must be READY and the anchor seed a member. */
void sx_row_describe(const struct sx_session *session, uint32_t latent, struct sx_filter_row *row);

#endif
