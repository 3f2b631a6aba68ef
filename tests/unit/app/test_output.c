#include "../../../src/app/output.h"

#include <criterion/criterion.h>
#include <math.h>

#include "../../../src/app/app.h"
#include "../../../src/app/resource.h"

static struct sx_value *row(const char *key, struct sx_value *take)
{
    struct sx_value *map = sx_value_map();
    sx_value_set(map, key, take);
    return map;
}

Test(output, csv_quotes_what_must_be_quoted)
{
    struct sx_value *rows = sx_value_list();
    struct sx_str out = SX_STR_INIT;

    sx_value_append(rows, row("name", sx_value_string("plain")));
    sx_value_append(rows, row("name", sx_value_string("comma, \"quote\"\nline")));
    sx_output_csv(rows, &out);
    cr_assert_str_eq(out.data, "name\nplain\n\"comma, \"\"quote\"\"\nline\"\n");
    sx_str_release(&out);
    sx_value_free(rows);
}

Test(output, csv_columns_in_order_of_first_appearance)
{
    struct sx_value *rows = sx_value_list();
    struct sx_value *first = sx_value_append(rows, row("b", sx_value_int(1)));
    struct sx_str out = SX_STR_INIT;

    sx_value_set(first, "a", sx_value_bool(true));
    sx_value_append(rows, row("c", sx_value_null()));
    sx_output_csv(rows, &out);
    cr_assert_str_eq(out.data, "b,a,c\n1,true,\n,,\n");
    sx_str_release(&out);
    sx_value_free(rows);
}

Test(output, csv_maps_in_rows_are_columns)
{
    struct sx_value *rows = sx_value_list();
    struct sx_value *first = sx_value_append(rows, row("id", sx_value_int(1)));
    struct sx_value *inner = sx_value_set(first, "m", sx_value_map());
    struct sx_str out = SX_STR_INIT;

    sx_value_set(inner, "p", sx_value_real(0.5));
    sx_value_set(inner, "n", sx_value_int(3));
    sx_value_append(rows, row("m", row("q", sx_value_string("x"))));
    sx_value_append(rows, row("a.b", sx_value_int(2)));
    sx_output_csv(rows, &out);
    cr_assert_str_eq(out.data, "id,m.p,m.n,m.q,a.b\n1,0.5,3,,\n,,,x,\n,,,,2\n");
    sx_str_release(&out);
    sx_value_free(rows);
}

Test(output, csv_has_no_nan)
{
    struct sx_value *rows = sx_value_list();
    struct sx_str out = SX_STR_INIT;

    sx_value_append(rows, row("x", sx_value_real(NAN)));
    sx_value_append(rows, row("x", sx_value_real(-INFINITY)));
    sx_value_append(rows, row("x", sx_value_real(0.25)));
    sx_output_csv(rows, &out);
    cr_assert_str_eq(out.data, "x\n\n\n0.25\n");
    sx_output_csv(NULL, &out);
    cr_assert_str_eq(out.data, "x\n\n\n0.25\n", "no rows add nothing");
    sx_str_release(&out);
    sx_value_free(rows);
}

Test(output, outline_has_no_control_characters)
{
    struct sx_value *map = row("schema", sx_value_int(1));
    struct sx_value *list = sx_value_set(map, "files", sx_value_list());
    struct sx_str out = SX_STR_INIT;

    sx_value_append(list, sx_value_string("a\033[31mb"));
    sx_output_outline(map, &out);
    cr_assert_null(strchr(out.data, '\033'));
    cr_assert_null(strstr(out.data, "schema"), "the schema is for programs");
    cr_assert_not_null(strstr(out.data, "files"));
    sx_str_release(&out);
    sx_value_free(map);
}

Test(output, exit_codes_are_a_promise)
{
    cr_assert_eq(sx_output_exit_code(SX_OK), 0);
    cr_assert_eq(sx_output_exit_code(SX_ERR_USAGE), 2);
    cr_assert_eq(sx_output_exit_code(SX_ERR_FORMAT), 1);
    cr_assert_eq(sx_output_exit_code(SX_CANCELLED), 130);
}

Test(app, sizes)
{
    static const char *const bad[] = {"",       "80",     "80x",     "x24",      "0x24",   "80x0",
                                      "80x24x", "-80x24", "80 x 24", "99999x24", "1001x24"};
    int w = 0;
    int h = 0;

    cr_assert_eq(sx_app_parse_size("120x40", &w, &h, NULL), SX_OK);
    cr_assert(w == 120 && h == 40);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(sx_app_parse_size(bad[i], &w, &h, NULL), SX_ERR_USAGE, "%s", bad[i]);
}

Test(app, themes_of_this_version_load)
{
    struct sx_value *names = sx_resource_themes();
    struct sx_theme theme;
    struct sx_error err = {0};

    for (size_t i = 0; i < sx_value_count(names); i++)
        cr_assert_eq(
            sx_resource_theme(sx_value_string_or(sx_value_item(names, i), ""), &theme, &err), SX_OK,
            "%s", err.message);
    cr_assert_eq(sx_resource_theme("../../etc/passwd", &theme, &err), SX_ERR_USAGE);
    sx_value_free(names);
}
