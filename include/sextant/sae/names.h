/* The words for what types.h enumerates. Views may include this one too. */
#ifndef SEXTANT_SAE_NAMES_H
#define SEXTANT_SAE_NAMES_H

#include "sextant/sae/types.h"

const char *sx_sae_format_name(enum sx_sae_format format); /* "dictionary_learning" */
const char *sx_sae_arch_name(enum sx_sae_arch arch);       /* "topk" */
const char *sx_penalty_name(enum sx_penalty penalty);      /* "none" "l1" "l2" "l2_unsquared" */
const char *sx_constraint_name(enum sx_constraint c);      /* "none" "renorm" "renorm+project" */

#endif
