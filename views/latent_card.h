/* The card of one latent: drawn beside the features and alone. Private to views/. */
#ifndef SEXTANT_LATENT_CARD_H
#define SEXTANT_LATENT_CARD_H

#include "sextant/run/session.h"
#include "sextant/tui/canvas.h"

/* Does the CARD slot hold, or is it on its way to hold, the selected latent? */
bool sx_card_asked(const struct sx_session *session);

/* The card of the selected latent on the whole canvas. What FAMILY and MATCH know stands at once,
 * the rest when CARD has come. `large`: encoder and decoder, images as large as they fit; otherwise
 * decoders alone and smaller, because a card that follows the cursor is sent whenever it rests. */
void sx_latent_card(struct sx_canvas *cv, const struct sx_session *session, bool large);

#endif
