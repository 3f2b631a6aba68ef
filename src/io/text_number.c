#include "text_number.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 400 };

/* printf and strtod write and expect the locale's decimal point; numbers in files have a dot. */
static char *find_point(char *s)
{
    const char *point = localeconv()->decimal_point;
    return strcmp(point, ".") ? strstr(s, point) : NULL;
}

const char *sx_format_real(double d, char out[SX_NUMBER_SIZE])
{
    snprintf(out, SX_NUMBER_SIZE - 2, "%.9g", d);
    if (strtod(out, NULL) != d)
        snprintf(out, SX_NUMBER_SIZE - 2, "%.17g", d);
    char *point = find_point(out);
    if (point) {
        size_t width = strlen(localeconv()->decimal_point);
        *point = '.';
        memmove(point + 1, point + width, strlen(point + width) + 1);
    }
    if (!strpbrk(out, ".e"))
        memcpy(out + strlen(out), ".0", sizeof ".0");
    return out;
}

static size_t digits(const char *s, size_t i, size_t len)
{
    size_t first = i;
    while (i < len && s[i] >= '0' && s[i] <= '9')
        i++;
    return i - first;
}

bool sx_parse_real(const char *s, size_t len, double *out)
{
    size_t i = 0;
    if (len == 0 || len > MAX_DIGITS)
        return false;
    if (s[i] == '-' || s[i] == '+')
        i++;
    size_t before = digits(s, i, len);
    size_t after = 0;
    size_t point = 0;
    i += before;
    if (i < len && s[i] == '.') {
        point = i++;
        after = digits(s, i, len);
        i += after;
    }
    if (before + after == 0)
        return false;
    if (i < len && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        if (i < len && (s[i] == '-' || s[i] == '+'))
            i++;
        size_t exponent = digits(s, i, len);
        if (exponent == 0)
            return false;
        i += exponent;
    }
    if (i != len)
        return false;
    char text[MAX_DIGITS + 16];
    const char *locale_point = localeconv()->decimal_point;
    size_t width = strlen(locale_point);
    if (width > 8)
        return false;
    memcpy(text, s, len);
    text[len] = '\0';
    if (s[point] == '.') {
        memcpy(text + point, locale_point, width);
        memcpy(text + point + width, s + point + 1, len - point - 1);
        text[len + width - 1] = '\0';
    }
    *out = strtod(text, NULL);
    return true;
}
