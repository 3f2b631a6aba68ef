/* positions: a prediction against the position of the mask, and what becomes of it when positions,
 * <cls> and the context are others. */
#include "commands_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "document.h"
#include "measure_scan.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/core/stats.h"
#include "sextant/interp/edit.h"
#include "sextant/interp/metric.h"

enum { MOST_NUMBERS = 256, LABEL = 24 };

/* One number of the answer: a kind of input, over all sequences. */
struct point {
    const char *experiment;
    char label[LABEL];
    double x; /* NAN: the label says it all */
    double *value;
    size_t n, room;
};

struct variant { /* one input */
    size_t point;
    struct sx_edit edit;
    float *override; /* owned [n] or NULL */
    struct sx_position_override how;
    uint32_t band;
};

struct positions {
    struct sx_job *job;
    struct sx_model *model;
    struct sx_runner *runner;
    struct sx_model_inputs inputs;
    struct sx_metric metric;
    size_t V;
    uint64_t seed;
    struct point *points;
    size_t n_points, room_points;
    struct variant *variants; /* of the present sequence */
    size_t n_variants, room_variants;
    size_t n_sequences;
};

/* --- inputs -------------------------------------------------------------------------------------
 */

static size_t point_of(struct positions *p, const char *experiment, double x, const char *label)
{
    for (size_t i = 0; i < p->n_points; i++) {
        const struct point *point = &p->points[i];
        if (strcmp(point->experiment, experiment) == 0 && strcmp(point->label, label) == 0 &&
            (point->x == x || (isnan(x) && isnan(point->x))))
            return i;
    }
    SX_GROW(p->points, p->room_points, p->n_points + 1);
    struct point *point = &p->points[p->n_points];
    *point = (struct point){.experiment = experiment, .x = x};
    snprintf(point->label, sizeof point->label, "%s", label);
    return p->n_points++;
}

/* Takes the edit. */
static struct variant *add(struct positions *p, const char *experiment, double x, const char *label,
                           struct sx_edit take)
{
    const size_t point = point_of(p, experiment, x, label);
    SX_GROW(p->variants, p->room_variants, p->n_variants + 1);
    struct variant *variant = &p->variants[p->n_variants++];
    *variant = (struct variant){.point = point, .edit = take};
    return variant;
}

static void drop_variants(struct positions *p)
{
    for (size_t i = 0; i < p->n_variants; i++) {
        sx_edit_release(&p->variants[i].edit);
        sx_free(p->variants[i].override);
    }
    p->n_variants = 0;
}

static enum sx_status numbers(const struct positions *p, const char *option, bool whole,
                              double *out, size_t *n, struct sx_error *err)
{
    const char *text = sx_arg_text(p->job->args, option);
    *n = 0;
    for (const char *at = text; at && *at;) {
        char *end;
        const double x = strtod(at, &end);
        if (end == at || (*end && *end != ',') || !isfinite(x) || fabs(x) > 1e6 ||
            (whole && (x < 0 || x != floor(x))))
            return sx_fail(err, SX_ERR_USAGE, "positions: --%s: '%.20s' is no list of %s", option,
                           text, whole ? "counts" : "numbers");
        if (*n == MOST_NUMBERS)
            return sx_fail(err, SX_ERR_USAGE, "positions: --%s: more than %d numbers", option,
                           MOST_NUMBERS);
        out[(*n)++] = x;
        at = *end ? end + 1 : end;
    }
    return SX_OK;
}

static enum sx_status add_curve(struct positions *p, const struct sx_ids *ids, struct sx_error *err)
{
    const size_t last = (size_t)sx_value_int_or(sx_value_get(p->job->args, "last"), 64);
    for (size_t residue = 1; residue <= last && residue + 1 < ids->n; residue++) {
        struct sx_edit edit;
        SX_TRY(sx_edit_mask(ids->ids, ids->n, residue, &edit, err));
        add(p, "mask", (double)residue, "", edit);
    }
    return SX_OK;
}

static void override(struct variant *variant, double x, bool query, int band)
{
    const struct sx_edit *edit = &variant->edit;
    variant->override = sx_xcalloc(edit->n, sizeof *variant->override);
    if (query)
        sx_edit_query_positions(edit, x, variant->override);
    for (size_t t = 0; !query && t < edit->n; t++)
        variant->override[t] = (float)t + (t > 0 ? (float)x : 0.0F);
    variant->how.side = query ? SX_SIDE_QUERY : SX_SIDE_BOTH;
    variant->band = (uint32_t)(band < 0 ? 0 : band);
    variant->how.bands.n = band < 0 ? 0 : 1;
}

/* Where the rotation of the mask at residue 1 is another; band by band where that is asked. */
static enum sx_status add_rotations(struct positions *p, const struct sx_edit *first,
                                    const char *experiment, bool query, struct sx_error *err)
{
    double x[MOST_NUMBERS];
    size_t n;
    char label[LABEL];
    const bool by_band = sx_value_bool_or(sx_value_get(p->job->args, "per-band"), false);
    const int bands = by_band ? (int)sx_model_info(p->model)->n_bands : 0;
    SX_TRY(numbers(p, experiment, false, x, &n, err));
    for (size_t i = 0; i < n; i++) {
        override(add(p, experiment, x[i], "", sx_edit_copy(first)), x[i], query, -1);
        for (int band = 0; band < bands; band++) {
            snprintf(label, sizeof label, "band %d", band);
            override(add(p, experiment, x[i], label, sx_edit_copy(first)), x[i], query, band);
        }
    }
    return SX_OK;
}

/* <cls> moves along: rotary positions are relative, so that what changes is rounding. */
static enum sx_status add_shifts(struct positions *p, const struct sx_edit *first,
                                 struct sx_error *err)
{
    double x[MOST_NUMBERS];
    size_t n;
    SX_TRY(numbers(p, "shift", false, x, &n, err));
    for (size_t i = 0; i < n; i++) {
        struct sx_edit edit = sx_edit_copy(first);
        sx_edit_shift(&edit, x[i]);
        add(p, "shift", x[i], "", edit);
    }
    return SX_OK;
}

static void fill_residues(struct positions *p, int kind, int32_t *ids, size_t n, size_t number)
{
    struct sx_rng rng = sx_rng_make(p->seed, 100 + number);
    enum { ALANINE = 5, RESIDUES = SX_ESM_LAST_RESIDUE - SX_ESM_FIRST_RESIDUE + 1 };
    for (size_t i = 0; i < n; i++)
        ids[i] = kind == 0   ? ALANINE
                 : kind == 1 ? SX_ESM_X
                             : SX_ESM_FIRST_RESIDUE + (int32_t)sx_rng_below(&rng, RESIDUES);
}

static enum sx_status add_lengths(struct positions *p, const struct sx_edit *first, size_t number,
                                  struct sx_error *err)
{
    static const char *const kinds[] = {"alanines", "X", "random"};
    double x[MOST_NUMBERS];
    size_t n;
    SX_TRY(numbers(p, "prepend", true, x, &n, err));
    for (size_t i = 0; i < n; i++)
        for (int kind = 0; kind < 3; kind++) {
            struct sx_edit edit = sx_edit_copy(first);
            int32_t *before = sx_xcalloc((size_t)x[i] + 1, sizeof *before);
            fill_residues(p, kind, before, (size_t)x[i], number);
            sx_edit_prepend(&edit, before, (size_t)x[i]);
            sx_free(before);
            add(p, "prepend", x[i], kinds[kind], edit);
        }
    return SX_OK;
}

static enum sx_status add_deletions(struct positions *p, const struct sx_ids *ids,
                                    struct sx_error *err)
{
    double x[MOST_NUMBERS];
    size_t n;
    SX_TRY(numbers(p, "delete", true, x, &n, err));
    for (size_t i = 0; i < n; i++) {
        struct sx_edit edit;
        if ((size_t)x[i] + 3 > ids->n)
            continue; /* nothing would be left */
        SX_TRY(sx_edit_mask(ids->ids, ids->n, (size_t)x[i] + 1, &edit, err));
        add(p, "delete", x[i], "", edit);
        SX_TRY(sx_edit_delete_first(&p->variants[p->n_variants - 1].edit, (size_t)x[i], err));
    }
    return SX_OK;
}

static void add_bos(struct positions *p, const struct sx_edit *first)
{
    enum { NULL_1 = 31 };
    static const struct {
        const char *label;
        int32_t id;
    } others[] = {{"<cls>", SX_ESM_CLS},
                  {"<unk>", SX_ESM_UNK},
                  {"<null_1>", NULL_1},
                  {"X", SX_ESM_X},
                  {"<eos>", SX_ESM_EOS}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct sx_edit edit = sx_edit_copy(first);
        sx_edit_replace_bos(&edit, others[i].id);
        add(p, "bos", NAN, others[i].label, edit);
    }
    for (int keep = 0; keep < 2; keep++) {
        struct sx_edit edit = sx_edit_copy(first);
        sx_edit_remove_bos(&edit, keep);
        add(p, "bos", NAN, keep ? "removed" : "removed, from 0", edit);
    }
}

static enum sx_status add_context(struct positions *p, const struct sx_edit *first, size_t number,
                                  struct sx_error *err)
{
    static const double fractions[] = {0.15, 0.5, 0.9};
    struct sx_edit edit = sx_edit_copy(first);
    add(p, "context", NAN, "as it is", edit);
    edit = sx_edit_copy(first);
    sx_edit_shuffle(&edit, p->seed + number);
    add(p, "context", NAN, "shuffled", edit);
    edit = sx_edit_copy(first);
    sx_edit_all_x(&edit);
    add(p, "context", NAN, "all X", edit);
    for (size_t i = 0; i < 3; i++) {
        edit = sx_edit_copy(first);
        sx_edit_more_masks(&edit, fractions[i], p->seed + number);
        add(p, "context", fractions[i], "masked", edit);
    }
    for (size_t length = 8; length + 2 < first->n; length *= 2) {
        edit = sx_edit_copy(first);
        add(p, "context", (double)length, "residues", edit);
        SX_TRY(sx_edit_truncate(&p->variants[p->n_variants - 1].edit, length, err));
    }
    edit = sx_edit_copy(first);
    sx_edit_alone(&edit);
    add(p, "context", NAN, "the mask alone", edit);
    return SX_OK;
}

static enum sx_status add_all(struct positions *p, const struct sx_ids *ids, size_t number,
                              struct sx_error *err)
{
    const struct sx_value *args = p->job->args;
    struct sx_edit first;
    SX_TRY(add_curve(p, ids, err));
    SX_TRY(sx_edit_mask(ids->ids, ids->n, 1, &first, err));
    enum sx_status status = add_rotations(p, &first, "gap", false, err);
    if (status == SX_OK)
        status = add_rotations(p, &first, "query-only", true, err);
    if (status == SX_OK)
        status = add_shifts(p, &first, err);
    if (status == SX_OK)
        status = add_lengths(p, &first, number, err);
    if (status == SX_OK)
        status = add_deletions(p, ids, err);
    if (status == SX_OK && sx_value_bool_or(sx_value_get(args, "bos"), false))
        add_bos(p, &first);
    if (status == SX_OK && sx_value_bool_or(sx_value_get(args, "context"), false))
        status = add_context(p, &first, number, err);
    sx_edit_release(&first);
    return status;
}

/* --- measuring ----------------------------------------------------------------------------------
 */

static void keep(void *context, size_t index, const float *logits)
{
    struct positions *p = context;
    struct point *point = &p->points[p->variants[index].point];
    SX_GROW(point->value, point->room, point->n + 1);
    point->value[point->n++] = sx_metric_value(&p->metric, logits, p->V);
}

static enum sx_status run_variants(struct positions *p, struct sx_error *err)
{
    struct sx_trial *trials = sx_xcalloc(p->n_variants + 1, sizeof *trials);
    const double gib = sx_value_real_or(sx_value_get(p->job->args, "max-memory"), 2);
    const struct sx_scan_limits limits = {.max_bytes = (uint64_t)(gib * (double)(1 << 30))};
    for (size_t i = 0; i < p->n_variants; i++) {
        struct variant *variant = &p->variants[i];
        const struct sx_edit *edit = &variant->edit;
        trials[i] = (struct sx_trial){.sequence = {.ids = edit->ids,
                                                   .n = edit->n,
                                                   .positions = edit->positions,
                                                   .embed_scale = NAN},
                                      .token = edit->token};
        if (!variant->override)
            continue;
        variant->how.positions = variant->override;
        if (variant->how.bands.n)
            variant->how.bands.list = &variant->band;
        trials[i].positions = &variant->how;
        trials[i].n_positions = 1;
    }
    const enum sx_status status =
        sx_trials_run(p->runner, trials, p->n_variants, &limits, keep, p, &p->job->task, err);
    sx_free(trials);
    return status;
}

/* Those shorter than one residue are said and left out. */
static bool usable(struct positions *p, size_t i)
{
    const struct sx_model_input *input = &p->inputs.item[i];
    const struct sx_ids *ids = &input->ids;
    bool masks = false;
    for (size_t t = 0; t < ids->n; t++)
        masks = masks || ids->ids[t] == SX_ESM_MASK;
    if (!masks && ids->n > 2)
        return true;
    sx_model_inputs_warn(&p->inputs, "%s: %s; left out", input->name ? input->name : "a sequence",
                         masks ? "it holds a <mask>, and masks are put here by this command"
                               : "no residues");
    return false;
}

static enum sx_status measure(struct positions *p, struct sx_error *err)
{
    const struct sx_value *args = p->job->args;
    const size_t limit = (size_t)sx_value_int_or(sx_value_get(args, "limit"), 0);
    SX_TRY(sx_model_use(args, &p->model, &p->runner, err));
    SX_TRY(sx_model_must_be(p->model, SX_MODEL_ESM2, "positions", err));
    SX_TRY(sx_model_must_predict(p->model, "positions", err));
    SX_TRY(sx_scan_metric("positions", args, p->model, NULL, 0, 0, &p->metric, err));
    p->metric.kind = SX_METRIC_P20;
    SX_TRY(sx_metric_check(&p->metric, sx_model_info(p->model)->vocab, err));
    SX_TRY(sx_model_inputs_read("positions", args, p->model, &p->inputs, err));
    p->V = (size_t)sx_model_info(p->model)->vocab;
    for (size_t i = 0; i < p->inputs.n && (limit == 0 || p->n_sequences < limit); i++) {
        if (!usable(p, i))
            continue;
        SX_TRY(add_all(p, &p->inputs.item[i].ids, i, err));
        SX_TRY(run_variants(p, err));
        drop_variants(p);
        p->n_sequences++;
    }
    if (p->n_sequences == 0)
        return sx_fail(err, SX_ERR_USAGE,
                       "positions: no sequence to put a mask into (a <mask> of their own, or no "
                       "residues)");
    return SX_OK;
}

/* --- the answer ---------------------------------------------------------------------------------
 */

static struct sx_value *describe(const struct positions *p, const struct point *point)
{
    struct sx_value *row = sx_value_map();
    const struct sx_interval mean = sx_bootstrap_mean(point->value, point->n, p->seed);
    const bool curve = strcmp(point->experiment, "mask") == 0;
    sx_document_text(row, "experiment", point->experiment);
    if (curve)
        sx_document_int(row, "residue", (int64_t)point->x);
    if (!curve && !isnan(point->x))
        sx_document_real(row, "x", point->x, NULL);
    if (point->label[0])
        sx_document_text(row, "label", point->label);
    sx_document_int(row, "n", (int64_t)mean.n);
    sx_document_real(row, "p", mean.value, "no sequence");
    sx_document_real(row, "lo", mean.lo, "no sequence");
    sx_document_real(row, "hi", mean.hi, "no sequence");
    return row;
}

static void tell(struct positions *p)
{
    struct sx_value *document = sx_document_new();
    char target[64];
    p->job->document = document;
    sx_token_text(p->model, p->metric.target, target, sizeof target);
    sx_document_text(document, "model", sx_model_info(p->model)->name);
    sx_document_text(document, "target", target);
    sx_document_text(document, "metric", "p20");
    sx_document_int(document, "sequences", (int64_t)p->n_sequences);
    struct sx_value *rows = sx_value_set(document, "rows", sx_value_list());
    for (size_t i = 0; i < p->n_points; i++)
        sx_value_append(rows, describe(p, &p->points[i]));
    sx_model_inputs_tell(&p->inputs, document);
}

SX_RUN(positions)
{
    struct positions p = {.job = job};
    p.seed = (uint64_t)sx_value_int_or(sx_value_get(job->args, "seed"), 0);
    enum sx_status status = measure(&p, err);
    if (status == SX_OK) {
        tell(&p);
        status = sx_answer_keep_model(job, p.model, err);
    }
    drop_variants(&p);
    for (size_t i = 0; i < p.n_points; i++)
        sx_free(p.points[i].value);
    sx_free(p.points);
    sx_free(p.variants);
    sx_model_inputs_release(&p.inputs);
    sx_runner_free(p.runner);
    sx_model_unref(p.model);
    return status;
}

static void print_bar(double p, struct sx_str *out)
{
    enum { WIDTH = 30 };
    const int n = isfinite(p) ? (int)lround(p * WIDTH) : 0;
    for (int i = 0; i < n; i++)
        sx_str_append_char(out, '#');
}

SX_PRINT(positions)
{
    const struct sx_value *rows = sx_value_get(document, "rows");
    const char *last = "";
    sx_print_warnings(document, out);
    sx_str_printf(out, "P(%s) among the 20 residues, mean over %lld sequences, 95 %% interval\n",
                  sx_value_string_or(sx_value_get(document, "target"), ""),
                  (long long)sx_value_int_or(sx_value_get(document, "sequences"), 0));
    for (size_t i = 0; i < sx_value_count(rows); i++) {
        const struct sx_value *row = sx_value_item(rows, i);
        const char *experiment = sx_value_string_or(sx_value_get(row, "experiment"), "");
        const struct sx_value *x = sx_value_get(row, "residue");
        x = x ? x : sx_value_get(row, "x");
        if (strcmp(last, experiment) != 0)
            sx_str_printf(out, "\n%s\n", experiment);
        last = experiment;
        char number[32] = "";
        if (x)
            snprintf(number, sizeof number, "%g", sx_value_real_or(x, 0));
        sx_str_printf(out, "%8s %-16s %.4f  %.4f - %.4f  n %-4lld ", number,
                      sx_value_string_or(sx_value_get(row, "label"), ""),
                      sx_value_real_or(sx_value_get(row, "p"), NAN),
                      sx_value_real_or(sx_value_get(row, "lo"), NAN),
                      sx_value_real_or(sx_value_get(row, "hi"), NAN),
                      (long long)sx_value_int_or(sx_value_get(row, "n"), 0));
        print_bar(sx_value_real_or(sx_value_get(row, "p"), NAN), out);
        while (out->len > 0 && out->data[out->len - 1] == ' ')
            out->data[--out->len] = '\0';
        sx_str_append_char(out, '\n');
    }
}
