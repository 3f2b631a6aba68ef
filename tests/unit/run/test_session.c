/* Whole ways through the session: open, load, match, sort, filter, mark, card, gallery, curves. */
#include <criterion/criterion.h>
#include <math.h>

#include "session_stage.h"
#include "sextant/io/h5.h"
#include "sextant/run/commands.h"
#include "sextant/sae/match_types.h"

static const struct sae_recipe recipe = {
    .D = 16, .F = 40, .lambda = 1e-5, .penalty = SX_PENALTY_L2, .shared = 25, .image = 4};

static struct stage stage_new(int seeds)
{
    struct stage s = stage_start();
    struct sae_recipe other = recipe;
    other.lambda = 1e-4;
    cr_assert(sae_family(s.folder, "a", recipe, seeds));
    cr_assert(sae_family(s.folder, "b", other, 2));
    stage_open(&s);
    return s;
}

Test(session, opening_selects_the_first_family)
{
    struct stage s = stage_new(3);
    cr_assert_eq(s.session->workspace.n_families, 2);
    cr_assert_eq(s.session->selection.family, 0);
    cr_assert_eq(s.session->selection.entry, s.session->workspace.families[0].members[0]);
    cr_assert_eq(s.session->family.state, SX_STATE_EMPTY);
    cr_assert_eq(sx_session_member(s.session, 2)->info.seed, 2);
    cr_assert_null(sx_session_member(s.session, 3));
    stage_free(&s);
}

Test(session, open_that_fails_leaves_what_was_open)
{
    struct stage s = stage_new(2);
    do_line(&s, "open /no/such/place");
    cr_assert_eq(s.session->workspace_state, SX_STATE_READY);
    cr_assert_eq(s.session->workspace.n_families, 2);
    cr_assert(strstr(s.session->message, "/no/such/place"));
    do_line(&s, "rescan");
    cr_assert_eq(s.session->workspace.n_families, 2);
    stage_free(&s);

    struct sx_run *run = sx_run_new();
    cr_assert_eq(sx_run_submit_line(run, "open /no/such/place", NULL, NULL), SX_OK);
    sx_run_wait_idle(run);
    cr_assert_eq(sx_run_session(run)->workspace_state, SX_STATE_FAILED);
    sx_run_free(run);
}

Test(session, family_is_measured)
{
    struct stage s = stage_new(3);
    say(&s, "load-family");
    cr_assert_eq(s.session->family.state, SX_STATE_PENDING);
    sx_run_wait_idle(s.run);
    const struct sx_family_data *family = &s.session->family;
    cr_assert_eq(family->state, SX_STATE_READY);
    cr_assert_eq(family->n_seeds, 3);
    cr_assert_eq(family->F, 40);
    cr_assert_eq(family->image_width, 4);
    for (size_t j = 0; j < family->F; j++) {
        cr_assert_gt(family->seeds[1].align[j], 0.9F);
        cr_assert_gt(family->seeds[1].dec_norm[j], 0.5F);
    }
    cr_assert_eq(s.session->rows.state, SX_STATE_READY);
    cr_assert_eq(s.session->rows.n, 40);
    cr_assert_eq(s.session->rows.order[39], 39);
    stage_free(&s);
}

Test(session, sort_filter_jump_mark)
{
    struct stage s = stage_new(3);
    say(&s, "rows --sort align --descending");
    cr_assert_eq(s.session->rows.state, SX_STATE_EMPTY, "a wish, kept until the family is here");
    do_line(&s, "load-family");
    const struct sx_rows *rows = &s.session->rows;
    const float *align = s.session->family.seeds[0].align;
    for (size_t i = 1; i < rows->n; i++)
        cr_assert_geq(align[rows->order[i - 1]], align[rows->order[i]]);
    say(&s, "sort latent");
    say(&s, "filter 10-19");
    cr_assert_eq(rows->n, 10);
    say(&s, "jump 12");
    cr_assert_eq(s.session->selection.latent, 12);
    say(&s, "mark");
    cr_assert(sx_session_marked(s.session, 12));
    say(&s, "mark --latent 15");
    cr_assert_eq(s.session->n_marks, 2);
    say(&s, "jump marked");
    cr_assert_eq(s.session->selection.latent, 15);
    say(&s, "jump");
    cr_assert_eq(s.session->selection.latent, 12, "around the end");
    say(&s, "jump --backward");
    cr_assert_eq(s.session->selection.latent, 15);
    say(&s, "jump --count 3 align>-2");
    cr_assert_eq(s.session->selection.latent, 18);
    say(&s, "set --marked-only on");
    cr_assert_eq(rows->n, 2);
    say(&s, "mark --latent 15");
    cr_assert_eq(rows->n, 1);
    say(&s, "select --seed 1");
    cr_assert_eq(s.session->n_marks, 0, "each seed has its own");
    cr_assert_eq(rows->n, 0);
    say(&s, "select --seed 0");
    cr_assert_eq(s.session->n_marks, 1);
    say(&s, "mark --clear");
    say(&s, "set --marked-only off");
    say(&s, "filter");
    cr_assert_eq(rows->n, 40);
    refuse(&s, "filter sim>", "column 5");
    cr_assert_eq(rows->n, 40, "a bad filter changes nothing");
    refuse(&s, "jump 40", "40 latents");
    refuse(&s, "mark --latent 99", "40 latents");
    stage_free(&s);
}

Test(session, matching_finds_the_planted_partners)
{
    struct stage s = stage_new(3);
    do_line(&s, "load-family");
    refuse(&s, "match-alive", "not matched");
    say(&s, "match-family");
    cr_assert_eq(s.session->match.state, SX_STATE_PENDING);
    sx_run_wait_idle(s.run);
    const struct sx_match_data *match = &s.session->match;
    cr_assert_eq(match->state, SX_STATE_READY, "%s", match->error.message);
    cr_assert_eq(match->set->n_pairs, 3);
    for (uint64_t i = 0; i < recipe.shared; i++)
        cr_assert_eq(match->set->pairs[1].partner_dec[sae_place(&recipe, i, 0)],
                     (int32_t)sae_place(&recipe, i, 2));
    const size_t always = match->summary->counts[SX_COUNTER_ANCHORED][SX_BASIS_BOTH].always;
    cr_assert_geq(always, recipe.shared);
    say(&s, "filter always");
    cr_assert_eq(s.session->rows.n, always);
    say(&s, "set --tau 1");
    cr_assert_eq(match->summary->counts[0][SX_BASIS_BOTH].always, 0);
    cr_assert_eq(s.session->rows.n, 0);
    say(&s, "set --tau 0.7");
    say(&s, "filter");
    say(&s, "set --orphans on");
    cr_assert_leq(s.session->rows.n, recipe.F - recipe.shared);
    for (size_t i = 0; i < s.session->rows.n; i++)
        cr_assert_geq(s.session->rows.order[i], recipe.shared);
    say(&s, "set --orphans off");
    say(&s, "sort similarity --descending");
    cr_assert_lt(s.session->rows.order[0], recipe.shared);
    cr_assert_not_null(match->survival);
    cr_assert_eq(match->survival->n_tau, 101);

    const uint64_t survived = s.session->revision[SX_SLOT_MATCH];
    do_line(&s, "match-family --other 1");
    cr_assert_eq(match->state, SX_STATE_READY);
    cr_assert_not_null(match->survival_other);
    cr_assert_str_eq(match->other_title, s.session->workspace.families[1].title);
    cr_assert_gt(s.session->revision[SX_SLOT_MATCH], survived);
    stage_free(&s);
}

Test(session, alive_cut_is_a_job_of_its_own)
{
    struct stage s = stage_new(3);
    do_line(&s, "load-family");
    do_line(&s, "match-family");
    const struct sx_match_data *match = &s.session->match;
    cr_assert_not(match->summary->alive);
    say(&s, "set --alive 0.5");
    say(&s, "set --alive 0.9988");
    cr_assert_eq(match->state, SX_STATE_READY);
    cr_assert_eq(match->alive_state, SX_STATE_PENDING);
    cr_assert_not(match->summary->alive, "what was known stays until then");
    sx_run_wait_idle(s.run);
    cr_assert_eq(match->alive_state, SX_STATE_READY);
    cr_assert(match->summary->alive);
    cr_assert_eq(match->set->alive_cut, 0.9988);
    cr_assert_lt(match->summary->pairs[0].n_a, 40);
    say(&s, "set --alive -1");
    cr_assert_not(match->summary->alive);
    cr_assert_eq(match->summary->pairs[0].n_a, 40);
    cr_assert_not(sx_run_busy(s.run));
    stage_free(&s);
}

Test(session, card_by_matching_and_without)
{
    struct stage s = stage_new(3);
    do_line(&s, "load-family");
    say(&s, "select --latent 4");
    say(&s, "card");
    const struct sx_card *card = &s.session->card;
    cr_assert_eq(card->state, SX_STATE_PENDING);
    cr_assert_eq(card->latent, 4, "what was asked stands there at once");
    sx_run_wait_idle(s.run);
    cr_assert_eq(card->state, SX_STATE_READY);
    cr_assert_not(card->assigned);
    cr_assert_eq(card->n_partners, 2);
    cr_assert_eq(card->partner[0].latent, 7);
    cr_assert_eq(card->partner[1].latent, 10);
    cr_assert_gt(card->partner[0].sim_dec, 0.999F);
    cr_assert_gt(card->partner[0].margin, 0.05F);
    cr_assert_eq(card->n_neighbours, SX_CARD_NEIGHBOURS);
    for (size_t i = 1; i < card->n_neighbours; i++)
        cr_assert_geq(fabsf(card->neighbour_cos[i - 1]), fabsf(card->neighbour_cos[i]));
    do_line(&s, "match-family");
    do_line(&s, "card --seed 2 --latent 10");
    cr_assert(card->assigned);
    cr_assert_eq(card->partner[0].seed_index, 0);
    cr_assert_eq(card->partner[0].latent, 4);
    /* Many in a row, as a held key does: the last one stays. */
    for (int i = 0; i < 30; i++) {
        char line[64];
        snprintf(line, sizeof line, "card --latent %d", i);
        say(&s, line);
    }
    sx_run_wait_idle(s.run);
    cr_assert_eq(card->latent, 29);
    cr_assert_eq(card->state, SX_STATE_READY);
    do_line(&s, "card --latent 99");
    cr_assert_eq(card->state, SX_STATE_FAILED);
    refuse(&s, "card --seed 3", "no seed 3");
    stage_free(&s);
}

Test(session, gallery_columns_are_matched)
{
    struct stage s = stage_new(3);
    refuse(&s, "gallery", "open a family first");
    do_line(&s, "load-family");
    do_line(&s, "match-family");
    do_line(&s, "gallery --first 2 --columns 5");
    const struct sx_gallery *g = &s.session->gallery;
    cr_assert_eq(g->state, SX_STATE_READY);
    cr_assert_eq(g->rows, 4);
    cr_assert_eq(g->columns, 5);
    cr_assert_eq(g->width, 4);
    for (size_t c = 0; c < 5; c++) {
        cr_assert_eq(g->cells[c].latent, (int64_t)(2 + c));
        cr_assert_eq(g->cells[5 + c].latent, (int64_t)(5 + c));
        cr_assert(isnan(g->cells[15 + c].sim), "the control row");
        for (size_t d = 0; d < 16; d++)
            cr_assert_eq(g->dec[(0 * 5 + c) * 16 + d], g->dec[(1 * 5 + c) * 16 + d],
                         "planted decoders are the same in every seed");
    }
    do_line(&s, "gallery --first 38 --columns 5");
    cr_assert_eq(g->columns, 2);
    stage_free(&s);
}

Test(session, another_family_empties_what_was_of_the_first)
{
    struct stage s = stage_new(3);
    do_line(&s, "load-family");
    do_line(&s, "match-family");
    do_line(&s, "card");
    do_line(&s, "gallery");
    say(&s, "select --family 1");
    cr_assert_eq(s.session->family.state, SX_STATE_EMPTY);
    cr_assert_eq(s.session->match.state, SX_STATE_EMPTY);
    cr_assert_eq(s.session->card.state, SX_STATE_EMPTY);
    cr_assert_eq(s.session->gallery.state, SX_STATE_EMPTY);
    cr_assert_eq(s.session->rows.state, SX_STATE_EMPTY);
    /* An answer for the family that is no longer selected is not taken. */
    say(&s, "load-family");
    say(&s, "match-family");
    say(&s, "select --family 0");
    sx_run_wait_idle(s.run);
    cr_assert_eq(s.session->family.state, SX_STATE_EMPTY);
    cr_assert_eq(s.session->match.state, SX_STATE_EMPTY);
    refuse(&s, "select --family 2", "the last one is 1");
    refuse(&s, "select --pair 0,0", "two different");
    refuse(&s, "select --pair 0-1", "must be A,B");
    refuse(&s, "select --training 0", "no training run");
    refuse(&s, "select --latent 40", "the last one is 39");
    say(&s, "select --pair 1,2");
    cr_assert_eq(s.session->selection.pair_a, 1);
    stage_free(&s);
}

Test(session, entry_selects_family_and_seed)
{
    struct stage s = stage_new(3);
    const size_t entry = s.session->workspace.families[1].members[1];
    char line[64];
    snprintf(line, sizeof line, "select --entry %zu", entry);
    say(&s, line);
    cr_assert_eq(s.session->selection.family, 1);
    cr_assert_eq(s.session->selection.seed_index, 1);
    uint64_t revision = s.session->revision[SX_SLOT_SELECTION];
    say(&s, line);
    cr_assert_eq(s.session->revision[SX_SLOT_SELECTION], revision, "nothing moved");
    stage_free(&s);
}

Test(session, cancelled_slots_are_not_pending)
{
    static const char *const lines[] = {"load-family", "match-family", "card", "gallery",
                                        "match-family --other 1"};
    struct stage s = stage_new(3);
    do_line(&s, "load-family");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strcmp(lines[i], "gallery") == 0)
            do_line(&s, "load-family");
        say(&s, lines[i]);
        say(&s, "cancel");
        sx_run_wait_idle(s.run);
        cr_assert_neq(s.session->family.state, SX_STATE_PENDING, "%s", lines[i]);
        cr_assert_neq(s.session->match.state, SX_STATE_PENDING, "%s", lines[i]);
        cr_assert_neq(s.session->card.state, SX_STATE_PENDING, "%s", lines[i]);
        cr_assert_neq(s.session->gallery.state, SX_STATE_PENDING, "%s", lines[i]);
    }
    char *line = sx_xasprintf("open %s", s.folder);
    say(&s, line);
    say(&s, "cancel");
    sx_run_wait_idle(s.run);
    cr_assert_neq(s.session->workspace_state, SX_STATE_PENDING);
    sx_free(line);
    stage_free(&s);
}

Test(session, broken_weights_fail_the_slot)
{
    struct stage s = stage_new(3);
    char *path = sx_xasprintf("%s/a_s1.sae.h5", s.folder);
    cr_assert_eq(truncate(path, 300), 0);
    do_line(&s, "load-family");
    cr_assert_eq(s.session->family.state, SX_STATE_FAILED);
    cr_assert(strstr(s.session->family.error.message, "a_s1"));
    cr_assert_eq(s.session->rows.state, SX_STATE_EMPTY);
    do_line(&s, "match-family");
    cr_assert_eq(s.session->match.state, SX_STATE_FAILED);
    sx_free(path);
    stage_free(&s);
}

Test(session, export_writes_and_never_overwrites)
{
    struct stage s = stage_new(3);
    char *line = sx_xasprintf("export %s/rows.csv", s.folder);
    refuse(&s, line, "there are no rows");
    do_line(&s, "load-family");
    do_line(&s, "match-family");
    do_line(&s, line);
    char *path = sx_xasprintf("%s/rows.csv", s.folder);
    FILE *f = fopen(path, "r");
    char text[256];
    cr_assert_not_null(f);
    cr_assert_not_null(fgets(text, sizeof text, f));
    cr_assert_str_eq(text, "latent,align,enc_norm,dec_norm,dead,marked,partners,category,"
                           "seed_1_latent,seed_1_sim,seed_2_latent,seed_2_sim\n");
    int lines = 0;
    while (fgets(text, sizeof text, f))
        lines++;
    cr_assert_eq(lines, 40);
    fclose(f);
    struct sx_error err = {0};
    cr_assert_eq(sx_run_submit_line(s.run, line, NULL, &err), SX_ERR_IO);
    cr_assert(strstr(err.message, "exists"));
    sx_free(line);
    line = sx_xasprintf("export %s/out.match.h5", s.folder);
    do_line(&s, line);
    do_line(&s, "rescan");
    bool found = false;
    for (size_t i = 0; i < s.session->workspace.n_entries; i++)
        found |= s.session->workspace.entries[i].kind == SX_ENTRY_MATCH;
    cr_assert(found, "%s", s.session->message);
    cr_assert_eq(s.session->selection.family, 0, "rescan keeps the selection");
    sx_free(line);
    sx_free(path);
    stage_free(&s);
}

Test(session, curves_are_read_while_they_grow)
{
    struct stage s = stage_new(2);
    static const char *const columns[] = {"step", "s0.loss"};
    struct sx_h5_table *table = NULL;
    char *path = sx_xasprintf("%s/run.curve.h5", s.folder);
    struct sx_value *attributes = sx_value_map();
    cr_assert_eq(sx_h5_table_create(path, columns, 2, attributes, &table, NULL), SX_OK);
    cr_assert_eq(sx_h5_table_append(table, (const double[]){1, 0.5}, NULL), SX_OK);
    do_line(&s, "rescan");
    cr_assert_lt(s.session->selection.training, s.session->workspace.n_entries,
                 "the only run there is needs no choosing");
    do_line(&s, "curves");
    const struct sx_curves *curves = &s.session->curves;
    cr_assert_eq(curves->state, SX_STATE_READY, "%s", curves->error.message);
    cr_assert_eq(curves->rows, 1);
    cr_assert(curves->growing);

    /* Reader and writer are one process here: the first read makes HDF5 flush the writer. */
    do_line(&s, "curves");
    uint64_t before[SX_SLOT_COUNT];
    memcpy(before, s.session->revision, sizeof before);
    for (int i = 0; i < 5; i++)
        do_line(&s, "curves");
    cr_assert_eq(memcmp(before, s.session->revision, sizeof before), 0,
                 "an unchanged file draws nothing, not even a job");

    cr_assert_eq(sx_h5_table_append(table, (const double[]){2, 0.25}, NULL), SX_OK);
    do_line(&s, "curves");
    cr_assert_eq(curves->rows, 2);
    cr_assert_eq(curves->data[3], 0.25);
    cr_assert_gt(s.session->revision[SX_SLOT_CURVES], before[SX_SLOT_CURVES]);
    char *line = sx_xasprintf("curves %s", s.folder);
    do_line(&s, line);
    cr_assert_eq(curves->state, SX_STATE_READY, "a folder stands for its newest run");
    sx_h5_table_close(table);

    do_line(&s, "curves /no/such/file.curve.h5");
    cr_assert_eq(curves->state, SX_STATE_FAILED);
    memcpy(before, s.session->revision, sizeof before);
    do_line(&s, "curves /no/such/file.curve.h5");
    cr_assert_eq(memcmp(before, s.session->revision, sizeof before), 0);
    sx_value_free(attributes);
    sx_free(line);
    sx_free(path);
    stage_free(&s);
}
