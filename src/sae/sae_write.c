/* What the writers share: tensors to be written, the JSON beside them, and the refusal of a form
 * that would apply another function. What a form merely has no name for (a seed, a penalty) goes
 * where its library ignores it. */
#include "sae_write.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/str.h"
#include "sextant/io/json.h"

void sx_bundle_release(struct sx_bundle *b)
{
    for (size_t i = 0; i < b->n_owned; i++)
        sx_free(b->owned[i]);
    b->n_owned = 0;
}

void sx_bundle_add(struct sx_bundle *b, const char *name, enum sx_dtype dtype, int rank,
                   uint64_t rows, uint64_t columns, const void *data)
{
    SX_ASSERT(b->n < SX_MAX_OUT);
    b->out[b->n++] = (struct sx_tensor_out){
        .name = name, .dtype = dtype, .rank = rank, .shape = {rows, columns}, .data = data};
}

void sx_bundle_add_slot(struct sx_bundle *b, const char *name, enum sx_slot slot)
{
    uint64_t shape[2] = {1, 1};
    int rank = sx_slot_shape(slot, b->sae->info.activation_dim, b->sae->info.dict_size, shape);
    sx_bundle_add(b, name, SX_DTYPE_F32, rank, shape[0], shape[1], sx_slot_get(b->sae, slot));
}

static enum sx_status own(struct sx_bundle *b, const char *name, uint64_t count, float **data,
                          struct sx_error *err)
{
    SX_ASSERT(b->n_owned < SX_MAX_OUT);
    *data = sx_alloc_big(count, sizeof **data);
    if (!*data)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for a copy of %s, %llu numbers", name,
                       (unsigned long long)count);
    b->owned[b->n_owned++] = *data;
    return SX_OK;
}

enum sx_status sx_bundle_add_transposed(struct sx_bundle *b, const char *name, enum sx_slot slot,
                                        struct sx_error *err)
{
    const uint64_t d = b->sae->info.activation_dim, f = b->sae->info.dict_size;
    const float *from = sx_slot_get(b->sae, slot);
    float *to;
    SX_TRY(own(b, name, d * f, &to, err));
    enum { TILE = 64 }; /* a tile of both sides stays in the cache */
    for (uint64_t j0 = 0; j0 < f; j0 += TILE)
        for (uint64_t e0 = 0; e0 < d; e0 += TILE)
            for (uint64_t j = j0; j < f && j < j0 + TILE; j++)
                for (uint64_t e = e0; e < d && e < e0 + TILE; e++)
                    to[e * f + j] = from[j * d + e];
    sx_bundle_add(b, name, SX_DTYPE_F32, 2, d, f, to);
    return SX_OK;
}

enum sx_status sx_bundle_add_constant(struct sx_bundle *b, const char *name, float value,
                                      struct sx_error *err)
{
    const uint64_t f = b->sae->info.dict_size;
    float *same;
    SX_TRY(own(b, name, f, &same, err));
    for (uint64_t j = 0; j < f; j++)
        same[j] = value;
    sx_bundle_add(b, name, SX_DTYPE_F32, 1, f, 1, same);
    return SX_OK;
}

enum sx_status sx_write_refuse(const struct sx_sae *sae, const char *form, const char *why,
                               struct sx_error *err)
{
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s cannot hold this SAE exactly: %s",
                   sae->info.path ? sae->info.path : "SAE", form, why);
}

void sx_warn_signed(const char *form, const char *path)
{
    sx_log(SX_LOG_WARN,
           "%s: top k without a relu; %s applies one, which differs where fewer than k "
           "pre-activations are positive",
           path, form);
}

bool sx_pre_matters(const struct sx_sae *sae)
{
    for (uint64_t e = 0; e < sae->info.activation_dim; e++)
        if (sae->b_dec[e] != 0)
            return true;
    return false;
}

bool sx_is_batch(const struct sx_sae_info *info)
{
    return info->arch == SX_ARCH_BATCHTOPK || info->arch == SX_ARCH_MATRYOSHKA;
}

/* To a temporary name beside it, then renamed. */
static enum sx_status write_text(const char *path, const struct sx_str *text, struct sx_error *err)
{
    char *temporary = sx_xasprintf("%s.tmp", path);
    FILE *file = fopen(temporary, "wb");
    bool ok = file && fwrite(text->data, 1, text->len, file) == text->len;
    ok = file && fclose(file) == 0 && ok;
    ok = ok && rename(temporary, path) == 0;
    enum sx_status status = SX_OK;
    if (!ok) {
        status = sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
        (void)remove(temporary);
    }
    sx_free(temporary);
    return status;
}

enum sx_status sx_write_json(const char *folder, const char *name, const struct sx_value *v,
                             struct sx_error *err)
{
    struct sx_str text = SX_STR_INIT;
    sx_json_write(v, 2, &text);
    sx_str_append_char(&text, '\n');
    char *path = sx_xasprintf("%s/%s", folder, name);
    enum sx_status status = write_text(path, &text, err);
    sx_free(path);
    sx_str_release(&text);
    return status;
}

void sx_set_int(struct sx_value *map, const char *key, int64_t value)
{
    sx_value_set(map, key, value < 0 ? sx_value_null() : sx_value_int(value));
}

void sx_set_real(struct sx_value *map, const char *key, double value)
{
    if (!isnan(value))
        sx_value_set(map, key, sx_value_real(value));
}

void sx_set_string(struct sx_value *map, const char *key, const char *value)
{
    if (value)
        sx_value_set(map, key, sx_value_string(value));
}
