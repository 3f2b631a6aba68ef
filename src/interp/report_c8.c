/* C8: how much is missed by looking at one head, one band, or one writer of the query alone. The
 * measure is what each of them brings of M's logit at an interior mask when it is taken over from
 * residue 1, against heads, bands and query together. */
#include <math.h>

#include "report_private.h"
#include "sextant/base/alloc.h"

/* The pair of one rotary band of a vector [d]. */
static const float *pair_of(struct sx_probes *probes, const float *x, size_t band, size_t bands)
{
    float *pair = sx_arena_alloc(probes->arena, 2 * sizeof *pair);
    pair[0] = x[band];
    pair[1] = x[band + bands];
    return pair;
}

static void add_band(const struct sx_study *study, struct sx_probes *probes,
                     const struct sx_sites *sites, size_t band)
{
    const size_t H = (size_t)study->info->n_heads;
    const size_t d = (size_t)study->info->d_head;
    const size_t probe = sx_probe_add(probes, &sites->inside);
    for (size_t l = 0; l < study->readout.layers; l++)
        for (size_t i = 0; i < study->readout.n[l]; i++) {
            const uint32_t h = study->readout.list[l][i];
            const float *x = sites->first.q_rot + (l * H + h) * d;
            sx_probe_replace(probes, probe, SX_POINT_Q_ROT, l, h, sites->inside.token, (int)band,
                             pair_of(probes, x, band, (size_t)study->info->n_bands));
        }
}

/* The readout heads' queries with one writer's part as at residue 1. */
static void add_writer(const struct sx_study *study, struct sx_probes *probes,
                       const struct sx_sites *sites, size_t writer)
{
    const size_t H = (size_t)study->info->n_heads;
    const size_t d = (size_t)study->info->d_head;
    const size_t L = study->readout.layers;
    const size_t probe = sx_probe_add(probes, &sites->inside);
    double *first = sx_xcalloc(2 * (L + 1) * d, sizeof *first);
    double *inside = first + (L + 1) * d;
    for (size_t l = writer; l < L; l++)
        for (size_t i = 0; i < study->readout.n[l]; i++) {
            const uint32_t h = study->readout.list[l][i];
            float *query = sx_arena_alloc(probes->arena, d * sizeof *query);
            sx_query_terms(study, &sites->first, l, h, first);
            sx_query_terms(study, &sites->inside, l, h, inside);
            for (size_t j = 0; j < d; j++)
                query[j] = (float)((double)sites->inside.q[(l * H + h) * d + j] +
                                   first[writer * d + j] - inside[writer * d + j]);
            sx_probe_replace(probes, probe, SX_POINT_Q, l, h, sites->inside.token, -1, query);
        }
    sx_free(first);
}

static void add_head(const struct sx_study *study, struct sx_probes *probes,
                     const struct sx_sites *sites, const struct sx_report_head *head)
{
    const size_t H = (size_t)study->info->n_heads;
    const size_t d = (size_t)study->info->d_head;
    sx_probe_replace(probes, sx_probe_add(probes, &sites->inside), SX_POINT_Q_ROT, head->layer,
                     head->head, sites->inside.token, -1,
                     sites->first.q_rot + (head->layer * H + head->head) * d);
}

static const char *part_key(struct sx_study *study, const char *kind, size_t i)
{
    return sx_report_text(study, "only_%s_%zu", kind, i);
}

enum sx_status sx_c8_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err)
{
    const size_t heads = study->report->n_heads;
    const size_t bands = (size_t)study->info->n_bands;
    const size_t parts = (size_t)study->info->n_layers + 1;
    struct sx_probes probes = sx_probes_new();
    size_t at = 0;
    for (size_t i = 0; i < heads; i++)
        add_head(study, &probes, sites, &study->report->heads[i]);
    for (size_t b = 0; b < bands; b++)
        add_band(study, &probes, sites, b);
    for (size_t k = 0; k + 1 < parts; k++)
        add_writer(study, &probes, sites, k);
    sx_probe_move_query(&probes, sx_probe_add(&probes, &sites->inside), &study->readout, NULL, 0,
                        (float)sites->first.token);
    const enum sx_status status = sx_probes_run(study, &probes, err);
    const struct {
        const char *kind;
        size_t n;
    } kinds[] = {{"head", heads}, {"band", bands}, {"part", parts}};
    for (size_t kind = 0; kind < 3 && status == SX_OK; kind++)
        for (size_t i = 0; i < kinds[kind].n; i++) {
            const double brought =
                probes.probe[at++].reading.centred - sites->inside.reading.centred;
            sx_study_set(study, part_key(study, kinds[kind].kind, i), brought);
            sx_study_add(study, sx_report_text(study, "only_%s", kinds[kind].kind), 1,
                         kinds[kind].n, 0, i, brought);
        }
    sx_probes_release(&probes);
    return status;
}

/* The part that brings most on average; *best is which. Its choice favours it, against the claim.
 */
static struct sx_interval best_of(struct sx_study *study, const char *kind, size_t n, size_t *best)
{
    double most = -INFINITY;
    *best = 0;
    for (size_t i = 0; i < n; i++) {
        const double mean = sx_study_mean(study, part_key(study, kind, i)).value;
        if (mean > most) {
            most = mean;
            *best = i;
        }
    }
    return sx_study_ratio(study, part_key(study, kind, *best), "q_rotated");
}

static const char *head_name(struct sx_study *study, size_t i)
{
    const struct sx_report_head *head = &study->report->heads[i];
    return sx_report_text(study, "L%u.H%u", (unsigned)head->layer, (unsigned)head->head);
}

/* Of a query: what one layer wrote, before it the weights alone, behind the last its rotation. */
static const char *part_name(struct sx_study *study, size_t i)
{
    return i == 0                      ? "weights"
           : i < study->info->n_layers ? sx_report_text(study, "L%zu", i - 1)
                                       : "rotation";
}

static void grids(struct sx_study *study, struct sx_report_claim *claim)
{
    static const struct {
        const char *key, *title, *column;
    } parts[] = {
        {"only_head", "Brought by one readout head's query alone", "head"},
        {"only_band", "Brought by one rotary band of the readout heads' queries alone", "band"},
        {"only_part",
         "Brought by what one layer wrote of the readout heads' queries alone, or by rotation "
         "alone",
         "part"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct sx_report_grid *grid =
            sx_claim_grid(study, claim, parts[i].key, parts[i].title, "logits");
        if (!grid)
            continue;
        sx_one_row(study, grid, "M's logit", parts[i].column);
        for (size_t c = 0; c < grid->columns; c++)
            grid->column_labels[c] = i == 0   ? head_name(study, c)
                                     : i == 1 ? sx_report_text(study, "b%zu", c)
                                              : part_name(study, c);
    }
}

void sx_c8_conclude(struct sx_study *study, struct sx_report_claim *claim)
{
    const struct sx_interval gap = sx_study_mean(study, "gap");
    const struct sx_interval joint =
        sx_only_if(sx_study_ratio(study, "q_rotated", "gap"), gap, 0.1);
    const struct sx_interval brought = sx_study_mean(study, "q_rotated");
    size_t head;
    size_t band;
    size_t part;
    struct sx_interval best[3] = {
        best_of(study, "head", study->report->n_heads, &head),
        best_of(study, "band", (size_t)study->info->n_bands, &band),
        best_of(study, "part", (size_t)study->info->n_layers + 1, &part),
    };
    for (size_t i = 0; i < 3; i++)
        best[i] = sx_only_if(best[i], joint, 0.1);

    claim->claim = "Heads, frequency bands and query composition are needed together to tell "
                   "retrieval from recognition.";
    claim->method =
        "At an interior mask one head, one band, or one part of the readout heads' queries (what "
        "one layer wrote, or the rotation) is taken over from residue 1. The best of each kind is "
        "compared with all heads, bands and parts together (recovered in C3).";
    sx_claim_number(claim, "joint", "recovered by all three together", "", joint);
    sx_claim_number(claim, "joint_logits", "brought by all three together", "logits", brought);
    sx_claim_number(claim, "best_head",
                    sx_report_text(study, "best single head (%s) of that", head_name(study, head)),
                    "", best[0]);
    sx_claim_number(claim, "best_band",
                    sx_report_text(study, "best single band (b%zu) of that", band), "", best[1]);
    sx_claim_number(
        claim, "best_part",
        sx_report_text(study, "best single part of the query (%s) of that", part_name(study, part)),
        "", best[2]);
    sx_claim_condition(claim, "the best single head brings less than 0.8 of what all three bring",
                       best[0], false, 0.8);
    sx_claim_condition(claim, "the best single band brings less than 0.8", best[1], false, 0.8);
    sx_claim_condition(
        claim,
        "the best single part of the query (one layer's, or its rotation) brings less than 0.8",
        best[2], false, 0.8);
    claim->sentence = sx_report_text(
        study,
        "All three together recover %s of the difference; of that the best head alone brings "
        "%s, the best band %s, the best part of the query %s.",
        sx_report_percent(study, &joint), sx_report_percent(study, &best[0]),
        sx_report_percent(study, &best[1]), sx_report_percent(study, &best[2]));
    claim->caveat = "C8 is about method; this tests only that none of the three resolutions alone "
                    "accounts for the retrieval.";
    grids(study, claim);
}
