#include "measure_scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/names.h"
#include "sextant/run/command.h"

/* --- what is asked ------------------------------------------------------------------------------
 */

enum sx_status sx_scan_text(const char *command, const char *option, const struct sx_model *model,
                            const char *text, struct sx_ids *ids, struct sx_value **warnings,
                            struct sx_error *err)
{
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(model);
    size_t unknown = 0;
    if (!tokenizer)
        return sx_fail(err, SX_ERR_NOTFOUND,
                       "%s: no tokenizer.json beside the weights, so text cannot be read",
                       sx_model_info(model)->path);
    if (!text || !text[strspn(text, " \t\r\n")])
        return sx_fail(err, SX_ERR_USAGE, "%s: --%s is empty: give at least one residue", command,
                       option);
    SX_TRY(sx_tokenize(tokenizer, text, strlen(text), NULL, ids, &unknown, err));
    if (ids->n == 0)
        return sx_fail(err, SX_ERR_USAGE, "%s: --%s has no tokens", command, option);
    if (unknown > 0 && warnings) {
        struct sx_str warning = SX_STR_INIT;
        sx_str_printf(&warning, "--%s: ", option);
        sx_tokenize_warning(tokenizer, text, strlen(text), &warning);
        if (!*warnings)
            *warnings = sx_value_list();
        sx_value_append(*warnings, sx_value_string(warning.data));
        sx_str_release(&warning);
    }
    return SX_OK;
}

enum sx_status sx_scan_token(const char *command, const struct sx_value *args,
                             const struct sx_model *model, const int32_t *ids, size_t n,
                             size_t *token, struct sx_error *err)
{
    const bool protein = sx_model_info(model)->family == SX_MODEL_ESM2;
    const int64_t given = sx_value_int_or(sx_value_get(args, "token"), -1);
    *token = given >= 0 ? (size_t)given : protein ? 0 : n - 1;
    while (given < 0 && protein && *token < n && ids[*token] != SX_ESM_MASK)
        ++*token;
    if (given < 0 && *token >= n)
        return sx_fail(err, SX_ERR_USAGE,
                       "%s: no <mask> in the sequence, so there is nothing to measure: write it in "
                       "place of a residue, or give --token",
                       command);
    if (*token >= n)
        return sx_fail(err, SX_ERR_USAGE, "%s: --token %zu, but the last one is %zu", command,
                       *token, n - 1);
    return SX_OK;
}

static enum sx_status find_token(const char *command, const struct sx_model *model,
                                 const char *option, const char *name, int32_t *id,
                                 struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    const struct sx_tokenizer *tokenizer = sx_model_tokenizer(model);
    *id = tokenizer ? sx_token_find(tokenizer, name) : -1;
    if (*id < 0 || (uint64_t)*id >= info->vocab)
        return sx_fail(err, SX_ERR_USAGE, "%s: --%s: '%.40s' is no token of %s", command, option,
                       name, info->name);
    return SX_OK;
}

enum sx_status sx_scan_metric(const char *command, const struct sx_value *args,
                              const struct sx_model *model, const int32_t *ids, size_t n,
                              size_t token, struct sx_metric *metric, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(model);
    const char *target = sx_arg_text(args, "target"), *against = sx_arg_text(args, "against");
    const char *name = sx_arg_text(args, "metric");
    enum sx_metric_kind kind = SX_METRIC_CENTRED;
    int32_t id = info->family == SX_MODEL_ESM2 ? SX_ESM_M : token + 1 < n ? ids[token + 1] : -1;
    int32_t other = -1;
    if (name && !sx_metric_find(name, &kind))
        return sx_fail(err, SX_ERR_USAGE, "%s: --metric %.40s is not known", command, name);
    if (target)
        SX_TRY(find_token(command, model, "target", target, &id, err));
    if (against)
        SX_TRY(find_token(command, model, "against", against, &other, err));
    if (id < 0 && kind != SX_METRIC_ENTROPY)
        return sx_fail(err, SX_ERR_USAGE,
                       "%s: nothing follows token %zu, so give the token to follow: --target",
                       command, token);
    *metric = sx_metric_of_model(info, kind, id, other);
    return sx_metric_check(metric, info->vocab, err);
}

void sx_scan_what(const struct sx_grid_request *request, char *buf, size_t size)
{
    const bool knockout = request->how == SX_HOW_KNOCKOUT;
    bool told = false;
    for (int i = 0; i < SX_GRID_COUNT; i++)
        told |= sx_grid_site((enum sx_grid)i) == request->site;
    if (request->how == SX_HOW_PATCH)
        snprintf(buf, size, "patching clean into corrupt");
    else
        snprintf(buf, size, "%s%s%s%s", sx_how_name(request->how), knockout ? "" : " ablation",
                 told ? "" : " of ", told ? "" : sx_site_name(request->site));
}

bool sx_scan_all_tokens(enum sx_site site)
{
    return site != SX_SITE_QKV && site != SX_SITE_BAND;
}

/* --- document -----------------------------------------------------------------------------------
 */

static const char *column_axis(enum sx_site site)
{
    switch (site) {
    case SX_SITE_RESID:
        return "token";
    case SX_SITE_EDGE:
        return "key";
    case SX_SITE_QKV:
        return "part";
    case SX_SITE_BAND:
        return "band";
    case SX_SITE_BLOCK:
    case SX_SITE_ATTN:
    case SX_SITE_MLP:
        return "block";
    case SX_SITE_HEAD:
    case SX_SITE_BOS_VALUE:
    case SX_SITE_BOS_KEY:
    case SX_SITE_BOS_EDGE:
    case SX_SITE_COUNT:
        break;
    }
    return "head";
}

static void column_label(const struct sx_scan_told *told, size_t column, char *buf, size_t size)
{
    static const char *const parts[] = {"q", "k", "v"};
    switch (told->request->site) {
    case SX_SITE_RESID:
    case SX_SITE_EDGE:
        sx_token_text(told->model, told->request->base.ids[column], buf, size);
        return;
    case SX_SITE_QKV:
        snprintf(buf, size, "%s%zu", parts[column % 3], column / 3);
        return;
    case SX_SITE_ATTN:
        snprintf(buf, size, "attn");
        return;
    case SX_SITE_MLP:
        snprintf(buf, size, "mlp");
        return;
    case SX_SITE_BLOCK:
        snprintf(buf, size, "%s", column ? "mlp" : "attn");
        return;
    default:
        snprintf(buf, size, "%zu", column);
    }
}

static void row_label(const struct sx_scan_told *told, size_t row, char *buf, size_t size)
{
    if (row == sx_model_info(told->model)->n_layers)
        snprintf(buf, size, "out");
    else
        snprintf(buf, size, "%zu", row);
}

static struct sx_value *axis(const struct sx_scan_told *told, bool of_rows)
{
    const struct sx_scan_result *result = told->result;
    struct sx_value *map = sx_value_map();
    struct sx_value *labels = sx_value_list();
    char label[32];
    sx_document_text(map, "name", of_rows ? "layer" : column_axis(told->request->site));
    for (size_t i = 0; i < (of_rows ? result->rows : result->columns); i++) {
        (of_rows ? row_label : column_label)(told, i, label, sizeof label);
        sx_value_append(labels, sx_value_string(label));
    }
    sx_value_set(map, "labels", labels);
    return map;
}

enum content { EFFECTS, VALUES, SPREAD };

static double content_of(const struct sx_scan_told *told, enum content what, size_t cell)
{
    return what == EFFECTS  ? sx_scan_effect(told->result, cell)
           : what == VALUES ? (double)told->result->value[cell]
                            : told->spread[cell];
}

static struct sx_value *matrix(const struct sx_scan_told *told, enum content what)
{
    struct sx_value *rows = sx_value_list();
    for (size_t r = 0; r < told->result->rows; r++) {
        struct sx_value *row = sx_value_append(rows, sx_value_list());
        for (size_t c = 0; c < told->result->columns; c++)
            sx_value_append(row,
                            sx_value_real(content_of(told, what, r * told->result->columns + c)));
    }
    return rows;
}

static struct sx_value *table(const struct sx_scan_told *told)
{
    struct sx_value *rows = sx_value_list();
    const size_t columns = told->result->columns;
    char label[32];
    for (size_t cell = 0; cell < told->result->rows * columns; cell++) {
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_document_int(row, "layer", (int64_t)(cell / columns));
        sx_document_int(row, column_axis(told->request->site), (int64_t)(cell % columns));
        column_label(told, cell % columns, label, sizeof label);
        sx_document_text(row, "label", label);
        sx_document_real(row, "value", content_of(told, VALUES, cell), "not measured");
        sx_document_real(row, "effect", content_of(told, EFFECTS, cell), "not measured");
        if (told->spread)
            sx_document_real(row, "sd", told->spread[cell], "one seed");
    }
    return rows;
}

static void token_name(const struct sx_scan_told *told, struct sx_value *document, const char *key,
                       int32_t id)
{
    char name[64];
    if (id < 0)
        return;
    sx_token_text(told->model, id, name, sizeof name);
    sx_document_text(document, key, name);
}

struct sx_value *sx_scan_document(const struct sx_scan_told *told)
{
    const struct sx_scan_result *result = told->result;
    struct sx_value *document = sx_document_new();
    struct sx_value *axes = sx_value_map();
    sx_document_text(document, "model", sx_model_info(told->model)->name);
    sx_document_text(document, "site", sx_site_name(told->request->site));
    sx_document_text(document, "how", sx_how_name(told->request->how));
    sx_document_text(document, "metric", sx_metric_name(result->metric));
    sx_document_text(document, "unit", sx_metric_unit(result->metric));
    token_name(told, document, "target", result->target);
    token_name(told, document, "against", result->against);
    sx_document_int(document, "token", (int64_t)result->token);
    sx_document_real(document, "clean", result->clean, "not measured");
    if (!result->ablation) {
        sx_document_real(document, "corrupt", result->corrupt, "not measured");
        sx_value_set(document, "normalised", sx_value_bool(result->normalised));
    }
    if (told->n_seeds > 1)
        sx_document_int(document, "seeds", (int64_t)told->n_seeds);
    if (!isnan(told->together))
        sx_document_real(document, "together", told->together, NULL);
    sx_value_set(axes, "rows", axis(told, true));
    sx_value_set(axes, "columns", axis(told, false));
    sx_value_set(document, "axes", axes);
    sx_value_set(document, "grid", matrix(told, EFFECTS));
    sx_value_set(document, "values", matrix(told, VALUES));
    if (told->spread)
        sx_value_set(document, "sd", matrix(told, SPREAD));
    sx_value_set(document, "rows", table(told));
    sx_value_set(document, "seconds", sx_value_real(told->seconds));
    return document;
}

/* --- for people ---------------------------------------------------------------------------------
 */

enum { NUMBERS_FIT = 10, LARGEST = 10 };

static double at(const struct sx_value *grid, size_t r, size_t c)
{
    return sx_value_real_or(sx_value_item(sx_value_item(grid, r), c), NAN);
}

static const char *label_at(const struct sx_value *labels, size_t i)
{
    return sx_value_string_or(sx_value_item(labels, i), "");
}

/* Tenths of the largest: 1-9 and 0 for ten of them, letters for what is negative. */
static char glyph(double effect, double largest)
{
    if (!isfinite(effect))
        return '?';
    const int tenths = largest > 0 ? (int)lround(10 * fabs(effect) / largest) : 0;
    return tenths == 0 ? '.' : effect > 0 ? "?1234567890"[tenths] : "?abcdefghij"[tenths];
}

static void print_cells(const struct sx_value *grid, size_t row, size_t columns, double largest,
                        struct sx_str *out)
{
    for (size_t c = 0; c < columns; c++) {
        if (columns <= NUMBERS_FIT)
            sx_str_printf(out, " %9.4f", at(grid, row, c));
        else
            sx_str_append_char(out, glyph(at(grid, row, c), largest));
    }
}

static void print_head(const struct sx_value *labels, size_t columns, struct sx_str *out)
{
    sx_str_append(out, "layer ");
    for (size_t c = 0; c < columns; c++) {
        if (columns <= NUMBERS_FIT)
            sx_str_printf(out, " %9.9s", label_at(labels, c));
        else
            sx_str_append_char(out, strlen(label_at(labels, c)) == 1 ? *label_at(labels, c)
                                    : c % 10 == 0                    ? '|'
                                                                     : ' ');
    }
    sx_str_append_char(out, '\n');
}

struct cell {
    double effect;
    size_t row, column;
};

static int by_size(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    if (fabs(x->effect) != fabs(y->effect))
        return fabs(x->effect) < fabs(y->effect) ? 1 : -1;
    return x->row != y->row ? (x->row > y->row) - (x->row < y->row)
                            : (x->column > y->column) - (x->column < y->column);
}

static void print_largest(const struct sx_value *document, const struct cell *cells, size_t n,
                          struct sx_str *out)
{
    const struct sx_value *axes = sx_value_get(document, "axes");
    const struct sx_value *columns = sx_value_get(axes, "columns");
    const struct sx_value *labels = sx_value_get(columns, "labels");
    const struct sx_value *values = sx_value_get(document, "values");
    const char *name = sx_value_string_or(sx_value_get(columns, "name"), "");
    sx_str_printf(out, "\nlargest\nlayer  %-5s          effect       value\n", name);
    for (size_t i = 0; i < n && i < LARGEST; i++) {
        const char *label = label_at(labels, cells[i].column);
        const bool counts = *label >= '0' && *label <= '9'; /* heads: their number once is enough */
        sx_str_printf(out, "%5s  %5zu %-6.6s  %+9.4f  %10.4f\n",
                      label_at(sx_value_get(sx_value_get(axes, "rows"), "labels"), cells[i].row),
                      cells[i].column, counts ? "" : label, cells[i].effect,
                      at(values, cells[i].row, cells[i].column));
    }
}

static void print_summary(const struct sx_value *document, struct sx_str *out)
{
    const bool ablation = !sx_value_get(document, "corrupt");
    const char *target = sx_value_string_or(sx_value_get(document, "target"), NULL);
    const char *side = sx_value_string_or(sx_value_get(document, "side"), NULL);
    sx_str_printf(out, "%s of %s", sx_value_string_or(sx_value_get(document, "how"), ""),
                  sx_value_string_or(sx_value_get(document, "site"), ""));
    if (side)
        sx_str_printf(out, " (%s)", side);
    sx_str_printf(out, ", %s", sx_value_string_or(sx_value_get(document, "metric"), ""));
    if (target)
        sx_str_printf(out, " of %s", target);
    sx_str_printf(out, " at token %lld\n",
                  (long long)sx_value_int_or(sx_value_get(document, "token"), 0));
    sx_str_printf(out, "clean %.4f", sx_value_real_or(sx_value_get(document, "clean"), NAN));
    if (!ablation)
        sx_str_printf(out, ", corrupt %.4f",
                      sx_value_real_or(sx_value_get(document, "corrupt"), NAN));
    if (sx_value_get(document, "together"))
        sx_str_printf(out, ", all cells at once %.4f",
                      sx_value_real_or(sx_value_get(document, "together"), NAN));
    sx_str_printf(out, "; shown: %s\n\n",
                  ablation ? "the difference from clean"
                  : sx_value_bool_or(sx_value_get(document, "normalised"), false)
                      ? "the part of clean - corrupt that is restored"
                      : "the difference from corrupt (clean and corrupt are too near)");
}

void sx_scan_print(const struct sx_value *document, struct sx_str *out)
{
    const struct sx_value *grid = sx_value_get(document, "grid");
    const struct sx_value *axes = sx_value_get(document, "axes");
    const size_t rows = sx_value_count(grid), columns = sx_value_count(sx_value_item(grid, 0));
    struct cell *cells = sx_xcalloc(rows * columns + 1, sizeof *cells);
    size_t n = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            if (isfinite(at(grid, r, c)))
                cells[n++] = (struct cell){at(grid, r, c), r, c};
    qsort(cells, n, sizeof *cells, by_size);
    const double largest = n ? fabs(cells[0].effect) : 0;
    sx_print_warnings(document, out);
    print_summary(document, out);
    print_head(sx_value_get(sx_value_get(axes, "columns"), "labels"), columns, out);
    for (size_t r = 0; r < rows; r++) {
        sx_str_printf(out, "%5s ", label_at(sx_value_get(sx_value_get(axes, "rows"), "labels"), r));
        print_cells(grid, r, columns, largest, out);
        sx_str_append_char(out, '\n');
    }
    if (columns > NUMBERS_FIT)
        sx_str_printf(out, "      1-9, 0: tenths of %.4f; a-j: the same, negative\n", largest);
    print_largest(document, cells, n, out);
    sx_free(cells);
}
