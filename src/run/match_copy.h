/* A copy of a matching, so that a job may work on it while the session shows the old one. Private
 * to src/run. */
#ifndef SEXTANT_RUN_MATCH_COPY_H
#define SEXTANT_RUN_MATCH_COPY_H

#include "sextant/sae/match_types.h"

/* `alive`: with the alive pairs, if there are any. Free with sx_match_set_free. */
struct sx_match_set *sx_match_copy(const struct sx_match_set *set, bool alive);

#endif
