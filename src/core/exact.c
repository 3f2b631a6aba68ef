#include "exact.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/core/similarity.h"

enum { KNOWN_BITS = 16 }; /* the table of known pairs stays in a second-level cache */

static void side_release(struct sx_exact_side *s)
{
    sx_free(s->unit);
    sx_free(s->scale);
    sx_free(s->support);
    sx_free(s->twin);
}

void sx_exact_release(struct sx_exact *x)
{
    side_release(&x->a);
    side_release(&x->b);
    sx_free(x->known_pair);
    sx_free(x->known_sim);
    *x = (struct sx_exact){0};
}

/* A row that has no entry left is similar to nothing: all its similarities are below 2^-31. */
static void find_support(struct sx_exact_side *s, size_t d, size_t words)
{
    for (size_t i = 0; i < s->n; i++) {
        const float *row = s->unit + i * d;
        uint64_t *bits = s->support + i * words, any = 0;
        for (size_t w = 0; w < words; w++) {
            size_t left = d - w * 64 < 64 ? d - w * 64 : 64;
            bits[w] = 0;
            for (size_t t = 0; t < left; t++)
                bits[w] |= (uint64_t)(row[w * 64 + t] != 0) << t;
            any |= bits[w];
        }
        if (!any)
            s->scale[i] = 0;
    }
}

/* --- twins -------------------------------------------------------------------------------------
 */

struct tagged {
    uint64_t tag;
    size_t row;
};

static int by_tag(const void *a, const void *b)
{
    const struct tagged *x = a, *y = b;
    if (x->tag != y->tag)
        return x->tag < y->tag ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static uint64_t tag_row(const float *row, size_t d)
{
    uint64_t tag = d;
    for (size_t t = 0; t < d; t += 2) {
        uint64_t bits = 0;
        memcpy(&bits, row + t, (t + 1 < d ? 2 : 1) * sizeof *row);
        tag = (tag ^ bits) * 0x9E3779B97F4A7C15U;
        tag ^= tag >> 32;
    }
    return tag;
}

/* Rows with the same tag lie together; a row that only shares the tag is left alone, which costs
 * time and nothing else. */
static bool find_twins(struct sx_exact_side *s, size_t d, bool *any)
{
    struct tagged *order = sx_alloc_big(s->n, sizeof *order);
    if (!order)
        return false;
    for (size_t i = 0; i < s->n; i++) {
        order[i] = (struct tagged){tag_row(s->raw + i * d, d), i};
        s->twin[i] = UINT32_MAX;
    }
    qsort(order, s->n, sizeof *order, by_tag);
    for (size_t at = 0, first = 0; at < s->n; at++) {
        if (order[at].tag != order[first].tag)
            first = at;
        size_t i = order[at].row, of = order[first].row;
        if (at == first || memcmp(s->raw + i * d, s->raw + of * d, d * sizeof *s->raw) != 0)
            continue;
        s->twin[i] = s->twin[of] = (uint32_t)of;
        *any = true;
    }
    sx_free(order);
    return true;
}

/* --- the whole ---------------------------------------------------------------------------------
 */

static enum sx_status side_init(struct sx_exact_side *s, const struct sx_exact *x, bool *any_twins,
                                const char *name, struct sx_error *err)
{
    s->unit = sx_alloc_big(s->n, x->d * sizeof *s->unit);
    s->scale = sx_alloc_big(s->n, sizeof *s->scale);
    s->support = sx_alloc_big(s->n, x->words * sizeof *s->support);
    s->twin = sx_alloc_big(s->n, sizeof *s->twin);
    if (!s->unit || !s->scale || !s->support || !s->twin)
        return sx_fail(err, SX_ERR_NOMEM, "no memory to match %zu rows of %zu", s->n, x->d);
    enum sx_status status = sx_unit_rows(s->raw, s->n, x->d, s->unit, s->scale, err);
    if (status != SX_OK)
        return sx_fail_prefix(err, status, "%s", name);
    find_support(s, x->d, x->words);
    if (!find_twins(s, x->d, any_twins))
        return sx_fail(err, SX_ERR_NOMEM, "no memory to match %zu rows of %zu", s->n, x->d);
    return SX_OK;
}

enum sx_status sx_exact_init(struct sx_exact *x, const float *a, size_t n, const float *b, size_t m,
                             size_t d, bool is_signed, const struct sx_task *task,
                             struct sx_error *err)
{
    bool any_twins = false;
    *x = (struct sx_exact){.d = d, .words = (d + 63) / 64, .is_signed = is_signed};
    x->a = (struct sx_exact_side){.raw = a, .n = n};
    x->b = (struct sx_exact_side){.raw = b, .n = m};
    enum sx_status status = side_init(&x->a, x, &any_twins, "first matrix", err);
    if (status == SX_OK && sx_task_is_cancelled(task))
        status = SX_CANCELLED;
    if (status == SX_OK)
        status = side_init(&x->b, x, &any_twins, "second matrix", err);
    if (status == SX_OK && any_twins) {
        x->known_pair = sx_alloc_big((size_t)1 << KNOWN_BITS, sizeof *x->known_pair);
        x->known_sim = sx_alloc_big((size_t)1 << KNOWN_BITS, sizeof *x->known_sim);
        if (!x->known_pair || !x->known_sim)
            status = sx_fail(err, SX_ERR_NOMEM, "no memory to match %zu x %zu rows", n, m);
        else
            memset(x->known_pair, 0xFF, sizeof *x->known_pair << KNOWN_BITS);
    }
    if (status != SX_OK)
        sx_exact_release(x);
    return status;
}

float sx_exact_similarity(struct sx_exact *x, size_t i, size_t j)
{
    double c =
        sx_row_cosine(x->a.raw + i * x->d, x->a.scale[i], x->b.raw + j * x->d, x->b.scale[j], x->d);
    if (isnan(c)) {
        x->changed = true;
        return 0;
    }
    return (float)(x->is_signed ? fmax(c, 0) : fabs(c));
}

/* What unit rows have below their support adds up to less than 2^-32 in a product. */
static bool are_apart(const struct sx_exact *x, size_t i, size_t j)
{
    const uint64_t *a = x->a.support + i * x->words, *b = x->b.support + j * x->words;
    for (size_t w = 0; w < x->words; w++)
        if (a[w] & b[w])
            return false;
    return true;
}

float sx_exact_weight(struct sx_exact *x, size_t i, size_t j)
{
    if (are_apart(x, i, j))
        return 0.0F;
    if (!x->known_pair || (x->a.twin[i] == UINT32_MAX && x->b.twin[j] == UINT32_MAX))
        return sx_exact_similarity(x, i, j);
    size_t r = x->a.twin[i] == UINT32_MAX ? i : x->a.twin[i];
    size_t c = x->b.twin[j] == UINT32_MAX ? j : x->b.twin[j];
    uint64_t pair = (uint64_t)r << 32 | (uint64_t)c;
    size_t slot = (size_t)((pair * 0x9E3779B97F4A7C15U) >> (64 - KNOWN_BITS));
    if (x->known_pair[slot] != pair) {
        x->known_pair[slot] = pair;
        x->known_sim[slot] = sx_exact_similarity(x, r, c);
    }
    return x->known_sim[slot];
}
