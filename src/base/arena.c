#include "sextant/base/arena.h"

#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"

enum { BLOCK_SIZE = 64 * 1024, ALIGNMENT = 16 };

struct block {
    struct block *next;
    size_t used;
    size_t size;
    _Alignas(ALIGNMENT) char bytes[];
};

struct sx_arena {
    struct block *blocks; /* newest first */
};

struct sx_arena *sx_arena_new(void)
{
    return sx_xcalloc(1, sizeof(struct sx_arena));
}

void sx_arena_clear(struct sx_arena *arena)
{
    while (arena->blocks) {
        struct block *next = arena->blocks->next;
        sx_free(arena->blocks);
        arena->blocks = next;
    }
}

void sx_arena_free(struct sx_arena *arena)
{
    if (!arena)
        return;
    sx_arena_clear(arena);
    sx_free(arena);
}

void *sx_arena_alloc(struct sx_arena *arena, size_t size)
{
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = sx_xmalloc(sizeof *block + room);
        *block = (struct block){.next = arena->blocks, .size = room};
        arena->blocks = block;
    }
    void *p = block->bytes + block->used;
    block->used += size;
    memset(p, 0, size);
    return p;
}

char *sx_arena_strdup(struct sx_arena *arena, const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(sx_arena_alloc(arena, size), s, size);
}

char *sx_arena_printf(struct sx_arena *arena, const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    SX_ASSERT(len >= 0);
    char *out = sx_arena_alloc(arena, (size_t)len + 1);
    vsnprintf(out, (size_t)len + 1, fmt, again);
    va_end(again);
    return out;
}
