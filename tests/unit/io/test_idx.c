#include "sextant/io/idx.h"

#include <criterion/criterion.h>
#include <string.h>

#include "io_support.h"

static struct sx_error err;

static void expect_images(const char *name)
{
    struct sx_idx idx;
    cr_assert_eq(sx_idx_read(io_fixture(name), &idx, &err), SX_OK, "%s", err.message);
    cr_assert(idx.rank == 3 && idx.shape[0] == 2 && idx.shape[1] == 3 && idx.shape[2] == 4);
    cr_assert_eq(idx.count, 24);
    for (int i = 0; i < 24; i++)
        cr_assert_eq(idx.data[i], i);
    sx_idx_release(&idx);
}

Test(idx, plain_and_gzip_files_hold_the_same)
{
    expect_images("io/images.idx");
    expect_images("io/images.idx.gz");
}

static void refused(const void *bytes, size_t n, const char *part)
{
    struct sx_idx idx;
    cr_assert_neq(sx_idx_read_memory("t.idx", bytes, n, &idx, &err), SX_OK);
    cr_assert(strstr(err.message, part), "\"%s\" not in: %s", part, err.message);
}

Test(idx, what_does_not_add_up_is_refused)
{
    refused("", 0, "cut off");
    refused("\0\0\x08\1", 4, "cut off");
    refused("\1\0\x08\1\0\0\0\1x", 9, "not an idx file");
    refused("\0\0\x0d\1\0\0\0\1xxxx", 12, "type 0x0d");
    refused("\0\0\x08\0x", 5, "rank 0");
    refused("\0\0\x08\5", 4, "rank 5");
    refused("\0\0\x08\1\0\0\0\2x", 9, "9 bytes, the header says 10");
    refused("\0\0\x08\1\0\0\0\1xx", 10, "10 bytes, the header says 9");
    refused("\0\0\x08\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 20,
            "2^30");
    refused("\0\0\x08\2\0\0\0\0\xff\xff\xff\xff", 12 - 1, "cut off");
}

Test(idx, every_truncation_and_every_flipped_byte_of_a_gzip_file_is_survived)
{
    size_t n;
    uint8_t *bytes = io_read(io_fixture("io/images.idx.gz"), &n);
    struct sx_idx idx;
    for (size_t cut = 0; cut < n; cut++)
        cr_assert_neq(sx_idx_read_memory("t.gz", bytes, cut, &idx, &err), SX_OK, "%zu", cut);
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 0xff;
        if (sx_idx_read_memory("t.gz", bytes, n, &idx, &err) == SX_OK)
            sx_idx_release(&idx);
        bytes[i] ^= 0xff;
    }
    free(bytes);
}
