/* The query of a masked residue as the sum of what each layer below wrote into it. */
#include <math.h>
#include <string.h>

#include "frozen.h"
#include "report_private.h"
#include "sextant/base/alloc.h"

/* out [d] = W_h x, with W_h the rows of one head. */
static void project(const float *weight, size_t d, size_t D, const double *x, double *out)
{
    for (size_t i = 0; i < d; i++) {
        double sum = 0;
        for (size_t j = 0; j < D; j++)
            sum += (double)weight[i * D + j] * x[j];
        out[i] = sum;
    }
}

/* gamma (u - mean u) / sigma: a term's part of the LayerNorm. */
static void normed(const double *u, size_t D, const float *gamma, double sigma, double *out)
{
    double mean = 0;
    for (size_t j = 0; j < D; j++)
        mean += u[j] / (double)D;
    for (size_t j = 0; j < D; j++)
        out[j] = (double)gamma[j] * (u[j] - mean) / sigma;
}

enum sx_status sx_query_weights(const struct sx_study *study, struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(study->runner);
    for (size_t l = 0; l < study->info->n_layers; l++)
        SX_TRY(sx_frozen_weight(model, l, &sx_model_weights(model)->layers[l].q, err));
    return SX_OK;
}

void sx_query_terms(const struct sx_study *study, const struct sx_site *site, size_t layer,
                    size_t head, double *terms)
{
    const size_t D = (size_t)study->info->d_model;
    const size_t d = (size_t)study->info->d_head;
    const struct sx_layer *l = &sx_model_weights(sx_runner_model(study->runner))->layers[layer];
    const float *rows = sx_weight_f32(&l->q) + head * d * D;
    double *u = sx_xcalloc(2 * D, sizeof *u);
    double *y = u + D;

    for (size_t k = 0; k <= layer; k++) {
        for (size_t j = 0; j < D; j++)
            u[j] = k == 0 ? (double)site->resid[site->token * D + j]
                          : (double)site->attn_out[(k - 1) * D + j] +
                                (double)site->mlp_out[(k - 1) * D + j];
        normed(u, D, l->ln1.gamma, (double)site->sigma[layer], y);
        if (k == 0)
            for (size_t j = 0; j < D; j++)
                y[j] += (double)l->ln1.beta[j];
        project(rows, d, D, y, terms + k * d);
    }
    for (size_t i = 0; i < d && l->q.bias; i++)
        terms[i] += (double)l->q.bias[head * d + i];
    sx_free(u);
}

double sx_query_score(const struct sx_study *study, const struct sx_site *site, size_t layer,
                      size_t head, const double *q, double position)
{
    const size_t d = (size_t)study->info->d_head;
    const size_t B = (size_t)study->info->n_bands;
    const float *k = site->k_bos + (layer * (size_t)study->info->n_heads + head) * d;
    const float *frequency = sx_model_frequencies(sx_runner_model(study->runner));
    double score = 0;
    for (size_t b = 0; b < B; b++) {
        const double angle = position * (double)frequency[b];
        score += (q[b] * cos(angle) - q[b + B] * sin(angle)) * (double)k[b] +
                 (q[b + B] * cos(angle) + q[b] * sin(angle)) * (double)k[b + B];
    }
    return score / sqrt((double)d);
}
