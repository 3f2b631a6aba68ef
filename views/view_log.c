/* log: the last messages of the program, newest at the end. */
#include "all_views.h"

#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/tui/pager.h"
#include "sextant/tui/widgets.h"

struct log_state {
    struct sx_pager_state pager;
    struct sx_log_entry *entries; /* owned [SX_LOG_CAPACITY], a copy: draw must not chase a ring */
    size_t n;
    uint64_t serial;
    char find[128];
    char line[320]; /* the line being drawn */
};

static const char *log_line(const void *ctx, size_t i, enum sx_style *style)
{
    static const struct {
        const char *word;
        enum sx_style style;
    } levels[] = {
        [SX_LOG_DEBUG] = {"debug", SX_STYLE_DIM},
        [SX_LOG_INFO] = {"     ", SX_STYLE_TEXT},
        [SX_LOG_WARN] = {"warn ", SX_STYLE_WARN},
        [SX_LOG_ERROR] = {"error", SX_STYLE_BAD},
    };
    struct log_state *state = *(struct log_state *const *)ctx;
    const struct sx_log_entry *entry = &state->entries[i];

    *style = levels[entry->level].style;
    snprintf(state->line, sizeof state->line, "%9.2f %s  %s", entry->time,
             levels[entry->level].word, entry->text);
    return state->line;
}

static struct sx_pager log_pager(struct log_state *const *state)
{
    return (struct sx_pager){
        .n_lines = (*state)->n,
        .line = log_line,
        .ctx = state,
        .find = (*state)->find,
        .empty = "No messages yet.",
        .follow = true,
    };
}

static void log_need(struct sx_view *view, const struct sx_session *session, struct sx_emit *emit)
{
    struct log_state *state = view->state;
    const uint64_t serial = sx_log_serial();

    (void)session;
    if (!state->entries)
        state->entries = sx_xcalloc(SX_LOG_CAPACITY, sizeof *state->entries);
    if (serial == state->serial)
        return;
    state->n = sx_log_read(state->entries, SX_LOG_CAPACITY);
    state->serial = serial;
    emit->dirty = true;
}

static void log_draw(const struct sx_view *view, const struct sx_session *session,
                     struct sx_canvas *canvas)
{
    struct log_state *state = view->state;
    const struct sx_pager pager = log_pager(&state);
    struct sx_canvas body = sx_frame(canvas, "log", "seconds since the start", true);

    (void)session;
    sx_pager_draw(&body, &pager, &state->pager, true);
}

static void find_from(struct log_state *state, size_t from, bool backwards)
{
    const struct sx_pager pager = log_pager(&state);
    const size_t line = sx_pager_find(&pager, state->find, from, backwards);

    if (line != (size_t)-1) {
        state->pager.top = line;
        state->pager.loose = true;
    }
}

static bool log_request(struct sx_view *view, const struct sx_session *session,
                        const struct sx_view_request *request, struct sx_emit *emit)
{
    struct log_state *state = view->state;
    const struct sx_pager pager = log_pager(&state);

    (void)session;
    if (sx_pager_request(&pager, &state->pager, request->name, request->count)) {
        emit->dirty = true;
        return true;
    }
    if (strcmp(request->name, "search") == 0 || strcmp(request->name, "search-typing") == 0) {
        snprintf(state->find, sizeof state->find, "%s", request->text);
        if (strcmp(request->name, "search") == 0)
            find_from(state, state->pager.top, false);
    } else if (strcmp(request->name, "search-next") == 0) {
        find_from(state, state->pager.top + 1, false);
    } else if (strcmp(request->name, "search-previous") == 0) {
        if (state->pager.top > 0)
            find_from(state, state->pager.top - 1, true);
    } else {
        return false;
    }
    emit->dirty = true;
    return true;
}

static void log_title(const struct sx_view *view, const struct sx_session *session,
                      struct sx_str *out)
{
    (void)view;
    (void)session;
    sx_str_append(out, "log");
}

static struct sx_value *log_data(const struct sx_view *view, const struct sx_session *session)
{
    static const char *const words[] = {
        [SX_LOG_DEBUG] = "debug",
        [SX_LOG_INFO] = "info",
        [SX_LOG_WARN] = "warn",
        [SX_LOG_ERROR] = "error",
    };
    const struct log_state *state = view->state;
    struct sx_value *document = sx_value_map();
    struct sx_value *rows = sx_value_set(document, "rows", sx_value_list());

    (void)session;
    for (size_t i = 0; i < state->n; i++) {
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_value_set(row, "time", sx_value_real(state->entries[i].time));
        sx_value_set(row, "level", sx_value_string(words[state->entries[i].level]));
        sx_value_set(row, "text", sx_value_string(state->entries[i].text));
    }
    return document;
}

static void log_release(struct sx_view *view)
{
    struct log_state *state = view->state;
    sx_free(state->entries);
}

const struct sx_view_ops sx_view_log = {
    .name = "log",
    .help = "the last messages of the program",
    .key = '9',
    .depends = 1u << SX_SLOT_LOG,
    .n_panes = 1,
    .state_size = sizeof(struct log_state),
    .need = log_need,
    .draw = log_draw,
    .request = log_request,
    .title = log_title,
    .data = log_data,
    .release = log_release,
};
