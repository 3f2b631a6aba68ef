/* What the printed tables of attribute and compose share. Private to run. */
#ifndef SEXTANT_RUN_PRINT_TERMS_H
#define SEXTANT_RUN_PRINT_TERMS_H

#include "sextant/base/str.h"
#include "sextant/base/value.h"

/* The label of a map with component, layer and head, 10 columns wide. */
void sx_print_component(const struct sx_value *map, struct sx_str *out);
/* A copy with the largest |key| first; the caller frees. */
struct sx_value *sx_rows_by_size(const struct sx_value *rows, const char *key);

#endif
