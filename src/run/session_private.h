/* How the session changes. Called on the UI thread only, from apply and prepare. */
#ifndef SEXTANT_RUN_SESSION_PRIVATE_H
#define SEXTANT_RUN_SESSION_PRIVATE_H

#include "sextant/run/session.h"

enum { SX_SURVIVAL_POINTS = 101 }; /* tau = 0, .01, … 1 */

void sx_session_init(struct sx_session *session);
void sx_session_release(struct sx_session *session);

static inline void sx_session_touch(struct sx_session *session, enum sx_slot slot)
{
    session->revision[slot]++;
}

void sx_session_message(struct sx_session *session, enum sx_status status, const char *fmt, ...)
    SX_PRINTF(3, 4);

/* Back to EMPTY, counting the revision up when there was anything. */
void sx_session_empty_family(struct sx_session *session);
void sx_session_empty_match(struct sx_session *session);
void sx_session_empty_rows(struct sx_session *session); /* the order only; the wish stays */
void sx_session_empty_card(struct sx_session *session);
void sx_session_empty_gallery(struct sx_session *session);
void sx_session_empty_curves(struct sx_session *session);
void sx_session_clear_marks(struct sx_session *session);

/* Contents alone; used for results that never reached the session as well. */
void sx_family_data_release(struct sx_family_data *data);
void sx_match_data_release(struct sx_match_data *data);
void sx_card_release(struct sx_card *card);
void sx_gallery_release(struct sx_gallery *gallery);
void sx_curves_release(struct sx_curves *curves);

/* A job failed or was cancelled: what its slot shows. */
void sx_slot_fail(enum sx_slot_state *state, struct sx_error *slot_error, enum sx_status status,
                  const struct sx_error *error);

/* Follow-ups of a change of settings, marks, match or family, on the UI thread: fractions and
 * categories at the present tau and counter, the job for another alive cut, and the order of the
 * features table. */
void sx_session_update_summary(struct sx_session *session);
void sx_session_follow_alive(struct sx_session *session);
void sx_session_update_rows(struct sx_session *session);

#endif
