#include "mapping.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The handler looks through a table, because it cannot take a lock. */
enum { MAX_GUARDS = 1024 };

struct guard {
    atomic_uintptr_t begin; /* 0: free */
    atomic_uintptr_t end;
    atomic_bool cut;
};

static struct guard guards[MAX_GUARDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous; /* who else wants SIGBUS */
static volatile sig_atomic_t passed_on;
static uintptr_t page_size;

/* mmap is a plain system call here, so a handler may make it. */
static bool replace_page(uintptr_t page)
{
    void *at = (void *)page;
    if (mmap(at, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED)
        return false;
    memset(at, 0xff, page_size);
    return true;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
    const bool default_action =
        passed_on || (!(previous.sa_flags & SA_SIGINFO) &&
                      (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN));
    passed_on = 1;
    if (default_action) {
        signal(sig, SIG_DFL);
        raise(sig); /* taken when the handler returns */
    } else if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(sig, info, context);
    } else {
        previous.sa_handler(sig);
    }
}

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
    const int saved = errno;
    const uintptr_t at = (uintptr_t)info->si_addr;
    bool mended = false;
    for (size_t i = 0; i < MAX_GUARDS && !mended; i++) {
        struct guard *g = &guards[i];
        const uintptr_t begin = atomic_load(&g->begin);
        if (begin && at >= begin && at < atomic_load(&g->end)) {
            mended = replace_page(at & ~(page_size - 1));
            atomic_store(&g->cut, true);
        }
    }
    if (!mended)
        pass_on(sig, info, context);
    errno = saved;
}

/* At every opening, because a terminal may have put its own handler there since. */
static void install_handler(void)
{
    struct sigaction now;
    struct sigaction mine = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&mine.sa_mask);
    sigaction(SIGBUS, NULL, &now);
    if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_bus_error)
        return;
    page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    previous = now;
    sigaction(SIGBUS, &mine, NULL);
}

bool sx_mapping_open(struct sx_mapping *m, int fd, size_t size)
{
    *m = (struct sx_mapping){0};
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < MAX_GUARDS && atomic_load(&guards[i].begin))
        i++;
    void *bytes = i < MAX_GUARDS ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (bytes != MAP_FAILED) {
        install_handler();
        atomic_store(&guards[i].cut, false);
        atomic_store(&guards[i].end, (uintptr_t)bytes + size);
        atomic_store(&guards[i].begin, (uintptr_t)bytes);
        *m = (struct sx_mapping){.bytes = bytes, .size = size, .guard = i};
    }
    pthread_mutex_unlock(&lock);
    return m->bytes != NULL;
}

void sx_mapping_close(struct sx_mapping *m)
{
    if (!m->bytes)
        return;
    pthread_mutex_lock(&lock);
    atomic_store(&guards[m->guard].begin, 0);
    munmap(m->bytes, m->size);
    pthread_mutex_unlock(&lock);
    *m = (struct sx_mapping){0};
}

bool sx_mapping_was_cut(const struct sx_mapping *m)
{
    return m->bytes && atomic_load(&guards[m->guard].cut);
}
