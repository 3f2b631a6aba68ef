#include <criterion/criterion.h>
#include <string.h>

#include "forward_fixture.h"
#include "sextant/interp/results.h"
#include "sextant/interp/scan.h"

static const struct tiny_shape shape = {SX_MODEL_ESM2, 3, 32, 4, 64, 33, 4};

enum { MOST = 40 };

struct pair { /* two runs of as many tokens, one mask each */
    struct fixture f;
    int32_t clean[MOST], corrupt[MOST];
    size_t n, token;
};

static struct pair pair_open(struct tiny_shape of, size_t n)
{
    struct pair p = {.f = fixture_random(of, 3), .n = n, .token = n / 3 + 1};
    fixture_ids(&p.f, p.clean, n, 1);
    fixture_ids(&p.f, p.corrupt, n, 2);
    return p;
}

static struct sx_sequence whole(const int32_t *ids, size_t n)
{
    return (struct sx_sequence){.ids = ids, .n = n, .embed_scale = NAN};
}

static struct sx_grid_request request_of(const struct pair *p, enum sx_site site, enum sx_how how)
{
    return (struct sx_grid_request){
        .site = site,
        .how = how,
        .metric = sx_metric_of_model(p->f.info, SX_METRIC_CENTRED, 7, -1),
        .base = whole(p->corrupt, p->n),
        .token = p->token,
        .source = whole(p->clean, p->n),
        .source_token = SIZE_MAX,
    };
}

static struct sx_scan_result scan(const struct pair *p, const struct sx_grid_request *request)
{
    struct sx_scan_result result;
    CHECK_OK(sx_grid_run(p->f.runner, request, &result, NULL, NULL, NULL, err));
    cr_assert_eq(result.n_done, result.rows * result.columns);
    return result;
}

/* One whole pass that is asked for one row of logits. */
static void one_row(const struct pair *p, const int32_t *ids, size_t n, size_t token,
                    const struct sx_hooks *hooks, float *logits)
{
    const uint32_t row = (uint32_t)token;
    struct sx_sequence sequence = whole(ids, n);
    sequence.rows = &row;
    sequence.n_rows = 1;
    struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
    if (hooks)
        pass.hooks = *hooks;
    CHECK_OK(sx_run_pass(p->f.runner, &pass, NULL, err));
}

static double measured(const struct pair *p, const int32_t *ids, const struct sx_hooks *hooks)
{
    float logits[64];
    const struct sx_metric metric = sx_metric_of_model(p->f.info, SX_METRIC_CENTRED, 7, -1);
    one_row(p, ids, p->n, p->token, hooks, logits);
    return sx_metric_value(&metric, logits, (size_t)p->f.info->vocab);
}

static double changed(const struct pair *p, struct sx_intervention iv)
{
    const struct sx_hooks hooks = {.interventions = &iv, .n_interventions = 1};
    return measured(p, p->corrupt, &hooks);
}

#define CHECK_SAME(actual, expected)                                                               \
    cr_assert_eq(actual, (float)(expected), "%s: %.9g, not %.9g", #actual, (double)(actual),       \
                 (double)(expected))

/* --- one by one ---------------------------------------------------------------------------------
 */

static void layer_token_is_one_by_one(struct tiny_shape of, size_t n)
{
    struct pair p = pair_open(of, n);
    const struct sx_grid_request request = request_of(&p, SX_SITE_RESID, SX_HOW_PATCH);
    struct sx_scan_result r = scan(&p, &request);
    const size_t L = (size_t)p.f.info->n_layers, D = (size_t)p.f.info->d_model;
    float *pre = fixture_capture(&p.f, p.clean, n, SX_POINT_RESID_PRE, NULL);
    float *post = fixture_capture(&p.f, p.clean, n, SX_POINT_RESID_POST, NULL);
    cr_assert(r.rows == L + 1 && r.columns == n && r.grid == SX_GRID_LAYER_TOKEN && !r.ablation);
    CHECK_SAME(r.clean, measured(&p, p.clean, NULL));
    CHECK_SAME(r.corrupt, measured(&p, p.corrupt, NULL));
    cr_assert(r.normalised);
    for (size_t l = 0; l <= L; l++)
        for (size_t t = 0; t < n; t++) {
            const uint32_t layer = (uint32_t)(l < L ? l : L - 1), token = (uint32_t)t;
            const float *from = l < L ? pre : post;
            const double expected =
                changed(&p, (struct sx_intervention){.point = l < L ? SX_POINT_RESID_PRE
                                                                    : SX_POINT_RESID_POST,
                                                     .layers = {&layer, 1},
                                                     .tokens = {&token, 1},
                                                     .band = -1,
                                                     .action = SX_DO_REPLACE,
                                                     .factor = 1,
                                                     .values = from + (layer * n + t) * D});
            CHECK_SAME(r.value[l * n + t], expected);
        }
    /* The output's token is all that the head reads. */
    cr_assert_eq(r.value[L * n + p.token], (float)r.clean);
    cr_assert_eq(sx_scan_effect(&r, L * n + (p.token == 1 ? 2 : 1)), 0);
    cr_assert_eq(sx_scan_effect(&r, L * n + p.token), 1);
    sx_scan_result_release(&r);
    sx_free(pre);
    sx_free(post);
    fixture_close(&p.f);
}

Test(scan, layer_by_token_is_what_single_patches_give)
{
    layer_token_is_one_by_one(shape, 23);
}

Test(scan, layer_by_token_of_a_short_input)
{
    layer_token_is_one_by_one(shape, 7);
}

Test(scan, layer_by_token_of_a_causal_model)
{
    layer_token_is_one_by_one(tiny_neox_shape, 19);
}

static void heads_are_one_by_one(bool all_tokens, size_t source_token)
{
    struct pair p = pair_open(shape, 23);
    struct sx_grid_request request = request_of(&p, SX_SITE_HEAD, SX_HOW_PATCH);
    request.all_tokens = all_tokens;
    request.source_token = source_token;
    struct sx_scan_result r = scan(&p, &request);
    const size_t H = (size_t)p.f.info->n_heads, d = (size_t)p.f.info->d_head;
    float *ctx = fixture_capture(&p.f, p.clean, p.n, SX_POINT_CTX, NULL);
    const uint32_t token = (uint32_t)p.token;
    const size_t from = source_token == SIZE_MAX ? p.token : source_token;
    for (uint32_t l = 0; l < p.f.info->n_layers; l++)
        for (uint32_t h = 0; h < H; h++) {
            struct sx_intervention iv = {.point = SX_POINT_CTX,
                                         .layers = {&l, 1},
                                         .heads = {&h, 1},
                                         .band = -1,
                                         .action = SX_DO_REPLACE,
                                         .factor = 1,
                                         .values = ctx + (l * p.n * H + h) * d,
                                         .token_stride = H * d};
            if (!all_tokens) {
                iv.tokens = (struct sx_choice){&token, 1};
                iv.values += from * H * d;
            }
            CHECK_SAME(r.value[l * H + h], changed(&p, iv));
        }
    sx_scan_result_release(&r);
    sx_free(ctx);
    fixture_close(&p.f);
}

Test(scan, heads_are_what_single_patches_give)
{
    heads_are_one_by_one(false, SIZE_MAX);
    heads_are_one_by_one(true, SIZE_MAX);
}

Test(scan, a_token_takes_what_another_had)
{
    heads_are_one_by_one(false, 2);
}

static void bands_are_one_by_one(bool rotated)
{
    struct pair p = pair_open(shape, 23);
    struct sx_grid_request request = request_of(&p, SX_SITE_BAND, SX_HOW_PATCH);
    request.rotated = rotated;
    struct sx_scan_result r = scan(&p, &request);
    const size_t H = (size_t)p.f.info->n_heads, d = (size_t)p.f.info->d_head;
    const size_t B = (size_t)p.f.info->n_bands;
    const enum sx_point point = rotated ? SX_POINT_Q_ROT : SX_POINT_Q;
    float *q = fixture_capture(&p.f, p.clean, p.n, point, NULL);
    const uint32_t token = (uint32_t)p.token;
    float values[2 * 16];
    for (uint32_t l = 0; l < p.f.info->n_layers; l++)
        for (size_t b = 0; b < B; b++) {
            for (size_t h = 0; h < H; h++) {
                const float *head = q + ((l * p.n + p.token) * H + h) * d;
                values[2 * h] = head[b];
                values[2 * h + 1] = head[b + B];
            }
            const double expected = changed(&p, (struct sx_intervention){.point = point,
                                                                         .layers = {&l, 1},
                                                                         .tokens = {&token, 1},
                                                                         .band = (int)b,
                                                                         .action = SX_DO_REPLACE,
                                                                         .factor = 1,
                                                                         .values = values,
                                                                         .head_stride = 2});
            CHECK_SAME(r.value[l * B + b], expected);
        }
    sx_scan_result_release(&r);
    sx_free(q);
    fixture_close(&p.f);
}

Test(scan, bands_are_what_single_patches_give)
{
    bands_are_one_by_one(false);
    bands_are_one_by_one(true);
}

/* Band b of every head by the words of the definition, in double. own, other, out [H,d]. */
static void part_by_hand(const struct sx_model_info *info, enum sx_band_part part, size_t b,
                         double turn, const float *own, const float *other, float *out)
{
    const size_t H = (size_t)info->n_heads, d = (size_t)info->d_head, B = (size_t)info->n_bands;
    const double angle = turn * pow(10000, -(double)b / (double)B);
    memcpy(out, own, H * d * sizeof *out);
    for (size_t h = 0; h < H; h++) {
        const double x = (double)own[h * d + b], y = (double)own[h * d + b + B];
        const double u = (double)other[h * d + b], v = (double)other[h * d + b + B];
        double re = u, im = v;
        if (part == SX_PART_NORM) {
            re = x * hypot(u, v) / hypot(x, y);
            im = y * hypot(u, v) / hypot(x, y);
        } else if (part == SX_PART_DIRECTION) {
            re = u * hypot(x, y) / hypot(u, v);
            im = v * hypot(x, y) / hypot(u, v);
        } else if (part == SX_PART_ROTATION) {
            re = x * cos(angle) - y * sin(angle);
            im = x * sin(angle) + y * cos(angle);
        }
        out[h * d + b] = (float)re;
        out[h * d + b + B] = (float)im;
    }
}

/* The whole vectors of a token are replaced here, where the grid changes two dimensions of each
 * head. Queries take what another token had; of keys it is token 0. */
static void parts_are_by_hand(struct tiny_shape of, enum sx_band_part part, bool keys, bool rotated)
{
    struct pair p = pair_open(of, 17);
    struct sx_grid_request request = request_of(&p, SX_SITE_BAND, SX_HOW_PATCH);
    const enum sx_point q = rotated ? SX_POINT_Q_ROT : SX_POINT_Q;
    const enum sx_point point = !keys ? q : rotated ? SX_POINT_K_ROT : SX_POINT_K;
    const uint32_t token = keys ? 0 : (uint32_t)p.token;
    const size_t from = keys ? 0 : 2, H = (size_t)p.f.info->n_heads, B = (size_t)p.f.info->n_bands;
    const size_t d = (size_t)p.f.info->d_head, width = H * d;
    float moved[17];
    request.band_part = part;
    request.rotated = rotated;
    request.keys = keys;
    request.source_token = keys ? SIZE_MAX : from;
    for (size_t t = 0; t < p.n; t++)
        moved[t] = (float)t + 3;
    if (part == SX_PART_ROTATION)
        request.source.positions = moved;
    const double turn = (double)from + 3 - (double)token;
    struct sx_scan_result r = scan(&p, &request);
    float *own = fixture_capture(&p.f, p.corrupt, p.n, point, NULL);
    float *other = fixture_capture(&p.f, p.clean, p.n, point, NULL);
    float values[64];
    double most = 0;
    for (uint32_t l = 0; l < p.f.info->n_layers; l++)
        for (size_t b = 0; b < B; b++) {
            part_by_hand(p.f.info, part, b, turn, own + (l * p.n + token) * width,
                         other + (l * p.n + from) * width, values);
            const double expected = changed(&p, (struct sx_intervention){.point = point,
                                                                         .layers = {&l, 1},
                                                                         .tokens = {&token, 1},
                                                                         .band = -1,
                                                                         .action = SX_DO_REPLACE,
                                                                         .factor = 1,
                                                                         .values = values,
                                                                         .head_stride = d});
            const double found = (double)r.value[l * B + b];
            cr_assert(fabs(found - expected) < 2e-5 * (1 + fabs(expected)),
                      "%s of %s: layer %u, band %zu: %.9g, not %.9g", sx_band_part_name(part),
                      keys ? "keys" : "queries", l, b, found, expected);
            most = fmax(most, fabs(expected - r.corrupt));
        }
    cr_assert_gt(most, 1e-3, "nothing was changed");
    sx_scan_result_release(&r);
    sx_free(own);
    sx_free(other);
    fixture_close(&p.f);
}

Test(scan, parts_of_bands_are_what_their_words_say)
{
    static const struct tiny_shape neox = {SX_MODEL_GPT_NEOX, 3, 48, 3, 96, 50, 3};
    for (int keys = 0; keys < 2; keys++)
        for (int part = 0; part < SX_PART_COUNT; part++)
            for (int rotated = part == SX_PART_ROTATION; rotated < 2; rotated++) {
                parts_are_by_hand(shape, (enum sx_band_part)part, keys, rotated);
                parts_are_by_hand(neox, (enum sx_band_part)part, keys, rotated);
            }
}

/* With all tokens, keys are those of every token, as the query of one sees them. */
Test(scan, bands_of_all_keys)
{
    struct pair p = pair_open(shape, 17);
    struct sx_grid_request request = request_of(&p, SX_SITE_BAND, SX_HOW_ZERO);
    request.keys = request.all_tokens = true;
    struct sx_scan_result r = scan(&p, &request);
    for (uint32_t l = 0; l < p.f.info->n_layers; l++) {
        const double expected = changed(
            &p, (struct sx_intervention){
                    .point = SX_POINT_K, .layers = {&l, 1}, .band = 1, .action = SX_DO_SCALE});
        CHECK_SAME(r.value[l * p.f.info->n_bands + 1], expected);
    }
    sx_scan_result_release(&r);
    fixture_close(&p.f);
}

Test(scan, q_k_and_v_are_separate)
{
    struct pair p = pair_open(shape, 23);
    const struct sx_grid_request request = request_of(&p, SX_SITE_QKV, SX_HOW_PATCH);
    struct sx_scan_result r = scan(&p, &request);
    const size_t H = (size_t)p.f.info->n_heads, d = (size_t)p.f.info->d_head;
    const enum sx_point points[] = {SX_POINT_Q, SX_POINT_K, SX_POINT_V};
    const uint32_t token = (uint32_t)p.token;
    for (int which = 0; which < 3; which++) {
        float *from = fixture_capture(&p.f, p.clean, p.n, points[which], NULL);
        for (uint32_t l = 0; l < p.f.info->n_layers; l++)
            for (uint32_t h = 0; h < H; h++) {
                struct sx_intervention iv = {.point = points[which],
                                             .layers = {&l, 1},
                                             .heads = {&h, 1},
                                             .band = -1,
                                             .action = SX_DO_REPLACE,
                                             .factor = 1,
                                             .values = from + (l * p.n * H + h) * d,
                                             .token_stride = H * d};
                if (which == 0) {
                    iv.tokens = (struct sx_choice){&token, 1};
                    iv.values += p.token * H * d;
                }
                CHECK_SAME(r.value[l * 3 * H + 3 * h + (size_t)which], changed(&p, iv));
            }
        sx_free(from);
    }
    sx_scan_result_release(&r);
    fixture_close(&p.f);
}

/* --- into itself --------------------------------------------------------------------------------
 */

Test(scan, a_run_patched_into_itself_stays_as_it_is)
{
    static const enum sx_site sites[] = {SX_SITE_RESID, SX_SITE_HEAD,      SX_SITE_QKV,
                                         SX_SITE_BAND,  SX_SITE_ATTN,      SX_SITE_MLP,
                                         SX_SITE_BLOCK, SX_SITE_BOS_VALUE, SX_SITE_BOS_KEY};
    struct pair p = pair_open(shape, 29);
    for (size_t i = 0; i < sizeof sites / sizeof *sites; i++)
        for (int kind = 0; kind < 4; kind++) {
            struct sx_grid_request request = request_of(&p, sites[i], SX_HOW_PATCH);
            request.source = request.base;
            request.all_tokens = kind & 1;
            request.rotated = kind & 2 && (sites[i] == SX_SITE_QKV || sites[i] == SX_SITE_BAND);
            double together = 0;
            request.together = &together;
            struct sx_scan_result r = scan(&p, &request);
            cr_assert(!r.normalised);
            cr_assert_eq(r.clean, r.corrupt);
            for (size_t c = 0; c < r.rows * r.columns; c++) {
                cr_assert_eq(r.value[c], (float)r.corrupt, "%s %zu: %.9g, not %.9g",
                             sx_site_name(sites[i]), c, (double)r.value[c], r.corrupt);
            }
            cr_assert(sites[i] == SX_SITE_RESID ? isnan(together)
                                                : (float)together == (float)r.corrupt);
            sx_scan_result_release(&r);
        }
    fixture_close(&p.f);
}

/* --- ablations ----------------------------------------------------------------------------------
 */

Test(scan, heads_and_blocks_ablated_by_zero)
{
    struct pair p = pair_open(shape, 23);
    struct sx_grid_request request = request_of(&p, SX_SITE_BLOCK, SX_HOW_ZERO);
    request.all_tokens = true;
    double together;
    request.together = &together;
    struct sx_scan_result r = scan(&p, &request);
    cr_assert(r.ablation && isnan(r.corrupt) && r.columns == 2);
    CHECK_SAME(r.clean, measured(&p, p.corrupt, NULL));
    for (uint32_t l = 0; l < 3; l++)
        for (int c = 0; c < 2; c++) {
            const double expected = changed(
                &p, (struct sx_intervention){.point = c ? SX_POINT_MLP_OUT : SX_POINT_ATTN_OUT,
                                             .layers = {&l, 1},
                                             .band = -1,
                                             .action = SX_DO_SCALE});
            CHECK_SAME(r.value[2 * l + (uint32_t)c], expected);
            cr_assert_eq(sx_scan_effect(&r, 2 * l + (size_t)c),
                         (double)r.value[2 * l + (uint32_t)c] - r.clean);
        }
    /* Without any block the embedding is all there is. */
    const struct sx_intervention all[] = {
        {.point = SX_POINT_ATTN_OUT, .band = -1, .action = SX_DO_SCALE, .sequence = 0},
        {.point = SX_POINT_MLP_OUT, .band = -1, .action = SX_DO_SCALE, .sequence = 0}};
    const struct sx_hooks hooks = {.interventions = all, .n_interventions = 2};
    cr_assert_eq(together, measured(&p, p.corrupt, &hooks));
    sx_scan_result_release(&r);
    fixture_close(&p.f);
}

Test(scan, edges_knocked_out_and_values_taken_away_differ)
{
    struct pair p = pair_open(shape, 23);
    const uint32_t token = (uint32_t)p.token;
    for (int knockout = 0; knockout < 2; knockout++) {
        const struct sx_grid_request request =
            request_of(&p, SX_SITE_EDGE, knockout ? SX_HOW_KNOCKOUT : SX_HOW_ZERO);
        struct sx_scan_result r = scan(&p, &request);
        cr_assert(r.rows == 3 && r.columns == p.n);
        for (uint32_t l = 0; l < 3; l++)
            for (uint32_t key = 0; key < p.n; key++) {
                const double expected = changed(
                    &p,
                    (struct sx_intervention){.point = knockout ? SX_POINT_SCORES : SX_POINT_ATTN,
                                             .layers = {&l, 1},
                                             .tokens = {&token, 1},
                                             .keys = {&key, 1},
                                             .band = -1,
                                             .action = knockout ? SX_DO_FORBID : SX_DO_SCALE});
                CHECK_SAME(r.value[l * p.n + key], expected);
            }
        sx_scan_result_release(&r);
    }
    fixture_close(&p.f);
}

/* The mean over the residues of the run itself, of v at token 0. */
Test(scan, bos_takes_the_mean_of_the_residues)
{
    struct pair p = pair_open(shape, 23);
    const struct sx_grid_request request = request_of(&p, SX_SITE_BOS_VALUE, SX_HOW_MEAN);
    struct sx_scan_result r = scan(&p, &request);
    const size_t H = 4, d = 8;
    const uint32_t bos = 0;
    float *v = fixture_capture(&p.f, p.corrupt, p.n, SX_POINT_V, NULL);
    for (uint32_t l = 0; l < 3; l++)
        for (uint32_t h = 0; h < H; h++) {
            float mean[8];
            for (size_t i = 0; i < d; i++) {
                double sum = 0;
                for (size_t t = 1; t + 1 < p.n; t++)
                    sum += (double)v[((l * p.n + t) * H + h) * d + i];
                mean[i] = (float)(sum / (double)(p.n - 2));
            }
            const double expected = changed(&p, (struct sx_intervention){.point = SX_POINT_V,
                                                                         .layers = {&l, 1},
                                                                         .tokens = {&bos, 1},
                                                                         .heads = {&h, 1},
                                                                         .band = -1,
                                                                         .action = SX_DO_REPLACE,
                                                                         .factor = 1,
                                                                         .values = mean});
            CHECK_SAME(r.value[l * H + h], expected);
        }
    sx_scan_result_release(&r);
    sx_free(v);
    fixture_close(&p.f);
}

/* One sequence in the set and one role in it: mean and draw are that token's activation. */
Test(scan, a_set_of_one_is_a_patch)
{
    struct pair p = pair_open(shape, 23);
    struct sx_grid_request patch = request_of(&p, SX_SITE_HEAD, SX_HOW_PATCH);
    patch.source_token = 5;
    const struct sx_reference reference = {p.clean, p.n, 5};
    struct sx_scan_result expected = scan(&p, &patch);
    for (enum sx_how how = SX_HOW_MEAN; how <= SX_HOW_RESAMPLE; how++) {
        struct sx_grid_request request = request_of(&p, SX_SITE_HEAD, how);
        request.references = &reference;
        request.n_references = 1;
        request.seed = 9;
        struct sx_scan_result r = scan(&p, &request);
        for (size_t c = 0; c < r.rows * r.columns; c++)
            CHECK_SAME(r.value[c], expected.value[c]);
        sx_scan_result_release(&r);
    }
    sx_scan_result_release(&expected);
    fixture_close(&p.f);
}

Test(scan, draws_follow_the_seed)
{
    struct pair p = pair_open(shape, 23);
    struct sx_grid_request request = request_of(&p, SX_SITE_MLP, SX_HOW_RESAMPLE);
    request.all_tokens = true;
    request.seed = 1;
    struct sx_scan_result a = scan(&p, &request), b = scan(&p, &request);
    request.seed = 2;
    struct sx_scan_result c = scan(&p, &request);
    cr_assert_eq(memcmp(a.value, b.value, 3 * sizeof(float)), 0);
    cr_assert_neq(memcmp(a.value, c.value, 3 * sizeof(float)), 0);
    sx_scan_result_release(&a);
    sx_scan_result_release(&b);
    sx_scan_result_release(&c);
    fixture_close(&p.f);
}

/* --- order, limits, stopping --------------------------------------------------------------------
 */

struct seen {
    size_t n_batches, n, largest;
    bool twice[400];
    struct sx_task *stop;
};

static void on_cells(void *context, const struct sx_scan_result *result, const size_t *cells,
                     size_t n)
{
    struct seen *seen = context;
    seen->n_batches++;
    seen->n += n;
    seen->largest = n > seen->largest ? n : seen->largest;
    cr_assert_eq(result->n_done, seen->n);
    for (size_t i = 0; i < n; i++) {
        cr_assert(!seen->twice[cells[i]] && isfinite(result->value[cells[i]]));
        seen->twice[cells[i]] = true;
    }
    if (seen->stop)
        sx_task_cancel(seen->stop);
}

Test(scan, small_batches_give_the_same_bits)
{
    struct pair p = pair_open(shape, 23);
    struct sx_grid_request request = request_of(&p, SX_SITE_RESID, SX_HOW_PATCH);
    struct sx_scan_result all = scan(&p, &request), r;
    struct seen seen = {0};
    request.limits.max_flops = 1;
    CHECK_OK(sx_grid_run(p.f.runner, &request, &r, on_cells, &seen, NULL, err));
    cr_assert_eq(seen.n, r.rows * r.columns);
    cr_assert_eq(seen.n_batches, 3 * p.n + 1 + 1); /* the known ones at once */
    cr_assert_eq(memcmp(all.value, r.value, seen.n * sizeof(float)), 0);
    sx_scan_result_release(&r);
    sx_scan_result_release(&all);
    fixture_close(&p.f);
}

Test(scan, memory_is_bounded)
{
    struct pair p = pair_open(shape, 23);
    struct sx_grid_request request = request_of(&p, SX_SITE_HEAD, SX_HOW_ZERO);
    struct sx_scan_result r;
    struct sx_error why = {0};
    struct seen seen = {0};
    CHECK_OK(sx_grid_run(p.f.runner, &request, &r, on_cells, &seen, NULL, err));
    cr_assert_eq(seen.largest, 4);
    sx_scan_result_release(&r);
    const size_t lengths[] = {23, 23, 23, 23};
    request.limits.max_bytes = sx_pass_bytes(p.f.model, lengths, 2) + 3 * 23 * 32 * 4 + 2 * 33 * 4;
    seen = (struct seen){0};
    CHECK_OK(sx_grid_run(p.f.runner, &request, &r, on_cells, &seen, NULL, err));
    cr_assert_eq(seen.largest, 2);
    sx_scan_result_release(&r);
    request.limits.max_bytes = 1000;
    cr_assert_eq(sx_grid_run(p.f.runner, &request, &r, NULL, NULL, NULL, &why), SX_ERR_NOMEM);
    cr_assert(strstr(why.message, "limit"));
    sx_scan_result_release(&r);
    fixture_close(&p.f);
}

Test(scan, a_cancelled_scan_keeps_what_it_has)
{
    struct pair p = pair_open(shape, 23);
    struct sx_grid_request request = request_of(&p, SX_SITE_HEAD, SX_HOW_ZERO);
    struct sx_task task;
    struct sx_scan_result r;
    sx_task_init(&task);
    struct seen seen = {.stop = &task};
    cr_assert_eq(sx_grid_run(p.f.runner, &request, &r, on_cells, &seen, &task, NULL), SX_CANCELLED);
    cr_assert_eq(seen.n_batches, 1);
    cr_assert_eq(r.n_done, 4);
    size_t finite = 0;
    for (size_t c = 0; c < r.rows * r.columns; c++)
        finite += isfinite(r.value[c]) != 0;
    cr_assert_eq(finite, 4);
    sx_scan_result_release(&r);
    fixture_close(&p.f);
}

struct order {
    size_t cell[64], n;
};

static void note_order(void *context, const size_t *cells, const double *values, size_t n)
{
    struct order *order = context;
    (void)values;
    for (size_t i = 0; i < n; i++)
        order->cell[order->n++] = cells[i];
}

/* Layers in turns from the last, in each the largest estimate first. */
Test(scan, a_coarse_picture_comes_first)
{
    struct pair p = pair_open(shape, 23);
    static const uint32_t layers[] = {0, 1, 2};
    struct sx_intervention iv[6];
    struct sx_scan_cell cells[6];
    static const double estimates[] = {1, 3, 2, 5, 4, 6};
    for (size_t i = 0; i < 6; i++) {
        iv[i] = (struct sx_intervention){.point = SX_POINT_MLP_OUT,
                                         .layers = {&layers[i / 2], 1},
                                         .band = -1,
                                         .action = SX_DO_SCALE,
                                         .factor = 0.5F};
        cells[i] = (struct sx_scan_cell){
            .interventions = &iv[i], .n_interventions = 1, .estimate = estimates[i]};
    }
    const struct sx_sequence base = whole(p.corrupt, p.n);
    const struct sx_metric metric = sx_metric_of_model(p.f.info, SX_METRIC_LOGIT, 7, -1);
    const struct sx_scan_limits limits = {.max_flops = 1};
    struct order order = {.n = 0};
    double plain;
    CHECK_OK(sx_scan_run(p.f.runner, &base, p.token, &metric, cells, 6, &limits, &plain, NULL,
                         note_order, &order, NULL, err));
    static const size_t expected[] = {5, 3, 1, 4, 2, 0};
    cr_assert_eq(memcmp(order.cell, expected, sizeof expected), 0);
    fixture_close(&p.f);
}

/* --- positions ----------------------------------------------------------------------------------
 */

Test(scan, cells_may_override_positions)
{
    struct pair p = pair_open(shape, 23);
    float moved[MOST];
    for (size_t t = 0; t < p.n; t++)
        moved[t] = (float)t + (t ? 3.0F : 0.0F);
    static const uint32_t last = 2;
    const struct sx_position_override override = {
        .layers = {&last, 1}, .side = SX_SIDE_BOTH, .positions = moved};
    const struct sx_scan_cell cells[] = {{.positions = &override, .n_positions = 1}, {0}};
    const struct sx_sequence base = whole(p.corrupt, p.n);
    const struct sx_metric metric = sx_metric_of_model(p.f.info, SX_METRIC_CENTRED, 7, -1);
    double plain, value[2];
    CHECK_OK(sx_scan_run(p.f.runner, &base, p.token, &metric, cells, 2, NULL, &plain, value, NULL,
                         NULL, NULL, err));
    const struct sx_hooks hooks = {.positions = &override, .n_positions = 1};
    cr_assert_eq(value[0], measured(&p, p.corrupt, &hooks));
    cr_assert_eq(value[1], plain);
    cr_assert_neq(value[0], plain);
    fixture_close(&p.f);
}

/* --- what does not fit --------------------------------------------------------------------------
 */

static void refused(const struct pair *p, const struct sx_grid_request *request, const char *words)
{
    struct sx_scan_result r;
    struct sx_error err = {0};
    cr_assert_eq(sx_grid_run(p->f.runner, request, &r, NULL, NULL, NULL, &err), SX_ERR_USAGE);
    cr_assert(strstr(err.message, words), "%s", err.message);
    sx_scan_result_release(&r);
}

Test(scan, runs_must_be_alike)
{
    struct pair p = pair_open(shape, 23);
    struct sx_grid_request request = request_of(&p, SX_SITE_HEAD, SX_HOW_PATCH);
    request.source.n--;
    refused(&p, &request, "22 tokens and corrupt 23");
    request.source.n++;
    p.clean[3] = 32;
    refused(&p, &request, "2 masks and corrupt 1");
    request.base.embed_scale = request.source.embed_scale = 0.9F;
    struct sx_scan_result r = scan(&p, &request);
    sx_scan_result_release(&r);
    request.source_token = 23;
    refused(&p, &request, "no token 23");
    request.source_token = 1;
    request.all_tokens = true;
    refused(&p, &request, "all tokens");
    request = request_of(&p, SX_SITE_HEAD, SX_HOW_KNOCKOUT);
    refused(&p, &request, "only edges");
    request = request_of(&p, SX_SITE_HEAD, SX_HOW_ZERO);
    request.keys = true;
    refused(&p, &request, "only bands are of queries or keys");
    request = request_of(&p, SX_SITE_BAND, SX_HOW_PATCH);
    request.keys = true;
    request.source_token = 1;
    request.base.embed_scale = request.source.embed_scale = 0.9F;
    refused(&p, &request, "not in keys");
    request = request_of(&p, SX_SITE_EDGE, SX_HOW_MEAN);
    refused(&p, &request, "not by mean");
    request = request_of(&p, SX_SITE_HEAD, SX_HOW_ZERO);
    request.token = 23;
    refused(&p, &request, "token 23");
    fixture_close(&p.f);
}

/* --- trials -------------------------------------------------------------------------------------
 */

struct rows {
    float logits[5][33];
    size_t n;
};

static void keep_logits(void *context, size_t index, const float *logits)
{
    struct rows *rows = context;
    cr_assert_eq(index, rows->n);
    memcpy(rows->logits[rows->n++], logits, sizeof rows->logits[0]);
}

Test(scan, trials_of_any_length)
{
    struct pair p = pair_open(shape, 31);
    struct sx_trial trials[5] = {{.token = 0}};
    struct rows rows = {.n = 0};
    for (size_t i = 0; i < 5; i++)
        trials[i] = (struct sx_trial){.sequence = whole(p.clean, 31 - 6 * i), .token = i};
    const struct sx_scan_limits limits = {.max_flops = 3e6};
    CHECK_OK(sx_trials_run(p.f.runner, trials, 5, &limits, keep_logits, &rows, NULL, err));
    cr_assert_eq(rows.n, 5);
    for (size_t i = 0; i < 5; i++) {
        float logits[33];
        one_row(&p, p.clean, 31 - 6 * i, i, NULL, logits);
        cr_assert_eq(memcmp(logits, rows.logits[i], sizeof logits), 0);
    }
    fixture_close(&p.f);
}
