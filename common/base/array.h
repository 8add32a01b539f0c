/* How many elements arrays have: of those of a fixed size, and of those that grow and are used
 * again. */
#ifndef DROVER_BASE_ARRAY_H
#define DROVER_BASE_ARRAY_H

#include <stddef.h>
#include <stdint.h>

/* Of an array, not of a pointer to one. */
#define ARRAY_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* The array with room for n elements of `size` bytes at least, moved if it had to grow; *room is
 * how many it has room for. Grows by doubling, so that a steady run allocates nothing. Aborts when
 * out of memory. */
void *array_room(void *array, uint32_t n, uint32_t *room, size_t size);

/* A new array of n elements of `size` bytes, n 0 or more, for loops of vector instructions: aligned
 * to 64 bytes, with room to the next multiple of them. Owned by the caller, who frees it. Aborts
 * when out of memory. */
void *array_aligned(size_t n, size_t size);

#endif
