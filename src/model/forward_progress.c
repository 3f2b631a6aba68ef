/* How far a pass is. Layers cost the same; within one the rows between two attentions go chunk by
 * chunk and attention block by block of queries, whose numbers the members draw anyway: so saying
 * how far they are is one store. */
#include "forward_private.h"

/* Passes of a few milliseconds are not looked into. */
static const double LEAST_WORK = 2e8;

/* Beside its two products of d_head multiply-adds a score is scaled, compared and exponentiated. */
enum { SCORE_EXTRA = 16 };

static double pairs_of(const struct sx_forward *f)
{
    const bool causal = f->info->family == SX_MODEL_GPT_NEOX;
    double pairs = 0;
    for (size_t i = 0; i < f->n_spans; i++) {
        const double n = (double)f->spans[i].n, past = (double)f->spans[i].past;
        pairs += n * (causal ? past + n / 2 : past + n);
    }
    return pairs;
}

static double head_work(const struct sx_forward *f)
{
    const double D = (double)f->info->d_model;
    double wanted = 0;
    for (size_t i = 0; i < f->n_head_rows; i++)
        wanted += f->head_rows[i].logits != NULL;
    return wanted * D * ((double)f->info->vocab + (f->info->family == SX_MODEL_ESM2 ? D : 0));
}

void sx_forward_plan_work(struct sx_forward *f)
{
    const double D = (double)f->info->d_model, rows = (double)f->rows;
    const double heads = (double)f->info->n_heads;
    const double layers = (double)(f->last_layer - f->first_layer);
    const double seen = f->last_chunks ? (double)f->n_last_chunks / rows : 1;
    struct sx_pass_work work = {
        .before = rows * 3 * D * D,
        .after = rows * (D * D + 2 * D * (double)f->info->d_mlp),
        .attention = pairs_of(f) * (2 * D + SCORE_EXTRA * heads),
    };
    work.last_after = work.after * seen;
    work.last_attention = work.attention * seen;
    work.head = head_work(f);
    work.total = work.head;
    if (layers > 0)
        work.total += layers * work.before + (layers - 1) * (work.after + work.attention) +
                      work.last_after + work.last_attention;
    if (f->task && !f->by_columns && work.total >= LEAST_WORK)
        f->work = work;
}

/* Before the rows that stand in front of layer `layer`'s attention, or behind the last. */
static double until_rows(const struct sx_forward *f, size_t layer)
{
    const struct sx_pass_work *w = &f->work;
    const double layers = (double)(layer - f->first_layer);
    if (layer == f->first_layer)
        return 0;
    return layers * w->before + (layers - 1) * (w->after + w->attention) +
           (layer == f->last_layer ? w->last_attention : w->attention);
}

void sx_forward_tell_rows(const struct sx_forward *f, size_t layer, size_t piece, size_t n)
{
    const struct sx_pass_work *w = &f->work;
    if (w->total <= 0)
        return;
    double here = layer < f->last_layer ? w->before : 0;
    if (layer > f->first_layer)
        here += layer == f->last_layer ? w->last_after : w->after;
    sx_task_part(f->task, (until_rows(f, layer) + here * (double)piece / (double)n) / w->total);
}

void sx_forward_tell_attention(const struct sx_forward *f, size_t layer, size_t piece, size_t n)
{
    const struct sx_pass_work *w = &f->work;
    if (w->total <= 0)
        return;
    const double rows = w->before + (layer > f->first_layer ? w->after : 0);
    const double here = layer + 1 == f->last_layer ? w->last_attention : w->attention;
    const double done = until_rows(f, layer) + rows + here * (double)piece / (double)n;
    sx_task_part(f->task, done / w->total);
}

void sx_forward_tell_head(const struct sx_forward *f, size_t piece, size_t n)
{
    const struct sx_pass_work *w = &f->work;
    if (w->total > 0)
        sx_task_part(f->task, 1 - w->head * (1 - (double)piece / (double)n) / w->total);
}
