#include "sextant/base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/text.h"

static void format_clean(char *dst, size_t size, const char *fmt, va_list args)
{
    char raw[1024];
    vsnprintf(raw, sizeof raw, fmt, args);
    sx_text_clean(dst, size, raw, strlen(raw));
}

void sx_fail_set(struct sx_error *err, enum sx_status status, const char *fmt, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, fmt);
    format_clean(err->message, sizeof err->message, fmt, args);
    va_end(args);
    err->status = status;
}

enum sx_status sx_fail_prefix(struct sx_error *err, enum sx_status status, const char *fmt, ...)
{
    if (!err)
        return status;
    char prefix[256];
    va_list args;
    va_start(args, fmt);
    format_clean(prefix, sizeof prefix, fmt, args);
    va_end(args);
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    return sx_fail(err, status, "%s: %s", prefix, old);
}

const char *sx_status_name(enum sx_status status)
{
    static const char *const names[] = {
        [SX_OK] = "ok",
        [SX_ERR_USAGE] = "usage",
        [SX_ERR_IO] = "io",
        [SX_ERR_FORMAT] = "format",
        [SX_ERR_UNSUPPORTED] = "unsupported",
        [SX_ERR_SHAPE] = "shape",
        [SX_ERR_NOTFOUND] = "not found",
        [SX_ERR_NOMEM] = "out of memory",
        [SX_ERR_NUMERIC] = "numeric",
        [SX_CANCELLED] = "cancelled",
    };
    return (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

_Noreturn void sx_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "sextant: %s:%d: assertion failed: %s\n", file, line, expr);
    abort();
}
