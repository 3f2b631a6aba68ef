/* Status, allocation, strings, arena, log, tasks, fingerprints. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/arena.h"
#include "sextant/base/hash.h"
#include "sextant/base/log.h"
#include "sextant/base/status.h"
#include "sextant/base/str.h"
#include "sextant/base/task.h"

Test(status, message_is_one_clean_line)
{
    struct sx_error err = {0};
    cr_expect_eq(sx_fail(&err, SX_ERR_FORMAT, "bad key '%s'", "a\x1b]0;x\a\nb"), SX_ERR_FORMAT);
    cr_expect_null(strchr(err.message, '\x1b'));
    cr_expect_null(strchr(err.message, '\n'));
    cr_expect_eq(sx_fail_prefix(&err, SX_ERR_FORMAT, "file"), SX_ERR_FORMAT);
    cr_expect_eq(strncmp(err.message, "file: bad key", 13), 0);
    cr_expect_eq(sx_fail(NULL, SX_ERR_IO, "nobody listens"), SX_ERR_IO);
}

Test(alloc, big_refuses_overflow_and_is_aligned)
{
    cr_expect_null(sx_alloc_big(SIZE_MAX / 2, 4));
    cr_expect_null(sx_alloc_big(SIZE_MAX, 1));
    float *p = sx_calloc_big(3, sizeof *p);
    cr_assert_not_null(p);
    cr_expect_eq((uintptr_t)p % 64, 0);
    cr_expect_eq(p[2], 0);
    sx_free(p);
}

Test(alloc, injected_failure_hits_the_nth_call)
{
    setenv("SX_FAIL_ALLOC", "2", 1);
    void *a = sx_alloc_big(1, 1), *b = sx_alloc_big(1, 1), *c = sx_alloc_big(1, 1);
    cr_expect_not_null(a);
    cr_expect_null(b);
    cr_expect_not_null(c);
    sx_free(a);
    sx_free(c);
}

Test(str, grows_and_is_taken)
{
    struct sx_str s = SX_STR_INIT;
    cr_expect_str_eq(s.data, "");
    for (int i = 0; i < 1000; i++)
        sx_str_printf(&s, "%d,", i);
    cr_expect_eq(s.len, 3890);
    sx_str_append_len(&s, "a\0b", 3);
    cr_expect_eq(s.len, 3893);
    char *taken = sx_str_take(&s);
    cr_expect_eq(s.len, 0);
    cr_expect_eq(memcmp(taken, "0,1,2,", 6), 0);
    sx_free(taken);
    sx_str_release(&s);
}

Test(arena, blocks_larger_than_a_page_run)
{
    struct sx_arena *arena = sx_arena_new();
    char *first = sx_arena_strdup(arena, "first");
    char *big = sx_arena_alloc(arena, 1 << 20);
    big[(1 << 20) - 1] = 1;
    char *text = sx_arena_printf(arena, "%s-%d", first, 2);
    cr_expect_str_eq(text, "first-2");
    cr_expect_eq((uintptr_t)big % 16, 0);
    sx_arena_free(arena);
}

Test(log, ring_keeps_the_newest)
{
    for (int i = 0; i < SX_LOG_CAPACITY + 10; i++)
        sx_log(SX_LOG_INFO, "entry %d", i);
    static struct sx_log_entry out[SX_LOG_CAPACITY];
    size_t n = sx_log_read(out, SX_LOG_CAPACITY);
    cr_assert_eq(n, SX_LOG_CAPACITY);
    cr_expect_str_eq(out[n - 1].text, "entry 1033");
    cr_expect_str_eq(out[0].text, "entry 10");
    cr_expect_eq(out[n - 1].serial, sx_log_serial());
    cr_expect_eq(sx_log_read(out, 2), 2);
    cr_expect_str_eq(out[1].text, "entry 1033");
}

Test(task, cancel_and_progress)
{
    struct sx_task task;
    sx_task_init(&task);
    double eta;
    cr_expect_eq(sx_task_step(NULL, 1, 2), SX_OK);
    cr_expect_eq(sx_task_progress(&task, &eta), -1);
    cr_expect_eq(sx_task_step(&task, 1, 4), SX_OK);
    cr_expect_float_eq(sx_task_progress(&task, &eta), 0.25, 1e-12);
    cr_expect_geq(eta, 0);
    sx_task_cancel(&task);
    cr_expect_eq(sx_task_step(&task, 2, 4), SX_CANCELLED);
}

Test(task, parts_of_a_step)
{
    struct sx_task task;
    sx_task_init(&task);
    sx_task_part(NULL, 0.5);
    sx_task_part(&task, 0.5);
    cr_expect_eq(sx_task_progress(&task, NULL), -1, "of nothing");
    cr_expect_eq(sx_task_step_to(&task, 2, 10, 6), SX_OK);
    cr_expect_float_eq(sx_task_progress(&task, NULL), 0.2, 1e-12, "a new step begins at 0");
    sx_task_part(&task, 0.25);
    cr_expect_float_eq(sx_task_progress(&task, NULL), 0.3, 1e-12);
    sx_task_part(&task, 1);
    cr_expect_float_eq(sx_task_progress(&task, NULL), 0.6, 1e-12);
    cr_expect_eq(sx_task_step(&task, 6, 10), SX_OK);
    sx_task_part(&task, 0.5);
    cr_expect_float_eq(sx_task_progress(&task, NULL), 0.6, 1e-12, "nobody asked for parts");
}

/* The published test vector of XXH3 (128 bit) for the empty input. */
Test(hash, empty_input_and_splits)
{
    char empty[33], whole[33], parts[33];
    sx_hash_finish(sx_hash_new(), empty);
    cr_expect_str_eq(empty, "99aa06d3014798d86001c324468d497f");

    struct sx_hash *h = sx_hash_new();
    sx_hash_update(h, "hello world", 11);
    sx_hash_finish(h, whole);
    h = sx_hash_new();
    sx_hash_update(h, "hello ", 6);
    sx_hash_update(h, "world", 5);
    sx_hash_finish(h, parts);
    cr_expect_str_eq(whole, parts);
    cr_expect_str_neq(whole, empty);
}
