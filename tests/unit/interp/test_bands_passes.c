/* Bands of passes over random models with real shapes: sums, profiles, readout, one head, patches,
 * the survey of all pairs. */
#include "../../support/forward_fixture.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/band_patch.h"
#include "sextant/interp/results.h"

static const struct tiny_shape esm2_8m = {SX_MODEL_ESM2, 6, 320, 20, 1280, 33, 0};
/* Pythia-70M, but for the size of the vocabulary. */
static const struct tiny_shape pythia_70m = {SX_MODEL_GPT_NEOX, 6, 512, 8, 2048, 400, 8};
static const struct tiny_shape small_neox = {SX_MODEL_GPT_NEOX, 3, 48, 3, 96, 50, 3};
static const struct tiny_shape small_esm2 = {SX_MODEL_ESM2, 3, 32, 2, 64, 33, 0};

enum { MOST = 64 };

struct bed {
    struct fixture f;
    int32_t ids[MOST];
    struct sx_sequence sequence;
};

static struct bed *open_bed(struct tiny_shape shape, size_t n)
{
    struct bed *bed = sx_xcalloc(1, sizeof *bed);
    bed->f = fixture_random(shape, 3);
    fixture_ids(&bed->f, bed->ids, n, 4);
    bed->sequence = (struct sx_sequence){.ids = bed->ids, .n = n, .embed_scale = NAN};
    return bed;
}

static void close_bed(struct bed *bed)
{
    fixture_close(&bed->f);
    sx_free(bed);
}

static struct sx_bands_result measure(const struct bed *bed, const struct sx_bands_ask *ask)
{
    struct sx_bands_result r;
    CHECK_OK(sx_bands_measure(bed->f.runner, ask, 1, &r, NULL, err));
    return r;
}

/* --- sums over bands are the scores --------------------------------------------------------------
 */

static void check_sums(struct tiny_shape shape, size_t n)
{
    struct bed *bed = open_bed(shape, n);
    const struct sx_model_info *info = bed->f.info;
    float *scores = fixture_capture(&bed->f, bed->ids, n, SX_POINT_SCORES, NULL);
    float *attn = fixture_capture(&bed->f, bed->ids, n, SX_POINT_ATTN, NULL);
    const size_t heads = (size_t)(info->n_layers * info->n_heads);
    for (size_t query = 2; query < n; query += n / 3) {
        const size_t key = query / 2;
        struct sx_bands_result r =
            measure(bed, &(struct sx_bands_ask){.a = {&bed->sequence, query, key}, .target = -1});
        cr_assert_lt(r.residual, 1e-5);
        for (size_t h = 0; h < heads; h++) {
            double sum = 0, size = 0;
            const double score = (double)scores[(h * n + query) * n + key];
            for (size_t b = 0; b < r.n_bands; b++) {
                sum += r.a[h * r.n_bands + b].score;
                size += fabs(r.a[h * r.n_bands + b].score);
            }
            cr_assert(fabs(sum - score) <= 1e-5 * size, "head %zu: %.9g, not %.9g", h, sum, score);
            CHECK_CLOSE(r.attention_a[h], attn[(h * n + query) * n + key], 1e-6);
        }
        sx_bands_result_release(&r);
    }
    sx_free(scores);
    sx_free(attn);
    close_bed(bed);
}

Test(bands_passes, sums_are_scores_esm2_8m)
{
    check_sums(esm2_8m, 60);
}

Test(bands_passes, sums_are_scores_pythia_70m)
{
    check_sums(pythia_70m, 60);
}

/* Positions of the sequence's own count, and a common shift of them changes no score. */
Test(bands_passes, a_common_shift_of_positions)
{
    struct bed *bed = open_bed(small_esm2, 20);
    float positions[20];
    for (size_t t = 0; t < 20; t++)
        positions[t] = (float)t + 37;
    struct sx_sequence shifted = bed->sequence;
    shifted.positions = positions;
    struct sx_bands_result r = measure(
        bed,
        &(struct sx_bands_ask){.a = {&bed->sequence, 7, 0}, .b = {&shifted, 7, 0}, .target = -1});
    for (size_t c = 0; c < r.n_layers * r.n_heads * r.n_bands; c++) {
        CHECK_CLOSE(r.a[c].score, r.b[c].score, 1e-4);
        CHECK_CLOSE(r.split[c].position, 0, 1e-4);
    }
    cr_assert_lt(r.residual, 1e-5);
    sx_bands_result_release(&r);
    close_bed(bed);
}

/* --- many at once, profiles, readout
 * -------------------------------------------------------------- */

Test(bands_passes, many_conditions_are_the_same_bits_as_one)
{
    struct bed *bed = open_bed(small_esm2, 24);
    struct sx_bands_ask asks[70];
    struct sx_bands_result r[70];
    for (size_t i = 0; i < 70; i++)
        asks[i] = (struct sx_bands_ask){.a = {&bed->sequence, i % 24, 0},
                                        .b = {&bed->sequence, (i + 5) % 24, i % 3},
                                        .target = i % 2 ? 20 : -1};
    CHECK_OK(sx_bands_measure(bed->f.runner, asks, 70, r, NULL, err));
    for (size_t i = 0; i < 70; i += 23) {
        struct sx_bands_result one = measure(bed, &asks[i]);
        const size_t cells = one.n_layers * one.n_heads * one.n_bands;
        cr_assert_eq(memcmp(one.a, r[i].a, cells * sizeof *one.a), 0);
        cr_assert_eq(memcmp(one.split, r[i].split, cells * sizeof *one.split), 0);
        sx_bands_result_release(&one);
    }
    for (size_t i = 0; i < 70; i++)
        sx_bands_result_release(&r[i]);
    close_bed(bed);
}

Test(bands_passes, the_readout_is_the_key_s_term_of_the_attribution)
{
    struct bed *bed = open_bed(small_esm2, 20);
    const size_t query = 7;
    struct sx_bands_result r =
        measure(bed, &(struct sx_bands_ask){.a = {&bed->sequence, query, 0}, .target = 20});
    const struct sx_attribution_point point = {&bed->sequence, query, 20, SX_AGAINST_NONE};
    const struct sx_attribution_options options = {.sources = true};
    struct sx_attribution_result a;
    CHECK_OK(sx_attribute(bed->f.runner, &point, 1, &options, &a, NULL, err));
    for (size_t h = 0; h < r.n_layers * r.n_heads; h++)
        CHECK_CLOSE(r.readout[h], a.by_source[h * a.n], 1e-6);
    sx_attribution_result_release(&a);
    sx_bands_result_release(&r);
    close_bed(bed);
}

/* A profile's point is what asking for that condition alone gives. */
Test(bands_passes, a_profile_of_moved_masks)
{
    struct bed *bed = open_bed(small_esm2, 20);
    const size_t query = 20 / 3 + 1; /* fixture_ids masks it */
    const uint32_t at[] = {3, 7, 12};
    cr_assert_eq(bed->ids[query], 32);
    struct sx_bands_ask ask = {.a = {&bed->sequence, query, 0},
                               .target = -1,
                               .profile_at = at,
                               .n_profile = 3,
                               .original = 9};
    struct sx_bands_result r = measure(bed, &ask);
    for (size_t p = 0; p < 3; p++) {
        bed->ids[query] = 9;
        const int32_t was = bed->ids[at[p]];
        bed->ids[at[p]] = 32;
        struct sx_bands_result one =
            measure(bed, &(struct sx_bands_ask){.a = {&bed->sequence, at[p], 0}, .target = -1});
        for (size_t c = 0; c < one.n_layers * one.n_heads * one.n_bands; c++)
            cr_assert_eq(r.profile[c * 3 + p], (float)one.a[c].score);
        sx_bands_result_release(&one);
        bed->ids[at[p]] = was;
    }
    sx_bands_result_release(&r);
    close_bed(bed);
}

Test(bands_passes, a_profile_of_queries_in_one_pass)
{
    struct bed *bed = open_bed(small_neox, 20);
    const uint32_t at[] = {2, 5, 19};
    struct sx_bands_result r = measure(bed, &(struct sx_bands_ask){.a = {&bed->sequence, 10, 2},
                                                                   .target = -1,
                                                                   .profile_at = at,
                                                                   .n_profile = 3,
                                                                   .original = -1});
    cr_assert(r.pass_through && isinf(r.period[r.n_bands - 1]));
    for (size_t p = 0; p < 3; p++) {
        struct sx_bands_result one =
            measure(bed, &(struct sx_bands_ask){.a = {&bed->sequence, at[p], 2}, .target = -1});
        for (size_t c = 0; c < one.n_layers * one.n_heads * one.n_bands; c++)
            cr_assert_eq(r.profile[c * 3 + p], (float)one.a[c].score);
        sx_bands_result_release(&one);
    }
    sx_bands_result_release(&r);
    close_bed(bed);
}

/* Against the margins of the pass's own scores, and in the key's term against the score's split:
 * with one other key its weight is 1, so that nothing is left over. */
static void check_margins(struct tiny_shape shape, size_t n, size_t query_a, size_t query_b,
                          bool exact)
{
    struct bed *bed = open_bed(shape, n);
    struct sx_sequence other = bed->sequence;
    int32_t ids[MOST];
    memcpy(ids, bed->ids, sizeof ids);
    ids[n / 2] = bed->ids[n / 2] == 9 ? 10 : 9;
    ids[1] = ids[n / 2];
    other.ids = ids;
    struct sx_bands_result r =
        measure(bed, &(struct sx_bands_ask){.a = {&bed->sequence, query_a, 0},
                                            .b = {&other, query_b, 0},
                                            .margin = true,
                                            .target = -1});
    cr_assert(r.margin_split && r.margin_residual);
    double changed = 0;
    for (size_t h = 0; h < r.n_layers * r.n_heads; h++) {
        const double change = r.margin_b[h] - r.margin_a[h];
        double sum = r.margin_residual[h];
        for (size_t b = 0; b < r.n_bands; b++) {
            const struct sx_band_split *split = &r.margin_split[h * r.n_bands + b];
            sum += split->total;
            CHECK_CLOSE(split->query_norm + split->key_norm + split->direction, split->total, 1e-9);
            CHECK_CLOSE(split->content + split->position, split->direction, 1e-9);
        }
        CHECK_CLOSE(sum, change, 2e-5 * (1 + fabs(change)));
        cr_assert(!exact || fabs(r.margin_residual[h]) < 1e-6 * (1 + fabs(change)),
                  "head %zu: %g of %g", h, r.margin_residual[h], change);
        changed = fmax(changed, fabs(change));
    }
    cr_assert_gt(changed, 1e-3);
    sx_bands_result_release(&r);
    close_bed(bed);
}

Test(bands_passes, the_margins_change_by_band)
{
    check_margins(esm2_8m, 40, 7, 21, false);
    check_margins(small_neox, 30, 25, 25, false);
    check_margins(small_neox, 12, 1, 1, true); /* two keys: the other one has all the weight */
}

Test(bands_passes, what_is_out_of_range)
{
    struct bed *bed = open_bed(small_neox, 10);
    const struct sx_bands_ask bad[] = {
        {.a = {&bed->sequence, 10, 0}, .target = -1},
        {.a = {&bed->sequence, 3, 10}, .target = -1},
        {.a = {&bed->sequence, 3, 4}, .target = -1}, /* behind the query */
        {.a = {&bed->sequence, 3, 0}, .b = {&bed->sequence, 2, 3}, .target = -1},
        {.a = {&bed->sequence, 3, 0}, .target = 50},
        /* margins: no B, other keys in B, no other key */
        {.a = {&bed->sequence, 3, 0}, .margin = true, .target = -1},
        {.a = {&bed->sequence, 3, 0}, .b = {&bed->sequence, 4, 0}, .margin = true, .target = -1},
        {.a = {&bed->sequence, 3, 0}, .b = {&bed->sequence, 3, 1}, .margin = true, .target = -1},
        {.a = {&bed->sequence, 0, 0}, .b = {&bed->sequence, 0, 0}, .margin = true, .target = -1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sx_error error = {0};
        struct sx_bands_result r;
        cr_assert_eq(sx_bands_measure(bed->f.runner, &bad[i], 1, &r, NULL, &error), SX_ERR_USAGE);
        sx_bands_result_release(&r);
    }
    close_bed(bed);
}

/* --- one head
 * ------------------------------------------------------------------------------------- */

static struct sx_head_result head_of(const struct bed *bed, size_t layer, size_t head, size_t query,
                                     uint64_t removed)
{
    const struct sx_head_ask ask = {.sequence = &bed->sequence,
                                    .layer = layer,
                                    .head = head,
                                    .query = query,
                                    .removed = removed,
                                    .target = 5};
    struct sx_head_result r;
    CHECK_OK(sx_head_measure(bed->f.runner, &ask, &r, NULL, err));
    return r;
}

/* The softmax over the bands that are left. */
static void check_removed(const struct sx_head_result *r, size_t seen)
{
    double p[MOST], sum = 0;
    for (size_t j = 0; j < seen; j++) {
        double s = 0;
        for (size_t b = 0; b < r->n_bands; b++)
            s += r->removed >> b & 1 ? 0 : (double)r->score[b * r->n + j];
        sum += p[j] = exp(s);
    }
    for (size_t j = 0; j < r->n; j++)
        CHECK_CLOSE(r->attention_removed[j], j < seen ? p[j] / sum : 0, 1e-6);
}

static void check_head(struct tiny_shape shape)
{
    struct bed *bed = open_bed(shape, 20);
    const bool causal = shape.family == SX_MODEL_GPT_NEOX;
    const size_t bands = sx_band_shape_of(bed->f.model).n;
    struct sx_head_result whole = head_of(bed, 1, 1, 11, 0);
    cr_assert_eq(whole.n_bands, bands);
    cr_assert_lt(whole.residual, 1e-5);
    check_removed(&whole, causal ? 12 : 20);
    cr_assert_eq(whole.p, whole.p_removed);
    for (uint64_t removed = 1; removed < 1ULL << bands; removed = 2 * removed + 1) {
        struct sx_head_result r = head_of(bed, 1, 1, 11, removed);
        check_removed(&r, causal ? 12 : 20);
        cr_assert_eq(r.p, whole.p);
        cr_assert(r.p_removed > 0 && r.p_removed != r.p);
        sx_head_result_release(&r);
    }
    float *logits = fixture_logits(&bed->f, bed->ids, 20, NULL);
    double sum = 0;
    for (size_t v = 0; v < bed->f.info->vocab; v++)
        sum += exp((double)logits[11 * bed->f.info->vocab + v]);
    CHECK_CLOSE(whole.p, exp((double)logits[11 * bed->f.info->vocab + 5]) / sum, 1e-6);
    sx_free(logits);
    sx_head_result_release(&whole);
    close_bed(bed);
}

Test(bands_passes, one_head_without_bands)
{
    check_head(small_esm2);
    check_head(small_neox);
}

Test(bands_passes, one_head_out_of_range)
{
    struct bed *bed = open_bed(small_esm2, 10);
    const struct sx_head_ask bad[] = {{&bed->sequence, 3, 0, 1, 0, -1},
                                      {&bed->sequence, 0, 2, 1, 0, -1},
                                      {&bed->sequence, 0, 0, 10, 0, -1},
                                      {&bed->sequence, 0, 0, 1, 1 << 8, -1},
                                      {&bed->sequence, 0, 0, 1, 0, 33}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sx_error error = {0};
        struct sx_head_result r;
        cr_assert_eq(sx_head_measure(bed->f.runner, &bad[i], &r, NULL, &error), SX_ERR_USAGE);
        sx_head_result_release(&r);
    }
    close_bed(bed);
}

/* --- patches
 * -------------------------------------------------------------------------------------- */

static float *score_row(const struct bed *bed, const struct sx_hooks *hooks, uint32_t layer,
                        uint32_t head, uint32_t query)
{
    struct sx_capture capture = {.point = SX_POINT_SCORES,
                                 .layers = {&layer, 1},
                                 .heads = {&head, 1},
                                 .tokens = {&query, 1}};
    struct sx_hooks own = *hooks;
    capture.out = sx_xcalloc(bed->sequence.n, sizeof(float));
    own.captures = &capture;
    own.n_captures = 1;
    sx_free(fixture_logits(&bed->f, bed->ids, bed->sequence.n, &own));
    return capture.out;
}

/* Queries and keys of one head of all tokens, [n,d]. */
static float *vectors(const struct bed *bed, enum sx_point point, uint32_t layer, uint32_t head)
{
    const struct sx_capture choice = {.layers = {&layer, 1}, .heads = {&head, 1}};
    return fixture_capture(&bed->f, bed->ids, bed->sequence.n, point, &choice);
}

static void check_patch(const struct bed *bed, enum sx_band_patch kind, enum sx_side side,
                        uint64_t bands)
{
    enum { LAYER = 1, HEAD = 1, QUERY = 9, KEY = 4, FROM = 7 };
    const struct sx_band_shape shape = sx_band_shape_of(bed->f.model);
    const size_t n = bed->sequence.n, d = shape.d;
    const uint32_t token = side == SX_SIDE_QUERY ? QUERY : KEY;
    float *q = vectors(bed, SX_POINT_Q, LAYER, HEAD), *k = vectors(bed, SX_POINT_K, LAYER, HEAD);
    float *of = side == SX_SIDE_QUERY ? q : k;
    struct sx_band_patches patches = {0};
    sx_band_patches_add(&patches, &shape,
                        &(struct sx_band_patch_ask){.sequence = SIZE_MAX,
                                                    .layer = LAYER,
                                                    .head = HEAD,
                                                    .token = token,
                                                    .side = side,
                                                    .kind = kind,
                                                    .bands = bands,
                                                    .own = of + token * d,
                                                    .reference = of + FROM * d,
                                                    .position = FROM,
                                                    .n = n});
    const struct sx_hooks hooks = {.interventions = patches.interventions,
                                   .n_interventions = patches.n_interventions,
                                   .positions = patches.positions,
                                   .n_positions = patches.n_positions};
    float *row = score_row(bed, &hooks, LAYER, HEAD, QUERY);
    struct sx_band own[SX_MAX_BANDS + 1], reference[SX_MAX_BANDS + 1], turned[SX_MAX_BANDS + 1];
    const bool is_q = side == SX_SIDE_QUERY;
    const float *other = is_q ? k + KEY * d : q + QUERY * d;
    sx_bands_of(&shape, q + QUERY * d, k + KEY * d, QUERY, KEY, own);
    sx_bands_of(&shape, is_q ? of + FROM * d : other, is_q ? other : of + FROM * d, QUERY, KEY,
                reference);
    sx_bands_of(&shape, q + QUERY * d, k + KEY * d, is_q ? FROM : QUERY, is_q ? KEY : FROM, turned);
    double expected = 0;
    for (size_t b = 0; b < shape.n; b++) {
        const bool in = bands >> b & 1;
        const double r = is_q ? own[b].r : own[b].rho;
        const double to = is_q ? reference[b].r : reference[b].rho;
        double s = own[b].score;
        if (in && kind == SX_PATCH_NORM)
            s *= to / r;
        else if (in && kind == SX_PATCH_DIRECTION)
            s = reference[b].score * r / to;
        else if (in && kind == SX_PATCH_FULL)
            s = reference[b].score;
        else if (in && kind == SX_PATCH_ABLATE)
            s = 0;
        else if (in && kind == SX_PATCH_ROTATION)
            s = turned[b].score;
        expected += s;
    }
    CHECK_CLOSE(row[KEY], expected, 2e-5);
    sx_free(row);
    sx_free(q);
    sx_free(k);
    sx_band_patches_release(&patches);
}

static void check_patches(struct tiny_shape shape)
{
    struct bed *bed = open_bed(shape, 16);
    const size_t bands = sx_band_shape_of(bed->f.model).n;
    for (int kind = 0; kind < SX_PATCH_COUNT; kind++)
        for (uint64_t set = 1; set < 1ULL << bands; set = set * 3 + 1) {
            check_patch(bed, (enum sx_band_patch)kind, SX_SIDE_QUERY, set);
            check_patch(bed, (enum sx_band_patch)kind, SX_SIDE_KEY, set);
        }
    close_bed(bed);
}

Test(bands_passes, patches_do_what_the_formulas_say)
{
    check_patches(small_esm2);
    check_patches(small_neox);
}

Test(bands_passes, a_patch_with_itself_changes_no_bit)
{
    struct bed *bed = open_bed(small_esm2, 16);
    const struct sx_band_shape shape = sx_band_shape_of(bed->f.model);
    float *q = vectors(bed, SX_POINT_Q, 1, 0);
    struct sx_band_patches patches = {0};
    for (int kind = SX_PATCH_NORM; kind <= SX_PATCH_FULL; kind++)
        sx_band_patches_add(&patches, &shape,
                            &(struct sx_band_patch_ask){.sequence = SIZE_MAX,
                                                        .layer = 1,
                                                        .token = 6,
                                                        .side = SX_SIDE_QUERY,
                                                        .kind = (enum sx_band_patch)kind,
                                                        .bands = 0xff,
                                                        .own = q + 6 * shape.d,
                                                        .reference = q + 6 * shape.d});
    const struct sx_hooks hooks = {.interventions = patches.interventions,
                                   .n_interventions = patches.n_interventions};
    float *with = fixture_logits(&bed->f, bed->ids, 16, &hooks);
    float *without = fixture_logits(&bed->f, bed->ids, 16, NULL);
    cr_assert_eq(patches.n_interventions, 3 * shape.n);
    cr_assert_eq(memcmp(with, without, 16 * bed->f.info->vocab * sizeof *with), 0);
    sx_free(with);
    sx_free(without);
    sx_free(q);
    sx_band_patches_release(&patches);
    close_bed(bed);
}

Test(bands_passes, a_mean_of_lengths_and_angles)
{
    const float frequency[] = {1};
    const struct sx_band_shape shape = {4, 1, 2, frequency, 0.5};
    /* Angles 0 and 90 degrees, lengths 1 and 3; the rest along x twice, lengths 2 and 4. */
    const float v[] = {1, 0, 2, 0, 0, 3, 4, 0};
    float mean[4];
    sx_band_mean(&shape, v, 4, 2, mean);
    CHECK_CLOSE(mean[0], sqrt(2), 1e-6);
    CHECK_CLOSE(mean[1], sqrt(2), 1e-6);
    CHECK_CLOSE(mean[2], 3, 1e-6);
    CHECK_CLOSE(mean[3], 0, 1e-6);
    const float opposite[] = {1, 0, 0, 0, -1, 0, 0, 0};
    sx_band_mean(&shape, opposite, 4, 2, mean);
    CHECK_CLOSE(mean[0], 0, 1e-6);
    cr_assert_str_eq(sx_band_patch_name(SX_PATCH_ROTATION), "rotation");
    cr_assert_null(sx_band_patch_name(SX_PATCH_COUNT));
}

/* --- the survey
 * ------------------------------------------------------------------------------------ */

static void check_survey(struct tiny_shape shape, size_t n)
{
    struct bed *bed = open_bed(shape, n);
    const struct sx_band_shape s = sx_band_shape_of(bed->f.model);
    const bool causal = shape.family == SX_MODEL_GPT_NEOX;
    struct sx_band_survey survey;
    CHECK_OK(sx_band_survey_run(bed->f.runner, &bed->sequence, 2, &survey, NULL, err));
    cr_assert_lt(survey.residual, 1e-5);
    cr_assert_gt(survey.residual, 0);
    for (uint32_t l = 0; l < shape.layers; l += 2)
        for (uint32_t h = 0; h < shape.heads; h++) {
            float *q = vectors(bed, SX_POINT_Q, l, h), *k = vectors(bed, SX_POINT_K, l, h);
            double size[16] = {0}, centred[16] = {0}, offset[16] = {0}, all = 0, pairs = 0;
            const size_t apart = n > 3 ? 3 : 0; /* key = query - 3 */
            for (size_t i = 0; i < n; i++) {
                struct sx_band bands[MOST][16];
                double mean[16] = {0};
                const size_t seen = causal ? i + 1 : n;
                for (size_t j = 0; j < seen; j++) {
                    sx_bands_of(&s, q + i * s.d, k + j * s.d, (double)i, (double)j, bands[j]);
                    for (size_t b = 0; b < s.n; b++)
                        mean[b] += bands[j][b].score / (double)seen;
                }
                for (size_t j = 0; j < seen; j++, pairs++)
                    for (size_t b = 0; b < s.n; b++) {
                        size[b] += fabs(bands[j][b].score);
                        all += fabs(bands[j][b].score);
                        centred[b] += fabs(bands[j][b].score - mean[b]);
                        if (j + apart == i)
                            offset[b] += bands[j][b].score / (double)(n - apart);
                    }
            }
            for (size_t b = 0; b < s.n; b++) {
                const size_t at = (l * survey.n_heads + h) * s.n + b;
                CHECK_CLOSE(survey.size[at], size[b] / pairs, 1e-5);
                CHECK_CLOSE(survey.centred[at], centred[b] / pairs, 1e-5);
                CHECK_CLOSE(survey.share[at], size[b] / all, 1e-5);
                CHECK_CLOSE(survey.by_offset[at * (2 * n - 1) + n - 1 - apart], offset[b], 1e-5);
                if (causal)
                    cr_assert_eq(survey.by_offset[at * (2 * n - 1) + n], 0.0F);
            }
            sx_free(q);
            sx_free(k);
        }
    sx_band_survey_release(&survey);
    close_bed(bed);
}

Test(bands_passes, the_survey_against_pair_by_pair)
{
    check_survey(small_esm2, 37);
    check_survey(small_neox, 37);
    check_survey(small_esm2, 1);
}

static void check_threads(struct tiny_shape shape)
{
    struct bed *bed = open_bed(shape, 37);
    struct sx_band_survey one;
    CHECK_OK(sx_band_survey_run(bed->f.runner, &bed->sequence, 1, &one, NULL, err));
    const size_t cells = one.n_layers * one.n_heads * one.n_bands;
    for (int threads = 2; threads <= 5; threads++) {
        struct sx_band_survey more;
        CHECK_OK(sx_band_survey_run(bed->f.runner, &bed->sequence, threads, &more, NULL, err));
        cr_assert_eq(memcmp(one.size, more.size, cells * sizeof *one.size), 0);
        cr_assert_eq(memcmp(one.share, more.share, cells * sizeof *one.share), 0);
        cr_assert_eq(memcmp(one.centred, more.centred, cells * sizeof *one.centred), 0);
        cr_assert_eq(memcmp(one.by_offset, more.by_offset, cells * 73 * sizeof *one.by_offset), 0);
        cr_assert(one.residual == more.residual);
        sx_band_survey_release(&more);
    }
    sx_band_survey_release(&one);
    close_bed(bed);
}

Test(bands_passes, the_survey_does_not_depend_on_threads)
{
    check_threads(small_esm2);
    check_threads(small_neox);
}

Test(bands_passes, the_survey_of_a_cancelled_task)
{
    struct bed *bed = open_bed(small_esm2, 16);
    struct sx_task task;
    struct sx_band_survey survey;
    struct sx_error error = {0};
    sx_task_init(&task);
    sx_task_cancel(&task);
    cr_assert_eq(sx_band_survey_run(bed->f.runner, &bed->sequence, 2, &survey, &task, &error),
                 SX_CANCELLED);
    sx_band_survey_release(&survey);
    close_bed(bed);
}
