/* Files of captured activations, F.run.h5 and F.npz: one set of arrays a sequence, in the root when
 * there is one sequence and in the groups 0, 1, … when there are several. F.run.h5 also says what
 * was run, in attributes. Written beside the target and renamed when complete. Private to run. */
#ifndef SEXTANT_RUN_RUN_FILE_H
#define SEXTANT_RUN_RUN_FILE_H

#include "sextant/base/value.h"
#include "sextant/io/tensor_write.h"

struct sx_run_file;

/* SX_ERR_USAGE when the name ends in neither .npz nor .h5, SX_ERR_IO when it is there and not
 * `force`. `about`: attributes of the file (F.run.h5), borrowed. */
enum sx_status sx_run_file_create(const char *path, bool force, size_t n_sequences,
                                  const struct sx_value *about, struct sx_run_file **file,
                                  struct sx_error *err) SX_MUST_CHECK;
/* Does the file keep every array in memory until the end? */
bool sx_run_file_holds(const struct sx_run_file *file);
/* The arrays of the next sequence; `data` of each was made by sx_alloc_big and is taken, also on
 * failure. `about`: attributes of the group. */
enum sx_status sx_run_file_add(struct sx_run_file *file, const struct sx_tensor_out *take, size_t n,
                               const struct sx_value *about, struct sx_error *err) SX_MUST_CHECK;
/* Arrays of the whole file, beside the groups; taken like those of a sequence. */
enum sx_status sx_run_file_add_common(struct sx_run_file *file, const struct sx_tensor_out *take,
                                      size_t n, struct sx_error *err) SX_MUST_CHECK;
/* Frees the file also on failure. */
enum sx_status sx_run_file_commit(struct sx_run_file *take, struct sx_error *err) SX_MUST_CHECK;
void sx_run_file_discard(struct sx_run_file *take); /* NULL is fine */

/* Refuses a name that is already there (SX_ERR_IO), unless force. */
enum sx_status sx_may_write(const char *path, bool force, struct sx_error *err) SX_MUST_CHECK;

#endif
