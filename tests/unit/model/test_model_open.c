/* Every form of a checkpoint gives the same weights: those that were written. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <time.h>

#include "io_support.h"
#include "memory_runs_out.h"
#include "sextant/io/tensor_file.h"
#include "sextant/model/model.h"
#include "sextant/model/names.h"
#include "tiny_models.h"

static struct sx_error err;

static void leave(void)
{
    tiny_remove("m");
    tiny_remove("n");
    io_leave_scratch();
}

TestSuite(model_open, .init = io_enter_scratch, .fini = leave);

static struct sx_model *open_ok(const char *path, const struct sx_model_options *options)
{
    struct sx_model *model = NULL;
    enum sx_status status = sx_model_open(path, options, &model, &err);
    cr_assert_eq(status, SX_OK, "%s: %s", path, status == SX_OK ? "" : err.message);
    return model;
}

static bool warned(const struct sx_model *model, const char *text)
{
    const struct sx_model_info *info = sx_model_info(model);
    for (size_t i = 0; i < info->n_warnings; i++)
        if (strstr(info->warnings[i], text))
            return true;
    return false;
}

/* --- weights against what was written ---------------------------------------------------------
 */

struct expected {
    const struct tiny_model *m;
    enum sx_dtype rounded;
};

static void same_numbers(const struct expected *e, const char *name, const float *got, uint64_t n,
                         uint64_t first)
{
    const struct tiny_tensor *t = tiny_find(e->m, name);
    cr_assert(t && got && first + n <= t->count, "%s", name);
    for (uint64_t i = 0; i < n; i++)
        cr_assert_eq(got[i], tiny_round(e->rounded, t->data[first + i]), "%s[%d]: %g, not %g", name,
                     (int)(first + i), (double)got[i], (double)t->data[first + i]);
}

static void same_norm(const struct expected *e, const char *stem, const struct sx_norm *norm)
{
    char name[128];
    snprintf(name, sizeof name, "%s.weight", stem);
    same_numbers(e, name, norm->gamma, e->m->shape.d_model, 0);
    snprintf(name, sizeof name, "%s.bias", stem);
    same_numbers(e, name, norm->beta, e->m->shape.d_model, 0);
}

static void same_weight(const struct expected *e, const char *stem, const struct sx_weight *w,
                        bool bias)
{
    char name[128];
    snprintf(name, sizeof name, "%s.weight", stem);
    const struct tiny_tensor *t = tiny_find(e->m, name);
    cr_assert(t && t->shape[0] == w->out && t->shape[1] == w->in, "%s", name);
    const float *wide = sx_weight_f32(w);
    same_numbers(e, name, wide, t->count, 0);
    cr_assert_eq(sx_weight_f32(w), wide, "made once");
    snprintf(name, sizeof name, "%s.bias", stem);
    if (bias)
        same_numbers(e, name, w->bias, w->out, 0);
    else
        cr_assert_null(w->bias, "%s", name);
}

static void same_esm2(const struct sx_model *model, const struct expected *e)
{
    const struct sx_model_weights *w = sx_model_weights(model);
    const uint64_t d = e->m->shape.d_model;
    same_weight(e, "esm.embeddings.word_embeddings", &w->embed, false);
    for (uint64_t l = 0; l < e->m->shape.layers; l++) {
        const struct sx_layer *x = &w->layers[l];
        const struct {
            const char *name;
            const struct sx_weight *weight;
        } all[] = {{"attention.self.query", &x->q}, {"attention.self.key", &x->k},
                   {"attention.self.value", &x->v}, {"attention.output.dense", &x->attn_out},
                   {"intermediate.dense", &x->up},  {"output.dense", &x->down}};
        char name[128];
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            snprintf(name, sizeof name, "esm.encoder.layer.%d.%s", (int)l, all[i].name);
            same_weight(e, name, all[i].weight, true);
        }
        snprintf(name, sizeof name, "esm.encoder.layer.%d.attention.LayerNorm", (int)l);
        same_norm(e, name, &x->ln1);
        snprintf(name, sizeof name, "esm.encoder.layer.%d.LayerNorm", (int)l);
        same_norm(e, name, &x->ln2);
    }
    same_norm(e, "esm.encoder.emb_layer_norm_after", &w->final_ln);
    if (sx_model_info(model)->has_lm_head) {
        same_weight(e, "lm_head.dense", &w->head_dense, true);
        same_norm(e, "lm_head.layer_norm", &w->head_ln);
        same_numbers(e, "lm_head.bias", w->unembed.bias, e->m->shape.vocab, 0);
        same_numbers(e, "esm.embeddings.word_embeddings.weight", sx_weight_f32(&w->unembed),
                     e->m->shape.vocab * d, 0);
    }
    if (sx_model_info(model)->has_contact_head) {
        same_numbers(e, "esm.contact_head.regression.weight", w->contact_weight,
                     e->m->shape.layers * e->m->shape.heads, 0);
        same_numbers(e, "esm.contact_head.regression.bias", &w->contact_bias, 1, 0);
    }
}

/* Head h owns rows 3hd .. 3hd + 3d of the file: its q, its k, its v. */
static void same_qkv(const struct expected *e, uint64_t layer, const struct sx_layer *x, bool bias)
{
    const struct sx_weight *parts[3] = {&x->q, &x->k, &x->v};
    const uint64_t width = e->m->shape.d_model, d = width / e->m->shape.heads;
    char name[128];
    for (uint64_t p = 0; p < 3; p++) {
        const float *wide = sx_weight_f32(parts[p]);
        cr_assert(parts[p]->out == width && parts[p]->in == width);
        for (uint64_t r = 0; r < width; r++) {
            uint64_t row = (r / d * 3 + p) * d + r % d;
            snprintf(name, sizeof name, "gpt_neox.layers.%d.attention.query_key_value.weight",
                     (int)layer);
            same_numbers(e, name, wide + r * width, width, row * width);
            snprintf(name, sizeof name, "gpt_neox.layers.%d.attention.query_key_value.bias",
                     (int)layer);
            if (bias)
                same_numbers(e, name, parts[p]->bias + r, 1, row);
            else
                cr_assert_null(parts[p]->bias);
        }
    }
}

static void same_neox(const struct sx_model *model, const struct expected *e, bool bias, bool tied)
{
    const struct sx_model_weights *w = sx_model_weights(model);
    same_weight(e, "gpt_neox.embed_in", &w->embed, false);
    for (uint64_t l = 0; l < e->m->shape.layers; l++) {
        const struct sx_layer *x = &w->layers[l];
        char name[128];
        same_qkv(e, l, x, bias);
        snprintf(name, sizeof name, "gpt_neox.layers.%d.attention.dense", (int)l);
        same_weight(e, name, &x->attn_out, bias);
        snprintf(name, sizeof name, "gpt_neox.layers.%d.mlp.dense_h_to_4h", (int)l);
        same_weight(e, name, &x->up, true);
        snprintf(name, sizeof name, "gpt_neox.layers.%d.mlp.dense_4h_to_h", (int)l);
        same_weight(e, name, &x->down, true);
        snprintf(name, sizeof name, "gpt_neox.layers.%d.input_layernorm", (int)l);
        same_norm(e, name, &x->ln1);
        snprintf(name, sizeof name, "gpt_neox.layers.%d.post_attention_layernorm", (int)l);
        same_norm(e, name, &x->ln2);
    }
    same_norm(e, "gpt_neox.final_layer_norm", &w->final_ln);
    if (sx_model_info(model)->has_lm_head)
        same_weight(e, tied ? "gpt_neox.embed_in" : "embed_out", &w->unembed, false);
}

/* Write with these options, open `path`, compare. */
static void check(const struct tiny_model *m, const struct tiny_options *options, const char *path,
                  const struct sx_model_options *how)
{
    tiny_remove("m");
    tiny_write(m, "m", options);
    struct sx_model *model = open_ok(path, how);
    const struct expected e = {m, options ? options->dtype : SX_DTYPE_F32};
    if (m->shape.family == SX_MODEL_ESM2)
        same_esm2(model, &e);
    else
        same_neox(model, &e, !(options && options->no_attention_bias), options && options->tied);
    sx_model_unref(model);
}

Test(model_open, weights_of_the_formula)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    tiny_write(&m, "m", NULL);
    struct sx_model *model = open_ok("m", NULL);
    const struct sx_model_weights *w = sx_model_weights(model);
    const float *embed = sx_weight_f32(&w->embed), *q = sx_weight_f32(&w->layers[0].q);
    const double expect[7] = {-0.211536318, 0.811608553,  0.834753513, -0.142101616,
                              0.250504553,  -0.115816101, -0.107136764};
    for (int i = 0; i < 4; i++)
        cr_assert_float_eq(embed[i], expect[i], 1e-9);
    for (int i = 0; i < 3; i++)
        cr_assert_float_eq(q[i], expect[4 + i], 1e-9);
    cr_assert_eq(sx_model_frequencies(model)[1], 0.1F);
    sx_model_unref(model);
    tiny_release(&m);
}

Test(model_open, esm2_in_every_form)
{
    struct tiny_model m = tiny_random(
        (struct tiny_shape){SX_MODEL_ESM2, .layers = 3, .d_model = 24, .heads = 2, .d_mlp = 40, 33},
        7);
    static const enum sx_dtype dtypes[] = {SX_DTYPE_F32, SX_DTYPE_F16, SX_DTYPE_BF16, SX_DTYPE_F64};
    for (int form = 0; form < 32; form++) {
        struct tiny_options o = {.dtype = dtypes[form % 4],
                                 .transformers5 = form & 4,
                                 .bare = form & 8,
                                 .torch = form & 16};
        check(&m, &o, "m", NULL);
    }
    tiny_release(&m);
}

Test(model_open, neox_in_every_form)
{
    struct tiny_model m =
        tiny_random((struct tiny_shape){SX_MODEL_GPT_NEOX, 3, 24, 3, 40, 50, 2}, 8);
    static const enum sx_dtype dtypes[] = {SX_DTYPE_F32, SX_DTYPE_F16, SX_DTYPE_BF16, SX_DTYPE_F64};
    for (int form = 0; form < 128; form++) {
        struct tiny_options o = {.dtype = dtypes[form % 4],
                                 .transformers5 = form & 4,
                                 .bare = form & 8,
                                 .torch = form & 16,
                                 .no_attention_bias = form & 32,
                                 .tied = form & 64,
                                 .buffers = !(form & 4) && !(form & 8) && !(form & 32)};
        check(&m, &o, "m", NULL);
    }
    tiny_release(&m);
}

Test(model_open, what_the_real_packages_wrote)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    struct expected e = {&m, SX_DTYPE_F32};
    static const char *const esm[] = {"model/fair/esm2_tiny.pt", "model/esm_v5"};
    for (size_t i = 0; i < 2; i++) {
        struct sx_model *model = open_ok(io_fixture(esm[i]), NULL);
        const struct sx_model_info *info = sx_model_info(model);
        same_esm2(model, &e);
        cr_assert_eq(info->n_warnings, 0, "%s", info->n_warnings ? info->warnings[0] : "");
        cr_assert(info->token_dropout && info->stored_frequencies && info->has_contact_head);
        cr_assert_eq(info->parameters, 7462);
        cr_assert_str_eq(info->name, i == 0 ? "esm2_tiny" : "esm_v5");
        cr_assert_eq(info->format, i == 0 ? SX_MODEL_FAIR_ESM : SX_MODEL_HUGGING_FACE);
        cr_assert_float_eq(sx_model_frequencies(model)[3], 1e-3, 1e-10);
        sx_model_unref(model);
    }
    tiny_release(&m);
    m = tiny_golden(tiny_neox_shape);
    e.rounded = SX_DTYPE_F16;
    struct sx_model *model = open_ok(io_fixture("model/neox_v5"), NULL);
    same_neox(model, &e, true, false);
    cr_assert_eq(sx_model_info(model)->n_bands, 2);
    cr_assert_str_eq(sx_model_info(model)->dtype, "F16");
    sx_model_unref(model);
    tiny_release(&m);
}

Test(model_open, names_of_what_was_opened)
{
    cr_assert_str_eq(sx_model_family_name(SX_MODEL_ESM2), "ESM-2");
    cr_assert_str_eq(sx_model_family_name(SX_MODEL_GPT_NEOX), "GPT-NeoX");
    cr_assert_str_eq(sx_model_format_name(SX_MODEL_FAIR_ESM), "fair-esm");
}

/* --- paths ------------------------------------------------------------------------------------
 */

Test(model_open, any_path_of_a_folder)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    static const char *const paths[] = {"m", "m/", "./m", "m/config.json", "m/model.safetensors"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        check(&m, NULL, paths[i], NULL);
        struct sx_model_info info;
        cr_assert_eq(sx_model_probe(paths[i], &info, &err), SX_OK, "%s", err.message);
        cr_assert_str_eq(info.name, "m");
        cr_assert_eq(info.n_layers, 2);
        cr_assert_eq(info.d_head, 8);
        cr_assert_eq(info.n_bands, 4);
        cr_assert_eq(info.max_positions, 1024);
        cr_assert_eq(info.bytes, (7462 + 2 * 4) * 4);
        sx_model_info_release(&info);
    }
    tiny_release(&m);
}

/* The first `half` tensors into one shard, the others into a second. */
static void write_shards(const struct tiny_model *m, const char *folder,
                         const struct tiny_options *o, const char *stem, const char *file)
{
    struct tiny_model part = *m;
    struct sx_str index = SX_STR_INIT;
    sx_str_append(&index, "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {");
    for (size_t s = 0; s < 2; s++) {
        char from[128], to[128], shard[64];
        part.tensors = m->tensors + s * (m->n / 2);
        part.n = s == 0 ? m->n / 2 : m->n - m->n / 2;
        snprintf(shard, sizeof shard, "%s-0000%d-of-00002.%s", stem, (int)s + 1, file);
        tiny_write(&part, folder, o);
        snprintf(from, sizeof from, "%s/%s.%s", folder, stem, file);
        snprintf(to, sizeof to, "%s/%s", folder, shard);
        cr_assert_eq(rename(from, to), 0);
        for (size_t i = 0; i < part.n; i++) {
            char *name = tiny_file_name(part.tensors[i].name, o);
            sx_str_printf(&index, "%s\"%s\": \"%s\"", s || i ? ", " : "", name, shard);
            sx_free(name);
        }
    }
    sx_str_append(&index, "}}");
    char name[128];
    snprintf(name, sizeof name, "%s.%s.index.json", stem, file);
    tiny_write_text(folder, name, index.data);
    sx_str_release(&index);
}

Test(model_open, shards)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    const struct expected e = {&m, SX_DTYPE_F32};
    for (int torch = 0; torch < 2; torch++) {
        struct tiny_options o = {.torch = torch};
        const char *stem = torch ? "pytorch_model" : "model";
        const char *file = torch ? "bin" : "safetensors";
        char index[64];
        tiny_remove("m");
        write_shards(&m, "m", &o, stem, file);
        snprintf(index, sizeof index, "m/%s.%s.index.json", stem, file);
        for (int i = 0; i < 2; i++) {
            struct sx_model *model = open_ok(i ? index : "m", NULL);
            same_esm2(model, &e);
            sx_model_unref(model);
        }
    }
    tiny_release(&m);
}

Test(model_open, a_cache_folder_of_the_hub_is_named_after_the_model)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    const char *deep = "models--org--esm2-tiny/snapshots/abc";
    cr_assert(mkdir("models--org--esm2-tiny", 0755) == 0 &&
              mkdir("models--org--esm2-tiny/snapshots", 0755) == 0);
    tiny_write(&m, deep, NULL);
    struct sx_model *model = open_ok(deep, NULL);
    cr_assert_str_eq(sx_model_info(model)->name, "esm2-tiny");
    sx_model_unref(model);
    tiny_remove(deep);
    tiny_remove("models--org--esm2-tiny/snapshots");
    tiny_remove("models--org--esm2-tiny");
    tiny_release(&m);
}

Test(model_open, tensors_alone_tell_the_sizes_of_esm2)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    struct tiny_options o = {.config = ""};
    const struct expected e = {&m, SX_DTYPE_F32};
    tiny_write(&m, "m", &o);
    struct sx_model *model = open_ok("m/model.safetensors", NULL);
    cr_assert_eq(sx_model_info(model)->n_heads, 2);
    cr_assert(warned(model, "no config.json"));
    same_esm2(model, &e);
    sx_model_unref(model);
    tiny_release(&m);
}

/* --- settings ---------------------------------------------------------------------------------
 */

Test(model_open, settings_are_read)
{
    struct tiny_model m = tiny_golden(tiny_neox_shape);
    struct tiny_options o = {.sequential = true, .activation = "gelu_fast", .eps = 1e-3};
    tiny_write(&m, "m", &o);
    struct sx_model *model = open_ok("m", NULL);
    cr_assert(!sx_model_info(model)->parallel_residual);
    cr_assert_eq(sx_model_weights(model)->activation, SX_ACT_GELU_TANH);
    cr_assert_eq(sx_model_weights(model)->eps, 1e-3F);
    cr_assert_eq(sx_model_info(model)->max_positions, 2048);
    sx_model_unref(model);
    tiny_release(&m);
    m = tiny_golden(tiny_esm2_shape);
    o = (struct tiny_options){.no_token_dropout = true, .eps = 1e-12};
    tiny_write(&m, "n", &o);
    model = open_ok("n", NULL);
    cr_assert(!sx_model_info(model)->token_dropout);
    cr_assert_eq(sx_model_weights(model)->eps, 1e-12F);
    sx_model_unref(model);
    tiny_release(&m);
}

static const char neox_sizes[] =
    "\"model_type\": \"gpt_neox\", \"hidden_size\": 32, \"num_attention_heads\": 2, "
    "\"num_hidden_layers\": 2, \"intermediate_size\": 128";

Test(model_open, rotary_share_in_every_spelling)
{
    struct tiny_model m = tiny_golden(tiny_neox_shape);
    static const struct {
        const char *more;
        uint64_t bands;
        double second;
    } cases[] = {
        {"", 2, 1e-2},
        {", \"rotary_pct\": 0.5", 4, 1e-1},
        {", \"rotary_pct\": 1.0, \"rotary_emb_base\": 100", 8, 0.5623413},
        {", \"partial_rotary_factor\": 0.5, \"rope_theta\": 10000", 4, 1e-1},
        {", \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 100.0, "
         "\"partial_rotary_factor\": 0.25}, \"rope_scaling\": null",
         2, 1e-1},
        {", \"rope_parameters\": {\"rope_theta\": 10000.0}, \"rotary_pct\": 0.5", 4, 1e-1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[512];
        snprintf(config, sizeof config, "{%s%s}", neox_sizes, cases[i].more);
        struct tiny_options o = {.config = config};
        tiny_write(&m, "m", &o);
        struct sx_model *model = open_ok("m", NULL);
        const struct sx_model_info *info = sx_model_info(model);
        cr_assert_eq(info->n_bands, cases[i].bands, "%s", cases[i].more);
        cr_assert_float_eq(sx_model_frequencies(model)[1], cases[i].second, 1e-7);
        cr_assert_eq(info->vocab, 40, "of the tensor");
        sx_model_unref(model);
    }
    tiny_release(&m);
}

Test(model_open, a_vocabulary_is_as_large_as_its_embedding)
{
    struct tiny_model m = tiny_golden(tiny_neox_shape);
    char config[512];
    snprintf(config, sizeof config, "{%s, \"vocab_size\": 50}", neox_sizes);
    struct tiny_options o = {.config = config};
    tiny_write(&m, "m", &o);
    struct sx_model *model = open_ok("m", NULL);
    cr_assert_eq(sx_model_info(model)->vocab, 40);
    cr_assert(warned(model, "vocab_size is 50, but the embedding has 40 rows"));
    sx_model_unref(model);
    tiny_release(&m);
}

Test(model_open, frequencies_of_esm2)
{
    struct tiny_model m = tiny_golden(
        (struct tiny_shape){SX_MODEL_ESM2, 1, .d_model = 16, .heads = 1, .d_mlp = 8, 33});
    /* fp16(10000^(-b/8)), as published checkpoints of heads of 16 hold them. */
    static const float half[8] = {
        1.0F,           0.3161621094F,   0.09997558594F,  0.03161621094F,
        0.01000213623F, 0.003162384033F, 0.001000404358F, 0.0003161430359F};
    const struct sx_model_options exact = {.rope_exact = true};
    struct tiny_options stored = {.half_inv_freq = true}, none = {.no_inv_freq = true};
    tiny_write(&m, "m", &stored);
    tiny_write(&m, "n", &none);
    struct sx_model *a = open_ok("m", NULL), *b = open_ok("n", NULL), *c = open_ok("m", &exact),
                    *d = open_ok("n", &exact);
    for (int i = 0; i < 8; i++) {
        cr_assert_float_eq(sx_model_frequencies(a)[i], half[i], 1e-10);
        cr_assert_eq(sx_model_frequencies(b)[i], sx_model_frequencies(a)[i]);
        cr_assert_float_eq(sx_model_frequencies(c)[i], pow(10000, -i / 8.0), 1e-7);
        cr_assert_eq(sx_model_frequencies(d)[i], sx_model_frequencies(c)[i]);
    }
    cr_assert(sx_model_info(a)->stored_frequencies && !sx_model_info(b)->stored_frequencies);
    cr_assert(!sx_model_info(c)->stored_frequencies);
    cr_assert(!warned(a, "inv_freq") && warned(b, "no inv_freq") && !warned(d, "no inv_freq"));
    sx_model_unref(a);
    sx_model_unref(b);
    sx_model_unref(c);
    sx_model_unref(d);
    tiny_release(&m);
}

Test(model_open, frequencies_of_neox_are_computed_unless_asked)
{
    struct tiny_model m = tiny_golden(
        (struct tiny_shape){SX_MODEL_GPT_NEOX, 2, .d_model = 32, .heads = 1, .d_mlp = 8, 40, 4});
    struct tiny_options o = {.buffers = true, .half_inv_freq = true};
    const struct sx_model_options stored = {.rope_stored = true};
    tiny_write(&m, "m", &o);
    struct sx_model *a = open_ok("m", NULL), *b = open_ok("m", &stored);
    cr_assert_eq(sx_model_frequencies(a)[2], 0.01F);
    cr_assert_eq(sx_model_frequencies(b)[2], tiny_round(SX_DTYPE_F16, 0.01F));
    cr_assert(sx_model_frequencies(a)[2] != sx_model_frequencies(b)[2]);
    sx_model_unref(a);
    sx_model_unref(b);
    o.buffers = false;
    tiny_write(&m, "m", &o);
    cr_assert_eq(sx_model_open("m", &stored, &a, &err), SX_ERR_USAGE);
    cr_assert(strstr(err.message, "no inv_freq"), "%s", err.message);
    tiny_release(&m);
}

/* --- heads ------------------------------------------------------------------------------------
 */

Test(model_open, heads_may_be_missing)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    struct tiny_options o = {.no_lm_head = true, .no_contact_head = true};
    tiny_write(&m, "m", &o);
    struct sx_model *model = open_ok("m", NULL);
    cr_assert(!sx_model_info(model)->has_lm_head && !sx_model_info(model)->has_contact_head);
    cr_assert(warned(model, "no logits") && warned(model, "no contacts"));
    cr_assert_null(sx_model_weights(model)->contact_weight);
    cr_assert_null(sx_model_weights(model)->unembed.stored);
    sx_model_unref(model);
    tiny_release(&m);
    m = tiny_golden(tiny_neox_shape);
    tiny_write(&m, "n", &o);
    model = open_ok("n", NULL);
    cr_assert(!sx_model_info(model)->has_lm_head && warned(model, "no logits"));
    sx_model_unref(model);
    tiny_release(&m);
}

static void add(struct tiny_model *m, const char *name, uint64_t rows, uint64_t columns,
                const float *data)
{
    struct tiny_tensor *t = tiny_add(m, sx_xstrdup(name), 2, rows, columns);
    for (uint64_t i = 0; i < t->count; i++)
        t->data[i] = data ? data[i] : 0;
}

Test(model_open, other_heads_are_ignored_with_a_word)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    add(&m, "classifier.dense.weight", 2, 16, NULL);
    tiny_write(&m, "m", NULL);
    struct sx_model *model = open_ok("m", NULL);
    cr_assert(warned(model, "tensor classifier.dense.weight is not used"));
    cr_assert_eq(sx_model_info(model)->parameters, 7462);
    sx_model_unref(model);
    add(&m, "esm.pooler.dense.weight", 16, 16, NULL);
    add(&m, "esm.embeddings.position_embeddings.weight", 1026, 16, NULL);
    tiny_write(&m, "m", NULL);
    model = open_ok("m", NULL);
    cr_assert(warned(model, "2 tensors are not used"));
    sx_model_unref(model);
    tiny_release(&m);
}

Test(model_open, an_output_embedding_of_its_own_is_used)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    const float *embed = tiny_find(&m, "esm.embeddings.word_embeddings.weight")->data;
    add(&m, "lm_head.decoder.weight", 33, 16, embed);
    tiny_write(&m, "m", NULL);
    struct sx_model *model = open_ok("m", NULL);
    cr_assert_eq(sx_model_info(model)->n_warnings, 0);
    cr_assert_eq(sx_model_info(model)->parameters, 7462);
    sx_model_unref(model);
    tiny_find(&m, "lm_head.decoder.weight")->data[17] += 1;
    tiny_write(&m, "m", NULL);
    model = open_ok("m", NULL);
    cr_assert(warned(model, "lm_head.decoder.weight differs"));
    const struct sx_model_weights *w = sx_model_weights(model);
    cr_assert_eq(sx_weight_f32(&w->unembed)[17], tiny_find(&m, "lm_head.decoder.weight")->data[17]);
    cr_assert_eq(sx_weight_f32(&w->embed)[17], embed[17]);
    cr_assert_not_null(w->unembed.bias);
    sx_model_unref(model);
    tiny_release(&m);
}

Test(model_open, tokenizers)
{
    struct tiny_model m = tiny_golden(tiny_neox_shape);
    tiny_write(&m, "n", NULL);
    tiny_write_text("n", "tokenizer.json", "{\"model\": 3}");
    struct sx_model_info info;
    cr_assert_eq(sx_model_probe("n", &info, &err), SX_OK);
    cr_assert(info.has_tokenizer, "as far as the folder tells");
    sx_model_info_release(&info);
    struct sx_model *model = open_ok("n", NULL);
    cr_assert(!sx_model_info(model)->has_tokenizer && warned(model, "tokenizer is not usable"));
    cr_assert_null(sx_model_tokenizer(model));
    sx_model_unref(model);
    tiny_release(&m);
    m = tiny_golden(tiny_esm2_shape);
    tiny_write(&m, "m", NULL);
    model = open_ok("m", NULL);
    cr_assert_not_null(sx_model_tokenizer(model));
    sx_model_unref(model);
    tiny_write_text("m", "vocab.txt", "A\nB\nC\n");
    cr_assert_eq(sx_model_open("m", NULL, &model, &err), SX_ERR_UNSUPPORTED);
    cr_assert_eq(sx_model_probe("m", &info, &err), SX_ERR_UNSUPPORTED);
    cr_assert(strstr(err.message, "vocab.txt"), "%s", err.message);
    tiny_release(&m);
}

/* --- identity, threads, memory ----------------------------------------------------------------
 */

static void print_of(const char *path, char out[33])
{
    struct sx_model *model = open_ok(path, NULL);
    char again[33];
    cr_assert_eq(sx_model_fingerprint(model, out, &err), SX_OK, "%s", err.message);
    cr_assert_eq(sx_model_fingerprint(model, again, &err), SX_OK);
    cr_assert_str_eq(out, again);
    cr_assert_eq(strlen(out), 32);
    sx_model_unref(model);
}

Test(model_open, fingerprints)
{
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    struct tiny_options o = {.eps = 1e-6};
    char first[33], same[33], other[33], eps[33];
    tiny_write(&m, "m", NULL);
    tiny_write(&m, "n", NULL);
    print_of("m", first);
    print_of("n", same);
    tiny_write(&m, "n", &o);
    print_of("n", eps);
    m.tensors[3].data[5] += 1;
    tiny_write(&m, "n", NULL);
    print_of("n", other);
    cr_assert_str_eq(first, same);
    cr_assert_str_neq(first, other);
    cr_assert_str_neq(first, eps, "another eps is another model");
    tiny_release(&m);
}

static void *widen(void *weight)
{
    const float *wide = sx_weight_f32(weight);
    return (void *)(uintptr_t)wide;
}

Test(model_open, threads_share_one_widened_copy)
{
    struct tiny_model m = tiny_random(
        (struct tiny_shape){SX_MODEL_ESM2, 1, .d_model = 256, .heads = 4, .d_mlp = 512, 33}, 3);
    struct tiny_options o = {.dtype = SX_DTYPE_BF16};
    tiny_write(&m, "m", &o);
    struct sx_model *model = open_ok("m", NULL);
    struct sx_weight *up = (struct sx_weight *)(uintptr_t)&sx_model_weights(model)->layers[0].up;
    pthread_t threads[8];
    void *got[8];
    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, widen, up), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], &got[i]);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(got[i], (void *)(uintptr_t)sx_weight_f32(up));
    cr_assert_eq(up->storage, SX_STORE_BF16);
    sx_model_ref(model);
    sx_model_unref(model);
    sx_model_unref(model);
    tiny_release(&m);
}

/* --- a large model ----------------------------------------------------------------------------
 */

struct sparse {
    struct sx_str header;
    uint64_t at;
    uint64_t frequencies[64];
    size_t n_frequencies;
};

static void sparse_tensor(struct sparse *s, const char *name, uint64_t rows, uint64_t columns)
{
    uint64_t n = rows * (columns ? columns : 1) * 4;
    char shape[64];
    snprintf(shape, sizeof shape, columns ? "%llu, %llu" : "%llu", (unsigned long long)rows,
             (unsigned long long)columns);
    sx_str_printf(&s->header,
                  "%s\"%s\": {\"dtype\": \"F32\", \"shape\": [%s], "
                  "\"data_offsets\": [%llu, %llu]}",
                  s->at ? ", " : "{", name, shape, (unsigned long long)s->at,
                  (unsigned long long)(s->at + n));
    if (strstr(name, "inv_freq"))
        s->frequencies[s->n_frequencies++] = s->at;
    s->at += n;
}

static void sparse_pair(struct sparse *s, const char *stem, const char *name, uint64_t out,
                        uint64_t in)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s.weight", stem, name);
    sparse_tensor(s, full, out, in);
    snprintf(full, sizeof full, "%s%s.bias", stem, name);
    sparse_tensor(s, full, out, 0);
}

static void sparse_header(struct sparse *s, uint64_t layers, uint64_t d, uint64_t heads)
{
    sparse_tensor(s, "esm.embeddings.word_embeddings.weight", 33, d);
    for (uint64_t l = 0; l < layers; l++) {
        char stem[64], name[160];
        snprintf(stem, sizeof stem, "esm.encoder.layer.%d.", (int)l);
        sparse_pair(s, stem, "attention.LayerNorm", d, 0);
        sparse_pair(s, stem, "attention.self.query", d, d);
        sparse_pair(s, stem, "attention.self.key", d, d);
        sparse_pair(s, stem, "attention.self.value", d, d);
        sparse_pair(s, stem, "attention.output.dense", d, d);
        sparse_pair(s, stem, "LayerNorm", d, 0);
        sparse_pair(s, stem, "intermediate.dense", 4 * d, d);
        sparse_pair(s, stem, "output.dense", d, 4 * d);
        snprintf(name, sizeof name, "%sattention.self.rotary_embeddings.inv_freq", stem);
        sparse_tensor(s, name, d / heads / 2, 0);
    }
    sparse_pair(s, "", "esm.encoder.emb_layer_norm_after", d, 0);
    sparse_pair(s, "", "lm_head.dense", d, d);
    sparse_pair(s, "", "lm_head.layer_norm", d, 0);
    sparse_tensor(s, "lm_head.bias", 33, 0);
    sparse_tensor(s, "esm.contact_head.regression.weight", 1, layers * heads);
    sparse_tensor(s, "esm.contact_head.regression.bias", 1, 0);
    sx_str_append(&s->header, "}");
    while (s->header.len % 8)
        sx_str_append(&s->header, " ");
}

/* A file of holes: 2.6 GB that take no room. */
static void write_sparse(const char *path, uint64_t layers, uint64_t d, uint64_t heads)
{
    struct sparse s = {.header = SX_STR_INIT};
    float bands[64];
    sparse_header(&s, layers, d, heads);
    uint64_t len = s.header.len, bands_n = d / heads / 2;
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(&len, 8, 1, f) == 1 && fwrite(s.header.data, 1, len, f) == len);
    for (uint64_t b = 0; b < bands_n; b++)
        bands[b] = tiny_frequency(b, bands_n);
    for (size_t i = 0; i < s.n_frequencies; i++)
        cr_assert(fseek(f, (long)(8 + len + s.frequencies[i]), SEEK_SET) == 0 &&
                  fwrite(bands, sizeof *bands, bands_n, f) == bands_n);
    cr_assert_eq(fflush(f), 0);
    cr_assert_eq(ftruncate(fileno(f), (off_t)(8 + len + s.at)), 0);
    fclose(f);
    sx_str_release(&s.header);
}

static double resident_mb(void)
{
    unsigned long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert(f && fscanf(f, "%lu %lu", &total, &resident) == 2);
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

Test(model_open, a_model_of_650M_is_opened_without_being_read)
{
    struct tiny_model sizes = {
        .shape = {SX_MODEL_ESM2, .layers = 33, .d_model = 1280, .heads = 20, .d_mlp = 5120, 33}};
    struct tiny_options o = {0};
    cr_assert_eq(mkdir("m", 0755), 0);
    tiny_write_config(&sizes, "m", &o);
    write_sparse("m/model.safetensors", 33, 1280, 20);
    const double before = resident_mb();
    const clock_t start = clock();
    struct sx_model *model = open_ok("m", NULL);
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    const double grown = resident_mb() - before;
    cr_log_info("opened in %.3f s, %.1f MB resident", seconds, grown);
    cr_assert_eq(sx_model_info(model)->parameters, 651043254, "as published");
    cr_assert_lt(grown, 40);
    cr_assert_lt(seconds, 1, "0.006 s where this was written");
    sx_model_unref(model);
}

Test(model_open, published_sizes)
{
    static const struct {
        uint64_t layers, d, heads, parameters;
    } sizes[] = {{6, 320, 20, 7512474},
                 {12, 480, 20, 33501394},
                 {30, 640, 20, 148140154},
                 {36, 2560, 40, 2839005634},
                 {48, 5120, 40, 15129100194}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct tiny_model shape = {.shape = {SX_MODEL_ESM2, sizes[i].layers, sizes[i].d,
                                             sizes[i].heads, 4 * sizes[i].d, 33}};
        struct tiny_options o = {0};
        struct sx_model_info info;
        (void)mkdir("m", 0755);
        tiny_write_config(&shape, "m", &o);
        write_sparse("m/model.safetensors", sizes[i].layers, sizes[i].d, sizes[i].heads);
        cr_assert_eq(sx_model_probe("m", &info, &err), SX_OK, "%s", err.message);
        cr_assert_eq(info.parameters, sizes[i].parameters);
        cr_assert_eq(info.n_bands, sizes[i].d / sizes[i].heads / 2);
        sx_model_info_release(&info);
    }
}

static enum sx_status open_once(const void *path, struct sx_error *error)
{
    struct sx_model *model = NULL;
    const enum sx_status status = sx_model_open(path, NULL, &model, error);
    sx_model_unref(model);
    return status;
}

Test(model_open, out_of_memory_is_an_answer)
{
    static const struct tiny_shape shapes[] = {{SX_MODEL_ESM2, 1, 8, 2, 8, 33, 2},
                                               {SX_MODEL_GPT_NEOX, 1, 8, 2, 8, 20, 1}};
    static const char path[] = "m";
    for (size_t s = 0; s < 2; s++) {
        struct tiny_model m = tiny_random(shapes[s], 5);
        struct tiny_options o = {.dtype = SX_DTYPE_F64};
        tiny_write(&m, path, &o);
        cr_assert_geq(memory_runs_out(open_once, path), 15);
        tiny_release(&m);
    }
}
