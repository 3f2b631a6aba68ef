/* The grammar of --intervene, and what it makes of files. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../src/run/intervention_spec.h"
#include "sextant/base/alloc.h"
#include "sextant/io/tensor_write.h"

static struct sx_intervention_spec *parse(const char *text)
{
    struct sx_intervention_spec *spec = sx_xcalloc(1, sizeof *spec);
    struct sx_error err = {0};
    cr_assert(sx_spec_parse(text, spec, &err) == SX_OK, "%s: %s", text, err.message);
    return spec;
}

static void refused(const char *text, const char *part, int column)
{
    struct sx_intervention_spec spec;
    struct sx_error err = {0};
    char place[32];
    cr_assert(sx_spec_parse(text, &spec, &err) == SX_ERR_USAGE, "%s was taken", text);
    snprintf(place, sizeof place, "column %d:", column);
    cr_assert(strstr(err.message, part), "%s: no '%s' in: %s", text, part, err.message);
    cr_assert(strstr(err.message, place), "%s: no '%s' in: %s", text, place, err.message);
}

Test(spec, heads_to_zero)
{
    struct sx_intervention_spec *s = parse("ctx@layers=3,heads=5,7-9=zero");
    cr_assert(s->point == SX_POINT_CTX && s->action == SX_SPEC_SCALE && s->factor == 0);
    cr_assert(s->layers.n == 1 && s->layers.range[0].from == 3 && s->layers.range[0].to == 3);
    cr_assert(s->heads.n == 2 && s->heads.range[1].from == 7 && s->heads.range[1].to == 9);
    cr_assert(!s->tokens.given && s->generated && s->band == -1);
    sx_specs_release(s, 1);
}

Test(spec, tokens_bands_and_generation)
{
    struct sx_intervention_spec *s = parse("q@layer=0,head=1,tokens=0,last,new,band=2=scale:-0.5");
    cr_assert(s->point == SX_POINT_Q && s->band == 2 && s->factor == -0.5 && s->generated);
    cr_assert(s->tokens.n == 2 && s->tokens.range[1].from == SX_SPEC_LAST);
    sx_specs_release(s, 1);
    s = parse("resid.pre@tokens=1=zero");
    cr_assert(!s->generated);
    sx_specs_release(s, 1);
    s = parse("mlp_out@layers=4-,tokens=new=zero");
    cr_assert(s->generated && s->tokens.given && s->tokens.n == 0);
    cr_assert(s->layers.range[0].to == SX_SPEC_LAST);
    sx_specs_release(s, 1);
    s = parse("logits=scale:2");
    cr_assert(s->point == SX_POINT_LOGITS && s->factor == 2);
    sx_specs_release(s, 1);
}

Test(spec, files)
{
    struct sx_intervention_spec *s = parse("resid.pre@layers=2=patch:a.run.h5:3");
    cr_assert(s->action == SX_SPEC_PATCH && !strcmp(s->file, "a.run.h5") && !strcmp(s->name, "3"));
    sx_specs_release(s, 1);
    s = parse("v=mean:a.run.h5");
    cr_assert(s->action == SX_SPEC_MEAN && !s->name);
    sx_specs_release(s, 1);
    s = parse("resid.mid@layers=3=add:x.npz:direction*1.5");
    cr_assert(s->action == SX_SPEC_ADD && !strcmp(s->file, "x.npz"));
    cr_assert(!strcmp(s->name, "direction") && s->factor == 1.5);
    sx_specs_release(s, 1);
}

Test(spec, positions)
{
    struct sx_intervention_spec *s = parse("positions@layers=1,bands=0-2,side=query=shift:-5");
    cr_assert(s->of_positions && s->side == SX_SIDE_QUERY && s->factor == -5 && s->bands.given);
    sx_specs_release(s, 1);
    s = parse("positions=set:0,10,11.5");
    cr_assert(s->n_numbers == 3 && s->number[2] == 11.5F && s->side == SX_SIDE_BOTH);
    sx_specs_release(s, 1);
}

Test(spec, errors_name_the_column)
{
    refused("", "no point", 1);
    refused("resid.per=zero", "resid.per", 1);
    refused("ctx@layers=3", "= and what to do", 13);
    refused("ctx@layers=x=zero", "a number is expected", 12);
    refused("ctx@layers=5-3=zero", "backwards", 15);
    refused("ctx@layers=3,layers=4=zero", "given twice", 21);
    refused("ctx@rows=3=zero", "layers=, heads=", 5);
    refused("resid.pre@heads=3=zero", "has no heads", 11);
    refused("ctx@keys=3=zero", "only scores and attn", 5);
    refused("v@band=3=zero", "rotary bands", 3);
    refused("logits@layers=1=scale:2", "once a run", 8);
    refused("head_out=zero", "captured, not changed", 1);
    refused("attn=forbid", "only edges of scores", 12);
    refused("scores=mean:f.npz", "no mean", 13);
    refused("ctx=zeros", "zero, scale:X", 5);
    refused("ctx=scale:", "a number is expected", 11);
    refused("ctx=scale:1x", "nothing more", 12);
    refused("ctx=scale:nan", "a number is expected", 11);
    refused("ctx=add:f.npz", "FILE:NAME", 9);
    refused("ctx=patch:", "a file is expected", 11);
    refused("positions@tokens=1=shift:2", "whole sequences", 11);
    refused("positions=zero", "shift:X", 11);
    refused("positions@side=left=shift:1", "query, key or both", 16);
    refused("ctx@layers=99999999999=zero", "too large", 12);
}

/* --- bound ------------------------------------------------------------------------------------ */

static char label[] = "tiny";
static const struct sx_model_info info = {.name = label,
                                          .path = label,
                                          .family = SX_MODEL_GPT_NEOX,
                                          .n_layers = 3,
                                          .d_model = 4,
                                          .n_heads = 2,
                                          .d_head = 2,
                                          .d_mlp = 6,
                                          .vocab = 9,
                                          .n_bands = 1,
                                          .has_lm_head = true};
static const struct sx_bind_to five = {.info = &info, .n_tokens = 5};

static char file[] = "/tmp/sextant-spec-XXXXXX.npz";

static void write_file(void)
{
    /* resid.pre of layers 1 and 2, tokens 0, 2, 4; q of everything; a direction; a table. */
    static float resid[2][3][4], q[3][5][2][2], direction[4] = {1, 2, 3, 4}, table[2][4];
    static const int32_t layers[] = {1, 2}, tokens[] = {0, 2, 4};
    static float all[3][5][4];
    for (int l = 0; l < 2; l++)
        for (int t = 0; t < 3; t++)
            for (int i = 0; i < 4; i++)
                resid[l][t][i] = (float)(100 * layers[l] + 10 * tokens[t] + i);
    for (int l = 0; l < 3; l++)
        for (int t = 0; t < 5; t++)
            for (int h = 0; h < 2; h++)
                for (int i = 0; i < 2; i++)
                    q[l][t][h][i] = (float)(1000 * l + 100 * t + 10 * h + i);
    for (int l = 0; l < 3; l++)
        for (int t = 0; t < 5; t++)
            for (int i = 0; i < 4; i++)
                all[l][t][i] = (float)(10 * l + t);
    const struct sx_tensor_out tensors[] = {
        {"resid.pre", SX_DTYPE_F32, 3, {2, 3, 4}, resid},
        {"layers", SX_DTYPE_I32, 1, {2}, layers},
        {"tokens", SX_DTYPE_I32, 1, {3}, tokens},
        {"direction", SX_DTYPE_F32, 1, {4}, direction},
        {"table", SX_DTYPE_F32, 2, {2, 4}, table},
        {"whole/q", SX_DTYPE_F32, 4, {3, 5, 2, 2}, q},
        {"whole/mlp_out", SX_DTYPE_F32, 3, {3, 5, 4}, all},
    };
    const int fd = mkstemps(file, 4);
    struct sx_error err = {0};
    cr_assert(fd >= 0);
    close(fd);
    cr_assert(sx_npz_write(file, tensors, sizeof tensors / sizeof *tensors, &err) == SX_OK, "%s",
              err.message);
}

static void remove_file(void)
{
    unlink(file);
}

TestSuite(bind, .init = write_file, .fini = remove_file);

static enum sx_status bind_to(const char *fmt, const struct sx_bind_to *to, struct sx_bound *bound,
                              struct sx_error *err)
{
    char *text = sx_xasprintf("%s", fmt);
    char *at = strstr(text, "FILE");
    if (at) {
        char *full = sx_xasprintf("%.*s%s%s", (int)(at - text), text, file, at + 4);
        sx_free(text);
        text = full;
    }
    struct sx_intervention_spec *spec = parse(text);
    const enum sx_status status = sx_specs_bind(spec, 1, to, bound, err);
    sx_specs_release(spec, 1);
    sx_free(text);
    return status;
}

static struct sx_bound bound_of(const char *fmt, const struct sx_bind_to *to)
{
    struct sx_bound bound = {0};
    struct sx_error err = {0};
    cr_assert(bind_to(fmt, to, &bound, &err) == SX_OK, "%s: %s", fmt, err.message);
    return bound;
}

static void not_bound(const char *fmt, enum sx_status expected, const char *part)
{
    struct sx_bound bound = {0};
    struct sx_error err = {0};
    const enum sx_status status = bind_to(fmt, &five, &bound, &err);
    cr_assert(status == expected, "%s: %s", fmt, sx_status_name(status));
    cr_assert(strstr(err.message, part), "%s: no '%s' in: %s", fmt, part, err.message);
    sx_bound_release(&bound);
}

Test(bind, choices)
{
    struct sx_bound b = bound_of("ctx@layers=1-,heads=0,tokens=last,0=zero", &five);
    const struct sx_intervention *iv = &b.interventions[0];
    cr_assert(b.n_interventions == 1 && iv->action == SX_DO_SCALE && iv->factor == 0);
    cr_assert(iv->layers.n == 2 && iv->layers.list[0] == 1 && iv->layers.list[1] == 2);
    cr_assert(iv->tokens.n == 2 && iv->tokens.list[0] == 0 && iv->tokens.list[1] == 4);
    cr_assert(iv->heads.n == 1 && iv->heads.list[0] == 0 && !iv->keys.list);
    sx_bound_release(&b);
    not_bound("ctx@layers=3=zero", SX_ERR_USAGE, "layers 3: there are 3");
    not_bound("ctx@tokens=2-7=zero", SX_ERR_USAGE, "tokens 7: there are 5");
    not_bound("q@band=1=zero", SX_ERR_USAGE, "band 1");
    not_bound("head.gelu=zero", SX_ERR_USAGE, "has no head.gelu");
}

Test(bind, a_part_of_another_run)
{
    struct sx_bound b = bound_of("resid.pre@layers=2,tokens=2,4=patch:FILE", &five);
    const struct sx_intervention *iv = &b.interventions[0];
    cr_assert(iv->action == SX_DO_REPLACE && iv->factor == 1);
    cr_assert(iv->values[0] == 220 && iv->values[iv->token_stride + 3] == 243);
    sx_bound_release(&b);
    not_bound("resid.pre@layers=2=patch:FILE", SX_ERR_NOTFOUND, "tokens 1 was not kept");
    not_bound("resid.pre@layers=0,tokens=0=patch:FILE", SX_ERR_NOTFOUND, "layers 0 was not kept");
    not_bound("resid.post=patch:FILE", SX_ERR_NOTFOUND, "no resid.post");
    not_bound("q=patch:FILE:other", SX_ERR_NOTFOUND, "no other/q");
    not_bound("resid.pre=patch:/no/such.npz", SX_ERR_IO, "such.npz");
}

Test(bind, heads_and_bands)
{
    struct sx_bound b = bound_of("q@layers=1,heads=1,tokens=3=patch:FILE:whole", &five);
    const struct sx_intervention *iv = &b.interventions[0];
    cr_assert(iv->values[0] == 1310 && iv->values[1] == 1311);
    sx_bound_release(&b);
    b = bound_of("q@layers=0,2,band=0=patch:FILE:whole", &five);
    iv = &b.interventions[0];
    const float *v = iv->values + iv->layer_stride + 4 * iv->token_stride + iv->head_stride;
    cr_assert(v[0] == 2410 && v[1] == 2411 && iv->band == 0);
    sx_bound_release(&b);
    const struct sx_bind_to six = {.info = &info, .n_tokens = 6};
    struct sx_bound none = {0};
    struct sx_error err = {0};
    cr_assert(bind_to("q=patch:FILE:whole", &six, &none, &err) == SX_ERR_SHAPE);
    cr_assert(strstr(err.message, "5 tokens, expected 6"), "%s", err.message);
    sx_bound_release(&none);
}

Test(bind, mean_over_tokens)
{
    struct sx_bound b = bound_of("mlp_out@layers=2=mean:FILE:whole", &five);
    const struct sx_intervention *iv = &b.interventions[0];
    cr_assert(iv->token_stride == 0 && iv->values[0] == 22 && iv->values[3] == 22);
    sx_bound_release(&b);
    b = bound_of("q@layers=1-2,heads=1=mean:FILE:whole", &five);
    iv = &b.interventions[0];
    cr_assert(iv->values[iv->layer_stride] == 2210 && iv->values[iv->layer_stride + 1] == 2211);
    sx_bound_release(&b);
}

Test(bind, arrays)
{
    struct sx_bound b = bound_of("resid.mid@layers=1=add:FILE:direction*-2", &five);
    const struct sx_intervention *iv = &b.interventions[0];
    cr_assert(iv->action == SX_DO_ADD && iv->factor == -2 && iv->values[2] == 3);
    cr_assert(iv->token_stride == 0 && iv->layer_stride == 0);
    sx_bound_release(&b);
    b = bound_of("resid.mid@tokens=1,2=set:FILE:table", &five);
    iv = &b.interventions[0];
    cr_assert(iv->action == SX_DO_REPLACE && iv->token_stride == 4 && iv->layer_stride == 0);
    sx_bound_release(&b);
    not_bound("resid.mid=add:FILE:table", SX_ERR_SHAPE, "expected tokens: 5");
    not_bound("mlp.post=add:FILE:direction", SX_ERR_SHAPE, "expected width: 6");
    not_bound("resid.mid=add:FILE:no", SX_ERR_NOTFOUND, "no array no");
}

/* Values of a prompt's tokens are not spread over what is made, one value for all is. */
Test(bind, generation)
{
    const struct sx_bind_to more = {.info = &info, .n_tokens = 5, .n_more = 10};
    struct sx_bound b = bound_of("mlp_out=patch:FILE:whole", &more);
    cr_assert(!b.interventions[0].generated && b.interventions[0].tokens.n == 5);
    sx_bound_release(&b);
    b = bound_of("resid.mid=add:FILE:direction", &more);
    cr_assert(b.interventions[0].generated && !b.interventions[0].tokens.list);
    sx_bound_release(&b);
}

Test(bind, positions_move)
{
    static const float own[] = {0, 10, 20, 30, 40};
    const struct sx_bind_to to = {.info = &info, .n_tokens = 5, .positions = own};
    struct sx_bound b = bound_of("positions@layers=1,bands=0,side=key=shift:0.5", &to);
    cr_assert(b.n_positions == 1 && b.n_interventions == 0);
    cr_assert(b.positions[0].positions[2] == 20.5F && b.positions[0].side == SX_SIDE_KEY);
    cr_assert(b.positions[0].layers.n == 1 && !b.positions[0].heads.list);
    sx_bound_release(&b);
    not_bound("positions=set:1,2,3", SX_ERR_SHAPE, "3 positions, but the sequence has 5");
}
