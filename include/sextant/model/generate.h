/* Text generation with a cache of keys and values (GPT-NeoX). */
#ifndef SEXTANT_MODEL_GENERATE_H
#define SEXTANT_MODEL_GENERATE_H

#include "sextant/model/forward.h"
#include "sextant/model/tokenizer.h"

struct sx_sampling {
    bool greedy;
    double temperature;        /* > 0; 1: the model's own distribution */
    size_t top_k;              /* 0: all */
    double top_p;              /* 1: all; the smallest set of tokens that reaches it */
    double repetition_penalty; /* 1: none; logits of tokens seen are divided (positive) or
                                  multiplied (negative) by it, as Hugging Face does */
    uint64_t seed;             /* stream: prompt index, counter: step; the same at any batch size */
};

struct sx_generation { /* of one prompt; owned by the caller: sx_generations_release */
    struct sx_ids ids; /* the new tokens */
    float *logprobs;   /* [ids.n] natural log, of the model's own distribution (temperature 1) */
    bool stopped;      /* a stop token came (not included) */
};
void sx_generations_release(struct sx_generation *generations, size_t n);

struct sx_generate {
    const struct sx_ids *prompts; /* each at least one token */
    size_t n_prompts;
    size_t max_new;
    const int32_t *stop; /* ids that end a generation */
    size_t n_stop;
    struct sx_sampling sampling;
    /* Interventions in force, over prompt tokens and new ones (intervention.generated). Captures
     * are not offered here. */
    struct sx_hooks hooks;
    /* Called on the calling thread after each new token; may be NULL. */
    void (*on_token)(void *ctx, size_t prompt, int32_t id, float logprob);
    void *ctx;
};

/* out [n_prompts]. SX_CANCELLED leaves what was made so far in out. A model that is not causal is
 * SX_ERR_UNSUPPORTED. */
enum sx_status sx_generate(struct sx_runner *runner, const struct sx_generate *request,
                           struct sx_generation *out, struct sx_task *task,
                           struct sx_error *err) SX_MUST_CHECK;

#endif
