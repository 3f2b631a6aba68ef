/* Folders that results are written into. */
#ifndef SEXTANT_IO_FOLDER_H
#define SEXTANT_IO_FOLDER_H

#include "sextant/base/status.h"

/* Make `path` and the folders above it where they are missing; one that is there is fine. */
enum sx_status sx_folder_make(const char *path, struct sx_error *err) SX_MUST_CHECK;

#endif
