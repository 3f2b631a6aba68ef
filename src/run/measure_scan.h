/* Patches and ablations as `patch`, `ablate` and `patch-grid` ask for them, and their document.
 * Private to run. */
#ifndef SEXTANT_RUN_MEASURE_SCAN_H
#define SEXTANT_RUN_MEASURE_SCAN_H

#include "sextant/base/str.h"
#include "sextant/base/value.h"
#include "sextant/interp/scan.h"
#include "sextant/model/tokenizer.h"

/* A sequence or prompt given by an option; `warnings` (a list, made when needed) says what the
 * vocabulary lacks. */
enum sx_status sx_scan_text(const char *command, const char *option, const struct sx_model *model,
                            const char *text, struct sx_ids *ids, struct sx_value **warnings,
                            struct sx_error *err) SX_MUST_CHECK;
/* --token, or the first mask; GPT-NeoX: the last token. */
enum sx_status sx_scan_token(const char *command, const struct sx_value *args,
                             const struct sx_model *model, const int32_t *ids, size_t n,
                             size_t *token, struct sx_error *err) SX_MUST_CHECK;
/* --metric, --target and --against. Without --target: methionine; GPT-NeoX: what follows `token`.
 */
enum sx_status sx_scan_metric(const char *command, const struct sx_value *args,
                              const struct sx_model *model, const int32_t *ids, size_t n,
                              size_t token, struct sx_metric *metric,
                              struct sx_error *err) SX_MUST_CHECK;
/* "mean ablation", "knockout of edge", "patching clean into corrupt": a grid's title, without the
 * site where its rows and columns tell it. */
void sx_scan_what(const struct sx_grid_request *request, char *buf, size_t size);
/* Where a cell changes one token when nothing else is said: q is asked at the measured one. */
bool sx_scan_all_tokens(enum sx_site site);

struct sx_scan_told { /* nothing is owned */
    const struct sx_model *model;
    const struct sx_grid_request *request;
    const struct sx_scan_result *result;
    const double *spread; /* [rows,columns] standard deviation over the seeds, or NULL */
    size_t n_seeds;
    double together; /* NAN: not measured */
    double seconds;
};
/* {model, site, how, metric, unit, target, token, clean, corrupt, normalised, grid (effects, or
 * differences), values, axes, rows, …}. */
struct sx_value *sx_scan_document(const struct sx_scan_told *told);
void sx_scan_print(const struct sx_value *document, struct sx_str *out);

#endif
