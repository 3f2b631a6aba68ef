/* train, and curves: what a training run is doing, also one in another terminal. */
#include "commands_private.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "document.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/io/h5.h"
#include "sextant/sae/train.h"

/* --- train --------------------------------------------------------------------------------------
 */

static struct sx_value *as_document(struct sx_value *take_map)
{
    struct sx_value *document = sx_document_new();
    for (size_t i = 0; i < sx_value_count(take_map); i++)
        sx_value_set(document, sx_value_key(take_map, i), sx_value_dup(sx_value_item(take_map, i)));
    sx_value_free(take_map);
    return sx_document_finish(document);
}

static void on_row(void *user, const struct sx_train_row *row)
{
    struct sx_job *job = user;
    if (!job->emit)
        return;
    struct sx_value *line = as_document(sx_train_row_describe(row));
    job->emit(job, line);
    sx_value_free(line);
}

static struct sx_value *describe_run(const struct sx_train_config *config, const char *out)
{
    struct sx_value *document = sx_document_new();
    sx_value_set(document, "done", sx_value_bool(true));
    sx_document_text(document, "name", config->name);
    sx_document_text(document, "out", out);
    struct sx_value *files = sx_value_set(document, "files", sx_value_list());
    for (size_t i = 0; i < config->n_seeds; i++) {
        char *file =
            sx_xasprintf("%s/%s_s%lld.sae.h5", out, config->name, (long long)config->seeds[i]);
        sx_value_append(files, sx_value_string(file));
        sx_free(file);
    }
    char *curve = sx_xasprintf("%s/%s.curve.h5", out, config->name);
    sx_document_text(document, "curve", curve);
    sx_free(curve);
    sx_value_set(document, "config", sx_train_config_describe(config));
    return document;
}

static enum sx_status load_config(const struct sx_job *job, struct sx_train_config *config,
                                  struct sx_error *err)
{
    const struct sx_value *set = sx_value_get(job->args, "set");
    const size_t n = sx_value_count(set);
    const char **overrides = sx_xcalloc(n + 1, sizeof *overrides);
    for (size_t i = 0; i < n; i++)
        overrides[i] = sx_value_string_or(sx_value_item(set, i), "");
    enum sx_status status =
        sx_train_config_load(sx_arg_text(job->args, "config"), overrides, n, config, err);
    sx_free(overrides);
    return status;
}

SX_RUN(train)
{
    struct sx_train_config config;
    SX_TRY(load_config(job, &config, err));
    const char *given = sx_arg_text(job->args, "out");
    char *out = given ? sx_xstrdup(given) : sx_xasprintf("runs/%s", config.name);
    const bool resume = sx_value_bool_or(sx_value_get(job->args, "resume"), false);
    enum sx_status status = sx_train_run(&config, out, resume, on_row, job, &job->task, err);
    if (status == SX_OK)
        job->document = describe_run(&config, out);
    sx_free(out);
    sx_train_config_release(&config);
    return status;
}

SX_PRINT(train)
{
    const struct sx_value *files = sx_value_get(document, "files");
    for (size_t i = 0; i < sx_value_count(files); i++)
        sx_str_printf(out, "%s\n", sx_value_string_or(sx_value_item(files, i), ""));
    sx_str_printf(out, "%s\n", sx_value_string_or(sx_value_get(document, "curve"), ""));
}

/* --- curves -------------------------------------------------------------------------------------
 */

static const double GROWING_SECONDS = 10;

struct curves_input {
    char *path;          /* owned: a file or a folder */
    int64_t modified_ns; /* what the session shows now; 0: nothing */
    uint64_t bytes;
    bool growing;
};

struct curves_result {
    bool unchanged;
    struct sx_curves curves;
};

static void curves_input_free(void *p)
{
    struct curves_input *input = p;
    sx_free(input->path);
    sx_free(input);
}

static void curves_result_free(void *p)
{
    struct curves_result *result = p;
    sx_curves_release(&result->curves);
    sx_free(result);
}

static const char *wanted_path(const struct sx_session *session, const struct sx_job *job)
{
    const char *path = sx_arg_text(job->args, "path");
    const size_t training = session->selection.training;
    if (!path && training < session->workspace.n_entries)
        path = session->workspace.entries[training].path;
    return path;
}

SX_PREPARE(curves)
{
    const char *path = wanted_path(session, job);
    struct sx_curves *curves = &session->curves;
    if (!path)
        return sx_fail(err, SX_ERR_USAGE, "curves: no training run is selected");
    struct curves_input *input = sx_xcalloc(1, sizeof *input);
    input->path = sx_xstrdup(path);
    job->input = input;
    job->input_free = curves_input_free;
    const bool same = curves->path && strcmp(curves->path, path) == 0;
    if (same && curves->state == SX_STATE_READY) {
        input->modified_ns = curves->modified_ns;
        input->bytes = curves->bytes;
        input->growing = curves->growing;
        return SX_OK; /* what is shown stays until there is something newer */
    }
    /* A run that could not be read yet is asked for again each second: only news is drawn. */
    if (same && (curves->state == SX_STATE_FAILED || curves->state == SX_STATE_PENDING))
        return SX_OK;
    sx_session_empty_curves(session);
    curves->state = SX_STATE_PENDING;
    curves->path = sx_xstrdup(path);
    sx_session_touch(session, SX_SLOT_CURVES);
    return SX_OK;
}

static int64_t modified_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* The curve file that was written last in a folder; NULL when there is none. */
static char *newest_curve(const char *folder)
{
    static const char tail[] = ".curve.h5";
    char *newest = NULL;
    int64_t newest_ns = 0;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        const size_t len = strlen(entry->d_name);
        if (len <= strlen(tail) || strcasecmp(entry->d_name + len - strlen(tail), tail) != 0)
            continue;
        char *path = sx_xasprintf("%s/%s", folder, entry->d_name);
        struct stat st;
        if (stat(path, &st) == 0 && (!newest || modified_ns(&st) > newest_ns)) {
            sx_free(newest);
            newest = path;
            newest_ns = modified_ns(&st);
        } else {
            sx_free(path);
        }
    }
    if (dir)
        closedir(dir);
    return newest;
}

static enum sx_status read_curves(const struct curves_input *input, const char *file,
                                  struct curves_result *result, struct sx_error *err)
{
    struct stat st;
    if (stat(file, &st) != 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", file, strerror(errno));
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const double age = (double)(now.tv_sec - st.st_mtim.tv_sec);
    struct sx_curves *curves = &result->curves;
    curves->growing = age < GROWING_SECONDS;
    curves->modified_ns = modified_ns(&st);
    curves->bytes = (uint64_t)st.st_size;
    if (input->modified_ns == curves->modified_ns && input->bytes == curves->bytes &&
        input->growing == curves->growing) {
        result->unchanged = true;
        return SX_OK;
    }
    uint64_t rows = 0;
    SX_TRY(
        sx_h5_table_read(file, &curves->columns, &curves->data, &rows, &curves->attributes, err));
    curves->rows = (size_t)rows;
    curves->n_columns = sx_value_count(curves->columns);
    curves->path = sx_xstrdup(input->path);
    curves->state = SX_STATE_READY;
    return SX_OK;
}

SX_RUN(curves)
{
    const struct curves_input *input = job->input;
    struct curves_result *result = sx_xcalloc(1, sizeof *result);
    job->result = result;
    job->result_free = curves_result_free;
    struct stat st;
    if (stat(input->path, &st) != 0 || !S_ISDIR(st.st_mode))
        return read_curves(input, input->path, result, err);
    char *file = newest_curve(input->path);
    enum sx_status status =
        file ? read_curves(input, file, result, err)
             : sx_fail(err, SX_ERR_NOTFOUND, "%s: no *.curve.h5 in this folder", input->path);
    sx_free(file);
    return status;
}

SX_APPLY(curves)
{
    const struct curves_input *input = job->input;
    struct sx_curves *curves = &session->curves;
    if (!curves->path || strcmp(curves->path, input->path) != 0)
        return; /* another run was selected since */
    if (job->status != SX_OK) {
        /* A good curve is not thrown away because its file was busy for a moment. */
        if (curves->state == SX_STATE_READY ||
            (curves->state == SX_STATE_FAILED && curves->error.status == job->status &&
             strcmp(curves->error.message, job->error.message) == 0))
            return;
        sx_slot_fail(&curves->state, &curves->error, job->status, &job->error);
        sx_session_touch(session, SX_SLOT_CURVES);
        return;
    }
    struct curves_result *result = job->result;
    if (result->unchanged)
        return;
    sx_curves_release(curves);
    *curves = result->curves;
    result->curves = (struct sx_curves){0};
    sx_session_touch(session, SX_SLOT_CURVES);
}
