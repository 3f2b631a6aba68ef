/* Keys are kept as attention reads them: transposed, [layer, head, d, capacity]; values as they
 * come, [layer, capacity, D]. */
#include <inttypes.h>
#include <string.h>

#include "forward_private.h"
#include "sextant/base/alloc.h"

/* First size; doubled from there. */
enum { FIRST_LENGTH = 256 };

struct sx_cache {
    size_t layers, heads, d_head;
    size_t length;
    size_t held;     /* tokens that fit now; a multiple of SX_ROW_ALIGN */
    size_t capacity; /* tokens that may fit */
    float *keys, *values;
};

struct sx_cache *sx_cache_new(const struct sx_model *model, size_t capacity)
{
    const struct sx_model_info *info = sx_model_info(model);
    struct sx_cache *cache = sx_xcalloc(1, sizeof *cache);
    cache->layers = info->n_layers;
    cache->heads = info->n_heads;
    cache->d_head = info->d_head;
    cache->capacity = capacity;
    return cache;
}

void sx_cache_free(struct sx_cache *cache)
{
    if (!cache)
        return;
    sx_free(cache->keys);
    sx_free(cache->values);
    sx_free(cache);
}

size_t sx_cache_length(const struct sx_cache *cache)
{
    return cache->length;
}

void sx_cache_truncate(struct sx_cache *cache, size_t length)
{
    if (length < cache->length)
        cache->length = length;
}

void sx_cache_commit(struct sx_cache *cache, size_t length)
{
    SX_ASSERT(length <= cache->held);
    cache->length = length;
}

static void move(struct sx_cache *cache, size_t held, float *keys, float *values)
{
    const size_t D = cache->heads * cache->d_head;
    for (size_t row = 0; cache->length && row < cache->layers * D; row++)
        memcpy(keys + row * held, cache->keys + row * cache->held, cache->length * sizeof *keys);
    for (size_t l = 0; cache->length && l < cache->layers; l++)
        memcpy(values + l * held * D, cache->values + l * cache->held * D,
               cache->length * D * sizeof *values);
}

enum sx_status sx_cache_reserve(struct sx_cache *cache, const struct sx_model_info *info,
                                size_t length, struct sx_error *err)
{
    if (cache->layers != info->n_layers || cache->heads != info->n_heads ||
        cache->d_head != info->d_head)
        return sx_fail(err, SX_ERR_USAGE, "the cache was made for a model of another shape");
    if (length > cache->capacity)
        return sx_fail(err, SX_ERR_USAGE, "%zu tokens do not fit into a cache for %zu", length,
                       cache->capacity);
    if (length <= cache->held)
        return SX_OK;
    size_t held = cache->held ? cache->held : FIRST_LENGTH;
    while (held < length)
        held *= 2;
    held = held < cache->capacity ? held : cache->capacity;
    held = (held + SX_ROW_ALIGN - 1) / SX_ROW_ALIGN * SX_ROW_ALIGN;
    const size_t token = cache->layers * cache->heads * cache->d_head;
    float *keys = sx_alloc_big(held, token * sizeof *keys);
    float *values = sx_alloc_big(held, token * sizeof *values);
    if (!keys || !values) {
        sx_free(keys);
        sx_free(values);
        return sx_fail(err, SX_ERR_NOMEM, "out of memory for the keys and values of %zu tokens",
                       held);
    }
    move(cache, held, keys, values);
    sx_free(cache->keys);
    sx_free(cache->values);
    cache->keys = keys;
    cache->values = values;
    cache->held = held;
    return SX_OK;
}

float *sx_cache_keys(const struct sx_cache *cache, size_t layer, size_t head, size_t *ld)
{
    *ld = cache->held;
    return cache->keys + (layer * cache->heads + head) * cache->d_head * cache->held;
}

float *sx_cache_values(const struct sx_cache *cache, size_t layer)
{
    return cache->values + layer * cache->held * cache->heads * cache->d_head;
}
