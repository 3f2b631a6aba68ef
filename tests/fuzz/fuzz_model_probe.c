/* Any JSON as config.json beside tensors under the names of the families, each missing, misshapen
 * or of another type as the input says: probing and opening must answer, and what opens must be
 * whole. The containers have fuzzers of their own; here they are well-formed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/tiny_models.h"
#include "sextant/base/alloc.h"
#include "sextant/io/tensor_write.h"
#include "sextant/model/model.h"

enum { MOST_TENSORS = 96, SIDE = 12 };

static char folder[64];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void leave(void)
{
    tiny_remove(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    snprintf(folder, sizeof folder, "%s/sextant-fuzz-XXXXXX", P_tmpdir);
    if (!mkdtemp(folder))
        abort();
    atexit(leave);
    return 0;
}

/* Sum of what a forward pass would read, so that the sanitizer sees every element. */
static float touch(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; x && i < n; i++)
        sum += x[i];
    return sum;
}

static float touch_weight(const struct sx_weight *w)
{
    return touch(w->stored ? sx_weight_f32(w) : NULL, w->out * w->in) + touch(w->bias, w->out);
}

static void use(struct sx_model *model)
{
    const struct sx_model_info *info = sx_model_info(model);
    const struct sx_model_weights *w = sx_model_weights(model);
    float sum = touch_weight(&w->embed) + touch_weight(&w->head_dense) + touch_weight(&w->unembed);
    for (uint64_t l = 0; l < info->n_layers; l++) {
        const struct sx_layer *x = &w->layers[l];
        const struct sx_weight *all[] = {&x->q, &x->k, &x->v, &x->attn_out, &x->up, &x->down};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            sum += touch_weight(all[i]);
        sum += touch(x->ln1.gamma, info->d_model) + touch(x->ln2.beta, info->d_model);
    }
    sum += touch(w->contact_weight, w->contact_weight ? info->n_layers * info->n_heads : 0);
    sum += touch(sx_model_frequencies(model), info->n_bands);
    char print[33];
    struct sx_error err;
    if (sx_model_fingerprint(model, print, &err) != SX_OK || info->d_head == 0 ||
        info->n_heads * info->d_head != info->d_model || (sum > 1 && sum < 0))
        abort();
}

/* Each tensor is as it should be where the input has a zero. */
static size_t spoil(const struct tiny_model *m, const uint8_t *data, size_t size,
                    struct sx_tensor_out *out, const void *values)
{
    static const enum sx_dtype dtypes[] = {SX_DTYPE_F32, SX_DTYPE_F16, SX_DTYPE_BF16,
                                           SX_DTYPE_F64, SX_DTYPE_I64, SX_DTYPE_U8};
    size_t n = 0;
    for (size_t i = 0; i < m->n && n < MOST_TENSORS; i++) {
        const struct tiny_tensor *t = &m->tensors[i];
        uint8_t how = i < size ? data[i] : 0;
        if (how % 16 == 1)
            continue;
        struct sx_tensor_out *o = &out[n++];
        *o = (struct sx_tensor_out){.name = t->name,
                                    .dtype = how ? dtypes[how % 6] : SX_DTYPE_F32,
                                    .rank = t->rank,
                                    .shape = {t->shape[0], t->shape[1]},
                                    .data = how ? values : t->data};
        if (how % 16 == 2)
            o->shape[0] = how / 16 % SIDE;
        if (how % 16 == 3)
            o->rank = how / 16 % 3;
    }
    return n;
}

static void write_text(const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static double values[64 * 64];
    static const struct tiny_shape shapes[] = {{SX_MODEL_ESM2, 2, 8, 2, SIDE, 33, 2},
                                               {SX_MODEL_GPT_NEOX, 2, 8, 2, SIDE, 20, 1}};
    const uint8_t flags = size > 0 ? data[0] : 0;
    struct tiny_model m = tiny_golden(shapes[flags % 2]);
    const struct tiny_options plain = {0};
    struct sx_tensor_out out[MOST_TENSORS];
    struct sx_error err;
    char path[128];
    /* A byte a tensor up to the first brace; from there on the config. */
    const uint8_t *brace = size > 1 ? memchr(data + 1, '{', size - 1) : NULL;
    size_t used = brace ? (size_t)(brace - data) : size;
    size_t n = spoil(&m, data + (size > 0), used > 0 ? used - 1 : 0, out, values);
    if (flags & 2)
        write_text("config.json", data + used, size - used);
    else
        tiny_write_config(&m, folder, &plain);
    bool torch = flags & 4;
    snprintf(path, sizeof path, "%s/%s", folder, torch ? "pytorch_model.bin" : "model.safetensors");
    enum sx_status status = torch ? sx_torch_zip_write(path, out, n, &err)
                                  : sx_safetensors_write(path, out, n, NULL, &err);
    struct sx_model_info info;
    struct sx_model *model = NULL;
    const char *what = flags & 8 ? path : folder;
    if (status == SX_OK) {
        enum sx_status probed = sx_model_probe(what, &info, &err);
        if (probed == SX_OK)
            sx_model_info_release(&info);
        if (sx_model_open(what, NULL, &model, &err) == SX_OK) {
            if (probed != SX_OK)
                abort();
            use(model);
        }
        sx_model_unref(model);
    }
    unlink(path);
    tiny_release(&m);
    return 0;
}
