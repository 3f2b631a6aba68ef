/* Activations of one row, each a loop over F pre-activations. The matrix product before costs D
 * times as much, so plain loops do; only top k needs care at F = 16,384 and more. */
#include "arch.h"

#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"

/* Sanitizer builds run the baseline: the resolver of a clone would run before their start-up code.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KERNEL __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#else
#define KERNEL
#endif

bool sx_sae_threshold_measured(const struct sx_sae_info *info)
{
    return info->threshold >= 0; /* NAN and upstream's initial -1 are not */
}

/* --- checks ------------------------------------------------------------------------------------
 */

static enum sx_status check_nothing(const struct sx_sae *sae, struct sx_error *err)
{
    (void)sae;
    (void)err;
    return SX_OK;
}

static enum sx_status check_k(const struct sx_sae *sae, struct sx_error *err)
{
    const struct sx_sae_info *info = &sae->info;
    if (info->k < 1)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: a top-k SAE, but the file does not say k: it cannot be applied",
                       info->file ? info->file : "SAE");
    return SX_OK;
}

static enum sx_status check_batchtopk(const struct sx_sae *sae, struct sx_error *err)
{
    return sx_sae_threshold_measured(&sae->info) ? SX_OK : check_k(sae, err);
}

static enum sx_status check_groupmax(const struct sx_sae *sae, struct sx_error *err)
{
    SX_TRY(check_k(sae, err));
    uint64_t k = (uint64_t)sae->info.k;
    if (sae->info.dict_size % k != 0)
        return sx_fail(err, SX_ERR_SHAPE,
                       "%s: groupmax needs groups of equal size, but %llu latents do not divide "
                       "into k = %llu groups",
                       sae->info.file ? sae->info.file : "SAE",
                       (unsigned long long)sae->info.dict_size, (unsigned long long)k);
    return SX_OK;
}

static enum sx_status check_jumprelu(const struct sx_sae *sae, struct sx_error *err)
{
    if (!sae->threshold)
        return sx_fail(err, SX_ERR_FORMAT, "%s: a jumprelu SAE without its threshold",
                       sae->info.file ? sae->info.file : "SAE");
    return SX_OK;
}

static enum sx_status check_gated(const struct sx_sae *sae, struct sx_error *err)
{
    if (!sae->b_gate || !sae->b_mag || !sae->r_mag)
        return sx_fail(err, SX_ERR_FORMAT, "%s: a gated SAE without b_gate, b_mag or r_mag",
                       sae->info.file ? sae->info.file : "SAE");
    return SX_OK;
}

/* --- activations -------------------------------------------------------------------------------
 */

/* Entries above a bar that is not negative. Without a branch: which latents are on looks random to
 * the processor, and room for F entries makes the extra stores harmless. */
static uint64_t select_above(const float *z, uint64_t f, float bar, uint32_t *idx, float *val)
{
    uint64_t n = 0;
    for (uint64_t j = 0; j < f; j++) {
        idx[n] = (uint32_t)j;
        val[n] = z[j];
        n += z[j] > bar;
    }
    return n;
}

static uint64_t activate_relu(const struct sx_arch_state *s, const float *z, uint32_t *idx,
                              float *val)
{
    return select_above(z, s->f, 0.0F, idx, val);
}

static void sift_down(float *heap, uint64_t n, uint64_t at)
{
    float x = heap[at];
    for (;;) {
        uint64_t child = 2 * at + 1;
        if (child >= n)
            break;
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= x)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = x;
}

/* Is any of z[0..16) above `bar`, or equal to it? Integers, so that the loops become vector
 * compares. */
static inline __attribute__((always_inline)) int any_above(const float *z, float bar)
{
    int above = 0;
    for (int i = 0; i < 16; i++)
        above |= z[i] > bar;
    return above;
}

static inline __attribute__((always_inline)) int any_at_least(const float *z, float bar)
{
    int found = 0;
    for (int i = 0; i < 16; i++)
        found |= z[i] >= bar;
    return found;
}

/* The k largest entries above `floor`: a min-heap of k values finds the k-th largest, and a second
 * pass collects in ascending index. Of equal values at the edge the first ones stay. */
KERNEL
static uint64_t select_top(const struct sx_arch_state *s, const float *z, float floor_value,
                           uint32_t *idx, float *val)
{
    const uint64_t f = s->f, k = s->k;
    float *heap = s->heap;
    uint64_t j = 0, held = 0;
    for (; j < f && held < k; j++)
        if (z[j] > floor_value)
            heap[held++] = z[j];
    float bar = floor_value;
    uint64_t ties = 0;
    if (held == k) {
        for (uint64_t i = k / 2; i-- > 0;)
            sift_down(heap, k, i);
        while (j < f) {
            if (j + 16 <= f && !any_above(z + j, heap[0])) {
                j += 16;
                continue;
            }
            uint64_t end = j + 16 < f ? j + 16 : f;
            for (; j < end; j++)
                if (z[j] > heap[0]) {
                    heap[0] = z[j];
                    sift_down(heap, k, 0);
                }
        }
        bar = heap[0];
        for (uint64_t i = 0; i < k; i++)
            ties += heap[i] == bar;
    }
    uint64_t n = 0;
    for (uint64_t i = 0; i < f;) {
        uint64_t end = i + 16 < f ? i + 16 : f;
        if (end == i + 16 && !any_at_least(z + i, bar)) {
            i = end;
            continue;
        }
        for (; i < end; i++) {
            if (!(z[i] > bar)) {
                if (z[i] != bar || ties == 0)
                    continue;
                ties--;
            }
            idx[n] = (uint32_t)i;
            val[n] = z[i];
            n += z[i] != 0;
        }
    }
    return n;
}

static uint64_t activate_topk(const struct sx_arch_state *s, const float *z, uint32_t *idx,
                              float *val)
{
    return select_top(s, z, s->sae->info.signed_topk ? -INFINITY : 0.0F, idx, val);
}

static uint64_t activate_batchtopk(const struct sx_arch_state *s, const float *z, uint32_t *idx,
                                   float *val)
{
    if (!sx_sae_threshold_measured(&s->sae->info))
        return select_top(s, z, 0.0F, idx, val);
    /* threshold >= 0, so this is relu(z) > threshold */
    return select_above(z, s->f, (float)s->sae->info.threshold, idx, val);
}

static uint64_t activate_jumprelu(const struct sx_arch_state *s, const float *z, uint32_t *idx,
                                  float *val)
{
    const float *threshold = s->sae->threshold;
    uint64_t n = 0;
    for (uint64_t j = 0; j < s->f; j++) {
        idx[n] = (uint32_t)j;
        val[n] = z[j];
        n += (z[j] > threshold[j]) & (z[j] > 0);
    }
    return n;
}

static uint64_t activate_gated(const struct sx_arch_state *s, const float *z, uint32_t *idx,
                               float *val)
{
    const float *b_gate = s->sae->b_gate, *b_mag = s->sae->b_mag;
    uint64_t n = 0;
    for (uint64_t j = 0; j < s->f; j++) {
        float magnitude = s->exp_mag[j] * z[j] + b_mag[j];
        if (z[j] + b_gate[j] > 0 && magnitude > 0) {
            idx[n] = (uint32_t)j;
            val[n++] = magnitude;
        }
    }
    return n;
}

static uint64_t activate_groupmax(const struct sx_arch_state *s, const float *z, uint32_t *idx,
                                  float *val)
{
    const uint64_t width = s->f / s->k;
    uint64_t n = 0;
    for (uint64_t first = 0; first < s->f; first += width) {
        uint64_t best = first;
        for (uint64_t j = first + 1; j < first + width; j++)
            if (z[j] > z[best])
                best = j;
        if (z[best] > 0) {
            idx[n] = (uint32_t)best;
            val[n++] = z[best];
        }
    }
    return n;
}

static uint64_t activate_sigmoid(const struct sx_arch_state *s, const float *z, uint32_t *idx,
                                 float *val)
{
    uint64_t n = 0;
    for (uint64_t j = 0; j < s->f; j++) {
        float a = 1.0F / (1.0F + expf(-z[j]));
        idx[n] = (uint32_t)j;
        val[n] = a;
        n += a != 0;
    }
    return n;
}

static const struct sx_sae_arch_ops arch_table[] = {
    {SX_ARCH_RELU, "relu", check_nothing, activate_relu},
    {SX_ARCH_TOPK, "topk", check_k, activate_topk},
    {SX_ARCH_BATCHTOPK, "batchtopk", check_batchtopk, activate_batchtopk},
    {SX_ARCH_MATRYOSHKA, "matryoshka", check_batchtopk, activate_batchtopk},
    {SX_ARCH_JUMPRELU, "jumprelu", check_jumprelu, activate_jumprelu},
    {SX_ARCH_GATED, "gated", check_gated, activate_gated},
    {SX_ARCH_GROUPMAX, "groupmax", check_groupmax, activate_groupmax},
    {SX_ARCH_SIGMOID, "sigmoid", check_nothing, activate_sigmoid},
};

const struct sx_sae_arch_ops *sx_sae_arch_of(enum sx_sae_arch arch)
{
    for (size_t i = 0; i < sizeof arch_table / sizeof *arch_table; i++)
        if (arch_table[i].arch == arch)
            return &arch_table[i];
    SX_ASSERT(!"an architecture of the table");
    return NULL;
}

enum sx_status sx_arch_state_init(struct sx_arch_state *state, const struct sx_sae *sae,
                                  struct sx_error *err)
{
    *state = (struct sx_arch_state){.sae = sae, .f = sae->info.dict_size};
    SX_TRY(sx_sae_arch_of(sae->info.arch)->check(sae, err));
    if (sae->info.k > 0) {
        state->k = (uint64_t)sae->info.k < state->f ? (uint64_t)sae->info.k : state->f;
        state->heap = sx_alloc_big(state->k, sizeof *state->heap);
        if (!state->heap)
            return sx_fail(err, SX_ERR_NOMEM, "no memory for a selection of %llu latents",
                           (unsigned long long)state->k);
    }
    if (sae->info.arch == SX_ARCH_GATED) {
        state->exp_mag = sx_alloc_big(state->f, sizeof *state->exp_mag);
        if (!state->exp_mag) {
            sx_arch_state_release(state);
            return sx_fail(err, SX_ERR_NOMEM, "no memory for %llu gates",
                           (unsigned long long)state->f);
        }
        for (uint64_t j = 0; j < state->f; j++)
            state->exp_mag[j] = expf(sae->r_mag[j]);
    }
    return SX_OK;
}

void sx_arch_state_release(struct sx_arch_state *state)
{
    sx_free(state->heap);
    sx_free(state->exp_mag);
    *state = (struct sx_arch_state){0};
}
