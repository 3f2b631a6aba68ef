/* From a row of logits to the next token. Private to model. */
#ifndef SEXTANT_MODEL_SAMPLING_H
#define SEXTANT_MODEL_SAMPLING_H

#include "sextant/model/generate.h"

struct sx_sampler {
    struct sx_sampling how;
    size_t vocab;
    float *scores;   /* [vocab] */
    uint32_t *order; /* [vocab] */
};

enum sx_status sx_sampler_init(struct sx_sampler *sampler, const struct sx_sampling *how,
                               size_t vocab, struct sx_error *err) SX_MUST_CHECK;
void sx_sampler_release(struct sx_sampler *sampler);

/* The next token of logits [vocab]. `seen` [vocab] is 1 for tokens of the prompt and those made so
 * far. Depends on nothing but its arguments and sampling.seed. The order of the steps is that of
 * Hugging Face's generate: repetition penalty, temperature, top-k (ties with the k-th stay), top-p.
 */
int32_t sx_sample(struct sx_sampler *sampler, const float *logits, const uint8_t *seen,
                  uint64_t stream, uint64_t step);

/* Natural log of softmax(logits)[id]. */
float sx_token_logprob(const float *logits, size_t vocab, int32_t id);

#endif
