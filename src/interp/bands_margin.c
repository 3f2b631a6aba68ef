/* Competition: one key's score against all the others'. */
#include <math.h>

#include "sextant/base/alloc.h"
#include "sextant/interp/bands.h"

double sx_margin(const float *scores, size_t n, size_t key)
{
    SX_ASSERT(key < n);
    double most = -INFINITY;
    for (size_t j = 0; j < n; j++)
        if (j != key)
            most = fmax(most, (double)scores[j]);
    if (!(most > -INFINITY))
        return INFINITY;
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        if (j != key)
            sum += exp((double)scores[j] - most);
    return (double)scores[key] - most - log(sum);
}

/* One row in bands, and how the attention is shared without the key. */
struct margin {
    struct sx_band *bands; /* [n,B], owned */
    double *weight;        /* [n], 0 at the key; owned */
    double value;
};

static void release(struct margin *m)
{
    sx_free(m->bands);
    sx_free(m->weight);
}

static struct margin read_row(const struct sx_band_shape *shape, const struct sx_band_row *row,
                              size_t key)
{
    SX_ASSERT(row->n >= 2 && key < row->n);
    struct margin m = {.bands = sx_xcalloc(row->n * shape->n, sizeof *m.bands),
                       .weight = sx_xcalloc(row->n, sizeof *m.weight)};
    double most = -INFINITY;
    double own = 0;
    for (size_t j = 0; j < row->n; j++) {
        struct sx_band *bands = m.bands + j * shape->n;
        sx_bands_of(shape, row->q, row->k + j * row->ldk, row->query_position,
                    row->positions ? (double)row->positions[j] : (double)j, bands);
        for (size_t b = 0; b < shape->n; b++)
            m.weight[j] += bands[b].score;
        if (j == key)
            own = m.weight[j];
        else
            most = fmax(most, m.weight[j]);
    }
    double sum = 0;
    for (size_t j = 0; j < row->n; j++) {
        m.weight[j] = j == key ? 0 : exp(m.weight[j] - most);
        sum += m.weight[j];
    }
    for (size_t j = 0; j < row->n; j++)
        m.weight[j] /= sum;
    m.value = own - most - log(sum);
    return m;
}

double sx_margin_bands(const struct sx_band_shape *shape, const struct sx_band_row *row, size_t key,
                       double *out, double *entropy)
{
    struct margin m = read_row(shape, row, key);
    for (size_t b = 0; b < shape->n; b++)
        out[b] = m.bands[key * shape->n + b].score;
    *entropy = 0;
    for (size_t j = 0; j < row->n; j++) {
        for (size_t b = 0; b < shape->n; b++)
            out[b] -= m.weight[j] * m.bands[j * shape->n + b].score;
        *entropy -= m.weight[j] > 0 ? m.weight[j] * log(m.weight[j]) : 0;
    }
    const double value = m.value;
    release(&m);
    return value;
}

static void add_terms(struct sx_band_split *sum, const struct sx_band_split *x, double factor)
{
    sum->total += factor * x->total;
    sum->query_norm += factor * x->query_norm;
    sum->key_norm += factor * x->key_norm;
    sum->direction += factor * x->direction;
    sum->content += factor * x->content;
    sum->position += factor * x->position;
}

double sx_margin_change(const struct sx_band_shape *shape, const struct sx_band_row *a,
                        const struct sx_band_row *b, size_t key, struct sx_band_split *out,
                        double *residual)
{
    SX_ASSERT(a->n == b->n);
    struct margin ma = read_row(shape, a, key);
    struct margin mb = read_row(shape, b, key);
    const double change = mb.value - ma.value;
    *residual = change;
    for (size_t i = 0; i < shape->n; i++) {
        sx_band_split(&ma.bands[key * shape->n + i], &mb.bands[key * shape->n + i], shape->scale,
                      &out[i]);
        for (size_t j = 0; j < a->n; j++) {
            struct sx_band_split other;
            if (j == key)
                continue;
            sx_band_split(&ma.bands[j * shape->n + i], &mb.bands[j * shape->n + i], shape->scale,
                          &other);
            add_terms(&out[i], &other, -(ma.weight[j] + mb.weight[j]) / 2);
        }
        *residual -= out[i].total;
    }
    release(&ma);
    release(&mb);
    return change;
}
