/* A ring of the last messages. Any thread may write; the log view and `--verbose` read. Nothing
 * here prints. */
#ifndef SEXTANT_BASE_LOG_H
#define SEXTANT_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"

enum sx_log_level { SX_LOG_DEBUG, SX_LOG_INFO, SX_LOG_WARN, SX_LOG_ERROR };

struct sx_log_entry {
    uint64_t serial; /* 1, 2, 3, … over the life of the program */
    double time;     /* seconds since the program started, monotonic */
    enum sx_log_level level;
    char text[240]; /* sanitised, one line */
};

enum { SX_LOG_CAPACITY = 1024 };

void sx_log(enum sx_log_level level, const char *fmt, ...) SX_PRINTF(2, 3);

/* Copy up to `max` newest entries, oldest first; returns how many. */
size_t sx_log_read(struct sx_log_entry *out, size_t max);

/* Serial of the newest entry (0: none): cheap test for "anything new?". */
uint64_t sx_log_serial(void);

/* Seconds since the program started, monotonic. */
double sx_clock(void);

#endif
