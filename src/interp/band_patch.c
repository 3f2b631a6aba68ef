#include "sextant/interp/band_patch.h"

#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/arena.h"

const char *sx_band_patch_name(enum sx_band_patch kind)
{
    static const char *const names[SX_PATCH_COUNT] = {"norm", "direction", "full", "ablate",
                                                      "rotation"};
    return (unsigned)kind < SX_PATCH_COUNT ? names[kind] : NULL;
}

/* --- vectors -----------------------------------------------------------------------------------
 */

/* The dimensions of a band: 2 that lie apart, or all of the rest. */
struct dims {
    size_t first, step, n;
};

static struct dims dims_of(const struct sx_band_shape *shape, size_t band)
{
    if (band < shape->n_rotary)
        return (struct dims){band, shape->n_rotary, 2};
    return (struct dims){2 * shape->n_rotary, 1, shape->d - 2 * shape->n_rotary};
}

static double length_of(const struct dims *dims, const float *x)
{
    double sum = 0;
    for (size_t i = 0; i < dims->n; i++) {
        const double v = (double)x[dims->first + i * dims->step];
        sum += v * v;
    }
    return sqrt(sum);
}

static void put(const struct dims *dims, const float *x, double factor, float *out)
{
    for (size_t i = 0; i < dims->n; i++) {
        const size_t at = dims->first + i * dims->step;
        out[at] = x ? (float)(factor * (double)x[at]) : 0;
    }
}

static void patch_band(const struct dims *dims, enum sx_band_patch kind, const float *own,
                       const float *reference, float *out)
{
    double r = 0;
    double to = 0;
    switch (kind) {
    case SX_PATCH_NORM:
        r = length_of(dims, own);
        to = length_of(dims, reference);
        put(dims, own, r > 0 ? to / r : 1, out);
        break;
    case SX_PATCH_DIRECTION:
        r = length_of(dims, own);
        to = length_of(dims, reference);
        put(dims, to > 0 ? reference : own, to > 0 ? r / to : 1, out);
        break;
    case SX_PATCH_FULL:
        put(dims, reference, 1, out);
        break;
    case SX_PATCH_ABLATE:
        put(dims, NULL, 0, out);
        break;
    case SX_PATCH_ROTATION:
    case SX_PATCH_COUNT:
        break;
    }
}

void sx_band_patch_vector(const struct sx_band_shape *shape, enum sx_band_patch kind,
                          const float *own, const float *reference, uint64_t bands, float *out)
{
    if (out != own)
        memcpy(out, own, shape->d * sizeof *out);
    for (size_t b = 0; b < shape->n; b++) {
        const struct dims dims = dims_of(shape, b);
        if (bands >> b & 1)
            patch_band(&dims, kind, own, reference, out);
    }
}

void sx_band_mean(const struct sx_band_shape *shape, const float *vectors, size_t ld, size_t count,
                  float *out)
{
    double *sum = sx_xcalloc(shape->d, sizeof *sum);
    SX_ASSERT(count > 0);
    for (size_t b = 0; b < shape->n; b++) {
        const struct dims dims = dims_of(shape, b);
        double length = 0;
        double squared = 0;
        for (size_t v = 0; v < count; v++) {
            const double r = length_of(&dims, vectors + v * ld);
            length += r / (double)count;
            for (size_t i = 0; i < dims.n && r > 0; i++)
                sum[dims.first + i * dims.step] +=
                    (double)vectors[v * ld + dims.first + i * dims.step] / r;
        }
        for (size_t i = 0; i < dims.n; i++)
            squared += sum[dims.first + i * dims.step] * sum[dims.first + i * dims.step];
        for (size_t i = 0; i < dims.n; i++) {
            const size_t at = dims.first + i * dims.step;
            out[at] = squared > 0 ? (float)(length * sum[at] / sqrt(squared)) : 0;
        }
    }
    sx_free(sum);
}

/* --- interventions -----------------------------------------------------------------------------
 */

static struct sx_choice only(struct sx_band_patches *patches, uint32_t index)
{
    uint32_t *list = sx_arena_alloc(patches->arena, sizeof *list);
    *list = index;
    return (struct sx_choice){list, 1};
}

static void add_rotation(struct sx_band_patches *patches, const struct sx_band_shape *shape,
                         const struct sx_band_patch_ask *ask)
{
    float *positions = sx_arena_alloc(patches->arena, ask->n * sizeof *positions);
    uint32_t *bands = sx_arena_alloc(patches->arena, shape->n * sizeof *bands);
    size_t n_bands = 0;
    SX_ASSERT(ask->token < ask->n);
    for (size_t t = 0; t < ask->n; t++)
        positions[t] = ask->positions ? ask->positions[t] : (float)t;
    positions[ask->token] = (float)ask->position;
    for (uint32_t b = 0; b < shape->n_rotary; b++)
        if (ask->bands >> b & 1)
            bands[n_bands++] = b;
    if (n_bands == 0)
        return;
    SX_GROW(patches->positions, patches->positions_room, patches->n_positions + 1);
    patches->positions[patches->n_positions++] = (struct sx_position_override){
        .sequence = ask->sequence,
        .layers = only(patches, ask->layer),
        .heads = only(patches, ask->head),
        .bands = {bands, n_bands},
        .side = ask->side,
        .positions = positions,
    };
}

static void add_values(struct sx_band_patches *patches, const struct sx_band_patch_ask *ask,
                       int band, const float *values)
{
    SX_GROW(patches->interventions, patches->interventions_room, patches->n_interventions + 1);
    patches->interventions[patches->n_interventions++] = (struct sx_intervention){
        .point = ask->side == SX_SIDE_KEY ? SX_POINT_K : SX_POINT_Q,
        .sequence = ask->sequence,
        .layers = only(patches, ask->layer),
        .heads = only(patches, ask->head),
        .tokens = only(patches, ask->token),
        .band = band,
        .action = SX_DO_REPLACE,
        .factor = 1,
        .values = values,
    };
}

void sx_band_patches_add(struct sx_band_patches *patches, const struct sx_band_shape *shape,
                         const struct sx_band_patch_ask *ask)
{
    SX_ASSERT(ask->side == SX_SIDE_QUERY || ask->side == SX_SIDE_KEY);
    if (!patches->arena)
        patches->arena = sx_arena_new();
    if (ask->kind == SX_PATCH_ROTATION) {
        add_rotation(patches, shape, ask);
        return;
    }
    float *whole = sx_arena_alloc(patches->arena, shape->d * sizeof *whole);
    if (ask->own)
        memcpy(whole, ask->own, shape->d * sizeof *whole);
    sx_band_patch_vector(shape, ask->kind, whole, ask->reference, ask->bands, whole);
    if (shape->n > shape->n_rotary && ask->bands >> shape->n_rotary & 1) {
        SX_ASSERT(ask->own);
        add_values(patches, ask, -1, whole);
        return;
    }
    for (size_t b = 0; b < shape->n_rotary; b++) {
        if (!(ask->bands >> b & 1))
            continue;
        float *pair = sx_arena_alloc(patches->arena, 2 * sizeof *pair);
        pair[0] = whole[b];
        pair[1] = whole[b + shape->n_rotary];
        add_values(patches, ask, (int)b, pair);
    }
}

void sx_band_patches_release(struct sx_band_patches *patches)
{
    sx_free(patches->interventions);
    sx_free(patches->positions);
    sx_arena_free(patches->arena);
    *patches = (struct sx_band_patches){0};
}
