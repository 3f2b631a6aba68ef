/* export: what the explorer shows, as a file for other programs. The text is made on the UI thread
 * from the session; the lane only writes. */
#include "commands_private.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "document.h"
#include "match_copy.h"
#include "match_file.h"
#include "rows.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/io/json.h"
#include "sextant/sae/match.h"

struct export_input {
    struct sx_str text;       /* CSV or JSON */
    struct sx_match_set *set; /* owned; F.match.h5 */
    double tau;
    bool alive;
};

static void export_input_free(void *p)
{
    struct export_input *input = p;
    sx_str_release(&input->text);
    sx_match_set_free(input->set);
    sx_free(input);
}

static bool ends_with(const char *s, const char *tail)
{
    const size_t n = strlen(s);
    const size_t m = strlen(tail);
    return n > m && strcasecmp(s + n - m, tail) == 0;
}

/* --- rows ---------------------------------------------------------------------------------------
 */

static struct sx_value *describe_row(const struct sx_session *session, uint32_t latent)
{
    static const char *const categories[] = {"always", "sometimes", "never"};
    static const char unmatched[] = "not matched";
    const struct sx_match_data *match = &session->match;
    const size_t anchor = session->selection.seed_index;
    struct sx_filter_row row;
    sx_row_describe(session, latent, &row);
    struct sx_value *map = sx_value_map();
    sx_document_int(map, "latent", latent);
    sx_value_set(map, "align", sx_value_real(row.align));
    sx_value_set(map, "enc_norm", sx_value_real(row.enc_norm));
    sx_value_set(map, "dec_norm", sx_value_real(row.dec_norm));
    sx_value_set(map, "dead", sx_value_bool(row.dead));
    sx_value_set(map, "marked", sx_value_bool(row.marked));
    if (row.partners < 0)
        return map;
    sx_document_int(map, "partners", row.partners);
    sx_document_text(map, "category", row.category < 0 ? "" : categories[row.category]);
    for (size_t other = 0; other < match->set->n_models; other++) {
        struct sx_match_view view;
        if (other == anchor)
            continue;
        sx_match_look(match->set, match->summary->alive, anchor, other, latent,
                      session->settings.tau, &view);
        char key[64];
        const long long seed = (long long)session->family.seeds[other].seed;
        snprintf(key, sizeof key, "seed_%lld_latent", seed < 0 ? (long long)other : seed);
        sx_document_int(map, key, view.partner_dec);
        snprintf(key, sizeof key, "seed_%lld_sim", seed < 0 ? (long long)other : seed);
        sx_document_real(map, key, (double)view.sim_dec, unmatched);
    }
    return map;
}

static enum sx_status describe_rows(const struct sx_session *session, bool marked,
                                    struct sx_value **rows, struct sx_error *err)
{
    const struct sx_rows *order = &session->rows;
    if (order->state != SX_STATE_READY || session->family.state != SX_STATE_READY)
        return sx_fail(err, SX_ERR_USAGE, "export: there are no rows; open a family first");
    *rows = sx_value_list();
    for (size_t i = 0; i < order->n; i++)
        if (!marked || sx_session_marked(session, order->order[i]))
            sx_value_append(*rows, describe_row(session, order->order[i]));
    return SX_OK;
}

static enum sx_status describe_curves(const struct sx_session *session, struct sx_value **rows,
                                      struct sx_error *err)
{
    const struct sx_curves *curves = &session->curves;
    if (curves->state != SX_STATE_READY)
        return sx_fail(err, SX_ERR_USAGE, "export: no training run is shown");
    *rows = sx_value_list();
    for (size_t r = 0; r < curves->rows; r++) {
        struct sx_value *map = sx_value_append(*rows, sx_value_map());
        for (size_t c = 0; c < curves->n_columns; c++)
            sx_value_set(map, sx_value_string_or(sx_value_item(curves->columns, c), ""),
                         sx_value_real(curves->data[r * curves->n_columns + c]));
    }
    return SX_OK;
}

/* --- text ---------------------------------------------------------------------------------------
 */

static void csv_cell(const struct sx_value *value, struct sx_str *out)
{
    const char *text = sx_value_string_or(value, NULL);
    if (!text) {
        if (sx_value_kind(value) != SX_VALUE_NULL && !isnan(sx_value_real_or(value, 0)))
            sx_json_write(value, 0, out);
        return;
    }
    if (!strpbrk(text, ",\"\r\n")) {
        sx_str_append(out, text);
        return;
    }
    sx_str_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            sx_str_append_char(out, '"');
        sx_str_append_char(out, *text);
    }
    sx_str_append_char(out, '"');
}

static bool is_reason(const char *key)
{
    return ends_with(key, "_why");
}

/* Every row has the same keys but for reasons, which CSV leaves out. */
static void write_csv(const struct sx_value *rows, struct sx_str *out)
{
    const struct sx_value *first = sx_value_item(rows, 0);
    for (size_t i = 0, n = 0; i < sx_value_count(first); i++)
        if (!is_reason(sx_value_key(first, i)))
            sx_str_printf(out, "%s%s", n++ ? "," : "", sx_value_key(first, i));
    sx_str_append(out, "\n");
    for (size_t r = 0; r < sx_value_count(rows); r++) {
        const struct sx_value *row = sx_value_item(rows, r);
        for (size_t i = 0, n = 0; i < sx_value_count(row); i++) {
            if (is_reason(sx_value_key(row, i)))
                continue;
            sx_str_append(out, n++ ? "," : "");
            csv_cell(sx_value_item(row, i), out);
        }
        sx_str_append(out, "\n");
    }
}

static enum sx_status make_text(const struct sx_session *session, const char *path,
                                const char *what, struct sx_str *out, struct sx_error *err)
{
    struct sx_value *rows = NULL;
    if (!ends_with(path, ".csv") && !ends_with(path, ".json"))
        return sx_fail(err, SX_ERR_USAGE, "export: %s must end in .csv or .json, not '%s'", what,
                       path);
    if (strcmp(what, "curves") == 0)
        SX_TRY(describe_curves(session, &rows, err));
    else
        SX_TRY(describe_rows(session, strcmp(what, "marked") == 0, &rows, err));
    if (ends_with(path, ".csv")) {
        write_csv(rows, out);
        sx_value_free(rows);
        return SX_OK;
    }
    struct sx_value *document = sx_document_new();
    sx_value_set(document, "rows", rows);
    sx_json_write(document, 1, out);
    sx_str_append(out, "\n");
    sx_value_free(document);
    return SX_OK;
}

/* --- the command --------------------------------------------------------------------------------
 */

static enum sx_status take_match(const struct sx_session *session, struct export_input *input,
                                 struct sx_error *err)
{
    const struct sx_match_data *match = &session->match;
    if (match->state != SX_STATE_READY)
        return sx_fail(err, SX_ERR_USAGE, "export: the seeds are not matched yet");
    input->alive = match->summary->alive;
    input->set = sx_match_copy(match->set, input->alive);
    input->tau = session->settings.tau;
    return SX_OK;
}

SX_PREPARE(export)
{
    const char *path = sx_arg_text(job->args, "file");
    const char *what = sx_arg_text(job->args, "what");
    const bool h5 = ends_with(path, ".h5");
    if (!what)
        what = h5 ? "match" : "rows";
    if (strcmp(what, "match") == 0 && !ends_with(path, ".match.h5"))
        return sx_fail(err, SX_ERR_USAGE, "export: a matching goes to *.match.h5, not '%s'", path);
    /* A slip of completion must not cost a file of weights. */
    if (access(path, F_OK) == 0)
        return sx_fail(err, SX_ERR_IO, "export: %s exists; choose another name", path);
    struct export_input *input = sx_xcalloc(1, sizeof *input);
    input->text = SX_STR_INIT;
    job->input = input;
    job->input_free = export_input_free;
    return strcmp(what, "match") == 0 ? take_match(session, input, err)
                                      : make_text(session, path, what, &input->text, err);
}

static enum sx_status write_text(const char *path, const struct sx_str *text, struct sx_task *task,
                                 struct sx_error *err)
{
    enum { PIECE = 1 << 20 };
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    enum sx_status status = SX_OK;
    for (size_t done = 0; done < text->len && status == SX_OK;) {
        const size_t left = text->len - done;
        const ssize_t n = write(fd, text->data + done, left < PIECE ? left : PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            status = sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
        else
            status = sx_task_step(task, done += (size_t)n, text->len);
    }
    if (close(fd) != 0 && status == SX_OK)
        status = sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    if (status != SX_OK)
        unlink(path);
    return status;
}

SX_RUN(export)
{
    const struct export_input *input = job->input;
    const char *path = sx_arg_text(job->args, "file");
    if (!input)
        return sx_fail(err, SX_ERR_USAGE, "export works in the explorer only");
    return input->set ? sx_match_write(path, input->set, input->tau, input->alive, err)
                      : write_text(path, &input->text, &job->task, err);
}

SX_APPLY(export)
{
    if (job->status == SX_OK)
        sx_session_message(session, SX_OK, "wrote %s", sx_arg_text(job->args, "file"));
}
