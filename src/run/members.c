#include "members.h"

#include "sextant/base/alloc.h"

enum sx_status sx_members_take(const struct sx_session *session, size_t family,
                               struct sx_members *members, struct sx_error *err)
{
    const struct sx_workspace *workspace = &session->workspace;
    *members = (struct sx_members){0};
    if (family == SIZE_MAX)
        return sx_fail(err, SX_ERR_USAGE, "no family is selected");
    if (family >= workspace->n_families)
        return sx_fail(err, SX_ERR_USAGE, "there is no family %zu", family);
    const struct sx_family *from = &workspace->families[family];
    const bool loaded = session->family.state == SX_STATE_READY &&
                        session->family.family == family &&
                        session->family.n_seeds == from->n_members;
    members->family = family;
    members->workspace = session->workspace_serial;
    members->n = from->n_members;
    members->member = sx_xcalloc(from->n_members, sizeof *members->member);
    for (size_t i = 0; i < from->n_members; i++) {
        const struct sx_entry *entry = &workspace->entries[from->members[i]];
        members->member[i] = (struct sx_member){
            .entry = from->members[i], .seed = entry->info.seed, .path = sx_xstrdup(entry->path)};
        if (loaded)
            members->member[i].sae = sx_sae_ref(session->family.seeds[i].sae);
    }
    return SX_OK;
}

enum sx_status sx_members_load(struct sx_members *members, struct sx_task *task, uint64_t done,
                               uint64_t total, struct sx_error *err)
{
    for (size_t i = 0; i < members->n; i++) {
        struct sx_member *member = &members->member[i];
        SX_TRY(sx_task_step(task, done + i, total));
        if (!member->sae)
            SX_TRY(sx_sae_load(member->path, &member->sae, err));
        const struct sx_sae_info *info = &member->sae->info;
        const struct sx_sae_info *first = &members->member[0].sae->info;
        if (info->dict_size != first->dict_size || info->activation_dim != first->activation_dim)
            return sx_fail(err, SX_ERR_SHAPE,
                           "%s: %llu latents of %llu inputs, expected %llu of "
                           "%llu; :rescan",
                           member->path, (unsigned long long)info->dict_size,
                           (unsigned long long)info->activation_dim,
                           (unsigned long long)first->dict_size,
                           (unsigned long long)first->activation_dim);
    }
    return SX_OK;
}

bool sx_members_current(const struct sx_session *session, const struct sx_members *members)
{
    return members->workspace == session->workspace_serial &&
           members->family == session->selection.family;
}

void sx_members_release(struct sx_members *members)
{
    for (size_t i = 0; i < members->n; i++) {
        sx_free(members->member[i].path);
        sx_sae_unref(members->member[i].sae);
    }
    sx_free(members->member);
    *members = (struct sx_members){0};
}
