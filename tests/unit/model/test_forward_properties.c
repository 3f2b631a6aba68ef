/* What must hold for any weights. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "../../support/forward_fixture.h"

static const struct tiny_shape esm_shape = {SX_MODEL_ESM2, 3, 64, 4, 96, 33, 0};
static const struct tiny_shape neox_shape = {SX_MODEL_GPT_NEOX, 3, 96, 3, 200, 150, 8};

static double largest_difference(const float *a, const float *b, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static void check_same(const float *a, const float *b, size_t n, const char *what)
{
    cr_assert(memcmp(a, b, n * sizeof *a) == 0, "%s: differs by %g", what,
              largest_difference(a, b, n));
}

Test(properties, constant_shift_of_positions_changes_nothing)
{
    const struct tiny_shape shapes[] = {esm_shape, neox_shape};
    for (size_t s = 0; s < 2; s++) {
        enum { N = 40 };
        struct fixture f = fixture_random(shapes[s], 1);
        int32_t ids[N];
        float positions[N];
        fixture_ids(&f, ids, N, 3);
        for (size_t i = 0; i < N; i++)
            positions[i] = (float)i + 137;
        float *plain = fixture_logits(&f, ids, N, NULL);
        const struct sx_position_override all = {
            .sequence = SIZE_MAX, .side = SX_SIDE_BOTH, .positions = positions};
        float *shifted =
            fixture_logits(&f, ids, N, &(struct sx_hooks){.positions = &all, .n_positions = 1});
        double most = largest_difference(plain, shifted, N * f.info->vocab);
        cr_assert(most < 1e-4, "%g", most);
        /* Moving the queries alone must be felt. */
        const struct sx_position_override half = {
            .sequence = 0, .side = SX_SIDE_QUERY, .positions = positions};
        float *moved =
            fixture_logits(&f, ids, N, &(struct sx_hooks){.positions = &half, .n_positions = 1});
        cr_assert(largest_difference(plain, moved, N * f.info->vocab) > 1e-2);
        sx_free(plain);
        sx_free(shifted);
        sx_free(moved);
        fixture_close(&f);
    }
}

Test(properties, rows_of_attention_sum_to_one)
{
    enum { N = 70 };
    struct fixture f = fixture_random(neox_shape, 2);
    int32_t ids[N];
    fixture_ids(&f, ids, N, 4);
    float *attn = fixture_capture(&f, ids, N, SX_POINT_ATTN, NULL);
    for (size_t r = 0; r < f.info->n_layers * f.info->n_heads * N; r++) {
        double sum = 0;
        for (size_t j = 0; j < N; j++) {
            sum += (double)attn[r * N + j];
            cr_assert(j <= r % N || attn[r * N + j] == 0.0F);
        }
        CHECK_CLOSE(sum, 1, 1e-5);
    }
    sx_free(attn);
    fixture_close(&f);
}

/* Sequences of many lengths in one batch, on one, two and three threads, give what each gives
 * alone, to the bit. */
Test(properties, batches_and_threads_change_no_bit)
{
    enum { S = 9 };
    const size_t lengths[S] = {1, 5, 8, 9, 17, 31, 64, 100, 300};
    const struct tiny_shape shapes[] = {esm_shape, neox_shape};
    for (size_t s = 0; s < 2; s++) {
        struct tiny_model m = tiny_random(shapes[s], 3);
        struct fixture f = fixture_open(&m, NULL, 2);
        int32_t *ids[S];
        struct sx_sequence sequences[S];
        size_t rows = 0;
        for (size_t i = 0; i < S; i++) {
            ids[i] = sx_xcalloc(lengths[i], sizeof *ids[i]);
            fixture_ids(&f, ids[i], lengths[i], i);
            sequences[i] = (struct sx_sequence){
                .ids = ids[i], .n = lengths[i], .embed_scale = NAN, .n_rows = lengths[i]};
            rows += lengths[i];
        }
        float *batch = sx_xcalloc(rows * f.info->vocab, sizeof *batch);
        for (int threads = 1; threads <= 3; threads++) {
            struct sx_runner *runner = sx_runner_new(f.model, threads);
            const struct sx_pass pass = {.sequences = sequences, .n_sequences = S, .logits = batch};
            CHECK_OK(sx_run_pass(runner, &pass, NULL, err));
            float *at = batch;
            for (size_t i = 0; i < S; i++) {
                float *alone = fixture_logits(&f, ids[i], lengths[i], NULL);
                check_same(at, alone, lengths[i] * f.info->vocab, "alone");
                at += lengths[i] * f.info->vocab;
                sx_free(alone);
            }
            sx_runner_free(runner);
        }
        for (size_t i = 0; i < S; i++)
            sx_free(ids[i]);
        sx_free(batch);
        fixture_close(&f);
        tiny_release(&m);
    }
}

/* A run goes on from any layer's residual stream, to the bit; and the head on the last one gives
 * the logits. */
Test(properties, restarting_and_lens)
{
    enum { N = 45 };
    const struct tiny_shape shapes[] = {esm_shape, neox_shape};
    for (size_t s = 0; s < 2; s++) {
        struct fixture f = fixture_random(shapes[s], 4);
        const size_t D = f.info->d_model, V = f.info->vocab;
        int32_t ids[N];
        fixture_ids(&f, ids, N, 5);
        float *full = fixture_logits(&f, ids, N, NULL);
        float *resid = fixture_capture(&f, ids, N, SX_POINT_RESID_PRE, NULL);
        float *last = fixture_capture(&f, ids, N, SX_POINT_RESID_POST, NULL);
        float *again = sx_xcalloc(N * V, sizeof *again);
        for (size_t l = 0; l < f.info->n_layers; l++) {
            const struct sx_sequence sequence = {
                .ids = ids, .n = N, .n_rows = N, .from_layer = l, .resid = resid + l * N * D};
            const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = again};
            CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
            check_same(again, full, N * V, "restarted");
        }
        CHECK_OK(sx_model_unembed(f.runner, last + (f.info->n_layers - 1) * N * D, N, again, err));
        check_same(again, full, N * V, "lens at the end");
        sx_free(full);
        sx_free(resid);
        sx_free(last);
        sx_free(again);
        fixture_close(&f);
    }
}

Test(properties, some_rows_of_logits)
{
    enum { N = 50 };
    struct fixture f = fixture_random(esm_shape, 5);
    const size_t V = f.info->vocab;
    int32_t ids[N];
    fixture_ids(&f, ids, N, 6);
    float *all = fixture_logits(&f, ids, N, NULL);
    const uint32_t rows[] = {49, 3, 17, 3};
    float some[4 * 33], captured[N * 33];
    const struct sx_capture capture = {.point = SX_POINT_LOGITS, .out = captured};
    const struct sx_sequence sequence = {
        .ids = ids, .n = N, .embed_scale = NAN, .rows = rows, .n_rows = 4};
    const struct sx_pass pass = {.sequences = &sequence,
                                 .n_sequences = 1,
                                 .hooks = {.captures = &capture, .n_captures = 1},
                                 .logits = some};
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    for (size_t i = 0; i < 4; i++)
        cr_assert(largest_difference(some + i * V, all + rows[i] * V, V) < 1e-5);
    cr_assert(largest_difference(captured, all, N * V) < 1e-5);
    sx_free(all);
    fixture_close(&f);
}

static void check_halves(struct tiny_shape shape, enum sx_dtype dtype, size_t n)
{
    struct tiny_model m = tiny_random(shape, 6);
    struct fixture stored = fixture_open(&m, &(struct tiny_options){.dtype = dtype}, 2);
    struct fixture rounded = fixture_open(&m, &(struct tiny_options){.rounded = dtype}, 2);
    int32_t ids[64];
    fixture_ids(&stored, ids, n, 7);
    float *a = fixture_logits(&stored, ids, n, NULL), *b = fixture_logits(&rounded, ids, n, NULL);
    check_same(a, b, n * stored.info->vocab, "half precision");
    sx_free(a);
    sx_free(b);
    fixture_close(&stored);
    fixture_close(&rounded);
    tiny_release(&m);
}

Test(properties, halves_are_rounded_floats)
{
    for (size_t n = 6; n <= 60; n += 54) {
        check_halves(esm_shape, SX_DTYPE_F16, n);
        check_halves(esm_shape, SX_DTYPE_BF16, n);
        check_halves(neox_shape, SX_DTYPE_F16, n);
        check_halves(neox_shape, SX_DTYPE_BF16, n);
    }
}

/* Token by token, in pieces, and several sequences with caches of different length at once. */
Test(properties, cached_passes_give_the_full_pass)
{
    enum { N = 90, V = 150, S = 3 };
    struct fixture f = fixture_random(neox_shape, 7);
    int32_t ids[S][N];
    float *full[S];
    struct sx_cache *caches[S];
    const size_t pieces[S][6] = {
        {1, 1, 20, 1, 30, 37}, {40, 1, 1, 8, 9, 31}, {17, 20, 2, 7, 1, 43}};
    size_t at[S] = {0};
    for (size_t s = 0; s < S; s++) {
        fixture_ids(&f, ids[s], N, s);
        full[s] = fixture_logits(&f, ids[s], N, NULL);
        caches[s] = sx_cache_new(f.model, N);
    }
    float *logits = sx_xcalloc(S * N * V, sizeof *logits);
    for (size_t p = 0; p < 6; p++) {
        struct sx_sequence sequences[S];
        for (size_t s = 0; s < S; s++)
            sequences[s] = (struct sx_sequence){.ids = ids[s] + at[s],
                                                .n = pieces[s][p],
                                                .embed_scale = NAN,
                                                .n_rows = pieces[s][p],
                                                .cache = caches[s]};
        const struct sx_pass pass = {.sequences = sequences, .n_sequences = S, .logits = logits};
        CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
        const float *row = logits;
        for (size_t s = 0; s < S; s++) {
            double most = largest_difference(row, full[s] + at[s] * V, pieces[s][p] * V);
            cr_assert(most < 3e-5, "sequence %zu, piece %zu: %g", s, p, most);
            row += pieces[s][p] * V;
            at[s] += pieces[s][p];
            cr_assert_eq(sx_cache_length(caches[s]), at[s]);
        }
    }
    /* Back to token 21 and on from there. */
    sx_cache_truncate(caches[0], 21);
    const struct sx_sequence rest = {
        .ids = ids[0] + 21, .n = N - 21, .embed_scale = NAN, .n_rows = N - 21, .cache = caches[0]};
    const struct sx_pass pass = {.sequences = &rest, .n_sequences = 1, .logits = logits};
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    cr_assert(largest_difference(logits, full[0] + 21 * V, (N - 21) * V) < 3e-5);
    struct sx_error err = {0};
    cr_assert_eq(sx_run_pass(f.runner, &pass, NULL, &err), SX_ERR_USAGE, "beyond the capacity");
    cr_assert_eq(sx_cache_length(caches[0]), N);
    for (size_t s = 0; s < S; s++) {
        sx_free(full[s]);
        sx_cache_free(caches[s]);
    }
    sx_free(logits);
    fixture_close(&f);
}

/* Caches hold their tokens while they grow. */
Test(properties, caches_grow)
{
    enum { N = 700, V = 150 };
    struct fixture f = fixture_random(neox_shape, 7);
    int32_t ids[N];
    fixture_ids(&f, ids, N, 1);
    float *full = fixture_logits(&f, ids, N, NULL);
    float *logits = sx_xcalloc(N * V, sizeof *logits);
    struct sx_cache *cache = sx_cache_new(f.model, N);
    for (size_t at = 0; at < N; at += 70) {
        const struct sx_sequence s = {
            .ids = ids + at, .n = 70, .embed_scale = NAN, .n_rows = 70, .cache = cache};
        const struct sx_pass pass = {.sequences = &s, .n_sequences = 1, .logits = logits + at * V};
        CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    }
    cr_assert(largest_difference(logits, full, N * V) < 3e-5);
    sx_cache_free(cache);
    sx_free(full);
    sx_free(logits);
    fixture_close(&f);
}

Test(properties, pads_as_tokens)
{
    struct fixture f = fixture_random(esm_shape, 8);
    const int32_t ids[] = {0, 1, 2, 3, 4, 5};
    float masked[6 * 33], attended[6 * 33];
    const struct sx_sequence sequence = {.ids = ids, .n = 6, .n_rows = 6};
    struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = masked};
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    pass.attend_pads = true;
    pass.logits = attended;
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    cr_assert(largest_difference(masked, attended, 33) > 1e-3);
    fixture_close(&f);
}

Test(properties, forced_scale_of_embeddings)
{
    struct fixture f = fixture_random(esm_shape, 8);
    const int32_t ids[] = {0, 32, 7, 8, 2};
    float scale, logits[5 * 33];
    CHECK_OK(sx_embed_scale(f.info, ids, 5, &scale, err));
    CHECK_CLOSE(scale, 0.88 / 0.8, 1e-7);
    struct sx_sequence sequence = {.ids = ids, .n = 5, .embed_scale = scale, .n_rows = 5};
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    float *own = fixture_logits(&f, ids, 5, NULL);
    check_same(logits, own, 5 * 33, "the scale computed by the caller");
    sequence.embed_scale = 0.3F;
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    cr_assert(largest_difference(logits, own, 5 * 33) > 1e-3);
    sx_free(own);
    fixture_close(&f);
}

/* --- refusals -----------------------------------------------------------------------------------
 */

static void refuse(const struct fixture *f, struct sx_sequence sequence, enum sx_status status,
                   const char *word)
{
    float *logits = sx_xcalloc((sequence.n + 1) * f->info->vocab, sizeof *logits);
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
    struct sx_error err = {0};
    cr_assert_eq(sx_run_pass(f->runner, &pass, NULL, &err), status, "%s", err.message);
    cr_assert(strstr(err.message, word), "%s", err.message);
    sx_free(logits);
}

Test(properties, refusals)
{
    struct fixture f = fixture_random(esm_shape, 9);
    const int32_t masks[] = {32, 32, 32}, strange[] = {0, 33, 2}, fine[] = {0, 5, 2};
    float resid[3 * 64] = {0};
    const uint32_t row = 3;
    refuse(&f, (struct sx_sequence){.ids = masks, .n = 3}, SX_ERR_USAGE, "mask");
    refuse(&f, (struct sx_sequence){.ids = strange, .n = 3}, SX_ERR_USAGE, "33");
    refuse(&f, (struct sx_sequence){.ids = fine, .n = 0}, SX_ERR_USAGE, "empty");
    refuse(&f, (struct sx_sequence){.ids = fine, .n = 3, .rows = &row, .n_rows = 1}, SX_ERR_USAGE,
           "token 3");
    refuse(&f, (struct sx_sequence){.ids = fine, .n = 3, .from_layer = 1}, SX_ERR_USAGE,
           "residual");
    refuse(&f, (struct sx_sequence){.ids = fine, .n = 3, .from_layer = 4, .resid = resid},
           SX_ERR_USAGE, "layer 4");
    resid[70] = NAN;
    refuse(&f, (struct sx_sequence){.ids = fine, .n = 3, .from_layer = 2, .resid = resid},
           SX_ERR_NUMERIC, "before layer 2");
    struct sx_cache *cache = sx_cache_new(f.model, 8);
    refuse(&f, (struct sx_sequence){.ids = fine, .n = 3, .cache = cache}, SX_ERR_UNSUPPORTED,
           "both ways");
    sx_cache_free(cache);
    fixture_close(&f);
}

Test(properties, numbers_that_are_none_name_their_layer)
{
    struct fixture f = fixture_random(esm_shape, 9);
    const int32_t ids[] = {0, 5, 6, 2};
    const uint32_t layer = 1;
    const float value = INFINITY;
    const struct sx_intervention iv = {.point = SX_POINT_MLP_OUT,
                                       .layers = {&layer, 1},
                                       .band = -1,
                                       .action = SX_DO_SCALE,
                                       .factor = value};
    const struct sx_sequence sequence = {.ids = ids, .n = 4};
    const struct sx_pass pass = {.sequences = &sequence,
                                 .n_sequences = 1,
                                 .hooks = {.interventions = &iv, .n_interventions = 1}};
    struct sx_error err = {0};
    cr_assert_eq(sx_run_pass(f.runner, &pass, NULL, &err), SX_ERR_NUMERIC);
    cr_assert(strstr(err.message, "after layer 1"), "%s", err.message);
    fixture_close(&f);
}

Test(properties, cancelling)
{
    struct fixture f = fixture_random(esm_shape, 9);
    const int32_t ids[] = {0, 5, 6, 2};
    struct sx_task task;
    sx_task_init(&task);
    sx_task_cancel(&task);
    const struct sx_sequence sequence = {.ids = ids, .n = 4};
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1};
    cr_assert_eq(sx_run_pass(f.runner, &pass, &task, NULL), SX_CANCELLED);
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    fixture_close(&f);
}

/* What a pass says of itself when it is through: nearly 1, whatever it left out, and the same bits
 * as when nobody asks. */
static void check_told(struct fixture *f, size_t n, const uint32_t *rows, size_t n_rows,
                       size_t until)
{
    struct sx_task task;
    int32_t *ids = sx_xcalloc(n, sizeof *ids);
    float *logits[2];
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)(4 + i * i % 20);
    sx_task_init(&task);
    cr_assert_eq(sx_task_step_to(&task, 0, 4, 2), SX_OK);
    for (int told = 0; told < 2; told++) {
        logits[told] = sx_xcalloc(n_rows * f->info->vocab + 1, sizeof **logits);
        const struct sx_sequence sequence = {.ids = ids, .n = n, .rows = rows, .n_rows = n_rows};
        const struct sx_pass pass = {
            .sequences = &sequence, .n_sequences = 1, .until_layer = until, .logits = logits[told]};
        CHECK_OK(sx_run_pass(f->runner, &pass, told ? &task : NULL, err));
    }
    const double end = sx_task_progress(&task, NULL);
    cr_expect(end > 0.49 && end <= 0.5, "%zu tokens, %zu rows: %g", n, n_rows, end);
    cr_expect_arr_eq(logits[0], logits[1], n_rows * f->info->vocab * sizeof **logits);
    sx_free(logits[0]);
    sx_free(logits[1]);
    sx_free(ids);
}

Test(properties, a_long_pass_says_how_far_it_is)
{
    enum { N = 3500 };
    const struct tiny_shape shapes[] = {tiny_esm2_shape, tiny_neox_shape};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f = fixture_random(shapes[i], 9);
        check_told(&f, N, NULL, N, 0);
        check_told(&f, N, (uint32_t[]){70, 7}, 2, 0);
        check_told(&f, N, NULL, 0, 2);
        fixture_close(&f);
    }
}

struct watch {
    const struct sx_task *task;
    atomic_bool stop;
    size_t moved;
    double fell; /* the most, from one look to the next */
};

static void *watch_progress(void *arg)
{
    struct watch *watch = arg;
    double last = 0;
    while (!atomic_load(&watch->stop)) {
        const double now = sx_task_progress(watch->task, NULL);
        watch->moved += now > last;
        watch->fell = last - now > watch->fell ? last - now : watch->fell;
        last = now;
        (void)usleep(1000);
    }
    return NULL;
}

/* Two members may overtake each other by a piece, of which there are hundreds. */
Test(properties, the_fraction_grows)
{
    enum { N = 4000 };
    static int32_t ids[N];
    struct fixture f = fixture_random(tiny_esm2_shape, 9);
    struct sx_task task;
    struct watch watch = {.task = &task};
    pthread_t thread;
    for (size_t i = 0; i < N; i++)
        ids[i] = (int32_t)(4 + i % 20);
    sx_task_init(&task);
    cr_assert_eq(sx_task_step_to(&task, 0, 1, 1), SX_OK);
    cr_assert_eq(pthread_create(&thread, NULL, watch_progress, &watch), 0);
    const struct sx_sequence sequence = {.ids = ids, .n = N};
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1};
    CHECK_OK(sx_run_pass(f.runner, &pass, &task, err));
    atomic_store(&watch.stop, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect(watch.moved >= 5, "moved %zu times", watch.moved);
    cr_expect(watch.fell < 0.05, "fell by %g", watch.fell);
    fixture_close(&f);
}

/* A long protein needs memory by its rows, never by their square. */
Test(properties, memory_grows_with_length)
{
    struct fixture f = fixture_random(esm_shape, 9);
    uint64_t one = sx_pass_bytes(f.model, (size_t[]){10000}, 1);
    uint64_t ten = sx_pass_bytes(f.model, (size_t[]){100000}, 1);
    cr_assert(ten > 8 * one && ten < 11 * one, "%llu and %llu", (unsigned long long)one,
              (unsigned long long)ten);
    cr_assert(ten < 100000 * 4 * (6 * 64 + 2 * 8 + 40));
    fixture_close(&f);
}

/* --- one row of the last layer ------------------------------------------------------------------
 */

/* A capture behind the last attention sends all rows through it; without one only the wanted. */
static void check_wanted_rows(struct tiny_shape shape, size_t T)
{
    enum { MOST = 160, B = 3 };
    struct fixture f = fixture_random(shape, 11);
    const size_t V = f.info->vocab;
    int32_t ids[B][MOST];
    float moved[MOST];
    const uint32_t rows[B] = {(uint32_t)T - 1, 2, (uint32_t)T / 2},
                   last = (uint32_t)shape.layers - 1;
    struct sx_sequence sequences[B];
    for (size_t i = 0; i < B; i++) {
        fixture_ids(&f, ids[i], T, i + 1);
        sequences[i] = (struct sx_sequence){
            .ids = ids[i], .n = T, .embed_scale = NAN, .rows = &rows[i], .n_rows = 1};
    }
    for (size_t t = 0; t < T; t++)
        moved[t] = (float)t + (t > 3 ? 2.5F : 0);
    const struct sx_position_override override = {
        .sequence = 1, .side = SX_SIDE_BOTH, .positions = moved};
    const struct sx_intervention changes[] = {
        {.point = SX_POINT_Q, .sequence = 0, .band = 1, .action = SX_DO_SCALE, .factor = 2},
        {.point = SX_POINT_CTX, .sequence = 2, .band = -1, .action = SX_DO_SCALE, .factor = 0.5F},
        {.point = SX_POINT_ATTN,
         .sequence = 2,
         .keys = {&rows[1], 1},
         .band = -1,
         .action = SX_DO_SCALE},
        {.point = SX_POINT_RESID_POST,
         .sequence = 1,
         .layers = {&last, 1},
         .band = -1,
         .action = SX_DO_SCALE,
         .factor = 1.5F}};
    float *seen = sx_xcalloc(T, f.info->d_model * sizeof *seen);
    const struct sx_capture capture = {
        .point = SX_POINT_RESID_POST, .layers = {&last, 1}, .out = seen};
    float *few = sx_xcalloc(B, V * sizeof *few), *all = sx_xcalloc(B, V * sizeof *all);
    struct sx_pass pass = {.sequences = sequences,
                           .n_sequences = B,
                           .hooks = {.interventions = changes,
                                     .n_interventions = 4,
                                     .positions = &override,
                                     .n_positions = 1},
                           .logits = few};
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    pass.hooks.captures = &capture;
    pass.hooks.n_captures = 1;
    pass.logits = all;
    CHECK_OK(sx_run_pass(f.runner, &pass, NULL, err));
    cr_assert_eq(memcmp(few, all, B * V * sizeof *few), 0);
    sx_free(few);
    sx_free(all);
    sx_free(seen);
    fixture_close(&f);
}

Test(properties, wanted_rows_alone_give_the_same_bits)
{
    const struct tiny_shape esm = {SX_MODEL_ESM2, 3, 48, 3, 96, 33, 8};
    const struct tiny_shape neox = {SX_MODEL_GPT_NEOX, 3, 48, 3, 96, 40, 2};
    check_wanted_rows(esm, 31);
    check_wanted_rows(esm, 150);
    check_wanted_rows(neox, 31);
    check_wanted_rows(neox, 150);
}
