/* The pair of the lowest rank is merged first, the leftmost among equals. Symbols are a linked list
 * in an array; possible merges wait in a heap and are checked when their turn comes, as in Hugging
 * Face's tokenizers, whose answer must be met exactly: a waiting merge is still good when the
 * pair at its place makes the same token, even if by another rule. */
#include "bpe_merge.h"

#include "sextant/base/alloc.h"

enum { MOST_PROBES = 1024 };

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static size_t place_of(const struct sx_merges *merges, uint64_t pair)
{
    pair *= 0x9E3779B97F4A7C15u;
    return (size_t)(pair ^ pair >> 32) & merges->mask;
}

void sx_merges_release(struct sx_merges *merges)
{
    sx_free(merges->places);
    *merges = (struct sx_merges){0};
}

void sx_merges_reserve(struct sx_merges *merges, size_t n)
{
    size_t places = 16;
    while (places < 2 * n)
        places *= 2;
    merges->mask = places - 1;
    merges->places = sx_xmalloc(places * sizeof *merges->places);
    for (size_t i = 0; i < places; i++)
        merges->places[i].id = -1;
}

bool sx_merges_set(struct sx_merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
    const uint64_t pair = pair_of(left, right);
    size_t at = place_of(merges, pair);
    for (int probe = 0; probe < MOST_PROBES; probe++, at = (at + 1) & merges->mask) {
        struct sx_merge *place = &merges->places[at];
        if (place->id >= 0 && place->pair != pair)
            continue;
        *place = (struct sx_merge){pair, rank, id};
        return true;
    }
    return false;
}

static const struct sx_merge *find(const struct sx_merges *merges, int32_t left, int32_t right)
{
    const uint64_t pair = pair_of(left, right);
    size_t at = place_of(merges, pair);
    for (int probe = 0; probe < MOST_PROBES; probe++, at = (at + 1) & merges->mask) {
        const struct sx_merge *place = &merges->places[at];
        if (place->id < 0)
            return NULL;
        if (place->pair == pair)
            return place;
    }
    return NULL;
}

/* --- the heap -----------------------------------------------------------------------------------
 */

struct waiting {
    uint64_t order; /* rank, then place in the piece */
    int32_t id;
};

struct queue {
    struct waiting *items; /* a binary heap, the lowest first */
    size_t n;
};

static uint32_t place_in_piece(const struct waiting *w)
{
    return (uint32_t)w->order;
}

static void sift_up(struct queue *q, size_t i, struct waiting w)
{
    while (i > 0 && w.order < q->items[(i - 1) / 2].order) {
        q->items[i] = q->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    q->items[i] = w;
}

static void sift_down(struct queue *q, size_t i, struct waiting w)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->n)
            break;
        if (child + 1 < q->n && q->items[child + 1].order < q->items[child].order)
            child++;
        if (w.order <= q->items[child].order)
            break;
        q->items[i] = q->items[child];
        i = child;
    }
    q->items[i] = w;
}

static struct waiting pop(struct queue *q)
{
    const struct waiting top = q->items[0];
    const struct waiting last = q->items[--q->n];
    if (q->n)
        sift_down(q, 0, last);
    return top;
}

/* --- one piece ----------------------------------------------------------------------------------
 */

struct symbol {
    int32_t id;         /* -1: merged into another */
    int32_t prev, next; /* -1: none */
};

static void consider(const struct sx_merges *merges, const struct symbol *symbols, int32_t at,
                     struct queue *q)
{
    if (at < 0 || symbols[at].next < 0)
        return;
    const struct sx_merge *merge = find(merges, symbols[at].id, symbols[symbols[at].next].id);
    if (merge) {
        const struct waiting w = {(uint64_t)merge->rank << 32 | (uint32_t)at, merge->id};
        sift_up(q, q->n++, w);
    }
}

static void merge_next(struct symbol *symbols, int32_t at, int32_t id)
{
    struct symbol *left = &symbols[at];
    struct symbol *right = &symbols[left->next];
    left->id = id;
    left->next = right->next;
    right->id = -1;
    if (left->next >= 0)
        symbols[left->next].prev = at;
}

static void merge_all(const struct sx_merges *merges, struct symbol *symbols, struct queue *q)
{
    while (q->n) {
        const struct waiting top = pop(q);
        const int32_t at = (int32_t)place_in_piece(&top);
        const struct symbol *left = &symbols[at];
        if (left->id < 0 || left->next < 0)
            continue;
        const struct sx_merge *now = find(merges, left->id, symbols[left->next].id);
        if (!now || now->id != top.id)
            continue;
        merge_next(symbols, at, top.id);
        consider(merges, symbols, left->prev, q);
        consider(merges, symbols, at, q);
    }
}

void sx_merge_scratch_release(struct sx_merge_scratch *scratch)
{
    sx_free(scratch->symbols);
    sx_free(scratch->queue);
    *scratch = (struct sx_merge_scratch){0};
}

static enum sx_status reserve(struct sx_merge_scratch *scratch, size_t n, struct sx_error *err)
{
    enum { LEAST = 64 };
    if (n <= scratch->room)
        return SX_OK;
    sx_merge_scratch_release(scratch);
    const size_t room = n < LEAST ? LEAST : n;
    scratch->symbols = sx_alloc_big(room, sizeof(struct symbol));
    /* Every pair waits once, and every merge makes two new pairs. */
    scratch->queue = sx_alloc_big(room, 3 * sizeof(struct waiting));
    if (!scratch->symbols || !scratch->queue)
        return sx_fail(err, SX_ERR_NOMEM, "no memory to tokenise a word of %zu bytes", n);
    scratch->room = room;
    return SX_OK;
}

enum sx_status sx_merge_bytes(const struct sx_merges *merges, const int32_t *byte_ids,
                              const char *bytes, size_t n, struct sx_merge_scratch *scratch,
                              struct sx_id_list *out, struct sx_error *err)
{
    SX_TRY(reserve(scratch, n, err));
    struct symbol *symbols = scratch->symbols;
    struct queue q = {scratch->queue, 0};
    for (size_t i = 0; i < n; i++)
        symbols[i] = (struct symbol){byte_ids[(unsigned char)bytes[i]], (int32_t)i - 1,
                                     i + 1 < n ? (int32_t)i + 1 : -1};
    for (size_t i = 0; i < n; i++)
        consider(merges, symbols, (int32_t)i, &q);
    merge_all(merges, symbols, &q);
    for (int32_t at = n ? 0 : -1; at >= 0; at = symbols[at].next)
        sx_id_list_push(out, symbols[at].id);
    return SX_OK;
}
