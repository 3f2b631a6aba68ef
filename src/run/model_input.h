/* What the commands of transformers share: opening the model, and turning --seq, --fasta, --prompt,
 * --ids, --ids-file and --prompts-file into sequences of ids. Private to run. */
#ifndef SEXTANT_RUN_MODEL_INPUT_H
#define SEXTANT_RUN_MODEL_INPUT_H

#include "sextant/base/value.h"
#include "sextant/model/forward.h"
#include "sextant/model/tokenizer.h"

struct sx_model_input {
    char *name; /* owned: of the FASTA record, sanitised; NULL: it has none */
    struct sx_ids ids;
};

struct sx_model_inputs { /* start with {0}; sx_model_inputs_release */
    struct sx_model_input *item;
    size_t n, room;
    struct sx_value *warnings; /* a list of strings, or NULL */
};

/* Reads every source that args holds. Sequences are as the model takes them (ESM-2: with <cls> and
 * <eos>, except for ids, which are taken as they are); none is empty. Errors say what the family
 * wants instead. */
enum sx_status sx_model_inputs_read(const char *command, const struct sx_value *args,
                                    const struct sx_model *model, struct sx_model_inputs *inputs,
                                    struct sx_error *err) SX_MUST_CHECK;
void sx_model_inputs_release(struct sx_model_inputs *inputs);
void sx_model_inputs_warn(struct sx_model_inputs *inputs, const char *fmt, ...) SX_PRINTF(2, 3);
/* Moves the warnings into a document, where there are some. */
void sx_model_inputs_tell(struct sx_model_inputs *inputs, struct sx_value *document);
/* "! " lines of a document's warnings. */
void sx_print_warnings(const struct sx_value *document, struct sx_str *out);

/* The model of args (`model`, --rope-exact) and a runner for it with the program's threads. */
enum sx_status sx_model_use(const struct sx_value *args, struct sx_model **model,
                            struct sx_runner **runner, struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_model_must_be(const struct sx_model *model, enum sx_model_family family,
                                const char *command, struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_model_must_predict(const struct sx_model *model, const char *command,
                                     struct sx_error *err) SX_MUST_CHECK;
/* Refuses what would need more than --max-memory GiB: `kept` bytes and a pass over these lengths.
 */
enum sx_status sx_model_must_fit(const struct sx_value *args, const struct sx_model *model,
                                 const size_t *lengths, size_t n, uint64_t kept, const char *advice,
                                 struct sx_error *err) SX_MUST_CHECK;

/* Softmax of a row of logits over [first, first+n), in double; *log_total the log of its
 * denominator (NULL: not wanted). */
void sx_softmax_row(const float *logits, size_t first, size_t n, double *p, double *log_total);

bool sx_is_residue(int32_t id);    /* ESM-2: one of the 20 */
bool sx_is_amino_acid(int32_t id); /* ESM-2: also X B U Z O */
/* "A", "<mask>", " the": for documents; "#17" for an id without a token. */
void sx_token_text(const struct sx_model *model, int32_t id, char *buf, size_t size);

#endif
