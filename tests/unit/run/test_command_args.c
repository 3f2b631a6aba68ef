#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/run/command.h"

static enum sx_status parse(const char *line, struct sx_value **args, struct sx_error *err)
{
    const struct sx_command *command = NULL;
    *args = NULL;
    return sx_command_parse(line, &command, args, err);
}

static void expect_refused(const char *line, const char *part)
{
    struct sx_value *args;
    struct sx_error err = {0};
    cr_assert_eq(parse(line, &args, &err), SX_ERR_USAGE, "accepted: %s", line);
    cr_assert(strstr(err.message, part), "'%s' says: %s", line, err.message);
}

Test(args, every_command_explains_itself)
{
    const struct sx_command *command;
    for (size_t i = 0; (command = sx_command_at(i)); i++) {
        cr_assert(command->help && *command->help, "%s has no help", command->name);
        cr_assert(command->group && *command->group, "%s has no group", command->name);
        cr_assert(command->flags & (SX_CMD_CLI | SX_CMD_PROMPT), "%s", command->name);
        if (!(command->flags & SX_CMD_APP)) {
            cr_assert(command->run || command->apply, "%s does nothing", command->name);
            cr_assert((command->lane == SX_LANE_UI) == !command->run, "%s: lane", command->name);
        }
        for (size_t p = 0; p < command->n_params; p++) {
            const struct sx_param *param = &command->params[p];
            cr_assert(param->help && *param->help, "%s --%s has no help", command->name,
                      param->name);
            cr_assert((param->kind == SX_PARAM_CHOICE) == (param->choices != NULL), "%s --%s",
                      command->name, param->name);
        }
        cr_assert_eq(sx_command_find(command->name), command);
    }
    cr_assert_null(sx_command_find("no-such-command"));
}

Test(args, every_example_parses)
{
    const struct sx_command *command;
    for (size_t i = 0; (command = sx_command_at(i)); i++) {
        cr_assert(command->example, "%s has no example", command->name);
        const char *line = command->example;
        if (strncmp(line, "sextant ", 8) == 0)
            line += 8;
        /* --json is every command's; the program takes it out before. */
        char *json = strstr(line, " --json");
        char *own = json ? sx_xstrndup(line, (size_t)(json - line)) : sx_xstrdup(line);
        const struct sx_command *found = NULL;
        struct sx_value *args = NULL;
        struct sx_error err = {0};
        cr_assert_eq(sx_command_parse(own, &found, &args, &err), SX_OK, "%s: %s", line,
                     err.message);
        cr_assert_eq(found, command);
        sx_value_free(args);
        sx_free(own);
    }
}

Test(args, kinds_and_defaults)
{
    struct sx_value *args;
    cr_assert_eq(parse("match a.pt 'b c.pt' --tau .8 --alive=-0.5", &args, NULL), SX_OK);
    const struct sx_value *saes = sx_value_get(args, "sae");
    cr_assert_eq(sx_value_count(saes), 2);
    cr_assert_str_eq(sx_value_string_or(sx_value_item(saes, 1), ""), "b c.pt");
    cr_assert_eq(sx_value_real_or(sx_value_get(args, "tau"), 0), 0.8);
    cr_assert_eq(sx_value_real_or(sx_value_get(args, "alive"), 0), -0.5);
    cr_assert_null(sx_value_get(args, "out"));
    sx_value_free(args);

    cr_assert_eq(parse("match a b", &args, NULL), SX_OK);
    cr_assert_eq(sx_value_real_or(sx_value_get(args, "tau"), 0), 0.7);
    cr_assert_eq(sx_value_real_or(sx_value_get(args, "alive"), 0), -1);
    sx_value_free(args);

    cr_assert_eq(parse("card ae.pt 12", &args, NULL), SX_OK);
    cr_assert_eq(sx_value_int_or(sx_value_get(args, "latent"), 0), 12);
    sx_value_free(args);
    cr_assert_eq(parse("card --latent 12", &args, NULL), SX_OK);
    cr_assert_eq(sx_value_int_or(sx_value_get(args, "latent"), 0), 12);
    cr_assert_null(sx_value_get(args, "sae"));
    sx_value_free(args);

    cr_assert_eq(parse("train c.yaml --set a=1 --set b=2 --resume", &args, NULL), SX_OK);
    cr_assert_eq(sx_value_count(sx_value_get(args, "set")), 2);
    cr_assert(sx_value_bool_or(sx_value_get(args, "resume"), false));
    sx_value_free(args);

    cr_assert_eq(parse("filter alive & sim>.5 & align<-0.3", &args, NULL), SX_OK);
    cr_assert_eq(sx_value_count(sx_value_get(args, "text")), 5);
    sx_value_free(args);

    cr_assert_eq(parse("info -- --strange", &args, NULL), SX_OK);
    cr_assert_str_eq(sx_value_string_or(sx_value_item(sx_value_get(args, "path"), 0), ""),
                     "--strange");
    sx_value_free(args);
}

Test(args, refusals_say_what_is_wrong)
{
    expect_refused("", "no command");
    expect_refused("fly away", "'fly' is no command");
    expect_refused("match a b --tau 1.5", "--tau must be between 0 and 1, not '1.5'");
    expect_refused("match a b --tau high", "--tau must be a number, not 'high'");
    expect_refused("match a b --tau nan", "--tau must be a number");
    expect_refused("match a b --tau", "--tau needs a value");
    expect_refused("match a b --tau .7 --tau .8", "--tau is given twice");
    expect_refused("match a b --tao .7", "there is no option --tao");
    expect_refused("match a b -t .7", "there is no option -t");
    expect_refused("match", "SAE is missing");
    expect_refused("compare a b c", "'c' is one argument too many");
    expect_refused("convert a b --to pickle", "must be one of h5|saelens");
    expect_refused("convert a b --to 'h5|saelens'", "must be one of");
    expect_refused("card ae.pt 1.5", "LATENT must be a whole number, not '1.5'");
    expect_refused("card ae.pt -1", "LATENT must be between 0");
    expect_refused("encode ae.pt --input x --out y --dense=1", "takes no value");
    expect_refused("info ''", "PATH must not be empty");
    expect_refused("info 'a", "column 6: the quote ' is not closed");
}

Test(args, formatted_lines_read_back)
{
    static const char *const lines[] = {
        "match a.pt 'b c.pt' --tau 0.8",
        "train c.yaml --set a=1 --set 'b=x y' --resume",
        "rows --sort align --descending --filter 'alive & sim>.5'",
        "rows --filter ''",
        "card --latent 3 --seed 1",
        "encode ae.pt --input x.npz:acts --dense --out o.npz",
        "filter 'it'\\''s' --",
        "info './-odd' 'back\\slash'",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct sx_command *command = NULL;
        struct sx_value *first = NULL;
        struct sx_value *second = NULL;
        struct sx_error err = {0};
        struct sx_str once = SX_STR_INIT;
        struct sx_str twice = SX_STR_INIT;
        cr_assert_eq(sx_command_parse(lines[i], &command, &first, &err), SX_OK, "%s", err.message);
        sx_command_format(command, first, &once);
        cr_assert_eq(sx_command_parse(once.data, &command, &second, &err), SX_OK, "%s: %s",
                     once.data, err.message);
        sx_command_format(command, second, &twice);
        cr_assert_str_eq(once.data, twice.data);
        cr_assert_eq(sx_value_count(first), sx_value_count(second));
        sx_value_free(first);
        sx_value_free(second);
        sx_str_release(&once);
        sx_str_release(&twice);
    }
}

Test(args, format_leaves_defaults_away)
{
    const struct sx_command *command = NULL;
    struct sx_value *args = NULL;
    struct sx_str line = SX_STR_INIT;
    cr_assert_eq(sx_command_parse("match --tau 0.70 a b --alive 0.1", &command, &args, NULL),
                 SX_OK);
    sx_command_format(command, args, &line);
    cr_assert_str_eq(line.data, "match a b --alive 0.1");
    sx_value_free(args);
    sx_str_release(&line);
}

Test(args, argv_is_taken_as_it_is)
{
    char name[] = "info", first[] = "a b", second[] = "it's";
    char *argv[] = {name, first, second};
    const struct sx_command *command = NULL;
    struct sx_value *args = NULL;
    cr_assert_eq(sx_command_parse_argv(3, argv, &command, &args, NULL), SX_OK);
    cr_assert_str_eq(sx_value_string_or(sx_value_item(sx_value_get(args, "path"), 1), ""), "it's");
    sx_value_free(args);
}

static bool offers(const char *partial, const char *line)
{
    struct sx_value *list = sx_command_complete(partial, 1000);
    bool found = false;
    for (size_t i = 0; i < sx_value_count(list); i++)
        found |= strcmp(sx_value_string_or(sx_value_item(list, i), ""), line) == 0;
    sx_value_free(list);
    return found;
}

Test(args, completion)
{
    cr_assert(offers("ma", "match"));
    cr_assert(offers("", "open"));
    cr_assert_not(offers("me", "message"), "hidden commands are not offered");
    cr_assert(offers("set --co", "set --counter"));
    cr_assert(offers("set --counter c", "set --counter clique"));
    cr_assert(offers("set --counter clique --t", "set --counter clique --tau"));
    cr_assert(offers("sort a", "sort align"));
    cr_assert_not(offers("sort align a", "sort align align"));

    char folder[] = "/tmp/sextant-complete.XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    char *sub = sx_xasprintf("%s/runs", folder);
    char *evil = sx_xasprintf("%s/run\x1b[31m", folder);
    char *line = sx_xasprintf("open %s/ru", folder);
    char *whole = sx_xasprintf("open %s/runs/", folder);
    cr_assert_eq(mkdir(sub, 0700), 0);
    cr_assert_eq(mkdir(evil, 0700), 0);
    cr_assert(offers(line, whole));
    struct sx_value *list = sx_command_complete(line, 1000);
    cr_assert_eq(sx_value_count(list), 1, "a name with control characters is not offered");
    sx_value_free(list);
    list = sx_command_complete("", 3);
    cr_assert_eq(sx_value_count(list), 3);
    sx_value_free(list);
    rmdir(sub);
    rmdir(evil);
    rmdir(folder);
    sx_free(sub);
    sx_free(evil);
    sx_free(line);
    sx_free(whole);
}

Test(args, usage_names_every_option)
{
    const struct sx_command *command;
    for (size_t i = 0; (command = sx_command_at(i)); i++) {
        struct sx_str text = SX_STR_INIT;
        sx_command_usage(command, &text);
        cr_assert(strstr(text.data, command->help) || strlen(command->help) > 80);
        for (size_t p = 0; p < command->n_params; p++)
            cr_assert(strstr(text.data, command->params[p].help), "%s: %s", command->name,
                      command->params[p].name);
        sx_str_release(&text);
    }
    struct sx_str all = SX_STR_INIT;
    sx_command_usage_all(&all);
    cr_assert(strstr(all.data, "match") && strstr(all.data, "SAEs"));
    cr_assert_null(strstr(all.data, "load-family"), "session commands are not of the command line");
    sx_str_release(&all);
}
