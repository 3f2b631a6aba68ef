#include "measure_nterm.h"

#include "document.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/interp/names.h"
#include "sextant/run/command.h"

/* --- measuring ----------------------------------------------------------------------------------
 */

static enum sx_status read_proteins(const struct sx_nterm_question *question,
                                    struct sx_proteins *proteins, struct sx_task *task,
                                    struct sx_error *err)
{
    if (question->path)
        return sx_proteins_read(question->path, question->format, question->truth,
                                &question->proteins, task, proteins, err);
    sx_proteins_add_builtin(proteins, &question->proteins);
    return SX_OK;
}

/* A pass holds one input of the longest kind at least. */
static enum sx_status check_memory(const struct sx_model *model,
                                   const struct sx_nterm_question *question,
                                   const struct sx_proteins *proteins, struct sx_error *err)
{
    const double gib = 1024.0 * 1024 * 1024;
    const size_t crop = question->presentations.crop;
    size_t longest = 0;
    for (size_t i = 0; i < proteins->n; i++) {
        const size_t n = proteins->items[i].length + question->presentations.prepend + 1;
        longest = n > longest ? n : longest;
    }
    longest = (longest < crop ? longest : crop) + 2;
    const double need = (double)sx_pass_bytes(model, &longest, 1) / gib;
    if (question->max_gib <= 0 || need <= question->max_gib)
        return SX_OK;
    return sx_fail(err, SX_ERR_NOMEM,
                   "this needs %.2f GiB, and the limit is %.3g: give a smaller --crop", need,
                   question->max_gib);
}

enum sx_status sx_measure_nterm(struct sx_runner *runner, const struct sx_nterm_question *question,
                                struct sx_proteins *proteins, struct sx_nterm_result *result,
                                struct sx_task *task, struct sx_error *err)
{
    *proteins = (struct sx_proteins){0};
    *result = (struct sx_nterm_result){0};
    SX_TRY(read_proteins(question, proteins, task, err));
    SX_TRY(check_memory(sx_runner_model(runner), question, proteins, err));
    return sx_nterm_run(runner, proteins, &question->presentations, result, task, err);
}

/* --- the document -------------------------------------------------------------------------------
 */

static struct sx_value *cell_document(const struct sx_nterm_cell *cell)
{
    struct sx_value *map = sx_value_map();
    const char top[] = {cell->top, '\0'};
    sx_document_text(map, "top", top);
    sx_document_real(map, "p_met", (double)cell->p_met, "not computed");
    sx_document_real(map, "p_true", (double)cell->p_true, "not computed");
    sx_document_int(map, "rank_true", (int64_t)cell->rank_true);
    sx_document_real(map, "gap", (double)cell->gap, "not computed");
    return map;
}

static struct sx_value *row_document(const struct sx_nterm_row *row)
{
    struct sx_value *map = sx_value_map();
    const char first[] = {row->first, '\0'};
    sx_document_text(map, "id", row->id);
    sx_document_text(map, "class", sx_nterm_class_name(row->kind));
    sx_value_set(map, "inferred", sx_value_bool(row->inferred));
    sx_document_text(map, "first", first);
    sx_document_int(map, "length", row->length);
    sx_document_int(map, "offset", row->offset);
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++)
        if (row->cell[p].made)
            sx_value_set(map, sx_presentation_name((enum sx_presentation)p),
                         cell_document(&row->cell[p]));
    return map;
}

static struct sx_value *presentation_document(const struct sx_nterm_summary *s, int p)
{
    struct sx_value *map = sx_value_map();
    sx_document_int(map, "n", (int64_t)s->n[p]);
    sx_document_int(map, "says_met", (int64_t)s->says_met[p]);
    sx_document_real(map, "fraction", (double)s->says_met[p] / (double)s->n[p], "no proteins");
    sx_document_real(map, "lo", s->says_met_lo[p], "no proteins");
    sx_document_real(map, "hi", s->says_met_hi[p], "no proteins");
    sx_document_real(map, "mean_p_met", s->mean_p_met[p], "no proteins");
    sx_document_real(map, "mean_p_true", s->mean_p_true[p], "no proteins");
    sx_document_real(map, "mean_rank_true", s->mean_rank_true[p], "no proteins");
    sx_document_real(map, "mean_gap", s->mean_gap[p], "no proteins");
    return map;
}

static struct sx_value *summary_document(const struct sx_nterm_summary *s)
{
    struct sx_value *map = sx_value_map();
    sx_document_int(map, "n", (int64_t)s->n_rows);
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++)
        if (s->n[p] > 0)
            sx_value_set(map, sx_presentation_name((enum sx_presentation)p),
                         presentation_document(s, p));
    struct sx_value *test = sx_value_set(map, "mcnemar", sx_value_map());
    sx_document_int(test, "pairs", (int64_t)s->n_pairs);
    sx_document_int(test, "first_only", (int64_t)s->first_only);
    sx_document_int(test, "inside_only", (int64_t)s->inside_only);
    sx_document_real(test, "p", s->p_value, "no protein with its precursor");
    return map;
}

static struct sx_value *options_document(const struct sx_nterm_question *question)
{
    struct sx_value *map = sx_value_map();
    const struct sx_nterm_options *options = &question->presentations;
    sx_document_int(map, "prepend", (int64_t)options->prepend);
    sx_document_text(map, "prepended", options->prepend_random ? "random" : "A");
    if (options->prepend_random)
        sx_document_int(map, "seed", (int64_t)options->seed);
    sx_document_int(map, "crop", (int64_t)options->crop);
    sx_document_int(map, "min_length", (int64_t)question->proteins.min_length);
    return map;
}

struct sx_value *sx_nterm_document(const struct sx_model_info *info,
                                   const struct sx_nterm_question *question,
                                   const struct sx_proteins *proteins,
                                   const struct sx_nterm_result *result)
{
    struct sx_value *document = sx_document_new();
    sx_document_text(document, "model", info->name);
    sx_document_text(document, "source", question->path ? question->path : "built in");
    sx_value_set(document, "options", options_document(question));
    struct sx_value *read = sx_value_set(document, "read", sx_value_map());
    sx_document_int(read, "records", (int64_t)proteins->n_read);
    sx_document_int(read, "unknown_start", (int64_t)proteins->n_unknown);
    sx_document_int(read, "too_short", (int64_t)proteins->n_short);
    sx_document_int(read, "no_residue_first", (int64_t)proteins->n_odd);
    struct sx_value *rows = sx_value_set(document, "rows", sx_value_list());
    for (size_t i = 0; i < result->n_rows; i++)
        sx_value_append(rows, row_document(&result->rows[i]));
    struct sx_value *summary = sx_value_set(document, "summary", sx_value_map());
    sx_value_set(summary, "not_met", summary_document(&result->summary));
    struct sx_value *by_class = sx_value_set(summary, "by_class", sx_value_map());
    for (int kind = 0; kind < SX_NTERM_CLASS_COUNT; kind++)
        if (result->by_class[kind].n_rows > 0)
            sx_value_set(by_class, sx_nterm_class_name((enum sx_nterm_class)kind),
                         summary_document(&result->by_class[kind]));
    return document;
}

/* --- the same in a shell ------------------------------------------------------------------------
 */

char *sx_nterm_line(const char *model_path, const struct sx_nterm_question *question)
{
    const struct sx_nterm_options usual = sx_nterm_defaults();
    const struct sx_nterm_options *options = &question->presentations;
    struct sx_str line = SX_STR_INIT;
    sx_str_append(&line, "sextant nterm ");
    sx_command_quote(model_path, &line);
    if (question->path) {
        sx_str_append(&line,
                      question->format == SX_PROTEINS_SWISSPROT ? " --swissprot " : " --fasta ");
        sx_command_quote(question->path, &line);
    } else {
        sx_str_append(&line, " --builtin");
    }
    if (question->truth) {
        sx_str_append(&line, " --truth ");
        sx_command_quote(question->truth, &line);
    }
    if (question->proteins.limit > 0)
        sx_str_printf(&line, " --limit %zu", question->proteins.limit);
    if (options->prepend != usual.prepend)
        sx_str_printf(&line, " --prepend %zu", options->prepend);
    return sx_str_take(&line);
}
