/* A terminal in memory: a queue of keys and a copy of the last screen. */
#include "sextant/tui/term.h"

#include <string.h>

#include "sextant/base/alloc.h"
#include "term_ops.h"

struct mem_term {
    struct sx_term base;
    int w, h;
    struct sx_key *key; /* queue: [at, n) */
    size_t at, n, capacity;
    struct sx_screen *shown;
    char *copied;
};

static struct mem_term *mem_of(struct sx_term *term)
{
    return (struct mem_term *)term;
}

static const struct mem_term *mem_of_const(const struct sx_term *term)
{
    return (const struct mem_term *)term;
}

static void mem_close(struct sx_term *term)
{
    struct mem_term *mem = mem_of(term);
    sx_screen_free(mem->shown);
    sx_free(mem->copied);
    sx_free(mem->key);
    sx_free(mem);
}

static void mem_size(const struct sx_term *term, int *w, int *h)
{
    *w = mem_of_const(term)->w;
    *h = mem_of_const(term)->h;
}

static int mem_fds(const struct sx_term *term, int fds[SX_TERM_FDS])
{
    (void)term;
    (void)fds;
    return 0;
}

static bool mem_read(struct sx_term *term, struct sx_key *key)
{
    struct mem_term *mem = mem_of(term);
    if (mem->at == mem->n)
        return false;
    *key = mem->key[mem->at++];
    return true;
}

static const char *mem_paste(const struct sx_term *term)
{
    (void)term;
    return "";
}

static void mem_flush(struct sx_term *term, const struct sx_screen *screen,
                      const struct sx_theme *theme)
{
    struct mem_term *mem = mem_of(term);
    (void)theme;
    if (!mem->shown)
        mem->shown = sx_screen_new(screen->w, screen->h, screen->charset, screen->depth);
    if (mem->shown->w != screen->w || mem->shown->h != screen->h)
        sx_screen_resize(mem->shown, screen->w, screen->h);
    struct sx_cell *cells = mem->shown->cells;
    memcpy(cells, screen->cells, (size_t)screen->w * (size_t)screen->h * sizeof *cells);
    *mem->shown = *screen;
    mem->shown->cells = cells;
}

static void mem_nothing(struct sx_term *term)
{
    (void)term;
}

static bool mem_copy(struct sx_term *term, const char *text)
{
    struct mem_term *mem = mem_of(term);
    sx_free(mem->copied);
    mem->copied = sx_xstrdup(text);
    return true;
}

static void mem_set_mouse(struct sx_term *term, bool on)
{
    (void)term;
    (void)on;
}

static const struct sx_term_ops mem_ops = {
    .close = mem_close,
    .size = mem_size,
    .fds = mem_fds,
    .read = mem_read,
    .paste = mem_paste,
    .flush = mem_flush,
    .redraw = mem_nothing,
    .suspend = mem_nothing,
    .copy = mem_copy,
    .set_mouse = mem_set_mouse,
};

struct sx_term *sx_term_new_memory(int w, int h, enum sx_charset charset, enum sx_depth depth)
{
    struct mem_term *mem = sx_xcalloc(1, sizeof *mem);
    mem->base = (struct sx_term){&mem_ops, charset, depth};
    mem->w = w;
    mem->h = h;
    return &mem->base;
}

void sx_term_memory_push(struct sx_term *term, struct sx_key key)
{
    struct mem_term *mem = mem_of(term);
    SX_ASSERT(term->ops == &mem_ops);
    SX_GROW(mem->key, mem->capacity, mem->n + 1);
    mem->key[mem->n++] = key;
}

void sx_term_memory_resize(struct sx_term *term, int w, int h)
{
    struct mem_term *mem = mem_of(term);
    mem->w = w;
    mem->h = h;
    sx_term_memory_push(term, (struct sx_key){.code = SX_KEY_RESIZE, .x = w, .y = h});
}

const struct sx_screen *sx_term_memory_screen(const struct sx_term *term)
{
    SX_ASSERT(term->ops == &mem_ops);
    return mem_of_const(term)->shown;
}

const char *sx_term_memory_copied(const struct sx_term *term)
{
    SX_ASSERT(term->ops == &mem_ops);
    return mem_of_const(term)->copied ? mem_of_const(term)->copied : "";
}
