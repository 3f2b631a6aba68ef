/* band-means and band-interval: the rotary bands of one query and key in every sequence of a file,
 * with intervals, as `bands` gives them on the command line. */
#include "commands_private.h"

#include <math.h>
#include <string.h>

#include "bands_many.h"
#include "document.h"
#include "pass_job.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/results.h"

/* --- band-means ---------------------------------------------------------------------------------
 */

struct question {
    struct sx_bands_many_ask ask;
    char *fasta;
};

static void question_free(void *p)
{
    struct question *q = p;
    sx_free(q->fasta);
    sx_free(q);
}

static char *means_line(const struct sx_model *model, const struct question *q)
{
    struct sx_str line = SX_STR_INIT;
    sx_str_append(&line, "sextant bands ");
    sx_command_quote(sx_model_info(model)->path, &line);
    sx_str_append(&line, " --fasta ");
    sx_command_quote(q->fasta, &line);
    sx_str_printf(&line, "%s --query %zu --key %zu --against %zu", q->ask.mask ? " --mask" : "",
                  q->ask.query, q->ask.key, q->ask.against);
    return sx_str_take(&line);
}

/* A is the input as it is: where its query is masked, that of every sequence is. */
static enum sx_status read_question(const struct sx_session *session, const struct sx_job *job,
                                    struct sx_pass_job *in, struct sx_error *err)
{
    const struct sx_input *input = &session->input;
    const char *fasta = sx_arg_text(job->args, "fasta");
    const size_t query = session->selection.token, key = session->selection.key;
    const size_t against = sx_job_index(job, "against", session->settings.against);
    if (!fasta && !input->fasta)
        return sx_fail(err, SX_ERR_USAGE,
                       "band-means: the input is of no file; :input --fasta FILE");
    if (against == SIZE_MAX)
        return sx_fail(err, SX_ERR_USAGE, "band-means: there is no condition B; set --against");
    SX_TRY(sx_job_below(job, "query", query, in->n, err));
    SX_TRY(sx_job_below(job, "key", key, in->n, err));
    struct question *q = sx_xcalloc(1, sizeof *q);
    q->fasta = sx_xstrdup(fasta ? fasta : input->fasta);
    q->ask = (struct sx_bands_many_ask){query, key, against, input->masked[query]};
    in->question = q;
    in->question_free = question_free;
    return SX_OK;
}

SX_PREPARE(band_means)
{
    struct sx_band_means_data *data = &session->band_means;
    struct sx_pass_job *in;
    SX_TRY(sx_pass_job_take(session, job, &in, err));
    SX_TRY(read_question(session, job, in, err));
    const struct question *q = in->question;
    sx_band_means_release(data);
    data->state = SX_STATE_PENDING;
    data->serial = in->serial;
    data->fasta = sx_xstrdup(q->fasta);
    data->query = q->ask.query;
    data->key = q->ask.key;
    data->against = q->ask.against;
    data->masked = q->ask.mask;
    sx_session_touch(session, SX_SLOT_BAND_MEANS);
    return SX_OK;
}

static void means_free(void *p)
{
    sx_band_means_release(p);
    sx_free(p);
}

static enum sx_status measure(const struct sx_pass_job *in, struct sx_job *job,
                              struct sx_model_inputs *inputs, struct sx_band_means_data *data,
                              struct sx_error *err)
{
    const struct question *q = in->question;
    struct sx_value *source = sx_value_map();
    struct sx_runner *runner = NULL;
    sx_value_set(source, "fasta", sx_value_string(q->fasta));
    enum sx_status status = sx_model_inputs_read("band-means", source, in->model, inputs, err);
    sx_value_free(source);
    if (status == SX_OK)
        status = sx_pass_job_runner(in, 0, &runner, err);
    if (status == SX_OK)
        status = sx_bands_many_measure(runner, job->args, inputs, &q->ask, &data->result, &data->n,
                                       &job->task, err);
    data->n_left_out = inputs->n - data->n;
    return status;
}

SX_RUN(band_means)
{
    const struct sx_pass_job *in = job->input;
    const struct question *q = in->question;
    struct sx_band_means_data *data = sx_xcalloc(1, sizeof *data);
    struct sx_model_inputs inputs = {0};
    job->result = data;
    job->result_free = means_free;
    *data = (struct sx_band_means_data){.state = SX_STATE_READY,
                                        .serial = in->serial,
                                        .fasta = sx_xstrdup(q->fasta),
                                        .query = q->ask.query,
                                        .key = q->ask.key,
                                        .against = q->ask.against,
                                        .masked = q->ask.mask,
                                        .line = means_line(in->model, q)};
    const enum sx_status status = measure(in, job, &inputs, data, err);
    sx_model_inputs_release(&inputs);
    return status;
}

SX_APPLY(band_means)
{
    struct sx_band_means_data *data = &session->band_means;
    if (!sx_pass_job_arrives(session, job, SX_SLOT_BAND_MEANS, &data->state, &data->error))
        return;
    sx_band_means_release(data);
    *data = *(struct sx_band_means_data *)job->result;
    sx_free(job->result);
    job->result = NULL;
}

/* --- band-interval ------------------------------------------------------------------------------
 */

/* Every sequence's part of one layer's band: [n] results of one layer and one band, and what they
 * point to. */
struct cells {
    uint64_t serial;
    size_t layer, head, band, n, heads;
    struct sx_bands_result *result; /* owned [n]; of their arrays only these, [n, heads]: */
    struct sx_band *a, *b;
    struct sx_band_split *split;
};

static void cells_free(void *p)
{
    struct cells *c = p;
    sx_free(c->result);
    sx_free(c->a);
    sx_free(c->b);
    sx_free(c->split);
    sx_free(c);
}

/* The results may be replaced while the job runs: it takes its cells along. */
static struct cells *copy_cells(const struct sx_band_means_data *data, size_t layer, size_t head,
                                size_t band)
{
    struct cells *c = sx_xcalloc(1, sizeof *c);
    const size_t H = data->result->n_heads, B = data->result->n_bands;
    *c = (struct cells){.serial = data->serial,
                        .layer = layer,
                        .head = head,
                        .band = band,
                        .n = data->n,
                        .heads = H,
                        .result = sx_xcalloc(data->n, sizeof *c->result),
                        .a = sx_xcalloc(data->n * H, sizeof *c->a),
                        .b = sx_xcalloc(data->n * H, sizeof *c->b),
                        .split = sx_xcalloc(data->n * H, sizeof *c->split)};
    for (size_t i = 0; i < c->n; i++) {
        const struct sx_bands_result *from = &data->result[i];
        for (size_t h = 0; h < H; h++) {
            const size_t at = (layer * H + h) * B + band;
            c->a[i * H + h] = from->a[at];
            c->b[i * H + h] = from->b[at];
            c->split[i * H + h] = from->split[at];
        }
        c->result[i] = (struct sx_bands_result){.n_layers = 1,
                                                .n_heads = H,
                                                .n_bands = 1,
                                                .a = c->a + i * H,
                                                .b = c->b + i * H,
                                                .split = c->split + i * H};
    }
    return c;
}

SX_PREPARE(band_interval)
{
    struct sx_band_means_data *data = &session->band_means;
    const size_t layer = sx_job_index(job, "layer", session->selection.layer);
    const size_t head = sx_job_index(job, "head", SIZE_MAX);
    const size_t band = sx_job_index(job, "band", session->selection.band);
    if (data->state != SX_STATE_READY || data->serial != session->input.serial)
        return sx_fail(err, SX_ERR_USAGE, "band-interval: first :band-means");
    SX_TRY(sx_job_below(job, "layer", layer, data->result->n_layers, err));
    SX_TRY(sx_job_below(job, "head", head == SIZE_MAX ? 0 : head, data->result->n_heads, err));
    SX_TRY(sx_job_below(job, "band", band, data->result->n_bands, err));
    job->input = copy_cells(data, layer, head, band);
    job->input_free = cells_free;
    data->cell = (struct sx_band_mean){
        .state = SX_STATE_PENDING, .layer = layer, .head = head, .band = band};
    sx_session_touch(session, SX_SLOT_BAND_MEANS);
    return SX_OK;
}

SX_RUN(band_interval)
{
    const struct cells *c = job->input;
    struct sx_band_mean *cell = sx_xcalloc(1, sizeof *cell);
    struct sx_band_aggregate found;
    job->result = cell;
    job->result_free = sx_free;
    SX_TRY(sx_task_step(&job->task, 0, 1));
    sx_bands_many_cell(c->result, c->n, 0, c->head, 0, 0, &found);
    *cell = (struct sx_band_mean){
        .state = SX_STATE_READY, .layer = c->layer, .head = c->head, .band = c->band};
    for (int t = 0; t < SX_BAND_TERM_COUNT; t++)
        cell->term[t] =
            (struct sx_band_mean_term){found.term[t].value, found.term[t].lo, found.term[t].hi};
    (void)err;
    return SX_OK;
}

SX_APPLY(band_interval)
{
    const struct cells *c = job->input;
    struct sx_band_means_data *data = &session->band_means;
    struct sx_band_mean *cell = &data->cell;
    if (data->state != SX_STATE_READY || data->serial != c->serial ||
        cell->state != SX_STATE_PENDING || cell->layer != c->layer || cell->head != c->head ||
        cell->band != c->band)
        return;
    sx_session_touch(session, SX_SLOT_BAND_MEANS);
    if (job->status == SX_OK)
        *cell = *(struct sx_band_mean *)job->result;
    else
        sx_slot_fail(&cell->state, &cell->error, job->status, &job->error);
}
