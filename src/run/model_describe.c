#include "model_describe.h"

#include <math.h>

#include "document.h"
#include "sextant/model/model.h"
#include "sextant/model/names.h"

static void describe_shape(struct sx_value *map, const struct sx_model_info *info)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"layers", info->n_layers}, {"d_model", info->d_model}, {"heads", info->n_heads},
        {"d_head", info->d_head},   {"d_mlp", info->d_mlp},     {"vocab", info->vocab},
        {"bands", info->n_bands},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sx_document_int(map, numbers[i].key, (int64_t)numbers[i].value);
}

/* Tokens a turn of each rotary band, 2 pi over its frequency. */
static void describe_periods(struct sx_value *map, const struct sx_model *model)
{
    const struct sx_model_info *info = sx_model_info(model);
    const float *frequencies = sx_model_frequencies(model);
    struct sx_value *periods = sx_value_set(map, "periods", sx_value_list());
    for (uint64_t b = 0; b < info->n_bands; b++) {
        const double period = 2 * M_PI / (double)frequencies[b];
        sx_value_append(periods, isfinite(period) ? sx_value_real(period) : sx_value_null());
    }
}

static struct sx_value *describe(const struct sx_model *model)
{
    const struct sx_model_info *info = sx_model_info(model);
    struct sx_value *map = sx_value_map();
    sx_document_text(map, "path", info->path);
    sx_document_text(map, "name", info->name);
    sx_document_text(map, "format", sx_model_format_name(info->format));
    sx_document_text(map, "family", sx_model_family_name(info->family));
    describe_shape(map, info);
    describe_periods(map, model);
    sx_value_set(map, "stored_frequencies", sx_value_bool(info->stored_frequencies));
    sx_document_real(map, "rope_theta", info->rope_theta, "not said");
    if (info->max_positions)
        sx_document_int(map, "max_positions", (int64_t)info->max_positions);
    sx_document_real(map, "layer_norm_eps", info->layer_norm_eps, "not said");
    sx_document_text(map, "dtype", info->dtype);
    sx_document_int(map, "parameters", (int64_t)info->parameters);
    sx_document_int(map, "bytes", (int64_t)info->bytes);
    if (info->family == SX_MODEL_ESM2) {
        sx_value_set(map, "token_dropout", sx_value_bool(info->token_dropout));
        sx_value_set(map, "has_contact_head", sx_value_bool(info->has_contact_head));
    } else {
        sx_value_set(map, "parallel_residual", sx_value_bool(info->parallel_residual));
    }
    sx_value_set(map, "has_lm_head", sx_value_bool(info->has_lm_head));
    sx_value_set(map, "has_tokenizer", sx_value_bool(info->has_tokenizer));
    struct sx_value *warnings = sx_value_set(map, "warnings", sx_value_list());
    for (size_t i = 0; i < info->n_warnings; i++)
        sx_value_append(warnings, sx_value_string(info->warnings[i]));
    return map;
}

enum sx_status sx_model_describe(const char *path, struct sx_value **out, struct sx_error *err)
{
    struct sx_model *model = NULL;
    SX_TRY(sx_model_open(path, NULL, &model, err));
    *out = describe(model);
    sx_model_unref(model);
    return SX_OK;
}

enum sx_status sx_model_tell(struct sx_model *model, struct sx_value *about, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    char fingerprint[33];
    SX_TRY(sx_model_fingerprint(model, fingerprint, err));
    sx_document_text(about, "model", info->name);
    sx_document_text(about, "family", sx_model_family_name(info->family));
    sx_document_text(about, "fingerprint", fingerprint);
    sx_document_int(about, "layers", (int64_t)info->n_layers);
    sx_document_int(about, "heads", (int64_t)info->n_heads);
    sx_document_int(about, "d_model", (int64_t)info->d_model);
    sx_document_int(about, "vocab", (int64_t)info->vocab);
    sx_document_int(about, "bands", (int64_t)info->n_bands);
    sx_value_set(about, "rope_theta", sx_value_real(info->rope_theta));
    return SX_OK;
}
