/* Direct logit attribution of one token: the question of `attribute` and `attribution`, and its
 * answer as a document. Private to run. */
#ifndef SEXTANT_RUN_MEASURE_ATTRIBUTION_H
#define SEXTANT_RUN_MEASURE_ATTRIBUTION_H

#include "sextant/base/value.h"
#include "sextant/interp/attribution.h"

struct sx_attribution_question { /* ids are borrowed */
    const int32_t *ids;
    size_t n, token;
    int32_t target; /* -1: sx_default_target */
    int32_t against;
    struct sx_attribution_options options;
};

/* The caller releases *result, after a failure too. */
enum sx_status sx_measure_attribution(struct sx_runner *runner,
                                      const struct sx_attribution_question *question,
                                      struct sx_attribution_result *result, struct sx_task *task,
                                      struct sx_error *err) SX_MUST_CHECK;
/* The document's keys are told in the command's help. */
struct sx_value *sx_attribution_document(const struct sx_model *model,
                                         const struct sx_attribution_question *question,
                                         const struct sx_attribution_result *result);
/* The command line that gives the same in a shell, the target as it was found; the caller frees. */
char *sx_attribution_line(const struct sx_model *model,
                          const struct sx_attribution_question *question,
                          const struct sx_attribution_result *result);
/* A term as documents name it: component, layer and head where they mean something; `all`: else
 * null, so that the columns of a table stay in order. */
void sx_component_document(const struct sx_component *component, bool all, struct sx_value *map);
/* Adds the warning that a decomposition does not add up, when it does not. */
void sx_residual_warning(struct sx_value *document, const char *what, double residual);

#endif
