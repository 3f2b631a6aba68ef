/* An input that begins with '{' is a tokenizer.json, which then reads a fixed text. Any other is a
 * text: for ESM-2, and for a byte-level BPE with a few merges and added tokens, where what is
 * decoded must be the NFC of what was encoded, and the same when decoded id by id. */
#include "fuzz_support.h"
#include "sextant/base/text.h"
#include "sextant/model/tokenizer.h"

static void add_vocabulary(struct sx_str *json)
{
    static const char *const words[] = {"th", "the", "Ġt", "Ġthe", "ĠĠ", "in", "ing", "Ìģ"};
    int id = 0;
    for (uint32_t c = 0; c < 256; c++) {
        /* GPT-2's alphabet: printable bytes for themselves, the others from U+0100. */
        static uint32_t others;
        const bool itself = (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174;
        char utf8[4];
        const size_t n = sx_utf8_encode(itself ? c : 0x100 + others, utf8);
        others += !itself;
        sx_str_printf(json, "%s\"%s%.*s\": %d", id ? ", " : "", c == '"' || c == '\\' ? "\\" : "",
                      (int)n, utf8, id);
        id++;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        sx_str_printf(json, ", \"%s\": %d", words[i], id++);
}

static struct sx_tokenizer *make_tokenizer(void)
{
    struct sx_tokenizer *t = NULL;
    struct sx_str json = SX_STR_INIT;
    struct sx_error err;
    sx_str_append(&json,
                  "{\"normalizer\": {\"type\": \"NFC\"}, \"pre_tokenizer\": {\"type\": "
                  "\"ByteLevel\", \"add_prefix_space\": false}, \"decoder\": {\"type\": "
                  "\"ByteLevel\"}, \"added_tokens\": [{\"id\": 300, \"content\": \"<s>\", "
                  "\"special\": true, \"normalized\": false}, {\"id\": 301, \"content\": \"  "
                  "\", \"normalized\": true}], \"model\": {\"type\": \"BPE\", \"vocab\": {");
    add_vocabulary(&json);
    sx_str_append(&json, "}, \"merges\": [\"t h\", \"th e\", \"Ġ t\", \"Ġ the\", \"Ġ Ġ\", "
                         "\"i n\", \"in g\", \"Ì ģ\"]}}");
    if (sx_tokenizer_open_memory("fuzz", json.data, strlen(json.data), &t, &err) != SX_OK)
        abort();
    sx_str_release(&json);
    return t;
}

/* `exact`: nothing is put around the text. */
static void check_text(const struct sx_tokenizer *t, const char *text, size_t len, bool exact)
{
    struct sx_str clean = SX_STR_INIT;
    struct sx_str nfc = SX_STR_INIT;
    struct sx_str back = SX_STR_INIT;
    struct sx_str streamed = SX_STR_INIT;
    struct sx_decoder decoder = {0};
    struct sx_ids ids;
    struct sx_error err;
    if (sx_tokenize(t, text, len, NULL, &ids, NULL, &err) != SX_OK)
        abort();
    sx_utf8_append_lossy(&clean, text, len);
    sx_detokenize(t, ids.ids, ids.n, &back);
    for (size_t i = 0; i < ids.n; i++)
        sx_decoder_push(t, &decoder, ids.ids[i], &streamed);
    sx_decoder_flush(&decoder, &streamed);
    if (streamed.len != back.len || memcmp(streamed.data, back.data, back.len) != 0)
        abort();
    /* Normalisation stops at a special token, which a mark behind it would otherwise join. */
    if (exact && !strstr(clean.data, "<s>") && strlen(clean.data) == clean.len) {
        sx_text_nfc(clean.data, clean.len, &nfc);
        if (nfc.len != back.len || memcmp(nfc.data, back.data, back.len) != 0)
            abort();
    }
    sx_str_release(&clean);
    sx_str_release(&nfc);
    sx_str_release(&back);
    sx_str_release(&streamed);
    sx_ids_release(&ids);
}

static void check_esm2(const char *text, size_t len)
{
    static struct sx_tokenizer *esm2;
    struct sx_str warning = SX_STR_INIT;
    struct sx_error err;
    struct sx_ids ids;
    size_t unknown;
    if (!esm2 && sx_tokenizer_esm2(NULL, &esm2, &err) != SX_OK)
        abort();
    if (sx_tokenize(esm2, text, len, NULL, &ids, &unknown, &err) != SX_OK)
        abort();
    sx_tokenize_warning(esm2, text, len, &warning);
    if (ids.n > len + 2 || (unknown > 0) != (warning.len > 0))
        abort();
    sx_str_release(&warning);
    sx_ids_release(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sx_tokenizer *bpe;
    const char *text = (const char *)data;
    struct sx_tokenizer *t = NULL;
    struct sx_error err;
    if (size && *text == '{') {
        if (sx_tokenizer_open_memory("f.json", text, size, &t, &err) == SX_OK) {
            check_text(t, "the things", 10, false);
            sx_token_find(t, " the");
            sx_tokenizer_free(t);
        }
        return 0;
    }
    if (!bpe)
        bpe = make_tokenizer();
    check_text(bpe, text, size, true);
    check_esm2(text, size);
    return 0;
}
