/* idx files, plain and gzip. */
#include "fuzz_support.h"
#include "sextant/io/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sx_idx idx;
    struct sx_error err;
    if (sx_idx_read_memory("f.idx", data, size, &idx, &err) != SX_OK)
        return 0;
    unsigned sum = 0;
    for (uint64_t i = 0; i < idx.count; i++)
        sum += idx.data[i];
    if (sum > 255 * idx.count)
        abort();
    sx_idx_release(&idx);
    return 0;
}
