/* Jobs of the explorer that run the selected transformer over the input: each takes a reference to
 * the model and a copy of the ids, so that the input may change meanwhile; what then comes back of
 * an older serial is dropped. Private to run. */
#ifndef SEXTANT_RUN_PASS_JOB_H
#define SEXTANT_RUN_PASS_JOB_H

#include "run_private.h"
#include "sextant/model/forward.h"
#include "sextant/run/command.h"
#include "stored_run.h"

struct sx_pass_job {
    uint64_t serial;
    struct sx_model *model;       /* owned reference; NULL: `stored` is set */
    struct sx_stored_run *stored; /* owned; only by sx_pass_job_take_any */
    struct sx_runner **runner;    /* the compute lane's */
    int32_t *ids, *original;      /* owned [n] */
    size_t n;
    size_t query;       /* attend, head-bands */
    size_t key;         /* composition */
    size_t layer, head; /* attention-map, head-bands, composition */
    int32_t target;     /* lens; -1: self. Circuits; -1: the default one */
    int32_t against;    /* attribution, composition */
    /* What else a command asks; owned, freed with the job. */
    void *question;
    void (*question_free)(void *question); /* NULL: there is none */
};

/* For prepare: fills job->input with the input as it is now. SX_ERR_USAGE when there is none,
 * SX_ERR_UNSUPPORTED when it is a stored run's, which has no weights. */
enum sx_status sx_pass_job_take(struct sx_session *session, struct sx_job *job,
                                struct sx_pass_job **out, struct sx_error *err) SX_MUST_CHECK;
/* The same for commands that can do with what a stored run holds. */
enum sx_status sx_pass_job_take_any(struct sx_session *session, struct sx_job *job,
                                    struct sx_pass_job **out, struct sx_error *err) SX_MUST_CHECK;
/* The runner of the model, with room for a pass over the input and `kept` bytes besides. */
enum sx_status sx_pass_job_runner(const struct sx_pass_job *in, uint64_t kept,
                                  struct sx_runner **runner, struct sx_error *err) SX_MUST_CHECK;
/* One pass over the input that keeps one point. */
enum sx_status sx_pass_job_capture(const struct sx_pass_job *in, const struct sx_capture *what,
                                   size_t until_layer, struct sx_task *task,
                                   struct sx_error *err) SX_MUST_CHECK;
/* For apply. Is the slot still waiting for this job? Then what came of it is told here when it
 * failed. */
bool sx_pass_job_arrives(struct sx_session *session, const struct sx_job *job, enum sx_slot slot,
                         enum sx_slot_state *state, struct sx_error *error);
enum sx_status sx_pass_job_no_memory(const struct sx_pass_job *in, struct sx_error *err);

/* An argument, or `fallback`; SX_ERR_USAGE when an index is not below its count. */
size_t sx_job_index(const struct sx_job *job, const char *name, size_t fallback);
enum sx_status sx_job_below(const struct sx_job *job, const char *what, size_t index, size_t count,
                            struct sx_error *err) SX_MUST_CHECK;

#endif
