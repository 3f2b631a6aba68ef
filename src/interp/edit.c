#include "sextant/interp/edit.h"

#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

void sx_edit_release(struct sx_edit *edit)
{
    sx_free(edit->ids);
    sx_free(edit->positions);
    *edit = (struct sx_edit){0};
}

struct sx_edit sx_edit_copy(const struct sx_edit *edit)
{
    struct sx_edit out = *edit;
    out.ids = sx_xcalloc(edit->n, sizeof *out.ids);
    memcpy(out.ids, edit->ids, edit->n * sizeof *out.ids);
    if (edit->positions) {
        out.positions = sx_xcalloc(edit->n, sizeof *out.positions);
        memcpy(out.positions, edit->positions, edit->n * sizeof *out.positions);
    }
    return out;
}

enum sx_status sx_edit_mask(const int32_t *ids, size_t n, size_t residue, struct sx_edit *out,
                            struct sx_error *err)
{
    if (n < 3 || ids[0] != SX_ESM_CLS || ids[n - 1] != SX_ESM_EOS)
        return sx_fail(err, SX_ERR_USAGE,
                       "a sequence of <cls>, at least one residue and <eos> is needed");
    if (residue < 1 || residue > n - 2)
        return sx_fail(err, SX_ERR_USAGE, "there is no residue %zu among %zu", residue, n - 2);
    const struct sx_edit from = {.ids = (int32_t *)(uintptr_t)ids, .n = n, .token = residue};
    *out = sx_edit_copy(&from);
    out->ids[residue] = SX_ESM_MASK;
    return SX_OK;
}

static void no_positions_yet(const struct sx_edit *edit)
{
    SX_ASSERT(!edit->positions); /* lengths change first */
}

void sx_edit_prepend(struct sx_edit *edit, const int32_t *ids, size_t n)
{
    no_positions_yet(edit);
    int32_t *all = sx_xcalloc(edit->n + n, sizeof *all);
    all[0] = edit->ids[0];
    if (n > 0)
        memcpy(all + 1, ids, n * sizeof *all);
    memcpy(all + 1 + n, edit->ids + 1, (edit->n - 1) * sizeof *all);
    sx_free(edit->ids);
    edit->ids = all;
    edit->n += n;
    edit->token += n;
}

static void remove_tokens(struct sx_edit *edit, size_t first, size_t n)
{
    memmove(edit->ids + first, edit->ids + first + n, (edit->n - first - n) * sizeof *edit->ids);
    edit->n -= n;
}

enum sx_status sx_edit_delete_first(struct sx_edit *edit, size_t k, struct sx_error *err)
{
    no_positions_yet(edit);
    if (edit->token <= k)
        return sx_fail(err, SX_ERR_USAGE,
                       "the mask is residue %zu: it cannot go with the first %zu", edit->token, k);
    remove_tokens(edit, 1, k);
    edit->token -= k;
    return SX_OK;
}

enum sx_status sx_edit_truncate(struct sx_edit *edit, size_t k, struct sx_error *err)
{
    no_positions_yet(edit);
    if (edit->token > k)
        return sx_fail(err, SX_ERR_USAGE, "the mask is residue %zu, behind the first %zu",
                       edit->token, k);
    if (k < edit->n - 2)
        remove_tokens(edit, 1 + k, edit->n - 2 - k);
    return SX_OK;
}

/* Tokens that are neither the mask nor <cls> and <eos>. */
static size_t others(const struct sx_edit *edit, uint32_t *list)
{
    size_t n = 0;
    for (size_t t = 1; t + 1 < edit->n; t++)
        if (t != edit->token)
            list[n++] = (uint32_t)t;
    return n;
}

void sx_edit_shuffle(struct sx_edit *edit, uint64_t seed)
{
    uint32_t *place = sx_xcalloc(edit->n, sizeof *place);
    int32_t *residue = sx_xcalloc(edit->n, sizeof *residue);
    struct sx_rng rng = sx_rng_make(seed, 1);
    const size_t n = others(edit, place);
    for (size_t i = 0; i < n; i++)
        residue[i] = edit->ids[place[i]];
    uint32_t *order = sx_xcalloc(edit->n, sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    sx_rng_shuffle(&rng, order, n);
    for (size_t i = 0; i < n; i++)
        edit->ids[place[i]] = residue[order[i]];
    sx_free(order);
    sx_free(residue);
    sx_free(place);
}

void sx_edit_all_x(struct sx_edit *edit)
{
    for (size_t t = 1; t + 1 < edit->n; t++)
        if (t != edit->token)
            edit->ids[t] = SX_ESM_X;
}

void sx_edit_more_masks(struct sx_edit *edit, double fraction, uint64_t seed)
{
    uint32_t *place = sx_xcalloc(edit->n, sizeof *place);
    struct sx_rng rng = sx_rng_make(seed, 2);
    const size_t n = others(edit, place);
    const double wanted = fraction * (double)n + 0.5;
    const size_t count = wanted < 0 ? 0 : wanted > (double)n ? n : (size_t)wanted;
    sx_rng_shuffle(&rng, place, n);
    for (size_t i = 0; i < count; i++)
        edit->ids[place[i]] = SX_ESM_MASK;
    sx_free(place);
}

void sx_edit_alone(struct sx_edit *edit)
{
    no_positions_yet(edit);
    edit->ids[1] = edit->ids[edit->token];
    edit->ids[2] = edit->ids[edit->n - 1];
    edit->n = 3;
    edit->token = 1;
}

void sx_edit_replace_bos(struct sx_edit *edit, int32_t id)
{
    edit->ids[0] = id;
}

static void own_positions(struct sx_edit *edit)
{
    if (edit->positions)
        return;
    edit->positions = sx_xcalloc(edit->n, sizeof *edit->positions);
    for (size_t t = 0; t < edit->n; t++)
        edit->positions[t] = (float)t;
}

void sx_edit_remove_bos(struct sx_edit *edit, bool keep_positions)
{
    if (keep_positions) {
        own_positions(edit);
        memmove(edit->positions, edit->positions + 1, (edit->n - 1) * sizeof *edit->positions);
    } else {
        sx_free(edit->positions);
        edit->positions = NULL;
    }
    remove_tokens(edit, 0, 1);
    edit->token--;
}

void sx_edit_gap(struct sx_edit *edit, double delta)
{
    own_positions(edit);
    for (size_t t = 1; t < edit->n; t++)
        edit->positions[t] += (float)delta;
}

void sx_edit_shift(struct sx_edit *edit, double delta)
{
    own_positions(edit);
    for (size_t t = 0; t < edit->n; t++)
        edit->positions[t] += (float)delta;
}

void sx_edit_query_positions(const struct sx_edit *edit, double position, float *positions)
{
    for (size_t t = 0; t < edit->n; t++)
        positions[t] = edit->positions ? edit->positions[t] : (float)t;
    positions[edit->token] = (float)position;
}
