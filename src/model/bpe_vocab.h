/* Tokens by id and by name, and GPT-2's alphabet for bytes. Private to src/model. */
#ifndef SEXTANT_MODEL_BPE_VOCAB_H
#define SEXTANT_MODEL_BPE_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/arena.h"

struct sx_bpe_token {
    const char *name;  /* NULL: an id without a token */
    const char *bytes; /* what it stands for */
    size_t n_bytes;
    bool added; /* not of the model's own vocabulary: pieces never become it */
};

struct sx_vocab {
    struct sx_bpe_token *tokens; /* by id */
    size_t size;                 /* largest id + 1 */
    size_t capacity;
    uint32_t *places; /* open addressing by name: id + 1; 0: empty */
    size_t mask;
};

enum { SX_VOCAB_MOST = 1 << 21 }; /* ids are below this */

void sx_vocab_release(struct sx_vocab *vocab);
/* Room for n names. */
void sx_vocab_reserve(struct sx_vocab *vocab, size_t n);
/* id: 0 .. SX_VOCAB_MOST - 1 without a token yet; name: not there yet. false: too many names fall
 * on one place, which happens only in files made for it. Bytes are copied into the arena. */
bool sx_vocab_add(struct sx_vocab *vocab, struct sx_arena *arena, const char *name, int32_t id,
                  bool added);
int32_t sx_vocab_find(const struct sx_vocab *vocab, const char *name, size_t len); /* or -1 */

/* The character that stands for a byte: itself where it is printable, else U+0100 and on. */
uint32_t sx_byte_stand_in(unsigned char byte);

#endif
