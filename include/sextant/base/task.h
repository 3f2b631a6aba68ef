/* What long work is given: a cancel flag that another thread may set and progress that another
 * thread may read. Long functions take `struct sx_task *task` (NULL: never cancelled, nobody looks)
 * and call sx_task_step at least every 0.1 s of work. */
#ifndef SEXTANT_BASE_TASK_H
#define SEXTANT_BASE_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sextant/base/status.h"

struct sx_task {
    atomic_bool cancelled;
    atomic_uint_fast64_t done;  /* units of work done */
    atomic_uint_fast64_t total; /* 0: not known */
    atomic_uint_fast64_t next;  /* done, when the step under way is through; 0: not said */
    _Atomic(double) part;       /* of that step, in [0,1] */
    double started;             /* sx_clock() when the work began */
};

void sx_task_init(struct sx_task *task);
void sx_task_cancel(struct sx_task *task); /* any thread, async-signal-safe */
bool sx_task_is_cancelled(const struct sx_task *task);

/* Say how far the work is. Returns SX_CANCELLED when asked to stop, else SX_OK. */
enum sx_status sx_task_step(struct sx_task *task, uint64_t done, uint64_t total) SX_MUST_CHECK;

/* The same, and the step that begins now ends at `next` units: those who do it may say with
 * sx_task_part how far they are in it. A plain sx_task_step lets nobody do so, so that long loops
 * over short passes are not disturbed by them. */
enum sx_status sx_task_step_to(struct sx_task *task, uint64_t done, uint64_t total,
                               uint64_t next) SX_MUST_CHECK;
/* How far the step is, in [0,1]. Any thread; NULL is fine. */
void sx_task_part(struct sx_task *task, double fraction);

/* Fraction done in [0,1], or -1 when not known; *eta_s: seconds left, or -1. */
double sx_task_progress(const struct sx_task *task, double *eta_s);

#endif
