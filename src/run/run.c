/* The engine: what a line of text does to the session. Submitting takes references and hands the
 * job to a lane; applying moves results into the session, which changes nowhere else but in the
 * `prepare` and `apply` of commands, called from here on the UI thread. */
#include "sextant/run/run.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "jobs.h"
#include "run_private.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/model/forward.h"

/* A quiet job that takes longer than this is shown among the jobs after all. */
static const double QUIET_SECONDS = 0.3;

enum { MAX_LOGGED_LINES = 200 };

struct sx_run {
    struct sx_session session; /* first: sx_run_of casts back */
    struct sx_jobs *jobs;
    uint64_t next_id;
    struct slot {
        const struct sx_command *command; /* the first one seen that writes it */
        uint64_t generation;              /* of the newest job */
        char *failure;                    /* owned: what it last said; NULL: it was well */
    } * slots;                            /* owned */
    size_t n_slots, slots_capacity;
    struct pending { /* submitted and not yet applied */
        uint64_t id;
        size_t slot;
        const struct sx_command *command;
        uint64_t generation;
        const void *input; /* the job's: it lives until it is applied */
        char line[sizeof((struct sx_job_info *)0)->line];
        bool listed;
    } * pending; /* owned, oldest first */
    size_t n_pending, pending_capacity;
    uint64_t log_serial;
    struct sx_runner *runner; /* owned; the compute lane's */
};

struct sx_run *sx_run_of(struct sx_session *session)
{
    return (struct sx_run *)session;
}

struct sx_runner **sx_run_runner(struct sx_session *session)
{
    return &sx_run_of(session)->runner;
}

/* Commands with the same apply write the same slot (open and rescan): one generation for both. */
static size_t slot_of(struct sx_run *run, const struct sx_command *command)
{
    for (size_t i = 0; i < run->n_slots; i++) {
        const struct sx_command *other = run->slots[i].command;
        if (other == command || (command->apply && other->apply == command->apply))
            return i;
    }
    SX_GROW(run->slots, run->slots_capacity, run->n_slots + 1);
    run->slots[run->n_slots] = (struct slot){.command = command};
    return run->n_slots++;
}

struct sx_run *sx_run_new(void)
{
    struct sx_run *run = sx_xcalloc(1, sizeof *run);
    sx_session_init(&run->session);
    run->jobs = sx_jobs_new();
    return run;
}

void sx_run_free(struct sx_run *run)
{
    if (!run)
        return;
    sx_jobs_free(run->jobs);
    sx_runner_free(run->runner);
    sx_session_release(&run->session);
    sx_free(run->pending);
    for (size_t i = 0; i < run->n_slots; i++)
        sx_free(run->slots[i].failure);
    sx_free(run->slots);
    sx_free(run);
}

const struct sx_session *sx_run_session(const struct sx_run *run)
{
    return &run->session;
}

int sx_run_wake_fd(const struct sx_run *run)
{
    return sx_jobs_wake_fd(run->jobs);
}

bool sx_run_busy(const struct sx_run *run)
{
    return run->n_pending > 0;
}

void sx_run_message(struct sx_run *run, enum sx_status status, const char *fmt, ...)
{
    char text[sizeof run->session.message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sx_session_message(&run->session, status, "%s", text);
}

/* --- the list of jobs ---------------------------------------------------------------------------
 */

static struct sx_job_info *find_info(struct sx_run *run, uint64_t id)
{
    for (size_t i = 0; i < run->session.n_jobs; i++)
        if (run->session.jobs[i].id == id)
            return &run->session.jobs[i];
    return NULL;
}

static struct sx_job_info *list_job(struct sx_run *run, struct pending *pending)
{
    struct sx_session *session = &run->session;
    if (session->n_jobs < SX_JOBS_SHOWN)
        session->n_jobs++;
    memmove(&session->jobs[1], &session->jobs[0], (session->n_jobs - 1) * sizeof session->jobs[0]);
    struct sx_job_info *info = &session->jobs[0];
    *info = (struct sx_job_info){
        .id = pending->id,
        .lane = pending->command->lane,
        .state = SX_JOB_QUEUED,
        .fraction = -1,
        .eta_s = -1,
    };
    snprintf(info->line, sizeof info->line, "%s", pending->line);
    pending->listed = true;
    sx_session_touch(session, SX_SLOT_JOBS);
    return info;
}

static bool same_on_screen(double a, double b, double unit)
{
    return (int64_t)(a / unit) == (int64_t)(b / unit);
}

static void refresh_progress(struct sx_run *run)
{
    for (size_t i = 0; i < run->n_pending; i++) {
        struct pending *pending = &run->pending[i];
        struct sx_job_progress progress;
        if (!sx_jobs_progress(run->jobs, pending->id, &progress))
            continue;
        const bool running = progress.started > 0;
        if (!pending->listed && running && sx_clock() - progress.started > QUIET_SECONDS)
            list_job(run, pending);
        struct sx_job_info *info = pending->listed ? find_info(run, pending->id) : NULL;
        if (!info || !running)
            continue;
        if (info->state != SX_JOB_RUNNING ||
            !same_on_screen(info->fraction, progress.fraction, 0.01) ||
            !same_on_screen(info->eta_s, progress.eta_s, 1.0))
            sx_session_touch(&run->session, SX_SLOT_JOBS);
        info->state = SX_JOB_RUNNING;
        info->started = progress.started;
        info->fraction = progress.fraction;
        info->eta_s = progress.eta_s;
    }
}

/* --- submitting ---------------------------------------------------------------------------------
 */

static void cancel_slot(struct sx_run *run, size_t slot)
{
    for (size_t i = 0; i < run->n_pending; i++)
        if (run->pending[i].slot == slot)
            sx_jobs_cancel(run->jobs, run->pending[i].id);
}

void sx_run_drop(struct sx_session *session, const char *command)
{
    struct sx_run *run = sx_run_of(session);
    const size_t slot = slot_of(run, sx_command_find(command));
    run->slots[slot].generation++;
    cancel_slot(run, slot);
}

static void enqueue(struct sx_run *run, struct sx_job_node *take_node)
{
    struct sx_job *job = &take_node->job;
    const size_t slot = slot_of(run, job->command);
    job->id = ++run->next_id;
    job->generation = ++run->slots[slot].generation;
    if (job->command->flags & SX_CMD_SUPERSEDE)
        cancel_slot(run, slot);
    SX_GROW(run->pending, run->pending_capacity, run->n_pending + 1);
    struct pending *pending = &run->pending[run->n_pending++];
    *pending = (struct pending){.id = job->id,
                                .slot = slot,
                                .command = job->command,
                                .generation = job->generation,
                                .input = job->input};
    struct sx_str line = SX_STR_INIT;
    sx_command_format(job->command, job->args, &line);
    snprintf(pending->line, sizeof pending->line, "%s", line.data);
    sx_str_release(&line);
    if (!(job->command->flags & SX_CMD_QUIET))
        list_job(run, pending);
    sx_jobs_push(run->jobs, take_node);
}

static enum sx_status start(struct sx_run *run, const struct sx_command *command,
                            struct sx_value *take_args, uint64_t *id, struct sx_error *err)
{
    struct sx_job_node *node = sx_xcalloc(1, sizeof *node);
    sx_job_init(&node->job, command, take_args);
    enum sx_status status = sx_command_check(command, take_args, err);
    if (status == SX_OK && command->flags & SX_CMD_APP)
        status = sx_fail(err, SX_ERR_USAGE, "%s is not a command of the session", command->name);
    if (status == SX_OK && command->prepare)
        status = command->prepare(&run->session, &node->job, err);
    if (status == SX_OK && command->lane != SX_LANE_UI) {
        enqueue(run, node);
        *id = node->job.id;
        return SX_OK;
    }
    if (status == SX_OK)
        command->apply(&run->session, &node->job);
    sx_job_release(&node->job);
    sx_free(node);
    return status;
}

enum sx_status sx_run_submit(struct sx_run *run, const struct sx_command *command,
                             struct sx_value *take_args, uint64_t *id, struct sx_error *err)
{
    struct sx_error why = {0};
    uint64_t new_id = 0;
    enum sx_status status = start(run, command, take_args, &new_id, &why);
    if (status != SX_OK) {
        sx_session_message(&run->session, status, "%s", why.message);
        if (err)
            *err = why;
    }
    if (id)
        *id = new_id;
    return status;
}

enum sx_status sx_run_submit_line(struct sx_run *run, const char *line, uint64_t *id,
                                  struct sx_error *err)
{
    const struct sx_command *command;
    struct sx_value *args;
    struct sx_error why = {0};
    if (id)
        *id = 0;
    enum sx_status status = sx_command_parse(line, &command, &args, &why);
    if (status == SX_OK)
        return sx_run_submit(run, command, args, id, err);
    sx_session_message(&run->session, status, "%s", why.message);
    if (err)
        *err = why;
    return status;
}

/* --- applying -----------------------------------------------------------------------------------
 */

/* What a command of the command line would have printed goes to the log. */
static void log_document(const struct sx_job *job)
{
    struct sx_str text = SX_STR_INIT;
    if (job->command->print)
        job->command->print(job->document, &text);
    char *line = text.data;
    for (int i = 0; *line && i < MAX_LOGGED_LINES; i++) {
        size_t len = strcspn(line, "\n");
        sx_log(SX_LOG_INFO, "%.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
    sx_str_release(&text);
}

static void tell_outcome(struct sx_run *run, const struct sx_job *job)
{
    const char *name = job->command->name;
    if (job->status == SX_CANCELLED) {
        sx_session_message(&run->session, SX_CANCELLED, "%s: cancelled", name);
    } else if (job->status != SX_OK) {
        sx_log(SX_LOG_ERROR, "%s: %s", name, job->error.message);
        sx_session_message(&run->session, job->status, "%s: %s", name, job->error.message);
    } else if (job->document && !job->command->apply) {
        log_document(job);
        sx_session_message(&run->session, SX_OK, "%s: done; the answer is in the log", name);
    }
}

static void close_info(struct sx_run *run, const struct sx_job_node *node, struct pending *pending)
{
    const struct sx_job *job = &node->job;
    const bool failed = job->status != SX_OK && job->status != SX_CANCELLED;
    if (!pending->listed && failed)
        list_job(run, pending);
    struct sx_job_info *info = pending->listed ? find_info(run, job->id) : NULL;
    if (!info)
        return;
    info->state = failed ? SX_JOB_FAILED : job->status == SX_OK ? SX_JOB_DONE : SX_JOB_CANCELLED;
    info->error = job->error;
    info->started = job->task.started;
    info->ended = node->ended;
    info->fraction = job->status == SX_OK ? 1 : info->fraction;
    info->eta_s = -1;
    sx_session_touch(&run->session, SX_SLOT_JOBS);
}

/* A quiet job is asked for again and again (curves, each second): the same failure is news once. */
static bool fails_again(struct slot *slot, const struct sx_job *job)
{
    if (!(job->command->flags & SX_CMD_QUIET) || job->status == SX_CANCELLED)
        return false;
    const bool again =
        job->status != SX_OK && slot->failure && strcmp(slot->failure, job->error.message) == 0;
    if (!again) {
        sx_free(slot->failure);
        slot->failure = job->status == SX_OK ? NULL : sx_xstrdup(job->error.message);
    }
    return again;
}

static void apply_one(struct sx_run *run, struct sx_job_node *node)
{
    struct sx_job *job = &node->job;
    size_t i = 0;
    while (i < run->n_pending && run->pending[i].id != job->id)
        i++;
    SX_ASSERT(i < run->n_pending);
    struct pending pending = run->pending[i];
    run->n_pending--;
    memmove(&run->pending[i], &run->pending[i + 1], (run->n_pending - i) * sizeof run->pending[0]);

    const bool late = job->command->flags & SX_CMD_SUPERSEDE &&
                      job->generation < run->slots[pending.slot].generation;
    if (late && job->status == SX_OK)
        job->status = SX_CANCELLED;
    const bool again = fails_again(&run->slots[pending.slot], job);
    if (!again || pending.listed)
        close_info(run, node, &pending);
    /* A late one says nothing: the newer one answers for the slot. */
    if (late)
        return;
    if (!again)
        tell_outcome(run, job);
    if (job->command->apply)
        job->command->apply(&run->session, job);
}

/* Every line that was emitted by now. */
static void apply_lines(struct sx_run *run)
{
    for (struct sx_job_line *line; (line = sx_jobs_take_line(run->jobs)); sx_job_line_free(line))
        for (size_t i = 0; i < run->n_pending; i++) {
            const struct pending *pending = &run->pending[i];
            const bool late = pending->command->flags & SX_CMD_SUPERSEDE &&
                              pending->generation < run->slots[pending->slot].generation;
            if (pending->id == line->job && !late)
                pending->command->partial(&run->session, pending->input, line->line);
        }
}

bool sx_run_apply(struct sx_run *run)
{
    uint64_t before[SX_SLOT_COUNT];
    memcpy(before, run->session.revision, sizeof before);
    struct sx_job_node *node;
    while ((node = sx_jobs_take_done(run->jobs))) {
        apply_lines(run);
        apply_one(run, node);
        sx_job_release(&node->job);
        sx_free(node);
    }
    apply_lines(run);
    refresh_progress(run);
    const uint64_t serial = sx_log_serial();
    if (serial != run->log_serial)
        sx_session_touch(&run->session, SX_SLOT_LOG);
    run->log_serial = serial;
    return memcmp(before, run->session.revision, sizeof before) != 0;
}

void sx_run_cancel(struct sx_run *run, uint64_t id)
{
    if (id)
        sx_jobs_cancel(run->jobs, id);
}

void sx_run_cancel_all(struct sx_run *run)
{
    sx_jobs_cancel(run->jobs, 0);
}

void sx_run_wait_idle(struct sx_run *run)
{
    enum { POLL_MS = 100 };
    sx_run_apply(run);
    while (run->n_pending) {
        struct pollfd fd = {.fd = sx_run_wake_fd(run), .events = POLLIN};
        poll(&fd, 1, POLL_MS);
        sx_run_apply(run);
    }
}
