/* patch-grid in the session: cells arrive while it runs, a cancelled scan keeps them, and the line
 * beside the result gives the same on the command line. */
#include <criterion/criterion.h>
#include <math.h>
#include <poll.h>
#include <string.h>

#include "sae_files.h"
#include "sextant/base/log.h"
#include "sextant/run/commands.h"
#include "sextant/run/run.h"
#include "tiny_models.h"

struct stage {
    char *folder, *model;
    struct sx_run *run;
    const struct sx_session *session;
};

static void do_line(struct stage *s, const char *line)
{
    struct sx_error err = {0};
    cr_assert_eq(sx_run_submit_line(s->run, line, NULL, &err), SX_OK, "%s: %s", line, err.message);
    sx_run_wait_idle(s->run);
}

static void refuse(struct stage *s, const char *line, const char *part)
{
    struct sx_error err = {0};
    cr_assert_neq(sx_run_submit_line(s->run, line, NULL, &err), SX_OK, "%s", line);
    cr_assert(strstr(err.message, part), "%s: %s", line, err.message);
}

static struct stage stage_new(struct tiny_shape shape, const char *input)
{
    struct stage s = {.folder = sae_folder(), .run = sx_run_new()};
    struct tiny_model tiny = tiny_random(shape, 3);
    s.session = sx_run_session(s.run);
    s.model = sx_xasprintf("%s/model", s.folder);
    cr_assert_eq(mkdir(s.model, 0700), 0);
    tiny_write(&tiny, s.model, NULL);
    tiny_release(&tiny);
    char *line = sx_xasprintf("open %s", s.folder);
    do_line(&s, line);
    sx_free(line);
    do_line(&s, input);
    cr_assert_eq(s.session->input.state, SX_STATE_READY);
    return s;
}

static void stage_free(struct stage *s)
{
    sx_run_free(s->run);
    tiny_remove(s->model);
    sae_remove(s->folder);
    sx_free(s->model);
}

/* What the command line answers to the slot's line. */
static struct sx_value *answer(const char *line)
{
    const struct sx_command *command;
    struct sx_value *args;
    struct sx_error err = {0};
    struct sx_job job;
    static const char program[] = "sextant ";
    cr_assert_eq(strncmp(line, program, strlen(program)), 0, "%s", line);
    cr_assert_eq(sx_command_parse(line + strlen(program), &command, &args, &err), SX_OK, "%s: %s",
                 line, err.message);
    cr_assert_eq(sx_command_check(command, args, &err), SX_OK, "%s", err.message);
    sx_job_init(&job, command, args);
    cr_assert_eq(sx_job_run(&job, &err), SX_OK, "%s: %s", line, err.message);
    struct sx_value *document = job.document;
    job.document = NULL;
    sx_job_release(&job);
    return document;
}

static void same_in_a_shell(struct stage *s, const char *line)
{
    const struct sx_patching_data *data = &s->session->patching;
    do_line(s, line);
    cr_assert_eq(data->state, SX_STATE_READY, "%s: %s", line, data->error.message);
    cr_assert_eq(data->result.n_done, data->result.rows * data->result.columns);
    struct sx_value *document = answer(data->line);
    const struct sx_value *values = sx_value_get(document, "values");
    cr_assert_eq(sx_value_count(values), data->result.rows);
    for (size_t r = 0; r < data->result.rows; r++)
        for (size_t c = 0; c < data->result.columns; c++)
            cr_assert_eq((float)sx_value_real_or(sx_value_item(sx_value_item(values, r), c), NAN),
                         data->result.value[r * data->result.columns + c], "%s: %zu %zu",
                         data->line, r, c);
    sx_value_free(document);
}

Test(patch_session, the_line_gives_the_same)
{
    struct stage s = stage_new(tiny_esm2_shape, "input MKTVRAG");
    do_line(&s, "mask --token 1");
    const struct sx_patching_data *data = &s.session->patching;
    same_in_a_shell(&s, "patch-grid --corrupt '<mask>RRLEAG' --grid layer-token");
    cr_assert(data->result.grid == SX_GRID_LAYER_TOKEN && !data->result.ablation);
    cr_assert(data->result.rows == 3 && data->result.columns == 9 && data->result.token == 1);
    cr_assert_str_eq(data->corrupt, "<mask>RRLEAG");
    cr_assert_str_eq(data->target_text, "M");
    cr_assert(data->result.normalised);
    same_in_a_shell(&s, "patch-grid --corrupt '<mask>RRLEAG' --grid qkv --metric p");
    same_in_a_shell(&s, "patch-grid --ablate zero --grid layer-head --target K");
    cr_assert(data->result.ablation && !data->corrupt && data->result.rows == 2);
    cr_assert_str_eq(data->target_text, "K");
    same_in_a_shell(&s, "patch-grid --ablate mean --grid layer-band");
    same_in_a_shell(&s, "patch-grid --ablate mean --grid layer-block --metric entropy");
    stage_free(&s);
}

Test(patch_session, what_is_refused)
{
    struct stage s = stage_new(tiny_esm2_shape, "input <mask>KTVRAG");
    refuse(&s, "patch-grid", "--corrupt");
    refuse(&s, "patch-grid --corrupt '<mask>RRLEAG' --ablate zero", "--corrupt");
    refuse(&s, "patch-grid --corrupt '<mask>RRLEA'", "8");
    refuse(&s, "patch-grid --ablate zero --target Met", "no token");
    refuse(&s, "patch-grid --ablate zero --token 9", "the last one is 8");
    cr_assert_eq(s.session->patching.state, SX_STATE_EMPTY);
    do_line(&s, "patch-grid --corrupt '<mask>R<mask>LEAG'");
    cr_assert_eq(s.session->patching.state, SX_STATE_FAILED);
    cr_assert(strstr(s.session->patching.error.message, "masks"));
    do_line(&s, "input MK");
    cr_assert_eq(s.session->patching.state, SX_STATE_EMPTY);
    stage_free(&s);
}

/* Large enough that it is cancelled in the middle. */
static const struct tiny_shape slow_shape = {SX_MODEL_ESM2, 6, 320, 20, 1280, 33, 8};

static size_t finite_cells(const struct sx_scan_result *result)
{
    size_t n = 0;
    for (size_t i = 0; result->value && i < result->rows * result->columns; i++)
        n += isfinite(result->value[i]) != 0;
    return n;
}

Test(patch_session, cells_arrive_and_a_cancelled_scan_keeps_them)
{
    struct stage s = stage_new(slow_shape, "input"); /* the example, 78 tokens */
    do_line(&s, "mask --token 1");
    const struct sx_patching_data *data = &s.session->patching;
    struct sx_error err = {0};
    cr_assert_eq(
        sx_run_submit_line(s.run, "patch-grid --ablate zero --grid layer-token", NULL, &err), SX_OK,
        "%s", err.message);
    cr_assert_eq(data->state, SX_STATE_PENDING);
    cr_assert(data->result.grid == SX_GRID_LAYER_TOKEN && data->result.n_done == 0);
    const double until = sx_clock() + 60;
    while (data->result.n_done == 0 && sx_clock() < until) {
        struct pollfd fd = {.fd = sx_run_wake_fd(s.run), .events = POLLIN};
        poll(&fd, 1, 100);
        sx_run_apply(s.run);
    }
    cr_assert_eq(data->state, SX_STATE_PENDING);
    const size_t seen = data->result.n_done;
    cr_assert(seen > 0 && seen == finite_cells(&data->result));
    sx_run_cancel_all(s.run);
    sx_run_wait_idle(s.run);
    cr_assert_eq(data->state, SX_STATE_FAILED);
    cr_assert_eq(data->error.status, SX_CANCELLED);
    cr_assert(data->result.n_done >= seen &&
              data->result.n_done < data->result.rows * data->result.columns);
    cr_assert_eq(finite_cells(&data->result), data->result.n_done);
    cr_assert(isfinite(data->result.clean) && data->seconds > 0);
    /* Asked again, superseded: the newer one alone is heard. */
    cr_assert_eq(
        sx_run_submit_line(s.run, "patch-grid --ablate zero --grid layer-token", NULL, NULL),
        SX_OK);
    cr_assert_eq(data->result.n_done, 0);
    do_line(&s, "patch-grid --ablate zero --grid layer-block");
    cr_assert(data->state == SX_STATE_READY && data->result.n_done == 12);
    stage_free(&s);
}
