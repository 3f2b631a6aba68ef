/* A gang of threads that run one function together, with barriers inside. Made for loops of
 * millisecond steps: members spin briefly before they sleep, so that a barrier costs about a
 * microsecond, and the split of the work depends on the member's number alone, so that results do
 * not depend on timing.
 *
 * Inside a gang call the matrix products with the BLAS library set to one thread
 * (sx_blas_set_threads(1)): then every member may call them at once. */
#ifndef SEXTANT_CORE_GANG_H
#define SEXTANT_CORE_GANG_H

#include <stddef.h>

struct sx_gang;

enum { SX_GANG_MAX = 64 };

/* `threads` members, the caller of sx_gang_run included; 0: as many as the machine has cores.
 * When the system gives fewer threads the gang is smaller (sx_gang_size). */
struct sx_gang *sx_gang_new(int threads);
void sx_gang_free(struct sx_gang *gang); /* NULL is fine */
int sx_gang_size(const struct sx_gang *gang);

/* Call fn(arg, gang, member) once for every member in [0,size); returns when all have. */
typedef void (*sx_gang_fn)(void *arg, struct sx_gang *gang, int member);
void sx_gang_run(struct sx_gang *gang, sx_gang_fn fn, void *arg);

/* All members wait here for each other; only inside fn. What was written before is seen after. */
void sx_gang_barrier(struct sx_gang *gang);

/* The part [*first, *last) of n items that belongs to a member. */
void sx_gang_share(const struct sx_gang *gang, int member, size_t n, size_t *first, size_t *last);

#endif
