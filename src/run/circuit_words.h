/* Words that the commands about circuits share: targets, the sequence on a command line, which
 * token is read when none is named. Private to run. */
#ifndef SEXTANT_RUN_CIRCUIT_WORDS_H
#define SEXTANT_RUN_CIRCUIT_WORDS_H

#include "pass_job.h"
#include "sextant/base/str.h"
#include "sextant/base/task.h"
#include "sextant/base/value.h"
#include "sextant/model/forward.h"

/* A token: its name or text, or #ID. SX_ERR_USAGE names the option. */
enum sx_status sx_read_token(const struct sx_model *model, const char *command, const char *option,
                             const char *text, int32_t *id, struct sx_error *err) SX_MUST_CHECK;
/* --against: a token, or "mean" or "none" (SX_AGAINST_MEAN, SX_AGAINST_NONE); NULL: none. */
enum sx_status sx_read_against(const struct sx_model *model, const char *command, const char *text,
                               int32_t *against, struct sx_error *err) SX_MUST_CHECK;
/* A word that sx_read_token reads back as this id. */
void sx_token_word(const struct sx_model *model, int32_t id, char *buf, size_t size);
/* The same for --against; "" for none. */
void sx_against_word(const struct sx_model *model, int32_t against, char *buf, size_t size);

/* The token whose logit is followed when nobody says: methionine; GPT-NeoX: the one that follows
 * `token`, and at the end of the text the most probable one (a pass). */
enum sx_status sx_default_target(struct sx_runner *runner, const int32_t *ids, size_t n,
                                 size_t token, int32_t *target, struct sx_task *task,
                                 struct sx_error *err) SX_MUST_CHECK;
/* The token that is read when nobody says: the first mask, GPT-NeoX: the last. SX_ERR_USAGE: no
 * mask; it tells `option`. */
enum sx_status sx_default_query(const struct sx_model *model, const char *command,
                                const char *option, const int32_t *ids, size_t n, size_t *token,
                                struct sx_error *err) SX_MUST_CHECK;

/* " --seq M<mask>TV" where that gives these ids, else " --ids 0,20,…". */
void sx_ids_words(const struct sx_model *model, const int32_t *ids, size_t n, struct sx_str *line);

/* For prepare: in->target and in->against of the command's --target and --against, else of the
 * settings; -1: sx_default_target. */
enum sx_status sx_pass_job_targets(const struct sx_session *session, const struct sx_job *job,
                                   struct sx_pass_job *in, struct sx_error *err) SX_MUST_CHECK;

#endif
