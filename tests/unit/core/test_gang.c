#include "sextant/core/gang.h"

#include <criterion/criterion.h>
#include <unistd.h>

enum { ITEMS = 1000 };

struct work {
    int calls[SX_GANG_MAX];
    long first[ITEMS]; /* written in the first half, by the member that owns it */
    long second[ITEMS];
};

/* The second half reads what other members wrote in the first. */
static void two_halves(void *arg, struct sx_gang *gang, int member)
{
    struct work *w = arg;
    size_t a, b;
    w->calls[member]++;
    sx_gang_share(gang, member, ITEMS, &a, &b);
    for (size_t i = a; i < b; i++)
        w->first[i] = (long)i;
    sx_gang_barrier(gang);
    for (size_t i = a; i < b; i++)
        w->second[i] = w->first[ITEMS - 1 - i];
}

Test(gang, every_member_runs_once_and_sees_the_others_work)
{
    for (int threads = 1; threads <= 5; threads++) {
        struct sx_gang *gang = sx_gang_new(threads);
        cr_assert_eq(sx_gang_size(gang), threads);
        struct work w = {0};
        for (int round = 1; round <= 200; round++) {
            memset(w.first, 0, sizeof w.first);
            sx_gang_run(gang, two_halves, &w);
            for (int i = 0; i < ITEMS; i++)
                cr_assert_eq(w.second[i], ITEMS - 1 - i);
            for (int t = 0; t < threads; t++)
                cr_assert_eq(w.calls[t], round);
        }
        sx_gang_free(gang);
    }
}

static void late(void *arg, struct sx_gang *gang, int member)
{
    if (member == 0)
        usleep(20000);
    sx_gang_barrier(gang);
    (*(int *)arg) += member == 0;
}

Test(gang, members_that_wait_long_sleep_and_wake)
{
    struct sx_gang *gang = sx_gang_new(3);
    int n = 0;
    for (int i = 0; i < 5; i++)
        sx_gang_run(gang, late, &n);
    cr_assert_eq(n, 5);
    sx_gang_free(gang);
}

Test(gang, shares_cover_everything_once)
{
    struct sx_gang *gang = sx_gang_new(3);
    const size_t sizes[] = {0, 1, 2, 3, 7, 512, 1568};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t next = 0, a, b;
        for (int t = 0; t < 3; t++) {
            sx_gang_share(gang, t, sizes[s], &a, &b);
            cr_assert_eq(a, next);
            cr_assert_leq(b - a, sizes[s] / 3 + 1);
            next = b;
        }
        cr_assert_eq(next, sizes[s]);
    }
    sx_gang_free(gang);
    sx_gang_free(NULL);
}
