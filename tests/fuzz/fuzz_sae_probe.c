/* Any set of tensors under the names that readers look for, with any JSON beside them: probing,
 * loading, measuring, applying and converting must answer, whatever fits together or not. The
 * containers have fuzzers of their own; here they are always well-formed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/io/tensor_write.h"
#include "sextant/sae/sae.h"

static const char *const tensor_names[] = {
    "W_enc",
    "W_dec",
    "b_enc",
    "b_dec",
    "threshold",
    "encoder.weight",
    "encoder.bias",
    "decoder.weight",
    "decoder.bias",
    "bias",
    "k",
    "group_sizes",
    "b_gate",
    "b_mag",
    "r_mag",
    "gate_bias",
    "mag_bias",
    "decoder_bias",
    "W_skip",
    "activation_rescale_factor",
    "pre_bias",
    "encoder_weights",
    "decoder_weights",
    "encoder_bias",
    "ae.W_enc",
    "ae.W_dec",
    "ae.b_enc",
    "ae.b_dec",
    "ae.threshold",
    "ae.group_sizes",
    "ae.k",
    "normalize_to_sqrt_d",
    "ae.encoder.weight",
    "ae.decoder.weight",
    "ae.bias",
    "scaling_factor",
};
enum { NAMES = sizeof tensor_names / sizeof *tensor_names, MOST_TENSORS = 10, SIDE = 9 };

static char folder[64];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void enter(void)
{
    snprintf(folder, sizeof folder, "%s/sextant-fuzz-XXXXXX", P_tmpdir);
    if (!mkdtemp(folder))
        abort();
}

static const char *inside(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void leave(void)
{
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    enter();
    atexit(leave);
    return 0;
}

/* Tensors described by 3 bytes each; *used: bytes taken. Values come from the bytes too. */
static size_t make_tensors(const uint8_t *data, size_t size, struct sx_tensor_out *out,
                           const void *values, size_t *used)
{
    static const enum sx_dtype dtypes[] = {SX_DTYPE_F32, SX_DTYPE_F32, SX_DTYPE_I32, SX_DTYPE_I64};
    size_t n = 0, at = 1;
    size_t want = size > 0 ? data[0] % (MOST_TENSORS + 1) : 0;
    bool taken[NAMES] = {false};
    for (; n < want && at + 3 <= size; at += 3) {
        size_t name = data[at] % NAMES;
        if (taken[name])
            continue;
        taken[name] = true;
        out[n++] = (struct sx_tensor_out){.name = tensor_names[name],
                                          .dtype = dtypes[data[at + 1] >> 6],
                                          .rank = data[at + 1] % 3,
                                          .shape = {data[at + 2] % SIDE, data[at + 2] / 16 % SIDE},
                                          .data = values};
    }
    *used = at < size ? at : size;
    return n;
}

static void write_text(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

static void use(struct sx_sae *sae)
{
    struct sx_sae_stats stats;
    struct sx_error err;
    float x[SIDE] = {1, -2, 3, -4, 5, -6, 7, -8, 9}, recon[SIDE];
    struct sx_sae_acts acts = {0};
    if (sx_sae_measure(sae, &stats, &err) == SX_OK)
        sx_value_free(sx_sae_describe(&sae->info, &stats));
    if (sx_sae_encode(sae, x, 1, &acts, recon, NULL, &err) == SX_OK)
        (void)!sx_sae_decode(sae, &acts, x, recon, NULL, &err);
    sx_sae_acts_release(&acts);
    struct sx_value *doc = NULL;
    if (sx_sae_compare(sae, sae, &doc, &err) == SX_OK)
        sx_value_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float values[SIDE * SIDE * 2];
    struct sx_tensor_out out[MOST_TENSORS];
    struct sx_error err;
    size_t used = 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = i < size ? (float)(int8_t)data[size - 1 - i] / 16 : 1;
    size_t n = make_tensors(data, size, out, values, &used);
    bool torch = size > 1 && data[1] % 2;
    const char *file = torch ? "ae.pt" : "sae_weights.safetensors";
    enum sx_status status = torch ? sx_torch_zip_write(inside(file), out, n, &err)
                                  : sx_safetensors_write(inside(file), out, n, NULL, &err);
    if (status != SX_OK)
        return 0;
    const char *config = torch ? "config.json" : "cfg.json";
    write_text(inside(config), data + used, size - used);
    struct sx_sae_info info;
    struct sx_sae *sae = NULL;
    if (sx_sae_probe(folder, &info, &err) == SX_OK)
        sx_sae_info_release(&info);
    if (sx_sae_load(folder, &sae, &err) == SX_OK)
        use(sae);
    sx_sae_unref(sae);
    unlink(inside(file));
    unlink(inside(config));
    return 0;
}
