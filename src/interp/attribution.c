#include "sextant/interp/attribution.h"

#include <math.h>
#include <string.h>

#include "attribution_private.h"
#include "frozen.h"
#include "sextant/base/alloc.h"
#include "sextant/core/dense.h"
#include "sextant/interp/lens.h"
#include "sextant/interp/results.h"

/* --- the run that is taken apart ----------------------------------------------------------------
 */

/* What one pass over a sequence keeps for the points on it. */
struct kept {
    const struct sx_model *model;
    const struct sx_model_info *info;
    const struct sx_sequence *sequence;
    size_t n, n_rows;   /* tokens; those that are read */
    uint32_t *rows;     /* [n_rows] ascending */
    float *attn;        /* [L,H,n_rows,n] */
    float *v;           /* [L,n,H,d] */
    float *mlp;         /* [L,n_rows,D] */
    float *embed, *end; /* [n_rows,D] resid.pre of layer 0, resid.post of the last */
    float *logits;      /* [n_rows,V] */
    float *resid;       /* [L,n,D] resid.pre; linearised only */
};

static void release_kept(struct kept *kept)
{
    sx_free(kept->rows);
    sx_free(kept->attn);
    sx_free(kept->v);
    sx_free(kept->mlp);
    sx_free(kept->embed);
    sx_free(kept->end);
    sx_free(kept->logits);
    sx_free(kept->resid);
}

uint64_t sx_attribution_bytes(const struct sx_model_info *info, size_t n,
                              const struct sx_attribution_options *options)
{
    const double L = (double)info->n_layers;
    const double H = (double)info->n_heads;
    const double D = (double)info->d_model;
    double bytes = L * (H * (double)n + (double)n * D + D) * sizeof(float);
    bytes += (2 * D + (double)info->vocab) * sizeof(float);
    if (options->sources)
        bytes += L * H * (double)n * sizeof(float);
    if (options->linearised)
        bytes += L * (double)n * D * sizeof(float) + sx_linearised_bytes(info, n);
    return bytes < 1e18 ? (uint64_t)bytes : (uint64_t)1e18;
}

static size_t row_of(const struct kept *kept, size_t token)
{
    for (size_t r = 0; r < kept->n_rows; r++)
        if (kept->rows[r] == token)
            return r;
    SX_ASSERT(false);
    return 0;
}

static void choose_rows(struct kept *kept, const struct sx_attribution_point *points, size_t n)
{
    bool *wanted = sx_xcalloc(kept->n, sizeof *wanted);
    kept->rows = sx_xcalloc(n, sizeof *kept->rows);
    for (size_t i = 0; i < n; i++)
        wanted[points[i].token] = true;
    for (size_t t = 0; t < kept->n; t++)
        if (wanted[t])
            kept->rows[kept->n_rows++] = (uint32_t)t;
    sx_free(wanted);
}

static enum sx_status make_room(struct kept *kept, bool linearised, struct sx_error *err)
{
    const size_t L = (size_t)kept->info->n_layers;
    const size_t D = (size_t)kept->info->d_model;
    const size_t rows = kept->n_rows;
    kept->attn = sx_alloc_big(L * (size_t)kept->info->n_heads * rows, kept->n * sizeof(float));
    kept->v = sx_alloc_big(L * kept->n, D * sizeof(float));
    kept->mlp = sx_alloc_big(L * rows, D * sizeof(float));
    kept->embed = sx_alloc_big(rows, D * sizeof(float));
    kept->end = sx_alloc_big(rows, D * sizeof(float));
    kept->logits = sx_alloc_big(rows, (size_t)kept->info->vocab * sizeof(float));
    if (linearised)
        kept->resid = sx_alloc_big(L * kept->n, D * sizeof(float));
    if (kept->attn && kept->v && kept->mlp && kept->embed && kept->end && kept->logits &&
        (kept->resid || !linearised))
        return SX_OK;
    return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the attribution of %zu tokens",
                   kept->info->path, kept->n);
}

static enum sx_status run_kept(struct sx_runner *runner, struct kept *kept, struct sx_task *task,
                               struct sx_error *err)
{
    const uint32_t first = 0;
    const uint32_t last = (uint32_t)kept->info->n_layers - 1;
    const struct sx_choice rows = {kept->rows, kept->n_rows};
    const struct sx_capture captures[] = {
        {.point = SX_POINT_ATTN, .tokens = rows, .out = kept->attn},
        {.point = SX_POINT_V, .out = kept->v},
        {.point = SX_POINT_MLP_OUT, .tokens = rows, .out = kept->mlp},
        {.point = SX_POINT_RESID_PRE, .layers = {&first, 1}, .tokens = rows, .out = kept->embed},
        {.point = SX_POINT_RESID_POST, .layers = {&last, 1}, .tokens = rows, .out = kept->end},
        {.point = SX_POINT_RESID_PRE, .out = kept->resid},
    };
    struct sx_sequence own = *kept->sequence;
    own.rows = kept->rows;
    own.n_rows = kept->n_rows;
    const struct sx_pass pass = {
        .sequences = &own,
        .n_sequences = 1,
        .hooks = {.captures = captures, .n_captures = kept->resid ? 6 : 5},
        .logits = kept->logits,
    };
    return sx_run_pass(runner, &pass, task, err);
}

/* --- direct attribution -------------------------------------------------------------------------
 */

static double dot(const float *a, const double *b, size_t n)
{
    return sx_frozen_dot(a, b, n);
}

/* One head's term and its sources; u [d] = Wo_h^T w. */
static void attribute_head(const struct kept *kept, size_t row, size_t l, size_t h, const double *u,
                           struct sx_attribution_term *term, float *by_source)
{
    const size_t d = (size_t)kept->info->d_head;
    const size_t H = (size_t)kept->info->n_heads;
    const float *attn = kept->attn + ((l * H + h) * kept->n_rows + row) * kept->n;
    for (size_t j = 0; j < kept->n; j++) {
        const float *v = kept->v + ((l * kept->n + j) * H + h) * d;
        const double value = attn[j] == 0 ? 0 : (double)attn[j] * dot(v, u, d);
        if (by_source)
            by_source[j] = (float)value;
        if (j == 0)
            term->bos += value;
        else if (j == kept->rows[row])
            term->own += value;
        else
            term->context += value;
    }
}

static void attribute_layer(const struct kept *kept, size_t row, size_t l, const double *w,
                            struct sx_attribution_term *terms, float *by_source)
{
    const struct sx_layer *layer = &sx_model_weights(kept->model)->layers[l];
    const size_t H = (size_t)kept->info->n_heads;
    const size_t D = (size_t)kept->info->d_model;
    const size_t d = (size_t)kept->info->d_head;
    double *u = sx_xcalloc(D, sizeof *u);
    sx_matvec_t_f64(sx_weight_f32(&layer->attn_out), D, D, D, w, u);
    for (size_t h = 0; h < H; h++)
        attribute_head(kept, row, l, h, u + h * d, &terms[h],
                       by_source ? by_source + (l * H + h) * kept->n : NULL);
    terms[H].own = layer->attn_out.bias ? dot(layer->attn_out.bias, w, D) : 0;
    terms[H + 1].own = dot(kept->mlp + (l * kept->n_rows + row) * D, w, D);
    sx_free(u);
}

static double logit_of(const struct kept *kept, size_t row, int32_t target, int32_t against)
{
    const float *logits = kept->logits + row * (size_t)kept->info->vocab;
    double mean = 0;
    int32_t first, last;
    if (against == SX_AGAINST_NONE)
        return (double)logits[target];
    if (against >= 0)
        return (double)logits[target] - (double)logits[against];
    sx_logits_reference(kept->info, &first, &last);
    for (int32_t t = first; t <= last; t++)
        mean += (double)logits[t];
    return (double)logits[target] - mean / (double)(last - first + 1);
}

static void add_up(struct sx_attribution_result *result)
{
    struct sx_attribution_groups *groups = &result->groups;
    double largest = 0;
    for (size_t i = 0; i < result->n_terms; i++) {
        struct sx_attribution_term *term = &result->terms[i];
        term->value = term->bos + term->own + term->context;
        result->total += term->value;
        largest = fmax(largest, fabs(term->value));
        switch (term->component.kind) {
        case SX_COMPONENT_HEAD:
            groups->bos += term->bos;
            groups->own += term->own;
            groups->context += term->context;
            break;
        case SX_COMPONENT_EMBED:
            groups->embed += term->value;
            break;
        case SX_COMPONENT_ATTN_BIAS:
            groups->bias += term->value;
            break;
        case SX_COMPONENT_MLP:
            groups->mlp += term->value;
            break;
        case SX_COMPONENT_CONST:
            groups->constant += term->value;
            break;
        }
    }
    result->residual = largest > 0 ? fabs(result->total - result->logit) / largest : 0;
}

static enum sx_status attribute_point(const struct kept *kept,
                                      const struct sx_attribution_point *point,
                                      const struct sx_attribution_options *options, double *w,
                                      struct sx_attribution_result *result, struct sx_error *err)
{
    const size_t D = (size_t)kept->info->d_model;
    const size_t L = (size_t)kept->info->n_layers;
    const size_t H = (size_t)kept->info->n_heads;
    const size_t row = row_of(kept, point->token);
    struct sx_frozen_head *head = NULL;
    SX_TRY(sx_frozen_head_new(kept->model, kept->end + row * D, options->mode, &head, err));
    result->n_terms = sx_component_count(kept->info, L) + 1;
    result->terms = sx_xcalloc(result->n_terms, sizeof *result->terms);
    for (size_t i = 0; i < result->n_terms; i++)
        result->terms[i].component = sx_component_at(kept->info, L, i);
    sx_frozen_head_direction(head, point->target, point->against, w,
                             &result->terms[result->n_terms - 1].own);
    sx_frozen_head_free(head);
    if (options->sources) {
        result->by_source = sx_alloc_big(L * H, kept->n * sizeof(float));
        if (!result->by_source)
            return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for the sources of %zu tokens",
                           kept->info->path, kept->n);
    }
    result->terms[0].own = dot(kept->embed + row * D, w, D);
    for (size_t l = 0; l < L; l++)
        attribute_layer(kept, row, l, w, result->terms + 1 + l * (H + 2), result->by_source);
    result->logit = logit_of(kept, row, point->target, point->against);
    add_up(result);
    return SX_OK;
}

/* --- all points ---------------------------------------------------------------------------------
 */

static void start_result(const struct sx_model_info *info, const struct sx_attribution_point *point,
                         const struct sx_attribution_options *options,
                         struct sx_attribution_result *result)
{
    *result = (struct sx_attribution_result){
        .token = point->token,
        .target = point->target,
        .against = point->against,
        .gradient = options->mode == SX_HEAD_GRADIENT,
        .n_layers = (size_t)info->n_layers,
        .n_heads = (size_t)info->n_heads,
        .n = point->sequence->n,
        .linearised_residual = NAN,
    };
}

static enum sx_status check_point(const struct sx_model_info *info,
                                  const struct sx_attribution_point *point, struct sx_error *err)
{
    const struct sx_sequence *sequence = point->sequence;
    if (point->token >= sequence->n)
        return sx_fail(err, SX_ERR_USAGE, "attribution at token %zu of %zu", point->token,
                       sequence->n);
    if (point->target < 0 || (uint64_t)point->target >= info->vocab ||
        point->against < SX_AGAINST_MEAN || point->against >= (int64_t)info->vocab)
        return sx_fail(err, SX_ERR_USAGE, "%s has no token %d", info->name,
                       point->target < 0 || (uint64_t)point->target >= info->vocab
                           ? point->target
                           : point->against);
    if (sequence->cache || sequence->resid || sequence->from_layer)
        return sx_fail(err, SX_ERR_USAGE, "attribution is of whole runs from the embedding on");
    return SX_OK;
}

static enum sx_status attribute_sequence(struct sx_runner *runner,
                                         const struct sx_attribution_point *points, size_t n,
                                         const struct sx_attribution_options *options,
                                         struct sx_attribution_result *results,
                                         struct sx_task *task, struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const size_t D = (size_t)sx_model_info(model)->d_model;
    struct kept kept = {.model = model,
                        .info = sx_model_info(model),
                        .sequence = points[0].sequence,
                        .n = points[0].sequence->n};
    double *w = sx_xcalloc(n * D, sizeof *w);
    choose_rows(&kept, points, n);
    enum sx_status status = make_room(&kept, options->linearised, err);
    if (status == SX_OK)
        status = run_kept(runner, &kept, task, err);
    for (size_t i = 0; i < n && status == SX_OK; i++) {
        status = sx_task_is_cancelled(task) ? SX_CANCELLED : SX_OK;
        if (status == SX_OK)
            status = attribute_point(&kept, &points[i], options, w + i * D, &results[i], err);
    }
    if (status == SX_OK && options->linearised)
        status = sx_linearise(runner, kept.sequence, kept.resid, w, n, results, task, err);
    release_kept(&kept);
    sx_free(w);
    return status;
}

enum sx_status sx_attribute(struct sx_runner *runner, const struct sx_attribution_point *points,
                            size_t n, const struct sx_attribution_options *options,
                            struct sx_attribution_result *results, struct sx_task *task,
                            struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    const struct sx_model_info *info = sx_model_info(model);
    for (size_t i = 0; i < n; i++)
        start_result(info, &points[i], options, &results[i]);
    if (!info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: this file has no language model head",
                       info->path);
    for (size_t i = 0; i < n; i++)
        SX_TRY(check_point(info, &points[i], err));
    SX_TRY(sx_frozen_weights(model, err));
    for (size_t i = 0, count; i < n; i += count) {
        count = 1;
        while (i + count < n && points[i + count].sequence == points[i].sequence)
            count++;
        SX_TRY(sx_task_step(task, i, n));
        SX_TRY(attribute_sequence(runner, points + i, count, options, results + i, task, err));
    }
    return sx_task_step(task, n, n);
}
