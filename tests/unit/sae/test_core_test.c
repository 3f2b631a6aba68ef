#include <criterion/criterion.h>
#include <math.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/sae/match.h"

enum { N = 300, D = 9, F = 20, CORE = 5 }; /* N: more rows than a block */

static float x[N * D], W_enc[F * D], W_dec[F * D], b_enc[F], b_dec[D], align[F];
static struct sx_core_relu relu = {W_enc, b_enc, b_dec, F, D};

static struct sx_core_input input(void)
{
    struct sx_rng rng = sx_rng_make(21, 0);
    for (size_t i = 0; i < N * D; i++)
        x[i] = (float)sx_rng_normal(&rng);
    for (size_t i = 0; i < F * D; i++) {
        W_enc[i] = (float)sx_rng_normal(&rng);
        W_dec[i] = (float)sx_rng_normal(&rng);
    }
    for (size_t j = 0; j < F; j++)
        b_enc[j] = (float)sx_rng_normal(&rng);
    for (size_t i = 0; i < D; i++)
        b_dec[i] = (float)sx_rng_normal(&rng);
    struct sx_match_input model = {W_enc, W_dec, F, D, NULL};
    sx_match_alignment(&model, align);
    return (struct sx_core_input){.x = x,
                                  .rows = N,
                                  .F = F,
                                  .D = D,
                                  .W_dec = W_dec,
                                  .b_dec = b_dec,
                                  .align = align,
                                  .n = CORE,
                                  .seed = 4,
                                  .encode = sx_core_encode_relu,
                                  .user = &relu};
}

/* The definition: latents one by one, chosen or not. */
static double plain_mse(size_t row, const bool *chosen)
{
    double sum = 0;
    for (size_t i = 0; i < D; i++) {
        double out = (double)b_dec[i];
        for (size_t j = 0; j < F; j++) {
            double z = (double)b_enc[j];
            for (size_t t = 0; t < D; t++)
                z += (double)W_enc[j * D + t] * ((double)x[row * D + t] - (double)b_dec[t]);
            out += chosen[j] && z > 0 ? z * (double)W_dec[j * D + i] : 0;
        }
        out -= (double)x[row * D + i];
        sum += out * out;
    }
    return sum / D;
}

Test(core_test, equals_the_definition_for_every_selection)
{
    struct sx_core_input in = input();
    struct sx_core_test test;
    cr_assert_eq(sx_core_test_run(&in, NULL, &test, NULL), SX_OK);
    bool chosen[SX_N_CORE_SELECTIONS][F] = {0};
    for (size_t j = 0; j < F; j++) {
        size_t larger = 0;
        for (size_t o = 0; o < F; o++)
            larger += fabsf(align[o]) > fabsf(align[j]);
        chosen[SX_CORE_ALL][j] = true;
        chosen[SX_CORE_TOP][j] = larger < CORE;
        chosen[SX_CORE_WITHOUT_TOP][j] = larger >= CORE;
        if (larger < CORE)
            cr_assert_eq(test.top[larger], j);
    }
    for (size_t t = 0; t < CORE; t++) {
        cr_assert_not(chosen[SX_CORE_RANDOM][test.random[t]], "a latent was drawn twice");
        chosen[SX_CORE_RANDOM][test.random[t]] = true;
    }
    for (int s = 0; s < SX_N_CORE_SELECTIONS; s++) {
        double sum = 0;
        for (size_t r = 0; r < N; r++) {
            double want = plain_mse(r, chosen[s]);
            cr_assert_float_eq(test.mse[s][r], want, 1e-4 * (1 + want), "%d %zu", s, r);
            sum += want;
        }
        cr_assert_float_eq(test.box[s].mean, sum / N, 1e-3 * sum / N);
        cr_assert(test.box[s].whisker_lo <= test.box[s].q1 && test.box[s].q1 < test.box[s].median &&
                  test.box[s].median < test.box[s].q3 && test.box[s].q3 <= test.box[s].whisker_hi);
    }
    sx_core_test_release(&test);
}

Test(core_test, draws_the_same_random_latents_for_every_model)
{
    struct sx_core_input in = input();
    struct sx_core_test one, two;
    cr_assert_eq(sx_core_test_run(&in, NULL, &one, NULL), SX_OK);
    for (size_t j = 0; j < F; j++)
        align[j] = -align[(j + 3) % F] / 2;
    cr_assert_eq(sx_core_test_run(&in, NULL, &two, NULL), SX_OK);
    cr_assert_arr_eq(one.random, two.random, CORE * sizeof *one.random);
    sx_core_test_release(&one);
    sx_core_test_release(&two);
}

Test(core_test, ties_in_alignment_are_taken_in_order)
{
    struct sx_core_input in = input();
    struct sx_core_test test;
    for (size_t j = 0; j < F; j++)
        align[j] = j == 7 ? -0.9F : 0.5F;
    cr_assert_eq(sx_core_test_run(&in, NULL, &test, NULL), SX_OK);
    static const uint32_t want[CORE] = {7, 0, 1, 2, 3};
    cr_assert_arr_eq(test.top, want, sizeof want);
    sx_core_test_release(&test);
}

Test(core_test, refuses_a_core_larger_than_the_dictionary)
{
    struct sx_core_input in = input();
    struct sx_core_test test;
    struct sx_error err = {0};
    in.n = F + 1;
    cr_assert_eq(sx_core_test_run(&in, NULL, &test, &err), SX_ERR_USAGE);
    cr_assert_null(test.top);
}

Test(core_test, stops_when_cancelled)
{
    struct sx_core_input in = input();
    struct sx_core_test test;
    struct sx_task task;
    sx_task_init(&task);
    sx_task_cancel(&task);
    cr_assert_eq(sx_core_test_run(&in, &task, &test, NULL), SX_CANCELLED);
    cr_assert_null(test.mse[0]);
}
