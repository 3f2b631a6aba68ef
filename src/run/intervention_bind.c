/* Specifications of interventions to what a pass takes. An array of values is gathered by axes: a
 * point's values stand as [layers, tokens, heads, width], [layers, heads, tokens, keys],
 * [layers, tokens, width] or [tokens, width], and a run's file may hold a part of any of them
 * (arrays `layers`, `tokens`, `heads`, `keys` beside the values say which). */
#include <string.h>

#include "intervention_spec.h"
#include "sextant/base/alloc.h"
#include "sextant/io/tensor_file.h"

enum axis { LAYERS, TOKENS, HEADS, KEYS, WIDTH, N_AXES };
static const char *const axis_names[] = {"layers", "tokens", "heads", "keys", "width"};

enum { MAX_AXES = 4 };

struct axes { /* those of a point, outermost first */
    enum axis axis[MAX_AXES];
    int n;
};

struct plan { /* one intervention being made */
    const struct sx_intervention_spec *spec;
    const struct sx_bind_to *to;
    struct axes axes;
    size_t extent[N_AXES]; /* of the whole point */
    struct sx_choice chosen[N_AXES];
};

static void *keep(struct sx_bound *bound, void *take)
{
    SX_GROW(bound->owned, bound->room_owned, bound->n_owned + 1);
    bound->owned[bound->n_owned++] = take;
    return take;
}

void sx_bound_release(struct sx_bound *bound)
{
    for (size_t i = 0; i < bound->n_owned; i++)
        sx_free(bound->owned[i]);
    sx_free(bound->owned);
    sx_free(bound->interventions);
    sx_free(bound->positions);
    *bound = (struct sx_bound){0};
}

struct sx_hooks sx_bound_hooks(const struct sx_bound *bound)
{
    return (struct sx_hooks){.interventions = bound->interventions,
                             .n_interventions = bound->n_interventions,
                             .positions = bound->positions,
                             .n_positions = bound->n_positions};
}

static enum sx_status choose(struct sx_bound *bound, const struct sx_intervention_spec *spec,
                             const struct sx_spec_list *list, size_t count, const char *what,
                             struct sx_choice *choice, struct sx_error *err)
{
    uint32_t *indices;
    const enum sx_status status =
        sx_spec_list_resolve(list, count, what, &indices, &choice->n, err);
    if (status != SX_OK)
        return sx_fail_prefix(err, status, "--intervene '%.160s': ", spec->text);
    choice->list = indices ? keep(bound, indices) : NULL;
    return SX_OK;
}

/* --- axes of values --------------------------------------------------------------------------- */

static bool is_map(enum sx_point point)
{
    return point == SX_POINT_SCORES || point == SX_POINT_ATTN;
}

static struct axes axes_of(enum sx_point point)
{
    if (is_map(point))
        return (struct axes){{LAYERS, HEADS, TOKENS, KEYS}, 4};
    if (sx_point_has_heads(point))
        return (struct axes){{LAYERS, TOKENS, HEADS, WIDTH}, 4};
    if (sx_point_per_layer(point))
        return (struct axes){{LAYERS, TOKENS, WIDTH}, 3};
    return (struct axes){{TOKENS, WIDTH}, 2};
}

static size_t count_of(const struct plan *plan, enum axis axis)
{
    if (axis == WIDTH)
        return plan->spec->band >= 0 ? 2 : plan->extent[WIDTH];
    return plan->chosen[axis].list ? plan->chosen[axis].n : plan->extent[axis];
}

/* The i-th chosen index of an axis, as the model counts. */
static size_t index_of(const struct plan *plan, enum axis axis, size_t i)
{
    if (axis == WIDTH && plan->spec->band >= 0)
        return (size_t)plan->spec->band + (i ? (size_t)plan->to->info->n_bands : 0);
    return axis != WIDTH && plan->chosen[axis].list ? plan->chosen[axis].list[i] : i;
}

static void set_strides(const size_t stride[N_AXES], struct sx_intervention *out)
{
    out->layer_stride = stride[LAYERS];
    out->token_stride = stride[TOKENS];
    out->head_stride = stride[HEADS];
}

/* --- from another run ------------------------------------------------------------------------- */

static int64_t find_in(const struct sx_tensor_file *file, const char *group, const char *name)
{
    static const char separators[] = "/.";
    if (!group)
        return sx_tensor_file_find(file, name);
    for (const char *s = separators; *s; s++) {
        char *full = sx_xasprintf("%s%c%s", group, *s, name);
        const int64_t found = sx_tensor_file_find(file, full);
        sx_free(full);
        if (found >= 0)
            return found;
    }
    return -1;
}

/* Which indices of an axis the file holds; *out NULL: all of them. */
static enum sx_status stored_indices(const struct sx_tensor_file *file, const char *group,
                                     enum axis axis, uint64_t expected, int64_t **out,
                                     struct sx_error *err)
{
    *out = NULL;
    const int64_t at = axis == WIDTH ? -1 : find_in(file, group, axis_names[axis]);
    if (at < 0)
        return SX_OK;
    const struct sx_tensor_info *info = sx_tensor_file_info(file, (size_t)at);
    if (info->count != expected)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %s holds %llu numbers, expected %llu",
                       sx_tensor_file_path(file), info->name, (unsigned long long)info->count,
                       (unsigned long long)expected);
    *out = sx_alloc_big((size_t)expected + 1, sizeof **out);
    if (!*out)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %s", info->name);
    return sx_tensor_file_read_i64(file, (size_t)at, *out, err);
}

struct gather { /* where the chosen values stand in the stored array, by axis of the point */
    size_t *at[MAX_AXES];
    size_t n[MAX_AXES];
};

static enum sx_status gather_axis(const struct plan *plan, const struct sx_tensor_file *file,
                                  int dim, uint64_t extent, bool all_stored, struct gather *gather,
                                  struct sx_error *err)
{
    const enum axis axis = plan->axes.axis[dim];
    const struct sx_intervention_spec *spec = plan->spec;
    int64_t *stored = NULL;
    enum sx_status status = stored_indices(file, spec->name, axis, extent, &stored, err);
    if (status == SX_OK && !stored && !all_stored && extent != plan->extent[axis])
        status = sx_fail(err, SX_ERR_SHAPE, "%s: %s has %llu %s, expected %zu", spec->file,
                         sx_point_name(spec->point), (unsigned long long)extent, axis_names[axis],
                         plan->extent[axis]);
    const size_t n = all_stored ? (size_t)extent : count_of(plan, axis);
    size_t *at = sx_xcalloc(n + 1, sizeof *at);
    for (size_t i = 0; status == SX_OK && i < n; i++) {
        const size_t wanted = all_stored ? i : index_of(plan, axis, i);
        size_t place = wanted;
        for (place = stored && !all_stored ? 0 : wanted;
             place < extent && stored && !all_stored && stored[place] != (int64_t)wanted; place++) {
        }
        if (place >= extent)
            status = sx_fail(err, SX_ERR_NOTFOUND, "%s: %s of %s %zu was not kept", spec->file,
                             sx_point_name(spec->point), axis_names[axis], wanted);
        at[i] = place;
    }
    gather->at[dim] = at;
    gather->n[dim] = n;
    sx_free(stored);
    return status;
}

/* out[i0,i1,…] = in[at0[i0], at1[i1], …] */
static void gather_values(const struct gather *gather, int dims, const uint64_t *shape,
                          const float *in, float *out)
{
    size_t counter[MAX_AXES] = {0};
    size_t total = 1;
    for (int d = 0; d < dims; d++)
        total *= gather->n[d];
    for (size_t i = 0; i < total; i++) {
        size_t offset = 0;
        for (int d = 0; d < dims; d++)
            offset = offset * (size_t)shape[d] + gather->at[d][counter[d]];
        out[i] = in[offset];
        for (int d = dims - 1; d >= 0 && ++counter[d] == gather->n[d]; d--)
            counter[d] = 0;
    }
}

/* values [outer, tokens, inner] to their mean over tokens, in place. */
static void mean_over_tokens(float *values, size_t outer, size_t tokens, size_t inner)
{
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            double sum = 0;
            for (size_t t = 0; t < tokens; t++)
                sum += values[(o * tokens + t) * inner + i];
            values[o * inner + i] = (float)(sum / (double)tokens);
        }
}

/* Strides of a packed array [n of each axis]; with `mean` the tokens are gone. */
static void packed_strides(const struct plan *plan, const struct gather *gather, bool mean,
                           struct sx_intervention *out)
{
    size_t stride[N_AXES] = {0};
    size_t step = 1;
    for (int d = plan->axes.n - 1; d >= 0; d--) {
        const enum axis axis = plan->axes.axis[d];
        if (mean && axis == TOKENS)
            continue;
        stride[axis] = step;
        step *= gather->n[d];
    }
    set_strides(stride, out);
}

static enum sx_status gather_run(const struct plan *plan, const struct sx_tensor_file *file,
                                 size_t index, struct gather *gather, struct sx_bound *bound,
                                 struct sx_intervention *out, struct sx_error *err)
{
    const struct sx_tensor_info *info = sx_tensor_file_info(file, index);
    const bool mean = plan->spec->action == SX_SPEC_MEAN;
    const int dims = plan->axes.n;
    size_t total = 1;
    if (info->rank != dims)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %s has rank %d, expected %d", plan->spec->file,
                       info->name, info->rank, dims);
    for (int d = 0; d < dims; d++) {
        const bool all = mean && plan->axes.axis[d] == TOKENS;
        SX_TRY(gather_axis(plan, file, d, info->shape[d], all, gather, err));
        if (!sx_mul_size(total, gather->n[d], &total))
            return sx_fail(err, SX_ERR_NOMEM, "%s: %s is too large", plan->spec->file, info->name);
    }
    if (total == 0)
        return sx_fail(err, SX_ERR_USAGE, "--intervene '%.160s': nothing is chosen",
                       plan->spec->text);
    float *all = sx_alloc_big((size_t)info->count, sizeof *all);
    float *values = sx_alloc_big(total, sizeof *values);
    if (values)
        keep(bound, values);
    enum sx_status status = all && values
                                ? sx_tensor_file_read_f32(file, index, all, err)
                                : sx_fail(err, SX_ERR_NOMEM, "no memory for %s", info->name);
    if (status == SX_OK) {
        gather_values(gather, dims, info->shape, all, values);
        packed_strides(plan, gather, mean, out);
        out->values = values;
    }
    if (status == SX_OK && mean) {
        size_t outer = 1, inner = 1;
        int d = 0;
        for (; plan->axes.axis[d] != TOKENS; d++)
            outer *= gather->n[d];
        const size_t tokens = gather->n[d];
        for (d++; d < dims; d++)
            inner *= gather->n[d];
        mean_over_tokens(values, outer, tokens, inner);
    }
    sx_free(all);
    return status;
}

static enum sx_status values_of_run(const struct plan *plan, const struct sx_tensor_file *file,
                                    struct sx_bound *bound, struct sx_intervention *out,
                                    struct sx_error *err)
{
    const struct sx_intervention_spec *spec = plan->spec;
    const char *point = sx_point_name(spec->point);
    const int64_t index = find_in(file, spec->name, point);
    if (index < 0)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: no %s%s%s; keep it with --capture %s", spec->file,
                       spec->name ? spec->name : "", spec->name ? "/" : "", point, point);
    struct gather gather = {0};
    enum sx_status status = gather_run(plan, file, (size_t)index, &gather, bound, out, err);
    for (int d = 0; d < MAX_AXES; d++)
        sx_free(gather.at[d]);
    return status;
}

/* --- any array -------------------------------------------------------------------------------- */

/* Right-aligned as in numpy: [width], [heads,width], [tokens,heads,width], …; 1 is spread. */
static enum sx_status values_of_array(const struct plan *plan, const struct sx_tensor_file *file,
                                      struct sx_bound *bound, struct sx_intervention *out,
                                      struct sx_error *err)
{
    const struct sx_intervention_spec *spec = plan->spec;
    int64_t index = spec->name ? find_in(file, NULL, spec->name) : 0;
    if (index < 0)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: no array %s", spec->file, spec->name);
    const struct sx_tensor_info *info = sx_tensor_file_info(file, (size_t)index);
    size_t stride[N_AXES] = {0};
    size_t step = 1;
    for (int d = info->rank - 1; d >= 0; d--) {
        const int at = plan->axes.n - info->rank + d;
        const enum axis axis = at >= 0 ? plan->axes.axis[at] : N_AXES;
        const uint64_t found = info->shape[d];
        const bool innermost = d == info->rank - 1;
        if (axis == N_AXES ? found != 1
                           : found != count_of(plan, axis) && (found != 1 || innermost))
            return sx_fail(err, SX_ERR_SHAPE,
                           "%s: dimension %d of %s is %llu, expected %s: %zu are chosen",
                           spec->file, d, info->name, (unsigned long long)found,
                           axis == N_AXES ? "1" : axis_names[axis],
                           axis == N_AXES ? (size_t)1 : count_of(plan, axis));
        if (axis != N_AXES && found != 1)
            stride[axis] = step;
        step *= (size_t)found;
    }
    if (info->rank == 0)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %s is a single number", spec->file, info->name);
    float *values = sx_alloc_big((size_t)info->count, sizeof *values);
    if (!values)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %s", info->name);
    keep(bound, values);
    set_strides(stride, out);
    out->values = values;
    return sx_tensor_file_read_f32(file, (size_t)index, values, err);
}

/* --- one specification ------------------------------------------------------------------------ */

static enum sx_status make_plan(const struct sx_intervention_spec *spec,
                                const struct sx_bind_to *to, struct sx_bound *bound,
                                struct plan *plan, struct sx_error *err)
{
    const struct sx_model_info *info = to->info;
    *plan = (struct plan){.spec = spec, .to = to, .axes = axes_of(spec->point)};
    plan->extent[LAYERS] = (size_t)info->n_layers;
    plan->extent[TOKENS] = plan->extent[KEYS] = to->n_tokens;
    plan->extent[HEADS] = (size_t)info->n_heads;
    plan->extent[WIDTH] = sx_point_width(info, spec->point, to->n_tokens);
    if (sx_point_has_heads(spec->point))
        plan->extent[WIDTH] /= (size_t)info->n_heads;
    const struct sx_spec_list *lists[] = {&spec->layers, &spec->tokens, &spec->heads, &spec->keys};
    for (int a = LAYERS; a <= KEYS; a++)
        SX_TRY(
            choose(bound, spec, lists[a], plan->extent[a], axis_names[a], &plan->chosen[a], err));
    if (spec->band >= 0 && (uint64_t)spec->band >= info->n_bands)
        return sx_fail(err, SX_ERR_USAGE, "--intervene '%.160s': band %d: there are %llu",
                       spec->text, spec->band, (unsigned long long)info->n_bands);
    return SX_OK;
}

static enum sx_status read_values(const struct plan *plan, struct sx_bound *bound,
                                  struct sx_intervention *out, struct sx_error *err)
{
    struct sx_tensor_file *file = NULL;
    const enum sx_spec_action action = plan->spec->action;
    SX_TRY(sx_tensor_file_open(plan->spec->file, &file, err));
    enum sx_status status = action == SX_SPEC_PATCH || action == SX_SPEC_MEAN
                                ? values_of_run(plan, file, bound, out, err)
                                : values_of_array(plan, file, bound, out, err);
    sx_tensor_file_close(file);
    return status;
}

/* Beyond the prompt there are no values: what is not chosen by number stays within it, and tokens
 * that generation adds are changed only where every token gets the same, or where "new" says so. */
static void stay_within(const struct plan *plan, struct sx_bound *bound,
                        struct sx_intervention *out)
{
    const struct sx_bind_to *to = plan->to;
    struct sx_choice *const choices[] = {&out->tokens, &out->keys};
    const bool needed[] = {out->token_stride != 0, is_map(out->point)};
    if (to->n_more == 0 || !out->values)
        return;
    out->generated = plan->spec->generated && (plan->spec->tokens.given || !out->token_stride);
    for (int c = 0; c < 2; c++) {
        if (choices[c]->list || !needed[c])
            continue;
        uint32_t *all = keep(bound, sx_xcalloc(to->n_tokens + 1, sizeof *all));
        for (size_t i = 0; i < to->n_tokens; i++)
            all[i] = (uint32_t)i;
        *choices[c] = (struct sx_choice){all, to->n_tokens};
    }
}

static bool fits_family(const struct sx_model_info *info, enum sx_point point)
{
    const bool esm_head =
        point == SX_POINT_HEAD_DENSE || point == SX_POINT_HEAD_GELU || point == SX_POINT_HEAD_LN;
    return !esm_head || info->family == SX_MODEL_ESM2;
}

static enum sx_status bind_change(const struct sx_intervention_spec *spec,
                                  const struct sx_bind_to *to, struct sx_bound *bound,
                                  struct sx_error *err)
{
    static const enum sx_action actions[] = {
        [SX_SPEC_SCALE] = SX_DO_SCALE,   [SX_SPEC_FORBID] = SX_DO_FORBID,
        [SX_SPEC_PATCH] = SX_DO_REPLACE, [SX_SPEC_MEAN] = SX_DO_REPLACE,
        [SX_SPEC_ADD] = SX_DO_ADD,       [SX_SPEC_SET] = SX_DO_REPLACE,
    };
    struct plan plan;
    if (!fits_family(to->info, spec->point))
        return sx_fail(err, SX_ERR_USAGE, "--intervene '%.160s': %s has no %s", spec->text,
                       to->info->name, sx_point_name(spec->point));
    SX_TRY(make_plan(spec, to, bound, &plan, err));
    struct sx_intervention out = {.point = spec->point,
                                  .sequence = to->sequence,
                                  .layers = plan.chosen[LAYERS],
                                  .tokens = plan.chosen[TOKENS],
                                  .heads = plan.chosen[HEADS],
                                  .keys = plan.chosen[KEYS],
                                  .band = spec->band,
                                  .action = actions[spec->action],
                                  .factor = (float)spec->factor,
                                  .generated = spec->generated};
    if (spec->file)
        SX_TRY(read_values(&plan, bound, &out, err));
    stay_within(&plan, bound, &out);
    SX_GROW(bound->interventions, bound->room_interventions, bound->n_interventions + 1);
    bound->interventions[bound->n_interventions++] = out;
    return SX_OK;
}

static enum sx_status bind_positions(const struct sx_intervention_spec *spec,
                                     const struct sx_bind_to *to, struct sx_bound *bound,
                                     struct sx_error *err)
{
    const size_t total = to->n_tokens;
    struct sx_position_override out = {.sequence = to->sequence, .side = spec->side};
    SX_TRY(
        choose(bound, spec, &spec->layers, (size_t)to->info->n_layers, "layers", &out.layers, err));
    SX_TRY(choose(bound, spec, &spec->heads, (size_t)to->info->n_heads, "heads", &out.heads, err));
    SX_TRY(choose(bound, spec, &spec->bands, (size_t)to->info->n_bands, "bands", &out.bands, err));
    if (spec->action == SX_SPEC_POSITIONS && spec->n_numbers != to->n_tokens)
        return sx_fail(err, SX_ERR_SHAPE,
                       "--intervene '%.160s': %zu positions, but the sequence has %zu tokens",
                       spec->text, spec->n_numbers, to->n_tokens);
    float *positions = sx_alloc_big(total + 1, sizeof *positions);
    if (!positions)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu positions", total);
    keep(bound, positions);
    for (size_t i = 0; i < total; i++) {
        if (spec->action == SX_SPEC_POSITIONS)
            positions[i] = spec->number[i];
        else
            positions[i] = (to->positions ? to->positions[i] : (float)i) + (float)spec->factor;
    }
    out.positions = positions;
    SX_GROW(bound->positions, bound->room_positions, bound->n_positions + 1);
    bound->positions[bound->n_positions++] = out;
    return SX_OK;
}

enum sx_status sx_specs_bind(const struct sx_intervention_spec *specs, size_t n,
                             const struct sx_bind_to *to, struct sx_bound *bound,
                             struct sx_error *err)
{
    for (size_t i = 0; i < n; i++)
        SX_TRY(specs[i].of_positions ? bind_positions(&specs[i], to, bound, err)
                                     : bind_change(&specs[i], to, bound, err));
    return SX_OK;
}
