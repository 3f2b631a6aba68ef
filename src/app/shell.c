#include "shell.h"

#include <stdio.h>
#include <string.h>

#include "keys.h"
#include "resource.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "shell_private.h"

enum { SETTLE_ROUNDS = 16, WHEEL_ROWS = 3 };

struct view_slot *sx_shell_slot(struct sx_shell *shell)
{
    return &shell->slots[shell->current];
}

struct sx_run *sx_shell_run(const struct sx_shell *shell)
{
    return shell->run;
}

const struct sx_session *sx_shell_session(const struct sx_shell *shell)
{
    return sx_run_session(shell->run);
}

bool sx_shell_quits(const struct sx_shell *shell)
{
    return shell->quit;
}

const char *sx_shell_view_name(const struct sx_shell *shell)
{
    return shell->slots[shell->current].view.ops->name;
}

const struct sx_theme *sx_shell_theme_now(const struct sx_shell *shell)
{
    return &shell->theme;
}

size_t sx_shell_contexts(const struct sx_shell *shell, const char *contexts[SHELL_CONTEXTS])
{
    contexts[0] = shell->slots[shell->current].view.ops->name;
    contexts[1] = "move";
    contexts[2] = "global";
    return SHELL_CONTEXTS;
}

/* --- life --------------------------------------------------------------------------------------
 */

static void load_layout(struct sx_shell *shell, struct view_slot *slot)
{
    char *file = sx_xasprintf("views/%s.yaml", slot->view.ops->name);
    struct sx_error err;
    const enum sx_status status = sx_resource_load(file, &slot->layout, &err);

    if (status != SX_OK && status != SX_ERR_NOTFOUND)
        sx_run_message(shell->run, status, "%s", err.message);
    sx_free(file);
}

static void make_slots(struct sx_shell *shell)
{
    const struct sx_view_ops *ops;

    for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++) {
        struct view_slot *slot = &shell->slots[shell->n_slots++];
        SX_ASSERT(i < MAX_VIEWS);
        slot->view.ops = ops;
        slot->view.state = sx_xcalloc(1, ops->state_size ? ops->state_size : 1);
        load_layout(shell, slot);
        slot->env = (struct sx_view_env){.keymap = shell->keymap, .layout = slot->layout};
        slot->view.env = &slot->env;
    }
}

static void fit_views(struct sx_shell *shell)
{
    int w;
    int h;

    sx_term_size(shell->term, &w, &h);
    if (!shell->screen)
        shell->screen =
            sx_screen_new(w, h, sx_term_charset(shell->term), sx_term_depth(shell->term));
    else if (shell->screen->w != w || shell->screen->h != h)
        sx_screen_resize(shell->screen, w, h);
    for (size_t i = 0; i < shell->n_slots; i++) {
        shell->slots[i].view.width = w;
        shell->slots[i].view.height = h > 3 ? h - 3 : 0;
        shell->slots[i].asked = false; /* a larger screen may show what was not asked for */
    }
    sx_shell_rest(shell);
    shell->n_followers = 0;
    shell->dirty = true;
}

struct sx_shell *sx_shell_new(const struct sx_config *config, struct sx_term *term)
{
    struct sx_shell *shell = sx_xcalloc(1, sizeof *shell);
    struct sx_error err;

    shell->config = config;
    shell->term = term;
    shell->run = sx_run_new();
    shell->theme = *sx_theme_default();
    for (int i = 0; i < MODE_COUNT; i++)
        shell->history[i] = sx_history_new();
    if (sx_keys_new(config->keys, config->path, &shell->keymap, &err) != SX_OK) {
        sx_run_message(shell->run, err.status, "%s", err.message);
        if (sx_keys_new(NULL, NULL, &shell->keymap, &err) != SX_OK)
            SX_ASSERT(!"the built-in keymap");
    }
    if (sx_resource_theme(config->theme, &shell->theme, &err) != SX_OK)
        sx_run_message(shell->run, err.status, "%s", err.message);
    make_slots(shell);
    fit_views(shell);
    return shell;
}

void sx_shell_free(struct sx_shell *shell)
{
    if (!shell)
        return;
    for (size_t i = 0; i < shell->n_slots; i++) {
        struct view_slot *slot = &shell->slots[i];
        if (slot->view.ops->release)
            slot->view.ops->release(&slot->view);
        sx_free(slot->view.state);
        sx_value_free(slot->layout);
    }
    for (int i = 0; i < MODE_COUNT; i++)
        sx_history_free(shell->history[i]);
    sx_value_free(shell->completions);
    sx_keymap_free(shell->keymap);
    sx_run_free(shell->run);
    sx_screen_free(shell->screen);
    sx_screen_free(shell->rested);
    sx_free(shell);
}

/* --- views -------------------------------------------------------------------------------------
 */

/* Carry out what a view emitted; a line that fails has put its reason on the message line. */
static void carry_out(struct sx_shell *shell, struct sx_emit *emit)
{
    shell->dirty |= emit->dirty;
    for (size_t i = 0; i < sx_value_count(emit->lines); i++) {
        const char *line = sx_value_string_or(sx_value_item(emit->lines, i), "");
        struct sx_error err;
        if (sx_shell_line(shell, line, &err) != SX_OK)
            sx_log(SX_LOG_WARN, "%s: %s", line, err.message);
    }
    sx_value_free(emit->lines);
    emit->lines = NULL;
}

/* From line to line; left and right move sliders. */
static bool moves_cursor(const char *request)
{
    static const char *const moves[] = {"down",      "up",      "page-down", "page-up",
                                        "half-down", "half-up", "first",     "last"};

    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (strcmp(request, moves[i]) == 0)
            return true;
    return false;
}

bool sx_shell_offer(struct sx_shell *shell, const struct sx_view_request *request)
{
    struct view_slot *slot = sx_shell_slot(shell);
    struct sx_emit emit = {0};
    bool taken;

    if (!slot->view.ops->request)
        return false;
    taken = slot->view.ops->request(&slot->view, sx_shell_session(shell), request, &emit);
    shell->moved |= taken && moves_cursor(request->name);
    carry_out(shell, &emit);
    if (taken)
        shell->dirty = true;
    return taken;
}

static bool offer_name(struct sx_shell *shell, const char *name, unsigned count)
{
    return sx_shell_offer(
        shell, &(struct sx_view_request){.name = name, .count = count, .x = -1, .y = -1});
}

static bool offer_text(struct sx_shell *shell, const char *name, const char *text)
{
    return sx_shell_offer(shell,
                          &(struct sx_view_request){.name = name, .text = text, .x = -1, .y = -1});
}

static void show(struct sx_shell *shell, size_t index)
{
    sx_shell_rest(shell);
    shell->current = index;
    shell->slots[index].asked = false;
    shell->key_state = (struct sx_key_state){0};
    shell->dirty = true;
}

enum sx_status sx_shell_view(struct sx_shell *shell, const char *name, struct sx_error *err)
{
    size_t i = 0;

    while (i < shell->n_slots && strcmp(shell->slots[i].view.ops->name, name) != 0)
        i++;
    if (i == shell->n_slots) {
        struct sx_str all = SX_STR_INIT;
        for (size_t k = 0; k < shell->n_slots; k++)
            sx_str_printf(&all, "%s%s", k ? ", " : "", shell->slots[k].view.ops->name);
        sx_fail(err, SX_ERR_USAGE, "no view is called %s; there are %s", name, all.data);
        sx_str_release(&all);
        return SX_ERR_USAGE;
    }
    if (i == shell->current)
        return SX_OK;
    /* Coming to a view again goes back to it: the way out stays short. */
    for (size_t k = 0; k < shell->n_back; k++) {
        if (shell->back[k] == i) {
            shell->n_back = k;
            show(shell, i);
            return SX_OK;
        }
    }
    if (shell->n_back < MAX_BACK)
        shell->back[shell->n_back++] = shell->current;
    show(shell, i);
    return SX_OK;
}

enum sx_status sx_shell_theme(struct sx_shell *shell, const char *name, struct sx_error *err)
{
    struct sx_theme theme;

    SX_TRY(sx_resource_theme(name, &theme, err));
    shell->theme = theme;
    shell->dirty = true;
    sx_term_redraw(shell->term);
    return SX_OK;
}

void sx_shell_go_back(struct sx_shell *shell)
{
    if (shell->n_back > 0)
        show(shell, shell->back[--shell->n_back]);
    else
        sx_run_message(shell->run, SX_OK, "q quits");
}

struct sx_value *sx_shell_data(struct sx_shell *shell)
{
    struct view_slot *slot = sx_shell_slot(shell);

    if (!slot->view.ops->data)
        return NULL;
    return slot->view.ops->data(&slot->view, sx_shell_session(shell));
}

/* --- rest --------------------------------------------------------------------------------------
 */

size_t sx_shell_followers(struct sx_shell *shell, struct sx_rect out[SX_FOLLOWERS])
{
    const struct sx_view *view = &sx_shell_slot(shell)->view;

    return view->ops->followers ? view->ops->followers(view, sx_shell_session(shell), out) : 0;
}

bool sx_shell_followers_in_place(struct sx_shell *shell)
{
    struct sx_rect now[SX_FOLLOWERS];
    const size_t n = sx_shell_followers(shell, now);

    if (n == 0 || n != shell->n_followers || shell->rested_view != shell->current ||
        shell->rested_focus != sx_shell_slot(shell)->view.focus)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct sx_rect then = shell->follower[i];
        if (now[i].x != then.x || now[i].y != then.y || now[i].w != then.w || now[i].h != then.h)
            return false;
    }
    return true;
}

bool sx_shell_moving(const struct sx_shell *shell)
{
    return shell->moving;
}

void sx_shell_rest(struct sx_shell *shell)
{
    struct view_slot *slot = sx_shell_slot(shell);

    if (!shell->moving)
        return;
    shell->moving = slot->view.moving = false;
    slot->asked = false;
    shell->dirty = true;
}

/* After a key: does the cursor move, with its followers still in place? */
static void watch_cursor(struct sx_shell *shell, uint64_t selection_before)
{
    const bool selected = sx_shell_session(shell)->revision[SX_SLOT_SELECTION] != selection_before;

    if (!sx_shell_followers_in_place(shell))
        sx_shell_rest(shell);
    else if (selected || shell->moved)
        shell->moving = sx_shell_slot(shell)->view.moving = true;
}

/* --- settling ----------------------------------------------------------------------------------
 */

static bool out_of_date(const struct view_slot *slot, const struct sx_session *session)
{
    if (!slot->asked)
        return true;
    for (int i = 0; i < SX_SLOT_COUNT; i++) {
        if ((slot->view.ops->depends >> i & 1) && slot->seen[i] != session->revision[i])
            return true;
    }
    return false;
}

void sx_shell_settle(struct sx_shell *shell)
{
    const struct sx_session *session = sx_shell_session(shell);

    if (sx_run_apply(shell->run))
        shell->dirty = true;
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        struct view_slot *slot = sx_shell_slot(shell);
        struct sx_emit emit = {0};

        if (!out_of_date(slot, session))
            return;
        slot->asked = true;
        memcpy(slot->seen, session->revision, sizeof slot->seen);
        shell->dirty = true;
        if (!slot->view.ops->need)
            return;
        slot->view.ops->need(&slot->view, session, &emit);
        carry_out(shell, &emit);
    }
    sx_log(SX_LOG_WARN, "%s does not settle", sx_shell_slot(shell)->view.ops->name);
}

void sx_shell_wait(struct sx_shell *shell)
{
    sx_shell_rest(shell);
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        sx_shell_settle(shell);
        if (!sx_run_busy(shell->run) && !out_of_date(sx_shell_slot(shell), sx_shell_session(shell)))
            return;
        sx_run_wait_idle(shell->run);
        shell->dirty = true;
    }
}

bool sx_shell_busy(const struct sx_shell *shell)
{
    return sx_run_busy(shell->run);
}

double sx_shell_refresh_interval(const struct sx_shell *shell)
{
    return shell->slots[shell->current].view.ops->refresh_s;
}

void sx_shell_refresh(struct sx_shell *shell)
{
    offer_name(shell, "refresh", 0);
}

/* --- prompts -----------------------------------------------------------------------------------
 */

static void open_prompt(struct sx_shell *shell, enum shell_mode mode, const char *request)
{
    char lead[sizeof shell->prompt.lead];
    const char *text = "";

    shell->mode = mode;
    snprintf(shell->ask, sizeof shell->ask, "%s", request);
    if (mode == MODE_COMMAND) {
        snprintf(lead, sizeof lead, ":");
    } else if (mode == MODE_SEARCH) {
        snprintf(lead, sizeof lead, "/");
    } else {
        const char *name = strncmp(request, "ask-", 4) == 0 ? request + 4 : request;
        snprintf(lead, sizeof lead, "%.*s: ", (int)sizeof lead - 3, name);
        text = sx_shell_slot(shell)->found;
    }
    sx_prompt_open(&shell->prompt, lead, text, shell->history[mode]);
    shell->dirty = true;
}

static void close_prompt(struct sx_shell *shell)
{
    shell->mode = MODE_KEYS;
    shell->prompt.candidate = NULL;
    shell->dirty = true;
}

static void complete(struct sx_shell *shell)
{
    size_t from = 0;
    size_t n;

    if (shell->mode != MODE_COMMAND)
        return;
    char *head = sx_xstrndup(shell->prompt.text, shell->prompt.cursor);
    sx_value_free(shell->completions);
    shell->completions = sx_shell_complete(head, &from);
    sx_free(head);
    n = sx_value_count(shell->completions);
    n = n < COMPLETIONS ? n : COMPLETIONS;
    for (size_t i = 0; i < n; i++)
        shell->completion[i] = sx_value_string_or(sx_value_item(shell->completions, i), "");
    sx_prompt_set_candidates(&shell->prompt, from, shell->completion, n);
}

static void accept(struct sx_shell *shell)
{
    const enum shell_mode mode = shell->mode;
    struct view_slot *slot = sx_shell_slot(shell);
    char *text = sx_xstrdup(shell->prompt.text);
    struct sx_error err;

    close_prompt(shell);
    if (mode == MODE_COMMAND) {
        if (text[strspn(text, " ")] != '\0' && sx_shell_line(shell, text, &err) != SX_OK)
            sx_log(SX_LOG_INFO, ":%s: %s", text, err.message);
    } else {
        if (mode == MODE_ASK)
            snprintf(slot->found, sizeof slot->found, "%s", text);
        if (!offer_text(shell, shell->ask, text))
            sx_run_message(shell->run, SX_OK, "%s has nothing to search", slot->view.ops->name);
    }
    sx_free(text);
}

static void prompt_key(struct sx_shell *shell, struct sx_key key)
{
    switch (sx_prompt_key(&shell->prompt, key)) {
    case SX_PROMPT_IGNORED:
        return;
    case SX_PROMPT_MOVED:
        break;
    case SX_PROMPT_EDITED:
        if (shell->mode == MODE_SEARCH)
            offer_text(shell, "search-typing", shell->prompt.text);
        break;
    case SX_PROMPT_COMPLETE:
        complete(shell);
        break;
    case SX_PROMPT_ACCEPT:
        accept(shell);
        break;
    case SX_PROMPT_CANCEL:
        if (shell->mode == MODE_SEARCH)
            offer_text(shell, "search", "");
        close_prompt(shell);
        break;
    }
    shell->dirty = true;
}

/* --- requests ----------------------------------------------------------------------------------
 */

const struct sx_job_info *sx_shell_work(const struct sx_shell *shell)
{
    const struct sx_session *session = sx_shell_session(shell);

    for (size_t i = 0; i < session->n_jobs; i++) {
        const struct sx_job_info *job = &session->jobs[i];
        if (job->lane == SX_LANE_COMPUTE &&
            (job->state == SX_JOB_RUNNING || job->state == SX_JOB_QUEUED))
            return job;
    }
    return NULL;
}

static void cancel_work(struct sx_shell *shell)
{
    if (sx_shell_work(shell)) {
        sx_run_cancel_all(shell->run);
        sx_run_message(shell->run, SX_OK, "cancelled");
    } else {
        sx_run_message(shell->run, SX_OK, "nothing is running; q quits");
    }
}

/* Esc: out of the view's own mode, then the running work, then the view. */
static void back(struct sx_shell *shell, unsigned count)
{
    if (count > 0)
        return; /* the count alone was cancelled */
    if (offer_name(shell, "back", 0))
        return;
    if (sx_shell_work(shell))
        cancel_work(shell);
    else
        sx_shell_go_back(shell);
}

void sx_shell_quit(struct sx_shell *shell)
{
    const struct sx_job_info *job = sx_shell_work(shell);

    if (job && !shell->quit_asked) {
        shell->quit_asked = true;
        sx_run_message(shell->run, SX_OK, "%.*s is running: once more cancels it and quits",
                       (int)strcspn(job->line, " "), job->line);
        return;
    }
    shell->quit = true;
}

static void leave(struct sx_shell *shell)
{
    if (offer_name(shell, "leave", 0))
        return;
    if (shell->n_back > 0)
        sx_shell_go_back(shell);
    else
        sx_shell_quit(shell);
}

static void move_focus(struct sx_shell *shell, const char *request, int delta)
{
    struct sx_view *view = &sx_shell_slot(shell)->view;

    if (offer_name(shell, request, 0) || view->ops->n_panes < 2)
        return;
    view->focus = (view->focus + delta + view->ops->n_panes) % view->ops->n_panes;
    shell->dirty = true;
}

static void explain(struct sx_shell *shell)
{
    const char *topic = sx_shell_slot(shell)->view.ops->name;
    struct sx_error err;

    if (strcmp(topic, "help") == 0)
        return;
    if (sx_shell_view(shell, "help", &err) == SX_OK)
        offer_text(shell, "topic", topic);
}

/* 3 Enter opens the view whose key is 3. */
static bool open_by_number(struct sx_shell *shell, unsigned count)
{
    struct sx_error err;

    for (size_t i = 0; count > 0 && count <= 9 && i < shell->n_slots; i++) {
        if (shell->slots[i].view.ops->key == (char)('0' + count))
            return sx_shell_view(shell, shell->slots[i].view.ops->name, &err) == SX_OK;
    }
    return false;
}

static void dispatch(struct sx_shell *shell, const char *request, unsigned count)
{
    struct sx_error err;

    if (request[0] == ':') {
        if (sx_shell_line(shell, request + 1, &err) != SX_OK)
            sx_log(SX_LOG_INFO, "%s: %s", request, err.message);
    } else if (strcmp(request, "command") == 0) {
        open_prompt(shell, MODE_COMMAND, request);
    } else if (strcmp(request, "search") == 0) {
        open_prompt(shell, MODE_SEARCH, request);
    } else if (strcmp(request, "filter") == 0 || strncmp(request, "ask-", 4) == 0) {
        open_prompt(shell, MODE_ASK, request);
    } else if (strcmp(request, "help") == 0) {
        explain(shell);
    } else if (strcmp(request, "redraw") == 0) {
        sx_term_redraw(shell->term);
        shell->dirty = true;
    } else if (strcmp(request, "suspend") == 0) {
        sx_term_suspend(shell->term);
    } else if (strcmp(request, "cancel") == 0) {
        cancel_work(shell);
    } else if (strcmp(request, "back") == 0) {
        back(shell, count);
    } else if (strcmp(request, "leave") == 0) {
        leave(shell);
    } else if (strcmp(request, "focus-next") == 0) {
        move_focus(shell, request, 1);
    } else if (strcmp(request, "focus-previous") == 0) {
        move_focus(shell, request, -1);
    } else {
        offer_name(shell, request, count);
    }
}

static void offer_mouse(struct sx_shell *shell, const char *name, struct sx_key key)
{
    sx_shell_offer(shell, &(struct sx_view_request){.name = name, .x = key.x, .y = key.y - 1});
}

static void mouse(struct sx_shell *shell, struct sx_key key)
{
    const bool in_body = key.y >= 1 && key.y <= sx_shell_slot(shell)->view.height;
    const char *wheel = key.code == SX_KEY_WHEEL_UP ? "wheel-up" : "wheel-down";

    if (!in_body)
        return;
    switch (key.code) {
    case SX_KEY_CLICK:
        offer_mouse(shell, "click", key);
        break;
    case SX_KEY_DOUBLE_CLICK:
        offer_mouse(shell, "click", key);
        dispatch(shell, "open", 0);
        break;
    case SX_KEY_DRAG:
        offer_mouse(shell, "drag", key);
        break;
    case SX_KEY_WHEEL_UP:
    case SX_KEY_WHEEL_DOWN:
        if (!sx_shell_offer(shell,
                            &(struct sx_view_request){.name = wheel, .x = key.x, .y = key.y - 1}))
            offer_name(shell, key.code == SX_KEY_WHEEL_UP ? "up" : "down", WHEEL_ROWS);
        break;
    default:
        break;
    }
}

static void normal_key(struct sx_shell *shell, struct sx_key key)
{
    const char *contexts[SHELL_CONTEXTS];
    const size_t n = sx_shell_contexts(shell, contexts);
    const unsigned typed = shell->key_state.count;
    unsigned count = 0;
    const bool asked = shell->quit_asked;
    const struct sx_key_binding *binding =
        sx_keymap_feed(shell->keymap, &shell->key_state, contexts, n, key, &count);

    if (shell->key_state.count != typed)
        shell->dirty = true;
    if (key.code == SX_KEY_ENTER && open_by_number(shell, count))
        return;
    if (!binding || !binding->request)
        return;
    dispatch(shell, binding->request, count);
    /* Anything but a second q takes the question back. */
    if (asked && !shell->quit)
        shell->quit_asked = false;
}

void sx_shell_key(struct sx_shell *shell, struct sx_key key)
{
    const uint64_t shown = sx_shell_session(shell)->revision[SX_SLOT_MESSAGE];
    const uint64_t selection = sx_shell_session(shell)->revision[SX_SLOT_SELECTION];

    switch (key.code) {
    case SX_KEY_RESIZE:
        fit_views(shell);
        return;
    case SX_KEY_CLOSED:
        shell->quit = true;
        return;
    case SX_KEY_PASTE:
        if (shell->mode != MODE_KEYS) {
            sx_prompt_insert(&shell->prompt, sx_term_paste(shell->term));
            shell->dirty = true;
        }
        return;
    default:
        break;
    }
    shell->moved = false;
    if (shell->message_hidden != shown) {
        shell->message_hidden = shown; /* it has been read */
        shell->dirty = true;
    }
    if (sx_key_is_mouse(key)) {
        if (shell->mode == MODE_KEYS)
            mouse(shell, key);
    } else if (shell->mode == MODE_KEYS) {
        normal_key(shell, key);
    } else {
        prompt_key(shell, key);
    }
    watch_cursor(shell, selection);
}

/* --- lines -------------------------------------------------------------------------------------
 */

enum sx_status sx_shell_line(struct sx_shell *shell, const char *line, struct sx_error *err)
{
    struct sx_error local;
    enum sx_status status;

    line += strspn(line, ": ");
    if (!err)
        err = &local;
    if (sx_shell_own_line(shell, line, &status, err)) {
        if (status != SX_OK && status != SX_CANCELLED)
            sx_run_message(shell->run, status, "%s", err->message);
    } else {
        status = sx_run_submit_line(shell->run, line, NULL, err);
    }
    shell->dirty = true;
    return status;
}

/* --- screens -----------------------------------------------------------------------------------
 */

void sx_shell_draw(struct sx_shell *shell)
{
    if (!shell->dirty)
        return;
    sx_shell_compose(shell);
    sx_term_flush(shell->term, shell->screen, &shell->theme);
    shell->dirty = false;
}

const struct sx_screen *sx_shell_screen(struct sx_shell *shell)
{
    sx_shell_compose(shell);
    return shell->screen;
}
