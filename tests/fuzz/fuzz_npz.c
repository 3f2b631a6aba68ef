/* npz archives and npy arrays; an input that begins with '{' is an array's header with 32 bytes of
 * data behind it. */
#include "fuzz_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 0xffff || data[0] != '{') {
        fuzz_tensor_file("f.npz", data, size);
        return 0;
    }
    struct sx_str s = SX_STR_INIT;
    sx_str_append_len(&s, "\x93NUMPY\1\0", 8);
    sx_str_append_char(&s, (char)(size & 0xffU));
    sx_str_append_char(&s, (char)(size >> 8));
    sx_str_append_len(&s, (const char *)data, size);
    for (int i = 0; i < 32; i++)
        sx_str_append_char(&s, (char)i);
    fuzz_tensor_file("f.npy", s.data, s.len);
    sx_str_release(&s);
    return 0;
}
