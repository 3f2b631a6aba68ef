/* attribution and composition in the session: their slots, what they are asked, and that the
 * command line that stands beside a result gives the same numbers. */
#include <criterion/criterion.h>

#include "session_stage.h"
#include "sextant/model/tokenizer.h"
#include "sextant/run/commands.h"

static const struct tiny_shape shape = {SX_MODEL_ESM2, 3, 32, 4, 64, 33, 0};

static struct stage stage_new(const struct tiny_options *options)
{
    struct stage s = stage_start();
    s.model = stage_model(&s, "a model", shape, options);
    stage_open(&s);
    do_line(&s, "input MKTVRQERLK");
    do_line(&s, "mask --token 1");
    return s;
}

static double number(const struct sx_value *map, const char *key)
{
    return sx_value_real_or(sx_value_get(map, key), (double)NAN);
}

static void check_attribution_line(const struct sx_attribution_data *data)
{
    struct sx_value *document = shell(data->line);
    const struct sx_value *rows = sx_value_get(document, "rows");
    cr_assert_eq(sx_value_count(rows), data->result.n_terms);
    for (size_t i = 0; i < data->result.n_terms; i++)
        cr_assert_eq(number(sx_value_item(rows, i), "total"), data->result.terms[i].value);
    cr_assert_eq(number(document, "logit"), data->result.logit);
    sx_value_free(document);
}

Test(attribution_session, of_the_selected_token_towards_methionine)
{
    struct stage s = stage_new(&(struct tiny_options){0});
    const struct sx_attribution_data *data = &s.session->attribution;
    cr_assert_eq(data->state, SX_STATE_EMPTY);
    say(&s, "attribution");
    cr_assert_eq(data->state, SX_STATE_PENDING);
    cr_assert_eq(data->result.token, 1);
    sx_run_wait_idle(s.run);
    cr_assert_eq(data->state, SX_STATE_READY, "%s", data->error.message);
    cr_assert_eq(data->serial, s.session->input.serial);
    cr_assert_eq(data->result.target, SX_ESM_M);
    cr_assert_str_eq(data->target_text, "M");
    cr_assert_eq(data->result.against, -1);
    cr_assert_eq(data->result.n, 12);
    cr_assert_not_null(data->result.by_source);
    cr_assert_null(data->result.by_embedding);
    cr_assert_lt(data->result.residual, 1e-4);
    cr_assert(strstr(data->line, "--seq '<mask>KTVRQERLK' --pos 1 --target M"), "%s", data->line);
    check_attribution_line(data);
    stage_free(&s);
}

Test(attribution_session, what_can_be_asked)
{
    struct stage s = stage_new(&(struct tiny_options){0});
    const struct sx_attribution_data *data = &s.session->attribution;
    do_line(&s, "select --token 4");
    do_line(&s, "attribution --target K --against mean --linearised");
    cr_assert_eq(data->state, SX_STATE_READY, "%s", data->error.message);
    cr_assert(data->result.token == 4 && data->result.target == 15 && data->result.against == -2);
    cr_assert_not_null(data->result.by_embedding);
    cr_assert_lt(data->result.linearised_residual, 1e-4);
    check_attribution_line(data);
    do_line(&s, "attribution --against W");
    cr_assert_str_eq(data->against_text, "W");
    check_attribution_line(data);
    do_line(&s, "set --target K");
    do_line(&s, "attribution");
    cr_assert_eq(data->result.target, 15);
    do_line(&s, "attribution --target A");
    cr_assert_eq(data->result.target, 5);
    refuse(&s, "attribution --target QQ", "no token");
    refuse(&s, "attribution --against QQ", "no token");
    cr_assert_eq(data->state, SX_STATE_READY, "a refusal leaves the result");
    do_line(&s, "mask --token 2");
    cr_assert_eq(data->state, SX_STATE_EMPTY);
    cr_assert_null(data->line);
    stage_free(&s);
}

static void check_composition_line(const struct sx_composition_data *data)
{
    struct sx_value *document = shell(data->line);
    const struct sx_value *rows = sx_value_get(document, "rows");
    cr_assert_eq(sx_value_count(rows), data->result.n_terms);
    for (size_t i = 0; i < data->result.n_terms; i++)
        cr_assert_eq(number(sx_value_item(rows, i), "score"), data->result.terms[i].score);
    cr_assert_eq(number(document, "score"), data->result.score);
    sx_value_free(document);
}

Test(composition_session, of_the_selected_head)
{
    struct stage s = stage_new(&(struct tiny_options){0});
    const struct sx_composition_data *data = &s.session->composition;
    do_line(&s, "select --layer 2 --head 3 --key 5");
    say(&s, "composition");
    cr_assert_eq(data->state, SX_STATE_PENDING);
    cr_assert(data->result.layer == 2 && data->result.head == 3 && data->result.query == 1 &&
              data->result.key == 5 && data->result.side == SX_OF_QUERY);
    sx_run_wait_idle(s.run);
    cr_assert_eq(data->state, SX_STATE_READY, "%s", data->error.message);
    cr_assert_eq(data->result.n_terms, 1 + 2 * 6 + 1);
    cr_assert_lt(data->result.residual, 1e-4);
    check_composition_line(data);
    do_line(&s, "composition --layer 1 --head 0 --side key");
    cr_assert(data->result.layer == 1 && data->result.head == 0 && data->result.side == SX_OF_KEY);
    check_composition_line(data);
    do_line(&s, "composition --side value");
    cr_assert(data->result.side == SX_OF_VALUE && data->result.target == SX_ESM_M);
    check_composition_line(data);
    refuse(&s, "composition --layer 3", "the last one is 2");
    refuse(&s, "composition --head 4", "the last one is 3");
    do_line(&s, "input AAAA");
    cr_assert_eq(data->state, SX_STATE_EMPTY);
    refuse(&s, "composition --side both", "both");
    stage_free(&s);
}

Test(composition_session, a_model_without_a_head)
{
    struct stage s = stage_new(&(struct tiny_options){.no_lm_head = true, .no_contact_head = true});
    const struct sx_composition_data *data = &s.session->composition;
    refuse(&s, "attribution", "no output head");
    do_line(&s, "composition --layer 1");
    cr_assert_eq(data->state, SX_STATE_READY, "%s", data->error.message);
    do_line(&s, "composition --layer 1 --side value");
    cr_assert_eq(data->state, SX_STATE_FAILED);
    cr_assert_eq(data->result.side, SX_OF_VALUE,
                 "the question stays, so that it is not asked again");
    stage_free(&s);
}
