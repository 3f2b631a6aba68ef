#include "zip_write.h"

#include <string.h>

#include "gzip.h"

enum {
    LOCAL_SIZE = 30,
    ALIGNMENT = 64,
    EXTRA_HEAD = 4,
    ZIP64_LOCAL = 2 * 8,
    ZIP64_CENTRAL = 3 * 8,
    VERSION = 45,        /* 4.5: ZIP64 */
    UTF8_NAMES = 0x0800, /* general flag */
    DATE_1980 = 0x21,    /* the same content gives the same bytes */
};

static void le(struct sx_str *s, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        sx_str_append_char(s, (char)(value >> (8 * i) & 0xffU));
}

/* What the local header and the directory entry have in common. Sizes always stand in the ZIP64
 * field, so that no archive takes another path when it grows beyond 4 GiB. */
static void common_fields(struct sx_str *s, uint32_t crc, size_t name_len, size_t extra_len)
{
    le(s, VERSION, 2);
    le(s, UTF8_NAMES, 2);
    le(s, 0, 2); /* stored */
    le(s, 0, 2);
    le(s, DATE_1980, 2);
    le(s, crc, 4);
    le(s, UINT32_MAX, 4);
    le(s, UINT32_MAX, 4);
    le(s, name_len, 2);
    le(s, extra_len, 2);
}

void sx_zip_add(struct sx_zip_writer *w, const char *name, const void *head, size_t head_len,
                const void *body, size_t body_len)
{
    struct sx_str local = SX_STR_INIT;
    uint64_t at = w->file.written;
    uint64_t size = (uint64_t)head_len + body_len;
    size_t name_len = strlen(name);
    uint32_t crc = sx_crc32(sx_crc32(0, head, head_len), body, body_len);
    size_t fixed = LOCAL_SIZE + name_len + EXTRA_HEAD + ZIP64_LOCAL + EXTRA_HEAD;
    size_t padding = (ALIGNMENT - (at + fixed) % ALIGNMENT) % ALIGNMENT;
    le(&local, 0x04034b50U, 4);
    common_fields(&local, crc, name_len, EXTRA_HEAD + ZIP64_LOCAL + EXTRA_HEAD + padding);
    sx_str_append(&local, name);
    le(&local, 1, 2);
    le(&local, ZIP64_LOCAL, 2);
    le(&local, size, 8);
    le(&local, size, 8);
    sx_str_append(&local, "FB"); /* torch's own padding field */
    le(&local, padding, 2);
    sx_outfile_write(&w->file, local.data, local.len);
    sx_outfile_pad(&w->file, padding, 'Z');
    sx_outfile_write(&w->file, head, head_len);
    sx_outfile_write(&w->file, body, body_len);
    sx_str_release(&local);

    le(&w->directory, 0x02014b50U, 4);
    le(&w->directory, VERSION, 2);
    common_fields(&w->directory, crc, name_len, EXTRA_HEAD + ZIP64_CENTRAL);
    le(&w->directory, 0, 2); /* comment */
    le(&w->directory, 0, 2); /* disk */
    le(&w->directory, 0, 2);
    le(&w->directory, 0, 4);
    le(&w->directory, UINT32_MAX, 4); /* offset: in the ZIP64 field */
    sx_str_append(&w->directory, name);
    le(&w->directory, 1, 2);
    le(&w->directory, ZIP64_CENTRAL, 2);
    le(&w->directory, size, 8);
    le(&w->directory, size, 8);
    le(&w->directory, at, 8);
    w->count++;
}

void sx_zip_end(struct sx_zip_writer *w)
{
    struct sx_str end = SX_STR_INIT;
    uint64_t at = w->file.written;
    uint64_t size = w->directory.len;
    sx_outfile_write(&w->file, w->directory.data, w->directory.len);
    le(&end, 0x06064b50U, 4);
    le(&end, 44, 8); /* of the rest of this record */
    le(&end, VERSION, 2);
    le(&end, VERSION, 2);
    le(&end, 0, 4);
    le(&end, 0, 4);
    le(&end, w->count, 8);
    le(&end, w->count, 8);
    le(&end, size, 8);
    le(&end, at, 8);
    le(&end, 0x07064b50U, 4);
    le(&end, 0, 4);
    le(&end, at + size, 8);
    le(&end, 1, 4);
    le(&end, 0x06054b50U, 4);
    le(&end, 0, 4);
    le(&end, 0xffff, 2);
    le(&end, 0xffff, 2);
    le(&end, UINT32_MAX, 4);
    le(&end, UINT32_MAX, 4);
    le(&end, 0, 2);
    sx_outfile_write(&w->file, end.data, end.len);
    sx_str_release(&end);
    sx_str_release(&w->directory);
}
