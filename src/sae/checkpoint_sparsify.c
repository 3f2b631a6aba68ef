/* EleutherAI's sparsify: a folder with cfg.json and sae.safetensors, both weights by latent
 * [F,D]. Runs of several seeds have folders hookpoint/seedN; the run's own config.json, one or two
 * folders up, names the model. */
#include <string.h>

#include "checkpoint.h"
#include "sextant/base/alloc.h"
#include "sextant/io/json.h"

static bool claims(const struct sx_sae_source *s)
{
    if (sx_tensor_file_container(s->tensors) != SX_CONTAINER_SAFETENSORS || !s->config_path)
        return false;
    char *name = sx_path_base(s->file);
    bool named = strcmp(name, "sae.safetensors") == 0;
    sx_free(name);
    if (!s->config)
        return named && sx_source_has(s, "encoder.weight");
    return sx_value_get(s->config, "d_in") && (sx_value_get(s->config, "expansion_factor") ||
                                               sx_value_get(s->config, "num_latents") || named);
}

static enum sx_status read_config_keys(const struct sx_sae_source *s, struct sx_sae_info *info,
                                       struct sx_error *err)
{
    const struct sx_value *cfg = s->config;
    if (sx_value_bool_or(sx_value_get(cfg, "transcode"), false))
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: a transcoder: it predicts a module's output, not its own input",
                       s->config_path);
    const char *activation = sx_value_string_or(sx_value_get(cfg, "activation"), "topk");
    if (strcmp(activation, "topk") == 0)
        info->arch = SX_ARCH_TOPK;
    else if (strcmp(activation, "groupmax") == 0)
        info->arch = SX_ARCH_GROUPMAX;
    else
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: activation \"%s\", expected topk or groupmax",
                       s->config_path, activation);
    info->signed_topk = sx_value_bool_or(sx_value_get(cfg, "signed"), false);
    info->k = sx_value_int_or(sx_value_get(cfg, "k"), -1);
    if (info->k < 1)
        return sx_fail(err, SX_ERR_FORMAT, "%s: k is missing or not a positive integer",
                       s->config_path);
    info->subtract_b_dec = true;
    sx_info_set(&info->library_class, activation);
    return SX_OK;
}

static enum sx_status check_size(const struct sx_sae_source *s, struct sx_error *err)
{
    int64_t i = sx_source_find(s, "", "encoder.weight");
    if (i < 0 || !sx_source_has(s, "W_dec"))
        return sx_fail(err, SX_ERR_FORMAT, "%s: no tensor %s", s->file,
                       i < 0 ? "encoder.weight" : "W_dec (saved without its decoder)");
    const struct sx_tensor_info *w = sx_tensor_file_info(s->tensors, (size_t)i);
    int64_t d = sx_value_int_or(sx_value_get(s->config, "d_in"), -1);
    int64_t f = sx_value_int_or(sx_value_get(s->config, "num_latents"), 0);
    int64_t factor = sx_value_int_or(sx_value_get(s->config, "expansion_factor"), -1);
    if (f == 0 && d > 0 && factor > 0 && factor < INT32_MAX && d < INT32_MAX)
        f = d * factor;
    if (w->rank != 2 || (d >= 0 && (uint64_t)d != w->shape[1]) ||
        (f > 0 && (uint64_t)f != w->shape[0]))
        return sx_fail(err, SX_ERR_SHAPE,
                       "%s: encoder.weight is [%llu, %llu], expected [%lld, %lld] by cfg.json",
                       s->file, (unsigned long long)w->shape[0], (unsigned long long)w->shape[1],
                       (long long)f, (long long)d);
    return SX_OK;
}

static bool is_seed_folder(const char *name)
{
    return strncmp(name, "seed", 4) == 0 && name[4] >= '0' && name[4] <= '9';
}

/* …/run/layers.3/seed0: hook point, seed and the run's configuration come from the folders. */
static void read_place(const struct sx_sae_source *s, struct sx_sae_info *info)
{
    char *hook_folder = sx_xstrdup(s->folder);
    char *name = sx_path_base(hook_folder);
    if (is_seed_folder(name)) {
        info->seed = sx_path_number(name, "seed");
        char *up = sx_path_dir(hook_folder);
        sx_free(hook_folder);
        hook_folder = up;
        sx_free(name);
        name = sx_path_base(hook_folder);
    }
    info->layer = sx_path_number(name, "layers.");
    if (info->layer < 0)
        info->layer = sx_path_number(name, "h.");
    if (info->layer >= 0 || strcmp(name, "embed_tokens") == 0 || info->seed >= 0)
        sx_info_set(&info->hook, name);
    sx_free(name);

    char *run = sx_path_dir(hook_folder);
    char *path = sx_xasprintf("%s/config.json", run);
    struct sx_value *config = NULL;
    if (sx_json_parse_file(path, &config, NULL) == SX_OK && sx_value_get(config, "sae")) {
        sx_info_set(&info->model, sx_value_string_or(sx_value_get(config, "model"), NULL));
        const struct sx_value *seeds = sx_value_get(config, "init_seeds");
        if (info->seed < 0 && sx_value_kind(seeds) == SX_VALUE_LIST && sx_value_count(seeds) == 1)
            info->seed = sx_value_int_or(sx_value_item(seeds, 0), -1);
    }
    sx_value_free(config);
    sx_free(path);
    sx_free(run);
    sx_free(hook_folder);
}

static enum sx_status describe(const struct sx_sae_source *s, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err)
{
    if (!s->config)
        return sx_fail(err, s->config_error.status, "%s", s->config_error.message);
    SX_TRY(read_config_keys(s, info, err));
    SX_TRY(check_size(s, err));
    sx_layout_place(layout, s, SX_SLOT_W_ENC, "", "encoder.weight", false);
    sx_layout_place(layout, s, SX_SLOT_B_ENC, "", "encoder.bias", false);
    sx_layout_place(layout, s, SX_SLOT_W_DEC, "", "W_dec", false);
    sx_layout_place(layout, s, SX_SLOT_B_DEC, "", "b_dec", false);
    bool skip = sx_layout_place(layout, s, SX_SLOT_W_SKIP, "", "W_skip", false);
    if (!skip && sx_value_bool_or(sx_value_get(s->config, "skip_connection"), false))
        return sx_fail(err, SX_ERR_FORMAT, "%s: skip_connection, but no tensor W_skip", s->file);
    if (sx_value_bool_or(sx_value_get(s->config, "normalize_decoder"), true))
        info->constraint = SX_CONSTRAINT_RENORM_PROJECT;
    read_place(s, info);
    return SX_OK;
}

const struct sx_sae_reader sx_sae_reader_sparsify = {
    .format = SX_SAE_SPARSIFY,
    .claims = claims,
    .describe = describe,
};
