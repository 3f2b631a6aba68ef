#include "sampling.h"

#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"

enum sx_status sx_sampler_init(struct sx_sampler *sampler, const struct sx_sampling *how,
                               size_t vocab, struct sx_error *err)
{
    *sampler = (struct sx_sampler){.how = *how, .vocab = vocab};
    if (how->greedy ? how->repetition_penalty <= 0
                    : !(how->temperature > 0) || !(how->top_p > 0 && how->top_p <= 1) ||
                          how->repetition_penalty <= 0)
        return sx_fail(err, SX_ERR_USAGE,
                       "sampling: temperature %g and repetition penalty %g must be above 0, "
                       "top-p %g in (0,1]",
                       how->temperature, how->repetition_penalty, how->top_p);
    sampler->scores = sx_alloc_big(vocab, sizeof *sampler->scores);
    sampler->order = sx_alloc_big(vocab, sizeof *sampler->order);
    if (!sampler->scores || !sampler->order) {
        sx_sampler_release(sampler);
        return sx_fail(err, SX_ERR_NOMEM, "no memory for sampling from %zu tokens", vocab);
    }
    return SX_OK;
}

void sx_sampler_release(struct sx_sampler *sampler)
{
    sx_free(sampler->scores);
    sx_free(sampler->order);
    *sampler = (struct sx_sampler){0};
}

static void penalise(float *scores, const uint8_t *seen, size_t n, float penalty)
{
    for (size_t i = 0; i < n; i++)
        if (seen[i])
            scores[i] = scores[i] < 0 ? scores[i] * penalty : scores[i] / penalty;
}

static size_t argmax(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best] || isnan(x[best]))
            best = i;
    return best;
}

/* --- top-k ------------------------------------------------------------------------------------ */

/* Larger first; equal scores by id, so that the order is one and the same everywhere. */
static bool before(const float *scores, uint32_t a, uint32_t b)
{
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

/* A heap of ids with the first of the order on top. */
static void sift(uint32_t *heap, size_t n, size_t at, const float *scores)
{
    for (;;) {
        size_t top = at;
        const size_t left = 2 * at + 1;
        for (size_t child = left; child < n && child < left + 2; child++)
            if (before(scores, heap[child], heap[top]))
                top = child;
        if (top == at)
            return;
        const uint32_t swap = heap[at];
        heap[at] = heap[top];
        heap[top] = swap;
        at = top;
    }
}

static size_t make_heap(uint32_t *heap, const float *scores, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (scores[i] > -INFINITY)
            heap[count++] = (uint32_t)i;
    for (size_t i = count / 2; i-- > 0;)
        sift(heap, count, i, scores);
    return count;
}

static uint32_t pop(uint32_t *heap, size_t *n, const float *scores)
{
    const uint32_t top = heap[0];
    heap[0] = heap[--*n];
    sift(heap, *n, 0, scores);
    return top;
}

static void keep_top_k(float *scores, uint32_t *heap, size_t n, size_t k)
{
    size_t left = make_heap(heap, scores, n);
    float kth = -INFINITY;
    for (size_t i = 0; i < k && left > 0; i++)
        kth = scores[pop(heap, &left, scores)];
    for (size_t i = 0; i < n; i++)
        if (scores[i] < kth)
            scores[i] = -INFINITY;
}

/* --- top-p ------------------------------------------------------------------------------------ */

static double mass(const float *scores, size_t n, float max)
{
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += exp((double)scores[i] - (double)max);
    return total;
}

/* A token stays while those before it do not reach p yet. */
static void keep_top_p(float *scores, uint32_t *heap, size_t n, double p)
{
    const float max = scores[argmax(scores, n)];
    const double total = mass(scores, n, max);
    size_t left = make_heap(heap, scores, n);
    double before_it = 0;
    bool first = true;
    while (left > 0 && (first || before_it < p)) {
        before_it += exp((double)scores[pop(heap, &left, scores)] - (double)max) / total;
        first = false;
    }
    for (size_t i = 0; i < left; i++)
        scores[heap[i]] = -INFINITY;
}

/* --- the draw --------------------------------------------------------------------------------- */

static size_t draw(const float *scores, size_t n, double uniform)
{
    const size_t best = argmax(scores, n);
    const double target = uniform * mass(scores, n, scores[best]);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)scores[i] - (double)scores[best]);
        if (sum > target)
            return i;
    }
    return best; /* rounding at the very end */
}

int32_t sx_sample(struct sx_sampler *sampler, const float *logits, const uint8_t *seen,
                  uint64_t stream, uint64_t step)
{
    const struct sx_sampling *how = &sampler->how;
    const size_t n = sampler->vocab;
    float *scores = sampler->scores;
    memcpy(scores, logits, n * sizeof *scores);
    if (how->repetition_penalty != 1)
        penalise(scores, seen, n, (float)how->repetition_penalty);
    if (how->greedy)
        return (int32_t)argmax(scores, n);
    if (how->temperature != 1)
        for (size_t i = 0; i < n; i++)
            scores[i] /= (float)how->temperature;
    if (how->top_k > 0 && how->top_k < n)
        keep_top_k(scores, sampler->order, n, how->top_k);
    if (how->top_p < 1)
        keep_top_p(scores, sampler->order, n, how->top_p);
    struct sx_rng rng = sx_rng_make(how->seed, stream);
    rng.counter = step;
    return (int32_t)draw(scores, n, sx_rng_uniform(&rng));
}

float sx_token_logprob(const float *logits, size_t vocab, int32_t id)
{
    const float max = logits[argmax(logits, vocab)];
    return (float)((double)logits[id] - (double)max - log(mass(logits, vocab, max)));
}
