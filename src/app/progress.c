/* Progress on standard error while the main thread works. */
#include "output.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/tui/widgets.h"

struct sx_progress {
    const char *name;
    const struct sx_task *task;
    bool bar, verbose;
    bool drawn; /* there is a line to wipe */
    uint64_t logged;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
};

static void wipe(struct sx_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}

static void show_log(struct sx_progress *progress)
{
    static struct sx_log_entry entry[SX_LOG_CAPACITY];
    size_t n;

    if (!progress->verbose || sx_log_serial() == progress->logged)
        return;
    n = sx_log_read(entry, SX_LOG_CAPACITY);
    wipe(progress);
    for (size_t i = 0; i < n; i++) {
        if (entry[i].serial > progress->logged)
            fprintf(stderr, "%8.2f  %s\n", entry[i].time, entry[i].text);
    }
    if (n)
        progress->logged = entry[n - 1].serial;
}

static void show_bar(struct sx_progress *progress)
{
    double eta = -1;
    const double fraction = sx_task_progress(progress->task, &eta);
    char left[24];

    if (!progress->bar || fraction < 0)
        return;
    wipe(progress);
    fprintf(stderr, "%s %3.0f%%", progress->name, 100 * fraction);
    if (eta >= 0)
        fprintf(stderr, "  %s left", sx_duration(left, sizeof left, eta));
    fflush(stderr);
    progress->drawn = true;
}

/* Five times a second: quick enough to look alive, slow enough for a thin line. */
static struct timespec next_look(void)
{
    enum { INTERVAL_NS = 200000000, SECOND_NS = 1000000000 };
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += INTERVAL_NS;
    if (t.tv_nsec >= SECOND_NS) {
        t.tv_nsec -= SECOND_NS;
        t.tv_sec++;
    }
    return t;
}

static void *watch(void *arg)
{
    struct sx_progress *progress = arg;

    pthread_mutex_lock(&progress->lock);
    while (!progress->stopping) {
        const struct timespec until = next_look();
        pthread_cond_timedwait(&progress->stop, &progress->lock, &until);
        if (progress->stopping)
            break;
        show_log(progress);
        show_bar(progress);
    }
    pthread_mutex_unlock(&progress->lock);
    return NULL;
}

struct sx_progress *sx_progress_start(const char *name, const struct sx_task *task, bool verbose)
{
    const char *term = getenv("TERM");
    const bool bar = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    struct sx_progress *progress;
    pthread_condattr_t attr;

    if (!bar && !verbose)
        return NULL;
    progress = sx_xcalloc(1, sizeof *progress);
    progress->name = name;
    progress->task = task;
    progress->bar = bar;
    progress->verbose = verbose;
    pthread_mutex_init(&progress->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&progress->stop, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&progress->thread, NULL, watch, progress) != 0) {
        pthread_cond_destroy(&progress->stop);
        pthread_mutex_destroy(&progress->lock);
        sx_free(progress);
        return NULL;
    }
    return progress;
}

void sx_progress_stop(struct sx_progress *progress)
{
    if (!progress)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->stopping = true;
    pthread_cond_signal(&progress->stop);
    pthread_mutex_unlock(&progress->lock);
    pthread_join(progress->thread, NULL);
    show_log(progress);
    wipe(progress);
    fflush(stderr);
    pthread_cond_destroy(&progress->stop);
    pthread_mutex_destroy(&progress->lock);
    sx_free(progress);
}
