/* The words for what types.h enumerates, as commands and documents use them. Views may include this
 * one too. */
#ifndef SEXTANT_INTERP_NAMES_H
#define SEXTANT_INTERP_NAMES_H

#include "sextant/interp/types.h"

/* NULL behind the last. */
const char *sx_band_term_name(enum sx_band_term term);      /* "query-norm" */
const char *sx_component_name(enum sx_component_kind kind); /* "embed" "head" "attn_bias" "mlp" */
const char *sx_metric_name(enum sx_metric_kind metric);     /* "centred" */
const char *sx_metric_unit(enum sx_metric_kind metric);     /* "logits" */
const char *sx_grid_name(enum sx_grid grid);                /* "layer-token" */
const char *sx_presentation_name(enum sx_presentation p);   /* "mature-first" */
const char *sx_nterm_class_name(enum sx_nterm_class kind);  /* "signal" */

/* "L3.H7", "L3 MLP", "embed": short label of a component. */
void sx_component_label(const struct sx_component *component, char *buf, size_t size);

#endif
