#include "sextant/interp/report.h"

#include "../../../src/interp/report_private.h"
#include "forward_fixture.h"
#include "sextant/model/tokenizer.h"

/* --- rules --------------------------------------------------------------------------------------
 */

static enum sx_verdict outcome(double lo, double hi, bool above, double bound, size_t n)
{
    const struct sx_interval x = {(lo + hi) / 2, lo, hi, n};
    return sx_condition_outcome(&x, above, bound, SX_REPORT_LEAST);
}

Test(report, a_condition_is_met_only_by_a_whole_interval)
{
    cr_assert_eq(outcome(0.6, 0.9, true, 0.5, 50), SX_SUPPORTED);
    cr_assert_eq(outcome(0.4, 0.9, true, 0.5, 50), SX_UNDECIDED);
    cr_assert_eq(outcome(0.1, 0.4, true, 0.5, 50), SX_NOT_SUPPORTED);
    cr_assert_eq(outcome(0.1, 0.4, false, 0.5, 50), SX_SUPPORTED);
    cr_assert_eq(outcome(0.6, 0.9, false, 0.5, 50), SX_NOT_SUPPORTED);
    cr_assert_eq(outcome(0.5, 0.9, true, 0.5, 50), SX_UNDECIDED); /* touching is not above */
}

Test(report, few_sequences_and_unknown_numbers_decide_nothing)
{
    cr_assert_eq(outcome(0.6, 0.9, true, 0.5, SX_REPORT_LEAST - 1), SX_UNDECIDED);
    cr_assert_eq(outcome(0.6, 0.9, true, 0.5, SX_REPORT_LEAST), SX_SUPPORTED);
    cr_assert_eq(outcome((double)NAN, (double)NAN, true, 0.5, 50), SX_UNDECIDED);
    const struct sx_interval unknown = sx_not_measured();
    cr_assert_eq(sx_condition_outcome(&unknown, false, 0, 0), SX_UNDECIDED);
}

Test(report, a_claim_needs_all_its_conditions_and_falls_with_one)
{
    struct sx_report_condition c[3] = {
        {.outcome = SX_SUPPORTED}, {.outcome = SX_SUPPORTED}, {.outcome = SX_SUPPORTED}};
    cr_assert_eq(sx_conditions_verdict(c, 3), SX_SUPPORTED);
    c[1].outcome = SX_UNDECIDED;
    cr_assert_eq(sx_conditions_verdict(c, 3), SX_UNDECIDED);
    c[2].outcome = SX_NOT_SUPPORTED;
    cr_assert_eq(sx_conditions_verdict(c, 3), SX_NOT_SUPPORTED);
    cr_assert_eq(sx_conditions_verdict(c, 0), SX_UNDECIDED);
    cr_assert_str_eq(sx_verdict_name(SX_NOT_SUPPORTED), "does not support");
}

Test(report, shares_of_nothing_are_not_measured)
{
    const struct sx_interval x = {0.9, 0.8, 1, 40};
    const struct sx_interval gap = {2, 1.5, 2.5, 40}, none = {0.02, -0.2, 0.3, 40};
    cr_assert_eq(sx_only_if(x, gap, 0.1).lo, 0.8);
    cr_assert(isnan(sx_only_if(x, none, 0.1).lo) && sx_only_if(x, none, 0.1).n == 0);
}

/* --- passes -------------------------------------------------------------------------------------
 */

enum { RESIDUES = 40, PROTEINS = 15 };

struct made {
    struct fixture f;
    int32_t ids[PROTEINS][RESIDUES + 2];
    char id[PROTEINS][16];
    struct sx_report_protein proteins[PROTEINS];
    struct sx_report_input input;
};

static void make(struct made *m)
{
    const struct tiny_shape shape = {SX_MODEL_ESM2, 3, 24, 3, 48, 33, 0};
    m->f = fixture_random(shape, 5);
    for (size_t i = 0; i < PROTEINS; i++) {
        struct sx_rng rng = sx_rng_make(11, i);
        const size_t n = RESIDUES + 2 - i % 7;
        for (size_t t = 1; t + 1 < n; t++)
            m->ids[i][t] = (int32_t)(4 + sx_rng_below(&rng, 20));
        m->ids[i][0] = SX_ESM_CLS;
        m->ids[i][1] = SX_ESM_M;
        m->ids[i][n - 1] = SX_ESM_EOS;
        (void)snprintf(m->id[i], sizeof m->id[i], "p%zu", i);
        m->proteins[i] = (struct sx_report_protein){.id = m->id[i], .ids = m->ids[i], .n = n};
    }
    m->input = (struct sx_report_input){.proteins = m->proteins, .n_proteins = PROTEINS, .seed = 3};
}

static struct sx_study study_of(struct made *m, struct sx_report *report)
{
    report->arena = sx_arena_new();
    return (struct sx_study){
        .runner = m->f.runner, .info = m->f.info, .input = &m->input, .report = report};
}

static void study_end(struct sx_study *study)
{
    for (size_t i = 0; i < study->n_series; i++)
        sx_free(study->series[i].value);
    for (size_t i = 0; i < study->n_sums; i++) {
        sx_free(study->sums[i].sum);
        sx_free(study->sums[i].count);
    }
    sx_free(study->series);
    sx_free(study->sums);
}

Test(report, a_query_is_the_sum_of_what_the_layers_wrote)
{
    struct made m;
    struct sx_report report = {0};
    struct sx_site site;
    make(&m);
    struct sx_study study = study_of(&m, &report);
    const size_t d = m.f.info->d_head, H = m.f.info->n_heads;
    double terms[3 * 8], sum[8];
    CHECK_OK(sx_site_make(&study, &m.proteins[2], 9, &site, err));
    for (size_t l = 0; l < 3; l++)
        for (size_t h = 0; h < H; h++) {
            sx_query_terms(&study, &site, l, h, terms);
            for (size_t j = 0; j < d; j++) {
                sum[j] = 0;
                for (size_t k = 0; k <= l; k++)
                    sum[j] += terms[k * d + j];
                CHECK_CLOSE(site.q[(l * H + h) * d + j], sum[j], 1e-5);
            }
            /* and its score is the pass's own */
            const struct sx_capture one = {.layers = {(uint32_t[]){(uint32_t)l}, 1},
                                           .heads = {(uint32_t[]){(uint32_t)h}, 1},
                                           .tokens = {(uint32_t[]){9}, 1},
                                           .keys = {(uint32_t[]){0}, 1}};
            float *score = fixture_capture(&m.f, site.ids, site.n, SX_POINT_SCORES, &one);
            CHECK_CLOSE(*score, sx_query_score(&study, &site, l, h, sum, 9), 1e-5);
            sx_free(score);
        }
    sx_site_release(&site);
    sx_report_release(&report);
    fixture_close(&m.f);
}

Test(report, attribution_at_a_site_is_complete)
{
    struct made m;
    struct sx_report report = {0};
    struct sx_site site;
    struct sx_site_terms terms;
    make(&m);
    struct sx_study study = study_of(&m, &report);
    CHECK_OK(sx_site_make(&study, &m.proteins[1], 1, &site, err));
    CHECK_OK(sx_site_terms(&study, &site, &terms, err));
    double sum = terms.mlp + terms.bias + terms.constant;
    for (size_t i = 0; i < 9; i++)
        sum += terms.bos[i] + terms.rest[i];
    CHECK_CLOSE(terms.total, site.reading.centred, 1e-5);
    CHECK_CLOSE(sum, site.reading.centred, 1e-5);
    sx_site_terms_release(&terms);
    sx_site_release(&site);
    sx_report_release(&report);
    fixture_close(&m.f);
}

/* Restarted and batched, a probe reads what a pass of its own from the embedding reads. */
Test(report, probes_are_passes_under_interventions)
{
    struct made m;
    struct sx_report report = {0};
    struct sx_site site;
    struct sx_head_set set;
    make(&m);
    struct sx_study study = study_of(&m, &report);
    struct sx_probes probes = sx_probes_new();
    CHECK_OK(sx_site_make(&study, &m.proteins[0], 1, &site, err));
    sx_head_set_init(&set, 3, 3);
    sx_head_set_add(&set, 2, 1);
    sx_head_set_add(&set, 2, 0);
    cr_assert(set.list[2][0] == 0 && sx_head_set_has(&set, 2, 1) && sx_head_set_count(&set) == 2);
    const size_t none = sx_probe_add(&probes, &site), forbid = sx_probe_add(&probes, &site);
    const size_t self = sx_probe_add(&probes, &site), zero = sx_probe_add(&probes, &site);
    sx_probe_forbid(&probes, forbid, &set, 0);
    sx_probe_replace(&probes, self, SX_POINT_Q, 1, 2, 1, -1,
                     site.q + (1 * 3 + 2) * m.f.info->d_head);
    sx_probe_scale_heads(&probes, zero, &set, SX_POINT_V, 0, 0);
    CHECK_OK(sx_probes_run(&study, &probes, err));
    cr_assert_eq(probes.probe[none].reading.centred, site.reading.centred);
    cr_assert_eq(probes.probe[self].reading.centred, site.reading.centred);
    cr_assert_eq(probes.probe[forbid].attention[2 * 3 + 1], 0);
    cr_assert_eq(probes.probe[forbid].attention[2 * 3 + 2], site.attn[(2 * 3 + 2) * site.n]);

    struct sx_probe *probe = &probes.probe[forbid];
    const struct sx_hooks hooks = {.interventions = probe->interventions,
                                   .n_interventions = probe->n_interventions};
    float *logits = fixture_logits(&m.f, site.ids, site.n, &hooks);
    struct sx_reading reading;
    sx_reading_of(logits + 33, &reading);
    CHECK_CLOSE(probe->reading.centred, reading.centred, 1e-6);
    cr_assert(fabs(reading.centred - site.reading.centred) > 1e-6);
    cr_assert(fabs(probes.probe[zero].reading.centred - site.reading.centred) > 1e-6);
    sx_free(logits);
    sx_head_set_release(&set);
    sx_probes_release(&probes);
    sx_site_release(&site);
    sx_report_release(&report);
    fixture_close(&m.f);
}

Test(report, reading_of_logits)
{
    float logits[33] = {0};
    struct sx_reading r;
    logits[SX_ESM_M] = 3;
    logits[0] = 9; /* no residue: only in p33 */
    sx_reading_of(logits, &r);
    CHECK_CLOSE(r.p, exp(3) / (exp(3) + 19), 1e-12);
    CHECK_CLOSE(r.p33, exp(3) / (exp(3) + exp(9) + 31), 1e-12);
    CHECK_CLOSE(r.centred, 3 - 3.0 / 20, 1e-12);
    cr_assert_eq(r.top, SX_ESM_M);
}

/* Longer proteins than fit together into one pass. */
Test(report, the_curve_is_that_of_single_masks)
{
    enum { LONG = 700, AT = 16 };
    static const uint32_t at[AT] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64};
    struct made m;
    struct sx_report report = {0};
    int32_t ids[LONG];
    make(&m);
    struct sx_study study = study_of(&m, &report);
    fixture_ids(&m.f, ids, LONG, 8);
    ids[LONG / 3 + 1] = SX_ESM_FIRST_RESIDUE;
    const struct sx_report_protein protein = {.id = "p", .ids = ids, .n = LONG};
    const struct sx_sites sites = {.first.protein = &protein};
    CHECK_OK(sx_c1_measure(&study, &sites, err));
    for (size_t i = 0; i < AT; i++) {
        struct sx_reading alone;
        const int32_t was = ids[at[i]];
        ids[at[i]] = SX_ESM_MASK;
        float *logits = fixture_logits(&m.f, ids, LONG, NULL);
        sx_reading_of(logits + at[i] * SX_ESM_VOCAB, &alone);
        CHECK_CLOSE(sx_study_sum_mean(&study, "curve", 0, i), alone.p, 1e-6);
        sx_free(logits);
        ids[at[i]] = was;
    }
    study_end(&study);
    sx_report_release(&report);
    fixture_close(&m.f);
}

/* --- what each claim makes of its measurements --------------------------------------------------
 */

struct fact {
    const char *key;
    double value;
};

/* Every protein measures the same: intervals without width. */
static enum sx_verdict concluded(struct made *m, int claim,
                                 void (*conclude)(struct sx_study *, struct sx_report_claim *),
                                 const struct fact *facts, size_t n, const struct fact *other)
{
    struct sx_report report = {0};
    struct sx_study study = study_of(m, &report);
    struct sx_report_claim *c = &report.claims[claim - 1];
    study.n = PROTEINS;
    report.heads = sx_xcalloc(1, sizeof *report.heads);
    report.n_heads = 1;
    for (size_t i = 0; i < n; i++)
        for (study.protein = 0; study.protein < PROTEINS; study.protein++)
            sx_study_set(&study, facts[i].key,
                         other && strcmp(other->key, facts[i].key) == 0 ? other->value
                                                                        : facts[i].value);
    conclude(&study, c);
    sx_claim_decide(c);
    const enum sx_verdict verdict = c->verdict;
    study_end(&study);
    sx_report_release(&report);
    return verdict;
}

/* All facts together support the claim; each of `breaks` alone undoes it. */
#define CHECK_CLAIM(claim, conclude, facts, breaks, undone)                                        \
    do {                                                                                           \
        const size_t n_ = sizeof(facts) / sizeof *(facts);                                         \
        cr_assert_eq(concluded(&m, claim, conclude, facts, n_, NULL), SX_SUPPORTED, "C%d", claim); \
        for (size_t b_ = 0; b_ < sizeof(breaks) / sizeof *(breaks); b_++)                          \
            cr_assert_eq(concluded(&m, claim, conclude, facts, n_, &(breaks)[b_]), undone,         \
                         "C%d with %s = %g", claim, (breaks)[b_].key, (breaks)[b_].value);         \
    } while (0)

Test(report, prediction_and_retrieval_are_decided_by_their_numbers)
{
    struct made m;
    make(&m);
    const struct fact c1[] = {{"says_met_first", 1}, {"above_background", 0.01}};
    const struct fact not1[] = {{"says_met_first", 0}, {"above_background", 0.2}};
    CHECK_CLAIM(1, sx_c1_conclude, c1, not1, SX_NOT_SUPPORTED);
    const struct fact c2[] = {{"p_met_first", 0.9},
                              {"p_value_zero", 0.1},
                              {"p_value_mean", 0.2},
                              {"p_all_swapped", 0.85},
                              {"reference_says_met", 1}};
    const struct fact not2[] = {{"p_value_zero", 0.8},
                                {"p_value_mean", 0.5},
                                {"p_all_swapped", 0.3},
                                {"reference_says_met", 0}};
    CHECK_CLAIM(2, sx_c2_conclude, c2, not2, SX_NOT_SUPPORTED);
    const struct fact unclear2[] = {{"p_met_first", 0.05}}; /* nothing to take a share of */
    CHECK_CLAIM(2, sx_c2_conclude, c2, unclear2, SX_UNDECIDED);
    const struct fact c3[] = {{"gap", 5}, {"q_rotated", 3}, {"q_control", 0.1}, {"writers", 3.5}};
    const struct fact not3[] = {{"q_rotated", 0.5}, {"q_control", 2}, {"writers", 1.2}};
    CHECK_CLAIM(3, sx_c3_conclude, c3, not3, SX_NOT_SUPPORTED);
    const struct fact unclear3[] = {{"gap", 0.01}};
    CHECK_CLAIM(3, sx_c3_conclude, c3, unclear3, SX_UNDECIDED);
    const struct fact c4[] = {{"bos_inside", 0.5},
                              {"context_mlp_inside", -1},
                              {"context_off", 0.4},
                              {"context_over_control", 0.3}};
    const struct fact not4[] = {{"bos_inside", 0.01},
                                {"context_mlp_inside", 0.5},
                                {"context_off", -1e-4},
                                {"context_over_control", -0.1}};
    CHECK_CLAIM(4, sx_c4_conclude, c4, not4, SX_NOT_SUPPORTED);
    fixture_close(&m.f);
}

Test(report, bands_starts_and_resolution_are_decided_by_their_numbers)
{
    struct made m;
    make(&m);
    const struct fact c5[] = {{"gap", 5},
                              {"query_norm_all", 2},
                              {"direction_all", 7},
                              {"factors_all", 10},
                              {"interaction_all", 1},
                              {"one_by_one_all", 8},
                              {"bands_carrying", 3},
                              {"patch_norm_all", -1}};
    const struct fact not5[] = {{"query_norm_all", 0.1},
                                {"direction_all", 0.2},
                                {"interaction_all", 0.1},
                                {"bands_carrying", 1.5},
                                {"patch_norm_all", -1e-5}};
    CHECK_CLAIM(5, sx_c5_conclude, c5, not5, SX_NOT_SUPPORTED);
    const struct fact c6[] = {{"share_b0", 0.6},       {"share_b1", 0.2},
                              {"query_norm_short", 3}, {"direction_short", 6},
                              {"factors_short", 10},   {"direction_longer", 8},
                              {"factors_longer", 10}};
    const struct fact not6[] = {{"share_b0", 0.1},
                                {"query_norm_short", 0.1},
                                {"direction_short", 0.1},
                                {"direction_longer", 2}};
    CHECK_CLAIM(6, sx_c6_conclude, c6, not6, SX_NOT_SUPPORTED);
    const struct fact c7[] = {
        {"cut_says_met", 1}, {"cut_inside_says_met", 0}, {"cut_difference", 1}};
    const struct fact not7[] = {
        {"cut_says_met", 0}, {"cut_inside_says_met", 1}, {"cut_difference", 0}};
    CHECK_CLAIM(7, sx_c7_conclude, c7, not7, SX_NOT_SUPPORTED);
    const struct fact c8[] = {
        {"gap", 5}, {"q_rotated", 4}, {"only_head_0", 2}, {"only_band_1", 1}, {"only_part_2", 2}};
    const struct fact not8[] = {{"only_head_0", 3.9}, {"only_band_1", 3.9}, {"only_part_2", 4}};
    CHECK_CLAIM(8, sx_c8_conclude, c8, not8, SX_NOT_SUPPORTED);
    const struct fact unclear8[] = {{"q_rotated", 0.2}};
    CHECK_CLAIM(8, sx_c8_conclude, c8, unclear8, SX_UNDECIDED);
    fixture_close(&m.f);
}

/* Natural starts decide where there are enough of them, whatever the cut proteins say. */
Test(report, natural_starts_come_first)
{
    struct made m;
    struct sx_nterm_row rows[12] = {0};
    make(&m);
    for (size_t i = 0; i < 12; i++) {
        rows[i].first = i < 10 ? 'K' : 'M'; /* controls do not count */
        rows[i].cell[SX_MATURE_FIRST] =
            (struct sx_nterm_cell){.made = true, .p_met = 0.8F, .top = i < 10 ? 'M' : 'A'};
        rows[i].cell[SX_PRECURSOR_INSIDE] =
            (struct sx_nterm_cell){.made = true, .p_met = 0.02F, .top = i < 10 ? 'L' : 'M'};
    }
    struct sx_nterm_result nterm = {.rows = rows, .n_rows = 12};
    const struct fact facts[] = {
        {"cut_says_met", 0}, {"cut_inside_says_met", 1}, {"cut_difference", -1}};
    m.input.nterm = &nterm;
    cr_assert_eq(concluded(&m, 7, sx_c7_conclude, facts, 3, NULL), SX_SUPPORTED);
    nterm.n_rows = SX_REPORT_LEAST - 1;
    cr_assert_eq(concluded(&m, 7, sx_c7_conclude, facts, 3, NULL), SX_NOT_SUPPORTED);
    fixture_close(&m.f);
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static const struct sx_report_number *number(const struct sx_report_claim *claim, const char *key)
{
    for (size_t i = 0; i < claim->n_numbers; i++)
        if (strcmp(claim->numbers[i].key, key) == 0)
            return &claim->numbers[i];
    cr_assert(false, "%s has no %s", claim->id, key);
    return NULL;
}

/* A model with random weights does not say methionine first, and its parts still add up. */
Test(report, a_random_model_supports_little)
{
    struct made m;
    struct sx_report report, again;
    make(&m);
    CHECK_OK(sx_report_run(m.f.runner, &m.input, NULL, &report, err));
    CHECK_OK(sx_report_run(m.f.runner, &m.input, NULL, &again, err));
    cr_assert(report.n_find == 5 && report.n_measure == 10 && report.n_heads > 0);
    cr_assert_eq(report.claims[0].verdict, SX_NOT_SUPPORTED);
    cr_assert_neq(report.claims[1].verdict, SX_SUPPORTED);
    cr_assert_neq(report.claims[6].verdict, SX_SUPPORTED);
    cr_assert_lt(number(&report.claims[3], "residual_inside")->x.value, 1e-5);
    const double shares = number(&report.claims[4], "query_norm_share")->x.value +
                          number(&report.claims[4], "key_norm_share")->x.value +
                          number(&report.claims[4], "direction_share")->x.value;
    CHECK_CLOSE(shares, 1, 1e-12);
    for (size_t i = 0; i < SX_REPORT_CLAIMS; i++) {
        const struct sx_report_claim *a = &report.claims[i], *b = &again.claims[i];
        cr_assert(a->claim && a->method && a->sentence && a->caveat && a->n_conditions > 0);
        cr_assert_str_eq(a->sentence, b->sentence);
        cr_assert_null(strstr(a->sentence, "nan"), "%s", a->sentence);
        cr_assert_eq(a->n_numbers, b->n_numbers);
        for (size_t k = 0; k < a->n_numbers; k++)
            cr_assert(memcmp(&a->numbers[k].x, &b->numbers[k].x, sizeof a->numbers[k].x) == 0);
        for (size_t g = 0; g < a->n_grids; g++)
            cr_assert(a->grids[g].row_labels && a->grids[g].column_labels &&
                      a->grids[g].row_labels[a->grids[g].rows - 1] &&
                      a->grids[g].column_labels[a->grids[g].columns - 1]);
    }
    sx_report_release(&report);
    sx_report_release(&again);
    fixture_close(&m.f);
}

Test(report, what_it_refuses)
{
    struct made m;
    struct sx_report report;
    struct sx_error err = {0};
    struct sx_task task;
    make(&m);
    m.input.n_proteins = 2;
    cr_assert_eq(sx_report_run(m.f.runner, &m.input, NULL, &report, &err), SX_ERR_USAGE);
    sx_report_release(&report);
    m.input.n_proteins = PROTEINS;
    sx_task_init(&task);
    sx_task_cancel(&task);
    cr_assert_eq(sx_report_run(m.f.runner, &m.input, &task, &report, &err), SX_CANCELLED);
    sx_report_release(&report);
    m.proteins[4].n = 12;
    cr_assert_eq(sx_report_run(m.f.runner, &m.input, NULL, &report, &err), SX_ERR_USAGE);
    cr_assert(strstr(err.message, "p4"));
    sx_report_release(&report);
    fixture_close(&m.f);
    m.f = fixture_golden(tiny_neox_shape);
    cr_assert_eq(sx_report_run(m.f.runner, &m.input, NULL, &report, &err), SX_ERR_UNSUPPORTED);
    cr_assert(strstr(err.message, "GPT-NeoX"));
    sx_report_release(&report);
    fixture_close(&m.f);
}
