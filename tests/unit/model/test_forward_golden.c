/* The two tiny models whose outputs other implementations gave: fair-esm's own code for ESM-2, an
 * independent numpy implementation for GPT-NeoX. */
#include <string.h>

#include "../../support/forward_fixture.h"

enum { T = 7, V = 33 };

static const int32_t A[T] = {0, 32, 15, 11, 7, 19, 2};
static const int32_t M[T] = {0, 20, 15, 11, 7, 19, 2};
static const int32_t K[T] = {0, 15, 32, 11, 7, 19, 2};

static void check_esm(const struct fixture *f, const int32_t *ids, const double row1[3],
                      const double row0[3], const int argmax[T])
{
    float *logits = fixture_logits(f, ids, T, NULL);
    const float got1[3] = {logits[V + 20], logits[V + 4], logits[V + 5]};
    check_all(got1, row1, 3, 3e-6, "logits of token 1");
    check_all(logits, row0, 3, 3e-6, "logits of token 0");
    for (size_t t = 0; t < T; t++) {
        int best = 0;
        for (int i = 1; i < V; i++)
            best = logits[t * V + (size_t)i] > logits[t * V + (size_t)best] ? i : best;
        cr_assert(best == argmax[t], "token %zu: %d, not %d", t, best, argmax[t]);
    }
    sx_free(logits);
}

Test(forward, esm2_logits)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    check_esm(&f, A, (double[]){1.32413954, -1.07028045, -0.89643912},
              (double[]){0.798418, -2.232964, 2.221930}, (int[]){16, 27, 11, 16, 16, 16, 17});
    check_esm(&f, M, (double[]){-0.06803359, -1.89778824, -1.43178867},
              (double[]){2.930020, -2.187648, 0.240832}, (int[]){8, 27, 11, 16, 16, 16, 17});
    check_esm(&f, K, (double[]){-1.49112486, 2.40963836, -0.57406267},
              (double[]){0.923630, -2.215885, 2.190155}, (int[]){16, 11, 6, 16, 19, 16, 17});
    fixture_close(&f);
}

Test(forward, esm2_with_half_precision_frequencies)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    struct fixture f = fixture_open(&m, &(struct tiny_options){.half_inv_freq = true}, 2);
    float *logits = fixture_logits(&f, A, T, NULL);
    CHECK_CLOSE(logits[V + 20], 1.324131, 1.5e-6);
    CHECK_CLOSE(logits[V + 4], -1.070293, 1.5e-6);
    CHECK_CLOSE(logits[V + 5], -0.896453, 1.5e-6);
    sx_free(logits);
    fixture_close(&f);
    tiny_release(&m);
}

Test(forward, esm2_inside)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    float *attn = fixture_capture(&f, A, T, SX_POINT_ATTN, NULL); /* [2,2,T,T] */
    check_all(attn + T,
              (double[]){0.144323, 0.128832, 0.228125, 0.141481, 0.122075, 0.099966, 0.135199}, T,
              1e-6, "attention of layer 0, head 0");
    check_all(attn + 3 * T * T + T,
              (double[]){0.075227, 0.202891, 0.018219, 0.321660, 0.162614, 0.200752, 0.018637}, T,
              1e-6, "attention of layer 1, head 1");
    float *resid = fixture_capture(&f, A, T, SX_POINT_RESID_POST, NULL); /* [2,T,16] */
    check_all(resid + 16, (double[]){0.170176, -0.794246, 0.461839, 1.262625}, 4, 2e-6,
              "residual after the first layer");
    float *final = fixture_capture(&f, A, T, SX_POINT_FINAL_LN, NULL);
    check_all(final + 16, (double[]){-0.854136, -1.063094, -0.426933}, 3, 2e-6, "final.ln");
    /* A mask enters as zero: its query in layer 0 is a constant of the weights. */
    float *q = fixture_capture(&f, A, T, SX_POINT_Q, NULL); /* [2,T,2,8] */
    check_all(q + 16,
              (double[]){0.417445, -0.126680, 0.006048, -0.342729, -0.485876, -0.259732, 0.058232,
                         -0.151656},
              8, 1e-6, "query of a mask");
    sx_free(attn);
    sx_free(resid);
    sx_free(final);
    sx_free(q);
    fixture_close(&f);
}

Test(forward, esm2_contacts)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    float map[25];
    CHECK_OK(sx_model_contacts(f.runner, A, T, map, NULL, err));
    check_all(map, (double[]){0.451432, 0.521377, 0.485389, 0.517831, 0.476366}, 5, 1e-6,
              "contacts");
    CHECK_OK(sx_model_contacts(f.runner, M, T, map, NULL, err));
    check_all(map, (double[]){0.520952, 0.476020, 0.493926, 0.513713, 0.447822}, 5, 1e-6,
              "contacts");
    fixture_close(&f);
}

/* Alone, padded to seven tokens, and padded in a batch. */
Test(forward, esm2_padding)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    const int32_t ids[T] = {0, 20, 15, 2, 1, 1, 1};
    float *alone = fixture_logits(&f, ids, 4, NULL);
    float *padded = fixture_logits(&f, ids, T, NULL);
    CHECK_CLOSE(alone[V + 20], -1.54203503, 2e-6);
    CHECK_CLOSE(alone[V + 4], -3.24002110, 2e-6);
    CHECK_CLOSE(padded[V + 20], -1.54203503, 2e-6);
    CHECK_CLOSE(padded[V + 4], -3.24002110, 2e-6);
    float both[2 * T * V];
    const struct sx_sequence sequences[2] = {{.ids = M, .n = T, .embed_scale = NAN, .n_rows = T},
                                             {.ids = ids, .n = T, .embed_scale = NAN, .n_rows = T}};
    const struct sx_pass pass = {.sequences = sequences, .n_sequences = 2, .logits = both};
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    cr_assert(memcmp(both + T * V, padded, sizeof both / 2) == 0);
    sx_free(alone);
    sx_free(padded);
    fixture_close(&f);
}

Test(forward, gpt_neox)
{
    enum { N = 6, VOCAB = 40 };
    struct fixture f = fixture_golden(tiny_neox_shape);
    const int32_t ids[N] = {3, 17, 5, 39, 0, 8};
    const int argmax[N] = {39, 35, 1, 35, 31, 39};
    float *attn = fixture_capture(&f, ids, N, SX_POINT_ATTN, NULL); /* [2,2,N,N] */
    check_all(attn + 3 * N, (double[]){0.377515, 0.542608, 0.064081, 0.015796, 0, 0}, N, 1e-6,
              "attention of layer 0");
    check_all(attn + 2 * N * N + 3 * N, (double[]){0.223418, 0.229708, 0.240279, 0.306596, 0, 0}, N,
              1e-6, "attention of layer 1");
    float *logits = fixture_logits(&f, ids, N, NULL);
    check_all(logits + 5 * VOCAB, (double[]){1.787853, -1.349828, -0.802327, -0.555955}, 4, 3e-6,
              "logits of token 5");
    check_all(logits, (double[]){0.852784, 0.700345, 0.951746}, 3, 3e-6, "logits of token 0");
    for (size_t t = 0; t < N; t++) {
        int best = 0;
        for (int i = 1; i < VOCAB; i++)
            best = logits[t * VOCAB + (size_t)i] > logits[t * VOCAB + (size_t)best] ? i : best;
        cr_assert(best == argmax[t], "token %zu: %d, not %d", t, best, argmax[t]);
    }
    sx_free(attn);
    sx_free(logits);
    fixture_close(&f);
}
