/* The simulated network: every message goes between a peer and its parent, and may be lost, late,
 * doubled or damaged on its way.
 */
#ifndef DROVER_TESTS_SIM_NETWORK_H
#define DROVER_TESTS_SIM_NETWORK_H

#include "sim/queue.h"
#include "sim/world.h"

/* From the peer of that index to its parent, or to it (EVENT_TO_PEER). The frame, which may be
 * NULL, is taken. */
void network_send(world_t *self, event_kind_t kind, int peer, const wire_t *message,
                  frame_t *frame);

/* The message of an event into self->in and *frame, which the caller clears, as link_receive does:
 * `held` is that of whom the message reaches, or NULL. */
wire_status_t network_open(world_t *self, const event_t *event, link_held_t *held, void *context,
                           frame_t *frame);

#endif
