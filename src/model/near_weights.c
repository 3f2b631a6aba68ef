#include "near_weights.h"

#include <string.h>
#include <unistd.h>

#include "sextant/base/alloc.h"

/* A copy costs about two passes; a single short input should not pay for it. */
enum { WORTH_IT = 4, LINE = 64 };

static size_t stored_bytes(const struct sx_weight *w)
{
    size_t bytes = w && w->stored ? w->out * w->in * sx_storage_size(w->storage) : 0;
    return (bytes + LINE - 1) / LINE * LINE;
}

static bool fits(size_t bytes)
{
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 && bytes / (size_t)size <= (size_t)pages / 4;
}

static bool copy(unsigned char *block, const void **stored, const struct sx_weight *const *weights,
                 size_t n, const struct sx_task *task)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (task && sx_task_is_cancelled(task))
            return false;
        if (!stored_bytes(weights[i]))
            continue;
        const struct sx_weight *w = weights[i];
        memcpy(block + at, w->stored, w->out * w->in * sx_storage_size(w->storage));
        stored[i] = block + at;
        at += stored_bytes(w);
    }
    return true;
}

void sx_near_weights_count(struct sx_near_weights *near, const struct sx_weight *const *weights,
                           size_t n, const struct sx_task *task)
{
    if (near->block || ++near->passes < WORTH_IT)
        return;
    near->passes = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += stored_bytes(weights[i]);
    unsigned char *block = fits(bytes) ? sx_alloc_big(bytes, 1) : NULL;
    if (!block)
        return;
    const void **stored = sx_xcalloc(n, sizeof *stored);
    if (copy(block, stored, weights, n, task)) {
        near->block = block;
        near->stored = stored;
        return;
    }
    sx_free(block);
    sx_free(stored);
}

void sx_near_weights_release(struct sx_near_weights *near)
{
    sx_free(near->block);
    sx_free(near->stored);
    *near = (struct sx_near_weights){0};
}
