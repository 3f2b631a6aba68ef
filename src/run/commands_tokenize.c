/* tokenize: text to ids and back. Weights are not opened for it. */
#include "commands_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "document.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/io/json.h"
#include "sextant/model/tokenizer.h"
#include "text_file.h"

static struct sx_value *id_list(const struct sx_ids *ids)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < ids->n; i++)
        sx_value_append(list, sx_value_int(ids->ids[i]));
    return list;
}

static struct sx_value *name_list(const struct sx_tokenizer *tokenizer, const struct sx_ids *ids)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < ids->n; i++)
        sx_value_append(list, sx_value_string(sx_token_name(tokenizer, ids->ids[i])));
    return list;
}

static struct sx_value *decode(const struct sx_tokenizer *tokenizer, const int32_t *ids, size_t n)
{
    struct sx_str text = SX_STR_INIT;
    sx_detokenize(tokenizer, ids, n, &text);
    struct sx_value *decoded = sx_value_string_len(text.data, text.len);
    sx_str_release(&text);
    return decoded;
}

static struct sx_value *text_list(const struct sx_tokenizer *tokenizer, const struct sx_ids *ids)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < ids->n; i++)
        sx_value_append(list, decode(tokenizer, &ids->ids[i], 1));
    return list;
}

/* What is said of one text; `tokens`: also each token, as the vocabulary writes it and as it reads.
 */
static enum sx_status describe(const struct sx_tokenizer *tokenizer, const struct sx_value *args,
                               const char *text, size_t len, bool tokens, struct sx_value *map,
                               struct sx_error *err)
{
    const struct sx_tokenize_options options = {
        .no_specials = sx_value_bool_or(sx_value_get(args, "no-specials"), false),
        .unknown_as_x = sx_value_bool_or(sx_value_get(args, "unknown-as-x"), false),
    };
    struct sx_ids ids = {0};
    struct sx_str warning = SX_STR_INIT;
    size_t unknown = 0;
    SX_TRY(sx_tokenize(tokenizer, text, len, &options, &ids, &unknown, err));
    sx_value_set(map, "ids", id_list(&ids));
    if (tokens)
        sx_value_set(map, "tokens", name_list(tokenizer, &ids));
    sx_value_set(map, "decoded", decode(tokenizer, ids.ids, ids.n));
    if (tokens)
        sx_value_set(map, "texts", text_list(tokenizer, &ids));
    if (unknown) {
        sx_tokenize_warning(tokenizer, text, len, &warning);
        struct sx_value *warnings = sx_value_set(map, "warnings", sx_value_list());
        sx_value_append(warnings, sx_value_string(warning.data));
    }
    sx_str_release(&warning);
    sx_ids_release(&ids);
    return SX_OK;
}

/* --- --jsonl ------------------------------------------------------------------------------------
 */

struct lines {
    const char *path;
    FILE *file;
    struct sx_str line;
    uint64_t number;
};

/* *more is false at the end. The line keeps its end, which JSON does not mind. */
static enum sx_status next_line(struct lines *l, bool *more, struct sx_error *err)
{
    enum { LONGEST = 64 << 20, PIECE = 1 << 16 };
    char piece[PIECE];
    sx_str_clear(&l->line);
    l->number++;
    while (fgets(piece, sizeof piece, l->file)) {
        sx_str_append(&l->line, piece);
        if (l->line.len && l->line.data[l->line.len - 1] == '\n')
            break;
        if (l->line.len > LONGEST)
            return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: line %llu is longer than %d MiB", l->path,
                           (unsigned long long)l->number, LONGEST >> 20);
    }
    if (ferror(l->file))
        return sx_fail(err, SX_ERR_IO, "%s: %s", l->path, strerror(errno));
    *more = l->line.len > 0;
    return SX_OK;
}

static enum sx_status do_line(struct sx_job *job, const struct sx_tokenizer *tokenizer,
                              const struct lines *l, struct sx_error *err)
{
    struct sx_value *in = NULL;
    if (l->line.data[strspn(l->line.data, " \t\r\n")] == '\0')
        return SX_OK;
    SX_TRY(sx_json_parse("not JSON", l->line.data, l->line.len, &in, err));
    const struct sx_value *text = sx_value_get(in, "text");
    struct sx_value *out = sx_value_map();
    enum sx_status status;
    if (sx_value_kind(text) == SX_VALUE_STRING)
        status = describe(tokenizer, job->args, sx_value_string_or(text, ""),
                          sx_value_string_size(text), false, out, err);
    else
        status = sx_fail(err, SX_ERR_FORMAT, "expected {\"text\": \"…\"}, found %s",
                         sx_value_kind(in) == SX_VALUE_MAP ? "no text in the map"
                                                           : sx_value_kind_name(sx_value_kind(in)));
    if (status == SX_OK && job->emit)
        job->emit(job, out);
    sx_value_free(out);
    sx_value_free(in);
    return status;
}

static enum sx_status do_lines(struct sx_job *job, const struct sx_tokenizer *tokenizer,
                               struct lines *l, struct sx_error *err)
{
    for (;;) {
        bool more;
        SX_TRY(next_line(l, &more, err));
        if (!more)
            return SX_OK;
        const enum sx_status status = do_line(job, tokenizer, l, err);
        if (status != SX_OK)
            return sx_fail_prefix(err, status, "%s: line %llu", l->path,
                                  (unsigned long long)l->number);
        SX_TRY(sx_task_step(&job->task, l->number, 0));
    }
}

static enum sx_status run_lines(struct sx_job *job, const struct sx_tokenizer *tokenizer,
                                const char *path, struct sx_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    struct lines l = {
        .path = standard ? "standard input" : path,
        .file = standard ? stdin : fopen(path, "re"),
        .line = SX_STR_INIT,
    };
    if (!l.file)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    const enum sx_status status = do_lines(job, tokenizer, &l, err);
    sx_str_release(&l.line);
    if (!standard)
        fclose(l.file);
    return status;
}

/* --- the command --------------------------------------------------------------------------------
 */

static enum sx_status run_text(struct sx_job *job, const struct sx_tokenizer *tokenizer,
                               struct sx_error *err)
{
    enum { LONGEST = 8 << 20 }; /* its document takes some 60 times that */
    const struct sx_value *given = sx_value_get(job->args, "text");
    struct sx_str text = SX_STR_INIT;
    enum sx_status status = SX_OK;
    if (given)
        sx_str_append_len(&text, sx_value_string_or(given, ""), sx_value_string_size(given));
    else
        status = sx_text_file_read(sx_arg_text(job->args, "text-file"), &text, err);
    if (status == SX_OK && text.len > LONGEST)
        status = sx_fail(err, SX_ERR_UNSUPPORTED,
                         "a text of %zu bytes; at most %d are taken at once, --jsonl takes any "
                         "number of lines",
                         text.len, LONGEST);
    if (status == SX_OK) {
        job->document = sx_document_new();
        status = describe(tokenizer, job->args, text.data, text.len, true, job->document, err);
    }
    sx_str_release(&text);
    return status;
}

SX_RUN(tokenize)
{
    static const char *const sources[] = {"text", "text-file", "jsonl"};
    struct sx_tokenizer *tokenizer = NULL;
    int given = 0;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        given += sx_value_get(job->args, sources[i]) != NULL;
    if (given != 1)
        return sx_fail(err, SX_ERR_USAGE, "tokenize: one of --text, --text-file and --jsonl");
    SX_TRY(sx_tokenizer_find(sx_arg_text(job->args, "model"), &tokenizer, err));
    const char *jsonl = sx_arg_text(job->args, "jsonl");
    const enum sx_status status =
        jsonl ? run_lines(job, tokenizer, jsonl, err) : run_text(job, tokenizer, err);
    sx_tokenizer_free(tokenizer);
    return status;
}

static void append_padded(struct sx_str *out, const char *text, int width)
{
    char clean[256];
    sx_text_clean(clean, sizeof clean, text, strlen(text));
    const int pad = width - sx_text_width(clean);
    sx_str_printf(out, "%s%*s", clean, pad > 0 ? pad : 0, "");
}

/* White space would not be seen. */
static void append_visible(struct sx_str *out, const char *text)
{
    sx_str_append(out, "'");
    for (const char *c = text; *c; c++) {
        if (*c == '\n')
            sx_str_append(out, "⏎");
        else if (*c == '\t')
            sx_str_append(out, "⇥");
        else
            sx_str_append_char(out, *c);
    }
    sx_str_append(out, "'\n");
}

SX_PRINT(tokenize)
{
    enum { TOKEN_WIDTH = 18 };
    const struct sx_value *ids = sx_value_get(document, "ids");
    const struct sx_value *tokens = sx_value_get(document, "tokens");
    const struct sx_value *texts = sx_value_get(document, "texts");
    sx_print_warnings(document, out);
    sx_str_append(out, "    id  token              text\n");
    for (size_t i = 0; i < sx_value_count(ids); i++) {
        sx_str_printf(out, "%6lld  ", (long long)sx_value_int_or(sx_value_item(ids, i), -1));
        append_padded(out, sx_value_string_or(sx_value_item(tokens, i), ""), TOKEN_WIDTH);
        sx_str_append(out, " ");
        append_visible(out, sx_value_string_or(sx_value_item(texts, i), ""));
    }
    sx_str_printf(out, "%zu tokens\n", sx_value_count(ids));
}
