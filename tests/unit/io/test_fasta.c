#include "sextant/io/fasta.h"

#include <criterion/criterion.h>
#include <string.h>
#include <zlib.h>

#include "io_support.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"

static struct sx_error err;

TestSuite(fasta, .init = io_enter_scratch, .fini = io_leave_scratch);

/* Every record as "name|description|sequence\n". */
static char *read_text(const void *bytes, size_t n)
{
    struct sx_fasta *f = NULL;
    struct sx_str all = SX_STR_INIT;
    cr_assert_eq(sx_fasta_open_memory("t.fa", bytes, n, &f, &err), SX_OK, "%s", err.message);
    for (bool more = true; more;) {
        struct sx_fasta_record r;
        cr_assert_eq(sx_fasta_next(f, &r, &more, &err), SX_OK, "%s", err.message);
        if (!more)
            break;
        cr_assert_eq(strlen(r.sequence), r.length);
        sx_str_printf(&all, "%s|%s|%s\n", r.name, r.description, r.sequence);
    }
    sx_fasta_close(f);
    return sx_str_take(&all);
}

static void reads(const char *text, const char *expected)
{
    char *found = read_text(text, strlen(text));
    cr_expect_str_eq(found, expected);
    sx_free(found);
}

static void refused(const char *text, size_t n, enum sx_status status, const char *part)
{
    struct sx_fasta *f = NULL;
    enum sx_status found = sx_fasta_open_memory("t.fa", text, n, &f, &err);
    for (bool more = true; found == SX_OK && more;) {
        struct sx_fasta_record r;
        found = sx_fasta_next(f, &r, &more, &err);
    }
    sx_fasta_close(f);
    cr_expect_eq(found, status, "%d", found);
    cr_expect(strstr(err.message, part), "\"%s\" not in: %s", part, err.message);
}

Test(fasta, headers_and_wrapped_lines)
{
    reads(">a\nMK\nTV\n>sp|P1|X_HUMAN Protein X  OS=Homo\nAC\n",
          "a||MKTV\nsp|P1|X_HUMAN|Protein X  OS=Homo|AC\n");
    reads(">a b\nMKT", "a|b|MKT\n");
    reads("> spaced\tname \nM K\tT\n", "spaced|name|MKT\n");
}

Test(fasta, ends_of_lines_blank_lines_comments_and_marks)
{
    reads("\r\n>a x\r\nMK\r\n\r\nTV\r\n>b\r\n", "a|x|MKTV\nb||\n");
    reads("; old\n\n>a\n; note\nMK\n", "a||MK\n");
    reads("\xEF\xBB\xBF>a\nMK\n", "a||MK\n");
}

Test(fasta, sequences_stay_as_they_are_but_for_a_stop_at_the_end)
{
    reads(">a\nmkTv-.XbJ\n", "a||mkTv-.XbJ\n");
    reads(">a\nMK*TV*\n>b\nMK**\n>c\n*\n", "a||MK*TV\nb||MK*\nc||\n");
    reads(">a\nM<mask>K\n", "a||M<mask>K\n");
}

Test(fasta, records_without_a_name_get_one)
{
    reads(">\nMK\n> \nTV\n", "record 1||MK\nrecord 2||TV\n");
}

Test(fasta, names_are_sanitised_and_bounded)
{
    struct sx_str text = SX_STR_INIT;
    reads(">a\x1b[2J\xFF \xE2\x80\xAEt\x07x\nMK\n",
          "a\xEF\xBF\xBD[2J\xEF\xBF\xBD|\xEF\xBF\xBDt\xEF\xBF\xBDx|MK\n");
    sx_str_append(&text, ">");
    for (int i = 0; i < 100000; i++)
        sx_str_append(&text, "n");
    sx_str_append(&text, "\nMK\n");
    char *found = read_text(text.data, text.len);
    cr_expect_eq(strlen(found), 256 + strlen("||MK\n"));
    sx_free(found);
    sx_str_release(&text);
}

Test(fasta, what_is_no_fasta_is_refused)
{
    refused("", 0, SX_ERR_FORMAT, "t.fa: no sequences");
    refused("\n\n", 2, SX_ERR_FORMAT, "no line begins with '>'");
    refused("MKTV\n>a\nMK\n", 12, SX_ERR_FORMAT, "t.fa: line 1: expected '>'");
    refused("\n\nMKTV\n", 7, SX_ERR_FORMAT, "line 3");
    refused(">a\nMK\n\x01V\n", 9, SX_ERR_FORMAT, "line 3: the control character 01 in a");
    refused(">a\nM\0K\n", 7, SX_ERR_FORMAT, "line 2: the control character 00");
}

/* Lines and records across the borders of chunks. */
Test(fasta, long_records_and_many_records)
{
    struct sx_str text = SX_STR_INIT;
    struct sx_str expected = SX_STR_INIT;
    for (int i = 0; i < 3000; i++) {
        const int length = i == 7 ? 300000 : i % 90;
        sx_str_printf(&text, ">r%d d\n", i);
        sx_str_printf(&expected, "r%d|d|", i);
        for (int k = 0; k < length; k++) {
            sx_str_append_char(&expected, (char)('A' + (i + k) % 26));
            sx_str_append_char(&text, (char)('A' + (i + k) % 26));
            if (i != 7 && k % 60 == 59)
                sx_str_append(&text, "\r\n");
        }
        sx_str_append(&text, "\n");
        sx_str_append(&expected, "\n");
    }
    char *found = read_text(text.data, text.len);
    cr_expect(strcmp(found, expected.data) == 0);
    sx_free(found);

    /* The same through files, plain and packed, in two members as bgzip writes them. */
    io_write("t.fa", text.data, text.len);
    const unsigned half = (unsigned)text.len / 2;
    gzFile gz = gzopen("t.fa.gz", "wb");
    cr_assert_eq(gzwrite(gz, text.data, half), (int)half);
    gzclose(gz);
    gz = gzopen("t.fa.gz", "ab");
    cr_assert_gt(gzwrite(gz, text.data + half, (unsigned)text.len - half), 0);
    gzclose(gz);
    for (int packed = 0; packed < 2; packed++) {
        struct sx_fasta_records records;
        cr_assert_eq(sx_fasta_read(packed ? "t.fa.gz" : "t.fa", NULL, &records, &err), SX_OK, "%s",
                     err.message);
        cr_assert_eq(records.n, 3000);
        cr_expect_eq(records.records[7].length, 300000);
        cr_expect_str_eq(records.records[2999].name, "r2999");
        cr_expect_eq(records.records[2999].length, 2999 % 90);
        sx_fasta_records_release(&records);
    }
    sx_str_release(&text);
    sx_str_release(&expected);
}

Test(fasta, damaged_packed_files_are_refused)
{
    unsigned char bytes[4096];
    struct sx_fasta_records records;
    gzFile gz = gzopen("t.fa.gz", "wb");
    gzputs(gz, ">a\nMKTV\n>b\nMKTVAAAACCCC\n");
    gzclose(gz);
    FILE *f = fopen("t.fa.gz", "rb");
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t cut = 2; cut < n; cut++) {
        io_write("cut.fa.gz", bytes, cut);
        cr_expect_eq(sx_fasta_read("cut.fa.gz", NULL, &records, &err), SX_ERR_FORMAT, "%zu", cut);
        sx_fasta_records_release(&records);
    }
    bytes[n - 6] ^= 1; /* the check sum */
    io_write("bad.fa.gz", bytes, n);
    cr_expect_eq(sx_fasta_read("bad.fa.gz", NULL, &records, &err), SX_ERR_FORMAT);
    cr_expect(strstr(err.message, "bad.fa.gz: damaged compressed data"), "%s", err.message);
    sx_fasta_records_release(&records);
    io_write("after.fa.gz", "\x1f\x8b", 2);
    cr_expect_eq(sx_fasta_read("after.fa.gz", NULL, &records, &err), SX_ERR_FORMAT);
}

Test(fasta, paths_that_are_no_files)
{
    struct sx_fasta *f = NULL;
    cr_expect_eq(sx_fasta_open("missing.fa", &f, &err), SX_ERR_IO);
    cr_expect_eq(sx_fasta_open(".", &f, &err), SX_ERR_IO);
    cr_expect(strstr(err.message, "not a regular file"), "%s", err.message);
}

Test(fasta, reading_can_be_cancelled)
{
    struct sx_fasta_records records;
    struct sx_task task;
    io_write("t.fa", ">a\nMK\n", 6);
    sx_task_init(&task);
    sx_task_cancel(&task);
    cr_expect_eq(sx_fasta_read("t.fa", &task, &records, &err), SX_CANCELLED);
    sx_fasta_records_release(&records);
}
