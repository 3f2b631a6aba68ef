/* Byte pair encoding of one piece (Sennrich et al. 2016). Private to src/model. */
#ifndef SEXTANT_MODEL_BPE_MERGE_H
#define SEXTANT_MODEL_BPE_MERGE_H

#include "sextant/base/status.h"
#include "tokenizer_private.h"

struct sx_merge { /* of the pair (left, right) of ids */
    uint64_t pair;
    uint32_t rank;
    int32_t id; /* what they become; -1: an empty place */
};

/* Pairs to merges, by open addressing. Zeroed: empty. */
struct sx_merges {
    struct sx_merge *places;
    size_t mask; /* places - 1 */
};

void sx_merges_release(struct sx_merges *merges);
/* Room for n pairs. */
void sx_merges_reserve(struct sx_merges *merges, size_t n);
/* A pair that is there already gets the new rank. false: too many pairs fall on one place, which
 * happens only in files made for it. */
bool sx_merges_set(struct sx_merges *merges, int32_t left, int32_t right, uint32_t rank,
                   int32_t id);

/* Memory that is used again for every piece. Zeroed: none. */
struct sx_merge_scratch {
    void *symbols, *queue;
    size_t room;
};
void sx_merge_scratch_release(struct sx_merge_scratch *scratch);

/* Append the ids of bytes[0..n); byte_ids[256]: the id of each byte. O(n log n). */
enum sx_status sx_merge_bytes(const struct sx_merges *merges, const int32_t *byte_ids,
                              const char *bytes, size_t n, struct sx_merge_scratch *scratch,
                              struct sx_id_list *out, struct sx_error *err) SX_MUST_CHECK;

#endif
