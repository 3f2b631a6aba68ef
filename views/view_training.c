/* training: the curves of a run, all its seeds in one plot, while it runs and after. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

enum { METRICS_MAX = 32, SERIES_MAX = 24 };

/* Columns that are one quantity in several seeds (s0.loss, s1.loss) or pairs (mmcs.0-1, mmcs). */
struct metric {
    char name[32];
    size_t n;
    size_t column[SERIES_MAX];
    char label[SERIES_MAX][16];
};

struct training_state {
    struct sx_table_state list;
    bool log_y;
    /* The run shown, by column; kept while a newer state of the same file is being read. */
    char *path;     /* owned */
    double *column; /* owned [n_columns, rows] */
    size_t rows, n_columns;
    struct metric metric[METRICS_MAX];
    size_t n_metrics;
};

/* --- columns to metrics -------------------------------------------------------------------------
 */

/* "s0.loss" → loss, 0; "mmcs.0-1" → mmcs, 0-1; "mmcs" → mmcs, mean; step and epoch are axes. */
static bool split_name(const char *column, char *metric, size_t metric_size, char *label,
                       size_t label_size)
{
    const char *dot = strchr(column, '.');

    if (strcmp(column, "step") == 0 || strcmp(column, "epoch") == 0)
        return false;
    if (!dot) {
        snprintf(metric, metric_size, "%s", column);
        snprintf(label, label_size, "mean");
    } else if (column[0] == 's' && column[1] >= '0' && column[1] <= '9') {
        snprintf(metric, metric_size, "%s", dot + 1);
        snprintf(label, label_size, "seed %.*s", (int)(dot - column - 1), column + 1);
    } else {
        snprintf(metric, metric_size, "%.*s", (int)(dot - column), column);
        snprintf(label, label_size, "%s", dot + 1);
    }
    return true;
}

static struct metric *metric_named(struct training_state *state, const char *name)
{
    for (size_t i = 0; i < state->n_metrics; i++)
        if (strcmp(state->metric[i].name, name) == 0)
            return &state->metric[i];
    if (state->n_metrics == METRICS_MAX)
        return NULL;
    struct metric *metric = &state->metric[state->n_metrics++];
    *metric = (struct metric){0};
    snprintf(metric->name, sizeof metric->name, "%s", name);
    return metric;
}

static void take_curves(struct training_state *state, const struct sx_curves *curves)
{
    char name[32], label[16];

    if (!state->path || strcmp(state->path, curves->path) != 0) {
        sx_free(state->path);
        state->path = sx_xstrdup(curves->path);
    }
    state->rows = curves->rows;
    state->n_columns = curves->n_columns;
    state->n_metrics = 0;
    state->column =
        sx_xrealloc(state->column, (curves->rows * curves->n_columns + 1) * sizeof *state->column);
    for (size_t c = 0; c < curves->n_columns; c++)
        for (size_t r = 0; r < curves->rows; r++)
            state->column[c * curves->rows + r] = curves->data[r * curves->n_columns + c];
    for (size_t c = 0; c < curves->n_columns; c++) {
        const char *column = sx_value_string_or(sx_value_item(curves->columns, c), "");
        if (!split_name(column, name, sizeof name, label, sizeof label))
            continue;
        struct metric *metric = metric_named(state, name);
        if (!metric || metric->n == SERIES_MAX)
            continue;
        snprintf(metric->label[metric->n], sizeof metric->label[0], "%s", label);
        metric->column[metric->n++] = c;
    }
    sx_table_goto(&state->list, state->n_metrics, state->list.cursor);
}

/* A column by its name in the file; NULL: none. */
static const double *axis(const struct training_state *state, const struct sx_curves *curves,
                          const char *name)
{
    for (size_t c = 0; c < state->n_columns && c < sx_value_count(curves->columns); c++)
        if (strcmp(sx_value_string_or(sx_value_item(curves->columns, c), ""), name) == 0)
            return state->column + c * state->rows;
    return NULL;
}

static double last_value(const struct training_state *state, size_t column)
{
    for (size_t r = state->rows; r-- > 0;)
        if (!isnan(state->column[column * state->rows + r]))
            return state->column[column * state->rows + r];
    return NAN;
}

/* --- the runs of the workspace ------------------------------------------------------------------
 */

static size_t next_run(const struct sx_session *session, size_t from, int step)
{
    const size_t n = session->workspace.n_entries;

    for (size_t i = 1; i <= n; i++) {
        const size_t at = from < n ? (from + (step > 0 ? i : n - i)) % n : step > 0 ? i - 1 : n - i;
        if (session->workspace.entries[at].kind == SX_ENTRY_TRAINING)
            return at;
    }
    return SIZE_MAX;
}

static const struct sx_entry *selected_run(const struct sx_session *session)
{
    const size_t run = session->selection.training;

    if (run >= session->workspace.n_entries ||
        session->workspace.entries[run].kind != SX_ENTRY_TRAINING)
        return NULL;
    return &session->workspace.entries[run];
}

static bool curves_are_of(const struct sx_curves *curves, const struct sx_entry *run)
{
    return curves->path && run->path && strcmp(curves->path, run->path) == 0;
}

static bool have_run(const struct training_state *state, const struct sx_entry *run)
{
    return state->path && run && strcmp(state->path, run->path) == 0;
}

/* --- drawing ------------------------------------------------------------------------------------
 */

struct metric_list {
    const struct training_state *state;
    bool ascii;
    struct sx_table table;
};

static const struct sx_column metric_columns[] = {
    {.title = "metric", .width = 10, .weight = 1},
    {.title = "newest", .width = 9, .align = SX_RIGHT},
};

static void metric_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    const struct metric_list *list = ctx;
    const struct metric *metric = &list->state->metric[row];
    double sum = 0;
    size_t n = 0;

    if (column == 0) {
        sx_cell_text(out, SX_STYLE_TEXT, metric->name);
        return;
    }
    for (size_t i = 0; i < metric->n; i++) {
        const double value = last_value(list->state, metric->column[i]);
        if (isnan(value))
            continue;
        sum += value;
        n++;
    }
    sx_number(out->buffer, sizeof out->buffer, n ? sum / (double)n : NAN, list->ascii);
    sx_cell_text(out, n ? SX_STYLE_NUMBER : SX_STYLE_DIM, out->buffer);
}

static void make_list(struct metric_list *list, const struct training_state *state, bool ascii)
{
    *list = (struct metric_list){.state = state, .ascii = ascii};
    list->table = (struct sx_table){
        .columns = metric_columns,
        .n_columns = 2,
        .n_rows = state->n_metrics,
        .cell = metric_cell,
        .ctx = list,
        .sort_column = -1,
        .empty = "No step is logged yet.",
    };
}

/* Metrics beside the plot; below 60 columns the plot alone. */
static void panes_of(const struct sx_view *view, struct sx_rect pane[2])
{
    const struct sx_rect body = sx_body_rect(view);
    const int left = sx_layout_int(view, "metrics", 24);

    pane[0] = pane[1] = body;
    if (view->width < left + 36) {
        pane[0].w = 0;
        return;
    }
    const struct sx_part part[2] = {{.size = left}, {.weight = 1}};
    sx_split_columns(body, 1, part, 2, pane);
}

/* The newest step logged and how many there will be; NAN: not known. */
static void progress_of(const struct training_state *state, const struct sx_curves *curves,
                        double *newest, double *total)
{
    const double *step = axis(state, curves, "step");

    *newest = step && state->rows ? step[state->rows - 1] : NAN;
    *total = sx_value_real_or(sx_value_get(curves->attributes, "steps"), NAN);
}

static bool running(const struct training_state *state, const struct sx_curves *curves)
{
    double newest, total;

    progress_of(state, curves, &newest, &total);
    return curves->growing && !(newest >= total);
}

static void plot_titles(const struct training_state *state, const struct sx_session *session,
                        char *title, size_t title_size, char *info, size_t info_size)
{
    const struct sx_curves *curves = &session->curves;
    double newest, total;
    const struct metric *metric = &state->metric[state->list.cursor];

    progress_of(state, curves, &newest, &total);
    snprintf(title, title_size, "%s%s", metric->name, state->log_y ? " · log" : "");
    if (isnan(newest))
        snprintf(info, info_size, "no step yet");
    else if (newest >= total)
        snprintf(info, info_size, "finished: %.0f steps", newest);
    else if (isnan(total))
        snprintf(info, info_size, "%sstep %.0f", curves->growing ? "◐ running: " : "", newest);
    else if (curves->growing)
        snprintf(info, info_size, "◐ running: step %.0f of %.0f", newest, total);
    else
        snprintf(info, info_size, "stopped at step %.0f of %.0f", newest, total);
}

static void draw_plot(struct sx_canvas *cv, const struct sx_view *view,
                      const struct sx_session *session)
{
    const struct training_state *state = view->state;
    const struct metric *metric = &state->metric[state->list.cursor];
    const double *step = axis(state, &session->curves, "step");
    struct sx_series series[SERIES_MAX];
    char title[64], info[96];

    plot_titles(state, session, title, sizeof title, info, sizeof info);
    struct sx_canvas body = sx_frame(cv, title, info, view->focus == 1);
    for (size_t i = 0; i < metric->n; i++)
        series[i] = (struct sx_series){
            .x = step,
            .y = state->column + metric->column[i] * state->rows,
            .n = state->rows,
            .style = (enum sx_style)(SX_STYLE_SERIES_0 + (int)(i % SX_SERIES_STYLES)),
            .label = metric->label[i],
        };
    const struct sx_plot plot = {
        .series = series,
        .n_series = metric->n,
        .log_y = state->log_y,
        .x_label = "step",
        .has_marker = running(state, &session->curves),
        .marker = step && state->rows > 0 ? step[state->rows - 1] : 0,
    };
    sx_plot_draw(&body, &plot);
    if (view->focus == 1)
        sx_set_cursor(&body, body.w - 1, body.h - 1, false);
}

static void training_draw(const struct sx_view *view, const struct sx_session *session,
                          struct sx_canvas *canvas)
{
    struct training_state *state = view->state;
    const struct sx_entry *run = selected_run(session);
    struct metric_list list;
    struct sx_rect pane[2];

    if (sx_too_small(canvas, 24, 4))
        return;
    if (!have_run(state, run) || state->n_metrics == 0) {
        struct sx_canvas body = sx_frame(canvas, run ? run->label : "training", NULL, true);
        sx_slot_notice(&body,
                       run ? session->curves.state == SX_STATE_READY ? SX_STATE_EMPTY
                                                                     : session->curves.state
                           : SX_STATE_EMPTY,
                       &session->curves.error, "reading the curve …",
                       run ? "No step is logged yet."
                           : "No training run is here. Start one, in another terminal or with "
                             ":train CONFIG.yaml; r looks again.");
        return;
    }
    panes_of(view, pane);
    if (pane[0].w > 0) {
        struct sx_canvas left = sx_canvas_sub(canvas, pane[0]);
        struct sx_canvas body = sx_frame(&left, run->label, NULL, view->focus == 0);
        make_list(&list, state, sx_canvas_ascii(canvas));
        sx_table_draw(&body, &list.table, &state->list, view->focus == 0);
    }
    struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
    draw_plot(&right, view, session);
    sx_pane_divider(canvas, pane);
}

/* The plot, as long as there are metrics to move in beside it. */
static size_t training_followers(const struct sx_view *view, const struct sx_session *session,
                                 struct sx_rect out[SX_FOLLOWERS])
{
    struct sx_rect pane[2];

    (void)session;
    panes_of(view, pane);
    out[0] = pane[1];
    return pane[0].w > 0;
}

/* --- what is missing, and requests --------------------------------------------------------------
 */

static void training_need(struct sx_view *view, const struct sx_session *session,
                          struct sx_emit *emit)
{
    struct training_state *state = view->state;
    const struct sx_curves *curves = &session->curves;
    const struct sx_entry *run = selected_run(session);

    if (!run) {
        const size_t first = next_run(session, SIZE_MAX, 1);
        if (first != SIZE_MAX)
            sx_emit_line(emit, "select --training %zu", first);
        return;
    }
    if (curves->state == SX_STATE_EMPTY || !curves_are_of(curves, run)) {
        sx_emit_line(emit, "curves");
        return;
    }
    if (curves->state == SX_STATE_READY) {
        take_curves(state, curves);
        emit->dirty = true;
    }
}

static bool training_request(struct sx_view *view, const struct sx_session *session,
                             const struct sx_view_request *request, struct sx_emit *emit)
{
    struct training_state *state = view->state;
    const struct sx_entry *run = selected_run(session);
    const char *name = request->name;
    struct metric_list list;
    struct sx_rect pane[2];

    if (strcmp(name, "refresh") == 0) {
        if (run && session->curves.state == SX_STATE_READY)
            sx_emit_line(emit, "curves");
        return true;
    }
    if (strcmp(name, "run-next") == 0 || strcmp(name, "run-previous") == 0) {
        const size_t next = next_run(session, session->selection.training, name[4] == 'n' ? 1 : -1);
        if (next != SIZE_MAX && next != session->selection.training)
            sx_emit_line(emit, "select --training %zu", next);
        return true;
    }
    if (strcmp(name, "log-scale") == 0) {
        state->log_y = !state->log_y;
        emit->dirty = true;
        return true;
    }
    panes_of(view, pane);
    make_list(&list, state, false);
    return sx_list_request(&list.table, &state->list, pane[0], request, emit);
}

static void training_title(const struct sx_view *view, const struct sx_session *session,
                           struct sx_str *out)
{
    const struct sx_entry *run = selected_run(session);

    if (run)
        sx_str_printf(out, "%s ▸ ", run->label);
    sx_str_append(out, view->ops->name);
}

static struct sx_value *training_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct sx_curves *curves = &session->curves;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    (void)view;
    if (curves->state != SX_STATE_READY)
        return document;
    for (size_t r = 0; r < curves->rows; r++) {
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        for (size_t c = 0; c < curves->n_columns; c++)
            sx_row_real(row, sx_value_string_or(sx_value_item(curves->columns, c), "?"),
                        curves->data[r * curves->n_columns + c]);
    }
    return document;
}

static void training_release(struct sx_view *view)
{
    struct training_state *state = view->state;

    sx_free(state->path);
    sx_free(state->column);
}

static const struct sx_key_binding keys[] = {
    {"training", "Down", "down", "metric", "The next metric.", "Training"},
    {"training", "l", "log-scale", "log scale", "Logarithmic values, or linear.", "Training"},
    {"training", "]", "run-next", "run", "The next training run.", "Training"},
    {"training", "[", "run-previous", NULL, "The training run before.", "Training"},
    {"training", "r", ":rescan", "rescan", "Look for new runs.", "Training"},
};

const struct sx_view_ops sx_view_training = {
    .name = "training",
    .help = "curves of a training run, all seeds in one plot, watched live",
    .key = '6',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_CURVES,
    .n_panes = 2,
    .state_size = sizeof(struct training_state),
    .refresh_s = 1,
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = training_need,
    .draw = training_draw,
    .followers = training_followers,
    .request = training_request,
    .title = training_title,
    .data = training_data,
    .release = training_release,
};
