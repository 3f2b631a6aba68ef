/* Worker lanes. A job is handed over with sx_jobs_push, belongs to the lanes until it comes back
 * from sx_jobs_take_done, and comes back exactly once: done, failed or cancelled, also at shutdown.
 *
 * Safety: every function but the workers' own is called on the UI thread. One mutex guards queues,
 * done list, lines and the running pointers; no job runs under it. A running job's fields belong to
 * its worker, but for task.cancelled and the task's counters, which are atomic. */
#ifndef SEXTANT_RUN_JOBS_H
#define SEXTANT_RUN_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "sextant/run/command.h"

struct sx_job_node {
    struct sx_job job;
    struct sx_job_node *next;
    double ended; /* sx_clock(), valid once done */
};

struct sx_jobs;

struct sx_jobs *sx_jobs_new(void);
/* Cancels everything, waits for the workers, frees what never came back. */
void sx_jobs_free(struct sx_jobs *jobs);

void sx_jobs_push(struct sx_jobs *jobs, struct sx_job_node *take_node);
/* Oldest first, or NULL. Drains the wake pipe. */
struct sx_job_node *sx_jobs_take_done(struct sx_jobs *jobs);

/* What running jobs of commands with `partial` emitted, oldest first, or NULL; the caller frees
 * line and structure (sx_job_line_free). All lines of a job are here before the job is done. */
struct sx_job_line {
    uint64_t job;
    struct sx_value *line;
    struct sx_job_line *next;
};
struct sx_job_line *sx_jobs_take_line(struct sx_jobs *jobs);
void sx_job_line_free(struct sx_job_line *line);
int sx_jobs_wake_fd(const struct sx_jobs *jobs);

/* Queued ones come back at once as SX_CANCELLED; a running one is asked to stop. id 0: all. */
void sx_jobs_cancel(struct sx_jobs *jobs, uint64_t id);

struct sx_job_progress {
    double started;  /* sx_clock() when the work began; 0: still queued */
    double fraction; /* -1: not known */
    double eta_s;    /* -1: not known */
};
/* False when the job is neither queued nor running. */
bool sx_jobs_progress(struct sx_jobs *jobs, uint64_t id, struct sx_job_progress *progress);

#endif
