#include "text_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_BYTES = 64 << 20, PIECE = 1 << 16 };

enum sx_status sx_text_file_read(const char *path, struct sx_str *out, struct sx_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    const size_t start = out->len;
    struct stat st;
    char piece[PIECE];
    FILE *file = standard ? stdin : fopen(path, "rbe");
    if (!file)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    enum sx_status status = SX_OK;
    if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode))
        status = sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(EISDIR));
    while (status == SX_OK) {
        const size_t n = fread(piece, 1, sizeof piece, file);
        sx_str_append_len(out, piece, n);
        if (out->len - start > MAX_BYTES)
            status = sx_fail(err, SX_ERR_UNSUPPORTED, "%s: more than %d MiB of text", path,
                             MAX_BYTES >> 20);
        if (n < sizeof piece)
            break;
    }
    if (status == SX_OK && ferror(file))
        status = sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    if (!standard)
        fclose(file);
    if (status == SX_OK && memchr(out->data + start, '\0', out->len - start))
        status = sx_fail(err, SX_ERR_FORMAT, "%s: not text: it holds a zero byte", path);
    return status;
}

char *sx_text_next_line(char **p)
{
    char *line = *p;
    if (!*line)
        return NULL;
    const size_t len = strcspn(line, "\n");
    *p = line + len + (line[len] == '\n');
    line[len] = '\0';
    if (len > 0 && line[len - 1] == '\r')
        line[len - 1] = '\0';
    return line;
}
