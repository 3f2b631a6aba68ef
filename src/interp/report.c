/* The study: heads are found on the first third of the proteins, the rest is measured. One protein
 * after the other goes through all claims, so that its passes are kept for no longer than that. */
#include "sextant/interp/report.h"

#include <math.h>
#include <string.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/interp/names.h"
#include "sextant/model/tokenizer.h"

enum { LEAST_RESIDUES = 24, MARGIN = 8, MOST_FIND = 24 };

const char *sx_report_text(struct sx_study *study, const char *fmt, ...)
{
    struct sx_str text = SX_STR_INIT;
    va_list args;
    va_start(args, fmt);
    sx_str_vprintf(&text, fmt, args);
    va_end(args);
    const char *kept = sx_arena_strdup(study->report->arena, text.data);
    sx_str_release(&text);
    return kept;
}

const char *sx_report_percent(struct sx_study *study, const struct sx_interval *x)
{
    const double percent = round(100 * x->value);
    return isfinite(percent) ? sx_report_text(study, "%.0f %%", percent == 0 ? 0 : percent)
                             : "an unknown part";
}

/* --- series and sums ----------------------------------------------------------------------------
 */

static double *series(struct sx_study *study, const char *key)
{
    const size_t n = study->input->n_proteins;
    for (size_t i = 0; i < study->n_series; i++)
        if (strcmp(study->series[i].key, key) == 0)
            return study->series[i].value;
    SX_GROW(study->series, study->series_room, study->n_series + 1);
    struct sx_series *made = &study->series[study->n_series++];
    *made = (struct sx_series){.key = sx_arena_strdup(study->report->arena, key),
                               .value = sx_xcalloc(n + 1, sizeof *made->value)};
    for (size_t i = 0; i < n; i++)
        made->value[i] = (double)NAN;
    return made->value;
}

void sx_study_set(struct sx_study *study, const char *key, double value)
{
    series(study, key)[study->protein] = value;
}

const double *sx_study_series(struct sx_study *study, const char *key)
{
    return series(study, key) + study->first;
}

struct sx_interval sx_study_mean(struct sx_study *study, const char *key)
{
    return sx_bootstrap_mean(sx_study_series(study, key), study->n - study->first,
                             study->input->seed);
}

struct sx_interval sx_study_ratio(struct sx_study *study, const char *above, const char *below)
{
    const double *numerator = sx_study_series(study, above);
    const double *denominator = sx_study_series(study, below);
    return sx_bootstrap_ratio(numerator, denominator, study->n - study->first, study->input->seed);
}

static struct sx_sums *sums(struct sx_study *study, const char *key, size_t rows, size_t columns)
{
    for (size_t i = 0; i < study->n_sums; i++)
        if (strcmp(study->sums[i].key, key) == 0)
            return &study->sums[i];
    SX_GROW(study->sums, study->sums_room, study->n_sums + 1);
    struct sx_sums *made = &study->sums[study->n_sums++];
    *made = (struct sx_sums){
        .key = sx_arena_strdup(study->report->arena, key), .rows = rows, .columns = columns};
    made->sum = sx_xcalloc(rows * columns + 1, sizeof *made->sum);
    made->count = sx_xcalloc(rows * columns + 1, sizeof *made->count);
    return made;
}

void sx_study_add(struct sx_study *study, const char *key, size_t rows, size_t columns, size_t row,
                  size_t column, double value)
{
    struct sx_sums *grid = sums(study, key, rows, columns);
    SX_ASSERT(grid->rows == rows && grid->columns == columns && row < rows && column < columns);
    grid->sum[row * columns + column] += value;
    grid->count[row * columns + column]++;
}

double sx_study_sum_mean(const struct sx_study *study, const char *key, size_t row, size_t column)
{
    for (size_t i = 0; i < study->n_sums; i++) {
        const struct sx_sums *grid = &study->sums[i];
        const size_t cell = row * grid->columns + column;
        if (strcmp(grid->key, key) == 0)
            return grid->count[cell] ? grid->sum[cell] / (double)grid->count[cell] : (double)NAN;
    }
    return (double)NAN;
}

/* --- one protein --------------------------------------------------------------------------------
 */

/* A residue that is not M, away from both ends and from `not`. */
static uint32_t interior_token(const struct sx_report_protein *protein, struct sx_rng *rng,
                               uint32_t not )
{
    const size_t residues = protein->n - 2;
    uint32_t token = MARGIN;
    for (int tries = 0; tries < 64; tries++) {
        token = (uint32_t)(MARGIN + sx_rng_below(rng, residues - (size_t)2 * MARGIN + 1));
        if (protein->ids[token] != SX_ESM_M && token != not )
            break;
    }
    return token;
}

static void sites_release(struct sx_sites *sites)
{
    sx_site_release(&sites->first);
    sx_site_release(&sites->inside);
    sx_site_release(&sites->elsewhere);
}

static enum sx_status measure(struct sx_study *study, size_t protein, struct sx_site *before,
                              struct sx_error *err)
{
    static enum sx_status (*const measures[])(struct sx_study *, const struct sx_sites *,
                                              struct sx_error *) = {
        sx_c1_measure, sx_c2_measure, sx_c3_measure, sx_c4_measure,
        sx_c5_measure, sx_c7_measure, sx_c8_measure};
    const struct sx_report_protein *p = &study->input->proteins[protein];
    struct sx_rng rng = sx_rng_make(study->input->seed, 100 + protein);
    const uint32_t inside = interior_token(p, &rng, 0);
    const uint32_t elsewhere = interior_token(p, &rng, inside);
    struct sx_sites sites = {.other = before};
    enum sx_status status = sx_site_make(study, p, 1, &sites.first, err);

    study->protein = protein;
    if (protein == study->first) {
        study->report->example = protein;
        study->report->example_inside = inside;
    }
    if (status == SX_OK)
        status = sx_site_make(study, p, inside, &sites.inside, err);
    if (status == SX_OK)
        status = sx_site_make(study, p, elsewhere, &sites.elsewhere, err);
    for (size_t i = 0; i < sizeof measures / sizeof *measures && status == SX_OK; i++)
        status = measures[i](study, &sites, err);
    /* The next protein borrows this one's BOS. */
    sx_site_release(before);
    *before = sites.first;
    sites.first = (struct sx_site){0};
    sites_release(&sites);
    return status;
}

/* --- the claims ---------------------------------------------------------------------------------
 */

/* A number that is the mean of the series of its name has one for the example protein too. */
static void tell_example(struct sx_study *study, struct sx_report_number *number)
{
    for (size_t i = 0; i < study->n_series; i++) {
        const double *values = study->series[i].value;
        double sum = 0;
        double n = 0;
        if (strcmp(study->series[i].key, number->key) != 0)
            continue;
        for (size_t p = study->first; p < study->n; p++)
            if (!isnan(values[p])) {
                sum += values[p];
                n++;
            }
        if (sum / n == number->x.value)
            number->example = values[study->report->example];
    }
}

static void conclude(struct sx_study *study)
{
    static void (*const conclusions[SX_REPORT_CLAIMS])(struct sx_study *,
                                                       struct sx_report_claim *) = {
        sx_c1_conclude, sx_c2_conclude, sx_c3_conclude, sx_c4_conclude,
        sx_c5_conclude, sx_c6_conclude, sx_c7_conclude, sx_c8_conclude};
    for (size_t i = 0; i < SX_REPORT_CLAIMS; i++) {
        struct sx_report_claim *claim = &study->report->claims[i];
        claim->id = sx_report_text(study, "C%zu", i + 1);
        claim->caveat = "";
        conclusions[i](study, claim);
        sx_claim_decide(claim);
        for (size_t k = 0; k < claim->n_numbers; k++)
            tell_example(study, &claim->numbers[k]);
    }
}

static enum sx_status check(const struct sx_model_info *info, const struct sx_report_input *input,
                            struct sx_error *err)
{
    if (info->family != SX_MODEL_ESM2)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "report: %s is GPT-NeoX; the claims are about ESM-2 and its masked residues",
                       info->name);
    if (!info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "report: %s has no language model head",
                       info->path);
    if (input->n_proteins < 3)
        return sx_fail(err, SX_ERR_USAGE,
                       "report: %zu proteins that start with Met; at least 3 are needed",
                       input->n_proteins);
    for (size_t i = 0; i < input->n_proteins; i++)
        if (input->proteins[i].n < LEAST_RESIDUES + 2)
            return sx_fail(err, SX_ERR_USAGE, "report: %s has %zu residues; at least %d are needed",
                           input->proteins[i].id, input->proteins[i].n - 2, LEAST_RESIDUES);
    return SX_OK;
}

static void study_release(struct sx_study *study)
{
    for (size_t i = 0; i < study->n_series; i++)
        sx_free(study->series[i].value);
    for (size_t i = 0; i < study->n_sums; i++) {
        sx_free(study->sums[i].sum);
        sx_free(study->sums[i].count);
    }
    sx_free(study->series);
    sx_free(study->sums);
    sx_head_set_release(&study->readout);
    sx_head_set_release(&study->context);
    sx_head_set_release(&study->control);
    sx_head_set_release(&study->all);
}

static void make_sets(struct sx_study *study)
{
    const size_t layers = (size_t)study->info->n_layers;
    const size_t heads = (size_t)study->info->n_heads;
    struct sx_head_set *const sets[] = {&study->readout, &study->context, &study->control,
                                        &study->all};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        sx_head_set_init(sets[i], layers, heads);
    for (size_t l = 0; l < layers; l++)
        for (uint32_t h = 0; h < heads; h++)
            sx_head_set_add(&study->all, l, h);
}

enum sx_status sx_report_run(struct sx_runner *runner, const struct sx_report_input *input,
                             struct sx_task *task, struct sx_report *out, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(sx_runner_model(runner));
    struct sx_study study = {
        .runner = runner, .info = info, .input = input, .report = out, .task = task};
    struct sx_site before = {0};

    *out = (struct sx_report){0};
    SX_TRY(check(info, input, err));
    out->arena = sx_arena_new();
    study.n = study.total = input->n_proteins;
    study.first = input->n_proteins / 3 < MOST_FIND ? input->n_proteins / 3 : MOST_FIND;
    out->n_find = study.first;
    out->n_measure = study.n - study.first;
    make_sets(&study);
    enum sx_status status = sx_query_weights(&study, err);
    if (status == SX_OK)
        status = sx_report_find_heads(&study, err);
    if (status == SX_OK) /* the BOS that the first measured protein is given */
        status = sx_site_make(&study, &input->proteins[study.first - 1], 1, &before, err);
    for (size_t i = study.first; i < study.n && status == SX_OK; i++) {
        study.done = i;
        status = sx_task_step(task, study.done, study.total);
        if (status == SX_OK)
            status = measure(&study, i, &before, err);
    }
    if (status == SX_OK)
        conclude(&study);
    sx_site_release(&before);
    study_release(&study);
    return status;
}

void sx_report_release(struct sx_report *report)
{
    for (size_t i = 0; i < SX_REPORT_CLAIMS; i++) {
        struct sx_report_claim *claim = &report->claims[i];
        for (size_t g = 0; g < claim->n_grids; g++)
            sx_free(claim->grids[g].value);
        sx_free(claim->conditions);
        sx_free(claim->numbers);
        sx_free(claim->grids);
        sx_free(claim->commands);
    }
    sx_free(report->heads);
    sx_arena_free(report->arena);
    *report = (struct sx_report){0};
}
