#include "sextant/io/fasta.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gzip.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"

enum { CHUNK = 1 << 16, LONGEST_RECORD = 256 << 20, LONGEST_NAME = 256, LONGEST_TEXT = 1024 };

#define MOST_TEXT (4ULL << 30)

/* --- bytes one after another -------------------------------------------------------------------
 */

struct sx_fasta {
    char *label;
    int fd; /* -1: memory */
    const uint8_t *memory;
    size_t memory_size;

    struct sx_gunzip *gunzip; /* NULL: plain */
    bool complete;            /* the packed text may end here */
    uint8_t *packed;          /* [CHUNK] */
    size_t packed_at, packed_end;

    uint8_t text[CHUNK];
    size_t at, end;

    struct sx_str line;
    bool has_line; /* `line` is read and not yet used: the header of the next record */
    uint64_t line_number;
    uint64_t n_records;

    char *name, *description;
    struct sx_str sequence;
};

/* 0 bytes: the end. */
static enum sx_status read_raw(struct sx_fasta *f, uint8_t *out, size_t room, size_t *n,
                               struct sx_error *err)
{
    ssize_t got;
    if (f->fd < 0) {
        *n = f->memory_size < room ? f->memory_size : room;
        memcpy(out, f->memory, *n);
        f->memory += *n;
        f->memory_size -= *n;
        return SX_OK;
    }
    do
        got = read(f->fd, out, room);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", f->label, strerror(errno));
    *n = (size_t)got;
    return SX_OK;
}

static enum sx_status unpack(struct sx_fasta *f, struct sx_error *err)
{
    for (f->end = 0; f->end == 0;) {
        if (f->packed_at == f->packed_end) {
            f->packed_at = 0;
            SX_TRY(read_raw(f, f->packed, CHUNK, &f->packed_end, err));
            if (f->packed_end == 0)
                return f->complete ? SX_OK
                                   : sx_fail(err, SX_ERR_FORMAT, "%s: compressed data is cut off",
                                             f->label);
        }
        size_t used = f->packed_end - f->packed_at;
        f->end = CHUNK;
        SX_TRY(sx_gunzip_step(f->gunzip, f->label, f->packed + f->packed_at, &used, f->text,
                              &f->end, &f->complete, err));
        f->packed_at += used;
    }
    return SX_OK;
}

static enum sx_status refill(struct sx_fasta *f, struct sx_error *err)
{
    f->at = 0;
    return f->gunzip ? unpack(f, err) : read_raw(f, f->text, CHUNK, &f->end, err);
}

/* The first chunk tells gzip from text. */
static enum sx_status start(struct sx_fasta *f, struct sx_error *err)
{
    static const uint8_t bom[] = {0xEF, 0xBB, 0xBF};
    SX_TRY(refill(f, err));
    if (f->end >= 2 && f->text[0] == 0x1F && f->text[1] == 0x8B) {
        SX_TRY(sx_gunzip_new(&f->gunzip, err));
        f->packed = sx_xmalloc(CHUNK);
        f->packed_end = f->end;
        memcpy(f->packed, f->text, f->end);
        SX_TRY(refill(f, err));
    }
    if (f->end >= sizeof bom && memcmp(f->text, bom, sizeof bom) == 0)
        f->at = sizeof bom;
    return SX_OK;
}

/* --- lines --------------------------------------------------------------------------------------
 */

static enum sx_status too_long(const struct sx_fasta *f, struct sx_error *err)
{
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: line %llu: a record of more than %d MiB", f->label,
                   (unsigned long long)f->line_number, LONGEST_RECORD >> 20);
}

/* Into f->line, without its end; has_line is false at the end of the file. */
static enum sx_status read_line(struct sx_fasta *f, struct sx_error *err)
{
    sx_str_clear(&f->line);
    f->has_line = false;
    for (bool whole = false; !whole;) {
        if (f->at == f->end) {
            SX_TRY(refill(f, err));
            if (f->end == 0)
                break;
        }
        const uint8_t *from = f->text + f->at;
        const uint8_t *newline = memchr(from, '\n', f->end - f->at);
        const size_t n = newline ? (size_t)(newline - from) : f->end - f->at;
        f->line_number += !f->has_line;
        f->has_line = true;
        if (f->line.len + n > LONGEST_RECORD)
            return too_long(f, err);
        sx_str_append_len(&f->line, (const char *)from, n);
        f->at += n + (newline != NULL);
        whole = newline != NULL;
    }
    return SX_OK;
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
                           f->label);
    } while (says_nothing(&f->line));
    if (f->line.data[0] == '>')
        return SX_OK;
    return sx_fail(err, SX_ERR_FORMAT, "%s: line %llu: expected '>' and a name: not a FASTA file",
                   f->label, (unsigned long long)f->line_number);
}

static void take_header(struct sx_fasta *f)
{
    const char *text = f->line.data + 1;
    const char *end = f->line.data + f->line.len;
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
    const struct sx_str *line = &f->line;
    if (f->sequence.len + line->len > LONGEST_RECORD)
        return too_long(f, err);
    size_t from = 0;
    for (size_t i = 0; i <= line->len; i++) {
        if (i < line->len && !is_space(line->data[i])) {
            if (!iscntrl((unsigned char)line->data[i]))
                continue;
            return sx_fail(err, SX_ERR_FORMAT, "%s: line %llu: the control character %02X in %s",
                           f->label, (unsigned long long)f->line_number, line->data[i], f->name);
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
        if (!fasta->has_line || fasta->line.data[0] == '>')
            break;
        if (!says_nothing(&fasta->line))
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

static struct sx_fasta *new_reader(const char *label)
{
    struct sx_fasta *f = sx_xcalloc(1, sizeof *f);
    f->label = sx_xstrdup(label);
    f->fd = -1;
    f->line = SX_STR_INIT;
    f->sequence = SX_STR_INIT;
    return f;
}

void sx_fasta_close(struct sx_fasta *fasta)
{
    if (!fasta)
        return;
    if (fasta->fd > STDIN_FILENO)
        close(fasta->fd);
    sx_gunzip_free(fasta->gunzip);
    sx_free(fasta->packed);
    sx_free(fasta->label);
    sx_free(fasta->name);
    sx_free(fasta->description);
    sx_str_release(&fasta->line);
    sx_str_release(&fasta->sequence);
    sx_free(fasta);
}

static enum sx_status finish_open(struct sx_fasta *take, struct sx_fasta **out,
                                  struct sx_error *err)
{
    const enum sx_status status = start(take, err);
    if (status == SX_OK)
        *out = take;
    else
        sx_fasta_close(take);
    return status;
}

enum sx_status sx_fasta_open(const char *path, struct sx_fasta **out, struct sx_error *err)
{
    struct stat st;
    if (strcmp(path, "-") == 0) {
        struct sx_fasta *f = new_reader("standard input");
        f->fd = STDIN_FILENO;
        return finish_open(f, out, err);
    }
    /* Without waiting for whoever might write to a pipe. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    struct sx_fasta *f = new_reader(path);
    f->fd = fd;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return finish_open(f, out, err);
    sx_fasta_close(f);
    return sx_fail(err, SX_ERR_IO, "%s: not a regular file", path);
}

enum sx_status sx_fasta_open_memory(const char *label, const void *bytes, size_t size,
                                    struct sx_fasta **out, struct sx_error *err)
{
    struct sx_fasta *f = new_reader(label);
    f->memory = bytes;
    f->memory_size = size;
    return finish_open(f, out, err);
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
            return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: more than %llu GiB of sequences", f->label,
                           MOST_TEXT >> 30);
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
