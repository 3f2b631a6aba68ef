/* torch zip archives; an input that does not begin with "PK" is a pickle, and gets an archive with
 * four storages of 64 bytes around it, so that the fuzzer need not guess offsets. */
#include "fuzz_support.h"

static void le(struct sx_str *s, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        sx_str_append_char(s, (char)(v >> (8 * i) & 0xffU));
}

static void member(struct sx_str *s, struct sx_str *directory, const char *name, const void *bytes,
                   size_t n)
{
    size_t at = s->len;
    le(s, 0x04034b50U, 4);
    le(s, 0, 8);
    le(s, 0, 8);
    le(s, 0, 6);
    le(s, strlen(name), 2);
    le(s, 0, 2);
    sx_str_append(s, name);
    sx_str_append_len(s, bytes, n);
    le(directory, 0x02014b50U, 4);
    le(directory, 0, 8);
    le(directory, 0, 8);
    le(directory, n, 4);
    le(directory, n, 4);
    le(directory, strlen(name), 2);
    le(directory, 0, 8);
    le(directory, 0, 4);
    le(directory, at, 4);
    sx_str_append(directory, name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char zeros[64];
    if (size >= 2 && data[0] == 'P' && data[1] == 'K') {
        fuzz_tensor_file("f.pt", data, size);
        return 0;
    }
    struct sx_str s = SX_STR_INIT;
    struct sx_str directory = SX_STR_INIT;
    member(&s, &directory, "a/data.pkl", data, size);
    member(&s, &directory, "a/data/0", zeros, sizeof zeros);
    member(&s, &directory, "a/data/1", zeros, sizeof zeros);
    member(&s, &directory, "a/data/2", zeros, 4);
    member(&s, &directory, "a/data/3", zeros, 0);
    size_t at = s.len;
    sx_str_append_len(&s, directory.data, directory.len);
    le(&s, 0x06054b50U, 4);
    le(&s, 0, 4);
    le(&s, 5, 2);
    le(&s, 5, 2);
    le(&s, directory.len, 4);
    le(&s, at, 4);
    le(&s, 0, 2);
    fuzz_tensor_file("f.pt", s.data, s.len);
    sx_str_release(&s);
    sx_str_release(&directory);
    return 0;
}
