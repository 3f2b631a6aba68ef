#ifndef SEXTANT_RUN_RUN_PRIVATE_H
#define SEXTANT_RUN_RUN_PRIVATE_H

#include "sextant/run/run.h"

/* The engine around a session; for the command that talks to the engine itself (cancel). */
struct sx_run *sx_run_of(struct sx_session *session);

/* What a command was asked for is not wanted any more: its job is cancelled, and what it still
 * brings is dropped in silence. */
void sx_run_drop(struct sx_session *session, const char *command);

#endif
