/* What is written reads back as the same SAE: every fixture through *.sae.h5, and through the form
 * of each library that can hold it. Forms that cannot say why. */
#include "sextant/sae/sae.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <sys/stat.h>

#include "io_support.h"
#include "sae_support.h"

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    closedir(dir);
    rmdir(folder);
}

static void check_same(const struct sx_sae *a, const char *path, const char *what)
{
    struct sx_sae *b = NULL;
    struct sx_error err = {0};
    cr_assert_eq(sx_sae_load(path, &b, &err), SX_OK, "%s: %s", what, err.message);
    struct sx_value *doc = NULL;
    cr_assert_eq(sx_sae_compare(a, b, &doc, NULL), SX_OK);
    struct sx_str text = SX_STR_INIT;
    sx_json_write(doc, 0, &text);
    cr_assert(sx_value_bool_or(sx_value_get(doc, "equal"), false), "%s: %s", what, text.data);
    enum { N = 5 };
    const uint64_t d = a->info.activation_dim;
    float *x = sae_random(N * d, 11, 1), *ra = sx_xmalloc(N * d * sizeof *ra),
          *rb = sx_xmalloc(N * d * sizeof *rb);
    cr_assert_eq(sx_sae_encode(a, x, N, NULL, ra, NULL, &err), SX_OK, "%s: %s", what, err.message);
    cr_assert_eq(sx_sae_encode(b, x, N, NULL, rb, NULL, &err), SX_OK, "%s: %s", what, err.message);
    cr_assert_arr_eq(ra, rb, N * d * sizeof *ra, "%s", what);
    sx_free(x);
    sx_free(ra);
    sx_free(rb);
    sx_str_release(&text);
    sx_value_free(doc);
    sx_sae_unref(b);
}

static void check_h5(const struct sx_sae *a, const char *what)
{
    struct sx_error err = {0};
    struct sx_sae *b = NULL;
    cr_assert_eq(sx_sae_write_h5(a, "x.sae.h5", NULL, &err), SX_OK, "%s: %s", what, err.message);
    check_same(a, "x.sae.h5", what);
    cr_assert_eq(sx_sae_load("x.sae.h5", &b, &err), SX_OK);
    const struct sx_sae_info *i = &a->info, *j = &b->info;
    cr_assert_eq(j->format, SX_SAE_SEXTANT);
    cr_assert_eq(i->arch, j->arch, "%s", what);
    cr_assert_eq(i->k, j->k, "%s", what);
    cr_assert_eq(i->seed, j->seed, "%s", what);
    cr_assert_eq(i->penalty_known, j->penalty_known, "%s", what);
    cr_assert(i->lambda == j->lambda || (isnan(i->lambda) && isnan(j->lambda)), "%s", what);
    cr_assert_eq(i->has_bias, j->has_bias, "%s", what);
    cr_assert_eq(i->n_groups, j->n_groups, "%s", what);
    cr_assert_str_eq(i->name, j->name);
    struct sx_str ka = SX_STR_INIT, kb = SX_STR_INIT;
    sx_sae_family_key(i, &ka);
    sx_sae_family_key(j, &kb);
    cr_assert_str_eq(ka.data, kb.data);
    sx_str_release(&ka);
    sx_str_release(&kb);
    sx_sae_unref(b);
    unlink("x.sae.h5");
}

static void check_forms(const struct sx_sae *a, const struct sx_value *c, const char *what)
{
    static const struct {
        const char *name;
        enum sx_status (*write)(const struct sx_sae *, const char *, struct sx_error *);
    } forms[] = {{"saelens", sx_sae_write_saelens},
                 {"sparsify", sx_sae_write_sparsify},
                 {"dictionary_learning", sx_sae_write_dictionary_learning}};
    const struct sx_value *list = sx_value_get(c, "convert");
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        bool wanted = false;
        for (size_t i = 0; i < sx_value_count(list); i++)
            wanted |= strcmp(sx_value_string_or(sx_value_item(list, i), ""), forms[f].name) == 0;
        struct sx_error err = {0};
        enum sx_status status = forms[f].write(a, "out", &err);
        cr_assert(!wanted || status == SX_OK, "%s to %s: %s", what, forms[f].name, err.message);
        cr_assert(status == SX_OK || status == SX_ERR_UNSUPPORTED);
        if (status == SX_OK)
            check_same(a, "out", what);
        else
            cr_assert(strstr(err.message, "cannot hold this SAE exactly"), "%s", err.message);
        remove_folder("out");
    }
}

Test(write, every_fixture_comes_back, .init = io_enter_scratch, .fini = io_leave_scratch)
{
    struct sx_value *cases = sae_cases();
    cr_assert(sx_value_count(cases) > 40);
    for (size_t i = 0; i < sx_value_count(cases); i++) {
        const struct sx_value *c = sx_value_item(cases, i);
        if (sx_value_get(c, "refused"))
            continue;
        char *path = sae_fixture(sx_value_string_or(sx_value_get(c, "path"), ""));
        const char *name = sx_value_string_or(sx_value_get(c, "name"), "");
        struct sx_sae *sae = NULL;
        cr_assert_eq(sx_sae_load(path, &sae, NULL), SX_OK, "%s", name);
        check_h5(sae, name);
        check_forms(sae, c, name);
        sx_sae_unref(sae);
        sx_free(path);
    }
    sx_value_free(cases);
}

static const char *refusal(const struct sx_sae *sae,
                           enum sx_status (*write)(const struct sx_sae *, const char *,
                                                   struct sx_error *))
{
    static struct sx_error err;
    cr_assert_eq(write(sae, "out", &err), SX_ERR_UNSUPPORTED);
    return err.message;
}

Test(write, refusals_say_why, .init = io_enter_scratch, .fini = io_leave_scratch)
{
    struct sx_sae *relu = sae_make(SX_ARCH_RELU, 4, 8, -1);
    cr_assert(strstr(refusal(relu, sx_sae_write_sparsify), "topk and groupmax only"));
    relu->info.norm = SX_NORM_LAYER;
    cr_assert(strstr(refusal(relu, sx_sae_write_dictionary_learning), "normalise"));
    relu->info.arch = SX_ARCH_SIGMOID;
    cr_assert(strstr(refusal(relu, sx_sae_write_saelens), "sigmoid"));
    struct sx_sae *topk = sae_make(SX_ARCH_TOPK, 4, 8, 2);
    topk->info.subtract_b_dec = false;
    cr_assert(strstr(refusal(topk, sx_sae_write_sparsify), "always subtracts b_dec"));
    cr_assert(strstr(refusal(topk, sx_sae_write_dictionary_learning), "always subtracts b_dec"));
    topk->info.norm = SX_NORM_DIVIDE;
    cr_assert(strstr(refusal(topk, sx_sae_write_saelens), "norm factor"));
    struct sx_sae *jump = sae_make(SX_ARCH_JUMPRELU, 4, 8, -1);
    cr_assert(strstr(refusal(jump, sx_sae_write_dictionary_learning), "does not subtract b_dec"));
    cr_assert_neq(access("out", F_OK), 0); /* nothing is begun */
    sx_sae_unref(relu);
    sx_sae_unref(topk);
    sx_sae_unref(jump);
}

Test(write, extra_attributes_and_groups, .init = io_enter_scratch, .fini = io_leave_scratch)
{
    struct sx_sae *sae = sae_make(SX_ARCH_MATRYOSHKA, 4, 8, 2), *back = NULL;
    sae->info.threshold = 0.5;
    sae->info.n_groups = 2;
    sae->info.group_sizes[0] = 3;
    sae->info.group_sizes[1] = 5;
    struct sx_value *extra = sx_value_map();
    sx_value_set(extra, "variant", sx_value_string("tied"));
    sx_value_set(extra, "seed", sx_value_int(7));
    cr_assert_eq(sx_sae_write_h5(sae, "x.sae.h5", extra, NULL), SX_OK);
    cr_assert_eq(sx_sae_load("x.sae.h5", &back, NULL), SX_OK);
    cr_assert_str_eq(back->info.variant, "tied");
    cr_assert_eq(back->info.seed, 7);
    cr_assert_eq(back->info.group_sizes[1], 5);
    cr_assert_eq(back->info.threshold, 0.5);
    sx_value_free(extra);
    sx_sae_unref(sae);
    sx_sae_unref(back);
}

Test(write, a_file_in_the_way, .init = io_enter_scratch, .fini = io_leave_scratch)
{
    struct sx_sae *sae = sae_make(SX_ARCH_TOPK, 4, 8, 2);
    struct sx_error err = {0};
    io_write("out", "x", 1);
    cr_assert_eq(sx_sae_write_saelens(sae, "out", &err), SX_ERR_IO);
    cr_assert_eq(sx_sae_write_saelens(sae, "out/below/a/file", &err), SX_ERR_IO);
    cr_assert_eq(sx_sae_write_h5(sae, "out/below.h5", NULL, &err), SX_ERR_IO, "%s", err.message);
    sx_sae_unref(sae);
}

Test(compare, differences_are_named)
{
    struct sx_sae *a = sae_make(SX_ARCH_TOPK, 4, 8, 2), *b = sae_make(SX_ARCH_RELU, 4, 8, -1);
    struct sx_sae *c = sae_make(SX_ARCH_JUMPRELU, 4, 9, -1);
    float *w = sae_random(32, 1, 0.5);
    w[5] += 0.25F;
    struct sx_sae parts = *b, *moved = NULL;
    parts.W_enc = w;
    cr_assert_eq(sx_sae_new(&parts, &moved, NULL), SX_OK);
    struct sx_value *doc = NULL;
    cr_assert_eq(sx_sae_compare(a, moved, &doc, NULL), SX_OK);
    cr_assert_not(sx_value_bool_or(sx_value_get(doc, "equal"), true));
    cr_assert_float_eq(sx_value_real_or(sx_value_at(doc, "tensors.W_enc.max_abs"), -1), 0.25, 1e-6);
    cr_assert_eq(sx_value_real_or(sx_value_at(doc, "tensors.W_dec.max_abs"), -1), 0);
    cr_assert_eq(sx_value_count(sx_value_get(doc, "differences")), 2); /* arch and k */
    sx_value_free(doc);
    cr_assert_eq(sx_sae_compare(a, c, &doc, NULL), SX_OK);
    cr_assert_str_eq(sx_value_string_or(sx_value_at(doc, "tensors.W_enc.why"), ""),
                     "shapes differ");
    cr_assert_str_eq(sx_value_string_or(sx_value_at(doc, "tensors.threshold.why"), ""),
                     "only in b");
    sx_value_free(doc);
    sx_free(w);
    struct sx_sae *all[] = {a, b, c, moved};
    for (size_t i = 0; i < 4; i++)
        sx_sae_unref(all[i]);
}
