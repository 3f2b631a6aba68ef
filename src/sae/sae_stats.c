/* What the weights say: norms, alignment of encoder and decoder, decoder constraint, dead latents
 * (Jedryszek & Crook 2026, alignment statistics and weight analyses), fingerprint. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "sextant/base/alloc.h"
#include "sextant/base/hash.h"

/* Below this a row counts as zero: float32 training underflows long before. */
static const double tiny_norm = 1e-12;

/* Unit rows as float32 training leaves them are off by 1e-6; saved in half precision, by 4e-3. */
static double unit_tolerance(const struct sx_sae_info *info)
{
    for (size_t i = 0; i < info->n_tensors; i++)
        if (strcmp(info->tensors[i].dtype, "BF16") == 0 ||
            strcmp(info->tensors[i].dtype, "F16") == 0)
            return 5e-3;
    return 1e-3;
}

struct row_sums {
    double ee, dd, ed;
};

static struct row_sums sums_of(const struct sx_sae *sae, uint64_t j)
{
    const uint64_t d = sae->info.activation_dim;
    const float *enc = sae->W_enc + j * d, *dec = sae->W_dec + j * d;
    struct row_sums s = {0, 0, 0};
    for (uint64_t e = 0; e < d; e++) {
        s.ee += (double)enc[e] * enc[e];
        s.dd += (double)dec[e] * dec[e];
        s.ed += (double)enc[e] * dec[e];
    }
    return s;
}

/* 0 for a zero row, as the authors count it. */
static double cosine(struct row_sums s)
{
    return s.ee > 0 && s.dd > 0 ? s.ed / (sqrt(s.ee) * sqrt(s.dd)) : 0;
}

void sx_sae_latent_norms(const struct sx_sae *sae, float *enc_norm, float *dec_norm, float *align)
{
    for (uint64_t j = 0; j < sae->info.dict_size; j++) {
        struct row_sums s = sums_of(sae, j);
        if (enc_norm)
            enc_norm[j] = (float)sqrt(s.ee);
        if (dec_norm)
            dec_norm[j] = (float)sqrt(s.dd);
        if (align)
            align[j] = (float)cosine(s);
    }
}

static void fingerprint(const struct sx_sae *sae, char out[33])
{
    struct sx_hash *hash = sx_hash_new();
    for (int i = 0; i < SX_N_SLOTS; i++) {
        const float *data = sx_slot_get(sae, (enum sx_slot)i);
        if (!data || i == SX_SLOT_RESCALE)
            continue;
        uint64_t shape[2] = {1, 1};
        (void)sx_slot_shape((enum sx_slot)i, sae->info.activation_dim, sae->info.dict_size, shape);
        sx_hash_update(hash, sx_slot_name((enum sx_slot)i), strlen(sx_slot_name((enum sx_slot)i)));
        sx_hash_update(hash, shape, sizeof shape);
        sx_hash_update(hash, data, shape[0] * shape[1] * sizeof *data);
    }
    sx_hash_finish(hash, out);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void take_row(struct sx_sae_stats *st, struct row_sums s, double f)
{
    double enc = sqrt(s.ee), dec = sqrt(s.dd);
    st->enc_norm_mean += enc / f;
    st->dec_norm_mean += dec / f;
    st->enc_norm_min = fmin(st->enc_norm_min, enc);
    st->enc_norm_max = fmax(st->enc_norm_max, enc);
    st->dec_norm_min = fmin(st->dec_norm_min, dec);
    st->dec_norm_max = fmax(st->dec_norm_max, dec);
    st->dead_exact += s.ee == 0 || s.dd == 0;
    st->dead_tiny += enc < tiny_norm || dec < tiny_norm;
    if (dec >= tiny_norm)
        st->dec_norm_deviation = fmax(st->dec_norm_deviation, fabs(dec - 1));
}

static void take_alignment(struct sx_sae_stats *st, double *align, uint64_t f)
{
    for (uint64_t j = 0; j < f; j++) {
        st->align_mean += align[j] / (double)f;
        st->align_over_05 += align[j] > 0.5;
        st->align_over_07 += align[j] > 0.7;
        st->align_over_09 += align[j] > 0.9;
        st->align_over_095 += align[j] > 0.95;
    }
    st->align_over_05 /= (double)f;
    st->align_over_07 /= (double)f;
    st->align_over_09 /= (double)f;
    qsort(align, f, sizeof *align, by_value);
    st->align_median = f % 2 ? align[f / 2] : (align[f / 2 - 1] + align[f / 2]) / 2;
}

enum sx_status sx_sae_measure(const struct sx_sae *sae, struct sx_sae_stats *stats,
                              struct sx_error *err)
{
    const uint64_t f = sae->info.dict_size;
    double *align = sx_alloc_big(f, sizeof *align);
    if (!align)
        return sx_fail(err, SX_ERR_NOMEM, "no memory to measure %llu latents",
                       (unsigned long long)f);
    *stats = (struct sx_sae_stats){.enc_norm_min = INFINITY, .dec_norm_min = INFINITY};
    for (uint64_t j = 0; j < f; j++) {
        struct row_sums s = sums_of(sae, j);
        align[j] = cosine(s);
        take_row(stats, s, (double)f);
    }
    take_alignment(stats, align, f);
    bool unit = stats->dec_norm_max > 0 && stats->dec_norm_deviation <= unit_tolerance(&sae->info);
    stats->decoder_constraint = unit ? SX_CONSTRAINT_RENORM : SX_CONSTRAINT_NONE;
    fingerprint(sae, stats->fingerprint);
    sx_free(align);
    return sx_sae_check_whole(sae, err);
}
