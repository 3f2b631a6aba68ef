/* nterm: what a model says stands first, on the command line. nterm-table: the same for the view.
 */
#include "answer.h"
#include "commands_private.h"

#include <string.h>

#include "document.h"
#include "measure_nterm.h"
#include "model_input.h"
#include "run_private.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/core/blas.h"
#include "sextant/interp/names.h"
#include "sextant/interp/results.h"

/* --- nterm --------------------------------------------------------------------------------------
 */

static size_t count_of(const struct sx_value *args, const char *name)
{
    return (size_t)sx_value_int_or(sx_value_get(args, name), 0);
}

static bool flag(const struct sx_value *args, const char *name)
{
    return sx_value_bool_or(sx_value_get(args, name), false);
}

static enum sx_status read_question(const struct sx_value *args, struct sx_nterm_question *out,
                                    struct sx_error *err)
{
    const char *swissprot = sx_arg_text(args, "swissprot");
    const char *fasta = sx_arg_text(args, "fasta");
    *out = (struct sx_nterm_question){
        .path = swissprot ? swissprot : fasta,
        .format = swissprot ? SX_PROTEINS_SWISSPROT : SX_PROTEINS_FASTA,
        .truth = sx_arg_text(args, "truth"),
        .proteins = {.limit = count_of(args, "limit"), .min_length = count_of(args, "min-length")},
        .presentations = {.prepend = count_of(args, "prepend"),
                          .prepend_random = flag(args, "prepend-random"),
                          .seed = (uint64_t)sx_value_int_or(sx_value_get(args, "seed"), 0),
                          .crop = count_of(args, "crop")},
        .max_gib = sx_value_real_or(sx_value_get(args, "max-memory"), 2),
    };
    const int sources = (swissprot != NULL) + (fasta != NULL) + flag(args, "builtin");
    if (sources != 1)
        return sx_fail(err, SX_ERR_USAGE,
                       "nterm: give one of --swissprot FILE, --fasta FILE and --builtin");
    if (out->truth && !fasta)
        return sx_fail(err, SX_ERR_USAGE, "nterm: --truth is for --fasta");
    return SX_OK;
}

struct nterm {
    struct sx_model *model;
    struct sx_runner *runner;
    struct sx_proteins proteins;
    struct sx_nterm_result result;
};

static void nterm_release(struct nterm *n)
{
    sx_nterm_result_release(&n->result);
    sx_proteins_release(&n->proteins);
    sx_runner_free(n->runner);
    sx_model_unref(n->model);
}

static enum sx_status nterm_of(struct nterm *n, struct sx_job *job, struct sx_error *err)
{
    struct sx_nterm_question question;
    SX_TRY(read_question(job->args, &question, err));
    SX_TRY(sx_model_use(job->args, &n->model, &n->runner, err));
    SX_TRY(sx_model_must_be(n->model, SX_MODEL_ESM2, "nterm", err));
    SX_TRY(sx_model_must_predict(n->model, "nterm", err));
    SX_TRY(sx_measure_nterm(n->runner, &question, &n->proteins, &n->result, &job->task, err));
    job->document = sx_nterm_document(sx_model_info(n->model), &question, &n->proteins, &n->result);
    char *path = sx_xstrdup(question.path);
    const struct sx_nterm_data kept = {.path = path, .result = n->result};
    const enum sx_status status = sx_answer_keep(job, n->model, NULL, 0, SX_SLOT_NTERM, &kept, err);
    sx_free(path);
    return status;
}

SX_RUN(nterm)
{
    struct nterm n = {0};
    const enum sx_status status = nterm_of(&n, job, err);
    nterm_release(&n);
    return status;
}

/* --- for people ---------------------------------------------------------------------------------
 */

static const char *const numerals[SX_PRESENTATION_COUNT] = {"(i)", "(ii)", "(iii)", "(iv)", "(v)"};

static int64_t int_at(const struct sx_value *map, const char *key)
{
    return sx_value_int_or(sx_value_get(map, key), 0);
}

static void print_row(const struct sx_value *row, struct sx_str *out)
{
    sx_str_printf(
        out, "%-20.31s %-9s%s %s %6lld %6lld", sx_value_string_or(sx_value_get(row, "id"), ""),
        sx_value_string_or(sx_value_get(row, "class"), ""), flag(row, "inferred") ? "~" : " ",
        sx_value_string_or(sx_value_get(row, "first"), ""), (long long)int_at(row, "length"),
        (long long)int_at(row, "offset"));
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
        const struct sx_value *cell =
            sx_value_get(row, sx_presentation_name((enum sx_presentation)p));
        if (cell)
            sx_str_printf(out, "  %s %.2f %.2f", sx_value_string_or(sx_value_get(cell, "top"), ""),
                          sx_value_real_or(sx_value_get(cell, "p_met"), 0),
                          sx_value_real_or(sx_value_get(cell, "p_true"), 0));
        else
            sx_str_append(out, "  -          ");
    }
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
    sx_str_append_char(out, '\n');
}

static void print_test(const struct sx_value *test, struct sx_str *out)
{
    if (int_at(test, "pairs") == 0)
        return;
    sx_str_printf(out,
                  "  (i) against (iv), %lld proteins: M only as (i) %lld, only as (iv) %lld; "
                  "McNemar p = %.2g\n",
                  (long long)int_at(test, "pairs"), (long long)int_at(test, "first_only"),
                  (long long)int_at(test, "inside_only"),
                  sx_value_real_or(sx_value_get(test, "p"), 0));
}

static void print_summary(const char *title, const struct sx_value *summary, struct sx_str *out)
{
    if (int_at(summary, "n") == 0)
        return;
    sx_str_printf(out, "\n%s: %lld\n", title, (long long)int_at(summary, "n"));
    sx_str_append(out,
                  "                            n  says M  95 % interval   P(M)  P(true)  rank  "
                  "logit M - true\n");
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
        const char *name = sx_presentation_name((enum sx_presentation)p);
        const struct sx_value *one = sx_value_get(summary, name);
        if (!one)
            continue;
        sx_str_printf(out, "  %-5s %-17s %4lld  %6.3f  %.3f - %.3f  %5.3f    %5.3f  %4.1f  %+.2f\n",
                      numerals[p], name, (long long)int_at(one, "n"),
                      sx_value_real_or(sx_value_get(one, "fraction"), 0),
                      sx_value_real_or(sx_value_get(one, "lo"), 0),
                      sx_value_real_or(sx_value_get(one, "hi"), 0),
                      sx_value_real_or(sx_value_get(one, "mean_p_met"), 0),
                      sx_value_real_or(sx_value_get(one, "mean_p_true"), 0),
                      sx_value_real_or(sx_value_get(one, "mean_rank_true"), 0),
                      sx_value_real_or(sx_value_get(one, "mean_gap"), 0));
    }
    print_test(sx_value_get(summary, "mcnemar"), out);
}

static void print_left_out(const struct sx_value *read, struct sx_str *out)
{
    static const struct {
        const char *key, *text;
    } reasons[] = {
        {"unknown_start", "entries do not say where the chain begins"},
        {"too_short", "chains are shorter than --min-length"},
        {"no_residue_first", "chains begin with a symbol that is none of the 20 residues"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (int_at(read, reasons[i].key) > 0)
            sx_str_printf(out, "! left out: %lld %s\n", (long long)int_at(read, reasons[i].key),
                          reasons[i].text);
}

SX_PRINT(nterm)
{
    const struct sx_value *rows = sx_value_get(document, "rows");
    const struct sx_value *summary = sx_value_get(document, "summary");
    const struct sx_value *by_class = sx_value_get(summary, "by_class");
    print_left_out(sx_value_get(document, "read"), out);
    sx_str_append(out, "each presentation: most probable residue, P(M), P(true residue), among the "
                       "20; ~: start not from an experiment\n");
    sx_str_printf(out, "%-20s %-9s  %s %6s %6s", "protein", "class", " ", "length", "offset");
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++)
        sx_str_printf(out, p + 1 < SX_PRESENTATION_COUNT ? "  %-11s" : "  %s", numerals[p]);
    sx_str_append_char(out, '\n');
    for (size_t i = 0; i < sx_value_count(rows); i++)
        print_row(sx_value_item(rows, i), out);
    const size_t n_classes = sx_value_kind(by_class) == SX_VALUE_MAP ? sx_value_count(by_class) : 0;
    for (size_t i = 0; i < n_classes; i++)
        print_summary(sx_value_key(by_class, i), sx_value_item(by_class, i), out);
    print_summary("all that do not start with M", sx_value_get(summary, "not_met"), out);
}

/* --- nterm-table --------------------------------------------------------------------------------
 */

struct table_job {
    size_t entry;
    uint64_t workspace; /* serial: the entry is of this one */
    char *model_path;
    struct sx_model *model; /* owned reference; NULL: not open yet */
    struct sx_runner **runner;
    char *path, *truth; /* owned, or NULL */
    struct sx_nterm_question question;
};

static void table_job_free(void *p)
{
    struct table_job *in = p;
    sx_model_unref(in->model);
    sx_free(in->model_path);
    sx_free(in->path);
    sx_free(in->truth);
    sx_free(in);
}

static void table_free(void *p)
{
    sx_nterm_data_release(p);
    sx_free(p);
}

static enum sx_status check_table(const struct sx_session *session, const struct sx_job *job,
                                  struct sx_error *err)
{
    const size_t entry = session->selection.model;
    const char *file = sx_arg_text(job->args, "file");
    if (session->input.run && session->input.model == entry)
        return sx_no_weights(&session->input, "nterm-table", err);
    if (entry >= session->workspace.n_entries ||
        session->workspace.entries[entry].kind != SX_ENTRY_MODEL)
        return sx_fail(err, SX_ERR_USAGE, "nterm-table: no model is selected; :select --model N");
    if (session->workspace.entries[entry].model.family != SX_MODEL_ESM2)
        return sx_fail(err, SX_ERR_USAGE, "nterm-table: %s has no mask token, only ESM-2 does",
                       session->workspace.entries[entry].label);
    if (file && strcmp(file, "-") == 0)
        return sx_fail(err, SX_ERR_USAGE, "nterm-table: standard input cannot be read here");
    if (file && flag(job->args, "builtin"))
        return sx_fail(err, SX_ERR_USAGE, "nterm-table: a file or --builtin, not both");
    if (sx_arg_text(job->args, "truth") && !file)
        return sx_fail(err, SX_ERR_USAGE, "nterm-table: --truth belongs to a FASTA file");
    return SX_OK;
}

/* Of the workspace: the selected file of proteins, or the first; NULL: there is none. */
static const char *proteins_of(const struct sx_session *session)
{
    const struct sx_workspace *workspace = &session->workspace;
    const size_t selected = session->selection.entry;
    if (selected < workspace->n_entries && workspace->entries[selected].kind == SX_ENTRY_PROTEINS)
        return workspace->entries[selected].path;
    for (size_t i = 0; i < workspace->n_entries; i++)
        if (workspace->entries[i].kind == SX_ENTRY_PROTEINS)
            return workspace->entries[i].path;
    return NULL;
}

static const char *file_of(const struct sx_session *session, const struct sx_job *job)
{
    const char *file = sx_arg_text(job->args, "file");
    return file || flag(job->args, "builtin") ? file : proteins_of(session);
}

SX_PREPARE(nterm_table)
{
    struct sx_nterm_data *data = &session->nterm;
    const size_t entry = session->selection.model;
    SX_TRY(check_table(session, job, err));
    struct table_job *in = sx_xcalloc(1, sizeof *in);
    const bool open = session->input.opened && session->input.model == entry;
    *in = (struct table_job){
        .entry = entry,
        .workspace = session->workspace_serial,
        .model_path = sx_xstrdup(session->workspace.entries[entry].path),
        .model = open ? sx_model_ref(session->input.opened) : NULL,
        .runner = sx_run_runner(session),
        .path = sx_xstrdup(file_of(session, job)),
        .truth = sx_xstrdup(sx_arg_text(job->args, "truth")),
    };
    in->question = (struct sx_nterm_question){
        .path = in->path,
        .truth = in->truth,
        .proteins = sx_proteins_defaults(),
        .presentations = sx_nterm_defaults(),
    };
    in->question.proteins.limit = count_of(job->args, "limit");
    job->input = in;
    job->input_free = table_job_free;
    sx_nterm_data_release(data);
    data->state = SX_STATE_PENDING;
    data->model = entry;
    data->path = sx_xstrdup(in->path);
    sx_session_touch(session, SX_SLOT_NTERM);
    return SX_OK;
}

static enum sx_status use_runner(struct table_job *in, struct sx_error *err)
{
    if (!in->model)
        SX_TRY(sx_model_open(in->model_path, NULL, &in->model, err));
    if (*in->runner && sx_runner_model(*in->runner) != in->model) {
        sx_runner_free(*in->runner);
        *in->runner = NULL;
    }
    if (!*in->runner)
        *in->runner = sx_runner_new(in->model, sx_blas_threads());
    return SX_OK;
}

/* Sequences that a row opens as an input. */
static char **take_precursors(struct sx_proteins *proteins)
{
    char **all = sx_xcalloc(proteins->n + 1, sizeof *all);
    for (size_t i = 0; i < proteins->n; i++) {
        all[i] = proteins->items[i].precursor;
        proteins->items[i].precursor = NULL;
    }
    return all;
}

static enum sx_status measure_table(struct table_job *in, struct sx_proteins *proteins,
                                    struct sx_nterm_data *data, struct sx_task *task,
                                    struct sx_error *err)
{
    SX_TRY(use_runner(in, err));
    if (in->path)
        SX_TRY(sx_protein_format_of(in->path, &in->question.format, err));
    SX_TRY(sx_measure_nterm(*in->runner, &in->question, proteins, &data->result, task, err));
    data->line = sx_nterm_line(in->model_path, &in->question);
    data->precursors = take_precursors(proteins);
    return SX_OK;
}

SX_RUN(nterm_table)
{
    struct table_job *in = job->input;
    struct sx_proteins proteins = {0};
    struct sx_nterm_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = table_free;
    *data = (struct sx_nterm_data){
        .state = SX_STATE_READY, .model = in->entry, .path = sx_xstrdup(in->path)};
    const enum sx_status status = measure_table(in, &proteins, data, &job->task, err);
    sx_proteins_release(&proteins);
    return status;
}

SX_APPLY(nterm_table)
{
    const struct table_job *in = job->input;
    struct sx_nterm_data *data = &session->nterm;
    struct sx_selection *selection = &session->selection;
    if (data->state != SX_STATE_PENDING || data->model != in->entry ||
        session->workspace_serial != in->workspace)
        return;
    sx_session_touch(session, SX_SLOT_NTERM);
    if (job->status != SX_OK) {
        sx_slot_fail(&data->state, &data->error, job->status, &job->error);
        return;
    }
    sx_nterm_data_release(data);
    *data = *(struct sx_nterm_data *)job->result;
    sx_free(job->result);
    job->result = NULL;
    if (selection->protein >= data->result.n_rows) {
        selection->protein = 0;
        sx_session_touch(session, SX_SLOT_SELECTION);
    }
}
