/* Text to token ids and back. Two kinds: ESM-2's (one token a residue) and the byte-level BPE of a
 * Hugging Face tokenizer.json (Sennrich et al. 2016; GPT-2's byte alphabet). Immutable after
 * opening; may be used from any thread. */
#ifndef SEXTANT_MODEL_TOKENIZER_H
#define SEXTANT_MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/str.h"

struct sx_tokenizer;

struct sx_ids { /* owned by the caller; release with sx_ids_release */
    int32_t *ids;
    size_t n;
};
void sx_ids_release(struct sx_ids *ids);

/* The ids of ESM-2's alphabet. */
enum {
    SX_ESM_CLS = 0,
    SX_ESM_PAD = 1,
    SX_ESM_EOS = 2,
    SX_ESM_UNK = 3,
    SX_ESM_FIRST_RESIDUE = 4, /* the 20 canonical residues are 4 .. 23 */
    SX_ESM_LAST_RESIDUE = 23,
    SX_ESM_M = 20,
    SX_ESM_X = 24,
    SX_ESM_MASK = 32,
    SX_ESM_VOCAB = 33
};

/* vocab_path: a vocab.txt that must equal the built-in table (SX_ERR_UNSUPPORTED otherwise), or
 * NULL. */
enum sx_status sx_tokenizer_esm2(const char *vocab_path, struct sx_tokenizer **tokenizer,
                                 struct sx_error *err) SX_MUST_CHECK;
/* tokenizer.json. Unknown normalizer, pre_tokenizer or model types, missing byte symbols and merges
 * that the vocabulary does not hold are refused by name. */
enum sx_status sx_tokenizer_open(const char *path, struct sx_tokenizer **tokenizer,
                                 struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_tokenizer_open_memory(const char *label, const char *json, size_t len,
                                        struct sx_tokenizer **tokenizer,
                                        struct sx_error *err) SX_MUST_CHECK;
void sx_tokenizer_free(struct sx_tokenizer *tokenizer); /* NULL is fine */

/* The tokenizer that belongs to a path, without opening weights: a tokenizer.json, a vocab.txt, or
 * (a file of) a folder that holds one. A folder whose config.json says "esm" needs neither.
 * SX_ERR_NOTFOUND: there is none. */
enum sx_status sx_tokenizer_find(const char *path, struct sx_tokenizer **tokenizer,
                                 struct sx_error *err) SX_MUST_CHECK;

bool sx_tokenizer_is_esm2(const struct sx_tokenizer *tokenizer);
size_t sx_tokenizer_size(const struct sx_tokenizer *tokenizer); /* largest id + 1 */

struct sx_tokenize_options {
    bool no_specials;  /* ESM-2: do not add <cls> and <eos>. BPE: text that looks like a special
                          token  is plain text, and nothing is put around it */
    bool unknown_as_x; /* ESM-2: unknown residues become X instead of <unk> */
};
/* ESM-2: white space is dropped, lower case raised, <mask> and the other specials recognised; every
 * other character becomes one <unk> and is counted in *unknown (NULL: not wanted).
 * BPE: text must be UTF-8 (invalid bytes become U+FFFD, also counted). options may be NULL. */
enum sx_status sx_tokenize(const struct sx_tokenizer *tokenizer, const char *text, size_t len,
                           const struct sx_tokenize_options *options, struct sx_ids *out,
                           size_t *unknown, struct sx_error *err) SX_MUST_CHECK;

/* One line about what sx_tokenize could not read, for people: "2 characters are no residues: 'J' at
 * 17, '7' at 40" (residues count from 1) or "1 byte is no UTF-8: at 12" (bytes count from 0);
 * nothing is appended when all is well. */
void sx_tokenize_warning(const struct sx_tokenizer *tokenizer, const char *text, size_t len,
                         struct sx_str *out);

/* The token as the vocabulary writes it ("<cls>", "Ġthe"); NULL for an id without one. */
const char *sx_token_name(const struct sx_tokenizer *tokenizer, int32_t id);
/* The id of a name, or -1: of the vocabulary's spelling, and for BPE also of plain text that is
 * exactly one token (" the"). Where the spelling is that of half a character (GPT-2's alphabet
 * writes the lone byte E9 as "é") the plain text is meant. */
int32_t sx_token_find(const struct sx_tokenizer *tokenizer, const char *name);
/* A token as a reader wants it: "A", " the", "\n" as ⏎; at most size-1 bytes, UTF-8, sanitised. */
void sx_token_label(const struct sx_tokenizer *tokenizer, int32_t id, char *buf, size_t size);

/* Text of ids; BPE bytes that are not UTF-8 become U+FFFD. ESM-2: tokens without separators. Ids
 * without a token become U+FFFD. */
void sx_detokenize(const struct sx_tokenizer *tokenizer, const int32_t *ids, size_t n,
                   struct sx_str *out);

/* Streaming: what can be shown after each id; bytes of an unfinished character are held back. */
struct sx_decoder {
    unsigned char tail[4];
    size_t n_tail;
};
void sx_decoder_push(const struct sx_tokenizer *tokenizer, struct sx_decoder *decoder, int32_t id,
                     struct sx_str *out);
void sx_decoder_flush(struct sx_decoder *decoder, struct sx_str *out); /* the tail as U+FFFD */

#endif
