/* For tests that write files: each test runs in an empty folder of its own. */
#ifndef SEXTANT_TESTS_IO_SUPPORT_H
#define SEXTANT_TESTS_IO_SUPPORT_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char io_scratch[256];

static inline void io_enter_scratch(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(io_scratch, sizeof io_scratch, "%s/sextant-io-XXXXXX", base ? base : P_tmpdir);
    if (!mkdtemp(io_scratch) || chdir(io_scratch) != 0)
        abort();
}

/* Files in the working folder; `remove`: delete them. */
static inline int io_each_file(int remove_them)
{
    int n = 0;
    DIR *dir = opendir(".");
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        n++;
        if (remove_them)
            unlink(e->d_name);
    }
    closedir(dir);
    return n;
}

static inline int io_files_in_scratch(void)
{
    return io_each_file(0);
}

static inline void io_leave_scratch(void)
{
    io_each_file(1);
    if (chdir("/") == 0)
        rmdir(io_scratch);
}

static inline void io_write(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
        abort();
}

/* A fixture's path, in a static buffer. */
static inline const char *io_fixture(const char *name)
{
    static char path[1024];
    const char *folder = getenv("SX_FIXTURES");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : SX_SOURCE_DIR "/tests/fixtures", name);
    return path;
}

/* A whole file; free with free(). */
static inline uint8_t *io_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        abort();
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*n + 1);
    if (!bytes || fread(bytes, 1, *n, f) != *n)
        abort();
    fclose(f);
    return bytes;
}

#endif
