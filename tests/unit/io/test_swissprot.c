#include "sextant/io/swissprot.h"

#include <criterion/criterion.h>
#include <string.h>
#include <zlib.h>

#include "io_support.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"

static struct sx_error err;

TestSuite(swissprot, .init = io_enter_scratch, .fini = io_leave_scratch);

#define SQ10 "SQ   SEQUENCE   10 AA;  1111 MW;  0123456789ABCDEF CRC64;\n     MKTVAAGGHH\n//\n"

static void put_end(struct sx_str *out, const struct sx_feature_end *end)
{
    if (end->mark)
        sx_str_append_char(out, end->mark);
    if (end->at || !end->mark)
        sx_str_printf(out, "%u", end->at);
}

/* Every entry as "NAME|AC|fragment|SEQUENCE|KEY from-to inferred,…\n". */
static char *tell(struct sx_swissprot *f)
{
    struct sx_str all = SX_STR_INIT;
    for (bool more = true; more;) {
        struct sx_swissprot_entry e;
        cr_assert_eq(sx_swissprot_next(f, &e, &more, &err), SX_OK, "%s", err.message);
        if (!more)
            break;
        cr_assert_eq(strlen(e.sequence), e.length);
        sx_str_printf(&all, "%s|%s|%s|%s|", e.name, e.accession, e.fragment ? "fragment" : "",
                      e.sequence);
        for (size_t i = 0; i < e.n_features; i++) {
            const struct sx_feature *feature = &e.features[i];
            sx_str_printf(&all, "%s%s ", i ? "," : "", sx_feature_name(feature->kind));
            put_end(&all, &feature->from);
            sx_str_append_char(&all, '-');
            put_end(&all, &feature->to);
            sx_str_append(&all, feature->inferred ? " inferred" : "");
        }
        sx_str_append_char(&all, '\n');
    }
    return sx_str_take(&all);
}

static void reads(const char *text, const char *expected)
{
    struct sx_swissprot *f = NULL;
    cr_assert_eq(sx_swissprot_open_memory("t.dat", text, strlen(text), &f, &err), SX_OK);
    char *found = tell(f);
    cr_expect_str_eq(found, expected);
    sx_free(found);
    sx_swissprot_close(f);
}

static void refused_as(const char *text, enum sx_status status, const char *part)
{
    struct sx_swissprot *f = NULL;
    enum sx_status found = sx_swissprot_open_memory("t.dat", text, strlen(text), &f, &err);
    for (bool more = true; found == SX_OK && more;) {
        struct sx_swissprot_entry e;
        found = sx_swissprot_next(f, &e, &more, &err);
    }
    sx_swissprot_close(f);
    cr_expect_eq(found, status, "%d for %s", found, text);
    cr_expect(strstr(err.message, part), "\"%s\" not in: %s", part, err.message);
}

static void refused(const char *text, const char *part)
{
    refused_as(text, SX_ERR_FORMAT, part);
}

Test(swissprot, columns)
{
    reads("ID   AB_CD     Reviewed;   10 AA.\n"
          "AC   P12345; Q99999;\n"
          "AC   Q00001;\n"
          "DE   RecName: Full=Something;\n"
          "DE   Flags: Precursor;\n"
          "FT   SIGNAL        1      3       Potential.\n"
          "FT   CHAIN         4     10       Something (By\n"
          "FT                                similarity).\n"
          "FT                                /FTId=PRO_0000000001.\n"
          "FT   HELIX         5      9\n"
          "FT                                Potential.\n"
          "FT   PROPEP       <1      ?\n"
          "FT   PEPTIDE      ?4    >10       Probable peptide.\n" SQ10,
          "AB_CD|P12345||MKTVAAGGHH|SIGNAL 1-3 inferred,CHAIN 4-10 inferred,PROPEP <1-?,"
          "PEPTIDE ?4->10\n");
}

Test(swissprot, ranges_and_qualifiers)
{
    reads("ID   AB_CD     Reviewed;   10 AA.\n"
          "AC   P12345;\n"
          "FT   INIT_MET        1\n"
          "FT                   /note=\"Removed\"\n"
          "FT                   /evidence=\"ECO:0000269|PubMed:1, ECO:0000255\"\n"
          "FT   CHAIN           2..>10\n"
          "FT                   /note=\"Something Potential\"\n"
          "FT                   /id=\"PRO_1\"\n"
          "FT   PROPEP          ?..3\n"
          "FT                   /evidence=\"ECO:0000255,\n"
          "FT                   ECO:0000305\"\n"
          "FT   SIGNAL          P12345-2:1..99\n"
          "FT                   /evidence=\"ECO:0000269\"\n"
          "FT   NON_TER         10\n" SQ10,
          "AB_CD|P12345||MKTVAAGGHH|INIT_MET 1-1,CHAIN 2->10,PROPEP ?-3 inferred,NON_TER 10-10\n");
}

Test(swissprot, evidence_codes_in_columns)
{
    reads("ID   AB_CD     Reviewed;   10 AA.\n"
          "FT   SIGNAL        1      3       {ECO:0000255}.\n"
          "FT   CHAIN         4     10       Thing {ECO:0000269|PubMed:3}.\n" SQ10,
          "AB_CD|||MKTVAAGGHH|SIGNAL 1-3 inferred,CHAIN 4-10\n");
}

Test(swissprot, old_files)
{
    reads("ID   AB_CD     STANDARD;      PRT;    10 AA.\r\n"
          "AC   P12345\r\n"
          "DE   SOMETHING (EC 1.1.1.1) (FRAGMENT).\r\n"
          "FT   INIT_MET      0      0\r\n"
          "SQ   SEQUENCE   10 AA;  1111 MW;  123 CN;\r\n"
          "     mktva aggh\r\n"
          "     h\r\n"
          "//\r\n"
          "\r\n",
          "AB_CD|P12345|fragment|MKTVAAGGHH|INIT_MET 0-0\n");
}

Test(swissprot, several_entries)
{
    reads("\nID   A_B   Reviewed; 10 AA.\nDE   Flags: Precursor; Fragments;\n"
          "FT   CHAIN 1 10\n" SQ10 "\nID   C_D   Reviewed; 10 AA.\nCC   -!- Flags: Fragment\n" SQ10,
          "A_B||fragment|MKTVAAGGHH|CHAIN 1-10\nC_D|||MKTVAAGGHH|\n");
}

Test(swissprot, text_is_sanitised)
{
    reads("ID   A\x1b[31m_B   Reviewed; 10 AA.\nAC   P\x07;\n" SQ10,
          "A\xEF\xBF\xBD[31m_B|P\xEF\xBF\xBD||MKTVAAGGHH|\n");
}

#define ID "ID   A_B   Reviewed; 10 AA.\n"

Test(swissprot, not_such_a_file)
{
    refused("", "t.dat: empty: expected entries of Swiss-Prot");
    refused("\n \n", "t.dat: empty");
    refused(">a\nMKT\n", "t.dat: line 1: expected an entry of Swiss-Prot, 'ID   NAME … AA.', "
                         "found '>a'");
    refused("ID   X56734; SV 1; linear; mRNA; STD; PLN; 1859 BP.\n", "line 1: expected an entry");
    refused("ID   AA.\n//\n", "expected a sequence before '//' in AA.");
}

Test(swissprot, cut_off)
{
    refused(ID, "t.dat: A_B is cut off: expected '//'");
    refused(ID "SQ   SEQUENCE   10 AA;\n     MKTV\n", "A_B is cut off");
    refused(ID "SQ   SEQUENCE   10 AA;\n     MKTV\n//\n",
            "line 4: A_B: expected 10 residues as its SQ line says, found 4");
    refused(ID "DE   x\n" ID SQ10, "line 3: expected '//' before the next entry, found 'ID");
    refused(ID "//\n", "line 2: expected a sequence before '//' in A_B");
    refused(ID "     MKTV\n" SQ10, "line 2: expected a line code");
    refused(ID "SQ   SEQUENCE   10 AA;\n     MKTV4\n", "line 3: expected letters of residues, "
                                                       "found '4'");
    refused(ID "SQ   SEQUENCE   ten AA;\n", "expected 'SQ   SEQUENCE' and the number");
    refused(ID "SQ   SEQUENCE   10 AA;\nSQ   SEQUENCE   10 AA;\n", "residues, once");
}

Test(swissprot, absurd_positions)
{
    refused(ID "FT   SIGNAL        1     11\n" SQ10,
            "line 2: SIGNAL of A_B: expected positions up to 10, found 11");
    refused(ID "FT   CHAIN         5      4\n" SQ10, "line 2: expected where the feature begins");
    refused(ID "FT   CHAIN         0      4\n" SQ10, "found '0      4'");
    refused(ID "FT   INIT_MET      0      1\n" SQ10, "expected where");
    refused(ID "FT   CHAIN         -1      4\n" SQ10, "found '-1      4'");
    refused(ID "FT   CHAIN         1 99999999999999999999\n" SQ10, "expected where");
    refused(ID "FT   CHAIN           1..\n" SQ10, "expected where");
    refused(ID "FT   CHAIN           ..4\n" SQ10, "expected where");
    refused(ID "FT   CHAIN           <..4\n" SQ10, "expected where");
    refused(ID "FT   CHAIN\n" SQ10, "expected where");
    refused(ID "FT   CHAIN         a      b\n" SQ10, "found 'a      b'");
}

Test(swissprot, too_many_features)
{
    struct sx_str text = SX_STR_INIT;
    sx_str_append(&text, ID);
    for (size_t i = 0; i <= 1 << 16; i++)
        sx_str_append(&text, "FT   CHAIN 1 2\n");
    sx_str_append(&text, SQ10);
    refused_as(text.data, SX_ERR_UNSUPPORTED, "more than 65536 features in A_B");
    sx_str_release(&text);
}

Test(swissprot, long_lines_are_refused)
{
    struct sx_str text = SX_STR_INIT;
    sx_str_append(&text, ID "CC   ");
    for (size_t i = 0; i < 1 << 16; i++)
        sx_str_append_char(&text, 'x');
    sx_str_append(&text, "\n" SQ10);
    refused_as(text.data, SX_ERR_UNSUPPORTED, "t.dat: line 2: longer than 65536 bytes");
    sx_str_release(&text);
}

Test(swissprot, packed_and_recognised)
{
    struct sx_swissprot *f = NULL;
    enum sx_protein_format format;
    gzFile packed = gzopen("a.dat.gz", "wb");
    cr_assert(gzputs(packed, "\n" ID SQ10) > 0);
    gzclose(packed);
    cr_assert_eq(sx_swissprot_open("a.dat.gz", &f, &err), SX_OK, "%s", err.message);
    char *found = tell(f);
    cr_expect_str_eq(found, "A_B|||MKTVAAGGHH|\n");
    sx_free(found);
    sx_swissprot_close(f);
    cr_assert_eq(sx_protein_format_of("a.dat.gz", &format, &err), SX_OK);
    cr_expect_eq(format, SX_PROTEINS_SWISSPROT);
    io_write("a.fa", "; old\n>a\nMKT\n", 13);
    cr_assert_eq(sx_protein_format_of("a.fa", &format, &err), SX_OK);
    cr_expect_eq(format, SX_PROTEINS_FASTA);
    io_write("a.txt", "hello\n", 6);
    cr_assert_eq(sx_protein_format_of("a.txt", &format, &err), SX_OK);
    cr_expect_eq(format, SX_PROTEINS_UNKNOWN);
    cr_expect_eq(sx_protein_format_of("none", &format, &err), SX_ERR_IO);
}
