/* SAEs for tests: fixtures written by the real libraries, random ones built in memory, and a plain
 * twin of encoding and decoding that shares no code with the product. */
#ifndef SEXTANT_TESTS_SAE_SUPPORT_H
#define SEXTANT_TESTS_SAE_SUPPORT_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/io/json.h"
#include "sextant/io/tensor_file.h"
#include "sextant/sae/sae.h"

static inline char *sae_fixture(const char *name)
{
    const char *folder = getenv("SX_FIXTURES");
    return sx_xasprintf("%s/sae/%s", folder ? folder : "tests/fixtures", name);
}

static inline struct sx_value *sae_cases(void)
{
    char *path = sae_fixture("cases.json");
    struct sx_value *cases = NULL;
    struct sx_error err = {0};
    if (sx_json_parse_file(path, &cases, &err) != SX_OK)
        fprintf(stderr, "%s\n", err.message);
    sx_free(path);
    return cases;
}

/* What the library itself made of x: [n,D], [n,F], [n,D]; each owned by the caller. */
struct sae_expected {
    uint64_t n, d, f;
    float *x, *acts, *recon;
};

static inline float *sae_read(const struct sx_tensor_file *file, const char *name,
                              uint64_t shape[2])
{
    int64_t i = sx_tensor_file_find(file, name);
    if (i < 0)
        return NULL;
    const struct sx_tensor_info *t = sx_tensor_file_info(file, (size_t)i);
    memcpy(shape, t->shape, 2 * sizeof *shape);
    float *data = sx_xmalloc(t->count * sizeof *data);
    if (sx_tensor_file_read_f32(file, (size_t)i, data, NULL) != SX_OK)
        abort();
    return data;
}

static inline struct sae_expected sae_expect(const char *name)
{
    char inside[128];
    snprintf(inside, sizeof inside, "expected/%s.npz", name);
    char *path = sae_fixture(inside);
    struct sx_tensor_file *file = NULL;
    struct sx_error err = {0};
    if (sx_tensor_file_open(path, &file, &err) != SX_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    struct sae_expected e = {0};
    uint64_t shape[2];
    e.x = sae_read(file, "x", shape);
    e.n = shape[0];
    e.d = shape[1];
    e.acts = sae_read(file, "acts", shape);
    e.f = shape[1];
    e.recon = sae_read(file, "recon", shape);
    sx_tensor_file_close(file);
    sx_free(path);
    return e;
}

static inline void sae_expected_release(struct sae_expected *e)
{
    sx_free(e->x);
    sx_free(e->acts);
    sx_free(e->recon);
}

/* Largest |a - b| over the largest |b|. */
static inline double sae_off(const float *a, const float *b, uint64_t n)
{
    double diff = 0, scale = 1e-30;
    for (uint64_t i = 0; i < n; i++) {
        if (!(fabs((double)a[i] - b[i]) <= diff))
            diff = fabs((double)a[i] - b[i]);
        if (fabs((double)b[i]) > scale)
            scale = fabs((double)b[i]);
    }
    return diff / scale;
}

static inline float *sae_random(uint64_t n, uint64_t stream, double scale)
{
    struct sx_rng rng = sx_rng_make(99, stream);
    float *x = sx_xmalloc(n * sizeof *x);
    for (uint64_t i = 0; i < n; i++)
        x[i] = (float)(sx_rng_normal(&rng) * scale);
    return x;
}

/* A random SAE with every part that the architecture may need; info may be changed before use by
 * the caller's copy. Owned by the caller. */
static inline struct sx_sae *sae_make(enum sx_sae_arch arch, uint64_t d, uint64_t f, int64_t k)
{
    struct sx_sae parts = {0};
    sx_sae_info_init(&parts.info);
    parts.info.arch = arch;
    parts.info.activation_dim = d;
    parts.info.dict_size = f;
    parts.info.k = k;
    parts.info.subtract_b_dec = true;
    parts.info.has_bias = true;
    float *w_enc = sae_random(d * f, 1, 0.5), *w_dec = sae_random(d * f, 2, 0.5);
    float *b_enc = sae_random(f, 3, 0.5), *b_dec = sae_random(d, 4, 0.5);
    float *threshold = sae_random(f, 5, 0.5), *b_gate = sae_random(f, 6, 0.5);
    float *b_mag = sae_random(f, 7, 0.5), *r_mag = sae_random(f, 8, 0.3);
    parts.W_enc = w_enc;
    parts.W_dec = w_dec;
    parts.b_enc = b_enc;
    parts.b_dec = b_dec;
    if (arch == SX_ARCH_JUMPRELU)
        parts.threshold = threshold;
    if (arch == SX_ARCH_GATED) {
        parts.b_enc = NULL;
        parts.b_gate = b_gate;
        parts.b_mag = b_mag;
        parts.r_mag = r_mag;
    }
    struct sx_sae *sae = NULL;
    if (sx_sae_new(&parts, &sae, NULL) != SX_OK)
        abort();
    float *all[] = {w_enc, w_dec, b_enc, b_dec, threshold, b_gate, b_mag, r_mag};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sx_free(all[i]);
    return sae;
}

/* --- plain twin: one row, doubles, full sort ---------------------------------------------------
 */

static inline int twin_descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x > y ? -1 : x < y;
}

/* The k largest of z stay. */
static inline void twin_top(double *z, uint64_t f, int64_t k)
{
    double *sorted = sx_xmalloc(f * sizeof *sorted);
    memcpy(sorted, z, f * sizeof *sorted);
    qsort(sorted, f, sizeof *sorted, twin_descending);
    double bar = sorted[(uint64_t)k < f ? (uint64_t)k - 1 : f - 1];
    int64_t room = k;
    for (uint64_t j = 0; j < f; j++)
        room -= z[j] > bar;
    for (uint64_t j = 0; j < f; j++) {
        if (z[j] > bar)
            continue;
        if (z[j] == bar && room > 0)
            room--;
        else
            z[j] = 0;
    }
    sx_free(sorted);
}

static inline void twin_activate(const struct sx_sae *s, double *z)
{
    const struct sx_sae_info *info = &s->info;
    const uint64_t f = info->dict_size;
    bool batch = info->arch == SX_ARCH_BATCHTOPK || info->arch == SX_ARCH_MATRYOSHKA;
    for (uint64_t j = 0; j < f; j++) {
        double relu = z[j] > 0 ? z[j] : 0;
        if (info->arch == SX_ARCH_SIGMOID)
            z[j] = 1 / (1 + exp(-z[j]));
        else if (info->arch == SX_ARCH_JUMPRELU)
            z[j] = z[j] > s->threshold[j] ? relu : 0;
        else if (info->arch == SX_ARCH_GATED) {
            double m = exp((double)s->r_mag[j]) * z[j] + s->b_mag[j];
            z[j] = z[j] + s->b_gate[j] > 0 && m > 0 ? m : 0;
        } else if (batch && info->threshold >= 0)
            z[j] = relu > info->threshold ? relu : 0;
        else if (!info->signed_topk)
            z[j] = relu;
    }
    if (info->arch == SX_ARCH_TOPK || (batch && !(info->threshold >= 0)))
        twin_top(z, f, info->k);
    if (info->arch == SX_ARCH_GROUPMAX)
        for (uint64_t g = 0; g < (uint64_t)info->k; g++)
            twin_top(z + g * (f / (uint64_t)info->k), f / (uint64_t)info->k, 1);
}

static inline void twin_row(const struct sx_sae *s, const float *x, float *acts, float *recon)
{
    const uint64_t d = s->info.activation_dim, f = s->info.dict_size;
    double *z = sx_xmalloc(f * sizeof *z), mean = 0, norm = 0, var = 0;
    for (uint64_t e = 0; e < d; e++) {
        mean += x[e] / (double)d;
        norm += (double)x[e] * x[e];
    }
    for (uint64_t e = 0; e < d; e++)
        var += (x[e] - mean) * (x[e] - mean) / ((double)d - 1);
    double shift = 0, in = 1, out = 1, back = 0;
    if (s->info.norm == SX_NORM_LAYER) {
        shift = back = mean;
        in = 1 / (sqrt(var) + 1e-5);
        out = sqrt(var);
    } else if (s->info.norm == SX_NORM_CONSTANT_NORM || s->info.norm == SX_NORM_SQRT_D) {
        in = sqrt((double)d / norm);
        out = 1 / in;
    } else if (s->info.norm == SX_NORM_DIVIDE) {
        in = 1 / s->info.norm_factor;
        out = s->info.norm_factor;
    }
    for (uint64_t j = 0; j < f; j++) {
        double scale = 0;
        z[j] = s->b_enc[j];
        for (uint64_t e = 0; e < d; e++) {
            double pre = s->info.subtract_b_dec ? s->b_dec[e] : 0;
            z[j] += s->W_enc[j * d + e] * ((x[e] - shift) * in - pre);
            scale += (double)s->W_dec[j * d + e] * s->W_dec[j * d + e];
        }
        if (s->info.scale_by_decoder_norm)
            z[j] *= sqrt(scale);
    }
    twin_activate(s, z);
    for (uint64_t e = 0; e < d; e++) {
        double y = s->b_dec[e];
        for (uint64_t j = 0; j < f; j++) {
            double scale = 1;
            if (s->info.scale_by_decoder_norm) {
                scale = 0;
                for (uint64_t i = 0; i < d; i++)
                    scale += (double)s->W_dec[j * d + i] * s->W_dec[j * d + i];
                scale = sqrt(scale);
            }
            y += z[j] / scale * s->W_dec[j * d + e];
        }
        for (uint64_t i = 0; s->W_skip && i < d; i++)
            y += (double)s->W_skip[e * d + i] * x[i];
        if (s->info.sigmoid_out)
            y = 1 / (1 + exp(-y));
        recon[e] = (float)(y * out + back);
    }
    for (uint64_t j = 0; j < f; j++)
        acts[j] = (float)z[j];
    sx_free(z);
}

#endif
