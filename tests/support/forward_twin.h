/* The forward pass once more: in double, one number at a time, from the tensors of a tiny model. */
#ifndef SEXTANT_TESTS_FORWARD_TWIN_H
#define SEXTANT_TESTS_FORWARD_TWIN_H

#include "tiny_models.h"

struct twin {
    size_t n, L, D, H, d, F, V, bands;
    double *resid;  /* [L+1, n, D] */
    double *attn;   /* [L, H, n, n] */
    double *logits; /* [n, V] */
};

static inline double *twin_new(size_t n)
{
    return sx_xcalloc(n, sizeof(double));
}

static inline void twin_release(struct twin *t)
{
    sx_free(t->resid);
    sx_free(t->attn);
    sx_free(t->logits);
}

static inline const float *twin_weights(const struct tiny_model *m, const char *stem,
                                        const char *name)
{
    char full[256];
    (void)snprintf(full, sizeof full, "%s%s", stem, name);
    const struct tiny_tensor *t = tiny_find(m, full);
    if (!t)
        abort();
    return t->data;
}

/* y = x W^T + b for one row; name "query": query.weight, query.bias. */
static inline void twin_linear(const struct tiny_model *m, const char *stem, const char *name,
                               size_t out, size_t in, const double *x, double *y)
{
    char weight[128], bias[128];
    (void)snprintf(weight, sizeof weight, "%s.weight", name);
    (void)snprintf(bias, sizeof bias, "%s.bias", name);
    const float *w = twin_weights(m, stem, weight), *b = twin_weights(m, stem, bias);
    for (size_t o = 0; o < out; o++) {
        y[o] = (double)b[o];
        for (size_t i = 0; i < in; i++)
            y[o] += (double)w[o * in + i] * x[i];
    }
}

static inline void twin_norm(const struct tiny_model *m, const char *stem, const char *name,
                             size_t n, const double *x, double *y)
{
    char weight[128], bias[128];
    (void)snprintf(weight, sizeof weight, "%s.weight", name);
    (void)snprintf(bias, sizeof bias, "%s.bias", name);
    const float *w = twin_weights(m, stem, weight), *b = twin_weights(m, stem, bias);
    double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        y[i] = (double)w[i] * (x[i] - mean) / sqrt(square + 1e-5) + (double)b[i];
}

static inline void twin_gelu(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] / 2 * (1 + erf(x[i] / sqrt(2)));
}

static inline void twin_rotate(const struct twin *t, double *x, double position)
{
    for (size_t h = 0; h < t->H; h++)
        for (size_t b = 0; b < t->bands; b++) {
            double angle = position * (double)tiny_frequency(b, t->bands);
            double *re = &x[h * t->d + b], *im = &x[h * t->d + b + t->bands], a = *re;
            *re = a * cos(angle) - *im * sin(angle);
            *im = *im * cos(angle) + a * sin(angle);
        }
}

static inline void twin_attend(const struct twin *t, bool causal, const double *q, const double *k,
                               const double *v, double *attn, double *ctx)
{
    for (size_t h = 0; h < t->H; h++)
        for (size_t i = 0; i < t->n; i++) {
            double *row = attn + (h * t->n + i) * t->n, sum = 0;
            for (size_t j = 0; j < t->n && !(causal && j > i); j++) {
                for (size_t c = h * t->d; c < (h + 1) * t->d; c++)
                    row[j] += q[i * t->D + c] * k[j * t->D + c];
                row[j] = exp(row[j] / sqrt((double)t->d));
                sum += row[j];
            }
            for (size_t j = 0; j < t->n; j++) {
                row[j] /= sum;
                for (size_t c = h * t->d; c < (h + 1) * t->d; c++)
                    ctx[i * t->D + c] += row[j] * v[j * t->D + c];
            }
        }
}

/* Queries, keys and values of a row; GPT-NeoX stores them together, by head. */
static inline void twin_qkv(const struct tiny_model *m, const struct twin *t, const char *stem,
                            const double *y, double *q, double *k, double *v)
{
    if (m->shape.family == SX_MODEL_ESM2) {
        twin_linear(m, stem, "attention.self.query", t->D, t->D, y, q);
        twin_linear(m, stem, "attention.self.key", t->D, t->D, y, k);
        twin_linear(m, stem, "attention.self.value", t->D, t->D, y, v);
        return;
    }
    double *all = twin_new(3 * t->D);
    twin_linear(m, stem, "attention.query_key_value", 3 * t->D, t->D, y, all);
    for (size_t h = 0; h < t->H; h++)
        for (size_t c = 0; c < t->d; c++) {
            q[h * t->d + c] = all[h * 3 * t->d + c];
            k[h * t->d + c] = all[h * 3 * t->d + t->d + c];
            v[h * t->d + c] = all[h * 3 * t->d + 2 * t->d + c];
        }
    sx_free(all);
}

struct twin_names {
    const char *ln1, *out, *ln2, *up, *down;
};

static inline struct twin_names twin_layer_names(const struct tiny_model *m)
{
    if (m->shape.family == SX_MODEL_ESM2)
        return (struct twin_names){"attention.LayerNorm", "attention.output.dense", "LayerNorm",
                                   "intermediate.dense", "output.dense"};
    return (struct twin_names){"input_layernorm", "attention.dense", "post_attention_layernorm",
                               "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"};
}

static inline void twin_layer(const struct tiny_model *m, const struct twin *t, size_t layer,
                              bool parallel, const float *positions)
{
    const size_t n = t->n, D = t->D;
    const struct twin_names names = twin_layer_names(m);
    char stem[64];
    (void)snprintf(stem, sizeof stem, "%s.%zu.",
                   m->shape.family == SX_MODEL_ESM2 ? "esm.encoder.layer" : "gpt_neox.layers",
                   layer);
    const double *x = t->resid + layer * n * D;
    double *next = t->resid + (layer + 1) * n * D;
    double *q = twin_new(n * D), *k = twin_new(n * D), *v = twin_new(n * D), *ctx = twin_new(n * D);
    double *y = twin_new(D), *u = twin_new(D), *mid = twin_new(D), *h = twin_new(t->F);
    for (size_t i = 0; i < n; i++) {
        double position = positions ? (double)positions[i] : (double)i;
        twin_norm(m, stem, names.ln1, D, x + i * D, y);
        twin_qkv(m, t, stem, y, q + i * D, k + i * D, v + i * D);
        twin_rotate(t, q + i * D, position);
        twin_rotate(t, k + i * D, position);
    }
    twin_attend(t, m->shape.family == SX_MODEL_GPT_NEOX, q, k, v, t->attn + layer * t->H * n * n,
                ctx);
    for (size_t i = 0; i < n; i++) {
        twin_linear(m, stem, names.out, D, D, ctx + i * D, u);
        for (size_t c = 0; c < D; c++)
            mid[c] = x[i * D + c] + u[c];
        twin_norm(m, stem, names.ln2, D, parallel ? x + i * D : mid, y);
        twin_linear(m, stem, names.up, t->F, D, y, h);
        twin_gelu(h, t->F);
        twin_linear(m, stem, names.down, D, t->F, h, u);
        for (size_t c = 0; c < D; c++)
            next[i * D + c] = mid[c] + u[c];
    }
    sx_free(q);
    sx_free(k);
    sx_free(v);
    sx_free(ctx);
    sx_free(y);
    sx_free(u);
    sx_free(mid);
    sx_free(h);
}

static inline void twin_embed(const struct tiny_model *m, const struct twin *t, const int32_t *ids)
{
    bool esm = m->shape.family == SX_MODEL_ESM2;
    const float *e = twin_weights(
        m, esm ? "esm.embeddings.word_embeddings.weight" : "gpt_neox.embed_in.weight", "");
    double masks = 0;
    for (size_t i = 0; esm && i < t->n; i++)
        masks += ids[i] == 32;
    for (size_t i = 0; i < t->n; i++)
        for (size_t c = 0; c < t->D; c++) {
            double x = (double)e[(size_t)ids[i] * t->D + c];
            if (esm)
                x = ids[i] == 32 ? 0 : x * 0.88 / (1 - masks / (double)t->n);
            t->resid[i * t->D + c] = x;
        }
}

static inline void twin_head(const struct tiny_model *m, const struct twin *t)
{
    bool esm = m->shape.family == SX_MODEL_ESM2;
    const float *e =
        twin_weights(m, esm ? "esm.embeddings.word_embeddings.weight" : "embed_out.weight", "");
    double *f = twin_new(t->D), *z = twin_new(t->D);
    for (size_t i = 0; i < t->n; i++) {
        const double *x = t->resid + (t->L * t->n + i) * t->D;
        if (esm) {
            twin_norm(m, "esm.encoder.", "emb_layer_norm_after", t->D, x, f);
            twin_linear(m, "lm_head.", "dense", t->D, t->D, f, z);
            twin_gelu(z, t->D);
            twin_norm(m, "lm_head.", "layer_norm", t->D, z, f);
        } else {
            twin_norm(m, "gpt_neox.", "final_layer_norm", t->D, x, f);
        }
        for (size_t o = 0; o < t->V; o++) {
            double *y = &t->logits[i * t->V + o];
            *y = esm ? (double)twin_weights(m, "lm_head.", "bias")[o] : 0;
            for (size_t c = 0; c < t->D; c++)
                *y += f[c] * (double)e[o * t->D + c];
        }
    }
    sx_free(f);
    sx_free(z);
}

/* positions may be NULL. */
static inline struct twin twin_run(const struct tiny_model *m, const int32_t *ids, size_t n,
                                   bool parallel, const float *positions)
{
    struct twin t = {.n = n,
                     .L = m->shape.layers,
                     .D = m->shape.d_model,
                     .H = m->shape.heads,
                     .d = m->shape.d_model / m->shape.heads,
                     .F = m->shape.d_mlp,
                     .V = m->shape.vocab,
                     .bands = m->shape.bands};
    t.resid = twin_new((t.L + 1) * n * t.D);
    t.attn = twin_new(t.L * t.H * n * n);
    t.logits = twin_new(n * t.V);
    twin_embed(m, &t, ids);
    for (size_t l = 0; l < t.L; l++)
        twin_layer(m, &t, l, parallel, positions);
    twin_head(m, &t);
    return t;
}

#endif
