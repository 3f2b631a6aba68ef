/* SAELens: cfg.json and sae_weights.safetensors. Batch top-k SAEs with a measured threshold become
 * jumprelu, as SAELens saves its own. */
#include <string.h>

#include "arch.h"
#include "sae_write.h"
#include "sextant/base/alloc.h"
#include "sextant/io/folder.h"

/* The architecture's name there, or NULL with the reason. */
static const char *saelens_arch(const struct sx_sae *sae, const char **why)
{
    const struct sx_sae_info *info = &sae->info;
    *why = NULL;
    if (info->norm == SX_NORM_DIVIDE)
        *why = "inputs are divided by a norm factor, which it has no place for";
    else if (sae->W_skip)
        *why = "it has a skip connection";
    else if (info->arch == SX_ARCH_SIGMOID || info->sigmoid_out)
        *why = "it has no sigmoid";
    else if (info->arch == SX_ARCH_GROUPMAX)
        *why = "it has no groupmax";
    if (*why)
        return NULL;
    switch (info->arch) {
    case SX_ARCH_TOPK:
        return "topk";
    case SX_ARCH_BATCHTOPK:
    case SX_ARCH_MATRYOSHKA: /* as SAELens saves its own; unmeasured: as it is applied here */
        return sx_sae_threshold_measured(info) ? "jumprelu" : "topk";
    case SX_ARCH_JUMPRELU:
        return "jumprelu";
    case SX_ARCH_GATED:
        return "gated";
    default:
        return "standard";
    }
}

static struct sx_value *saelens_metadata(const struct sx_sae_info *info)
{
    struct sx_value *m = sx_value_map();
    sx_value_set(m, "sae_lens_version", sx_value_string("6.0.0"));
    sx_value_set(m, "sae_lens_training_version", sx_value_null());
    sx_value_set(m, "model_name", sx_value_string(info->model));
    sx_value_set(m, "hook_name", sx_value_string(info->hook));
    if (info->layer >= 0)
        sx_value_set(m, "hook_layer", sx_value_int(info->layer));
    if (info->seed >= 0)
        sx_value_set(m, "seed", sx_value_int(info->seed));
    if (info->penalty_known)
        sx_value_set(m, "weight_penalty", sx_value_string(sx_penalty_name(info->penalty)));
    sx_set_real(m, "weight_penalty_lambda", info->lambda);
    sx_set_real(m, "l1_coefficient", info->l1_activation);
    if (sx_is_batch(info)) {
        bool nested = info->arch == SX_ARCH_MATRYOSHKA;
        sx_value_set(m, "training_architecture",
                     sx_value_string(nested ? "matryoshka_batchtopk" : "batchtopk"));
        struct sx_value *details = sx_value_set(m, "training_architecture_details", sx_value_map());
        sx_set_int(details, "k", info->k);
        uint64_t width = 0;
        struct sx_value *widths =
            nested ? sx_value_set(details, "matryoshka_widths", sx_value_list()) : NULL;
        for (size_t g = 0; g < info->n_groups && nested; g++) {
            width += info->group_sizes[g];
            sx_value_append(widths, sx_value_int((int64_t)width));
        }
    }
    if (info->signed_topk)
        sx_value_set(m, "signed_topk", sx_value_bool(true));
    sx_value_set(m, "converted_by", sx_value_string("sextant " SX_VERSION));
    return m;
}

static struct sx_value *saelens_config(const struct sx_sae_info *info, const char *arch)
{
    static const char *const norms[] = {
        [SX_NORM_NONE] = "none",
        [SX_NORM_EXPECTED_AVERAGE] = "expected_average_only_in",
        [SX_NORM_CONSTANT_NORM] = "constant_norm_rescale",
        [SX_NORM_LAYER] = "layer_norm",
        [SX_NORM_SQRT_D] = "constant_norm_rescale", /* the same function */
        [SX_NORM_DIVIDE] = NULL,
    };
    struct sx_value *v = sx_value_map();
    sx_value_set(v, "architecture", sx_value_string(arch));
    sx_value_set(v, "d_in", sx_value_int((int64_t)info->activation_dim));
    sx_value_set(v, "d_sae", sx_value_int((int64_t)info->dict_size));
    sx_value_set(v, "dtype", sx_value_string("float32"));
    sx_value_set(v, "device", sx_value_string("cpu"));
    sx_value_set(v, "apply_b_dec_to_input", sx_value_bool(info->subtract_b_dec));
    sx_value_set(v, "normalize_activations", sx_value_string(norms[info->norm]));
    sx_value_set(v, "reshape_activations", sx_value_string("none"));
    if (strcmp(arch, "topk") == 0) {
        sx_value_set(v, "k", sx_value_int(info->k));
        sx_value_set(v, "rescale_acts_by_decoder_norm", sx_value_bool(info->scale_by_decoder_norm));
    }
    sx_value_set(v, "metadata", saelens_metadata(info));
    return v;
}

static enum sx_status saelens_tensors(struct sx_bundle *b, const char *arch, struct sx_error *err)
{
    const struct sx_sae *sae = b->sae;
    SX_TRY(sx_bundle_add_transposed(b, "W_enc", SX_SLOT_W_ENC, err));
    sx_bundle_add_slot(b, "W_dec", SX_SLOT_W_DEC);
    sx_bundle_add_slot(b, "b_dec", SX_SLOT_B_DEC);
    if (strcmp(arch, "gated") == 0) {
        sx_bundle_add_slot(b, "b_gate", SX_SLOT_B_GATE);
        sx_bundle_add_slot(b, "b_mag", SX_SLOT_B_MAG);
        sx_bundle_add_slot(b, "r_mag", SX_SLOT_R_MAG);
        return SX_OK;
    }
    sx_bundle_add_slot(b, "b_enc", SX_SLOT_B_ENC);
    if (strcmp(arch, "jumprelu") != 0)
        return SX_OK;
    if (sae->threshold) {
        sx_bundle_add_slot(b, "threshold", SX_SLOT_THRESHOLD);
        return SX_OK;
    }
    return sx_bundle_add_constant(b, "threshold", (float)sae->info.threshold, err);
}

enum sx_status sx_sae_write_saelens(const struct sx_sae *sae, const char *folder,
                                    struct sx_error *err)
{
    const char *why;
    const char *arch = saelens_arch(sae, &why);
    if (!arch)
        return sx_write_refuse(sae, "SAELens", why, err);
    if (strcmp(arch, "topk") == 0 && sae->info.k < 1)
        return sx_write_refuse(sae, "SAELens",
                               "its topk needs k, which this SAE's file does not say", err);
    if (sae->info.signed_topk)
        sx_warn_signed("SAELens", folder);
    SX_TRY(sx_folder_make(folder, err));
    struct sx_bundle b = {.sae = sae};
    char *path = sx_xasprintf("%s/sae_weights.safetensors", folder);
    enum sx_status status = saelens_tensors(&b, arch, err);
    if (status == SX_OK)
        status = sx_safetensors_write(path, b.out, b.n, NULL, err);
    if (status == SX_OK) {
        struct sx_value *config = saelens_config(&sae->info, arch);
        status = sx_write_json(folder, "cfg.json", config, err);
        sx_value_free(config);
    }
    sx_free(path);
    sx_bundle_release(&b);
    return status;
}
