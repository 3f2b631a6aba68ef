/* Answers kept in files: what a command found, with the command line that gives it again. F.json is
 * the document as --json prints it; F.run.h5 holds the same text as the dataset `document` beside
 * the attributes schema, kind ("result"), tool, command and line, and the arrays of the answer
 * where a screen can show them (answer.h). And what any *.run.h5 holds. Private to run. */
#ifndef SEXTANT_RUN_RESULT_FILE_H
#define SEXTANT_RUN_RESULT_FILE_H

#include "sextant/base/value.h"
#include "sextant/run/command.h"

/* Before the work: SX_ERR_USAGE when --out of the job ends neither in .json nor in .run.h5,
 * SX_ERR_IO when it is there already, without --force. Fine without --out. */
enum sx_status sx_result_file_check(const struct sx_job *job, struct sx_error *err) SX_MUST_CHECK;
/* Does the job keep a F.run.h5? */
bool sx_result_file_has_arrays(const struct sx_job *job);
/* The job's document, and its result if it made one (sx_answer_keep), into its --out. */
enum sx_status sx_result_file_write(const struct sx_job *job, struct sx_error *err) SX_MUST_CHECK;
/* The document of a result; SX_ERR_FORMAT names the file and what it lacks. */
enum sx_status sx_result_file_read(const char *path, struct sx_value **document,
                                   struct sx_error *err) SX_MUST_CHECK;

/* What a *.run.h5 holds, as `info` tells it: its attributes and `tensors` (name, dtype, shape) of
 * every sequence. SX_ERR_FORMAT: not a file of ours. */
enum sx_status sx_run_describe(const char *path, struct sx_value **out,
                               struct sx_error *err) SX_MUST_CHECK;

#endif
