#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"

enum { WORKERS = 2 };

struct worker {
    struct sx_jobs *jobs; /* borrowed */
    pthread_t thread;
    pthread_cond_t wake;
    struct sx_job_node *queue; /* owned, oldest first */
    struct sx_job_node *running;
};

struct sx_jobs {
    pthread_mutex_t lock;
    struct worker worker[WORKERS];
    struct sx_job_node *done;               /* owned, oldest first */
    struct sx_job_line *lines, **last_line; /* owned, oldest first; where the next one goes */
    bool stopping;
    int pipe[2];
};

static struct worker *worker_of(struct sx_jobs *jobs, enum sx_lane lane)
{
    SX_ASSERT(lane == SX_LANE_QUERY || lane == SX_LANE_COMPUTE);
    return &jobs->worker[lane == SX_LANE_COMPUTE];
}

static void append(struct sx_job_node **list, struct sx_job_node *node)
{
    while (*list)
        list = &(*list)->next;
    node->next = NULL;
    *list = node;
}

/* A full pipe is as good as one more byte: the reader is awake already. */
static void wake_reader(struct sx_jobs *jobs)
{
    ssize_t written;
    do
        written = write(jobs->pipe[1], "", 1);
    while (written < 0 && errno == EINTR);
}

/* Called with the lock held. */
static void finish(struct sx_jobs *jobs, struct sx_job_node *node)
{
    node->ended = sx_clock();
    append(&jobs->done, node);
    wake_reader(jobs);
}

/* Of a running job, on its worker: a copy goes to the UI thread. */
static void post_line(struct sx_job *job, const struct sx_value *line)
{
    struct sx_jobs *jobs = job->emit_context;
    struct sx_job_line *node = sx_xcalloc(1, sizeof *node);
    *node = (struct sx_job_line){.job = job->id, .line = sx_value_dup(line)};
    pthread_mutex_lock(&jobs->lock);
    *jobs->last_line = node;
    jobs->last_line = &node->next;
    wake_reader(jobs);
    pthread_mutex_unlock(&jobs->lock);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct sx_jobs *jobs = worker->jobs;
    pthread_mutex_lock(&jobs->lock);
    for (;;) {
        while (!worker->queue && !jobs->stopping)
            pthread_cond_wait(&worker->wake, &jobs->lock);
        if (!worker->queue)
            break;
        struct sx_job_node *node = worker->queue;
        worker->queue = node->next;
        worker->running = node;
        node->job.task.started = sx_clock();
        if (node->job.command->partial) {
            node->job.emit = post_line;
            node->job.emit_context = jobs;
        }
        pthread_mutex_unlock(&jobs->lock);

        enum sx_status status = sx_job_run(&node->job, NULL);
        (void)status; /* it is in the job */

        pthread_mutex_lock(&jobs->lock);
        worker->running = NULL;
        finish(jobs, node);
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

struct sx_jobs *sx_jobs_new(void)
{
    struct sx_jobs *jobs = sx_xcalloc(1, sizeof *jobs);
    jobs->last_line = &jobs->lines;
    pthread_mutex_init(&jobs->lock, NULL);
    SX_ASSERT(pipe(jobs->pipe) == 0);
    for (int i = 0; i < 2; i++) {
        fcntl(jobs->pipe[i], F_SETFL, O_NONBLOCK);
        fcntl(jobs->pipe[i], F_SETFD, FD_CLOEXEC);
    }
    /* Signals are for the UI thread: workers inherit a mask. It leaves out what a worker itself
     * causes: blocked, that would end the program without anybody's handler. */
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t others;
    sigset_t before;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&others, own[i]);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &jobs->worker[i];
        worker->jobs = jobs;
        pthread_cond_init(&worker->wake, NULL);
        SX_ASSERT(pthread_create(&worker->thread, NULL, work, worker) == 0);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return jobs;
}

static void free_list(struct sx_job_node *list)
{
    while (list) {
        struct sx_job_node *next = list->next;
        sx_job_release(&list->job);
        sx_free(list);
        list = next;
    }
}

void sx_jobs_free(struct sx_jobs *jobs)
{
    if (!jobs)
        return;
    sx_jobs_cancel(jobs, 0);
    pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    for (int i = 0; i < WORKERS; i++)
        pthread_cond_signal(&jobs->worker[i].wake);
    pthread_mutex_unlock(&jobs->lock);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(jobs->worker[i].thread, NULL);
        pthread_cond_destroy(&jobs->worker[i].wake);
    }
    free_list(jobs->done);
    for (struct sx_job_line *line; (line = sx_jobs_take_line(jobs));)
        sx_job_line_free(line);
    close(jobs->pipe[0]);
    close(jobs->pipe[1]);
    pthread_mutex_destroy(&jobs->lock);
    sx_free(jobs);
}

void sx_jobs_push(struct sx_jobs *jobs, struct sx_job_node *take_node)
{
    struct worker *worker = worker_of(jobs, take_node->job.command->lane);
    pthread_mutex_lock(&jobs->lock);
    append(&worker->queue, take_node);
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&jobs->lock);
}

struct sx_job_node *sx_jobs_take_done(struct sx_jobs *jobs)
{
    char drained[64];
    while (read(jobs->pipe[0], drained, sizeof drained) > 0)
        continue;
    pthread_mutex_lock(&jobs->lock);
    struct sx_job_node *node = jobs->done;
    if (node)
        jobs->done = node->next;
    pthread_mutex_unlock(&jobs->lock);
    if (node)
        node->next = NULL;
    return node;
}

struct sx_job_line *sx_jobs_take_line(struct sx_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    struct sx_job_line *line = jobs->lines;
    if (line)
        jobs->lines = line->next;
    if (!jobs->lines)
        jobs->last_line = &jobs->lines;
    pthread_mutex_unlock(&jobs->lock);
    return line;
}

void sx_job_line_free(struct sx_job_line *line)
{
    sx_value_free(line->line);
    sx_free(line);
}

int sx_jobs_wake_fd(const struct sx_jobs *jobs)
{
    return jobs->pipe[0];
}

static void cancel_queued(struct sx_jobs *jobs, struct sx_job_node **link, uint64_t id)
{
    while (*link) {
        struct sx_job_node *node = *link;
        if (id && node->job.id != id) {
            link = &node->next;
            continue;
        }
        *link = node->next;
        sx_task_cancel(&node->job.task);
        node->job.status = SX_CANCELLED;
        finish(jobs, node);
    }
}

void sx_jobs_cancel(struct sx_jobs *jobs, uint64_t id)
{
    pthread_mutex_lock(&jobs->lock);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &jobs->worker[i];
        if (worker->running && (!id || worker->running->job.id == id))
            sx_task_cancel(&worker->running->job.task);
        cancel_queued(jobs, &worker->queue, id);
    }
    pthread_mutex_unlock(&jobs->lock);
}

bool sx_jobs_progress(struct sx_jobs *jobs, uint64_t id, struct sx_job_progress *progress)
{
    *progress = (struct sx_job_progress){.fraction = -1, .eta_s = -1};
    bool found = false;
    pthread_mutex_lock(&jobs->lock);
    for (int i = 0; i < WORKERS && !found; i++) {
        struct worker *worker = &jobs->worker[i];
        if (worker->running && worker->running->job.id == id) {
            const struct sx_task *task = &worker->running->job.task;
            progress->started = task->started;
            progress->fraction = sx_task_progress(task, &progress->eta_s);
            found = true;
        }
        for (struct sx_job_node *node = worker->queue; node && !found; node = node->next)
            found = node->job.id == id;
    }
    pthread_mutex_unlock(&jobs->lock);
    return found;
}
