/* Scores in rotary bands: the questions of `bands`, `band-table` and `head-bands`, and their
 * answers as documents. Private to run. */
#ifndef SEXTANT_RUN_MEASURE_BANDS_H
#define SEXTANT_RUN_MEASURE_BANDS_H

#include "sextant/base/value.h"
#include "sextant/interp/bands.h"

/* Start with sx_bands_question_new; release. */
struct sx_bands_question {
    int32_t *ids; /* A; owned [n] */
    size_t n, query, key;
    /* ESM-2, where A's query is masked: what stands there without the mask. -1: it is not masked,
     * and condition B and the profile move the query alone. */
    int32_t original;
    bool unknown;   /* nobody knows what stands there: `original` is X */
    int32_t *ids_b; /* B; owned [n_b]; NULL: A alone */
    size_t n_b, query_b;
    size_t against; /* B is A with the mask moved here; SIZE_MAX: another sequence */
    int32_t target; /* of the readout; -1: sx_default_target */
    bool profile;
    bool margin; /* the margin's change by band; needs B */
};

/* original: the id under the mask of the query, where that is known (SX_ESM_MASK: it is not). */
enum sx_status sx_bands_question_new(const struct sx_model *model, const int32_t *ids, size_t n,
                                     size_t query, size_t key, int32_t original,
                                     struct sx_bands_question *out,
                                     struct sx_error *err) SX_MUST_CHECK;
void sx_bands_question_release(struct sx_bands_question *question);
/* B: the mask (or the query) moved to this token. */
enum sx_status sx_bands_question_move(const struct sx_model *model,
                                      struct sx_bands_question *question, size_t token,
                                      struct sx_error *err) SX_MUST_CHECK;
/* B: another sequence, as text. Its query: its first mask, else A's token; that token is masked
 * when A's is and the sequence has no mask. */
enum sx_status sx_bands_question_other(const struct sx_model *model,
                                       struct sx_bands_question *question, const char *text,
                                       struct sx_error *err) SX_MUST_CHECK;

/* Fills question->target. The caller releases *result, after a failure too. */
enum sx_status sx_measure_bands(struct sx_runner *runner, struct sx_bands_question *question,
                                struct sx_bands_result *result, struct sx_task *task,
                                struct sx_error *err) SX_MUST_CHECK;
/* Bytes besides those of a pass. */
uint64_t sx_bands_question_bytes(const struct sx_model_info *info,
                                 const struct sx_bands_question *question);

/* What of a result a document tells. */
struct sx_bands_filter {
    size_t layer, head;                  /* SIZE_MAX: all */
    const struct sx_band_groups *groups; /* NULL: none */
};
/* Keys are told in the command's help. */
struct sx_value *sx_bands_document(const struct sx_model *model,
                                   const struct sx_bands_question *question,
                                   const struct sx_bands_result *result,
                                   const struct sx_bands_filter *filter);
struct sx_value *sx_band_survey_document(const struct sx_model *model,
                                         const struct sx_band_survey *survey,
                                         const struct sx_bands_filter *filter);
struct sx_value *sx_head_bands_document(const struct sx_model *model, const int32_t *ids,
                                        const struct sx_head_result *result);

/* The command line that gives the same in a shell; the caller frees. */
char *sx_bands_line(const struct sx_model *model, const struct sx_bands_question *question);
char *sx_head_bands_line(const struct sx_model *model, const int32_t *ids,
                         const struct sx_head_result *result);

#endif
