/* InterPLM (ae.pt, ae_normalized.pt): dictionary_learning's classes with two keys more,
 * activation_rescale_factor [F] (each latent's maximum: shown, never applied unasked) and
 * normalize_to_sqrt_d (x is scaled to norm sqrt(D) first). A folder layer_N names the layer. */
#include <math.h>
#include <string.h>

#include "checkpoint.h"

static bool claims(const struct sx_sae_source *s)
{
    return sx_tensor_file_container(s->tensors) == SX_CONTAINER_TORCH_ZIP &&
           sx_source_has(s, "encoder.weight") && sx_source_has(s, "decoder.weight") &&
           (sx_source_has(s, "activation_rescale_factor") ||
            sx_source_has(s, "normalize_to_sqrt_d"));
}

static void describe_keys(const struct sx_sae_source *s, struct sx_sae_info *info,
                          struct sx_sae_layout *layout)
{
    int64_t threshold = sx_source_find(s, "", "threshold");
    bool per_latent =
        threshold >= 0 && sx_tensor_file_info(s->tensors, (size_t)threshold)->rank == 1;
    if (per_latent) {
        info->arch = SX_ARCH_JUMPRELU;
        sx_layout_place(layout, s, SX_SLOT_THRESHOLD, "", "threshold", false);
        sx_layout_place(layout, s, SX_SLOT_B_DEC, "", "decoder.bias", false);
        sx_info_set(&info->library_class, "JumpReLUSAE");
    } else if (sx_layout_place(layout, s, SX_SLOT_B_DEC, "", "b_dec", false)) {
        const char *name = sx_value_string_or(sx_value_at(s->config, "trainer.dict_class"), NULL);
        bool batch = name && strstr(name, "BatchTopK");
        info->arch = batch ? SX_ARCH_BATCHTOPK : SX_ARCH_TOPK;
        info->subtract_b_dec = true;
        info->threshold = sx_source_scalar(s, "", "threshold");
        double k = sx_source_scalar(s, "", "k");
        info->k = k >= 0 && k < 2147483648.0 ? (int64_t)k : -1;
        sx_info_set(&info->library_class, batch ? "BatchTopKSAE" : "TopKSAE");
        if (!name)
            sx_info_warn(info, "the keys fit TopKSAE and BatchTopKSAE alike: read as top k");
    } else if (sx_layout_place(layout, s, SX_SLOT_B_DEC, "", "bias", false)) {
        info->arch = SX_ARCH_RELU;
        info->subtract_b_dec = true;
        sx_info_set(&info->library_class, "ReLUSAE");
    } else {
        info->arch = SX_ARCH_RELU;
        sx_layout_place(layout, s, SX_SLOT_B_DEC, "", "decoder.bias", false);
        sx_info_set(&info->library_class, "ReLUSAE_Tied");
    }
}

static enum sx_status describe(const struct sx_sae_source *s, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err)
{
    sx_info_from_trainer(info, sx_value_get(s->config, "trainer"));
    info->k = -1;
    sx_layout_place(layout, s, SX_SLOT_W_ENC, "", "encoder.weight", false);
    sx_layout_place(layout, s, SX_SLOT_B_ENC, "", "encoder.bias", false);
    sx_layout_place(layout, s, SX_SLOT_W_DEC, "", "decoder.weight", true);
    describe_keys(s, info, layout);
    if (sx_source_scalar(s, "", "normalize_to_sqrt_d") > 0)
        info->norm = SX_NORM_SQRT_D;
    int64_t layer = sx_path_number(s->file, "layer_");
    if (info->layer < 0)
        info->layer = layer;
    if (sx_layout_place(layout, s, SX_SLOT_RESCALE, "", "activation_rescale_factor", false)) {
        bool ones = true;
        SX_TRY(sx_source_all_equal(s, layout->slot[SX_SLOT_RESCALE].tensor, 1, &ones, err));
        if (!ones)
            sx_info_warn(info, "activation_rescale_factor holds each latent's maximum; it is "
                               "shown, latents are not divided by it");
    }
    return SX_OK;
}

const struct sx_sae_reader sx_sae_reader_interplm = {
    .format = SX_SAE_INTERPLM,
    .claims = claims,
    .describe = describe,
};
