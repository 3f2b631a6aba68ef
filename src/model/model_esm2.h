/* What Hugging Face's and fair-esm's ESM-2 share. Private to src/model. */
#ifndef SX_MODEL_ESM2_H
#define SX_MODEL_ESM2_H

#include "model_private.h"

enum { SX_ESM2_POSITIONS = 1024 }; /* tokens of a training crop */

/* Check vocabulary and head size, and fill what follows from the sizes. `where`: the file that says
 * them. */
enum sx_status sx_esm2_check(const char *where, struct sx_model_info *info,
                             struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_esm2_bind(struct sx_model *model, const struct model_plan *plan,
                            const struct sx_model_options *options,
                            struct sx_error *err) SX_MUST_CHECK;

#endif
