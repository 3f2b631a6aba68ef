/* Status codes and error messages.
 *
 * Everything that can fail for reasons outside the program returns enum sx_status and takes a
 * trailing `struct sx_error *err` (may be NULL). On success *err is untouched. A programming error
 * is SX_ASSERT. SX_CANCELLED is a status, not an error: its message stays empty. */
#ifndef SEXTANT_BASE_STATUS_H
#define SEXTANT_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>

#define SX_MUST_CHECK __attribute__((warn_unused_result))
#define SX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum sx_status {
    SX_OK = 0,
    SX_ERR_USAGE,       /* the caller's words are off: option, key, value */
    SX_ERR_IO,          /* the system said no: missing file, permission, disk full */
    SX_ERR_FORMAT,      /* the bytes are not what the format says */
    SX_ERR_UNSUPPORTED, /* well-formed, but refused by name */
    SX_ERR_SHAPE,       /* dimensions disagree */
    SX_ERR_NOTFOUND,    /* no such key, tensor, latent, file inside a file */
    SX_ERR_NOMEM,       /* a tensor- or file-sized allocation failed */
    SX_ERR_NUMERIC,     /* NaN, infinity or a certificate that does not hold */
    SX_CANCELLED,
};

struct sx_error {
    enum sx_status status;
    char message[512]; /* one line, UTF-8, no control characters */
};

/* Fill *err (NULL is fine) and be `status`, so that `return sx_fail(...)` reports and fails.
 * Control characters in the formatted text are replaced: messages quote strangers' files.
 * A macro, so that the compiler sees the constant: after a failure nothing else was set. */
#define sx_fail(err, status, ...)                                                                  \
    __extension__({                                                                                \
        const enum sx_status sx_fail_status_ = (status);                                           \
        sx_fail_set((err), sx_fail_status_, __VA_ARGS__);                                          \
        sx_fail_status_;                                                                           \
    })
void sx_fail_set(struct sx_error *err, enum sx_status status, const char *fmt, ...) SX_PRINTF(3, 4);

/* Put "prefix: " in front of an existing message; returns `status` unchanged. */
enum sx_status sx_fail_prefix(struct sx_error *err, enum sx_status status, const char *fmt, ...)
    SX_PRINTF(3, 4);

const char *sx_status_name(enum sx_status status);

/* For functions that hold nothing to clean up. */
#define SX_TRY(expr)                                                                               \
    do {                                                                                           \
        enum sx_status sx_try_status_ = (expr);                                                    \
        if (sx_try_status_ != SX_OK)                                                               \
            return sx_try_status_;                                                                 \
    } while (0)

_Noreturn void sx_assert_failed(const char *expr, const char *file, int line);
#define SX_ASSERT(expr) ((expr) ? (void)0 : sx_assert_failed(#expr, __FILE__, __LINE__))

#endif
