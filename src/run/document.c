#include "document.h"

#include <math.h>

#include "sextant/base/alloc.h"

void sx_document_real(struct sx_value *map, const char *key, double value, const char *why)
{
    if (isfinite(value)) {
        sx_value_set(map, key, sx_value_real(value));
        return;
    }
    sx_value_set(map, key, sx_value_null());
    char *sibling = sx_xasprintf("%s_why", key);
    sx_value_set(map, sibling, sx_value_string(why));
    sx_free(sibling);
}

void sx_document_int(struct sx_value *map, const char *key, int64_t value)
{
    sx_value_set(map, key, sx_value_int(value));
}

void sx_document_text(struct sx_value *map, const char *key, const char *text)
{
    sx_value_set(map, key, sx_value_string(text));
}

static bool is_finite(const struct sx_value *value)
{
    return sx_value_kind(value) != SX_VALUE_REAL || isfinite(sx_value_real_or(value, 0));
}

struct sx_value *sx_document_finish(struct sx_value *take)
{
    const enum sx_value_kind kind = sx_value_kind(take);
    if (kind != SX_VALUE_MAP && kind != SX_VALUE_LIST)
        return take;
    struct sx_value *out = kind == SX_VALUE_MAP ? sx_value_map() : sx_value_list();
    for (size_t i = 0; i < sx_value_count(take); i++) {
        const struct sx_value *item = sx_value_item(take, i);
        if (kind == SX_VALUE_LIST)
            sx_value_append(out, sx_document_finish(sx_value_dup(item)));
        else if (is_finite(item))
            sx_value_set(out, sx_value_key(take, i), sx_document_finish(sx_value_dup(item)));
        else
            sx_document_real(out, sx_value_key(take, i), sx_value_real_or(item, 0),
                             isnan(sx_value_real_or(item, 0)) ? "not known" : "infinite");
    }
    sx_value_free(take);
    return out;
}

static void print_scalar(struct sx_str *out, const struct sx_value *value)
{
    switch (sx_value_kind(value)) {
    case SX_VALUE_BOOL:
        sx_str_append(out, sx_value_bool_or(value, false) ? "yes" : "no");
        break;
    case SX_VALUE_INT:
        sx_str_printf(out, "%lld", (long long)sx_value_int_or(value, 0));
        break;
    case SX_VALUE_REAL:
        sx_str_printf(out, "%.6g", sx_value_real_or(value, 0));
        break;
    case SX_VALUE_STRING:
        sx_str_append(out, sx_value_string_or(value, ""));
        break;
    case SX_VALUE_LIST:
        for (size_t i = 0; i < sx_value_count(value); i++) {
            sx_str_append(out, i ? ", " : "");
            print_scalar(out, sx_value_item(value, i));
        }
        break;
    default:
        sx_str_append(out, "-");
    }
}

void sx_print_field(struct sx_str *out, const char *label, const struct sx_value *value)
{
    if (sx_value_kind(value) == SX_VALUE_NULL || !is_finite(value))
        return;
    sx_str_printf(out, "  %-22s ", label);
    print_scalar(out, value);
    sx_str_append_char(out, '\n');
}

void sx_print_number(struct sx_str *out, const struct sx_value *value, int width, int digits)
{
    const double number = sx_value_real_or(value, NAN);
    if (isnan(number))
        sx_str_printf(out, "%*s", width, "-");
    else if (sx_value_kind(value) == SX_VALUE_INT)
        sx_str_printf(out, "%*lld", width, (long long)sx_value_int_or(value, 0));
    else
        sx_str_printf(out, "%*.*f", width, digits, number);
}

const char *sx_arg_text(const struct sx_value *args, const char *name)
{
    return sx_value_string_or(sx_value_get(args, name), NULL);
}

char *sx_arg_joined(const struct sx_value *args, const char *name)
{
    const struct sx_value *list = sx_value_get(args, name);
    if (!list)
        return NULL;
    struct sx_str text = SX_STR_INIT;
    for (size_t i = 0; i < sx_value_count(list); i++) {
        sx_str_append(&text, i ? " " : "");
        sx_str_append(&text, sx_value_string_or(sx_value_item(list, i), ""));
    }
    return sx_str_take(&text);
}
