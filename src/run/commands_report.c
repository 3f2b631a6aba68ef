/* report: the claims about how a protein model starts a protein, measured from end to end. */
#include "commands_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "document.h"
#include "model_input.h"
#include "report_private.h"
#include "run_file.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/results.h"
#include "sextant/io/folder.h"
#include "sextant/io/json.h"

struct report_job {
    struct sx_job *job;
    struct sx_model *model;
    struct sx_runner *runner;
    const char *path, *format, *folder;
    char *markdown_path, *json_path;
    bool force;
    struct sx_report_options options;
    struct sx_proteins proteins;
    struct sx_report_data data;
    struct sx_nterm_result nterm;
    struct sx_report report;
};

static enum sx_status read_arguments(struct report_job *r, struct sx_error *err)
{
    const struct sx_value *args = r->job->args;
    const char *swissprot = sx_arg_text(args, "swissprot");
    const char *fasta = sx_arg_text(args, "fasta");
    if (!swissprot == !fasta)
        return sx_fail(err, SX_ERR_USAGE,
                       "report: give proteins, either with --swissprot or with --fasta");
    r->path = swissprot ? swissprot : fasta;
    r->format = swissprot ? "Swiss-Prot" : "FASTA";
    r->folder = sx_arg_text(args, "out");
    r->force = sx_value_bool_or(sx_value_get(args, "force"), false);
    r->options = (struct sx_report_options){
        .limit = (size_t)sx_value_int_or(sx_value_get(args, "limit"), 96),
        .max_length = (size_t)sx_value_int_or(sx_value_get(args, "max-length"), 254),
        .seed = (uint64_t)sx_value_int_or(sx_value_get(args, "seed"), 1),
        .add_met = sx_value_bool_or(sx_value_get(args, "add-met"), false)};
    r->markdown_path = sx_xasprintf("%s/report.md", r->folder);
    r->json_path = sx_xasprintf("%s/report.json", r->folder);
    SX_TRY(sx_may_write(r->markdown_path, r->force, err));
    return sx_may_write(r->json_path, r->force, err);
}

static enum sx_status read_proteins(struct report_job *r, struct sx_error *err)
{
    const struct sx_proteins_options options = sx_proteins_defaults();
    enum sx_protein_format format = SX_PROTEINS_UNKNOWN;
    SX_TRY(sx_protein_format_of(r->path, &format, err));
    if ((format == SX_PROTEINS_SWISSPROT) != (strcmp(r->format, "Swiss-Prot") == 0))
        return sx_fail(err, SX_ERR_FORMAT, "%s: expected %s, and it is not", r->path, r->format);
    SX_TRY(sx_proteins_read(r->path, SX_PROTEINS_UNKNOWN, NULL, &options, &r->job->task,
                            &r->proteins, err));
    SX_TRY(sx_report_select(&r->proteins, &r->options, &r->data, err));
    if (r->data.n < 3)
        return sx_fail(
            err, SX_ERR_USAGE, "%s: %zu proteins that start with Met, and 3 are needed%s", r->path,
            r->data.n, r->data.n_other_start ? "; --add-met puts it in front of the others" : "");
    return SX_OK;
}

static enum sx_status must_fit(struct report_job *r, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(r->model);
    size_t longest = 0;
    for (size_t i = 0; i < r->data.n; i++)
        if (r->data.proteins[i].n > longest)
            longest = r->data.proteins[i].n;
    /* A pass of several sequences; residual streams, values and attention of four sites. */
    const uint64_t kept =
        4 * info->n_layers * longest * (2 * info->d_model + info->n_heads) * sizeof(float);
    size_t lengths[SX_REPORT_SEQUENCES];
    size_t n = 0;
    for (; n < SX_REPORT_SEQUENCES && (n == 0 || (n + 1) * longest <= SX_REPORT_TOKENS); n++)
        lengths[n] = longest;
    return sx_model_must_fit(r->job->args, r->model, lengths, n, kept,
                             "lower --max-length, or raise --max-memory", err);
}

static enum sx_status measure(struct report_job *r, struct sx_error *err)
{
    struct sx_nterm_options options = sx_nterm_defaults();
    const struct sx_report_input input = {.proteins = r->data.proteins,
                                          .n_proteins = r->data.n,
                                          .nterm = r->data.natural.n ? &r->nterm : NULL,
                                          .seed = r->options.seed};
    options.crop = r->options.max_length;
    options.seed = r->options.seed;
    if (r->data.natural.n)
        SX_TRY(sx_nterm_run(r->runner, &r->data.natural, &options, &r->nterm, &r->job->task, err));
    return sx_report_run(r->runner, &input, &r->job->task, &r->report, err);
}

static enum sx_status write_file(const struct report_job *r, const char *path,
                                 const struct sx_str *text, struct sx_error *err)
{
    FILE *file = fopen(path, r->force ? "wbe" : "wbxe");
    if (!file)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    const bool written = fwrite(text->data, 1, text->len, file) == text->len;
    if (fclose(file) != 0 || !written)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    return SX_OK;
}

/* The example protein as --seq takes it, one residue masked (0: none); the caller frees. */
static char *sequence_of(const struct report_job *r, uint32_t masked)
{
    const struct sx_report_protein *protein = &r->data.proteins[r->report.example];
    struct sx_str text = SX_STR_INIT;
    for (uint32_t t = 1; t + 1 < protein->n; t++) {
        char label[64];
        sx_token_text(r->model, protein->ids[t], label, sizeof label);
        sx_str_append(&text, t == masked ? "<mask>" : label);
    }
    return sx_str_take(&text);
}

static enum sx_status write_report(struct report_job *r, struct sx_error *err)
{
    char fingerprint[33];
    struct sx_str text = SX_STR_INIT;
    SX_TRY(sx_model_fingerprint(r->model, fingerprint, err));
    struct sx_report_about about = {.info = sx_model_info(r->model),
                                    .model_path = sx_arg_text(r->job->args, "model"),
                                    .fingerprint = fingerprint,
                                    .path = r->path,
                                    .format = r->format,
                                    .options = &r->options,
                                    .data = &r->data,
                                    .report = &r->report};
    about.protein = sequence_of(r, 0);
    about.first = sequence_of(r, 1);
    about.inside = sequence_of(r, r->report.example_inside);
    sx_report_add_commands(&r->report, r->model, &about);
    sx_report_markdown(&about, &text);
    enum sx_status status = write_file(r, r->markdown_path, &text, err);
    sx_str_clear(&text);
    r->job->document = sx_report_document(&about);
    sx_json_write(r->job->document, 1, &text);
    sx_str_append(&text, "\n");
    if (status == SX_OK)
        status = write_file(r, r->json_path, &text, err);
    sx_str_release(&text);
    sx_free(about.protein);
    sx_free(about.first);
    sx_free(about.inside);
    sx_document_text(r->job->document, "out", r->folder);
    return status;
}

/* Minutes of work should not end at a folder that cannot be written. */
static enum sx_status make_folder(const struct report_job *r, struct sx_error *err)
{
    SX_TRY(sx_folder_make(r->folder, err));
    if (access(r->folder, W_OK | X_OK) != 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", r->folder, strerror(errno));
    return SX_OK;
}

static enum sx_status make_report(struct report_job *r, struct sx_error *err)
{
    SX_TRY(read_arguments(r, err));
    SX_TRY(sx_model_use(r->job->args, &r->model, &r->runner, err));
    SX_TRY(sx_model_must_be(r->model, SX_MODEL_ESM2, "report", err));
    SX_TRY(sx_model_must_predict(r->model, "report", err));
    SX_TRY(read_proteins(r, err));
    SX_TRY(must_fit(r, err));
    SX_TRY(make_folder(r, err));
    SX_TRY(measure(r, err));
    return write_report(r, err);
}

SX_RUN(report)
{
    struct report_job r = {.job = job};
    const enum sx_status status = make_report(&r, err);
    sx_report_release(&r.report);
    sx_nterm_result_release(&r.nterm);
    sx_report_data_release(&r.data);
    sx_proteins_release(&r.proteins);
    sx_runner_free(r.runner);
    sx_model_unref(r.model);
    sx_free(r.markdown_path);
    sx_free(r.json_path);
    return status;
}

SX_PRINT(report)
{
    const struct sx_value *claims = sx_value_get(document, "claims");
    for (size_t i = 0; i < sx_value_count(claims); i++) {
        const struct sx_value *claim = sx_value_item(claims, i);
        sx_str_printf(out, "%s  %-16s  %s\n", sx_value_key(claims, i),
                      sx_value_string_or(sx_value_get(claim, "verdict"), ""),
                      sx_value_string_or(sx_value_get(claim, "sentence"), ""));
    }
    sx_str_printf(out, "\nreport.md and report.json in %s\n",
                  sx_value_string_or(sx_value_get(document, "out"), ""));
}
