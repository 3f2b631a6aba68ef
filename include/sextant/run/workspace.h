/* Finding what lies under a path: headers only, no weight is read. */
#ifndef SEXTANT_RUN_WORKSPACE_H
#define SEXTANT_RUN_WORKSPACE_H

#include "sextant/base/status.h"
#include "sextant/base/task.h"
#include "sextant/run/session.h"

/* Scan files and folders (recursively, symbolic links to folders not followed, at most 100,000
 * names and depth 32). A path that does not exist is an error; a broken file inside is an entry. */
enum sx_status sx_workspace_scan(const char *const *paths, size_t n_paths, struct sx_task *task,
                                 struct sx_workspace *workspace,
                                 struct sx_error *err) SX_MUST_CHECK;
void sx_workspace_release(struct sx_workspace *workspace);

#endif
