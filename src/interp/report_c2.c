/* C2: is M read out of BOS, and is what stands there the same for every protein? */
#include <math.h>
#include <string.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

enum what {
    ZERO_VALUE,   /* readout heads: the value of BOS is 0 */
    MEAN_VALUE,   /* the mean of the residues' values */
    SWAPPED,      /* another protein's */
    NO_EDGE,      /* readout heads may not look at BOS */
    CONTROL_EDGE, /* as many other heads may not */
    OTHER_TOKEN,  /* readout heads: the value of the residue that they look at most is 0 */
    ALL_ZERO,     /* every head: the value of BOS is 0 */
    ALL_SWAPPED,
    ALL_NO_EDGE,
    N_WHAT
};

static const struct {
    const char *p, *centred, *label;
} words[N_WHAT] = {
    {"p_value_zero", "logit_value_zero", "BOS value zero, readout heads"},
    {"p_value_mean", "logit_value_mean", "BOS value = mean of residues, readout heads"},
    {"p_value_swapped", "logit_value_swapped", "BOS value of another protein, readout heads"},
    {"p_no_edge", "logit_no_edge", "no edge to BOS, readout heads"},
    {"p_control_edge", "logit_control_edge", "no edge to BOS, as many other heads"},
    {"p_other_token", "logit_other_token", "value zero of their favourite residue, readout heads"},
    {"p_all_zero", "logit_all_zero", "BOS value zero, all heads"},
    {"p_all_swapped", "logit_all_swapped", "BOS value of another protein, all heads"},
    {"p_all_no_edge", "logit_all_no_edge", "no edge to BOS, all heads"},
};

/* Values of BOS of every layer and head [L,D]: another site's, or the mean over the residues. */
static float *values_of(const struct sx_study *study, struct sx_probes *probes,
                        const struct sx_site *site, bool mean)
{
    const size_t L = (size_t)study->info->n_layers;
    const size_t D = (size_t)study->info->d_model;
    const size_t first = mean ? 1 : 0;
    const size_t last = mean ? site->n - 2 : 0;
    float *out = sx_arena_alloc(probes->arena, L * D * sizeof *out);
    for (size_t l = 0; l < L; l++)
        for (size_t j = 0; j < D; j++) {
            double sum = 0;
            for (size_t t = first; t <= last; t++)
                sum += (double)site->v[(l * site->n + t) * D + j];
            out[l * D + j] = (float)(sum / (double)(last - first + 1));
        }
    return out;
}

static void give_values(const struct sx_study *study, struct sx_probes *probes, size_t probe,
                        const struct sx_head_set *set, const float *values)
{
    const size_t D = (size_t)study->info->d_model;
    const size_t d = (size_t)study->info->d_head;
    for (size_t l = 0; l < set->layers; l++)
        for (size_t i = 0; i < set->n[l]; i++)
            sx_probe_replace(probes, probe, SX_POINT_V, l, set->list[l][i], 0, -1,
                             values + l * D + set->list[l][i] * d);
}

static uint32_t favourite_residue(const struct sx_study *study, const struct sx_site *site)
{
    const size_t H = (size_t)study->info->n_heads;
    uint32_t best = 2;
    double most = -1;
    for (uint32_t t = 2; t + 1 < site->n; t++) {
        double sum = 0;
        for (size_t l = 0; l < study->readout.layers; l++)
            for (size_t i = 0; i < study->readout.n[l]; i++)
                sum += (double)site->attn[(l * H + study->readout.list[l][i]) * site->n + t];
        if (sum > most) {
            most = sum;
            best = t;
        }
    }
    return best;
}

/* What all heads together bring from BOS towards a residue along w. Not the readout heads alone:
 * they were chosen for pointing at M. */
static enum sx_status written_from_bos(const struct sx_study *study, const struct sx_site *site,
                                       const double *w, double *readout, double *sum,
                                       struct sx_error *err)
{
    const size_t H = (size_t)study->info->n_heads;
    const size_t D = (size_t)study->info->d_model;
    *sum = 0;
    for (size_t l = 0; l < (size_t)study->info->n_layers; l++) {
        SX_TRY(sx_head_readout(sx_runner_model(study->runner), l, w, site->v + l * site->n * D, 1,
                               readout, err));
        for (size_t h = 0; h < H; h++)
            *sum += readout[h] * (double)site->attn[(l * H + h) * site->n];
    }
    return SX_OK;
}

/* Which of the 20 residues the BOS terms favour most, through the frozen head. */
static enum sx_status read_reference(struct sx_study *study, const struct sx_site *site,
                                     struct sx_error *err)
{
    const size_t H = (size_t)study->info->n_heads;
    const size_t D = (size_t)study->info->d_model;
    struct sx_frozen_head *head = NULL;
    double *w = sx_xmalloc((D + H) * sizeof *w);
    double written[SX_ESM_LAST_RESIDUE + 1] = {0};
    size_t better = 0;
    enum sx_status status = sx_site_head(study, site, &head, err);
    for (int32_t t = SX_ESM_FIRST_RESIDUE; t <= SX_ESM_LAST_RESIDUE && status == SX_OK; t++) {
        sx_frozen_head_direction(head, t, SX_AGAINST_MEAN, w, NULL);
        status = written_from_bos(study, site, w, w + D, &written[t], err);
        sx_study_add(study, "reference", 1, 20, 0, (size_t)(t - SX_ESM_FIRST_RESIDUE), written[t]);
    }
    for (int32_t t = SX_ESM_FIRST_RESIDUE; t <= SX_ESM_LAST_RESIDUE; t++)
        better += written[t] > written[SX_ESM_M];
    sx_study_set(study, "reference_says_met", better == 0);
    sx_frozen_head_free(head);
    sx_free(w);
    return status;
}

static const char *head_key(struct sx_study *study, size_t i)
{
    const struct sx_report_head *head = &study->report->heads[i];
    return sx_report_text(study, "knockout_L%u_H%u", (unsigned)head->layer, (unsigned)head->head);
}

static enum sx_status run_probes(struct sx_study *study, const struct sx_site *site,
                                 struct sx_probes *probes, struct sx_error *err)
{
    const size_t heads = study->report->n_heads;
    SX_TRY(sx_probes_run(study, probes, err));
    for (size_t i = 0; i < N_WHAT; i++) {
        sx_study_set(study, words[i].p, probes->probe[i].reading.p);
        sx_study_set(study, words[i].centred,
                     probes->probe[i].reading.centred - site->reading.centred);
    }
    for (size_t i = 0; i < heads; i++)
        sx_study_set(study, head_key(study, i),
                     probes->probe[N_WHAT + i].reading.centred - site->reading.centred);
    return SX_OK;
}

enum sx_status sx_c2_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err)
{
    const struct sx_site *site = &sites->first;
    const struct sx_head_set *readout = &study->readout;
    const size_t heads = study->report->n_heads;
    struct sx_probes probes = sx_probes_new();
    struct sx_head_set *alone = sx_xcalloc(heads + 1, sizeof *alone);
    size_t at[N_WHAT];
    for (size_t i = 0; i < N_WHAT; i++)
        at[i] = sx_probe_add(&probes, site);
    const float *mean = values_of(study, &probes, site, true);
    const float *other = values_of(study, &probes, sites->other, false);
    sx_probe_scale_heads(&probes, at[ZERO_VALUE], readout, SX_POINT_V, 0, 0);
    give_values(study, &probes, at[MEAN_VALUE], readout, mean);
    give_values(study, &probes, at[SWAPPED], readout, other);
    sx_probe_forbid(&probes, at[NO_EDGE], readout, 0);
    sx_probe_forbid(&probes, at[CONTROL_EDGE], &study->control, 0);
    sx_probe_scale_heads(&probes, at[OTHER_TOKEN], readout, SX_POINT_V,
                         favourite_residue(study, site), 0);
    sx_probe_scale_heads(&probes, at[ALL_ZERO], &study->all, SX_POINT_V, 0, 0);
    give_values(study, &probes, at[ALL_SWAPPED], &study->all, other);
    sx_probe_forbid(&probes, at[ALL_NO_EDGE], &study->all, 0);
    for (size_t i = 0; i < heads; i++) {
        const struct sx_report_head *head = &study->report->heads[i];
        sx_head_set_init(&alone[i], readout->layers, (size_t)study->info->n_heads);
        sx_head_set_add(&alone[i], head->layer, head->head);
        sx_probe_forbid(&probes, sx_probe_add(&probes, site), &alone[i], 0);
    }
    enum sx_status status = run_probes(study, site, &probes, err);
    if (status == SX_OK)
        status = read_reference(study, site, err);
    sx_probes_release(&probes);
    for (size_t i = 0; i < heads; i++)
        sx_head_set_release(&alone[i]);
    sx_free(alone);
    return status;
}

/* --- what it comes to ---------------------------------------------------------------------------
 */

static void reference_grid(struct sx_study *study, struct sx_report_claim *claim)
{
    static const char residues[] = "LAGVSERTIDPKQNFYMHWC"; /* ids 4 .. 23 */
    struct sx_report_grid *grid = sx_claim_grid(
        study, claim, "reference", "What all heads bring from BOS towards each residue", "logits");
    if (!grid)
        return;
    sx_one_row(study, grid, "BOS", "residue");
    for (size_t i = 0; i < 20; i++)
        grid->column_labels[i] = sx_report_text(study, "%c", residues[i]);
}

void sx_c2_conclude(struct sx_study *study, struct sx_report_claim *claim)
{
    const struct sx_interval clean = sx_study_mean(study, "p_met_first");
    const struct sx_interval zero = sx_study_ratio(study, "p_value_zero", "p_met_first");
    const struct sx_interval mean = sx_study_ratio(study, "p_value_mean", "p_met_first");
    const struct sx_interval swapped = sx_study_ratio(study, "p_all_swapped", "p_met_first");
    const struct sx_interval says = sx_study_mean(study, "reference_says_met");

    claim->claim = "M is not recognised at the masked residue but read out of a reference at BOS "
                   "that is much the same in every protein.";
    claim->method =
        "Residue 1 masked. The heads that read BOS out towards M (found on other proteins) lose "
        "the value of BOS, or their edge to it; or get the value that BOS has in another "
        "protein. Attribution tells towards which residue their BOS terms point.";
    sx_claim_number(claim, "p_clean", "P(M), nothing changed", "", clean);
    for (size_t i = 0; i < N_WHAT; i++) {
        sx_claim_number(claim, words[i].p, sx_report_text(study, "P(M): %s", words[i].label), "",
                        sx_study_mean(study, words[i].p));
        sx_claim_number(claim, words[i].centred,
                        sx_report_text(study, "change of the logit: %s", words[i].label), "logits",
                        sx_study_mean(study, words[i].centred));
    }
    sx_claim_number(claim, "reference_says_met", "proteins where these terms favour M most", "",
                    says);
    sx_claim_condition(claim,
                       "without the value of BOS in the readout heads (zero) less than "
                       "half of P(M) is left",
                       sx_only_if(zero, clean, 0.1), false, 0.5);
    sx_claim_condition(claim,
                       "with the mean of the residues' values in its place less than half "
                       "of P(M) is left",
                       sx_only_if(mean, clean, 0.1), false, 0.5);
    sx_claim_condition(claim,
                       "with another protein's values of BOS in all heads more than 0.8 "
                       "of P(M) is left",
                       sx_only_if(swapped, clean, 0.1), true, 0.8);
    sx_claim_condition(claim,
                       "the BOS terms of all heads favour M most of the 20 residues, "
                       "in more than half of the proteins",
                       says, true, 0.5);
    claim->sentence = sx_report_text(
        study,
        "Without the value of BOS in the readout heads %s (zero) and %s (mean of the "
        "residues) of P(M) is left, with another protein's BOS in all heads %s; the BOS "
        "terms point at M first in %s of the proteins.",
        sx_report_percent(study, &zero), sx_report_percent(study, &mean),
        sx_report_percent(study, &swapped), sx_report_percent(study, &says));
    claim->caveat = "Taking a value out also changes what the other tokens read from BOS, and "
                    "later heads may make up for it; heads that are not called readout heads may "
                    "read BOS too.";
    sx_layer_head_labels(study, sx_claim_grid(study, claim, "readout",
                                              "Attention to BOS x its readout towards M, residue 1 "
                                              "masked",
                                              "logits"));
    sx_layer_head_labels(study, sx_claim_grid(study, claim, "knockout",
                                              "Change of M's logit when one head may not look at "
                                              "BOS",
                                              "logits"));
    reference_grid(study, claim);
    for (size_t i = 0; i < study->report->n_heads; i++)
        study->report->heads[i].knockout = sx_study_mean(study, head_key(study, i));
}
