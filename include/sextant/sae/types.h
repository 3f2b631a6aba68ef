/* Plain data about sparse autoencoders. No functions, so that views may include it.
 *
 * Letters: D input dimension (activation_dim), F dictionary size (dict_size, latents), B rows.
 * Canonical form of every SAE: pre is what is subtracted from x before the encoder,
 *   z = W_enc (x - pre) + b_enc,   a = activation(z),   out = sum_j a_j W_dec[j] + b_dec
 * with W_enc and W_dec stored by latent, [F,D], row-major. */
#ifndef SEXTANT_SAE_TYPES_H
#define SEXTANT_SAE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sx_sae_format {
    SX_SAE_SEXTANT,             /* *.sae.h5 */
    SX_SAE_DICTIONARY_LEARNING, /* ae.pt + config.json */
    SX_SAE_MNIST_PICKLE,        /* whole pickled module of Jedryszek & Crook */
    SX_SAE_SAELENS,             /* cfg.json + sae_weights.safetensors */
    SX_SAE_SPARSIFY,            /* cfg.json + sae.safetensors */
    SX_SAE_INTERPLM,            /* ae.pt / ae_normalized.pt */
    SX_SAE_GEMMA_SCOPE,         /* params.npz */
    SX_SAE_PLAIN,               /* a lone tensor file with recognisable keys */
};

enum sx_sae_arch {
    SX_ARCH_RELU,
    SX_ARCH_TOPK,      /* relu, then the k largest of a row */
    SX_ARCH_BATCHTOPK, /* inference: relu(z) where it exceeds the threshold; topk if not measured */
    SX_ARCH_MATRYOSHKA, /* batchtopk over nested groups */
    SX_ARCH_JUMPRELU,   /* relu(z) where z > threshold[j] */
    SX_ARCH_GATED,      /* gate z + b_gate > 0; value relu(exp(r_mag) z + b_mag) */
    SX_ARCH_GROUPMAX,   /* relu, then the largest of each of k groups of F/k consecutive latents */
    SX_ARCH_SIGMOID,    /* 1/(1+exp(-z)): every latent is on; a classical autoencoder */
};

/* How the writing library scales its input, and whether the output is scaled back. */
enum sx_sae_norm {
    SX_NORM_NONE,
    SX_NORM_EXPECTED_AVERAGE, /* a dataset scalar that the file does not hold: applied as 1, warned
                               */
    SX_NORM_CONSTANT_NORM,    /* x * sqrt(D)/||x||, output divided by it */
    SX_NORM_LAYER,            /* (x-mean)/(std+1e-5), std unbiased over D; output * std + mean */
    SX_NORM_SQRT_D, /* InterPLM's normalize_to_sqrt_d; output scaled back (its unnormalize=True) */
    SX_NORM_DIVIDE, /* x / norm_factor, output * norm_factor: dictionary_learning's backups */
};

enum sx_penalty { SX_PENALTY_NONE, SX_PENALTY_L1, SX_PENALTY_L2, SX_PENALTY_L2_UNSQUARED };

/* Decoder constraint as configured in training, or as measured on the weights. */
enum sx_constraint {
    SX_CONSTRAINT_UNKNOWN,
    SX_CONSTRAINT_NONE,
    SX_CONSTRAINT_RENORM,         /* unit rows */
    SX_CONSTRAINT_RENORM_PROJECT, /* unit rows, gradient projected (cannot be told from weights) */
};

enum { SX_MAX_TENSORS_SHOWN = 64, SX_MAX_SAE_WARNINGS = 16 };

struct sx_tensor_row { /* one line of the inspector */
    char name[96];
    char dtype[8];
    int rank;
    uint64_t shape[8];
    uint64_t strides[8]; /* elements, as stored */
    bool contiguous;
};

/* How training ended, as our own files tell it; of the last step's batch. Foreign files do not. */
struct sx_sae_training {
    uint64_t steps; /* 0: not known, and nothing below is */
    double epochs;  /* passes over the data */
    double mse;     /* mean (x̂ - x)^2 */
    double l0;      /* mean count of active latents */
    double dead;    /* latents that had not fired for an epoch (dead_after of the configuration) */
    double alignment; /* mean cos(W_enc[j], W_dec[j]) */
};

/* What the headers say; cheap, no weight is read. Unknown numbers are NAN or -1. */
struct sx_sae_info {
    char *path; /* owned: the file or folder the user names to load this SAE again */
    char *file; /* owned: the tensor file */
    char *name; /* owned: short label, e.g. "T_l2_1e-05_s0" */
    enum sx_sae_format format;
    enum sx_sae_arch arch;
    uint64_t activation_dim; /* D */
    uint64_t dict_size;      /* F */
    int64_t k;               /* -1: not a top-k architecture */
    int64_t seed;            /* -1: not known */
    enum sx_penalty penalty;
    bool penalty_known;
    double lambda;        /* weight penalty coefficient; NAN: not known */
    double l1_activation; /* activation L1 coefficient; NAN: not known */
    double threshold;     /* scalar threshold of batchtopk; NAN: per latent or none */
    int64_t layer;        /* -1: not known */
    char *hook;           /* owned or NULL: submodule / hook point name */
    char *model;          /* owned or NULL: the host model's name */
    char *library_class;  /* owned or NULL: "AutoEncoderTopK", "jumprelu", … as the file says */
    enum sx_sae_norm norm;
    double norm_factor; /* NAN: not known. Backups of dictionary_learning divide x by it */
    enum sx_constraint constraint; /* as configured in training; UNKNOWN: the file does not say */
    char *variant;                 /* owned or NULL: training switches that no other field holds */
    bool subtract_b_dec;           /* pre = b_dec, else 0 */
    bool signed_topk;              /* the k largest of z itself, no relu before */
    bool sigmoid_out;              /* the output passes a sigmoid too */
    bool scale_by_decoder_norm;    /* SAELens topk: act on z*||W_dec||, decoder divides again */
    bool is_backup;                /* an interrupted run's file (key `ae`) */
    bool has_bias;                 /* false: the MNIST U arm has no biases at all */
    uint64_t image_width, image_height; /* 0: not image data; MNIST: 28 x 28 */
    uint64_t group_sizes[16];           /* matryoshka: widths of successive groups, sum F */
    size_t n_groups;
    struct sx_sae_training training;
    uint64_t bytes; /* size on disk of the tensor file */
    struct sx_tensor_row tensors[SX_MAX_TENSORS_SHOWN];
    size_t n_tensors;
    char *warnings[SX_MAX_SAE_WARNINGS]; /* owned */
    size_t n_warnings;
};

/* What the weights say; computed once an SAE is loaded. Units: the weights' own. */
struct sx_sae_stats {
    double enc_norm_mean, enc_norm_min, enc_norm_max;
    double dec_norm_mean, dec_norm_min, dec_norm_max;
    double dec_norm_deviation; /* max |(||W_dec[j]||) - 1| over rows that are not zero */
    enum sx_constraint decoder_constraint;              /* measured */
    double align_mean, align_median;                    /* cos(W_enc[j], W_dec[j]), signed */
    double align_over_05, align_over_07, align_over_09; /* fractions of F */
    uint64_t align_over_095;                            /* count */
    uint64_t dead_exact; /* latents with an exactly zero encoder or decoder row */
    uint64_t dead_tiny;  /* the same with norm < 1e-12 */
    char fingerprint[33];
};

#endif
