/* What is refused, and in which words: file, key or tensor, expected and found. */
#include <criterion/criterion.h>

#include "io_support.h"
#include "sextant/model/model.h"
#include "tiny_models.h"

static struct sx_error err;

static void leave(void)
{
    tiny_remove("m");
    io_leave_scratch();
}

TestSuite(model_refusals, .init = io_enter_scratch, .fini = leave);

/* Opening `path` fails with this status and every one of these words in the message. */
static void refused_at(const char *path, enum sx_status status, const char *a, const char *b,
                       const char *c)
{
    const char *words[] = {a, b, c};
    struct sx_model *model = NULL;
    err = (struct sx_error){0};
    enum sx_status got = sx_model_open(path, NULL, &model, &err);
    cr_assert_null(model);
    cr_assert_eq(got, status, "%s: %s: %s", path, sx_status_name(got), err.message);
    cr_assert_eq(err.status, status);
    for (size_t i = 0; i < 3 && words[i]; i++)
        cr_assert(strstr(err.message, words[i]), "\"%s\" in: %s", words[i], err.message);
}

/* The same for "m", by opening and by probing. */
static void refused(enum sx_status status, const char *a, const char *b, const char *c)
{
    struct sx_model_info info;
    refused_at("m", status, a, b, c);
    if (status == SX_ERR_NUMERIC)
        return; /* numbers are not read by a probe */
    cr_assert_eq(sx_model_probe("m", &info, &err), status, "%s", err.message);
}

/* Replace `from`, which must be there, in m/config.json. */
static void change_config(const char *from, const char *to)
{
    size_t n;
    char *text = (char *)io_read("m/config.json", &n);
    text[n] = '\0';
    char *at = strstr(text, from);
    cr_assert(at, "%s", from);
    struct sx_str s = SX_STR_INIT;
    sx_str_append_len(&s, text, (size_t)(at - text));
    sx_str_append(&s, to);
    sx_str_append(&s, at + strlen(from));
    tiny_write_text("m", "config.json", s.data);
    sx_str_release(&s);
    free(text);
}

static void write_golden(struct tiny_shape shape, const struct tiny_options *o)
{
    struct tiny_model m = tiny_golden(shape);
    tiny_remove("m");
    tiny_write(&m, "m", o);
    tiny_release(&m);
}

struct change {
    const char *from, *to;
    enum sx_status status;
    const char *words[2];
};

static void check_changes(struct tiny_shape shape, const struct change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        write_golden(shape, NULL);
        change_config(changes[i].from, changes[i].to);
        refused(changes[i].status, "config.json", changes[i].words[0], changes[i].words[1]);
    }
}

Test(model_refusals, configurations_of_esm2)
{
    static const struct change changes[] = {
        {"\"esm\"", "\"llama\"", SX_ERR_UNSUPPORTED, {"model_type is \"llama\"", "gpt_neox"}},
        {"\"rotary\"", "\"absolute\"", SX_ERR_UNSUPPORTED, {"position_embedding_type", "absolute"}},
        {"\"position_embedding_type\": \"rotary\", ",
         "",
         SX_ERR_UNSUPPORTED,
         {"absolute", "ESM-1"}},
        {"norm_before\": false", "norm_before\": true", SX_ERR_UNSUPPORTED, {"layer_norm_before"}},
        {"folding_model\": false", "folding_model\": true", SX_ERR_UNSUPPORTED, {"ESMFold"}},
        {"\"vocab_size\": 33", "\"vocab_size\": 446", SX_ERR_UNSUPPORTED, {"446", "33"}},
        {"heads\": 2", "heads\": 3", SX_ERR_UNSUPPORTED, {"16 is not a multiple of 3"}},
        {"heads\": 2", "heads\": 16", SX_ERR_UNSUPPORTED, {"heads of 1 dimensions"}},
        {"heads\": 2", "heads\": 0", SX_ERR_FORMAT, {"num_attention_heads", "found 0"}},
        {"heads\": 2", "heads\": \"two\"", SX_ERR_FORMAT, {"attention_heads", "found a string"}},
        {"layers\": 2", "layers\": 1e9", SX_ERR_UNSUPPORTED, {"num_hidden_layers is 1000000000"}},
        {"layers\": 2", "layers\": 2.5", SX_ERR_FORMAT, {"num_hidden_layers", "found 2.5"}},
        {"size\": 16", "size\": -16", SX_ERR_FORMAT, {"hidden_size", "found -16"}},
        {"\"layer_norm_eps\": ", "\"layer_norm_eps\": -", SX_ERR_FORMAT, {"layer_norm_eps"}},
        {"\"token_dropout\": true", "\"token_dropout\": 1", SX_ERR_FORMAT, {"token_dropout"}},
        {"\"vocab_list\": null", "\"is_decoder\": true", SX_ERR_UNSUPPORTED, {"is_decoder"}},
        {"\"vocab_list\": null",
         "\"rope_parameters\": {\"rope_type\": \"yarn\"}",
         SX_ERR_UNSUPPORTED,
         {"rope_parameters.rope_type", "yarn"}},
        {"\"vocab_list\": null",
         "\"partial_rotary_factor\": 0.5",
         SX_ERR_UNSUPPORTED,
         {"partial_rotary_factor is 0.5"}},
    };
    check_changes(tiny_esm2_shape, changes, sizeof changes / sizeof *changes);
}

Test(model_refusals, configurations_of_gpt_neox)
{
    static const struct change changes[] = {
        {"\"gelu\"", "\"relu\"", SX_ERR_UNSUPPORTED, {"hidden_act is \"relu\"", "gelu_new"}},
        {"\"gelu\"", "\"silu\"", SX_ERR_UNSUPPORTED, {"hidden_act is \"silu\""}},
        {"\"bos_token_id\": 0",
         "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}",
         SX_ERR_UNSUPPORTED,
         {"rope_scaling.type", "linear"}},
        {"\"bos_token_id\": 0",
         "\"rope_scaling\": {\"factor\": 2.0}",
         SX_ERR_UNSUPPORTED,
         {"rope_scaling.factor"}},
        {"\"bos_token_id\": 0", "\"rope_scaling\": 2", SX_ERR_FORMAT, {"rope_scaling", "a map"}},
        {"\"rotary_pct\": 0.25", "\"rotary_pct\": 0.2", SX_ERR_UNSUPPORTED, {"3 of 16 dimensions"}},
        {"\"rotary_pct\": 0.25", "\"rotary_pct\": 0", SX_ERR_FORMAT, {"partial_rotary_factor"}},
        {"\"rotary_pct\": 0.25", "\"rotary_pct\": 1.5", SX_ERR_FORMAT, {"at most 1"}},
        {"base\": 10000", "base\": 0.5", SX_ERR_FORMAT, {"rope_theta"}},
        {"residual\": true", "residual\": \"yes\"", SX_ERR_FORMAT, {"use_parallel_residual"}},
    };
    check_changes(tiny_neox_shape, changes, sizeof changes / sizeof *changes);
    write_golden(tiny_neox_shape, NULL);
    change_config("\"bos_token_id\": 0", "\"attention_bias\": false");
    refused(SX_ERR_FORMAT, "query_key_value.bias", "attention_bias is false", "config.json");
}

Test(model_refusals, shapes_that_the_configuration_does_not_say)
{
    write_golden(tiny_esm2_shape, NULL);
    change_config("intermediate_size\": 64", "intermediate_size\": 32");
    refused(SX_ERR_SHAPE, "model.safetensors: tensor esm.encoder.layer.0.intermediate.dense.weight",
            "expected [32, 16]", "found [64, 16]");
    struct tiny_model m = tiny_golden(tiny_esm2_shape);
    struct tiny_tensor *t = tiny_find(&m, "esm.encoder.layer.1.output.dense.bias");
    t->rank = 2;
    t->shape[0] = t->shape[1] = 4;
    tiny_write(&m, "m", NULL);
    refused(SX_ERR_SHAPE, "layer.1.output.dense.bias", "expected [16]", "found [4, 4]");
    tiny_release(&m);
    m = tiny_golden(tiny_neox_shape);
    tiny_find(&m, "embed_out.weight")->shape[0] = 39;
    tiny_write(&m, "m", NULL);
    refused(SX_ERR_SHAPE, "embed_out.weight", "expected [40, 32]", "found [39, 32]");
    tiny_release(&m);
}

Test(model_refusals, layers)
{
    write_golden(tiny_esm2_shape, &(struct tiny_options){.no_contact_head = true});
    change_config("layers\": 2", "layers\": 3");
    refused(SX_ERR_FORMAT, "no tensor esm.encoder.layer.2.attention.LayerNorm.weight", "[16]",
            NULL);
    write_golden(tiny_esm2_shape, &(struct tiny_options){.bare = true, .no_contact_head = true});
    change_config("layers\": 2", "layers\": 1");
    refused(SX_ERR_SHAPE, "encoder.layer.1.", "there are 1 layers", NULL);
    write_golden(tiny_neox_shape, &(struct tiny_options){.bare = true});
    change_config("layers\": 2", "layers\": 3");
    refused(SX_ERR_FORMAT, "no tensor layers.2.input_layernorm.weight", NULL, NULL);
}

/* A tensor less, of a copy of the golden model. */
static void write_without(struct tiny_shape shape, const char *name)
{
    struct tiny_model m = tiny_golden(shape);
    struct tiny_tensor *t = tiny_find(&m, name);
    cr_assert(t);
    sx_free(t->name);
    sx_free(t->data);
    *t = m.tensors[--m.n];
    tiny_remove("m");
    tiny_write(&m, "m", NULL);
    tiny_release(&m);
}

Test(model_refusals, missing_tensors)
{
    write_without(tiny_esm2_shape, "esm.encoder.layer.1.attention.self.key.bias");
    refused(SX_ERR_FORMAT, "model.safetensors: no tensor", "layer.1.attention.self.key.bias", NULL);
    write_without(tiny_esm2_shape, "esm.embeddings.word_embeddings.weight");
    refused(SX_ERR_FORMAT, "word_embeddings.weight", "[33, 16]", NULL);
    write_without(tiny_esm2_shape, "lm_head.layer_norm.bias");
    refused(SX_ERR_FORMAT, "no tensor lm_head.layer_norm.bias", NULL, NULL);
    write_without(tiny_esm2_shape, "esm.contact_head.regression.bias");
    refused(SX_ERR_FORMAT, "no tensor esm.contact_head.regression.bias", NULL, NULL);
    write_without(tiny_esm2_shape, "esm.encoder.layer.1.attention.self.rotary_embeddings.inv_freq");
    refused(SX_ERR_FORMAT, "layer.1.attention.self.rotary_embeddings.inv_freq", NULL, NULL);
    write_without(tiny_neox_shape, "gpt_neox.layers.0.attention.query_key_value.bias");
    refused(SX_ERR_FORMAT, "query_key_value.bias", "[96]", NULL);
}

static void write_with(struct tiny_shape shape, const char *name, int rank, uint64_t rows,
                       uint64_t columns)
{
    struct tiny_model m = tiny_golden(shape);
    struct tiny_tensor *t = tiny_add(&m, sx_xstrdup(name), rank, rows, columns);
    memset(t->data, 0, t->count * sizeof *t->data);
    tiny_remove("m");
    tiny_write(&m, "m", NULL);
    tiny_release(&m);
}

Test(model_refusals, two_forms_of_one_tensor)
{
    write_with(tiny_esm2_shape, "esm.encoder.layer.0.LayerNorm.gamma", 1, 16, 1);
    refused(SX_ERR_FORMAT, "layer.0.LayerNorm.weight", "layer.0.LayerNorm.gamma", "two forms");
    write_with(tiny_esm2_shape, "embeddings.word_embeddings.weight", 2, 33, 16);
    refused(SX_ERR_FORMAT, "esm.embeddings.word_embeddings.weight", "two forms", NULL);
    write_with(tiny_esm2_shape, "esm.encoder.layer.*.attention.self.rotary_embeddings.inv_freq", 1,
               4, 1);
    refused(SX_ERR_FORMAT, "layer.*.attention", "two forms", NULL);
    write_with(tiny_neox_shape, "lm_head.weight", 2, 40, 32);
    refused(SX_ERR_FORMAT, "embed_out.weight", "lm_head.weight", "two forms");
}

Test(model_refusals, frequencies_that_are_none)
{
    static const char name[] = "esm.encoder.layer.1.attention.self.rotary_embeddings.inv_freq";
    static const float bad[] = {0, -1, INFINITY, NAN, 0.5F};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tiny_model m = tiny_golden(tiny_esm2_shape);
        tiny_find(&m, name)->data[2] = bad[i];
        tiny_write(&m, "m", NULL);
        refused(SX_ERR_NUMERIC, name, "entry 2", "positive numbers that fall");
        tiny_find(&m, name)->data[2] = 0.009F;
        tiny_write(&m, "m", NULL);
        refused(SX_ERR_NUMERIC, name, "entry 2", "but layer 0 has 0.0099");
        tiny_release(&m);
    }
}

Test(model_refusals, element_types)
{
    int64_t ids[33 * 16] = {0};
    write_golden(tiny_esm2_shape, &(struct tiny_options){.config = NULL});
    struct sx_tensor_out out[] = {
        {"esm.embeddings.word_embeddings.weight", SX_DTYPE_I64, 2, {33, 16}, ids}};
    cr_assert_eq(sx_safetensors_write("m/model.safetensors", out, 1, NULL, &err), SX_OK);
    refused(SX_ERR_UNSUPPORTED, "word_embeddings.weight holds I64", "BF16", NULL);
}

Test(model_refusals, folders_without_weights)
{
    write_golden(tiny_esm2_shape, NULL);
    cr_assert_eq(unlink("m/model.safetensors"), 0);
    refused(SX_ERR_IO, "config.json", "no weights beside it", "model.safetensors");
    tiny_write_text("m", "model.safetensors", "not a tensor file");
    refused(SX_ERR_FORMAT, "model.safetensors", NULL, NULL);
    tiny_write_text("m", "config.json", "{\"model_type\": ");
    refused(SX_ERR_FORMAT, "config.json", NULL, NULL);
}

Test(model_refusals, gpt_neox_needs_its_configuration)
{
    write_golden(tiny_neox_shape, &(struct tiny_options){.config = ""});
    refused_at("m/model.safetensors", SX_ERR_UNSUPPORTED, "without a config.json", NULL, NULL);
}

/* --- what is no transformer -------------------------------------------------------------------
 */

static void is_something_else(const char *path)
{
    struct sx_model_info info;
    struct sx_model *model = NULL;
    enum sx_status status = sx_model_probe(path, &info, &err);
    cr_assert(status == SX_ERR_NOTFOUND || status == SX_ERR_UNSUPPORTED, "%s: %s", path,
              sx_status_name(status));
    cr_assert_eq(sx_model_open(path, NULL, &model, &err), status, "%s", path);
}

/* Every file of a fixture folder, and the folder. */
static void nothing_in(const char *folder, bool files)
{
    struct sx_model_info info;
    DIR *dir = opendir(folder);
    cr_assert(dir, "%s", folder);
    cr_assert_eq(sx_model_probe(folder, &info, &err), SX_ERR_NOTFOUND, "%s: %s", folder,
                 err.message);
    for (struct dirent *e; files && (e = readdir(dir));) {
        char path[2048];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            is_something_else(path);
    }
    closedir(dir);
}

Test(model_refusals, saes_are_something_else)
{
    char root[1024];
    snprintf(root, sizeof root, "%s", io_fixture("sae"));
    DIR *dir = opendir(root);
    cr_assert(dir, "%s", root);
    int n = 0;
    for (struct dirent *e; (e = readdir(dir)); n++) {
        char path[2048];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", root, e->d_name);
        if (e->d_name[0] != '.' && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            nothing_in(path, true);
    }
    closedir(dir);
    cr_assert_gt(n, 20);
}

Test(model_refusals, paths_that_are_nothing)
{
    struct sx_model_info info;
    cr_assert_eq(sx_model_probe("missing", &info, &err), SX_ERR_IO);
    cr_assert(strstr(err.message, "missing"));
    cr_assert_eq(mkdir("m", 0755), 0);
    nothing_in("m", false);
    tiny_write_text("m", "notes.txt", "hello");
    is_something_else("m/notes.txt");
    tiny_write_text("m", "config.json", "{\"trainer\": {\"lm_name\": \"pythia\"}}");
    nothing_in("m", true);
    tiny_write_text("m", "config.json", "not JSON");
    nothing_in("m", true);
    float x[4] = {0};
    struct sx_tensor_out out[] = {{"model.embed_tokens.weight", SX_DTYPE_F32, 2, {2, 2}, x}};
    cr_assert_eq(sx_safetensors_write("m/x.safetensors", out, 1, NULL, &err), SX_OK);
    is_something_else("m/x.safetensors");
}

Test(model_refusals, a_hostile_name_is_shown_clean)
{
    write_golden(tiny_esm2_shape, NULL);
    change_config("\"esm\"", "\"e\\u001b[31m\"");
    struct sx_model *model;
    cr_assert_eq(sx_model_open("m", NULL, &model, &err), SX_ERR_UNSUPPORTED);
    cr_assert(!strchr(err.message, '\x1b'));
}
