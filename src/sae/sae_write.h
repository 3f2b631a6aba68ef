/* Private to src/sae: what the writers of the library forms share. */
#ifndef SX_SAE_WRITE_H
#define SX_SAE_WRITE_H

#include "checkpoint.h"
#include "sextant/base/status.h"
#include "sextant/base/value.h"
#include "sextant/io/tensor_write.h"
#include "sextant/sae/sae.h"

enum { SX_MAX_OUT = 12 };

/* Tensors to be written, with the copies that had to be made. */
struct sx_bundle {
    const struct sx_sae *sae;
    struct sx_tensor_out out[SX_MAX_OUT];
    size_t n;
    float *owned[SX_MAX_OUT];
    size_t n_owned;
};

void sx_bundle_release(struct sx_bundle *b);
/* `data` is borrowed until the file is written. */
void sx_bundle_add(struct sx_bundle *b, const char *name, enum sx_dtype dtype, int rank,
                   uint64_t rows, uint64_t columns, const void *data);
void sx_bundle_add_slot(struct sx_bundle *b, const char *name, enum sx_slot slot);
/* The other way round: [F,D] is written as [D,F]. */
enum sx_status sx_bundle_add_transposed(struct sx_bundle *b, const char *name, enum sx_slot slot,
                                        struct sx_error *err) SX_MUST_CHECK;
/* A copy of one number for every latent. */
enum sx_status sx_bundle_add_constant(struct sx_bundle *b, const char *name, float value,
                                      struct sx_error *err) SX_MUST_CHECK;

/* "PATH: FORM cannot hold this SAE exactly: WHY". */
enum sx_status sx_write_refuse(const struct sx_sae *sae, const char *form, const char *why,
                               struct sx_error *err);
/* Top k without a relu is written as top k, marked, with a word in the log: the library applies a
 * relu on top, which changes rows with fewer than k positive pre-activations only. */
void sx_warn_signed(const char *form, const char *path);
/* With b_dec zero it makes no difference whether it is subtracted from the input. */
bool sx_pre_matters(const struct sx_sae *sae);
bool sx_is_batch(const struct sx_sae_info *info);
enum sx_status sx_write_json(const char *folder, const char *name, const struct sx_value *v,
                             struct sx_error *err) SX_MUST_CHECK;

/* Set a key of a configuration: null, or left out, when the value is not known. */
void sx_set_int(struct sx_value *map, const char *key, int64_t value);
void sx_set_real(struct sx_value *map, const char *key, double value);
void sx_set_string(struct sx_value *map, const char *key, const char *value);

#endif
