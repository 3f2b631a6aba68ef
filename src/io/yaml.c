#include "sextant/io/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "bytes.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "text_number.h"

/* A key of at most 1024 characters can stand before a colon; escaped it is up to four times as
 * long. */
enum { MAX_DEPTH = 64, MAX_KEY = 250, MAX_FILE = 16 << 20 };

struct reader {
    yaml_parser_t parser;
    const char *label;
    struct sx_error *err;
};

static enum sx_status next(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return SX_OK;
    yaml_mark_t at = r->parser.problem_mark;
    return sx_fail(r->err, SX_ERR_FORMAT, "%s:%zu: %s%s%s", r->label, at.line + 1,
                   r->parser.problem ? r->parser.problem : "not YAML",
                   r->parser.context ? ", " : "", r->parser.context ? r->parser.context : "");
}

static int line_of(const yaml_event_t *event)
{
    return (int)event->start_mark.line + 1;
}

static bool is_one_of(const char *s, const char *a, const char *b, const char *c)
{
    return !strcmp(s, a) || !strcmp(s, b) || !strcmp(s, c);
}

static bool parse_int(const char *s, size_t len, int64_t *out)
{
    size_t sign = s[0] == '-' || s[0] == '+';
    int base = 10;
    size_t first = sign;
    if (!sign && len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'o')) {
        base = s[1] == 'x' ? 16 : 8;
        first = 2;
    }
    const char *allowed = base == 16  ? "0123456789abcdefABCDEF"
                          : base == 8 ? "01234567"
                                      : "0123456789";
    if (first == len || strspn(s + first, allowed) != len - first)
        return false;
    errno = 0;
    long long value = strtoll(base == 10 ? s : s + first, NULL, base);
    *out = value;
    return errno == 0;
}

/* YAML 1.2 core schema. */
static struct sx_value *plain_scalar(const char *s, size_t len)
{
    int64_t i;
    double d;
    if (len == 0 || !strcmp(s, "~") || is_one_of(s, "null", "Null", "NULL"))
        return sx_value_null();
    if (is_one_of(s, "true", "True", "TRUE"))
        return sx_value_bool(true);
    if (is_one_of(s, "false", "False", "FALSE"))
        return sx_value_bool(false);
    if (parse_int(s, len, &i))
        return sx_value_int(i);
    if (sx_parse_real(s, len, &d))
        return sx_value_real(d);
    const char *unsigned_part = s + (s[0] == '-' || s[0] == '+');
    if (is_one_of(unsigned_part, ".inf", ".Inf", ".INF"))
        return sx_value_real(s[0] == '-' ? -(double)INFINITY : (double)INFINITY);
    if (is_one_of(s, ".nan", ".NaN", ".NAN"))
        return sx_value_real((double)NAN);
    return sx_value_string_len(s, len);
}

static enum sx_status refuse(struct reader *r, const yaml_event_t *event, const char *what)
{
    return sx_fail(r->err, SX_ERR_FORMAT, "%s:%d: %s", r->label, line_of(event), what);
}

static enum sx_status check_node(struct reader *r, const yaml_event_t *event,
                                 const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return refuse(r, event, "anchors (&name) are not supported");
    if (tag)
        return refuse(r, event, "tags (!name) are not supported");
    return SX_OK;
}

static enum sx_status read_node(struct reader *r, yaml_event_t *event, int depth,
                                struct sx_value **out);

static enum sx_status read_list(struct reader *r, int depth, struct sx_value *list)
{
    for (;;) {
        yaml_event_t event;
        SX_TRY(next(r, &event));
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return SX_OK;
        }
        struct sx_value *item;
        SX_TRY(read_node(r, &event, depth + 1, &item));
        sx_value_append(list, item);
    }
}

/* Take the key out of `event`, which is deleted. */
static enum sx_status read_key(struct reader *r, yaml_event_t *event, const struct sx_value *map,
                               char **key)
{
    enum sx_status status = SX_OK;
    *key = NULL;
    if (event->type != YAML_SCALAR_EVENT) {
        status = refuse(r, event,
                        event->type == YAML_ALIAS_EVENT ? "aliases (*name) are not supported"
                                                        : "a key must be a plain word or string");
        goto out;
    }
    status = check_node(r, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (status != SX_OK)
        goto out;
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length)
        status = refuse(r, event, "a key holds a zero byte");
    else if (event->data.scalar.length > MAX_KEY)
        status = refuse(r, event, "a key is longer than 250 bytes");
    else if (sx_value_get(map, text))
        status = sx_fail(r->err, SX_ERR_FORMAT, "%s:%d: key \"%s\" stands twice (first at line %d)",
                         r->label, line_of(event), text, sx_value_line(sx_value_get(map, text)));
    else
        *key = sx_xstrdup(text);
out:
    yaml_event_delete(event);
    return status;
}

static enum sx_status read_map(struct reader *r, int depth, struct sx_value *map)
{
    for (;;) {
        yaml_event_t event;
        SX_TRY(next(r, &event));
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return SX_OK;
        }
        int line = line_of(&event);
        char *key;
        SX_TRY(read_key(r, &event, map, &key));
        struct sx_value *item = NULL;
        enum sx_status status = next(r, &event);
        if (status == SX_OK)
            status = read_node(r, &event, depth + 1, &item);
        if (status == SX_OK) {
            sx_value_set(map, key, item);
            sx_value_set_line(item, line); /* where the key is: what an error message points at */
        }
        sx_free(key);
        if (status != SX_OK)
            return status;
    }
}

/* Consumes `event`. */
static enum sx_status read_node(struct reader *r, yaml_event_t *event, int depth,
                                struct sx_value **out)
{
    struct sx_value *v = NULL;
    enum sx_status status = SX_OK;
    yaml_event_type_t type = event->type;
    int line = line_of(event);
    if (depth > MAX_DEPTH) {
        status = refuse(r, event, "nested deeper than 64 levels");
    } else if (type == YAML_SCALAR_EVENT) {
        status = check_node(r, event, event->data.scalar.anchor, event->data.scalar.tag);
        const char *text = (const char *)event->data.scalar.value;
        size_t len = event->data.scalar.length;
        if (status == SX_OK)
            v = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
                    ? plain_scalar(text, len)
                    : sx_value_string_len(text, len);
    } else if (type == YAML_SEQUENCE_START_EVENT) {
        status =
            check_node(r, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        v = sx_value_list();
    } else if (type == YAML_MAPPING_START_EVENT) {
        status =
            check_node(r, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        v = sx_value_map();
    } else {
        status = refuse(r, event, "aliases (*name) are not supported");
    }
    yaml_event_delete(event);
    if (status == SX_OK && type == YAML_SEQUENCE_START_EVENT)
        status = read_list(r, depth, v);
    if (status == SX_OK && type == YAML_MAPPING_START_EVENT)
        status = read_map(r, depth, v);
    if (status != SX_OK) {
        sx_value_free(v);
        return status;
    }
    sx_value_set_line(v, line);
    *out = v;
    return SX_OK;
}

static enum sx_status read_stream(struct reader *r, struct sx_value **out)
{
    yaml_event_t event;
    struct sx_value *root = NULL;
    enum sx_status status = SX_OK;
    for (bool done = false; !done && status == SX_OK;) {
        status = next(r, &event);
        if (status != SX_OK)
            break;
        switch (event.type) {
        case YAML_STREAM_END_EVENT:
            done = true;
            yaml_event_delete(&event);
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            yaml_event_delete(&event);
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (root)
                status = refuse(r, &event, "a second document; one a file is read");
            yaml_event_delete(&event);
            break;
        default:
            status = read_node(r, &event, 0, &root);
        }
    }
    if (status != SX_OK) {
        sx_value_free(root);
        return status;
    }
    *out = root ? root : sx_value_null();
    return SX_OK;
}

enum sx_status sx_yaml_parse(const char *label, const char *text, size_t len, struct sx_value **out,
                             struct sx_error *err)
{
    if (len > MAX_FILE)
        return sx_fail(err, SX_ERR_FORMAT, "%s:1: larger than 16 MiB", label);
    struct reader r = {.label = label, .err = err};
    if (!yaml_parser_initialize(&r.parser))
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory", label);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    enum sx_status status = read_stream(&r, out);
    yaml_parser_delete(&r.parser);
    return status;
}

enum sx_status sx_yaml_parse_file(const char *path, struct sx_value **out, struct sx_error *err)
{
    char *text;
    size_t len;
    SX_TRY(sx_bytes_load(path, MAX_FILE, &text, &len, err));
    enum sx_status status = sx_yaml_parse(path, text, len, out, err);
    sx_free(text);
    return status;
}

/* Plain when it reads back as the same string without quotes: letters first, then words. */
static bool is_plain(const char *s, size_t len)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
    if (len == 0 || len > 100 || s[0] == '-' || strspn(s, safe) != len)
        return false;
    struct sx_value *v = plain_scalar(s, len);
    bool is_string = sx_value_kind(v) == SX_VALUE_STRING;
    sx_value_free(v);
    return is_string;
}

static void write_string(const char *s, size_t len, struct sx_str *out)
{
    if (is_plain(s, len)) {
        sx_str_append_len(out, s, len);
        return;
    }
    sx_str_append_char(out, '"');
    while (len > 0) {
        uint32_t c;
        char utf8[4];
        size_t n = sx_utf8_decode(s, len, &c);
        if (c == '"' || c == '\\')
            sx_str_printf(out, "\\%c", (int)c);
        else if (c == '\n')
            sx_str_append(out, "\\n");
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
            sx_str_printf(out, "\\x%02x", (unsigned)c);
        else if (c == 0x2028 || c == 0x2029 || c == 0xfeff || c >= 0xfffe)
            sx_str_printf(out, "\\U%08x", (unsigned)c);
        else
            sx_str_append_len(out, utf8, sx_utf8_encode(c, utf8));
        s += n;
        len -= n;
    }
    sx_str_append_char(out, '"');
}

static void write_scalar(const struct sx_value *v, struct sx_str *out)
{
    char number[SX_NUMBER_SIZE];
    double d = sx_value_real_or(v, 0);
    switch (sx_value_kind(v)) {
    case SX_VALUE_BOOL:
        sx_str_append(out, sx_value_bool_or(v, false) ? "true" : "false");
        break;
    case SX_VALUE_INT:
        sx_str_printf(out, "%lld", (long long)sx_value_int_or(v, 0));
        break;
    case SX_VALUE_REAL:
        sx_str_append(out, isnan(d)   ? ".nan"
                           : isinf(d) ? (d < 0 ? "-.inf" : ".inf")
                                      : sx_format_real(d, number));
        break;
    case SX_VALUE_STRING:
        write_string(sx_value_string_or(v, ""), sx_value_string_size(v), out);
        break;
    default:
        sx_str_append(out, "null");
    }
}

/* `first`: the text so far on this line is "- ", so the first key stands on it. */
static void write_block(const struct sx_value *v, int depth, bool first, struct sx_str *out)
{
    bool is_map = sx_value_kind(v) == SX_VALUE_MAP;
    for (size_t i = 0; i < sx_value_count(v); i++) {
        const struct sx_value *item = sx_value_item(v, i);
        if (!first || i > 0)
            sx_str_printf(out, "%*s", 2 * depth, "");
        if (is_map) {
            const char *key = sx_value_key(v, i);
            write_string(key, strlen(key), out);
            sx_str_append(out, ":");
        } else {
            sx_str_append(out, "-");
        }
        bool nested = sx_value_count(item) > 0;
        if (nested) {
            sx_str_append(out, is_map ? "\n" : " ");
            write_block(item, depth + 1, !is_map, out);
            continue;
        }
        sx_str_append_char(out, ' ');
        if (sx_value_kind(item) == SX_VALUE_LIST || sx_value_kind(item) == SX_VALUE_MAP)
            sx_str_append(out, sx_value_kind(item) == SX_VALUE_MAP ? "{}" : "[]");
        else
            write_scalar(item, out);
        sx_str_append_char(out, '\n');
    }
}

void sx_yaml_write(const struct sx_value *v, struct sx_str *out)
{
    if (sx_value_count(v) > 0) {
        write_block(v, 0, false, out);
        return;
    }
    if (sx_value_kind(v) == SX_VALUE_LIST || sx_value_kind(v) == SX_VALUE_MAP)
        sx_str_append(out, sx_value_kind(v) == SX_VALUE_MAP ? "{}" : "[]");
    else
        write_scalar(v, out);
    sx_str_append_char(out, '\n');
}
