#include "sextant/base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sextant/base/text.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sx_log_entry ring[SX_LOG_CAPACITY];
static uint64_t serial;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double start_time;

__attribute__((constructor)) static void note_start(void)
{
    start_time = now();
}

double sx_clock(void)
{
    return now() - start_time;
}

void sx_log(enum sx_log_level level, const char *fmt, ...)
{
    struct sx_log_entry entry = {.level = level, .time = sx_clock()};
    char raw[sizeof entry.text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    sx_text_clean(entry.text, sizeof entry.text, raw, strlen(raw));

    pthread_mutex_lock(&lock);
    entry.serial = ++serial;
    ring[entry.serial % SX_LOG_CAPACITY] = entry;
    pthread_mutex_unlock(&lock);
}

size_t sx_log_read(struct sx_log_entry *out, size_t max)
{
    pthread_mutex_lock(&lock);
    size_t have = serial < SX_LOG_CAPACITY ? (size_t)serial : SX_LOG_CAPACITY;
    size_t n = have < max ? have : max;
    for (size_t i = 0; i < n; i++)
        out[i] = ring[(serial - n + 1 + i) % SX_LOG_CAPACITY];
    pthread_mutex_unlock(&lock);
    return n;
}

uint64_t sx_log_serial(void)
{
    pthread_mutex_lock(&lock);
    uint64_t s = serial;
    pthread_mutex_unlock(&lock);
    return s;
}
