/* A byte-level BPE tokenizer in memory. Private to src/model: tokenizer_bpe.c uses it,
 * bpe_file.c fills it. */
#ifndef SEXTANT_MODEL_BPE_H
#define SEXTANT_MODEL_BPE_H

#include "bpe_added.h"
#include "bpe_merge.h"
#include "bpe_vocab.h"
#include "sextant/base/arena.h"
#include "tokenizer_private.h"

struct sx_bpe {
    struct sx_arena *arena; /* names and bytes of the tokens */
    struct sx_vocab vocab;  /* the model's own tokens and the added ones, by id */
    struct sx_merges merges;
    struct sx_added verbatim;   /* looked for in the text as it is … */
    struct sx_added normalized; /* … and after normalisation */
    int32_t byte_ids[256];
    bool nfc;
    bool add_prefix_space;
    bool ignore_merges;              /* a piece that is a token is taken whole */
    struct sx_id_list before, after; /* what a template puts around every text */
};

#endif
