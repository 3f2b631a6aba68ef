/* Causal counterparts of the band decomposition: one head's query or key at one token is changed in
 * chosen rotary bands, and everything downstream runs again. The change is an intervention like any
 * other (model/hooks.h), so whoever runs passes can run these. */
#ifndef SEXTANT_INTERP_BAND_PATCH_H
#define SEXTANT_INTERP_BAND_PATCH_H

#include "sextant/interp/bands.h"

enum sx_band_patch {
    SX_PATCH_NORM,      /* own direction, the reference's length */
    SX_PATCH_DIRECTION, /* own length, the reference's direction */
    SX_PATCH_FULL,      /* the reference */
    SX_PATCH_ABLATE,    /* zero */
    SX_PATCH_ROTATION,  /* turned as if at another position; content untouched */
    SX_PATCH_COUNT
};
const char *sx_band_patch_name(enum sx_band_patch kind); /* "norm"; NULL behind the last */

/* What a patched vector is: own, reference, out [d] of one head before rotation; bit b of bands:
 * band b (the un-rotated rest is the last one). ABLATE and ROTATION need no reference (NULL);
 * ROTATION leaves all as it is. Where own (NORM) or reference (DIRECTION) has no length the band is
 * left as it is. out may be own. */
void sx_band_patch_vector(const struct sx_band_shape *shape, enum sx_band_patch kind,
                          const float *own, const float *reference, uint64_t bands, float *out);
/* The mean of a reference set: in every band the mean length along the circular mean of the angles
 * (in the rest: along the mean of the unit vectors). vectors [count,d], leading dimension ld. */
void sx_band_mean(const struct sx_band_shape *shape, const float *vectors, size_t ld, size_t count,
                  float *out);

struct sx_band_patch_ask {
    size_t sequence; /* of the batch; SIZE_MAX: all */
    uint32_t layer, head, token;
    enum sx_side side; /* QUERY or KEY */
    enum sx_band_patch kind;
    uint64_t bands;         /* bit b; the rest counts as the last band */
    const float *own;       /* [d] of the unpatched run: NORM and DIRECTION */
    const float *reference; /* [d] of the other run, or a mean: NORM, DIRECTION, FULL */
    double position;        /* ROTATION: where the token is rotated to */
    const float *positions; /* ROTATION: [n] of the sequence; NULL: 0, 1, 2, … */
    size_t n;               /* ROTATION: tokens of the sequence */
};

/* Interventions for a pass; what they point to is owned. Start with {0}. */
struct sx_band_patches {
    struct sx_intervention *interventions;
    size_t n_interventions, interventions_room;
    struct sx_position_override *positions;
    size_t n_positions, positions_room;
    struct sx_arena *arena;
};
/* A band-wise change for every chosen band, so that the other bands keep what the patched run
 * itself has; but a change of GPT-NeoX's un-rotated rest is one of the whole vector, whose other
 * dimensions then are those of `own` (needed also for ABLATE and FULL). */
void sx_band_patches_add(struct sx_band_patches *patches, const struct sx_band_shape *shape,
                         const struct sx_band_patch_ask *ask);
void sx_band_patches_release(struct sx_band_patches *patches);

#endif
