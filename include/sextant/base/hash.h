/* 128-bit content fingerprints (XXH3). The only user of xxhash. */
#ifndef SEXTANT_BASE_HASH_H
#define SEXTANT_BASE_HASH_H

#include <stddef.h>

struct sx_hash; /* streaming state */

struct sx_hash *sx_hash_new(void);
void sx_hash_update(struct sx_hash *hash, const void *bytes, size_t len);
/* Write 32 hexadecimal digits and a NUL into out[33], and free the state. */
void sx_hash_finish(struct sx_hash *take_hash, char out[33]);

#endif
