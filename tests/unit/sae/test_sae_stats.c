/* Norms, alignment, dead latents, measured constraint and fingerprint, by hand and by fixture. */
#include "sextant/sae/sae.h"

#include <criterion/criterion.h>

#include "sae_support.h"

static struct sx_sae *make(const float *w_enc, const float *w_dec, uint64_t d, uint64_t f)
{
    struct sx_sae parts = {.W_enc = w_enc, .W_dec = w_dec}, *sae = NULL;
    sx_sae_info_init(&parts.info);
    parts.info.activation_dim = d;
    parts.info.dict_size = f;
    cr_assert_eq(sx_sae_new(&parts, &sae, NULL), SX_OK);
    return sae;
}

Test(stats, by_hand)
{
    /* cosines 1, 0.6, -1, 0 (zero encoder), 0 (tiny encoder, orthogonal) */
    const float enc[] = {3, 4, 1, 0, 0, 2, 0, 0, 1e-14F, 0};
    const float dec[] = {0.6F, 0.8F, 0.6F, 0.8F, 0, -1, 1, 0, 0, 1};
    struct sx_sae *sae = make(enc, dec, 2, 5);
    struct sx_sae_stats s;
    cr_assert_eq(sx_sae_measure(sae, &s, NULL), SX_OK);
    cr_assert_float_eq(s.enc_norm_mean, (5 + 1 + 2) / 5.0, 1e-6);
    cr_assert_eq(s.enc_norm_min, 0);
    cr_assert_float_eq(s.enc_norm_max, 5, 1e-6);
    cr_assert_float_eq(s.dec_norm_mean, 1, 1e-6);
    cr_assert_eq(s.decoder_constraint, SX_CONSTRAINT_RENORM);
    cr_assert_float_eq(s.align_mean, (1 + 0.6 - 1) / 5, 1e-6);
    cr_assert_float_eq(s.align_median, 0, 1e-12);
    cr_assert_float_eq(s.align_over_05, 0.4, 1e-12);
    cr_assert_float_eq(s.align_over_07, 0.2, 1e-12);
    cr_assert_eq(s.align_over_095, 1);
    cr_assert_eq(s.dead_exact, 1);
    cr_assert_eq(s.dead_tiny, 2);
    float en[5], dn[5], al[5];
    sx_sae_latent_norms(sae, en, dn, al);
    cr_assert_float_eq(en[0], 5, 1e-6);
    cr_assert_float_eq(dn[2], 1, 1e-6);
    cr_assert_float_eq(al[2], -1, 1e-6);
    cr_assert_eq(al[3], 0);
    sx_sae_latent_norms(sae, NULL, NULL, al);
    sx_sae_unref(sae);
}

Test(stats, constraint_and_even_median)
{
    const float enc[] = {1, 0, 0, 1}, dec[] = {2, 0, 0, 1};
    struct sx_sae *sae = make(enc, dec, 2, 2);
    struct sx_sae_stats s;
    cr_assert_eq(sx_sae_measure(sae, &s, NULL), SX_OK);
    cr_assert_eq(s.decoder_constraint, SX_CONSTRAINT_NONE);
    cr_assert_float_eq(s.dec_norm_deviation, 1, 1e-9);
    cr_assert_float_eq(s.align_median, 1, 1e-9);
    sx_sae_unref(sae);
    /* A collapsed row does not hide that the others are of unit norm. */
    const float zero[] = {0, 0, 0, 1};
    sae = make(enc, zero, 2, 2);
    cr_assert_eq(sx_sae_measure(sae, &s, NULL), SX_OK);
    cr_assert_eq(s.decoder_constraint, SX_CONSTRAINT_RENORM);
    cr_assert_eq(s.dead_exact, 1);
    sx_sae_unref(sae);
}

Test(stats, fingerprint_is_of_the_weights)
{
    struct sx_sae *a = sae_make(SX_ARCH_RELU, 5, 9, -1), *b = sae_make(SX_ARCH_RELU, 5, 9, -1);
    struct sx_sae_stats sa, sb;
    cr_assert_eq(sx_sae_measure(a, &sa, NULL), SX_OK);
    cr_assert_eq(sx_sae_measure(b, &sb, NULL), SX_OK);
    cr_assert_str_eq(sa.fingerprint, sb.fingerprint);
    cr_assert_eq(strlen(sa.fingerprint), 32);
    float *w = sae_random(45, 1, 0.5);
    w[44] += 1e-3F;
    struct sx_sae parts = *a, *c = NULL;
    parts.W_enc = w;
    cr_assert_eq(sx_sae_new(&parts, &c, NULL), SX_OK);
    cr_assert_eq(sx_sae_measure(c, &sb, NULL), SX_OK);
    cr_assert_str_neq(sa.fingerprint, sb.fingerprint);
    sx_free(w);
    sx_sae_unref(a);
    sx_sae_unref(b);
    sx_sae_unref(c);
}

Test(stats, describe_has_the_promised_keys)
{
    static const char *const keys[] = {
        "path",      "format",    "arch",        "activation_dim", "dict_size",
        "k",         "seed",      "penalty",     "lambda",         "decoder_constraint",
        "hook",      "dead",      "warnings",    "encoder_norm",   "decoder_norm",
        "alignment", "dead_tiny", "fingerprint", "tensors"};
    char *path = sae_fixture("dl_topk");
    struct sx_sae *sae = NULL;
    struct sx_sae_stats stats;
    cr_assert_eq(sx_sae_load(path, &sae, NULL), SX_OK);
    cr_assert_eq(sx_sae_measure(sae, &stats, NULL), SX_OK);
    struct sx_value *doc = sx_sae_describe(&sae->info, &stats);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_assert(sx_value_get(doc, keys[i]), "%s", keys[i]);
    const struct sx_value *t = sx_value_item(sx_value_get(doc, "tensors"), 4);
    cr_assert_str_eq(sx_value_string_or(sx_value_get(t, "name"), ""), "encoder.weight");
    cr_assert_eq(sx_value_int_or(sx_value_item(sx_value_get(t, "strides"), 1), -1), 24);
    cr_assert_not(sx_value_bool_or(sx_value_get(t, "contiguous"), true));
    sx_value_free(doc);
    doc = sx_sae_describe(&sae->info, NULL);
    cr_assert_null(sx_value_get(doc, "dead"));
    sx_value_free(doc);
    sx_sae_unref(sae);
    sx_free(path);
}
