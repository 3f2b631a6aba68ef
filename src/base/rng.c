#include "sextant/base/rng.h"

#include <math.h>

static void mulhilo(uint32_t a, uint32_t b, uint32_t *hi, uint32_t *lo)
{
    uint64_t p = (uint64_t)a * b;
    *hi = (uint32_t)(p >> 32);
    *lo = (uint32_t)p;
}

void sx_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint32_t hi0, lo0, hi1, lo1;
        mulhilo(0xD2511F53u, c0, &hi0, &lo0);
        mulhilo(0xCD9E8D57u, c2, &hi1, &lo1);
        c0 = hi1 ^ c1 ^ k0;
        c1 = lo1;
        c2 = hi0 ^ c3 ^ k1;
        c3 = lo0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

struct sx_rng sx_rng_make(uint64_t seed, uint64_t stream)
{
    return (struct sx_rng){.key = seed, .stream = stream, .used = 4};
}

uint32_t sx_rng_u32(struct sx_rng *rng)
{
    if (rng->used >= 4) {
        const uint32_t counter[4] = {(uint32_t)rng->counter, (uint32_t)(rng->counter >> 32),
                                     (uint32_t)rng->stream, (uint32_t)(rng->stream >> 32)};
        const uint32_t key[2] = {(uint32_t)rng->key, (uint32_t)(rng->key >> 32)};
        sx_philox(counter, key, rng->block);
        rng->counter++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

static uint64_t next_u64(struct sx_rng *rng)
{
    uint64_t hi = sx_rng_u32(rng);
    return hi << 32 | sx_rng_u32(rng);
}

uint64_t sx_rng_below(struct sx_rng *rng, uint64_t n)
{
    uint64_t reject = (0 - n) % n; /* 2^64 mod n */
    uint64_t x;
    do
        x = next_u64(rng);
    while (x < reject);
    return x % n;
}

double sx_rng_uniform(struct sx_rng *rng)
{
    return (double)(next_u64(rng) >> 11) * 0x1p-53;
}

double sx_rng_normal(struct sx_rng *rng)
{
    const double two_pi = 6.283185307179586;
    double u = 1.0 - sx_rng_uniform(rng); /* (0,1] */
    double v = sx_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(two_pi * v);
}

void sx_rng_shuffle(struct sx_rng *rng, uint32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)sx_rng_below(rng, i);
        uint32_t t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}
