/* Writes a small transformer for script tests, as a Hugging Face folder:
 *   make_tiny_model esm2|neox DIR        the model whose weights follow from a formula
 *   make_tiny_model neox-text DIR        GPT-NeoX with a tokenizer.json: random weights, a token a
 *                                        byte and <|endoftext|>
 *   make_tiny_model esm2-bare DIR        without the two heads
 *   make_tiny_model esm2-noise DIR       random weights, large ones in queries and keys, so that
 * the maps of attention are noise */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sextant/base/text.h"
#include "tiny_models.h"

enum { BYTES = 256, FIRST_STAND_IN = 256 };

/* GPT-2's alphabet: printable bytes stand for themselves, the others for U+0100 on. */
static uint32_t stand_in(unsigned byte)
{
    static const unsigned own[][2] = {{33, 126}, {161, 172}, {174, 255}};
    uint32_t next = FIRST_STAND_IN;
    for (unsigned b = 0; b <= byte; b++) {
        bool plain = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            plain |= b >= own[i][0] && b <= own[i][1];
        if (b == byte)
            return plain ? byte : next;
        next += !plain;
    }
    return next;
}

/* <|endoftext|> is 0, byte b is b + 1, and two merges: "th" and "the". */
static void write_tokenizer(const char *folder)
{
    struct sx_str json = SX_STR_INIT;
    sx_str_append(&json,
                  "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{"
                  "\"id\":0,\"content\":\"<|endoftext|>\",\"single_word\":false,\"lstrip\":false,"
                  "\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalizer\":{"
                  "\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\","
                  "\"add_prefix_space\":false,\"trim_offsets\":true},\"post_processor\":{\"type\":"
                  "\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true},\"decoder\":{"
                  "\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true},"
                  "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
                  "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                  "\"fuse_unk\":false,\"vocab\":{\"<|endoftext|>\":0");
    for (unsigned b = 0; b < BYTES; b++) {
        char symbol[5] = "";
        sx_utf8_encode(stand_in(b), symbol);
        sx_str_printf(&json, ",\"%s%s\":%u", b == '"' || b == '\\' ? "\\" : "", symbol, b + 1);
    }
    sx_str_append(&json, ",\"th\":257,\"the\":258},\"merges\":[\"t h\",\"th e\"]}}\n");
    tiny_write_text(folder, "tokenizer.json", json.data);
    sx_str_release(&json);
}

static void make_noise(struct tiny_model *model)
{
    static const float more = 6;
    for (size_t i = 0; i < model->n; i++)
        if (tiny_has(model->tensors[i].name, ".query.weight"))
            for (uint64_t v = 0; v < model->tensors[i].count; v++)
                model->tensors[i].data[v] *= more;
}

int main(int argc, char **argv)
{
    static const struct tiny_shape text_shape = {SX_MODEL_GPT_NEOX, 2, 32, 2, 128, 259, 2};
    const char *kind = argc == 3 ? argv[1] : "";
    struct tiny_options options = {0};
    struct tiny_model model;
    if (strcmp(kind, "esm2") == 0) {
        model = tiny_golden(tiny_esm2_shape);
    } else if (strcmp(kind, "esm2-bare") == 0) {
        model = tiny_golden(tiny_esm2_shape);
        options.no_lm_head = options.no_contact_head = true;
    } else if (strcmp(kind, "esm2-noise") == 0) {
        model = tiny_random(tiny_esm2_shape, 11);
        make_noise(&model);
    } else if (strcmp(kind, "neox") == 0) {
        model = tiny_golden(tiny_neox_shape);
    } else if (strcmp(kind, "neox-text") == 0) {
        model = tiny_random(text_shape, 7);
    } else {
        fprintf(stderr, "usage: make_tiny_model esm2|esm2-bare|esm2-noise|neox|neox-text DIR\n");
        return 2;
    }
    if (mkdir(argv[2], 0777) && errno != EEXIST) {
        perror(argv[2]);
        return 1;
    }
    tiny_write(&model, argv[2], &options);
    if (strcmp(kind, "neox-text") == 0)
        write_tokenizer(argv[2]);
    tiny_release(&model);
    return 0;
}
