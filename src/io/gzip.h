/* Inflating and check sums. The only user of zlib. Private to io. */
#ifndef SEXTANT_IO_GZIP_H
#define SEXTANT_IO_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "sextant/base/status.h"

enum sx_deflate_kind { SX_DEFLATE_RAW, SX_DEFLATE_GZIP };

/* Go on from `crc` (0 to begin). */
uint32_t sx_crc32(uint32_t crc, const void *bytes, size_t n);

/* Whether `packed` bytes can expand to `unpacked`: asked before memory is taken. */
bool sx_can_expand(uint64_t packed, uint64_t unpacked);

/* Inflate `packed` bytes of `src` at `at` into out[n]. `whole`: the stream must end exactly there;
 * else the first n bytes are enough. */
enum sx_status sx_inflate(const struct sx_bytes *src, uint64_t at, uint64_t packed,
                          enum sx_deflate_kind kind, bool whole, void *out, size_t n,
                          struct sx_error *err) SX_MUST_CHECK;

/* A gzip file in pieces as they come. Several members one after another are one text, as for
 * gunzip. */
struct sx_gunzip;
enum sx_status sx_gunzip_new(struct sx_gunzip **out, struct sx_error *err) SX_MUST_CHECK;
void sx_gunzip_free(struct sx_gunzip *z); /* NULL is fine */
/* Unpack in[0..*n_in) into out[0..*n_out); both become what was used and what was made.
 * *complete: a member has ended and none has begun, so the file may end here. */
enum sx_status sx_gunzip_step(struct sx_gunzip *z, const char *label, const uint8_t *in,
                              size_t *n_in, uint8_t *out, size_t *n_out, bool *complete,
                              struct sx_error *err) SX_MUST_CHECK;

#endif
