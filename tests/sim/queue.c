/* See queue.h. A binary heap. */
#include "sim/queue.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    double at_ms;
    uint64_t number;
    event_t *event;
} entry_t;

struct queue {
    entry_t *entries; /* owned */
    size_t n;
    size_t room;
    uint64_t n_put;
};

static void *s_need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static uint8_t *s_copy(const void *bytes, size_t size)
{
    return bytes ? memcpy(s_need(malloc(size ? size : 1)), bytes, size) : NULL;
}

event_t *event_new(event_kind_t kind, int peer, const void *header, size_t header_size,
                   const void *frame, size_t frame_size)
{
    event_t *self = s_need(calloc(1, sizeof(*self)));
    self->kind = kind;
    self->peer = peer;
    self->header = s_copy(header, header_size);
    self->header_size = header_size;
    self->frame = s_copy(frame, frame_size);
    self->frame_size = frame_size;
    return self;
}

void event_destroy(event_t **self_p)
{
    event_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    free(self->header);
    free(self->frame);
    free(self);
}

queue_t *queue_new(void)
{
    return s_need(calloc(1, sizeof(queue_t)));
}

void queue_destroy(queue_t **self_p)
{
    queue_t *self = *self_p;
    *self_p = NULL;
    for (size_t i = 0; i < self->n; i++)
        event_destroy(&self->entries[i].event);
    free(self->entries);
    free(self);
}

static bool s_before(const entry_t *a, const entry_t *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->number < b->number);
}

static void s_swap(entry_t *a, entry_t *b)
{
    entry_t kept = *a;
    *a = *b;
    *b = kept;
}

void queue_put(queue_t *self, double at_ms, event_t *event)
{
    if (self->n == self->room) {
        self->room = self->room ? self->room * 2 : 64;
        self->entries = s_need(realloc(self->entries, self->room * sizeof(entry_t)));
    }
    size_t i = self->n++;
    self->entries[i] = (entry_t){at_ms, self->n_put++, event};
    for (; i > 0 && s_before(&self->entries[i], &self->entries[(i - 1) / 2]); i = (i - 1) / 2)
        s_swap(&self->entries[i], &self->entries[(i - 1) / 2]);
}

event_t *queue_take(queue_t *self, double *at_ms)
{
    if (self->n == 0)
        return NULL;
    entry_t first = self->entries[0];
    self->entries[0] = self->entries[--self->n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < self->n && s_before(&self->entries[child], &self->entries[least]))
                least = child;
        if (least == i)
            break;
        s_swap(&self->entries[i], &self->entries[least]);
        i = least;
    }
    *at_ms = first.at_ms;
    return first.event;
}
