/* ESM-2's tokenizer: fair-esm's alphabet (Lin et al. 2023), the same 33 tokens in every size. */
#include "tokenizer_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/text.h"

static const char names[SX_ESM_VOCAB][9] = {
    "<cls>", "<pad>", "<eos>", "<unk>", "L", "A", "G", "V", "S", "E",        "R",
    "T",     "I",     "D",     "P",     "K", "Q", "N", "F", "Y", "M",        "H",
    "W",     "C",     "X",     "B",     "U", "Z", "O", ".", "-", "<null_1>", "<mask>",
};

const char *sx_esm2_name(int32_t id)
{
    return id >= 0 && id < SX_ESM_VOCAB ? names[id] : NULL;
}

int32_t sx_esm2_find(const char *name)
{
    for (int32_t id = 0; id < SX_ESM_VOCAB; id++)
        if (strcmp(names[id], name) == 0)
            return id;
    return -1;
}

/* No special is the beginning of another, so the first that fits is the longest. */
static int32_t special_at(const char *text, size_t len)
{
    for (int32_t id = 0; id < SX_ESM_VOCAB; id++) {
        const size_t n = strlen(names[id]);
        if (n > 1 && n <= len && memcmp(text, names[id], n) == 0)
            return id;
    }
    return -1;
}

static int32_t residue(uint32_t cp)
{
    if (cp >= 'a' && cp <= 'z')
        cp -= 'a' - 'A';
    for (int32_t id = SX_ESM_FIRST_RESIDUE; id < SX_ESM_VOCAB; id++)
        if (names[id][1] == '\0' && (unsigned char)names[id][0] == cp)
            return id;
    return SX_ESM_UNK;
}

struct cursor {
    const char *text;
    size_t len, at;
};

/* The next token; false at the end. *unknown is the character when it has none, else 0. */
static bool next_token(struct cursor *c, int32_t *id, uint32_t *unknown)
{
    uint32_t cp;
    size_t n;
    *unknown = 0;
    do {
        if (c->at == c->len)
            return false;
        if (c->text[c->at] == '<' && (*id = special_at(c->text + c->at, c->len - c->at)) >= 0) {
            c->at += strlen(names[*id]);
            return true;
        }
        n = sx_utf8_decode(c->text + c->at, c->len - c->at, &cp);
        c->at += n;
    } while (sx_text_class(cp) == SX_TEXT_SPACE);
    *id = residue(cp);
    if (*id == SX_ESM_UNK)
        *unknown = cp ? cp : 0xFFFD;
    return true;
}

void sx_esm2_encode(const char *text, size_t len, const struct sx_tokenize_options *options,
                    struct sx_id_list *out, size_t *unknown)
{
    struct cursor cursor = {text, len, 0};
    int32_t id;
    uint32_t what;
    if (!options->no_specials)
        sx_id_list_push(out, SX_ESM_CLS);
    while (next_token(&cursor, &id, &what)) {
        *unknown += what != 0;
        sx_id_list_push(out, what && options->unknown_as_x ? SX_ESM_X : id);
    }
    if (!options->no_specials)
        sx_id_list_push(out, SX_ESM_EOS);
}

void sx_esm2_warning(const char *text, size_t len, struct sx_str *out)
{
    enum { SHOWN = 5 };
    struct cursor cursor = {text, len, 0};
    struct sx_str list = SX_STR_INIT;
    size_t n = 0;
    int32_t id;
    uint32_t what;
    for (size_t position = 1; next_token(&cursor, &id, &what); position++) {
        char utf8[4];
        char clean[8];
        if (!what || n++ >= SHOWN)
            continue;
        sx_text_clean(clean, sizeof clean, utf8, sx_utf8_encode(what, utf8));
        sx_str_printf(&list, "%s'%s' at %zu", n > 1 ? ", " : "", clean, position);
    }
    if (n)
        sx_str_printf(out, "%zu %s: %s%s", n,
                      n == 1 ? "character is no residue" : "characters are no residues", list.data,
                      n > SHOWN ? ", …" : "");
    sx_str_release(&list);
}

static enum sx_status check_lines(FILE *file, const char *path, struct sx_error *err)
{
    char line[64];
    for (int32_t id = 0; id < SX_ESM_VOCAB; id++) {
        char clean[64];
        if (!fgets(line, sizeof line, file))
            return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %d tokens, expected ESM-2's %d", path, id,
                           SX_ESM_VOCAB);
        line[strcspn(line, "\r\n")] = '\0';
        if (strcmp(line, names[id]) == 0)
            continue;
        sx_text_clean(clean, sizeof clean, line, strlen(line));
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: line %d is '%s', expected '%s' of ESM-2", path,
                       id + 1, clean, names[id]);
    }
    while (fgets(line, sizeof line, file))
        if (line[strspn(line, "\r\n")])
            return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: more tokens than ESM-2's %d", path,
                           SX_ESM_VOCAB);
    return SX_OK;
}

enum sx_status sx_esm2_check_vocab(const char *path, struct sx_error *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    const enum sx_status status = check_lines(file, path, err);
    fclose(file);
    return status;
}
