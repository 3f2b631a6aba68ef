/* Private to src/sae: what the readers of the library families share.
 *
 * Adding a library: one file checkpoint_<name>.c with `claims` and `describe`, one line in the
 * table of checkpoint.c. `describe` fills the info and says where each canonical tensor lies;
 * reading the weights is common code. */
#ifndef SX_SAE_CHECKPOINT_H
#define SX_SAE_CHECKPOINT_H

#include "sextant/base/status.h"
#include "sextant/base/value.h"
#include "sextant/io/tensor_file.h"
#include "sextant/sae/sae.h"

enum sx_slot {
    SX_SLOT_W_ENC,
    SX_SLOT_W_DEC,
    SX_SLOT_B_ENC,
    SX_SLOT_B_DEC,
    SX_SLOT_THRESHOLD,
    SX_SLOT_B_GATE,
    SX_SLOT_B_MAG,
    SX_SLOT_R_MAG,
    SX_SLOT_W_SKIP,
    SX_SLOT_RESCALE,
    SX_N_SLOTS,
};

/* Canonical names, as in *.sae.h5 and `sextant compare`. */
const char *sx_slot_name(enum sx_slot slot);
/* Canonical shape for an SAE of D inputs and F latents; returns the rank. */
int sx_slot_shape(enum sx_slot slot, uint64_t d, uint64_t f, uint64_t shape[2]);
const float **sx_slot_of(struct sx_sae *sae, enum sx_slot slot);
const float *sx_slot_get(const struct sx_sae *sae, enum sx_slot slot);
bool sx_sae_is_finite(const struct sx_sae *sae);
/* SX_ERR_IO: the mapped file became shorter, and weights that were read since may be NaN. */
enum sx_status sx_sae_check_whole(const struct sx_sae *sae, struct sx_error *err) SX_MUST_CHECK;

/* Where each canonical tensor lies in the file; tensor -1: absent. `transposed`: stored the other
 * way round, [D,F]. */
struct sx_sae_layout {
    struct {
        int64_t tensor;
        bool transposed;
    } slot[SX_N_SLOTS];
};

/* A tensor file that may be an SAE, with the JSON that stands beside it. */
struct sx_sae_source {
    char *path;   /* as the user named it: a file or a folder */
    char *file;   /* the tensor file */
    char *folder; /* where it lies */
    struct sx_tensor_file *tensors;
    struct sx_value *config;      /* cfg.json or config.json beside it, or NULL */
    char *config_path;            /* NULL: there is none */
    struct sx_error config_error; /* why config is NULL although there is a config_path */
};

struct sx_sae_reader {
    enum sx_sae_format format;
    bool (*claims)(const struct sx_sae_source *source);
    /* Fill info (activation_dim and dict_size are set by the caller from W_enc) and layout (all
     * slots absent on entry). */
    enum sx_status (*describe)(const struct sx_sae_source *source, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err);
};

extern const struct sx_sae_reader sx_sae_reader_sextant;
extern const struct sx_sae_reader sx_sae_reader_mnist_pickle;
extern const struct sx_sae_reader sx_sae_reader_saelens;
extern const struct sx_sae_reader sx_sae_reader_sparsify;
extern const struct sx_sae_reader sx_sae_reader_interplm;
extern const struct sx_sae_reader sx_sae_reader_dictionary_learning;
extern const struct sx_sae_reader sx_sae_reader_gemma_scope;
extern const struct sx_sae_reader sx_sae_reader_plain;

/* --- helpers for readers ---------------------------------------------------------------------- */

bool sx_source_has(const struct sx_sae_source *source, const char *name);
/* Index of tensor prefix+name, or -1. */
int64_t sx_source_find(const struct sx_sae_source *source, const char *prefix, const char *name);
/* Put tensor prefix+name into a slot; false when there is no such tensor. */
bool sx_layout_place(struct sx_sae_layout *layout, const struct sx_sae_source *source,
                     enum sx_slot slot, const char *prefix, const char *name, bool transposed);
/* First element of a tensor as a number; NAN when absent, not a number or unreadable. */
double sx_source_scalar(const struct sx_sae_source *source, const char *prefix, const char *name);
/* A matryoshka's group_sizes. */
enum sx_status sx_source_groups(const struct sx_sae_source *source, const char *prefix,
                                const char *name, struct sx_sae_info *info, struct sx_error *err);
/* True when every element of a small tensor equals `value`. */
enum sx_status sx_source_all_equal(const struct sx_sae_source *source, int64_t tensor, float value,
                                   bool *equal, struct sx_error *err);

void sx_info_warn(struct sx_sae_info *info, const char *fmt, ...) SX_PRINTF(2, 3);
/* Replace an owned string of the info by a sanitised copy; NULL or "" leaves it as it is. */
void sx_info_set(char **field, const char *text);
/* trainer.{seed,k,layer,lm_name,submodule_name,l1_w,l2_w,l1_penalty,…} of a configuration in
 * dictionary_learning's form; unknown keys are ignored, null ones mean not known. */
void sx_info_from_trainer(struct sx_sae_info *info, const struct sx_value *trainer);
/* Penalty and its coefficient; a coefficient of 0 is no penalty. */
void sx_info_set_penalty(struct sx_sae_info *info, enum sx_penalty penalty, double lambda);
/* The number behind the last `word` of a path ("layer_" in "a/layer_12/x"), or -1. */
int64_t sx_path_number(const char *path, const char *word);
/* Last component of a path, without the trailing slashes; the caller frees. */
char *sx_path_base(const char *path);
char *sx_path_dir(const char *path);

#endif
