#include <criterion/criterion.h>

#include "forward_fixture.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/circuit.h"
#include "sextant/interp/results.h"

static const int32_t golden_a[] = {0, 32, 15, 11, 7, 19, 2};
static const int32_t golden_b[] = {0, 20, 15, 11, 32, 19, 2};

/* --- layer 0 by position -----------------------------------------------------------------------
 */

Test(circuit, position_profile_known_values)
{
    /* |q| |k| cos(alpha + p theta) / sqrt(d), from an independent implementation in float64. */
    static const double r[] = {.640575, .288978, .058545, .374783};
    static const double rho[] = {1.997017, 1.399256, .886770, 2.021195};
    static const double alpha[] = {-2.475345, -.626621, -2.249913, 1.741019};
    static const double theta[] = {1, .1, .01, .001};
    struct fixture f = fixture_golden(tiny_esm2_shape);
    double profile[2 * 4 * 64];
    float scale;
    CHECK_OK(sx_embed_scale(f.info, golden_a, 7, &scale, err));
    CHECK_OK(sx_position_profile(f.model, 1, 64, scale, profile, err));
    double one = 0, four = 0;
    for (size_t b = 0; b < 4; b++) {
        for (size_t p = 1; p <= 64; p++)
            CHECK_CLOSE(profile[b * 64 + p - 1],
                        r[b] * rho[b] * cos(alpha[b] + (double)p * theta[b]) / sqrt(8), 2e-6);
        one += profile[b * 64];
        four += profile[b * 64 + 3];
    }
    CHECK_CLOSE(one, .109678, 1e-6);
    CHECK_CLOSE(four, .102794, 1e-6);
    fixture_close(&f);
}

/* Whatever the sequence, the pass has these scores. */
Test(circuit, position_profile_is_the_score_of_any_run)
{
    const struct tiny_shape shape = {SX_MODEL_ESM2, 1, 320, 20, 64, 33, 0};
    struct fixture f = fixture_random(shape, 3);
    enum { N = 70 };
    double *profile = sx_xcalloc(20 * 8 * (N - 2), sizeof *profile);
    int32_t ids[N];
    float scale;
    fixture_ids(&f, ids, N, 4);
    ids[N / 3 + 1] = 9;
    for (size_t p = 1; p < N - 1; p += 13) {
        const int32_t was = ids[p];
        const uint32_t token = (uint32_t)p, zero = 0;
        const struct sx_capture at = {.tokens = {&token, 1}, .keys = {&zero, 1}};
        ids[p] = 32;
        CHECK_OK(sx_embed_scale(f.info, ids, N, &scale, err));
        CHECK_OK(sx_position_profile(f.model, 1, N - 2, scale, profile, err));
        float *scores = fixture_capture(&f, ids, N, SX_POINT_SCORES, &at);
        for (size_t h = 0; h < 20; h++) {
            double sum = 0;
            for (size_t b = 0; b < 8; b++)
                sum += profile[(h * 8 + b) * (N - 2) + p - 1];
            CHECK_CLOSE(scores[h], sum, 2e-5);
        }
        sx_free(scores);
        ids[p] = was;
    }
    sx_free(profile);
    fixture_close(&f);
}

Test(circuit, position_profile_of_other_models_is_refused)
{
    double profile[64];
    struct fixture f = fixture_golden(tiny_neox_shape);
    cr_assert_eq(sx_position_profile(f.model, 1, 1, 0, profile, NULL), SX_ERR_UNSUPPORTED);
    fixture_close(&f);
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    f = fixture_open(&m, &(struct tiny_options){.no_token_dropout = true}, 1);
    cr_assert_eq(sx_position_profile(f.model, 1, 1, 0, profile, NULL), SX_ERR_UNSUPPORTED);
    tiny_release(&m);
    fixture_close(&f);
}

/* --- QK -----------------------------------------------------------------------------------------
 */

static void check_terms(struct tiny_shape shape, const struct tiny_options *options)
{
    enum { N = 9 };
    struct tiny_model m = tiny_random(shape, 12);
    struct fixture f = fixture_open(&m, options, 2);
    int32_t ids[N];
    fixture_ids(&f, ids, N, 4);
    const size_t D = f.info->d_model, H = f.info->n_heads;
    float *y = fixture_capture(&f, ids, N, SX_POINT_ATTN_LN, NULL);
    float *scores = fixture_capture(&f, ids, N, SX_POINT_SCORES, NULL);
    float *zero = sx_xcalloc(D, sizeof *zero);
    for (size_t l = 0; l < f.info->n_layers; l++)
        for (size_t h = 0; h < H; h++) {
            struct sx_qk_terms t, weightless;
            CHECK_OK(sx_qk_terms(f.model, l, h, y + (l * N + 7) * D, 7, y + (l * N + 2) * D, 2, &t,
                                 err));
            CHECK_CLOSE(t.weight_weight + t.weight_bias + t.bias_weight + t.bias_bias,
                        scores[((l * H + h) * N + 7) * N + 2], 1e-5);
            CHECK_OK(sx_qk_terms(f.model, l, h, zero, 7, y + (l * N + 2) * D, 2, &weightless, err));
            cr_assert(weightless.weight_weight == 0 && weightless.weight_bias == 0);
            CHECK_CLOSE(weightless.bias_weight, t.bias_weight, 1e-12);
            CHECK_CLOSE(weightless.bias_bias, t.bias_bias, 1e-12);
            if (options && options->no_attention_bias)
                cr_assert(t.weight_bias == 0 && t.bias_weight == 0 && t.bias_bias == 0);
        }
    sx_free(y);
    sx_free(scores);
    sx_free(zero);
    tiny_release(&m);
    fixture_close(&f);
}

Test(circuit, four_terms_of_a_score)
{
    check_terms(tiny_esm2_shape, NULL);
    check_terms(tiny_neox_shape, NULL);
    check_terms(tiny_neox_shape, &(struct tiny_options){.no_attention_bias = true});
}

/* --- OV -----------------------------------------------------------------------------------------
 */

Test(circuit, readout_times_attention_is_the_attribution_from_that_token)
{
    const struct tiny_shape shapes[] = {tiny_esm2_shape, tiny_neox_shape};
    for (int i = 0; i < 2; i++) {
        struct fixture f = fixture_random(shapes[i], 5);
        const struct sx_sequence a = {.ids = golden_b, .n = 7, .embed_scale = NAN};
        const size_t heads = f.info->n_layers * f.info->n_heads;
        const int32_t targets[] = {20, 4, 9};
        double readout[4 * 3], attention[4];
        cr_assert_eq(heads, 4);
        CHECK_OK(sx_ov_readout(f.runner, &a, 4, 0, targets, 3, SX_AGAINST_MEAN, readout, attention,
                               NULL, err));
        for (size_t t = 0; t < 3; t++) {
            const struct sx_attribution_point point = {&a, 4, targets[t], SX_AGAINST_MEAN};
            const struct sx_attribution_options options = {.sources = true};
            struct sx_attribution_result r;
            CHECK_OK(sx_attribute(f.runner, &point, 1, &options, &r, NULL, err));
            for (size_t h = 0; h < heads; h++)
                CHECK_CLOSE(readout[h * 3 + t] * attention[h], r.by_source[h * 7], 1e-6);
            sx_attribution_result_release(&r);
        }
        double again[4];
        CHECK_OK(
            sx_ov_readout(f.runner, &a, 4, 0, NULL, 0, SX_AGAINST_NONE, NULL, again, NULL, err));
        cr_assert_eq(memcmp(again, attention, sizeof again), 0);
        cr_assert_eq(sx_ov_readout(f.runner, &a, 7, 0, targets, 3, SX_AGAINST_NONE, readout, NULL,
                                   NULL, NULL),
                     SX_ERR_USAGE);
        cr_assert_eq(sx_ov_readout(f.runner, &a, 4, 0, (int32_t[]){50000}, 1, SX_AGAINST_NONE,
                                   readout, NULL, NULL, NULL),
                     SX_ERR_USAGE);
        fixture_close(&f);
    }
}

/* --- singular values ----------------------------------------------------------------------------
 */

/* Against numpy's of the whole D x D product: tests/fixtures/make_circuit_fixtures.py. */
static int check_values(const struct fixture *f, const char *family)
{
    char path[4096], name[16], kind[8];
    size_t layer, head;
    int lines = 0;
    (void)snprintf(path, sizeof path, "%s/interp/singular_values.txt", getenv("SX_FIXTURES"));
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    while (fscanf(file, "%15s %7s %zu %zu", name, kind, &layer, &head) == 4) {
        double expected, out[16];
        const bool mine = strcmp(name, family) == 0;
        const size_t d = strcmp(name, "esm2") == 0 ? 8 : 16;
        if (mine && strcmp(kind, "ov") == 0)
            CHECK_OK(sx_ov_singular_values(f->model, layer, head, out, err));
        else if (mine)
            CHECK_OK(sx_qk_singular_values(f->model, layer, head, out, err));
        for (size_t i = 0; i < d; i++) {
            cr_assert_eq(fscanf(file, "%lf", &expected), 1);
            if (mine)
                CHECK_CLOSE(out[i], expected, 1e-13);
        }
        lines += mine;
    }
    fclose(file);
    return lines;
}

Test(circuit, singular_values_as_numpy)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    cr_assert_eq(check_values(&f, "esm2"), 8);
    fixture_close(&f);
    f = fixture_golden(tiny_neox_shape);
    cr_assert_eq(check_values(&f, "gpt_neox"), 8);
    fixture_close(&f);
}
