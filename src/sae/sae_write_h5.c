/* Our own *.sae.h5: canonical tensors by name, everything else in root attributes. */
#include "sae_write.h"
#include "sextant/io/h5.h"

static struct sx_value *h5_attributes(const struct sx_sae_info *info)
{
    struct sx_value *v = sx_value_map();
    sx_value_set(v, "sextant_file", sx_value_string("sae"));
    sx_value_set(v, "format_version", sx_value_int(1));
    sx_value_set(v, "code_version", sx_value_string(SX_VERSION));
    sx_value_set(v, "arch", sx_value_string(sx_sae_arch_name(info->arch)));
    sx_value_set(v, "activation_dim", sx_value_int((int64_t)info->activation_dim));
    sx_value_set(v, "dict_size", sx_value_int((int64_t)info->dict_size));
    if (info->k >= 0)
        sx_value_set(v, "k", sx_value_int(info->k));
    if (info->seed >= 0)
        sx_value_set(v, "seed", sx_value_int(info->seed));
    if (info->layer >= 0)
        sx_value_set(v, "layer", sx_value_int(info->layer));
    if (info->penalty_known)
        sx_value_set(v, "penalty", sx_value_string(sx_penalty_name(info->penalty)));
    sx_set_real(v, "lambda", info->lambda);
    sx_set_real(v, "l1_activation", info->l1_activation);
    sx_set_real(v, "threshold", info->threshold);
    sx_set_real(v, "norm_factor", info->norm_factor);
    if (info->constraint != SX_CONSTRAINT_UNKNOWN)
        sx_value_set(v, "constraint", sx_value_string(sx_constraint_name(info->constraint)));
    sx_value_set(v, "normalization", sx_value_string(sx_sae_norm_name(info->norm)));
    sx_value_set(v, "subtract_b_dec", sx_value_bool(info->subtract_b_dec));
    sx_value_set(v, "scale_by_decoder_norm", sx_value_bool(info->scale_by_decoder_norm));
    sx_value_set(v, "signed_topk", sx_value_bool(info->signed_topk));
    sx_value_set(v, "sigmoid_out", sx_value_bool(info->sigmoid_out));
    sx_value_set(v, "backup", sx_value_bool(info->is_backup));
    sx_value_set(v, "has_bias", sx_value_bool(info->has_bias));
    if (info->image_width > 0) {
        sx_value_set(v, "image_width", sx_value_int((int64_t)info->image_width));
        sx_value_set(v, "image_height", sx_value_int((int64_t)info->image_height));
    }
    if (info->training.steps > 0) {
        sx_value_set(v, "train.steps", sx_value_int((int64_t)info->training.steps));
        sx_set_real(v, "train.epochs", info->training.epochs);
        sx_set_real(v, "train.mse", info->training.mse);
        sx_set_real(v, "train.l0", info->training.l0);
        sx_set_real(v, "train.dead", info->training.dead);
        sx_set_real(v, "train.alignment", info->training.alignment);
    }
    sx_set_string(v, "name", info->name);
    sx_set_string(v, "hook", info->hook);
    sx_set_string(v, "model", info->model);
    sx_set_string(v, "variant", info->variant);
    sx_set_string(v, "library_class", info->library_class);
    if (info->path && info->format != SX_SAE_SEXTANT) {
        sx_value_set(v, "converted_from", sx_value_string(info->path));
        sx_value_set(v, "converted_format", sx_value_string(sx_sae_format_name(info->format)));
    }
    return v;
}

static enum sx_status h5_slot(struct sx_h5 *h5, const struct sx_sae *sae, enum sx_slot slot,
                              struct sx_error *err)
{
    static const char *const meaning[SX_N_SLOTS] = {
        [SX_SLOT_W_ENC] = "encoder vectors, one row a latent",
        [SX_SLOT_W_DEC] = "decoder vectors, one row a latent",
        [SX_SLOT_B_ENC] = "encoder bias",
        [SX_SLOT_B_DEC] = "decoder bias",
        [SX_SLOT_THRESHOLD] = "jumprelu threshold on the pre-activation",
        [SX_SLOT_B_GATE] = "bias of the gate",
        [SX_SLOT_B_MAG] = "bias of the magnitude",
        [SX_SLOT_R_MAG] = "log scale of the magnitude",
        [SX_SLOT_W_SKIP] = "skip connection, output by input",
        [SX_SLOT_RESCALE] = "each latent's maximum; not applied",
    };
    const float *data = sx_slot_get(sae, slot);
    if (!data)
        return SX_OK;
    uint64_t shape[2] = {1, 1};
    int rank = sx_slot_shape(slot, sae->info.activation_dim, sae->info.dict_size, shape);
    const char *name = sx_slot_name(slot);
    SX_TRY(sx_h5_write(h5, name, SX_DTYPE_F32, rank, shape, data, 0, err));
    bool square = slot == SX_SLOT_W_SKIP, latent = slot != SX_SLOT_B_DEC;
    struct sx_value *notes = sx_value_map();
    sx_value_set(notes, "shape",
                 sx_value_string(square      ? "D,D"
                                 : rank == 2 ? "F,D"
                                 : latent    ? "F"
                                             : "D"));
    sx_value_set(notes, "meaning", sx_value_string(meaning[slot]));
    enum sx_status status = sx_h5_write_attributes(h5, name, notes, err);
    sx_value_free(notes);
    return status;
}

enum sx_status sx_sae_write_h5(const struct sx_sae *sae, const char *path,
                               const struct sx_value *extra, struct sx_error *err)
{
    const struct sx_sae_info *info = &sae->info;
    struct sx_h5 *h5 = NULL;
    SX_TRY(sx_h5_create(path, &h5, err));
    enum sx_status status = SX_OK;
    for (int i = 0; i < SX_N_SLOTS && status == SX_OK; i++)
        status = h5_slot(h5, sae, (enum sx_slot)i, err);
    if (info->n_groups > 0 && status == SX_OK) {
        uint64_t n = info->n_groups;
        status = sx_h5_write(h5, "group_sizes", SX_DTYPE_U64, 1, &n, info->group_sizes, 0, err);
    }
    struct sx_value *attributes = h5_attributes(info);
    for (size_t i = 0; i < sx_value_count(extra); i++)
        sx_value_set(attributes, sx_value_key(extra, i), sx_value_dup(sx_value_item(extra, i)));
    if (status == SX_OK)
        status = sx_h5_write_attributes(h5, "/", attributes, err);
    sx_value_free(attributes);
    if (status == SX_OK)
        return sx_h5_commit(h5, err);
    sx_h5_close(h5);
    return status;
}
