#include "sextant/interp/presentation.h"

#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/base/str.h"
#include "sextant/core/stats.h"
#include "sextant/interp/lens.h"
#include "sextant/interp/results.h"
#include "sextant/model/tokenizer.h"

enum { N_RESIDUES = SX_ESM_LAST_RESIDUE - SX_ESM_FIRST_RESIDUE + 1 };

/* In the order of the ids, and what follows them in ESM-2's alphabet. */
static const char residues[] = "LAGVSERTIDPKQNFYMHWCXBUZO";

struct sx_nterm_options sx_nterm_defaults(void)
{
    return (struct sx_nterm_options){.prepend = 10, .crop = 1022};
}

/* --- presentations ------------------------------------------------------------------------------
 */

static int32_t id_of(char residue)
{
    const char *at = residue ? strchr(residues, residue) : NULL;
    return at ? SX_ESM_FIRST_RESIDUE + (int32_t)(at - residues) : SX_ESM_UNK;
}

static int32_t drawn(struct sx_rng *rng)
{
    return SX_ESM_FIRST_RESIDUE + (int32_t)sx_rng_below(rng, N_RESIDUES);
}

/* What is shown: `before` residues put in front, then sequence[n]; the one at `mask` is hidden. */
struct shown {
    size_t before;
    const char *sequence;
    size_t n;
    size_t mask;
};

static bool plan(const struct sx_protein *p, enum sx_presentation presentation,
                 const struct sx_nterm_options *options, struct shown *out)
{
    const char *mature = p->precursor + p->offset;
    switch (presentation) {
    case SX_MATURE_FIRST:
        *out = (struct shown){.sequence = mature, .n = p->mature};
        return true;
    case SX_MATURE_INSERTED:
        *out = (struct shown){.before = 1, .sequence = mature, .n = p->mature};
        return true;
    case SX_PRECURSOR_FIRST:
        *out = (struct shown){.sequence = p->precursor, .n = p->length};
        return p->offset > 0 && p->precursor[0] == 'M';
    case SX_PRECURSOR_INSIDE:
        *out = (struct shown){.sequence = p->precursor, .n = p->length, .mask = p->offset};
        return p->offset > 0;
    case SX_MATURE_PREPENDED:
        *out = (struct shown){.before = options->prepend,
                              .sequence = mature,
                              .n = p->mature,
                              .mask = options->prepend};
        return options->prepend > 0;
    case SX_PRESENTATION_COUNT:
        break;
    }
    return false;
}

void sx_present(const struct sx_protein *protein, size_t i, enum sx_presentation presentation,
                const struct sx_nterm_options *options, struct sx_presented *out)
{
    struct shown shown;
    struct sx_rng rng = sx_rng_make(options->seed, i);
    *out = (struct sx_presented){0};
    SX_ASSERT(options->crop > 0);
    if (!plan(protein, presentation, options, &shown))
        return;
    const size_t total = shown.before + shown.n;
    const size_t kept = total < options->crop ? total : options->crop;
    const size_t middle = kept / 2;
    size_t from = shown.mask > middle ? shown.mask - middle : 0;
    from = from > total - kept ? total - kept : from;
    *out = (struct sx_presented){.made = true,
                                 .ids = sx_xcalloc(kept + 2, sizeof *out->ids),
                                 .n = kept + 2,
                                 .mask = 1 + shown.mask - from};
    out->ids[0] = SX_ESM_CLS;
    out->ids[kept + 1] = SX_ESM_EOS;
    /* Drawn from the first on, so that a crop changes none of them. */
    for (size_t at = 0; at < from + kept; at++) {
        const bool put = at < shown.before;
        const int32_t id = !put                      ? id_of(shown.sequence[at - shown.before])
                           : options->prepend_random ? drawn(&rng)
                                                     : id_of('A');
        if (at >= from)
            out->ids[1 + at - from] = at == shown.mask ? SX_ESM_MASK : id;
    }
}

void sx_presented_release(struct sx_presented *presented)
{
    sx_free(presented->ids);
    *presented = (struct sx_presented){0};
}

/* --- one prediction -----------------------------------------------------------------------------
 */

static void measure(const float *logits, char first, struct sx_nterm_cell *cell)
{
    const float *among = logits + SX_ESM_FIRST_RESIDUE;
    const int32_t own = id_of(first) - SX_ESM_FIRST_RESIDUE;
    const int32_t met = SX_ESM_M - SX_ESM_FIRST_RESIDUE;
    struct sx_logit_row row;
    sx_logits_measure(among, N_RESIDUES, own, 0, N_RESIDUES - 1, &row);
    *cell = (struct sx_nterm_cell){
        .made = true,
        .p_met = (float)exp((double)among[met] - row.log_sum),
        .p_true = (float)row.p,
        .rank_true = (float)row.rank,
        .gap = among[met] - among[own],
        .top = residues[row.top],
    };
}

/* --- passes over many ---------------------------------------------------------------------------
 */

enum { PASS_TOKENS = 4096, PASS_SEQUENCES = 256 };

struct batch {
    struct sx_runner *runner;
    struct sx_task *task;
    struct sx_nterm_result *result;
    struct sx_sequence sequences[PASS_SEQUENCES];
    struct {
        struct sx_presented presented;
        uint32_t mask;
        size_t row;
        enum sx_presentation presentation;
    } items[PASS_SEQUENCES];
    float logits[PASS_SEQUENCES * SX_ESM_VOCAB];
    size_t n, tokens;
    uint64_t done, total;
};

static void empty(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        sx_presented_release(&b->items[i].presented);
    b->n = b->tokens = 0;
}

static enum sx_status flush(struct batch *b, struct sx_error *err)
{
    const struct sx_pass pass = {
        .sequences = b->sequences, .n_sequences = b->n, .logits = b->logits};
    if (b->n > 0)
        SX_TRY(sx_run_pass(b->runner, &pass, b->task, err));
    for (size_t i = 0; i < b->n; i++) {
        struct sx_nterm_row *row = &b->result->rows[b->items[i].row];
        measure(b->logits + i * SX_ESM_VOCAB, row->first, &row->cell[b->items[i].presentation]);
    }
    b->done += b->n;
    empty(b);
    return sx_task_step(b->task, b->done, b->total);
}

/* Takes *presented. */
static enum sx_status push(struct batch *b, struct sx_presented *presented, size_t row,
                           enum sx_presentation presentation, struct sx_error *err)
{
    enum sx_status status = SX_OK;
    if (b->n == PASS_SEQUENCES || (b->n > 0 && b->tokens + presented->n > PASS_TOKENS))
        status = flush(b, err);
    if (status != SX_OK) {
        sx_presented_release(presented);
        return status;
    }
    const size_t i = b->n++;
    b->items[i].presented = *presented;
    b->items[i].mask = (uint32_t)presented->mask;
    b->items[i].row = row;
    b->items[i].presentation = presentation;
    b->sequences[i] = (struct sx_sequence){
        .ids = presented->ids,
        .n = presented->n,
        .embed_scale = NAN,
        .rows = &b->items[i].mask,
        .n_rows = 1,
    };
    b->tokens += presented->n;
    return SX_OK;
}

static enum sx_status present_all(struct batch *b, const struct sx_proteins *proteins,
                                  const struct sx_nterm_options *options, struct sx_error *err)
{
    for (size_t i = 0; i < proteins->n; i++)
        for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
            struct sx_presented presented;
            sx_present(&proteins->items[i], i, (enum sx_presentation)p, options, &presented);
            if (presented.made)
                SX_TRY(push(b, &presented, i, (enum sx_presentation)p, err));
            else
                b->total--;
        }
    return flush(b, err);
}

static void describe(const struct sx_protein *protein, struct sx_nterm_row *row)
{
    const float nan = (float)NAN;
    *row = (struct sx_nterm_row){
        .kind = protein->kind,
        .inferred = protein->inferred,
        .first = protein->precursor[protein->offset],
        .length = (uint32_t)protein->mature,
        .offset = (uint32_t)protein->offset,
    };
    memcpy(row->id, protein->id, sizeof row->id);
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++)
        row->cell[p] = (struct sx_nterm_cell){
            .p_met = nan, .p_true = nan, .rank_true = nan, .gap = nan, .top = '-'};
}

enum sx_status sx_nterm_run(struct sx_runner *runner, const struct sx_proteins *proteins,
                            const struct sx_nterm_options *options, struct sx_nterm_result *result,
                            struct sx_task *task, struct sx_error *err)
{
    const struct sx_model_info *info = sx_model_info(sx_runner_model(runner));
    *result = (struct sx_nterm_result){0};
    if (info->family != SX_MODEL_ESM2)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "%s: only ESM-2 has a mask to put at the N-terminus", info->path);
    if (!info->has_lm_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: this file has no language model head",
                       info->path);
    result->rows = sx_xcalloc(proteins->n + 1, sizeof *result->rows);
    result->n_rows = proteins->n;
    for (size_t i = 0; i < proteins->n; i++)
        describe(&proteins->items[i], &result->rows[i]);
    struct batch *b = sx_xcalloc(1, sizeof *b);
    b->runner = runner;
    b->task = task;
    b->result = result;
    b->total = (uint64_t)proteins->n * SX_PRESENTATION_COUNT;
    const enum sx_status status = present_all(b, proteins, options, err);
    empty(b);
    sx_free(b);
    SX_TRY(status);
    sx_nterm_summarise(result);
    return SX_OK;
}

/* --- all together -------------------------------------------------------------------------------
 */

static void add_cell(struct sx_nterm_summary *s, size_t p, const struct sx_nterm_cell *cell)
{
    if (!cell->made)
        return;
    s->n[p]++;
    s->says_met[p] += cell->top == 'M';
    s->mean_p_met[p] += (double)cell->p_met;
    s->mean_p_true[p] += (double)cell->p_true;
    s->mean_rank_true[p] += (double)cell->rank_true;
    s->mean_gap[p] += (double)cell->gap;
}

static void add_row(struct sx_nterm_summary *s, const struct sx_nterm_row *row)
{
    const struct sx_nterm_cell *first = &row->cell[SX_MATURE_FIRST];
    const struct sx_nterm_cell *inside = &row->cell[SX_PRECURSOR_INSIDE];
    s->n_rows++;
    for (size_t p = 0; p < SX_PRESENTATION_COUNT; p++)
        add_cell(s, p, &row->cell[p]);
    if (!first->made || !inside->made)
        return;
    s->n_pairs++;
    s->first_only += first->top == 'M' && inside->top != 'M';
    s->inside_only += first->top != 'M' && inside->top == 'M';
}

static void finish(struct sx_nterm_summary *s)
{
    const double z95 = 1.959963984540054;
    for (size_t p = 0; p < SX_PRESENTATION_COUNT; p++) {
        const double n = s->n[p] ? (double)s->n[p] : (double)NAN;
        s->mean_p_met[p] /= n;
        s->mean_p_true[p] /= n;
        s->mean_rank_true[p] /= n;
        s->mean_gap[p] /= n;
        s->says_met_lo[p] = s->says_met_hi[p] = (double)NAN;
        if (s->n[p] > 0)
            sx_wilson(s->says_met[p], s->n[p], z95, &s->says_met_lo[p], &s->says_met_hi[p]);
    }
    s->p_value = s->n_pairs ? sx_mcnemar_exact(s->first_only, s->inside_only) : (double)NAN;
}

void sx_nterm_summarise(struct sx_nterm_result *result)
{
    result->summary = (struct sx_nterm_summary){0};
    memset(result->by_class, 0, sizeof result->by_class);
    for (size_t i = 0; i < result->n_rows; i++) {
        const struct sx_nterm_row *row = &result->rows[i];
        if (row->first != 'M')
            add_row(&result->summary, row);
        if (row->first != 'M' || row->kind == SX_NTERM_MET)
            add_row(&result->by_class[row->kind], row);
    }
    finish(&result->summary);
    for (size_t kind = 0; kind < SX_NTERM_CLASS_COUNT; kind++)
        finish(&result->by_class[kind]);
}
