/* The screens of rotary bands, on a session made by hand. */
#include "view_stage.h"

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

static void all_sizes(struct stage *stage, const char *name)
{
    golden_sizes(stage, name);
    stage_golden(stage, name, 200, 50);
}

Test(band_views_golden, bands)
{
    struct stage *stage = protein_stage("bands", 120, 40);
    stage_need(stage);
    expect_lines(stage, "");
    all_sizes(stage, "bands");
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
