#include "sextant/interp/bands.h"

#include <math.h>

/* --- shape -------------------------------------------------------------------------------------
 */

struct sx_band_shape sx_band_shape_of(const struct sx_model *model)
{
    const struct sx_model_info *info = sx_model_info(model);
    const size_t d = (size_t)info->d_head;
    const size_t rotary = (size_t)info->n_bands;
    return (struct sx_band_shape){
        .d = d,
        .n_rotary = rotary,
        .n = rotary + (2 * rotary < d),
        .frequency = sx_model_frequencies(model),
        .scale = 1 / sqrt((double)d),
    };
}

double sx_band_period(const struct sx_band_shape *shape, size_t band)
{
    return band < shape->n_rotary ? 2 * M_PI / (double)shape->frequency[band] : INFINITY;
}

/* --- one score ---------------------------------------------------------------------------------
 */

/* The angle that the forward pass turns by: a product in float. */
static double turned(double position, float frequency)
{
    return (double)((float)position * frequency);
}

static void fill_score(struct sx_band *band, double scale)
{
    band->score = scale * band->r * band->rho * band->cosine;
}

static void rotary_band(const struct sx_band_shape *shape, size_t b, const float *q, const float *k,
                        struct sx_band *out)
{
    const double zr = (double)q[b];
    const double zi = (double)q[b + shape->n_rotary];
    const double wr = (double)k[b];
    const double wi = (double)k[b + shape->n_rotary];
    out->r = hypot(zr, zi);
    out->rho = hypot(wr, wi);
    if (out->r > 0 && out->rho > 0)
        out->alpha = atan2(zi * wr - zr * wi, zr * wr + zi * wi);
    out->cosine = cos(out->alpha + out->delta);
}

static void rest_band(const struct sx_band_shape *shape, const float *q, const float *k,
                      struct sx_band *out)
{
    double qq = 0;
    double kk = 0;
    double qk = 0;
    for (size_t i = 2 * shape->n_rotary; i < shape->d; i++) {
        qq += (double)q[i] * (double)q[i];
        kk += (double)k[i] * (double)k[i];
        qk += (double)q[i] * (double)k[i];
    }
    out->r = sqrt(qq);
    out->rho = sqrt(kk);
    out->cosine = qq > 0 && kk > 0 ? fmin(1, fmax(-1, qk / (out->r * out->rho))) : 1;
    out->alpha = acos(out->cosine);
}

void sx_bands_of(const struct sx_band_shape *shape, const float *q, const float *k,
                 double query_position, double key_position, struct sx_band *out)
{
    for (size_t b = 0; b < shape->n; b++) {
        out[b] = (struct sx_band){0};
        if (b < shape->n_rotary) {
            out[b].delta = turned(query_position, shape->frequency[b]) -
                           turned(key_position, shape->frequency[b]);
            rotary_band(shape, b, q, k, &out[b]);
        } else {
            rest_band(shape, q, k, &out[b]);
        }
        fill_score(&out[b], shape->scale);
    }
}

/* --- two scores --------------------------------------------------------------------------------
 */

/* What is multiplied with xB - xA in the Shapley value of x in x y z. */
static double bracket(double ya, double yb, double za, double zb)
{
    return (ya * za + yb * zb) / 3 + (ya * zb + yb * za) / 6;
}

void sx_band_split(const struct sx_band *a, const struct sx_band *b, double scale,
                   struct sx_band_split *out)
{
    const double turn = scale * bracket(a->r, b->r, a->rho, b->rho);
    const double both_a = cos(a->alpha + a->delta);
    const double both_b = cos(b->alpha + b->delta);
    const double content_b = cos(b->alpha + a->delta); /* content of B at the position of A */
    const double content_a = cos(a->alpha + b->delta);
    *out = (struct sx_band_split){
        .total = b->score - a->score,
        .query_norm = scale * (b->r - a->r) * bracket(a->rho, b->rho, a->cosine, b->cosine),
        .key_norm = scale * (b->rho - a->rho) * bracket(a->r, b->r, a->cosine, b->cosine),
        .direction = turn * (b->cosine - a->cosine),
        .content = turn * ((content_b - both_a) + (both_b - content_a)) / 2,
        .position = turn * ((content_a - both_a) + (both_b - content_b)) / 2,
        .norm_only = scale * (b->r - a->r) * a->rho * a->cosine,
        .direction_only = scale * a->r * a->rho * (b->cosine - a->cosine),
        .interaction = scale * (b->r - a->r) * a->rho * (b->cosine - a->cosine),
    };
    const double all = fabs(out->norm_only) + fabs(out->direction_only) + fabs(out->interaction);
    out->coupling = all > 0 ? fabs(out->interaction) / all : 0;
}

double sx_band_value(const struct sx_band *a, const struct sx_band *b,
                     const struct sx_band_split *split, enum sx_band_term term)
{
    if (term == SX_BAND_SCORE_A)
        return a->score;
    if (!b || !split)
        return NAN;
    switch (term) {
    case SX_BAND_SCORE_B:
        return b->score;
    case SX_BAND_TOTAL:
        return split->total;
    case SX_BAND_QUERY_NORM:
        return split->query_norm;
    case SX_BAND_KEY_NORM:
        return split->key_norm;
    case SX_BAND_DIRECTION:
        return split->direction;
    case SX_BAND_CONTENT:
        return split->content;
    case SX_BAND_POSITION:
        return split->position;
    case SX_BAND_COUPLING:
        return split->coupling;
    case SX_BAND_SCORE_A:
    case SX_BAND_TERM_COUNT:
        break;
    }
    return NAN;
}

/* --- who writes the norm, who the direction ----------------------------------------------------
 */

static void rest_radial(const struct sx_band_shape *shape, const double *whole, const double *part,
                        const double *other, double *radial, double *tangential)
{
    double ww = 0;
    double wp = 0;
    double wo = 0;
    double op = 0;
    double oo = 0;
    for (size_t i = 2 * shape->n_rotary; i < shape->d; i++) {
        ww += whole[i] * whole[i];
        wp += whole[i] * part[i];
        wo += whole[i] * other[i];
        op += other[i] * part[i];
        oo += other[i] * other[i];
    }
    if (ww <= 0)
        return;
    *radial = wp / sqrt(ww);
    const double normal = oo - wo * wo / ww; /* squared length of what is normal to whole */
    if (normal > 1e-24 * oo)
        *tangential = (op - wo * wp / ww) / sqrt(normal);
}

void sx_band_radial(const struct sx_band_shape *shape, const double *whole, const double *part,
                    const double *other, double *radial, double *tangential)
{
    const size_t B = shape->n_rotary;
    for (size_t b = 0; b < shape->n; b++)
        radial[b] = tangential[b] = 0;
    for (size_t b = 0; b < B; b++) {
        const double r = hypot(whole[b], whole[b + B]);
        if (r <= 0)
            continue;
        radial[b] = (part[b] * whole[b] + part[b + B] * whole[b + B]) / r;
        tangential[b] = (part[b + B] * whole[b] - part[b] * whole[b + B]) / r;
    }
    if (shape->n > B)
        rest_radial(shape, whole, part, other, radial + B, tangential + B);
}
