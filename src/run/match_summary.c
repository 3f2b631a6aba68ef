/* What follows from a matching at the present settings; cheap, on the UI thread. */
#include "run_private.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/sae/match.h"

/* Is the set's alive part at the cut that the user wants? */
static bool at_cut(const struct sx_session *session)
{
    const struct sx_match_set *set = session->match.set;
    return set->alive && set->alive_cut == session->settings.alive;
}

void sx_session_update_summary(struct sx_session *session)
{
    struct sx_match_data *match = &session->match;
    if (match->state != SX_STATE_READY)
        return;
    const struct sx_match_set *set = match->set;
    const bool wants_alive = session->settings.alive > -1;
    /* While another cut is computed the one before stays; so do all latents when there is none. */
    const bool alive = wants_alive && set->alive;
    const bool was_alive = match->survival && match->summary && match->summary->alive;
    if (!match->survival || was_alive != alive) {
        sx_match_survival_free(match->survival);
        match->survival = sx_match_survival_new(set, alive, SX_SURVIVAL_POINTS);
    }
    sx_match_summary_free(match->summary);
    match->summary = sx_match_summary_new(set, session->settings.tau, alive);

    const size_t anchor = session->selection.seed_index;
    const bool paper = session->settings.counter == SX_COUNTER_PAPER;
    sx_free(match->category);
    match->category = NULL;
    if (anchor < set->n_models) {
        const struct sx_match_model *model = &set->models[paper ? 0 : anchor];
        match->category = sx_xcalloc(model->F, sizeof *match->category);
        sx_match_categories(set, alive, session->settings.tau, session->settings.counter,
                            SX_BASIS_BOTH, paper ? 0 : anchor, match->category);
    }
    sx_session_touch(session, SX_SLOT_MATCH);
}

void sx_session_follow_alive(struct sx_session *session)
{
    struct sx_match_data *match = &session->match;
    if (match->state != SX_STATE_READY)
        return;
    if (session->settings.alive <= -1 || at_cut(session)) {
        match->alive_state = SX_STATE_READY;
        return;
    }
    enum sx_status status = sx_run_submit_line(sx_run_of(session), "match-alive", NULL, NULL);
    (void)status; /* a refusal is the session's message already */
}
