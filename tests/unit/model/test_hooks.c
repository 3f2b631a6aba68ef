/* Points, captures and interventions. */
#include "sextant/model/hooks.h"

#include <string.h>

#include "../../support/forward_fixture.h"

enum { N = 21, L = 3, D = 64, H = 4, d = 16, F = 96, V = 33, BANDS = 8 };

static const struct tiny_shape shape = {SX_MODEL_ESM2, L, D, H, F, V, 0};

static struct fixture f;
static int32_t ids[N];
static float *plain; /* logits without hooks */

static void setup(void)
{
    f = fixture_random(shape, 11);
    fixture_ids(&f, ids, N, 12);
    plain = fixture_logits(&f, ids, N, NULL);
}

static void teardown(void)
{
    sx_free(plain);
    fixture_close(&f);
}

TestSuite(hooks, .init = setup, .fini = teardown);

static float *with(const struct sx_intervention *interventions, size_t n)
{
    return fixture_logits(&f, ids, N,
                          &(struct sx_hooks){.interventions = interventions, .n_interventions = n});
}

static double difference(const float *a, const float *b, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static bool same(const float *a, const float *b)
{
    return memcmp(a, b, (size_t)N * V * sizeof *a) == 0;
}

Test(hooks, names_of_points)
{
    for (int p = 0; p < SX_POINT_COUNT; p++) {
        enum sx_point found;
        cr_assert(sx_point_find(sx_point_name((enum sx_point)p), &found));
        cr_assert_eq((int)found, p);
    }
    enum sx_point none;
    cr_assert_not(sx_point_find("resid", &none));
    cr_assert(sx_point_per_layer(SX_POINT_SCORES) && !sx_point_per_layer(SX_POINT_LOGITS));
    cr_assert(sx_point_has_heads(SX_POINT_CTX) && !sx_point_has_heads(SX_POINT_ATTN_OUT));
    cr_assert_eq(sx_point_width(f.info, SX_POINT_ATTN, 9), H * 9);
    cr_assert_eq(sx_point_width(f.info, SX_POINT_HEAD_OUT, 9), H * D);
    cr_assert_eq(sx_point_width(f.info, SX_POINT_MLP_POST, 9), F);
    cr_assert_eq(sx_point_width(f.info, SX_POINT_LOGITS, 9), V);
    cr_assert_eq(sx_point_width(f.info, SX_POINT_FINAL_LN_SIGMA, 9), 1);
}

Test(hooks, choices)
{
    const uint32_t list[] = {2, 5, 9};
    const struct sx_choice some = {list, 3}, all = {0}, none = {list, 0};
    cr_assert(sx_choice_has(&some, 5) && !sx_choice_has(&some, 6) && sx_choice_has(&all, 77));
    cr_assert_not(sx_choice_has(&none, 2));
}

/* A run patched into itself, at every point, in one go and each alone, is the same to the bit. */
Test(hooks, patching_a_run_into_itself)
{
    struct sx_intervention all[SX_POINT_COUNT];
    size_t n = 0;
    for (int p = 0; p < SX_POINT_COUNT; p++) {
        enum sx_point point = (enum sx_point)p;
        if (point == SX_POINT_HEAD_OUT || strstr(sx_point_name(point), "sigma"))
            continue;
        bool edges = point == SX_POINT_SCORES || point == SX_POINT_ATTN;
        size_t width = sx_point_width(f.info, point, N) / (edges ? H : 1);
        size_t head = edges ? (size_t)N * N : sx_point_has_heads(point) ? d : 0;
        all[n] = (struct sx_intervention){.point = point,
                                          .sequence = 0,
                                          .band = -1,
                                          .action = SX_DO_REPLACE,
                                          .factor = 1,
                                          .values = fixture_capture(&f, ids, N, point, NULL),
                                          .token_stride = width,
                                          .head_stride = head,
                                          .layer_stride = width * N * (edges ? H : 1)};
        float *logits = with(&all[n], 1);
        cr_assert(same(logits, plain), "%s", sx_point_name(point));
        sx_free(logits);
        n++;
    }
    float *logits = with(all, n);
    cr_assert(same(logits, plain));
    sx_free(logits);
    for (size_t i = 0; i < n; i++)
        sx_free((void *)(uintptr_t)all[i].values);
}

/* Chosen layers, heads, tokens and keys are the same numbers as in a capture of everything. */
Test(hooks, captures_of_chosen_parts)
{
    const uint32_t layers[] = {0, 2}, tokens[] = {1, 7, 20}, heads[] = {1, 3}, keys[] = {0, 5};
    const struct sx_capture part = {
        .layers = {layers, 2}, .tokens = {tokens, 3}, .heads = {heads, 2}, .keys = {keys, 2}};
    float *all = fixture_capture(&f, ids, N, SX_POINT_K_ROT, NULL);
    float *some = fixture_capture(&f, ids, N, SX_POINT_K_ROT, &part);
    for (size_t l = 0; l < 2; l++)
        for (size_t t = 0; t < 3; t++)
            for (size_t h = 0; h < 2; h++)
                cr_assert(memcmp(some + ((l * 3 + t) * 2 + h) * d,
                                 all + ((layers[l] * N + tokens[t]) * H + heads[h]) * d,
                                 d * sizeof *all) == 0);
    sx_free(all);
    sx_free(some);
    all = fixture_capture(&f, ids, N, SX_POINT_SCORES, NULL);
    some = fixture_capture(&f, ids, N, SX_POINT_SCORES, &part);
    for (size_t l = 0; l < 2; l++)
        for (size_t h = 0; h < 2; h++)
            for (size_t t = 0; t < 3; t++)
                for (size_t k = 0; k < 2; k++)
                    cr_assert_eq(some[((l * 2 + h) * 3 + t) * 2 + k],
                                 all[((layers[l] * H + heads[h]) * N + tokens[t]) * N + keys[k]]);
    sx_free(all);
    sx_free(some);
    all = fixture_capture(&f, ids, N, SX_POINT_MLP_PRE, NULL);
    some = fixture_capture(&f, ids, N, SX_POINT_MLP_PRE, &part);
    cr_assert(memcmp(some + 4 * F, all + (2 * N + 7) * F, F * sizeof *all) == 0);
    sx_free(all);
    sx_free(some);
}

/* The points of a layer follow from each other. */
Test(hooks, points_add_up)
{
    float *pre = fixture_capture(&f, ids, N, SX_POINT_RESID_PRE, NULL);
    float *heads = fixture_capture(&f, ids, N, SX_POINT_HEAD_OUT, NULL);
    float *out = fixture_capture(&f, ids, N, SX_POINT_ATTN_OUT, NULL);
    float *mid = fixture_capture(&f, ids, N, SX_POINT_RESID_MID, NULL);
    float *mlp = fixture_capture(&f, ids, N, SX_POINT_MLP_OUT, NULL);
    float *post = fixture_capture(&f, ids, N, SX_POINT_RESID_POST, NULL);
    const struct sx_layer *layers = sx_model_weights(f.model)->layers;
    for (size_t l = 0; l < L; l++)
        for (size_t i = 0; i < N; i++)
            for (size_t c = 0; c < D; c++) {
                size_t at = (l * N + i) * D + c;
                double sum = (double)layers[l].attn_out.bias[c];
                for (size_t h = 0; h < H; h++)
                    sum += (double)heads[((l * N + i) * H + h) * D + c];
                CHECK_CLOSE(out[at], sum, 5e-6);
                cr_assert_eq(mid[at], pre[at] + out[at]);
                cr_assert_eq(post[at], mid[at] + mlp[at]);
                cr_assert(l == 0 || pre[at] == post[at - (size_t)N * D]);
            }
    float *ln = fixture_capture(&f, ids, N, SX_POINT_ATTN_LN, NULL);
    float *sigma = fixture_capture(&f, ids, N, SX_POINT_ATTN_LN_SIGMA, NULL);
    double mean = 0;
    for (size_t c = 0; c < D; c++)
        mean += (double)pre[3 * D + c] / D;
    for (size_t c = 0; c < D; c++)
        CHECK_CLOSE(ln[3 * D + c],
                    (double)layers[0].ln1.gamma[c] * ((double)pre[3 * D + c] - mean) /
                            (double)sigma[3] +
                        (double)layers[0].ln1.beta[c],
                    2e-6);
    sx_free(pre);
    sx_free(heads);
    sx_free(out);
    sx_free(mid);
    sx_free(mlp);
    sx_free(post);
    sx_free(ln);
    sx_free(sigma);
}

Test(hooks, scale_zero_is_replacing_by_zero)
{
    const uint32_t layers[] = {1}, tokens[] = {4, 5}, heads[] = {2};
    const float zeros[d] = {0};
    struct sx_intervention iv = {.point = SX_POINT_CTX,
                                 .layers = {layers, 1},
                                 .tokens = {tokens, 2},
                                 .heads = {heads, 1},
                                 .band = -1,
                                 .action = SX_DO_SCALE};
    float *scaled = with(&iv, 1);
    iv.action = SX_DO_REPLACE;
    iv.factor = 1;
    iv.values = zeros;
    float *replaced = with(&iv, 1);
    cr_assert(same(scaled, replaced));
    cr_assert(difference(scaled, plain, (size_t)N * V) > 1e-3);
    sx_free(scaled);
    sx_free(replaced);
}

/* What an intervention writes is what a capture at the same point then reads; of two, the second
 * sees what the first left. */
Test(hooks, captures_come_after_interventions_in_their_order)
{
    const uint32_t layer = 1, token = 6, head = 3;
    const float one[2] = {10, 20};
    const struct sx_intervention ivs[] = {
        {.point = SX_POINT_Q,
         .layers = {&layer, 1},
         .tokens = {&token, 1},
         .heads = {&head, 1},
         .band = 2,
         .action = SX_DO_REPLACE,
         .factor = 1,
         .values = one},
        {.point = SX_POINT_Q,
         .layers = {&layer, 1},
         .tokens = {&token, 1},
         .heads = {&head, 1},
         .band = 2,
         .action = SX_DO_ADD,
         .factor = 2,
         .values = one},
    };
    float *before = fixture_capture(&f, ids, N, SX_POINT_Q, NULL);
    float after[L * N * D];
    const struct sx_capture capture = {.point = SX_POINT_Q, .out = after};
    sx_free(fixture_logits(
        &f, ids, N,
        &(struct sx_hooks){
            .captures = &capture, .n_captures = 1, .interventions = ivs, .n_interventions = 2}));
    const size_t at = (N + token) * D + head * d;
    for (size_t i = 0; i < (size_t)2 * N * D; i++) {
        float expected = i == at + 2 ? 30 : i == at + 2 + BANDS ? 60 : before[i];
        cr_assert_eq(after[i], expected, "%zu: %g, not %g", i, (double)after[i], (double)expected);
    }
    sx_free(before);
}

static struct sx_intervention edges(enum sx_action action, const uint32_t *keys, size_t n)
{
    static const uint32_t layer = 1, token = 9, head = 2;
    return (struct sx_intervention){.point = SX_POINT_SCORES,
                                    .layers = {&layer, 1},
                                    .tokens = {&token, 1},
                                    .heads = {&head, 1},
                                    .keys = {keys, n},
                                    .band = -1,
                                    .action = action};
}

static float *pattern_under(const struct sx_intervention *iv)
{
    float *attn = sx_xcalloc((size_t)L * H * N * N, sizeof *attn);
    const struct sx_capture capture = {.point = SX_POINT_ATTN, .out = attn};
    sx_free(fixture_logits(&f, ids, N,
                           &(struct sx_hooks){.captures = &capture,
                                              .n_captures = 1,
                                              .interventions = iv,
                                              .n_interventions = iv ? 1 : 0}));
    return attn;
}

Test(hooks, forbidden_edges)
{
    const uint32_t key = 4;
    uint32_t others[N - 1];
    for (uint32_t k = 0, n = 0; k < N; k++)
        if (k != key)
            others[n++] = k;
    const size_t row = ((size_t)(H + 2) * N + 9) * N;
    float *before = pattern_under(NULL);
    const struct sx_intervention one = edges(SX_DO_FORBID, &key, 1);
    float *without = pattern_under(&one);
    for (size_t k = 0; k < N; k++)
        CHECK_CLOSE(without[row + k],
                    k == key ? 0 : (double)before[row + k] / (1 - (double)before[row + key]), 1e-6);
    cr_assert(memcmp(without, before, row * sizeof *before) == 0, "earlier rows are untouched");
    const struct sx_intervention rest = edges(SX_DO_FORBID, others, N - 1);
    float *alone = pattern_under(&rest);
    for (size_t k = 0; k < N; k++)
        cr_assert_eq(alone[row + k], k == key ? 1.0F : 0.0F);
    sx_free(before);
    sx_free(without);
    sx_free(alone);
}

/* Value ablation: a key's weight times zero, not normalised again. */
Test(hooks, value_ablation)
{
    const uint32_t key = 4, layer = 1, token = 9, head = 2;
    struct sx_intervention iv = edges(SX_DO_SCALE, &key, 1);
    iv.point = SX_POINT_ATTN;
    float *before = pattern_under(NULL), *after = pattern_under(&iv);
    const size_t row = ((size_t)(H + 2) * N + 9) * N;
    for (size_t k = 0; k < N; k++)
        cr_assert_eq(after[row + k], k == key ? 0.0F : before[row + k]);
    const struct sx_capture one = {
        .layers = {&layer, 1}, .tokens = {&token, 1}, .heads = {&head, 1}};
    float *ctx = fixture_capture(&f, ids, N, SX_POINT_CTX, &one);
    float *v = fixture_capture(&f, ids, N, SX_POINT_V, NULL);
    float left[d];
    struct sx_capture capture = one;
    capture.point = SX_POINT_CTX;
    capture.out = left;
    sx_free(fixture_logits(
        &f, ids, N,
        &(struct sx_hooks){
            .captures = &capture, .n_captures = 1, .interventions = &iv, .n_interventions = 1}));
    for (size_t c = 0; c < d; c++)
        CHECK_CLOSE(left[c],
                    (double)ctx[c] -
                        (double)before[row + key] * (double)v[(N + key) * D + head * d + c],
                    2e-6);
    sx_free(before);
    sx_free(after);
    sx_free(ctx);
    sx_free(v);
}

/* Only the chosen head, band and side turn to other positions. */
Test(hooks, position_overrides)
{
    const uint32_t layer = 1, head = 2, band = 1;
    float positions[N];
    for (size_t i = 0; i < N; i++)
        positions[i] = (float)i + (i ? 6.0F : 0.0F);
    struct sx_position_override o = {.sequence = 0,
                                     .layers = {&layer, 1},
                                     .heads = {&head, 1},
                                     .bands = {&band, 1},
                                     .side = SX_SIDE_QUERY,
                                     .positions = positions};
    float *q = fixture_capture(&f, ids, N, SX_POINT_Q, NULL);
    float *rot = fixture_capture(&f, ids, N, SX_POINT_Q_ROT, NULL);
    float turned[L * N * D], keys[L * N * D];
    const struct sx_capture captures[] = {{.point = SX_POINT_Q_ROT, .out = turned},
                                          {.point = SX_POINT_K_ROT, .out = keys}};
    sx_free(fixture_logits(
        &f, ids, N,
        &(struct sx_hooks){
            .captures = captures, .n_captures = 2, .positions = &o, .n_positions = 1}));
    float *own_keys = fixture_capture(&f, ids, N, SX_POINT_K_ROT, NULL);
    cr_assert(memcmp(keys, own_keys, sizeof(float) * 2 * N * D) == 0, "keys are not touched");
    const double frequency = (double)sx_model_frequencies(f.model)[band];
    for (size_t i = 0; i < (size_t)2 * N * D; i++) {
        size_t l = i / (N * D), t = i / D % N, h = i % D / d, b = i % d;
        if (l != 1 || h != 2 || b % BANDS != 1) {
            cr_assert_eq(turned[i], rot[i]);
            continue;
        }
        size_t re = i - b + 1, im = re + BANDS;
        double a = (double)positions[t] * frequency, x = (double)q[re], y = (double)q[im];
        CHECK_CLOSE(turned[i], b == 1 ? x * cos(a) - y * sin(a) : y * cos(a) + x * sin(a), 3e-6);
    }
    sx_free(q);
    sx_free(rot);
    sx_free(own_keys);
}

Test(hooks, first_layer)
{
    const uint32_t late[] = {2};
    const struct sx_intervention ivs[] = {{.point = SX_POINT_LOGITS},
                                          {.point = SX_POINT_Q, .layers = {late, 1}}};
    const struct sx_position_override o = {.side = SX_SIDE_KEY};
    struct sx_hooks hooks = {.interventions = ivs, .n_interventions = 1};
    cr_assert_eq(sx_hooks_first_layer(f.info, &(struct sx_hooks){0}), L);
    cr_assert_eq(sx_hooks_first_layer(f.info, &hooks), L);
    hooks.n_interventions = 2;
    cr_assert_eq(sx_hooks_first_layer(f.info, &hooks), 2);
    hooks.positions = &o;
    hooks.n_positions = 1;
    cr_assert_eq(sx_hooks_first_layer(f.info, &hooks), 0);
}

/* Interventions on a layer, run from that layer on, give what the whole run gives. */
Test(hooks, restarting_under_interventions)
{
    const uint32_t layer = 2, token = 3;
    const struct sx_intervention iv = {.point = SX_POINT_RESID_PRE,
                                       .layers = {&layer, 1},
                                       .tokens = {&token, 1},
                                       .band = -1,
                                       .action = SX_DO_SCALE,
                                       .factor = 0.5F};
    float *whole = with(&iv, 1);
    float *resid = fixture_capture(&f, ids, N, SX_POINT_RESID_PRE, NULL);
    float logits[N * V];
    const struct sx_sequence sequence = {
        .ids = ids, .n = N, .n_rows = N, .from_layer = 2, .resid = resid + (size_t)2 * N * D};
    const struct sx_pass pass = {.sequences = &sequence,
                                 .n_sequences = 1,
                                 .hooks = {.interventions = &iv, .n_interventions = 1},
                                 .logits = logits};
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    cr_assert(same(logits, whole));
    cr_assert(difference(logits, plain, (size_t)N * V) > 1e-3);
    sx_free(whole);
    sx_free(resid);
}

/* In a batch an intervention changes its own sequence alone. */
Test(hooks, sequences_of_a_batch)
{
    const struct sx_intervention iv = {
        .point = SX_POINT_V, .sequence = 1, .band = -1, .action = SX_DO_SCALE, .factor = 2};
    float logits[2 * N * V];
    const struct sx_sequence sequences[2] = {{.ids = ids, .n = N, .n_rows = N},
                                             {.ids = ids, .n = N, .n_rows = N}};
    const struct sx_pass pass = {.sequences = sequences,
                                 .n_sequences = 2,
                                 .hooks = {.interventions = &iv, .n_interventions = 1},
                                 .logits = logits};
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    cr_assert(same(logits, plain));
    cr_assert(difference(logits + (size_t)N * V, plain, (size_t)N * V) > 1e-3);
}

/* Rows that nobody looks at are passed over; long enough for several blocks of queries. */
static void check_rows(struct tiny_shape of)
{
    enum { LONG = 150, ROWS = 4 };
    static const uint32_t rows[ROWS] = {0, 63, 64, 130}, row[] = {70}, keys[] = {3, 69};
    struct fixture g = fixture_random(of, 5);
    int32_t many[LONG];
    fixture_ids(&g, many, LONG, 6);
    const struct sx_capture chosen = {.tokens = {rows, ROWS}};
    for (int point = SX_POINT_SCORES; point <= SX_POINT_ATTN; point++) {
        float *all = fixture_capture(&g, many, LONG, (enum sx_point)point, NULL);
        float *some = fixture_capture(&g, many, LONG, (enum sx_point)point, &chosen);
        for (size_t unit = 0; unit < (size_t)L * H; unit++)
            for (size_t r = 0; r < ROWS; r++)
                cr_assert_eq(memcmp(some + (unit * ROWS + r) * LONG,
                                    all + (unit * LONG + rows[r]) * LONG, LONG * sizeof *all),
                             0, "%s, unit %zu, row %zu", sx_point_name((enum sx_point)point), unit,
                             r);
        sx_free(all);
        sx_free(some);
    }
    const struct sx_intervention closed = {.point = SX_POINT_SCORES,
                                           .tokens = {row, 1},
                                           .keys = {keys, 2},
                                           .band = -1,
                                           .action = SX_DO_FORBID};
    float *ctx[2];
    for (int i = 0; i < 2; i++) {
        struct sx_capture capture = {.point = SX_POINT_CTX, .layers = {(uint32_t[]){0}, 1}};
        ctx[i] = sx_xcalloc((size_t)LONG * D, sizeof *ctx[i]);
        capture.out = ctx[i];
        const struct sx_hooks hooks = {.captures = &capture,
                                       .n_captures = 1,
                                       .interventions = &closed,
                                       .n_interventions = (size_t)i};
        sx_free(fixture_logits(&g, many, LONG, &hooks));
    }
    for (size_t t = 0; t < LONG; t++)
        cr_assert_eq(memcmp(ctx[0] + t * D, ctx[1] + t * D, D * sizeof *ctx[0]) != 0, t == row[0],
                     "row %zu", t);
    sx_free(ctx[0]);
    sx_free(ctx[1]);
    fixture_close(&g);
}

Test(hooks, chosen_rows_of_scores)
{
    check_rows(shape);
    check_rows((struct tiny_shape){SX_MODEL_GPT_NEOX, L, D, H, F, 50, 8});
}

static void refuse(struct sx_intervention iv, const char *word)
{
    float logits[N * V];
    const struct sx_sequence sequence = {.ids = ids, .n = N, .n_rows = N};
    const struct sx_pass pass = {.sequences = &sequence,
                                 .n_sequences = 1,
                                 .hooks = {.interventions = &iv, .n_interventions = 1},
                                 .logits = logits};
    struct sx_error err = {0};
    cr_assert_eq(sx_run_pass(f.runner, &pass, NULL, &err), SX_ERR_USAGE, "%s", word);
    cr_assert(strstr(err.message, word), "%s", err.message);
}

Test(hooks, refusals)
{
    const uint32_t layer = 3, head = 4, token = N, twice[] = {1, 1};
    refuse((struct sx_intervention){.point = SX_POINT_Q, .layers = {&layer, 1}, .band = -1},
           "layer 3");
    refuse((struct sx_intervention){.point = SX_POINT_Q, .heads = {&head, 1}, .band = -1},
           "head 4");
    refuse(
        (struct sx_intervention){
            .point = SX_POINT_Q, .tokens = {&token, 1}, .band = -1, .action = SX_DO_SCALE},
        "token 21");
    refuse((struct sx_intervention){.point = SX_POINT_Q, .heads = {twice, 2}, .band = -1},
           "ascending");
    refuse((struct sx_intervention){.point = SX_POINT_V, .band = 0}, "bands");
    refuse((struct sx_intervention){.point = SX_POINT_Q, .band = BANDS}, "band 8");
    refuse((struct sx_intervention){.point = SX_POINT_ATTN, .band = -1, .action = SX_DO_FORBID},
           "scores");
    refuse((struct sx_intervention){.point = SX_POINT_HEAD_OUT, .band = -1}, "captured");
    refuse((struct sx_intervention){.point = SX_POINT_Q, .sequence = 1, .band = -1}, "sequence 1");
    refuse((struct sx_intervention){.point = SX_POINT_Q, .band = -1, .action = SX_DO_ADD},
           "values");
}
