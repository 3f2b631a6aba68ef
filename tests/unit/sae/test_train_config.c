#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/io/yaml.h"
#include "sextant/sae/train.h"

static struct sx_error error;

static enum sx_status parse(const char *text, const char *override, struct sx_train_config *config)
{
    error.message[0] = '\0';
    return sx_train_config_parse("run.yaml", text, strlen(text), "there", &override,
                                 override ? 1 : 0, config, &error);
}

static void cr_refuses(const char *text, const char *override, const char *message)
{
    struct sx_train_config config;
    cr_assert_eq(parse(text, override, &config), SX_ERR_USAGE, "%s", error.message);
    cr_assert_not_null(strstr(error.message, message), "'%s' is not in '%s'", message,
                       error.message);
}

Test(train_config, defaults_are_those_of_the_paper)
{
    struct sx_train_config c;
    cr_assert_eq(parse("data: x.npy\n", NULL, &c), SX_OK, "%s", error.message);
    cr_assert_str_eq(c.name, "run");
    cr_assert_str_eq(c.data, "there/x.npy");
    cr_assert_eq(c.batch, 512);
    cr_assert_eq(c.epochs, 100);
    cr_assert_eq(c.lr, 1e-3);
    cr_assert_eq(c.beta2, 0.999);
    cr_assert_eq(c.l1_activation, 0.1);
    cr_assert_eq(c.expansion, 2);
    cr_assert_eq(c.n_seeds, 1);
    cr_assert_eq(c.decoder_constraint, SX_CONSTRAINT_NONE);
    cr_assert(c.shared_data_order);
    sx_train_config_release(&c);
}

Test(train_config, every_kind_of_value)
{
    struct sx_train_config c;
    cr_assert_eq(parse("name: a b\ndata: /d/x.npy\nseeds: [3, 1]\ntied_init: true\n"
                       "penalty_encoder: l2_unsquared\ndecoder_constraint: renorm+project\n"
                       "lambda_encoder: 1e-05\nbatch: 64\nb_dec_init: geometric_median\n",
                       NULL, &c),
                 SX_OK, "%s", error.message);
    cr_assert_str_eq(c.name, "a b");
    cr_assert_str_eq(c.data, "/d/x.npy");
    cr_assert_eq(c.n_seeds, 2);
    cr_assert_eq(c.seeds[0], 3);
    cr_assert_eq(c.seeds[1], 1);
    cr_assert(c.tied_init);
    cr_assert_eq(c.penalty_encoder, SX_PENALTY_L2_UNSQUARED);
    cr_assert_eq(c.penalty_decoder, SX_PENALTY_NONE);
    cr_assert_eq(c.decoder_constraint, SX_CONSTRAINT_RENORM_PROJECT);
    cr_assert_eq(c.b_dec_init, SX_B_DEC_GEOMETRIC_MEDIAN);
    cr_assert_eq(c.lambda_encoder, 1e-5);
    cr_assert_eq(c.batch, 64);
    sx_train_config_release(&c);
}

Test(train_config, overrides_win_and_keep_their_path)
{
    struct sx_train_config c;
    cr_assert_eq(parse("data: x.npy\n", "data=here/y.npy", &c), SX_OK);
    cr_assert_str_eq(c.data, "here/y.npy");
    sx_train_config_release(&c);
    cr_assert_eq(parse("data: x.npy\nseeds: [0]\n", "seeds=4,5,6", &c), SX_OK);
    cr_assert_eq(c.n_seeds, 3);
    cr_assert_eq(c.seeds[2], 6);
    sx_train_config_release(&c);
    cr_assert_eq(parse("data: x.npy\n", "name=2", &c), SX_OK);
    cr_assert_str_eq(c.name, "2");
    sx_train_config_release(&c);
}

Test(train_config, refusals_name_file_line_and_key)
{
    cr_refuses("data: x\n\nbacth: 3\n", NULL,
               "run.yaml:3: unknown key 'bacth' (did you mean 'batch'?)");
    cr_refuses("data: x\nzzzzzzzzzz: 3\n", NULL, "run.yaml:2: unknown key 'zzzzzzzzzz'");
    cr_refuses("data: x\nbatch: many\n", NULL, "run.yaml:2: key 'batch': expected an integer");
    cr_refuses("data: x\nbatch: 0\n", NULL, "0 is out of range, expected 1..1048576");
    cr_refuses("data: x\nbatch: 1.5\n", NULL, "expected an integer");
    cr_refuses("data: x\ntied_init: 1\n", NULL, "expected true or false");
    cr_refuses("data: x\nlr: .nan\n", NULL, "out of range");
    cr_refuses("data: x\nlr: 0\n", NULL, "lr and eps must be above 0");
    cr_refuses("data: x\nbeta1: 1\n", NULL, "below 1");
    cr_refuses("data: x\npenalty_encoder: l3\n", NULL, "'l3' is none of none|l1|l2|l2_unsquared");
    cr_refuses("data: x\narch: topk\n", NULL, "'topk' is none of relu");
    cr_refuses("data: x\nseeds: [1, 1]\n", NULL, "1 stands twice");
    cr_refuses("data: x\nseeds: []\n", NULL, "0 entries, expected 1 to 16");
    cr_refuses("data: x\nseeds: [-1]\n", NULL, "out of range");
    cr_refuses("data: [x]\n", NULL, "expected a string");
    cr_refuses("data: x\nname: a/b\n", NULL, "key 'name'");
    cr_refuses("data: x\nb_dec: false\nb_dec_init: geometric_median\n", NULL, "needs b_dec");
    cr_refuses("batch: 3\n", NULL, "key 'data' is missing");
    cr_refuses("- data\n", NULL, "expected 'key: value' lines");
    cr_refuses("data: x\n", "batch", "expected key=value");
    cr_refuses("data: x\n", "bacth=3", "--set: unknown key 'bacth' (did you mean 'batch'?)");
    cr_refuses("data: x\n", "batch=none", "--set: key 'batch': expected an integer");
}

Test(train_config, its_description_reads_back_as_itself)
{
    struct sx_train_config c, again;
    cr_assert_eq(parse("data: /x.npy\nseeds: [7, 8]\nlambda_decoder: 0.1\nlr: 0.00031\n"
                       "decoder_constraint: renorm\n",
                       NULL, &c),
                 SX_OK);
    struct sx_value *map = sx_train_config_describe(&c);
    struct sx_str text = SX_STR_INIT, text_again = SX_STR_INIT;
    sx_yaml_write(map, &text);
    cr_assert_eq(parse(text.data, NULL, &again), SX_OK, "%s", error.message);
    struct sx_value *map_again = sx_train_config_describe(&again);
    sx_yaml_write(map_again, &text_again);
    cr_assert_str_eq(text.data, text_again.data);
    cr_assert_eq(again.lr, 0.00031);
    cr_assert_eq(again.decoder_constraint, SX_CONSTRAINT_RENORM);
    sx_value_free(map);
    sx_value_free(map_again);
    sx_str_release(&text);
    sx_str_release(&text_again);
    sx_train_config_release(&c);
    sx_train_config_release(&again);
}

/* examples/train_reference.yaml documents every key, in order, with its default. */
Test(train_config, the_reference_example_has_every_key_and_default)
{
    struct sx_value *doc, *fallback;
    cr_assert_eq(sx_yaml_parse_file(SX_SOURCE_DIR "/examples/train_reference.yaml", &doc, &error),
                 SX_OK, "%s", error.message);
    size_t n = 0;
    for (const struct sx_train_key *key; (key = sx_train_config_key(n)); n++) {
        cr_assert_lt(n, sx_value_count(doc), "key %s is missing", key->name);
        cr_assert_str_eq(sx_value_key(doc, n), key->name);
        cr_assert_gt(strlen(key->help), 10);
        if (!key->fallback)
            continue;
        cr_assert_eq(
            sx_yaml_parse("default", key->fallback, strlen(key->fallback), &fallback, &error),
            SX_OK);
        struct sx_str a = SX_STR_INIT, b = SX_STR_INIT;
        const struct sx_value *stated = sx_value_item(doc, n);
        if (strcmp(key->type, "string") == 0) {
            sx_str_append(&a, sx_value_string_or(stated, "?"));
            sx_str_append(&b, key->fallback);
        } else {
            sx_yaml_write(stated, &a);
            sx_yaml_write(fallback, &b);
        }
        cr_assert_str_eq(a.data, b.data, "%s: %s, the default is %s", key->name, a.data, b.data);
        sx_str_release(&a);
        sx_str_release(&b);
        sx_value_free(fallback);
    }
    cr_assert_eq(sx_value_count(doc), n);
    sx_value_free(doc);
}

static void cr_loads(const char *name, enum sx_penalty penalty, bool tied)
{
    struct sx_train_config c;
    char *path = sx_xasprintf("%s/examples/mnist/%s.yaml", SX_SOURCE_DIR, name);
    cr_assert_eq(sx_train_config_load(path, NULL, 0, &c, &error), SX_OK, "%s", error.message);
    cr_assert_str_eq(c.name, name);
    cr_assert_eq(c.penalty_encoder, penalty);
    cr_assert_eq(c.penalty_decoder, penalty);
    cr_assert_eq(c.tied_init, tied);
    cr_assert_eq(c.unit_norm_init, tied);
    cr_assert_eq(c.b_enc && c.b_dec, tied);
    cr_assert_eq(c.decoder_constraint, tied ? SX_CONSTRAINT_RENORM : SX_CONSTRAINT_NONE);
    cr_assert_eq(c.n_seeds, 3);
    uint64_t per_epoch;
    cr_assert_eq(sx_train_steps(&c, 60000, &per_epoch), 11800);
    cr_assert_eq(per_epoch, 118);
    FILE *data = fopen(c.data, "rb");
    cr_assert_not_null(data, "%s", c.data);
    fclose(data);
    sx_train_config_release(&c);
    sx_free(path);
}

Test(train_config, the_grid_of_the_paper_loads)
{
    cr_loads("U_none", SX_PENALTY_NONE, false);
    cr_loads("U_l1", SX_PENALTY_L1, false);
    cr_loads("U_l2", SX_PENALTY_L2, false);
    cr_loads("T_none", SX_PENALTY_NONE, true);
    cr_loads("T_l1", SX_PENALTY_L1, true);
    cr_loads("T_l2", SX_PENALTY_L2, true);
}
