/* sparsify: cfg.json and sae.safetensors, both weights by latent. */
#include "arch.h"
#include "sae_write.h"
#include "sextant/base/alloc.h"
#include "sextant/io/folder.h"

static const char *sparsify_refusal(const struct sx_sae *sae)
{
    const struct sx_sae_info *info = &sae->info;
    bool topk = info->arch == SX_ARCH_TOPK || info->arch == SX_ARCH_GROUPMAX ||
                (sx_is_batch(info) && !sx_sae_threshold_measured(info));
    if (!topk)
        return "it knows topk and groupmax only";
    if (info->k < 1)
        return "its topk needs k, which this SAE's file does not say";
    if (info->scale_by_decoder_norm)
        return "it does not scale latents by the decoder's norms";
    if (info->norm != SX_NORM_NONE && info->norm != SX_NORM_EXPECTED_AVERAGE)
        return "it does not normalise inputs";
    if (!info->subtract_b_dec && sx_pre_matters(sae))
        return "it always subtracts b_dec from the input";
    return NULL;
}

static struct sx_value *sparsify_config(const struct sx_sae *sae, bool unit)
{
    const struct sx_sae_info *info = &sae->info;
    struct sx_value *v = sx_value_map();
    sx_value_set(v, "activation",
                 sx_value_string(info->arch == SX_ARCH_GROUPMAX ? "groupmax" : "topk"));
    sx_value_set(v, "expansion_factor",
                 sx_value_int((int64_t)(info->dict_size / info->activation_dim)));
    sx_value_set(v, "normalize_decoder", sx_value_bool(unit));
    sx_value_set(v, "num_latents", sx_value_int((int64_t)info->dict_size));
    sx_value_set(v, "k", sx_value_int(info->k));
    if (info->signed_topk) /* a key of its early versions */
        sx_value_set(v, "signed", sx_value_bool(true));
    sx_value_set(v, "multi_topk", sx_value_bool(false));
    sx_value_set(v, "skip_connection", sx_value_bool(sae->W_skip != NULL));
    sx_value_set(v, "transcode", sx_value_bool(false));
    sx_value_set(v, "d_in", sx_value_int((int64_t)info->activation_dim));
    return v;
}

enum sx_status sx_sae_write_sparsify(const struct sx_sae *sae, const char *folder,
                                     struct sx_error *err)
{
    const char *why = sparsify_refusal(sae);
    if (why)
        return sx_write_refuse(sae, "sparsify", why, err);
    struct sx_sae_stats stats;
    SX_TRY(sx_sae_measure(sae, &stats, err));
    if (sae->info.signed_topk)
        sx_warn_signed("sparsify", folder);
    SX_TRY(sx_folder_make(folder, err));
    struct sx_bundle b = {.sae = sae};
    sx_bundle_add_slot(&b, "encoder.weight", SX_SLOT_W_ENC);
    sx_bundle_add_slot(&b, "encoder.bias", SX_SLOT_B_ENC);
    sx_bundle_add_slot(&b, "W_dec", SX_SLOT_W_DEC);
    sx_bundle_add_slot(&b, "b_dec", SX_SLOT_B_DEC);
    if (sae->W_skip)
        sx_bundle_add_slot(&b, "W_skip", SX_SLOT_W_SKIP);
    char *path = sx_xasprintf("%s/sae.safetensors", folder);
    enum sx_status status = sx_safetensors_write(path, b.out, b.n, NULL, err);
    if (status == SX_OK) {
        struct sx_value *config =
            sparsify_config(sae, stats.decoder_constraint == SX_CONSTRAINT_RENORM);
        status = sx_write_json(folder, "cfg.json", config, err);
        sx_value_free(config);
    }
    sx_free(path);
    sx_bundle_release(&b);
    return status;
}
