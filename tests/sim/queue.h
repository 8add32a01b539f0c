/* What happens next in a simulation: events in order of time, and of arrival at the same time. */
#ifndef DROVER_TESTS_SIM_QUEUE_H
#define DROVER_TESTS_SIM_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "math/reduce.h"
#include "proto/wire.h"

typedef enum {
    EVENT_TIME,    /* the clock goes on */
    EVENT_CONTROL, /* a message of a peer to what is above it, by plane */
    EVENT_DATA,
    EVENT_GRADIENT,
    EVENT_TO_PEER,  /* a message to it from there */
    EVENT_COMPUTED, /* a worker is done with a node */
} event_kind_t;

typedef struct {
    event_kind_t kind;
    int peer;
    uint32_t life; /* of the peer */
    uint32_t connection;
    uint32_t epoch;
    uint32_t step;
    node_t node;
    wire_score_t score; /* end 0: the node; else rows of an evaluation */
    uint8_t *header;    /* owned */
    size_t header_size;
    uint8_t *frame; /* owned; NULL without one */
    size_t frame_size;
} event_t;

/* With copies of the bytes. Never NULL. */
event_t *event_new(event_kind_t kind, int peer, const void *header, size_t header_size,
                   const void *frame, size_t frame_size);
void event_destroy(event_t **self_p);

typedef struct queue queue_t;
queue_t *queue_new(void);
void queue_destroy(queue_t **self_p);

/* Takes the event over. */
void queue_put(queue_t *self, double at_ms, event_t *event);

/* The next event, the caller's, and its time; NULL when there is none. */
event_t *queue_take(queue_t *self, double *at_ms);

#endif
