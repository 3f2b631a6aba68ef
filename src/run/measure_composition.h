/* Composition of one head's query, key or value: the question of `compose` and `composition`, and
 * its answer as a document. Private to run. */
#ifndef SEXTANT_RUN_MEASURE_COMPOSITION_H
#define SEXTANT_RUN_MEASURE_COMPOSITION_H

#include "sextant/base/value.h"
#include "sextant/interp/composition.h"

struct sx_composition_question { /* ids are borrowed */
    const int32_t *ids;
    size_t n;
    struct sx_composition_ask ask; /* target -1: sx_default_target */
};

/* "query", "key", "value". */
const char *sx_side_name(enum sx_side_of_score side);
enum sx_side_of_score sx_side_named(const char *name); /* one of them (checked) */

/* The caller releases *result, after a failure too. */
enum sx_status sx_measure_composition(struct sx_runner *runner,
                                      const struct sx_composition_question *question,
                                      struct sx_composition_result *result, struct sx_task *task,
                                      struct sx_error *err) SX_MUST_CHECK;
/* The document's keys are told in the command's help. */
struct sx_value *sx_composition_document(const struct sx_model *model,
                                         const struct sx_composition_result *result);
/* The causal counterpart, beside each term of the document and in its rows: attention query→key and
 * the target's logit (a model with a head) when that component does not reach this head's side. */
enum sx_status sx_composition_add_causal(struct sx_runner *runner,
                                         const struct sx_composition_question *question,
                                         struct sx_value *document, struct sx_task *task,
                                         struct sx_error *err) SX_MUST_CHECK;
/* The command line that gives the same in a shell; the caller frees. */
char *sx_composition_line(const struct sx_model *model,
                          const struct sx_composition_question *question,
                          const struct sx_composition_result *result);

#endif
