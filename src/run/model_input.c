#include "model_input.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/text.h"
#include "sextant/core/blas.h"
#include "sextant/io/fasta.h"
#include "sextant/io/tensor_file.h"
#include "sextant/model/names.h"
#include "text_file.h"

static const double GIB = 1024.0 * 1024 * 1024;

struct reader {
    const char *command;
    const struct sx_model *model;
    const struct sx_model_info *info;
    struct sx_model_inputs *inputs;
    struct sx_error *err;
};

/* --- results ---------------------------------------------------------------------------------- */

void sx_model_inputs_release(struct sx_model_inputs *inputs)
{
    for (size_t i = 0; i < inputs->n; i++) {
        sx_free(inputs->item[i].name);
        sx_ids_release(&inputs->item[i].ids);
    }
    sx_free(inputs->item);
    sx_value_free(inputs->warnings);
    *inputs = (struct sx_model_inputs){0};
}

void sx_model_inputs_warn(struct sx_model_inputs *inputs, const char *fmt, ...)
{
    enum { MOST = 20 };
    struct sx_str text = SX_STR_INIT;
    va_list args;
    va_start(args, fmt);
    sx_str_vprintf(&text, fmt, args);
    va_end(args);
    sx_log(SX_LOG_WARN, "%s", text.data);
    if (!inputs->warnings)
        inputs->warnings = sx_value_list();
    if (sx_value_count(inputs->warnings) < MOST)
        sx_value_append(inputs->warnings, sx_value_string(text.data));
    else if (sx_value_count(inputs->warnings) == MOST)
        sx_value_append(inputs->warnings, sx_value_string("more of the same; see --verbose"));
    sx_str_release(&text);
}

void sx_model_inputs_tell(struct sx_model_inputs *inputs, struct sx_value *document)
{
    if (inputs->warnings)
        sx_value_set(document, "warnings", inputs->warnings);
    inputs->warnings = NULL;
}

void sx_print_warnings(const struct sx_value *document, struct sx_str *out)
{
    const struct sx_value *warnings = sx_value_get(document, "warnings");
    for (size_t i = 0; i < sx_value_count(warnings); i++)
        sx_str_printf(out, "! %s\n", sx_value_string_or(sx_value_item(warnings, i), ""));
}

/* Takes ids; name is copied. */
static void add(struct reader *r, const char *name, struct sx_ids *take)
{
    struct sx_model_inputs *inputs = r->inputs;
    SX_GROW(inputs->item, inputs->room, inputs->n + 1);
    inputs->item[inputs->n++] = (struct sx_model_input){
        .name = name && *name ? sx_text_clean_dup(name, strlen(name), 200) : NULL, .ids = *take};
    if (r->info->max_positions && take->n > r->info->max_positions)
        sx_model_inputs_warn(inputs, "%s%s%zu tokens: the model was made for %" PRIu64,
                             name && *name ? name : "", name && *name ? ": " : "", take->n,
                             r->info->max_positions);
    *take = (struct sx_ids){0};
}

/* --- text ------------------------------------------------------------------------------------- */

static enum sx_status add_text(struct reader *r, const char *name, const char *text, size_t len)
{
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(r->model);
    struct sx_ids ids = {0};
    size_t unknown = 0;
    SX_TRY(sx_tokenize(tokenizer, text, len, NULL, &ids, &unknown, r->err));
    if (unknown > 0) {
        struct sx_str warning = SX_STR_INIT;
        sx_tokenize_warning(tokenizer, text, len, &warning);
        sx_model_inputs_warn(r->inputs, "%s%s%s", name ? name : "", name ? ": " : "", warning.data);
        sx_str_release(&warning);
    }
    add(r, name, &ids);
    return SX_OK;
}

static enum sx_status want_family(const struct reader *r, enum sx_model_family family,
                                  const char *option)
{
    const bool protein = family == SX_MODEL_ESM2;
    if (r->info->family != family)
        return sx_fail(r->err, SX_ERR_USAGE, "%s: --%s is for %s models, and %s is %s: give --%s",
                       r->command, option, protein ? "protein" : "language", r->info->name,
                       sx_model_family_name(r->info->family),
                       !protein                           ? "seq"
                       : strcmp(r->command, "score") == 0 ? "text"
                                                          : "prompt");
    if (!sx_model_tokenizer(r->model))
        return sx_fail(r->err, SX_ERR_NOTFOUND,
                       "%s: no tokenizer.json beside the weights, so text cannot be read: give "
                       "--ids",
                       r->info->path);
    return SX_OK;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

static enum sx_status add_sequences(struct reader *r, const struct sx_value *texts)
{
    for (size_t i = 0; i < sx_value_count(texts); i++) {
        const char *text = sx_value_string_or(sx_value_item(texts, i), "");
        SX_TRY(want_family(r, SX_MODEL_ESM2, "seq"));
        if (is_blank(text))
            return sx_fail(r->err, SX_ERR_USAGE, "%s: --seq is empty: give at least one residue",
                           r->command);
        SX_TRY(add_text(r, NULL, text, strlen(text)));
    }
    return SX_OK;
}

static enum sx_status add_prompt(struct reader *r, const char *option, const char *text)
{
    SX_TRY(want_family(r, SX_MODEL_GPT_NEOX, option));
    if (!*text)
        return sx_fail(r->err, SX_ERR_USAGE, "%s: --%s is empty: give at least one character",
                       r->command, option);
    return add_text(r, NULL, text, strlen(text));
}

static enum sx_status add_prompts(struct reader *r, const char *option,
                                  const struct sx_value *texts)
{
    for (size_t i = 0; i < sx_value_count(texts); i++)
        SX_TRY(add_prompt(r, option, sx_value_string_or(sx_value_item(texts, i), "")));
    return SX_OK;
}

/* A whole file is one text. */
static enum sx_status add_text_file(struct reader *r, const char *path)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status = sx_text_file_read(path, &text, r->err);
    if (status == SX_OK)
        status = add_prompt(r, "text-file", text.data);
    sx_str_release(&text);
    return status;
}

static enum sx_status add_prompts_file(struct reader *r, const char *path)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status = sx_text_file_read(path, &text, r->err);
    char *p = text.data;
    for (char *line; status == SX_OK && (line = sx_text_next_line(&p));)
        if (!is_blank(line))
            status = add_prompt(r, "prompts-file", line);
    sx_str_release(&text);
    return status;
}

/* Records without a residue are passed over, and said. */
static enum sx_status add_fasta(struct reader *r, const char *path)
{
    struct sx_fasta *fasta = NULL;
    struct sx_fasta_record record;
    bool more = true;
    SX_TRY(want_family(r, SX_MODEL_ESM2, "fasta"));
    SX_TRY(sx_fasta_open(path, &fasta, r->err));
    enum sx_status status = SX_OK;
    while (status == SX_OK) {
        status = sx_fasta_next(fasta, &record, &more, r->err);
        if (status != SX_OK || !more)
            break;
        if (record.length == 0)
            sx_model_inputs_warn(r->inputs, "%s: no residues; left out", record.name);
        else
            status = add_text(r, record.name, record.sequence, record.length);
    }
    sx_fasta_close(fasta);
    return status;
}

/* --- ids -------------------------------------------------------------------------------------- */

static enum sx_status check_id(const struct reader *r, int64_t id, const char *where)
{
    if (id < 0 || (uint64_t)id >= r->info->vocab)
        return sx_fail(r->err, SX_ERR_USAGE, "%s: id %" PRId64 ": the vocabulary has 0 to %" PRIu64,
                       where, id, r->info->vocab - 1);
    return SX_OK;
}

/* Numbers separated by commas or white space; brackets of a list are fine. */
static enum sx_status add_ids(struct reader *r, const char *text, const char *where)
{
    struct sx_ids ids = {0};
    size_t room = 0;
    enum sx_status status = SX_OK;
    for (const char *p = text + strspn(text, ", \t[]"); *p && status == SX_OK;
         p += strspn(p, ", \t[]")) {
        char *end;
        const long long id = strtoll(p, &end, 10);
        if (end == p || (*end && !strchr(", \t[]", *end))) {
            status = sx_fail(r->err, SX_ERR_USAGE, "%s: '%.20s' is no token id", where, p);
            break;
        }
        status = check_id(r, id, where);
        SX_GROW(ids.ids, room, ids.n + 1);
        ids.ids[ids.n++] = (int32_t)id;
        p = end;
    }
    if (status == SX_OK && ids.n == 0)
        status = sx_fail(r->err, SX_ERR_USAGE, "%s: no ids", where);
    if (status == SX_OK)
        add(r, NULL, &ids);
    sx_ids_release(&ids);
    return status;
}

static enum sx_status add_npy_rows(struct reader *r, const char *path, const int64_t *all,
                                   uint64_t rows, uint64_t columns)
{
    for (uint64_t row = 0; row < rows; row++) {
        struct sx_ids ids = {.ids = sx_xcalloc((size_t)columns, sizeof *ids.ids),
                             .n = (size_t)columns};
        enum sx_status status = SX_OK;
        for (uint64_t i = 0; i < columns && status == SX_OK; i++) {
            status = check_id(r, all[row * columns + i], path);
            ids.ids[i] = (int32_t)all[row * columns + i];
        }
        if (status == SX_OK)
            add(r, NULL, &ids);
        sx_ids_release(&ids);
        SX_TRY(status);
    }
    return SX_OK;
}

/* One sequence [T], or one a row [N,T]. */
static enum sx_status add_npy(struct reader *r, const char *path)
{
    struct sx_tensor_file *file = NULL;
    SX_TRY(sx_tensor_file_open(path, &file, r->err));
    const struct sx_tensor_info *info = sx_tensor_file_info(file, 0);
    enum sx_status status = SX_OK;
    int64_t *all = NULL;
    if (sx_tensor_file_count(file) != 1 || info->rank < 1 || info->rank > 2 || info->count == 0) {
        status = sx_fail(r->err, SX_ERR_SHAPE,
                         "%s: expected one array of ids, [tokens] or [sequences, tokens]", path);
    } else {
        all = sx_alloc_big((size_t)info->count, sizeof *all);
        status = all ? sx_tensor_file_read_i64(file, 0, all, r->err)
                     : sx_fail(r->err, SX_ERR_NOMEM, "%s: no memory for the ids", path);
    }
    if (status == SX_OK)
        status = add_npy_rows(r, path, all, info->rank == 2 ? info->shape[0] : 1,
                              info->shape[info->rank - 1]);
    sx_free(all);
    sx_tensor_file_close(file);
    return status;
}

static enum sx_status add_ids_file(struct reader *r, const char *path)
{
    const size_t len = strlen(path);
    if (len > 4 && strcmp(path + len - 4, ".npy") == 0)
        return add_npy(r, path);
    struct sx_str text = SX_STR_INIT;
    enum sx_status status = sx_text_file_read(path, &text, r->err);
    char *p = text.data;
    size_t number = 0;
    for (char *line; status == SX_OK && (line = sx_text_next_line(&p));) {
        char where[300];
        snprintf(where, sizeof where, "%.250s:%zu", path, ++number);
        if (!is_blank(line))
            status = add_ids(r, line, where);
    }
    sx_str_release(&text);
    return status;
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool declared(const struct sx_value *args, const char *name)
{
    return sx_value_get(args, name) != NULL;
}

static enum sx_status add_all(struct reader *r, const struct sx_value *args)
{
    SX_TRY(add_sequences(r, sx_value_get(args, "seq")));
    if (declared(args, "fasta"))
        SX_TRY(add_fasta(r, sx_arg_text(args, "fasta")));
    SX_TRY(add_prompts(r, "prompt", sx_value_get(args, "prompt")));
    SX_TRY(add_prompts(r, "text", sx_value_get(args, "text")));
    if (declared(args, "text-file"))
        SX_TRY(add_text_file(r, sx_arg_text(args, "text-file")));
    if (declared(args, "prompts-file"))
        SX_TRY(add_prompts_file(r, sx_arg_text(args, "prompts-file")));
    const struct sx_value *ids = sx_value_get(args, "ids");
    for (size_t i = 0; i < sx_value_count(ids); i++)
        SX_TRY(add_ids(r, sx_value_string_or(sx_value_item(ids, i), ""), "--ids"));
    if (declared(args, "ids-file"))
        SX_TRY(add_ids_file(r, sx_arg_text(args, "ids-file")));
    return SX_OK;
}

enum sx_status sx_model_inputs_read(const char *command, const struct sx_value *args,
                                    const struct sx_model *model, struct sx_model_inputs *inputs,
                                    struct sx_error *err)
{
    struct reader r = {command, model, sx_model_info(model), inputs, err};
    SX_TRY(add_all(&r, args));
    if (inputs->n == 0)
        return sx_fail(err, SX_ERR_USAGE, "%s: nothing to read: give %s or --ids", command,
                       r.info->family == SX_MODEL_ESM2 ? "--seq, --fasta"
                       : strcmp(command, "score") == 0 ? "--text, --text-file"
                                                       : "--prompt");
    return SX_OK;
}

/* --- the model -------------------------------------------------------------------------------- */

enum sx_status sx_model_use(const struct sx_value *args, struct sx_model **model,
                            struct sx_runner **runner, struct sx_error *err)
{
    const struct sx_model_options options = {
        .rope_exact = sx_value_bool_or(sx_value_get(args, "rope-exact"), false)};
    SX_TRY(sx_model_open(sx_arg_text(args, "model"), &options, model, err));
    *runner = sx_runner_new(*model, sx_blas_threads());
    return SX_OK;
}

enum sx_status sx_model_must_be(const struct sx_model *model, enum sx_model_family family,
                                const char *command, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    if (info->family == family)
        return SX_OK;
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: works with %s, and %s is %s", command,
                   sx_model_family_name(family), info->name, sx_model_family_name(info->family));
}

enum sx_status sx_model_must_predict(const struct sx_model *model, const char *command,
                                     struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    if (info->has_lm_head)
        return SX_OK;
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s has no output head, so there are no logits",
                   command, info->path);
}

enum sx_status sx_model_must_fit(const struct sx_value *args, const struct sx_model *model,
                                 const size_t *lengths, size_t n, uint64_t kept, const char *advice,
                                 struct sx_error *err)
{
    const double limit = sx_value_real_or(sx_value_get(args, "max-memory"), 2);
    const double need = ((double)kept + (double)sx_pass_bytes(model, lengths, n)) / GIB;
    if (need <= limit)
        return SX_OK;
    return sx_fail(err, SX_ERR_NOMEM, "this needs %.2f GiB, and --max-memory is %.3g: %s", need,
                   limit, advice);
}

/* --- numbers and names ------------------------------------------------------------------------ */

void sx_softmax_row(const float *logits, size_t first, size_t n, double *p, double *log_total)
{
    double max = -INFINITY;
    double total = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)logits[first + i]);
    for (size_t i = 0; i < n; i++)
        total += p[i] = exp((double)logits[first + i] - max);
    for (size_t i = 0; i < n; i++)
        p[i] /= total;
    if (log_total)
        *log_total = max + log(total);
}

bool sx_is_residue(int32_t id)
{
    return id >= SX_ESM_FIRST_RESIDUE && id <= SX_ESM_LAST_RESIDUE;
}

bool sx_is_amino_acid(int32_t id)
{
    enum { LAST_AMBIGUOUS = SX_ESM_X + 4 }; /* X B U Z O */
    return id >= SX_ESM_FIRST_RESIDUE && id <= LAST_AMBIGUOUS;
}

void sx_token_text(const struct sx_model *model, int32_t id, char *buf, size_t size)
{
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(model);
    struct sx_str text = SX_STR_INIT;
    if (tokenizer && sx_token_name(tokenizer, id)) {
        sx_detokenize(tokenizer, &id, 1, &text);
        snprintf(buf, size, "%s", text.data);
        if (!sx_utf8_valid(buf, strlen(buf)))
            snprintf(buf, size, "%s", sx_token_name(tokenizer, id));
    } else {
        snprintf(buf, size, "#%d", id);
    }
    sx_str_release(&text);
}
