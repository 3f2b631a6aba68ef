/* Generation: the sampler against a plain twin in double precision, and whole generations against
 * passes over everything at once, without a cache. */
#include "sextant/model/generate.h"

#include <string.h>

#include "../../../src/model/sampling.h"
#include "../../support/forward_fixture.h"

/* --- the sampler ------------------------------------------------------------------------------ */

enum { V = 61 };

struct ranked {
    double score;
    int id;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1) : x->id - y->id;
}

/* The distribution that the steps leave, as Hugging Face's processors define them. Scores pass
 * float32 where those do. */
static void twin_distribution(const struct sx_sampling *how, const float *logits,
                              const uint8_t *seen, double p[V])
{
    struct ranked r[V];
    for (int i = 0; i < V; i++) {
        float score = logits[i];
        if (seen[i])
            score = score < 0 ? score * (float)how->repetition_penalty
                              : score / (float)how->repetition_penalty;
        r[i] = (struct ranked){(double)(score / (float)how->temperature), i};
    }
    qsort(r, V, sizeof *r, by_rank);
    size_t kept = V;
    if (how->top_k > 0 && how->top_k < V)
        for (kept = how->top_k; kept < V && r[kept].score == r[how->top_k - 1].score;)
            kept++;
    double total = 0, sum = 0;
    for (size_t i = 0; i < kept; i++)
        total += exp(r[i].score - r[0].score);
    size_t n = 0;
    while (n < kept && (n == 0 || sum < how->top_p))
        sum += exp(r[n++].score - r[0].score) / total;
    memset(p, 0, V * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[r[i].id] = exp(r[i].score - r[0].score) / (sum * total);
}

static int32_t twin_draw(const struct sx_sampling *how, const float *logits, const uint8_t *seen,
                         uint64_t stream, uint64_t step)
{
    double p[V], sum = 0;
    struct sx_rng rng = sx_rng_make(how->seed, stream);
    rng.counter = step;
    const double u = sx_rng_uniform(&rng);
    twin_distribution(how, logits, seen, p);
    for (int i = 0; i < V; i++) {
        sum += p[i];
        if (sum > u)
            return i;
    }
    return V - 1;
}

static void random_logits(float *logits, uint8_t *seen, uint64_t seed)
{
    struct sx_rng rng = sx_rng_make(seed, 3);
    for (int i = 0; i < V; i++) {
        logits[i] = (float)(3 * sx_rng_normal(&rng));
        seen[i] = (uint8_t)(sx_rng_below(&rng, 4) == 0);
    }
    logits[7] = logits[5]; /* ties */
    logits[9] = logits[5];
}

static const struct sx_sampling ways[] = {
    {.temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 1},
    {.temperature = 0.7, .top_p = 1, .repetition_penalty = 1, .seed = 2},
    {.temperature = 1.9, .top_k = 5, .top_p = 1, .repetition_penalty = 1, .seed = 3},
    {.temperature = 1, .top_p = 0.8, .repetition_penalty = 1, .seed = 4},
    {.temperature = 1, .top_p = 0.01, .repetition_penalty = 1, .seed = 5},
    {.temperature = 1.2, .top_k = 20, .top_p = 0.9, .repetition_penalty = 1.3, .seed = 6},
    {.temperature = 0.5, .top_k = 1000, .top_p = 0.95, .repetition_penalty = 0.8, .seed = 7},
};
enum { WAYS = sizeof ways / sizeof *ways };

Test(sampling, equals_a_plain_twin)
{
    for (size_t w = 0; w < WAYS; w++) {
        struct sx_sampler sampler;
        CHECK_OK(sx_sampler_init(&sampler, &ways[w], V, err));
        for (uint64_t step = 0; step < 400; step++) {
            float logits[V];
            uint8_t seen[V];
            random_logits(logits, seen, 1000 * w + step);
            const int32_t expected = twin_draw(&ways[w], logits, seen, step % 7, step);
            const int32_t got = sx_sample(&sampler, logits, seen, step % 7, step);
            cr_assert(got == expected, "way %zu, step %d: %d, not %d", w, (int)step, got, expected);
        }
        sx_sampler_release(&sampler);
    }
}

Test(sampling, draws_follow_the_distribution)
{
    enum { DRAWS = 40000 };
    for (size_t w = 0; w < WAYS; w++) {
        struct sx_sampler sampler;
        float logits[V];
        uint8_t seen[V];
        double p[V];
        int count[V] = {0};
        random_logits(logits, seen, 5);
        twin_distribution(&ways[w], logits, seen, p);
        CHECK_OK(sx_sampler_init(&sampler, &ways[w], V, err));
        for (uint64_t step = 0; step < DRAWS; step++)
            count[sx_sample(&sampler, logits, seen, 0, step)]++;
        for (int i = 0; i < V; i++) {
            const double sd = sqrt(p[i] * (1 - p[i]) / DRAWS);
            cr_assert(fabs(count[i] / (double)DRAWS - p[i]) <= 5 * sd + 1e-12,
                      "way %zu, token %d: %g, not %g", w, i, count[i] / (double)DRAWS, p[i]);
        }
        sx_sampler_release(&sampler);
    }
}

/* Worked by hand: 2 / 1.5 < 1.5, and -1 * 1.5 < -1.2. */
Test(sampling, repetition_penalty_moves_the_greedy_choice)
{
    const struct sx_sampling plain = {.greedy = true, .repetition_penalty = 1};
    const struct sx_sampling penalty = {.greedy = true, .repetition_penalty = 1.5};
    const float positive[] = {0, 2, 1.5F}, negative[] = {-5, -1, -1.2F};
    const uint8_t seen[] = {0, 1, 0};
    struct sx_sampler sampler;
    CHECK_OK(sx_sampler_init(&sampler, &plain, 3, err));
    cr_assert(sx_sample(&sampler, positive, seen, 0, 0) == 1);
    cr_assert(sx_sample(&sampler, negative, seen, 0, 0) == 1);
    sx_sampler_release(&sampler);
    CHECK_OK(sx_sampler_init(&sampler, &penalty, 3, err));
    cr_assert(sx_sample(&sampler, positive, seen, 0, 0) == 2);
    cr_assert(sx_sample(&sampler, negative, seen, 0, 0) == 2);
    sx_sampler_release(&sampler);
}

Test(sampling, refuses_what_is_no_distribution)
{
    struct sx_sampler sampler;
    struct sx_error why;
    const struct sx_sampling cold = {.temperature = 0, .top_p = 1, .repetition_penalty = 1};
    const struct sx_sampling none = {.temperature = 1, .top_p = 0, .repetition_penalty = 1};
    const struct sx_sampling free_of = {.greedy = true};
    cr_assert(sx_sampler_init(&sampler, &cold, V, &why) == SX_ERR_USAGE);
    cr_assert(sx_sampler_init(&sampler, &none, V, &why) == SX_ERR_USAGE);
    cr_assert(sx_sampler_init(&sampler, &free_of, V, &why) == SX_ERR_USAGE);
}

/* --- whole generations ------------------------------------------------------------------------ */

enum { NEW = 12, PROMPTS = 37 }; /* more than run together at a time */

static const struct tiny_shape shape = {SX_MODEL_GPT_NEOX, 3, 32, 4, 64, 50, 2};
static const struct sx_sampling greedy = {.greedy = true, .repetition_penalty = 1};
static const struct sx_sampling warm = {
    .temperature = 1.1, .top_k = 30, .top_p = 0.95, .repetition_penalty = 1.1, .seed = 99};

static struct fixture f;

static void setup(void)
{
    f = fixture_random(shape, 21);
}

static void teardown(void)
{
    fixture_close(&f);
}

TestSuite(generate, .init = setup, .fini = teardown);

static struct sx_ids prompt_of(int32_t *ids, size_t n, uint64_t seed)
{
    fixture_ids(&f, ids, n, seed);
    return (struct sx_ids){ids, n};
}

/* Greedy by a whole pass for each token. Interventions stay as they are. */
static void expect_greedy(const struct sx_generation *out, const struct sx_ids *prompt,
                          const struct sx_hooks *hooks)
{
    int32_t ids[64];
    const size_t vocab = f.info->vocab;
    size_t n = prompt->n;
    memcpy(ids, prompt->ids, n * sizeof *ids);
    for (size_t i = 0; i < out->ids.n; i++, n++) {
        float *logits = fixture_logits(&f, ids, n, hooks);
        const float *row = logits + (n - 1) * vocab;
        size_t best = 0;
        double total = 0;
        for (size_t v = 1; v < vocab; v++)
            best = row[v] > row[best] ? v : best;
        for (size_t v = 0; v < vocab; v++)
            total += exp((double)row[v]);
        cr_assert(out->ids.ids[i] == (int32_t)best, "token %zu: %d, not %zu", i, out->ids.ids[i],
                  best);
        CHECK_CLOSE(out->logprobs[i], (double)row[best] - log(total), 1e-4);
        ids[n] = (int32_t)best;
        sx_free(logits);
    }
}

Test(generate, greedy_equals_passes_without_a_cache)
{
    int32_t ids[9];
    const struct sx_ids prompt = prompt_of(ids, 9, 1);
    struct sx_generation out;
    const struct sx_generate request = {
        .prompts = &prompt, .n_prompts = 1, .max_new = NEW, .sampling = greedy};
    CHECK_OK(sx_generate(f.runner, &request, &out, NULL, err));
    cr_assert(out.ids.n == NEW && !out.stopped);
    expect_greedy(&out, &prompt, NULL);
    sx_generations_release(&out, 1);
}

Test(generate, a_batch_gives_what_each_prompt_alone_gives)
{
    static int32_t ids[PROMPTS][16];
    struct sx_ids prompts[PROMPTS];
    struct sx_generation together[PROMPTS];
    for (size_t i = 0; i < PROMPTS; i++)
        prompts[i] = prompt_of(ids[i], 1 + i % 16, 100 + i);
    struct sx_generate request = {
        .prompts = prompts, .n_prompts = PROMPTS, .max_new = NEW, .sampling = warm};
    CHECK_OK(sx_generate(f.runner, &request, together, NULL, err));
    /* The random numbers are named by the prompt's place: a shorter batch has the same first ones.
     */
    for (size_t n = 1; n < 4; n++) {
        struct sx_generation alone[3];
        request.n_prompts = n;
        CHECK_OK(sx_generate(f.runner, &request, alone, NULL, err));
        for (size_t i = 0; i < n; i++) {
            cr_assert(alone[i].ids.n == together[i].ids.n);
            cr_assert(
                !memcmp(alone[i].ids.ids, together[i].ids.ids, alone[i].ids.n * sizeof(int32_t)));
            cr_assert(
                !memcmp(alone[i].logprobs, together[i].logprobs, alone[i].ids.n * sizeof(float)));
        }
        sx_generations_release(alone, n);
    }
    /* Greedy has no random numbers: every prompt alone. */
    struct sx_generation batch[PROMPTS];
    request = (struct sx_generate){
        .prompts = prompts, .n_prompts = PROMPTS, .max_new = NEW, .sampling = greedy};
    CHECK_OK(sx_generate(f.runner, &request, batch, NULL, err));
    for (size_t i = 0; i < PROMPTS; i++)
        expect_greedy(&batch[i], &prompts[i], NULL);
    sx_generations_release(batch, PROMPTS);
    sx_generations_release(together, PROMPTS);
}

Test(generate, another_seed_gives_another_text)
{
    int32_t ids[5];
    const struct sx_ids prompt = prompt_of(ids, 5, 2);
    struct sx_generation out[3];
    for (size_t i = 0; i < 3; i++) {
        struct sx_generate request = {
            .prompts = &prompt, .n_prompts = 1, .max_new = 40, .sampling = warm};
        request.sampling.seed = i / 2; /* 0 0 1 */
        CHECK_OK(sx_generate(f.runner, &request, &out[i], NULL, err));
    }
    cr_assert(!memcmp(out[0].ids.ids, out[1].ids.ids, 40 * sizeof(int32_t)));
    cr_assert(memcmp(out[0].ids.ids, out[2].ids.ids, 40 * sizeof(int32_t)));
    sx_generations_release(out, 3);
}

struct heard {
    int32_t ids[64];
    size_t n, cancel_at;
    struct sx_task *task;
};

static void listen(void *ctx, size_t prompt, int32_t id, float logprob)
{
    struct heard *heard = ctx;
    cr_assert(prompt == 0 && logprob <= 0);
    heard->ids[heard->n++] = id;
    if (heard->task && heard->n == heard->cancel_at)
        sx_task_cancel(heard->task);
}

Test(generate, stops_before_a_stop_token)
{
    int32_t ids[4];
    const struct sx_ids prompt = prompt_of(ids, 4, 3);
    struct sx_generation all, cut;
    struct heard heard = {0};
    struct sx_generate request = {.prompts = &prompt,
                                  .n_prompts = 1,
                                  .max_new = NEW,
                                  .sampling = warm,
                                  .on_token = listen,
                                  .ctx = &heard};
    CHECK_OK(sx_generate(f.runner, &request, &all, NULL, err));
    cr_assert(heard.n == NEW && !memcmp(heard.ids, all.ids.ids, NEW * sizeof(int32_t)));
    const int32_t stop[] = {all.ids.ids[NEW - 1]};
    size_t first = 0;
    while (all.ids.ids[first] != stop[0])
        first++;
    heard.n = 0;
    request.stop = stop;
    request.n_stop = 1;
    CHECK_OK(sx_generate(f.runner, &request, &cut, NULL, err));
    cr_assert(cut.stopped && cut.ids.n == first && heard.n == first);
    cr_assert(!memcmp(cut.ids.ids, all.ids.ids, first * sizeof(int32_t)));
    sx_generations_release(&all, 1);
    sx_generations_release(&cut, 1);
}

Test(generate, cancelled_it_keeps_what_was_made)
{
    int32_t ids[4];
    const struct sx_ids prompt = prompt_of(ids, 4, 4);
    struct sx_generation out;
    struct sx_task task;
    sx_task_init(&task);
    struct heard heard = {.cancel_at = 5, .task = &task};
    const struct sx_generate request = {.prompts = &prompt,
                                        .n_prompts = 1,
                                        .max_new = 64,
                                        .sampling = greedy,
                                        .on_token = listen,
                                        .ctx = &heard};
    cr_assert(sx_generate(f.runner, &request, &out, &task, NULL) == SX_CANCELLED);
    cr_assert(out.ids.n == 5);
    sx_generations_release(&out, 1);
}

Test(generate, interventions_act_on_new_tokens_too)
{
    int32_t ids[3][6];
    static const uint32_t layer = 1, head = 2;
    struct sx_ids prompts[3];
    struct sx_generation out[3];
    for (size_t i = 0; i < 3; i++)
        prompts[i] = prompt_of(ids[i], 4 + i, 40 + i);
    /* Of the third prompt alone: it must stay with it when the first has come to its end. */
    const struct sx_intervention zero = {.point = SX_POINT_CTX,
                                         .sequence = 2,
                                         .layers = {&layer, 1},
                                         .heads = {&head, 1},
                                         .band = -1,
                                         .action = SX_DO_SCALE,
                                         .factor = -3,
                                         .generated = true};
    struct sx_generate request = {.prompts = prompts,
                                  .n_prompts = 3,
                                  .max_new = NEW,
                                  .sampling = greedy,
                                  .hooks = {.interventions = &zero, .n_interventions = 1}};
    CHECK_OK(sx_generate(f.runner, &request, out, NULL, err));
    const int32_t stop = out[0].ids.ids[2];
    sx_generations_release(out, 3);
    request.stop = &stop;
    request.n_stop = 1;
    CHECK_OK(sx_generate(f.runner, &request, out, NULL, err));
    cr_assert(out[0].stopped && out[0].ids.n <= 2 && out[2].ids.n > 2);
    struct sx_intervention alone = zero;
    alone.sequence = 0;
    const struct sx_hooks hooks = {.interventions = &alone, .n_interventions = 1};
    expect_greedy(&out[0], &prompts[0], NULL);
    expect_greedy(&out[1], &prompts[1], NULL);
    expect_greedy(&out[2], &prompts[2], &hooks);
    /* And it does change something. */
    float *plain = fixture_logits(&f, ids[2], 6, NULL);
    float *changed = fixture_logits(&f, ids[2], 6, &hooks);
    cr_assert(fabsf(plain[0] - changed[0]) > 1e-3F);
    sx_free(plain);
    sx_free(changed);
    sx_generations_release(out, 3);
}

Test(generate, refusals)
{
    struct fixture esm = fixture_golden(tiny_esm2_shape);
    int32_t ids[4];
    const struct sx_ids prompt = prompt_of(ids, 4, 5);
    const struct sx_ids empty = {ids, 0};
    struct sx_generation out;
    struct sx_error why;
    struct sx_generate request = {
        .prompts = &prompt, .n_prompts = 1, .max_new = 3, .sampling = greedy};
    cr_assert(sx_generate(esm.runner, &request, &out, NULL, &why) == SX_ERR_UNSUPPORTED);
    request.prompts = &empty;
    cr_assert(sx_generate(f.runner, &request, &out, NULL, &why) == SX_ERR_USAGE);
    ids[2] = 1000;
    request.prompts = &prompt;
    cr_assert(sx_generate(f.runner, &request, &out, NULL, &why) == SX_ERR_USAGE);
    ids[2] = 1;
    request.max_new = 0;
    CHECK_OK(sx_generate(f.runner, &request, &out, NULL, err));
    cr_assert(out.ids.n == 0);
    fixture_close(&esm);
}
