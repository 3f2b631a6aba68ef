/* report.json: everything that was measured. */
#include <math.h>

#include "document.h"
#include "report_private.h"

static void put_interval(struct sx_value *map, const struct sx_interval *x)
{
    sx_document_real(map, "value", x->value, "not measured");
    struct sx_value *ci = sx_value_set(map, "ci", sx_value_list());
    if (isfinite(x->lo) && isfinite(x->hi)) {
        sx_value_append(ci, sx_value_real(x->lo));
        sx_value_append(ci, sx_value_real(x->hi));
    }
    sx_document_int(map, "n", (int64_t)x->n);
}

static struct sx_value *grid_value(const struct sx_report_grid *grid)
{
    struct sx_value *map = sx_value_map();
    sx_document_text(map, "title", grid->title);
    sx_document_text(map, "unit", grid->unit);
    struct sx_value *rows = sx_value_set(map, "rows", sx_value_list());
    struct sx_value *columns = sx_value_set(map, "columns", sx_value_list());
    struct sx_value *values = sx_value_set(map, "values", sx_value_list());
    for (size_t c = 0; c < grid->columns; c++)
        sx_value_append(columns, sx_value_string(grid->column_labels[c]));
    for (size_t r = 0; r < grid->rows; r++) {
        sx_value_append(rows, sx_value_string(grid->row_labels[r]));
        struct sx_value *row = sx_value_append(values, sx_value_list());
        for (size_t c = 0; c < grid->columns; c++)
            sx_value_append(row, sx_value_real(grid->value[r * grid->columns + c]));
    }
    return map;
}

static struct sx_value *conditions_value(const struct sx_report_claim *claim)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < claim->n_conditions; i++) {
        const struct sx_report_condition *condition = &claim->conditions[i];
        struct sx_value *map = sx_value_append(list, sx_value_map());
        sx_document_text(map, "text", condition->text);
        put_interval(map, &condition->x);
        sx_document_text(map, "side", condition->above ? "above" : "below");
        sx_document_real(map, "bound", condition->bound, "");
        sx_document_text(map, "outcome",
                         condition->outcome == SX_SUPPORTED       ? "met"
                         : condition->outcome == SX_NOT_SUPPORTED ? "refuted"
                                                                  : "undecided");
    }
    return list;
}

/* measured and ci: of the first condition, the one that the claim stands on. */
static struct sx_value *claim_value(const struct sx_report_claim *claim)
{
    struct sx_value *map = sx_value_map();
    sx_document_text(map, "claim", claim->claim);
    if (claim->n_conditions)
        sx_document_real(map, "measured", claim->conditions[0].x.value, "not measured");
    struct sx_value *ci = sx_value_set(map, "ci", sx_value_list());
    if (claim->n_conditions && isfinite(claim->conditions[0].x.lo)) {
        sx_value_append(ci, sx_value_real(claim->conditions[0].x.lo));
        sx_value_append(ci, sx_value_real(claim->conditions[0].x.hi));
    }
    sx_value_set(map, "supports",
                 claim->verdict == SX_UNDECIDED ? sx_value_null()
                                                : sx_value_bool(claim->verdict == SX_SUPPORTED));
    sx_document_text(map, "verdict", sx_verdict_name(claim->verdict));
    sx_document_text(map, "sentence", claim->sentence);
    sx_document_text(map, "caveat", claim->caveat);
    sx_document_text(map, "method", claim->method);
    sx_value_set(map, "conditions", conditions_value(claim));
    struct sx_value *numbers = sx_value_set(map, "numbers", sx_value_map());
    for (size_t i = 0; i < claim->n_numbers; i++) {
        const struct sx_report_number *number = &claim->numbers[i];
        struct sx_value *one = sx_value_set(numbers, number->key, sx_value_map());
        sx_document_text(one, "label", number->label);
        put_interval(one, &number->x);
        sx_document_text(one, "unit", number->unit);
        sx_document_real(one, "example", number->example, "not a mean over proteins");
    }
    struct sx_value *grids = sx_value_set(map, "grids", sx_value_map());
    for (size_t i = 0; i < claim->n_grids; i++)
        sx_value_set(grids, claim->grids[i].key, grid_value(&claim->grids[i]));
    struct sx_value *commands = sx_value_set(map, "commands", sx_value_list());
    for (size_t i = 0; i < claim->n_commands; i++)
        sx_value_append(commands, sx_value_string(claim->commands[i]));
    return map;
}

static void put_model(struct sx_value *document, const struct sx_report_about *about)
{
    const struct sx_model_info *info = about->info;
    struct sx_value *model = sx_value_set(document, "model", sx_value_map());
    sx_document_text(model, "name", info->name);
    sx_document_text(model, "fingerprint", about->fingerprint);
    struct sx_value *shape = sx_value_set(model, "shape", sx_value_map());
    sx_document_int(shape, "layers", (int64_t)info->n_layers);
    sx_document_int(shape, "heads", (int64_t)info->n_heads);
    sx_document_int(shape, "d_model", (int64_t)info->d_model);
    sx_document_int(shape, "d_head", (int64_t)info->d_head);
    sx_document_int(shape, "bands", (int64_t)info->n_bands);
    sx_document_int(shape, "parameters", (int64_t)info->parameters);
}

static void put_data(struct sx_value *document, const struct sx_report_about *about)
{
    const struct sx_report_data *data = about->data;
    struct sx_value *map = sx_value_set(document, "data", sx_value_map());
    sx_document_text(map, "path", about->path);
    sx_document_text(map, "format", about->format);
    sx_document_int(map, "read", (int64_t)data->n_read);
    sx_document_int(map, "starts", (int64_t)data->n_starts);
    sx_document_int(map, "proteins", (int64_t)data->n);
    sx_document_int(map, "find_heads", (int64_t)about->report->n_find);
    sx_document_int(map, "measure", (int64_t)about->report->n_measure);
    sx_document_int(map, "natural_starts", (int64_t)data->natural.n);
    sx_document_int(map, "given_met", (int64_t)data->n_given_met);
    sx_document_int(map, "start_other", (int64_t)data->n_other_start);
    sx_document_int(map, "repeated", (int64_t)data->n_repeated);
    sx_document_int(map, "short", (int64_t)data->n_short);
    sx_document_int(map, "cut", (int64_t)data->n_cut);
    sx_document_int(map, "beyond_limit", (int64_t)data->n_beyond_limit);
    sx_document_int(map, "max_length", (int64_t)about->options->max_length);
    sx_document_int(map, "limit", (int64_t)about->options->limit);
    sx_document_int(map, "seed", (int64_t)about->options->seed);
}

static const char *data_id(const struct sx_report_about *about)
{
    return about->data->proteins[about->report->example].id;
}

struct sx_value *sx_report_document(const struct sx_report_about *about)
{
    const struct sx_report *report = about->report;
    struct sx_value *document = sx_value_map();
    sx_document_int(document, "schema", 1);
    put_model(document, about);
    put_data(document, about);
    struct sx_value *example = sx_value_set(document, "example", sx_value_map());
    sx_document_text(example, "id", data_id(about));
    sx_document_int(example, "inside", about->report->example_inside);
    sx_document_text(example, "sequence", about->protein);
    sx_document_text(example, "first_sequence", about->first);
    sx_document_text(example, "inside_sequence", about->inside);
    sx_document_text(document, "interval",
                     "95 %, percentile bootstrap over proteins, 2000 draws, fixed seed");
    struct sx_value *heads = sx_value_set(document, "readout_heads", sx_value_list());
    for (size_t i = 0; i < report->n_heads; i++) {
        struct sx_value *head = sx_value_append(heads, sx_value_map());
        sx_document_int(head, "layer", report->heads[i].layer);
        sx_document_int(head, "head", report->heads[i].head);
        sx_document_real(head, "readout", report->heads[i].readout, "not measured");
        struct sx_value *knockout = sx_value_set(head, "knockout", sx_value_map());
        put_interval(knockout, &report->heads[i].knockout);
    }
    sx_document_real(document, "readout_covered", report->covered, "no head writes towards M");
    struct sx_value *claims = sx_value_set(document, "claims", sx_value_map());
    for (size_t i = 0; i < SX_REPORT_CLAIMS; i++)
        sx_value_set(claims, report->claims[i].id, claim_value(&report->claims[i]));
    return sx_document_finish(document);
}
