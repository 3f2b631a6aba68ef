#include "output.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/io/json.h"

enum sx_status sx_output_flush(struct sx_error *err)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return SX_OK;
    if (errno == EPIPE)
        return SX_CANCELLED;
    return sx_fail(err, SX_ERR_IO, "standard output: %s", strerror(errno));
}

enum sx_status sx_output_write(const struct sx_str *text, struct sx_error *err)
{
    if (fwrite(text->data, 1, text->len, stdout) == text->len)
        return sx_output_flush(err);
    if (errno == EPIPE)
        return SX_CANCELLED;
    return sx_fail(err, SX_ERR_IO, "standard output: %s", strerror(errno));
}

/* --- CSV ---------------------------------------------------------------------------------------
 */

static void csv_text(const char *s, struct sx_str *out)
{
    if (!s[strcspn(s, ",\"\n\r")]) {
        sx_str_append(out, s);
        return;
    }
    sx_str_append_char(out, '"');
    for (; *s; s++) {
        if (*s == '"')
            sx_str_append_char(out, '"');
        sx_str_append_char(out, *s);
    }
    sx_str_append_char(out, '"');
}

static void csv_cell(const struct sx_value *v, struct sx_str *out)
{
    struct sx_str json = SX_STR_INIT;

    switch (sx_value_kind(v)) {
    case SX_VALUE_NULL:
        return;
    case SX_VALUE_STRING:
        csv_text(sx_value_string_or(v, ""), out);
        return;
    case SX_VALUE_REAL:
        if (!isfinite(sx_value_real_or(v, 0)))
            return;
        break;
    case SX_VALUE_BOOL:
    case SX_VALUE_INT:
    case SX_VALUE_LIST:
    case SX_VALUE_MAP:
        break;
    }
    sx_json_write(v, 0, &json);
    csv_text(json.data, out);
    sx_str_release(&json);
}

static void add_column(struct sx_value *columns, const char *name)
{
    if (!sx_value_get(columns, name))
        sx_value_set(columns, name, sx_value_null());
}

/* A map in a row is a column for each of its keys: "outer.inner". */
static void add_inner_columns(struct sx_value *columns, const char *outer,
                              const struct sx_value *map)
{
    for (size_t k = 0; k < sx_value_count(map); k++) {
        char *name = sx_xasprintf("%s.%s", outer, sx_value_key(map, k));
        add_column(columns, name);
        sx_free(name);
    }
}

static struct sx_value *csv_columns(const struct sx_value *rows)
{
    struct sx_value *columns = sx_value_map(); /* a set that keeps its order */

    for (size_t i = 0; i < sx_value_count(rows); i++) {
        const struct sx_value *row = sx_value_item(rows, i);
        for (size_t k = 0; k < sx_value_count(row); k++) {
            const struct sx_value *item = sx_value_item(row, k);
            if (sx_value_kind(item) == SX_VALUE_MAP)
                add_inner_columns(columns, sx_value_key(row, k), item);
            else
                add_column(columns, sx_value_key(row, k));
        }
    }
    return columns;
}

static const struct sx_value *csv_item(const struct sx_value *row, const char *column)
{
    const struct sx_value *item = sx_value_get(row, column);
    return item ? item : sx_value_at(row, column);
}

void sx_output_csv(const struct sx_value *rows, struct sx_str *out)
{
    struct sx_value *columns = csv_columns(rows);
    const size_t n = sx_value_count(columns);

    for (size_t k = 0; k < n; k++) {
        sx_str_append(out, k ? "," : "");
        csv_text(sx_value_key(columns, k), out);
    }
    if (n)
        sx_str_append_char(out, '\n');
    for (size_t i = 0; i < sx_value_count(rows); i++) {
        for (size_t k = 0; k < n; k++) {
            sx_str_append(out, k ? "," : "");
            csv_cell(csv_item(sx_value_item(rows, i), sx_value_key(columns, k)), out);
        }
        sx_str_append_char(out, '\n');
    }
    sx_value_free(columns);
}

/* --- text for people ---------------------------------------------------------------------------
 */

static bool is_scalar(const struct sx_value *v)
{
    return sx_value_kind(v) != SX_VALUE_LIST && sx_value_kind(v) != SX_VALUE_MAP;
}

static void scalar_text(const struct sx_value *v, struct sx_str *out)
{
    char clean[1024];

    switch (sx_value_kind(v)) {
    case SX_VALUE_NULL:
        sx_str_append(out, "–");
        break;
    case SX_VALUE_BOOL:
        sx_str_append(out, sx_value_bool_or(v, false) ? "yes" : "no");
        break;
    case SX_VALUE_INT:
        sx_str_printf(out, "%lld", (long long)sx_value_int_or(v, 0));
        break;
    case SX_VALUE_REAL:
        sx_str_printf(out, "%.6g", sx_value_real_or(v, 0));
        break;
    case SX_VALUE_STRING:
        sx_text_clean(clean, sizeof clean, sx_value_string_or(v, ""), sx_value_string_size(v));
        sx_str_append(out, clean);
        break;
    case SX_VALUE_LIST:
    case SX_VALUE_MAP:
        break;
    }
}

static void outline(const struct sx_value *v, int depth, struct sx_str *out)
{
    const bool map = sx_value_kind(v) == SX_VALUE_MAP;

    for (size_t i = 0; i < sx_value_count(v); i++) {
        const struct sx_value *item = sx_value_item(v, i);
        if (map && depth == 0 && strcmp(sx_value_key(v, i), "schema") == 0)
            continue; /* for programs */
        sx_str_printf(out, "%*s", 2 * depth, "");
        if (map)
            sx_str_printf(out, "%-18s", sx_value_key(v, i));
        else
            sx_str_append(out, "- ");
        if (is_scalar(item)) {
            if (map)
                sx_str_append_char(out, ' ');
            scalar_text(item, out);
        }
        sx_str_append_char(out, '\n');
        if (!is_scalar(item))
            outline(item, depth + 1, out);
    }
}

void sx_output_outline(const struct sx_value *v, struct sx_str *out)
{
    outline(v, 0, out);
}

/* --- documents ---------------------------------------------------------------------------------
 */

static struct sx_value *with_schema(const struct sx_value *document)
{
    struct sx_value *out = sx_document_new();

    for (size_t i = 0; i < sx_value_count(document); i++) {
        if (strcmp(sx_value_key(document, i), "schema") != 0)
            sx_value_set(out, sx_value_key(document, i), sx_value_dup(sx_value_item(document, i)));
    }
    return out;
}

static void json_text(const struct sx_value *document, int indent, struct sx_str *out)
{
    if (sx_value_kind(document) == SX_VALUE_MAP && !sx_value_get(document, "schema")) {
        struct sx_value *full = with_schema(document);
        sx_json_write(full, indent, out);
        sx_value_free(full);
    } else {
        sx_json_write(document, indent, out);
    }
    if (out->len == 0 || out->data[out->len - 1] != '\n')
        sx_str_append_char(out, '\n');
}

/* `rows`, or the first list of maps in documents whose table has a name of its own. */
static const struct sx_value *table_of(const struct sx_value *document)
{
    const struct sx_value *rows = sx_value_get(document, "rows");
    for (size_t i = 0; !rows && i < sx_value_count(document); i++) {
        const struct sx_value *item = sx_value_item(document, i);
        if (sx_value_kind(item) == SX_VALUE_LIST &&
            sx_value_kind(sx_value_item(item, 0)) == SX_VALUE_MAP)
            rows = item;
    }
    return rows;
}

enum sx_status sx_output_document(const struct sx_value *document, enum sx_output_form form,
                                  int indent,
                                  void (*print)(const struct sx_value *, struct sx_str *),
                                  struct sx_error *err)
{
    struct sx_str out = SX_STR_INIT;
    enum sx_status status;

    switch (form) {
    case SX_OUTPUT_JSON:
        json_text(document, indent, &out);
        break;
    case SX_OUTPUT_CSV:
        sx_output_csv(table_of(document), &out);
        break;
    case SX_OUTPUT_TEXT:
        if (print)
            print(document, &out);
        else
            sx_output_outline(document, &out);
        break;
    }
    if (form != SX_OUTPUT_JSON) {
        /* Paths are strangers' words too, and may hold what a terminal obeys. */
        char *clean = sx_text_clean_lines(out.data, out.len);
        sx_str_clear(&out);
        sx_str_append(&out, clean);
        sx_free(clean);
    }
    status = sx_output_write(&out, err);
    sx_str_release(&out);
    return status;
}

void sx_output_error(const char *message)
{
    fprintf(stderr, "sextant: %s\n", message);
}

int sx_output_exit_code(enum sx_status status)
{
    switch (status) {
    case SX_OK:
        return 0;
    case SX_ERR_USAGE:
        return 2;
    case SX_CANCELLED:
        return 130;
    case SX_ERR_IO:
    case SX_ERR_FORMAT:
    case SX_ERR_UNSUPPORTED:
    case SX_ERR_SHAPE:
    case SX_ERR_NOTFOUND:
    case SX_ERR_NOMEM:
    case SX_ERR_NUMERIC:
        break;
    }
    return 1;
}
