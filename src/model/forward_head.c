/* The head, on the rows that somebody wants and no others: those whose logits the caller asked for,
 * in that order, then those that captures name. */
#include <string.h>

#include "forward_private.h"
#include "sextant/base/alloc.h"

/* One product stays well below the time between two looks at the task. */
#define HEAD_FLOPS 8e9

static bool head_point(enum sx_point point)
{
    return !sx_point_per_layer(point);
}

/* Where rows stand among the rows wanted: 0 not at all, else 1 + the place of the first. */
static void want(struct sx_forward *f, uint32_t *seen, size_t row, float *logits)
{
    f->head_rows[f->n_head_rows] =
        (struct sx_head_row){.row = row, .logits = logits, .again = seen[row] != 0};
    f->n_head_rows++;
    if (!seen[row])
        seen[row] = (uint32_t)f->n_head_rows;
}

static void want_requested(struct sx_forward *f, uint32_t *seen)
{
    float *logits = f->pass->logits;
    for (size_t s = 0; s < f->n_spans; s++) {
        const struct sx_span *span = &f->spans[s];
        for (size_t i = 0; i < span->in->n_rows; i++) {
            want(f, seen, span->first + (span->in->rows ? span->in->rows[i] : i), logits);
            logits += f->info->vocab;
        }
    }
}

static void want_captured(struct sx_forward *f, uint32_t *seen)
{
    const struct sx_hooks *hooks = &f->pass->hooks;
    for (size_t i = 0; i < hooks->n_captures; i++) {
        const struct sx_capture *c = &hooks->captures[i];
        if (!head_point(c->point))
            continue;
        const struct sx_span *span = &f->spans[c->sequence];
        for (size_t t = 0; t < span->n; t++)
            if (!seen[span->first + t] && sx_choice_has(&c->tokens, (uint32_t)(span->past + t)))
                want(f, seen, span->first + t, NULL);
    }
}

static size_t span_of_head_row(const struct sx_forward *f, size_t i)
{
    return f->span_of[f->head_rows[i].row];
}

/* Rows from `first` on that belong to one sequence and to one of the two kinds. */
static size_t run_from(const struct sx_forward *f, size_t first, size_t n_requested)
{
    size_t end = first < n_requested ? n_requested : f->n_head_rows;
    size_t i = first + 1;
    while (i < end && span_of_head_row(f, i) == span_of_head_row(f, first))
        i++;
    return i - first;
}

static size_t chunk_limit(const struct sx_forward *f)
{
    double row = 2.0 * (double)f->info->d_model * (double)f->info->vocab;
    double fit = HEAD_FLOPS / row;
    return fit >= SX_MAX_CHUNK_ROWS ? SX_MAX_CHUNK_ROWS
           : fit < SX_ROW_ALIGN     ? SX_ROW_ALIGN
                                    : (size_t)fit / SX_ROW_ALIGN * SX_ROW_ALIGN;
}

static void add_chunk(struct sx_forward *f, size_t first, size_t n, bool few)
{
    f->head_chunks[f->n_head_chunks++] = (struct sx_chunk){first, n, few};
    f->chunk_rows = n > f->chunk_rows ? n : f->chunk_rows;
}

/* Like those of the layers: by sequence, and the same whatever else is in the batch. */
static void cut(struct sx_forward *f, size_t n_requested)
{
    const size_t limit = chunk_limit(f);
    f->head_by_columns = true;
    for (size_t i = 0, n; i < f->n_head_rows; i += n) {
        n = run_from(f, i, n_requested);
        f->head_by_columns = f->head_by_columns && n <= SX_FEW_ROWS;
    }
    for (size_t i = 0, n; i < f->n_head_rows; i += n) {
        size_t end = i < n_requested ? n_requested : f->n_head_rows;
        n = f->head_by_columns ? end - i : run_from(f, i, n_requested);
        bool few = f->head_by_columns || n <= SX_FEW_ROWS;
        for (size_t j = 0, rows; j < n; j += rows) {
            rows = n - j < limit ? n - j : limit;
            add_chunk(f, i + j, rows, few);
        }
    }
}

static bool logits_captured(const struct sx_forward *f)
{
    return sx_hooks_at(&f->hooks, 0, SX_POINT_LOGITS).n > 0;
}

enum sx_status sx_forward_plan_head(struct sx_forward *f, struct sx_error *err)
{
    size_t n_requested = 0;
    if (f->pass->until_layer)
        return SX_OK;
    for (size_t s = 0; s < f->n_spans; s++)
        n_requested += f->spans[s].in->n_rows;
    if (n_requested && !f->info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s has no language-model head, so no logits",
                       f->info->name);
    f->head_rows = sx_xcalloc(n_requested + f->rows + 1, sizeof *f->head_rows);
    uint32_t *seen = sx_xcalloc(f->rows, sizeof *seen);
    want_requested(f, seen);
    want_captured(f, seen);
    sx_free(seen);
    f->head_chunks = sx_xcalloc(f->n_head_rows + 1, sizeof *f->head_chunks);
    cut(f, n_requested);
    const size_t extra = f->n_head_rows - n_requested, V = f->info->vocab;
    if (!extra || !logits_captured(f))
        return SX_OK;
    f->extra_logits = sx_alloc_big(extra, V * sizeof(float));
    if (!f->extra_logits)
        return sx_fail(err, SX_ERR_NOMEM, "out of memory for the logits of %zu tokens", extra);
    for (size_t i = 0; i < extra; i++)
        f->head_rows[n_requested + i].logits = f->extra_logits + i * V;
    return SX_OK;
}

/* --- passing through ----------------------------------------------------------------------------
 */

static void act(const struct sx_member *m, enum sx_point point, const struct sx_chunk *c, float *x,
                size_t ld)
{
    const struct sx_forward *f = m->f;
    const struct sx_hook_list list = sx_hooks_at(&f->hooks, 0, point);
    for (size_t r = 0; m->lead && list.n && r < c->n; r++) {
        const struct sx_head_row *row = &f->head_rows[c->first + r];
        struct sx_hook_token token = sx_forward_token(f, row->row);
        sx_hooks_row(&list, f->info, &token, x + r * ld, row->again);
    }
}

static void norm(const struct sx_member *m, const struct sx_norm *norm, const struct sx_chunk *c,
                 const float *x, float *out, enum sx_point point, enum sx_point sigma_point)
{
    const struct sx_forward *f = m->f;
    const size_t D = f->info->d_model;
    if (!m->lead)
        return;
    sx_layernorm_rows(x, f->ld, norm->gamma, norm->beta, f->weights->eps, c->n, D, out, f->ld,
                      m->s->sigma);
    act(m, sigma_point, c, m->s->sigma, 1);
    act(m, point, c, out, f->ld);
}

static void gather(const struct sx_member *m, const struct sx_chunk *c, float *to)
{
    const size_t D = m->f->info->d_model;
    for (size_t r = 0; m->lead && r < c->n; r++)
        memcpy(to + r * m->f->ld, m->f->resid + m->f->head_rows[c->first + r].row * D,
               D * sizeof *to);
}

/* ESM-2: dense, GELU, LayerNorm; from y to y. */
static void transform(struct sx_member *m, const struct sx_chunk *c)
{
    const struct sx_forward *f = m->f;
    const size_t ld = f->ld, head = f->info->n_layers * SX_PRODUCT_LAYER;
    float *y = m->s->y, *u = m->s->u;
    sx_forward_meet(m);
    sx_forward_multiply(m, head + SX_PRODUCT_DENSE, c, y, ld, u, ld);
    sx_forward_meet(m);
    act(m, SX_POINT_HEAD_DENSE, c, u, ld);
    for (size_t r = 0; m->lead && r < c->n; r++)
        sx_activate(SX_ACT_GELU, u + r * ld, f->info->d_model);
    act(m, SX_POINT_HEAD_GELU, c, u, ld);
    norm(m, &f->weights->head_ln, c, u, y, SX_POINT_HEAD_LN, SX_POINT_HEAD_LN_SIGMA);
}

static bool anyone_behind_final_ln(const struct sx_forward *f, const struct sx_chunk *c)
{
    bool captured = sx_hooks_at(&f->hooks, 0, SX_POINT_HEAD_DENSE).n ||
                    sx_hooks_at(&f->hooks, 0, SX_POINT_HEAD_GELU).n ||
                    sx_hooks_at(&f->hooks, 0, SX_POINT_HEAD_LN).n ||
                    sx_hooks_at(&f->hooks, 0, SX_POINT_HEAD_LN_SIGMA).n;
    return f->info->has_lm_head && (captured || f->head_rows[c->first].logits);
}

static void through_head(struct sx_member *m, const struct sx_chunk *c)
{
    const struct sx_forward *f = m->f;
    const size_t V = f->info->vocab;
    const size_t unembed = f->info->n_layers * SX_PRODUCT_LAYER + SX_PRODUCT_UNEMBED;
    float *logits = f->head_rows[c->first].logits; /* rows of a chunk stand behind each other */
    gather(m, c, m->s->u);
    norm(m, &f->weights->final_ln, c, m->s->u, m->s->y, SX_POINT_FINAL_LN, SX_POINT_FINAL_LN_SIGMA);
    if (!anyone_behind_final_ln(f, c))
        return;
    if (f->info->family == SX_MODEL_ESM2)
        transform(m, c);
    if (!logits)
        return;
    sx_forward_meet(m);
    sx_forward_multiply(m, unembed, c, m->s->y, f->ld, logits, V);
    sx_forward_meet(m);
    act(m, SX_POINT_LOGITS, c, logits, V);
}

void sx_forward_head(struct sx_member *m)
{
    struct sx_forward *f = m->f;
    m->columns = f->head_by_columns;
    m->lead = !m->columns || m->number == 0;
    m->s = &f->scratch[m->columns ? 0 : m->number];
    for (size_t i = 0; m->columns && i < f->n_head_chunks; i++)
        through_head(m, &f->head_chunks[i]);
    if (m->columns)
        return;
    for (size_t i;
         (i = atomic_fetch_add(&f->turns[2 * f->last_layer + 1], 1)) < f->n_head_chunks;) {
        if (sx_forward_stopped(f))
            continue;
        sx_forward_tell_head(f, i, f->n_head_chunks);
        through_head(m, &f->head_chunks[i]);
    }
}
