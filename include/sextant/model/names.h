/* The words for what types.h enumerates. Views may include this one too. */
#ifndef SEXTANT_MODEL_NAMES_H
#define SEXTANT_MODEL_NAMES_H

#include "sextant/model/types.h"

const char *sx_model_family_name(enum sx_model_family family); /* "ESM-2" "GPT-NeoX" */
const char *sx_model_format_name(enum sx_model_format format); /* "Hugging Face" "fair-esm" */

#endif
