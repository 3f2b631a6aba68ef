#ifndef SEXTANT_RUN_MODEL_DESCRIBE_H
#define SEXTANT_RUN_MODEL_DESCRIBE_H

#include "sextant/base/status.h"
#include "sextant/base/value.h"
#include "sextant/model/model.h"

/* What a transformer's configuration and headers say, as `info` answers it; no weight is read but
 * the rotary frequencies. The caller frees *out. */
enum sx_status sx_model_describe(const char *path, struct sx_value **out,
                                 struct sx_error *err) SX_MUST_CHECK;

/* What every file of ours says of the model that it came from: name, family, sizes, rotary base and
 * the fingerprint of the weights. Adds to `about`. */
enum sx_status sx_model_tell(struct sx_model *model, struct sx_value *about,
                             struct sx_error *err) SX_MUST_CHECK;

#endif
