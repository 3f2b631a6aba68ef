/* What is told of scores in bands. */
#include <math.h>
#include <stdio.h>

#include "circuit_words.h"
#include "document.h"
#include "measure_bands.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/attribution.h"
#include "sextant/run/command.h"

static void real(struct sx_value *map, const char *key, double value)
{
    sx_document_real(map, key, value, "not finite");
}

/* The un-rotated rest turns never. */
static void period(struct sx_value *map, const char *key, double tokens)
{
    sx_document_real(map, key, tokens, "not rotated");
}

static bool wanted(const struct sx_bands_filter *filter, size_t layer, size_t head)
{
    return (filter->layer == SIZE_MAX || filter->layer == layer) &&
           (filter->head == SIZE_MAX || filter->head == head);
}

static void tell_fault(struct sx_value *document, double residual)
{
    if (residual <= SX_RESIDUAL_LIMIT)
        return;
    char text[128];
    struct sx_value *warnings = sx_value_set(document, "warnings", sx_value_list());
    snprintf(text, sizeof text, "the bands do not add up to the scores: residual %.2g", residual);
    sx_value_append(warnings, sx_value_string(text));
}

/* --- bands --------------------------------------------------------------------------------------
 */

static void add_change(struct sx_value *map, const struct sx_band_split *split)
{
    real(map, "total", split->total);
    real(map, "qn", split->query_norm);
    real(map, "kn", split->key_norm);
    real(map, "dir", split->direction);
    real(map, "content", split->content);
    real(map, "position", split->position);
}

static void add_split(struct sx_value *map, const struct sx_band_split *split)
{
    add_change(map, split);
    real(map, "norm_only", split->norm_only);
    real(map, "direction_only", split->direction_only);
    real(map, "interaction", split->interaction);
    real(map, "coupling", split->coupling);
}

static struct sx_value *band_row(const struct sx_bands_result *r, size_t head, size_t b)
{
    const size_t at = head * r->n_bands + b;
    struct sx_value *map = sx_value_map();
    double all = 0;
    for (size_t i = 0; i < r->n_bands; i++)
        all += fabs(r->a[head * r->n_bands + i].score);
    sx_document_int(map, "layer", (int64_t)(head / r->n_heads));
    sx_document_int(map, "head", (int64_t)(head % r->n_heads));
    sx_document_int(map, "band", (int64_t)b);
    period(map, "period", r->period[b]);
    real(map, "score", r->a[at].score);
    real(map, "share", all > 0 ? r->a[at].score / all : 0);
    real(map, "r", r->a[at].r);
    real(map, "rho", r->a[at].rho);
    real(map, "cos", r->a[at].cosine);
    real(map, "alpha", r->a[at].alpha);
    real(map, "delta", r->a[at].delta);
    if (!r->b)
        return map;
    real(map, "score_b", r->b[at].score);
    real(map, "r_b", r->b[at].r);
    real(map, "rho_b", r->b[at].rho);
    real(map, "cos_b", r->b[at].cosine);
    real(map, "alpha_b", r->b[at].alpha);
    real(map, "delta_b", r->b[at].delta);
    add_split(map, &r->split[at]);
    if (r->margin_split) /* so that --csv has it too */
        real(map, "margin_change", r->margin_split[at].total);
    return map;
}

static struct sx_value *head_row(const struct sx_bands_result *r, size_t head)
{
    struct sx_value *map = sx_value_map();
    double score[2] = {0, 0};
    for (size_t b = 0; b < r->n_bands; b++) {
        score[0] += r->a[head * r->n_bands + b].score;
        score[1] += r->b ? r->b[head * r->n_bands + b].score : 0;
    }
    sx_document_int(map, "layer", (int64_t)(head / r->n_heads));
    sx_document_int(map, "head", (int64_t)(head % r->n_heads));
    real(map, "score", score[0]);
    real(map, "attention", r->attention_a[head]);
    real(map, "margin", r->margin_a[head]);
    if (r->b) {
        real(map, "score_b", score[1]);
        real(map, "attention_b", r->attention_b[head]);
        real(map, "margin_b", r->margin_b[head]);
    }
    if (r->readout)
        real(map, "readout", r->readout[head]);
    if (r->margin_residual)
        real(map, "margin_residual", r->margin_residual[head]);
    return map;
}

/* The change of the margin. */
static struct sx_value *margin_row(const struct sx_bands_result *r, size_t head, size_t b)
{
    struct sx_value *map = sx_value_map();
    sx_document_int(map, "layer", (int64_t)(head / r->n_heads));
    sx_document_int(map, "head", (int64_t)(head % r->n_heads));
    sx_document_int(map, "band", (int64_t)b);
    period(map, "period", r->period[b]);
    add_change(map, &r->margin_split[head * r->n_bands + b]);
    return map;
}

/* Sums over the bands of a group. */
static void add_group(const struct sx_bands_result *r, const struct sx_band_groups *groups,
                      size_t head, size_t group, struct sx_value *list)
{
    struct sx_band_split sum = {0};
    double score[2] = {0, 0};
    size_t n = 0;
    for (size_t b = 0; b < r->n_bands; b++) {
        const size_t at = head * r->n_bands + b;
        if (sx_band_group_of(groups, r->period[b]) != group)
            continue;
        n++;
        score[0] += r->a[at].score;
        if (!r->b)
            continue;
        score[1] += r->b[at].score;
        sum.total += r->split[at].total;
        sum.query_norm += r->split[at].query_norm;
        sum.key_norm += r->split[at].key_norm;
        sum.direction += r->split[at].direction;
        sum.content += r->split[at].content;
        sum.position += r->split[at].position;
        sum.norm_only += r->split[at].norm_only;
        sum.direction_only += r->split[at].direction_only;
        sum.interaction += r->split[at].interaction;
    }
    if (n == 0)
        return;
    const double all = fabs(sum.norm_only) + fabs(sum.direction_only) + fabs(sum.interaction);
    sum.coupling = all > 0 ? fabs(sum.interaction) / all : 0;
    struct sx_value *map = sx_value_append(list, sx_value_map());
    const bool rest = group > groups->n_edges;
    sx_document_int(map, "layer", (int64_t)(head / r->n_heads));
    sx_document_int(map, "head", (int64_t)(head % r->n_heads));
    period(map, "above", rest ? INFINITY : group > 0 ? groups->edges[group - 1] : 0);
    sx_document_real(map, "to", !rest && group < groups->n_edges ? groups->edges[group] : INFINITY,
                     rest ? "not rotated" : "no end");
    sx_document_int(map, "bands", (int64_t)n);
    real(map, "score", score[0]);
    if (!r->b)
        return;
    real(map, "score_b", score[1]);
    add_split(map, &sum);
}

static struct sx_value *profile_document(const struct sx_bands_result *r,
                                         const struct sx_bands_filter *filter)
{
    struct sx_value *map = sx_value_map();
    struct sx_value *at = sx_value_set(map, "at", sx_value_list());
    struct sx_value *list = sx_value_set(map, "scores", sx_value_list());
    for (size_t p = 0; p < r->n_profile; p++)
        sx_value_append(at, sx_value_int((int64_t)r->profile_at[p]));
    for (size_t cell = 0; cell < r->n_layers * r->n_heads * r->n_bands; cell++) {
        const size_t head = cell / r->n_bands;
        if (!wanted(filter, head / r->n_heads, head % r->n_heads))
            continue;
        struct sx_value *one = sx_value_append(list, sx_value_map());
        sx_document_int(one, "layer", (int64_t)(head / r->n_heads));
        sx_document_int(one, "head", (int64_t)(head % r->n_heads));
        sx_document_int(one, "band", (int64_t)(cell % r->n_bands));
        struct sx_value *score = sx_value_set(one, "score", sx_value_list());
        for (size_t p = 0; p < r->n_profile; p++)
            sx_value_append(score, sx_value_real((double)r->profile[cell * r->n_profile + p]));
    }
    return map;
}

static void add_conditions(const struct sx_model *model, const struct sx_bands_question *q,
                           struct sx_value *document)
{
    char text[64];
    sx_document_text(document, "model", sx_model_info(model)->name);
    sx_document_int(document, "tokens", (int64_t)q->n);
    sx_document_int(document, "query", (int64_t)q->query);
    sx_token_text(model, q->ids[q->query], text, sizeof text);
    sx_document_text(document, "query_token", text);
    sx_document_int(document, "key", (int64_t)q->key);
    sx_token_text(model, q->ids[q->key], text, sizeof text);
    sx_document_text(document, "key_token", text);
    if (q->ids_b) {
        sx_document_int(document, "query_b", (int64_t)q->query_b);
        if (q->against == SIZE_MAX)
            sx_document_int(document, "tokens_b", (int64_t)q->n_b);
    }
    if (q->target >= 0) {
        sx_token_word(model, q->target, text, sizeof text);
        sx_document_text(document, "target", text);
    }
}

static void add_warnings(const struct sx_model *model, const struct sx_bands_question *q,
                         struct sx_value *document)
{
    struct sx_value *list = sx_value_list();
    float a = 1;
    float b = 1;
    if (q->unknown && (q->profile || (q->ids_b && q->against != SIZE_MAX)))
        sx_value_append(list, sx_value_string("what stands under the mask is not known: X stands "
                                              "there where the mask is moved; --query P --mask "
                                              "masks a residue that is known"));
    if (q->ids_b && sx_embed_scale(sx_model_info(model), q->ids, q->n, &a, NULL) == SX_OK &&
        sx_embed_scale(sx_model_info(model), q->ids_b, q->n_b, &b, NULL) == SX_OK &&
        (a < b || b < a)) {
        char text[160];
        snprintf(text, sizeof text,
                 "A and B differ in length or masks, so the model scales their embeddings by %.6f "
                 "and %.6f",
                 (double)a, (double)b);
        sx_value_append(list, sx_value_string(text));
    }
    if (sx_value_count(list) > 0)
        sx_value_set(document, "warnings", list);
    else
        sx_value_free(list);
}

struct sx_value *sx_bands_document(const struct sx_model *model,
                                   const struct sx_bands_question *question,
                                   const struct sx_bands_result *result,
                                   const struct sx_bands_filter *filter)
{
    const struct sx_bands_result *r = result;
    struct sx_value *document = sx_document_new();
    add_conditions(model, question, document);
    struct sx_value *bands = sx_value_set(document, "bands", sx_value_list());
    struct sx_value *heads = sx_value_set(document, "heads", sx_value_list());
    struct sx_value *margins =
        r->margin_split ? sx_value_set(document, "margins", sx_value_list()) : NULL;
    struct sx_value *groups =
        filter->groups ? sx_value_set(document, "groups", sx_value_list()) : NULL;
    for (size_t head = 0; head < r->n_layers * r->n_heads; head++) {
        if (!wanted(filter, head / r->n_heads, head % r->n_heads))
            continue;
        sx_value_append(heads, head_row(r, head));
        for (size_t b = 0; b < r->n_bands; b++)
            sx_value_append(bands, band_row(r, head, b));
        for (size_t b = 0; margins && b < r->n_bands; b++)
            sx_value_append(margins, margin_row(r, head, b));
        for (size_t g = 0; groups && g < filter->groups->n_edges + 2; g++)
            add_group(r, filter->groups, head, g, groups);
    }
    if (r->profile)
        sx_value_set(document, "profile", profile_document(r, filter));
    real(document, "residual", r->residual);
    if (r->residual > SX_RESIDUAL_LIMIT)
        tell_fault(document, r->residual);
    else
        add_warnings(model, question, document);
    return sx_document_finish(document);
}

/* --- survey -------------------------------------------------------------------------------------
 */

static void add_offsets(const struct sx_band_survey *s, size_t cell, struct sx_value *row)
{
    const size_t width = 2 * s->n - 1;
    struct sx_value *list = sx_value_set(row, "by_offset", sx_value_list());
    for (size_t i = 0; i < width; i++)
        sx_value_append(list, sx_value_real((double)s->by_offset[cell * width + i]));
}

struct sx_value *sx_band_survey_document(const struct sx_model *model,
                                         const struct sx_band_survey *survey,
                                         const struct sx_bands_filter *filter)
{
    const struct sx_band_survey *s = survey;
    struct sx_value *document = sx_document_new();
    const bool one = filter->layer != SIZE_MAX && filter->head != SIZE_MAX;
    sx_document_text(document, "model", sx_model_info(model)->name);
    sx_document_int(document, "tokens", (int64_t)s->n);
    struct sx_value *bands = sx_value_set(document, "bands", sx_value_list());
    for (size_t cell = 0; cell < s->n_layers * s->n_heads * s->n_bands; cell++) {
        const size_t head = cell / s->n_bands;
        if (!wanted(filter, head / s->n_heads, head % s->n_heads))
            continue;
        struct sx_value *row = sx_value_append(bands, sx_value_map());
        sx_document_int(row, "layer", (int64_t)(head / s->n_heads));
        sx_document_int(row, "head", (int64_t)(head % s->n_heads));
        sx_document_int(row, "band", (int64_t)(cell % s->n_bands));
        period(row, "period", s->period[cell % s->n_bands]);
        real(row, "share", s->share[cell]);
        real(row, "size", s->size[cell]);
        real(row, "centred", s->centred[cell]);
        if (one)
            add_offsets(s, cell, row);
    }
    real(document, "residual", s->residual);
    tell_fault(document, s->residual);
    return sx_document_finish(document);
}

/* --- one head -----------------------------------------------------------------------------------
 */

static struct sx_value *key_row(const struct sx_model *model, const int32_t *ids,
                                const struct sx_head_result *r, size_t key)
{
    char text[64];
    struct sx_value *map = sx_value_map();
    double score = 0;
    for (size_t b = 0; b < r->n_bands; b++)
        score += (double)r->score[b * r->n + key];
    sx_token_text(model, ids[key], text, sizeof text);
    sx_document_int(map, "key", (int64_t)key);
    sx_document_text(map, "token", text);
    real(map, "score", score);
    real(map, "attention", (double)r->attention[key]);
    if (r->removed)
        real(map, "attention_removed", (double)r->attention_removed[key]);
    for (size_t b = 0; b < r->n_bands; b++) {
        snprintf(text, sizeof text, "band_%zu", b);
        real(map, text, (double)r->score[b * r->n + key]);
    }
    return map;
}

static void add_prediction(const struct sx_model *model, struct sx_value *document,
                           const char *p_key, double p, const char *top_key, int32_t top)
{
    char text[64];
    if (top < 0)
        return;
    sx_document_real(document, p_key, p, "no target");
    sx_token_text(model, top, text, sizeof text);
    sx_document_text(document, top_key, text);
}

struct sx_value *sx_head_bands_document(const struct sx_model *model, const int32_t *ids,
                                        const struct sx_head_result *result)
{
    const struct sx_head_result *r = result;
    struct sx_value *document = sx_document_new();
    char text[64];
    sx_document_text(document, "model", sx_model_info(model)->name);
    sx_document_int(document, "layer", (int64_t)r->layer);
    sx_document_int(document, "head", (int64_t)r->head);
    sx_document_int(document, "query", (int64_t)r->query);
    sx_document_int(document, "tokens", (int64_t)r->n);
    struct sx_value *periods = sx_value_set(document, "periods", sx_value_list());
    for (size_t b = 0; b < r->n_bands; b++)
        sx_value_append(periods,
                        isfinite(r->period[b]) ? sx_value_real(r->period[b]) : sx_value_null());
    if (r->removed) {
        struct sx_value *removed = sx_value_set(document, "removed", sx_value_list());
        for (size_t b = 0; b < r->n_bands; b++)
            if (r->removed >> b & 1)
                sx_value_append(removed, sx_value_int((int64_t)b));
    }
    if (r->target >= 0) {
        sx_token_word(model, r->target, text, sizeof text);
        sx_document_text(document, "target", text);
    }
    add_prediction(model, document, "p", r->p, "top", r->top);
    if (r->removed)
        add_prediction(model, document, "p_removed", r->p_removed, "top_removed", r->top_removed);
    struct sx_value *keys = sx_value_set(document, "keys", sx_value_list());
    for (size_t key = 0; key < r->n; key++)
        sx_value_append(keys, key_row(model, ids, r, key));
    real(document, "residual", r->residual);
    tell_fault(document, r->residual);
    return sx_document_finish(document);
}
