/* See wire_bounds.h; the format bytes are those of the MessagePack specification. */
#include "proto/wire_bounds.h"

#include <stdbool.h>

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} cursor_t;

static bool s_skip(cursor_t *cursor, uint64_t n)
{
    if ((uint64_t)(cursor->end - cursor->at) < n)
        return false;
    cursor->at += n;
    return true;
}

/* A big-endian number of n bytes. */
static bool s_number(cursor_t *cursor, int n, uint64_t *value)
{
    const uint8_t *p = cursor->at;
    if (!s_skip(cursor, (uint64_t)n))
        return false;
    *value = 0;
    for (int i = 0; i < n; i++)
        *value = *value << 8 | p[i];
    return true;
}

static bool s_object(cursor_t *cursor, int depth);

static bool s_array(cursor_t *cursor, uint64_t n, int depth)
{
    /* each element takes a byte at least: a larger count is a lie */
    if (depth == 0 || n > (uint64_t)(cursor->end - cursor->at))
        return false;
    for (uint64_t i = 0; i < n; i++)
        if (!s_object(cursor, depth - 1))
            return false;
    return true;
}

static bool s_object(cursor_t *cursor, int depth)
{
    uint64_t tag, n;
    if (!s_number(cursor, 1, &tag))
        return false;
    if (tag <= 0x7f || tag >= 0xe0) /* small numbers */
        return true;
    if (tag >= 0xa0 && tag <= 0xbf) /* short text */
        return s_skip(cursor, tag & 0x1f);
    if (tag >= 0x90 && tag <= 0x9f) /* short array */
        return s_array(cursor, tag & 0x0f, depth);
    switch (tag) {
    case 0xc0: /* nil */
    case 0xc2: /* false */
    case 0xc3: /* true */
        return true;
    case 0xc4: /* bytes */
    case 0xd9: /* text */
        return s_number(cursor, 1, &n) && s_skip(cursor, n);
    case 0xc5:
    case 0xda:
        return s_number(cursor, 2, &n) && s_skip(cursor, n);
    case 0xc6:
    case 0xdb:
        return s_number(cursor, 4, &n) && s_skip(cursor, n);
    case 0xca: /* float */
        return s_skip(cursor, 4);
    case 0xcb: /* double */
        return s_skip(cursor, 8);
    case 0xcc: /* unsigned of 1, 2, 4, 8 bytes */
    case 0xcd:
    case 0xce:
    case 0xcf:
        return s_skip(cursor, (uint64_t)1 << (tag - 0xcc));
    case 0xd0: /* signed */
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return s_skip(cursor, (uint64_t)1 << (tag - 0xd0));
    case 0xdc: /* arrays */
        return s_number(cursor, 2, &n) && s_array(cursor, n, depth);
    case 0xdd:
        return s_number(cursor, 4, &n) && s_array(cursor, n, depth);
    default: /* maps, extensions, 0xc1 */
        return false;
    }
}

size_t wire_bounds(const uint8_t *bytes, size_t size, int max_depth)
{
    cursor_t cursor = {bytes, bytes + size};
    return s_object(&cursor, max_depth) ? (size_t)(cursor.at - bytes) : 0;
}
