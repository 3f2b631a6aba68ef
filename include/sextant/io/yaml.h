/* YAML to document trees, with the line of every node. The only user of libyaml. */
#ifndef SEXTANT_IO_YAML_H
#define SEXTANT_IO_YAML_H

#include <stddef.h>

#include "sextant/base/status.h"
#include "sextant/base/str.h"
#include "sextant/base/value.h"

/* One document; plain scalars become null/bool/int/real by the YAML 1.2 core schema (and 1e-5 is a
 * number), quoted ones stay strings. Duplicate keys, keys over 250 bytes, anchors/aliases, tags,
 * depth over 64 and files over 16 MiB are errors that name label:line. The caller frees *out. */
enum sx_status sx_yaml_parse(const char *label, const char *text, size_t len, struct sx_value **out,
                             struct sx_error *err) SX_MUST_CHECK;
enum sx_status sx_yaml_parse_file(const char *path, struct sx_value **out,
                                  struct sx_error *err) SX_MUST_CHECK;

/* Append `v` as a YAML document (block style). */
void sx_yaml_write(const struct sx_value *v, struct sx_str *out);

#endif
