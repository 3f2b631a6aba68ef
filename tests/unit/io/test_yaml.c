#include "sextant/io/yaml.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"

static struct sx_error err;

static struct sx_value *parse(const char *text)
{
    struct sx_value *v = NULL;
    cr_assert_eq(sx_yaml_parse("t.yaml", text, strlen(text), &v, &err), SX_OK, "%s", err.message);
    return v;
}

static void refused(const char *text, const char *part)
{
    struct sx_value *v = NULL;
    cr_assert_eq(sx_yaml_parse("t.yaml", text, strlen(text), &v, &err), SX_ERR_FORMAT, "%s", text);
    cr_assert(strstr(err.message, part), "\"%s\" not in: %s", part, err.message);
    cr_assert_null(v);
}

static enum sx_value_kind kind(const struct sx_value *map, const char *key)
{
    return sx_value_kind(sx_value_get(map, key));
}

Test(yaml, plain_scalars_follow_the_core_schema)
{
    struct sx_value *v =
        parse("i: -12\nh: 0x1F\no: 0o17\nf: 1e-5\ng: .5\np: +3.\nt: true\n"
              "n: ~\ne:\nq: '12'\nd: \"true\"\ns: on\nw: 1.2.3\ninf: -.inf\nnan: .nan\n"
              "big: 99999999999999999999\nv: 0x\n");
    cr_assert_eq(sx_value_int_or(sx_value_get(v, "i"), 0), -12);
    cr_assert_eq(sx_value_int_or(sx_value_get(v, "h"), 0), 31);
    cr_assert_eq(sx_value_int_or(sx_value_get(v, "o"), 0), 15);
    cr_assert_eq(kind(v, "f"), SX_VALUE_REAL);
    cr_assert_eq(sx_value_real_or(sx_value_get(v, "f"), 0), 1e-5);
    cr_assert_eq(sx_value_real_or(sx_value_get(v, "g"), 0), 0.5);
    cr_assert_eq(sx_value_real_or(sx_value_get(v, "p"), 0), 3.0);
    cr_assert_eq(kind(v, "t"), SX_VALUE_BOOL);
    cr_assert_eq(kind(v, "n"), SX_VALUE_NULL);
    cr_assert_eq(kind(v, "e"), SX_VALUE_NULL);
    cr_assert_eq(kind(v, "q"), SX_VALUE_STRING);
    cr_assert_eq(kind(v, "d"), SX_VALUE_STRING);
    cr_assert_eq(kind(v, "s"), SX_VALUE_STRING);
    cr_assert_eq(kind(v, "w"), SX_VALUE_STRING);
    cr_assert_eq(sx_value_real_or(sx_value_get(v, "inf"), 0), -(double)INFINITY);
    cr_assert(isnan(sx_value_real_or(sx_value_get(v, "nan"), 0)));
    cr_assert_eq(sx_value_real_or(sx_value_get(v, "big"), 0), 1e20);
    cr_assert_eq(kind(v, "v"), SX_VALUE_STRING);
    sx_value_free(v);
}

Test(yaml, every_node_knows_its_line)
{
    struct sx_value *v =
        parse("# comment\na: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\nlong:\n\n  4\n");
    cr_assert_eq(sx_value_line(sx_value_get(v, "a")), 2);
    cr_assert_eq(sx_value_line(sx_value_get(v, "b")), 3);
    cr_assert_eq(sx_value_line(sx_value_item(sx_value_get(v, "b"), 0)), 4);
    const struct sx_value *flow = sx_value_item(sx_value_get(v, "b"), 1);
    cr_assert_eq(sx_value_line(sx_value_get(flow, "d")), 6);
    cr_assert_eq(sx_value_line(sx_value_get(v, "long")), 7, "the key's line");
    sx_value_free(v);
}

Test(yaml, empty_text_is_nothing)
{
    struct sx_value *v = parse("");
    cr_assert_eq(sx_value_kind(v), SX_VALUE_NULL);
    sx_value_free(v);
}

Test(yaml, refusals_name_the_line)
{
    refused("a: 1\nb: 2\na: 3\n", "t.yaml:3: key \"a\" stands twice (first at line 1)");
    refused("a: &x 1\nb: *x\n", "t.yaml:1: anchors");
    refused("a: 1\nb: *x\n", "t.yaml:2:");
    refused("- a\n- !!str 1\n", "t.yaml:2: tags");
    refused("a: 1\n---\nb: 2\n", "t.yaml:2: a second document");
    refused("a: [1, 2\n", "t.yaml:");
    refused("a: 1\n\tb: 2\n", "t.yaml:2:");
    refused("? [a]\n: 1\n", "t.yaml:1: a key must be");
    refused("\"a\\0b\": 1\n", "zero byte");
    refused("a: \x01\n", "t.yaml:1:");
    char wide[300];
    memset(wide, 'k', 251);
    snprintf(wide + 251, sizeof wide - 251, ": 1\n");
    refused(wide, "longer than 250 bytes");
    char deep[400];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 199);
    deep[399] = '\0';
    refused(deep, "t.yaml:1: nested deeper");
}

static void round_trip(const char *text)
{
    struct sx_str out = SX_STR_INIT;
    struct sx_value *v = parse(text);
    sx_yaml_write(v, &out);
    cr_assert_str_eq(out.data, text);
    sx_value_free(v);
    sx_str_release(&out);
}

Test(yaml, documents_come_back_as_they_were)
{
    round_trip(
        "a: 1\nb:\n  - x\n  - 1e-05\n  - c: 2.0\n    d:\n      e: []\n  - - 1\n    - 2\nf: {}\n"
        "g: null\nh: \"12\"\ni: \"a: b # c\"\nj: \"\"\nk: \"-\"\nl: \"true\"\n\"m n\": .nan\n"
        "o: \"\\x01\\n\\x85\"\np: -.inf\nq: path/to.file_x\n");
    round_trip("[]\n");
    round_trip("3\n");
}
