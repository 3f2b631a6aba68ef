#include "sextant/base/task.h"

#include <stddef.h>

#include "sextant/base/log.h"

void sx_task_init(struct sx_task *task)
{
    atomic_init(&task->cancelled, false);
    atomic_init(&task->done, 0);
    atomic_init(&task->total, 0);
    atomic_init(&task->next, 0);
    atomic_init(&task->part, 0);
    task->started = sx_clock();
}

void sx_task_cancel(struct sx_task *task)
{
    atomic_store_explicit(&task->cancelled, true, memory_order_relaxed);
}

bool sx_task_is_cancelled(const struct sx_task *task)
{
    return task && atomic_load_explicit(&task->cancelled, memory_order_relaxed);
}

enum sx_status sx_task_step_to(struct sx_task *task, uint64_t done, uint64_t total, uint64_t next)
{
    if (!task)
        return SX_OK;
    atomic_store_explicit(&task->part, 0, memory_order_relaxed);
    atomic_store_explicit(&task->next, next, memory_order_relaxed);
    atomic_store_explicit(&task->done, done, memory_order_relaxed);
    atomic_store_explicit(&task->total, total, memory_order_relaxed);
    return sx_task_is_cancelled(task) ? SX_CANCELLED : SX_OK;
}

enum sx_status sx_task_step(struct sx_task *task, uint64_t done, uint64_t total)
{
    return sx_task_step_to(task, done, total, 0);
}

void sx_task_part(struct sx_task *task, double fraction)
{
    if (task)
        atomic_store_explicit(&task->part, fraction, memory_order_relaxed);
}

double sx_task_progress(const struct sx_task *task, double *eta_s)
{
    double done = (double)atomic_load_explicit(&task->done, memory_order_relaxed);
    double total = (double)atomic_load_explicit(&task->total, memory_order_relaxed);
    double next = (double)atomic_load_explicit(&task->next, memory_order_relaxed);
    if (eta_s)
        *eta_s = -1;
    if (total <= 0)
        return -1;
    if (next > done)
        done += (next - done) * atomic_load_explicit(&task->part, memory_order_relaxed);
    double fraction = done < total ? done / total : 1.0;
    if (eta_s && done > 0)
        *eta_s = (sx_clock() - task->started) * (1 - fraction) / fraction;
    return fraction;
}
