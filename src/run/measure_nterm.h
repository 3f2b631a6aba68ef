/* Proteins in five presentations: the question of `nterm` and `nterm-table`, and its answer as a
 * document. Private to run. */
#ifndef SEXTANT_RUN_MEASURE_NTERM_H
#define SEXTANT_RUN_MEASURE_NTERM_H

#include "sextant/base/value.h"
#include "sextant/interp/presentation.h"

struct sx_nterm_question { /* all text is borrowed */
    const char *path;      /* NULL: the built-in examples */
    enum sx_protein_format format;
    const char *truth; /* or NULL */
    struct sx_proteins_options proteins;
    struct sx_nterm_options presentations;
    double max_gib; /* that a pass may take; 0: no limit */
};

/* Reads the proteins, then runs the model over them. The caller releases *proteins and *result,
 * after a failure too. */
enum sx_status sx_measure_nterm(struct sx_runner *runner, const struct sx_nterm_question *question,
                                struct sx_proteins *proteins, struct sx_nterm_result *result,
                                struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;
/* The document's keys are told in the command's help. */
struct sx_value *sx_nterm_document(const struct sx_model_info *info,
                                   const struct sx_nterm_question *question,
                                   const struct sx_proteins *proteins,
                                   const struct sx_nterm_result *result);
/* The command line that gives the same in a shell; the caller frees. */
char *sx_nterm_line(const char *model_path, const struct sx_nterm_question *question);

#endif
