/* What a pass keeps and what it changes, by hook point. Plain data that the caller owns and that
 * must stay as it is during the pass. */
#ifndef SEXTANT_MODEL_HOOKS_H
#define SEXTANT_MODEL_HOOKS_H

#include "sextant/base/status.h"
#include "sextant/model/model.h"

const char *sx_point_name(enum sx_point point);             /* "resid.pre" */
bool sx_point_find(const char *name, enum sx_point *point); /* false: no such point */
bool sx_point_per_layer(enum sx_point point);               /* false: once a run */
bool sx_point_has_heads(enum sx_point point);
/* Floats a token (q and the like: H*d; scores, attn: H*n_keys; sigma: 1). */
size_t sx_point_width(const struct sx_model_info *info, enum sx_point point, size_t n_keys);

/* A choice of indices: all of them when `list` is NULL, else the n in the list, ascending. */
struct sx_choice {
    const uint32_t *list;
    size_t n;
};
bool sx_choice_has(const struct sx_choice *choice, uint32_t index);

/* Keep one point. The chosen layers, tokens and heads are packed in `out` in the order
 *   [layers, tokens, heads, width]      q, k, v, q.rot, k.rot, ctx (width d), head_out (width D)
 *   [layers, heads, tokens, keys]       scores, attn: tokens are queries; keys chosen too
 *   [layers, tokens, width]             everything else
 * (points once a run: no layers dimension). Tokens and keys count from the start of the sequence,
 * cached ones included; all tokens are those of the pass. */
struct sx_capture {
    enum sx_point point;
    size_t sequence; /* of the batch */
    struct sx_choice layers, tokens, heads, keys;
    float *out; /* owned by the caller: sx_capture_count floats */
};
/* Floats of `out` for a sequence of T tokens without cached ones before it. */
uint64_t sx_capture_count(const struct sx_model_info *info, const struct sx_capture *capture,
                          size_t T);

enum sx_action {
    SX_DO_REPLACE, /* with values: patching from another run, or a mean over a reference set */
    SX_DO_ADD,     /* values */
    SX_DO_SCALE,   /* by `factor`; 0: zero ablation. On attn: not normalised again, so that factor 0
                      ablates what a key's value contributes */
    SX_DO_FORBID,  /* scores only: -infinity, the rest is renormalised (knockout of an edge) */
}; /* Scores that the model itself forbids (causal mask, pads) stay forbidden whatever is done. */

/* Change one point. Of q, k, q.rot, k.rot and `band` >= 0 only the two dimensions of that rotary
 * band. Values are read as [tokens, heads, width] (scores and attn: [heads, tokens, keys]) over the
 * chosen ones with the strides in floats given; stride 0 gives the same values to every token or
 * head. width of a band is 2: (x[b], x[b+bands]). */
struct sx_intervention {
    enum sx_point point;
    size_t sequence; /* SIZE_MAX: every sequence of the batch */
    struct sx_choice layers, tokens, heads, keys;
    int band; /* -1: the whole width */
    enum sx_action action;
    float factor; /* SCALE; ADD and REPLACE: values are multiplied by it (1: as they are) */
    const float *values;
    size_t token_stride, head_stride, layer_stride;
    /* Also applies to tokens behind a cache's, whatever `tokens` says, with the values of the first
     * chosen token. Without it only those in the list of `tokens` do. */
    bool generated;
};

/* Positions that some rotations use instead of the sequence's own; later ones win. Tokens behind a
 * cache's keep their own. */
enum sx_side { SX_SIDE_QUERY = 1, SX_SIDE_KEY = 2, SX_SIDE_BOTH = 3 };
struct sx_position_override {
    size_t sequence; /* SIZE_MAX: every sequence */
    struct sx_choice layers, heads, bands;
    enum sx_side side;
    const float *positions; /* [T] */
};

struct sx_hooks {
    const struct sx_capture *captures;
    size_t n_captures;
    const struct sx_intervention *interventions;
    size_t n_interventions;
    const struct sx_position_override *positions;
    size_t n_positions;
};

/* The first layer that any intervention or position override touches: layers below it give what
 * they gave without. n_layers when only the head is touched, or nothing. */
size_t sx_hooks_first_layer(const struct sx_model_info *info, const struct sx_hooks *hooks);

#endif
