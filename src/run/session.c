#include "session_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/run/commands.h"
#include "sextant/run/workspace.h"
#include "sextant/sae/match.h"
#include "sextant/sae/sae.h"

static const double DEFAULT_TAU = 0.7; /* Jedryszek & Crook 2026, "fraction shared" */

void sx_session_init(struct sx_session *session)
{
    *session = (struct sx_session){0};
    session->selection = (struct sx_selection){.entry = SIZE_MAX,
                                               .family = SIZE_MAX,
                                               .pair_b = 1,
                                               .training = SIZE_MAX,
                                               .model = SIZE_MAX};
    session->match.other = SIZE_MAX;
    session->settings =
        (struct sx_settings){.tau = DEFAULT_TAU, .alive = -1, .against = SIZE_MAX, .target = -1};
}

void sx_session_release(struct sx_session *session)
{
    sx_family_data_release(&session->family);
    sx_match_data_release(&session->match);
    sx_card_release(&session->card);
    sx_gallery_release(&session->gallery);
    sx_curves_release(&session->curves);
    sx_input_release(&session->input);
    sx_sequence_release(&session->sequence);
    sx_lens_data_release(&session->lens);
    sx_attention_release(&session->attention);
    sx_map_release(&session->map);
    sx_contacts_release(&session->contacts);
    sx_bands_data_release(&session->bands);
    sx_band_means_release(&session->band_means);
    sx_head_data_release(&session->head);
    sx_attribution_data_release(&session->attribution);
    sx_composition_data_release(&session->composition);
    sx_patching_data_release(&session->patching);
    sx_nterm_data_release(&session->nterm);
    sx_free(session->rows.order);
    sx_workspace_release(&session->workspace);
}

void sx_session_message(struct sx_session *session, enum sx_status status, const char *fmt, ...)
{
    char text[sizeof session->message];
    char clean[sizeof session->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sx_text_clean(clean, sizeof clean, text, strlen(text));
    memcpy(session->message, clean, sizeof clean);
    session->message_status = status;
    sx_session_touch(session, SX_SLOT_MESSAGE);
}

/* --- contents -----------------------------------------------------------------------------------
 */

void sx_family_data_release(struct sx_family_data *data)
{
    for (size_t i = 0; i < data->n_seeds; i++) {
        sx_sae_unref(data->seeds[i].sae);
        sx_free(data->seeds[i].marks);
        sx_free(data->seeds[i].enc_norm);
        sx_free(data->seeds[i].dec_norm);
        sx_free(data->seeds[i].align);
    }
    sx_free(data->seeds);
    *data = (struct sx_family_data){0};
}

void sx_match_data_release(struct sx_match_data *data)
{
    sx_match_set_free(data->set);
    sx_match_summary_free(data->summary);
    sx_match_survival_free(data->survival);
    sx_match_survival_free(data->survival_other);
    sx_free(data->category);
    sx_free(data->other_title);
    *data = (struct sx_match_data){.other = SIZE_MAX};
}

void sx_card_release(struct sx_card *card)
{
    sx_free(card->enc_row);
    sx_free(card->dec_row);
    for (size_t i = 0; i < card->n_partners; i++) {
        sx_free(card->partner[i].enc_row);
        sx_free(card->partner[i].dec_row);
    }
    *card = (struct sx_card){0};
}

void sx_gallery_release(struct sx_gallery *gallery)
{
    sx_free(gallery->cells);
    sx_free(gallery->enc);
    sx_free(gallery->dec);
    *gallery = (struct sx_gallery){0};
}

void sx_curves_release(struct sx_curves *curves)
{
    sx_free(curves->path);
    sx_value_free(curves->columns);
    sx_value_free(curves->attributes);
    sx_free(curves->data);
    *curves = (struct sx_curves){0};
}

/* --- back to empty ------------------------------------------------------------------------------
 */

void sx_session_empty_family(struct sx_session *session)
{
    if (session->family.state == SX_STATE_EMPTY)
        return;
    sx_family_data_release(&session->family);
    session->n_marks = 0;
    sx_session_touch(session, SX_SLOT_FAMILY);
}

void sx_session_empty_match(struct sx_session *session)
{
    if (session->match.state == SX_STATE_EMPTY)
        return;
    sx_match_data_release(&session->match);
    sx_session_touch(session, SX_SLOT_MATCH);
}

void sx_session_empty_rows(struct sx_session *session)
{
    if (session->rows.state == SX_STATE_EMPTY)
        return;
    sx_free(session->rows.order);
    session->rows.order = NULL;
    session->rows.n = 0;
    session->rows.state = SX_STATE_EMPTY;
    sx_session_touch(session, SX_SLOT_ROWS);
}

void sx_session_empty_card(struct sx_session *session)
{
    if (session->card.state == SX_STATE_EMPTY)
        return;
    sx_card_release(&session->card);
    sx_session_touch(session, SX_SLOT_CARD);
}

void sx_session_empty_gallery(struct sx_session *session)
{
    if (session->gallery.state == SX_STATE_EMPTY)
        return;
    sx_gallery_release(&session->gallery);
    sx_session_touch(session, SX_SLOT_GALLERY);
}

void sx_session_empty_curves(struct sx_session *session)
{
    if (session->curves.state == SX_STATE_EMPTY)
        return;
    sx_curves_release(&session->curves);
    sx_session_touch(session, SX_SLOT_CURVES);
}

void sx_slot_fail(enum sx_slot_state *state, struct sx_error *slot_error, enum sx_status status,
                  const struct sx_error *error)
{
    *state = SX_STATE_FAILED;
    *slot_error = *error;
    slot_error->status = status;
    if (status == SX_CANCELLED)
        snprintf(slot_error->message, sizeof slot_error->message, "cancelled");
}

/* --- questions ----------------------------------------------------------------------------------
 */

bool sx_session_marked(const struct sx_session *session, uint32_t latent)
{
    const struct sx_family_data *family = &session->family;
    const size_t seed = session->selection.seed_index;
    if (family->state != SX_STATE_READY || seed >= family->n_seeds || latent >= family->F)
        return false;
    const uint64_t *marks = family->seeds[seed].marks;
    return marks && (marks[latent / 64] >> (latent % 64) & 1);
}

const struct sx_entry *sx_session_member(const struct sx_session *session, size_t seed_index)
{
    const struct sx_workspace *workspace = &session->workspace;
    if (session->selection.family >= workspace->n_families)
        return NULL;
    const struct sx_family *family = &workspace->families[session->selection.family];
    return seed_index < family->n_members ? &workspace->entries[family->members[seed_index]] : NULL;
}

const char *sx_sort_key_name(enum sx_sort_key key)
{
    static const char *const names[SX_SORT_COUNT] = {"latent",     "align",  "enc-norm", "dec-norm",
                                                     "similarity", "margin", "category"};
    SX_ASSERT(key < SX_SORT_COUNT);
    return names[key];
}

bool sx_entry_asked(const struct sx_entry *entry)
{
    return entry->kind == SX_ENTRY_MODEL ||
           (entry->kind == SX_ENTRY_RUN && entry->model.n_layers > 0);
}

const char *sx_counter_name(enum sx_counter counter)
{
    static const char *const names[] = {"anchored", "clique", "paper"};
    SX_ASSERT(counter <= SX_COUNTER_PAPER);
    return names[counter];
}

const char *sx_lens_metric_name(enum sx_lens_metric metric)
{
    static const char *const names[SX_LENS_COUNT] = {"logit", "p", "rank"};
    SX_ASSERT(metric < SX_LENS_COUNT);
    return names[metric];
}

const char *sx_lane_name(enum sx_lane lane)
{
    static const char *const names[SX_LANE_COUNT] = {"ui", "query", "compute"};
    SX_ASSERT(lane < SX_LANE_COUNT);
    return names[lane];
}

const char *sx_job_state_name(enum sx_job_state state)
{
    static const char *const names[] = {"queued", "running", "done", "failed", "cancelled"};
    SX_ASSERT(state <= SX_JOB_CANCELLED);
    return names[state];
}
