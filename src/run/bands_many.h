/* Rotary bands over several sequences: means and shares with intervals. Private to run. */
#ifndef SEXTANT_RUN_BANDS_MANY_H
#define SEXTANT_RUN_BANDS_MANY_H

#include "measure_bands.h"
#include "model_input.h"
#include "sextant/base/str.h"

/* What `bands` asks of each sequence. SIZE_MAX: the default. */
struct sx_bands_many_ask {
    size_t query, key, against;
    bool mask; /* the query of A */
};

/* Of those given, which can be asked; the others are told in the inputs' warnings. *results is [n],
 * with room for more; the caller releases each and frees the list, after a failure too. `args`
 * may have max-memory. */
enum sx_status sx_bands_many_measure(struct sx_runner *runner, const struct sx_value *args,
                                     struct sx_model_inputs *inputs,
                                     const struct sx_bands_many_ask *ask,
                                     struct sx_bands_result **results, size_t *n,
                                     struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;
/* The question for one sequence, A alone; masks ids where asked to. */
enum sx_status sx_bands_many_question(const struct sx_model *model,
                                      const struct sx_bands_many_ask *ask, const struct sx_ids *ids,
                                      struct sx_bands_question *out,
                                      struct sx_error *err) SX_MUST_CHECK;
/* One cell, or the sum over the heads of a layer (head SIZE_MAX). */
void sx_bands_many_cell(const struct sx_bands_result *results, size_t n, size_t layer, size_t head,
                        size_t band, uint64_t seed, struct sx_band_aggregate *out);

/* results [n], each with A and B, of one model. The document's `rows` are aggregates: over all
 * heads and bands chosen, of each layer, of each head when the filter names a layer, of each band,
 * and of each group of bands. */
struct sx_value *sx_bands_many_document(const struct sx_model *model,
                                        const struct sx_bands_result *results, size_t n,
                                        const struct sx_bands_filter *filter, uint64_t seed);
void sx_print_bands_many(const struct sx_value *document, struct sx_str *out);

#endif
