/* Deciding: intervals against bounds, and filling claims with what was measured. */
#include <math.h>
#include <string.h>

#include "report_private.h"
#include "sextant/base/alloc.h"

const char *sx_verdict_name(enum sx_verdict verdict)
{
    switch (verdict) {
    case SX_UNDECIDED:
        return "undecided";
    case SX_SUPPORTED:
        return "supports";
    case SX_NOT_SUPPORTED:
        return "does not support";
    }
    return NULL;
}

enum sx_verdict sx_condition_outcome(const struct sx_interval *x, bool above, double bound,
                                     size_t least)
{
    if (x->n < least || !isfinite(x->lo) || !isfinite(x->hi))
        return SX_UNDECIDED;
    if (x->lo > bound)
        return above ? SX_SUPPORTED : SX_NOT_SUPPORTED;
    if (x->hi < bound)
        return above ? SX_NOT_SUPPORTED : SX_SUPPORTED;
    return SX_UNDECIDED;
}

enum sx_verdict sx_conditions_verdict(const struct sx_report_condition *conditions, size_t n)
{
    enum sx_verdict verdict = n ? SX_SUPPORTED : SX_UNDECIDED;
    for (size_t i = 0; i < n; i++) {
        if (conditions[i].outcome == SX_NOT_SUPPORTED)
            return SX_NOT_SUPPORTED;
        if (conditions[i].outcome == SX_UNDECIDED)
            verdict = SX_UNDECIDED;
    }
    return verdict;
}

struct sx_interval sx_not_measured(void)
{
    return (struct sx_interval){(double)NAN, (double)NAN, (double)NAN, 0};
}

struct sx_interval sx_only_if(struct sx_interval x, struct sx_interval needs, double bound)
{
    return needs.lo > bound ? x : sx_not_measured();
}

void sx_claim_number(struct sx_report_claim *claim, const char *key, const char *label,
                     const char *unit, struct sx_interval x)
{
    SX_GROW(claim->numbers, claim->numbers_room, claim->n_numbers + 1);
    claim->numbers[claim->n_numbers++] =
        (struct sx_report_number){key, label, unit, x, (double)NAN};
}

void sx_claim_condition(struct sx_report_claim *claim, const char *text, struct sx_interval x,
                        bool above, double bound)
{
    SX_GROW(claim->conditions, claim->conditions_room, claim->n_conditions + 1);
    claim->conditions[claim->n_conditions++] = (struct sx_report_condition){
        text, x, above, bound, sx_condition_outcome(&x, above, bound, SX_REPORT_LEAST)};
}

struct sx_report_grid *sx_claim_grid(struct sx_study *study, struct sx_report_claim *claim,
                                     const char *key, const char *title, const char *unit)
{
    for (size_t i = 0; i < study->n_sums; i++) {
        const struct sx_sums *sums = &study->sums[i];
        if (strcmp(sums->key, key) != 0)
            continue;
        SX_GROW(claim->grids, claim->grids_room, claim->n_grids + 1);
        struct sx_report_grid *grid = &claim->grids[claim->n_grids++];
        *grid = (struct sx_report_grid){.key = sums->key,
                                        .title = title,
                                        .unit = unit,
                                        .rows = sums->rows,
                                        .columns = sums->columns};
        grid->value = sx_xcalloc(sums->rows * sums->columns + 1, sizeof *grid->value);
        for (size_t cell = 0; cell < sums->rows * sums->columns; cell++)
            grid->value[cell] =
                sums->count[cell] ? sums->sum[cell] / (double)sums->count[cell] : (double)NAN;
        return grid;
    }
    return NULL;
}

void sx_claim_command(struct sx_report_claim *claim, const char *text)
{
    SX_GROW(claim->commands, claim->commands_room, claim->n_commands + 1);
    claim->commands[claim->n_commands++] = text;
}

void sx_claim_decide(struct sx_report_claim *claim)
{
    claim->verdict = sx_conditions_verdict(claim->conditions, claim->n_conditions);
}
