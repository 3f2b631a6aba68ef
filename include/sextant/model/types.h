/* Plain data about transformers. No functions, so that views may include it.
 *
 * Letters: T tokens, L layers, H heads, D d_model (residual stream), d d_head, F d_mlp, V
 * vocabulary. Positions are 0-based token indices; a residue number is 1-based (ESM-2: residue i at
 * token i). */
#ifndef SEXTANT_MODEL_TYPES_H
#define SEXTANT_MODEL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sx_model_family { SX_MODEL_ESM2, SX_MODEL_GPT_NEOX };

enum sx_model_format {
    SX_MODEL_HUGGING_FACE, /* folder with config.json and safetensors or .bin, whole or sharded */
    SX_MODEL_FAIR_ESM,     /* NAME.pt with cfg and model (and NAME-contact-regression.pt) */
};

enum { SX_MAX_MODEL_WARNINGS = 16, SX_MAX_BANDS = 64 };

/* What config and headers say; no weight is read. */
struct sx_model_info {
    char *path; /* owned: what the user names to load this model again */
    char *name; /* owned: short label, e.g. "esm2_t6_8M_UR50D" */
    enum sx_model_family family;
    enum sx_model_format format;
    char dtype[8]; /* of the stored weights: "F32", "F16", "BF16", "F64" */
    uint64_t n_layers, d_model, n_heads, d_head, d_mlp, vocab;
    uint64_t n_bands;       /* rotary bands: pairs of rotated dimensions of a head */
    uint64_t max_positions; /* tokens of the longest input that training saw, as far as the
                               configuration says; longer input is warned of; 0: not said */
    double layer_norm_eps;
    bool token_dropout;      /* ESM-2: masked rows are zero, all rows rescaled */
    bool parallel_residual;  /* GPT-NeoX: attention and MLP read the same residual */
    bool has_lm_head;        /* false: no logits */
    bool has_contact_head;   /* ESM-2 */
    bool has_tokenizer;      /* ESM-2's is built in; GPT-NeoX needs tokenizer.json */
    bool stored_frequencies; /* ESM-2: inv_freq comes from the file; else computed and rounded */
    double rope_theta;
    uint64_t parameters;                   /* that the forward pass uses */
    uint64_t bytes;                        /* of the weight files */
    char *warnings[SX_MAX_MODEL_WARNINGS]; /* owned */
    size_t n_warnings;
};

/* Points of the forward pass where activations can be captured and changed. Shapes are per
 * sequence and layer. Names are those of `sextant run --capture`. */
enum sx_point {
    SX_POINT_RESID_PRE,     /* resid.pre    [T,D]   residual stream entering the layer */
    SX_POINT_ATTN_LN,       /* attn.ln      [T,D]   */
    SX_POINT_Q,             /* q            [T,H,d] before rotation, without 1/sqrt(d) */
    SX_POINT_K,             /* k            [T,H,d] */
    SX_POINT_V,             /* v            [T,H,d] */
    SX_POINT_Q_ROT,         /* q.rot        [T,H,d] after rotation, without 1/sqrt(d) */
    SX_POINT_K_ROT,         /* k.rot        [T,H,d] */
    SX_POINT_SCORES,        /* scores       [H,T,T] scaled, before the softmax; forbidden: -inf */
    SX_POINT_ATTN,          /* attn         [H,T,T] after the softmax */
    SX_POINT_CTX,           /* ctx          [T,H,d] attn-weighted values */
    SX_POINT_HEAD_OUT,      /* head_out     [T,H,D] ctx_h Wo_h^T; capture only; made on demand */
    SX_POINT_ATTN_OUT,      /* attn_out     [T,D]   Σ_h head_out + bias */
    SX_POINT_RESID_MID,     /* resid.mid    [T,D]   resid.pre + attn_out */
    SX_POINT_MLP_LN,        /* mlp.ln       [T,D]   */
    SX_POINT_MLP_PRE,       /* mlp.pre      [T,F]   */
    SX_POINT_MLP_POST,      /* mlp.post     [T,F]   */
    SX_POINT_MLP_OUT,       /* mlp_out      [T,D]   */
    SX_POINT_RESID_POST,    /* resid.post   [T,D]   */
    SX_POINT_ATTN_LN_SIGMA, /* attn.ln.sigma  [T]   capture only, like all sigmas */
    SX_POINT_MLP_LN_SIGMA,  /* mlp.ln.sigma   [T]   */
    /* Once per run. ESM-2's head is dense, gelu, LayerNorm, tied embedding; GPT-NeoX's is linear.
     */
    SX_POINT_FINAL_LN,       /* final.ln     [T,D]   */
    SX_POINT_FINAL_LN_SIGMA, /* final.ln.sigma [T]   */
    SX_POINT_HEAD_DENSE,     /* head.dense   [T,D]   ESM-2 */
    SX_POINT_HEAD_GELU,      /* head.gelu    [T,D]   ESM-2 */
    SX_POINT_HEAD_LN,        /* head.ln      [T,D]   ESM-2 */
    SX_POINT_HEAD_LN_SIGMA,  /* head.ln.sigma [T]    ESM-2 */
    SX_POINT_LOGITS,         /* logits       [T,V]   */
    SX_POINT_COUNT
};

#endif
