#include "sextant/base/rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* Known answers published with Random123 (philox4x32, 10 rounds). */
Test(rng, philox_known_answers)
{
    const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        sx_philox(cases[i].counter, cases[i].key, out);
        cr_expect_arr_eq(out, cases[i].out, sizeof out, "case %zu", i);
    }
}

Test(rng, streams_and_seeds_differ_and_repeat)
{
    struct sx_rng a = sx_rng_make(1, 0), b = sx_rng_make(1, 0);
    struct sx_rng c = sx_rng_make(1, 1), d = sx_rng_make(2, 0);
    int same_c = 0, same_d = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t x = sx_rng_u32(&a);
        cr_assert_eq(x, sx_rng_u32(&b));
        same_c += x == sx_rng_u32(&c);
        same_d += x == sx_rng_u32(&d);
    }
    cr_expect_lt(same_c, 3);
    cr_expect_lt(same_d, 3);
}

Test(rng, state_restores)
{
    struct sx_rng a = sx_rng_make(7, 3);
    for (int i = 0; i < 5; i++)
        sx_rng_u32(&a);
    struct sx_rng saved = a;
    uint32_t first = sx_rng_u32(&a);
    cr_expect_eq(first, sx_rng_u32(&saved));
}

Test(rng, below_is_uniform_and_in_range)
{
    struct sx_rng r = sx_rng_make(3, 0);
    enum { N = 60000, SIDES = 6 };
    int counts[SIDES] = {0};
    for (int i = 0; i < N; i++)
        counts[sx_rng_below(&r, SIDES)]++;
    double chi2 = 0;
    for (int i = 0; i < SIDES; i++)
        chi2 += pow(counts[i] - N / (double)SIDES, 2) / (N / (double)SIDES);
    cr_expect_lt(chi2, 20.5, "chi2(5) = %g; 20.5 is p = 0.001", chi2);
}

Test(rng, normal_moments)
{
    struct sx_rng r = sx_rng_make(11, 0);
    enum { N = 200000 };
    double sum = 0, square = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        double x = sx_rng_normal(&r);
        sum += x;
        square += x * x;
        fourth += x * x * x * x;
    }
    cr_expect_float_eq(sum / N, 0, 0.01);
    cr_expect_float_eq(square / N, 1, 0.015);
    cr_expect_float_eq(fourth / N, 3, 0.12);
}

Test(rng, shuffle_is_a_permutation)
{
    struct sx_rng r = sx_rng_make(5, 0);
    uint32_t items[100];
    int moved = 0;
    char seen[100] = {0};
    for (uint32_t i = 0; i < 100; i++)
        items[i] = i;
    sx_rng_shuffle(&r, items, 100);
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_lt(items[i], 100);
        cr_expect_eq(seen[items[i]]++, 0);
        moved += items[i] != i;
    }
    cr_expect_gt(moved, 80);
}
