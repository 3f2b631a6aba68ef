#ifndef SEXTANT_RUN_MODEL_DESCRIBE_H
#define SEXTANT_RUN_MODEL_DESCRIBE_H

#include "sextant/base/status.h"
#include "sextant/base/value.h"

/* What a transformer's configuration and headers say, as `info` answers it; no weight is read but
 * the rotary frequencies. The caller frees *out. */
enum sx_status sx_model_describe(const char *path, struct sx_value **out,
                                 struct sx_error *err) SX_MUST_CHECK;

#endif
