/* The gang under ThreadSanitizer: members hand rows to each other over barriers while another
 * thread reads progress and cancels. A plain program: exit status 0 is success. */
#include <pthread.h>
#include <stdio.h>

#include "sextant/base/task.h"
#include "sextant/core/gang.h"

enum { ITEMS = 64, ROUNDS = 500 };

struct work {
    struct sx_task task;
    long values[2][ITEMS];
};

static void exchange(void *arg, struct sx_gang *gang, int member)
{
    struct work *w = arg;
    size_t a, b;
    sx_gang_share(gang, member, ITEMS, &a, &b);
    for (size_t i = a; i < b; i++)
        w->values[0][i] += 1;
    sx_gang_barrier(gang);
    for (size_t i = a; i < b; i++)
        w->values[1][i] = w->values[0][ITEMS - 1 - i];
}

static void *watch(void *arg)
{
    struct work *w = arg;
    while (sx_task_progress(&w->task, NULL) < 1) {
    }
    sx_task_cancel(&w->task);
    return NULL;
}

int main(void)
{
    static struct work w;
    pthread_t watcher;
    sx_task_init(&w.task);
    if (pthread_create(&watcher, NULL, watch, &w) != 0)
        return 1;
    struct sx_gang *gang = sx_gang_new(4);
    for (unsigned r = 1; r <= ROUNDS; r++) {
        sx_gang_run(gang, exchange, &w);
        if (w.values[1][0] != (long)r || sx_task_step(&w.task, r, ROUNDS) == SX_CANCELLED) {
            if (r < ROUNDS)
                return 1;
        }
    }
    sx_gang_free(gang);
    pthread_join(watcher, NULL);
    puts("ok");
    return 0;
}
