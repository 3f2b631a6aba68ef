/* Transformers read from files of other libraries: ESM-2 (Lin et al. 2023) and GPT-NeoX / Pythia
 * (Biderman et al. 2023). Opening reads configuration and headers and maps the weights; a layer's
 * weights are touched when a pass first needs them. A model is immutable after opening, is shared
 * by reference counting and may be used from any thread. */
#ifndef SEXTANT_MODEL_MODEL_H
#define SEXTANT_MODEL_MODEL_H

#include "sextant/base/status.h"
#include "sextant/core/nn.h"
#include "sextant/model/types.h"

struct sx_model;
struct sx_tokenizer;

/* Is this path (a folder, a config.json, a weight file) a transformer that we read? Cheap: headers
 * only. SX_ERR_NOTFOUND: it is something else; SX_ERR_UNSUPPORTED: a transformer that is refused,
 * with the reason (another family, absolute positions, ESMFold, …). Fill info; release it. */
enum sx_status sx_model_probe(const char *path, struct sx_model_info *info,
                              struct sx_error *err) SX_MUST_CHECK;
void sx_model_info_release(struct sx_model_info *info);

struct sx_model_options {
    bool rope_exact;  /* computed frequencies are not rounded to half precision (ESM-2), and stored
                         ones are not used */
    bool rope_stored; /* GPT-NeoX: use the stored inv_freq (upstream recomputes them) */
};

/* options may be NULL. Every tensor's shape is checked against the configuration; errors name file,
 * tensor, expected and found. */
enum sx_status sx_model_open(const char *path, const struct sx_model_options *options,
                             struct sx_model **model, struct sx_error *err) SX_MUST_CHECK;
struct sx_model *sx_model_ref(struct sx_model *model);
void sx_model_unref(struct sx_model *model); /* NULL is fine */

const struct sx_model_info *sx_model_info(const struct sx_model *model);
/* Of the model's folder; NULL when it has none. Lives as long as the model. */
const struct sx_tokenizer *sx_model_tokenizer(const struct sx_model *model);
/* Rotary frequencies [n_bands], radians a token; the period of band b is 2 pi / frequency. */
const float *sx_model_frequencies(const struct sx_model *model);
/* 32 hex digits over names, shapes and bytes of all weights, the frequencies and the settings that
 * change outputs; reads everything once, then kept. */
enum sx_status sx_model_fingerprint(struct sx_model *model, char out[33],
                                    struct sx_error *err) SX_MUST_CHECK;

/* --- weights, for the forward pass and for circuit analysis -------------------------------------
 * y = x W^T + b with W [out,in] row-major. `stored` is the file's own element type, mapped where
 * the file allows; float32 is made of it when first asked for and kept. */
struct sx_weight {
    enum sx_storage storage;
    const void *stored; /* [out,in] contiguous */
    size_t out, in;
    const float *bias;     /* [out] or NULL */
    _Atomic(float *) wide; /* made by sx_weight_f32 when storage is not F32 */
};
/* [out,in] as float32. Thread-safe; NULL only when there is no memory for it. */
const float *sx_weight_f32(const struct sx_weight *weight);

struct sx_norm { /* LayerNorm; gamma and beta [D] */
    const float *gamma, *beta;
};

struct sx_layer {
    struct sx_norm ln1, ln2;
    /* Separate also for GPT-NeoX, whose file interleaves them by head (they are copied when the
     * model is opened): head h owns the rows [h*d, (h+1)*d) of each. */
    struct sx_weight q, k, v;
    struct sx_weight attn_out; /* [D,D] */
    struct sx_weight up, down; /* [F,D], [D,F] */
};

struct sx_model_weights {
    struct sx_weight embed; /* [V,D] */
    const struct sx_layer *layers;
    struct sx_norm final_ln;
    /* ESM-2: logits = LN_h(gelu(f Wd^T + bd)) E^T + bias; GPT-NeoX: f unembed^T. */
    struct sx_weight head_dense; /* ESM-2 */
    struct sx_norm head_ln;      /* ESM-2 */
    struct sx_weight unembed;    /* [V,D]; ESM-2: the embedding, or a decoder.weight that differs */
    const float *contact_weight; /* [L*H], channel l*H + h, or NULL */
    float contact_bias;
    float eps;
    enum sx_activation activation;
};
const struct sx_model_weights *sx_model_weights(const struct sx_model *model);

#endif
