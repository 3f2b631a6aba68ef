#include "match_copy.h"

#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"

static void *dup_array(const void *from, size_t count, size_t size)
{
    if (!from)
        return NULL;
    void *copy = sx_xcalloc(count ? count : 1, size);
    memcpy(copy, from, count * size);
    return copy;
}

#define DUP(field, count) to->field = dup_array(from->field, (count), sizeof *from->field)

static void copy_pair(const struct sx_match_pair *from, struct sx_match_pair *to)
{
    *to = *from;
    DUP(partner_enc, from->F_a);
    DUP(partner_dec, from->F_a);
    DUP(sim_enc, from->F_a);
    DUP(sim_dec, from->F_a);
    DUP(max_enc, from->F_a);
    DUP(max_dec, from->F_a);
    DUP(runner_up, from->F_a);
    DUP(margin, from->F_a);
    DUP(back_enc, from->F_b);
    DUP(back_dec, from->F_b);
    DUP(back_max_enc, from->F_b);
    DUP(back_max_dec, from->F_b);
    DUP(back_runner_up, from->F_b);
    DUP(back_margin, from->F_b);
}

static struct sx_match_pair *copy_pairs(const struct sx_match_pair *pairs, size_t n)
{
    struct sx_match_pair *copy = sx_xcalloc(n ? n : 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy_pair(&pairs[i], &copy[i]);
    return copy;
}

struct sx_match_set *sx_match_copy(const struct sx_match_set *set, bool alive)
{
    struct sx_match_set *copy = sx_xcalloc(1, sizeof *copy);
    const bool has_alive = alive && set->alive;
    *copy = *set;
    copy->models = dup_array(set->models, set->n_models, sizeof *set->models);
    for (size_t i = 0; i < set->n_models; i++) {
        copy->models[i].name = sx_xstrdup(set->models[i].name);
        copy->models[i].align =
            dup_array(set->models[i].align, set->models[i].F, sizeof *set->models[i].align);
    }
    copy->pairs = copy_pairs(set->pairs, set->n_pairs);
    copy->alive = has_alive ? copy_pairs(set->alive, set->n_pairs) : NULL;
    copy->alive_cut = has_alive ? set->alive_cut : (double)NAN;
    return copy;
}
