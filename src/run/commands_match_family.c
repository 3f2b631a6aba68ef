/* match-family: every pair of seeds of the selected family. match-alive: alive latents at another
 * cut. Both on the compute lane; results replace the session's matching as a whole. */
#include "commands_private.h"

#include <math.h>

#include "match_copy.h"
#include "members.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/sae/match.h"

/* Beyond this the Gram matrices cost as much as the matching itself. */
enum { ORTHOGONALITY_MAX_LATENTS = 8192 };

struct match_input {
    struct sx_members members, other; /* other.n == 0: none */
    struct sx_match_set *set;         /* owned: known already, match again at `cut`; or NULL */
    char *other_title;                /* owned */
    double cut;                       /* NAN: all latents */
};

struct match_result {
    struct sx_match_set *set; /* owned; NULL: as it was */
    struct sx_match_survival *survival_other;
};

static void match_input_free(void *p)
{
    struct match_input *input = p;
    sx_members_release(&input->members);
    sx_members_release(&input->other);
    sx_match_set_free(input->set);
    sx_free(input->other_title);
    sx_free(input);
}

static void match_result_free(void *p)
{
    struct match_result *result = p;
    sx_match_set_free(result->set);
    sx_match_survival_free(result->survival_other);
    sx_free(result);
}

static double wanted_cut(const struct sx_session *session)
{
    return session->settings.alive > -1 ? session->settings.alive : (double)NAN;
}

static enum sx_status take_pairable(const struct sx_session *session, size_t family,
                                    struct sx_members *members, struct sx_error *err)
{
    SX_TRY(sx_members_take(session, family, members, err));
    if (members->n >= 2)
        return SX_OK;
    sx_members_release(members);
    return sx_fail(err, SX_ERR_USAGE, "%s: one seed alone; matching needs two",
                   session->workspace.families[family].title);
}

/* --- match-family -------------------------------------------------------------------------------
 */

SX_PREPARE(match_family)
{
    const struct sx_value *other = sx_value_get(job->args, "other");
    struct sx_match_data *match = &session->match;
    struct sx_members members;
    struct sx_members others = {0};
    SX_TRY(take_pairable(session, session->selection.family, &members, err));
    if (other) {
        enum sx_status status =
            take_pairable(session, (size_t)sx_value_int_or(other, 0), &others, err);
        if (status != SX_OK) {
            sx_members_release(&members);
            return status;
        }
    }
    const bool known = match->state == SX_STATE_READY && match->family == members.family;
    struct match_input *input = sx_xcalloc(1, sizeof *input);
    *input = (struct match_input){.members = members, .other = others, .cut = wanted_cut(session)};
    job->input = input;
    job->input_free = match_input_free;
    if (other)
        input->other_title = sx_xstrdup(session->workspace.families[others.family].title);
    if (!other || !known) {
        sx_session_empty_match(session);
        match->state = SX_STATE_PENDING;
        match->family = members.family;
    }
    match->other = other ? others.family : SIZE_MAX;
    sx_session_touch(session, SX_SLOT_MATCH);
    if (match->state == SX_STATE_PENDING)
        sx_session_update_rows(session);
    else
        sx_members_release(&input->members); /* known: only the other family is missing */
    return SX_OK;
}

static struct sx_match_input *model_inputs(const struct sx_members *members)
{
    struct sx_match_input *models = sx_xcalloc(members->n, sizeof *models);
    for (size_t i = 0; i < members->n; i++) {
        const struct sx_sae *sae = members->member[i].sae;
        models[i] = (struct sx_match_input){.W_enc = sae->W_enc,
                                            .W_dec = sae->W_dec,
                                            .F = (size_t)sae->info.dict_size,
                                            .D = (size_t)sae->info.activation_dim,
                                            .name = members->member[i].path};
    }
    return models;
}

static enum sx_status match_members(struct sx_members *members, double cut, struct sx_task *task,
                                    struct sx_match_set **set, struct sx_error *err)
{
    SX_TRY(sx_members_load(members, task, 0, 0, err));
    struct sx_match_input *models = model_inputs(members);
    const struct sx_match_options options = {
        .alive_cut = cut,
        .orthogonality = models[0].F <= ORTHOGONALITY_MAX_LATENTS,
    };
    enum sx_status status = sx_match_new(models, members->n, &options, task, set, err);
    sx_free(models);
    return status;
}

SX_RUN(match_family)
{
    struct match_input *input = job->input;
    struct match_result *result = sx_xcalloc(1, sizeof *result);
    job->result = result;
    job->result_free = match_result_free;
    if (input->members.n)
        SX_TRY(match_members(&input->members, input->cut, &job->task, &result->set, err));
    if (!input->other.n)
        return SX_OK;
    struct sx_match_set *other = NULL;
    SX_TRY(match_members(&input->other, input->cut, &job->task, &other, err));
    result->survival_other = sx_match_survival_new(other, other->alive != NULL, SX_SURVIVAL_POINTS);
    sx_match_set_free(other);
    return SX_OK;
}

static void apply_set(struct sx_session *session, struct match_result *result,
                      enum sx_slot_state *state)
{
    struct sx_match_data *match = &session->match;
    sx_match_set_free(match->set);
    match->set = result->set;
    result->set = NULL;
    /* Survival is of the old set. */
    sx_match_survival_free(match->survival);
    match->survival = NULL;
    *state = SX_STATE_READY;
    sx_session_update_summary(session);
    sx_session_update_rows(session);
}

static bool family_current(const struct sx_session *session, const struct match_input *input)
{
    const struct sx_members *members = input->members.n ? &input->members : &input->other;
    return members->workspace == session->workspace_serial &&
           session->match.state != SX_STATE_EMPTY &&
           session->match.family == session->selection.family;
}

SX_APPLY(match_family)
{
    struct sx_match_data *match = &session->match;
    struct match_input *input = job->input;
    struct match_result *result = job->result;
    if (!family_current(session, input))
        return;
    sx_session_touch(session, SX_SLOT_MATCH);
    if (job->status != SX_OK) {
        if (match->state == SX_STATE_PENDING)
            sx_slot_fail(&match->state, &match->error, job->status, &job->error);
        match->other = SIZE_MAX;
        return;
    }
    if (result->set) {
        apply_set(session, result, &match->state);
        match->alive_state = SX_STATE_READY;
        sx_session_follow_alive(session); /* the cut may have moved since */
    }
    if (result->survival_other) {
        sx_match_survival_free(match->survival_other);
        sx_free(match->other_title);
        match->survival_other = result->survival_other;
        match->other_title = input->other_title;
        result->survival_other = NULL;
        input->other_title = NULL;
    }
}

/* --- match-alive --------------------------------------------------------------------------------
 */

SX_PREPARE(match_alive)
{
    struct sx_match_data *match = &session->match;
    if (match->state != SX_STATE_READY)
        return sx_fail(err, SX_ERR_USAGE, "match-alive: the seeds are not matched yet");
    struct sx_members members;
    SX_TRY(sx_members_take(session, match->family, &members, err));
    struct match_input *input = sx_xcalloc(1, sizeof *input);
    *input = (struct match_input){
        .members = members, .set = sx_match_copy(match->set, false), .cut = wanted_cut(session)};
    job->input = input;
    job->input_free = match_input_free;
    match->alive_state = SX_STATE_PENDING;
    sx_session_touch(session, SX_SLOT_MATCH);
    return SX_OK;
}

SX_RUN(match_alive)
{
    struct match_input *input = job->input;
    struct match_result *result = sx_xcalloc(1, sizeof *result);
    job->result = result;
    job->result_free = match_result_free;
    SX_TRY(sx_members_load(&input->members, &job->task, 0, 0, err));
    struct sx_match_input *models = model_inputs(&input->members);
    enum sx_status status = sx_match_set_alive_cut(input->set, models, input->cut, &job->task, err);
    sx_free(models);
    if (status != SX_OK)
        return status;
    result->set = input->set;
    input->set = NULL;
    return SX_OK;
}

SX_APPLY(match_alive)
{
    struct sx_match_data *match = &session->match;
    if (!family_current(session, job->input) || match->state != SX_STATE_READY)
        return;
    sx_session_touch(session, SX_SLOT_MATCH);
    if (job->status != SX_OK) {
        sx_slot_fail(&match->alive_state, &match->alive_error, job->status, &job->error);
        return;
    }
    apply_set(session, job->result, &match->alive_state);
}
