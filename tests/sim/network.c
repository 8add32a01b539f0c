/* See network.h. */
#include "sim/network.h"

#include "base/log.h"

void network_send(world_t *self, event_kind_t kind, int peer, const wire_t *message, frame_t *frame)
{
    const void *header;
    size_t header_size;
    bool has_frame = frame && frame->present;
    self->n_messages++;
    uint64_t digest = has_frame ? frame_digest(frame) : 0;
    wire_encode(self->codec, message, has_frame ? &digest : NULL, &header, &header_size);
    int n_copies = world_chance(self, self->drop) ? 0 : world_chance(self, self->duplicate) ? 2 : 1;
    if (self->now_ms < self->peers[peer].cut_until_ms)
        n_copies = 0;
    log_debug("sim.send", "at=%.3f peer=%d down=%d type=%s step=%u copies=%d", self->now_ms, peer,
              kind == EVENT_TO_PEER, wire_type_name(message->type), message->step, n_copies);
    for (int copy = 0; copy < n_copies; copy++) {
        event_t *event =
            event_new(kind, peer, header, header_size, has_frame ? frame_data(frame) : NULL,
                      has_frame ? frame_size(frame) : 0);
        event->life = self->peers[peer].life;
        event->connection = self->peers[peer].connection;
        if (world_chance(self, self->damage)) {
            bool in_frame = has_frame && world_chance(self, 0.5);
            uint8_t *bytes = in_frame ? event->frame : event->header;
            size_t size = in_frame ? event->frame_size : event->header_size;
            bytes[world_random(self) % size] ^= (uint8_t)(1 << world_random(self) % 8);
        }
        queue_put(self->queue, self->now_ms + 0.05 + world_uniform(self) * self->delay_ms, event);
    }
    if (frame)
        frame_clear(frame);
}

wire_status_t network_open(world_t *self, const event_t *event, link_held_t *held, void *context,
                           frame_t *frame)
{
    const float *sum = NULL;
    wire_status_t status = wire_decode(self->codec, event->header, event->header_size, &self->in);
    *frame = (frame_t){.present = false};
    if (event->frame)
        frame_copy_of(frame, event->frame, event->frame_size);
    if (status == WIRE_OK && held && frame->present)
        sum = held(context, &self->in, frame_size(frame));
    if (sum)
        return wire_check_and_add(&self->in, frame_data(frame), frame_size(frame), sum);
    if (status == WIRE_OK)
        status = wire_check_frame(&self->in, frame_data(frame), frame_size(frame), frame->present);
    return status;
}
