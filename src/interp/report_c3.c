/* C3: is it the query of the first position that retrieves, and do several layers write it? */
#include <math.h>
#include <string.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

enum what {
    ROTATED,     /* readout heads inside get the query of residue 1, with its rotation */
    UNROTATED,   /* the same with the rotation of their own place */
    ROTATION,    /* their own query, rotated as at residue 1 */
    ALL_ROTATED, /* all heads get the query of residue 1, with its rotation */
    FROM_INSIDE, /* readout heads get the query of another interior residue: the control */
    N_WHAT
};

static const struct {
    const char *recovered, *p, *attention, *label;
} words[N_WHAT] = {
    {"q_rotated", "p_q_rotated", "attention_q_rotated",
     "query of residue 1, rotated as there, readout heads"},
    {"q_unrotated", "p_q_unrotated", "attention_q_unrotated",
     "query of residue 1, own rotation, readout heads"},
    {"rotation", "p_rotation", "attention_rotation",
     "own query, rotated as at residue 1, readout heads"},
    {"q_all_heads", "p_q_all_heads", "attention_q_all_heads",
     "query of residue 1, rotated as there, all heads"},
    {"q_control", "p_q_control", "attention_q_control",
     "query of another interior residue, readout heads"},
};

static void give_queries(const struct sx_study *study, struct sx_probes *probes, size_t probe,
                         const struct sx_head_set *set, enum sx_point point, const float *queries)
{
    const size_t H = (size_t)study->info->n_heads;
    const size_t d = (size_t)study->info->d_head;
    const uint32_t token = probes->probe[probe].site->token;
    for (size_t l = 0; l < set->layers; l++)
        for (size_t i = 0; i < set->n[l]; i++)
            sx_probe_replace(probes, probe, point, l, set->list[l][i], token, -1,
                             queries + (l * H + set->list[l][i]) * d);
}

/* Residue 1: the readout heads' queries without what one layer wrote. */
static void without_layer(const struct sx_study *study, struct sx_probes *probes, size_t probe,
                          const struct sx_site *site, size_t layer)
{
    const size_t H = (size_t)study->info->n_heads;
    const size_t d = (size_t)study->info->d_head;
    double *terms = sx_xcalloc((study->readout.layers + 1) * d, sizeof *terms);
    for (size_t l = layer + 1; l < study->readout.layers; l++)
        for (size_t i = 0; i < study->readout.n[l]; i++) {
            const uint32_t h = study->readout.list[l][i];
            float *query = sx_arena_alloc(probes->arena, d * sizeof *query);
            sx_query_terms(study, site, l, h, terms);
            for (size_t j = 0; j < d; j++)
                query[j] =
                    (float)((double)site->q[(l * H + h) * d + j] - terms[(layer + 1) * d + j]);
            sx_probe_replace(probes, probe, SX_POINT_Q, l, h, site->token, -1, query);
        }
    sx_free(terms);
}

/* How the score of the readout heads with BOS changes from an interior residue to residue 1, by
 * the layer that wrote the query. Returns how many writers carry it: 1 / Σ share². */
static double writers(struct sx_study *study, const struct sx_sites *sites)
{
    const size_t L = (size_t)study->info->n_layers;
    const size_t d = (size_t)study->info->d_head;
    double *first = sx_xcalloc(2 * (L + 1) * d, sizeof *first);
    double *inside = first + (L + 1) * d;
    double *change = sx_xcalloc(L + 1, sizeof *change);
    double total = 0;
    double squares = 0;
    for (size_t l = 0; l < L; l++)
        for (size_t i = 0; i < study->readout.n[l]; i++) {
            const uint32_t h = study->readout.list[l][i];
            sx_query_terms(study, &sites->first, l, h, first);
            sx_query_terms(study, &sites->inside, l, h, inside);
            for (size_t k = 0; k <= l; k++)
                change[k] +=
                    sx_query_score(study, &sites->first, l, h, first + k * d, sites->first.token) -
                    sx_query_score(study, &sites->inside, l, h, inside + k * d,
                                   sites->inside.token);
        }
    for (size_t k = 0; k <= L; k++) {
        total += fabs(change[k]);
        if (k < L)
            sx_study_add(study, "writers", 1, L, 0, k, change[k]);
    }
    for (size_t k = 0; k <= L && total > 0; k++)
        squares += change[k] / total * (change[k] / total);
    sx_free(first);
    sx_free(change);
    return squares > 0 ? 1 / squares : (double)NAN;
}

enum sx_status sx_c3_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err)
{
    const struct sx_site *inside = &sites->inside;
    const struct sx_site *first = &sites->first;
    const size_t L = (size_t)study->info->n_layers;
    struct sx_probes probes = sx_probes_new();
    size_t at[N_WHAT];
    for (size_t i = 0; i < N_WHAT; i++)
        at[i] = sx_probe_add(&probes, inside);
    give_queries(study, &probes, at[ROTATED], &study->readout, SX_POINT_Q_ROT, first->q_rot);
    give_queries(study, &probes, at[UNROTATED], &study->readout, SX_POINT_Q, first->q);
    sx_probe_move_query(&probes, at[ROTATION], &study->readout, NULL, 0, (float)first->token);
    give_queries(study, &probes, at[ALL_ROTATED], &study->all, SX_POINT_Q_ROT, first->q_rot);
    give_queries(study, &probes, at[FROM_INSIDE], &study->readout, SX_POINT_Q_ROT,
                 sites->elsewhere.q_rot);
    for (size_t k = 0; k < L; k++)
        without_layer(study, &probes, sx_probe_add(&probes, first), first, k);
    enum sx_status status = sx_probes_run(study, &probes, err);
    for (size_t i = 0; i < N_WHAT && status == SX_OK; i++) {
        sx_study_set(study, words[i].recovered,
                     probes.probe[at[i]].reading.centred - inside->reading.centred);
        sx_study_set(study, words[i].p, probes.probe[at[i]].reading.p);
        sx_study_set(study, words[i].attention,
                     sx_attention_to_bos(study, probes.probe[at[i]].attention, 1));
    }
    for (size_t k = 0; k + 1 < L && status == SX_OK; k++)
        sx_study_add(study, "removed", 1, L - 1, 0, k,
                     probes.probe[N_WHAT + k].reading.centred - first->reading.centred);
    if (status == SX_OK)
        sx_study_set(study, "says_met_q_rotated",
                     probes.probe[at[ROTATED]].reading.top == SX_ESM_M);
    sx_study_set(study, "gap", first->reading.centred - inside->reading.centred);
    sx_study_set(study, "p_inside", inside->reading.p);
    sx_study_set(study, "writers", writers(study, sites));
    sx_probes_release(&probes);
    return status;
}

static void label_writers(struct sx_study *study, struct sx_report_grid *grid, bool weights)
{
    if (!grid)
        return;
    sx_one_row(study, grid, "change", "written by");
    for (size_t i = 0; i < grid->columns; i++)
        grid->column_labels[i] =
            weights && i == 0 ? "weights" : sx_report_text(study, "L%zu", weights ? i - 1 : i);
}

void sx_c3_conclude(struct sx_study *study, struct sx_report_claim *claim)
{
    const struct sx_interval gap = sx_study_mean(study, "gap");
    const struct sx_interval carry = sx_study_mean(study, "writers");
    struct sx_interval part[N_WHAT];

    claim->claim = "The query that retrieves is specific to the first position and written by "
                   "several layers.";
    claim->method =
        "An interior residue is masked and the readout heads get, in its place, the query that "
        "they have when residue 1 of the same protein is masked. Recovered: the part of the "
        "difference in M's logit between the two that this brings. The query is then split "
        "exactly by the layer that wrote it.";
    sx_claim_number(claim, "gap", "M's logit at residue 1 minus inside", "logits", gap);
    sx_claim_number(claim, "attention_first", "attention of the readout heads to BOS at residue 1",
                    "", sx_study_mean(study, "attention_first"));
    sx_claim_number(claim, "p_inside", "P(M) inside, nothing changed", "",
                    sx_study_mean(study, "p_inside"));
    for (size_t i = 0; i < N_WHAT; i++) {
        part[i] = sx_only_if(sx_study_ratio(study, words[i].recovered, "gap"), gap, 0.1);
        sx_claim_number(claim, words[i].recovered,
                        sx_report_text(study, "recovered: %s", words[i].label), "", part[i]);
        sx_claim_number(claim, words[i].p, sx_report_text(study, "P(M): %s", words[i].label), "",
                        sx_study_mean(study, words[i].p));
        sx_claim_number(
            claim, words[i].attention,
            sx_report_text(study, "attention of the readout heads to BOS: %s", words[i].label), "",
            sx_study_mean(study, words[i].attention));
    }
    sx_claim_number(claim, "says_met_q_rotated",
                    "proteins where M is most probable inside with the query of residue 1", "",
                    sx_study_mean(study, "says_met_q_rotated"));
    sx_claim_number(claim, "writers",
                    "writers that carry the change of score (1 / sum of squared "
                    "shares)",
                    "writers", carry);
    sx_claim_condition(claim,
                       "the query of residue 1 in the readout heads recovers more than a "
                       "quarter of the difference",
                       part[ROTATED], true, 0.25);
    sx_claim_condition(claim, "the query of another interior residue recovers less than 0.1 of it",
                       part[FROM_INSIDE], false, 0.1);
    sx_claim_condition(claim, "more than 2 writers carry the change of the score with BOS", carry,
                       true, 2);
    claim->sentence = sx_report_text(
        study,
        "Inside, the query of residue 1 in the readout heads recovers %s of the difference in "
        "M's logit (with the own rotation %s, rotation alone %s, another interior query "
        "%s), while these heads' attention to BOS goes from %.2f to %.2f; %.1f writers carry "
        "the change of score.",
        sx_report_percent(study, &part[ROTATED]), sx_report_percent(study, &part[UNROTATED]),
        sx_report_percent(study, &part[ROTATION]), sx_report_percent(study, &part[FROM_INSIDE]),
        sx_study_mean(study, "attention_inside").value,
        sx_study_mean(study, words[ROTATED].attention).value, carry.value);
    claim->caveat = "A patched query shows what the query suffices for in these heads, where the "
                    "true first residue stands unmasked among the keys; the attention to all "
                    "tokens changes with it, not only that to BOS.";
    label_writers(study,
                  sx_claim_grid(study, claim, "writers",
                                "Score of the readout heads with BOS, residue 1 minus inside, by "
                                "the layer that wrote the query",
                                "score"),
                  true);
    label_writers(study,
                  sx_claim_grid(study, claim, "removed",
                                "Change of M's logit at residue 1 when a layer's part of the "
                                "readout heads' queries is taken out",
                                "logits"),
                  false);
}
