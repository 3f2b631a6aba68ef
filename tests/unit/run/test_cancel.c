/* Esc: every kind of job ends within 0.3 s of being asked to, however much is left to do. */
#include <criterion/criterion.h>
#include <math.h>
#include <poll.h>

#include "sae_files.h"
#include "sextant/base/log.h"
#include "sextant/io/tensor_write.h"
#include "sextant/run/run.h"

#if defined(__SANITIZE_ADDRESS__)
static const double LIMIT = 1.5; /* everything is that much slower */
#else
static const double LIMIT = 0.3;
#endif

/* A machine that is busy with something else gets more than one try. */
enum { TRIES = 3 };

enum { D = 96, F = 6144, ROWS = 20000 };

static char *folder;
static struct sx_run *run;

static void setup(void)
{
    const struct sae_recipe recipe = {.D = D, .F = F, .lambda = NAN, .shared = F / 2, .image = 0};
    folder = sae_folder();
    cr_assert(sae_family(folder, "x", recipe, 3));
    float *x = sx_xcalloc((size_t)ROWS * D, sizeof *x);
    struct sx_rng rng = sx_rng_make(1, 1);
    for (size_t i = 0; i < (size_t)ROWS * D; i++)
        x[i] = (float)sx_rng_uniform(&rng);
    char *path = sx_xasprintf("%s/x.npy", folder);
    const struct sx_tensor_out tensor = {"x", SX_DTYPE_F32, 2, {ROWS, D}, x};
    cr_assert_eq(sx_npy_write(path, &tensor, NULL), SX_OK);
    sx_free(x);
    sx_free(path);
    path = sx_xasprintf("%s/train.yaml", folder);
    FILE *f = fopen(path, "w");
    fprintf(f, "data: x.npy\ndict_size: 2048\nseeds: [0, 1]\nbatch: 512\nepochs: 100000\n");
    fclose(f);
    sx_free(path);

    run = sx_run_new();
    char *line = sx_xasprintf("open %s", folder);
    cr_assert_eq(sx_run_submit_line(run, line, NULL, NULL), SX_OK);
    sx_run_wait_idle(run);
    sx_free(line);
}

static void teardown(void)
{
    sx_run_free(run);
    sae_remove(folder);
}

static const struct sx_job_info *newest(void)
{
    const struct sx_session *session = sx_run_session(run);
    return session->n_jobs ? &session->jobs[0] : NULL;
}

/* Submit, let it work for `work_s`, cancel, and see how long it takes. @ stands for the folder.
 * long_job: it must still be at work by then, or the test would show nothing. */
static double cancel_once(const char *text, double work_s, bool long_job)
{
    struct sx_str line = SX_STR_INIT;
    for (const char *c = text; *c; c++) {
        if (*c == '@')
            sx_str_append(&line, folder);
        else
            sx_str_append_char(&line, *c);
    }
    struct sx_error err = {0};
    uint64_t id = 0;
    cr_assert_eq(sx_run_submit_line(run, line.data, &id, &err), SX_OK, "%s: %s", text, err.message);
    const double start = sx_clock();
    while (sx_clock() - start < work_s && sx_run_busy(run)) {
        struct pollfd fd = {.fd = sx_run_wake_fd(run), .events = POLLIN};
        poll(&fd, 1, 5);
        sx_run_apply(run);
    }
    if (long_job)
        cr_assert(sx_run_busy(run), "%s is over already: %s", text, sx_run_session(run)->message);
    const double asked = sx_clock();
    sx_run_cancel_all(run);
    sx_run_wait_idle(run);
    const double latency = sx_clock() - asked;
    if (long_job)
        cr_assert_eq(newest()->state, SX_JOB_CANCELLED, "%s: %s", text,
                     sx_run_session(run)->message);
    sx_str_release(&line);
    return latency;
}

static void cancel_after(const char *text, double work_s, bool long_job)
{
    double best = INFINITY;
    for (int i = 0; i < TRIES && best >= LIMIT; i++)
        best = fmin(best, cancel_once(text, work_s, long_job));
    cr_assert_lt(best, LIMIT, "%s: %.3f s", text, best);
}

TestSuite(cancel, .init = setup, .fini = teardown, .timeout = 110);

Test(cancel, sessions_own)
{
    static const double after[] = {0, 0.02, 0.1};
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        cancel_after("open @", after[i], false);
        cancel_after("load-family", after[i], false);
    }
    cr_assert_eq(sx_run_submit_line(run, "load-family", NULL, NULL), SX_OK);
    sx_run_wait_idle(run);
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        cancel_after("card --latent 5", after[i], false);
        cancel_after("gallery --columns 60", after[i], false);
    }
    cancel_after("export @/rows.csv", 0, false);
    const enum sx_slot_state state = sx_run_session(run)->gallery.state;
    cr_assert(state == SX_STATE_READY || state == SX_STATE_FAILED);
}

Test(cancel, matching)
{
    cancel_after("match-family", 0, true);
    cancel_after("match-family", 0.2, true);
    cancel_after("match-family", 0.5, false);
    cancel_after("match @ --out @/m.match.h5", 0.4, false);
    cr_assert_neq(sx_run_session(run)->match.state, SX_STATE_PENDING);
}

Test(cancel, files)
{
    cancel_after("info @", 0, false);
    cancel_after("info @", 0.1, false);
    cancel_after("compare @/x_s0.sae.h5 @/x_s1.sae.h5", 0, false);
    cancel_after("convert @/x_s0.sae.h5 @/lens --to saelens", 0, false);
    cancel_after("encode @/x_s0.sae.h5 --input @/x.npy --out @/f.npz", 0.1, true);
    cancel_after("encode @/x_s0.sae.h5 --input @/x.npy --out @/f.npz", 0.4, false);
}

Test(cancel, training)
{
    cancel_after("train @/train.yaml --out @/run", 0.01, true);
    cancel_after("train @/train.yaml --out @/run2", 1.0, true);
    /* What it had done can be gone on with. */
    cancel_after("train @/train.yaml --out @/run2 --resume", 0.5, true);
}
