/* A document tree: what a JSON, YAML or pickle file says, and what a command answers. Maps keep
 * their order of insertion. A value owns its children. Strings are UTF-8 but not sanitised. */
#ifndef SEXTANT_BASE_VALUE_H
#define SEXTANT_BASE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sx_value_kind {
    SX_VALUE_NULL,
    SX_VALUE_BOOL,
    SX_VALUE_INT,
    SX_VALUE_REAL,
    SX_VALUE_STRING,
    SX_VALUE_LIST,
    SX_VALUE_MAP,
};

struct sx_value; /* opaque */

struct sx_value *sx_value_null(void);
struct sx_value *sx_value_bool(bool b);
struct sx_value *sx_value_int(int64_t i);
struct sx_value *sx_value_real(double d);        /* NaN and infinity are written to JSON as null */
struct sx_value *sx_value_string(const char *s); /* NULL gives a null value */
struct sx_value *sx_value_string_len(const char *s, size_t len);
struct sx_value *sx_value_list(void);
struct sx_value *sx_value_map(void);
void sx_value_free(struct sx_value *v); /* NULL is fine */

enum sx_value_kind sx_value_kind(const struct sx_value *v); /* NULL pointer: SX_VALUE_NULL */
const char *sx_value_kind_name(enum sx_value_kind kind);    /* "a string", "a map", … */

/* Where it stood in its file, 1-based; 0: not known. */
int sx_value_line(const struct sx_value *v);
void sx_value_set_line(struct sx_value *v, int line);

/* Lists and maps. Appending or setting takes ownership of `take`; both return it. */
size_t sx_value_count(const struct sx_value *v);
struct sx_value *sx_value_append(struct sx_value *list, struct sx_value *take);
struct sx_value *sx_value_set(struct sx_value *map, const char *key, struct sx_value *take);
struct sx_value *sx_value_item(const struct sx_value *v, size_t i); /* borrowed; list or map */
const char *sx_value_key(const struct sx_value *map, size_t i);     /* borrowed */
struct sx_value *sx_value_get(const struct sx_value *map, const char *key); /* borrowed or NULL */
/* "trainer.buffer.ctx_len"; NULL when any part is missing. */
struct sx_value *sx_value_at(const struct sx_value *v, const char *dotted_path);

/* Scalars. The _or forms give the default when v is NULL or of another kind (an INT is a REAL;
 * a REAL without a fraction is an INT). */
bool sx_value_bool_or(const struct sx_value *v, bool fallback);
int64_t sx_value_int_or(const struct sx_value *v, int64_t fallback);
double sx_value_real_or(const struct sx_value *v, double fallback);
const char *sx_value_string_or(const struct sx_value *v, const char *fallback); /* borrowed */
size_t sx_value_string_size(const struct sx_value *v);

struct sx_value *sx_value_dup(const struct sx_value *v);

#endif
