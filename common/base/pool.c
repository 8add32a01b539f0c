/* See pool.h. Each buffer has a 64-byte header in front that names its pool. */
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define HEADER_BYTES 64

typedef struct slot {
    pool_t *pool; /* borrowed while the buffer is out */
    struct slot *next;
    int n_owners; /* guarded by the pool's lock, as are the pool's fields */
} slot_t;

struct pool {
    pthread_mutex_t lock;
    size_t slot_bytes;
    slot_t *free_slots; /* owned */
    int n_out;
    bool closed;
};

pool_t *pool_new(size_t size)
{
    pool_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    pthread_mutex_init(&self->lock, NULL);
    self->slot_bytes = (HEADER_BYTES + size + 63) / 64 * 64;
    return self;
}

static void s_free(pool_t *self)
{
    pthread_mutex_destroy(&self->lock);
    free(self);
}

void pool_destroy(pool_t **self_p)
{
    pool_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    while (self->free_slots) {
        slot_t *slot = self->free_slots;
        self->free_slots = slot->next;
        free(slot);
    }
    self->closed = true;
    bool last = self->n_out == 0;
    pthread_mutex_unlock(&self->lock);
    if (last)
        s_free(self);
}

void *pool_take(pool_t *self)
{
    pthread_mutex_lock(&self->lock);
    slot_t *slot = self->free_slots;
    if (slot)
        self->free_slots = slot->next;
    self->n_out++;
    pthread_mutex_unlock(&self->lock);
    if (!slot) {
        slot = aligned_alloc(64, self->slot_bytes);
        if (!slot)
            abort();
        slot->pool = self;
    }
    slot->n_owners = 1;
    return (char *)slot + HEADER_BYTES;
}

static slot_t *s_slot(void *buffer)
{
    return (slot_t *)(void *)((char *)buffer - HEADER_BYTES);
}

void *pool_share(void *buffer)
{
    slot_t *slot = s_slot(buffer);
    pthread_mutex_lock(&slot->pool->lock);
    slot->n_owners++;
    pthread_mutex_unlock(&slot->pool->lock);
    return buffer;
}

void pool_give(void *buffer)
{
    if (!buffer)
        return;
    slot_t *slot = s_slot(buffer);
    pool_t *self = slot->pool;
    pthread_mutex_lock(&self->lock);
    if (--slot->n_owners > 0) {
        pthread_mutex_unlock(&self->lock);
        return;
    }
    assert(self->n_out > 0);
    self->n_out--;
    bool closed = self->closed;
    bool last = closed && self->n_out == 0;
    if (!closed) {
        slot->next = self->free_slots;
        self->free_slots = slot;
    }
    pthread_mutex_unlock(&self->lock);
    if (closed)
        free(slot);
    if (last)
        s_free(self);
}
