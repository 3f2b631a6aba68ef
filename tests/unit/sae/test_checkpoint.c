/* Files of every library are told apart by content, described as they are, and refused by name. */
#include "sextant/sae/sae.h"

#include <criterion/criterion.h>
#include <sys/stat.h>

#include "io_support.h"
#include "memory_runs_out.h"
#include "sae_support.h"
#include "sextant/io/tensor_write.h"

static const char *text_of(const struct sx_value *v, const char *key)
{
    return sx_value_string_or(sx_value_get(v, key), "");
}

/* Does any warning hold `word`? */
static bool warns(const struct sx_sae_info *info, const char *word)
{
    for (size_t i = 0; i < info->n_warnings; i++)
        if (strstr(info->warnings[i], word))
            return true;
    return false;
}

static struct sx_sae_info probe(const char *name)
{
    char *path = sae_fixture(name);
    struct sx_sae_info info;
    struct sx_error err = {0};
    cr_assert_eq(sx_sae_probe(path, &info, &err), SX_OK, "%s: %s", name, err.message);
    sx_free(path);
    return info;
}

static bool fixture_warns(const char *name, const char *word)
{
    struct sx_sae_info info = probe(name);
    bool found = warns(&info, word);
    sx_sae_info_release(&info);
    return found;
}

static struct sx_sae *load(const char *name)
{
    char *path = sae_fixture(name);
    struct sx_sae *sae = NULL;
    struct sx_error err = {0};
    cr_assert_eq(sx_sae_load(path, &sae, &err), SX_OK, "%s: %s", name, err.message);
    sx_free(path);
    return sae;
}

/* --- facts -------------------------------------------------------------------------------------
 */

static void check_fact(const char *name, const char *key, const struct sx_value *want,
                       const struct sx_value *got)
{
    switch (sx_value_kind(want)) {
    case SX_VALUE_STRING:
        cr_assert_str_eq(sx_value_string_or(got, "(null)"), sx_value_string_or(want, ""), "%s %s",
                         name, key);
        break;
    case SX_VALUE_NULL:
        cr_assert_eq(sx_value_kind(got), SX_VALUE_NULL, "%s %s", name, key);
        break;
    case SX_VALUE_BOOL:
        cr_assert_eq(sx_value_bool_or(got, false), sx_value_bool_or(want, true), "%s %s", name,
                     key);
        break;
    default:
        cr_assert_float_eq(sx_value_real_or(got, -77), sx_value_real_or(want, -78), 1e-12,
                           "%s %s: %g", name, key, sx_value_real_or(got, -77));
    }
}

static void check_case(const struct sx_value *c)
{
    static const char *const keys[] = {"format", "arch",    "activation_dim", "dict_size",
                                       "k",      "seed",    "layer",          "decoder_constraint",
                                       "backup", "penalty", "lambda"};
    const char *name = text_of(c, "name");
    struct sx_sae *sae = load(text_of(c, "path"));
    struct sx_sae_stats stats;
    cr_assert_eq(sx_sae_measure(sae, &stats, NULL), SX_OK);
    struct sx_value *doc = sx_sae_describe(&sae->info, &stats);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (sx_value_get(c, keys[i]))
            check_fact(name, keys[i], sx_value_get(c, keys[i]), sx_value_get(doc, keys[i]));
    sx_value_free(doc);
    sx_sae_unref(sae);
}

static void check_refused(const struct sx_value *c)
{
    char *path = sae_fixture(text_of(c, "path"));
    struct sx_sae_info info;
    struct sx_error err = {0};
    enum sx_status status = sx_sae_probe(path, &info, &err);
    cr_assert(status != SX_OK && status != SX_ERR_NOTFOUND, "%s", path);
    cr_assert(strstr(err.message, text_of(c, "refused")), "%s", err.message);
    cr_assert_not(strchr(err.message, '\n'));
    sx_free(path);
}

Test(checkpoint, every_fixture_says_what_it_is)
{
    struct sx_value *cases = sae_cases();
    cr_assert(sx_value_count(cases) > 40);
    for (size_t i = 0; i < sx_value_count(cases); i++) {
        const struct sx_value *c = sx_value_item(cases, i);
        if (sx_value_get(c, "refused"))
            check_refused(c);
        else
            check_case(c);
    }
    sx_value_free(cases);
}

Test(checkpoint, warnings_of_the_fixtures)
{
    cr_assert(fixture_warns("dl_topk", "encoder stored transposed"));
    cr_assert(fixture_warns("dl_matryoshka", "encoder stored transposed"));
    cr_assert_not(fixture_warns("dl_topk_contiguous", "transposed"));
    cr_assert(fixture_warns("dl_backup", "norm_factor = 7.25"));
    cr_assert(fixture_warns("dl_batchtopk_unmeasured", "threshold was not measured"));
    cr_assert_not(fixture_warns("dl_batchtopk", "threshold was not measured"));
    cr_assert(fixture_warns("dl_topk_no_config", "read as top k"));
    cr_assert(fixture_warns("lens_standard_expected_average_only_in", "applied as 1"));
    cr_assert(fixture_warns("lens_bfloat16", "bfloat16"));
    cr_assert(fixture_warns("interplm_relu/layer_4", "activation_rescale_factor"));
    cr_assert(fixture_warns("mnist_name_conflict/sae_l1w_l1_0.1_l2w_0.01_100ep_seed_0.pt",
                            "name says a weight penalty of 0.01, its attributes 1e-05"));
    cr_assert(fixture_warns("mnist_name_conflict/sae_l1w_l1_0.1_l2w_0.01_100ep_seed_0.pt",
                            "name says seed 0, its attributes 2"));
    /* "1e-05" in a name is a hundred-thousandth, not 1. */
    cr_assert_not(fixture_warns("mnist_t_l2/sae_l1w_l1_0.1_l2w_1e-05_100ep_tied_init_seed_2.pt",
                                "name says"));
    struct sx_sae *sae = load("dl_autoencoder");
    cr_assert(warns(&sae->info, "normalize_decoder=True"));
    sx_sae_unref(sae);
}

Test(checkpoint, names_arms_and_images)
{
    struct sx_sae_info t = probe("mnist_t_l2"), image = probe("mnist_u_784");
    cr_assert_str_eq(t.name, "T_l2_1e-05_s2");
    cr_assert_str_eq(t.variant, "T");
    cr_assert(t.has_bias && t.subtract_b_dec);
    cr_assert_str_eq(image.name, "U_none_s0");
    cr_assert_not(image.has_bias);
    cr_assert_eq(image.image_width, 28);
    cr_assert_eq(image.image_height, 28);
    struct sx_sae_info seed = probe("sparsify_seed1/layers.3/seed1");
    cr_assert_str_eq(seed.hook, "layers.3");
    cr_assert_eq(seed.seed, 1);
    struct sx_sae_info dl = probe("dl_topk");
    cr_assert_str_eq(dl.hook, "resid_post_layer_3");
    cr_assert_str_eq(dl.model, "EleutherAI/pythia-70m-deduped");
    cr_assert_str_eq(dl.name, "dl_topk");
    struct sx_sae_info *all[] = {&t, &image, &seed, &dl};
    for (size_t i = 0; i < 4; i++)
        sx_sae_info_release(all[i]);
}

Test(checkpoint, strides_are_honoured)
{
    struct sx_sae *a = load("dl_topk"), *b = load("dl_topk_contiguous");
    struct sx_value *doc = NULL;
    cr_assert_eq(sx_sae_compare(a, b, &doc, NULL), SX_OK);
    cr_assert(sx_value_bool_or(sx_value_get(doc, "equal"), false));
    cr_assert_eq(sx_value_real_or(sx_value_at(doc, "tensors.W_enc.max_abs"), -1), 0);
    sx_value_free(doc);
    sx_sae_unref(a);
    sx_sae_unref(b);
}

Test(checkpoint, overrides)
{
    char *path = sae_fixture("dl_jumprelu");
    struct sx_sae_override override = SX_SAE_NO_OVERRIDE;
    struct sx_sae *sae = NULL;
    cr_assert_eq(sx_sae_load_as(path, &override, &sae, NULL), SX_OK);
    cr_assert_not(sae->info.subtract_b_dec);
    sx_sae_unref(sae);
    override = (struct sx_sae_override){.subtract_b_dec = 1, .k = 3, .norm_factor = 2};
    cr_assert_eq(sx_sae_load_as(path, &override, &sae, NULL), SX_OK);
    cr_assert(sae->info.subtract_b_dec);
    cr_assert_eq(sae->info.k, 3);
    cr_assert_eq(sae->info.norm, SX_NORM_DIVIDE);
    sx_sae_unref(sae);
    sx_free(path);
}

static void keys_of(const char *name, struct sx_str *family, struct sx_str *sibling)
{
    struct sx_sae_info info = probe(name);
    sx_str_clear(family);
    sx_str_clear(sibling);
    sx_sae_family_key(&info, family);
    sx_sae_sibling_key(&info, sibling);
    sx_sae_info_release(&info);
}

Test(checkpoint, families)
{
    struct sx_str fa = SX_STR_INIT, sa = SX_STR_INIT, fb = SX_STR_INIT, sb = SX_STR_INIT;
    keys_of("sparsify_seed0/layers.3/seed0", &fa, &sa);
    keys_of("sparsify_seed1/layers.3/seed1", &fb, &sb);
    cr_assert_str_eq(fa.data, fb.data);
    keys_of("dl_topk", &fa, &sa);
    keys_of("dl_topk_contiguous", &fb, &sb); /* its configuration has no l2_w */
    cr_assert_str_neq(fa.data, fb.data);
    cr_assert_str_eq(sa.data, sb.data);
    keys_of("dl_batchtopk", &fb, &sb);
    cr_assert_str_neq(sa.data, sb.data);
    sx_str_release(&fa);
    sx_str_release(&fb);
    sx_str_release(&sa);
    sx_str_release(&sb);
}

/* --- broken and misleading ---------------------------------------------------------------------
 */

static void copy_file(const char *from, const char *to, size_t most)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    cr_assert(in && out, "%s", from);
    for (int c; most > 0 && (c = fgetc(in)) != EOF; most--)
        fputc(c, out);
    fclose(in);
    fclose(out);
}

static void copy_fixture(const char *name, const char *to)
{
    char *from = sae_fixture(name);
    copy_file(from, to, SIZE_MAX);
    sx_free(from);
}

static void write_text(const char *path, const char *text)
{
    io_write(path, text, strlen(text));
}

static enum sx_status probe_here(char message[512])
{
    struct sx_sae_info info;
    struct sx_error err = {0};
    enum sx_status status = sx_sae_probe(".", &info, &err);
    if (status == SX_OK)
        sx_sae_info_release(&info);
    snprintf(message, 512, "%s", err.message);
    return status;
}

Test(checkpoint, broken_configurations, .init = io_enter_scratch, .fini = io_leave_scratch)
{
    char message[512];
    copy_fixture("lens_topk/sae_weights.safetensors", "sae_weights.safetensors");
    static const struct {
        const char *config;
        enum sx_status status;
        const char *says;
    } table[] = {
        {"{\"d_in\": 8,", SX_ERR_FORMAT, "cfg.json"},
        {"[]", SX_ERR_NOTFOUND, ""},
        {"{\"architecture\":\"topk\",\"d_in\":8,\"d_sae\":25,\"k\":4}", SX_ERR_SHAPE, "[8, 24]"},
        {"{\"architecture\":\"topk\",\"d_in\":8,\"d_sae\":24}", SX_ERR_FORMAT, "needs k"},
        {"{\"architecture\":\"topk\",\"d_in\":8,\"d_sae\":24,\"k\":25}", SX_ERR_SHAPE, "k is 25"},
        {"{\"architecture\":\"topk\",\"d_in\":8,\"d_sae\":24,\"k\":-3}", SX_ERR_FORMAT, "needs k"},
        {"{\"architecture\":\"temporal\\u001b[2J\",\"d_in\":8,\"d_sae\":24}", SX_ERR_UNSUPPORTED,
         "temporal"},
        {"{\"architecture\":\"jumprelu\",\"d_in\":8,\"d_sae\":24}", SX_ERR_FORMAT, "threshold"},
        {"{\"architecture\":\"gated\",\"d_in\":8,\"d_sae\":24}", SX_ERR_FORMAT, "r_mag"},
        {"{\"d_in\":8,\"d_sae\":24,\"activation_fn_str\":\"tanh-relu\"}", SX_ERR_UNSUPPORTED,
         "tanh-relu"},
        {"{\"architecture\":\"standard\",\"d_in\":8,\"normalize_activations\":\"x\"}",
         SX_ERR_UNSUPPORTED, "normalize_activations"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        write_text("cfg.json", table[i].config);
        enum sx_status status = probe_here(message);
        if (table[i].status == SX_ERR_NOTFOUND) /* read as a plain file or not at all */
            continue;
        cr_assert_eq(status, table[i].status, "%s: %s %s", table[i].config, sx_status_name(status),
                     message);
        cr_assert(strstr(message, table[i].says), "%s", message);
        cr_assert_not(strchr(message, '\033'));
    }
}

Test(checkpoint, broken_sparsify, .init = io_enter_scratch, .fini = io_leave_scratch)
{
    char message[512];
    copy_fixture("sparsify_topk/sae.safetensors", "sae.safetensors");
    write_text("cfg.json", "{\"d_in\":8,\"num_latents\":0,\"expansion_factor\":4,\"k\":4}");
    cr_assert_eq(probe_here(message), SX_ERR_SHAPE);
    write_text("cfg.json", "{\"d_in\":8,\"num_latents\":24}");
    cr_assert_eq(probe_here(message), SX_ERR_FORMAT);
    cr_assert(strstr(message, "k is missing"));
    write_text("cfg.json", "{\"d_in\":8,\"num_latents\":24,\"k\":4,\"activation\":\"x\"}");
    cr_assert_eq(probe_here(message), SX_ERR_UNSUPPORTED);
    write_text("cfg.json", "{\"d_in\":8,\"num_latents\":24,\"k\":4,\"skip_connection\":true}");
    cr_assert_eq(probe_here(message), SX_ERR_FORMAT);
    write_text("cfg.json", "{\"d_in\":8,\"num_latents\":24,\"k\":4}");
    cr_assert_eq(probe_here(message), SX_OK, "%s", message);
}

Test(checkpoint, configuration_beside_ae_pt_is_optional, .init = io_enter_scratch,
     .fini = io_leave_scratch)
{
    struct sx_sae_info info;
    copy_fixture("dl_topk/ae.pt", "ae.pt");
    write_text("config.json", "{\"trainer\": {\"seed\": null, \"dict_class\": ");
    cr_assert_eq(sx_sae_probe("ae.pt", &info, NULL), SX_OK);
    cr_assert(warns(&info, "configuration not used"));
    cr_assert_eq(info.k, 4);
    sx_sae_info_release(&info);
    write_text("config.json", "{\"trainer\": {\"dict_class\": \"GatedAutoEncoder\", \"k\": 9, "
                              "\"seed\": null, \"layer\": \"x\", \"l2_w\": null, "
                              "\"dict_size\": 99, \"activation_dim\": 8}}");
    cr_assert_eq(sx_sae_probe(".", &info, NULL), SX_OK);
    cr_assert_eq(info.arch, SX_ARCH_TOPK);
    cr_assert_eq(info.k, 4);
    cr_assert_eq(info.seed, -1);
    cr_assert_not(info.penalty_known);
    cr_assert(warns(&info, "k = 9"));
    cr_assert(warns(&info, "keys decide"));
    cr_assert(warns(&info, "99 latents"));
    sx_sae_info_release(&info);
}

Test(checkpoint, a_run_s_intermediate_files, .init = io_enter_scratch)
{
    cr_assert_eq(mkdir("checkpoints", 0777), 0);
    copy_fixture("dl_topk/ae.pt", "checkpoints/ae_1000.pt");
    copy_fixture("dl_topk/config.json", "config.json");
    struct sx_sae_info info;
    cr_assert_eq(sx_sae_probe("checkpoints/ae_1000.pt", &info, NULL), SX_OK);
    cr_assert_eq(info.seed, 0);
    cr_assert_float_eq(info.lambda, 1e-4, 1e-12);
    sx_sae_info_release(&info);
    unlink("checkpoints/ae_1000.pt");
    rmdir("checkpoints");
    io_leave_scratch();
}

Test(checkpoint, truncated_files_at_every_length, .init = io_enter_scratch,
     .fini = io_leave_scratch)
{
    static const char *const names[] = {"dl_topk/ae.pt", "sparsify_topk/sae.safetensors",
                                        "gemma_scope/layer_12/width_16k/average_l0_82/params.npz"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *from = sae_fixture(names[i]);
        struct stat st;
        cr_assert_eq(stat(from, &st), 0);
        const char *to = strrchr(names[i], '/') + 1;
        for (size_t n = 0; n < (size_t)st.st_size; n += n < 64 ? 7 : 97) {
            struct sx_sae *sae = NULL;
            struct sx_error err = {0};
            copy_file(from, to, n);
            cr_assert_neq(sx_sae_load(to, &sae, &err), SX_OK, "%s cut at %zu", to, n);
            cr_assert(err.message[0] && !strchr(err.message, '\n'));
        }
        unlink(to);
        sx_free(from);
    }
}

Test(checkpoint, what_is_no_sae, .init = io_enter_scratch, .fini = io_leave_scratch)
{
    struct sx_sae_info info;
    struct sx_error err = {0};
    cr_assert_eq(sx_sae_probe("nothing-there", &info, &err), SX_ERR_IO);
    cr_assert_eq(sx_sae_probe(".", &info, &err), SX_ERR_NOTFOUND); /* an empty folder */
    write_text("notes.txt", "hello");
    cr_assert_eq(sx_sae_probe("notes.txt", &info, &err), SX_ERR_NOTFOUND);
    write_text("ae.pt", "hello, this is no zip file");
    cr_assert_eq(sx_sae_probe("ae.pt", &info, &err), SX_ERR_FORMAT);
    unlink("ae.pt");
    copy_fixture("expected/dl_topk.npz", "x.npz"); /* tensors, but x, acts and recon */
    cr_assert_eq(sx_sae_probe("x.npz", &info, &err), SX_ERR_NOTFOUND);
}

Test(checkpoint, a_folder_of_several_is_not_one, .init = io_enter_scratch, .fini = io_leave_scratch)
{
    char message[512];
    copy_fixture("dl_topk/ae.pt", "one.pt");
    cr_assert_eq(probe_here(message), SX_OK);
    copy_fixture("dl_topk/ae.pt", "two.pt");
    cr_assert_eq(probe_here(message), SX_ERR_NOTFOUND);
}

/* Two libraries' keys in one file: one of them is read, none is looked for in vain. */
Test(checkpoint, mixed_keys, .init = io_enter_scratch, .fini = io_leave_scratch)
{
    static const float zeros[64];
    const struct sx_tensor_out out[] = {
        {"encoder.weight", SX_DTYPE_F32, 2, {4, 3}, zeros},
        {"decoder.weight", SX_DTYPE_F32, 2, {3, 4}, zeros},
        {"bias", SX_DTYPE_F32, 1, {3}, zeros},
        {"W_enc", SX_DTYPE_F32, 2, {3, 4}, zeros},
        {"W_dec", SX_DTYPE_F32, 2, {4, 3}, zeros},
    };
    struct sx_sae_info info;
    struct sx_error err = {0};
    cr_assert_eq(sx_torch_zip_write("a.pt", out, 5, &err), SX_OK, "%s", err.message);
    cr_assert_eq(sx_sae_probe("a.pt", &info, &err), SX_OK, "%s", err.message);
    cr_assert_eq(info.dict_size, 4);
    cr_assert_eq(info.format, SX_SAE_DICTIONARY_LEARNING);
    sx_sae_info_release(&info);
}

static enum sx_status load_and_encode(const void *path, struct sx_error *err)
{
    struct sx_sae *sae = NULL;
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, recon[8];
    struct sx_sae_acts acts = {0};
    enum sx_status status = sx_sae_load(path, &sae, err);
    if (status == SX_OK)
        status = sx_sae_encode(sae, x, 1, &acts, recon, NULL, err);
    sx_sae_acts_release(&acts);
    sx_sae_unref(sae);
    return status;
}

Test(checkpoint, out_of_memory_is_an_answer)
{
    char *path = sae_fixture("lens_gated");
    cr_assert_geq(memory_runs_out(load_and_encode, path), 8);
    sx_free(path);
}
