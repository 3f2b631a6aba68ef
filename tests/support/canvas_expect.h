/* Screens against golden files. UPDATE_GOLDEN=1 rewrites them: read what it wrote. A mismatch
 * prints the screen as it came out. */
#ifndef SX_TEST_CANVAS_EXPECT_H
#define SX_TEST_CANVAS_EXPECT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/tui/canvas.h"

static inline char *canvas_read_golden(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    struct sx_str s = SX_STR_INIT;
    char buf[4096];
    size_t n;
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        sx_str_append_len(&s, buf, n);
    fclose(f);
    return sx_str_take(&s);
}

static inline void golden_expect(const char *actual, const char *path)
{
    if (getenv("UPDATE_GOLDEN")) {
        FILE *f = fopen(path, "wb");
        cr_assert(f, "cannot write %s", path);
        fputs(actual, f);
        fclose(f);
        return;
    }
    char *golden = canvas_read_golden(path);
    cr_assert(golden, "no golden file %s; this is the screen:\n%s", path, actual);
    cr_expect(strcmp(golden, actual) == 0, "%s differs; expected:\n%s\nfound:\n%s", path, golden,
              actual);
    sx_free(golden);
}

static inline void canvas_expect(const struct sx_screen *screen, bool with_styles, const char *path)
{
    struct sx_str s = SX_STR_INIT;
    sx_screen_text(screen, with_styles, &s);
    golden_expect(s.data, path);
    sx_str_release(&s);
}

#endif
