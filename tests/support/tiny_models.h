/* Transformers for tests, written as Hugging Face folders: the two whose weights follow from a
 * formula (so that outputs of other implementations can be quoted as numbers), and random ones of
 * any shape. Tensors are kept under the names of transformers 4. */
#ifndef SEXTANT_TESTS_TINY_MODELS_H
#define SEXTANT_TESTS_TINY_MODELS_H

#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/base/str.h"
#include "sextant/io/tensor_write.h"
#include "sextant/model/types.h"

struct tiny_shape {
    enum sx_model_family family;
    uint64_t layers, d_model, heads, d_mlp, vocab;
    uint64_t bands; /* 0: half the head's size (ESM-2) */
};

static const struct tiny_shape tiny_esm2_shape = {SX_MODEL_ESM2, 2, 16, 2, 64, 33, 4};
static const struct tiny_shape tiny_neox_shape = {SX_MODEL_GPT_NEOX, 2, 32, 2, 128, 40, 2};

struct tiny_tensor {
    char *name;
    int rank;
    uint64_t shape[2];
    uint64_t count;
    float *data;
    bool wide; /* stays F32 whatever the file's type: frequencies */
};

struct tiny_model {
    struct tiny_shape shape;
    struct tiny_tensor *tensors;
    size_t n, capacity;
    uint64_t numbered; /* tensors that the formula counts */
    bool random;
    uint64_t seed;
};

/* How the folder is written; {0} is F32 as transformers 4 does it. */
struct tiny_options {
    enum sx_dtype dtype;   /* BOOL (zero) and F32: F32; F16, BF16, F64 */
    enum sx_dtype rounded; /* F16, BF16: values pass this type first, then are written as `dtype` */
    bool transformers5;    /* its names and its config.json */
    bool bare;             /* without the leading "esm." or "gpt_neox." */
    bool torch;            /* pytorch_model.bin instead of model.safetensors */
    bool no_inv_freq;
    bool half_inv_freq; /* frequencies rounded to half precision */
    bool no_lm_head;
    bool no_contact_head;
    bool no_token_dropout;
    bool sequential;        /* GPT-NeoX: use_parallel_residual false */
    bool no_attention_bias; /* GPT-NeoX */
    bool tied;              /* GPT-NeoX: no embed_out */
    bool buffers;           /* GPT-NeoX: the masks and frequencies that old versions stored */
    const char *activation; /* "gelu" */
    double eps;             /* 0: 1e-5 */
    const char *config;     /* replaces config.json: text, or "" for none */
    const char *more;       /* more lines of config.json: "\"k\": 1, \"l\": 2" */
};

/* --- rounding ---------------------------------------------------------------------------------
 */

static inline uint16_t tiny_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits += 0x7fffU + (bits >> 16 & 1U);
    return (uint16_t)(bits >> 16);
}

/* To nearest, ties to even; by arithmetic, not by bits. */
static inline uint16_t tiny_f16(float x)
{
    uint16_t sign = signbit(x) ? 0x8000U : 0;
    double a = fabs((double)x);
    if (a >= 65520)
        return (uint16_t)(sign | 0x7c00U);
    if (a == 0)
        return sign;
    int e = ilogb(a);
    if (e < -14)
        e = -14;
    double m = nearbyint(ldexp(a, 10 - e)); /* 0 .. 2048 */
    return (uint16_t)(sign | (uint16_t)((e + 14) * 1024 + (int)m));
}

static inline float tiny_round(enum sx_dtype dtype, float x)
{
    float out = x;
    uint16_t half = dtype == SX_DTYPE_F16 ? tiny_f16(x) : tiny_bf16(x);
    if (dtype == SX_DTYPE_F16 || dtype == SX_DTYPE_BF16)
        sx_dtype_to_f32(dtype, &half, 1, &out);
    return out;
}

/* --- making -----------------------------------------------------------------------------------
 */

enum tiny_kind { TINY_NORM, TINY_BIAS, TINY_EMBED, TINY_MATRIX };

/* The formula: element i (from 1) of tensor t (from 0). */
static inline float tiny_value(enum tiny_kind kind, uint64_t t, uint64_t i, uint64_t columns)
{
    uint64_t x1 =
        (i * UINT64_C(1103515245) + UINT64_C(12345) * UINT64_C(7919) * (t + 1)) % 2147483648U;
    uint64_t x2 = (x1 * UINT64_C(1664525) + UINT64_C(1013904223)) % 4294967296U;
    double u = (double)x2 / 4294967296.0 - 0.5;
    switch (kind) {
    case TINY_NORM:
        return (float)(1 + 0.4 * u);
    case TINY_BIAS:
        return (float)(0.4 * u);
    case TINY_EMBED:
        return (float)(2 * u);
    case TINY_MATRIX:
        break;
    }
    return (float)(3 * u / sqrt((double)columns));
}

static inline float tiny_random_value(enum tiny_kind kind, struct sx_rng *rng, uint64_t columns)
{
    double z = sx_rng_normal(rng);
    switch (kind) {
    case TINY_NORM:
        return (float)(1 + 0.1 * z);
    case TINY_BIAS:
        return (float)(0.1 * z);
    case TINY_EMBED:
        return (float)(0.6 * z);
    case TINY_MATRIX:
        break;
    }
    return (float)(0.9 * z / sqrt((double)columns));
}

static inline struct tiny_tensor *tiny_add(struct tiny_model *m, char *take_name, int rank,
                                           uint64_t rows, uint64_t columns)
{
    SX_GROW(m->tensors, m->capacity, m->n + 1);
    struct tiny_tensor *t = &m->tensors[m->n++];
    *t = (struct tiny_tensor){
        .name = take_name, .rank = rank, .shape = {rows, columns}, .count = rows * columns};
    t->data = sx_xmalloc(t->count * sizeof *t->data);
    return t;
}

/* rank 1: columns is 1. */
static inline void tiny_tensor(struct tiny_model *m, enum tiny_kind kind, int rank, uint64_t rows,
                               uint64_t columns, const char *fmt, ...)
{
    char name[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    struct tiny_tensor *t = tiny_add(m, sx_xstrdup(name), rank, rows, columns);
    struct sx_rng rng = sx_rng_make(m->seed, 1000 + m->numbered);
    for (uint64_t i = 0; i < t->count; i++)
        t->data[i] = m->random ? tiny_random_value(kind, &rng, columns)
                               : tiny_value(kind, m->numbered, i + 1, columns);
    m->numbered++;
}

/* Weight and bias; in 0: of a LayerNorm. */
static inline void tiny_pair(struct tiny_model *m, uint64_t out, uint64_t in, const char *stem,
                             const char *name)
{
    enum tiny_kind kind = in ? TINY_MATRIX : TINY_NORM;
    tiny_tensor(m, kind, in ? 2 : 1, out, in ? in : 1, "%s%s.weight", stem, name);
    tiny_tensor(m, TINY_BIAS, 1, out, 1, "%s%s.bias", stem, name);
}

/* theta^(-2b / rotated dimensions), as torch computes it in float32. */
static inline float tiny_frequency(uint64_t band, uint64_t bands)
{
    return 1.0F / (float)pow(10000.0, (double)((float)(2 * band) / (float)(2 * bands)));
}

static inline void tiny_frequencies(struct tiny_model *m, const char *stem, const char *name)
{
    struct tiny_tensor *t = tiny_add(m, sx_xasprintf("%s%s", stem, name), 1, m->shape.bands, 1);
    t->wide = true;
    for (uint64_t b = 0; b < t->count; b++)
        t->data[b] = tiny_frequency(b, m->shape.bands);
}

static inline void tiny_fill_esm2(struct tiny_model *m)
{
    const uint64_t d = m->shape.d_model, f = m->shape.d_mlp, v = m->shape.vocab;
    tiny_tensor(m, TINY_EMBED, 2, v, d, "esm.embeddings.word_embeddings.weight");
    for (uint64_t l = 0; l < m->shape.layers; l++) {
        char p[64];
        (void)snprintf(p, sizeof p, "esm.encoder.layer.%llu.", (unsigned long long)l);
        tiny_pair(m, d, 0, p, "attention.LayerNorm");
        tiny_pair(m, d, d, p, "attention.self.query");
        tiny_pair(m, d, d, p, "attention.self.key");
        tiny_pair(m, d, d, p, "attention.self.value");
        tiny_pair(m, d, d, p, "attention.output.dense");
        tiny_pair(m, d, 0, p, "LayerNorm");
        tiny_pair(m, f, d, p, "intermediate.dense");
        tiny_pair(m, d, f, p, "output.dense");
        tiny_frequencies(m, p, "attention.self.rotary_embeddings.inv_freq");
    }
    tiny_pair(m, d, 0, "esm.encoder.", "emb_layer_norm_after");
    tiny_pair(m, d, d, "lm_head.", "dense");
    tiny_pair(m, d, 0, "lm_head.", "layer_norm");
    tiny_tensor(m, TINY_BIAS, 1, v, 1, "lm_head.bias");
    tiny_pair(m, 1, m->shape.layers * m->shape.heads, "esm.contact_head.", "regression");
}

static inline void tiny_fill_neox(struct tiny_model *m)
{
    const uint64_t d = m->shape.d_model, f = m->shape.d_mlp, v = m->shape.vocab;
    tiny_tensor(m, TINY_EMBED, 2, v, d, "gpt_neox.embed_in.weight");
    for (uint64_t l = 0; l < m->shape.layers; l++) {
        char p[64];
        (void)snprintf(p, sizeof p, "gpt_neox.layers.%llu.", (unsigned long long)l);
        tiny_pair(m, d, 0, p, "input_layernorm");
        tiny_pair(m, 3 * d, d, p, "attention.query_key_value");
        tiny_pair(m, d, d, p, "attention.dense");
        tiny_pair(m, d, 0, p, "post_attention_layernorm");
        tiny_pair(m, f, d, p, "mlp.dense_h_to_4h");
        tiny_pair(m, d, f, p, "mlp.dense_4h_to_h");
        tiny_frequencies(m, p, "attention.rotary_emb.inv_freq");
    }
    tiny_pair(m, d, 0, "gpt_neox.", "final_layer_norm");
    tiny_tensor(m, TINY_MATRIX, 2, v, d, "embed_out.weight");
}

static inline struct tiny_model tiny_make(struct tiny_shape shape, bool random, uint64_t seed)
{
    struct tiny_model m = {.shape = shape, .random = random, .seed = seed};
    if (!m.shape.bands)
        m.shape.bands = shape.d_model / shape.heads / 2;
    if (shape.family == SX_MODEL_ESM2)
        tiny_fill_esm2(&m);
    else
        tiny_fill_neox(&m);
    return m;
}

/* The one whose outputs are known: tiny_esm2_shape or tiny_neox_shape. */
static inline struct tiny_model tiny_golden(struct tiny_shape shape)
{
    return tiny_make(shape, false, 0);
}

/* Normal weights, such that activations stay of the order of one. */
static inline struct tiny_model tiny_random(struct tiny_shape shape, uint64_t seed)
{
    return tiny_make(shape, true, seed);
}

static inline void tiny_release(struct tiny_model *m)
{
    for (size_t i = 0; i < m->n; i++) {
        sx_free(m->tensors[i].name);
        sx_free(m->tensors[i].data);
    }
    sx_free(m->tensors);
    *m = (struct tiny_model){0};
}

/* By its name in transformers 4; NULL when there is none. */
static inline struct tiny_tensor *tiny_find(const struct tiny_model *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->tensors[i].name, name) == 0)
            return &m->tensors[i];
    return NULL;
}

/* --- writing ----------------------------------------------------------------------------------
 */

static inline bool tiny_has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

static inline bool tiny_skips(const struct tiny_model *m, const char *name,
                              const struct tiny_options *o)
{
    bool esm = m->shape.family == SX_MODEL_ESM2;
    if (tiny_has(name, "inv_freq")) /* transformers 5 writes it once */
        return esm ? o->no_inv_freq || (o->transformers5 && !tiny_has(name, "layer.0."))
                   : !o->buffers;
    return (o->no_lm_head && (tiny_has(name, "lm_head") || tiny_has(name, "embed_out"))) ||
           (o->no_contact_head && tiny_has(name, "contact_head")) ||
           (o->tied && tiny_has(name, "embed_out")) ||
           (o->no_attention_bias && tiny_has(name, "attention.") && tiny_has(name, ".bias"));
}

/* The name in the file; the caller frees. */
static inline char *tiny_file_name(const char *name, const struct tiny_options *o)
{
    static const char *const prefixes[] = {"esm.", "gpt_neox."};
    struct sx_str s = SX_STR_INIT;
    for (size_t i = 0; o->bare && i < 2; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            name += strlen(prefixes[i]);
    const char *norm = strstr(name, "LayerNorm.");
    const char *layer = strstr(name, "layer.0.");
    if (o->transformers5 && tiny_has(name, "inv_freq") && layer)
        sx_str_printf(&s, "%.*slayer.*.%s", (int)(layer - name), name, layer + strlen("layer.0."));
    else if (o->transformers5 && norm)
        sx_str_printf(&s, "%.*sLayerNorm.%s", (int)(norm - name), name,
                      tiny_has(norm, "weight") ? "gamma" : "beta");
    else
        sx_str_append(&s, name);
    return sx_str_take(&s);
}

static inline void *tiny_convert(const struct tiny_tensor *t, const struct tiny_options *o,
                                 enum sx_dtype dtype)
{
    uint8_t *out = sx_xmalloc((t->count + 1) * 8);
    for (uint64_t i = 0; i < t->count; i++) {
        float x = t->data[i];
        if (!t->wide)
            x = tiny_round(o->rounded, x);
        else if (o->half_inv_freq)
            x = tiny_round(SX_DTYPE_F16, x);
        uint16_t half = dtype == SX_DTYPE_F16 ? tiny_f16(x) : tiny_bf16(x);
        double wide = x;
        if (dtype == SX_DTYPE_F64)
            memcpy(out + i * 8, &wide, 8);
        else if (dtype == SX_DTYPE_F32)
            memcpy(out + i * 4, &x, 4);
        else
            memcpy(out + i * 2, &half, 2);
    }
    return out;
}

static inline void tiny_config_esm2(const struct tiny_model *m, const struct tiny_options *o,
                                    struct sx_str *s)
{
    sx_str_printf(s,
                  "{\"architectures\": [\"EsmForMaskedLM\"], \"model_type\": \"esm\", "
                  "\"emb_layer_norm_before\": false, \"esmfold_config\": null, "
                  "\"hidden_act\": \"gelu\", \"is_folding_model\": false, "
                  "\"mask_token_id\": 32, \"pad_token_id\": 1, "
                  "\"max_position_embeddings\": 1026, "
                  "\"position_embedding_type\": \"rotary\", \"token_dropout\": %s",
                  o->no_token_dropout ? "false" : "true");
    if (o->transformers5)
        sx_str_append(s, ", \"rope_parameters\": {\"rope_theta\": 10000.0, \"rope_type\": "
                         "\"default\"}, \"dtype\": \"float32\"");
    else
        sx_str_append(s, ", \"vocab_list\": null, \"torch_dtype\": \"float32\"");
    (void)m;
}

static inline void tiny_config_neox(const struct tiny_model *m, const struct tiny_options *o,
                                    struct sx_str *s)
{
    double part = 2.0 * (double)m->shape.bands / (double)(m->shape.d_model / m->shape.heads);
    sx_str_printf(s,
                  "{\"architectures\": [\"GPTNeoXForCausalLM\"], \"model_type\": \"gpt_neox\", "
                  "\"bos_token_id\": 0, \"eos_token_id\": 0, \"hidden_act\": \"%s\", "
                  "\"max_position_embeddings\": 2048, \"tie_word_embeddings\": %s, "
                  "\"use_parallel_residual\": %s",
                  o->activation ? o->activation : "gelu", o->tied ? "true" : "false",
                  o->sequential ? "false" : "true");
    if (o->no_attention_bias)
        sx_str_append(s, ", \"attention_bias\": false");
    if (o->transformers5)
        sx_str_printf(s,
                      ", \"rope_parameters\": {\"partial_rotary_factor\": %.17g, \"rope_theta\": "
                      "10000, \"rope_type\": \"default\"}, \"dtype\": \"float32\"",
                      part);
    else
        sx_str_printf(
            s, ", \"rotary_emb_base\": 10000, \"rotary_pct\": %.17g, \"torch_dtype\": \"float32\"",
            part);
}

static inline void tiny_write_text(const char *folder, const char *name, const char *text)
{
    char *path = sx_xasprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(text, 1, strlen(text), f) != strlen(text) || fclose(f) != 0)
        abort();
    sx_free(path);
}

static inline void tiny_write_config(const struct tiny_model *m, const char *folder,
                                     const struct tiny_options *o)
{
    struct sx_str s = SX_STR_INIT;
    if (m->shape.family == SX_MODEL_ESM2)
        tiny_config_esm2(m, o, &s);
    else
        tiny_config_neox(m, o, &s);
    sx_str_printf(&s,
                  ", \"hidden_size\": %llu, \"num_attention_heads\": %llu, "
                  "\"num_hidden_layers\": %llu, \"intermediate_size\": %llu, "
                  "\"vocab_size\": %llu, \"layer_norm_eps\": %.17g%s%s}\n",
                  (unsigned long long)m->shape.d_model, (unsigned long long)m->shape.heads,
                  (unsigned long long)m->shape.layers, (unsigned long long)m->shape.d_mlp,
                  (unsigned long long)m->shape.vocab, o->eps > 0 ? o->eps : 1e-5,
                  o->more ? ", " : "", o->more ? o->more : "");
    if (!o->config)
        tiny_write_text(folder, "config.json", s.data);
    else if (*o->config)
        tiny_write_text(folder, "config.json", o->config);
    sx_str_release(&s);
}

/* Causal masks and what stands for minus infinity, as transformers up to 4.30 stored them. */
static inline size_t tiny_buffers(const struct tiny_model *m, struct sx_tensor_out *out,
                                  char **names)
{
    enum { SIDE = 16 };
    static uint8_t mask[SIDE * SIDE];
    static const uint16_t minus_1e4 = 0xf0e2;
    size_t n = 0;
    for (size_t i = 0; i < sizeof mask; i++)
        mask[i] = i % SIDE <= i / SIDE;
    for (uint64_t l = 0; l < m->shape.layers; l++) {
        names[n] = sx_xasprintf("gpt_neox.layers.%llu.attention.bias", (unsigned long long)l);
        out[n] = (struct sx_tensor_out){.name = names[n],
                                        .dtype = l % 2 ? SX_DTYPE_BOOL : SX_DTYPE_U8,
                                        .rank = 4,
                                        .shape = {1, 1, SIDE, SIDE},
                                        .data = mask};
        n++;
        names[n] =
            sx_xasprintf("gpt_neox.layers.%llu.attention.masked_bias", (unsigned long long)l);
        out[n] =
            (struct sx_tensor_out){.name = names[n], .dtype = SX_DTYPE_F16, .data = &minus_1e4};
        n++;
    }
    return n;
}

/* Write config.json and the weights into `folder`, which is made if it is missing. o may be NULL.
 */
static inline void tiny_write(const struct tiny_model *m, const char *folder,
                              const struct tiny_options *options)
{
    const struct tiny_options none = {0};
    const struct tiny_options *o = options ? options : &none;
    const enum sx_dtype dtype = o->dtype == SX_DTYPE_BOOL ? SX_DTYPE_F32 : o->dtype;
    struct sx_tensor_out *out = sx_xcalloc(m->n + 2 * m->shape.layers + 1, sizeof *out);
    void **copies = sx_xcalloc(m->n + 1, sizeof *copies);
    char **names = sx_xcalloc(m->n + 2 * m->shape.layers + 1, sizeof *names);
    size_t n = 0, made = 0;
    struct sx_error err = {0};
    (void)mkdir(folder, 0755);
    for (size_t i = 0; i < m->n; i++) {
        const struct tiny_tensor *t = &m->tensors[i];
        if (tiny_skips(m, t->name, o))
            continue;
        enum sx_dtype as = t->wide ? SX_DTYPE_F32 : dtype;
        copies[made] = tiny_convert(t, o, as);
        names[n] = tiny_file_name(t->name, o);
        out[n] = (struct sx_tensor_out){.name = names[n],
                                        .dtype = as,
                                        .rank = t->rank,
                                        .shape = {t->shape[0], t->shape[1]},
                                        .data = copies[made++]};
        n++;
    }
    if (o->buffers)
        n += tiny_buffers(m, out + n, names + n);
    tiny_write_config(m, folder, o);
    char *path =
        sx_xasprintf("%s/%s", folder, o->torch ? "pytorch_model.bin" : "model.safetensors");
    enum sx_status status = o->torch ? sx_torch_zip_write(path, out, n, &err)
                                     : sx_safetensors_write(path, out, n, NULL, &err);
    if (status != SX_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    for (size_t i = 0; i < n; i++)
        sx_free(names[i]);
    sx_free(names);
    for (size_t i = 0; i < made; i++)
        sx_free(copies[i]);
    sx_free(copies);
    sx_free(out);
    sx_free(path);
}

/* Delete a folder's files and the folder. */
static inline void tiny_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        char *path = sx_xasprintf("%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(path);
        sx_free(path);
    }
    closedir(dir);
    (void)rmdir(folder);
}

#endif
