/* The screens circuit, patching and nterm, on results made by hand. */
#include "fake_circuits.h"
#include "sextant/interp/names.h"
#include "view_walks.h"

static struct fake_circuits circuits;

static struct stage *protein_stage(const char *name, int width, int height)
{
    struct stage *stage = stage_new(name, width, height);
    fake_protein(&stage->fake);
    stage->fake.session.selection.key = 0;
    stage->fake.session.selection.layer = 3;
    stage->fake.session.selection.head = 4;
    fake_circuits(&circuits, &stage->fake.session);
    return stage;
}

static struct stage *text_stage(const char *name, int width, int height)
{
    struct stage *stage = stage_new(name, width, height);
    fake_text(&stage->fake);
    fake_circuits(&circuits, &stage->fake.session);
    return stage;
}

/* --- circuit ------------------------------------------------------------------------------------
 */

Test(circuit_views_golden, circuit)
{
    struct stage *stage = protein_stage("circuit", 120, 40);
    stage_need(stage);
    expect_lines(stage, "");
    golden_sizes_and_wide(stage, "circuit");
    stage->view.focus = 1;
    stage_golden(stage, "circuit-parts", 80, 24);
    stage_ask(stage, "order", 0, NULL);
    stage->view.focus = 0;
    stage_golden(stage, "circuit-by-layer", 80, 24);
    stage_free(stage);
    stage = text_stage("circuit", 120, 40);
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "circuit-text", 80, 24);
    stage_golden(stage, "circuit-text", 120, 40);
    stage_free(stage);
}

/* --- patching -----------------------------------------------------------------------------------
 */

Test(circuit_views_golden, patching)
{
    struct stage *stage = protein_stage("patching", 120, 40);
    struct sx_session *session = &stage->fake.session;

    stage_need(stage);
    expect_lines(stage, "");
    golden_sizes_and_wide(stage, "patching");
    stage_ask(stage, "fit", 0, NULL);
    stage_golden(stage, "patching-fit", 80, 24);
    fake_scan(&circuits, session, SX_GRID_LAYER_HEAD, true, 20);
    session->revision[SX_SLOT_PATCHING]++;
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "patching-heads", 80, 24);
    stage_golden(stage, "patching-heads", 120, 40);
    session->patching.state = SX_STATE_FAILED;
    session->patching.error.status = SX_CANCELLED;
    stage_golden(stage, "patching-cancelled", 80, 24);
    stage_free(stage);
    stage = text_stage("patching", 120, 40);
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "patching-text", 80, 24);
    stage_free(stage);
}

/* --- nterm --------------------------------------------------------------------------------------
 */

Test(circuit_views_golden, nterm)
{
    struct stage *stage = protein_stage("nterm", 120, 40);

    stage_need(stage);
    expect_lines(stage, "");
    golden_sizes_and_wide(stage, "nterm");
    const struct sx_nterm_summary all = stage->fake.session.nterm.result.summary;
    stage->fake.session.nterm.result.summary.n_pairs = 0;
    stage->fake.session.nterm.result.summary.p_value = NAN;
    stage_golden(stage, "nterm-no-pairs", 120, 40);
    stage->fake.session.nterm.result.summary = all;
    stage_ask(stage, "class", 0, NULL);
    stage_ask(stage, "class", 0, NULL);
    stage_ask(stage, "order", 0, NULL);
    stage_golden(stage, "nterm-class", 80, 24);
    stage_free(stage);
}

/* --- need ---------------------------------------------------------------------------------------
 */

static const char *const names[] = {"circuit", "patching", "nterm"};
enum { NAMES = sizeof names / sizeof *names };

Test(circuit_views_need, from_nothing_to_everything)
{
    static const char *const asked[] = {"attribution",
                                        "patch-grid --ablate zero --grid layer-head --metric "
                                        "centred",
                                        "nterm-table"};
    for (size_t i = 0; i < NAMES; i++) {
        struct stage *stage = protein_stage(names[i], 120, 40);
        struct sx_session *session = &stage->fake.session;
        enum sx_slot_state *state[] = {&session->attribution.state, &session->patching.state,
                                       &session->nterm.state};

        session->selection.model = SIZE_MAX;
        stage_need(stage);
        expect_lines(stage, "select --model 12");
        session->selection.model = 12;
        session->input.state = SX_STATE_EMPTY;
        *state[i] = SX_STATE_EMPTY;
        stage_need(stage);
        expect_lines(stage, "input");
        session->input.state = SX_STATE_PENDING;
        stage_need(stage);
        expect_lines(stage, "");
        session->input.state = SX_STATE_READY;
        stage_need(stage);
        expect_lines(stage, asked[i]);
        for (int s = SX_STATE_PENDING; s <= SX_STATE_FAILED; s++) {
            *state[i] = (enum sx_slot_state)s;
            stage_need(stage);
            expect_lines(stage, "");
        }
        stage_free(stage);
    }
}

Test(circuit_views_need, circuit_follows_the_selection)
{
    struct stage *stage = protein_stage("circuit", 120, 40);
    struct sx_session *session = &stage->fake.session;

    stage_need(stage);
    expect_lines(stage, "");
    session->selection.head = 6;
    stage->view.moving = true;
    stage_need(stage);
    expect_lines(stage, "");
    stage->view.moving = false;
    stage_need(stage);
    expect_lines(stage, "composition --layer 3 --head 6 --side query");
    session->selection.head = 4;
    session->selection.token = 9;
    stage_need(stage);
    expect_lines(stage, "attribution | composition --layer 3 --head 4 --side query");
    session->selection.token = 1;
    session->settings.target = 5;
    stage_need(stage);
    expect_lines(stage, "attribution");
    session->settings.target = 20;
    stage_need(stage);
    expect_lines(stage, "");
    stage_free(stage);
}

/* Where nothing is chosen the head that writes most is. */
Test(circuit_views_need, circuit_chooses_a_head)
{
    struct stage *stage = protein_stage("circuit", 120, 40);
    struct sx_session *session = &stage->fake.session;

    session->selection.layer = session->selection.head = 0;
    fake_composition(&circuits, session);
    stage_need(stage);
    expect_lines(stage, "select --layer 5 --head 5");
    session->selection.layer = session->selection.head = 5;
    fake_composition(&circuits, session);
    stage_need(stage);
    expect_lines(stage, "");
    session->selection.layer = session->selection.head = 0; /* on purpose */
    fake_composition(&circuits, session);
    stage_need(stage);
    expect_lines(stage, "");
    stage_free(stage);
}

/* No logit to take apart, but heads to look at. */
Test(circuit_views_need, circuit_without_a_head_for_logits)
{
    struct stage *stage = protein_stage("circuit", 80, 24);
    struct sx_session *session = &stage->fake.session;

    session->input.info.has_lm_head = false;
    session->attribution.state = SX_STATE_EMPTY;
    session->selection.head = 6;
    stage_need(stage);
    expect_lines(stage, "composition --layer 3 --head 6 --side query");
    stage_golden(stage, "circuit-no-logits", 80, 24);
    stage_free(stage);
}

/* The cursors may go where they will: the file has one answer, and nothing more can be asked. */
static void make_answer(struct stage *stage)
{
    struct sx_session *session = &stage->fake.session;
    static char path[] = "runs/kept.run.h5";
    static char line[] = "sextant compose esm2-mini --seq '<mask>QIFVK' --layer 3 --head 4";

    session->input.run = path;
    session->input.line = line;
    session->selection.token = 7;
    session->selection.key = 5;
    session->selection.layer = 1;
    session->selection.head = 0;
}

Test(circuit_views_need, a_stored_answer_is_all_there_is)
{
    static const char *const screens[] = {"circuit", "patching"};
    for (size_t i = 0; i < 2; i++) {
        struct stage *stage = protein_stage(screens[i], 120, 40);
        make_answer(stage);
        stage_need(stage);
        expect_lines(stage, "");
        struct sx_screen *screen = stage_draw(stage, SX_CHARSET_UTF8);
        struct sx_str text = SX_STR_INIT;
        sx_screen_text(screen, false, &text);
        cr_assert_null(strstr(text.data, "holds the answer"), "%s", screens[i]);
        cr_assert_not_null(strstr(text.data, i ? "layer × token" : "of L3.H4"), "%s", text.data);
        sx_str_release(&text);
        sx_screen_free(screen);
        cr_assert(stage_ask(stage, "made", 0, NULL));
        expect_lines(stage, "select --entry 12 | view workspace");
        stage_free(stage);
    }
    struct stage *stage = protein_stage("circuit", 120, 40);
    make_answer(stage);
    stage->fake.session.attribution.state = SX_STATE_EMPTY;
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "circuit-answer", 80, 24);
    stage_golden(stage, "circuit-answer", 120, 40);
    stage_free(stage);
}

Test(circuit_views_need, nterm_is_of_proteins)
{
    struct stage *stage = text_stage("nterm", 120, 40);
    stage_need(stage);
    expect_lines(stage, "");
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    stage_free(stage);
}

/* --- requests -----------------------------------------------------------------------------------
 */

Test(circuit_views_request, circuit)
{
    struct stage *stage = protein_stage("circuit", 120, 40);
    struct sx_session *session = &stage->fake.session;

    stage_need(stage);
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    stage_ask(stage, "last", 0, NULL);
    expect_lines(stage, ""); /* a bias is no head */
    stage_ask(stage, "first", 0, NULL);
    expect_lines(stage, "select --layer 5 --head 5");
    session->selection.layer = session->selection.head = 5;
    fake_composition(&circuits, session);
    session->revision[SX_SLOT_COMPOSITION]++;
    stage_need(stage);
    expect_lines(stage, "");

    stage_ask(stage, "open", 0, NULL);
    cr_expect_eq(stage->view.focus, 1);
    stage_ask(stage, "open", 0, NULL);
    cr_assert_eq(sx_value_count(stage->emit.lines), 1);
    cr_expect(strncmp(sx_value_string_or(sx_value_item(stage->emit.lines, 0), ""), "select --layer",
                      14) == 0);
    stage_ask(stage, "back", 0, NULL);
    expect_lines(stage, "select --layer 5 --head 5");
    cr_expect_not(stage_ask(stage, "back", 0, NULL));

    stage_ask(stage, "side", 0, NULL);
    expect_lines(stage, "composition --layer 5 --head 5 --side key");
    stage_ask(stage, "against", 0, NULL);
    expect_lines(stage, "attribution --against mean");
    stage_ask(stage, "ask-against", 0, "A");
    expect_lines(stage, "attribution --against A");
    stage_ask(stage, "ask-target", 0, "K");
    expect_lines(stage, "set --target K");
    stage_ask(stage, "ask-key", 0, "17");
    expect_lines(stage, "select --key 17");
    stage_ask(stage, "key-next", 0, NULL);
    expect_lines(stage, "select --key 1");
    stage_free(stage);
}

/* What writes the key does so at the key: there it is looked at, and Esc leads back. */
Test(circuit_views_request, circuit_follows_a_key_to_its_token)
{
    struct stage *stage = protein_stage("circuit", 120, 40);
    struct sx_session *session = &stage->fake.session;

    session->selection.key = 17;
    fake_composition(&circuits, session);
    stage_need(stage);
    stage_ask(stage, "side", 0, NULL);
    session->composition.result.side = SX_OF_KEY;
    session->revision[SX_SLOT_COMPOSITION]++;
    stage_need(stage);
    stage->view.focus = 1;
    stage_ask(stage, "open", 0, NULL);
    cr_assert_eq(sx_value_count(stage->emit.lines), 2);
    cr_expect_str_eq(sx_value_string_or(sx_value_item(stage->emit.lines, 1), ""),
                     "select --token 17");
    session->selection.token = 17;
    stage_ask(stage, "back", 0, NULL);
    expect_lines(stage, "select --layer 3 --head 4 | select --token 1");
    stage_free(stage);
}

Test(circuit_views_request, circuit_by_embedding)
{
    struct stage *stage = protein_stage("circuit", 120, 40);
    struct sx_session *session = &stage->fake.session;

    stage_need(stage);
    stage_ask(stage, "embeddings", 0, NULL);
    expect_lines(stage, "attribution --linearised");
    stage_need(stage);
    expect_lines(stage, ""); /* once */
    session->attribution.result.by_embedding = circuits.by_embedding;
    session->attribution.result.linearised_residual = 4e-7;
    session->revision[SX_SLOT_ATTRIBUTION]++;
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "circuit-embeddings", 80, 24);
    stage_golden(stage, "circuit-embeddings", 120, 40);
    stage_free(stage);
}

Test(circuit_views_request, patching)
{
    struct stage *stage = protein_stage("patching", 120, 40);
    struct sx_session *session = &stage->fake.session;

    stage_need(stage);
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    stage_ask(stage, "grid", 0, NULL);
    cr_assert_eq(sx_value_count(stage->emit.lines), 1);
    const char *line = sx_value_string_or(sx_value_item(stage->emit.lines, 0), "");
    cr_expect(strncmp(line, "patch-grid --corrupt '<mask>", 28) == 0, "%s", line);
    cr_expect(strstr(line, "--grid layer-head --metric centred"), "%s", line);
    stage_ask(stage, "how", 0, NULL);
    expect_lines(stage, "patch-grid --ablate zero --grid layer-head --metric centred");
    stage_ask(stage, "metric", 0, NULL);
    expect_lines(stage, "patch-grid --ablate zero --grid layer-head --metric logit");
    stage_ask(stage, "ask-corrupt", 0, "MKV");
    expect_lines(stage, "patch-grid --corrupt MKV --grid layer-head --metric logit");
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "select --layer 0 --key 0 | view circuit");
    stage->view.focus = 1;
    stage_ask(stage, "down", 0, NULL);
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "select --layer 2 --key 4 | view circuit");
    session->patching.state = SX_STATE_PENDING;
    stage_need(stage);
    expect_lines(stage, "");
    stage_free(stage);
    stage = text_stage("patching", 120, 40);
    stage_need(stage);
    stage_ask(stage, "ask-corrupt", 0, "");
    expect_lines(stage, "message type another prompt of 14 tokens");
    stage_free(stage);
}

/* The emitted line has this in it. */
static void says(const struct stage *stage, const char *part)
{
    const char *line = sx_value_string_or(sx_value_item(stage->emit.lines, 0), "");
    cr_assert(strstr(line, part), "%s", line);
}

Test(circuit_views_request, patching_compares_two_grids)
{
    struct stage *stage = protein_stage("patching", 120, 40);
    struct sx_session *session = &stage->fake.session;
    fake_scan(&circuits, session, SX_GRID_LAYER_HEAD, false, 120);
    session->revision[SX_SLOT_PATCHING]++;
    stage_need(stage);
    const struct sx_scan_result *r = &session->patching.result;
    cr_assert(stage_ask(stage, "difference", 0, NULL));
    says(stage, "nothing is kept");
    cr_assert(stage_ask(stage, "keep", 0, NULL));
    says(stage, "message kept");
    r->value[2 * r->columns + 5] += (float)(0.25 * (r->clean - r->corrupt));
    session->revision[SX_SLOT_PATCHING]++;
    stage_need(stage);
    cr_assert(stage_ask(stage, "difference", 0, NULL));
    expect_lines(stage, "");
    stage_golden(stage, "patching-difference", 80, 24);
    stage_golden(stage, "patching-difference", 120, 40);
    struct sx_value *document = stage->view.ops->data(&stage->view, session);
    const struct sx_value *rows = sx_value_get(document, "rows");
    for (size_t i = 0; i < sx_value_count(rows); i++) {
        const struct sx_value *row = sx_value_item(rows, i);
        const double change = sx_value_real_or(sx_value_get(row, "effect"), NAN) -
                              sx_value_real_or(sx_value_get(row, "kept"), NAN);
        cr_assert_float_eq(change, i == 2 * r->columns + 5 ? 0.25 : 0, 1e-5, "%zu: %g", i, change);
    }
    sx_value_free(document);
    fake_scan(&circuits, session, SX_GRID_QKV, false, 360);
    session->revision[SX_SLOT_PATCHING]++;
    stage_need(stage);
    cr_assert(stage_ask(stage, "difference", 0, NULL));
    says(stage, "another kind of grid");
    stage_free(stage);
}

/* The default counterpart: the same residues, the masks where they are. */
Test(circuit_views_request, patching_shuffles)
{
    struct stage *stage = protein_stage("patching", 120, 40);
    int count[128] = {0};
    size_t masks = 0;

    stage_need(stage);
    stage_ask(stage, "again", 0, NULL);
    const char *at = strchr(sx_value_string_or(sx_value_item(stage->emit.lines, 0), ""), '\'') + 1;
    cr_assert(strncmp(at, "<mask>", 6) == 0);
    for (; *at != '\''; at++) {
        if (strncmp(at, "<mask>", 6) == 0) {
            masks++;
            at += 5;
        } else {
            count[(unsigned char)*at & 127]++;
        }
    }
    cr_expect_eq(masks, 2);
    for (size_t t = 1; t <= 76; t++)
        if (!stage->fake.masked[t])
            count[(unsigned char)stage->fake.tokens[t].text[0]]--;
    for (int c = 0; c < 128; c++)
        cr_expect_eq(count[c], 0, "%c", c);
    stage_free(stage);
}

Test(circuit_views_request, nterm)
{
    struct stage *stage = protein_stage("nterm", 120, 40);
    struct sx_session *session = &stage->fake.session;

    stage_need(stage);
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    stage_ask(stage, "down", 0, NULL);
    expect_lines(stage, "select --protein 1");
    session->selection.protein = 1;
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "input '<mask>VFGRCELAAAMKRHGLDNYRGYSLGNW' | view circuit");
    stage_ask(stage, "search", 0, "QO6");
    expect_lines(stage, "select --protein 6");
    stage_ask(stage, "ask-file", 0, "my proteins.fasta");
    expect_lines(stage, "nterm-table 'my proteins.fasta'");
    stage_ask(stage, "ask-file", 0, "");
    expect_lines(stage, "nterm-table --builtin");
    for (int k = 0; k < SX_NTERM_CLASS_COUNT; k++) {
        stage_ask(stage, "class", 0, NULL);
        struct sx_value *data = stage->view.ops->data(&stage->view, session);
        const struct sx_value *rows = sx_value_get(data, "rows");
        cr_expect_eq(sx_value_count(rows), 5, "%d", k);
        cr_expect_str_eq(sx_value_string_or(sx_value_get(sx_value_item(rows, 0), "class"), ""),
                         sx_nterm_class_name((enum sx_nterm_class)k));
        sx_value_free(data);
    }
    stage_free(stage);
}

Test(circuit_views_request, nterm_sorts)
{
    struct stage *stage = protein_stage("nterm", 120, 40);

    stage_need(stage);
    for (int o = 0; o < 3; o++)
        stage_ask(stage, "order", 0, NULL);
    for (int reversed = 0; reversed < 2; reversed++) {
        struct sx_value *data = stage->view.ops->data(&stage->view, &stage->fake.session);
        const struct sx_value *rows = sx_value_get(data, "rows");
        for (size_t i = 1; i < sx_value_count(rows); i++) {
            const double a = sx_value_real_or(
                sx_value_get(sx_value_item(rows, i - 1), "mature-first.p_met"), -1);
            const double b =
                sx_value_real_or(sx_value_get(sx_value_item(rows, i), "mature-first.p_met"), -1);
            cr_expect(reversed ? a <= b : a >= b);
        }
        sx_value_free(data);
        stage_ask(stage, "reverse", 0, NULL);
    }
    stage_free(stage);
}

/* --- drawing ------------------------------------------------------------------------------------
 */

Test(circuit_views_draw, every_size_without_allocating)
{
    for (size_t i = 0; i < NAMES; i++) {
        struct stage *stage = protein_stage(names[i], 120, 40);
        stage_need(stage);
        walk_sizes(stage);
        stage_free(stage);
    }
}

Test(circuit_views_draw, empty_session)
{
    static const char *const requests[] = {"down", "left",  "open",  "last",       "order",
                                           "side", "class", "again", "embeddings", "grid",
                                           "how",  "back",  "pin",   "search"};
    walk_empty(names, NAMES, requests, sizeof requests / sizeof *requests);
}

static void change(struct stage *stage, uint32_t random, int round)
{
    struct sx_session *session = &stage->fake.session;
    struct sx_selection *at = &session->selection;
    if (round % 3 == 0) {
        at->layer = (random >> 14) % 9 % FAKE_LAYERS;
        at->head = (random >> 15) % 9;
        at->token = (random >> 10) % session->input.n;
        at->key = (random >> 12) % session->input.n;
        at->protein = (random >> 16) % CIRCUIT_PROTEINS;
        fake_attribution(&circuits, session);
        if ((random >> 18) % 2)
            session->attribution.result.by_embedding = circuits.by_embedding;
        fake_composition(&circuits, session);
        fake_scan(&circuits, session, (enum sx_grid)((random >> 11) % SX_GRID_COUNT),
                  (random >> 19) % 2, (random >> 9) % 60);
        for (int s = SX_SLOT_ATTRIBUTION; s <= SX_SLOT_PATCHING; s++)
            session->revision[s]++;
    }
    session->attribution.state = (enum sx_slot_state)((random >> 17) % 4);
    session->composition.state = (enum sx_slot_state)((random >> 21) % 4);
}

Test(circuit_views_draw, random_requests)
{
    static const char *const requests[] = {
        "down",     "up",          "left",       "right",      "page-down", "page-up", "first",
        "last",     "open",        "back",       "side",       "order",     "against", "embeddings",
        "key-next", "query-next",  "ask-key",    "ask-target", "again",     "grid",    "metric",
        "how",      "ask-corrupt", "fit",        "pin",        "class",     "reverse", "search",
        "click",    "wheel-down",  "ask-against"};
    const struct walk walk = {requests, sizeof requests / sizeof *requests, "3", change};
    for (uint32_t i = 0; i < 2 * NAMES; i++) {
        struct stage *stage =
            i < NAMES ? protein_stage(names[i], 120, 40) : text_stage(names[i - NAMES], 120, 40);
        walk_requests(stage, &walk, 99 + i);
        stage_free(stage);
    }
}

/* --- as data ------------------------------------------------------------------------------------
 */

Test(circuit_views_data, rows)
{
    static const size_t rows[] = {CIRCUIT_TERMS, 7 * 78, CIRCUIT_PROTEINS};
    for (size_t i = 0; i < NAMES; i++) {
        struct stage *stage = protein_stage(names[i], 120, 40);
        struct sx_str line = SX_STR_INIT;
        stage_need(stage);
        struct sx_value *data = stage->view.ops->data(&stage->view, &stage->fake.session);
        cr_expect_eq(sx_value_count(sx_value_get(data, "rows")), rows[i], "%s: %zu", names[i],
                     sx_value_count(sx_value_get(data, "rows")));
        stage->view.ops->line(&stage->view, &stage->fake.session, &line);
        cr_expect(strncmp(line.data, "sextant ", 8) == 0);
        sx_str_release(&line);
        sx_value_free(data);
        stage_free(stage);
    }
}

Test(circuit_views_data, the_focus_says_which)
{
    struct stage *stage = protein_stage("circuit", 120, 40);
    stage_need(stage);
    stage->view.focus = 1;
    struct sx_value *data = stage->view.ops->data(&stage->view, &stage->fake.session);
    const struct sx_value *row = sx_value_item(sx_value_get(data, "rows"), 1);
    cr_expect_eq(sx_value_count(sx_value_get(data, "rows")), 2 + 3 * (FAKE_HEADS + 2));
    cr_expect_str_eq(sx_value_string_or(sx_value_get(row, "component"), ""), "head");
    cr_expect_float_eq(sx_value_real_or(sx_value_get(row, "band_2"), 0), circuits.band[8 + 2],
                       1e-12);
    cr_expect_str_eq(sx_value_string_or(sx_value_get(data, "side"), ""), "query");
    sx_value_free(data);
    stage_free(stage);
}
