/* The screens of transformers, and what the workspace and the inspector say of models, on a session
 * made by hand. */
#include "view_walks.h"

static struct stage *protein_stage(const char *name, int width, int height)
{
    struct stage *stage = stage_new(name, width, height);
    fake_protein(&stage->fake);
    return stage;
}

static struct stage *text_stage(const char *name, int width, int height)
{
    struct stage *stage = stage_new(name, width, height);
    fake_text(&stage->fake);
    return stage;
}

static const char *const names[] = {"sequence", "lens", "attention", "contacts"};
enum { NAMES = sizeof names / sizeof *names };

/* --- goldens ------------------------------------------------------------------------------------
 */

#define GOLDENS_OF(view_name)                                                                      \
    Test(model_views_golden, view_name)                                                            \
    {                                                                                              \
        struct stage *stage = protein_stage(#view_name, 120, 40);                                  \
        stage_need(stage);                                                                         \
        expect_lines(stage, "");                                                                   \
        golden_sizes(stage, #view_name);                                                           \
        stage_free(stage);                                                                         \
        stage = text_stage(#view_name, 120, 40);                                                   \
        stage_need(stage);                                                                         \
        expect_lines(stage, "");                                                                   \
        stage_golden(stage, #view_name "-text", 80, 24);                                           \
        stage_golden(stage, #view_name "-text", 120, 40);                                          \
        stage_free(stage);                                                                         \
    }

GOLDENS_OF(sequence)
GOLDENS_OF(lens)
GOLDENS_OF(attention)
GOLDENS_OF(contacts)

Test(model_views_golden, attention_map)
{
    struct stage *stage = protein_stage("attention", 120, 40);
    stage_need(stage);
    cr_assert(stage_ask(stage, "open", 0, NULL));
    cr_assert(stage_ask(stage, "pin", 0, NULL));
    stage_golden(stage, "attention-map", 80, 24);
    stage_golden(stage, "attention-map", 120, 40);
    stage_free(stage);
    stage = text_stage("attention", 120, 40);
    stage_need(stage);
    stage_ask(stage, "open", 0, NULL);
    stage_golden(stage, "attention-map-text", 80, 24);
    stage_free(stage);
}

/* Quadrant blocks need colours. */
Test(model_views_golden, attention_map_in_colour)
{
    struct stage *stage = protein_stage("attention", 80, 24);
    struct sx_screen *screen = sx_screen_new(80, 21, SX_CHARSET_UTF8, SX_DEPTH_256);
    struct sx_canvas canvas = sx_canvas_of(screen);

    stage_need(stage);
    stage_ask(stage, "open", 0, NULL);
    stage->view.ops->draw(&stage->view, &stage->fake.session, &canvas);
    canvas_expect(screen, false, SX_SOURCE_DIR "/tests/views/golden/attention-map-80x24-256.txt");
    sx_screen_free(screen);
    stage_free(stage);
}

Test(model_views_golden, pairs_and_notices)
{
    struct stage *stage = protein_stage("contacts", 80, 24);
    stage_need(stage);
    stage->view.focus = 1;
    stage_golden(stage, "contacts-pairs", 80, 24);
    stage_free(stage);

    stage = protein_stage("sequence", 80, 24);
    stage->fake.session.sequence.state = SX_STATE_PENDING;
    stage_golden(stage, "sequence-pending", 80, 24);
    stage->fake.session.input.state = SX_STATE_FAILED;
    strcpy(stage->fake.session.input.error.message, "character 7 of the sequence is '1'");
    stage_golden(stage, "sequence-bad-input", 80, 24);
    stage->fake.session.selection.model = SIZE_MAX;
    stage_golden(stage, "sequence-no-model", 80, 24);
    stage_free(stage);
}

Test(model_views_golden, workspace_and_inspector)
{
    struct stage *stage = protein_stage("workspace", 120, 40);
    stage->fake.session.selection.family = SIZE_MAX;
    stage->fake.session.selection.entry = 12;
    stage_need(stage);
    stage_golden(stage, "workspace-model", 120, 40);
    stage_golden(stage, "workspace-model", 80, 24);
    stage_free(stage);
    stage = text_stage("inspector", 80, 24);
    stage->fake.session.selection.entry = 12;
    stage_need(stage);
    stage_golden(stage, "inspector-model", 80, 24);
    stage_free(stage);
}

/* --- need ---------------------------------------------------------------------------------------
 */

Test(model_views_need, from_nothing_to_everything)
{
    for (size_t i = 0; i < NAMES; i++) {
        static const char *const asked[] = {"infer", "lens --target self", "attend --token 1",
                                            "contact-map"};
        struct stage *stage = protein_stage(names[i], 120, 40);
        struct sx_session *session = &stage->fake.session;
        enum sx_slot_state *state[] = {&session->sequence.state, &session->lens.state,
                                       &session->attention.state, &session->contacts.state};
        uint64_t *serial[] = {&session->sequence.serial, &session->lens.serial,
                              &session->attention.serial, &session->contacts.serial};

        session->selection.model = SIZE_MAX;
        stage_need(stage);
        expect_lines(stage, "select --model 12");
        session->selection.model = 12;
        session->input.state = SX_STATE_EMPTY;
        stage_need(stage);
        expect_lines(stage, "input");
        session->input.state = SX_STATE_PENDING;
        stage_need(stage);
        expect_lines(stage, "");
        session->input.state = SX_STATE_FAILED;
        stage_need(stage);
        expect_lines(stage, "");
        session->input.state = SX_STATE_READY;
        *state[i] = SX_STATE_EMPTY;
        stage_need(stage);
        expect_lines(stage, asked[i]);
        *state[i] = SX_STATE_PENDING;
        stage_need(stage);
        expect_lines(stage, "");
        *state[i] = SX_STATE_FAILED;
        stage_need(stage);
        expect_lines(stage, "");
        *state[i] = SX_STATE_READY;
        *serial[i] = 6; /* of the input before */
        stage_need(stage);
        expect_lines(stage, asked[i]);
        stage_free(stage);
    }
}

Test(model_views_need, attention_follows_query_and_head)
{
    struct stage *stage = protein_stage("attention", 120, 40);
    struct sx_session *session = &stage->fake.session;

    session->selection.token = 9;
    stage_need(stage);
    expect_lines(stage, "attend --token 9");
    session->selection.token = 1;
    session->selection.head = 6;
    stage_need(stage);
    expect_lines(stage, ""); /* every head is there */
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "attention-map --layer 2 --head 6");
    session->selection.head = 5;
    session->selection.token = 9;
    stage_need(stage);
    expect_lines(stage, ""); /* the map has every query */
    stage_free(stage);
}

Test(model_views_need, contacts_of_a_word_model_are_not_asked_for)
{
    struct stage *stage = text_stage("contacts", 120, 40);
    stage_need(stage);
    expect_lines(stage, "");
    stage_free(stage);
}

/* --- requests -----------------------------------------------------------------------------------
 */

Test(model_views_request, sequence)
{
    struct stage *stage = protein_stage("sequence", 120, 40);
    struct sx_session *session = &stage->fake.session;

    stage_ask(stage, "right", 0, NULL);
    expect_lines(stage, "select --token 2");
    stage_ask(stage, "left", 9, NULL);
    expect_lines(stage, "select --token 0");
    stage_ask(stage, "last", 17, NULL);
    expect_lines(stage, "select --token 17");
    stage_ask(stage, "last", 0, NULL);
    expect_lines(stage, "select --token 77");
    stage_ask(stage, "down", 0, NULL); /* 60 residues a line beside the prediction */
    expect_lines(stage, "select --token 61");
    stage_ask(stage, "mark", 0, NULL);
    expect_lines(stage, "mask --token 1");
    stage_ask(stage, "mask-clear", 0, NULL);
    expect_lines(stage, "mask --clear");
    stage_ask(stage, "ask-input", 0, "MKT AYI");
    expect_lines(stage, "input 'MKT AYI'");
    stage_ask(stage, "ask-input", 0, "");
    expect_lines(stage, "");
    stage_ask(stage, "ask-fasta", 0, "a.fasta");
    expect_lines(stage, "input --fasta a.fasta");
    stage_ask(stage, "search", 0, "kegip");
    expect_lines(stage, "select --token 33");
    session->selection.token = 33;
    stage_ask(stage, "search-next", 0, NULL);
    expect_lines(stage, ""); /* the only one */
    stage_ask(stage, "search", 0, "WWW");
    expect_lines(stage, "message not found: WWW");
    stage_ask(stage, "search", 0, "");
    session->sequence.surprise[50] = 5;
    stage_ask(stage, "search-next", 0, NULL);
    cr_expect_eq(sx_value_count(stage->emit.lines), 1);
    stage_free(stage);
}

Test(model_views_request, words_have_no_masks)
{
    struct stage *stage = text_stage("sequence", 120, 40);
    stage_ask(stage, "mark", 0, NULL);
    expect_lines(stage, "message masks are ESM-2's; GPT-NeoX predicts from what stands before");
    stage_ask(stage, "search", 0, "sea, and");
    expect_lines(stage, ""); /* the cursor is there */
    stage_ask(stage, "search", 0, "calm");
    expect_lines(stage, "select --token 13");
    stage_free(stage);
}

Test(model_views_request, records_of_a_fasta_file)
{
    static char path[] = "runs/two chains.fasta";
    struct stage *stage = protein_stage("sequence", 120, 40);
    struct sx_input *input = &stage->fake.session.input;
    stage_ask(stage, "record-next", 0, NULL);
    expect_lines(stage, "message the input is no record of a FASTA file; f opens one");
    cr_expect(!stage->view.ops->offers(&stage->view, &stage->fake.session, "record-next"));
    input->fasta = path;
    input->record = 1;
    cr_expect(stage->view.ops->offers(&stage->view, &stage->fake.session, "record-next"));
    stage_ask(stage, "record-previous", 0, NULL);
    expect_lines(stage, "message this is the first record");
    stage_ask(stage, "record-next", 0, NULL);
    expect_lines(stage, "input --fasta 'runs/two chains.fasta' --record 2");
    input->record = 2;
    input->last_record = true;
    stage_ask(stage, "record-next", 0, NULL);
    expect_lines(stage, "message record 2 is the last one");
    input->state = SX_STATE_FAILED; /* a way back from a record that cannot be read */
    stage_ask(stage, "record-previous", 0, NULL);
    expect_lines(stage, "input --fasta 'runs/two chains.fasta' --record 1");
    stage_free(stage);
}

Test(model_views_request, what_a_model_lacks_is_not_offered)
{
    static const char *const of_proteins[] = {"mark", "mask-clear", ":view contacts"};
    struct stage *protein = protein_stage("sequence", 120, 40);
    struct stage *text = text_stage("sequence", 120, 40);
    for (size_t i = 0; i < sizeof of_proteins / sizeof *of_proteins; i++) {
        cr_expect(text->view.ops->offers(&protein->view, &protein->fake.session, of_proteins[i]));
        cr_expect(!text->view.ops->offers(&text->view, &text->fake.session, of_proteins[i]));
    }
    cr_expect(text->view.ops->offers(&text->view, &text->fake.session, ":view lens"));
    stage_free(protein);
    stage_free(text);
}

Test(model_views_request, sequence_mouse)
{
    struct stage *stage = protein_stage("sequence", 120, 40);
    stage_need(stage);
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    stage_click(stage, 6 + 12 + 1, 1); /* residue 13: 12 before it, and a blank */
    expect_lines(stage, "select --token 13");
    stage_click(stage, 5, 1);
    expect_lines(stage, "select --token 0");
    stage_click(stage, 100, 5);
    expect_lines(stage, "");
    stage_free(stage);
}

Test(model_views_request, lens)
{
    struct stage *stage = protein_stage("lens", 120, 40);
    stage_need(stage);
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    stage_ask(stage, "right", 2, NULL);
    expect_lines(stage, "select --token 3");
    stage_ask(stage, "down", 0, NULL);
    expect_lines(stage, "");
    stage_ask(stage, "metric", 0, NULL);
    expect_lines(stage, "set --lens-metric p");
    stage_ask(stage, "ask-target", 0, "M");
    expect_lines(stage, "lens --target M");
    stage->fake.session.lens.serial = 3;
    stage_need(stage);
    expect_lines(stage, "lens --target M");
    stage->fake.session.lens.serial = 7;
    stage_ask(stage, "ask-target", 0, " the");
    expect_lines(stage, "lens --target ' the'");
    stage_ask(stage, "ask-target", 0, "");
    expect_lines(stage, "lens --target self");
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "view sequence");
    stage_free(stage);
}

Test(model_views_request, attention)
{
    struct stage *stage = protein_stage("attention", 120, 40);
    struct sx_session *session = &stage->fake.session;
    stage_need(stage);
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));

    stage_ask(stage, "down", 0, NULL);
    expect_lines(stage, "select --layer 3 --head 5");
    stage_ask(stage, "key-next", 0, NULL);
    expect_lines(stage, "select --key 18");
    stage_ask(stage, "query-previous", 0, NULL);
    expect_lines(stage, "select --token 0");
    stage_ask(stage, "to-bos", 0, NULL);
    expect_lines(stage, "select --key 0");
    stage_ask(stage, "ask-position", 0, "30,4");
    expect_lines(stage, "select --token 30 | select --key 4");
    stage_ask(stage, "ask-position", 0, "99");
    expect_lines(stage, "message there are tokens 0 to 77");
    cr_expect_not(stage_ask(stage, "back", 0, NULL));

    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "");
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8)); /* notes the zoom: two by two a quarter */
    stage_ask(stage, "zoom-in", 0, NULL);
    stage_ask(stage, "zoom-in", 0, NULL);
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    stage_ask(stage, "down", 3, NULL);
    expect_lines(stage, "select --token 4");
    stage_ask(stage, "right", 0, NULL);
    expect_lines(stage, "select --key 18");
    stage_ask(stage, "key-next", 0, NULL);
    expect_lines(stage, "select --layer 2 --head 6");
    stage_ask(stage, "query-next", 0, NULL);
    expect_lines(stage, "select --layer 3 --head 5");
    cr_expect(stage_ask(stage, "back", 0, NULL));
    session->attention.query = 3;
    stage_ask(stage, "again", 0, NULL);
    expect_lines(stage, "attend --token 1");
    stage_free(stage);
}

Test(model_views_request, contacts)
{
    struct stage *stage = protein_stage("contacts", 120, 40);
    stage_need(stage);
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    stage->view.focus = 1;
    stage_ask(stage, "last", 0, NULL);
    cr_expect_eq(sx_value_count(stage->emit.lines), 2);
    stage_ask(stage, "first", 0, NULL); /* the hairpin: residues 1 and 17 */
    expect_lines(stage, "");
    stage_ask(stage, "down", 0, NULL);
    expect_lines(stage, "select --token 2 | select --key 16");
    cr_expect(stage_ask(stage, "back", 0, NULL));
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "view attention");
    stage_free(stage);
}

Test(model_views_request, workspace_opens_models)
{
    struct stage *stage = protein_stage("workspace", 120, 40);
    stage->fake.session.selection.family = SIZE_MAX;
    stage->fake.session.selection.entry = 12;
    stage->fake.session.selection.model = SIZE_MAX;
    stage_need(stage);
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "select --model 12 | view sequence");
    stage->fake.session.selection.model = 12;
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "view sequence");
    stage_free(stage);
}

/* --- any size, any state ------------------------------------------------------------------------
 */

Test(model_views_draw, every_size_without_allocating)
{
    for (size_t i = 0; i < NAMES; i++) {
        struct stage *stage = protein_stage(names[i], 120, 40);
        stage_need(stage);
        walk_sizes(stage);
        stage_ask(stage, "open", 0, NULL);
        walk_sizes(stage);
        stage_free(stage);
        stage = text_stage(names[i], 120, 40);
        stage_need(stage);
        walk_sizes(stage);
        stage_free(stage);
    }
}

Test(model_views_draw, empty_session)
{
    static const char *const requests[] = {"down", "up",   "left", "right",     "open",
                                           "mark", "last", "pin",  "ask-input", "search-next"};
    walk_empty(names, NAMES, requests, sizeof requests / sizeof *requests);
}

static void change(struct stage *stage, uint32_t random, int round)
{
    struct sx_session *session = &stage->fake.session;
    (void)round;
    session->selection.token = (random >> 10) % 90;
    session->selection.key = (random >> 12) % 90;
    session->selection.layer = (random >> 14) % 9;
    session->selection.head = (random >> 15) % 9;
    session->attention.query = session->selection.token;
    session->map.layer = session->selection.layer;
    session->map.head = session->selection.head;
    session->settings.lens_metric = (enum sx_lens_metric)((random >> 16) % SX_LENS_COUNT);
    session->sequence.state = (enum sx_slot_state)((random >> 17) % 4);
}

Test(model_views_draw, random_requests)
{
    static const char *const requests[] = {
        "down",      "up",         "left",     "right",      "page-down",      "page-up",
        "half-down", "first",      "last",     "open",       "back",           "mark",
        "zoom-in",   "zoom-out",   "key-next", "query-next", "query-previous", "scale",
        "pin",       "to-bos",     "metric",   "words",      "search-next",    "click",
        "drag",      "wheel-down", "again",    "mask-clear", "ask-position"};
    const struct walk walk = {requests, sizeof requests / sizeof *requests, "3 5", change};
    for (uint32_t i = 0; i < 2 * NAMES; i++) {
        struct stage *stage =
            i < NAMES ? protein_stage(names[i], 120, 40) : text_stage(names[i - NAMES], 120, 40);
        walk_requests(stage, &walk, 4321 + i);
        stage_free(stage);
    }
}

/* --- as data ------------------------------------------------------------------------------------
 */

Test(model_views_data, rows)
{
    static const size_t rows[] = {78, 7 * 78, 6 * 8, 1000};
    for (size_t i = 0; i < NAMES; i++) {
        struct stage *stage = protein_stage(names[i], 120, 40);
        stage_need(stage);
        struct sx_value *data = stage->view.ops->data(&stage->view, &stage->fake.session);
        cr_expect_eq(sx_value_count(sx_value_get(data, "rows")), rows[i], "%s: %zu", names[i],
                     sx_value_count(sx_value_get(data, "rows")));
        const struct sx_value *row = sx_value_item(sx_value_get(data, "rows"), 1);
        if (i == 0) {
            cr_expect_str_eq(sx_value_string_or(sx_value_get(row, "token"), ""), "M");
            cr_expect_eq(sx_value_int_or(sx_value_get(row, "residue"), 0), 1);
            cr_expect(sx_value_bool_or(sx_value_get(row, "masked"), false));
            cr_expect_eq(sx_value_count(sx_value_get(row, "p20")), 20);
        } else if (i == 3) { /* the hairpin comes first */
            cr_expect_eq(sx_value_int_or(sx_value_get(row, "residue_a"), 0), 2);
            cr_expect_eq(sx_value_int_or(sx_value_get(row, "residue_b"), 0), 16);
        }
        sx_value_free(data);
        stage_free(stage);
    }
}
