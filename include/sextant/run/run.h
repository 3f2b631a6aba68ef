/* The engine of the explorer: two worker lanes, a done list with a wake pipe, and the session. All
 * functions but the workers' own are called on the UI thread. */
#ifndef SEXTANT_RUN_RUN_H
#define SEXTANT_RUN_RUN_H

#include "sextant/base/status.h"
#include "sextant/run/command.h"
#include "sextant/run/session.h"

struct sx_run;

struct sx_run *sx_run_new(void);
void sx_run_free(struct sx_run *run); /* cancels, waits for the workers, frees */

const struct sx_session *sx_run_session(const struct sx_run *run);

/* Validate, take references, count the generation up, cancel what it supersedes, queue. Commands of
 * lane UI are applied at once. Takes ownership of args (checked or not). A usage error also becomes
 * the session's message. Returns the job's id in *id (0 for lane UI; id may be NULL). */
enum sx_status sx_run_submit(struct sx_run *run, const struct sx_command *command,
                             struct sx_value *take_args, uint64_t *id, struct sx_error *err);
/* The same from a line of text ("match --tau 0.8"). */
enum sx_status sx_run_submit_line(struct sx_run *run, const char *line, uint64_t *id,
                                  struct sx_error *err);

/* File descriptor that becomes readable when a job ended; -1 never. */
int sx_run_wake_fd(const struct sx_run *run);
/* Apply every finished job to the session, in order of completion; refresh job progress. Returns
 * true when any slot changed. Call when the wake fd is readable, and at most 10 times a second
 * while a job runs. */
bool sx_run_apply(struct sx_run *run);
bool sx_run_busy(const struct sx_run *run); /* any job queued or running */
void sx_run_cancel_all(struct sx_run *run); /* Esc */
void sx_run_cancel(struct sx_run *run, uint64_t id);
/* Block until both lanes are idle, applying results (scripts, tests, batch screens). */
void sx_run_wait_idle(struct sx_run *run);
/* Put a message on the last line. */
void sx_run_message(struct sx_run *run, enum sx_status status, const char *fmt, ...)
    SX_PRINTF(3, 4);

#endif
