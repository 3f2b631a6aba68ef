#include <criterion/criterion.h>

#include "forward_fixture.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/composition.h"
#include "sextant/interp/names.h"
#include "sextant/interp/results.h"

static const struct tiny_shape esm2_8m = {SX_MODEL_ESM2, 6, 320, 20, 1280, 33, 0};
static const struct tiny_shape pythia_70m = {SX_MODEL_GPT_NEOX, 6, 512, 8, 2048, 400, 8};
static const struct tiny_shape deep_esm2 = {SX_MODEL_ESM2, 4, 32, 4, 64, 33, 0};
static const struct tiny_shape deep_neox = {SX_MODEL_GPT_NEOX, 4, 32, 2, 128, 40, 2};

static const int32_t golden_a[] = {0, 32, 15, 11, 7, 19, 2};

static struct sx_sequence sequence_of(const int32_t *ids, size_t n)
{
    return (struct sx_sequence){.ids = ids, .n = n, .embed_scale = NAN};
}

static struct sx_composition_result
compose(const struct fixture *f, const struct sx_sequence *sequence, struct sx_composition_ask ask)
{
    struct sx_composition_result r;
    CHECK_OK(sx_compose(f->runner, sequence, &ask, &r, NULL, err));
    return r;
}

/* --- known values ------------------------------------------------------------------------------
 */

Test(composition, the_tiny_model_s_query_term_by_term)
{
    /* From an independent implementation in float64. */
    static const struct {
        const char *label;
        double score, radial, tangential; /* of band 0 */
    } expected[] = {{"embed", 0, 0, 0},
                    {"L0.H0", -.121978, -.057485, .395720},
                    {"L0.H1", -.038903, .049428, -.163267},
                    {"L0 bias", -.257331, .195752, .382919},
                    {"L0 MLP", .059917, 1.256211, -.611421},
                    {"const", -.040746, .039780, -.003950}};
    struct fixture f = fixture_golden(tiny_esm2_shape);
    const struct sx_sequence a = sequence_of(golden_a, 7);
    struct sx_composition_result r =
        compose(&f, &a, (struct sx_composition_ask){.layer = 1, .head = 1, .query = 1});
    double radial = 0, tangential = 0;
    cr_assert_eq(r.n_terms, 6);
    cr_assert_eq(r.n_bands, 4);
    cr_assert_not(r.pass_through);
    for (size_t t = 0; t < r.n_terms; t++) {
        char label[32];
        sx_component_label(&r.terms[t].component, label, sizeof label);
        cr_assert_str_eq(label, expected[t].label);
        CHECK_CLOSE(r.terms[t].score, expected[t].score, 2e-6);
        CHECK_CLOSE(r.radial[t * 4], expected[t].radial, 2e-6);
        CHECK_CLOSE(r.tangential[t * 4], expected[t].tangential, 2e-6);
        radial += r.radial[t * 4];
        tangential += r.tangential[t * 4];
    }
    CHECK_CLOSE(radial, 1.483686, 2e-6);
    CHECK_CLOSE(tangential, 0, 1e-9);
    CHECK_CLOSE(r.score, -.399041, 2e-6);
    CHECK_CLOSE(r.period[0], 6.283185, 1e-5);
    cr_assert_lt(r.residual, 1e-6);
    sx_composition_result_release(&r);
    fixture_close(&f);
}

/* --- properties --------------------------------------------------------------------------------
 */

/* What the pass itself says of one head at one token: [d]. */
static float *head_vector(const struct fixture *f, const int32_t *ids, size_t n,
                          enum sx_point point, uint32_t layer, uint32_t head, uint32_t token)
{
    const struct sx_capture at = {
        .layers = {&layer, 1}, .heads = {&head, 1}, .tokens = {&token, 1}};
    return fixture_capture(f, ids, n, point, &at);
}

/* Parts of each band add up to the band of the score, their norms to the vector's. */
static void check_bands(const struct fixture *f, const int32_t *ids, size_t n,
                        const struct sx_composition_result *r)
{
    const size_t d = f->info->d_head, rot = f->info->n_bands;
    const uint32_t l = (uint32_t)r->layer, h = (uint32_t)r->head;
    float *q = head_vector(f, ids, n, SX_POINT_Q_ROT, l, h, (uint32_t)r->query);
    float *k = head_vector(f, ids, n, SX_POINT_K_ROT, l, h, (uint32_t)r->key);
    const float *own = r->side == SX_OF_QUERY ? q : k;
    cr_assert_eq(r->n_bands, rot + (2 * rot < d));
    for (size_t b = 0; b < r->n_bands; b++) {
        double score = 0, norm = 0, band = 0, radial = 0, tangential = 0;
        for (size_t i = 0; i < d; i++)
            if (b < rot ? i == b || i == b + rot : i >= 2 * rot) {
                score += (double)q[i] * (double)k[i] / sqrt((double)d);
                norm += (double)own[i] * (double)own[i];
            }
        for (size_t t = 0; t < r->n_terms; t++) {
            band += r->band[t * r->n_bands + b];
            radial += r->radial[t * r->n_bands + b];
            tangential += r->tangential[t * r->n_bands + b];
        }
        CHECK_CLOSE(band, score, 2e-5);
        CHECK_CLOSE(radial, sqrt(norm), 2e-5);
        CHECK_CLOSE(tangential, 0, 1e-9);
    }
    sx_free(q);
    sx_free(k);
}

/* The table of pairs has both sides' terms on its margins. */
static void check_pairs(const struct sx_composition_result *query,
                        const struct sx_composition_result *key)
{
    const size_t n = query->n_terms;
    for (size_t i = 0; i < n; i++) {
        double row = 0, column = 0;
        for (size_t j = 0; j < n; j++) {
            CHECK_CLOSE(query->pairs[i * n + j], key->pairs[i * n + j], 1e-9);
            row += query->pairs[i * n + j];
            column += query->pairs[j * n + i];
        }
        CHECK_CLOSE(row, query->terms[i].score, 2e-5);
        CHECK_CLOSE(column, key->terms[i].score, 2e-5);
    }
}

static void check_head(const struct fixture *f, const int32_t *ids, size_t n, size_t layer,
                       size_t head, size_t query, size_t key)
{
    const struct sx_sequence sequence = sequence_of(ids, n);
    struct sx_composition_ask ask = {
        .layer = layer, .head = head, .query = query, .key = key, .pairs = true};
    struct sx_composition_result q = compose(f, &sequence, ask);
    ask.side = SX_OF_KEY;
    struct sx_composition_result k = compose(f, &sequence, ask);
    cr_assert_lt(q.residual, 1e-4, "query %g", q.residual);
    cr_assert_lt(k.residual, 1e-4, "key %g", k.residual);
    printf("layer %zu: residuals %.2g %.2g\n", layer, q.residual, k.residual);
    check_bands(f, ids, n, &q);
    check_bands(f, ids, n, &k);
    check_pairs(&q, &k);
    sx_composition_result_release(&q);
    sx_composition_result_release(&k);
}

static void check_model(struct tiny_shape shape, const struct tiny_options *options, size_t n)
{
    struct tiny_model m = tiny_random(shape, 6);
    struct fixture f = fixture_open(&m, options, 2);
    int32_t *ids = sx_xcalloc(n, sizeof *ids);
    fixture_ids(&f, ids, n, 9);
    for (size_t l = 0; l < f.info->n_layers; l++)
        check_head(&f, ids, n, l, l % f.info->n_heads, n / 3 + 1, l % 2 ? 0 : n / 3);
    sx_free(ids);
    tiny_release(&m);
    fixture_close(&f);
}

Test(composition, sums_on_esm2_8m, .timeout = 120)
{
    check_model(esm2_8m, NULL, 30);
}

Test(composition, sums_on_pythia_70m, .timeout = 120)
{
    check_model(pythia_70m, NULL, 30);
}

Test(composition, sums_on_variants)
{
    check_model(deep_neox, &(struct tiny_options){.sequential = true}, 12);
    check_model(deep_neox, &(struct tiny_options){.no_attention_bias = true}, 12);
    check_model(deep_esm2, &(struct tiny_options){.no_token_dropout = true}, 12);
}

Test(composition, of_the_value_is_what_the_head_would_write)
{
    static const struct tiny_shape shapes[] = {{SX_MODEL_ESM2, 3, 32, 4, 64, 33, 0},
                                               {SX_MODEL_GPT_NEOX, 3, 32, 2, 128, 40, 2}};
    for (int i = 0; i < 2; i++) {
        enum { N = 9, QUERY = 6, KEY = 2 };
        struct fixture f = fixture_random(shapes[i], 4);
        int32_t ids[N];
        fixture_ids(&f, ids, N, 3);
        const struct sx_sequence sequence = sequence_of(ids, N);
        const struct sx_attribution_point point = {&sequence, QUERY, 7, SX_AGAINST_MEAN};
        const struct sx_attribution_options options = {.sources = true};
        struct sx_attribution_result whole;
        CHECK_OK(sx_attribute(f.runner, &point, 1, &options, &whole, NULL, err));
        struct sx_composition_result r = compose(&f, &sequence,
                                                 (struct sx_composition_ask){
                                                     .layer = 2,
                                                     .head = 1,
                                                     .query = QUERY,
                                                     .key = KEY,
                                                     .side = SX_OF_VALUE,
                                                     .target = 7,
                                                     .against = SX_AGAINST_MEAN,
                                                 });
        float *attn = fixture_capture(&f, ids, N, SX_POINT_ATTN, NULL);
        const size_t H = f.info->n_heads;
        const double from_key = (double)whole.by_source[(2 * H + 1) * N + KEY];
        CHECK_CLOSE(r.score * (double)attn[((2 * H + 1) * N + QUERY) * N + KEY], from_key, 1e-6);
        cr_assert_lt(r.residual, 1e-5);
        cr_assert(r.n_bands == 0 && r.band == NULL && r.pairs == NULL);
        sx_free(attn);
        sx_attribution_result_release(&whole);
        sx_composition_result_release(&r);
        fixture_close(&f);
    }
}

Test(composition, follows_the_sequence_s_own_positions)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    const float far[] = {0, 40.5F, 41, 42, 43, 44, 45};
    struct sx_sequence a = sequence_of(golden_a, 7);
    const struct sx_composition_ask ask = {.layer = 1, .head = 0, .query = 1};
    struct sx_composition_result near = compose(&f, &a, ask);
    a.positions = far;
    struct sx_composition_result r = compose(&f, &a, ask);
    cr_assert_lt(r.residual, 1e-5);
    cr_assert_gt(fabs(r.score - near.score), 1e-4);
    sx_composition_result_release(&near);
    sx_composition_result_release(&r);
    fixture_close(&f);
}

/* --- the terms ----------------------------------------------------------------------------------
 */

Test(components, add_up_to_the_residual_stream)
{
    const struct tiny_shape shapes[] = {deep_esm2, deep_neox};
    for (int i = 0; i < 2; i++) {
        enum { N = 8 };
        struct fixture f = fixture_random(shapes[i], 2);
        int32_t ids[N];
        fixture_ids(&f, ids, N, 1);
        const struct sx_sequence sequence = sequence_of(ids, N);
        for (uint32_t l = 0; l <= f.info->n_layers; l++) {
            const uint32_t token = 5, last = (uint32_t)f.info->n_layers - 1;
            const bool end = l == f.info->n_layers;
            const struct sx_capture at = {.layers = {end ? &last : &l, 1}, .tokens = {&token, 1}};
            float *resid =
                fixture_capture(&f, ids, N, end ? SX_POINT_RESID_POST : SX_POINT_RESID_PRE, &at);
            struct sx_components c;
            CHECK_OK(sx_components_read(f.runner, &sequence, l, token, &c, NULL, err));
            cr_assert_eq(c.n, 1 + l * (f.info->n_heads + 2));
            for (size_t j = 0; j < c.D; j++) {
                double sum = 0;
                for (size_t k = 0; k < c.n; k++)
                    sum += c.u[k * c.D + j];
                CHECK_CLOSE(sum, (double)resid[j], 1e-5);
            }
            sx_components_release(&c);
            sx_free(resid);
        }
        fixture_close(&f);
    }
}

static struct sx_components components(const struct fixture *f, const int32_t *ids, size_t n,
                                       size_t layer, size_t token)
{
    const struct sx_sequence sequence = sequence_of(ids, n);
    struct sx_components c;
    CHECK_OK(sx_components_read(f->runner, &sequence, layer, token, &c, NULL, err));
    return c;
}

static const enum sx_point points[] = {SX_POINT_Q, SX_POINT_K, SX_POINT_V};

/* Nothing replaced is what the pass has; everything replaced what the other run has. */
Test(components, path_vectors)
{
    const struct tiny_shape shapes[] = {deep_esm2, deep_neox};
    for (int i = 0; i < 2; i++) {
        enum { N = 8, LAYER = 2, HEAD = 1 };
        struct fixture f = fixture_random(shapes[i], 2);
        int32_t x[N], y[N];
        fixture_ids(&f, x, N, 1);
        fixture_ids(&f, y, N, 77);
        const size_t d = f.info->d_head;
        struct sx_components a = components(&f, x, N, LAYER, 4);
        struct sx_components b = components(&f, y, N, LAYER, 6);
        bool *all = sx_xcalloc(a.n, sizeof *all);
        float *out = sx_xcalloc(d, sizeof *out);
        memset(all, true, a.n);
        for (enum sx_side_of_score side = SX_OF_QUERY; side <= SX_OF_VALUE; side++) {
            float *mine = head_vector(&f, x, N, points[side], LAYER, HEAD, 4);
            float *theirs = head_vector(&f, y, N, points[side], LAYER, HEAD, 6);
            sx_path_vector(f.model, &a, NULL, NULL, HEAD, side, out);
            for (size_t j = 0; j < d; j++)
                CHECK_CLOSE(out[j], mine[j], 1e-5);
            sx_path_vector(f.model, &a, all, &b, HEAD, side, out);
            for (size_t j = 0; j < d; j++)
                CHECK_CLOSE(out[j], theirs[j], 1e-5);
            sx_free(mine);
            sx_free(theirs);
        }
        sx_free(all);
        sx_free(out);
        sx_components_release(&a);
        sx_components_release(&b);
        fixture_close(&f);
    }
}

/* Zero in place of a head's term, by hand; and the vector put there by an intervention is what the
 * pass then has. */
Test(components, one_term_replaced)
{
    enum { N = 8, LAYER = 2, HEAD = 1, GONE = 3 };
    struct fixture f = fixture_random(deep_esm2, 2);
    int32_t ids[N];
    fixture_ids(&f, ids, N, 1);
    const size_t d = f.info->d_head, D = f.info->d_model;
    struct sx_components c = components(&f, ids, N, LAYER, 4);
    bool *gone = sx_xcalloc(c.n, sizeof *gone);
    float *out = sx_xcalloc(d, sizeof *out);
    float *x = sx_xcalloc(D, sizeof *x), *y = sx_xcalloc(D, sizeof *y);
    gone[GONE] = true;
    sx_path_vector(f.model, &c, gone, NULL, HEAD, SX_OF_QUERY, out);
    for (size_t t = 0; t < c.n; t++)
        for (size_t i = 0; i < D && t != GONE; i++)
            x[i] += (float)c.u[t * D + i];
    const struct sx_layer *layer = &sx_model_weights(f.model)->layers[LAYER];
    sx_layernorm_rows(x, D, layer->ln1.gamma, layer->ln1.beta, 1e-5F, 1, D, y, D, NULL);
    for (size_t j = 0; j < d; j++) {
        double sum = (double)layer->q.bias[HEAD * d + j];
        for (size_t i = 0; i < D; i++)
            sum += (double)sx_weight_f32(&layer->q)[(HEAD * d + j) * D + i] * (double)y[i];
        CHECK_CLOSE(out[j], sum, 1e-5);
    }

    const uint32_t l = LAYER, h = HEAD, token = 4;
    float *seen = sx_xcalloc(d, sizeof *seen);
    const struct sx_intervention put = {.point = SX_POINT_Q,
                                        .sequence = SIZE_MAX,
                                        .layers = {&l, 1},
                                        .tokens = {&token, 1},
                                        .heads = {&h, 1},
                                        .band = -1,
                                        .action = SX_DO_REPLACE,
                                        .factor = 1,
                                        .values = out};
    const struct sx_capture look = {.point = SX_POINT_Q,
                                    .layers = {&l, 1},
                                    .tokens = {&token, 1},
                                    .heads = {&h, 1},
                                    .out = seen};
    const struct sx_hooks hooks = {
        .captures = &look, .n_captures = 1, .interventions = &put, .n_interventions = 1};
    float *changed = fixture_logits(&f, ids, N, &hooks);
    float *plain = fixture_logits(&f, ids, N, NULL);
    cr_assert_eq(memcmp(seen, out, d * sizeof *out), 0);
    cr_assert_neq(memcmp(changed, plain, N * 33 * sizeof *plain), 0);
    sx_free(seen);
    sx_free(changed);
    sx_free(plain);
    sx_free(gone);
    sx_free(out);
    sx_free(x);
    sx_free(y);
    sx_components_release(&c);
    fixture_close(&f);
}

/* Batched runs from the layer on, against one whole pass with the vector put in place. */
static void check_ablation(struct tiny_shape shape, enum sx_side_of_score side)
{
    enum { N = 9, QUERY = 6, KEY = 3 };
    struct fixture f = fixture_random(shape, 2);
    int32_t ids[N];
    fixture_ids(&f, ids, N, 1);
    const struct sx_sequence sequence = sequence_of(ids, N);
    const struct sx_composition_ask ask = {2, 1, QUERY, KEY, side, false, 7, SX_AGAINST_MEAN};
    const size_t n = sx_composition_components(f.info, 2), d = f.info->d_head;
    const uint32_t l = 2, h = 1, query = QUERY, key = KEY,
                   token = side == SX_OF_QUERY ? QUERY : KEY;
    double *attention = sx_xcalloc(n + 1, sizeof *attention);
    double *logit = sx_xcalloc(n + 1, sizeof *logit), moved = 0;
    struct sx_components c = components(&f, ids, N, 2, token);
    float *vector = sx_xcalloc(d, sizeof *vector);
    const int32_t first = f.info->family == SX_MODEL_ESM2 ? 4 : 0;
    const int32_t last = f.info->family == SX_MODEL_ESM2 ? 23 : (int32_t)f.info->vocab - 1;
    cr_assert_eq(c.n, n);
    CHECK_OK(sx_path_ablation(f.runner, &sequence, &ask, attention, logit, NULL, err));
    for (size_t t = 0; t <= n; t++) {
        float seen = 0;
        double mean = 0;
        bool *gone = sx_xcalloc(n + 1, sizeof *gone);
        gone[t] = true;
        sx_path_vector(f.model, &c, gone, NULL, 1, side, vector);
        const struct sx_intervention put = {.point = points[side],
                                            .sequence = SIZE_MAX,
                                            .layers = {&l, 1},
                                            .tokens = {&token, 1},
                                            .heads = {&h, 1},
                                            .band = -1,
                                            .action = SX_DO_REPLACE,
                                            .factor = 1,
                                            .values = vector};
        const struct sx_capture look = {.point = SX_POINT_ATTN,
                                        .layers = {&l, 1},
                                        .tokens = {&query, 1},
                                        .heads = {&h, 1},
                                        .keys = {&key, 1},
                                        .out = &seen};
        const struct sx_hooks hooks = {
            .captures = &look, .n_captures = 1, .interventions = &put, .n_interventions = t < n};
        float *logits = fixture_logits(&f, ids, N, &hooks);
        const float *row = logits + QUERY * f.info->vocab;
        for (int32_t v = first; v <= last; v++)
            mean += (double)row[v] / (double)(last - first + 1);
        CHECK_CLOSE(attention[t], seen, 1e-6);
        CHECK_CLOSE(logit[t], (double)row[7] - mean, 1e-5);
        moved = fmax(moved, fabs(logit[t] - logit[n]));
        sx_free(logits);
        sx_free(gone);
    }
    cr_assert_gt(moved, 1e-4, "nothing moves the logit: %g", moved);
    double *again = sx_xcalloc(n + 1, sizeof *again);
    CHECK_OK(sx_path_ablation(f.runner, &sequence, &ask, again, NULL, NULL, err));
    cr_assert_eq(memcmp(again, attention, (n + 1) * sizeof *again), 0);
    sx_free(again);
    sx_free(attention);
    sx_free(logit);
    sx_free(vector);
    sx_components_release(&c);
    fixture_close(&f);
}

Test(components, each_taken_out_of_a_head_s_input)
{
    for (enum sx_side_of_score side = SX_OF_QUERY; side <= SX_OF_VALUE; side++) {
        check_ablation(deep_esm2, side);
        check_ablation(deep_neox, side);
    }
}

Test(components, a_mean_over_runs)
{
    enum { N = 6 };
    struct fixture f = fixture_random(deep_esm2, 2);
    struct sx_components all[3];
    for (uint64_t i = 0; i < 3; i++) {
        int32_t ids[N];
        fixture_ids(&f, ids, N, 20 + i);
        all[i] = components(&f, ids, N, 3, 2);
    }
    struct sx_components mean = components(&f, golden_a, N, 3, 1);
    for (size_t i = 0; i < 3; i++)
        sx_components_accumulate(&mean, &all[i], i + 1);
    for (size_t i = 0; i < mean.n * mean.D; i++)
        CHECK_CLOSE(mean.u[i], (all[0].u[i] + all[1].u[i] + all[2].u[i]) / 3, 1e-12);
    for (size_t i = 0; i < 3; i++)
        sx_components_release(&all[i]);
    sx_components_release(&mean);
    fixture_close(&f);
}

Test(composition, what_cannot_be_asked)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    const struct sx_sequence a = sequence_of(golden_a, 7);
    const struct sx_composition_ask bad[] = {
        {.layer = 2},
        {.head = 2},
        {.query = 7},
        {.key = 7},
        {.side = SX_OF_VALUE, .target = 33, .against = SX_AGAINST_NONE},
        {.side = SX_OF_VALUE, .target = 3, .against = -3}};
    struct sx_composition_result r;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sx_error err = {0};
        cr_assert_eq(sx_compose(f.runner, &a, &bad[i], &r, NULL, &err), SX_ERR_USAGE);
        cr_assert(err.message[0]);
        sx_composition_result_release(&r);
    }
    fixture_close(&f);
    f = fixture_golden(tiny_neox_shape);
    cr_assert_eq(sx_compose(f.runner, &a, &(struct sx_composition_ask){.key = 1}, &r, NULL, NULL),
                 SX_ERR_USAGE);
    sx_composition_result_release(&r);
    fixture_close(&f);
}
