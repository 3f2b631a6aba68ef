/* Rotary bands over several sequences: means and shares with intervals. Private to run. */
#ifndef SEXTANT_RUN_BANDS_MANY_H
#define SEXTANT_RUN_BANDS_MANY_H

#include "measure_bands.h"
#include "sextant/base/str.h"

/* results [n], each with A and B, of one model. The document's `rows` are aggregates: over all
 * heads and bands chosen, of each layer, of each head when the filter names a layer, of each band,
 * and of each group of bands. */
struct sx_value *sx_bands_many_document(const struct sx_model *model,
                                        const struct sx_bands_result *results, size_t n,
                                        const struct sx_bands_filter *filter, uint64_t seed);
void sx_print_bands_many(const struct sx_value *document, struct sx_str *out);

#endif
