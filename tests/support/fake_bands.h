/* BANDS and HEAD of the fake session, from smooth made-up queries and keys: every number that views
 * show is derived from r, rho, alpha and delta as the definitions say. Early layers have next to
 * nothing in the slow bands, and heads 3 and 5 of the last layers read <cls> out. */
#ifndef SX_TEST_FAKE_BANDS_H
#define SX_TEST_FAKE_BANDS_H

#include "fake_session.h"

enum { FAKE_MOST_BANDS = 8, FAKE_CELLS = FAKE_LAYERS * FAKE_HEADS * FAKE_MOST_BANDS };

struct fake_bands {
    double period[FAKE_MOST_BANDS];
    struct sx_band a[FAKE_CELLS], b[FAKE_CELLS];
    struct sx_band_split split[FAKE_CELLS];
    double attention[2][FAKE_LAYERS * FAKE_HEADS], margin[2][FAKE_LAYERS * FAKE_HEADS];
    double readout[FAKE_LAYERS * FAKE_HEADS];
    uint32_t profile_at[FAKE_TOKENS];
    float profile[FAKE_CELLS * FAKE_TOKENS];
    float score[FAKE_MOST_BANDS * FAKE_TOKENS], attended[FAKE_TOKENS], removed[FAKE_TOKENS];
    char line[160], head_line[160];
};

/* The last band of a model with 2 bands is the rest that is not rotated. */
static inline size_t fake_n_bands(const struct fake *fake)
{
    return (size_t)fake->session.input.info.n_bands + (fake->session.input.info.n_bands < 8);
}

static inline double fake_theta(const struct fake *fake, size_t band)
{
    const double bands = (double)fake->session.input.info.n_bands;
    return (double)band < bands ? pow(10000, -(double)band / bands) : 0;
}

static inline struct sx_band fake_band(const struct fake *fake, size_t l, size_t h, size_t b,
                                       size_t query, size_t key)
{
    const double late = (double)l / FAKE_LAYERS, slow = (double)b / FAKE_MOST_BANDS;
    struct sx_band band = {
        .r = 0.3 + 2.2 * late * (1 + 0.3 * sin((double)(h + 3 * b))) +
             (l > 0 ? 0.4 * cos(0.11 * (double)query) : 0),
        .rho = 1.2 + 0.8 * cos(0.9 * (double)(h + b)),
        .alpha = sin((double)(5 * h + 2 * b + l)) +
                 (l > 0 ? 0.8 * sin(0.05 * (double)query + (double)h) : 0),
        .delta = ((double)query - (double)key) * fake_theta(fake, b),
    };

    if (slow > 0.2 + late)
        band.r = 0;
    band.cosine = cos(band.alpha + band.delta);
    band.score = band.r * band.rho * band.cosine / 4;
    return band;
}

static inline double fake_shapley(double xa, double xb, double ya, double yb, double za, double zb)
{
    return (xb - xa) * ((ya * za + yb * zb) / 3 + (ya * zb + yb * za) / 6);
}

static inline struct sx_band_split fake_split(const struct sx_band *a, const struct sx_band *b)
{
    const double c = 0.25;
    const double g =
        c * ((a->r * a->rho + b->r * b->rho) / 3 + (a->r * b->rho + b->r * a->rho) / 6);
    struct sx_band_split s = {
        .total = b->score - a->score,
        .query_norm = c * fake_shapley(a->r, b->r, a->rho, b->rho, a->cosine, b->cosine),
        .key_norm = c * fake_shapley(a->rho, b->rho, a->r, b->r, a->cosine, b->cosine),
        .direction = g * (b->cosine - a->cosine),
        .content = g / 2 *
                   (cos(b->alpha + a->delta) - cos(a->alpha + a->delta) + cos(b->alpha + b->delta) -
                    cos(a->alpha + b->delta)),
        .norm_only = c * (b->r - a->r) * a->rho * a->cosine,
        .direction_only = c * a->r * a->rho * (b->cosine - a->cosine),
        .interaction = c * (b->r - a->r) * a->rho * (b->cosine - a->cosine),
    };
    const double all = fabs(s.norm_only) + fabs(s.direction_only) + fabs(s.interaction);

    s.position = s.direction - s.content;
    s.coupling = all > 0 ? fabs(s.interaction) / all : 0;
    return s;
}

static inline double fake_total(const struct fake *fake, size_t l, size_t h, size_t query,
                                size_t key, uint64_t removed)
{
    double sum = 0;
    for (size_t b = 0; b < fake_n_bands(fake); b++)
        if (!(removed >> b & 1))
            sum += fake_band(fake, l, h, b, query, key).score;
    return sum;
}

/* Attention of the query to every key, [n]; the sum of exp() is returned. */
static inline double fake_softmax(const struct fake *fake, size_t l, size_t h, size_t query,
                                  uint64_t removed, float *out)
{
    const size_t n = fake->session.input.n;
    const bool causal = fake->session.input.info.family == SX_MODEL_GPT_NEOX;
    double sum = 0;

    for (size_t k = 0; k < n; k++) {
        const double e = causal && k > query ? 0 : exp(fake_total(fake, l, h, query, k, removed));
        out[k] = (float)e;
        sum += e;
    }
    for (size_t k = 0; k < n; k++)
        out[k] = (float)((double)out[k] / sum);
    return sum;
}

static inline void fake_condition(struct fake *fake, struct fake_bands *store, int which,
                                  size_t query, size_t key)
{
    static float row[FAKE_TOKENS];
    const size_t n_bands = fake_n_bands(fake);

    for (size_t l = 0; l < FAKE_LAYERS; l++)
        for (size_t h = 0; h < FAKE_HEADS; h++) {
            const size_t at = l * FAKE_HEADS + h;
            for (size_t b = 0; b < n_bands; b++)
                (which ? store->b : store->a)[at * n_bands + b] =
                    fake_band(fake, l, h, b, query, key);
            fake_softmax(fake, l, h, query, 0, row);
            const double p = (double)row[key];
            store->attention[which][at] = p;
            store->margin[which][at] = log(p / (1 - p));
        }
}

/* Query selection.token, key selection.key; B at `against` (SIZE_MAX: A alone). */
static inline void fake_band_table(struct fake *fake, struct fake_bands *store, size_t against,
                                   bool profile)
{
    struct sx_session *session = &fake->session;
    const size_t query = session->selection.token, key = session->selection.key;
    const size_t n_bands = fake_n_bands(fake), n = session->input.n;
    const bool two = against != SIZE_MAX;

    for (size_t b = 0; b < n_bands; b++)
        store->period[b] =
            b < session->input.info.n_bands ? 6.283185307179586 / fake_theta(fake, b) : INFINITY;
    fake_condition(fake, store, 0, query, key);
    if (two)
        fake_condition(fake, store, 1, against, key);
    for (size_t i = 0; two && i < FAKE_LAYERS * FAKE_HEADS * n_bands; i++)
        store->split[i] = fake_split(&store->a[i], &store->b[i]);
    for (size_t i = 0; i < FAKE_LAYERS * FAKE_HEADS; i++)
        store->readout[i] = i / FAKE_HEADS >= 4 && (i % FAKE_HEADS == 3 || i % FAKE_HEADS == 5)
                                ? 1.5 + 0.1 * (double)i / 4
                                : 0.05 * sin((double)i);
    for (size_t t = 0; profile && t < n; t++) {
        store->profile_at[t] = (uint32_t)t;
        for (size_t i = 0; i < FAKE_LAYERS * FAKE_HEADS * n_bands; i++)
            store->profile[i * n + t] =
                (float)fake_band(fake, i / n_bands / FAKE_HEADS, i / n_bands % FAKE_HEADS,
                                 i % n_bands, t, key)
                    .score;
    }
    snprintf(store->line, sizeof store->line, "sextant bands %s --query %zu --key %zu",
             session->input.info.name, query, key);
    session->settings.against = against;
    session->bands = (struct sx_bands_data){
        .state = SX_STATE_READY,
        .serial = 7,
        .line = store->line,
        .profile = profile,
        .against = against,
        .result =
            {
                .n_layers = FAKE_LAYERS,
                .n_heads = FAKE_HEADS,
                .n_bands = n_bands,
                .pass_through = n_bands > session->input.info.n_bands,
                .period = store->period,
                .query_a = query,
                .key_a = key,
                .query_b = two ? against : query,
                .key_b = key,
                .a = store->a,
                .b = two ? store->b : NULL,
                .split = two ? store->split : NULL,
                .attention_a = store->attention[0],
                .attention_b = two ? store->attention[1] : NULL,
                .margin_a = store->margin[0],
                .margin_b = two ? store->margin[1] : NULL,
                .readout = store->readout,
                .n_profile = profile ? n : 0,
                .profile_at = profile ? store->profile_at : NULL,
                .profile = profile ? store->profile : NULL,
                .residual = 3.1e-7,
                .scale = 0.25,
            },
    };
}

/* One head at selection.token, without the bands of settings.bands_removed. */
static inline void fake_head(struct fake *fake, struct fake_bands *store)
{
    struct sx_session *session = &fake->session;
    const struct sx_selection *at = &session->selection;
    const size_t n_bands = fake_n_bands(fake), n = session->input.n;
    const uint64_t removed = session->settings.bands_removed;
    const bool protein = session->input.info.family == SX_MODEL_ESM2;

    for (size_t b = 0; b < n_bands; b++) {
        store->period[b] =
            b < session->input.info.n_bands ? 6.283185307179586 / fake_theta(fake, b) : INFINITY;
        for (size_t k = 0; k < n; k++)
            store->score[b * n + k] =
                (float)fake_band(fake, at->layer, at->head, b, at->token, k).score;
    }
    fake_softmax(fake, at->layer, at->head, at->token, 0, store->attended);
    fake_softmax(fake, at->layer, at->head, at->token, removed, store->removed);
    snprintf(store->head_line, sizeof store->head_line, "sextant bands %s --query %zu",
             session->input.info.name, at->token);
    session->head = (struct sx_head_data){
        .state = SX_STATE_READY,
        .serial = 7,
        .line = store->head_line,
        .result =
            {
                .layer = at->layer,
                .head = at->head,
                .query = at->token,
                .n = n,
                .n_bands = n_bands,
                .pass_through = n_bands > session->input.info.n_bands,
                .period = store->period,
                .score = store->score,
                .attention = store->attended,
                .removed = removed,
                .attention_removed = store->removed,
                .target = protein ? 20 : 500,
                .p = 0.9712,
                .p_removed = removed ? 0.4133 : 0.9712,
                .top = protein ? 20 : 500,
                .top_removed = removed ? (protein ? 4 : 501) : (protein ? 20 : 500),
                .residual = 2.4e-7,
            },
    };
    snprintf(session->head.target_text, 16, "%s", protein ? "M" : " the");
    snprintf(session->head.top_text, 16, "%s", protein ? "M" : " the");
    snprintf(session->head.top_removed_text, 16, "%s",
             removed ? (protein ? "L" : " a") : session->head.top_text);
}

#endif
