/* SAELens: cfg.json and sae_weights.safetensors, W_enc [D,F], W_dec [F,D]. Configurations of before
 * 6.0 name the activation in activation_fn(_str) and keep the hook at top level; later ones keep
 * it in `metadata`. What SAELens 6 does when it loads either form is done here. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "sextant/base/alloc.h"

static bool claims(const struct sx_sae_source *s)
{
    if (sx_tensor_file_container(s->tensors) != SX_CONTAINER_SAFETENSORS || !s->config_path)
        return false;
    char *name = sx_path_base(s->file);
    bool named = strcmp(name, "sae_weights.safetensors") == 0;
    sx_free(name);
    if (!s->config) /* a broken cfg.json: only the name is left to go by */
        return named;
    return sx_value_get(s->config, "d_in") &&
           (named || sx_value_get(s->config, "d_sae") || sx_value_get(s->config, "architecture"));
}

/* Top level first (old), then metadata (new). */
static const struct sx_value *setting(const struct sx_value *cfg, const char *key)
{
    const struct sx_value *v = sx_value_get(cfg, key);
    return sx_value_kind(v) != SX_VALUE_NULL ? v : sx_value_get(sx_value_get(cfg, "metadata"), key);
}

static const char *text(const struct sx_value *cfg, const char *key)
{
    return sx_value_string_or(setting(cfg, key), NULL);
}

static bool before_6(const struct sx_value *cfg)
{
    const char *version = text(cfg, "sae_lens_version");
    return !version || strtol(version, NULL, 10) < 6;
}

static enum sx_status read_normalisation(const struct sx_sae_source *s, struct sx_sae_info *info,
                                         struct sx_error *err)
{
    static const struct {
        const char *name;
        enum sx_sae_norm norm;
    } table[] = {
        {"none", SX_NORM_NONE},
        {"expected_average_only_in", SX_NORM_EXPECTED_AVERAGE},
        {"constant_norm_rescale", SX_NORM_CONSTANT_NORM},
        {"layer_norm", SX_NORM_LAYER},
    };
    const struct sx_value *v = sx_value_get(s->config, "normalize_activations");
    if (sx_value_kind(v) == SX_VALUE_NULL)
        return SX_OK;
    if (sx_value_kind(v) == SX_VALUE_BOOL) {
        info->norm = sx_value_bool_or(v, false) ? SX_NORM_EXPECTED_AVERAGE : SX_NORM_NONE;
        return SX_OK;
    }
    const char *name = sx_value_string_or(v, "");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(name, table[i].name) == 0) {
            info->norm = table[i].norm;
            return SX_OK;
        }
    if (strcmp(name, "covariance_whitening") == 0)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: normalize_activations covariance_whitening needs the data set's mean "
                       "and covariance, which the file does not hold: fold it before saving",
                       s->config_path);
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: normalize_activations \"%s\" is not known",
                   s->config_path, name);
}

static enum sx_status read_k(const struct sx_sae_source *s, struct sx_sae_info *info,
                             struct sx_error *err)
{
    const struct sx_value *k = sx_value_get(s->config, "k");
    if (sx_value_kind(k) == SX_VALUE_NULL)
        k = sx_value_at(s->config, "activation_fn_kwargs.k");
    info->k = sx_value_int_or(k, -1);
    if (info->k < 1)
        return sx_fail(err, SX_ERR_FORMAT, "%s: topk needs k, expected a positive integer",
                       s->config_path);
    return SX_OK;
}

static enum sx_status read_architecture(const struct sx_sae_source *s, struct sx_sae_info *info,
                                        struct sx_error *err)
{
    const struct sx_value *cfg = s->config;
    const char *arch = sx_value_string_or(sx_value_get(cfg, "architecture"), "standard");
    const char *fn = sx_value_string_or(sx_value_get(cfg, "activation_fn_str"), NULL);
    if (!fn)
        fn = sx_value_string_or(sx_value_get(cfg, "activation_fn"), "relu");
    bool old = before_6(cfg);
    if (old && strcmp(fn, "topk") == 0)
        arch = "topk";
    else if (old && strcmp(fn, "relu") != 0)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: activation_fn \"%s\" is not one that sextant applies", s->config_path,
                       fn);
    sx_info_set(&info->library_class, arch);
    if (strcmp(arch, "standard") == 0) {
        info->arch = SX_ARCH_RELU;
    } else if (strcmp(arch, "jumprelu") == 0) {
        info->arch = SX_ARCH_JUMPRELU;
    } else if (strcmp(arch, "gated") == 0) {
        info->arch = SX_ARCH_GATED;
    } else if (strcmp(arch, "topk") == 0) {
        info->arch = SX_ARCH_TOPK;
        info->scale_by_decoder_norm =
            sx_value_bool_or(sx_value_get(cfg, "rescale_acts_by_decoder_norm"), false);
        return read_k(s, info, err);
    } else if (strstr(arch, "batchtopk")) {
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: architecture \"%s\" is the training form; SAELens's "
                       "save_inference_model writes the one to apply",
                       s->config_path, arch);
    } else {
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: architecture \"%s\" is not one that sextant applies (standard, topk, "
                       "jumprelu, gated)",
                       s->config_path, arch);
    }
    return SX_OK;
}

static enum sx_status check_scaling(const struct sx_sae_source *s, struct sx_error *err)
{
    int64_t i = sx_source_find(s, "", "scaling_factor");
    if (i < 0)
        i = sx_source_find(s, "", "finetuning_scaling_factor");
    if (i < 0)
        return SX_OK;
    bool ones = true;
    SX_TRY(sx_source_all_equal(s, i, 1, &ones, err));
    if (!ones)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: a finetuning scaling factor other than 1 is not applied", s->file);
    return SX_OK;
}

static enum sx_status check_size(const struct sx_sae_source *s, struct sx_error *err)
{
    int64_t i = sx_source_find(s, "", "W_enc");
    if (i < 0)
        return sx_fail(err, SX_ERR_FORMAT, "%s: no tensor W_enc", s->file);
    const struct sx_tensor_info *w = sx_tensor_file_info(s->tensors, (size_t)i);
    int64_t d = sx_value_int_or(sx_value_get(s->config, "d_in"), -1);
    int64_t f = sx_value_int_or(sx_value_get(s->config, "d_sae"), -1);
    if (w->rank != 2 || (d >= 0 && (uint64_t)d != w->shape[0]) ||
        (f >= 0 && (uint64_t)f != w->shape[1]))
        return sx_fail(err, SX_ERR_SHAPE,
                       "%s: W_enc is [%llu, %llu], expected [%lld, %lld] by cfg.json", s->file,
                       (unsigned long long)w->shape[0], (unsigned long long)w->shape[1],
                       (long long)d, (long long)f);
    return SX_OK;
}

static void warn_dtype(const struct sx_sae_source *s, struct sx_sae_info *info)
{
    const char *dtype = sx_value_string_or(sx_value_get(s->config, "dtype"), "float32");
    if (!strstr(dtype, "float32") && !strstr(dtype, "float64"))
        sx_info_warn(info,
                     "dtype %s: SAELens computes in it, sextant in float32 (as SAELens does "
                     "with dtype=\"float32\")",
                     dtype);
}

static void read_origin(const struct sx_sae_source *s, struct sx_sae_info *info)
{
    const struct sx_value *cfg = s->config;
    sx_info_set(&info->hook, text(cfg, "hook_name"));
    if (!info->hook)
        sx_info_set(&info->hook, text(cfg, "hook_point"));
    sx_info_set(&info->model, text(cfg, "model_name"));
    info->layer = sx_value_int_or(setting(cfg, "hook_layer"), -1);
    if (info->layer < 0)
        info->layer = sx_value_int_or(setting(cfg, "hook_point_layer"), -1);
    if (info->layer < 0 && info->hook)
        info->layer = sx_path_number(info->hook, "blocks.");
    info->seed = sx_value_int_or(setting(cfg, "seed"), -1);
    info->l1_activation = sx_value_real_or(setting(cfg, "l1_coefficient"), NAN);
    if (isnan(info->l1_activation))
        info->l1_activation = sx_value_real_or(
            sx_value_at(cfg, "metadata.training_architecture_details.l1_coefficient"), NAN);
    const char *trained = text(cfg, "training_architecture");
    if (trained && strcmp(trained, info->library_class) != 0) {
        char *both = sx_xasprintf("%s (trained as %s)", info->library_class, trained);
        sx_info_set(&info->library_class, both);
        sx_free(both);
        if (info->k < 0)
            info->k =
                sx_value_int_or(sx_value_at(cfg, "metadata.training_architecture_details.k"), -1);
    }
    /* What our own writer leaves in the metadata. */
    if (sx_value_bool_or(setting(cfg, "signed_topk"), false)) {
        info->signed_topk = true;
        sx_info_warn(info,
                     "trained with top k without a relu: applied so here, SAELens puts a relu "
                     "on top");
    }
    const char *penalty = text(cfg, "weight_penalty");
    if (penalty)
        for (enum sx_penalty p = SX_PENALTY_NONE; p <= SX_PENALTY_L2_UNSQUARED; p++)
            if (strcmp(penalty, sx_penalty_name(p)) == 0)
                sx_info_set_penalty(info, p,
                                    sx_value_real_or(setting(cfg, "weight_penalty_lambda"), NAN));
}

static enum sx_status describe(const struct sx_sae_source *s, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err)
{
    if (!s->config)
        return sx_fail(err, s->config_error.status, "%s", s->config_error.message);
    SX_TRY(read_architecture(s, info, err));
    SX_TRY(read_normalisation(s, info, err));
    SX_TRY(check_size(s, err));
    SX_TRY(check_scaling(s, err));
    info->subtract_b_dec = sx_value_bool_or(sx_value_get(s->config, "apply_b_dec_to_input"), true);
    sx_layout_place(layout, s, SX_SLOT_W_ENC, "", "W_enc", true);
    sx_layout_place(layout, s, SX_SLOT_W_DEC, "", "W_dec", false);
    sx_layout_place(layout, s, SX_SLOT_B_DEC, "", "b_dec", false);
    if (info->arch == SX_ARCH_GATED) {
        sx_layout_place(layout, s, SX_SLOT_B_GATE, "", "b_gate", false);
        sx_layout_place(layout, s, SX_SLOT_B_MAG, "", "b_mag", false);
        if (!sx_layout_place(layout, s, SX_SLOT_R_MAG, "", "r_mag", false))
            return sx_fail(err, SX_ERR_FORMAT, "%s: gated, but no tensor r_mag", s->file);
    } else {
        sx_layout_place(layout, s, SX_SLOT_B_ENC, "", "b_enc", false);
    }
    if (info->arch == SX_ARCH_JUMPRELU &&
        !sx_layout_place(layout, s, SX_SLOT_THRESHOLD, "", "threshold", false))
        return sx_fail(err, SX_ERR_FORMAT, "%s: jumprelu, but no tensor threshold", s->file);
    read_origin(s, info);
    warn_dtype(s, info);
    return SX_OK;
}

const struct sx_sae_reader sx_sae_reader_saelens = {
    .format = SX_SAE_SAELENS,
    .claims = claims,
    .describe = describe,
};
