/* Plain data about SAEs matched across seeds (metrics of Jedryszek & Crook 2026; the shared-latent
 * criterion is that of Paulo & Belrose 2025). No functions, so that views may include it.
 *
 * Letters: F latents of a model (F_a, F_b of a pair), D input dimension, P pairs of models. Arrays
 * over latents are always indexed by latent, also when only alive latents were compared; then the
 * others hold -1 or NAN. Similarity is the absolute cosine, in [0,1]. */
#ifndef SEXTANT_SAE_MATCH_TYPES_H
#define SEXTANT_SAE_MATCH_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sx_match_input { /* one model; borrowed */
    const float *W_enc; /* [F,D] by latent */
    const float *W_dec; /* [F,D] by latent */
    size_t F, D;
    const char *name; /* for messages; may be NULL */
};

struct sx_match_options {
    double alive_cut;   /* also compare latents with alignment > cut alone; NAN: do not */
    bool orthogonality; /* also measure each decoder's orthogonality */
};

struct sx_align_stats { /* of cos(W_enc[j], W_dec[j]), signed, 0 for a zero row */
    double mean, median, over_05, over_07, over_09; /* over_*: fractions, strict */
    uint64_t over_095;                              /* count */
};

struct sx_dead_counts {
    uint64_t enc_exact, dec_exact, either_exact; /* norm exactly zero */
    uint64_t enc_tiny, dec_tiny, either_tiny;    /* norm < 1e-12 */
};

/* The Gram matrix of unit decoder rows, off the diagonal. Quantiles are read off a histogram of
 * 2^20 bins, so to 1e-6. NAN with fewer than two rows. */
struct sx_orthogonality {
    uint64_t rows;
    double abs_mean, abs_max, abs_median, abs_p90, abs_p99;
    double signed_mean, signed_std; /* population */
    double frobenius;               /* of Gram - I */
};

struct sx_match_model {
    char *name; /* owned */
    size_t F, D;
    size_t n_alive; /* alignment > the set's cut; F without a cut */
    float *align;   /* [F], owned */
    struct sx_align_stats alignment;
    struct sx_dead_counts dead;
    struct sx_orthogonality orthogonality, orthogonality_alive; /* rows 0: not measured */
};

struct sx_match_proof { /* see sextant/core/assignment.h */
    double primal, dual, gap, max_violation;
};

struct sx_match_pair {
    size_t a, b;     /* models, a < b */
    size_t F_a, F_b; /* their latents */
    size_t n_a, n_b; /* latents compared: all, or the alive ones */
    /* a's latents, [F_a], owned. Partners are latents of b by exact assignment, encoder and decoder
     * apart; -1: none. */
    int32_t *partner_enc, *partner_dec;
    float *sim_enc, *sim_dec; /* to the partner; NAN without one */
    float *max_enc,
        *max_dec;       /* to the most similar latent of b, partner or not; NAN: not compared */
    int32_t *runner_up; /* most similar decoder beside the partner's; -1: none */
    float *margin;      /* sim_dec - similarity of the runner-up; negative: the partner is not
                         * the most similar; NAN without a partner */
    /* b's latents, [F_b], owned. */
    int32_t *back_enc, *back_dec; /* the inverse of partner_* */
    float *back_max_enc, *back_max_dec;
    int32_t *back_runner_up;
    float *back_margin;
    double mmcs_enc, mmcs_dec, mmcs; /* mean maximum cosine, both directions; mmcs: mean of the two;
                                        NAN when nothing was compared */
    struct sx_match_proof proof_enc, proof_dec;
};

/* Everything that needed the matrices. Pairs come as (0,1), (0,2), …, (1,2), …. */
struct sx_match_set {
    size_t n_models, n_pairs;
    struct sx_match_model *models; /* [n_models], owned */
    struct sx_match_pair *pairs;   /* [P], owned */
    double alive_cut;              /* NAN: no alive pairs */
    struct sx_match_pair *alive;   /* [P], owned: alive latents only; NULL without a cut */
};

/* What follows from a set and a threshold tau; comparisons with tau are strict. */
struct sx_match_fractions {
    size_t n_a, n_b, n_shared;
    double mmcs, mmcs_enc, mmcs_dec;
    double paired;     /* of n_a: max_dec > tau */
    double shared;     /* of min(n_a,n_b): the same partner under both, both similarities > tau */
    double shared_enc; /* of min(n_a,n_b): sim_enc > tau */
    double shared_dec;
    double shared_compat; /* as the paper's code, which compares the two assignments by position */
};

/* How the shared latents of several seeds are counted. */
enum sx_counter {
    SX_COUNTER_ANCHORED, /* latent of the anchor is shared with every other seed */
    SX_COUNTER_CLIQUE,   /* … and its partners are shared with each other */
    SX_COUNTER_PAPER,    /* index i is shared in every pair, whatever index i means in its first
                            model: the paper's code, kept to compare with it */
};
enum { SX_N_COUNTERS = 3 };

enum sx_basis { SX_BASIS_BOTH, SX_BASIS_ENC, SX_BASIS_DEC }; /* which assignments must agree */
enum { SX_N_BASES = 3 };

enum sx_category {
    SX_CATEGORY_ALWAYS,
    SX_CATEGORY_SOMETIMES,
    SX_CATEGORY_NEVER,
    SX_CATEGORY_NOT_COUNTED = 255, /* not alive */
};

struct sx_match_counts {
    size_t always, sometimes, never;
};

struct sx_match_summary {
    double tau;
    bool alive; /* of the alive pairs */
    size_t n_pairs;
    struct sx_match_fractions *pairs; /* [P], owned */
    struct sx_match_fractions mean;   /* over pairs; counts are rounded down */
    double mmcs_std;                  /* population, over pairs */
    struct sx_match_counts counts[SX_N_COUNTERS][SX_N_BASES]; /* anchor: model 0 */
};

/* The fractions as functions of tau. */
struct sx_match_survival {
    size_t n_pairs, n_tau;
    double *tau;                                       /* [n_tau], owned, 0 … 1 */
    double *shared, *shared_enc, *shared_dec, *paired; /* [P+1,n_tau], owned; row P: mean */
};

/* One latent of one model as seen from another. */
struct sx_match_view {
    int32_t partner_enc, partner_dec; /* -1: none */
    float sim_enc, sim_dec;           /* NAN without a partner */
    int32_t runner_up;                /* decoder; -1: none */
    float margin;                     /* decoder; NAN without a partner */
    bool shared;                      /* both name the same partner, both above tau */
};

enum sx_core_selection { SX_CORE_ALL, SX_CORE_TOP, SX_CORE_RANDOM, SX_CORE_WITHOUT_TOP };
enum { SX_N_CORE_SELECTIONS = 4 };

struct sx_box { /* of a box plot: quartiles by linear interpolation, whiskers 1.5 IQR */
    double mean, median, q1, q3, whisker_lo, whisker_hi;
};

/* Reconstruction from parts of the dictionary. */
struct sx_core_test {
    size_t rows, n;                   /* inputs; latents in the core */
    uint32_t *top, *random;           /* [n], owned: latents, by falling |alignment|; as drawn */
    float *mse[SX_N_CORE_SELECTIONS]; /* [rows], owned: mean over D of (out - x)^2 */
    struct sx_box box[SX_N_CORE_SELECTIONS];
};

#endif
