/* The forward pass against what its products allow, in one run:
 *   bench_forward [threads]
 * ESM2-8M and Pythia-70M shapes with random weights. Printed are the rate of floating-point
 * operations (two a parameter and token, and 4 T^2 D a layer for attention) as a ratio to that of a
 * 2048^3 product measured in turns with the passes, what keeping all attention maps costs, and
 * generation as a ratio to reading all weights once a token at the memory's measured rate.
 *
 *   bench_forward --time pass FOLDER TOKENS BATCH        all logits
 *   bench_forward --time generate FOLDER TOKENS BATCH    greedy, after 16 tokens
 * print the seconds of the best of a few rounds, for comparisons with other programs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../support/tiny_models.h"
#include "sextant/core/blas.h"
#include "sextant/core/gang.h"
#include "sextant/model/generate.h"

enum { ROUNDS = 7, SIDE = 2048, MAX_BATCH = 64 };

static int threads;

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(enum sx_status status, const struct sx_error *err)
{
    if (status == SX_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* --- a model and a batch ------------------------------------------------------------------------
 */

struct bed {
    char folder[64];
    struct sx_model *model;
    struct sx_runner *runner;
    const struct sx_model_info *info;
};

static void open_bed(struct bed *bed, const char *folder)
{
    struct sx_error err = {0};
    must(sx_model_open(folder, NULL, &bed->model, &err), &err);
    bed->runner = sx_runner_new(bed->model, threads);
    bed->info = sx_model_info(bed->model);
}

static struct bed make_bed(struct tiny_shape shape, enum sx_dtype dtype)
{
    struct bed bed = {.folder = "/tmp/sextant-bench-XXXXXX"};
    struct tiny_model m = tiny_random(shape, 1);
    if (!mkdtemp(bed.folder))
        exit(1);
    tiny_write(&m, bed.folder, &(struct tiny_options){.dtype = dtype});
    tiny_release(&m);
    open_bed(&bed, bed.folder);
    return bed;
}

static void close_bed(struct bed *bed)
{
    sx_runner_free(bed->runner);
    sx_model_unref(bed->model);
    if (bed->folder[0])
        tiny_remove(bed->folder);
}

struct batch {
    size_t n, tokens, n_rows; /* n_rows: of logits, each */
    int32_t *ids;
    float *logits;
    uint32_t last;
    struct sx_sequence sequences[MAX_BATCH];
    struct sx_pass pass;
};

static void make_batch(struct batch *b, const struct bed *bed, size_t n, size_t tokens, bool all)
{
    *b = (struct batch){.n = n, .tokens = tokens, .n_rows = all ? tokens : 1};
    bool esm = bed->info->family == SX_MODEL_ESM2;
    struct sx_rng rng = sx_rng_make(3, 1);
    b->ids = sx_xcalloc(n * tokens, sizeof *b->ids);
    b->logits = sx_xcalloc(n * b->n_rows * bed->info->vocab, sizeof *b->logits);
    b->last = (uint32_t)tokens - 1;
    for (size_t i = 0; i < n * tokens; i++)
        b->ids[i] = (int32_t)(esm ? 4 + sx_rng_below(&rng, 20) : sx_rng_below(&rng, 50000));
    for (size_t i = 0; i < n; i++)
        b->sequences[i] = (struct sx_sequence){.ids = b->ids + i * tokens,
                                               .n = tokens,
                                               .embed_scale = NAN,
                                               .rows = all ? NULL : &b->last,
                                               .n_rows = b->n_rows};
    b->pass = (struct sx_pass){.sequences = b->sequences, .n_sequences = n, .logits = b->logits};
}

static void release_batch(struct batch *b)
{
    sx_free(b->ids);
    sx_free(b->logits);
}

static double time_pass(const struct bed *bed, const struct batch *b)
{
    struct sx_error err = {0};
    double start = now();
    must(sx_run_pass(bed->runner, &b->pass, NULL, &err), &err);
    return now() - start;
}

static double flops(const struct bed *bed, const struct batch *b)
{
    const struct sx_model_info *info = bed->info;
    double D = (double)info->d_model, F = (double)info->d_mlp, L = (double)info->n_layers;
    double V = (double)info->vocab, T = (double)b->tokens, rows = (double)b->n_rows;
    double head = (info->family == SX_MODEL_ESM2 ? D * D : 0) + V * D;
    return (double)b->n *
           (T * 2 * L * (4 * D * D + 2 * D * F) + 4 * T * T * D * L + rows * 2 * head);
}

/* --- limits -------------------------------------------------------------------------------------
 */

static double time_product(void)
{
    static float *a, *b, *c;
    if (!a) {
        a = sx_calloc_big((size_t)SIDE * SIDE, sizeof *a);
        b = sx_calloc_big((size_t)SIDE * SIDE, sizeof *b);
        c = sx_calloc_big((size_t)SIDE * SIDE, sizeof *c);
    }
    double start = now();
    sx_gemm(false, true, SIDE, SIDE, SIDE, 1, a, SIDE, b, SIDE, 0, c, SIDE);
    return now() - start;
}

struct reading {
    const uint64_t *data;
    size_t n;
    uint64_t seen[SX_GANG_MAX][8];
};

static void read_part(void *arg, struct sx_gang *gang, int member)
{
    struct reading *r = arg;
    size_t first, last;
    sx_gang_share(gang, member, r->n / 32, &first, &last);
    uint64_t all[32] = {0};
    for (size_t i = first * 32; i < last * 32; i += 32)
        for (size_t k = 0; k < 32; k++)
            all[k] |= r->data[i + k];
    for (size_t k = 0; k < 32; k++)
        r->seen[member][k % 8] |= all[k];
}

/* Seconds to read so many bytes once, on all threads; the best of a few times. */
static double time_reading(size_t bytes)
{
    struct sx_gang *gang = sx_gang_new(threads);
    struct reading r = {.n = bytes / 8};
    void *data = sx_calloc_big(bytes / 8 + 32, 8);
    memset(data, 1, bytes);
    r.data = data;
    double best = INFINITY;
    for (int i = 0; i < 3 * ROUNDS; i++) {
        double start = now();
        sx_gang_run(gang, read_part, &r);
        best = fmin(best, now() - start);
    }
    sx_gang_free(gang);
    sx_free(data);
    return best;
}

/* --- cases --------------------------------------------------------------------------------------
 */

static void compare_pass(const char *name, const struct bed *bed, size_t n, size_t tokens, bool all)
{
    struct batch b;
    make_batch(&b, bed, n, tokens, all);
    double pass = INFINITY, product = INFINITY;
    for (int i = 0; i < ROUNDS; i++) {
        product = fmin(product, time_product());
        pass = fmin(pass, time_pass(bed, &b));
    }
    double rate = flops(bed, &b) / pass, limit = 2.0 * SIDE * SIDE * SIDE / product;
    printf("%-34s %8.1f ms %8.0f tokens/s %6.1f of %6.1f Gflop/s: %.2f\n", name, pass * 1e3,
           (double)(n * tokens) / pass, rate / 1e9, limit / 1e9, rate / limit);
    release_batch(&b);
}

static void compare_maps(const struct bed *bed, size_t n, size_t tokens)
{
    struct batch b;
    make_batch(&b, bed, n, tokens, true);
    struct sx_capture captures[MAX_BATCH];
    for (size_t i = 0; i < n; i++) {
        captures[i] = (struct sx_capture){.point = SX_POINT_ATTN, .sequence = i};
        captures[i].out =
            sx_calloc_big(sx_capture_count(bed->info, &captures[i], tokens), sizeof(float));
        if (!captures[i].out)
            exit(1);
    }
    double with = INFINITY, without = INFINITY;
    for (int i = 0; i < ROUNDS; i++) {
        b.pass.hooks = (struct sx_hooks){0};
        without = fmin(without, time_pass(bed, &b));
        b.pass.hooks = (struct sx_hooks){.captures = captures, .n_captures = n};
        with = fmin(with, time_pass(bed, &b));
    }
    printf("  attention maps kept, %zu x %zu        %8.1f ms: %.2f of the pass without\n", n,
           tokens, with * 1e3, with / without);
    for (size_t i = 0; i < n; i++)
        sx_free(captures[i].out);
    release_batch(&b);
}

/* Seconds a token, from the differences between long and short generations. */
static double time_generation(const struct bed *bed, size_t batch, size_t max_new)
{
    struct sx_error err = {0};
    int32_t ids[16];
    for (int i = 0; i < 16; i++)
        ids[i] = 100 + 7 * i;
    struct sx_ids prompts[MAX_BATCH];
    for (size_t i = 0; i < batch; i++)
        prompts[i] = (struct sx_ids){.ids = ids, .n = 16};
    const struct sx_generate request = {
        .prompts = prompts,
        .n_prompts = batch,
        .max_new = max_new,
        .sampling = {.greedy = true, .temperature = 1, .top_p = 1, .repetition_penalty = 1}};
    struct sx_generation out[MAX_BATCH];
    double start = now();
    must(sx_generate(bed->runner, &request, out, NULL, &err), &err);
    double seconds = now() - start;
    sx_generations_release(out, batch);
    return seconds;
}

static void compare_generation(const char *name, const struct bed *bed, size_t size)
{
    const struct sx_model_info *info = bed->info;
    uint64_t D = info->d_model;
    uint64_t read =
        info->n_layers * (4 * D * D + 2 * D * info->d_mlp) + info->vocab * D; /* a token */
    double reading = time_reading(read * size);
    double many = INFINITY, few = INFINITY;
    for (int i = 0; i < 3; i++) {
        few = fmin(few, time_generation(bed, 1, 2));
        many = fmin(many, time_generation(bed, 1, 42));
        reading = fmin(reading, time_reading(read * size));
    }
    double token = (many - few) / 40;
    printf("%-34s %8.2f ms a token, %.1f tokens/s; weights read at %.1f GB/s in %.2f ms: %.2f\n",
           name, token * 1e3, 1 / token, (double)(read * size) / reading / 1e9, reading * 1e3,
           reading / token);
}

static int time_one(char **argv)
{
    struct bed bed = {0};
    open_bed(&bed, argv[1]);
    size_t tokens = strtoul(argv[2], NULL, 10), n = strtoul(argv[3], NULL, 10);
    if (tokens == 0 || n == 0 || n > MAX_BATCH)
        return 2;
    struct batch b;
    make_batch(&b, &bed, n, tokens, true);
    bool pass = strcmp(argv[0], "pass") == 0;
    double best = INFINITY;
    for (int i = 0; i < (pass ? 5 : 2); i++)
        best = fmin(best, pass ? time_pass(&bed, &b) : time_generation(&bed, n, tokens));
    printf("%.6f\n", best);
    release_batch(&b);
    close_bed(&bed);
    return 0;
}

static void esm(void)
{
    struct bed bed =
        make_bed((struct tiny_shape){SX_MODEL_ESM2, 6, 320, 20, 1280, 33, 0}, SX_DTYPE_F32);
    compare_pass("ESM2-8M, 8 x 256", &bed, 8, 256, true);
    compare_pass("ESM2-8M, 8 x 1022", &bed, 8, 1022, true);
    compare_pass("ESM2-8M, 1 x 256", &bed, 1, 256, true);
    compare_pass("ESM2-8M, 32 x 64", &bed, 32, 64, true);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("  largest resident memory so far %ld MB\n", usage.ru_maxrss / 1024);
    compare_maps(&bed, 8, 256);
    compare_maps(&bed, 1, 1022);
    close_bed(&bed);
}

static void pythia(void)
{
    const struct tiny_shape shape = {SX_MODEL_GPT_NEOX, 6, 512, 8, 2048, 50304, 8};
    struct bed bed = make_bed(shape, SX_DTYPE_F32);
    compare_pass("Pythia-70M, 4 x 512, last logits", &bed, 4, 512, false);
    compare_pass("Pythia-70M, 1 x 512, all logits", &bed, 1, 512, true);
    compare_generation("Pythia-70M, generation, F32", &bed, 4);
    close_bed(&bed);
    bed = make_bed(shape, SX_DTYPE_BF16);
    compare_generation("Pythia-70M, generation, BF16", &bed, 2);
    close_bed(&bed);
    bed = make_bed(shape, SX_DTYPE_F16);
    compare_generation("Pythia-70M, generation, F16", &bed, 2);
    close_bed(&bed);
}

int main(int argc, char **argv)
{
    threads = sx_blas_threads();
    if (argc == 6 && strcmp(argv[1], "--time") == 0)
        return time_one(argv + 2);
    if (argc > 1)
        threads = atoi(argv[1]);
    sx_blas_set_threads(threads);
    printf("%d threads; \"1 x 256\" are sequences and tokens\n", threads);
    esm();
    pythia();
    return 0;
}
