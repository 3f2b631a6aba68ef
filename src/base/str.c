#include "sextant/base/str.h"

#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"

char sx_str_empty[1];

static void reserve(struct sx_str *s, size_t extra)
{
    size_t need = s->len + extra + 1;
    if (need <= s->capacity)
        return;
    size_t capacity = s->capacity ? s->capacity : 64;
    while (capacity < need)
        capacity *= 2;
    s->data = sx_xrealloc(s->capacity ? s->data : NULL, capacity);
    s->capacity = capacity;
    s->data[s->len] = '\0';
}

void sx_str_release(struct sx_str *s)
{
    if (s->capacity)
        sx_free(s->data);
    *s = SX_STR_INIT;
}

void sx_str_clear(struct sx_str *s)
{
    s->len = 0;
    if (s->capacity)
        s->data[0] = '\0';
}

void sx_str_append_len(struct sx_str *s, const char *bytes, size_t len)
{
    if (!len)
        return;
    reserve(s, len);
    memcpy(s->data + s->len, bytes, len);
    s->len += len;
    s->data[s->len] = '\0';
}

void sx_str_append(struct sx_str *s, const char *text)
{
    sx_str_append_len(s, text, strlen(text));
}

void sx_str_append_char(struct sx_str *s, char c)
{
    sx_str_append_len(s, &c, 1);
}

void sx_str_vprintf(struct sx_str *s, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    SX_ASSERT(len >= 0);
    reserve(s, (size_t)len);
    vsnprintf(s->data + s->len, (size_t)len + 1, fmt, again);
    va_end(again);
    s->len += (size_t)len;
}

void sx_str_printf(struct sx_str *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    sx_str_vprintf(s, fmt, args);
    va_end(args);
}

char *sx_str_take(struct sx_str *s)
{
    reserve(s, 0);
    char *data = s->data;
    *s = SX_STR_INIT;
    return data;
}
