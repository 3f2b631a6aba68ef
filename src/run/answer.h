/* What a command found, kept so that the explorer shows it again without the model: the arrays and
 * numbers of one slot (answer_fields.h) as a group of a *.run.h5, beside the model and the tokens
 * they are of, which stand as in a stored run. Private to run. */
#ifndef SEXTANT_RUN_ANSWER_H
#define SEXTANT_RUN_ANSWER_H

#include "answer_fields.h"
#include "sextant/io/h5.h"
#include "sextant/model/model.h"
#include "sextant/run/command.h"

struct sx_answer;

/* In `run` of a command with SX_CMD_RESULT: copies `data` (struct sx_*_data of the slot, borrowed)
 * into job->result, for sx_result_file_write. Does nothing when the job keeps no *.run.h5.
 * ids [n]: the tokens; NULL: the answer is of the model alone. */
enum sx_status sx_answer_keep(struct sx_job *job, struct sx_model *model, const int32_t *ids,
                              size_t n, enum sx_slot slot, const void *data,
                              struct sx_error *err) SX_MUST_CHECK;
/* The same for an answer that no slot shows: only the model is told. */
enum sx_status sx_answer_keep_model(struct sx_job *job, struct sx_model *model,
                                    struct sx_error *err) SX_MUST_CHECK;
/* The name of a label in a slot: a token as a reader wants it; "" for -1 and below. */
void sx_answer_label(const struct sx_model *model, int32_t id, char *buf, size_t size);

/* The model's attributes go into `about`, the arrays into the file. */
void sx_answer_about(const struct sx_answer *answer, struct sx_value *about);
enum sx_status sx_answer_write(const struct sx_answer *answer, struct sx_h5 *h5,
                               struct sx_error *err) SX_MUST_CHECK;

/* Which slot a file's attributes (`sx_run_describe`) speak of; NULL: none. */
const struct sx_answer_kind *sx_answer_kind_in(const struct sx_value *about);
/* The data of the slot, READY, of the READY input of the same file; release with kind->release and
 * sx_free. Errors name file, dataset, expected and found. */
enum sx_status sx_answer_read(const struct sx_answer_kind *kind, const struct sx_input *input,
                              void **data, struct sx_error *err) SX_MUST_CHECK;

#endif
