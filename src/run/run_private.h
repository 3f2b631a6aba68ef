#ifndef SEXTANT_RUN_RUN_PRIVATE_H
#define SEXTANT_RUN_RUN_PRIVATE_H

#include "sextant/run/run.h"

/* The engine around a session; for the command that talks to the engine itself (cancel). */
struct sx_run *sx_run_of(struct sx_session *session);

struct sx_runner;
/* The runner of the compute lane, kept from one job to the next; NULL at first. Only jobs of that
 * lane touch what the pointer points to. */
struct sx_runner **sx_run_runner(struct sx_session *session);

/* What a command was asked for is not wanted any more: its job is cancelled, and what it still
 * brings is dropped in silence. */
void sx_run_drop(struct sx_session *session, const char *command);

#endif
