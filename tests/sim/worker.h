/* A simulated worker: what workers/worker.c does with a session, in the time of the simulation. */
#ifndef DROVER_TESTS_SIM_WORKER_H
#define DROVER_TESTS_SIM_WORKER_H

#include <stdbool.h>

#include "sim/queue.h"
#include "sim/world.h"

/* Gives the peer a session and what computes gradients; world.c takes them away. */
void worker_start(world_t *self, peer_t *peer);

/* Does all that its session wants now, and looks again at its deadline. False when it leaves. */
bool worker_act(world_t *self, peer_t *peer);

/* What was begun is done, unless it is void by now. False when it leaves. */
bool worker_computed(world_t *self, const event_t *event);

#endif
