/* Writes the 24-SAE grid of Jedryszek & Crook 2026, section 2 (TopK, 512 -> 16,384, k x lambda x
 * seed, about 1.6 GB) with random weights in dictionary_learning's form, for measuring how a large
 * workspace opens:  make_topk_workspace DIR [D F] */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/base/str.h"
#include "sextant/io/tensor_write.h"

static const int ks[] = {40, 80, 150, 320};
static const double lambdas[] = {0, 1e-4};
enum { SEEDS = 3, N_K = 4, N_LAMBDA = 2 };

static void fill(float *x, size_t n, struct sx_rng *rng, float scale)
{
    for (size_t i = 0; i < n; i++)
        x[i] = scale * ((float)(sx_rng_u32(rng) >> 8) * 0x1p-23f - 1.0f);
}

static void make_dir(const char *path)
{
    if (mkdir(path, 0777) && errno != EEXIST) {
        perror(path);
        exit(1);
    }
}

static void write_config(const char *folder, int k, double lambda, int seed, size_t d, size_t f)
{
    char *path = sx_xasprintf("%s/config.json", folder);
    FILE *out = fopen(path, "w");
    if (!out) {
        perror(path);
        exit(1);
    }
    fprintf(out,
            "{\"trainer\": {\"trainer_class\": \"TopKTrainerL2\", \"dict_class\": "
            "\"AutoEncoderTopK\", \"seed\": %d, \"activation_dim\": %zu, \"dict_size\": %zu, "
            "\"k\": %d, \"l2_w\": %g, \"layer\": 3, \"lm_name\": "
            "\"EleutherAI/pythia-70m-deduped\", \"submodule_name\": \"resid_post_layer_3\"}, "
            "\"buffer\": {\"ctx_len\": 1024}}\n",
            seed, d, f, k, lambda);
    fclose(out);
    sx_free(path);
}

static void write_sae(const char *folder, int k, uint64_t stream, size_t d, size_t f)
{
    struct sx_rng rng = sx_rng_make(20260304, stream);
    float *enc = sx_alloc_big(d * f, sizeof *enc), *dec = sx_alloc_big(d * f, sizeof *dec);
    float *b_enc = sx_calloc_big(f, sizeof *b_enc), *b_dec = sx_calloc_big(d, sizeof *b_dec);
    float threshold = -1;
    int32_t k32 = k;
    if (!enc || !dec || !b_enc || !b_dec)
        exit(1);
    fill(enc, d * f, &rng, sqrtf(3.0f / (float)d));
    fill(dec, d * f, &rng, sqrtf(3.0f / (float)d));
    const struct sx_tensor_out tensors[] = {
        {"b_dec", SX_DTYPE_F32, 1, {d}, b_dec},
        {"k", SX_DTYPE_I32, 0, {0}, &k32},
        {"threshold", SX_DTYPE_F32, 0, {0}, &threshold},
        {"decoder.weight", SX_DTYPE_F32, 2, {d, f}, dec},
        {"encoder.weight", SX_DTYPE_F32, 2, {f, d}, enc},
        {"encoder.bias", SX_DTYPE_F32, 1, {f}, b_enc},
    };
    char *path = sx_xasprintf("%s/ae.pt", folder);
    struct sx_error err;
    if (sx_torch_zip_write(path, tensors, sizeof tensors / sizeof *tensors, &err) != SX_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    sx_free(path);
    sx_free(enc);
    sx_free(dec);
    sx_free(b_enc);
    sx_free(b_dec);
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: make_topk_workspace DIR [D F]\n");
        return 2;
    }
    size_t d = argc == 4 ? strtoul(argv[2], NULL, 10) : 512;
    size_t f = argc == 4 ? strtoul(argv[3], NULL, 10) : 16384;
    make_dir(argv[1]);
    for (int seed = 0; seed < SEEDS; seed++)
        for (int ik = 0; ik < N_K; ik++)
            for (int il = 0; il < N_LAMBDA; il++) {
                int index = N_K * N_LAMBDA * seed + N_LAMBDA * ik + il;
                char *folder = sx_xasprintf("%s/trainer_%d", argv[1], index);
                make_dir(folder);
                write_config(folder, ks[ik], lambdas[il], seed, d, f);
                write_sae(folder, ks[ik], (uint64_t)index, d, f);
                sx_free(folder);
            }
    return 0;
}
