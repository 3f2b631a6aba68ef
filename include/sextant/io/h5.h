/* HDF5 behind one lock: no HDF5 type or call leaves this module. Never call from the UI thread.
 * Files being created are written under a temporary name and renamed by sx_h5_commit; closing
 * without commit removes them. Cut files are errors; libhdf5 1.10 itself does not survive every
 * file that was made to break it, so sizes, links and filters are checked here but its parser is
 * trusted. Paths inside a file are like "/pairs/0/sim_enc". */
#ifndef SEXTANT_IO_H5_H
#define SEXTANT_IO_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/value.h"
#include "sextant/io/dtype.h"

struct sx_h5;

enum sx_status sx_h5_create(const char *path, struct sx_h5 **h5,
                            struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_h5_open(const char *path, struct sx_h5 **h5, struct sx_error *err) SX_MUST_CHECK;
/* The same from bytes in memory, which are copied. */
enum sx_status sx_h5_open_memory(const char *label, const void *bytes, size_t len,
                                 struct sx_h5 **h5, struct sx_error *err) SX_MUST_CHECK;
/* Flush, close and rename into place; frees h5 also on failure. */
enum sx_status sx_h5_commit(struct sx_h5 *take_h5, struct sx_error *err) SX_MUST_CHECK;
void sx_h5_close(struct sx_h5 *h5); /* NULL is fine; a file being created is discarded */

/* Datasets. Groups on the way are made. `deflate` 0..9 (0: contiguous, so that it can be mapped).
 */
enum sx_status sx_h5_write(struct sx_h5 *h5, const char *dataset, enum sx_dtype dtype, int rank,
                           const uint64_t *shape, const void *data, int deflate,
                           struct sx_error *err) SX_MUST_CHECK;
enum sx_h5_kind { SX_H5_NOTHING, SX_H5_GROUP, SX_H5_DATASET };
/* What stands at `path`. Only hard links are followed: a link into another file is nothing. */
enum sx_h5_kind sx_h5_kind(struct sx_h5 *h5, const char *path);
bool sx_h5_exists(struct sx_h5 *h5, const char *path);
/* Shape of a dataset; rank at most 8. */
enum sx_status sx_h5_shape(struct sx_h5 *h5, const char *dataset, enum sx_dtype *dtype, int *rank,
                           uint64_t shape[8], struct sx_error *err) SX_MUST_CHECK;
/* Whole dataset, converted to dtype; `count` must equal its number of elements. Bools convert to
 * U8, I8, I64, F32 and F64. */
enum sx_status sx_h5_read(struct sx_h5 *h5, const char *dataset, enum sx_dtype dtype,
                          uint64_t count, void *data, struct sx_error *err) SX_MUST_CHECK;
/* Rows [first, first+rows) of the first dimension. */
enum sx_status sx_h5_read_rows(struct sx_h5 *h5, const char *dataset, enum sx_dtype dtype,
                               uint64_t first, uint64_t rows, void *data,
                               struct sx_error *err) SX_MUST_CHECK;

/* The block [start, start+size) of every dimension; both have as many numbers as `sx_h5_shape` says
 * dimensions. SX_ERR_SHAPE when it is not inside. */
enum sx_status sx_h5_read_block(struct sx_h5 *h5, const char *dataset, enum sx_dtype dtype,
                                const uint64_t *start, const uint64_t *size, void *data,
                                struct sx_error *err) SX_MUST_CHECK;

/* Where the elements of a dataset stand in the file, row-major and little-endian as `dtype` says;
 * false when they are chunked, compressed, converted or not there. */
bool sx_h5_extent(struct sx_h5 *h5, const char *dataset, uint64_t *offset);

/* Attributes of `object` ("/" for the root): string, integer, real or bool values of the map. Lists
 * of numbers become 1-D attributes. */
enum sx_status sx_h5_write_attributes(struct sx_h5 *h5, const char *object,
                                      const struct sx_value *map,
                                      struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_h5_read_attributes(struct sx_h5 *h5, const char *object, struct sx_value **map,
                                     struct sx_error *err) SX_MUST_CHECK;
/* Names of the children of a group, as a list of strings. */
enum sx_status sx_h5_list(struct sx_h5 *h5, const char *group, struct sx_value **names,
                          struct sx_error *err) SX_MUST_CHECK;

/* Growing tables of doubles for curves, one column set, written in SWMR mode so that another
 * process can watch: /table/data [rows, columns], attribute `columns` of /table. Flushed after each
 * append.
 */
struct sx_h5_table;
/* Create the file; or go on after the first `keep_rows` rows of an existing one, also of one whose
 * writer was killed (resume). Either takes the place of a file of that name. */
enum sx_status sx_h5_table_create(const char *path, const char *const *columns, size_t n_columns,
                                  const struct sx_value *attributes, struct sx_h5_table **table,
                                  struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_h5_table_resume(const char *path, uint64_t keep_rows, struct sx_h5_table **table,
                                  struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_h5_table_append(struct sx_h5_table *table, const double *row,
                                  struct sx_error *err) SX_MUST_CHECK;
void sx_h5_table_close(struct sx_h5_table *table);
/* Read a table, also one that another process is writing. *columns: a list of strings; *data:
 * [rows, n_columns], free with sx_free. */
enum sx_status sx_h5_table_read(const char *path, struct sx_value **columns, double **data,
                                uint64_t *rows, struct sx_value **attributes,
                                struct sx_error *err) SX_MUST_CHECK;

const char *sx_h5_version(void);

#endif
