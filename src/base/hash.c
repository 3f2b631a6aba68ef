#include "sextant/base/hash.h"

#include <stdio.h>
#include <xxhash.h>

#include "sextant/base/alloc.h"

struct sx_hash {
    XXH3_state_t *state;
};

struct sx_hash *sx_hash_new(void)
{
    struct sx_hash *hash = sx_xmalloc(sizeof *hash);
    hash->state = XXH3_createState();
    SX_ASSERT(hash->state);
    XXH3_128bits_reset(hash->state);
    return hash;
}

void sx_hash_update(struct sx_hash *hash, const void *bytes, size_t len)
{
    XXH3_128bits_update(hash->state, bytes, len);
}

void sx_hash_finish(struct sx_hash *take_hash, char out[33])
{
    XXH128_hash_t h = XXH3_128bits_digest(take_hash->state);
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
    XXH3_freeState(take_hash->state);
    sx_free(take_hash);
}
