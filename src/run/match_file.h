/* F.match.h5: /pairs/I/{partner_enc, partner_dec, sim_enc, sim_dec, margin, …} by latent of the
 * pair's first SAE. Private to src/run. */
#ifndef SEXTANT_RUN_MATCH_FILE_H
#define SEXTANT_RUN_MATCH_FILE_H

#include "sextant/base/status.h"
#include "sextant/sae/match_types.h"

/* `alive`: /pairs holds the alive latents' matching and /all the other. The models' names are
 * written as the SAEs' paths. */
enum sx_status sx_match_write(const char *path, const struct sx_match_set *set, double tau,
                              bool alive, struct sx_error *err) SX_MUST_CHECK;

#endif
