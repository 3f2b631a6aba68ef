/* GPT-2's cutting of text into pieces inside which tokens are merged. Private to src/model. */
#ifndef SEXTANT_MODEL_BPE_PIECES_H
#define SEXTANT_MODEL_BPE_PIECES_H

#include <stddef.h>

/* Bytes of the first piece of s[0..len), len > 0, which is valid UTF-8. The whole rest of the
 * stretch must be given: white space at the end is cut differently from white space inside. */
size_t sx_bpe_piece(const char *s, size_t len);

#endif
