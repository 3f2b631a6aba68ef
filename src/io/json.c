#include "sextant/io/json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "text_number.h"

enum { MAX_DEPTH = 100, MAX_FILE = 64 << 20 };

/* NULL when nested deeper than MAX_DEPTH. */
static struct sx_value *convert(json_t *node, int depth)
{
    if (depth > MAX_DEPTH)
        return NULL;
    switch (json_typeof(node)) {
    case JSON_NULL:
        return sx_value_null();
    case JSON_TRUE:
    case JSON_FALSE:
        return sx_value_bool(json_is_true(node));
    case JSON_INTEGER:
        return sx_value_int(json_integer_value(node));
    case JSON_REAL:
        return sx_value_real(json_real_value(node));
    case JSON_STRING:
        return sx_value_string_len(json_string_value(node), json_string_length(node));
    case JSON_ARRAY: {
        struct sx_value *list = sx_value_list();
        for (size_t i = 0; i < json_array_size(node); i++) {
            struct sx_value *item = convert(json_array_get(node, i), depth + 1);
            if (!item) {
                sx_value_free(list);
                return NULL;
            }
            sx_value_append(list, item);
        }
        return list;
    }
    case JSON_OBJECT: {
        struct sx_value *map = sx_value_map();
        const char *key;
        json_t *child;
        bool deep = false;
        json_object_foreach(node, key, child)
        {
            struct sx_value *item = convert(child, depth + 1);
            if (!item) {
                deep = true;
                break;
            }
            sx_value_set(map, key, item);
        }
        if (deep) {
            sx_value_free(map);
            return NULL;
        }
        return map;
    }
    }
    return NULL;
}

enum sx_status sx_json_parse(const char *label, const char *text, size_t len, struct sx_value **out,
                             struct sx_error *err)
{
    json_error_t why;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!root)
        return sx_fail(err, SX_ERR_FORMAT, "%s: line %d, column %d: %s", label, why.line,
                       why.column, why.text);
    struct sx_value *v = convert(root, 0);
    json_decref(root);
    if (!v)
        return sx_fail(err, SX_ERR_FORMAT, "%s: nested deeper than %d levels", label, MAX_DEPTH);
    *out = v;
    return SX_OK;
}

enum sx_status sx_json_parse_file(const char *path, struct sx_value **out, struct sx_error *err)
{
    char *text;
    size_t len;
    SX_TRY(sx_bytes_load(path, MAX_FILE, &text, &len, err));
    enum sx_status status = sx_json_parse(path, text, len, out, err);
    sx_free(text);
    return status;
}

static void write_string(const char *s, size_t len, struct sx_str *out)
{
    sx_str_append_char(out, '"');
    while (len > 0) {
        uint32_t c;
        size_t n = sx_utf8_decode(s, len, &c);
        if (c == '"' || c == '\\')
            sx_str_printf(out, "\\%c", (int)c);
        else if (c == '\n')
            sx_str_append(out, "\\n");
        else if (c == '\t')
            sx_str_append(out, "\\t");
        else if (sx_text_is_hostile(c))
            sx_str_printf(out, "\\u%04x", (unsigned)c);
        else {
            char utf8[4];
            sx_str_append_len(out, utf8, sx_utf8_encode(c, utf8));
        }
        s += n;
        len -= n;
    }
    sx_str_append_char(out, '"');
}

static void new_line(int indent, int depth, struct sx_str *out)
{
    if (indent > 0)
        sx_str_printf(out, "\n%*s", indent * depth, "");
}

static void write_value(const struct sx_value *v, int indent, int depth, struct sx_str *out)
{
    char number[SX_NUMBER_SIZE];
    bool is_map = sx_value_kind(v) == SX_VALUE_MAP;
    size_t n = sx_value_count(v);
    switch (sx_value_kind(v)) {
    case SX_VALUE_NULL:
        sx_str_append(out, "null");
        return;
    case SX_VALUE_BOOL:
        sx_str_append(out, sx_value_bool_or(v, false) ? "true" : "false");
        return;
    case SX_VALUE_INT:
        sx_str_printf(out, "%lld", (long long)sx_value_int_or(v, 0));
        return;
    case SX_VALUE_REAL: {
        double d = sx_value_real_or(v, 0);
        sx_str_append(out, isfinite(d) ? sx_format_real(d, number) : "null");
        return;
    }
    case SX_VALUE_STRING:
        write_string(sx_value_string_or(v, ""), sx_value_string_size(v), out);
        return;
    case SX_VALUE_LIST:
    case SX_VALUE_MAP:
        break;
    }
    sx_str_append_char(out, is_map ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            sx_str_append(out, indent > 0 ? "," : ", ");
        new_line(indent, depth + 1, out);
        if (is_map) {
            const char *key = sx_value_key(v, i);
            write_string(key, strlen(key), out);
            sx_str_append(out, ": ");
        }
        write_value(sx_value_item(v, i), indent, depth + 1, out);
    }
    if (n > 0)
        new_line(indent, depth, out);
    sx_str_append_char(out, is_map ? '}' : ']');
}

void sx_json_write(const struct sx_value *v, int indent, struct sx_str *out)
{
    write_value(v, indent, 0, out);
}
