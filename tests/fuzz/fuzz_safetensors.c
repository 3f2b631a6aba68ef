/* safetensors; an input that begins with '{' is a header, and gets its length and some data. */
#include "fuzz_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != '{') {
        fuzz_tensor_file("f.safetensors", data, size);
        return 0;
    }
    struct sx_str s = SX_STR_INIT;
    for (int i = 0; i < 8; i++)
        sx_str_append_char(&s, (char)(size >> (8 * i) & 0xffU));
    sx_str_append_len(&s, (const char *)data, size);
    for (int i = 0; i < 16; i++)
        sx_str_append_char(&s, (char)i);
    fuzz_tensor_file("f.safetensors", s.data, s.len);
    sx_str_release(&s);
    return 0;
}
