/* ESM-2 as fair-esm distributes it: NAME.pt with `cfg` (sizes) and `model` (a state dict), and
 * NAME-contact-regression.pt beside it. */
#include <string.h>

#include "model_esm2.h"
#include "model_private.h"

#define LAYER "@layers.*."
static const struct model_spec specs[] = {
    {SLOT_EMBED, NEED_ALWAYS, "VD", {"@embed_tokens.weight"}},
    {SLOT_LN1_GAMMA, NEED_ALWAYS, "D", {LAYER "self_attn_layer_norm.weight"}},
    {SLOT_LN1_BETA, NEED_ALWAYS, "D", {LAYER "self_attn_layer_norm.bias"}},
    {SLOT_Q_W, NEED_ALWAYS, "DD", {LAYER "self_attn.q_proj.weight"}},
    {SLOT_Q_B, NEED_ALWAYS, "D", {LAYER "self_attn.q_proj.bias"}},
    {SLOT_K_W, NEED_ALWAYS, "DD", {LAYER "self_attn.k_proj.weight"}},
    {SLOT_K_B, NEED_ALWAYS, "D", {LAYER "self_attn.k_proj.bias"}},
    {SLOT_V_W, NEED_ALWAYS, "DD", {LAYER "self_attn.v_proj.weight"}},
    {SLOT_V_B, NEED_ALWAYS, "D", {LAYER "self_attn.v_proj.bias"}},
    {SLOT_ATTN_OUT_W, NEED_ALWAYS, "DD", {LAYER "self_attn.out_proj.weight"}},
    {SLOT_ATTN_OUT_B, NEED_ALWAYS, "D", {LAYER "self_attn.out_proj.bias"}},
    {SLOT_LN2_GAMMA, NEED_ALWAYS, "D", {LAYER "final_layer_norm.weight"}},
    {SLOT_LN2_BETA, NEED_ALWAYS, "D", {LAYER "final_layer_norm.bias"}},
    {SLOT_UP_W, NEED_ALWAYS, "FD", {LAYER "fc1.weight"}},
    {SLOT_UP_B, NEED_ALWAYS, "F", {LAYER "fc1.bias"}},
    {SLOT_DOWN_W, NEED_ALWAYS, "DF", {LAYER "fc2.weight"}},
    {SLOT_DOWN_B, NEED_ALWAYS, "D", {LAYER "fc2.bias"}},
    {SLOT_INV_FREQ, NEED_LAYERS, "R", {LAYER "self_attn.rot_emb.inv_freq"}},
    {SLOT_FINAL_GAMMA, NEED_ALWAYS, "D", {"@emb_layer_norm_after.weight"}},
    {SLOT_FINAL_BETA, NEED_ALWAYS, "D", {"@emb_layer_norm_after.bias"}},
    {SLOT_HEAD_DENSE_W, NEED_HEAD, "DD", {"#lm_head.dense.weight"}},
    {SLOT_HEAD_DENSE_B, NEED_HEAD, "D", {"#lm_head.dense.bias"}},
    {SLOT_HEAD_GAMMA, NEED_HEAD, "D", {"#lm_head.layer_norm.weight"}},
    {SLOT_HEAD_BETA, NEED_HEAD, "D", {"#lm_head.layer_norm.bias"}},
    {SLOT_HEAD_BIAS, NEED_HEAD, "V", {"#lm_head.bias"}},
    {SLOT_UNEMBED, NEED_OPTIONAL, "VD", {"#lm_head.weight"}},
    {SLOT_CONTACT_W,
     NEED_CONTACT,
     "1C",
     {"@contact_head.regression.weight", "#contact_head.regression.weight"}},
    {SLOT_CONTACT_B,
     NEED_CONTACT,
     "1",
     {"@contact_head.regression.bias", "#contact_head.regression.bias"}},
};
#undef LAYER

static const char *const ignored[] = {NULL};

static enum sx_status cfg_count(const struct model_source *s, const struct sx_value *cfg,
                                const char *key, uint64_t most, uint64_t *out, struct sx_error *err)
{
    const struct sx_value *v = sx_value_get(cfg, key);
    int64_t i = sx_value_int_or(v, -1);
    if (i < 1 || (uint64_t)i > most)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: cfg.model.%s: expected a number from 1 to %llu, "
                       "found %s",
                       s->weights, key, (unsigned long long)most,
                       i < 1 ? sx_value_kind_name(sx_value_kind(v)) : "a larger one");
    *out = (uint64_t)i;
    return SX_OK;
}

/* The width of the MLP is not in cfg. */
static enum sx_status take_mlp(const struct model_source *s, struct sx_model_info *info,
                               struct sx_error *err)
{
    struct model_place place;
    SX_TRY(sx_model_find(s, &sx_model_family_fair_esm, SLOT_UP_W, 0, &place, err));
    const struct sx_tensor_info *t =
        place.file ? sx_tensor_file_info(place.file, place.index) : NULL;
    info->d_mlp = t && t->rank == 2 && t->shape[0] > 0 ? t->shape[0] : 4 * info->d_model;
    return SX_OK;
}

static enum sx_status configure(const struct model_source *s, struct sx_model_info *info,
                                struct model_plan *plan, struct sx_error *err)
{
    const struct sx_value *extra = sx_tensor_file_extra(s->tensors);
    const struct sx_value *cfg = sx_value_at(extra, "cfg.model");
    struct model_place embed;
    (void)plan;
    info->layer_norm_eps = 1e-5;
    info->rope_theta = 10000;
    info->token_dropout = true;
    info->max_positions = SX_ESM2_POSITIONS;
    if (!cfg) {
        SX_TRY(sx_model_infer(s, &sx_model_family_fair_esm, info, err));
        sx_model_warn(info, "no cfg in the file: sizes are those of the tensors");
        return sx_esm2_check(s->weights, info, err);
    }
    SX_TRY(cfg_count(s, cfg, "encoder_layers", MODEL_MAX_LAYERS, &info->n_layers, err));
    SX_TRY(cfg_count(s, cfg, "encoder_embed_dim", 1U << 20, &info->d_model, err));
    SX_TRY(cfg_count(s, cfg, "encoder_attention_heads", 1U << 16, &info->n_heads, err));
    info->token_dropout = sx_value_bool_or(sx_value_get(cfg, "token_dropout"), true);
    SX_TRY(sx_model_check_sizes(info, s->weights, err));
    SX_TRY(take_mlp(s, info, err));
    SX_TRY(sx_model_find(s, &sx_model_family_fair_esm, SLOT_EMBED, 0, &embed, err));
    const struct sx_tensor_info *t =
        embed.file ? sx_tensor_file_info(embed.file, embed.index) : NULL;
    info->vocab = t && t->rank == 2 ? t->shape[0] : 0;
    return sx_esm2_check(s->weights, info, err);
}

const struct model_family sx_model_family_fair_esm = {
    .id = SX_MODEL_ESM2,
    .format = SX_MODEL_FAIR_ESM,
    .specs = specs,
    .n_specs = sizeof specs / sizeof *specs,
    .body = {"model.encoder.sentence_encoder.", "model.", "encoder.sentence_encoder.", ""},
    .head = {"model.encoder.", "model.", "encoder.", ""},
    .layer_stem = "layers.",
    .ignored = ignored,
    .configure = configure,
    .bind = sx_esm2_bind,
};
