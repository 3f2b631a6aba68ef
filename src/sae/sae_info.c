/* Names, family keys and the document that `sextant info --json` prints. */
#include <math.h>

#include "arch.h"
#include "sextant/sae/sae.h"

const char *sx_sae_format_name(enum sx_sae_format format)
{
    static const char *const names[] = {
        [SX_SAE_SEXTANT] = "sextant",
        [SX_SAE_DICTIONARY_LEARNING] = "dictionary_learning",
        [SX_SAE_MNIST_PICKLE] = "mnist_pickle",
        [SX_SAE_SAELENS] = "saelens",
        [SX_SAE_SPARSIFY] = "sparsify",
        [SX_SAE_INTERPLM] = "interplm",
        [SX_SAE_GEMMA_SCOPE] = "gemma_scope",
        [SX_SAE_PLAIN] = "plain",
    };
    return names[format];
}

const char *sx_sae_arch_name(enum sx_sae_arch arch)
{
    return sx_sae_arch_of(arch)->name;
}

const char *sx_penalty_name(enum sx_penalty penalty)
{
    static const char *const names[] = {
        [SX_PENALTY_NONE] = "none",
        [SX_PENALTY_L1] = "l1",
        [SX_PENALTY_L2] = "l2",
        [SX_PENALTY_L2_UNSQUARED] = "l2_unsquared",
    };
    return names[penalty];
}

const char *sx_constraint_name(enum sx_constraint c)
{
    static const char *const names[] = {
        [SX_CONSTRAINT_UNKNOWN] = "unknown",
        [SX_CONSTRAINT_NONE] = "none",
        [SX_CONSTRAINT_RENORM] = "renorm",
        [SX_CONSTRAINT_RENORM_PROJECT] = "renorm+project",
    };
    return names[c];
}

const char *sx_sae_norm_name(enum sx_sae_norm norm)
{
    static const char *const names[] = {
        [SX_NORM_NONE] = "none",
        [SX_NORM_EXPECTED_AVERAGE] = "expected_average",
        [SX_NORM_CONSTANT_NORM] = "constant_norm",
        [SX_NORM_LAYER] = "layer_norm",
        [SX_NORM_SQRT_D] = "sqrt_d",
        [SX_NORM_DIVIDE] = "divide",
    };
    return names[norm];
}

/* --- family keys -------------------------------------------------------------------------------
 */

void sx_sae_sibling_key(const struct sx_sae_info *info, struct sx_str *out)
{
    sx_str_printf(out, "%s D=%llu F=%llu norm=%s pre=%d scale=%d bias=%d backup=%d constraint=%s",
                  sx_sae_arch_name(info->arch), (unsigned long long)info->activation_dim,
                  (unsigned long long)info->dict_size, sx_sae_norm_name(info->norm),
                  info->subtract_b_dec, info->scale_by_decoder_norm, info->has_bias,
                  info->is_backup, sx_constraint_name(info->constraint));
    for (size_t g = 0; g < info->n_groups; g++)
        sx_str_printf(out, "%s%llu", g == 0 ? " groups=" : ",",
                      (unsigned long long)info->group_sizes[g]);
    sx_str_printf(out, " model=%s layer=%lld hook=%s variant=%s", info->model ? info->model : "",
                  (long long)info->layer, info->hook ? info->hook : "",
                  info->variant ? info->variant : "");
}

void sx_sae_family_key(const struct sx_sae_info *info, struct sx_str *out)
{
    sx_sae_sibling_key(info, out);
    sx_str_printf(out, " k=%lld", (long long)info->k);
    if (info->penalty_known)
        sx_str_printf(out, " penalty=%s", sx_penalty_name(info->penalty));
    if (!isnan(info->lambda))
        sx_str_printf(out, " lambda=%g", info->lambda);
    if (!isnan(info->l1_activation))
        sx_str_printf(out, " l1=%g", info->l1_activation);
}

/* --- document ----------------------------------------------------------------------------------
 */

static struct sx_value *known_int(int64_t i)
{
    return i < 0 ? sx_value_null() : sx_value_int(i);
}

static struct sx_value *count(uint64_t n)
{
    return sx_value_int((int64_t)n);
}

static struct sx_value *triple(double mean, double min, double max)
{
    struct sx_value *v = sx_value_map();
    sx_value_set(v, "mean", sx_value_real(mean));
    sx_value_set(v, "min", sx_value_real(min));
    sx_value_set(v, "max", sx_value_real(max));
    return v;
}

static struct sx_value *tensors(const struct sx_sae_info *info)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < info->n_tensors; i++) {
        const struct sx_tensor_row *row = &info->tensors[i];
        struct sx_value *v = sx_value_append(list, sx_value_map());
        struct sx_value *shape = sx_value_list(), *strides = sx_value_list();
        for (int a = 0; a < row->rank; a++) {
            sx_value_append(shape, count(row->shape[a]));
            sx_value_append(strides, count(row->strides[a]));
        }
        sx_value_set(v, "name", sx_value_string(row->name));
        sx_value_set(v, "dtype", sx_value_string(row->dtype));
        sx_value_set(v, "shape", shape);
        sx_value_set(v, "strides", strides);
        sx_value_set(v, "contiguous", sx_value_bool(row->contiguous));
    }
    return list;
}

/* The strictest thing that both the weights and the configuration allow to say. */
static struct sx_value *constraint(const struct sx_sae_info *info, const struct sx_sae_stats *stats)
{
    enum sx_constraint c = stats ? stats->decoder_constraint : info->constraint;
    if (c == SX_CONSTRAINT_RENORM && info->constraint == SX_CONSTRAINT_RENORM_PROJECT)
        c = SX_CONSTRAINT_RENORM_PROJECT; /* the projection cannot be seen in the weights */
    return c == SX_CONSTRAINT_UNKNOWN ? sx_value_null() : sx_value_string(sx_constraint_name(c));
}

static void describe_stats(struct sx_value *v, const struct sx_sae_stats *s)
{
    struct sx_value *align = sx_value_map();
    sx_value_set(align, "mean", sx_value_real(s->align_mean));
    sx_value_set(align, "median", sx_value_real(s->align_median));
    sx_value_set(align, "over_0.5", sx_value_real(s->align_over_05));
    sx_value_set(align, "over_0.7", sx_value_real(s->align_over_07));
    sx_value_set(align, "over_0.9", sx_value_real(s->align_over_09));
    sx_value_set(align, "count_over_0.95", count(s->align_over_095));
    sx_value_set(v, "encoder_norm", triple(s->enc_norm_mean, s->enc_norm_min, s->enc_norm_max));
    sx_value_set(v, "decoder_norm", triple(s->dec_norm_mean, s->dec_norm_min, s->dec_norm_max));
    sx_value_set(v, "decoder_norm_deviation", sx_value_real(s->dec_norm_deviation));
    sx_value_set(v, "alignment", align);
    sx_value_set(v, "dead", count(s->dead_exact));
    sx_value_set(v, "dead_tiny", count(s->dead_tiny));
    sx_value_set(v, "fingerprint", sx_value_string(s->fingerprint));
}

static struct sx_value *describe_training_end(const struct sx_sae_training *end)
{
    if (end->steps == 0)
        return sx_value_null();
    struct sx_value *v = sx_value_map();
    sx_value_set(v, "steps", count(end->steps));
    sx_value_set(v, "epochs", sx_value_real(end->epochs));
    sx_value_set(v, "mse", sx_value_real(end->mse));
    sx_value_set(v, "l0", sx_value_real(end->l0));
    sx_value_set(v, "dead", isnan(end->dead) ? sx_value_null() : sx_value_int((int64_t)end->dead));
    sx_value_set(v, "alignment", sx_value_real(end->alignment));
    return v;
}

static void describe_training(struct sx_value *v, const struct sx_sae_info *info,
                              const struct sx_sae_stats *stats)
{
    sx_value_set(v, "k", known_int(info->k));
    sx_value_set(v, "seed", known_int(info->seed));
    sx_value_set(v, "penalty",
                 info->penalty_known ? sx_value_string(sx_penalty_name(info->penalty))
                                     : sx_value_null());
    sx_value_set(v, "lambda", sx_value_real(info->lambda));
    sx_value_set(v, "l1_activation", sx_value_real(info->l1_activation));
    sx_value_set(v, "threshold", sx_value_real(info->threshold));
    sx_value_set(v, "decoder_constraint", constraint(info, stats));
    sx_value_set(v, "decoder_constraint_configured",
                 info->constraint == SX_CONSTRAINT_UNKNOWN
                     ? sx_value_null()
                     : sx_value_string(sx_constraint_name(info->constraint)));
    sx_value_set(v, "variant", sx_value_string(info->variant));
    sx_value_set(v, "hook", sx_value_string(info->hook));
    sx_value_set(v, "layer", known_int(info->layer));
    sx_value_set(v, "model", sx_value_string(info->model));
    sx_value_set(v, "library_class", sx_value_string(info->library_class));
    sx_value_set(v, "training", describe_training_end(&info->training));
}

static void describe_use(struct sx_value *v, const struct sx_sae_info *info)
{
    sx_value_set(v, "normalization", sx_value_string(sx_sae_norm_name(info->norm)));
    sx_value_set(v, "norm_factor", sx_value_real(info->norm_factor));
    sx_value_set(v, "subtract_b_dec", sx_value_bool(info->subtract_b_dec));
    sx_value_set(v, "scale_by_decoder_norm", sx_value_bool(info->scale_by_decoder_norm));
    sx_value_set(v, "backup", sx_value_bool(info->is_backup));
    sx_value_set(v, "has_bias", sx_value_bool(info->has_bias));
    if (info->image_width > 0) {
        struct sx_value *image = sx_value_set(v, "image", sx_value_list());
        sx_value_append(image, count(info->image_width));
        sx_value_append(image, count(info->image_height));
    }
    if (info->n_groups > 0) {
        struct sx_value *groups = sx_value_set(v, "group_sizes", sx_value_list());
        for (size_t g = 0; g < info->n_groups; g++)
            sx_value_append(groups, count(info->group_sizes[g]));
    }
}

struct sx_value *sx_sae_describe(const struct sx_sae_info *info, const struct sx_sae_stats *stats)
{
    struct sx_value *v = sx_value_map();
    sx_value_set(v, "path", sx_value_string(info->path));
    sx_value_set(v, "file", sx_value_string(info->file));
    sx_value_set(v, "name", sx_value_string(info->name));
    sx_value_set(v, "format", sx_value_string(sx_sae_format_name(info->format)));
    sx_value_set(v, "arch", sx_value_string(sx_sae_arch_name(info->arch)));
    sx_value_set(v, "activation_dim", count(info->activation_dim));
    sx_value_set(v, "dict_size", count(info->dict_size));
    describe_training(v, info, stats);
    describe_use(v, info);
    sx_value_set(v, "bytes", count(info->bytes));
    if (stats)
        describe_stats(v, stats);
    sx_value_set(v, "tensors", tensors(info));
    struct sx_value *warnings = sx_value_set(v, "warnings", sx_value_list());
    for (size_t i = 0; i < info->n_warnings; i++)
        sx_value_append(warnings, sx_value_string(info->warnings[i]));
    return v;
}
