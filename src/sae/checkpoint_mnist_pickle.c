/* The MNIST models of Jedryszek & Crook 2026: whole pickled modules of the classes
 * __main__.SAE_l1w_encoder_decoder and __main__.SAE_l2w_encoder_decoder. Attributes carry the
 * seed and the coefficients. Arm T ("norm constrained") has biases, arm U has none at all. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "sextant/base/alloc.h"

static bool claims(const struct sx_sae_source *s)
{
    const char *class_name =
        sx_value_string_or(sx_value_get(sx_tensor_file_extra(s->tensors), "__class__"), "");
    return sx_tensor_file_container(s->tensors) == SX_CONTAINER_TORCH_ZIP &&
           strstr(class_name, "encoder_decoder") && sx_source_has(s, "encoder.weight") &&
           sx_source_has(s, "decoder.weight");
}

/* The coefficient and the seed that a file name claims; NAN and -1 where it says nothing. The
 * number is read whole: "1e-05" is not 1. */
static void read_name(const char *name, char *kind, double *lambda, int64_t *seed)
{
    static const char *const words[] = {"l1w_", "l2w_"};
    *kind = '\0';
    *lambda = NAN;
    *seed = sx_path_number(name, "seed_");
    const char *at = strncmp(name, "sae_l1w_l1_", 11) == 0 ? name + 11 : name;
    for (size_t i = 0; i < 2; i++) {
        const char *word = strstr(at, words[i]);
        char *end = NULL;
        double value = word ? strtod(word + 4, &end) : NAN;
        if (word && end != word + 4) {
            *kind = words[i][1];
            *lambda = value;
        }
    }
}

static void warn_name_conflicts(const struct sx_sae_source *s, struct sx_sae_info *info,
                                double lambda)
{
    char *name = sx_path_base(s->file);
    char kind;
    double named;
    int64_t seed;
    read_name(name, &kind, &named, &seed);
    if (!isnan(named) && !isnan(lambda) && fabs(named - lambda) > 1e-6 * fabs(lambda))
        sx_info_warn(info,
                     "the file's name says a weight penalty of %g, its attributes %g: the "
                     "attributes are used",
                     named, lambda);
    if (seed >= 0 && info->seed >= 0 && seed != info->seed)
        sx_info_warn(info,
                     "the file's name says seed %lld, its attributes %lld: the attributes "
                     "are used",
                     (long long)seed, (long long)info->seed);
    if (info->seed < 0)
        info->seed = seed;
    sx_free(name);
}

static enum sx_status describe(const struct sx_sae_source *s, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err)
{
    (void)err;
    const struct sx_value *extra = sx_tensor_file_extra(s->tensors);
    info->arch = SX_ARCH_RELU;
    sx_layout_place(layout, s, SX_SLOT_W_ENC, "", "encoder.weight", false);
    sx_layout_place(layout, s, SX_SLOT_B_ENC, "", "encoder.bias", false);
    sx_layout_place(layout, s, SX_SLOT_W_DEC, "", "decoder.weight", true);
    bool arm_t = sx_layout_place(layout, s, SX_SLOT_B_DEC, "", "b_dec", false);
    info->subtract_b_dec = arm_t;
    info->constraint = arm_t ? SX_CONSTRAINT_RENORM : SX_CONSTRAINT_NONE;
    sx_info_set(&info->variant, arm_t ? "T" : "U");
    sx_info_set(&info->library_class,
                sx_value_string_or(sx_value_get(extra, "__class__"), "a pickled module"));
    info->seed = sx_value_int_or(sx_value_get(extra, "seed"), -1);
    info->l1_activation = sx_value_real_or(sx_value_get(extra, "l1"), NAN);
    double l1 = sx_value_real_or(sx_value_get(extra, "l1_w"), NAN);
    double l2 = sx_value_real_or(sx_value_get(extra, "l2_w"), NAN);
    double lambda = !isnan(l2) ? l2 : l1;
    if (!isnan(lambda))
        sx_info_set_penalty(info, !isnan(l2) ? SX_PENALTY_L2 : SX_PENALTY_L1, lambda);
    warn_name_conflicts(s, info, lambda);

    char number[32] = "", seed[32] = "";
    if (info->penalty_known && info->penalty != SX_PENALTY_NONE)
        (void)snprintf(number, sizeof number, "_%g", info->lambda);
    if (info->seed >= 0)
        (void)snprintf(seed, sizeof seed, "_s%lld", (long long)info->seed);
    info->name = sx_xasprintf("%s_%s%s%s", arm_t ? "T" : "U",
                              info->penalty_known ? sx_penalty_name(info->penalty) : "unknown",
                              number, seed);
    return SX_OK;
}

const struct sx_sae_reader sx_sae_reader_mnist_pickle = {
    .format = SX_SAE_MNIST_PICKLE,
    .claims = claims,
    .describe = describe,
};
