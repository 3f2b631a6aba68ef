/* ESM-2 (Lin et al. 2023) as transformers writes it, versions 4 and 5. */
#include <math.h>
#include <string.h>

#include "model_esm2.h"
#include "model_private.h"
#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

#define LAYER "@encoder.layer.*."
static const struct model_spec specs[] = {
    {SLOT_EMBED, NEED_ALWAYS, "VD", {"@embeddings.word_embeddings.weight"}},
    {SLOT_LN1_GAMMA, NEED_ALWAYS, "D", {LAYER "attention.LayerNorm.weight"}},
    {SLOT_LN1_BETA, NEED_ALWAYS, "D", {LAYER "attention.LayerNorm.bias"}},
    {SLOT_Q_W, NEED_ALWAYS, "DD", {LAYER "attention.self.query.weight"}},
    {SLOT_Q_B, NEED_ALWAYS, "D", {LAYER "attention.self.query.bias"}},
    {SLOT_K_W, NEED_ALWAYS, "DD", {LAYER "attention.self.key.weight"}},
    {SLOT_K_B, NEED_ALWAYS, "D", {LAYER "attention.self.key.bias"}},
    {SLOT_V_W, NEED_ALWAYS, "DD", {LAYER "attention.self.value.weight"}},
    {SLOT_V_B, NEED_ALWAYS, "D", {LAYER "attention.self.value.bias"}},
    {SLOT_ATTN_OUT_W, NEED_ALWAYS, "DD", {LAYER "attention.output.dense.weight"}},
    {SLOT_ATTN_OUT_B, NEED_ALWAYS, "D", {LAYER "attention.output.dense.bias"}},
    {SLOT_LN2_GAMMA, NEED_ALWAYS, "D", {LAYER "LayerNorm.weight"}},
    {SLOT_LN2_BETA, NEED_ALWAYS, "D", {LAYER "LayerNorm.bias"}},
    {SLOT_UP_W, NEED_ALWAYS, "FD", {LAYER "intermediate.dense.weight"}},
    {SLOT_UP_B, NEED_ALWAYS, "F", {LAYER "intermediate.dense.bias"}},
    {SLOT_DOWN_W, NEED_ALWAYS, "DF", {LAYER "output.dense.weight"}},
    {SLOT_DOWN_B, NEED_ALWAYS, "D", {LAYER "output.dense.bias"}},
    /* One for all layers: what a state_dict of transformers 5 holds in memory. */
    {SLOT_INV_FREQ,
     NEED_LAYERS,
     "R",
     {LAYER "attention.self.rotary_embeddings.inv_freq", "@rotary_embeddings.inv_freq"}},
    {SLOT_FINAL_GAMMA, NEED_ALWAYS, "D", {"@encoder.emb_layer_norm_after.weight"}},
    {SLOT_FINAL_BETA, NEED_ALWAYS, "D", {"@encoder.emb_layer_norm_after.bias"}},
    {SLOT_HEAD_DENSE_W, NEED_HEAD, "DD", {"lm_head.dense.weight"}},
    {SLOT_HEAD_DENSE_B, NEED_HEAD, "D", {"lm_head.dense.bias"}},
    {SLOT_HEAD_GAMMA, NEED_HEAD, "D", {"lm_head.layer_norm.weight"}},
    {SLOT_HEAD_BETA, NEED_HEAD, "D", {"lm_head.layer_norm.bias"}},
    {SLOT_HEAD_BIAS, NEED_HEAD, "V", {"lm_head.bias"}},
    {SLOT_UNEMBED, NEED_OPTIONAL, "VD", {"lm_head.decoder.weight"}},
    {SLOT_CONTACT_W, NEED_CONTACT, "1C", {"@contact_head.regression.weight"}},
    {SLOT_CONTACT_B, NEED_CONTACT, "1", {"@contact_head.regression.bias"}},
};
#undef LAYER

/* Learned positions are there but not used by a rotary model. */
static const char *const ignored[] = {"embeddings.position_ids",
                                      "embeddings.position_embeddings.weight", NULL};

enum sx_status sx_esm2_check(const char *where, struct sx_model_info *info, struct sx_error *err)
{
    if (info->vocab != SX_ESM_VOCAB)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: a vocabulary of %llu, expected ESM-2's %d: another alphabet is another "
                       "model",
                       where, (unsigned long long)info->vocab, (int)SX_ESM_VOCAB);
    info->d_head = info->d_model / info->n_heads;
    if (info->d_head % 2 != 0)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: heads of %llu dimensions; rotary pairs need an even number", where,
                       (unsigned long long)info->d_head);
    info->n_bands = info->d_head / 2;
    if (info->n_bands > SX_MAX_BANDS)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: heads of %llu dimensions, at most %d are read",
                       where, (unsigned long long)info->d_head, 2 * SX_MAX_BANDS);
    info->parallel_residual = false;
    info->has_tokenizer = true;
    return SX_OK;
}

/* Relatives that share model_type "esm". */
static enum sx_status refuse_relatives(const struct model_source *s, struct sx_error *err)
{
    bool folding, norm_before, decoder, cross;
    const char *positions =
        sx_value_string_or(sx_value_get(s->config, "position_embedding_type"), "absolute");
    SX_TRY(sx_config_bool(s, "is_folding_model", false, &folding, err));
    SX_TRY(sx_config_bool(s, "emb_layer_norm_before", false, &norm_before, err));
    SX_TRY(sx_config_bool(s, "is_decoder", false, &decoder, err));
    SX_TRY(sx_config_bool(s, "add_cross_attention", false, &cross, err));
    if (folding)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: is_folding_model is true: ESMFold is not read",
                       s->config_path);
    if (strcmp(positions, "rotary") != 0)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: position_embedding_type is \"%s\", expected \"rotary\": ESM-1 is not "
                       "read",
                       s->config_path, positions);
    if (norm_before)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: emb_layer_norm_before is true: ESM-1b is not read", s->config_path);
    if (decoder || cross)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s is true: only ESM-2 encoders are computed",
                       s->config_path, decoder ? "is_decoder" : "add_cross_attention");
    return SX_OK;
}

static enum sx_status configure(const struct model_source *s, struct sx_model_info *info,
                                struct model_plan *plan, struct sx_error *err)
{
    static const uint64_t defaults[4] = {12, 768, 12, 3072};
    double share;
    uint64_t positions;
    (void)plan;
    if (!s->config) {
        SX_TRY(sx_model_infer(s, &sx_model_family_esm2, info, err));
        info->layer_norm_eps = 1e-5;
        info->rope_theta = 10000;
        info->token_dropout = true;
        info->max_positions = SX_ESM2_POSITIONS;
        sx_model_warn(info, "no config.json: sizes are those of the tensors, settings are ESM-2's");
        return sx_esm2_check(s->weights, info, err);
    }
    SX_TRY(refuse_relatives(s, err));
    SX_TRY(sx_config_sizes(s, defaults, info, err));
    if (info->vocab == 0)
        info->vocab = SX_ESM_VOCAB;
    SX_TRY(sx_config_eps(s, 1e-12, info, err));
    SX_TRY(sx_config_bool(s, "token_dropout", false, &info->token_dropout, err));
    SX_TRY(sx_config_rope(s, 1, info, &share, err));
    if (share != 1)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: partial_rotary_factor is %.9g, ESM-2 rotates whole heads",
                       s->config_path, share);
    /* The learned positions of ESM-1 began behind the padding id; the count still says so. */
    SX_TRY(sx_config_count(s, "max_position_embeddings", 1026, 1U << 30, &positions, err));
    info->max_positions = positions > 2 ? positions - 2 : positions;
    return sx_esm2_check(s->config_path, info, err);
}

/* --- weights ---------------------------------------------------------------------------------- */

static enum sx_status bind_layer(struct sx_model *m, const struct model_place p[SLOT_COUNT],
                                 struct sx_layer *layer, struct sx_error *err)
{
    SX_TRY(sx_model_bind_norm(m, &p[SLOT_LN1_GAMMA], &p[SLOT_LN1_BETA], &layer->ln1, err));
    SX_TRY(sx_model_bind_weight(m, &p[SLOT_Q_W], &p[SLOT_Q_B], &layer->q, err));
    SX_TRY(sx_model_bind_weight(m, &p[SLOT_K_W], &p[SLOT_K_B], &layer->k, err));
    SX_TRY(sx_model_bind_weight(m, &p[SLOT_V_W], &p[SLOT_V_B], &layer->v, err));
    SX_TRY(
        sx_model_bind_weight(m, &p[SLOT_ATTN_OUT_W], &p[SLOT_ATTN_OUT_B], &layer->attn_out, err));
    SX_TRY(sx_model_bind_norm(m, &p[SLOT_LN2_GAMMA], &p[SLOT_LN2_BETA], &layer->ln2, err));
    SX_TRY(sx_model_bind_weight(m, &p[SLOT_UP_W], &p[SLOT_UP_B], &layer->up, err));
    return sx_model_bind_weight(m, &p[SLOT_DOWN_W], &p[SLOT_DOWN_B], &layer->down, err);
}

/* The output embedding is the input's, unless the file stores one that differs. */
static enum sx_status bind_unembed(struct sx_model *m, const struct model_plan *plan,
                                   struct sx_error *err)
{
    struct sx_model_weights *w = &m->weights;
    const struct model_place *decoder = &plan->once[SLOT_UNEMBED];
    const struct model_place *embed = &plan->once[SLOT_EMBED];
    const float *a, *b;
    sx_model_share_weight(&w->unembed, &w->embed);
    SX_TRY(sx_model_bind_vector(m, &plan->once[SLOT_HEAD_BIAS], &w->unembed.bias, err));
    if (!decoder->file)
        return SX_OK;
    SX_TRY(sx_model_bind_vector(m, decoder, &a, err));
    SX_TRY(sx_model_bind_vector(m, embed, &b, err));
    if (memcmp(a, b, w->embed.out * w->embed.in * sizeof *a) == 0)
        return SX_OK;
    sx_model_warn(&m->info, "%s differs from the embedding: it is used for the logits",
                  sx_tensor_file_info(decoder->file, decoder->index)->name);
    return sx_model_bind_weight(m, decoder, &plan->once[SLOT_HEAD_BIAS], &w->unembed, err);
}

static enum sx_status bind_heads(struct sx_model *m, const struct model_plan *plan,
                                 struct sx_error *err)
{
    struct sx_model_weights *w = &m->weights;
    const struct model_place *p = plan->once;
    const float *bias;
    if (m->info.has_lm_head) {
        SX_TRY(sx_model_bind_weight(m, &p[SLOT_HEAD_DENSE_W], &p[SLOT_HEAD_DENSE_B], &w->head_dense,
                                    err));
        SX_TRY(sx_model_bind_norm(m, &p[SLOT_HEAD_GAMMA], &p[SLOT_HEAD_BETA], &w->head_ln, err));
        SX_TRY(bind_unembed(m, plan, err));
    }
    if (!m->info.has_contact_head)
        return SX_OK;
    SX_TRY(sx_model_bind_vector(m, &p[SLOT_CONTACT_W], &w->contact_weight, err));
    SX_TRY(sx_model_bind_vector(m, &p[SLOT_CONTACT_B], &bias, err));
    w->contact_bias = *bias;
    return SX_OK;
}

/* To the nearest number of half precision, ties to even. */
static float round_to_half(float x)
{
    int e = ilogb((double)x);
    if (e < -14)
        e = -14;
    return (float)ldexp(nearbyint(ldexp((double)x, 10 - e)), e - 10);
}

/* The published weights were trained in half precision and store their frequencies rounded to it;
 * exact ones visibly change the output. */
static enum sx_status bind_frequencies(struct sx_model *m, const struct model_plan *plan,
                                       const struct sx_model_options *options, struct sx_error *err)
{
    struct sx_model_info *info = &m->info;
    const bool exact = options->rope_exact;
    if (plan->layers[0][SLOT_INV_FREQ].file && !exact) {
        info->stored_frequencies = true;
        return sx_model_stored_frequencies(plan, info, m->frequencies, err);
    }
    info->stored_frequencies = false;
    for (uint64_t b = 0; b < info->n_bands; b++) {
        const float f = sx_model_frequency(info, b);
        m->frequencies[b] = exact ? f : round_to_half(f);
    }
    if (!exact)
        sx_model_warn(info, "no inv_freq in the file: rotary frequencies are computed and rounded "
                            "to half precision, as in the published checkpoints");
    return SX_OK;
}

enum sx_status sx_esm2_bind(struct sx_model *m, const struct model_plan *plan,
                            const struct sx_model_options *options, struct sx_error *err)
{
    struct sx_model_weights *w = &m->weights;
    w->activation = SX_ACT_GELU; /* whatever hidden_act says: upstream code does not read it */
    SX_TRY(sx_model_bind_weight(m, &plan->once[SLOT_EMBED], NULL, &w->embed, err));
    for (uint64_t l = 0; l < m->info.n_layers; l++)
        SX_TRY(bind_layer(m, plan->layers[l], &m->layers[l], err));
    SX_TRY(sx_model_bind_norm(m, &plan->once[SLOT_FINAL_GAMMA], &plan->once[SLOT_FINAL_BETA],
                              &w->final_ln, err));
    SX_TRY(bind_heads(m, plan, err));
    return bind_frequencies(m, plan, options, err);
}

const struct model_family sx_model_family_esm2 = {
    .id = SX_MODEL_ESM2,
    .format = SX_MODEL_HUGGING_FACE,
    .specs = specs,
    .n_specs = sizeof specs / sizeof *specs,
    .body = {"esm.", ""},
    .head = {"", ""},
    .layer_stem = "encoder.layer.",
    .ignored = ignored,
    .configure = configure,
    .bind = sx_esm2_bind,
};
