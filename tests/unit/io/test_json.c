#include "sextant/io/json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"

static struct sx_error err;

static struct sx_value *parse(const char *text)
{
    struct sx_value *v = NULL;
    cr_assert_eq(sx_json_parse("t.json", text, strlen(text), &v, &err), SX_OK, "%s", err.message);
    return v;
}

static void refused(const char *text, size_t len, const char *part)
{
    struct sx_value *v = NULL;
    cr_assert_eq(sx_json_parse("t.json", text, len, &v, &err), SX_ERR_FORMAT, "%s", text);
    cr_assert(strstr(err.message, part), "\"%s\" not in: %s", part, err.message);
    cr_assert_null(v);
}

static void round_trip(const char *text)
{
    struct sx_str out = SX_STR_INIT;
    struct sx_value *v = parse(text);
    sx_json_write(v, 0, &out);
    cr_assert_str_eq(out.data, text);
    sx_value_free(v);
    sx_str_release(&out);
}

Test(json, values_come_back_as_they_were)
{
    round_trip("{\"a\": 1, \"b\": [true, false, null, -2.5, \"x\\n\\\"\\\\\\u0001\"], \"c\": {}}");
    round_trip("[]");
    round_trip("\"\xce\xbb\"");
    round_trip("[9223372036854775807, 0.1, 1e-05, 3.0, 1e+300, 0.30000000000000004]");
}

Test(json, indentation_is_readable)
{
    struct sx_str out = SX_STR_INIT;
    struct sx_value *v = parse("{\"a\":[1,{}]}");
    sx_json_write(v, 2, &out);
    cr_assert_str_eq(out.data, "{\n  \"a\": [\n    1,\n    {}\n  ]\n}");
    sx_value_free(v);
    sx_str_release(&out);
}

Test(json, what_is_not_json_becomes_null_or_a_replacement)
{
    struct sx_str out = SX_STR_INIT;
    struct sx_value *list = sx_value_list();
    sx_value_append(list, sx_value_real((double)NAN));
    sx_value_append(list, sx_value_real(-(double)INFINITY));
    sx_value_append(list, sx_value_string("a\xff"
                                          "b\x7f"));
    sx_json_write(list, 0, &out);
    cr_assert_str_eq(out.data, "[null, null, \"a\xef\xbf\xbd"
                               "b\\u007f\"]");
    sx_value_free(list);
    sx_str_release(&out);
}

Test(json, errors_name_line_and_column)
{
    refused("{\n  \"a\": 1,\n  \"b\": x\n}", 22, "t.json: line 3, column");
    refused("", 0, "t.json");
    refused("{\"a\": 1} {", 10, "end of file");
    refused("{\"a\": 1, \"a\": 2}", 16, "duplicate");
    refused("[1e999]", 7, "overflow");
    refused("[99999999999999999999]", 22, "big");
    refused("\"\xff\"", 3, "byte 0xff");
    refused("[NaN]", 5, "line 1");
    refused("{\"a\\u0000b\": 1}", 15, "0000");
    refused("\x1b[31m", 5, "t.json");
    for (const char *c = err.message; *c; c++)
        cr_assert_geq((unsigned char)*c, 0x20);
}

Test(json, depth_is_bounded)
{
    char deep[4001];
    memset(deep, '[', 2000);
    memset(deep + 2000, ']', 2000);
    refused(deep, 4000, "nested deeper");
    memset(deep, '[', 3000);
    refused(deep, 3000, "t.json");
}
