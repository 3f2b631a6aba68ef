/* What both kinds of tokenizers have in common, and which one a path stands for. */
#include "sextant/model/tokenizer.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/io/json.h"
#include "tokenizer_private.h"

void sx_ids_release(struct sx_ids *ids)
{
    sx_free(ids->ids);
    *ids = (struct sx_ids){0};
}

void sx_id_list_push(struct sx_id_list *list, int32_t id)
{
    SX_GROW(list->ids, list->capacity, list->n + 1);
    list->ids[list->n++] = id;
}

/* --- opening ------------------------------------------------------------------------------------
 */

enum sx_status sx_tokenizer_esm2(const char *vocab_path, struct sx_tokenizer **tokenizer,
                                 struct sx_error *err)
{
    if (vocab_path)
        SX_TRY(sx_esm2_check_vocab(vocab_path, err));
    *tokenizer = sx_xcalloc(1, sizeof **tokenizer);
    return SX_OK;
}

static enum sx_status open_document(const char *label, struct sx_value *take_root,
                                    struct sx_tokenizer **tokenizer, struct sx_error *err)
{
    struct sx_bpe *bpe = NULL;
    const enum sx_status status = sx_bpe_open(label, take_root, &bpe, err);
    sx_value_free(take_root);
    if (status != SX_OK)
        return status;
    *tokenizer = sx_xcalloc(1, sizeof **tokenizer);
    (*tokenizer)->bpe = bpe;
    return SX_OK;
}

enum sx_status sx_tokenizer_open(const char *path, struct sx_tokenizer **tokenizer,
                                 struct sx_error *err)
{
    struct sx_value *root = NULL;
    SX_TRY(sx_json_parse_file(path, &root, err));
    return open_document(path, root, tokenizer, err);
}

enum sx_status sx_tokenizer_open_memory(const char *label, const char *json, size_t len,
                                        struct sx_tokenizer **tokenizer, struct sx_error *err)
{
    struct sx_value *root = NULL;
    SX_TRY(sx_json_parse(label, json, len, &root, err));
    return open_document(label, root, tokenizer, err);
}

void sx_tokenizer_free(struct sx_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    sx_bpe_free(tokenizer->bpe);
    sx_free(tokenizer);
}

/* --- which one a path stands for ----------------------------------------------------------------
 */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static enum sx_status is_esm(const char *config_path, bool *esm, struct sx_error *err)
{
    struct sx_value *config = NULL;
    SX_TRY(sx_json_parse_file(config_path, &config, err));
    *esm = strcmp(sx_value_string_or(sx_value_get(config, "model_type"), ""), "esm") == 0;
    sx_value_free(config);
    return SX_OK;
}

static enum sx_status find_in_folder(const char *folder, struct sx_tokenizer **tokenizer,
                                     struct sx_error *err)
{
    char *json = sx_xasprintf("%s/tokenizer.json", folder);
    char *vocab = sx_xasprintf("%s/vocab.txt", folder);
    char *config = sx_xasprintf("%s/config.json", folder);
    const bool has_vocab = exists(vocab);
    bool esm = false;
    enum sx_status status = exists(config) ? is_esm(config, &esm, err) : SX_OK;
    if (status != SX_OK)
        goto out;
    if (esm || (has_vocab && !exists(json)))
        status = sx_tokenizer_esm2(has_vocab ? vocab : NULL, tokenizer, err);
    else if (exists(json))
        status = sx_tokenizer_open(json, tokenizer, err);
    else
        status = sx_fail(err, SX_ERR_NOTFOUND, "%s: no tokenizer.json and no vocab.txt", folder);
out:
    sx_free(json);
    sx_free(vocab);
    sx_free(config);
    return status;
}

enum sx_status sx_tokenizer_find(const char *path, struct sx_tokenizer **tokenizer,
                                 struct sx_error *err)
{
    const char *name = base_name(path);
    const size_t n = strlen(name);
    struct stat st;
    if (stat(path, &st) != 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return find_in_folder(path, tokenizer, err);
    if (strcmp(name, "vocab.txt") == 0)
        return sx_tokenizer_esm2(path, tokenizer, err);
    if (n > 5 && strcmp(name + n - 5, ".json") == 0 && strcmp(name, "config.json") != 0 &&
        !strstr(name, ".index.json"))
        return sx_tokenizer_open(path, tokenizer, err);
    char *folder = name == path ? sx_xstrdup(".") : sx_xstrndup(path, (size_t)(name - path));
    const enum sx_status status = find_in_folder(folder, tokenizer, err);
    sx_free(folder);
    return status;
}

/* --- text to ids --------------------------------------------------------------------------------
 */

bool sx_tokenizer_is_esm2(const struct sx_tokenizer *tokenizer)
{
    return !tokenizer->bpe;
}

size_t sx_tokenizer_size(const struct sx_tokenizer *tokenizer)
{
    return tokenizer->bpe ? sx_bpe_size(tokenizer->bpe) : SX_ESM_VOCAB;
}

enum sx_status sx_tokenize(const struct sx_tokenizer *tokenizer, const char *text, size_t len,
                           const struct sx_tokenize_options *options, struct sx_ids *out,
                           size_t *unknown, struct sx_error *err)
{
    static const struct sx_tokenize_options defaults;
    struct sx_id_list list = {0};
    size_t n_unknown = 0;
    enum sx_status status = SX_OK;
    options = options ? options : &defaults;
    if (len > SX_MAX_TEXT)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "a text of %zu bytes; at most %d are taken at once",
                       len, SX_MAX_TEXT);
    if (tokenizer->bpe)
        status =
            sx_bpe_encode(tokenizer->bpe, text, len, options->no_specials, &list, &n_unknown, err);
    else
        sx_esm2_encode(text, len, options, &list, &n_unknown);
    if (status != SX_OK) {
        sx_free(list.ids);
        return status;
    }
    *out = (struct sx_ids){list.ids, list.n};
    if (unknown)
        *unknown = n_unknown;
    return SX_OK;
}

static void bytes_warning(const char *text, size_t len, struct sx_str *out)
{
    size_t n = 0;
    size_t first = 0;
    for (size_t i = 0; i < len;) {
        bool whole;
        const size_t step = sx_utf8_part(text + i, len - i, &whole, NULL);
        if (!whole && n++ == 0)
            first = i;
        i += step;
    }
    if (n == 1)
        sx_str_printf(out, "1 byte is no UTF-8: at %zu", first);
    else if (n)
        sx_str_printf(out, "bytes at %zu places are no UTF-8, the first at %zu", n, first);
}

void sx_tokenize_warning(const struct sx_tokenizer *tokenizer, const char *text, size_t len,
                         struct sx_str *out)
{
    if (tokenizer->bpe)
        bytes_warning(text, len, out);
    else
        sx_esm2_warning(text, len, out);
}

/* --- names --------------------------------------------------------------------------------------
 */

const char *sx_token_name(const struct sx_tokenizer *tokenizer, int32_t id)
{
    return tokenizer->bpe ? sx_bpe_name(tokenizer->bpe, id) : sx_esm2_name(id);
}

static int32_t find_text(const struct sx_tokenizer *tokenizer, const char *text)
{
    struct sx_ids ids = {0};
    struct sx_error err;
    int32_t id = -1;
    if (sx_tokenize(tokenizer, text, strlen(text), NULL, &ids, NULL, &err) == SX_OK && ids.n == 1)
        id = ids.ids[0];
    sx_ids_release(&ids);
    return id;
}

int32_t sx_token_find(const struct sx_tokenizer *tokenizer, const char *name)
{
    if (!tokenizer->bpe)
        return sx_esm2_find(name);
    size_t n;
    const int32_t spelled = sx_bpe_find(tokenizer->bpe, name);
    const char *bytes = sx_bpe_bytes(tokenizer->bpe, spelled, &n);
    if (spelled >= 0 && sx_utf8_valid(bytes, n))
        return spelled;
    const int32_t meant = find_text(tokenizer, name);
    return meant >= 0 ? meant : spelled;
}

void sx_token_label(const struct sx_tokenizer *tokenizer, int32_t id, char *buf, size_t size)
{
    struct sx_str text = SX_STR_INIT;
    struct sx_str shown = SX_STR_INIT;
    sx_detokenize(tokenizer, &id, 1, &text);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n')
            sx_str_append(&shown, "⏎");
        else if (text.data[i] == '\t')
            sx_str_append(&shown, "⇥");
        else
            sx_str_append_char(&shown, text.data[i]);
    }
    sx_text_clean(buf, size, shown.data, shown.len);
    sx_str_release(&text);
    sx_str_release(&shown);
}

/* --- ids to text --------------------------------------------------------------------------------
 */

/* Bytes at the end of s that may be the beginning of a character: at most three. */
static size_t open_end(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        bool whole;
        bool open;
        if (sx_utf8_part(s + n - back, back, &whole, &open) == back && open)
            return back;
    }
    return 0;
}

static void take_bytes(struct sx_decoder *decoder, const char *bytes, size_t n, struct sx_str *out)
{
    struct sx_str joined = SX_STR_INIT;
    if (decoder->n_tail) {
        sx_str_append_len(&joined, (const char *)decoder->tail, decoder->n_tail);
        sx_str_append_len(&joined, bytes, n);
        bytes = joined.data;
        n = joined.len;
    }
    const size_t keep = open_end(bytes, n);
    sx_utf8_append_lossy(out, bytes, n - keep);
    memcpy(decoder->tail, bytes + n - keep, keep);
    decoder->n_tail = keep;
    sx_str_release(&joined);
}

void sx_decoder_push(const struct sx_tokenizer *tokenizer, struct sx_decoder *decoder, int32_t id,
                     struct sx_str *out)
{
    static const char no_token[] = "\xEF\xBF\xBD";
    const char *bytes;
    size_t n = 0;
    if (tokenizer->bpe) {
        bytes = sx_bpe_bytes(tokenizer->bpe, id, &n);
    } else {
        bytes = sx_esm2_name(id);
        n = bytes ? strlen(bytes) : 0;
    }
    if (bytes)
        take_bytes(decoder, bytes, n, out);
    else
        take_bytes(decoder, no_token, sizeof no_token - 1, out);
}

void sx_decoder_flush(struct sx_decoder *decoder, struct sx_str *out)
{
    sx_utf8_append_lossy(out, (const char *)decoder->tail, decoder->n_tail);
    decoder->n_tail = 0;
}

void sx_detokenize(const struct sx_tokenizer *tokenizer, const int32_t *ids, size_t n,
                   struct sx_str *out)
{
    struct sx_decoder decoder = {0};
    for (size_t i = 0; i < n; i++)
        sx_decoder_push(tokenizer, &decoder, ids[i], out);
    sx_decoder_flush(&decoder, out);
}
