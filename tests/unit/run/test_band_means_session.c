/* band-means and band-interval in the session: the numbers are those of `bands` on the command
 * line, and what is out of date or cancelled does not reach the slot. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "session_stage.h"
#include "sextant/interp/names.h"

static const struct tiny_shape shape = {SX_MODEL_ESM2, 2, 32, 4, 64, 33, 0};

static void write_fasta(const struct stage *s, size_t n)
{
    static const char letters[] = "LAGVSERTIDPKQNFYMHWC";
    char *path = sx_xasprintf("%s/p.fa", s->folder);
    FILE *f = fopen(path, "w");
    uint32_t seed = 7;

    cr_assert_not_null(f);
    for (size_t i = 0; i < n; i++) {
        fprintf(f, ">p%zu\nM", i);
        for (int r = 0; r < (i == 3 ? 2 : 11); r++) {
            seed = seed * 1664525u + 1013904223u;
            fputc(letters[(seed >> 16) % 20], f);
        }
        fputc('\n', f);
    }
    fclose(f);
    sx_free(path);
}

/* Six proteins, the fourth too short for a mask at token 6. */
static struct stage stage_new(size_t n)
{
    struct stage s = stage_start();
    s.model = stage_model(&s, "model", shape, NULL);
    write_fasta(&s, n);
    stage_open(&s);
    char *line = sx_xasprintf("input --fasta %s/p.fa --record 2", s.folder);
    do_line(&s, line);
    sx_free(line);
    do_line(&s, "mask --token 1");
    do_line(&s, "select --token 1 --key 0");
    do_line(&s, "set --against 6");
    return s;
}

/* The row of `bands … --layer 1 [--head 2]` that is of this band. */
static void check_cell(const struct stage *s, const char *more, size_t head, size_t band)
{
    const struct sx_band_means_data *data = &s->session->band_means;
    char *line = sx_xasprintf("%s --layer 1%s", data->line, more);
    struct sx_value *document = shell(line);
    const struct sx_value *rows = sx_value_get(document, "rows");
    const struct sx_value *row = NULL;

    cr_assert_eq(sx_value_int_or(sx_value_get(document, "sequences"), 0), (int64_t)data->n);
    for (size_t i = 0; i < sx_value_count(rows) && !row; i++)
        if (sx_value_int_or(sx_value_get(sx_value_item(rows, i), "band"), -1) == (int64_t)band)
            row = sx_value_item(rows, i);
    cr_assert_not_null(row, "%s", line);
    cr_assert_eq(data->cell.state, SX_STATE_READY);
    cr_assert(data->cell.layer == 1 && data->cell.head == head && data->cell.band == band);
    for (int t = 0; t < SX_BAND_TERM_COUNT; t++) {
        const struct sx_value *one = sx_value_get(row, sx_band_term_name((enum sx_band_term)t));
        const struct sx_band_mean_term *term = &data->cell.term[t];
        cr_assert_eq(sx_value_real_or(sx_value_get(one, "mean"), (double)NAN), term->mean);
        cr_assert_eq(sx_value_real_or(sx_value_get(one, "lo"), (double)NAN), term->lo);
        cr_assert_eq(sx_value_real_or(sx_value_get(one, "hi"), (double)NAN), term->hi);
        cr_assert(term->lo < term->hi && term->lo <= term->mean && term->mean <= term->hi);
    }
    sx_value_free(document);
    sx_free(line);
}

Test(band_means_session, the_numbers_are_those_of_the_command_line)
{
    struct stage s = stage_new(6);
    const struct sx_band_means_data *data = &s.session->band_means;

    refuse(&s, "band-interval", "first :band-means");
    say(&s, "band-means");
    cr_assert_eq(data->state, SX_STATE_PENDING);
    cr_assert(data->query == 1 && data->key == 0 && data->against == 6 && data->masked);
    sx_run_wait_idle(s.run);
    cr_assert_eq(data->state, SX_STATE_READY, "%s", data->error.message);
    cr_assert_eq(data->serial, s.session->input.serial);
    cr_assert_eq(data->n, 5);
    cr_assert_eq(data->n_left_out, 1);
    do_line(&s, "band-interval --layer 1 --head 2 --band 3");
    check_cell(&s, " --head 2", 2, 3);
    do_line(&s, "band-interval --layer 1 --band 0");
    check_cell(&s, "", SIZE_MAX, 0);
    refuse(&s, "band-interval --layer 2", "--layer 2");
    refuse(&s, "band-interval --head 4", "--head 4");
    refuse(&s, "band-interval --band 4", "--band 4");
    stage_free(&s);
}

Test(band_means_session, what_can_be_asked)
{
    struct stage s = stage_new(6);

    do_line(&s, "set --against none");
    refuse(&s, "band-means", "condition B");
    do_line(&s, "input MKTVRQERLK");
    refuse(&s, "band-means --against 4", "of no file");
    do_line(&s, "input --fasta /nonexistent/p.fa");
    refuse(&s, "band-means --against 4", "no input");
    stage_free(&s);
}

Test(band_means_session, out_of_date_and_cancelled)
{
    struct stage s = stage_new(400);
    const struct sx_band_means_data *data = &s.session->band_means;

    say(&s, "band-means");
    say(&s, "mask --token 2"); /* another input */
    sx_run_wait_idle(s.run);
    cr_assert_eq(data->state, SX_STATE_EMPTY);
    say(&s, "band-means");
    say(&s, "cancel");
    sx_run_wait_idle(s.run);
    cr_assert_eq(data->state, SX_STATE_FAILED);
    cr_assert_eq(data->error.status, SX_CANCELLED);
    refuse(&s, "band-interval", "first :band-means");
    do_line(&s, "band-means");
    cr_assert_eq(data->state, SX_STATE_READY, "%s", data->error.message);
    say(&s, "band-interval --layer 0 --head 0 --band 0"); /* superseded */
    do_line(&s, "band-interval --layer 1 --head 1 --band 1");
    cr_assert_eq(data->cell.state, SX_STATE_READY);
    cr_assert(data->cell.layer == 1 && data->cell.head == 1 && data->cell.band == 1);
    do_line(&s, "mask --token 2");
    cr_assert_eq(data->state, SX_STATE_EMPTY);
    stage_free(&s);
}
