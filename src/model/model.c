/* Opening: choose the family, make its plan from headers, bind the weights. What a probe answers is
 * what opening says, because both make the same plan. */
#include "sextant/model/model.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/hash.h"
#include "sextant/base/text.h"
#include "sextant/model/names.h"
#include "sextant/model/tokenizer.h"

const char *sx_model_family_name(enum sx_model_family family)
{
    static const char *const names[] = {
        [SX_MODEL_ESM2] = "ESM-2", [SX_MODEL_GPT_NEOX] = "GPT-NeoX"};
    return names[family];
}

const char *sx_model_format_name(enum sx_model_format format)
{
    static const char *const names[] = {
        [SX_MODEL_HUGGING_FACE] = "Hugging Face", [SX_MODEL_FAIR_ESM] = "fair-esm"};
    return names[format];
}

/* --- info ------------------------------------------------------------------------------------- */

void sx_model_warn(struct sx_model_info *info, const char *fmt, ...)
{
    if (info->n_warnings == SX_MAX_MODEL_WARNINGS)
        return;
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n >= 0)
        info->warnings[info->n_warnings++] = sx_text_clean_dup(text, strlen(text), sizeof text);
}

void sx_model_info_release(struct sx_model_info *info)
{
    sx_free(info->path);
    sx_free(info->name);
    for (size_t i = 0; i < info->n_warnings; i++)
        sx_free(info->warnings[i]);
    *info = (struct sx_model_info){0};
}

/* --- which family ----------------------------------------------------------------------------- */

static enum sx_status family_by_config(const struct model_source *s,
                                       const struct model_family **family, struct sx_error *err)
{
    const char *type = sx_value_string_or(sx_value_get(s->config, "model_type"), "");
    if (strcmp(type, "esm") == 0)
        *family = &sx_model_family_esm2;
    else if (strcmp(type, "gpt_neox") == 0)
        *family = &sx_model_family_gpt_neox;
    else
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: model_type is \"%s\"; ESM-2 (\"esm\") and GPT-NeoX (\"gpt_neox\") are "
                       "read",
                       s->config_path, type);
    return SX_OK;
}

static enum sx_status family_by_tensors(const struct model_source *s,
                                        const struct model_family **family, struct sx_error *err)
{
    static const struct model_family *const families[] = {
        &sx_model_family_fair_esm, &sx_model_family_esm2, &sx_model_family_gpt_neox};
    const struct sx_value *extra = sx_tensor_file_extra(s->tensors);
    if (sx_value_at(extra, "args.arch"))
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: a fair-esm checkpoint with args.arch (\"%s\"): ESM-1 is not read",
                       s->weights, sx_value_string_or(sx_value_at(extra, "args.arch"), "?"));
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct model_place embed, up; /* other families have an embed_tokens.weight too */
        SX_TRY(sx_model_find(s, families[i], SLOT_EMBED, 0, &embed, err));
        SX_TRY(sx_model_find(s, families[i], SLOT_UP_W, 0, &up, err));
        if (embed.file && up.file) {
            *family = families[i];
            return SX_OK;
        }
    }
    return sx_fail(err, SX_ERR_NOTFOUND, "%s: tensors, but none of a transformer's names",
                   s->weights);
}

/* A fair-esm file may lie in a folder whose config.json speaks of another file. */
static void forget_config(struct model_source *s)
{
    if (!s->config || !sx_value_at(sx_tensor_file_extra(s->tensors), "cfg.model"))
        return;
    sx_value_free(s->config);
    s->config = NULL;
    sx_free(s->config_path);
    s->config_path = NULL;
}

static enum sx_status open_tensors(struct model_source *s, struct sx_error *err)
{
    if (!s->weights)
        return sx_fail(err, SX_ERR_IO,
                       "%s: no weights beside it: model.safetensors, pytorch_model.bin or the "
                       "index.json of one in shards",
                       s->config_path);
    SX_TRY(sx_tensor_file_open(s->weights, &s->tensors, err));
    forget_config(s);
    return SX_OK;
}

/* fair-esm keeps the contact head in a file of its own. */
static enum sx_status open_contacts(struct model_source *s, struct sx_error *err)
{
    char *name = sx_model_source_name(s);
    char *file = sx_xasprintf("%s-contact-regression.pt", name);
    char *path = sx_model_source_file(s, file);
    enum sx_status status = SX_OK;
    if (path)
        status = sx_tensor_file_open(path, &s->contacts, err);
    sx_free(path);
    sx_free(file);
    sx_free(name);
    return status;
}

static void warn_heads(struct sx_model_info *info, const struct model_plan *plan)
{
    if (plan->tied)
        info->has_lm_head = true;
    if (!info->has_lm_head)
        sx_model_warn(info, "no language model head: there are no logits");
    if (info->family == SX_MODEL_ESM2 && !info->has_contact_head)
        sx_model_warn(info, info->format == SX_MODEL_FAIR_ESM
                                ? "no -contact-regression.pt beside the file: there are no contacts"
                                : "no contact head: there are no contacts");
    if (!info->has_tokenizer)
        sx_model_warn(info, "no tokenizer.json: input must be token ids");
}

/* Everything that headers say. On failure info is released; the plan is the caller's. */
static enum sx_status describe(struct model_source *s, struct sx_model_info *info,
                               struct model_plan *plan, struct sx_error *err)
{
    const struct model_family *family = NULL;
    *info = (struct sx_model_info){0};
    *plan = (struct model_plan){0};
    if (s->config) /* a refusal does not wait for the weights */
        SX_TRY(family_by_config(s, &family, err));
    SX_TRY(open_tensors(s, err));
    if (!s->config)
        SX_TRY(family_by_tensors(s, &family, err));
    SX_ASSERT(family);
    plan->family = family;
    info->family = family->id;
    info->format = family->format;
    if (family == &sx_model_family_fair_esm)
        SX_TRY(open_contacts(s, err));
    SX_TRY(family->configure(s, info, plan, err));
    SX_TRY(sx_model_resolve(s, info, plan, err));
    info->stored_frequencies =
        family->id == SX_MODEL_ESM2 && plan->layers[0][SLOT_INV_FREQ].file != NULL;
    warn_heads(info, plan);
    info->path = sx_xstrdup(s->path);
    info->name = sx_model_source_name(s);
    info->bytes = sx_model_source_bytes(s);
    return SX_OK;
}

/* ESM-2's alphabet is fixed, and a vocab.txt that says otherwise makes it another model. GPT-NeoX
 * can be run on token ids, whatever is wrong with its tokenizer. */
static enum sx_status open_tokenizer(const struct model_source *s, struct sx_model_info *info,
                                     struct sx_tokenizer **tokenizer, struct sx_error *err)
{
    const bool esm = info->family == SX_MODEL_ESM2;
    char *path = sx_model_source_file(s, esm ? "vocab.txt" : "tokenizer.json");
    enum sx_status status = SX_OK;
    struct sx_error why = {0};
    if (esm) {
        status = sx_tokenizer_esm2(path, tokenizer, err);
    } else if (path && sx_tokenizer_open(path, tokenizer, &why) != SX_OK) {
        info->has_tokenizer = false;
        sx_model_warn(info, "the tokenizer is not usable, input must be token ids: %s",
                      why.message);
    } else if (*tokenizer && sx_tokenizer_size(*tokenizer) > info->vocab) {
        sx_model_warn(info, "the tokenizer has ids up to %zu, but the model has %llu tokens",
                      sx_tokenizer_size(*tokenizer) - 1, (unsigned long long)info->vocab);
    }
    sx_free(path);
    return status;
}

enum sx_status sx_model_probe(const char *path, struct sx_model_info *info, struct sx_error *err)
{
    struct model_source source;
    struct model_plan plan;
    SX_TRY(sx_model_source_open(path, &source, err));
    struct sx_tokenizer *tokenizer = NULL;
    enum sx_status status = describe(&source, info, &plan, err);
    if (status == SX_OK && info->family == SX_MODEL_ESM2) /* the other kind takes a while */
        status = open_tokenizer(&source, info, &tokenizer, err);
    sx_tokenizer_free(tokenizer);
    if (status != SX_OK)
        sx_model_info_release(info);
    sx_model_plan_release(&plan);
    sx_model_source_close(&source);
    return status;
}

/* --- life ------------------------------------------------------------------------------------- */

static void free_wide(struct sx_weight *w)
{
    sx_free(atomic_load_explicit(&w->wide, memory_order_relaxed));
}

static void model_free(struct sx_model *m)
{
    for (uint64_t l = 0; m->layers && l < m->info.n_layers; l++) {
        struct sx_layer *x = &m->layers[l];
        struct sx_weight *all[] = {&x->q, &x->k, &x->v, &x->attn_out, &x->up, &x->down};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            free_wide(all[i]);
    }
    free_wide(&m->weights.embed);
    free_wide(&m->weights.head_dense);
    free_wide(&m->weights.unembed);
    for (size_t i = 0; i < m->n_owned; i++)
        sx_free(m->owned[i]);
    sx_free(m->owned);
    sx_free(m->layers);
    sx_free(m->frequencies);
    sx_free(atomic_load_explicit(&m->fingerprint, memory_order_relaxed));
    sx_tokenizer_free(m->tokenizer);
    sx_tensor_file_close(m->tensors);
    sx_tensor_file_close(m->contacts);
    sx_model_info_release(&m->info);
    sx_free(m);
}

struct sx_model *sx_model_ref(struct sx_model *model)
{
    atomic_fetch_add_explicit(&model->refs, 1, memory_order_relaxed);
    return model;
}

void sx_model_unref(struct sx_model *model)
{
    if (model && atomic_fetch_sub_explicit(&model->refs, 1, memory_order_acq_rel) == 1)
        model_free(model);
}

/* Takes what the source holds open. */
static struct sx_model *model_new(struct model_source *s, const struct sx_model_info *info)
{
    struct sx_model *m = sx_xcalloc(1, sizeof *m);
    atomic_init(&m->refs, 1);
    m->info = *info;
    m->layers = sx_xcalloc(info->n_layers, sizeof *m->layers);
    m->frequencies = sx_xcalloc(info->n_bands, sizeof *m->frequencies);
    m->weights.layers = m->layers;
    m->weights.eps = (float)info->layer_norm_eps;
    m->tensors = s->tensors;
    m->contacts = s->contacts;
    s->tensors = s->contacts = NULL;
    return m;
}

enum sx_status sx_model_open(const char *path, const struct sx_model_options *options,
                             struct sx_model **model, struct sx_error *err)
{
    const struct sx_model_options none = {0};
    struct model_source source;
    struct model_plan plan;
    struct sx_model_info info;
    struct sx_model *m = NULL;
    *model = NULL;
    SX_TRY(sx_model_source_open(path, &source, err));
    enum sx_status status = describe(&source, &info, &plan, err);
    if (status == SX_OK) {
        m = model_new(&source, &info);
        status = plan.family->bind(m, &plan, options ? options : &none, err);
    } else {
        sx_model_info_release(&info);
    }
    if (status == SX_OK)
        status = open_tokenizer(&source, &m->info, &m->tokenizer, err);
    if (status == SX_OK && sx_tensor_file_was_cut(m->tensors))
        status = sx_fail(err, SX_ERR_IO, "%s: the file was cut shorter while it was opened", path);
    if (status == SX_OK)
        *model = m;
    else
        sx_model_unref(m);
    sx_model_plan_release(&plan);
    sx_model_source_close(&source);
    return status;
}

/* --- asking ----------------------------------------------------------------------------------- */

const struct sx_model_info *sx_model_info(const struct sx_model *model)
{
    return &model->info;
}

const struct sx_tokenizer *sx_model_tokenizer(const struct sx_model *model)
{
    return model->tokenizer;
}

const float *sx_model_frequencies(const struct sx_model *model)
{
    return model->frequencies;
}

const struct sx_model_weights *sx_model_weights(const struct sx_model *model)
{
    return &model->weights;
}

/* Of several threads that come first, one's copy stays. */
const float *sx_weight_f32(const struct sx_weight *weight)
{
    if (weight->storage == SX_STORE_F32)
        return weight->stored;
    /* The cache of an otherwise constant weight. */
    struct sx_weight *w = (struct sx_weight *)(uintptr_t)weight;
    float *wide = atomic_load_explicit(&w->wide, memory_order_acquire);
    if (wide)
        return wide;
    float *mine = sx_alloc_big(w->out * w->in, sizeof *mine);
    if (!mine)
        return NULL;
    sx_widen(w->storage, w->stored, mine, w->out * w->in);
    if (atomic_compare_exchange_strong_explicit(&w->wide, &wide, mine, memory_order_acq_rel,
                                                memory_order_acquire))
        return mine;
    sx_free(mine);
    return wide;
}

/* The settings that change outputs without changing weights count too. */
static void hash_settings(const struct sx_model *m, struct sx_hash *hash)
{
    const struct sx_model_info *i = &m->info;
    char text[256];
    int n =
        snprintf(text, sizeof text, "%s %llu %llu %.17g %d %d %d", sx_model_family_name(i->family),
                 (unsigned long long)i->n_heads, (unsigned long long)i->n_bands, i->layer_norm_eps,
                 i->token_dropout, i->parallel_residual, (int)m->weights.activation);
    sx_hash_update(hash, text, n > 0 ? (size_t)n : 0);
    sx_hash_update(hash, m->frequencies, (size_t)i->n_bands * sizeof *m->frequencies);
}

enum sx_status sx_model_fingerprint(struct sx_model *model, char out[33], struct sx_error *err)
{
    char *known = atomic_load_explicit(&model->fingerprint, memory_order_acquire);
    if (!known) {
        char parts[2][33] = {"", ""}, all[33];
        SX_TRY(sx_tensor_file_fingerprint(model->tensors, parts[0], err));
        if (model->contacts)
            SX_TRY(sx_tensor_file_fingerprint(model->contacts, parts[1], err));
        struct sx_hash *hash = sx_hash_new();
        sx_hash_update(hash, parts, sizeof parts);
        hash_settings(model, hash);
        sx_hash_finish(hash, all);
        char *mine = sx_xstrdup(all);
        if (atomic_compare_exchange_strong(&model->fingerprint, &known, mine))
            known = mine;
        else
            sx_free(mine);
    }
    memcpy(out, known, 33);
    return SX_OK;
}
