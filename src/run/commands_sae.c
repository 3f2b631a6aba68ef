/* info, compare, convert, encode: one SAE at a time, or two. */
#include "commands_private.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "document.h"
#include "matrix.h"
#include "model_describe.h"
#include "result_file.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/io/h5.h"
#include "sextant/io/tensor_write.h"
#include "sextant/run/workspace.h"
#include "sextant/sae/sae.h"

static bool ends_with(const char *s, const char *tail)
{
    const size_t n = strlen(s);
    const size_t m = strlen(tail);
    return n > m && strcasecmp(s + n - m, tail) == 0;
}

/* --- info ---------------------------------------------------------------------------------------
 */

/* Of an answer the answer itself too. */
static enum sx_status describe_run(const char *path, struct sx_value **out, struct sx_error *err)
{
    struct sx_value *document = NULL;
    SX_TRY(sx_run_describe(path, out, err));
    if (strcmp(sx_value_string_or(sx_value_get(*out, "kind"), ""), "result") != 0)
        return SX_OK;
    const enum sx_status status = sx_result_file_read(path, &document, err);
    if (status == SX_OK) {
        sx_value_set(*out, "answer", document);
        return SX_OK;
    }
    sx_value_free(*out);
    *out = NULL;
    return status;
}

static enum sx_status describe_entry(const struct sx_entry *entry, struct sx_value **out,
                                     struct sx_error *err)
{
    if (entry->kind == SX_ENTRY_MODEL)
        return sx_model_describe(entry->path, out, err);
    if (entry->kind == SX_ENTRY_RUN)
        return describe_run(entry->path, out, err);
    struct sx_sae *sae = NULL;
    struct sx_sae_stats stats = {0};
    enum sx_status status = sx_sae_load(entry->path, &sae, err);
    if (status == SX_OK) {
        /* Weights that are not finite have headers worth showing all the same. */
        struct sx_error why = {0};
        const bool measured = sx_sae_measure(sae, &stats, &why) == SX_OK;
        *out = sx_sae_describe(&sae->info, measured ? &stats : NULL);
        if (measured)
            sx_document_int(*out, "dead_exact", (int64_t)stats.dead_exact);
        else
            sx_document_text(*out, "measure_error", why.message);
    }
    sx_sae_unref(sae);
    return status;
}

static struct sx_value *describe_problem(const struct sx_entry *entry, const struct sx_error *why)
{
    struct sx_value *problem = sx_value_map();
    sx_document_text(problem, "path", entry->path);
    sx_document_text(problem, "error", why->message);
    return problem;
}

/* A path that was named must be an SAE or a model; one that was found in a folder may be broken. */
static bool was_named(const struct sx_value *paths, const struct sx_entry *entry)
{
    const size_t n = strlen(entry->path);
    for (size_t i = 0; i < sx_value_count(paths); i++) {
        const char *path = sx_value_string_or(sx_value_item(paths, i), "");
        /* The scan leaves out slashes at the end of a folder's name. */
        if (strncmp(path, entry->path, n) == 0 && strspn(path + n, "/") == strlen(path + n))
            return true;
    }
    return false;
}

/* Files that can be read and, with the reason in `error`, those that cannot; *read counts the
 * former. */
static enum sx_status info_entries(struct sx_job *job, const struct sx_workspace *workspace,
                                   struct sx_value *files, size_t *read, struct sx_error *err)
{
    const struct sx_value *paths = sx_value_get(job->args, "path");
    for (size_t i = 0; i < workspace->n_entries; i++) {
        const struct sx_entry *entry = &workspace->entries[i];
        struct sx_value *described = NULL;
        struct sx_error why = entry->problem;
        SX_TRY(sx_task_step(&job->task, i, workspace->n_entries));
        const bool ours = entry->kind == SX_ENTRY_SAE || entry->kind == SX_ENTRY_MODEL ||
                          entry->kind == SX_ENTRY_RUN;
        if (ours && describe_entry(entry, &described, &why) == SX_OK) {
            sx_value_append(files, described);
            ++*read;
            continue;
        }
        if (!ours && entry->kind != SX_ENTRY_PROBLEM)
            continue;
        if (was_named(paths, entry))
            return sx_fail(err, why.status, "%s", why.message);
        sx_value_append(files, describe_problem(entry, &why));
    }
    return SX_OK;
}

/* The paths of a repeated argument, borrowed from args; the caller frees the array. */
static const char **path_array(const struct sx_value *list, size_t *n)
{
    *n = sx_value_count(list);
    const char **paths = sx_xcalloc(*n + 1, sizeof *paths);
    for (size_t i = 0; i < *n; i++)
        paths[i] = sx_value_string_or(sx_value_item(list, i), "");
    return paths;
}

static enum sx_status nothing_read(const struct sx_workspace *workspace,
                                   const struct sx_value *files, struct sx_error *err)
{
    const size_t n = sx_value_count(files);
    if (n == 0)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: no SAE here and no model", workspace->root);
    const char *why = sx_value_string_or(sx_value_get(sx_value_item(files, 0), "error"), "");
    if (n == 1)
        return sx_fail(err, SX_ERR_FORMAT, "%s", why);
    return sx_fail(err, SX_ERR_FORMAT, "%s (and %zu more files that cannot be read)", why, n - 1);
}

/* One flat line a file, for --csv: from → column. */
static struct sx_value *info_rows(const struct sx_value *files)
{
    static const char *const columns[][2] = {
        {"path", "path"},
        {"format", "format"},
        {"arch", "arch"},
        {"activation_dim", "activation_dim"},
        {"dict_size", "dict_size"},
        {"k", "k"},
        {"seed", "seed"},
        {"penalty", "penalty"},
        {"lambda", "lambda"},
        {"decoder_constraint", "decoder_constraint"},
        {"hook", "hook"},
        {"encoder_norm.mean", "encoder_norm_mean"},
        {"decoder_norm.mean", "decoder_norm_mean"},
        {"alignment.mean", "alignment_mean"},
        {"alignment.median", "alignment_median"},
        {"alignment.count_over_0.95", "alignment_over_0.95"},
        {"dead", "dead"},
        {"dead_tiny", "dead_tiny"},
        {"family", "family"},
        {"layers", "layers"},
        {"d_model", "d_model"},
        {"heads", "heads"},
        {"vocab", "vocab"},
        {"dtype", "dtype"},
        {"parameters", "parameters"},
        {"error", "error"},
    };
    struct sx_value *rows = sx_value_list();
    for (size_t i = 0; i < sx_value_count(files); i++) {
        const struct sx_value *file = sx_value_item(files, i);
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            const char *dot = strchr(columns[c][0], '.');
            char *head = sx_xstrndup(columns[c][0],
                                     dot ? (size_t)(dot - columns[c][0]) : strlen(columns[c][0]));
            const struct sx_value *value = sx_value_get(file, head);
            if (dot)
                value = sx_value_get(value, dot + 1);
            const bool known = value && (sx_value_kind(value) != SX_VALUE_REAL ||
                                         isfinite(sx_value_real_or(value, NAN)));
            sx_value_set(row, columns[c][1], known ? sx_value_dup(value) : sx_value_null());
            sx_free(head);
        }
        sx_document_int(row, "warnings", (int64_t)sx_value_count(sx_value_get(file, "warnings")));
    }
    return rows;
}

SX_RUN(info)
{
    size_t read = 0;
    size_t n = 0;
    const char **paths = path_array(sx_value_get(job->args, "path"), &n);
    struct sx_workspace workspace = {0};
    struct sx_value *document = sx_document_new();
    struct sx_value *files = sx_value_set(document, "files", sx_value_list());
    enum sx_status status = sx_workspace_scan(paths, n, &job->task, &workspace, err);
    if (status == SX_OK)
        status = info_entries(job, &workspace, files, &read, err);
    if (status == SX_OK && read == 0)
        status = nothing_read(&workspace, files, err);
    if (status == SX_OK) {
        sx_value_set(document, "rows", info_rows(files));
        job->document = document;
    } else {
        sx_value_free(document);
    }
    sx_workspace_release(&workspace);
    sx_free(paths);
    return status;
}

static void print_tensors(const struct sx_value *tensors, struct sx_str *out)
{
    for (size_t i = 0; i < sx_value_count(tensors); i++) {
        const struct sx_value *tensor = sx_value_item(tensors, i);
        const struct sx_value *shape = sx_value_get(tensor, "shape");
        sx_str_printf(out, "    %-28s %-5s [", sx_value_string_or(sx_value_get(tensor, "name"), ""),
                      sx_value_string_or(sx_value_get(tensor, "dtype"), ""));
        for (size_t d = 0; d < sx_value_count(shape); d++)
            sx_str_printf(out, "%s%lld", d ? ", " : "",
                          (long long)sx_value_int_or(sx_value_item(shape, d), 0));
        sx_str_append(out, "]");
        const struct sx_value *strides = sx_value_get(tensor, "strides");
        if (!sx_value_bool_or(sx_value_get(tensor, "contiguous"), true)) {
            sx_str_append(out, " strides (");
            for (size_t d = 0; d < sx_value_count(strides); d++)
                sx_str_printf(out, "%s%lld", d ? ", " : "",
                              (long long)sx_value_int_or(sx_value_item(strides, d), 0));
            sx_str_append(out, ")");
        }
        sx_str_append_char(out, '\n');
    }
}

/* Every scalar that describes the file, nested ones by their full name; lists of maps elsewhere. */
static void print_fields(const struct sx_value *map, const char *prefix, struct sx_str *out)
{
    for (size_t i = 0; i < sx_value_count(map); i++) {
        const struct sx_value *value = sx_value_item(map, i);
        const char *key = sx_value_key(map, i);
        const enum sx_value_kind kind = sx_value_kind(value);
        if (strcmp(key, "path") == 0 || strcmp(key, "warnings") == 0 || strcmp(key, "dead") == 0 ||
            strcmp(key, "tensors") == 0 || strcmp(key, "answer") == 0 ||
            (strlen(key) > 4 && ends_with(key, "_why")))
            continue;
        char *name = sx_xasprintf("%s%s", prefix, key);
        if (kind == SX_VALUE_MAP) {
            char *deeper = sx_xasprintf("%s.", name);
            print_fields(value, deeper, out);
            sx_free(deeper);
        } else if (kind != SX_VALUE_LIST || sx_value_count(value) > 0) {
            sx_print_field(out, name, value);
        }
        sx_free(name);
    }
}

/* As the command itself prints it; a file of a stranger may name any command. */
static void print_answer(const struct sx_value *file, struct sx_str *out)
{
    const struct sx_value *answer = sx_value_get(file, "answer");
    const struct sx_command *command =
        sx_command_find(sx_value_string_or(sx_value_get(file, "command"), ""));
    if (!answer || !command || !(command->flags & SX_CMD_RESULT) || !command->print)
        return;
    struct sx_str text = SX_STR_INIT;
    command->print(answer, &text);
    char *clean = sx_text_clean_lines(text.data ? text.data : "", text.len);
    sx_str_printf(out, "\n%s", clean);
    sx_free(clean);
    sx_str_release(&text);
}

SX_PRINT(info)
{
    const struct sx_value *files = sx_value_get(document, "files");
    for (size_t i = 0; i < sx_value_count(files); i++) {
        const struct sx_value *file = sx_value_item(files, i);
        const char *problem = sx_value_string_or(sx_value_get(file, "error"), NULL);
        if (problem) {
            sx_str_printf(out, "%s! %s\n", i ? "\n" : "", problem);
            continue;
        }
        sx_str_printf(out, "%s%s\n", i ? "\n" : "",
                      sx_value_string_or(sx_value_get(file, "path"), ""));
        print_fields(file, "", out);
        print_tensors(sx_value_get(file, "tensors"), out);
        const struct sx_value *warnings = sx_value_get(file, "warnings");
        for (size_t w = 0; w < sx_value_count(warnings); w++)
            sx_str_printf(out, "  ! %s\n", sx_value_string_or(sx_value_item(warnings, w), ""));
        print_answer(file, out);
    }
}

/* --- compare ------------------------------------------------------------------------------------
 */

static struct sx_value *flat_shape(const struct sx_value *shape)
{
    struct sx_str text = SX_STR_INIT;
    for (size_t d = 0; d < sx_value_count(shape); d++)
        sx_str_printf(&text, "%s%lld", d ? "x" : "",
                      (long long)sx_value_int_or(sx_value_item(shape, d), 0));
    struct sx_value *flat = sx_value_string(text.data);
    sx_str_release(&text);
    return flat;
}

/* One flat line a tensor, for --csv. */
static struct sx_value *compare_rows(const struct sx_value *tensors)
{
    struct sx_value *rows = sx_value_list();
    for (size_t i = 0; i < sx_value_count(tensors); i++) {
        const struct sx_value *tensor = sx_value_item(tensors, i);
        const struct sx_value *max_abs = sx_value_get(tensor, "max_abs");
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_document_text(row, "tensor", sx_value_key(tensors, i));
        sx_value_set(row, "max_abs", max_abs ? sx_value_dup(max_abs) : sx_value_null());
        sx_value_set(row, "a_shape", flat_shape(sx_value_get(tensor, "a_shape")));
        sx_value_set(row, "b_shape", flat_shape(sx_value_get(tensor, "b_shape")));
    }
    return rows;
}

SX_RUN(compare)
{
    struct sx_sae *a = NULL;
    struct sx_sae *b = NULL;
    struct sx_value *compared = NULL;
    enum sx_status status = sx_sae_load(sx_arg_text(job->args, "a"), &a, err);
    if (status == SX_OK)
        status = sx_task_step(&job->task, 1, 3);
    if (status == SX_OK)
        status = sx_sae_load(sx_arg_text(job->args, "b"), &b, err);
    if (status == SX_OK)
        status = sx_task_step(&job->task, 2, 3);
    if (status == SX_OK)
        status = sx_sae_compare(a, b, &compared, err);
    if (status == SX_OK) {
        job->document = sx_document_new();
        for (size_t i = 0; i < sx_value_count(compared); i++)
            sx_value_set(job->document, sx_value_key(compared, i),
                         sx_value_dup(sx_value_item(compared, i)));
        sx_value_set(job->document, "rows", compare_rows(sx_value_get(job->document, "tensors")));
    }
    sx_value_free(compared);
    sx_sae_unref(a);
    sx_sae_unref(b);
    return status;
}

static void print_shape(const struct sx_value *shape, struct sx_str *out)
{
    sx_str_append(out, "[");
    for (size_t d = 0; d < sx_value_count(shape); d++)
        sx_str_printf(out, "%s%lld", d ? ", " : "",
                      (long long)sx_value_int_or(sx_value_item(shape, d), 0));
    sx_str_append(out, "]");
}

SX_PRINT(compare)
{
    const struct sx_value *tensors = sx_value_get(document, "tensors");
    sx_str_append(out, "tensor          max |a - b|   shapes\n");
    for (size_t i = 0; i < sx_value_count(tensors); i++) {
        const struct sx_value *tensor = sx_value_item(tensors, i);
        const struct sx_value *difference = sx_value_get(tensor, "max_abs");
        sx_str_printf(out, "%-14s ", sx_value_key(tensors, i));
        if (sx_value_kind(difference) == SX_VALUE_NULL)
            sx_str_append(out, "           -");
        else
            sx_str_printf(out, "%12.6g", sx_value_real_or(difference, 0));
        sx_str_append(out, "   ");
        print_shape(sx_value_get(tensor, "a_shape"), out);
        sx_str_append(out, " ");
        print_shape(sx_value_get(tensor, "b_shape"), out);
        sx_str_append_char(out, '\n');
    }
    sx_str_printf(out, "%s\n",
                  sx_value_bool_or(sx_value_get(document, "equal"), false) ? "equal" : "different");
}

/* --- convert ------------------------------------------------------------------------------------
 */

static const char *form_of(const struct sx_value *args)
{
    const char *form = sx_arg_text(args, "to");
    const char *path = sx_arg_text(args, "out");
    if (form)
        return form;
    return ends_with(path, ".h5") || ends_with(path, ".hdf5") ? "h5" : NULL;
}

static enum sx_status write_form(const struct sx_sae *sae, const char *form, const char *path,
                                 struct sx_error *err)
{
    if (strcmp(form, "h5") == 0)
        return sx_sae_write_h5(sae, path, NULL, err);
    if (strcmp(form, "saelens") == 0)
        return sx_sae_write_saelens(sae, path, err);
    if (strcmp(form, "sparsify") == 0)
        return sx_sae_write_sparsify(sae, path, err);
    return sx_sae_write_dictionary_learning(sae, path, err);
}

SX_RUN(convert)
{
    const char *path = sx_arg_text(job->args, "out");
    const char *form = form_of(job->args);
    if (!form)
        return sx_fail(err, SX_ERR_USAGE,
                       "convert: say --to saelens, sparsify or dictionary_learning for the folder "
                       "%s, or name a file that ends in .sae.h5",
                       path);
    struct sx_sae *sae = NULL;
    SX_TRY(sx_sae_load(sx_arg_text(job->args, "in"), &sae, err));
    enum sx_status status = sx_task_step(&job->task, 1, 2);
    if (status == SX_OK)
        status = write_form(sae, form, path, err);
    if (status == SX_OK) {
        job->document = sx_document_new();
        sx_document_text(job->document, "in", sx_arg_text(job->args, "in"));
        sx_document_text(job->document, "out", path);
        sx_document_text(job->document, "to", form);
    }
    sx_sae_unref(sae);
    return status;
}

SX_PRINT(convert)
{
    sx_str_printf(out, "%s: %s\n", sx_value_string_or(sx_value_get(document, "to"), ""),
                  sx_value_string_or(sx_value_get(document, "out"), ""));
}

/* --- encode -------------------------------------------------------------------------------------
 */

/* Rows of latents to acts [n,F]. */
static float *densify(const struct sx_sae_acts *acts, uint64_t f)
{
    size_t count;
    if (!sx_mul_size(acts->rows, f, &count))
        return NULL;
    float *dense = sx_calloc_big(count ? count : 1, sizeof *dense);
    for (uint64_t row = 0; dense && row < acts->rows; row++)
        for (uint64_t i = acts->indptr[row]; i < acts->indptr[row + 1]; i++)
            dense[row * f + acts->indices[i]] = acts->values[i];
    return dense;
}

static enum sx_status write_tensors(const char *path, const struct sx_tensor_out *tensors, size_t n,
                                    struct sx_error *err)
{
    if (ends_with(path, ".npz"))
        return sx_npz_write(path, tensors, n, err);
    struct sx_h5 *h5 = NULL;
    SX_TRY(sx_h5_create(path, &h5, err));
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < n && status == SX_OK; i++) {
        char *dataset = sx_xasprintf("/%s", tensors[i].name);
        status = sx_h5_write(h5, dataset, tensors[i].dtype, tensors[i].rank, tensors[i].shape,
                             tensors[i].data, 0, err);
        sx_free(dataset);
    }
    if (status == SX_OK)
        return sx_h5_commit(h5, err);
    sx_h5_close(h5);
    return status;
}

static enum sx_status write_latents(const struct sx_job *job, const struct sx_sae *sae,
                                    const struct sx_sae_acts *acts, const float *recon,
                                    struct sx_error *err)
{
    const uint64_t n = acts->rows;
    const uint64_t nnz = n ? acts->indptr[n] : 0;
    const uint64_t f = sae->info.dict_size;
    static const uint64_t nothing[1] = {0};
    struct sx_tensor_out tensors[4] = {
        {"recon", SX_DTYPE_F32, 2, {n, sae->info.activation_dim}, recon},
    };
    size_t count = 1;
    float *dense = NULL;
    if (sx_value_bool_or(sx_value_get(job->args, "dense"), false)) {
        dense = densify(acts, f);
        if (!dense)
            return sx_fail(err, SX_ERR_NOMEM,
                           "no memory for %llu x %llu latents; leave --dense away",
                           (unsigned long long)n, (unsigned long long)f);
        tensors[count++] = (struct sx_tensor_out){"acts", SX_DTYPE_F32, 2, {n, f}, dense};
    } else {
        /* As scipy.sparse.csr_matrix takes them. */
        tensors[count++] = (struct sx_tensor_out){
            "indptr", SX_DTYPE_I64, 1, {n + 1}, n ? (const void *)acts->indptr : nothing};
        tensors[count++] = (struct sx_tensor_out){
            "indices", SX_DTYPE_I32, 1, {nnz}, nnz ? (const void *)acts->indices : nothing};
        tensors[count++] = (struct sx_tensor_out){
            "values", SX_DTYPE_F32, 1, {nnz}, nnz ? (const void *)acts->values : nothing};
    }
    enum sx_status status = write_tensors(sx_arg_text(job->args, "out"), tensors, count, err);
    sx_free(dense);
    return status;
}

static struct sx_value *describe_fit(const struct sx_job *job, const struct sx_sae_fit *fit,
                                     uint64_t n)
{
    static const char why[] = "not defined for this input";
    struct sx_value *document = sx_document_new();
    sx_document_int(document, "n", (int64_t)n);
    sx_document_real(document, "l0", fit->l0, why);
    sx_document_real(document, "fvu", fit->fvu, "the input has no variance");
    sx_document_real(document, "mse", fit->mse, why);
    sx_document_real(document, "cosine", fit->cosine, why);
    sx_document_text(document, "out", sx_arg_text(job->args, "out"));
    return document;
}

static enum sx_status encode(struct sx_job *job, const struct sx_sae *sae,
                             const struct sx_matrix *input, struct sx_error *err)
{
    const uint64_t d = sae->info.activation_dim;
    if (input->columns != d)
        return sx_fail(err, SX_ERR_SHAPE, "%s: rows of %llu numbers, expected %llu",
                       sx_arg_text(job->args, "input"), (unsigned long long)input->columns,
                       (unsigned long long)d);
    struct sx_sae_acts acts = {0};
    struct sx_sae_fit fit = {0};
    float *recon = sx_alloc_big(input->rows, d * sizeof *recon);
    enum sx_status status =
        recon ? sx_sae_encode(sae, input->data, input->rows, &acts, recon, &job->task, err)
              : sx_fail(err, SX_ERR_NOMEM, "no memory for the reconstruction");
    if (status == SX_OK) {
        sx_sae_fit(input->data, recon, &acts, input->rows, d, &fit);
        status = write_latents(job, sae, &acts, recon, err);
    }
    if (status == SX_OK)
        job->document = describe_fit(job, &fit, input->rows);
    sx_free(recon);
    sx_sae_acts_release(&acts);
    return status;
}

SX_RUN(encode)
{
    const char *out = sx_arg_text(job->args, "out");
    if (!ends_with(out, ".npz") && !ends_with(out, ".h5") && !ends_with(out, ".hdf5"))
        return sx_fail(err, SX_ERR_USAGE, "encode: --out must end in .npz or .h5, not '%s'", out);
    struct sx_sae *sae = NULL;
    struct sx_matrix input = {0};
    enum sx_status status = sx_sae_load(sx_arg_text(job->args, "sae"), &sae, err);
    if (status == SX_OK)
        status = sx_matrix_read(sx_arg_text(job->args, "input"), 0, &input, err);
    if (status == SX_OK)
        status = encode(job, sae, &input, err);
    sx_matrix_release(&input);
    sx_sae_unref(sae);
    return status;
}

SX_PRINT(encode)
{
    sx_print_field(out, "rows", sx_value_get(document, "n"));
    sx_print_field(out, "L0", sx_value_get(document, "l0"));
    sx_print_field(out, "FVU", sx_value_get(document, "fvu"));
    sx_print_field(out, "MSE", sx_value_get(document, "mse"));
    sx_print_field(out, "cosine", sx_value_get(document, "cosine"));
    sx_print_field(out, "written", sx_value_get(document, "out"));
}
