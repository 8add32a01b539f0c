/* See array.h. */
#include "base/array.h"

#include <stdlib.h>

void *array_room(void *array, uint32_t n, uint32_t *room, size_t size)
{
    if (n <= *room)
        return array;
    while (*room < n)
        *room = *room ? *room * 2 : 16;
    void *grown = realloc(array, *room * size);
    if (!grown)
        abort();
    return grown;
}

void *array_aligned(size_t n, size_t size)
{
    size_t bytes = (n * size + 63) / 64 * 64;
    void *array = aligned_alloc(64, bytes ? bytes : 64);
    if (!array)
        abort();
    return array;
}
