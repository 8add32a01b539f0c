/* All that the parameter server decides: messages and time in, messages and finished steps out.
 *
 * Pure but for the ports that its owner gives it: the actor's lead to sockets and the clock, a
 * simulation's to queues and a clock of its own. Weights after step t are a function of (data,
 * config, seed, kernel): everything that the sum depends on goes through the canonical tree
 * (aggregate, math/reduce), everything that time and peers decide (membership, round) only chooses
 * who computes what.
 */
#ifndef DROVER_PARAMETER_SERVER_COORDINATOR_H
#define DROVER_PARAMETER_SERVER_COORDINATOR_H

#include <stdbool.h>

#include "parameter_server/job.h"
#include "proto/frame.h"
#include "proto/wire.h"

/* Where a coordinator's messages go. A port takes the frame in any case. */
typedef struct {
    void *context;
    double (*now_ms)(void *context);
    /* False when the peer cannot be reached any more. frame may be NULL. */
    bool (*control)(void *context, const wire_peer_t *peer, const wire_t *message, frame_t *frame);
    void (*data)(void *context, const wire_peer_t *peer, const wire_t *message, frame_t *frame);
    void (*weights)(void *context, const wire_t *message, frame_t *frame); /* to all */
    void (*step_done)(void *context, server_record_t *record);             /* takes the record */
} coordinator_ports_t;

/* What WELCOME says of the other planes, and the control endpoint for the log. */
typedef struct {
    char control[256];
    char data[WIRE_PLANE_SIZE];
    char weights[WIRE_PLANE_SIZE];
    char gradients[WIRE_PLANE_SIZE];
} coordinator_planes_t;

typedef struct coordinator coordinator_t;

/* For a job that was checked and has a run id; job->optimizer is emptied. Never NULL. */
coordinator_t *coordinator_new(server_job_t *job, const coordinator_ports_t *ports,
                               const coordinator_planes_t *planes);
void coordinator_destroy(coordinator_t **self_p);

/* A message arrived on the control, data or gradients plane; `in` as link_receive left it for this
 * status. coordinator_partial may take the frame's bytes over. */
void coordinator_control(coordinator_t *self, const wire_peer_t *peer, wire_status_t status,
                         const wire_t *in);
void coordinator_fetch(coordinator_t *self, const wire_peer_t *peer, wire_status_t status,
                       const wire_t *in);
void coordinator_partial(coordinator_t *self, wire_status_t status, const wire_t *in,
                         frame_t *frame);

/* After messages were handed in, and when coordinator_timeout_ms is over: lets members expire,
 * begins steps, gives late blocks to others. */
void coordinator_tick(coordinator_t *self);

/* Milliseconds until the next coordinator_tick, at most. */
long coordinator_timeout_ms(const coordinator_t *self);

/* All steps are done. */
bool coordinator_finished(const coordinator_t *self);

/* Tells all members that the job is over. */
void coordinator_release_workers(coordinator_t *self);

#endif
