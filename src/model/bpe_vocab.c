#include "bpe_vocab.h"

#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"

enum { MOST_PROBES = 1024 };

/* --- the alphabet -------------------------------------------------------------------------------
 */

static bool stands_for_itself(uint32_t c)
{
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255);
}

uint32_t sx_byte_stand_in(unsigned char byte)
{
    uint32_t others = 0;
    if (stands_for_itself(byte))
        return byte;
    for (uint32_t c = 0; c < byte; c++)
        others += !stands_for_itself(c);
    return 0x100 + others;
}

/* -1: the character stands for no byte. */
static int byte_of(uint32_t cp)
{
    if (cp < 0x100)
        return stands_for_itself(cp) ? (int)cp : -1;
    for (int byte = 0; byte < 256; byte++) /* the others are few, and mostly low */
        if (sx_byte_stand_in((unsigned char)byte) == cp)
            return byte;
    return -1;
}

/* What a name stands for. As in the reference, a name with any character outside the alphabet (an
 * added token, as a rule) stands for itself. */
static size_t bytes_of(const char *name, size_t len, char *bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < len; n++) {
        uint32_t cp;
        i += sx_utf8_decode(name + i, len - i, &cp);
        const int byte = byte_of(cp);
        if (byte < 0) {
            memcpy(bytes, name, len);
            return len;
        }
        bytes[n] = (char)byte;
    }
    return n;
}

/* --- names --------------------------------------------------------------------------------------
 */

static size_t place_of(const struct sx_vocab *vocab, const char *name, size_t len)
{
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)name[i]) * 0x100000001B3u;
    return (size_t)(hash ^ hash >> 32) & vocab->mask;
}

void sx_vocab_release(struct sx_vocab *vocab)
{
    sx_free(vocab->tokens);
    sx_free(vocab->places);
    *vocab = (struct sx_vocab){0};
}

void sx_vocab_reserve(struct sx_vocab *vocab, size_t n)
{
    size_t places = 16;
    while (places < 2 * n)
        places *= 2;
    vocab->mask = places - 1;
    vocab->places = sx_xcalloc(places, sizeof *vocab->places);
}

static void set_token(struct sx_vocab *vocab, struct sx_arena *arena, const char *name, int32_t id,
                      bool added)
{
    const size_t len = strlen(name);
    const size_t at = (size_t)id;
    char *bytes = sx_arena_alloc(arena, len + 1);
    if (at >= vocab->size) {
        SX_GROW(vocab->tokens, vocab->capacity, at + 1);
        memset(vocab->tokens + vocab->size, 0, (at + 1 - vocab->size) * sizeof *vocab->tokens);
        vocab->size = at + 1;
    }
    vocab->tokens[at] = (struct sx_bpe_token){
        .name = sx_arena_strdup(arena, name),
        .bytes = bytes,
        .n_bytes = bytes_of(name, len, bytes),
        .added = added,
    };
}

bool sx_vocab_add(struct sx_vocab *vocab, struct sx_arena *arena, const char *name, int32_t id,
                  bool added)
{
    size_t at = place_of(vocab, name, strlen(name));
    SX_ASSERT(id >= 0 && id < SX_VOCAB_MOST);
    for (int probe = 0; probe < MOST_PROBES; probe++, at = (at + 1) & vocab->mask) {
        if (vocab->places[at])
            continue;
        vocab->places[at] = (uint32_t)id + 1;
        set_token(vocab, arena, name, id, added);
        return true;
    }
    return false;
}

int32_t sx_vocab_find(const struct sx_vocab *vocab, const char *name, size_t len)
{
    size_t at = place_of(vocab, name, len);
    for (int probe = 0; probe < MOST_PROBES; probe++, at = (at + 1) & vocab->mask) {
        if (!vocab->places[at])
            return -1;
        const uint32_t id = vocab->places[at] - 1;
        const char *there = vocab->tokens[id].name;
        if (strncmp(there, name, len) == 0 && there[len] == '\0')
            return (int32_t)id;
    }
    return -1;
}
