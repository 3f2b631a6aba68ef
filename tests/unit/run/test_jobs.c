/* The engine with commands of the test's own: a gate that a job waits at makes every order of
 * events certain. */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/run/run.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int started, open; /* gate jobs that wait or waited; how many may pass */
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static int applied[256];
static int n_applied;
static enum sx_status applied_status[256];

/* Waits until the gate lets it pass, or it is cancelled. */
static enum sx_status gate_run(struct sx_job *job, struct sx_error *err)
{
    (void)err;
    enum sx_status status = SX_OK;
    pthread_mutex_lock(&gate.lock);
    status = sx_task_step(&job->task, 1, 2);
    gate.started++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open && status == SX_OK) {
        struct timespec soon;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += 20000000;
        soon.tv_sec += soon.tv_nsec / 1000000000;
        soon.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&gate.changed, &gate.lock, &soon);
        status = sx_task_step(&job->task, 1, 2);
    }
    if (gate.open > 0)
        gate.open--;
    pthread_mutex_unlock(&gate.lock);
    return status;
}

/* Ends well even when it was cancelled: the late answer that must be dropped. */
static enum sx_status deaf_run(struct sx_job *job, struct sx_error *err)
{
    enum sx_status status = gate_run(job, err);
    (void)status;
    return SX_OK;
}

static enum sx_status fail_run(struct sx_job *job, struct sx_error *err)
{
    (void)job;
    return sx_fail(err, SX_ERR_IO, "no luck");
}

static void note_apply(struct sx_session *session, struct sx_job *job)
{
    (void)session;
    applied_status[n_applied] = job->status;
    applied[n_applied++] = (int)sx_value_int_or(sx_value_get(job->args, "n"), 0);
}

static void other_apply(struct sx_session *session, struct sx_job *job)
{
    note_apply(session, job);
}

static const struct sx_param params[] = {
    {.name = "n", .kind = SX_PARAM_INT, .positional = true, .help = "a number"},
};

#define GATE_COMMAND(name_, lane_, flags_, run_, apply_)                                           \
    {                                                                                              \
        .name = name_, .group = "test", .help = "test", .params = params, .n_params = 1,           \
        .lane = lane_, .flags = SX_CMD_PROMPT | (flags_), .run = run_, .apply = apply_             \
    }

static const struct sx_command gate_command =
    GATE_COMMAND("gate", SX_LANE_QUERY, SX_CMD_SUPERSEDE, gate_run, note_apply);
static const struct sx_command deaf_command =
    GATE_COMMAND("deaf", SX_LANE_QUERY, SX_CMD_SUPERSEDE, deaf_run, note_apply);
static const struct sx_command queue_command =
    GATE_COMMAND("queue", SX_LANE_QUERY, 0, gate_run, other_apply);
static const struct sx_command compute_command =
    GATE_COMMAND("compute", SX_LANE_COMPUTE, 0, gate_run, other_apply);
static const struct sx_command fail_command =
    GATE_COMMAND("fail", SX_LANE_QUERY, SX_CMD_QUIET, fail_run, other_apply);
static const struct sx_command quiet_command =
    GATE_COMMAND("quiet", SX_LANE_QUERY, SX_CMD_QUIET, gate_run, other_apply);

static uint64_t submit(struct sx_run *run, const struct sx_command *command, int n)
{
    struct sx_value *args = sx_value_map();
    uint64_t id = 0;
    struct sx_error err = {0};
    sx_value_set(args, "n", sx_value_int(n));
    cr_assert_eq(sx_run_submit(run, command, args, &id, &err), SX_OK, "%s", err.message);
    return id;
}

static void wait_started(int n)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.started < n)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void let_pass(int n)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = n;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static const struct sx_job_info *info(const struct sx_run *run, uint64_t id)
{
    const struct sx_session *session = sx_run_session(run);
    for (size_t i = 0; i < session->n_jobs; i++)
        if (session->jobs[i].id == id)
            return &session->jobs[i];
    return NULL;
}

Test(jobs, order_of_completion)
{
    struct sx_run *run = sx_run_new();
    for (int i = 1; i <= 5; i++)
        submit(run, &queue_command, i);
    cr_assert(sx_run_busy(run));
    let_pass(5);
    sx_run_wait_idle(run);
    cr_assert_not(sx_run_busy(run));
    cr_assert_eq(n_applied, 5);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(applied[i], i + 1);
    sx_run_free(run);
}

Test(jobs, newer_one_supersedes)
{
    struct sx_run *run = sx_run_new();
    uint64_t first = submit(run, &gate_command, 1);
    wait_started(1);
    uint64_t second = submit(run, &gate_command, 2); /* queued: cancelled before it ran */
    uint64_t third = submit(run, &gate_command, 3);
    wait_started(2);
    let_pass(1);
    sx_run_wait_idle(run);
    cr_assert_eq(n_applied, 1);
    cr_assert_eq(applied[0], 3);
    cr_assert_eq(applied_status[0], SX_OK);
    cr_assert_eq(info(run, first)->state, SX_JOB_CANCELLED);
    cr_assert_eq(info(run, second)->state, SX_JOB_CANCELLED);
    cr_assert_eq(info(run, third)->state, SX_JOB_DONE);
    cr_assert_str_eq(info(run, third)->line, "gate 3");
    sx_run_free(run);
}

Test(jobs, late_answer_is_dropped)
{
    struct sx_run *run = sx_run_new();
    submit(run, &deaf_command, 1);
    wait_started(1);
    submit(run, &deaf_command, 2);
    let_pass(2);
    sx_run_wait_idle(run);
    cr_assert_eq(n_applied, 1, "the first came with SX_OK, but late");
    cr_assert_eq(applied[0], 2);
    sx_run_free(run);
}

Test(jobs, cancel_is_delivered_once)
{
    struct sx_run *run = sx_run_new();
    uint64_t running = submit(run, &queue_command, 1);
    wait_started(1);
    uint64_t queued = submit(run, &queue_command, 2);
    sx_run_cancel(run, queued);
    sx_run_apply(run);
    cr_assert_eq(n_applied, 1, "a queued one comes back at once");
    cr_assert_eq(applied[0], 2);
    cr_assert_eq(applied_status[0], SX_CANCELLED);
    const double before = sx_clock();
    sx_run_cancel_all(run);
    sx_run_wait_idle(run);
    cr_assert_lt(sx_clock() - before, 1.0);
    cr_assert_eq(n_applied, 2);
    cr_assert_eq(applied_status[1], SX_CANCELLED);
    cr_assert_eq(info(run, running)->state, SX_JOB_CANCELLED);
    sx_run_cancel(run, running);
    sx_run_apply(run);
    cr_assert_eq(n_applied, 2);
    sx_run_free(run);
}

Test(jobs, lanes_do_not_wait_for_each_other)
{
    struct sx_run *run = sx_run_new();
    uint64_t slow = submit(run, &compute_command, 1);
    wait_started(1);
    submit(run, &fail_command, 2);
    struct pollfd fd = {.fd = sx_run_wake_fd(run), .events = POLLIN};
    cr_assert_eq(poll(&fd, 1, 5000), 1, "the pipe wakes the loop");
    cr_assert(sx_run_apply(run));
    cr_assert_eq(n_applied, 1);
    cr_assert_eq(applied_status[0], SX_ERR_IO);
    cr_assert_eq(info(run, slow)->state, SX_JOB_RUNNING);
    cr_assert_eq(info(run, slow)->fraction, 0.5);
    sx_run_cancel_all(run);
    sx_run_wait_idle(run);
    sx_run_free(run);
}

Test(jobs, failure_is_told_and_told_once)
{
    struct sx_run *run = sx_run_new();
    submit(run, &fail_command, 1);
    sx_run_wait_idle(run);
    const struct sx_session *session = sx_run_session(run);
    cr_assert_str_eq(session->message, "fail: no luck");
    cr_assert_eq(session->message_status, SX_ERR_IO);
    cr_assert_eq(session->n_jobs, 1, "a quiet one is listed when it fails");
    uint64_t revisions[SX_SLOT_COUNT];
    memcpy(revisions, session->revision, sizeof revisions);
    submit(run, &fail_command, 2);
    sx_run_wait_idle(run);
    cr_assert_eq(n_applied, 2);
    cr_assert_eq(memcmp(revisions, session->revision, sizeof revisions), 0,
                 "the same failure again is nothing to draw");
    sx_run_free(run);
}

Test(jobs, quiet_ones_change_nothing_on_screen)
{
    struct sx_run *run = sx_run_new();
    let_pass(1);
    submit(run, &quiet_command, 1);
    sx_run_wait_idle(run);
    cr_assert_eq(sx_run_session(run)->n_jobs, 0);
    cr_assert_eq(sx_run_session(run)->revision[SX_SLOT_JOBS], 0);
    let_pass(0);
    submit(run, &quiet_command, 2);
    const double start = sx_clock();
    while (sx_clock() - start < 5 && sx_run_session(run)->n_jobs == 0)
        sx_run_apply(run);
    cr_assert_eq(sx_run_session(run)->n_jobs, 1, "a slow one is shown after all");
    sx_run_free(run);
}

/* --- lines while running ------------------------------------------------------------------------
 */

static int lines_heard, last_heard, heard_when_applied;

static enum sx_status talk_run(struct sx_job *job, struct sx_error *err)
{
    for (int i = 1; i <= 3; i++) {
        struct sx_value *line = sx_value_map();
        sx_value_set(line, "i", sx_value_int(i));
        cr_assert(job->emit);
        job->emit(job, line);
        sx_value_free(line);
    }
    return gate_run(job, err);
}

static void talk_partial(struct sx_session *session, const void *input, const struct sx_value *line)
{
    (void)session;
    (void)input;
    lines_heard++;
    last_heard = (int)sx_value_int_or(sx_value_get(line, "i"), 0);
    cr_assert_eq(last_heard, 1 + (lines_heard - 1) % 3);
}

static void talk_apply(struct sx_session *session, struct sx_job *job)
{
    note_apply(session, job);
    heard_when_applied = lines_heard;
}

static const struct sx_command talk_command = {.name = "talk",
                                               .group = "test",
                                               .help = "test",
                                               .lane = SX_LANE_COMPUTE,
                                               .flags = SX_CMD_PROMPT | SX_CMD_SUPERSEDE,
                                               .run = talk_run,
                                               .apply = talk_apply,
                                               .partial = talk_partial};

Test(jobs, lines_arrive_while_a_job_runs)
{
    struct sx_run *run = sx_run_new();
    cr_assert_eq(sx_run_submit(run, &talk_command, sx_value_map(), NULL, NULL), SX_OK);
    wait_started(1);
    struct pollfd fd = {.fd = sx_run_wake_fd(run), .events = POLLIN};
    cr_assert_eq(poll(&fd, 1, 1000), 1);
    sx_run_apply(run);
    cr_assert(lines_heard == 3 && n_applied == 0 && sx_run_busy(run));
    let_pass(1);
    sx_run_wait_idle(run);
    cr_assert(heard_when_applied == 3 && applied_status[0] == SX_OK);
    sx_run_free(run);
}

/* Not looked at while it ran: all lines come before the end. A superseded one is not heard. */
Test(jobs, lines_come_before_the_end_and_not_late)
{
    struct sx_run *run = sx_run_new();
    cr_assert_eq(sx_run_submit(run, &talk_command, sx_value_map(), NULL, NULL), SX_OK);
    wait_started(1);
    cr_assert_eq(sx_run_submit(run, &talk_command, sx_value_map(), NULL, NULL), SX_OK);
    wait_started(2);
    let_pass(-1);
    sx_run_wait_idle(run);
    cr_assert(lines_heard == 3 && heard_when_applied == 3 && n_applied == 1);
    cr_assert_eq(sx_run_submit(run, &talk_command, sx_value_map(), NULL, NULL), SX_OK);
    sx_run_free(run); /* lines that nobody took are freed */
}

Test(jobs, free_while_busy)
{
    struct sx_run *run = sx_run_new();
    submit(run, &compute_command, 1);
    submit(run, &queue_command, 2);
    submit(run, &queue_command, 3);
    const double before = sx_clock();
    sx_run_free(run);
    cr_assert_lt(sx_clock() - before, 1.0);
}

Test(jobs, list_is_bounded)
{
    struct sx_run *run = sx_run_new();
    for (int i = 0; i < 200; i++)
        submit(run, &queue_command, i);
    sx_run_cancel_all(run);
    sx_run_wait_idle(run);
    cr_assert_eq(sx_run_session(run)->n_jobs, SX_JOBS_SHOWN);
    cr_assert_eq(sx_run_session(run)->jobs[0].id, 200);
    sx_run_free(run);
}

Test(jobs, bad_lines_become_messages)
{
    struct sx_run *run = sx_run_new();
    struct sx_error err = {0};
    uint64_t id = 9;
    cr_assert_eq(sx_run_submit_line(run, "set --tau 7", &id, &err), SX_ERR_USAGE);
    cr_assert_eq(id, 0);
    cr_assert(strstr(sx_run_session(run)->message, "--tau must be between"));
    cr_assert_eq(sx_run_session(run)->message_status, SX_ERR_USAGE);
    cr_assert_eq(sx_run_submit_line(run, "quit", &id, &err), SX_ERR_USAGE,
                 "the program's own commands are not the session's");
    cr_assert_eq(sx_run_submit_line(run, "load-family", &id, &err), SX_ERR_USAGE);
    cr_assert_str_eq(err.message, "no family is selected");
    cr_assert_eq(sx_run_session(run)->family.state, SX_STATE_EMPTY);
    sx_run_free(run);
}
