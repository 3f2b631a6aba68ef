/* Commands that change the session and nothing else: done on the UI thread at once. `prepare`
 * checks, so that `apply` cannot fail. */
#include "commands_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "rows.h"
#include "run_private.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/model/model.h"
#include "sextant/model/tokenizer.h"
#include "sextant/run/commands.h"
#include "sextant/run/search.h"

static bool given(const struct sx_job *job, const char *name)
{
    return sx_value_get(job->args, name) != NULL;
}

static size_t index_of(const struct sx_job *job, const char *name)
{
    return (size_t)sx_value_int_or(sx_value_get(job->args, name), 0);
}

/* --- select -------------------------------------------------------------------------------------
 */

static enum sx_status below(const char *what, size_t index, size_t count, struct sx_error *err)
{
    if (index < count)
        return SX_OK;
    if (count == 0)
        return sx_fail(err, SX_ERR_USAGE, "select: there is no %s here", what);
    return sx_fail(err, SX_ERR_USAGE, "select: --%s %zu, but the last one is %zu", what, index,
                   count - 1);
}

static enum sx_status read_pair(const struct sx_job *job, size_t n_members,
                                struct sx_selection *target, struct sx_error *err)
{
    const char *text = sx_arg_text(job->args, "pair");
    if (!text)
        return SX_OK;
    char *end;
    unsigned long a = strtoul(text, &end, 10);
    unsigned long b = 0;
    bool ok = end != text && *end == ',' && end[1];
    if (ok) {
        const char *second = end + 1;
        b = strtoul(second, &end, 10);
        ok = end != second && *end == '\0';
    }
    if (!ok)
        return sx_fail(err, SX_ERR_USAGE, "select: --pair must be A,B, not '%.40s'", text);
    SX_TRY(below("pair", a > b ? a : b, n_members, err));
    if (a == b)
        return sx_fail(err, SX_ERR_USAGE, "select: --pair needs two different seeds");
    target->pair_a = a;
    target->pair_b = b;
    return SX_OK;
}

static uint64_t latents_of(const struct sx_workspace *workspace, size_t family)
{
    if (family >= workspace->n_families)
        return 0;
    return workspace->entries[workspace->families[family].members[0]].info.dict_size;
}

static enum sx_status select_entry(const struct sx_workspace *workspace, size_t entry,
                                   struct sx_selection *target, struct sx_error *err)
{
    SX_TRY(below("entry", entry, workspace->n_entries, err));
    target->entry = entry;
    if (workspace->entries[entry].kind == SX_ENTRY_TRAINING)
        target->training = entry;
    if (workspace->entries[entry].kind == SX_ENTRY_MODEL)
        target->model = entry;
    const size_t family = workspace->entries[entry].family;
    if (family == SIZE_MAX)
        return SX_OK;
    target->family = family;
    for (size_t i = 0; i < workspace->families[family].n_members; i++)
        if (workspace->families[family].members[i] == entry)
            target->seed_index = i;
    return SX_OK;
}

/* An entry of one kind by its number. */
static enum sx_status pick_entry(const struct sx_session *session, const struct sx_job *job,
                                 const char *name, enum sx_entry_kind kind, size_t *out,
                                 struct sx_error *err)
{
    if (!given(job, name))
        return SX_OK;
    const size_t entry = index_of(job, name);
    SX_TRY(below(name, entry, session->workspace.n_entries, err));
    const struct sx_entry *found = &session->workspace.entries[entry];
    if (kind == SX_ENTRY_MODEL ? !sx_entry_asked(found) : found->kind != kind)
        return sx_fail(err, SX_ERR_USAGE, "select: entry %zu is no %s", entry,
                       kind == SX_ENTRY_MODEL ? "model" : "training run");
    *out = entry;
    return SX_OK;
}

/* With the dimensions that are not rotated as one more. */
static size_t bands_of(const struct sx_model_info *model)
{
    return (size_t)(model->n_bands + (2 * model->n_bands < model->d_head));
}

/* Cursors of the transformer views. */
static enum sx_status pick_cursors(const struct sx_session *session, const struct sx_job *job,
                                   struct sx_selection *target, struct sx_error *err)
{
    const struct sx_workspace *workspace = &session->workspace;
    const bool ready =
        session->input.state == SX_STATE_READY && session->input.model == target->model;
    const size_t n = ready ? session->input.n : 0;
    const bool any = target->model < workspace->n_entries;
    const struct sx_model_info *model = any ? &workspace->entries[target->model].model : NULL;
    const struct {
        const char *name;
        size_t count;
        size_t *out;
    } cursors[] = {
        {"token", n, &target->token},
        {"key", n, &target->key},
        {"layer", model ? (size_t)model->n_layers : 0, &target->layer},
        {"head", model ? (size_t)model->n_heads : 0, &target->head},
        {"band", model ? bands_of(model) : 0, &target->band},
        {"protein", session->nterm.result.n_rows, &target->protein},
    };
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
        if (!given(job, cursors[i].name))
            continue;
        SX_TRY(below(cursors[i].name, index_of(job, cursors[i].name), cursors[i].count, err));
        *cursors[i].out = index_of(job, cursors[i].name);
    }
    return SX_OK;
}

/* Where the selection would be after the command. */
static enum sx_status find_target(const struct sx_session *session, const struct sx_job *job,
                                  struct sx_selection *target, struct sx_error *err)
{
    const struct sx_workspace *workspace = &session->workspace;
    const struct sx_selection *now = &session->selection;
    *target = *now;
    if (given(job, "entry"))
        SX_TRY(select_entry(workspace, index_of(job, "entry"), target, err));
    if (given(job, "family")) {
        target->family = index_of(job, "family");
        SX_TRY(below("family", target->family, workspace->n_families, err));
    }
    if (target->family != now->family) {
        if (!given(job, "entry"))
            target->seed_index = 0;
        target->latent = 0;
        target->pair_a = 0;
        target->pair_b = 1;
    }
    const bool any = target->family < workspace->n_families;
    const size_t n_members = any ? workspace->families[target->family].n_members : 0;
    if (given(job, "seed")) {
        target->seed_index = index_of(job, "seed");
        SX_TRY(below("seed", target->seed_index, n_members, err));
    }
    if (given(job, "latent")) {
        SX_TRY(below("latent", index_of(job, "latent"),
                     (size_t)latents_of(workspace, target->family), err));
        target->latent = (uint32_t)index_of(job, "latent");
    }
    SX_TRY(pick_entry(session, job, "training", SX_ENTRY_TRAINING, &target->training, err));
    SX_TRY(pick_entry(session, job, "model", SX_ENTRY_MODEL, &target->model, err));
    if (target->model != now->model) {
        target->token = SX_FIRST_TOKEN;
        target->key = target->layer = target->head = target->band = target->protein = 0;
    }
    SX_TRY(pick_cursors(session, job, target, err));
    return read_pair(job, n_members, target, err);
}

SX_PREPARE(select)
{
    struct sx_selection target;
    return find_target(session, job, &target, err);
}

static void count_marks(struct sx_session *session)
{
    const struct sx_family_data *family = &session->family;
    const size_t seed = session->selection.seed_index;
    session->n_marks =
        family->state == SX_STATE_READY && seed < family->n_seeds ? family->seeds[seed].n_marks : 0;
}

static bool same_selection(const struct sx_selection *a, const struct sx_selection *b)
{
    return a->entry == b->entry && a->family == b->family && a->seed_index == b->seed_index &&
           a->latent == b->latent && a->pair_a == b->pair_a && a->pair_b == b->pair_b &&
           a->training == b->training && a->model == b->model && a->token == b->token &&
           a->key == b->key && a->layer == b->layer && a->head == b->head && a->band == b->band &&
           a->protein == b->protein;
}

SX_APPLY(select)
{
    struct sx_selection target;
    struct sx_selection *selection = &session->selection;
    if (find_target(session, job, &target, NULL) != SX_OK)
        return; /* prepare has looked already */
    const struct sx_selection before = *selection;
    *selection = target;
    if (!same_selection(&before, selection))
        sx_session_touch(session, SX_SLOT_SELECTION);
    if (before.family != selection->family) {
        sx_session_empty_family(session);
        sx_session_empty_match(session);
    }
    if (before.family != selection->family || before.seed_index != selection->seed_index) {
        sx_session_empty_card(session);
        sx_session_empty_gallery(session);
        sx_session_update_summary(session);
        sx_session_update_rows(session);
        count_marks(session);
    }
    if (before.training != selection->training)
        sx_session_empty_curves(session);
    if (before.model != selection->model) {
        session->settings.against = SIZE_MAX;
        session->settings.target = -1;
        session->settings.bands_removed = 0;
        sx_session_empty_input(session);
        sx_session_empty_nterm(session);
    }
}

/* --- set ----------------------------------------------------------------------------------------
 */

static bool is_on(const struct sx_job *job, const char *name, bool now)
{
    const char *text = sx_arg_text(job->args, name);
    return text ? strcmp(text, "on") == 0 : now;
}

/* "none", or a token: where the mask stands in condition B. A later input may be shorter. */
static enum sx_status read_against(const struct sx_session *session, const struct sx_job *job,
                                   size_t *out, struct sx_error *err)
{
    const char *text = sx_arg_text(job->args, "against");
    char *end;
    if (!text)
        return SX_OK;
    if (strcmp(text, "none") == 0) {
        *out = SIZE_MAX;
        return SX_OK;
    }
    const unsigned long long token = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        return sx_fail(err, SX_ERR_USAGE, "set: --against must be a token or none, not '%.40s'",
                       text);
    if (session->input.state != SX_STATE_READY || token >= session->input.n)
        return sx_fail(err, SX_ERR_USAGE, "set: --against %llu: there are %zu tokens", token,
                       session->input.n);
    *out = (size_t)token;
    return SX_OK;
}

/* A token as text, or "default". */
static enum sx_status read_target(const struct sx_session *session, const struct sx_job *job,
                                  int32_t *out, struct sx_error *err)
{
    const char *text = sx_arg_text(job->args, "target");
    const struct sx_input *input = &session->input;
    if (!text)
        return SX_OK;
    if (strcmp(text, "default") == 0) {
        *out = -1;
        return SX_OK;
    }
    if (input->state != SX_STATE_READY)
        return sx_fail(err, SX_ERR_USAGE, "set: --target needs a model with an input");
    if (input->run)
        return sx_no_weights(input, "set --target", err);
    const int32_t id = sx_token_find(sx_model_tokenizer(input->opened), text);
    if (id < 0 || (uint64_t)id >= input->info.vocab)
        return sx_fail(err, SX_ERR_USAGE, "set: --target: '%.40s' is no token of %s", text,
                       input->info.name);
    *out = id;
    return SX_OK;
}

SX_PREPARE(set)
{
    size_t against;
    int32_t target;
    SX_TRY(read_against(session, job, &against, err));
    return read_target(session, job, &target, err);
}

/* What the circuits are asked; the views ask again. */
static void set_circuits(struct sx_session *session, const struct sx_job *job)
{
    struct sx_settings *settings = &session->settings;
    const struct sx_settings before = *settings;
    if (read_against(session, job, &settings->against, NULL) != SX_OK ||
        read_target(session, job, &settings->target, NULL) != SX_OK)
        return; /* prepare has looked already */
    settings->bands_removed = (uint64_t)sx_value_int_or(sx_value_get(job->args, "bands-removed"),
                                                        (int64_t)settings->bands_removed);
    if (before.against != settings->against || before.target != settings->target ||
        before.bands_removed != settings->bands_removed)
        sx_session_touch(session, SX_SLOT_SETTINGS);
}

SX_APPLY(set)
{
    struct sx_settings *settings = &session->settings;
    const struct sx_settings before = *settings;
    set_circuits(session, job);
    settings->tau = sx_value_real_or(sx_value_get(job->args, "tau"), settings->tau);
    settings->alive = sx_value_real_or(sx_value_get(job->args, "alive"), settings->alive);
    settings->orphans_only = is_on(job, "orphans", settings->orphans_only);
    settings->marked_only = is_on(job, "marked-only", settings->marked_only);
    const char *counter = sx_arg_text(job->args, "counter");
    for (int c = 0; counter && c <= SX_COUNTER_PAPER; c++)
        if (strcmp(counter, sx_counter_name((enum sx_counter)c)) == 0)
            settings->counter = (enum sx_counter)c;
    const char *metric = sx_arg_text(job->args, "lens-metric");
    for (int m = 0; metric && m < SX_LENS_COUNT; m++)
        if (strcmp(metric, sx_lens_metric_name((enum sx_lens_metric)m)) == 0)
            settings->lens_metric = (enum sx_lens_metric)m;
    if (before.lens_metric != settings->lens_metric)
        sx_session_touch(session, SX_SLOT_SETTINGS);

    const bool moved = before.tau != settings->tau || before.alive != settings->alive;
    if (!moved && before.counter == settings->counter &&
        before.orphans_only == settings->orphans_only &&
        before.marked_only == settings->marked_only)
        return;
    sx_session_touch(session, SX_SLOT_SETTINGS);
    if (before.alive != settings->alive)
        sx_session_follow_alive(session);
    if (moved || before.counter != settings->counter)
        sx_session_update_summary(session);
    sx_session_update_rows(session);
}

/* --- rows, sort, filter -------------------------------------------------------------------------
 */

/* The filter text that the command asks for, owned; NULL: leave it. */
static char *wanted_filter(const struct sx_job *job)
{
    if (strcmp(job->command->name, "filter") == 0) {
        char *text = sx_arg_joined(job->args, "text");
        return text ? text : sx_xstrdup("");
    }
    return sx_xstrdup(sx_arg_text(job->args, "filter"));
}

SX_PREPARE(rows)
{
    char *text = wanted_filter(job);
    struct sx_filter *filter = NULL;
    enum sx_status status = SX_OK;
    if (text && strlen(text) >= sizeof session->rows.filter)
        status = sx_fail(err, SX_ERR_USAGE, "filter: longer than %zu bytes",
                         sizeof session->rows.filter - 1);
    else if (text)
        status = sx_filter_new(text, &filter, err);
    sx_filter_free(filter);
    sx_free(text);
    return status;
}

SX_APPLY(rows)
{
    struct sx_rows *rows = &session->rows;
    const char *sort = sx_arg_text(job->args, "sort");
    const bool descending = sx_value_bool_or(sx_value_get(job->args, "descending"), false);
    if (!sort)
        sort = sx_arg_text(job->args, "key");
    for (int key = 0; sort && key < SX_SORT_COUNT; key++)
        if (strcmp(sort, sx_sort_key_name((enum sx_sort_key)key)) == 0)
            rows->sort = (enum sx_sort_key)key;
    if (sort || descending)
        rows->descending = descending;
    char *text = wanted_filter(job);
    if (text)
        snprintf(rows->filter, sizeof rows->filter, "%s", text);
    sx_free(text);
    /* The wish changed even while there is nothing to order yet. */
    if (session->family.state != SX_STATE_READY)
        sx_session_touch(session, SX_SLOT_ROWS);
    sx_session_update_rows(session);
}

/* --- jump ---------------------------------------------------------------------------------------
 */

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static char *jump_text(const struct sx_session *session, const struct sx_job *job)
{
    char *text = sx_arg_joined(job->args, "text");
    return text ? text : sx_xstrdup(session->rows.search);
}

static size_t position_of(const struct sx_rows *rows, uint32_t latent)
{
    for (size_t i = 0; i < rows->n; i++)
        if (rows->order[i] == latent)
            return i;
    return SIZE_MAX;
}

/* The count-th row for which the filter holds, from the selected one on, around the end. */
static enum sx_status next_match(const struct sx_session *session, const struct sx_job *job,
                                 const struct sx_filter *filter, uint32_t *latent,
                                 struct sx_error *err)
{
    const struct sx_rows *rows = &session->rows;
    const bool backward = sx_value_bool_or(sx_value_get(job->args, "backward"), false);
    size_t left = index_of(job, "count");
    size_t at = position_of(rows, session->selection.latent);
    bool found = false;
    if (at == SIZE_MAX)
        at = backward ? 0 : rows->n - 1;
    for (size_t step = 0; left && (step < rows->n || found); step++) {
        struct sx_filter_row row;
        at = backward ? (at + rows->n - 1) % rows->n : (at + 1) % rows->n;
        sx_row_describe(session, rows->order[at], &row);
        if (!sx_filter_holds(filter, &row))
            continue;
        found = true;
        *latent = rows->order[at];
        left--;
    }
    return found ? SX_OK : sx_fail(err, SX_ERR_NOTFOUND, "jump: no row is like that");
}

static enum sx_status jump_target(const struct sx_session *session, const struct sx_job *job,
                                  const char *text, uint32_t *latent, struct sx_error *err)
{
    if (!*text)
        return sx_fail(err, SX_ERR_USAGE, "jump: nothing was looked for yet; /TEXT");
    if (strlen(text) >= sizeof session->rows.search)
        return sx_fail(err, SX_ERR_USAGE, "jump: longer than %zu bytes",
                       sizeof session->rows.search - 1);
    if (session->rows.state != SX_STATE_READY || !session->rows.n)
        return sx_fail(err, SX_ERR_USAGE, "jump: there are no rows");
    if (is_number(text)) {
        const uint64_t number = strtoull(text, NULL, 10);
        if (strlen(text) > 10 || number >= session->family.F)
            return sx_fail(err, SX_ERR_USAGE, "jump: there are %llu latents",
                           (unsigned long long)session->family.F);
        *latent = (uint32_t)number;
        return SX_OK;
    }
    struct sx_filter *filter = NULL;
    SX_TRY(sx_filter_new(text, &filter, err));
    enum sx_status status = next_match(session, job, filter, latent, err);
    sx_filter_free(filter);
    return status;
}

SX_PREPARE(jump)
{
    uint32_t latent;
    char *text = jump_text(session, job);
    enum sx_status status = jump_target(session, job, text, &latent, err);
    sx_free(text);
    /* n and N that come back to where they started. */
    if (status == SX_OK && latent == session->selection.latent && !sx_value_get(job->args, "text"))
        return sx_fail(err, SX_ERR_NOTFOUND, "jump: no other row is like that");
    return status;
}

SX_APPLY(jump)
{
    uint32_t latent = session->selection.latent;
    char *text = jump_text(session, job);
    if (jump_target(session, job, text, &latent, NULL) == SX_OK) {
        snprintf(session->rows.search, sizeof session->rows.search, "%s", text);
        if (session->selection.latent != latent)
            sx_session_touch(session, SX_SLOT_SELECTION);
        session->selection.latent = latent;
    }
    sx_free(text);
}

/* --- mark ---------------------------------------------------------------------------------------
 */

static uint64_t marked_latent(const struct sx_session *session, const struct sx_job *job)
{
    return given(job, "latent") ? index_of(job, "latent") : session->selection.latent;
}

SX_PREPARE(mark)
{
    const struct sx_family_data *family = &session->family;
    if (family->state != SX_STATE_READY || session->selection.seed_index >= family->n_seeds)
        return sx_fail(err, SX_ERR_USAGE, "mark: open a family first");
    if (marked_latent(session, job) >= family->F)
        return sx_fail(err, SX_ERR_USAGE, "mark: there are %llu latents",
                       (unsigned long long)family->F);
    return SX_OK;
}

SX_APPLY(mark)
{
    struct sx_seed_latents *seed = &session->family.seeds[session->selection.seed_index];
    const size_t words = (size_t)(session->family.F + 63) / 64;
    if (sx_value_bool_or(sx_value_get(job->args, "clear"), false)) {
        sx_free(seed->marks);
        seed->marks = NULL;
        seed->n_marks = 0;
    } else {
        const uint64_t latent = marked_latent(session, job);
        const uint64_t bit = (uint64_t)1 << (latent % 64);
        if (!seed->marks)
            seed->marks = sx_xcalloc(words, sizeof *seed->marks);
        const bool was = seed->marks[latent / 64] & bit;
        seed->marks[latent / 64] ^= bit;
        seed->n_marks += was ? SIZE_MAX : 1;
    }
    count_marks(session);
    sx_session_touch(session, SX_SLOT_SELECTION);
    if (session->settings.marked_only || strstr(session->rows.filter, "marked"))
        sx_session_update_rows(session);
}

/* --- the rest -----------------------------------------------------------------------------------
 */

SX_APPLY(cancel)
{
    struct sx_run *run = sx_run_of(session);
    if (given(job, "id"))
        sx_run_cancel(run, (uint64_t)index_of(job, "id"));
    else
        sx_run_cancel_all(run);
}

SX_APPLY(message)
{
    char *text = sx_arg_joined(job->args, "text");
    sx_session_message(session, SX_OK, "%s", text ? text : "");
    sx_free(text);
}
