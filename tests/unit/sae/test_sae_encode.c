/* Encoding and decoding: against what the libraries computed (fixtures), and against a plain twin
 * where sizes go beyond one block. */
#include "sextant/sae/sae.h"

#include <criterion/criterion.h>

#include "sae_support.h"

/* float32 sums of up to some hundred terms */
static const double tolerance = 1e-5;

static void expand(const struct sx_sae_acts *acts, uint64_t f, float *out)
{
    memset(out, 0, acts->rows * f * sizeof *out);
    for (uint64_t r = 0; r < acts->rows; r++)
        for (uint64_t i = acts->indptr[r]; i < acts->indptr[r + 1]; i++) {
            cr_assert(acts->indices[i] < f);
            cr_assert(i == acts->indptr[r] || acts->indices[i] > acts->indices[i - 1]);
            cr_assert(acts->values[i] != 0);
            out[r * f + acts->indices[i]] = acts->values[i];
        }
}

static void check_case(const struct sx_value *c)
{
    const char *name = sx_value_string_or(sx_value_get(c, "name"), "");
    char *path = sae_fixture(sx_value_string_or(sx_value_get(c, "path"), ""));
    struct sae_expected want = sae_expect(name);
    struct sx_sae *sae = NULL;
    struct sx_error err = {0};
    cr_assert_eq(sx_sae_load(path, &sae, &err), SX_OK, "%s: %s", name, err.message);
    struct sx_sae_acts acts = {0};
    float *recon = sx_xmalloc(want.n * want.d * sizeof *recon);
    float *dense = sx_xmalloc(want.n * want.f * sizeof *dense);
    cr_assert_eq(sx_sae_encode(sae, want.x, want.n, &acts, recon, NULL, &err), SX_OK, "%s: %s",
                 name, err.message);
    cr_assert_eq(sae->info.dict_size, want.f, "%s", name);
    expand(&acts, want.f, dense);
    double off = sae_off(dense, want.acts, want.n * want.f);
    cr_assert_leq(off, tolerance, "%s: latents off by %g", name, off);
    off = sae_off(recon, want.recon, want.n * want.d);
    cr_assert_leq(off, tolerance, "%s: reconstruction off by %g", name, off);
    cr_assert_eq(sx_sae_encode_dense(sae, want.x, want.n, dense, NULL, &err), SX_OK);
    cr_assert_leq(sae_off(dense, want.acts, want.n * want.f), tolerance, "%s, dense", name);
    memset(recon, 0, want.n * want.d * sizeof *recon);
    cr_assert_eq(sx_sae_decode(sae, &acts, want.x, recon, NULL, &err), SX_OK);
    cr_assert_leq(sae_off(recon, want.recon, want.n * want.d), tolerance, "%s, decode", name);
    sx_free(recon);
    sx_free(dense);
    sx_sae_acts_release(&acts);
    sae_expected_release(&want);
    sx_sae_unref(sae);
    sx_free(path);
}

Test(encode, every_fixture_as_its_library)
{
    struct sx_value *cases = sae_cases();
    cr_assert(sx_value_count(cases) > 40);
    for (size_t i = 0; i < sx_value_count(cases); i++)
        if (!sx_value_get(sx_value_item(cases, i), "refused"))
            check_case(sx_value_item(cases, i));
    sx_value_free(cases);
}

/* Rows of several blocks, checked at the block edges and a few others. */
static void check_twin(struct sx_sae *sae, uint64_t n)
{
    const uint64_t d = sae->info.activation_dim, f = sae->info.dict_size;
    float *x = sae_random(n * d, 77, 1.0);
    float *recon = sx_xmalloc(n * d * sizeof *recon), *dense = sx_xmalloc(n * f * sizeof *dense);
    float *want = sx_xmalloc(f * sizeof *want), *want_recon = sx_xmalloc(d * sizeof *want_recon);
    struct sx_sae_acts acts = {0};
    struct sx_error err = {0};
    cr_assert_eq(sx_sae_encode(sae, x, n, &acts, recon, NULL, &err), SX_OK, "%s", err.message);
    expand(&acts, f, dense);
    const uint64_t rows[] = {0, 1, n / 2, 1023, 1024, n - 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i] >= n)
            continue;
        twin_row(sae, x + rows[i] * d, want, want_recon);
        const char *arch = sx_sae_arch_name(sae->info.arch);
        cr_assert_leq(sae_off(dense + rows[i] * f, want, f), tolerance, "%s row %d", arch,
                      (int)rows[i]);
        cr_assert_leq(sae_off(recon + rows[i] * d, want_recon, d), tolerance, "%s row %d", arch,
                      (int)rows[i]);
    }
    sx_sae_acts_release(&acts);
    sx_free(x);
    sx_free(recon);
    sx_free(dense);
    sx_free(want);
    sx_free(want_recon);
}

Test(encode, architectures_against_the_plain_twin)
{
    static const struct {
        enum sx_sae_arch arch;
        int64_t k;
        double threshold;
    } table[] = {
        {SX_ARCH_RELU, -1, NAN},      {SX_ARCH_TOPK, 1, NAN},     {SX_ARCH_TOPK, 7, NAN},
        {SX_ARCH_TOPK, 150, NAN},     {SX_ARCH_TOPK, 320, NAN},   {SX_ARCH_BATCHTOPK, 5, 0.7},
        {SX_ARCH_BATCHTOPK, 5, -1},   {SX_ARCH_BATCHTOPK, 5, 0},  {SX_ARCH_MATRYOSHKA, 5, 0.2},
        {SX_ARCH_JUMPRELU, -1, NAN},  {SX_ARCH_GATED, -1, NAN},   {SX_ARCH_GROUPMAX, 10, NAN},
        {SX_ARCH_GROUPMAX, 320, NAN}, {SX_ARCH_SIGMOID, -1, NAN},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct sx_sae *sae = sae_make(table[i].arch, 20, 320, table[i].k);
        sae->info.threshold = table[i].threshold;
        check_twin(sae, 2100);
        sx_sae_unref(sae);
    }
}

Test(encode, variants_against_the_plain_twin)
{
    static const enum sx_sae_norm norms[] = {SX_NORM_NONE, SX_NORM_CONSTANT_NORM, SX_NORM_LAYER,
                                             SX_NORM_SQRT_D, SX_NORM_DIVIDE};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        struct sx_sae *sae = sae_make(SX_ARCH_TOPK, 12, 64, 6);
        sae->info.norm = norms[i];
        sae->info.norm_factor = 3.5;
        sae->info.scale_by_decoder_norm = i % 2;
        sae->info.subtract_b_dec = i % 3 != 0;
        sae->info.signed_topk = i == 0;
        sae->info.sigmoid_out = i == 4;
        check_twin(sae, 40);
        sx_sae_unref(sae);
    }
}

Test(encode, top_k_equals_a_full_sort)
{
    /* Rows with many ties, all-negative rows and ascending values: the count and the multiset of
     * values are those of a sort. */
    enum { F = 1000, D = 1 };
    for (int64_t k = 1; k <= F; k = k < 8 ? k + 1 : k * 3) {
        struct sx_sae *sae = sae_make(SX_ARCH_TOPK, D, F, k);
        float *w = sx_xmalloc(F * sizeof *w), *b = sx_xcalloc(F, sizeof *b), zero = 0;
        for (int j = 0; j < F; j++)
            w[j] = (float)(j % 17) - 8 + (float)j * 1e-3F * (float)(j % 2);
        struct sx_sae parts = *sae;
        parts.W_enc = w;
        parts.b_enc = b;
        parts.b_dec = &zero;
        struct sx_sae *tied = NULL;
        cr_assert_eq(sx_sae_new(&parts, &tied, NULL), SX_OK);
        check_twin(tied, 3);
        sx_sae_unref(tied);
        sx_sae_unref(sae);
        sx_free(w);
        sx_free(b);
    }
}

Test(encode, reuses_and_shrinks_results)
{
    struct sx_sae *sae = sae_make(SX_ARCH_RELU, 8, 30, -1);
    float *x = sae_random(50 * 8, 3, 1);
    struct sx_sae_acts acts = {0};
    cr_assert_eq(sx_sae_encode(sae, x, 50, &acts, NULL, NULL, NULL), SX_OK);
    uint64_t first = acts.indptr[10];
    cr_assert_eq(sx_sae_encode(sae, x, 10, &acts, NULL, NULL, NULL), SX_OK);
    cr_assert_eq(acts.rows, 10);
    cr_assert_eq(acts.indptr[10], first);
    cr_assert_eq(sx_sae_encode(sae, x, 0, &acts, NULL, NULL, NULL), SX_OK);
    cr_assert_eq(acts.rows, 0);
    sx_sae_acts_release(&acts);
    sx_sae_unref(sae);
    sx_free(x);
}

Test(encode, refuses_what_is_not_finite)
{
    struct sx_error err = {0};
    struct sx_sae *sae = sae_make(SX_ARCH_RELU, 4, 6, -1);
    float x[8] = {0, 1, 2, 3, 4, NAN, 6, 7};
    struct sx_sae_acts acts = {0};
    cr_assert_eq(sx_sae_encode(sae, x, 2, &acts, NULL, NULL, &err), SX_ERR_NUMERIC);
    cr_assert_str_eq(err.message, "input row 1 holds NaN or infinity");

    float w[24] = {0};
    w[7] = INFINITY;
    struct sx_sae parts = *sae, *broken = NULL;
    parts.W_enc = w;
    cr_assert_eq(sx_sae_new(&parts, &broken, &err), SX_OK);
    cr_assert_eq(broken->info.n_warnings, 1);
    cr_assert_eq(sx_sae_encode(broken, x, 1, &acts, NULL, NULL, &err), SX_ERR_NUMERIC);
    cr_assert(strstr(err.message, "weights hold NaN"));
    sx_sae_unref(broken);
    sx_sae_acts_release(&acts);
    sx_sae_unref(sae);
}

Test(encode, refuses_what_is_missing)
{
    struct sx_error err = {0};
    float x[4] = {1, 2, 3, 4};
    struct sx_sae_acts acts = {0};
    struct sx_sae *sae = sae_make(SX_ARCH_TOPK, 4, 6, -1);
    cr_assert_eq(sx_sae_encode(sae, x, 1, &acts, NULL, NULL, &err), SX_ERR_UNSUPPORTED);
    cr_assert(strstr(err.message, "does not say k"));
    sae->info.arch = SX_ARCH_GATED;
    cr_assert_eq(sx_sae_encode(sae, x, 1, &acts, NULL, NULL, &err), SX_ERR_FORMAT);
    sae->info.arch = SX_ARCH_JUMPRELU;
    cr_assert_eq(sx_sae_encode(sae, x, 1, &acts, NULL, NULL, &err), SX_ERR_FORMAT);
    sae->info.arch = SX_ARCH_GROUPMAX;
    sae->info.k = 4;
    cr_assert_eq(sx_sae_encode(sae, x, 1, &acts, NULL, NULL, &err), SX_ERR_SHAPE);
    sae->info.arch = SX_ARCH_RELU;
    sae->info.norm = SX_NORM_LAYER;
    cr_assert_eq(sx_sae_encode(sae, x, 1, &acts, NULL, NULL, &err), SX_OK);
    float recon[4];
    cr_assert_eq(sx_sae_decode(sae, &acts, NULL, recon, NULL, &err), SX_ERR_USAGE);
    sx_sae_acts_release(&acts);
    sx_sae_unref(sae);
}

Test(encode, cancelled)
{
    struct sx_sae *sae = sae_make(SX_ARCH_RELU, 16, 64, -1);
    float *x = sae_random(100 * 16, 3, 1);
    struct sx_sae_acts acts = {0};
    struct sx_task task;
    sx_task_init(&task);
    cr_assert_eq(sx_sae_encode(sae, x, 100, &acts, NULL, &task, NULL), SX_OK);
    cr_assert_float_eq(sx_task_progress(&task, NULL), 1, 1e-12);
    sx_task_cancel(&task);
    cr_assert_eq(sx_sae_encode(sae, x, 100, &acts, NULL, &task, NULL), SX_CANCELLED);
    sx_sae_acts_release(&acts);
    sx_sae_unref(sae);
    sx_free(x);
}

Test(encode, nothing_fires)
{
    struct sx_sae *sae = sae_make(SX_ARCH_BATCHTOPK, 4, 6, 2);
    sae->info.threshold = 1e6;
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, recon[8];
    struct sx_sae_acts acts = {0};
    cr_assert_eq(sx_sae_encode(sae, x, 2, &acts, recon, NULL, NULL), SX_OK);
    cr_assert(acts.indices && acts.values);
    cr_assert_eq(acts.indptr[2], 0);
    cr_assert_arr_eq(recon + 4, sae->b_dec, sizeof(float[4]));
    sx_sae_acts_release(&acts);
    sx_sae_unref(sae);
}

Test(encode, a_zero_row_stays_finite)
{
    struct sx_sae *sae = sae_make(SX_ARCH_RELU, 4, 6, -1);
    sae->info.norm = SX_NORM_CONSTANT_NORM;
    float x[4] = {0, 0, 0, 0}, recon[4] = {9, 9, 9, 9};
    struct sx_sae_acts acts = {0};
    cr_assert_eq(sx_sae_encode(sae, x, 1, &acts, recon, NULL, NULL), SX_OK);
    for (int e = 0; e < 4; e++)
        cr_assert_eq(recon[e], 0);
    sx_sae_acts_release(&acts);
    sx_sae_unref(sae);
}

Test(fit, by_hand)
{
    /* x = (1,0),(3,0),(0,2),(0,2); recon = x but the last row (0,1). */
    const float x[] = {1, 0, 3, 0, 0, 2, 0, 2}, y[] = {1, 0, 3, 0, 0, 2, 0, 1};
    uint64_t indptr[] = {0, 1, 2, 4, 4};
    struct sx_sae_acts acts = {.rows = 4, .indptr = indptr};
    struct sx_sae_fit fit;
    sx_sae_fit(x, y, &acts, 4, 2, &fit);
    cr_assert_float_eq(fit.mse, 1.0 / 8, 1e-12);
    cr_assert_float_eq(fit.l0, 1, 1e-12);
    cr_assert_float_eq(fit.cosine, 1, 1e-12);
    /* var x: 1.5 + 1; var error: 3/16 (population) */
    cr_assert_float_eq(fit.fvu, (3.0 / 16) / 2.5, 1e-12);
    sx_sae_fit(x, x, NULL, 4, 2, &fit);
    cr_assert_float_eq(fit.fvu, 0, 1e-12);
    cr_assert(isnan(fit.l0));
}
