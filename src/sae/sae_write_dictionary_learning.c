/* dictionary_learning: ae.pt, a state dict, and config.json. */
#include <math.h>
#include <string.h>

#include "sae_write.h"
#include "sextant/base/alloc.h"
#include "sextant/io/folder.h"

/* The class there, or NULL with the reason. */
static const char *dictionary_class(const struct sx_sae *sae, const char **why)
{
    const struct sx_sae_info *info = &sae->info;
    bool pre = info->subtract_b_dec || !sx_pre_matters(sae); /* pre = b_dec will do */
    bool raw = !info->subtract_b_dec || !sx_pre_matters(sae);
    *why = NULL;
    if (info->norm != SX_NORM_NONE && info->norm != SX_NORM_EXPECTED_AVERAGE)
        *why = "it does not normalise inputs";
    else if (info->scale_by_decoder_norm)
        *why = "it does not scale latents by the decoder's norms";
    else if (sae->W_skip)
        *why = "it has no skip connection";
    else if (info->signed_topk || info->sigmoid_out)
        *why = "it has no such activation";
    if (*why)
        return NULL;
    *why = "its class for this activation always subtracts b_dec from the input";
    switch (info->arch) {
    case SX_ARCH_RELU:
        return pre ? "AutoEncoder" : "AutoEncoderNew";
    case SX_ARCH_TOPK:
        return pre ? "AutoEncoderTopK" : NULL;
    case SX_ARCH_BATCHTOPK:
        return pre ? "BatchTopKSAE" : NULL;
    case SX_ARCH_MATRYOSHKA:
        return pre ? "MatryoshkaBatchTopKSAE" : NULL;
    case SX_ARCH_GATED:
        return pre ? "GatedAutoEncoder" : NULL;
    case SX_ARCH_JUMPRELU:
        *why = "its JumpReluAutoEncoder does not subtract b_dec from the input";
        return raw ? "JumpReluAutoEncoder" : NULL;
    default:
        *why = "it has no such activation";
        return NULL;
    }
}

/* Buffers of the classes that the bundle points to. */
struct buffers {
    int32_t k;
    float threshold;
    int64_t groups[16];
};

static void add_scalars(struct sx_bundle *b, struct buffers *buffers)
{
    const struct sx_sae_info *info = &b->sae->info;
    buffers->k = (int32_t)info->k;
    buffers->threshold = isnan(info->threshold) ? -1.0F : (float)info->threshold;
    sx_bundle_add(b, "k", SX_DTYPE_I32, 0, 1, 1, &buffers->k);
    sx_bundle_add(b, "threshold", SX_DTYPE_F32, 0, 1, 1, &buffers->threshold);
}

static enum sx_status dictionary_parameters(struct sx_bundle *b, struct buffers *buffers,
                                            struct sx_error *err)
{
    const struct sx_sae_info *info = &b->sae->info;
    SX_TRY(sx_bundle_add_transposed(b, "W_enc", SX_SLOT_W_ENC, err));
    sx_bundle_add_slot(b, "b_enc", SX_SLOT_B_ENC);
    sx_bundle_add_slot(b, "W_dec", SX_SLOT_W_DEC);
    sx_bundle_add_slot(b, "b_dec", SX_SLOT_B_DEC);
    if (info->arch == SX_ARCH_JUMPRELU) {
        sx_bundle_add_slot(b, "threshold", SX_SLOT_THRESHOLD);
        return SX_OK;
    }
    add_scalars(b, buffers);
    for (size_t g = 0; g < info->n_groups; g++)
        buffers->groups[g] = (int64_t)info->group_sizes[g];
    sx_bundle_add(b, "group_sizes", SX_DTYPE_I64, 1, info->n_groups, 1, buffers->groups);
    return SX_OK;
}

static enum sx_status dictionary_tensors(struct sx_bundle *b, const char *class_name,
                                         struct buffers *buffers, struct sx_error *err)
{
    enum sx_sae_arch arch = b->sae->info.arch;
    if (arch == SX_ARCH_JUMPRELU || arch == SX_ARCH_MATRYOSHKA)
        return dictionary_parameters(b, buffers, err);
    sx_bundle_add_slot(b, "encoder.weight", SX_SLOT_W_ENC);
    SX_TRY(sx_bundle_add_transposed(b, "decoder.weight", SX_SLOT_W_DEC, err));
    if (arch == SX_ARCH_GATED) {
        sx_bundle_add_slot(b, "decoder_bias", SX_SLOT_B_DEC);
        sx_bundle_add_slot(b, "gate_bias", SX_SLOT_B_GATE);
        sx_bundle_add_slot(b, "mag_bias", SX_SLOT_B_MAG);
        sx_bundle_add_slot(b, "r_mag", SX_SLOT_R_MAG);
        return SX_OK;
    }
    sx_bundle_add_slot(b, "encoder.bias", SX_SLOT_B_ENC);
    if (arch != SX_ARCH_RELU) {
        sx_bundle_add_slot(b, "b_dec", SX_SLOT_B_DEC);
        add_scalars(b, buffers);
    } else {
        bool plain = strcmp(class_name, "AutoEncoder") == 0;
        sx_bundle_add_slot(b, plain ? "bias" : "decoder.bias", SX_SLOT_B_DEC);
    }
    return SX_OK;
}

static struct sx_value *dictionary_config(const struct sx_sae_info *info, const char *class_name)
{
    struct sx_value *v = sx_value_map();
    struct sx_value *t = sx_value_set(v, "trainer", sx_value_map());
    sx_value_set(t, "dict_class", sx_value_string(class_name));
    sx_set_int(t, "seed", info->seed);
    sx_value_set(t, "activation_dim", sx_value_int((int64_t)info->activation_dim));
    sx_value_set(t, "dict_size", sx_value_int((int64_t)info->dict_size));
    if (info->k >= 0)
        sx_value_set(t, "k", sx_value_int(info->k));
    sx_set_int(t, "layer", info->layer);
    sx_value_set(t, "lm_name", sx_value_string(info->model));
    sx_value_set(t, "submodule_name", sx_value_string(info->hook));
    sx_set_real(t, "l1_penalty", info->l1_activation);
    if (info->penalty_known && !isnan(info->lambda) && info->penalty != SX_PENALTY_L2_UNSQUARED)
        sx_value_set(t, info->penalty == SX_PENALTY_L1 ? "l1_w" : "l2_w",
                     sx_value_real(info->lambda));
    if (info->n_groups > 0) {
        struct sx_value *groups = sx_value_set(t, "group_sizes", sx_value_list());
        for (size_t g = 0; g < info->n_groups; g++)
            sx_value_append(groups, sx_value_int((int64_t)info->group_sizes[g]));
    }
    sx_value_set(v, "converted_by", sx_value_string("sextant " SX_VERSION));
    return v;
}

enum sx_status sx_sae_write_dictionary_learning(const struct sx_sae *sae, const char *folder,
                                                struct sx_error *err)
{
    const char *why;
    const char *class_name = dictionary_class(sae, &why);
    if (!class_name)
        return sx_write_refuse(sae, "dictionary_learning", why, err);
    bool topk = sae->info.arch == SX_ARCH_TOPK || sx_is_batch(&sae->info);
    if (topk && sae->info.k < 1)
        return sx_write_refuse(sae, "dictionary_learning",
                               "its class needs k, which the file does not say", err);
    if (sae->info.arch == SX_ARCH_MATRYOSHKA && sae->info.n_groups == 0)
        return sx_write_refuse(sae, "dictionary_learning", "its class needs group sizes", err);
    SX_TRY(sx_folder_make(folder, err));
    struct sx_bundle b = {.sae = sae};
    struct buffers buffers;
    char *path = sx_xasprintf("%s/ae.pt", folder);
    enum sx_status status = dictionary_tensors(&b, class_name, &buffers, err);
    if (status == SX_OK)
        status = sx_torch_zip_write(path, b.out, b.n, err);
    if (status == SX_OK) {
        struct sx_value *config = dictionary_config(&sae->info, class_name);
        status = sx_write_json(folder, "config.json", config, err);
        sx_value_free(config);
    }
    sx_free(path);
    sx_bundle_release(&b);
    return status;
}
