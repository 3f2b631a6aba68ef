/* Where a window of `page` lines must start so that `cursor` can be seen. Private. */
#ifndef SX_SCROLL_H
#define SX_SCROLL_H

#include <stddef.h>

static inline size_t scroll_top(size_t top, size_t cursor, size_t page, size_t n)
{
    if (page == 0)
        return cursor;
    if (top > cursor)
        top = cursor;
    else if (cursor - top >= page)
        top = cursor - page + 1;
    if (n <= page)
        return 0;
    return top > n - page ? n - page : top;
}

#endif
