/* What the screens of transformers share: the input and its slots, words for positions, the facts
 * of a model. */
#ifndef SEXTANT_MODEL_PARTS_H
#define SEXTANT_MODEL_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/model/types.h"
#include "sextant/run/session.h"
#include "sextant/tui/canvas.h"
#include "sextant/views/view.h"

const struct sx_entry *sx_selected_model(const struct sx_session *session); /* NULL: none */
/* READY and of the selected model. */
bool sx_input_ready(const struct sx_session *session);
/* The input is of residues: token t is residue t. */
bool sx_is_protein(const struct sx_session *session);
/* The selected token, inside the input. */
size_t sx_selected_token(const struct sx_session *session);
size_t sx_selected_key(const struct sx_session *session);

/* Ask for a model where none is selected, and for its input. True: the input is there. */
bool sx_need_input(const struct sx_session *session, struct sx_emit *emit);
/* The same for what a stored run cannot give: true only with a model. */
bool sx_need_weights(const struct sx_session *session, struct sx_emit *emit);
/* The input is a stored answer: its slots are there from the start, whatever the cursors say. */
bool sx_is_answer(const struct sx_session *session);
/* A slot of the input with this state and serial number: to be asked for; may be drawn. */
bool sx_slot_wanted(const struct sx_session *session, enum sx_slot_state state, uint64_t serial);
bool sx_slot_current(const struct sx_session *session, enum sx_slot_state state, uint64_t serial);

/* Requests that every screen of an input has: ask-input, ask-fasta, `made` (to the run behind it),
 * and `again` without an input. */
bool sx_input_request(const struct sx_session *session, const struct sx_view_request *request,
                      struct sx_emit *emit);

/* In place of a screen: no model, no input, a slot that is not there. True: drawn, nothing else
 * should be. */
bool sx_input_notice(struct sx_canvas *cv, const struct sx_session *session, const char *title);
/* kept: what the screen shows is there, so that a stored answer needs no weights. */
bool sx_weights_notice(struct sx_canvas *cv, const struct sx_session *session, const char *title,
                       bool kept);
bool sx_result_notice(struct sx_canvas *cv, const struct sx_session *session,
                      enum sx_slot_state state, uint64_t serial, const struct sx_error *error,
                      const char *pending);

/* Move the selected token, if it is another. */
void sx_select_token(const struct sx_session *session, size_t token, struct sx_emit *emit);
void sx_select_key(const struct sx_session *session, size_t key, struct sx_emit *emit);
/* "17": a token by its number (a residue's, in a protein). False: there is none, and the message
 * says so. */
bool sx_token_of_text(const struct sx_session *session, const char *text, size_t *token,
                      struct sx_emit *emit);

enum { SX_POSITION_TEXT = 48 };
/* "V17", "<cls>", "<mask>3" where it was typed; " the" 5. */
const char *sx_position_text(char buf[SX_POSITION_TEXT], const struct sx_session *session,
                             size_t token);
/* A token's text for one line: quoted where it is not a residue. */
const char *sx_quoted_token(char buf[SX_POSITION_TEXT], const struct sx_session *session,
                            const char *text);
/* A probability: ".412", "3.1e-05". */
const char *sx_probability_text(char *buf, size_t size, double p, bool ascii);

/* "esm2-mini ▸ ubiquitin ▸ lens" */
void sx_title_of_input(const struct sx_view *view, const struct sx_session *session,
                       struct sx_str *out);

/* {position, residue, token}: what every row about a token says first. */
void sx_row_token(struct sx_value *row, const struct sx_session *session, size_t token);

/* "6L 128d 8h" */
const char *sx_model_shape_text(char *buf, size_t size, const struct sx_model_info *info);
/* "1.2 M" */
const char *sx_count_text(char *buf, size_t size, uint64_t n);
/* Label and value, line by line from row y on; returns the row behind them. */
int sx_draw_model_facts(struct sx_canvas *cv, int y, const struct sx_model_info *info);

/* A text from a file, sanitised; "" for none. */
const char *sx_clean_value(char *buf, size_t size, const struct sx_value *text);
/* What a *.run.h5 says of itself: by what line it was made, of which model, and its arrays. */
void sx_draw_run(struct sx_canvas *cv, const struct sx_value *run);

#endif
