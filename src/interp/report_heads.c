/* Which heads read BOS out, and which bring the context: found on proteins of their own. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/model/tokenizer.h"

/* Heads that together bring so much of what all bring towards M, but not more than so many. */
static const double COVER = 0.8;
enum { MOST_HEADS = 12, MOST_TRIED = 48, TRY_PROTEINS = 8 };

/* --- attribution at a site ----------------------------------------------------------------------
 */

static double dot(const double *w, const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += w[i] * (double)x[i];
    return sum;
}

static enum sx_status layer_terms(const struct sx_study *study, const struct sx_site *site,
                                  size_t layer, const double *w, struct sx_site_terms *out,
                                  struct sx_error *err)
{
    const size_t D = (size_t)study->info->d_model;
    const size_t H = (size_t)study->info->n_heads;
    const struct sx_model *model = sx_runner_model(study->runner);
    const double attention = dot(w, site->attn_out + layer * D, D);
    const double mlp = dot(w, site->mlp_out + layer * D, D);
    double heads = 0;
    double *readout = sx_xcalloc(site->n * H, sizeof *readout);
    const enum sx_status status =
        sx_head_readout(model, layer, w, site->v + layer * site->n * D, site->n, readout, err);
    for (size_t t = 0; t < site->n; t++)
        for (size_t h = 0; h < H; h++) {
            const double weight = (double)site->attn[(layer * H + h) * site->n + t];
            double *to = t == 0 ? out->bos : out->rest;
            to[layer * H + h] += weight * readout[t * H + h];
            heads += weight * readout[t * H + h];
        }
    out->mlp += mlp;
    out->bias += attention - heads;
    out->total += attention + mlp;
    sx_free(readout);
    return status;
}

enum sx_status sx_site_head(const struct sx_study *study, const struct sx_site *site,
                            struct sx_frozen_head **head, struct sx_error *err)
{
    const size_t L = (size_t)study->info->n_layers;
    const size_t D = (size_t)study->info->d_model;
    float *resid = sx_xmalloc(D * sizeof *resid);
    for (size_t j = 0; j < D; j++)
        resid[j] = site->resid[((L - 1) * site->n + site->token) * D + j] +
                   site->attn_out[(L - 1) * D + j] + site->mlp_out[(L - 1) * D + j];
    const enum sx_status status =
        sx_frozen_head_new(sx_runner_model(study->runner), resid, SX_HEAD_SECANT, head, err);
    sx_free(resid);
    return status;
}

enum sx_status sx_site_terms(const struct sx_study *study, const struct sx_site *site,
                             struct sx_site_terms *out, struct sx_error *err)
{
    const size_t L = (size_t)study->info->n_layers;
    const size_t H = (size_t)study->info->n_heads;
    const size_t D = (size_t)study->info->d_model;
    struct sx_frozen_head *head = NULL;
    double *w = sx_xmalloc(D * sizeof *w);

    *out = (struct sx_site_terms){.bos = sx_xcalloc(L * H, sizeof *out->bos),
                                  .rest = sx_xcalloc(L * H, sizeof *out->rest)};
    enum sx_status status = sx_site_head(study, site, &head, err);
    if (status == SX_OK) {
        sx_frozen_head_direction(head, SX_ESM_M, SX_AGAINST_MEAN, w, &out->constant);
        out->constant += dot(w, site->resid + site->token * D, D); /* the embedding: 0 */
        out->total = out->constant;
        for (size_t l = 0; l < L && status == SX_OK; l++)
            status = layer_terms(study, site, l, w, out, err);
    }
    sx_frozen_head_free(head);
    sx_free(w);
    return status;
}

void sx_site_terms_release(struct sx_site_terms *terms)
{
    sx_free(terms->bos);
    sx_free(terms->rest);
    *terms = (struct sx_site_terms){0};
}

double sx_attention_to_bos(const struct sx_study *study, const float *attention, size_t step)
{
    const size_t H = (size_t)study->info->n_heads;
    double sum = 0;
    for (size_t l = 0; l < study->readout.layers; l++)
        for (size_t i = 0; i < study->readout.n[l]; i++)
            sum += (double)attention[(l * H + study->readout.list[l][i]) * step];
    return sum / (double)study->report->n_heads;
}

const char **sx_report_labels(struct sx_study *study, const char *letter, size_t n)
{
    const char **labels = sx_arena_alloc(study->report->arena, (n + 1) * sizeof *labels);
    for (size_t i = 0; i < n; i++)
        labels[i] = sx_report_text(study, "%s%zu", letter, i);
    return labels;
}

const char **sx_report_words(struct sx_study *study, const char *const *words, size_t n)
{
    const char **labels = sx_arena_alloc(study->report->arena, (n + 1) * sizeof *labels);
    memcpy(labels, words, n * sizeof *labels);
    return labels;
}

void sx_layer_head_labels(struct sx_study *study, struct sx_report_grid *grid)
{
    if (!grid)
        return;
    grid->row_title = "layer";
    grid->column_title = "head";
    grid->row_labels = sx_report_labels(study, "L", grid->rows);
    grid->column_labels = sx_report_labels(study, "H", grid->columns);
}

void sx_one_row(struct sx_study *study, struct sx_report_grid *grid, const char *row,
                const char *columns)
{
    grid->row_title = "";
    grid->column_title = columns;
    grid->row_labels = sx_report_words(study, &row, 1);
    grid->column_labels =
        sx_arena_alloc(study->report->arena, (grid->columns + 1) * sizeof *grid->column_labels);
}

/* --- finding ------------------------------------------------------------------------------------
 */

struct candidate {
    uint32_t layer, head;
    double score;
};

static int by_score(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    const uint64_t i = (uint64_t)x->layer << 32 | x->head;
    const uint64_t j = (uint64_t)y->layer << 32 | y->head;
    return i < j ? -1 : i > j;
}

static struct candidate *rank_heads(const struct sx_study *study, const char *key, double sign)
{
    const size_t L = (size_t)study->info->n_layers;
    const size_t H = (size_t)study->info->n_heads;
    struct candidate *all = sx_xcalloc(L * H, sizeof *all);
    for (size_t i = 0; i < L * H; i++)
        all[i] = (struct candidate){(uint32_t)(i / H), (uint32_t)(i % H),
                                    sign * sx_study_sum_mean(study, key, i / H, i % H)};
    qsort(all, L * H, sizeof *all, by_score);
    return all;
}

static enum sx_status look_at(struct sx_study *study, size_t protein, struct sx_error *err)
{
    const size_t L = (size_t)study->info->n_layers;
    const size_t H = (size_t)study->info->n_heads;
    const struct sx_report_protein *p = &study->input->proteins[protein];
    const uint32_t tokens[] = {1, (uint32_t)(p->n / 2)};
    const char *const keys[] = {"readout", "context"};
    for (int at = 0; at < 2; at++) {
        struct sx_site site;
        struct sx_site_terms terms = {0};
        enum sx_status status = sx_site_make(study, p, tokens[at], &site, err);
        if (status == SX_OK)
            status = sx_site_terms(study, &site, &terms, err);
        for (size_t i = 0; i < L * H && status == SX_OK; i++)
            sx_study_add(study, keys[at], L, H, i / H, i % H, at ? terms.rest[i] : terms.bos[i]);
        sx_site_terms_release(&terms);
        sx_site_release(&site);
        SX_TRY(status);
    }
    return SX_OK;
}

/* What becomes of the logit when each of the best candidates alone may not look at BOS. */
static enum sx_status knock_out(struct sx_study *study, size_t protein,
                                const struct candidate *candidates, size_t n, struct sx_error *err)
{
    const size_t L = (size_t)study->info->n_layers;
    const size_t H = (size_t)study->info->n_heads;
    struct sx_head_set *sets = sx_xcalloc(n + 1, sizeof *sets);
    struct sx_probes probes = sx_probes_new();
    struct sx_site site;
    enum sx_status status = sx_site_make(study, &study->input->proteins[protein], 1, &site, err);
    for (size_t i = 0; i < n && status == SX_OK; i++) {
        sx_head_set_init(&sets[i], L, H);
        sx_head_set_add(&sets[i], candidates[i].layer, candidates[i].head);
        sx_probe_forbid(&probes, sx_probe_add(&probes, &site), &sets[i], 0);
    }
    if (status == SX_OK)
        status = sx_probes_run(study, &probes, err);
    for (size_t i = 0; i < n && status == SX_OK; i++)
        sx_study_add(study, "knockout", L, H, candidates[i].layer, candidates[i].head,
                     probes.probe[i].reading.centred - site.reading.centred);
    sx_probes_release(&probes);
    for (size_t i = 0; i < n; i++)
        sx_head_set_release(&sets[i]);
    sx_free(sets);
    sx_site_release(&site);
    return status;
}

/* The best by readout whose knockout lowers M; at least one. */
static void choose_readout(struct sx_study *study, const struct candidate *ranked, size_t n)
{
    struct sx_report *report = study->report;
    double positive = 0;
    double taken = 0;
    report->heads = sx_xcalloc(MOST_HEADS + 1, sizeof *report->heads);
    for (size_t i = 0; i < n; i++)
        positive += fmax(ranked[i].score, 0);
    for (size_t i = 0; i < n && i < MOST_TRIED && report->n_heads < MOST_HEADS; i++) {
        const struct candidate *c = &ranked[i];
        const double change = sx_study_sum_mean(study, "knockout", c->layer, c->head);
        if (taken >= COVER * positive || c->score <= 0)
            break;
        if (change >= 0)
            continue;
        taken += c->score;
        report->heads[report->n_heads++] =
            (struct sx_report_head){.layer = c->layer, .head = c->head, .readout = c->score};
    }
    if (report->n_heads == 0)
        report->heads[report->n_heads++] = (struct sx_report_head){
            .layer = ranked[0].layer, .head = ranked[0].head, .readout = ranked[0].score};
    report->covered = positive > 0 ? taken / positive : (double)NAN;
    for (size_t i = 0; i < report->n_heads; i++)
        sx_head_set_add(&study->readout, report->heads[i].layer, report->heads[i].head);
}

/* As many heads as read out: the ones whose context writes most against M inside, and others. */
static void choose_others(struct sx_study *study, size_t n)
{
    const size_t wanted = study->report->n_heads;
    struct candidate *against = rank_heads(study, "context", -1);
    struct sx_rng rng = sx_rng_make(study->input->seed, 1);
    for (size_t i = 0; i < wanted && i < n && (i == 0 || against[i].score > 0); i++)
        sx_head_set_add(&study->context, against[i].layer, against[i].head);
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (!sx_head_set_has(&study->readout, against[i].layer, against[i].head) &&
            !sx_head_set_has(&study->context, against[i].layer, against[i].head))
            against[left++] = against[i];
    for (size_t i = 0; i < wanted && left > 0; i++) {
        const size_t drawn = (size_t)sx_rng_below(&rng, left);
        sx_head_set_add(&study->control, against[drawn].layer, against[drawn].head);
        against[drawn] = against[--left];
    }
    sx_free(against);
}

enum sx_status sx_report_find_heads(struct sx_study *study, struct sx_error *err)
{
    const size_t n = (size_t)(study->info->n_layers * study->info->n_heads);
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < study->first; i++) {
        study->done = i;
        SX_TRY(look_at(study, i, err));
    }
    struct candidate *ranked = rank_heads(study, "readout", 1);
    for (size_t i = 0; i < study->first && i < TRY_PROTEINS && status == SX_OK; i++)
        status = knock_out(study, i, ranked, n < MOST_TRIED ? n : MOST_TRIED, err);
    if (status == SX_OK) {
        choose_readout(study, ranked, n);
        choose_others(study, n);
    }
    sx_free(ranked);
    return status;
}
