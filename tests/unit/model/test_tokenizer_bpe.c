#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

static struct sx_error err;

static char *fixture(const char *name)
{
    return sx_xasprintf("%s/tokenizer/%s", getenv("SX_FIXTURES"), name);
}

/* A fixture's text; .gz is unpacked. */
static char *load(const char *name, size_t *len)
{
    enum { MOST = 4 << 20 };
    char *path = fixture(name);
    char *text = sx_xmalloc(MOST);
    gzFile file = gzopen(path, "rb");
    cr_assert(file, "%s", path);
    const int n = gzread(file, text, MOST - 1);
    cr_assert(n > 0 && n < MOST - 1);
    gzclose(file);
    sx_free(path);
    text[n] = '\0';
    *len = (size_t)n;
    return text;
}

static struct sx_tokenizer *open_fixture(const char *name)
{
    struct sx_tokenizer *tokenizer = NULL;
    size_t len;
    char *json = load(name, &len);
    cr_assert_eq(sx_tokenizer_open_memory(name, json, len, &tokenizer, &err), SX_OK, "%s",
                 err.message);
    sx_free(json);
    return tokenizer;
}

static struct sx_tokenizer *pythia(void)
{
    return open_fixture("pythia.tokenizer.json.gz");
}

/* "12092 13" */
static char *ids_text(const struct sx_tokenizer *t, const char *text, size_t len, bool no_specials)
{
    const struct sx_tokenize_options options = {.no_specials = no_specials};
    struct sx_str out = SX_STR_INIT;
    struct sx_ids ids = {0};
    cr_assert_eq(sx_tokenize(t, text, len, &options, &ids, NULL, &err), SX_OK, "%s", err.message);
    for (size_t i = 0; i < ids.n; i++)
        sx_str_printf(&out, "%s%d", i ? " " : "", ids.ids[i]);
    sx_ids_release(&ids);
    return sx_str_take(&out);
}

static void gives(const struct sx_tokenizer *t, const char *text, const char *expected)
{
    char *found = ids_text(t, text, strlen(text), false);
    cr_expect_str_eq(found, expected, "'%s': %s, expected %s", text, found, expected);
    sx_free(found);
}

static size_t unhex(const char *hex, size_t n, char *out)
{
    for (size_t i = 0; i < n / 2; i++) {
        unsigned byte;
        cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (char)byte;
    }
    return n / 2;
}

static void decodes(const struct sx_tokenizer *t, const char *ids, const char *expected, size_t len)
{
    struct sx_str out = SX_STR_INIT;
    struct sx_str streamed = SX_STR_INIT;
    struct sx_decoder decoder = {0};
    int32_t list[4096];
    size_t n = 0;
    char *end;
    for (const char *p = ids; *p; p = end + (*end == ' '))
        list[n++] = (int32_t)strtol(p, &end, 10);
    sx_detokenize(t, list, n, &out);
    cr_expect(out.len == len && memcmp(out.data, expected, len) == 0, "%s: '%s'", ids, out.data);
    for (size_t i = 0; i < n; i++) {
        sx_decoder_push(t, &decoder, list[i], &streamed);
        cr_assert_leq(decoder.n_tail, 3);
    }
    sx_decoder_flush(&decoder, &streamed);
    cr_expect(streamed.len == len && memcmp(streamed.data, expected, len) == 0);
    sx_str_release(&out);
    sx_str_release(&streamed);
}

/* Every line: text, ids, decoded text, as Hugging Face's tokenizers have them. */
static void agrees(const char *json, const char *tsv, int lines)
{
    struct sx_tokenizer *t = open_fixture(json);
    size_t len;
    char *all = load(tsv, &len);
    char *text = sx_xmalloc(len);
    int n = 0;
    for (char *line = all, *next; *line; line = next, n++) {
        char *ids = strchr(line, '\t');
        char *decoded = strchr(ids + 1, '\t');
        next = strchr(decoded, '\n');
        *ids++ = *decoded++ = *next++ = '\0';
        const size_t n_text = unhex(line, strlen(line), text);
        char *found = ids_text(t, text, n_text, false);
        cr_expect_str_eq(found, ids, "line %d: %s: %s, expected %s", n + 1, line, found, ids);
        sx_free(found);
        decodes(t, ids, text, unhex(decoded, strlen(decoded), text));
    }
    cr_expect_eq(n, lines);
    sx_free(text);
    sx_free(all);
    sx_tokenizer_free(t);
}

Test(bpe, hostile_texts_on_pythias_tokenizer)
{
    agrees("pythia.tokenizer.json.gz", "pythia.tsv", 470);
}

Test(bpe, every_other_option_on_a_small_tokenizer)
{
    agrees("small.tokenizer.json", "small.tsv", 27);
}

/* Values of Hugging Face transformers, transcribed from mcdearman/Cogito (47fe6c4). */
Test(bpe, published_cases)
{
    struct sx_tokenizer *t = pythia();
    gives(t, "Hello, world!", "12092 13 1533 2");
    gives(t, "The capital of France is", "510 5347 273 6181 310");
    gives(t, "Velan Torvik was born in Karsholm.",
          "37599 266 7608 30127 369 5686 275 611 7894 311 78 15");
    gives(t, "I can't believe they're here; we'll see what he'd say.",
          "42 476 626 2868 597 1472 1060 28 359 1833 923 752 344 1871 1333 15");
    gives(t, "  two leading spaces and a trailing one ",
          "50276 9389 4283 8470 285 247 28417 581 209");
    gives(t, "tabs\tand\n\nblank lines\n", "33754 186 395 187 187 22473 3104 187");
    gives(t, "wide    gaps        between words", "4363 50274 72 1825 50270 17352 3000");
    gives(t, "Numbers 1234567890 and 3.14159, plus $42.50 (roughly).",
          "45972 1249 16767 25025 2270 285 495 15 1047 17220 13 5043 370 2945 15 1235 313 903 314 "
          "481");
    gives(t, "naïve café déjà vu — “quoted” text…",
          "2072 30180 36241 41751 24821 1905 773 371 4225 668 2505 2866");
    gives(t, "日本語のテキストと emoji 🙂🚀",
          "49868 19119 241 3917 28656 33548 38206 6088 802 80 8020 42908 14931 237 211");
    gives(t, "snake_case, camelCase, kebab-case, and CONSTANT_CASE",
          "11489 640 64 5045 13 46493 11247 13 1058 43658 14 5045 13 285 5836 1267 5656 64 42495");
    gives(t, "End of text marker <|endoftext|> in the middle.",
          "7689 273 2505 10705 209 0 275 253 4766 15");
    gives(t, "x", "89");
    gives(t, " ", "209");
    gives(t, "", "");
    sx_tokenizer_free(t);
}

Test(bpe, special_text_may_be_plain_text)
{
    struct sx_tokenizer *t = pythia();
    char *found = ids_text(t, "a<|endoftext|>", 14, true);
    cr_expect_str_eq(found, "66 29 93 423 1171 1156 49651", "%s", found);
    sx_free(found);
    /* Runs of spaces are no specials. */
    found = ids_text(t, "a   b", 5, true);
    cr_expect_str_eq(found, "66 50275 67", "%s", found);
    sx_free(found);
    sx_tokenizer_free(t);
}

Test(bpe, bytes_that_are_no_utf8_are_replaced_and_counted)
{
    struct sx_tokenizer *t = pythia();
    struct sx_str warning = SX_STR_INIT;
    struct sx_ids ids;
    size_t unknown = 9;
    cr_assert_eq(sx_tokenize(t, "a\xE2\x82z\xFF", 5, NULL, &ids, &unknown, &err), SX_OK);
    cr_expect_eq(unknown, 2);
    sx_ids_release(&ids);
    char *found = ids_text(t, "a\xE2\x82z\xFF", 5, false);
    gives(t, "a\xEF\xBF\xBDz\xEF\xBF\xBD", found);
    sx_free(found);
    sx_tokenize_warning(t, "a\xE2\x82z\xFF", 5, &warning);
    cr_expect_str_eq(warning.data, "bytes at 2 places are no UTF-8, the first at 1");
    sx_str_clear(&warning);
    sx_tokenize_warning(t, "a\xFF", 2, &warning);
    cr_expect_str_eq(warning.data, "1 byte is no UTF-8: at 1");
    sx_str_clear(&warning);
    sx_tokenize_warning(t, "é", 2, &warning);
    cr_expect_str_eq(warning.data, "");
    sx_str_release(&warning);
    sx_tokenizer_free(t);
}

Test(bpe, lone_bytes_are_decoded_as_other_lossy_decoders_do)
{
    struct sx_tokenizer *t = pythia();
    /* Tokens of single bytes. */
    const int32_t f0 = 172;
    const int32_t x9f = 242;
    const int32_t x41 = 34;
    cr_assert_str_eq(sx_token_name(t, f0), "ð");
    cr_assert_str_eq(sx_token_name(t, x9f), "Ł");
    const int32_t ids[] = {f0, x9f, x41, x9f, f0};
    struct sx_str out = SX_STR_INIT;
    sx_detokenize(t, ids, 5, &out);
    cr_expect_str_eq(out.data, "\xEF\xBF\xBD"
                               "A"
                               "\xEF\xBF\xBD\xEF\xBF\xBD");
    /* Held back until it is clear that nothing follows. */
    struct sx_decoder decoder = {0};
    sx_str_clear(&out);
    sx_decoder_push(t, &decoder, f0, &out);
    sx_decoder_push(t, &decoder, x9f, &out);
    cr_expect_eq(out.len, 0);
    cr_expect_eq(decoder.n_tail, 2);
    sx_decoder_push(t, &decoder, x41, &out);
    cr_expect_str_eq(out.data, "\xEF\xBF\xBD"
                               "A");
    /* An id without a token. */
    sx_str_clear(&out);
    sx_decoder_push(t, &decoder, 50300, &out);
    sx_decoder_push(t, &decoder, -1, &out);
    cr_expect_str_eq(out.data, "\xEF\xBF\xBD\xEF\xBF\xBD");
    sx_str_release(&out);
    sx_tokenizer_free(t);
}

Test(bpe, names_and_labels)
{
    struct sx_tokenizer *t = pythia();
    char label[32];
    cr_expect_eq(sx_tokenizer_size(t), 50277);
    cr_expect_not(sx_tokenizer_is_esm2(t));
    cr_expect_str_eq(sx_token_name(t, 0), "<|endoftext|>");
    cr_expect_str_eq(sx_token_name(t, 253), "Ġthe");
    cr_expect_null(sx_token_name(t, 50277));
    cr_expect_null(sx_token_name(t, -1));
    cr_expect_eq(sx_token_find(t, "Ġthe"), 253);
    cr_expect_eq(sx_token_find(t, " the"), 253);
    cr_expect_eq(sx_token_find(t, "<|endoftext|>"), 0);
    cr_expect_eq(sx_token_find(t, "  "), 50276);
    cr_expect_eq(sx_token_find(t, "two words"), -1);
    cr_expect_eq(sx_token_find(t, ""), -1);
    /* The character, not the byte E9 that GPT-2's alphabet writes in the same way. */
    const int32_t e_acute = sx_token_find(t, "é");
    cr_expect_str_eq(sx_token_name(t, e_acute), "Ã©");
    sx_token_label(t, 253, label, sizeof label);
    cr_expect_str_eq(label, " the");
    sx_token_label(t, 187, label, sizeof label);
    cr_expect_str_eq(label, "⏎");
    sx_token_label(t, 253, label, 3);
    cr_expect_str_eq(label, " t");
    sx_tokenizer_free(t);
}

/* Every token's own text round-trips unless normalisation or an added token changes it. */
Test(bpe, what_is_encoded_is_decoded)
{
    struct sx_tokenizer *t = pythia();
    struct sx_str text = SX_STR_INIT;
    struct sx_str back = SX_STR_INIT;
    struct sx_ids ids;
    for (int c = 0; c < 0x80; c++)
        sx_str_append_char(&text, (char)c);
    for (int32_t id = 300; id < 50000; id += 7) {
        struct sx_str one = SX_STR_INIT;
        sx_detokenize(t, &id, 1, &one);
        bool ascii = true;
        for (size_t i = 0; i < one.len; i++)
            ascii &= (unsigned char)one.data[i] < 0x80;
        if (ascii)
            sx_str_append_len(&text, one.data, one.len);
        sx_str_release(&one);
    }
    cr_assert_eq(sx_tokenize(t, text.data, text.len, NULL, &ids, NULL, &err), SX_OK);
    sx_detokenize(t, ids.ids, ids.n, &back);
    cr_expect(back.len == text.len && memcmp(back.data, text.data, text.len) == 0);
    sx_ids_release(&ids);
    sx_str_release(&text);
    sx_str_release(&back);
    sx_tokenizer_free(t);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Quadratic time would take minutes. */
Test(bpe, long_words_long_spaces_and_long_runs_of_marks)
{
    enum { LENGTH = 1 << 20 };
    struct sx_tokenizer *t = pythia();
    char *text = sx_xmalloc(LENGTH);
    struct sx_ids ids;
    uint32_t state = 1;
    for (int kind = 0; kind < 5; kind++) {
        static const char *const units[] = {"a", " ", "\n", "\xCC\x81\xCC\xA3", "<|endoftext"};
        for (size_t i = 0; i < LENGTH; i++) {
            const char *unit = units[kind];
            state = state * 1664525 + 1013904223;
            text[i] = kind == 0 ? (char)('a' + (state >> 24) % 26) : unit[i % strlen(unit)];
        }
        const double begin = seconds();
        cr_assert_eq(sx_tokenize(t, text, LENGTH, NULL, &ids, NULL, &err), SX_OK);
        cr_expect_gt(ids.n, LENGTH / 30);
        cr_expect_lt(seconds() - begin, 30.0);
        sx_ids_release(&ids);
    }
    sx_free(text);
    sx_tokenizer_free(t);
}

/* --- files that are refused ---------------------------------------------------------------------
 */

/* The small tokenizer with the first `from` replaced. */
static void refused(const char *from, const char *to, enum sx_status status, const char *part)
{
    struct sx_tokenizer *t = NULL;
    struct sx_str changed = SX_STR_INIT;
    size_t len;
    char *json = load("small.tokenizer.json", &len);
    const char *at = strstr(json, from);
    cr_assert(at, "no %s", from);
    sx_str_append_len(&changed, json, (size_t)(at - json));
    sx_str_append(&changed, to);
    sx_str_append(&changed, at + strlen(from));
    const enum sx_status found =
        sx_tokenizer_open_memory("t.json", changed.data, changed.len, &t, &err);
    if (found == SX_OK)
        sx_tokenizer_free(t);
    cr_expect_eq(found, status, "%s: %d %s", to, found, err.message);
    cr_expect(found == SX_OK || strstr(err.message, part), "'%s' not in: %s", part, err.message);
    sx_str_release(&changed);
    sx_free(json);
}

Test(bpe, parts_of_other_tokenizers_are_refused_by_name)
{
    refused("{\"type\": \"NFC\"}", "{\"type\": \"Lowercase\"}", SX_ERR_UNSUPPORTED,
            "t.json: normalizer is Lowercase, expected NFC or none");
    refused("\"pre_tokenizer\": {\"type\": \"ByteLevel\"",
            "\"pre_tokenizer\": {\"type\": \"Split\"", SX_ERR_UNSUPPORTED,
            "pre_tokenizer is Split, expected ByteLevel");
    refused("\"use_regex\": true", "\"use_regex\": false", SX_ERR_UNSUPPORTED,
            "use_regex is false");
    refused("\"decoder\": {\"type\": \"ByteLevel\"", "\"decoder\": {\"type\": \"WordPiece\"",
            SX_ERR_UNSUPPORTED, "decoder is WordPiece");
    refused("\"decoder\": {", "\"old_decoder\": {", SX_ERR_UNSUPPORTED, "decoder is nothing");
    refused("\"type\": \"BPE\"", "\"type\": \"Unigram\"", SX_ERR_UNSUPPORTED,
            "model is Unigram, expected BPE");
    refused("\"dropout\": null", "\"dropout\": 0.1", SX_ERR_UNSUPPORTED, "model.dropout is set");
    refused("\"byte_fallback\": false", "\"byte_fallback\": true", SX_ERR_UNSUPPORTED,
            "byte_fallback");
    refused("\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"##\"",
            SX_ERR_UNSUPPORTED, "continuing_subword_prefix is '##'");
    refused("\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"", SX_ERR_UNSUPPORTED,
            "end_of_word_suffix");
    refused("\"type\": \"TemplateProcessing\"", "\"type\": \"BertProcessing\"", SX_ERR_UNSUPPORTED,
            "post_processor is BertProcessing");
    refused("\"single_word\": false", "\"single_word\": true", SX_ERR_UNSUPPORTED,
            "added token 'catsat' has single_word true");
    refused("\"model\": {", "\"other\": {", SX_ERR_FORMAT, "no key 'model'");
}

Test(bpe, damaged_vocabularies_are_refused)
{
    refused("\"B\": 33", "\"B\": 32", SX_ERR_FORMAT, "have the same id 32");
    refused("\"B\": 33", "\"B\": -1", SX_ERR_FORMAT, "token 'B' has the id -1");
    refused("\"B\": 33", "\"B\": 4000000000", SX_ERR_FORMAT, "token 'B' has the id 4000000000");
    refused("\"B\": 33", "\"B\": 2097152", SX_ERR_FORMAT, "expected 0 to 2097151");
    refused("\"B\": 33", "\"B\": \"x\"", SX_ERR_FORMAT, "the id of token 'B' is a string");
    refused("\"B\": 33", "\"C\": 33", SX_ERR_FORMAT, "duplicate");
    refused("\"B\": 33", "\"BBB\": 33", SX_ERR_UNSUPPORTED, "no token 'B' for the byte 42");
    refused("\"vocab\": {", "\"vocab\": [], \"x\": {", SX_ERR_FORMAT, "model.vocab is a list");
    refused("\"id\": 308", "\"id\": 5", SX_ERR_FORMAT, "have the same id 5");
    refused("\"id\": 308", "\"id\": -7", SX_ERR_FORMAT, "id -7");
    refused("\"content\": \"catsat\"", "\"content\": \"cat\"", SX_ERR_FORMAT, "'cat'");
    refused("\"content\": \"catsat\"", "\"content\": \"\"", SX_ERR_FORMAT, "has 0 bytes");
    refused("\"content\": \"catsat\"", "\"content\": \"B\"", SX_ERR_FORMAT,
            "added token 'B' has the id 308, in the vocabulary 33");
}

Test(bpe, damaged_merges_are_refused)
{
    refused("[\"t\", \"h\"]", "[\"t\", \"hx\"]", SX_ERR_FORMAT, "the vocabulary has no token 'hx'");
    refused("[\"t\", \"h\"]", "[\"t\", \"z\"]", SX_ERR_FORMAT, "the vocabulary has no token 'tz'");
    refused("[\"t\", \"h\"]", "[\"t\"]", SX_ERR_FORMAT, "expected \"A B\" or [\"A\",\"B\"]");
    refused("[\"t\", \"h\"]", "\"t h e\"", SX_ERR_FORMAT, "expected \"A B\"");
    refused("[\"t\", \"h\"]", "\" h\"", SX_ERR_FORMAT, "expected \"A B\"");
    refused("[\"t\", \"h\"]", "7", SX_ERR_FORMAT, "expected \"A B\"");
    refused("[\"t\", \"h\"]", "\"t h\"", SX_OK, "");
    refused("\"merges\": [", "\"merges\": {}, \"x\": [", SX_ERR_FORMAT, "model.merges is a map");
    refused("\"merges\": [", "\"merges\": [\"#version: 0.2\", ", SX_OK, "");
}

Test(bpe, cut_files_are_refused)
{
    size_t len;
    char *json = load("small.tokenizer.json", &len);
    for (size_t cut = 0; cut + 2 < len; cut += 13) {
        struct sx_tokenizer *t = NULL;
        cr_assert_neq(sx_tokenizer_open_memory("t.json", json, cut, &t, &err), SX_OK);
        cr_assert_null(t);
    }
    sx_free(json);
}
