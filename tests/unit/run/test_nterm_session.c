/* nterm-table in the session: its slot, what a row opens as, when it is emptied. */
#include <criterion/criterion.h>

#include "session_stage.h"
#include "sextant/interp/names.h"
#include "sextant/run/commands.h"

static const char entries[] = "ID   A_B   Reviewed; 14 AA.\n"
                              "FT   SIGNAL 1 4\n"
                              "FT   CHAIN 5 14\n"
                              "SQ   SEQUENCE 14 AA;\n"
                              "     MKTVAAGGHH CDEF\n"
                              "//\n"
                              "ID   C_D   Reviewed; 12 AA.\n"
                              "SQ   SEQUENCE 12 AA;\n"
                              "     MKTVAAGGHH CD\n"
                              "//\n";

static void put_entries(const struct stage *s, const char *text)
{
    FILE *f = fopen(s->file, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static struct stage stage_new(void)
{
    struct stage s = stage_start();
    s.model = stage_model(&s, "a-esm", tiny_esm2_shape, NULL);
    sx_free(stage_model(&s, "b-neox", tiny_neox_shape, NULL));
    s.file = sx_xasprintf("%s/proteins.txt", s.folder);
    put_entries(&s, entries);
    stage_open(&s);
    cr_assert_eq(s.session->selection.model, 0);
    return s;
}

static void ask(struct stage *s, const char *more)
{
    char *line = sx_xasprintf("nterm-table %s%s", s->file, more);
    do_line(s, line);
    sx_free(line);
}

Test(nterm_session, a_file)
{
    struct stage s = stage_new();
    const struct sx_nterm_data *data = &s.session->nterm;
    const uint64_t before = s.session->revision[SX_SLOT_NTERM];
    cr_assert_eq(data->state, SX_STATE_EMPTY);
    ask(&s, "");
    cr_assert_eq(data->state, SX_STATE_READY, "%s", data->error.message);
    cr_assert_gt(s.session->revision[SX_SLOT_NTERM], before);
    cr_assert_str_eq(data->path, s.file);
    cr_assert_eq(data->model, 0);
    cr_assert_eq(data->result.n_rows, 2);
    cr_assert_str_eq(data->result.rows[0].id, "A_B");
    cr_assert_eq(data->result.rows[0].kind, SX_NTERM_SIGNAL);
    cr_assert_eq(data->result.rows[0].offset, 4);
    cr_assert_str_eq(data->precursors[0], "MKTVAAGGHHCDEF");
    cr_assert_eq(data->result.rows[1].kind, SX_NTERM_MET);
    cr_assert_eq(data->result.summary.n_rows, 1);
    cr_assert_eq(data->result.summary.n_pairs, 1);
    char *line = sx_xasprintf("sextant nterm %s --swissprot %s", s.model, s.file);
    cr_assert_str_eq(data->line, line);
    sx_free(line);
    stage_free(&s);
}

Test(nterm_session, the_line_gives_the_same)
{
    struct stage s = stage_new();
    struct sx_error err = {0};
    const struct sx_command *command;
    struct sx_value *args;
    struct sx_job job;
    ask(&s, " --limit 1");
    const struct sx_nterm_data *data = &s.session->nterm;
    cr_assert_eq(data->result.n_rows, 1);
    cr_assert_eq(sx_command_parse(data->line + strlen("sextant "), &command, &args, &err), SX_OK,
                 "%s: %s", data->line, err.message);
    sx_job_init(&job, command, args);
    cr_assert_eq(sx_job_run(&job, &err), SX_OK, "%s", err.message);
    const struct sx_value *rows = sx_value_get(job.document, "rows");
    cr_assert_eq(sx_value_count(rows), 1);
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
        const struct sx_nterm_cell *cell = &data->result.rows[0].cell[p];
        const struct sx_value *told =
            sx_value_get(sx_value_item(rows, 0), sx_presentation_name((enum sx_presentation)p));
        cr_assert_eq(cell->made, told != NULL);
        cr_assert_eq(sx_value_real_or(sx_value_get(told, "p_met"), -1), (double)cell->p_met);
        cr_assert_eq(sx_value_real_or(sx_value_get(told, "gap"), -99), (double)cell->gap);
    }
    sx_job_release(&job);
    stage_free(&s);
}

Test(nterm_session, built_in_examples_and_rows)
{
    struct stage s = stage_new();
    refuse(&s, "select --protein 0", "there is no protein here");
    do_line(&s, "nterm-table");
    cr_assert_eq(s.session->nterm.state, SX_STATE_READY);
    cr_assert_null(s.session->nterm.path);
    cr_assert_eq(s.session->nterm.result.n_rows, 8);
    do_line(&s, "select --protein 7");
    cr_assert_eq(s.session->selection.protein, 7);
    refuse(&s, "select --protein 8", "the last one is 7");
    /* A shorter table leaves no cursor behind its end. */
    ask(&s, "");
    cr_assert_eq(s.session->selection.protein, 0);
    stage_free(&s);
}

Test(nterm_session, files_of_the_workspace)
{
    struct stage s = stage_new();
    char *dat = sx_xasprintf("%s/z.dat", s.folder);
    char *fasta = sx_xasprintf("%s/y.fasta", s.folder);
    char *other = sx_xasprintf("%s/x.dat", s.folder);
    rename(s.file, dat);
    put_entries(&s, ">a\nKTVAAGGHHCDEF\n");
    rename(s.file, fasta);
    put_entries(&s, "1 2 3\n");
    rename(s.file, other);
    do_line(&s, "rescan");
    const struct sx_workspace *workspace = &s.session->workspace;
    cr_assert_eq(workspace->n_entries, 4, "x.dat is none");
    cr_assert_eq(workspace->n_problems, 0);
    cr_assert_eq(workspace->entries[2].kind, SX_ENTRY_PROTEINS);
    do_line(&s, "nterm-table");
    cr_assert_str_eq(s.session->nterm.path, fasta, "the first");
    cr_assert_eq(s.session->nterm.result.rows[0].kind, SX_NTERM_SEQUENCE);
    do_line(&s, "select --entry 3");
    do_line(&s, "nterm-table");
    cr_assert_str_eq(s.session->nterm.path, dat, "the selected one");
    cr_assert_eq(s.session->nterm.result.n_rows, 2);
    do_line(&s, "nterm-table --builtin");
    cr_assert_null(s.session->nterm.path);
    refuse(&s, "nterm-table x --builtin", "not both");
    sx_free(dat);
    sx_free(fasta);
    sx_free(other);
    stage_free(&s);
}

Test(nterm_session, what_fails_and_what_is_refused)
{
    struct stage s = stage_new();
    const struct sx_nterm_data *data = &s.session->nterm;
    do_line(&s, "nterm-table /nowhere/none.dat");
    cr_assert_eq(data->state, SX_STATE_FAILED);
    cr_assert(strstr(data->error.message, "none.dat: No such file"), "%s", data->error.message);
    put_entries(&s, "hello\n");
    ask(&s, "");
    cr_assert_eq(data->state, SX_STATE_FAILED);
    cr_assert(strstr(data->error.message, "expected '>' and a name (FASTA) or 'ID"), "%s",
              data->error.message);
    refuse(&s, "nterm-table -", "standard input");
    refuse(&s, "nterm-table --truth a.tsv", "--truth belongs to a FASTA file");
    stage_free(&s);
}

Test(nterm_session, another_model_empties_it)
{
    struct stage s = stage_new();
    ask(&s, "");
    cr_assert_eq(s.session->nterm.state, SX_STATE_READY);
    do_line(&s, "input MKTV");
    cr_assert_eq(s.session->nterm.state, SX_STATE_READY, "it is of the model, not of the input");
    do_line(&s, "select --model 1");
    cr_assert_eq(s.session->nterm.state, SX_STATE_EMPTY);
    refuse(&s, "nterm-table", "b-neox has no mask token");
    do_line(&s, "select --model 0");
    /* On its way when the model changes: what comes back is of nobody. */
    struct sx_error err = {0};
    cr_assert_eq(sx_run_submit_line(s.run, "nterm-table", NULL, &err), SX_OK);
    cr_assert_eq(s.session->nterm.state, SX_STATE_PENDING);
    do_line(&s, "select --model 1");
    cr_assert_eq(s.session->nterm.state, SX_STATE_EMPTY);
    do_line(&s, "select --model 0");
    ask(&s, "");
    do_line(&s, "rescan");
    cr_assert_eq(s.session->nterm.state, SX_STATE_EMPTY, "entries have other numbers now");
    stage_free(&s);
}
