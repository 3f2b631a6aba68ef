#include <criterion/criterion.h>

#include "forward_fixture.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/interp/attribution.h"
#include "sextant/interp/names.h"
#include "sextant/interp/results.h"

static const struct tiny_shape esm2_8m = {SX_MODEL_ESM2, 6, 320, 20, 1280, 33, 0};
/* Pythia-70M, but for the size of the vocabulary. */
static const struct tiny_shape pythia_70m = {SX_MODEL_GPT_NEOX, 6, 512, 8, 2048, 400, 8};

static const int32_t golden_a[] = {0, 32, 15, 11, 7, 19, 2};

static struct sx_sequence sequence_of(const int32_t *ids, size_t n)
{
    return (struct sx_sequence){.ids = ids, .n = n, .embed_scale = NAN};
}

static struct sx_attribution_result attribute(const struct fixture *f, const int32_t *ids, size_t n,
                                              size_t token, int32_t target, int32_t against,
                                              struct sx_attribution_options options)
{
    const struct sx_sequence sequence = sequence_of(ids, n);
    const struct sx_attribution_point point = {&sequence, token, target, against};
    struct sx_attribution_result result;
    CHECK_OK(sx_attribute(f->runner, &point, 1, &options, &result, NULL, err));
    return result;
}

/* --- known values ------------------------------------------------------------------------------
 */

Test(attribution, the_tiny_model_term_by_term)
{
    /* From an independent implementation in float64. */
    static const struct {
        const char *label;
        double value;
    } expected[] = {{"embed", 0},          {"L0.H0", -.683128},  {"L0.H1", -.444879},
                    {"L0 bias", -.158783}, {"L0 MLP", 2.292990}, {"L1.H0", -.661413},
                    {"L1.H1", -.364803},   {"L1 bias", .848199}, {"L1 MLP", .869078},
                    {"const", -.373123}};
    struct fixture f = fixture_golden(tiny_esm2_shape);
    struct sx_attribution_result r =
        attribute(&f, golden_a, 7, 1, 20, SX_AGAINST_NONE, (struct sx_attribution_options){0});
    cr_assert_eq(r.n_terms, 10);
    for (size_t i = 0; i < r.n_terms; i++) {
        char label[32];
        sx_component_label(&r.terms[i].component, label, sizeof label);
        cr_assert_str_eq(label, expected[i].label);
        CHECK_CLOSE(r.terms[i].value, expected[i].value, 2e-6);
    }
    CHECK_CLOSE(r.total, 1.324140, 2e-6);
    CHECK_CLOSE(r.logit, 1.32413954, 2e-6);
    cr_assert_lt(r.residual, 1e-6);
    cr_assert(r.by_source == NULL && r.by_embedding == NULL && isnan(r.linearised_residual));
    sx_attribution_result_release(&r);
    fixture_close(&f);
}

Test(attribution, the_direction_of_methionine)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    const uint32_t last = 1, token = 1;
    const struct sx_capture choice = {.layers = {&last, 1}, .tokens = {&token, 1}};
    float *resid = fixture_capture(&f, golden_a, 7, SX_POINT_RESID_POST, &choice);
    struct sx_frozen_head *head;
    double w[16], constant, sum = 0;
    CHECK_OK(sx_frozen_head_new(f.model, resid, SX_HEAD_SECANT, &head, err));
    sx_frozen_head_direction(head, 20, SX_AGAINST_NONE, w, &constant);
    CHECK_CLOSE(w[0], .333679, 1e-6);
    CHECK_CLOSE(w[1], -.508802, 1e-6);
    CHECK_CLOSE(w[2], -.496422, 1e-6);
    CHECK_CLOSE(w[3], .812314, 1e-6);
    CHECK_CLOSE(constant, -.373123, 2e-6);
    for (size_t i = 0; i < 16; i++)
        sum += w[i] * (double)resid[i];
    CHECK_CLOSE(sum + constant, 1.324140, 2e-6);
    sx_frozen_head_free(head);
    sx_free(resid);
    fixture_close(&f);
}

/* --- properties --------------------------------------------------------------------------------
 */

static const struct sx_attribution_term *term_of(const struct sx_attribution_result *r,
                                                 enum sx_component_kind kind, uint32_t layer,
                                                 uint32_t head)
{
    for (size_t i = 0; i < r->n_terms; i++)
        if (r->terms[i].component.kind == kind && r->terms[i].component.layer == layer &&
            r->terms[i].component.head == head)
            return &r->terms[i];
    cr_assert_fail("no such term");
    return NULL;
}

/* Columns of a head add up to its term, its term is <w, head_out>. */
static void check_heads(const struct fixture *f, const int32_t *ids, size_t n, size_t token,
                        int32_t target, const struct sx_attribution_result *r)
{
    const size_t D = f->info->d_model, H = f->info->n_heads, L = f->info->n_layers;
    const uint32_t t = (uint32_t)token, last = (uint32_t)L - 1;
    const struct sx_capture at = {.tokens = {&t, 1}};
    const struct sx_capture end = {.tokens = {&t, 1}, .layers = {&last, 1}};
    float *out = fixture_capture(f, ids, n, SX_POINT_HEAD_OUT, &at);
    float *resid = fixture_capture(f, ids, n, SX_POINT_RESID_POST, &end);
    struct sx_frozen_head *head;
    double *w = sx_xcalloc(D, sizeof *w);
    CHECK_OK(sx_frozen_head_new(f->model, resid, SX_HEAD_SECANT, &head, err));
    sx_frozen_head_direction(head, target, SX_AGAINST_NONE, w, NULL);
    for (uint32_t l = 0; l < L; l++)
        for (uint32_t h = 0; h < H; h++) {
            const struct sx_attribution_term *term = term_of(r, SX_COMPONENT_HEAD, l, h);
            const float *source = r->by_source + (l * H + h) * n;
            double whole = 0, sum = 0, bos = 0, own = 0;
            for (size_t i = 0; i < D; i++)
                whole += w[i] * (double)out[(l * H + h) * D + i];
            for (size_t j = 0; j < n; j++) {
                sum += (double)source[j];
                bos += j == 0 ? (double)source[j] : 0;
                own += j == token && j > 0 ? (double)source[j] : 0;
                if (f->info->family == SX_MODEL_GPT_NEOX && j > token)
                    cr_assert_eq(source[j], 0);
            }
            CHECK_CLOSE(term->value, whole, 1e-5);
            CHECK_CLOSE(term->value, sum, 1e-5);
            CHECK_CLOSE(term->bos, bos, 1e-6);
            CHECK_CLOSE(term->own, own, 1e-6);
        }
    sx_frozen_head_free(head);
    sx_free(w);
    sx_free(out);
    sx_free(resid);
}

static void check_groups(const struct sx_attribution_result *r)
{
    const struct sx_attribution_groups *g = &r->groups;
    CHECK_CLOSE(g->bos + g->own + g->context + g->mlp + g->bias + g->embed + g->constant, r->total,
                1e-9);
}

static void check_model(struct tiny_shape shape, const struct tiny_options *options, size_t n)
{
    struct tiny_model m = tiny_random(shape, 3);
    struct fixture f = fixture_open(&m, options, 2);
    int32_t *ids = sx_xcalloc(n, sizeof *ids);
    const size_t tokens[] = {n / 3 + 1, n - 1, 0};
    const int32_t against[] = {SX_AGAINST_NONE, 9, SX_AGAINST_MEAN};
    fixture_ids(&f, ids, n, 5);
    for (int i = 0; i < 3; i++) {
        struct sx_attribution_result r =
            attribute(&f, ids, n, tokens[i], 20, against[i],
                      (struct sx_attribution_options){.sources = true, .linearised = true});
        printf("%s: residual %.2g, linearised %.2g\n",
               shape.family == SX_MODEL_ESM2 ? "ESM-2" : "GPT-NeoX", r.residual,
               r.linearised_residual);
        cr_assert_lt(r.residual, 1e-4, "%g", r.residual);
        cr_assert_lt(r.linearised_residual, 1e-4, "%g", r.linearised_residual);
        check_groups(&r);
        if (i == 0)
            check_heads(&f, ids, n, tokens[i], 20, &r);
        if (shape.family == SX_MODEL_ESM2 && i == 0 &&
            !(options && options->no_token_dropout)) { /* a mask is zero in the beginning */
            cr_assert_eq(ids[tokens[0]], 32);
            cr_assert_eq(r.groups.embed, 0);
            cr_assert_eq(r.by_embedding[tokens[0]], 0);
        }
        for (size_t j = tokens[i] + 1; j < n && shape.family == SX_MODEL_GPT_NEOX; j++)
            cr_assert_eq(r.by_embedding[j], 0);
        sx_attribution_result_release(&r);
    }
    sx_free(ids);
    tiny_release(&m);
    fixture_close(&f);
}

Test(attribution, complete_on_esm2_8m, .timeout = 120)
{
    check_model(esm2_8m, NULL, 40);
}

Test(attribution, complete_on_pythia_70m, .timeout = 120)
{
    check_model(pythia_70m, NULL, 40);
}

Test(attribution, complete_on_variants)
{
    check_model(tiny_neox_shape, &(struct tiny_options){.sequential = true}, 11);
    check_model(tiny_neox_shape, &(struct tiny_options){.no_attention_bias = true}, 11);
    check_model(tiny_neox_shape, &(struct tiny_options){.activation = "gelu_new"}, 11);
    check_model(tiny_esm2_shape,
                &(struct tiny_options){.dtype = SX_DTYPE_F16, .rounded = SX_DTYPE_F16}, 11);
    check_model(tiny_esm2_shape, &(struct tiny_options){.no_token_dropout = true, .eps = 1e-12}, 4);
}

/* --- the linearised form against differences ---------------------------------------------------
 * Held patterns, sigmas and gates make the logit linear in an embedding; the true derivative is
 * another thing. A model whose weights make both the same: no attention but to oneself cannot be
 * had, so the frozen map is evaluated forwards instead, in double, one token's embedding at a time.
 */

struct frozen_run { /* operating point of a tiny model */
    size_t L, T, H, D, d, F;
    float *attn, *pre, *sigma1, *sigma2;
};

static double gate(double z)
{
    return z == 0 ? 0.5 : (z / 2 * (1 + erf(z / sqrt(2)))) / z;
}

static void norm_linear(const struct sx_norm *norm, double sigma, const double *x, size_t n,
                        double *y)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        y[i] = (double)norm->gamma[i] * (x[i] - mean) / sigma;
}

static void times(const struct sx_weight *w, const double *x, double *y)
{
    const float *a = sx_weight_f32(w);
    for (size_t o = 0; o < w->out; o++) {
        y[o] = 0;
        for (size_t i = 0; i < w->in; i++)
            y[o] += (double)a[o * w->in + i] * x[i];
    }
}

/* x [T,D] through layer l without any bias, in place. */
static void frozen_layer(const struct fixture *f, const struct frozen_run *run, size_t l, double *x)
{
    const struct sx_layer *layer = &sx_model_weights(f->model)->layers[l];
    const size_t T = run->T, D = run->D, H = run->H;
    double *v = sx_xcalloc(T * D, sizeof *v), *mid = sx_xcalloc(T * D, sizeof *mid);
    double *y = sx_xcalloc(D, sizeof *y), *z = sx_xcalloc(run->F, sizeof *z);
    for (size_t t = 0; t < T; t++) {
        norm_linear(&layer->ln1, (double)run->sigma1[l * T + t], x + t * D, D, y);
        times(&layer->v, y, v + t * D);
    }
    for (size_t t = 0; t < T; t++) {
        memset(y, 0, D * sizeof *y);
        for (size_t h = 0; h < H; h++)
            for (size_t j = 0; j < T; j++)
                for (size_t c = h * run->d; c < (h + 1) * run->d; c++)
                    y[c] += (double)run->attn[((l * H + h) * T + t) * T + j] * v[j * D + c];
        times(&layer->attn_out, y, mid + t * D);
        for (size_t c = 0; c < D; c++)
            mid[t * D + c] += x[t * D + c];
    }
    for (size_t t = 0; t < T; t++) {
        const double *from = (f->info->parallel_residual ? x : mid) + t * D;
        norm_linear(&layer->ln2, (double)run->sigma2[l * T + t], from, D, y);
        times(&layer->up, y, z);
        for (size_t i = 0; i < run->F; i++)
            z[i] *= gate((double)run->pre[(l * T + t) * run->F + i]);
        times(&layer->down, z, y);
        for (size_t c = 0; c < D; c++)
            mid[t * D + c] += y[c];
    }
    memcpy(x, mid, T * D * sizeof *x);
    sx_free(v);
    sx_free(mid);
    sx_free(y);
    sx_free(z);
}

static void check_linearised(struct tiny_shape shape, const struct tiny_options *options)
{
    enum { N = 7, TOKEN = 4 };
    struct tiny_model m = tiny_random(shape, 11);
    struct fixture f = fixture_open(&m, options, 2);
    int32_t ids[N];
    fixture_ids(&f, ids, N, 2);
    const size_t D = f.info->d_model, L = f.info->n_layers;
    const uint32_t token = TOKEN, last = (uint32_t)L - 1, zero = 0;
    const struct sx_capture end = {.tokens = {&token, 1}, .layers = {&last, 1}};
    const struct sx_capture start = {.layers = {&zero, 1}};
    struct frozen_run run = {L,
                             N,
                             f.info->n_heads,
                             D,
                             f.info->d_head,
                             f.info->d_mlp,
                             fixture_capture(&f, ids, N, SX_POINT_ATTN, NULL),
                             fixture_capture(&f, ids, N, SX_POINT_MLP_PRE, NULL),
                             fixture_capture(&f, ids, N, SX_POINT_ATTN_LN_SIGMA, NULL),
                             fixture_capture(&f, ids, N, SX_POINT_MLP_LN_SIGMA, NULL)};
    float *embed = fixture_capture(&f, ids, N, SX_POINT_RESID_PRE, &start);
    float *resid = fixture_capture(&f, ids, N, SX_POINT_RESID_POST, &end);
    struct sx_frozen_head *head;
    double *w = sx_xcalloc(D, sizeof *w), *x = sx_xcalloc(N * D, sizeof *x);
    CHECK_OK(sx_frozen_head_new(f.model, resid, SX_HEAD_SECANT, &head, err));
    sx_frozen_head_direction(head, 7, 5, w, NULL);
    struct sx_attribution_result r =
        attribute(&f, ids, N, TOKEN, 7, 5, (struct sx_attribution_options){.linearised = true});
    for (size_t j = 0; j < N; j++) {
        double value = 0;
        memset(x, 0, N * D * sizeof *x);
        for (size_t i = 0; i < D; i++)
            x[j * D + i] = (double)embed[j * D + i];
        for (size_t l = 0; l < L; l++)
            frozen_layer(&f, &run, l, x);
        for (size_t i = 0; i < D; i++)
            value += w[i] * x[TOKEN * D + i];
        CHECK_CLOSE(r.by_embedding[j], value, 1e-5);
    }
    sx_attribution_result_release(&r);
    sx_frozen_head_free(head);
    sx_free(w);
    sx_free(x);
    sx_free(run.attn);
    sx_free(run.pre);
    sx_free(run.sigma1);
    sx_free(run.sigma2);
    sx_free(embed);
    sx_free(resid);
    tiny_release(&m);
    fixture_close(&f);
}

Test(attribution, linearised_as_the_same_map_forwards)
{
    check_linearised(tiny_esm2_shape, NULL);
    check_linearised(tiny_neox_shape, NULL);
    check_linearised(tiny_neox_shape, &(struct tiny_options){.sequential = true});
}

/* --- the gradient -------------------------------------------------------------------------------
 */

static void check_gradient(struct tiny_shape shape)
{
    struct fixture f = fixture_random(shape, 8);
    const size_t D = f.info->d_model, V = f.info->vocab;
    float *x = sx_xcalloc(D, sizeof *x), *logits = sx_xcalloc(2 * V, sizeof *logits);
    double *w = sx_xcalloc(D, sizeof *w), *secant = sx_xcalloc(D, sizeof *secant), constant,
           sum = 0, apart = 0;
    struct sx_frozen_head *head;
    struct sx_rng rng = sx_rng_make(1, 1);
    for (size_t i = 0; i < D; i++)
        x[i] = (float)sx_rng_normal(&rng);
    CHECK_OK(sx_frozen_head_new(f.model, x, SX_HEAD_SECANT, &head, err));
    sx_frozen_head_direction(head, 6, 3, secant, NULL);
    sx_frozen_head_free(head);
    CHECK_OK(sx_frozen_head_new(f.model, x, SX_HEAD_GRADIENT, &head, err));
    sx_frozen_head_direction(head, 6, 3, w, &constant);
    sx_frozen_head_free(head);
    CHECK_OK(sx_model_unembed(f.runner, x, 1, logits, err));
    for (size_t i = 0; i < D; i++)
        sum += w[i] * (double)x[i];
    CHECK_CLOSE(sum + constant, (double)logits[6] - (double)logits[3], 1e-5);
    for (size_t i = 0; i < D; i++) {
        const float at = x[i], step = 0.02F;
        x[i] = at + step;
        CHECK_OK(sx_model_unembed(f.runner, x, 1, logits, err));
        x[i] = at - step;
        CHECK_OK(sx_model_unembed(f.runner, x, 1, logits + V, err));
        x[i] = at;
        const double up = (double)logits[6] - (double)logits[3];
        const double down = (double)logits[V + 6] - (double)logits[V + 3];
        CHECK_CLOSE(w[i], (up - down) / (2 * (double)step), 2e-3);
        apart = fmax(apart, fabs(w[i] - secant[i]));
    }
    cr_assert_gt(apart, 1e-2, "the gradient is not the secant: %g", apart);
    sx_free(x);
    sx_free(logits);
    sx_free(w);
    sx_free(secant);
    fixture_close(&f);
}

Test(attribution, gradient_against_differences)
{
    check_gradient(tiny_esm2_shape);
    check_gradient(tiny_neox_shape);
}

Test(attribution, gradient_terms_say_that_they_are)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    struct sx_attribution_result r =
        attribute(&f, golden_a, 7, 1, 20, SX_AGAINST_NONE,
                  (struct sx_attribution_options){.mode = SX_HEAD_GRADIENT});
    cr_assert(r.gradient);
    CHECK_CLOSE(r.total, r.logit, 1e-5); /* const is what is left over */
    cr_assert_gt(fabs(r.groups.constant - -.373123), 1e-2);
    sx_attribution_result_release(&r);
    fixture_close(&f);
}

/* --- several points ----------------------------------------------------------------------------
 */

Test(attribution, points_of_a_sequence_share_a_pass_and_change_nothing)
{
    static const int32_t other[] = {0, 32, 15, 2};
    struct fixture f = fixture_golden(tiny_esm2_shape);
    const struct sx_sequence a = sequence_of(golden_a, 7), b = sequence_of(other, 4);
    const struct sx_attribution_point points[] = {
        {&a, 4, 5, SX_AGAINST_NONE}, {&a, 1, 20, SX_AGAINST_NONE}, {&b, 1, 20, 5}};
    const struct sx_attribution_options options = {.sources = true, .linearised = true};
    struct sx_attribution_result all[3];
    CHECK_OK(sx_attribute(f.runner, points, 3, &options, all, NULL, err));
    for (int i = 0; i < 3; i++) {
        struct sx_attribution_result one;
        CHECK_OK(sx_attribute(f.runner, &points[i], 1, &options, &one, NULL, err));
        cr_assert_eq(one.n, all[i].n);
        for (size_t t = 0; t < one.n_terms; t++)
            cr_assert_eq(one.terms[t].value, all[i].terms[t].value);
        for (size_t s = 0; s < one.n_layers * one.n_heads * one.n; s++)
            cr_assert_eq(one.by_source[s], all[i].by_source[s]);
        for (size_t t = 0; t < one.n; t++)
            cr_assert_eq(one.by_embedding[t], all[i].by_embedding[t]);
        sx_attribution_result_release(&one);
        sx_attribution_result_release(&all[i]);
    }
    fixture_close(&f);
}

Test(attribution, readout_is_the_head_s_term_at_full_attention)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    const uint32_t token = 1, last = 1, zero = 0;
    const struct sx_capture end = {.layers = {&last, 1}, .tokens = {&token, 1}};
    const struct sx_capture bos = {.layers = {&last, 1}, .tokens = {&zero, 1}};
    float *resid = fixture_capture(&f, golden_a, 7, SX_POINT_RESID_POST, &end);
    float *v = fixture_capture(&f, golden_a, 7, SX_POINT_V, &bos);
    float *attn = fixture_capture(&f, golden_a, 7, SX_POINT_ATTN, NULL);
    struct sx_frozen_head *head;
    double w[16], out[2];
    CHECK_OK(sx_frozen_head_new(f.model, resid, SX_HEAD_SECANT, &head, err));
    sx_frozen_head_direction(head, 20, SX_AGAINST_NONE, w, NULL);
    CHECK_OK(sx_head_readout(f.model, 1, w, v, 1, out, err));
    struct sx_attribution_result r =
        attribute(&f, golden_a, 7, 1, 20, SX_AGAINST_NONE, (struct sx_attribution_options){0});
    for (uint32_t h = 0; h < 2; h++)
        CHECK_CLOSE(term_of(&r, SX_COMPONENT_HEAD, 1, h)->bos,
                    out[h] * (double)attn[((2 + h) * 7 + 1) * 7], 1e-9);
    sx_attribution_result_release(&r);
    sx_frozen_head_free(head);
    sx_free(resid);
    sx_free(v);
    sx_free(attn);
    fixture_close(&f);
}

Test(attribution, what_cannot_be_asked)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    const struct sx_sequence a = sequence_of(golden_a, 7);
    const struct sx_attribution_point bad[] = {{&a, 7, 20, SX_AGAINST_NONE},
                                               {&a, 1, 33, SX_AGAINST_NONE},
                                               {&a, 1, -1, SX_AGAINST_NONE},
                                               {&a, 1, 20, -3},
                                               {&a, 1, 20, 33}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sx_attribution_result r;
        struct sx_error err = {0};
        cr_assert_eq(
            sx_attribute(f.runner, &bad[i], 1, &(struct sx_attribution_options){0}, &r, NULL, &err),
            SX_ERR_USAGE);
        cr_assert(err.message[0]);
        sx_attribution_result_release(&r);
    }
    fixture_close(&f);

    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    f = fixture_open(&m, &(struct tiny_options){.no_lm_head = true}, 2);
    const struct sx_attribution_point point = {&a, 1, 20, SX_AGAINST_NONE};
    struct sx_attribution_result r;
    cr_assert_eq(
        sx_attribute(f.runner, &point, 1, &(struct sx_attribution_options){0}, &r, NULL, NULL),
        SX_ERR_UNSUPPORTED);
    sx_attribution_result_release(&r);
    tiny_release(&m);
    fixture_close(&f);
}

Test(attribution, a_cancel_is_heard)
{
    struct fixture f = fixture_golden(tiny_esm2_shape);
    const struct sx_sequence a = sequence_of(golden_a, 7);
    const struct sx_attribution_point point = {&a, 1, 20, SX_AGAINST_NONE};
    struct sx_attribution_result r;
    struct sx_task task;
    sx_task_init(&task);
    sx_task_cancel(&task);
    cr_assert_eq(
        sx_attribute(f.runner, &point, 1, &(struct sx_attribution_options){0}, &r, &task, NULL),
        SX_CANCELLED);
    sx_attribution_result_release(&r);
    fixture_close(&f);
}
