/* Failing each tensor-sized allocation of a piece of work once. */
#ifndef SEXTANT_TESTS_MEMORY_RUNS_OUT_H
#define SEXTANT_TESTS_MEMORY_RUNS_OUT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sextant/base/status.h"

/* Of the leak sanitizer, where the program has it. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* Calls `work` in children: in the n-th its n-th sx_alloc_big fails, until one gets through. Every
 * other must answer SX_ERR_NOMEM with a message. `work` releases what it makes. How many failed. */
static inline int memory_runs_out(enum sx_status (*work)(const void *with, struct sx_error *err),
                                  const void *with)
{
    /* Sanitizers end a process with 1. */
    enum { MOST = 2000, WELL = 40, ANSWERED, SILENT, OTHER, LEAKS };
    for (int n = 1; n < MOST; n++) {
        const pid_t child = fork();
        cr_assert(child >= 0);
        if (child == 0) {
            char number[16];
            struct sx_error err = {0};
            (void)snprintf(number, sizeof number, "%d", n);
            (void)setenv("SX_FAIL_ALLOC", number, 1);
            const enum sx_status status = work(with, &err);
            if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
                _exit(LEAKS);
            _exit(status == SX_OK          ? WELL
                  : status != SX_ERR_NOMEM ? OTHER
                  : *err.message           ? ANSWERED
                                           : SILENT);
        }
        int how = 0;
        cr_assert_eq(waitpid(child, &how, 0), child);
        const int code = WIFEXITED(how) ? WEXITSTATUS(how) : -1;
        if (code == WELL)
            return n - 1;
        cr_assert(code == ANSWERED, "allocation %d: %s", n,
                  code == SILENT  ? "no message"
                  : code == OTHER ? "another status"
                  : code == LEAKS ? "a leak"
                                  : "the process ended");
    }
    cr_assert(false, "no end after %d allocations", MOST);
    return MOST;
}

#endif
