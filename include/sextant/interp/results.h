/* Freeing the results of types.h. All leave a zeroed structure behind. */
#ifndef SEXTANT_INTERP_RESULTS_H
#define SEXTANT_INTERP_RESULTS_H

#include "sextant/interp/types.h"

void sx_bands_result_release(struct sx_bands_result *result);
void sx_head_result_release(struct sx_head_result *result);
void sx_attribution_result_release(struct sx_attribution_result *result);
void sx_composition_result_release(struct sx_composition_result *result);
void sx_scan_result_release(struct sx_scan_result *result);
void sx_nterm_result_release(struct sx_nterm_result *result);

#endif
