/* What both families' config.json have in common. */
#include <math.h>
#include <string.h>

#include "model_private.h"

static const struct sx_value *get(const struct model_source *s, const char *dotted_key)
{
    const struct sx_value *v = sx_value_at(s->config, dotted_key);
    return sx_value_kind(v) == SX_VALUE_NULL ? NULL : v;
}

static enum sx_status wrong(const struct model_source *s, const char *key, const char *expected,
                            const struct sx_value *found, struct sx_error *err)
{
    if (sx_value_kind(found) == SX_VALUE_INT || sx_value_kind(found) == SX_VALUE_REAL)
        return sx_fail(err, SX_ERR_FORMAT, "%s: %s: expected %s, found %.9g", s->config_path, key,
                       expected, sx_value_real_or(found, 0));
    return sx_fail(err, SX_ERR_FORMAT, "%s: %s: expected %s, found %s", s->config_path, key,
                   expected, sx_value_kind_name(sx_value_kind(found)));
}

enum sx_status sx_config_count(const struct model_source *s, const char *key, uint64_t fallback,
                               uint64_t most, uint64_t *out, struct sx_error *err)
{
    const struct sx_value *v = get(s, key);
    int64_t i = sx_value_int_or(v, -1);
    *out = fallback;
    if (!v)
        return SX_OK;
    if (i < 1)
        return wrong(s, key, "a positive whole number", v, err);
    if ((uint64_t)i > most)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s is %lld, at most %llu is read",
                       s->config_path, key, (long long)i, (unsigned long long)most);
    *out = (uint64_t)i;
    return SX_OK;
}

enum sx_status sx_config_bool(const struct model_source *s, const char *key, bool fallback,
                              bool *out, struct sx_error *err)
{
    const struct sx_value *v = get(s, key);
    if (v && sx_value_kind(v) != SX_VALUE_BOOL)
        return wrong(s, key, "true or false", v, err);
    *out = sx_value_bool_or(v, fallback);
    return SX_OK;
}

enum sx_status sx_config_real(const struct model_source *s, const char *key, double fallback,
                              double *out, struct sx_error *err)
{
    const struct sx_value *v = get(s, key);
    double x = sx_value_real_or(v, NAN);
    *out = fallback;
    if (!v)
        return SX_OK;
    if (!isfinite(x))
        return wrong(s, key, "a number", v, err);
    *out = x;
    return SX_OK;
}

enum sx_status sx_config_sizes(const struct model_source *s, const uint64_t defaults[4],
                               struct sx_model_info *info, struct sx_error *err)
{
    SX_TRY(sx_config_count(s, "num_hidden_layers", defaults[0], MODEL_MAX_LAYERS, &info->n_layers,
                           err));
    SX_TRY(sx_config_count(s, "hidden_size", defaults[1], 1U << 20, &info->d_model, err));
    SX_TRY(sx_config_count(s, "num_attention_heads", defaults[2], 1U << 16, &info->n_heads, err));
    SX_TRY(sx_config_count(s, "intermediate_size", defaults[3], 1U << 22, &info->d_mlp, err));
    SX_TRY(sx_config_count(s, "vocab_size", 0, 1U << 24, &info->vocab, err));
    return sx_model_check_sizes(info, s->config_path, err);
}

enum sx_status sx_model_check_sizes(const struct sx_model_info *info, const char *where,
                                    struct sx_error *err)
{
    SX_ASSERT(info->n_heads > 0);
    if (info->d_model % info->n_heads != 0)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: hidden size %llu is not a multiple of %llu attention heads", where,
                       (unsigned long long)info->d_model, (unsigned long long)info->n_heads);
    return SX_OK;
}

static bool is_plain(const struct sx_value *type)
{
    return !type || sx_value_kind(type) == SX_VALUE_NULL ||
           strcmp(sx_value_string_or(type, "?"), "default") == 0;
}

/* Stretched positions (linear, dynamic, YaRN …) change the forward pass. */
static enum sx_status refuse_scaling(const struct model_source *s, struct sx_error *err)
{
    static const char *const keys[] = {"rope_parameters", "rope_scaling"};
    static const char *const types[] = {"rope_type", "type"};
    for (size_t i = 0; i < 2; i++) {
        const struct sx_value *rope = get(s, keys[i]);
        if (!rope)
            continue;
        if (sx_value_kind(rope) != SX_VALUE_MAP)
            return wrong(s, keys[i], "a map", rope, err);
        for (size_t k = 0; k < 2; k++) {
            const struct sx_value *type = sx_value_get(rope, types[k]);
            if (!is_plain(type))
                return sx_fail(err, SX_ERR_UNSUPPORTED,
                               "%s: %s.%s is \"%s\", only \"default\" is computed", s->config_path,
                               keys[i], types[k], sx_value_string_or(type, "not a string"));
        }
        if (sx_value_get(rope, "factor"))
            return sx_fail(err, SX_ERR_UNSUPPORTED,
                           "%s: %s.factor: scaled rotary embeddings are not computed",
                           s->config_path, keys[i]);
    }
    return SX_OK;
}

/* The first of these keys that is there. */
static enum sx_status first_real(const struct model_source *s, const char *const *keys, size_t n,
                                 double fallback, double *out, struct sx_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (get(s, keys[i]))
            return sx_config_real(s, keys[i], fallback, out, err);
    *out = fallback;
    return SX_OK;
}

enum sx_status sx_config_rope(const struct model_source *s, double fallback_share,
                              struct sx_model_info *info, double *rotated, struct sx_error *err)
{
    static const char *const theta[] = {"rope_parameters.rope_theta", "rope_scaling.rope_theta",
                                        "rope_theta", "rotary_emb_base"};
    static const char *const share[] = {"rope_parameters.partial_rotary_factor",
                                        "rope_scaling.partial_rotary_factor",
                                        "partial_rotary_factor", "rotary_pct"};
    SX_TRY(refuse_scaling(s, err));
    SX_TRY(first_real(s, theta, 4, 10000, &info->rope_theta, err));
    if (!(info->rope_theta > 1))
        return sx_fail(err, SX_ERR_FORMAT, "%s: rope_theta: expected more than 1, found %.9g",
                       s->config_path, info->rope_theta);
    SX_TRY(first_real(s, share, 4, fallback_share, rotated, err));
    if (!(*rotated > 0 && *rotated <= 1))
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: partial_rotary_factor: expected more than 0 and at most 1, found %.9g",
                       s->config_path, *rotated);
    return SX_OK;
}

enum sx_status sx_config_eps(const struct model_source *s, double fallback,
                             struct sx_model_info *info, struct sx_error *err)
{
    SX_TRY(sx_config_real(s, "layer_norm_eps", fallback, &info->layer_norm_eps, err));
    if (!(info->layer_norm_eps >= 0))
        return sx_fail(err, SX_ERR_FORMAT, "%s: layer_norm_eps: expected at least 0, found %.9g",
                       s->config_path, info->layer_norm_eps);
    return SX_OK;
}
