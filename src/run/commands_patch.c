/* patch and ablate: grids of changes to one run, on the command line. */
#include "commands_private.h"

#include <math.h>
#include <string.h>

#include "answer.h"
#include "document.h"
#include "measure_scan.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/interp/results.h"

struct scan_command {
    struct sx_job *job;
    struct sx_model *model;
    struct sx_runner *runner;
    struct sx_ids clean, corrupt;
    struct sx_model_inputs inputs; /* the reference set */
    struct sx_reference *references;
    struct sx_value *warnings;
    struct sx_grid_request request;
    struct sx_scan_result result;
    double *spread;
    size_t n_seeds;
    double together, started;
};

static bool flag(const struct sx_value *args, const char *name)
{
    return sx_value_bool_or(sx_value_get(args, name), false);
}

static void release(struct scan_command *s)
{
    sx_scan_result_release(&s->result);
    sx_model_inputs_release(&s->inputs);
    sx_value_free(s->warnings);
    sx_free(s->references);
    sx_free(s->spread);
    sx_ids_release(&s->clean);
    sx_ids_release(&s->corrupt);
    sx_runner_free(s->runner);
    sx_model_unref(s->model);
}

static struct sx_sequence sequence_of(const struct scan_command *s, const struct sx_ids *ids)
{
    const double scale = sx_value_real_or(sx_value_get(s->job->args, "embed-scale"), NAN);
    return (struct sx_sequence){.ids = ids->ids, .n = ids->n, .embed_scale = (float)scale};
}

static enum sx_status open_model(struct scan_command *s, struct sx_error *err)
{
    const struct sx_job *job = s->job;
    const double scale = sx_value_real_or(sx_value_get(job->args, "embed-scale"), NAN);
    if (scale <= 0)
        return sx_fail(err, SX_ERR_USAGE, "%s: --embed-scale must be above 0", job->command->name);
    SX_TRY(sx_model_use(job->args, &s->model, &s->runner, err));
    return sx_model_must_predict(s->model, job->command->name, err);
}

/* What `patch` and `ablate` have in common; site, how and base are there. */
static enum sx_status fill_request(struct scan_command *s, const struct sx_ids *ids,
                                   struct sx_error *err)
{
    const struct sx_value *args = s->job->args;
    const char *name = s->job->command->name;
    struct sx_grid_request *request = &s->request;
    if (flag(args, "at-token") && flag(args, "all-tokens"))
        return sx_fail(err, SX_ERR_USAGE, "%s: --at-token or --all-tokens, not both", name);
    SX_TRY(sx_scan_token(name, args, s->model, ids->ids, ids->n, &request->token, err));
    SX_TRY(sx_scan_metric(name, args, s->model, ids->ids, ids->n, request->token, &request->metric,
                          err));
    request->keys = strcmp(sx_arg_text(args, "side"), "key") == 0;
    request->all_tokens =
        flag(args, "all-tokens") || (sx_scan_all_tokens(request->site) && !flag(args, "at-token"));
    request->limits.max_bytes =
        (uint64_t)(sx_value_real_or(sx_value_get(args, "max-memory"), 2) * (double)(1 << 30));
    return SX_OK;
}

static void tell(struct scan_command *s)
{
    const struct sx_scan_told told = {.model = s->model,
                                      .request = &s->request,
                                      .result = &s->result,
                                      .spread = s->spread,
                                      .n_seeds = s->n_seeds,
                                      .together = s->together,
                                      .seconds = sx_clock() - s->started};
    s->job->document = sx_scan_document(&told);
    if (s->warnings)
        sx_value_set(s->job->document, "warnings", s->warnings);
    s->warnings = NULL;
    if (s->inputs.warnings)
        sx_model_inputs_tell(&s->inputs, s->job->document);
    if (s->request.site == SX_SITE_BAND)
        sx_document_text(s->job->document, "side", s->request.keys ? "key" : "query");
}

/* For the explorer, when --out asks for it. */
static enum sx_status keep(const struct scan_command *s, struct sx_error *err)
{
    const char *corrupt = sx_arg_text(s->job->args, "corrupt");
    char *text = sx_xstrdup(corrupt);
    struct sx_patching_data kept = {
        .result = s->result, .corrupt = text, .seconds = sx_clock() - s->started};
    sx_answer_label(s->model, s->result.target, kept.target_text, sizeof kept.target_text);
    sx_scan_what(&s->request, kept.what, sizeof kept.what);
    const enum sx_status status =
        sx_answer_keep(s->job, s->model, s->clean.ids, s->clean.n, SX_SLOT_PATCHING, &kept, err);
    sx_free(text);
    return status;
}

/* --- patch --------------------------------------------------------------------------------------
 */

static enum sx_status read_pair(struct scan_command *s, struct sx_error *err)
{
    const struct sx_value *args = s->job->args;
    SX_TRY(sx_scan_text("patch", "clean", s->model, sx_arg_text(args, "clean"), &s->clean,
                        &s->warnings, err));
    SX_TRY(sx_scan_text("patch", "corrupt", s->model, sx_arg_text(args, "corrupt"), &s->corrupt,
                        &s->warnings, err));
    s->request.source = sequence_of(s, &s->clean);
    s->request.base = sequence_of(s, &s->corrupt);
    return SX_OK;
}

static enum sx_status patch(struct scan_command *s, struct sx_error *err)
{
    const struct sx_value *args = s->job->args;
    const int64_t from = sx_value_int_or(sx_value_get(args, "from-token"), -1);
    enum sx_grid grid = SX_GRID_LAYER_HEAD;
    if (!sx_grid_find(sx_arg_text(args, "grid"), &grid))
        return sx_fail(err, SX_ERR_USAGE, "patch: --grid %s is not known",
                       sx_arg_text(args, "grid"));
    if (!sx_band_part_find(sx_arg_text(args, "band-part"), &s->request.band_part))
        return sx_fail(err, SX_ERR_USAGE, "patch: --band-part %s is not known",
                       sx_arg_text(args, "band-part"));
    s->request.how = SX_HOW_PATCH;
    s->request.site = sx_grid_site(grid);
    s->request.rotated = flag(args, "rotated");
    s->request.source_token = from < 0 ? SIZE_MAX : (size_t)from;
    SX_TRY(open_model(s, err));
    SX_TRY(read_pair(s, err));
    SX_TRY(fill_request(s, &s->corrupt, err));
    if (from >= 0 && !flag(args, "all-tokens"))
        s->request.all_tokens = false;
    SX_TRY(sx_grid_run(s->runner, &s->request, &s->result, NULL, NULL, &s->job->task, err));
    tell(s);
    sx_document_text(s->job->document, "clean_seq", sx_arg_text(args, "clean"));
    sx_document_text(s->job->document, "corrupt_seq", sx_arg_text(args, "corrupt"));
    if (s->request.site == SX_SITE_BAND)
        sx_document_text(s->job->document, "band_part", sx_band_part_name(s->request.band_part));
    return keep(s, err);
}

SX_RUN(patch)
{
    struct scan_command s = {.job = job, .together = NAN, .started = sx_clock()};
    const enum sx_status status = patch(&s, err);
    release(&s);
    return status;
}

SX_PRINT(patch)
{
    sx_scan_print(document, out);
}

/* --- ablate -------------------------------------------------------------------------------------
 */

static enum sx_status choose_site(struct scan_command *s, struct sx_error *err)
{
    const struct sx_value *args = s->job->args;
    const char *site = sx_arg_text(args, "site"), *how = sx_arg_text(args, "how");
    const bool knockout = strcmp(site, "bos-knockout") == 0;
    if (!sx_site_find(knockout ? "bos-edge" : site, &s->request.site))
        return sx_fail(err, SX_ERR_USAGE, "ablate: --site %s is not known", site);
    const bool edge = s->request.site == SX_SITE_EDGE || s->request.site == SX_SITE_BOS_EDGE;
    s->request.how = edge ? SX_HOW_KNOCKOUT : SX_HOW_ZERO;
    if (how && !sx_how_find(how, &s->request.how))
        return sx_fail(err, SX_ERR_USAGE, "ablate: --how %s is not known", how);
    if (knockout && s->request.how != SX_HOW_KNOCKOUT)
        return sx_fail(err, SX_ERR_USAGE,
                       "ablate: bos-knockout is a way of its own; --site bos-edge --how %s takes "
                       "the value alone",
                       how);
    return SX_OK;
}

/* References play the measured token's role where that is a mask: the same residue is masked. */
static enum sx_status read_references(struct scan_command *s, struct sx_error *err)
{
    const struct sx_value *args = s->job->args;
    const char *path = sx_arg_text(args, "reference");
    const size_t token = s->request.token;
    if (!path)
        return SX_OK;
    struct sx_value *only = sx_value_map();
    sx_value_set(only, "fasta", sx_value_string(path));
    const enum sx_status status = sx_model_inputs_read("ablate", only, s->model, &s->inputs, err);
    sx_value_free(only);
    SX_TRY(status);
    s->references = sx_xcalloc(s->inputs.n + 1, sizeof *s->references);
    const bool mask = s->clean.ids[token] == SX_ESM_MASK;
    for (size_t i = 0; i < s->inputs.n; i++) {
        struct sx_ids *ids = &s->inputs.item[i].ids;
        const bool role = mask && token + 1 < ids->n && sx_is_amino_acid(ids->ids[token]);
        s->references[i] = (struct sx_reference){ids->ids, ids->n, role ? token : SIZE_MAX};
        if (role)
            ids->ids[token] = SX_ESM_MASK;
    }
    s->request.references = s->references;
    s->request.n_references = s->inputs.n;
    return SX_OK;
}

static enum sx_status run_seeds(struct scan_command *s, struct sx_error *err)
{
    const int64_t first = sx_value_int_or(sx_value_get(s->job->args, "seed"), 0);
    const size_t n = s->n_seeds;
    double together = 0, *sum = NULL, *squares = NULL;
    enum sx_status status = SX_OK;
    for (size_t i = 0; status == SX_OK && i < n; i++) {
        sx_scan_result_release(&s->result);
        s->request.seed = (uint64_t)first + i;
        status = sx_grid_run(s->runner, &s->request, &s->result, NULL, NULL, &s->job->task, err);
        const size_t cells = s->result.rows * s->result.columns;
        sum = sum ? sum : sx_xcalloc(cells + 1, sizeof *sum);
        squares = squares ? squares : sx_xcalloc(cells + 1, sizeof *squares);
        for (size_t c = 0; status == SX_OK && c < cells; c++) {
            sum[c] += (double)s->result.value[c];
            squares[c] += (double)s->result.value[c] * (double)s->result.value[c];
        }
        together += s->together;
    }
    for (size_t c = 0; status == SX_OK && n > 1 && c < s->result.rows * s->result.columns; c++) {
        const double mean = sum[c] / (double)n;
        const double variance = (squares[c] - (double)n * mean * mean) / (double)(n - 1);
        s->result.value[c] = (float)mean;
        squares[c] = variance > 0 ? sqrt(variance) : 0;
    }
    s->together = together / (double)n;
    sx_free(sum);
    if (n > 1)
        s->spread = squares;
    else
        sx_free(squares);
    return status;
}

static enum sx_status ablate(struct scan_command *s, struct sx_error *err)
{
    const struct sx_value *args = s->job->args;
    SX_TRY(choose_site(s, err));
    s->n_seeds = (size_t)sx_value_int_or(sx_value_get(args, "seeds"), 1);
    if (s->n_seeds > 1 && s->request.how != SX_HOW_RESAMPLE)
        return sx_fail(err, SX_ERR_USAGE, "ablate: --seeds is for --how resample");
    SX_TRY(open_model(s, err));
    SX_TRY(sx_scan_text("ablate", "seq", s->model, sx_arg_text(args, "seq"), &s->clean,
                        &s->warnings, err));
    s->request.base = sequence_of(s, &s->clean);
    s->request.source_token = SIZE_MAX;
    SX_TRY(fill_request(s, &s->clean, err));
    SX_TRY(read_references(s, err));
    s->request.together = &s->together;
    SX_TRY(run_seeds(s, err));
    tell(s);
    sx_document_text(s->job->document, "seq", sx_arg_text(args, "seq"));
    return keep(s, err);
}

SX_RUN(ablate)
{
    struct scan_command s = {.job = job, .together = NAN, .started = sx_clock()};
    const enum sx_status status = ablate(&s, err);
    release(&s);
    return status;
}

SX_PRINT(ablate)
{
    sx_scan_print(document, out);
}
