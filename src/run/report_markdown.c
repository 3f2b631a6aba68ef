/* report.md: for people. */
#include <math.h>
#include <string.h>

#include "report_private.h"

static void put_number(double x, struct sx_str *out)
{
    if (!isfinite(x))
        sx_str_append(out, "-");
    else if (x != 0 && fabs(x) < 0.001)
        sx_str_printf(out, "%.1e", x);
    else
        sx_str_printf(out, "%.3f", x);
}

static void put_interval(const struct sx_interval *x, const char *unit, struct sx_str *out)
{
    put_number(x->value, out);
    if (isfinite(x->value) && unit[0])
        sx_str_printf(out, " %s", unit);
    if (isfinite(x->lo)) {
        sx_str_append(out, " | ");
        put_number(x->lo, out);
        sx_str_append(out, " … ");
        put_number(x->hi, out);
    } else {
        sx_str_append(out, " | -");
    }
    sx_str_printf(out, " | %zu", x->n);
}

static void put_conditions(const struct sx_report_claim *claim, struct sx_str *out)
{
    static const char *const outcomes[] = {"undecided", "met", "refuted"};
    sx_str_append(out, "\n| fixed in advance | measured | 95 % | n | |\n"
                       "|---|---:|---:|---:|---|\n");
    for (size_t i = 0; i < claim->n_conditions; i++) {
        const struct sx_report_condition *condition = &claim->conditions[i];
        sx_str_printf(out, "| %s | ", condition->text);
        put_interval(&condition->x, "", out);
        sx_str_printf(out, " | %s |\n", outcomes[condition->outcome]);
    }
}

static void put_numbers(const struct sx_report_claim *claim, struct sx_str *out)
{
    sx_str_append(out, "\n| measured | mean | 95 % | n | one protein |\n"
                       "|---|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < claim->n_numbers; i++) {
        const struct sx_report_number *number = &claim->numbers[i];
        sx_str_printf(out, "| %s | ", number->label);
        put_interval(&number->x, number->unit, out);
        sx_str_append(out, " | ");
        if (isfinite(number->example))
            put_number(number->example, out);
        sx_str_append(out, " |\n");
    }
}

static void put_claim(const struct sx_report_claim *claim, struct sx_str *out)
{
    sx_str_printf(out, "\n## %s: %s\n\n**%s.** %s\n", claim->id, claim->claim,
                  sx_verdict_name(claim->verdict), claim->sentence);
    sx_str_printf(out, "\n%s\n", claim->method);
    put_conditions(claim, out);
    put_numbers(claim, out);
    for (size_t i = 0; i < claim->n_grids; i++) {
        const struct sx_report_grid *grid = &claim->grids[i];
        sx_str_printf(out, "\n%s%s%s%s:\n\n```\n", grid->title, grid->unit[0] ? " (" : "",
                      grid->unit, grid->unit[0] ? ")" : "");
        sx_report_heatmap(grid, out);
        sx_str_append(out, "```\n");
    }
    if (claim->caveat[0])
        sx_str_printf(out, "\nWhat this does not show: %s\n", claim->caveat);
    if (claim->n_commands == 0)
        return;
    sx_str_append(out, "\nFor one protein:\n\n```sh\n");
    for (size_t i = 0; i < claim->n_commands; i++)
        sx_str_printf(out, "%s\n", claim->commands[i]);
    sx_str_append(out, "```\n");
}

static void put_summary(const struct sx_report *report, struct sx_str *out)
{
    sx_str_append(out, "\n| | claim | this model | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < SX_REPORT_CLAIMS; i++) {
        const struct sx_report_claim *claim = &report->claims[i];
        sx_str_printf(out, "| %s | %s | **%s** | %s |\n", claim->id, claim->claim,
                      sx_verdict_name(claim->verdict), claim->sentence);
    }
    sx_str_append(
        out,
        "\nA claim is supported when every one of its conditions is met, that is when the whole "
        "95 % interval lies on the side of the bound that the condition names; it is not supported "
        "when one interval lies wholly on the other side; all else is undecided. The bounds are "
        "fixed in the program, not fitted to the model. Intervals are percentiles of 2000 "
        "bootstrap draws over proteins with a fixed seed; they say how sure the mean over such "
        "proteins is, not how the proteins differ. They are not corrected for the number of "
        "conditions.\n");
}

static void put_data(const struct sx_report_about *about, struct sx_str *out)
{
    const struct sx_report_data *data = about->data;
    const struct sx_model_info *info = about->info;
    sx_str_printf(
        out,
        "Model: %s, %llu layers of %llu heads, %llu dimensions, %llu rotary bands a head; "
        "fingerprint `%s`.\n\n",
        info->name, (unsigned long long)info->n_layers, (unsigned long long)info->n_heads,
        (unsigned long long)info->d_model, (unsigned long long)info->n_bands, about->fingerprint);
    sx_str_printf(out,
                  "Data: %s (%s): %zu records with %zu known starts of chains. %zu proteins that "
                  "start with Met are used: the readout heads are found on %zu of them and "
                  "everything is measured on the other %zu. ",
                  about->path, about->format, data->n_read, data->n_starts, data->n,
                  about->report->n_find, about->report->n_measure);
    if (data->n_given_met)
        sx_str_printf(out, "M was put in front of %zu of them, which start with something else. ",
                      data->n_given_met);
    sx_str_printf(out,
                  "Left out, of the starts: %zu whose sequence shares its first 30 residues with "
                  "one taken, %zu in sequences shorter than 24 residues, %zu in sequences that "
                  "start with something else, %zu beyond the limit of %zu. %zu proteins are cut to "
                  "their first %zu residues. Chains whose true start is not Met, for C7: %zu. "
                  "Drawn with seed %llu.\n",
                  data->n_repeated, data->n_short, data->n_other_start, data->n_beyond_limit,
                  about->options->limit, data->n_cut, about->options->max_length, data->natural.n,
                  (unsigned long long)about->options->seed);
}

static void put_example(const struct sx_report_about *about, struct sx_str *out)
{
    sx_str_printf(
        out,
        "\n## One protein\n\nThe commands below each claim give the numbers of one "
        "protein, %s; its interior residue is %u.\n\n```sh\nPROTEIN='%s'\nFIRST='%s'\nINSIDE='%s'\n"
        "```\n",
        about->data->proteins[about->report->example].id, (unsigned)about->report->example_inside,
        about->protein, about->first, about->inside);
}

static void put_heads(const struct sx_report *report, struct sx_str *out)
{
    sx_str_append(out,
                  "\n## The readout heads\n\nRanked by attention from a masked residue 1 to BOS "
                  "times what the head writes from there towards M, on proteins that are not "
                  "measured below; kept where taking the edge away lowers M's logit there.");
    if (isfinite(report->covered))
        sx_str_printf(out,
                      " Together they carry %.0f %% of what all heads write towards M from "
                      "BOS.",
                      100 * report->covered);
    sx_str_append(out, "\n\n| head | readout, logits | M's logit without its edge | 95 % | n |\n"
                       "|---|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < report->n_heads; i++) {
        const struct sx_report_head *head = &report->heads[i];
        sx_str_printf(out, "| L%u.H%u | %.3f | ", (unsigned)head->layer, (unsigned)head->head,
                      head->readout);
        put_interval(&head->knockout, "", out);
        sx_str_append(out, " |\n");
    }
}

void sx_report_markdown(const struct sx_report_about *about, struct sx_str *out)
{
    sx_str_printf(out,
                  "# Retrieval or recognition: %s\n\nEight claims of Jedryszek and Crook (arXiv "
                  "2605.16331) about ESM-2, measured on this model by `sextant report`. BOS is the "
                  "token `<cls>` in front of the sequence; \"inside\" is a masked interior residue "
                  "that is not M.\n\n",
                  about->info->name);
    put_data(about, out);
    put_summary(about->report, out);
    put_heads(about->report, out);
    put_example(about, out);
    for (size_t i = 0; i < SX_REPORT_CLAIMS; i++)
        put_claim(&about->report->claims[i], out);
}
