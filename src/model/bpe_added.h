/* Added tokens: texts that are tokens wherever they stand. Private to src/model. */
#ifndef SEXTANT_MODEL_BPE_ADDED_H
#define SEXTANT_MODEL_BPE_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sx_added_node;

struct sx_added_flags {
    bool special;
    bool lstrip, rstrip; /* white space beside it belongs to it */
};

/* Zeroed: empty. */
struct sx_added {
    struct sx_added_node *nodes;
    size_t n_nodes, capacity;
    uint32_t first[256]; /* node of a first byte; 0: none */
    size_t n;            /* tokens */
};

void sx_added_release(struct sx_added *added);
/* false: the text is there already. */
bool sx_added_insert(struct sx_added *added, const char *text, size_t len, int32_t id,
                     struct sx_added_flags flags);

/* The next added token in s[from..len), leftmost and then longest: *start, *end and its id. -1:
 * none (then *start is len). Special ones are passed over when `no_specials`. */
int32_t sx_added_next(const struct sx_added *added, const char *s, size_t len, size_t from,
                      bool no_specials, size_t *start, size_t *end);

#endif
