/* The forward pass. Sequences of a batch are packed without padding; rows of the batch are the
 * tokens of the first sequence, then of the second, and so on. */
#ifndef SEXTANT_MODEL_FORWARD_H
#define SEXTANT_MODEL_FORWARD_H

#include "sextant/base/task.h"
#include "sextant/model/hooks.h"
#include "sextant/model/model.h"

struct sx_cache;

/* One sequence of a batch; nothing is owned. */
struct sx_sequence {
    const int32_t *ids; /* NULL is fine with `resid`: then no token is a pad */
    size_t n;
    const float *positions; /* [n]; NULL: 0, 1, 2, … (behind the cache's tokens, if any) */
    /* Factor on all embeddings (ESM-2's token dropout rescaling); NAN or 0: computed from the
     * masks. Lets two inputs of different length or number of masks be compared. */
    float embed_scale;
    /* Rows of logits wanted: NULL and n_rows 0: none; NULL and n_rows == n: all; else these, in
     * this order. */
    const uint32_t *rows;
    size_t n_rows;
    /* Start here instead of at the embedding: resid.pre of layer `from_layer` [n,D]; NULL: from the
     * embedding. */
    size_t from_layer;
    const float *resid;
    struct sx_cache *cache; /* keys and values of earlier tokens; these are appended. NULL: none.
                               Causal models only */
};

struct sx_pass {
    const struct sx_sequence *sequences;
    size_t n_sequences;
    struct sx_hooks hooks;
    bool
        attend_pads; /* ESM-2: <pad> tokens are keys like any other (Hugging Face without a mask) */
    size_t until_layer; /* stop after this many layers, no head; 0: run to the end */
    float *logits;      /* [Σ n_rows, V], in the order of the batch; may be NULL when no rows */
};

/* Buffers and threads of passes, reused from one to the next. One thread at a time. */
struct sx_runner;
/* threads 0: as many as the machine has cores. Takes a reference to the model. */
struct sx_runner *sx_runner_new(struct sx_model *model, int threads);
void sx_runner_free(struct sx_runner *runner); /* NULL is fine */
const struct sx_model *sx_runner_model(const struct sx_runner *runner);

/* A sequence gives the same bits whatever else is in the batch and however many threads there are.
 * Ids outside the vocabulary, all-mask input, shapes that do not fit and NaN in the residual stream
 * (SX_ERR_NUMERIC, naming the layer) are errors. Cancel points between layers and within
 * attention. The sequences of one batch must agree in from_layer, and in having a cache or not. */
enum sx_status sx_run_pass(struct sx_runner *runner, const struct sx_pass *pass,
                           struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;

/* ESM-2's factor on the embeddings of a sequence: 0.88 / (1 - masks/tokens); 1 without token
 * dropout. SX_ERR_USAGE when every token is a mask. */
enum sx_status sx_embed_scale(const struct sx_model_info *info, const int32_t *ids, size_t n,
                              float *scale, struct sx_error *err) SX_MUST_CHECK;

/* The head on rows of the residual stream [rows,D]: final LayerNorm, head, logits [rows,V]. With
 * rows of resid.pre of any layer: the logit lens. */
enum sx_status sx_model_unembed(struct sx_runner *runner, const float *resid, size_t rows,
                                float *logits, struct sx_error *err) SX_MUST_CHECK;

/* Keys (rotated) and values of a causal model, grown as needed up to `capacity` tokens. */
struct sx_cache *sx_cache_new(const struct sx_model *model, size_t capacity);
void sx_cache_free(struct sx_cache *cache); /* NULL is fine */
size_t sx_cache_length(const struct sx_cache *cache);
void sx_cache_truncate(struct sx_cache *cache, size_t length); /* forget later tokens */

/* Bytes that a pass over these lengths needs with a thread for every core; captures, logits, caches
 * and weights apart. */
uint64_t sx_pass_bytes(const struct sx_model *model, const size_t *lengths, size_t n_sequences);

/* ESM-2's contact head on one sequence (Rao et al. 2021): out [n-2,n-2] probabilities for ids with
 * <cls> and <eos>. Attention maps are folded in head by head, never kept. */
enum sx_status sx_model_contacts(struct sx_runner *runner, const int32_t *ids, size_t n, float *out,
                                 struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;

#endif
