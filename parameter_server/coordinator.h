/* All that the parameter server decides: messages and time in, messages and finished steps out.
 *
 * Pure but for the ports that its owner gives it: the actor's lead to sockets and the clock, a
 * simulation's to queues and a clock of its own. The dispatcher has each step computed; the
 * coordinator begins steps, and makes the next weights of their sums.
 */
#ifndef DROVER_PARAMETER_SERVER_COORDINATOR_H
#define DROVER_PARAMETER_SERVER_COORDINATOR_H

#include <stdbool.h>

#include "dispatch/dispatcher.h"
#include "parameter_server/job.h"
#include "proto/frame.h"
#include "proto/wire.h"

typedef struct {
    dispatch_ports_t dispatch;
    /* With the dispatcher's context; takes the record. */
    void (*step_done)(void *context, server_record_t *record);
    /* An evaluation is done. */
    void (*evaluated)(void *context, const trial_result_t *result);
} coordinator_ports_t;

typedef struct coordinator coordinator_t;

/* For a job that was checked and has a run id; job->optimizer and job->trial are emptied. Never
 * NULL. */
coordinator_t *coordinator_new(server_job_t *job, const coordinator_ports_t *ports,
                               const dispatch_planes_t *planes);
void coordinator_destroy(coordinator_t **self_p);

/* A message arrived on the control, data or gradients plane; `in` as link_receive left it for this
 * status. coordinator_partial may take the frame's bytes over. */
void coordinator_control(coordinator_t *self, const wire_peer_t *peer, wire_status_t status,
                         const wire_t *in);
void coordinator_fetch(coordinator_t *self, const wire_peer_t *peer, wire_status_t status,
                       const wire_t *in);
/* See dispatcher_held. */
const float *coordinator_held(const coordinator_t *self, const wire_t *in, size_t frame_bytes);
void coordinator_partial(coordinator_t *self, wire_status_t status, const wire_t *in,
                         frame_t *frame);

/* After messages were handed in, and when coordinator_timeout_ms is over: lets members expire,
 * begins steps, gives late blocks to others. */
void coordinator_tick(coordinator_t *self);

/* Milliseconds until the next coordinator_tick, at most. */
long coordinator_timeout_ms(const coordinator_t *self);

/* All steps are done, or it cannot go on. */
bool coordinator_finished(const coordinator_t *self);

/* Why it cannot go on: the training has diverged. Borrowed; NULL when it can. */
const char *coordinator_failure(const coordinator_t *self);

/* What its evaluations have come to. Borrowed. */
const trial_state_t *coordinator_trial(const coordinator_t *self);

/* Tells all members that the job is over; with `more`, that they are to join the next one. */
void coordinator_release_workers(coordinator_t *self, bool more);

#endif
