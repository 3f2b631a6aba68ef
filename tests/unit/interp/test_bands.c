/* Bands against numbers that an independent implementation in double gave for the tiny ESM-2, and
 * what must hold for any numbers. */
#include "../../support/forward_fixture.h"
#include "sextant/interp/bands.h"
#include "sextant/interp/results.h"

static const int32_t ids_a[] = {0, 32, 15, 11, 7, 19, 2};
static const int32_t ids_b[] = {0, 20, 15, 11, 32, 19, 2};
enum { TOKENS = 7, BANDS = 4 };

#define SEQUENCE(name, ids_)                                                                       \
    const struct sx_sequence name = {.ids = (ids_), .n = TOKENS, .embed_scale = NAN}

static struct sx_bands_result measure_golden(const struct fixture *f, int32_t target)
{
    SEQUENCE(a, ids_a);
    SEQUENCE(b, ids_b);
    const struct sx_bands_ask ask = {
        .a = {&a, 1, 0}, .b = {&b, 4, 0}, .target = target, .original = -1};
    struct sx_bands_result r;
    CHECK_OK(sx_bands_measure(f->runner, &ask, 1, &r, NULL, err));
    return r;
}

static size_t cell(const struct sx_bands_result *r, size_t l, size_t h)
{
    return (l * r->n_heads + h) * r->n_bands;
}

/* --- known values ------------------------------------------------------------------------------
 */

Test(bands, layer_1_head_1_of_the_tiny_model)
{
    static const struct {
        double r[2], rho[2], alpha[2], score[2], qn, kn, dir, content, position, one[3];
    } golden[BANDS] = {
        {{1.483686, 1.682973},
         {1.437099, 1.484082},
         {.975061, .845298},
         {-.296521, .117021},
         -.013276,
         -.003285,
         .430102,
         -.001991,
         .432093,
         {-.039828, .396419, .053246}},
        {{1.585026, 1.753286},
         {1.275231, 1.396175},
         {1.664996, 1.429173},
         {-.137910, -.221136},
         -.017856,
         -.016043,
         -.049327,
         .178835,
         -.228161,
         {-.014640, -.044686, -.004744}},
        {{.692566, .358846},
         {1.711947, 1.764238},
         {1.740007, 1.948287},
         {-.074721, -.090756},
         .059970,
         -.002720,
         -.073285,
         -.064087,
         -.009198,
         {.036005, -.095245, .045895}},
        {{2.555510, 2.394471},
         {.967583, .924072},
         {-1.445508, -1.390097},
         {.110111, .143669},
         -.008324,
         -.005882,
         .047764,
         .045312,
         .002453,
         {-.006939, .050440, -.003179}},
    };
    struct fixture f = fixture_golden(tiny_esm2_shape);
    struct sx_bands_result r = measure_golden(&f, -1);
    const size_t at = cell(&r, 1, 1);
    const double tol = 2e-6; /* six digits, and the float32 pass behind them */
    double sum[6] = {0};
    cr_assert_eq(r.n_bands, BANDS);
    for (size_t b = 0; b < BANDS; b++) {
        const struct sx_band *x = &r.a[at + b];
        const struct sx_band *y = &r.b[at + b];
        const struct sx_band_split *s = &r.split[at + b];
        CHECK_CLOSE(x->r, golden[b].r[0], tol);
        CHECK_CLOSE(y->r, golden[b].r[1], tol);
        CHECK_CLOSE(x->rho, golden[b].rho[0], tol);
        CHECK_CLOSE(y->rho, golden[b].rho[1], tol);
        CHECK_CLOSE(x->alpha, golden[b].alpha[0], tol);
        CHECK_CLOSE(y->alpha, golden[b].alpha[1], tol);
        CHECK_CLOSE(x->score, golden[b].score[0], tol);
        CHECK_CLOSE(y->score, golden[b].score[1], tol);
        CHECK_CLOSE(s->query_norm, golden[b].qn, tol);
        CHECK_CLOSE(s->key_norm, golden[b].kn, tol);
        CHECK_CLOSE(s->direction, golden[b].dir, tol);
        CHECK_CLOSE(s->content, golden[b].content, tol);
        CHECK_CLOSE(s->position, golden[b].position, tol);
        CHECK_CLOSE(s->norm_only, golden[b].one[0], tol);
        CHECK_CLOSE(s->direction_only, golden[b].one[1], tol);
        CHECK_CLOSE(s->interaction, golden[b].one[2], tol);
        sum[0] += s->query_norm;
        sum[1] += s->key_norm;
        sum[2] += s->direction;
        sum[3] += s->content;
        sum[4] += s->position;
        sum[5] += s->total;
    }
    check_all((float[]){(float)sum[0], (float)sum[1], (float)sum[2], (float)sum[3], (float)sum[4],
                        (float)sum[5]},
              (double[]){.020513, -.027929, .355255, .158069, .197187, .347839}, 6, tol, "sum");
    CHECK_CLOSE(r.attention_a[1 * 2 + 1], .075227, tol);
    CHECK_CLOSE(r.attention_b[1 * 2 + 1], .110134, tol);
    CHECK_CLOSE(r.residual, 0, 1e-6);
    sx_bands_result_release(&r);
    fixture_close(&f);
}

Test(bands, layer_0_head_0_of_the_tiny_model)
{
    static const double norm_q[] = {.640575, .288978, .058545, .374783};
    static const double norm_k[] = {1.997017, 1.399256, .886770, 2.021195};
    static const double alpha[] = {-2.475345, -.626621, -2.249913, 1.741019};
    static const double position[] = {-.022244, .015714, .000437, -.000792};
    struct fixture f = fixture_golden(tiny_esm2_shape);
    struct sx_bands_result r = measure_golden(&f, -1);
    double a = 0;
    double b = 0;
    for (size_t i = 0; i < BANDS; i++) {
        CHECK_CLOSE(r.a[i].r, norm_q[i], 2e-6);
        CHECK_CLOSE(r.a[i].rho, norm_k[i], 2e-6);
        CHECK_CLOSE(r.a[i].alpha, alpha[i], 2e-6);
        CHECK_CLOSE(r.split[i].position, position[i], 2e-6);
        CHECK_CLOSE(r.split[i].total, position[i], 2e-6);
        a += r.a[i].score;
        b += r.b[i].score;
    }
    CHECK_CLOSE(a, .109678, 2e-6);
    CHECK_CLOSE(b, .102794, 2e-6);
    sx_bands_result_release(&r);
    fixture_close(&f);
}

/* A mask enters as zero, so the layer-0 query is a constant of the weights, to the bit. */
Test(bands, a_mask_in_layer_0_has_no_norm_to_change)
{
    struct fixture f = fixture_random((struct tiny_shape){SX_MODEL_ESM2, 2, 320, 20, 64, 33, 0}, 5);
    struct sx_bands_result r = measure_golden(&f, -1);
    for (size_t h = 0; h < r.n_heads; h++)
        for (size_t b = 0; b < r.n_bands; b++) {
            const size_t at = cell(&r, 0, h) + b;
            cr_assert_eq(r.a[at].r, r.b[at].r);
            cr_assert_eq(r.split[at].query_norm, 0.0);
            cr_assert_eq(r.split[at].norm_only, 0.0);
            cr_assert_eq(r.split[at].interaction, 0.0);
            CHECK_CLOSE(r.split[at].key_norm, 0, 1e-6);
            CHECK_CLOSE(r.split[at].content, 0, 1e-6);
        }
    sx_bands_result_release(&r);
    fixture_close(&f);
}

/* --- identities on random numbers ---------------------------------------------------------------
 */

static void fill(struct sx_rng *rng, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)sx_rng_normal(rng);
}

static const float frequency[] = {1, 0.3162F, 0.1F, 0.0316F};
static const struct sx_band_shape rotary = {8, 4, 4, frequency, 0.35355339059327373};
static const struct sx_band_shape partial = {13, 4, 5, frequency, 0.2773500981126146};

static double cosine_of(double alpha, double delta)
{
    return cos(alpha + delta);
}

/* Shapley's formula over all orders of the players, for f = r rho cos. */
static void all_orders(const struct sx_band *a, const struct sx_band *b, double *out)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    out[0] = out[1] = out[2] = 0;
    for (int o = 0; o < 6; o++) {
        double x[3] = {a->r, a->rho, cosine_of(a->alpha, a->delta)};
        const double y[3] = {b->r, b->rho, cosine_of(b->alpha, b->delta)};
        for (int k = 0; k < 3; k++) {
            const double before = x[0] * x[1] * x[2];
            x[orders[o][k]] = y[orders[o][k]];
            out[orders[o][k]] += (x[0] * x[1] * x[2] - before) / 6;
        }
    }
}

static void check_identities(const struct sx_band_shape *shape, struct sx_rng *rng)
{
    float v[4][16];
    struct sx_band a[8], b[8];
    for (int i = 0; i < 4; i++)
        fill(rng, v[i], shape->d);
    sx_bands_of(shape, v[0], v[1], 3, 0, a);
    sx_bands_of(shape, v[2], v[3], 17, 2, b);
    for (size_t i = 0; i < shape->n; i++) {
        struct sx_band_split s;
        double shapley[3];
        sx_band_split(&a[i], &b[i], shape->scale, &s);
        all_orders(&a[i], &b[i], shapley);
        CHECK_CLOSE(s.query_norm, shape->scale * shapley[0], 1e-14);
        CHECK_CLOSE(s.key_norm, shape->scale * shapley[1], 1e-14);
        CHECK_CLOSE(s.direction, shape->scale * shapley[2], 1e-14);
        CHECK_CLOSE(s.query_norm + s.key_norm + s.direction, s.total, 1e-14);
        CHECK_CLOSE(s.content + s.position, s.direction, 1e-14);
        CHECK_CLOSE(s.norm_only + s.direction_only + s.interaction,
                    shape->scale * a[i].rho * (b[i].r * b[i].cosine - a[i].r * a[i].cosine), 1e-14);
        cr_assert(s.coupling >= 0 && s.coupling <= 1);
    }
    if (shape->n > shape->n_rotary) {
        struct sx_band_split s;
        sx_band_split(&a[4], &b[4], shape->scale, &s);
        CHECK_CLOSE(s.position, 0, 1e-15);
    }
}

Test(bands, splits_add_up)
{
    struct sx_rng rng = sx_rng_make(11, 0);
    for (int i = 0; i < 200; i++) {
        check_identities(&rotary, &rng);
        check_identities(&partial, &rng);
    }
}

Test(bands, a_common_shift_of_all_positions_changes_nothing)
{
    struct sx_rng rng = sx_rng_make(12, 0);
    float q[13], k[13];
    struct sx_band x[5], y[5];
    fill(&rng, q, 13);
    fill(&rng, k, 13);
    sx_bands_of(&partial, q, k, 9, 4, x);
    sx_bands_of(&partial, q, k, 109, 104, y);
    for (size_t b = 0; b < 5; b++)
        CHECK_CLOSE(x[b].score, y[b].score, 2e-5); /* angles of 109 tokens in float */
}

Test(bands, a_vector_without_length)
{
    const float zero[13] = {0};
    float k[13];
    struct sx_rng rng = sx_rng_make(13, 0);
    struct sx_band a[5], b[5];
    fill(&rng, k, 13);
    sx_bands_of(&partial, zero, k, 3, 0, a);
    sx_bands_of(&partial, k, k, 3, 0, b);
    for (size_t i = 0; i < 5; i++) {
        struct sx_band_split s;
        cr_assert_eq(a[i].alpha, 0.0);
        cr_assert_eq(a[i].score, 0.0);
        sx_band_split(&a[i], &b[i], partial.scale, &s);
        CHECK_CLOSE(s.query_norm + s.key_norm + s.direction, b[i].score, 1e-14);
    }
}

Test(bands, radial_parts_make_the_norm_and_tangential_ones_nothing)
{
    struct sx_rng rng = sx_rng_make(14, 0);
    enum { PARTS = 6 };
    double part[PARTS][13], whole[13] = {0}, other[13], r[5] = {0}, t[5] = {0};
    for (size_t i = 0; i < 13; i++) {
        other[i] = sx_rng_normal(&rng);
        for (int p = 0; p < PARTS; p++)
            whole[i] += part[p][i] = sx_rng_normal(&rng);
    }
    for (int p = 0; p < PARTS; p++) {
        double radial[5], tangential[5];
        sx_band_radial(&partial, whole, part[p], other, radial, tangential);
        for (size_t b = 0; b < 5; b++) {
            r[b] += radial[b];
            t[b] += tangential[b];
        }
    }
    for (size_t b = 0; b < 4; b++)
        CHECK_CLOSE(r[b], hypot(whole[b], whole[b + 4]), 1e-14);
    double rest = 0;
    for (size_t i = 8; i < 13; i++)
        rest += whole[i] * whole[i];
    CHECK_CLOSE(r[4], sqrt(rest), 1e-14);
    for (size_t b = 0; b < 5; b++)
        CHECK_CLOSE(t[b], 0, 1e-14);
}

/* --- margins ------------------------------------------------------------------------------------
 */

Test(bands, the_margin_is_the_logit_of_the_attention)
{
    struct sx_rng rng = sx_rng_make(15, 0);
    enum { N = 9, D = 13 };
    float q[2][D], k[2][N * D], scores[N];
    for (int c = 0; c < 2; c++) {
        fill(&rng, q[c], D);
        fill(&rng, k[c], (size_t)N * D);
    }
    const struct sx_band_row a = {q[0], k[0], N, D, 3, NULL};
    const struct sx_band_row b = {q[1], k[1], N, D, 6, NULL};
    double part[5], entropy, sum = 0, all = 0;
    const double margin = sx_margin_bands(&partial, &a, 2, part, &entropy);
    for (size_t j = 0; j < N; j++) {
        struct sx_band x[5];
        double s = 0;
        sx_bands_of(&partial, q[0], k[0] + j * D, 3, (double)j, x);
        for (size_t i = 0; i < 5; i++)
            s += x[i].score;
        scores[j] = (float)s;
        all += exp(s);
    }
    for (size_t i = 0; i < 5; i++)
        sum += part[i];
    CHECK_CLOSE(1 / (1 + exp(-margin)), exp((double)scores[2]) / all, 1e-7);
    CHECK_CLOSE(sx_margin(scores, N, 2), margin, 1e-6);
    CHECK_CLOSE(sum - entropy, margin, 1e-13);

    struct sx_band_split change[5];
    double residual, total = 0;
    const double delta = sx_margin_change(&partial, &a, &b, 2, change, &residual);
    CHECK_CLOSE(delta, sx_margin_bands(&partial, &b, 2, part, &entropy) - margin, 1e-13);
    for (size_t i = 0; i < 5; i++) {
        total += change[i].total;
        CHECK_CLOSE(change[i].query_norm + change[i].key_norm + change[i].direction,
                    change[i].total, 1e-13);
        CHECK_CLOSE(change[i].content + change[i].position, change[i].direction, 1e-13);
    }
    CHECK_CLOSE(total + residual, delta, 1e-13);
    (void)sx_margin_change(&partial, &a, &a, 2, change, &residual);
    cr_assert_eq(residual, 0.0);
}

Test(bands, a_key_alone_has_no_competition)
{
    const float scores[] = {-INFINITY, 2, -INFINITY};
    cr_assert_eq(sx_margin(scores, 3, 1), INFINITY);
}

/* --- groups and aggregates -----------------------------------------------------------------------
 */

Test(bands, groups_by_period)
{
    struct sx_band_groups g = sx_band_groups_default();
    cr_assert_eq(sx_band_group_of(&g, 6.28), 0);
    cr_assert_eq(sx_band_group_of(&g, 10), 0);
    cr_assert_eq(sx_band_group_of(&g, 19.9), 1);
    cr_assert_eq(sx_band_group_of(&g, 198.7), 1);
    cr_assert_eq(sx_band_group_of(&g, 628), 2);
    cr_assert_eq(sx_band_group_of(&g, INFINITY), 3);
    CHECK_OK(sx_band_groups_parse("5,50.5,500", &g, err));
    cr_assert_eq(g.n_edges, 3);
    cr_assert_eq(g.edges[1], 50.5);
    CHECK_OK(sx_band_groups_parse("", &g, err));
    cr_assert_eq(sx_band_group_of(&g, 1e9), 0);
    static const char *const bad[] = {"10,", ",10", "10,5", "-1", "a", "1,2,3,4,5,6,7,8",
                                      "nan", "1;2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sx_error err;
        cr_assert_eq(sx_band_groups_parse(bad[i], &g, &err), SX_ERR_USAGE, "%s", bad[i]);
    }
}

Test(bands, aggregates_are_ratios_of_means)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    struct sx_bands_result r = measure_golden(&f, -1);
    const struct sx_bands_result *const twice[] = {&r, &r};
    bool chosen[2 * 2 * BANDS] = {false};
    for (size_t b = 0; b < BANDS; b++)
        chosen[cell(&r, 1, 1) + b] = true;
    struct sx_band_aggregate g;
    sx_bands_aggregate(twice, 2, chosen, 1, &g);
    const double qn = .013276 + .017856 + .059970 + .008324;
    const double kn = .003285 + .016043 + .002720 + .005882;
    const double dir = .430102 + .049327 + .073285 + .047764;
    CHECK_CLOSE(g.norm_share.value, qn / (qn + kn + dir), 1e-5);
    CHECK_CLOSE(g.direction_share.value, dir / (qn + kn + dir), 1e-5);
    CHECK_CLOSE(g.norm_share.value + g.key_share.value + g.direction_share.value, 1, 1e-12);
    CHECK_CLOSE(g.term[SX_BAND_TOTAL].value, .347839, 2e-6);
    CHECK_CLOSE(g.term[SX_BAND_SCORE_A].value, -.399041, 2e-6);
    CHECK_CLOSE(g.term[SX_BAND_TOTAL].lo, g.term[SX_BAND_TOTAL].hi, 1e-12);
    cr_assert_eq(g.norm_share.n, 2);
    sx_bands_result_release(&r);
    fixture_close(&f);
}
