/* What the files of the report share. Private to interp. */
#ifndef SEXTANT_INTERP_REPORT_PRIVATE_H
#define SEXTANT_INTERP_REPORT_PRIVATE_H

#include "sextant/interp/attribution.h"
#include "sextant/interp/report.h"

/* --- passes (report_passes.c) -------------------------------------------------------------------
 * A site is a protein with one residue masked and what its pass kept; a probe is a site under
 * interventions. Probes start again at the first layer that they touch. */

struct sx_site {
    const struct sx_report_protein *protein;
    int32_t *ids; /* [n]; owned, like what follows */
    size_t n;
    uint32_t token;             /* that is masked, and read */
    float *resid;               /* [L,n,D] resid.pre */
    float *q, *q_rot;           /* [L,H,d] of the token */
    float *k_bos;               /* [L,H,d] of <cls> */
    float *v;                   /* [L,n,H,d] */
    float *attn;                /* [L,H,n] of the token */
    float *attn_out, *mlp_out;  /* [L,D] of the token */
    float *sigma;               /* [L] of the first LayerNorm, of the token */
    struct sx_reading {         /* what the model says at the token */
        double p, p33, centred; /* of M: over the 20 residues, over all, logit minus mean of 20 */
        int32_t top;            /* of the 20 */
    } reading;
};

struct sx_probe {
    const struct sx_site *site;
    struct sx_intervention *interventions;
    size_t n_interventions, interventions_room;
    struct sx_position_override *positions;
    size_t n_positions, positions_room;
    struct sx_reading reading;
    float *attention; /* [L,H] token to <cls>; in the arena */
};

struct sx_probes { /* start with {.arena = …}; the arena lives as long as the values it holds */
    struct sx_arena *arena;
    struct sx_probe *probe;
    size_t n, room;
};

/* Heads, by layer. */
struct sx_head_set {
    uint32_t **list; /* [L] ascending, owned */
    size_t *n;       /* [L] */
    size_t layers;
};
void sx_head_set_init(struct sx_head_set *set, size_t layers, size_t heads);
void sx_head_set_release(struct sx_head_set *set);
void sx_head_set_add(struct sx_head_set *set, size_t layer, uint32_t head);
bool sx_head_set_has(const struct sx_head_set *set, size_t layer, uint32_t head);
size_t sx_head_set_count(const struct sx_head_set *set);

/* --- the study (report.c) -----------------------------------------------------------------------
 * Measurements are series: a number a protein, by name. */

struct sx_series {
    const char *key; /* in the arena */
    double *value;   /* [n_proteins], NAN: not measured; owned */
};
struct sx_sums { /* of a grid */
    const char *key;
    size_t rows, columns;
    double *sum; /* owned */
    size_t *count;
};

struct sx_study {
    struct sx_runner *runner;
    const struct sx_model_info *info;
    const struct sx_report_input *input;
    struct sx_report *report;
    struct sx_task *task;
    uint64_t done, total; /* proteins */
    size_t first, n;      /* proteins [first, n) are measured, those before find the heads */
    size_t protein;       /* the one being measured */
    struct sx_head_set readout, context, control; /* control: as many others, drawn */
    struct sx_head_set all;
    struct sx_series *series;
    size_t n_series, series_room;
    struct sx_sums *sums;
    size_t n_sums, sums_room;
};

/* Three sites of one protein: residue 1, an interior residue, another one, neither of them M; and
 * another protein's residue 1. */
struct sx_sites {
    struct sx_site first, inside, elsewhere;
    const struct sx_site *other;
};

enum sx_status sx_site_make(struct sx_study *study, const struct sx_report_protein *protein,
                            uint32_t token, struct sx_site *out,
                            struct sx_error *err) SX_MUST_CHECK;
void sx_site_release(struct sx_site *site);
void sx_reading_of(const float *logits, struct sx_reading *out);

struct sx_probes sx_probes_new(void);
size_t sx_probe_add(struct sx_probes *probes, const struct sx_site *site); /* its index */
void sx_probe_do(struct sx_probes *probes, size_t probe, struct sx_intervention intervention);
void sx_probe_turn(struct sx_probes *probes, size_t probe, struct sx_position_override positions);
enum sx_status sx_probes_run(struct sx_study *study, struct sx_probes *probes,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_probes_release(struct sx_probes *probes);
/* Frequent ones. Values must live until the probes have run. */
void sx_probe_scale_heads(struct sx_probes *probes, size_t probe, const struct sx_head_set *set,
                          enum sx_point point, uint32_t token, float factor);
/* Edges token → key of attention: taken out of the softmax, or only of what they bring. */
void sx_probe_forbid(struct sx_probes *probes, size_t probe, const struct sx_head_set *set,
                     uint32_t key);
void sx_probe_replace(struct sx_probes *probes, size_t probe, enum sx_point point, size_t layer,
                      uint32_t head, uint32_t token, int band, const float *values);
/* Rotate the queries as if the token stood at `position`; bands NULL: all. */
void sx_probe_move_query(struct sx_probes *probes, size_t probe, const struct sx_head_set *set,
                         const uint32_t *bands, size_t n_bands, float position);

/* "58 %", or "an unknown part" of what was not measured. */
const char *sx_report_percent(struct sx_study *study, const struct sx_interval *x);
/* Text in the report's arena. */
const char *sx_report_text(struct sx_study *study, const char *fmt, ...) SX_PRINTF(2, 3);

void sx_study_set(struct sx_study *study, const char *key, double value); /* of study->protein */
const double *sx_study_series(struct sx_study *study, const char *key);   /* [n]; never NULL */
struct sx_interval sx_study_mean(struct sx_study *study, const char *key);
struct sx_interval sx_study_ratio(struct sx_study *study, const char *above, const char *below);
void sx_study_add(struct sx_study *study, const char *key, size_t rows, size_t columns, size_t row,
                  size_t column, double value); /* to a grid */
double sx_study_sum_mean(const struct sx_study *study, const char *key, size_t row, size_t column);

/* Filling a claim. */
void sx_claim_number(struct sx_report_claim *claim, const char *key, const char *label,
                     const char *unit, struct sx_interval x);
void sx_claim_condition(struct sx_report_claim *claim, const char *text, struct sx_interval x,
                        bool above, double bound);
struct sx_report_grid *sx_claim_grid(struct sx_study *study, struct sx_report_claim *claim,
                                     const char *key, const char *title, const char *unit);
void sx_claim_command(struct sx_report_claim *claim, const char *text);
void sx_claim_decide(struct sx_report_claim *claim);
struct sx_interval sx_not_measured(void);
/* x, unless `needs` does not lie above the bound: then there is nothing to take a share of. */
struct sx_interval sx_only_if(struct sx_interval x, struct sx_interval needs, double bound);

/* --- queries (report_query.c) -------------------------------------------------------------------
 * What the layers below write into a query: [n_writers,d] unrotated, sums to the site's q. Writer
 * 0 is the weights alone (biases and the embedding, which is 0 under a mask), writer k + 1 is
 * layer k. */
void sx_query_terms(const struct sx_study *study, const struct sx_site *site, size_t layer,
                    size_t head, double *terms);
/* Once, before the first of them: makes float32 of all layers' Wq. */
enum sx_status sx_query_weights(const struct sx_study *study, struct sx_error *err) SX_MUST_CHECK;
/* The score of an unrotated query at `position` with the site's <cls>. */
double sx_query_score(const struct sx_study *study, const struct sx_site *site, size_t layer,
                      size_t head, const double *q, double position);

/* --- heads (report_heads.c) ---------------------------------------------------------------------
 */

/* The language model head, frozen at what the site's pass gives it. */
enum sx_status sx_site_head(const struct sx_study *study, const struct sx_site *site,
                            struct sx_frozen_head **head, struct sx_error *err) SX_MUST_CHECK;
/* Direct attribution of M's centred logit at a site. */
struct sx_site_terms {
    double *bos,
        *rest; /* [L,H] what the heads bring from <cls>, and from all other tokens; owned */
    double mlp, bias, constant; /* MLPs; biases of attention outputs; the head and the embedding */
    double total;               /* equals reading.centred */
};
enum sx_status sx_site_terms(const struct sx_study *study, const struct sx_site *site,
                             struct sx_site_terms *out, struct sx_error *err) SX_MUST_CHECK;
void sx_site_terms_release(struct sx_site_terms *terms);
/* Mean attention of the readout heads to BOS; attention [L,H,step], the first of each. */
double sx_attention_to_bos(const struct sx_study *study, const float *attention, size_t step);
/* "L0" …, "H0" … in the report's arena. */
const char **sx_report_labels(struct sx_study *study, const char *letter, size_t n);
const char **sx_report_words(struct sx_study *study, const char *const *words, size_t n);
void sx_layer_head_labels(struct sx_study *study, struct sx_report_grid *grid);
/* A grid of one row; its column labels are made for the caller to fill. */
void sx_one_row(struct sx_study *study, struct sx_report_grid *grid, const char *row,
                const char *columns);

/* --- claims: per protein, and what all come to --------------------------------------------------
 */
enum sx_status sx_report_find_heads(struct sx_study *study, struct sx_error *err) SX_MUST_CHECK;

enum sx_status sx_c1_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_c1_conclude(struct sx_study *study, struct sx_report_claim *claim);
enum sx_status sx_c2_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_c2_conclude(struct sx_study *study, struct sx_report_claim *claim);
enum sx_status sx_c3_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_c3_conclude(struct sx_study *study, struct sx_report_claim *claim);
enum sx_status sx_c4_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_c4_conclude(struct sx_study *study, struct sx_report_claim *claim);
enum sx_status sx_c5_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_c5_conclude(struct sx_study *study, struct sx_report_claim *claim);
void sx_c6_conclude(struct sx_study *study, struct sx_report_claim *claim);
enum sx_status sx_c7_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_c7_conclude(struct sx_study *study, struct sx_report_claim *claim);
enum sx_status sx_c8_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_c8_conclude(struct sx_study *study, struct sx_report_claim *claim);

#endif
