/* Fixed-size, cache-line-aligned buffers that are taken and given back in the step loop.
 *
 * The pool keeps what it gets back, so a steady loop allocates nothing. Safe from any thread:
 * libzmq gives buffers back from its I/O threads. Buffers may outlive pool_destroy; the last one
 * given back frees the pool.
 */
#ifndef DROVER_BASE_POOL_H
#define DROVER_BASE_POOL_H

#include <stddef.h>

typedef struct pool pool_t;

/* A pool of buffers of `size` bytes. Never NULL (aborts when out of memory). */
pool_t *pool_new(size_t size);
void pool_destroy(pool_t **self_p);

/* A buffer with undefined contents; aborts when out of memory. */
void *pool_take(pool_t *self);

/* One more owner: the buffer goes back once each has given it. Shared buffers are not written to.
 */
void *pool_share(void *buffer);

/* Gives a buffer back to the pool that it came from; NULL is fine. */
void pool_give(void *buffer);

#endif
