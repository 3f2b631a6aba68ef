/* Every view on a session made by hand: what it draws, asks for, answers and gives as data. */
#include "view_walks.h"

#define GOLDEN_OF(view_name)                                                                       \
    Test(views_golden, view_name)                                                                  \
    {                                                                                              \
        struct stage *stage = stage_new(#view_name, 120, 40);                                      \
        stage_need(stage);                                                                         \
        golden_sizes(stage, #view_name);                                                           \
        stage_free(stage);                                                                         \
    }

GOLDEN_OF(workspace)
GOLDEN_OF(features)
GOLDEN_OF(seeds)
GOLDEN_OF(weights)
GOLDEN_OF(gallery)
GOLDEN_OF(training)
GOLDEN_OF(inspector)

Test(views_golden, workspace_empty)
{
    struct stage *stage = stage_new("workspace", 80, 24);
    stage->fake.session.workspace.n_entries = stage->fake.session.workspace.n_families = 0;
    stage->fake.session.selection.family = SIZE_MAX;
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "workspace-empty", 80, 24);
    stage_free(stage);
}

Test(views_golden, workspace_problem)
{
    struct stage *stage = stage_new("workspace", 120, 24);
    stage->fake.session.selection.family = SIZE_MAX;
    stage->fake.session.selection.entry = 11;
    stage_need(stage);
    stage_golden(stage, "workspace-problem", 120, 24);
    stage_free(stage);
}

Test(views_golden, workspace_not_loaded)
{
    struct stage *stage = stage_new("workspace", 80, 24);
    stage->fake.session.selection.family = 2;
    stage_need(stage);
    stage->view.focus = 1;
    stage_golden(stage, "workspace-not-loaded", 80, 24);
    stage_free(stage);
}

Test(views_golden, features_card)
{
    struct stage *stage = stage_new("features", 80, 24);
    stage_need(stage);
    cr_assert(stage_ask(stage, "open", 0, NULL));
    stage_golden(stage, "features-card", 80, 24);
    stage_golden(stage, "features-card", 120, 40);
    stage_free(stage);
}

/* Weights instead of images; the seeds are not matched, and the card is on its way. */
Test(views_golden, features_without_images)
{
    struct stage *stage = stage_new("features", 120, 40);
    stage->fake.session.family.image_width = stage->fake.session.card.image_width = 0;
    stage->fake.session.match.state = SX_STATE_EMPTY;
    stage->fake.session.card.assigned = false;
    stage_need(stage);
    stage_golden(stage, "features-weights", 120, 40);
    stage->fake.session.match.state = SX_STATE_PENDING;
    stage->fake.session.card.state = SX_STATE_PENDING;
    stage_golden(stage, "features-pending", 120, 24);
    stage_free(stage);
}

Test(views_golden, features_filtered_away)
{
    struct stage *stage = stage_new("features", 80, 24);
    stage->fake.session.rows.n = 0;
    strcpy(stage->fake.session.rows.filter, "align>2");
    stage_need(stage);
    expect_lines(stage, "");
    stage_golden(stage, "features-none", 80, 24);
    stage_free(stage);
}

Test(views_golden, seeds_overlay_and_cut)
{
    static char title[] = "T none 64→24 relu";
    struct stage *stage = stage_new("seeds", 120, 40);
    stage->fake.session.match.survival_other = &stage->fake.other;
    stage->fake.session.match.other_title = title;
    stage->fake.session.settings.alive = 0.3;
    stage->fake.session.match.alive_state =
        SX_STATE_PENDING; /* the numbers are of the cut before */
    stage->fake.set.alive = stage->fake.pair;
    stage->fake.set.alive_cut = 0.1;
    stage->fake.summary.alive = true;
    stage->fake.session.settings.counter = SX_COUNTER_CLIQUE;
    stage_need(stage);
    stage->view.focus = 2;
    stage_golden(stage, "seeds-overlay", 120, 40);
    stage->fake.session.match.state = SX_STATE_PENDING;
    stage_golden(stage, "seeds-pending", 80, 24);
    stage_free(stage);
}

Test(views_golden, weights_cut)
{
    struct stage *stage = stage_new("weights", 120, 40);
    stage->fake.session.settings.alive = 0.3;
    stage_need(stage);
    stage_golden(stage, "weights-cut", 120, 40);
    stage->view.focus = 1;
    stage_golden(stage, "weights-norms", 80, 24);
    stage_free(stage);
}

Test(views_golden, inspector_strides)
{
    struct stage *stage = stage_new("inspector", 80, 24);
    stage->fake.session.selection.entry = 7;
    stage_need(stage);
    stage_golden(stage, "inspector-strides", 80, 24);
    stage_free(stage);
}

/* --- need settles -------------------------------------------------------------------------------
 */

Test(views_need, asks_once_and_settles)
{
    struct stage *stage = stage_new("features", 120, 40);
    struct sx_session *session = &stage->fake.session;

    stage_need(stage);
    expect_lines(stage, "");

    session->family.state = SX_STATE_EMPTY;
    stage_need(stage);
    expect_lines(stage, "load-family");
    session->family.state = SX_STATE_PENDING;
    stage_need(stage);
    expect_lines(stage, "");
    session->family.family = 0; /* another one is on its way */
    stage_need(stage);
    expect_lines(stage, "load-family");
    session->family.family = 1;
    session->family.state = SX_STATE_FAILED;
    stage_need(stage);
    expect_lines(stage, "");

    session->family.state = SX_STATE_READY;
    session->match.state = SX_STATE_EMPTY;
    session->card.state = SX_STATE_EMPTY;
    session->rows.state = SX_STATE_EMPTY;
    stage_need(stage);
    expect_lines(stage, "rows | match-family");
    session->rows.state = SX_STATE_READY;
    session->match.state = SX_STATE_PENDING;
    stage_need(stage);
    expect_lines(stage, "card");
    session->card.state = SX_STATE_PENDING;
    stage_need(stage);
    expect_lines(stage, "");

    /* The card was made before the match: once more, and only once. */
    session->card.state = SX_STATE_READY;
    session->card.assigned = false;
    session->match.state = SX_STATE_READY;
    session->revision[SX_SLOT_MATCH]++;
    stage_need(stage);
    expect_lines(stage, "card");
    stage_need(stage);
    expect_lines(stage, "");
    stage_free(stage);
}

Test(views_need, large_families_are_not_matched_unasked)
{
    struct stage *stage = stage_new("features", 120, 40);
    stage->fake.session.match.state = SX_STATE_EMPTY;
    stage->fake.session.family.F = 16384;
    stage_need(stage);
    expect_lines(stage, "");
    stage_free(stage);

    stage = stage_new("seeds", 120, 40);
    stage->fake.session.match.state = SX_STATE_EMPTY;
    stage->fake.session.family.F = 16384;
    stage_need(stage);
    expect_lines(stage, "match-family");
    stage_free(stage);
}

Test(views_need, narrow_screens_need_no_card)
{
    struct stage *stage = stage_new("features", 80, 24);
    stage->fake.session.card.state = SX_STATE_EMPTY;
    stage_need(stage);
    expect_lines(stage, "");
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "card");
    stage_free(stage);
}

Test(views_need, workspace_reads_no_weights)
{
    struct stage *stage = stage_new("workspace", 120, 40);
    stage->fake.session.family.state = SX_STATE_EMPTY;
    stage->fake.session.match.state = SX_STATE_EMPTY;
    stage_need(stage);
    expect_lines(stage, "");
    stage_free(stage);
}

Test(views_need, gallery_follows_the_rows)
{
    struct stage *stage = stage_new("gallery", 120, 40);
    stage_need(stage);
    cr_assert_eq(sx_value_count(stage->emit.lines), 1);
    cr_expect_eq(strncmp(sx_value_string_or(sx_value_item(stage->emit.lines, 0), ""),
                         "gallery --first 0 --columns ", 28),
                 0);
    stage_need(stage);
    expect_lines(stage, "");
    stage->fake.session.revision[SX_SLOT_ROWS]++;
    stage_need(stage);
    cr_expect_eq(sx_value_count(stage->emit.lines), 1);
    stage_free(stage);
}

Test(views_need, training_picks_the_first_run_and_watches)
{
    struct stage *stage = stage_new("training", 120, 40);
    stage->fake.session.selection.training = SIZE_MAX;
    stage_need(stage);
    expect_lines(stage, "select --training 9");
    stage->fake.session.selection.training = 9;
    stage_need(stage);
    expect_lines(stage, "");
    stage_ask(stage, "refresh", 0, NULL);
    expect_lines(stage, "curves");
    stage->fake.session.curves.state = SX_STATE_PENDING;
    stage_ask(stage, "refresh", 0, NULL);
    expect_lines(stage, "");
    stage_free(stage);
}

/* --- requests -----------------------------------------------------------------------------------
 */

Test(views_request, features)
{
    struct stage *stage = stage_new("features", 120, 40);
    struct sx_session *session = &stage->fake.session;
    stage_need(stage);

    cr_expect(stage_ask(stage, "down", 2, NULL));
    expect_lines(stage, "select --latent 5");
    stage_ask(stage, "last", 0, NULL);
    expect_lines(stage, "select --latent 23");
    stage_ask(stage, "last", 17, NULL);
    expect_lines(stage, "select --latent 17");
    stage_ask(stage, "last", 99, NULL);
    expect_lines(stage, "message there are 24 latents, 0 to 23");
    stage_ask(stage, "sort", 0, NULL);
    expect_lines(stage, "sort align --descending");
    stage_ask(stage, "reverse", 0, NULL);
    expect_lines(stage, "sort latent --descending");
    stage_ask(stage, "filter", 0, "alive & sim>.5");
    expect_lines(stage, "filter 'alive & sim>.5'");
    stage_ask(stage, "filter", 0, "");
    expect_lines(stage, "filter");
    stage_ask(stage, "search-previous", 0, NULL);
    expect_lines(stage, "jump --backward --count 1");
    stage_ask(stage, "seed-previous", 0, NULL);
    expect_lines(stage, "select --seed 2");
    stage_ask(stage, "undo", 0, NULL);
    expect_lines(stage, "message no mark to take back here");
    stage_ask(stage, "mark", 0, NULL);
    expect_lines(stage, "mark --latent 3");
    session->selection.latent = 4;
    stage_ask(stage, "undo", 0, NULL);
    expect_lines(stage, "mark --latent 3");
    session->selection.latent = 3;
    stage_ask(stage, "orphans", 0, NULL);
    expect_lines(stage, "set --orphans on");
    cr_expect_not(stage_ask(stage, "back", 0, NULL), "the app goes back");

    /* The filter took the selected latent away: the row in its place is selected. */
    session->rows.order = stage->fake.order + 8;
    session->rows.n = 4;
    stage_need(stage);
    expect_lines(stage, "select --latent 11");
    stage_free(stage);
}

Test(views_request, features_mouse)
{
    struct stage *stage = stage_new("features", 120, 40);
    stage_need(stage);
    sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
    cr_expect(stage_click(stage, 5, 2 + 7)); /* a title and the heads stand above the rows */
    expect_lines(stage, "select --latent 7");
    cr_expect(stage_click(stage, 12, 1));
    expect_lines(stage, "sort align --descending");
    cr_expect(stage_click(stage, 100, 5));
    cr_expect_eq(stage->view.focus, 1);
    stage_free(stage);
}

Test(views_request, seeds)
{
    struct stage *stage = stage_new("seeds", 120, 40);
    struct sx_session *session = &stage->fake.session;
    stage_need(stage);
    stage_ask(stage, "right", 0, NULL);
    expect_lines(stage, "set --tau 0.710");
    stage_ask(stage, "left", 20, NULL);
    expect_lines(stage, "set --tau 0.500");
    stage_ask(stage, "right", 99, NULL);
    expect_lines(stage, "set --tau 1.000");
    session->settings.tau = 1;
    stage_ask(stage, "right", 0, NULL);
    expect_lines(stage, "");
    stage_ask(stage, "pair-next", 0, NULL);
    expect_lines(stage, "select --pair 0,2");
    stage_ask(stage, "pair-previous", 0, NULL);
    expect_lines(stage, "select --pair 1,2");
    stage_ask(stage, "down", 2, NULL);
    expect_lines(stage, "select --pair 1,2");
    stage_ask(stage, "counter", 0, NULL);
    expect_lines(stage, "set --counter clique");
    stage_ask(stage, "cut", 0, NULL);
    expect_lines(stage, "set --alive 0.1");
    stage_ask(stage, "orphans", 0, NULL);
    expect_lines(stage, "set --orphans on | view features");
    stage_ask(stage, "overlay", 0, NULL);
    expect_lines(stage, "match-family --other 0");
    stage_ask(stage, "overlay", 0, NULL);
    expect_lines(stage, "match-family --other 2");
    stage_free(stage);
}

Test(views_request, workspace)
{
    struct stage *stage = stage_new("workspace", 120, 40);
    stage_need(stage);
    stage_ask(stage, "down", 0, NULL);
    expect_lines(stage, "select --family 2");
    stage_ask(stage, "down", 0, NULL); /* over the heading */
    expect_lines(stage, "select --entry 9 --training 9");
    stage_ask(stage, "open", 0, NULL);
    expect_lines(stage, "select --entry 9 --training 9 | view training");
    stage_ask(stage, "first", 0, NULL);
    expect_lines(stage, "select --family 0");
    stage_ask(stage, "last", 0, NULL);
    expect_lines(stage, "select --entry 11");
    stage_ask(stage, "search", 0, "PYTHIA");
    expect_lines(stage, "select --family 2");
    stage_ask(stage, "search", 0, "nowhere");
    expect_lines(stage, "message not found: nowhere | select --family 2");
    stage_free(stage);
}

Test(views_request, weights)
{
    struct stage *stage = stage_new("weights", 120, 40);
    struct sx_settings *settings = &stage->fake.session.settings;
    stage_need(stage);
    stage_ask(stage, "right", 0, NULL);
    expect_lines(stage, "set --alive 0.10");
    settings->alive = 0.1;
    stage_ask(stage, "right", 3, NULL);
    expect_lines(stage, "set --alive 0.25");
    stage_ask(stage, "left", 3, NULL);
    expect_lines(stage, "set --alive -1.00");
    stage_ask(stage, "cut", 0, NULL);
    expect_lines(stage, "set --alive -1.00");
    stage_ask(stage, "seed-next", 0, NULL);
    expect_lines(stage, "select --seed 1");
    stage_free(stage);
}

Test(views_request, gallery_scrolls_by_columns)
{
    struct stage *stage = stage_new("gallery", 80, 24);
    stage_need(stage);
    stage_ask(stage, "right", 0, NULL);
    expect_lines(stage, "select --latent 4");
    stage_ask(stage, "last", 0, NULL);
    expect_lines(stage, "select --latent 23");
    stage->fake.session.selection.latent = 23;
    stage_need(stage);
    cr_expect_eq(sx_value_count(stage->emit.lines), 1);
    cr_expect(stage_ask(stage, "side", 0, NULL));
    cr_expect(stage_ask(stage, "down", 0, NULL));
    stage_free(stage);
}

/* --- any size, and as data ----------------------------------------------------------------------
 */

static const char *const names[] = {"workspace", "features", "seeds",    "weights",
                                    "gallery",   "training", "inspector"};
enum { NAMES = sizeof names / sizeof *names };

Test(views_draw, every_size_without_allocating)
{
    for (size_t i = 0; i < NAMES; i++) {
        struct stage *stage = stage_new(names[i], 120, 40);
        stage_need(stage);
        walk_sizes(stage);
        stage_free(stage);
    }
}

Test(views_draw, empty_session)
{
    static const char *const requests[] = {"down", "up",   "left", "right",  "open",
                                           "sort", "mark", "last", "search", "search-next"};
    walk_empty(names, NAMES, requests, sizeof requests / sizeof *requests);
}

static void change(struct stage *stage, uint32_t random, int round)
{
    struct sx_session *session = &stage->fake.session;
    (void)round;
    session->selection.latent = (random >> 10) % FAKE_F;
    session->selection.seed_index = (random >> 12) % FAKE_SEEDS;
    session->rows.n = (random >> 14) % (FAKE_F + 1);
    session->match.state = (enum sx_slot_state)((random >> 16) % 4);
    session->card.state = (enum sx_slot_state)((random >> 18) % 4);
}

Test(views_draw, random_requests)
{
    static const char *const requests[] = {
        "down",      "up",         "left",          "right",       "page-down",  "page-up",
        "half-down", "first",      "last",          "open",        "back",       "sort",
        "reverse",   "filter",     "search",        "mark",        "orphans",    "seed-next",
        "pair-next", "cut",        "counter",       "overlay",     "side",       "log-scale",
        "run-next",  "entry-next", "seed-previous", "refresh",     "focus-next", "click",
        "wheel-up",  "wheel-down", "drag",          "search-next", "marked-only"};
    const struct walk walk = {requests, sizeof requests / sizeof *requests, "a", change};
    for (uint32_t i = 0; i < NAMES; i++) {
        struct stage *stage = stage_new(names[i], 120, 40);
        walk_requests(stage, &walk, 12345 + i);
        stage_free(stage);
    }
}

Test(views_data, rows)
{
    static const size_t rows[] = {12, 24, 3, 3, 24, 40, 4};
    for (size_t i = 0; i < NAMES; i++) {
        struct stage *stage = stage_new(names[i], 120, 40);
        stage_need(stage);
        struct sx_value *data = stage->view.ops->data(&stage->view, &stage->fake.session);
        cr_expect_eq(sx_value_count(sx_value_get(data, "rows")), rows[i], "%s", names[i]);
        if (strcmp(names[i], "features") == 0) {
            const struct sx_value *row = sx_value_item(sx_value_get(data, "rows"), 3);
            cr_expect_eq(sx_value_int_or(sx_value_get(row, "seed1_partner"), -1), 8);
            cr_expect_eq(sx_value_int_or(sx_value_get(row, "seed2_partner"), -1), 10);
            cr_expect_float_eq(sx_value_real_or(sx_value_get(row, "seed1_sim_dec"), 0), 0.88, 1e-6);
        }
        sx_value_free(data);
        stage_free(stage);
    }
}

/* From seed 2 the pairs are read backwards. */
Test(views_data, partners_of_another_anchor)
{
    struct stage *stage = stage_new("features", 120, 40);
    stage->fake.session.selection.seed_index = 2;
    stage_need(stage);
    struct sx_value *data = stage->view.ops->data(&stage->view, &stage->fake.session);
    const struct sx_value *row = sx_value_item(sx_value_get(data, "rows"), 10);
    cr_expect_eq(sx_value_int_or(sx_value_get(row, "seed0_partner"), -1), 3);
    cr_expect_eq(sx_value_int_or(sx_value_get(row, "seed1_partner"), -1), 8);
    cr_expect_float_eq(sx_value_real_or(sx_value_get(row, "seed0_sim_dec"), 0), 0.86, 1e-6);
    sx_value_free(data);
    stage_free(stage);
}
