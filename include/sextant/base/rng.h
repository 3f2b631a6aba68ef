/* Counter-based random numbers (Philox4x32-10, Salmon et al. 2011). A (seed, stream) pair names an
 * independent sequence; the state is two plain words, so a checkpoint can store and restore it. */
#ifndef SEXTANT_BASE_RNG_H
#define SEXTANT_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct sx_rng {
    uint64_t key;     /* seed */
    uint64_t stream;  /* high half of the counter */
    uint64_t counter; /* low half: the next block */
    uint32_t block[4];
    uint32_t used; /* words of block handed out; 4 = empty */
};

/* One block of Philox4x32-10, for reference tests. */
void sx_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

struct sx_rng sx_rng_make(uint64_t seed, uint64_t stream);
uint32_t sx_rng_u32(struct sx_rng *rng);
uint64_t sx_rng_below(struct sx_rng *rng, uint64_t n); /* uniform in [0,n), unbiased; n > 0 */
double sx_rng_uniform(struct sx_rng *rng);             /* [0,1), 53 bits */
double sx_rng_normal(struct sx_rng *rng);              /* Box-Muller, one value a call */
void sx_rng_shuffle(struct sx_rng *rng, uint32_t *items, size_t n);

#endif
