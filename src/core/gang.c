#include "sextant/core/gang.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/status.h"

/* About 50 microseconds of waiting awake: longer than the imbalance between two members, shorter
 * than what a sleeping one loses. */
enum { SPINS = 2000 };

struct sx_gang {
    int size;
    pthread_t threads[SX_GANG_MAX];
    struct member {
        struct sx_gang *gang;
        int number;
    } members[SX_GANG_MAX];
    sx_gang_fn fn; /* NULL: members end */
    void *arg;
    atomic_uint arrived;    /* at the present barrier */
    atomic_uint generation; /* barriers passed */
    pthread_mutex_t lock;   /* for those who gave up spinning */
    pthread_cond_t passed;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void open_barrier(struct sx_gang *gang)
{
    atomic_store_explicit(&gang->arrived, 0, memory_order_relaxed);
    pthread_mutex_lock(&gang->lock);
    atomic_fetch_add_explicit(&gang->generation, 1, memory_order_release);
    pthread_cond_broadcast(&gang->passed);
    pthread_mutex_unlock(&gang->lock);
}

static bool still(struct sx_gang *gang, unsigned generation)
{
    return atomic_load_explicit(&gang->generation, memory_order_acquire) == generation;
}

void sx_gang_barrier(struct sx_gang *gang)
{
    unsigned generation = atomic_load_explicit(&gang->generation, memory_order_relaxed);
    unsigned before = atomic_fetch_add_explicit(&gang->arrived, 1, memory_order_acq_rel);
    if (before + 1 == (unsigned)gang->size) {
        open_barrier(gang);
        return;
    }
    for (int i = 0; i < SPINS && still(gang, generation); i++)
        relax();
    if (!still(gang, generation))
        return;
    pthread_mutex_lock(&gang->lock);
    while (still(gang, generation))
        pthread_cond_wait(&gang->passed, &gang->lock);
    pthread_mutex_unlock(&gang->lock);
}

static void *member_main(void *arg)
{
    struct member *me = arg;
    for (;;) {
        sx_gang_barrier(me->gang);
        if (!me->gang->fn)
            return NULL;
        me->gang->fn(me->gang->arg, me->gang, me->number);
        sx_gang_barrier(me->gang);
    }
}

void sx_gang_run(struct sx_gang *gang, sx_gang_fn fn, void *arg)
{
    SX_ASSERT(fn);
    gang->fn = fn;
    gang->arg = arg;
    sx_gang_barrier(gang);
    fn(arg, gang, 0);
    sx_gang_barrier(gang);
}

static int wanted(int threads)
{
    long n = threads > 0 ? threads : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > SX_GANG_MAX ? SX_GANG_MAX : (int)n;
}

/* The first barrier needs the final size, so members wait for the lock until all are counted. */
static void *member_start(void *arg)
{
    struct member *me = arg;
    pthread_mutex_lock(&me->gang->lock);
    pthread_mutex_unlock(&me->gang->lock);
    return member_main(me);
}

struct sx_gang *sx_gang_new(int threads)
{
    struct sx_gang *gang = sx_xcalloc(1, sizeof *gang);
    pthread_mutex_init(&gang->lock, NULL);
    pthread_cond_init(&gang->passed, NULL);
    pthread_mutex_lock(&gang->lock);
    int n = wanted(threads);
    gang->size = 1;
    while (gang->size < n) {
        struct member *me = &gang->members[gang->size];
        *me = (struct member){gang, gang->size};
        if (pthread_create(&gang->threads[gang->size], NULL, member_start, me) != 0)
            break;
        gang->size++;
    }
    pthread_mutex_unlock(&gang->lock);
    return gang;
}

void sx_gang_free(struct sx_gang *gang)
{
    if (!gang)
        return;
    gang->fn = NULL;
    sx_gang_barrier(gang);
    for (int i = 1; i < gang->size; i++)
        pthread_join(gang->threads[i], NULL);
    pthread_cond_destroy(&gang->passed);
    pthread_mutex_destroy(&gang->lock);
    sx_free(gang);
}

int sx_gang_size(const struct sx_gang *gang)
{
    return gang->size;
}

void sx_gang_share(const struct sx_gang *gang, int member, size_t n, size_t *first, size_t *last)
{
    size_t size = (size_t)gang->size, m = (size_t)member;
    *first = n / size * m + n % size * m / size;
    *last = n / size * (m + 1) + n % size * (m + 1) / size;
}
