/* What --intervene says: parsed (intervention_spec.c), then bound to one sequence of a model
 * (intervention_bind.c), where files are read and "last" becomes a number. Private to run.
 *
 *   SPEC   = POINT [@ WHERE] = ACTION  |  positions [@ WHERE] = shift:X | set:NUMBERS
 *   WHERE  = KEY=LIST {, KEY=LIST}     KEY: layers heads tokens keys band; bands and side
 *                                      (query, key or both) of positions
 *   LIST   = all | RANGE {, RANGE}     RANGE: 3, 2-5, 4-, last; of tokens also new
 *   ACTION = zero | scale:X | forbid | patch:FILE[:GROUP] | mean:FILE[:GROUP]
 *          | add:FILE:NAME[*X] | set:FILE:NAME[*X] */
#ifndef SEXTANT_RUN_INTERVENTION_SPEC_H
#define SEXTANT_RUN_INTERVENTION_SPEC_H

#include "sextant/base/value.h"
#include "sextant/model/hooks.h"

enum { SX_SPEC_LAST = INT32_MAX };

struct sx_spec_range {
    uint32_t from, to; /* both included; SX_SPEC_LAST: whatever is last */
};

struct sx_spec_list { /* owned */
    bool given;       /* false: all */
    struct sx_spec_range *range;
    size_t n;
};

enum sx_spec_action {
    SX_SPEC_SCALE, /* zero is scale:0 */
    SX_SPEC_FORBID,
    SX_SPEC_PATCH,
    SX_SPEC_MEAN,
    SX_SPEC_ADD,
    SX_SPEC_SET,
    SX_SPEC_SHIFT,     /* positions */
    SX_SPEC_POSITIONS, /* positions */
};

struct sx_intervention_spec { /* owned; sx_specs_release */
    char *text;
    bool of_positions;
    enum sx_point point; /* unless of_positions */
    struct sx_spec_list layers, heads, tokens, keys, bands;
    int band; /* -1: the whole width */
    enum sx_side side;
    bool generated;
    enum sx_spec_action action;
    double factor;     /* SCALE, SHIFT; ADD and SET: strength */
    char *file, *name; /* PATCH, MEAN: name is a group or NULL */
    float *number;     /* POSITIONS */
    size_t n_numbers;
};

/* SX_ERR_USAGE names the text and the column. */
enum sx_status sx_spec_parse(const char *text, struct sx_intervention_spec *spec,
                             struct sx_error *err) SX_MUST_CHECK;
/* Every string of a list (NULL: none). */
enum sx_status sx_specs_parse(const struct sx_value *texts, struct sx_intervention_spec **specs,
                              size_t *n, struct sx_error *err) SX_MUST_CHECK;
void sx_specs_release(struct sx_intervention_spec *specs, size_t n); /* frees specs too */

/* A LIST on its own ("0,2-4,last"), as --layers and its like take it. `option` is named in errors.
 */
enum sx_status sx_spec_list_parse(const char *option, const char *text, struct sx_spec_list *list,
                                  struct sx_error *err) SX_MUST_CHECK;
/* To ascending indices below `count`: *out NULL when the list was not given. sx_free(*out). */
enum sx_status sx_spec_list_resolve(const struct sx_spec_list *list, size_t count, const char *what,
                                    uint32_t **out, size_t *n, struct sx_error *err) SX_MUST_CHECK;
void sx_spec_list_release(struct sx_spec_list *list);

/* --- bound ---------------------------------------------------------------------------------- */

struct sx_bound { /* start with {0}; sx_bound_release */
    struct sx_intervention *interventions;
    size_t n_interventions, room_interventions;
    struct sx_position_override *positions;
    size_t n_positions, room_positions;
    void **owned;
    size_t n_owned, room_owned;
};

struct sx_bind_to {
    const struct sx_model_info *info;
    size_t sequence;        /* of the batch */
    size_t n_tokens;        /* T */
    size_t n_more;          /* tokens that generation may add */
    const float *positions; /* [T]; NULL: 0, 1, 2, … */
};

/* Appends to *bound. */
enum sx_status sx_specs_bind(const struct sx_intervention_spec *specs, size_t n,
                             const struct sx_bind_to *to, struct sx_bound *bound,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_bound_release(struct sx_bound *bound);
/* Interventions and overrides as a pass takes them; captures are left out. */
struct sx_hooks sx_bound_hooks(const struct sx_bound *bound);

#endif
