/* C5 and C6: what of the score of the readout heads with BOS changes between residue 1 and an
 * interior residue: norms or direction, in which rotary bands, and does it cause M? A is residue 1,
 * B the interior residue. */
#include <math.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/band_patch.h"
#include "sextant/interp/bands.h"

enum group { SHORT, MEDIUM, LONG, N_GROUPS }; /* of sx_band_groups_default */
static const char *const group_names[N_GROUPS] = {"short", "medium", "long"};
static const char *const group_words[N_GROUPS] = {"period up to 10", "period 10 to 200",
                                                  "period above 200"};

enum term { QN, KN, DIR, CONTENT, POSITION, COUPLING, COUPLED_OF, TOTAL, N_TERMS };
static const char *const term_names[N_TERMS] = {"query_norm", "key_norm", "direction",
                                                "content",    "position", "interaction",
                                                "one_by_one", "total"};

/* FULL: the interior residue's query with its rotation. */
static const enum sx_band_patch patches[] = {SX_PATCH_NORM, SX_PATCH_DIRECTION, SX_PATCH_ROTATION,
                                             SX_PATCH_FULL};
enum { N_PATCHES = sizeof patches / sizeof *patches };

static struct sx_band_shape shape_of(const struct sx_study *study)
{
    return sx_band_shape_of(sx_runner_model(study->runner));
}

static enum group group_of(const struct sx_study *study, size_t band)
{
    const struct sx_band_groups groups = sx_band_groups_default();
    const struct sx_band_shape shape = shape_of(study);
    return (enum group)sx_band_group_of(&groups, sx_band_period(&shape, band));
}

/* --- the split ----------------------------------------------------------------------------------
 */

/* Sums over the readout heads of what each band's score changes by; absolute values in `size`. */
struct band_sums {
    double value[N_TERMS], size[N_TERMS];
};

static void add_split(struct band_sums *sums, const struct sx_band_split *split)
{
    const double terms[N_TERMS] = {[QN] = split->query_norm,
                                   [KN] = split->key_norm,
                                   [DIR] = split->direction,
                                   [CONTENT] = split->content,
                                   [POSITION] = split->position,
                                   [COUPLING] = split->interaction,
                                   [COUPLED_OF] = fabs(split->norm_only) +
                                                  fabs(split->direction_only) +
                                                  fabs(split->interaction),
                                   [TOTAL] = split->total};
    for (int t = 0; t < N_TERMS; t++) {
        sums->value[t] += terms[t];
        sums->size[t] += fabs(terms[t]);
    }
}

static void head_bands(const struct sx_study *study, const struct sx_site *site, size_t layer,
                       uint32_t head, struct sx_band *out)
{
    const struct sx_band_shape shape = shape_of(study);
    const size_t at = (layer * (size_t)study->info->n_heads + head) * shape.d;
    sx_bands_of(&shape, site->q + at, site->k_bos + at, site->token, 0, out);
}

static void split_bands(struct sx_study *study, const struct sx_sites *sites,
                        struct band_sums *bands)
{
    const size_t B = (size_t)study->info->n_bands;
    const double scale = shape_of(study).scale;
    struct sx_band *first = sx_xcalloc(2 * B, sizeof *first);
    struct sx_band *inside = first + B;
    for (size_t l = 0; l < study->readout.layers; l++)
        for (size_t i = 0; i < study->readout.n[l]; i++) {
            head_bands(study, &sites->first, l, study->readout.list[l][i], first);
            head_bands(study, &sites->inside, l, study->readout.list[l][i], inside);
            for (size_t b = 0; b < B; b++) {
                struct sx_band_split split;
                sx_band_split(&first[b], &inside[b], scale, &split);
                add_split(&bands[b], &split);
                sx_study_add(study, "layer_band", study->readout.layers, B, l, b, split.total);
            }
        }
    sx_free(first);
}

static const char *key_of(struct sx_study *study, const char *term, const char *part)
{
    return sx_report_text(study, "%s_%s", term, part);
}

static void set_sums(struct sx_study *study, const struct band_sums *sums, const char *part)
{
    for (int t = 0; t < N_TERMS; t++) {
        sx_study_set(study, key_of(study, term_names[t], part), sums->size[t]);
        sx_study_set(study, sx_report_text(study, "signed_%s_%s", term_names[t], part),
                     sums->value[t]);
    }
    sx_study_set(study, key_of(study, "factors", part),
                 sums->size[QN] + sums->size[KN] + sums->size[DIR]);
    sx_study_set(study, key_of(study, "angles", part), sums->size[CONTENT] + sums->size[POSITION]);
}

/* All bands, each group, all but the shortest group, and each band. */
static void keep_split(struct sx_study *study, const struct sx_sites *sites)
{
    const size_t B = (size_t)study->info->n_bands;
    struct band_sums *bands = sx_xcalloc(B + 1, sizeof *bands);
    struct band_sums all = {0};
    struct band_sums longer = {0};
    struct band_sums groups[N_GROUPS] = {0};
    double squares = 0;
    split_bands(study, sites, bands);
    for (size_t b = 0; b < B; b++) {
        const enum group group = group_of(study, b);
        for (int t = 0; t < N_TERMS; t++) {
            all.value[t] += bands[b].value[t];
            all.size[t] += bands[b].size[t];
            groups[group].value[t] += bands[b].value[t];
            groups[group].size[t] += bands[b].size[t];
            longer.value[t] += group == SHORT ? 0 : bands[b].value[t];
            longer.size[t] += group == SHORT ? 0 : bands[b].size[t];
            if (t != COUPLED_OF)
                sx_study_add(study, "term_band", N_TERMS - 1, B, (size_t)(t == TOTAL ? t - 1 : t),
                             b, bands[b].value[t]);
        }
        set_sums(study, &bands[b], sx_report_text(study, "b%zu", b));
    }
    for (size_t b = 0; b < B && all.size[TOTAL] > 0; b++) {
        const double share = bands[b].size[TOTAL] / all.size[TOTAL];
        squares += share * share;
        sx_study_set(study, sx_report_text(study, "share_b%zu", b), share);
    }
    set_sums(study, &all, "all");
    set_sums(study, &longer, "longer");
    for (int g = 0; g < N_GROUPS; g++)
        set_sums(study, &groups[g], group_names[g]);
    sx_study_set(study, "bands_carrying", squares > 0 ? 1 / squares : (double)NAN);
    sx_free(bands);
}

/* --- causal -------------------------------------------------------------------------------------
 */

/* The readout heads' queries at residue 1, with what the bands of a group have at the interior
 * residue. group N_GROUPS: all bands. */
static void add_patch(struct sx_study *study, struct sx_probes *probes,
                      const struct sx_sites *sites, enum sx_band_patch patch, size_t group)
{
    const struct sx_band_shape shape = shape_of(study);
    const size_t H = (size_t)study->info->n_heads;
    const size_t probe = sx_probe_add(probes, &sites->first);
    uint32_t list[SX_MAX_BANDS];
    uint64_t chosen = 0;
    size_t n = 0;
    for (size_t b = 0; b < shape.n; b++)
        if (group == N_GROUPS || group_of(study, b) == (enum group)group) {
            chosen |= UINT64_C(1) << b;
            list[n++] = (uint32_t)b;
        }
    if (n == 0)
        return;
    if (patch == SX_PATCH_ROTATION || patch == SX_PATCH_FULL)
        sx_probe_move_query(probes, probe, &study->readout, list, n, (float)sites->inside.token);
    for (size_t l = 0; l < study->readout.layers && patch != SX_PATCH_ROTATION; l++)
        for (size_t i = 0; i < study->readout.n[l]; i++) {
            const uint32_t h = study->readout.list[l][i];
            const size_t at = (l * H + h) * shape.d;
            float *query = sx_arena_alloc(probes->arena, shape.d * sizeof *query);
            sx_band_patch_vector(&shape, patch, sites->first.q + at, sites->inside.q + at, chosen,
                                 query);
            sx_probe_replace(probes, probe, SX_POINT_Q, l, h, sites->first.token, -1, query);
        }
}

enum sx_status sx_c5_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err)
{
    struct sx_probes probes = sx_probes_new();
    const double before = sx_attention_to_bos(study, sites->first.attn, sites->first.n);
    size_t at = 0;
    keep_split(study, sites);
    for (int patch = 0; patch < N_PATCHES; patch++)
        for (size_t group = 0; group <= N_GROUPS; group++)
            add_patch(study, &probes, sites, patches[patch], group);
    const enum sx_status status = sx_probes_run(study, &probes, err);
    for (int patch = 0; patch < N_PATCHES && status == SX_OK; patch++)
        for (size_t group = 0; group <= N_GROUPS; group++) {
            const struct sx_probe *probe = &probes.probe[at++];
            const char *part = group == N_GROUPS ? "all" : group_names[group];
            const double logit = probe->reading.centred - sites->first.reading.centred;
            const double attention = sx_attention_to_bos(study, probe->attention, 1) - before;
            sx_study_set(
                study,
                sx_report_text(study, "patch_%s_%s", sx_band_patch_name(patches[patch]), part),
                logit);
            sx_study_set(
                study,
                sx_report_text(study, "attention_%s_%s", sx_band_patch_name(patches[patch]), part),
                attention);
            sx_study_add(study, "patch_logit", N_PATCHES, N_GROUPS + 1, (size_t)patch, group,
                         logit);
            sx_study_add(study, "patch_attention", N_PATCHES, N_GROUPS + 1, (size_t)patch, group,
                         attention);
        }
    sx_study_set(study, "attention_first", before);
    sx_study_set(study, "attention_inside",
                 sx_attention_to_bos(study, sites->inside.attn, sites->inside.n));
    sx_probes_release(&probes);
    return status;
}

/* --- what it comes to ---------------------------------------------------------------------------
 */

static struct sx_interval share(struct sx_study *study, const char *term, const char *of,
                                const char *part)
{
    return sx_study_ratio(study, key_of(study, term, part), key_of(study, of, part));
}

static void band_labels(struct sx_study *study, struct sx_report_grid *grid)
{
    if (!grid)
        return;
    grid->column_title = "band";
    grid->column_labels =
        sx_arena_alloc(study->report->arena, (grid->columns + 1) * sizeof *grid->column_labels);
    for (size_t b = 0; b < grid->columns; b++)
        grid->column_labels[b] = sx_report_text(study, "b%zu", b);
}

static void c5_grids(struct sx_study *study, struct sx_report_claim *claim)
{
    static const char *const terms[] = {"query norm", "key norm", "direction",   " content",
                                        " position",  "coupling", "total change"};
    struct sx_report_grid *grid = sx_claim_grid(
        study, claim, "term_band",
        "Score of the readout heads with BOS, inside minus residue 1, by band", "score");
    if (grid) {
        grid->row_title = "term";
        grid->row_labels = sx_report_words(study, terms, grid->rows);
        band_labels(study, grid);
    }
    grid = sx_claim_grid(study, claim, "layer_band", "The total change, layer x band", "score");
    if (grid) {
        grid->row_title = "layer";
        grid->row_labels = sx_report_labels(study, "L", grid->rows);
        band_labels(study, grid);
    }
}

void sx_c5_conclude(struct sx_study *study, struct sx_report_claim *claim)
{
    const struct sx_interval norm = share(study, "query_norm", "factors", "all");
    const struct sx_interval direction = share(study, "direction", "factors", "all");
    const struct sx_interval coupling = share(study, "interaction", "one_by_one", "all");
    const struct sx_interval bands = sx_study_mean(study, "bands_carrying");
    const struct sx_interval norm_patch = sx_study_mean(study, "patch_norm_all");
    const struct sx_interval lost = sx_only_if(sx_study_ratio(study, "patch_norm_all", "gap"),
                                               sx_study_mean(study, "gap"), 0.1);

    claim->claim = "Position acts by coupled changes of the query's norm and of its direction, "
                   "spread over rotary bands.";
    claim->method =
        "The score of each readout head with BOS is split exactly into rotary bands, and the "
        "change from residue 1 to an interior residue into query norm, key norm and direction "
        "(Shapley values), direction into content and position (Owen values). Shares are of "
        "absolute values, ratios of means. Then norm, direction or rotation of the interior "
        "query are put into residue 1 and the rest of the model is run again.";
    sx_claim_number(claim, "query_norm_share", "query norm", "", norm);
    sx_claim_number(claim, "key_norm_share", "key norm", "",
                    share(study, "key_norm", "factors", "all"));
    sx_claim_number(claim, "direction_share", "direction", "", direction);
    sx_claim_number(claim, "content_share", "content, of the direction", "",
                    share(study, "content", "angles", "all"));
    sx_claim_number(claim, "coupling", "coupling of norm and direction", "", coupling);
    sx_claim_number(claim, "bands_carrying",
                    "bands that carry the change (1 / sum of squared "
                    "shares)",
                    "bands", bands);
    sx_claim_number(claim, "attention_first", "attention of the readout heads to BOS at residue 1",
                    "", sx_study_mean(study, "attention_first"));
    sx_claim_number(claim, "attention_inside", "the same inside", "",
                    sx_study_mean(study, "attention_inside"));
    for (int p = 0; p < N_PATCHES; p++) {
        const char *patch = sx_report_text(study, "patch_%s_all", sx_band_patch_name(patches[p]));
        const char *attention =
            sx_report_text(study, "attention_%s_all", sx_band_patch_name(patches[p]));
        sx_claim_number(claim, patch,
                        sx_report_text(study, "change of M's logit at residue 1: %s from inside",
                                       sx_band_patch_name(patches[p])),
                        "logits", sx_study_mean(study, patch));
        sx_claim_number(claim, attention,
                        sx_report_text(study, "change of attention to BOS: %s from inside",
                                       sx_band_patch_name(patches[p])),
                        "", sx_study_mean(study, attention));
    }
    sx_claim_condition(claim, "query norm has more than 0.05 of the change", norm, true, 0.05);
    sx_claim_condition(claim, "direction has more than 0.05 of it", direction, true, 0.05);
    sx_claim_condition(claim,
                       "the two are coupled: their interaction is more than 0.05 of the "
                       "one-at-a-time changes",
                       coupling, true, 0.05);
    sx_claim_condition(claim, "more than 2 bands carry the change", bands, true, 2);
    sx_claim_condition(claim,
                       "the norms from inside alone take more than 0.05 of the difference in M's "
                       "logit away at residue 1",
                       lost, false, -0.05);
    claim->sentence = sx_report_text(
        study,
        "From residue 1 to inside, query norm makes up %.2f and direction %.2f of the change of "
        "the score with BOS (coupling %.2f), carried by %.1f bands; the norms from inside alone "
        "change M's logit by %+.2f, direction and rotation together with them by %+.2f.",
        norm.value, direction.value, coupling.value, bands.value, norm_patch.value,
        sx_study_mean(study, "patch_full_all").value);
    claim->caveat = "Shares of absolute values say how much moves, not whether it moves towards "
                    "M; the signed totals are in the heatmap.";
    c5_grids(study, claim);
}

/* --- C6 -----------------------------------------------------------------------------------------
 */

/* The share of the shortest-period band minus that of the largest other one. */
static struct sx_interval lead_of_short(struct sx_study *study)
{
    const size_t B = (size_t)study->info->n_bands;
    const size_t n = study->n - study->first;
    const double *own = sx_study_series(study, "share_b0");
    const double *other = NULL;
    double most = -1;
    for (size_t b = 1; b < B; b++) {
        const double *series = sx_study_series(study, sx_report_text(study, "share_b%zu", b));
        const double mean = sx_bootstrap_mean(series, n, study->input->seed).value;
        if (mean > most) {
            most = mean;
            other = series;
        }
    }
    double *lead = sx_xcalloc(n + 1, sizeof *lead);
    for (size_t i = 0; i < n; i++)
        lead[i] = own[i] - (other ? other[i] : 0);
    const struct sx_interval interval = sx_bootstrap_mean(lead, n, study->input->seed);
    sx_free(lead);
    return interval;
}

static void c6_grids(struct sx_study *study, struct sx_report_claim *claim)
{
    static const char *const columns[] = {"short", "medium", "long", "all"};
    const char *rows[N_PATCHES];
    for (int p = 0; p < N_PATCHES; p++)
        rows[p] = sx_band_patch_name(patches[p]);
    static const struct {
        const char *key, *title, *unit;
    } grids[] = {
        {"patch_logit",
         "Change of M's logit at residue 1 with the interior query's …, in "
         "bands of short, medium and long period and in all",
         "logits"},
        {"patch_attention", "Change of the readout heads' attention to BOS, likewise", ""}};
    for (size_t i = 0; i < 2; i++) {
        struct sx_report_grid *grid =
            sx_claim_grid(study, claim, grids[i].key, grids[i].title, grids[i].unit);
        if (!grid)
            continue;
        grid->row_title = "patch";
        grid->column_title = "bands";
        grid->row_labels = sx_report_words(study, rows, grid->rows);
        grid->column_labels = sx_report_words(study, columns, grid->columns);
    }
}

void sx_c6_conclude(struct sx_study *study, struct sx_report_claim *claim)
{
    const struct sx_interval lead = lead_of_short(study);
    const struct sx_interval norm = share(study, "query_norm", "factors", "short");
    const struct sx_interval direction = share(study, "direction", "factors", "short");
    const struct sx_interval longer = share(study, "direction", "factors", "longer");

    claim->claim = "The band of shortest period dominates and engages both norm and direction; "
                   "bands of longer period act mainly by direction.";
    claim->method =
        "As C5, by groups of bands: periods up to 10 tokens, 10 to 200, above 200. This "
        "claim stands in the first version of the abstract only.";
    for (int g = 0; g < N_GROUPS; g++) {
        const char *const terms[] = {"query_norm", "key_norm", "direction"};
        for (int t = 0; t < 3; t++)
            sx_claim_number(claim, sx_report_text(study, "%s_%s", terms[t], group_names[g]),
                            sx_report_text(study, "%s, %s", group_words[g], term_names[t]), "",
                            share(study, terms[t], "factors", group_names[g]));
        sx_claim_number(claim, sx_report_text(study, "content_%s", group_names[g]),
                        sx_report_text(study, "%s, content of the direction", group_words[g]), "",
                        share(study, "content", "angles", group_names[g]));
        sx_claim_number(claim, sx_report_text(study, "part_%s", group_names[g]),
                        sx_report_text(study, "%s, part of the whole change", group_words[g]), "",
                        sx_study_ratio(study, key_of(study, "total", group_names[g]), "total_all"));
    }
    sx_claim_number(claim, "lead", "share of band 0 minus that of the largest other band", "",
                    lead);
    sx_claim_number(claim, "longer", "all periods above 10, direction", "", longer);
    sx_claim_condition(claim, "band 0 has a larger share of the change than any other band", lead,
                       true, 0);
    sx_claim_condition(claim, "periods up to 10: query norm has more than 0.05 of the change", norm,
                       true, 0.05);
    sx_claim_condition(claim, "periods up to 10: direction has more than 0.05", direction, true,
                       0.05);
    sx_claim_condition(claim, "periods above 10: direction has more than half", longer, true, 0.5);
    claim->sentence = sx_report_text(
        study,
        "Bands of period up to 10: query norm %.2f, direction %.2f of their change; all longer "
        "ones: direction %.2f. Band 0 leads the largest other band by %+.2f of the whole change.",
        norm.value, direction.value, longer.value, lead.value);
    claim->caveat = "Which groups a band falls into depends on the head size; a head of 16 "
                    "dimensions has one band below 10 tokens.";
    c6_grids(study, claim);
}
