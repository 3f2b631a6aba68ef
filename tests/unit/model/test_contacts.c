/* The contact head against its definition on captured maps. */
#include "../../support/forward_fixture.h"

/* Symmetrise, correct by average products, weigh, squash. */
static void by_definition(const struct fixture *f, const int32_t *ids, size_t n, double *out)
{
    const size_t C = f->info->n_layers * f->info->n_heads, m = n - 2;
    const struct sx_model_weights *w = sx_model_weights(f->model);
    float *attn = fixture_capture(f, ids, n, SX_POINT_ATTN, NULL);
    double *s = sx_xcalloc(m * m, sizeof *s), *sums = sx_xcalloc(m, sizeof *sums);
    for (size_t i = 0; i < m * m; i++)
        out[i] = (double)w->contact_bias;
    for (size_t c = 0; c < C; c++) {
        const float *a = attn + c * n * n;
        double total = 0;
        for (size_t i = 0; i < m; i++) {
            sums[i] = 0;
            for (size_t j = 0; j < m; j++) {
                bool kept = ids[i + 1] != 2 && ids[j + 1] != 2;
                s[i * m + j] =
                    kept ? (double)a[(i + 1) * n + j + 1] + (double)a[(j + 1) * n + i + 1] : 0;
                sums[i] += s[i * m + j];
            }
            total += sums[i];
        }
        for (size_t i = 0; i < m * m; i++)
            out[i] += (double)w->contact_weight[c] * (s[i] - sums[i / m] * sums[i % m] / total);
    }
    for (size_t i = 0; i < m * m; i++)
        out[i] = 1 / (1 + exp(-out[i]));
    sx_free(attn);
    sx_free(s);
    sx_free(sums);
}

static void compare(const struct fixture *f, size_t n, bool ends_twice)
{
    int32_t *ids = sx_xcalloc(n, sizeof *ids);
    fixture_ids(f, ids, n, n);
    if (ends_twice)
        ids[n / 2] = 2;
    const size_t m = n - 2;
    float *map = sx_xcalloc(m * m, sizeof *map);
    double *expected = sx_xcalloc(m * m, sizeof *expected);
    CHECK_OK(sx_model_contacts(f->runner, ids, n, map, NULL, err));
    by_definition(f, ids, n, expected);
    check_all(map, expected, m * m, 2e-6, "contacts");
    sx_free(ids);
    sx_free(map);
    sx_free(expected);
}

Test(contacts, follow_their_definition)
{
    struct fixture f = fixture_random((struct tiny_shape){SX_MODEL_ESM2, 2, 96, 6, 64, 33, 0}, 21);
    compare(&f, 3, false);
    compare(&f, 4, false);
    compare(&f, 40, false);
    compare(&f, 40, true);
    compare(&f, 200, false);
    fixture_close(&f);
}

Test(contacts, refusals)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    struct fixture f = fixture_open(&m, &(struct tiny_options){.no_contact_head = true}, 1);
    const int32_t ids[] = {0, 5, 2};
    float map[1];
    cr_assert_eq(sx_model_contacts(f.runner, ids, 3, map, NULL, NULL), SX_ERR_UNSUPPORTED);
    fixture_close(&f);
    f = fixture_open(&m, NULL, 1);
    cr_assert_eq(sx_model_contacts(f.runner, ids, 2, map, NULL, NULL), SX_ERR_USAGE);
    CHECK_OK(sx_model_contacts(f.runner, ids, 3, map, NULL, err));
    fixture_close(&f);
    tiny_release(&m);
}

Test(contacts, say_how_far_they_are)
{
    enum { N = 3500 };
    static int32_t ids[N];
    struct fixture f = fixture_random(tiny_esm2_shape, 9);
    float *out = sx_alloc_big((size_t)(N - 2) * (N - 2), sizeof *out);
    struct sx_task task;
    for (size_t i = 1; i + 1 < N; i++)
        ids[i] = (int32_t)(4 + i % 20);
    ids[N - 1] = 2;
    sx_task_init(&task);
    cr_assert_eq(sx_task_step_to(&task, 0, 1, 1), SX_OK);
    CHECK_OK(sx_model_contacts(f.runner, ids, N, out, &task, err));
    const double end = sx_task_progress(&task, NULL);
    cr_expect(end > 0.95 && end <= 1, "%g", end);
    sx_free(out);
    fixture_close(&f);
}
