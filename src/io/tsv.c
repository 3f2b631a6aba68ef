#include "sextant/io/tsv.h"

#include <ctype.h>
#include <string.h>

#include "lines.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"

enum { LONGEST_LINE = 1 << 16 };

struct sx_tsv {
    struct sx_lines *lines;
    struct sx_str text; /* of the present line, its fields ended by NUL */
};

enum sx_status sx_tsv_open(const char *path, struct sx_tsv **out, struct sx_error *err)
{
    struct sx_lines *lines = NULL;
    SX_TRY(sx_lines_open(path, &lines, err));
    *out = sx_xcalloc(1, sizeof **out);
    **out = (struct sx_tsv){lines, SX_STR_INIT};
    return SX_OK;
}

void sx_tsv_close(struct sx_tsv *tsv)
{
    if (!tsv)
        return;
    sx_lines_close(tsv->lines);
    sx_str_release(&tsv->text);
    sx_free(tsv);
}

static char *trimmed(char *from, char *end)
{
    while (from < end && isspace((unsigned char)*from))
        from++;
    while (end > from && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return from;
}

static enum sx_status split(struct sx_tsv *tsv, struct sx_tsv_row *row, struct sx_error *err)
{
    char *end = tsv->text.data + tsv->text.len;
    char *from = tsv->text.data;
    *row = (struct sx_tsv_row){.line = sx_lines_number(tsv->lines)};
    for (;;) {
        if (row->n == SX_TSV_FIELDS)
            return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: line %llu: more than %d fields",
                           sx_lines_label(tsv->lines), (unsigned long long)row->line,
                           SX_TSV_FIELDS);
        char *tab = memchr(from, '\t', (size_t)(end - from));
        row->field[row->n++] = trimmed(from, tab ? tab : end);
        if (!tab)
            return SX_OK;
        from = tab + 1;
    }
}

enum sx_status sx_tsv_next(struct sx_tsv *tsv, struct sx_tsv_row *row, bool *more,
                           struct sx_error *err)
{
    for (;;) {
        SX_TRY(sx_lines_next(tsv->lines, LONGEST_LINE, more, err));
        if (!*more)
            return SX_OK;
        const struct sx_str *line = sx_lines_text(tsv->lines);
        sx_str_clear(&tsv->text);
        sx_str_append_len(&tsv->text, line->data, line->len);
        SX_TRY(split(tsv, row, err));
        const bool blank = row->n == 1 && !*row->field[0];
        if (!blank && *row->field[0] != '#')
            return SX_OK;
    }
}
