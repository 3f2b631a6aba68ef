/* patch-grid in the session: cells arrive while it runs, a cancelled scan keeps them, and the line
 * beside the result gives the same on the command line. */
#include <criterion/criterion.h>
#include <math.h>
#include <poll.h>
#include <string.h>

#include "session_stage.h"
#include "sextant/base/log.h"
#include "sextant/run/commands.h"

static struct stage stage_new(struct tiny_shape shape, const char *input)
{
    struct stage s = stage_start();
    s.model = stage_model(&s, "model", shape, NULL);
    stage_open(&s);
    do_line(&s, input);
    cr_assert_eq(s.session->input.state, SX_STATE_READY);
    return s;
}

static void same_in_a_shell(struct stage *s, const char *line)
{
    const struct sx_patching_data *data = &s->session->patching;
    do_line(s, line);
    cr_assert_eq(data->state, SX_STATE_READY, "%s: %s", line, data->error.message);
    cr_assert_eq(data->result.n_done, data->result.rows * data->result.columns);
    struct sx_value *document = shell(data->line);
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
