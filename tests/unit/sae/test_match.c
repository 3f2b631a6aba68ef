#include "sextant/sae/match.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"

static const struct sx_match_options all_only = {.alive_cut = NAN};
static const struct sx_match_options with_alive = {.alive_cut = 0.1};

static struct sx_match_set *match(const struct sx_match_input *models, size_t n,
                                  const struct sx_match_options *options)
{
    struct sx_match_set *set;
    struct sx_error err = {0};
    enum sx_status status = sx_match_new(models, n, options, NULL, &set, &err);
    cr_assert_eq(status, SX_OK, "%s", err.message);
    return set;
}

/* --- three seeds, counted by hand --------------------------------------------------------------
 *
 * Six latents in twelve dimensions, mostly basis vectors e0, e1, …. Written by latent:
 *
 *   seed 0:  e0   e1   e2   e3       e4   p
 *   seed 1:  e3|e5 e0  e2   e1       e4   q        (encoder e3, decoder e5)
 *   seed 2:  e2   e0   e6   e1       e7   r
 *
 * p, q, r lie in a plane: p is at cosine 0.8 to q and to r, q and r at 0.28.
 * Shared at 0.7 (by index of the first): 0-1: 0 1 2 4 5; 0-2: 0 1 2 5; 1-2: 1 2 3. */
enum { TOY_F = 6, TOY_D = 12, TOY_N = 3 };

struct toy {
    float enc[TOY_N][TOY_F * TOY_D], dec[TOY_N][TOY_F * TOY_D];
    struct sx_match_input models[TOY_N];
};

static void toy_init(struct toy *toy)
{
    static const int axis[TOY_N][TOY_F] = {
        {0, 1, 2, 3, 4, 8}, {3, 0, 2, 1, 4, 8}, {2, 0, 6, 1, 7, 8}};
    *toy = (struct toy){0};
    for (int s = 0; s < TOY_N; s++) {
        for (int j = 0; j < TOY_F; j++)
            toy->enc[s][j * TOY_D + axis[s][j]] = s == 1 ? -2.0F : 1.0F;
        toy->models[s] = (struct sx_match_input){toy->enc[s], toy->dec[s], TOY_F, TOY_D, "toy"};
    }
    toy->enc[1][5 * TOY_D + 8] = toy->enc[2][5 * TOY_D + 8] = 0.8F;
    toy->enc[1][5 * TOY_D + 9] = 0.6F;
    toy->enc[2][5 * TOY_D + 9] = -0.6F;
    memcpy(toy->dec, toy->enc, sizeof toy->enc);
    toy->dec[1][3] = 0;
    toy->dec[1][5] = 1;
}

static void expect_counts(const struct sx_match_summary *s, enum sx_counter counter,
                          enum sx_basis basis, size_t always, size_t sometimes, size_t never)
{
    struct sx_match_counts c = s->counts[counter][basis];
    cr_assert(c.always == always && c.sometimes == sometimes && c.never == never,
              "counter %d basis %d: %zu/%zu/%zu", (int)counter, (int)basis, c.always, c.sometimes,
              c.never);
}

Test(match, three_seeds_as_counted_by_hand)
{
    struct toy toy;
    toy_init(&toy);
    struct sx_match_set *set = match(toy.models, TOY_N, &all_only);
    struct sx_match_summary *s = sx_match_summary_new(set, 0.7, false);
    cr_assert_eq(s->n_pairs, 3);
    cr_assert_eq(s->pairs[0].n_shared, 5);
    cr_assert_eq(s->pairs[1].n_shared, 4);
    cr_assert_eq(s->pairs[2].n_shared, 3);
    cr_assert_float_eq(s->mean.shared, 12.0 / 18, 1e-12);
    cr_assert_float_eq(s->pairs[0].shared_enc, 1, 1e-12);
    cr_assert_float_eq(s->pairs[0].shared_compat, s->pairs[0].shared, 1e-12);
    expect_counts(s, SX_COUNTER_ANCHORED, SX_BASIS_BOTH, 4, 1, 1);
    expect_counts(s, SX_COUNTER_CLIQUE, SX_BASIS_BOTH, 3, 2, 1);
    expect_counts(s, SX_COUNTER_PAPER, SX_BASIS_BOTH, 2, 4, 0);
    expect_counts(s, SX_COUNTER_ANCHORED, SX_BASIS_ENC, 4, 2, 0);
    expect_counts(s, SX_COUNTER_ANCHORED, SX_BASIS_DEC, 4, 1, 1);
    /* encoder maxima of 0-1: five times 1 and 0.8, both ways; decoder: 0 for latent 3 */
    cr_assert_float_eq(s->pairs[0].mmcs_enc, 5.8 / 6, 1e-6);
    cr_assert_float_eq(s->pairs[0].mmcs_dec, 4.8 / 6, 1e-6);
    cr_assert_float_eq(s->pairs[0].mmcs, 5.3 / 6, 1e-6);
    /* 0-2: 1 1 1 and 0.8; 1-2: 1 1 1 and 0.28: the spread of .8833, .6333, .5467 */
    cr_assert_float_eq(s->mmcs_std, 0.142733, 1e-6);
    sx_match_summary_free(s);

    /* above 0.8 the plane's latents are no longer shared: the comparison is strict */
    s = sx_match_summary_new(set, (double)0.8F, false);
    expect_counts(s, SX_COUNTER_ANCHORED, SX_BASIS_BOTH, 3, 1, 2);
    sx_match_summary_free(s);
    sx_match_set_free(set);
}

Test(match, any_seed_may_be_the_anchor)
{
    struct toy toy;
    toy_init(&toy);
    struct sx_match_set *set = match(toy.models, TOY_N, &all_only);
    uint8_t category[TOY_F];
    struct sx_match_counts c =
        sx_match_categories(set, false, 0.7, SX_COUNTER_ANCHORED, SX_BASIS_BOTH, 2, category);
    static const uint8_t want[TOY_F] = {SX_CATEGORY_ALWAYS, SX_CATEGORY_ALWAYS,
                                        SX_CATEGORY_NEVER,  SX_CATEGORY_ALWAYS,
                                        SX_CATEGORY_NEVER,  SX_CATEGORY_SOMETIMES};
    cr_assert_arr_eq(category, want, TOY_F);
    cr_assert(c.always == 3 && c.sometimes == 1 && c.never == 2);
    struct sx_match_view view;
    sx_match_look(set, false, 2, 0, 3, 0.7, &view); /* e1 of seed 2 is latent 1 of seed 0 */
    cr_assert(view.shared && view.partner_enc == 1 && view.partner_dec == 1);
    cr_assert_eq(view.sim_dec, 1.0F);
    cr_assert_eq(view.margin, 1.0F);
    cr_assert_eq(view.runner_up, -1);
    sx_match_look(set, false, 0, 1, 5, 0.7, &view);
    cr_assert_float_eq(view.sim_enc, 0.8, 1e-6);
    sx_match_look(set, false, 0, 1, 5, 0.9, &view);
    cr_assert_not(view.shared);
    sx_match_set_free(set);
}

Test(match, survival_is_the_fractions_at_every_threshold)
{
    struct toy toy;
    toy_init(&toy);
    struct sx_match_set *set = match(toy.models, TOY_N, &all_only);
    struct sx_match_survival *s = sx_match_survival_new(set, false, 101);
    for (size_t t = 0; t < 101; t += 10) {
        struct sx_match_summary *sum = sx_match_summary_new(set, s->tau[t], false);
        for (size_t p = 0; p < 3; p++) {
            cr_assert_eq(s->shared[p * 101 + t], sum->pairs[p].shared);
            cr_assert_eq(s->paired[p * 101 + t], sum->pairs[p].paired);
        }
        cr_assert_float_eq(s->shared[3 * 101 + t], sum->mean.shared, 1e-12);
        sx_match_summary_free(sum);
    }
    cr_assert_eq(s->tau[100], 1.0);
    cr_assert_eq(s->shared[100], 0.0); /* nothing is above 1 */
    sx_match_survival_free(s);
    sx_match_set_free(set);
}

/* --- alive cuts that leave different numbers of rows -------------------------------------------
 *
 * a: e0 e1 e2, all aligned. b: b0 leans to e0 by its encoder and to e1 by its decoder, b1 = e2,
 * b2 has alignment 0. Alive: 3 and 2. Encoders match a0-b0, a2-b1; decoders a1-b0, a2-b1. By
 * latent only a2 is shared; by position both are. */
Test(match, alive_cut_goes_by_latent_and_the_paper_by_position)
{
    static const float a[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    static const float b_enc[9] = {0.9F, 0.436F, 0, 0, 0, 1, 1, 0, 0};
    static const float b_dec[9] = {0.436F, 0.9F, 0, 0, 0, 1, 0, 1, 0};
    struct sx_match_input models[2] = {{a, a, 3, 3, "a"}, {b_enc, b_dec, 3, 3, "b"}};
    struct sx_match_set *set = match(models, 2, &with_alive);
    cr_assert_eq(set->models[0].n_alive, 3);
    cr_assert_eq(set->models[1].n_alive, 2);
    const struct sx_match_pair *p = &set->alive[0];
    cr_assert(p->n_a == 3 && p->n_b == 2);
    cr_assert(p->partner_enc[0] == 0 && p->partner_enc[1] == -1 && p->partner_enc[2] == 1);
    cr_assert(p->partner_dec[0] == -1 && p->partner_dec[1] == 0 && p->partner_dec[2] == 1);
    cr_assert(isnan(p->sim_dec[0]) && isnan(p->margin[0]) && isnan(p->back_max_dec[2]));
    cr_assert_eq(p->back_dec[2], -1);
    double unit = sqrt(0.9 * 0.9 + 0.436 * 0.436);
    cr_assert_float_eq(p->back_margin[0], (0.9 - 0.436) / unit, 1e-6);
    cr_assert_float_eq(p->mmcs_dec, ((1.336 / unit + 1) / 3 + (0.9 / unit + 1) / 2) / 2, 1e-6);
    struct sx_match_summary *s = sx_match_summary_new(set, 0.7, true);
    cr_assert_float_eq(s->pairs[0].shared, 0.5, 1e-12);
    cr_assert_float_eq(s->pairs[0].shared_compat, 1, 1e-12);
    cr_assert_float_eq(s->pairs[0].paired, 2.0 / 3, 1e-12);
    expect_counts(s, SX_COUNTER_ANCHORED, SX_BASIS_BOTH, 1, 0, 2);
    sx_match_summary_free(s);
    cr_assert_eq(sx_match_set_alive_cut(set, models, 0.99, NULL, NULL), SX_OK);
    cr_assert_eq(set->alive[0].n_b, 1);
    cr_assert_eq(sx_match_set_alive_cut(set, models, 1.5, NULL, NULL), SX_OK);
    s = sx_match_summary_new(set, 0.7, true);
    cr_assert_eq(s->pairs[0].n_a, 0);
    cr_assert_eq(s->pairs[0].shared, 0.0);
    cr_assert(isnan(s->pairs[0].mmcs));
    sx_match_summary_free(s);
    sx_match_set_free(set);
}

/* --- copies ------------------------------------------------------------------------------------
 */

Test(match, identical_permuted_and_flipped_copies_agree_at_exactly_one)
{
    enum { F = 400, D = 24 };
    static float enc[3][F * D], dec[3][F * D];
    uint32_t order[F];
    struct sx_rng rng = sx_rng_make(11, 0);
    for (uint32_t i = 0; i < F; i++)
        order[i] = i;
    sx_rng_shuffle(&rng, order, F);
    for (size_t i = 0; i < F * D; i++) {
        enc[0][i] = enc[1][i] = 0.05F * (float)sx_rng_normal(&rng);
        dec[0][i] = dec[1][i] = (float)sx_rng_normal(&rng);
    }
    for (size_t i = 0; i < F; i++)
        for (size_t j = 0; j < D; j++) {
            enc[2][order[i] * D + j] = -enc[0][i * D + j];
            dec[2][order[i] * D + j] = (i % 2 ? -1.0F : 1.0F) * dec[0][i * D + j];
        }
    struct sx_match_input models[3];
    for (int s = 0; s < 3; s++)
        models[s] = (struct sx_match_input){enc[s], dec[s], F, D, NULL};
    struct sx_match_set *set = match(models, 3, &all_only);
    struct sx_match_summary *s = sx_match_summary_new(set, 0.7, false);
    for (size_t p = 0; p < 3; p++) {
        cr_assert_eq(s->pairs[p].mmcs, 1.0);
        cr_assert_eq(s->pairs[p].paired, 1.0);
        cr_assert_eq(s->pairs[p].shared, 1.0);
        cr_assert_eq(set->pairs[p].proof_dec.gap, 0.0);
    }
    cr_assert_eq(s->mmcs_std, 0.0);
    expect_counts(s, SX_COUNTER_CLIQUE, SX_BASIS_BOTH, F, 0, 0);
    for (size_t i = 0; i < F; i++) {
        cr_assert_eq(set->pairs[0].partner_enc[i], (int32_t)i);
        cr_assert_eq(set->pairs[1].partner_dec[i], (int32_t)order[i]);
        cr_assert_eq(set->pairs[1].back_enc[order[i]], (int32_t)i);
        cr_assert_gt(set->pairs[1].margin[i], 0.0F);
    }
    sx_match_summary_free(s);
    sx_match_set_free(set);
}

/* --- input that cannot be matched --------------------------------------------------------------
 */

Test(match, refuses_what_does_not_fit)
{
    static const float w[6] = {1, 2, 3, 4, 5, 6}, bad[6] = {1, 2, NAN, 4, 5, 6};
    struct sx_match_input models[2] = {{w, w, 2, 3, "one"}, {w, w, 3, 2, "two"}};
    struct sx_match_set *set;
    struct sx_error err = {0};
    cr_assert_eq(sx_match_new(models, 1, &all_only, NULL, &set, &err), SX_ERR_USAGE);
    cr_assert_eq(sx_match_new(models, 2, &all_only, NULL, &set, &err), SX_ERR_SHAPE);
    cr_assert(strstr(err.message, "two") && strstr(err.message, "one"));
    models[1] = (struct sx_match_input){w, bad, 2, 3, "two"};
    cr_assert_eq(sx_match_new(models, 2, &with_alive, NULL, &set, &err), SX_ERR_NUMERIC);
    cr_assert(strstr(err.message, "two") && strstr(err.message, "decoder"), "%s", err.message);
    cr_assert_null(set);
}

Test(match, reports_progress_and_stops_when_cancelled)
{
    struct toy toy;
    toy_init(&toy);
    struct sx_match_set *set;
    struct sx_match_options options = {.alive_cut = 0.1, .orthogonality = true};
    struct sx_task task;
    sx_task_init(&task);
    cr_assert_eq(sx_match_new(toy.models, TOY_N, &options, &task, &set, NULL), SX_OK);
    cr_assert_eq(atomic_load(&task.done), atomic_load(&task.total));
    cr_assert_eq(set->models[0].orthogonality.rows, TOY_F);
    cr_assert_eq(set->models[1].orthogonality_alive.rows, TOY_F - 1);
    sx_match_set_free(set);
    sx_task_cancel(&task);
    cr_assert_eq(sx_match_new(toy.models, TOY_N, &options, &task, &set, NULL), SX_CANCELLED);
    cr_assert_null(set);
}
