/* Read-only mappings of files that strangers may cut shorter at any time, as a training run does
 * that writes its checkpoint again. Reading behind the new end would end the process with SIGBUS;
 * here it reads NaN (all bits set) instead, and the mapping remembers. */
#ifndef SEXTANT_IO_MAPPING_H
#define SEXTANT_IO_MAPPING_H

#include <stdbool.h>
#include <stddef.h>

struct sx_mapping {
    void *bytes; /* NULL: not mapped */
    size_t size;
    size_t guard; /* private */
};

/* false: not mapped, the caller reads copies. */
bool sx_mapping_open(struct sx_mapping *m, int fd, size_t size);
void sx_mapping_close(struct sx_mapping *m); /* the zero state is fine */
bool sx_mapping_was_cut(const struct sx_mapping *m);

#endif
