/* saprmarks/dictionary_learning: ae.pt, a state dict, and config.json with everything under
 * `trainer`. The keys decide what the file is; the class name only tells top k from batch top k.
 * The training code of Jedryszek & Crook 2026 adds l1_w or l2_w to the configuration. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"

static const char *prefix_of(const struct sx_sae_source *s)
{
    static const char *const prefixes[] = {"", "ae."};
    static const char *const weights[] = {"encoder.weight", "W_enc"};
    for (size_t p = 0; p < 2; p++)
        for (size_t w = 0; w < 2; w++)
            if (sx_source_find(s, prefixes[p], weights[w]) >= 0)
                return prefixes[p];
    return NULL;
}

static bool has(const struct sx_sae_source *s, const char *prefix, const char *name)
{
    return sx_source_find(s, prefix, name) >= 0;
}

/* A linear module's keys with one of its bias keys, or a parameter SAE's with its b_dec. */
static bool claims(const struct sx_sae_source *s)
{
    if (sx_tensor_file_container(s->tensors) != SX_CONTAINER_TORCH_ZIP)
        return false;
    const char *p = prefix_of(s);
    if (!p)
        return false;
    if (has(s, p, "encoder.weight"))
        return has(s, p, "decoder.weight") && (has(s, p, "bias") || has(s, p, "decoder.bias") ||
                                               has(s, p, "b_dec") || has(s, p, "decoder_bias"));
    return has(s, p, "W_dec") && has(s, p, "b_enc") && has(s, p, "b_dec") && has(s, p, "threshold");
}

static const struct sx_value *trainer_of(const struct sx_sae_source *s)
{
    const struct sx_value *trainer = sx_value_get(s->config, "trainer");
    if (sx_value_kind(trainer) == SX_VALUE_MAP)
        return trainer;
    const struct sx_value *inside = sx_value_get(sx_tensor_file_extra(s->tensors), "config");
    if (sx_value_kind(inside) == SX_VALUE_MAP) /* a backup carries the trainer's configuration */
        return inside;
    return s->config;
}

static void place_linear(struct sx_sae_layout *layout, const struct sx_sae_source *s, const char *p)
{
    sx_layout_place(layout, s, SX_SLOT_W_ENC, p, "encoder.weight", false);
    sx_layout_place(layout, s, SX_SLOT_B_ENC, p, "encoder.bias", false);
    sx_layout_place(layout, s, SX_SLOT_W_DEC, p, "decoder.weight", true);
}

static void describe_gated(const struct sx_sae_source *s, const char *p, struct sx_sae_info *info,
                           struct sx_sae_layout *layout)
{
    info->arch = SX_ARCH_GATED;
    info->subtract_b_dec = true;
    place_linear(layout, s, p);
    sx_layout_place(layout, s, SX_SLOT_B_DEC, p, "decoder_bias", false);
    sx_layout_place(layout, s, SX_SLOT_B_GATE, p, "gate_bias", false);
    sx_layout_place(layout, s, SX_SLOT_B_MAG, p, "mag_bias", false);
    sx_layout_place(layout, s, SX_SLOT_R_MAG, p, "r_mag", false);
    sx_info_set(&info->library_class, "GatedAutoEncoder");
}

static void describe_parameters(const struct sx_sae_source *s, const char *p,
                                struct sx_sae_info *info, struct sx_sae_layout *layout)
{
    sx_layout_place(layout, s, SX_SLOT_W_ENC, p, "W_enc", true);
    sx_layout_place(layout, s, SX_SLOT_B_ENC, p, "b_enc", false);
    sx_layout_place(layout, s, SX_SLOT_W_DEC, p, "W_dec", false);
    sx_layout_place(layout, s, SX_SLOT_B_DEC, p, "b_dec", false);
    const struct sx_tensor_info *threshold =
        sx_tensor_file_info(s->tensors, (size_t)sx_source_find(s, p, "threshold"));
    if (threshold->rank == 1) {
        info->arch = SX_ARCH_JUMPRELU;
        sx_layout_place(layout, s, SX_SLOT_THRESHOLD, p, "threshold", false);
        sx_info_set(&info->library_class, "JumpReluAutoEncoder");
        return;
    }
    info->arch = SX_ARCH_MATRYOSHKA;
    info->subtract_b_dec = true;
    info->threshold = sx_source_scalar(s, p, "threshold");
    sx_info_set(&info->library_class, "MatryoshkaBatchTopKSAE");
}

/* AutoEncoderTopK and BatchTopKSAE have the same keys. */
static void describe_topk(const struct sx_sae_source *s, const char *p, const char *class_name,
                          struct sx_sae_info *info, struct sx_sae_layout *layout)
{
    place_linear(layout, s, p);
    sx_layout_place(layout, s, SX_SLOT_B_DEC, p, "b_dec", false);
    info->subtract_b_dec = true;
    info->threshold = sx_source_scalar(s, p, "threshold");
    bool batch = class_name && strstr(class_name, "BatchTopK") != NULL;
    info->arch = batch ? SX_ARCH_BATCHTOPK : SX_ARCH_TOPK;
    sx_info_set(&info->library_class, batch ? "BatchTopKSAE" : "AutoEncoderTopK");
    if (!class_name && has(s, p, "threshold"))
        sx_info_warn(info, "the keys fit AutoEncoderTopK and BatchTopKSAE alike, and no "
                           "configuration names the class: read as top k");
}

static void describe_relu(const struct sx_sae_source *s, const char *p, struct sx_sae_info *info,
                          struct sx_sae_layout *layout)
{
    info->arch = SX_ARCH_RELU;
    place_linear(layout, s, p);
    if (sx_layout_place(layout, s, SX_SLOT_B_DEC, p, "bias", false)) {
        info->subtract_b_dec = true;
        sx_info_set(&info->library_class, "AutoEncoder");
        return;
    }
    sx_layout_place(layout, s, SX_SLOT_B_DEC, p, "decoder.bias", false);
    sx_info_set(&info->library_class, "AutoEncoderNew");
}

static void warn_conflicts(const struct sx_value *trainer, double k_tensor,
                           const struct sx_sae_source *s, struct sx_sae_info *info)
{
    int64_t k = sx_value_int_or(sx_value_get(trainer, "k"), -1);
    if (!isnan(k_tensor) && k >= 0 && (double)k != k_tensor)
        sx_info_warn(info, "config.json says k = %lld, the file holds k = %g: the file's is used",
                     (long long)k, k_tensor);
    const char *dict_class = sx_value_string_or(sx_value_get(trainer, "dict_class"), NULL);
    const char *trainer_class = sx_value_string_or(sx_value_get(trainer, "trainer_class"), "");
    /* StandardTrainerAprilUpdate trains an AutoEncoderNew and writes "AutoEncoder". */
    bool april = strcmp(trainer_class, "StandardTrainerAprilUpdate") == 0;
    if (dict_class && info->library_class && strcmp(dict_class, info->library_class) != 0 && !april)
        sx_info_warn(info, "config.json names the class %s, the keys are those of %s: keys decide",
                     dict_class, info->library_class);
    if (s->config_error.message[0])
        sx_info_warn(info, "configuration not used: %s", s->config_error.message);
}

static void warn_sizes(const struct sx_value *trainer, const struct sx_sae_source *s,
                       const struct sx_sae_layout *layout, struct sx_sae_info *info)
{
    const struct sx_tensor_info *w =
        sx_tensor_file_info(s->tensors, (size_t)layout->slot[SX_SLOT_W_ENC].tensor);
    if (w->rank != 2)
        return;
    bool swap = layout->slot[SX_SLOT_W_ENC].transposed;
    int64_t d = sx_value_int_or(sx_value_get(trainer, "activation_dim"), -1);
    int64_t f = sx_value_int_or(sx_value_get(trainer, "dict_size"), -1);
    uint64_t d_file = w->shape[swap ? 0 : 1], f_file = w->shape[swap ? 1 : 0];
    if ((d >= 0 && (uint64_t)d != d_file) || (f >= 0 && (uint64_t)f != f_file))
        sx_info_warn(info, "config.json says %lld inputs and %lld latents, the file has %llu, %llu",
                     (long long)d, (long long)f, (unsigned long long)d_file,
                     (unsigned long long)f_file);
}

/* An interrupted run leaves {step, ae, optimizer, config, norm_factor}. */
static void describe_backup(const struct sx_sae_source *s, struct sx_sae_info *info)
{
    const struct sx_value *extra = sx_tensor_file_extra(s->tensors);
    info->is_backup = true;
    double factor = sx_value_real_or(sx_value_get(extra, "norm_factor"), NAN);
    if (isnan(factor))
        factor = sx_source_scalar(s, "", "norm_factor");
    if (isnan(factor))
        factor = info->norm_factor;
    info->norm_factor = factor;
    if (factor > 0 && isfinite(factor)) {
        info->norm = SX_NORM_DIVIDE;
        sx_info_warn(info,
                     "backup of an interrupted run (step %lld): biases are not rescaled, inputs "
                     "are divided by norm_factor = %.9g",
                     (long long)sx_value_int_or(sx_value_get(extra, "step"), -1), factor);
    } else {
        sx_info_warn(info, "backup of an interrupted run without a usable norm_factor: biases are "
                           "on the scale of training, inputs are taken as they are");
    }
}

static enum sx_status describe(const struct sx_sae_source *s, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err)
{
    const char *p = prefix_of(s);
    const struct sx_value *trainer = trainer_of(s);
    const char *class_name = sx_value_string_or(sx_value_get(trainer, "dict_class"), NULL);
    double k_tensor = sx_source_scalar(s, p, "k");
    sx_info_from_trainer(info, trainer);
    if (has(s, p, "encoder.weight") && has(s, p, "decoder_bias"))
        describe_gated(s, p, info, layout);
    else if (!has(s, p, "encoder.weight"))
        describe_parameters(s, p, info, layout);
    else if (has(s, p, "b_dec"))
        describe_topk(s, p, class_name, info, layout);
    else
        describe_relu(s, p, info, layout);
    bool topk = info->arch == SX_ARCH_TOPK || info->arch == SX_ARCH_BATCHTOPK ||
                info->arch == SX_ARCH_MATRYOSHKA;
    if (!topk)
        info->k = -1;
    else if (k_tensor >= 0 && k_tensor < 2147483648.0)
        info->k = (int64_t)k_tensor;
    if (info->arch == SX_ARCH_MATRYOSHKA)
        SX_TRY(sx_source_groups(s, p, "group_sizes", info, err));
    if (info->arch == SX_ARCH_JUMPRELU)
        info->subtract_b_dec =
            sx_value_bool_or(sx_value_get(trainer, "apply_b_dec_to_input"), false);
    warn_conflicts(trainer, k_tensor, s, info);
    warn_sizes(trainer, s, layout, info);
    if (strcmp(p, "ae.") == 0)
        describe_backup(s, info);
    return SX_OK;
}

const struct sx_sae_reader sx_sae_reader_dictionary_learning = {
    .format = SX_SAE_DICTIONARY_LEARNING,
    .claims = claims,
    .describe = describe,
};
