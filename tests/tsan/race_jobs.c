/* Races of the engine: jobs that supersede each other on both lanes, cancelled and answered while
 * the UI thread reads progress and the session. Run under ThreadSanitizer; a plain program. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/rng.h"
#include "sextant/run/run.h"
#include "sextant/sae/sae.h"

static int failures;

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "failed: %s\n", what);
    failures++;
}

/* --- jobs of the test's own ---------------------------------------------------------------------
 */

static int answered, ended_well, heard;

static enum sx_status spin_run(struct sx_job *job, struct sx_error *err)
{
    enum { STEPS = 200 };
    (void)err;
    int *result = sx_xcalloc(1, sizeof *result);
    job->result = result;
    job->result_free = sx_free;
    for (uint64_t i = 0; i < STEPS; i++) {
        SX_TRY(sx_task_step(&job->task, i, STEPS));
        usleep(20);
        if (job->emit && i % 50 == 0) {
            struct sx_value *line = sx_value_map();
            sx_value_set(line, "step", sx_value_int((int64_t)i));
            job->emit(job, line);
            sx_value_free(line);
        }
        (*result)++;
    }
    return SX_OK;
}

static void count_query(struct sx_session *session, struct sx_job *job)
{
    (void)session;
    answered++;
    ended_well += job->status == SX_OK;
}

static void hear(struct sx_session *session, const void *input, const struct sx_value *line)
{
    (void)session;
    (void)input;
    heard += sx_value_get(line, "step") != NULL;
}

static void count_compute(struct sx_session *session, struct sx_job *job)
{
    count_query(session, job);
}

static const struct sx_command commands[2] = {
    {.name = "spin-query",
     .group = "test",
     .help = "test",
     .lane = SX_LANE_QUERY,
     .flags = SX_CMD_PROMPT | SX_CMD_SUPERSEDE,
     .run = spin_run,
     .apply = count_query},
    {.name = "spin-compute",
     .group = "test",
     .help = "test",
     .lane = SX_LANE_COMPUTE,
     .flags = SX_CMD_PROMPT,
     .run = spin_run,
     .apply = count_compute,
     .partial = hear},
};

static void supersede(void)
{
    enum { JOBS = 40 };
    struct sx_run *run = sx_run_new();
    for (int i = 0; i < JOBS; i++) {
        for (int lane = 0; lane < 2; lane++)
            check(sx_run_submit(run, &commands[lane], sx_value_map(), NULL, NULL) == SX_OK,
                  "submit");
        struct pollfd fd = {.fd = sx_run_wake_fd(run), .events = POLLIN};
        poll(&fd, 1, i % 3);
        sx_run_apply(run);
        if (i % 10 == 9)
            sx_run_cancel(run, (uint64_t)i);
    }
    sx_run_wait_idle(run);
    check(answered >= JOBS, "every job that nothing superseded is answered");
    check(ended_well >= 1, "the last ones end well");
    check(heard >= 4, "what a job emits is heard");
    check(sx_run_session(run)->jobs[0].state == SX_JOB_DONE, "the newest is done");
    sx_run_free(run);
}

/* --- the session's own --------------------------------------------------------------------------
 */

static void write_sae(const char *path, uint64_t seed)
{
    enum { D = 16, F = 64 };
    static float enc[D * F];
    static float dec[D * F];
    struct sx_rng rng = sx_rng_make(seed, 0);
    for (int i = 0; i < D * F; i++) {
        enc[i] = (float)sx_rng_normal(&rng);
        dec[i] = (float)sx_rng_normal(&rng);
    }
    struct sx_sae parts = {.W_enc = enc, .W_dec = dec};
    struct sx_sae *sae = NULL;
    sx_sae_info_init(&parts.info);
    parts.info.arch = SX_ARCH_RELU;
    parts.info.activation_dim = D;
    parts.info.dict_size = F;
    parts.info.seed = (int64_t)seed;
    check(sx_sae_new(&parts, &sae, NULL) == SX_OK, "new");
    check(sx_sae_write_h5(sae, path, NULL, NULL) == SX_OK, "write");
    sx_sae_unref(sae);
}

static void say(struct sx_run *run, const char *line)
{
    struct sx_error err = {0};
    if (sx_run_submit_line(run, line, NULL, &err) != SX_OK)
        fprintf(stderr, "%s: %s\n", line, err.message);
}

/* Cards, galleries, curves and matching on the same SAEs from both lanes at once. */
static void browse(const char *folder)
{
    struct sx_run *run = sx_run_new();
    const struct sx_session *session = sx_run_session(run);
    char *open = sx_xasprintf("open %s", folder);
    say(run, open);
    sx_run_wait_idle(run);
    say(run, "load-family");
    sx_run_wait_idle(run);
    check(session->family.state == SX_STATE_READY, "loaded");
    say(run, "match-family");
    for (int i = 0; i < 60; i++) {
        char line[64];
        snprintf(line, sizeof line, "card --latent %d", i);
        say(run, line);
        if (i % 7 == 0)
            say(run, "gallery --first 3 --columns 4");
        if (i % 20 == 19)
            say(run, "match-family");
        if (i % 25 == 24)
            say(run, "set --alive 0.1");
        sx_run_apply(run);
        sx_log(SX_LOG_DEBUG, "step %d", i);
    }
    sx_run_wait_idle(run);
    check(session->card.state == SX_STATE_READY && session->card.latent == 59, "the last card");
    check(session->match.state == SX_STATE_READY, "matched");
    say(run, "match-family");
    say(run, "load-family");
    sx_run_free(run); /* while both work */
    sx_free(open);
}

int main(void)
{
    char folder[] = "/tmp/sextant-race.XXXXXX";
    supersede();
    if (!mkdtemp(folder))
        return 1;
    char *path[3];
    for (int i = 0; i < 3; i++) {
        path[i] = sx_xasprintf("%s/x_s%d.sae.h5", folder, i);
        write_sae(path[i], (uint64_t)i);
    }
    browse(folder);
    for (int i = 0; i < 3; i++) {
        unlink(path[i]);
        sx_free(path[i]);
    }
    rmdir(folder);
    return failures != 0;
}
