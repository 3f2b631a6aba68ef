/* jobs: what is running, waiting and done, and why something failed. */
#include "all_views.h"

#include <stdio.h>
#include <string.h>

#include "sextant/base/log.h"
#include "sextant/run/commands.h"
#include "sextant/tui/table.h"
#include "sextant/tui/widgets.h"

struct jobs_state {
    struct sx_table_state table;
};

enum column { COL_ID, COL_STATE, COL_DONE, COL_LEFT, COL_TOOK, COL_LANE, COL_LINE };

static const struct sx_column columns[] = {
    [COL_ID] = {.title = "job", .width = 4, .align = SX_RIGHT},
    [COL_STATE] = {.title = "state", .width = 9},
    [COL_DONE] = {.title = "done", .width = 4, .align = SX_RIGHT},
    [COL_LEFT] = {.title = "left", .width = 7, .align = SX_RIGHT},
    [COL_TOOK] = {.title = "took", .width = 7, .align = SX_RIGHT},
    [COL_LANE] = {.title = "lane", .width = 7},
    [COL_LINE] = {.title = "command", .width = 20, .weight = 1},
};

static enum sx_style state_style(enum sx_job_state state)
{
    switch (state) {
    case SX_JOB_RUNNING:
        return SX_STYLE_BUSY;
    case SX_JOB_DONE:
        return SX_STYLE_GOOD;
    case SX_JOB_FAILED:
        return SX_STYLE_BAD;
    case SX_JOB_QUEUED:
    case SX_JOB_CANCELLED:
        break;
    }
    return SX_STYLE_DIM;
}

static double seconds_taken(const struct sx_job_info *job)
{
    switch (job->state) {
    case SX_JOB_QUEUED:
        return -1;
    case SX_JOB_RUNNING:
        return sx_clock() - job->started;
    case SX_JOB_DONE:
    case SX_JOB_FAILED:
    case SX_JOB_CANCELLED:
        break;
    }
    return job->ended - job->started;
}

static void time_text(struct sx_table_cell *out, double seconds)
{
    if (seconds < 0)
        return;
    if (seconds < 10)
        snprintf(out->buffer, sizeof out->buffer, "%.1f s", seconds);
    else
        sx_duration(out->buffer, sizeof out->buffer, seconds);
    out->text = out->buffer;
    out->style = SX_STYLE_NUMBER;
}

static void jobs_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    const struct sx_session *session = ctx;
    const struct sx_job_info *job = &session->jobs[row];

    switch ((enum column)column) {
    case COL_ID:
        snprintf(out->buffer, sizeof out->buffer, "%llu", (unsigned long long)job->id);
        out->text = out->buffer;
        out->style = SX_STYLE_NUMBER;
        break;
    case COL_STATE:
        out->text = sx_job_state_name(job->state);
        out->style = state_style(job->state);
        break;
    case COL_DONE:
        if (job->state == SX_JOB_RUNNING && job->fraction >= 0) {
            snprintf(out->buffer, sizeof out->buffer, "%.0f%%", 100 * job->fraction);
            out->text = out->buffer;
            out->style = SX_STYLE_NUMBER;
        }
        break;
    case COL_LEFT:
        if (job->state == SX_JOB_RUNNING)
            time_text(out, job->eta_s);
        break;
    case COL_TOOK:
        time_text(out, seconds_taken(job));
        break;
    case COL_LANE:
        out->text = sx_lane_name(job->lane);
        out->style = SX_STYLE_DIM;
        break;
    case COL_LINE:
        out->text = job->line;
        break;
    }
}

static struct sx_table jobs_table(const struct sx_session *session)
{
    return (struct sx_table){
        .columns = columns,
        .n_columns = sizeof columns / sizeof *columns,
        .n_rows = session->n_jobs,
        .cell = jobs_cell,
        .ctx = session,
        .sort_column = -1,
        .empty = "Nothing has run yet. Matching, loading and training appear here.",
    };
}

static const struct sx_job_info *under_cursor(const struct sx_view *view,
                                              const struct sx_session *session)
{
    const struct jobs_state *state = view->state;
    return state->table.cursor < session->n_jobs ? &session->jobs[state->table.cursor] : NULL;
}

static void jobs_draw(const struct sx_view *view, const struct sx_session *session,
                      struct sx_canvas *canvas)
{
    struct jobs_state *state = view->state;
    const struct sx_table table = jobs_table(session);
    const struct sx_job_info *job = under_cursor(view, session);
    const bool failed = job && job->state == SX_JOB_FAILED;
    const int below = failed && canvas->h > 8 ? 4 : 0;
    struct sx_canvas top =
        sx_canvas_sub(canvas, (struct sx_rect){0, 0, canvas->w, canvas->h - below});
    struct sx_canvas body = sx_frame(&top, "jobs", NULL, true);

    sx_table_draw(&body, &table, &state->table, true);
    if (below) {
        struct sx_canvas low =
            sx_canvas_sub(canvas, (struct sx_rect){0, canvas->h - below, canvas->w, below});
        struct sx_canvas text = sx_frame(&low, "why it failed", NULL, false);
        sx_paragraph(&text, 0, SX_STYLE_BAD, job->error.message);
    }
}

static bool jobs_request(struct sx_view *view, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    struct jobs_state *state = view->state;
    const struct sx_table table = jobs_table(session);
    const struct sx_job_info *job = under_cursor(view, session);
    size_t row;
    int column;

    if (sx_table_request(&table, &state->table, request->name, request->count)) {
        emit->dirty = true;
        return true;
    }
    if (strcmp(request->name, "cancel-job") == 0) {
        if (job)
            sx_emit_line(emit, "cancel %llu", (unsigned long long)job->id);
        return true;
    }
    if (strcmp(request->name, "click") == 0) {
        if (sx_table_hit(&table, &state->table, view->width, view->height - 1, request->x,
                         request->y - 1, &row, &column) &&
            row != (size_t)-1) {
            sx_table_goto(&state->table, session->n_jobs, row);
            emit->dirty = true;
        }
        return true;
    }
    return false;
}

static void jobs_title(const struct sx_view *view, const struct sx_session *session,
                       struct sx_str *out)
{
    (void)view;
    (void)session;
    sx_str_append(out, "jobs");
}

static struct sx_value *jobs_data(const struct sx_view *view, const struct sx_session *session)
{
    struct sx_value *document = sx_value_map();
    struct sx_value *rows = sx_value_set(document, "rows", sx_value_list());

    (void)view;
    for (size_t i = 0; i < session->n_jobs; i++) {
        const struct sx_job_info *job = &session->jobs[i];
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_value_set(row, "id", sx_value_int((int64_t)job->id));
        sx_value_set(row, "state", sx_value_string(sx_job_state_name(job->state)));
        sx_value_set(row, "lane", sx_value_string(sx_lane_name(job->lane)));
        sx_value_set(row, "fraction",
                     job->fraction < 0 ? sx_value_null() : sx_value_real(job->fraction));
        sx_value_set(row, "command", sx_value_string(job->line));
        sx_value_set(row, "error",
                     job->state == SX_JOB_FAILED ? sx_value_string(job->error.message)
                                                 : sx_value_null());
    }
    return document;
}

static const struct sx_key_binding keys[] = {
    {"jobs", "x", "cancel-job", "cancel", "Cancel the job under the cursor.", "Jobs"},
    {"jobs", "L", ":view log", "log", "What the program has to say about its work.", "Jobs"},
};

const struct sx_view_ops sx_view_jobs = {
    .name = "jobs",
    .help = "what is running, waiting and done, and why something failed",
    .key = '8',
    .depends = 1u << SX_SLOT_JOBS,
    .n_panes = 1,
    .state_size = sizeof(struct jobs_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .draw = jobs_draw,
    .request = jobs_request,
    .title = jobs_title,
    .data = jobs_data,
};
