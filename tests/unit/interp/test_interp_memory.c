/* Memory may run out wherever tensors are made: also where weights that are stored in 16 bits are
 * widened, long after the model was opened. */
#include "forward_fixture.h"
#include "memory_runs_out.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/bands.h"
#include "sextant/interp/circuit.h"
#include "sextant/interp/composition.h"
#include "sextant/interp/lens.h"
#include "sextant/interp/report.h"
#include "sextant/interp/results.h"
#include "sextant/interp/scan.h"
#include "sextant/model/tokenizer.h"

enum { D = 16, HEAD = 8, V = 33, N = 9 };
static const int32_t ids[] = {0, 32, 15, 11, 7, 19, 4, 4, 2};
static const struct sx_sequence sequence = {.ids = ids, .n = N, .embed_scale = NAN};

static struct fixture open_bf16(void)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    struct fixture f = fixture_open(&m, &(struct tiny_options){.dtype = SX_DTYPE_BF16}, 1);
    tiny_release(&m);
    return f;
}

/* How many allocations failed, each answered. The runner is the child's own. */
static int failures(enum sx_status (*work)(const void *, struct sx_error *))
{
    struct fixture f = open_bf16();
    const int n = memory_runs_out(work, &f);
    fixture_close(&f);
    return n;
}

/* --- weights alone ------------------------------------------------------------------------------
 */

static enum sx_status qk_terms(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    const float row[D] = {1, 2};
    struct sx_qk_terms terms;
    return sx_qk_terms(f->model, 1, 1, row, 3, row, 0, &terms, err);
}

static enum sx_status ov_values(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    double values[HEAD];
    return sx_ov_singular_values(f->model, 1, 1, values, err);
}

static enum sx_status qk_values(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    double values[HEAD];
    return sx_qk_singular_values(f->model, 1, 1, values, err);
}

static enum sx_status readout(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    const double w[D] = {1, 2};
    const float v[D] = {3, 4};
    double out[2];
    return sx_head_readout(f->model, 1, w, v, 1, out, err);
}

static enum sx_status head(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    const float resid[D] = {1, 2};
    struct sx_frozen_head *frozen = NULL;
    const enum sx_status status = sx_frozen_head_new(f->model, resid, SX_HEAD_SECANT, &frozen, err);
    sx_frozen_head_free(frozen);
    return status;
}

static enum sx_status profile(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    double scores[2 * 4 * 8];
    return sx_position_profile(f->model, 1, 8, 0, scores, err);
}

Test(interp_memory, widening_that_fails_is_an_answer)
{
    cr_assert_eq(failures(qk_terms), 2);
    cr_assert_eq(failures(ov_values), 2);
    cr_assert_eq(failures(qk_values), 2);
    cr_assert_eq(failures(readout), 1);
    cr_assert_eq(failures(head), 2);
    cr_assert_eq(failures(profile), 2 * 6 + 1);
}

Test(interp_memory, the_message_names_the_model_and_the_layer)
{
    struct fixture f = open_bf16();
    const double w[D] = {1};
    const float v[D] = {1};
    double out[2];
    struct sx_error err = {0};
    setenv("SX_FAIL_ALLOC", "1", 1);
    cr_assert_eq(sx_head_readout(f.model, 1, w, v, 1, out, &err), SX_ERR_NOMEM);
    cr_assert(strstr(err.message, f.folder) && strstr(err.message, "layer 1"), "%s", err.message);
    cr_assert_eq(sx_head_readout(f.model, 1, w, v, 1, out, &err), SX_OK, "the next time it works");
    fixture_close(&f);
}

/* --- whole measurements -------------------------------------------------------------------------
 */

static enum sx_status ov_readout(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    struct sx_runner *runner = sx_runner_new(f->model, 1);
    const int32_t targets[] = {20, 5};
    double written[2 * 2 * 2], attention[2 * 2];
    const enum sx_status status = sx_ov_readout(runner, &sequence, 1, 0, targets, 2,
                                                SX_AGAINST_MEAN, written, attention, NULL, err);
    sx_runner_free(runner);
    return status;
}

static enum sx_status attribution(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    struct sx_runner *runner = sx_runner_new(f->model, 1);
    const struct sx_attribution_point point = {&sequence, 1, 20, SX_AGAINST_MEAN};
    const struct sx_attribution_options options = {.sources = true, .linearised = true};
    struct sx_attribution_result result = {0};
    const enum sx_status status = sx_attribute(runner, &point, 1, &options, &result, NULL, err);
    sx_attribution_result_release(&result);
    sx_runner_free(runner);
    return status;
}

static enum sx_status composition(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    struct sx_runner *runner = sx_runner_new(f->model, 1);
    struct sx_composition_ask ask = {.layer = 1, .query = 1, .target = 20, .pairs = true};
    double attention[2 * 2 + 5], logit[2 * 2 + 5];
    enum sx_status status = SX_OK;
    for (int side = SX_OF_QUERY; side <= SX_OF_VALUE && status == SX_OK; side++) {
        struct sx_composition_result result = {0};
        ask.side = (enum sx_side_of_score)side;
        ask.pairs = side != SX_OF_VALUE;
        status = sx_compose(runner, &sequence, &ask, &result, NULL, err);
        sx_composition_result_release(&result);
    }
    if (status == SX_OK)
        status = sx_path_ablation(runner, &sequence, &ask, attention, logit, NULL, err);
    sx_runner_free(runner);
    return status;
}

static enum sx_status bands(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    struct sx_runner *runner = sx_runner_new(f->model, 1);
    const uint32_t at[] = {1, 3};
    const struct sx_bands_ask ask = {.a = {&sequence, 1, 0},
                                     .b = {&sequence, 5, 0},
                                     .target = 20,
                                     .profile_at = at,
                                     .n_profile = 2,
                                     .original = -1};
    const struct sx_head_ask one = {.sequence = &sequence, .layer = 1, .removed = 1, .target = 20};
    struct sx_bands_result result = {0};
    struct sx_head_result of_head = {0};
    struct sx_band_survey survey = {0};
    enum sx_status status = sx_bands_measure(runner, &ask, 1, &result, NULL, err);
    if (status == SX_OK)
        status = sx_head_measure(runner, &one, &of_head, NULL, err);
    if (status == SX_OK)
        status = sx_band_survey_run(runner, &sequence, 1, &survey, NULL, err);
    sx_bands_result_release(&result);
    sx_head_result_release(&of_head);
    sx_band_survey_release(&survey);
    sx_runner_free(runner);
    return status;
}

static enum sx_status lens(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    struct sx_runner *runner = sx_runner_new(f->model, 1);
    float centred[3 * N], p[3 * N];
    const struct sx_lens out = {.centred = centred, .p = p};
    const enum sx_status status = sx_lens_run(runner, &sequence, ids, &out, NULL, err);
    sx_runner_free(runner);
    return status;
}

static enum sx_status grids(const void *with, struct sx_error *err)
{
    static const int32_t other[] = {0, 32, 9, 11, 8, 19, 4, 5, 2};
    const struct fixture *f = with;
    struct sx_runner *runner = sx_runner_new(f->model, 1);
    struct sx_grid_request request = {.metric =
                                          sx_metric_of_model(f->info, SX_METRIC_CENTRED, 20, -1),
                                      .base = sequence,
                                      .token = 1,
                                      .source = {.ids = other, .n = N, .embed_scale = NAN},
                                      .source_token = SIZE_MAX};
    enum sx_status status = SX_OK;
    for (int site = 0; site < SX_SITE_COUNT && status == SX_OK; site++)
        for (int how = SX_HOW_PATCH; how <= SX_HOW_MEAN && status == SX_OK; how++) {
            struct sx_scan_result result = {0};
            request.site = (enum sx_site)site;
            request.how = (enum sx_how)how;
            status = sx_grid_run(runner, &request, &result, NULL, NULL, NULL, err);
            sx_scan_result_release(&result);
            if (status == SX_ERR_USAGE) /* not every site can be had in every way */
                status = SX_OK;
        }
    sx_runner_free(runner);
    return status;
}

static void look(void *context, size_t index, const float *logits)
{
    float *sum = context;
    sum[index] = logits[0];
}

static enum sx_status trials(const void *with, struct sx_error *err)
{
    const struct fixture *f = with;
    struct sx_runner *runner = sx_runner_new(f->model, 1);
    const struct sx_trial two[] = {{.sequence = sequence, .token = 1},
                                   {.sequence = sequence, .token = 2}};
    float seen[2];
    const enum sx_status status = sx_trials_run(runner, two, 2, NULL, look, seen, NULL, err);
    sx_runner_free(runner);
    return status;
}

static enum sx_status report(const void *with, struct sx_error *err)
{
    enum { PROTEINS = 3, TOKENS = 28 };
    const struct fixture *f = with;
    struct sx_runner *runner = sx_runner_new(f->model, 1);
    int32_t tokens[PROTEINS][TOKENS];
    struct sx_report_protein proteins[PROTEINS];
    struct sx_report out = {0};
    for (int p = 0; p < PROTEINS; p++) {
        fixture_ids(f, tokens[p], TOKENS, (uint64_t)p);
        tokens[p][1] = SX_ESM_M;
        tokens[p][TOKENS / 3 + 1] = SX_ESM_FIRST_RESIDUE;
        proteins[p] = (struct sx_report_protein){.id = "p", .ids = tokens[p], .n = TOKENS};
    }
    const struct sx_report_input input = {.proteins = proteins, .n_proteins = PROTEINS, .seed = 1};
    const enum sx_status status = sx_report_run(runner, &input, NULL, &out, err);
    sx_report_release(&out);
    sx_runner_free(runner);
    return status;
}

Test(interp_memory, every_measurement_answers)
{
    cr_expect_gt(failures(ov_readout), 12);
    cr_expect_gt(failures(attribution), 20);
    cr_expect_gt(failures(composition), 12);
    cr_expect_gt(failures(bands), 10);
    cr_expect_gt(failures(lens), 2);
    cr_expect_gt(failures(grids), 5);
    cr_expect_gt(failures(trials), 1);
    cr_expect_gt(failures(report), 20);
}
