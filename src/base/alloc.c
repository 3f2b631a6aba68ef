#include "sextant/base/alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* From HUGE_FROM on, blocks are offered to the system as large pages: matrices are read through
 * again and again, and small pages cost up to a third of the bandwidth. */
enum { BIG_ALIGNMENT = 64, HUGE_PAGE = 2 << 20, HUGE_FROM = 2 * HUGE_PAGE };

static void *or_die(void *p)
{
    if (!p) {
        fputs("sextant: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *sx_xmalloc(size_t size)
{
    return or_die(malloc(size ? size : 1));
}

void *sx_xcalloc(size_t count, size_t size)
{
    return or_die(calloc(count ? count : 1, size ? size : 1));
}

void *sx_xrealloc(void *p, size_t size)
{
    return or_die(realloc(p, size ? size : 1));
}

char *sx_xstrdup(const char *s)
{
    return s ? sx_xstrndup(s, strlen(s)) : NULL;
}

char *sx_xstrndup(const char *s, size_t len)
{
    char *copy = sx_xmalloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *sx_xasprintf(const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    SX_ASSERT(len >= 0);
    char *out = sx_xmalloc((size_t)len + 1);
    vsnprintf(out, (size_t)len + 1, fmt, again);
    va_end(again);
    return out;
}

void sx_free(void *p)
{
    free(p);
}

bool sx_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static bool injected_failure(void)
{
    static atomic_long calls;
    const char *n = getenv("SX_FAIL_ALLOC");
    return n && atomic_fetch_add(&calls, 1) + 1 == strtol(n, NULL, 10);
}

void *sx_alloc_big(size_t count, size_t size)
{
    size_t bytes;
    if (!sx_mul_size(count, size, &bytes) || bytes > SIZE_MAX - HUGE_PAGE || injected_failure())
        return NULL;
    const size_t alignment = bytes < HUGE_FROM ? BIG_ALIGNMENT : HUGE_PAGE;
    bytes = (bytes + BIG_ALIGNMENT - 1) / BIG_ALIGNMENT * BIG_ALIGNMENT;
    void *p = NULL;
    if (posix_memalign(&p, alignment, bytes ? bytes : BIG_ALIGNMENT) != 0)
        return NULL;
    if (bytes >= HUGE_FROM)
        (void)madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a wish */
    return p;
}

void *sx_calloc_big(size_t count, size_t size)
{
    void *p = sx_alloc_big(count, size);
    if (p)
        memset(p, 0, count * size);
    return p;
}
