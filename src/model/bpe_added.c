/* A trie by bytes. At every place of the text the longest match is taken, as the reference's
 * Aho-Corasick automaton does in its leftmost-longest mode; added tokens are few and short, so the
 * walk from every place costs less than an automaton would. */
#include "bpe_added.h"

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"

struct sx_added_node {
    uint32_t child, sibling; /* 0: none */
    int32_t id;              /* -1: no token ends here */
    struct sx_added_flags flags;
    unsigned char byte;
};

void sx_added_release(struct sx_added *added)
{
    sx_free(added->nodes);
    *added = (struct sx_added){0};
}

static uint32_t new_node(struct sx_added *added, unsigned char byte, uint32_t sibling)
{
    if (added->n_nodes == 0)
        added->n_nodes = 1; /* 0 is "none" */
    SX_GROW(added->nodes, added->capacity, added->n_nodes + 1);
    added->nodes[added->n_nodes] =
        (struct sx_added_node){.byte = byte, .sibling = sibling, .id = -1};
    return (uint32_t)added->n_nodes++;
}

static uint32_t child_of(const struct sx_added *added, uint32_t node, unsigned char byte)
{
    uint32_t child = added->nodes[node].child;
    while (child && added->nodes[child].byte != byte)
        child = added->nodes[child].sibling;
    return child;
}

bool sx_added_insert(struct sx_added *added, const char *text, size_t len, int32_t id,
                     struct sx_added_flags flags)
{
    const unsigned char *bytes = (const unsigned char *)text;
    SX_ASSERT(len > 0);
    if (!added->first[bytes[0]])
        added->first[bytes[0]] = new_node(added, bytes[0], 0);
    uint32_t node = added->first[bytes[0]];
    for (size_t i = 1; i < len; i++) {
        uint32_t child = child_of(added, node, bytes[i]);
        if (!child) {
            child = new_node(added, bytes[i], added->nodes[node].child);
            added->nodes[node].child = child;
        }
        node = child;
    }
    if (added->nodes[node].id >= 0)
        return false;
    added->nodes[node].id = id;
    added->nodes[node].flags = flags;
    added->n++;
    return true;
}

/* The longest token at s; 0: none. */
static uint32_t longest(const struct sx_added *added, const char *s, size_t len, size_t *end)
{
    const unsigned char *bytes = (const unsigned char *)s;
    uint32_t best = 0;
    uint32_t node = added->first[bytes[0]];
    for (size_t i = 0; node; node = i < len ? child_of(added, node, bytes[i]) : 0) {
        i++;
        if (added->nodes[node].id >= 0) {
            best = node;
            *end = i;
        }
    }
    return best;
}

static size_t spaces_before(const char *s, size_t from, size_t at)
{
    while (at > from) {
        uint32_t cp;
        size_t start = at - 1;
        while (start > from && ((unsigned char)s[start] & 0xC0) == 0x80)
            start--;
        sx_utf8_decode(s + start, at - start, &cp);
        if (sx_text_class(cp) != SX_TEXT_SPACE)
            break;
        at = start;
    }
    return at;
}

static size_t spaces_after(const char *s, size_t len, size_t at)
{
    while (at < len) {
        uint32_t cp;
        const size_t n = sx_utf8_decode(s + at, len - at, &cp);
        if (sx_text_class(cp) != SX_TEXT_SPACE)
            break;
        at += n;
    }
    return at;
}

int32_t sx_added_next(const struct sx_added *added, const char *s, size_t len, size_t from,
                      bool no_specials, size_t *start, size_t *end)
{
    for (size_t i = from; added->n && i < len; i++) {
        size_t n;
        const uint32_t node = longest(added, s + i, len - i, &n);
        if (!node)
            continue;
        const struct sx_added_flags flags = added->nodes[node].flags;
        if (flags.special && no_specials) {
            i += n - 1; /* what is inside it is plain text, too */
            continue;
        }
        *start = flags.lstrip ? spaces_before(s, from, i) : i;
        *end = flags.rstrip ? spaces_after(s, len, i + n) : i + n;
        return added->nodes[node].id;
    }
    *start = len;
    return -1;
}
