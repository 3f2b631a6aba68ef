/* Our own *.sae.h5: canonical tensors by name, everything else in root attributes. */
#include <math.h>
#include <string.h>

#include "checkpoint.h"

static bool claims(const struct sx_sae_source *s)
{
    if (sx_tensor_file_container(s->tensors) != SX_CONTAINER_HDF5)
        return false;
    const struct sx_value *kind = sx_value_get(sx_tensor_file_extra(s->tensors), "sextant_file");
    return strcmp(sx_value_string_or(kind, ""), "sae") == 0;
}

static enum sx_status read_name(const struct sx_sae_source *s, const char *key,
                                const char *(*name_of)(int), int n, int *out, struct sx_error *err)
{
    const char *word =
        sx_value_string_or(sx_value_get(sx_tensor_file_extra(s->tensors), key), NULL);
    if (!word)
        return SX_OK;
    for (int i = 0; i < n; i++)
        if (strcmp(word, name_of(i)) == 0) {
            *out = i;
            return SX_OK;
        }
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: attribute %s is \"%s\", which is not known",
                   s->file, key, word);
}

static const char *arch_name(int i)
{
    return sx_sae_arch_name((enum sx_sae_arch)i);
}

static const char *norm_name(int i)
{
    return sx_sae_norm_name((enum sx_sae_norm)i);
}

static const char *penalty_name(int i)
{
    return sx_penalty_name((enum sx_penalty)i);
}

static const char *constraint_name(int i)
{
    return i == SX_CONSTRAINT_UNKNOWN ? "unknown" : sx_constraint_name((enum sx_constraint)i);
}

static enum sx_status read_words(const struct sx_sae_source *s, struct sx_sae_info *info,
                                 struct sx_error *err)
{
    int arch = SX_ARCH_RELU, norm = SX_NORM_NONE, penalty = SX_PENALTY_NONE;
    int constraint = SX_CONSTRAINT_UNKNOWN;
    SX_TRY(read_name(s, "arch", arch_name, SX_ARCH_SIGMOID + 1, &arch, err));
    SX_TRY(read_name(s, "normalization", norm_name, SX_NORM_DIVIDE + 1, &norm, err));
    SX_TRY(read_name(s, "penalty", penalty_name, SX_PENALTY_L2_UNSQUARED + 1, &penalty, err));
    SX_TRY(read_name(s, "constraint", constraint_name, SX_CONSTRAINT_RENORM_PROJECT + 1,
                     &constraint, err));
    info->arch = (enum sx_sae_arch)arch;
    info->norm = (enum sx_sae_norm)norm;
    info->penalty = (enum sx_penalty)penalty;
    info->constraint = (enum sx_constraint)constraint;
    info->penalty_known = sx_value_get(sx_tensor_file_extra(s->tensors), "penalty") != NULL;
    return SX_OK;
}

static void read_numbers(const struct sx_value *extra, struct sx_sae_info *info)
{
    info->k = sx_value_int_or(sx_value_get(extra, "k"), -1);
    info->seed = sx_value_int_or(sx_value_get(extra, "seed"), -1);
    info->layer = sx_value_int_or(sx_value_get(extra, "layer"), -1);
    info->lambda = sx_value_real_or(sx_value_get(extra, "lambda"), NAN);
    info->l1_activation = sx_value_real_or(sx_value_get(extra, "l1_activation"), NAN);
    info->threshold = sx_value_real_or(sx_value_get(extra, "threshold"), NAN);
    info->norm_factor = sx_value_real_or(sx_value_get(extra, "norm_factor"), NAN);
    info->subtract_b_dec = sx_value_bool_or(sx_value_get(extra, "subtract_b_dec"), false);
    info->scale_by_decoder_norm =
        sx_value_bool_or(sx_value_get(extra, "scale_by_decoder_norm"), false);
    info->signed_topk = sx_value_bool_or(sx_value_get(extra, "signed_topk"), false);
    info->sigmoid_out = sx_value_bool_or(sx_value_get(extra, "sigmoid_out"), false);
    info->is_backup = sx_value_bool_or(sx_value_get(extra, "backup"), false);
    info->has_bias = sx_value_bool_or(sx_value_get(extra, "has_bias"), true);
    int64_t width = sx_value_int_or(sx_value_get(extra, "image_width"), 0);
    int64_t height = sx_value_int_or(sx_value_get(extra, "image_height"), 0);
    if (width > 0 && height > 0) {
        info->image_width = (uint64_t)width;
        info->image_height = (uint64_t)height;
    }
}

static void read_training(const struct sx_value *extra, struct sx_sae_info *info)
{
    const int64_t steps = sx_value_int_or(sx_value_get(extra, "train.steps"), 0);
    info->training = (struct sx_sae_training){
        .steps = steps > 0 ? (uint64_t)steps : 0,
        .epochs = sx_value_real_or(sx_value_get(extra, "train.epochs"), NAN),
        .mse = sx_value_real_or(sx_value_get(extra, "train.mse"), NAN),
        .l0 = sx_value_real_or(sx_value_get(extra, "train.l0"), NAN),
        .dead = sx_value_real_or(sx_value_get(extra, "train.dead"), NAN),
        .alignment = sx_value_real_or(sx_value_get(extra, "train.alignment"), NAN),
    };
}

static enum sx_status describe(const struct sx_sae_source *s, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err)
{
    const struct sx_value *extra = sx_tensor_file_extra(s->tensors);
    SX_TRY(read_words(s, info, err));
    read_numbers(extra, info);
    read_training(extra, info);
    sx_info_set(&info->hook, sx_value_string_or(sx_value_get(extra, "hook"), NULL));
    sx_info_set(&info->model, sx_value_string_or(sx_value_get(extra, "model"), NULL));
    sx_info_set(&info->variant, sx_value_string_or(sx_value_get(extra, "variant"), NULL));
    sx_info_set(&info->library_class,
                sx_value_string_or(sx_value_get(extra, "library_class"), NULL));
    sx_info_set(&info->name, sx_value_string_or(sx_value_get(extra, "name"), NULL));
    for (int i = 0; i < SX_N_SLOTS; i++)
        sx_layout_place(layout, s, (enum sx_slot)i, "", sx_slot_name((enum sx_slot)i), false);
    SX_TRY(sx_source_groups(s, "", "group_sizes", info, err));
    if (info->image_width * info->image_height != 0 && info->image_width < 65536 &&
        info->image_height < 65536)
        return SX_OK;
    info->image_width = info->image_height = 0;
    return SX_OK;
}

const struct sx_sae_reader sx_sae_reader_sextant = {
    .format = SX_SAE_SEXTANT,
    .claims = claims,
    .describe = describe,
};
