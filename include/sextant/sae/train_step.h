/* One step of training a ReLU SAE: forward, loss, backward, Adam, decoder constraint. Jedryszek &
 * Crook 2026, section "MNIST"; the projection as in dictionary_learning. sx_train_run
 * (sextant/sae/train.h) drives it; tests and benchmarks call it directly.
 *
 *   L = mean (x̂ - x)^2 + l1_activation * mean |z| + R_enc(W_enc) + R_dec(W_dec)
 *   R:  l1  lambda * mean |W|     l2  lambda * Σ W^2     l2_unsquared  lambda * ‖W‖_F
 *   z = relu(W_enc (x - b_dec) + b_enc),  x̂ = W_dec^T z + b_dec
 *
 * Letters: D input dimension, F latents, B rows of a batch. Weights are stored by latent, [F,D]. */
#ifndef SEXTANT_SAE_TRAIN_STEP_H
#define SEXTANT_SAE_TRAIN_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/core/gang.h"
#include "sextant/sae/types.h"

/* What a step does; every switch is independent of the others. */
struct sx_train_rules {
    bool b_enc, b_dec; /* false: the bias stays zero */
    enum sx_penalty penalty_enc, penalty_dec;
    double lambda_enc, lambda_dec;
    double l1_activation;
    enum sx_constraint constraint; /* none, renorm, renorm+project */
    double lr, beta1, beta2, eps;
};

/* A parameter with the two moments of Adam. */
struct sx_train_param {
    float *w, *m, *v;
};

/* One seed's model and optimiser: everything that a checkpoint must hold. */
struct sx_train_state {
    uint64_t D, F;
    uint64_t step;                      /* updates done */
    struct sx_train_param W_enc, W_dec; /* [F,D] */
    struct sx_train_param b_enc;        /* [F] */
    struct sx_train_param b_dec;        /* [D] */
    double *sq_enc, *sq_dec;            /* [F] squared norm of each row, as the last step left it */
    uint32_t *quiet;                    /* [F] steps since the latent last fired */
    void *owned;                        /* private: the one allocation behind the pointers */
};

struct sx_train_init {
    bool tied;          /* W_enc starts as a copy of W_dec */
    bool unit_norm;     /* decoder rows are scaled to unit norm first */
    const float *b_dec; /* [D] or NULL: zero */
    uint64_t seed;
};

/* Kaiming-uniform as torch draws it (fan_in D for the encoder, F for the decoder), from our own
 * counter-based generator. SX_ERR_NOMEM. */
enum sx_status sx_train_state_new(uint64_t D, uint64_t F, const struct sx_train_init *init,
                                  struct sx_train_state *state, struct sx_error *err) SX_MUST_CHECK;
/* Zeros everywhere, to be filled from a checkpoint. */
enum sx_status sx_train_state_alloc(uint64_t D, uint64_t F, struct sx_train_state *state,
                                    struct sx_error *err) SX_MUST_CHECK;
void sx_train_state_release(struct sx_train_state *state);

/* Geometric median of x [n,D] by Weiszfeld's iteration (at most 100 rounds, until the centre moves
 * less than 1e-5; distances are at least 1e-8) into out [D]. n > 0. */
void sx_geometric_median(const float *x, uint64_t n, uint64_t D, float *out);

/* Buffers for batches of at most max_batch rows; serves any number of states of one shape. While
 * it lives the BLAS library runs on one thread and the gang (borrowed) does the parallel work. */
struct sx_train_workspace;
enum sx_status sx_train_workspace_new(uint64_t D, uint64_t F, uint64_t max_batch,
                                      struct sx_gang *gang, struct sx_train_workspace **ws,
                                      struct sx_error *err) SX_MUST_CHECK;
void sx_train_workspace_free(struct sx_train_workspace *ws);

struct sx_train_loss { /* of one batch, before its update */
    double mse;        /* mean (x̂ - x)^2 */
    double z_mean;     /* mean |z| over B*F */
    double l0;         /* mean count of z > 0 */
};

/* One update of `state` on x [n,D], 0 < n <= max_batch. */
void sx_train_step(struct sx_train_workspace *ws, const struct sx_train_rules *rules,
                   struct sx_train_state *state, const float *x, uint64_t n,
                   struct sx_train_loss *loss);

/* R_enc + R_dec of the present weights. */
double sx_train_penalty(const struct sx_train_rules *rules, const struct sx_train_state *state);

#endif
