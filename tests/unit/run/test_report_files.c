#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../../src/run/report_private.h"
#include "sextant/base/alloc.h"

/* --- selection ----------------------------------------------------------------------------------
 */

static struct sx_protein protein(const char *id, const char *sequence, size_t offset)
{
    struct sx_protein p = {.kind = SX_NTERM_MET, .length = strlen(sequence), .offset = offset};
    p.mature = p.length - offset;
    p.precursor = sx_xstrdup(sequence);
    (void)snprintf(p.id, sizeof p.id, "%s", id);
    return p;
}

#define START "MKTAYIAKQRQISFVKSHFSRQLEERLGLI" /* 30 residues */

static struct sx_report_data select_from(const struct sx_proteins *proteins, size_t limit,
                                         size_t max_length, uint64_t seed, bool add_met)
{
    const struct sx_report_options options = {limit, max_length, seed, add_met};
    struct sx_report_data data = {0};
    struct sx_error err = {0};
    cr_assert_eq(sx_report_select(proteins, &options, &data, &err), SX_OK, "%s", err.message);
    return data;
}

Test(report_select, each_start_once_and_the_rest_counted)
{
    struct sx_protein items[] = {
        protein("one", START "AAAA", 0),
        protein("same", START "CCCCCCC", 0),
        protein("other", "MVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVV", 0),
        protein("short", "MKTAYIAKQR", 0),
        protein("mature", "MLLLLLLLLLLLLLLLLLLLKTAYIAKQRQISFVKSHFSRQ", 20),
        protein("fasta", "KTAYIAKQRQISFVKSHFSRQLEERLGLIA", 0),
    };
    const size_t n = sizeof items / sizeof *items;
    const struct sx_proteins proteins = {.items = items, .n = n, .n_read = n};
    struct sx_report_data data = select_from(&proteins, 10, 40, 1, false);
    cr_assert_eq(data.n, 3); /* one of the two that start alike, "other", "mature" */
    cr_assert(data.n_repeated == 1 && data.n_short == 1 && data.n_other_start == 1);
    cr_assert(data.n_cut == 2 && data.natural.n == 2);
    for (size_t i = 0; i < data.n; i++)
        cr_assert(data.proteins[i].ids[1] == 20 && data.proteins[i].n <= 42);
    sx_report_data_release(&data);

    data = select_from(&proteins, 10, 40, 1, true);
    cr_assert(data.n == 4 && data.n_given_met == 1 && data.n_other_start == 0);
    sx_report_data_release(&data);
    data = select_from(&proteins, 1, 40, 1, false);
    cr_assert(data.n == 1 && data.natural.n == 1 && data.n_beyond_limit >= 2);
    sx_report_data_release(&data);
    for (size_t i = 0; i < n; i++)
        sx_free(items[i].precursor);
}

Test(report_select, the_seed_draws_the_order)
{
    enum { N = 40 };
    struct sx_protein items[N];
    char text[64];
    for (int i = 0; i < N; i++) {
        (void)snprintf(text, sizeof text, "M%c%cVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTT",
                       "ACDEFGHI"[i % 8], "KLNPQ"[i / 8]);
        items[i] = protein("x", text, 0);
        (void)snprintf(items[i].id, sizeof items[i].id, "%d", i);
    }
    const struct sx_proteins proteins = {.items = items, .n = N};
    struct sx_report_data a = select_from(&proteins, 10, 100, 1, false);
    struct sx_report_data b = select_from(&proteins, 10, 100, 1, false);
    struct sx_report_data c = select_from(&proteins, 10, 100, 2, false);
    size_t same = 0;
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(a.proteins[i].id, b.proteins[i].id);
        same += a.proteins[i].id == c.proteins[i].id;
    }
    cr_assert_lt(same, 8);
    sx_report_data_release(&a);
    sx_report_data_release(&b);
    sx_report_data_release(&c);
    for (int i = 0; i < N; i++)
        sx_free(items[i].precursor);
}

/* --- heatmaps -----------------------------------------------------------------------------------
 */

static const char *rows[] = {"L0", "L1"}, *columns[] = {"H0", "H1", "H2"};

static struct sx_str drawn(size_t n_rows, const double *values, const char *unit)
{
    struct sx_str out = SX_STR_INIT;
    double copy[6];
    memcpy(copy, values, n_rows * 3 * sizeof *copy);
    const struct sx_report_grid grid = {.title = "t",
                                        .unit = unit,
                                        .row_labels = rows,
                                        .column_labels = columns,
                                        .rows = n_rows,
                                        .columns = 3,
                                        .value = copy};
    sx_report_heatmap(&grid, &out);
    return out;
}

Test(report_heatmap, a_map_has_signs_levels_and_a_scale)
{
    const double values[] = {4, -2, 0.1, -4, (double)NAN, 1};
    struct sx_str out = drawn(2, values, "logits");
    cr_assert_str_eq(out.data, "    H0 H1 H2\n"
                               "L0  +█ -▄  ·\n"
                               "L1  -█  . +▂\n"
                               "\n█ = 4 logits; + and - are the sign, · is below a sixteenth of "
                               "it, . was not measured\n");
    sx_str_release(&out);
}

Test(report_heatmap, one_row_is_bars)
{
    const double values[] = {1, -0.5, (double)NAN};
    struct sx_str out = drawn(1, values, "");
    cr_assert_str_eq(out.data, "H0    +1.000  ████████████████████████\n"
                               "H1    -0.500  ████████████\n"
                               "H2        -\n");
    sx_str_release(&out);
}

Test(report_heatmap, next_to_nothing_does_not_fill_the_scale)
{
    const double values[] = {1e-6, -1e-7, 0};
    struct sx_str out = drawn(1, values, "logits");
    cr_assert_null(strstr(out.data, "█"));
    sx_str_release(&out);
}
