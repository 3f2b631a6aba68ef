/* open, rescan: what is on disk. load-family: the weights of the selected family. */
#include "commands_private.h"

#include <string.h>

#include "document.h"
#include "members.h"
#include "run_private.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/run/workspace.h"

/* --- open ---------------------------------------------------------------------------------------
 */

struct open_input {
    char **paths; /* owned, owned strings */
    size_t n;
};

static void open_input_free(void *p)
{
    struct open_input *input = p;
    for (size_t i = 0; i < input->n; i++)
        sx_free(input->paths[i]);
    sx_free(input->paths);
    sx_free(input);
}

static void workspace_free(void *p)
{
    sx_workspace_release(p);
    sx_free(p);
}

static void begin_open(struct sx_session *session, struct sx_job *job, struct open_input *take)
{
    job->input = take;
    job->input_free = open_input_free;
    session->workspace_state = SX_STATE_PENDING;
    sx_session_touch(session, SX_SLOT_WORKSPACE);
}

SX_PREPARE(open)
{
    const struct sx_value *paths = sx_value_get(job->args, "path");
    (void)err;
    struct open_input *input = sx_xcalloc(1, sizeof *input);
    input->n = sx_value_count(paths);
    input->paths = sx_xcalloc(input->n, sizeof *input->paths);
    for (size_t i = 0; i < input->n; i++)
        input->paths[i] = sx_xstrdup(sx_value_string_or(sx_value_item(paths, i), ""));
    begin_open(session, job, input);
    return SX_OK;
}

SX_PREPARE(rescan)
{
    if (session->workspace.n_paths == 0)
        return sx_fail(err, SX_ERR_USAGE, "rescan: nothing is open; :open PATH");
    struct open_input *input = sx_xcalloc(1, sizeof *input);
    input->n = session->workspace.n_paths;
    input->paths = sx_xcalloc(input->n, sizeof *input->paths);
    for (size_t i = 0; i < input->n; i++)
        input->paths[i] = sx_xstrdup(session->workspace.paths[i]);
    begin_open(session, job, input);
    return SX_OK;
}

SX_RUN(open)
{
    const struct open_input *input = job->input;
    struct sx_workspace *workspace = sx_xcalloc(1, sizeof *workspace);
    enum sx_status status =
        sx_workspace_scan((const char *const *)input->paths, input->n, &job->task, workspace, err);
    job->result = workspace;
    job->result_free = workspace_free;
    return status;
}

/* Everything that names entries or families by index goes with the old workspace. */
static void forget_family(struct sx_session *session)
{
    sx_session_empty_family(session);
    sx_session_empty_match(session);
    sx_session_empty_rows(session);
    sx_session_empty_card(session);
    sx_session_empty_gallery(session);
    sx_session_empty_curves(session);
    sx_session_empty_input(session);
    sx_session_empty_nterm(session);
}

/* The same transformer stays selected, or the first one becomes it: the only one there is needs no
 * choosing. */
static void follow_model(const struct sx_workspace *before, const struct sx_selection *was,
                         struct sx_session *session)
{
    const struct sx_workspace *now = &session->workspace;
    struct sx_selection *selection = &session->selection;
    selection->model = SIZE_MAX;
    selection->token = SX_FIRST_TOKEN;
    for (size_t i = 0; i < now->n_entries; i++) {
        if (!sx_entry_asked(&now->entries[i]))
            continue;
        const bool same = was->model < before->n_entries &&
                          strcmp(now->entries[i].path, before->entries[was->model].path) == 0;
        /* Models before stored runs. */
        const bool better =
            selection->model == SIZE_MAX || (now->entries[selection->model].kind == SX_ENTRY_RUN &&
                                             now->entries[i].kind == SX_ENTRY_MODEL);
        if (same || better)
            selection->model = i;
        if (!same)
            continue;
        selection->token = was->token;
        selection->key = was->key;
        selection->layer = was->layer;
        selection->head = was->head;
        return;
    }
}

/* The same things stay selected where they are still there. */
static void follow_selection(const struct sx_workspace *before, struct sx_session *session)
{
    const struct sx_workspace *now = &session->workspace;
    const struct sx_selection was = session->selection;
    struct sx_selection *selection = &session->selection;
    *selection = (struct sx_selection){.entry = SIZE_MAX,
                                       .family = now->n_families ? 0 : SIZE_MAX,
                                       .pair_b = 1,
                                       .training = SIZE_MAX};
    for (size_t i = 0; was.family < before->n_families && i < now->n_families; i++)
        if (strcmp(now->families[i].key, before->families[was.family].key) == 0) {
            selection->family = i;
            if (now->families[i].n_members == before->families[was.family].n_members) {
                selection->seed_index = was.seed_index;
                selection->latent = was.latent;
                selection->pair_a = was.pair_a;
                selection->pair_b = was.pair_b;
            }
        }
    for (size_t i = 0; i < now->n_entries; i++) {
        const char *path = now->entries[i].path;
        if (was.entry < before->n_entries && strcmp(path, before->entries[was.entry].path) == 0)
            selection->entry = i;
        if (was.training < before->n_entries &&
            strcmp(path, before->entries[was.training].path) == 0)
            selection->training = i;
    }
    follow_model(before, &was, session);
    /* The only training run there is needs no choosing. */
    for (size_t i = 0; selection->training == SIZE_MAX && i < now->n_entries; i++)
        if (now->entries[i].kind == SX_ENTRY_TRAINING)
            selection->training = i;
    if (selection->entry == SIZE_MAX && now->n_entries)
        selection->entry =
            selection->family == SIZE_MAX ? 0 : now->families[selection->family].members[0];
}

/* The files may be others now: what was typed is asked of the model anew. Owned line, or NULL. */
static char *input_again(const struct sx_session *session)
{
    const struct sx_input *input = &session->input;
    if (input->state != SX_STATE_READY || input->model >= session->workspace.n_entries)
        return NULL;
    struct sx_str line = SX_STR_INIT;
    sx_str_append(&line, "input ");
    if (input->run && input->record > 0)
        sx_str_printf(&line, "--record %zu", input->record);
    else if (!input->run)
        sx_command_quote(input->text, &line);
    return sx_str_take(&line);
}

SX_APPLY(open)
{
    sx_session_touch(session, SX_SLOT_WORKSPACE);
    if (job->status != SX_OK) {
        /* What was open stays open. */
        session->workspace_state = session->workspace.n_paths ? SX_STATE_READY : SX_STATE_FAILED;
        return;
    }
    struct sx_workspace before = session->workspace;
    struct sx_workspace *found = job->result;
    char *again = input_again(session);
    char *model = again ? sx_xstrdup(before.entries[session->input.model].path) : NULL;
    session->workspace = *found;
    sx_free(found);
    job->result = NULL;
    session->workspace_serial++;
    session->workspace_state = SX_STATE_READY;
    forget_family(session);
    follow_selection(&before, session);
    sx_workspace_release(&before);
    sx_session_touch(session, SX_SLOT_SELECTION);
    const size_t entry = session->selection.model;
    if (model && entry < session->workspace.n_entries &&
        strcmp(model, session->workspace.entries[entry].path) == 0)
        (void)sx_run_submit_line(sx_run_of(session), again, NULL, NULL);
    sx_free(again);
    sx_free(model);
}

/* --- load-family --------------------------------------------------------------------------------
 */

static void members_free(void *p)
{
    sx_members_release(p);
    sx_free(p);
}

static void family_free(void *p)
{
    sx_family_data_release(p);
    sx_free(p);
}

SX_PREPARE(load_family)
{
    struct sx_members members;
    SX_TRY(sx_members_take(session, session->selection.family, &members, err));
    struct sx_members *input = sx_xcalloc(1, sizeof *input);
    *input = members;
    job->input = input;
    job->input_free = members_free;
    sx_session_empty_family(session);
    session->family.state = SX_STATE_PENDING;
    session->family.family = members.family;
    sx_session_touch(session, SX_SLOT_FAMILY);
    sx_session_update_rows(session);
    return SX_OK;
}

static enum sx_status measure_member(const struct sx_member *member, struct sx_seed_latents *out,
                                     struct sx_error *err)
{
    const size_t f = (size_t)member->sae->info.dict_size;
    out->entry = member->entry;
    out->seed = member->seed;
    out->sae = sx_sae_ref(member->sae);
    out->enc_norm = sx_alloc_big(f, sizeof(float));
    out->dec_norm = sx_alloc_big(f, sizeof(float));
    out->align = sx_alloc_big(f, sizeof(float));
    if (!out->enc_norm || !out->dec_norm || !out->align)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %zu latents", member->path, f);
    SX_TRY(sx_sae_measure(member->sae, &out->stats, err));
    sx_sae_latent_norms(member->sae, out->enc_norm, out->dec_norm, out->align);
    return SX_OK;
}

SX_RUN(load_family)
{
    struct sx_members *members = job->input;
    SX_TRY(sx_members_load(members, &job->task, 0, 2 * members->n, err));
    const struct sx_sae_info *info = &members->member[0].sae->info;
    struct sx_family_data *data = sx_xcalloc(1, sizeof *data);
    job->result = data;
    job->result_free = family_free;
    data->family = members->family;
    data->D = info->activation_dim;
    data->F = info->dict_size;
    data->image_width = info->image_width;
    data->image_height = info->image_height;
    data->seeds = sx_xcalloc(members->n, sizeof *data->seeds);
    for (size_t i = 0; i < members->n; i++) {
        SX_TRY(sx_task_step(&job->task, members->n + i, 2 * members->n));
        data->n_seeds++;
        SX_TRY(measure_member(&members->member[i], &data->seeds[i], err));
    }
    data->state = SX_STATE_READY;
    return SX_OK;
}

SX_APPLY(load_family)
{
    if (!sx_members_current(session, job->input))
        return;
    sx_session_touch(session, SX_SLOT_FAMILY);
    if (job->status != SX_OK) {
        sx_slot_fail(&session->family.state, &session->family.error, job->status, &job->error);
        return;
    }
    struct sx_family_data *data = job->result;
    sx_family_data_release(&session->family);
    session->family = *data;
    sx_free(data);
    job->result = NULL;
    session->n_marks = 0;
    if (session->selection.latent >= session->family.F) {
        session->selection.latent = 0;
        sx_session_touch(session, SX_SLOT_SELECTION);
    }
    sx_session_update_summary(session);
    sx_session_update_rows(session);
}
