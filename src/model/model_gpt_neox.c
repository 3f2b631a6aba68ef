/* GPT-NeoX and Pythia (Biderman et al. 2023) as transformers writes them. */
#include <string.h>

#include "model_private.h"
#include "sextant/base/alloc.h"

#define LAYER "@layers.*."
static const struct model_spec specs[] = {
    {SLOT_EMBED, NEED_ALWAYS, "VD", {"@embed_in.weight"}},
    {SLOT_LN1_GAMMA, NEED_ALWAYS, "D", {LAYER "input_layernorm.weight"}},
    {SLOT_LN1_BETA, NEED_ALWAYS, "D", {LAYER "input_layernorm.bias"}},
    {SLOT_QKV_W, NEED_ALWAYS, "TD", {LAYER "attention.query_key_value.weight"}},
    {SLOT_QKV_B, NEED_BIAS, "T", {LAYER "attention.query_key_value.bias"}},
    {SLOT_ATTN_OUT_W, NEED_ALWAYS, "DD", {LAYER "attention.dense.weight"}},
    {SLOT_ATTN_OUT_B, NEED_BIAS, "D", {LAYER "attention.dense.bias"}},
    {SLOT_LN2_GAMMA, NEED_ALWAYS, "D", {LAYER "post_attention_layernorm.weight"}},
    {SLOT_LN2_BETA, NEED_ALWAYS, "D", {LAYER "post_attention_layernorm.bias"}},
    {SLOT_UP_W, NEED_ALWAYS, "FD", {LAYER "mlp.dense_h_to_4h.weight"}},
    {SLOT_UP_B, NEED_ALWAYS, "F", {LAYER "mlp.dense_h_to_4h.bias"}},
    {SLOT_DOWN_W, NEED_ALWAYS, "DF", {LAYER "mlp.dense_4h_to_h.weight"}},
    {SLOT_DOWN_B, NEED_ALWAYS, "D", {LAYER "mlp.dense_4h_to_h.bias"}},
    {SLOT_INV_FREQ,
     NEED_LAYERS,
     "R",
     {LAYER "attention.rotary_emb.inv_freq", "@rotary_emb.inv_freq"}},
    {SLOT_FINAL_GAMMA, NEED_ALWAYS, "D", {"@final_layer_norm.weight"}},
    {SLOT_FINAL_BETA, NEED_ALWAYS, "D", {"@final_layer_norm.bias"}},
    /* lm_head: what a state_dict of transformers 5 holds in memory. */
    {SLOT_UNEMBED, NEED_HEAD, "VD", {"embed_out.weight", "lm_head.weight"}},
};
#undef LAYER

/* Causal masks of transformers up to 4.30. */
static const char *const ignored[] = {".attention.bias", ".attention.masked_bias", NULL};

static enum sx_status read_activation(const struct model_source *s, struct model_plan *plan,
                                      struct sx_error *err)
{
    static const struct {
        const char *name;
        enum sx_activation act;
    } known[] = {
        {"gelu", SX_ACT_GELU},
        {"gelu_new", SX_ACT_GELU_TANH},
        {"gelu_fast", SX_ACT_GELU_TANH},
        {"gelu_pytorch_tanh", SX_ACT_GELU_TANH},
    };
    const char *name = sx_value_string_or(sx_value_get(s->config, "hidden_act"), "gelu");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) {
            plan->activation = known[i].act;
            return SX_OK;
        }
    return sx_fail(err, SX_ERR_UNSUPPORTED,
                   "%s: hidden_act is \"%s\", expected gelu, gelu_new, gelu_fast or "
                   "gelu_pytorch_tanh",
                   s->config_path, name);
}

/* Fine-tunes change the vocabulary without saying so: the tensor counts. */
static enum sx_status take_vocabulary(const struct model_source *s, struct sx_model_info *info,
                                      struct sx_error *err)
{
    struct model_place place;
    SX_TRY(sx_model_find(s, &sx_model_family_gpt_neox, SLOT_EMBED, 0, &place, err));
    const struct sx_tensor_info *t =
        place.file ? sx_tensor_file_info(place.file, place.index) : NULL;
    if (!t || t->rank != 2 || t->shape[0] == 0 || t->shape[0] > (1U << 24))
        return SX_OK; /* said when the tensors are checked */
    if (info->vocab != 0 && info->vocab != t->shape[0])
        sx_model_warn(info, "vocab_size is %llu, but the embedding has %llu rows: these are used",
                      (unsigned long long)info->vocab, (unsigned long long)t->shape[0]);
    info->vocab = t->shape[0];
    return SX_OK;
}

static enum sx_status configure(const struct model_source *s, struct sx_model_info *info,
                                struct model_plan *plan, struct sx_error *err)
{
    static const uint64_t defaults[4] = {44, 6144, 64, 24576};
    double share;
    if (!s->config)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: GPT-NeoX tensors without a config.json beside them: the number of "
                       "heads is not known",
                       s->weights);
    SX_TRY(sx_config_sizes(s, defaults, info, err));
    SX_TRY(sx_config_eps(s, 1e-5, info, err));
    SX_TRY(read_activation(s, plan, err));
    SX_TRY(sx_config_bool(s, "use_parallel_residual", true, &info->parallel_residual, err));
    SX_TRY(sx_config_bool(s, "attention_bias", true, &plan->attention_bias, err));
    SX_TRY(sx_config_bool(s, "tie_word_embeddings", false, &plan->tied, err));
    SX_TRY(
        sx_config_count(s, "max_position_embeddings", 2048, 1U << 30, &info->max_positions, err));
    SX_TRY(sx_config_rope(s, 0.25, info, &share, err));
    info->d_head = info->d_model / info->n_heads;
    const uint64_t rotated = (uint64_t)((double)info->d_head * share);
    if (rotated < 2 || rotated % 2 != 0 || rotated > (uint64_t)2 * SX_MAX_BANDS)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: %llu of %llu dimensions of a head are rotated, expected an even number "
                       "from 2 to %d",
                       s->config_path, (unsigned long long)rotated,
                       (unsigned long long)info->d_head, 2 * SX_MAX_BANDS);
    info->n_bands = rotated / 2;
    char *tokenizer = sx_model_source_file(s, "tokenizer.json");
    info->has_tokenizer = tokenizer != NULL;
    sx_free(tokenizer);
    return s->tensors ? take_vocabulary(s, info, err) : SX_OK;
}

/* --- weights ---------------------------------------------------------------------------------- */

/* Rows of q, k or v (part 0, 1, 2) out of rows that come head by head: [H, 3, d, bytes] to
 * [H, d, bytes]. */
static void gather_part(const uint8_t *from, uint64_t heads, size_t block, size_t part,
                        uint8_t *out)
{
    for (uint64_t h = 0; h < heads; h++)
        memcpy(out + h * block, from + (3 * h + part) * block, block);
}

static enum sx_status no_memory(const struct model_place *place, struct sx_error *err)
{
    return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %s", sx_tensor_file_path(place->file),
                   sx_tensor_file_info(place->file, place->index)->name);
}

/* The product wants q, k and v apart; a layer's are gathered when the model is opened. */
static enum sx_status split_weight(struct sx_model *m, const struct model_place *place,
                                   struct sx_weight *const parts[3], struct sx_error *err)
{
    const struct sx_tensor_info *t = sx_tensor_file_info(place->file, place->index);
    const size_t d_model = (size_t)m->info.d_model;
    const uint8_t *stored = sx_tensor_file_map_raw(place->file, place->index);
    float *copy = NULL;
    enum sx_storage storage = t->dtype == SX_DTYPE_F16    ? SX_STORE_F16
                              : t->dtype == SX_DTYPE_BF16 ? SX_STORE_BF16
                                                          : SX_STORE_F32;
    enum sx_status status = SX_OK;
    if (!stored || t->dtype == SX_DTYPE_F64) {
        copy = sx_alloc_big((size_t)t->count, sizeof *copy);
        status = copy ? sx_tensor_file_read_f32(place->file, place->index, copy, err)
                      : no_memory(place, err);
        stored = (const uint8_t *)copy;
        storage = SX_STORE_F32;
    }
    const size_t block = (size_t)m->info.d_head * d_model * sx_storage_size(storage);
    for (size_t i = 0; i < 3 && status == SX_OK; i++) {
        uint8_t *rows = sx_model_alloc(m, d_model * d_model, sx_storage_size(storage));
        if (!rows) {
            status = no_memory(place, err);
            break;
        }
        gather_part(stored, m->info.n_heads, block, i, rows);
        parts[i]->storage = storage;
        parts[i]->stored = rows;
        parts[i]->out = parts[i]->in = d_model;
    }
    sx_free(copy);
    return status;
}

static enum sx_status split_bias(struct sx_model *m, const struct model_place *place,
                                 struct sx_weight *const parts[3], struct sx_error *err)
{
    const float *all;
    if (!place->file)
        return SX_OK;
    SX_TRY(sx_model_bind_vector(m, place, &all, err));
    for (size_t i = 0; i < 3; i++) {
        float *part = sx_model_alloc(m, (size_t)m->info.d_model, sizeof *part);
        if (!part)
            return no_memory(place, err);
        gather_part((const uint8_t *)all, m->info.n_heads, (size_t)m->info.d_head * sizeof *part, i,
                    (uint8_t *)part);
        parts[i]->bias = part;
    }
    return SX_OK;
}

static enum sx_status bind_layer(struct sx_model *m, const struct model_place p[SLOT_COUNT],
                                 struct sx_layer *layer, struct sx_error *err)
{
    struct sx_weight *const parts[3] = {&layer->q, &layer->k, &layer->v};
    SX_TRY(sx_model_bind_norm(m, &p[SLOT_LN1_GAMMA], &p[SLOT_LN1_BETA], &layer->ln1, err));
    SX_TRY(split_weight(m, &p[SLOT_QKV_W], parts, err));
    SX_TRY(split_bias(m, &p[SLOT_QKV_B], parts, err));
    SX_TRY(
        sx_model_bind_weight(m, &p[SLOT_ATTN_OUT_W], &p[SLOT_ATTN_OUT_B], &layer->attn_out, err));
    SX_TRY(sx_model_bind_norm(m, &p[SLOT_LN2_GAMMA], &p[SLOT_LN2_BETA], &layer->ln2, err));
    SX_TRY(sx_model_bind_weight(m, &p[SLOT_UP_W], &p[SLOT_UP_B], &layer->up, err));
    return sx_model_bind_weight(m, &p[SLOT_DOWN_W], &p[SLOT_DOWN_B], &layer->down, err);
}

static enum sx_status bind_unembed(struct sx_model *m, const struct model_plan *plan,
                                   struct sx_error *err)
{
    struct sx_model_weights *w = &m->weights;
    const struct model_place *out = &plan->once[SLOT_UNEMBED];
    if (!plan->tied)
        return out->file ? sx_model_bind_weight(m, out, NULL, &w->unembed, err) : SX_OK;
    sx_model_share_weight(&w->unembed, &w->embed);
    if (out->file && sx_tensor_file_map_raw(out->file, out->index) != w->embed.stored)
        sx_model_warn(&m->info, "tie_word_embeddings is true: %s is not used",
                      sx_tensor_file_info(out->file, out->index)->name);
    return SX_OK;
}

static enum sx_status bind_frequencies(struct sx_model *m, const struct model_plan *plan,
                                       const struct sx_model_options *options, struct sx_error *err)
{
    m->info.stored_frequencies = options->rope_stored;
    if (options->rope_stored) {
        if (!plan->layers[0][SLOT_INV_FREQ].file)
            return sx_fail(err, SX_ERR_USAGE, "%s: no inv_freq is stored in it", m->info.path);
        return sx_model_stored_frequencies(plan, &m->info, m->frequencies, err);
    }
    for (uint64_t b = 0; b < m->info.n_bands; b++)
        m->frequencies[b] = sx_model_frequency(&m->info, b);
    return SX_OK;
}

static enum sx_status bind(struct sx_model *m, const struct model_plan *plan,
                           const struct sx_model_options *options, struct sx_error *err)
{
    struct sx_model_weights *w = &m->weights;
    w->activation = plan->activation;
    SX_TRY(sx_model_bind_weight(m, &plan->once[SLOT_EMBED], NULL, &w->embed, err));
    for (uint64_t l = 0; l < m->info.n_layers; l++)
        SX_TRY(bind_layer(m, plan->layers[l], &m->layers[l], err));
    SX_TRY(sx_model_bind_norm(m, &plan->once[SLOT_FINAL_GAMMA], &plan->once[SLOT_FINAL_BETA],
                              &w->final_ln, err));
    SX_TRY(bind_unembed(m, plan, err));
    return bind_frequencies(m, plan, options, err);
}

const struct model_family sx_model_family_gpt_neox = {
    .id = SX_MODEL_GPT_NEOX,
    .format = SX_MODEL_HUGGING_FACE,
    .specs = specs,
    .n_specs = sizeof specs / sizeof *specs,
    .body = {"gpt_neox.", ""},
    .head = {"", ""},
    .layer_stem = "layers.",
    .ignored = ignored,
    .configure = configure,
    .bind = bind,
};
