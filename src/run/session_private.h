/* How the session changes. Called on the UI thread only, from apply and prepare. */
#ifndef SEXTANT_RUN_SESSION_PRIVATE_H
#define SEXTANT_RUN_SESSION_PRIVATE_H

#include "sextant/run/session.h"

enum { SX_SURVIVAL_POINTS = 101 }; /* tau = 0, .01, … 1 */
/* Where the cursor starts in an input: behind <cls>; the first token of a prompt that is predicted.
 */
enum { SX_FIRST_TOKEN = 1 };

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
void sx_session_empty_nterm(struct sx_session *session);
void sx_session_clear_marks(struct sx_session *session);
/* The serial of the input is counted up by both, and what hangs on it (SEQUENCE, LENS, ATTENTION,
 * MAP, CONTACTS) is emptied; jobs on the old input are cancelled and their results dropped. The
 * first also forgets the opened model. */
void sx_session_empty_input(struct sx_session *session);
void sx_session_change_input(struct sx_session *session);
/* SX_ERR_UNSUPPORTED: `command` was asked of a stored run, which has no weights. */
enum sx_status sx_no_weights(const struct sx_input *input, const char *command,
                             struct sx_error *err) SX_MUST_CHECK;
/* The input is a stored answer: its data (sx_answer_read) fill their slot, cursors go there. */
struct sx_answer_kind;
void sx_session_show_answer(struct sx_session *session, const struct sx_answer_kind *kind,
                            void *take_data);

/* Contents alone; used for results that never reached the session as well. */
void sx_family_data_release(struct sx_family_data *data);
void sx_match_data_release(struct sx_match_data *data);
void sx_card_release(struct sx_card *card);
void sx_gallery_release(struct sx_gallery *gallery);
void sx_curves_release(struct sx_curves *curves);
void sx_input_release(struct sx_input *input); /* the serial stays */
void sx_sequence_release(struct sx_sequence_data *data);
void sx_lens_data_release(struct sx_lens_data *data);
void sx_attention_release(struct sx_attention_data *data);
void sx_map_release(struct sx_map_data *data);
void sx_contacts_release(struct sx_contacts_data *data);
void sx_bands_data_release(struct sx_bands_data *data);
void sx_band_means_release(struct sx_band_means_data *data);
void sx_head_data_release(struct sx_head_data *data);
void sx_attribution_data_release(struct sx_attribution_data *data);
void sx_composition_data_release(struct sx_composition_data *data);
void sx_patching_data_release(struct sx_patching_data *data);
void sx_nterm_data_release(struct sx_nterm_data *data);

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
