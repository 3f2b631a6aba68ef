/* The two kinds of tokenizers. Private to src/model. */
#ifndef SEXTANT_MODEL_TOKENIZER_PRIVATE_H
#define SEXTANT_MODEL_TOKENIZER_PRIVATE_H

#include "sextant/base/value.h"
#include "sextant/model/tokenizer.h"

struct sx_bpe;

struct sx_tokenizer {
    struct sx_bpe *bpe; /* owned; NULL: ESM-2 */
};

struct sx_id_list {
    int32_t *ids;
    size_t n, capacity;
};
void sx_id_list_push(struct sx_id_list *list, int32_t id);

enum { SX_MAX_TEXT = 1 << 30 }; /* bytes; positions in a text fit in 32 bits */

/* tokenizer_esm2.c */
void sx_esm2_encode(const char *text, size_t len, const struct sx_tokenize_options *options,
                    struct sx_id_list *out, size_t *unknown);
void sx_esm2_warning(const char *text, size_t len, struct sx_str *out);
const char *sx_esm2_name(int32_t id);
int32_t sx_esm2_find(const char *name);
enum sx_status sx_esm2_check_vocab(const char *path, struct sx_error *err) SX_MUST_CHECK;

/* tokenizer_bpe.c */
enum sx_status sx_bpe_open(const char *label, const struct sx_value *root, struct sx_bpe **out,
                           struct sx_error *err) SX_MUST_CHECK;
void sx_bpe_free(struct sx_bpe *bpe); /* NULL is fine */
size_t sx_bpe_size(const struct sx_bpe *bpe);
enum sx_status sx_bpe_encode(const struct sx_bpe *bpe, const char *text, size_t len,
                             bool no_specials, struct sx_id_list *out, size_t *replaced,
                             struct sx_error *err) SX_MUST_CHECK;
const char *sx_bpe_name(const struct sx_bpe *bpe, int32_t id);
int32_t sx_bpe_find(const struct sx_bpe *bpe, const char *name);
/* What a token stands for; NULL for an id without one. */
const char *sx_bpe_bytes(const struct sx_bpe *bpe, int32_t id, size_t *n);

#endif
