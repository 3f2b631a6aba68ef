/* The screens of rotary bands, on a session made by hand. */
#include "view_walks.h"

#include "fake_bands.h"

static struct fake_bands store;

/* Query M1 masked, key <cls>; B: the mask at 38. */
static struct stage *protein_stage(const char *name, int width, int height)
{
    struct stage *stage = stage_new(name, width, height);
    struct sx_selection *at = &stage->fake.session.selection;

    fake_protein(&stage->fake);
    at->key = 0;
    at->layer = 4;
    at->head = 3;
    at->band = 2;
    fake_band_table(&stage->fake, &store, 38, true);
    fake_head(&stage->fake, &store);
    return stage;
}

static struct stage *text_stage(const char *name, int width, int height)
{
    struct stage *stage = stage_new(name, width, height);

    fake_text(&stage->fake);
    fake_band_table(&stage->fake, &store, SIZE_MAX, true);
    fake_head(&stage->fake, &store);
    return stage;
}

static void press(struct stage *stage, const char *name)
{
    cr_assert(stage_ask(stage, name, 0, NULL), "%s", name);
}

/* --- goldens ------------------------------------------------------------------------------------
 */

Test(band_views_golden, bands)
{
    struct stage *stage = protein_stage("bands", 120, 40);
    stage_need(stage);
    expect_lines(stage, "");
    golden_sizes_and_wide(stage, "bands");
    press(stage, "term-coupling");
    press(stage, "sort");
    stage_golden(stage, "bands-coupling", 80, 24);
    press(stage, "term-position");
    press(stage, "group");
    press(stage, "pin");
    stage->fake.session.selection.band = 5;
    stage_golden(stage, "bands-pinned", 80, 24);
    stage_golden(stage, "bands-pinned", 120, 40);
    stage_free(stage);
}

/* Of 43 proteins, as `band-means --against 38` and `band-interval` leave them. */
static void give_means(struct sx_session *session, size_t layer, size_t head, size_t band)
{
    static char fasta[] = "globins.fa", line[] = "sextant bands esm2-mini --fasta globins.fa";
    struct sx_band_means_data *means = &session->band_means;

    session->input.fasta = fasta;
    *means = (struct sx_band_means_data){
        .state = SX_STATE_READY,
        .serial = 7,
        .line = line,
        .fasta = fasta,
        .query = 1,
        .against = 38,
        .masked = true,
        .n = 43,
        .cell = {.state = SX_STATE_READY, .layer = layer, .head = head, .band = band},
    };
    for (int t = 0; t < SX_BAND_TERM_COUNT; t++)
        means->cell.term[t] = (struct sx_band_mean_term){-0.53125 - t, -0.6021 - t, -0.41337 - t};
}

Test(band_views_golden, bands_over_proteins)
{
    struct stage *stage = protein_stage("bands", 120, 40);
    struct sx_session *session = &stage->fake.session;

    give_means(session, 4, 5, 2);
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "bands-means", 80, 24);
    stage_golden(stage, "bands-means", 120, 40);
    press(stage, "group"); /* the sum over all heads */
    give_means(session, 4, SIZE_MAX, 2);
    session->band_means.n_left_out = 2;
    press(stage, "term-direction");
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "bands-means-all", 80, 24);
    session->band_means.state = SX_STATE_FAILED;
    session->band_means.error.status = SX_CANCELLED;
    stage_golden(stage, "bands-means-cancelled", 80, 24);
    stage_free(stage);
}

Test(band_views_need, the_mean_of_the_chosen_cell)
{
    struct stage *stage = protein_stage("bands", 120, 40);
    struct sx_session *session = &stage->fake.session;

    press(stage, "means");
    expect_lines(stage, "message means are over the sequences of a FASTA file; make one the input");
    give_means(session, 4, 5, 2);
    session->band_means.cell = (struct sx_band_mean){0};
    press(stage, "means");
    expect_lines(stage, "band-means --against 38");
    stage_need(stage);
    expect_lines(stage, "band-interval --layer 4 --head 5 --band 2");
    session->band_means.cell =
        (struct sx_band_mean){.state = SX_STATE_PENDING, .layer = 4, .head = 5, .band = 2};
    stage_need(stage);
    expect_lines(stage, "");
    session->selection.band = 3;
    press(stage, "group");
    stage_need(stage);
    expect_lines(stage, "band-interval --layer 4 --band 3");
    session->band_means.serial = 6; /* of another input */
    stage_need(stage);
    expect_lines(stage, "");
    give_means(session, 4, 5, 2);
    session->band_means.against = 12; /* another question */
    stage_need(stage);
    expect_lines(stage, "");
    fake_band_table(&stage->fake, &store, SIZE_MAX, true);
    press(stage, "means");
    expect_lines(stage, "message means are of the change from A to B: b chooses B");
    stage_free(stage);
}

Test(band_views_golden, bands_other_tables)
{
    struct stage *stage = protein_stage("bands", 120, 40);
    press(stage, "show");
    press(stage, "show");
    press(stage, "show"); /* A and B */
    stage_golden(stage, "bands-both", 80, 24);
    stage_golden(stage, "bands-both", 200, 50);
    press(stage, "show");
    press(stage, "heads");
    stage_golden(stage, "bands-heads", 80, 24);
    stage_golden(stage, "bands-heads", 120, 40);
    press(stage, "profile");
    stage_golden(stage, "bands-profile", 80, 24);
    stage_golden(stage, "bands-profile", 120, 40);
    stage_free(stage);
    stage = text_stage("bands", 120, 40);
    stage_golden(stage, "bands-text", 80, 24);
    stage_golden(stage, "bands-text", 120, 40);
    stage_free(stage);
}

Test(band_views_golden, head)
{
    struct stage *stage = protein_stage("head", 120, 40);
    stage_need(stage);
    expect_lines(stage, "");
    golden_sizes_and_wide(stage, "head");
    stage->fake.session.settings.bands_removed = 5;
    fake_head(&stage->fake, &store);
    press(stage, "centre");
    press(stage, "numbers");
    press(stage, "pin");
    stage->fake.session.selection.key = 17;
    stage_golden(stage, "head-without", 80, 24);
    stage_golden(stage, "head-without", 120, 40);
    stage_free(stage);
    stage = text_stage("head", 120, 40);
    stage_golden(stage, "head-text", 80, 24);
    stage_golden(stage, "head-text", 120, 40);
    stage_free(stage);
}

/* --- what is asked for --------------------------------------------------------------------------
 */

Test(band_views_need, from_nothing_to_everything)
{
    struct stage *stage = protein_stage("bands", 80, 24);
    struct sx_session *session = &stage->fake.session;

    session->bands = (struct sx_bands_data){0};
    stage_need(stage);
    expect_lines(stage, "band-table --against 38");
    session->bands.state = SX_STATE_PENDING; /* as the command leaves it */
    session->bands.serial = 7;
    session->bands.against = 38;
    session->bands.result.query_a = 1;
    stage_need(stage);
    expect_lines(stage, "");
    session->bands.state = SX_STATE_FAILED; /* is not asked again by itself */
    stage_need(stage);
    expect_lines(stage, "");
    cr_assert(stage_ask(stage, "pin", 0, NULL));
    expect_lines(stage, "band-table --against 38");
    stage->view.width = 200; /* room for the profile, and a small model */
    stage->view.height = 47;
    session->bands = (struct sx_bands_data){0};
    stage_need(stage);
    expect_lines(stage, "band-table --against 38 --profile");
    session->input.info.parameters = 650000000;
    stage_need(stage);
    expect_lines(stage, "band-table --against 38");
    stage_free(stage);
}

Test(band_views_need, follows_query_key_and_condition)
{
    struct stage *stage = protein_stage("bands", 80, 24);
    struct sx_session *session = &stage->fake.session;

    session->selection.token = 20;
    stage_need(stage);
    expect_lines(stage, "band-table --against 38");
    session->selection.token = 1;
    session->selection.key = 5;
    stage_need(stage);
    expect_lines(stage, "band-table --against 38");
    session->selection.key = 0;
    session->settings.against = SIZE_MAX;
    stage_need(stage);
    expect_lines(stage, "band-table");
    session->settings.against = 1; /* is A */
    stage_need(stage);
    expect_lines(stage, "band-table");
    session->settings.against = 500; /* of a longer input */
    stage_need(stage);
    expect_lines(stage, "band-table");
    session->settings.against = 38;
    session->bands.profile = false;
    stage_need(stage);
    expect_lines(stage, "");
    cr_assert(stage_ask(stage, "profile", 0, NULL)); /* asks for it at once */
    expect_lines(stage, "band-table --against 38 --profile");
    session->input.serial = 8;
    stage_need(stage);
    expect_lines(stage, "band-table --against 38 --profile");
    stage_free(stage);
}

Test(band_views_need, a_cursor_nobody_moved_goes_to_a_readout_head)
{
    struct stage *stage = protein_stage("bands", 80, 24);
    struct sx_session *session = &stage->fake.session;

    session->selection.layer = session->selection.head = session->selection.band = 0;
    stage_need(stage);
    expect_lines(stage, "select --layer 5 --head 5");
    session->selection.layer = session->selection.head = 5;
    stage_need(stage);
    expect_lines(stage, "");
    store.readout[4 * 8 + 1] = 9; /* of another query */
    session->selection.token = session->bands.result.query_a = 20;
    stage_need(stage);
    expect_lines(stage, "select --layer 4 --head 1");
    session->selection.head = 2; /* moved */
    store.readout[3] = 99;
    session->selection.token = session->bands.result.query_a = 21;
    stage_need(stage);
    expect_lines(stage, "");
    stage_free(stage);
}

Test(band_views_need, what_cannot_be_asked_is_not)
{
    struct stage *stage = text_stage("bands", 80, 24);
    struct sx_session *session = &stage->fake.session;

    session->selection.key = 9; /* behind query 6 */
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "bands-unseen", 80, 24);
    session->selection.key = 3;
    session->settings.against = 2; /* before the key */
    stage_need(stage);
    expect_lines(stage, "");
    session->settings.against = 9;
    stage_need(stage);
    expect_lines(stage, "band-table --against 9");
    stage_free(stage);
}

Test(band_views_need, a_stored_answer_is_all_there_is)
{
    static char path[] = "runs/kept.run.h5", line[] = "sextant bands esm2-mini --seq QIFVK";
    static const char *const screens[] = {"bands", "head"};
    for (size_t i = 0; i < 2; i++) {
        struct stage *stage = protein_stage(screens[i], 120, 40);
        struct sx_session *session = &stage->fake.session;
        struct sx_str text = SX_STR_INIT;
        session->input.run = path;
        session->input.line = line;
        session->selection.token = 7;
        session->selection.key = 5;
        session->settings.bands_removed = 2;
        stage_need(stage);
        expect_lines(stage, "");
        struct sx_screen *screen = stage_draw(stage, SX_CHARSET_UTF8);
        sx_screen_text(screen, false, &text);
        cr_assert_null(strstr(text.data, "holds the answer"), "%s", screens[i]);
        cr_assert_not_null(strstr(text.data, i ? "band × key" : "layer × band"), "%s", text.data);
        sx_screen_free(screen);
        session->bands.state = session->head.state = SX_STATE_EMPTY;
        stage_need(stage);
        expect_lines(stage, "");
        text.len = 0;
        screen = stage_draw(stage, SX_CHARSET_UTF8);
        sx_screen_text(screen, false, &text);
        cr_assert_not_null(strstr(text.data, "holds the answer of this command"), "%s", text.data);
        sx_screen_free(screen);
        sx_str_release(&text);
        stage_free(stage);
    }
}

Test(band_views_need, head_follows_layer_head_and_bands)
{
    struct stage *stage = protein_stage("head", 80, 24);
    struct sx_session *session = &stage->fake.session;

    session->settings.bands_removed = 4;
    stage_need(stage);
    expect_lines(stage, "head-bands --layer 4 --head 3 --removed 4");
    session->settings.bands_removed = 1024; /* the model has 8 */
    stage_need(stage);
    expect_lines(stage, "");
    session->selection.head = 7;
    stage_need(stage);
    expect_lines(stage, "head-bands --layer 4 --head 7 --removed 0");
    session->selection.head = 3;
    session->head.state = SX_STATE_PENDING;
    stage_need(stage);
    expect_lines(stage, "");
    session->head = (struct sx_head_data){0};
    stage_need(stage);
    expect_lines(stage, "head-bands --layer 4 --head 3 --removed 0");
    stage_free(stage);
}

/* --- requests -----------------------------------------------------------------------------------
 */

Test(band_views_request, bands)
{
    struct stage *stage = protein_stage("bands", 80, 24);
    struct sx_session *session = &stage->fake.session;

    press(stage, "down");
    expect_lines(stage, "select --layer 5 --band 2");
    press(stage, "right");
    expect_lines(stage, "select --layer 4 --band 3");
    press(stage, "heads");
    press(stage, "up");
    expect_lines(stage, "select --head 2 --band 2");
    press(stage, "other-next");
    expect_lines(stage, "select --layer 5");
    press(stage, "open");
    expect_lines(stage, "select --layer 4 --head 3 --band 2 | view head");
    cr_assert(stage_ask(stage, "back", 0, NULL));
    cr_assert_not(stage_ask(stage, "back", 0, NULL));
    press(stage, "other-next");
    expect_lines(stage, "select --head 4");
    press(stage, "open"); /* the one readout head of the layer */
    expect_lines(stage, "select --layer 4 --head 5 --band 2 | view head");
    press(stage, "group"); /* all: the one that changes most in band 2 */
    press(stage, "open");
    expect_lines(stage, "select --layer 4 --head 4 --band 2 | view head");
    press(stage, "knock-out");
    expect_lines(stage, "select --layer 4 --head 4 --band 2 | set --bands-removed 4 | view head");
    cr_assert(stage_ask(stage, "ask-against", 0, "21"));
    expect_lines(stage, "set --against 21");
    cr_assert(stage_ask(stage, "ask-against", 0, ""));
    expect_lines(stage, "set --against 39");
    cr_assert(stage_ask(stage, "ask-against", 0, "none"));
    expect_lines(stage, "set --against none");
    cr_assert(stage_ask(stage, "ask-against", 0, "1"));
    expect_lines(stage, "message B cannot be 1: it must be another residue than that of A");
    cr_assert(stage_ask(stage, "ask-against", 0, "0")); /* no mask in the place of <cls> */
    expect_lines(stage, "message B cannot be 0: it must be another residue than that of A");
    cr_assert(stage_ask(stage, "ask-key", 0, "17"));
    expect_lines(stage, "select --key 17");
    press(stage, "query-next");
    expect_lines(stage, "select --token 2");
    press(stage, "mask");
    expect_lines(stage, "mask --token 1");
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    cr_assert(stage_click(stage, 1 + 11 + 7 * 4, 3)); /* first row, fifth band */
    expect_lines(stage, "select --layer 0 --band 4");
    press(stage, "profile");
    cr_assert(stage_ask(stage, "first", 0, NULL));
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    cr_assert(stage_ask(stage, "right", 6, NULL));
    press(stage, "mark");
    expect_lines(stage, "set --against 6");
    session->bands.other = (char *)(uintptr_t) "MKT"; /* of another sequence: P asks on purpose */
    cr_assert(stage_ask(stage, "ask-against", 0, "21"));
    expect_lines(stage, "set --against 21 | band-table --against 21 --profile");
    stage_free(stage);
}

Test(band_views_request, sorted_rows_keep_the_cursor_on_its_layer)
{
    struct stage *stage = protein_stage("bands", 80, 24);

    press(stage, "group"); /* all heads */
    press(stage, "sort");
    for (int layer = 0; layer < FAKE_LAYERS; layer++) {
        stage->fake.session.selection.layer = (size_t)layer;
        press(stage, "right");
        char expected[64];
        snprintf(expected, sizeof expected, "select --layer %d --band 3", layer);
        expect_lines(stage, expected);
    }
    stage_free(stage);
}

Test(band_views_request, terms_without_a_second_condition)
{
    struct stage *stage = text_stage("bands", 80, 24);

    press(stage, "term-content");
    expect_lines(stage, "message content is of the change from A to B: b chooses B");
    stage_free(stage);
}

Test(band_views_request, head)
{
    struct stage *stage = protein_stage("head", 80, 24);
    struct sx_session *session = &stage->fake.session;

    press(stage, "toggle");
    expect_lines(stage, "set --bands-removed 4");
    session->settings.bands_removed = 5;
    press(stage, "toggle");
    expect_lines(stage, "set --bands-removed 1");
    press(stage, "band-7");
    expect_lines(stage, "set --bands-removed 133");
    press(stage, "band-9");
    expect_lines(stage, "message there are bands 0 to 7");
    press(stage, "restore");
    expect_lines(stage, "set --bands-removed 0");
    session->settings.bands_removed = 0;
    press(stage, "head-next");
    expect_lines(stage, "select --head 4");
    press(stage, "layer-previous");
    expect_lines(stage, "select --layer 3");
    press(stage, "right");
    expect_lines(stage, "select --key 1");
    cr_assert(stage_ask(stage, "down", 9, NULL)); /* the sum, which is no band */
    expect_lines(stage, "");
    press(stage, "toggle");
    expect_lines(stage, "message the cursor is on the sum; go to a band");
    press(stage, "last");
    expect_lines(stage, "select --key 77");
    stage_free(stage);
}

/* --- drawing ------------------------------------------------------------------------------------
 */

static const char *const names[] = {"bands", "head"};
enum { NAMES = sizeof names / sizeof *names };

Test(band_views_draw, every_size_without_allocating)
{
    for (int i = 0; i < NAMES; i++) {
        struct stage *stage = protein_stage(names[i], 80, 24);
        walk_sizes(stage);
        stage_free(stage);
        stage = text_stage(names[i], 80, 24);
        walk_sizes(stage);
        stage->fake.session.bands.state = stage->fake.session.head.state = SX_STATE_FAILED;
        walk_sizes(stage);
        stage->fake.session.input.state = SX_STATE_EMPTY;
        walk_sizes(stage);
        stage_free(stage);
    }
}

Test(band_views_draw, the_cursor_is_on_the_selected_cell)
{
    struct stage *stage = protein_stage("bands", 80, 24);
    struct sx_screen *screen = stage_draw(stage, SX_CHARSET_UTF8);

    cr_assert(screen->cursor_set);
    cr_expect_eq(screen->cursor_x, 1 + 11 + 2 * 7);
    cr_expect_eq(screen->cursor_y, 1 + 1 + 1 + 4);
    sx_screen_free(screen);
    stage_free(stage);
}

static void change(struct stage *stage, uint32_t random, int round)
{
    struct sx_selection *at = &stage->fake.session.selection;
    at->layer = (random >> 12) % FAKE_LAYERS;
    at->head = (random >> 20) % 9;
    at->band = (random >> 9) % 9;
    if (random % 17 == 0) {
        fake_head(&stage->fake, &store);
        fake_band_table(&stage->fake, &store, round % 2 ? 38 : SIZE_MAX, round % 3 > 0);
    }
}

Test(band_views_draw, random_requests)
{
    static const char *const requests[] = {
        "down",         "up",
        "left",         "right",
        "page-down",    "page-up",
        "first",        "last",
        "open",         "back",
        "heads",        "profile",
        "group",        "show",
        "sort",         "pin",
        "again",        "mark",
        "toggle",       "centre",
        "numbers",      "term-coupling",
        "term-content", "ask-against",
        "other-next",   "query-next",
        "head-next",    "layer-previous",
        "knock-out",    "half-down",
        "band-3",       "restore",
        "ask-key",      "ask-query",
    };
    const struct walk walk = {requests, sizeof requests / sizeof *requests, "39", change};
    for (uint32_t i = 0; i < NAMES; i++) {
        struct stage *stage = protein_stage(names[i], 80, 24);
        walk_requests(stage, &walk, 1 + i);
        stage_free(stage);
    }
}

/* --- as data ------------------------------------------------------------------------------------
 */

static double field(const struct sx_value *rows, size_t row, const char *name)
{
    return sx_value_real_or(sx_value_get(sx_value_item(rows, row), name), NAN);
}

Test(band_views_data, bands)
{
    struct stage *stage = protein_stage("bands", 80, 24);
    struct sx_value *document = stage->view.ops->data(&stage->view, &stage->fake.session);
    const struct sx_value *rows = sx_value_get(document, "rows");
    const size_t at = (4 * 8 + 3) * 8 + 2;

    cr_assert_eq(sx_value_count(rows), 6 * 8 * 8);
    cr_expect_eq(field(rows, at, "layer"), 4);
    cr_expect_eq(field(rows, at, "head"), 3);
    cr_expect_eq(field(rows, at, "band"), 2);
    cr_expect_eq(field(rows, at, "score"), store.a[at].score);
    cr_expect_eq(field(rows, at, "qn"), store.split[at].query_norm);
    cr_expect_eq(field(rows, at, "position"), store.split[at].position);
    sx_value_free(document);
    press(stage, "heads");
    press(stage, "profile");
    document = stage->view.ops->data(&stage->view, &stage->fake.session);
    rows = sx_value_get(document, "rows");
    cr_assert_eq(sx_value_count(rows), 8 * 78);
    cr_expect_eq(field(rows, 2 * 78 + 30, "position"), 30);
    cr_expect_float_eq(field(rows, 2 * 78 + 30, "score"), (double)store.profile[at * 78 + 30],
                       1e-12);
    sx_value_free(document);
    stage_free(stage);
}

Test(band_views_data, head)
{
    struct stage *stage = protein_stage("head", 80, 24);
    struct sx_value *document = stage->view.ops->data(&stage->view, &stage->fake.session);
    const struct sx_value *rows = sx_value_get(document, "rows");

    cr_assert_eq(sx_value_count(rows), 78 * 8);
    cr_expect_eq(field(rows, 17 * 8 + 3, "position"), 17);
    cr_expect_eq(field(rows, 17 * 8 + 3, "band"), 3);
    cr_expect_eq(field(rows, 17 * 8 + 3, "score"), (double)store.score[3 * 78 + 17]);
    double mean = 0;
    for (int k = 0; k < 78; k++)
        mean += field(rows, (size_t)k * 8 + 3, "centred") / 78;
    cr_expect_float_eq(mean, 0, 1e-9);
    sx_value_free(document);
    stage_free(stage);
}

Test(band_views_data, command_lines)
{
    struct stage *stage = protein_stage("bands", 80, 24);
    struct sx_str line = SX_STR_INIT;

    press(stage, "heads");
    stage->view.ops->line(&stage->view, &stage->fake.session, &line);
    cr_expect_str_eq(line.data,
                     "sextant bands esm2-mini --query 1 --key 0 --layer 4 --head 3 --metric total");
    sx_str_release(&line);
    stage->fake.session.bands.state = SX_STATE_PENDING;
    line = (struct sx_str)SX_STR_INIT;
    stage->view.ops->line(&stage->view, &stage->fake.session, &line);
    cr_expect_eq(line.len, 0);
    stage_free(stage);
}
