#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io_support.h"
#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

static struct sx_error err;
static struct sx_tokenizer *esm2;

static const char vocab[] =
    "<cls>\n<pad>\n<eos>\n<unk>\nL\nA\nG\nV\nS\nE\nR\nT\nI\nD\nP\nK\nQ\nN\nF\n"
    "Y\nM\nH\nW\nC\nX\nB\nU\nZ\nO\n.\n-\n<null_1>\n<mask>";

static void begin(void)
{
    io_enter_scratch();
    cr_assert_eq(sx_tokenizer_esm2(NULL, &esm2, &err), SX_OK);
}

static void end(void)
{
    sx_tokenizer_free(esm2);
    io_leave_scratch();
}

TestSuite(esm2, .init = begin, .fini = end);

static void gives(const char *text, struct sx_tokenize_options options, const char *expected,
                  size_t n_unknown)
{
    struct sx_str out = SX_STR_INIT;
    struct sx_ids ids;
    size_t unknown;
    cr_assert_eq(sx_tokenize(esm2, text, strlen(text), &options, &ids, &unknown, &err), SX_OK);
    for (size_t i = 0; i < ids.n; i++)
        sx_str_printf(&out, "%s%d", i ? " " : "", ids.ids[i]);
    cr_expect_str_eq(out.data, expected, "%s: %s, expected %s", text, out.data, expected);
    cr_expect_eq(unknown, n_unknown);
    sx_str_release(&out);
    sx_ids_release(&ids);
}

/* fair-esm's batch converter gives these for few_proteins.fasta's alphabet. */
Test(esm2, one_token_a_residue_between_cls_and_eos)
{
    const struct sx_tokenize_options none = {0};
    gives("LAGVSERTIDPKQNFYMHWCXBUZO.-", none,
          "0 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 2", 0);
    gives("", none, "0 2", 0);
    gives("MKTV", (struct sx_tokenize_options){.no_specials = true}, "20 15 11 7", 0);
}

Test(esm2, specials_inside_the_sequence)
{
    const struct sx_tokenize_options bare = {.no_specials = true};
    gives("<mask>KTV", bare, "32 15 11 7", 0);
    gives("<cls>M<unk><pad><null_1><eos>", bare, "0 20 3 1 31 2", 0);
    /* What only looks like one: a character a token. */
    gives("<mask", bare, "3 20 5 8 15", 1);
    gives("<MASK>", bare, "3 20 5 8 15 3", 2);
}

Test(esm2, lower_case_white_space_and_unknown_characters)
{
    const struct sx_tokenize_options bare = {.no_specials = true};
    const struct sx_tokenize_options as_x = {.no_specials = true, .unknown_as_x = true};
    gives("mktv\n", bare, "20 15 11 7", 0);
    gives(" M K\t\r\nT\xC2\xA0V ", bare, "20 15 11 7", 0);
    gives("MJ*7\xD0\x96\xFFK", bare, "20 3 3 3 3 3 15", 5);
    gives("MJ*K", as_x, "20 24 24 15", 2);
    gives("M<unk>K", as_x, "20 3 15", 0);
}

Test(esm2, warnings_name_characters_and_residues)
{
    struct sx_str out = SX_STR_INIT;
    sx_tokenize_warning(esm2, "MKTV", 4, &out);
    cr_expect_str_eq(out.data, "");
    sx_tokenize_warning(esm2, "M K J", 5, &out);
    cr_expect_str_eq(out.data, "1 character is no residue: 'J' at 3");
    sx_str_clear(&out);
    sx_tokenize_warning(esm2, "J<mask>\x1b*1234", 13, &out);
    cr_expect_str_eq(out.data, "7 characters are no residues: 'J' at 1, '\xEF\xBF\xBD' at 3, '*' "
                               "at 4, '1' at 5, '2' at 6, …");
    sx_str_release(&out);
}

Test(esm2, names_and_text)
{
    struct sx_str out = SX_STR_INIT;
    char label[16];
    const int32_t ids[] = {0, 20, 32, 24, 99, 2};
    cr_expect(sx_tokenizer_is_esm2(esm2));
    cr_expect_eq(sx_tokenizer_size(esm2), SX_ESM_VOCAB);
    cr_expect_eq(sx_token_find(esm2, "M"), SX_ESM_M);
    cr_expect_eq(sx_token_find(esm2, "<mask>"), SX_ESM_MASK);
    cr_expect_eq(sx_token_find(esm2, "m"), -1);
    cr_expect_str_eq(sx_token_name(esm2, 23), "C");
    cr_expect_null(sx_token_name(esm2, 33));
    sx_detokenize(esm2, ids, 6, &out);
    cr_expect_str_eq(out.data, "<cls>M<mask>X\xEF\xBF\xBD<eos>");
    sx_token_label(esm2, 32, label, sizeof label);
    cr_expect_str_eq(label, "<mask>");
    sx_str_release(&out);
}

static void vocab_gives(const char *text, size_t n, enum sx_status status, const char *part)
{
    struct sx_tokenizer *t = NULL;
    io_write("vocab.txt", text, n);
    cr_expect_eq(sx_tokenizer_esm2("vocab.txt", &t, &err), status);
    cr_expect(status == SX_OK || strstr(err.message, part), "'%s' not in: %s", part, err.message);
    if (status == SX_OK)
        sx_tokenizer_free(t);
}

Test(esm2, a_vocabulary_must_be_esm2s)
{
    char other[sizeof vocab];
    const size_t n = strlen(vocab);
    vocab_gives(vocab, n, SX_OK, "");
    vocab_gives(vocab, n - 7, SX_ERR_UNSUPPORTED, "32 tokens, expected ESM-2's 33");
    memcpy(other, vocab, sizeof vocab);
    other[24] = 'A'; /* of line 5 */
    vocab_gives(other, n, SX_ERR_UNSUPPORTED, "line 5 is 'A', expected 'L'");
    vocab_gives("", 0, SX_ERR_UNSUPPORTED, "0 tokens");
    char *more = sx_xasprintf("%s\nJ\n", vocab);
    vocab_gives(more, strlen(more), SX_ERR_UNSUPPORTED, "more tokens");
    sx_free(more);
}

static void finds(const char *path, enum sx_status status, const char *part)
{
    struct sx_tokenizer *t = NULL;
    const enum sx_status found = sx_tokenizer_find(path, &t, &err);
    cr_expect_eq(found, status, "%s: %d %s", path, found, err.message);
    cr_expect(status == SX_OK || strstr(err.message, part), "'%s' not in: %s", part, err.message);
    if (found == SX_OK) {
        cr_expect(sx_tokenizer_is_esm2(t));
        sx_tokenizer_free(t);
    }
}

Test(esm2, the_tokenizer_of_a_path_is_found_without_weights)
{
    finds("nothing", SX_ERR_IO, "nothing: No such file");
    finds(".", SX_ERR_NOTFOUND, ".: no tokenizer.json and no vocab.txt");
    io_write("model.safetensors", "", 0);
    io_write("config.json", "{\"model_type\": \"gpt_neox\"}", 26);
    finds("model.safetensors", SX_ERR_NOTFOUND, "no tokenizer.json");
    io_write("config.json", "{\"model_type\": \"esm\"}", 21);
    finds(".", SX_OK, "");
    finds("model.safetensors", SX_OK, "");
    finds("config.json", SX_OK, "");
    io_write("vocab.txt", "a\nb\n", 4);
    finds(".", SX_ERR_UNSUPPORTED, "line 1 is 'a'");
    io_write("vocab.txt", vocab, strlen(vocab));
    unlink("config.json");
    finds(".", SX_OK, "");
    finds("vocab.txt", SX_OK, "");
    io_write("tokenizer.json", "{}", 2);
    finds(".", SX_ERR_FORMAT, "tokenizer.json: no key 'model'");
    io_write("config.json", "{", 1);
    finds(".", SX_ERR_FORMAT, "config.json");
}
