/* help: what this screen is for and its keys, from the same table that the keys come from. */
#include "all_views.h"

#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/run/command.h"
#include "sextant/run/search.h"
#include "sextant/tui/pager.h"
#include "sextant/tui/widgets.h"

enum { KEYS_MAX = 256, WRAP = 76 };

struct help_line {
    char *text; /* owned */
    enum sx_style style;
};

struct help_state {
    struct sx_pager_state pager;
    struct help_line *lines; /* owned */
    size_t n, capacity;
    char topic[32]; /* the view explained; "": all */
    char find[128];
};

static void add(struct help_state *state, enum sx_style style, const char *text)
{
    SX_GROW(state->lines, state->capacity, state->n + 1);
    state->lines[state->n++] = (struct help_line){sx_xstrdup(text), style};
}

/* Text wrapped at words, `indent` blanks before each line. */
static void add_wrapped(struct help_state *state, enum sx_style style, int indent, const char *text)
{
    struct sx_str line = SX_STR_INIT;
    int width = 0;

    while (*text) {
        const size_t len = strcspn(text, " \n");
        char word[128];
        const int columns =
            (snprintf(word, sizeof word, "%.*s", (int)(len < 120 ? len : 120), text),
             sx_text_width(word));

        if (width > 0 && indent + width + 1 + columns > WRAP) {
            add(state, style, line.data);
            sx_str_clear(&line);
            width = 0;
        }
        if (width == 0)
            sx_str_printf(&line, "%*s", indent, "");
        else
            sx_str_append(&line, " ");
        width += columns + (width > 0);
        sx_str_append(&line, word);
        text += len;
        if (*text == '\n') {
            add(state, style, line.data);
            sx_str_clear(&line);
            width = 0;
        }
        text += *text != '\0';
    }
    if (line.len)
        add(state, style, line.data);
    sx_str_release(&line);
}

static bool same_entry(const struct sx_key_binding *a, const struct sx_key_binding *b)
{
    const char *left = a->help ? a->help : a->request;
    const char *right = b->help ? b->help : b->request;
    return strcmp(a->request, b->request) == 0 && strcmp(left, right) == 0;
}

/* Bindings of one request stand on one line: "j Down". */
static void add_keys(struct help_state *state, const struct sx_keymap *map, const char *context)
{
    const struct sx_key_binding *list[KEYS_MAX];
    size_t n = sx_keymap_list(map, &context, 1, list, KEYS_MAX);
    const char *group = "";

    n = n < KEYS_MAX ? n : KEYS_MAX;
    for (size_t i = 0; i < n; i++) {
        char keys[64] = "";
        struct sx_str line = SX_STR_INIT;
        bool shown = false;

        for (size_t j = 0; j < i && !shown; j++)
            shown = same_entry(list[i], list[j]);
        if (shown)
            continue;
        for (size_t j = i; j < n; j++) {
            const size_t used = strlen(keys);
            if (same_entry(list[i], list[j]))
                snprintf(keys + used, sizeof keys - used, "%s%s", used ? " " : "", list[j]->key);
        }
        if (list[i]->group && strcmp(group, list[i]->group) != 0) {
            group = list[i]->group;
            sx_str_printf(&line, "  %s", group);
            add(state, SX_STYLE_HEADER, line.data);
            sx_str_clear(&line);
        }
        sx_str_printf(&line, "    %-16s %s", keys,
                      list[i]->help ? list[i]->help : list[i]->request);
        add(state, SX_STYLE_TEXT, line.data);
        sx_str_release(&line);
    }
}

static void add_view(struct help_state *state, const struct sx_keymap *map,
                     const struct sx_view_ops *ops)
{
    struct sx_str line = SX_STR_INIT;

    sx_str_printf(&line, "%s: %s", ops->name, ops->help);
    add(state, SX_STYLE_TITLE, line.data);
    sx_str_release(&line);
    add_keys(state, map, ops->name);
    add(state, SX_STYLE_TEXT, "");
}

static void add_views(struct help_state *state)
{
    const struct sx_view_ops *ops;

    add(state, SX_STYLE_TITLE, "Views");
    for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++) {
        struct sx_str line = SX_STR_INIT;
        sx_str_printf(&line, "    %c  %-12s %s", ops->key ? ops->key : ' ', ops->name, ops->help);
        add(state, SX_STYLE_TEXT, line.data);
        sx_str_release(&line);
    }
    add_wrapped(state, SX_STYLE_DIM, 4,
                "Open one by its number and Enter, by Alt and the number, by F2 to F9, or with "
                ":view NAME. A number before a move repeats it: 5j.");
    add(state, SX_STYLE_TEXT, "");
}

static void add_signs(struct help_state *state)
{
    static const char *const lines[] = {
        "    ●●●   partner found in 3 of 3 seeds; ●●○ in 2 of 3; ○○○ orphan",
        "    †     dead: the encoder or decoder row is zero",
        "    ≈     ambiguous: the second best partner is within 0.05",
        "    *     marked",
        "    !     warning: the inspector (7) tells which",
        "    ·     exactly zero;  –  not computed;  ?  not known;  …  on its way",
    };

    add(state, SX_STYLE_TITLE, "Signs");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        add(state, SX_STYLE_TEXT, lines[i]);
    add(state, SX_STYLE_TEXT, "");
}

static void add_commands(struct help_state *state)
{
    const struct sx_command *command;

    add(state, SX_STYLE_TITLE, "Commands for the : prompt (Tab completes)");
    for (size_t i = 0; (command = sx_command_at(i)) != NULL; i++) {
        struct sx_str line = SX_STR_INIT;
        if (!(command->flags & SX_CMD_PROMPT) || (command->flags & SX_CMD_HIDDEN))
            continue;
        sx_str_printf(&line, "    :%-14s %s", command->name, command->help);
        add(state, SX_STYLE_TEXT, line.data);
        sx_str_release(&line);
    }
    add(state, SX_STYLE_TEXT, "");
    add(state, SX_STYLE_TITLE, "Filters (:filter TEXT)");
    add_wrapped(state, SX_STYLE_TEXT, 4, sx_filter_help());
}

static void forget(struct help_state *state)
{
    for (size_t i = 0; i < state->n; i++)
        sx_free(state->lines[i].text);
    state->n = 0;
}

static void build(struct help_state *state, const struct sx_keymap *map)
{
    const struct sx_view_ops *topic = sx_view_find(state->topic);
    const struct sx_view_ops *ops;

    forget(state);
    if (topic)
        add_view(state, map, topic);
    add(state, SX_STYLE_TITLE, "Everywhere");
    add_keys(state, map, "move");
    add_keys(state, map, "global");
    add(state, SX_STYLE_TEXT, "");
    add_views(state);
    add_signs(state);
    add_commands(state);
    add(state, SX_STYLE_TEXT, "");
    for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++) {
        if (ops != topic && ops->n_keys > 0)
            add_view(state, map, ops);
    }
}

static const char *help_line(const void *ctx, size_t i, enum sx_style *style)
{
    const struct help_state *state = ctx;
    *style = state->lines[i].style;
    return state->lines[i].text;
}

static struct sx_pager help_pager(const struct help_state *state)
{
    return (struct sx_pager){
        .n_lines = state->n, .line = help_line, .ctx = state, .find = state->find};
}

static void help_need(struct sx_view *view, const struct sx_session *session, struct sx_emit *emit)
{
    struct help_state *state = view->state;

    (void)session;
    if (state->n > 0)
        return;
    build(state, view->env->keymap);
    emit->dirty = true;
}

static void help_draw(const struct sx_view *view, const struct sx_session *session,
                      struct sx_canvas *canvas)
{
    struct help_state *state = view->state;
    const struct sx_pager pager = help_pager(state);
    struct sx_canvas body = sx_frame(canvas, "help", NULL, true);

    (void)session;
    sx_pager_draw(&body, &pager, &state->pager, true);
}

static void go_to(struct help_state *state, size_t line)
{
    if (line != (size_t)-1)
        state->pager.top = line;
}

static bool help_request(struct sx_view *view, const struct sx_session *session,
                         const struct sx_view_request *request, struct sx_emit *emit)
{
    struct help_state *state = view->state;
    const struct sx_pager pager = help_pager(state);

    (void)session;
    if (strcmp(request->name, "topic") == 0) {
        snprintf(state->topic, sizeof state->topic, "%s", request->text ? request->text : "");
        forget(state);
        state->pager = (struct sx_pager_state){0};
    } else if (strcmp(request->name, "search") == 0 ||
               strcmp(request->name, "search-typing") == 0) {
        snprintf(state->find, sizeof state->find, "%s", request->text);
        if (*state->find)
            go_to(state, sx_pager_find(&pager, state->find, state->pager.top, false));
    } else if (strcmp(request->name, "search-next") == 0) {
        go_to(state, sx_pager_find(&pager, state->find, state->pager.top + 1, false));
    } else if (strcmp(request->name, "search-previous") == 0) {
        if (state->pager.top > 0)
            go_to(state, sx_pager_find(&pager, state->find, state->pager.top - 1, true));
    } else if (!sx_pager_request(&pager, &state->pager, request->name, request->count)) {
        return false;
    }
    emit->dirty = true;
    return true;
}

static void help_title(const struct sx_view *view, const struct sx_session *session,
                       struct sx_str *out)
{
    const struct help_state *state = view->state;

    (void)session;
    sx_str_append(out, "help");
    if (*state->topic)
        sx_str_printf(out, " ▸ %s", state->topic);
}

static struct sx_value *help_data(const struct sx_view *view, const struct sx_session *session)
{
    struct sx_value *document = sx_value_map();
    struct sx_value *rows = sx_value_set(document, "rows", sx_value_list());
    const struct sx_view_ops *ops;

    (void)session;
    (void)view;
    for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++) {
        for (size_t k = 0; k < ops->n_keys; k++) {
            struct sx_value *row = sx_value_append(rows, sx_value_map());
            sx_value_set(row, "view", sx_value_string(ops->name));
            sx_value_set(row, "key", sx_value_string(ops->keys[k].key));
            sx_value_set(row, "request", sx_value_string(ops->keys[k].request));
            sx_value_set(row, "help", sx_value_string(ops->keys[k].help));
        }
    }
    return document;
}

static void help_release(struct sx_view *view)
{
    struct help_state *state = view->state;
    forget(state);
    sx_free(state->lines);
}

const struct sx_view_ops sx_view_help = {
    .name = "help",
    .help = "the keys of a view, of every view, the signs and the commands",
    .key = '?',
    .n_panes = 1,
    .state_size = sizeof(struct help_state),
    .need = help_need,
    .draw = help_draw,
    .request = help_request,
    .title = help_title,
    .data = help_data,
    .release = help_release,
};
