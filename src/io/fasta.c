#include "sextant/io/fasta.h"

#include <ctype.h>
#include <string.h>

#include "lines.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"

enum { LONGEST_RECORD = 256 << 20, LONGEST_NAME = 256, LONGEST_TEXT = 1024 };

#define MOST_TEXT (4ULL << 30)

struct sx_fasta {
    struct sx_lines *lines;
    bool has_line; /* a line is read and not yet used: the header of the next record */
    uint64_t n_records;

    char *name, *description;
    struct sx_str sequence;
};

/* --- lines --------------------------------------------------------------------------------------
 */

static enum sx_status too_long(const struct sx_fasta *f, struct sx_error *err)
{
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: line %llu: a record of more than %d MiB",
                   sx_lines_label(f->lines), (unsigned long long)sx_lines_number(f->lines),
                   LONGEST_RECORD >> 20);
}

/* has_line is false at the end of the file. */
static enum sx_status read_line(struct sx_fasta *f, struct sx_error *err)
{
    return sx_lines_next(f->lines, LONGEST_RECORD, &f->has_line, err);
}

static bool is_space(char c)
{
    return isspace((unsigned char)c) != 0;
}

static bool is_blank(const struct sx_str *line)
{
    size_t i = 0;
    while (i < line->len && is_space(line->data[i]))
        i++;
    return i == line->len;
}

/* Empty lines and the comments of old files. */
static bool says_nothing(const struct sx_str *line)
{
    return line->data[0] == ';' || is_blank(line);
}

/* --- records ------------------------------------------------------------------------------------
 */

static enum sx_status find_first(struct sx_fasta *f, struct sx_error *err)
{
    do {
        SX_TRY(read_line(f, err));
        if (!f->has_line)
            return sx_fail(err, SX_ERR_FORMAT, "%s: no sequences: no line begins with '>'",
                           sx_lines_label(f->lines));
    } while (says_nothing(sx_lines_text(f->lines)));
    if (sx_lines_text(f->lines)->data[0] == '>')
        return SX_OK;
    return sx_fail(err, SX_ERR_FORMAT, "%s: line %llu: expected '>' and a name: not a FASTA file",
                   sx_lines_label(f->lines), (unsigned long long)sx_lines_number(f->lines));
}

static void take_header(struct sx_fasta *f)
{
    const struct sx_str *line = sx_lines_text(f->lines);
    const char *text = line->data + 1;
    const char *end = line->data + line->len;
    while (text < end && is_space(*text))
        text++;
    const char *word = text;
    while (text < end && !is_space(*text))
        text++;
    sx_free(f->name);
    sx_free(f->description);
    f->n_records++;
    f->name = text > word ? sx_text_clean_dup(word, (size_t)(text - word), LONGEST_NAME)
                          : sx_xasprintf("record %llu", (unsigned long long)f->n_records);
    while (text < end && is_space(*text))
        text++;
    while (end > text && is_space(end[-1]))
        end--;
    f->description = sx_text_clean_dup(text, (size_t)(end - text), LONGEST_TEXT);
}

static enum sx_status take_residues(struct sx_fasta *f, struct sx_error *err)
{
    const struct sx_str *line = sx_lines_text(f->lines);
    if (f->sequence.len + line->len > LONGEST_RECORD)
        return too_long(f, err);
    size_t from = 0;
    for (size_t i = 0; i <= line->len; i++) {
        if (i < line->len && !is_space(line->data[i])) {
            if (!iscntrl((unsigned char)line->data[i]))
                continue;
            return sx_fail(err, SX_ERR_FORMAT, "%s: line %llu: the control character %02X in %s",
                           sx_lines_label(f->lines), (unsigned long long)sx_lines_number(f->lines),
                           line->data[i], f->name);
        }
        sx_str_append_len(&f->sequence, line->data + from, i - from);
        from = i + 1;
    }
    return SX_OK;
}

enum sx_status sx_fasta_next(struct sx_fasta *fasta, struct sx_fasta_record *record, bool *more,
                             struct sx_error *err)
{
    *more = false;
    if (fasta->n_records == 0)
        SX_TRY(find_first(fasta, err));
    if (!fasta->has_line)
        return SX_OK;
    take_header(fasta);
    sx_str_clear(&fasta->sequence);
    for (;;) {
        SX_TRY(read_line(fasta, err));
        const struct sx_str *line = sx_lines_text(fasta->lines);
        if (!fasta->has_line || line->data[0] == '>')
            break;
        if (!says_nothing(line))
            SX_TRY(take_residues(fasta, err));
    }
    size_t length = fasta->sequence.len;
    if (length && fasta->sequence.data[length - 1] == '*')
        fasta->sequence.data[--length] = '\0';
    *record =
        (struct sx_fasta_record){fasta->name, fasta->description, fasta->sequence.data, length};
    *more = true;
    return SX_OK;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static struct sx_fasta *new_reader(struct sx_lines *take)
{
    struct sx_fasta *f = sx_xcalloc(1, sizeof *f);
    f->lines = take;
    f->sequence = SX_STR_INIT;
    return f;
}

void sx_fasta_close(struct sx_fasta *fasta)
{
    if (!fasta)
        return;
    sx_lines_close(fasta->lines);
    sx_free(fasta->name);
    sx_free(fasta->description);
    sx_str_release(&fasta->sequence);
    sx_free(fasta);
}

enum sx_status sx_fasta_open(const char *path, struct sx_fasta **out, struct sx_error *err)
{
    struct sx_lines *lines = NULL;
    SX_TRY(sx_lines_open(path, &lines, err));
    *out = new_reader(lines);
    return SX_OK;
}

enum sx_status sx_fasta_open_memory(const char *label, const void *bytes, size_t size,
                                    struct sx_fasta **out, struct sx_error *err)
{
    struct sx_lines *lines = NULL;
    SX_TRY(sx_lines_open_memory(label, bytes, size, &lines, err));
    *out = new_reader(lines);
    return SX_OK;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static enum sx_status read_all(struct sx_fasta *f, struct sx_task *task,
                               struct sx_fasta_records *out, struct sx_error *err)
{
    enum { PER_RECORD = 128 };
    size_t capacity = 0;
    uint64_t text = 0;
    for (;;) {
        struct sx_fasta_record record;
        bool more;
        SX_TRY(sx_fasta_next(f, &record, &more, err));
        if (!more)
            return SX_OK;
        text += record.length + PER_RECORD;
        if (text > MOST_TEXT)
            return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: more than %llu GiB of sequences",
                           sx_lines_label(f->lines), MOST_TEXT >> 30);
        SX_GROW(out->records, capacity, out->n + 1);
        out->records[out->n++] = (struct sx_fasta_record){
            .name = sx_xstrdup(record.name),
            .description = sx_xstrdup(record.description),
            .sequence = sx_xstrndup(record.sequence, record.length),
            .length = record.length,
        };
        SX_TRY(sx_task_step(task, out->n, 0));
    }
}

enum sx_status sx_fasta_read(const char *path, struct sx_task *task, struct sx_fasta_records *out,
                             struct sx_error *err)
{
    struct sx_fasta *f = NULL;
    *out = (struct sx_fasta_records){0};
    SX_TRY(sx_fasta_open(path, &f, err));
    const enum sx_status status = read_all(f, task, out, err);
    sx_fasta_close(f);
    return status;
}

void sx_fasta_records_release(struct sx_fasta_records *records)
{
    for (size_t i = 0; i < records->n; i++) {
        sx_free(records->records[i].name);
        sx_free(records->records[i].description);
        sx_free(records->records[i].sequence);
    }
    sx_free(records->records);
    *records = (struct sx_fasta_records){0};
}
