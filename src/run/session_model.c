/* The slots of a transformer and its input. */
#include "session_private.h"

#include <string.h>

#include "answer_fields.h"
#include "run_private.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/presentation.h"
#include "sextant/interp/results.h"
#include "sextant/model/model.h"

/* --- contents -----------------------------------------------------------------------------------
 */

void sx_input_release(struct sx_input *input)
{
    const uint64_t serial = input->serial;
    sx_model_unref(input->opened);
    sx_model_info_release(&input->info);
    sx_free(input->text);
    sx_free(input->title);
    sx_free(input->fasta);
    sx_free(input->ids);
    sx_free(input->original);
    sx_free(input->tokens);
    sx_free(input->masked);
    sx_free(input->run);
    sx_free(input->interventions);
    sx_free(input->line);
    *input = (struct sx_input){.serial = serial};
}

void sx_sequence_release(struct sx_sequence_data *data)
{
    sx_free(data->surprise);
    sx_free(data->entropy);
    sx_free(data->rank);
    sx_free(data->top);
    sx_free(data->top_p);
    sx_free(data->top_text);
    sx_free(data->residues);
    *data = (struct sx_sequence_data){0};
}

void sx_lens_data_release(struct sx_lens_data *data)
{
    sx_free(data->logit);
    sx_free(data->p);
    sx_free(data->rank);
    sx_free(data->top);
    sx_free(data->top_text);
    *data = (struct sx_lens_data){0};
}

void sx_attention_release(struct sx_attention_data *data)
{
    sx_free(data->pattern);
    *data = (struct sx_attention_data){0};
}

void sx_map_release(struct sx_map_data *data)
{
    sx_free(data->pattern);
    *data = (struct sx_map_data){0};
}

void sx_contacts_release(struct sx_contacts_data *data)
{
    sx_free(data->p);
    *data = (struct sx_contacts_data){0};
}

/* --- circuits -----------------------------------------------------------------------------------
 */

void sx_bands_data_release(struct sx_bands_data *data)
{
    sx_bands_result_release(&data->result);
    sx_free(data->line);
    sx_free(data->other);
    *data = (struct sx_bands_data){0};
}

void sx_band_means_release(struct sx_band_means_data *data)
{
    for (size_t i = 0; i < data->n; i++)
        sx_bands_result_release(&data->result[i]);
    sx_free(data->result);
    sx_free(data->line);
    sx_free(data->fasta);
    *data = (struct sx_band_means_data){0};
}

void sx_head_data_release(struct sx_head_data *data)
{
    sx_head_result_release(&data->result);
    sx_free(data->line);
    *data = (struct sx_head_data){0};
}

void sx_attribution_data_release(struct sx_attribution_data *data)
{
    sx_attribution_result_release(&data->result);
    sx_free(data->line);
    *data = (struct sx_attribution_data){0};
}

void sx_composition_data_release(struct sx_composition_data *data)
{
    sx_composition_result_release(&data->result);
    sx_free(data->line);
    *data = (struct sx_composition_data){0};
}

void sx_patching_data_release(struct sx_patching_data *data)
{
    sx_scan_result_release(&data->result);
    sx_free(data->line);
    sx_free(data->corrupt);
    *data = (struct sx_patching_data){0};
}

void sx_nterm_data_release(struct sx_nterm_data *data)
{
    if (data->precursors)
        for (size_t i = 0; i < data->result.n_rows; i++)
            sx_free(data->precursors[i]);
    sx_free(data->precursors);
    sx_nterm_result_release(&data->result);
    sx_free(data->line);
    sx_free(data->path);
    *data = (struct sx_nterm_data){0};
}

enum sx_status sx_no_weights(const struct sx_input *input, const char *command,
                             struct sx_error *err)
{
    const char *slash = strrchr(input->run, '/');
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s holds no weights; open the model %s", command,
                   slash ? slash + 1 : input->run, input->info.name);
}

/* --- stored answers -----------------------------------------------------------------------------
 */

/* The cursors go to what is told; `line` is the slot's. */
static void show_answer(struct sx_session *session, enum sx_slot slot, void *data, char *line)
{
    struct sx_selection *at = &session->selection;
    const uint64_t serial = session->input.serial;
    switch (slot) {
    case SX_SLOT_BANDS:
        session->bands = *(struct sx_bands_data *)data;
        session->bands.serial = serial;
        session->bands.line = line;
        session->bands.state = SX_STATE_READY;
        session->bands.profile = session->bands.result.profile != NULL;
        session->settings.against = session->bands.against;
        at->token = session->bands.result.query_a;
        at->key = session->bands.result.key_a;
        return;
    case SX_SLOT_HEAD:
        session->head = *(struct sx_head_data *)data;
        session->head.serial = serial;
        session->head.line = line;
        session->head.state = SX_STATE_READY;
        session->settings.bands_removed = session->head.result.removed;
        at->token = session->head.result.query;
        at->layer = session->head.result.layer;
        at->head = session->head.result.head;
        return;
    case SX_SLOT_ATTRIBUTION:
        session->attribution = *(struct sx_attribution_data *)data;
        session->attribution.serial = serial;
        session->attribution.line = line;
        session->attribution.state = SX_STATE_READY;
        at->token = session->attribution.result.token;
        return;
    case SX_SLOT_COMPOSITION:
        session->composition = *(struct sx_composition_data *)data;
        session->composition.serial = serial;
        session->composition.line = line;
        session->composition.state = SX_STATE_READY;
        at->token = session->composition.result.query;
        at->key = session->composition.result.key;
        at->layer = session->composition.result.layer;
        at->head = session->composition.result.head;
        return;
    case SX_SLOT_PATCHING:
        session->patching = *(struct sx_patching_data *)data;
        session->patching.serial = serial;
        session->patching.line = line;
        session->patching.state = SX_STATE_READY;
        at->token = session->patching.result.token;
        return;
    case SX_SLOT_NTERM:
        sx_session_empty_nterm(session);
        session->nterm = *(struct sx_nterm_data *)data;
        sx_nterm_summarise(&session->nterm.result);
        session->nterm.model = session->input.model;
        session->nterm.line = line;
        session->nterm.state = SX_STATE_READY;
        return;
    default:
        SX_ASSERT(!"no answer fills this slot");
    }
}

void sx_session_show_answer(struct sx_session *session, const struct sx_answer_kind *kind,
                            void *take_data)
{
    SX_ASSERT(session->input.line);
    show_answer(session, kind->slot, take_data, sx_xstrdup(session->input.line));
    sx_free(take_data);
    session->settings.target = -1; /* of another model */
    sx_session_touch(session, kind->slot);
    sx_session_touch(session, SX_SLOT_SETTINGS);
    sx_session_touch(session, SX_SLOT_SELECTION);
}

/* --- back to empty ------------------------------------------------------------------------------
 */

static void empty_what_hangs(struct sx_session *session)
{
    static const char *const commands[] = {
        "infer",      "lens",        "attend",      "attention-map", "contact-map", "band-table",
        "head-bands", "attribution", "composition", "patch-grid",    "band-means"};
    const struct {
        enum sx_slot_state *state;
        enum sx_slot slot;
    } slots[] = {
        {&session->sequence.state, SX_SLOT_SEQUENCE},
        {&session->lens.state, SX_SLOT_LENS},
        {&session->attention.state, SX_SLOT_ATTENTION},
        {&session->map.state, SX_SLOT_MAP},
        {&session->contacts.state, SX_SLOT_CONTACTS},
        {&session->bands.state, SX_SLOT_BANDS},
        {&session->head.state, SX_SLOT_HEAD},
        {&session->attribution.state, SX_SLOT_ATTRIBUTION},
        {&session->composition.state, SX_SLOT_COMPOSITION},
        {&session->patching.state, SX_SLOT_PATCHING},
        {&session->band_means.state, SX_SLOT_BAND_MEANS},
    };
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
        if (*slots[i].state == SX_STATE_PENDING)
            sx_run_drop(session, commands[i]);
        if (*slots[i].state != SX_STATE_EMPTY)
            sx_session_touch(session, slots[i].slot);
    }
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
}

void sx_session_change_input(struct sx_session *session)
{
    session->input.serial++;
    sx_session_touch(session, SX_SLOT_INPUT);
    empty_what_hangs(session);
}

void sx_session_empty_input(struct sx_session *session)
{
    if (session->input.state == SX_STATE_EMPTY)
        return;
    if (session->input.state == SX_STATE_PENDING)
        sx_run_drop(session, "input");
    sx_input_release(&session->input);
    sx_session_change_input(session);
}

void sx_session_empty_nterm(struct sx_session *session)
{
    if (session->nterm.state == SX_STATE_EMPTY)
        return;
    if (session->nterm.state == SX_STATE_PENDING)
        sx_run_drop(session, "nterm-table");
    sx_nterm_data_release(&session->nterm);
    sx_session_touch(session, SX_SLOT_NTERM);
}
