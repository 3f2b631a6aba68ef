/* Gemma Scope: params.npz with W_enc [D,F], W_dec [F,D], b_enc, b_dec and threshold [F]; jumprelu
 * on the input as it is. The folder names tell layer and width. Later releases write w_enc. */
#include "checkpoint.h"

static bool claims(const struct sx_sae_source *s)
{
    return sx_tensor_file_container(s->tensors) == SX_CONTAINER_NPZ &&
           (sx_source_has(s, "W_enc") || sx_source_has(s, "w_enc")) &&
           sx_source_has(s, "threshold");
}

static enum sx_status describe(const struct sx_sae_source *s, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err)
{
    (void)err;
    info->arch = SX_ARCH_JUMPRELU;
    if (!sx_layout_place(layout, s, SX_SLOT_W_ENC, "", "W_enc", true))
        sx_layout_place(layout, s, SX_SLOT_W_ENC, "", "w_enc", true);
    if (!sx_layout_place(layout, s, SX_SLOT_W_DEC, "", "W_dec", false))
        sx_layout_place(layout, s, SX_SLOT_W_DEC, "", "w_dec", false);
    sx_layout_place(layout, s, SX_SLOT_B_ENC, "", "b_enc", false);
    sx_layout_place(layout, s, SX_SLOT_B_DEC, "", "b_dec", false);
    sx_layout_place(layout, s, SX_SLOT_THRESHOLD, "", "threshold", false);
    info->layer = sx_path_number(s->file, "layer_");
    sx_info_set(&info->library_class, "jumprelu");
    return SX_OK;
}

const struct sx_sae_reader sx_sae_reader_gemma_scope = {
    .format = SX_SAE_GEMMA_SCOPE,
    .claims = claims,
    .describe = describe,
};
