/* tokenizer.json of Hugging Face's tokenizers. The file says which of many parts a tokenizer is
 * made of; those that a byte-level BPE consists of are taken, and any other is refused by name,
 * because a wrong id looks as good as a right one. */
#include "bpe.h"

#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"

struct reader {
    const char *label;
    struct sx_bpe *bpe;
    struct sx_error *err;
};

/* Strangers' names in messages. */
struct quoted {
    char text[48];
};

static struct quoted quote(const char *name)
{
    struct quoted q;
    sx_text_clean(q.text, sizeof q.text, name, strlen(name));
    return q;
}

static bool is_null(const struct sx_value *v)
{
    return sx_value_kind(v) == SX_VALUE_NULL;
}

static bool is_true(const struct sx_value *part, const char *key, bool fallback)
{
    return sx_value_bool_or(sx_value_get(part, key), fallback);
}

static bool has_type(const struct sx_value *part, const char *type)
{
    return strcmp(sx_value_string_or(sx_value_get(part, "type"), ""), type) == 0;
}

static enum sx_status refuse_type(const struct reader *r, const char *key,
                                  const struct sx_value *part, const char *expected)
{
    const char *type = sx_value_string_or(sx_value_get(part, "type"), NULL);
    return sx_fail(r->err, SX_ERR_UNSUPPORTED, "%s: %s is %s, expected %s", r->label, key,
                   type ? quote(type).text : sx_value_kind_name(sx_value_kind(part)), expected);
}

/* --- normalizer, pre_tokenizer, decoder ---------------------------------------------------------
 */

static enum sx_status read_normalizer(const struct reader *r, const struct sx_value *part)
{
    if (is_null(part))
        return SX_OK;
    if (has_type(part, "NFC")) {
        r->bpe->nfc = true;
        return SX_OK;
    }
    if (!has_type(part, "Sequence"))
        return refuse_type(r, "normalizer", part, "NFC or none");
    const struct sx_value *list = sx_value_get(part, "normalizers");
    for (size_t i = 0; i < sx_value_count(list); i++) {
        if (!has_type(sx_value_item(list, i), "NFC"))
            return refuse_type(r, "normalizer", sx_value_item(list, i), "NFC or none");
        r->bpe->nfc = true;
    }
    return SX_OK;
}

static enum sx_status read_pre_tokenizer(const struct reader *r, const struct sx_value *part)
{
    if (!has_type(part, "ByteLevel"))
        return refuse_type(r, "pre_tokenizer", part, "ByteLevel");
    if (!is_true(part, "use_regex", true))
        return sx_fail(r->err, SX_ERR_UNSUPPORTED,
                       "%s: pre_tokenizer.use_regex is false, expected true", r->label);
    r->bpe->add_prefix_space = is_true(part, "add_prefix_space", true);
    return SX_OK;
}

static enum sx_status check_decoder(const struct reader *r, const struct sx_value *part)
{
    return has_type(part, "ByteLevel") ? SX_OK : refuse_type(r, "decoder", part, "ByteLevel");
}

/* --- model.vocab --------------------------------------------------------------------------------
 */

/* `id` is to become the token `name`. */
static enum sx_status add_token(const struct reader *r, const char *name, int64_t id, bool added)
{
    struct sx_vocab *vocab = &r->bpe->vocab;
    if (id < 0 || id >= SX_VOCAB_MOST)
        return sx_fail(r->err, SX_ERR_FORMAT, "%s: token '%s' has the id %lld, expected 0 to %d",
                       r->label, quote(name).text, (long long)id, SX_VOCAB_MOST - 1);
    if ((size_t)id < vocab->size && vocab->tokens[id].name)
        return sx_fail(r->err, SX_ERR_FORMAT, "%s: the tokens '%s' and '%s' have the same id %lld",
                       r->label, quote(vocab->tokens[id].name).text, quote(name).text,
                       (long long)id);
    if (!sx_vocab_add(vocab, r->bpe->arena, name, (int32_t)id, added))
        return sx_fail(r->err, SX_ERR_UNSUPPORTED, "%s: too many names of tokens collide",
                       r->label);
    return SX_OK;
}

static enum sx_status read_vocab(const struct reader *r, const struct sx_value *vocab)
{
    if (sx_value_kind(vocab) != SX_VALUE_MAP)
        return sx_fail(r->err, SX_ERR_FORMAT, "%s: model.vocab is %s, expected a map", r->label,
                       sx_value_kind_name(sx_value_kind(vocab)));
    for (size_t i = 0; i < sx_value_count(vocab); i++) {
        const struct sx_value *id = sx_value_item(vocab, i);
        if (sx_value_kind(id) != SX_VALUE_INT)
            return sx_fail(r->err, SX_ERR_FORMAT, "%s: the id of token '%s' is %s", r->label,
                           quote(sx_value_key(vocab, i)).text,
                           sx_value_kind_name(sx_value_kind(id)));
        SX_TRY(add_token(r, sx_value_key(vocab, i), sx_value_int_or(id, -1), false));
    }
    return SX_OK;
}

/* Not C0, C1 and F5 to FF: Pythia's vocabulary leaves them out. */
static bool is_byte_of_utf8(int byte)
{
    return byte < 0xC0 || (byte > 0xC1 && byte < 0xF5);
}

static enum sx_status read_bytes(const struct reader *r)
{
    for (int byte = 0; byte < 256; byte++) {
        char utf8[5] = {0};
        const size_t n = sx_utf8_encode(sx_byte_stand_in((unsigned char)byte), utf8);
        r->bpe->byte_ids[byte] = sx_vocab_find(&r->bpe->vocab, utf8, n);
        if (r->bpe->byte_ids[byte] < 0 && is_byte_of_utf8(byte))
            return sx_fail(r->err, SX_ERR_UNSUPPORTED,
                           "%s: the vocabulary has no token '%s' for the byte %02X", r->label, utf8,
                           byte);
    }
    return SX_OK;
}

/* --- model.merges -------------------------------------------------------------------------------
 */

struct rule {
    const char *left, *right;
    size_t n_left, n_right;
};

/* "A B" or ["A","B"]. */
static bool read_rule(const struct sx_value *v, struct rule *rule)
{
    const char *text = sx_value_string_or(v, NULL);
    if (text) {
        const char *space = strchr(text, ' ');
        if (!space || strchr(space + 1, ' '))
            return false;
        *rule = (struct rule){text, space + 1, (size_t)(space - text), strlen(space + 1)};
    } else {
        const char *left = sx_value_string_or(sx_value_item(v, 0), NULL);
        const char *right = sx_value_string_or(sx_value_item(v, 1), NULL);
        if (sx_value_kind(v) != SX_VALUE_LIST || sx_value_count(v) != 2 || !left || !right)
            return false;
        *rule = (struct rule){left, right, strlen(left), strlen(right)};
    }
    return rule->n_left && rule->n_right;
}

static enum sx_status find_part(const struct reader *r, size_t index, const char *name, size_t len,
                                int32_t *id)
{
    *id = sx_vocab_find(&r->bpe->vocab, name, len);
    if (*id >= 0)
        return SX_OK;
    char clean[64];
    sx_text_clean(clean, sizeof clean, name, len);
    return sx_fail(r->err, SX_ERR_FORMAT, "%s: model.merges[%zu]: the vocabulary has no token '%s'",
                   r->label, index, clean);
}

static enum sx_status read_merge(const struct reader *r, size_t index, uint32_t rank,
                                 const struct sx_value *v, struct sx_str *joined)
{
    struct rule rule;
    int32_t left;
    int32_t right;
    int32_t id;
    if (!read_rule(v, &rule))
        return sx_fail(r->err, SX_ERR_FORMAT,
                       "%s: model.merges[%zu]: expected \"A B\" or [\"A\",\"B\"]", r->label, index);
    sx_str_clear(joined);
    sx_str_append_len(joined, rule.left, rule.n_left);
    sx_str_append_len(joined, rule.right, rule.n_right);
    SX_TRY(find_part(r, index, rule.left, rule.n_left, &left));
    SX_TRY(find_part(r, index, rule.right, rule.n_right, &right));
    SX_TRY(find_part(r, index, joined->data, joined->len, &id));
    if (!sx_merges_set(&r->bpe->merges, left, right, rank, id))
        return sx_fail(r->err, SX_ERR_UNSUPPORTED, "%s: too many merges collide", r->label);
    return SX_OK;
}

static enum sx_status read_merges(const struct reader *r, const struct sx_value *merges)
{
    struct sx_str joined = SX_STR_INIT;
    const size_t n = sx_value_count(merges);
    enum sx_status status = SX_OK;
    uint32_t rank = 0;
    if (sx_value_kind(merges) != SX_VALUE_LIST)
        return sx_fail(r->err, SX_ERR_FORMAT, "%s: model.merges is %s, expected a list", r->label,
                       sx_value_kind_name(sx_value_kind(merges)));
    sx_merges_reserve(&r->bpe->merges, n);
    for (size_t i = 0; i < n && status == SX_OK; i++) {
        const struct sx_value *v = sx_value_item(merges, i);
        /* The first line of a merges.txt, copied along. */
        if (strncmp(sx_value_string_or(v, ""), "#version", 8) == 0)
            continue;
        status = read_merge(r, i, rank++, v, &joined);
    }
    sx_str_release(&joined);
    return status;
}

/* --- model --------------------------------------------------------------------------------------
 */

static enum sx_status check_model(const struct reader *r, const struct sx_value *model)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    /* Files from before the key existed have no type. */
    if (!has_type(model, "BPE") && (sx_value_get(model, "type") || !sx_value_get(model, "merges")))
        return refuse_type(r, "model", model, "BPE");
    if (sx_value_real_or(sx_value_get(model, "dropout"), 0) != 0)
        return sx_fail(r->err, SX_ERR_UNSUPPORTED,
                       "%s: model.dropout is set: its ids are not reproducible", r->label);
    if (is_true(model, "byte_fallback", false))
        return sx_fail(r->err, SX_ERR_UNSUPPORTED,
                       "%s: model.byte_fallback is true, expected false", r->label);
    for (size_t i = 0; i < 2; i++) {
        const char *affix = sx_value_string_or(sx_value_get(model, affixes[i]), "");
        if (*affix)
            return sx_fail(r->err, SX_ERR_UNSUPPORTED, "%s: model.%s is '%s', expected none",
                           r->label, affixes[i], quote(affix).text);
    }
    r->bpe->ignore_merges = is_true(model, "ignore_merges", false);
    return SX_OK;
}

static enum sx_status read_model(const struct reader *r, const struct sx_value *model,
                                 size_t n_added)
{
    const struct sx_value *vocab = sx_value_get(model, "vocab");
    SX_TRY(check_model(r, model));
    sx_vocab_reserve(&r->bpe->vocab, sx_value_count(vocab) + n_added);
    SX_TRY(read_vocab(r, vocab));
    SX_TRY(read_bytes(r));
    return read_merges(r, sx_value_get(model, "merges"));
}

/* --- added_tokens -------------------------------------------------------------------------------
 */

/* Whether it is looked for in the normalised text; then it is written in that form, too. */
static bool is_normalized(const struct sx_value *v)
{
    return is_true(v, "normalized", !is_true(v, "special", false));
}

static enum sx_status insert_added(const struct reader *r, const char *text,
                                   const struct sx_value *v)
{
    const int64_t id = sx_value_int_or(sx_value_get(v, "id"), -1);
    const int32_t there = sx_vocab_find(&r->bpe->vocab, text, strlen(text));
    const struct sx_added_flags flags = {
        .special = is_true(v, "special", false),
        .lstrip = is_true(v, "lstrip", false),
        .rstrip = is_true(v, "rstrip", false),
    };
    struct sx_added *added = is_normalized(v) ? &r->bpe->normalized : &r->bpe->verbatim;
    if (there < 0)
        SX_TRY(add_token(r, text, id, true));
    else if (there != id)
        return sx_fail(r->err, SX_ERR_FORMAT,
                       "%s: added token '%s' has the id %lld, in the vocabulary %d", r->label,
                       quote(text).text, (long long)id, there);
    if (sx_added_insert(added, text, strlen(text), (int32_t)id, flags))
        return SX_OK;
    return sx_fail(r->err, SX_ERR_FORMAT, "%s: added token '%s' is there twice", r->label,
                   quote(text).text);
}

static enum sx_status read_added(const struct reader *r, const struct sx_value *v, size_t index)
{
    enum { LONGEST = 1024 };
    const char *text = sx_value_string_or(sx_value_get(v, "content"), "");
    const size_t len = strlen(text);
    struct sx_str content = SX_STR_INIT;
    if (!len || len > LONGEST)
        return sx_fail(r->err, SX_ERR_FORMAT,
                       "%s: added_tokens[%zu].content has %zu bytes, expected 1 to %d", r->label,
                       index, len, LONGEST);
    if (is_true(v, "single_word", false))
        return sx_fail(r->err, SX_ERR_UNSUPPORTED,
                       "%s: added token '%s' has single_word true, expected false", r->label,
                       quote(text).text);
    if (!is_normalized(v) || !r->bpe->nfc)
        sx_str_append(&content, text);
    else if (!sx_text_nfc(text, len, &content))
        return sx_fail(r->err, SX_ERR_NOMEM, "%s: no memory", r->label);
    const enum sx_status status = insert_added(r, content.data, v);
    sx_str_release(&content);
    return status;
}

static enum sx_status read_all_added(const struct reader *r, const struct sx_value *list)
{
    enum { MOST = 1 << 16 };
    const size_t n = sx_value_count(list);
    if (!is_null(list) && sx_value_kind(list) != SX_VALUE_LIST)
        return sx_fail(r->err, SX_ERR_FORMAT, "%s: added_tokens is %s, expected a list", r->label,
                       sx_value_kind_name(sx_value_kind(list)));
    if (n > MOST)
        return sx_fail(r->err, SX_ERR_UNSUPPORTED, "%s: %zu added tokens; at most %d are read",
                       r->label, n, MOST);
    for (size_t i = 0; i < n; i++)
        SX_TRY(read_added(r, sx_value_item(list, i), i));
    return SX_OK;
}

/* --- post_processor -----------------------------------------------------------------------------
 */

static enum sx_status read_template(const struct reader *r, const struct sx_value *part)
{
    const struct sx_value *single = sx_value_get(part, "single");
    bool behind = false; /* the text itself */
    for (size_t i = 0; i < sx_value_count(single); i++) {
        const struct sx_value *item = sx_value_item(single, i);
        const char *name = sx_value_string_or(sx_value_at(item, "SpecialToken.id"), NULL);
        if (!name) {
            behind = true;
            continue;
        }
        const int32_t id = sx_vocab_find(&r->bpe->vocab, name, strlen(name));
        if (id < 0)
            return sx_fail(r->err, SX_ERR_FORMAT, "%s: post_processor: there is no token '%s'",
                           r->label, quote(name).text);
        sx_id_list_push(behind ? &r->bpe->after : &r->bpe->before, id);
    }
    return SX_OK;
}

static enum sx_status read_post_processor(const struct reader *r, const struct sx_value *part)
{
    if (is_null(part) || has_type(part, "ByteLevel"))
        return SX_OK;
    if (has_type(part, "TemplateProcessing"))
        return read_template(r, part);
    if (!has_type(part, "Sequence"))
        return refuse_type(r, "post_processor", part, "ByteLevel or TemplateProcessing");
    const struct sx_value *list = sx_value_get(part, "processors");
    for (size_t i = 0; i < sx_value_count(list); i++) {
        const struct sx_value *item = sx_value_item(list, i);
        if (has_type(item, "TemplateProcessing"))
            SX_TRY(read_template(r, item));
        else if (!has_type(item, "ByteLevel"))
            return refuse_type(r, "post_processor", item, "ByteLevel or TemplateProcessing");
    }
    return SX_OK;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static enum sx_status read_all(const struct reader *r, const struct sx_value *root)
{
    const struct sx_value *added = sx_value_get(root, "added_tokens");
    if (!sx_value_get(root, "model"))
        return sx_fail(r->err, SX_ERR_FORMAT, "%s: no key 'model': not a tokenizer.json", r->label);
    SX_TRY(read_normalizer(r, sx_value_get(root, "normalizer")));
    SX_TRY(read_pre_tokenizer(r, sx_value_get(root, "pre_tokenizer")));
    SX_TRY(check_decoder(r, sx_value_get(root, "decoder")));
    SX_TRY(read_model(r, sx_value_get(root, "model"), sx_value_count(added)));
    SX_TRY(read_all_added(r, added));
    return read_post_processor(r, sx_value_get(root, "post_processor"));
}

enum sx_status sx_bpe_open(const char *label, const struct sx_value *root, struct sx_bpe **out,
                           struct sx_error *err)
{
    struct sx_bpe *bpe = sx_xcalloc(1, sizeof *bpe);
    const struct reader reader = {label, bpe, err};
    bpe->arena = sx_arena_new();
    const enum sx_status status = read_all(&reader, root);
    if (status == SX_OK)
        *out = bpe;
    else
        sx_bpe_free(bpe);
    return status;
}
