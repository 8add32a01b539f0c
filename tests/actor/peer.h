/* A scripted peer for tests of the real actors: sockets by proto/link, the script by the test.
 * Every wait has a deadline. */
#ifndef DROVER_TESTS_PEER_H
#define DROVER_TESTS_PEER_H

#include <czmq.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "proto/link.h"

#define PEER_DEADLINE_MS 30000

/* The ends of the four planes that the peer has; those that it lacks are NULL. */
typedef struct {
    link_t *control;
    link_t *data;
    link_t *weights;
    link_t *gradients;
    wire_peer_t control_peer; /* at a server's end: who was last heard on these planes */
    wire_peer_t data_peer;
    wire_t in;          /* the last message */
    frame_t frame;      /* and its frame */
    wire_welcome_t job; /* the job, of a worker that joined */
    uint64_t run;       /* what messages are fenced with, as incarnation and step */
    uint32_t incarnation;
    uint32_t step;
} peer_t;

static inline void peer_close(peer_t *self)
{
    link_destroy(&self->control);
    link_destroy(&self->data);
    link_destroy(&self->weights);
    link_destroy(&self->gradients);
    frame_clear(&self->frame);
    wire_clear(&self->in);
}

/* Sends *message, fenced, with a copy of the bytes as its frame if there are any. */
static inline void peer_send(peer_t *self, link_t *link, wire_t message, const void *bytes,
                             size_t size)
{
    const wire_peer_t *to = link == self->control ? &self->control_peer : &self->data_peer;
    bool router = to->size > 0 && (link == self->control || link == self->data);
    frame_t frame = {.present = false};
    if (bytes)
        frame_copy_of(&frame, bytes, size);
    message.run = message.run ? message.run : self->run;
    message.incarnation = message.incarnation ? message.incarnation : self->incarnation;
    message.step = message.step ? message.step : self->step;
    assert_true(link_send(link, router ? to : NULL, &message, &frame));
}

/* Waits up to wait_ms for a message on any of the planes that the peer has: the plane that it came
 * on, or NULL when none came. */
static inline link_t *peer_receive(peer_t *self, int64_t wait_ms)
{
    link_t *links[] = {self->control, self->weights, self->data, self->gradients};
    int64_t until_ms = clock_ms() + wait_ms;
    frame_clear(&self->frame);
    for (;;) {
        zmq_pollitem_t items[4];
        int n = 0;
        for (int i = 0; i < 4; i++) {
            if (!links[i])
                continue;
            wire_status_t status;
            wire_peer_t *from = links[i] == self->data ? &self->data_peer : &self->control_peer;
            if (link_receive(links[i], from, &self->in, &self->frame, &status)) {
                assert_int_equal(status, WIRE_OK);
                return links[i];
            }
            items[n++] = (zmq_pollitem_t){link_socket(links[i]), 0, ZMQ_POLLIN, 0};
        }
        int64_t left_ms = until_ms - clock_ms();
        if (left_ms <= 0)
            return NULL;
        zmq_poll(items, n, (long)left_ms);
    }
}

/* Waits for a message of this type; others that come before it are passed over. */
static inline link_t *peer_expect(peer_t *self, wire_type_t type)
{
    int64_t until_ms = clock_ms() + PEER_DEADLINE_MS;
    while (clock_ms() < until_ms) {
        link_t *link = peer_receive(self, until_ms - clock_ms());
        if (link && self->in.type == type)
            return link;
    }
    fail_msg("no %s came", wire_type_name(type));
    return NULL;
}

#endif
