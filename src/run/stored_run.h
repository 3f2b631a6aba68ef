/* A *.run.h5 in the place of a model: what the explorer's screens show of it, read back without the
 * weights. Every function opens the file anew, so that a job needs no more than the struct; errors
 * name file and dataset. Arrays that `run` kept a part of (--layers, --heads, --tokens, --keys) are
 * NAN elsewhere. Private to run. */
#ifndef SEXTANT_RUN_STORED_RUN_H
#define SEXTANT_RUN_STORED_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "answer.h"
#include "sextant/base/task.h"
#include "sextant/run/session.h"

struct sx_stored_run {
    char *path; /* owned */
    enum sx_model_family family;
    size_t record, n_records; /* from 1 */
    size_t n, n_layers, n_heads, vocab;
    const struct sx_answer_kind *answer; /* NULL: a run, which holds activations */
};

/* What a run's attributes (`sx_run_describe`) say of its model. SX_ERR_FORMAT: a key is missing or
 * out of all bounds; SX_ERR_NOTFOUND: the file is the answer of a command that fills no screen. */
enum sx_status sx_stored_model(const char *path, const struct sx_value *run,
                               struct sx_model_info *info, struct sx_error *err) SX_MUST_CHECK;
/* Sequence `record`, from 1, of the file: READY, with `run` set; serial and model are the caller's.
 * *answer: what else it holds, for sx_answer_read; NULL: activations. An answer of the model alone
 * has no tokens. */
enum sx_status sx_stored_input(const char *path, size_t record, size_t max_tokens,
                               struct sx_input *out, const struct sx_answer_kind **answer,
                               struct sx_error *err) SX_MUST_CHECK;

/* The run that a READY input is of; owned. */
struct sx_stored_run *sx_stored_run_of(const struct sx_input *input);
void sx_stored_run_free(struct sx_stored_run *run); /* NULL is fine */

/* Every row of logits [vocab] that the file has, with the token that it stands at. */
enum sx_status sx_stored_logits(const struct sx_stored_run *run,
                                void (*visit)(void *context, size_t token, const float *logits),
                                void *context, struct sx_task *task,
                                struct sx_error *err) SX_MUST_CHECK;
/* Labels of all tokens of the vocabulary, owned; NULL when the file has none. */
enum sx_status sx_stored_labels(const struct sx_stored_run *run, struct sx_token_text **out,
                                struct sx_error *err) SX_MUST_CHECK;
/* Attention of one query, [layers, heads, n]. */
enum sx_status sx_stored_attention(const struct sx_stored_run *run, size_t query, float *out,
                                   struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;
/* Attention of one head, [n, n]. */
enum sx_status sx_stored_map(const struct sx_stored_run *run, size_t layer, size_t head, float *out,
                             struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;

#endif
