/* Tensors by their names: found in any form that upstream libraries write, checked against the
 * configuration, and made into weights. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"

enum { MOST_NAME = 256 };

/* --- names ------------------------------------------------------------------------------------ */

/* "@", "#" and "*" of a pattern; layer NULL leaves the "*". */
static void expand(char out[MOST_NAME], const char *pattern, const char *body, const char *head,
                   const uint64_t *layer)
{
    size_t n = 0;
    for (const char *p = pattern; *p && n + 1 < MOST_NAME; p++) {
        char number[24] = {*p, '\0'};
        const char *piece = number;
        if (*p == '@')
            piece = body;
        else if (*p == '#')
            piece = head;
        else if (*p == '*' && layer)
            (void)snprintf(number, sizeof number, "%llu", (unsigned long long)*layer);
        int k = snprintf(out + n, MOST_NAME - n, "%s", piece);
        n += k > 0 ? (size_t)k : 0;
    }
    SX_ASSERT(n < MOST_NAME);
    out[n] = '\0';
}

static bool is_norm(enum model_slot slot)
{
    switch (slot) {
    case SLOT_LN1_GAMMA:
    case SLOT_LN1_BETA:
    case SLOT_LN2_GAMMA:
    case SLOT_LN2_BETA:
    case SLOT_FINAL_GAMMA:
    case SLOT_FINAL_BETA:
    case SLOT_HEAD_GAMMA:
    case SLOT_HEAD_BETA:
        return true;
    default:
        return false;
    }
}

/* "….weight" as "….gamma", "….bias" as "….beta": what TensorFlow called them. */
static void old_norm_name(char name[MOST_NAME])
{
    char *dot = strrchr(name, '.');
    SX_ASSERT(dot);
    bool gamma = strcmp(dot, ".weight") == 0;
    (void)snprintf(dot, (size_t)(name + MOST_NAME - dot), "%s", gamma ? ".gamma" : ".beta");
}

/* Note a tensor of this name if there is one; a second form is an error. */
static enum sx_status consider(const struct sx_tensor_file *file, const char *name,
                               struct model_place *place, struct sx_error *err)
{
    int64_t i = sx_tensor_file_find(file, name);
    if (i < 0 || (place->file == file && place->index == (size_t)i))
        return SX_OK;
    if (place->file)
        return sx_fail(err, SX_ERR_FORMAT, "%s: both %s and %s are there: two forms of one tensor",
                       sx_tensor_file_path(file),
                       sx_tensor_file_info(place->file, place->index)->name, name);
    *place = (struct model_place){file, (size_t)i};
    return SX_OK;
}

static enum sx_status consider_forms(const struct sx_tensor_file *file,
                                     const struct model_spec *spec, const char *pattern,
                                     const char *body, const char *head, uint64_t layer,
                                     struct model_place *place, struct sx_error *err)
{
    char name[MOST_NAME];
    expand(name, pattern, body, head, &layer);
    SX_TRY(consider(file, name, place, err));
    if (is_norm(spec->slot)) {
        old_norm_name(name);
        SX_TRY(consider(file, name, place, err));
    }
    if (spec->need == NEED_LAYERS && strchr(pattern, '*')) { /* transformers 5: a literal star */
        expand(name, pattern, body, head, NULL);
        SX_TRY(consider(file, name, place, err));
    }
    return SX_OK;
}

static const struct model_spec *spec_of(const struct model_family *family, enum model_slot slot)
{
    for (size_t i = 0; i < family->n_specs; i++)
        if (family->specs[i].slot == slot)
            return &family->specs[i];
    return NULL;
}

enum sx_status sx_model_find(const struct model_source *source, const struct model_family *family,
                             enum model_slot slot, uint64_t layer, struct model_place *place,
                             struct sx_error *err)
{
    const struct model_spec *spec = spec_of(family, slot);
    const struct sx_tensor_file *files[] = {source->tensors, source->contacts};
    *place = (struct model_place){0};
    if (!spec)
        return SX_OK;
    for (size_t f = 0; f < 2; f++) {
        if (!files[f] || (f == 1 && (spec->need != NEED_CONTACT || place->file)))
            continue;
        for (size_t p = 0; p < MODEL_MAX_PREFIXES && family->body[p]; p++)
            for (size_t n = 0; n < MODEL_MAX_NAMES && spec->names[n]; n++)
                SX_TRY(consider_forms(files[f], spec, spec->names[n], family->body[p],
                                      family->head[p], layer, place, err));
    }
    return SX_OK;
}

/* --- shapes ----------------------------------------------------------------------------------- */

static uint64_t extent_of(char letter, const struct sx_model_info *info)
{
    switch (letter) {
    case 'V':
        return info->vocab;
    case 'D':
        return info->d_model;
    case 'F':
        return info->d_mlp;
    case 'T':
        return 3 * info->d_model;
    case 'R':
        return info->n_bands;
    case 'C':
        return info->n_layers * info->n_heads;
    default:
        return 1;
    }
}

static void describe_shape(const struct sx_tensor_info *t, struct sx_str *s)
{
    sx_str_append(s, "[");
    for (int i = 0; i < t->rank; i++)
        sx_str_printf(s, "%s%llu", i ? ", " : "", (unsigned long long)t->shape[i]);
    sx_str_append(s, "]");
}

static enum sx_status wrong_shape(const struct sx_tensor_file *file, const struct sx_tensor_info *t,
                                  const struct sx_tensor_info *want, struct sx_error *err)
{
    struct sx_str found = SX_STR_INIT, expected = SX_STR_INIT;
    describe_shape(t, &found);
    describe_shape(want, &expected);
    sx_fail_set(err, SX_ERR_SHAPE, "%s: tensor %s: expected %s by the configuration, found %s",
                sx_tensor_file_path(file), t->name, expected.data, found.data);
    sx_str_release(&found);
    sx_str_release(&expected);
    return SX_ERR_SHAPE;
}

/* Strides of 0 and overlapping rows make a small storage look large; no model is stored so. */
static bool overlaps(const struct sx_tensor_info *t)
{
    uint64_t last = 0;
    for (int i = 0; i < t->rank; i++)
        last += t->shape[i] ? (t->shape[i] - 1) * t->strides[i] : 0;
    return t->count > last + 1;
}

static bool is_float(enum sx_dtype dtype)
{
    return dtype == SX_DTYPE_F32 || dtype == SX_DTYPE_F16 || dtype == SX_DTYPE_BF16 ||
           dtype == SX_DTYPE_F64;
}

static enum sx_status check_tensor(const struct model_spec *spec, const struct model_place *place,
                                   const struct sx_model_info *info, struct sx_error *err)
{
    const struct sx_tensor_info *t = sx_tensor_file_info(place->file, place->index);
    struct sx_tensor_info want = {.rank = (int)strlen(spec->shape)};
    bool same = t->rank == want.rank;
    for (int i = 0; i < want.rank; i++) {
        want.shape[i] = extent_of(spec->shape[i], info);
        same = same && t->shape[i] == want.shape[i];
    }
    if (!same)
        return wrong_shape(place->file, t, &want, err);
    if (!is_float(t->dtype))
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: tensor %s holds %s, expected F32, F16, BF16 or F64",
                       sx_tensor_file_path(place->file), t->name, sx_dtype_name(t->dtype));
    if (overlaps(t))
        return sx_fail(err, SX_ERR_FORMAT, "%s: tensor %s: its strides let elements overlap",
                       sx_tensor_file_path(place->file), t->name);
    return SX_OK;
}

/* --- the whole table -------------------------------------------------------------------------- */

static bool per_layer(const struct model_spec *spec)
{
    return strchr(spec->names[0], '*') != NULL;
}

static struct model_place *place_of(struct model_plan *plan, const struct model_spec *spec,
                                    uint64_t layer)
{
    return per_layer(spec) ? &plan->layers[layer][spec->slot] : &plan->once[spec->slot];
}

static enum sx_status find_all(const struct model_source *source, const struct sx_model_info *info,
                               struct model_plan *plan, struct sx_error *err)
{
    for (size_t i = 0; i < plan->family->n_specs; i++) {
        const struct model_spec *spec = &plan->family->specs[i];
        const uint64_t times = per_layer(spec) ? info->n_layers : 1;
        for (uint64_t l = 0; l < times; l++) {
            struct model_place *place = place_of(plan, spec, l);
            SX_TRY(sx_model_find(source, plan->family, spec->slot, l, place, err));
            if (!place->file)
                continue;
            SX_TRY(check_tensor(spec, place, info, err));
            if (place->file == source->tensors)
                plan->used[place->index] = true;
        }
    }
    return SX_OK;
}

/* Is any tensor of this group there? */
static bool has_group(struct model_plan *plan, const struct sx_model_info *info,
                      enum model_need need)
{
    for (size_t i = 0; i < plan->family->n_specs; i++) {
        const struct model_spec *spec = &plan->family->specs[i];
        const uint64_t times = per_layer(spec) ? info->n_layers : 1;
        for (uint64_t l = 0; spec->need == need && l < times; l++)
            if (place_of(plan, spec, l)->file)
                return true;
    }
    return false;
}

static enum sx_status missing(const struct model_source *source, const struct sx_model_info *info,
                              const struct model_plan *plan, const struct model_spec *spec,
                              uint64_t layer, struct sx_error *err)
{
    char name[MOST_NAME];
    struct sx_tensor_info want = {.rank = (int)strlen(spec->shape)};
    struct sx_str shape = SX_STR_INIT;
    size_t p = 0; /* in the spelling of the file */
    while (p + 1 < MODEL_MAX_PREFIXES && plan->family->body[p + 1]) {
        expand(name, spec_of(plan->family, SLOT_EMBED)->names[0], plan->family->body[p],
               plan->family->head[p], NULL);
        if (sx_tensor_file_find(source->tensors, name) >= 0)
            break;
        p++;
    }
    expand(name, spec->names[0], plan->family->body[p], plan->family->head[p], &layer);
    for (int i = 0; i < want.rank; i++)
        want.shape[i] = extent_of(spec->shape[i], info);
    describe_shape(&want, &shape);
    sx_fail_set(err, SX_ERR_NOTFOUND, "%s: no tensor %s, expected %s",
                sx_tensor_file_path(source->tensors), name, shape.data);
    sx_str_release(&shape);
    /* To whom asks what a path is, NOTFOUND would mean: not a transformer. */
    if (err)
        err->status = SX_ERR_FORMAT;
    return SX_ERR_FORMAT;
}

static enum sx_status check_groups(const struct model_source *source,
                                   const struct sx_model_info *info, struct model_plan *plan,
                                   struct sx_error *err)
{
    const struct model_family *family = plan->family;
    const bool present[] = {
        [NEED_ALWAYS] = true,
        [NEED_HEAD] = has_group(plan, info, NEED_HEAD),
        [NEED_CONTACT] = has_group(plan, info, NEED_CONTACT),
        [NEED_BIAS] = plan->attention_bias,
        [NEED_LAYERS] = has_group(plan, info, NEED_LAYERS),
    };
    for (size_t i = 0; i < family->n_specs; i++) {
        const struct model_spec *spec = &family->specs[i];
        const uint64_t times = per_layer(spec) ? info->n_layers : 1;
        for (uint64_t l = 0; spec->need != NEED_OPTIONAL && l < times; l++) {
            const struct model_place *place = place_of(plan, spec, l);
            if (!place->file && present[spec->need])
                return missing(source, info, plan, spec, l, err);
            if (place->file && !present[spec->need])
                return sx_fail(
                    err, SX_ERR_FORMAT, "%s: tensor %s, but attention_bias is false in %s",
                    sx_tensor_file_path(place->file),
                    sx_tensor_file_info(place->file, place->index)->name, source->config_path);
        }
    }
    return SX_OK;
}

static bool ends_with(const char *s, const char *tail)
{
    size_t a = strlen(s), b = strlen(tail);
    return a >= b && strcmp(s + a - b, tail) == 0;
}

static bool is_ignored(const struct model_family *family, const char *name)
{
    for (const char *const *tail = family->ignored; *tail; tail++)
        if (ends_with(name, *tail))
            return true;
    return false;
}

/* The layer that a name speaks of, or -1. */
static int64_t layer_in(const struct model_family *family, const char *name)
{
    for (size_t p = 0; p < MODEL_MAX_PREFIXES && family->body[p]; p++) {
        const size_t prefix = strlen(family->body[p]), stem = strlen(family->layer_stem);
        if (strncmp(name, family->body[p], prefix) != 0 ||
            strncmp(name + prefix, family->layer_stem, stem) != 0)
            continue;
        int64_t layer = -1;
        for (const char *c = name + prefix + stem; *c >= '0' && *c <= '9' && layer < 1000000; c++)
            layer = (layer < 0 ? 0 : layer) * 10 + (*c - '0');
        if (layer >= 0)
            return layer;
    }
    return -1;
}

/* What nobody asked for: other heads are no harm, more layers than the configuration says are. */
static enum sx_status check_rest(const struct model_source *source, struct sx_model_info *info,
                                 const struct model_plan *plan, struct sx_error *err)
{
    const struct sx_tensor_file *file = source->tensors;
    size_t n = 0;
    const char *first = NULL;
    for (size_t i = 0; i < sx_tensor_file_count(file); i++) {
        const char *name = sx_tensor_file_info(file, i)->name;
        if (plan->used[i] || is_ignored(plan->family, name))
            continue;
        int64_t layer = layer_in(plan->family, name);
        if (layer >= 0 && (uint64_t)layer >= info->n_layers)
            return sx_fail(err, SX_ERR_SHAPE,
                           "%s: tensor %s: the configuration says that there are %llu layers",
                           sx_tensor_file_path(file), name, (unsigned long long)info->n_layers);
        if (n++ == 0)
            first = name;
    }
    if (n == 1)
        sx_model_warn(info, "tensor %s is not used", first);
    else if (n > 1)
        sx_model_warn(info, "%zu tensors are not used: %s, …", n, first);
    return SX_OK;
}

static void count_parameters(struct model_plan *plan, struct sx_model_info *info)
{
    enum sx_dtype dtype = SX_DTYPE_F32;
    bool known = false, mixed = false;
    info->parameters = 0;
    for (size_t i = 0; i < plan->family->n_specs; i++) {
        const struct model_spec *spec = &plan->family->specs[i];
        const uint64_t times = per_layer(spec) ? info->n_layers : 1;
        for (uint64_t l = 0; l < times; l++) {
            const struct model_place *place = place_of(plan, spec, l);
            if (!place->file || spec->need == NEED_LAYERS || spec->need == NEED_OPTIONAL)
                continue;
            const struct sx_tensor_info *t = sx_tensor_file_info(place->file, place->index);
            info->parameters += t->count;
            if (t->rank != 2 || spec->need == NEED_CONTACT)
                continue;
            mixed |= known && dtype != t->dtype;
            dtype = t->dtype;
            known = true;
        }
    }
    (void)snprintf(info->dtype, sizeof info->dtype, "%s", sx_dtype_name(dtype));
    if (mixed)
        sx_model_warn(info, "matrices are stored in several types; %s is shown", info->dtype);
}

enum sx_status sx_model_resolve(const struct model_source *source, struct sx_model_info *info,
                                struct model_plan *plan, struct sx_error *err)
{
    SX_ASSERT(info->n_layers > 0 && info->n_layers <= MODEL_MAX_LAYERS);
    plan->layers = sx_xcalloc(info->n_layers, sizeof *plan->layers);
    plan->used = sx_xcalloc(sx_tensor_file_count(source->tensors) + 1, sizeof *plan->used);
    SX_TRY(find_all(source, info, plan, err));
    SX_TRY(check_groups(source, info, plan, err));
    info->has_lm_head = has_group(plan, info, NEED_HEAD);
    info->has_contact_head = has_group(plan, info, NEED_CONTACT);
    count_parameters(plan, info);
    return check_rest(source, info, plan, err);
}

void sx_model_plan_release(struct model_plan *plan)
{
    sx_free(plan->layers);
    sx_free(plan->used);
    *plan = (struct model_plan){0};
}

/* --- sizes without a configuration ------------------------------------------------------------ */

static enum sx_status shape_of(const struct model_source *source, const struct model_family *family,
                               enum model_slot slot, int rank, uint64_t shape[2],
                               struct sx_error *err)
{
    struct model_place place;
    SX_TRY(sx_model_find(source, family, slot, 0, &place, err));
    const struct sx_tensor_info *t =
        place.file ? sx_tensor_file_info(place.file, place.index) : NULL;
    if (!t || t->rank != rank || t->shape[0] == 0 || (rank == 2 && t->shape[1] == 0))
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: no configuration, and %s %s: the sizes cannot be told", source->weights,
                       spec_of(family, slot)->names[0] + 1,
                       t ? "has not the expected rank" : "is missing");
    memcpy(shape, t->shape, (size_t)rank * sizeof *shape);
    return SX_OK;
}

enum sx_status sx_model_infer(const struct model_source *source, const struct model_family *family,
                              struct sx_model_info *info, struct sx_error *err)
{
    uint64_t embed[2], up[2], bands[2];
    SX_TRY(shape_of(source, family, SLOT_EMBED, 2, embed, err));
    SX_TRY(shape_of(source, family, SLOT_UP_W, 2, up, err));
    SX_TRY(shape_of(source, family, SLOT_INV_FREQ, 1, bands, err));
    info->vocab = embed[0];
    info->d_model = embed[1];
    info->d_mlp = up[0];
    if (bands[0] > SX_MAX_BANDS || info->d_model % (2 * bands[0]) != 0)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %llu rotary bands do not divide a width of %llu",
                       source->weights, (unsigned long long)bands[0],
                       (unsigned long long)info->d_model);
    info->n_heads = info->d_model / (2 * bands[0]);
    for (struct model_place place; info->n_layers < MODEL_MAX_LAYERS; info->n_layers++) {
        SX_TRY(sx_model_find(source, family, SLOT_UP_W, info->n_layers, &place, err));
        if (!place.file)
            break;
    }
    return SX_OK;
}

/* --- binding ---------------------------------------------------------------------------------- */

void *sx_model_alloc(struct sx_model *model, size_t count, size_t size)
{
    void *p = sx_alloc_big(count ? count : 1, size);
    if (!p)
        return NULL;
    SX_GROW(model->owned, model->owned_capacity, model->n_owned + 1);
    model->owned[model->n_owned++] = p;
    return p;
}

enum sx_status sx_model_bind_vector(struct sx_model *model, const struct model_place *place,
                                    const float **out, struct sx_error *err)
{
    *out = NULL;
    if (!place->file)
        return SX_OK;
    const struct sx_tensor_info *t = sx_tensor_file_info(place->file, place->index);
    float *copy = sx_model_alloc(model, t->count, sizeof *copy);
    if (!copy)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %s, %llu numbers",
                       sx_tensor_file_path(place->file), t->name, (unsigned long long)t->count);
    *out = copy;
    return sx_tensor_file_read_f32(place->file, place->index, copy, err);
}

enum sx_status sx_model_bind_norm(struct sx_model *model, const struct model_place *gamma,
                                  const struct model_place *beta, struct sx_norm *norm,
                                  struct sx_error *err)
{
    SX_TRY(sx_model_bind_vector(model, gamma, &norm->gamma, err));
    return sx_model_bind_vector(model, beta, &norm->beta, err);
}

enum sx_status sx_model_bind_weight(struct sx_model *model, const struct model_place *place,
                                    const struct model_place *bias, struct sx_weight *weight,
                                    struct sx_error *err)
{
    const struct sx_tensor_info *t = sx_tensor_file_info(place->file, place->index);
    const float *copy;
    weight->out = (size_t)t->shape[0];
    weight->in = (size_t)t->shape[1];
    if (bias)
        SX_TRY(sx_model_bind_vector(model, bias, &weight->bias, err));
    weight->storage = t->dtype == SX_DTYPE_F16    ? SX_STORE_F16
                      : t->dtype == SX_DTYPE_BF16 ? SX_STORE_BF16
                                                  : SX_STORE_F32;
    if (t->dtype != SX_DTYPE_F64)
        weight->stored = sx_tensor_file_map_raw(place->file, place->index);
    if (weight->stored)
        return SX_OK;
    weight->storage = SX_STORE_F32;
    SX_TRY(sx_model_bind_vector(model, place, &copy, err));
    weight->stored = copy;
    return SX_OK;
}

void sx_model_share_weight(struct sx_weight *weight, const struct sx_weight *from)
{
    weight->storage = from->storage;
    weight->stored = from->stored;
    weight->out = from->out;
    weight->in = from->in;
}

/* --- frequencies ------------------------------------------------------------------------------ */

float sx_model_frequency(const struct sx_model_info *info, uint64_t band)
{
    const float exponent = (float)(2 * band) / (float)(2 * info->n_bands);
    return 1.0F / (float)pow(info->rope_theta, (double)exponent);
}

static enum sx_status read_frequencies(const struct model_place *place,
                                       const struct sx_model_info *info, float *out,
                                       struct sx_error *err)
{
    const char *name = sx_tensor_file_info(place->file, place->index)->name;
    SX_TRY(sx_tensor_file_read_f32(place->file, place->index, out, err));
    for (uint64_t b = 0; b < info->n_bands; b++)
        if (!(out[b] > 0) || !isfinite(out[b]) || (b > 0 && !(out[b] < out[b - 1])))
            return sx_fail(err, SX_ERR_NUMERIC,
                           "%s: tensor %s: entry %llu is %.9g, expected positive numbers that fall",
                           sx_tensor_file_path(place->file), name, (unsigned long long)b,
                           (double)out[b]);
    return SX_OK;
}

enum sx_status sx_model_stored_frequencies(const struct model_plan *plan,
                                           const struct sx_model_info *info, float *out,
                                           struct sx_error *err)
{
    float other[SX_MAX_BANDS];
    SX_ASSERT(info->n_bands <= SX_MAX_BANDS);
    SX_TRY(read_frequencies(&plan->layers[0][SLOT_INV_FREQ], info, out, err));
    for (uint64_t l = 1; l < info->n_layers; l++) {
        const struct model_place *place = &plan->layers[l][SLOT_INV_FREQ];
        SX_TRY(read_frequencies(place, info, other, err));
        for (uint64_t b = 0; b < info->n_bands; b++)
            if (other[b] != out[b])
                return sx_fail(err, SX_ERR_NUMERIC,
                               "%s: tensor %s: entry %llu is %.9g, but layer 0 has %.9g",
                               sx_tensor_file_path(place->file),
                               sx_tensor_file_info(place->file, place->index)->name,
                               (unsigned long long)b, (double)other[b], (double)out[b]);
    }
    return SX_OK;
}
