/* Random models against the plain double-precision pass. */
#include "../../support/forward_fixture.h"
#include "../../support/forward_twin.h"

enum { LENGTHS = 7 };
static const size_t lengths[LENGTHS] = {1, 2, 3, 9, 33, 70, 150};

static void compare(const struct fixture *f, const struct tiny_model *m, size_t n, bool parallel,
                    const float *positions)
{
    int32_t *ids = sx_xcalloc(n, sizeof *ids);
    fixture_ids(f, ids, n, n);
    struct twin t = twin_run(m, ids, n, parallel, positions);
    float *resid = sx_xcalloc(t.L * n * t.D, sizeof *resid);
    float *attn = sx_xcalloc(t.L * t.H * n * n, sizeof *attn);
    float *logits = sx_xcalloc(n * t.V, sizeof *logits);
    const struct sx_capture captures[] = {{.point = SX_POINT_RESID_POST, .out = resid},
                                          {.point = SX_POINT_ATTN, .out = attn}};
    const struct sx_sequence sequence = {
        .ids = ids, .n = n, .positions = positions, .embed_scale = NAN, .n_rows = n};
    const struct sx_pass pass = {.sequences = &sequence,
                                 .n_sequences = 1,
                                 .hooks = {.captures = captures, .n_captures = 2},
                                 .logits = logits};
    CHECK_OK(sx_run_pass(f->runner, &pass, NULL, err));
    check_all(resid, t.resid + n * t.D, t.L * n * t.D, 2e-5, "resid.post");
    check_all(attn, t.attn, t.L * t.H * n * n, 2e-6, "attn");
    check_all(logits, t.logits, n * t.V, 5e-5, "logits");
    twin_release(&t);
    sx_free(ids);
    sx_free(resid);
    sx_free(attn);
    sx_free(logits);
}

static void compare_all(struct tiny_shape shape, const struct tiny_options *options, bool parallel)
{
    struct tiny_model m = tiny_random(shape, 5);
    struct fixture f = fixture_open(&m, options, 2);
    float positions[150];
    for (size_t i = 0; i < 150; i++)
        positions[i] = (float)i * 0.75F + (i > 20 ? 11.0F : 0.0F);
    for (size_t i = 0; i < LENGTHS; i++) {
        compare(&f, &m, lengths[i], parallel, NULL);
        compare(&f, &m, lengths[i], parallel, positions);
    }
    fixture_close(&f);
    tiny_release(&m);
}

Test(forward_twin, esm2_with_the_heads_of_the_smallest_model)
{
    compare_all((struct tiny_shape){SX_MODEL_ESM2, 2, 320, 20, 640, 33, 0}, NULL, false);
}

Test(forward_twin, esm2_with_odd_sizes)
{
    compare_all((struct tiny_shape){SX_MODEL_ESM2, 3, 72, 3, 100, 33, 0}, NULL, false);
    compare_all((struct tiny_shape){SX_MODEL_ESM2, 1, 6, 3, 5, 33, 0}, NULL, false);
}

Test(forward_twin, gpt_neox)
{
    const struct tiny_shape shape = {SX_MODEL_GPT_NEOX, 2, 192, 3, 300, 97, 8};
    compare_all(shape, NULL, true);
    compare_all(shape, &(struct tiny_options){.sequential = true}, false);
}
