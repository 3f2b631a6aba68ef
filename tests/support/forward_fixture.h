/* A model in a folder of its own and a runner, for tests of the forward pass. */
#ifndef SEXTANT_TESTS_FORWARD_FIXTURE_H
#define SEXTANT_TESTS_FORWARD_FIXTURE_H

#include <criterion/criterion.h>
#include <math.h>

#include "sextant/model/forward.h"
#include "tiny_models.h"

struct fixture {
    char folder[64];
    struct sx_model *model;
    struct sx_runner *runner;
    const struct sx_model_info *info;
};

#define CHECK_OK(expr)                                                                             \
    do {                                                                                           \
        struct sx_error check_err_ = {0};                                                          \
        struct sx_error *err = &check_err_;                                                        \
        enum sx_status check_status_ = (expr);                                                     \
        cr_assert(check_status_ == SX_OK, "%s: %s", #expr, check_err_.message);                    \
    } while (0)

static inline struct fixture fixture_open(const struct tiny_model *m,
                                          const struct tiny_options *options, int threads)
{
    struct fixture f = {.folder = "/tmp/sextant-forward-XXXXXX"};
    cr_assert(mkdtemp(f.folder));
    tiny_write(m, f.folder, options);
    CHECK_OK(sx_model_open(f.folder, NULL, &f.model, err));
    f.runner = sx_runner_new(f.model, threads);
    f.info = sx_model_info(f.model);
    return f;
}

static inline void fixture_close(struct fixture *f)
{
    sx_runner_free(f->runner);
    sx_model_unref(f->model);
    tiny_remove(f->folder);
}

static inline struct fixture fixture_golden(struct tiny_shape shape)
{
    struct tiny_model m = tiny_golden(shape);
    struct fixture f = fixture_open(&m, NULL, 2);
    tiny_release(&m);
    return f;
}

static inline struct fixture fixture_random(struct tiny_shape shape, uint64_t seed)
{
    struct tiny_model m = tiny_random(shape, seed);
    struct fixture f = fixture_open(&m, NULL, 2);
    tiny_release(&m);
    return f;
}

/* All logits of one sequence under hooks (NULL: none), [n, V]; the caller frees. */
static inline float *fixture_logits(const struct fixture *f, const int32_t *ids, size_t n,
                                    const struct sx_hooks *hooks)
{
    float *logits = sx_xcalloc(n * f->info->vocab, sizeof *logits);
    const struct sx_sequence sequence = {.ids = ids, .n = n, .embed_scale = NAN, .n_rows = n};
    struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
    if (hooks)
        pass.hooks = *hooks;
    CHECK_OK(sx_run_pass(f->runner, &pass, NULL, err));
    return logits;
}

/* One point of one sequence, packed over the chosen ones; the caller frees. choice may be NULL. */
static inline float *fixture_capture(const struct fixture *f, const int32_t *ids, size_t n,
                                     enum sx_point point, const struct sx_capture *choice)
{
    struct sx_capture capture = choice ? *choice : (struct sx_capture){0};
    capture.point = point;
    capture.out = sx_xcalloc(sx_capture_count(f->info, &capture, n), sizeof *capture.out);
    const struct sx_hooks hooks = {.captures = &capture, .n_captures = 1};
    sx_free(fixture_logits(f, ids, n, &hooks));
    return capture.out;
}

static inline void fixture_ids(const struct fixture *f, int32_t *ids, size_t n, uint64_t seed)
{
    struct sx_rng rng = sx_rng_make(seed, 7);
    bool esm = f->info->family == SX_MODEL_ESM2;
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)(esm ? 4 + sx_rng_below(&rng, 20) : sx_rng_below(&rng, f->info->vocab));
    if (esm) {
        ids[0] = 0;
        if (n > 2)
            ids[n / 3 + 1] = 32;
        if (n > 1)
            ids[n - 1] = 2;
    }
}

#define CHECK_CLOSE(actual, expected, tolerance)                                                   \
    cr_assert(fabs((double)(actual) - (double)(expected)) <= (tolerance), "%s is %.9g, not %.9g",  \
              #actual, (double)(actual), (double)(expected))

static inline void check_all(const float *actual, const double *expected, size_t n,
                             double tolerance, const char *what)
{
    for (size_t i = 0; i < n; i++)
        cr_assert(fabs((double)actual[i] - expected[i]) <= tolerance, "%s[%zu] is %.9g, not %.9g",
                  what, i, (double)actual[i], expected[i]);
}

#endif
