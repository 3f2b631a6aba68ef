/* Byte-level BPE. A text is cut at added tokens, normalised, cut at the other added tokens, cut
 * into pieces, and every piece is merged; the order is the one of Hugging Face's tokenizers. */
#include "tokenizer_private.h"

#include <string.h>

#include "bpe.h"
#include "bpe_pieces.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"

void sx_bpe_free(struct sx_bpe *bpe)
{
    if (!bpe)
        return;
    sx_vocab_release(&bpe->vocab);
    sx_merges_release(&bpe->merges);
    sx_added_release(&bpe->verbatim);
    sx_added_release(&bpe->normalized);
    sx_free(bpe->before.ids);
    sx_free(bpe->after.ids);
    sx_arena_free(bpe->arena);
    sx_free(bpe);
}

size_t sx_bpe_size(const struct sx_bpe *bpe)
{
    return bpe->vocab.size;
}

static const struct sx_bpe_token *token_of(const struct sx_bpe *bpe, int32_t id)
{
    return id >= 0 && (size_t)id < bpe->vocab.size ? &bpe->vocab.tokens[id] : NULL;
}

const char *sx_bpe_name(const struct sx_bpe *bpe, int32_t id)
{
    const struct sx_bpe_token *token = token_of(bpe, id);
    return token ? token->name : NULL;
}

const char *sx_bpe_bytes(const struct sx_bpe *bpe, int32_t id, size_t *n)
{
    const struct sx_bpe_token *token = token_of(bpe, id);
    *n = token ? token->n_bytes : 0;
    return token ? token->bytes : NULL;
}

int32_t sx_bpe_find(const struct sx_bpe *bpe, const char *name)
{
    return sx_vocab_find(&bpe->vocab, name, strlen(name));
}

/* --- encoding -----------------------------------------------------------------------------------
 */

struct encoder {
    const struct sx_bpe *bpe;
    bool no_specials;
    struct sx_merge_scratch scratch;
    struct sx_str spelled; /* a piece in the alphabet of the vocabulary */
    struct sx_id_list *out;
};

/* The id of a piece that is a token of the vocabulary; -1: it is none. */
static int32_t whole_piece(struct encoder *e, const char *s, size_t len)
{
    sx_str_clear(&e->spelled);
    for (size_t i = 0; i < len; i++) {
        char utf8[4];
        const size_t n = sx_utf8_encode(sx_byte_stand_in((unsigned char)s[i]), utf8);
        sx_str_append_len(&e->spelled, utf8, n);
    }
    const int32_t id = sx_vocab_find(&e->bpe->vocab, e->spelled.data, e->spelled.len);
    return id >= 0 && !e->bpe->vocab.tokens[id].added ? id : -1;
}

static enum sx_status encode_piece(struct encoder *e, const char *s, size_t len,
                                   struct sx_error *err)
{
    const int32_t whole = e->bpe->ignore_merges ? whole_piece(e, s, len) : -1;
    if (whole < 0)
        return sx_merge_bytes(&e->bpe->merges, e->bpe->byte_ids, s, len, &e->scratch, e->out, err);
    sx_id_list_push(e->out, whole);
    return SX_OK;
}

/* Text without added tokens. */
static enum sx_status encode_plain(struct encoder *e, const char *s, size_t len,
                                   struct sx_error *err)
{
    for (size_t i = 0; i < len;) {
        const size_t n = sx_bpe_piece(s + i, len - i);
        SX_TRY(encode_piece(e, s + i, n, err));
        i += n;
    }
    return SX_OK;
}

static enum sx_status encode_stretch(struct encoder *e, const char *s, size_t len,
                                     struct sx_error *err)
{
    if (!len || !e->bpe->add_prefix_space || *s == ' ')
        return encode_plain(e, s, len, err);
    struct sx_str spaced = SX_STR_INIT;
    sx_str_append(&spaced, " ");
    sx_str_append_len(&spaced, s, len);
    const enum sx_status status = encode_plain(e, spaced.data, spaced.len, err);
    sx_str_release(&spaced);
    return status;
}

typedef enum sx_status stretch_fn(struct encoder *e, const char *s, size_t len,
                                  struct sx_error *err);

/* Added tokens become their ids, what lies between them goes on to `rest`. */
static enum sx_status cut(struct encoder *e, const struct sx_added *added, const char *s,
                          size_t len, stretch_fn *rest, struct sx_error *err)
{
    for (size_t from = 0; from < len;) {
        size_t start;
        size_t end = len;
        const int32_t id = sx_added_next(added, s, len, from, e->no_specials, &start, &end);
        if (start > from)
            SX_TRY(rest(e, s + from, start - from, err));
        if (id >= 0)
            sx_id_list_push(e->out, id);
        from = end;
    }
    return SX_OK;
}

static enum sx_status encode_normalized(struct encoder *e, const char *s, size_t len,
                                        struct sx_error *err)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status;
    if (!e->bpe->nfc)
        return cut(e, &e->bpe->normalized, s, len, encode_stretch, err);
    if (sx_text_nfc(s, len, &text))
        status = cut(e, &e->bpe->normalized, text.data, text.len, encode_stretch, err);
    else
        status = sx_fail(err, SX_ERR_NOMEM, "no memory to normalise a text of %zu bytes", len);
    sx_str_release(&text);
    return status;
}

static void push_all(struct sx_id_list *out, const struct sx_id_list *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        sx_id_list_push(out, ids->ids[i]);
}

enum sx_status sx_bpe_encode(const struct sx_bpe *bpe, const char *text, size_t len,
                             bool no_specials, struct sx_id_list *out, size_t *replaced,
                             struct sx_error *err)
{
    struct encoder e = {.bpe = bpe, .no_specials = no_specials, .spelled = SX_STR_INIT, .out = out};
    struct sx_str repaired = SX_STR_INIT;
    *replaced = 0;
    if (!sx_utf8_valid(text, len)) {
        *replaced = sx_utf8_append_lossy(&repaired, text, len);
        text = repaired.data;
        len = repaired.len;
    }
    if (!no_specials)
        push_all(out, &bpe->before);
    const enum sx_status status = cut(&e, &bpe->verbatim, text, len, encode_normalized, err);
    if (!no_specials)
        push_all(out, &bpe->after);
    sx_merge_scratch_release(&e.scratch);
    sx_str_release(&e.spelled);
    sx_str_release(&repaired);
    return status;
}
