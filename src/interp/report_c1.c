/* C1: methionine at a masked first residue, and how far in. */
#include <math.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

static const uint32_t curve_at[] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64};
enum { N_CURVE = sizeof curve_at / sizeof *curve_at, NEAR = 5 };

/* The part of residues behind the fifth that are M: what a model that knows nothing would say. */
static double background(const struct sx_report_protein *protein)
{
    size_t met = 0;
    size_t n = 0;
    for (size_t t = NEAR + 1; t + 1 < protein->n; t++, n++)
        met += protein->ids[t] == SX_ESM_M;
    return (double)met / (double)n;
}

/* Of curve_at the n from `at` on. */
static enum sx_status masked_at(struct sx_study *study, const struct sx_report_protein *protein,
                                const uint32_t *at, size_t n, struct sx_reading *out,
                                struct sx_error *err)
{
    struct sx_sequence sequences[N_CURVE];
    float logits[N_CURVE * SX_ESM_VOCAB];
    int32_t *ids = sx_alloc_big(n * protein->n, sizeof *ids);
    if (!ids)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu sequences", n);
    for (size_t i = 0; i < n; i++) {
        int32_t *own = ids + i * protein->n;
        for (size_t t = 0; t < protein->n; t++)
            own[t] = t == at[i] ? SX_ESM_MASK : protein->ids[t];
        sequences[i] = (struct sx_sequence){
            .ids = own, .n = protein->n, .embed_scale = NAN, .rows = &at[i], .n_rows = 1};
    }
    const struct sx_pass pass = {.sequences = sequences, .n_sequences = n, .logits = logits};
    const enum sx_status status = sx_run_pass(study->runner, &pass, study->task, err);
    for (size_t i = 0; i < n && status == SX_OK; i++)
        sx_reading_of(logits + i * SX_ESM_VOCAB, &out[i]);
    sx_free(ids);
    return status;
}

enum sx_status sx_c1_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err)
{
    const struct sx_report_protein *protein = sites->first.protein;
    struct sx_reading reading[N_CURVE] = {0};
    double behind = 0;
    size_t n = 0;
    size_t n_behind = 0;
    while (n < N_CURVE && curve_at[n] + 1 < protein->n)
        n++;
    const size_t most = protein->n < SX_REPORT_TOKENS ? SX_REPORT_TOKENS / protein->n : 1;
    for (size_t i = 0; i < n; i += most)
        SX_TRY(
            masked_at(study, protein, curve_at + i, n - i < most ? n - i : most, reading + i, err));
    for (size_t i = 0; i < n; i++) {
        sx_study_add(study, "curve", 1, N_CURVE, 0, i, reading[i].p);
        if (curve_at[i] > NEAR) {
            behind += reading[i].p;
            n_behind++;
        }
    }
    const double share = background(protein);
    sx_study_set(study, "p_met_first", reading[0].p);
    sx_study_set(study, "p_met_first_of_33", reading[0].p33);
    sx_study_set(study, "says_met_first", reading[0].top == SX_ESM_M);
    sx_study_set(study, "p_met_second", reading[1].p);
    sx_study_set(study, "p_met_behind_5", behind / (double)n_behind);
    sx_study_set(study, "met_in_sequence", share);
    sx_study_set(study, "above_background", behind / (double)n_behind - share);
    return SX_OK;
}

void sx_c1_conclude(struct sx_study *study, struct sx_report_claim *claim)
{
    const struct sx_interval first = sx_study_mean(study, "p_met_first");
    const struct sx_interval says = sx_study_mean(study, "says_met_first");
    const struct sx_interval behind = sx_study_mean(study, "p_met_behind_5");
    const struct sx_interval over = sx_study_mean(study, "above_background");
    const struct sx_interval share = sx_study_mean(study, "met_in_sequence");
    struct sx_report_grid *grid =
        sx_claim_grid(study, claim, "curve", "P(M) by the residue that is masked", "");

    claim->claim = "At a masked first residue the model says methionine.";
    claim->method = "Residues 1 to 64 are masked one at a time in proteins that start with Met; "
                    "P(M) is over the 20 residues.";
    sx_claim_number(claim, "p_met_first", "P(M) at residue 1", "", first);
    sx_claim_number(claim, "says_met_first", "proteins where M is most probable at residue 1", "",
                    says);
    sx_claim_number(claim, "p_met_first_of_33", "P(M) at residue 1, over all 33 tokens", "",
                    sx_study_mean(study, "p_met_first_of_33"));
    sx_claim_number(claim, "p_met_second", "P(M) at residue 2", "",
                    sx_study_mean(study, "p_met_second"));
    sx_claim_number(claim, "p_met_behind_5", "P(M) behind residue 5", "", behind);
    sx_claim_number(claim, "met_in_sequence", "M among the residues behind the fifth", "", share);
    sx_claim_condition(claim,
                       "M is the most probable residue at residue 1 in more than half of "
                       "the proteins",
                       says, true, 0.5);
    sx_claim_condition(claim,
                       "P(M) behind residue 5 exceeds the frequency of M there by less "
                       "than 0.03",
                       over, false, 0.03);
    claim->sentence = sx_report_text(
        study,
        "M is the most probable residue at residue 1 in %.0f %% of the proteins (mean P(M) %.3f); "
        "behind residue 5 mean P(M) is %.3f, and M makes up %.3f of the residues there.",
        100 * says.value, first.value, behind.value, share.value);
    claim->caveat = "High P(M) at residue 1 says nothing about how it comes about.";
    if (!grid)
        return;
    sx_one_row(study, grid, "P(M)", "residue");
    for (size_t i = 0; i < N_CURVE; i++)
        grid->column_labels[i] = sx_report_text(study, "%u", (unsigned)curve_at[i]);
}
