/* Bump allocator: many small things with one lifetime. Pointers stay valid until clear/free. */
#ifndef SEXTANT_BASE_ARENA_H
#define SEXTANT_BASE_ARENA_H

#include <stddef.h>

#include "sextant/base/status.h"

struct sx_arena;

struct sx_arena *sx_arena_new(void);
void sx_arena_free(struct sx_arena *arena); /* NULL is fine */
void sx_arena_clear(struct sx_arena *arena);

void *sx_arena_alloc(struct sx_arena *arena, size_t size); /* zeroed, 16-byte aligned */
char *sx_arena_strdup(struct sx_arena *arena, const char *s);
char *sx_arena_printf(struct sx_arena *arena, const char *fmt, ...) SX_PRINTF(2, 3);

#endif
