#include "sextant/interp/results.h"

#include "sextant/base/alloc.h"

void sx_bands_result_release(struct sx_bands_result *result)
{
    sx_free(result->period);
    sx_free(result->a);
    sx_free(result->b);
    sx_free(result->split);
    sx_free(result->attention_a);
    sx_free(result->attention_b);
    sx_free(result->margin_a);
    sx_free(result->margin_b);
    sx_free(result->margin_split);
    sx_free(result->margin_residual);
    sx_free(result->readout);
    sx_free(result->profile_at);
    sx_free(result->profile);
    *result = (struct sx_bands_result){0};
}

void sx_head_result_release(struct sx_head_result *result)
{
    sx_free(result->period);
    sx_free(result->score);
    sx_free(result->attention);
    sx_free(result->attention_removed);
    *result = (struct sx_head_result){0};
}

void sx_attribution_result_release(struct sx_attribution_result *result)
{
    sx_free(result->terms);
    sx_free(result->by_source);
    sx_free(result->by_embedding);
    *result = (struct sx_attribution_result){0};
}

void sx_composition_result_release(struct sx_composition_result *result)
{
    sx_free(result->period);
    sx_free(result->terms);
    sx_free(result->band);
    sx_free(result->radial);
    sx_free(result->tangential);
    sx_free(result->pairs);
    *result = (struct sx_composition_result){0};
}

void sx_scan_result_release(struct sx_scan_result *result)
{
    sx_free(result->value);
    *result = (struct sx_scan_result){0};
}

void sx_nterm_result_release(struct sx_nterm_result *result)
{
    sx_free(result->rows);
    *result = (struct sx_nterm_result){0};
}
