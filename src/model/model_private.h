/* Private to src/model: how a checkpoint becomes a model.
 *
 *   source  the files: configuration and open tensor file
 *   family  a table of tensor names and shapes, how the configuration is read, how tensors become
 *           weights; one each for Hugging Face's ESM-2, fair-esm and GPT-NeoX
 *   plan    what was found where; made from headers alone, so that a probe stops here
 *   bind    tensors become struct sx_model_weights: mapped where the file allows it
 */
#ifndef SX_MODEL_PRIVATE_H
#define SX_MODEL_PRIVATE_H

#include <stdatomic.h>

#include "sextant/base/value.h"
#include "sextant/io/tensor_file.h"
#include "sextant/model/model.h"

enum model_slot {
    SLOT_EMBED,
    SLOT_LN1_GAMMA,
    SLOT_LN1_BETA,
    SLOT_Q_W,
    SLOT_Q_B,
    SLOT_K_W,
    SLOT_K_B,
    SLOT_V_W,
    SLOT_V_B,
    SLOT_QKV_W, /* GPT-NeoX: interleaved by head */
    SLOT_QKV_B,
    SLOT_ATTN_OUT_W,
    SLOT_ATTN_OUT_B,
    SLOT_LN2_GAMMA,
    SLOT_LN2_BETA,
    SLOT_UP_W,
    SLOT_UP_B,
    SLOT_DOWN_W,
    SLOT_DOWN_B,
    SLOT_INV_FREQ,
    SLOT_FINAL_GAMMA,
    SLOT_FINAL_BETA,
    SLOT_HEAD_DENSE_W,
    SLOT_HEAD_DENSE_B,
    SLOT_HEAD_GAMMA,
    SLOT_HEAD_BETA,
    SLOT_HEAD_BIAS,
    SLOT_UNEMBED,
    SLOT_CONTACT_W,
    SLOT_CONTACT_B,
    SLOT_COUNT
};

enum model_need {
    NEED_ALWAYS,
    NEED_HEAD,     /* with the other tensors of the language model's head, or none of them */
    NEED_CONTACT,  /* the same for the contact head */
    NEED_BIAS,     /* iff the configuration says attention_bias */
    NEED_LAYERS,   /* in every layer or in none */
    NEED_OPTIONAL, /* may be absent */
};

enum { MODEL_MAX_NAMES = 3, MODEL_MAX_PREFIXES = 4, MODEL_MAX_LAYERS = 4096 };

/* One row of a family's table. In names "@" stands for the prefix of the body, "#" for that of the
 * head, and "*" for the layer's number. */
struct model_spec {
    enum model_slot slot;
    enum model_need need;
    const char *shape; /* letters: V D F, T = 3D, R bands, C = L*H, 1 */
    const char *names[MODEL_MAX_NAMES];
};

struct model_source {
    char *path;        /* what the user should name to load it again */
    char *config_path; /* NULL: there is no config.json of a transformer */
    char *weights;     /* the tensor file, or the index of a sharded one */
    char *folder;      /* where the weights lie */
    struct sx_value *config;
    struct sx_tensor_file *tensors;
    struct sx_tensor_file *contacts; /* fair-esm: NAME-contact-regression.pt, or NULL */
};

struct model_place {
    const struct sx_tensor_file *file; /* NULL: absent */
    size_t index;
};

struct model_plan {
    const struct model_family *family;
    struct model_place once[SLOT_COUNT];
    struct model_place (*layers)[SLOT_COUNT]; /* [n_layers], owned */
    bool *used;                               /* tensors of the source's main file; owned */
    bool attention_bias;
    bool tied; /* GPT-NeoX: the output embedding is the input's */
    enum sx_activation activation;
};

struct model_family {
    enum sx_model_family id;
    enum sx_model_format format;
    const struct model_spec *specs;
    size_t n_specs;
    const char *body[MODEL_MAX_PREFIXES]; /* NULL: no more; tried in order */
    const char *head[MODEL_MAX_PREFIXES]; /* parallel to body */
    const char *layer_stem;               /* "encoder.layer." */
    const char *const *ignored;           /* endings of names that mean nothing here; NULL ends */
    /* Fill sizes and settings of info and plan. */
    enum sx_status (*configure)(const struct model_source *source, struct sx_model_info *info,
                                struct model_plan *plan, struct sx_error *err);
    /* Fill layers, heads and frequencies of a model whose info is complete. */
    enum sx_status (*bind)(struct sx_model *model, const struct model_plan *plan,
                           const struct sx_model_options *options, struct sx_error *err);
};

extern const struct model_family sx_model_family_esm2;
extern const struct model_family sx_model_family_fair_esm;
extern const struct model_family sx_model_family_gpt_neox;

struct sx_model {
    atomic_uint refs;
    struct sx_model_info info;
    struct sx_model_weights weights;
    struct sx_layer *layers; /* [n_layers] */
    float *frequencies;      /* [n_bands] */
    struct sx_tensor_file *tensors, *contacts;
    struct sx_tokenizer *tokenizer;
    void **owned; /* copies that weights point at */
    size_t n_owned, owned_capacity;
    _Atomic(char *) fingerprint;
};

/* --- model_source.c --------------------------------------------------------------------------- */

/* SX_ERR_NOTFOUND: nothing here says that it is a transformer. */
enum sx_status sx_model_source_open(const char *path, struct model_source *source,
                                    struct sx_error *err) SX_MUST_CHECK;
void sx_model_source_close(struct model_source *source);
/* A short label; the caller frees. */
char *sx_model_source_name(const struct model_source *source);
/* "FOLDER/NAME", owned by the caller, when that is a file; else NULL. */
char *sx_model_source_file(const struct model_source *source, const char *name);
uint64_t sx_model_source_bytes(const struct model_source *source);

/* --- model_config.c --------------------------------------------------------------------------- */

/* Values of config.json; null is as good as missing. A wrong kind is an error that names file, key,
 * expected and found. */
enum sx_status sx_config_count(const struct model_source *source, const char *key,
                               uint64_t fallback, uint64_t most, uint64_t *out,
                               struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_config_bool(const struct model_source *source, const char *key, bool fallback,
                              bool *out, struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_config_real(const struct model_source *source, const char *dotted_key,
                              double fallback, double *out, struct sx_error *err) SX_MUST_CHECK;
/* Sizes that both families have; `defaults` in the order layers, d_model, heads, d_mlp. */
enum sx_status sx_config_sizes(const struct model_source *source, const uint64_t defaults[4],
                               struct sx_model_info *info, struct sx_error *err) SX_MUST_CHECK;
/* *rotated: the share of a head that is rotated. Scaled rotary embeddings are refused. */
enum sx_status sx_config_rope(const struct model_source *source, double fallback_share,
                              struct sx_model_info *info, double *rotated,
                              struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_config_eps(const struct model_source *source, double fallback,
                             struct sx_model_info *info, struct sx_error *err) SX_MUST_CHECK;
/* Sizes are whole, positive and fit together. `where`: the file that says them. */
enum sx_status sx_model_check_sizes(const struct sx_model_info *info, const char *where,
                                    struct sx_error *err) SX_MUST_CHECK;

/* --- model_tensors.c -------------------------------------------------------------------------- */

/* The tensor of a slot without looking at its shape; file NULL when there is none. Two forms of one
 * tensor are an error. */
enum sx_status sx_model_find(const struct model_source *source, const struct model_family *family,
                             enum model_slot slot, uint64_t layer, struct model_place *place,
                             struct sx_error *err) SX_MUST_CHECK;
/* Find every tensor of the family's table and check its shape and type. */
enum sx_status sx_model_resolve(const struct model_source *source, struct sx_model_info *info,
                                struct model_plan *plan, struct sx_error *err) SX_MUST_CHECK;
void sx_model_plan_release(struct model_plan *plan);
/* Sizes from the tensors alone, for ESM-2 files that come without a configuration. */
enum sx_status sx_model_infer(const struct model_source *source, const struct model_family *family,
                              struct sx_model_info *info, struct sx_error *err) SX_MUST_CHECK;

/* A copy in float32, owned by the model; NULL where the tensor is absent. */
enum sx_status sx_model_bind_vector(struct sx_model *model, const struct model_place *place,
                                    const float **out, struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_model_bind_norm(struct sx_model *model, const struct model_place *gamma,
                                  const struct model_place *beta, struct sx_norm *norm,
                                  struct sx_error *err) SX_MUST_CHECK;
/* The stored elements where they can be mapped, else a copy in float32. */
enum sx_status sx_model_bind_weight(struct sx_model *model, const struct model_place *place,
                                    const struct model_place *bias, struct sx_weight *weight,
                                    struct sx_error *err) SX_MUST_CHECK;
/* count*size bytes that the model frees; NULL: no memory. */
void *sx_model_alloc(struct sx_model *model, size_t count, size_t size);
/* weight = what `from` points at, with its own widened copy. */
void sx_model_share_weight(struct sx_weight *weight, const struct sx_weight *from);

/* The stored rotary frequencies of all layers: positive, decreasing, the same everywhere. */
enum sx_status sx_model_stored_frequencies(const struct model_plan *plan,
                                           const struct sx_model_info *info, float *out,
                                           struct sx_error *err) SX_MUST_CHECK;
/* theta^(-2b/rotated), in float32 as upstream code. */
float sx_model_frequency(const struct sx_model_info *info, uint64_t band);

/* --- model.c ---------------------------------------------------------------------------------- */

void sx_model_warn(struct sx_model_info *info, const char *fmt, ...) SX_PRINTF(2, 3);

#endif
