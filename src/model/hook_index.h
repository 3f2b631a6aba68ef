/* Hooks compiled for one pass: which captures and interventions stand at a point of a layer.
 * Header of the model module alone. */
#ifndef SEXTANT_SRC_MODEL_HOOK_INDEX_H
#define SEXTANT_SRC_MODEL_HOOK_INDEX_H

#include "sextant/model/hooks.h"

enum { SX_NOT_CHOSEN = UINT32_MAX };

/* Place of an index among the chosen ones; SX_NOT_CHOSEN. */
uint32_t sx_choice_place(const struct sx_choice *choice, uint32_t index);
/* How many of `total` are chosen. */
size_t sx_choice_count(const struct sx_choice *choice, size_t total);

/* One capture or intervention at one point of one layer. */
struct sx_hook {
    const struct sx_capture *capture; /* or NULL */
    const struct sx_intervention *change;
    uint32_t layer_place; /* of the layer among the chosen ones */
};

/* Hooks of a point in the order in which they act: interventions as given, then captures. */
struct sx_hook_index {
    struct sx_hook *hooks;
    uint32_t *starts; /* [L*SX_POINT_COUNT + 1]; points once a run stand at layer 0 */
    uint64_t n_layers;
};

struct sx_hook_list {
    const struct sx_hook *hooks;
    size_t n;
};

void sx_hook_index_init(struct sx_hook_index *index, const struct sx_model_info *info,
                        const struct sx_hooks *hooks);
void sx_hook_index_release(struct sx_hook_index *index);
struct sx_hook_list sx_hooks_at(const struct sx_hook_index *index, size_t layer,
                                enum sx_point point);

/* Everything that can be said without the tokens: points, layers, heads, bands, actions. */
enum sx_status sx_hooks_check(const struct sx_model_info *info, const struct sx_hooks *hooks,
                              size_t n_sequences, struct sx_error *err) SX_MUST_CHECK;
/* The tokens, keys and positions that captures and interventions on sequence `sequence` name, for
 * n tokens of which the first is token `past` of the sequence. */
enum sx_status sx_hooks_check_tokens(const struct sx_hooks *hooks, size_t sequence, size_t past,
                                     size_t n, struct sx_error *err) SX_MUST_CHECK;

/* One token of a sequence as hooks see it. */
struct sx_hook_token {
    size_t sequence;
    size_t token;   /* of the sequence, cached tokens counted */
    size_t place;   /* among the tokens of the pass */
    size_t n;       /* tokens of the pass */
    bool generated; /* the pass goes on from a cache */
};

/* Let the hooks act on one token's row at a point other than scores, attn and head_out: `x` holds
 * the point's width, heads behind each other. `uncaptured`: interventions alone act. */
void sx_hooks_row(const struct sx_hook_list *list, const struct sx_model_info *info,
                  const struct sx_hook_token *token, float *x, bool uncaptured);
/* The same for one head's row of scores or of the pattern over n_keys keys. */
void sx_hooks_attention_row(const struct sx_hook_list *list, const struct sx_model_info *info,
                            const struct sx_hook_token *token, size_t head, float *row,
                            size_t n_keys);
/* Where a capture keeps one head's values of a token; NULL: it does not. Heads 0 for points
 * without heads. */
float *sx_capture_place(const struct sx_hook *hook, const struct sx_model_info *info,
                        const struct sx_hook_token *token, size_t head);
/* Does any hook of the list concern this sequence (and head, unless SIZE_MAX)? */
bool sx_hooks_concern(const struct sx_hook_list *list, size_t sequence, size_t head);
/* Sets shown[i] for every one of n tokens from `first` on whose row of this head some hook of the
 * list looks at; others are left. Returns whether there is one. */
bool sx_hooks_show(const struct sx_hook_list *list, const struct sx_hook_token *first, size_t head,
                   size_t n, uint8_t *shown);

#endif
