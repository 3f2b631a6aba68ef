/* Passes on three threads with hooks, caches and a cancel from outside, for ThreadSanitizer (which
 * Criterion does not run under). */
#include <pthread.h>
#include <stdio.h>

#include "../support/tiny_models.h"
#include "sextant/model/forward.h"

enum { S = 4, T = 150 };

static int failures;

static void expect(bool right, const char *what, const struct sx_error *err)
{
    if (right)
        return;
    failures++;
    fprintf(stderr, "%s: %s\n", what, err->message);
}

static struct sx_runner *open_runner(struct tiny_shape shape, char *folder)
{
    struct sx_error err = {0};
    struct sx_model *model = NULL;
    struct tiny_model m = tiny_random(shape, 1);
    if (!mkdtemp(folder))
        abort();
    tiny_write(&m, folder, NULL);
    tiny_release(&m);
    if (sx_model_open(folder, NULL, &model, &err) != SX_OK)
        abort();
    struct sx_runner *runner = sx_runner_new(model, 3);
    sx_model_unref(model);
    return runner;
}

static void *cancel(void *task)
{
    usleep(3000);
    sx_task_cancel(task);
    return NULL;
}

static void run(struct sx_runner *runner, bool cached, struct sx_task *task)
{
    static int32_t ids[T];
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    for (int i = 0; i < T; i++)
        ids[i] = 4 + i * 7 % 20;
    struct sx_sequence sequences[S];
    for (size_t s = 0; s < S; s++)
        sequences[s] = (struct sx_sequence){.ids = ids,
                                            .n = T - 20 * s,
                                            .n_rows = T - 20 * s,
                                            .cache = cached ? sx_cache_new(model, T + 1) : NULL};
    struct sx_capture captures[2] = {{.point = SX_POINT_ATTN}, {.point = SX_POINT_MLP_POST}};
    for (size_t c = 0; c < 2; c++)
        captures[c].out = sx_xcalloc(sx_capture_count(info, &captures[c], T), sizeof(float));
    const struct sx_intervention iv = {.point = SX_POINT_SCORES,
                                       .sequence = SIZE_MAX,
                                       .band = -1,
                                       .action = SX_DO_SCALE,
                                       .factor = 0.5F};
    struct sx_pass pass = {.sequences = sequences,
                           .n_sequences = S,
                           .hooks = {captures, 2, &iv, 1, NULL, 0},
                           .logits = sx_xcalloc(S * T * info->vocab, sizeof(float))};
    struct sx_error err = {0};
    enum sx_status status = sx_run_pass(runner, &pass, task, &err);
    expect(status == SX_OK || (task && status == SX_CANCELLED), "pass", &err);
    for (size_t s = 0; s < S; s++)
        sequences[s].n = sequences[s].n_rows = 1;
    pass.hooks = (struct sx_hooks){0};
    expect(sx_run_pass(runner, &pass, NULL, &err) == SX_OK, "one token each", &err);
    for (size_t s = 0; s < S; s++)
        sx_cache_free(sequences[s].cache);
    sx_free(captures[0].out);
    sx_free(captures[1].out);
    sx_free(pass.logits);
}

static void race(struct tiny_shape shape, bool cached)
{
    char folder[] = "/tmp/sextant-race-XXXXXX";
    struct sx_runner *runner = open_runner(shape, folder);
    run(runner, cached, NULL);
    for (int i = 0; i < 3; i++) {
        struct sx_task task;
        pthread_t thread;
        sx_task_init(&task);
        if (pthread_create(&thread, NULL, cancel, &task) != 0)
            abort();
        run(runner, cached, &task);
        pthread_join(thread, NULL);
    }
    float map[(T - 2) * (T - 2)];
    int32_t ids[T] = {0};
    struct sx_error err = {0};
    if (shape.family == SX_MODEL_ESM2)
        expect(sx_model_contacts(runner, ids, T, map, NULL, &err) == SX_OK, "contacts", &err);
    sx_runner_free(runner);
    tiny_remove(folder);
}

int main(void)
{
    race((struct tiny_shape){SX_MODEL_ESM2, 3, 64, 4, 96, 33, 0}, false);
    race((struct tiny_shape){SX_MODEL_GPT_NEOX, 3, 96, 3, 200, 150, 8}, true);
    return failures != 0;
}
