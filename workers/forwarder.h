/* All that a relay decides: to what is above a worker (session), to what is below a server
 * (dispatcher). Nodes that it is asked for above are given out below, and go up as one sum each.
 *
 * Pure but for the ports that its owner gives it. It joins above only while it has a worker below,
 * in the kernel that this one names: a relay computes nothing itself.
 */
#ifndef DROVER_WORKERS_FORWARDER_H
#define DROVER_WORKERS_FORWARDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/dataset.h"
#include "dispatch/dispatcher.h"
#include "proto/frame.h"
#include "proto/wire.h"

/* Where messages go. A port takes the frame in any case. */
typedef struct {
    dispatch_ports_t below;
    void *context; /* of the three that follow: to what is above */
    void (*control)(void *context, const wire_t *message);
    void (*data)(void *context, const wire_t *message);
    void (*gradient)(void *context, const wire_t *message, frame_t *frame);
    /* A job: opens the other planes above and below, and says in *planes what WELCOME says below.
     * Returns 0, or -1 with *err. */
    int (*set_up)(void *context, const wire_welcome_t *job, dispatch_planes_t *planes, err_t *err);
} forwarder_ports_t;

typedef enum {
    FORWARDER_GOES_ON,
    FORWARDER_OVER,   /* the job is, or it was drained */
    FORWARDER_FAILED, /* forwarder_error says why */
} forwarder_state_t;

typedef struct forwarder forwarder_t;

/* `hello`: name and host. above: the endpoint, for status. data: a local copy of the training set,
 * borrowed, or NULL. incarnation: below this number is raised with every job; it has to differ from
 * that of an earlier life. Never NULL. */
forwarder_t *forwarder_new(const wire_hello_t *hello, const char *above, const dataset_t *data,
                           uint32_t incarnation, const forwarder_ports_t *ports);
void forwarder_destroy(forwarder_t **self_p);

/* A well-formed message from above, on control or weights, whose frame may be taken over, and one
 * on data: false when these are no rows that were asked for. */
void forwarder_above(forwarder_t *self, const wire_t *message, frame_t *frame);
bool forwarder_rows(forwarder_t *self, const wire_t *message, const uint8_t *images,
                    size_t image_bytes);

/* Messages from below: see dispatcher.h. */
void forwarder_control(forwarder_t *self, const wire_peer_t *peer, wire_status_t status,
                       const wire_t *in);
void forwarder_fetch(forwarder_t *self, const wire_peer_t *peer, wire_status_t status,
                     const wire_t *in);
const float *forwarder_held(const forwarder_t *self, const wire_t *in, size_t frame_bytes);
void forwarder_partial(forwarder_t *self, wire_status_t status, const wire_t *in, frame_t *frame);

/* After messages were handed in, and when forwarder_timeout_ms is over. */
void forwarder_tick(forwarder_t *self);
long forwarder_timeout_ms(const forwarder_t *self);

/* Takes no more work, passes on what is being computed, leaves. */
void forwarder_drain(forwarder_t *self);

/* See session_silence_ms. */
int64_t forwarder_silence_ms(const forwarder_t *self);

forwarder_state_t forwarder_state(const forwarder_t *self);
const char *forwarder_error(const forwarder_t *self);

/* What it has been waiting for above longer than a second; NULL when for nothing. */
const char *forwarder_waits_for(const forwarder_t *self);

#endif
