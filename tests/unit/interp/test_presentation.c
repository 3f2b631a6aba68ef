#include "sextant/interp/presentation.h"

#include "forward_fixture.h"
#include "io_support.h"
#include "sextant/interp/names.h"
#include "sextant/interp/results.h"
#include "sextant/model/tokenizer.h"

static struct sx_error said;

TestSuite(presentation, .init = io_enter_scratch, .fini = io_leave_scratch);

/* --- from annotations to chains -----------------------------------------------------------------
 */

/* Every protein as "id class first offset mature[ ~]\n". */
static char *tell(const struct sx_proteins *proteins)
{
    struct sx_str all = SX_STR_INIT;
    for (size_t i = 0; i < proteins->n; i++) {
        const struct sx_protein *p = &proteins->items[i];
        cr_assert_eq(strlen(p->precursor), p->length);
        cr_assert(p->mature > 0 && p->offset + p->mature <= p->length);
        sx_str_printf(&all, "%s %s %c %zu %zu%s\n", p->id, sx_nterm_class_name(p->kind),
                      p->precursor[p->offset], p->offset, p->mature, p->inferred ? " ~" : "");
    }
    return sx_str_take(&all);
}

static const struct sx_proteins_options any_length = {.min_length = 1};

/* An entry of 20 residues, of which the first is M, with these lines before the sequence. */
static void finds_in(const char *sequence, const char *lines, const char *expected)
{
    struct sx_proteins proteins = {0};
    char *text =
        sx_xasprintf("ID   P_X   Reviewed; %zu AA.\n%sSQ   SEQUENCE %zu AA;\n     %s\n//\n",
                     strlen(sequence), lines, strlen(sequence), sequence);
    io_write("a.dat", text, strlen(text));
    const enum sx_status status =
        sx_proteins_read("a.dat", SX_PROTEINS_UNKNOWN, NULL, &any_length, NULL, &proteins, &said);
    cr_assert(status == SX_OK || status == SX_ERR_NOTFOUND, "%s", said.message);
    char *found = tell(&proteins);
    cr_expect_str_eq(found, expected, "for\n%s\nfound\n%s", lines, found);
    sx_free(found);
    sx_free(text);
    sx_proteins_release(&proteins);
}

static void finds(const char *lines, const char *expected)
{
    finds_in("MKTVAAGGHHCDEFGILNPQ", lines, expected);
}

Test(presentation, what_is_cut_off_before_a_chain)
{
    finds("", "P_X met M 0 20\n");
    finds("FT   CHAIN 1 20\n", "P_X met M 0 20\n");
    finds("FT   INIT_MET 1 1 Removed.\nFT   CHAIN 2 20\n", "P_X excision K 1 19\n");
    finds("FT   CHAIN 2 20\n", "P_X excision K 1 19\n");
    finds("FT   SIGNAL 1 4 Potential.\nFT   CHAIN 5 18\n", "P_X signal A 4 14 ~\n");
    finds("FT   TRANSIT 1 4\nFT   CHAIN 5 >20\n", "P_X transit A 4 16\n");
    finds("FT   SIGNAL 1 4\nFT   PROPEP 5 8\nFT   CHAIN 9 20\n", "P_X propep H 8 12\n");
    finds("FT   SIGNAL 1 ?\nFT   PROPEP ? 8\nFT   CHAIN 9 20\n", "P_X propep H 8 12\n");
}

Test(presentation, without_chains_what_is_left)
{
    finds("FT   INIT_MET 1 1\n", "P_X excision K 1 19\n");
    finds("FT   SIGNAL 1 4\nFT   PROPEP 5 8\n", "P_X propep H 8 12\n");
    finds("FT   PROPEP 5 8\nFT   SIGNAL 1 4\n", "P_X propep H 8 12\n");
    finds("FT   PROPEP 15 20\n", "P_X met M 0 20\n");
    finds("FT   SIGNAL 1 ?\n", "");
    finds("FT   SIGNAL 1 20\n", "");
    finds("FT   SIGNAL 1 ?4\nFT   CHAIN ?5 20\n", "");
}

Test(presentation, several_products)
{
    finds("FT   SIGNAL 1 4\nFT   PEPTIDE 5 10\nFT   PROPEP 11 13\nFT   PEPTIDE 14 18\n",
          "P_X signal A 4 6\nP_X/14 chain F 13 5\n");
    finds("FT   CHAIN 11 20\nFT   CHAIN 1 10\n", "P_X met M 0 10\nP_X/11 chain C 10 10\n");
    /* One start, two ends. */
    finds("FT   SIGNAL 1 4\nFT   PEPTIDE 5 10\nFT   CHAIN 5 20\n", "P_X signal A 4 16\n");
    /* Removed in some molecules. */
    finds("FT   INIT_MET 1 1 Removed; alternate.\nFT   CHAIN 1 20\nFT   CHAIN 2 20\n",
          "P_X met M 0 20\nP_X/2 excision K 1 19\n");
}

Test(presentation, fragments)
{
    finds("DE   Flags: Fragment;\n", "P_X fragment M 0 20\n");
    finds("FT   CHAIN <1 20\n", "P_X fragment M 0 20\n");
    finds("FT   NON_TER 1 1\nFT   CHAIN 1 20\n", "P_X fragment M 0 20\n");
    finds("DE   Flags: Fragment;\nFT   NON_TER 20 20\n", "P_X met M 0 20\n");
    finds_in("KTVAAGGHHC", "", "P_X sequence K 0 10\n");
    finds_in("XTVAAGGHHC", "", "");
}

/* Very old files leave the initiator out of the sequence and count without it. */
Test(presentation, a_methionine_that_the_file_leaves_out)
{
    finds_in("KTVAAGGHHC", "FT   INIT_MET 0 0\n", "P_X excision K 1 10\n");
    finds_in("KTVAAGGHHC", "FT   INIT_MET 0 0\nFT   CHAIN 1 9\nFT   CHAIN 5 9\n",
             "P_X excision K 1 9\nP_X/5 chain A 5 5\n");
}

Test(presentation, limits_and_what_is_left_out)
{
    struct sx_proteins proteins = {0};
    const struct sx_proteins_options options = {.limit = 2, .min_length = 4};
    const char fasta[] = ">a\nMK\n>b\nxKTV\n>c\nmktv\n>d\n>e\nAAAA\n>f\nGGGG\n";
    io_write("a.fa", fasta, sizeof fasta - 1);
    cr_assert_eq(
        sx_proteins_read("a.fa", SX_PROTEINS_UNKNOWN, NULL, &options, NULL, &proteins, &said),
        SX_OK, "%s", said.message);
    char *found = tell(&proteins);
    cr_expect_str_eq(found, "c met M 0 4\ne sequence A 0 4\n");
    cr_expect_eq(proteins.n_read, 5);
    cr_expect_eq(proteins.n_short, 2);
    cr_expect_eq(proteins.n_odd, 1);
    sx_free(found);
    sx_proteins_release(&proteins);
}

Test(presentation, built_in_examples)
{
    struct sx_proteins proteins = {0};
    sx_proteins_add_builtin(&proteins, &any_length);
    char *found = tell(&proteins);
    cr_expect_str_eq(found, "insulin-B signal F 24 30\ninsulin-A chain G 89 21\n"
                            "lysozyme signal K 18 129\nBPTI propep R 0 58\n"
                            "melittin propep G 0 26\nglucagon chain H 0 29\n"
                            "HIV-protease chain P 0 99\nubiquitin met M 0 76\n");
    cr_expect(strncmp(proteins.items[0].precursor + 24, "FVNQHLCGSHLVEALYLVCGERGFFYTPKT", 30) == 0);
    cr_expect(strcmp(proteins.items[1].precursor + 89, "GIVEQCCTSICSLYQLENYCN") == 0);
    cr_expect(strncmp(proteins.items[2].precursor + 18, "KVFGRCELAAAMKRHGLDNYRG", 22) == 0);
    sx_free(found);
    sx_proteins_release(&proteins);
}

/* --- truth beside FASTA -------------------------------------------------------------------------
 */

static enum sx_status with_truth(const char *truth, struct sx_proteins *proteins)
{
    const char fasta[] = ">a one\nMKTVAAGG\n>b\nGGHH\n";
    *proteins = (struct sx_proteins){0};
    io_write("a.fa", fasta, sizeof fasta - 1);
    io_write("a.tsv", truth, strlen(truth));
    return sx_proteins_read("a.fa", SX_PROTEINS_FASTA, "a.tsv", &any_length, NULL, proteins, &said);
}

static void refuses(const char *truth, const char *part)
{
    struct sx_proteins proteins;
    cr_expect_eq(with_truth(truth, &proteins), SX_ERR_FORMAT, "for %s", truth);
    cr_expect(strstr(said.message, part), "\"%s\" not in: %s", part, said.message);
    sx_proteins_release(&proteins);
}

Test(presentation, truth_of_fasta_records)
{
    struct sx_proteins proteins;
    cr_assert_eq(
        with_truth("# known\nid\tfirst\tclass\toffset\r\n\na\tv\tsignal\t3\r\n", &proteins), SX_OK,
        "%s", said.message);
    char *found = tell(&proteins);
    cr_expect_str_eq(found, "a signal V 3 5\nb sequence G 0 4\n");
    sx_free(found);
    sx_proteins_release(&proteins);
}

Test(presentation, truth_that_does_not_fit)
{
    refuses("a\tK\tsignal\t3\n", "a.tsv: line 1: expected K behind 3 residues of a, found 'V'");
    refuses("a\tK\tsignal\t8\n", "expected K behind 8 residues of a, found ''");
    refuses("a\tV\tsignal\n", "line 1: expected id, first residue, class and offset");
    refuses("a\tVK\tsignal\t3\n", "one letter, the first residue, found 'VK'");
    refuses("a\tV\tsignals\t3\n", "expected a class (met, ");
    refuses("a\tV\tmet\t3\n", "expected M first in class met, found 'V'");
    refuses("a\tV\tsignal\t-3\n", "expected the residues before the mature chain, found '-3'");
    refuses("a\tV\tsignal\t3x\n", "found '3x'");
    refuses("a\tV\tsignal\t99999999999999\n", "found '99999999999999'");
    refuses("#\na\tV\tsignal\t3\nc\tG\tchain\t0\n",
            "line 3: expected the id of a record of the FASTA file, found 'c'");
    refuses("a\tV\tsignal\t3\na\tV\tsignal\t3\n", "expected every id once, found 'a'");
}

Test(presentation, files_that_are_neither)
{
    struct sx_proteins proteins = {0};
    io_write("a.txt", "hello\n", 6);
    cr_expect_eq(
        sx_proteins_read("a.txt", SX_PROTEINS_UNKNOWN, NULL, &any_length, NULL, &proteins, &said),
        SX_ERR_FORMAT);
    cr_expect(strstr(said.message, "a.txt: expected '>' and a name (FASTA) or 'ID"), "%s",
              said.message);
    io_write("a.dat",
             "ID   P_X   Reviewed; 4 AA.\nFT   SIGNAL 1 ?\nSQ   SEQUENCE 4 AA;\n     "
             "MKTV\n//\n",
             75);
    cr_expect_eq(
        sx_proteins_read("a.dat", SX_PROTEINS_SWISSPROT, NULL, &any_length, NULL, &proteins, &said),
        SX_ERR_NOTFOUND, "%s", said.message);
    cr_expect(strstr(said.message, "of 1, 1 have no known start"), "%s", said.message);
    sx_proteins_release(&proteins);
}

/* --- presentations ------------------------------------------------------------------------------
 */

/* Ids as a text in which _ is the mask, < <cls> and > <eos>; its mask must be where it says. */
static void presents(const struct sx_protein *p, enum sx_presentation presentation,
                     const struct sx_nterm_options *options, const char *expected)
{
    struct sx_presented made;
    struct sx_str text = SX_STR_INIT;
    sx_present(p, 0, presentation, options, &made);
    cr_assert_eq(made.made, expected != NULL, "%s", sx_presentation_name(presentation));
    for (size_t i = 0; i < made.n; i++)
        sx_str_append_char(&text, made.ids[i] == SX_ESM_MASK  ? '_'
                                  : made.ids[i] == SX_ESM_CLS ? '<'
                                  : made.ids[i] == SX_ESM_EOS ? '>'
                                  : made.ids[i] == SX_ESM_UNK
                                      ? '#'
                                      : "LAGVSERTIDPKQNFYMHWCXBUZO"[made.ids[i] - 4]);
    if (expected) {
        cr_expect_str_eq(text.data, expected, "%s: %s, not %s", sx_presentation_name(presentation),
                         text.data, expected);
        cr_expect_eq(text.data[made.mask], '_');
    }
    sx_str_release(&text);
    sx_presented_release(&made);
}

Test(presentation, five_ways)
{
    char precursor[] = "MKTVAXJGHH";
    struct sx_protein p = {.precursor = precursor, .length = 10, .offset = 3, .mature = 5};
    struct sx_nterm_options options = sx_nterm_defaults();
    cr_expect_eq(options.prepend, 10);
    cr_expect_eq(options.crop, 1022);
    options.prepend = 3;
    presents(&p, SX_MATURE_FIRST, &options, "<_AX#G>");
    presents(&p, SX_MATURE_INSERTED, &options, "<_VAX#G>");
    presents(&p, SX_PRECURSOR_FIRST, &options, "<_KTVAX#GHH>");
    presents(&p, SX_PRECURSOR_INSIDE, &options, "<MKT_AX#GHH>");
    presents(&p, SX_MATURE_PREPENDED, &options, "<AAA_AX#G>");
    options.prepend = 0;
    presents(&p, SX_MATURE_PREPENDED, &options, NULL);
    /* Nothing is known before the chain; the precursor does not start with M. */
    precursor[0] = 'G';
    presents(&p, SX_PRECURSOR_FIRST, &options, NULL);
    presents(&p, SX_PRECURSOR_INSIDE, &options, "<GKT_AX#GHH>");
    p.offset = 0;
    presents(&p, SX_PRECURSOR_FIRST, &options, NULL);
    presents(&p, SX_PRECURSOR_INSIDE, &options, NULL);
    presents(&p, SX_MATURE_FIRST, &options, "<_KTVA>");
}

Test(presentation, long_ones_are_cropped_around_the_mask)
{
    char precursor[] = "MKTVAGGHHC";
    struct sx_protein p = {.precursor = precursor, .length = 10, .offset = 1, .mature = 9};
    struct sx_nterm_options options = {.prepend = 3, .crop = 4};
    presents(&p, SX_MATURE_FIRST, &options, "<_TVA>");
    presents(&p, SX_MATURE_INSERTED, &options, "<_KTV>");
    presents(&p, SX_PRECURSOR_FIRST, &options, "<_KTV>");
    presents(&p, SX_PRECURSOR_INSIDE, &options, "<M_TV>");
    presents(&p, SX_MATURE_PREPENDED, &options, "<AA_T>");
    p.offset = 5;
    presents(&p, SX_PRECURSOR_INSIDE, &options, "<VA_G>");
    p.offset = 9;
    presents(&p, SX_PRECURSOR_INSIDE, &options, "<GHH_>");
    options.crop = 1;
    presents(&p, SX_PRECURSOR_INSIDE, &options, "<_>");
}

/* The table of ids is the tokenizer's. */
Test(presentation, ids_are_the_tokenizers)
{
    char all[] = "MACDEFGHIKLMNPQRSTVWYXBUZOJ";
    const struct sx_protein p = {.precursor = all, .length = 27, .mature = 27};
    const struct sx_nterm_options options = sx_nterm_defaults();
    struct sx_tokenizer *tokenizer = NULL;
    struct sx_presented made;
    struct sx_ids ids = {0};
    size_t unknown;
    sx_present(&p, 0, SX_MATURE_INSERTED, &options, &made);
    cr_assert_eq(sx_tokenizer_esm2(NULL, &tokenizer, &said), SX_OK);
    cr_assert_eq(sx_tokenize(tokenizer, "<mask>MACDEFGHIKLMNPQRSTVWYXBUZOJ", 33, NULL, &ids,
                             &unknown, &said),
                 SX_OK);
    cr_assert_eq(ids.n, made.n);
    cr_expect_eq(memcmp(ids.ids, made.ids, ids.n * sizeof *ids.ids), 0);
    sx_ids_release(&ids);
    sx_presented_release(&made);
    sx_tokenizer_free(tokenizer);
}

Test(presentation, random_residues_have_a_stream_a_protein)
{
    char precursor[] = "KTVA";
    const struct sx_protein p = {.precursor = precursor, .length = 4, .mature = 4};
    struct sx_nterm_options options = {
        .prepend = 40, .prepend_random = true, .seed = 5, .crop = 1022};
    struct sx_presented a, again, other, cropped;
    sx_present(&p, 1, SX_MATURE_PREPENDED, &options, &a);
    sx_present(&p, 1, SX_MATURE_PREPENDED, &options, &again);
    sx_present(&p, 2, SX_MATURE_PREPENDED, &options, &other);
    options.crop = 10;
    sx_present(&p, 1, SX_MATURE_PREPENDED, &options, &cropped);
    cr_expect_eq(memcmp(a.ids, again.ids, a.n * sizeof *a.ids), 0);
    cr_expect_neq(memcmp(a.ids, other.ids, a.n * sizeof *a.ids), 0);
    cr_expect_eq(memcmp(a.ids + a.n - 11, cropped.ids + 1, 11 * sizeof *a.ids), 0);
    for (size_t i = 1; i <= 40; i++)
        cr_expect(a.ids[i] >= SX_ESM_FIRST_RESIDUE && a.ids[i] <= SX_ESM_LAST_RESIDUE);
    sx_presented_release(&a);
    sx_presented_release(&again);
    sx_presented_release(&other);
    sx_presented_release(&cropped);
}

/* --- the model ----------------------------------------------------------------------------------
 */

/* Each cell by hand from a pass of its own over ids written out in full. */
static void check_cell(const struct fixture *f, const struct sx_nterm_cell *cell,
                       const int32_t *ids, size_t n, size_t mask, int32_t own)
{
    float *logits = fixture_logits(f, ids, n, NULL);
    const float *row = logits + mask * SX_ESM_VOCAB;
    double total = 0, rank = 0;
    int32_t top = 4;
    for (int32_t v = 4; v <= 23; v++) {
        total += exp((double)row[v]);
        rank += row[v] > row[own] || (row[v] == row[own] && v < own);
        top = row[v] > row[top] ? v : top;
    }
    cr_assert(cell->made);
    CHECK_CLOSE(cell->p_met, exp((double)row[20]) / total, 1e-6);
    CHECK_CLOSE(cell->p_true, exp((double)row[own]) / total, 1e-6);
    CHECK_CLOSE(cell->rank_true, rank, 0);
    CHECK_CLOSE(cell->gap, row[20] - row[own], 0);
    cr_expect_eq(cell->top, "LAGVSERTIDPKQNFYMHWC"[top - 4]);
    sx_free(logits);
}

Test(presentation, cells_are_what_passes_of_their_own_say)
{
    struct fixture f = fixture_random(tiny_esm2_shape, 11);
    struct sx_proteins proteins = {0};
    struct sx_nterm_result result;
    const struct sx_nterm_options options = {.prepend = 2, .crop = 1022};
    const struct sx_fasta_record record = {
        .name = (char[]){"r"}, .sequence = (char[]){"MKTVA"}, .length = 5};
    sx_proteins_add_record(&proteins, &record, &any_length);
    proteins.items[0].kind = SX_NTERM_SIGNAL;
    proteins.items[0].offset = 2;
    proteins.items[0].mature = 3;
    sx_proteins_add_builtin(&proteins, &any_length);
    CHECK_OK(sx_nterm_run(f.runner, &proteins, &options, &result, NULL, err));
    cr_assert_eq(result.n_rows, 9);
    const struct sx_nterm_row *row = &result.rows[0];
    cr_expect_eq(row->first, 'T');
    cr_expect_eq(row->length, 3);
    cr_expect_eq(row->offset, 2);
    enum { L_ = 4, A = 5, V = 7, T = 11, K = 15, M = 20 };
    check_cell(&f, &row->cell[0], (int32_t[]){0, 32, V, A, 2}, 5, 1, T);
    check_cell(&f, &row->cell[1], (int32_t[]){0, 32, T, V, A, 2}, 6, 1, T);
    check_cell(&f, &row->cell[2], (int32_t[]){0, 32, K, T, V, A, 2}, 7, 1, T);
    check_cell(&f, &row->cell[3], (int32_t[]){0, M, K, 32, V, A, 2}, 7, 3, T);
    check_cell(&f, &row->cell[4], (int32_t[]){0, A, A, 32, V, A, 2}, 7, 3, T);
    const struct sx_nterm_row *bpti = &result.rows[4];
    cr_expect(!bpti->cell[2].made && !bpti->cell[3].made && isnan(bpti->cell[3].p_met));
    sx_nterm_result_release(&result);
    sx_proteins_release(&proteins);
    fixture_close(&f);
}

Test(presentation, more_than_a_pass_holds)
{
    struct fixture f = fixture_random(tiny_esm2_shape, 12);
    struct sx_proteins proteins = {0};
    struct sx_nterm_result one, many;
    const struct sx_nterm_options options = sx_nterm_defaults();
    struct sx_task task;
    sx_task_init(&task);
    for (size_t i = 0; i < 40; i++)
        sx_proteins_add_builtin(&proteins, &any_length);
    CHECK_OK(sx_nterm_run(f.runner, &proteins, &options, &many, &task, err));
    cr_expect_eq(task.done, 320 * 5 - 40 * 5 * 2,
                 "two presentations are not made of five proteins");
    proteins.n = 8;
    CHECK_OK(sx_nterm_run(f.runner, &proteins, &options, &one, NULL, err));
    for (size_t i = 0; i < many.n_rows; i++)
        for (size_t p = 0; p < SX_PRESENTATION_COUNT; p++) {
            const struct sx_nterm_cell *a = &one.rows[i % 8].cell[p];
            const struct sx_nterm_cell *b = &many.rows[i].cell[p];
            cr_assert_eq(a->made, b->made);
            cr_assert(!a->made || (a->p_met == b->p_met && a->gap == b->gap && a->top == b->top));
        }
    proteins.n = 320;
    sx_nterm_result_release(&one);
    sx_nterm_result_release(&many);
    sx_task_cancel(&task);
    cr_expect_eq(sx_nterm_run(f.runner, &proteins, &options, &one, &task, &said), SX_CANCELLED);
    sx_nterm_result_release(&one);
    sx_proteins_release(&proteins);
    fixture_close(&f);
}

Test(presentation, only_esm2)
{
    struct fixture f = fixture_random(tiny_neox_shape, 3);
    struct sx_proteins proteins = {0};
    struct sx_nterm_result result;
    const struct sx_nterm_options options = sx_nterm_defaults();
    cr_expect_eq(sx_nterm_run(f.runner, &proteins, &options, &result, NULL, &said),
                 SX_ERR_UNSUPPORTED);
    cr_expect(strstr(said.message, "only ESM-2 has a mask"), "%s", said.message);
    fixture_close(&f);
}

/* --- all together -------------------------------------------------------------------------------
 */

static struct sx_nterm_cell says(char top, float p_met)
{
    return (struct sx_nterm_cell){
        .made = true, .top = top, .p_met = p_met, .p_true = 0.5F, .rank_true = 2, .gap = 1};
}

Test(presentation, summary_by_hand)
{
    struct sx_nterm_row rows[] = {
        {.first = 'K', .kind = SX_NTERM_SIGNAL}, {.first = 'K', .kind = SX_NTERM_SIGNAL},
        {.first = 'G', .kind = SX_NTERM_CHAIN},  {.first = 'M', .kind = SX_NTERM_MET},
        {.first = 'M', .kind = SX_NTERM_CHAIN},  {.first = 'G', .kind = SX_NTERM_SEQUENCE},
    };
    struct sx_nterm_result result = {.rows = rows, .n_rows = 6};
    for (size_t i = 0; i < 6; i++)
        rows[i].cell[SX_MATURE_FIRST] = says('M', 0.75F);
    rows[5].cell[SX_MATURE_FIRST] = says('G', 0.25F);
    rows[0].cell[SX_PRECURSOR_INSIDE] = says('K', 0);
    rows[1].cell[SX_PRECURSOR_INSIDE] = says('L', 0);
    rows[2].cell[SX_PRECURSOR_INSIDE] = says('M', 0);
    sx_nterm_summarise(&result);
    const struct sx_nterm_summary *all = &result.summary;
    cr_expect_eq(all->n_rows, 4);
    cr_expect_eq(all->n[SX_MATURE_FIRST], 4);
    cr_expect_eq(all->says_met[SX_MATURE_FIRST], 3);
    CHECK_CLOSE(all->mean_p_met[SX_MATURE_FIRST], 0.625, 1e-12);
    CHECK_CLOSE(all->mean_p_true[SX_MATURE_FIRST], 0.5, 1e-12);
    CHECK_CLOSE(all->mean_rank_true[SX_MATURE_FIRST], 2, 1e-12);
    CHECK_CLOSE(all->mean_gap[SX_MATURE_FIRST], 1, 1e-12);
    /* Wilson, 3 of 4: scipy.stats.binomtest(3, 4).proportion_ci(method="wilson"). */
    CHECK_CLOSE(all->says_met_lo[SX_MATURE_FIRST], 0.30064184258240184, 1e-9);
    CHECK_CLOSE(all->says_met_hi[SX_MATURE_FIRST], 0.9544127391902995, 1e-9);
    cr_expect_eq(all->n_pairs, 3);
    cr_expect_eq(all->first_only, 2);
    cr_expect_eq(all->inside_only, 0);
    CHECK_CLOSE(all->p_value, 0.5, 1e-12);
    cr_expect_eq(all->n[SX_MATURE_PREPENDED], 0);
    cr_expect(isnan(all->mean_p_met[SX_MATURE_PREPENDED]));
    cr_expect_eq(result.by_class[SX_NTERM_SIGNAL].n_rows, 2);
    cr_expect_eq(result.by_class[SX_NTERM_CHAIN].n_rows, 1, "M first is no case of class chain");
    cr_expect_eq(result.by_class[SX_NTERM_MET].n_rows, 1);
    cr_expect(isnan(result.by_class[SX_NTERM_MET].p_value));
    cr_expect_eq(result.by_class[SX_NTERM_PROPEP].n_rows, 0);
}
